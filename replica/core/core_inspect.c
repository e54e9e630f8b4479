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

struct core_summary core_summary(const struct core *c)
{
    struct core_summary out = {
        .started = c->started,
        .view = c->view,
        .changing = c->changing,
        .changing_us = c->changing ? c->now_us - c->view_since_us : 0,
        .view_changes = c->view_changes,
        .primary = core_primary(c),
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
        .fence_reason = c->fence_reason,
    };
    for (uint64_t n = c->low + 1; n <= c->low + WINDOW_BATCHES; n++) {
        const struct core_slot *s = core_slot_const(c, n);
        if (s == NULL || (s->phase == CORE_PHASE_EMPTY && s->decision == CORE_OPEN)) continue;
        if (n > out.proposed) out.proposed = n;
        if (s->decision != CORE_EXECUTED) out.under_way++;
    }
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++)
        if (c->peers[id].heard_us != 0 && c->now_us - c->peers[id].heard_us <= 3 * c->config.heartbeat_us)
            out.peers_heard++;
    return out;
}

uint64_t core_client_highest(const struct core *c, uint32_t client)
{
    return client < c->config.client_count ? c->clients[client].window.highest_settled : 0;
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
        hasher_add_be64(h, e->persist.seq);
        hasher_add(h, e->persist.digest.bytes, sizeof e->persist.digest.bytes);
        trace_blob(h, e->persist.record);
        trace_blob(h, e->persist.batch);
        return;
    case CORE_EFFECT_EXECUTE:
        hasher_add_be64(h, e->execute.seq);
        hasher_add(h, e->execute.digest.bytes, sizeof e->execute.digest.bytes);
        trace_blob(h, e->execute.certificate);
        return;
    case CORE_EFFECT_ANSWER:
        hasher_add_be64(h, e->answer.client);
        hasher_add_be64(h, e->answer.seq);
        return;
    case CORE_EFFECT_STABLE: hasher_add_be64(h, e->stable); return;
    case CORE_EFFECT_SERVE_BLOCKS:
        hasher_add_be64(h, e->serve.to);
        hasher_add_be64(h, e->serve.seq);
        hasher_add_be64(h, e->serve.count);
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
    for (uint64_t n = c->low + 1; n <= c->low + WINDOW_BATCHES; n++) {
        const struct core_slot *s = core_slot_const(c, n);
        if (s == NULL || s->decision == CORE_EXECUTED) continue;
        if (s->phase != CORE_PHASE_EMPTY || s->decision != CORE_OPEN) dump_slot(c, s, out);
    }
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++)
        buffer_printf(out, "peer %u %s executed %" PRIu64 " stable %" PRIu64 "\n", id,
                      c->peers[id].heard ? "heard" : "silent", c->peers[id].executed, c->peers[id].stable);
}
