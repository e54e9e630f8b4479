/* client_internal.h - shared by the client*.c files of libpbft only. */
#ifndef PBFT_CLIENT_CLIENT_INTERNAL_H
#define PBFT_CLIENT_CLIENT_INTERNAL_H

#include "client/client_votes.h"
#include "client/pbft.h"

#include "base/limits.h"
#include "base/prng.h"
#include "keys/group.h"
#include "replica/net/net.h"
#include "wire/certificate.h"
#include "wire/constants.h"

#include <ev.h>

#define CLIENT_READS_MAX 64u
#define CLIENT_TIMEOUT_MS_DEFAULT 10000u
#define CLIENT_RESEND_FIRST_US 400000u /* one beside others: or twice what they take of late, up to ... */
#define CLIENT_RESEND_SLOW_US 2000000u /* ... this */
#define CLIENT_WITNESS_TIMES 8u        /* ... or so many times what witnesses take */
#define CLIENT_WITNESS_US 100000u      /* of those beside others one in so long, ... */
#define CLIENT_WITNESS_EACH 8u         /* ... and of so many, goes to all at once; one of a window where it has ... */
#define CLIENT_WITNESS_SMALL 16384u    /* ... more bytes than that: each replica passes it on */
#define CLIENT_RESEND_MOST_US 4000000u
#define CLIENT_READ_ROUNDS 3u
#define CLIENT_READ_ROUND_US 400000u

struct replica_link {
    struct pbft_client *client;
    uint32_t id;
    char host[NET_HOST_BYTES_MAX]; /* numeric; empty when the name did not resolve */
    uint16_t port;
    struct net_connection *connection;
    bool greeted;
    bool view_said;
    uint64_t view; /* last it named; 0 until view_said */
    uint64_t backoff_us;
    uint64_t next_dial_us;
    bool window_known;
    uint64_t highest_settled; /* it says of this client */
    char reason[128];         /* why it is not connected */
    bool foreign;             /* the last time it said HELLO, it was that of another group */
    struct digest header;     /* the last header whose signature by this replica was checked */
    bool header_known;
};

enum pending_kind { PENDING_FREE, PENDING_SUBMIT, PENDING_READ, PENDING_CERTIFIED };

struct pending {
    enum pending_kind kind;
    uint64_t seq; /* client sequence, or read number */
    struct blob *message;
    struct digest transaction;
    uint32_t op_count;
    pbft_callback callback;
    void *context;
    uint64_t since_us;
    uint64_t deadline_us;
    uint64_t resend_us; /* when next */
    uint64_t backoff_us;
    uint32_t rounds; /* reads */
    bool sent_to_all;
    bool witness;             /* it went to all at once */
    bool chosen;              /* the library gave it its sequence, and may give it another */
    bool reads;               /* a read that is ordered: executed twice it does no harm */
    enum pbft_status refusal; /* why it waits for another sequence */
    struct client_vote *votes; /* replica_count; CERTIFIED: present: asked in this round; seq not 0: answered */
    uint64_t at_least;         /* CERTIFIED: no older checkpoint than that */
    uint32_t asked;            /* ... the last replica asked */
    const char **complaints;   /* ... what was wrong with the answer of each; NULL: it was never asked */
};

struct pbft_client {
    struct group *group;
    char *group_path;
    struct quorum quorum;
    struct public_key *member_keys;
    struct secret_key key;
    struct public_key public;
    uint64_t epoch;
    uint64_t timeout_us;
    struct ev_loop *loop;
    struct ev_timer timer;
    struct ev_timer poll_end; /* only ends the waiting of pbft_poll */
    struct net *net;
    struct replica_link *links;
    struct prng random;
    int journal_fd;
    uint64_t next_seq;        /* of pbft_submit; 0: to be learned */
    uint64_t window_question; /* number of the query that asks for it; reads and status rounds have others */
    uint64_t journal_seq;     /* highest ever used, by the journal */
    bool lagging;             /* the replicas have not settled yet what the journal shows to be settled ... */
    uint64_t lag_seq;         /* ... but so much, */
    uint64_t lag_since_us;    /* since then; */
    uint64_t lag_asked_us;    /* asked again last */
    uint64_t settled_seq;     /* highest that f+1 replicas have shown to be settled */
    uint64_t next_read;
    struct pending submits[PBFT_WINDOW]; /* by seq % PBFT_WINDOW */
    struct pending refused[PBFT_WINDOW]; /* in any order; they wait for another sequence */
    struct pending reads[CLIENT_READS_MAX];
    uint32_t certified_asked;        /* the replica that was asked last */
    struct digest certificate_known; /* of a checkpoint, whose signatures were good; zero: none */
    uint32_t in_flight;
    uint64_t usual_us;        /* what a transaction has taken of late, about; 0: none has been accepted */
    uint64_t witness_took_us; /* the same of witnesses, which a primary cannot keep back unseen */
    uint64_t witness_us;   /* when one went to all at once; see launch */
    uint32_t since_witness; /* those beside others since then */
    uint64_t view;         /* where the primary is believed to be */
    bool view_known;       /* f+1 replicas have named it, or one above: it is no guess */
    bool called_back;      /* a callback ran in this poll */
    bool in_callback;      /* one is running */
    uint64_t inspect_round; /* number of the question to every replica about itself; its answers go to one of these */
    struct pbft_replica_status *status_out;
    struct pbft_replica_why *why_out;
    uint32_t inspect_missing; /* answers that have not come */
};

/* client.c */
struct pbft_error client_error(enum pbft_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct pbft_error client_ok(void);
/* What it gives when client_group_foreign holds. */
struct pbft_error client_refuse_foreign(const struct pbft_client *c);
/* What a call that waits gives in a callback. */
struct pbft_error client_refuse_in_callback(const char *call);
uint64_t client_now_us(void);
uint32_t client_connected(const struct pbft_client *c);
/* Adds "the primary is replica 0 of view 0", or that it is unknown. */
void client_describe_primary(const struct pbft_client *c, struct buffer *out);
/* Adds "not connected: 0, 3 (connection refused), 2 (...)", or that all are connected. */
void client_describe_silence(const struct pbft_client *c, struct buffer *out);
/* The text as a string of at most size bytes: cut at a blank, with "..." at the end, when it does not fit. */
void client_text_fit(const struct buffer *text, char *out, size_t size);
bool client_send(struct replica_link *l, struct blob *bytes);
/* Orders a read or a refused transaction under the next sequence, once client_sequence_usable says so; `from` is free
 * then. False, and nothing is done: it would be too large. */
MUST_USE bool client_order(struct pbft_client *c, struct pending *from);
/* client_sequence.c */
/* A proof was seen that this sequence is settled. */
void client_settled(struct pbft_client *c, uint64_t seq);
/* A replica has said where this client stands. */
void client_learn_sequence(struct pbft_client *c);
/* Asks all where it stands now; next_seq is 0 until Q have said. */
void client_forget_sequence(struct pbft_client *c);
/* Asks them again from time to time. */
void client_ask_lagging(struct pbft_client *c);
/* True when seq may be in flight beside what is: highest sent minus lowest unanswered stays below the window. */
bool client_window_allows(const struct pbft_client *c, uint64_t seq);
/* True when no replica would take the next sequence: the whole window below it was sent and given up. */
bool client_window_spent(const struct pbft_client *c);
/* May the next sequence be used now? If not, sees to it that some time it may. */
bool client_sequence_usable(struct pbft_client *c);
/* client_links.c */
extern const struct net_events client_net_events;
void client_dial(struct pbft_client *c);
/* True when all that have answered, f+1 at least, belong to another group, and waiting would not find a quorum. */
bool client_group_foreign(const struct pbft_client *c);
void client_ask_local(struct replica_link *l, uint64_t number, enum system_verb verb);
void client_ask_window(struct replica_link *l);
/* client_pending.c */
void client_send_to_all(struct pbft_client *c, struct pending *p);
/* How long a transaction beside others is waited for before it is sent again, to all: a slow group or a long way is no
 * reason. */
uint64_t client_first_resend_us(const struct pbft_client *c);
void client_on_reply(struct replica_link *l, const struct wire_reply *m);
void client_on_busy(struct replica_link *l, const struct wire_busy *m);
void client_on_result(struct replica_link *l, const struct wire_result *m);
void client_timers(struct pbft_client *c);
void client_primary_lost(struct pbft_client *c);
void client_learn_view(struct pbft_client *c);
void client_pending_free(struct pbft_client *c, struct pending *p);
void client_votes_clear(struct pbft_client *c, struct pending *p);
/* The refused transaction that was the first to have its sequence, NULL: none. */
struct pending *client_refused_first(const struct pbft_client *c);
/* client_inspect.c */
/* True when the result answers the question under way to every replica about itself. */
bool client_inspected(struct replica_link *l, const struct wire_result *m);
/* client_certified.c */
void client_certified_begin(struct pbft_client *c, struct pending *p, uint64_t at_least);
/* Asks the next replica. */
void client_certified_ask(struct pbft_client *c, struct pending *p, uint64_t now);
/* NULL: the answer is proven. Else what is wrong with it, and the next replica is asked. */
const char *client_certified_take(struct replica_link *l, struct pending *p, const struct wire_result *m);
/* Adds what was wrong with the answers of which replicas. */
void client_certified_describe(const struct pbft_client *c, const struct pending *p, struct buffer *out);
/* client_journal.c */
MUST_USE struct err client_journal_open(const char *path, int *fd, uint64_t *seq);
void client_journal_note(int fd, uint64_t seq);

#endif
