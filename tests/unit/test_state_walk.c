/* test_state_walk.c - a store brought to the state of another by questions and answers: from nothing, from a state that
 * differs a little, while the target moves, with answers that lie or are of no use, and from a damaged store.
 */
#include "base/limits.h"
#include "base/prng.h"
#include "crypto/merkle.h"
#include "ledger/state_transfer.h"
#include "ledger/state_tree.h"
#include "wire/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS_MAX 200000u

static void good(struct err e)
{
    if (err_is(&e)) fail_msg("%s", e.text);
}

/* ---- the side that serves: a state at a checkpoint, and its record ---- */

struct server {
    struct kv_store *store;
    struct state *state;
    uint64_t seq;
    struct merkle_frontier history;
    struct wire_state_meta meta;
    uint8_t history_space[64 * 34];
    struct wire_checkpoint_certificate certificate; /* without signatures: those are checked before a walk sees it */
};

static void server_checkpoint(struct server *s)
{
    const struct digest leaf = merkle_leaf(bytes_of(&s->seq, sizeof s->seq));
    s->seq += CHECKPOINT_INTERVAL;
    merkle_frontier_append(&s->history, &leaf);
    const struct digest root = state_close_layer(s->state, s->seq);
    good(state_fold(s->state, s->seq, bytes_of("m", 1)));
    s->meta = (struct wire_state_meta){
        .seq = s->seq,
        .state_root = root,
        .header = {.seq = s->seq, .first_index = s->history.count, .history_root = merkle_frontier_root(&s->history)},
        .history_count = s->history.count};
    struct writer w = writer_of(s->history_space, sizeof s->history_space);
    for (uint32_t i = 0; i < merkle_frontier_nodes(&s->history); i++)
        wire_list_add_digest(&s->meta.history, &w, &s->history.nodes[i]);
    s->certificate = (struct wire_checkpoint_certificate){
        .seq = s->seq, .header_hash = header_hash(&s->meta.header), .state_root = root};
}

static void server_open(struct server *s)
{
    *s = (struct server){.store = kv_store_new_memory(STATE_TABLE_COUNT)};
    good(state_open(s->store, &s->state));
}

static void server_close(struct server *s)
{
    state_close(s->state);
    kv_store_close(s->store);
}

static void put_numbered(struct state *s, uint32_t from, uint32_t to, const char *value)
{
    for (uint32_t i = from; i < to; i++) {
        char key[24];
        char text[64];
        (void)snprintf(key, sizeof key, "key%u", i);
        (void)snprintf(text, sizeof text, "%s %u", value, i);
        state_put(s, bytes_of_text(key), bytes_of_text(text));
    }
    state_accept(s);
}

static void server_with(struct server *s, uint32_t keys)
{
    server_open(s);
    put_numbered(s->state, 0, keys, "value");
    server_checkpoint(s);
}

/* A store with the numbered keys in its base and a tree of its own. */
static struct kv_store *store_with(uint32_t keys)
{
    struct server s;
    server_with(&s, keys);
    state_close(s.state);
    return s.store;
}

/* ---- an answer, as the wire gives it ---- */

struct answer {
    struct blob *bytes;
    struct wire_state_piece piece;
};

static struct answer answer_of(const struct server *s, const struct buffer *question)
{
    struct wire_state_ask ask;
    struct buffer items = {0};
    uint32_t count = 0;
    assert_null(wire_decode_record(&wire_record_state_ask, bytes_of(question->data, question->len), &ask));
    good(state_serve(s->store, &ask, &items, &count));
    const struct wire_state_piece piece = {.certificate = s->certificate,
                                           .meta = s->meta,
                                           .items = {.items = bytes_of(items.data, items.len), .count = count}};
    struct answer a = {.bytes = wire_encode_blob(&wire_record_state_piece, &piece)};
    assert_true(a.bytes->len < FRAME_BYTES_MAX - 1024u);
    assert_null(wire_decode_record(&wire_record_state_piece, blob_bytes(a.bytes), &a.piece));
    buffer_free(&items);
    return a;
}

static struct state_walk *walk_open(struct kv_store *store, uint64_t seq, bool damaged)
{
    struct state_walk *w = NULL;
    if (damaged) good(state_mark_damaged(store));
    good(state_walk_open(store, seq, &w));
    assert_true(state_is_walking(store));
    return w;
}

/* One question put and answered. */
static enum state_walk_verdict step(struct state_walk *w, const struct server *s)
{
    struct buffer question = {0};
    uint32_t number = 0;
    enum state_walk_verdict verdict = STATE_WALK_BAD;
    assert_true(state_walk_ask(w, &number, &question));
    struct answer a = answer_of(s, &question);
    good(state_walk_take(w, number, &a.piece, &verdict));
    blob_release(a.bytes);
    buffer_free(&question);
    return verdict;
}

static struct state_walk_progress walk_whole(struct kv_store *store, const struct server *s, bool rebuild)
{
    struct state_walk *w = walk_open(store, s->seq, rebuild);
    uint32_t steps = 0;
    enum state_walk_verdict v = STATE_WALK_TAKEN;
    while (v == STATE_WALK_TAKEN && steps++ < STEPS_MAX)
        v = step(w, s);
    assert_int_equal(v, STATE_WALK_DONE);
    const struct state_walk_progress p = state_walk_progress(w);
    state_walk_close(w);
    return p;
}

/* Both stores hold the same, in every table but the meta. */
static void check_same(struct kv_store *a, struct kv_store *b)
{
    for (uint32_t table = STATE_TABLE_DATA; table <= STATE_TABLE_TREE; table++) {
        uint8_t next[600];
        struct bytes from = bytes_of(NULL, 0);
        struct bytes key[2];
        struct bytes value[2];
        for (;;) {
            const enum kv_found f = kv_store_seek(a, table, from, &key[0], &value[0]);
            assert_int_equal(f, kv_store_seek(b, table, from, &key[1], &value[1]));
            if (f != KV_FOUND) break;
            assert_true(bytes_equal(key[0], key[1]));
            assert_true(bytes_equal(value[0], value[1]));
            memcpy(next, key[0].data, key[0].len);
            next[key[0].len] = 0;
            from = bytes_of(next, key[0].len + 1);
        }
    }
    assert_false(state_is_walking(a));
}

/* The record of the checkpoint is there, and the state opens at it. */
static void check_at(struct kv_store *store, const struct server *s)
{
    struct state *opened;
    struct bytes raw;
    struct wire_state_meta meta;
    check_same(store, s->store);
    good(state_open(store, &opened));
    const struct digest root = state_root(opened);
    assert_true(digest_equal(&root, &s->meta.state_root));
    struct wire_checkpoint_certificate certificate;
    good(state_walk_certificate(store, &raw));
    assert_null(wire_decode_record(&wire_record_checkpoint_certificate, raw, &certificate));
    assert_int_equal(wire_compare_record(&wire_record_checkpoint_certificate, &certificate, &s->certificate), 0);
    good(state_meta(opened, &raw));
    assert_null(wire_decode_record(&wire_record_state_meta, raw, &meta));
    assert_int_equal(wire_compare_record(&wire_record_state_meta, &meta, &s->meta), 0);
    state_close(opened);
}

/* ---- walks that end well ---- */

static void test_state_walk_from_nothing_brings_everything(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 17, 300, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct server s;
        server_with(&s, sizes[i]);
        struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
        const struct state_walk_progress p = walk_whole(store, &s, false);
        assert_int_equal(p.leaves, sizes[i]);
        assert_int_equal(p.removed, 0);
        assert_int_equal(p.target, s.seq);
        check_at(store, &s);
        kv_store_close(store);
        server_close(&s);
    }
}

static void test_state_walk_of_equal_states_is_one_question(void **state)
{
    (void)state;
    struct server s;
    server_with(&s, 5000);
    struct kv_store *store = store_with(5000);
    const struct state_walk_progress p = walk_whole(store, &s, false);
    assert_int_equal(p.leaves, 0);
    assert_int_equal(p.pieces, 1);
    check_at(store, &s);
    kv_store_close(store);
    server_close(&s);
}

static void test_state_walk_of_one_percent_brings_one_percent(void **state)
{
    (void)state;
    struct server s;
    server_with(&s, 20000);
    put_numbered(s.state, 3000, 3200, "changed");
    server_checkpoint(&s);
    struct kv_store *store = store_with(20000);
    const struct state_walk_progress p = walk_whole(store, &s, false);
    assert_int_equal(p.leaves, 200);
    assert_int_equal(p.removed, 0);
    check_at(store, &s);
    kv_store_close(store);
    server_close(&s);
}

static void test_state_walk_removes_what_the_target_lacks(void **state)
{
    (void)state;
    static const uint32_t keeps[] = {0, 1, 100, 9999};
    for (size_t i = 0; i < sizeof keeps / sizeof keeps[0]; i++) {
        struct server s;
        server_with(&s, keeps[i]);
        struct kv_store *store = store_with(10000); /* more than one answer may remove */
        const struct state_walk_progress p = walk_whole(store, &s, false);
        assert_int_equal(p.leaves, 0);
        assert_int_equal(p.removed, 10000 - keeps[i]);
        assert_true(p.pieces > p.removed / 5000); /* the changes for one answer are bounded */
        check_at(store, &s);
        kv_store_close(store);
        server_close(&s);
    }
}

/* Values of the largest size, keys of the longest: an answer stays within a frame, and each brings something. */
static void test_state_walk_of_the_largest_leaves(void **state)
{
    (void)state;
    struct server s;
    server_open(&s);
    uint8_t *value = mem_zero(1, STATE_VALUE_BYTES_MAX);
    uint8_t key[STATE_KEY_BYTES_MAX] = {0};
    for (uint8_t i = 0; i < 6; i++) {
        key[0] = i;
        value[0] = i;
        state_put(s.state, bytes_of(key, sizeof key), bytes_of(value, STATE_VALUE_BYTES_MAX));
    }
    state_put(s.state, bytes_of_text("empty"), bytes_of(NULL, 0));
    state_accept(s.state);
    server_checkpoint(&s);
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    const struct state_walk_progress p = walk_whole(store, &s, false);
    assert_int_equal(p.leaves, 7);
    check_at(store, &s);
    kv_store_close(store);
    free(value);
    server_close(&s);
}

/* Random states against each other, with several questions under way, answers in any order, a walk that is cut short
 * and begun again at any time, and a target that moves on. */
static void random_changes(struct prng *random, struct state *s)
{
    const uint32_t count = (uint32_t)prng_below(random, 400);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = (uint32_t)prng_below(random, 3000);
        const struct bytes key = bytes_of(&number, sizeof number);
        uint64_t value = prng_below(random, 3);
        if (prng_below(random, 3) == 0)
            state_delete(s, key);
        else
            state_put(s, key, bytes_of(&value, sizeof value));
    }
    state_accept(s);
}

static void random_walk(uint64_t seed)
{
    struct prng random = prng_of(seed);
    struct server s;
    struct server own;
    struct buffer questions[STATE_WALK_ASKS_MAX] = {{0}};
    uint32_t numbers[STATE_WALK_ASKS_MAX] = {0};
    uint32_t count = 0;
    server_open(&s);
    server_open(&own);
    random_changes(&random, s.state);
    server_checkpoint(&s);
    for (uint64_t i = prng_below(&random, 4); i > 0; i--)
        random_changes(&random, own.state);
    server_checkpoint(&own);
    struct kv_store *store = own.store;
    state_close(own.state);
    struct state_walk *w = walk_open(store, s.seq, false);
    enum state_walk_verdict v = STATE_WALK_TAKEN;
    for (uint32_t i = 0; v != STATE_WALK_DONE && i < STEPS_MAX; i++) {
        if (count < STATE_WALK_ASKS_MAX && prng_below(&random, 2) == 0 &&
            state_walk_ask(w, &numbers[count], &questions[count]))
            count++;
        if (count > 0 && prng_below(&random, 3) > 0) {
            const uint32_t k = (uint32_t)prng_below(&random, count);
            struct answer a = answer_of(&s, &questions[k]);
            good(state_walk_take(w, numbers[k], &a.piece, &v));
            assert_true(v == STATE_WALK_TAKEN || v == STATE_WALK_DONE);
            blob_release(a.bytes);
            buffer_free(&questions[k]);
            count--;
            numbers[k] = numbers[count];
            questions[k] = questions[count];
            questions[count] = (struct buffer){0};
        }
        if (v != STATE_WALK_DONE && i < 200 && prng_below(&random, 20) == 0) {
            random_changes(&random, s.state);
            server_checkpoint(&s);
        }
        if (v != STATE_WALK_DONE && prng_below(&random, 60) == 0) {
            state_walk_close(w);
            while (count > 0)
                buffer_free(&questions[--count]);
            w = walk_open(store, s.seq, prng_below(&random, 4) == 0);
        }
    }
    assert_int_equal(v, STATE_WALK_DONE);
    while (count > 0)
        buffer_free(&questions[--count]);
    state_walk_close(w);
    check_at(store, &s);
    kv_store_close(store);
    server_close(&s);
}

static void test_state_walk_random_states_become_equal(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++)
        random_walk(seed);
}

/* ---- a damaged store ---- */

static void test_state_walk_repairs_damaged_data_and_tree(void **state)
{
    (void)state;
    struct server s;
    server_with(&s, 3000);
    struct kv_store *store = store_with(3000);
    struct bytes key;
    struct bytes value;
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, STATE_TABLE_DATA, bytes_of_text("key77"), bytes_of_text("flipped"));
    kv_batch_delete(b, STATE_TABLE_DATA, bytes_of_text("key78"));
    kv_batch_put(b, STATE_TABLE_DATA, bytes_of_text("never written"), bytes_of_text("x"));
    assert_int_equal(kv_store_seek(store, STATE_TABLE_TREE, bytes_of("\0\5", 2), &key, &value), KV_FOUND);
    kv_batch_put(b, STATE_TABLE_TREE, key, bytes_of_text("no node"));
    kv_batch_put(b, STATE_TABLE_TREE,
                 bytes_of_text("\xff\xff no position, and longer than any that could be one .........."),
                 bytes_of_text("no node"));
    good(kv_store_apply(store, b));
    kv_batch_free(b);
    const struct state_walk_progress p = walk_whole(store, &s, true);
    assert_int_equal(p.leaves, 2);
    assert_int_equal(p.removed, 1);
    check_at(store, &s);
    kv_store_close(store);
    server_close(&s);
}

/* Without `rebuild` a damaged node is found when it is met. */
static void test_state_walk_over_a_damaged_node_is_corrupt(void **state)
{
    (void)state;
    struct server s;
    server_with(&s, 3000);
    put_numbered(s.state, 0, 3000, "changed");
    server_checkpoint(&s);
    struct kv_store *store = store_with(3000);
    struct bytes key;
    struct bytes value;
    struct kv_batch *b = kv_batch_new();
    assert_int_equal(kv_store_seek(store, STATE_TABLE_TREE, bytes_of("\0\2", 2), &key, &value), KV_FOUND);
    kv_batch_put(b, STATE_TABLE_TREE, key, bytes_of_text("no node"));
    good(kv_store_apply(store, b));
    kv_batch_free(b);
    struct state_walk *w = walk_open(store, s.seq, false);
    struct buffer question = {0};
    uint32_t number;
    enum state_walk_verdict v;
    assert_true(state_walk_ask(w, &number, &question));
    struct answer a = answer_of(&s, &question);
    assert_int_equal(state_walk_take(w, number, &a.piece, &v).code, ERR_CORRUPT);
    blob_release(a.bytes);
    buffer_free(&question);
    state_walk_close(w);
    kv_store_close(store);
    server_close(&s);
}

/* A server whose data do not fit its tree says so instead of sending them. */
static void test_state_serve_damaged_value_is_corrupt(void **state)
{
    (void)state;
    struct server s;
    server_with(&s, 10);
    struct kv_batch *b = kv_batch_new();
    struct buffer items = {0};
    uint32_t count;
    const struct wire_state_position root = {.whole = 1};
    uint8_t space[64];
    struct writer w = writer_of(space, sizeof space);
    struct wire_state_ask ask = {0};
    wire_list_add(&ask.positions, &w, &wire_record_state_position, &root);
    kv_batch_put(b, STATE_TABLE_DATA, bytes_of_text("key7"), bytes_of_text("flipped"));
    good(kv_store_apply(s.store, b));
    assert_int_equal(state_serve(s.store, &ask, &items, &count).code, ERR_CORRUPT);
    kv_batch_clear(b);
    kv_batch_delete(b, STATE_TABLE_DATA, bytes_of_text("key7"));
    good(kv_store_apply(s.store, b));
    buffer_free(&items);
    assert_int_equal(state_serve(s.store, &ask, &items, &count).code, ERR_CORRUPT);
    kv_batch_free(b);
    buffer_free(&items);
    server_close(&s);
}

/* ---- answers that are refused ---- */

static void test_state_walk_older_answer_is_old(void **state)
{
    (void)state;
    struct server s;
    server_with(&s, 100);
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    struct state_walk *w = walk_open(store, s.seq + 1, false);
    assert_int_equal(step(w, &s), STATE_WALK_OLD);
    assert_int_equal(state_walk_progress(w).leaves, 0);
    state_walk_close(w);
    kv_store_close(store);
    server_close(&s);
}

/* How an answer lies. */
enum lie {
    LIE_NO_ITEMS,
    LIE_LEAF_VALUE,
    LIE_LEAF_KEY,
    LIE_HASH,
    LIE_DROPPED_ITEM,
    LIE_ADDED_ITEM,
    LIE_ITEM_BEHIND_THE_TREE,
    LIE_MALFORMED,
    LIE_META_HEADER,
    LIE_META_HISTORY,
    LIE_META_HISTORY_NODE,
    LIE_META_COUNT,
    LIE_META_SEQ,
    LIE_META_ROOT,
    LIE_ONLY_THE_ROOT_HASH,
    LIE_DIGESTS_FOR_VALUES,
    LIE_COUNT,
};

/* The items of an honest answer, with one thing changed. */
static void spoil_items(enum lie lie, const struct wire_state_piece *honest, struct buffer *out, uint32_t *count)
{
    struct wire_iterator i = wire_list_start(honest->items);
    struct wire_state_item item;
    bool done = false;
    struct digest hash;
    *count = 0;
    while (wire_list_next(&i, &wire_record_state_item, &item)) {
        if (lie == LIE_NO_ITEMS) continue;
        if (lie == LIE_ONLY_THE_ROOT_HASH) {
            item = (struct wire_state_item){.kind = STATE_ITEM_PRUNED,
                                            .first = bytes_of(honest->meta.state_root.bytes, DIGEST_BYTES)};
            if (*count > 0) continue;
        }
        const bool leaf = item.kind == STATE_ITEM_LEAF;
        const struct digest path = state_path_of(item.first);
        const struct digest value = state_value_digest(item.second);
        if (lie == LIE_DIGESTS_FOR_VALUES && leaf)
            item = (struct wire_state_item){.kind = STATE_ITEM_DIGEST,
                                            .first = bytes_of(path.bytes, DIGEST_BYTES),
                                            .second = bytes_of(value.bytes, DIGEST_BYTES)};
        if (!done && leaf && lie == LIE_DROPPED_ITEM) {
            done = true;
            continue;
        }
        if (!done && leaf) {
            done = true;
            if (lie == LIE_LEAF_VALUE) item.second = bytes_of_text("another");
            if (lie == LIE_LEAF_KEY) item.first = bytes_of_text("another");
            if (lie == LIE_MALFORMED) item.first = bytes_of(NULL, 0);
            if (lie == LIE_HASH) {
                hash = path;
                item = (struct wire_state_item){.kind = STATE_ITEM_PRUNED, .first = bytes_of(hash.bytes, DIGEST_BYTES)};
            }
        }
        const size_t size = wire_record_size(&wire_record_state_item, &item);
        struct writer w = writer_of(buffer_reserve(out, 2 * size), 2 * size);
        wire_encode_record(&wire_record_state_item, &item, &w);
        (*count)++;
        if (lie == LIE_ADDED_ITEM && *count == 1) {
            wire_encode_record(&wire_record_state_item, &item, &w);
            (*count)++;
        }
        out->len += w.len;
    }
    if (lie != LIE_ITEM_BEHIND_THE_TREE) return;
    item = (struct wire_state_item){.kind = STATE_ITEM_EMPTY};
    const size_t size = wire_record_size(&wire_record_state_item, &item);
    struct writer w = writer_of(buffer_reserve(out, size), size);
    wire_encode_record(&wire_record_state_item, &item, &w);
    out->len += w.len;
    (*count)++;
}

static void test_state_walk_lies_are_bad_and_change_nothing(void **state)
{
    (void)state;
    for (enum lie lie = 0; lie < LIE_COUNT; lie++) {
        struct server s;
        server_with(&s, 50);
        struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
        struct state_walk *w = walk_open(store, s.seq, false);
        struct buffer question = {0};
        struct buffer items = {0};
        uint32_t number;
        enum state_walk_verdict v = STATE_WALK_TAKEN;
        assert_true(state_walk_ask(w, &number, &question));
        struct answer a = answer_of(&s, &question);
        struct wire_state_piece spoiled = a.piece;
        uint32_t count;
        spoil_items(lie, &a.piece, &items, &count);
        spoiled.items = (struct wire_list){.items = bytes_of(items.data, items.len), .count = count};
        if (lie == LIE_META_HEADER) spoiled.meta.header.time_ms++;
        if (lie == LIE_META_HISTORY) spoiled.meta.history.count = 0;
        uint8_t node[34]; /* the history of the first checkpoint is one leaf */
        assert_int_equal(spoiled.meta.history.items.len, sizeof node);
        memcpy(node, spoiled.meta.history.items.data, sizeof node);
        node[33] ^= 1;
        if (lie == LIE_META_HISTORY_NODE) spoiled.meta.history.items = bytes_of(node, sizeof node);
        if (lie == LIE_META_COUNT) spoiled.meta.history_count++;
        if (lie == LIE_META_SEQ) spoiled.meta.seq++;
        if (lie == LIE_META_ROOT) spoiled.meta.state_root.bytes[0] ^= 1;
        good(state_walk_take(w, number, &spoiled, &v));
        if (v != STATE_WALK_BAD) fail_msg("lie %d was taken", (int)lie);
        struct bytes key;
        struct bytes value;
        assert_int_equal(kv_store_seek(store, STATE_TABLE_DATA, bytes_of(NULL, 0), &key, &value), KV_ABSENT);
        assert_int_equal(kv_store_seek(store, STATE_TABLE_TREE, bytes_of(NULL, 0), &key, &value), KV_ABSENT);
        /* the question waits: another replica's answer is taken */
        good(state_walk_take(w, number, &a.piece, &v));
        assert_int_equal(v, STATE_WALK_DONE);
        state_walk_close(w);
        check_at(store, &s);
        blob_release(a.bytes);
        buffer_free(&question);
        buffer_free(&items);
        kv_store_close(store);
        server_close(&s);
    }
}

/* Whatever stands in a question, the answer is a tree that hashes to the root, and within its bounds. */
static void test_state_serve_any_question_is_answered(void **state)
{
    (void)state;
    struct server s;
    server_with(&s, 30000);
    struct prng random = prng_of(7);
    for (uint32_t round = 0; round < 60; round++) {
        uint8_t space[STATE_ASK_BYTES_MAX];
        struct writer w = writer_of(space, sizeof space);
        struct wire_state_ask ask = {0};
        const uint32_t places = 1 + (uint32_t)prng_below(&random, STATE_ASK_MAX);
        bool digests = false; /* where values were asked for, by the walk below */
        for (uint32_t k = 0; k < places; k++) {
            uint8_t prefix[32];
            for (size_t j = 0; j < sizeof prefix; j++)
                prefix[j] = (uint8_t)prng_below(&random, 256);
            const struct wire_state_position p = {.depth = prng_below(&random, round % 2 == 0 ? 257 : 20),
                                                  .prefix = bytes_of(prefix, prng_below(&random, 33)),
                                                  .whole = prng_below(&random, 2)};
            digests |= p.whole == 0;
            wire_list_add(&ask.positions, &w, &wire_record_state_position, &p);
        }
        struct buffer question = {0};
        const size_t size = wire_record_size(&wire_record_state_ask, &ask);
        struct writer to = writer_of(buffer_reserve(&question, size), size);
        wire_encode_record(&wire_record_state_ask, &ask, &to);
        question.len = size;
        struct answer a = answer_of(&s, &question);
        assert_true(a.piece.items.count <= STATE_PIECE_ITEMS_MAX);
        assert_true(a.piece.items.items.len <=
                    STATE_PIECE_BYTES_TARGET + STATE_VALUE_BYTES_MAX + STATE_PIECE_ITEMS_MAX * 72u);
        struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
        struct state_walk *walk = walk_open(store, s.seq, false);
        struct buffer own = {0};
        uint32_t number;
        enum state_walk_verdict v;
        assert_true(state_walk_ask(walk, &number, &own));
        good(state_walk_take(walk, number, &a.piece, &v));
        /* it was not what was asked for, but it is true */
        assert_true(v == STATE_WALK_TAKEN || (digests && v == STATE_WALK_BAD));
        state_walk_close(walk);
        kv_store_close(store);
        buffer_free(&own);
        buffer_free(&question);
        blob_release(a.bytes);
    }
    server_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_walk_from_nothing_brings_everything),
        cmocka_unit_test(test_state_walk_of_equal_states_is_one_question),
        cmocka_unit_test(test_state_walk_of_one_percent_brings_one_percent),
        cmocka_unit_test(test_state_walk_removes_what_the_target_lacks),
        cmocka_unit_test(test_state_walk_of_the_largest_leaves),
        cmocka_unit_test(test_state_walk_random_states_become_equal),
        cmocka_unit_test(test_state_walk_repairs_damaged_data_and_tree),
        cmocka_unit_test(test_state_walk_over_a_damaged_node_is_corrupt),
        cmocka_unit_test(test_state_serve_damaged_value_is_corrupt),
        cmocka_unit_test(test_state_walk_older_answer_is_old),
        cmocka_unit_test(test_state_walk_lies_are_bad_and_change_nothing),
        cmocka_unit_test(test_state_serve_any_question_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
