/* test_quorum.c - the arithmetic of design.md section 4, for every group size. */
#include "base/limits.h"
#include "tests/fixture/aborts.h"
#include "wire/quorum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void quorum_of_context(void *context)
{
    (void)quorum_of(*(const uint32_t *)context);
}

static void test_quorum_size_out_of_range_is_a_failed_check(void **state)
{
    (void)state;
    uint32_t sizes[] = {0, REPLICAS_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_true(aborts(quorum_of_context, &sizes[i]));
}

static void test_quorum_every_size_keeps_safety_and_liveness(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= REPLICAS_MAX; n++) {
        const struct quorum q = quorum_of(n);
        assert_int_equal(q.replica_count, n);
        assert_true(3 * q.faulty_max + 1 <= n && n < 3 * (q.faulty_max + 1) + 1); /* f is the largest there is */
        assert_int_equal(q.weak, q.faulty_max + 1);
        assert_true(2 * q.quorum - n >= q.faulty_max + 1); /* two quorums share a correct replica */
        assert_true(n - q.faulty_max >= q.quorum);         /* the correct ones are a quorum */
        assert_true(2 * (q.quorum - 1) - n < q.faulty_max + 1 ||
                    2 * (q.quorum - 1) < n); /* and none smaller would do */
        if (n == 3 * q.faulty_max + 1) assert_int_equal(q.quorum, 2 * q.faulty_max + 1);
    }
}

static void test_quorum_known_sizes_have_known_quorums(void **state)
{
    (void)state;
    static const uint32_t known[][3] = {/* N, f, Q */
                                        {1, 0, 1},     {2, 0, 2},    {3, 0, 2},  {4, 1, 3},    {5, 1, 4},
                                        {6, 1, 4},     {7, 2, 5},    {8, 2, 6},  {9, 2, 6},    {10, 3, 7},
                                        {11, 3, 8},    {12, 3, 8},   {13, 4, 9}, {31, 10, 21}, {100, 33, 67},
                                        {127, 42, 85}, {128, 42, 86}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct quorum q = quorum_of(known[i][0]);
        assert_int_equal(q.faulty_max, known[i][1]);
        assert_int_equal(q.quorum, known[i][2]);
    }
}

static void test_quorum_primary_goes_round(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= REPLICAS_MAX; n++) {
        const struct quorum q = quorum_of(n);
        for (uint64_t view = 0; view < 3ull * n; view++)
            assert_int_equal(quorum_primary(&q, view), view % n);
        assert_true(quorum_primary(&q, VIEW_MAX) < n);
        assert_true(quorum_primary(&q, UINT64_MAX) < n);
    }
    const struct quorum four = quorum_of(4);
    assert_int_equal(quorum_primary(&four, (1ull << 32) + 2), 2); /* views are not cut to 32 bits */
    const struct quorum five = quorum_of(5);
    assert_int_equal(quorum_primary(&five, 1ull << 32), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quorum_size_out_of_range_is_a_failed_check),
        cmocka_unit_test(test_quorum_every_size_keeps_safety_and_liveness),
        cmocka_unit_test(test_quorum_known_sizes_have_known_quorums),
        cmocka_unit_test(test_quorum_primary_goes_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
