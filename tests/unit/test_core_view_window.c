/* test_core_view_window.c - view changes of members whose windows differ: what is stable here already, what is beyond
 * the window, votes and proposals that came for another view or place (design.md section 8, rules 6 and 8). One core of
 * N = 4, driven by hand. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define T SOLO_TIMEOUT_US
#define K CHECKPOINT_INTERVAL
#define L WINDOW_BATCHES

static uint64_t left_for(const struct solo *s)
{
    const struct core_effect *e = solo_send(s, WIRE_TYPE_view_change, 0);
    return e == NULL ? 0 : solo_message(e).view_change.view;
}

static bool in_view(const struct solo *s, uint64_t view)
{
    const struct core_summary now = core_summary(s->core);
    return now.view == view && !now.changing;
}

/* The others' CHECKPOINTs move the window to K, up to which everything has executed. */
static void make_stable(struct solo *s)
{
    for (uint32_t id = 0; id < 4; id++)
        if (id != s->config.self) (void)solo_checkpoint(s, id, K);
    (void)solo_all_persisted(s);
    assert_int_equal(core_summary(s->core).low, K);
}

/* V is of members that have proven no checkpoint: what O carries over of what is stable here needs no vote any more. */
static void test_window_new_view_from_below_is_entered(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_run_to(&s, K);
    (void)solo_all_persisted(&s);
    make_stable(&s);
    struct solo_batch b = solo_batch_make(&s, 2);
    const struct solo_claim claim = {2, 0, &b};
    solo_enter(&s, 1, &claim, 1);
    (void)solo_all_persisted(&s);
    assert_true(in_view(&s, 1));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    assert_int_equal(core_summary(s.core).under_way, 0);
    assert_null(solo_propose_in(&s, 1, K + 1, &b, true)); /* and it goes on above */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

/* The checkpoint became stable after it had left: its VIEW-CHANGE proves none, and the batch is no longer kept. */
static void test_window_primary_does_not_fetch_what_is_stable_here(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, K);
    (void)solo_all_persisted(&s);
    assert_null(solo_view_change(&s, 0, 1)); /* the primary resigns */
    assert_int_equal(left_for(&s), 1);
    (void)solo_all_persisted(&s);
    make_stable(&s);
    struct solo_batch b = solo_batch_make(&s, 2); /* what it has executed there */
    const struct solo_claim claim = {2, 0, &b};
    assert_null(solo_receive_bytes(&s, 3, solo_view_change_make(&s, 3, 1, &claim, 1, NULL)));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 0);
    assert_true(in_view(&s, 1));
    const struct wire_new_view m = solo_message(solo_send(&s, WIRE_TYPE_new_view, 0)).new_view;
    assert_true(m.proposals.count >= 2);
    solo_batch_free(&b);
    solo_close(&s);
}

/* Others have proven a checkpoint that it has not come to: what they have prepared above has no place here yet. */
static void test_window_batch_that_is_missing_beyond_it_is_not_taken(void **state)
{
    const struct digest header = solo_header(L);
    const struct digest root = solo_root(L);
    const uint64_t seq = L + 5;
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct blob *proof = fixture_checkpoint(s.group, L, &header, &root, 0xd);
    struct blob *certificate = fixture_prepared(s.group, 0, seq, &b.digest, 0xd);
    for (uint32_t id = 0; id < 4; id += 3) {
        struct wire_view_change m = {
            .sender = id, .view = 1, .prepared = {.items = blob_bytes(certificate), .count = 1}};
        assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(proof), &m.proof));
        assert_null(solo_receive(&s, id, &wire_record_view_change, &m));
    }
    assert_true(core_summary(s.core).changing);
    const struct core_effect *e = solo_send(&s, WIRE_TYPE_fetch, 0);
    assert_non_null(e);
    assert_int_equal(solo_message(e).fetch.seq, seq);
    assert_string_equal(solo_data(&s, 3, seq, &b), "a batch that no proposal waits for");
    assert_true(core_summary(s.core).changing);
    blob_release(certificate);
    blob_release(proof);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_window_early_vote_outside_it_is_left_out_alone(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 1, 2, L + 1, &b.digest)); /* first */
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 1, 2, 1, &b.digest));
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    assert_null(solo_propose_in(&s, 1, 1, &b, true));
    assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED)); /* the other one counts */
    solo_batch_free(&b);
    solo_close(&s);
}

/* View 1 never begins: its primary's proposals go with it. */
static void test_early_proposal_of_a_view_that_is_passed_over_is_dropped(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    struct solo_batch b = solo_batch_make(&s, 2);
    assert_null(solo_propose_in(&s, 1, 1, &a, true));
    solo_enter(&s, 2, NULL, 0);
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    assert_null(solo_propose_in(&s, 2, 1, &b, true)); /* the place is free */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    solo_batch_free(&a);
    solo_batch_free(&b);
    solo_close(&s);
}

/* Falling behind is forgiven once in the longest time-out, and after it once more. */
static void test_timeout_replica_that_falls_behind_much_later_waits_once_more_again(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 2);
    solo_run_to(&s, 4);
    assert_null(solo_request(&s, 0, 9));
    for (uint64_t n = 5; n <= 6; n++) {
        (void)solo_status(&s, 0, n, NULL);
        (void)solo_status(&s, 3, n, NULL);
        (void)solo_tick(&s, n == 5 ? T : 16 * T); /* behind all that time */
        assert_int_equal(left_for(&s), 0);
        solo_run_to(&s, n);
        (void)solo_tick(&s, 1);
        assert_int_equal(left_for(&s), 0);
    }
    (void)solo_tick(&s, T - 1);
    assert_int_equal(left_for(&s), 0);
    (void)solo_tick(&s, 1);
    assert_int_equal(left_for(&s), 1);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_new_view_from_below_is_entered),
        cmocka_unit_test(test_window_primary_does_not_fetch_what_is_stable_here),
        cmocka_unit_test(test_window_batch_that_is_missing_beyond_it_is_not_taken),
        cmocka_unit_test(test_window_early_vote_outside_it_is_left_out_alone),
        cmocka_unit_test(test_early_proposal_of_a_view_that_is_passed_over_is_dropped),
        cmocka_unit_test(test_timeout_replica_that_falls_behind_much_later_waits_once_more_again),
    };
    return cmocka_run_group_tests_name("core_view_window", tests, NULL, NULL);
}
