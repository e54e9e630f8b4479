/* test_client_certified.c - libpbft: reads that one replica proves. The proof is believed and nobody's word; who gives none is
 * passed over. */
#include "base/check.h"
#include "client/client_internal.h"
#include "ledger/certified.h"
#include "tests/fixture/client_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL

enum manner { PROVES, SILENT, REFUSES, LIES, GIVES_NO_PROOF, IS_BEHIND };

static struct kept kept;
static struct fake_replica *const replicas = fakes.replicas;

/* What the replicas prove their answers from; owned as fakes is. */
static struct {
    struct kv_store *store;
    struct executor *executor;
    struct blob *certificate[2]; /* of K, and of 2K */
    uint64_t stable;
    enum manner manners[FAKE_REPLICAS_MAX];
    uint32_t asked[FAKE_REPLICAS_MAX];
} ledger;

/* A second ledger's checkpoint, and its certificate. */
static struct blob *reach(struct executor *e, uint64_t seq)
{
    struct digest header = {{0}};
    struct digest root = {{0}};
    while (executor_executed(e) < seq) {
        struct executed_block *b = kit_execute_next(fakes.kit, e);
        header = b->header_hash;
        root = b->state_root;
        executed_block_free(b);
    }
    return kit_checkpoint(fakes.kit, seq, &header, &root, NULL, fakes.kit->wire.quorum.quorum);
}

static bool answer(struct fake_replica *r, const struct wire_message *m)
{
    struct certified_answer a;
    if (m->type != WIRE_TYPE_query || m->query.mode != QUERY_MODE_CERTIFIED) return false;
    ledger.asked[r->id]++;
    const enum manner manner = ledger.manners[r->id];
    if (manner == SILENT) return true;
    const struct err e = certified_make(ledger.executor, ledger.certificate[ledger.stable / K - 1], &m->query.operation, &a);
    CHECK(!err_is(&e));
    struct wire_result result = {.sender = r->id,
                                 .number = m->query.number,
                                 .outcome = a.outcome,
                                 .seq = a.seq,
                                 .value = bytes_of(a.value.data, a.value.len),
                                 .proof = a.proof != NULL ? blob_bytes(a.proof) : bytes_of(NULL, 0)};
    if (manner == REFUSES) result.outcome = OUTCOME_REFUSED;
    if (manner == LIES) result.value = bytes_of_text("a lie");
    if (manner == GIVES_NO_PROOF) result.proof.len = 0;
    if (manner == IS_BEHIND) result.seq -= K;
    fake_send(r, &wire_record_result, &result);
    certified_answer_release(&a);
    return true;
}

static void move_to(uint64_t seq)
{
    ledger.certificate[seq / K - 1] = reach(ledger.executor, seq);
    const struct err e = executor_fold(ledger.executor, seq);
    CHECK(!err_is(&e));
    ledger.stable = seq;
}

static int begin(void **state)
{
    (void)fakes_of_4(state);
    memset(&ledger, 0, sizeof ledger);
    fake_lock(&fakes);
    ledger.executor = kit_executor_new(fakes.kit, &ledger.store);
    move_to(K);
    for (uint32_t id = 0; id < 4; id++)
        replicas[id].hook = answer;
    fake_unlock(&fakes);
    return 0;
}

static int end(void **state)
{
    const int result = fakes_end(state);
    executor_close(ledger.executor);
    kv_store_close(ledger.store);
    blob_release(ledger.certificate[0]);
    blob_release(ledger.certificate[1]);
    return result;
}

static void all_do(enum manner manner)
{
    fake_lock(&fakes);
    for (uint32_t id = 0; id < 4; id++)
        ledger.manners[id] = manner;
    fake_unlock(&fakes);
}

static void read_certified(struct pbft_client *c, const char *key, uint64_t at_least)
{
    const struct pbft_operation op = kv_get(key);
    kept = (struct kept){0};
    const struct pbft_error e = pbft_read_certified(c, &op, at_least, keep, &kept);
    assert_int_equal(e.status, PBFT_OK);
}

static uint32_t asked_in_all(void)
{
    uint32_t sum = 0;
    for (uint32_t id = 0; id < 4; id++)
        sum += ledger.asked[id];
    return sum;
}

static void test_client_certified_one_replica_is_enough(void **state)
{
    (void)state;
    struct pbft_client *c = client_open_to_all();
    read_certified(c, "key-4", 0);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    assert_int_equal(kept.answer.outcome, PBFT_OUTCOME_OK);
    assert_string_equal(kept.value, "value-123");
    assert_int_equal(kept.answer.block, K);
    assert_int_equal(kept.answer.matched_count, 1);
    assert_int_equal(asked_in_all(), 1);
    read_certified(c, "no such key", 0);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.outcome, PBFT_OUTCOME_NEGATIVE);
    pbft_close(c);
}

/* One after the other, so that all have their share. */
static void test_client_certified_replicas_are_asked_in_turn(void **state)
{
    (void)state;
    struct pbft_client *c = client_open_to_all();
    for (uint32_t i = 0; i < 8; i++) {
        read_certified(c, "key-4", 0);
        CLIENT_UNTIL(c, kept.calls > 0);
    }
    for (uint32_t id = 0; id < 4; id++)
        assert_int_equal(ledger.asked[id], 2);
    pbft_close(c);
}

/* Three give no proof, at once; the fourth does. */
static void check_passed_over(enum manner manner)
{
    struct pbft_client *c = client_open_to_all();
    for (uint32_t honest = 0; honest < 4; honest++) {
        all_do(manner);
        WITH_FAKES(ledger.manners[honest] = PROVES);
        read_certified(c, "key-4", K);
        client_resend_never(c);
        CLIENT_UNTIL(c, kept.calls > 0);
        assert_int_equal(kept.answer.status, PBFT_OK);
        assert_string_equal(kept.value, "value-123");
        assert_int_equal(kept.answer.matched[0], honest);
    }
    pbft_close(c);
}

static void test_client_certified_liars_are_passed_over(void **state)
{
    (void)state;
    check_passed_over(LIES);
    check_passed_over(GIVES_NO_PROOF);
    check_passed_over(REFUSES);
    check_passed_over(IS_BEHIND);
}

static void test_client_certified_silent_one_is_passed_over_in_time(void **state)
{
    (void)state;
    struct pbft_client *c = client_open_to_all();
    all_do(SILENT);
    read_certified(c, "key-4", 0);
    CLIENT_UNTIL(c, asked_in_all() == 1);
    client_settle(c);
    assert_int_equal(asked_in_all(), 1);
    all_do(PROVES);
    client_resend_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
    pbft_close(c);
}

/* A checkpoint that is old enough to be wrong comes first: it waits for a newer one. */
static void test_client_certified_older_checkpoint_is_no_answer(void **state)
{
    (void)state;
    struct pbft_client *c = client_open_to_all();
    read_certified(c, "key-4", K + 1);
    CLIENT_UNTIL(c, asked_in_all() >= 4);
    client_settle(c);
    assert_int_equal(kept.calls, 0);
    WITH_FAKES(move_to(2 * K));
    client_resend_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.block, 2 * K);
    assert_string_equal(kept.value, "value-242");
    pbft_close(c);
}

static void test_client_certified_time_out_says_who_did_what(void **state)
{
    (void)state;
    struct pbft_client *c = client_open_to_all();
    fake_lock(&fakes);
    ledger.manners[0] = SILENT;
    ledger.manners[1] = REFUSES;
    ledger.manners[2] = LIES;
    ledger.manners[3] = IS_BEHIND;
    fake_unlock(&fakes);
    read_certified(c, "key-4", K);
    client_resend_now(c);
    CLIENT_UNTIL(c, asked_in_all() >= 4);
    client_settle(c);
    client_deadline_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_TIMEOUT);
    assert_non_null(strstr(kept.answer.text, "replica 0: did not answer in time"));
    assert_non_null(strstr(kept.answer.text, "replica 1: has no stable checkpoint to prove it from"));
    assert_non_null(strstr(kept.answer.text, "replica 2: its path does not lead to the state of that checkpoint"));
    assert_non_null(strstr(kept.answer.text, "replica 3: knows only an older checkpoint"));
    pbft_close(c);
}

/* Each costs signature checks: one for each time that it was asked. */
static void test_client_certified_second_answer_is_not_weighed(void **state)
{
    char first[64];
    (void)state;
    struct pbft_client *c = client_open_to_all();
    all_do(SILENT);
    read_certified(c, "key-4", 0);
    const uint64_t number = c->next_read;
    client_resend_never(c);
    CLIENT_UNTIL(c, asked_in_all() == 1);
    uint32_t id = 0;
    while (ledger.asked[id] == 0)
        id++;
    WITH_FAKES(
        fake_send_result(&replicas[(id + 2) % 4], number, OUTCOME_REFUSED, K, bytes_of(NULL, 0))); /* not asked */
    client_settle(c);
    assert_int_equal(asked_in_all(), 1);
    WITH_FAKES(fake_send_result(&replicas[id], number, OUTCOME_OK, K, bytes_of_text("a lie")));
    CLIENT_UNTIL(c, asked_in_all() == 2);
    WITH_FAKES(fake_send_result(&replicas[id], number, OUTCOME_REFUSED, K, bytes_of(NULL, 0)));
    client_settle(c);
    client_deadline_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    (void)snprintf(first, sizeof first, "replica %u: its proof does not decode", (unsigned)id);
    assert_non_null(strstr(kept.answer.text, first));
    assert_null(strstr(kept.answer.text, "no stable checkpoint"));
    pbft_close(c);
}

static void test_client_certified_what_cannot_be_proven_is_a_bad_argument(void **state)
{
    const struct pbft_operation ops[] = {kv_put("a", "b"), {.app = 1, .verb = 5, .arg_count = 2}, {.app = 2, .verb = 3}};
    (void)state;
    struct pbft_client *c = client_open_to_all();
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        assert_int_equal(pbft_read_certified(c, &ops[i], 0, keep, &kept).status, PBFT_BAD_ARGUMENT);
    assert_int_equal(pbft_in_flight(c), 0);
    pbft_close(c);
}

/* No quorum is there, and none is needed. */
static void test_client_certified_without_a_quorum(void **state)
{
    const struct pbft_operation op = kv_get("key-4");
    const struct pbft_options options = client_options();
    struct pbft_client *c;
    struct pbft_answer *a;
    (void)state;
    for (uint32_t id = 0; id < 3; id++)
        WITH_FAKES(fake_stop(&replicas[id]));
    assert_int_equal(pbft_open(&options, &c).status, PBFT_OK);
    assert_int_equal(pbft_read_certified_wait(c, &op, 0, &a).status, PBFT_OK);
    assert_memory_equal(a->value.data, "value-123", 9);
    assert_int_equal(a->matched[0], 3);
    pbft_answer_free(a);
    pbft_close(c);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_client_certified_one_replica_is_enough),
        TEST(test_client_certified_replicas_are_asked_in_turn),
        TEST(test_client_certified_liars_are_passed_over),
        TEST(test_client_certified_silent_one_is_passed_over_in_time),
        TEST(test_client_certified_older_checkpoint_is_no_answer),
        TEST(test_client_certified_time_out_says_who_did_what),
        TEST(test_client_certified_second_answer_is_not_weighed),
        TEST(test_client_certified_what_cannot_be_proven_is_a_bad_argument),
        TEST(test_client_certified_without_a_quorum),
    };
    return cmocka_run_group_tests_name("client_certified", tests, NULL, NULL);
}
