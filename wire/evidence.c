/* evidence.c - making and checking records of signed messages that contradict each other, or hold a bad certificate. */
#include "wire/evidence.h"

#include "base/check.h"
#include "wire/verified.h"

#include <inttypes.h>

static const char *const kind_names[] = {
    [EVIDENCE_KIND_PRE_PREPARE] = "PRE-PREPARE", [EVIDENCE_KIND_PREPARE] = "PREPARE",
    [EVIDENCE_KIND_COMMIT] = "COMMIT",           [EVIDENCE_KIND_CHECKPOINT] = "CHECKPOINT",
    [EVIDENCE_KIND_VIEW_CHANGE] = "VIEW-CHANGE", [EVIDENCE_KIND_CERTIFICATE] = "CERTIFICATE"};

const char *evidence_kind_name(enum evidence_kind kind)
{
    return kind_names[kind];
}

/* ---- what contradicts what ---- */

/* A PRE-PREPARE, PREPARE or COMMIT; they have the same fields up to the signature. */
static bool take_vote(const struct wire_message *m, struct wire_prepare *out)
{
    switch (m->type) {
    case WIRE_TYPE_pre_prepare:
        *out = (struct wire_prepare){.epoch = m->pre_prepare.epoch,
                                     .sender = m->pre_prepare.sender,
                                     .view = m->pre_prepare.view,
                                     .seq = m->pre_prepare.seq,
                                     .digest = m->pre_prepare.digest};
        return true;
    case WIRE_TYPE_prepare: *out = m->prepare; return true;
    case WIRE_TYPE_commit:
        *out = (struct wire_prepare){.epoch = m->commit.epoch,
                                     .sender = m->commit.sender,
                                     .view = m->commit.view,
                                     .seq = m->commit.seq,
                                     .digest = m->commit.digest};
        return true;
    default: return false;
    }
}

static bool votes_contradict(const struct wire_message *a, const struct wire_message *b)
{
    struct wire_prepare one;
    struct wire_prepare other;
    if (!take_vote(a, &one) || !take_vote(b, &other)) return false;
    return one.epoch == other.epoch && one.sender == other.sender && one.view == other.view && one.seq == other.seq &&
           !digest_equal(&one.digest, &other.digest);
}

static bool checkpoints_contradict(const struct wire_checkpoint *a, const struct wire_checkpoint *b)
{
    return a->epoch == b->epoch && a->sender == b->sender && a->seq == b->seq &&
           !(digest_equal(&a->header_hash, &b->header_hash) && digest_equal(&a->state_root, &b->state_root));
}

static bool view_changes_contradict(const struct wire_message *a, const struct wire_message *b)
{
    const struct wire_view_change *one = &a->view_change;
    const struct wire_view_change *other = &b->view_change;
    const uint64_t apart =
        one->proof.seq > other->proof.seq ? one->proof.seq - other->proof.seq : other->proof.seq - one->proof.seq;
    return one->epoch == other->epoch && one->sender == other->sender && one->view == other->view &&
           apart < WINDOW_BATCHES && !bytes_equal(a->signed_part, b->signed_part);
}

bool evidence_contradict(const struct wire_message *a, const struct wire_message *b)
{
    if (a->type != b->type) return false;
    if (a->type == WIRE_TYPE_checkpoint) return checkpoints_contradict(&a->checkpoint, &b->checkpoint);
    if (a->type == WIRE_TYPE_view_change) return view_changes_contradict(a, b);
    return votes_contradict(a, b);
}

/* ---- making ---- */

struct blob *evidence_make(const struct digest *group_id, struct bytes a, struct bytes b, uint32_t certificate)
{
    struct wire_evidence e = {.format = EVIDENCE_FORMAT, .group = *group_id, .certificate = certificate};
    struct blob *space = blob_new(a.len + b.len + 16u);
    struct writer w = writer_of(space->data, space->len);
    const bool turned = b.data != NULL && bytes_compare(b, a) < 0;
    wire_list_add_bytes(&e.messages, &w, turned ? b : a);
    if (b.data != NULL) wire_list_add_bytes(&e.messages, &w, turned ? a : b);
    CHECK(!w.overflow);
    struct blob *out = wire_encode_blob(&wire_record_evidence, &e);
    blob_release(space);
    return out;
}

/* ---- checking ---- */

/* What makes two contradicting messages of one type break the rules beyond the contradiction: nothing; but a message
 * that its sender may not send at all is not what a record is about, and nobody has counted it. */
static const char *check_role(const struct wire_group *g, const struct wire_message *m)
{
    if (m->type == WIRE_TYPE_pre_prepare && m->pre_prepare.batch.len > 0) return "a PRE-PREPARE in it carries a batch";
    if (m->type == WIRE_TYPE_pre_prepare && quorum_primary(&g->quorum, m->pre_prepare.view) != m->pre_prepare.sender)
        return "a PRE-PREPARE in it is not from the primary of its view";
    return NULL;
}

static const char *check_pair(const struct wire_message m[2], const struct digest ids[2], struct evidence *out)
{
    static const enum evidence_kind kinds[] = {[WIRE_TYPE_pre_prepare] = EVIDENCE_KIND_PRE_PREPARE,
                                               [WIRE_TYPE_prepare] = EVIDENCE_KIND_PREPARE,
                                               [WIRE_TYPE_commit] = EVIDENCE_KIND_COMMIT};
    struct wire_prepare votes[2];
    if (!evidence_contradict(&m[0], &m[1])) return "its two messages do not contradict each other";
    if (m[0].type == WIRE_TYPE_checkpoint) {
        const struct wire_checkpoint *a = &m[0].checkpoint;
        const struct wire_checkpoint *b = &m[1].checkpoint;
        const bool same_header = digest_equal(&a->header_hash, &b->header_hash);
        *out = (struct evidence){
            .kind = EVIDENCE_KIND_CHECKPOINT,
            .member = (uint32_t)a->sender,
            .seq = a->seq,
            .same_header = same_header,
            .digests = {same_header ? a->state_root : a->header_hash, same_header ? b->state_root : b->header_hash}};
        return NULL;
    }
    if (m[0].type == WIRE_TYPE_view_change) {
        *out = (struct evidence){.kind = EVIDENCE_KIND_VIEW_CHANGE,
                                 .member = (uint32_t)m[0].view_change.sender,
                                 .view = m[0].view_change.view,
                                 .low = {m[0].view_change.proof.seq, m[1].view_change.proof.seq},
                                 .digests = {ids[0], ids[1]}};
        return NULL;
    }
    CHECK(take_vote(&m[0], &votes[0]) && take_vote(&m[1], &votes[1])); /* they contradict each other */
    *out = (struct evidence){.kind = kinds[m[0].type],
                             .member = (uint32_t)votes[0].sender,
                             .view = votes[0].view,
                             .seq = votes[0].seq,
                             .digests = {votes[0].digest, votes[1].digest}};
    return NULL;
}

static const char *check_certificate(const struct wire_group *g, struct signature_checker checker,
                                     const struct wire_message *m, uint64_t place, struct evidence *out)
{
    if (m->type != WIRE_TYPE_view_change) return "its only message is no VIEW-CHANGE";
    const struct wire_view_change *v = &m->view_change;
    struct wire_iterator i = wire_list_start(v->prepared);
    struct wire_vote_certificate c;
    *out = (struct evidence){.kind = EVIDENCE_KIND_CERTIFICATE, .member = (uint32_t)v->sender, .view = v->view};
    if (place == EVIDENCE_PROOF) {
        out->proof = true;
        out->seq = v->proof.seq;
        out->digests[0] = v->proof.header_hash;
        out->fault = certificate_check_checkpoint(g, checker, &v->proof);
        return out->fault != NULL ? NULL : "the certificate that it names proves what it says";
    }
    if (place >= v->prepared.count) return "the certificate that it names is not there";
    for (uint64_t k = 0; k <= place; k++)
        CHECK(wire_list_next(&i, &wire_record_vote_certificate, &c));
    out->certificate_view = c.view;
    out->seq = c.seq;
    out->digests[0] = c.digest;
    out->fault = certificate_check_prepared(g, checker, &c);
    return out->fault != NULL ? NULL : "the certificate that it names proves what it says";
}

const char *evidence_check(const struct wire_group *g, struct signature_checker checker, struct bytes record,
                           struct evidence *out)
{
    struct wire_evidence e;
    struct wire_message m[2] = {0};
    struct digest ids[2];
    struct evidence found;
    struct bytes raw;
    uint32_t count = 0;
    const char *fault = wire_decode_record(&wire_record_evidence, record, &e);
    if (fault != NULL) return fault;
    if (e.format != EVIDENCE_FORMAT) return "it is in a format that this version does not know";
    if (!digest_equal(&e.group, &g->id)) return "it is of another group";
    struct wire_iterator i = wire_list_start(e.messages);
    while (fault == NULL && wire_list_next_bytes(&i, &raw)) {
        fault = msg_check_signed(g, checker, raw, &m[count], &ids[count]);
        if (fault == NULL) fault = check_role(g, &m[count]);
        count++;
    }
    if (fault != NULL) return fault;
    if (count == 2 && e.certificate != 0) return "it names a certificate beside two messages";
    fault = count == 2 ? check_pair(m, ids, &found) : check_certificate(g, checker, &m[0], e.certificate, &found);
    if (fault == NULL) *out = found;
    return fault;
}

/* ---- for people ---- */

void evidence_text(const struct evidence *e, struct buffer *out)
{
    char hex[2][2 * DIGEST_BYTES + 1];
    for (uint32_t k = 0; k < 2; k++)
        hex_encode(hex[k], e->digests[k].bytes, DIGEST_BYTES);
    buffer_printf(out, "signed ");
    switch (e->kind) {
    case EVIDENCE_KIND_PRE_PREPARE:
    case EVIDENCE_KIND_PREPARE:
    case EVIDENCE_KIND_COMMIT:
        buffer_printf(out, "two different %ss for view %" PRIu64 ", sequence %" PRIu64 ": digests %s and %s",
                      evidence_kind_name(e->kind), e->view, e->seq, hex[0], hex[1]);
        return;
    case EVIDENCE_KIND_CHECKPOINT:
        buffer_printf(out, "two different CHECKPOINTs for sequence %" PRIu64 ": %s %s and %s", e->seq,
                      e->same_header ? "state roots" : "header hashes", hex[0], hex[1]);
        return;
    case EVIDENCE_KIND_VIEW_CHANGE:
        buffer_printf(out,
                      "two different VIEW-CHANGEs for view %" PRIu64 ", with low watermarks %" PRIu64 " and %" PRIu64
                      ": digests %s and %s",
                      e->view, e->low[0], e->low[1], hex[0], hex[1]);
        return;
    case EVIDENCE_KIND_CERTIFICATE:
        buffer_printf(out, "a VIEW-CHANGE for view %" PRIu64 " that holds an invalid certificate ", e->view);
        if (e->proof)
            buffer_printf(out, "of checkpoint %" PRIu64 ", header hash %s: %s", e->seq, hex[0], e->fault);
        else
            buffer_printf(out, "for view %" PRIu64 ", sequence %" PRIu64 ", digest %s: %s", e->certificate_view, e->seq,
                          hex[0], e->fault);
        return;
    }
}
