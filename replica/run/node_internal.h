/* node_internal.h - shared by the node_*.c files of replica/run/ only. */
#ifndef PBFT_REPLICA_RUN_NODE_INTERNAL_H
#define PBFT_REPLICA_RUN_NODE_INTERNAL_H

#include "ledger/data_dir.h"
#include "replica/core/core.h"
#include "replica/net/net.h"
#include "replica/run/execution.h"
#include "replica/run/http.h"
#include "replica/run/metrics.h"
#include "replica/run/node.h"
#include "replica/run/reason.h"
#include "replica/run/recorder.h"
#include "replica/run/storage.h"

#include "base/prng.h"

#include <ev.h>

#define NODE_BAD_MAX 32u            /* invalid messages of one connection before it is closed */
#define NODE_CLIENT_INSIDE_MAX 160u /* messages of one client being worked on */
#define NODE_CLIENT_INSIDE_BYTES_MAX (8u * 1024u * 1024u)
#define NODE_CLIENT_CONNECTIONS_MAX 16u /* of one client */
/* Past any of these a client is not read until it is below again (node_allowance.c). */
#define NODE_ALLOWANCE_US_PER_SECOND 10000u    /* processor time for one client in vain: a hundredth of a core ... */
/* ... and so much at once: a correct client with a window of the largest bundles sends each again four times, and asks
 * each result again, while the group is slow */
#define NODE_ALLOWANCE_US_MAX 500000u
#define NODE_ALLOWANCE_DEBT_US 50000u /* more is not held against it: what was under way when its reading stopped */
#define NODE_SHARE_BYTES_PER_SECOND (2u * 1024u * 1024u) /* of one client, while others are served too ... */
#define NODE_SHARE_BYTES_MAX (2u * 1024u * 1024u)        /* ... and so many at once */
#define NODE_SERVED_SECONDS 0.5                          /* who had a transaction executed since then is served */
#define NODE_CLIENT_UNREAD_MAX (1024u * 1024u) /* bytes that it was sent and has not read */
#define NODE_CLIENT_INSIDE_ENOUGH (2u * CLIENT_WINDOW) /* messages being worked on: a window, and as many reads */
/* of all clients; there is always room for members */
#define NODE_CLIENTS_CONNECTED_MAX (CONNECTIONS_MAX - 2u * REPLICAS_MAX)
#define NODE_PEER_INSIDE_MAX 2048u
#define NODE_PEER_INSIDE_BYTES_MAX (32u * 1024u * 1024u)
#define NODE_PEER_CONNECTIONS_MAX 4u
/* A member whose connection was closed for invalid messages may come again so much later; twice as long each time, and
 * from the start again when it has kept the rules for a while. A restart costs nothing. */
#define NODE_PENALTY_FIRST_SECONDS 0.1
#define NODE_PENALTY_MOST_SECONDS 5.0
#define NODE_PENALTY_FORGOTTEN_SECONDS 60.0
#define NODE_CLIENT_JOBS_MAX 32768u  /* messages of all clients being worked on */
#define NODE_DATA_OWED_MAX 192u      /* DATA of one member that may still come for what was asked of it */
#define NODE_HERE_MAX 4u             /* messages verified on the loop's thread in one turn of it */
#define NODE_HERE_BYTES_MAX 1024u    /* ... of so many bytes each */
#define NODE_QUERIES_MAX 1024u       /* reads that wait for execution */
#define NODE_QUERIES_RUNNING_MAX 16u /* reads given to the execution thread: each may come back with a whole result */
#define NODE_CLIENT_QUERIES_RUNNING_MAX 2u /* ... of one client: whatever it asks, others wait for so many of its at most */

_Static_assert(NODE_CLIENT_INSIDE_BYTES_MAX > CLIENT_FRAME_BYTES_MAX, "one frame of a client can be worked on");
_Static_assert(NODE_PEER_INSIDE_BYTES_MAX > FRAME_BYTES_MAX, "one frame of a member can be worked on");
_Static_assert(NODE_DATA_OWED_MAX >= 2u * CORE_FETCH_BLOCKS_MAX + REPLICAS_MAX,
               "two answers of blocks and one of each member's VIEW-CHANGE can be on their way");

_Static_assert(NODE_CLIENT_INSIDE_ENOUGH < NODE_CLIENT_INSIDE_MAX, "a client is not read before it has to be refused");

struct node;

/* Messages and bytes, frame heads included, by type. */
enum traffic_way { TRAFFIC_SENT, TRAFFIC_RESENT, TRAFFIC_RECEIVED, TRAFFIC_WAYS };
struct traffic {
    uint64_t messages[TRAFFIC_WAYS][WIRE_TYPE_MAX + 1];
    uint64_t bytes[TRAFFIC_WAYS][WIRE_TYPE_MAX + 1];
};
#define NODE_TRAFFIC_CLIENTS REPLICAS_MAX /* beside the members: all clients together */

enum session_kind { SESSION_REPLICA, SESSION_CLIENT };

/* What one member or client has under way here, over all its connections. */
struct account {
    uint32_t connections;
    uint32_t inside; /* messages being verified or queries being answered */
    size_t inside_bytes;
    uint32_t queries; /* given to the execution thread */
    uint32_t reads; /* of stored answers for a client, of blocks for a member */
    uint32_t dear;  /* inside, of a member: VIEW-CHANGE and NEW-VIEW */
    double kept_out_until; /* a member closed for invalid messages: no connection before that ... */
    double penalty;        /* ... which is so many seconds after; 0: none yet */
    double vain_us;        /* a client: processor time in vain, less what its allowance has made up for until ... */
    double vain_at;        /* ... then */
    double share_bytes;    /* the same for the bytes of its requests */
    double share_at;
};

/* What a client makes a replica do in vain. */
enum node_vain {
    NODE_VAIN_DROPPED,  /* a request that is refused or dropped before its signature is checked */
    NODE_VAIN_IGNORED,  /* one of no use, found so after that */
    NODE_VAIN_INVALID,  /* a message that breaks a rule, or is badly signed */
    NODE_VAIN_REPEATED, /* the answer to a transaction that it has been given before */
    NODE_VAIN_OTHER,    /* a transaction in custody whose sequence was settled by another one */
    NODE_VAIN_QUESTION, /* about where it stands */
    NODE_VAIN_REPORT,   /* about the replica */
    NODE_VAIN_COUNT,
};

/* Why a client is not read. */
enum node_pause {
    NODE_PAUSE_NONE,
    NODE_PAUSE_ALLOWANCE,
    NODE_PAUSE_SHARE,
    NODE_PAUSE_UNREAD,
    NODE_PAUSE_INSIDE,
    NODE_PAUSE_COUNT
};

/* One connection. Lives until it is closed and nothing of it is being worked on. */
struct session {
    struct node *node;
    struct session *next;
    struct net_connection *connection; /* NULL once closed */
    enum session_kind kind;
    uint64_t id;
    uint32_t member; /* SESSION_REPLICA */
    uint32_t client; /* SESSION_CLIENT: its number */
    struct account *account;
    bool greeted;    /* HELLO received and right */
    uint32_t inside; /* its part of account->inside */
    uint32_t bad;
};

struct peer {
    struct session *session;         /* greeted, or NULL */
    struct net_connection *dialling; /* ours, not yet greeted */
    double since;                    /* the session */
    uint32_t replaced;               /* so many young sessions in a row gave way to another one of this member */
    uint32_t data_owed;              /* DATA it may still send: answers to our FETCHes that have not come */
    double next_dial;
    double backoff;
    char host[NET_HOST_BYTES_MAX]; /* numeric; empty when the name did not resolve */
    uint16_t port;
};

/* A message on its way through the verification pool. */
struct inbound {
    struct verify_job job;
    struct node *node;
    struct session *session;
    struct blob *frame; /* until it is verified */
    size_t bytes;       /* its length */
    bool counted;       /* as traffic, when it came */
    bool dear;          /* a VIEW-CHANGE or NEW-VIEW: up to some hundred signatures */
    uint32_t client;    /* REQUEST: its client's number; else UINT32_MAX */
    struct msg_verified verified;
    const char *fault;   /* invalid: its sender is to blame */
    const char *ignored; /* not worth verifying: a correct sender may have sent it */
};

struct waiting_query {
    struct blob *query;
    struct session *session;
    uint64_t barrier;
    bool certified; /* it waits for nothing that is under way */
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
    struct late_votes *late;
    uint32_t here_turn;  /* the turn of the loop in which frames were last verified on its own thread ... */
    uint32_t here_count; /* ... and how many */
    struct core *core;
    struct recorder *recorder; /* NULL: nothing is recorded */
    struct core_effects *effects;
    /* effects that wait for their token, oldest first: a ring that grows */
    struct core_effect *waiting;
    uint32_t waiting_first;
    uint32_t waiting_count;
    uint32_t waiting_cap;
    uint64_t durable_token;
    struct peer peers[REPLICAS_MAX];
    struct account members[REPLICAS_MAX];
    struct account *clients;    /* by number */
    uint32_t clients_connected; /* connections of clients, greeted or not */
    struct session *sessions;
    uint64_t next_session;
    struct waiting_query queries[NODE_QUERIES_MAX];
    uint32_t query_count;
    uint32_t queries_running;
    struct traffic traffic[REPLICAS_MAX + 1];
    uint64_t proposed_us[WINDOW_BATCHES]; /* of what is being executed, by seq % WINDOW_BATCHES; 0: not known */
    struct metrics_histogram commit_latency;
    uint64_t ignored_count; /* messages that the core had no use for */
    uint64_t invalid_count; /* messages that broke a rule, of members and clients */
    uint64_t closed_count;  /* connections ended because of too many of these */
    uint64_t vain[NODE_VAIN_COUNT]; /* what clients made this replica do in vain ... */
    uint64_t vain_us;               /* ... and the processor time that it took, by the prices of node_allowance.c */
    uint32_t paused;                /* connections of clients that are not read now */
    uint64_t pauses[NODE_PAUSE_COUNT];
    struct {
        uint32_t client;
        double at;
    } served[2];       /* the last two clients that had a transaction executed, the newest first, and when */
    struct http *http; /* NULL: not configured */
    uint64_t last_tick_us;
    uint64_t core_us; /* the core's clock */
    uint64_t entries;
    struct digest header_hash; /* of the last executed block */
    bool ready;
    bool suspects;      /* the primary, as the log has it */
    uint64_t demotions; /* the same */
    bool disk_full; /* as the core was told */
    bool draining;
    bool stopping;
    bool again; /* start anew after the stop: a state transfer has ended */
    struct state_walk_progress transfer; /* of the transfer under way ... */
    uint64_t transfer_since_us;          /* ... which began then; 0: none has */
    struct reason_pace pace;
    double drain_since;
    struct prng random; /* jitter only */
};

/* node.c */
/* Why the core had no use for a message; NULL: it had, or the event was none. */
const char *node_step(struct node *n, const struct core_event *event);
void node_tick(struct node *n);
void node_wake(void *context);
/* A clean stop, after which the process begins anew. */
void node_start_again(struct node *n);
/* node_effects.c */
void node_perform(struct node *n, struct core_effects *effects);
void node_fold(struct node *n, uint64_t seq); /* the state may be folded up to seq */
void node_keep_evidence(struct node *n, struct core_effect *e); /* takes its record */
void node_release_waiting(struct node *n);
void node_take_storage(struct node *n);
void node_take_execution(struct node *n);
/* node_peers.c: connections of either kind, HELLO, dialling */
extern const struct net_events node_net_events;
void node_dial(struct node *n);
/* Its connection is being closed for invalid messages. */
void node_keep_out(struct node *n, uint32_t member);
uint32_t node_peers_connected(const struct node *n);
bool node_send_member(struct node *n, uint32_t member, enum wire_type type, struct blob *bytes, bool resend);
void node_send_client(struct node *n, uint32_t client, struct blob *bytes);
void node_count(struct node *n, uint32_t place, enum traffic_way way, uint32_t type, size_t bytes);
/* Where a session's messages are counted: its member, or NODE_TRAFFIC_CLIENTS. */
uint32_t session_traffic(const struct session *s);
void session_send(struct session *s, const struct wire_record *record, const void *message);
void session_release(struct session *s);
/* For log limits: one number for one fault of one member or client. */
static inline uint64_t node_cause(const char *fault, uint32_t who)
{
    return (uint64_t)(uintptr_t)fault * 2049u + who;
}
MUST_USE struct err node_read_addresses(struct node *n, const struct group *g);
/* node_inbound.c: verification, dispatch, queries */
void node_inbound(struct session *s, struct blob *frame);
void node_take_verified(struct node *n);
struct signature_checker node_checker(struct node *n);
void node_drop_inbound(struct verify_job *job);
/* Takes note of the FETCHes among these effects: their answers may come. */
void node_note_fetches(struct node *n, const struct core_effects *effects);
/* Why the core would ignore this frame of a member, told without a look at any signature; NULL when it may matter.
 * Constant time. DATA that is let through is one of those that the member owed. */
const char *node_ignores(struct node *n, uint32_t member, struct bytes frame);
void node_run_queries(struct node *n);
void node_query_done(struct node *n, struct execution_job *j);
/* Takes over a vote that node_keep_late has kept: verified at once, and given to the core, or by the pool. False, and
 * the frame is the caller's still: its sender has no room for more under way. */
MUST_USE bool node_verify_late(struct session *s, struct blob *frame, bool at_once);
/* node_late.c: votes without which their sequence has its quorum */
struct late_votes *node_late_new(uint32_t member_count);
void node_late_free(struct late_votes *late);
/* True, and the frame is taken over: it is such a vote of this member, by its own connection, and is not verified now.
 */
bool node_keep_late(struct node *n, uint32_t member, struct blob *frame);
/* A good message: when it is a vote for another batch than some that are kept, those are verified by the pool; at once
 * where their sender is not connected. */
void node_contest_late(struct node *n, const struct wire_message *m);
/* A member has connected: what is kept of it and it may have to be shown is verified at once. */
void node_hear_late(struct session *s);
/* node_allowance.c: what a client may cost for nothing */
/* bytes: of what it sent, or is sent, for it. */
void node_charge(struct node *n, struct account *client, enum node_vain what, size_t bytes);
/* A request of a client is to be worked on: its bytes count. */
void node_count_share(struct node *n, struct account *client, size_t bytes);
/* A block was executed and the core has not heard of it: notes who is served, and charges each client that has another
 * transaction in custody here for a sequence that the block settles. */
void node_look_at_block(struct node *n, const struct executed_block *b);
const char *node_vain_name(enum node_vain what);
const char *node_pause_name(enum node_pause why);
/* Whether this client is to be read; a paused one has to be well below the limit that it passed. */
enum node_pause node_pause_reason(const struct node *n, const struct session *s, size_t unread_bytes, bool paused);
/* After a frame of a client: reads on, or not. */
void node_pause_client(struct session *s);
/* Reads those again that may be. */
void node_resume_clients(struct node *n);
/* node_status.c */
struct blob *node_status(struct node *n);
struct blob *node_why(const struct node *n);
/* What it says of itself at one moment. */
struct node_judgement {
    struct core_summary core;
    struct core_why why;
    enum replica_condition condition;
    char reason[REASON_BYTES];
};
void node_judge(const struct node *n, struct node_judgement *out);
/* Without the list of messages. *out borrows the reason. */
void node_status_make(struct node *n, const struct node_judgement *judged, struct wire_replica_status *out);
uint64_t node_traffic_sum(const struct node *n, enum traffic_way way, uint32_t type);
uint64_t node_traffic_bytes(const struct node *n, enum traffic_way way, uint32_t type);
/* node_http.c, node_metrics.c */
extern const struct http_page node_pages[];
extern const uint32_t node_page_count;
uint32_t node_render_metrics(void *context, struct buffer *body);

#endif
