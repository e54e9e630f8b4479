/* test_core_cluster.c - whole groups: what a batch costs, every small N, catching up, lies from outside, and whether
 * the checker of the fixture sees what it must see. */
#include "tests/fixture/cluster.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void assert_right(struct cluster *c, bool at_rest)
{
    if (cluster_violation(c) != NULL) print_message("%s\n", cluster_violation(c));
    assert_null(cluster_violation(c));
    assert_true(at_rest);
}

static uint64_t protocol_sent(const struct cluster *c)
{
    return cluster_sent(c, WIRE_TYPE_pre_prepare) + cluster_sent(c, WIRE_TYPE_prepare) +
           cluster_sent(c, WIRE_TYPE_commit);
}

static uint64_t protocol_resent(const struct cluster *c)
{
    return cluster_resent(c, WIRE_TYPE_pre_prepare) + cluster_resent(c, WIRE_TYPE_prepare) +
           cluster_resent(c, WIRE_TYPE_commit);
}

/* ---- what a batch costs ---- */

/* Fault-free: exactly 2N(N-1) messages a batch, N-1 PRE-PREPAREs, (N-1)^2 PREPAREs, N(N-1) COMMITs, none of them twice.
 */
static void batches_cost(uint32_t n, uint32_t requests, uint32_t in_flight, uint64_t jitter_us)
{
    struct cluster_options o = cluster_defaults();
    o.replica_count = n;
    o.client_count = 2;
    o.in_flight_max = in_flight;
    o.delay_us_max = o.delay_us_min + jitter_us;
    struct cluster *c = cluster_new(&o);
    cluster_submit(c, 0, requests);
    cluster_submit(c, 1, requests);
    assert_right(c, cluster_settle(c, 30000000));
    const uint64_t batches = cluster_summary(c, 0).executed;
    assert_true(batches > 0);
    cluster_run(c, 3000000); /* heartbeats bring nothing new */
    assert_int_equal(cluster_sent(c, WIRE_TYPE_pre_prepare), batches * (n - 1));
    assert_int_equal(cluster_sent(c, WIRE_TYPE_prepare), batches * (n - 1) * (n - 1));
    assert_int_equal(cluster_sent(c, WIRE_TYPE_commit), batches * n * (n - 1));
    assert_int_equal(protocol_sent(c), batches * 2 * n * (n - 1));
    assert_int_equal(protocol_resent(c), 0);
    assert_int_equal(cluster_resent(c, WIRE_TYPE_request), 0);
    assert_int_equal(cluster_sent(c, WIRE_TYPE_fetch), 0);
    assert_int_equal(cluster_accepted(c), 2 * requests);
    cluster_free(c);
}

static void test_batch_alone_costs_2n_n_minus_1(void **state)
{
    (void)state;
    batches_cost(4, 1, 1, 0);
    batches_cost(7, 1, 1, 0);
    batches_cost(10, 1, 1, 0);
    batches_cost(13, 1, 1, 0);
}

static void test_batches_under_load_cost_2n_n_minus_1(void **state)
{
    (void)state;
    batches_cost(4, 200, 32, 0);
    batches_cost(7, 100, 32, 0);
    batches_cost(10, 60, 32, 0);
    batches_cost(13, 60, 32, 0);
}

static void test_batches_with_reordering_cost_2n_n_minus_1(void **state)
{
    (void)state;
    batches_cost(4, 300, 16, 4000);
    batches_cost(7, 60, 16, 4000);
}

/* ---- every small group ---- */

static void small_group(uint32_t n)
{
    struct cluster_options o = cluster_defaults();
    o.replica_count = n;
    struct cluster *c = cluster_new(&o);
    cluster_submit(c, 0, 300);
    assert_right(c, cluster_settle(c, 30000000));
    for (uint32_t id = 0; id < n; id++)
        assert_int_equal(cluster_summary(c, id).executed, cluster_summary(c, 0).executed);
    cluster_free(c);
}

static void test_group_of_every_small_size_commits(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 8; n++)
        small_group(n);
}

/* f backups down: the rest goes on; one more, and it waits for them. */
static void group_without(uint32_t n)
{
    struct cluster_options o = cluster_defaults();
    const struct quorum q = quorum_of(n);
    o.replica_count = n;
    struct cluster *c = cluster_new(&o);
    const uint32_t spare = n - q.quorum; /* how many may be missing: at least f */
    for (uint32_t k = 0; k < spare; k++)
        cluster_crash(c, n - 1 - k);
    cluster_submit(c, 0, 20);
    assert_right(c, cluster_settle(c, 10000000));
    cluster_stop(c, n - 1 - spare);
    cluster_run(c, 4000000);
    cluster_submit(c, 0, 1);
    assert_false(cluster_settle(c, 3000000));
    assert_null(cluster_violation(c));
    cluster_start(c, n - 1 - spare);
    assert_right(c, cluster_settle(c, 10000000));
    cluster_free(c);
}

static void test_group_commits_with_f_down_and_not_with_more(void **state)
{
    (void)state;
    group_without(2);
    group_without(3);
    group_without(4);
    group_without(5);
    group_without(6);
    group_without(7);
}

/* ---- catching up ---- */

static void far_behind(bool clean)
{
    struct cluster_options o = cluster_defaults();
    o.batch_requests_max = 1;
    o.batch_fill = 1;
    o.loss_permille = 20;
    struct cluster *c = cluster_new(&o);
    cluster_submit(c, 0, 50);
    assert_right(c, cluster_settle(c, 20000000));
    if (clean)
        cluster_stop(c, 2);
    else
        cluster_crash(c, 2);
    cluster_run(c, 4000000);
    cluster_submit(c, 0, 2 * WINDOW_BATCHES + 100);
    assert_right(c, cluster_settle(c, 60000000));
    const uint64_t target = cluster_summary(c, 0).executed;
    assert_true(target > 2 * WINDOW_BATCHES + 100);
    cluster_start(c, 2);
    assert_true(cluster_summary(c, 2).executed <= 50);
    assert_right(c, cluster_settle(c, 30000000));
    assert_int_equal(cluster_summary(c, 2).executed, target);
    assert_true(cluster_durable_stable(c, 2) >= 2 * WINDOW_BATCHES);
    assert_true(cluster_sent(c, WIRE_TYPE_data) > 2 * WINDOW_BATCHES); /* blocks, not votes */
    cluster_free(c);
}

static void test_backup_down_for_more_than_2l_catches_up_by_blocks(void **state)
{
    (void)state;
    far_behind(true);
}

static void test_backup_crashed_for_more_than_2l_catches_up_by_blocks(void **state)
{
    (void)state;
    far_behind(false);
}

/* A backup dies with its window full and nothing stable: without its own checkpoints from before it could never move
 * again. */
static void test_crash_with_the_window_full_goes_on(void **state)
{
    struct cluster_options o = cluster_defaults();
    (void)state;
    o.seed = 4; /* the sync under way is lost */
    o.client_count = 8;
    o.in_flight_max = CLIENT_WINDOW;
    o.batch_requests_max = 1;
    o.batch_fill = 1;
    o.pipeline_max = WINDOW_BATCHES;
    o.execute_us = 10;
    o.sync_us_min = 50000;
    o.sync_us_max = 50000;
    struct cluster *c = cluster_new(&o);
    for (uint32_t client = 0; client < 8; client++)
        cluster_submit(c, client, 100);
    for (uint32_t k = 0; k < 2000 && cluster_durable_block(c, 2) < WINDOW_BATCHES; k++)
        cluster_run(c, 1000);
    assert_int_equal(cluster_durable_block(c, 2), WINDOW_BATCHES);
    assert_int_equal(cluster_durable_stable(c, 2), 0);
    cluster_crash(c, 2);
    cluster_run(c, 1000000);
    assert_int_equal(cluster_durable_stable(c, 2), 0);
    cluster_start(c, 2);
    assert_right(c, cluster_settle(c, 60000000));
    assert_int_equal(cluster_summary(c, 2).executed, 800);
    cluster_free(c);
}

/* Every member in turn is stopped cleanly and started again, under load. */
static void test_rolling_restart_under_load_loses_nothing(void **state)
{
    struct cluster_options o = cluster_defaults();
    (void)state;
    struct cluster *c = cluster_new(&o);
    for (uint32_t id = 0; id < 4; id++) {
        cluster_submit(c, 0, 50);
        cluster_run(c, 20000);
        cluster_stop(c, id);
        cluster_run(c, 4000000);
        assert_false(cluster_is_up(c, id));
        cluster_start(c, id);
        assert_right(c, cluster_settle(c, 20000000));
        assert_int_equal(cluster_summary(c, id).abstain_until, 0);
    }
    assert_int_equal(cluster_accepted(c), 200);
    cluster_free(c);
}

/* ---- from outside ---- */

/* Another group's votes, another epoch's, a stranger's: none is verified, none is counted. */
static void test_foreign_messages_change_nothing(void **state)
{
    struct cluster_options o = cluster_defaults();
    (void)state;
    struct cluster *c = cluster_new(&o);
    const struct group *twin = fixture_group(4, 7);
    cluster_submit(c, 0, 20);
    for (uint64_t seq = 1; seq < 20; seq++) {
        struct wire_commit foreign = {.sender = 2, .seq = seq};
        struct wire_commit old = {.epoch = 1, .sender = 2, .seq = seq};
        struct wire_prepare forged = {.sender = 3, .seq = seq};
        cluster_inject(c, 2, 1, fixture_message(twin, &wire_record_commit, &foreign));
        cluster_inject(c, 2, 1, fixture_message(cluster_group(c), &wire_record_commit, &old));
        cluster_inject(c, 2, 1, wire_encode_blob(&wire_record_prepare, &forged));
        cluster_inject(c, 2, 1, blob_copy(bytes_of_text("no message at all")));
        cluster_run(c, 1000);
    }
    assert_right(c, cluster_settle(c, 10000000));
    cluster_free(c);
}

/* One member's own key signs votes for batches that do not exist, and claims heights that nobody has. */
static void test_lying_member_stalls_nobody(void **state)
{
    struct cluster_options o = cluster_defaults();
    struct digest nothing = {.bytes = {9}};
    (void)state;
    struct cluster *c = cluster_new(&o);
    cluster_crash(c, 3); /* its honest self says nothing any more */
    for (uint64_t k = 0; k < 40; k++) {
        cluster_submit(c, 0, 2);
        for (uint32_t to = 0; to < 3; to++) {
            struct wire_status status = {.sender = 3, .executed = SEQ_MAX};
            struct wire_prepare prepare = {.sender = 3, .seq = k + 1, .digest = nothing};
            struct wire_commit commit = {.sender = 3, .seq = k + 1, .digest = nothing};
            struct wire_checkpoint checkpoint = {.sender = 3, .seq = CHECKPOINT_INTERVAL, .header_hash = nothing};
            cluster_inject(c, 3, to, fixture_message(cluster_group(c), &wire_record_status, &status));
            cluster_inject(c, 3, to, fixture_message(cluster_group(c), &wire_record_prepare, &prepare));
            cluster_inject(c, 3, to, fixture_message(cluster_group(c), &wire_record_commit, &commit));
            cluster_inject(c, 3, to, fixture_message(cluster_group(c), &wire_record_checkpoint, &checkpoint));
        }
        cluster_run(c, 30000);
    }
    assert_right(c, cluster_settle(c, 10000000));
    cluster_free(c);
}

/* The primary's key signs two proposals for one sequence, each to half of the backups: at most one is committed. */
static void test_equivocating_primary_commits_at_most_one(void **state)
{
    struct cluster_options o = cluster_defaults();
    (void)state;
    struct cluster *c = cluster_new(&o);
    const struct group *g = cluster_group(c);
    cluster_run(c, 10000);
    cluster_crash(c, 0);
    assert_null(cluster_corrupt(c, 0, "mute")); /* what is said with its key is no longer its own */
    for (uint64_t seq = 1; seq <= 10; seq++) {
        for (uint32_t to = 1; to < 4; to++) {
            struct wire_pre_prepare m = {.seq = seq};
            struct blob *batch = fixture_batch(CLUSTER_WALL_MS + 1000 + seq * 2 + to % 2, NULL, 0, &m.digest);
            m.batch = blob_bytes(batch);
            cluster_inject(c, 0, to, fixture_message(g, &wire_record_pre_prepare, &m));
            blob_release(batch);
        }
        cluster_run(c, 20000);
    }
    assert_null(cluster_violation(c)); /* agreement, one certificate per (view, sequence), no second vote */
    cluster_free(c);
}

/* ---- does the checker see it? ---- */

static void test_checker_sees_effects_that_do_not_wait(void **state)
{
    struct cluster_options o = cluster_defaults();
    (void)state;
    o.release_early = true;
    struct cluster *c = cluster_new(&o);
    cluster_submit(c, 0, 1);
    (void)cluster_settle(c, 1000000);
    assert_non_null(cluster_violation(c));
    assert_non_null(strstr(cluster_violation(c), "COMMIT 1 leaves before its certificate is durable"));
    cluster_free(c);
}

static void test_checker_sees_waiting_effects_out_of_order(void **state)
{
    struct cluster_options o = cluster_defaults();
    (void)state;
    o.release_backwards = true;
    o.batch_fill = 1;
    o.sync_us_min = 5000;
    o.sync_us_max = 5000;
    struct cluster *c = cluster_new(&o);
    cluster_submit(c, 0, 60);
    (void)cluster_settle(c, 2000000);
    assert_non_null(cluster_violation(c));
    assert_non_null(strstr(cluster_violation(c), "effects that waited leave out of order"));
    cluster_free(c);
}

/* Nothing of what may take time after the faults is broken here: the links are cut, and nobody has told the checker. */
static void test_checker_sees_a_request_that_is_late(void **state)
{
    (void)state;
    struct cluster_options o = cluster_defaults();
    struct cluster *c = cluster_new(&o);
    cluster_calm(c);
    cluster_run(c, 1000000); /* who has just started hears the others first */
    cluster_submit(c, 0, 5);
    assert_true(cluster_settle(c, 5000000));
    assert_int_equal(cluster_bounded(c), 5);
    cluster_cut(c, 0, 1, true);
    cluster_cut(c, 0, 2, true);
    cluster_submit(c, 0, 1);
    cluster_run(c, 900000); /* before the primary is left for being idle */
    cluster_cut(c, 3, 1, true);
    cluster_cut(c, 3, 2, true);
    cluster_run(c, 1000000); /* T = 2 s */
    assert_null(cluster_violation(c));
    cluster_run(c, 4000000);
    assert_non_null(cluster_violation(c));
    assert_int_equal(cluster_broken(c), INVARIANT_LIVENESS);
    cluster_free(c);
}

static void test_checker_names_seed_and_time(void **state)
{
    struct cluster_options o = cluster_defaults();
    (void)state;
    o.release_early = true;
    o.seed = 4711;
    struct cluster *c = cluster_new(&o);
    cluster_submit(c, 0, 1);
    (void)cluster_settle(c, 1000000);
    assert_non_null(cluster_violation(c));
    assert_non_null(strstr(cluster_violation(c), "seed 4711, "));
    cluster_free(c);
}

/* ---- a retry that refers to a block below a transferred state ---- */

/* Blocks below the one that holds what the client asks for again: more than an emptied replica fetches to execute them, and
 * nearly up to a checkpoint, since this network brings the blocks of one answer in any order. */
#define BELOW 508u
#define LAST 1300u

/* Client 1 has heard nobody's answer. It is in a block of the gap of replica 3, which is one of the two that the client
 * hears in the end. */
static void test_retry_of_what_stands_in_the_gap_is_answered_before_the_gap_is_filled(void **state)
{
    struct cluster_options o = cluster_defaults();
    struct buffer trace = {0};
    (void)state;
    o.client_count = 2;
    o.batch_requests_max = 1;
    o.batch_fill = 1;
    o.client_retry_us = 20000;
    o.transfer_after = 2 * CHECKPOINT_INTERVAL;
    o.image_every = 97;
    struct cluster *c = cluster_new(&o);
    cluster_submit(c, 0, BELOW);
    assert_right(c, cluster_settle(c, 20000000));
    cluster_deafen(c, 1, 0xf);
    cluster_submit(c, 1, 1);
    cluster_run(c, 1000000);
    cluster_submit(c, 0, LAST - BELOW);
    for (uint32_t i = 0; i < 1000 && cluster_summary(c, 0).executed < LAST; i++)
        cluster_run(c, 100000);
    assert_int_equal(cluster_accepted(c) + 1, cluster_submitted(c));
    cluster_crash(c, 3);
    cluster_wipe(c, 3);
    cluster_start(c, 3);
    cluster_trace_to(c, &trace);
    for (uint32_t i = 0; i < 6000 && (!cluster_is_up(c, 3) || cluster_summary(c, 3).gap_low == 0); i++)
        cluster_run(c, 5000);
    assert_int_equal(cluster_transfers(c, 3), 1);
    assert_in_range(cluster_summary(c, 3).gap_low, 1, BELOW);
    cluster_deafen(c, 1, 0x6);
    for (uint32_t i = 0; i < 500 && cluster_accepted(c) < cluster_submitted(c); i++)
        cluster_run(c, 10000);
    assert_int_equal(cluster_accepted(c), cluster_submitted(c));
    assert_true(cluster_summary(c, 3).gap_high > BELOW + 2 * CHECKPOINT_INTERVAL); /* nowhere near */
    buffer_append(&trace, "", 1);
    assert_non_null(strstr((const char *)trace.data, "MISSING block"));
    cluster_trace_to(c, NULL);
    assert_right(c, cluster_settle(c, 20000000));
    for (uint32_t i = 0; i < 400 && cluster_summary(c, 3).gap_high != 0; i++)
        cluster_run(c, 1000000);
    assert_int_equal(cluster_missing_blocks(c, 3), 0);
    assert_right(c, true);
    buffer_free(&trace);
    cluster_free(c);
}

/* ---- the same run again ---- */

static struct digest run_once(uint64_t seed)
{
    struct cluster_options o = cluster_defaults();
    o.seed = seed;
    o.delay_us_max = 3000;
    o.loss_permille = 50;
    struct cluster *c = cluster_new(&o);
    cluster_submit(c, 0, 100);
    assert_right(c, cluster_settle(c, 20000000));
    const struct digest out = cluster_trace_hash(c);
    cluster_free(c);
    return out;
}

static void test_same_seed_same_trace(void **state)
{
    (void)state;
    const struct digest a = run_once(5);
    const struct digest b = run_once(5);
    const struct digest other = run_once(6);
    assert_true(digest_equal(&a, &b));
    assert_false(digest_equal(&a, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_alone_costs_2n_n_minus_1),
        cmocka_unit_test(test_batches_under_load_cost_2n_n_minus_1),
        cmocka_unit_test(test_batches_with_reordering_cost_2n_n_minus_1),
        cmocka_unit_test(test_group_of_every_small_size_commits),
        cmocka_unit_test(test_group_commits_with_f_down_and_not_with_more),
        cmocka_unit_test(test_backup_down_for_more_than_2l_catches_up_by_blocks),
        cmocka_unit_test(test_backup_crashed_for_more_than_2l_catches_up_by_blocks),
        cmocka_unit_test(test_crash_with_the_window_full_goes_on),
        cmocka_unit_test(test_rolling_restart_under_load_loses_nothing),
        cmocka_unit_test(test_foreign_messages_change_nothing),
        cmocka_unit_test(test_lying_member_stalls_nobody),
        cmocka_unit_test(test_equivocating_primary_commits_at_most_one),
        cmocka_unit_test(test_checker_sees_effects_that_do_not_wait),
        cmocka_unit_test(test_checker_sees_waiting_effects_out_of_order),
        cmocka_unit_test(test_checker_sees_a_request_that_is_late),
        cmocka_unit_test(test_checker_names_seed_and_time),
        cmocka_unit_test(test_retry_of_what_stands_in_the_gap_is_answered_before_the_gap_is_filled),
        cmocka_unit_test(test_same_seed_same_trace),
    };
    return cmocka_run_group_tests_name("core_cluster", tests, NULL, NULL);
}
