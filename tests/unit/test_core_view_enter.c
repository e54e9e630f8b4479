/* test_core_view_enter.c - a backup enters a view: which NEW-VIEW it believes, what it fetches, how it votes on what is
 * carried over, and the votes that came before (OSDI'99 section 4.4, rules 2, 8, 12). Core 3 of N = 4, driven by hand;
 * the primary of view 1 is 1. */
#include "tests/fixture/solo.h"

#include "viewchange/viewchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T SOLO_TIMEOUT_US
#define EARLY_MAX (2u * WINDOW_BATCHES)

static bool in_view(const struct solo *s, uint64_t view)
{
    const struct core_summary now = core_summary(s->core);
    return now.view == view && !now.changing;
}

/* Its batch arrives, and the PREPARE of member 2, with the own the Q-1; the certificate becomes durable. */
static void prepare_in_1(struct solo *s, uint64_t seq, const struct digest *digest)
{
    assert_null(solo_vote_in(s, WIRE_TYPE_prepare, 1, 2, seq, digest));
    assert_non_null(solo_persist(s, CORE_PERSIST_PREPARED));
    (void)solo_all_persisted(s);
}

static void commit_in_1(struct solo *s, uint64_t seq, const struct digest *digest)
{
    prepare_in_1(s, seq, digest);
    assert_null(solo_vote_in(s, WIRE_TYPE_commit, 1, 0, seq, digest));
    assert_null(solo_vote_in(s, WIRE_TYPE_commit, 1, 1, seq, digest));
}

/* ---- which NEW-VIEW ---- */

static void test_new_view_right_enters(void **state)
{
    struct solo s;
    struct solo_view v;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &a};
    solo_view_make(&s, 1, &claim, 1, &v);
    solo_view_say_all(&s, &v);
    assert_true(core_summary(s.core).changing);
    assert_null(solo_view_begin(&s, &v));
    assert_true(in_view(&s, 1));
    const struct core_effect *entered = solo_persist(&s, CORE_PERSIST_NEW_VIEW);
    assert_non_null(entered);
    assert_int_equal(entered->persist.view, 1);
    struct blob *message = solo_view_message(&s, &v);
    assert_int_equal(entered->persist.record->len, message->len);
    assert_memory_equal(entered->persist.record->data, message->data, message->len);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_new_view), 0);
    blob_release(message);
    solo_view_free(&v);
    solo_batch_free(&a);
    solo_close(&s);
}

static void test_new_view_keeps_the_view_changes_it_names(void **state)
{
    struct solo s;
    bool seen[4] = {false};
    (void)state;
    solo_ready(&s, 4, 3);
    solo_enter(&s, 1, NULL, 0);
    const uint64_t entered = solo_persist(&s, CORE_PERSIST_NEW_VIEW)->persist.token;
    const struct core_effect *e;
    for (uint32_t k = 0; (e = solo_effect(&s, CORE_EFFECT_PERSIST, k)) != NULL; k++) {
        if (e->persist.kind != CORE_PERSIST_VIEW_CHANGE) continue;
        assert_true(e->persist.token < entered);
        seen[e->persist.seq] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2] && !seen[3]);
    solo_close(&s);
}

/* Spoils a right NEW-VIEW in one way, and expects that the core stays outside. */
static void refuse(void (*spoil)(struct solo_view *v, const struct solo_batch *other))
{
    struct solo s;
    struct solo_view v;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    struct solo_batch b = solo_batch_make(&s, 2);
    const struct solo_claim claim = {2, 0, &a};
    solo_view_make(&s, 1, &claim, 1, &v);
    solo_view_say_all(&s, &v);
    spoil(&v, &b);
    (void)solo_view_begin(&s, &v);
    assert_false(in_view(&s, 1));
    assert_null(solo_persist(&s, CORE_PERSIST_NEW_VIEW));
    solo_view_free(&v);
    solo_batch_free(&a);
    solo_batch_free(&b);
    solo_close(&s);
}

static void other_batch(struct solo_view *v, const struct solo_batch *other)
{
    v->proposals[1] = other->digest;
}

static void batch_for_null(struct solo_view *v, const struct solo_batch *other)
{
    v->proposals[0] = other->digest;
}

static void null_for_batch(struct solo_view *v, const struct solo_batch *other)
{
    (void)other;
    v->proposals[1] = v->proposals[0];
}

static void one_less(struct solo_view *v, const struct solo_batch *other)
{
    (void)other;
    v->count--;
}

static void one_more(struct solo_view *v, const struct solo_batch *other)
{
    v->proposals[v->count++] = other->digest;
}

static void shifted(struct solo_view *v, const struct solo_batch *other)
{
    (void)other;
    v->low = 1;
}

static void one_member_less(struct solo_view *v, const struct solo_batch *other)
{
    (void)other;
    blob_release(v->view_changes[2]);
    v->view_changes[2] = NULL;
}

static void test_new_view_wrong_refused(void **state)
{
    (void)state;
    refuse(other_batch);
    refuse(batch_for_null);
    refuse(null_for_batch);
    refuse(one_less);
    refuse(one_more);
    refuse(shifted);
    refuse(one_member_less);
}

static void test_new_view_of_another_member_refused(void **state)
{
    struct solo s;
    struct solo_view v;
    struct wire_message m;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_view_make(&s, 1, NULL, 0, &v);
    struct blob *right = solo_view_message(&s, &v);
    assert_null(wire_decode(blob_bytes(right), &m));
    m.new_view.sender = 2;
    assert_non_null(solo_verify(&s, fixture_message(s.group, &wire_record_new_view, &m.new_view)));
    blob_release(right);
    solo_view_free(&v);
    solo_close(&s);
}

static void test_new_view_of_the_view_entered_ignored(void **state)
{
    struct solo s;
    struct solo_view v;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_enter(&s, 1, NULL, 0);
    solo_view_make(&s, 1, NULL, 0, &v);
    assert_string_equal(solo_view_begin(&s, &v), "a NEW-VIEW of a view that is past or entered");
    assert_int_equal(s.effects->count, 0);
    solo_view_free(&v);
    solo_close(&s);
}

/* It has not left its view; V proves that others have, in whatever order the parts come. */
static void test_new_view_fetches_view_changes_and_enters_in_any_order(void **state)
{
    static const uint32_t orders[3][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
    (void)state;
    for (uint32_t o = 0; o < 3; o++) {
        struct solo s;
        struct solo_view v;
        solo_ready(&s, 4, 3);
        solo_view_make(&s, 1, NULL, 0, &v);
        assert_null(solo_view_begin(&s, &v));
        assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 3);
        for (uint32_t k = 0; k < 3; k++) {
            const struct wire_fetch f = solo_message(solo_send(&s, WIRE_TYPE_fetch, k)).fetch;
            assert_int_equal(f.kind, DATA_KIND_VIEW_CHANGE);
            assert_int_equal(f.seq, k);
            assert_true(digest_equal(&f.digest, &v.ids[k]));
        }
        for (uint32_t k = 0; k < 3; k++) {
            assert_false(in_view(&s, 1));
            assert_null(solo_view_say(&s, &v, orders[o][k]));
        }
        assert_true(in_view(&s, 1));
        solo_view_free(&v);
        solo_close(&s);
    }
}

static void test_new_view_asks_again_for_what_it_lacks(void **state)
{
    struct solo s;
    struct solo_view v;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_view_make(&s, 1, NULL, 0, &v);
    assert_null(solo_view_begin(&s, &v));
    assert_null(solo_view_say(&s, &v, 2));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 0); /* not for each message that comes */
    (void)solo_tick(&s, SOLO_RESEND_US - 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 0);
    (void)solo_tick(&s, 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 2); /* 0 and 1 */
    solo_view_free(&v);
    solo_close(&s);
}

/* ---- what is carried over ---- */

static void test_carried_proposal_prepared_once_the_entry_is_durable(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &a};
    assert_null(solo_propose(&s, 1, &a, true)); /* so it holds the batch */
    solo_enter(&s, 1, &claim, 1);
    const uint64_t entered = solo_persist(&s, CORE_PERSIST_NEW_VIEW)->persist.token;
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    (void)solo_tick(&s, 1000);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    (void)solo_persisted(&s, entered - 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    (void)solo_persisted(&s, entered);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    const struct wire_prepare p = solo_message(solo_send(&s, WIRE_TYPE_prepare, 0)).prepare;
    assert_int_equal(p.view, 1);
    assert_int_equal(p.seq, 1);
    assert_true(digest_equal(&p.digest, &a.digest));
    solo_batch_free(&a);
    solo_close(&s);
}

static void test_carried_proposal_fetched_when_not_held(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &a};
    solo_enter(&s, 1, &claim, 1);
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0); /* rule 9 */
    (void)solo_tick(&s, SOLO_RESEND_US);
    const struct wire_fetch f = solo_message(solo_send(&s, WIRE_TYPE_fetch, 0)).fetch;
    assert_int_equal(f.kind, DATA_KIND_BATCH);
    assert_true(digest_equal(&f.digest, &a.digest));
    assert_null(solo_data(&s, 2, 1, &a));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    solo_batch_free(&a);
    solo_close(&s);
}

static void test_carried_proposal_its_time_is_not_judged_again(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch old = solo_batch_at(&s, 1, s.wall_ms - 10 * SOLO_DRIFT_MS);
    const struct solo_claim claim = {1, 0, &old};
    assert_null(solo_propose(&s, 1, &old, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0); /* judged in view 0 */
    solo_enter(&s, 1, &claim, 1);
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    solo_batch_free(&old);
    solo_close(&s);
}

static void test_null_batch_executes_nothing(void **state)
{
    struct solo s;
    (void)state;
    const struct digest null = viewchange_null_digest();
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 2);
    const struct solo_claim claim = {2, 0, &b};
    solo_enter(&s, 1, &claim, 1);
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1); /* the null batch needs no fetching */
    commit_in_1(&s, 1, &null);
    const struct core_effect *e = solo_effect(&s, CORE_EFFECT_EXECUTE, 0);
    struct wire_batch batch;
    assert_non_null(e);
    assert_int_equal(e->execute.seq, 1);
    assert_true(digest_equal(&e->execute.digest, &null));
    assert_null(wire_decode_record(&wire_record_batch, blob_bytes(e->execute.batch), &batch));
    assert_int_equal(batch.requests.count, 0);
    assert_int_equal(batch.time_ms, 0);
    solo_batch_free(&b);
    solo_close(&s);
}

/* O = A, null, B: what comes after the null batch may not be earlier than A. */
static void test_null_batch_has_the_time_of_the_one_before(void **state)
{
    (void)state;
    for (uint32_t earlier = 0; earlier < 2; earlier++) {
        struct solo s;
        solo_ready(&s, 4, 3);
        struct solo_view v;
        struct solo_batch a = solo_batch_make(&s, 1);
        struct solo_batch next = solo_batch_at(&s, 9, a.time_ms - earlier);
        const struct digest null = viewchange_null_digest();
        /* a member that has a certificate of the null batch from view 1: O of view 2 ends with it */
        struct solo_batch nothing = {.digest = null};
        const struct solo_claim claims[] = {{1, 1, &a}, {2, 1, &nothing}};
        assert_null(solo_propose(&s, 1, &a, true));
        solo_view_make(&s, 2, claims, 2, &v);
        solo_view_say_all(&s, &v);
        assert_null(solo_view_begin(&s, &v));
        (void)solo_all_persisted(&s);
        assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 2);
        assert_null(solo_propose_in(&s, 2, 3, &next, true));
        assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), earlier ? 0 : 1);
        solo_view_free(&v);
        solo_batch_free(&a);
        solo_batch_free(&next);
        solo_close(&s);
    }
}

/* The others may not have executed it: they need its votes. It is executed once. */
static void test_executed_slot_is_voted_on_again_and_not_executed_again(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1); /* the one that solo_commit makes */
    const struct solo_claim claim = {1, 0, &a};
    solo_run_to(&s, 1);
    (void)solo_all_persisted(&s);
    solo_enter(&s, 1, &claim, 1);
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 1, 2, 1, &a.digest));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 1);
    (void)solo_all_persisted(&s);
    assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 1, 0, 1, &a.digest));
    assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 1, 1, 1, &a.digest));
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 0);
    assert_int_equal(core_summary(s.core).executed, 1);
    solo_batch_free(&a);
    solo_close(&s);
}

static void test_decided_slot_with_another_digest_in_o_diverges(void **state)
{
    struct solo s;
    (void)state;
    for (uint32_t same = 0; same < 2; same++) {
        solo_ready(&s, 4, 3);
        struct solo_batch b = solo_batch_make(&s, same ? 1 : 7);
        struct solo_batch next = solo_batch_make(&s, same ? 2 : 8);
        const struct solo_claim claims[] = {{1, 0, &b}, {2, 0, &next}};
        solo_run_to(&s, 2);
        solo_enter(&s, 1, claims, 2);
        assert_int_equal(core_summary(s.core).diverged, same == 0);
        assert_int_equal(solo_count(&s, CORE_EFFECT_DIVERGED), same ? 0 : 1); /* said once */
        if (!same) assert_int_equal(solo_effect(&s, CORE_EFFECT_DIVERGED, 0)->diverged, 1);
        solo_batch_free(&b);
        solo_batch_free(&next);
        solo_close(&s);
    }
}

/* What was accepted in view 0 and is not in O is forgotten: another batch may take its place. */
static void test_proposal_that_o_leaves_out_gives_way(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    struct solo_batch b = solo_batch_make(&s, 2);
    assert_null(solo_propose(&s, 1, &a, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &a.digest));
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    assert_null(solo_propose_in(&s, 1, 1, &b, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    assert_null(solo_persist(&s, CORE_PERSIST_PREPARED)); /* the PREPARE of view 0 does not count in view 1 */
    prepare_in_1(&s, 1, &b.digest);
    solo_batch_free(&a);
    solo_batch_free(&b);
    solo_close(&s);
}

/* Rule 9: what was prepared may be committed elsewhere, and be proposed again by any later view: its batch is served, and
 * its certificate sent, until it is stable. */
static void test_prepared_batch_outlives_views_that_leave_it_out(void **state)
{
    struct solo s;
    struct wire_fetch m = {.sender = 2, .kind = DATA_KIND_BATCH, .seq = 1, .count = 1};
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    m.digest = a.digest;
    assert_null(solo_propose(&s, 1, &a, true));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &a.digest));
    for (uint64_t view = 1; view < 3; view++) {
        solo_enter(&s, view, NULL, 0);
        (void)solo_all_persisted(&s);
        assert_null(solo_receive(&s, 2, &wire_record_fetch, &m));
        const struct wire_data d = solo_message(solo_send(&s, WIRE_TYPE_data, 0)).data;
        assert_int_equal(d.payload.len, a.bytes->len);
        assert_memory_equal(d.payload.data, a.bytes->data, a.bytes->len);
    }
    assert_null(solo_view_change(&s, 2, 3)); /* the primary of view 2 */
    assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_view_change, 0)).view_change.prepared.count, 1);
    solo_batch_free(&a);
    solo_close(&s);
}

/* A read waits for the own certificates (rule 23), but not for one that V does not carry: that one was committed
 * nowhere. */
static void test_read_barrier_gives_up_what_o_leaves_out(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &a, true));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &a.digest));
    assert_int_equal(core_summary(s.core).read_barrier, 1);
    solo_enter(&s, 1, NULL, 0);
    assert_int_equal(core_summary(s.core).read_barrier, 0);
    solo_batch_free(&a);
    solo_close(&s);
}

static void test_custody_goes_to_the_new_primary_at_once(void **state)
{
    struct solo s;
    struct solo_view v;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 0, 1));
    assert_int_equal(solo_send(&s, WIRE_TYPE_request, 0)->send.to, 0);
    (void)solo_tick(&s, 1000);
    solo_view_make(&s, 1, NULL, 0, &v);
    solo_view_say_all(&s, &v);
    assert_null(solo_view_begin(&s, &v));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 1);
    assert_int_equal(solo_send(&s, WIRE_TYPE_request, 0)->send.to, 1);
    solo_view_free(&v);
    solo_close(&s);
}

/* ---- votes that come before the NEW-VIEW (rule 8) ---- */

static void test_early_prepare_and_commit_count_after_the_entry(void **state)
{
    struct solo s;
    struct solo_view v;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &a};
    assert_null(solo_propose(&s, 1, &a, true));
    solo_view_make(&s, 1, &claim, 1, &v);
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 1, 2, 1, &a.digest)); /* before it leaves view 0 */
    solo_view_say_all(&s, &v);
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 1, 0, 1, &a.digest)); /* while it waits */
    assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 1, 0, 1, &a.digest));
    assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 1, 2, 1, &a.digest));
    assert_null(solo_view_begin(&s, &v));
    (void)solo_all_persisted(&s);
    assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 0);
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 1);
    solo_view_free(&v);
    solo_batch_free(&a);
    solo_close(&s);
}

static void test_early_votes_of_one_member_are_bounded(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    const struct digest d = solo_header(1);
    for (uint32_t i = 0; i < EARLY_MAX; i++)
        assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 2, 1, i + 1, &d));
    assert_string_equal(solo_vote_in(&s, WIRE_TYPE_commit, 2, 1, 1, &d), "more votes of a view to come than are kept");
    assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 2, 0, 1, &d)); /* of another member */
    assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 5, 1, 1, &d)); /* a newer view takes the place */
    assert_string_equal(solo_vote_in(&s, WIRE_TYPE_commit, 2, 1, 1, &d),
                        "a vote of a view that its sender has gone past");
    solo_close(&s);
}

static void test_early_vote_of_a_later_view_does_not_count_here(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &a};
    assert_null(solo_propose(&s, 1, &a, true));
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 4, 2, 1, &a.digest));
    solo_enter(&s, 1, &claim, 1);
    (void)solo_all_persisted(&s);
    assert_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    solo_enter(&s, 4, &claim, 1); /* and is still there when its view begins */
    (void)solo_all_persisted(&s);
    assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    solo_batch_free(&a);
    solo_close(&s);
}

static void test_early_proposal_is_prepared_after_the_entry(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    assert_null(solo_propose_in(&s, 1, 1, &a, true)); /* before it leaves view 0 */
    assert_int_equal(s.effects->count, 0);
    solo_enter(&s, 1, NULL, 0);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_prepare, 0)).prepare.view, 1);
    solo_batch_free(&a);
    solo_close(&s);
}

static void test_early_proposals_are_of_the_next_view_and_bounded(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    assert_string_equal(solo_propose_in(&s, 2, 1, &a, true), "PRE-PREPARE of a view further on than the next");
    for (uint64_t seq = 1; seq <= 8; seq++)
        assert_null(solo_propose_in(&s, 1, seq, &a, true));
    assert_string_equal(solo_propose_in(&s, 1, 9, &a, true), "more PRE-PREPAREs of the next view than are kept");
    assert_null(solo_view_change(&s, 0, 1)); /* it waits for view 1: that one is the next */
    assert_string_equal(solo_propose_in(&s, 2, 1, &a, true), "PRE-PREPARE of a view further on than the next");
    assert_null(solo_view_change(&s, 1, 2));
    assert_null(solo_view_change(&s, 2, 2)); /* it waits for view 2: those of view 1 give way */
    assert_null(solo_propose_in(&s, 2, 1, &a, true));
    solo_batch_free(&a);
    solo_close(&s);
}

static void test_vote_of_a_past_view_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    const struct digest d = solo_header(1);
    solo_enter(&s, 1, NULL, 0);
    assert_string_equal(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &d), "PREPARE of a view that is past");
    assert_string_equal(solo_vote(&s, WIRE_TYPE_commit, 2, 1, &d), "COMMIT of a view that is past");
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_view_right_enters),
        cmocka_unit_test(test_new_view_keeps_the_view_changes_it_names),
        cmocka_unit_test(test_new_view_wrong_refused),
        cmocka_unit_test(test_new_view_of_another_member_refused),
        cmocka_unit_test(test_new_view_of_the_view_entered_ignored),
        cmocka_unit_test(test_new_view_fetches_view_changes_and_enters_in_any_order),
        cmocka_unit_test(test_new_view_asks_again_for_what_it_lacks),
        cmocka_unit_test(test_carried_proposal_prepared_once_the_entry_is_durable),
        cmocka_unit_test(test_carried_proposal_fetched_when_not_held),
        cmocka_unit_test(test_carried_proposal_its_time_is_not_judged_again),
        cmocka_unit_test(test_null_batch_executes_nothing),
        cmocka_unit_test(test_null_batch_has_the_time_of_the_one_before),
        cmocka_unit_test(test_executed_slot_is_voted_on_again_and_not_executed_again),
        cmocka_unit_test(test_decided_slot_with_another_digest_in_o_diverges),
        cmocka_unit_test(test_proposal_that_o_leaves_out_gives_way),
        cmocka_unit_test(test_prepared_batch_outlives_views_that_leave_it_out),
        cmocka_unit_test(test_read_barrier_gives_up_what_o_leaves_out),
        cmocka_unit_test(test_custody_goes_to_the_new_primary_at_once),
        cmocka_unit_test(test_early_prepare_and_commit_count_after_the_entry),
        cmocka_unit_test(test_early_votes_of_one_member_are_bounded),
        cmocka_unit_test(test_early_vote_of_a_later_view_does_not_count_here),
        cmocka_unit_test(test_early_proposal_is_prepared_after_the_entry),
        cmocka_unit_test(test_early_proposals_are_of_the_next_view_and_bounded),
        cmocka_unit_test(test_vote_of_a_past_view_refused),
    };
    return cmocka_run_group_tests_name("core_view_enter", tests, NULL, NULL);
}
