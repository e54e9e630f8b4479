/* test_verified.c - msg_verify: which bytes may reach the core. Every message type, and each field of it wrong. What is
 * nested inside (requests, batches, certificates): test_verified_nested.c.
 */
#include "tests/fixture/message_kit.h"
#include "tests/fixture/wire_vectors.h"
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

/* ---- verifying ---- */

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

/* Decodes a valid message, of which the caller keeps the blob. */
static struct wire_message decoded(const struct blob *b)
{
    struct wire_message m;
    assert_null(wire_decode(blob_bytes(b), &m));
    return m;
}

static void test_verified_valid_messages_of_every_type_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGES_VALID_COUNT; i++)
        assert_null(verify(messages_valid[i].make(kit)));
}

static void test_verified_corpus_is_made_of_the_valid_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGES_VALID_COUNT; i++) {
        char path[128];
        struct buffer file = {0};
        struct blob *b = messages_valid[i].make(kit);
        (void)snprintf(path, sizeof path, "tests/fuzz/corpus/verified/%s", messages_valid[i].name);
        assert_true(file_read(path, &file));
        assert_int_equal(file.len, b->len);
        assert_memory_equal(file.data, b->data, b->len);
        buffer_free(&file);
        blob_release(b);
    }
}

static void test_verified_bytes_that_do_not_decode_are_refused(void **state)
{
    (void)state;
    assert_non_null(verify(blob_new(0)));
    assert_non_null(verify(blob_copy(bytes_of_text("garbage"))));
    for (size_t i = 0; i < MESSAGES_VALID_COUNT; i++) {
        struct blob *b = messages_valid[i].make(kit);
        for (size_t len = 0; len < b->len; len += 1 + b->len / 100)
            assert_non_null(verify(blob_copy(bytes_of(b->data, len))));
        struct blob *longer = blob_new(b->len + 1);
        memcpy(longer->data, b->data, b->len);
        longer->data[b->len] = 0;
        assert_non_null(verify(longer));
        blob_release(b);
    }
}

/* Rule 19. For a PRE-PREPARE the batch beside the signature counts too: the digest binds it. */
static void test_verified_any_changed_bit_of_a_signed_message_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGES_VALID_COUNT; i++) {
        struct blob *b = messages_valid[i].make(kit);
        const struct wire_message m = decoded(b);
        const bool whole = m.signed_part.len > 0;
        /* of an unsigned batch: the payload, which ends the message, is bound by its digest */
        const size_t from = whole                                                        ? 0
                            : m.type == WIRE_TYPE_data && m.data.kind == DATA_KIND_BATCH ? b->len - m.data.payload.len
                                                                                         : b->len;
        for (size_t bit = from * 8; bit < b->len * 8; bit++) {
            struct blob *changed = blob_copy(blob_bytes(b));
            changed->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (verify(changed) == NULL) fail_msg("%s: bit %zu may change", messages_valid[i].name, bit);
        }
        blob_release(b);
    }
}

/* One number more or less, or a digest that differs, with the signature as it was. `at` is the struct that holds the
 * field; the message is encoded whole. */
static void change_fields(const struct wire_record *record, uint8_t *at, const struct wire_record *whole,
                          const void *message, const char *name)
{
    for (uint32_t i = 0; i < record->field_count && record->fields[i].kind != WIRE_KIND_SIGNATURE; i++) {
        const struct wire_field *f = &record->fields[i];
        uint8_t *field = at + f->offset;
        uint64_t number;
        if (f->kind == WIRE_KIND_OBJECT) {
            change_fields(f->record, field, whole, message, name);
        } else if (f->kind == WIRE_KIND_DIGEST || f->kind == WIRE_KIND_KEY) {
            field[DIGEST_BYTES - 1] ^= 1;
            if (verify(wire_encode_blob(whole, message)) == NULL) fail_msg("%s.%s may change", name, f->name);
            field[DIGEST_BYTES - 1] ^= 1;
        } else if (f->kind == WIRE_KIND_UINT) {
            memcpy(&number, field, sizeof number);
            for (int step = -1; step <= 1; step += 2) {
                const uint64_t other = number + (uint64_t)(int64_t)step;
                if (other > f->max) continue;
                memcpy(field, &other, sizeof other);
                if (verify(wire_encode_blob(whole, message)) == NULL) fail_msg("%s.%s may change", name, f->name);
            }
            memcpy(field, &number, sizeof number);
        }
    }
}

static void test_verified_any_signed_field_one_more_or_less_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGES_VALID_COUNT; i++) {
        struct blob *b = messages_valid[i].make(kit);
        struct wire_message m = decoded(b);
        const struct wire_record *record = wire_record_of_type((uint64_t)m.type);
        if (wire_is_signed(record)) change_fields(record, wire_body(&m), record, wire_body(&m), messages_valid[i].name);
        blob_release(b);
    }
}

/* REPLY is the one signed type that is not for the core. */
static void test_verified_any_header_field_of_a_reply_is_under_its_signature(void **state)
{
    (void)state;
    struct wire_reply m = {.sender = 1, .header = {.version = 1, .seq = 2, .time_ms = 3, .count = 1}};
    const struct digest before = wire_record_signing_digest(&kit->wire.id, &wire_record_reply, &m);
    for (uint32_t i = 0; i < wire_record_header.field_count + 2; i++) {
        struct wire_reply changed = m;
        if (i == 0)
            changed.epoch ^= 1;
        else if (i == 1)
            changed.sender ^= 1;
        else
            *((uint8_t *)&changed.header + wire_record_header.fields[i - 2].offset) ^= 1;
        const struct digest after = wire_record_signing_digest(&kit->wire.id, &wire_record_reply, &changed);
        assert_false(digest_equal(&before, &after));
    }
}

/* Rule 20: neither group nor epoch is in an unsigned message, but for the epoch; those travel inside a channel. */
static void test_verified_replay_from_another_group_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGES_VALID_COUNT; i++) {
        struct blob *b = messages_valid[i].make(kit);
        const bool is_signed = decoded(b).signed_part.len > 0;
        group.id.bytes[0] ^= 1;
        if (is_signed) assert_non_null(verify(blob_retain(b)));
        group.id.bytes[0] ^= 1;
        assert_null(verify(b));
    }
}

static void test_verified_message_of_another_epoch_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGES_VALID_COUNT; i++) {
        struct blob *b = messages_valid[i].make(kit);
        group.epoch = 1;
        assert_non_null(verify(b));
        group.epoch = 0;
    }
}

static void test_verified_sender_that_is_no_member_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGES_VALID_COUNT; i++) {
        struct blob *b = messages_valid[i].make(kit);
        struct wire_message m = decoded(b);
        const struct wire_record *record = wire_record_of_type((uint64_t)m.type);
        uint8_t *body = wire_body(&m);
        for (uint32_t f = 0; f < record->field_count; f++) {
            static const uint64_t wrong[] = {4, REPLICAS_MAX - 1};
            if (strcmp(record->fields[f].name, "sender") != 0) continue;
            for (uint32_t k = 0; k < 2; k++) {
                memcpy(body + record->fields[f].offset, &wrong[k], sizeof wrong[k]);
                if (wire_is_signed(record)) kit_sign(kit, &kit->members[0], record, body);
                assert_string_equal(verify(wire_encode_blob(record, body)), "the sender is not a member");
            }
        }
        blob_release(b);
    }
}

static void test_verified_message_signed_by_another_member_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGES_VALID_COUNT; i++) {
        struct blob *b = messages_valid[i].make(kit);
        struct wire_message m = decoded(b);
        const struct wire_record *record = wire_record_of_type((uint64_t)m.type);
        if (wire_is_signed(record)) {
            kit_sign(kit, &kit->members[0], record, wire_body(&m)); /* none of them is from 0 */
            assert_non_null(verify(wire_encode_blob(record, wire_body(&m))));
        }
        blob_release(b);
    }
}

static void test_verified_types_that_are_not_for_the_core_are_refused(void **state)
{
    (void)state;
    struct wire_reply reply = {.sender = 1};
    const struct wire_hello hello = {.version = 1};
    const struct wire_query query = {.number = 1};
    const struct wire_result result = {.sender = 1};
    const struct wire_busy busy = {.sender = 1};
    assert_non_null(verify(message_sealed(kit, &wire_record_reply, &reply, 1)));
    assert_non_null(verify(wire_encode_blob(&wire_record_hello, &hello)));
    assert_non_null(verify(wire_encode_blob(&wire_record_query, &query)));
    assert_non_null(verify(wire_encode_blob(&wire_record_result, &result)));
    assert_non_null(verify(wire_encode_blob(&wire_record_busy, &busy)));
}

/* ---- votes ---- */

static void test_verified_vote_on_sequence_0_is_refused(void **state)
{
    (void)state;
    struct wire_pre_prepare p = {.sender = MESSAGE_PRIMARY, .view = MESSAGE_VIEW};
    struct wire_prepare q = {.sender = 1, .view = MESSAGE_VIEW};
    struct wire_commit c = {.sender = 1, .view = MESSAGE_VIEW};
    struct wire_checkpoint k = {.sender = 1};
    assert_non_null(verify_sealed(&wire_record_pre_prepare, &p, p.sender));
    assert_non_null(verify_sealed(&wire_record_prepare, &q, q.sender));
    assert_non_null(verify_sealed(&wire_record_commit, &c, c.sender));
    assert_non_null(verify_sealed(&wire_record_checkpoint, &k, k.sender));
    p.seq = q.seq = c.seq = 1;
    k.seq = CHECKPOINT_INTERVAL;
    assert_null(verify_sealed(&wire_record_pre_prepare, &p, p.sender));
    assert_null(verify_sealed(&wire_record_prepare, &q, q.sender));
    assert_null(verify_sealed(&wire_record_commit, &c, c.sender));
    assert_null(verify_sealed(&wire_record_checkpoint, &k, k.sender));
}

static void test_verified_pre_prepare_of_a_backup_is_refused(void **state)
{
    (void)state;
    for (uint64_t view = 0; view < 8; view++) {
        for (uint64_t sender = 0; sender < 4; sender++) {
            struct wire_pre_prepare m = {.sender = sender, .view = view, .seq = 1};
            assert_int_equal(verify_sealed(&wire_record_pre_prepare, &m, sender) == NULL, sender == view % 4);
        }
    }
}

/* Rule 18. */
static void test_verified_prepare_of_the_primary_is_refused(void **state)
{
    (void)state;
    for (uint64_t view = 0; view < 8; view++) {
        for (uint64_t sender = 0; sender < 4; sender++) {
            struct wire_prepare m = {.sender = sender, .view = view, .seq = 1};
            struct wire_commit c = {.sender = sender, .view = view, .seq = 1};
            assert_int_equal(verify_sealed(&wire_record_prepare, &m, sender) == NULL, sender != view % 4);
            assert_null(verify_sealed(&wire_record_commit, &c, sender));
        }
    }
}

static void test_verified_checkpoint_at_another_sequence_is_refused(void **state)
{
    (void)state;
    for (uint64_t seq = CHECKPOINT_INTERVAL - 1; seq <= CHECKPOINT_INTERVAL + 1; seq++) {
        struct wire_checkpoint m = {.sender = 1, .seq = seq};
        assert_int_equal(verify_sealed(&wire_record_checkpoint, &m, 1) == NULL, seq == CHECKPOINT_INTERVAL);
    }
}

static void test_verified_message_id_is_what_its_signature_is_over(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGES_VALID_COUNT; i++) {
        struct msg_verified out;
        struct blob *b = messages_valid[i].make(kit);
        assert_null(msg_verify(&group, kit_checker(kit), b, &out));
        if (out.msg.signed_part.len == 0) {
            assert_true(digest_is_zero(&out.id));
        } else {
            const struct digest want = wire_signing_digest(&group.id, out.msg.signed_part);
            assert_memory_equal(out.id.bytes, want.bytes, DIGEST_BYTES);
        }
        msg_verified_release(&out);
    }
}

/* ---- the real thing ---- */

static void test_verified_real_signatures_are_checked(void **state)
{
    (void)state;
    struct kit *fast = kit;
    kit = kit_new(4, KIT_REAL);
    for (size_t i = 0; i < MESSAGES_VALID_COUNT; i++) {
        struct blob *b = messages_valid[i].make(kit);
        assert_null(verify(blob_retain(b)));
        struct wire_message m = decoded(b);
        const struct wire_record *record = wire_record_of_type((uint64_t)m.type);
        if (wire_is_signed(record)) {
            struct blob *changed = blob_copy(blob_bytes(b));
            changed->data[m.signed_part.len + 2 + 40] ^= 1; /* in S */
            assert_non_null(verify(changed));
        }
        blob_release(b);
    }
    kit_free(kit);
    kit = fast;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verified_bytes_that_do_not_decode_are_refused),
        cmocka_unit_test(test_verified_any_changed_bit_of_a_signed_message_is_refused),
        cmocka_unit_test(test_verified_any_signed_field_one_more_or_less_is_refused),
        cmocka_unit_test(test_verified_any_header_field_of_a_reply_is_under_its_signature),
        cmocka_unit_test(test_verified_replay_from_another_group_is_refused),
        cmocka_unit_test(test_verified_message_of_another_epoch_is_refused),
        cmocka_unit_test(test_verified_sender_that_is_no_member_is_refused),
        cmocka_unit_test(test_verified_message_signed_by_another_member_is_refused),
        cmocka_unit_test(test_verified_types_that_are_not_for_the_core_are_refused),
        cmocka_unit_test(test_verified_vote_on_sequence_0_is_refused),
        cmocka_unit_test(test_verified_pre_prepare_of_a_backup_is_refused),
        cmocka_unit_test(test_verified_prepare_of_the_primary_is_refused),
        cmocka_unit_test(test_verified_checkpoint_at_another_sequence_is_refused),
        cmocka_unit_test(test_verified_message_id_is_what_its_signature_is_over),
        cmocka_unit_test(test_verified_valid_messages_of_every_type_are_accepted),
        cmocka_unit_test(test_verified_corpus_is_made_of_the_valid_messages),
        cmocka_unit_test(test_verified_real_signatures_are_checked),
    };
    return cmocka_run_group_tests_name("verified", tests, group_setup, group_teardown);
}
