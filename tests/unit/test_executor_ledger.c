/* test_executor_ledger.c - headers, history and checkpoints; that equal batches give equal ledgers whatever the store
 * and however often it was opened again; folding; stores that fail or are damaged. */
#include "tests/fixture/executor_room.h"
#include "tests/fixture/failing_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- headers and history ---- */

static void test_executor_header_names_what_it_stands_on(void **state)
{
    struct executor_room *r = *state;
    struct digest previous = {{0}};
    uint64_t first_index = 0;
    const struct wire_header none = executor_header(r->executor);
    assert_int_equal(none.seq, 0);
    for (uint64_t seq = 1; seq <= 30; seq++) {
        struct digest digest;
        struct executed_block *b = kit_execute_next(r->kit, r->executor);
        const struct wire_header *h = &b->header;
        const struct digest hash = header_hash(h);
        const struct wire_header now = executor_header(r->executor);
        blob_release(kit_ledger_batch(r->kit, seq, &digest));
        assert_int_equal(h->version, HEADER_VERSION);
        assert_int_equal(h->epoch, 0);
        assert_memory_equal(h->configuration.bytes, r->kit->group->configuration.bytes, DIGEST_BYTES);
        assert_int_equal(h->seq, seq);
        assert_int_equal(h->time_ms, 1000 * seq);
        assert_memory_equal(h->batch_digest.bytes, digest.bytes, DIGEST_BYTES);
        assert_int_equal(h->first_index, first_index);
        assert_int_equal(h->count, b->entry_count);
        assert_memory_equal(h->previous.bytes, previous.bytes, DIGEST_BYTES);
        assert_memory_equal(b->header_hash.bytes, hash.bytes, DIGEST_BYTES);
        assert_int_equal(wire_compare_record(&wire_record_header, h, &now), 0);
        previous = hash;
        first_index += h->count;
        executed_block_free(b);
    }
    assert_int_equal(executor_executed(r->executor), 30);
    assert_int_equal(executor_entries(r->executor), first_index);
}

static void test_executor_roots_are_those_of_the_trees_over_the_entries(void **state)
{
    struct executor_room *r = *state;
    struct digest all[1024];
    uint64_t count = 0;
    for (uint64_t seq = 1; seq <= 60; seq++) {
        struct executed_block *b = kit_execute_next(r->kit, r->executor);
        struct wire_iterator i = wire_list_start(executed_block_entries(b));
        struct wire_entry entry;
        struct bytes raw;
        const uint64_t first = count;
        while (wire_list_next_raw(&i, &wire_record_entry, &entry, &raw))
            all[count++] = merkle_leaf(raw);
        const struct digest entries = merkle_root(all + first, count - first);
        const struct digest history = merkle_root(all, count);
        assert_memory_equal(b->header.entries_root.bytes, entries.bytes, DIGEST_BYTES);
        assert_memory_equal(b->header.history_root.bytes, history.bytes, DIGEST_BYTES);
        executed_block_free(b);
    }
}

static void test_executor_checkpoint_is_every_Kth_block_and_names_the_state_root(void **state)
{
    struct executor_room *r = *state;
    const struct digest genesis = executor_base_root(r->executor);
    for (uint64_t seq = 1; seq <= 2 * CHECKPOINT_INTERVAL; seq++) {
        struct executed_block *b = kit_execute_next(r->kit, r->executor);
        assert_int_equal(b->checkpoint, seq == CHECKPOINT_INTERVAL || seq == 2 * CHECKPOINT_INTERVAL);
        assert_int_equal(digest_is_zero(&b->state_root), !b->checkpoint);
        assert_false(digest_equal(&b->state_root, &genesis));
        executed_block_free(b);
    }
    assert_int_equal(executor_base(r->executor), 0);
}

/* Windows are replicated state (rule 22): two ledgers with equal data and other windows have other roots. */
static void test_executor_state_root_covers_client_windows(void **state)
{
    struct executor_room *r = *state;
    struct executor_room other = {.kit = r->kit};
    other.executor = kit_executor_new(r->kit, &other.store);
    const struct kit_op get = kit_kv(APP_KV_GET, "k", NULL, NULL);
    executor_room_executed(r, executor_room_request(r, KIT_WRITER, 1, &get, 1));
    executor_room_executed(&other, executor_room_request(r, KIT_WRITER, 2, &get, 1));
    struct digest roots[2];
    for (uint32_t i = 0; i < 2; i++) {
        struct executor_room *at = i == 0 ? r : &other;
        while (executor_executed(at->executor) < CHECKPOINT_INTERVAL) {
            struct executed_block *b = executor_room_execute(at, 1, NULL, 0);
            if (b->checkpoint) roots[i] = b->state_root;
            executed_block_free(b);
        }
    }
    assert_false(digest_equal(&roots[0], &roots[1]));
    executor_close(other.executor);
    kv_store_close(other.store);
}

/* ---- the same everywhere ---- */

#define CHAIN 300u

struct chain {
    struct digest headers[CHAIN + 1];
    struct digest roots[CHAIN / CHECKPOINT_INTERVAL + 1];
};

static void chain_note(struct chain *c, const struct executed_block *b)
{
    c->headers[b->header.seq] = b->header_hash;
    if (b->checkpoint) c->roots[b->header.seq / CHECKPOINT_INTERVAL] = b->state_root;
}

static void chain_run(struct chain *c, const struct kit *k, struct executor *e, uint64_t last, bool fold)
{
    while (executor_executed(e) < last) {
        struct executed_block *b = kit_execute_next(k, e);
        chain_note(c, b);
        if (fold && b->checkpoint) assert_int_equal(executor_fold(e, b->header.seq).code, ERR_NONE);
        executed_block_free(b);
    }
}

static struct executor *opened(struct kv_store *store, const struct kit *k)
{
    struct executor *e = NULL;
    const struct err error = executor_open(store, k->group, &e);
    if (err_is(&error)) fail_msg("%s", error.text);
    return e;
}

static void test_executor_same_batches_give_the_same_blocks_and_roots_on_lmdb(void **state)
{
    struct executor_room *r = *state;
    struct chain memory = {0};
    struct chain files = {0};
    const struct kit_place place = kit_place_new();
    struct kv_store *store = NULL;
    assert_int_equal(
        kv_store_open_lmdb(place.dir, KV_OPEN_CREATE, state_table_names, STATE_TABLE_COUNT, 1 << 20, &store).code,
        ERR_NONE);
    assert_int_equal(executor_init(store, r->kit->group).code, ERR_NONE);
    struct executor *e = opened(store, r->kit);
    chain_run(&memory, r->kit, r->executor, CHAIN, false);
    chain_run(&files, r->kit, e, CHAIN, true);
    assert_memory_equal(&memory, &files, sizeof memory);
    executor_close(e);
    kv_store_close(store);
    kit_place_remove(&place);
}

static void test_executor_opened_again_stands_at_its_base_and_replays_to_the_same_blocks(void **state)
{
    struct executor_room *r = *state;
    struct chain once = {0};
    struct chain twice = {0};
    struct executor_room other = {.kit = r->kit};
    other.executor = kit_executor_new(r->kit, &other.store);
    chain_run(&once, r->kit, r->executor, CHAIN, false);
    for (uint64_t at = 50; at <= CHAIN; at += 50) {
        chain_run(&twice, r->kit, other.executor, at, true);
        const struct wire_header header = executor_header(other.executor);
        executor_close(other.executor);
        other.executor = opened(other.store, r->kit);
        const uint64_t base = at - at % CHECKPOINT_INTERVAL;
        assert_int_equal(executor_base(other.executor), base);
        assert_int_equal(executor_executed(other.executor), base);
        assert_int_equal(executor_header(other.executor).seq, base);
        const struct digest root = executor_base_root(other.executor);
        if (base > 0) assert_memory_equal(root.bytes, once.roots[base / CHECKPOINT_INTERVAL].bytes, DIGEST_BYTES);
        chain_run(&twice, r->kit, other.executor, at, true);
        const struct wire_header again = executor_header(other.executor);
        assert_int_equal(wire_compare_record(&wire_record_header, &header, &again), 0);
    }
    assert_memory_equal(&once, &twice, sizeof once);
    executor_close(other.executor);
    kv_store_close(other.store);
}

static void test_executor_opened_again_remembers_what_clients_had_settled(void **state)
{
    struct executor_room *r = *state;
    kit_grow(r->kit, r->executor, NULL, CHECKPOINT_INTERVAL, NULL);
    assert_int_equal(executor_fold(r->executor, CHECKPOINT_INTERVAL).code, ERR_NONE);
    const struct client_window before = *executor_window(r->executor, KIT_WRITER);
    executor_close(r->executor);
    r->executor = opened(r->store, r->kit);
    const struct client_window *after = executor_window(r->executor, KIT_WRITER);
    for (uint64_t seq = CHECKPOINT_INTERVAL - CLIENT_WINDOW; seq <= CHECKPOINT_INTERVAL; seq++) {
        const struct wire_window_slot *a = window_find(&before, seq);
        const struct wire_window_slot *b = window_find(after, seq);
        assert_int_equal(a == NULL, b == NULL);
        if (a != NULL) assert_int_equal(wire_compare_record(&wire_record_window_slot, a, b), 0);
    }
    assert_int_equal(after->role, GROUP_ROLE_WRITER);
}

/* ---- folding ---- */

static void test_executor_fold_below_the_oldest_checkpoint_does_nothing(void **state)
{
    struct executor_room *r = *state;
    kit_grow(r->kit, r->executor, NULL, CHECKPOINT_INTERVAL, NULL);
    const uint64_t syncs = kv_store_syncs(r->store);
    assert_int_equal(executor_fold(r->executor, CHECKPOINT_INTERVAL - 1).code, ERR_NONE);
    assert_int_equal(executor_base(r->executor), 0);
    assert_int_equal(kv_store_syncs(r->store), syncs);
}

static void test_executor_fold_takes_every_checkpoint_up_to_it_and_no_later_one(void **state)
{
    struct executor_room *r = *state;
    struct chain c = {0};
    chain_run(&c, r->kit, r->executor, CHAIN, false);
    kit_grow(r->kit, r->executor, NULL, 3 * CHECKPOINT_INTERVAL, NULL);
    assert_int_equal(executor_fold(r->executor, 2 * CHECKPOINT_INTERVAL + 5).code, ERR_NONE);
    assert_int_equal(executor_base(r->executor), 2 * CHECKPOINT_INTERVAL);
    const struct digest root = executor_base_root(r->executor);
    assert_memory_equal(root.bytes, c.roots[2].bytes, DIGEST_BYTES);
    executor_close(r->executor);
    r->executor = opened(r->store, r->kit);
    assert_int_equal(executor_executed(r->executor), 2 * CHECKPOINT_INTERVAL);
}

static void test_executor_fold_on_a_full_disk_can_be_repeated(void **state)
{
    struct executor_room *r = *state;
    struct failing_store *f = failing_store_new(STATE_TABLE_COUNT);
    struct err broken;
    assert_int_equal(executor_init(&f->base, r->kit->group).code, ERR_NONE);
    struct executor *e = opened(&f->base, r->kit);
    kit_grow(r->kit, e, NULL, CHECKPOINT_INTERVAL, NULL);
    atomic_store(&f->apply_fails, ERR_NO_SPACE);
    assert_int_equal(executor_fold(e, CHECKPOINT_INTERVAL).code, ERR_NO_SPACE);
    assert_int_equal(executor_base(e), 0);
    assert_false(executor_fault(e, &broken));
    atomic_store(&f->apply_fails, ERR_NONE);
    assert_int_equal(executor_fold(e, CHECKPOINT_INTERVAL).code, ERR_NONE);
    assert_int_equal(executor_base(e), CHECKPOINT_INTERVAL);
    executor_close(e);
    kv_store_close(&f->base);
}

/* With the disk full for so long that no layer is left, the executor says so; it does not abort. */
static void test_executor_more_checkpoints_than_can_wait_is_no_space(void **state)
{
    struct executor_room *r = *state;
    struct digest digest;
    struct executed_block *block = NULL;
    const uint64_t last = STATE_LAYERS_MAX * CHECKPOINT_INTERVAL;
    kit_grow(r->kit, r->executor, NULL, last - 1, NULL);
    struct blob *batch = kit_ledger_batch(r->kit, last, &digest);
    struct err e = executor_execute(r->executor, last, blob_bytes(batch), &digest, &block);
    assert_int_equal(e.code, ERR_NO_SPACE);
    assert_null(block);
    assert_int_equal(executor_executed(r->executor), last - 1);
    /* nothing was executed: after a fold the same batch gives its block */
    assert_int_equal(executor_fold(r->executor, CHECKPOINT_INTERVAL).code, ERR_NONE);
    e = executor_execute(r->executor, last, blob_bytes(batch), &digest, &block);
    assert_int_equal(e.code, ERR_NONE);
    assert_true(block->checkpoint);
    executed_block_free(block);
    blob_release(batch);
}

/* ---- a failing or damaged store ---- */

static void test_executor_failing_read_ends_the_batch_with_the_fault(void **state)
{
    struct executor_room *r = *state;
    struct failing_store *f = failing_store_new(STATE_TABLE_COUNT);
    struct executed_block *block = NULL;
    struct digest digest;
    struct err broken;
    assert_int_equal(executor_init(&f->base, r->kit->group).code, ERR_NONE);
    struct executor *e = opened(&f->base, r->kit);
    struct blob *batch = kit_ledger_batch(r->kit, 3, &digest); /* reads a key */
    atomic_store(&f->reads_fail, true);
    const struct err error = executor_execute(e, 1, blob_bytes(batch), &digest, &block);
    assert_int_equal(error.code, ERR_IO);
    assert_null(block);
    assert_true(executor_fault(e, &broken));
    blob_release(batch);
    executor_close(e);
    kv_store_close(&f->base);
}

static void test_executor_init_on_a_failing_store_gives_its_error(void **state)
{
    struct executor_room *r = *state;
    struct failing_store *f = failing_store_new(STATE_TABLE_COUNT);
    atomic_store(&f->apply_fails, ERR_NO_SPACE);
    assert_int_equal(executor_init(&f->base, r->kit->group).code, ERR_NO_SPACE);
    atomic_store(&f->reads_fail, true);
    assert_int_equal(executor_init(&f->base, r->kit->group).code, ERR_IO);
    kv_store_close(&f->base);
}

/* Whichever of its reads fails. */
static void test_executor_open_on_a_failing_store_gives_its_error(void **state)
{
    struct executor_room *r = *state;
    struct failing_store *f = failing_store_new(STATE_TABLE_COUNT);
    struct executor *e = NULL;
    struct err error = {.code = ERR_IO};
    int reads = 0;
    assert_int_equal(executor_init(&f->base, r->kit->group).code, ERR_NONE);
    while (error.code == ERR_IO) {
        assert_null(e);
        atomic_store(&f->reads_left, reads++);
        error = executor_open(&f->base, r->kit->group, &e);
    }
    assert_int_equal(error.code, ERR_NONE);
    assert_true(reads > 2 + (int)KIT_CLIENT_COUNT); /* the root, the meta record, each window */
    executor_close(e);
    kv_store_close(&f->base);
}

/* Opens a store after one item of it was replaced (value.data NULL: deleted), and gives the code. */
static enum err_code open_changed(const struct executor_room *r, uint32_t table, struct bytes key, struct bytes value)
{
    struct executor *e = NULL;
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    assert_int_equal(executor_init(store, r->kit->group).code, ERR_NONE);
    struct kv_batch *b = kv_batch_new();
    if (value.data == NULL)
        kv_batch_delete(b, table, key);
    else
        kv_batch_put(b, table, key, value);
    kit_apply(store, b);
    const struct err error = executor_open(store, r->kit->group, &e);
    assert_true(err_is(&error) == (e == NULL));
    assert_true(err_is(&error) == (error.text[0] != '\0'));
    executor_close(e);
    kv_store_close(store);
    return error.code;
}

static void test_executor_open_on_an_empty_store_is_corrupt(void **state)
{
    struct executor_room *r = *state;
    struct executor *e = NULL;
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    assert_int_equal(executor_open(store, r->kit->group, &e).code, ERR_CORRUPT);
    assert_null(e);
    kv_store_close(store);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), bytes_of(NULL, 0)), ERR_CORRUPT);
}

static void test_executor_open_with_a_damaged_meta_record_is_corrupt(void **state)
{
    struct executor_room *r = *state;
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    struct bytes raw;
    struct wire_state_meta meta;
    assert_int_equal(executor_init(store, r->kit->group).code, ERR_NONE);
    assert_int_equal(kv_store_get(store, STATE_TABLE_META, bytes_of_text("meta"), &raw), KV_FOUND);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), raw), ERR_NONE);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), bytes_of(raw.data, raw.len - 1)),
                     ERR_CORRUPT);
    assert_null(wire_decode_record(&wire_record_state_meta, raw, &meta));
    meta.state_root.bytes[0] ^= 1;
    struct blob *other_root = wire_encode_blob(&wire_record_state_meta, &meta);
    meta.state_root.bytes[0] ^= 1;
    meta.history_count = 3; /* wants two nodes; there are none */
    meta.header.first_index = 3;
    struct blob *other_count = wire_encode_blob(&wire_record_state_meta, &meta);
    meta.history_count = 0;
    meta.header.first_index = 0;
    meta.seq = 1; /* but the header's is 0 */
    struct blob *other_seq = wire_encode_blob(&wire_record_state_meta, &meta);
    meta.seq = 0;
    meta.header.first_index = 1;
    struct blob *other_index = wire_encode_blob(&wire_record_state_meta, &meta);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), blob_bytes(other_seq)), ERR_CORRUPT);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), blob_bytes(other_index)), ERR_CORRUPT);
    blob_release(other_seq);
    blob_release(other_index);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), blob_bytes(other_root)), ERR_CORRUPT);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), blob_bytes(other_count)), ERR_CORRUPT);
    blob_release(other_root);
    blob_release(other_count);
    kv_store_close(store);
}

static struct bytes registry_key(const struct executor_room *r, enum kit_client client, uint8_t space[35])
{
    space[0] = 0;
    space[1] = 0;
    space[2] = 'c';
    memcpy(space + 3, r->kit->group->clients[client].key.bytes, PUBLIC_KEY_BYTES);
    return bytes_of(space, 35);
}

static void test_executor_init_registers_the_clients_of_the_group_and_nothing_else(void **state)
{
    struct executor_room *r = *state;
    struct bytes key;
    struct bytes value;
    uint8_t next[36] = {0};
    size_t len = 0;
    uint32_t count = 0;
    while (kv_store_seek(r->store, STATE_TABLE_DATA, bytes_of(next, len), &key, &value) == KV_FOUND) {
        struct client_window w;
        struct public_key client;
        assert_int_equal(key.len, 35);
        memcpy(client.bytes, key.data + 3, PUBLIC_KEY_BYTES);
        assert_true(window_decode(value, &w));
        assert_int_equal(w.number, executor_client(r->executor, &client));
        assert_int_equal(w.highest_settled, 0);
        memcpy(next, key.data, key.len);
        len = key.len + 1;
        count++;
    }
    assert_int_equal(count, KIT_CLIENT_COUNT);
}

static void test_executor_open_with_a_client_that_is_not_in_the_registry_is_config(void **state)
{
    struct executor_room *r = *state;
    uint8_t space[35];
    const struct bytes key = registry_key(r, KIT_READER, space);
    assert_int_equal(open_changed(r, STATE_TABLE_DATA, key, bytes_of(NULL, 0)), ERR_CONFIG);
}

static void test_executor_open_with_a_damaged_window_is_corrupt(void **state)
{
    struct executor_room *r = *state;
    uint8_t space[35];
    struct client_window w = {.role = GROUP_ROLE_READER, .number = KIT_READER};
    struct buffer good = {0};
    struct buffer other = {0};
    const struct bytes key = registry_key(r, KIT_READER, space);
    window_encode(&w, &good);
    w.number = KIT_WRITER;
    window_encode(&w, &other);
    assert_int_equal(open_changed(r, STATE_TABLE_DATA, key, bytes_of(good.data, good.len)), ERR_NONE);
    assert_int_equal(open_changed(r, STATE_TABLE_DATA, key, bytes_of(good.data, good.len - 1)), ERR_CORRUPT);
    assert_int_equal(open_changed(r, STATE_TABLE_DATA, key, bytes_of(other.data, other.len)), ERR_CORRUPT);
    buffer_free(&good);
    buffer_free(&other);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, executor_room_setup, executor_room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_executor_header_names_what_it_stands_on),
        ROOM_TEST(test_executor_roots_are_those_of_the_trees_over_the_entries),
        ROOM_TEST(test_executor_checkpoint_is_every_Kth_block_and_names_the_state_root),
        ROOM_TEST(test_executor_state_root_covers_client_windows),
        ROOM_TEST(test_executor_same_batches_give_the_same_blocks_and_roots_on_lmdb),
        ROOM_TEST(test_executor_opened_again_stands_at_its_base_and_replays_to_the_same_blocks),
        ROOM_TEST(test_executor_opened_again_remembers_what_clients_had_settled),
        ROOM_TEST(test_executor_fold_below_the_oldest_checkpoint_does_nothing),
        ROOM_TEST(test_executor_fold_takes_every_checkpoint_up_to_it_and_no_later_one),
        ROOM_TEST(test_executor_fold_on_a_full_disk_can_be_repeated),
        ROOM_TEST(test_executor_more_checkpoints_than_can_wait_is_no_space),
        ROOM_TEST(test_executor_failing_read_ends_the_batch_with_the_fault),
        ROOM_TEST(test_executor_init_on_a_failing_store_gives_its_error),
        ROOM_TEST(test_executor_open_on_a_failing_store_gives_its_error),
        ROOM_TEST(test_executor_open_on_an_empty_store_is_corrupt),
        ROOM_TEST(test_executor_open_with_a_damaged_meta_record_is_corrupt),
        ROOM_TEST(test_executor_init_registers_the_clients_of_the_group_and_nothing_else),
        ROOM_TEST(test_executor_open_with_a_client_that_is_not_in_the_registry_is_config),
        ROOM_TEST(test_executor_open_with_a_damaged_window_is_corrupt),
    };
    return cmocka_run_group_tests_name("executor_ledger", tests, NULL, NULL);
}
