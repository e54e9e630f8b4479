/* pool.c - worker threads with a bounded number of jobs, and the memory of good signatures.
 *
 * Pool: one lock over all lists. A job is in its lane, in a worker's hands, or in the list of those done; it counts as
 * inside from submit until take_done, so memory is bounded by what the caller allows. A lane is in its class's queue
 * exactly while it holds jobs: the next job is found without looking at lanes that have none.
 *
 * Cache: a table of buckets of VERIFY_CACHE_WAYS tags. A tag is a hash of (key, digest, signature):
 * to be taken for a good signature, another one would have to collide with SHA-256. The buckets are
 * spread over VERIFY_CACHE_LOCKS locks; no lock is held while a signature is verified.
 */
#include "crypto/pool.h"

#include "base/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define VERIFY_THREADS_MAX 64u
#define VERIFY_CACHE_WAYS 8u
#define VERIFY_CACHE_LOCKS 64u

struct cache_bucket {
    uint8_t used;   /* tags[0] to tags[used - 1] are set */
    uint8_t oldest; /* once all are set: the one to replace next */
    struct digest tags[VERIFY_CACHE_WAYS];
};

struct verify_cache {
    pthread_mutex_t locks[VERIFY_CACHE_LOCKS]; /* lock i guards the buckets whose index ends in i */
    atomic_uint_fast64_t verified;
    atomic_uint_fast64_t remembered;
    atomic_uint_fast64_t bad;
    uint64_t bucket_mask;
    struct cache_bucket *buckets;
};

/* First in, first out. */
struct job_list {
    struct verify_job *head;
    struct verify_job *tail;
};

/* What one submitter has waiting. */
struct lane {
    struct job_list jobs;
    struct lane *next; /* in turns */
};

struct lane_class {
    struct lane *lanes;
    uint32_t lane_count;
    struct lane *turn_first; /* the queue of lanes that hold jobs: whose turn it is, */
    struct lane *turn_last;  /* and who waits longest for one */
    uint32_t inside;
    uint32_t jobs_max;
};

struct verify_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* a job waits, or stopping */
    struct lane_class classes[VERIFY_CLASS_COUNT];
    uint32_t class_next; /* whose turn it is, if it has something waiting */
    struct job_list done;
    bool stopping;
    void (*notify)(void *context);
    void *context;
    uint32_t thread_count;
    pthread_t threads[VERIFY_THREADS_MAX];
};

static void lock_take(pthread_mutex_t *lock)
{
    CHECK(pthread_mutex_lock(lock) == 0);
}

static void lock_drop(pthread_mutex_t *lock)
{
    CHECK(pthread_mutex_unlock(lock) == 0);
}

struct verify_cache *verify_cache_new(uint32_t entries)
{
    uint64_t room = VERIFY_CACHE_WAYS;
    while (room < entries)
        room *= 2;
    struct verify_cache *c = mem_zero(1, sizeof *c);
    c->buckets = mem_zero((size_t)(room / VERIFY_CACHE_WAYS), sizeof *c->buckets);
    c->bucket_mask = room / VERIFY_CACHE_WAYS - 1;
    for (uint32_t i = 0; i < VERIFY_CACHE_LOCKS; i++)
        CHECK(pthread_mutex_init(&c->locks[i], NULL) == 0);
    atomic_init(&c->verified, 0);
    atomic_init(&c->remembered, 0);
    atomic_init(&c->bad, 0);
    return c;
}

void verify_cache_free(struct verify_cache *c)
{
    if (c == NULL) return;
    for (uint32_t i = 0; i < VERIFY_CACHE_LOCKS; i++)
        CHECK(pthread_mutex_destroy(&c->locks[i]) == 0);
    free(c->buckets);
    free(c);
}

static struct digest item_tag(const struct verify_item *item)
{
    struct hasher h;
    struct digest tag;
    hasher_start(&h, DIGEST_DOMAIN_SIGNATURE);
    hasher_add(&h, item->key.bytes, PUBLIC_KEY_BYTES);
    hasher_add(&h, item->digest.bytes, DIGEST_BYTES);
    hasher_add(&h, item->signature.bytes, SIGNATURE_BYTES);
    hasher_finish(&h, &tag);
    return tag;
}

static uint64_t tag_bucket(const struct verify_cache *c, const struct digest *tag)
{
    return be64_get(tag->bytes) & c->bucket_mask;
}

static bool bucket_has(const struct cache_bucket *b, const struct digest *tag)
{
    for (uint32_t i = 0; i < b->used; i++)
        if (digest_equal(&b->tags[i], tag)) return true;
    return false;
}

static bool cache_has(struct verify_cache *c, const struct digest *tag)
{
    const uint64_t index = tag_bucket(c, tag);
    pthread_mutex_t *lock = &c->locks[index % VERIFY_CACHE_LOCKS];
    lock_take(lock);
    const bool has = bucket_has(&c->buckets[index], tag);
    lock_drop(lock);
    return has;
}

static void cache_put(struct verify_cache *c, const struct digest *tag)
{
    const uint64_t index = tag_bucket(c, tag);
    struct cache_bucket *b = &c->buckets[index];
    pthread_mutex_t *lock = &c->locks[index % VERIFY_CACHE_LOCKS];
    lock_take(lock);
    /* Two workers may have verified the same signature at once; it takes one place. */
    if (!bucket_has(b, tag)) {
        if (b->used < VERIFY_CACHE_WAYS) {
            b->tags[b->used++] = *tag;
        } else {
            b->tags[b->oldest] = *tag;
            b->oldest = (uint8_t)((b->oldest + 1u) % VERIFY_CACHE_WAYS);
        }
    }
    lock_drop(lock);
}

bool verify_cache_check(struct verify_cache *c, struct verify_item *item)
{
    const struct digest tag = item_tag(item);
    if (cache_has(c, &tag)) {
        atomic_fetch_add_explicit(&c->remembered, 1, memory_order_relaxed);
        item->valid = true;
        return true;
    }
    item->valid = sign_verify(&item->key, &item->digest, &item->signature);
    atomic_fetch_add_explicit(item->valid ? &c->verified : &c->bad, 1, memory_order_relaxed);
    /* Bad ones are not kept: whoever makes them up could otherwise push out the good. */
    if (item->valid) cache_put(c, &tag);
    return item->valid;
}

struct verify_counts verify_cache_counts(const struct verify_cache *c)
{
    return (struct verify_counts){.verified = atomic_load_explicit(&c->verified, memory_order_relaxed),
                                  .remembered = atomic_load_explicit(&c->remembered, memory_order_relaxed),
                                  .bad = atomic_load_explicit(&c->bad, memory_order_relaxed)};
}

static void list_put(struct job_list *list, struct verify_job *job)
{
    job->next = NULL;
    if (list->tail == NULL)
        list->head = job;
    else
        list->tail->next = job;
    list->tail = job;
}

static struct verify_job *list_take(struct job_list *list)
{
    struct verify_job *job = list->head;
    if (job == NULL) return NULL;
    list->head = job->next;
    if (list->head == NULL) list->tail = NULL;
    job->next = NULL;
    return job;
}

static void turn_put(struct lane_class *c, struct lane *lane)
{
    lane->next = NULL;
    if (c->turn_last == NULL)
        c->turn_first = lane;
    else
        c->turn_last->next = lane;
    c->turn_last = lane;
}

static void lane_put(struct lane_class *c, struct lane *lane, struct verify_job *job)
{
    const bool waits = lane->jobs.head != NULL;
    list_put(&lane->jobs, job);
    if (!waits) turn_put(c, lane);
}

/* One job of the lane whose turn it is; if it has more, they wait until all others had theirs. */
static struct verify_job *class_take(struct lane_class *c)
{
    struct lane *lane = c->turn_first;
    if (lane == NULL) return NULL;
    c->turn_first = lane->next;
    if (c->turn_first == NULL) c->turn_last = NULL;
    struct verify_job *job = list_take(&lane->jobs);
    if (lane->jobs.head != NULL) turn_put(c, lane);
    return job;
}

/* The next job of all, or NULL. */
static struct verify_job *waiting_take(struct verify_pool *p)
{
    for (uint32_t k = 0; k < VERIFY_CLASS_COUNT; k++) {
        struct verify_job *job = class_take(&p->classes[(p->class_next + k) % VERIFY_CLASS_COUNT]);
        if (job == NULL) continue;
        p->class_next = (job->submitter + 1) % VERIFY_CLASS_COUNT;
        return job;
    }
    return NULL;
}

/* Waits for the next job; NULL when the pool stops, even if jobs wait. */
static struct verify_job *worker_next(struct verify_pool *p)
{
    struct verify_job *job = NULL;
    lock_take(&p->lock);
    while (!p->stopping && (job = waiting_take(p)) == NULL)
        CHECK(pthread_cond_wait(&p->wake, &p->lock) == 0);
    lock_drop(&p->lock);
    return job;
}

static void *worker_main(void *argument)
{
    struct verify_pool *p = argument;
    struct verify_job *job;
    while ((job = worker_next(p)) != NULL) {
        job->run(job);
        lock_take(&p->lock);
        list_put(&p->done, job);
        lock_drop(&p->lock);
        /* After the job is in the list, so that whoever is woken finds it; outside the lock, so that it may look. */
        p->notify(p->context);
    }
    return NULL;
}

static void workers_end(struct verify_pool *p)
{
    lock_take(&p->lock);
    p->stopping = true;
    CHECK(pthread_cond_broadcast(&p->wake) == 0);
    lock_drop(&p->lock);
    for (uint32_t i = 0; i < p->thread_count; i++)
        CHECK(pthread_join(p->threads[i], NULL) == 0);
}

static void pool_free(struct verify_pool *p)
{
    CHECK(pthread_cond_destroy(&p->wake) == 0);
    CHECK(pthread_mutex_destroy(&p->lock) == 0);
    for (uint32_t i = 0; i < VERIFY_CLASS_COUNT; i++)
        free(p->classes[i].lanes);
    free(p);
}

struct err verify_pool_start(const struct verify_pool_config *config, struct verify_pool **out)
{
    const uint32_t threads = config->threads;
    if (threads == 0 || threads > VERIFY_THREADS_MAX)
        return err_make(ERR_CONFIG, "%u verification threads asked for: choose 1 to %u", threads, VERIFY_THREADS_MAX);
    for (uint32_t i = 0; i < VERIFY_CLASS_COUNT; i++)
        if (config->classes[i].jobs_max == 0)
            return err_make(ERR_CONFIG, "a verification pool that takes no jobs: choose at least 1");
    struct verify_pool *p = mem_zero(1, sizeof *p);
    CHECK(pthread_mutex_init(&p->lock, NULL) == 0);
    CHECK(pthread_cond_init(&p->wake, NULL) == 0);
    for (uint32_t i = 0; i < VERIFY_CLASS_COUNT; i++) {
        struct lane_class *c = &p->classes[i];
        c->lane_count = config->classes[i].lanes;
        c->lanes = mem_zero(c->lane_count + 1u, sizeof *c->lanes); /* a group may have no clients */
        c->jobs_max = config->classes[i].jobs_max;
    }
    p->notify = config->notify;
    p->context = config->context;
    for (; p->thread_count < threads; p->thread_count++) {
        const int failure = pthread_create(&p->threads[p->thread_count], NULL, worker_main, p);
        if (failure != 0) {
            struct err e =
                err_system(failure, "cannot start verification thread %u of %u", p->thread_count + 1, threads);
            workers_end(p);
            pool_free(p);
            return e;
        }
        (void)pthread_setname_np(p->threads[p->thread_count], "verify");
    }
    *out = p;
    return err_none();
}

bool verify_pool_submit(struct verify_pool *p, enum verify_class submitter, uint32_t lane, struct verify_job *job)
{
    struct lane_class *c = &p->classes[submitter];
    CHECK_OP(lane, <, c->lane_count);
    lock_take(&p->lock);
    const bool room = c->inside < c->jobs_max;
    if (room) {
        c->inside++;
        job->submitter = submitter;
        lane_put(c, &c->lanes[lane], job);
        CHECK(pthread_cond_signal(&p->wake) == 0);
    }
    lock_drop(&p->lock);
    return room;
}

struct verify_job *verify_pool_take_done(struct verify_pool *p)
{
    lock_take(&p->lock);
    struct verify_job *job = list_take(&p->done);
    if (job != NULL) p->classes[job->submitter].inside--;
    lock_drop(&p->lock);
    return job;
}

uint32_t verify_pool_inside(struct verify_pool *p, enum verify_class submitter)
{
    lock_take(&p->lock);
    const uint32_t inside = p->classes[submitter].inside;
    lock_drop(&p->lock);
    return inside;
}

void verify_pool_stop(struct verify_pool *p, void (*drop)(struct verify_job *job))
{
    struct verify_job *job;
    workers_end(p);
    while ((job = waiting_take(p)) != NULL)
        drop(job);
    while ((job = list_take(&p->done)) != NULL)
        drop(job);
    pool_free(p);
}
