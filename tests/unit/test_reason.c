/* test_reason.c - the condition of a replica and its sentence, for everything that operators act on: whom it hears, who is fenced,
 * how far it is behind and how fast that changes. */
#include "replica/run/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000u
#define BEGUN (77u * SECOND) /* on the clock of the pace */

/* Replica 1 of four, synced, with all others there. */
struct room {
    struct core_summary core;
    struct core_why why;
    struct reason_facts facts;
};

static struct replica_set set_of(const uint32_t *ids, uint32_t count)
{
    struct replica_set out = {0};
    for (uint32_t i = 0; i < count; i++)
        replica_set_add(&out, ids[i]);
    return out;
}

#define SET(...) set_of((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static int setup(void **state)
{
    static struct room r;
    r = (struct room){.core = {.started = true, .executed = 100, .highest_peer_executed = 100, .low = 0, .peers_heard = 3}};
    r.core.voters = SET(0, 2, 3);
    r.facts = (struct reason_facts){.quorum = quorum_of(4),
                                    .self = 1,
                                    .core = &r.core,
                                    .why = &r.why,
                                    .connected = 3,
                                    .timeout_us = 2 * SECOND,
                                    .data_path = "/data",
                                    .now_us = BEGUN};
    *state = &r;
    return 0;
}

static void check(const struct room *r, enum replica_condition condition, const char *text)
{
    char out[REASON_BYTES];
    assert_int_equal(reason_condition(&r->facts), condition);
    reason_text(&r->facts, out);
    assert_string_equal(out, text);
}

/* ---- a quorum that can vote ---- */

static void test_reason_one_silent_of_four_is_ready(void **state)
{
    struct room *r = *state;
    check(r, CONDITION_SYNCED, "ready");
    r->core.voters = SET(0, 3);
    check(r, CONDITION_SYNCED, "ready");
}

/* Their processes are stopped, and their connections stay open. */
static void test_reason_silent_behind_open_connections_is_no_quorum(void **state)
{
    struct room *r = *state;
    r->core.voters = SET(0);
    check(r, CONDITION_NO_QUORUM,
          "no-quorum: it hears of 1 of the 3 other replicas that can vote; a quorum is 3 of 4, itself included; replicas 2 and 3 are "
          "silent");
}

static void test_reason_fenced_others_do_not_count(void **state)
{
    struct room *r = *state;
    r->core.voters = SET(0);
    r->core.fenced_members = SET(2, 3);
    check(r, CONDITION_NO_QUORUM,
          "no-quorum: it hears of 1 of the 3 other replicas that can vote; a quorum is 3 of 4, itself included; replicas 2 and 3 are "
          "fenced, a fence that cannot end: see docs/operations.md");
    r->core.fenced_members = SET(3);
    check(r, CONDITION_NO_QUORUM,
          "no-quorum: it hears of 1 of the 3 other replicas that can vote; a quorum is 3 of 4, itself included; replica 2 is silent; "
          "replica 3 is fenced");
}

static void test_reason_without_connections_is_no_quorum(void **state)
{
    struct room *r = *state;
    r->facts.connected = 1;
    r->core.listening = true;
    check(r, CONDITION_NO_QUORUM, "no-quorum: it is connected to 1 of the 3 other replicas; a quorum is 3 of 4, itself included");
}

/* Whoever has just started has heard nobody yet: that is no fault. */
static void test_reason_listening_is_starting(void **state)
{
    struct room *r = *state;
    r->core.voters = SET(0);
    r->core.listening = true;
    r->core.heard = 1;
    check(r, CONDITION_STARTING, "starting: before its first vote 2 others have to say what they hold of it; 1 have");
}

static void test_reason_group_of_one_is_ready(void **state)
{
    struct room *r = *state;
    r->facts.quorum = quorum_of(1);
    r->facts.self = 0;
    r->facts.connected = 0;
    r->core.voters = (struct replica_set){0};
    check(r, CONDITION_SYNCED, "ready");
}

/* ---- fenced ---- */

static void fence(struct room *r)
{
    r->core.fenced = true;
    r->core.fence_until = 512;
    r->core.low = 128;
    r->core.fence_reason = "its data directory is new, in a group that may know it";
}

static void test_reason_fenced_says_why_and_until_when(void **state)
{
    struct room *r = *state;
    fence(r);
    check(r, CONDITION_FENCED,
          "fenced: its data directory is new, in a group that may know it; it votes again once sequence 512 is stable, and now 128 is");
}

static void test_reason_fenced_waits_for_those_that_can_vote(void **state)
{
    struct room *r = *state;
    fence(r);
    r->core.voters = SET(0, 3);
    check(r, CONDITION_FENCED,
          "fenced: its data directory is new, in a group that may know it; it votes again once sequence 512 is stable, and now 128 is; it "
          "hears of 2 replicas that can vote, and 3 have to; replica 2 is silent");
}

/* More than f at once: no checkpoint becomes stable without one of them. */
static void test_reason_fenced_with_another_cannot_end(void **state)
{
    struct room *r = *state;
    fence(r);
    r->core.voters = SET(0, 3);
    r->core.fenced_members = SET(2);
    check(r, CONDITION_FENCED,
          "fenced: its data directory is new, in a group that may know it; it cannot vote again by itself: it waits for sequence 512 to be "
          "stable, and only 2 of 4 replicas could vote for that where 3 are needed; replica 2 is fenced too, a fence that cannot end: see "
          "docs/operations.md");
}

/* Whatever the sizes, the sentence ends where its room does. */
static void test_reason_of_a_large_group_fits(void **state)
{
    struct room *r = *state;
    char out[REASON_BYTES];
    fence(r);
    r->facts.quorum = quorum_of(REPLICAS_MAX);
    for (uint32_t id = 2; id < REPLICAS_MAX; id++)
        replica_set_add(&r->core.fenced_members, id);
    reason_text(&r->facts, out);
    assert_non_null(strstr(out, "replicas 2, 3, 4, 5, 6, 7, 8, 9 and 118 more are fenced too"));
    assert_non_null(strstr(out, "docs/operations.md"));
}

/* ---- between views ---- */

static void leave(struct room *r, uint32_t primary)
{
    r->core.changing = true;
    r->core.changing_us = 3 * SECOND;
    r->core.view = 4 + primary;
    r->core.primary = primary;
}

static void sent(struct room *r, uint32_t id)
{
    r->why.members[id].view_change = r->core.view;
}

static void test_reason_stalled_counts_view_changes(void **state)
{
    struct room *r = *state;
    leave(r, 1); /* the replica itself */
    sent(r, 1);
    check(r, CONDITION_STALLED,
          "stalled: it left for view 5 3000 ms ago, and 1 of the 3 VIEW-CHANGEs for it are here; replicas 0, 2 and 3 have sent none");
    sent(r, 0);
    check(r, CONDITION_STALLED,
          "stalled: it left for view 5 3000 ms ago, and 2 of the 3 VIEW-CHANGEs for it are here; replicas 2 and 3 have sent none");
    sent(r, 3);
    check(r, CONDITION_STALLED,
          "stalled: it left for view 5 3000 ms ago, and it has a quorum of VIEW-CHANGEs; as primary it waits for batches that its NEW-VIEW "
          "carries over");
}

static void test_reason_stalled_by_the_primary_names_it(void **state)
{
    struct room *r = *state;
    leave(r, 2);
    sent(r, 0);
    sent(r, 1);
    sent(r, 3);
    check(r, CONDITION_STALLED, "stalled: it left for view 6 3000 ms ago, and the NEW-VIEW of replica 2 has not come");
}

/* ---- catching up ---- */

/* So much later it stands there, and the others there. */
static void go_on(struct room *r, uint64_t us, uint64_t executed, uint64_t others)
{
    r->facts.now_us += us;
    r->core.executed = executed;
    r->core.highest_peer_executed = others;
    reason_pace_note(&r->facts.pace, &r->core, r->facts.now_us);
}

static void test_reason_by_blocks_says_how_fast_and_how_long(void **state)
{
    struct room *r = *state;
    go_on(r, 0, 100, 1100);
    check(r, CONDITION_CATCHING_UP, "catching-up: it has executed sequence 100, others 1100: 1000 to go, just begun");
    go_on(r, SECOND - 1, 300, 1100);
    check(r, CONDITION_CATCHING_UP, "catching-up: it has executed sequence 300, others 1100: 800 to go, just begun");
    go_on(r, SECOND + 1, 500, 1300); /* 400 in two seconds, and 200 closer: the others go on */
    check(r, CONDITION_CATCHING_UP,
          "catching-up: it has executed sequence 500, others 1300: 800 to go, 200 a second, about 8 s left");
    go_on(r, SECOND, 1295, 1300);
    check(r, CONDITION_SYNCED, "ready");
    go_on(r, SECOND, 1295, 1400); /* anew */
    check(r, CONDITION_CATCHING_UP, "catching-up: it has executed sequence 1295, others 1400: 105 to go, just begun");
}

static void test_reason_by_blocks_that_do_not_come(void **state)
{
    struct room *r = *state;
    go_on(r, 0, 100, 1100);
    go_on(r, 5 * SECOND, 100, 1100);
    check(r, CONDITION_CATCHING_UP, "catching-up: it has executed sequence 100, others 1100: 1000 to go, nothing has come in 5 s");
    go_on(r, 5 * SECOND, 150, 1150);
    check(r, CONDITION_CATCHING_UP,
          "catching-up: it has executed sequence 150, others 1150: 1000 to go, 5 a second, no faster than the others go on");
}

static void test_reason_fenced_says_how_far_it_is(void **state)
{
    struct room *r = *state;
    fence(r);
    go_on(r, 0, 100, 1100);
    go_on(r, 2 * SECOND, 600, 1100);
    check(r, CONDITION_FENCED,
          "fenced: its data directory is new, in a group that may know it; it votes again once sequence 512 is stable, and now 128 is; it "
          "has executed sequence 600, others 1100: 500 to go, 250 a second, about 2 s left");
}

static void test_reason_by_transfer_says_how_fast_and_how_long(void **state)
{
    struct room *r = *state;
    r->core.walking = true;
    check(r, CONDITION_CATCHING_UP,
          "catching-up: its state is to be transferred, and no other replica has proven a checkpoint to it yet");
    r->core.walk_target = 1280;
    r->facts.walk_since_us = BEGUN;
    r->facts.walk = (struct state_walk_progress){.covered_ppm = 900, .leaves = 7, .bytes = 1000};
    r->facts.now_us = BEGUN + SECOND / 2;
    check(r, CONDITION_CATCHING_UP, "catching-up: its state is being transferred to checkpoint 1280: just begun");
    r->facts.now_us = BEGUN + 4 * SECOND;
    r->facts.walk = (struct state_walk_progress){.covered_ppm = 250000, .leaves = 70, .bytes = 8000};
    check(r, CONDITION_CATCHING_UP,
          "catching-up: its state is being transferred to checkpoint 1280: 25 % of the tree looked at, 70 keys and 8000 bytes in 4 s (2000 "
          "bytes a second), about 12 s left");
    r->facts.walk = (struct state_walk_progress){0};
    check(r, CONDITION_CATCHING_UP, "catching-up: its state is being transferred to checkpoint 1280: nothing has come in 4 s");
}

#define ROOM_TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_reason_one_silent_of_four_is_ready),
        ROOM_TEST(test_reason_silent_behind_open_connections_is_no_quorum),
        ROOM_TEST(test_reason_fenced_others_do_not_count),
        ROOM_TEST(test_reason_without_connections_is_no_quorum),
        ROOM_TEST(test_reason_listening_is_starting),
        ROOM_TEST(test_reason_group_of_one_is_ready),
        ROOM_TEST(test_reason_fenced_says_why_and_until_when),
        ROOM_TEST(test_reason_fenced_waits_for_those_that_can_vote),
        ROOM_TEST(test_reason_fenced_with_another_cannot_end),
        ROOM_TEST(test_reason_of_a_large_group_fits),
        ROOM_TEST(test_reason_stalled_counts_view_changes),
        ROOM_TEST(test_reason_stalled_by_the_primary_names_it),
        ROOM_TEST(test_reason_by_blocks_says_how_fast_and_how_long),
        ROOM_TEST(test_reason_by_blocks_that_do_not_come),
        ROOM_TEST(test_reason_fenced_says_how_far_it_is),
        ROOM_TEST(test_reason_by_transfer_says_how_fast_and_how_long),
    };
    return cmocka_run_group_tests_name("reason", tests, NULL, NULL);
}
