/* execution.h - the execution thread: executes batches, answers queries, folds the state (design.md section 10). */
#ifndef PBFT_REPLICA_RUN_EXECUTION_H
#define PBFT_REPLICA_RUN_EXECUTION_H

#include "ledger/executor.h"
#include "ledger/reply.h"
#include "replica/core/core.h"
#include "replica/run/worker.h"

#define EXECUTION_RETRY_MS 1000u /* disk full: try again */

enum execution_kind {
    EXECUTION_BATCH, /* -> block, settled, replies */
    EXECUTION_FOLD,  /* seq; comes back without results */
    EXECUTION_QUERY, /* blob holds the QUERY message; -> result */
    EXECUTION_FIND,  /* client, seq, transaction -> verdict, slot */
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
    uint64_t executed; /* the state it was answered from */
    struct buffer value;
    /* FIND; also one for each request of a batch that was settled before */
    uint32_t client;
    struct digest transaction;
    enum window_verdict verdict;
    struct wire_window_slot slot;
};

void execution_job_free(struct execution_job *j);

struct execution;

/* executor and signer are borrowed; from here on only the thread touches the executor. */
MUST_USE struct err execution_start(struct executor *e, const struct reply_signer *signer,
                                    void (*notify)(void *context), void *context, struct execution **out);
void execution_submit(struct execution *x, struct execution_job *job);
struct execution_job *execution_take_done(struct execution *x);
/* The state could not be written for want of room; it is tried again each second. */
bool execution_disk_full(const struct execution *x);
void execution_stop(struct execution *x);
void execution_free(struct execution *x);

#endif
