/* test_recovery_votes.c - what a view change in progress leaves (rule 13), and a damaged record of this replica's own
 * votes: the replica starts without it, and abstains as after an unclean stop (design.md 7.5, 7.6). In memory and in
 * LMDB's files.
 */
#include "ledger/kv_store_private.h"
#include "tests/fixture/recovery_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void delete_batch(struct recovery_room *r, uint64_t seq)
{
    uint8_t key[40];
    recovery_room_put_raw(r, LOG_TABLE_BATCHES, recovery_room_batch_key(r, key, seq), bytes_of(NULL, 0));
}

static void replace_batch(struct recovery_room *r, uint64_t seq, struct bytes batch)
{
    uint8_t key[40];
    recovery_room_put_raw(r, LOG_TABLE_BATCHES, recovery_room_batch_key(r, key, seq), batch);
}

static void replace_record(struct recovery_room *r, enum log_table table, uint64_t seq, struct bytes record)
{
    uint8_t key[8];
    recovery_room_put_raw(r, table, recovery_room_seq_key(key, seq), record);
}

/* What a clean stop left: certificates for 6 and 7, votes for 6, 8 and 9. */
static void stop_clean(struct recovery_room *r)
{
    recovery_room_grow(r, 5);
    recovery_room_mark_clean(r);
    recovery_room_put_prepared(r, 0, 6);
    recovery_room_put_prepared(r, 0, 7);
    recovery_room_put_vote(r, 0, 6, 6);
    recovery_room_put_vote(r, 0, 8, 8);
    recovery_room_put_vote(r, 0, 9, 9);
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_true(c->clean);
    assert_int_equal(c->slot_count, 4);
    assert_false(r->recovery.recovered.damaged);
    recovery_room_restart(r);
}

/* The certificate of 6 is left out, that of 7 is there, and no vote. */
static void check_without_certificate(struct recovery_room *r)
{
    recovery_room_restart(r);
    recovery_room_check_abstains(r, 6, 1);
    const struct core_recovered_slot *s = &r->recovery.recovered.slots[0];
    assert_int_equal(s->seq, 7);
    assert_true(s->certificate);
    assert_non_null(s->batch);
    assert_null(certificate_check_prepared(&r->kit->wire, kit_checker(r->kit), &s->prepared));
    assert_int_equal(r->recovery.recovered.executed, 5);
}

/* Both certificates are there, and no vote. */
static void check_without_votes(struct recovery_room *r, uint64_t damaged)
{
    recovery_room_restart(r);
    recovery_room_check_abstains(r, damaged, 2);
    const struct core_recovered *c = &r->recovery.recovered;
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(c->slots[i].seq, 6 + i);
        assert_true(c->slots[i].certificate);
        assert_non_null(c->slots[i].batch);
    }
    for (uint32_t i = 2; i < WINDOW_BATCHES; i++)
        assert_null(r->recovery.slots[i].batch);
}

/* ---- certificates ---- */

static void test_recovery_votes_certificate_with_a_wrong_signature_is_left_out(void **state)
{
    uint8_t key[8];
    stop_clean(*state);
    recovery_room_spoil(*state, LOG_TABLE_CERTIFICATES, recovery_room_seq_key(key, 6), 0);
    check_without_certificate(*state);
}

static void test_recovery_votes_certificate_that_does_not_decode_is_left_out(void **state)
{
    stop_clean(*state);
    replace_record(*state, LOG_TABLE_CERTIFICATES, 6, bytes_of_text("garbage"));
    check_without_certificate(*state);
}

static void test_recovery_votes_certificate_with_too_few_signatures_is_left_out(void **state)
{
    struct recovery_room *r = *state;
    struct digest digest;
    stop_clean(r);
    blob_release(recovery_room_batch(r, 6, &digest));
    struct blob *record = kit_prepared(r->kit, 0, 6, &digest, NULL, 2);
    replace_record(r, LOG_TABLE_CERTIFICATES, 6, blob_bytes(record));
    check_without_certificate(r);
    blob_release(record);
}

static void test_recovery_votes_certificate_without_its_batch_is_left_out(void **state)
{
    stop_clean(*state);
    delete_batch(*state, 6);
    check_without_certificate(*state);
}

/* The core would execute such a batch in place of the one that was agreed. */
static void test_recovery_votes_certificate_with_another_batch_is_left_out(void **state)
{
    struct recovery_room *r = *state;
    struct digest ignored;
    stop_clean(r);
    struct blob *other = recovery_room_batch(r, 5, &ignored);
    replace_batch(r, 6, blob_bytes(other));
    check_without_certificate(r);
    replace_batch(r, 6, bytes_of_text("garbage"));
    check_without_certificate(r);
    blob_release(other);
}

/* The same certificate with one field changed. */
static void change_certificate(struct recovery_room *r, uint64_t view, uint64_t epoch)
{
    struct wire_vote_certificate c;
    struct log_place at;
    assert_int_equal(log_next_prepared(r->dir.log, 6, &at, &c).code, ERR_NONE);
    assert_null(at.fault);
    c.view = view;
    c.epoch = epoch;
    struct blob *record = wire_encode_blob(&wire_record_vote_certificate, &c);
    replace_record(r, LOG_TABLE_CERTIFICATES, 6, blob_bytes(record));
    blob_release(record);
}

/* It would pass for one of another view, which is left out without a word. */
static void test_recovery_votes_certificate_with_a_changed_view_is_damaged(void **state)
{
    stop_clean(*state);
    change_certificate(*state, 4, 0);
    check_without_certificate(*state);
}

static void test_recovery_votes_certificate_of_another_epoch_is_left_out(void **state)
{
    stop_clean(*state);
    change_certificate(*state, 0, 1);
    check_without_certificate(*state);
}

/* The walk over the records went round for ever. */
static void test_recovery_votes_certificate_under_another_key_is_left_out(void **state)
{
    static const uint64_t keys[] = {0, 5, 8, 200, WINDOW_BATCHES + 1, SEQ_MAX, SEQ_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct recovery_room *r = *state;
        struct bytes value;
        uint8_t key[8];
        recovery_room_put_prepared(r, 0, 6);
        recovery_room_put_prepared(r, 0, 7);
        assert_int_equal(kv_store_get(r->dir.log, LOG_TABLE_CERTIFICATES, recovery_room_seq_key(key, 6), &value),
                         KV_FOUND);
        struct blob *copy = blob_copy(value);
        replace_record(r, LOG_TABLE_CERTIFICATES, 6, bytes_of(NULL, 0));
        replace_record(r, LOG_TABLE_CERTIFICATES, keys[i], blob_bytes(copy));
        recovery_room_restart(r);
        recovery_room_check_abstains(r, keys[i], 1);
        assert_int_equal(r->recovery.recovered.slots[0].seq, 7);
        replace_record(r, LOG_TABLE_CERTIFICATES, keys[i], bytes_of(NULL, 0));
        blob_release(copy);
    }
}

static void test_recovery_votes_damaged_certificate_counts_after_an_unclean_stop_too(void **state)
{
    struct recovery_room *r = *state;
    uint8_t key[8];
    recovery_room_put_prepared(r, 0, 6);
    assert_false(recovery_room_recovered(r)->clean);
    assert_false(r->recovery.recovered.damaged);
    recovery_room_spoil(r, LOG_TABLE_CERTIFICATES, recovery_room_seq_key(key, 6), 0);
    recovery_room_restart(r);
    recovery_room_check_abstains(r, 6, 0);
}

/* A log environment in which LMDB finds no sense in the pages of the batches. */
struct torn_store {
    struct kv_store base;
    struct kv_store *inner;
};

static enum kv_found torn_get(struct kv_store *s, uint32_t table, struct bytes key, struct bytes *value)
{
    if (table != LOG_TABLE_BATCHES) return kv_store_get(((struct torn_store *)(void *)s)->inner, table, key, value);
    s->fault = err_make(ERR_CORRUPT, "a page is torn");
    return KV_FAILED;
}

static enum kv_found torn_seek(struct kv_store *s, uint32_t table, struct bytes from, struct bytes *key,
                               struct bytes *value)
{
    return kv_store_seek(((struct torn_store *)(void *)s)->inner, table, from, key, value);
}

static enum kv_found torn_last(struct kv_store *s, uint32_t table, struct bytes *key, struct bytes *value)
{
    return kv_store_last(((struct torn_store *)(void *)s)->inner, table, key, value);
}

/* The store is to blame, not the record: nothing can be built on it. */
static void test_recovery_votes_batch_in_a_broken_store_is_corrupt(void **state)
{
    static const struct kv_store_methods methods = {.get = torn_get, .seek = torn_seek, .last = torn_last};
    struct recovery_room *r = *state;
    recovery_room_put_prepared(r, 0, 6);
    struct torn_store torn = {.base = {.methods = &methods, .table_count = LOG_TABLE_COUNT}, .inner = r->dir.log};
    r->dir.log = &torn.base;
    recovery_room_check_corrupt(r, "a page is torn");
    r->dir.log = torn.inner;
}

/* A key that is no sequence at all: nobody knows what else the table has lost. */
static void test_recovery_votes_damaged_table_is_corrupt(void **state)
{
    recovery_room_put_raw(*state, LOG_TABLE_CERTIFICATES, bytes_of_text("key"), bytes_of_text("garbage"));
    recovery_room_check_corrupt(*state, "a key in it is no sequence");
}

/* ---- votes ---- */

static void test_recovery_votes_vote_that_its_primary_did_not_propose_drops_the_votes(void **state)
{
    static const uint64_t seqs[] = {6, 8, 9};
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t key[8];
        if (i == 0) stop_clean(*state);
        recovery_room_spoil(*state, LOG_TABLE_VOTES, recovery_room_seq_key(key, seqs[i]), 0);
        check_without_votes(*state, seqs[i]);
        recovery_room_spoil(*state, LOG_TABLE_VOTES, recovery_room_seq_key(key, seqs[i]), 0);
    }
    recovery_room_restart(*state);
    assert_true(recovery_room_recovered(*state)->clean); /* mended */
}

static void test_recovery_votes_vote_that_does_not_decode_drops_the_votes(void **state)
{
    stop_clean(*state);
    replace_record(*state, LOG_TABLE_VOTES, 9, bytes_of_text("garbage"));
    check_without_votes(*state, 9);
}

static void test_recovery_votes_vote_without_its_batch_drops_the_votes(void **state)
{
    stop_clean(*state);
    delete_batch(*state, 8);
    check_without_votes(*state, 8);
}

/* It would pass for one of another view, and the replica would vote again in this one. */
static void test_recovery_votes_vote_with_a_changed_view_drops_the_votes(void **state)
{
    struct recovery_room *r = *state;
    struct wire_stored_vote v;
    struct log_place at;
    stop_clean(r);
    assert_int_equal(log_next_vote(r->dir.log, 9, &at, &v).code, ERR_NONE);
    v.view = 4;
    struct blob *record = wire_encode_blob(&wire_record_stored_vote, &v);
    replace_record(r, LOG_TABLE_VOTES, 9, blob_bytes(record));
    check_without_votes(r, 9);
    blob_release(record);
}

static void test_recovery_votes_vote_under_another_key_drops_the_votes(void **state)
{
    static const uint64_t keys[] = {0, 10, SEQ_MAX, UINT64_MAX};
    struct recovery_room *r = *state;
    struct bytes value;
    uint8_t key[8];
    stop_clean(r);
    assert_int_equal(kv_store_get(r->dir.log, LOG_TABLE_VOTES, recovery_room_seq_key(key, 9), &value), KV_FOUND);
    struct blob *copy = blob_copy(value);
    replace_record(r, LOG_TABLE_VOTES, 9, bytes_of(NULL, 0));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        replace_record(r, LOG_TABLE_VOTES, keys[i], blob_bytes(copy));
        check_without_votes(r, keys[i]);
        replace_record(r, LOG_TABLE_VOTES, keys[i], bytes_of(NULL, 0));
    }
    blob_release(copy);
}

/* Rule 12. The certificate is proven, and stays. */
static void test_recovery_votes_vote_and_certificate_that_differ_drops_the_votes(void **state)
{
    stop_clean(*state);
    recovery_room_put_vote(*state, 0, 6, 5);
    check_without_votes(*state, 6);
}

/* Executed, a batch that breaks a limit would end the process; its digest alone does not show that. */
static void test_recovery_votes_vote_for_an_invalid_batch_drops_the_votes(void **state)
{
    struct recovery_room *r = *state;
    const struct kit_op op = kit_append("x");
    struct wire_pre_prepare m = {.sender = 0, .seq = 9};
    stop_clean(r);
    struct blob *wrong = kit_request(r->kit, KIT_WRITER, 0, KIT_EXPIRY, &op, 1);
    struct blob *batch = kit_batch(1, &wrong, 1, &m.digest);
    kit_sign(r->kit, &r->kit->members[0], &wire_record_pre_prepare, &m);
    const struct wire_stored_vote vote = {.seq = 9, .digest = m.digest, .signature = m.signature};
    struct blob *record = wire_encode_blob(&wire_record_stored_vote, &vote);
    struct kv_batch *b = kv_batch_new();
    log_put_vote(b, 9, &vote.digest, blob_bytes(record), blob_bytes(batch));
    kit_apply(r->dir.log, b);
    check_without_votes(r, 9);
    blob_release(record);
    blob_release(batch);
}

/* ---- a view change in progress ---- */

/* Rule 13: it has promised to vote in no view below, in those very words. */
static void test_recovery_votes_view_that_was_left_comes_back_with_its_view_change(void **state)
{
    struct recovery_room *r = *state;
    struct bytes stored;
    for (uint64_t view = 1; view < 4; view++) {
        recovery_room_leave_for(r, view);
        recovery_room_restart(r);
        const struct core_recovered *c = recovery_room_recovered(r);
        assert_int_equal(c->view, view);
        assert_null(c->new_view);
        assert_non_null(c->view_change);
        assert_int_equal(log_get_view_left(r->dir.log, &stored).code, ERR_NONE);
        assert_int_equal(c->view_change->len, stored.len);
        assert_memory_equal(c->view_change->data, stored.data, stored.len);
    }
}

/* The NEW-VIEW of the view before comes too: others may ask for it. Votes of the view left do not. */
static void test_recovery_votes_view_left_after_one_that_was_entered(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_mark_clean(r);
    recovery_room_enter_view(r, 4);
    recovery_room_put_prepared(r, 4, 6);
    recovery_room_put_vote(r, 4, 9, 9);
    recovery_room_leave_for(r, 5);
    recovery_room_restart(r);
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_int_equal(c->view, 5);
    assert_non_null(c->view_change);
    assert_non_null(c->new_view);
    assert_int_equal(c->slot_count, 1);
    assert_int_equal(c->slots[0].seq, 6);
}

/* They are those of an older stop. */
static void test_recovery_votes_after_an_unclean_stop_are_not_looked_at(void **state)
{
    struct recovery_room *r = *state;
    replace_record(r, LOG_TABLE_VOTES, 9, bytes_of_text("garbage"));
    assert_false(recovery_room_recovered(r)->clean);
    assert_false(r->recovery.recovered.damaged);
}

/* ---- what was promised about views ---- */

static void spoil_meta(struct recovery_room *r, const char *key)
{
    recovery_room_spoil(r, LOG_TABLE_META, bytes_of_text(key), 0);
    recovery_room_restart(r);
}

/* It stands at the view that it entered, and is fenced; and so it is at every start until that is decided, though the damaged
 * record has gone. */
static void check_view_lost(struct recovery_room *r, uint64_t entered)
{
    struct bytes raw;
    for (int start = 0; start < 2; start++) {
        const struct core_recovered *c = recovery_room_recovered(r);
        assert_int_equal(c->view, entered);
        assert_null(c->view_change);
        assert_int_equal(c->new_view != NULL, entered > 0);
        assert_true(c->fenced);
        assert_int_equal(c->fence_until, 0);
        assert_int_equal(c->fence_reason, FENCE_REASON_VIEW_DAMAGED);
        assert_int_equal(c->damaged, start == 0);
        assert_false(c->clean);
        assert_int_equal(log_get_view_left(r->dir.log, &raw).code, ERR_NOT_FOUND);
        recovery_room_restart(r);
    }
}

static void test_recovery_votes_own_view_change_with_a_wrong_signature_fences(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_enter_view(r, 4);
    recovery_room_leave_for(r, 5);
    spoil_meta(r, "view-change");
    check_view_lost(r, 4);
}

static void test_recovery_votes_own_view_change_that_does_not_decode_fences(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_mark_clean(r);
    recovery_room_leave_for(r, 1);
    recovery_room_put_raw(r, LOG_TABLE_META, bytes_of_text("view-change"), bytes_of_text("garbage"));
    check_view_lost(r, 0);
}

/* A lost earlier fence is no reason to take this one for decided. */
static void test_recovery_votes_own_view_change_of_another_view_fences(void **state)
{
    struct recovery_room *r = *state;
    struct kv_batch *b = kv_batch_new();
    recovery_room_enter_view(r, 4);
    recovery_room_leave_for(r, 5);
    recovery_room_set_view(r, 6);
    log_put_fence(b, 5000, FENCE_REASON_COMMIT_LOST);
    kit_apply(r->dir.log, b);
    check_view_lost(r, 4);
}

static void test_recovery_votes_damaged_view_fences(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_enter_view(r, 4);
    spoil_meta(r, "view");
    check_view_lost(r, 4);
    recovery_room_put_raw(r, LOG_TABLE_META, bytes_of_text("view"), bytes_of(NULL, 0)); /* gone */
    check_view_lost(r, 4);
}

/* What may be proposed in its view is lost, not what it has promised: that stays. */
static void check_new_view_lost(struct recovery_room *r, uint64_t view, bool left)
{
    for (int start = 0; start < 2; start++) {
        recovery_room_restart(r);
        const struct core_recovered *c = recovery_room_recovered(r);
        assert_int_equal(c->view, view);
        assert_null(c->new_view);
        assert_int_equal(c->view_change != NULL, left);
        assert_true(c->fenced);
        assert_int_equal(c->fence_until, 0);
        assert_int_equal(c->fence_reason, FENCE_REASON_VIEW_DAMAGED);
        assert_false(c->clean);
        assert_int_equal(c->slot_count, 1);
        assert_int_equal(c->slots[0].seq, 6);
    }
}

static void test_recovery_votes_damaged_new_view_fences(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_mark_clean(r);
    recovery_room_enter_view(r, 4);
    recovery_room_put_prepared(r, 4, 6);
    recovery_room_spoil(r, LOG_TABLE_META, bytes_of_text("new-view"), 0);
    check_new_view_lost(r, 4, false);
    recovery_room_put_raw(r, LOG_TABLE_META, bytes_of_text("new-view"), bytes_of(NULL, 0)); /* gone */
    check_new_view_lost(r, 4, false);
}

static void test_recovery_votes_damaged_new_view_keeps_the_own_view_change(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_enter_view(r, 4);
    recovery_room_put_prepared(r, 4, 6);
    recovery_room_leave_for(r, 5);
    recovery_room_spoil(r, LOG_TABLE_META, bytes_of_text("new-view"), 0);
    check_new_view_lost(r, 5, true);
}

/* How long it was to last is not known: it is decided anew. */
static void test_recovery_votes_damaged_fence_fences(void **state)
{
    struct recovery_room *r = *state;
    struct kv_batch *b = kv_batch_new();
    log_put_fence(b, 777, FENCE_REASON_NEW_DIRECTORY);
    kit_apply(r->dir.log, b);
    spoil_meta(r, "fence");
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_true(c->fenced);
    assert_int_equal(c->fence_until, 0);
    assert_int_equal(c->fence_reason, FENCE_REASON_FENCE_DAMAGED);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, recovery_room_setup, recovery_room_teardown)

int main(void)
{
    struct CMUnitTest tests[] = {
        ROOM_TEST(test_recovery_votes_certificate_with_a_wrong_signature_is_left_out),
        ROOM_TEST(test_recovery_votes_certificate_that_does_not_decode_is_left_out),
        ROOM_TEST(test_recovery_votes_certificate_with_too_few_signatures_is_left_out),
        ROOM_TEST(test_recovery_votes_certificate_without_its_batch_is_left_out),
        ROOM_TEST(test_recovery_votes_certificate_with_another_batch_is_left_out),
        ROOM_TEST(test_recovery_votes_certificate_with_a_changed_view_is_damaged),
        ROOM_TEST(test_recovery_votes_certificate_of_another_epoch_is_left_out),
        ROOM_TEST(test_recovery_votes_certificate_under_another_key_is_left_out),
        ROOM_TEST(test_recovery_votes_damaged_certificate_counts_after_an_unclean_stop_too),
        ROOM_TEST(test_recovery_votes_batch_in_a_broken_store_is_corrupt),
        ROOM_TEST(test_recovery_votes_damaged_table_is_corrupt),
        ROOM_TEST(test_recovery_votes_vote_that_its_primary_did_not_propose_drops_the_votes),
        ROOM_TEST(test_recovery_votes_vote_that_does_not_decode_drops_the_votes),
        ROOM_TEST(test_recovery_votes_vote_without_its_batch_drops_the_votes),
        ROOM_TEST(test_recovery_votes_vote_with_a_changed_view_drops_the_votes),
        ROOM_TEST(test_recovery_votes_vote_under_another_key_drops_the_votes),
        ROOM_TEST(test_recovery_votes_vote_and_certificate_that_differ_drops_the_votes),
        ROOM_TEST(test_recovery_votes_vote_for_an_invalid_batch_drops_the_votes),
        ROOM_TEST(test_recovery_votes_view_that_was_left_comes_back_with_its_view_change),
        ROOM_TEST(test_recovery_votes_view_left_after_one_that_was_entered),
        ROOM_TEST(test_recovery_votes_after_an_unclean_stop_are_not_looked_at),
        ROOM_TEST(test_recovery_votes_own_view_change_with_a_wrong_signature_fences),
        ROOM_TEST(test_recovery_votes_own_view_change_that_does_not_decode_fences),
        ROOM_TEST(test_recovery_votes_own_view_change_of_another_view_fences),
        ROOM_TEST(test_recovery_votes_damaged_view_fences),
        ROOM_TEST(test_recovery_votes_damaged_new_view_fences),
        ROOM_TEST(test_recovery_votes_damaged_new_view_keeps_the_own_view_change),
        ROOM_TEST(test_recovery_votes_damaged_fence_fences),
    };
    int failed = cmocka_run_group_tests_name("recovery_votes", tests, NULL, NULL);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tests[i].setup_func = recovery_room_setup_files;
    failed += cmocka_run_group_tests_name("recovery_votes_in_files", tests, NULL, NULL);
    return failed;
}
