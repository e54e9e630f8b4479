/* core_inspect.c - looking at a core from outside: summary, canonical dump, trace of effects. Changes nothing. */
#include "replica/core/core_internal.h"

#include <inttypes.h>

/* Rule 23: the highest sequence for which a COMMIT was sent or the record holds a certificate. A certificate that is only on its way
 * to disk counts too, since it will be both in a moment; not so while the disk is full, or reads would wait for room. */
static uint64_t read_barrier(const struct core *c)
{
    const uint64_t n = c->disk_full ? c->highest_durable : c->highest_certificate;
    return n > c->executed ? n : c->executed;
}

/* What a fenced replica has committed to it may not know; once its fence ends all of that is executed. */
bool core_may_answer_read(const struct core *c, uint64_t barrier)
{
    return !c->listening && !core_is_fenced(c) && barrier <= c->executed;
}

struct blob *core_stable(const struct core *c)
{
    return c->stable_record;
}

static void summarise_peers(const struct core *c, struct core_summary *out)
{
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++) {
        const struct core_peer *p = &c->peers[id];
        if (p->heard_us == 0) continue;
        if (p->fenced) replica_set_add(&out->fenced_members, id);
        if (c->now_us - p->heard_us > 3 * c->config.heartbeat_us) continue;
        out->peers_heard++;
        if (!p->fenced) replica_set_add(&out->voters, id);
    }
}

struct core_summary core_summary(const struct core *c)
{
    struct core_summary out = {
        .started = c->started,
        .view = c->view,
        .changing = c->changing,
        .changing_us = c->changing ? c->now_us - c->view_since_us : 0,
        .view_changes = c->view_changes,
        .primary = core_primary(c),
        .suspicion = core_suspicion_text(c->suspicion),
        .demotions = c->demotions,
        .low = c->low,
        .high = c->low + WINDOW_BATCHES,
        .executed = c->executed,
        .committed = c->handed,
        .proposed = c->handed,
        .highest_peer_executed = core_peers_executed(c),
        .read_barrier = read_barrier(c),
        .abstain_until = c->abstain_until > c->low ? c->abstain_until : 0,
        .custody = c->custody_count,
        .diverged = c->diverged,
        .disk_full = c->disk_full,
        .listening = c->listening,
        .heard = replica_set_count(&c->heard),
        .fenced = core_is_fenced(c),
        .fence_until = c->mute_until,
        .fence_reason = core_fence_text(c->fence_reason),
        .walking = c->walking,
        .walk_target = c->walk_target,
        .gap_low = c->gap_low,
        .gap_high = c->gap_high,
        .gap_wanted = c->detour.seq,
    };
    for (uint32_t k = 0; k < CORE_WALK_QUESTIONS; k++)
        if (c->questions[k].number != 0) out.walk_asked++;
    for (uint64_t n = (c->executed > c->low ? c->executed : c->low) + 1; n <= c->slots_top; n++) {
        const struct core_slot *s = &c->slots[n % WINDOW_BATCHES];
        if (s->seq != n || (s->phase == CORE_PHASE_EMPTY && s->decision == CORE_OPEN)) continue;
        if (s->seq > out.proposed) out.proposed = s->seq;
        out.under_way++;
    }
    summarise_peers(c, &out);
    return out;
}

/* ---- holdings ---- */

static void raise_to(uint64_t *most, uint64_t value)
{
    if (value > *most) *most = value;
}

/* Adds what is held of one client; returns how many of its requests wait to be proposed. */
static uint64_t hold_client(const struct core_client *owner, uint64_t *count, struct core_holdings *out)
{
    uint64_t requests = 0;
    uint64_t bytes = 0;
    uint64_t parked = 0;
    uint64_t held = 0;
    for (uint32_t k = 0; k < CORE_CLIENT_REQUESTS; k++) {
        const struct core_request *r = &owner->requests[k];
        if (r->state == CORE_REQUEST_EMPTY) continue;
        requests++;
        bytes += r->bytes->len;
        if (r->parked) parked += r->bytes->len;
        if (r->state == CORE_REQUEST_HELD) held++;
    }
    if (bytes != owner->bytes || parked != owner->parked_bytes || held != owner->held) out->counters_right = false;
    raise_to(&out->client_requests, requests);
    raise_to(&out->client_bytes, bytes);
    raise_to(&out->client_parked_bytes, parked);
    out->custody_bytes += bytes;
    out->parked_bytes += parked;
    *count += requests;
    return held;
}

struct core_holdings core_holdings(const struct core *c)
{
    struct core_holdings out = {.counters_right = true};
    uint64_t held = 0;
    uint64_t count = 0;
    for (uint32_t i = 0; i < c->config.client_count; i++)
        held += hold_client(&c->clients[i], &count, &out);
    if (held != c->held_count || count != c->custody_count || out.custody_bytes != c->custody_bytes ||
        out.parked_bytes != c->parked_bytes)
        out.counters_right = false;
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++) {
        const struct blob *newest = viewchange_latest(c->collected, id)->blob;
        const struct blob *kept = viewchange_kept(c->collected, id);
        raise_to(&out.early_votes, c->early[id].count);
        raise_to(&out.view_change_bytes, (newest == NULL ? 0 : newest->len) + (kept == NULL ? 0 : kept->len));
    }
    return out;
}

uint64_t core_view(const struct core *c)
{
    return c->view;
}

uint64_t core_last_executed(const struct core *c)
{
    return c->executed;
}

uint64_t core_client_highest(const struct core *c, uint32_t client)
{
    return client < c->config.client_count ? c->clients[client].window.highest_settled : 0;
}

uint32_t core_client_custody(const struct core *c, uint32_t client)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < CORE_CLIENT_REQUESTS && client < c->config.client_count; k++)
        if (c->clients[client].requests[k].state != CORE_REQUEST_EMPTY) count++;
    return count;
}

uint64_t core_proposed_us(const struct core *c, uint64_t seq)
{
    const struct core_slot *s = core_slot_const(c, seq);
    return s == NULL || s->phase == CORE_PHASE_EMPTY ? 0 : s->since_us;
}

/* ---- why ---- */

static uint64_t since(const struct core *c, uint64_t then_us)
{
    return c->now_us > then_us ? c->now_us - then_us : 0;
}

static uint64_t remaining(const struct core *c, uint64_t from_us, uint64_t span_us)
{
    const uint64_t gone = since(c, from_us);
    return gone < span_us ? span_us - gone : 0;
}

/* As core_view_tick decides it. */
static void why_timers(const struct core *c, struct core_why *out)
{
    const uint64_t custody = c->custody_count > 0 ? core_custody_oldest(c) : UINT64_MAX;
    uint64_t oldest = c->oldest_slot_us < custody ? c->oldest_slot_us : custody;
    const bool behind = out->ahead > c->executed;
    const bool counts = !c->diverged && !c->stopping && !core_is_mute(c);
    out->custody_oldest_us = custody == UINT64_MAX ? 0 : since(c, custody);
    out->timeout_us = c->backoff.now_us;
    out->request_timer_us = CORE_NO_TIMER;
    out->new_view_timer_us = CORE_NO_TIMER;
    if (counts && c->active && !behind && oldest != UINT64_MAX) {
        out->request_timer_us = remaining(c, core_timer_start(c, oldest), c->backoff.now_us);
    }
    if (counts && c->changing && c->quorum_us != 0) /* rule 17 */
        out->new_view_timer_us = remaining(c, c->quorum_us, c->backoff.now_us);
}

/* Votes for another digest than the proposal's are none; without a proposal every one is shown. */
static bool why_vote(const struct core_slot *s, const struct core_vote *v)
{
    return v->present && (s->phase == CORE_PHASE_EMPTY || digest_equal(&v->digest, &s->batch.digest));
}

static void why_slot(const struct core *c, const struct core_slot *s, struct core_why *out)
{
    static const enum why_phase phases[] = {[CORE_PHASE_EMPTY] = WHY_PHASE_EMPTY,
                                            [CORE_PHASE_PROPOSED] = WHY_PHASE_PROPOSED,
                                            [CORE_PHASE_PREPARED] = WHY_PHASE_PREPARED,
                                            [CORE_PHASE_COMMITTED] = WHY_PHASE_COMMITTED};
    if (s == NULL) return; /* the window is full: a checkpoint has to become stable first */
    const bool decided = s->decision != CORE_OPEN;
    out->phase = decided ? WHY_PHASE_COMMITTED : phases[s->phase];
    if (decided)
        out->digest = s->decided.digest;
    else if (s->phase != CORE_PHASE_EMPTY)
        out->digest = s->batch.digest;
    if (s->phase != CORE_PHASE_EMPTY) out->waited_us = since(c, s->since_us);
    if (s->batch.bytes != NULL || (decided && s->decided.bytes != NULL)) out->flags |= WHY_FLAG_BATCH_HELD;
    if (s->batch_void) out->flags |= WHY_FLAG_BATCH_VOID;
    if (s->prepare_sent) out->flags |= WHY_FLAG_PREPARE_SENT;
    if (s->certificate_durable) out->flags |= WHY_FLAG_CERTIFICATE_DURABLE;
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++) {
        out->members[id].prepared = why_vote(s, &s->prepares[id]);
        out->members[id].committed = why_vote(s, &s->commits[id]);
    }
    if (s->phase != CORE_PHASE_EMPTY && (!core_is_primary(c) || s->prepare_sent))
        out->members[core_primary(c)].prepared = true; /* its PRE-PREPARE is its PREPARE (rule 18) */
}

void core_why(const struct core *c, struct core_why *out)
{
    *out = (struct core_why){.seq = c->executed + 1,
                             .phase = WHY_PHASE_EMPTY,
                             .idle_us = since(c, c->executed_us),
                             .ahead = core_peers_executed(c),
                             .custody_bytes = c->custody_bytes};
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++) {
        const struct core_peer *p = &c->peers[id];
        const struct viewchange_message *v = viewchange_latest(c->collected, id);
        const bool self = id == c->config.self;
        out->members[id] = (struct core_why_member){.heard = !self && p->heard_us != 0,
                                                    .heard_us = self ? 0 : since(c, p->heard_us),
                                                    .executed = self ? c->executed : p->executed,
                                                    .view = self ? c->view : p->view,
                                                    .changing = self ? c->changing : p->changing,
                                                    .view_change = v->blob != NULL ? v->view : 0};
    }
    why_slot(c, core_slot_const(c, out->seq), out);
    why_timers(c, out);
    if (c->changing) out->waited_us = since(c, c->view_since_us);
    if (c->changing) out->flags |= WHY_FLAG_CHANGING;
    if (c->active) out->flags |= WHY_FLAG_ENTERED;
    if (core_is_mute(c)) out->flags |= WHY_FLAG_MUTE;
    if (c->diverged) out->flags |= WHY_FLAG_DIVERGED;
    if (c->draining) out->flags |= WHY_FLAG_DRAINING;
}

static void trace_blob(struct hasher *h, const struct blob *b)
{
    hasher_add_be64(h, b == NULL ? UINT64_MAX : b->len);
    if (b != NULL) hasher_add(h, b->data, b->len);
}

void core_effect_trace(struct hasher *h, const struct core_effect *e)
{
    hasher_add_be64(h, e->type);
    hasher_add_be64(h, e->after);
    switch (e->type) {
    case CORE_EFFECT_SEND:
        hasher_add_be64(h, e->send.to);
        hasher_add_be64(h, e->send.resend ? 1 : 0);
        trace_blob(h, e->send.bytes);
        return;
    case CORE_EFFECT_SEND_CLIENT:
        hasher_add_be64(h, e->send_client.client);
        trace_blob(h, e->send_client.bytes);
        return;
    case CORE_EFFECT_PERSIST:
        hasher_add_be64(h, e->persist.token);
        hasher_add_be64(h, e->persist.kind);
        hasher_add_be64(h, e->persist.view);
        hasher_add_be64(h, e->persist.seq);
        hasher_add(h, e->persist.digest.bytes, sizeof e->persist.digest.bytes);
        if (e->persist.kind == CORE_PERSIST_FENCE) hasher_add_be64(h, e->persist.reason);
        trace_blob(h, e->persist.record);
        trace_blob(h, e->persist.batch);
        return;
    case CORE_EFFECT_EXECUTE:
        hasher_add_be64(h, e->execute.seq);
        hasher_add(h, e->execute.digest.bytes, sizeof e->execute.digest.bytes);
        hasher_add_be64(h, e->execute.batch_persisted ? 1 : 0);
        trace_blob(h, e->execute.batch);
        trace_blob(h, e->execute.certificate);
        return;
    case CORE_EFFECT_ANSWER:
        hasher_add_be64(h, e->answer.client);
        hasher_add_be64(h, e->answer.seq);
        hasher_add(h, e->answer.transaction.bytes, sizeof e->answer.transaction.bytes);
        return;
    case CORE_EFFECT_STABLE: hasher_add_be64(h, e->stable); return;
    case CORE_EFFECT_SERVE_STATE:
        hasher_add_be64(h, e->serve_state.to);
        hasher_add_be64(h, e->serve_state.number);
        hasher_add_be64(h, e->serve_state.seq);
        trace_blob(h, e->serve_state.ask);
        return;
    case CORE_EFFECT_PAST_BLOCK:
        hasher_add_be64(h, e->past_block.gap_low);
        hasher_add_be64(h, e->past_block.checkpoint_good ? 1 : 0);
        trace_blob(h, e->past_block.data);
        trace_blob(h, e->past_block.entries);
        return;
    case CORE_EFFECT_WALK_BEGIN: hasher_add_be64(h, e->walk_begin); return;
    case CORE_EFFECT_WALK_PIECE:
        hasher_add_be64(h, e->walk_piece.number);
        trace_blob(h, e->walk_piece.data);
        return;
    case CORE_EFFECT_SERVE_BLOCKS:
        hasher_add_be64(h, e->serve.to);
        hasher_add_be64(h, e->serve.seq);
        hasher_add_be64(h, e->serve.count);
        if (e->serve.past) hasher_add_be64(h, 1);
        return;
    case CORE_EFFECT_EVIDENCE:
        hasher_add_be64(h, e->evidence.member);
        hasher_add_be64(h, e->evidence.kind);
        trace_blob(h, e->evidence.record);
        return;
    case CORE_EFFECT_DIVERGED: hasher_add_be64(h, e->diverged); return;
    }
}

static void dump_slot(const struct core *c, const struct core_slot *s, struct buffer *out)
{
    static const char *const phases[] = {"empty", "proposed", "prepared", "committed"};
    static const char *const decisions[] = {"open", "decided", "executing", "executed"};
    char hex[2 * DIGEST_BYTES + 1];
    hex_encode(hex, s->batch.digest.bytes, 8);
    buffer_printf(out, "slot %" PRIu64 " %s %s digest %s batch %s prepare %s certificate %s prepares", s->seq,
                  phases[s->phase], decisions[s->decision], hex,
                  s->batch.bytes != NULL ? "held" : s->batch_void ? "void" : "missing",
                  s->prepare_sent ? "sent" : "not-sent", s->certificate_durable ? "durable" : "no");
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++)
        if (s->prepares[id].present) buffer_printf(out, " %u", id);
    buffer_printf(out, " commits");
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++)
        if (s->commits[id].present) buffer_printf(out, " %u", id);
    buffer_printf(out, "\n");
}

void core_dump(const struct core *c, struct buffer *out)
{
    buffer_printf(out,
                  "replica %u view %" PRIu64 " primary %u low %" PRIu64 " executed %" PRIu64 " handed %" PRIu64
                  " next %" PRIu64 " abstain %" PRIu64 " held %" PRIu64 " custody %" PRIu64 " tokens %" PRIu64
                  "/%" PRIu64 "%s%s%s%s%s\n",
                  c->config.self, c->view, core_primary(c), c->low, c->executed, c->handed, c->next_seq,
                  c->abstain_until, c->held_count, c->custody_count, c->durable_token, c->next_token,
                  c->active ? " active" : "", c->changing ? " changing" : "", c->stopping ? " stopping" : "", c->diverged ? " diverged" : "",
                  c->disk_full ? " disk-full" : "");
    if (c->gap_low != 0)
        buffer_printf(out, "gap %" PRIu64 " to %" PRIu64 " wanted %" PRIu64 " next %" PRIu64 "%s\n", c->gap_low,
                      c->gap_high, c->detour.seq, c->detour.next, c->detour.proven ? " proven" : "");
    for (uint64_t n = c->low + 1; n <= c->low + WINDOW_BATCHES; n++) {
        const struct core_slot *s = core_slot_const(c, n);
        if (s == NULL || s->decision == CORE_EXECUTED) continue;
        if (s->phase != CORE_PHASE_EMPTY || s->decision != CORE_OPEN) dump_slot(c, s, out);
    }
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++)
        buffer_printf(out, "peer %u %s executed %" PRIu64 " stable %" PRIu64 "\n", id,
                      c->peers[id].heard ? "heard" : "silent", c->peers[id].executed, c->peers[id].stable);
}
