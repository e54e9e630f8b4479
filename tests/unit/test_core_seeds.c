/* test_core_seeds.c - seeded runs with loss, duplicates, reordering, partitions, crashes and clean stops: every
 * invariant of cluster_check.c at every step, and liveness after the heal. More seeds: trace_tool seeds FIRST COUNT, and
 * pbft-sim swarm, with members that misbehave. */
#include "tests/fixture/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS_OF_A_TEST 25u

static void run_seed(uint64_t seed, struct faults_result *sum)
{
    struct faults_result r;
    faults_run(seed, &r, NULL);
    if (r.failure[0] != '\0') print_message("%s\n", r.failure);
    assert_string_equal(r.failure, "");
    sum->executed += r.executed;
    sum->crashes += r.crashes;
    sum->stops += r.stops;
    sum->resent += r.resent;
}

static void run_seeds(uint64_t first)
{
    struct faults_result sum = {0};
    for (uint64_t seed = first; seed < first + SEEDS_OF_A_TEST; seed++)
        run_seed(seed, &sum);
    assert_true(sum.executed > 1000); /* the faults did not keep it from working ... */
    assert_true(sum.crashes > 5);     /* ... and were there */
    assert_true(sum.stops > 2);
    assert_true(sum.resent > 1000);
}

static void test_seeds_1_to_25_hold(void **state)
{
    (void)state;
    run_seeds(1);
}

static void test_seeds_26_to_50_hold(void **state)
{
    (void)state;
    run_seeds(26);
}

/* A primary stopped cleanly before its start was durable lost the mark of its clean stop, and abstained for ever. */
static void test_seed_1143_primary_stopped_in_its_first_sync_goes_on(void **state)
{
    struct faults_result sum = {0};
    (void)state;
    run_seed(1143, &sum);
}

/* A clean stop kept a vote for a batch that had come as a block, without the primary's signature. */
static void test_seed_144_clean_stop_after_fetched_blocks_recovers(void **state)
{
    struct faults_result sum = {0};
    (void)state;
    run_seed(144, &sum);
}

/* Views began and timed out before slow disks let anything execute, 29 of them: T did not grow, since none had failed
 * to begin. */
static void test_seed_654_views_without_execution_get_longer(void **state)
{
    struct faults_result sum = {0};
    (void)state;
    run_seed(654, &sum);
}

/* A replica that had lost its disk left a view that it had left before, with another VIEW-CHANGE. */
static void test_seed_1198_a_view_change_outlasts_a_lost_disk(void **state)
{
    struct faults_result sum = {0};
    (void)state;
    run_seed(1198, &sum);
}

/* Two waited for the NEW-VIEW of a primary that had left its view; the fourth was fenced. No timer ran. */
static void test_seed_1559_a_primary_that_left_its_view_is_not_waited_for(void **state)
{
    struct faults_result sum = {0};
    (void)state;
    run_seed(1559, &sum);
}

static void test_seed_twice_same_trace(void **state)
{
    struct faults_result a;
    struct faults_result b;
    (void)state;
    faults_run(4, &a, NULL);
    faults_run(4, &b, NULL);
    assert_true(digest_equal(&a.trace_hash, &b.trace_hash));
    faults_run(5, &b, NULL);
    assert_false(digest_equal(&a.trace_hash, &b.trace_hash));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds_1_to_25_hold),
        cmocka_unit_test(test_seeds_26_to_50_hold),
        cmocka_unit_test(test_seed_1143_primary_stopped_in_its_first_sync_goes_on),
        cmocka_unit_test(test_seed_144_clean_stop_after_fetched_blocks_recovers),
        cmocka_unit_test(test_seed_654_views_without_execution_get_longer),
        cmocka_unit_test(test_seed_1198_a_view_change_outlasts_a_lost_disk),
        cmocka_unit_test(test_seed_1559_a_primary_that_left_its_view_is_not_waited_for),
        cmocka_unit_test(test_seed_twice_same_trace),
    };
    return cmocka_run_group_tests_name("core_seeds", tests, NULL, NULL);
}
