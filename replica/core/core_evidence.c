/* core_evidence.c - signed messages of one member that contradict each other (design.md section 11; rule 4 for
 * certificates).
 *
 * What comes is compared with what is held: the votes in the slots, those kept for a view to come, CHECKPOINTs of the
 * window, the newest VIEW-CHANGE of each member. Votes inside certificates are looked at too. One record for each
 * member and kind leaves the core, and all that is found is counted; nothing else follows from it.
 *
 * A member that says one thing to some and another to others shows nobody both. So who holds a PREPARE for another
 * digest than that of the PRE-PREPARE it has accepted says so to that PREPARE's sender, with the PRE-PREPARE, and to
 * the others, with the PREPARE or COMMIT: on their STATUS, within what one member is sent again, and no more once the
 * proof is here. Between replicas that keep the rules that never happens under a correct primary. */
#include "replica/core/core_internal.h"
#include "wire/evidence.h"

#define SHOWN_MAX 16u /* for one STATUS: proposals, and votes of each member */
#define SHOWN_BYTES 256u

/* ---- out ---- */

/* Counts; true for the first of its kind, which leaves. */
static bool counts_as_first(struct core *c, uint32_t member, enum evidence_kind kind)
{
    if (c->effects->count >= CORE_EFFECTS_ENOUGH) return false; /* another time: this step says enough */
    return c->peers[member].contradictions[kind - 1]++ == 0;
}

/* The record of messages a and b (b.data NULL: of a certificate in a). */
static void accuse(struct core *c, uint32_t member, enum evidence_kind kind, struct bytes a, struct bytes b,
                   uint32_t certificate)
{
    struct core_effect *e = core_emit(c, CORE_EFFECT_EVIDENCE);
    e->evidence.member = member;
    e->evidence.kind = kind;
    e->evidence.record = evidence_make(&c->config.group.id, a, b, certificate);
}

static void accuse_of(struct core *c, uint32_t member, enum evidence_kind kind, struct blob *one_taken,
                      struct blob *other_taken)
{
    accuse(c, member, kind, blob_bytes(one_taken), blob_bytes(other_taken), 0);
    blob_release(one_taken);
    blob_release(other_taken);
}

uint64_t core_contradictions(const struct core *c, uint32_t member, enum evidence_kind kind)
{
    return c->peers[member].contradictions[kind - 1];
}

/* ---- votes ---- */

static const struct core_slot *slot_of(const struct core *c, uint64_t view, uint64_t seq)
{
    return view == c->slots_view ? core_slot_const(c, seq) : NULL;
}

/* Two votes of one member, type, view and sequence. */
static void weigh_pair(struct core *c, enum evidence_kind kind, const struct wire_vote *one,
                       const struct digest *digest, const struct signature *signature)
{
    struct wire_vote other = *one;
    other.digest = *digest;
    other.signature = *signature;
    if (digest_equal(&one->digest, digest) || !counts_as_first(c, (uint32_t)one->sender, kind)) return;
    accuse_of(c, (uint32_t)one->sender, kind, wire_vote_encode(one), wire_vote_encode(&other));
}

void core_weigh_proposal(struct core *c, uint64_t view, uint64_t seq, const struct digest *digest,
                         const struct signature *signature)
{
    const struct core_slot *s = slot_of(c, view, seq);
    const uint32_t primary = quorum_primary(&c->config.group.quorum, view);
    if (s == NULL || s->phase == CORE_PHASE_EMPTY || primary == c->config.self) return;
    const struct wire_vote one = {.type = WIRE_TYPE_pre_prepare,
                                  .epoch = c->config.group.epoch,
                                  .sender = primary,
                                  .view = view,
                                  .seq = seq,
                                  .digest = s->batch.digest,
                                  .signature = s->proposal};
    weigh_pair(c, EVIDENCE_KIND_PRE_PREPARE, &one, digest, signature);
}

void core_weigh_vote(struct core *c, enum wire_type type, uint32_t member, uint64_t view,
                     const struct core_early_vote *vote)
{
    const struct core_slot *s = slot_of(c, view, vote->seq);
    const struct core_early *e = &c->early[member];
    const bool commit = type == WIRE_TYPE_commit;
    const struct digest *digest = NULL; /* of the one that is known, and its signature */
    const struct signature *signature = NULL;
    if (s != NULL) {
        const struct core_vote *known = commit ? &s->commits[member] : &s->prepares[member];
        if (known->present) digest = &known->digest, signature = &known->signature;
    }
    for (uint32_t i = 0; s == NULL && digest == NULL && i < e->count && e->view == view; i++) {
        const struct core_early_vote *known = &e->votes[i];
        if (known->seq == vote->seq && known->commit == commit) digest = &known->digest, signature = &known->signature;
    }
    if (digest == NULL || digest_equal(digest, &vote->digest)) return; /* nearly always */
    const struct wire_vote said = {.type = type,
                                   .epoch = c->config.group.epoch,
                                   .sender = member,
                                   .view = view,
                                   .seq = vote->seq,
                                   .digest = vote->digest,
                                   .signature = vote->signature};
    weigh_pair(c, commit ? EVIDENCE_KIND_COMMIT : EVIDENCE_KIND_PREPARE, &said, digest, signature);
}

/* The votes inside a good certificate. */
void core_weigh_votes(struct core *c, const struct wire_vote_certificate *certificate, bool prepared)
{
    const uint32_t primary = quorum_primary(&c->config.group.quorum, certificate->view);
    struct wire_iterator i = wire_list_start(certificate->signatures);
    struct wire_member_signature m;
    if (slot_of(c, certificate->view, certificate->seq) == NULL) return;
    while (wire_list_next(&i, &wire_record_member_signature, &m)) {
        const struct core_early_vote vote = {
            .seq = certificate->seq, .digest = certificate->digest, .signature = m.signature};
        if (m.id == c->config.self) continue;
        if (prepared && m.id == primary)
            core_weigh_proposal(c, certificate->view, vote.seq, &vote.digest, &vote.signature);
        else
            core_weigh_vote(c, prepared ? WIRE_TYPE_prepare : WIRE_TYPE_commit, (uint32_t)m.id, certificate->view,
                            &vote);
    }
}

/* ---- CHECKPOINT ---- */

void core_weigh_checkpoint(struct core *c, const struct wire_checkpoint *m)
{
    const struct core_checkpoint *p = core_checkpoint_at(c, m->seq);
    if (p == NULL || p->votes[m->sender].seq != m->seq) return;
    const struct core_checkpoint_vote *known = &p->votes[m->sender];
    if (digest_equal(&known->header_hash, &m->header_hash) && digest_equal(&known->state_root, &m->state_root)) return;
    const struct wire_checkpoint one = {.epoch = m->epoch,
                                        .sender = m->sender,
                                        .seq = m->seq,
                                        .header_hash = known->header_hash,
                                        .state_root = known->state_root,
                                        .signature = known->signature};
    if (counts_as_first(c, (uint32_t)m->sender, EVIDENCE_KIND_CHECKPOINT))
        accuse_of(c, (uint32_t)m->sender, EVIDENCE_KIND_CHECKPOINT, wire_encode_blob(&wire_record_checkpoint, &one),
                  wire_encode_blob(&wire_record_checkpoint, m));
}

/* Those inside a good certificate. */
void core_weigh_checkpoints(struct core *c, const struct wire_checkpoint_certificate *certificate)
{
    struct wire_iterator i = wire_list_start(certificate->signatures);
    struct wire_member_signature m;
    if (core_checkpoint_at(c, certificate->seq) == NULL) return;
    while (wire_list_next(&i, &wire_record_member_signature, &m)) {
        const struct wire_checkpoint vote = {.epoch = certificate->epoch,
                                             .sender = m.id,
                                             .seq = certificate->seq,
                                             .header_hash = certificate->header_hash,
                                             .state_root = certificate->state_root,
                                             .signature = m.signature};
        if (m.id != c->config.self) core_weigh_checkpoint(c, &vote);
    }
}

/* ---- VIEW-CHANGE ---- */

/* rule 4: a certificate that proves nothing is void, and its sender has signed it */
static void weigh_certificates(struct core *c, const struct msg_verified *m)
{
    const struct wire_view_change *v = &m->msg.view_change;
    struct wire_iterator i = wire_list_start(v->prepared);
    struct wire_vote_certificate certificate;
    uint32_t bad = UINT32_MAX;
    for (uint32_t k = 0; wire_list_next(&i, &wire_record_vote_certificate, &certificate); k++) {
        if ((m->certificates_good[k / 64] >> (k % 64) & 1u) != 0)
            core_weigh_votes(c, &certificate, true);
        else if (bad == UINT32_MAX)
            bad = k;
    }
    if (!m->checkpoint_good) bad = EVIDENCE_PROOF;
    if (bad != UINT32_MAX && counts_as_first(c, (uint32_t)v->sender, EVIDENCE_KIND_CERTIFICATE))
        accuse(c, (uint32_t)v->sender, EVIDENCE_KIND_CERTIFICATE, blob_bytes(m->blob), (struct bytes){0}, bad);
}

void core_weigh_view_change(struct core *c, const struct msg_verified *m)
{
    const struct wire_view_change *v = &m->msg.view_change;
    const struct viewchange_message *known = viewchange_latest(c->collected, (uint32_t)v->sender);
    struct wire_message other;
    weigh_certificates(c, m);
    if (m->checkpoint_good) core_weigh_checkpoints(c, &v->proof);
    if (known->blob == NULL || known->view != v->view || digest_equal(&known->id, &m->id)) return;
    CHECK(wire_decode(blob_bytes(known->blob), &other) == NULL); /* decoded when it came */
    if (evidence_contradict(&other, &m->msg) && counts_as_first(c, (uint32_t)v->sender, EVIDENCE_KIND_VIEW_CHANGE))
        accuse(c, (uint32_t)v->sender, EVIDENCE_KIND_VIEW_CHANGE, blob_bytes(known->blob), blob_bytes(m->blob), 0);
}

/* ---- what two members have to put together ---- */

/* True when that member's PREPARE is for another batch than the one accepted here. */
static bool is_at_odds(const struct core_slot *s, uint32_t member)
{
    return s->prepares[member].present && !digest_equal(&s->prepares[member].digest, &s->batch.digest);
}

/* After a STATUS: the proposals that a member's PREPAREs contradict. */
static void show_proposals(struct core *c, uint32_t to)
{
    const uint32_t primary = quorum_primary(&c->config.group.quorum, c->slots_view);
    uint32_t shown = 0;
    if (primary == c->config.self || primary == to) return;
    if (core_contradictions(c, primary, EVIDENCE_KIND_PRE_PREPARE) > 0) return; /* proven here */
    for (uint64_t n = c->low + 1; n <= c->slots_top && shown < SHOWN_MAX; n++) {
        const struct core_slot *s = core_slot_const(c, n);
        if (s == NULL || s->phase == CORE_PHASE_EMPTY || !is_at_odds(s, to)) continue;
        if (!core_may_serve(c, &c->peers[to], SHOWN_BYTES)) break;
        struct wire_pre_prepare m = {.epoch = c->config.group.epoch,
                                     .sender = primary,
                                     .view = c->slots_view,
                                     .seq = n,
                                     .digest = s->batch.digest,
                                     .signature = s->proposal};
        core_send(c, to, &wire_record_pre_prepare, &m, 0, true);
        shown++;
    }
}

static void show_vote(struct core *c, uint32_t to, const struct wire_vote *v)
{
    struct blob *bytes = wire_vote_encode(v);
    core_send_blob(c, to, v->type, bytes, 0, true);
}

/* ... and what another has said here, where it is for another batch than the one accepted here, or that member is: it
 * may have heard the opposite. Not from the same slot on each time: who names another digest to everybody, which proves
 * nothing, must not hide behind that what it says to some only. */
static void show_votes(struct core *c, uint32_t to, uint32_t of)
{
    const uint64_t span = c->slots_top > c->low ? c->slots_top - c->low : 0;
    uint32_t shown = 0;
    for (uint64_t k = 0; k < span && shown < SHOWN_MAX; k++) {
        const uint64_t n = c->low + 1 + (c->now_us / 1000u + k) % span;
        const struct core_slot *s = core_slot_const(c, n);
        if (s == NULL || s->phase == CORE_PHASE_EMPTY) continue;
        for (uint32_t commit = 0; commit < 2; commit++) {
            const struct core_vote *v = commit != 0 ? &s->commits[of] : &s->prepares[of];
            const enum evidence_kind kind = commit != 0 ? EVIDENCE_KIND_COMMIT : EVIDENCE_KIND_PREPARE;
            if (!v->present || (digest_equal(&v->digest, &s->batch.digest) && !is_at_odds(s, to))) continue;
            if (core_contradictions(c, of, kind) > 0) continue; /* proven here */
            if (!core_may_serve(c, &c->peers[to], SHOWN_BYTES)) return;
            show_vote(c, to,
                      &(struct wire_vote){.type = commit != 0 ? WIRE_TYPE_commit : WIRE_TYPE_prepare,
                                          .epoch = c->config.group.epoch,
                                          .sender = of,
                                          .view = c->slots_view,
                                          .seq = n,
                                          .digest = v->digest,
                                          .signature = v->signature});
            shown++;
        }
    }
}

void core_show_contradictions(struct core *c, uint32_t to)
{
    show_proposals(c, to);
    for (uint32_t of = 0; of < c->config.group.quorum.replica_count; of++)
        if (of != to && of != c->config.self) show_votes(c, to, of);
}
