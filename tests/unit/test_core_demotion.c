/* test_core_demotion.c - a primary that is idle with work, wastes time, or passes a client over, is suspected, and left
 * once f+1 members suspect it. Core 3 of N = 4, driven by hand, unless a test says so. */
#include "tests/fixture/solo_lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HALF_US (SOLO_TIMEOUT_US / 2)
#define EIGHTH_US (SOLO_TIMEOUT_US / 8)
#define ALMOST_US 1000u
#define AGAIN_US (4 * SOLO_RESEND_US) /* a request is given to the primary again after so long */
#define LEARNS 16u
#define BATCHES_MOST 54u /* 2 (3 pipeline + 2 + turns * clients / most in a batch), of 8, 1, 4 and 8 */

static bool status_says_so(const struct solo *s)
{
    return solo_sent(s, WIRE_TYPE_status) == 1 &&
           (solo_message(solo_send(s, WIRE_TYPE_status, 0)).status.flags & STATUS_FLAG_SUSPECTS) != 0;
}

/* Suspected by this replica alone. */
static void suspect(struct solo *s)
{
    assert_null(solo_request(s, 1, 1));
    (void)solo_tick(s, HALF_US);
    assert_true(solo_suspects(s));
    assert_int_equal(solo_summary(s).view, 0);
}

/* The same of view 0, with a request that fills half of it, and settling nothing. */
static void run_huge_batch(struct solo *s, uint64_t seq)
{
    struct solo_batch b = {.time_ms = s->wall_ms};
    struct blob *request = fixture_request_sized(s->group, 0, seq, s->wall_ms + 60000, BATCH_BYTES_TARGET / 2);
    b.bytes = fixture_batch(b.time_ms, &request, 1, &b.digest);
    blob_release(request);
    solo_run_proposed(s, 0, seq, &b, NULL);
    solo_batch_free(&b);
}

/* ---- idle ---- */

static void test_primary_idle_with_work_is_suspected_after_half_of_t_not_earlier(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_false(solo_suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    assert_true(status_says_so(&s)); /* at once */
    assert_int_equal(solo_summary(&s).view, 0);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_true(status_says_so(&s)); /* and in each interval */
    solo_close(&s);
}

static void test_primary_is_waited_for_from_the_request_on(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    (void)solo_tick(&s, 5 * SOLO_TIMEOUT_US); /* nothing to do */
    assert_false(solo_suspects(&s));
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

static void test_primary_is_waited_for_from_the_view_on(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_false(solo_suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

static void test_primary_with_a_proposal_under_way_is_not_idle(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 2);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_null(solo_propose(&s, 1, &b, true));
    (void)solo_tick(&s, HALF_US);
    assert_false(solo_suspects(&s));
    solo_batch_free(&b);
    solo_close(&s);
}

/* A batch without this request: the primary may have refused it, its custody being full. An idle one has room. */
static void be_left_out(struct solo *s, uint64_t view)
{
    assert_null(solo_request(s, 1, 1));
    solo_run_batch(s, view, solo_summary(s).executed + 1, NULL);
}

static void test_request_given_to_a_busy_primary_is_given_again_before_it_is_suspected(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_learn(&s, LEARNS, ALMOST_US); /* T/8 is the bound */
    be_left_out(&s, 2);
    (void)solo_tick(&s, EIGHTH_US / 2 - ALMOST_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 0);
    (void)solo_tick(&s, EIGHTH_US / 2 + ALMOST_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 1);
    assert_false(solo_suspects(&s));
    (void)solo_tick(&s, EIGHTH_US / 2 - ALMOST_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 0); /* once */
    assert_false(solo_suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

static void test_short_t_gives_no_suspicion_before_it_is_given_again(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 3);
    s.config.timeout_us = 300000;
    solo_start(&s, NULL);
    be_left_out(&s, 0);
    (void)solo_tick(&s, 74000); /* a look over custody, */
    (void)solo_tick(&s, 76000); /* and none: 0.1 s */
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

static void test_suspicion_ends_with_a_proposal(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    suspect(&s);
    struct solo_batch b = solo_batch_make(&s, 2);
    assert_null(solo_propose(&s, 1, &b, true));
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(solo_suspects(&s));
    solo_other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_replica_that_is_behind_suspects_nobody(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_status(&s, 1, 5, NULL));
    assert_null(solo_status(&s, 2, 5, NULL));
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, HALF_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

static void test_full_window_is_not_the_primarys_fault(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    for (uint64_t seq = 1; seq <= WINDOW_BATCHES; seq++) /* no checkpoint becomes stable */
        solo_run_batch(&s, 0, seq, NULL);
    (void)solo_all_persisted(&s);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, HALF_US);
    assert_false(solo_suspects(&s));
    (void)solo_tick(&s, 3 * EIGHTH_US);
    for (uint64_t seq = CHECKPOINT_INTERVAL; seq <= WINDOW_BATCHES; seq += CHECKPOINT_INTERVAL)
        solo_make_stable(&s, seq);
    const struct core_settled settled = {.client = 1, .seq = 1};
    solo_run_batch(&s, 0, WINDOW_BATCHES + 1, &settled);
    assert_null(solo_request(&s, 1, 2)); /* nor is that held against it later */
    (void)solo_tick(&s, 3 * EIGHTH_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

static void test_replica_without_room_on_its_disk_suspects_nobody(void **state)
{
    const struct core_event full = {.type = CORE_EVENT_DISK, .disk_full = true};
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 1, 1));
    assert_null(solo_step(&s, &full));
    (void)solo_tick(&s, HALF_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

static void test_replica_that_has_stopped_suspects_nobody(void **state)
{
    const struct core_event stop = {.type = CORE_EVENT_STOP};
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 1, 1));
    assert_null(solo_step(&s, &stop));
    solo_other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, SOLO_RESEND_US);
    (void)solo_tick(&s, HALF_US);
    solo_other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_false(solo_suspects(&s));
    assert_int_equal(solo_summary(&s).view, 0);
    solo_close(&s);
}

static void test_replica_that_was_not_heard_yet_suspects_nobody(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 3);
    solo_start_unheard(&s, NULL);
    (void)solo_all_persisted(&s);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, HALF_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

/* ---- who leaves ---- */

static void test_view_is_left_once_a_weak_quorum_suspects_its_primary(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    suspect(&s);
    solo_other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 1);
    assert_true(solo_summary(&s).changing);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 1);
    assert_int_equal(solo_summary(&s).demotions, 1);
    assert_false(solo_suspects(&s));
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_TIMEOUT_US); /* and it waits for the next view */
    solo_other_suspects(&s, 1, 1, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_false(solo_suspects(&s));
    assert_int_equal(solo_summary(&s).view, 1);
    solo_close(&s);
}

static uint64_t timeout_us(const struct solo *s)
{
    struct core_why why;
    core_why(s->core, &why);
    return why.timeout_us;
}

static void test_view_left_so_before_anything_executed_doubles_t(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, HALF_US);
    solo_other_suspects(&s, 2, 1, 0);
    assert_int_equal(timeout_us(&s), SOLO_TIMEOUT_US);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 2);
    assert_int_equal(timeout_us(&s), 2 * SOLO_TIMEOUT_US);
    solo_close(&s);
}

static void test_replica_without_a_suspicion_of_its_own_stays(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_other_suspects(&s, 1, 0, 0);
    solo_other_suspects(&s, 2, 0, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 0);
    solo_close(&s);
}

static void test_suspicion_of_another_view_does_not_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    suspect(&s);
    solo_other_suspects(&s, 1, 4, 0);
    solo_other_suspects(&s, 2, 0, STATUS_FLAG_CHANGING);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 0);
    solo_close(&s);
}

/* It has given its primary up: it does not say so of this view any more. */
static void test_member_that_has_left_the_view_counts(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    suspect(&s);
    assert_null(solo_status_in(&s, 1, 2, true)); /* of another one */
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 0);
    assert_null(solo_status_in(&s, 1, 1, true));
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 1);
    solo_close(&s);
}

static void test_suspicion_not_heard_for_long_does_not_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, HALF_US - 3 * SOLO_RESEND_US - ALMOST_US);
    solo_other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, 3 * SOLO_RESEND_US + ALMOST_US);
    assert_true(solo_suspects(&s));
    assert_int_equal(solo_summary(&s).view, 0);
    solo_other_suspects(&s, 1, 0, 0); /* again */
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 1);
    solo_close(&s);
}

static void test_suspicion_taken_back_does_not_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_other_suspects(&s, 1, 0, 0);
    assert_null(solo_status(&s, 1, 0, NULL));
    suspect(&s);
    assert_null(solo_status(&s, 1, 0, NULL));
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 0);
    solo_close(&s);
}

/* ---- what is learned ---- */

static void test_bound_is_learned_from_a_weak_quorum_of_primaries(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_learn(&s, LEARNS, 5000);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, EIGHTH_US - ALMOST_US);
    assert_false(solo_suspects(&s));
    (void)solo_tick(&s, ALMOST_US); /* 8 times 5 ms are less than T/8 */
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

static void test_bound_is_four_times_what_is_usual(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_learn(&s, LEARNS, 100000);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, 400000 - ALMOST_US);
    assert_false(solo_suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

static void test_bound_is_half_of_t_where_all_are_slow(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_learn(&s, LEARNS, HALF_US - ALMOST_US);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_false(solo_suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

/* What this replica knew nothing of, it did not wait for. */
static void test_proposals_not_waited_for_teach_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_learn(&s, LEARNS, 5000);
    for (uint64_t view = 4; view <= 5; view++) { /* of the same primaries; nothing is in custody */
        solo_enter(&s, view, NULL, 0);
        (void)solo_all_persisted(&s);
        for (uint32_t i = 0; i < LEARNS; i++) {
            (void)solo_tick(&s, EIGHTH_US);
            solo_run_batch(&s, view, solo_summary(&s).executed + 1, NULL);
        }
    }
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, EIGHTH_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

static void test_few_batches_teach_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_learn(&s, LEARNS - 1, 5000);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

static void test_one_primary_alone_teaches_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_lead(&s, 0, 4 * LEARNS, 5000);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

/* The bound is twice as long after it, and as before a minute later. */
static void test_demotion_makes_patient_for_a_minute(void **state)
{
    const struct core_settled settled = {.client = 1, .seq = 1};
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_learn(&s, LEARNS, 5000);
    solo_lead(&s, 2, 1, 5000);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, EIGHTH_US);
    solo_other_suspects(&s, 1, 2, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(solo_summary(&s).view, 3); /* which is its own; it does not get it */
    (void)solo_all_persisted(&s);
    solo_enter(&s, 4, NULL, 0);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, 2 * EIGHTH_US - ALMOST_US);
    assert_false(solo_suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_run_batch(&s, 4, solo_summary(&s).executed + 1, &settled);
    solo_lead(&s, 4, LEARNS, 1000); /* or that it was slow now would be learned */
    (void)solo_tick(&s, 60000000);
    assert_false(solo_suspects(&s));
    assert_null(solo_request(&s, 1, 2));
    (void)solo_tick(&s, EIGHTH_US - ALMOST_US);
    assert_false(solo_suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

/* ---- unfair ---- */

static void test_batches_that_leave_a_request_out_make_their_primary_suspect(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, AGAIN_US);
    for (uint64_t seq = 1; seq <= BATCHES_MOST; seq++)
        solo_run_batch(&s, 0, seq, NULL);
    (void)solo_tick(&s, HALF_US - AGAIN_US - ALMOST_US);
    solo_run_batch(&s, 0, BATCHES_MOST + 1, NULL);
    assert_false(solo_suspects(&s)); /* more than so many, and not half of T yet */
    (void)solo_tick(&s, ALMOST_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

static void test_batches_up_to_the_bound_are_no_reason(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 1, 1));
    for (uint64_t seq = 1; seq <= 2 * BATCHES_MOST; seq++) {
        solo_run_batch(&s, 0, seq, NULL);
        if (seq == BATCHES_MOST) (void)solo_tick(&s, HALF_US); /* given again: what it was before does not count */
    }
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(solo_suspects(&s));
    solo_run_batch(&s, 0, 2 * BATCHES_MOST + 1, NULL);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

static void test_each_request_has_its_own_time(void **state)
{
    const struct core_settled older = {.client = 2, .seq = 1};
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 2, 1));
    (void)solo_tick(&s, ALMOST_US);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        solo_run_batch(&s, 0, seq, NULL);
        (void)solo_tick(&s, HALF_US / 2);
    }
    assert_null(solo_request(&s, 1, 1));
    solo_run_batch(&s, 0, 3, &older);
    (void)solo_tick(&s, AGAIN_US);
    for (uint64_t seq = 4; seq <= BATCHES_MOST + 4; seq++)
        solo_run_batch(&s, 0, seq, NULL);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

static void test_batches_without_room_pass_nobody_over(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, AGAIN_US);
    for (uint64_t seq = 1; seq <= BATCHES_MOST + 1; seq++)
        run_huge_batch(&s, seq);
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    run_huge_batch(&s, BATCHES_MOST + 2);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

static void test_batches_count_from_the_view_on(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, AGAIN_US);
    for (uint64_t seq = 1; seq <= BATCHES_MOST; seq++)
        solo_run_batch(&s, 0, seq, NULL);
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    solo_run_batch(&s, 1, BATCHES_MOST + 1, NULL);
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    solo_run_batch(&s, 1, BATCHES_MOST + 2, NULL);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

/* The primary of another view was not given it twice. */
static void test_giving_again_counts_in_its_view(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 3);
    s.config.resend_us = 3 * SOLO_RESEND_US; /* four times that is more than half of T */
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, 3 * AGAIN_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 1);
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    for (uint64_t seq = 1; seq <= BATCHES_MOST + 2; seq++) {
        if (seq == BATCHES_MOST) (void)solo_tick(&s, HALF_US / 2);
        solo_run_batch(&s, 1, seq, NULL);
    }
    (void)solo_tick(&s, HALF_US / 2);
    assert_false(solo_suspects(&s));
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_primary_idle_with_work_is_suspected_after_half_of_t_not_earlier),
        cmocka_unit_test(test_primary_is_waited_for_from_the_request_on),
        cmocka_unit_test(test_primary_is_waited_for_from_the_view_on),
        cmocka_unit_test(test_primary_with_a_proposal_under_way_is_not_idle),
        cmocka_unit_test(test_request_given_to_a_busy_primary_is_given_again_before_it_is_suspected),
        cmocka_unit_test(test_short_t_gives_no_suspicion_before_it_is_given_again),
        cmocka_unit_test(test_suspicion_ends_with_a_proposal),
        cmocka_unit_test(test_replica_that_is_behind_suspects_nobody),
        cmocka_unit_test(test_full_window_is_not_the_primarys_fault),
        cmocka_unit_test(test_replica_without_room_on_its_disk_suspects_nobody),
        cmocka_unit_test(test_replica_that_has_stopped_suspects_nobody),
        cmocka_unit_test(test_replica_that_was_not_heard_yet_suspects_nobody),
        cmocka_unit_test(test_view_left_so_before_anything_executed_doubles_t),
        cmocka_unit_test(test_view_is_left_once_a_weak_quorum_suspects_its_primary),
        cmocka_unit_test(test_replica_without_a_suspicion_of_its_own_stays),
        cmocka_unit_test(test_suspicion_of_another_view_does_not_count),
        cmocka_unit_test(test_member_that_has_left_the_view_counts),
        cmocka_unit_test(test_suspicion_not_heard_for_long_does_not_count),
        cmocka_unit_test(test_suspicion_taken_back_does_not_count),
        cmocka_unit_test(test_bound_is_learned_from_a_weak_quorum_of_primaries),
        cmocka_unit_test(test_bound_is_four_times_what_is_usual),
        cmocka_unit_test(test_bound_is_half_of_t_where_all_are_slow),
        cmocka_unit_test(test_proposals_not_waited_for_teach_nothing),
        cmocka_unit_test(test_few_batches_teach_nothing),
        cmocka_unit_test(test_one_primary_alone_teaches_nothing),
        cmocka_unit_test(test_demotion_makes_patient_for_a_minute),
        cmocka_unit_test(test_batches_that_leave_a_request_out_make_their_primary_suspect),
        cmocka_unit_test(test_batches_up_to_the_bound_are_no_reason),
        cmocka_unit_test(test_each_request_has_its_own_time),
        cmocka_unit_test(test_batches_without_room_pass_nobody_over),
        cmocka_unit_test(test_batches_count_from_the_view_on),
        cmocka_unit_test(test_giving_again_counts_in_its_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
