/* worker.c - a thread with a queue. */
#include "replica/run/worker.h"

#include "base/bytes.h"
#include "base/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct chain {
    struct worker_job *first;
    struct worker_job *last;
};

struct worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct chain waiting;
    struct chain done;
    bool stopping;
    bool joined;
    worker_run run;
    void *context;
    void (*notify)(void *context);
    void *notify_context;
};

static void chain_push(struct chain *c, struct worker_job *job)
{
    job->next = NULL;
    if (c->last == NULL)
        c->first = job;
    else
        c->last->next = job;
    c->last = job;
}

/* Waits until there is something to do or wait_ms have passed; the lock is held. */
static void wait_for_work(struct worker *w, uint32_t wait_ms)
{
    struct timespec until;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    while (w->waiting.first == NULL && !w->stopping) {
        if (wait_ms == 0)
            (void)pthread_cond_wait(&w->wake, &w->lock);
        else if (pthread_cond_timedwait(&w->wake, &w->lock, &until) == ETIMEDOUT)
            return;
    }
}

static void *worker_main(void *argument)
{
    struct worker *w = argument;
    uint32_t wait_ms = 0;
    for (;;) {
        (void)pthread_mutex_lock(&w->lock);
        wait_for_work(w, wait_ms);
        struct worker_job *chain = w->waiting.first;
        const bool ending = w->stopping && chain == NULL;
        w->waiting = (struct chain){0};
        (void)pthread_mutex_unlock(&w->lock);
        wait_ms = 0;
        w->run(w->context, chain, &wait_ms);
        if (ending) return NULL;
    }
}

struct err worker_start(const char *name, worker_run run, void *context, void (*notify)(void *context),
                        void *notify_context, struct worker **out)
{
    pthread_condattr_t monotonic;
    struct worker *w = mem_zero(1, sizeof *w);
    w->run = run;
    w->context = context;
    w->notify = notify;
    w->notify_context = notify_context;
    CHECK(pthread_mutex_init(&w->lock, NULL) == 0);
    CHECK(pthread_condattr_init(&monotonic) == 0);
    CHECK(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&w->wake, &monotonic) == 0);
    (void)pthread_condattr_destroy(&monotonic);
    const int code = pthread_create(&w->thread, NULL, worker_main, w);
    if (code != 0) {
        w->joined = true;
        worker_free(w);
        return err_system(code, "cannot start the %s thread", name);
    }
    (void)pthread_setname_np(w->thread, name);
    *out = w;
    return err_none();
}

void worker_submit(struct worker *w, struct worker_job *job)
{
    (void)pthread_mutex_lock(&w->lock);
    chain_push(&w->waiting, job);
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
}

void worker_done(struct worker *w, struct worker_job *job)
{
    (void)pthread_mutex_lock(&w->lock);
    chain_push(&w->done, job);
    (void)pthread_mutex_unlock(&w->lock);
    w->notify(w->notify_context);
}

struct worker_job *worker_take_done(struct worker *w)
{
    (void)pthread_mutex_lock(&w->lock);
    struct worker_job *job = w->done.first;
    if (job != NULL) {
        w->done.first = job->next;
        if (w->done.first == NULL) w->done.last = NULL;
    }
    (void)pthread_mutex_unlock(&w->lock);
    return job;
}

void worker_stop(struct worker *w)
{
    if (w->joined) return;
    (void)pthread_mutex_lock(&w->lock);
    w->stopping = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL);
    w->joined = true;
}

void worker_free(struct worker *w)
{
    if (w == NULL) return;
    worker_stop(w);
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}
