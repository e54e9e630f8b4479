/* test_core_demotion.c - a primary that is idle with work, or that passes a client over, is suspected, and left once
 * f+1 members suspect it. Core 3 of N = 4, driven by hand, unless a test says so. */
#include "tests/fixture/solo.h"

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

static struct core_summary summary(const struct solo *s)
{
    return core_summary(s->core);
}

static bool suspects(const struct solo *s)
{
    return summary(s).suspicion != NULL;
}

static bool status_says_so(const struct solo *s)
{
    return solo_sent(s, WIRE_TYPE_status) == 1 &&
           (solo_message(solo_send(s, WIRE_TYPE_status, 0)).status.flags & STATUS_FLAG_SUSPECTS) != 0;
}

static void other_suspects(struct solo *s, uint32_t sender, uint64_t view, uint64_t flags)
{
    struct wire_status m = {
        .sender = sender, .view = view, .executed = summary(s).executed, .flags = STATUS_FLAG_SUSPECTS | flags};
    (void)solo_receive(s, sender, &wire_record_status, &m);
}

/* Suspected by this replica alone. */
static void suspect(struct solo *s)
{
    assert_null(solo_request(s, 1, 1));
    (void)solo_tick(s, HALF_US);
    assert_true(suspects(s));
    assert_int_equal(summary(s).view, 0);
}

/* A batch of the view's primary from its PRE-PREPARE to its execution, which settles this. */
static void run_proposed(struct solo *s, uint64_t view, uint64_t seq, const struct solo_batch *b,
                         const struct core_settled *settled)
{
    const uint32_t primary = quorum_primary(&s->wire.quorum, view);
    assert_null(solo_propose_in(s, view, seq, b, true));
    for (uint32_t id = 0; id < 3; id++)
        if (id != primary) assert_null(solo_vote_in(s, WIRE_TYPE_prepare, view, id, seq, &b->digest));
    (void)solo_all_persisted(s);
    for (uint32_t id = 0; id < 3; id++)
        assert_null(solo_vote_in(s, WIRE_TYPE_commit, view, id, seq, &b->digest));
    assert_null(solo_executed(s, seq, s->wall_ms, settled, settled != NULL ? 1 : 0));
}

static void run_batch(struct solo *s, uint64_t view, uint64_t seq, const struct core_settled *settled)
{
    struct solo_batch b = solo_batch_make(s, seq);
    run_proposed(s, view, seq, &b, settled);
    solo_batch_free(&b);
}

/* The same of view 0, with a request that fills half of it, and settling nothing. */
static void run_huge_batch(struct solo *s, uint64_t seq)
{
    struct solo_batch b = {.time_ms = s->wall_ms};
    struct blob *request = fixture_request_sized(s->group, 0, seq, s->wall_ms + 60000, BATCH_BYTES_TARGET / 2);
    b.bytes = fixture_batch(b.time_ms, &request, 1, &b.digest);
    blob_release(request);
    run_proposed(s, 0, seq, &b, NULL);
    solo_batch_free(&b);
}

/* The primary of this view lets a request wait so long, again and again. */
static void lead(struct solo *s, uint64_t view, uint32_t batches, uint64_t gap_us)
{
    for (uint32_t i = 0; i < batches; i++) {
        const struct core_settled next = {.client = 0, .seq = summary(s).executed + 1};
        assert_null(solo_request(s, 0, next.seq));
        (void)solo_tick(s, gap_us);
        run_batch(s, view, next.seq, &next);
    }
}

/* Views 0 and 1, each of whose primaries lets a request wait so long; now in view 2. */
static void learn(struct solo *s, uint32_t batches, uint64_t gap_us)
{
    for (uint64_t view = 0; view < 2; view++) {
        lead(s, view, batches, gap_us);
        solo_enter(s, view + 1, NULL, 0);
        (void)solo_all_persisted(s);
    }
    assert_int_equal(summary(s).view, 2);
}

/* ---- idle ---- */

static void test_primary_idle_with_work_is_suspected_after_half_of_t_not_earlier(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_false(suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(suspects(&s));
    assert_true(status_says_so(&s)); /* at once */
    assert_int_equal(summary(&s).view, 0);
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
    assert_false(suspects(&s));
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_false(suspects(&s));
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
    assert_false(suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(suspects(&s));
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
    assert_false(suspects(&s));
    solo_batch_free(&b);
    solo_close(&s);
}

/* A batch without this request: the primary may have refused it, its custody being full. An idle one has room. */
static void be_left_out(struct solo *s, uint64_t view)
{
    assert_null(solo_request(s, 1, 1));
    run_batch(s, view, summary(s).executed + 1, NULL);
}

static void test_request_given_to_a_busy_primary_is_given_again_before_it_is_suspected(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    learn(&s, LEARNS, ALMOST_US); /* T/8 is the bound */
    be_left_out(&s, 2);
    (void)solo_tick(&s, EIGHTH_US / 2 - ALMOST_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 0);
    (void)solo_tick(&s, EIGHTH_US / 2 + ALMOST_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 1);
    assert_false(suspects(&s));
    (void)solo_tick(&s, EIGHTH_US / 2 - ALMOST_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 0); /* once */
    assert_false(suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(suspects(&s));
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
    assert_false(suspects(&s));
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
    assert_false(suspects(&s));
    other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(summary(&s).view, 0);
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
    assert_false(suspects(&s));
    solo_close(&s);
}

static void test_full_window_is_not_the_primarys_fault(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    for (uint64_t seq = 1; seq <= WINDOW_BATCHES; seq++) /* no checkpoint becomes stable */
        run_batch(&s, 0, seq, NULL);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, HALF_US);
    assert_false(suspects(&s));
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
    assert_false(suspects(&s));
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
    other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, SOLO_RESEND_US);
    (void)solo_tick(&s, HALF_US);
    other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_false(suspects(&s));
    assert_int_equal(summary(&s).view, 0);
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
    assert_false(suspects(&s));
    solo_close(&s);
}

/* ---- who leaves ---- */

static void test_view_is_left_once_a_weak_quorum_suspects_its_primary(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    suspect(&s);
    other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(summary(&s).view, 1);
    assert_true(summary(&s).changing);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 1);
    assert_int_equal(summary(&s).demotions, 1);
    assert_false(suspects(&s));
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_TIMEOUT_US); /* and it waits for the next view */
    other_suspects(&s, 1, 1, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_false(suspects(&s));
    assert_int_equal(summary(&s).view, 1);
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
    other_suspects(&s, 2, 1, 0);
    assert_int_equal(timeout_us(&s), SOLO_TIMEOUT_US);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(summary(&s).view, 2);
    assert_int_equal(timeout_us(&s), 2 * SOLO_TIMEOUT_US);
    solo_close(&s);
}

static void test_replica_without_a_suspicion_of_its_own_stays(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    other_suspects(&s, 1, 0, 0);
    other_suspects(&s, 2, 0, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(summary(&s).view, 0);
    solo_close(&s);
}

static void test_suspicion_of_another_view_does_not_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    suspect(&s);
    other_suspects(&s, 1, 4, 0);
    other_suspects(&s, 2, 0, STATUS_FLAG_CHANGING);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(summary(&s).view, 0);
    solo_close(&s);
}

static void test_suspicion_not_heard_for_long_does_not_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, HALF_US - 3 * SOLO_RESEND_US - ALMOST_US);
    other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, 3 * SOLO_RESEND_US + ALMOST_US);
    assert_true(suspects(&s));
    assert_int_equal(summary(&s).view, 0);
    other_suspects(&s, 1, 0, 0); /* again */
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(summary(&s).view, 1);
    solo_close(&s);
}

static void test_suspicion_taken_back_does_not_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    other_suspects(&s, 1, 0, 0);
    assert_null(solo_status(&s, 1, 0, NULL));
    suspect(&s);
    assert_null(solo_status(&s, 1, 0, NULL));
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(summary(&s).view, 0);
    solo_close(&s);
}

/* ---- what is learned ---- */

static void test_bound_is_learned_from_a_weak_quorum_of_primaries(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    learn(&s, LEARNS, 5000);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, EIGHTH_US - ALMOST_US);
    assert_false(suspects(&s));
    (void)solo_tick(&s, ALMOST_US); /* 8 times 5 ms are less than T/8 */
    assert_true(suspects(&s));
    solo_close(&s);
}

static void test_bound_is_eight_times_what_is_usual(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    learn(&s, LEARNS, 50000);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, 400000 - ALMOST_US);
    assert_false(suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(suspects(&s));
    solo_close(&s);
}

static void test_bound_is_half_of_t_where_all_are_slow(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    learn(&s, LEARNS, HALF_US - ALMOST_US);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_false(suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(suspects(&s));
    solo_close(&s);
}

/* What this replica knew nothing of, it did not wait for. */
static void test_proposals_not_waited_for_teach_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    learn(&s, LEARNS, 5000);
    for (uint64_t view = 4; view <= 5; view++) { /* of the same primaries; nothing is in custody */
        solo_enter(&s, view, NULL, 0);
        (void)solo_all_persisted(&s);
        for (uint32_t i = 0; i < LEARNS; i++) {
            (void)solo_tick(&s, EIGHTH_US);
            run_batch(&s, view, summary(&s).executed + 1, NULL);
        }
    }
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, EIGHTH_US);
    assert_true(suspects(&s));
    solo_close(&s);
}

static void test_few_batches_teach_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    learn(&s, LEARNS - 1, 5000);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_false(suspects(&s));
    solo_close(&s);
}

static void test_one_primary_alone_teaches_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    lead(&s, 0, 4 * LEARNS, 5000);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    assert_false(suspects(&s));
    solo_close(&s);
}

/* The bound is twice as long after it, and as before a minute later. */
static void test_demotion_makes_patient_for_a_minute(void **state)
{
    const struct core_settled settled = {.client = 1, .seq = 1};
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    learn(&s, LEARNS, 5000);
    lead(&s, 2, 1, 5000);
    assert_null(solo_request(&s, 1, 1));
    (void)solo_tick(&s, EIGHTH_US);
    other_suspects(&s, 1, 2, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(summary(&s).view, 3); /* which is its own; it does not get it */
    (void)solo_all_persisted(&s);
    solo_enter(&s, 4, NULL, 0);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, 2 * EIGHTH_US - ALMOST_US);
    assert_false(suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(suspects(&s));
    run_batch(&s, 4, summary(&s).executed + 1, &settled);
    lead(&s, 4, LEARNS, 1000); /* or that it was slow now would be learned */
    (void)solo_tick(&s, 60000000);
    assert_false(suspects(&s));
    assert_null(solo_request(&s, 1, 2));
    (void)solo_tick(&s, EIGHTH_US - ALMOST_US);
    assert_false(suspects(&s));
    (void)solo_tick(&s, ALMOST_US);
    assert_true(suspects(&s));
    solo_close(&s);
}

/* ---- slow: waits that are no reason by themselves, again and again ---- */

/* It lets requests wait so long again and again, with a rest after each, and is not suspected. */
static void lead_unsuspected(struct solo *s, uint64_t view, uint32_t batches, uint64_t gap_us, uint64_t rest_us)
{
    for (uint32_t i = 0; i < batches; i++) {
        lead(s, view, 1, gap_us);
        (void)solo_tick(s, rest_us);
        assert_false(suspects(s));
    }
}

static void test_primary_that_lets_work_wait_again_and_again_is_suspected(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    lead_unsuspected(&s, 0, 2, HALF_US - ALMOST_US, ALMOST_US); /* T/2 twice, less their share of the time */
    lead(&s, 0, 1, HALF_US - ALMOST_US);
    (void)solo_tick(&s, ALMOST_US);
    assert_true(suspects(&s));
    assert_int_equal(summary(&s).view, 0);
    other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(summary(&s).view, 1);
    solo_close(&s);
}

static void test_short_waits_are_not_held_against_a_primary(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    lead_unsuspected(&s, 0, 40, EIGHTH_US - ALMOST_US, ALMOST_US);
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
    lead(&s, 0, 2, HALF_US - ALMOST_US);
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
    learn(&s, LEARNS, 2 * EIGHTH_US);
    lead_unsuspected(&s, 2, 20, 2 * EIGHTH_US, ALMOST_US);
    solo_close(&s);
}

/* Who has led quickly and is slow now does not make that usual. */
static void test_own_waits_of_a_primary_do_not_excuse_it(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    lead(&s, 0, LEARNS, 5000);
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    lead(&s, 1, LEARNS, 5000);
    lead(&s, 1, 4, 3 * EIGHTH_US);
    (void)solo_tick(&s, ALMOST_US);
    assert_true(suspects(&s));
    solo_close(&s);
}

static void test_demotion_makes_patient_with_waits_too(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    lead(&s, 0, 3, HALF_US - ALMOST_US);
    other_suspects(&s, 1, 0, 0);
    (void)solo_tick(&s, ALMOST_US);
    assert_int_equal(summary(&s).view, 1);
    (void)solo_all_persisted(&s);
    solo_enter(&s, 2, NULL, 0);
    (void)solo_all_persisted(&s);
    lead_unsuspected(&s, 2, 3, HALF_US - ALMOST_US, ALMOST_US);
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
        run_batch(&s, 0, seq, NULL);
    (void)solo_tick(&s, HALF_US - AGAIN_US - ALMOST_US);
    run_batch(&s, 0, BATCHES_MOST + 1, NULL);
    assert_false(suspects(&s)); /* more than so many, and not half of T yet */
    (void)solo_tick(&s, ALMOST_US);
    assert_true(suspects(&s));
    solo_close(&s);
}

static void test_batches_up_to_the_bound_are_no_reason(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 1, 1));
    for (uint64_t seq = 1; seq <= 2 * BATCHES_MOST; seq++) {
        run_batch(&s, 0, seq, NULL);
        if (seq == BATCHES_MOST) (void)solo_tick(&s, HALF_US); /* given again: what it was before does not count */
    }
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(suspects(&s));
    run_batch(&s, 0, 2 * BATCHES_MOST + 1, NULL);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_true(suspects(&s));
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
        run_batch(&s, 0, seq, NULL);
        (void)solo_tick(&s, HALF_US / 2);
    }
    assert_null(solo_request(&s, 1, 1));
    run_batch(&s, 0, 3, &older);
    (void)solo_tick(&s, AGAIN_US);
    for (uint64_t seq = 4; seq <= BATCHES_MOST + 4; seq++)
        run_batch(&s, 0, seq, NULL);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(suspects(&s));
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
    assert_false(suspects(&s));
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
        run_batch(&s, 0, seq, NULL);
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    run_batch(&s, 1, BATCHES_MOST + 1, NULL);
    (void)solo_tick(&s, HALF_US - ALMOST_US);
    run_batch(&s, 1, BATCHES_MOST + 2, NULL);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(suspects(&s));
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
        run_batch(&s, 1, seq, NULL);
    }
    (void)solo_tick(&s, HALF_US / 2);
    assert_false(suspects(&s));
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
        cmocka_unit_test(test_suspicion_not_heard_for_long_does_not_count),
        cmocka_unit_test(test_suspicion_taken_back_does_not_count),
        cmocka_unit_test(test_bound_is_learned_from_a_weak_quorum_of_primaries),
        cmocka_unit_test(test_bound_is_eight_times_what_is_usual),
        cmocka_unit_test(test_bound_is_half_of_t_where_all_are_slow),
        cmocka_unit_test(test_proposals_not_waited_for_teach_nothing),
        cmocka_unit_test(test_few_batches_teach_nothing),
        cmocka_unit_test(test_one_primary_alone_teaches_nothing),
        cmocka_unit_test(test_demotion_makes_patient_for_a_minute),
        cmocka_unit_test(test_primary_that_lets_work_wait_again_and_again_is_suspected),
        cmocka_unit_test(test_short_waits_are_not_held_against_a_primary),
        cmocka_unit_test(test_an_eighth_of_the_time_may_go_by_in_waits),
        cmocka_unit_test(test_waits_in_an_earlier_view_are_another_primarys),
        cmocka_unit_test(test_waits_that_are_usual_are_not_held_against_a_primary),
        cmocka_unit_test(test_own_waits_of_a_primary_do_not_excuse_it),
        cmocka_unit_test(test_demotion_makes_patient_with_waits_too),
        cmocka_unit_test(test_batches_that_leave_a_request_out_make_their_primary_suspect),
        cmocka_unit_test(test_batches_up_to_the_bound_are_no_reason),
        cmocka_unit_test(test_each_request_has_its_own_time),
        cmocka_unit_test(test_batches_without_room_pass_nobody_over),
        cmocka_unit_test(test_batches_count_from_the_view_on),
        cmocka_unit_test(test_giving_again_counts_in_its_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
