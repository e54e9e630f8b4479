/* test_core_batch.c - when and what a primary proposes, fairness between clients, and the agreed batch time. One core
 * driven by hand, N = 4. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what a primary proposes ---- */

static uint32_t proposed_requests(const struct solo *s, uint32_t k, struct wire_batch *batch)
{
    const struct wire_message m = solo_message(solo_send(s, WIRE_TYPE_pre_prepare, k));
    assert_null(wire_decode_record(&wire_record_batch, m.pre_prepare.batch, batch));
    return batch->requests.count;
}

static void test_primary_idle_proposes_at_once(void **state)
{
    struct solo s;
    struct wire_batch batch;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_null(solo_request(&s, 0, 1));
    const struct core_effect *e = solo_send(&s, WIRE_TYPE_pre_prepare, 0);
    assert_non_null(e);
    assert_int_equal(e->send.to, CORE_TO_ALL);
    assert_int_equal(e->after, 0);
    const struct wire_message m = solo_message(e);
    assert_int_equal(m.pre_prepare.seq, 1);
    assert_int_equal(proposed_requests(&s, 0, &batch), 1);
    assert_int_equal(batch.time_ms, s.wall_ms);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0); /* rule 18 */
    assert_null(solo_verify(&s, blob_retain(e->send.bytes)));
    solo_close(&s);
}

static void test_primary_not_active_proposes_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 0);
    solo_start(&s, NULL);
    assert_null(solo_request(&s, 0, 1));
    assert_int_equal(s.effects->count, 0); /* design.md 7.1 */
    assert_null(solo_all_persisted(&s));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 1);
    solo_close(&s);
}

static void test_primary_busy_waits_for_fill_or_delay(void **state)
{
    struct solo s;
    struct wire_batch batch;
    (void)state;
    solo_ready(&s, 4, 0);
    (void)solo_request(&s, 0, 1);
    for (uint64_t seq = 2; seq <= 4; seq++) {
        (void)solo_request(&s, 0, seq);
        assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    }
    (void)solo_request(&s, 0, 5); /* four are held: fill */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 1);
    assert_int_equal(proposed_requests(&s, 0, &batch), 4);
    (void)solo_request(&s, 0, 6);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    (void)solo_tick(&s, 1999);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    (void)solo_tick(&s, 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 1);
    solo_close(&s);
}

static void test_primary_keeps_to_its_pipeline(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 0);
    s.config.pipeline_max = 2;
    s.config.batch_fill = 1;
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    (void)solo_request(&s, 0, 1);
    (void)solo_request(&s, 0, 2);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 1);
    (void)solo_request(&s, 0, 3);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    assert_int_equal(core_summary(s.core).proposed, 2);
    solo_close(&s);
}

static void test_primary_fills_a_batch_to_its_limit(void **state)
{
    struct solo s;
    struct wire_batch batch;
    (void)state;
    solo_open(&s, 4, 0);
    s.config.batch_fill = 20;
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    for (uint64_t seq = 1; seq <= 20; seq++)
        (void)solo_request(&s, 0, seq); /* one, then nineteen are held */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    (void)solo_request(&s, 0, 21);
    /* twenty: a full batch of eight; what is left has not waited */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 1);
    assert_int_equal(proposed_requests(&s, 0, &batch), 8);
    (void)solo_tick(&s, 2000);
    assert_int_equal(proposed_requests(&s, 0, &batch), 8);
    solo_close(&s);
}

/* Requests of one client arrive before those of others: every client still has one in each turn. */
static void test_primary_serves_clients_in_turn(void **state)
{
    struct solo s;
    struct wire_batch batch;
    (void)state;
    solo_open(&s, 4, 0);
    s.config.batch_fill = 12;
    s.config.batch_requests_max = 6;
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    (void)solo_request(&s, 3, 1); /* under way: from here on they gather */
    for (uint64_t seq = 1; seq <= 9; seq++)
        (void)solo_request(&s, 0, 10 - seq); /* out of order too */
    for (uint64_t seq = 1; seq <= 2; seq++)
        (void)solo_request(&s, 1, seq);
    (void)solo_request(&s, 2, 1);
    assert_int_equal(proposed_requests(&s, 0, &batch), 6);
    const uint32_t clients[] = {0, 1, 2, 0, 1, 0};
    const uint64_t seqs[] = {1, 1, 1, 2, 2, 3};
    struct wire_iterator i = wire_list_start(batch.requests);
    struct bytes raw;
    for (uint32_t k = 0; wire_list_next_bytes(&i, &raw); k++) {
        struct wire_message m;
        assert_null(wire_decode(raw, &m));
        assert_int_equal(group_client_by_key(s.group, &m.request.client), clients[k]);
        assert_int_equal(m.request.seq, seqs[k]);
    }
    solo_close(&s);
}

static void test_primary_stops_at_the_high_watermark(void **state)
{
    struct solo s;
    struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_recovered r = {
        .clean = true, .executed = WINDOW_BATCHES, .executed_time_ms = SOLO_WALL_MS, .windows = windows};
    (void)state;
    solo_open(&s, 4, 0);
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    (void)solo_request(&s, 0, 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    (void)solo_tick(&s, 10000);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    solo_close(&s);
}

static void test_primary_draining_proposes_nothing_new(void **state)
{
    struct solo s;
    const struct core_event drain = {.type = CORE_EVENT_DRAIN};
    (void)state;
    solo_ready(&s, 4, 0);
    (void)solo_request(&s, 0, 1);
    (void)solo_request(&s, 0, 2);
    assert_null(solo_step(&s, &drain));
    (void)solo_tick(&s, 5000);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    solo_close(&s);
}

static void test_primary_proposes_what_has_become_possible(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = 0, .seq = 1};
    (void)state;
    solo_ready(&s, 1, 0);
    (void)solo_request(&s, 0, CLIENT_WINDOW + 1); /* a window ahead: held */
    (void)solo_request(&s, 0, 1);
    (void)solo_all_persisted(&s);
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1)); /* the window has moved by one */
    const struct core_effect *e = solo_send(&s, WIRE_TYPE_pre_prepare, 0);
    assert_non_null(e);
    solo_close(&s);
}

/* More operations than one block takes: the batch ends before them. */
static void test_primary_keeps_operations_of_a_batch_within_the_limit(void **state)
{
    struct solo s;
    struct wire_batch batch;
    uint8_t *space = mem_alloc(OPS_MAX * 8u);
    (void)state;
    solo_open(&s, 4, 0);
    s.group = fixture_group(4, 64);
    s.wire = fixture_wire_group(s.group);
    s.config.group = s.wire;
    s.config.client_count = 64;
    s.config.batch_requests_max = 1000;
    s.config.batch_fill = 1000;
    struct core_client_window *windows = mem_zero(64, sizeof *windows);
    const struct core_recovered r = {.clean = true, .windows = windows};
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    for (uint32_t k = 0; k < 80; k++) {
        struct writer w = writer_of(space, OPS_MAX * 8u);
        const struct wire_operation op = {.app = 1, .verb = 1};
        struct wire_request q = {
            .client = s.group->clients[k % 64].key, .seq = k / 64 + 1, .expiry_ms = s.wall_ms + 1000};
        for (uint32_t i = 0; i < OPS_MAX; i++)
            wire_list_add(&q.ops, &w, &wire_record_operation, &op);
        const struct digest statement = wire_record_signing_digest(&s.group->id, &wire_record_request, &q);
        q.signature = fixture_signature(&q.client, &statement);
        assert_null(solo_receive_bytes(&s, UINT32_MAX, wire_encode_blob(&wire_record_request, &q)));
    }
    (void)solo_tick(&s, 5000);
    const struct wire_message m = solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 0));
    const uint32_t count = proposed_requests(&s, 0, &batch);
    struct batch_view view;
    assert_null(batch_open(&s.wire, fixture_checker(), m.pre_prepare.batch, &view));
    assert_true(view.valid);
    assert_true(count * OPS_MAX <= BLOCK_OPS_MAX);
    assert_true(count > 50);
    free(windows);
    free(space);
    solo_close(&s);
}

/* ---- batch time (design.md section 6) ---- */

static bool prepares(struct solo *s, uint64_t seq, uint64_t time_ms)
{
    struct solo_batch b = solo_batch_at(s, seq, time_ms);
    assert_null(solo_propose(s, seq, &b, true));
    solo_batch_free(&b);
    return solo_sent(s, WIRE_TYPE_prepare) == 1;
}

static void test_time_edges_of_drift(void **state)
{
    static const struct {
        int64_t ahead_ms;
        bool prepared;
    } cases[] = {{-(int64_t)SOLO_DRIFT_MS - 1, false},
                 {-(int64_t)SOLO_DRIFT_MS, true},
                 {0, true},
                 {SOLO_DRIFT_MS, true},
                 {SOLO_DRIFT_MS + 1, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct solo s;
        solo_ready(&s, 4, 1);
        assert_int_equal(prepares(&s, 1, (uint64_t)((int64_t)s.wall_ms + cases[i].ahead_ms)), cases[i].prepared);
        solo_close(&s);
    }
}

static void test_time_before_the_previous_not_prepared(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_true(prepares(&s, 1, s.wall_ms + 100));
    assert_false(prepares(&s, 2, s.wall_ms + 99));
    assert_true(prepares(&s, 3, s.wall_ms + 99)); /* equal to its predecessor's */
    solo_close(&s);
}

static void test_time_too_far_ahead_judged_again_on_tick(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_false(prepares(&s, 1, s.wall_ms + SOLO_DRIFT_MS + 50));
    (void)solo_tick(&s, 49000);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    (void)solo_tick(&s, 1000);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    solo_close(&s);
}

static void test_time_of_previous_may_carry_beyond_the_drift(void **state)
{
    struct solo s;
    struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_recovered r = {
        .clean = true, .executed = 7, .executed_time_ms = SOLO_WALL_MS + SOLO_DRIFT_MS + 70, .windows = windows};
    (void)state;
    solo_open(&s, 4, 1);
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    assert_true(prepares(&s, 8, s.wall_ms + SOLO_DRIFT_MS + 70)); /* t <= max(previous, clock + drift) */
    assert_false(prepares(&s, 9, s.wall_ms + SOLO_DRIFT_MS + 71));
    solo_close(&s);
}

static void test_time_without_predecessor_judged_when_it_comes(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_false(prepares(&s, 2, s.wall_ms));
    struct solo_batch first = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &first, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 2);
    solo_batch_free(&first);
    solo_close(&s);
}

/* Neither is prepared: else a view change could drop the first, and carry over the second with a time that nobody agreed to. */
static void test_time_of_a_previous_that_was_not_voted_for_does_not_count(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_false(prepares(&s, 1, s.wall_ms + SOLO_DRIFT_MS + 1));
    assert_false(prepares(&s, 2, s.wall_ms + SOLO_DRIFT_MS + 1));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    (void)solo_tick(&s, 1000); /* now they are within the drift */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 2);
    solo_close(&s);
}

static void test_time_of_primary_never_falls(void **state)
{
    struct solo s;
    struct wire_batch batch;
    (void)state;
    solo_open(&s, 4, 0);
    s.config.batch_fill = 1;
    solo_start(&s, NULL);
    (void)solo_all_persisted(&s);
    (void)solo_request(&s, 0, 1);
    s.wall_ms -= 500; /* the clock is set back */
    (void)solo_tick(&s, 0);
    (void)solo_request(&s, 0, 2);
    (void)proposed_requests(&s, 0, &batch);
    assert_int_equal(batch.time_ms, s.wall_ms + 500);
    solo_close(&s);
}

/* ---- what stands in the way of the next proposal ---- */

/* A request waits for a fuller batch; meanwhile it is settled: by another request of its client, in a batch of another.
 */
static void test_primary_whose_requests_were_settled_meanwhile_proposes_nothing(void **state)
{
    const struct core_settled settled[] = {{.client = 0, .seq = 1}, {.client = 2, .seq = 1}};
    struct solo s;
    (void)state;
    for (uint32_t count = 1; count <= 2; count++) {
        solo_ready(&s, 4, 0);
        (void)solo_request(&s, 0, 1);
        const struct digest first = solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 0)).pre_prepare.digest;
        (void)solo_request(&s, 1, 1);
        (void)solo_tick(&s, 5000);
        assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 1); /* two are under way */
        (void)solo_request(&s, 2, 1);
        for (uint32_t id = 1; id <= 2; id++)
            assert_null(solo_vote(&s, WIRE_TYPE_prepare, id, 1, &first));
        (void)solo_all_persisted(&s);
        for (uint32_t id = 1; id <= 2; id++)
            assert_null(solo_vote(&s, WIRE_TYPE_commit, id, 1, &first));
        assert_null(solo_executed(&s, 1, s.wall_ms, settled, count));
        (void)solo_tick(&s, 5000);
        assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), count == 1);
        (void)solo_request(&s, 2, 2);
        (void)solo_tick(&s, 5000);
        assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 0)).pre_prepare.seq, count == 1 ? 4 : 3);
        solo_close(&s);
    }
}

/* Block 2 came from others, ahead of 1: the place is taken, and the one above it is next. */
static void test_primary_passes_over_what_is_decided(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    struct solo_batch b = solo_batch_make(&s, 5);
    assert_null(solo_block(&s, 2, 2, &b, NULL));
    for (uint64_t k = 1; k <= 2; k++) {
        (void)solo_request(&s, (uint32_t)k, 1);
        (void)solo_tick(&s, 5000);
    }
    assert_int_equal(core_summary(s.core).proposed, 3);
    assert_int_equal(core_proposed_us(s.core, 2), 0);
    assert_true(core_proposed_us(s.core, 3) > 0);
    solo_batch_free(&b);
    solo_close(&s);
}

/* The last block came from others, and its time is ahead of this clock: its own slot holds no batch to look at. */
static void test_time_of_primary_is_not_before_a_block_that_it_fetched(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    const uint64_t ahead = s.wall_ms + 3000;
    struct solo_batch b = solo_batch_at(&s, 5, ahead);
    assert_null(solo_block(&s, 2, 1, &b, NULL));
    assert_null(solo_executed(&s, 1, ahead, NULL, 0));
    (void)solo_request(&s, 0, 1);
    const struct wire_pre_prepare m = solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 0)).pre_prepare;
    struct wire_batch batch;
    assert_int_equal(m.seq, 2);
    assert_null(wire_decode_record(&wire_record_batch, m.batch, &batch));
    assert_true(batch.time_ms == ahead);
    solo_batch_free(&b);
    solo_close(&s);
}

/* A null batch has no time of its own: that of the block counts, which is the one before it. */
static void test_time_of_primary_after_a_null_batch_is_not_before_the_last_block(void **state)
{
    struct solo s;
    struct wire_batch batch;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch null = {.time_ms = 0};
    null.bytes = fixture_batch(0, NULL, 0, &null.digest);
    const struct solo_claim claim = {1, 0, &null};
    const uint64_t ahead = s.wall_ms + 3000;
    assert_null(solo_receive_bytes(&s, 0, solo_view_change_make(&s, 0, 1, &claim, 1, NULL)));
    assert_null(solo_receive_bytes(&s, 3, solo_view_change_make(&s, 3, 1, &claim, 1, NULL)));
    (void)solo_all_persisted(&s);
    assert_false(core_summary(s.core).changing);
    for (uint32_t id = 0; id < 4; id += 3)
        assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 1, id, 1, &null.digest));
    (void)solo_all_persisted(&s);
    for (uint32_t id = 0; id < 4; id += 3)
        assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 1, id, 1, &null.digest));
    assert_null(solo_executed(&s, 1, ahead, NULL, 0));
    (void)solo_request(&s, 0, 1);
    const struct wire_pre_prepare m = solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 0)).pre_prepare;
    assert_int_equal(m.seq, 2);
    assert_null(wire_decode_record(&wire_record_batch, m.batch, &batch));
    assert_true(batch.time_ms == ahead);
    solo_batch_free(&null);
    solo_close(&s);
}

/* There is no view above the last one that it could leave for: it stays, and abstains all the same (design.md 7.5). */
static void test_unclean_primary_of_the_last_view_proposes_nothing(void **state)
{
    struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    struct core_recovered r = {.view = VIEW_MAX, .windows = windows};
    struct solo s;
    (void)state;
    for (uint32_t clean = 0; clean < 2; clean++) {
        solo_open(&s, 4, VIEW_MAX % 4);
        r.clean = clean == 1;
        solo_start(&s, &r);
        (void)solo_all_persisted(&s);
        (void)solo_request(&s, 0, 1);
        assert_true(core_summary(s.core).view == VIEW_MAX);
        assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), clean);
        solo_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_primary_idle_proposes_at_once),
        cmocka_unit_test(test_primary_not_active_proposes_nothing),
        cmocka_unit_test(test_primary_busy_waits_for_fill_or_delay),
        cmocka_unit_test(test_primary_keeps_to_its_pipeline),
        cmocka_unit_test(test_primary_fills_a_batch_to_its_limit),
        cmocka_unit_test(test_primary_serves_clients_in_turn),
        cmocka_unit_test(test_primary_stops_at_the_high_watermark),
        cmocka_unit_test(test_primary_draining_proposes_nothing_new),
        cmocka_unit_test(test_primary_proposes_what_has_become_possible),
        cmocka_unit_test(test_primary_keeps_operations_of_a_batch_within_the_limit),
        cmocka_unit_test(test_time_edges_of_drift),
        cmocka_unit_test(test_time_before_the_previous_not_prepared),
        cmocka_unit_test(test_time_too_far_ahead_judged_again_on_tick),
        cmocka_unit_test(test_time_of_previous_may_carry_beyond_the_drift),
        cmocka_unit_test(test_time_without_predecessor_judged_when_it_comes),
        cmocka_unit_test(test_time_of_a_previous_that_was_not_voted_for_does_not_count),
        cmocka_unit_test(test_time_of_primary_never_falls),
        cmocka_unit_test(test_primary_whose_requests_were_settled_meanwhile_proposes_nothing),
        cmocka_unit_test(test_primary_passes_over_what_is_decided),
        cmocka_unit_test(test_time_of_primary_is_not_before_a_block_that_it_fetched),
        cmocka_unit_test(test_time_of_primary_after_a_null_batch_is_not_before_the_last_block),
        cmocka_unit_test(test_unclean_primary_of_the_last_view_proposes_nothing),
    };
    return cmocka_run_group_tests_name("core_batch", tests, NULL, NULL);
}
