/* node_status.c - what a replica says of itself; it works without a quorum. */
#include "replica/run/node_internal.h"

#include "base/clock.h"
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

void node_judge(const struct node *n, struct node_judgement *out)
{
    out->core = core_summary(n->core);
    core_why(n->core, &out->why);
    const struct reason_facts facts = {.quorum = n->wire.quorum,
                                       .self = n->config.id,
                                       .core = &out->core,
                                       .why = &out->why,
                                       .connected = node_peers_connected(n),
                                       .timeout_us = n->config.timeout_ms * 1000,
                                       .data_path = n->config.data_path,
                                       .log_full = storage_disk_full(n->storage),
                                       .state_full = execution_disk_full(n->execution),
                                       .pace = n->pace,
                                       .now_us = clock_monotonic_us(),
                                       .walk = n->transfer,
                                       .walk_since_us = n->transfer_since_us};
    out->condition = reason_condition(&facts);
    reason_text(&facts, out->reason);
}

uint64_t node_traffic_sum(const struct node *n, enum traffic_way way, uint32_t type)
{
    uint64_t sum = 0;
    for (uint32_t place = 0; place <= NODE_TRAFFIC_CLIENTS; place++)
        sum += n->traffic[place].messages[way][type];
    return sum;
}

uint64_t node_traffic_bytes(const struct node *n, enum traffic_way way, uint32_t type)
{
    uint64_t sum = 0;
    for (uint32_t place = 0; place <= NODE_TRAFFIC_CLIENTS; place++)
        sum += n->traffic[place].bytes[way][type];
    return sum;
}

void node_status_make(struct node *n, const struct node_judgement *judged, struct wire_replica_status *out)
{
    struct rusage usage;
    const struct core_summary s = judged->core;
    const struct verify_counts verified = verify_cache_counts(n->cache);
    *out = (struct wire_replica_status){
        .id = n->config.id,
        .condition = judged->condition,
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
        .reason = bytes_of_text(judged->reason),
    };
    for (const struct session *c = n->sessions; c != NULL; c = c->next)
        if (c->kind == SESSION_CLIENT && c->greeted && c->connection != NULL) out->clients_connected++;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        out->cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void add_counts(const struct node *n, struct wire_replica_status *m, struct writer *counts, struct writer *bytes)
{
    const struct traffic *clients = &n->traffic[NODE_TRAFFIC_CLIENTS];
    for (uint32_t type = 1; type <= WIRE_TYPE_MAX; type++) {
        const struct wire_message_count c = {.type = type,
                                             .sent = node_traffic_sum(n, TRAFFIC_SENT, type),
                                             .resent = node_traffic_sum(n, TRAFFIC_RESENT, type),
                                             .received = node_traffic_sum(n, TRAFFIC_RECEIVED, type)};
        const struct wire_message_bytes b = {.type = type,
                                             .sent = node_traffic_bytes(n, TRAFFIC_SENT, type),
                                             .resent = node_traffic_bytes(n, TRAFFIC_RESENT, type),
                                             .received = node_traffic_bytes(n, TRAFFIC_RECEIVED, type),
                                             .from_clients = clients->bytes[TRAFFIC_RECEIVED][type],
                                             .client_messages = clients->messages[TRAFFIC_RECEIVED][type]};
        wire_list_add(&m->messages, counts, &wire_record_message_count, &c);
        wire_list_add(&m->bytes, bytes, &wire_record_message_bytes, &b);
    }
}

struct blob *node_status(struct node *n)
{
    uint8_t counts_space[(WIRE_TYPE_MAX + 1) * 40u];
    uint8_t bytes_space[(WIRE_TYPE_MAX + 1) * 56u];
    struct writer counts = writer_of(counts_space, sizeof counts_space);
    struct writer bytes = writer_of(bytes_space, sizeof bytes_space);
    struct wire_replica_status m;
    struct node_judgement *judged = mem_zero(1, sizeof *judged);
    node_judge(n, judged);
    node_status_make(n, judged, &m);
    add_counts(n, &m, &counts, &bytes);
    struct blob *out = wire_encode_blob(&wire_record_replica_status, &m);
    free(judged);
    return out;
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
    struct writer timers = writer_of(timers_space, sizeof timers_space);
    struct writer members = writer_of(members_space, sizeof members_space);
    struct node_judgement *judged = mem_zero(1, sizeof *judged);
    node_judge(n, judged);
    const struct core_summary s = judged->core;
    const struct core_why *why = &judged->why;
    struct wire_replica_why m = {.id = n->config.id,
                                 .condition = judged->condition,
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
                                 .reason = bytes_of_text(judged->reason)};
    if (m.condition == CONDITION_LOG_DISK_FULL || m.condition == CONDITION_STATE_DISK_FULL) m.flags |= WHY_FLAG_DISK_FULL;
    add_timer(&m, &timers, WHY_TIMER_REQUEST, why->request_timer_us);
    add_timer(&m, &timers, WHY_TIMER_NEW_VIEW, why->new_view_timer_us);
    for (uint32_t id = 0; id < n->wire.quorum.replica_count; id++)
        add_member(n, &m, &members, id, &why->members[id]);
    struct blob *out = wire_encode_blob(&wire_record_replica_why, &m);
    free(judged);
    return out;
}
