/* node_status.c - what a replica says of itself; it works without a quorum. */
#include "replica/run/node_internal.h"

#include "base/clock.h"
#include "wire/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum replica_condition node_condition(const struct node *n, const struct core_summary *s)
{
    if (s->diverged) return CONDITION_DIVERGED;
    if (s->fenced) return CONDITION_FENCED;
    if (storage_disk_full(n->storage)) return CONDITION_LOG_DISK_FULL;
    if (execution_disk_full(n->execution)) return CONDITION_STATE_DISK_FULL;
    if (!s->started) return CONDITION_STARTING;
    if (node_peers_connected(n) + 1 < n->wire.quorum.quorum) return CONDITION_NO_QUORUM;
    if (s->listening) return CONDITION_STARTING;
    if (s->walking || s->highest_peer_executed > s->executed + 8) return CONDITION_CATCHING_UP;
    if (s->changing_us > n->config.timeout_ms * 1000) return CONDITION_STALLED; /* no NEW-VIEW in the time for one */
    return CONDITION_SYNCED;
}

/* How far the transfer is. Covered is the present pass over the tree: the checkpoint moves on meanwhile, and a pass over what
 * changed follows. */
static void transfer_reason(const struct node *n, const struct core_summary *s, char *why, size_t size)
{
    const struct state_walk_progress *p = &n->transfer;
    const uint64_t ms = n->transfer_since_us == 0 ? 0 : (clock_monotonic_us() - n->transfer_since_us) / 1000;
    if (s->walk_target == 0 || ms == 0) {
        (void)snprintf(why, size, "its state is to be transferred, and no other replica has proven a checkpoint to it yet");
        return;
    }
    const uint64_t eta_s = p->covered_ppm == 0 ? 0 : ms * (1000000u - p->covered_ppm) / p->covered_ppm / 1000;
    (void)snprintf(why, size,
                   "its state is being transferred to checkpoint %" PRIu64 ": %u %% of the tree looked at, %" PRIu64
                   " keys and %" PRIu64 " bytes in %" PRIu64 " s (%" PRIu64 " bytes a second), about %" PRIu64 " s left",
                   s->walk_target, p->covered_ppm / 10000, p->leaves, p->bytes, ms / 1000, p->bytes * 1000 / ms, eta_s);
}

void node_reason(const struct node *n, const struct core_summary *s, char out[NODE_REASON_BYTES])
{
    const struct quorum *q = &n->wire.quorum;
    const enum replica_condition condition = node_condition(n, s);
    char why[NODE_REASON_BYTES - 40] = "";
    switch (condition) {
    case CONDITION_STARTING:
        if (s->listening)
            (void)snprintf(why, sizeof why, "before its first vote %u others have to say what they hold of it; %u have",
                           q->quorum - 1, s->heard);
        else
            (void)snprintf(why, sizeof why, "its record is being read");
        break;
    case CONDITION_NO_QUORUM:
        (void)snprintf(why, sizeof why, "it is connected to %u of the %u other replicas; a quorum is %u of %u, itself included",
                       node_peers_connected(n), q->replica_count - 1, q->quorum, q->replica_count);
        break;
    case CONDITION_CATCHING_UP:
        if (s->walking) {
            transfer_reason(n, s, why, sizeof why);
            break;
        }
        (void)snprintf(why, sizeof why, "it has executed sequence %" PRIu64 ", others %" PRIu64, s->executed,
                       s->highest_peer_executed);
        break;
    case CONDITION_SYNCED: (void)snprintf(out, NODE_REASON_BYTES, "ready"); return;
    case CONDITION_STALLED:
        (void)snprintf(why, sizeof why,
                       "it left for view %" PRIu64 " %" PRIu64 " ms ago, and the NEW-VIEW of replica %u has not come",
                       s->view, s->changing_us / 1000, s->primary);
        break;
    case CONDITION_DIVERGED:
        (void)snprintf(why, sizeof why, "a quorum proved another state than this replica's; it votes no more");
        break;
    case CONDITION_FENCED:
        (void)snprintf(why, sizeof why, "%s; it votes again once sequence %" PRIu64 " is stable, and now %" PRIu64 " is",
                       s->fence_reason != NULL ? s->fence_reason : "it may have forgotten votes", s->fence_until, s->low);
        if (s->walking) {
            const size_t len = strlen(why);
            (void)snprintf(why + len, sizeof why - len, "; ");
            transfer_reason(n, s, why + strlen(why), sizeof why - strlen(why));
        }
        break;
    case CONDITION_LOG_DISK_FULL:
    case CONDITION_STATE_DISK_FULL:
        (void)snprintf(why, sizeof why, "there is no room in %.200s/%s; it casts no vote until there is",
                       n->config.data_path, condition == CONDITION_LOG_DISK_FULL ? "log" : "state");
        break;
    }
    (void)snprintf(out, NODE_REASON_BYTES, "%s: %s", wire_condition_name(condition), why);
}

uint64_t node_traffic_sum(const struct node *n, enum traffic_way way, uint32_t type)
{
    uint64_t sum = 0;
    for (uint32_t place = 0; place <= NODE_TRAFFIC_CLIENTS; place++)
        sum += n->traffic[place].messages[way][type];
    return sum;
}

void node_status_make(struct node *n, struct wire_replica_status *out)
{
    struct rusage usage;
    const struct core_summary s = core_summary(n->core);
    const struct verify_counts verified = verify_cache_counts(n->cache);
    *out = (struct wire_replica_status){
        .id = n->config.id,
        .condition = node_condition(n, &s),
        .view = s.view,
        .executed = s.executed,
        .committed = s.committed,
        .stable = s.low,
        .high = s.high,
        .entries = n->entries,
        .peers_connected = node_peers_connected(n),
        .clients_connected = 0,
        .lag = s.highest_peer_executed > s.executed ? s.highest_peer_executed - s.executed : 0,
        .custody = s.custody,
        .abstain_until = s.abstain_until,
        .time_ms = clock_wall_ms(),
        .syncs = storage_syncs(n->storage),
        .verified = verified.verified,
        .header_hash = n->header_hash,
    };
    for (const struct session *c = n->sessions; c != NULL; c = c->next)
        if (c->kind == SESSION_CLIENT && c->greeted && c->connection != NULL) out->clients_connected++;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        out->cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

struct blob *node_status(struct node *n)
{
    uint8_t space[(WIRE_TYPE_MAX + 1) * 40u];
    struct writer counts = writer_of(space, sizeof space);
    struct wire_replica_status m;
    node_status_make(n, &m);
    for (uint32_t type = 1; type <= WIRE_TYPE_MAX; type++) {
        const struct wire_message_count count = {.type = type,
                                                 .sent = node_traffic_sum(n, TRAFFIC_SENT, type),
                                                 .resent = node_traffic_sum(n, TRAFFIC_RESENT, type),
                                                 .received = node_traffic_sum(n, TRAFFIC_RECEIVED, type)};
        wire_list_add(&m.messages, &counts, &wire_record_message_count, &count);
    }
    return wire_encode_blob(&wire_record_replica_status, &m);
}

/* ---- why ---- */

static void add_timer(struct wire_replica_why *m, struct writer *w, enum why_timer_kind kind, uint64_t left_us)
{
    const struct wire_why_timer timer = {.kind = kind, .remaining_ms = left_us / 1000};
    if (left_us != CORE_NO_TIMER) wire_list_add(&m->timers, w, &wire_record_why_timer, &timer);
}

static void add_member(const struct node *n, struct wire_replica_why *m, struct writer *w, uint32_t id,
                       const struct core_why_member *from)
{
    struct wire_why_member member = {.id = id,
                                     .heard_ms = from->heard ? from->heard_us / 1000 : 0,
                                     .executed = from->executed,
                                     .view = from->view,
                                     .view_change = from->view_change};
    if (n->peers[id].session != NULL) member.flags |= WHY_MEMBER_CONNECTED;
    if (from->heard) member.flags |= WHY_MEMBER_HEARD;
    if (from->changing) member.flags |= WHY_MEMBER_CHANGING;
    if (from->prepared) member.flags |= WHY_MEMBER_PREPARED;
    if (from->committed) member.flags |= WHY_MEMBER_COMMITTED;
    wire_list_add(&m->members, w, &wire_record_why_member, &member);
}

struct blob *node_why(const struct node *n)
{
    uint8_t timers_space[64];
    uint8_t members_space[REPLICAS_MAX * 48u];
    char reason[NODE_REASON_BYTES];
    struct writer timers = writer_of(timers_space, sizeof timers_space);
    struct writer members = writer_of(members_space, sizeof members_space);
    struct core_why *why = mem_zero(1, sizeof *why);
    const struct core_summary s = core_summary(n->core);
    core_why(n->core, why);
    node_reason(n, &s, reason);
    struct wire_replica_why m = {.id = n->config.id,
                                 .condition = node_condition(n, &s),
                                 .flags = why->flags,
                                 .view = s.view,
                                 .seq = why->seq,
                                 .phase = why->phase,
                                 .digest = why->digest,
                                 .waited_ms = why->waited_us / 1000,
                                 .idle_ms = why->idle_us / 1000,
                                 .low = s.low,
                                 .high = s.high,
                                 .ahead = why->ahead,
                                 .abstain_until = s.abstain_until,
                                 .custody = s.custody,
                                 .custody_bytes = why->custody_bytes,
                                 .custody_ms = why->custody_oldest_us / 1000,
                                 .timeout_ms = why->timeout_us / 1000,
                                 .peers_connected = node_peers_connected(n),
                                 .reason = bytes_of_text(reason)};
    if (m.condition == CONDITION_LOG_DISK_FULL || m.condition == CONDITION_STATE_DISK_FULL) m.flags |= WHY_FLAG_DISK_FULL;
    add_timer(&m, &timers, WHY_TIMER_REQUEST, why->request_timer_us);
    add_timer(&m, &timers, WHY_TIMER_NEW_VIEW, why->new_view_timer_us);
    for (uint32_t id = 0; id < n->wire.quorum.replica_count; id++)
        add_member(n, &m, &members, id, &why->members[id]);
    free(why);
    return wire_encode_blob(&wire_record_replica_why, &m);
}
