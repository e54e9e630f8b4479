/* test_state_proof.c - proofs of values and of absence: the true ones hold, and each changed one is refused. */
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

#define KEYS 64u

struct proven {
    struct kv_store *store;
    struct state *state;
    struct digest root;
};

static struct bytes text(const char *t)
{
    return bytes_of_text(t);
}

/* A state whose base has the keys 0 to count - 1, each with itself as its value. */
static struct proven proven_new(uint32_t count)
{
    struct proven p;
    p.store = kv_store_new_memory(STATE_TABLE_COUNT);
    assert_int_equal(state_open(p.store, &p.state).code, ERR_NONE);
    for (uint32_t i = 0; i < count; i++)
        state_put(p.state, bytes_of(&i, sizeof i), bytes_of(&i, sizeof i));
    state_accept(p.state);
    p.root = state_close_layer(p.state, 1);
    assert_int_equal(state_fold(p.state, 1, text("m")).code, ERR_NONE);
    return p;
}

static void proven_free(struct proven *p)
{
    state_close(p->state);
    kv_store_close(p->store);
}

static struct state_proof proof_of(const struct proven *p, const uint32_t *key)
{
    struct state_proof proof;
    const struct err e = state_prove(p->state, bytes_of(key, sizeof *key), &proof);
    if (err_is(&e)) fail_msg("%s", e.text);
    return proof;
}

static bool shows_value(const struct proven *p, const struct state_proof *proof, uint32_t key, uint32_t value)
{
    return state_proof_shows_value(proof, &p->root, bytes_of(&key, sizeof key), bytes_of(&value, sizeof value));
}

static bool shows_absence(const struct proven *p, const struct state_proof *proof, uint32_t key)
{
    return state_proof_shows_absence(proof, &p->root, bytes_of(&key, sizeof key));
}

/* No proof shows anything about `key` once it has been changed. */
static void check_void(const struct proven *p, const struct state_proof *proof, uint32_t key)
{
    assert_false(shows_value(p, proof, key, key));
    assert_false(shows_absence(p, proof, key));
}

static void check_tamperings(const struct proven *p, const struct state_proof *proof, uint32_t key)
{
    struct state_proof t = *proof;
    for (uint32_t i = 0; i < proof->sibling_count * DIGEST_BYTES; i++) {
        t.siblings[i / DIGEST_BYTES].bytes[i % DIGEST_BYTES] ^= (uint8_t)(1u << i % 8);
        check_void(p, &t, key);
        t = *proof;
    }
    for (uint32_t i = 0; proof->leaf && i < DIGEST_BYTES; i++) {
        t.leaf_path.bytes[i] ^= 1;
        check_void(p, &t, key);
        t = *proof;
        t.leaf_value.bytes[i] ^= 1;
        check_void(p, &t, key);
        t = *proof;
    }
    t.leaf = !proof->leaf;
    check_void(p, &t, key);
    t = *proof;
    for (uint32_t count = 0; count <= STATE_PROOF_SIBLINGS_MAX + 2; count++) {
        if (count == proof->sibling_count) continue;
        t.sibling_count = count;
        check_void(p, &t, key);
    }
    t.sibling_count = UINT32_MAX;
    check_void(p, &t, key);
    t = *proof;
    for (uint32_t i = 1; i < proof->sibling_count; i++) {
        t.siblings[i] = proof->siblings[i - 1];
        t.siblings[i - 1] = proof->siblings[i];
        if (!digest_equal(&t.siblings[i], &t.siblings[i - 1])) check_void(p, &t, key);
        t = *proof;
    }
    struct proven other = *p;
    other.root.bytes[31] ^= 1;
    check_void(&other, proof, key);
    other.root = (struct digest){{0}};
    check_void(&other, proof, key);
}

static void test_state_proof_changed_anywhere_is_refused(void **state)
{
    (void)state;
    struct proven p = proven_new(KEYS);
    uint32_t empty_ends = 0;
    uint32_t leaf_ends = 0;
    for (uint32_t key = 0; key < 2 * KEYS; key++) {
        const struct state_proof proof = proof_of(&p, &key);
        assert_int_equal(shows_value(&p, &proof, key, key), key < KEYS);
        assert_int_equal(shows_absence(&p, &proof, key), key >= KEYS);
        check_tamperings(&p, &proof, key);
        if (key >= KEYS && proof.leaf) leaf_ends++;
        if (key >= KEYS && !proof.leaf) empty_ends++;
    }
    assert_true(empty_ends > 3 && leaf_ends > 3); /* both kinds of absence were seen */
    proven_free(&p);
}

static void test_state_proof_of_another_key_or_value_is_refused(void **state)
{
    (void)state;
    struct proven p = proven_new(KEYS);
    for (uint32_t key = 0; key < KEYS; key++) {
        const struct state_proof proof = proof_of(&p, &key);
        assert_false(shows_value(&p, &proof, key, key + 1));
        assert_false(state_proof_shows_value(&proof, &p.root, bytes_of(&key, sizeof key), bytes_of(NULL, 0)));
        for (uint32_t other = 0; other < KEYS; other++) {
            if (other == key) continue;
            assert_false(shows_value(&p, &proof, other, other));
            assert_false(shows_value(&p, &proof, other, key));
            /* The leaf of `key` is no witness that `other`, which is there, is not. */
            assert_false(shows_absence(&p, &proof, other));
        }
    }
    proven_free(&p);
}

/* A leaf from elsewhere in the tree cannot stand at a position that is not on the key's way, whatever hashes fit. */
static void test_state_proof_absence_by_a_leaf_of_another_branch_is_refused(void **state)
{
    (void)state;
    struct prng r = prng_of(17);
    for (uint32_t i = 0; i < 50; i++) {
        struct state_proof proof = {.sibling_count = 1 + (uint32_t)prng_below(&r, 20), .leaf = true};
        const struct bytes key = bytes_of(&i, sizeof i);
        const struct digest path = state_path_of(key);
        for (uint32_t k = 0; k < proof.sibling_count; k++)
            prng_fill(&r, proof.siblings[k].bytes, DIGEST_BYTES);
        prng_fill(&r, proof.leaf_value.bytes, DIGEST_BYTES);
        /* A root that the proof hashes to, made for it. Bits of the leaf's path beyond its position are free. */
        for (uint32_t wrong = 0; wrong < 2; wrong++) {
            proof.leaf_path = path;
            proof.leaf_path.bytes[31] ^= 1;
            const uint32_t bit = (uint32_t)prng_below(&r, proof.sibling_count);
            if (wrong == 1) proof.leaf_path.bytes[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
            const struct state_node leaf = {
                .kind = STATE_NODE_LEAF, .first = proof.leaf_path, .second = proof.leaf_value};
            struct digest root = state_node_hash(&leaf);
            for (uint32_t depth = proof.sibling_count; depth > 0; depth--)
                root = state_path_bit(&path, depth - 1) != 0 ? state_inner_hash(&proof.siblings[depth - 1], &root)
                                                             : state_inner_hash(&root, &proof.siblings[depth - 1]);
            assert_int_equal(state_proof_shows_absence(&proof, &root, key), wrong == 0);
        }
    }
}

static void test_state_proof_in_an_empty_state_shows_absence_only(void **state)
{
    (void)state;
    struct proven p = proven_new(0);
    const uint32_t key = 5;
    struct state_proof proof = proof_of(&p, &key);
    assert_int_equal(proof.sibling_count, 0);
    assert_false(proof.leaf);
    assert_true(digest_is_zero(&p.root));
    assert_false(shows_value(&p, &proof, key, key));
    assert_true(shows_absence(&p, &proof, key));
    /* An empty end with a leaf's fields filled in is no leaf. */
    proof.leaf_path = state_path_of(bytes_of(&key, sizeof key));
    proof.leaf_value = state_value_digest(bytes_of(&key, sizeof key));
    assert_false(shows_value(&p, &proof, key, key));
    p.root.bytes[0] = 1;
    assert_false(shows_absence(&p, &proof, key));
    proven_free(&p);
}

static void test_state_proof_of_a_lone_leaf_has_no_siblings(void **state)
{
    (void)state;
    struct proven p = proven_new(1);
    for (uint32_t key = 0; key < 4; key++) {
        const struct state_proof proof = proof_of(&p, &key);
        assert_int_equal(proof.sibling_count, 0);
        assert_true(proof.leaf);
        assert_int_equal(shows_value(&p, &proof, key, key), key == 0);
        assert_int_equal(shows_value(&p, &proof, key, 0), key == 0); /* the leaf's value, under another key */
        assert_int_equal(shows_absence(&p, &proof, key), key != 0);
        check_tamperings(&p, &proof, key);
    }
    proven_free(&p);
}

static void test_state_proof_is_against_the_base_not_the_overlay(void **state)
{
    (void)state;
    struct proven p = proven_new(KEYS);
    const uint32_t changed = 3;
    const uint32_t added = KEYS;
    state_delete(p.state, bytes_of(&changed, sizeof changed));
    state_put(p.state, bytes_of(&added, sizeof added), text("new"));
    state_accept(p.state);
    (void)state_close_layer(p.state, 2);
    struct state_proof proof = proof_of(&p, &changed);
    assert_true(shows_value(&p, &proof, changed, changed));
    proof = proof_of(&p, &added);
    assert_true(shows_absence(&p, &proof, added));
    assert_int_equal(state_fold(p.state, 2, text("m")).code, ERR_NONE);
    p.root = state_root(p.state);
    proof = proof_of(&p, &changed);
    assert_true(shows_absence(&p, &proof, changed));
    proven_free(&p);
}

/* The deepest proof there can be: two paths that differ in their last bit, put straight into the tree. */
static void test_state_proof_of_the_deepest_leaf_holds(void **state)
{
    (void)state;
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    const struct state_tree_source source = {.store = store};
    const struct bytes key = text("deep");
    const struct bytes value = text("value");
    struct state_tree_change changes[2] = {{.key = key, .path = state_path_of(key), .value = state_value_digest(value)}};
    struct tree_nodes *nodes = tree_nodes_new();
    struct digest root;
    changes[1] = changes[0];
    changes[1].path.bytes[31] ^= 1;
    assert_int_equal(state_tree_update(&source, changes, 2, nodes, &root).code, ERR_NONE);
    model_apply(store, nodes);
    struct state *s = NULL;
    struct state_proof proof;
    assert_int_equal(state_open(store, &s).code, ERR_NONE);
    assert_int_equal(state_prove(s, key, &proof).code, ERR_NONE);
    assert_int_equal(proof.sibling_count, STATE_PROOF_SIBLINGS_MAX);
    assert_true(state_proof_shows_value(&proof, &root, key, value));
    assert_false(state_proof_shows_absence(&proof, &root, key));
    tree_nodes_free(nodes);
    state_close(s);
    kv_store_close(store);
}

static void test_state_prove_over_a_damaged_tree_is_corrupt(void **state)
{
    (void)state;
    static const uint8_t below_root[3] = {0, 1, 0x80};
    struct proven p = proven_new(KEYS);
    struct kv_batch *b = kv_batch_new();
    struct state_proof proof = {.sibling_count = 77};
    uint32_t refused = 0;
    kv_batch_delete(b, STATE_TABLE_TREE, bytes_of(below_root, sizeof below_root));
    assert_int_equal(kv_store_apply(p.store, b).code, ERR_NONE);
    for (uint32_t key = 0; key < KEYS; key++) {
        const struct digest path = state_path_of(bytes_of(&key, sizeof key));
        if (path.bytes[0] < 0x80) continue;
        const struct err e = state_prove(p.state, bytes_of(&key, sizeof key), &proof);
        assert_int_equal(e.code, ERR_CORRUPT);
        assert_int_equal(proof.sibling_count, 77);
        refused++;
    }
    assert_true(refused > 0);
    kv_batch_free(b);
    proven_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_proof_changed_anywhere_is_refused),
        cmocka_unit_test(test_state_proof_of_another_key_or_value_is_refused),
        cmocka_unit_test(test_state_proof_absence_by_a_leaf_of_another_branch_is_refused),
        cmocka_unit_test(test_state_proof_in_an_empty_state_shows_absence_only),
        cmocka_unit_test(test_state_proof_of_a_lone_leaf_has_no_siblings),
        cmocka_unit_test(test_state_proof_is_against_the_base_not_the_overlay),
        cmocka_unit_test(test_state_proof_of_the_deepest_leaf_holds),
        cmocka_unit_test(test_state_prove_over_a_damaged_tree_is_corrupt),
    };
    return cmocka_run_group_tests_name("state_proof", tests, NULL, NULL);
}
