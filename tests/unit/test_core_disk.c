/* test_core_disk.c - a core whose disk has no room: it promises nothing new, follows the others, says so to clients, and goes
 * on as soon as there is room again (design.md section 7). */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *disk(struct solo *s, bool full)
{
    const struct core_event event = {.type = CORE_EVENT_DISK, .disk_full = full};
    return solo_step(s, &event);
}

/* Member `self` of four, whose disk is full. */
static void open_full(struct solo *s, uint32_t self)
{
    solo_ready(s, 4, self);
    assert_null(disk(s, true));
    assert_true(core_summary(s->core).disk_full);
}

static void test_disk_full_is_told_once(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_string_equal(disk(&s, false), "known already");
    assert_null(disk(&s, true));
    assert_string_equal(disk(&s, true), "known already");
    solo_close(&s);
}

static void test_disk_full_backup_prepares_when_there_is_room(void **state)
{
    struct solo s;
    (void)state;
    open_full(&s, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    assert_null(disk(&s, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_disk_full_no_certificate_and_no_commit_until_there_is_room(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true); /* prepared by this one already */
    assert_null(disk(&s, true));
    (void)solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest);
    assert_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 0);
    assert_null(disk(&s, false));
    assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_disk_full_primary_proposes_when_there_is_room(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    struct solo_batch first = solo_batch_make(&s, 1);
    assert_null(solo_request(&s, 0, 1)); /* proposed at once */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 1);
    assert_null(solo_request(&s, 0, 2)); /* held: a batch is under way */
    assert_null(disk(&s, true));
    (void)solo_tick(&s, 100000);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    assert_null(disk(&s, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 1);
    solo_batch_free(&first);
    solo_close(&s);
}

static void test_disk_full_request_is_busy_and_not_taken(void **state)
{
    struct solo s;
    (void)state;
    for (uint32_t self = 0; self < 2; self++) {
        open_full(&s, self);
        assert_string_equal(solo_request(&s, 0, 1), "the disk is full");
        assert_int_equal(solo_busy(&s), BUSY_DISK_FULL);
        assert_int_equal(core_summary(s.core).custody, 0);
        assert_null(disk(&s, false));
        assert_null(solo_request(&s, 0, 1));
        solo_close(&s);
    }
}

/* One above its client's window, and one that is held already: the client asks why it waits. */
static void test_disk_full_is_said_of_any_request_that_waits(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_null(solo_request(&s, 0, 1));
    assert_null(disk(&s, true));
    assert_string_equal(solo_request(&s, 0, 1), "the disk is full");
    assert_int_equal(solo_busy(&s), BUSY_DISK_FULL);
    assert_string_equal(solo_request(&s, 1, CLIENT_WINDOW + 1), "the disk is full");
    assert_int_equal(solo_busy(&s), BUSY_DISK_FULL);
    assert_int_equal(core_summary(s.core).custody, 1);
    solo_close(&s);
}

/* Views climbed for ever when nothing could execute; and the time without room is not held against the primary. */
static void test_disk_full_does_not_time_out_and_waits_anew_with_room(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_null(solo_request(&s, 0, 1));
    assert_null(disk(&s, true));
    for (uint32_t i = 0; i < 40; i++) {
        (void)solo_tick(&s, SOLO_TIMEOUT_US / 4);
        assert_null(solo_persist(&s, CORE_PERSIST_VIEW_LEFT));
    }
    assert_null(disk(&s, false));
    (void)solo_tick(&s, SOLO_TIMEOUT_US - 1);
    assert_null(solo_persist(&s, CORE_PERSIST_VIEW_LEFT));
    (void)solo_tick(&s, 1);
    assert_non_null(solo_persist(&s, CORE_PERSIST_VIEW_LEFT));
    solo_close(&s);
}

static void test_disk_full_waits_for_a_new_view_and_leaves_for_none_until_there_is_room(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    (void)solo_view_change(&s, 1, 1);
    (void)solo_view_change(&s, 2, 1); /* joined: Q are here, the NEW-VIEW timer runs */
    (void)solo_all_persisted(&s);
    assert_true(core_summary(s.core).changing);
    assert_null(disk(&s, true));
    for (uint32_t i = 0; i < 40; i++) {
        (void)solo_tick(&s, SOLO_TIMEOUT_US / 4);
        assert_int_equal(core_summary(s.core).view, 1);
    }
    assert_null(disk(&s, false));
    (void)solo_tick(&s, SOLO_TIMEOUT_US - 1);
    assert_int_equal(core_summary(s.core).view, 1);
    (void)solo_tick(&s, 1);
    assert_int_equal(core_summary(s.core).view, 2);
    solo_close(&s);
}

static void test_disk_full_joins_the_others_when_there_is_room(void **state)
{
    struct solo s;
    (void)state;
    open_full(&s, 3);
    (void)solo_view_change(&s, 0, 1); /* the primary resigns */
    (void)solo_view_change(&s, 2, 1); /* and another */
    assert_null(solo_persist(&s, CORE_PERSIST_VIEW_LEFT));
    assert_int_equal(core_summary(s.core).view, 0);
    assert_null(disk(&s, false));
    (void)solo_tick(&s, 1000);
    assert_non_null(solo_persist(&s, CORE_PERSIST_VIEW_LEFT));
    assert_int_equal(core_summary(s.core).view, 1);
    solo_close(&s);
}

static void test_disk_full_primary_to_be_begins_its_view_when_there_is_room(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    (void)solo_view_change(&s, 2, 1);
    (void)solo_view_change(&s, 3, 1);
    (void)disk(&s, true); /* it joined, and was the last of Q: begun before the disk was full */
    assert_false(core_summary(s.core).changing);
    solo_close(&s);

    solo_ready(&s, 4, 1);
    (void)solo_view_change(&s, 0, 1); /* the primary resigns, so this one leaves too */
    (void)solo_all_persisted(&s);
    assert_true(core_summary(s.core).changing);
    assert_null(disk(&s, true));
    (void)solo_view_change(&s, 3, 1);
    assert_null(solo_persist(&s, CORE_PERSIST_NEW_VIEW));
    assert_null(disk(&s, false));
    (void)solo_tick(&s, 1000);
    assert_non_null(solo_persist(&s, CORE_PERSIST_NEW_VIEW));
    solo_close(&s);
}

static void test_disk_full_follows_the_others_into_their_view(void **state)
{
    struct solo s;
    (void)state;
    open_full(&s, 3);
    solo_enter(&s, 1, NULL, 0);
    assert_int_equal(core_summary(s.core).view, 1);
    assert_false(core_summary(s.core).changing);
    solo_close(&s);
}

/* What a NEW-VIEW names and is not here is asked for until it comes. */
static void test_disk_full_asks_on_for_what_a_new_view_names(void **state)
{
    struct solo s;
    struct solo_view v;
    (void)state;
    open_full(&s, 3);
    solo_view_make(&s, 1, NULL, 0, &v);
    (void)solo_view_begin(&s, &v);
    assert_true(solo_sent(&s, WIRE_TYPE_fetch) > 0);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_true(solo_sent(&s, WIRE_TYPE_fetch) > 0);
    solo_view_free(&v);
    solo_close(&s);
}

/* A certificate that waits for room has had no COMMIT: reads need not wait for it (rule 23). One that is durable counts. */
static void test_disk_full_reads_wait_for_durable_certificates_only(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        struct solo_batch b = solo_batch_make(&s, seq);
        (void)solo_propose(&s, seq, &b, true);
        (void)solo_vote(&s, WIRE_TYPE_prepare, 2, seq, &b.digest);
        assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED));
        if (seq == 1) (void)solo_all_persisted(&s);
        solo_batch_free(&b);
    }
    assert_int_equal(core_summary(s.core).read_barrier, 2);
    assert_null(disk(&s, true));
    assert_int_equal(core_summary(s.core).read_barrier, 1);
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).read_barrier, 2);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk_full_is_told_once),
        cmocka_unit_test(test_disk_full_backup_prepares_when_there_is_room),
        cmocka_unit_test(test_disk_full_no_certificate_and_no_commit_until_there_is_room),
        cmocka_unit_test(test_disk_full_primary_proposes_when_there_is_room),
        cmocka_unit_test(test_disk_full_request_is_busy_and_not_taken),
        cmocka_unit_test(test_disk_full_is_said_of_any_request_that_waits),
        cmocka_unit_test(test_disk_full_does_not_time_out_and_waits_anew_with_room),
        cmocka_unit_test(test_disk_full_waits_for_a_new_view_and_leaves_for_none_until_there_is_room),
        cmocka_unit_test(test_disk_full_joins_the_others_when_there_is_room),
        cmocka_unit_test(test_disk_full_primary_to_be_begins_its_view_when_there_is_room),
        cmocka_unit_test(test_disk_full_follows_the_others_into_their_view),
        cmocka_unit_test(test_disk_full_asks_on_for_what_a_new_view_names),
        cmocka_unit_test(test_disk_full_reads_wait_for_durable_certificates_only),
    };
    return cmocka_run_group_tests_name("core_disk", tests, NULL, NULL);
}
