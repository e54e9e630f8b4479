/* test_core_normal.c - PRE-PREPARE, PREPARE, COMMIT and execution in order (OSDI'99 section 4.2), on one core driven by
 * hand. Unless a test says so: N = 4, Q = 3, replica 1, a backup. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct digest other = {.bytes = {1, 2, 3}};

/* ---- PRE-PREPARE ---- */

static void test_pre_prepare_second_different_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch a = solo_batch_make(&s, 1);
    struct solo_batch b = solo_batch_make(&s, 2);
    assert_null(solo_propose(&s, 1, &a, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    assert_string_equal(solo_propose(&s, 1, &b, true), "a second, different PRE-PREPARE for this view and sequence");
    assert_int_equal(s.effects->count, 1);
    assert_int_equal(s.effects->items[0].type, CORE_EFFECT_EVIDENCE);
    assert_string_equal(solo_propose(&s, 1, &a, true), "PRE-PREPARE known already");
    assert_int_equal(s.effects->count, 0);
    solo_batch_free(&a);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_pre_prepare_second_different_refused_also_without_batch(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch a = solo_batch_make(&s, 1);
    struct solo_batch b = solo_batch_make(&s, 2);
    assert_null(solo_propose(&s, 1, &a, false));
    assert_string_equal(solo_propose(&s, 1, &b, true), "a second, different PRE-PREPARE for this view and sequence");
    assert_null(solo_propose(&s, 1, &a, true)); /* the batch of the first one */
    const struct wire_message m = solo_message(solo_send(&s, WIRE_TYPE_prepare, 0));
    assert_true(digest_equal(&m.prepare.digest, &a.digest));
    solo_batch_free(&a);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_pre_prepare_without_batch_not_prepared(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 1);
    s.wall_ms = 1000; /* a clock by which even the time of no batch, 0, would do */
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, false));
    assert_int_equal(s.effects->count, 0); /* rule 9 */
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 3, 1, &b.digest));
    assert_int_equal(s.effects->count, 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_pre_prepare_accepted_before_start_durable_prepared_after(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 1);
    solo_start(&s, NULL);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, true));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 3, 1, &b.digest));
    assert_int_equal(s.effects->count, 0); /* design.md 7.1: that the view was entered is not durable yet */
    assert_null(solo_all_persisted(&s));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    solo_batch_free(&b);
    solo_close(&s);
}

/* Replaces the last byte of the last request: its signature. The digest is of what it is then. */
static struct solo_batch badly_signed(const struct solo *s)
{
    struct solo_batch out = {.time_ms = s->wall_ms};
    struct blob *request = fixture_request(s->group, 0, 1, s->wall_ms + 1000, "key", "value");
    request->data[request->len - 1] ^= 1;
    out.bytes = fixture_batch(out.time_ms, &request, 1, &out.digest);
    blob_release(request);
    return out;
}

static void test_batch_with_bad_signature_never_prepared(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = badly_signed(&s);
    assert_string_equal(solo_propose(&s, 1, &b, true), "the signature of a request is wrong");
    assert_int_equal(s.effects->count, 0);
    assert_string_equal(solo_propose(&s, 1, &b, true), "the batch is judged already");
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 3, 1, &b.digest));
    assert_int_equal(s.effects->count, 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_batch_with_too_many_requests_never_prepared(void **state)
{
    struct solo s;
    struct blob *requests[9];
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = {.time_ms = s.wall_ms};
    for (uint32_t i = 0; i < 9; i++)
        requests[i] = fixture_request(s.group, 0, i + 1, s.wall_ms + 1000, "key", "value");
    b.bytes = fixture_batch(b.time_ms, requests, 9, &b.digest);
    assert_string_equal(solo_propose(&s, 1, &b, true), "a batch with more requests than the group allows");
    assert_int_equal(s.effects->count, 0);
    solo_batch_free(&b);
    b.bytes = fixture_batch(b.time_ms, requests, 8, &b.digest);
    assert_null(solo_propose(&s, 2, &b, true)); /* the limit itself */
    solo_batch_free(&b);
    for (uint32_t i = 0; i < 9; i++)
        blob_release(requests[i]);
    solo_close(&s);
}

static void test_batch_void_certificate_of_others_not_taken(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = badly_signed(&s);
    (void)solo_propose(&s, 1, &b, true);
    for (uint32_t id = 0; id < 4; id++) {
        if (id > 1) (void)solo_vote(&s, WIRE_TYPE_prepare, id, 1, &b.digest);
        if (id != 1) (void)solo_vote(&s, WIRE_TYPE_commit, id, 1, &b.digest);
        assert_int_equal(s.effects->count, 0);
    }
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- PREPARE ---- */

static void test_prepare_quorum_is_q_minus_1_backups(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, true)); /* own PREPARE: one */
    assert_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest)); /* two: with the PRE-PREPARE that is Q */
    const struct core_effect *e = solo_persist(&s, CORE_PERSIST_PREPARED);
    assert_non_null(e);
    struct wire_vote_certificate c;
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(e->persist.record), &c));
    assert_null(certificate_check_prepared(&s.wire, fixture_checker(), &c));
    assert_int_equal(c.signatures.count, 3);
    assert_non_null(e->persist.batch);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_prepare_quorum_of_five_is_three_backups(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 5, 1); /* Q = 4, not 2f + 1 (rule 29) */
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true);
    (void)solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest);
    assert_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    (void)solo_vote(&s, WIRE_TYPE_prepare, 3, 1, &b.digest);
    assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_prepare_twice_counts_once(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 7, 1); /* Q = 5: own PREPARE and three others' */
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest));
    for (uint32_t i = 0; i < 5; i++) {
        assert_string_equal(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest), "this member's vote is known already");
        assert_int_equal(s.effects->count, 0);
    }
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 3, 1, &b.digest));
    assert_int_equal(s.effects->count, 0);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 4, 1, &b.digest));
    assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_prepare_for_other_digest_does_not_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &other));
    assert_int_equal(s.effects->count, 0);
    /* and the first vote of a member is its only one */
    assert_string_equal(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest), "this member's vote is known already");
    assert_int_equal(s.effects->count, 1);
    assert_int_equal(s.effects->items[0].type, CORE_EFFECT_EVIDENCE);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 3, 1, &b.digest));
    assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_prepare_for_other_sequence_does_not_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 2, &b.digest));
    assert_int_equal(s.effects->count, 0);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 3, 1 + CHECKPOINT_INTERVAL, &b.digest));
    assert_int_equal(s.effects->count, 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_prepares_before_pre_prepare_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 3, 1, &b.digest));
    assert_int_equal(s.effects->count, 0);
    assert_null(solo_propose(&s, 1, &b, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_certificate_holds_q_even_when_all_have_voted(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 7, 6); /* Q = 5; all others' votes are here before the PRE-PREPARE */
    struct solo_batch b = solo_batch_make(&s, 1);
    for (uint32_t id = 1; id < 6; id++)
        (void)solo_vote(&s, WIRE_TYPE_prepare, id, 1, &b.digest);
    (void)solo_propose(&s, 1, &b, true);
    struct wire_vote_certificate c;
    const struct core_effect *e = solo_persist(&s, CORE_PERSIST_PREPARED);
    assert_non_null(e);
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(e->persist.record), &c));
    assert_null(certificate_check_prepared(&s.wire, fixture_checker(), &c));
    assert_int_equal(c.signatures.count, 5);
    solo_batch_free(&b);
    solo_close(&s);
}

/* In view 3 of four the primary is replica 3, whose place in a certificate is the last. */
static void test_certificate_ends_with_the_primary_when_its_id_is_highest(void **state)
{
    struct solo s;
    struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_recovered r = {.view = 3, .clean = true, .windows = windows};
    (void)state;
    solo_open(&s, 4, 2);
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct wire_pre_prepare p = {.sender = 3, .view = 3, .seq = 1, .digest = b.digest, .batch = blob_bytes(b.bytes)};
    for (uint32_t id = 0; id < 2; id++) {
        struct wire_prepare m = {.sender = id, .view = 3, .seq = 1, .digest = b.digest};
        assert_null(solo_receive(&s, id, &wire_record_prepare, &m));
    }
    assert_null(solo_receive(&s, 3, &wire_record_pre_prepare, &p));
    struct wire_vote_certificate c;
    const struct core_effect *e = solo_persist(&s, CORE_PERSIST_PREPARED);
    assert_non_null(e);
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(e->persist.record), &c));
    assert_null(certificate_check_prepared(&s.wire, fixture_checker(), &c));
    assert_int_equal(c.signatures.count, 3);
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- COMMIT ---- */

static void test_commit_waits_for_its_certificate(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true);
    (void)solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest);
    const struct core_effect *persist = solo_persist(&s, CORE_PERSIST_PREPARED);
    const struct core_effect *commit = solo_send(&s, WIRE_TYPE_commit, 0);
    assert_non_null(commit);
    assert_true(commit->after != 0);
    assert_int_equal(commit->after, persist->persist.token); /* design.md 7.2 */
    assert_true(persist < commit);
    assert_int_equal(commit->send.to, CORE_TO_ALL);
    assert_false(commit->send.resend);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_commit_own_counts_only_when_durable(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true);
    (void)solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest);
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 0, 1, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 2, 1, &b.digest));
    assert_int_equal(s.effects->count, 0); /* two others' and an own one that is not durable (rule 31) */
    assert_null(solo_persisted(&s, s.token));
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_commit_quorum_of_others_needs_no_own(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true);
    (void)solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest);
    (void)solo_vote(&s, WIRE_TYPE_commit, 0, 1, &b.digest);
    (void)solo_vote(&s, WIRE_TYPE_commit, 2, 1, &b.digest);
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 3, 1, &b.digest));
    const struct core_effect *e = solo_effect(&s, CORE_EFFECT_EXECUTE, 0);
    assert_non_null(e);
    struct wire_vote_certificate c;
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(e->execute.certificate), &c));
    assert_null(certificate_check_committed(&s.wire, fixture_checker(), &c));
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_commit_quorum_one_short_does_not_execute(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true);
    (void)solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest);
    (void)solo_all_persisted(&s);
    (void)solo_vote(&s, WIRE_TYPE_commit, 0, 1, &b.digest);
    assert_int_equal(s.effects->count, 0);
    (void)solo_vote(&s, WIRE_TYPE_commit, 0, 1, &b.digest); /* again: still two members */
    assert_int_equal(s.effects->count, 0);
    (void)solo_vote(&s, WIRE_TYPE_commit, 2, 1, &other);
    assert_int_equal(s.effects->count, 0);
    (void)solo_vote(&s, WIRE_TYPE_commit, 3, 1, &b.digest);
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_commits_without_prepared_do_not_execute(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true);
    for (uint32_t id = 0; id < 4; id++)
        if (id != 1) (void)solo_vote(&s, WIRE_TYPE_commit, id, 1, &b.digest);
    assert_int_equal(s.effects->count, 0); /* committed means prepared and Q COMMITs */
    (void)solo_vote(&s, WIRE_TYPE_prepare, 3, 1, &b.digest);
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- execution ---- */

static void test_execution_never_across_a_gap(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_commit(&s, 2);
    assert_int_equal(core_summary(s.core).committed, 0);
    solo_commit(&s, 3);
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 0);
    assert_int_equal(core_summary(s.core).committed, 0);
    struct solo_batch b = solo_batch_make(&s, 9);
    (void)solo_propose(&s, 1, &b, true);
    (void)solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest);
    (void)solo_all_persisted(&s);
    (void)solo_vote(&s, WIRE_TYPE_commit, 0, 1, &b.digest);
    (void)solo_vote(&s, WIRE_TYPE_commit, 2, 1, &b.digest);
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 3);
    for (uint32_t k = 0; k < 3; k++)
        assert_int_equal(solo_effect(&s, CORE_EFFECT_EXECUTE, k)->execute.seq, k + 1);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_executed_twice_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, 2);
    assert_string_equal(solo_executed(&s, 2, s.wall_ms, NULL, 0), "executed already");
    assert_int_equal(core_summary(s.core).executed, 2);
    solo_close(&s);
}

static void test_persisted_twice_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_string_equal(solo_persisted(&s, s.token), "already known to be durable");
    solo_close(&s);
}

static void test_read_barrier_covers_own_certificates(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, 1);
    assert_int_equal(core_summary(s.core).read_barrier, 1);
    struct solo_batch b = solo_batch_make(&s, 5);
    (void)solo_propose(&s, 5, &b, true);
    assert_int_equal(core_summary(s.core).read_barrier, 1);
    assert_int_equal(core_summary(s.core).proposed, 5);
    solo_batch_free(&b);
    b = solo_batch_make(&s, 2);
    (void)solo_propose(&s, 2, &b, true);
    (void)solo_vote(&s, WIRE_TYPE_prepare, 2, 2, &b.digest);
    assert_int_equal(core_summary(s.core).read_barrier, 2); /* rule 23: a COMMIT of ours may be on its way */
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_group_of_one_commits_by_itself_once_durable(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 1, 0);
    assert_null(solo_request(&s, 0, 1));
    assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 0);
    assert_null(solo_all_persisted(&s));
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 1);
    solo_close(&s);
}

/* A primary that is behind proposes what was executed here before the start: the others may need this vote. */
static void test_pre_prepare_of_what_was_executed_before_the_start_is_prepared(void **state)
{
    const struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_recovered r = {
        .clean = true, .executed = 3, .executed_time_ms = SOLO_WALL_MS, .windows = windows};
    struct solo s;
    (void)state;
    solo_open(&s, 4, 1);
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 2, &b, true)); /* the batch of 1 is not held: its time does not stand in the way */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pre_prepare_second_different_refused),
        cmocka_unit_test(test_pre_prepare_second_different_refused_also_without_batch),
        cmocka_unit_test(test_pre_prepare_without_batch_not_prepared),
        cmocka_unit_test(test_pre_prepare_accepted_before_start_durable_prepared_after),
        cmocka_unit_test(test_batch_with_bad_signature_never_prepared),
        cmocka_unit_test(test_batch_with_too_many_requests_never_prepared),
        cmocka_unit_test(test_batch_void_certificate_of_others_not_taken),
        cmocka_unit_test(test_prepare_quorum_is_q_minus_1_backups),
        cmocka_unit_test(test_prepare_quorum_of_five_is_three_backups),
        cmocka_unit_test(test_prepare_twice_counts_once),
        cmocka_unit_test(test_prepare_for_other_digest_does_not_count),
        cmocka_unit_test(test_prepare_for_other_sequence_does_not_count),
        cmocka_unit_test(test_prepares_before_pre_prepare_count),
        cmocka_unit_test(test_certificate_holds_q_even_when_all_have_voted),
        cmocka_unit_test(test_certificate_ends_with_the_primary_when_its_id_is_highest),
        cmocka_unit_test(test_commit_waits_for_its_certificate),
        cmocka_unit_test(test_commit_own_counts_only_when_durable),
        cmocka_unit_test(test_commit_quorum_of_others_needs_no_own),
        cmocka_unit_test(test_commit_quorum_one_short_does_not_execute),
        cmocka_unit_test(test_commits_without_prepared_do_not_execute),
        cmocka_unit_test(test_execution_never_across_a_gap),
        cmocka_unit_test(test_executed_twice_ignored),
        cmocka_unit_test(test_persisted_twice_ignored),
        cmocka_unit_test(test_read_barrier_covers_own_certificates),
        cmocka_unit_test(test_group_of_one_commits_by_itself_once_durable),
        cmocka_unit_test(test_pre_prepare_of_what_was_executed_before_the_start_is_prepared),
    };
    return cmocka_run_group_tests_name("core_normal", tests, NULL, NULL);
}
