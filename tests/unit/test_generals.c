/* test_generals.c - OM(m) and SM(m) keep what their authors proved, cost what they counted, and fail where they must.
 */
#include "bench/generals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SEEDS 40u
#define MANY 50000000u

static void test_generals_without_traitors_cost_what_the_formulas_say(void **state)
{
    (void)state;
    for (uint32_t n = 2; n <= 9; n++)
        for (uint32_t m = 0; m + 2 <= n && m <= 4; m++)
            for (uint32_t order = 0; order <= 1; order++) {
                const struct generals g = {.count = n, .rounds = m, .order = order, .messages_max = MANY};
                const struct generals_result oral = generals_oral(&g);
                const struct generals_result with_signatures = generals_signed(&g);
                assert_true(oral.ended && oral.same && oral.obeyed);
                assert_true(with_signatures.ended && with_signatures.same && with_signatures.obeyed);
                assert_int_equal(oral.messages, generals_oral_messages(n, m));
                assert_int_equal(with_signatures.messages, generals_signed_messages(n, m));
            }
    assert_int_equal(generals_oral_messages(4, 1), 9);
    assert_int_equal(generals_oral_messages(7, 2), 156);
    assert_int_equal(generals_oral_messages(64, 21), UINT64_MAX);
    assert_int_equal(generals_signed_messages(4, 1), 9);
}

/* How often a condition is broken, over all sets of so many traitors. */
static uint32_t broken(struct generals_result (*run)(const struct generals *), uint32_t n, uint32_t m,
                       uint32_t traitors)
{
    uint32_t count = 0;
    for (uint64_t set = 0; set < 1ull << n; set++) {
        if ((uint32_t)__builtin_popcountll(set) != traitors) continue;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            const struct generals g = {.count = n,
                                       .rounds = m,
                                       .traitors = set,
                                       .order = (uint32_t)(seed % 2),
                                       .seed = seed,
                                       .messages_max = MANY};
            const struct generals_result r = run(&g);
            assert_true(r.ended);
            if (!r.same || !r.obeyed) count++;
        }
    }
    return count;
}

static void test_generals_oral_bear_m_traitors_of_3m_plus_1(void **state)
{
    (void)state;
    for (uint32_t traitors = 0; traitors <= 1; traitors++)
        assert_int_equal(broken(generals_oral, 4, 1, traitors), 0);
    assert_int_equal(broken(generals_oral, 5, 1, 1), 0);
    for (uint32_t traitors = 1; traitors <= 2; traitors++)
        assert_int_equal(broken(generals_oral, 7, 2, traitors), 0);
}

static void test_generals_oral_do_not_bear_one_of_three(void **state)
{
    (void)state;
    assert_true(broken(generals_oral, 3, 1, 1) > 0);
    assert_true(broken(generals_oral, 6, 2, 2) > 0);
    assert_true(broken(generals_oral, 7, 1, 2) > 0); /* one round too few */
}

static void test_generals_signed_bear_m_traitors_of_any_number(void **state)
{
    (void)state;
    assert_int_equal(broken(generals_signed, 3, 1, 1), 0);
    assert_int_equal(broken(generals_signed, 4, 2, 2), 0);
    assert_int_equal(broken(generals_signed, 6, 3, 3), 0);
    assert_true(broken(generals_signed, 4, 1, 2) > 0); /* one round too few */
}

static void test_generals_give_up_at_the_limit(void **state)
{
    (void)state;
    const struct generals g = {.count = 7, .rounds = 2, .messages_max = 155};
    assert_false(generals_oral(&g).ended);
    const struct generals one_more = {.count = 7, .rounds = 2, .messages_max = 156};
    assert_true(generals_oral(&one_more).ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generals_without_traitors_cost_what_the_formulas_say),
        cmocka_unit_test(test_generals_oral_bear_m_traitors_of_3m_plus_1),
        cmocka_unit_test(test_generals_oral_do_not_bear_one_of_three),
        cmocka_unit_test(test_generals_signed_bear_m_traitors_of_any_number),
        cmocka_unit_test(test_generals_give_up_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
