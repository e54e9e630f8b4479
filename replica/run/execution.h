/* execution.h - the execution thread: executes batches, answers queries, folds the state (design.md section 10). */
#ifndef PBFT_REPLICA_RUN_EXECUTION_H
#define PBFT_REPLICA_RUN_EXECUTION_H

#include "ledger/executor.h"
#include "ledger/reply.h"
#include "replica/core/core.h"
#include "replica/run/transfer.h"
#include "replica/run/worker.h"

#define EXECUTION_RETRY_MS 1000u /* disk full: try again */

enum execution_kind {
    EXECUTION_BATCH, /* -> block, settled, replies */
    EXECUTION_FOLD,  /* seq, certificate (of that checkpoint); comes back without results */
    EXECUTION_QUERY, /* blob holds the QUERY message; -> result */
    EXECUTION_FIND,  /* client, seq, transaction -> verdict, slot */
    EXECUTION_SERVE_STATE, /* to, number, seq, ask -> answer */
    EXECUTION_WALK_BEGIN,  /* seq -> walk; from here on batches, queries and folds are not for this thread */
    EXECUTION_WALK_PIECE,  /* number, answer -> walk */
};

/* What one client gets for one block; several when one frame does not hold it all. */
struct execution_reply {
    uint32_t client;
    struct blob *bytes;
};

struct execution_job {
    struct worker_job job;
    enum execution_kind kind;
    uint64_t seq;
    uint64_t view;
    /* BATCH */
    struct digest digest;
    struct blob *batch;
    struct blob *certificate;
    bool batch_persisted;         /* as in the effect */
    struct executed_block *block; /* out; the caller passes it on to storage */
    struct core_settled *settled; /* out */
    uint32_t settled_count;
    struct execution_reply *replies; /* out: by client, entries in order */
    uint32_t reply_count;
    /* QUERY */
    struct blob *query;
    void *session; /* who asked; the loop's business */
    enum outcome outcome;
    uint64_t executed;  /* the state it was answered from; of a certified one, the checkpoint */
    struct blob *proof; /* of a certified one, or NULL */
    bool unanswered;   /* the state is being transferred */
    struct buffer value;
    /* FIND; also one for each request of a batch that was settled before */
    uint32_t client;
    struct digest transaction;
    enum window_verdict verdict;
    struct wire_window_slot slot;
    /* SERVE_STATE and the walk */
    uint32_t to;
    uint32_t number;
    struct blob *ask;
    struct blob *answer; /* in: a verified DATA message; out: what to send, or NULL */
    struct transfer_out walk;
};

void execution_job_free(struct execution_job *j);

struct execution;

/* executor and signer are borrowed; from here on only the thread touches the executor and its store. executor is NULL when
 * the state is to be transferred first: there is a walk then before anything else. walk_load: the percentage of its time, 1 to 100,
 * that the thread gives a walk; it rests in between. */
MUST_USE struct err execution_start(struct executor *e, struct kv_store *state, const struct reply_signer *signer,
                                    uint32_t walk_load, void (*notify)(void *context), void *context, struct execution **out);
void execution_submit(struct execution *x, struct execution_job *job);
struct execution_job *execution_take_done(struct execution *x);
/* The state could not be written for want of room; it is tried again each second. */
bool execution_disk_full(const struct execution *x);
void execution_stop(struct execution *x);
void execution_free(struct execution *x);

#endif
