/* test_certificate.c - what is signed, the digests of batches and headers, and which certificates prove their
 * statement, for groups of 4, 5 and 7. */
#include "wire/certificate.h"

#include "tests/fixture/ledger_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 2f+1 would be 3, 3, 5 (rule 29). */
static const uint32_t sizes[][2] = {{4, 3}, {5, 4}, {7, 5}};
#define SIZE_COUNT (sizeof sizes / sizeof *sizes)

static struct kit *kits[SIZE_COUNT];
static const struct digest batch = {{0xba}};
static const struct digest hash = {{0x4a}};
static const struct digest root = {{0x40}};

static int group_setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE_COUNT; i++)
        kits[i] = kit_new(sizes[i][0], KIT_REAL);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE_COUNT; i++)
        kit_free(kits[i]);
    return 0;
}

/* ---- the three kinds behind one call ---- */

enum kind { PREPARED, COMMITTED, CHECKPOINT, KIND_COUNT };

#define VIEW 9u /* its primary is 1, 4 and 2 */
#define SEQ 256u

static struct blob *made(const struct kit *k, enum kind kind, const uint64_t *ids, uint32_t count)
{
    switch (kind) {
    case PREPARED: return kit_prepared(k, VIEW, SEQ, &batch, ids, count);
    case COMMITTED: return kit_committed(k, VIEW, SEQ, &batch, ids, count);
    case CHECKPOINT:
    case KIND_COUNT: break;
    }
    return kit_checkpoint(k, SEQ, &hash, &root, ids, count);
}

static const char *check_votes(const struct kit *k, enum kind kind, const struct wire_vote_certificate *c)
{
    if (kind == PREPARED) return certificate_check_prepared(&k->wire, kit_checker(k), c);
    return certificate_check_committed(&k->wire, kit_checker(k), c);
}

static const char *check(const struct kit *k, enum kind kind, const struct blob *b)
{
    if (kind == CHECKPOINT) {
        struct wire_checkpoint_certificate c;
        assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(b), &c));
        return certificate_check_checkpoint(&k->wire, kit_checker(k), &c);
    }
    struct wire_vote_certificate c;
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(b), &c));
    return check_votes(k, kind, &c);
}

static void check_ids(const struct kit *k, enum kind kind, const uint64_t *ids, uint32_t count, const char *want)
{
    struct blob *b = made(k, kind, ids, count);
    const char *fault = check(k, kind, b);
    if (want == NULL)
        assert_null(fault);
    else
        assert_string_equal(fault, want);
    blob_release(b);
}

/* The first `count` members from the primary of VIEW on, ascending: a set that a prepared certificate may have. */
static void ids_with_primary(const struct kit *k, uint32_t count, uint64_t *ids)
{
    const uint32_t n = k->wire.quorum.replica_count;
    const uint32_t primary = quorum_primary(&k->wire.quorum, VIEW);
    const uint32_t first = primary + count <= n ? primary : n - count;
    for (uint32_t i = 0; i < count; i++)
        ids[i] = first + i;
}

#define FEWER "the certificate has fewer signatures than a quorum"
#define ORDER "the signers of the certificate do not ascend"
#define MEMBER "a signer of the certificate is not a member"
#define EPOCH "the certificate is of another epoch"
#define WRONG "a signature of the certificate is wrong"

/* ---- signers ---- */

static void test_certificate_of_fewer_than_a_quorum_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
            for (uint32_t count = 0; count <= sizes[i][0]; count++) {
                uint64_t ids[8];
                ids_with_primary(kits[i], count, ids);
                check_ids(kits[i], kind, ids, count, count < sizes[i][1] ? FEWER : NULL);
            }
        }
    }
}

/* Rule 3: members, not messages. */
static void test_certificate_with_a_signer_twice_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
            for (uint32_t twice = 0; twice < sizes[i][1]; twice++) {
                uint64_t ids[9];
                ids_with_primary(kits[i], sizes[i][1], ids);
                memmove(ids + twice + 1, ids + twice, (sizes[i][1] - twice) * sizeof *ids);
                check_ids(kits[i], kind, ids, sizes[i][1] + 1, ORDER);
            }
        }
    }
}

static void test_certificate_with_descending_signers_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
            for (uint32_t at = 0; at + 1 < sizes[i][1]; at++) {
                uint64_t ids[8];
                ids_with_primary(kits[i], sizes[i][1], ids);
                const uint64_t swap = ids[at];
                ids[at] = ids[at + 1];
                ids[at + 1] = swap;
                check_ids(kits[i], kind, ids, sizes[i][1], ORDER);
            }
        }
    }
}

static void test_certificate_with_a_signer_that_is_no_member_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
            uint64_t ids[9];
            ids_with_primary(kits[i], sizes[i][1], ids);
            ids[sizes[i][1]] = sizes[i][0];
            check_ids(kits[i], kind, ids, sizes[i][1] + 1, MEMBER);
            ids[sizes[i][1]] = REPLICAS_MAX - 1;
            check_ids(kits[i], kind, ids, sizes[i][1] + 1, MEMBER);
        }
    }
}

/* Rule 18: what the primary votes with is its PRE-PREPARE. */
static void test_certificate_prepared_without_the_primary_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        const uint32_t primary = quorum_primary(&kits[i]->wire.quorum, VIEW);
        uint64_t ids[8];
        uint32_t count = 0;
        for (uint64_t id = 0; id < sizes[i][0]; id++)
            if (id != primary) ids[count++] = id;
        assert_true(count >= sizes[i][1]);
        check_ids(kits[i], PREPARED, ids, count, "the prepared certificate lacks the primary's PRE-PREPARE");
        check_ids(kits[i], COMMITTED, ids, count, NULL);
    }
}

static void test_certificate_prepared_with_a_prepare_of_the_primary_is_refused(void **state)
{
    (void)state;
    const struct kit *k = kits[0];
    struct blob *b = made(k, PREPARED, NULL, 3);
    struct wire_vote_certificate c;
    struct wire_prepare vote = {.sender = quorum_primary(&k->wire.quorum, VIEW), .view = VIEW, .seq = SEQ};
    vote.digest = batch;
    kit_sign(k, &k->members[vote.sender], &wire_record_prepare, &vote);
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(b), &c));
    /* an item: array head, id, head of 2 bytes, signature */
    memcpy((uint8_t *)(uintptr_t)c.signatures.items.data + vote.sender * 68 + 4, vote.signature.bytes, SIGNATURE_BYTES);
    assert_string_equal(check(k, PREPARED, b), WRONG);
    blob_release(b);
}

/* ---- epochs, groups, signatures ---- */

static void test_certificate_of_another_epoch_or_group_is_refused(void **state)
{
    (void)state;
    struct kit *k = kits[0];
    const struct digest id = k->wire.id;
    for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
        struct blob *b = made(k, kind, NULL, 3);
        k->wire.epoch = 1;
        assert_string_equal(check(k, kind, b), EPOCH);
        k->wire.epoch = 0;
        k->wire.id.bytes[31] ^= 1;
        assert_string_equal(check(k, kind, b), WRONG);
        k->wire.id = id;
        assert_null(check(k, kind, b));
        blob_release(b);
    }
}

/* Rule 20: the epoch is under the signatures, not only beside them. */
static void test_certificate_moved_to_another_epoch_is_refused(void **state)
{
    (void)state;
    struct kit *k = kits[0];
    struct blob *b = made(k, COMMITTED, NULL, 3);
    struct wire_vote_certificate c;
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(b), &c));
    c.epoch = 1;
    k->wire.epoch = 1;
    assert_string_equal(check_votes(k, COMMITTED, &c), WRONG);
    k->wire.epoch = 0;
    blob_release(b);
}

static void test_certificate_with_any_wrong_signature_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
            for (uint32_t at = 0; at < sizes[i][0]; at++) {
                struct blob *b = made(kits[i], kind, NULL, sizes[i][0]);
                b->data[b->len - 1 - (size_t)at * 68] ^= 1;
                assert_string_equal(check(kits[i], kind, b), WRONG);
                blob_release(b);
            }
        }
    }
}

static void test_certificate_of_one_kind_does_not_prove_the_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        struct blob *prepared = made(kits[i], PREPARED, NULL, sizes[i][0]);
        struct blob *committed = made(kits[i], COMMITTED, NULL, sizes[i][0]);
        assert_string_equal(check(kits[i], COMMITTED, prepared), WRONG);
        assert_string_equal(check(kits[i], PREPARED, committed), WRONG);
        blob_release(prepared);
        blob_release(committed);
    }
}

static void test_certificate_of_votes_with_another_statement_is_refused(void **state)
{
    (void)state;
    const struct kit *k = kits[0];
    for (enum kind kind = PREPARED; kind <= COMMITTED; kind++) {
        struct blob *b = made(k, kind, NULL, 4);
        struct wire_vote_certificate good;
        assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(b), &good));
        for (uint32_t i = 0; i < 6; i++) {
            struct wire_vote_certificate c = good;
            if (i == 0) c.seq++;
            if (i == 1) c.seq--;
            if (i == 2) c.digest.bytes[0] ^= 1;
            if (i == 3) c.digest.bytes[31] ^= 0x80;
            if (i == 4) c.view += 4; /* the same primary */
            if (i == 5) c.view -= 4;
            assert_string_equal(check_votes(k, kind, &c), WRONG);
        }
        assert_null(check_votes(k, kind, &good));
        blob_release(b);
    }
}

static void test_certificate_of_a_checkpoint_with_another_statement_is_refused(void **state)
{
    (void)state;
    const struct kit *k = kits[0];
    struct blob *b = made(k, CHECKPOINT, NULL, 3);
    struct wire_checkpoint_certificate good;
    assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(b), &good));
    for (uint32_t i = 0; i < 4; i++) {
        struct wire_checkpoint_certificate c = good;
        if (i == 0) c.seq += CHECKPOINT_INTERVAL;
        if (i == 1) c.seq -= CHECKPOINT_INTERVAL;
        if (i == 2) c.header_hash.bytes[7] ^= 1;
        if (i == 3) c.state_root.bytes[7] ^= 1;
        assert_string_equal(certificate_check_checkpoint(&k->wire, kit_checker(k), &c), WRONG);
    }
    blob_release(b);
}

static void test_certificate_of_a_sequence_that_is_no_checkpoint_is_refused(void **state)
{
    (void)state;
    const struct kit *k = kits[0];
    static const uint64_t wrong[] = {1, CHECKPOINT_INTERVAL - 1, CHECKPOINT_INTERVAL + 1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct blob *b = kit_checkpoint(k, wrong[i], &hash, &root, NULL, 3);
        assert_string_equal(check(k, CHECKPOINT, b), "the sequence is no checkpoint's");
        blob_release(b);
    }
}

static void test_certificate_of_the_beginning_needs_no_signatures(void **state)
{
    (void)state;
    struct wire_checkpoint_certificate c = {.seq = 0};
    assert_null(certificate_check_checkpoint(&kits[0]->wire, kit_checker(kits[0]), &c));
    c.epoch = 1;
    assert_string_equal(certificate_check_checkpoint(&kits[0]->wire, kit_checker(kits[0]), &c), EPOCH);
}

/* ---- digests, made here by their definition ---- */

static struct digest tagged(const char *tag, const void *a, size_t a_len, const void *b, size_t b_len)
{
    struct hasher h;
    struct digest out;
    const uint8_t len = (uint8_t)strlen(tag);
    hasher_start_plain(&h);
    hasher_add(&h, &len, 1);
    hasher_add(&h, tag, len);
    hasher_add(&h, a, a_len);
    hasher_add(&h, b, b_len);
    hasher_finish(&h, &out);
    return out;
}

static void test_certificate_signing_digest_is_tag_group_and_signed_part(void **state)
{
    (void)state;
    static const uint8_t part[] = {1, 2, 3};
    const struct digest group = {{9}};
    const struct digest got = wire_signing_digest(&group, bytes_of(part, sizeof part));
    const struct digest want = tagged("pbft/1/message", group.bytes, DIGEST_BYTES, part, sizeof part);
    assert_memory_equal(got.bytes, want.bytes, DIGEST_BYTES);
}

static void test_certificate_signing_digest_of_a_struct_is_that_of_its_encoding(void **state)
{
    (void)state;
    const struct kit *k = kits[0];
    static const size_t sizes_of_value[] = {1, 900, 5000}; /* within and beyond the space on the stack */
    for (size_t i = 0; i < sizeof sizes_of_value / sizeof *sizes_of_value; i++) {
        struct wire_message m;
        struct blob *value = blob_new(sizes_of_value[i]);
        memset(value->data, 'v', value->len);
        struct kit_op op = kit_kv(APP_KV_PUT, "k", "", NULL);
        op.args[1] = blob_bytes(value);
        struct blob *b = kit_request(k, KIT_WRITER, 1, 5, &op, 1);
        assert_null(wire_decode(blob_bytes(b), &m));
        const struct digest whole = wire_signing_digest(&k->wire.id, m.signed_part);
        const struct digest parts = wire_record_signing_digest(&k->wire.id, &wire_record_request, &m.request);
        assert_memory_equal(whole.bytes, parts.bytes, DIGEST_BYTES);
        blob_release(b);
        blob_release(value);
    }
}

static void test_certificate_batch_digest_is_time_count_and_root(void **state)
{
    (void)state;
    struct digest leaves[3];
    for (uint32_t i = 0; i < 3; i++)
        leaves[i] = merkle_leaf(bytes_of(&i, sizeof i));
    for (uint32_t count = 0; count <= 3; count++) {
        uint8_t numbers[16];
        be64_put(numbers, 77);
        be64_put(numbers + 8, count);
        const struct digest top = merkle_root(leaves, count);
        const struct digest got = batch_digest(77, leaves, count);
        const struct digest want = tagged("pbft/1/batch", numbers, 16, top.bytes, DIGEST_BYTES);
        assert_memory_equal(got.bytes, want.bytes, DIGEST_BYTES);
    }
}

static void test_certificate_header_hash_covers_every_field(void **state)
{
    (void)state;
    struct wire_header h = {.version = 1, .epoch = 2, .seq = 3, .time_ms = 4, .first_index = 5, .count = 6};
    const struct digest before = header_hash(&h);
    struct blob *b = wire_encode_blob(&wire_record_header, &h);
    const struct digest want = tagged("pbft/1/header", b->data, b->len, NULL, 0);
    assert_memory_equal(before.bytes, want.bytes, DIGEST_BYTES);
    blob_release(b);
    for (uint32_t i = 0; i < wire_record_header.field_count; i++) {
        struct wire_header changed = h;
        *((uint8_t *)&changed + wire_record_header.fields[i].offset) ^=
            1; /* lowest byte of a number, first of a digest */
        const struct digest after = header_hash(&changed);
        assert_false(digest_equal(&before, &after));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificate_of_fewer_than_a_quorum_is_refused),
        cmocka_unit_test(test_certificate_with_a_signer_twice_is_refused),
        cmocka_unit_test(test_certificate_with_descending_signers_is_refused),
        cmocka_unit_test(test_certificate_with_a_signer_that_is_no_member_is_refused),
        cmocka_unit_test(test_certificate_prepared_without_the_primary_is_refused),
        cmocka_unit_test(test_certificate_prepared_with_a_prepare_of_the_primary_is_refused),
        cmocka_unit_test(test_certificate_of_another_epoch_or_group_is_refused),
        cmocka_unit_test(test_certificate_moved_to_another_epoch_is_refused),
        cmocka_unit_test(test_certificate_with_any_wrong_signature_is_refused),
        cmocka_unit_test(test_certificate_of_one_kind_does_not_prove_the_other),
        cmocka_unit_test(test_certificate_of_votes_with_another_statement_is_refused),
        cmocka_unit_test(test_certificate_of_a_checkpoint_with_another_statement_is_refused),
        cmocka_unit_test(test_certificate_of_a_sequence_that_is_no_checkpoint_is_refused),
        cmocka_unit_test(test_certificate_of_the_beginning_needs_no_signatures),
        cmocka_unit_test(test_certificate_signing_digest_is_tag_group_and_signed_part),
        cmocka_unit_test(test_certificate_signing_digest_of_a_struct_is_that_of_its_encoding),
        cmocka_unit_test(test_certificate_batch_digest_is_time_count_and_root),
        cmocka_unit_test(test_certificate_header_hash_covers_every_field),
    };
    return cmocka_run_group_tests_name("certificate", tests, group_setup, group_teardown);
}
