/* node_http.c - the pages of a replica's HTTP endpoint. They ask only this replica, so they work without a quorum. */
#include "replica/run/node_internal.h"

#include "base/check.h"
#include "wire/print.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_MS 200u /* of the pages that take long to make in a large group */
#define TEXT "text/plain; charset=utf-8"

static uint32_t render_livez(void *context, struct buffer *body)
{
    (void)context;
    buffer_printf(body, "live\n"); /* the loop turns: else nobody would say so */
    return 200;
}

static uint32_t render_readyz(void *context, struct buffer *body)
{
    const struct node *n = context;
    struct node_judgement *judged = mem_zero(1, sizeof *judged);
    node_judge(n, judged);
    buffer_printf(body, "%s\n", judged->reason);
    const bool synced = judged->condition == CONDITION_SYNCED;
    free(judged);
    return synced ? 200 : 503;
}

static void set(json_t *object, const char *name, json_t *value)
{
    CHECK(json_object_set_new(object, name, value) == 0); /* memory is all that can be missing */
}

static void set_number(json_t *object, const char *name, uint64_t value)
{
    set(object, name, json_integer((json_int_t)value));
}

static json_t *messages_json(const struct node *n)
{
    json_t *out = json_array();
    for (uint32_t type = 1; type <= WIRE_TYPE_MAX; type++) {
        json_t *item = json_object();
        set(item, "type", json_string(wire_type_name(type)));
        set_number(item, "sent", node_traffic_sum(n, TRAFFIC_SENT, type));
        set_number(item, "resent", node_traffic_sum(n, TRAFFIC_RESENT, type));
        set_number(item, "received", node_traffic_sum(n, TRAFFIC_RECEIVED, type));
        set_number(item, "sent_bytes", node_traffic_bytes(n, TRAFFIC_SENT, type));
        set_number(item, "resent_bytes", node_traffic_bytes(n, TRAFFIC_RESENT, type));
        set_number(item, "received_bytes", node_traffic_bytes(n, TRAFFIC_RECEIVED, type));
        CHECK(json_array_append_new(out, item) == 0);
    }
    return out;
}

static json_t *peers_json(const struct node *n, const struct node_judgement *judged)
{
    json_t *out = json_array();
    for (uint32_t id = 0; id < n->wire.quorum.replica_count; id++) {
        const struct core_why_member *m = &judged->why.members[id];
        const struct session *s = n->peers[id].session;
        if (id == n->config.id) continue;
        json_t *item = json_object();
        set_number(item, "id", id);
        set(item, "connected", json_boolean(s != NULL));
        set(item, "heard_ms_ago", m->heard ? json_integer((json_int_t)(m->heard_us / 1000)) : json_null());
        set(item, "fenced", json_boolean(replica_set_has(&judged->core.fenced_members, id)));
        set_number(item, "view", m->view);
        set_number(item, "sequence", m->executed);
        set_number(item, "send_queue_bytes", s != NULL && s->connection != NULL ? net_queued_bytes(s->connection) : 0);
        CHECK(json_array_append_new(out, item) == 0);
    }
    return out;
}

/* Members of which evidence was found since the start. */
static json_t *evidence_json(const struct node *n)
{
    json_t *out = json_array();
    for (uint32_t id = 0; id < n->wire.quorum.replica_count; id++) {
        uint64_t count = 0;
        for (uint32_t kind = 1; kind <= EVIDENCE_KIND_MAX; kind++)
            count += core_contradictions(n->core, id, kind);
        if (count > 0) CHECK(json_array_append_new(out, json_integer((json_int_t)id)) == 0);
    }
    return out;
}

/* The same names as `pbft -o json status` has. */
static json_t *status_json(struct node *n)
{
    char hash[2 * DIGEST_BYTES + 1];
    struct wire_replica_status m;
    struct node_judgement *judged = mem_zero(1, sizeof *judged);
    json_t *out = json_object();
    json_t *window = json_object();
    node_judge(n, judged);
    node_status_make(n, judged, &m);
    const struct core_summary s = judged->core;
    hex_encode(hash, m.header_hash.bytes, DIGEST_BYTES);
    set_number(out, "id", m.id);
    set(out, "role", json_string(s.primary == n->config.id ? "primary" : "backup"));
    set(out, "condition", json_string(wire_condition_name(m.condition)));
    set(out, "reason", json_string(judged->reason));
    set_number(out, "view", m.view);
    set(out, "view_changing", json_boolean(s.changing));
    set_number(out, "view_changes", s.view_changes);
    set_number(out, "demotions", s.demotions);
    set_number(out, "sequence", m.executed);
    set_number(out, "committed", m.committed);
    set_number(out, "stable", m.stable);
    set_number(window, "low", m.stable);
    set_number(window, "high", m.high);
    set(out, "window", window);
    set_number(out, "under_way", s.under_way);
    set_number(out, "peers_connected", m.peers_connected);
    set_number(out, "lag", m.lag);
    set_number(out, "clients_connected", m.clients_connected);
    set_number(out, "entries", m.entries);
    set_number(out, "custody", m.custody);
    set_number(out, "abstain_until", m.abstain_until);
    set_number(out, "time_ms", m.time_ms);
    set_number(out, "cpu_us", m.cpu_us);
    set_number(out, "syncs", m.syncs);
    set_number(out, "verified", m.verified);
    set(out, "header_hash", json_string(hash));
    set(out, "peers", peers_json(n, judged));
    set(out, "evidence_against", evidence_json(n));
    set(out, "messages", messages_json(n));
    free(judged);
    return out;
}

static uint32_t render_status(void *context, struct buffer *body)
{
    json_t *root = status_json(context);
    char *text = json_dumps(root, JSON_INDENT(2));
    CHECK(text != NULL);
    buffer_printf(body, "%s\n", text);
    free(text);
    json_decref(root);
    return 200;
}

const struct http_page node_pages[] = {
    {.path = "/livez", .type = TEXT, .render = render_livez},
    {.path = "/readyz", .type = TEXT, .render = render_readyz},
    {.path = "/v1/status", .type = "application/json", .keep_ms = KEEP_MS, .render = render_status},
    {.path = "/metrics", .type = "text/plain; version=0.0.4; charset=utf-8", .keep_ms = KEEP_MS, .render = node_render_metrics},
};
const uint32_t node_page_count = sizeof node_pages / sizeof node_pages[0];
