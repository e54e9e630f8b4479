/* test_client_read.c - libpbft: reads. Q equal answers, asked again when they differ, ordered when that does not help.
 */
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

/* A client with one read in flight that has reached every replica; the test answers. */
static struct pbft_client *open_and_read(void)
{
    WITH_FAKES(fake_set_manner(&fakes, FAKE_MANUAL));
    struct pbft_client *c = client_open_to_all();
    client_get(c, "key", &kept);
    client_resend_never(c);
    CLIENT_UNTIL(c, replicas[0].query_count == 1);
    client_settle(c);
    return c;
}

static void tell(struct fake_replica *r, uint64_t seq, const char *value)
{
    fake_send_result(r, replicas[0].query_number, OUTCOME_OK, seq, bytes_of_text(value));
}

static void tell_and_settle(struct pbft_client *c, uint32_t id, uint64_t seq, const char *value)
{
    WITH_FAKES(tell(&replicas[id], seq, value));
    client_settle(c);
}

/* ---- how many are enough ---- */

static void test_client_read_f_plus_1_equal_not_enough_q_are(void **state)
{
    (void)state;
    const struct quorum q = fakes.kit->wire.quorum;
    struct pbft_client *c = open_and_read();
    for (uint32_t id = 1; id < q.quorum; id++) {
        tell_and_settle(c, id, 20 - id, "true");
        assert_int_equal(kept.calls, 0);
    }
    tell_and_settle(c, q.quorum, 20 - q.quorum, "true");
    assert_int_equal(kept.calls, 1);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_string_equal(kept.value, "true");
    assert_int_equal(kept.answer.block, 20 - q.quorum); /* the lowest state */
    assert_int_equal(kept.answer.client_seq, 0);
    assert_matched(&kept, ((1u << q.quorum) - 1) << 1);
    pbft_close(c);
}

static void test_client_read_of_single_replica_group_its_answer_accepted(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_read();
    tell_and_settle(c, 0, 1, "true");
    assert_int_equal(kept.answer.status, PBFT_OK);
    pbft_close(c);
}

static void test_client_read_same_replica_again_counts_once(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_read();
    for (uint32_t i = 0; i < 5; i++)
        tell_and_settle(c, 1, 1, "true");
    assert_int_equal(kept.calls, 0);
    pbft_close(c);
}

static void test_client_read_other_outcome_another_answer(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_read();
    tell_and_settle(c, 1, 1, "");
    tell_and_settle(c, 2, 1, "");
    WITH_FAKES(fake_send_result(&replicas[3], replicas[0].query_number, OUTCOME_NEGATIVE, 1, bytes_of(NULL, 0)));
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    tell_and_settle(c, 0, 1, "");
    assert_int_equal(kept.calls, 1);
    assert_matched(&kept, 1u << 0 | 1u << 1 | 1u << 2);
    pbft_close(c);
}

static void test_client_read_too_few_answer_times_out_says_who(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_read();
    tell_and_settle(c, 1, 1, "true");
    client_deadline_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_TIMEOUT);
    assert_non_null(strstr(kept.answer.text, "1 of 4 replicas answered, 3 equal answers are needed"));
    assert_non_null(strstr(kept.answer.text, "the primary is replica 0 of view 0"));
    pbft_close(c);
}

/* ---- a RESULT that does not count ---- */

static void check_result_ignored(void (*spoil)(struct wire_result *m))
{
    struct pbft_client *c = open_and_read();
    fake_lock(&fakes);
    for (uint32_t id = 0; id < 4; id++) {
        struct wire_result m = {.sender = id, .number = replicas[0].query_number, .value = bytes_of_text("true")};
        spoil(&m);
        fake_send(&replicas[id], &wire_record_result, &m);
    }
    fake_unlock(&fakes);
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    pbft_close(c);
}

static void spoil_outcome(struct wire_result *m)
{
    m->outcome = OUTCOME_MAX + 1u;
}

static void test_client_result_unknown_outcome_ignored(void **state)
{
    (void)state;
    check_result_ignored(spoil_outcome);
}

static void spoil_number(struct wire_result *m)
{
    m->number += 64; /* the same slot */
}

static void test_client_result_of_another_read_ignored(void **state)
{
    (void)state;
    check_result_ignored(spoil_number);
}

static void spoil_epoch(struct wire_result *m)
{
    m->epoch = 1;
}

static void test_client_result_of_another_epoch_ignored(void **state)
{
    (void)state;
    check_result_ignored(spoil_epoch);
}

static void spoil_sender(struct wire_result *m)
{
    m->sender = (m->sender + 1) % 4;
}

static void test_client_result_sender_of_another_id_ignored(void **state)
{
    (void)state;
    check_result_ignored(spoil_sender);
}

/* ---- lies and disagreement ---- */

/* What each replica answers to its k-th query; NULL: goes on in its manner. */
static const char *(*script)(uint32_t id, uint32_t round);

static bool scripted(struct fake_replica *r, const struct wire_message *m)
{
    if (m->type != WIRE_TYPE_query || m->query.mode != QUERY_MODE_QUORUM) return false;
    const char *value = script(r->id, r->query_count);
    if (value == NULL) return false;
    fake_send_result(r, m->query.number, OUTCOME_OK, 1000, bytes_of_text(value));
    return true;
}

/* A client of honest replicas that hold key = "true" and answer queries by the script; a read is in flight. */
static struct pbft_client *open_and_read_scripted(const char *(*answers)(uint32_t id, uint32_t round))
{
    struct pbft_client *c = client_open_to_all();
    script = answers;
    client_put(c, "key", "true", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    client_settle(c);
    fake_lock(&fakes);
    for (uint32_t id = 0; id < fakes.replica_count; id++)
        replicas[id].hook = scripted;
    fake_unlock(&fakes);
    client_get(c, "key", &kept);
    client_resend_never(c);
    return c;
}

static const char *f_lie(uint32_t id, uint32_t round)
{
    (void)round;
    return id < fakes.kit->wire.quorum.faulty_max ? "a lie" : NULL;
}

static void test_client_read_f_lie_truth_of_q_believed(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_read_scripted(f_lie);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_string_equal(kept.value, "true");
    assert_int_equal(kept.answer.block, 1); /* of the honest ones */
    pbft_close(c);
}

static const char *differ_once(uint32_t id, uint32_t round)
{
    return round == 1 && id >= 2 ? "older" : NULL;
}

static void test_client_read_disagreement_asked_again_not_ordered(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_read_scripted(differ_once);
    CLIENT_UNTIL(c, kept.calls > 0);
    fake_lock(&fakes);
    const uint32_t rounds = replicas[1].query_count;
    const uint32_t orders = fakes.order_count;
    fake_unlock(&fakes);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_string_equal(kept.value, "true");
    assert_in_range(rounds, 2, 3);
    assert_int_equal(orders, 1);
    pbft_close(c);
}

static const char *differ_always(uint32_t id, uint32_t round)
{
    (void)round;
    return id >= 2 ? "older" : NULL;
}

static void test_client_read_disagreement_goes_on_ordered(void **state)
{
    (void)state;
    struct pbft_client *c = open_and_read_scripted(differ_always);
    CLIENT_UNTIL(c, kept.calls > 0);
    fake_lock(&fakes);
    const uint32_t rounds = replicas[1].query_count;
    const uint32_t orders = fakes.order_count;
    fake_unlock(&fakes);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_string_equal(kept.value, "true");
    assert_int_equal(kept.answer.client_seq, 2);
    assert_int_equal(kept.answer.block, 2);
    assert_int_equal(rounds, 3);
    assert_int_equal(orders, 2);
    assert_int_equal(kept.calls, 1);
    assert_int_equal(pbft_in_flight(c), 0);
    pbft_close(c);
}

static void test_client_read_fewer_than_q_answer_ordered(void **state)
{
    (void)state;
    struct pbft_client *c = client_open_to_all();
    WITH_FAKES(replicas[2].manner = FAKE_DEAF, replicas[3].manner = FAKE_DEAF);
    client_get(c, "key", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_int_equal(kept.answer.outcome, PBFT_OUTCOME_NEGATIVE); /* no such key */
    assert_int_equal(kept.answer.client_seq, 1);
    assert_matched(&kept, 1u << 0 | 1u << 1);
    pbft_close(c);
}

/* While the window has no room for the ordered path, the replicas are asked again. */
static void test_client_read_disagreement_window_full_asked_on(void **state)
{
    static struct kept writes[PBFT_WINDOW];
    (void)state;
    struct pbft_client *c = open_and_read_scripted(differ_always);
    CLIENT_UNTIL(c, kept.calls > 0);
    WITH_FAKES(fakes.hold = true);
    for (uint32_t i = 0; i < PBFT_WINDOW; i++)
        client_put(c, "key", "new", &writes[i]);
    client_get(c, "key", &kept);
    CLIENT_UNTIL(c, replicas[1].query_count >= 8);
    assert_int_equal(kept.calls, 0);
    WITH_FAKES(fakes.hold = false, fake_execute_held(&fakes));
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_string_equal(kept.value, "new");
    pbft_close(c);
}

/* ---- sizes ---- */

static char *mebibyte;

static bool give_mebibyte(struct fake_replica *r, const struct wire_message *m)
{
    if (m->type != WIRE_TYPE_query || m->query.mode != QUERY_MODE_QUORUM) return false;
    fake_send_result(r, m->query.number, OUTCOME_OK, 1, bytes_of(mebibyte, RESULT_BYTES_MAX));
    return true;
}

static void compare_mebibyte(void *context, const struct pbft_answer *answer)
{
    bool *done = context;
    assert_int_equal(answer->status, PBFT_OK);
    assert_int_equal(answer->value.len, RESULT_BYTES_MAX);
    assert_memory_equal(answer->value.data, mebibyte, RESULT_BYTES_MAX);
    *done = true;
}

static void test_client_read_value_of_1_mib_given_whole(void **state)
{
    (void)state;
    const struct pbft_operation get = kv_get("key");
    bool done = false;
    mebibyte = malloc(RESULT_BYTES_MAX);
    for (uint32_t i = 0; i < RESULT_BYTES_MAX; i++)
        mebibyte[i] = (char)(i * 31u >> 3);
    fake_lock(&fakes);
    for (uint32_t id = 0; id < 4; id++)
        replicas[id].hook = give_mebibyte;
    fake_unlock(&fakes);
    struct pbft_client *c = client_open_to_all();
    assert_int_equal(pbft_read(c, &get, compare_mebibyte, &done).status, PBFT_OK);
    client_resend_never(c);
    CLIENT_UNTIL(c, done);
    pbft_close(c);
    free(mebibyte);
}

/* The blocking form keeps what the callback borrows. */
static void test_client_read_wait_value_kept_after_return(void **state)
{
    (void)state;
    const struct pbft_operation get = kv_get("key");
    struct pbft_answer *a;
    struct pbft_client *c = client_open_to_all();
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(pbft_read_wait(c, &get, &a).status, PBFT_OK);
    pbft_close(c);
    assert_int_equal(a->value.len, 5);
    assert_memory_equal(a->value.data, "value", 5);
    assert_int_equal(a->outcomes[0], PBFT_OUTCOME_OK);
    pbft_answer_free(a);
}

static void test_client_read_over_1_mib_too_large(void **state)
{
    (void)state;
    char *key = calloc(1, REQUEST_BYTES_MAX);
    struct pbft_operation get = kv_get("key");
    struct pbft_answer *a;
    struct pbft_client *c = client_open();
    get.args[0] = (struct pbft_bytes){key, REQUEST_BYTES_MAX};
    const struct pbft_error e = pbft_read_wait(c, &get, &a);
    assert_int_equal(e.status, PBFT_TOO_LARGE);
    assert_non_null(strstr(e.text, "1048576 bytes"));
    assert_null(a);
    get = kv_get("key");
    get.arg_count = PBFT_ARGS_MAX + 1;
    assert_int_equal(pbft_read_wait(c, &get, &a).status, PBFT_TOO_LARGE);
    assert_int_equal(pbft_in_flight(c), 0);
    free(key);
    pbft_close(c);
}

static void test_client_65th_read_in_flight_window_full(void **state)
{
    static struct kept reads[65];
    const struct pbft_operation get = kv_get("key");
    (void)state;
    WITH_FAKES(fake_set_manner(&fakes, FAKE_MANUAL));
    struct pbft_client *c = client_open_to_all();
    for (uint32_t i = 0; i < 64; i++)
        client_get(c, "key", &reads[i]);
    assert_int_equal(pbft_read(c, &get, keep, &kept).status, PBFT_WINDOW_FULL);
    assert_int_equal(pbft_in_flight(c), 64);
    pbft_close(c);
}

/* Swallows the first query; everything else is answered in time. */
static bool keep_first_waiting(struct fake_replica *r, const struct wire_message *m)
{
    return m->type == WIRE_TYPE_query && m->query.mode == QUERY_MODE_QUORUM && r->query_count == 1;
}

static void test_client_reads_beside_one_that_waits_never_window_full(void **state)
{
    struct kept first;
    (void)state;
    fake_lock(&fakes);
    for (uint32_t id = 0; id < 4; id++)
        replicas[id].hook = keep_first_waiting;
    fake_unlock(&fakes);
    struct pbft_client *c = client_open_to_all();
    client_get(c, "key", &first);
    client_resend_never(c);
    for (uint32_t i = 0; i < 70; i++) {
        client_get(c, "key", &kept);
        CLIENT_UNTIL(c, kept.calls > 0);
    }
    assert_int_equal(first.calls, 0);
    pbft_close(c);
}

/* 64 lost transactions leave no sequence for the ordered path: it is learned anew. */
static void test_client_read_disagreement_after_a_lost_window_ordered(void **state)
{
    static struct kept lost[PBFT_WINDOW];
    (void)state;
    struct pbft_client *c = open_and_read_scripted(differ_always);
    CLIENT_UNTIL(c, kept.calls > 0);
    WITH_FAKES(fake_set_manner(&fakes, FAKE_DEAF));
    for (uint32_t i = 0; i < PBFT_WINDOW; i++)
        client_put(c, "key", "lost", &lost[i]);
    client_resend_never(c);
    client_settle(c);
    client_deadline_now(c);
    CLIENT_UNTIL(c, pbft_in_flight(c) == 0);
    WITH_FAKES(fake_set_manner(&fakes, FAKE_HONEST));
    client_get(c, "key", &kept);
    assert_true(pbft_can_submit(c)); /* a read is in nobody's way */
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_string_equal(kept.value, "true");
    assert_int_equal(kept.answer.client_seq, 3);
    pbft_close(c);
}

/* A read in a callback of a read. */
static struct pbft_client *chained;

static void read_again(void *context, const struct pbft_answer *answer)
{
    const struct pbft_operation get = kv_get("key");
    assert_int_equal(answer->status, PBFT_OK);
    assert_int_equal(pbft_read(chained, &get, keep, context).status, PBFT_OK);
}

static void test_client_read_from_callback_answered(void **state)
{
    const struct pbft_operation get = kv_get("key");
    (void)state;
    chained = client_open_to_all();
    kept = (struct kept){0};
    assert_int_equal(pbft_read(chained, &get, read_again, &kept).status, PBFT_OK);
    CLIENT_UNTIL(chained, kept.calls > 0);
    assert_int_equal(kept.answer.outcome, PBFT_OUTCOME_NEGATIVE);
    pbft_close(chained);
}

#define TEST_OF(count, test) cmocka_unit_test_setup_teardown(test, fakes_of_##count, fakes_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(4, test_client_read_f_plus_1_equal_not_enough_q_are),
        TEST_OF(7, test_client_read_f_plus_1_equal_not_enough_q_are),
        TEST_OF(1, test_client_read_of_single_replica_group_its_answer_accepted),
        TEST_OF(4, test_client_read_same_replica_again_counts_once),
        TEST_OF(4, test_client_read_other_outcome_another_answer),
        TEST_OF(4, test_client_read_too_few_answer_times_out_says_who),
        TEST_OF(4, test_client_result_unknown_outcome_ignored),
        TEST_OF(4, test_client_result_of_another_read_ignored),
        TEST_OF(4, test_client_result_of_another_epoch_ignored),
        TEST_OF(4, test_client_result_sender_of_another_id_ignored),
        TEST_OF(4, test_client_read_f_lie_truth_of_q_believed),
        TEST_OF(7, test_client_read_f_lie_truth_of_q_believed),
        TEST_OF(4, test_client_read_disagreement_asked_again_not_ordered),
        TEST_OF(4, test_client_read_disagreement_goes_on_ordered),
        TEST_OF(4, test_client_read_fewer_than_q_answer_ordered),
        TEST_OF(4, test_client_read_disagreement_window_full_asked_on),
        TEST_OF(4, test_client_read_value_of_1_mib_given_whole),
        TEST_OF(4, test_client_read_wait_value_kept_after_return),
        TEST_OF(4, test_client_read_over_1_mib_too_large),
        TEST_OF(4, test_client_65th_read_in_flight_window_full),
        TEST_OF(4, test_client_reads_beside_one_that_waits_never_window_full),
        TEST_OF(4, test_client_read_disagreement_after_a_lost_window_ordered),
        TEST_OF(4, test_client_read_from_callback_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
