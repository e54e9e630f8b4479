/* test_certified.c - reads that prove themselves: what is proven, as of when, and that no byte of an answer can be another.
 */
#include "ledger/certified.h"
#include "tests/fixture/ledger_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL

struct room {
    struct kit *kit;
    struct kv_store *store;
    struct executor *executor;
    struct blob *certificate; /* of the checkpoint K */
    struct digest header;     /* ... and what it is over */
    struct digest root;
    struct buffer space;
    struct wire_operation op;
    struct certified_answer answer;
    struct wire_result result; /* of the answer */
};

static void open_room(struct room *r)
{
    *r = (struct room){.kit = kit_new(4, KIT_FAST)};
    r->executor = kit_executor_new(r->kit, &r->store);
    while (executor_executed(r->executor) < K) {
        struct executed_block *b = kit_execute_next(r->kit, r->executor);
        r->header = b->header_hash;
        r->root = b->state_root;
        executed_block_free(b);
    }
    const struct err e = executor_fold(r->executor, K);
    assert_int_equal(e.code, ERR_NONE);
    r->certificate = kit_checkpoint(r->kit, K, &r->header, &r->root, NULL, r->kit->wire.quorum.quorum);
}

static void close_room(struct room *r)
{
    certified_answer_release(&r->answer);
    buffer_free(&r->space);
    blob_release(r->certificate);
    executor_close(r->executor);
    kv_store_close(r->store);
    kit_free(r->kit);
}

static void ask_op(struct room *r, const struct kit_op *op)
{
    r->op = kit_operation(op, &r->space);
}

static void ask(struct room *r, const char *key)
{
    const struct kit_op op = kit_kv(APP_KV_GET, key, NULL, NULL);
    ask_op(r, &op);
}

static struct err make(struct room *r)
{
    certified_answer_release(&r->answer);
    const struct err e = certified_make(r->executor, r->certificate, &r->op, &r->answer);
    const struct certified_answer *a = &r->answer;
    r->result = (struct wire_result){.sender = 1,
                                     .outcome = a->outcome,
                                     .seq = a->seq,
                                     .value = bytes_of(a->value.data, a->value.len),
                                     .proof = a->proof != NULL ? blob_bytes(a->proof) : bytes_of(NULL, 0)};
    return e;
}

static void answer(struct room *r, const char *key)
{
    ask(r, key);
    assert_int_equal(make(r).code, ERR_NONE);
}

static const char *check(const struct room *r)
{
    return certified_check(&r->kit->wire, kit_checker(r->kit), &r->op, &r->result, NULL);
}

static void test_value_and_absence_are_proven(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    answer(&r, "key-4");
    assert_int_equal(r.answer.outcome, OUTCOME_OK);
    assert_int_equal(r.answer.seq, K);
    assert_true(bytes_equal(r.result.value, bytes_of_text("value-123")));
    assert_null(check(&r));
    answer(&r, "no such key");
    assert_int_equal(r.answer.outcome, OUTCOME_NEGATIVE);
    assert_int_equal(r.result.value.len, 0);
    assert_null(check(&r));
    close_room(&r);
}

/* What has executed since is not in it. */
static void test_answer_is_as_of_the_checkpoint(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    kit_grow(r.kit, r.executor, NULL, K + 20, NULL);
    answer(&r, "key-4");
    assert_true(bytes_equal(r.result.value, bytes_of_text("value-123")));
    assert_int_equal(r.answer.seq, K);
    assert_null(check(&r));
    close_room(&r);
}

static void check_refused(struct room *r, const struct kit_op *op)
{
    ask_op(r, op);
    assert_int_equal(make(r).code, ERR_NONE);
    assert_int_equal(r->answer.outcome, OUTCOME_REFUSED);
    assert_null(r->answer.proof);
    assert_true(r->answer.value.len > 0); /* why */
    assert_non_null(check(r));
}

static void test_what_cannot_be_proven_is_refused(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    const struct kit_op ops[] = {kit_kv(APP_KV_LIST, "key", "", NULL), kit_kv(APP_KV_PUT, "key-4", "x", NULL),
                                 kit_kv(APP_KV_GET, "", NULL, NULL), kit_kv(APP_KV_GET, "a", "b", NULL), kit_append("x")};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        check_refused(&r, &ops[i]);
    close_room(&r);
}

static void test_without_the_certificate_of_the_base_it_is_refused(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    const struct kit_op get = kit_kv(APP_KV_GET, "key-4", NULL, NULL);
    struct blob *true_one = r.certificate;
    r.certificate = NULL;
    check_refused(&r, &get);
    r.certificate = kit_checkpoint(r.kit, 2ull * K, &r.header, &r.root, NULL, 3);
    check_refused(&r, &get);
    blob_release(r.certificate);
    r.certificate = true_one;
    close_room(&r);
}

/* ---- liars ---- */

/* Each bit of the bytes, one after the other. */
static void check_each_bit(const struct room *r, struct bytes *field)
{
    const struct bytes true_one = *field;
    for (size_t i = 0; i < true_one.len; i++)
        for (uint32_t bit = 0; bit < 8; bit++) {
            struct blob *copy = blob_copy(true_one);
            copy->data[i] ^= (uint8_t)(1u << bit);
            *field = blob_bytes(copy);
            if (check(r) == NULL) fail_msg("byte %zu, bit %u is believed", i, bit);
            blob_release(copy);
        }
    *field = true_one;
}

static void test_no_bit_of_an_answer_can_be_another(void **state)
{
    static const char *const keys[] = {"key-4", "no such key"};
    struct room r;
    (void)state;
    open_room(&r);
    for (size_t i = 0; i < 2; i++) {
        answer(&r, keys[i]);
        check_each_bit(&r, &r.result.value);
        check_each_bit(&r, &r.result.proof);
        for (size_t cut = 0; cut < r.answer.proof->len; cut++) {
            r.result.proof.len = cut;
            assert_non_null(check(&r));
        }
        r.result.proof = blob_bytes(r.answer.proof);
        r.result.seq--;
        assert_non_null(check(&r));
        r.result.seq++;
        for (uint64_t outcome = 0; outcome <= OUTCOME_MAX; outcome++) {
            r.result.outcome = outcome;
            assert_int_equal(check(&r) == NULL, outcome == (uint64_t)r.answer.outcome);
        }
    }
    close_room(&r);
}

static void test_answer_to_another_key_is_none(void **state)
{
    static const char *const keys[] = {"key-4", "key-5", "no such key", "another"};
    struct room r;
    (void)state;
    open_room(&r);
    for (size_t i = 0; i < 4; i++) {
        answer(&r, keys[i]);
        for (size_t k = 0; k < 4; k++) {
            if (k == i) continue;
            ask(&r, keys[k]);
            /* two absent keys may end at one empty place: then it is the truth of both */
            if (check(&r) == NULL) assert_true(i >= 2 && k >= 2);
        }
    }
    const struct kit_op list = kit_kv(APP_KV_LIST, "key", "", NULL);
    ask_op(&r, &list);
    assert_non_null(check(&r));
    close_room(&r);
}

static void test_absence_with_a_value_is_refused(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    answer(&r, "no such key");
    r.result.value = bytes_of_text("x");
    assert_non_null(check(&r));
    close_room(&r);
}

/* The answer under another certificate. */
static const char *check_under(struct room *r, struct blob *certificate)
{
    struct wire_state_proof proof;
    assert_null(wire_decode_record(&wire_record_state_proof, blob_bytes(r->answer.proof), &proof));
    assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(certificate), &proof.certificate));
    struct blob *bytes = wire_encode_blob(&wire_record_state_proof, &proof);
    r->result.proof = blob_bytes(bytes);
    r->result.seq = proof.certificate.seq;
    const char *fault = check(r);
    r->result.proof = blob_bytes(r->answer.proof);
    r->result.seq = r->answer.seq;
    blob_release(bytes);
    blob_release(certificate);
    return fault;
}

static void test_certificate_must_be_one(void **state)
{
    static const uint64_t twice[] = {0, 1, 1};
    struct room r;
    (void)state;
    open_room(&r);
    answer(&r, "key-4");
    struct kit *k = r.kit;
    assert_null(check_under(&r, kit_checkpoint(k, K, &r.header, &r.root, NULL, 3)));
    assert_null(check_under(&r, kit_checkpoint(k, K, &r.header, &r.root, NULL, 4)));
    assert_non_null(check_under(&r, kit_checkpoint(k, K, &r.header, &r.root, NULL, 2)));
    assert_non_null(check_under(&r, kit_checkpoint(k, K, &r.header, &r.root, twice, 3)));
    assert_non_null(check_under(&r, kit_checkpoint(k, K, &r.header, &r.header, NULL, 3))); /* of another state */
    const struct wire_checkpoint_certificate beginning = {.epoch = k->wire.epoch, .header_hash = r.header, .state_root = r.root};
    assert_non_null(check_under(&r, wire_encode_blob(&wire_record_checkpoint_certificate, &beginning)));
    assert_null(check(&r));
    k->wire.epoch++;
    assert_non_null(check(&r));
    close_room(&r);
}

struct counter {
    struct signature_checker real;
    uint32_t count;
};

static bool count_check(void *context, struct verify_item *item)
{
    struct counter *c = context;
    c->count++;
    return c->real.check(c->real.context, item);
}

/* The signatures of one certificate are looked at once; what it is known by is all of it. */
static void test_certificate_known_is_not_verified_again(void **state)
{
    struct room r;
    struct digest known = {{0}};
    (void)state;
    open_room(&r);
    struct counter counter = {.real = kit_checker(r.kit)};
    const struct signature_checker checker = {.check = count_check, .context = &counter};
    answer(&r, "key-4");
    assert_null(certified_check(&r.kit->wire, checker, &r.op, &r.result, &known));
    assert_int_equal(counter.count, 3);
    answer(&r, "key-5");
    assert_null(certified_check(&r.kit->wire, checker, &r.op, &r.result, &known));
    assert_int_equal(counter.count, 3);
    const struct bytes true_one = r.result.proof;
    for (size_t i = 0; i < true_one.len; i++) {
        struct blob *copy = blob_copy(true_one);
        const struct digest before = known;
        copy->data[i] ^= 1;
        r.result.proof = blob_bytes(copy);
        assert_non_null(certified_check(&r.kit->wire, checker, &r.op, &r.result, &known));
        assert_true(digest_equal(&before, &known));
        blob_release(copy);
    }
    close_room(&r);
}

/* ---- a state that is damaged ---- */

static void test_value_that_the_tree_does_not_prove_is_corrupt(void **state)
{
    uint8_t space[STATE_KEY_BYTES_MAX];
    struct room r;
    (void)state;
    open_room(&r);
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, STATE_TABLE_DATA, certified_state_key(APP_KV, bytes_of_text("key-4"), space),
                 bytes_of_text("value-x"));
    kit_apply(r.store, b);
    ask(&r, "key-4");
    assert_int_equal(make(&r).code, ERR_CORRUPT);
    answer(&r, "key-5");
    assert_null(check(&r));
    close_room(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_and_absence_are_proven),
        cmocka_unit_test(test_answer_is_as_of_the_checkpoint),
        cmocka_unit_test(test_what_cannot_be_proven_is_refused),
        cmocka_unit_test(test_without_the_certificate_of_the_base_it_is_refused),
        cmocka_unit_test(test_no_bit_of_an_answer_can_be_another),
        cmocka_unit_test(test_answer_to_another_key_is_none),
        cmocka_unit_test(test_absence_with_a_value_is_refused),
        cmocka_unit_test(test_certificate_must_be_one),
        cmocka_unit_test(test_certificate_known_is_not_verified_again),
        cmocka_unit_test(test_value_that_the_tree_does_not_prove_is_corrupt),
    };
    return cmocka_run_group_tests_name("certified", tests, NULL, NULL);
}
