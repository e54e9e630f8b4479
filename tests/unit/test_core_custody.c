/* test_core_custody.c - how much custody holds: shares in bytes of one client and of all, what is held above a client's
 * window, what a backup forwards again (design.md section 8, rule 25). What a request must be to be taken is
 * test_core_request.c's. One core driven by hand. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1024u * 1024u)
#define PARKED_SHARE (256u * 1024u)
#define ABOVE (CLIENT_WINDOW + 1) /* the first sequence above the window of a client that has settled nothing */
#define SWEEP_US 100000u
#define MANY 17u

/* Member `self` of a group of four, or of one, that knows so many clients. */
static void open_with_clients(struct solo *s, uint32_t member_count, uint32_t self, uint32_t client_count)
{
    struct core_client_window *windows = mem_zero(client_count, sizeof *windows);
    const struct core_recovered fresh = {.clean = true, .windows = windows};
    solo_open(s, member_count, self);
    s->config.client_count = client_count;
    solo_start(s, &fresh);
    (void)solo_all_persisted(s);
    free(windows);
}

/* A request of exactly so many bytes, 70000 at least, signature and all. The key in it is client 0's. */
static struct blob *request_of_bytes(const struct solo *s, uint64_t seq, size_t bytes)
{
    struct blob *probe = fixture_request_sized(s->group, 0, seq, s->wall_ms + 60000, 70000);
    const size_t around = probe->len - 70000;
    blob_release(probe);
    struct blob *out = fixture_request_sized(s->group, 0, seq, s->wall_ms + 60000, bytes - around);
    assert_int_equal(out->len, bytes);
    return out;
}

/* Gives the core a request, still the caller's, as client number `client`: the core asks for that, not for the key. */
static const char *take(struct solo *s, uint32_t client, struct blob *request)
{
    struct msg_verified verified;
    assert_null(msg_verify(&s->wire, fixture_checker(), blob_retain(request), &verified));
    struct core_event event = {.type = CORE_EVENT_MESSAGE};
    event.message.verified = &verified;
    event.message.from = UINT32_MAX;
    event.message.client = client;
    const char *ignored = solo_step(s, &event);
    msg_verified_release(&verified);
    return ignored;
}

/* The same for a request of so many bytes, made for it. */
static const char *take_bytes(struct solo *s, uint32_t client, uint64_t seq, size_t bytes)
{
    struct blob *q = request_of_bytes(s, seq, bytes);
    const char *ignored = take(s, client, q);
    blob_release(q);
    return ignored;
}

/* Settles so many MiB of a client's requests in a second, in batches from sequence 1 on: then custody takes what clears in
 * half of T at that rate, 1 s here. */
static void settle_in_a_second(struct solo *s, uint32_t client, uint64_t mib)
{
    (void)solo_tick(s, 1000000);
    for (uint64_t seq = 1; seq <= mib; seq++) {
        const struct core_settled settled = {.client = client, .seq = seq};
        assert_null(take_bytes(s, client, seq, MIB));
        solo_commit(s, seq);
        assert_null(solo_executed(s, seq, s->wall_ms, &settled, 1));
    }
    (void)solo_tick(s, 1000000);
}

/* ---- the share of one client, and of all ---- */

static void test_custody_without_a_rate_takes_the_least(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    for (uint64_t seq = 1; seq <= 8; seq++)
        assert_null(take_bytes(&s, 0, seq, MIB)); /* 8 MiB to the byte */
    assert_int_equal(core_client_custody(s.core, 0), 8);
    assert_int_equal(core_client_custody(s.core, SOLO_CLIENTS), 0); /* there is none of that number */
    assert_string_equal(solo_request(&s, 1, 1), "custody is full");
    assert_int_equal(solo_busy(&s), BUSY_OVERLOAD);
    solo_close(&s);
}

static void test_custody_takes_the_bytes_that_clear_in_half_of_t(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    settle_in_a_second(&s, 3, 12);
    for (uint64_t seq = 1; seq <= 12; seq++)
        assert_null(take_bytes(&s, 0, seq, MIB));
    assert_string_equal(solo_request(&s, 1, 1), "custody is full");
    solo_close(&s);
}

static void test_custody_of_one_client_ends_at_its_share_of_bytes(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = 0, .seq = 16};
    (void)state;
    solo_ready(&s, 4, 1);
    settle_in_a_second(&s, 3, 40);
    for (uint64_t seq = 1; seq <= 16; seq++)
        assert_null(take_bytes(&s, 0, seq, MIB)); /* 4 MiB to the byte */
    assert_string_equal(solo_request(&s, 0, 17), "custody is full");
    assert_int_equal(solo_busy(&s), BUSY_OVERLOAD);
    assert_null(solo_request(&s, 1, 1)); /* another client's share is its own */
    solo_commit(&s, 41);
    assert_null(solo_executed(&s, 41, s.wall_ms, &settled, 1));
    assert_null(solo_request(&s, 0, 17)); /* what settles makes room */
    assert_string_equal(take_bytes(&s, 0, 18, MIB), "custody is full");
    solo_close(&s);
}

static void test_custody_of_all_ends_at_its_bytes(void **state)
{
    struct solo s;
    (void)state;
    open_with_clients(&s, 4, 1, 6);
    settle_in_a_second(&s, 5, 100);
    for (uint64_t seq = 1; seq <= 16; seq++) {
        struct blob *q = request_of_bytes(&s, seq, MIB);
        for (uint32_t client = 0; client < 4; client++)
            assert_null(take(&s, client, q)); /* 64 MiB to the byte */
        blob_release(q);
    }
    assert_string_equal(take_bytes(&s, 4, 1, 70000), "custody is full");
    assert_int_equal(solo_busy(&s), BUSY_OVERLOAD);
    solo_close(&s);
}

/* ---- above the window ---- */

static void test_parked_of_one_client_ends_at_its_share_of_bytes(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_null(take_bytes(&s, 0, ABOVE, PARKED_SHARE)); /* to the byte */
    assert_string_equal(solo_request(&s, 0, ABOVE + 1), "request above its client's window");
    assert_int_equal(solo_busy(&s), BUSY_TOO_FAR);
    assert_null(solo_request(&s, 1, ABOVE)); /* another client's share is its own */
    assert_string_equal(take_bytes(&s, 2, ABOVE, PARKED_SHARE + 1), "request above its client's window");
    assert_null(solo_request(&s, 0, 1)); /* the window itself has its own share */
    solo_close(&s);
}

static void test_parked_of_all_ends_at_its_bytes(void **state)
{
    struct solo s;
    (void)state;
    open_with_clients(&s, 4, 0, MANY);
    struct blob *share = request_of_bytes(&s, ABOVE, PARKED_SHARE);
    struct blob *small = fixture_request(s.group, 0, ABOVE, s.wall_ms + 60000, "key", "value");
    for (uint32_t client = 0; client < MANY - 1; client++)
        assert_null(take(&s, client, share)); /* 4 MiB to the byte */
    assert_string_equal(take(&s, MANY - 1, small), "request above its client's window");
    assert_int_equal(solo_busy(&s), BUSY_TOO_FAR);
    (void)solo_tick(&s, SOLO_TIMEOUT_US + SWEEP_US); /* all are let go */
    assert_int_equal(core_summary(s.core).custody, 0);
    assert_null(take(&s, 0, share)); /* and their shares with them, of one and of all */
    assert_null(take(&s, MANY - 1, small));
    blob_release(share);
    blob_release(small);
    solo_close(&s);
}

static void test_parked_by_the_primary_only(void **state)
{
    (void)state;
    for (uint32_t self = 0; self < 4; self++) {
        struct solo s;
        solo_ready(&s, 4, self);
        const char *ignored = solo_request(&s, 0, ABOVE);
        if (self == 0)
            assert_null(ignored);
        else
            assert_string_equal(ignored, "request above its client's window");
        assert_int_equal(core_summary(s.core).custody, self == 0 ? 1 : 0);
        assert_int_equal(solo_busy(&s), BUSY_TOO_FAR);
        assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 0);
        solo_close(&s);
    }
}

static void test_parked_is_let_go_after_a_while(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_null(solo_request(&s, 0, ABOVE));
    (void)solo_tick(&s, SOLO_TIMEOUT_US);
    assert_int_equal(core_summary(s.core).custody, 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 0); /* a primary forwards to nobody */
    (void)solo_tick(&s, SWEEP_US);
    assert_int_equal(core_summary(s.core).custody, 0);
    assert_null(solo_request(&s, 0, ABOVE)); /* its client sends it again */
    solo_close(&s);
}

/* A group of one, so that the primary can be given a settled request without others' votes. */
static void test_parked_that_its_window_has_reached_is_kept(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = 0, .seq = 1};
    (void)state;
    solo_ready(&s, 1, 0);
    assert_null(solo_request(&s, 0, ABOVE));
    assert_null(solo_request(&s, 0, 1));
    (void)solo_all_persisted(&s);
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1));
    assert_int_equal(core_summary(s.core).proposed, 2); /* the window has reached it */
    (void)solo_tick(&s, 2 * SOLO_TIMEOUT_US);
    assert_int_equal(core_summary(s.core).custody, 1); /* until it is settled */
    solo_close(&s);
}

/* What could not be ordered has not waited for the primary. */
static void test_parked_waits_from_when_its_window_has_reached_it(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = 0, .seq = 1};
    struct core_why why;
    (void)state;
    solo_ready(&s, 1, 0);
    assert_null(solo_request(&s, 0, ABOVE));
    (void)solo_tick(&s, SOLO_TIMEOUT_US / 4);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, SOLO_TIMEOUT_US / 2);
    core_why(s.core, &why);
    assert_int_equal(why.request_timer_us, SOLO_TIMEOUT_US / 2); /* of the one that can be ordered */
    (void)solo_all_persisted(&s);
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1));
    assert_int_equal(core_summary(s.core).proposed, 2);
    core_why(s.core, &why);
    assert_int_equal(why.request_timer_us, SOLO_TIMEOUT_US);
    (void)solo_tick(&s, SOLO_TIMEOUT_US - 1);
    assert_int_equal(core_summary(s.core).view, 0); /* it has been in custody for longer than T */
    (void)solo_tick(&s, 1);
    assert_int_equal(core_summary(s.core).view, 1);
    solo_close(&s);
}

/* ---- what is told from a sequence alone ---- */

static void test_standing_is_told_from_the_sequence_as_the_core_would(void **state)
{
    struct solo s;
    const struct core_settled settled = {.client = 0, .seq = 1};
    (void)state;
    solo_ready(&s, 1, 0);
    assert_int_equal(core_request_standing(s.core, 0, 1, 100), CORE_STANDING_OPEN);
    assert_null(solo_request(&s, 0, 1));
    assert_int_equal(core_request_standing(s.core, 0, 1, 100), CORE_STANDING_HELD);
    assert_int_equal(core_request_standing(s.core, 1, 1, 100), CORE_STANDING_OPEN); /* another client's */
    assert_int_equal(core_request_standing(s.core, 0, 1 + 2 * CLIENT_WINDOW, 100), CORE_STANDING_ABOVE); /* its place */
    assert_int_equal(core_request_standing(s.core, 0, CLIENT_WINDOW, 100), CORE_STANDING_OPEN);
    assert_int_equal(core_request_standing(s.core, 0, ABOVE, PARKED_SHARE),
                     CORE_STANDING_OPEN); /* it would be parked */
    assert_int_equal(core_request_standing(s.core, 0, ABOVE, PARKED_SHARE + 1), CORE_STANDING_ABOVE);
    assert_int_equal(core_request_standing(s.core, 0, SEQ_MAX, 100), CORE_STANDING_ABOVE);
    (void)solo_all_persisted(&s);
    assert_null(solo_executed(&s, 1, s.wall_ms, &settled, 1));
    assert_int_equal(core_request_standing(s.core, 0, 1, 100),
                     CORE_STANDING_OPEN); /* its client gets the answer again */
    assert_int_equal(core_request_standing(s.core, SOLO_CLIENTS, 1, 100), CORE_STANDING_OPEN); /* none of that number */
    solo_close(&s);
}

static void test_standing_below_the_window_and_on_a_full_disk(void **state)
{
    struct core_client_window windows[SOLO_CLIENTS] = {{.highest_settled = ABOVE}};
    const struct core_recovered there = {.clean = true, .windows = windows};
    const struct core_event full = {.type = CORE_EVENT_DISK, .disk_full = true};
    struct solo s;
    (void)state;
    solo_open(&s, 4, 1);
    solo_start(&s, &there);
    assert_int_equal(core_request_standing(s.core, 0, 1, 100), CORE_STANDING_BELOW);
    assert_int_equal(core_request_standing(s.core, 0, 2, 100), CORE_STANDING_OPEN);
    assert_int_equal(core_request_standing(s.core, 0, ABOVE + ABOVE, 100), CORE_STANDING_ABOVE); /* it is no primary */
    (void)solo_step(&s, &full);
    assert_int_equal(core_request_standing(s.core, 0, 1, 100),
                     CORE_STANDING_OPEN); /* who asks shall hear of the disk */
    solo_close(&s);
}

static void test_another_transaction_in_custody_is_told(void **state)
{
    struct solo s;
    struct wire_message m;
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *held = fixture_request(s.group, 0, 1, s.wall_ms + 60000, "key", "value");
    assert_null(wire_decode(blob_bytes(held), &m));
    const struct digest transaction = wire_signing_digest(&s.wire.id, m.signed_part);
    const struct digest other = {.bytes = {1}};
    assert_false(core_holds_another(s.core, 0, 1, &other));
    assert_null(solo_receive_bytes(&s, UINT32_MAX, held));
    assert_true(core_holds_another(s.core, 0, 1, &other));
    assert_false(core_holds_another(s.core, 0, 1, &transaction));
    assert_false(core_holds_another(s.core, 0, 1 + 2 * CLIENT_WINDOW, &other)); /* the same place */
    assert_false(core_holds_another(s.core, 1, 1, &other));
    assert_false(core_holds_another(s.core, SOLO_CLIENTS, 1, &other));
    solo_close(&s);
}

/* ---- forwarding again ---- */

/* A backup that holds so many requests of 512 KiB of each of so many clients; all have different sequences. */
static void hold(struct solo *s, uint32_t client_count, uint64_t each)
{
    uint64_t seq = 0;
    open_with_clients(s, 4, 1, client_count);
    for (uint32_t client = 0; client < client_count; client++)
        for (uint64_t k = 0; k < each; k++)
            assert_null(take_bytes(s, client, ++seq, MIB / 2));
}

static void test_forwarded_again_so_many_bytes_at_once(void **state)
{
    struct solo s;
    (void)state;
    hold(&s, 5, 1);
    (void)solo_tick(&s, 4 * SOLO_RESEND_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 2); /* 1 MiB */
    (void)solo_tick(&s, SWEEP_US - 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 0);
    (void)solo_tick(&s, 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 2);
    (void)solo_tick(&s, SWEEP_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 1); /* the first four are not due yet */
    solo_close(&s);
}

/* More than can be sent before the first is due again: what is last in the order is not left out. */
static void test_forwarded_again_each_in_its_turn(void **state)
{
    struct solo s;
    uint32_t times[2 * 8] = {0};
    (void)state;
    hold(&s, 2, 8);
    (void)solo_tick(&s, 4 * SOLO_RESEND_US - SWEEP_US);
    for (uint32_t look = 0; look < 16; look++) {
        (void)solo_tick(&s, SWEEP_US);
        assert_int_equal(solo_sent(&s, WIRE_TYPE_request), 2);
        for (uint32_t k = 0; k < 2; k++)
            times[solo_message(solo_send(&s, WIRE_TYPE_request, k)).request.seq - 1]++;
    }
    for (uint32_t seq = 1; seq <= 2 * 8; seq++)
        assert_int_equal(times[seq - 1], 2);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_custody_without_a_rate_takes_the_least),
        cmocka_unit_test(test_custody_takes_the_bytes_that_clear_in_half_of_t),
        cmocka_unit_test(test_custody_of_one_client_ends_at_its_share_of_bytes),
        cmocka_unit_test(test_custody_of_all_ends_at_its_bytes),
        cmocka_unit_test(test_parked_of_one_client_ends_at_its_share_of_bytes),
        cmocka_unit_test(test_parked_of_all_ends_at_its_bytes),
        cmocka_unit_test(test_parked_by_the_primary_only),
        cmocka_unit_test(test_parked_is_let_go_after_a_while),
        cmocka_unit_test(test_parked_that_its_window_has_reached_is_kept),
        cmocka_unit_test(test_parked_waits_from_when_its_window_has_reached_it),
        cmocka_unit_test(test_standing_is_told_from_the_sequence_as_the_core_would),
        cmocka_unit_test(test_standing_below_the_window_and_on_a_full_disk),
        cmocka_unit_test(test_another_transaction_in_custody_is_told),
        cmocka_unit_test(test_forwarded_again_so_many_bytes_at_once),
        cmocka_unit_test(test_forwarded_again_each_in_its_turn),
    };
    return cmocka_run_group_tests_name("core_custody", tests, NULL, NULL);
}
