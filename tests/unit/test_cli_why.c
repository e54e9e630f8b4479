/* test_cli_why.c - what `pbft why` says of given facts: who voted, who is missing, which timers run, who is next, and how
 * many are needed. N = 4 unless a test says so. */
#include "client/cli_why_text.h"
#include "wire/constants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS 5u

static struct pbft_replica_why replicas[MEMBERS];
static struct why_group group;

/* All answer, are connected, in view 0, and nothing waits; 811 is executed. */
static int facts_setup(void **state)
{
    (void)state;
    memset(replicas, 0, sizeof replicas);
    group = (struct why_group){.quorum = quorum_of(4), .replicas = replicas};
    for (uint32_t id = 0; id < MEMBERS; id++) {
        struct pbft_replica_why *r = &replicas[id];
        r->id = id;
        r->connected = true;
        r->answered = true;
        r->condition = CONDITION_SYNCED;
        r->entered = true;
        r->seq = 812;
        r->low = 768;
        r->high = 1024;
        r->ahead = 811;
        r->idle_ms = 40;
        r->timeout_ms = 2000;
        r->peers_connected = 3;
        r->request_timer_ms = PBFT_NO_TIMER;
        r->new_view_timer_ms = PBFT_NO_TIMER;
        (void)snprintf(r->reason, sizeof r->reason, "ready");
        for (uint32_t k = 0; k < MEMBERS; k++)
            r->members[k].connected = true;
    }
    return 0;
}

static void silent(uint32_t id)
{
    replicas[id] = (struct pbft_replica_why){.id = id, .reason = "connection refused"};
    for (uint32_t k = 0; k < MEMBERS; k++)
        replicas[k].members[id].connected = false;
}

/* A proposal at 812 that has waited for so long; digest aabb... */
static void proposed(uint32_t id, enum pbft_phase phase, uint64_t waited_ms)
{
    struct pbft_replica_why *r = &replicas[id];
    r->phase = phase;
    r->batch_held = true;
    r->certificate_durable = true;
    r->waited_ms = waited_ms;
    r->idle_ms = waited_ms + 500;
    r->digest[0] = 0xaa;
    r->digest[1] = 0xbb;
    r->request_timer_ms = waited_ms < 2000 ? 2000 - waited_ms : 0;
}

/* bit k: what replica id has of member k's votes */
static void votes(uint32_t id, uint32_t prepared, uint32_t committed)
{
    for (uint32_t k = 0; k < MEMBERS; k++) {
        replicas[id].members[k].prepared = (prepared >> k & 1u) != 0;
        replicas[id].members[k].committed = (committed >> k & 1u) != 0;
    }
}

static void check_part(const struct buffer *b, const char *part)
{
    if (memmem(b->data, b->len, part, strlen(part)) == NULL) fail_msg("\"%s\" is not in:\n%.*s", part, (int)b->len, b->data);
}

static void check_group(enum why_verdict verdict, const char *const *parts, uint32_t count)
{
    struct buffer b = {0};
    assert_int_equal(why_group(&group, &b), verdict);
    for (uint32_t i = 0; i < count; i++)
        check_part(&b, parts[i]);
    buffer_free(&b);
}

static void check_replica(uint32_t id, enum why_verdict verdict, const char *const *parts, uint32_t count)
{
    struct buffer b = {0};
    assert_int_equal(why_replica(&group, id, &b), verdict);
    for (uint32_t i = 0; i < count; i++)
        check_part(&b, parts[i]);
    buffer_free(&b);
}

#define GROUP_SAYS(verdict, ...)                                                                                       \
    do {                                                                                                               \
        const char *const parts_[] = {__VA_ARGS__};                                                                    \
        check_group((verdict), parts_, sizeof parts_ / sizeof parts_[0]);                                              \
    } while (0)
#define REPLICA_SAYS(id, verdict, ...)                                                                                 \
    do {                                                                                                               \
        const char *const parts_[] = {__VA_ARGS__};                                                                    \
        check_replica((id), (verdict), parts_, sizeof parts_ / sizeof parts_[0]);                                      \
    } while (0)

/* ---- nothing stalls ---- */

static void test_why_all_well(void **state)
{
    (void)state;
    GROUP_SAYS(WHY_VERDICT_FINE, "Nothing stalls: 4 of 4 replicas answer, 3 are needed (f is 1).\n");
    REPLICA_SAYS(0, WHY_VERDICT_FINE, "It is in view 0 (its primary), and ready. Sequence 812 is its next; the last was executed 40 ms ago.",
                 "Nothing waits here.", "No timer runs; the next primary is replica 1.");
    REPLICA_SAYS(3, WHY_VERDICT_FINE, "view 0 (backup)");
}

static void test_why_work_under_way_is_no_stall(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < 4; id++)
        proposed(id, PBFT_PHASE_PREPARED, WHY_STALL_MS - 1);
    GROUP_SAYS(WHY_VERDICT_FINE, "Nothing stalls");
    REPLICA_SAYS(1, WHY_VERDICT_FINE, "Sequence 812 (digest aabb0000..., proposed 999 ms ago in view 0)");
    for (uint32_t id = 0; id < 4; id++) {
        proposed(id, PBFT_PHASE_PREPARED, 5000);
        replicas[id].idle_ms = 20; /* long queues: but something executes all the time */
    }
    GROUP_SAYS(WHY_VERDICT_FINE, "Nothing stalls");
    replicas[0].custody = 7; /* above their client's window: nothing can be done with them */
    GROUP_SAYS(WHY_VERDICT_FINE, "Nothing stalls");
}

static void test_why_one_silent_replica_is_named_and_no_stall(void **state)
{
    (void)state;
    silent(3);
    for (uint32_t id = 0; id < 3; id++)
        replicas[id].peers_connected = 2;
    GROUP_SAYS(WHY_VERDICT_FINE, "Nothing stalls: 3 of 4 replicas answer, 3 are needed (f is 1). No further one may fail.\n",
               "Replica 3 does not answer: connection refused.\n",
               "To do: start replica 3, or see what keeps them from answering.\n");
    REPLICA_SAYS(3, WHY_VERDICT_NO_QUORUM, "It does not answer: connection refused.\n");
    REPLICA_SAYS(0, WHY_VERDICT_FINE, "It has no connection to 3.\n");
}

/* ---- votes ---- */

static void test_why_sequence_waits_for_a_commit_and_names_who_is_missing(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < 3; id++) {
        proposed(id, PBFT_PHASE_PREPARED, 1200);
        votes(id, 0x7, 1u << id); /* each has its own only */
    }
    silent(3);
    replicas[2].phase = PBFT_PHASE_PROPOSED;
    votes(2, 0x5, 0);
    GROUP_SAYS(WHY_VERDICT_STALLED, "Stalled: 3 of 4 replicas answer, 3 are needed (f is 1), and yet nothing executes.\n",
               "Sequence 812 (digest aabb0000..., proposed 1200 ms ago in view 0) waits for 1 more COMMIT: 0 and 1 have voted, 2 and "
               "3 are missing (3 of 4 are needed).\n",
               "Replica 3 does not answer", "The next primary is replica 1.\n");
    REPLICA_SAYS(0, WHY_VERDICT_STALLED,
                 "waits for 2 more COMMITs: 0 has voted, 1, 2 and 3 are missing (3 of 4 are needed).\n",
                 "Timer: it leaves view 0 in 800 ms unless that executes (T is 2000 ms); the next primary is replica 1.\n");
    REPLICA_SAYS(2, WHY_VERDICT_STALLED,
                 "waits for 1 more PREPARE: 0 and 2 have voted, 1 and 3 are missing (3 of 4 are needed).\n");
}

static void test_why_own_commit_waits_for_the_disk(void **state)
{
    (void)state;
    proposed(1, PBFT_PHASE_PREPARED, 1500);
    replicas[1].certificate_durable = false;
    votes(1, 0x7, 0x1);
    REPLICA_SAYS(1, WHY_VERDICT_STALLED, "; its own waits for its disk.\n");
}

static void test_why_batch_that_is_missing_or_void_is_said(void **state)
{
    (void)state;
    proposed(1, PBFT_PHASE_PROPOSED, 1500);
    replicas[1].batch_held = false;
    votes(1, 0x1, 0);
    REPLICA_SAYS(1, WHY_VERDICT_STALLED, "waits for 2 more PREPAREs: 0 has voted", "; its batch has not come.\n");
    replicas[1].batch_void = true;
    REPLICA_SAYS(1, WHY_VERDICT_STALLED, "; its batch breaks the rules, and no correct replica prepares it.\n");
}

/* Votes that one replica counts for a digest, another for another: they are not put together. */
static void test_why_votes_for_different_digests_are_not_added(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < 4; id++)
        proposed(id, PBFT_PHASE_PROPOSED, 1500);
    replicas[2].digest[0] = 0xcc;
    votes(0, 0x3, 0);
    votes(1, 0x3, 0);
    votes(2, 0xd, 0);
    votes(3, 0x3, 0);
    GROUP_SAYS(WHY_VERDICT_STALLED, "waits for 1 more PREPARE: 0 and 1 have voted, 2 and 3 are missing");
}

static void test_why_votes_spread_over_replicas_make_a_quorum(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < 4; id++) {
        proposed(id, PBFT_PHASE_PREPARED, 1500);
        votes(id, 0xf, 1u << id);
    }
    GROUP_SAYS(WHY_VERDICT_STALLED, "has COMMITs of a quorum, spread over replicas that have not told each other yet.\n");
}

static void test_why_quorum_of_five_is_four(void **state)
{
    (void)state;
    group.quorum = quorum_of(5);
    for (uint32_t id = 0; id < 5; id++) {
        replicas[id].peers_connected = 4;
        proposed(id, PBFT_PHASE_PROPOSED, 1500);
        votes(id, 0x7, 0);
    }
    GROUP_SAYS(WHY_VERDICT_STALLED, "5 of 5 replicas answer, 4 are needed (f is 1)",
               "waits for 1 more PREPARE: 0, 1 and 2 have voted, 3 and 4 are missing (4 of 5 are needed).\n");
}

/* ---- no proposal ---- */

static void test_why_requests_wait_for_the_primary(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < 4; id++) {
        replicas[id].view = 6;
        replicas[id].custody = id == 1 ? 3 : 1;
        replicas[id].custody_ms = 1700;
        replicas[id].idle_ms = 9000;
        replicas[id].request_timer_ms = 300;
    }
    GROUP_SAYS(WHY_VERDICT_STALLED,
               "Sequence 812 waits for a PRE-PREPARE of replica 2, the primary of view 6: 3 requests are held, the oldest for "
               "1700 ms.\n",
               "The next primary is replica 3.\n");
    REPLICA_SAYS(0, WHY_VERDICT_STALLED, "1 request is held", "it leaves view 6 in 300 ms");
}

static void test_why_full_window_waits_for_a_checkpoint(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < 4; id++) {
        replicas[id].seq = 1025;
        replicas[id].ahead = 1024;
        replicas[id].custody = 1;
        replicas[id].custody_ms = 1700;
        replicas[id].idle_ms = 1800;
    }
    GROUP_SAYS(WHY_VERDICT_STALLED, "Sequence 1025 is above the window, which ends at 1024: a checkpoint has to become stable first.\n");
}

static void test_why_decided_sequence_waits_for_its_execution(void **state)
{
    (void)state;
    proposed(0, PBFT_PHASE_COMMITTED, 1700);
    REPLICA_SAYS(0, WHY_VERDICT_STALLED, "Sequence 812 is decided, and waits for its execution.\n");
}

/* ---- view changes ---- */

static void change(uint32_t id, uint64_t view, uint32_t from)
{
    struct pbft_replica_why *r = &replicas[id];
    r->view = view;
    r->changing = true;
    r->entered = false;
    r->waited_ms = 1300;
    r->idle_ms = 4000;
    for (uint32_t k = 0; k < 4; k++)
        r->members[k].view_change = (from >> k & 1u) != 0 ? view : view - 1;
}

static void test_why_view_change_without_a_quorum_names_who_is_missing(void **state)
{
    (void)state;
    silent(2);
    silent(3);
    change(0, 5, 0x1);
    change(1, 5, 0x3);
    replicas[0].peers_connected = 1;
    replicas[1].peers_connected = 1;
    GROUP_SAYS(WHY_VERDICT_NO_QUORUM, "No quorum: 2 of 4 replicas answer, 3 are needed (f is 1).\n",
               "View 5 has not begun: the view before was left 1300 ms ago, and VIEW-CHANGEs for it are here from 0 and 1; 1 "
               "more is needed, 2 and 3 are missing (a quorum is 3 of 4). Its primary is replica 1.\n",
               "The next primary is replica 2.\n", "Replica 2 does not answer: connection refused.\n",
               "To do: start replicas 2 and 3, or see what keeps them from answering: 1 more must vote before anything commits.\n");
    REPLICA_SAYS(0, WHY_VERDICT_STALLED, "It is waiting for view 5 (backup)", "; 2 more are needed, 1, 2 and 3 are missing",
                 "No timer runs: that for the NEW-VIEW starts with a quorum of VIEW-CHANGEs (T is 2000 ms)");
}

static void test_why_new_view_that_does_not_come_names_its_primary(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < 4; id++) {
        change(id, 5, 0xd);
        replicas[id].new_view_timer_ms = 700;
    }
    GROUP_SAYS(WHY_VERDICT_STALLED, "VIEW-CHANGEs for it are here from 0, 2 and 3, which is a quorum; the NEW-VIEW of its primary, replica "
               "1, is missing.\n");
    REPLICA_SAYS(3, WHY_VERDICT_STALLED,
                 "Timer: it goes on to view 6 in 700 ms unless the NEW-VIEW comes (T is 2000 ms); the next primary is replica 2.\n");
}

/* ---- replicas that cannot take part ---- */

static void test_why_replica_behind_is_named_while_the_group_goes_on(void **state)
{
    (void)state;
    replicas[2].seq = 300;
    replicas[2].idle_ms = 3000;
    GROUP_SAYS(WHY_VERDICT_STALLED, "The group goes on, but not with replica 2: 4 of 4 answer, 3 are needed (f is 1).\n");
    REPLICA_SAYS(2, WHY_VERDICT_STALLED, "It is behind: others have executed up to 811; it waits for block 300 from them.\n");
    replicas[2].idle_ms = 100; /* it comes on */
    GROUP_SAYS(WHY_VERDICT_FINE, "Nothing stalls");
}

static void test_why_too_few_can_vote(void **state)
{
    (void)state;
    replicas[1].mute = true;
    replicas[1].condition = CONDITION_FENCED;
    (void)snprintf(replicas[1].reason, sizeof replicas[1].reason, "fenced: it may have forgotten votes");
    replicas[3].diverged = true;
    replicas[3].condition = CONDITION_DIVERGED;
    GROUP_SAYS(WHY_VERDICT_STALLED, "Stalled: 4 of 4 replicas answer, but only 2 of them can vote, and 3 are needed (f is 1).\n");
    REPLICA_SAYS(1, WHY_VERDICT_STALLED, "and fenced: it may have forgotten votes.");
    REPLICA_SAYS(3, WHY_VERDICT_STALLED, "view 0");
}

static void test_why_more_fenced_than_may_fail_names_the_procedure(void **state)
{
    (void)state;
    struct buffer text = {0};
    replicas[1].mute = true;
    replicas[1].condition = CONDITION_FENCED;
    (void)why_group(&group, &text);
    buffer_append(&text, "", 1);
    assert_null(strstr((const char *)text.data, "A fence that cannot end"));
    buffer_free(&text);
    replicas[3].mute = true;
    replicas[3].condition = CONDITION_FENCED;
    GROUP_SAYS(WHY_VERDICT_STALLED, "To do: with replicas 1 and 3 fenced too few are left to vote, and no fence ends by itself: see \"A fence "
                                    "that cannot end\" in docs/operations.md.\n");
}

static void test_why_replica_cut_off_is_stalled_with_nothing_to_do(void **state)
{
    (void)state;
    replicas[0].peers_connected = 1;
    replicas[0].members[1].connected = false;
    replicas[0].members[2].connected = false;
    REPLICA_SAYS(0, WHY_VERDICT_STALLED, "It has no connection to 1 and 2.\n");
}

static void test_why_says_abstaining_stopping_and_silent_peers(void **state)
{
    (void)state;
    replicas[0].abstain_until = 1024;
    replicas[0].draining = true;
    replicas[0].members[3].heard = true;
    replicas[0].members[3].heard_ms = 6000;
    REPLICA_SAYS(0, WHY_VERDICT_FINE,
                 "It sends no PREPARE in view 0 up to sequence 1024: it may have voted there before its start and have "
                 "forgotten.\n",
                 "It is being stopped.\n", "It is connected to 3, but has not heard of them for some seconds.\n");
}

static void test_why_nobody_answers(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < 4; id++)
        silent(id);
    GROUP_SAYS(WHY_VERDICT_NO_QUORUM, "No quorum: 0 of 4 replicas answer, 3 are needed (f is 1).\n",
               "Replica 0 does not answer: connection refused.\n", "To do: start replicas 0, 1, 2 and 3,");
}

static void test_why_group_of_one(void **state)
{
    (void)state;
    group.quorum = quorum_of(1);
    replicas[0].peers_connected = 0;
    GROUP_SAYS(WHY_VERDICT_FINE, "Nothing stalls: 1 of 1 replicas answer, 1 are needed (f is 0).\n");
    REPLICA_SAYS(0, WHY_VERDICT_FINE, "the next primary is replica 0");
}

#define FACTS_TEST(f) cmocka_unit_test_setup(f, facts_setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACTS_TEST(test_why_all_well),
        FACTS_TEST(test_why_work_under_way_is_no_stall),
        FACTS_TEST(test_why_one_silent_replica_is_named_and_no_stall),
        FACTS_TEST(test_why_sequence_waits_for_a_commit_and_names_who_is_missing),
        FACTS_TEST(test_why_own_commit_waits_for_the_disk),
        FACTS_TEST(test_why_batch_that_is_missing_or_void_is_said),
        FACTS_TEST(test_why_votes_for_different_digests_are_not_added),
        FACTS_TEST(test_why_votes_spread_over_replicas_make_a_quorum),
        FACTS_TEST(test_why_quorum_of_five_is_four),
        FACTS_TEST(test_why_requests_wait_for_the_primary),
        FACTS_TEST(test_why_full_window_waits_for_a_checkpoint),
        FACTS_TEST(test_why_decided_sequence_waits_for_its_execution),
        FACTS_TEST(test_why_view_change_without_a_quorum_names_who_is_missing),
        FACTS_TEST(test_why_new_view_that_does_not_come_names_its_primary),
        FACTS_TEST(test_why_replica_behind_is_named_while_the_group_goes_on),
        FACTS_TEST(test_why_too_few_can_vote),
        FACTS_TEST(test_why_more_fenced_than_may_fail_names_the_procedure),
        FACTS_TEST(test_why_replica_cut_off_is_stalled_with_nothing_to_do),
        FACTS_TEST(test_why_says_abstaining_stopping_and_silent_peers),
        FACTS_TEST(test_why_nobody_answers),
        FACTS_TEST(test_why_group_of_one),
    };
    return cmocka_run_group_tests_name("cli_why", tests, NULL, NULL);
}
