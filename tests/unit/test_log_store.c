/* test_log_store.c - the records of the log environment: each comes back as it was put, a stable checkpoint takes away
 * what it may and nothing else, and damaged records are reported. */
#include "ledger/log_store.h"

#include "tests/fixture/failing_store.h"
#include "tests/fixture/ledger_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct room {
    struct kit *kit;
    struct kv_store *log;
};

static int room_setup(void **state)
{
    struct room *r = mem_zero(1, sizeof *r);
    r->kit = kit_new(4, KIT_FAST);
    r->log = kv_store_new_memory(LOG_TABLE_COUNT);
    *state = r;
    return 0;
}

static int room_teardown(void **state)
{
    struct room *r = *state;
    kv_store_close(r->log);
    kit_free(r->kit);
    free(r);
    return 0;
}

static struct digest digest_number(uint64_t n)
{
    struct digest d = {{0xd1}};
    be64_put(d.bytes + 8, n);
    return d;
}

static struct bytes seq_bytes(uint8_t space[8], uint64_t seq)
{
    be64_put(space, seq);
    return bytes_of(space, 8);
}

/* Puts raw bytes where a record stands. */
static void put_raw(struct room *r, enum log_table table, struct bytes key, struct bytes value)
{
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, table, key, value);
    kit_apply(r->log, b);
}

static bool there(struct room *r, enum log_table table, struct bytes key)
{
    struct bytes value;
    return kv_store_get(r->log, table, key, &value) == KV_FOUND;
}

/* A prepared certificate of digest number `n` at seq, with the text as its batch. */
static void put_prepared(struct room *r, uint64_t seq, uint64_t n, const char *batch)
{
    const struct digest d = digest_number(n);
    struct blob *record = kit_prepared(r->kit, 0, seq, &d, NULL, 3);
    struct kv_batch *b = kv_batch_new();
    log_put_prepared(b, seq, &d, blob_bytes(record), batch == NULL ? bytes_of(NULL, 0) : bytes_of_text(batch));
    kit_apply(r->log, b);
    blob_release(record);
}

static void put_vote(struct room *r, uint64_t seq, uint64_t n, const char *batch)
{
    const struct wire_stored_vote vote = {.view = 3, .seq = seq, .digest = digest_number(n)};
    struct blob *record = wire_encode_blob(&wire_record_stored_vote, &vote);
    struct kv_batch *b = kv_batch_new();
    log_put_vote(b, seq, &vote.digest, blob_bytes(record), bytes_of_text(batch));
    kit_apply(r->log, b);
    blob_release(record);
}

static bool has_batch(struct room *r, uint64_t seq, uint64_t n, const char *want)
{
    const struct digest d = digest_number(n);
    struct bytes raw;
    struct err e = log_get_batch(r->log, seq, &d, &raw);
    if (e.code == ERR_NOT_FOUND) return false;
    assert_int_equal(e.code, ERR_NONE);
    assert_true(bytes_equal(raw, bytes_of_text(want)));
    return true;
}

/* A block at seq whose batch is the text, and has digest number `n`. */
static void put_block(struct room *r, uint64_t seq, uint64_t n, const char *batch)
{
    const struct executed_block block = {.header = {.seq = seq, .batch_digest = digest_number(n)}};
    struct blob *committed = kit_committed(r->kit, 0, seq, &block.header.batch_digest, NULL, 3);
    struct kv_batch *b = kv_batch_new();
    log_put_block(b, &block, blob_bytes(committed), bytes_of_text(batch));
    kit_apply(r->log, b);
    blob_release(committed);
}

static void make_stable(struct room *r, uint64_t seq)
{
    const struct executed_block block = {.header = {.seq = seq}, .header_hash = digest_number(seq)};
    kit_make_stable(r->kit, r->log, &block);
}

/* ---- identity, view, clean mark ---- */

static void test_log_store_identity_absent_or_damaged_is_corrupt(void **state)
{
    struct room *r = *state;
    struct wire_store_identity got;
    assert_int_equal(log_get_identity(r->log, &got).code, ERR_CORRUPT);
    put_raw(r, LOG_TABLE_META, bytes_of_text("identity"), bytes_of_text("garbage"));
    assert_int_equal(log_get_identity(r->log, &got).code, ERR_CORRUPT);
}

static void test_log_store_identity_comes_back(void **state)
{
    struct room *r = *state;
    const struct wire_store_identity want = {.format = 9, .group = digest_number(4), .replica = 3};
    struct wire_store_identity got;
    struct kv_batch *b = kv_batch_new();
    log_put_identity(b, &want);
    kit_apply(r->log, b);
    assert_int_equal(log_get_identity(r->log, &got).code, ERR_NONE);
    assert_int_equal(wire_compare_record(&wire_record_store_identity, &got, &want), 0);
}

static void test_log_store_view_absent_or_malformed_is_corrupt(void **state)
{
    struct room *r = *state;
    static const size_t lengths[] = {7, 8, 9, 15, 17, 24};
    uint8_t raw[24] = {0};
    uint64_t view = 77;
    assert_int_equal(log_get_view(r->log, &view).code, ERR_CORRUPT);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        put_raw(r, LOG_TABLE_META, bytes_of_text("view"), bytes_of(raw, lengths[i]));
        assert_int_equal(log_get_view(r->log, &view).code, ERR_CORRUPT);
    }
    struct kv_batch *b = kv_batch_new();
    log_put_view(b, VIEW_MAX + 1);
    kit_apply(r->log, b);
    assert_int_equal(log_get_view(r->log, &view).code, ERR_CORRUPT);
    assert_int_equal(view, 77);
}

/* Any bit of a promise that only this replica keeps. */
static void check_every_bit(struct room *r, const char *key, size_t len, bool fence)
{
    uint8_t raw[24];
    struct bytes value;
    uint64_t number = 77;
    enum fence_reason reason = FENCE_REASON_NONE;
    assert_int_equal(kv_store_get(r->log, LOG_TABLE_META, bytes_of_text(key), &value), KV_FOUND);
    assert_int_equal(value.len, len);
    memcpy(raw, value.data, len);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
        put_raw(r, LOG_TABLE_META, bytes_of_text(key), bytes_of(raw, len));
        const struct err e = fence ? log_get_fence(r->log, &number, &reason) : log_get_view(r->log, &number);
        assert_int_equal(e.code, ERR_CORRUPT);
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(number, 77);
}

static void test_log_store_view_and_fence_with_any_bit_changed_are_corrupt(void **state)
{
    struct room *r = *state;
    struct kv_batch *b = kv_batch_new();
    log_put_view(b, 6);
    log_put_fence(b, 512, FENCE_REASON_NEW_DIRECTORY);
    kit_apply(r->log, b);
    check_every_bit(r, "view", 16, false);
    check_every_bit(r, "fence", 24, true);
}

static void test_log_store_fence_comes_back_with_its_reason(void **state)
{
    struct room *r = *state;
    for (uint32_t k = 0; k <= FENCE_REASON_MAX; k++) {
        uint64_t until = 77;
        enum fence_reason reason = FENCE_REASON_VOTE_LOST;
        struct kv_batch *b = kv_batch_new();
        if (k > 0) log_put_fence(b, 1000 + k, (enum fence_reason)k);
        kit_apply(r->log, b);
        assert_int_equal(log_get_fence(r->log, &until, &reason).code, ERR_NONE);
        assert_int_equal(until, k == 0 ? 0 : 1000 + k);
        assert_int_equal(reason, k);
    }
}

static void test_log_store_view_comes_back(void **state)
{
    struct room *r = *state;
    static const uint64_t views[] = {0, 1, VIEW_MAX};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        uint64_t got = 77;
        struct kv_batch *b = kv_batch_new();
        log_put_view(b, views[i]);
        kit_apply(r->log, b);
        assert_int_equal(log_get_view(r->log, &got).code, ERR_NONE);
        assert_int_equal(got, views[i]);
    }
}

static void test_log_store_clean_mark_is_there_until_deleted(void **state)
{
    struct room *r = *state;
    assert_false(log_is_clean(r->log));
    struct kv_batch *b = kv_batch_new();
    log_put_clean(b);
    kit_apply(r->log, b);
    assert_true(log_is_clean(r->log));
    b = kv_batch_new();
    log_delete_clean(b);
    kit_apply(r->log, b);
    assert_false(log_is_clean(r->log));
}

/* ---- stable checkpoints ---- */

static void test_log_store_without_checkpoint_the_stable_one_is_the_beginning(void **state)
{
    struct room *r = *state;
    struct wire_checkpoint_certificate got;
    struct bytes raw;
    assert_int_equal(log_get_stable(r->log, &got).code, ERR_NONE);
    assert_int_equal(got.seq, 0);
    assert_int_equal(got.signatures.count, 0);
    assert_int_equal(log_get_checkpoint(r->log, 128, &got, &raw).code, ERR_NOT_FOUND);
}

static void test_log_store_damaged_stable_checkpoint_is_corrupt(void **state)
{
    struct room *r = *state;
    struct wire_checkpoint_certificate got;
    struct bytes raw;
    uint8_t key[8];
    put_raw(r, LOG_TABLE_META, bytes_of_text("stable"), bytes_of_text("garbage"));
    put_raw(r, LOG_TABLE_CHECKPOINTS, seq_bytes(key, 128), bytes_of_text("garbage"));
    assert_int_equal(log_get_stable(r->log, &got).code, ERR_CORRUPT);
    assert_int_equal(log_get_checkpoint(r->log, 128, &got, &raw).code, ERR_CORRUPT);
    struct kv_batch *b = kv_batch_new();
    assert_int_equal(log_put_stable(r->log, b, 256, bytes_of_text("x")).code, ERR_CORRUPT);
    kv_batch_free(b);
}

static void test_log_store_every_stable_checkpoint_stays_and_the_last_is_stable(void **state)
{
    struct room *r = *state;
    struct wire_checkpoint_certificate got;
    struct bytes raw;
    make_stable(r, 128);
    make_stable(r, 256);
    assert_int_equal(log_get_stable(r->log, &got).code, ERR_NONE);
    assert_int_equal(got.seq, 256);
    for (uint64_t seq = 128; seq <= 256; seq += 128) {
        const struct digest hash = digest_number(seq);
        assert_int_equal(log_get_checkpoint(r->log, seq, &got, &raw).code, ERR_NONE);
        assert_int_equal(got.seq, seq);
        assert_memory_equal(got.header_hash.bytes, hash.bytes, DIGEST_BYTES);
        assert_null(wire_decode_record(&wire_record_checkpoint_certificate, raw, &got));
    }
}

static void test_log_store_stable_drops_certificates_and_votes_up_to_it_only(void **state)
{
    struct room *r = *state;
    uint8_t key[8];
    put_block(r, 127, 1, "one");
    put_block(r, 128, 2, "two");
    for (uint64_t seq = 127; seq <= 130; seq++) {
        put_prepared(r, seq, seq == 127 ? 1 : seq == 128 ? 2 : seq, "cert");
        put_vote(r, seq, seq == 127 ? 1 : seq == 128 ? 2 : seq, "vote");
    }
    make_stable(r, 128);
    for (uint64_t seq = 127; seq <= 130; seq++) {
        assert_int_equal(there(r, LOG_TABLE_CERTIFICATES, seq_bytes(key, seq)), seq > 128);
        assert_int_equal(there(r, LOG_TABLE_VOTES, seq_bytes(key, seq)), seq > 128);
    }
}

static void test_log_store_stable_drops_unused_batches_up_to_it_only(void **state)
{
    struct room *r = *state;
    for (uint64_t seq = 1; seq <= 130; seq++) {
        put_prepared(r, seq, 1000 + seq, "other a");
        put_prepared(r, seq, 2000 + seq, "used");
        put_prepared(r, seq, 3000 + seq, "other b");
        if (seq <= 129) put_block(r, seq, 2000 + seq, "used");
    }
    make_stable(r, 128);
    for (uint64_t seq = 1; seq <= 130; seq++) {
        assert_int_equal(has_batch(r, seq, 1000 + seq, "other a"), seq > 128);
        assert_true(has_batch(r, seq, 2000 + seq, "used"));
        assert_int_equal(has_batch(r, seq, 3000 + seq, "other b"), seq > 128);
    }
    put_block(r, 130, 2130, "used");
    for (uint64_t seq = 131; seq <= 256; seq++)
        put_block(r, seq, 2000 + seq, "used");
    make_stable(r, 256);
    for (uint64_t seq = 1; seq <= 256; seq++) {
        assert_false(has_batch(r, seq, 1000 + seq, "other a"));
        assert_true(has_batch(r, seq, 2000 + seq, "used"));
    }
}

/* Rule 30 and design 7.7: without the block nothing says which batch is used, so nothing goes. */
static void test_log_store_stable_without_the_block_is_an_error(void **state)
{
    struct room *r = *state;
    struct kv_batch *b = kv_batch_new();
    put_prepared(r, 128, 1, "batch");
    assert_int_equal(log_put_stable(r->log, b, 128, bytes_of_text("x")).code, ERR_NOT_FOUND);
    kv_batch_free(b);
}

/* Whichever of its reads fails. */
static void test_log_store_stable_on_a_failing_store_gives_its_error(void **state)
{
    struct room *r = *state;
    struct failing_store *f = failing_store_new(LOG_TABLE_COUNT);
    struct kv_store *log = r->log;
    struct err e = {.code = ERR_IO};
    int reads = 0;
    r->log = &f->base;
    put_block(r, 1, 1, "used");
    put_prepared(r, 1, 1, NULL);
    put_vote(r, 1, 1, "used");
    while (e.code == ERR_IO) {
        struct kv_batch *b = kv_batch_new();
        atomic_store(&f->reads_left, reads++);
        e = log_put_stable(&f->base, b, 128, bytes_of_text("x"));
        kv_batch_free(b);
    }
    assert_int_equal(e.code, ERR_NONE);
    assert_true(reads > 6); /* the old one; two records and two ends; the batch and its block */
    r->log = log;
    kv_store_close(&f->base);
}

/* ---- blocks and batches ---- */

static void test_log_store_without_blocks_the_last_is_0(void **state)
{
    struct room *r = *state;
    struct wire_stored_block got;
    uint64_t last = 77;
    assert_int_equal(log_last_block(r->log, &last).code, ERR_NONE);
    assert_int_equal(last, 0);
    assert_int_equal(log_get_block(r->log, 1, &got).code, ERR_NOT_FOUND);
}

static void test_log_store_damaged_block_is_corrupt(void **state)
{
    struct room *r = *state;
    struct wire_stored_block got;
    struct bytes value;
    uint8_t key[8];
    uint64_t last;
    put_block(r, 7, 1, "b");
    assert_int_equal(kv_store_get(r->log, LOG_TABLE_BLOCKS, seq_bytes(key, 7), &value), KV_FOUND);
    struct blob *raw = blob_copy(value);
    put_raw(r, LOG_TABLE_BLOCKS, seq_bytes(key, 8), blob_bytes(raw));
    struct err e = log_get_block(r->log, 8, &got); /* says it is block 7 */
    assert_int_equal(e.code, ERR_CORRUPT);
    assert_non_null(strstr(e.text, "8"));
    put_raw(r, LOG_TABLE_BLOCKS, seq_bytes(key, 7), bytes_of(raw->data, raw->len - 1));
    e = log_get_block(r->log, 7, &got);
    assert_int_equal(e.code, ERR_CORRUPT);
    assert_non_null(strstr(e.text, "7"));
    put_raw(r, LOG_TABLE_BLOCKS, bytes_of_text("no sequence"), blob_bytes(raw));
    assert_int_equal(log_last_block(r->log, &last).code, ERR_CORRUPT);
    blob_release(raw);
}

static void test_log_store_block_comes_back_with_entries_certificate_and_batch(void **state)
{
    struct room *r = *state;
    struct kv_store *store;
    struct executor *e = kit_executor_new(r->kit, &store);
    kit_grow(r->kit, e, r->log, 20, NULL);
    executor_close(e);
    kv_store_close(store);
    e = kit_executor_new(r->kit, &store);
    uint64_t last;
    assert_int_equal(log_last_block(r->log, &last).code, ERR_NONE);
    assert_int_equal(last, 20);
    for (uint64_t seq = 1; seq <= 20; seq++) {
        struct wire_stored_block got;
        struct bytes batch;
        struct digest digest;
        struct executed_block *want = kit_execute_next(r->kit, e);
        struct blob *want_batch = kit_ledger_batch(r->kit, seq, &digest);
        assert_int_equal(log_get_block(r->log, seq, &got).code, ERR_NONE);
        assert_int_equal(wire_compare_record(&wire_record_header, &got.header, &want->header), 0);
        assert_int_equal(got.entries.count, want->entry_count);
        assert_true(bytes_equal(got.entries.items, bytes_of(want->entries.data, want->entries.len)));
        assert_null(certificate_check_committed(&r->kit->wire, kit_checker(r->kit), &got.committed));
        assert_int_equal(log_get_batch(r->log, seq, &digest, &batch).code, ERR_NONE);
        assert_true(bytes_equal(batch, blob_bytes(want_batch)));
        blob_release(want_batch);
        executed_block_free(want);
    }
    executor_close(e);
    kv_store_close(store);
}

static void test_log_store_batch_of_another_digest_or_sequence_is_not_found(void **state)
{
    struct room *r = *state;
    put_prepared(r, 5, 1, "batch");
    assert_true(has_batch(r, 5, 1, "batch"));
    assert_false(has_batch(r, 5, 2, "batch"));
    assert_false(has_batch(r, 4, 1, "batch"));
    assert_false(has_batch(r, 6, 1, "batch"));
}

/* The header says that the batch may be left out: it was put with length 0 over the stored one. */
static void test_log_store_prepared_without_batch_keeps_the_stored_one(void **state)
{
    struct room *r = *state;
    put_prepared(r, 5, 1, "batch");
    put_prepared(r, 5, 1, NULL);
    assert_true(has_batch(r, 5, 1, "batch"));
}

/* ---- walking certificates and votes ---- */

static void test_log_store_next_at_the_end_is_not_found(void **state)
{
    struct room *r = *state;
    struct wire_vote_certificate c;
    struct wire_stored_vote v;
    struct log_place at;
    assert_int_equal(log_next_prepared(r->log, 0, &at, &c).code, ERR_NOT_FOUND);
    assert_int_equal(log_next_vote(r->log, 0, &at, &v).code, ERR_NOT_FOUND);
    put_prepared(r, 5, 1, "b");
    put_vote(r, 6, 1, "b");
    assert_int_equal(log_next_prepared(r->log, 6, &at, &c).code, ERR_NOT_FOUND);
    assert_int_equal(log_next_vote(r->log, 7, &at, &v).code, ERR_NOT_FOUND);
}

static void test_log_store_next_gives_each_in_order(void **state)
{
    struct room *r = *state;
    static const uint64_t seqs[] = {1, 2, 255, 256, 65536};
    struct wire_vote_certificate c;
    struct wire_stored_vote v;
    struct log_place at;
    uint64_t from = 0;
    for (size_t i = sizeof seqs / sizeof *seqs; i > 0; i--) {
        put_prepared(r, seqs[i - 1], seqs[i - 1], "b");
        put_vote(r, seqs[i - 1], seqs[i - 1], "b");
    }
    for (size_t i = 0; i < sizeof seqs / sizeof *seqs; i++) {
        const struct digest d = digest_number(seqs[i]);
        assert_int_equal(log_next_prepared(r->log, from, &at, &c).code, ERR_NONE);
        assert_null(at.fault);
        assert_int_equal(at.seq, seqs[i]);
        at = (struct log_place){0};
        assert_int_equal(log_next_vote(r->log, from, &at, &v).code, ERR_NONE);
        assert_null(at.fault);
        assert_int_equal(at.seq, seqs[i]);
        assert_int_equal(c.seq, seqs[i]);
        assert_int_equal(v.seq, seqs[i]);
        assert_int_equal(v.view, 3);
        assert_memory_equal(c.digest.bytes, d.bytes, DIGEST_BYTES);
        assert_memory_equal(v.digest.bytes, d.bytes, DIGEST_BYTES);
        from = seqs[i] + 1;
    }
}

/* Both walks from `from` find a damaged record at seq, and give nothing of it. */
static void check_damaged(const struct room *r, uint64_t from, uint64_t seq)
{
    struct wire_vote_certificate c = {.seq = 4711};
    struct wire_stored_vote v = {.seq = 4711};
    struct log_place at = {0};
    assert_int_equal(log_next_prepared(r->log, from, &at, &c).code, ERR_NONE);
    assert_int_equal(at.seq, seq);
    assert_non_null(at.fault);
    assert_int_equal(c.seq, 4711);
    at = (struct log_place){0};
    assert_int_equal(log_next_vote(r->log, from, &at, &v).code, ERR_NONE);
    assert_int_equal(at.seq, seq);
    assert_non_null(at.fault);
    assert_int_equal(v.seq, 4711);
}

static void test_log_store_next_on_a_damaged_record_names_its_sequence(void **state)
{
    struct room *r = *state;
    uint8_t key[8];
    put_raw(r, LOG_TABLE_CERTIFICATES, seq_bytes(key, 3), bytes_of_text("garbage"));
    put_raw(r, LOG_TABLE_VOTES, seq_bytes(key, 3), bytes_of_text("garbage"));
    check_damaged(r, 0, 3);
}

/* A walk went on at the record's own sequence plus one: one that names a lower one than its key kept it for ever. */
static void test_log_store_next_on_a_record_of_another_sequence_names_that_of_the_key(void **state)
{
    struct room *r = *state;
    struct bytes value;
    uint8_t key[8];
    put_prepared(r, 5, 1, "b");
    put_vote(r, 5, 1, "b");
    assert_int_equal(kv_store_get(r->log, LOG_TABLE_CERTIFICATES, seq_bytes(key, 5), &value), KV_FOUND);
    put_raw(r, LOG_TABLE_CERTIFICATES, seq_bytes(key, 9), value);
    assert_int_equal(kv_store_get(r->log, LOG_TABLE_VOTES, seq_bytes(key, 5), &value), KV_FOUND);
    put_raw(r, LOG_TABLE_VOTES, seq_bytes(key, 9), value);
    check_damaged(r, 6, 9);
}

static void test_log_store_next_on_a_key_that_is_no_sequence_is_corrupt(void **state)
{
    struct room *r = *state;
    struct wire_vote_certificate c;
    struct log_place at;
    struct bytes value;
    uint8_t key[9] = {0};
    put_prepared(r, 5, 1, "b");
    assert_int_equal(kv_store_get(r->log, LOG_TABLE_CERTIFICATES, seq_bytes(key, 5), &value), KV_FOUND);
    be64_put(key, 3);
    put_raw(r, LOG_TABLE_CERTIFICATES, bytes_of(key, 9), value);
    assert_int_equal(log_next_prepared(r->log, 0, &at, &c).code, ERR_CORRUPT);
}

static enum kv_found seek_finds_5(struct kv_store *s, uint32_t table, struct bytes from, struct bytes *key,
                                  struct bytes *value)
{
    static uint8_t five[8];
    (void)s;
    (void)table;
    (void)from;
    *key = seq_bytes(five, 5);
    *value = bytes_of_text("garbage");
    return KV_FOUND;
}

/* As LMDB finds it when a damaged key breaks the order of a page: the walk would never end. */
static void test_log_store_next_on_a_key_below_the_wanted_is_corrupt(void **state)
{
    static const struct kv_store_methods methods = {.seek = seek_finds_5};
    struct kv_store s = {.methods = &methods, .table_count = LOG_TABLE_COUNT};
    struct wire_vote_certificate c;
    struct log_place at;
    (void)state;
    assert_int_equal(log_next_prepared(&s, 5, &at, &c).code, ERR_NONE);
    assert_int_equal(log_next_prepared(&s, 6, &at, &c).code, ERR_CORRUPT);
}

static void test_log_store_failing_reads_give_the_stores_error(void **state)
{
    struct room *r = *state;
    struct failing_store *f = failing_store_new(LOG_TABLE_COUNT);
    struct wire_store_identity identity;
    struct wire_checkpoint_certificate checkpoint;
    struct wire_vote_certificate c;
    struct wire_stored_block block;
    struct wire_stored_vote v;
    struct log_place at;
    struct bytes raw;
    const struct digest d = digest_number(1);
    uint64_t number;
    (void)r;
    atomic_store(&f->reads_fail, true);
    assert_int_equal(log_get_identity(&f->base, &identity).code, ERR_IO);
    assert_int_equal(log_get_view(&f->base, &number).code, ERR_IO);
    assert_int_equal(log_get_stable(&f->base, &checkpoint).code, ERR_IO);
    assert_int_equal(log_last_block(&f->base, &number).code, ERR_IO);
    assert_int_equal(log_get_block(&f->base, 1, &block).code, ERR_IO);
    assert_int_equal(log_get_batch(&f->base, 1, &d, &raw).code, ERR_IO);
    assert_int_equal(log_get_checkpoint(&f->base, 128, &checkpoint, &raw).code, ERR_IO);
    assert_int_equal(log_next_prepared(&f->base, 0, &at, &c).code, ERR_IO);
    assert_int_equal(log_next_vote(&f->base, 0, &at, &v).code, ERR_IO);
    assert_false(log_is_clean(&f->base));
    kv_store_close(&f->base);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_log_store_identity_absent_or_damaged_is_corrupt),
        ROOM_TEST(test_log_store_identity_comes_back),
        ROOM_TEST(test_log_store_view_absent_or_malformed_is_corrupt),
        ROOM_TEST(test_log_store_view_comes_back),
        ROOM_TEST(test_log_store_view_and_fence_with_any_bit_changed_are_corrupt),
        ROOM_TEST(test_log_store_fence_comes_back_with_its_reason),
        ROOM_TEST(test_log_store_clean_mark_is_there_until_deleted),
        ROOM_TEST(test_log_store_without_checkpoint_the_stable_one_is_the_beginning),
        ROOM_TEST(test_log_store_damaged_stable_checkpoint_is_corrupt),
        ROOM_TEST(test_log_store_every_stable_checkpoint_stays_and_the_last_is_stable),
        ROOM_TEST(test_log_store_stable_drops_certificates_and_votes_up_to_it_only),
        ROOM_TEST(test_log_store_stable_drops_unused_batches_up_to_it_only),
        ROOM_TEST(test_log_store_stable_without_the_block_is_an_error),
        ROOM_TEST(test_log_store_stable_on_a_failing_store_gives_its_error),
        ROOM_TEST(test_log_store_without_blocks_the_last_is_0),
        ROOM_TEST(test_log_store_damaged_block_is_corrupt),
        ROOM_TEST(test_log_store_block_comes_back_with_entries_certificate_and_batch),
        ROOM_TEST(test_log_store_batch_of_another_digest_or_sequence_is_not_found),
        ROOM_TEST(test_log_store_prepared_without_batch_keeps_the_stored_one),
        ROOM_TEST(test_log_store_next_at_the_end_is_not_found),
        ROOM_TEST(test_log_store_next_gives_each_in_order),
        ROOM_TEST(test_log_store_next_on_a_damaged_record_names_its_sequence),
        ROOM_TEST(test_log_store_next_on_a_record_of_another_sequence_names_that_of_the_key),
        ROOM_TEST(test_log_store_next_on_a_key_that_is_no_sequence_is_corrupt),
        cmocka_unit_test(test_log_store_next_on_a_key_below_the_wanted_is_corrupt),
        ROOM_TEST(test_log_store_failing_reads_give_the_stores_error),
    };
    return cmocka_run_group_tests_name("log_store", tests, NULL, NULL);
}
