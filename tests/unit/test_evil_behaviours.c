/* test_evil_behaviours.c - every misbehaviour, alone, as primary of the first view and as a backup through a view change: whatever it
 * does, every invariant holds and every request is accepted; and a primary of which the group must get rid, it leaves. */
#include "tests/evil/evil.h"
#include "tests/fixture/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct scenario_result run(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

static struct scenario_result run(const char *name, const char *format, ...)
{
    char text[1200];
    struct scenario_result result;
    va_list arguments;
    va_start(arguments, format);
    const int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert_in_range(len, 1, sizeof text - 1);
    const struct err e = scenario_run_text(name, bytes_of((const uint8_t *)text, (size_t)len), NULL, &result);
    if (err_is(&e)) fail_msg("%s: %s\n%s", name, e.text, text);
    return result;
}

/* A view is left with it and one that it may lead is entered; a replica comes back and has to catch up from it too. */
#define THROUGH_IT_ALL                                                                                                 \
    "clients 2\ntimeout_us 400000\nbatch_requests_max 4\nin_flight_max 32\ntransfer_after 1\n"                        \
    "at 0 evil %u %s\n"                                                                                                \
    "at 0 load 4 100 2000\n"                                                                                           \
    "at 600 crash %u\nat 1500 start %u\n"                                                                              \
    "at 5000 load 2 100 5500\nat 5600 rest\n"

/* The member that crashes and comes back is no one's fault: with N = 7 that is beside the one that misbehaves. */
static void check_all(uint32_t replicas, uint32_t evil, uint32_t crashes)
{
    const struct evil_behaviour *b;
    for (uint32_t i = 0; (b = evil_behaviour_at(i)) != NULL; i++) {
        if (b->process) continue;
        const struct scenario_result r =
            run(b->name, "replicas %u\n" THROUGH_IT_ALL, replicas, evil, b->name, crashes, crashes);
        assert_true(r.accepted >= 180);
    }
}

static void test_each_behaviour_of_the_first_primary_of_four(void **state)
{
    (void)state;
    check_all(4, 0, 2);
}

static void test_each_behaviour_of_a_backup_of_four_while_the_primary_crashes(void **state)
{
    (void)state;
    check_all(4, 1, 0);
}

static void test_each_behaviour_of_a_backup_of_seven_while_the_primary_crashes(void **state)
{
    (void)state;
    check_all(7, 1, 0);
}

/* What the group does with a primary alone: 0 requests lost, and its view left or kept. */
static void check_view(const char *behaviour, bool is_left)
{
    const struct scenario_result r = run(
        behaviour, "clients 2\ntimeout_us 400000\nbatch_requests_max 4\nat 0 evil 0 %s\nat 0 load 4 50 3000\nat 3000 rest\n",
        behaviour);
    if (is_left != (r.view > 0)) fail_msg("%s: view %u", behaviour, (unsigned)r.view);
}

static void test_primary_that_serves_nobody_or_not_all_is_left(void **state)
{
    static const char *const names[] = {"silent", "scatter", "renumber", "starve", "skip", "jump", "censor",
                                        "time-backwards", "time-ahead", "batch-oversize", "batch-malformed",
                                        "batch-bad-signature", "mute"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        check_view(names[i], true);
}

static void test_primary_that_does_no_harm_is_not_left(void **state)
{
    static const char *const names[] = {"omit", "slow",
                                        "replay", "flood", "forge", "checkpoint-bogus", "checkpoint-future",
                                        "source-bad", "source-slow", "source-silent", "status-lie"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        check_view(names[i], false);
}

/* The kinds of evidence that must come of it, whoever heard what: bit k for enum evidence_kind k; 0: none may. The
 * backup that misbehaves is there when a primary crashes and views change. */
static void test_what_contradicts_itself_is_evidence_and_nothing_else_is(void **state)
{
    static const struct {
        const char *behaviour;
        uint32_t member;
        uint32_t kinds;
    } all[] = {{"equivocate", 0, 1u << EVIDENCE_KIND_PRE_PREPARE},
               {"scatter", 0, 1u << EVIDENCE_KIND_PRE_PREPARE},
               {"vote-twice", 1, 1u << EVIDENCE_KIND_PREPARE | 1u << EVIDENCE_KIND_COMMIT},
               {"view-change-invalid", 1, 1u << EVIDENCE_KIND_CERTIFICATE},
               {"mute", 1, 0},
               {"slow", 0, 0},
               {"omit", 0, 0},
               {"skip", 0, 0},
               {"time-ahead", 0, 0},
               {"replay", 1, 0},
               {"flood", 1, 0},
               {"forge", 1, 0},
               {"foreign-votes", 1, 0},
               {"source-bad", 1, 0},
               {"status-lie", 1, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const uint32_t crashes = all[i].member == 0 ? 2 : 0;
        const struct scenario_result r =
            run(all[i].behaviour,
                "clients 2\ntimeout_us 400000\nbatch_requests_max 4\nat 0 evil %u %s\nat 0 load 4 50 2000\n"
                "at 500 crash %u\nat 1500 start %u\nat 2000 rest\n",
                all[i].member, all[i].behaviour, crashes, crashes);
        const uint32_t accused = all[i].kinds != 0 ? 1u << all[i].member : 0;
        if (r.accused != accused || (r.evidence & all[i].kinds) != all[i].kinds)
            fail_msg("%s: evidence of kinds %x against %x", all[i].behaviour, r.evidence, r.accused);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_behaviour_of_the_first_primary_of_four),
        cmocka_unit_test(test_each_behaviour_of_a_backup_of_four_while_the_primary_crashes),
        cmocka_unit_test(test_each_behaviour_of_a_backup_of_seven_while_the_primary_crashes),
        cmocka_unit_test(test_primary_that_serves_nobody_or_not_all_is_left),
        cmocka_unit_test(test_primary_that_does_no_harm_is_not_left),
        cmocka_unit_test(test_what_contradicts_itself_is_evidence_and_nothing_else_is),
    };
    return cmocka_run_group_tests_name("evil_behaviours", tests, NULL, NULL);
}
