/* test_recovery.c - from a data directory to what the core starts with: the ledger executed again, votes and
 * certificates as the replica left them, and everything damaged refused. */
#include "replica/run/recovery.h"

#include "tests/fixture/failing_store.h"
#include "tests/fixture/ledger_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PRIMARY_OF_VIEW_0 0u

/* A replica's two stores, in memory. */
struct room {
    struct kit *kit;
    struct data_dir dir;
    struct executor *executor;
    struct recovery recovery;
};

static void restart(struct room *r)
{
    executor_close(r->executor);
    const struct err e = executor_open(r->dir.state, r->kit->group, &r->executor);
    if (err_is(&e)) fail_msg("%s", e.text);
}

static int room_setup(void **state)
{
    struct room *r = mem_zero(1, sizeof *r);
    r->kit = kit_new(4, KIT_FAST);
    r->dir = (struct data_dir){.lock_fd = -1, .log = kv_store_new_memory(LOG_TABLE_COUNT)};
    r->executor = kit_executor_new(r->kit, &r->dir.state);
    struct kv_batch *b = kv_batch_new();
    log_put_view(b, 0);
    kit_apply(r->dir.log, b);
    *state = r;
    return 0;
}

static int room_teardown(void **state)
{
    struct room *r = *state;
    recovery_free(&r->recovery);
    executor_close(r->executor);
    kv_store_close(r->dir.log);
    kv_store_close(r->dir.state);
    kit_free(r->kit);
    free(r);
    return 0;
}

/* Grows the ledger and loses what is only in memory. */
static void grow(struct room *r, uint64_t last)
{
    kit_grow(r->kit, r->executor, r->dir.log, last, NULL);
    restart(r);
}

static struct err run(struct room *r)
{
    recovery_free(&r->recovery);
    return recovery_run(&r->dir, r->executor, &r->kit->wire, kit_checker(r->kit), &r->recovery);
}

static const struct core_recovered *recovered(struct room *r)
{
    const struct err e = run(r);
    if (err_is(&e)) fail_msg("%s", e.text);
    return &r->recovery.recovered;
}

/* Recovery must fail as corrupt, and say something with this in it. */
static void check_corrupt(struct room *r, const char *words)
{
    const struct err e = run(r);
    assert_int_equal(e.code, ERR_CORRUPT);
    if (strstr(e.text, words) == NULL) fail_msg("%s", e.text);
    assert_null(r->recovery.slots); /* freed and empty */
    assert_null(r->recovery.stable);
}

static void mark_clean(struct room *r)
{
    struct kv_batch *b = kv_batch_new();
    log_put_clean(b);
    kit_apply(r->dir.log, b);
}

static void set_view(struct room *r, uint64_t view)
{
    struct kv_batch *b = kv_batch_new();
    log_put_view(b, view);
    kit_apply(r->dir.log, b);
}

static struct blob *batch_at(const struct room *r, uint64_t seq, struct digest *digest)
{
    return kit_ledger_batch(r->kit, seq, digest);
}

static void put_prepared(struct room *r, uint64_t view, uint64_t seq)
{
    struct digest digest;
    struct blob *batch = batch_at(r, seq, &digest);
    struct blob *record = kit_prepared(r->kit, view, seq, &digest, NULL, 3);
    struct kv_batch *b = kv_batch_new();
    log_put_prepared(b, seq, &digest, blob_bytes(record), blob_bytes(batch));
    kit_apply(r->dir.log, b);
    blob_release(record);
    blob_release(batch);
}

/* A vote for the batch of the shared ledger at `of`, kept under seq. */
static void put_vote(struct room *r, uint64_t view, uint64_t seq, uint64_t of)
{
    struct digest digest;
    struct blob *batch = batch_at(r, of, &digest);
    struct wire_pre_prepare m = {.sender = view % 4, .view = view, .seq = seq, .digest = digest};
    kit_sign(r->kit, &r->kit->members[view % 4], &wire_record_pre_prepare, &m);
    const struct wire_stored_vote vote = {.view = view, .seq = seq, .digest = digest, .signature = m.signature};
    struct blob *record = wire_encode_blob(&wire_record_stored_vote, &vote);
    struct kv_batch *b = kv_batch_new();
    log_put_vote(b, seq, &digest, blob_bytes(record), blob_bytes(batch));
    kit_apply(r->dir.log, b);
    blob_release(record);
    blob_release(batch);
}

/* Replaces one stored value (NULL data: deletes it). */
static void put_raw(struct room *r, enum log_table table, struct bytes key, struct bytes value)
{
    struct kv_batch *b = kv_batch_new();
    if (value.data == NULL)
        kv_batch_delete(b, table, key);
    else
        kv_batch_put(b, table, key, value);
    kit_apply(r->dir.log, b);
}

static struct bytes seq_key(uint8_t space[8], uint64_t seq)
{
    be64_put(space, seq);
    return bytes_of(space, 8);
}

static struct bytes batch_key(const struct room *r, uint8_t space[40], uint64_t seq)
{
    struct digest digest;
    blob_release(batch_at(r, seq, &digest));
    be64_put(space, seq);
    memcpy(space + 8, digest.bytes, DIGEST_BYTES);
    return bytes_of(space, 40);
}

/* Flips one bit of a stored value, `from_end` bytes before its end. */
static void spoil(struct room *r, enum log_table table, struct bytes key, size_t from_end)
{
    struct bytes value;
    assert_int_equal(kv_store_get(r->dir.log, table, key, &value), KV_FOUND);
    struct blob *copy = blob_copy(value);
    copy->data[copy->len - 1 - from_end] ^= 1;
    put_raw(r, table, key, blob_bytes(copy));
    blob_release(copy);
}

/* ---- what is refused ---- */

static void test_recovery_without_view_is_corrupt(void **state)
{
    put_raw(*state, LOG_TABLE_META, bytes_of_text("view"), bytes_of(NULL, 0));
    check_corrupt(*state, "view");
}

static void test_recovery_with_a_missing_block_is_corrupt(void **state)
{
    uint8_t key[8];
    grow(*state, 20);
    put_raw(*state, LOG_TABLE_BLOCKS, seq_key(key, 7), bytes_of(NULL, 0));
    check_corrupt(*state, "block 7");
}

static void test_recovery_with_a_missing_batch_is_corrupt(void **state)
{
    uint8_t key[40];
    grow(*state, 20);
    put_raw(*state, LOG_TABLE_BATCHES, batch_key(*state, key, 7), bytes_of(NULL, 0));
    check_corrupt(*state, "7");
}

static void test_recovery_with_a_damaged_block_is_corrupt(void **state)
{
    uint8_t key[8];
    grow(*state, 20);
    put_raw(*state, LOG_TABLE_BLOCKS, seq_key(key, 7), bytes_of_text("garbage"));
    check_corrupt(*state, "block 7");
}

static void test_recovery_with_a_changed_header_is_corrupt(void **state)
{
    struct room *r = *state;
    struct wire_stored_block s;
    uint8_t key[8];
    grow(r, 20);
    assert_int_equal(log_get_block(r->dir.log, 7, &s).code, ERR_NONE);
    s.header.history_root.bytes[0] ^= 1;
    struct blob *changed = wire_encode_blob(&wire_record_stored_block, &s);
    put_raw(r, LOG_TABLE_BLOCKS, seq_key(key, 7), blob_bytes(changed));
    check_corrupt(r, "block 7 executed again gives another header");
    blob_release(changed);
}

/* A request of an unknown client leaves no entry, so the header alone would not show that it was put in. */
static void test_recovery_with_a_changed_batch_is_corrupt(void **state)
{
    struct room *r = *state;
    struct digest ignored;
    uint8_t key[40];
    grow(r, 20);
    const struct kit_op op = kit_append("x");
    struct blob *stranger = kit_request(r->kit, KIT_STRANGER, 1, KIT_EXPIRY, &op, 1);
    struct blob *other = kit_batch(10000, &stranger, 1, &ignored);
    put_raw(r, LOG_TABLE_BATCHES, batch_key(r, key, 10), blob_bytes(other));
    check_corrupt(r, "batch of sequence 10 is damaged");
    blob_release(other);
}

static void test_recovery_with_blocks_ending_below_the_stable_checkpoint_is_corrupt(void **state)
{
    struct room *r = *state;
    uint8_t key[8];
    grow(r, 128);
    put_raw(r, LOG_TABLE_BLOCKS, seq_key(key, 128), bytes_of(NULL, 0));
    check_corrupt(r, "the blocks end at 127");
}

static void test_recovery_with_the_state_ahead_of_the_blocks_is_corrupt(void **state)
{
    struct room *r = *state;
    kit_grow(r->kit, r->executor, NULL, 128, NULL); /* no block is written */
    assert_int_equal(executor_fold(r->executor, 128).code, ERR_NONE);
    restart(r);
    check_corrupt(r, "the state stands at 128");
}

static void test_recovery_with_a_damaged_stable_checkpoint_is_corrupt(void **state)
{
    struct room *r = *state;
    grow(r, 128);
    spoil(r, LOG_TABLE_META, bytes_of_text("stable"), 0); /* the last signature */
    check_corrupt(r, "stable checkpoint 128 proves nothing");
    put_raw(r, LOG_TABLE_META, bytes_of_text("stable"), bytes_of_text("garbage"));
    check_corrupt(r, "stable checkpoint");
}

static void test_recovery_with_a_damaged_certificate_is_corrupt(void **state)
{
    struct room *r = *state;
    uint8_t key[8];
    grow(r, 5);
    put_prepared(r, 0, 6);
    spoil(r, LOG_TABLE_CERTIFICATES, seq_key(key, 6), 0);
    check_corrupt(r, "prepared certificate of sequence 6 proves nothing");
}

static void test_recovery_with_too_few_signatures_on_a_certificate_is_corrupt(void **state)
{
    struct room *r = *state;
    struct digest digest;
    uint8_t key[8];
    put_prepared(r, 0, 6);
    blob_release(batch_at(r, 6, &digest));
    struct blob *record = kit_prepared(r->kit, 0, 6, &digest, NULL, 2);
    put_raw(r, LOG_TABLE_CERTIFICATES, seq_key(key, 6), blob_bytes(record));
    check_corrupt(r, "prepared certificate of sequence 6 proves nothing");
    blob_release(record);
}

static void test_recovery_with_a_certificate_without_its_batch_is_corrupt(void **state)
{
    struct room *r = *state;
    uint8_t key[40];
    put_prepared(r, 0, 6);
    put_raw(r, LOG_TABLE_BATCHES, batch_key(r, key, 6), bytes_of(NULL, 0));
    check_corrupt(r, "6");
}

/* The core would execute such a batch in place of the one that was agreed. */
static void test_recovery_with_a_certificate_of_another_batch_is_corrupt(void **state)
{
    struct room *r = *state;
    struct digest ignored;
    uint8_t key[40];
    put_prepared(r, 0, 6);
    struct blob *other = batch_at(r, 5, &ignored);
    put_raw(r, LOG_TABLE_BATCHES, batch_key(r, key, 6), blob_bytes(other));
    check_corrupt(r, "batch of sequence 6 is damaged: it has another digest");
    put_raw(r, LOG_TABLE_BATCHES, batch_key(r, key, 6), bytes_of_text("garbage"));
    check_corrupt(r, "batch of sequence 6 is damaged");
    blob_release(other);
}

static void test_recovery_with_a_vote_that_its_primary_did_not_propose_is_corrupt(void **state)
{
    struct room *r = *state;
    uint8_t key[8];
    mark_clean(r);
    put_vote(r, 0, 6, 6);
    spoil(r, LOG_TABLE_VOTES, seq_key(key, 6), 0);
    check_corrupt(r, "vote of sequence 6");
}

static void test_recovery_with_a_vote_without_its_batch_is_corrupt(void **state)
{
    struct room *r = *state;
    uint8_t key[40];
    mark_clean(r);
    put_vote(r, 0, 6, 6);
    put_raw(r, LOG_TABLE_BATCHES, batch_key(r, key, 6), bytes_of(NULL, 0));
    check_corrupt(r, "6");
}

/* Rule 12. */
static void test_recovery_with_a_vote_and_a_certificate_that_differ_is_corrupt(void **state)
{
    struct room *r = *state;
    mark_clean(r);
    put_vote(r, 0, 6, 5);
    put_prepared(r, 0, 6);
    check_corrupt(r, "sequence 6 contradict");
}

/* The walk over the records went round for ever. */
static void test_recovery_with_a_record_of_another_sequence_than_its_key_ends(void **state)
{
    struct room *r = *state;
    struct bytes value;
    uint8_t key[8];
    put_prepared(r, 0, 6);
    assert_int_equal(kv_store_get(r->dir.log, LOG_TABLE_CERTIFICATES, seq_key(key, 6), &value), KV_FOUND);
    struct blob *copy = blob_copy(value);
    put_raw(r, LOG_TABLE_CERTIFICATES, seq_key(key, 200), blob_bytes(copy));
    check_corrupt(r, "another sequence than its key");
    blob_release(copy);
}

static void test_recovery_on_a_failing_store_gives_its_error(void **state)
{
    struct room *r = *state;
    struct failing_store *f = failing_store_new(LOG_TABLE_COUNT);
    struct kv_store *log = r->dir.log;
    atomic_store(&f->reads_fail, true);
    r->dir.log = &f->base;
    assert_int_equal(run(r).code, ERR_IO);
    r->dir.log = log;
    kv_store_close(&f->base);
}

/* ---- the ledger ---- */

static void test_recovery_of_a_new_directory_is_the_beginning(void **state)
{
    struct room *r = *state;
    mark_clean(r);
    const struct core_recovered *c = recovered(r);
    assert_int_equal(c->view, 0);
    assert_true(c->clean);
    assert_int_equal(c->stable.seq, 0);
    assert_int_equal(c->executed, 0);
    assert_int_equal(c->executed_time_ms, 0);
    assert_int_equal(c->slot_count, 0);
    assert_int_equal(c->checkpoint_count, 0);
    assert_int_equal(r->recovery.blocks_executed, 0);
    for (uint32_t i = 0; i < KIT_CLIENT_COUNT; i++) {
        assert_int_equal(c->windows[i].highest_settled, 0);
        assert_int_equal(c->windows[i].settled, 0);
    }
}

static void test_recovery_executes_the_blocks_above_the_base_again(void **state)
{
    struct room *r = *state;
    kit_grow(r->kit, r->executor, r->dir.log, 300, NULL);
    assert_int_equal(executor_fold(r->executor, 128).code, ERR_NONE);
    const struct wire_header before = executor_header(r->executor);
    restart(r);
    const struct core_recovered *c = recovered(r);
    const struct wire_header after = executor_header(r->executor);
    assert_int_equal(c->executed, 300);
    assert_int_equal(c->executed_time_ms, 300000);
    assert_int_equal(c->stable.seq, 256);
    assert_int_equal(r->recovery.blocks_executed, 300 - 128);
    assert_int_equal(wire_compare_record(&wire_record_header, &before, &after), 0);
}

static void test_recovery_folds_up_to_the_stable_checkpoint(void **state)
{
    struct room *r = *state;
    grow(r, 300);
    assert_int_equal(recovered(r)->stable.seq, 256);
    assert_int_equal(executor_base(r->executor), 256);
    restart(r);
    assert_int_equal(executor_executed(r->executor), 256);
    (void)recovered(r);
    assert_int_equal(r->recovery.blocks_executed, 300 - 256);
}

static void test_recovery_gives_the_checkpoints_above_the_stable_one(void **state)
{
    struct room *r = *state;
    struct bytes raw;
    struct wire_checkpoint_certificate proven;
    grow(r, 300);
    assert_int_equal(recovered(r)->checkpoint_count, 0);
    /* the certificate of 256 never came: 128 is stable */
    assert_int_equal(log_get_checkpoint(r->dir.log, 128, &proven, &raw).code, ERR_NONE);
    struct blob *first = blob_copy(raw);
    assert_int_equal(log_get_checkpoint(r->dir.log, 256, &proven, &raw).code, ERR_NONE);
    const struct wire_checkpoint_certificate want = proven;
    put_raw(r, LOG_TABLE_META, bytes_of_text("stable"), blob_bytes(first));
    kv_store_close(r->dir.state);
    executor_close(r->executor);
    r->executor = kit_executor_new(r->kit, &r->dir.state);
    const struct core_recovered *c = recovered(r);
    assert_int_equal(c->stable.seq, 128);
    assert_int_equal(c->checkpoint_count, 1);
    assert_int_equal(c->checkpoints[0].seq, 256);
    assert_memory_equal(c->checkpoints[0].header_hash.bytes, want.header_hash.bytes, DIGEST_BYTES);
    assert_memory_equal(c->checkpoints[0].state_root.bytes, want.state_root.bytes, DIGEST_BYTES);
    blob_release(first);
}

static void test_recovery_stable_checkpoint_comes_back_with_its_signatures(void **state)
{
    struct room *r = *state;
    grow(r, 128);
    const struct core_recovered *c = recovered(r);
    assert_int_equal(c->stable.seq, 128);
    assert_int_equal(c->stable.signatures.count, 3);
    assert_null(certificate_check_checkpoint(&r->kit->wire, kit_checker(r->kit), &c->stable));
}

static void test_recovery_windows_say_which_sequences_are_settled(void **state)
{
    struct room *r = *state;
    grow(r, 99);
    const struct core_recovered *c = recovered(r);
    assert_int_equal(c->windows[KIT_WRITER].highest_settled, 99);
    for (uint64_t seq = 99 - CLIENT_WINDOW + 1; seq <= 99; seq++)
        assert_int_equal(c->windows[KIT_WRITER].settled >> (seq % CLIENT_WINDOW) & 1, seq % 10 != 0);
    assert_int_equal(c->windows[KIT_OTHER].highest_settled, 0);
    assert_int_equal(c->windows[KIT_OTHER].settled, 0);
}

static void test_recovery_of_a_young_window_does_not_count_below_1(void **state)
{
    struct room *r = *state;
    grow(r, 4);
    const struct core_recovered *c = recovered(r);
    assert_int_equal(c->windows[KIT_WRITER].highest_settled, 4);
    assert_int_equal(c->windows[KIT_WRITER].settled, 0x1e); /* bits 1 to 4 */
}

/* ---- votes and certificates ---- */

static void test_recovery_after_an_unclean_stop_gives_no_votes(void **state)
{
    struct room *r = *state;
    put_vote(r, 0, 6, 6);
    const struct core_recovered *c = recovered(r);
    assert_false(c->clean);
    assert_int_equal(c->slot_count, 0);
}

static void test_recovery_after_a_clean_stop_gives_the_votes(void **state)
{
    struct room *r = *state;
    struct digest digest;
    grow(r, 5);
    mark_clean(r);
    put_vote(r, 0, 6, 6);
    put_vote(r, 0, 8, 8);
    const struct core_recovered *c = recovered(r);
    assert_true(c->clean);
    assert_int_equal(c->slot_count, 2);
    struct blob *batch = batch_at(r, 8, &digest);
    assert_int_equal(c->slots[0].seq, 6);
    assert_int_equal(c->slots[1].seq, 8);
    assert_false(c->slots[1].certificate);
    assert_memory_equal(c->slots[1].digest.bytes, digest.bytes, DIGEST_BYTES);
    assert_true(bytes_equal(blob_bytes(c->slots[1].batch), blob_bytes(batch)));
    assert_int_equal(c->slots[1].time_ms, 8000);
    struct wire_pre_prepare m = {.sender = PRIMARY_OF_VIEW_0, .seq = 8, .digest = digest};
    kit_sign(r->kit, &r->kit->members[PRIMARY_OF_VIEW_0], &wire_record_pre_prepare, &m);
    assert_memory_equal(c->slots[1].proposal.bytes, m.signature.bytes, SIGNATURE_BYTES);
    blob_release(batch);
}

static void test_recovery_gives_certificates_clean_or_not(void **state)
{
    struct room *r = *state;
    grow(r, 5);
    put_prepared(r, 0, 6);
    for (uint32_t clean = 0; clean < 2; clean++) {
        const struct core_recovered *c = recovered(r);
        assert_int_equal(c->clean, clean);
        assert_int_equal(c->slot_count, 1);
        assert_int_equal(c->slots[0].seq, 6);
        assert_true(c->slots[0].certificate);
        assert_non_null(c->slots[0].batch);
        assert_int_equal(c->slots[0].time_ms, 6000);
        assert_null(certificate_check_prepared(&r->kit->wire, kit_checker(r->kit), &c->slots[0].prepared));
        mark_clean(r);
        restart(r);
    }
}

static void test_recovery_joins_vote_and_certificate_of_one_sequence(void **state)
{
    struct room *r = *state;
    mark_clean(r);
    put_vote(r, 0, 6, 6);
    put_prepared(r, 0, 6);
    put_prepared(r, 0, 7);
    const struct core_recovered *c = recovered(r);
    assert_int_equal(c->slot_count, 2);
    assert_int_equal(c->slots[0].seq, 6);
    assert_true(c->slots[0].certificate);
    assert_int_equal(c->slots[1].seq, 7);
}

static void test_recovery_leaves_out_what_is_outside_the_window(void **state)
{
    struct room *r = *state;
    grow(r, 128);
    mark_clean(r);
    static const uint64_t seqs[] = {1, 128, 129, 128 + WINDOW_BATCHES, 128 + WINDOW_BATCHES + 1};
    for (size_t i = 0; i < sizeof seqs / sizeof *seqs; i++) {
        put_prepared(r, 0, seqs[i]);
        put_vote(r, 0, seqs[i], seqs[i]);
    }
    const struct core_recovered *c = recovered(r);
    assert_int_equal(c->slot_count, 2);
    assert_int_equal(c->slots[0].seq, 129);
    assert_int_equal(c->slots[1].seq, 128 + WINDOW_BATCHES);
}

static void test_recovery_leaves_out_what_is_of_another_view(void **state)
{
    struct room *r = *state;
    mark_clean(r);
    set_view(r, 4);
    put_prepared(r, 3, 5);
    put_prepared(r, 4, 6);
    put_prepared(r, 5, 7);
    put_vote(r, 3, 8, 8);
    put_vote(r, 4, 9, 9);
    put_vote(r, 5, 10, 10);
    const struct core_recovered *c = recovered(r);
    assert_int_equal(c->view, 4);
    assert_int_equal(c->slot_count, 2);
    assert_int_equal(c->slots[0].seq, 9);
    assert_int_equal(c->slots[1].seq, 6);
}

static void test_recovery_of_a_full_window_gives_every_slot(void **state)
{
    struct room *r = *state;
    mark_clean(r);
    for (uint64_t seq = 1; seq <= WINDOW_BATCHES; seq++) {
        put_prepared(r, 0, seq);
        put_vote(r, 0, seq, seq);
    }
    const struct core_recovered *c = recovered(r);
    assert_int_equal(c->slot_count, WINDOW_BATCHES);
    for (uint32_t i = 0; i < WINDOW_BATCHES; i++) {
        assert_int_equal(c->slots[i].seq, i + 1);
        assert_int_equal(c->slots[i].prepared.seq, i + 1);
    }
}

static void test_recovery_of_real_signatures_checks_them(void **state)
{
    struct room *r = *state;
    uint8_t key[8];
    r->kit->signatures = KIT_REAL;
    grow(r, 130);
    put_prepared(r, 0, 131);
    put_vote(r, 0, 132, 132);
    mark_clean(r);
    assert_int_equal(recovered(r)->slot_count, 2);
    restart(r);
    spoil(r, LOG_TABLE_CERTIFICATES, seq_key(key, 131), 10);
    check_corrupt(r, "131");
}

static void test_recovery_freed_twice_is_harmless(void **state)
{
    struct room *r = *state;
    (void)recovered(r);
    recovery_free(&r->recovery);
    recovery_free(&r->recovery);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_recovery_without_view_is_corrupt),
        ROOM_TEST(test_recovery_with_a_missing_block_is_corrupt),
        ROOM_TEST(test_recovery_with_a_missing_batch_is_corrupt),
        ROOM_TEST(test_recovery_with_a_damaged_block_is_corrupt),
        ROOM_TEST(test_recovery_with_a_changed_header_is_corrupt),
        ROOM_TEST(test_recovery_with_a_changed_batch_is_corrupt),
        ROOM_TEST(test_recovery_with_blocks_ending_below_the_stable_checkpoint_is_corrupt),
        ROOM_TEST(test_recovery_with_the_state_ahead_of_the_blocks_is_corrupt),
        ROOM_TEST(test_recovery_with_a_damaged_stable_checkpoint_is_corrupt),
        ROOM_TEST(test_recovery_with_a_damaged_certificate_is_corrupt),
        ROOM_TEST(test_recovery_with_too_few_signatures_on_a_certificate_is_corrupt),
        ROOM_TEST(test_recovery_with_a_certificate_without_its_batch_is_corrupt),
        ROOM_TEST(test_recovery_with_a_certificate_of_another_batch_is_corrupt),
        ROOM_TEST(test_recovery_with_a_vote_that_its_primary_did_not_propose_is_corrupt),
        ROOM_TEST(test_recovery_with_a_vote_without_its_batch_is_corrupt),
        ROOM_TEST(test_recovery_with_a_vote_and_a_certificate_that_differ_is_corrupt),
        ROOM_TEST(test_recovery_with_a_record_of_another_sequence_than_its_key_ends),
        ROOM_TEST(test_recovery_on_a_failing_store_gives_its_error),
        ROOM_TEST(test_recovery_of_a_new_directory_is_the_beginning),
        ROOM_TEST(test_recovery_executes_the_blocks_above_the_base_again),
        ROOM_TEST(test_recovery_folds_up_to_the_stable_checkpoint),
        ROOM_TEST(test_recovery_gives_the_checkpoints_above_the_stable_one),
        ROOM_TEST(test_recovery_stable_checkpoint_comes_back_with_its_signatures),
        ROOM_TEST(test_recovery_windows_say_which_sequences_are_settled),
        ROOM_TEST(test_recovery_of_a_young_window_does_not_count_below_1),
        ROOM_TEST(test_recovery_after_an_unclean_stop_gives_no_votes),
        ROOM_TEST(test_recovery_after_a_clean_stop_gives_the_votes),
        ROOM_TEST(test_recovery_gives_certificates_clean_or_not),
        ROOM_TEST(test_recovery_joins_vote_and_certificate_of_one_sequence),
        ROOM_TEST(test_recovery_leaves_out_what_is_outside_the_window),
        ROOM_TEST(test_recovery_leaves_out_what_is_of_another_view),
        ROOM_TEST(test_recovery_of_a_full_window_gives_every_slot),
        ROOM_TEST(test_recovery_of_real_signatures_checks_them),
        ROOM_TEST(test_recovery_freed_twice_is_harmless),
    };
    return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
