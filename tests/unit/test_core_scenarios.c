/* test_core_scenarios.c - every file of tests/scenarios/ as a test of that name; and the reader's own refusals. */
#include "tests/fixture/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Writes a scenario, runs it, removes it. */
static struct err run_text(const char *text)
{
    char path[] = "/tmp/scenario-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    const struct err e = scenario_run(path, NULL);
    (void)unlink(path);
    return e;
}

static void test_scenario_unreadable_refused(void **state)
{
    (void)state;
    const struct err e = scenario_run("/nonexistent/scenario.txt", NULL);
    assert_int_equal(e.code, ERR_USAGE);
}

static void test_scenario_wrong_text_refused_with_its_line(void **state)
{
    static const char *const texts[] = {
        "nonsense 1\n",
        "replicas\n",
        "replicas x\n",
        "replicas 17\nat 0 heal\n",
        "at\n",
        "at 0\n",
        "at x heal\n",
        "at 0 explode 1\n",
        "at 0 crash 4\n",
        "at 0 submit 1 1\n",
        "at 0 submit 0\n",
        "at 0 start 0\n",
        "at 0 expect\n",
        "at 0 expect beauty 0 1\n",
        "at 0 expect executed 9 1\n",
        "at 0 expect beauty all 1\n",
        "at 0 expect sent PREPREPARE 0\n",
        "at 0 expect resent 0 0\n",
        "at 0 partition 0x\n",
        "at 0 skew 0\n",
        "at 0 skew 0 fast\n",
        "at 0 cut 0\n",
        "at 0 freeze 0\n",
        "at 0 pause 0 x\n",
        "at 0 syncs 4 1\n",
        "at 0 fail-sync 0\n",
        "at 0 full 4\n",
        "at 0 twin 0 x\n",
        "at 0 rot 0 vote\n",
        "at 0 crash 0\nat 1 rot 0 mood\n",
        "at 0 loss\n",
        "at 0 settle\n",
        "at 0 settle 10 with 1\n",
        "at 10 heal\nat 5 heal\n",
        "at 0 heal\nseed 1\n",
        "seed 99999999999999999999999\n",
        "at 0 skew 1 281474976710656\n",
        "at 0 skew 1 9223372036854775807\n",
        "at 0 load 1 2305843009213693952 100\n",
        "at 0 submit 0 4294967296\n",
        "at 0 loss 5000\n",
        "at 0 pause 1 18446744073709551615\n",
        "at 0 settle 18446744073709551615\n",
        "at 0 crash 3 garbage\n",
        "at 0 heal now\n",
        "at 0 partition 01 12\n",
        "at 0 partition 0 9\n",
        "at 0 partition 0 1 2 3 4 5 6 7 8 9 a b c d e f 0 1 2 3 4 5 6 7 8\n",
        "at 0 twin 0 f\n",
        "at 0 dead 4\n",
        "at 0 dead 3 garbage\n",
        "corrupt_permille 1001\nat 0 heal\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct err e = run_text(texts[i]);
        if (e.code != ERR_USAGE) print_message("text %zu: %s\n", i, texts[i]);
        assert_int_equal(e.code, ERR_USAGE);
    }
}

static void test_scenario_expectation_not_met_is_negative(void **state)
{
    static const char *const texts[] = {
        "at 0 submit 0 1\nat 0 expect accepted 1\n",
        "at 0 submit 0 1\nat 100 expect executed all 2\n",
        "at 0 submit 0 1\nat 100 expect executed 3 0\n",
        "at 0 submit 0 1\nat 100 expect busy x 1\n",
        "at 0 partition\nat 0 submit 0 1\nat 0 settle 100\n",
        "release_early 1\n", /* no option of scenarios: refused below as wrong text */
    };
    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(run_text(texts[i]).code, ERR_NEGATIVE);
    assert_int_equal(run_text(texts[5]).code, ERR_USAGE);
}

static void test_scenario_comments_and_blank_lines_skipped(void **state)
{
    (void)state;
    assert_int_equal(run_text("# nothing\n\n   \nseed 3 # three\nat 0 loss 0 # none\nat 1 skew 0 -5\n").code, ERR_NONE);
}

static void check_file(void **state)
{
    const struct err e = scenario_check(*state);
    if (err_is(&e)) print_message("%s\n", e.text);
    assert_false(err_is(&e));
}

#define SCENARIO(name)                                                                                                 \
    {                                                                                                                  \
        "test_scenario_" #name, check_file, NULL, NULL, (void *)"tests/scenarios/" #name ".txt"                        \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenario_unreadable_refused),
        cmocka_unit_test(test_scenario_wrong_text_refused_with_its_line),
        cmocka_unit_test(test_scenario_expectation_not_met_is_negative),
        cmocka_unit_test(test_scenario_comments_and_blank_lines_skipped),
        SCENARIO(all_crashed_at_once),
        SCENARIO(all_stopped_and_started),
        SCENARIO(backup_clean_stop),
        SCENARIO(backup_crash),
        SCENARIO(backup_cut_off),
        SCENARIO(bits_changed_on_their_way),
        SCENARIO(dead_for_ever),
        SCENARIO(each_half_has_its_accomplices),
        SCENARIO(hours_old_messages),
        SCENARIO(pause_within_a_pause),
        SCENARIO(batches_dated_in_another_day),
        SCENARIO(batching_under_load),
        SCENARIO(checkpoint_moves_the_window),
        SCENARIO(clients_served_in_turn),
        SCENARIO(clients_share_keys),
        SCENARIO(clients_that_misbehave),
        SCENARIO(clock_off),
        SCENARIO(custody_of_what_no_other_has),
        SCENARIO(cut_for_longer_than_the_drift),
        SCENARIO(expired_requests),
        SCENARIO(far_behind),
        SCENARIO(far_behind_after_crash),
        SCENARIO(far_behind_takes_the_state),
        SCENARIO(emptied_under_load_takes_the_state),
        SCENARIO(five_and_one_down),
        SCENARIO(five_primary_crashes),
        SCENARIO(group_of_one),
        SCENARIO(idle_between_batches),
        SCENARIO(killed_after_its_votes_were_kept),
        SCENARIO(loss_of_a_third),
        SCENARIO(one_crashes),
        SCENARIO(one_transaction),
        SCENARIO(one_way_link),
        SCENARIO(oversize_of_huge_requests),
        SCENARIO(prepares_lost_then_all_stopped),
        SCENARIO(primary_and_the_next_dead),
        SCENARIO(primary_clean_stop),
        SCENARIO(primary_crash),
        SCENARIO(primary_cut_off_for_ever),
        SCENARIO(primary_not_heard),
        SCENARIO(reads_behind_reads_on_a_full_disk),
        SCENARIO(reads_on_a_full_disk),
        SCENARIO(rot_in_a_batch_that_fences),
        SCENARIO(stop_ends_within_a_tick),
        SCENARIO(stop_ends_a_pause),
        SCENARIO(reads_of_what_is_committed),
        SCENARIO(request_twice_in_a_batch),
        SCENARIO(rolling_clean_restart),
        SCENARIO(six_primary_crashes),
        SCENARIO(seed_424_time_over_a_mere_proposal),
        SCENARIO(slow_disks),
        SCENARIO(slow_sync_outlasts_the_faults),
        SCENARIO(stalled_and_healed),
        SCENARIO(stopped_in_its_first_sync),
        SCENARIO(total_split),
        SCENARIO(two_backups_crash),
        SCENARIO(emptied_replica),
        SCENARIO(emptied_primary),
        SCENARIO(emptied_had_left_the_view),
        SCENARIO(emptied_is_shown_later_that_it_left),
        SCENARIO(restored_from_a_copy),
        SCENARIO(restored_as_it_was),
        SCENARIO(restored_below_the_others_checkpoint),
        SCENARIO(two_emptied_at_once),
        SCENARIO(two_silent_primaries_within_the_bound),
        SCENARIO(view_used_up_by_the_faults),
    };
    return cmocka_run_group_tests_name("core_scenarios", tests, NULL, NULL);
}
