/* node_status.c - what a replica says of itself; it works without a quorum. */
#include "replica/run/node_internal.h"

#include "base/clock.h"

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
    if (s->highest_peer_executed > s->executed + 8) return CONDITION_CATCHING_UP;
    if (s->changing_us > n->config.timeout_ms * 1000) return CONDITION_STALLED; /* no NEW-VIEW in the time for one */
    return CONDITION_SYNCED;
}

struct blob *node_status(struct node *n)
{
    uint8_t space[(WIRE_TYPE_MAX + 1) * 40u];
    struct writer counts = writer_of(space, sizeof space);
    struct rusage usage;
    const struct core_summary s = core_summary(n->core);
    const struct verify_counts verified = verify_cache_counts(n->cache);
    const uint32_t peers = node_peers_connected(n);
    struct wire_replica_status m = {
        .id = n->config.id,
        .condition = node_condition(n, &s),
        .view = s.view,
        .executed = s.executed,
        .committed = s.committed,
        .stable = s.low,
        .high = s.high,
        .entries = n->entries,
        .peers_connected = peers,
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
        if (c->kind == SESSION_CLIENT && c->greeted && c->connection != NULL) m.clients_connected++;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        m.cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                   (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    for (uint64_t type = 1; type <= WIRE_TYPE_MAX; type++) {
        const struct wire_message_count count = {
            .type = type, .sent = n->sent[type], .resent = n->resent[type], .received = n->received[type]};
        wire_list_add(&m.messages, &counts, &wire_record_message_count, &count);
    }
    return wire_encode_blob(&wire_record_replica_status, &m);
}
