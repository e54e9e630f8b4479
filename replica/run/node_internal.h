/* node_internal.h - shared by the node_*.c files of replica/run/ only. */
#ifndef PBFT_REPLICA_RUN_NODE_INTERNAL_H
#define PBFT_REPLICA_RUN_NODE_INTERNAL_H

#include "ledger/data_dir.h"
#include "replica/core/core.h"
#include "replica/net/net.h"
#include "replica/run/execution.h"
#include "replica/run/node.h"
#include "replica/run/storage.h"

#include "base/prng.h"

#include <ev.h>

#define NODE_BAD_MAX 32u            /* invalid messages of one connection before it is closed */
#define NODE_CLIENT_INSIDE_MAX 160u /* messages of one client's connection being worked on */
#define NODE_PEER_INSIDE_MAX 2048u
#define NODE_JOBS_MAX 8192u
#define NODE_QUERIES_MAX 1024u /* reads that wait for execution */

struct node;

enum session_kind { SESSION_REPLICA, SESSION_CLIENT };

/* One connection. Lives until it is closed and nothing of it is being worked on. */
struct session {
    struct node *node;
    struct session *next;
    struct net_connection *connection; /* NULL once closed */
    enum session_kind kind;
    uint64_t id;
    uint32_t member; /* SESSION_REPLICA */
    uint32_t client; /* SESSION_CLIENT: its number */
    bool greeted;    /* HELLO received and right */
    uint32_t inside; /* messages being verified or queries being answered */
    uint32_t bad;
};

struct peer {
    struct session *session; /* greeted, or NULL */
    struct net_connection *dialling; /* ours, not yet greeted */
    double next_dial;
    double backoff;
    char host[GROUP_ADDRESS_BYTES_MAX];
    uint16_t port;
};

/* A message on its way through the verification pool. */
struct inbound {
    struct verify_job job;
    struct node *node;
    struct session *session;
    struct blob *frame;
    struct msg_verified verified;
    const char *fault;
};

struct waiting_query {
    struct blob *query;
    struct session *session;
    uint64_t barrier;
};

struct node {
    struct config config;
    char config_path[CONFIG_PATH_BYTES_MAX];
    struct identity identity;
    struct public_key *member_keys;
    struct wire_group wire;
    struct reply_signer signer;
    struct ev_loop *loop;
    struct ev_async wake;
    struct ev_timer tick;
    struct ev_timer dial;
    struct ev_signal on_term;
    struct ev_signal on_int;
    struct ev_signal on_hup;
    struct ev_timer drain;
    struct net *net;
    struct data_dir data;
    struct executor *executor;
    struct storage *storage;
    struct execution *execution;
    struct verify_pool *pool;
    struct verify_cache *cache;
    struct core *core;
    struct core_effects *effects;
    /* effects that wait for their token, oldest first: a ring that grows */
    struct core_effect *waiting;
    uint32_t waiting_first;
    uint32_t waiting_count;
    uint32_t waiting_cap;
    uint64_t durable_token;
    struct peer peers[REPLICAS_MAX];
    struct session *sessions;
    uint64_t next_session;
    struct waiting_query queries[NODE_QUERIES_MAX];
    uint32_t query_count;
    uint64_t sent[WIRE_TYPE_MAX + 1];
    uint64_t resent[WIRE_TYPE_MAX + 1];
    uint64_t received[WIRE_TYPE_MAX + 1];
    uint64_t last_tick_us;
    uint64_t entries;
    struct digest header_hash; /* of the last executed block */
    bool ready;
    bool draining;
    bool stopping;
    double drain_since;
    struct prng random; /* jitter only */
};

/* node.c */
void node_step(struct node *n, const struct core_event *event);
void node_tick(struct node *n);
void node_wake(void *context);
/* node_effects.c */
void node_perform(struct node *n, struct core_effects *effects);
void node_release_waiting(struct node *n);
void node_take_storage(struct node *n);
void node_take_execution(struct node *n);
/* node_peers.c: connections of either kind, HELLO, dialling */
extern const struct net_events node_net_events;
void node_dial(struct node *n);
uint32_t node_peers_connected(const struct node *n);
bool node_send_member(struct node *n, uint32_t member, enum wire_type type, struct blob *bytes, bool resend);
void node_send_client(struct node *n, uint32_t client, struct blob *bytes);
void session_send(struct session *s, const struct wire_record *record, const void *message);
void session_release(struct session *s);
MUST_USE struct err node_read_addresses(struct node *n, const struct group *g);
/* node_inbound.c: verification, dispatch, queries */
void node_inbound(struct session *s, struct blob *frame);
void node_take_verified(struct node *n);
void node_run_queries(struct node *n);
void node_query_done(struct node *n, struct execution_job *j);
/* node_status.c */
struct blob *node_status(struct node *n);
enum replica_condition node_condition(const struct node *n, const struct core_summary *s);

#endif
