/* test_verified.c - msg_verify: which bytes may reach the core. Every message type, each field of it wrong; nested
 * certificates with a verdict of their own; batches.
 *
 * The valid messages are also the corpus tests/fuzz/corpus/verified.
 */
#include "wire/verified.h"

#include "tests/fixture/ledger_kit.h"
#include "tests/fixture/wire_vectors.h"
#include "wire/any_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VIEW 6u /* its primary is 2 */
#define PRIMARY 2u
#define SEQ 256u

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

/* ---- valid messages ---- */

static struct blob *sealed(const struct wire_record *record, void *message, uint64_t sender)
{
    kit_sign(kit, &kit->members[sender], record, message);
    return wire_encode_blob(record, message);
}

static struct blob *a_batch(struct digest *digest)
{
    const struct kit_op ops[] = {kit_kv(APP_KV_PUT, "k", "v", NULL), kit_append("line")};
    struct blob *requests[] = {kit_request(kit, KIT_WRITER, 1, 5000, ops, 2),
                               kit_request(kit, KIT_ADMIN, 9, 0, ops, 1)};
    return kit_batch(1234, requests, 2, digest);
}

static struct blob *a_request(void)
{
    const struct kit_op op = kit_kv(APP_KV_PUT, "key", "value", NULL);
    return kit_request(kit, KIT_WRITER, 7, 99, &op, 1);
}

static struct blob *a_pre_prepare(void)
{
    struct wire_pre_prepare m = {.sender = PRIMARY, .view = VIEW, .seq = SEQ};
    struct blob *batch = a_batch(&m.digest);
    m.batch = blob_bytes(batch);
    struct blob *out = sealed(&wire_record_pre_prepare, &m, m.sender);
    blob_release(batch);
    return out;
}

static struct blob *a_pre_prepare_without_batch(void)
{
    struct wire_pre_prepare m = {.sender = PRIMARY, .view = VIEW, .seq = 1};
    blob_release(a_batch(&m.digest));
    return sealed(&wire_record_pre_prepare, &m, m.sender);
}

static struct blob *a_prepare(void)
{
    struct wire_prepare m = {.sender = 3, .view = VIEW, .seq = SEQ, .digest = {{1}}};
    return sealed(&wire_record_prepare, &m, m.sender);
}

static struct blob *a_commit(void)
{
    struct wire_commit m = {.sender = PRIMARY, .view = VIEW, .seq = SEQ, .digest = {{1}}};
    return sealed(&wire_record_commit, &m, m.sender);
}

static struct blob *a_checkpoint(void)
{
    struct wire_checkpoint m = {.sender = 1, .seq = SEQ, .header_hash = {{1}}, .state_root = {{2}}};
    return sealed(&wire_record_checkpoint, &m, m.sender);
}

/* The certificate of the k-th of P in the VIEW-CHANGE; `spoiled` has a wrong signature. */
static void add_prepared(struct wire_list *list, struct writer *w, uint64_t k, bool spoiled)
{
    const struct digest digest = {{0x70, (uint8_t)k}};
    struct wire_vote_certificate c;
    struct blob *b = kit_prepared(kit, VIEW, SEQ + 1 + k, &digest, NULL, 3);
    if (spoiled) b->data[b->len - 1] ^= 1;
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(b), &c));
    wire_list_add(list, w, &wire_record_vote_certificate, &c);
    blob_release(b);
}

/* bit k of `spoiled`: the k-th certificate is wrong. */
static struct blob *view_change_with(uint32_t count, uint64_t spoiled, bool proof_spoiled)
{
    const struct digest digest = {{3}};
    struct wire_view_change m = {.sender = 1, .view = VIEW + 1};
    struct blob *proof = kit_checkpoint(kit, SEQ, &digest, &digest, NULL, 3);
    struct blob *space = blob_new(count * 400u + 1u);
    struct writer w = writer_of(space->data, space->len);
    if (proof_spoiled) proof->data[proof->len - 1] ^= 1;
    assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(proof), &m.proof));
    for (uint32_t k = 0; k < count; k++)
        add_prepared(&m.prepared, &w, k, k < 64 && (spoiled >> k & 1) != 0);
    assert_false(w.overflow);
    struct blob *out = sealed(&wire_record_view_change, &m, m.sender);
    blob_release(space);
    blob_release(proof);
    return out;
}

static struct blob *a_view_change(void)
{
    return view_change_with(2, 0, false);
}

static struct blob *new_view_with(uint64_t sender, uint64_t proposal_view, uint64_t proposal_signer)
{
    uint8_t space[2][1024];
    struct wire_new_view m = {.sender = sender, .view = VIEW};
    struct writer refs = writer_of(space[0], sizeof space[0]);
    struct writer proposals = writer_of(space[1], sizeof space[1]);
    for (uint64_t i = 0; i < 3; i++) {
        const struct wire_view_change_ref ref = {.id = i, .digest = {{(uint8_t)i}}};
        wire_list_add(&m.view_changes, &refs, &wire_record_view_change_ref, &ref);
        struct wire_pre_prepare p = {.sender = sender, .view = proposal_view, .seq = SEQ + i, .digest = {{4}}};
        kit_sign(kit, &kit->members[proposal_signer], &wire_record_pre_prepare, &p);
        const struct wire_reproposal item = {.seq = p.seq, .digest = p.digest, .signature = p.signature};
        wire_list_add(&m.proposals, &proposals, &wire_record_reproposal, &item);
    }
    return sealed(&wire_record_new_view, &m, sender);
}

static struct blob *a_new_view(void)
{
    return new_view_with(PRIMARY, VIEW, PRIMARY);
}

static struct blob *status_with(uint64_t stable, bool spoiled)
{
    const struct digest digest = {{3}};
    struct wire_status m = {.sender = 1, .view = VIEW, .executed = SEQ + 3};
    struct blob *proof = kit_checkpoint(kit, stable, &digest, &digest, NULL, stable == 0 ? 0 : 3);
    if (spoiled) proof->data[proof->len - 1] ^= 1;
    assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(proof), &m.stable));
    struct blob *out = wire_encode_blob(&wire_record_status, &m);
    blob_release(proof);
    return out;
}

static struct blob *a_status(void)
{
    return status_with(SEQ, false);
}

static struct blob *a_fetch(void)
{
    const struct wire_fetch m = {.sender = 3, .kind = DATA_KIND_BLOCK, .seq = 5, .count = 32};
    return wire_encode_blob(&wire_record_fetch, &m);
}

static struct blob *data_with(struct wire_data m, struct bytes payload)
{
    m.payload = payload;
    return wire_encode_blob(&wire_record_data, &m);
}

static struct blob *a_data_batch(void)
{
    struct wire_data m = {.sender = 3, .kind = DATA_KIND_BATCH, .seq = 5};
    struct blob *batch = a_batch(&m.digest);
    struct blob *out = data_with(m, blob_bytes(batch));
    blob_release(batch);
    return out;
}

/* What can be wrong with a block. */
struct block_options {
    uint64_t header_seq, committed_seq, checkpoint_seq; /* 0: SEQ */
    bool header_digest_wrong, committed_wrong, checkpoint_wrong, batch_other, batch_malformed, no_checkpoint;
};

static struct blob *data_block_with(struct block_options o)
{
    const struct digest state = {{3}};
    uint8_t space[1024];
    struct digest digest;
    struct digest other_digest;
    struct wire_block block = {.header = {.version = HEADER_VERSION, .time_ms = 1234}};
    struct wire_checkpoint_certificate checkpoint;
    struct blob *garbage = blob_copy(bytes_of_text("no request"));
    struct blob *batch = o.batch_malformed ? kit_batch(1234, &garbage, 1, &digest) : a_batch(&digest);
    struct blob *other = kit_batch(1, NULL, 0, &other_digest);
    struct blob *committed = kit_committed(kit, VIEW, o.committed_seq != 0 ? o.committed_seq : SEQ, &digest, NULL, 3);
    struct blob *proof = kit_checkpoint(kit, o.checkpoint_seq != 0 ? o.checkpoint_seq : SEQ, &state, &state, NULL, 3);
    if (o.committed_wrong) committed->data[committed->len - 1] ^= 1;
    if (o.checkpoint_wrong) proof->data[proof->len - 1] ^= 1;
    block.header.seq = o.header_seq != 0 ? o.header_seq : SEQ;
    block.header.batch_digest = o.header_digest_wrong ? other_digest : digest;
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(committed), &block.committed));
    assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(proof), &checkpoint));
    struct writer w = writer_of(space, sizeof space);
    if (!o.no_checkpoint) wire_list_add(&block.checkpoint, &w, &wire_record_checkpoint_certificate, &checkpoint);
    block.batch = blob_bytes(o.batch_other ? other : batch);
    struct blob *payload = wire_encode_blob(&wire_record_block, &block);
    const struct wire_data m = {.sender = 3, .kind = DATA_KIND_BLOCK, .seq = SEQ, .digest = digest};
    struct blob *out = data_with(m, blob_bytes(payload));
    blob_release(payload);
    blob_release(batch);
    blob_release(other);
    blob_release(committed);
    blob_release(proof);
    if (!o.batch_malformed) blob_release(garbage);
    return out;
}

static struct blob *a_data_block(void)
{
    return data_block_with((struct block_options){0});
}

static const struct {
    const char *name; /* of the corpus file */
    struct blob *(*make)(void);
} valid[] = {
    {"request", a_request},
    {"pre_prepare", a_pre_prepare},
    {"pre_prepare_bare", a_pre_prepare_without_batch},
    {"prepare", a_prepare},
    {"commit", a_commit},
    {"checkpoint", a_checkpoint},
    {"view_change", a_view_change},
    {"new_view", a_new_view},
    {"status", a_status},
    {"fetch", a_fetch},
    {"data_batch", a_data_batch},
    {"data_block", a_data_block},
};
#define VALID_COUNT (sizeof valid / sizeof *valid)

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
    return verify(sealed(record, message, sender % 4));
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
    for (size_t i = 0; i < VALID_COUNT; i++)
        assert_null(verify(valid[i].make()));
}

static void test_verified_corpus_is_made_of_the_valid_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < VALID_COUNT; i++) {
        char path[128];
        struct buffer file = {0};
        struct blob *b = valid[i].make();
        (void)snprintf(path, sizeof path, "tests/fuzz/corpus/verified/%s", valid[i].name);
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
    for (size_t i = 0; i < VALID_COUNT; i++) {
        struct blob *b = valid[i].make();
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
    for (size_t i = 0; i < VALID_COUNT; i++) {
        struct blob *b = valid[i].make();
        const struct wire_message m = decoded(b);
        const bool whole = m.signed_part.len > 0;
        /* of an unsigned batch: the payload, which ends the message, is bound by its digest */
        const size_t from = whole                                                        ? 0
                            : m.type == WIRE_TYPE_data && m.data.kind == DATA_KIND_BATCH ? b->len - m.data.payload.len
                                                                                         : b->len;
        for (size_t bit = from * 8; bit < b->len * 8; bit++) {
            struct blob *changed = blob_copy(blob_bytes(b));
            changed->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (verify(changed) == NULL) fail_msg("%s: bit %zu may change", valid[i].name, bit);
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
    for (size_t i = 0; i < VALID_COUNT; i++) {
        struct blob *b = valid[i].make();
        struct wire_message m = decoded(b);
        const struct wire_record *record = wire_record_of_type((uint64_t)m.type);
        if (wire_is_signed(record)) change_fields(record, wire_body(&m), record, wire_body(&m), valid[i].name);
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
    for (size_t i = 0; i < VALID_COUNT; i++) {
        struct blob *b = valid[i].make();
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
    for (size_t i = 0; i < VALID_COUNT; i++) {
        struct blob *b = valid[i].make();
        group.epoch = 1;
        assert_non_null(verify(b));
        group.epoch = 0;
    }
}

static void test_verified_sender_that_is_no_member_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < VALID_COUNT; i++) {
        struct blob *b = valid[i].make();
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
    for (size_t i = 0; i < VALID_COUNT; i++) {
        struct blob *b = valid[i].make();
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
    assert_non_null(verify(sealed(&wire_record_reply, &reply, 1)));
    assert_non_null(verify(wire_encode_blob(&wire_record_hello, &hello)));
    assert_non_null(verify(wire_encode_blob(&wire_record_query, &query)));
    assert_non_null(verify(wire_encode_blob(&wire_record_result, &result)));
    assert_non_null(verify(wire_encode_blob(&wire_record_busy, &busy)));
}

/* ---- votes ---- */

static void test_verified_vote_on_sequence_0_is_refused(void **state)
{
    (void)state;
    struct wire_pre_prepare p = {.sender = PRIMARY, .view = VIEW};
    struct wire_prepare q = {.sender = 1, .view = VIEW};
    struct wire_commit c = {.sender = 1, .view = VIEW};
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
    for (size_t i = 0; i < VALID_COUNT; i++) {
        struct msg_verified out;
        struct blob *b = valid[i].make();
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
    struct blob *b = a_request();
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
            bad = sealed(&wire_record_commit, &vote, 1);
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
    struct wire_pre_prepare m = {.sender = PRIMARY, .view = VIEW, .seq = 1};
    const struct kit_op op = kit_append("x");
    struct blob *bad = kit_request(kit, KIT_WRITER, 1, 1, &op, 1);
    bad->data[bad->len - 1] ^= 1;
    struct blob *batch = kit_batch(1, &bad, 1, &m.digest);
    m.batch = blob_bytes(batch);
    assert_null(msg_verify(&group, kit_checker(kit), sealed(&wire_record_pre_prepare, &m, PRIMARY), &out));
    assert_true(out.has_batch);
    assert_false(out.batch.valid);
    msg_verified_release(&out);
    blob_release(batch);
}

static void test_verified_pre_prepare_with_another_batch_is_refused(void **state)
{
    (void)state;
    struct wire_pre_prepare m = {.sender = PRIMARY, .view = VIEW, .seq = 1};
    struct digest other;
    blob_release(a_batch(&m.digest));
    struct blob *batch = kit_batch(1, NULL, 0, &other);
    m.batch = blob_bytes(batch);
    assert_string_equal(verify_sealed(&wire_record_pre_prepare, &m, PRIMARY),
                        "the batch beside a PRE-PREPARE has another digest");
    m.batch = bytes_of_text("garbage");
    assert_non_null(verify_sealed(&wire_record_pre_prepare, &m, PRIMARY));
    blob_release(batch);
}

static void test_verified_pre_prepare_without_batch_has_none(void **state)
{
    (void)state;
    struct msg_verified out;
    assert_null(msg_verify(&group, kit_checker(kit), a_pre_prepare_without_batch(), &out));
    assert_false(out.has_batch);
    msg_verified_release(&out);
    assert_null(msg_verify(&group, kit_checker(kit), a_pre_prepare(), &out));
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
        assert_null(msg_verify(&group, kit_checker(kit), view_change_with(4, spoiled, false), &out));
        assert_int_equal(out.certificates_good[0], ~spoiled & 15);
        assert_true(out.checkpoint_good);
        msg_verified_release(&out);
    }
}

static void test_verified_view_change_with_a_full_window_gives_all_verdicts(void **state)
{
    (void)state;
    struct msg_verified out;
    assert_null(msg_verify(&group, kit_checker(kit), view_change_with(WINDOW_BATCHES, 2, false), &out));
    for (uint32_t k = 0; k < WINDOW_BATCHES; k++)
        assert_int_equal(out.certificates_good[k / 64] >> (k % 64) & 1, k != 1);
    msg_verified_release(&out);
}

static void test_verified_view_change_with_a_bad_proof_says_so(void **state)
{
    (void)state;
    struct msg_verified out;
    assert_null(msg_verify(&group, kit_checker(kit), view_change_with(1, 0, true), &out));
    assert_false(out.checkpoint_good);
    assert_int_equal(out.certificates_good[0], 1);
    msg_verified_release(&out);
}

static void test_verified_new_view_of_another_than_the_primary_is_refused(void **state)
{
    (void)state;
    for (uint64_t sender = 0; sender < 4; sender++)
        assert_int_equal(verify(new_view_with(sender, VIEW, sender)) == NULL, sender == PRIMARY);
}

static void test_verified_new_view_with_a_proposal_of_another_view_or_signer_is_refused(void **state)
{
    (void)state;
    static const char want[] = "a proposal inside a NEW-VIEW has a wrong signature";
    assert_string_equal(verify(new_view_with(PRIMARY, VIEW - 4, PRIMARY)), want);
    assert_string_equal(verify(new_view_with(PRIMARY, VIEW, 1)), want);
    assert_null(verify(new_view_with(PRIMARY, VIEW, PRIMARY)));
}

/* Rule 5: a claim without proof counts as absent. */
static void test_verified_status_without_good_proof_is_accepted_without_checkpoint(void **state)
{
    (void)state;
    static const struct {
        uint64_t seq;
        bool spoiled, good;
    } cases[] = {{0, false, false}, {SEQ, true, false}, {SEQ, false, true}, {SEQ + 1, false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct msg_verified out;
        assert_null(msg_verify(&group, kit_checker(kit), status_with(cases[i].seq, cases[i].spoiled), &out));
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
        assert_non_null(verify(data_with((struct wire_data){.sender = 1, .kind = kind}, bytes_of(NULL, 0))));
    }
}

static void test_verified_data_batch_of_another_digest_is_refused(void **state)
{
    (void)state;
    struct wire_data m = {.sender = 1, .kind = DATA_KIND_BATCH};
    struct blob *batch = a_batch(&m.digest);
    m.digest.bytes[0] ^= 1;
    assert_string_equal(verify(data_with(m, blob_bytes(batch))), "a batch has another digest than its message says");
    m.digest.bytes[0] ^= 1;
    assert_null(verify(data_with(m, blob_bytes(batch))));
    assert_non_null(verify(data_with(m, bytes_of_text("garbage"))));
    blob_release(batch);
}

static void test_verified_data_block_with_anything_wrong_is_refused(void **state)
{
    (void)state;
    const struct block_options wrong[] = {
        {.header_seq = SEQ + 1},       {.committed_seq = SEQ + 1},
        {.header_seq = SEQ - 1},       {.header_seq = SEQ + 1, .committed_seq = SEQ + 1},
        {.header_digest_wrong = true}, {.committed_wrong = true},
        {.batch_other = true},         {.batch_malformed = true},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_non_null(verify(data_block_with(wrong[i])));
    assert_non_null(verify(data_with((struct wire_data){.sender = 1, .kind = DATA_KIND_BLOCK}, bytes_of_text("x"))));
}

static void test_verified_data_block_without_good_checkpoint_is_accepted_without_it(void **state)
{
    (void)state;
    const struct block_options cases[] = {
        {.no_checkpoint = true}, {.checkpoint_wrong = true}, {.checkpoint_seq = SEQ + CHECKPOINT_INTERVAL}, {0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct msg_verified out;
        assert_null(msg_verify(&group, kit_checker(kit), data_block_with(cases[i]), &out));
        assert_true(out.has_batch);
        assert_true(out.batch.valid);
        assert_int_equal(out.block.header.seq, SEQ);
        assert_int_equal(out.checkpoint_good, i == 3);
        msg_verified_release(&out);
    }
}

/* ---- the real thing ---- */

static void test_verified_real_signatures_are_checked(void **state)
{
    (void)state;
    struct kit *fast = kit;
    kit = kit_new(4, KIT_REAL);
    for (size_t i = 0; i < VALID_COUNT; i++) {
        struct blob *b = valid[i].make();
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
        cmocka_unit_test(test_verified_message_id_is_what_its_signature_is_over),
        cmocka_unit_test(test_verified_request_gives_its_leaf),
        cmocka_unit_test(test_verified_valid_messages_of_every_type_are_accepted),
        cmocka_unit_test(test_verified_corpus_is_made_of_the_valid_messages),
        cmocka_unit_test(test_verified_real_signatures_are_checked),
    };
    return cmocka_run_group_tests_name("verified", tests, group_setup, group_teardown);
}
