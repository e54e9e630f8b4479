/* fuzz_evidence.c - evidence_check on any bytes, and what it says of the records that it takes for proof.
 *
 * The checker is the stand-in of fuzz_verified.c; the group has 4 members and the id that the record names. The corpus
 * is made of the records of tests/unit/test_evidence.c. */
#include "base/check.h"
#include "wire/evidence.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool check_low_bit(void *context, struct verify_item *item)
{
    (void)context;
    item->valid = (item->signature.bytes[0] & 1) == 0;
    return item->valid;
}

static void check_proof(const struct evidence *e)
{
    struct buffer text = {0};
    CHECK_OP(e->member, <, 4);
    CHECK(e->kind >= EVIDENCE_KIND_PRE_PREPARE && e->kind <= EVIDENCE_KIND_MAX);
    CHECK((e->fault != NULL) == (e->kind == EVIDENCE_KIND_CERTIFICATE));
    if (e->kind != EVIDENCE_KIND_CERTIFICATE) CHECK(!digest_equal(&e->digests[0], &e->digests[1]));
    if (e->kind == EVIDENCE_KIND_PRE_PREPARE) CHECK_OP(e->member, ==, e->view % 4);
    evidence_text(e, &text);
    CHECK(text.len > 0);
    buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct public_key members[4];
    const struct signature_checker checker = {.check = check_low_bit};
    struct wire_group g = {.quorum = quorum_of(4), .members = members};
    struct wire_evidence record;
    struct evidence found;
    const struct bytes in = bytes_of(data, size);
    const bool decodes = wire_decode_record(&wire_record_evidence, in, &record) == NULL;
    if (decodes) g.id = record.group;
    const char *fault = evidence_check(&g, checker, in, &found);
    CHECK(decodes || fault != NULL);
    if (fault == NULL) check_proof(&found);
    return 0;
}
