/* storage.h - the storage thread of the log environment: group commit of what the core persists, blocks that ride
 * along, and reads of blocks for others (design.md sections 7 and 10). */
#ifndef PBFT_REPLICA_RUN_STORAGE_H
#define PBFT_REPLICA_RUN_STORAGE_H

#include "ledger/log_store.h"
#include "ledger/reply.h"
#include "replica/core/core.h"
#include "replica/run/worker.h"

#define STORAGE_BLOCK_WAIT_MS 100u /* a block waits this long for a certificate to ride with */
#define STORAGE_RETRY_MS 1000u     /* disk full: try again */

enum storage_kind {
    STORAGE_PERSIST,      /* token .. batch, as in the effect */
    STORAGE_BLOCK,        /* block, certificate, batch: no sync of its own */
    STORAGE_PAST_BLOCK,   /* gap_low, record (its DATA message), batch (its entries), checkpoint_good: no sync of its own */
    STORAGE_EVIDENCE,     /* seq (the member), count (the kind), record: the first is kept; no sync of its own */
    STORAGE_READ_BLOCKS,  /* seq, count, past -> out[]: DATA messages */
    STORAGE_READ_ANSWER,  /* seq, range -> out[0]: a REPLY, or nothing; missing */
};

struct storage_job {
    struct worker_job job;
    enum storage_kind kind;
    uint64_t seq;
    /* PERSIST */
    uint64_t token;
    enum core_persist_kind persist;
    uint64_t view;
    enum fence_reason reason; /* FENCE */
    struct digest digest;
    struct blob *record;
    struct blob *batch; /* BLOCK too, unless it was persisted before */
    /* BLOCK; the block is freed by the storage thread */
    struct executed_block *block;
    struct blob *certificate;
    /* PAST_BLOCK */
    uint64_t gap_low;
    bool checkpoint_good;
    /* READ */
    bool past;
    uint32_t to;    /* member or client; the loop's business */
    uint32_t count;
    bool asked;           /* ANSWER: by its client, not by a primary that put it into a batch again */
    uint64_t first_index; /* ANSWER: of the ledger; range.first is worked out from it */
    struct reply_range range;
    bool missing; /* ANSWER: the block is one of the gap, and is not here */
    uint32_t out_count;
    struct blob *out[CORE_FETCH_BLOCKS_MAX];
};

void storage_job_free(struct storage_job *j);

struct storage;

/* log and signer are borrowed. notify wakes the loop. */
MUST_USE struct err storage_start(struct kv_store *log, const struct reply_signer *signer,
                                  void (*notify)(void *context), void *context, struct storage **out);
/* Takes over the job. */
void storage_submit(struct storage *s, struct storage_job *job);
/* A finished PERSIST or READ job, the caller's again; BLOCK, PAST_BLOCK and EVIDENCE jobs do not come back. */
struct storage_job *storage_take_done(struct storage *s);
uint64_t storage_syncs(const struct storage *s);
bool storage_disk_full(const struct storage *s);
/* Writes all that waits, ends the thread. */
void storage_stop(struct storage *s);
void storage_free(struct storage *s);

#endif
