/* test_recovery.c - from a data directory to what the core starts with: the ledger executed again, votes and
 * certificates as the replica left them. Damage: test_recovery_damage.c, test_recovery_votes.c, test_recovery_state.c.
 */
#include "tests/fixture/recovery_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PRIMARY_OF_VIEW_0 0u

/* ---- the ledger ---- */

static void test_recovery_of_a_new_directory_is_the_beginning(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_mark_clean(r);
    const struct core_recovered *c = recovery_room_recovered(r);
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
    struct recovery_room *r = *state;
    kit_grow(r->kit, r->executor, r->dir.log, 300, NULL);
    assert_int_equal(executor_fold(r->executor, 128).code, ERR_NONE);
    const struct wire_header before = executor_header(r->executor);
    recovery_room_restart(r);
    const struct core_recovered *c = recovery_room_recovered(r);
    const struct wire_header after = executor_header(r->executor);
    assert_int_equal(c->executed, 300);
    assert_int_equal(c->executed_time_ms, 300000);
    assert_int_equal(c->stable.seq, 256);
    assert_int_equal(r->recovery.blocks_executed, 300 - 128);
    assert_int_equal(wire_compare_record(&wire_record_header, &before, &after), 0);
}

static void test_recovery_folds_up_to_the_stable_checkpoint(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_grow(r, 300);
    assert_int_equal(recovery_room_recovered(r)->stable.seq, 256);
    assert_int_equal(executor_base(r->executor), 256);
    recovery_room_restart(r);
    assert_int_equal(executor_executed(r->executor), 256);
    (void)recovery_room_recovered(r);
    assert_int_equal(r->recovery.blocks_executed, 300 - 256);
}

/* An old copy of the state beside the log: more checkpoints are between them than wait at most in a running replica. */
static void test_recovery_brings_a_state_up_that_is_far_behind_the_log(void **state)
{
    struct recovery_room *r = *state;
    for (uint64_t last = 256; last <= 768; last += 256) {
        kit_grow(r->kit, r->executor, r->dir.log, last, NULL);
        assert_int_equal(executor_fold(r->executor, last).code, ERR_NONE);
    }
    const struct wire_header before = executor_header(r->executor);
    kv_store_close(r->dir.state);
    executor_close(r->executor);
    r->executor = kit_executor_new(r->kit, &r->dir.state);
    assert_int_equal(executor_base(r->executor), 0);
    const struct core_recovered *c = recovery_room_recovered(r);
    const struct wire_header after = executor_header(r->executor);
    assert_int_equal(c->executed, 768);
    assert_int_equal(r->recovery.blocks_executed, 768);
    assert_int_equal(executor_base(r->executor), 768);
    assert_int_equal(wire_compare_record(&wire_record_header, &before, &after), 0);
}

static void test_recovery_gives_the_checkpoints_above_the_stable_one(void **state)
{
    struct recovery_room *r = *state;
    struct bytes raw;
    struct wire_checkpoint_certificate proven;
    recovery_room_grow(r, 300);
    assert_int_equal(recovery_room_recovered(r)->checkpoint_count, 0);
    /* the certificate of 256 never came: 128 is stable */
    assert_int_equal(log_get_checkpoint(r->dir.log, 128, &proven, &raw).code, ERR_NONE);
    struct blob *first = blob_copy(raw);
    assert_int_equal(log_get_checkpoint(r->dir.log, 256, &proven, &raw).code, ERR_NONE);
    const struct wire_checkpoint_certificate want = proven;
    recovery_room_put_raw(r, LOG_TABLE_META, bytes_of_text("stable"), blob_bytes(first));
    kv_store_close(r->dir.state);
    executor_close(r->executor);
    r->executor = kit_executor_new(r->kit, &r->dir.state);
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_int_equal(c->stable.seq, 128);
    assert_int_equal(c->checkpoint_count, 1);
    assert_int_equal(c->checkpoints[0].seq, 256);
    assert_memory_equal(c->checkpoints[0].header_hash.bytes, want.header_hash.bytes, DIGEST_BYTES);
    assert_memory_equal(c->checkpoints[0].state_root.bytes, want.state_root.bytes, DIGEST_BYTES);
    blob_release(first);
}

static void test_recovery_stable_checkpoint_comes_back_with_its_signatures(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_grow(r, 128);
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_int_equal(c->stable.seq, 128);
    assert_int_equal(c->stable.signatures.count, 3);
    assert_null(certificate_check_checkpoint(&r->kit->wire, kit_checker(r->kit), &c->stable));
}

static void test_recovery_windows_say_which_sequences_are_settled(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_grow(r, 99);
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_int_equal(c->windows[KIT_WRITER].highest_settled, 99);
    for (uint64_t seq = 99 - CLIENT_WINDOW + 1; seq <= 99; seq++)
        assert_int_equal(c->windows[KIT_WRITER].settled >> (seq % CLIENT_WINDOW) & 1, seq % 10 != 0);
    assert_int_equal(c->windows[KIT_OTHER].highest_settled, 0);
    assert_int_equal(c->windows[KIT_OTHER].settled, 0);
}

static void test_recovery_of_a_young_window_does_not_count_below_1(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_grow(r, 4);
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_int_equal(c->windows[KIT_WRITER].highest_settled, 4);
    assert_int_equal(c->windows[KIT_WRITER].settled, 0x1e); /* bits 1 to 4 */
}

/* ---- votes and certificates ---- */

static void put_fence(struct recovery_room *r, uint64_t until, enum fence_reason reason)
{
    struct kv_batch *b = kv_batch_new();
    log_put_fence(b, until, reason);
    kit_apply(r->dir.log, b);
}

static void test_recovery_gives_the_fence(void **state)
{
    struct recovery_room *r = *state;
    assert_false(recovery_room_recovered(r)->fenced);
    put_fence(r, 0, FENCE_REASON_NEW_DIRECTORY); /* a directory of pbftd --init */
    assert_true(recovery_room_recovered(r)->fenced);
    put_fence(r, 777, FENCE_REASON_COMMIT_LOST);
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_false(c->fenced);
    assert_int_equal(c->fence_until, 777);
    assert_int_equal(c->fence_reason, FENCE_REASON_COMMIT_LOST);
}

static void test_recovery_after_an_unclean_stop_gives_no_votes(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_put_vote(r, 0, 6, 6);
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_false(c->clean);
    assert_int_equal(c->slot_count, 0);
}

static void test_recovery_after_a_clean_stop_gives_the_votes(void **state)
{
    struct recovery_room *r = *state;
    struct digest digest;
    recovery_room_grow(r, 5);
    recovery_room_mark_clean(r);
    recovery_room_put_vote(r, 0, 6, 6);
    recovery_room_put_vote(r, 0, 8, 8);
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_true(c->clean);
    assert_false(r->recovery.recovered.damaged);
    assert_int_equal(c->slot_count, 2);
    struct blob *batch = recovery_room_batch(r, 8, &digest);
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
    struct recovery_room *r = *state;
    recovery_room_grow(r, 5);
    recovery_room_put_prepared(r, 0, 6);
    for (uint32_t clean = 0; clean < 2; clean++) {
        const struct core_recovered *c = recovery_room_recovered(r);
        assert_int_equal(c->clean, clean);
        assert_int_equal(c->slot_count, 1);
        assert_int_equal(c->slots[0].seq, 6);
        assert_true(c->slots[0].certificate);
        assert_non_null(c->slots[0].batch);
        assert_int_equal(c->slots[0].time_ms, 6000);
        assert_null(certificate_check_prepared(&r->kit->wire, kit_checker(r->kit), &c->slots[0].prepared));
        recovery_room_mark_clean(r);
        recovery_room_restart(r);
    }
}

static void test_recovery_joins_vote_and_certificate_of_one_sequence(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_mark_clean(r);
    recovery_room_put_vote(r, 0, 6, 6);
    recovery_room_put_prepared(r, 0, 6);
    recovery_room_put_prepared(r, 0, 7);
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_int_equal(c->slot_count, 2);
    assert_int_equal(c->slots[0].seq, 6);
    assert_true(c->slots[0].certificate);
    assert_int_equal(c->slots[1].seq, 7);
}

static void test_recovery_leaves_out_what_is_outside_the_window(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_grow(r, 128);
    recovery_room_mark_clean(r);
    static const uint64_t seqs[] = {1, 128, 129, 128 + WINDOW_BATCHES, 128 + WINDOW_BATCHES + 1};
    for (size_t i = 0; i < sizeof seqs / sizeof *seqs; i++) {
        recovery_room_put_prepared(r, 0, seqs[i]);
        recovery_room_put_vote(r, 0, seqs[i], seqs[i]);
    }
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_int_equal(c->slot_count, 2);
    assert_int_equal(c->slots[0].seq, 129);
    assert_int_equal(c->slots[1].seq, 128 + WINDOW_BATCHES);
}

/* Certificates of earlier views are kept for VIEW-CHANGE; a vote counts in its view only. */
static void test_recovery_keeps_certificates_of_earlier_views_and_votes_of_this(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_mark_clean(r);
    recovery_room_enter_view(r, 4);
    recovery_room_put_prepared(r, 3, 5);
    recovery_room_put_prepared(r, 4, 6);
    recovery_room_put_vote(r, 3, 8, 8);
    recovery_room_put_vote(r, 4, 9, 9);
    recovery_room_put_vote(r, 5, 10, 10);
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_int_equal(c->view, 4);
    assert_int_equal(c->slot_count, 3);
    assert_int_equal(c->slots[0].seq, 5);
    assert_int_equal(c->slots[1].seq, 6);
    assert_int_equal(c->slots[2].seq, 9);
    assert_true(c->slots[2].accepted);
    assert_false(c->slots[0].accepted);
    assert_non_null(c->new_view);
    assert_null(c->view_change);
}

static void test_recovery_of_a_full_window_gives_every_slot(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_mark_clean(r);
    for (uint64_t seq = 1; seq <= WINDOW_BATCHES; seq++) {
        recovery_room_put_prepared(r, 0, seq);
        recovery_room_put_vote(r, 0, seq, seq);
    }
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_int_equal(c->slot_count, WINDOW_BATCHES);
    for (uint32_t i = 0; i < WINDOW_BATCHES; i++) {
        assert_int_equal(c->slots[i].seq, i + 1);
        assert_int_equal(c->slots[i].prepared.seq, i + 1);
    }
}

static void test_recovery_of_real_signatures_checks_them(void **state)
{
    struct recovery_room *r = *state;
    uint8_t key[8];
    r->kit->signatures = KIT_REAL;
    recovery_room_grow(r, 130);
    recovery_room_put_prepared(r, 0, 131);
    recovery_room_put_vote(r, 0, 132, 132);
    recovery_room_mark_clean(r);
    assert_int_equal(recovery_room_recovered(r)->slot_count, 2);
    assert_false(r->recovery.recovered.damaged);
    recovery_room_restart(r);
    recovery_room_spoil(r, LOG_TABLE_CERTIFICATES, recovery_room_seq_key(key, 131), 10);
    recovery_room_check_abstains(r, 131, 0);
}

static void test_recovery_freed_twice_is_harmless(void **state)
{
    struct recovery_room *r = *state;
    (void)recovery_room_recovered(r);
    recovery_free(&r->recovery);
    recovery_free(&r->recovery);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, recovery_room_setup, recovery_room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_recovery_of_a_new_directory_is_the_beginning),
        ROOM_TEST(test_recovery_executes_the_blocks_above_the_base_again),
        ROOM_TEST(test_recovery_folds_up_to_the_stable_checkpoint),
        ROOM_TEST(test_recovery_brings_a_state_up_that_is_far_behind_the_log),
        ROOM_TEST(test_recovery_gives_the_checkpoints_above_the_stable_one),
        ROOM_TEST(test_recovery_stable_checkpoint_comes_back_with_its_signatures),
        ROOM_TEST(test_recovery_windows_say_which_sequences_are_settled),
        ROOM_TEST(test_recovery_of_a_young_window_does_not_count_below_1),
        ROOM_TEST(test_recovery_gives_the_fence),
        ROOM_TEST(test_recovery_after_an_unclean_stop_gives_no_votes),
        ROOM_TEST(test_recovery_after_a_clean_stop_gives_the_votes),
        ROOM_TEST(test_recovery_gives_certificates_clean_or_not),
        ROOM_TEST(test_recovery_joins_vote_and_certificate_of_one_sequence),
        ROOM_TEST(test_recovery_leaves_out_what_is_outside_the_window),
        ROOM_TEST(test_recovery_keeps_certificates_of_earlier_views_and_votes_of_this),
        ROOM_TEST(test_recovery_of_a_full_window_gives_every_slot),
        ROOM_TEST(test_recovery_of_real_signatures_checks_them),
        ROOM_TEST(test_recovery_freed_twice_is_harmless),
    };
    return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
