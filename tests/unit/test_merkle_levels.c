/* test_merkle_levels.c - the tree kept whole gives the roots and paths of crypto/merkle.h, for every small size. */
#include "crypto/merkle_levels.h"

#include "tests/fixture/aborts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT_MAX 130u

static struct digest leaves[COUNT_MAX];

static int group_setup(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COUNT_MAX; i++)
        leaves[i] = merkle_leaf(bytes_of(&i, sizeof i));
    return 0;
}

static void build_nothing(void *context)
{
    struct merkle_levels t;
    (void)context;
    merkle_levels_build(&t, leaves, 0);
}

static void path_past_the_end(void *context)
{
    struct digest path[MERKLE_PATH_MAX];
    (void)merkle_levels_path(context, 3, path);
}

static void test_merkle_levels_of_no_leaf_aborts(void **state)
{
    (void)state;
    assert_true(aborts(build_nothing, NULL));
}

static void test_merkle_levels_path_of_index_at_count_aborts(void **state)
{
    (void)state;
    struct merkle_levels t;
    merkle_levels_build(&t, leaves, 3);
    assert_true(aborts(path_past_the_end, &t));
    merkle_levels_free(&t);
}

static void test_merkle_levels_freed_twice_is_harmless(void **state)
{
    (void)state;
    struct merkle_levels t;
    merkle_levels_build(&t, leaves, 5);
    merkle_levels_free(&t);
    merkle_levels_free(&t);
}

static void test_merkle_levels_root_of_every_count_is_that_of_merkle_root(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= COUNT_MAX; count++) {
        struct merkle_levels t;
        merkle_levels_build(&t, leaves, count);
        const struct digest got = merkle_levels_root(&t);
        const struct digest want = merkle_root(leaves, count);
        assert_memory_equal(got.bytes, want.bytes, DIGEST_BYTES);
        merkle_levels_free(&t);
    }
}

static void test_merkle_levels_path_of_every_leaf_is_that_of_merkle_path(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= COUNT_MAX; count++) {
        struct merkle_levels t;
        merkle_levels_build(&t, leaves, count);
        const struct digest root = merkle_levels_root(&t);
        for (uint32_t i = 0; i < count; i++) {
            struct digest got[MERKLE_PATH_MAX];
            struct digest want[MERKLE_PATH_MAX];
            const uint32_t length = merkle_levels_path(&t, i, got);
            assert_int_equal(length, merkle_path(leaves, count, i, want));
            if (length > 0) assert_memory_equal(got, want, length * sizeof *got);
            assert_true(merkle_path_verify(&leaves[i], i, count, got, length, &root));
        }
        merkle_levels_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merkle_levels_of_no_leaf_aborts),
        cmocka_unit_test(test_merkle_levels_path_of_index_at_count_aborts),
        cmocka_unit_test(test_merkle_levels_freed_twice_is_harmless),
        cmocka_unit_test(test_merkle_levels_root_of_every_count_is_that_of_merkle_root),
        cmocka_unit_test(test_merkle_levels_path_of_every_leaf_is_that_of_merkle_path),
    };
    return cmocka_run_group_tests_name("merkle_levels", tests, group_setup, NULL);
}
