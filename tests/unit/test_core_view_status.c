/* test_core_view_status.c - who is further helps those who are not (STATUS, FETCH of VIEW-CHANGEs; rules 8 and 15), and
 * a primary that is asked to stop (design.md 7.5). Core 3 of N = 4, driven by hand, unless a test says so. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct core_event drain = {.type = CORE_EVENT_DRAIN};

/* It leaves view 0 with its primary. */
static void leave(struct solo *s)
{
    assert_null(solo_view_change(s, 0, 1));
    assert_true(core_summary(s->core).changing);
}

/* ---- STATUS ---- */

static void test_status_says_whether_it_is_changing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    (void)solo_tick(&s, SOLO_HEARTBEAT_US);
    assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_status, 0)).status.flags, 0);
    leave(&s);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_RESEND_US); /* it waits: no heartbeat's time */
    const struct wire_status m = solo_message(solo_send(&s, WIRE_TYPE_status, 0)).status;
    assert_int_equal(m.flags, STATUS_FLAG_CHANGING);
    assert_int_equal(m.view, 1);
    solo_close(&s);
}

static void test_changing_replica_sends_its_view_change_to_who_lacks_it(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    leave(&s);
    struct blob *own = blob_retain(solo_send(&s, WIRE_TYPE_view_change, 0)->send.bytes);
    assert_null(solo_status_in(&s, 1, 0, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 0); /* not durable */
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 1, 0, false));
    const struct core_effect *e = solo_send(&s, WIRE_TYPE_view_change, 0);
    assert_non_null(e);
    assert_int_equal(e->send.to, 1);
    assert_int_equal(e->after, 0);
    assert_true(e->send.resend);
    assert_memory_equal(e->send.bytes->data, own->data, own->len);
    assert_null(solo_status_in(&s, 2, 1, true)); /* it waits for the same view, and may lack Q */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 1);
    blob_release(own);
    solo_close(&s);
}

static void test_changing_replica_sends_nothing_to_who_is_further(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    leave(&s);
    (void)solo_all_persisted(&s);
    assert_null(solo_status_in(&s, 0, 1, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 0);
    assert_null(solo_status_in(&s, 1, 2, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 0);
    assert_null(solo_status_in(&s, 2, 2, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 0);
    solo_close(&s);
}

static void test_view_repair_once_in_an_interval(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    leave(&s);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 1, 0, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 1);
    for (uint32_t i = 0; i < 3; i++) { /* however often it asks */
        assert_null(solo_status_in(&s, 1, 0, false));
        assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 0);
    }
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 1, 0, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 1);
    solo_close(&s);
}

static void test_replica_in_the_view_sends_its_new_view_to_who_lacks_it(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_enter(&s, 1, NULL, 0);
    struct blob *new_view = blob_retain(solo_persist(&s, CORE_PERSIST_NEW_VIEW)->persist.record);
    assert_null(solo_status_in(&s, 0, 0, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_new_view), 0); /* not durable */
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 0, 0, false));
    const struct core_effect *e = solo_send(&s, WIRE_TYPE_new_view, 0);
    assert_non_null(e);
    assert_int_equal(e->send.to, 0);
    assert_memory_equal(e->send.bytes->data, new_view->data, new_view->len);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 0);
    assert_null(solo_status_in(&s, 2, 1, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_new_view), 1);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 2, 1, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_new_view), 0);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 2, 2, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_new_view), 0);
    blob_release(new_view);
    solo_close(&s);
}

/* Its votes of this view mean nothing to a replica that has not entered it. */
static void test_votes_are_not_sent_again_to_who_is_changing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &b};
    assert_null(solo_propose(&s, 1, &b, true));
    solo_enter(&s, 1, &claim, 1);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 2, 1, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 2, 1, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- FETCH ---- */

static const char *fetch(struct solo *s, uint32_t from, uint32_t member, const struct digest *id)
{
    struct wire_fetch m = {
        .sender = from, .kind = DATA_KIND_VIEW_CHANGE, .view = 1, .seq = member, .count = 1, .digest = *id};
    return solo_receive(s, from, &wire_record_fetch, &m);
}

static void test_fetch_of_a_view_change_served(void **state)
{
    struct solo s;
    struct solo_view v;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_view_make(&s, 1, NULL, 0, &v);
    solo_view_say_all(&s, &v);
    for (uint32_t entered = 0; entered < 2; entered++) { /* rule 15: also of the view entered */
        assert_null(fetch(&s, 2, 1, &v.ids[1]));
        const struct core_effect *e = solo_send(&s, WIRE_TYPE_view_change, 0);
        assert_non_null(e);
        assert_int_equal(e->send.to, 2);
        assert_memory_equal(e->send.bytes->data, v.view_changes[1]->data, v.view_changes[1]->len);
        if (entered == 0) assert_null(solo_view_begin(&s, &v));
        (void)solo_all_persisted(&s);
    }
    assert_null(solo_view_change(&s, 1, 2)); /* a newer one does not take its place there */
    assert_null(fetch(&s, 2, 1, &v.ids[1]));
    solo_view_free(&v);
    solo_close(&s);
}

static void test_fetch_of_a_view_change_not_held_ignored(void **state)
{
    struct solo s;
    struct solo_view v;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_view_make(&s, 1, NULL, 0, &v);
    solo_view_say_all(&s, &v);
    assert_string_equal(fetch(&s, 2, 1, &v.ids[0]), "a FETCH of a VIEW-CHANGE not held");
    assert_string_equal(fetch(&s, 2, 4, &v.ids[0]), "a FETCH of the VIEW-CHANGE of no member");
    assert_int_equal(s.effects->count, 0);
    solo_view_free(&v);
    solo_close(&s);
}

static void test_fetch_of_the_own_view_change_only_when_durable(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    leave(&s);
    const struct wire_message m = solo_message(solo_send(&s, WIRE_TYPE_view_change, 0));
    const struct digest id = wire_signing_digest(&s.group->id, m.signed_part);
    assert_string_equal(fetch(&s, 2, 3, &id), "a FETCH of a VIEW-CHANGE not durable yet");
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 0);
    (void)solo_all_persisted(&s);
    assert_null(fetch(&s, 2, 3, &id));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 1);
    solo_close(&s);
}

static void test_fetch_of_view_changes_served_within_limits(void **state)
{
    struct solo s;
    struct digest id;
    struct solo_claim claims[WINDOW_BATCHES];
    uint32_t served = 0;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    for (uint32_t i = 0; i < WINDOW_BATCHES; i++)
        claims[i] = (struct solo_claim){i + 1, 0, &b};
    struct blob *large = solo_view_change_make(&s, 1, 1, claims, WINDOW_BATCHES, &id);
    const uint32_t most = 4u * 1024u * 1024u / (uint32_t)large->len + 1;
    assert_null(solo_receive_bytes(&s, 1, large));
    while (served <= most && fetch(&s, 2, 1, &id) == NULL)
        served++;
    assert_int_equal(served, most);
    assert_string_equal(s.ignored, "a FETCH of more than is served in one interval");
    assert_null(fetch(&s, 0, 1, &id)); /* another member has its own share */
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(fetch(&s, 2, 1, &id));
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- one share for all that is sent again ---- */

#define SHARE (4u * 1024u * 1024u)

/* Core 93 of N = 94, started where it had left for view 1, with an own VIEW-CHANGE of some 1.1 MB. That of member 2, `id`,
 * is here too; four like it fit into a share, and nearly nothing more. */
static size_t open_large(struct solo *s, struct digest *id)
{
    const struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    static struct solo_claim claims[WINDOW_BATCHES];
    solo_open(s, 94, 93);
    struct solo_batch b = solo_batch_make(s, 1);
    for (uint32_t i = 0; i < WINDOW_BATCHES; i++)
        claims[i] = (struct solo_claim){i + 1, 0, &b};
    struct blob *own = solo_view_change_make(s, 93, 1, claims, WINDOW_BATCHES, NULL);
    const uint32_t fewer = (uint32_t)(SHARE / 4 / (own->len / WINDOW_BATCHES)) - 1;
    struct blob *other = solo_view_change_make(s, 2, 1, claims, fewer, id);
    const size_t bytes = other->len;
    const struct core_recovered there = {.view = 1, .clean = true, .windows = windows, .view_change = own};
    solo_start(s, &there);
    (void)solo_all_persisted(s);
    assert_null(solo_receive_bytes(s, 2, other));
    (void)solo_tick(s, SOLO_RESEND_US);
    blob_release(own);
    solo_batch_free(&b);
    return bytes;
}

static void test_view_repair_counts_with_what_is_fetched(void **state)
{
    (void)state;
    for (uint32_t repaired = 0; repaired < 2; repaired++) {
        struct solo s;
        struct digest id;
        uint32_t served = 0;
        const size_t bytes = open_large(&s, &id);
        assert_true(4 * bytes <= SHARE && 5 * bytes > SHARE);
        if (repaired) assert_null(solo_status_in(&s, 1, 0, false));
        assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), repaired);
        while (served < 10 && fetch(&s, 1, 2, &id) == NULL)
            served++;
        assert_int_equal(served, repaired ? 3 : 5);
        solo_close(&s);
    }
}

/* ... but whoever is served batches all the time still hears of the view, though not as often as it likes. */
static void test_view_repair_comes_once_after_all_that_was_fetched(void **state)
{
    struct solo s;
    struct digest id;
    (void)state;
    (void)open_large(&s, &id);
    while (fetch(&s, 1, 2, &id) == NULL) {
    }
    assert_null(solo_status_in(&s, 1, 0, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 1);
    (void)solo_tick(&s, SOLO_RESEND_US / 2);
    assert_null(solo_status_in(&s, 1, 0, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 0);
    assert_null(solo_status_in(&s, 3, 0, false)); /* another member has its own share */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 1);
    (void)solo_tick(&s, SOLO_RESEND_US / 2);
    assert_null(solo_status_in(&s, 1, 0, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 1);
    solo_close(&s);
}

/* ---- before a clean stop ---- */

static void test_drain_primary_leaves_its_view(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_null(solo_step(&s, &drain));
    assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_view_change, 0)).view_change.view, 1);
    assert_non_null(solo_persist(&s, CORE_PERSIST_VIEW_LEFT));
    solo_close(&s);
}

static void test_drain_backup_stays(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    assert_null(solo_step(&s, &drain));
    assert_int_equal(s.effects->count, 0);
    assert_false(core_summary(s.core).changing);
    solo_close(&s);
}

static void test_drain_group_of_one_stays(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 1, 0);
    assert_null(solo_step(&s, &drain));
    assert_int_equal(s.effects->count, 0);
    assert_int_equal(core_summary(s.core).view, 0);
    solo_close(&s);
}

/* The primary of the view that is waited for only has nothing to resign from. */
static void test_drain_while_changing_leaves_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    leave(&s);
    assert_null(solo_step(&s, &drain));
    assert_int_equal(s.effects->count, 0);
    assert_int_equal(core_summary(s.core).view, 1);
    solo_close(&s);
}

/* It becomes primary of the view it waited for: it says at once that it will not be one for long. */
static void test_drain_leaves_a_view_that_begins_with_itself(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_null(solo_request(&s, 0, 1));
    assert_null(solo_step(&s, &drain));
    assert_null(solo_view_change(&s, 0, 1));
    assert_null(solo_view_change(&s, 3, 1));
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    assert_int_equal(core_summary(s.core).view, 2);
    assert_true(core_summary(s.core).changing);
    solo_close(&s);
}

/* All are about to stop: without an end to it they would hand the view around for ever. */
static void test_drain_resigns_once(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_null(solo_request(&s, 0, 1));
    assert_null(solo_step(&s, &drain));
    for (uint64_t view = 1; view <= 5; view += 4) {
        assert_null(solo_view_change(&s, 0, view));
        assert_null(solo_view_change(&s, 3, view));
        (void)solo_all_persisted(&s);
        assert_int_equal(core_summary(s.core).view, view == 1 ? 2 : 5);
    }
    assert_false(core_summary(s.core).changing);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    solo_close(&s);
}

/* It says that it waits for the NEW-VIEW of view 0, which there is none of. */
static void test_nothing_brings_a_member_into_view_0(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 2, 0, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_new_view), 0);
    assert_int_equal(s.effects->count, 0);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_says_whether_it_is_changing),
        cmocka_unit_test(test_changing_replica_sends_its_view_change_to_who_lacks_it),
        cmocka_unit_test(test_changing_replica_sends_nothing_to_who_is_further),
        cmocka_unit_test(test_view_repair_once_in_an_interval),
        cmocka_unit_test(test_replica_in_the_view_sends_its_new_view_to_who_lacks_it),
        cmocka_unit_test(test_votes_are_not_sent_again_to_who_is_changing),
        cmocka_unit_test(test_fetch_of_a_view_change_served),
        cmocka_unit_test(test_fetch_of_a_view_change_not_held_ignored),
        cmocka_unit_test(test_fetch_of_the_own_view_change_only_when_durable),
        cmocka_unit_test(test_fetch_of_view_changes_served_within_limits),
        cmocka_unit_test(test_view_repair_counts_with_what_is_fetched),
        cmocka_unit_test(test_view_repair_comes_once_after_all_that_was_fetched),
        cmocka_unit_test(test_drain_primary_leaves_its_view),
        cmocka_unit_test(test_drain_backup_stays),
        cmocka_unit_test(test_drain_group_of_one_stays),
        cmocka_unit_test(test_drain_while_changing_leaves_nothing),
        cmocka_unit_test(test_drain_leaves_a_view_that_begins_with_itself),
        cmocka_unit_test(test_drain_resigns_once),
        cmocka_unit_test(test_nothing_brings_a_member_into_view_0),
    };
    return cmocka_run_group_tests_name("core_view_status", tests, NULL, NULL);
}
