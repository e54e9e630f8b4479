/* test_client_busy.c - libpbft: BUSY. One replica's refusal is not believed either; f+1 are; overload passes.
 */
#include "tests/fixture/client_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct kept kept;
static struct fake_replica *const replicas = fakes.replicas;

/* Says this to every request, as often as `left` tells; 0: goes on in its manner. */
static struct {
    enum busy_reason reason;
    uint32_t left;
} refusals[FAKE_REPLICAS_MAX];

static bool refuse(struct fake_replica *r, const struct wire_message *m)
{
    if (m->type != WIRE_TYPE_request || refusals[r->id].left == 0) return false;
    refusals[r->id].left--;
    fake_send_busy(r, m->request.seq, refusals[r->id].reason);
    return true;
}

static int setup(uint32_t replica_count)
{
    memset(refusals, 0, sizeof refusals);
    fake_group_start(&fakes, replica_count);
    fake_lock(&fakes);
    for (uint32_t id = 0; id < replica_count; id++)
        replicas[id].hook = refuse;
    fake_unlock(&fakes);
    return 0;
}

static int setup_of_4(void **state)
{
    (void)state;
    return setup(4);
}

static int setup_of_7(void **state)
{
    (void)state;
    return setup(7);
}

static void refuse_always(uint32_t id, enum busy_reason reason)
{
    WITH_FAKES(refusals[id].reason = reason, refusals[id].left = UINT32_MAX);
}

/* A client with one transaction in flight, whose sequence was given: taken by the group, answered by nobody. */
static struct pbft_client *open_and_submit(void)
{
    WITH_FAKES(fake_set_manner(&fakes, FAKE_MANUAL));
    struct pbft_client *c = client_open_to_all();
    const struct pbft_operation op = kv_put("key", "value");
    kept = (struct kept){0};
    assert_int_equal(pbft_submit_at(c, 1, TIME_MS_MAX, &op, 1, keep, &kept).status, PBFT_OK);
    CLIENT_UNTIL(c, fake_order_of(&fakes, 1) != NULL);
    return c;
}

static void busy_from(struct pbft_client *c, uint32_t id, enum busy_reason reason)
{
    WITH_FAKES(fake_send_busy(&replicas[id], 1, reason));
    client_settle(c);
}

static void reply_from(struct pbft_client *c, uint32_t id)
{
    WITH_FAKES(fake_answer_truly(&replicas[id], 1));
    client_settle(c);
}

/* ---- f refuse: not believed ---- */

static void check_f_refusals_not_believed(enum busy_reason reason)
{
    const uint32_t f = fakes.kit->wire.quorum.faulty_max;
    for (uint32_t id = 0; id < f; id++) /* the primary among them */
        refuse_always(id, reason);
    struct pbft_client *c = client_open_to_all();
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_int_equal(kept.answer.client_seq, 1); /* it was not submitted anew either */
    assert_int_equal(pbft_next_sequence(c), 2);
    pbft_close(c);
}

static void test_client_f_say_conflict_not_believed(void **state)
{
    (void)state;
    check_f_refusals_not_believed(BUSY_CONFLICT);
}

static void test_client_f_say_too_old_not_believed(void **state)
{
    (void)state;
    check_f_refusals_not_believed(BUSY_TOO_OLD);
}

static void test_client_f_say_invalid_not_believed(void **state)
{
    (void)state;
    check_f_refusals_not_believed(BUSY_INVALID);
}

static void test_client_f_say_unknown_client_not_believed(void **state)
{
    (void)state;
    check_f_refusals_not_believed(BUSY_UNKNOWN_CLIENT);
}

static void test_client_f_say_too_far_not_believed(void **state)
{
    (void)state;
    check_f_refusals_not_believed(BUSY_TOO_FAR);
}

/* Nobody waits for such a primary until the first time-out. */
static void check_others_asked_at_once(enum busy_reason reason)
{
    refuse_always(0, reason);
    struct pbft_client *c = client_open_to_all();
    client_put(c, "key", "value", &kept);
    client_resend_never(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    pbft_close(c);
}

static void test_client_primary_refuses_others_asked_at_once(void **state)
{
    (void)state;
    check_others_asked_at_once(BUSY_INVALID);
}

static void test_client_primary_stops_others_asked_at_once(void **state)
{
    (void)state;
    check_others_asked_at_once(BUSY_NOT_READY);
}

static void test_client_primary_disk_full_others_asked_at_once(void **state)
{
    (void)state;
    check_others_asked_at_once(BUSY_DISK_FULL);
}

/* ---- f+1 refuse: believed ---- */

/* f of them say it, each twice; then one more. */
static void check_f_plus_1_refusals(enum busy_reason reason, enum pbft_status status, const char *text)
{
    const uint32_t f = fakes.kit->wire.quorum.faulty_max;
    struct pbft_client *c = open_and_submit();
    for (uint32_t i = 0; i < 2 * f; i++)
        busy_from(c, 1 + i % f, reason);
    assert_int_equal(kept.calls, 0);
    busy_from(c, 1 + f, reason);
    assert_int_equal(kept.calls, 1);
    assert_int_equal(kept.answer.status, status);
    assert_int_equal(kept.answer.client_seq, 1);
    assert_non_null(strstr(kept.answer.text, text));
    assert_int_equal(pbft_in_flight(c), 0);
    pbft_close(c);
}

static void test_client_f_plus_1_say_conflict_conflict(void **state)
{
    (void)state;
    check_f_plus_1_refusals(BUSY_CONFLICT, PBFT_CONFLICT, "another transaction");
}

static void test_client_f_plus_1_say_too_old_too_old(void **state)
{
    (void)state;
    check_f_plus_1_refusals(BUSY_TOO_OLD, PBFT_TOO_OLD, "settled long ago");
}

static void test_client_f_plus_1_say_invalid_rejected(void **state)
{
    (void)state;
    check_f_plus_1_refusals(BUSY_INVALID, PBFT_REJECTED, "refuse this transaction");
}

static void test_client_f_plus_1_say_unknown_client_rejected(void **state)
{
    (void)state;
    check_f_plus_1_refusals(BUSY_UNKNOWN_CLIENT, PBFT_REJECTED, "refuse this transaction");
}

static void test_client_invalid_and_unknown_client_rejected(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    busy_from(c, 1, BUSY_INVALID);
    busy_from(c, 2, BUSY_UNKNOWN_CLIENT);
    assert_int_equal(kept.answer.status, PBFT_REJECTED);
    pbft_close(c);
}

/* ---- refusals that do not add up ---- */

static void test_client_refusals_differ_not_believed(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    busy_from(c, 0, BUSY_CONFLICT);
    busy_from(c, 1, BUSY_TOO_OLD);
    busy_from(c, 2, BUSY_INVALID);
    assert_int_equal(kept.calls, 0);
    busy_from(c, 3, BUSY_TOO_OLD);
    assert_int_equal(kept.answer.status, PBFT_TOO_OLD);
    pbft_close(c);
}

static void test_client_busy_then_reply_of_same_replica_reply_counts(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    busy_from(c, 1, BUSY_CONFLICT);
    reply_from(c, 1);
    busy_from(c, 2, BUSY_CONFLICT);
    assert_int_equal(kept.calls, 0);
    reply_from(c, 3);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_matched(&kept, 1u << 1 | 1u << 3);
    pbft_close(c);
}

static void test_client_reply_then_busy_of_same_replica_reply_counts(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    reply_from(c, 1);
    busy_from(c, 1, BUSY_CONFLICT);
    busy_from(c, 2, BUSY_CONFLICT);
    assert_int_equal(kept.calls, 0);
    reply_from(c, 3);
    assert_int_equal(kept.answer.status, PBFT_OK);
    pbft_close(c);
}

/* Sends a BUSY from every replica, changed by `spoil`; none may count. */
static void check_busy_ignored(void (*spoil)(struct wire_busy *m))
{
    struct pbft_client *c = open_and_submit();
    fake_lock(&fakes);
    for (uint32_t id = 0; id < fakes.replica_count; id++) {
        struct wire_busy m = {
            .sender = id, .seq = 1, .transaction = fake_order_of(&fakes, 1)->transaction, .reason = BUSY_CONFLICT};
        spoil(&m);
        fake_send(&replicas[id], &wire_record_busy, &m);
    }
    fake_unlock(&fakes);
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    pbft_close(c);
}

static void spoil_reason_none(struct wire_busy *m)
{
    m->reason = 0;
}

static void test_client_busy_without_reason_ignored(void **state)
{
    (void)state;
    check_busy_ignored(spoil_reason_none);
}

static void spoil_reason_unknown(struct wire_busy *m)
{
    m->reason = 255;
}

static void test_client_busy_unknown_reason_ignored(void **state)
{
    (void)state;
    check_busy_ignored(spoil_reason_unknown);
}

static void spoil_seq(struct wire_busy *m)
{
    m->seq = 1 + PBFT_WINDOW; /* the same slot */
}

static void test_client_busy_of_another_sequence_ignored(void **state)
{
    (void)state;
    check_busy_ignored(spoil_seq);
}

static void spoil_epoch(struct wire_busy *m)
{
    m->epoch = 1;
}

static void test_client_busy_of_another_epoch_ignored(void **state)
{
    (void)state;
    check_busy_ignored(spoil_epoch);
}

static void spoil_sender(struct wire_busy *m)
{
    m->sender = (m->sender + 1) % fakes.replica_count;
}

static void test_client_busy_sender_of_another_id_ignored(void **state)
{
    (void)state;
    check_busy_ignored(spoil_sender);
}

/* Said of a transaction that had this sequence before, and came late. */
static void spoil_transaction(struct wire_busy *m)
{
    m->transaction.bytes[0] ^= 1;
}

static void test_client_busy_of_another_transaction_ignored(void **state)
{
    (void)state;
    check_busy_ignored(spoil_transaction);
}

/* A replica that could not read the request does not know its transaction. */
static void test_client_busy_invalid_without_transaction_counts(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    fake_lock(&fakes);
    for (uint32_t id = 0; id < 2; id++) {
        const struct wire_busy m = {.sender = id, .seq = 1, .reason = BUSY_INVALID};
        fake_send(&replicas[id], &wire_record_busy, &m);
    }
    fake_unlock(&fakes);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_REJECTED);
    pbft_close(c);
}

/* ---- what passes by itself ---- */

/* Every replica says it once. That does not hasten anything: one liar could make a client flood the others. */
static void check_sent_again_in_its_time(enum busy_reason reason)
{
    fake_lock(&fakes);
    for (uint32_t id = 0; id < fakes.replica_count; id++) {
        refusals[id].reason = reason;
        refusals[id].left = 1;
    }
    fake_unlock(&fakes);
    struct pbft_client *c = client_open_to_all();
    client_put(c, "key", "value", &kept);
    client_resend_never(c);
    CLIENT_UNTIL(c, refusals[0].left == 0);
    const uint64_t until_us = clock_monotonic_us() + 150000;
    while (clock_monotonic_us() < until_us)
        pbft_poll(c, 1);
    assert_int_equal(kept.calls, 0);
    client_resend_now(c); /* refused by the other three, or they were asked before */
    CLIENT_UNTIL(c, refusals[1].left + refusals[2].left + refusals[3].left == 0);
    client_settle(c);
    client_resend_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    pbft_close(c);
}

static void test_client_overload_sent_again_in_its_time(void **state)
{
    (void)state;
    check_sent_again_in_its_time(BUSY_OVERLOAD);
}

static void test_client_not_ready_sent_again_in_its_time(void **state)
{
    (void)state;
    check_sent_again_in_its_time(BUSY_NOT_READY);
}

static void test_client_too_far_sent_again_in_its_time(void **state)
{
    (void)state;
    check_sent_again_in_its_time(BUSY_TOO_FAR);
}

/* Two of four cannot vote for want of room: nothing commits, and the client says why. */
static void test_client_timeout_names_the_replicas_whose_disk_is_full(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    busy_from(c, 1, BUSY_DISK_FULL);
    busy_from(c, 2, BUSY_DISK_FULL);
    assert_int_equal(kept.calls, 0);
    client_deadline_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_TIMEOUT);
    assert_non_null(strstr(kept.answer.text, "; the disk is full on replica 1, 2; all replicas are connected"));
    pbft_close(c);
}

static void test_client_too_far_at_all_sent_again_in_time(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_submit();
    for (uint32_t id = 0; id < 4; id++)
        busy_from(c, id, BUSY_TOO_FAR);
    assert_int_equal(kept.calls, 0);
    WITH_FAKES(fake_set_manner(&fakes, FAKE_HONEST));
    client_resend_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    pbft_close(c);
}

/* ---- honest refusals ---- */

static void test_client_sequence_settled_by_another_conflict(void **state)
{
    (void)state;
    const struct pbft_operation other = kv_put("key", "another value");
    struct pbft_client *c = client_open_to_all();
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls == 1);
    assert_int_equal(pbft_submit_at(c, 1, TIME_MS_MAX, &other, 1, keep, &kept).status, PBFT_OK);
    CLIENT_UNTIL(c, kept.calls == 2);
    assert_int_equal(kept.answer.status, PBFT_CONFLICT);
    pbft_close(c);
}

static void test_client_sequence_below_window_too_old(void **state)
{
    (void)state;
    const struct pbft_operation op = kv_put("key", "value");
    struct pbft_client *c = client_open_to_all();
    kept = (struct kept){0};
    for (uint64_t seq = 1; seq <= PBFT_WINDOW + 1; seq++) {
        assert_int_equal(pbft_submit_at(c, seq, TIME_MS_MAX, &op, 1, keep, &kept).status, PBFT_OK);
        CLIENT_UNTIL(c, kept.calls == seq);
        assert_int_equal(kept.answer.status, PBFT_OK);
    }
    assert_int_equal(pbft_submit_at(c, 1, 5000, &op, 1, keep, &kept).status, PBFT_OK);
    CLIENT_UNTIL(c, pbft_in_flight(c) == 0);
    assert_int_equal(kept.answer.status, PBFT_TOO_OLD);
    pbft_close(c);
}

#define TEST_OF(count, test) cmocka_unit_test_setup_teardown(test, setup_of_##count, fakes_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(4, test_client_f_say_conflict_not_believed),
        TEST_OF(7, test_client_f_say_conflict_not_believed),
        TEST_OF(4, test_client_f_say_too_old_not_believed),
        TEST_OF(4, test_client_f_say_invalid_not_believed),
        TEST_OF(7, test_client_f_say_invalid_not_believed),
        TEST_OF(4, test_client_f_say_unknown_client_not_believed),
        TEST_OF(4, test_client_f_say_too_far_not_believed),
        TEST_OF(4, test_client_primary_refuses_others_asked_at_once),
        TEST_OF(4, test_client_primary_stops_others_asked_at_once),
        TEST_OF(4, test_client_primary_disk_full_others_asked_at_once),
        TEST_OF(4, test_client_f_plus_1_say_conflict_conflict),
        TEST_OF(7, test_client_f_plus_1_say_conflict_conflict),
        TEST_OF(4, test_client_f_plus_1_say_too_old_too_old),
        TEST_OF(4, test_client_f_plus_1_say_invalid_rejected),
        TEST_OF(4, test_client_f_plus_1_say_unknown_client_rejected),
        TEST_OF(4, test_client_invalid_and_unknown_client_rejected),
        TEST_OF(4, test_client_refusals_differ_not_believed),
        TEST_OF(4, test_client_busy_then_reply_of_same_replica_reply_counts),
        TEST_OF(4, test_client_reply_then_busy_of_same_replica_reply_counts),
        TEST_OF(4, test_client_busy_without_reason_ignored),
        TEST_OF(4, test_client_busy_unknown_reason_ignored),
        TEST_OF(4, test_client_busy_of_another_sequence_ignored),
        TEST_OF(4, test_client_busy_of_another_epoch_ignored),
        TEST_OF(4, test_client_busy_sender_of_another_id_ignored),
        TEST_OF(4, test_client_busy_of_another_transaction_ignored),
        TEST_OF(4, test_client_busy_invalid_without_transaction_counts),
        TEST_OF(4, test_client_overload_sent_again_in_its_time),
        TEST_OF(4, test_client_not_ready_sent_again_in_its_time),
        TEST_OF(4, test_client_too_far_sent_again_in_its_time),
        TEST_OF(4, test_client_too_far_at_all_sent_again_in_time),
        TEST_OF(4, test_client_timeout_names_the_replicas_whose_disk_is_full),
        TEST_OF(4, test_client_sequence_settled_by_another_conflict),
        TEST_OF(4, test_client_sequence_below_window_too_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
