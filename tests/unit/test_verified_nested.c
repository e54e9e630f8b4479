/* test_verified_nested.c - what msg_verify says of the parts of a message: requests, batches, and certificates, which
 * have a verdict of their own (rule 4).
 */
#include "tests/fixture/message_kit.h"
#include "wire/verified.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kit *kit;
static struct wire_group group; /* as the kit's; a test that changes it changes it back */

static int group_setup(void **state)
{
    (void)state;
    kit = kit_new(4, KIT_FAST);
    group = kit->wire;
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    kit_free(kit);
    return 0;
}

/* Takes over the reference. */
static const char *verify(struct blob *b)
{
    struct msg_verified out;
    const char *fault = msg_verify(&group, kit_checker(kit), b, &out);
    msg_verified_release(&out);
    return fault;
}

/* Signs a changed message again, by `sender`, and verifies it. */
static const char *verify_sealed(const struct wire_record *record, void *message, uint64_t sender)
{
    return verify(message_sealed(kit, record, message, sender % 4));
}

/* The valid message of that name. */
static struct blob *made(const char *name)
{
    for (size_t i = 0; i < MESSAGES_VALID_COUNT; i++)
        if (strcmp(messages_valid[i].name, name) == 0) return messages_valid[i].make(kit);
    fail_msg("no message is named %s", name);
    return NULL;
}

/* ---- requests ---- */

static void test_verified_request_of_client_sequence_0_is_refused(void **state)
{
    (void)state;
    const struct kit_op op = kit_append("x");
    assert_non_null(verify(kit_request(kit, KIT_WRITER, 0, 1, &op, 1)));
    assert_null(verify(kit_request(kit, KIT_WRITER, 1, 1, &op, 1)));
}

/* Who is registered is the ledger's business: a good signature of any key passes here. */
static void test_verified_request_of_a_stranger_is_accepted(void **state)
{
    (void)state;
    const struct kit_op op = kit_append("x");
    assert_null(verify(kit_request(kit, KIT_STRANGER, 1, 1, &op, 1)));
}

/* A request of exactly `len` bytes. */
static struct blob *request_of_size(size_t len)
{
    struct blob *value = blob_new(len);
    memset(value->data, 'v', len);
    struct kit_op op = kit_append("");
    op.args[0] = bytes_of(value->data, len - 400);
    struct blob *first = kit_request(kit, KIT_WRITER, 1, 1, &op, 1);
    op.args[0].len += len - first->len;
    blob_release(first);
    struct blob *out = kit_request(kit, KIT_WRITER, 1, 1, &op, 1);
    assert_int_equal(out->len, len);
    blob_release(value);
    return out;
}

static void test_verified_request_over_the_size_limit_is_refused(void **state)
{
    (void)state;
    assert_null(verify(request_of_size(REQUEST_BYTES_MAX)));
    assert_non_null(verify(request_of_size(REQUEST_BYTES_MAX + 1)));
}

static void test_verified_request_gives_its_leaf(void **state)
{
    (void)state;
    struct msg_verified out;
    struct blob *b = made("request");
    assert_null(msg_verify(&group, kit_checker(kit), b, &out));
    const struct digest want = merkle_leaf(blob_bytes(b));
    assert_memory_equal(out.leaf.bytes, want.bytes, DIGEST_BYTES);
    msg_verified_release(&out);
}

/* ---- batches ---- */

static void check_batch(struct blob *batch, struct signature_checker checker, const char *want)
{
    struct batch_view view = {.valid = false};
    assert_null(batch_open(&group, checker, blob_bytes(batch), &view));
    assert_int_equal(view.valid, want == NULL);
    if (want != NULL)
        assert_string_equal(view.fault, want);
    else
        assert_null(view.fault);
    blob_release(batch);
}

static void test_verified_batch_that_does_not_decode_is_none(void **state)
{
    (void)state;
    struct batch_view view;
    assert_non_null(batch_open(&group, kit_checker(kit), bytes_of_text("garbage"), &view));
    assert_non_null(batch_open(&group, kit_checker(kit), bytes_of(NULL, 0), &view));
}

static void test_verified_batch_over_the_size_limit_is_none(void **state)
{
    (void)state;
    struct batch_view view;
    struct digest digest;
    for (size_t over = 0; over < 2; over++) {
        struct blob *batch = NULL;
        size_t last = 900;
        for (uint32_t pass = 0; pass < 2; pass++) { /* the second with the last request as long as it takes */
            struct blob *requests[] = {request_of_size(REQUEST_BYTES_MAX - 1000),
                                       request_of_size(REQUEST_BYTES_MAX - 1000), request_of_size(last)};
            blob_release(batch);
            batch = kit_batch(1, requests, 3, &digest);
            last += BATCH_BYTES_MAX + over - batch->len;
        }
        assert_int_equal(batch->len, BATCH_BYTES_MAX + over);
        const char *fault = batch_open(&group, kit_checker(kit), blob_bytes(batch), &view);
        if (over == 0)
            assert_null(fault);
        else
            assert_string_equal(fault, "the batch is over its size limit");
        blob_release(batch);
    }
}

static void test_verified_batch_with_a_bad_request_is_not_valid(void **state)
{
    (void)state;
    struct digest digest;
    const struct kit_op op = kit_append("x");
    for (uint32_t wrong = 0; wrong < 5; wrong++) {
        struct blob *bad = NULL;
        const char *want = NULL;
        struct wire_commit vote = {.sender = 1, .seq = 1};
        switch (wrong) {
        case 0:
            bad = blob_copy(bytes_of_text("garbage"));
            want = "a value is of another kind than the schema says";
            break;
        case 1:
            bad = message_sealed(kit, &wire_record_commit, &vote, 1);
            want = "a batch holds something that is no request";
            break;
        case 2:
            bad = kit_request(kit, KIT_WRITER, 0, 1, &op, 1);
            want = "a client's sequences start at 1";
            break;
        case 3:
            bad = kit_request(kit, KIT_WRITER, 1, 1, &op, 1);
            bad->data[bad->len - 1] ^= 1;
            want = "the signature of a request is wrong";
            break;
        case 4:
            kit->wire.epoch = 1;
            bad = kit_request(kit, KIT_WRITER, 1, 1, &op, 1);
            kit->wire.epoch = 0;
            want = "a request is of another epoch";
            break;
        }
        for (uint32_t at = 0; at < 2; at++) { /* before and behind a good one */
            struct blob *good = kit_request(kit, KIT_ADMIN, 1, 1, &op, 1);
            struct blob *both[] = {at == 0 ? blob_retain(bad) : good, at == 0 ? good : blob_retain(bad)};
            check_batch(kit_batch(1, both, 2, &digest), kit_checker(kit), want);
        }
        blob_release(bad);
    }
}

static void test_verified_batch_without_checker_is_judged_but_for_its_signatures(void **state)
{
    (void)state;
    struct digest digest;
    const struct signature_checker none = {0};
    const struct kit_op op = kit_append("x");
    struct blob *bad = kit_request(kit, KIT_WRITER, 1, 1, &op, 1);
    bad->data[bad->len - 1] ^= 1;
    check_batch(kit_batch(1, &bad, 1, &digest), none, NULL);
    struct blob *zero = kit_request(kit, KIT_WRITER, 0, 1, &op, 1);
    check_batch(kit_batch(1, &zero, 1, &digest), none, "a client's sequences start at 1");
}

static void test_verified_batch_of_more_operations_than_a_block_holds_is_not_valid(void **state)
{
    (void)state;
    static struct kit_op ops[OPS_MAX];
    struct blob *requests[70];
    struct digest digest;
    for (uint32_t i = 0; i < OPS_MAX; i++)
        ops[i] = kit_append("");
    for (uint32_t over = 0; over < 2; over++) {
        uint32_t count = 0;
        uint32_t left = BLOCK_OPS_MAX + over;
        while (left > 0) {
            const uint32_t now = left < OPS_MAX ? left : OPS_MAX;
            requests[count] = kit_request(kit, KIT_WRITER, count + 1, 1, ops, now);
            left -= now;
            count++;
        }
        check_batch(kit_batch(1, requests, count, &digest), kit_checker(kit),
                    over == 0 ? NULL : "the batch has more operations than the limit");
    }
}

static void test_verified_null_batch_is_valid(void **state)
{
    (void)state;
    struct digest digest;
    struct batch_view view;
    struct blob *batch = kit_batch(77, NULL, 0, &digest);
    assert_null(batch_open(&group, kit_checker(kit), blob_bytes(batch), &view));
    assert_true(view.valid);
    assert_memory_equal(view.digest.bytes, digest.bytes, DIGEST_BYTES);
    assert_int_equal(view.batch.time_ms, 77);
    blob_release(batch);
}

/* Rule 10: whether a batch is valid is a function of its digest, so the core hears of a bad one and keeps quiet. */
static void test_verified_pre_prepare_with_a_bad_request_enters_with_an_invalid_batch(void **state)
{
    (void)state;
    struct msg_verified out;
    struct wire_pre_prepare m = {.sender = MESSAGE_PRIMARY, .view = MESSAGE_VIEW, .seq = 1};
    const struct kit_op op = kit_append("x");
    struct blob *bad = kit_request(kit, KIT_WRITER, 1, 1, &op, 1);
    bad->data[bad->len - 1] ^= 1;
    struct blob *batch = kit_batch(1, &bad, 1, &m.digest);
    m.batch = blob_bytes(batch);
    assert_null(
        msg_verify(&group, kit_checker(kit), message_sealed(kit, &wire_record_pre_prepare, &m, MESSAGE_PRIMARY), &out));
    assert_true(out.has_batch);
    assert_false(out.batch.valid);
    msg_verified_release(&out);
    blob_release(batch);
}

static void test_verified_pre_prepare_with_another_batch_is_refused(void **state)
{
    (void)state;
    struct wire_pre_prepare m = {.sender = MESSAGE_PRIMARY, .view = MESSAGE_VIEW, .seq = 1};
    struct digest other;
    blob_release(message_batch(kit, &m.digest));
    struct blob *batch = kit_batch(1, NULL, 0, &other);
    m.batch = blob_bytes(batch);
    assert_string_equal(verify_sealed(&wire_record_pre_prepare, &m, MESSAGE_PRIMARY),
                        "the batch beside a PRE-PREPARE has another digest");
    m.batch = bytes_of_text("garbage");
    assert_non_null(verify_sealed(&wire_record_pre_prepare, &m, MESSAGE_PRIMARY));
    blob_release(batch);
}

static void test_verified_pre_prepare_without_batch_has_none(void **state)
{
    (void)state;
    struct msg_verified out;
    assert_null(msg_verify(&group, kit_checker(kit), made("pre_prepare_bare"), &out));
    assert_false(out.has_batch);
    msg_verified_release(&out);
    assert_null(msg_verify(&group, kit_checker(kit), made("pre_prepare"), &out));
    assert_true(out.has_batch);
    assert_true(out.batch.valid);
    msg_verified_release(&out);
}

/* ---- VIEW-CHANGE, NEW-VIEW, STATUS ---- */

/* Rule 4: one bad certificate voids itself, not the others. */
static void test_verified_view_change_gives_each_certificate_its_verdict(void **state)
{
    (void)state;
    for (uint64_t spoiled = 0; spoiled < 16; spoiled++) {
        struct msg_verified out;
        assert_null(msg_verify(&group, kit_checker(kit), message_view_change(kit, 4, spoiled, false), &out));
        assert_int_equal(out.certificates_good[0], ~spoiled & 15);
        assert_true(out.checkpoint_good);
        msg_verified_release(&out);
    }
}

static void test_verified_view_change_with_a_full_window_gives_all_verdicts(void **state)
{
    (void)state;
    struct msg_verified out;
    assert_null(msg_verify(&group, kit_checker(kit), message_view_change(kit, WINDOW_BATCHES, 2, false), &out));
    for (uint32_t k = 0; k < WINDOW_BATCHES; k++)
        assert_int_equal(out.certificates_good[k / 64] >> (k % 64) & 1, k != 1);
    msg_verified_release(&out);
}

static void test_verified_view_change_with_a_bad_proof_says_so(void **state)
{
    (void)state;
    struct msg_verified out;
    assert_null(msg_verify(&group, kit_checker(kit), message_view_change(kit, 1, 0, true), &out));
    assert_false(out.checkpoint_good);
    assert_int_equal(out.certificates_good[0], 1);
    msg_verified_release(&out);
}

static void test_verified_new_view_of_another_than_the_primary_is_refused(void **state)
{
    (void)state;
    for (uint64_t sender = 0; sender < 4; sender++)
        assert_int_equal(verify(message_new_view(kit, sender, MESSAGE_VIEW, sender)) == NULL,
                         sender == MESSAGE_PRIMARY);
}

static void test_verified_new_view_with_a_proposal_of_another_view_or_signer_is_refused(void **state)
{
    (void)state;
    static const char want[] = "a proposal inside a NEW-VIEW has a wrong signature";
    assert_string_equal(verify(message_new_view(kit, MESSAGE_PRIMARY, MESSAGE_VIEW - 4, MESSAGE_PRIMARY)), want);
    assert_string_equal(verify(message_new_view(kit, MESSAGE_PRIMARY, MESSAGE_VIEW, 1)), want);
    assert_null(verify(message_new_view(kit, MESSAGE_PRIMARY, MESSAGE_VIEW, MESSAGE_PRIMARY)));
}

/* Rule 5: a claim without proof counts as absent. */
static void test_verified_status_without_good_proof_is_accepted_without_checkpoint(void **state)
{
    (void)state;
    static const struct {
        uint64_t seq;
        bool spoiled, good;
    } cases[] = {
        {0, false, false}, {MESSAGE_SEQ, true, false}, {MESSAGE_SEQ, false, true}, {MESSAGE_SEQ + 1, false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct msg_verified out;
        assert_null(msg_verify(&group, kit_checker(kit), message_status(kit, cases[i].seq, cases[i].spoiled), &out));
        assert_int_equal(out.checkpoint_good, cases[i].good);
        msg_verified_release(&out);
    }
}

/* ---- DATA ---- */

static void test_verified_data_of_another_kind_is_refused(void **state)
{
    (void)state;
    for (uint64_t kind = 0; kind <= DATA_KIND_MAX + 1; kind++) {
        if (kind == DATA_KIND_BATCH || kind == DATA_KIND_BLOCK) continue;
        assert_non_null(verify(message_data((struct wire_data){.sender = 1, .kind = kind}, bytes_of(NULL, 0))));
    }
}

static void test_verified_data_batch_of_another_digest_is_refused(void **state)
{
    (void)state;
    struct wire_data m = {.sender = 1, .kind = DATA_KIND_BATCH};
    struct blob *batch = message_batch(kit, &m.digest);
    m.digest.bytes[0] ^= 1;
    assert_string_equal(verify(message_data(m, blob_bytes(batch))), "a batch has another digest than its message says");
    m.digest.bytes[0] ^= 1;
    struct msg_verified out;
    assert_null(msg_verify(&group, kit_checker(kit), message_data(m, blob_bytes(batch)), &out));
    assert_true(out.has_batch);
    assert_true(out.batch.valid);
    msg_verified_release(&out);
    assert_non_null(verify(message_data(m, bytes_of_text("garbage"))));
    blob_release(batch);
}

static void test_verified_data_block_with_anything_wrong_is_refused(void **state)
{
    (void)state;
    const struct message_block wrong[] = {
        {.header_seq = MESSAGE_SEQ + 1}, {.committed_seq = MESSAGE_SEQ + 1},
        {.header_seq = MESSAGE_SEQ - 1}, {.header_seq = MESSAGE_SEQ + 1, .committed_seq = MESSAGE_SEQ + 1},
        {.header_digest_wrong = true},   {.committed_wrong = true},
        {.batch_other = true},           {.batch_malformed = true},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_non_null(verify(message_data_block(kit, wrong[i])));
    assert_non_null(verify(message_data((struct wire_data){.sender = 1, .kind = DATA_KIND_BLOCK}, bytes_of_text("x"))));
}

static void test_verified_data_block_without_good_checkpoint_is_accepted_without_it(void **state)
{
    (void)state;
    const struct message_block cases[] = {{.no_checkpoint = true},
                                          {.checkpoint_wrong = true},
                                          {.checkpoint_seq = MESSAGE_SEQ + CHECKPOINT_INTERVAL},
                                          {0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct msg_verified out;
        assert_null(msg_verify(&group, kit_checker(kit), message_data_block(kit, cases[i]), &out));
        assert_true(out.has_batch);
        assert_true(out.batch.valid);
        assert_int_equal(out.block.header.seq, MESSAGE_SEQ);
        assert_int_equal(out.checkpoint_good, i == 3);
        msg_verified_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verified_request_of_client_sequence_0_is_refused),
        cmocka_unit_test(test_verified_request_of_a_stranger_is_accepted),
        cmocka_unit_test(test_verified_request_over_the_size_limit_is_refused),
        cmocka_unit_test(test_verified_batch_that_does_not_decode_is_none),
        cmocka_unit_test(test_verified_batch_over_the_size_limit_is_none),
        cmocka_unit_test(test_verified_batch_with_a_bad_request_is_not_valid),
        cmocka_unit_test(test_verified_batch_without_checker_is_judged_but_for_its_signatures),
        cmocka_unit_test(test_verified_batch_of_more_operations_than_a_block_holds_is_not_valid),
        cmocka_unit_test(test_verified_null_batch_is_valid),
        cmocka_unit_test(test_verified_pre_prepare_with_a_bad_request_enters_with_an_invalid_batch),
        cmocka_unit_test(test_verified_pre_prepare_with_another_batch_is_refused),
        cmocka_unit_test(test_verified_pre_prepare_without_batch_has_none),
        cmocka_unit_test(test_verified_view_change_gives_each_certificate_its_verdict),
        cmocka_unit_test(test_verified_view_change_with_a_full_window_gives_all_verdicts),
        cmocka_unit_test(test_verified_view_change_with_a_bad_proof_says_so),
        cmocka_unit_test(test_verified_new_view_of_another_than_the_primary_is_refused),
        cmocka_unit_test(test_verified_new_view_with_a_proposal_of_another_view_or_signer_is_refused),
        cmocka_unit_test(test_verified_status_without_good_proof_is_accepted_without_checkpoint),
        cmocka_unit_test(test_verified_data_of_another_kind_is_refused),
        cmocka_unit_test(test_verified_data_batch_of_another_digest_is_refused),
        cmocka_unit_test(test_verified_data_block_with_anything_wrong_is_refused),
        cmocka_unit_test(test_verified_data_block_without_good_checkpoint_is_accepted_without_it),
        cmocka_unit_test(test_verified_request_gives_its_leaf),
    };
    return cmocka_run_group_tests_name("verified_nested", tests, group_setup, group_teardown);
}
