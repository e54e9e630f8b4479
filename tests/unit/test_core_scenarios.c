/* test_core_scenarios.c - every file of tests/scenarios/ as a test of that name; and the reader's own refusals. */
#include "tests/fixture/scenario.h"

#include <dirent.h>
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
        "at 0 expect accepted 9 0\n",
        "at 0 expect busy nonsense 0\n",
        "at 0 expect executed 0\n",
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
        "at 0 submit 0 1\nat 100 expect busy 1\n",
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

#define SCENARIOS_MAX 256u

static int is_scenario(const struct dirent *entry)
{
    const size_t len = strlen(entry->d_name);
    return len > 4 && strcmp(entry->d_name + len - 4, ".txt") == 0;
}

/* The files as tests, in the order of their names. */
static size_t find_scenarios(struct CMUnitTest *tests)
{
    struct dirent **entries;
    const int count = scandir("tests/scenarios", &entries, is_scenario, alphasort);
    assert_true(count > 60 && count < (int)SCENARIOS_MAX);
    for (int i = 0; i < count; i++) {
        char *name = NULL;
        char *path = NULL;
        const int stem = (int)strlen(entries[i]->d_name) - 4;
        assert_true(asprintf(&name, "test_scenario_%.*s", stem, entries[i]->d_name) > 0);
        assert_true(asprintf(&path, "tests/scenarios/%s", entries[i]->d_name) > 0);
        tests[i] = (struct CMUnitTest){.name = name, .test_func = check_file, .initial_state = path};
        free(entries[i]);
    }
    free(entries);
    return (size_t)count;
}

int main(void)
{
    static struct CMUnitTest scenarios[SCENARIOS_MAX]; /* borrow from the heap until the process ends */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenario_unreadable_refused),
        cmocka_unit_test(test_scenario_wrong_text_refused_with_its_line),
        cmocka_unit_test(test_scenario_expectation_not_met_is_negative),
        cmocka_unit_test(test_scenario_comments_and_blank_lines_skipped),
    };
    const size_t count = find_scenarios(scenarios);
    const int failed = cmocka_run_group_tests_name("core_scenarios_reader", tests, NULL, NULL);
    return failed + _cmocka_run_group_tests("core_scenarios", scenarios, count, NULL, NULL);
}
