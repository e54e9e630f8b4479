/* test_core_view.c - leaving a view: what makes a replica time out, what its VIEW-CHANGE says, whom it joins (OSDI'99
 * section 4.4, rules 16 and 17). One core driven by hand: backup 2 of N = 4 unless a test says so. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL
#define T SOLO_TIMEOUT_US

static const struct core_event stop = {.type = CORE_EVENT_STOP};

/* The view that the last event left for; 0: none. */
static uint64_t left_for(const struct solo *s)
{
    const struct core_effect *e = solo_send(s, WIRE_TYPE_view_change, 0);
    if (e == NULL || e->send.to != CORE_TO_ALL) return 0;
    return solo_message(e).view_change.view;
}

/* Accepts a proposal of view 0 and the PREPARE of member 3, with its own the Q-1: the certificate is given out. */
static void prepare(struct solo *s, uint64_t seq, const struct solo_batch *b)
{
    assert_null(solo_propose(s, seq, b, true));
    assert_null(solo_vote(s, WIRE_TYPE_prepare, 3, seq, &b->digest));
    assert_non_null(solo_persist(s, CORE_PERSIST_PREPARED));
}

/* ---- time-outs ---- */

static void test_timeout_request_leaves_after_t_not_earlier(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    (void)solo_tick(&s, 1000000);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, 1000);
    assert_null(solo_request(&s, 0, 2)); /* the oldest counts */
    (void)solo_tick(&s, T - 1001);
    assert_int_equal(left_for(&s), 0);
    (void)solo_tick(&s, 1);
    assert_int_equal(left_for(&s), 1);
    assert_int_equal(core_summary(s.core).view, 1);
    assert_true(core_summary(s.core).changing);
    assert_int_equal(core_summary(s.core).view_changes, 1);
    solo_close(&s);
}

/* Rule 17: what the primary does for others does not put it off. */
static void test_timeout_of_a_request_is_not_put_off_by_other_traffic(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    (void)solo_tick(&s, 1000000);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, T / 2);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, true));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 3, 1, &b.digest));
    (void)solo_all_persisted(&s);
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 0, 1, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 3, 1, &b.digest));
    assert_null(solo_executed(&s, 1, b.time_ms, NULL, 0));
    assert_null(solo_status(&s, 0, 1, NULL));
    (void)solo_tick(&s, T / 2 - 1);
    assert_int_equal(left_for(&s), 0);
    (void)solo_tick(&s, 1);
    assert_int_equal(left_for(&s), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_timeout_nothing_waits_stays(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = 0, .seq = 1};
    (void)state;
    solo_ready(&s, 4, 2);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, T - 1);
    solo_commit(&s, 1);
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1));
    (void)solo_tick(&s, 10 * (uint64_t)T);
    assert_int_equal(left_for(&s), 0);
    assert_null(solo_request(&s, 0, 2)); /* the time of the settled one is not held against it */
    (void)solo_tick(&s, T - 1);
    assert_int_equal(left_for(&s), 0);
    solo_close(&s);
}

static void test_timeout_proposal_not_executed_leaves_after_t(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    (void)solo_tick(&s, 1000000);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, true));
    (void)solo_tick(&s, T - 1);
    assert_int_equal(left_for(&s), 0);
    (void)solo_tick(&s, 1);
    assert_int_equal(left_for(&s), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_timeout_counts_from_the_entry_into_the_view(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, T - 1);
    struct solo_view v;
    solo_view_make(&s, 1, NULL, 0, &v);
    solo_view_say_all(&s, &v);
    (void)solo_tick(&s, 1000);
    assert_null(solo_view_begin(&s, &v));
    solo_view_free(&v);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, T - 1);
    assert_int_equal(left_for(&s), 0);
    (void)solo_tick(&s, 1);
    assert_int_equal(left_for(&s), 2);
    solo_close(&s);
}

/* A view whose entry is not durable yet has no votes: nobody waits for its primary. */
static void test_timeout_before_the_entry_is_durable_stays(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 2);
    solo_start(&s, NULL);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, T);
    assert_int_equal(left_for(&s), 0);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, 1);
    assert_int_equal(left_for(&s), 1);
    solo_close(&s);
}

/* What its client's window keeps back cannot be ordered by any primary. */
static void test_timeout_request_above_its_window_does_not_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    (void)solo_request(&s, 0, CLIENT_WINDOW + 1);
    assert_int_equal(core_summary(s.core).custody, 1);
    (void)solo_tick(&s, T);
    assert_int_equal(core_summary(s.core).custody, 1);
    assert_int_equal(left_for(&s), 0);
    solo_close(&s);
}

static void test_timeout_replica_behind_weak_quorum_stays(void **state)
{
    struct solo s;
    (void)state;
    for (uint32_t others = 1; others <= 2; others++) { /* f of them may lie */
        solo_ready(&s, 4, 2);
        assert_null(solo_request(&s, 0, 1));
        (void)solo_status(&s, 0, 5, NULL);
        if (others == 2) (void)solo_status(&s, 3, 5, NULL);
        (void)solo_tick(&s, T);
        assert_int_equal(left_for(&s), others == 1 ? 1 : 0);
        solo_close(&s);
    }
}

/* The others have executed the request, and more since: what they say of that comes after what this replica has caught up to. */
static void test_timeout_replica_that_has_caught_up_waits_once_more(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    solo_run_to(&s, 4);
    assert_null(solo_request(&s, 0, 9));
    (void)solo_status(&s, 0, 5, NULL);
    (void)solo_status(&s, 3, 5, NULL);
    (void)solo_tick(&s, T);
    assert_int_equal(left_for(&s), 0);
    solo_run_to(&s, 5);
    (void)solo_tick(&s, 1);
    assert_int_equal(left_for(&s), 0);
    (void)solo_status(&s, 0, 6, NULL); /* behind for a moment, its time not yet over */
    (void)solo_status(&s, 3, 6, NULL);
    (void)solo_tick(&s, T / 2);
    solo_run_to(&s, 6);
    (void)solo_tick(&s, T - T / 2 - 1);
    assert_int_equal(left_for(&s), 0);
    (void)solo_tick(&s, 1);
    assert_int_equal(left_for(&s), 1);
    solo_close(&s);
}

/* A primary that makes a backup fall behind again and again gains one T by it. */
static void test_timeout_replica_that_catches_up_again_and_again_leaves(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    solo_run_to(&s, 4);
    assert_null(solo_request(&s, 0, 9));
    for (uint64_t n = 5; n <= 6; n++) {
        (void)solo_status(&s, 0, n, NULL);
        (void)solo_status(&s, 3, n, NULL);
        (void)solo_tick(&s, T);
        assert_int_equal(left_for(&s), 0);
        solo_run_to(&s, n);
        (void)solo_tick(&s, 1);
        assert_int_equal(left_for(&s), n == 5 ? 0 : 1);
    }
    solo_close(&s);
}

static void test_timeout_diverged_replica_stays(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    solo_run_to(&s, 1);
    assert_null(solo_request(&s, 0, 9));
    struct solo_batch other = solo_batch_make(&s, 7);
    const struct solo_claim claim = {.seq = 1, .view = 0, .batch = &other};
    solo_enter(&s, 1, &claim, 1);
    (void)solo_all_persisted(&s);
    assert_true(core_summary(s.core).diverged);
    (void)solo_tick(&s, T);
    assert_int_equal(left_for(&s), 0);
    solo_batch_free(&other);
    solo_close(&s);
}

static void test_timeout_stopping_replica_stays(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    assert_null(solo_request(&s, 0, 1));
    assert_null(solo_step(&s, &stop));
    (void)solo_tick(&s, T);
    assert_int_equal(left_for(&s), 0);
    solo_close(&s);
}

/* ---- what a VIEW-CHANGE says ---- */

static struct wire_vote_certificate certificate_of(const struct wire_view_change *m, uint32_t k)
{
    struct wire_iterator i = wire_list_start(m->prepared);
    struct wire_vote_certificate c;
    for (uint32_t n = 0; n <= k; n++)
        assert_true(wire_list_next(&i, &wire_record_vote_certificate, &c));
    return c;
}

static void test_view_change_holds_every_certificate_given_out(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    struct solo_batch b[3];
    for (uint32_t i = 0; i < 3; i++)
        b[i] = solo_batch_make(&s, i + 1);
    prepare(&s, 1, &b[0]);
    (void)solo_all_persisted(&s);
    prepare(&s, 2, &b[1]); /* not durable */
    assert_null(solo_propose(&s, 3, &b[2], true));
    (void)solo_tick(&s, T);
    const struct core_effect *e = solo_send(&s, WIRE_TYPE_view_change, 0);
    const struct wire_view_change m = solo_message(e).view_change;
    assert_int_equal(m.view, 1);
    assert_int_equal(m.sender, 2);
    assert_int_equal(m.proof.seq, 0);
    assert_int_equal(m.prepared.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct wire_vote_certificate c = certificate_of(&m, i);
        assert_int_equal(c.seq, i + 1);
        assert_int_equal(c.view, 0);
        assert_true(digest_equal(&c.digest, &b[i].digest));
        assert_null(certificate_check_prepared(&s.wire, fixture_checker(), &c));
    }
    assert_null(solo_verify(&s, blob_retain(e->send.bytes)));
    for (uint32_t i = 0; i < 3; i++)
        solo_batch_free(&b[i]);
    solo_close(&s);
}

/* Sequence 1 is prepared again in view 1, sequence 2 is not: the certificate of the highest view for each. */
static void test_view_change_holds_the_certificate_of_the_highest_view(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    struct solo_batch b = solo_batch_make(&s, 2);
    const struct solo_claim claims[] = {{1, 0, &a}, {2, 0, &b}};
    for (uint64_t seq = 1; seq <= 2; seq++) {
        const struct solo_batch *batch = seq == 1 ? &a : &b;
        assert_null(solo_propose(&s, seq, batch, true));
        assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, seq, &batch->digest));
    }
    solo_enter(&s, 1, claims, 2);
    (void)solo_all_persisted(&s);
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 1, 2, 1, &a.digest));
    assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    (void)solo_tick(&s, T);
    assert_int_equal(left_for(&s), 2);
    const struct wire_view_change m = solo_message(solo_send(&s, WIRE_TYPE_view_change, 0)).view_change;
    assert_int_equal(m.prepared.count, 2);
    assert_int_equal(certificate_of(&m, 0).view, 1);
    assert_int_equal(certificate_of(&m, 1).view, 0);
    solo_batch_free(&a);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_view_change_proves_its_checkpoint_and_holds_nothing_below(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    solo_run_to(&s, K);
    (void)solo_all_persisted(&s);
    assert_null(solo_checkpoint(&s, 0, K));
    assert_null(solo_checkpoint(&s, 3, K));
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).low, K);
    struct solo_batch b = solo_batch_make(&s, K + 1);
    prepare(&s, K + 1, &b);
    (void)solo_tick(&s, T);
    const struct wire_view_change m = solo_message(solo_send(&s, WIRE_TYPE_view_change, 0)).view_change;
    assert_int_equal(m.proof.seq, K);
    assert_null(certificate_check_checkpoint(&s.wire, fixture_checker(), &m.proof));
    assert_int_equal(m.prepared.count, 1);
    assert_int_equal(certificate_of(&m, 0).seq, K + 1);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_view_change_leaves_only_when_durable(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    struct solo_batch b = solo_batch_make(&s, 1);
    prepare(&s, 1, &b);
    const uint64_t certificate = solo_persist(&s, CORE_PERSIST_PREPARED)->persist.token;
    assert_int_equal(solo_send(&s, WIRE_TYPE_commit, 0)->after, certificate); /* given before: it still leaves */
    (void)solo_tick(&s, T);
    const struct core_effect *left = solo_persist(&s, CORE_PERSIST_VIEW_LEFT);
    const struct core_effect *sent = solo_send(&s, WIRE_TYPE_view_change, 0);
    assert_non_null(left);
    assert_int_equal(left->persist.view, 1);
    assert_true(left->persist.token > certificate); /* durable with it or before it */
    assert_int_equal(sent->after, left->persist.token);
    assert_false(sent->send.resend);
    assert_int_equal(left->persist.record->len, sent->send.bytes->len);
    assert_memory_equal(left->persist.record->data, sent->send.bytes->data, sent->send.bytes->len);
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- no vote after leaving ---- */

static void test_left_view_batch_that_comes_is_not_prepared(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, false));
    assert_null(solo_view_change(&s, 0, 1));
    assert_int_equal(left_for(&s), 1);
    (void)solo_all_persisted(&s);
    (void)solo_data(&s, 3, 1, &b);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    assert_string_equal(solo_propose(&s, 2, &b, true), "PRE-PREPARE of a view that is past");
    assert_null(solo_propose_in(&s, 1, 2, &b, true)); /* kept until its view begins */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_left_view_certificate_of_others_is_not_taken(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, false));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 1, 1, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 3, 1, &b.digest));
    assert_null(solo_view_change(&s, 0, 1));
    (void)solo_data(&s, 3, 1, &b);
    assert_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 0);
    solo_batch_free(&b);
    solo_close(&s);
}

/* The commit certificate would be of the view left, and its votes are not kept apart from those of the next. */
static void test_left_view_own_commit_that_becomes_durable_commits_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    struct solo_batch b = solo_batch_make(&s, 1);
    prepare(&s, 1, &b);
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 0, 1, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 3, 1, &b.digest));
    assert_null(solo_view_change(&s, 0, 1));
    assert_int_equal(left_for(&s), 1);
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_left_view_custody_goes_to_the_next_primary(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    assert_null(solo_request(&s, 0, 1));
    assert_null(solo_view_change(&s, 0, 1));
    assert_int_equal(left_for(&s), 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 1);
    assert_int_equal(solo_send(&s, WIRE_TYPE_request, 0)->send.to, 1);
    solo_close(&s);
}

/* ---- joining (rule 16) ---- */

static void test_join_weak_quorum_goes_to_the_smallest_view(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 7, 6); /* f = 2 */
    assert_null(solo_view_change(&s, 2, 9));
    assert_int_equal(left_for(&s), 0);
    assert_null(solo_view_change(&s, 4, 5));
    assert_int_equal(left_for(&s), 0);
    assert_null(solo_view_change(&s, 5, 8));
    assert_int_equal(left_for(&s), 5);
    assert_int_equal(core_summary(s.core).view, 5);
    solo_close(&s);
}

static void test_join_other_view_changes_of_one_member_count_once(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    for (uint64_t view = 4; view < 8; view++)
        assert_null(solo_view_change(&s, 3, view));
    assert_int_equal(core_summary(s.core).view, 0);
    solo_close(&s);
}

/* One of Q is further: the others' NEW-VIEW timer runs all the same, or all would wait for ever. */
static void test_new_view_timer_counts_who_has_gone_further(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    assert_null(solo_view_change(&s, 0, 1));
    assert_int_equal(left_for(&s), 1);
    assert_null(solo_view_change(&s, 1, 2));
    assert_int_equal(left_for(&s), 0);
    bool left = false;
    for (uint32_t i = 0; i < 30 && !left; i++) {
        (void)solo_tick(&s, SOLO_TIMEOUT_US / 10);
        left = solo_persist(&s, CORE_PERSIST_VIEW_LEFT) != NULL;
    }
    assert_true(left);
    assert_int_equal(core_summary(s.core).view, 2);
    solo_close(&s);
}

/* Changing already, f+1 others are further: each step that they bring is taken. */
static void test_join_while_changing_goes_on(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    assert_null(solo_view_change(&s, 0, 1));
    assert_int_equal(left_for(&s), 1);
    assert_null(solo_view_change(&s, 1, 3));
    assert_int_equal(left_for(&s), 0);
    assert_null(solo_view_change(&s, 3, 4));
    assert_int_equal(left_for(&s), 3);
    solo_close(&s);
}

static void test_resigning_primary_moves_at_once(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    assert_null(solo_view_change(&s, 0, 1));
    assert_int_equal(left_for(&s), 1);
    solo_close(&s);
}

static void test_resigning_primary_before_the_start_is_durable_moves_nobody(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 2);
    solo_start(&s, NULL);
    assert_null(solo_view_change(&s, 0, 1));
    assert_int_equal(core_summary(s.core).view, 0);
    (void)solo_tick(&s, 1000);
    assert_int_equal(core_summary(s.core).view, 0);
    solo_close(&s);
}

/* As after a stop of all, where the primary had resigned before and is the first to be back. */
static void test_primary_that_resigned_before_the_view_was_entered_is_left_then(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 2);
    solo_start(&s, NULL);
    assert_null(solo_view_change(&s, 0, 1));
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, 1000);
    assert_int_equal(core_summary(s.core).view, 1);
    solo_close(&s);
}

static void test_primary_that_asks_for_a_later_view_moves_nobody(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    assert_null(solo_view_change(&s, 0, 2));
    assert_int_equal(core_summary(s.core).view, 0);
    solo_close(&s);
}

static void test_backup_that_asks_for_the_next_view_moves_nobody(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    assert_null(solo_view_change(&s, 1, 1));
    assert_int_equal(core_summary(s.core).view, 0);
    solo_close(&s);
}

/* The primary of the view that is only waited for has nothing to resign from. */
static void test_primary_of_the_view_waited_for_moves_nobody(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    assert_null(solo_view_change(&s, 0, 1));
    assert_null(solo_view_change(&s, 1, 2));
    assert_int_equal(core_summary(s.core).view, 1);
    solo_close(&s);
}

static void test_view_change_without_proof_ignored(void **state)
{
    struct solo s;
    struct wire_view_change m = {.sender = 0, .view = 1, .proof = {.seq = K}};
    (void)state;
    solo_ready(&s, 4, 2);
    assert_string_equal(solo_receive(&s, 0, &wire_record_view_change, &m),
                        "a VIEW-CHANGE without proof of its checkpoint");
    assert_int_equal(core_summary(s.core).view, 0);
    solo_close(&s);
}

static void test_view_change_own_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    assert_string_equal(solo_view_change(&s, 2, 1), "own VIEW-CHANGE");
    assert_int_equal(core_summary(s.core).view, 0);
    solo_close(&s);
}

static void test_view_change_for_a_past_view_moves_nobody(void **state)
{
    struct solo s;
    struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_recovered later = {.view = 5, .clean = true, .windows = windows};
    (void)state;
    solo_open(&s, 4, 2);
    solo_start(&s, &later);
    (void)solo_all_persisted(&s);
    (void)solo_view_change(&s, 0, 4);
    (void)solo_view_change(&s, 1, 5);
    (void)solo_view_change(&s, 3, 5);
    assert_int_equal(s.effects->count, 0);
    assert_int_equal(core_summary(s.core).view, 5);
    assert_false(core_summary(s.core).changing);
    solo_close(&s);
}

/* ---- views cannot wrap (rule 16) ---- */

static void test_timeout_in_the_last_view_stays(void **state)
{
    struct solo s;
    struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_recovered last = {.view = VIEW_MAX - 1, .clean = true, .windows = windows};
    (void)state;
    solo_open(&s, 4, 2);
    solo_start(&s, &last);
    (void)solo_all_persisted(&s);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, T);
    assert_int_equal(left_for(&s), VIEW_MAX);
    assert_null(solo_view_change(&s, 1, VIEW_MAX));
    assert_null(solo_view_change(&s, 3, VIEW_MAX));
    for (uint32_t i = 0; i < 3; i++) {
        (void)solo_tick(&s, 32 * (uint64_t)T);
        assert_int_equal(left_for(&s), 0);
        assert_int_equal(core_summary(s.core).view, VIEW_MAX);
    }
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeout_request_leaves_after_t_not_earlier),
        cmocka_unit_test(test_timeout_of_a_request_is_not_put_off_by_other_traffic),
        cmocka_unit_test(test_timeout_nothing_waits_stays),
        cmocka_unit_test(test_timeout_proposal_not_executed_leaves_after_t),
        cmocka_unit_test(test_timeout_counts_from_the_entry_into_the_view),
        cmocka_unit_test(test_timeout_before_the_entry_is_durable_stays),
        cmocka_unit_test(test_timeout_request_above_its_window_does_not_count),
        cmocka_unit_test(test_timeout_replica_behind_weak_quorum_stays),
        cmocka_unit_test(test_timeout_replica_that_has_caught_up_waits_once_more),
        cmocka_unit_test(test_timeout_replica_that_catches_up_again_and_again_leaves),
        cmocka_unit_test(test_timeout_diverged_replica_stays),
        cmocka_unit_test(test_timeout_stopping_replica_stays),
        cmocka_unit_test(test_view_change_holds_every_certificate_given_out),
        cmocka_unit_test(test_view_change_holds_the_certificate_of_the_highest_view),
        cmocka_unit_test(test_view_change_proves_its_checkpoint_and_holds_nothing_below),
        cmocka_unit_test(test_view_change_leaves_only_when_durable),
        cmocka_unit_test(test_left_view_batch_that_comes_is_not_prepared),
        cmocka_unit_test(test_left_view_certificate_of_others_is_not_taken),
        cmocka_unit_test(test_left_view_own_commit_that_becomes_durable_commits_nothing),
        cmocka_unit_test(test_left_view_custody_goes_to_the_next_primary),
        cmocka_unit_test(test_join_weak_quorum_goes_to_the_smallest_view),
        cmocka_unit_test(test_join_other_view_changes_of_one_member_count_once),
        cmocka_unit_test(test_join_while_changing_goes_on),
        cmocka_unit_test(test_new_view_timer_counts_who_has_gone_further),
        cmocka_unit_test(test_resigning_primary_moves_at_once),
        cmocka_unit_test(test_primary_that_resigned_before_the_view_was_entered_is_left_then),
        cmocka_unit_test(test_resigning_primary_before_the_start_is_durable_moves_nobody),
        cmocka_unit_test(test_primary_that_asks_for_a_later_view_moves_nobody),
        cmocka_unit_test(test_backup_that_asks_for_the_next_view_moves_nobody),
        cmocka_unit_test(test_primary_of_the_view_waited_for_moves_nobody),
        cmocka_unit_test(test_view_change_without_proof_ignored),
        cmocka_unit_test(test_view_change_own_ignored),
        cmocka_unit_test(test_view_change_for_a_past_view_moves_nobody),
        cmocka_unit_test(test_timeout_in_the_last_view_stays),
    };
    return cmocka_run_group_tests_name("core_view", tests, NULL, NULL);
}
