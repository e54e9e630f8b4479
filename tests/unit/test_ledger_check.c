/* test_ledger_check.c - the check of a data directory: a good one is good, each kind of damage is found and named, and
 * what is only missing is no fault. In memory, and some of it in LMDB's files. The ledger has blocks 1 to 300, its
 * stable checkpoint is 256.
 */
#include "ledger/export.h"
#include "ledger/state_transfer.h"
#include "tests/fixture/check_room.h"
#include "tests/fixture/failing_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LAST 300u
#define STABLE 256u

static struct check_room *grown(void **state)
{
    check_room_grow(*state, STABLE, LAST);
    return *state;
}

/* ---- what is good ---- */

static void test_ledger_check_new_directory_is_good(void **state)
{
    struct check_room *c = *state;
    check_room_good(c);
    assert_int_equal(c->result.blocks, 0);
    assert_int_equal(c->result.keys, KIT_CLIENT_COUNT);
}

static void test_ledger_check_whole_ledger_is_good(void **state)
{
    struct check_room *c = grown(state);
    check_room_good(c);
    assert_int_equal(c->result.blocks, LAST);
    assert_int_equal(c->result.last, LAST);
    assert_int_equal(c->result.history, LAST);
    struct blob *raw;
    const struct wire_stored_block b = check_room_block(c, LAST, &raw);
    assert_int_equal(c->result.entries, b.header.first_index + b.header.count);
    blob_release(raw);
    assert_int_equal(c->result.base, STABLE);
    assert_int_equal(c->result.stable, STABLE);
    assert_int_equal(c->result.missing_low, 0);
    assert_false(c->result.between);
    assert_true(c->result.keys > KIT_CLIENT_COUNT);
}

/* A crash between two folds, or a checkpoint that never was stable by itself. */
static void test_ledger_check_state_below_the_stable_checkpoint_is_good(void **state)
{
    struct check_room *c = *state;
    check_room_grow(c, 128, LAST);
    check_room_good(c);
    check_room_put(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(128), bytes_of(NULL, 0));
    check_room_good(c);
    assert_int_equal(c->result.base, 128);
}

static bool check_real(void *context, struct verify_item *item)
{
    (void)context;
    return sign_verify(&item->key, &item->digest, &item->signature);
}

static void put_view(struct kv_store *log)
{
    struct kv_batch *b = kv_batch_new();
    log_put_view(b, 0);
    kit_apply(log, b);
}

static void count_fault(void *context, const struct ledger_fault *f)
{
    (void)f;
    ++*(uint32_t *)context;
}

static void test_ledger_check_with_real_signatures_is_good_and_one_wrong_is_found(void **state)
{
    struct ledger_check_result r;
    uint32_t count = 0;
    (void)state;
    struct kit *k = kit_new(4, KIT_REAL);
    struct kv_store *log = kv_store_new_memory(LOG_TABLE_COUNT);
    struct kv_store *store;
    struct executor *e = kit_executor_new(k, &store);
    kit_grow(k, e, log, 5, NULL);
    put_view(log);
    const struct ledger_check in = {.log = log,
                                    .state = store,
                                    .group = k->group,
                                    .wire = &k->wire,
                                    .checker = {.check = check_real},
                                    .fault = count_fault,
                                    .context = &count};
    assert_int_equal(ledger_check_run(&in, &r).code, ERR_NONE);
    assert_int_equal(count, 0);
    struct kv_batch *b = kv_batch_new();
    struct wire_stored_block block;
    assert_int_equal(log_get_block(log, 3, &block).code, ERR_NONE);
    struct blob *other = kit_committed(k, 1, 3, &block.header.batch_digest, NULL, 3); /* signed for another view */
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(other), &block.committed));
    block.committed.view = 0;
    struct blob *raw = wire_encode_blob(&wire_record_stored_block, &block);
    kv_batch_put(b, LOG_TABLE_BLOCKS, check_room_key(3), blob_bytes(raw));
    kit_apply(log, b);
    assert_int_equal(ledger_check_run(&in, &r).code, ERR_NONE);
    assert_int_equal(count, 1);
    blob_release(other);
    blob_release(raw);
    executor_close(e);
    kv_store_close(store);
    kv_store_close(log);
    kit_free(k);
}

static void test_ledger_check_of_a_store_that_fails_is_an_error(void **state)
{
    struct check_room *c = grown(state);
    for (uint32_t which = 0; which < 2; which++) {
        struct ledger_check_result r;
        uint32_t count = 0;
        struct failing_store *f = failing_store_new(which == 0 ? LOG_TABLE_COUNT : STATE_TABLE_COUNT);
        atomic_store(&f->reads_fail, true);
        const struct ledger_check in = {.log = which == 0 ? &f->base : c->log,
                                        .state = which == 0 ? c->state : &f->base,
                                        .group = c->room->kit->group,
                                        .wire = &c->room->kit->wire,
                                        .checker = kit_checker(c->room->kit),
                                        .fault = count_fault,
                                        .context = &count};
        assert_int_equal(ledger_check_run(&in, &r).code, ERR_IO);
        if (which == 1) assert_int_equal(count, 0); /* what cannot be read is no fault */
        kv_store_close(&f->base);
    }
}

static struct failing_store *the_store;

static void fail_at_77(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    assert_int_equal(total, 90);
    atomic_store(&the_store->reads_fail, done == 77);
}

static void test_ledger_check_of_a_log_that_fails_between_blocks_is_an_error(void **state)
{
    struct check_room *c = *state;
    struct ledger_check_result r;
    uint32_t count = 0;
    the_store = failing_store_new(LOG_TABLE_COUNT);
    kit_grow(c->room->kit, c->room->executor, &the_store->base, 90, NULL);
    put_view(&the_store->base);
    const struct ledger_check in = {.log = &the_store->base,
                                    .state = c->state,
                                    .group = c->room->kit->group,
                                    .wire = &c->room->kit->wire,
                                    .checker = kit_checker(c->room->kit),
                                    .fault = count_fault,
                                    .progress = fail_at_77,
                                    .context = &count};
    assert_int_equal(ledger_check_run(&in, &r).code, ERR_IO);
    assert_int_equal(count, 0);
    kv_store_close(&the_store->base);
}

/* ---- blocks ---- */

static void test_ledger_check_block_that_does_not_decode_is_found(void **state)
{
    struct check_room *c = grown(state);
    check_room_put(c->log, LOG_TABLE_BLOCKS, check_room_key(77), bytes_of_text("garbage"));
    check_room_finds(c, 1, "log: block 77: ");
    assert_int_equal(c->result.history, 76 + LAST - STABLE); /* known again from the state's checkpoint on */
}

static void test_ledger_check_block_of_another_sequence_is_found(void **state)
{
    struct check_room *c = grown(state);
    struct blob *raw;
    const struct wire_stored_block b = check_room_block(c, 78, &raw);
    check_room_put_block(c, 77, &b);
    check_room_finds(c, 1, "log: block 77: it is of another sequence than its key");
    blob_release(raw);
}

/* Of the last block, which nothing follows. */
static void test_ledger_check_each_field_of_a_header_is_checked(void **state)
{
    struct check_room *c = grown(state);
    static const char *const words[] = {"another version",         "another epoch",
                                        "another configuration",   "its time is not",
                                        "its batch is not here",   "do not have the root that its header names",
                                        "its first index is not",  "not as many entries",
                                        "its history root is not", "block 300 does not follow block 299"};
    for (uint32_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct blob *raw;
        const struct wire_stored_block good = check_room_block(c, LAST, &raw);
        struct wire_stored_block b = good;
        switch (i) {
        case 0: b.header.version++; break;
        case 1: b.header.epoch++; break;
        case 2: b.header.configuration.bytes[31] ^= 1; break;
        case 3: b.header.time_ms++; break;
        case 4: b.header.batch_digest.bytes[0] ^= 1; break;
        case 5: b.header.entries_root.bytes[0] ^= 1; break;
        case 6: b.header.first_index++; break;
        case 7: b.header.count++; break;
        case 8: b.header.history_root.bytes[0] ^= 1; break;
        case 9: b.header.previous.bytes[0] ^= 1; break;
        default: fail();
        }
        check_room_put_block(c, LAST, &b);
        check_room_finds(c, 1, words[i]);
        check_room_put_block(c, LAST, &good);
        blob_release(raw);
    }
    check_room_good(c);
}

/* What stands before a block that was changed consistently is only known by the hash. */
static void test_ledger_check_first_block_that_follows_something_is_found(void **state)
{
    struct check_room *c = grown(state);
    struct blob *raw;
    struct wire_stored_block b = check_room_block(c, 1, &raw);
    b.header.previous.bytes[0] ^= 1;
    check_room_put_block(c, 1, &b);
    check_room_finds(c, 2, "log: block 1: it does not follow the block before it");
    blob_release(raw);
}

static void test_ledger_check_broken_link_names_both_blocks_unless_one_is_proven(void **state)
{
    struct check_room *c = grown(state);
    static const struct {
        uint64_t seq;
        uint32_t count;
        const char *words;
    } cases[] = {{200, 2, "log: block 200 does not follow block 199: one of the two is damaged"},
                 {257, 2, "log: block 257: it does not follow the block before it"}};
    for (size_t i = 0; i < 2; i++) {
        struct blob *raw;
        const struct wire_stored_block good = check_room_block(c, cases[i].seq, &raw);
        struct wire_stored_block b = good;
        b.header.previous.bytes[0] ^= 1; /* and its own hash: the next one does not follow either */
        check_room_put_block(c, cases[i].seq, &b);
        check_room_finds(c, cases[i].count, cases[i].words);
        check_room_put_block(c, cases[i].seq, &good);
        blob_release(raw);
    }
    struct blob *raw;
    struct wire_stored_block b = check_room_block(c, 255, &raw);
    b.header.history_root.bytes[0] ^= 1;
    check_room_put_block(c, 255, &b);
    check_room_finds(c, 2,
                     "log: block 255: the block behind it, which a quorum signed as checkpoint, does not follow it");
    blob_release(raw);
}

static void test_ledger_check_block_that_is_not_its_checkpoints_is_found(void **state)
{
    struct check_room *c = grown(state);
    struct blob *raw;
    struct wire_stored_block b = check_room_block(c, 128, &raw);
    b.header.time_ms++;
    check_room_put_block(c, 128, &b);
    check_room_finds(c, 2, "log: block 128: it is not the one that a quorum signed as checkpoint");
    blob_release(raw);
}

static void test_ledger_check_changed_entry_is_found(void **state)
{
    struct check_room *c = grown(state);
    check_room_flip(c->log, LOG_TABLE_BLOCKS, check_room_key(77), -1);
    check_room_finds(c, 1, "log: block 77: its entries do not have the root");
}

static struct bytes batch_key(const struct check_room *c, uint64_t seq)
{
    static uint8_t key[40];
    return recovery_room_batch_key(c->room, key, seq);
}

static void test_ledger_check_batch_that_is_missing_or_another_is_found(void **state)
{
    struct check_room *c = grown(state);
    struct bytes value;
    assert_int_equal(kv_store_get(c->log, LOG_TABLE_BATCHES, batch_key(c, 78), &value), KV_FOUND);
    struct blob *other = blob_copy(value);
    check_room_put(c->log, LOG_TABLE_BATCHES, batch_key(c, 77), bytes_of_text("garbage"));
    check_room_finds(c, 1, "log: block 77: its batch does not decode");
    check_room_put(c->log, LOG_TABLE_BATCHES, batch_key(c, 77), blob_bytes(other));
    check_room_finds(c, 1, "log: block 77: its batch has another digest");
    check_room_put(c->log, LOG_TABLE_BATCHES, batch_key(c, 77), bytes_of(NULL, 0));
    check_room_finds(c, 1, "log: block 77: its batch is not here");
    blob_release(other);
}

static void test_ledger_check_commit_certificate_that_proves_nothing_is_found(void **state)
{
    struct check_room *c = grown(state);
    struct blob *raw;
    struct wire_stored_block b = check_room_block(c, 77, &raw);
    const struct digest *digest = &b.header.batch_digest;
    const struct digest other = {{1}};
    static const char *const words[] = {"its commit certificate is of another sequence",
                                        "its commit certificate is of another batch", "fewer signatures than a quorum",
                                        "a signature of the certificate is wrong"};
    for (uint32_t i = 0; i < 4; i++) {
        struct blob *committed =
            kit_committed(c->room->kit, i == 3, i == 0 ? 78 : 77, i == 1 ? &other : digest, NULL, i == 2 ? 2 : 3);
        assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(committed), &b.committed));
        b.committed.view = 0; /* the last was signed for view 1 */
        check_room_put_block(c, 77, &b);
        check_room_finds(c, 1, words[i]);
        blob_release(committed);
    }
    blob_release(raw);
}

static void test_ledger_check_missing_blocks_are_found(void **state)
{
    struct check_room *c = grown(state);
    check_room_delete_blocks(c, 77, 77);
    check_room_finds(c, 1, "log: block 77 is missing");
    check_room_delete_blocks(c, 1, 1);
    check_room_delete_blocks(c, 78, 80);
    check_room_finds(c, 2, "log: block 1 is missing");
    check_room_finds(c, 2, "log: blocks 77 to 80 are missing");
    check_room_delete_blocks(c, 255, LAST);
    check_room_finds(c, 3, "log: blocks 255 to 256 are missing"); /* the stable checkpoint was signed over them */
}

static void test_ledger_check_key_that_is_no_sequence_is_found(void **state)
{
    struct check_room *c = grown(state);
    check_room_put(c->log, LOG_TABLE_BLOCKS, bytes_of_text("\x7f odd key"), bytes_of_text("x"));
    check_room_finds(c, 1, "log: in the table of blocks, key 7f206f6464206b6579: it is the sequence of no block");
    check_room_put(c->log, LOG_TABLE_BLOCKS, check_room_key(UINT64_MAX), bytes_of_text("x"));
    check_room_finds(c, 2, "key ffffffffffffffff: it is the sequence of no block");
}

/* ---- what is missing and may be ---- */

static void test_ledger_check_gap_is_no_fault(void **state)
{
    struct check_room *c = grown(state);
    check_room_delete_blocks(c, 5, 9);
    check_room_put_gap(c, 5, 9);
    check_room_good(c);
    assert_int_equal(c->result.missing_low, 5);
    assert_int_equal(c->result.missing_high, 9);
    assert_int_equal(c->result.blocks, LAST - 5);
    assert_int_equal(c->result.history, 4 + LAST - STABLE);
    check_room_put(c->log, LOG_TABLE_BLOCKS, check_room_key(7),
                   bytes_of_text("left from before")); /* it is fetched again */
    check_room_good(c);
    check_room_delete_blocks(c, 3, 11);
    check_room_finds(c, 2, "log: blocks 3 to 4 are missing");
    check_room_finds(c, 2, "log: blocks 10 to 11 are missing");
}

/* Blocks that came out of turn stand in the gap: each can be shown, and is whole by itself; the ledger is not. */
static void test_ledger_check_gap_with_blocks_inside_is_no_fault(void **state)
{
    struct check_room *c = grown(state);
    struct buffer text = {0};
    struct wire_stored_block b;
    FILE *sink = tmpfile();
    assert_non_null(sink);
    check_room_delete_blocks(c, 5, 119);
    check_room_delete_blocks(c, 129, 200);
    check_room_put_gap(c, 5, 200);
    check_room_good(c);
    assert_int_equal(c->result.missing_low, 5);
    assert_int_equal(c->result.missing_high, 200);
    assert_int_equal(export_show_block(c->log, 120, false, &text).code, ERR_NONE);
    assert_int_equal(export_show_block(c->log, 119, false, &text).code, ERR_NOT_FOUND);
    assert_int_equal(export_ledger(c->log, sink).code, ERR_NEGATIVE); /* not here yet */
    assert_int_equal(ftell(sink), 0);
    check_room_repair(c);
    assert_int_equal(c->repair.gap_low, 0); /* nothing is arranged */
    assert_int_equal(log_get_block(c->log, 120, &b).code, ERR_NONE);
    uint64_t low;
    uint64_t high;
    assert_int_equal(log_get_gap(c->log, &low, &high).code, ERR_NONE);
    assert_int_equal(low, 5);
    assert_int_equal(high, 200);
    buffer_free(&text);
    (void)fclose(sink);
}

/* A gap up to the state's checkpoint: what stands above it must follow the header that the state has. */
static void test_ledger_check_block_behind_a_gap_is_checked_against_the_state(void **state)
{
    struct check_room *c = grown(state);
    struct blob *raw;
    check_room_delete_blocks(c, 1, STABLE);
    check_room_put_gap(c, 1, STABLE);
    check_room_good(c);
    assert_int_equal(c->result.history, LAST - STABLE);
    struct wire_stored_block b = check_room_block(c, 257, &raw);
    b.header.first_index++;
    check_room_put_block(c, 257, &b);
    check_room_finds(c, 2, "log: block 257: its first index is not the one that follows");
    blob_release(raw);
}

/* The walk has ended, and the replica has not been started again: the gap record comes then. */
static void test_ledger_check_state_that_was_just_transferred_is_good(void **state)
{
    struct check_room *c = grown(state);
    struct wire_checkpoint_certificate proof;
    struct bytes raw;
    assert_int_equal(log_get_checkpoint(c->log, STABLE, &proof, &raw).code, ERR_NONE);
    struct blob *certificate = blob_copy(raw);
    assert_int_equal(log_get_checkpoint(c->log, 128, &proof, &raw).code, ERR_NONE);
    struct blob *before = blob_copy(raw);
    check_room_put(c->log, LOG_TABLE_META, bytes_of_text("stable"), blob_bytes(before));
    check_room_put(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(STABLE), bytes_of(NULL, 0));
    check_room_delete_blocks(c, 140, LAST);
    check_room_finds(c, 1, "state: the record of checkpoint 256: no certificate proves it");
    check_room_put(c->state, STATE_TABLE_META, bytes_of_text("certificate"), blob_bytes(certificate));
    check_room_good(c);
    assert_int_equal(c->result.missing_low, 140);
    assert_int_equal(c->result.missing_high, STABLE);
    check_room_flip(c->state, STATE_TABLE_META, bytes_of_text("certificate"), -1);
    check_room_finds(c, 1, "state: the record of checkpoint 256: no certificate proves it");
    blob_release(certificate);
    blob_release(before);
}

/* As a crash in the middle of a state transfer leaves it. */
static void test_ledger_check_state_in_a_walk_is_checked_against_its_own_tree(void **state)
{
    struct check_room *c = grown(state);
    static const uint8_t walking = 0;
    char hex[128];
    check_room_put(c->state, STATE_TABLE_META, bytes_of_text("meta"), bytes_of_text("garbage"));
    check_room_put(c->state, STATE_TABLE_META, bytes_of_text("walk"), bytes_of(&walking, 1));
    check_room_good(c);
    assert_true(c->result.between);
    assert_true(c->result.keys > 0);
    check_room_flip(c->state, STATE_TABLE_DATA, check_room_datum(hex), 0);
    check_room_finds(c, 1, hex);
}

static void test_ledger_check_state_marked_as_damaged_is_not_checked(void **state)
{
    struct check_room *c = grown(state);
    check_room_put(c->state, STATE_TABLE_META, bytes_of_text("meta"), bytes_of_text("garbage"));
    assert_int_equal(state_mark_damaged(c->state).code, ERR_NONE);
    check_room_good(c);
    assert_true(c->result.damaged);
    assert_int_equal(c->result.keys, 0);
}

/* ---- records of the log ---- */

static void test_ledger_check_checkpoint_certificate_that_proves_nothing_is_found(void **state)
{
    struct check_room *c = grown(state);
    struct wire_checkpoint_certificate proof;
    struct bytes raw;
    assert_int_equal(log_get_checkpoint(c->log, STABLE, &proof, &raw).code, ERR_NONE);
    struct blob *other = blob_copy(raw);
    check_room_flip(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(128), -1);
    check_room_finds(c, 1, "log: the certificate of checkpoint 128 proves nothing: a signature");
    check_room_put(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(128), blob_bytes(other));
    check_room_finds(c, 1, "log: the certificate of checkpoint 128 proves nothing: it is of another sequence");
    check_room_put(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(128), bytes_of_text("garbage"));
    check_room_finds(c, 1, "log: the certificate of checkpoint 128 proves nothing: ");
    blob_release(other);
}

static void test_ledger_check_damaged_stable_checkpoint_is_found(void **state)
{
    struct check_room *c = grown(state);
    struct wire_checkpoint_certificate proof;
    struct bytes raw;
    assert_int_equal(log_get_checkpoint(c->log, 128, &proof, &raw).code, ERR_NONE);
    struct blob *older = blob_copy(raw);
    check_room_flip(c->log, LOG_TABLE_META, bytes_of_text("stable"), -1);
    check_room_finds(c, 1, "log: the stable checkpoint 256 proves nothing: a signature");
    check_room_put(c->log, LOG_TABLE_META, bytes_of_text("stable"), bytes_of_text("garbage"));
    check_room_finds(c, 1, "log: the stored stable checkpoint does not decode");
    check_room_put(c->log, LOG_TABLE_META, bytes_of_text("stable"), blob_bytes(older));
    check_room_finds(c, 1, "log: the stable checkpoint is 128, but a later one, 256");
    blob_release(older);
}

static void test_ledger_check_damaged_gap_record_is_found(void **state)
{
    struct check_room *c = grown(state);
    check_room_put(c->log, LOG_TABLE_META, bytes_of_text("gap"), bytes_of_text("garbage"));
    check_room_finds(c, 1, "log: the record of the blocks that are missing is damaged");
}

static void test_ledger_check_damaged_votes_are_found(void **state)
{
    struct check_room *c = grown(state);
    recovery_room_put_prepared(c->room, 0, 299);
    recovery_room_put_vote(c->room, 0, 299, 299);
    check_room_good(c);
    assert_int_equal(c->result.prepared, 0); /* it stands in a block */
    check_room_flip(c->log, LOG_TABLE_CERTIFICATES, check_room_key(299), -1);
    check_room_finds(c, 1, "log: the prepared certificate 299 is damaged: a signature");
    recovery_room_put_prepared(c->room, 0, 299);
    check_room_flip(c->log, LOG_TABLE_VOTES, check_room_key(299), -1);
    check_room_finds(c, 1, "log: the kept vote 299 is damaged: it is for no PRE-PREPARE");
    recovery_room_put_prepared(c->room, 0, 301);
    recovery_room_put_vote(c->room, 0, 301, 301);
    check_room_finds(c, 1, "log: the kept vote 299 is damaged: it is for no PRE-PREPARE");
    assert_int_equal(c->result.prepared, 1);
    check_room_flip(c->log, LOG_TABLE_BATCHES, batch_key(c, 301), -1);
    check_room_finds(c, 3, "log: the prepared certificate 301 is damaged: the stored batch of sequence 301 is damaged");
    check_room_finds(c, 3, "log: the kept vote 301 is damaged: the stored batch of sequence 301 is damaged");
    check_room_put(c->log, LOG_TABLE_CERTIFICATES, bytes_of_text("odd"), bytes_of_text("x"));
    check_room_finds(c, 4, "a key in it is no sequence");
}

static void check_meta_finds(struct check_room *c, const char *key, const char *words)
{
    check_room_flip(c->log, LOG_TABLE_META, bytes_of_text(key), -1);
    check_room_finds(c, 1, words);
    check_room_flip(c->log, LOG_TABLE_META, bytes_of_text(key), -1);
    check_room_good(c);
}

static void test_ledger_check_damaged_promises_about_views_are_found(void **state)
{
    struct check_room *c = grown(state);
    struct kv_batch *b = kv_batch_new();
    log_put_fence(b, 777, FENCE_REASON_NEW_DIRECTORY);
    kit_apply(c->log, b);
    recovery_room_enter_view(c->room, 4);
    check_meta_finds(c, "new-view", "log: the stored NEW-VIEW is damaged: ");
    check_meta_finds(c, "view", "view");
    check_meta_finds(c, "fence", "fence");
    recovery_room_leave_for(c->room, 5);
    check_meta_finds(c, "view-change", "log: the stored own VIEW-CHANGE is damaged: ");
    check_room_put(c->log, LOG_TABLE_META, bytes_of_text("view-change"), bytes_of(NULL, 0));
    check_room_finds(c, 1, "log: the stored NEW-VIEW is another message, or for another view");
    check_room_put(c->log, LOG_TABLE_META, bytes_of_text("new-view"), bytes_of(NULL, 0));
    check_room_finds(c, 1, "log: the NEW-VIEW of view 5 is missing");
}

/* ---- the state ---- */

static void test_ledger_check_record_of_the_checkpoint_that_is_missing_or_garbage_is_found(void **state)
{
    struct check_room *c = grown(state);
    check_room_put(c->state, STATE_TABLE_META, bytes_of_text("meta"), bytes_of_text("garbage"));
    check_room_finds(c, 1, "state: the record of its checkpoint: ");
    check_room_put(c->state, STATE_TABLE_META, bytes_of_text("meta"), bytes_of(NULL, 0));
    check_room_finds(c, 1, "state: the record of its checkpoint: it is missing");
}

static void test_ledger_check_each_field_of_the_record_of_the_checkpoint_is_checked(void **state)
{
    struct check_room *c = grown(state);
    static const char *const words[] = {"its header is of another sequence", "contradicts the count of entries",
                                        "its header is not the one that a quorum signed",
                                        "its root is not the one that a quorum signed", "its history is not the one"};
    for (uint32_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct blob *raw;
        const struct wire_state_meta good = check_room_meta(c, &raw);
        struct wire_state_meta m = good;
        switch (i) {
        case 0: m.header.seq--; break;
        case 1: m.history_count++; break;
        case 2: m.header.time_ms++; break;
        case 3: m.state_root.bytes[0] ^= 1; break;
        default: raw->data[raw->len - 1] ^= 1; break; /* the last digest of the history */
        }
        check_room_put_meta(c, &m);
        check_room_finds(c, 1, words[i]);
        if (i == 4) raw->data[raw->len - 1] ^= 1;
        check_room_put_meta(c, &good);
        blob_release(raw);
    }
    check_room_good(c);
}

/* No certificate says so. */
static void test_ledger_check_record_of_the_checkpoint_with_another_header_than_the_block_is_found(void **state)
{
    struct check_room *c = *state;
    struct blob *raw;
    check_room_grow(c, 128, LAST);
    check_room_put(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(128), bytes_of(NULL, 0));
    struct wire_state_meta m = check_room_meta(c, &raw);
    m.header.time_ms++;
    check_room_put_meta(c, &m);
    check_room_finds(c, 1, "state: its record of checkpoint 128 has another header than the block");
    blob_release(raw);
}

static void test_ledger_check_root_that_the_record_does_not_name_is_found(void **state)
{
    struct check_room *c = *state;
    struct blob *raw;
    check_room_grow(c, 0, 3); /* no certificate names a root */
    struct wire_state_meta m = check_room_meta(c, &raw);
    m.state_root.bytes[0] ^= 1;
    check_room_put_meta(c, &m);
    check_room_finds(c, 1, "state: the root of the tree is not the one");
    blob_release(raw);
}

static void test_ledger_check_changed_value_is_named_by_its_key(void **state)
{
    struct check_room *c = grown(state);
    char hex[128];
    char words[200];
    const struct bytes key = check_room_datum(hex);
    check_room_flip(c->state, STATE_TABLE_DATA, key, 0);
    (void)snprintf(words, sizeof words, "state: key %s: its value is not the one that the tree names", hex);
    check_room_finds(c, 1, words);
    check_room_put(c->state, STATE_TABLE_DATA, key, bytes_of(NULL, 0));
    (void)snprintf(words, sizeof words, "state: key %s: it has no value", hex);
    check_room_finds(c, 1, words);
}

static void test_ledger_check_value_that_the_tree_does_not_name_is_named_by_its_key(void **state)
{
    struct check_room *c = grown(state);
    char hex[128];
    check_room_put(c->state, STATE_TABLE_DATA, bytes_of_text("extra"), bytes_of_text("value"));
    check_room_finds(c, 1, "state: key 6578747261: it has a value, but the tree does not name it");
    check_room_put(c->state, STATE_TABLE_DATA, check_room_datum(hex), bytes_of(NULL, 0)); /* as many as before */
    check_room_finds(c, 1, hex);
}

/* The first node of the tree of this kind, not the root. */
static struct blob *node_key(const struct check_room *c, uint8_t tag)
{
    struct bytes key;
    struct bytes value;
    uint8_t next[64];
    struct bytes from = bytes_of_text("\x00\x01");
    from.len = 2;
    while (kv_store_seek(c->state, STATE_TABLE_TREE, from, &key, &value) == KV_FOUND) {
        if (value.data[0] == tag) return blob_copy(key);
        memcpy(next, key.data, key.len);
        next[key.len] = 0;
        from = bytes_of(next, key.len + 1);
    }
    fail();
    return NULL;
}

static void test_ledger_check_damaged_node_is_found(void **state)
{
    struct check_room *c = grown(state);
    struct blob *inner = node_key(c, 2);
    check_room_flip(c->state, STATE_TABLE_TREE, blob_bytes(inner), 1);
    check_room_finds(c, 1, "is not the one its parent names");
    check_room_flip(c->state, STATE_TABLE_TREE, blob_bytes(inner), 1);
    check_room_flip(c->state, STATE_TABLE_TREE, blob_bytes(inner), 0);
    check_room_finds(c, 1, "is malformed");
    check_room_put(c->state, STATE_TABLE_TREE, blob_bytes(inner), bytes_of(NULL, 0));
    check_room_finds(c, 1, "is missing");
    blob_release(inner);
}

/* The key of a leaf is covered by its path alone. */
static void test_ledger_check_leaf_with_another_key_is_found(void **state)
{
    struct check_room *c = grown(state);
    struct blob *leaf = node_key(c, 1);
    check_room_flip(c->state, STATE_TABLE_TREE, blob_bytes(leaf), -1);
    check_room_finds(c, 1, "it stands in the tree at the path of another");
    blob_release(leaf);
}

static void test_ledger_check_damaged_root_is_found(void **state)
{
    struct check_room *c = grown(state);
    check_room_put(c->state, STATE_TABLE_TREE, bytes_of("\0\0", 2), bytes_of_text("garbage"));
    check_room_finds(c, 1, "state tree: the node at depth 0");
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, check_room_setup, check_room_teardown)

int main(void)
{
    struct CMUnitTest tests[] = {
        ROOM_TEST(test_ledger_check_new_directory_is_good),
        ROOM_TEST(test_ledger_check_whole_ledger_is_good),
        ROOM_TEST(test_ledger_check_state_below_the_stable_checkpoint_is_good),
        ROOM_TEST(test_ledger_check_with_real_signatures_is_good_and_one_wrong_is_found),
        ROOM_TEST(test_ledger_check_of_a_store_that_fails_is_an_error),
        ROOM_TEST(test_ledger_check_of_a_log_that_fails_between_blocks_is_an_error),
        ROOM_TEST(test_ledger_check_block_that_does_not_decode_is_found),
        ROOM_TEST(test_ledger_check_block_of_another_sequence_is_found),
        ROOM_TEST(test_ledger_check_each_field_of_a_header_is_checked),
        ROOM_TEST(test_ledger_check_first_block_that_follows_something_is_found),
        ROOM_TEST(test_ledger_check_broken_link_names_both_blocks_unless_one_is_proven),
        ROOM_TEST(test_ledger_check_block_that_is_not_its_checkpoints_is_found),
        ROOM_TEST(test_ledger_check_changed_entry_is_found),
        ROOM_TEST(test_ledger_check_batch_that_is_missing_or_another_is_found),
        ROOM_TEST(test_ledger_check_commit_certificate_that_proves_nothing_is_found),
        ROOM_TEST(test_ledger_check_missing_blocks_are_found),
        ROOM_TEST(test_ledger_check_key_that_is_no_sequence_is_found),
        ROOM_TEST(test_ledger_check_gap_is_no_fault),
        ROOM_TEST(test_ledger_check_gap_with_blocks_inside_is_no_fault),
        ROOM_TEST(test_ledger_check_block_behind_a_gap_is_checked_against_the_state),
        ROOM_TEST(test_ledger_check_state_that_was_just_transferred_is_good),
        ROOM_TEST(test_ledger_check_state_in_a_walk_is_checked_against_its_own_tree),
        ROOM_TEST(test_ledger_check_state_marked_as_damaged_is_not_checked),
        ROOM_TEST(test_ledger_check_checkpoint_certificate_that_proves_nothing_is_found),
        ROOM_TEST(test_ledger_check_damaged_stable_checkpoint_is_found),
        ROOM_TEST(test_ledger_check_damaged_gap_record_is_found),
        ROOM_TEST(test_ledger_check_damaged_votes_are_found),
        ROOM_TEST(test_ledger_check_damaged_promises_about_views_are_found),
        ROOM_TEST(test_ledger_check_record_of_the_checkpoint_that_is_missing_or_garbage_is_found),
        ROOM_TEST(test_ledger_check_each_field_of_the_record_of_the_checkpoint_is_checked),
        ROOM_TEST(test_ledger_check_record_of_the_checkpoint_with_another_header_than_the_block_is_found),
        ROOM_TEST(test_ledger_check_root_that_the_record_does_not_name_is_found),
        ROOM_TEST(test_ledger_check_changed_value_is_named_by_its_key),
        ROOM_TEST(test_ledger_check_value_that_the_tree_does_not_name_is_named_by_its_key),
        ROOM_TEST(test_ledger_check_damaged_node_is_found),
        ROOM_TEST(test_ledger_check_leaf_with_another_key_is_found),
        ROOM_TEST(test_ledger_check_damaged_root_is_found),
    };
    struct CMUnitTest in_files[] = {
        ROOM_TEST(test_ledger_check_new_directory_is_good),
        ROOM_TEST(test_ledger_check_whole_ledger_is_good),
        ROOM_TEST(test_ledger_check_missing_blocks_are_found),
        ROOM_TEST(test_ledger_check_gap_is_no_fault),
        ROOM_TEST(test_ledger_check_value_that_the_tree_does_not_name_is_named_by_its_key),
    };
    int failed = cmocka_run_group_tests_name("ledger_check", tests, NULL, NULL);
    for (size_t i = 0; i < sizeof in_files / sizeof *in_files; i++)
        in_files[i].setup_func = check_room_setup_files;
    failed += cmocka_run_group_tests_name("ledger_check_in_files", in_files, NULL, NULL);
    return failed;
}
