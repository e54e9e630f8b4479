/* certificate.c - signing digests and certificate checks. */
#include "wire/certificate.h"

#include "base/check.h"
#include "crypto/merkle.h"

#include <stdlib.h>
#include <string.h>

static bool check_plainly(void *context, struct verify_item *item)
{
    (void)context;
    item->valid = sign_verify(&item->key, &item->digest, &item->signature);
    return item->valid;
}

struct signature_checker signature_checker_plain(void)
{
    return (struct signature_checker){.check = check_plainly};
}

struct digest wire_signing_digest(const struct digest *group_id, struct bytes signed_part)
{
    struct hasher h;
    struct digest out;
    hasher_start(&h, DIGEST_DOMAIN_MESSAGE);
    hasher_add(&h, group_id->bytes, sizeof group_id->bytes);
    hasher_add(&h, signed_part.data, signed_part.len); /* rules 19, 28: all but the signature */
    hasher_finish(&h, &out);
    return out;
}

struct digest wire_record_signing_digest(const struct digest *group_id, const struct wire_record *record,
                                         const void *message)
{
    uint8_t space[1024];
    struct writer w = writer_of(space, sizeof space);
    wire_encode_signed_part(record, message, &w);
    if (!w.overflow) return wire_signing_digest(group_id, writer_written(&w));
    const size_t size = wire_record_size(record, message);
    struct blob *b = blob_new(size);
    w = writer_of(b->data, b->len);
    wire_encode_signed_part(record, message, &w);
    CHECK(!w.overflow);
    const struct digest out = wire_signing_digest(group_id, writer_written(&w));
    blob_release(b);
    return out;
}

struct digest batch_digest(uint64_t time_ms, const struct digest *leaves, uint32_t count)
{
    struct hasher h;
    struct digest out;
    const struct digest root = merkle_root(leaves, count);
    hasher_start(&h, DIGEST_DOMAIN_BATCH);
    hasher_add_be64(&h, time_ms); /* rule 10: and no view */
    hasher_add_be64(&h, count);
    hasher_add(&h, root.bytes, sizeof root.bytes);
    hasher_finish(&h, &out);
    return out;
}

const char *batch_decode(struct bytes raw, struct wire_batch *batch, struct digest *digest)
{
    const char *fault = wire_decode_record(&wire_record_batch, raw, batch);
    if (fault != NULL) return fault;
    struct digest *leaves = mem_alloc(sizeof *leaves * (batch->requests.count + 1u));
    struct wire_iterator i = wire_list_start(batch->requests);
    struct bytes request;
    uint32_t count = 0;
    while (wire_list_next_bytes(&i, &request))
        leaves[count++] = merkle_leaf(request);
    *digest = batch_digest(batch->time_ms, leaves, count);
    free(leaves);
    return NULL;
}

struct digest header_hash(const struct wire_header *header)
{
    uint8_t space[512];
    struct writer w = writer_of(space, sizeof space);
    wire_encode_record(&wire_record_header, header, &w);
    CHECK(!w.overflow);
    return digest_of(DIGEST_DOMAIN_HEADER, writer_written(&w));
}

/* The vote as the struct of its type, in *out. */
static const struct wire_record *vote_message(const struct wire_vote *v, struct wire_message *out)
{
#define VOTE_FIELDS                                                                                                    \
    .epoch = v->epoch, .sender = v->sender, .view = v->view, .seq = v->seq, .digest = v->digest,                       \
    .signature = v->signature
    out->type = v->type;
    if (v->type == WIRE_TYPE_pre_prepare) out->pre_prepare = (struct wire_pre_prepare){VOTE_FIELDS};
    if (v->type == WIRE_TYPE_prepare) out->prepare = (struct wire_prepare){VOTE_FIELDS};
    if (v->type == WIRE_TYPE_commit) out->commit = (struct wire_commit){VOTE_FIELDS};
#undef VOTE_FIELDS
    CHECK(v->type == WIRE_TYPE_pre_prepare || v->type == WIRE_TYPE_prepare || v->type == WIRE_TYPE_commit);
    return wire_record_of_type(v->type);
}

struct digest wire_vote_statement(const struct digest *group_id, const struct wire_vote *v)
{
    struct wire_message m;
    const struct wire_record *record = vote_message(v, &m);
    return wire_record_signing_digest(group_id, record, wire_body_const(&m));
}

struct blob *wire_vote_encode(const struct wire_vote *v)
{
    struct wire_message m;
    const struct wire_record *record = vote_message(v, &m);
    return wire_encode_blob(record, wire_body_const(&m));
}

/* Ids: distinct, ascending, members' (rule 3). `has` tells whether `wanted` is among them. */
static const char *check_signers(const struct wire_group *g, struct wire_list signatures, uint32_t wanted, bool *has)
{
    struct wire_iterator i = wire_list_start(signatures);
    struct wire_member_signature s;
    uint64_t least = 0;
    *has = false;
    while (wire_list_next(&i, &wire_record_member_signature, &s)) {
        if (s.id >= g->quorum.replica_count) return "a signer of the certificate is not a member";
        if (s.id < least) return "the signers of the certificate do not ascend";
        least = s.id + 1;
        if (s.id == wanted) *has = true;
    }
    return signatures.count < g->quorum.quorum ? "the certificate has fewer signatures than a quorum" : NULL;
}

static const char *check_votes(const struct wire_group *g, struct signature_checker checker,
                               const struct wire_vote_certificate *c, bool prepared)
{
    const uint32_t primary = quorum_primary(&g->quorum, c->view);
    bool has_primary;
    if (c->epoch != g->epoch) return "the certificate is of another epoch"; /* rule 20 */
    const char *fault = check_signers(g, c->signatures, primary, &has_primary);
    if (fault != NULL) return fault;
    if (prepared && !has_primary) return "the prepared certificate lacks the primary's PRE-PREPARE"; /* rule 18 */
    struct wire_iterator i = wire_list_start(c->signatures);
    struct wire_member_signature s;
    while (wire_list_next(&i, &wire_record_member_signature, &s)) {
        const struct wire_vote vote = {.type = !prepared         ? WIRE_TYPE_commit
                                               : s.id == primary ? WIRE_TYPE_pre_prepare
                                                                 : WIRE_TYPE_prepare,
                                       .epoch = c->epoch,
                                       .sender = s.id,
                                       .view = c->view,
                                       .seq = c->seq,
                                       .digest = c->digest};
        struct verify_item item = {.key = g->members[s.id], .signature = s.signature};
        item.digest = wire_vote_statement(&g->id, &vote);
        if (!checker.check(checker.context, &item)) return "a signature of the certificate is wrong";
    }
    return NULL;
}

const char *certificate_check_prepared(const struct wire_group *g, struct signature_checker checker,
                                       const struct wire_vote_certificate *c)
{
    return check_votes(g, checker, c, true);
}

const char *certificate_check_committed(const struct wire_group *g, struct signature_checker checker,
                                        const struct wire_vote_certificate *c)
{
    return check_votes(g, checker, c, false);
}

const char *certificate_check_checkpoint(const struct wire_group *g, struct signature_checker checker,
                                         const struct wire_checkpoint_certificate *c)
{
    bool has_any;
    if (c->epoch != g->epoch) return "the certificate is of another epoch"; /* rule 20 */
    if (c->seq == 0) return NULL;
    if (c->seq % CHECKPOINT_INTERVAL != 0) return "the sequence is no checkpoint's";
    const char *fault = check_signers(g, c->signatures, 0, &has_any);
    if (fault != NULL) return fault;
    struct wire_iterator i = wire_list_start(c->signatures);
    struct wire_member_signature s;
    while (wire_list_next(&i, &wire_record_member_signature, &s)) {
        const struct wire_checkpoint statement = {.epoch = c->epoch,
                                                  .sender = s.id,
                                                  .seq = c->seq,
                                                  .header_hash = c->header_hash,
                                                  .state_root = c->state_root};
        struct verify_item item = {.key = g->members[s.id], .signature = s.signature};
        item.digest = wire_record_signing_digest(&g->id, &wire_record_checkpoint, &statement);
        if (!checker.check(checker.context, &item)) return "a signature of the certificate is wrong";
    }
    return NULL;
}
