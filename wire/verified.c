/* verified.c - decoding, stateless validation and signature checks of whole messages. */
#include "wire/verified.h"

#include "base/check.h"
#include "crypto/merkle.h"

#include <stdlib.h>
#include <string.h>

static const char *check_member(const struct wire_group *g, uint64_t sender, uint64_t epoch)
{
    if (sender >= g->quorum.replica_count) return "the sender is not a member"; /* rule 3: range before index */
    if (epoch != g->epoch) return "the message is of another epoch";            /* rule 20 */
    return NULL;
}

static const char *check_outer(const struct wire_group *g, struct signature_checker checker, struct public_key key,
                               const struct signature *signature, struct msg_verified *out)
{
    out->id = wire_signing_digest(&g->id, out->msg.signed_part);
    struct verify_item item = {.key = key, .digest = out->id, .signature = *signature};
    return checker.check(checker.context, &item) ? NULL : "the signature is wrong";
}

static const char *check_member_signature(const struct wire_group *g, struct signature_checker checker,
                                          uint64_t sender, uint64_t epoch, const struct signature *signature,
                                          struct msg_verified *out)
{
    const char *fault = check_member(g, sender, epoch);
    return fault != NULL ? fault : check_outer(g, checker, g->members[sender], signature, out);
}

static const char *check_vote(const struct wire_group *g, uint64_t view, uint64_t seq, uint64_t sender,
                              bool from_primary)
{
    if (seq == 0) return "sequence 0 is never voted on";
    if ((quorum_primary(&g->quorum, view) == sender) == from_primary) return NULL;
    return from_primary ? "a PRE-PREPARE is not from the primary of its view"
                        : "a PREPARE is from the primary of its view"; /* rule 18 */
}

/* One request inside a batch or alone: of this epoch, and signed by the key it names. */
static const char *check_request(const struct wire_group *g, struct signature_checker checker, struct bytes raw,
                                 struct wire_message *m, struct digest *transaction)
{
    if (raw.len > REQUEST_BYTES_MAX) return "a request is over its size limit";
    const char *fault = wire_decode(raw, m);
    if (fault != NULL) return fault;
    if (m->type != WIRE_TYPE_request) return "a batch holds something that is no request";
    if (m->request.epoch != g->epoch) return "a request is of another epoch";
    if (m->request.seq == 0) return "a client's sequences start at 1";
    if (checker.check == NULL) return NULL;
    *transaction = wire_signing_digest(&g->id, m->signed_part);
    struct verify_item item = {.key = m->request.client, .digest = *transaction, .signature = m->request.signature};
    return checker.check(checker.context, &item) ? NULL : "the signature of a request is wrong";
}

const char *batch_open(const struct wire_group *g, struct signature_checker checker, struct bytes in,
                       struct batch_view *out)
{
    if (in.len > BATCH_BYTES_MAX) return "the batch is over its size limit";
    const char *fault = batch_decode(in, &out->batch, &out->digest);
    if (fault != NULL) return fault;
    struct wire_iterator i = wire_list_start(out->batch.requests);
    struct bytes raw;
    uint64_t ops = 0;
    out->fault = NULL;
    while (out->fault == NULL && wire_list_next_bytes(&i, &raw)) {
        struct wire_message request;
        struct digest transaction;
        out->fault = check_request(g, checker, raw, &request, &transaction);
        if (out->fault == NULL) ops += request.request.ops.count;
    }
    if (out->fault == NULL && ops > BLOCK_OPS_MAX) out->fault = "the batch has more operations than the limit";
    out->valid = out->fault == NULL;
    return NULL;
}

static const char *verify_pre_prepare(const struct wire_group *g, struct signature_checker checker,
                                      struct msg_verified *out)
{
    const struct wire_pre_prepare *m = &out->msg.pre_prepare;
    const char *fault = check_member_signature(g, checker, m->sender, m->epoch, &m->signature, out);
    if (fault == NULL) fault = check_vote(g, m->view, m->seq, m->sender, true);
    if (fault != NULL || m->batch.len == 0) return fault;
    fault = batch_open(g, checker, m->batch, &out->batch);
    if (fault != NULL) return fault;
    if (!digest_equal(&out->batch.digest, &m->digest)) return "the batch beside a PRE-PREPARE has another digest";
    out->has_batch = true;
    return NULL;
}

static const char *verify_view_change(const struct wire_group *g, struct signature_checker checker,
                                      struct msg_verified *out)
{
    const struct wire_view_change *m = &out->msg.view_change;
    const char *fault = check_member_signature(g, checker, m->sender, m->epoch, &m->signature, out);
    if (fault != NULL) return fault;
    out->checkpoint_good = certificate_check_checkpoint(g, checker, &m->proof) == NULL;
    struct wire_iterator i = wire_list_start(m->prepared);
    struct wire_vote_certificate c;
    for (uint32_t k = 0; wire_list_next(&i, &wire_record_vote_certificate, &c); k++)
        if (certificate_check_prepared(g, checker, &c) == NULL) out->certificates_good[k / 64] |= 1ull << (k % 64);
    return NULL;
}

static const char *verify_new_view(const struct wire_group *g, struct signature_checker checker,
                                   struct msg_verified *out)
{
    const struct wire_new_view *m = &out->msg.new_view;
    const char *fault = check_member_signature(g, checker, m->sender, m->epoch, &m->signature, out);
    if (fault != NULL) return fault;
    if (quorum_primary(&g->quorum, m->view) != m->sender) return "a NEW-VIEW is not from the primary of its view";
    struct wire_iterator i = wire_list_start(m->proposals);
    struct wire_reproposal p;
    while (wire_list_next(&i, &wire_record_reproposal, &p)) {
        const struct wire_pre_prepare proposal = {
            .epoch = m->epoch, .sender = m->sender, .view = m->view, .seq = p.seq, .digest = p.digest};
        struct verify_item item = {.key = g->members[m->sender], .signature = p.signature};
        item.digest = wire_record_signing_digest(&g->id, &wire_record_pre_prepare, &proposal);
        if (!checker.check(checker.context, &item)) return "a proposal inside a NEW-VIEW has a wrong signature";
    }
    return NULL;
}

/* A block proves itself: its commit certificate is over the digest of the batch that its header names. */
static const char *check_block(const struct wire_group *g, struct signature_checker checker, struct msg_verified *out)
{
    const struct signature_checker none = {0}; /* f+1 correct members checked the requests before they voted */
    const struct wire_block *b = &out->block;
    if (b->header.seq != out->msg.data.seq || b->committed.seq != b->header.seq || b->header.seq == 0)
        return "a block, its certificate and its message have different sequences";
    if (!digest_equal(&b->header.batch_digest, &b->committed.digest))
        return "a block's certificate is for another batch";
    const char *fault = certificate_check_committed(g, checker, &b->committed);
    if (fault == NULL) fault = batch_open(g, none, b->batch, &out->batch);
    if (fault != NULL) return fault;
    if (!digest_equal(&out->batch.digest, &b->committed.digest)) return "a block's batch has another digest";
    if (!out->batch.valid) return "a block's batch is malformed";
    out->has_batch = true;
    struct wire_iterator i = wire_list_start(b->checkpoint);
    struct wire_checkpoint_certificate c;
    if (wire_list_next(&i, &wire_record_checkpoint_certificate, &c))
        out->checkpoint_good = c.seq == b->header.seq && certificate_check_checkpoint(g, checker, &c) == NULL;
    return NULL;
}

static const char *verify_block(const struct wire_group *g, struct signature_checker checker, struct msg_verified *out)
{
    const char *fault = wire_decode_record(&wire_record_block, out->msg.data.payload, &out->block);
    return fault != NULL ? fault : check_block(g, checker, out);
}

/* The digests of a batch's requests. */
static uint32_t request_digests(const struct wire_group *g, const struct batch_view *batch, struct digest *leaves,
                                struct digest *transactions)
{
    struct wire_iterator i = wire_list_start(batch->batch.requests);
    struct wire_message m;
    struct bytes raw;
    uint32_t count = 0;
    while (wire_list_next_bytes(&i, &raw)) {
        CHECK(count < BATCH_REQUESTS_MAX && wire_decode(raw, &m) == NULL); /* the batch is valid */
        leaves[count] = merkle_leaf(raw);
        transactions[count++] = wire_signing_digest(&g->id, m.signed_part);
    }
    return count;
}

/* Entries as they stand in the ledger, from what travels of them and the batch; checked by their root in the header. */
static const char *rebuild_entries(const struct wire_group *g, struct wire_list travelled, struct msg_verified *out)
{
    struct digest *leaves = mem_alloc(2u * BATCH_REQUESTS_MAX * sizeof *leaves);
    struct digest *transactions = leaves + BATCH_REQUESTS_MAX;
    const uint32_t requests = request_digests(g, &out->batch, leaves, transactions);
    struct wire_iterator i = wire_list_start(travelled);
    struct wire_past_entry past;
    struct merkle_frontier tree = {0};
    struct buffer entries = {0};
    const char *fault = NULL;
    while (fault == NULL && wire_list_next(&i, &wire_record_past_entry, &past)) {
        if (past.request >= requests) {
            fault = "an entry is of a request that its block does not hold";
            break;
        }
        const struct wire_entry entry = {.request_digest = leaves[past.request],
                                         .operation = past.operation,
                                         .transaction = transactions[past.request],
                                         .outcome = past.outcome,
                                         .result = past.result};
        const size_t size = wire_record_size(&wire_record_entry, &entry);
        struct writer w = writer_of(buffer_reserve(&entries, size), size);
        wire_encode_record(&wire_record_entry, &entry, &w);
        const struct digest leaf = merkle_leaf(bytes_of(entries.data + entries.len, size));
        merkle_frontier_append(&tree, &leaf);
        entries.len += size;
    }
    const struct digest root = merkle_frontier_root(&tree);
    if (fault == NULL && (tree.count != out->block.header.count || !digest_equal(&root, &out->block.header.entries_root)))
        fault = "a block's entries do not have the root that its header names";
    if (fault == NULL) out->entries = blob_copy(bytes_of(entries.data, entries.len));
    buffer_free(&entries);
    free(leaves);
    return fault;
}

static const char *verify_past_block(const struct wire_group *g, struct signature_checker checker, struct msg_verified *out)
{
    struct wire_past_block past;
    const char *fault = wire_decode_record(&wire_record_past_block, out->msg.data.payload, &past);
    if (fault != NULL) return fault;
    out->block = (struct wire_block){
        .header = past.header, .committed = past.committed, .checkpoint = past.checkpoint, .batch = past.batch};
    fault = check_block(g, checker, out);
    return fault != NULL ? fault : rebuild_entries(g, past.entries, out);
}

/* Part of a state is checked against the root that its certificate names, which is the walker's work: here only the certificate. */
static const char *verify_state(const struct wire_group *g, struct signature_checker checker, struct msg_verified *out)
{
    struct wire_state_piece piece;
    const char *fault = wire_decode_record(&wire_record_state_piece, out->msg.data.payload, &piece);
    if (fault == NULL && piece.certificate.seq == 0) fault = "the state at the beginning needs no transfer";
    if (fault == NULL) fault = certificate_check_checkpoint(g, checker, &piece.certificate);
    out->checkpoint_good = fault == NULL;
    return fault;
}

static const char *verify_data(const struct wire_group *g, struct signature_checker checker, struct msg_verified *out)
{
    const struct wire_data *m = &out->msg.data;
    const char *fault = check_member(g, m->sender, m->epoch);
    if (fault != NULL) return fault;
    switch (m->kind) {
    case DATA_KIND_BATCH:
        fault = batch_open(g, checker, m->payload, &out->batch);
        if (fault != NULL) return fault;
        if (!digest_equal(&out->batch.digest, &m->digest)) return "a batch has another digest than its message says";
        out->has_batch = true;
        return NULL;
    case DATA_KIND_BLOCK: return verify_block(g, checker, out);
    case DATA_KIND_STATE: return verify_state(g, checker, out);
    case DATA_KIND_PAST_BLOCK: return verify_past_block(g, checker, out);
    default: return "this kind of DATA is not served by this version";
    }
}

/* The signature of a message inside a message, or of one that is shown to somebody; nothing else of it is believed. */
const char *msg_check_signed(const struct wire_group *g, struct signature_checker checker, struct bytes raw,
                             struct wire_message *out, struct digest *id)
{
    const struct signature *signature;
    uint64_t sender;
    uint64_t epoch;
    const char *fault = wire_decode(raw, out);
    if (fault != NULL) return fault;
    switch (out->type) {
    case WIRE_TYPE_pre_prepare:
        sender = out->pre_prepare.sender;
        epoch = out->pre_prepare.epoch;
        signature = &out->pre_prepare.signature;
        break;
    case WIRE_TYPE_prepare:
        sender = out->prepare.sender;
        epoch = out->prepare.epoch;
        signature = &out->prepare.signature;
        break;
    case WIRE_TYPE_commit:
        sender = out->commit.sender;
        epoch = out->commit.epoch;
        signature = &out->commit.signature;
        break;
    case WIRE_TYPE_checkpoint:
        sender = out->checkpoint.sender;
        epoch = out->checkpoint.epoch;
        signature = &out->checkpoint.signature;
        break;
    case WIRE_TYPE_view_change:
        sender = out->view_change.sender;
        epoch = out->view_change.epoch;
        signature = &out->view_change.signature;
        break;
    default: return "it is neither a vote nor a PRE-PREPARE, CHECKPOINT or VIEW-CHANGE";
    }
    fault = check_member(g, sender, epoch);
    if (fault != NULL) return fault;
    *id = wire_signing_digest(&g->id, out->signed_part);
    struct verify_item item = {.key = g->members[sender], .digest = *id, .signature = *signature};
    return checker.check(checker.context, &item) ? NULL : "the signature is wrong";
}

static const char *verify_status(const struct wire_group *g, struct signature_checker checker,
                                 struct msg_verified *out)
{
    const struct wire_status *m = &out->msg.status;
    const char *fault = check_member(g, m->sender, m->epoch);
    if (fault != NULL) return fault;
    /* a claim without proof counts as absent (rule 5) */
    out->checkpoint_good = m->stable.seq > 0 && certificate_check_checkpoint(g, checker, &m->stable) == NULL;
    struct wire_iterator i = wire_list_start(m->shown);
    struct wire_message shown;
    struct digest id;
    struct bytes raw;
    for (uint32_t k = 0; wire_list_next_bytes(&i, &raw); k++)
        if (msg_check_signed(g, checker, raw, &shown, &id) == NULL) out->shown_good |= 1u << k;
    return NULL;
}

static const char *verify_request(const struct wire_group *g, struct signature_checker checker,
                                  struct msg_verified *out)
{
    struct wire_message again;
    const char *fault = check_request(g, checker, out->msg.raw, &again, &out->id);
    if (fault == NULL) out->leaf = merkle_leaf(out->msg.raw);
    return fault;
}

static const char *verify_typed(const struct wire_group *g, struct signature_checker checker, struct msg_verified *out)
{
    const struct wire_message *m = &out->msg;
    const char *fault;
    switch (m->type) {
    case WIRE_TYPE_request: return verify_request(g, checker, out);
    case WIRE_TYPE_pre_prepare: return verify_pre_prepare(g, checker, out);
    case WIRE_TYPE_prepare:
        fault = check_member_signature(g, checker, m->prepare.sender, m->prepare.epoch, &m->prepare.signature, out);
        return fault != NULL ? fault : check_vote(g, m->prepare.view, m->prepare.seq, m->prepare.sender, false);
    case WIRE_TYPE_commit:
        fault = check_member_signature(g, checker, m->commit.sender, m->commit.epoch, &m->commit.signature, out);
        return fault != NULL ? fault : m->commit.seq == 0 ? "sequence 0 is never voted on" : NULL;
    case WIRE_TYPE_checkpoint:
        fault = check_member_signature(g, checker, m->checkpoint.sender, m->checkpoint.epoch,
                                       &m->checkpoint.signature, out);
        if (fault != NULL) return fault;
        return m->checkpoint.seq == 0 || m->checkpoint.seq % CHECKPOINT_INTERVAL != 0
                   ? "the sequence is no checkpoint's"
                   : NULL;
    case WIRE_TYPE_view_change: return verify_view_change(g, checker, out);
    case WIRE_TYPE_new_view: return verify_new_view(g, checker, out);
    case WIRE_TYPE_status: return verify_status(g, checker, out);
    case WIRE_TYPE_fetch: return check_member(g, m->fetch.sender, m->fetch.epoch);
    case WIRE_TYPE_data: return verify_data(g, checker, out);
    case WIRE_TYPE_reply:
    case WIRE_TYPE_hello:
    case WIRE_TYPE_query:
    case WIRE_TYPE_result:
    case WIRE_TYPE_busy: return "a message of this type is not for the core";
    }
    return "the message type is unknown";
}

const char *msg_verify(const struct wire_group *g, struct signature_checker checker, struct blob *blob,
                       struct msg_verified *out)
{
    memset(out, 0, sizeof *out);
    out->blob = blob;
    const char *fault = wire_decode(blob_bytes(blob), &out->msg);
    return fault != NULL ? fault : verify_typed(g, checker, out); /* rule 27: a fault is the sender's, not ours */
}

void msg_verified_release(struct msg_verified *m)
{
    blob_release(m->blob);
    blob_release(m->entries);
    m->blob = NULL;
    m->entries = NULL;
}
