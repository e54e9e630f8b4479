/* node_allowance.c - what one client may cost this replica for nothing, and in bytes beside others.
 *
 * Transactions that are executed, each once, and reads are what replicas are for: what they cost is shared in turns
 * (the verification pool's lanes, the core's ring, the queries that run) and has no price here. Whatever else a client
 * makes a replica do has one, about the processor time that it takes. A client has an allowance of such time, which
 * fills up again at a steady rate. One that has used it up is refused nothing: none of its connections is read until
 * there is some again, and what it sends waits where it sends it. The same holds for one that leaves unread what it was
 * sent, or has so much under way that more could only be refused.
 *
 * A turn is one request, whatever its size. So a client whose requests have many bytes is read at a steady pace while
 * others are served too. What is not read is in nobody's custody, and no timer runs for it (rule 25).
 *
 * To close the connection would cost more: who is closed comes back, and a handshake takes half a millisecond, one that
 * is refused too. A correct client that is not read for a moment loses that moment. */
#include "replica/run/node_internal.h"

#include "base/check.h"

#include <math.h>

#define PRICE_NS_PER_BYTE 4u /* TLS, copies, hashes */

/* Prices with what the network and the wake-ups of threads take. */
static const struct {
    const char *name;
    uint32_t price_us;
} kinds[NODE_VAIN_COUNT] = {
    [NODE_VAIN_DROPPED] = {"dropped", 10},  [NODE_VAIN_IGNORED] = {"ignored", 75},
    [NODE_VAIN_INVALID] = {"invalid", 100}, [NODE_VAIN_REPEATED] = {"repeated", 200},
    [NODE_VAIN_OTHER] = {"other", 200},     [NODE_VAIN_QUESTION] = {"question", 10},
    [NODE_VAIN_REPORT] = {"report", 100},
};

static const struct {
    const char *name;
    const char *text;
} pauses[NODE_PAUSE_COUNT] = {
    [NODE_PAUSE_NONE] = {"none", "none"},
    [NODE_PAUSE_ALLOWANCE] = {"allowance", "it asks for too much in vain"},
    [NODE_PAUSE_SHARE] = {"share", "it sends more bytes than its share beside others"},
    [NODE_PAUSE_UNREAD] = {"unread", "it does not read what it was sent"},
    [NODE_PAUSE_INSIDE] = {"inside", "it has enough under way"},
};

const char *node_vain_name(enum node_vain what)
{
    return kinds[what].name;
}

const char *node_pause_name(enum node_pause why)
{
    return pauses[why].name;
}

/* What has not been made up for until now. */
static double owed(const struct node *n, double count, double at, double per_second)
{
    const double left = count - (ev_now(n->loop) - at) * per_second;
    return left > 0 ? left : 0;
}

static double owed_us(const struct node *n, const struct account *a)
{
    return owed(n, a->vain_us, a->vain_at, NODE_ALLOWANCE_US_PER_SECOND);
}

static double owed_bytes(const struct node *n, const struct account *a)
{
    return owed(n, a->share_bytes, a->share_at, NODE_SHARE_BYTES_PER_SECOND);
}

void node_count_share(struct node *n, struct account *client, size_t bytes)
{
    client->share_bytes = owed_bytes(n, client) + (double)bytes;
    client->share_at = ev_now(n->loop);
}

static void note_served(struct node *n, uint32_t client)
{
    if (n->served[0].client != client) n->served[1] = n->served[0];
    n->served[0].client = client;
    n->served[0].at = ev_now(n->loop);
}

/* Whether another client was served a moment ago. */
static bool serves_others(const struct node *n, uint32_t client)
{
    const uint32_t k = n->served[0].client == client ? 1 : 0;
    return ev_now(n->loop) - n->served[k].at < NODE_SERVED_SECONDS; /* `at` is 0 where nobody was */
}

void node_charge(struct node *n, struct account *client, enum node_vain what, size_t bytes)
{
    const uint64_t price_us = kinds[what].price_us + bytes * PRICE_NS_PER_BYTE / 1000u;
    client->vain_us = fmin(owed_us(n, client) + (double)price_us, NODE_ALLOWANCE_US_MAX + NODE_ALLOWANCE_DEBT_US);
    client->vain_at = ev_now(n->loop);
    n->vain[what]++;
    n->vain_us += price_us;
}

void node_look_at_block(struct node *n, const struct executed_block *b)
{
    for (uint32_t i = 0; i < b->request_count; i++) {
        const struct executed_request *r = &b->requests[i];
        if (r->client == UINT32_MAX) continue;
        if (r->verdict == WINDOW_NEW) note_served(n, r->client);
        if (core_holds_another(n->core, r->client, r->seq, &r->transaction))
            node_charge(n, &n->clients[r->client], NODE_VAIN_OTHER, 0);
    }
}

enum node_pause node_pause_reason(const struct node *n, const struct session *s, size_t unread_bytes, bool paused)
{
    const size_t unread_max = paused ? NODE_CLIENT_UNREAD_MAX / 2 : NODE_CLIENT_UNREAD_MAX;
    const uint32_t inside_max = paused ? NODE_CLIENT_INSIDE_ENOUGH / 2 : NODE_CLIENT_INSIDE_ENOUGH;
    if (unread_bytes > unread_max) return NODE_PAUSE_UNREAD;
    if (owed_us(n, s->account) > NODE_ALLOWANCE_US_MAX) return NODE_PAUSE_ALLOWANCE;
    if (owed_bytes(n, s->account) > NODE_SHARE_BYTES_MAX && serves_others(n, s->client)) return NODE_PAUSE_SHARE;
    return s->account->inside > inside_max ? NODE_PAUSE_INSIDE : NODE_PAUSE_NONE;
}

void node_pause_client(struct session *s)
{
    struct node *n = s->node;
    if (s->connection == NULL || !net_is_open(s->connection) || net_is_paused(s->connection)) return;
    const enum node_pause why = node_pause_reason(n, s, net_queued_bytes(s->connection), false);
    if (why == NODE_PAUSE_NONE) return;
    net_pause(s->connection);
    n->paused++;
    n->pauses[why]++;
    LOG_LIMITED(why == NODE_PAUSE_INSIDE || why == NODE_PAUSE_SHARE ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, "client.paused",
                node_cause(pauses[why].text, s->client), LOG_U("client", s->client), LOG_S("reason", pauses[why].text),
                LOG_S("action", "none: it is read again by itself; if this goes on, tell its operator"));
}

void node_resume_clients(struct node *n)
{
    if (n->paused == 0) return;
    for (struct session *s = n->sessions; s != NULL; s = s->next) {
        if (s->kind != SESSION_CLIENT || s->connection == NULL || !net_is_paused(s->connection)) continue;
        if (node_pause_reason(n, s, net_queued_bytes(s->connection), true) != NODE_PAUSE_NONE) continue;
        net_resume(s->connection);
        CHECK_OP(n->paused, >, 0);
        n->paused--;
    }
}
