/* worker.h - one thread with a bounded queue of jobs, and the way back to the loop.
 *
 * The thread takes everything that waits at once and hands it to `run` as a chain, so that `run` may group it. Finished jobs
 * go back one by one with worker_done, and the loop takes them when its wake-up comes.
 */
#ifndef PBFT_REPLICA_RUN_WORKER_H
#define PBFT_REPLICA_RUN_WORKER_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct worker;

/* Embedded in the caller's job. */
struct worker_job {
    struct worker_job *next;
};

/* On the thread: do these jobs, oldest first; each is given back with worker_done, now or in a later call. chain is NULL
 * when *wait_ms of the previous call has passed. Sets *wait_ms: how long to sleep at most when nothing comes, 0 for ever. */
typedef void (*worker_run)(void *context, struct worker_job *chain, uint32_t *wait_ms);

MUST_USE struct err worker_start(const char *name, worker_run run, void *context, void (*notify)(void *context),
                                 void *notify_context, struct worker **out);
/* Any thread. The queue's bound is the caller's: jobs come from bounded sources (the window, connections). */
void worker_submit(struct worker *w, struct worker_job *job);
/* The worker's thread. */
void worker_done(struct worker *w, struct worker_job *job);
/* The loop's thread; NULL when there is none. */
struct worker_job *worker_take_done(struct worker *w);
/* Lets the thread finish all that waits, then joins it. Finished jobs can still be taken until worker_free. */
void worker_stop(struct worker *w);
void worker_free(struct worker *w);

#endif
