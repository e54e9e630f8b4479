/* test_state_model.c - random lives of a state, over memory and LMDB at once, against a model that knows nothing of
 * layers, positions or updates: an array of values for each moment, and the recursive root of
 * tests/fixture/state_model.h.
 */
#include "base/prng.h"
#include "ledger/state.h"
#include "tests/fixture/kv_place.h"
#include "tests/fixture/state_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KEYS 300u
#define SUBJECTS 2u /* memory, LMDB */

/* Values of all keys at one moment; 0 is "not there". */
struct moment {
    uint32_t values[KEYS];
};

struct life {
    struct prng random;
    struct kv_place place;
    struct kv_store *stores[SUBJECTS];
    struct state *states[SUBJECTS];
    struct moment now;      /* with the pending writes */
    struct moment accepted; /* without */
    struct moment closed[STATE_LAYERS_MAX];
    uint64_t seqs[STATE_LAYERS_MAX];
    uint32_t closed_count;
    struct moment base;
    uint64_t seq;
};

/* Keys of several lengths, in ascending order of k. */
static struct bytes key_of(uint32_t k, char out[32])
{
    const int len = snprintf(out, 32, k % 3 == 0 ? "%03u" : "%03u/longer-key", k);
    return bytes_of(out, (size_t)len);
}

/* Values from 4 to some hundred bytes. */
static struct bytes value_of(uint32_t value, uint8_t out[512])
{
    const size_t len = 4 + value % 400;
    memset(out, (int)(value % 251), len);
    be32_put(out, value);
    return bytes_of(out, len);
}

static struct digest moment_root(const struct moment *m, uint64_t *node_count)
{
    struct model_leaf leaves[KEYS];
    size_t count = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        char key[32];
        uint8_t value[512];
        if (m->values[k] != 0) leaves[count++] = model_leaf_of(key_of(k, key), value_of(m->values[k], value));
    }
    return model_root(leaves, count, node_count);
}

static void check_content(const struct life *l, struct state *s)
{
    uint8_t from[64];
    size_t len = 0;
    struct bytes got_key;
    struct bytes got;
    for (uint32_t k = 0; k < KEYS; k++) {
        char key[32];
        uint8_t value[512];
        const bool there = l->now.values[k] != 0;
        const struct bytes want_key = key_of(k, key);
        assert_int_equal(state_get(s, want_key, &got), there);
        if (!there) continue;
        assert_true(bytes_equal(got, value_of(l->now.values[k], value)));
        assert_true(state_seek(s, bytes_of(from, len), &got_key, &got));
        assert_true(bytes_equal(got_key, want_key));
        assert_true(bytes_equal(got, bytes_of(value, got.len)));
        memcpy(from, want_key.data, want_key.len);
        from[want_key.len] = 0;
        len = want_key.len + 1;
    }
    assert_false(state_seek(s, bytes_of(from, len), &got_key, &got));
}

static void check_root(struct digest got, struct digest want)
{
    assert_memory_equal(got.bytes, want.bytes, DIGEST_BYTES);
}

static void check_base(const struct life *l, struct kv_store *store)
{
    uint64_t want;
    uint64_t count = 0;
    uint8_t from[64];
    size_t len = 0;
    struct bytes key;
    struct bytes value;
    (void)moment_root(&l->base, &want);
    while (kv_store_seek(store, STATE_TABLE_TREE, bytes_of(from, len), &key, &value) == KV_FOUND) {
        count++;
        memcpy(from, key.data, key.len);
        from[key.len] = 0;
        len = key.len + 1;
    }
    assert_int_equal(count, want); /* no node is left over */
}

static void life_open(struct life *l)
{
    for (uint32_t i = 0; i < SUBJECTS; i++) {
        const struct err e = state_open(l->stores[i], &l->states[i]);
        if (err_is(&e)) fail_msg("%s", e.text);
        check_root(state_root(l->states[i]), moment_root(&l->base, NULL));
    }
}

static struct kv_store *life_open_files(const struct life *l, enum kv_open_mode mode)
{
    struct kv_store *store = NULL;
    const struct err e =
        kv_store_open_lmdb(l->place.dir, mode, state_table_names, STATE_TABLE_COUNT, 1ull << 20, &store);
    if (err_is(&e)) fail_msg("%s", e.text);
    return store;
}

static void life_write(struct life *l)
{
    const uint64_t writes = prng_below(&l->random, prng_below(&l->random, 10) == 0 ? 3 * KEYS : 12);
    for (uint64_t n = 0; n < writes; n++) {
        char raw_key[32];
        uint8_t raw_value[512];
        const uint32_t k = (uint32_t)prng_below(&l->random, KEYS);
        const struct bytes key = key_of(k, raw_key);
        const uint32_t before = l->now.values[k];
        uint32_t value = 1 + (uint32_t)prng_below(&l->random, 100000);
        if (prng_below(&l->random, 4) == 0 && before != 0) value = before; /* the value it has */
        if (prng_below(&l->random, 5) < 2) value = 0;
        l->now.values[k] = value;
        for (uint32_t i = 0; i < SUBJECTS; i++) {
            if (value == 0)
                state_delete(l->states[i], key);
            else
                state_put(l->states[i], key, value_of(value, raw_value));
        }
    }
}

static void life_settle(struct life *l, bool accept)
{
    for (uint32_t i = 0; i < SUBJECTS; i++) {
        if (accept)
            state_accept(l->states[i]);
        else
            state_reject(l->states[i]);
    }
    if (accept)
        l->accepted = l->now;
    else
        l->now = l->accepted;
}

static void life_close(struct life *l)
{
    life_settle(l, true);
    l->seq += 1 + prng_below(&l->random, 200);
    l->closed[l->closed_count] = l->accepted;
    l->seqs[l->closed_count] = l->seq;
    l->closed_count++;
    for (uint32_t i = 0; i < SUBJECTS; i++) {
        check_root(state_close_layer(l->states[i], l->seq), moment_root(&l->accepted, NULL));
        assert_int_equal(state_layers_waiting(l->states[i]), l->closed_count);
    }
}

static void life_fold(struct life *l)
{
    l->base = l->closed[0];
    for (uint32_t i = 0; i < SUBJECTS; i++) {
        struct bytes meta;
        uint8_t seq[8];
        be64_put(seq, l->seqs[0]);
        struct err e = state_fold(l->states[i], l->seqs[0], bytes_of(seq, sizeof seq));
        if (err_is(&e)) fail_msg("%s", e.text);
        e = state_meta(l->states[i], &meta);
        assert_int_equal(e.code, ERR_NONE);
        assert_true(bytes_equal(meta, bytes_of(seq, sizeof seq)));
        check_base(l, l->stores[i]);
    }
    l->closed_count--;
    memmove(&l->closed[0], &l->closed[1], l->closed_count * sizeof l->closed[0]);
    memmove(&l->seqs[0], &l->seqs[1], l->closed_count * sizeof l->seqs[0]);
}

/* The process ends and starts: the overlay is gone, the base is there. */
static void life_restart(struct life *l)
{
    for (uint32_t i = 0; i < SUBJECTS; i++)
        state_close(l->states[i]);
    kv_store_close(l->stores[1]);
    l->stores[1] = life_open_files(l, KV_OPEN_EXISTING);
    l->now = l->base;
    l->accepted = l->base;
    l->closed_count = 0;
    life_open(l);
}

static void live(uint64_t seed)
{
    struct life *l = mem_zero(1, sizeof *l);
    l->random = prng_of(seed);
    l->place = kv_place_new();
    l->stores[0] = kv_store_new_memory(STATE_TABLE_COUNT);
    l->stores[1] = life_open_files(l, KV_OPEN_CREATE);
    life_open(l);
    for (uint32_t step = 0; step < 250; step++) {
        const uint64_t what = prng_below(&l->random, 100);
        life_write(l);
        if (what < 30) life_settle(l, true);
        if (what >= 30 && what < 45) life_settle(l, false);
        if (what >= 45 && what < 70 && l->closed_count < STATE_LAYERS_MAX - 1) life_close(l);
        if (what >= 70 && what < 90 && l->closed_count > 0) life_fold(l);
        if (what == 99) life_restart(l);
        const struct moment *below = l->closed_count > 0 ? &l->closed[l->closed_count - 1] : &l->base;
        for (uint32_t i = 0; i < SUBJECTS; i++) {
            struct err fault;
            if (step % 10 == 0) check_content(l, l->states[i]);
            check_root(state_root(l->states[i]), moment_root(below, NULL));
            assert_false(state_fault(l->states[i], &fault));
        }
        assert_int_equal(state_overlay_bytes(l->states[0]), state_overlay_bytes(l->states[1]));
    }
    for (uint32_t i = 0; i < SUBJECTS; i++) {
        state_close(l->states[i]);
        kv_store_close(l->stores[i]);
    }
    kv_place_remove(&l->place);
    free(l);
}

static void test_state_random_lives_equal_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        live(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_random_lives_equal_the_model),
    };
    return cmocka_run_group_tests_name("state_model", tests, NULL, NULL);
}
