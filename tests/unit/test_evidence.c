/* test_evidence.c - what a record of evidence proves to somebody who has the group file alone, and what it does not:
 * each wrong record one change away from a right one. */
#include "base/file.h"
#include "tests/fixture/message_kit.h"
#include "wire/evidence.h"
#include "wire/verified.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Two votes that differ in their digest alone; what a test changes comes before the signature. */
struct pair {
    const struct wire_record *record;
    struct wire_prepare votes[2]; /* a PRE-PREPARE or COMMIT has the same fields */
    uint64_t signers[2];
};

static struct pair pair_of(const struct wire_record *record, uint64_t member)
{
    struct pair p = {.record = record, .signers = {member, member}};
    for (uint32_t k = 0; k < 2; k++)
        p.votes[k] = (struct wire_prepare){
            .sender = member, .view = MESSAGE_VIEW, .seq = MESSAGE_SEQ, .digest = {{(uint8_t)(k + 1)}}};
    return p;
}

static struct blob *sealed(const struct kit *kit, const struct pair *p, uint32_t k)
{
    const struct wire_prepare *v = &p->votes[k];
    struct wire_pre_prepare proposal = {
        .epoch = v->epoch, .sender = v->sender, .view = v->view, .seq = v->seq, .digest = v->digest};
    struct wire_commit commit = {
        .epoch = v->epoch, .sender = v->sender, .view = v->view, .seq = v->seq, .digest = v->digest};
    struct wire_prepare prepare = *v;
    if (p->record == &wire_record_pre_prepare) return message_sealed(kit, p->record, &proposal, p->signers[k]);
    if (p->record == &wire_record_commit) return message_sealed(kit, p->record, &commit, p->signers[k]);
    return message_sealed(kit, p->record, &prepare, p->signers[k]);
}

/* Takes over a and b; b may be NULL. */
static const char *check_made(const struct kit *kit, struct blob *a, struct blob *b, uint32_t certificate,
                              struct evidence *out)
{
    const struct wire_group g = kit->wire;
    struct blob *record =
        evidence_make(&g.id, blob_bytes(a), b != NULL ? blob_bytes(b) : (struct bytes){0}, certificate);
    assert_true(record->len <= EVIDENCE_BYTES_MAX);
    const char *fault = evidence_check(&g, kit_checker(kit), blob_bytes(record), out);
    blob_release(record);
    blob_release(a);
    blob_release(b);
    return fault;
}

static const char *check_pair(const struct kit *kit, const struct pair *p, struct evidence *out)
{
    return check_made(kit, sealed(kit, p, 0), sealed(kit, p, 1), 0, out);
}

static void test_two_votes_prove_who_signed_what_where(void **state)
{
    static const struct {
        const struct wire_record *record;
        enum evidence_kind kind;
        uint64_t member;
    } all[] = {{&wire_record_pre_prepare, EVIDENCE_KIND_PRE_PREPARE, MESSAGE_PRIMARY},
               {&wire_record_prepare, EVIDENCE_KIND_PREPARE, 1},
               {&wire_record_commit, EVIDENCE_KIND_COMMIT, 3}};
    const struct kit *kit = *state;
    for (size_t i = 0; i < 3; i++) {
        struct evidence e;
        struct buffer text = {0};
        const struct pair p = pair_of(all[i].record, all[i].member);
        assert_null(check_pair(kit, &p, &e));
        assert_int_equal(e.kind, all[i].kind);
        assert_int_equal(e.member, all[i].member);
        assert_int_equal(e.view, MESSAGE_VIEW);
        assert_int_equal(e.seq, MESSAGE_SEQ);
        assert_int_equal(e.digests[0].bytes[0], 1);
        assert_int_equal(e.digests[1].bytes[0], 2);
        evidence_text(&e, &text);
        buffer_append(&text, "", 1);
        assert_non_null(strstr((const char *)text.data, evidence_kind_name(e.kind)));
        assert_non_null(strstr((const char *)text.data, "view 6, sequence 256: digests 0100"));
        assert_non_null(strstr((const char *)text.data, " and 0200"));
        buffer_free(&text);
    }
}

static void test_order_of_the_two_does_not_matter(void **state)
{
    const struct kit *kit = *state;
    const struct wire_group g = kit->wire;
    const struct pair p = pair_of(&wire_record_prepare, 1);
    struct blob *a = sealed(kit, &p, 0);
    struct blob *b = sealed(kit, &p, 1);
    struct blob *one = evidence_make(&g.id, blob_bytes(a), blob_bytes(b), 0);
    struct blob *other = evidence_make(&g.id, blob_bytes(b), blob_bytes(a), 0);
    assert_true(bytes_equal(blob_bytes(one), blob_bytes(other)));
    blob_release(one);
    blob_release(other);
    blob_release(a);
    blob_release(b);
}

static void test_votes_that_do_not_contradict_prove_nothing(void **state)
{
    const struct kit *kit = *state;
    struct evidence e;
    for (uint32_t what = 0; what < 5; what++) {
        struct pair p = pair_of(&wire_record_prepare, 1);
        struct wire_prepare *v = &p.votes[1];
        if (what == 0) v->digest = p.votes[0].digest; /* re-sent */
        if (what == 1) v->seq++;
        if (what == 2) v->view++;
        if (what == 3) v->sender = p.signers[1] = 3;
        if (what == 4) p.signers[1] = 3; /* signed by another than it names */
        assert_non_null(check_pair(kit, &p, &e));
    }
}

static void test_votes_of_two_types_prove_nothing(void **state)
{
    const struct kit *kit = *state;
    struct evidence e;
    const struct pair p = pair_of(&wire_record_prepare, 1);
    const struct pair c = pair_of(&wire_record_commit, 1);
    assert_non_null(check_made(kit, sealed(kit, &p, 0), sealed(kit, &c, 1), 0, &e));
}

/* The same statement with other bytes in the signature's place, were they good: rule 28. */
static void test_one_statement_with_two_signatures_proves_nothing(void **state)
{
    const struct kit *kit = *state;
    struct wire_message a;
    struct wire_message b;
    const struct pair p = pair_of(&wire_record_commit, 1);
    struct blob *one = sealed(kit, &p, 0);
    struct blob *other = blob_copy(blob_bytes(one));
    other->data[other->len - 1] ^= 1;
    assert_null(wire_decode(blob_bytes(one), &a));
    assert_null(wire_decode(blob_bytes(other), &b));
    assert_false(evidence_contradict(&a, &b));
    blob_release(one);
    blob_release(other);
}

static void test_pre_prepare_of_another_than_the_primary_or_with_its_batch_proves_nothing(void **state)
{
    const struct kit *kit = *state;
    struct evidence e;
    struct digest digest;
    const struct pair p = pair_of(&wire_record_pre_prepare, 1);
    assert_non_null(check_pair(kit, &p, &e));
    struct blob *batch = message_batch(kit, &digest);
    struct wire_pre_prepare m = {.sender = MESSAGE_PRIMARY, .view = MESSAGE_VIEW, .seq = MESSAGE_SEQ, .digest = digest};
    m.batch = blob_bytes(batch);
    const struct pair right = pair_of(&wire_record_pre_prepare, MESSAGE_PRIMARY);
    assert_non_null(check_made(kit, message_sealed(kit, &wire_record_pre_prepare, &m, MESSAGE_PRIMARY),
                               sealed(kit, &right, 0), 0, &e));
    m.batch = (struct bytes){0};
    assert_null(check_made(kit, message_sealed(kit, &wire_record_pre_prepare, &m, MESSAGE_PRIMARY),
                           sealed(kit, &right, 0), 0, &e));
    blob_release(batch);
}

static struct blob *checkpoint(const struct kit *kit, uint64_t seq, uint8_t header, uint8_t root)
{
    struct wire_checkpoint m = {.sender = 3, .seq = seq, .header_hash = {{header}}, .state_root = {{root}}};
    return message_sealed(kit, &wire_record_checkpoint, &m, 3);
}

static void test_two_checkpoints_of_one_sequence_prove_it(void **state)
{
    const struct kit *kit = *state;
    struct evidence e;
    assert_null(check_made(kit, checkpoint(kit, 128, 1, 1), checkpoint(kit, 128, 2, 1), 0, &e));
    assert_int_equal(e.kind, EVIDENCE_KIND_CHECKPOINT);
    assert_int_equal(e.seq, 128);
    assert_false(e.same_header);
    assert_null(check_made(kit, checkpoint(kit, 128, 1, 1), checkpoint(kit, 128, 1, 2), 0, &e));
    assert_true(e.same_header);
    assert_int_equal(e.digests[1].bytes[0], 2);
    assert_non_null(check_made(kit, checkpoint(kit, 128, 1, 1), checkpoint(kit, 256, 2, 2), 0, &e));
    assert_non_null(check_made(kit, checkpoint(kit, 128, 1, 1), checkpoint(kit, 128, 1, 1), 0, &e));
}

static struct blob *view_change(const struct kit *kit, uint64_t view, uint64_t low, uint8_t header)
{
    struct wire_view_change m = {.sender = 1, .view = view, .proof = {.seq = low, .header_hash = {{header}}}};
    return message_sealed(kit, &wire_record_view_change, &m, 1);
}

/* One that was fenced may have forgotten the first: it says another only L or more later (design.md 7.6). */
static void test_two_view_changes_for_one_view_prove_it_unless_a_fence_lies_between(void **state)
{
    const struct kit *kit = *state;
    struct evidence e;
    assert_null(check_made(kit, view_change(kit, 4, 128, 0), view_change(kit, 4, 128, 1), 0, &e));
    assert_int_equal(e.kind, EVIDENCE_KIND_VIEW_CHANGE);
    assert_int_equal(e.view, 4);
    assert_null(check_made(kit, view_change(kit, 4, 128, 0), view_change(kit, 4, 128 + WINDOW_BATCHES - 1, 0), 0, &e));
    assert_non_null(check_made(kit, view_change(kit, 4, 128, 0), view_change(kit, 4, 128 + WINDOW_BATCHES, 0), 0, &e));
    assert_non_null(check_made(kit, view_change(kit, 4, 128 + WINDOW_BATCHES, 0), view_change(kit, 4, 128, 0), 0, &e));
    assert_non_null(check_made(kit, view_change(kit, 4, 128, 0), view_change(kit, 5, 128, 1), 0, &e));
    assert_non_null(check_made(kit, view_change(kit, 4, 128, 0), view_change(kit, 4, 128, 0), 0, &e));
}

static void test_certificate_must_be_bad_and_be_there(void **state)
{
    const struct kit *kit = *state;
    struct evidence e;
    assert_null(check_made(kit, message_view_change(kit, 3, 2, false), NULL, 1, &e));
    assert_int_equal(e.kind, EVIDENCE_KIND_CERTIFICATE);
    assert_false(e.proof);
    assert_non_null(e.fault);
    assert_non_null(check_made(kit, message_view_change(kit, 3, 2, false), NULL, 0, &e)); /* that one is good */
    assert_non_null(check_made(kit, message_view_change(kit, 3, 2, false), NULL, 3, &e)); /* not there */
    assert_non_null(check_made(kit, message_view_change(kit, 3, 2, false), NULL, EVIDENCE_PROOF, &e));
    assert_null(check_made(kit, message_view_change(kit, 3, 0, true), NULL, EVIDENCE_PROOF, &e));
    assert_true(e.proof);
    assert_non_null(check_made(kit, checkpoint(kit, 128, 1, 1), NULL, 0, &e)); /* no VIEW-CHANGE */
}

static void test_record_of_another_group_or_format_or_with_a_changed_bit_is_refused(void **state)
{
    const struct kit *kit = *state;
    struct wire_group g = kit->wire;
    struct evidence e;
    const struct pair p = pair_of(&wire_record_commit, 1);
    struct blob *a = sealed(kit, &p, 0);
    struct blob *b = sealed(kit, &p, 1);
    struct blob *record = evidence_make(&g.id, blob_bytes(a), blob_bytes(b), 0);
    assert_null(evidence_check(&g, kit_checker(kit), blob_bytes(record), &e));
    for (size_t at = 0; at < record->len; at++) {
        record->data[at] ^= 1;
        assert_non_null(evidence_check(&g, kit_checker(kit), blob_bytes(record), &e));
        record->data[at] ^= 1;
    }
    g.id.bytes[0] ^= 1;
    assert_string_equal(evidence_check(&g, kit_checker(kit), blob_bytes(record), &e), "it is of another group");
    blob_release(record);
    record =
        evidence_make(&g.id, blob_bytes(a), blob_bytes(b), 0); /* says it is of that group; the signatures do not */
    assert_non_null(evidence_check(&g, kit_checker(kit), blob_bytes(record), &e));
    blob_release(record);
    blob_release(a);
    blob_release(b);
}

/* One record of each kind: what fuzz_evidence begins with. */
static void test_corpus_is_made_of_a_record_of_each_kind(void **state)
{
    const struct kit *kit = *state;
    const struct pair votes[] = {pair_of(&wire_record_pre_prepare, MESSAGE_PRIMARY), pair_of(&wire_record_prepare, 1),
                                 pair_of(&wire_record_commit, 3)};
    for (uint32_t kind = EVIDENCE_KIND_PRE_PREPARE; kind <= EVIDENCE_KIND_MAX; kind++) {
        char path[80];
        uint8_t space[4096];
        struct file_text text;
        struct blob *a;
        struct blob *b = NULL;
        if (kind <= EVIDENCE_KIND_COMMIT) {
            a = sealed(kit, &votes[kind - 1], 0);
            b = sealed(kit, &votes[kind - 1], 1);
        } else if (kind == EVIDENCE_KIND_CHECKPOINT) {
            a = checkpoint(kit, 128, 1, 1);
            b = checkpoint(kit, 128, 2, 1);
        } else if (kind == EVIDENCE_KIND_VIEW_CHANGE) {
            a = view_change(kit, 4, 128, 0);
            b = view_change(kit, 4, 128, 1);
        } else {
            a = message_view_change(kit, 3, 2, false);
        }
        struct blob *record = evidence_make(&kit->wire.id, blob_bytes(a), b != NULL ? blob_bytes(b) : (struct bytes){0},
                                            kind == EVIDENCE_KIND_CERTIFICATE ? 1 : 0);
        (void)snprintf(path, sizeof path, "tests/fuzz/corpus/evidence/%s",
                       evidence_kind_name((enum evidence_kind)kind));
        assert_int_equal(file_load(path, space, sizeof space - 1, &text), FILE_FAULT_NONE);
        assert_true(bytes_equal(bytes_of(space, text.len), blob_bytes(record)));
        blob_release(record);
        blob_release(a);
        blob_release(b);
    }
}

static int setup(void **state)
{
    *state = kit_new(4, KIT_FAST);
    return 0;
}

static int teardown(void **state)
{
    kit_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_votes_prove_who_signed_what_where),
        cmocka_unit_test(test_order_of_the_two_does_not_matter),
        cmocka_unit_test(test_votes_that_do_not_contradict_prove_nothing),
        cmocka_unit_test(test_votes_of_two_types_prove_nothing),
        cmocka_unit_test(test_one_statement_with_two_signatures_proves_nothing),
        cmocka_unit_test(test_pre_prepare_of_another_than_the_primary_or_with_its_batch_proves_nothing),
        cmocka_unit_test(test_two_checkpoints_of_one_sequence_prove_it),
        cmocka_unit_test(test_two_view_changes_for_one_view_prove_it_unless_a_fence_lies_between),
        cmocka_unit_test(test_certificate_must_be_bad_and_be_there),
        cmocka_unit_test(test_corpus_is_made_of_a_record_of_each_kind),
        cmocka_unit_test(test_record_of_another_group_or_format_or_with_a_changed_bit_is_refused),
    };
    return cmocka_run_group_tests_name("evidence", tests, setup, teardown);
}
