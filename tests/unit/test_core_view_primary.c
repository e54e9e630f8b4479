/* test_core_view_primary.c - the primary of a new view: when it builds a NEW-VIEW, what is in it, what it proposes
 * afterwards; and the time-out of those who wait for it (OSDI'99 section 4.4, rules 1 and 17; design.md 7.1). Core 1 of
 * N = 4, driven by hand, is the primary of view 1 unless a test says so. */
#include "tests/fixture/solo.h"

#include "viewchange/viewchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T SOLO_TIMEOUT_US

static uint64_t left_for(const struct solo *s)
{
    const struct core_effect *e = solo_send(s, WIRE_TYPE_view_change, 0);
    return e == NULL ? 0 : solo_message(e).view_change.view;
}

/* The k-th proposal of a NEW-VIEW. */
static struct wire_reproposal proposal_of(const struct wire_new_view *m, uint32_t k)
{
    struct wire_iterator i = wire_list_start(m->proposals);
    struct wire_reproposal p;
    for (uint32_t n = 0; n <= k; n++)
        assert_true(wire_list_next(&i, &wire_record_reproposal, &p));
    return p;
}

/* Member `sender` leaves for view 1, and has prepared what the claims say. */
static void says(struct solo *s, uint32_t sender, const struct solo_claim *claims, uint32_t count)
{
    assert_null(solo_receive_bytes(s, sender, solo_view_change_make(s, sender, 1, claims, count, NULL)));
}

/* ---- NEW-VIEW ---- */

static void test_build_with_quorum_not_with_one_less(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    says(&s, 0, NULL, 0);
    assert_int_equal(left_for(&s), 1); /* with its own: Q-1 */
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_true(core_summary(s.core).changing);
    says(&s, 3, NULL, 0);
    assert_false(core_summary(s.core).changing);
    const struct wire_new_view m = solo_message(solo_send(&s, WIRE_TYPE_new_view, 0)).new_view;
    assert_int_equal(m.view, 1);
    assert_int_equal(m.sender, 1);
    assert_int_equal(m.view_changes.count, 3);
    assert_int_equal(m.proposals.count, 0);
    assert_null(solo_verify(&s, blob_retain(solo_send(&s, WIRE_TYPE_new_view, 0)->send.bytes)));
    solo_close(&s);
}

static void test_build_five_needs_four(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 5, 1); /* rule 29: Q = 4 */
    says(&s, 0, NULL, 0);
    says(&s, 2, NULL, 0);
    assert_true(core_summary(s.core).changing);
    says(&s, 3, NULL, 0);
    assert_false(core_summary(s.core).changing);
    solo_close(&s);
}

/* The other replicas recompute it: a backup that gets these very messages enters. */
static void test_build_backup_enters_on_it(void **state)
{
    struct solo s;
    struct solo backup;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_ready(&backup, 4, 2);
    struct solo_batch a = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &a};
    assert_null(solo_propose(&s, 1, &a, true));
    says(&s, 0, &claim, 1);
    struct blob *own = blob_retain(solo_send(&s, WIRE_TYPE_view_change, 0)->send.bytes);
    says(&s, 3, NULL, 0);
    struct blob *new_view = blob_retain(solo_send(&s, WIRE_TYPE_new_view, 0)->send.bytes);
    says(&backup, 0, &claim, 1);
    says(&backup, 3, NULL, 0);
    assert_null(solo_receive_bytes(&backup, 1, own));
    assert_null(solo_receive_bytes(&backup, 1, new_view));
    assert_int_equal(core_summary(backup.core).view, 1);
    assert_false(core_summary(backup.core).changing);
    solo_batch_free(&a);
    solo_close(&s);
    solo_close(&backup);
}

static void test_build_o_has_the_prepared_digests_and_null_between(void **state)
{
    struct solo s;
    (void)state;
    const struct digest null = viewchange_null_digest();
    solo_ready(&s, 4, 1);
    struct solo_batch a = solo_batch_make(&s, 1);
    struct solo_batch b = solo_batch_make(&s, 2);
    const struct solo_claim first = {1, 0, &a};
    const struct solo_claim third = {3, 0, &b};
    assert_null(solo_propose(&s, 1, &a, true));
    assert_null(solo_propose(&s, 3, &b, true));
    says(&s, 0, &first, 1);
    says(&s, 3, &third, 1);
    const struct wire_new_view m = solo_message(solo_send(&s, WIRE_TYPE_new_view, 0)).new_view;
    assert_int_equal(m.proposals.count, 3);
    for (uint32_t k = 0; k < 3; k++) {
        const struct wire_reproposal p = proposal_of(&m, k);
        assert_int_equal(p.seq, k + 1);
        assert_true(digest_equal(&p.digest, k == 0 ? &a.digest : k == 1 ? &null : &b.digest));
    }
    solo_batch_free(&a);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_new_view_leaves_only_when_it_and_its_v_are_durable(void **state)
{
    struct solo s;
    bool seen[4] = {false};
    (void)state;
    solo_ready(&s, 4, 1);
    says(&s, 0, NULL, 0);
    const uint64_t left = solo_persist(&s, CORE_PERSIST_VIEW_LEFT)->persist.token;
    says(&s, 3, NULL, 0);
    const struct core_effect *kept = solo_persist(&s, CORE_PERSIST_NEW_VIEW);
    const struct core_effect *sent = solo_send(&s, WIRE_TYPE_new_view, 0);
    assert_int_equal(sent->send.to, CORE_TO_ALL);
    assert_int_equal(sent->after, kept->persist.token);
    assert_true(kept->persist.token > left);
    assert_memory_equal(kept->persist.record->data, sent->send.bytes->data, sent->send.bytes->len);
    const struct core_effect *e;
    for (uint32_t k = 0; (e = solo_effect(&s, CORE_EFFECT_PERSIST, k)) != NULL; k++) {
        if (e->persist.kind != CORE_PERSIST_VIEW_CHANGE) continue;
        assert_true(e->persist.token < sent->after);
        seen[e->persist.seq] = true;
    }
    assert_true(seen[0] && seen[1] && !seen[2] && seen[3]);
    solo_close(&s);
}

/* ---- a batch that is not here ---- */

static void test_build_waits_for_a_batch_and_fetches_it(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch a = solo_batch_make(&s, 1);
    struct solo_batch other = solo_batch_make(&s, 2);
    const struct solo_claim claim = {1, 0, &a};
    says(&s, 0, &claim, 1);
    says(&s, 3, &claim, 1);
    assert_true(core_summary(s.core).changing);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 1);
    const struct wire_fetch f = solo_message(solo_send(&s, WIRE_TYPE_fetch, 0)).fetch;
    assert_int_equal(f.kind, DATA_KIND_BATCH);
    assert_int_equal(f.seq, 1);
    assert_true(digest_equal(&f.digest, &a.digest));
    (void)solo_tick(&s, SOLO_RESEND_US - 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 0);
    (void)solo_tick(&s, 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 1);
    assert_string_equal(solo_data(&s, 3, 1, &other), "a batch that no proposal waits for");
    assert_true(core_summary(s.core).changing);
    assert_null(solo_data(&s, 3, 1, &a));
    assert_false(core_summary(s.core).changing);
    const struct wire_new_view m = solo_message(solo_send(&s, WIRE_TYPE_new_view, 0)).new_view;
    assert_int_equal(m.proposals.count, 1);
    const struct wire_reproposal p = proposal_of(&m, 0);
    assert_true(digest_equal(&p.digest, &a.digest));
    solo_batch_free(&a);
    solo_batch_free(&other);
    solo_close(&s);
}

/* Nobody may ever serve it: a member whose certificate names it gives way to one without. */
static void test_build_without_the_member_whose_batch_is_missing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch a = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &a};
    says(&s, 0, &claim, 1);
    says(&s, 2, NULL, 0);
    assert_true(core_summary(s.core).changing);
    says(&s, 3, NULL, 0);
    assert_false(core_summary(s.core).changing);
    assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_new_view, 0)).new_view.proposals.count, 0);
    solo_batch_free(&a);
    solo_close(&s);
}

/* It waited for a batch as primary of view 1, and has gone on to view 2: the batch makes it primary of nothing. */
static void test_batch_that_comes_after_leaving_builds_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch a = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &a};
    says(&s, 0, &claim, 1);
    says(&s, 3, &claim, 1);
    (void)solo_tick(&s, T);
    assert_int_equal(left_for(&s), 2);
    assert_null(solo_view_change(&s, 0, 2));
    assert_null(solo_view_change(&s, 3, 2));
    (void)solo_data(&s, 3, 1, &a);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_new_view), 0);
    assert_true(core_summary(s.core).changing);
    solo_batch_free(&a);
    solo_close(&s);
}

/* ---- afterwards ---- */

/* A backup that has the NEW-VIEW and lacks a batch is served as in any view: the proposal again, with its batch. */
static void test_new_primary_sends_what_it_carried_again(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch a = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &a};
    assert_null(solo_propose(&s, 1, &a, true));
    says(&s, 0, &claim, 1);
    says(&s, 3, NULL, 0);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 2, 1, false));
    const struct core_effect *e = solo_send(&s, WIRE_TYPE_pre_prepare, 0);
    assert_non_null(e);
    assert_null(solo_verify(&s, blob_retain(e->send.bytes)));
    assert_int_equal(solo_message(e).pre_prepare.view, 1);
    solo_batch_free(&a);
    solo_close(&s);
}

static void test_new_primary_proposes_nothing_before_o_has_executed(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch a = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &a};
    assert_null(solo_propose(&s, 1, &a, true));
    says(&s, 0, &claim, 1);
    assert_null(solo_request(&s, 1, 1)); /* it is the primary of the view waited for */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    says(&s, 3, NULL, 0);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 1, 2, 1, &a.digest));
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 1, 3, 1, &a.digest));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0); /* rule 18: its NEW-VIEW was its vote */
    (void)solo_all_persisted(&s);
    assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 1, 2, 1, &a.digest));
    assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 1, 3, 1, &a.digest));
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    assert_null(solo_executed(&s, 1, s.wall_ms, NULL, 0));
    const struct wire_pre_prepare p = solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 0)).pre_prepare;
    assert_int_equal(p.view, 1);
    assert_int_equal(p.seq, 2); /* after O */
    solo_batch_free(&a);
    solo_close(&s);
}

static void test_new_primary_proposes_only_when_its_entry_is_durable(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_null(solo_request(&s, 1, 1));
    says(&s, 0, NULL, 0);
    says(&s, 3, NULL, 0);
    (void)solo_tick(&s, 1000);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 1);
    solo_close(&s);
}

/* Primary of view 0 and again of view 4: what it proposed in view 0 was carried nowhere. */
static void test_requests_of_an_old_proposal_are_proposed_again(void **state)
{
    struct solo s;
    struct solo_view v;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_null(solo_request(&s, 0, 1));
    const struct wire_pre_prepare old = solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 0)).pre_prepare;
    const struct digest digest = old.digest;
    solo_view_make(&s, 4, NULL, 0, &v);
    solo_view_say_all(&s, &v);
    assert_false(core_summary(s.core).changing);
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 1);
    const struct wire_pre_prepare again = solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 0)).pre_prepare;
    assert_int_equal(again.view, 4);
    assert_int_equal(again.seq, 1);
    assert_true(digest_equal(&again.digest, &digest)); /* the same request at the same time */
    solo_view_free(&v);
    solo_close(&s);
}

/* ---- the time-out of those who wait (rule 17); backup 6 of N = 7, Q = 5 ---- */

static void test_new_view_timer_runs_from_quorum_doubles_and_is_capped(void **state)
{
    static const uint64_t waits[] = {T, 2 * T, 4 * T, 4 * T, 4 * T};
    struct solo s;
    (void)state;
    solo_open(&s, 7, 6);
    s.config.timeout_cap_us = 4 * T;
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    assert_null(solo_view_change(&s, 0, 1));
    assert_int_equal(left_for(&s), 1);
    for (uint64_t view = 1; view <= 5; view++) {
        for (uint32_t id = view == 1 ? 1 : 0; id < 3; id++)
            assert_null(solo_view_change(&s, id, view));
        (void)solo_tick(&s, 100 * (uint64_t)T); /* Q-1 with its own */
        assert_int_equal(left_for(&s), 0);
        assert_null(solo_view_change(&s, 3, view));
        (void)solo_tick(&s, waits[view - 1] / 2);
        assert_null(solo_view_change(&s, 4, view)); /* one more starts nothing anew */
        (void)solo_tick(&s, waits[view - 1] - waits[view - 1] / 2 - 1);
        assert_int_equal(left_for(&s), 0);
        (void)solo_tick(&s, 1);
        assert_int_equal(left_for(&s), view + 1);
    }
    solo_close(&s);
}

/* One batch of view 2 as backup 3 of N = 4. */
static void run_in_2(struct solo *s, uint64_t seq)
{
    struct solo_batch b = solo_batch_make(s, seq);
    assert_null(solo_propose_in(s, 2, seq, &b, true));
    assert_null(solo_vote_in(s, WIRE_TYPE_prepare, 2, 0, seq, &b.digest));
    (void)solo_all_persisted(s);
    assert_null(solo_vote_in(s, WIRE_TYPE_commit, 2, 0, seq, &b.digest));
    assert_null(solo_vote_in(s, WIRE_TYPE_commit, 2, 2, seq, &b.digest));
    assert_null(solo_executed(s, seq, s->wall_ms, NULL, 0));
    solo_batch_free(&b);
}

static void test_timeout_shrinks_with_sixteen_executed(void **state)
{
    (void)state;
    for (uint32_t count = 15; count <= 16; count++) {
        struct solo s;
        solo_ready(&s, 4, 3);
        for (uint32_t id = 0; id < 3; id++)
            assert_null(solo_view_change(&s, id, 1));
        (void)solo_tick(&s, T);
        assert_int_equal(left_for(&s), 2);
        solo_enter(&s, 2, NULL, 0);
        (void)solo_all_persisted(&s);
        for (uint64_t seq = 1; seq <= count; seq++)
            run_in_2(&s, seq);
        assert_null(solo_request(&s, 0, 1));
        (void)solo_tick(&s, T);
        assert_int_equal(left_for(&s), count == 16 ? 3 : 0);
        (void)solo_tick(&s, T - 1);
        assert_int_equal(left_for(&s), 0);
        (void)solo_tick(&s, 1);
        assert_int_equal(left_for(&s), count == 16 ? 0 : 3);
        solo_close(&s);
    }
}

/* A view that began and in which nothing executed is a failed attempt; one in which something did is not. */
static void test_timeout_of_a_view_without_execution_doubles(void **state)
{
    (void)state;
    for (uint32_t executed = 0; executed < 2; executed++) {
        struct solo s;
        solo_ready(&s, 4, 3);
        assert_null(solo_request(&s, 0, 1));
        (void)solo_tick(&s, T);
        assert_int_equal(left_for(&s), 1); /* of view 0: T stays what it is */
        solo_enter(&s, 2, NULL, 0);
        (void)solo_all_persisted(&s);
        if (executed) run_in_2(&s, 1);
        (void)solo_tick(&s, T);
        assert_int_equal(left_for(&s), 3);
        solo_enter(&s, 4, NULL, 0);
        (void)solo_all_persisted(&s);
        (void)solo_tick(&s, T);
        assert_int_equal(left_for(&s), executed ? 5 : 0);
        (void)solo_tick(&s, T);
        assert_int_equal(left_for(&s), executed ? 0 : 5);
        solo_close(&s);
    }
}

/* Members have prepared different batches there, each in a view of its own: whichever comes decides whose word is used.
 */
static void test_build_asks_for_each_batch_that_is_missing_at_one_sequence(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch a = solo_batch_make(&s, 1);
    struct solo_batch b = solo_batch_make(&s, 2);
    const struct solo_claim claims[] = {{1, 0, &a}, {1, 2, &b}};
    assert_null(solo_receive_bytes(&s, 2, solo_view_change_make(&s, 2, 5, &claims[0], 1, NULL)));
    assert_null(solo_receive_bytes(&s, 3, solo_view_change_make(&s, 3, 5, &claims[0], 1, NULL)));
    assert_int_equal(left_for(&s), 5);
    assert_null(solo_receive_bytes(&s, 0, solo_view_change_make(&s, 0, 5, &claims[1], 1, NULL)));
    assert_true(core_summary(s.core).changing);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 2);
    const struct wire_fetch one = solo_message(solo_send(&s, WIRE_TYPE_fetch, 0)).fetch;
    const struct wire_fetch two = solo_message(solo_send(&s, WIRE_TYPE_fetch, 1)).fetch;
    assert_int_equal(one.seq, 1);
    assert_int_equal(two.seq, 1);
    assert_false(digest_equal(&one.digest, &two.digest));
    assert_null(solo_data(&s, 3, 1, &a)); /* of 2 and 3, without 0 */
    assert_false(core_summary(s.core).changing);
    const struct wire_new_view m = solo_message(solo_send(&s, WIRE_TYPE_new_view, 0)).new_view;
    assert_int_equal(m.proposals.count, 1);
    const struct wire_reproposal p = proposal_of(&m, 0);
    assert_true(digest_equal(&p.digest, &a.digest));
    solo_batch_free(&a);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_build_takes_no_batch_that_is_badly_signed(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *request = fixture_request(s.group, 0, 1, s.wall_ms + 1000, "key", "value");
    request->data[request->len - 1] ^= 1;
    struct solo_batch bad = {.time_ms = s.wall_ms};
    bad.bytes = fixture_batch(bad.time_ms, &request, 1, &bad.digest);
    const struct solo_claim claim = {1, 0, &bad};
    says(&s, 0, &claim, 1);
    says(&s, 3, &claim, 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 1);
    assert_string_equal(solo_data(&s, 3, 1, &bad), "a batch that no proposal waits for");
    assert_true(core_summary(s.core).changing);
    blob_release(request);
    solo_batch_free(&bad);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_with_quorum_not_with_one_less),
        cmocka_unit_test(test_build_five_needs_four),
        cmocka_unit_test(test_build_backup_enters_on_it),
        cmocka_unit_test(test_build_o_has_the_prepared_digests_and_null_between),
        cmocka_unit_test(test_new_view_leaves_only_when_it_and_its_v_are_durable),
        cmocka_unit_test(test_build_waits_for_a_batch_and_fetches_it),
        cmocka_unit_test(test_build_without_the_member_whose_batch_is_missing),
        cmocka_unit_test(test_batch_that_comes_after_leaving_builds_nothing),
        cmocka_unit_test(test_new_primary_sends_what_it_carried_again),
        cmocka_unit_test(test_new_primary_proposes_nothing_before_o_has_executed),
        cmocka_unit_test(test_new_primary_proposes_only_when_its_entry_is_durable),
        cmocka_unit_test(test_requests_of_an_old_proposal_are_proposed_again),
        cmocka_unit_test(test_new_view_timer_runs_from_quorum_doubles_and_is_capped),
        cmocka_unit_test(test_timeout_shrinks_with_sixteen_executed),
        cmocka_unit_test(test_timeout_of_a_view_without_execution_doubles),
        cmocka_unit_test(test_build_asks_for_each_batch_that_is_missing_at_one_sequence),
        cmocka_unit_test(test_build_takes_no_batch_that_is_badly_signed),
    };
    return cmocka_run_group_tests_name("core_view_primary", tests, NULL, NULL);
}
