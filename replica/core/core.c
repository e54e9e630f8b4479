/* core.c - the step: dispatch of events, start and stop, emitting effects, the slots, dump and trace.
 *
 * Invariants, checked after every step: h <= executed <= handed <= h + L. What the messages mean is in the other files
 * of this directory. */
#include "replica/core/core_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- effects ---- */

struct core_effect *core_emit(struct core *c, enum core_effect_type type)
{
    CHECK_OP(c->effects->count, <, CORE_EFFECTS_MAX);
    struct core_effect *e = &c->effects->items[c->effects->count++];
    memset(e, 0, sizeof *e);
    e->type = type;
    return e;
}

void core_send_blob(struct core *c, uint32_t to, enum wire_type type, struct blob *bytes_taken, uint64_t after,
                    bool resend)
{
    struct core_effect *e = core_emit(c, CORE_EFFECT_SEND);
    e->after = after;
    e->send.to = to;
    e->send.type = type;
    e->send.resend = resend;
    e->send.bytes = bytes_taken;
}

/* Sends a message struct, unsigned or already signed. */
void core_send(struct core *c, uint32_t to, const struct wire_record *record, void *message, uint64_t after,
               bool resend)
{
    core_send_blob(c, to, (enum wire_type)record->number, wire_encode_blob(record, message), after, resend);
}

void core_send_fetch(struct core *c, uint32_t to, struct wire_fetch m)
{
    m.epoch = c->config.group.epoch;
    m.sender = c->config.self;
    core_send(c, to, &wire_record_fetch, &m, 0, false);
}

uint64_t core_persist(struct core *c, enum core_persist_kind kind, uint64_t seq, const struct digest *digest,
                      struct blob *record_taken, struct blob *batch_borrowed)
{
    struct core_effect *e = core_emit(c, CORE_EFFECT_PERSIST);
    e->persist.token = ++c->next_token;
    e->persist.kind = kind;
    e->persist.view = c->view;
    e->persist.seq = seq;
    if (kind == CORE_PERSIST_FENCE) e->persist.reason = c->fence_reason;
    if (digest != NULL) e->persist.digest = *digest;
    e->persist.record = record_taken;
    e->persist.batch = blob_retain(batch_borrowed);
    return e->persist.token;
}

void core_effect_release(struct core_effect *e)
{
    switch (e->type) {
    case CORE_EFFECT_SEND: blob_release(e->send.bytes); return;
    case CORE_EFFECT_SEND_CLIENT: blob_release(e->send_client.bytes); return;
    case CORE_EFFECT_PERSIST:
        blob_release(e->persist.record);
        blob_release(e->persist.batch);
        return;
    case CORE_EFFECT_EXECUTE:
        blob_release(e->execute.batch);
        blob_release(e->execute.certificate);
        return;
    case CORE_EFFECT_SERVE_STATE: blob_release(e->serve_state.ask); return;
    case CORE_EFFECT_WALK_PIECE: blob_release(e->walk_piece.data); return;
    case CORE_EFFECT_PAST_BLOCK:
        blob_release(e->past_block.data);
        blob_release(e->past_block.entries);
        return;
    case CORE_EFFECT_EVIDENCE: blob_release(e->evidence.record); return;
    case CORE_EFFECT_ANSWER:
    case CORE_EFFECT_STABLE:
    case CORE_EFFECT_SERVE_BLOCKS:
    case CORE_EFFECT_WALK_BEGIN:
    case CORE_EFFECT_DIVERGED: return;
    }
}

void core_effects_release(struct core_effects *effects)
{
    for (uint32_t i = 0; i < effects->count; i++)
        core_effect_release(&effects->items[i]);
    effects->count = 0;
}

/* ---- slots ---- */

bool core_is_primary(const struct core *c)
{
    return core_primary(c) == c->config.self;
}

uint32_t core_primary(const struct core *c)
{
    return quorum_primary(&c->config.group.quorum, c->view);
}

struct core_slot *core_slot(struct core *c, uint64_t seq)
{
    if (seq <= c->low || seq > c->low + WINDOW_BATCHES) return NULL; /* h < n <= h + L */
    struct core_slot *s = &c->slots[seq % WINDOW_BATCHES];
    if (seq > c->slots_top) c->slots_top = seq;
    if (s->seq != seq) core_slot_reset(c, s, seq);
    return s;
}

const struct core_slot *core_slot_const(const struct core *c, uint64_t seq)
{
    if (seq <= c->low || seq > c->low + WINDOW_BATCHES) return NULL;
    const struct core_slot *s = &c->slots[seq % WINDOW_BATCHES];
    return s->seq == seq ? s : NULL;
}

void core_batch_set(struct core_batch *b, struct blob *bytes, const struct digest *digest, uint64_t time_ms)
{
    (void)blob_retain(bytes); /* before the release: it may be the same */
    blob_release(b->bytes);
    *b = (struct core_batch){.bytes = bytes, .digest = *digest, .time_ms = time_ms};
}

static void batch_drop(struct core_batch *b)
{
    blob_release(b->bytes);
    *b = (struct core_batch){.bytes = NULL};
}

const struct core_batch *core_slot_batch(const struct core_slot *s, const struct digest *digest)
{
    const struct core_batch *const all[] = {&s->batch, &s->kept_batch, &s->decided, &s->extra};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i]->bytes != NULL && digest_equal(&all[i]->digest, digest)) return all[i];
    return NULL;
}

static void slot_release(struct core_slot *s)
{
    batch_drop(&s->batch);
    batch_drop(&s->kept_batch);
    batch_drop(&s->decided);
    batch_drop(&s->extra);
    blob_release(s->kept);
    blob_release(s->committed);
    blob_release(s->checkpoint);
    s->kept = NULL;
    s->committed = NULL;
    s->checkpoint = NULL;
}

void core_slot_reset(struct core *c, struct core_slot *s, uint64_t seq)
{
    slot_release(s);
    core_slot_new_view(c, s);
    s->decision = CORE_OPEN;
    s->batch_persisted = false;
    s->seq = seq;
}

/* Forgets what was agreed in the view left; what is decided or certified stays. */
void core_slot_new_view(struct core *c, struct core_slot *s)
{
    const size_t votes_bytes = sizeof *s->prepares * c->config.group.quorum.replica_count;
    batch_drop(&s->batch);
    if (s->seq > c->low && s->seq <= c->agreed) c->agreed = s->seq - 1;
    s->phase = CORE_PHASE_EMPTY;
    s->batch_void = false;
    s->carried = false;
    s->prepare_sent = false;
    /* its COMMIT may leave yet: it is given out */
    if (s->certificate_token != 0 && s->seq > c->highest_durable) c->highest_durable = s->seq;
    s->certificate_durable = false;
    s->certificate_token = 0;
    s->since_us = 0;
    s->changed_us = c->now_us;
    memset(s->prepares, 0, votes_bytes);
    memset(s->commits, 0, votes_bytes);
}

void core_slot_move(struct core *c, struct core_slot *s, enum core_phase to)
{
    /* the table of allowed moves: row from, bit to */
    static const uint8_t allowed[] = {
        [CORE_PHASE_EMPTY] = 1u << CORE_PHASE_PROPOSED,
        [CORE_PHASE_PROPOSED] = 1u << CORE_PHASE_PREPARED,
        [CORE_PHASE_PREPARED] = 1u << CORE_PHASE_COMMITTED,
        [CORE_PHASE_COMMITTED] = 0,
    };
    CHECK((allowed[s->phase] >> to & 1u) != 0);
    s->phase = to;
    s->changed_us = c->now_us;
    c->changed = true;
}

void core_slot_decide(struct core *c, struct core_slot *s, enum core_decision to)
{
    CHECK_OP(to, ==, s->decision + 1u); /* OPEN, DECIDED, EXECUTING, EXECUTED: each once, in this order */
    s->decision = to;
    s->changed_us = c->now_us;
    c->changed = true;
    if (to == CORE_DECIDED) core_demotion_comes_on(c);
}

/* ---- start and stop ---- */

/* A certificate of the view that this replica is in: it stands where it stood, COMMIT cast. */
static void restore_certificate(struct core *c, struct core_slot *s, const struct core_recovered_slot *r)
{
    const uint32_t primary = core_primary(c);
    struct wire_iterator i = wire_list_start(r->prepared.signatures);
    struct wire_member_signature m;
    while (wire_list_next(&i, &wire_record_member_signature, &m)) {
        CHECK_OP(m.id, <, c->config.group.quorum.replica_count); /* checked by certificate_check_prepared */
        if (m.id == primary) s->proposal = m.signature;
        if (m.id == c->config.self) s->prepare_sent = true; /* the record holds that very vote */
        if (m.id != primary)
            s->prepares[m.id] = (struct core_vote){.present = true, .digest = r->digest, .signature = m.signature};
    }
    s->certificate_token = 0;
    s->certificate_durable = true;
    core_slot_move(c, s, CORE_PHASE_PREPARED);
    struct core_vote *own = &s->commits[c->config.self];
    const struct wire_commit commit = {.epoch = c->config.group.epoch,
                                       .sender = c->config.self,
                                       .view = c->view,
                                       .seq = s->seq,
                                       .digest = s->batch.digest};
    const struct digest statement = wire_record_signing_digest(&c->config.group.id, &wire_record_commit, &commit);
    own->present = true; /* counted: its certificate is durable (rule 31) */
    own->digest = s->batch.digest;
    c->config.sign(c->config.sign_context, &statement, &own->signature);
}

static void restore_slot(struct core *c, const struct core_recovered *r, const struct core_recovered_slot *from)
{
    struct core_slot *s = core_slot(c, from->seq);
    if (s == NULL || from->batch == NULL) return;
    const struct core_batch batch = {.bytes = from->batch, .digest = from->digest, .time_ms = from->time_ms};
    if (from->certificate) {
        core_keep_certificate(s, wire_encode_blob(&wire_record_vote_certificate, &from->prepared), &batch);
        s->batch_persisted = true;
        if (from->seq > c->highest_certificate) c->highest_certificate = from->seq;
        if (from->seq > c->highest_durable) c->highest_durable = from->seq;
    }
    const bool of_view = !c->changing && from->certificate && from->prepared.view == c->view;
    if (!of_view && (!from->accepted || c->changing)) return; /* of an earlier view: kept, and proposed again by VIEW-CHANGE */
    core_accept_proposal(c, s, &from->digest, &from->proposal, from->batch, from->time_ms);
    if (of_view) restore_certificate(c, s, from);
    if (r->clean && core_is_primary(c)) s->prepare_sent = true;   /* a clean stop kept only what it had voted */
    if (r->clean && !core_is_primary(c)) core_sign_prepare(c, s); /* for: the same vote again */
    if (from->seq >= c->next_seq) c->next_seq = from->seq + 1;
}

static const char *on_start(struct core *c, const struct core_recovered *r)
{
    if (c->started) return "already started";
    c->started = true;
    c->view = r->view;
    c->slots_view = r->view;
    c->changing = r->view_change != NULL;
    c->view_since_us = c->now_us;
    c->low = r->stable.seq;
    c->executed = r->executed;
    c->handed = r->executed;
    c->executed_time_ms = r->executed_time_ms;
    /* design.md 7.5: after an unclean stop this replica may have voted in its view and forgotten */
    c->abstain_until = r->clean || c->changing ? 0 : c->low + WINDOW_BATCHES;
    c->stable_record = wire_encode_blob(&wire_record_checkpoint_certificate, &r->stable);
    CHECK(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(c->stable_record), &c->stable) == NULL);
    for (uint32_t i = 0; i < c->config.client_count; i++)
        c->clients[i].window = r->windows[i];
    c->next_seq = c->executed + 1;
    core_view_restore(c, r);
    for (uint32_t i = 0; i < r->slot_count; i++)
        restore_slot(c, r, &r->slots[i]);
    core_view_restore_carried(c);
    for (uint64_t n = c->low + 1; n <= c->executed; n++) { /* executed before: nothing is left to do for them */
        struct core_slot *s = core_slot(c, n);
        if (s != NULL) s->decision = CORE_EXECUTED;
    }
    for (uint32_t i = 0; i < r->checkpoint_count; i++)
        core_own_checkpoint(c, r->checkpoints[i].seq, &r->checkpoints[i].header_hash, &r->checkpoints[i].state_root,
                            true);
    c->executed_us = c->now_us;
    c->walking = r->walking;
    c->gap_low = r->gap_low;
    c->gap_high = r->gap_high;
    c->gap_hash = r->gap_hash;
    c->entry_token = core_persist(c, CORE_PERSIST_START, 0, NULL, NULL, NULL);
    core_listen(c, r);
    return NULL;
}

/* A clean stop keeps every vote of this view above h, and a mark (design.md 7.5). */
static const char *on_stop(struct core *c)
{
    if (!c->started) return "not started: there is nothing to keep";
    if (c->stopping) return "already stopping";
    c->draining = true;
    c->stopping = true;
    const bool complete = !core_may_have_voted(c, c->low + 1); /* who abstains has an incomplete record */
    for (uint64_t n = c->low + 1; n <= c->low + WINDOW_BATCHES && !c->changing; n++) {
        const struct core_slot *s = core_slot_const(c, n);
        if (s == NULL || s->batch.bytes == NULL || !s->prepare_sent) continue;
        const struct wire_stored_vote vote = {
            .view = c->view, .seq = n, .digest = s->batch.digest, .signature = s->proposal};
        (void)core_persist(c, CORE_PERSIST_VOTE, n, &s->batch.digest, wire_encode_blob(&wire_record_stored_vote, &vote),
                           s->batch.bytes);
    }
    if (complete) (void)core_persist(c, CORE_PERSIST_CLEAN, 0, NULL, NULL, NULL);
    return NULL;
}

/* A primary that is about to stop leaves its view first, so that nobody need time out (design.md 7.5). Once: where all
 * are about to stop, one has to be the primary. */
static void resign(struct core *c)
{
    if (c->resigned || c->stopping || !c->active || !core_is_primary(c)) return;
    if (c->config.group.quorum.replica_count == 1) return;
    c->resigned = true;
    core_leave_view(c, c->view + 1);
}

/* Votes of this view may leave as soon as nothing speaks against it. */
void core_begin(struct core *c)
{
    if (c->active || c->changing || core_is_mute(c) || c->durable_token < c->entry_token) return;
    c->active = true;
    core_checkpoint_persisted(c, true);
    if (core_is_primary(c) && c->abstain_until > c->low)
        core_leave_view(c, c->view + 1); /* design.md 7.5: a primary that may not propose says so at once */
    else if (c->draining)
        resign(c);
}

static const char *on_persisted(struct core *c, uint64_t token)
{
    if (token <= c->durable_token) return "already known to be durable";
    CHECK_OP(token, <=, c->next_token);
    c->durable_token = token;
    for (uint64_t n = c->low + 1; n <= c->slots_top; n++) {
        struct core_slot *s = core_slot(c, n);
        if (s == NULL || s->certificate_durable || s->certificate_token == 0 || s->certificate_token > token) continue;
        s->certificate_durable = true;
        if (n > c->highest_durable) c->highest_durable = n;
        s->commits[c->config.self].present = true; /* rule 31: own COMMIT counts from here */
    }
    core_checkpoint_persisted(c, false);
    core_begin(c);
    return NULL;
}

/* Without room on its disk a replica promises nothing new: no vote, no VIEW-CHANGE, no custody (design.md section 7). What it said
 * stands, and it follows the others. How long there was no room is no primary's fault: waiting begins anew. */
static const char *on_disk(struct core *c, bool full)
{
    if (full == c->disk_full) return "known already";
    c->disk_full = full;
    if (full) return NULL;
    c->view_since_us = c->now_us;
    if (c->quorum_us != 0) c->quorum_us = c->now_us;
    return NULL;
}

static void on_drain(struct core *c)
{
    c->draining = true;
    resign(c);
}

static const char *on_tick(struct core *c, uint64_t monotonic_us, uint64_t wall_ms)
{
    if (monotonic_us > c->now_us) c->now_us = monotonic_us;
    c->wall_ms = wall_ms;
    if (!c->started) return NULL;
    core_custody_tick(c);
    core_view_tick(c);
    core_demotion_tick(c);
    core_fence_tick(c);
    core_sync_tick(c);
    core_transfer_tick(c);
    return NULL;
}

/* ---- the step ---- */

static const char *on_message(struct core *c, const struct core_event *event)
{
    struct msg_verified *m = event->message.verified;
    const uint32_t from = event->message.from;
    const bool from_member = from < c->config.group.quorum.replica_count;
    if (!c->started) return "not started";
    if (c->diverged) return "diverged";
    if (m->msg.type == WIRE_TYPE_request) return core_on_request(c, m, event->message.client, from_member);
    if (!from_member) return "only members may send this";
    switch (m->msg.type) {
    case WIRE_TYPE_pre_prepare: return core_on_pre_prepare(c, m);
    case WIRE_TYPE_prepare: return core_on_prepare(c, &m->msg.prepare);
    case WIRE_TYPE_commit: return core_on_commit(c, &m->msg.commit);
    case WIRE_TYPE_checkpoint: return core_on_checkpoint(c, &m->msg.checkpoint);
    case WIRE_TYPE_status: return core_on_status(c, m, from);
    case WIRE_TYPE_fetch: return core_on_fetch(c, &m->msg.fetch, from);
    case WIRE_TYPE_data: return core_on_data(c, m, from);
    case WIRE_TYPE_view_change: return core_on_view_change(c, m);
    case WIRE_TYPE_new_view: return core_on_new_view(c, m);
    case WIRE_TYPE_request:
    case WIRE_TYPE_reply:
    case WIRE_TYPE_hello:
    case WIRE_TYPE_query:
    case WIRE_TYPE_result:
    case WIRE_TYPE_busy: return "not a message between members";
    }
    return "unknown message";
}

static void check_invariants(const struct core *c)
{
    CHECK_OP(c->low, <=, c->executed);
    CHECK_OP(c->executed, <=, c->handed);
    CHECK_OP(c->handed, <=, c->low + WINDOW_BATCHES);
    CHECK_OP(c->held_count, <=, c->custody_count);
    CHECK_OP(c->durable_token, <=, c->next_token);
    CHECK(!(c->active && c->changing));
}

const char *core_step(struct core *c, const struct core_event *event, struct core_effects *effects)
{
    CHECK_OP(effects->count, ==, 0);
    c->effects = effects;
    const char *ignored = NULL;
    switch (event->type) {
    case CORE_EVENT_START: ignored = on_start(c, event->recovered); break;
    case CORE_EVENT_MESSAGE: ignored = on_message(c, event); break;
    case CORE_EVENT_TICK: ignored = on_tick(c, event->tick.monotonic_us, event->tick.wall_ms); break;
    case CORE_EVENT_PERSISTED: ignored = on_persisted(c, event->persisted); break;
    case CORE_EVENT_EXECUTED: ignored = core_on_executed(c, event->executed); break;
    case CORE_EVENT_DISK: ignored = on_disk(c, event->disk_full); break;
    case CORE_EVENT_WALK: ignored = core_on_walk(c, event->walk); break;
    case CORE_EVENT_MISSING_BLOCK: ignored = core_on_missing_block(c, event->missing); break;
    case CORE_EVENT_DRAIN: on_drain(c); break;
    case CORE_EVENT_STOP: ignored = on_stop(c); break;
    }
    if (ignored == NULL && core_brings_on(event)) c->changed = true;
    if (c->started && !c->diverged) core_advance(c);
    core_demotion_look(c);
    check_invariants(c);
    c->effects = NULL;
    return ignored;
}

/* ---- making and ending ---- */

struct core *core_new(const struct core_config *config)
{
    const uint32_t n = config->group.quorum.replica_count;
    CHECK_OP(config->self, <, n);
    CHECK_OP(config->client_count, <=, CLIENTS_MAX);
    CHECK(config->pipeline_max >= 1 && config->pipeline_max <= WINDOW_BATCHES);
    CHECK(config->batch_requests_max >= 1 && config->batch_requests_max <= BATCH_REQUESTS_MAX);
    struct core *c = mem_zero(1, sizeof *c);
    c->config = *config;
    c->clients = mem_zero(config->client_count + 1u, sizeof *c->clients);
    c->ring = mem_zero(config->client_count + 1u, sizeof *c->ring);
    c->peers = mem_zero(n, sizeof *c->peers);
    c->early = mem_zero(n, sizeof *c->early);
    for (uint32_t i = 0; i < n; i++)
        c->early[i].votes = mem_zero(CORE_EARLY_VOTES, sizeof *c->early[i].votes);
    c->leaf_space = mem_zero(config->batch_requests_max, sizeof *c->leaf_space);
    for (uint32_t i = 0; i < WINDOW_BATCHES; i++) {
        c->slots[i].prepares = mem_zero(n, sizeof *c->slots[i].prepares);
        c->slots[i].commits = mem_zero(n, sizeof *c->slots[i].commits);
    }
    for (uint32_t i = 0; i < WINDOW_BATCHES / CHECKPOINT_INTERVAL; i++)
        c->checkpoints[i].votes = mem_zero(n, sizeof *c->checkpoints[i].votes);
    c->fetch_peer = UINT32_MAX;
    c->gap_peer = UINT32_MAX;
    c->oldest_slot_us = UINT64_MAX;
    c->collected = viewchange_new(&config->group.quorum, config->self);
    viewchange_backoff_start(&c->backoff, config->timeout_us, config->timeout_cap_us);
    return c;
}

void core_free(struct core *c)
{
    if (c == NULL) return;
    for (uint32_t i = 0; i < WINDOW_BATCHES; i++) {
        slot_release(&c->slots[i]);
        free(c->slots[i].prepares);
        free(c->slots[i].commits);
    }
    for (uint32_t i = 0; i < WINDOW_BATCHES / CHECKPOINT_INTERVAL; i++)
        free(c->checkpoints[i].votes);
    for (uint32_t i = 0; i < c->config.client_count; i++)
        for (uint32_t k = 0; k < CORE_CLIENT_REQUESTS; k++)
            blob_release(c->clients[i].requests[k].bytes);
    blob_release(c->stable_record);
    blob_release(c->stable_next_record);
    blob_release(c->own_view_change);
    blob_release(c->heard_own);
    blob_release(c->new_view);
    viewchange_free(c->collected);
    free(c->clients);
    free(c->ring);
    for (uint32_t i = 0; i < c->config.group.quorum.replica_count; i++)
        free(c->early[i].votes);
    free(c->early);
    core_drop_early_proposals(c);
    core_transfer_free(c);
    free(c->peers);
    free(c->leaf_space);
    free(c);
}
