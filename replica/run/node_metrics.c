/* node_metrics.c - the page /metrics: what a monitoring system collects from one replica. docs/operations.md explains each.
 *
 * Labels are message types, ways, member ids and names of conditions: as many as there are in the group, whatever clients do. */
#include "replica/run/node_internal.h"

#include "wire/evidence.h"
#include "wire/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const ways[TRAFFIC_WAYS] = {"sent", "resent", "received"};

/* One family over all types, ways and peers; what never happened has no sample. */
static void traffic_family(const struct node *n, struct buffer *out, const char *name, const char *help, bool bytes)
{
    char labels[128];
    char peer[16];
    metrics_head(out, name, METRICS_COUNTER, help);
    for (uint32_t place = 0; place <= NODE_TRAFFIC_CLIENTS; place++) {
        if (place == NODE_TRAFFIC_CLIENTS)
            (void)snprintf(peer, sizeof peer, "clients");
        else
            (void)snprintf(peer, sizeof peer, "%u", place);
        for (uint32_t type = 1; type <= WIRE_TYPE_MAX; type++) {
            for (uint32_t way = 0; way < TRAFFIC_WAYS; way++) {
                if (n->traffic[place].messages[way][type] == 0) continue;
                (void)snprintf(labels, sizeof labels, "type=\"%s\",direction=\"%s\",peer=\"%s\"", wire_type_name(type),
                               ways[way], peer);
                metrics_value(out, name, labels,
                              bytes ? n->traffic[place].bytes[way][type] : n->traffic[place].messages[way][type]);
            }
        }
    }
}

static void traffic(const struct node *n, struct buffer *out)
{
    const struct net_counts net = net_counts(n->net);
    metrics_one(out, "pbft_http_connections", METRICS_GAUGE, "Connections of this endpoint.", http_connections(n->http));
    traffic_family(n, out, "pbft_messages_total", "Messages by type, direction and peer; first sends and re-sends apart.",
                   false);
    traffic_family(n, out, "pbft_message_bytes_total", "Bytes of these messages, frame lengths included, before TLS.", true);
    metrics_head(out, "pbft_net_bytes_total", METRICS_COUNTER, "Bytes of frames read from and written to all connections.");
    metrics_value(out, "pbft_net_bytes_total", "direction=\"received\"", net.bytes_in);
    metrics_value(out, "pbft_net_bytes_total", "direction=\"sent\"", net.bytes_out);
    metrics_one(out, "pbft_connections", METRICS_GAUGE, "Open connections of members, clients and strangers.", net.open);
    metrics_one(out, "pbft_connections_refused_total", METRICS_COUNTER, "Handshakes that failed.", net.refused);
}

static void progress(const struct core_summary *s, const struct core_why *why, const struct wire_replica_status *m,
                     struct buffer *out)
{
    metrics_one(out, "pbft_peers_voting", METRICS_GAUGE, "Other members heard of lately that do not say they are fenced.",
                replica_set_count(&s->voters));
    metrics_one(out, "pbft_view", METRICS_GAUGE, "View that this replica is in, or has left for.", s->view);
    metrics_one(out, "pbft_view_changing", METRICS_GAUGE, "1 while the NEW-VIEW of that view is waited for.", s->changing);
    metrics_one(out, "pbft_view_changes_total", METRICS_COUNTER, "Views left since the start.", s->view_changes);
    metrics_one(out, "pbft_demotions_total", METRICS_COUNTER,
                "Of these, left because f+1 members found the primary slow or unfair.", s->demotions);
    metrics_one(out, "pbft_primary_suspected", METRICS_GAUGE,
                "1 while this backup finds the primary slow or unfair.", s->suspicion != NULL);
    metrics_one(out, "pbft_is_primary", METRICS_GAUGE, "1 when this replica is the primary of its view.",
                s->primary == m->id && !s->changing);
    metrics_one(out, "pbft_sequence", METRICS_GAUGE, "Highest sequence executed.", s->executed);
    metrics_one(out, "pbft_sequence_committed", METRICS_GAUGE, "Highest sequence with all up to it committed.",
                s->committed);
    metrics_one(out, "pbft_sequence_proposed", METRICS_GAUGE, "Highest sequence with a proposal here.", s->proposed);
    metrics_one(out, "pbft_sequence_of_others", METRICS_GAUGE, "What f+1 replicas claim to have executed at least.",
                s->highest_peer_executed);
    metrics_one(out, "pbft_watermark_low", METRICS_GAUGE, "h: the stable checkpoint.", s->low);
    metrics_one(out, "pbft_watermark_high", METRICS_GAUGE, "h + L: no sequence above it is voted for.", s->high);
    metrics_one(out, "pbft_abstain_until", METRICS_GAUGE,
                "After an unclean stop no PREPARE is sent in this view up to here; 0: no such limit.", s->abstain_until);
    metrics_one(out, "pbft_window_under_way", METRICS_GAUGE, "Sequences accepted and not yet executed.", s->under_way);
    metrics_one(out, "pbft_ledger_entries", METRICS_GAUGE, "Entries in the ledger.", m->entries);
    metrics_one(out, "pbft_custody_requests", METRICS_GAUGE, "Requests held until they are settled.", s->custody);
    metrics_one(out, "pbft_custody_bytes", METRICS_GAUGE, "Bytes of these requests.", why->custody_bytes);
    metrics_head(out, "pbft_custody_oldest_seconds", METRICS_GAUGE, "How long the oldest of them has been held.");
    metrics_seconds(out, "pbft_custody_oldest_seconds", NULL, why->custody_oldest_us);
    metrics_head(out, "pbft_timeout_seconds", METRICS_GAUGE, "T as it is now: doubled by failed view changes.");
    metrics_seconds(out, "pbft_timeout_seconds", NULL, why->timeout_us);
}

static void transfer(const struct node *n, const struct core_summary *s, struct buffer *out)
{
    const struct state_walk_progress *p = &n->transfer;
    metrics_one(out, "pbft_transfer_under_way", METRICS_GAUGE, "1 while the state is taken from other replicas.", s->walking);
    metrics_one(out, "pbft_transfer_leaves", METRICS_GAUGE, "Keys put by the state transfer under way.", p->leaves);
    metrics_one(out, "pbft_transfer_bytes", METRICS_GAUGE, "Bytes taken by it.", p->bytes);
    metrics_one(out, "pbft_transfer_covered_ppm", METRICS_GAUGE, "Millionths of the tree that its present pass has looked at.",
                p->covered_ppm);
    metrics_one(out, "pbft_blocks_missing", METRICS_GAUGE, "Older blocks that a state transfer has left out and that are still fetched.",
                s->gap_low == 0 ? 0 : s->gap_high - s->gap_low + 1);
}

static void conditions(const struct wire_replica_status *m, struct buffer *out)
{
    char labels[64];
    metrics_head(out, "pbft_condition", METRICS_GAUGE, "1 for the condition that the replica is in, 0 for the others.");
    for (uint32_t k = 0; k <= CONDITION_MAX; k++) {
        const bool either = k == CONDITION_LOG_DISK_FULL && m->condition == CONDITION_STATE_DISK_FULL;
        if (k == CONDITION_STATE_DISK_FULL) continue; /* one name for both */
        (void)snprintf(labels, sizeof labels, "condition=\"%s\"", wire_condition_name(k));
        metrics_value(out, "pbft_condition", labels, m->condition == k || either);
    }
}

static void peers(const struct node *n, const struct wire_replica_status *m, struct buffer *out)
{
    char labels[32];
    uint64_t clients = 0;
    metrics_one(out, "pbft_peers_connected", METRICS_GAUGE, "Other members connected.", m->peers_connected);
    metrics_one(out, "pbft_clients_connected", METRICS_GAUGE, "Connections of clients.", m->clients_connected);
    metrics_head(out, "pbft_peer_connected", METRICS_GAUGE, "1 when this member is connected.");
    for (uint32_t id = 0; id < n->wire.quorum.replica_count; id++) {
        (void)snprintf(labels, sizeof labels, "peer=\"%u\"", id);
        if (id != n->config.id) metrics_value(out, "pbft_peer_connected", labels, n->peers[id].session != NULL);
    }
    metrics_head(out, "pbft_send_queue_bytes", METRICS_GAUGE, "Bytes that wait to be sent.");
    for (uint32_t id = 0; id < n->wire.quorum.replica_count; id++) {
        const struct session *s = n->peers[id].session;
        (void)snprintf(labels, sizeof labels, "peer=\"%u\"", id);
        if (id != n->config.id)
            metrics_value(out, "pbft_send_queue_bytes", labels,
                          s != NULL && s->connection != NULL ? net_queued_bytes(s->connection) : 0);
    }
    for (const struct session *s = n->sessions; s != NULL; s = s->next)
        if (s->kind == SESSION_CLIENT && s->connection != NULL) clients += net_queued_bytes(s->connection);
    metrics_value(out, "pbft_send_queue_bytes", "peer=\"clients\"", clients);
}

/* A member and kind of which nothing was found has no sample. */
static void evidence(const struct node *n, struct buffer *out)
{
    char labels[64];
    metrics_head(out, "pbft_evidence_total", METRICS_COUNTER,
                 "Signed messages of a member that contradict what it signed before, or hold an invalid certificate.");
    for (uint32_t id = 0; id < n->wire.quorum.replica_count; id++) {
        for (uint32_t kind = 1; kind <= EVIDENCE_KIND_MAX; kind++) {
            const uint64_t count = core_contradictions(n->core, id, kind);
            if (count == 0) continue;
            (void)snprintf(labels, sizeof labels, "member=\"%u\",kind=\"%s\"", id, evidence_kind_name(kind));
            metrics_value(out, "pbft_evidence_total", labels, count);
        }
    }
}

/* Of all clients together: which it is stands in the log. */
static void patience(const struct node *n, struct buffer *out)
{
    char labels[32];
    metrics_head(out, "pbft_client_vain_total", METRICS_COUNTER, "What clients made this replica do in vain, by kind.");
    for (uint32_t k = 0; k < NODE_VAIN_COUNT; k++) {
        (void)snprintf(labels, sizeof labels, "kind=\"%s\"", node_vain_name(k));
        metrics_value(out, "pbft_client_vain_total", labels, n->vain[k]);
    }
    metrics_head(out, "pbft_client_vain_seconds_total", METRICS_COUNTER, "Processor time that this took, about.");
    metrics_seconds(out, "pbft_client_vain_seconds_total", NULL, n->vain_us);
    metrics_head(out, "pbft_client_pauses_total", METRICS_COUNTER,
                 "How often a client's connection was not read on for a while, by reason.");
    for (uint32_t k = NODE_PAUSE_NONE + 1; k < NODE_PAUSE_COUNT; k++) {
        (void)snprintf(labels, sizeof labels, "reason=\"%s\"", node_pause_name(k));
        metrics_value(out, "pbft_client_pauses_total", labels, n->pauses[k]);
    }
    metrics_one(out, "pbft_clients_paused", METRICS_GAUGE, "Connections of clients that are not read now.", n->paused);
}

static void work(struct node *n, const struct wire_replica_status *m, struct buffer *out)
{
    const struct verify_counts counts = verify_cache_counts(n->cache);
    metrics_head(out, "pbft_verify_queue", METRICS_GAUGE, "Messages in the verification pool.");
    metrics_value(out, "pbft_verify_queue", "class=\"members\"", verify_pool_inside(n->pool, VERIFY_CLASS_MEMBER));
    metrics_value(out, "pbft_verify_queue", "class=\"clients\"", verify_pool_inside(n->pool, VERIFY_CLASS_CLIENT));
    metrics_head(out, "pbft_signatures_total", METRICS_COUNTER, "Signatures checked: good, remembered as good, bad.");
    metrics_value(out, "pbft_signatures_total", "verdict=\"good\"", counts.verified);
    metrics_value(out, "pbft_signatures_total", "verdict=\"remembered\"", counts.remembered);
    metrics_value(out, "pbft_signatures_total", "verdict=\"bad\"", counts.bad);
    metrics_one(out, "pbft_messages_ignored_total", METRICS_COUNTER, "Messages that the protocol had no use for.",
                n->ignored_count);
    metrics_one(out, "pbft_messages_invalid_total", METRICS_COUNTER,
                "Messages that broke a rule of their form, or badly signed.", n->invalid_count);
    metrics_one(out, "pbft_connections_closed_invalid_total", METRICS_COUNTER,
                "Connections ended because of too many of these.", n->closed_count);
    metrics_one(out, "pbft_waiting_effects", METRICS_GAUGE, "What waits for a sync before it leaves.", n->waiting_count);
    metrics_one(out, "pbft_waiting_reads", METRICS_GAUGE, "Reads that wait for execution.", n->query_count);
    metrics_one(out, "pbft_syncs_total", METRICS_COUNTER, "Synced commits of the ledger's log.", m->syncs);
    metrics_head(out, "pbft_cpu_seconds_total", METRICS_COUNTER, "Processor time of this process.");
    metrics_seconds(out, "pbft_cpu_seconds_total", NULL, m->cpu_us);
    metrics_histogram(out, "pbft_commit_latency_seconds",
                      "From a proposal's acceptance here (the primary's: its making) to its execution here.",
                      &n->commit_latency);
}

uint32_t node_render_metrics(void *context, struct buffer *body)
{
    struct node *n = context;
    struct wire_replica_status m;
    struct node_judgement *judged = mem_zero(1, sizeof *judged);
    node_judge(n, judged);
    node_status_make(n, judged, &m);
    conditions(&m, body);
    progress(&judged->core, &judged->why, &m, body);
    transfer(n, &judged->core, body);
    peers(n, &m, body);
    evidence(n, body);
    work(n, &m, body);
    patience(n, body);
    traffic(n, body);
    free(judged);
    return 200;
}
