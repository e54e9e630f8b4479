/* test_client_sequence.c - libpbft: a sequence that was learned too low, or that another process has used. What f+1
 * replicas refuse as CONFLICT goes on under another sequence, and executes once; TOO_OLD is the caller's to judge.
 */
#include "client/client_internal.h"
#include "tests/fixture/client_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TRUTH UINT64_MAX
#define SILENT (UINT64_MAX - 1)

static struct kept kept;
static struct kept many[PBFT_WINDOW];
static struct fake_replica *const replicas = fakes.replicas;
static uint64_t claims[FAKE_REPLICAS_MAX]; /* what each says is settled */
static bool no_reads;                      /* replicas 2 and 3 answer no reads */
static bool late;                          /* what they claim, they say to the question before */
static uint64_t questions[FAKE_REPLICAS_MAX];

static bool claim(struct fake_replica *r, const struct wire_message *m)
{
    if (m->type == WIRE_TYPE_query && m->query.mode == QUERY_MODE_QUORUM) return no_reads && r->id >= 2;
    if (m->type != WIRE_TYPE_query || m->query.operation.verb != SYSTEM_VERB_CLIENT) return false;
    const uint64_t before = questions[r->id];
    questions[r->id] = m->query.number;
    if (claims[r->id] == TRUTH || claims[r->id] == SILENT) return claims[r->id] == SILENT;
    const struct wire_client_status s = {.registered = 1, .highest_settled = claims[r->id]};
    struct blob *value = wire_encode_blob(&wire_record_client_status, &s);
    fake_send_result(r, late ? before : m->query.number, OUTCOME_OK, 0, blob_bytes(value));
    blob_release(value);
    return true;
}

static void claim_all(uint64_t c0, uint64_t c1, uint64_t c2, uint64_t c3)
{
    const uint64_t values[] = {c0, c1, c2, c3};
    fake_lock(&fakes);
    no_reads = false;
    late = false;
    for (uint32_t id = 0; id < 4; id++) {
        claims[id] = values[id];
        replicas[id].hook = claim;
    }
    fake_unlock(&fakes);
}

/* Another process with the same key has had so many transactions settled. */
static void settle_by_another(uint32_t count)
{
    struct pbft_client *c = client_open_to_all();
    for (uint32_t i = 0; i < count; i++) {
        client_put(c, "key", "of another", &kept);
        CLIENT_UNTIL(c, kept.calls > 0);
    }
    pbft_close(c);
}

/* A client that was told by a liar and by lagging replicas that 2 are settled, when so many are. */
static struct pbft_client *open_misled(uint32_t settled)
{
    settle_by_another(settled);
    claim_all(0, 2, 2, SILENT);
    struct pbft_client *c = client_open();
    assert_int_equal(pbft_next_sequence(c), 3);
    return c;
}

/* Transactions that came, and those of them that were executed. */
static uint32_t ordered(void)
{
    fake_lock(&fakes);
    const uint32_t count = fakes.order_count;
    fake_unlock(&fakes);
    return count;
}

static uint32_t executed(void)
{
    uint32_t count = 0;
    fake_lock(&fakes);
    for (uint32_t i = 0; i < fakes.order_count; i++)
        if (fakes.orders[i].block != NULL && fakes.orders[i].verdict == WINDOW_NEW) count++;
    fake_unlock(&fakes);
    return count;
}

static void assert_accepted(const struct kept *k, uint64_t seq)
{
    assert_int_equal(k->calls, 1);
    assert_int_equal(k->answer.status, PBFT_OK);
    assert_int_equal(k->answer.client_seq, seq);
}

/* ---- CONFLICT ---- */

static void test_client_conflict_goes_on_above_what_is_settled(void **state)
{
    (void)state;
    struct pbft_client *c = open_misled(5);
    claim_all(TRUTH, TRUTH, TRUTH, TRUTH);
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_accepted(&kept, 6);
    assert_int_equal(ordered(), 5 + 2);
    assert_int_equal(executed(), 5 + 1);
    assert_int_equal(pbft_next_sequence(c), 7);
    assert_int_equal(pbft_in_flight(c), 0);
    pbft_close(c);
}

/* A refusal by f+1 is itself a proof: no one who lies and lags again can keep the client where it is. */
static void test_client_conflict_and_misled_again_goes_on_all_the_same(void **state)
{
    (void)state;
    struct pbft_client *c = open_misled(5);
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_accepted(&kept, 6);
    assert_int_equal(executed(), 5 + 1);
    pbft_close(c);
}

static void test_client_conflict_one_says_settled_too_high_not_believed(void **state)
{
    (void)state;
    struct pbft_client *c = open_misled(5);
    claim_all(SEQ_MAX, TRUTH, TRUTH, TRUTH);
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_accepted(&kept, 6);
    client_settle(c); /* its word may come after those of the others */
    assert_int_equal(pbft_next_sequence(c), 7);
    pbft_close(c);
}

static void test_client_conflict_fewer_than_q_say_settled_waits(void **state)
{
    (void)state;
    struct pbft_client *c = open_misled(5);
    claim_all(5, 5, SILENT, SILENT);
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, pbft_next_sequence(c) == 0);
    client_settle(c);
    assert_int_equal(pbft_next_sequence(c), 0);
    assert_int_equal(ordered(), 5 + 1);
    assert_int_equal(kept.calls, 0);
    claim_all(5, 5, 5, SILENT);
    WITH_FAKES(fake_drop(&replicas[2])); /* it is asked when it is connected again */
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_accepted(&kept, 6);
    pbft_close(c);
}

static void test_client_conflict_settled_said_before_ignored(void **state)
{
    (void)state;
    struct pbft_client *c = open_misled(5);
    WITH_FAKES(late = true);
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, pbft_next_sequence(c) == 0);
    client_settle(c);
    assert_int_equal(pbft_next_sequence(c), 0);
    assert_int_equal(ordered(), 5 + 1);
    WITH_FAKES(late = false);
    for (uint32_t id = 0; id < 3; id++)
        WITH_FAKES(fake_drop(&replicas[id]));
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_accepted(&kept, 6);
    pbft_close(c);
}

/* What refused the one before says nothing of this one: a single liar could have it executed twice. */
static void test_client_conflict_refusals_before_do_not_count(void **state)
{
    (void)state;
    WITH_FAKES(fake_set_manner(&fakes, FAKE_MANUAL));
    struct pbft_client *c = client_open_to_all();
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, fakes.order_count == 1);
    WITH_FAKES(fake_send_busy(&replicas[1], 1, BUSY_CONFLICT), fake_send_busy(&replicas[2], 1, BUSY_CONFLICT));
    CLIENT_UNTIL(c, fakes.order_count == 2);
    WITH_FAKES(fake_send_busy(&replicas[3], 2, BUSY_CONFLICT));
    client_settle(c);
    assert_int_equal(pbft_next_sequence(c), 3);
    WITH_FAKES(fake_answer_truly(&replicas[1], 2), fake_answer_truly(&replicas[2], 2));
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_accepted(&kept, 2);
    assert_int_equal(ordered(), 2);
    pbft_close(c);
}

static void test_client_conflict_of_10_in_flight_each_executed_once(void **state)
{
    (void)state;
    struct pbft_client *c = open_misled(20);
    WITH_FAKES(fakes.hold = true);
    for (uint32_t i = 0; i < 10; i++)
        client_put(c, "key", "value", &many[i]);
    CLIENT_UNTIL(c, fakes.order_count == 20 + 10);
    WITH_FAKES(fakes.hold = false, fake_execute_held(&fakes));
    CLIENT_UNTIL(c, pbft_in_flight(c) == 0);
    uint64_t seqs = 0;
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(many[i].calls, 1);
        assert_int_equal(many[i].answer.status, PBFT_OK);
        assert_in_range(many[i].answer.client_seq, 21, 60);
        seqs |= 1ull << many[i].answer.client_seq;
    }
    assert_int_equal(__builtin_popcountll(seqs), 10);
    assert_int_equal(executed(), 20 + 10);
    pbft_close(c);
}

/* All operations go along, and nothing else. */
static void test_client_conflict_of_three_operations_all_submitted_again(void **state)
{
    (void)state;
    struct pbft_client *c = open_misled(3);
    client_put_three(c, &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_accepted(&kept, 4);
    assert_int_equal(kept.op_count, 3);
    client_get(c, "c", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_string_equal(kept.value, "3");
    pbft_close(c);
}

static void test_client_conflict_of_given_sequence_not_submitted_again(void **state)
{
    (void)state;
    const struct pbft_operation op = kv_put("key", "value");
    struct pbft_client *c = open_misled(5);
    kept = (struct kept){0};
    assert_int_equal(pbft_submit_at(c, 3, TIME_MS_MAX, &op, 1, keep, &kept).status, PBFT_OK);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_CONFLICT);
    assert_int_equal(kept.answer.client_seq, 3);
    assert_int_equal(ordered(), 5 + 1);
    pbft_close(c);
}

/* ---- what waits for another sequence ---- */

/* A client with a refused transaction and no way to learn another sequence. */
static struct pbft_client *open_with_refused(void)
{
    struct pbft_client *c = open_misled(5);
    claim_all(SILENT, SILENT, SILENT, SILENT);
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, pbft_next_sequence(c) == 0);
    return c;
}

static void test_client_conflict_no_sequence_in_time_conflict(void **state)
{
    (void)state;
    struct pbft_client *c = open_with_refused();
    assert_int_equal(pbft_in_flight(c), 1);
    client_deadline_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_CONFLICT);
    assert_non_null(strstr(kept.answer.text, "this one was not executed"));
    assert_int_equal(pbft_in_flight(c), 0);
    pbft_close(c);
}

/* The group has one replica, and it lies: there is no sequence above the last. */
static void test_client_conflict_last_sequence_settled_conflict(void **state)
{
    (void)state;
    WITH_FAKES(replicas[0].manner = FAKE_MANUAL, claims[0] = SEQ_MAX);
    struct pbft_client *c = client_open();
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, fakes.order_count == 1);
    WITH_FAKES(replicas[0].hook = claim, fake_send_busy(&replicas[0], 1, BUSY_CONFLICT));
    CLIENT_UNTIL(c, pbft_next_sequence(c) == SEQ_MAX + 1);
    client_deadline_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_CONFLICT);
    assert_int_equal(ordered(), 1);
    pbft_close(c);
}

static void test_client_conflict_closed_while_it_waits_no_callback_nothing_leaks(void **state)
{
    (void)state;
    pbft_close(open_with_refused());
    assert_int_equal(kept.calls, 0);
}

static void test_client_submit_while_refused_one_waits_window_full(void **state)
{
    (void)state;
    const struct pbft_operation op = kv_put("key", "value");
    struct pbft_client *c = open_with_refused();
    assert_false(pbft_can_submit(c));
    assert_int_equal(pbft_submit(c, &op, 1, keep, &many[0]).status, PBFT_WINDOW_FULL);
    pbft_close(c);
}

static void conflict_from_f_plus_1(uint64_t seq)
{
    WITH_FAKES(fake_send_busy(&replicas[1], seq, BUSY_CONFLICT), fake_send_busy(&replicas[2], seq, BUSY_CONFLICT));
}

/* 1 to 64 were in flight; 1 goes on as 65, 64 waits: 66 is not inside the window that 2 holds. */
static struct pbft_client *open_with_refused_above_window(void)
{
    WITH_FAKES(fake_set_manner(&fakes, FAKE_MANUAL));
    struct pbft_client *c = client_open_to_all();
    for (uint32_t i = 0; i < PBFT_WINDOW; i++)
        client_put(c, "key", "value", &many[i]);
    client_resend_never(c);
    CLIENT_UNTIL(c, fakes.order_count == 64);
    conflict_from_f_plus_1(1);
    CLIENT_UNTIL(c, fake_order_of(&fakes, 65) != NULL);
    conflict_from_f_plus_1(64);
    client_settle(c);
    CLIENT_UNTIL(c, pbft_next_sequence(c) == 66);
    return c;
}

static void test_client_refused_waits_for_the_window(void **state)
{
    (void)state;
    struct pbft_client *c = open_with_refused_above_window();
    client_settle(c);
    assert_int_equal(ordered(), 65);
    assert_false(pbft_can_submit(c));
    WITH_FAKES(fake_answer_truly(&replicas[1], 2), fake_answer_truly(&replicas[2], 2));
    CLIENT_UNTIL(c, fake_order_of(&fakes, 66) != NULL);
    assert_int_equal(many[0].calls + many[63].calls, 0);
    pbft_close(c);
}

/* More than 64 could be refused otherwise. */
static void test_client_refused_goes_before_a_read_to_be_ordered(void **state)
{
    (void)state;
    struct pbft_client *c = open_with_refused_above_window();
    client_get(c, "key", &kept);
    for (uint32_t k = 0; k < CLIENT_READS_MAX; k++)
        c->reads[k].rounds = CLIENT_READ_ROUNDS;
    WITH_FAKES(fake_answer_truly(&replicas[1], 2), fake_answer_truly(&replicas[2], 2));
    while (pbft_next_sequence(c) == 66) {
        for (uint32_t k = 0; k < CLIENT_READS_MAX; k++)
            c->reads[k].resend_us = 0;
        pbft_poll(c, 0);
    }
    assert_ptr_equal(c->submits[66 % PBFT_WINDOW].context, &many[63]);
    pbft_close(c);
}

static void test_client_conflict_new_sequence_noted_in_journal(void **state)
{
    char path[FAKE_PATH_BYTES];
    struct pbft_options options = client_options();
    struct pbft_client *c;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/journal", fakes.place.root);
    options.journal_path = path;
    settle_by_another(5);
    claim_all(0, 2, 2, SILENT);
    for (uint64_t seq = 6; seq <= 7; seq++) { /* the second finds it without asking around */
        assert_int_equal(pbft_open(&options, &c).status, PBFT_OK);
        assert_int_equal(pbft_ready(c, CLIENT_KIT_MS).status, PBFT_OK);
        assert_int_equal(pbft_next_sequence(c), seq == 6 ? 3 : 7);
        client_put(c, "key", "value", &kept);
        CLIENT_UNTIL(c, kept.calls > 0);
        assert_accepted(&kept, seq);
        pbft_close(c);
    }
}

static void write_journal(const char *path, uint64_t seq)
{
    uint8_t raw[8];
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    be64_put(raw, seq);
    assert_int_equal(fwrite(raw, 1, sizeof raw, f), sizeof raw);
    assert_int_equal(fclose(f), 0);
}

/* Replicas that have just started are still executing what they had committed: 2 settled of 70 when the client asks first. It took
 * 3, which was TOO_OLD when it came there. */
static void test_client_lagging_group_waited_for_when_the_journal_knows_more(void **state)
{
    char path[FAKE_PATH_BYTES];
    struct pbft_options options = client_options();
    struct pbft_client *c;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/journal", fakes.place.root);
    options.journal_path = path;
    write_journal(path, 70);
    settle_by_another(70);
    claim_all(2, 2, 2, 2);
    assert_int_equal(pbft_open(&options, &c).status, PBFT_OK);
    CLIENT_UNTIL(c, c->lagging);
    for (uint32_t i = 0; i < 30; i++) { /* asked again and again: never is what they say taken */
        c->lag_since_us = client_now_us();
        pbft_poll(c, 10);
        assert_int_equal(pbft_next_sequence(c), 0);
    }
    claim_all(TRUTH, TRUTH, TRUTH, TRUTH);
    assert_int_equal(pbft_ready(c, CLIENT_KIT_MS).status, PBFT_OK);
    assert_int_equal(pbft_next_sequence(c), 71);
    pbft_close(c);
}

/* A ledger restored from an old copy never comes up to the journal. */
static void test_client_group_that_stays_behind_the_journal_believed_in_the_end(void **state)
{
    char path[FAKE_PATH_BYTES];
    struct pbft_options options = client_options();
    struct pbft_client *c;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/journal", fakes.place.root);
    options.journal_path = path;
    write_journal(path, 70);
    settle_by_another(2);
    assert_int_equal(pbft_open(&options, &c).status, PBFT_OK);
    CLIENT_UNTIL(c, c->lagging);
    c->lag_since_us -= 3000000;
    CLIENT_UNTIL(c, pbft_next_sequence(c) == 3);
    pbft_close(c);
}

/* All 64 of a window were sent and lost: that is no lag. */
static void test_client_journal_a_window_ahead_is_no_lag(void **state)
{
    char path[FAKE_PATH_BYTES];
    struct pbft_options options = client_options();
    struct pbft_client *c;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/journal", fakes.place.root);
    options.journal_path = path;
    write_journal(path, 2 + PBFT_WINDOW);
    settle_by_another(2);
    assert_int_equal(pbft_open(&options, &c).status, PBFT_OK);
    assert_int_equal(pbft_ready(c, CLIENT_KIT_MS).status, PBFT_OK);
    assert_int_equal(c->lag_since_us, 0);
    assert_int_equal(pbft_next_sequence(c), 3);
    pbft_close(c);
}

/* ---- TOO_OLD ---- */

static void test_client_too_old_not_submitted_again_next_one_executes(void **state)
{
    (void)state;
    struct pbft_client *c = open_misled(70);
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_TOO_OLD);
    assert_int_equal(kept.answer.client_seq, 3);
    assert_non_null(strstr(kept.answer.text, "whether it was executed is not known"));
    claim_all(TRUTH, TRUTH, TRUTH, TRUTH);
    client_settle(c);
    assert_int_equal(ordered(), 70 + 1);
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_accepted(&kept, 71);
    assert_int_equal(executed(), 70 + 1);
    pbft_close(c);
}

/* TOO_OLD at 3 proves that 67 is settled, whatever the replicas say. */
static void test_client_too_old_and_misled_again_next_one_executes(void **state)
{
    (void)state;
    struct pbft_client *c = open_misled(70);
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_TOO_OLD);
    assert_int_equal(pbft_ready(c, CLIENT_KIT_MS).status, PBFT_OK);
    assert_int_equal(pbft_next_sequence(c), 68);
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_accepted(&kept, 71);
    assert_int_equal(executed(), 70 + 1);
    pbft_close(c);
}

/* ---- reads that are ordered ---- */

static void check_ordered_read(uint32_t settled)
{
    struct pbft_client *c = open_misled(settled);
    WITH_FAKES(no_reads = true);
    client_get(c, "key", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_accepted(&kept, settled + 1);
    assert_string_equal(kept.value, "of another");
    pbft_close(c);
}

static void test_client_ordered_read_conflict_asked_under_another_sequence(void **state)
{
    (void)state;
    check_ordered_read(5);
}

static void test_client_ordered_read_too_old_asked_under_another_sequence(void **state)
{
    (void)state;
    check_ordered_read(70);
}

#define TEST_OF(count, test) cmocka_unit_test_setup_teardown(test, fakes_of_##count, fakes_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(4, test_client_conflict_goes_on_above_what_is_settled),
        TEST_OF(4, test_client_conflict_and_misled_again_goes_on_all_the_same),
        TEST_OF(4, test_client_conflict_one_says_settled_too_high_not_believed),
        TEST_OF(4, test_client_conflict_fewer_than_q_say_settled_waits),
        TEST_OF(4, test_client_conflict_settled_said_before_ignored),
        TEST_OF(4, test_client_conflict_refusals_before_do_not_count),
        TEST_OF(4, test_client_conflict_of_10_in_flight_each_executed_once),
        TEST_OF(4, test_client_conflict_of_three_operations_all_submitted_again),
        TEST_OF(4, test_client_conflict_of_given_sequence_not_submitted_again),
        TEST_OF(4, test_client_conflict_no_sequence_in_time_conflict),
        TEST_OF(1, test_client_conflict_last_sequence_settled_conflict),
        TEST_OF(4, test_client_conflict_closed_while_it_waits_no_callback_nothing_leaks),
        TEST_OF(4, test_client_submit_while_refused_one_waits_window_full),
        TEST_OF(4, test_client_refused_waits_for_the_window),
        TEST_OF(4, test_client_refused_goes_before_a_read_to_be_ordered),
        TEST_OF(4, test_client_conflict_new_sequence_noted_in_journal),
        TEST_OF(4, test_client_lagging_group_waited_for_when_the_journal_knows_more),
        TEST_OF(4, test_client_group_that_stays_behind_the_journal_believed_in_the_end),
        TEST_OF(4, test_client_journal_a_window_ahead_is_no_lag),
        TEST_OF(4, test_client_too_old_not_submitted_again_next_one_executes),
        TEST_OF(4, test_client_too_old_and_misled_again_next_one_executes),
        TEST_OF(4, test_client_ordered_read_conflict_asked_under_another_sequence),
        TEST_OF(4, test_client_ordered_read_too_old_asked_under_another_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
