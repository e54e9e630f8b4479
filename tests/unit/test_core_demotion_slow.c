/* test_core_demotion_slow.c - a primary under which too much time goes by is suspected: one that lets requests wait, or
 * what it has proposed, each time too short for that to be a reason by itself. Core 3 of N = 4, driven by hand. */
#include "tests/fixture/solo_lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HALF_US (SOLO_TIMEOUT_US / 2)
#define EIGHTH_US (SOLO_TIMEOUT_US / 8)
#define STALL_US (SOLO_TIMEOUT_US / 64)
#define ALMOST_US 1000u
#define LEARNS 16u

/* It lets requests wait so long again and again, with a rest after each, and is not suspected. */
static void lead_unsuspected(struct solo *s, uint64_t view, uint32_t batches, uint64_t gap_us, uint64_t rest_us)
{
    for (uint32_t i = 0; i < batches; i++) {
        solo_lead(s, view, 1, gap_us);
        (void)solo_tick(s, rest_us);
        assert_false(solo_suspects(s));
    }
}

static void test_primary_that_lets_work_wait_again_and_again_is_suspected(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    lead_unsuspected(&s, 0, 2, HALF_US - ALMOST_US, ALMOST_US); /* T/2 twice, less their share of the time */
    solo_lead(&s, 0, 1, HALF_US - ALMOST_US);
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    assert_int_equal(solo_summary(&s).view, 0);
    solo_other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 1);
    solo_close(&s);
}

static void test_short_waits_are_not_held_against_a_primary(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    lead_unsuspected(&s, 0, 80, STALL_US - ALMOST_US, ALMOST_US);
    lead_unsuspected(&s, 0, 80, STALL_US + 4000, ALMOST_US); /* of these, what is above it: less than an eighth */
    solo_lead(&s, 0, 40, 4 * STALL_US);
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

/* No request is held here: but others cannot do without the primary, either. */
static void test_primary_that_lets_what_it_proposed_wait_is_suspected(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch first = solo_batch_make(&s, 2);
    struct solo_batch second = solo_batch_make(&s, 3);
    solo_run_batch(&s, 0, 1, NULL);
    assert_null(solo_propose(&s, 2, &first, true));
    (void)solo_tick(&s, 7 * EIGHTH_US); /* one such wait is what T is for */
    assert_false(solo_suspects(&s));
    solo_finish(&s, 0, 2, &first.digest, NULL);
    assert_null(solo_propose(&s, 3, &second, true));
    (void)solo_tick(&s, EIGHTH_US);
    assert_false(solo_suspects(&s));
    (void)solo_tick(&s, EIGHTH_US / 2);
    assert_true(solo_suspects(&s));
    solo_batch_free(&first);
    solo_batch_free(&second);
    solo_close(&s);
}

/* Beside one that is not finished more proposals bring nothing on. */
static void test_proposals_beside_an_unfinished_one_are_no_progress(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    for (uint64_t after = 0; after < 90; after += 30) {
        struct solo_batch b[30];
        assert_false(solo_suspects(&s));
        for (uint64_t i = 0; i < 30; i++) {
            b[i] = solo_batch_make(&s, after + i + 1);
            assert_null(solo_propose(&s, after + i + 1, &b[i], true));
            (void)solo_tick(&s, STALL_US - ALMOST_US);
        }
        for (uint64_t i = 0; i < 30; i++) {
            solo_finish(&s, 0, after + i + 1, &b[i].digest, NULL);
            solo_batch_free(&b[i]);
        }
    }
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

/* Nor do proposals of what has been executed. */
static void test_proposals_of_what_is_executed_are_no_progress(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    for (uint64_t seq = 1; seq <= 120; seq++)
        solo_run_batch(&s, 0, seq, NULL);
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    for (uint64_t round = 0, old = 1; round < 6; round++) {
        const struct core_settled settled = {.client = 1, .seq = round + 1};
        assert_false(solo_suspects(&s));
        assert_null(solo_request(&s, 1, settled.seq));
        for (uint32_t i = 0; i < 15; i++, old++) {
            struct solo_batch b = solo_batch_make(&s, old);
            (void)solo_tick(&s, STALL_US - ALMOST_US);
            assert_null(solo_propose_in(&s, 1, old, &b, true));
            solo_batch_free(&b);
        }
        solo_run_batch(&s, 1, solo_summary(&s).executed + 1, &settled);
    }
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 1);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

/* While its own disk or its own execution is waited for, nobody else is. */
static void test_waits_for_this_replica_itself_are_not_held_against_a_primary(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    for (uint64_t seq = 1; seq <= 4; seq++) {
        struct solo_batch b = solo_batch_make(&s, seq);
        assert_null(solo_propose(&s, seq, &b, true));
        solo_votes(&s, WIRE_TYPE_prepare, 0, seq, &b.digest);
        (void)solo_tick(&s, HALF_US);
        assert_false(solo_suspects(&s));
        (void)solo_all_persisted(&s);
        solo_votes(&s, WIRE_TYPE_commit, 0, seq, &b.digest);
        assert_null(solo_request(&s, 0, seq));
        (void)solo_tick(&s, HALF_US);
        assert_false(solo_suspects(&s));
        const struct core_settled settled = {.client = 0, .seq = seq};
        assert_null(solo_executed(&s, seq, s.wall_ms, &settled, 1));
        solo_batch_free(&b);
    }
    (void)solo_tick(&s, ALMOST_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

static void test_waits_of_a_replica_that_is_behind_are_its_own(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_status(&s, 1, 3, NULL));
    assert_null(solo_status(&s, 2, 3, NULL));
    solo_lead(&s, 0, 3, HALF_US - ALMOST_US);
    (void)solo_tick(&s, ALMOST_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

/* The next batch; the window moves on with it. */
static void run_next(struct solo *s, uint64_t view, const struct core_settled *settled)
{
    const uint64_t seq = solo_summary(s).executed + 1;
    solo_run_batch(s, view, seq, settled);
    if (seq % CHECKPOINT_INTERVAL == 0) solo_make_stable(s, seq);
}

/* A request waits so long while batches without it go by, one in each step; then it has its turn. */
static void pass_by_in(struct solo *s, uint64_t view, uint64_t client_seq, uint64_t age_us, uint64_t step_us)
{
    const struct core_settled settled = {.client = 1, .seq = client_seq};
    uint64_t age = 0;
    assert_null(solo_request(s, 1, client_seq));
    for (; age + step_us <= age_us; age += step_us) {
        (void)solo_tick(s, step_us);
        run_next(s, view, NULL);
    }
    (void)solo_tick(s, age_us - age);
    run_next(s, view, &settled);
    (void)solo_tick(s, ALMOST_US);
}

/* None of the batches is late. */
static void pass_by(struct solo *s, uint64_t view, uint64_t client_seq, uint64_t age_us)
{
    pass_by_in(s, view, client_seq, age_us, 30000);
}

static void test_primary_that_lets_the_oldest_request_wait_is_suspected(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    for (uint64_t i = 1; i <= 16; i++) {
        pass_by(&s, 0, i, 2 * EIGHTH_US - ALMOST_US); /* T/4 while nobody else has led */
        assert_false(solo_suspects(&s));
    }
    for (uint64_t i = 17; i <= 19; i++)
        pass_by(&s, 0, i, 6 * EIGHTH_US);
    assert_true(solo_suspects(&s));
    assert_int_equal(solo_summary(&s).view, 0);
    solo_close(&s);
}

/* What a primary makes usual itself is no measure of it. */
static void test_own_habit_of_a_primary_gives_no_bound(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_lead(&s, 0, LEARNS, 5000);
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    for (uint64_t i = 1; i <= 24; i++)
        pass_by(&s, 1, i, 2 * EIGHTH_US - ALMOST_US);
    assert_false(solo_suspects(&s));
    for (uint64_t i = 25; i <= 27; i++)
        pass_by(&s, 1, i, 6 * EIGHTH_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

/* Each request has its own time, though there is always one. */
static void test_requests_one_after_another_are_none_that_waits(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 1, 1));
    for (uint64_t i = 1; i <= 240; i++) {
        const struct core_settled settled = {.client = 1, .seq = i / 4 - 1};
        (void)solo_tick(&s, 25000);
        if (i % 4 == 0) assert_null(solo_request(&s, 1, i / 4 + 1));
        run_next(&s, 0, i % 4 == 0 && i > 4 ? &settled : NULL);
        assert_false(solo_suspects(&s));
    }
    solo_close(&s);
}

/* Batches that are late pass by a request that waits for too long: that is one and the same time. */
static void test_time_is_wasted_once(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, 20000);
    for (uint32_t i = 0; i < 19; i++) {
        (void)solo_tick(&s, 80000);
        run_next(&s, 0, NULL);
        (void)solo_tick(&s, 20000);
        run_next(&s, 0, NULL);
    }
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

/* What was not looked at while its own disk was busy: not from before the request came. */
static void test_time_is_wasted_from_the_request_on(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, true));
    solo_votes(&s, WIRE_TYPE_prepare, 0, 1, &b.digest);
    (void)solo_tick(&s, 7 * EIGHTH_US); /* on its way to disk */
    assert_null(solo_request(&s, 1, 1));
    solo_votes(&s, WIRE_TYPE_commit, 0, 1, &b.digest);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, 2 * EIGHTH_US);
    assert_null(solo_executed(&s, 1, s.wall_ms, NULL, 0));
    (void)solo_tick(&s, ALMOST_US);
    assert_false(solo_suspects(&s));
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_oldest_request_may_wait_as_long_as_is_usual(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_learn(&s, LEARNS, 20000);
    for (uint64_t i = 1; i <= 4; i++) {
        pass_by(&s, 2, i, EIGHTH_US - ALMOST_US); /* T/8 is more than four times that */
        assert_false(solo_suspects(&s));
    }
    for (uint64_t i = 5; i <= 7; i++)
        pass_by(&s, 2, i, 6 * EIGHTH_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

static void test_an_eighth_of_the_time_may_go_by_in_waits(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    lead_unsuspected(&s, 0, 20, 2 * EIGHTH_US, 16 * EIGHTH_US); /* in which there is no work */
    solo_close(&s);
}

static void test_waits_in_an_earlier_view_are_another_primarys(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_lead(&s, 0, 2, HALF_US - ALMOST_US);
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    lead_unsuspected(&s, 1, 2, HALF_US - ALMOST_US, ALMOST_US);
    solo_close(&s);
}

static void test_waits_that_are_usual_are_not_held_against_a_primary(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_learn(&s, LEARNS, 2 * EIGHTH_US);
    lead_unsuspected(&s, 2, 20, 2 * EIGHTH_US, ALMOST_US);
    for (uint32_t minute = 0; minute < 5; minute++) /* and that is not forgotten: a network may be so for ever */
        (void)solo_tick(&s, 60000000);
    lead_unsuspected(&s, 2, 20, 2 * EIGHTH_US, ALMOST_US);
    solo_close(&s);
}

/* Half of the time is usual; all of it is too much, now and a minute later. */
static void test_share_of_others_is_no_licence_for_more(void **state)
{
    struct solo s;
    uint64_t client_seq = 1;
    (void)state;
    solo_ready(&s, 4, 3);
    for (uint64_t view = 0; view < 2; view++) {
        for (uint32_t i = 0; i < 16; i++) {
            pass_by(&s, view, client_seq++, EIGHTH_US - 10000);
            pass_by_in(&s, view, client_seq++, EIGHTH_US, EIGHTH_US);
        }
        solo_enter(&s, view + 1, NULL, 0);
        (void)solo_all_persisted(&s);
    }
    (void)solo_tick(&s, 60000000);
    for (uint32_t i = 0; i < 40; i++)
        pass_by_in(&s, 2, client_seq++, EIGHTH_US, EIGHTH_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

static void test_own_share_of_a_primary_does_not_excuse_it(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_lead(&s, 0, 80, STALL_US - ALMOST_US);
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    solo_lead(&s, 1, 12, EIGHTH_US);
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

/* Core 0 leads; the others let each batch but the first wait so long. Then view 1. */
static void lead_oneself(struct solo *s, uint64_t batches, uint64_t wait_us)
{
    for (uint64_t seq = 1; seq <= batches; seq++) {
        const struct core_settled settled = {.client = 0, .seq = seq};
        assert_null(solo_request(s, 0, seq));
        const struct digest digest = solo_message(solo_send(s, WIRE_TYPE_pre_prepare, 0)).pre_prepare.digest;
        (void)solo_tick(s, seq == 1 ? 0 : wait_us);
        solo_votes(s, WIRE_TYPE_prepare, 0, seq, &digest);
        (void)solo_all_persisted(s);
        solo_votes(s, WIRE_TYPE_commit, 0, seq, &digest);
        assert_null(solo_executed(s, seq, s->wall_ms, &settled, 1));
        assert_false(solo_suspects(s)); /* itself */
    }
    solo_enter(s, 1, NULL, 0);
    (void)solo_all_persisted(s);
}

/* Two others that are slow are usual too, though this replica is not. */
static void test_own_lead_of_this_replica_is_not_the_measure_of_all(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    lead_oneself(&s, 80, STALL_US - ALMOST_US);
    for (uint64_t view = 1; view < 3; view++) {
        lead_unsuspected(&s, view, 9, EIGHTH_US, ALMOST_US);
        solo_enter(&s, view + 1, NULL, 0);
        (void)solo_all_persisted(&s);
    }
    lead_unsuspected(&s, 3, 20, EIGHTH_US, ALMOST_US);
    solo_close(&s);
}

/* One that keeps the rules itself knows what one can do. */
static void test_own_lead_of_this_replica_is_usual(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    lead_oneself(&s, 20, 2 * EIGHTH_US);
    lead_unsuspected(&s, 1, 20, 2 * EIGHTH_US, ALMOST_US);
    solo_lead(&s, 1, 5, 7 * EIGHTH_US); /* a request may wait four times as long, but T/2 at most */
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

/* It does not flicker: others hear of it and may suspect a little later themselves. */
static void test_suspicion_lasts_until_half_of_it_is_made_up_for(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_lead(&s, 0, 3, HALF_US - ALMOST_US);
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    for (uint32_t i = 0; i < 4; i++) { /* in which an eighth is made up for */
        (void)solo_tick(&s, SOLO_TIMEOUT_US);
        assert_true(solo_suspects(&s));
    }
    for (uint32_t id = 1; id < 3; id++)
        assert_null(solo_status(&s, id, 4, NULL));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s)); /* though this replica is behind for a moment */
    (void)solo_tick(&s, 12 * SOLO_TIMEOUT_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

/* The time that it leads counts, not that in which nobody wants anything. */
static void test_share_is_one_of_the_time_with_work(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    for (uint64_t view = 0; view < 2; view++) {
        lead_unsuspected(&s, view, 10, 2 * EIGHTH_US - ALMOST_US, 8 * EIGHTH_US);
        solo_enter(&s, view + 1, NULL, 0);
        (void)solo_all_persisted(&s);
    }
    lead_unsuspected(&s, 2, 20, 2 * EIGHTH_US, ALMOST_US);
    solo_close(&s);
}

/* How long it waited while it was behind says nothing of a primary. */
static void test_waits_of_a_replica_that_is_behind_teach_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    for (uint32_t id = 1; id < 3; id++)
        assert_null(solo_status(&s, id, 100, NULL));
    solo_learn(&s, LEARNS, 5000);
    for (uint32_t id = 1; id < 3; id++)
        assert_null(solo_status(&s, id, 2, NULL));
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_false(solo_suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

/* What others wasted in less than T does not say how they are. */
static void test_short_rule_of_others_says_nothing_of_waits(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_learn(&s, 7, EIGHTH_US);
    solo_lead(&s, 2, 12, EIGHTH_US);
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

/* Who has led quickly and is slow now does not make that usual. */
static void test_own_waits_of_a_primary_do_not_excuse_it(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_lead(&s, 0, LEARNS, 5000);
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    solo_lead(&s, 1, LEARNS, 5000);
    solo_lead(&s, 1, 4, 3 * EIGHTH_US);
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

static void test_demotion_makes_patient_with_waits_too(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_lead(&s, 0, 3, HALF_US - ALMOST_US);
    solo_other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 1);
    (void)solo_all_persisted(&s);
    solo_enter(&s, 2, NULL, 0);
    (void)solo_all_persisted(&s);
    lead_unsuspected(&s, 2, 3, HALF_US - ALMOST_US, ALMOST_US);
    lead_unsuspected(&s, 2, 160, 2 * STALL_US - ALMOST_US, ALMOST_US);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_primary_that_lets_work_wait_again_and_again_is_suspected),
        cmocka_unit_test(test_short_waits_are_not_held_against_a_primary),
        cmocka_unit_test(test_primary_that_lets_what_it_proposed_wait_is_suspected),
        cmocka_unit_test(test_proposals_beside_an_unfinished_one_are_no_progress),
        cmocka_unit_test(test_proposals_of_what_is_executed_are_no_progress),
        cmocka_unit_test(test_waits_for_this_replica_itself_are_not_held_against_a_primary),
        cmocka_unit_test(test_waits_of_a_replica_that_is_behind_are_its_own),
        cmocka_unit_test(test_primary_that_lets_the_oldest_request_wait_is_suspected),
        cmocka_unit_test(test_own_habit_of_a_primary_gives_no_bound),
        cmocka_unit_test(test_requests_one_after_another_are_none_that_waits),
        cmocka_unit_test(test_time_is_wasted_once),
        cmocka_unit_test(test_time_is_wasted_from_the_request_on),
        cmocka_unit_test(test_oldest_request_may_wait_as_long_as_is_usual),
        cmocka_unit_test(test_share_of_others_is_no_licence_for_more),
        cmocka_unit_test(test_own_share_of_a_primary_does_not_excuse_it),
        cmocka_unit_test(test_own_lead_of_this_replica_is_usual),
        cmocka_unit_test(test_own_lead_of_this_replica_is_not_the_measure_of_all),
        cmocka_unit_test(test_suspicion_lasts_until_half_of_it_is_made_up_for),
        cmocka_unit_test(test_share_is_one_of_the_time_with_work),
        cmocka_unit_test(test_waits_of_a_replica_that_is_behind_teach_nothing),
        cmocka_unit_test(test_an_eighth_of_the_time_may_go_by_in_waits),
        cmocka_unit_test(test_waits_in_an_earlier_view_are_another_primarys),
        cmocka_unit_test(test_waits_that_are_usual_are_not_held_against_a_primary),
        cmocka_unit_test(test_short_rule_of_others_says_nothing_of_waits),
        cmocka_unit_test(test_own_waits_of_a_primary_do_not_excuse_it),
        cmocka_unit_test(test_demotion_makes_patient_with_waits_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
