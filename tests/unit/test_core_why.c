/* test_core_why.c - the facts behind a stall, as core_why gives them: how far the next sequence is, who voted, what is held,
 * which timers run, whose VIEW-CHANGEs are here. Core 3 of N = 4, driven by hand, unless a test says so. */
#include "tests/fixture/solo.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct core_why *why(const struct solo *s)
{
    static struct core_why out;
    core_why(s->core, &out);
    return &out;
}

/* bit id: member id has voted */
static uint32_t prepared(const struct core_why *w)
{
    uint32_t out = 0;
    for (uint32_t id = 0; id < 4; id++)
        if (w->members[id].prepared) out |= 1u << id;
    return out;
}

static uint32_t committed(const struct core_why *w)
{
    uint32_t out = 0;
    for (uint32_t id = 0; id < 4; id++)
        if (w->members[id].committed) out |= 1u << id;
    return out;
}

static void test_why_of_an_idle_core_has_nothing_that_waits(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    (void)solo_tick(&s, 5000);
    const struct core_why *w = why(&s);
    assert_int_equal(w->seq, 1);
    assert_int_equal(w->phase, WHY_PHASE_EMPTY);
    assert_int_equal(w->flags, WHY_FLAG_ENTERED);
    assert_int_equal(w->waited_us, 0);
    assert_int_equal(w->idle_us, 5000);
    assert_int_equal(w->timeout_us, SOLO_TIMEOUT_US);
    assert_true(w->request_timer_us == CORE_NO_TIMER);
    assert_true(w->new_view_timer_us == CORE_NO_TIMER);
    assert_int_equal(w->custody_oldest_us, 0);
    assert_int_equal(prepared(w) | committed(w), 0);
    assert_int_equal(core_proposed_us(s.core, 1), 0);
    solo_close(&s);
}

static void test_why_before_the_start_is_durable_says_not_entered(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 3);
    solo_start(&s, NULL);
    assert_int_equal(why(&s)->flags, 0);
    (void)solo_all_persisted(&s);
    assert_int_equal(why(&s)->flags, WHY_FLAG_ENTERED);
    solo_close(&s);
}

static void test_why_counts_a_request_in_custody_and_its_timer(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, 300000);
    const struct core_why *w = why(&s);
    assert_int_equal(w->phase, WHY_PHASE_EMPTY);
    assert_int_equal(w->custody_oldest_us, 300000);
    assert_true(w->custody_bytes > 0);
    assert_int_equal(w->request_timer_us, SOLO_TIMEOUT_US - 300000);
    solo_close(&s);
}

static void test_why_follows_a_sequence_from_proposal_to_execution(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 1, 1, &b.digest)); /* early */
    assert_int_equal(prepared(why(&s)), 1u << 1);
    assert_int_equal(why(&s)->phase, WHY_PHASE_EMPTY);
    assert_null(solo_propose(&s, 1, &b, true));
    (void)solo_tick(&s, 40000);
    const struct core_why *w = why(&s);
    assert_int_equal(w->phase, WHY_PHASE_PREPARED); /* with the early one there are Q-1 */
    assert_memory_equal(w->digest.bytes, b.digest.bytes, DIGEST_BYTES);
    assert_int_equal(w->waited_us, 40000);
    assert_int_equal(core_proposed_us(s.core, 1), s.now_us - 40000);
    assert_int_equal(w->flags, WHY_FLAG_ENTERED | WHY_FLAG_BATCH_HELD | WHY_FLAG_PREPARE_SENT);
    assert_int_equal(prepared(w), 1u << 0 | 1u << 1 | 1u << 3); /* the PRE-PREPARE is the primary's (rule 18) */
    assert_int_equal(committed(w), 0);                          /* rule 31: the own one is not durable */
    assert_int_equal(w->request_timer_us, SOLO_TIMEOUT_US - 40000);
    (void)solo_all_persisted(&s);
    assert_int_equal(committed(why(&s)), 1u << 3);
    assert_true((why(&s)->flags & WHY_FLAG_CERTIFICATE_DURABLE) != 0);
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 0, 1, &b.digest));
    assert_int_equal(committed(why(&s)), 1u << 0 | 1u << 3);
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 2, 1, &b.digest));
    assert_int_equal(why(&s)->phase, WHY_PHASE_COMMITTED);
    assert_int_equal(why(&s)->seq, 1);
    assert_null(solo_executed(&s, 1, s.wall_ms, NULL, 0));
    assert_int_equal(why(&s)->seq, 2);
    assert_int_equal(why(&s)->phase, WHY_PHASE_EMPTY);
    assert_int_equal(why(&s)->idle_us, 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_why_says_that_the_batch_is_missing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, false));
    assert_int_equal(why(&s)->phase, WHY_PHASE_PROPOSED);
    assert_int_equal(why(&s)->flags & (WHY_FLAG_BATCH_HELD | WHY_FLAG_PREPARE_SENT), 0);
    assert_int_equal(prepared(why(&s)), 1u << 0);
    assert_null(solo_data(&s, 1, 1, &b));
    assert_int_equal(why(&s)->flags & (WHY_FLAG_BATCH_HELD | WHY_FLAG_PREPARE_SENT),
                     WHY_FLAG_BATCH_HELD | WHY_FLAG_PREPARE_SENT);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_why_counts_no_vote_for_another_digest(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct solo_batch other = solo_batch_make(&s, 2);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &other.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 2, 1, &other.digest));
    assert_null(solo_propose(&s, 1, &b, true));
    assert_int_equal(prepared(why(&s)), 1u << 0 | 1u << 3);
    assert_int_equal(committed(why(&s)), 0);
    solo_batch_free(&b);
    solo_batch_free(&other);
    solo_close(&s);
}

static void test_why_shows_who_has_sent_view_changes_and_the_new_view_timer(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_view_change(&s, 2, 1));
    assert_int_equal(why(&s)->members[2].view_change, 1);
    assert_int_equal(why(&s)->members[0].view_change, 0);
    assert_int_equal(why(&s)->flags & WHY_FLAG_CHANGING, 0);
    assert_null(solo_view_change(&s, 1, 1)); /* f+1: it joins, and Q are here */
    (void)solo_tick(&s, 60000);
    const struct core_why *w = why(&s);
    assert_int_equal(w->flags & (WHY_FLAG_CHANGING | WHY_FLAG_ENTERED), WHY_FLAG_CHANGING);
    assert_int_equal(w->members[3].view_change, 1);
    assert_int_equal(w->members[1].view_change, 1);
    assert_int_equal(w->waited_us, 60000);
    assert_true(w->request_timer_us == CORE_NO_TIMER);
    assert_int_equal(w->new_view_timer_us, SOLO_TIMEOUT_US - 60000);
    (void)solo_tick(&s, SOLO_TIMEOUT_US); /* past it: view 2, with nobody else's VIEW-CHANGE */
    assert_int_equal(core_summary(s.core).view, 2);
    assert_true(why(&s)->new_view_timer_us == CORE_NO_TIMER); /* rule 17: only from Q on */
    assert_int_equal(why(&s)->members[3].view_change, 2);
    solo_close(&s);
}

static void test_why_of_a_core_left_behind_has_no_request_timer(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 0, 1));
    assert_true(why(&s)->request_timer_us != CORE_NO_TIMER);
    assert_null(solo_status(&s, 0, 20, NULL));
    assert_null(solo_status(&s, 1, 21, NULL));
    const struct core_why *w = why(&s);
    assert_int_equal(w->ahead, 20);
    assert_true(w->request_timer_us == CORE_NO_TIMER);
    assert_int_equal(w->members[1].executed, 21);
    assert_true(w->members[1].heard);
    assert_false(w->members[2].heard);
    (void)solo_tick(&s, 1500);
    assert_int_equal(why(&s)->members[0].heard_us, 1500);
    solo_close(&s);
}

static void test_why_of_a_primary_counts_its_own_proposal(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, 7000);
    const struct core_why *w = why(&s);
    assert_int_equal(w->phase, WHY_PHASE_PROPOSED);
    assert_int_equal(prepared(w), 1u << 0);
    assert_true((w->flags & WHY_FLAG_PREPARE_SENT) != 0);
    solo_close(&s);
}

static void test_why_changes_nothing(void **state)
{
    struct solo s;
    struct buffer before = {0};
    struct buffer after = {0};
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, true));
    core_dump(s.core, &before);
    (void)why(&s);
    core_dump(s.core, &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    buffer_free(&before);
    buffer_free(&after);
    solo_batch_free(&b);
    solo_close(&s);
}

static void step_of(struct solo *s, enum core_event_type type, bool full)
{
    struct core_event event = {.type = type};
    if (type == CORE_EVENT_DISK) event.disk_full = full;
    (void)solo_step(s, &event);
}

/* Neither timer runs in a replica that may not leave its view. */
static void test_why_of_a_core_that_may_not_leave_its_view_has_no_timer(void **state)
{
    const struct digest header = solo_header(CHECKPOINT_INTERVAL);
    const struct digest other = solo_root(1);
    struct solo s;
    (void)state;
    solo_open(&s, 4, 3); /* nobody has been heard yet */
    solo_start_unheard(&s, NULL);
    (void)solo_all_persisted(&s);
    assert_null(solo_request(&s, 0, 1));
    assert_true((why(&s)->flags & WHY_FLAG_MUTE) != 0);
    assert_true(why(&s)->request_timer_us == CORE_NO_TIMER);
    solo_close(&s);

    solo_ready(&s, 4, 3); /* it stops */
    assert_null(solo_request(&s, 0, 1));
    assert_true(why(&s)->request_timer_us == SOLO_TIMEOUT_US);
    assert_int_equal(why(&s)->flags & WHY_FLAG_DRAINING, 0);
    step_of(&s, CORE_EVENT_STOP, false);
    assert_true((why(&s)->flags & WHY_FLAG_DRAINING) != 0);
    assert_true(why(&s)->request_timer_us == CORE_NO_TIMER);
    solo_close(&s);

    solo_ready(&s, 4, 3); /* its state is proven wrong */
    solo_run_to(&s, CHECKPOINT_INTERVAL);
    (void)solo_all_persisted(&s);
    assert_null(solo_request(&s, 1, 1));
    assert_true(why(&s)->request_timer_us == SOLO_TIMEOUT_US);
    struct blob *proof = fixture_checkpoint(s.group, CHECKPOINT_INTERVAL, &header, &other, 0x7);
    assert_null(solo_status(&s, 0, CHECKPOINT_INTERVAL, proof));
    assert_true((why(&s)->flags & WHY_FLAG_DIVERGED) != 0);
    assert_true(why(&s)->request_timer_us == CORE_NO_TIMER);
    blob_release(proof);
    solo_close(&s);
}

/* Without room on its disk it does not leave when the time is over. */
static void test_why_of_a_timer_that_has_run_out_says_nothing_left(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_request(&s, 0, 1));
    step_of(&s, CORE_EVENT_DISK, true);
    (void)solo_tick(&s, SOLO_TIMEOUT_US + 1);
    assert_int_equal(core_summary(s.core).view, 0);
    assert_true(why(&s)->request_timer_us == 0);
    solo_close(&s);
}

/* Nothing can be said of the next sequence before a checkpoint has moved the window. */
static void test_why_of_a_full_window_is_empty(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_run_to(&s, WINDOW_BATCHES);
    const struct core_why *w = why(&s);
    assert_int_equal(w->seq, WINDOW_BATCHES + 1);
    assert_int_equal(w->phase, WHY_PHASE_EMPTY);
    assert_int_equal(w->flags, WHY_FLAG_ENTERED);
    assert_int_equal(prepared(w) | committed(w), 0);
    assert_int_equal(core_proposed_us(s.core, WINDOW_BATCHES + 1), 0);
    solo_close(&s);
}

static void test_why_of_a_block_that_came_before_its_batch_holds_it(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, false));
    assert_int_equal(why(&s)->flags & WHY_FLAG_BATCH_HELD, 0);
    assert_null(solo_block(&s, 2, 1, &b, NULL));
    assert_int_equal(why(&s)->phase, WHY_PHASE_COMMITTED);
    assert_true((why(&s)->flags & WHY_FLAG_BATCH_HELD) != 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_why_says_that_the_batch_is_void(void **state)
{
    struct solo s;
    struct digest digest;
    (void)state;
    solo_ready(&s, 4, 3);
    struct blob *request = fixture_request(s.group, 0, 1, s.wall_ms + 1000, "key", "value");
    request->data[request->len - 1] ^= 1;
    struct solo_batch b = {.bytes = fixture_batch(s.wall_ms, &request, 1, &digest), .time_ms = s.wall_ms};
    b.digest = digest;
    assert_non_null(solo_propose(&s, 1, &b, true));
    assert_int_equal(why(&s)->flags, WHY_FLAG_ENTERED | WHY_FLAG_BATCH_VOID);
    blob_release(request);
    solo_batch_free(&b);
    solo_close(&s);
}

/* After an unclean stop the primary has a proposal in its record, and must not stand by it (design.md 7.5). */
static void test_why_of_a_primary_that_abstains_does_not_count_its_proposal(void **state)
{
    struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    struct core_recovered_slot slot = {.seq = 1, .accepted = true};
    struct core_recovered r = {.slots = &slot, .slot_count = 1, .windows = windows};
    struct solo s;
    (void)state;
    for (uint32_t clean = 0; clean < 2; clean++) {
        solo_open(&s, 4, 0);
        struct solo_batch b = solo_batch_make(&s, 1);
        slot.digest = b.digest;
        slot.batch = b.bytes;
        slot.time_ms = b.time_ms;
        r.clean = clean == 1;
        solo_start(&s, &r);
        assert_int_equal(why(&s)->phase, WHY_PHASE_PROPOSED);
        assert_int_equal(prepared(why(&s)), clean);
        solo_batch_free(&b);
        solo_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_why_of_an_idle_core_has_nothing_that_waits),
        cmocka_unit_test(test_why_before_the_start_is_durable_says_not_entered),
        cmocka_unit_test(test_why_counts_a_request_in_custody_and_its_timer),
        cmocka_unit_test(test_why_follows_a_sequence_from_proposal_to_execution),
        cmocka_unit_test(test_why_says_that_the_batch_is_missing),
        cmocka_unit_test(test_why_counts_no_vote_for_another_digest),
        cmocka_unit_test(test_why_shows_who_has_sent_view_changes_and_the_new_view_timer),
        cmocka_unit_test(test_why_of_a_core_left_behind_has_no_request_timer),
        cmocka_unit_test(test_why_of_a_primary_counts_its_own_proposal),
        cmocka_unit_test(test_why_changes_nothing),
        cmocka_unit_test(test_why_of_a_core_that_may_not_leave_its_view_has_no_timer),
        cmocka_unit_test(test_why_of_a_timer_that_has_run_out_says_nothing_left),
        cmocka_unit_test(test_why_of_a_full_window_is_empty),
        cmocka_unit_test(test_why_of_a_block_that_came_before_its_batch_holds_it),
        cmocka_unit_test(test_why_says_that_the_batch_is_void),
        cmocka_unit_test(test_why_of_a_primary_that_abstains_does_not_count_its_proposal),
    };
    return cmocka_run_group_tests_name("core_why", tests, NULL, NULL);
}
