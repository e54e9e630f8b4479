/* test_state_faults.c - the state over a store that fails or holds wrong bytes: a fault, never an abort, and nothing
 * more is written. And our own wrong calls, which do abort.
 */
#include "base/limits.h"
#include "ledger/kv_store_private.h"
#include "ledger/state.h"
#include "ledger/state_tree.h"
#include "tests/fixture/aborts.h"

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

static void check_digest(struct digest got, struct digest want)
{
    assert_memory_equal(got.bytes, want.bytes, DIGEST_BYTES);
}

/* ---- a store that fails when told to, over one in memory ---- */

struct failing_store {
    struct kv_store base;
    struct kv_store *inner;
    bool reads_fail;
    enum err_code apply_fails; /* ERR_NONE: does not */
};

static struct failing_store *failing_of(struct kv_store *s)
{
    return (struct failing_store *)(void *)s;
}

static enum kv_found failing_get(struct kv_store *s, uint32_t table, struct bytes key, struct bytes *value)
{
    return failing_of(s)->reads_fail ? KV_FAILED : kv_store_get(failing_of(s)->inner, table, key, value);
}

static enum kv_found failing_seek(struct kv_store *s, uint32_t table, struct bytes from, struct bytes *key,
                                  struct bytes *value)
{
    return failing_of(s)->reads_fail ? KV_FAILED : kv_store_seek(failing_of(s)->inner, table, from, key, value);
}

static enum kv_found failing_last(struct kv_store *s, uint32_t table, struct bytes *key, struct bytes *value)
{
    return kv_store_last(failing_of(s)->inner, table, key, value);
}

static void failing_refresh(struct kv_store *s)
{
    (void)s;
}

static struct err failing_apply(struct kv_store *s, const struct kv_batch *b)
{
    if (failing_of(s)->apply_fails != ERR_NONE) return err_make(failing_of(s)->apply_fails, "told to fail");
    return kv_store_apply(failing_of(s)->inner, b);
}

static void failing_close(struct kv_store *s)
{
    kv_store_close(failing_of(s)->inner);
    free(s);
}

static struct failing_store *failing_new(void)
{
    static const struct kv_store_methods methods = {.get = failing_get,
                                                    .seek = failing_seek,
                                                    .last = failing_last,
                                                    .refresh = failing_refresh,
                                                    .apply = failing_apply,
                                                    .close = failing_close};
    struct failing_store *f = mem_zero(1, sizeof *f);
    f->base = (struct kv_store){
        .methods = &methods, .table_count = STATE_TABLE_COUNT, .fault = err_make(ERR_IO, "told to fail")};
    f->inner = kv_store_new_memory(STATE_TABLE_COUNT);
    return f;
}

/* ---- stored bytes that are wrong ---- */

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

static void store_put(struct kv_store *store, uint32_t table, struct bytes key, struct bytes value)
{
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, table, key, value);
    assert_int_equal(kv_store_apply(store, b).code, ERR_NONE);
    kv_batch_free(b);
}

static void test_state_open_on_a_malformed_root_is_corrupt(void **state)
{
    (void)state;
    static const uint8_t root_key[2] = {0, 0};
    uint8_t node[STATE_NODE_BYTES + STATE_KEY_BYTES_MAX + 1] = {1};
    static const struct {
        uint8_t tag;
        size_t len;
    } wrong[] = {{1, 0},
                 {1, 1},
                 {1, STATE_NODE_BYTES - 1},
                 {1, STATE_NODE_BYTES}, /* a leaf without a key */
                 {1, STATE_NODE_BYTES + STATE_KEY_BYTES_MAX + 1},
                 {2, STATE_NODE_BYTES + 1}, /* an inner node with one */
                 {0, STATE_NODE_BYTES},
                 {3, STATE_NODE_BYTES},
                 {255, STATE_NODE_BYTES}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
        struct state *s = NULL;
        node[0] = wrong[i].tag;
        store_put(store, STATE_TABLE_TREE, bytes_of(root_key, 2), bytes_of(node, wrong[i].len));
        const struct err e = state_open(store, &s);
        assert_int_equal(e.code, ERR_CORRUPT);
        assert_null(s);
        kv_store_close(store);
    }
}

enum damage { DAMAGE_FLIP, DAMAGE_CUT, DAMAGE_TAG, DAMAGE_REMOVE, DAMAGE_COUNT };

/* Damages the index-th node of the tree, and gives false when there is none. The root is index 0. */
static bool damage_node(struct kv_store *store, uint32_t index, enum damage damage)
{
    uint8_t from[64];
    uint8_t node[STATE_NODE_BYTES];
    size_t len = 0;
    struct bytes key;
    struct bytes value;
    for (uint32_t i = 0; i <= index; i++) {
        if (kv_store_seek(store, STATE_TABLE_TREE, bytes_of(from, len), &key, &value) != KV_FOUND) return false;
        memcpy(from, key.data, key.len);
        from[key.len] = 0;
        len = key.len + 1;
    }
    struct kv_batch *b = kv_batch_new();
    memcpy(node, value.data, sizeof node);
    if (damage == DAMAGE_FLIP) node[1 + index % (STATE_NODE_BYTES - 1)] ^= 0x10;
    if (damage == DAMAGE_TAG) node[0] = (uint8_t)(3 - node[0]); /* leaf and inner change places */
    if (damage == DAMAGE_REMOVE)
        kv_batch_delete(b, STATE_TABLE_TREE, bytes_of(from, len - 1));
    else
        kv_batch_put(b, STATE_TABLE_TREE, bytes_of(from, len - 1),
                     bytes_of(node, sizeof node - (damage == DAMAGE_CUT ? 1 : 0)));
    assert_int_equal(kv_store_apply(store, b).code, ERR_NONE);
    kv_batch_free(b);
    return true;
}

static void test_state_damaged_node_makes_a_fault_and_nothing_is_folded(void **state)
{
    (void)state;
    for (enum damage damage = 0; damage < DAMAGE_COUNT; damage++) {
        for (uint32_t index = 1;; index++) {
            struct kv_store *store = store_with(40);
            struct err e = err_none();
            if (!damage_node(store, index, damage)) {
                assert_true(index > 40);
                kv_store_close(store);
                break;
            }
            struct state *s = opened(store);
            const struct digest before = state_root(s);
            assert_false(state_fault(s, &e));
            /* All keys change, so all nodes are read. */
            for (uint32_t i = 0; i < 40; i++)
                state_put(s, bytes_of(&i, sizeof i), text("w"));
            state_accept(s);
            check_digest(state_close_layer(s, 2), before);
            assert_true(state_fault(s, &e));
            assert_int_equal(e.code, ERR_CORRUPT);
            const uint64_t syncs = kv_store_syncs(store);
            e = state_fold(s, 2, text("meta"));
            assert_int_equal(e.code, ERR_CORRUPT);
            assert_int_equal(kv_store_syncs(store), syncs);
            state_close(s);
            kv_store_close(store);
        }
    }
}

/* Puts `bottom` at (depth, path) and inner nodes with one child each above it, all hashes right. */
static void store_chain(struct kv_store *store, uint32_t depth, const struct digest *path, struct state_node bottom)
{
    struct kv_batch *b = kv_batch_new();
    struct state_node n = bottom;
    for (uint32_t d = depth + 1; d > 0; d--) {
        uint8_t key[STATE_POSITION_BYTES_MAX] = {0};
        const uint32_t above = d < 2 ? 0 : (d - 2) / 8;
        uint8_t node[STATE_NODE_BYTES + 1] = {n.kind == STATE_NODE_LEAF ? 1 : 2};
        const size_t size = STATE_NODE_BYTES + (n.kind == STATE_NODE_LEAF ? 1 : 0); /* a key of one byte */
        for (uint32_t bit = 0; bit < d - 1; bit++)
            key[bit / 8 < above ? bit / 8 : above + 2] |= (uint8_t)(state_path_bit(path, bit) << (7 - bit % 8));
        key[above] = (uint8_t)((d - 1) >> 8);
        key[above + 1] = (uint8_t)(d - 1);
        memcpy(node + 1, n.first.bytes, DIGEST_BYTES);
        memcpy(node + 1 + DIGEST_BYTES, n.second.bytes, DIGEST_BYTES);
        kv_batch_put(b, STATE_TABLE_TREE, bytes_of(key, d == 1 ? 2 : above + 3), bytes_of(node, size));
        const struct digest hash = state_node_hash(&n);
        n = (struct state_node){.kind = STATE_NODE_INNER};
        if (d > 1 && state_path_bit(path, d - 2) != 0)
            n.second = hash;
        else
            n.first = hash;
    }
    assert_int_equal(kv_store_apply(store, b).code, ERR_NONE);
    kv_batch_free(b);
}

/* Hashes alone do not make a tree: nodes that cannot stand where they stand. */
static void test_state_impossible_nodes_with_right_hashes_are_corrupt(void **state)
{
    (void)state;
    const struct bytes key = text("k");
    const struct digest path = state_path_of(key);
    for (uint32_t what = 0; what < 2; what++) {
        struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
        struct state_node bottom = {.kind = what == 0 ? STATE_NODE_INNER : STATE_NODE_LEAF, .first = path};
        uint32_t depth = STATE_TREE_DEPTH_MAX; /* an inner node below which there are no bits */
        if (what == 1) {
            depth = 5; /* a leaf that belongs elsewhere */
            bottom.first.bytes[0] ^= 0x10;
        }
        store_chain(store, depth, &path, bottom);
        struct state *s = opened(store);
        struct state_proof proof;
        struct err e = state_prove(s, key, &proof);
        assert_int_equal(e.code, ERR_CORRUPT);
        assert_non_null(strstr(e.text, "is malformed")); /* found, at the key that state_tree.h says */
        put(s, "k", "v");
        state_accept(s);
        (void)state_close_layer(s, 1);
        assert_true(state_fault(s, &e));
        assert_int_equal(e.code, ERR_CORRUPT);
        state_close(s);
        kv_store_close(store);
    }
}

static void test_state_failing_reads_make_a_fault_that_stays(void **state)
{
    (void)state;
    for (uint32_t what = 0; what < 4; what++) {
        struct failing_store *f = failing_new();
        struct state *s = opened(&f->base);
        struct err e = err_none();
        struct bytes key;
        struct bytes value;
        put(s, "a", "1");
        state_accept(s);
        f->reads_fail = true;
        assert_true(reads(s, "a", "1")); /* no need of the store */
        assert_false(state_fault(s, &e));
        if (what == 0) assert_false(state_get(s, text("b"), &value));
        if (what == 1) assert_false(state_seek(s, text("a"), &key, &value));
        if (what == 2) (void)state_close_layer(s, 1);
        if (what == 3) {
            e = state_meta(s, &value);
            assert_int_equal(e.code, ERR_IO);
            assert_false(state_get(s, text("c"), &value));
        }
        /* Another reason later does not hide the first one. */
        f->base.fault = err_make(ERR_CORRUPT, "told to fail");
        assert_false(state_get(s, text("d"), &value));
        f->reads_fail = false;
        assert_true(state_fault(s, &e));
        assert_int_equal(e.code, ERR_IO);
        state_close(s);
        kv_store_close(&f->base);
    }
    struct failing_store *f = failing_new();
    struct state *s = NULL;
    f->reads_fail = true;
    const struct err e = state_open(&f->base, &s);
    assert_int_equal(e.code, ERR_IO);
    assert_null(s);
    kv_store_close(&f->base);
}

static void test_state_failed_fold_changes_nothing_and_can_be_repeated(void **state)
{
    (void)state;
    struct failing_store *f = failing_new();
    struct state *s = opened(&f->base);
    struct bytes meta;
    put(s, "a", "1");
    state_accept(s);
    const struct digest root = state_close_layer(s, 10);
    f->apply_fails = ERR_NO_SPACE;
    struct err e = state_fold(s, 10, text("m"));
    assert_int_equal(e.code, ERR_NO_SPACE);
    assert_false(state_fault(s, &e));
    assert_int_equal(state_layers_waiting(s), 1);
    assert_true(reads(s, "a", "1"));
    e = state_meta(s, &meta);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    f->apply_fails = ERR_NONE;
    e = state_fold(s, 10, text("m"));
    assert_int_equal(e.code, ERR_NONE);
    assert_int_equal(state_layers_waiting(s), 0);
    check_digest(state_root(s), root);
    assert_int_equal(state_meta(s, &meta).code, ERR_NONE);
    assert_true(bytes_equal(meta, text("m")));
    state_close(s);
    kv_store_close(&f->base);
}

/* ---- our own bugs ---- */

static void put_no_key(void *context)
{
    state_put(context, bytes_of(NULL, 0), text("v"));
}

static void put_long_key(void *context)
{
    static const uint8_t key[STATE_KEY_BYTES_MAX + 1];
    state_put(context, bytes_of(key, sizeof key), text("v"));
}

static void put_long_value(void *context)
{
    static const uint8_t value[STATE_VALUE_BYTES_MAX + 1];
    state_put(context, text("k"), bytes_of(value, sizeof value));
}

static void delete_long_key(void *context)
{
    static const uint8_t key[STATE_KEY_BYTES_MAX + 1];
    state_delete(context, bytes_of(key, sizeof key));
}

static void close_with_pending(void *context)
{
    put(context, "k", "v");
    (void)state_close_layer(context, 1);
}

static void close_too_many(void *context)
{
    for (uint64_t seq = 1; seq <= STATE_LAYERS_MAX; seq++)
        (void)state_close_layer(context, seq);
}

static void close_just_enough(void *context)
{
    for (uint64_t seq = 1; seq < STATE_LAYERS_MAX; seq++)
        (void)state_close_layer(context, seq);
}

static void close_same_seq_twice(void *context)
{
    (void)state_close_layer(context, 5);
    (void)state_close_layer(context, 5);
}

static void fold_nothing(void *context)
{
    folded(context, 1);
}

static void fold_other_seq(void *context)
{
    (void)state_close_layer(context, 1);
    folded(context, 2);
}

static void test_state_wrong_calls_abort(void **state)
{
    (void)state;
    static void (*const wrong[])(void *) = {put_no_key,      put_long_key,   put_long_value,
                                            delete_long_key, fold_nothing,   close_with_pending,
                                            close_too_many,  fold_other_seq, close_same_seq_twice};
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    struct state *s = opened(store);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_true(aborts(wrong[i], s));
    assert_false(aborts(close_just_enough, s));
    state_close(s);
    state_close(NULL);
    kv_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_open_on_a_malformed_root_is_corrupt),
        cmocka_unit_test(test_state_damaged_node_makes_a_fault_and_nothing_is_folded),
        cmocka_unit_test(test_state_impossible_nodes_with_right_hashes_are_corrupt),
        cmocka_unit_test(test_state_failing_reads_make_a_fault_that_stays),
        cmocka_unit_test(test_state_failed_fold_changes_nothing_and_can_be_repeated),
        cmocka_unit_test(test_state_wrong_calls_abort),
    };
    return cmocka_run_group_tests_name("state_faults", tests, NULL, NULL);
}
