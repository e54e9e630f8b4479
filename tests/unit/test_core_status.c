/* test_core_status.c - how often a replica says STATUS while something waits: after resend_us, then after twice as long
 * each time as long as nothing changes, at once again when something does. What a STATUS says and what it makes others
 * send is test_core_sync.c's. One core driven by hand: replica 1 of N = 4 unless a test says so. */
#include "base/check.h"
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEP_US 10000u
#define RESEND_MS (SOLO_RESEND_US / 1000)
#define HEARTBEAT_MS (SOLO_HEARTBEAT_US / 1000)

/* Member `self` of four, which never times out: no view change comes between. */
static void open_patient(struct solo *s, uint32_t self)
{
    solo_open(s, 4, self);
    s->config.timeout_us = 3600000000u;
    s->config.timeout_cap_us = s->config.timeout_us;
}

/* Milliseconds until the next STATUS, in steps of 10. */
static uint64_t gap(struct solo *s)
{
    for (uint64_t steps = 1; steps < 10000; steps++) {
        (void)solo_tick(s, STEP_US);
        if (solo_sent(s, WIRE_TYPE_status) > 0) return steps * STEP_US / 1000;
    }
    fail_msg("no STATUS any more");
    return 0;
}

static void expect_gaps(struct solo *s, const uint64_t *ms, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(gap(s), ms[i]);
}

/* A backup with one proposal that nobody prepares; its first STATUS about it has been sent. */
static struct solo_batch stall_one(struct solo *s)
{
    struct solo_batch b = solo_batch_make(s, 1);
    assert_null(solo_propose(s, 1, &b, true));
    assert_in_range(gap(s), 0, RESEND_MS);
    return b;
}

/* The same, and the gaps have grown to 800 ms; 200 ms of silence have passed. */
static struct solo_batch stall_long(struct solo *s)
{
    const uint64_t grown[] = {2 * RESEND_MS, 4 * RESEND_MS};
    struct solo_batch b = stall_one(s);
    expect_gaps(s, grown, 2);
    for (uint32_t i = 0; i < 20; i++) {
        (void)solo_tick(s, STEP_US);
        assert_int_equal(solo_sent(s, WIRE_TYPE_status), 0);
    }
    return b;
}

/* The next STATUS comes now: the last one was longer ago than the shortest wait. */
static void expect_at_once(struct solo *s)
{
    assert_int_equal(gap(s), STEP_US / 1000);
}

/* 600 ms are left of the 800. */
static void expect_no_sooner(struct solo *s)
{
    assert_int_equal(gap(s), 8 * RESEND_MS - 200);
}

/* ---- falling back ---- */

static void test_status_of_a_stall_comes_after_twice_as_long_each_time(void **state)
{
    struct solo s;
    const uint64_t want[] = {200, 400, 800, HEARTBEAT_MS, HEARTBEAT_MS, HEARTBEAT_MS};
    (void)state;
    open_patient(&s, 1);
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    struct solo_batch b = stall_one(&s);
    expect_gaps(&s, want, 6); /* up to the heartbeat, which is longer than eight times resend */
    solo_batch_free(&b);
    solo_close(&s);
}

static void check_longest(uint64_t heartbeat_ms, uint64_t longest_ms)
{
    struct solo s;
    uint64_t ms = 0;
    open_patient(&s, 1);
    s.config.heartbeat_us = heartbeat_ms * 1000;
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    struct solo_batch b = stall_one(&s);
    for (uint32_t i = 0; i < 10; i++) {
        ms = gap(&s);
        assert_in_range(ms, RESEND_MS, longest_ms);
    }
    assert_int_equal(ms, longest_ms);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_status_of_a_stall_is_at_most_eight_resends_or_two_heartbeats_apart(void **state)
{
    (void)state;
    check_longest(2000, 2000); /* the heartbeat */
    check_longest(500, 800);   /* eight times resend */
    check_longest(300, 600);   /* three heartbeats without a STATUS would be silence */
    check_longest(40, RESEND_MS);
}

/* ---- what does not bring it back ---- */

static void test_status_of_a_stall_not_hurried_by_what_changes_nothing(void **state)
{
    struct solo s;
    struct wire_fetch fetch = {.sender = 2, .kind = DATA_KIND_BATCH, .seq = 1, .count = 1};
    (void)state;
    open_patient(&s, 1);
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    struct solo_batch b = solo_batch_make(&s, 1);
    fetch.digest = b.digest;
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 2, 1, &b.digest));
    assert_null(solo_status(&s, 2, 0, NULL));
    solo_batch_free(&b);
    b = stall_long(&s);
    assert_non_null(solo_vote(&s, WIRE_TYPE_commit, 2, 1, &b.digest)); /* known already */
    assert_non_null(solo_propose(&s, 1, &b, true));                    /* known already */
    assert_null(solo_status(&s, 2, 0, NULL));                          /* as it said before */
    assert_null(solo_receive(&s, 2, &wire_record_fetch, &fetch));
    assert_null(solo_request(&s, 0, 1));
    assert_non_null(solo_persisted(&s, s.token)); /* known already */
    expect_no_sooner(&s);
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- what brings it back ---- */

static void test_status_after_a_new_vote_at_once(void **state)
{
    struct solo s;
    (void)state;
    open_patient(&s, 1);
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    struct solo_batch b = stall_long(&s);
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 2, 1, &b.digest)); /* moves no slot */
    expect_at_once(&s);
    assert_int_equal(gap(&s), 2 * RESEND_MS); /* and from there it falls back again */
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_status_after_a_slot_moved_at_once(void **state)
{
    struct solo s;
    (void)state;
    open_patient(&s, 1);
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    struct solo_batch b = stall_long(&s);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest));
    expect_at_once(&s);
    (void)solo_tick(&s, STEP_US);
    (void)solo_all_persisted(&s); /* the certificate is durable */
    assert_int_equal(gap(&s), RESEND_MS - STEP_US / 1000);
    (void)solo_tick(&s, STEP_US);
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 2, 1, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 3, 1, &b.digest)); /* committed, and handed out */
    assert_int_equal(gap(&s), RESEND_MS - STEP_US / 1000);
    assert_int_equal(gap(&s), 2 * RESEND_MS);
    assert_int_equal(gap(&s), 4 * RESEND_MS);
    assert_null(solo_request(&s, 0, 1)); /* still something waits when it is executed */
    assert_null(solo_executed(&s, 1, s.wall_ms, NULL, 0));
    assert_int_equal(gap(&s), RESEND_MS);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_status_after_a_proposal_and_after_its_batch_at_once(void **state)
{
    struct solo s;
    (void)state;
    open_patient(&s, 1);
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    struct solo_batch b = stall_long(&s);
    struct solo_batch two = solo_batch_make(&s, 2);
    struct wire_data data = {
        .sender = 3, .kind = DATA_KIND_BATCH, .seq = 2, .digest = two.digest, .payload = blob_bytes(two.bytes)};
    assert_null(solo_propose(&s, 2, &two, false));
    expect_at_once(&s);
    assert_int_equal(gap(&s), 2 * RESEND_MS);
    assert_int_equal(gap(&s), 4 * RESEND_MS);
    for (uint32_t i = 0; i < 20; i++)
        (void)solo_tick(&s, STEP_US);
    assert_null(solo_receive(&s, 3, &wire_record_data, &data));
    expect_at_once(&s);
    solo_batch_free(&b);
    solo_batch_free(&two);
    solo_close(&s);
}

static void test_status_after_a_checkpoint_vote_at_once(void **state)
{
    struct solo s;
    (void)state;
    open_patient(&s, 1);
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    struct solo_batch b = stall_long(&s);
    assert_null(solo_checkpoint(&s, 2, CHECKPOINT_INTERVAL));
    expect_at_once(&s);
    solo_batch_free(&b);
    solo_close(&s);
}

/* A primary proposes in a tick, by itself. */
static void test_status_after_an_own_proposal_at_once(void **state)
{
    struct solo s;
    const uint64_t grown[] = {RESEND_MS, 2 * RESEND_MS, 4 * RESEND_MS};
    (void)state;
    open_patient(&s, 0);
    s.config.batch_delay_us = 300000;
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    assert_in_range(gap(&s), 0, HEARTBEAT_MS);
    assert_null(solo_request(&s, 0, 1)); /* proposed at once */
    expect_gaps(&s, grown, 3);
    assert_null(solo_request(&s, 0, 2)); /* waits for company, and then a moment */
    assert_int_equal(gap(&s), 310);      /* proposed after 300 ms; the tick after that says so, not 800 ms later */
    solo_close(&s);
}

/* What a peer says for the first time, one thing after the other. */
static void test_status_after_news_of_a_peer_at_once(void **state)
{
    struct solo s;
    uint8_t map[] = {1};
    const struct digest header = solo_header(CHECKPOINT_INTERVAL);
    const struct digest root = solo_root(CHECKPOINT_INTERVAL);
    struct wire_status m = {.sender = 2};
    (void)state;
    open_patient(&s, 1);
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    struct blob *proof = fixture_checkpoint(s.group, CHECKPOINT_INTERVAL, &header, &root, 0xd);
    assert_null(solo_receive(&s, 2, &wire_record_status, &m));
    struct solo_batch b = stall_long(&s);
    for (uint32_t news = 0; news < 4; news++) {
        if (news == 0) m.pre_prepared = bytes_of(map, sizeof map);
        if (news == 1) m.executed = 1;
        if (news == 2) m.view = 1;
        if (news == 3)
            CHECK(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(proof), &m.stable) == NULL);
        assert_null(solo_receive(&s, 2, &wire_record_status, &m));
        expect_at_once(&s);
        expect_gaps(&s, (const uint64_t[]){2 * RESEND_MS, 4 * RESEND_MS}, 2);
        for (uint32_t i = 0; i < 20; i++)
            (void)solo_tick(&s, STEP_US);
    }
    assert_null(solo_receive(&s, 2, &wire_record_status, &m)); /* no news */
    expect_no_sooner(&s);
    blob_release(proof);
    solo_batch_free(&b);
    solo_close(&s);
}

/* It may lack everything. Just after the machine has started, so that no peer can have been silent for long. */
static void test_status_after_a_peer_is_first_heard_at_once(void **state)
{
    struct solo s;
    (void)state;
    open_patient(&s, 1);
    s.now_us = 1000;
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    struct solo_batch b = stall_long(&s);
    assert_in_range(s.now_us, 0, 2 * SOLO_HEARTBEAT_US);
    assert_null(solo_status(&s, 3, 0, NULL));
    expect_at_once(&s);
    solo_batch_free(&b);
    solo_close(&s);
}

/* A link that comes back: what the peer says is what it said before, but it may have missed all that was sent. */
static void test_status_after_a_silent_peer_is_heard_again_at_once(void **state)
{
    struct solo s;
    const uint64_t longest[] = {800, HEARTBEAT_MS, HEARTBEAT_MS};
    (void)state;
    open_patient(&s, 1);
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    assert_null(solo_status(&s, 2, 0, NULL));
    struct solo_batch b = stall_one(&s);
    assert_int_equal(gap(&s), 200);
    assert_int_equal(gap(&s), 400);
    assert_null(solo_status(&s, 2, 0, NULL)); /* silent for less than two of the longest waits */
    expect_gaps(&s, longest, 3);
    assert_null(solo_status(&s, 2, 0, NULL)); /* for more */
    assert_int_equal(gap(&s), RESEND_MS);
    solo_batch_free(&b);
    solo_close(&s);
}

/* At least one correct replica has executed more: votes, blocks and checkpoints are to be had. */
static void test_status_of_who_is_behind_never_falls_back(void **state)
{
    struct solo s;
    (void)state;
    open_patient(&s, 1);
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    assert_null(solo_status(&s, 2, 5, NULL));
    assert_null(solo_status(&s, 3, 5, NULL));
    (void)gap(&s);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(gap(&s), RESEND_MS);
    solo_close(&s);
}

static void test_status_of_the_next_stall_begins_anew(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = 0, .seq = 1};
    (void)state;
    open_patient(&s, 1);
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    assert_null(solo_request(&s, 0, 1));
    (void)gap(&s);
    expect_gaps(&s, (const uint64_t[]){200, 400, 800}, 3);
    solo_commit(&s, 1);
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1));
    assert_int_equal(core_summary(s.core).custody, 0);
    expect_gaps(&s, (const uint64_t[]){HEARTBEAT_MS, HEARTBEAT_MS}, 2); /* nothing waits */
    assert_null(solo_request(&s, 0, 2));
    expect_gaps(&s, (const uint64_t[]){RESEND_MS, 2 * RESEND_MS}, 2);
    solo_close(&s);
}

/* What waited has run out, and nothing has changed. */
static void test_status_after_a_stall_that_ran_out_begins_anew(void **state)
{
    struct solo s;
    (void)state;
    open_patient(&s, 1);
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    struct blob *q = fixture_request(s.group, 0, 1, s.wall_ms + 1000, "key", "value");
    assert_null(solo_receive_bytes(&s, UINT32_MAX, q));
    while (core_summary(s.core).custody > 0)
        (void)gap(&s);
    assert_int_equal(gap(&s), HEARTBEAT_MS);
    assert_null(solo_request(&s, 0, 2));
    expect_gaps(&s, (const uint64_t[]){RESEND_MS, 2 * RESEND_MS}, 2);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_of_a_stall_comes_after_twice_as_long_each_time),
        cmocka_unit_test(test_status_of_a_stall_is_at_most_eight_resends_or_two_heartbeats_apart),
        cmocka_unit_test(test_status_of_a_stall_not_hurried_by_what_changes_nothing),
        cmocka_unit_test(test_status_after_a_new_vote_at_once),
        cmocka_unit_test(test_status_after_a_slot_moved_at_once),
        cmocka_unit_test(test_status_after_a_proposal_and_after_its_batch_at_once),
        cmocka_unit_test(test_status_after_a_checkpoint_vote_at_once),
        cmocka_unit_test(test_status_after_an_own_proposal_at_once),
        cmocka_unit_test(test_status_after_news_of_a_peer_at_once),
        cmocka_unit_test(test_status_after_a_peer_is_first_heard_at_once),
        cmocka_unit_test(test_status_after_a_silent_peer_is_heard_again_at_once),
        cmocka_unit_test(test_status_of_who_is_behind_never_falls_back),
        cmocka_unit_test(test_status_of_the_next_stall_begins_anew),
        cmocka_unit_test(test_status_after_a_stall_that_ran_out_begins_anew),
    };
    return cmocka_run_group_tests_name("core_status", tests, NULL, NULL);
}
