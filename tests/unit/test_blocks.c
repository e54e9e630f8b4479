/* test_blocks.c - blocks below a transferred state: as DATA from one log to another, byte for byte; and those that lie.
 * And what a start makes of a transferred state. */
#include "replica/run/blocks.h"

#include "ledger/state_transfer.h"
#include "tests/fixture/recovery_room.h"
#include "wire/verified.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL

static void good(struct err e)
{
    if (err_is(&e)) fail_msg("%s", e.text);
}

/* The DATA message of a block, verified. */
static struct msg_verified verified(const struct recovery_room *r, struct blob *data, const char **fault)
{
    struct msg_verified m;
    *fault = msg_verify(&r->kit->wire, kit_checker(r->kit), data, &m);
    return m;
}

static struct blob *past_message(struct recovery_room *r, uint64_t seq)
{
    const struct reply_signer signer = kit_reply_signer(r->kit, 2);
    struct blob *out = NULL;
    good(blocks_past_message(r->dir.log, &signer, seq, &out));
    return out;
}

static void test_past_blocks_arrive_as_they_were(void **state)
{
    struct recovery_room *r = *state;
    struct kv_store *to = kv_store_new_memory(LOG_TABLE_COUNT);
    const char *fault;
    recovery_room_grow(r, K + 5);
    for (uint64_t seq = K; seq >= 1; seq--) {
        struct msg_verified m = verified(r, past_message(r, seq), &fault);
        if (fault != NULL) fail_msg("%s", fault);
        assert_int_equal(m.block.header.seq, seq);
        struct kv_batch *b = kv_batch_new();
        blocks_put_past(b, 1, m.blob, m.entries, m.checkpoint_good);
        kit_apply(to, b);
        uint64_t low;
        uint64_t high;
        good(log_get_gap(to, &low, &high));
        assert_int_equal(low, seq > 1 ? 1 : 0);
        assert_int_equal(high, seq - 1);
        struct bytes was;
        struct bytes is;
        uint8_t space[8];
        const struct bytes key = recovery_room_seq_key(space, seq);
        assert_int_equal(kv_store_get(r->dir.log, LOG_TABLE_BLOCKS, key, &was), KV_FOUND);
        assert_int_equal(kv_store_get(to, LOG_TABLE_BLOCKS, key, &is), KV_FOUND);
        assert_true(bytes_equal(was, is));
        good(log_get_batch(r->dir.log, seq, &m.block.header.batch_digest, &was));
        good(log_get_batch(to, seq, &m.block.header.batch_digest, &is));
        assert_true(bytes_equal(was, is));
        msg_verified_release(&m);
    }
    struct wire_checkpoint_certificate certificate;
    struct bytes raw;
    good(log_get_checkpoint(to, K, &certificate, &raw));
    kv_store_close(to);
}

/* A block that came before its turn: the gap stays as it is, until the fill brings the same block again. */
static void test_past_block_out_of_turn_leaves_the_gap_record(void **state)
{
    struct recovery_room *r = *state;
    struct kv_store *to = kv_store_new_memory(LOG_TABLE_COUNT);
    struct wire_stored_block stored;
    struct wire_checkpoint_certificate certificate;
    struct bytes raw;
    const char *fault;
    recovery_room_grow(r, K + 5);
    struct kv_batch *b = kv_batch_new();
    log_put_gap(b, 3, K + 1);
    kit_apply(to, b);
    for (uint64_t turn = 0; turn < 2; turn++) {
        struct msg_verified m = verified(r, past_message(r, K), &fault);
        uint64_t low;
        uint64_t high;
        if (fault != NULL) fail_msg("%s", fault);
        b = kv_batch_new();
        blocks_put_past(b, turn == 0 ? 0 : 3, m.blob, m.entries, m.checkpoint_good);
        kit_apply(to, b);
        good(log_get_gap(to, &low, &high));
        assert_int_equal(low, 3);
        assert_int_equal(high, turn == 0 ? K + 1 : K - 1);
        good(log_get_block(to, K, &stored));
        good(log_get_batch(to, K, &stored.header.batch_digest, &raw));
        good(log_get_checkpoint(to, K, &certificate, &raw));
        assert_int_equal(log_in_gap(to, K), turn == 0);
        assert_true(log_in_gap(to, 3));
        assert_false(log_in_gap(to, 2));
        assert_false(log_in_gap(to, K + 2));
        msg_verified_release(&m);
    }
    const struct reply_signer signer = kit_reply_signer(r->kit, 2); /* others may have it */
    struct blob *served = NULL;
    good(blocks_past_message(to, &signer, K, &served));
    blob_release(served);
    served = NULL;
    assert_int_equal(blocks_past_message(to, &signer, K - 1, &served).code, ERR_NOT_FOUND);
    kv_store_close(to);
}

/* What a liar changes. */
enum lie {
    LIE_RESULT,
    LIE_OUTCOME,
    LIE_OPERATION,
    LIE_REQUEST,
    LIE_NO_REQUEST,
    LIE_LESS,
    LIE_MORE,
    LIE_HEADER,
    LIE_BATCH,
    LIE_COUNT
};

static struct blob *spoiled(struct recovery_room *r, uint64_t seq, enum lie lie)
{
    struct blob *honest = past_message(r, seq);
    struct wire_message m;
    struct wire_past_block past;
    struct wire_past_entry entry;
    struct buffer entries = {0};
    struct digest other;
    uint32_t count = 0;
    assert_null(wire_decode(blob_bytes(honest), &m));
    assert_null(wire_decode_record(&wire_record_past_block, m.data.payload, &past));
    assert_true(past.entries.count > 1);
    struct wire_iterator i = wire_list_start(past.entries);
    while (wire_list_next(&i, &wire_record_past_entry, &entry)) {
        const bool first = count == 0;
        if (first && lie == LIE_RESULT) entry.result = bytes_of_text("another result");
        if (first && lie == LIE_OUTCOME) entry.outcome ^= 1;
        if (first && lie == LIE_OPERATION) entry.operation++;
        if (first && lie == LIE_REQUEST) entry.request++;
        if (first && lie == LIE_NO_REQUEST) entry.request = BATCH_REQUESTS_MAX - 1;
        const size_t size = wire_record_size(&wire_record_past_entry, &entry);
        for (uint32_t k = 0; k < (first && lie == LIE_LESS ? 0u : first && lie == LIE_MORE ? 2u : 1u); k++) {
            struct writer w = writer_of(buffer_reserve(&entries, size), size);
            wire_encode_record(&wire_record_past_entry, &entry, &w);
            entries.len += size;
        }
        count++;
    }
    past.entries.count = count - (lie == LIE_LESS ? 1 : 0) + (lie == LIE_MORE ? 1 : 0);
    past.entries.items = bytes_of(entries.data, entries.len);
    struct blob *batch = kit_ledger_batch(r->kit, seq + 1, &other);
    if (lie == LIE_HEADER) past.header.entries_root.bytes[0] ^= 1;
    if (lie == LIE_BATCH) past.batch = blob_bytes(batch);
    struct blob *payload = wire_encode_blob(&wire_record_past_block, &past);
    m.data.payload = blob_bytes(payload);
    struct blob *out = wire_encode_blob(&wire_record_data, &m.data);
    blob_release(payload);
    blob_release(batch);
    blob_release(honest);
    buffer_free(&entries);
    return out;
}

static void test_past_block_that_lies_is_refused(void **state)
{
    struct recovery_room *r = *state;
    const char *fault;
    recovery_room_grow(r, 12);
    for (enum lie lie = 0; lie < LIE_COUNT; lie++) {
        struct msg_verified m = verified(r, spoiled(r, 11, lie), &fault);
        if (fault == NULL) fail_msg("lie %d was believed", (int)lie);
        assert_null(m.entries);
        msg_verified_release(&m);
    }
}

static void test_past_block_whose_entries_are_of_another_batch_is_not_served(void **state)
{
    struct recovery_room *r = *state;
    const struct reply_signer signer = kit_reply_signer(r->kit, 2);
    struct wire_stored_block block;
    struct blob *out = NULL;
    uint8_t space[8];
    recovery_room_grow(r, 12);
    good(log_get_block(r->dir.log, 11, &block));
    const struct bytes first = bytes_of(block.entries.items.data + 8, 1);
    struct bytes raw;
    assert_int_equal(kv_store_get(r->dir.log, LOG_TABLE_BLOCKS, recovery_room_seq_key(space, 11), &raw), KV_FOUND);
    recovery_room_spoil(r, LOG_TABLE_BLOCKS, recovery_room_seq_key(space, 11),
                        (size_t)(raw.data + raw.len - first.data));
    assert_int_equal(blocks_past_message(r->dir.log, &signer, 11, &out).code, ERR_CORRUPT);
    assert_null(out);
}

/* A bit of its batch, of the digest that its certificate names (seed 130821), or of the root that its header names
 * (seed 226443) has changed on the disk. */
static void test_block_that_has_rotted_is_not_served(void **state)
{
    struct recovery_room *r = *state;
    const struct reply_signer signer = kit_reply_signer(r->kit, 2);
    struct wire_stored_block block;
    struct blob *out = NULL;
    struct bytes raw;
    uint8_t space[40];
    recovery_room_grow(r, 12);
    recovery_room_spoil(r, LOG_TABLE_BATCHES, recovery_room_batch_key(r, space, 11), 0);
    assert_int_equal(blocks_message(r->dir.log, &signer, 11, &out).code, ERR_CORRUPT);
    assert_int_equal(blocks_past_message(r->dir.log, &signer, 11, &out).code, ERR_CORRUPT);
    assert_int_equal(kv_store_get(r->dir.log, LOG_TABLE_BLOCKS, recovery_room_seq_key(space, 10), &raw), KV_FOUND);
    good(log_get_block(r->dir.log, 10, &block));
    const size_t header = wire_record_size(&wire_record_header, &block.header);
    const uint8_t *named = memmem(raw.data + header, raw.len - header, block.committed.digest.bytes, DIGEST_BYTES);
    assert_non_null(named);
    recovery_room_spoil(r, LOG_TABLE_BLOCKS, recovery_room_seq_key(space, 10),
                        (size_t)(raw.data + raw.len - 1 - named));
    assert_int_equal(blocks_message(r->dir.log, &signer, 10, &out).code, ERR_CORRUPT);
    assert_null(out);
    good(blocks_message(r->dir.log, &signer, 9, &out));
    blob_release(out);
    out = NULL;
    assert_int_equal(kv_store_get(r->dir.log, LOG_TABLE_BLOCKS, recovery_room_seq_key(space, 8), &raw), KV_FOUND);
    good(log_get_block(r->dir.log, 8, &block));
    named = memmem(raw.data, header, block.header.entries_root.bytes, DIGEST_BYTES);
    assert_non_null(named);
    recovery_room_spoil(r, LOG_TABLE_BLOCKS, recovery_room_seq_key(space, 8), (size_t)(raw.data + raw.len - 1 - named));
    assert_int_equal(blocks_past_message(r->dir.log, &signer, 8, &out).code, ERR_CORRUPT);
    assert_null(out);
}

/* ---- a start above a gap ---- */

/* The room's state is taken to checkpoint K by a walk from a ledger that has executed K and more, while its log ends at
 * `last`. */
static void transfer(struct recovery_room *r, uint64_t last)
{
    struct kv_store *store;
    struct executor *e = kit_executor_new(r->kit, &store);
    struct state_walk *w = NULL;
    struct wire_state_piece piece = {0};
    struct buffer ask = {0};
    struct buffer items = {0};
    struct wire_state_ask question;
    struct bytes meta;
    uint32_t number;
    enum state_walk_verdict v = STATE_WALK_TAKEN;
    recovery_room_grow(r, last);
    struct executed_block *block = NULL;
    for (uint64_t seq = 1; seq <= K; seq++) {
        executed_block_free(block);
        block = kit_execute_next(r->kit, e);
    }
    good(executor_fold(e, K));
    struct blob *proof = kit_checkpoint(r->kit, K, &block->header_hash, &block->state_root, NULL, 3);
    executed_block_free(block);
    assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(proof), &piece.certificate));
    good(executor_base_meta(e, &meta));
    assert_null(wire_decode_record(&wire_record_state_meta, meta, &piece.meta));
    executor_close(r->executor);
    r->executor = NULL;
    good(state_walk_open(r->dir.state, K, &w));
    for (uint32_t i = 0; v == STATE_WALK_TAKEN && i < 1000; i++) {
        assert_true(state_walk_ask(w, &number, &ask));
        assert_null(wire_decode_record(&wire_record_state_ask, bytes_of(ask.data, ask.len), &question));
        good(state_serve(store, &question, &items, &piece.items.count));
        piece.items.items = bytes_of(items.data, items.len);
        good(state_walk_take(w, number, &piece, &v));
        buffer_free(&ask);
        buffer_free(&items);
    }
    assert_int_equal(v, STATE_WALK_DONE);
    state_walk_close(w);
    executor_close(e);
    kv_store_close(store);
    blob_release(proof);
    good(executor_open(r->dir.state, r->kit->group, &r->executor));
}

static void test_start_above_a_transferred_state_knows_its_gap(void **state)
{
    struct recovery_room *r = *state;
    struct wire_checkpoint_certificate stable;
    uint64_t low;
    uint64_t high;
    uint8_t space[8];
    transfer(r, 20);
    recovery_room_put_prepared(r, 0, 21); /* of no more use */
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_int_equal(c->executed, K);
    assert_int_equal(c->stable.seq, K);
    assert_int_equal(c->gap_low, 21);
    assert_int_equal(c->gap_high, K);
    assert_true(digest_equal(&c->gap_hash, &c->stable.header_hash));
    assert_int_equal(c->slot_count, 0);
    good(log_get_stable(r->dir.log, &stable)); /* durable before the first vote (design.md 7.3) */
    assert_int_equal(stable.seq, K);
    good(log_get_gap(r->dir.log, &low, &high));
    assert_int_equal(low, 21);
    assert_int_equal(high, K);
    recovery_room_restart(r);
    assert_int_equal(recovery_room_recovered(r)->gap_low, 21); /* again the same */
    recovery_room_put_raw(r, LOG_TABLE_BLOCKS, recovery_room_seq_key(space, K), bytes_of_text("a block")); /* its top is here */
    struct kv_batch *b = kv_batch_new(); /* another transfer before it is filled */
    struct blob *proof = kit_checkpoint(r->kit, 2 * K, &stable.header_hash, &stable.state_root, NULL, 3);
    good(log_put_transferred(r->dir.log, b, 2 * K, blob_bytes(proof)));
    kit_apply(r->dir.log, b);
    blob_release(proof);
    good(log_get_gap(r->dir.log, &low, &high));
    assert_int_equal(low, 21);
    assert_int_equal(high, 2 * K);
}

static void test_start_on_a_state_between_checkpoints_transfers_first(void **state)
{
    struct recovery_room *r = *state;
    struct state_walk *w = NULL;
    recovery_room_grow(r, 20);
    executor_close(r->executor);
    r->executor = NULL;
    good(state_walk_open(r->dir.state, K, &w));
    state_walk_close(w);
    assert_true(state_is_walking(r->dir.state));
    recovery_free(&r->recovery);
    good(recovery_run(&r->dir, NULL, &r->kit->wire, kit_checker(r->kit), 0, KIT_CLIENT_COUNT, &r->recovery));
    assert_true(r->recovery.recovered.walking);
    assert_int_equal(r->recovery.recovered.executed, 20);
    assert_int_equal(r->recovery.recovered.stable.seq, 0);
    good(state_walk_open(r->dir.state, K, &w)); /* so that the room can be left as it was found */
    state_walk_close(w);
}

/* The highest block of the log is one of the gap: it came out of turn. */
static void test_start_above_a_gap_with_a_block_inside_is_the_same(void **state)
{
    struct recovery_room *r = *state;
    struct wire_stored_block block;
    uint64_t low;
    uint64_t high;
    transfer(r, 20);
    (void)recovery_room_recovered(r);
    good(log_get_block(r->dir.log, 20, &block));
    block.header.seq = 40;
    struct blob *raw = wire_encode_blob(&wire_record_stored_block, &block);
    uint8_t space[8];
    recovery_room_put_raw(r, LOG_TABLE_BLOCKS, recovery_room_seq_key(space, 40), blob_bytes(raw));
    blob_release(raw);
    recovery_room_restart(r);
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_int_equal(c->executed, K);
    assert_int_equal(c->gap_low, 21);
    assert_int_equal(c->gap_high, K);
    assert_true(digest_equal(&c->gap_hash, &c->stable.header_hash));
    struct kv_batch *b = kv_batch_new(); /* another transfer before it is filled */
    struct blob *proof = kit_checkpoint(r->kit, 2 * K, &c->stable.header_hash, &c->stable.state_root, NULL, 3);
    good(log_put_transferred(r->dir.log, b, 2 * K, blob_bytes(proof)));
    kit_apply(r->dir.log, b);
    blob_release(proof);
    good(log_get_gap(r->dir.log, &low, &high));
    assert_int_equal(low, 21);
    assert_int_equal(high, 2 * K);
}

/* A log that ends below the state is damage, unless that is where a transfer left it. */
static void test_start_with_a_log_below_its_state_is_corrupt(void **state)
{
    struct recovery_room *r = *state;
    uint8_t space[8];
    recovery_room_grow(r, K);
    recovery_room_put_raw(r, LOG_TABLE_BLOCKS, recovery_room_seq_key(space, K), bytes_of(NULL, 0));
    recovery_room_check_corrupt(r, "the blocks end at");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_past_blocks_arrive_as_they_were, recovery_room_setup,
                                        recovery_room_teardown),
        cmocka_unit_test_setup_teardown(test_past_block_out_of_turn_leaves_the_gap_record, recovery_room_setup,
                                        recovery_room_teardown),
        cmocka_unit_test_setup_teardown(test_start_above_a_gap_with_a_block_inside_is_the_same, recovery_room_setup,
                                        recovery_room_teardown),
        cmocka_unit_test_setup_teardown(test_past_block_that_lies_is_refused, recovery_room_setup,
                                        recovery_room_teardown),
        cmocka_unit_test_setup_teardown(test_block_that_has_rotted_is_not_served, recovery_room_setup,
                                        recovery_room_teardown),
        cmocka_unit_test_setup_teardown(test_past_block_whose_entries_are_of_another_batch_is_not_served,
                                        recovery_room_setup, recovery_room_teardown),
        cmocka_unit_test_setup_teardown(test_start_above_a_transferred_state_knows_its_gap, recovery_room_setup,
                                        recovery_room_teardown),
        cmocka_unit_test_setup_teardown(test_start_on_a_state_between_checkpoints_transfers_first, recovery_room_setup,
                                        recovery_room_teardown),
        cmocka_unit_test_setup_teardown(test_start_with_a_log_below_its_state_is_corrupt, recovery_room_setup,
                                        recovery_room_teardown),
    };
    return cmocka_run_group_tests_name("blocks", tests, NULL, NULL);
}
