/* node_peers.c - who is connected: members and clients, HELLO, dialling with back-off and jitter.
 *
 * Of two members the one with the higher id dials. A new connection of a member replaces the old one. */
#include "replica/run/node_internal.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_FIRST_SECONDS 0.05
#define BACKOFF_MOST_SECONDS 1.0
#define TWIN_SECONDS 2.0
#define TWIN_REPLACED 4u

static struct session *session_new(struct node *n, struct net_connection *c, enum session_kind kind, uint32_t number)
{
    struct session *s = mem_zero(1, sizeof *s);
    s->node = n;
    s->connection = c;
    s->kind = kind;
    s->id = ++n->next_session;
    s->member = kind == SESSION_REPLICA ? number : UINT32_MAX;
    s->client = kind == SESSION_CLIENT ? number : UINT32_MAX;
    s->account = kind == SESSION_REPLICA ? &n->members[number] : &n->clients[number];
    s->account->connections++;
    if (kind == SESSION_CLIENT) n->clients_connected++;
    s->next = n->sessions;
    n->sessions = s;
    net_set_user(c, s);
    return s;
}

/* Frees a session that is closed and has nothing inside. */
void session_release(struct session *s)
{
    if (s->connection != NULL || s->inside > 0) return;
    struct session **at = &s->node->sessions;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    free(s);
}

uint32_t session_traffic(const struct session *s)
{
    return s->kind == SESSION_REPLICA ? s->member : NODE_TRAFFIC_CLIENTS;
}

void node_count(struct node *n, uint32_t place, enum traffic_way way, uint32_t type, size_t bytes)
{
    n->traffic[place].messages[way][type]++;
    n->traffic[place].bytes[way][type] += bytes + 4; /* the frame's length */
}

void session_send(struct session *s, const struct wire_record *record, const void *message)
{
    if (s->connection == NULL) return;
    struct blob *bytes = wire_encode_blob(record, message);
    if (net_send(s->connection, bytes))
        node_count(s->node, session_traffic(s), TRAFFIC_SENT, record->number, bytes->len);
    else if (s->kind == SESSION_CLIENT)
        net_close(s->connection, "the client does not read its answers");
    blob_release(bytes);
}

/* ---- sending ---- */

bool node_send_member(struct node *n, uint32_t member, enum wire_type type, struct blob *bytes, bool resend)
{
    const struct session *s = n->peers[member].session;
    if (s == NULL || s->connection == NULL) return false;
    if (!net_send(s->connection, bytes)) { /* anti-entropy will bring it later */
        LOG_LIMITED(LOG_LEVEL_WARN, "peer.queue-full", member, LOG_U("peer", member),
                    LOG_U("queued_bytes", net_queued_bytes(s->connection)));
        return false;
    }
    node_count(n, member, resend ? TRAFFIC_RESENT : TRAFFIC_SENT, type, bytes->len);
    return true;
}

/* To every connection of this client. */
void node_send_client(struct node *n, uint32_t client, struct blob *bytes)
{
    for (struct session *s = n->sessions; s != NULL; s = s->next) {
        if (s->kind != SESSION_CLIENT || s->client != client || !s->greeted || s->connection == NULL) continue;
        if (net_send(s->connection, bytes))
            node_count(n, NODE_TRAFFIC_CLIENTS, TRAFFIC_SENT, WIRE_TYPE_reply, bytes->len);
        else
            net_close(s->connection, "the client does not read its answers");
    }
}

uint32_t node_peers_connected(const struct node *n)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < n->wire.quorum.replica_count; id++)
        if (n->peers[id].session != NULL) count++;
    return count;
}

/* ---- members that break the rules ---- */

void node_keep_out(struct node *n, uint32_t member)
{
    struct account *a = &n->members[member];
    const double now = ev_now(n->loop);
    if (a->penalty == 0 || now > a->kept_out_until + NODE_PENALTY_FORGOTTEN_SECONDS)
        a->penalty = NODE_PENALTY_FIRST_SECONDS;
    else
        a->penalty = a->penalty * 2 < NODE_PENALTY_MOST_SECONDS ? a->penalty * 2 : NODE_PENALTY_MOST_SECONDS;
    a->kept_out_until = now + a->penalty;
}

static bool is_kept_out(const struct node *n, uint32_t member)
{
    return ev_now(n->loop) < n->members[member].kept_out_until;
}

/* ---- events of the net ---- */

static void log_refused(const char *why, const struct public_key *key, const struct net_connection *c)
{
    char hex[2 * PUBLIC_KEY_BYTES + 1];
    hex_encode(hex, key->bytes, PUBLIC_KEY_BYTES);
    LOG_LIMITED(LOG_LEVEL_WARN, "net.refused", (uint64_t)(uintptr_t)why, LOG_S("why", why), LOG_S("key", hex),
                LOG_S("address", net_peer_address(c)));
}

static bool on_admit(void *context, struct net_connection *c, const struct public_key *key, size_t *frame_bytes_max,
                     size_t *queue_bytes_max)
{
    struct node *n = context;
    const int member = group_member_by_transport_key(n->identity.group, key);
    const int client = member >= 0 ? -1 : group_client_by_key(n->identity.group, key);
    struct session *s = net_user(c);
    if (net_is_outgoing(c)) {
        if (member < 0 || s == NULL || (uint32_t)member != s->member) {
            log_refused("another key than the member's answers at its address", key, c);
            return false;
        }
    } else if (member >= 0 && (uint32_t)member != n->config.id) {
        if (is_kept_out(n, (uint32_t)member)) {
            log_refused("this member was closed for invalid messages a moment ago", key, c);
            return false;
        }
        if (n->members[member].connections >= NODE_PEER_CONNECTIONS_MAX) {
            log_refused("too many connections of one member", key, c);
            return false;
        }
        s = session_new(n, c, SESSION_REPLICA, (uint32_t)member);
    } else if (client >= 0) {
        if (n->clients[client].connections >= NODE_CLIENT_CONNECTIONS_MAX ||
            n->clients_connected >= NODE_CLIENTS_CONNECTED_MAX) {
            log_refused("too many connections of one client, or of all clients", key, c);
            return false;
        }
        s = session_new(n, c, SESSION_CLIENT, (uint32_t)client);
    } else {
        log_refused("unknown key: neither a member's transport key nor a registered client's", key, c);
        return false;
    }
    *frame_bytes_max = s->kind == SESSION_REPLICA ? FRAME_BYTES_MAX : CLIENT_FRAME_BYTES_MAX;
    *queue_bytes_max = s->kind == SESSION_REPLICA ? PEER_QUEUE_BYTES_MAX : CLIENT_QUEUE_BYTES_MAX;
    return true;
}

static void on_opened(void *context, struct net_connection *c)
{
    struct node *n = context;
    struct session *s = net_user(c);
    const struct wire_hello hello = {.version = WIRE_VERSION,
                                     .group = n->wire.id,
                                     .epoch = n->wire.epoch,
                                     .role = HELLO_ROLE_REPLICA,
                                     .id = n->config.id,
                                     .key = n->member_keys[n->config.id],
                                     .software = bytes_of_text("pbftd")};
    session_send(s, &wire_record_hello, &hello);
}

static const char *check_hello(const struct session *s, struct bytes frame)
{
    struct wire_message m;
    const struct node *n = s->node;
    if (wire_decode(frame, &m) != NULL || m.type != WIRE_TYPE_hello) return "the first message is not a HELLO";
    if (m.hello.version != WIRE_VERSION) return "the peer speaks another version of the protocol";
    if (!digest_equal(&m.hello.group, &n->wire.id)) return "the peer belongs to another group: compare the group files";
    if (m.hello.epoch != n->wire.epoch) return "the peer is in another epoch";
    if (s->kind == SESSION_REPLICA && (m.hello.role != HELLO_ROLE_REPLICA || m.hello.id != s->member))
        return "the peer's HELLO does not fit its transport key";
    if (s->kind == SESSION_CLIENT && m.hello.role != HELLO_ROLE_CLIENT)
        return "the client's HELLO does not say that it is a client";
    return NULL;
}

/* One process of a member has one connection here; two of them take it from each other. */
static void note_twin(const struct node *n, struct peer *p, uint32_t member)
{
    const double now = ev_now(n->loop);
    p->replaced = p->session != NULL && now - p->since < TWIN_SECONDS ? p->replaced + 1 : 0;
    p->since = now;
    if (p->replaced >= TWIN_REPLACED)
        LOG_LIMITED(LOG_LEVEL_ERROR, "peer.twice", member, LOG_U("peer", member),
                    LOG_S("action", "two processes seem to run with this member's keys: see that only one does"));
}

static void greet(struct session *s, struct bytes frame)
{
    struct node *n = s->node;
    const char *fault = check_hello(s, frame);
    if (fault != NULL) {
        LOG_LIMITED(LOG_LEVEL_WARN, "net.hello-refused", (uint64_t)(uintptr_t)fault, LOG_S("why", fault),
                    LOG_S("address", net_peer_address(s->connection)));
        net_close(s->connection, fault);
        return;
    }
    s->greeted = true;
    node_count(n, session_traffic(s), TRAFFIC_RECEIVED, WIRE_TYPE_hello, frame.len);
    if (s->kind == SESSION_CLIENT) return;
    struct peer *p = &n->peers[s->member];
    note_twin(n, p, s->member);
    if (p->session != NULL) net_close(p->session->connection, "replaced by a newer connection");
    if (p->dialling == s->connection) p->dialling = NULL;
    p->session = s;
    p->backoff = 0;
    LOG_LIMITED(LOG_LEVEL_INFO, "peer.connected", s->member, LOG_U("peer", s->member),
                LOG_S("address", net_peer_address(s->connection)));
    node_hear_late(s); /* before its first STATUS, which asks for it */
}

static void on_frame(void *context, struct net_connection *c, struct blob *frame)
{
    struct session *s = net_user(c);
    (void)context;
    if (!s->greeted) {
        greet(s, blob_bytes(frame));
        blob_release(frame);
        return;
    }
    node_inbound(s, frame);
    if (s->kind == SESSION_CLIENT) node_pause_client(s);
}

static void on_closed(void *context, struct net_connection *c, const char *reason)
{
    struct node *n = context;
    struct session *s = net_user(c);
    if (s == NULL) { /* never admitted */
        LOG_LIMITED(LOG_LEVEL_INFO, "net.closed", (uint64_t)(uintptr_t)reason, LOG_S("address", net_peer_address(c)),
                    LOG_S("reason", reason));
        return;
    }
    if (s->kind == SESSION_REPLICA) {
        struct peer *p = &n->peers[s->member];
        if (p->dialling == c) {
            p->dialling = NULL;
            LOG_LIMITED(LOG_LEVEL_INFO, "peer.unreachable", s->member, LOG_U("peer", s->member),
                        LOG_S("address", net_peer_address(c)), LOG_S("reason", reason));
        }
        if (p->session == s) {
            p->session = NULL;
            LOG_LIMITED(LOG_LEVEL_WARN, "peer.lost", node_cause(reason, s->member), LOG_U("peer", s->member),
                        LOG_S("reason", reason));
        }
    } else {
        const enum log_level level = reason == net_closed_by_peer ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN;
        LOG_LIMITED(level, "client.closed", node_cause(reason, s->client), LOG_U("client", s->client),
                    LOG_S("reason", reason));
        n->clients_connected--;
        if (net_is_paused(c)) n->paused--;
    }
    s->account->connections--;
    s->connection = NULL;
    session_release(s);
}

const struct net_events node_net_events = {
    .admit = on_admit, .opened = on_opened, .frame = on_frame, .closed = on_closed};

/* ---- dialling ---- */

void node_dial(struct node *n)
{
    const double now = ev_now(n->loop);
    if (n->draining) return;
    for (uint32_t id = 0; id < n->config.id; id++) { /* the higher id dials */
        struct peer *p = &n->peers[id];
        if (p->host[0] == '\0' || p->session != NULL || p->dialling != NULL || now < p->next_dial) continue;
        if (is_kept_out(n, id)) continue;
        p->backoff = p->backoff == 0 ? BACKOFF_FIRST_SECONDS : p->backoff * 2;
        if (p->backoff > BACKOFF_MOST_SECONDS) p->backoff = BACKOFF_MOST_SECONDS;
        p->next_dial = now + p->backoff * (0.5 + (double)prng_below(&n->random, 1000) / 1000.0);
        struct net_connection *c = net_connect(n->net, p->host, p->port, NULL);
        if (c == NULL) continue;
        (void)session_new(n, c, SESSION_REPLICA, id);
        p->dialling = c;
    }
}

struct err node_read_addresses(struct node *n, const struct group *g)
{
    char host[GROUP_ADDRESS_BYTES_MAX];
    for (uint32_t id = 0; id < g->member_count; id++) {
        ERR_TRY(address_parse(g->members[id].address, host, &n->peers[id].port));
        if (id >= n->config.id) continue; /* they dial */
        struct err e = net_resolve(host, n->peers[id].host);
        if (!err_is(&e)) continue;
        n->peers[id].host[0] = '\0';
        LOG(LOG_LEVEL_WARN, "peer.unresolved", LOG_U("peer", id), LOG_S("error", e.text),
            LOG_S("action", "mend the name or the address in the group file, then send HUP: names are looked up only then"));
    }
    return err_none();
}
