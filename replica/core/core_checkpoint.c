/* core_checkpoint.c - execution results, CHECKPOINT votes, the stable checkpoint, the window (OSDI'99 section 4.3).
 *
 * The low watermark moves only with a certificate of Q matching CHECKPOINTs (rule 7), only to a state this replica has
 * itself, and only once that certificate is durable (design.md 7.3). */
#include "replica/core/core_internal.h"

/* The record of checkpoint seq in (h, h+L], or NULL. */
struct core_checkpoint *core_checkpoint_at(struct core *c, uint64_t seq)
{
    if (seq % CHECKPOINT_INTERVAL != 0 || seq <= c->low || seq > c->low + WINDOW_BATCHES) return NULL;
    return &c->checkpoints[seq / CHECKPOINT_INTERVAL % (WINDOW_BATCHES / CHECKPOINT_INTERVAL)];
}

void core_send_checkpoint(struct core *c, struct core_checkpoint *p, uint32_t to, uint64_t after, bool resend)
{
    if (core_is_mute(c)) return; /* design.md 7.6; later on STATUS */
    struct wire_checkpoint m = {.epoch = c->config.group.epoch,
                                .sender = c->config.self,
                                .seq = p->seq,
                                .header_hash = p->header_hash,
                                .state_root = p->state_root,
                                .signature = p->votes[c->config.self].signature};
    core_send(c, to, &wire_record_checkpoint, &m, after, resend);
    if (to == CORE_TO_ALL) p->sent_us = c->now_us; /* re-sends to one peer are limited for each peer */
}

static bool vote_matches(const struct core_checkpoint *p, const struct core_checkpoint_vote *v)
{
    return v->seq == p->seq && digest_equal(&v->header_hash, &p->header_hash) &&
           digest_equal(&v->state_root, &p->state_root);
}

/* Makes the certificate when Q distinct members agree with this replica's own checkpoint. */
static void try_stable(struct core *c, const struct core_checkpoint *p)
{
    uint8_t space[REPLICAS_MAX * 72u];
    struct writer w = writer_of(space, sizeof space);
    struct wire_checkpoint_certificate certificate = {.epoch = c->config.group.epoch,
                                                      .seq = p->seq,
                                                      .header_hash = p->header_hash,
                                                      .state_root = p->state_root};
    const uint32_t quorum = c->config.group.quorum.quorum;
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count && certificate.signatures.count < quorum; id++) {
        if (id == c->config.self && (!p->durable || core_is_mute(c))) continue; /* rule 31 */
        if (!vote_matches(p, &p->votes[id])) continue;
        const struct wire_member_signature m = {.id = id, .signature = p->votes[id].signature};
        wire_list_add(&certificate.signatures, &w, &wire_record_member_signature, &m);
    }
    CHECK(!w.overflow);
    if (certificate.signatures.count == quorum) core_offer_stable(c, &certificate); /* rule 7: with what proves it */
}

const char *core_on_checkpoint(struct core *c, const struct wire_checkpoint *m)
{
    if (m->sender == c->config.self) return "own CHECKPOINT";
    core_weigh_checkpoint(c, m);
    struct core_checkpoint *p = core_checkpoint_at(c, m->seq);
    if (p == NULL) return "CHECKPOINT outside the window";
    struct core_checkpoint_vote *v = &p->votes[m->sender];
    if (v->seq == m->seq) return "this member's CHECKPOINT is known already";
    *v = (struct core_checkpoint_vote){.seq = m->seq,
                                       .header_hash = m->header_hash,
                                       .state_root = m->state_root,
                                       .signature = m->signature};
    if (p->seq == m->seq) try_stable(c, p);
    return NULL;
}

/* Records what this replica's state was at seq, and signs it. durable: its blocks up to there are on disk already. */
void core_own_checkpoint(struct core *c, uint64_t seq, const struct digest *header_hash,
                         const struct digest *state_root, bool durable)
{
    struct core_checkpoint *p = core_checkpoint_at(c, seq);
    if (p == NULL) return;
    p->seq = seq;
    p->header_hash = *header_hash;
    p->state_root = *state_root;
    p->durable = durable;
    struct wire_checkpoint m = {.epoch = c->config.group.epoch,
                                .sender = c->config.self,
                                .seq = seq,
                                .header_hash = *header_hash,
                                .state_root = *state_root};
    const struct digest statement = wire_record_signing_digest(&c->config.group.id, &wire_record_checkpoint, &m);
    c->config.sign(c->config.sign_context, &statement, &m.signature);
    p->votes[c->config.self] = (struct core_checkpoint_vote){
        .seq = seq, .header_hash = *header_hash, .state_root = *state_root, .signature = m.signature};
    if (durable) return; /* found at start: re-sent when a STATUS shows that it is missed */
    p->token = core_persist(c, CORE_PERSIST_BLOCKS, seq, NULL, NULL, NULL); /* design.md 7.7 */
    core_send_checkpoint(c, p, CORE_TO_ALL, p->token, false);
}

const char *core_on_executed(struct core *c, const struct core_executed *e)
{
    if (e->seq <= c->executed) return "executed already";
    CHECK_OP(e->seq, ==, c->executed + 1);
    CHECK_OP(e->seq, <=, c->handed);
    struct core_slot *s = core_slot(c, e->seq);
    c->executed = e->seq;
    c->executed_us = c->now_us;
    c->fetch_failures = 0;
    c->executed_time_ms = e->time_ms;
    uint64_t oldest_us = UINT64_MAX;
    for (uint32_t i = 0; i < e->settled_count; i++) {
        const uint64_t since_us = core_settle(c, e->settled[i].client, e->settled[i].seq);
        if (since_us < oldest_us) oldest_us = since_us;
    }
    if (s != NULL) {
        core_slot_decide(c, s, CORE_EXECUTED);
        core_demotion_executed(c, &s->decided, oldest_us);
        s->decided.time_ms = e->time_ms; /* a null batch's is the one before it */
    }
    if (c->active) {
        viewchange_backoff_executed(&c->backoff);
        c->unproven = false;
    }
    if (e->seq % CHECKPOINT_INTERVAL == 0 && !c->diverged)
        core_own_checkpoint(c, e->seq, &e->header_hash, &e->state_root, false);
    if (c->executed >= c->fetch_until) core_fetch_blocks(c);
    return NULL;
}

/* A proven certificate, from votes, a STATUS or a block. Taken up only for a state that is our own. */
void core_offer_stable(struct core *c, const struct wire_checkpoint_certificate *certificate)
{
    if (c->diverged || c->stable_token != 0) return;
    if (certificate->seq <= c->low || certificate->seq > c->executed) return;
    const struct core_checkpoint *p = core_checkpoint_at(c, certificate->seq);
    if (p == NULL || p->seq != certificate->seq || !p->durable) return; /* own blocks first (design.md 7.7) */
    if (!digest_equal(&p->header_hash, &certificate->header_hash) ||
        !digest_equal(&p->state_root, &certificate->state_root)) {
        c->diverged = true; /* Q members prove another state: ours is wrong, and no vote may rest on it */
        core_emit(c, CORE_EFFECT_DIVERGED)->diverged = certificate->seq;
        return;
    }
    c->stable_next_record = wire_encode_blob(&wire_record_checkpoint_certificate, certificate);
    c->stable_token = core_persist(c, CORE_PERSIST_STABLE, certificate->seq, NULL,
                                   blob_retain(c->stable_next_record), NULL);
}

/* The certificate under way is durable: the window moves. */
static void adopt_stable(struct core *c)
{
    blob_release(c->stable_record);
    c->stable_record = c->stable_next_record;
    c->stable_next_record = NULL;
    c->stable_token = 0;
    CHECK(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(c->stable_record), &c->stable) == NULL);
    const uint64_t old = c->low;
    const uint64_t seq = c->stable.seq;
    CHECK_OP(seq, >, old);
    CHECK_OP(seq, <=, c->executed);
    const struct core_slot *last = core_slot_const(c, seq);
    c->low_time_ms = last != NULL ? last->decided.time_ms : 0;
    for (uint64_t n = old + 1; n <= seq; n++)
        core_slot_reset(c, &c->slots[n % WINDOW_BATCHES], 0);
    c->low = seq;
    core_emit(c, CORE_EFFECT_STABLE)->stable = seq;
}

/* Looks for a certificate of an own checkpoint whose blocks are durable: from votes, or fetched with its block. */
static void consider(struct core *c, const struct core_checkpoint *p)
{
    const struct core_slot *s = core_slot_const(c, p->seq);
    struct wire_checkpoint_certificate fetched;
    try_stable(c, p);
    if (s == NULL || s->checkpoint == NULL) return;
    CHECK(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(s->checkpoint), &fetched) == NULL);
    core_offer_stable(c, &fetched);
}

/* entered: votes may leave from now on, and checkpoints found at start have not been looked at yet. */
void core_checkpoint_persisted(struct core *c, bool entered)
{
    const bool adopted = c->stable_token != 0 && c->stable_token <= c->durable_token;
    if (adopted) adopt_stable(c);
    for (uint64_t seq = c->low + CHECKPOINT_INTERVAL; seq <= c->low + WINDOW_BATCHES; seq += CHECKPOINT_INTERVAL) {
        struct core_checkpoint *p = core_checkpoint_at(c, seq);
        if (p == NULL || p->seq != seq || p->token > c->durable_token) continue;
        if (p->durable && !adopted && !entered) continue;
        p->durable = true;
        consider(c, p); /* also what came while another certificate was under way */
    }
}
