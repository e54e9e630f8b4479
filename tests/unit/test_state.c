/* test_state.c - layers, their merge, and the root. Random changes against a model are in test_state_model.c, proofs in
 * test_state_proof.c, faults in test_state_faults.c.
 */
#include "base/limits.h"
#include "base/prng.h"
#include "ledger/state.h"
#include "ledger/state_tree.h"
#include "tests/fixture/state_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct bytes text(const char *t)
{
    return bytes_of_text(t);
}

static struct state *opened(struct kv_store *store)
{
    struct state *s = NULL;
    const struct err e = state_open(store, &s);
    if (err_is(&e)) fail_msg("%s", e.text);
    return s;
}

static void folded(struct state *s, uint64_t seq)
{
    const struct err e = state_fold(s, seq, bytes_of(&seq, sizeof seq));
    if (err_is(&e)) fail_msg("%s", e.text);
}

static void put(struct state *s, const char *key, const char *value)
{
    state_put(s, text(key), text(value));
}

static bool reads(struct state *s, const char *key, const char *value)
{
    struct bytes got;
    return state_get(s, text(key), &got) && bytes_equal(got, text(value));
}

static bool absent(struct state *s, const char *key)
{
    struct bytes got = text("untouched");
    return !state_get(s, text(key), &got) && bytes_equal(got, text("untouched"));
}

static void check_digest(struct digest got, struct digest want)
{
    assert_memory_equal(got.bytes, want.bytes, DIGEST_BYTES);
}

static uint64_t table_count(struct kv_store *store, uint32_t table)
{
    uint8_t from[600];
    size_t len = 0;
    uint64_t count = 0;
    struct bytes key;
    struct bytes value;
    while (kv_store_seek(store, table, bytes_of(from, len), &key, &value) == KV_FOUND) {
        count++;
        memcpy(from, key.data, key.len);
        from[key.len] = 0;
        len = key.len + 1;
    }
    return count;
}

/* ---- layers ---- */

/* A store with `count` keys in its base. */
static struct kv_store *store_with(uint32_t count)
{
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    struct state *s = opened(store);
    for (uint32_t i = 0; i < count; i++)
        state_put(s, bytes_of(&i, sizeof i), text("v"));
    state_accept(s);
    (void)state_close_layer(s, 1);
    folded(s, 1);
    state_close(s);
    return store;
}

static void test_state_longest_key_and_value_are_taken(void **state)
{
    (void)state;
    uint8_t key[STATE_KEY_BYTES_MAX];
    uint8_t *value = mem_zero(1, STATE_VALUE_BYTES_MAX);
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    struct state *s = opened(store);
    struct bytes got_key;
    struct bytes got;
    memset(key, 0xff, sizeof key);
    state_put(s, bytes_of(key, sizeof key), bytes_of(value, STATE_VALUE_BYTES_MAX));
    state_accept(s);
    (void)state_close_layer(s, 1);
    folded(s, 1);
    assert_true(state_get(s, bytes_of(key, sizeof key), &got));
    assert_int_equal(got.len, STATE_VALUE_BYTES_MAX);
    /* A tombstone of the longest key is passed over. */
    state_delete(s, bytes_of(key, sizeof key));
    assert_false(state_seek(s, text("a"), &got_key, &got));
    free(value);
    state_close(s);
    kv_store_close(store);
}

static void test_state_new_is_empty_with_a_zero_root(void **state)
{
    (void)state;
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    struct state *s = opened(store);
    struct bytes key;
    struct bytes value;
    const struct digest root = state_root(s);
    assert_true(digest_is_zero(&root));
    assert_true(absent(s, "a"));
    assert_false(state_seek(s, bytes_of(NULL, 0), &key, &value));
    assert_int_equal(state_meta(s, &value).code, ERR_NOT_FOUND);
    assert_int_equal(state_layers_waiting(s), 0);
    assert_int_equal(state_overlay_bytes(s), 0);
    const struct digest closed = state_close_layer(s, 1);
    assert_true(digest_is_zero(&closed));
    state_close(s);
    kv_store_close(store);
}

static void test_state_reject_forgets_only_the_pending(void **state)
{
    (void)state;
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    struct state *s = opened(store);
    put(s, "a", "1");
    put(s, "b", "1");
    state_accept(s);
    put(s, "a", "2");
    state_delete(s, text("b"));
    put(s, "c", "2");
    assert_true(reads(s, "a", "2") && absent(s, "b") && reads(s, "c", "2"));
    state_reject(s);
    assert_true(reads(s, "a", "1") && reads(s, "b", "1") && absent(s, "c"));
    state_close(s);
    kv_store_close(store);
}

static void test_state_changes_that_change_nothing_keep_root_and_nodes(void **state)
{
    (void)state;
    struct kv_store *store = store_with(10);
    struct state *s = opened(store);
    const struct digest root = state_root(s);
    const uint32_t same = 3;
    state_put(s, bytes_of(&same, sizeof same), text("v"));
    state_delete(s, text("never there"));
    put(s, "came", "and went");
    state_delete(s, text("came"));
    state_accept(s);
    const uint64_t before = state_overlay_bytes(s);
    check_digest(state_close_layer(s, 2), root);
    assert_int_equal(state_overlay_bytes(s), before); /* no node was written */
    state_close(s);
    kv_store_close(store);
}

static void test_state_seek_merges_all_layers_and_passes_tombstones(void **state)
{
    (void)state;
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    struct state *s = opened(store);
    struct bytes key;
    struct bytes value;
    static const char *const want[][2] = {
        {"a", "base"}, {"c", "current"}, {"d", "pending"}, {"f", "closed"}, {"h", "base"}};
    for (const char *k = "abcdegh"; *k != '\0'; k++)
        state_put(s, bytes_of(k, 1), text("base"));
    state_accept(s);
    (void)state_close_layer(s, 1);
    folded(s, 1);
    state_delete(s, text("b"));
    state_delete(s, text("d"));
    put(s, "f", "closed");
    state_accept(s);
    (void)state_close_layer(s, 2);
    put(s, "c", "current");
    state_delete(s, text("e"));
    state_accept(s);
    put(s, "d", "pending");
    state_delete(s, text("g"));
    uint8_t from[2] = {0};
    size_t len = 0;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_true(state_seek(s, bytes_of(from, len), &key, &value));
        assert_true(bytes_equal(key, text(want[i][0])));
        assert_true(bytes_equal(value, text(want[i][1])));
        from[0] = key.data[0];
        len = 2;
    }
    assert_false(state_seek(s, bytes_of(from, len), &key, &value));
    assert_true(state_seek(s, text("f"), &key, &value) && bytes_equal(key, text("f"))); /* >=, not > */
    state_close(s);
    kv_store_close(store);
}

static void test_state_seek_past_a_tombstone_finds_its_very_next_key(void **state)
{
    (void)state;
    static const uint8_t next[2] = {'b', 0}; /* no key lies between it and "b" */
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    struct state *s = opened(store);
    struct bytes key;
    struct bytes value;
    put(s, "b", "1");
    state_put(s, bytes_of(next, sizeof next), text("2"));
    state_accept(s);
    state_delete(s, text("b"));
    assert_true(state_seek(s, text("a"), &key, &value));
    assert_true(bytes_equal(key, bytes_of(next, sizeof next)));
    state_close(s);
    kv_store_close(store);
}

/* ---- the root ---- */

static void test_state_root_of_one_and_two_keys_is_as_defined(void **state)
{
    (void)state;
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    struct state *s = opened(store);
    struct hasher h;
    struct digest value;
    struct digest want;
    put(s, "alpha", "one");
    state_accept(s);
    const struct digest path = digest_of(DIGEST_DOMAIN_STATE_KEY, text("alpha"));
    hasher_start_plain(&h);
    hasher_add(&h, "one", 3);
    hasher_finish(&h, &value);
    hasher_start(&h, DIGEST_DOMAIN_STATE_LEAF);
    hasher_add(&h, path.bytes, DIGEST_BYTES);
    hasher_add(&h, value.bytes, DIGEST_BYTES);
    hasher_finish(&h, &want);
    check_digest(state_close_layer(s, 1), want);
    put(s, "beta", "two");
    state_accept(s);
    const struct model_leaf leaves[] = {model_leaf_of(text("alpha"), text("one")),
                                        model_leaf_of(text("beta"), text("two"))};
    check_digest(state_close_layer(s, 2), model_root(leaves, 2, NULL));
    state_delete(s, text("beta"));
    state_accept(s);
    check_digest(state_close_layer(s, 3), want); /* the lone leaf is the tree again */
    state_close(s);
    kv_store_close(store);
}

static void test_state_root_does_not_depend_on_order_or_layers(void **state)
{
    (void)state;
    enum { KEYS = 200 };
    struct prng r = prng_of(11);
    struct digest first;
    for (uint32_t round = 0; round < 6; round++) {
        uint32_t order[KEYS];
        struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
        struct state *s = opened(store);
        for (uint32_t i = 0; i < KEYS; i++)
            order[i] = i;
        for (uint32_t i = KEYS - 1; i > 0; i--) {
            const uint32_t j = (uint32_t)prng_below(&r, i + 1);
            const uint32_t other = order[j];
            order[j] = order[i];
            order[i] = other;
        }
        uint64_t seq = 0;
        for (uint32_t i = 0; i < KEYS; i++) {
            state_put(s, bytes_of(&order[i], 4), bytes_of(&order[i], 4));
            state_accept(s);
            if (round % 2 == 1 && i % 7 == 0) {
                seq++;
                (void)state_close_layer(s, seq);
                folded(s, seq);
            }
        }
        const struct digest root = state_close_layer(s, seq + 1);
        if (round == 0) first = root;
        check_digest(root, first);
        state_close(s);
        kv_store_close(store);
    }
}

/* Paths made by hand, which no hash would give: equal but for a few bits anywhere. */
static void test_state_tree_of_near_paths_equals_the_model(void **state)
{
    (void)state;
    enum { BITS = 5, LEAVES = 1 << BITS };
    static const uint32_t places[][BITS] = {
        {251, 252, 253, 254, 255}, {0, 1, 2, 254, 255}, {0, 63, 64, 200, 255}, {7, 8, 15, 16, 17}};
    struct prng r = prng_of(5);
    for (size_t shape = 0; shape < sizeof places / sizeof *places; shape++) {
        struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
        struct model_leaf all[LEAVES];
        bool there[LEAVES] = {false};
        for (uint32_t i = 0; i < LEAVES; i++) {
            memset(&all[i], 0xa5, sizeof all[i]);
            for (uint32_t bit = 0; bit < BITS; bit++)
                if ((i >> bit & 1u) != 0)
                    all[i].path.bytes[places[shape][bit] / 8] ^= (uint8_t)(0x80u >> places[shape][bit] % 8);
        }
        for (uint32_t round = 0; round < 300; round++) {
            struct state_tree_change changes[LEAVES];
            struct model_leaf now[LEAVES];
            size_t change_count = 0;
            size_t count = 0;
            const uint64_t rate = prng_below(&r, 4) + 1;
            for (uint32_t i = 0; i < LEAVES; i++) {
                if (prng_below(&r, 8) < rate) {
                    const bool remove = prng_below(&r, round % 3 == 0 ? 4 : 2) != 0;
                    prng_fill(&r, all[i].value.bytes, remove ? 0 : DIGEST_BYTES);
                    there[i] = !remove;
                    changes[change_count++] =
                        (struct state_tree_change){.key = bytes_of(&all[i], 1), .path = all[i].path, .value = all[i].value, .remove = remove};
                }
                if (there[i]) now[count++] = all[i];
            }
            const struct state_tree_source source = {.store = store};
            struct tree_nodes *nodes = tree_nodes_new();
            struct digest root;
            uint64_t node_count;
            assert_int_equal(state_tree_update(&source, changes, change_count, nodes, &root).code, ERR_NONE);
            check_digest(root, model_root(now, count, &node_count));
            model_apply(store, nodes);
            assert_int_equal(table_count(store, STATE_TABLE_TREE), node_count);
            tree_nodes_free(nodes);
        }
        kv_store_close(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_longest_key_and_value_are_taken),
        cmocka_unit_test(test_state_new_is_empty_with_a_zero_root),
        cmocka_unit_test(test_state_reject_forgets_only_the_pending),
        cmocka_unit_test(test_state_changes_that_change_nothing_keep_root_and_nodes),
        cmocka_unit_test(test_state_seek_merges_all_layers_and_passes_tombstones),
        cmocka_unit_test(test_state_seek_past_a_tombstone_finds_its_very_next_key),
        cmocka_unit_test(test_state_root_of_one_and_two_keys_is_as_defined),
        cmocka_unit_test(test_state_root_does_not_depend_on_order_or_layers),
        cmocka_unit_test(test_state_tree_of_near_paths_equals_the_model),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
