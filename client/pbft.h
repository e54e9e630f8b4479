/* pbft.h - libpbft, the C client library of pbft.
 *
 * A client holds one connection to every replica of a group. It signs each transaction, sends it to the primary, sends
 * it to all when no answer comes or the connection to the primary breaks, and accepts a result once f+1 replicas gave
 * the same block header and the same result: at least one of them is correct. It survives any f replicas that lie, are
 * silent or slow.
 *
 * At most PBFT_WINDOW sequences are in flight: highest sent minus lowest unanswered stays below it.
 *
 * Sequences: the group executes one transaction for each sequence of a client. pbft_submit takes the next one. What the
 * replicas say of it can be out of date, and another process may use the same key; then f+1 replicas refuse it:
 *
 *   as PBFT_CONFLICT   The sequence belongs to another transaction: this one was not executed and never will be. So its
 *                      operations are submitted again under a new sequence, until timeout_ms after pbft_submit; the
 *                      caller sees PBFT_CONFLICT only if that ends before a new sequence could be used. Transactions in
 *                      flight together may so be executed in another order than submitted.
 *   as PBFT_TOO_OLD    The sequence was settled long ago, by another transaction or by a copy of this one: nobody knows
 *                      any more. It is not submitted again, since that could execute it twice. The caller sees
 *                      PBFT_TOO_OLD, has to find out what became of it (a read, say), and decides.
 *
 * After either the client learns from a quorum where its sequences stand, so that those that follow do better. Nothing
 * is ever submitted again after PBFT_TIMEOUT, nor under another sequence when it was given one by pbft_submit_at.
 * A read that had to be ordered changes nothing: it gets a new sequence after both.
 *
 * Threads: a client and everything reached through it belongs to one thread at a time. Callbacks run inside pbft_poll
 * and the blocking calls.
 *
 * A callback may submit and read with its own client, but not wait for it: pbft_ready (unless the client is ready),
 * pbft_submit_wait, pbft_read_wait, pbft_read_certified_wait and pbft_status_wait give PBFT_IN_CALLBACK there and do
 * nothing; pbft_poll and pbft_close, which cannot say so, abort the process. pbft_submit gives PBFT_WINDOW_FULL where
 * it would have to wait.
 *
 * Ownership: what a callback or result points to is borrowed and ends with the callback, or with pbft_answer_free for
 * the blocking calls. Bytes given to a call are copied.
 */
#ifndef PBFT_H
#define PBFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PBFT_WINDOW 64u
#define PBFT_REPLICAS_MAX 128u
#define PBFT_ARGS_MAX 8u
#define PBFT_ERROR_BYTES 400
#define PBFT_REQUEST_BYTES_MAX (1024u * 1024u) /* an encoded transaction, signature included */
/* A value of this size always fits into a transaction of its own, beside its key, the framing and the signature. */
#define PBFT_VALUE_BYTES_MAX (PBFT_REQUEST_BYTES_MAX - 1024u)

/* How a call or a transaction ended. */
enum pbft_status {
    PBFT_OK = 0,
    PBFT_WINDOW_FULL, /* 64 in flight, or the next sequence is not known yet: poll, then try again */
    PBFT_TIMEOUT,     /* not enough matching answers in time; the transaction may still execute later */
    PBFT_CONFLICT,    /* this client sequence was settled by another transaction (another process with this key?): this
                         one was not executed and never will be */
    PBFT_TOO_OLD,     /* this client sequence is below the window, settled long ago: whether this transaction was
                         executed is not known */
    PBFT_REJECTED,    /* f+1 replicas refuse to take it: malformed, wrong group, unknown client */
    PBFT_TOO_LARGE,   /* over PBFT_REQUEST_BYTES_MAX */
    PBFT_BAD_CONFIG,  /* group file, key or journal cannot be used */
    PBFT_BAD_ARGUMENT,
    PBFT_IN_CALLBACK, /* a call that waits, made in a callback of the same client */
};

/* What became of an executed operation. */
enum pbft_outcome {
    PBFT_OUTCOME_OK = 0,
    PBFT_OUTCOME_NEGATIVE = 1, /* executed; the application's answer is no */
    PBFT_OUTCOME_EXPIRED = 2,
    PBFT_OUTCOME_REFUSED = 3,
};

struct pbft_error {
    enum pbft_status status;
    char text[PBFT_ERROR_BYTES]; /* a sentence for people; empty when status is PBFT_OK */
};

struct pbft_bytes {
    const void *data;
    size_t len;
};

/* One operation for an application: kv is 1, log is 2; verbs and arguments are in docs/protocol.md. */
struct pbft_operation {
    uint16_t app;
    uint16_t verb;
    uint32_t arg_count;
    struct pbft_bytes args[PBFT_ARGS_MAX];
};

struct pbft_options {
    const char *group_path;   /* group.json */
    const char *key_path;     /* the client's secret key, PEM */
    const char *journal_path; /* remembers the last client sequence used, and locks it against a second process with the
                                 same key; NULL: none, the sequence is learned from the replicas alone */
    uint64_t timeout_ms;      /* for each transaction or read; 0: 10,000 */
};

/* The answer to one transaction or read. */
struct pbft_answer {
    enum pbft_status status;
    enum pbft_outcome outcome; /* of the first operation; valid when status is PBFT_OK */
    struct pbft_bytes value;   /* its result */
    uint64_t client_seq;       /* the last it had */
    uint64_t block;            /* sequence of the block; for a read, the lowest state it was answered from */
    uint64_t view;             /* reported by f+1 of the matching replicas, at least */
    uint64_t index;            /* of the first entry in the ledger */
    uint64_t time_ms;          /* of the block */
    uint64_t elapsed_us;       /* from submit to acceptance */
    uint32_t matched_count;
    uint32_t matched[PBFT_REPLICAS_MAX]; /* ids of the replicas that gave it, ascending */
    uint32_t op_count;                   /* operations in the transaction */
    const enum pbft_outcome *outcomes;   /* op_count */
    const struct pbft_bytes *values;     /* op_count */
    char text[PBFT_ERROR_BYTES];         /* why not, when status is not PBFT_OK */
};

struct pbft_client;
typedef void (*pbft_callback)(void *context, const struct pbft_answer *answer);

/* Reads group and key, opens the journal, begins to connect. *out is NULL on failure. */
struct pbft_error pbft_open(const struct pbft_options *options, struct pbft_client **out);
/* Ends everything; callbacks of what is in flight are not called. NULL is allowed; a call in a callback of c is not. */
void pbft_close(struct pbft_client *c);

/* Waits until a quorum of replicas is connected and has said where this client's sequences stand; submit and read do
 * it by themselves. PBFT_TIMEOUT says which replicas do not answer; PBFT_BAD_CONFIG comes at once when those that do,
 * f+1 at least, belong to another group. */
struct pbft_error pbft_ready(struct pbft_client *c, uint64_t timeout_ms);

/* Submits one transaction of op_count (1 to 1,000) operations with the next client sequence, which it waits for when
 * the client is not ready. The callback is called once. */
struct pbft_error pbft_submit(struct pbft_client *c, const struct pbft_operation *ops, uint32_t op_count,
                              pbft_callback callback, void *context);
/* The same with a given sequence and expiry (milliseconds since 1970), so that the very same transaction can be sent
 * again after a restart: same operations, sequence, expiry and key make the same transaction, which executes once. */
struct pbft_error pbft_submit_at(struct pbft_client *c, uint64_t client_seq, uint64_t expiry_ms,
                                 const struct pbft_operation *ops, uint32_t op_count, pbft_callback callback,
                                 void *context);
/* Reads without ordering: Q replicas must give the same answer, each from a state that holds all it has committed to.
 * When they do not agree (writes are under way) it is asked again, then ordered as a transaction: so op has to be one
 * that changes nothing. */
struct pbft_error pbft_read(struct pbft_client *c, const struct pbft_operation *op, pbft_callback callback,
                            void *context);
/* Reads from one replica alone, as of a stable checkpoint: it gives the path in the state tree and the checkpoint's
 * certificate, and the library checks both, so that no replica has to be believed and no quorum need be connected. A
 * replica that gives no proof is passed over for the next. at_least: the checkpoint must be of that block or a later
 * one (what was accepted in block B is in every checkpoint from B on; the group makes one every 128 blocks, and none
 * while it is idle); 0: any. answer.block is the checkpoint's, answer.matched the replica; answer.view is 0. Only what
 * reads one key can be proven (get of kv): else PBFT_BAD_ARGUMENT. */
struct pbft_error pbft_read_certified(struct pbft_client *c, const struct pbft_operation *op, uint64_t at_least,
                                      pbft_callback callback, void *context);
/* Transactions and reads in flight. */
uint32_t pbft_in_flight(const struct pbft_client *c);
/* True when pbft_submit would not give PBFT_WINDOW_FULL. (pbft_submit_at has its own sequence, and says so itself.) */
bool pbft_can_submit(const struct pbft_client *c);
/* Highest client sequence that f+1 replicas are known to have settled; valid after pbft_ready. */
uint64_t pbft_highest_settled(const struct pbft_client *c);
/* The sequence that the next pbft_submit will use; 0 while it is being learned (see pbft_ready). */
uint64_t pbft_next_sequence(const struct pbft_client *c);
/* Lets the client work for at most timeout_ms (0: only what is ready), returning early after any callback. Not to be
 * called in a callback of c. */
void pbft_poll(struct pbft_client *c, uint64_t timeout_ms);

/* Blocking forms; *out is freed with pbft_answer_free. The answer's status is also the return's. */
struct pbft_error pbft_submit_wait(struct pbft_client *c, const struct pbft_operation *ops, uint32_t op_count,
                                   struct pbft_answer **out);
struct pbft_error pbft_read_wait(struct pbft_client *c, const struct pbft_operation *op, struct pbft_answer **out);
struct pbft_error pbft_read_certified_wait(struct pbft_client *c, const struct pbft_operation *op, uint64_t at_least,
                                           struct pbft_answer **out);
void pbft_answer_free(struct pbft_answer *a);

/* What each replica says of itself. Believed by nobody: for operators. */
struct pbft_message_count {
    uint32_t type; /* message type number of docs/wire.cddl */
    uint64_t sent;
    uint64_t resent;
    uint64_t received;
    uint64_t from_clients; /* of those received */
    uint64_t sent_bytes;   /* frame lengths included, before TLS */
    uint64_t resent_bytes;
    uint64_t received_bytes;
    uint64_t from_clients_bytes;
};

struct pbft_replica_status {
    uint32_t id;
    bool connected; /* the rest is valid */
    bool answered;
    uint32_t condition; /* pbft_condition_name */
    uint64_t view;
    uint64_t executed;
    uint64_t committed;
    uint64_t stable;
    uint64_t high;
    uint64_t entries;
    uint64_t peers_connected;
    uint64_t clients_connected;
    uint64_t lag;
    uint64_t custody;
    uint64_t abstain_until;
    uint64_t time_ms;
    uint64_t cpu_us;
    uint64_t syncs;
    uint64_t verified;
    uint8_t header_hash[32];
    uint32_t message_count;
    struct pbft_message_count messages[32];
    char reason[512]; /* its condition in a sentence; or why it did not answer */
};

/* What the lowest sequence not executed waits for, as one replica sees it. Believed by nobody: for operators. */
enum pbft_phase {
    PBFT_PHASE_EMPTY = 0, /* no PRE-PREPARE is there */
    PBFT_PHASE_PROPOSED = 1,
    PBFT_PHASE_PREPARED = 2,
    PBFT_PHASE_COMMITTED = 3, /* decided: it has to be executed */
};

struct pbft_why_member {
    bool connected;
    bool heard; /* it has said STATUS; heard_ms ago the last time */
    bool changing;
    bool prepared; /* its PREPARE for the sequence is there; the primary's PRE-PREPARE counts as one */
    bool committed;
    uint64_t heard_ms;
    uint64_t executed; /* it claims */
    uint64_t view;
    uint64_t view_change; /* the view that its newest VIEW-CHANGE is for; 0: none is there */
};

#define PBFT_NO_TIMER UINT64_MAX
struct pbft_replica_why {
    uint32_t id;
    bool connected; /* the rest is valid when it answered */
    bool answered;
    uint32_t condition; /* pbft_condition_name */
    bool changing;      /* it has left for `view`, and waits for its NEW-VIEW */
    bool entered;       /* it may vote in its view */
    bool batch_held;
    bool batch_void; /* no correct replica can prepare the proposal */
    bool prepare_sent;
    bool certificate_durable;
    bool mute;
    bool diverged;
    bool disk_full;
    bool draining;
    uint64_t view;
    uint64_t seq; /* the lowest not executed */
    enum pbft_phase phase;
    uint8_t digest[32];
    uint64_t waited_ms; /* since the proposal was accepted or the view was left */
    uint64_t idle_ms;   /* since the last execution */
    uint64_t low;
    uint64_t high;
    uint64_t ahead; /* f+1 replicas claim to have executed so much */
    uint64_t abstain_until;
    uint64_t custody;
    uint64_t custody_bytes;
    uint64_t custody_ms; /* the oldest request that can be ordered */
    uint64_t timeout_ms; /* T as it is now */
    uint64_t request_timer_ms;  /* left, or PBFT_NO_TIMER: then it leaves its view */
    uint64_t new_view_timer_ms; /* the same: then it goes on to the view after */
    uint64_t peers_connected;
    char reason[512]; /* its condition in a sentence; or why it did not answer */
    struct pbft_why_member members[PBFT_REPLICAS_MAX];
};

uint32_t pbft_replica_count(const struct pbft_client *c);
uint32_t pbft_faulty_max(const struct pbft_client *c);
/* Asks every replica and waits until all have answered or timeout_ms have passed. out has pbft_replica_count items.
 * PBFT_OK when at least one answered; PBFT_BAD_CONFIG as for pbft_ready. */
struct pbft_error pbft_status_wait(struct pbft_client *c, uint64_t timeout_ms, struct pbft_replica_status *out);
/* The same for what each replica waits for. */
struct pbft_error pbft_why_wait(struct pbft_client *c, uint64_t timeout_ms, struct pbft_replica_why *out);
const char *pbft_condition_name(uint32_t condition);
/* What the operator should know or do about it; empty when the name says it all. */
const char *pbft_condition_note(uint32_t condition);
const char *pbft_status_name(enum pbft_status status);
const char *pbft_outcome_name(enum pbft_outcome outcome);

#ifdef __cplusplus
}
#endif

#endif
