/* test_core_demotion_learned.c - what a backup takes into account before it holds time against a primary: how far it
 * knows what was proposed, how long the votes of others take, and how other primaries are of late. Core 3 of N = 4,
 * driven by hand, unless a test says so. */
#include "tests/fixture/solo_lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EIGHTH_US (SOLO_TIMEOUT_US / 8)
#define STALL_US (SOLO_TIMEOUT_US / 64)
#define ALMOST_US 1000u

/* The waits of one batch, for: its proposal, others' votes (early: they are here before the proposal), its own disk,
 * the end. */
struct waits {
    uint64_t proposal_us;
    uint64_t votes_us;
    uint64_t disk_us;
    uint64_t end_us;
    bool early;
};

/* With the ticks that a replica has meanwhile. */
static void pass(struct solo *s, uint64_t us)
{
    for (; us > 20000; us -= 20000)
        (void)solo_tick(s, 20000);
    (void)solo_tick(s, us);
}

/* A batch with the next request of client 0, which has it from the beginning. */
static void run_waiting(struct solo *s, uint64_t view, const struct waits *w)
{
    const struct core_settled settled = {.client = 0, .seq = solo_summary(s).executed + 1};
    const uint64_t seq = settled.seq;
    struct solo_batch b = solo_batch_make(s, seq);
    assert_null(solo_request(s, 0, seq));
    pass(s, w->proposal_us);
    if (w->early) solo_votes(s, WIRE_TYPE_prepare, view, seq, &b.digest);
    assert_null(solo_propose_in(s, view, seq, &b, true));
    pass(s, w->votes_us);
    if (!w->early) solo_votes(s, WIRE_TYPE_prepare, view, seq, &b.digest);
    pass(s, w->disk_us);
    (void)solo_all_persisted(s);
    pass(s, w->end_us);
    solo_votes(s, WIRE_TYPE_commit, view, seq, &b.digest);
    assert_null(solo_executed(s, seq, s->wall_ms, &settled, 1));
    (void)solo_tick(s, ALMOST_US);
    solo_batch_free(&b);
}

static void run_unsuspected(struct solo *s, uint64_t view, uint32_t batches, const struct waits *w)
{
    for (uint32_t i = 0; i < batches; i++) {
        run_waiting(s, view, w);
        assert_false(solo_suspects(s));
    }
}

static void run_until_suspected(struct solo *s, uint64_t view, uint32_t batches, const struct waits *w)
{
    for (uint32_t i = 0; i < batches && !solo_suspects(s); i++)
        run_waiting(s, view, w);
    assert_int_equal(solo_summary(s).view, view);
    assert_true(solo_suspects(s));
}

static void enter(struct solo *s, uint64_t view)
{
    solo_enter(s, view, NULL, 0);
    (void)solo_all_persisted(s);
}

/* ---- what is known ---- */

/* It was proposed at once: that this disk takes so long is not the primary's affair, however old the request becomes.
 */
static void test_request_that_is_proposed_waits_for_nobody_else(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    run_unsuspected(&s, 0, 10, &(struct waits){.disk_us = 7 * EIGHTH_US});
    solo_close(&s);
}

/* Others have executed it: that it does not come here is not the primary's affair. */
static void test_request_that_others_have_executed_waits_for_nobody_else(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    for (uint64_t seq = 1; seq <= 10; seq++) {
        for (uint32_t id = 1; id < 3; id++)
            assert_null(solo_status(&s, id, seq, NULL));
        run_unsuspected(&s, 0, 1, &(struct waits){.proposal_us = 6 * EIGHTH_US});
    }
    solo_close(&s);
}

/* Proposals enough for a long time, finished one by one, put a request off that is in none of them. */
static void test_more_proposals_than_a_pipeline_holds_are_no_excuse(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    for (uint64_t after = 0, client_seq = 1; after < 240 && !solo_suspects(&s); after += 60, client_seq++) {
        struct solo_batch b[60];
        for (uint64_t i = 0; i < 60; i++) {
            b[i] = solo_batch_make(&s, after + i + 1);
            assert_null(solo_propose(&s, after + i + 1, &b[i], true));
            solo_votes(&s, WIRE_TYPE_prepare, 0, after + i + 1, &b[i].digest);
        }
        (void)solo_all_persisted(&s);
        assert_null(solo_request(&s, 1, client_seq));
        for (uint64_t i = 0; i < 60; i++) {
            const struct core_settled settled = {.client = 1, .seq = client_seq};
            (void)solo_tick(&s, STALL_US - ALMOST_US);
            solo_votes(&s, WIRE_TYPE_commit, 0, after + i + 1, &b[i].digest);
            assert_null(solo_executed(&s, after + i + 1, s.wall_ms, &settled, i == 59 ? 1 : 0));
            solo_batch_free(&b[i]);
        }
        (void)solo_tick(&s, ALMOST_US);
    }
    assert_int_equal(solo_summary(&s).view, 0);
    assert_true(solo_suspects(&s));
    solo_close(&s);
}

/* A batch all but decided: the primary's COMMIT is kept back. */
static void run_nearly(struct solo *s, uint64_t seq, const struct solo_batch *b)
{
    assert_null(solo_propose(s, seq, b, true));
    assert_null(solo_vote(s, WIRE_TYPE_prepare, 1, seq, &b->digest));
    (void)solo_all_persisted(s);
    assert_null(solo_vote(s, WIRE_TYPE_commit, 1, seq, &b->digest));
}

/* Member 1 has the primary's COMMIT a batch earlier, and both say so: this replica is behind all the time. */
static void test_primary_that_keeps_others_behind_is_suspected(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    run_nearly(&s, 1, &b);
    for (uint64_t seq = 1, client_seq = 0; seq <= 40 && !solo_suspects(&s); seq++) {
        const struct core_settled settled = {.client = 1, .seq = client_seq};
        struct solo_batch next = solo_batch_make(&s, seq + 1);
        const bool takes = seq % 8 == 0; /* 0.8 T */
        if (seq % 8 == 1) assert_null(solo_request(&s, 1, ++client_seq));
        for (uint32_t id = 0; id < 2; id++)
            assert_null(solo_status(&s, id, seq, NULL));
        for (uint32_t i = 0; i < 2; i++)
            (void)solo_tick(&s, SOLO_TIMEOUT_US / 20);
        run_nearly(&s, seq + 1, &next);
        for (uint32_t id = 0; id < 2; id++)
            assert_null(solo_status(&s, id, seq + 1, NULL));
        assert_null(solo_vote(&s, WIRE_TYPE_commit, 0, seq, &b.digest));
        assert_null(solo_executed(&s, seq, s.wall_ms, takes ? &settled : NULL, takes ? 1 : 0));
        solo_batch_free(&b);
        b = next;
    }
    assert_int_equal(solo_summary(&s).view, 0);
    assert_true(solo_suspects(&s));
    solo_batch_free(&b);
    solo_close(&s);
}

/* The next batch is prepared before the last is durable, and the one before is executed after that. */
static void test_disk_that_is_always_busy_hides_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, true));
    solo_votes(&s, WIRE_TYPE_prepare, 0, 1, &b.digest);
    for (uint64_t seq = 1, client_seq = 0; seq < WINDOW_BATCHES && !solo_suspects(&s); seq++) {
        const struct core_settled settled = {.client = 1, .seq = client_seq};
        struct solo_batch next = solo_batch_make(&s, seq + 1);
        const bool takes = seq % 60 == 0; /* 0.9 T */
        if (seq % 60 == 1) assert_null(solo_request(&s, 1, ++client_seq));
        (void)solo_tick(&s, SOLO_TIMEOUT_US * 9 / 600);
        (void)solo_all_persisted(&s);
        assert_null(solo_propose(&s, seq + 1, &next, true));
        solo_votes(&s, WIRE_TYPE_prepare, 0, seq + 1, &next.digest);
        solo_votes(&s, WIRE_TYPE_commit, 0, seq, &b.digest);
        assert_null(solo_executed(&s, seq, s.wall_ms, takes ? &settled : NULL, takes ? 1 : 0));
        solo_batch_free(&b);
        b = next;
    }
    assert_true(solo_suspects(&s));
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- votes of others ---- */

static const struct waits long_way = {.proposal_us = 3 * STALL_US, .votes_us = 3 * STALL_US, .end_us = 3 * STALL_US};
static const struct waits slow_primary = {.proposal_us = 3 * STALL_US, .end_us = 3 * STALL_US};

/* A long way between the members makes each step of a batch wait. */
static void test_stalls_as_long_as_other_backups_votes_are_the_networks(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    run_unsuspected(&s, 0, 40, &long_way);
    run_until_suspected(&s, 0, 40, &slow_primary); /* the votes come at once, the rest does not */
    solo_close(&s);
}

/* Once in a while the votes have come quickly: so far the network has been no reason for what takes long. */
static void test_quickest_votes_of_late_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    run_unsuspected(&s, 0, 1, &(struct waits){0});
    run_unsuspected(&s, 0, 15, &(struct waits){.votes_us = STALL_US + 5000});
    run_until_suspected(&s, 0, 15, &long_way);
    solo_close(&s);
}

static void test_votes_that_were_quick_long_ago_do_not_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    run_unsuspected(&s, 0, 1, &(struct waits){0});
    run_unsuspected(&s, 0, 31, &(struct waits){.votes_us = STALL_US + 5000});
    run_unsuspected(&s, 0, 20, &long_way);
    solo_close(&s);
}

/* Who is far away has the votes before the proposal: they say nothing. */
static void test_eighth_of_t_is_allowed_while_no_votes_are_waited_for(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    run_unsuspected(&s, 0, 30, &(struct waits){.proposal_us = EIGHTH_US - ALMOST_US, .early = true});
    solo_close(&s);
}

/* However long votes take. */
static void test_no_stall_may_take_more_than_an_eighth_of_t(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    run_until_suspected(&s, 0, 10, &(struct waits){.proposal_us = 3 * EIGHTH_US, .votes_us = 3 * EIGHTH_US});
    solo_close(&s);
}

/* On the primary they are there and back. */
static void test_votes_take_half_as_long_as_a_primary_waits_for_them(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_null(solo_request(&s, 0, 1));
    const struct digest digest = solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 0)).pre_prepare.digest;
    (void)solo_tick(&s, 4 * STALL_US);
    solo_votes(&s, WIRE_TYPE_prepare, 0, 1, &digest);
    (void)solo_all_persisted(&s);
    solo_votes(&s, WIRE_TYPE_commit, 0, 1, &digest);
    const struct core_settled settled = {.client = 0, .seq = 1};
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1));
    enter(&s, 1);
    run_unsuspected(&s, 1, 40, &(struct waits){.proposal_us = 4 * STALL_US - ALMOST_US, .early = true});
    run_until_suspected(&s, 1, 40, &(struct waits){.proposal_us = 7 * STALL_US, .early = true});
    solo_close(&s);
}

/* ---- other primaries ---- */

/* Both wasted much, and then nothing for as long. */
static void test_share_of_others_is_one_of_late(void **state)
{
    const struct waits wasting = {.end_us = 2 * EIGHTH_US};
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    run_unsuspected(&s, 0, 1, &(struct waits){0});
    for (uint64_t view = 0; view < 2; view++) {
        for (uint32_t i = 0; i < 40; i++)
            run_waiting(&s, view, &wasting);
        for (uint32_t i = 0; i < 40; i++)
            run_waiting(&s, view, &(struct waits){.disk_us = 4 * EIGHTH_US});
        enter(&s, view + 1);
        (void)solo_tick(&s, ALMOST_US);
    }
    run_unsuspected(&s, 2, 5, &wasting); /* a sixth, and an eighth */
    run_until_suspected(&s, 2, 2, &wasting);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_that_is_proposed_waits_for_nobody_else),
        cmocka_unit_test(test_request_that_others_have_executed_waits_for_nobody_else),
        cmocka_unit_test(test_more_proposals_than_a_pipeline_holds_are_no_excuse),
        cmocka_unit_test(test_primary_that_keeps_others_behind_is_suspected),
        cmocka_unit_test(test_disk_that_is_always_busy_hides_nothing),
        cmocka_unit_test(test_stalls_as_long_as_other_backups_votes_are_the_networks),
        cmocka_unit_test(test_quickest_votes_of_late_count),
        cmocka_unit_test(test_votes_that_were_quick_long_ago_do_not_count),
        cmocka_unit_test(test_eighth_of_t_is_allowed_while_no_votes_are_waited_for),
        cmocka_unit_test(test_no_stall_may_take_more_than_an_eighth_of_t),
        cmocka_unit_test(test_votes_take_half_as_long_as_a_primary_waits_for_them),
        cmocka_unit_test(test_share_of_others_is_one_of_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
