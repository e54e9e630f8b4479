/* execution.c - the execution thread. */
#include "replica/run/execution.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "ledger/certified.h"
#include "ledger/data_dir.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WALK_REST_MOST_US 200000u

/* REPLYs of one block to one client: what its queue takes at once beside what waits there already. Past that the client
 * would be taken for one that does not read; it asks again for the rest. */
#define CLIENT_REPLIES_BYTES_MAX (CLIENT_QUEUE_BYTES_MAX - FRAME_BYTES_MAX / 2u)
_Static_assert(CLIENT_REPLIES_BYTES_MAX >= FRAME_BYTES_MAX, "the first REPLY of a block always goes out");

struct execution {
    struct worker *worker;
    struct executor *executor;
    struct kv_store *state;
    const struct reply_signer *signer;
    struct transfer *transfer; /* NULL: none has begun */
    struct blob *certificate;  /* of the base's checkpoint, once it is known */
    struct blob *fold_certificate; /* ... of the checkpoint to be folded */
    uint64_t fold_wanted;    /* highest stable checkpoint not folded yet, for a full disk to be tried again */
    struct worker_job *held; /* BATCH jobs, oldest first; more than one for a moment only, or while the disk is full */
    struct worker_job **held_end;
    uint32_t walk_load; /* percent */
    atomic_bool disk_full;
};

void execution_job_free(struct execution_job *j)
{
    if (j == NULL) return;
    blob_release(j->batch);
    blob_release(j->certificate);
    blob_release(j->query);
    blob_release(j->proof);
    blob_release(j->ask);
    blob_release(j->answer);
    transfer_out_release(&j->walk);
    executed_block_free(j->block);
    for (uint32_t i = 0; i < j->reply_count; i++)
        blob_release(j->replies[i].bytes);
    free(j->replies);
    free(j->settled);
    buffer_free(&j->value);
    free(j);
}

static _Noreturn void end_process(const struct err *e)
{
    LOG(LOG_LEVEL_ERROR, "execution.failed", LOG_S("error", e->text),
        LOG_S("action", e->code == ERR_CORRUPT ? "the process ends now; " DATA_DIR_LOOK
                                               : "the process ends now; check the disk, then start again"));
    abort();
}

/* False while the state is being transferred. */
static bool has_state(const struct execution *x)
{
    return x->transfer == NULL && x->executor != NULL;
}

static int compare_clients(const void *a, const void *b)
{
    const struct executed_request *const *x = a;
    const struct executed_request *const *y = b;
    if ((*x)->client != (*y)->client) return (*x)->client < (*y)->client ? -1 : 1;
    return (*x)->first < (*y)->first ? -1 : (*x)->first > (*y)->first ? 1 : 0;
}

/* The REPLYs with a client's entries: several messages under the one signature when a frame does not hold them all. */
static void reply_to_client(const struct reply_source *source, struct execution_job *j, uint32_t client,
                            const struct reply_range *ranges, uint32_t count)
{
    size_t sum = 0;
    for (uint32_t at = 0; at < count;) {
        const uint32_t taken = reply_fitting(source, ranges + at, count - at);
        struct blob *bytes = reply_message(source, j->view, ranges + at, taken);
        CHECK(bytes != NULL);
        CHECK_OP(bytes->len, <=, FRAME_BYTES_MAX);
        sum += bytes->len;
        if (sum > CLIENT_REPLIES_BYTES_MAX) {
            LOG_LIMITED(LOG_LEVEL_WARN, "execution.replies-left", client, LOG_U("client", client), LOG_U("seq", j->seq),
                        LOG_U("transactions", count - at), LOG_S("action", "none: the client asks again for them"));
            blob_release(bytes);
            return;
        }
        j->replies[j->reply_count++] = (struct execution_reply){.client = client, .bytes = bytes};
        at += taken;
    }
}

/* For each client with new entries in the block. */
static void make_replies(struct execution *x, struct execution_job *j)
{
    const struct executed_block *b = j->block;
    struct reply_source source;
    if (b->entry_count == 0) return;
    const struct executed_request **order = mem_alloc(sizeof *order * b->request_count);
    struct reply_range *ranges = mem_alloc(sizeof *ranges * b->request_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->request_count; i++)
        if (b->requests[i].verdict == WINDOW_NEW) order[count++] = &b->requests[i];
    qsort(order, count, sizeof *order, compare_clients);
    j->replies = mem_zero(count + 1u, sizeof *j->replies); /* at most one for each request */
    reply_open_executed(&source, x->signer, b);
    for (uint32_t i = 0; i < count;) {
        uint32_t n = 0;
        const uint32_t client = order[i]->client;
        for (; i < count && order[i]->client == client; i++)
            ranges[n++] = (struct reply_range){.first = order[i]->first, .count = order[i]->count};
        reply_to_client(&source, j, client, ranges, n);
    }
    reply_close(&source);
    free(order);
    free(ranges);
}

/* False when it has to wait until the state is folded. */
static bool run_batch(struct execution *x, struct execution_job *j)
{
    struct err e = executor_execute(x->executor, j->seq, blob_bytes(j->batch), &j->digest, &j->block);
    if (e.code == ERR_NO_SPACE) return false;
    if (err_is(&e)) end_process(&e);
    const struct executed_block *b = j->block;
    j->settled = mem_zero(b->request_count + 1u, sizeof *j->settled);
    for (uint32_t i = 0; i < b->request_count; i++) {
        const struct executed_request *r = &b->requests[i];
        if (r->client == UINT32_MAX || r->verdict == WINDOW_OUTSIDE) continue;
        j->settled[j->settled_count++] = (struct core_settled){.client = r->client, .seq = r->seq};
    }
    make_replies(x, j);
    executed_block_free_tree(j->block);
    return true;
}

static void run_held(struct execution *x)
{
    while (x->held != NULL) {
        struct worker_job *job = x->held;
        if (!run_batch(x, (struct execution_job *)job)) return;
        x->held = job->next;
        if (x->held == NULL) x->held_end = &x->held;
        worker_done(x->worker, job);
    }
}

static void run_certified(struct execution *x, struct execution_job *j, const struct wire_operation *op)
{
    struct certified_answer a;
    struct err e = certified_make(x->executor, x->certificate, op, &a);
    if (err_is(&e)) {
        e = state_note_damage(x->state, e);
        end_process(&e);
    }
    j->outcome = a.outcome;
    j->value = a.value;
    j->proof = a.proof;
    j->executed = a.seq;
}

static void run_query(struct execution *x, struct execution_job *j)
{
    struct wire_message m;
    struct app_result result = {.outcome = OUTCOME_REFUSED};
    j->unanswered = !has_state(x);
    if (j->unanswered) return;
    CHECK(wire_decode(blob_bytes(j->query), &m) == NULL); /* decoded before it was queued */
    if (m.query.mode == QUERY_MODE_CERTIFIED) {
        run_certified(x, j, &m.query.operation);
        return;
    }
    struct err e;
    executor_query(x->executor, &m.query.operation, &result);
    if (executor_fault(x->executor, &e)) end_process(&e); /* what could not be read must not be answered as absent */
    j->outcome = result.outcome;
    j->value = result.value;
    if (j->value.len > RESULT_BYTES_MAX) {
        j->outcome = OUTCOME_REFUSED;
        j->value.len = 0;
    }
    j->executed = executor_executed(x->executor);
}

static void run_find(struct execution *x, struct execution_job *j)
{
    j->verdict = WINDOW_NEW;
    if (!has_state(x)) return;
    const struct client_window *w = executor_window(x->executor, j->client);
    j->verdict = w == NULL ? WINDOW_OUTSIDE : window_judge(w, j->seq, &j->transaction);
    if (j->verdict == WINDOW_SAME) j->slot = *window_find(w, j->seq);
}

static void run_serve(struct execution *x, struct execution_job *j)
{
    if (!has_state(x)) return;
    const struct err e = transfer_answer(x->executor, x->state, x->certificate, x->signer, j->number, j->seq, j->ask, &j->answer);
    if (err_is(&e)) end_process(&e);
}

/* While it walks the thread has nothing else to do, but the machine and its disk may. */
static void rest(const struct execution *x, uint64_t worked_us)
{
    uint64_t pause_us = worked_us * (100u - x->walk_load) / x->walk_load;
    if (pause_us > WALK_REST_MOST_US) pause_us = WALK_REST_MOST_US;
    const struct timespec pause = {.tv_sec = (time_t)(pause_us / 1000000u), .tv_nsec = (long)(pause_us % 1000000u) * 1000};
    if (pause_us > 0) (void)nanosleep(&pause, NULL);
}

static void run_walk(struct execution *x, struct execution_job *j)
{
    const uint64_t began_us = clock_monotonic_us();
    const struct err e = j->kind == EXECUTION_WALK_BEGIN ? transfer_begin(x->state, j->seq, &x->transfer, &j->walk)
                                                         : transfer_piece(x->transfer, j->number, j->answer, &j->walk);
    if (err_is(&e)) end_process(&e);
    atomic_store(&x->disk_full, j->walk.disk_full);
    if (j->walk.disk_full)
        LOG_LIMITED(LOG_LEVEL_ERROR, "execution.disk-full", 0, LOG_U("target", j->walk.progress.target),
                    LOG_S("action", "free some space; the state transfer goes on by itself"));
    rest(x, clock_monotonic_us() - began_us);
}

static void fold(struct execution *x)
{
    struct err e = executor_fold(x->executor, x->fold_wanted);
    if (e.code == ERR_NO_SPACE) {
        if (!atomic_exchange(&x->disk_full, true))
            LOG(LOG_LEVEL_ERROR, "execution.disk-full", LOG_S("error", e.text),
                LOG_S("action", "free some space; this replica casts no vote until then and goes on by itself"));
        return;
    }
    if (err_is(&e)) end_process(&e);
    if (atomic_exchange(&x->disk_full, false)) LOG(LOG_LEVEL_INFO, "execution.disk-space-again", LOG_U("folded", x->fold_wanted));
    x->fold_wanted = 0;
    blob_release(x->certificate);
    x->certificate = x->fold_certificate;
    x->fold_certificate = NULL;
}

static void execution_run(void *context, struct worker_job *chain, uint32_t *wait_ms)
{
    struct execution *x = context;
    while (chain != NULL) {
        struct execution_job *j = (struct execution_job *)chain;
        chain = chain->next;
        switch (j->kind) {
        case EXECUTION_BATCH:
            j->job.next = NULL;
            *x->held_end = &j->job;
            x->held_end = &j->job.next;
            run_held(x);
            continue;
        case EXECUTION_FOLD:
            if (!has_state(x)) break;
            x->fold_wanted = j->seq;
            blob_release(x->fold_certificate);
            x->fold_certificate = blob_retain(j->certificate);
            break;
        case EXECUTION_SERVE_STATE: run_serve(x, j); break;
        case EXECUTION_WALK_BEGIN:
        case EXECUTION_WALK_PIECE: run_walk(x, j); break;
        case EXECUTION_QUERY: run_query(x, j); break;
        case EXECUTION_FIND: run_find(x, j); break;
        }
        worker_done(x->worker, &j->job);
    }
    if (x->fold_wanted != 0) fold(x);
    run_held(x);
    if (x->fold_wanted != 0) *wait_ms = EXECUTION_RETRY_MS;
}

struct err execution_start(struct executor *executor, struct kv_store *state, const struct reply_signer *signer,
                           uint32_t walk_load, void (*notify)(void *context), void *context, struct execution **out)
{
    struct execution *x = mem_zero(1, sizeof *x);
    x->executor = executor;
    x->state = state;
    x->signer = signer;
    x->walk_load = walk_load;
    x->held_end = &x->held;
    struct err e = worker_start("execution", execution_run, x, notify, context, &x->worker);
    if (err_is(&e)) {
        free(x);
        return e;
    }
    *out = x;
    return err_none();
}

void execution_submit(struct execution *x, struct execution_job *job)
{
    worker_submit(x->worker, &job->job);
}

struct execution_job *execution_take_done(struct execution *x)
{
    return (struct execution_job *)worker_take_done(x->worker);
}

bool execution_disk_full(const struct execution *x)
{
    return atomic_load(&x->disk_full);
}

void execution_stop(struct execution *x)
{
    worker_stop(x->worker);
}

void execution_free(struct execution *x)
{
    if (x == NULL) return;
    struct execution_job *j;
    execution_stop(x);
    while ((j = execution_take_done(x)) != NULL)
        execution_job_free(j);
    while (x->held != NULL) {
        j = (struct execution_job *)x->held;
        x->held = j->job.next;
        execution_job_free(j);
    }
    worker_free(x->worker);
    transfer_free(x->transfer);
    blob_release(x->certificate);
    blob_release(x->fold_certificate);
    free(x);
}
