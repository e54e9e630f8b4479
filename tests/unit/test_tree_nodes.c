/* test_tree_nodes.c - the nodes that an update changed: found by position, folded in the order of the table. */
#include "ledger/tree_nodes.h"

#include "ledger/kv_store_private.h"
#include "ledger/state_tree.h"
#include "tests/fixture/aborts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The position of depth `depth` whose path begins with this byte; as state_tree.c writes it. */
static struct bytes position(uint8_t out[STATE_POSITION_BYTES_MAX], uint32_t depth, uint8_t first)
{
    memset(out, 0, STATE_POSITION_BYTES_MAX);
    const uint32_t above = depth == 0 ? 0 : (depth - 1) / 8;
    if (above > 0) out[0] = first;
    out[above] = (uint8_t)(depth >> 8);
    out[above + 1] = (uint8_t)depth;
    if (depth == 0) return bytes_of(out, 2);
    if (above == 0) out[2] = first;
    return bytes_of(out, above + 3);
}

static void add(struct tree_nodes *t, uint32_t depth, uint8_t first, const char *node)
{
    uint8_t space[STATE_POSITION_BYTES_MAX];
    tree_nodes_add(t, position(space, depth, first), bytes_of_text(node));
}

static bool has(const struct tree_nodes *t, uint32_t depth, uint8_t first, const char *node)
{
    uint8_t space[STATE_POSITION_BYTES_MAX];
    struct bytes found;
    return tree_nodes_get(t, position(space, depth, first), &found) && bytes_equal(found, bytes_of_text(node));
}

static bool absent(const struct tree_nodes *t, uint32_t depth, uint8_t first)
{
    uint8_t space[STATE_POSITION_BYTES_MAX];
    struct bytes found;
    return !tree_nodes_get(t, position(space, depth, first), &found);
}

static void test_tree_nodes_are_found_where_they_were_put(void **state)
{
    (void)state;
    struct tree_nodes *t = tree_nodes_new();
    assert_true(absent(t, 0, 0));
    assert_int_equal(tree_nodes_bytes(t), 0);
    for (uint32_t i = 0; i < 100; i++) { /* upwards and downwards in depth, as a walk goes */
        add(t, 8, (uint8_t)(2 * i), "deep");
        if (i % 16 == 15) add(t, 4, (uint8_t)(2 * i & 0xf0), "higher");
    }
    add(t, 256, 9, "deepest");
    add(t, 0, 0, "top");
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(has(t, 8, (uint8_t)(2 * i), "deep"));
        assert_true(absent(t, 8, (uint8_t)(2 * i + 1)));
        assert_true(absent(t, 16, (uint8_t)(2 * i)));
    }
    assert_true(has(t, 4, 30 & 0xf0, "higher"));
    assert_true(has(t, 256, 9, "deepest"));
    assert_true(has(t, 0, 0, "top"));
    tree_nodes_free(t);
    tree_nodes_free(NULL);
}

static void test_tree_nodes_one_that_has_gone_is_known_and_empty(void **state)
{
    (void)state;
    struct tree_nodes *t = tree_nodes_new();
    add(t, 8, 1, "");
    assert_true(has(t, 8, 1, ""));
    assert_true(absent(t, 8, 2));
    tree_nodes_free(t);
}

static void test_tree_nodes_fold_in_the_order_of_the_table(void **state)
{
    (void)state;
    struct tree_nodes *t = tree_nodes_new();
    struct kv_batch *b = kv_batch_new();
    add(t, 9, 3, "3 9");
    add(t, 8, 3, "3 8");
    add(t, 9, 4, "");
    add(t, 8, 4, "4 8");
    add(t, 7, 4, "4 7");
    add(t, 8, 9, "9 8");
    add(t, 0, 0, "top");
    tree_nodes_fold(t, b, 2);
    /* the two of depth 9 are of the eight levels below 3 and 4 */
    static const char *const values[] = {"top", "4 7", "3 8", "4 8", "9 8", "3 9", ""};
    assert_int_equal(kv_batch_count(b), 7);
    for (size_t i = 0; i < 7; i++) {
        const struct kv_batch_op op = kv_batch_at(b, i);
        assert_int_equal(op.table, 2);
        assert_true(bytes_equal(op.value, bytes_of_text(values[i])));
        assert_int_equal(op.remove, values[i][0] == '\0');
        if (i > 0) assert_true(bytes_compare(kv_batch_at(b, i - 1).key, op.key) < 0);
    }
    kv_batch_free(b);
    tree_nodes_free(t);
}

static void add_the_same_again(void *context)
{
    add(context, 8, 3, "b");
}

static void add_one_below(void *context)
{
    add(context, 8, 2, "b");
}

static void add_too_deep(void *context)
{
    uint8_t space[STATE_POSITION_BYTES_MAX];
    const struct bytes deepest = position(space, 256, 3);
    space[deepest.len - 2] = 1; /* 257 */
    tree_nodes_add(context, deepest, bytes_of_text("b"));
}

static void test_tree_nodes_out_of_order_abort(void **state)
{
    (void)state;
    struct tree_nodes *t = tree_nodes_new();
    add(t, 8, 3, "a");
    assert_true(aborts(add_the_same_again, t));
    assert_true(aborts(add_one_below, t));
    assert_true(aborts(add_too_deep, t));
    tree_nodes_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree_nodes_are_found_where_they_were_put),
        cmocka_unit_test(test_tree_nodes_one_that_has_gone_is_known_and_empty),
        cmocka_unit_test(test_tree_nodes_fold_in_the_order_of_the_table),
        cmocka_unit_test(test_tree_nodes_out_of_order_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
