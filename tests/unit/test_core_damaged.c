/* test_core_damaged.c - a start with a damaged vote record: fenced (design.md 7.6), no vote and no VIEW-CHANGE, since any of
 * them might contradict what was lost. How a replica is fenced otherwise is test_core_fence.c's. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Member 1 of four, executed up to 256, stable at 0. */
static void open_fenced(struct solo *s, bool damaged, uint64_t fence_until)
{
    static struct core_client_window windows[SOLO_CLIENTS];
    struct core_recovered_checkpoint checkpoints[2];
    for (uint32_t i = 0; i < 2; i++)
        checkpoints[i] = (struct core_recovered_checkpoint){.seq = (i + 1) * CHECKPOINT_INTERVAL,
                                                            .header_hash = solo_header((i + 1) * CHECKPOINT_INTERVAL),
                                                            .state_root = solo_root((i + 1) * CHECKPOINT_INTERVAL)};
    const struct core_recovered r = {.damaged = damaged,
                                     .fence_until = fence_until,
                                     .executed = WINDOW_BATCHES,
                                     .executed_time_ms = SOLO_WALL_MS,
                                     .windows = windows,
                                     .checkpoints = checkpoints,
                                     .checkpoint_count = 2};
    solo_open(s, 4, 1);
    solo_start(s, &r);
    (void)solo_all_persisted(s);
}

static void open_damaged(struct solo *s, bool damaged)
{
    open_fenced(s, damaged, 0);
}

static bool leaves_its_view(struct solo *s)
{
    assert_null(solo_request(s, 0, 1));
    for (uint32_t i = 0; i < 60; i++) {
        (void)solo_tick(s, SOLO_TIMEOUT_US / 20);
        if (solo_persist(s, CORE_PERSIST_VIEW_LEFT) != NULL) return true;
    }
    return false;
}

static void make_stable(struct solo *s, uint64_t seq)
{
    (void)solo_checkpoint(s, 0, seq);
    (void)solo_checkpoint(s, 2, seq);
    (void)solo_checkpoint(s, 3, seq);
    (void)solo_all_persisted(s);
    assert_int_equal(core_summary(s->core).low, seq);
}

static void test_damaged_start_does_not_time_out(void **state)
{
    struct solo s;
    (void)state;
    open_damaged(&s, false); /* without the damage it does */
    assert_true(leaves_its_view(&s));
    solo_close(&s);
    open_damaged(&s, true);
    assert_true(core_summary(s.core).fenced);
    assert_false(leaves_its_view(&s));
    solo_close(&s);
}

static void test_damaged_start_joins_nobody(void **state)
{
    struct solo s;
    (void)state;
    open_damaged(&s, true);
    struct wire_view_change first = {.sender = 2, .view = 1};
    struct wire_view_change second = {.sender = 3, .view = 1};
    (void)solo_receive(&s, 2, &wire_record_view_change, &first);
    (void)solo_receive(&s, 3, &wire_record_view_change, &second);
    assert_null(solo_persist(&s, CORE_PERSIST_VIEW_LEFT));
    assert_int_equal(core_summary(s.core).view, 0);
    solo_close(&s);
}

static void test_damaged_start_prepares_nothing_until_the_fence_is_stable(void **state)
{
    struct solo s;
    (void)state;
    open_fenced(&s, true, WINDOW_BATCHES); /* an earlier start has found out until when */
    make_stable(&s, CHECKPOINT_INTERVAL); /* not enough */
    assert_true(core_summary(s.core).fenced);
    struct solo_batch b = solo_batch_make(&s, WINDOW_BATCHES + 1);
    assert_null(solo_propose(&s, WINDOW_BATCHES + 1, &b, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    make_stable(&s, WINDOW_BATCHES);
    assert_false(core_summary(s.core).fenced);
    (void)solo_tick(&s, 1000);
    (void)solo_all_persisted(&s);
    assert_true(leaves_its_view(&s)); /* it takes part again */
    solo_batch_free(&b);
    solo_close(&s);
}

/* It had left for view 1, and waits for its NEW-VIEW: it neither begins that as its
 * primary, nor goes on to view 2, nor says its VIEW-CHANGE again. */
static void test_damaged_start_between_views_waits(void **state)
{
    struct solo s;
    struct core_client_window windows[SOLO_CLIENTS] = {0};
    (void)state;
    for (uint32_t damaged = 0; damaged < 2; damaged++) {
        solo_open(&s, 4, 1);
        struct wire_view_change own = {.sender = 1, .view = 1};
        fixture_sign_message(s.group, &wire_record_view_change, &own);
        struct blob *message = wire_encode_blob(&wire_record_view_change, &own);
        const struct core_recovered r = {
            .view = 1, .view_change = message, .damaged = damaged == 1, .windows = windows};
        solo_start(&s, &r);
        (void)solo_all_persisted(&s);
        (void)solo_tick(&s, SOLO_RESEND_US);
        assert_null(solo_status(&s, 2, 0, NULL));
        assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), damaged == 1 ? 0 : 1);
        bool left = false;
        for (uint32_t id = 2; id < 4; id++) {
            struct wire_view_change m = {.sender = id, .view = 1};
            (void)solo_receive(&s, id, &wire_record_view_change, &m);
            left |= solo_persist(&s, CORE_PERSIST_NEW_VIEW) != NULL; /* it is the primary of view 1 */
        }
        for (uint32_t i = 0; i < 30; i++) {
            (void)solo_tick(&s, SOLO_TIMEOUT_US / 10);
            left |= solo_persist(&s, CORE_PERSIST_VIEW_LEFT) != NULL;
        }
        assert_int_equal(left, damaged == 0);
        blob_release(message);
        solo_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_start_does_not_time_out),
        cmocka_unit_test(test_damaged_start_joins_nobody),
        cmocka_unit_test(test_damaged_start_between_views_waits),
        cmocka_unit_test(test_damaged_start_prepares_nothing_until_the_fence_is_stable),
    };
    return cmocka_run_group_tests_name("core_damaged", tests, NULL, NULL);
}
