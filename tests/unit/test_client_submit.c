/* test_client_submit.c - libpbft: to whom a transaction goes and when again, the window, limits, callbacks, the end.
 */
#include "client/client_internal.h"
#include "tests/fixture/client_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kept kept;
static struct fake_replica *const replicas = fakes.replicas;

static uint32_t requests_at(uint32_t id)
{
    fake_lock(&fakes);
    const uint32_t count = replicas[id].request_count;
    fake_unlock(&fakes);
    return count;
}

/* ---- to whom, and when again ---- */

static void test_client_primary_answers_nobody_else_asked(void **state)
{
    (void)state;
    struct pbft_client *c = client_open_to_all();
    client_put(c, "key", "value", &kept);
    client_resend_never(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    client_settle(c);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_int_equal(requests_at(0), 1);
    for (uint32_t id = 1; id < 4; id++)
        assert_int_equal(requests_at(id), 0);
    pbft_close(c);
}

/* A transaction beside others is sent again after twice what they take of late, but in 400 ms to 2 s. */
static void test_client_slow_group_sent_again_later(void **state)
{
    static const uint64_t usual_us[][2] = {{0, 400000}, {5000, 400000}, {600000, 1200000}, {5000000, 2000000}};
    (void)state;
    struct pbft_client *c = client_open_to_all();
    client_put(c, "key", "value", &kept);
    client_resend_never(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(c->usual_us, kept.answer.elapsed_us); /* learned */
    c->witness_took_us = 0;
    for (uint32_t i = 0; i < 4; i++) {
        c->usual_us = usual_us[i][0];
        assert_int_equal(client_first_resend_us(c), usual_us[i][1]);
    }
    c->usual_us = 600000;
    kept = (struct kept){.calls = 0};
    client_put(c, "key", "value", &kept);
    client_resend_never(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(c->usual_us, (7 * 600000 + kept.answer.elapsed_us) / 8);
    pbft_close(c);
}

/* Puts another, when the last witness went so long ago: is it the next? */
static bool put_beside(struct pbft_client *c, struct kept *answer, uint64_t ago_us)
{
    *answer = (struct kept){.calls = 0};
    c->witness_us = client_now_us() - ago_us;
    client_put(c, "key", "value", answer);
    const struct pending *p = &c->submits[(c->next_seq - 1) % PBFT_WINDOW];
    assert_int_equal(p->backoff_us, 1200000);
    return p->sent_to_all;
}

/* Of those beside others one of eight goes to all at once, if none did for 100 ms; one that is alone after 400 ms,
 * however long they take. */
static void test_client_witness_goes_to_all_at_once(void **state)
{
    struct kept answers[26];
    (void)state;
    struct pbft_client *c = client_open_to_all();
    c->usual_us = 600000;
    c->witness_took_us = 0;
    c->since_witness = 8; /* but it is alone */
    answers[25] = (struct kept){.calls = 0};
    client_put(c, "key", "value", &answers[25]);
    const struct pending *alone = &c->submits[(c->next_seq - 1) % PBFT_WINDOW];
    assert_false(alone->sent_to_all);
    assert_int_equal(alone->backoff_us, 400000);
    c->since_witness = 0;
    for (uint32_t k = 0; k < 16; k++)
        assert_int_equal(put_beside(c, &answers[k], 100000), k % 8 == 7);
    for (uint32_t k = 16; k < 24; k++) {
        const uint64_t since_us = client_now_us();
        const bool witness = put_beside(c, &answers[k], 0);
        assert_true(!witness || client_now_us() - since_us >= 100000); /* the machine took its time */
    }
    if (c->since_witness > 0)
        assert_true(put_beside(c, &answers[24], 100000)); /* it is late, not lost */
    else
        assert_false(put_beside(c, &answers[24], 100000));
    client_resend_never(c);
    for (uint32_t k = 0; k < sizeof answers / sizeof answers[0]; k++)
        CLIENT_UNTIL(c, answers[k].calls > 0);
    pbft_close(c);
}

/* A witness tells how long the others may take. */
static void test_client_learns_from_witnesses(void **state)
{
    static const uint64_t us[][3] = {
        {5000000, 0, 2000000}, {5000000, 250000, 2000000}, {5000000, 100000, 800000}, {5000000, 10000, 400000}};
    struct kept answers[3] = {{0}};
    (void)state;
    struct pbft_client *c = client_open_to_all();
    c->witness_took_us = 600000;
    for (uint32_t k = 0; k < 3; k++) {
        c->since_witness = k == 2 ? 7 : 0;
        client_put(c, "key", "value", &answers[k]);
    }
    client_resend_never(c);
    for (uint32_t k = 0; k < 3; k++)
        CLIENT_UNTIL(c, answers[k].calls > 0);
    assert_int_equal(c->witness_took_us, (7 * 600000 + answers[2].answer.elapsed_us) / 8);
    for (uint32_t i = 0; i < 4; i++) {
        c->usual_us = us[i][0];
        c->witness_took_us = us[i][1];
        assert_int_equal(client_first_resend_us(c), us[i][2]);
    }
    pbft_close(c);
}

struct single {
    struct pbft_client *client;
    uint64_t backoff_us;
    uint32_t calls;
};

static void put_once_more(void *context, const struct pbft_answer *answer)
{
    struct single *one = context;
    const struct pbft_operation op = kv_put("key", "value");
    assert_int_equal(answer->status, PBFT_OK);
    if (one->calls++ > 0) return;
    one->client->usual_us = 600000;
    assert_int_equal(pbft_submit(one->client, &op, 1, put_once_more, one).status, PBFT_OK);
    one->backoff_us = one->client->submits[(one->client->next_seq - 1) % PBFT_WINDOW].backoff_us;
}

static void test_client_one_after_another_in_callbacks_is_alone(void **state)
{
    const struct pbft_operation op = kv_put("key", "value");
    (void)state;
    struct single one = {.client = client_open_to_all()};
    assert_int_equal(pbft_submit(one.client, &op, 1, put_once_more, &one).status, PBFT_OK);
    CLIENT_UNTIL(one.client, one.calls > 1);
    assert_int_equal(one.backoff_us, 400000);
    pbft_close(one.client);
}

static void test_client_f_silent_accepted_from_others(void **state)
{
    (void)state;
    const uint32_t f = fakes.kit->wire.quorum.faulty_max;
    for (uint32_t id = 0; id < f; id++) /* the primary among them */
        WITH_FAKES(replicas[id].manner = FAKE_DEAF);
    struct pbft_client *c = client_open_to_all();
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    for (uint32_t i = 0; i < kept.answer.matched_count; i++)
        assert_true(kept.answer.matched[i] >= f);
    pbft_close(c);
}

static void test_client_f_stopped_accepted_from_others(void **state)
{
    (void)state;
    const uint32_t f = fakes.kit->wire.quorum.faulty_max;
    for (uint32_t id = 0; id < f; id++)
        WITH_FAKES(fake_stop(&replicas[id]));
    struct pbft_client *c = client_open();
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    pbft_close(c);
}

static void test_client_primary_not_connected_sent_to_all_at_once(void **state)
{
    (void)state;
    WITH_FAKES(fake_stop(&replicas[0]));
    struct pbft_client *c = client_open();
    CLIENT_UNTIL(c, replicas[1].client != NULL && replicas[2].client != NULL && replicas[3].client != NULL);
    client_settle(c);
    client_put(c, "key", "value", &kept);
    client_resend_never(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    client_settle(c);
    for (uint32_t id = 1; id < 4; id++)
        assert_int_equal(requests_at(id), 1);
    pbft_close(c);
}

static bool drop_at_request(struct fake_replica *r, const struct wire_message *m)
{
    if (m->type != WIRE_TYPE_request) return false;
    fake_drop(r);
    return true;
}

static void test_client_primary_drops_connection_sent_to_all_at_once(void **state)
{
    (void)state;
    WITH_FAKES(replicas[0].hook = drop_at_request);
    struct pbft_client *c = client_open_to_all();
    client_put(c, "key", "value", &kept);
    client_resend_never(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    client_settle(c);
    for (uint32_t id = 1; id < 4; id++)
        assert_int_equal(requests_at(id), 1);
    pbft_close(c);
}

/* A backup's connection says nothing of the primary's. */
static void test_client_backup_drops_connection_nothing_sent_again(void **state)
{
    (void)state;
    WITH_FAKES(fake_set_manner(&fakes, FAKE_MANUAL));
    struct pbft_client *c = client_open_to_all();
    client_put(c, "key", "value", &kept);
    client_resend_never(c);
    WITH_FAKES(fake_drop(&replicas[3]));
    CLIENT_UNTIL(c, replicas[3].closed_count == 1 && replicas[3].client != NULL);
    client_settle(c);
    assert_int_equal(requests_at(0), 1);
    assert_int_equal(requests_at(1), 0);
    assert_int_equal(requests_at(3), 0);
    pbft_close(c);
}

static void test_client_no_answer_sent_to_all_with_backoff(void **state)
{
    (void)state;
    WITH_FAKES(fake_set_manner(&fakes, FAKE_DEAF));
    struct pbft_client *c = client_open_to_all();
    const uint64_t began_us = clock_monotonic_us();
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, replicas[1].request_count == 3);
    fake_lock(&fakes);
    const uint64_t first_us = replicas[1].request_us[0] - began_us;
    const uint64_t last_us = replicas[1].request_us[2] - began_us;
    fake_unlock(&fakes);
    assert_true(first_us >= 400000);                   /* the primary alone had it until then */
    assert_true(last_us >= 400000 + 800000 + 1600000); /* it doubles */
    assert_int_equal(requests_at(0), 4);
    assert_int_equal(kept.calls, 0);
    pbft_close(c);
}

static void test_client_nobody_answers_times_out_on_time(void **state)
{
    (void)state;
    struct pbft_options options = client_options();
    struct pbft_client *c;
    struct pbft_answer *a;
    const struct pbft_operation op = kv_put("key", "value");
    WITH_FAKES(fake_set_manner(&fakes, FAKE_DEAF));
    options.timeout_ms = 700;
    assert_int_equal(pbft_open(&options, &c).status, PBFT_OK);
    assert_int_equal(pbft_ready(c, CLIENT_KIT_MS).status, PBFT_OK);
    const struct pbft_error e = pbft_submit_wait(c, &op, 1, &a);
    assert_int_equal(e.status, PBFT_TIMEOUT);
    assert_non_null(strstr(e.text, "0 of 4 replicas answered"));
    assert_non_null(strstr(e.text, "the primary is replica 0 of view 0"));
    assert_true(a->elapsed_us >= 700000);
    pbft_answer_free(a);
    pbft_close(c);
}

static void test_client_primary_dead_timeout_says_not_connected(void **state)
{
    (void)state;
    WITH_FAKES(fake_set_manner(&fakes, FAKE_DEAF), fake_stop(&replicas[0]));
    struct pbft_client *c = client_open();
    CLIENT_UNTIL(c, replicas[1].client != NULL && replicas[2].client != NULL && replicas[3].client != NULL);
    client_settle(c);
    client_put(c, "key", "value", &kept);
    client_deadline_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_TIMEOUT);
    assert_non_null(
        strstr(kept.answer.text, "the primary is replica 0 of view 0; not connected: 0 (connection refused"));
    pbft_close(c);
}

/* ---- the window ---- */

static struct kept many[3 * PBFT_WINDOW];

static void answer_truly(struct pbft_client *c, uint64_t seq)
{
    WITH_FAKES(fake_answer_truly(&replicas[1], seq), fake_answer_truly(&replicas[2], seq));
    CLIENT_UNTIL(c, many[seq - 1].calls == 1);
    assert_int_equal(many[seq - 1].answer.status, PBFT_OK);
}

/* A client with sequences 1 to 64 in flight, all executed, none answered. */
static struct pbft_client *open_with_full_window(void)
{
    WITH_FAKES(fake_set_manner(&fakes, FAKE_MANUAL));
    struct pbft_client *c = client_open_to_all();
    for (uint32_t i = 0; i < PBFT_WINDOW; i++) {
        assert_true(pbft_can_submit(c));
        client_put(c, "key", "value", &many[i]);
    }
    CLIENT_UNTIL(c, fakes.order_count == PBFT_WINDOW);
    assert_int_equal(pbft_in_flight(c), PBFT_WINDOW);
    return c;
}

static void assert_window_full(struct pbft_client *c)
{
    const struct pbft_operation op = kv_put("key", "value");
    const uint64_t next = pbft_next_sequence(c);
    assert_false(pbft_can_submit(c));
    assert_int_equal(pbft_submit(c, &op, 1, keep, &kept).status, PBFT_WINDOW_FULL);
    assert_int_equal(pbft_next_sequence(c), next);
}

static void test_client_65th_in_flight_window_full(void **state)
{
    (void)state;
    struct pbft_client *c = open_with_full_window();
    assert_window_full(c);
    answer_truly(c, 1);
    client_put(c, "key", "value", &many[PBFT_WINDOW]);
    assert_window_full(c);
    pbft_close(c);
}

static void test_client_later_ones_answered_first_window_held_by_lowest(void **state)
{
    (void)state;
    struct pbft_client *c = open_with_full_window();
    for (uint64_t seq = PBFT_WINDOW; seq >= 2; seq--)
        answer_truly(c, seq);
    assert_int_equal(pbft_in_flight(c), 1);
    assert_window_full(c);
    answer_truly(c, 1);
    assert_true(pbft_can_submit(c));
    pbft_close(c);
}

static void test_client_lowest_answered_window_moves_as_far(void **state)
{
    (void)state;
    struct pbft_client *c = open_with_full_window();
    for (uint64_t seq = 1; seq <= 9; seq++)
        answer_truly(c, seq);
    answer_truly(c, 11); /* 10 is the lowest now */
    for (uint32_t i = 0; i < 9; i++)
        client_put(c, "key", "value", &many[PBFT_WINDOW + i]);
    assert_int_equal(pbft_next_sequence(c), 74);
    assert_window_full(c);
    pbft_close(c);
}

static void test_client_submit_at_outside_window_full(void **state)
{
    (void)state;
    const struct pbft_operation op = kv_put("key", "value");
    WITH_FAKES(fake_set_manner(&fakes, FAKE_MANUAL));
    struct pbft_client *c = client_open_to_all();
    assert_int_equal(pbft_submit_at(c, 100, 1, &op, 1, keep, &kept).status, PBFT_OK);
    assert_int_equal(pbft_submit_at(c, 100, 1, &op, 1, keep, &kept).status, PBFT_WINDOW_FULL);
    assert_int_equal(pbft_submit_at(c, 36, 1, &op, 1, keep, &kept).status, PBFT_WINDOW_FULL);
    assert_int_equal(pbft_submit_at(c, 164, 1, &op, 1, keep, &kept).status, PBFT_WINDOW_FULL);
    assert_int_equal(pbft_submit_at(c, 163, 1, &op, 1, keep, &kept).status, PBFT_OK);
    assert_int_equal(pbft_submit_at(c, 37, 1, &op, 1, keep, &kept).status, PBFT_WINDOW_FULL);
    assert_int_equal(pbft_in_flight(c), 2);
    pbft_close(c);
}

/* 64 lost transactions in a row leave no sequence that a replica would take: those of the lost ones are used again. */
static void test_client_whole_window_timed_out_goes_on_when_group_is_back(void **state)
{
    (void)state;
    WITH_FAKES(fake_set_manner(&fakes, FAKE_DEAF));
    struct pbft_client *c = client_open_to_all();
    for (uint32_t i = 0; i < PBFT_WINDOW; i++)
        client_put(c, "key", "lost", &many[i]);
    client_resend_never(c);
    assert_false(pbft_can_submit(c));
    client_settle(c); /* they have heard all that was sent, and took none */
    client_deadline_now(c);
    CLIENT_UNTIL(c, pbft_in_flight(c) == 0);
    assert_int_equal(many[0].answer.status, PBFT_TIMEOUT);
    WITH_FAKES(fake_set_manner(&fakes, FAKE_HONEST));
    assert_true(pbft_can_submit(c));
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_int_equal(kept.answer.client_seq, 1);
    assert_int_equal(pbft_next_sequence(c), 2);
    pbft_close(c);
}

/* The answers were lost, not the transactions. */
static void test_client_whole_window_executed_unanswered_goes_on_above(void **state)
{
    (void)state;
    struct pbft_client *c = open_with_full_window();
    client_deadline_now(c);
    CLIENT_UNTIL(c, pbft_in_flight(c) == 0);
    WITH_FAKES(fake_set_manner(&fakes, FAKE_HONEST));
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_int_equal(kept.answer.client_seq, PBFT_WINDOW + 1);
    pbft_close(c);
}

/* ---- the very same transaction again ---- */

/* The group counts a copy with other bytes as a fault of the client, which fakes_end reports. */
static void test_client_submit_at_again_after_reopening_same_bytes_executes_once(void **state)
{
    (void)state;
    const struct pbft_operation ops[] = {kv_put("a", "1"), kv_put("b", "2")};
    WITH_FAKES(fake_set_manner(&fakes, FAKE_MANUAL));
    struct pbft_client *c = client_open_to_all();
    kept = (struct kept){0};
    assert_int_equal(pbft_submit_at(c, 7, TIME_MS_MAX, ops, 2, keep, &kept).status, PBFT_OK);
    CLIENT_UNTIL(c, fakes.order_count == 1);
    pbft_close(c);
    WITH_FAKES(fake_set_manner(&fakes, FAKE_HONEST));
    c = client_open_to_all();
    assert_int_equal(pbft_submit_at(c, 7, TIME_MS_MAX, ops, 2, keep, &kept).status, PBFT_OK);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_int_equal(kept.answer.block, 1);
    fake_lock(&fakes);
    const uint32_t orders = fakes.order_count;
    fake_unlock(&fakes);
    assert_int_equal(orders, 1);
    pbft_close(c);
}

/* ---- limits ---- */

static void test_client_expiry_past_expired(void **state)
{
    (void)state;
    const struct pbft_operation op = kv_put("a", "1");
    struct pbft_client *c = client_open();
    kept = (struct kept){0};
    assert_int_equal(pbft_submit_at(c, 1, 1000, &op, 1, keep, &kept).status, PBFT_OK);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_int_equal(kept.answer.outcome, PBFT_OUTCOME_EXPIRED);
    pbft_close(c);
}

static void test_client_submit_bad_arguments_refused(void **state)
{
    (void)state;
    struct pbft_operation *ops = calloc(OPS_MAX + 1, sizeof *ops);
    struct pbft_client *c = client_open();
    for (uint32_t i = 0; i <= OPS_MAX; i++)
        ops[i] = kv_put("k", "v");
    assert_int_equal(pbft_submit(c, ops, 0, keep, &kept).status, PBFT_BAD_ARGUMENT);
    assert_int_equal(pbft_submit(c, ops, OPS_MAX + 1, keep, &kept).status, PBFT_BAD_ARGUMENT);
    assert_int_equal(pbft_submit_at(c, 0, 1, ops, 1, keep, &kept).status, PBFT_BAD_ARGUMENT);
    assert_int_equal(pbft_submit_at(c, SEQ_MAX + 1, 1, ops, 1, keep, &kept).status, PBFT_BAD_ARGUMENT);
    assert_int_equal(pbft_submit_at(c, 1, TIME_MS_MAX + 1, ops, 1, keep, &kept).status, PBFT_BAD_ARGUMENT);
    ops[0].arg_count = PBFT_ARGS_MAX + 1;
    assert_int_equal(pbft_submit(c, ops, 1, keep, &kept).status, PBFT_TOO_LARGE);
    assert_int_equal(pbft_in_flight(c), 0);
    assert_int_equal(pbft_next_sequence(c), 1);
    free(ops);
    pbft_close(c);
}

static void test_client_request_over_1_mib_too_large_nothing_sent(void **state)
{
    (void)state;
    char *value = calloc(1, REQUEST_BYTES_MAX + 1);
    struct pbft_client *c = client_open_to_all();
    struct pbft_operation ops[2] = {kv_put("k", "v"), kv_put("k", "v")};
    ops[0].args[1] = (struct pbft_bytes){value, REQUEST_BYTES_MAX};
    const struct pbft_error e = pbft_submit(c, ops, 1, keep, &kept);
    assert_int_equal(e.status, PBFT_TOO_LARGE);
    assert_non_null(
        strstr(e.text, "1048576 bytes, in which its framing and signature count too: one value of 1047552 bytes fits"));
    ops[0].args[1].len = REQUEST_BYTES_MAX + 1;
    assert_int_equal(pbft_submit(c, ops, 1, keep, &kept).status, PBFT_TOO_LARGE);
    ops[0].args[1].len = REQUEST_BYTES_MAX / 2;
    ops[1].args[1] = ops[0].args[1];
    assert_int_equal(pbft_submit(c, ops, 2, keep, &kept).status, PBFT_TOO_LARGE);
    client_settle(c);
    assert_int_equal(requests_at(0), 0);
    assert_int_equal(pbft_next_sequence(c), 1);
    free(value);
    pbft_close(c);
}

static void test_client_request_of_1_mib_exactly_taken(void **state)
{
    (void)state;
    char *value = calloc(1, REQUEST_BYTES_MAX);
    struct pbft_client *c = client_open();
    struct pbft_operation op = kv_put("k", "");
    struct pbft_error e;
    op.args[1] = (struct pbft_bytes){value, REQUEST_BYTES_MAX};
    kept = (struct kept){0};
    while ((e = pbft_submit(c, &op, 1, keep, &kept)).status == PBFT_TOO_LARGE)
        op.args[1].len--;
    assert_int_equal(e.status, PBFT_OK);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_int_equal(fake_order_of(&fakes, 1)->request->len, REQUEST_BYTES_MAX);
    free(value);
    pbft_close(c);
}

/* What the error says that fits does, beside the longest key and the largest numbers. */
static void test_client_value_that_fits_is_taken_beside_the_longest_key(void **state)
{
    (void)state;
    char *value = calloc(1, PBFT_VALUE_BYTES_MAX);
    char key[STATE_KEY_BYTES_MAX + 1];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    struct pbft_client *c = client_open();
    struct pbft_operation op = kv_put(key, "");
    op.args[1] = (struct pbft_bytes){value, PBFT_VALUE_BYTES_MAX};
    assert_int_equal(pbft_submit_at(c, SEQ_MAX, TIME_MS_MAX, &op, 1, keep, &kept).status, PBFT_OK);
    free(value);
    pbft_close(c);
}

static void test_client_largest_value_committed(void **state)
{
    (void)state;
    char *value = malloc(APP_VALUE_BYTES_MAX);
    struct pbft_client *c = client_open();
    struct pbft_operation put = kv_put("k", "");
    struct pbft_answer *a;
    memset(value, 'x', APP_VALUE_BYTES_MAX);
    put.args[1] = (struct pbft_bytes){value, APP_VALUE_BYTES_MAX};
    assert_int_equal(pbft_submit_wait(c, &put, 1, &a).status, PBFT_OK);
    assert_int_equal(a->outcome, PBFT_OUTCOME_OK);
    pbft_answer_free(a);
    const struct pbft_operation get = kv_get("k");
    assert_int_equal(pbft_submit_wait(c, &get, 1, &a).status, PBFT_OK); /* in a REPLY of one block */
    assert_int_equal(a->value.len, APP_VALUE_BYTES_MAX);
    assert_memory_equal(a->value.data, value, APP_VALUE_BYTES_MAX);
    pbft_answer_free(a);
    free(value);
    pbft_close(c);
}

static void test_client_1000_operations_all_outcomes_given(void **state)
{
    (void)state;
    struct pbft_operation *ops = calloc(OPS_MAX, sizeof *ops);
    struct pbft_client *c = client_open();
    struct pbft_answer *a;
    for (uint32_t i = 0; i < OPS_MAX; i++)
        ops[i] = kv_put("k", "v");
    ops[OPS_MAX - 1] = kv_get("none");
    assert_int_equal(pbft_submit_wait(c, ops, OPS_MAX, &a).status, PBFT_OK);
    assert_int_equal(a->op_count, OPS_MAX);
    assert_int_equal(a->outcomes[0], PBFT_OUTCOME_OK);
    assert_int_equal(a->outcomes[OPS_MAX - 1], PBFT_OUTCOME_NEGATIVE);
    pbft_answer_free(a);
    free(ops);
    pbft_close(c);
}

/* ---- callbacks, and the end ---- */

struct chain {
    struct pbft_client *client;
    uint32_t answered;
    uint32_t left; /* to be submitted from inside callbacks */
    bool seen[161];
    enum pbft_status wanted;
};

static void submit_again(void *context, const struct pbft_answer *answer)
{
    struct chain *chain = context;
    const struct pbft_operation op = kv_put("key", "value");
    assert_int_equal(answer->status, chain->wanted);
    assert_in_range(answer->client_seq, 1, sizeof chain->seen - 1);
    assert_false(chain->seen[answer->client_seq]); /* each once, in any order */
    chain->seen[answer->client_seq] = true;
    chain->answered++;
    if (chain->left == 0) return;
    chain->left--;
    assert_int_equal(pbft_submit(chain->client, &op, 1, submit_again, chain).status, PBFT_OK);
}

static void test_client_callback_submits_again_all_answered(void **state)
{
    (void)state;
    struct pbft_client *c = client_open_to_all();
    struct chain chain = {.client = c, .left = 150};
    const struct pbft_operation op = kv_put("key", "value");
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(pbft_submit(c, &op, 1, submit_again, &chain).status, PBFT_OK);
    CLIENT_UNTIL(c, chain.answered == 160);
    assert_int_equal(pbft_in_flight(c), 0);
    assert_int_equal(pbft_next_sequence(c), 161);
    pbft_close(c);
}

static void test_client_callback_of_timeout_submits_again_in_flight(void **state)
{
    (void)state;
    WITH_FAKES(fake_set_manner(&fakes, FAKE_DEAF));
    struct pbft_client *c = client_open_to_all();
    struct chain chain = {.client = c, .left = 20, .wanted = PBFT_TIMEOUT};
    const struct pbft_operation op = kv_put("key", "value");
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(pbft_submit(c, &op, 1, submit_again, &chain).status, PBFT_OK);
    client_deadline_now(c);
    CLIENT_UNTIL(c, chain.answered == 20);
    assert_int_equal(pbft_in_flight(c), 20);
    pbft_close(c);
}

static void test_client_close_in_flight_no_callback_nothing_leaks(void **state)
{
    struct kept reads[3];
    (void)state;
    struct pbft_client *c = open_with_full_window();
    for (uint32_t i = 0; i < 3; i++)
        client_get(c, "key", &reads[i]);
    WITH_FAKES(fake_answer_truly(&replicas[1], 5)); /* one answer of two */
    client_settle(c);
    pbft_close(c);
    for (uint32_t i = 0; i < PBFT_WINDOW; i++)
        assert_int_equal(many[i].calls, 0);
    pbft_close(NULL);
}

#define TEST_OF(count, test) cmocka_unit_test_setup_teardown(test, fakes_of_##count, fakes_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(4, test_client_primary_answers_nobody_else_asked),
        TEST_OF(4, test_client_slow_group_sent_again_later),
        TEST_OF(4, test_client_witness_goes_to_all_at_once),
        TEST_OF(4, test_client_learns_from_witnesses),
        TEST_OF(4, test_client_one_after_another_in_callbacks_is_alone),
        TEST_OF(4, test_client_f_silent_accepted_from_others),
        TEST_OF(7, test_client_f_silent_accepted_from_others),
        TEST_OF(4, test_client_f_stopped_accepted_from_others),
        TEST_OF(7, test_client_f_stopped_accepted_from_others),
        TEST_OF(4, test_client_primary_not_connected_sent_to_all_at_once),
        TEST_OF(4, test_client_primary_drops_connection_sent_to_all_at_once),
        TEST_OF(4, test_client_backup_drops_connection_nothing_sent_again),
        TEST_OF(4, test_client_no_answer_sent_to_all_with_backoff),
        TEST_OF(4, test_client_nobody_answers_times_out_on_time),
        TEST_OF(4, test_client_primary_dead_timeout_says_not_connected),
        TEST_OF(4, test_client_65th_in_flight_window_full),
        TEST_OF(4, test_client_later_ones_answered_first_window_held_by_lowest),
        TEST_OF(4, test_client_lowest_answered_window_moves_as_far),
        TEST_OF(4, test_client_submit_at_outside_window_full),
        TEST_OF(4, test_client_whole_window_timed_out_goes_on_when_group_is_back),
        TEST_OF(4, test_client_whole_window_executed_unanswered_goes_on_above),
        TEST_OF(4, test_client_submit_at_again_after_reopening_same_bytes_executes_once),
        TEST_OF(4, test_client_expiry_past_expired),
        TEST_OF(4, test_client_submit_bad_arguments_refused),
        TEST_OF(4, test_client_request_over_1_mib_too_large_nothing_sent),
        TEST_OF(4, test_client_request_of_1_mib_exactly_taken),
        TEST_OF(4, test_client_value_that_fits_is_taken_beside_the_longest_key),
        TEST_OF(4, test_client_largest_value_committed),
        TEST_OF(4, test_client_1000_operations_all_outcomes_given),
        TEST_OF(1, test_client_callback_submits_again_all_answered),
        TEST_OF(4, test_client_callback_submits_again_all_answered),
        TEST_OF(4, test_client_callback_of_timeout_submits_again_in_flight),
        TEST_OF(4, test_client_close_in_flight_no_callback_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
