/* test_core_request.c - which requests are taken, custody, BUSY, forwarding (rule 25). One core driven by hand,
 * N = 4. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A request of a client that the group file does not have: signed by its own key, with a good signature. */
static struct blob *stranger_request(const struct solo *s)
{
    uint8_t space[64];
    struct writer w = writer_of(space, sizeof space);
    struct wire_operation op = {.app = 1, .verb = 1};
    struct wire_request m = {.seq = 1, .expiry_ms = TIME_MS_MAX};
    m.client = fixture_group(5, 5)->members[4].transport_key;
    wire_list_add(&m.ops, &w, &wire_record_operation, &op);
    const struct digest statement = wire_record_signing_digest(&s->group->id, &wire_record_request, &m);
    m.signature = fixture_signature(&m.client, &statement);
    return wire_encode_blob(&wire_record_request, &m);
}

/* ---- refusals ---- */

static void test_request_of_unknown_client_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_string_equal(solo_receive_bytes(&s, UINT32_MAX, stranger_request(&s)), "request of an unknown client");
    assert_int_equal(s.effects->count, 0);
    solo_close(&s);
}

static void test_request_with_bad_signature_refused_by_verify(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    struct blob *q = fixture_request(s.group, 0, 1, s.wall_ms + 1000, "key", "value");
    q->data[q->len - 1] ^= 1;
    assert_string_equal(solo_verify(&s, q), "the signature of a request is wrong");
    solo_close(&s);
}

static void test_request_too_far_is_busy(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_string_equal(solo_request(&s, 0, 2 * CLIENT_WINDOW + 1), "request above its client's window");
    assert_int_equal(solo_busy(&s), BUSY_TOO_FAR);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    solo_close(&s);
}

/* One window further is held: this replica may be behind what the client has accepted already. */
static void test_request_one_window_ahead_is_held_and_proposed_later(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_null(solo_request(&s, 0, CLIENT_WINDOW + 1));
    assert_int_equal(solo_busy(&s), BUSY_TOO_FAR);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    assert_null(solo_request(&s, 0, CLIENT_WINDOW)); /* the edge of the window itself */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 1);
    assert_int_equal(core_summary(s.core).custody, 2);
    solo_close(&s);
}

static void test_request_one_window_ahead_is_not_held_by_a_backup(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_string_equal(solo_request(&s, 0, CLIENT_WINDOW + 1), "request above its client's window");
    assert_int_equal(solo_busy(&s), BUSY_TOO_FAR);
    assert_int_equal(core_summary(s.core).custody, 0);
    assert_null(solo_request(&s, 0, CLIENT_WINDOW)); /* the edge */
    assert_int_equal(core_summary(s.core).custody, 1);
    solo_close(&s);
}

/* A client that fills a second window with what can never be proposed gets a small share, for a while. */
static void test_request_one_window_ahead_is_let_go_after_a_while(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    for (uint64_t seq = CLIENT_WINDOW + 1; seq <= 2 * CLIENT_WINDOW; seq++)
        assert_null(solo_request(&s, 0, seq));
    assert_int_equal(core_summary(s.core).custody, CLIENT_WINDOW);
    (void)solo_tick(&s, SOLO_TIMEOUT_US);
    assert_int_equal(core_summary(s.core).custody, CLIENT_WINDOW);
    (void)solo_tick(&s, 100000);
    assert_int_equal(core_summary(s.core).custody, 0);
    solo_close(&s);
}

static void test_requests_one_window_ahead_are_bounded_in_bytes(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    uint32_t held = 0;
    for (uint64_t seq = CLIENT_WINDOW + 1; seq <= CLIENT_WINDOW + 5; seq++)
        if (solo_receive_bytes(&s, UINT32_MAX, fixture_request_sized(s.group, 0, seq, s.wall_ms + 60000, 100000)) ==
            NULL)
            held++;
    assert_int_equal(held, 2); /* 256 KiB of one client */
    solo_close(&s);
}

static void test_settled_request_forwarded_gets_no_answer(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = 0, .seq = 1};
    (void)state;
    solo_ready(&s, 1, 0);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_all_persisted(&s);
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1));
    struct blob *q = fixture_request(s.group, 0, 1, s.wall_ms + 1000, "key", "value");
    assert_string_equal(solo_receive_bytes(&s, 0, q), "a settled request was forwarded");
    assert_int_equal(solo_count(&s, CORE_EFFECT_ANSWER), 0); /* its client asks whom it wants an answer of */
    solo_close(&s);
}

static void test_request_below_window_is_too_old(void **state)
{
    struct solo s;
    struct core_client_window windows[SOLO_CLIENTS] = {{.highest_settled = 100, .settled = 0}};
    const struct core_recovered r = {.clean = true, .windows = windows};
    (void)state;
    solo_open(&s, 4, 0);
    solo_start(&s, &r);
    assert_string_equal(solo_request(&s, 0, 100 - CLIENT_WINDOW), "request below its client's window");
    assert_int_equal(solo_busy(&s), BUSY_TOO_OLD);
    assert_null(solo_request(&s, 0, 100 - CLIENT_WINDOW + 1));
    assert_int_equal(core_client_highest(s.core, 0), 100);
    assert_int_equal(core_client_highest(s.core, SOLO_CLIENTS), 0);
    solo_close(&s);
}

static void test_request_settled_is_answered_from_the_ledger(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = 0, .seq = 1};
    (void)state;
    solo_ready(&s, 4, 1);
    solo_commit(&s, 1);
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1));
    assert_null(solo_request(&s, 0, 1));
    const struct core_effect *e = solo_effect(&s, CORE_EFFECT_ANSWER, 0);
    assert_non_null(e);
    assert_int_equal(e->answer.client, 0);
    assert_int_equal(e->answer.seq, 1);
    assert_int_equal(s.effects->count, 1);
    solo_close(&s);
}

static void test_request_held_already_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_null(solo_request(&s, 0, 1));
    assert_string_equal(solo_request(&s, 0, 1), "a request with this client sequence is in custody already");
    assert_int_equal(s.effects->count, 0);
    solo_close(&s);
}

static void test_request_while_draining_is_busy(void **state)
{
    struct solo s;
    const struct core_event drain = {.type = CORE_EVENT_DRAIN};
    (void)state;
    solo_ready(&s, 4, 0);
    assert_null(solo_step(&s, &drain));
    assert_string_equal(solo_request(&s, 0, 1), "custody is full");
    assert_int_equal(solo_busy(&s), BUSY_NOT_READY);
    solo_close(&s);
}

static void test_custody_full_is_busy_and_says_when_to_retry(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 1);
    s.group = fixture_group(4, 64);
    s.wire = fixture_wire_group(s.group);
    s.config.group = s.wire;
    s.config.client_count = 64;
    struct core_client_window *windows = mem_zero(64, sizeof *windows);
    const struct core_recovered r = {.clean = true, .windows = windows};
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    for (uint32_t i = 0; i < 2048; i++)
        assert_null(solo_request(&s, i / CLIENT_WINDOW, i % CLIENT_WINDOW + 1));
    assert_string_equal(solo_request(&s, 40, 1), "custody is full");
    assert_int_equal(solo_busy(&s), BUSY_OVERLOAD);
    const struct wire_message m = solo_message(solo_effect(&s, CORE_EFFECT_SEND_CLIENT, 0));
    assert_int_equal(m.busy.retry_ms, SOLO_TIMEOUT_US / 2000);
    assert_int_equal(core_summary(s.core).custody, 2048);
    free(windows);
    solo_close(&s);
}

static void test_request_forwarded_to_backup_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *q = fixture_request(s.group, 0, 1, s.wall_ms + 1000, "key", "value");
    assert_string_equal(solo_receive_bytes(&s, 2, q), "a request was forwarded to a backup");
    solo_close(&s);
}

static void test_forwarded_request_gets_no_busy(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    struct blob *q = fixture_request(s.group, 0, 500, s.wall_ms + 1000, "key", "value");
    assert_string_equal(solo_receive_bytes(&s, 2, q), "request above its client's window");
    assert_int_equal(s.effects->count, 0);
    solo_close(&s);
}

/* ---- custody of a backup (rule 25) ---- */

static void test_backup_forwards_to_the_primary(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_null(solo_request(&s, 0, 1));
    const struct core_effect *e = solo_send(&s, WIRE_TYPE_request, 0);
    assert_non_null(e);
    assert_int_equal(e->send.to, 0);
    assert_false(e->send.resend);
    solo_close(&s);
}

static void test_backup_forwards_again_until_settled(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = 0, .seq = 1};
    (void)state;
    solo_ready(&s, 4, 1);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, 4 * SOLO_RESEND_US - 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 0);
    for (uint32_t round = 0; round < 3; round++) {
        (void)solo_tick(&s, 4 * SOLO_RESEND_US);
        assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 1);
        assert_true(solo_send(&s, WIRE_TYPE_request, 0)->send.resend);
    }
    solo_commit(&s, 1);
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1));
    assert_int_equal(core_summary(s.core).custody, 0);
    (void)solo_tick(&s, 8 * SOLO_RESEND_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 0);
    solo_close(&s);
}

static void test_custody_released_when_another_transaction_takes_the_slot(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = 0, .seq = 1}; /* by which transaction makes no difference */
    (void)state;
    solo_ready(&s, 4, 1);
    assert_null(solo_request(&s, 0, 1));
    assert_null(solo_request(&s, 0, 2));
    solo_commit(&s, 1);
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1));
    assert_int_equal(core_summary(s.core).custody, 1); /* 2 is still held */
    solo_close(&s);
}

static void test_custody_released_below_the_window(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = 0, .seq = 1 + CLIENT_WINDOW};
    (void)state;
    solo_ready(&s, 4, 1);
    assert_null(solo_request(&s, 0, 1));
    solo_commit(&s, 1);
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1)); /* 1 falls out of the window */
    (void)solo_tick(&s, 200000);
    assert_int_equal(core_summary(s.core).custody, 0);
    solo_close(&s);
}

static void test_custody_released_past_expiry_and_drift(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *q = fixture_request(s.group, 0, 1, s.wall_ms + 1000, "key", "value");
    assert_null(solo_receive_bytes(&s, UINT32_MAX, q));
    (void)solo_tick(&s, (1000 + SOLO_DRIFT_MS) * 1000ull);
    assert_int_equal(core_summary(s.core).custody, 1);
    (void)solo_tick(&s, 101000);
    assert_int_equal(core_summary(s.core).custody, 0);
    solo_close(&s);
}

static void test_custody_of_unknown_client_settled_ignored(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = SOLO_CLIENTS, .seq = 1};
    (void)state;
    solo_ready(&s, 4, 1);
    solo_commit(&s, 1);
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1));
    solo_close(&s);
}

static void test_window_rises_by_more_than_itself(void **state)
{
    struct solo s;
    const struct core_settled settled[] = {{0, 5}, {0, 7}, {0, 6}, {0, 1000}, {0, 999}, {0, 900}};
    (void)state;
    solo_ready(&s, 4, 1);
    solo_commit(&s, 1);
    assert_null(solo_executed(&s, 1, s.wall_ms, settled, 6));
    assert_int_equal(core_client_highest(s.core, 0), 1000);
    (void)solo_request(&s, 0, 999);
    assert_int_equal(solo_count(&s, CORE_EFFECT_ANSWER), 1);
    (void)solo_request(&s, 0, 998);
    assert_int_equal(solo_count(&s, CORE_EFFECT_ANSWER), 0); /* 998 % W was never settled in this window */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 1);
    (void)solo_request(&s, 0, 900);
    assert_int_equal(solo_busy(&s), BUSY_TOO_OLD);
    solo_close(&s);
}

/* ---- two windows in one ring of places ---- */

/* A late sequence of the window is settled: a request a whole ring above it stands in the same place, and stays. */
static void test_settled_sequence_does_not_release_the_request_that_shares_its_place(void **state)
{
    struct core_client_window windows[SOLO_CLIENTS] = {{.highest_settled = 40, .settled = 1ull << 40}};
    const struct core_recovered r = {.clean = true, .windows = windows};
    const struct core_settled late = {.client = 0, .seq = 30};
    struct solo s;
    (void)state;
    solo_open(&s, 4, 0);
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    assert_null(solo_request(&s, 0, 30 + 2 * CLIENT_WINDOW)); /* above its window: held until that has moved */
    assert_int_equal(core_summary(s.core).custody, 1);
    struct solo_batch b = solo_batch_make(&s, 30);
    assert_null(solo_block(&s, 2, 1, &b, NULL));
    assert_null(solo_executed(&s, 1, s.wall_ms, &late, 1));
    assert_int_equal(core_summary(s.core).custody, 1);
    assert_true(core_holdings(s.core).counters_right);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_request_forwarded_while_the_disk_is_full_gets_no_busy(void **state)
{
    const struct core_event full = {.type = CORE_EVENT_DISK, .disk_full = true};
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_null(solo_step(&s, &full));
    struct blob *q = fixture_request(s.group, 0, 1, s.wall_ms + 1000, "key", "value");
    assert_string_equal(solo_receive_bytes(&s, 2, blob_retain(q)), "the disk is full");
    assert_int_equal(solo_busy(&s), 0);
    assert_string_equal(solo_receive_bytes(&s, UINT32_MAX, q), "the disk is full");
    assert_int_equal(solo_busy(&s), BUSY_DISK_FULL);
    solo_close(&s);
}

/* The primary has left more unanswered than is said again in one look: the next look goes on where this one ended. */
static void test_backup_forwards_again_so_many_requests_in_one_look(void **state)
{
    enum { CLIENTS = 10, ALL = CLIENTS * CLIENT_WINDOW, MOST = 512 };
    static bool forwarded[CLIENTS][CLIENT_WINDOW + 1];
    struct core_client_window *windows = mem_zero(CLIENTS, sizeof *windows);
    const struct core_recovered r = {.clean = true, .windows = windows};
    struct solo s;
    (void)state;
    solo_open(&s, 4, 1);
    s.group = fixture_group(4, CLIENTS);
    s.wire = fixture_wire_group(s.group);
    s.config.group = s.wire;
    s.config.client_count = CLIENTS;
    s.config.timeout_us = s.config.timeout_cap_us = 1000 * SOLO_TIMEOUT_US;
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    for (uint32_t client = 0; client < CLIENTS; client++)
        for (uint64_t seq = 1; seq <= CLIENT_WINDOW; seq++)
            assert_null(solo_request(&s, client, seq));
    uint32_t total = 0;
    (void)solo_tick(&s, 4 * SOLO_RESEND_US);
    for (uint32_t look = 0; look < 2; look++) {
        const uint32_t count = solo_sent(&s, WIRE_TYPE_request);
        assert_int_equal(count, look == 0 ? MOST : ALL - MOST);
        for (uint32_t k = 0; k < count; k++) {
            const struct wire_request q = solo_message(solo_send(&s, WIRE_TYPE_request, k)).request;
            const int client = group_client_by_key(s.group, &q.client);
            assert_in_range(client, 0, CLIENTS - 1);
            assert_false(forwarded[client][q.seq]); /* none twice */
            forwarded[client][q.seq] = true;
            total++;
        }
        (void)solo_tick(&s, SOLO_RESEND_US);
    }
    assert_int_equal(total, ALL);
    free(windows);
    solo_close(&s);
}

/* Its disk was full while the others went on from view to view, some of them alone: with room again it follows all of
 * them in one step, and each new primary would hear of all that is held. What does not fit into the step is said in the
 * next look. */
static void test_backup_that_follows_through_many_views_forwards_within_one_step(void **state)
{
    enum { CLIENTS = 10 };
    static const uint64_t views[7] = {0, 1, 2, 3, 3, 3, 0};
    const struct core_event full = {.type = CORE_EVENT_DISK, .disk_full = true};
    const struct core_event room = {.type = CORE_EVENT_DISK, .disk_full = false};
    struct core_client_window *windows = mem_zero(CLIENTS, sizeof *windows);
    const struct core_recovered r = {.clean = true, .windows = windows};
    struct solo s;
    (void)state;
    solo_open(&s, 7, 6);
    s.group = fixture_group(7, CLIENTS);
    s.wire = fixture_wire_group(s.group);
    s.config.group = s.wire;
    s.config.client_count = CLIENTS;
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    for (uint32_t client = 0; client < CLIENTS; client++)
        for (uint64_t seq = 1; seq <= CLIENT_WINDOW; seq++)
            assert_null(solo_request(&s, client, seq));
    assert_null(solo_step(&s, &full));
    for (uint32_t id = 1; id <= 5; id++)
        assert_null(solo_view_change(&s, id, views[id]));
    assert_int_equal(core_summary(s.core).view, 0);
    assert_null(solo_step(&s, &room));
    (void)solo_tick(&s, 4 * SOLO_RESEND_US);
    assert_int_equal(core_summary(s.core).view, 3);
    assert_true(s.effects->count < 2 * CORE_EFFECTS_ENOUGH);
    const struct core_effect *last = NULL;
    for (uint32_t look = 0; look < 20; look++) { /* and the primary of view 3 hears of all of them */
        (void)solo_tick(&s, SOLO_RESEND_US);
        if (solo_sent(&s, WIRE_TYPE_request) > 0) last = solo_send(&s, WIRE_TYPE_request, 0);
        if (last != NULL) assert_int_equal(last->send.to, 3);
        if (last != NULL) break;
    }
    assert_non_null(last);
    free(windows);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_of_unknown_client_ignored),
        cmocka_unit_test(test_request_with_bad_signature_refused_by_verify),
        cmocka_unit_test(test_request_too_far_is_busy),
        cmocka_unit_test(test_request_one_window_ahead_is_held_and_proposed_later),
        cmocka_unit_test(test_request_one_window_ahead_is_not_held_by_a_backup),
        cmocka_unit_test(test_request_one_window_ahead_is_let_go_after_a_while),
        cmocka_unit_test(test_requests_one_window_ahead_are_bounded_in_bytes),
        cmocka_unit_test(test_settled_request_forwarded_gets_no_answer),
        cmocka_unit_test(test_request_below_window_is_too_old),
        cmocka_unit_test(test_request_settled_is_answered_from_the_ledger),
        cmocka_unit_test(test_request_held_already_ignored),
        cmocka_unit_test(test_request_while_draining_is_busy),
        cmocka_unit_test(test_custody_full_is_busy_and_says_when_to_retry),
        cmocka_unit_test(test_request_forwarded_to_backup_ignored),
        cmocka_unit_test(test_forwarded_request_gets_no_busy),
        cmocka_unit_test(test_backup_forwards_to_the_primary),
        cmocka_unit_test(test_backup_forwards_again_until_settled),
        cmocka_unit_test(test_custody_released_when_another_transaction_takes_the_slot),
        cmocka_unit_test(test_custody_released_below_the_window),
        cmocka_unit_test(test_custody_released_past_expiry_and_drift),
        cmocka_unit_test(test_custody_of_unknown_client_settled_ignored),
        cmocka_unit_test(test_window_rises_by_more_than_itself),
        cmocka_unit_test(test_settled_sequence_does_not_release_the_request_that_shares_its_place),
        cmocka_unit_test(test_request_forwarded_while_the_disk_is_full_gets_no_busy),
        cmocka_unit_test(test_backup_forwards_again_so_many_requests_in_one_look),
        cmocka_unit_test(test_backup_that_follows_through_many_views_forwards_within_one_step),
    };
    return cmocka_run_group_tests_name("core_request", tests, NULL, NULL);
}
