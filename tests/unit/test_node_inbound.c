/* test_node_inbound.c - what a replica drops of a member's frames before any signature is checked: proposals that are
 * over or outside the window, and DATA that nobody asked for. Around a core that stands at a known place; no thread, no
 * socket. What a running replica does of it: test_hostile_member.c.
 */
#include "replica/run/node_internal.h"
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define REPLICAS 4u
#define SELF 1u
#define VIEW 6u
#define LOW CHECKPOINT_INTERVAL
#define HIGH (LOW + WINDOW_BATCHES)

static struct solo solo;
static struct node *node;

static int test_setup(void **state)
{
    const struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_recovered there = {
        .view = VIEW, .clean = true, .stable = {.seq = LOW}, .executed = LOW, .windows = windows};
    (void)state;
    solo_open(&solo, REPLICAS, SELF);
    solo_start(&solo, &there);
    node = mem_zero(1, sizeof *node);
    node->config.id = SELF;
    node->wire = solo.wire;
    node->core = solo.core;
    return 0;
}

static int test_teardown(void **state)
{
    (void)state;
    free(node);
    solo_close(&solo);
    return 0;
}

static const char *ignored(uint32_t member, const struct wire_record *record, const void *message)
{
    struct blob *frame = wire_encode_blob(record, message);
    const char *why = node_ignores(node, member, blob_bytes(frame));
    blob_release(frame);
    return why;
}

static const char *proposal(uint64_t view, uint64_t seq)
{
    const struct wire_pre_prepare m = {.view = view, .seq = seq, .batch = bytes_of("\x82\x00\x80", 3)};
    return ignored(0, &wire_record_pre_prepare, &m);
}

static const char *data(uint32_t member)
{
    const struct wire_data m = {.sender = member, .kind = DATA_KIND_BATCH, .seq = LOW + 1};
    return ignored(member, &wire_record_data, &m);
}

static void fetch(uint32_t to, uint64_t count)
{
    const struct wire_fetch m = {.sender = SELF, .kind = DATA_KIND_BLOCK, .seq = LOW + 1, .count = count};
    struct core_effects *effects = mem_zero(1, sizeof *effects);
    effects->count = 2;
    effects->items[0] = (struct core_effect){.type = CORE_EFFECT_STABLE, .stable = (uint64_t)WIRE_TYPE_fetch << 32};
    effects->items[1].type = CORE_EFFECT_SEND;
    effects->items[1].send.to = to;
    effects->items[1].send.type = WIRE_TYPE_fetch;
    effects->items[1].send.bytes = wire_encode_blob(&wire_record_fetch, &m);
    node_note_fetches(node, effects);
    core_effects_release(effects);
    free(effects);
}

/* How many DATA of this member are let through, one after the other. */
static uint32_t data_taken(uint32_t member)
{
    uint32_t taken = 0;
    while (taken < 10 * NODE_DATA_OWED_MAX && data(member) == NULL)
        taken++;
    return taken;
}

static void test_pre_prepare_of_this_view_window_edges(void **state)
{
    (void)state;
    assert_string_equal(proposal(VIEW, 0), "PRE-PREPARE outside the window");
    assert_string_equal(proposal(VIEW, LOW), "PRE-PREPARE outside the window");
    assert_null(proposal(VIEW, LOW + 1));
    assert_null(proposal(VIEW, HIGH));
    assert_string_equal(proposal(VIEW, HIGH + 1), "PRE-PREPARE outside the window");
    assert_string_equal(proposal(VIEW, SEQ_MAX), "PRE-PREPARE outside the window");
}

static void test_pre_prepare_of_lower_view_ignored(void **state)
{
    (void)state;
    assert_string_equal(proposal(VIEW - 1, LOW + 1), "PRE-PREPARE of a view that is over");
    assert_string_equal(proposal(0, HIGH), "PRE-PREPARE of a view that is over");
}

/* The core may be about to enter it. */
static void test_pre_prepare_of_higher_view_let_through(void **state)
{
    (void)state;
    assert_null(proposal(VIEW + 1, LOW + 1));
    assert_null(proposal(VIEW + 1, HIGH + 1));
    assert_null(proposal(VIEW_MAX, 1));
}

/* Whoever sends what cannot be decoded is to be blamed for it, not passed over. */
static void test_undecodable_let_through_to_be_counted(void **state)
{
    const struct wire_pre_prepare late = {.view = 0, .seq = 1};
    const struct wire_data unasked = {.kind = DATA_KIND_BATCH};
    struct blob *bytes[2];
    (void)state;
    bytes[0] = wire_encode_blob(&wire_record_pre_prepare, &late);
    bytes[1] = wire_encode_blob(&wire_record_data, &unasked);
    for (uint32_t i = 0; i < 2; i++) {
        for (size_t len = 0; len < bytes[i]->len; len++)
            assert_null(node_ignores(node, 0, bytes_of(bytes[i]->data, len)));
        assert_non_null(node_ignores(node, 0, blob_bytes(bytes[i])));
        blob_release(bytes[i]);
    }
}

static void test_other_messages_let_through(void **state)
{
    const struct wire_prepare prepare = {.view = 0, .seq = SEQ_MAX};
    const struct wire_commit commit = {.view = 0, .seq = SEQ_MAX};
    const struct wire_checkpoint checkpoint = {.seq = 0};
    const struct wire_status status = {.view = 0};
    const struct wire_fetch asked = {.kind = DATA_KIND_BLOCK};
    (void)state;
    assert_null(ignored(0, &wire_record_prepare, &prepare));
    assert_null(ignored(0, &wire_record_commit, &commit));
    assert_null(ignored(0, &wire_record_checkpoint, &checkpoint));
    assert_null(ignored(0, &wire_record_status, &status));
    assert_null(ignored(0, &wire_record_fetch, &asked));
}

static void test_data_not_asked_for_ignored(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < REPLICAS; id++)
        assert_string_equal(data(id), "DATA that was not asked for");
}

static void test_data_asked_of_one_taken_of_it_as_often(void **state)
{
    (void)state;
    fetch(2, 3);
    assert_string_equal(data(0), "DATA that was not asked for");
    assert_int_equal(data_taken(2), 3);
    fetch(2, 1);
    fetch(2, 2);
    assert_int_equal(data_taken(3), 0);
    assert_int_equal(data_taken(2), 3);
}

static void test_data_asked_of_all_taken_of_each(void **state)
{
    (void)state;
    fetch(CORE_TO_ALL, 1);
    fetch(3, CORE_FETCH_BLOCKS_MAX);
    assert_int_equal(data_taken(0), 1);
    assert_int_equal(data_taken(2), 1);
    assert_int_equal(data_taken(3), 1 + CORE_FETCH_BLOCKS_MAX);
}

/* Who never answers does not save it up. */
static void test_data_owed_bounded(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        fetch(0, CORE_FETCH_BLOCKS_MAX);
    assert_int_equal(data_taken(0), NODE_DATA_OWED_MAX);
    fetch(0, 65535);
    assert_int_equal(data_taken(0), NODE_DATA_OWED_MAX);
}

/* What the core itself asks for, and nobody else's message, makes the answer welcome. */
static void test_data_after_a_fetch_of_the_core_taken(void **state)
{
    const struct wire_status ahead = {.sender = 3, .view = VIEW, .executed = LOW + 5, .time_ms = SOLO_WALL_MS};
    (void)state;
    (void)solo_all_persisted(&solo);
    node_note_fetches(node, solo.effects);
    assert_int_equal(data_taken(3), 0);
    for (uint32_t i = 0; i < 20 && node->peers[3].data_owed == 0; i++) {
        struct wire_status again = ahead;
        (void)solo_receive(&solo, 3, &wire_record_status, &again);
        node_note_fetches(node, solo.effects);
        (void)solo_tick(&solo, SOLO_RESEND_US);
        node_note_fetches(node, solo.effects);
    }
    assert_int_equal(data_taken(3), 5);
    assert_int_equal(data_taken(0), 0);
}

#define INBOUND_TEST(function_) cmocka_unit_test_setup_teardown(function_, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        INBOUND_TEST(test_pre_prepare_of_this_view_window_edges),
        INBOUND_TEST(test_pre_prepare_of_lower_view_ignored),
        INBOUND_TEST(test_pre_prepare_of_higher_view_let_through),
        INBOUND_TEST(test_undecodable_let_through_to_be_counted),
        INBOUND_TEST(test_other_messages_let_through),
        INBOUND_TEST(test_data_not_asked_for_ignored),
        INBOUND_TEST(test_data_asked_of_one_taken_of_it_as_often),
        INBOUND_TEST(test_data_asked_of_all_taken_of_each),
        INBOUND_TEST(test_data_owed_bounded),
        INBOUND_TEST(test_data_after_a_fetch_of_the_core_taken),
    };
    return cmocka_run_group_tests_name("node inbound", tests, NULL, NULL);
}
