/* storage.c - the storage thread.
 *
 * Everything that waits goes into one transaction. A failed write or sync ends the process: what is on disk is then unknown,
 * and trying again could report as durable what is not (rule 30). A full disk is waited out; meanwhile no token becomes
 * durable, so no vote leaves. */
#include "replica/run/storage.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "ledger/data_dir.h"
#include "replica/run/blocks.h"

#include <stdatomic.h>
#include <stdlib.h>

#define READS_A_ROUND 2u /* reads for others between two looks at what must be synced */

struct storage {
    struct worker *worker;
    struct kv_store *log;
    const struct reply_signer *signer;
    struct kv_batch *batch;         /* what waits for its sync */
    struct worker_job *unsynced;    /* PERSIST jobs in the batch, oldest first */
    struct worker_job **unsynced_end;
    struct worker_job *reads;       /* READ jobs not served yet, oldest first */
    struct worker_job **reads_end;
    uint64_t blocks_since_us; /* oldest block in the batch; 0 when none */
    atomic_uint_fast64_t syncs;
    atomic_bool disk_full;
};

void storage_job_free(struct storage_job *j)
{
    if (j == NULL) return;
    blob_release(j->record);
    blob_release(j->batch);
    blob_release(j->certificate);
    executed_block_free(j->block);
    for (uint32_t i = 0; i < j->out_count; i++)
        blob_release(j->out[i]);
    free(j);
}

static _Noreturn void end_process(const struct err *e)
{
    LOG(LOG_LEVEL_ERROR, "storage.failed", LOG_S("error", e->text),
        LOG_S("action", e->code == ERR_CORRUPT
                            ? "the process ends now; " DATA_DIR_LOOK
                            : "the process ends now, before anything rests on unsynced data; check the disk, then "
                              "start again"));
    abort();
}

static bool flush(struct storage *s)
{
    if (kv_batch_empty(s->batch) && s->unsynced == NULL) return true;
    struct err e = kv_batch_empty(s->batch) ? err_none() : kv_store_apply(s->log, s->batch);
    if (e.code == ERR_NO_SPACE) {
        if (!atomic_exchange(&s->disk_full, true))
            LOG(LOG_LEVEL_ERROR, "storage.disk-full", LOG_S("error", e.text),
                LOG_S("action", "free some space; this replica casts no vote until then and goes on by itself"));
        return false;
    }
    if (err_is(&e)) end_process(&e);
    if (atomic_exchange(&s->disk_full, false)) LOG(LOG_LEVEL_INFO, "storage.disk-space-again", LOG_U("retry", 1));
    atomic_store(&s->syncs, kv_store_syncs(s->log));
    kv_batch_clear(s->batch);
    s->blocks_since_us = 0;
    while (s->unsynced != NULL) {
        struct worker_job *job = s->unsynced;
        s->unsynced = job->next;
        worker_done(s->worker, job);
    }
    s->unsynced_end = &s->unsynced;
    return true;
}

static void add_persist(struct storage *s, struct storage_job *j)
{
    struct err e = err_none();
    switch (j->persist) {
    case CORE_PERSIST_START:
        log_put_view(s->batch, j->view);
        log_delete_clean(s->batch);
        break;
    case CORE_PERSIST_PREPARED:
        log_put_prepared(s->batch, j->seq, &j->digest, blob_bytes(j->record), blob_bytes(j->batch));
        break;
    case CORE_PERSIST_BLOCKS: break; /* the blocks are in the batch or on disk already */
    case CORE_PERSIST_STABLE: /* the core asks for it only when the blocks up to seq are durable */
        e = log_put_stable(s->log, s->batch, j->seq, blob_bytes(j->record));
        break;
    case CORE_PERSIST_VOTE:
        log_put_vote(s->batch, j->seq, &j->digest, blob_bytes(j->record), blob_bytes(j->batch));
        break;
    case CORE_PERSIST_CLEAN: log_put_clean(s->batch); break;
    case CORE_PERSIST_FENCE: log_put_fence(s->batch, j->seq, j->reason); break;
    case CORE_PERSIST_VIEW_LEFT: log_put_view_left(s->batch, j->view, blob_bytes(j->record)); break;
    case CORE_PERSIST_VIEW_CHANGE: log_put_view_change(s->batch, j->seq, blob_bytes(j->record)); break;
    case CORE_PERSIST_NEW_VIEW: log_put_new_view(s->batch, j->view, blob_bytes(j->record)); break;
    }
    if (err_is(&e)) end_process(&e);
    j->job.next = NULL;
    *s->unsynced_end = &j->job;
    s->unsynced_end = &j->job.next;
}

static void add_block(struct storage *s, struct storage_job *j)
{
    const struct bytes there_already = {0};
    log_put_block(s->batch, j->block, blob_bytes(j->certificate),
                  j->batch != NULL ? blob_bytes(j->batch) : there_already);
    if (s->blocks_since_us == 0) s->blocks_since_us = clock_monotonic_us();
    storage_job_free(j);
}

static void add_past_block(struct storage *s, struct storage_job *j)
{
    blocks_put_past(s->batch, j->gap_low, j->record, j->batch, j->checkpoint_good);
    if (s->blocks_since_us == 0) s->blocks_since_us = clock_monotonic_us();
    storage_job_free(j);
}

static void add_evidence(struct storage *s, struct storage_job *j)
{
    struct bytes known;
    const struct err e = log_get_evidence(s->log, j->seq, j->count, &known);
    if (err_is(&e)) {
        log_put_evidence(s->batch, j->seq, j->count, blob_bytes(j->record));
        if (s->blocks_since_us == 0) s->blocks_since_us = clock_monotonic_us();
    }
    storage_job_free(j);
}

/* A block that is damaged is one matter; pages that are, another: to write to them would make it worse. */
static void end_if_broken(const struct storage *s)
{
    const struct err e = kv_store_fault(s->log);
    if (err_is(&e)) end_process(&e);
}

/* A block as a DATA message; NULL when it is not here. */
static struct blob *read_block(struct storage *s, uint64_t seq, bool past)
{
    struct blob *out = NULL;
    const struct err e = past ? blocks_past_message(s->log, s->signer, seq, &out) : blocks_message(s->log, s->signer, seq, &out);
    if (err_is(&e)) LOG_LIMITED(LOG_LEVEL_WARN, "storage.read-block", 0, LOG_U("seq", seq), LOG_S("error", e.text));
    return out;
}

static void read_blocks(struct storage *s, struct storage_job *j)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < j->count && i < CORE_FETCH_BLOCKS_MAX && bytes < CORE_SERVE_BYTES_MAX; i++) {
        if (j->past && i >= j->seq) return;
        struct blob *b = read_block(s, j->past ? j->seq - i : j->seq + i, j->past);
        if (b == NULL) return;
        bytes += b->len;
        j->out[j->out_count++] = b;
    }
}

static void read_answer(struct storage *s, struct storage_job *j)
{
    struct wire_stored_block stored;
    struct reply_source source;
    struct err e = log_get_block(s->log, j->seq, &stored);
    j->missing = e.code == ERR_NOT_FOUND && log_in_gap(s->log, j->seq);
    if (j->missing) return;
    if (!err_is(&e)) {
        j->range.first = (uint32_t)(j->first_index - stored.header.first_index);
        e = reply_open(&source, s->signer, &stored.header, stored.entries);
    }
    if (err_is(&e)) {
        LOG_LIMITED(LOG_LEVEL_WARN, "storage.read-answer", 0, LOG_U("seq", j->seq), LOG_S("error", e.text));
        return;
    }
    struct blob *reply = reply_message(&source, j->view, &j->range, 1);
    if (reply != NULL) j->out[j->out_count++] = reply;
    reply_close(&source);
}

/* Some of the reads that wait; votes come first. */
static void serve_reads(struct storage *s)
{
    for (uint32_t i = 0; i < READS_A_ROUND && s->reads != NULL; i++) {
        struct storage_job *j = (struct storage_job *)s->reads;
        s->reads = j->job.next;
        if (s->reads == NULL) s->reads_end = &s->reads;
        (void)flush(s); /* what was given before is seen; on a full disk the reader gets what is there */
        if (j->kind == STORAGE_READ_BLOCKS)
            read_blocks(s, j);
        else
            read_answer(s, j);
        end_if_broken(s);
        worker_done(s->worker, &j->job);
    }
}

static void add_read(struct storage *s, struct storage_job *j)
{
    j->job.next = NULL;
    *s->reads_end = &j->job;
    s->reads_end = &j->job.next;
}

static void storage_run(void *context, struct worker_job *chain, uint32_t *wait_ms)
{
    struct storage *s = context;
    while (chain != NULL) {
        struct storage_job *j = (struct storage_job *)chain;
        chain = chain->next;
        switch (j->kind) {
        case STORAGE_PERSIST: add_persist(s, j); break;
        case STORAGE_BLOCK: add_block(s, j); break;
        case STORAGE_PAST_BLOCK: add_past_block(s, j); break;
        case STORAGE_EVIDENCE: add_evidence(s, j); break;
        case STORAGE_READ_BLOCKS:
        case STORAGE_READ_ANSWER: add_read(s, j); break;
        }
    }
    const uint64_t waited_us = s->blocks_since_us == 0 ? 0 : clock_monotonic_us() - s->blocks_since_us;
    const bool due = s->unsynced != NULL || (s->blocks_since_us != 0 && waited_us >= STORAGE_BLOCK_WAIT_MS * 1000u);
    if (due && !flush(s))
        *wait_ms = STORAGE_RETRY_MS;
    else if (s->blocks_since_us != 0) /* not due: less than STORAGE_BLOCK_WAIT_MS have passed */
        *wait_ms = STORAGE_BLOCK_WAIT_MS - (uint32_t)(waited_us / 1000u);
    serve_reads(s);
    if (s->reads != NULL) *wait_ms = 1;
}

struct err storage_start(struct kv_store *log, const struct reply_signer *signer, void (*notify)(void *context),
                         void *context, struct storage **out)
{
    struct storage *s = mem_zero(1, sizeof *s);
    s->log = log;
    s->signer = signer;
    s->batch = kv_batch_new();
    s->unsynced_end = &s->unsynced;
    s->reads_end = &s->reads;
    struct err e = worker_start("storage", storage_run, s, notify, context, &s->worker);
    if (err_is(&e)) {
        kv_batch_free(s->batch);
        free(s);
        return e;
    }
    *out = s;
    return err_none();
}

void storage_submit(struct storage *s, struct storage_job *job)
{
    worker_submit(s->worker, &job->job);
}

struct storage_job *storage_take_done(struct storage *s)
{
    return (struct storage_job *)worker_take_done(s->worker);
}

uint64_t storage_syncs(const struct storage *s)
{
    return atomic_load(&s->syncs);
}

bool storage_disk_full(const struct storage *s)
{
    return atomic_load(&s->disk_full);
}

void storage_stop(struct storage *s)
{
    worker_stop(s->worker);
    if (s->blocks_since_us != 0) (void)flush(s); /* the thread has ended: this is the only user now */
}

void storage_free(struct storage *s)
{
    if (s == NULL) return;
    struct storage_job *j;
    while ((j = storage_take_done(s)) != NULL)
        storage_job_free(j);
    while (s->unsynced != NULL) { /* the disk was full to the end */
        j = (struct storage_job *)s->unsynced;
        s->unsynced = j->job.next;
        storage_job_free(j);
    }
    while (s->reads != NULL) {
        j = (struct storage_job *)s->reads;
        s->reads = j->job.next;
        storage_job_free(j);
    }
    worker_free(s->worker);
    kv_batch_free(s->batch);
    free(s);
}
