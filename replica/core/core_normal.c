/* core_normal.c - the three phases (OSDI'99 section 4.2) and execution in order.
 *
 * A slot's proposal is judged before it is prepared: is the batch held and valid, is its time agreed, may this replica vote
 * here at all. Votes are kept whether or not the proposal has come. What this replica promises by a COMMIT is
 * durable before the COMMIT leaves. */
#include "replica/core/core_internal.h"

/* ---- votes out ---- */

static void sign_record(const struct core *c, const struct wire_record *record, void *message,
                        struct signature *signature)
{
    const struct digest statement = wire_record_signing_digest(&c->config.group.id, record, message);
    c->config.sign(c->config.sign_context, &statement, signature);
}

/* Sends this replica's own PREPARE or COMMIT (or, as primary, its PRE-PREPARE with the batch) for a slot. */
void core_send_vote(struct core *c, const struct core_slot *s, enum wire_type type, uint32_t to, uint64_t after,
                    bool resend)
{
    const uint64_t epoch = c->config.group.epoch;
    const uint32_t self = c->config.self;
    if (type == WIRE_TYPE_pre_prepare) {
        struct wire_pre_prepare m = {
            .epoch = epoch, .sender = self, .view = c->view, .seq = s->seq, .digest = s->batch.digest};
        m.signature = s->proposal;
        m.batch = blob_bytes(s->batch.bytes);
        core_send(c, to, &wire_record_pre_prepare, &m, after, resend);
    } else if (type == WIRE_TYPE_prepare) {
        struct wire_prepare m = {.epoch = epoch, .sender = self, .view = c->view, .seq = s->seq, .digest = s->batch.digest};
        m.signature = s->prepares[self].signature;
        core_send(c, to, &wire_record_prepare, &m, after, resend);
    } else {
        struct wire_commit m = {.epoch = epoch, .sender = self, .view = c->view, .seq = s->seq, .digest = s->batch.digest};
        CHECK(type == WIRE_TYPE_commit);
        m.signature = s->commits[self].signature;
        core_send(c, to, &wire_record_commit, &m, after, resend);
    }
}

/* Encodes the slot's prepared or commit certificate: Q signatures, ids ascending. */
struct blob *core_certificate(const struct core *c, const struct core_slot *s, bool prepared)
{
    uint8_t space[REPLICAS_MAX * 72u];
    struct writer w = writer_of(space, sizeof space);
    struct wire_vote_certificate certificate = {
        .epoch = c->config.group.epoch, .view = c->view, .seq = s->seq, .digest = s->batch.digest};
    const uint32_t primary = core_primary(c);
    const uint32_t quorum = c->config.group.quorum.quorum;
    const struct core_vote *votes = prepared ? s->prepares : s->commits;
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++) {
        struct wire_member_signature m = {.id = id, .signature = votes[id].signature};
        bool counts = votes[id].present && digest_equal(&votes[id].digest, &s->batch.digest);
        if (prepared && id == primary) {
            counts = true; /* the pre-prepare is the primary's prepare */
            m.signature = s->proposal;
        } else if (prepared && id > primary && certificate.signatures.count >= quorum) {
            counts = false;
        } else if (prepared && id < primary && certificate.signatures.count >= quorum - 1) {
            counts = false; /* the last place is the primary's */
        } else if (!prepared && certificate.signatures.count >= quorum) {
            counts = false;
        }
        if (counts) wire_list_add(&certificate.signatures, &w, &wire_record_member_signature, &m);
    }
    CHECK(!w.overflow);
    CHECK_OP(certificate.signatures.count, ==, quorum);
    return wire_encode_blob(&wire_record_vote_certificate, &certificate);
}

/* Distinct members whose vote at this slot is for its digest (rule 3). */
static uint32_t count_votes(const struct core *c, const struct core_slot *s, const struct core_vote *votes)
{
    struct replica_set members = {0};
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++)
        if (votes[id].present && digest_equal(&votes[id].digest, &s->batch.digest)) replica_set_add(&members, id);
    return replica_set_count(&members);
}

/* ---- messages in ---- */

void core_accept_proposal(struct core *c, struct core_slot *s, const struct digest *digest,
                          const struct signature *proposal, struct blob *batch, uint64_t time_ms)
{
    core_batch_set(&s->batch, batch, digest, time_ms);
    s->proposal = *proposal;
    s->since_us = c->now_us;
    core_slot_move(c, s, CORE_PHASE_PROPOSED);
}

/* Keeps a prepared certificate, which is of a higher view than the one kept before, and its batch, for VIEW-CHANGE. */
void core_keep_certificate(struct core_slot *s, struct blob *certificate_taken, const struct core_batch *batch)
{
    blob_release(s->kept);
    s->kept = certificate_taken;
    core_batch_set(&s->kept_batch, batch->bytes, &batch->digest, batch->time_ms);
}

/* A batch arrives beside its PRE-PREPARE or later by DATA. */
const char *core_attach_batch(struct core *c, struct core_slot *s, const struct batch_view *batch, struct bytes bytes)
{
    if (s->batch.bytes != NULL || s->batch_void) return "the batch is judged already";
    if (!batch->valid || batch->batch.requests.count > c->config.batch_requests_max) {
        s->batch_void = true; /* rule 11: never prepared by this replica, whatever else arrives */
        return batch->valid ? "a batch with more requests than the group allows" : batch->fault;
    }
    s->batch.bytes = blob_copy(bytes);
    s->batch.time_ms = batch->batch.time_ms;
    s->changed_us = c->now_us;
    return NULL;
}

const char *core_on_pre_prepare(struct core *c, struct msg_verified *m)
{
    const struct wire_pre_prepare *p = &m->msg.pre_prepare;
    if (p->sender == c->config.self) return "own PRE-PREPARE";
    core_weigh_proposal(c, p->view, p->seq, &p->digest, &p->signature);
    if (core_is_early(c, p->view)) return core_keep_early_proposal(c, m);
    if (p->view != c->view) return "PRE-PREPARE of a view that is past";
    struct core_slot *s = core_slot(c, p->seq);
    if (s == NULL) return "PRE-PREPARE outside the window";
    if (s->phase == CORE_PHASE_EMPTY) {
        if (c->under_way == 0 && s->decision == CORE_OPEN) core_demotion_comes_on(c);
        const struct digest digest = p->digest;
        const struct core_batch *held = core_slot_batch(s, &digest);
        core_accept_proposal(c, s, &digest, &p->signature, held != NULL ? held->bytes : NULL,
                             held != NULL ? held->time_ms : 0);
    } else if (!digest_equal(&s->batch.digest, &p->digest)) {
        return "a second, different PRE-PREPARE for this view and sequence"; /* at most one is ever accepted */
    } else if (s->batch.bytes != NULL) {
        return "PRE-PREPARE known already";
    }
    return m->has_batch && s->batch.bytes == NULL ? core_attach_batch(c, s, &m->batch, p->batch) : NULL;
}

static const char *record_vote(struct core_vote *vote, const struct digest *digest, const struct signature *signature)
{
    if (vote->present) return "this member's vote is known already"; /* the first one counts (rule 3) */
    *vote = (struct core_vote){.present = true, .digest = *digest, .signature = *signature};
    return NULL;
}

const char *core_on_prepare(struct core *c, const struct wire_prepare *m)
{
    if (m->sender == c->config.self) return "own PREPARE";
    if (m->sender == quorum_primary(&c->config.group.quorum, m->view)) return "PREPARE from the primary"; /* rule 18 */
    const struct core_early_vote vote = {.seq = m->seq, .digest = m->digest, .signature = m->signature};
    core_weigh_vote(c, WIRE_TYPE_prepare, (uint32_t)m->sender, m->view, &vote);
    if (core_is_early(c, m->view)) return core_keep_early(c, m->sender, m->view, &vote);
    if (m->view != c->view) return "PREPARE of a view that is past";
    struct core_slot *s = core_slot(c, m->seq);
    if (s == NULL) return "PREPARE outside the window";
    return record_vote(&s->prepares[m->sender], &m->digest, &m->signature);
}

const char *core_on_commit(struct core *c, const struct wire_commit *m)
{
    if (m->sender == c->config.self) return "own COMMIT";
    const struct core_early_vote vote = {
        .commit = true, .seq = m->seq, .digest = m->digest, .signature = m->signature};
    core_weigh_vote(c, WIRE_TYPE_commit, (uint32_t)m->sender, m->view, &vote);
    if (core_is_early(c, m->view)) return core_keep_early(c, m->sender, m->view, &vote);
    if (m->view != c->view) return "COMMIT of a view that is past";
    struct core_slot *s = core_slot(c, m->seq);
    if (s == NULL) return "COMMIT outside the window";
    return record_vote(&s->commits[m->sender], &m->digest, &m->signature);
}

static bool is_for_another(const struct core_slot *s, const struct core_vote *v)
{
    return v->present && !digest_equal(&v->digest, &s->batch.digest);
}

bool core_vote_is_late(const struct core *c, enum wire_type type, uint32_t member, uint64_t view, uint64_t seq,
                       const struct digest *digest)
{
    const struct core_slot *s = core_slot_const(c, seq);
    const bool commit = type == WIRE_TYPE_commit;
    if (s == NULL || c->changing || view != c->view || member == c->config.self) return false;
    if (s->phase < (commit ? CORE_PHASE_COMMITTED : CORE_PHASE_PREPARED)) return false;
    if (!commit && member == core_primary(c)) return false; /* rule 18: it breaks the rules, and is to be found out */
    if (!digest_equal(&s->batch.digest, digest)) return false;
    if ((commit ? s->commits : s->prepares)[member].present) return false;
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++)
        if (is_for_another(s, &s->prepares[id]) || is_for_another(s, &s->commits[id])) return false;
    return true;
}

/* ---- judging and advancing one slot ---- */

/* Batch time of n-1, when it is known here; *agreed: not only its primary stands for it. A null batch has the time of the one
 * before it. */
static bool previous_time(const struct core *c, uint64_t seq, uint64_t *out, bool *agreed)
{
    *agreed = true;
    for (uint64_t n = seq - 1;; n--) {
        if (n == c->executed) {
            *out = c->executed_time_ms;
            return true;
        }
        if (n == c->low) {
            *out = c->low_time_ms;
            return true;
        }
        const struct core_slot *before = core_slot_const(c, n);
        if (before == NULL) return false;
        const struct core_batch *b = before->decision != CORE_OPEN ? &before->decided : &before->batch;
        if (b->bytes == NULL && before->decision != CORE_EXECUTED) return false;
        *out = b->time_ms;
        *agreed = before->decision != CORE_OPEN || before->phase >= CORE_PHASE_PREPARED || before->prepare_sent || before->carried;
        if (b->time_ms != 0) return true;
    }
}

/* previous <= t, t >= clock - drift, t <= max(previous, clock + drift) (design.md section 6). */
static bool time_agreed(const struct core *c, const struct core_slot *s)
{
    uint64_t previous;
    bool agreed;
    if (!previous_time(c, s->seq, &previous, &agreed)) return false; /* judged again when n-1 is here */
    const uint64_t drift = c->config.drift_ms;
    /* a proposal too far ahead excuses none behind it, as long as it is no more than a proposal */
    const uint64_t latest = c->wall_ms + drift > previous || !agreed ? c->wall_ms + drift : previous;
    const uint64_t time_ms = s->batch.time_ms;
    return time_ms >= previous && time_ms + drift >= c->wall_ms && time_ms <= latest;
}

/* Casts this backup's PREPARE for the slot's digest. */
void core_sign_prepare(struct core *c, struct core_slot *s)
{
    struct wire_prepare m = {.epoch = c->config.group.epoch,
                             .sender = c->config.self,
                             .view = c->view,
                             .seq = s->seq,
                             .digest = s->batch.digest};
    sign_record(c, &wire_record_prepare, &m, &m.signature);
    s->prepare_sent = true;
    s->prepares[c->config.self] =
        (struct core_vote){.present = true, .digest = s->batch.digest, .signature = m.signature};
}

static void try_prepare(struct core *c, struct core_slot *s)
{
    if (s->prepare_sent || !c->active || c->stopping || c->disk_full || core_is_primary(c)) return;
    if (s->batch.bytes == NULL || s->batch_void) return; /* rule 9 */
    if (core_may_have_voted(c, s->seq)) return;          /* rule 12 */
    if (!s->carried && !time_agreed(c, s)) return;
    core_sign_prepare(c, s);
    core_send_vote(c, s, WIRE_TYPE_prepare, CORE_TO_ALL, 0, false);
}

/* Prepared: the PRE-PREPARE and matching PREPAREs of Q-1 distinct backups. waited: this replica's own was cast before.
 */
static void try_prepared(struct core *c, struct core_slot *s, bool waited)
{
    if (s->phase != CORE_PHASE_PROPOSED || s->batch.bytes == NULL || s->batch_void || !c->active || c->disk_full) return;
    if (count_votes(c, s, s->prepares) < c->config.group.quorum.quorum - 1) return;
    core_slot_move(c, s, CORE_PHASE_PREPARED);
    if (s->seq > c->highest_certificate) c->highest_certificate = s->seq;
    if (waited) core_demotion_prepared(c, c->now_us - s->since_us);
    core_keep_certificate(s, core_certificate(c, s, true), &s->batch);
    s->certificate_token = core_persist(c, CORE_PERSIST_PREPARED, s->seq, &s->batch.digest, blob_retain(s->kept),
                                        s->batch.bytes);
    struct wire_commit m = {.epoch = c->config.group.epoch,
                            .sender = c->config.self,
                            .view = c->view,
                            .seq = s->seq,
                            .digest = s->batch.digest};
    sign_record(c, &wire_record_commit, &m, &m.signature);
    /* not present yet: it counts for ourselves only once the certificate is durable (rule 31) */
    s->commits[c->config.self] =
        (struct core_vote){.present = false, .digest = s->batch.digest, .signature = m.signature};
    core_send_vote(c, s, WIRE_TYPE_commit, CORE_TO_ALL, s->certificate_token, false);
}

/* Committed: prepared, and Q matching COMMITs. */
static void try_committed(struct core *c, struct core_slot *s)
{
    if (s->phase != CORE_PHASE_PREPARED || c->changing) return; /* the votes here are of the view left */
    if (count_votes(c, s, s->commits) < c->config.group.quorum.quorum) return;
    core_slot_move(c, s, CORE_PHASE_COMMITTED);
    if (s->decision != CORE_OPEN) return; /* decided before, in an earlier view or by a block */
    s->committed = core_certificate(c, s, false);
    core_batch_set(&s->decided, s->batch.bytes, &s->batch.digest, s->batch.time_ms);
    s->batch_persisted = true; /* with its prepared certificate */
    core_slot_decide(c, s, CORE_DECIDED);
}

static void execute_ready(struct core *c)
{
    while (c->handed < c->low + WINDOW_BATCHES && !c->walking) {
        struct core_slot *s = core_slot(c, c->handed + 1);
        if (s->decision != CORE_DECIDED) return; /* in order, never across a gap */
        core_slot_decide(c, s, CORE_EXECUTING);
        struct core_effect *e = core_emit(c, CORE_EFFECT_EXECUTE);
        e->execute.seq = s->seq;
        e->execute.digest = s->decided.digest;
        e->execute.batch = blob_retain(s->decided.bytes);
        e->execute.batch_persisted = s->batch_persisted;
        e->execute.certificate = blob_retain(s->committed);
        c->handed++;
    }
}

static void advance_range(struct core *c, uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n <= to; n++) {
        struct core_slot *s = &c->slots[n % WINDOW_BATCHES];
        if (s->seq != n || s->phase == CORE_PHASE_EMPTY) continue;
        const bool waits = s->prepare_sent;
        try_prepare(c, s);
        try_prepared(c, s, waits);
        try_committed(c, s);
        if (s->phase < CORE_PHASE_COMMITTED && s->decision == CORE_OPEN) {
            c->under_way++;
            if (s->since_us < c->oldest_slot_us) c->oldest_slot_us = s->since_us;
        }
    }
}

/* Nothing is left to be done for it in this view. */
static bool is_agreed(const struct core *c, const struct core_slot *s)
{
    return s->seq == c->agreed + 1 && s->phase == CORE_PHASE_COMMITTED && (s->prepare_sent || core_is_primary(c));
}

/* Looks at every slot of the window once that is not agreed on. What is executed here comes last: after a view change
 * it is agreed on again for the sake of those who have not executed it and cannot get the block; clients wait for the
 * rest. */
static void advance_slots(struct core *c)
{
    c->under_way = 0;
    c->oldest_slot_us = UINT64_MAX;
    advance_range(c, c->executed + 1, c->slots_top);
    if (c->executed < c->carried_until) return;
    if (c->agreed < c->low) c->agreed = c->low;
    while (c->agreed < c->executed && is_agreed(c, &c->slots[(c->agreed + 1) % WINDOW_BATCHES]))
        c->agreed++;
    advance_range(c, c->agreed + 1, c->executed);
}

void core_advance(struct core *c)
{
    bool again = true;
    while (again) { /* a group of one prepares what it proposes by itself, so look again */
        if (c->next_seq <= c->handed) c->next_seq = c->handed + 1;
        advance_slots(c);
        execute_ready(c);
        const bool proposed = core_propose(c);
        again = proposed && c->config.group.quorum.quorum == 1;
    }
}
