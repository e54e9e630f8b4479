/* pool.h - the verification pool: worker threads that hash and verify off the loop's thread, and the bounded memory of
 * signatures already found good.
 *
 * The loop's thread submits jobs and takes them back when done; a job is owned by the pool in between. Jobs may finish
 * in any order. Nothing is decided here: a worker only fills in `valid` of each item.
 *
 * Whoever submits much, or what is dear to check, delays itself. Each member and each client has a lane of its own, and
 * a free worker takes one job by three rules: the classes alternate while both have something waiting; within a class
 * the lanes that have something waiting take turns, one job each; within a lane the oldest job is first.
 *
 *     class     lane   waiting, oldest first
 *     members   0      a b c d
 *               1                               taken in this order: a p e q b r f c g d
 *               2      e f g
 *     clients   0      p r
 *               7      q
 *
 * So a job that is first in its lane waits for the jobs that run, and then for at most one of each other lane of its
 * class and as many of the other class, however long their lanes are. A turn is one job, whatever it costs. The classes
 * alternate because clients are many: members' votes shall not wait for a turn of each of them. There may be as many
 * lanes as CLIENTS_MAX, for a lane without jobs costs a few words and no time; so no two clients need to share one.
 */
#ifndef PBFT_CRYPTO_POOL_H
#define PBFT_CRYPTO_POOL_H

#include "crypto/sign.h"

/* One signature to check. */
struct verify_item {
    struct public_key key;
    struct digest digest;
    struct signature signature;
    bool valid; /* out */
};

/* Embedded in the caller's own structure. */
struct verify_job {
    struct verify_job *next;             /* the pool's */
    uint32_t submitter;                  /* the pool's */
    void (*run)(struct verify_job *job); /* called on a worker thread; typically calls verify_cache_check */
};

/* Remembers good signatures by digest(signer, digest, signature). Thread-safe. At least `entries` are kept (rounded up
 * to a power of two); newer push out older ones in the same bucket. Bad signatures are never remembered. */
struct verify_cache;
struct verify_cache *verify_cache_new(uint32_t entries);
void verify_cache_free(struct verify_cache *c);
/* Fills item->valid from memory or by verifying; returns it. */
bool verify_cache_check(struct verify_cache *c, struct verify_item *item);
/* Counters since start. */
struct verify_counts {
    uint64_t verified;   /* checked and good */
    uint64_t remembered; /* answered from memory */
    uint64_t bad;        /* checked and refused */
};
struct verify_counts verify_cache_counts(const struct verify_cache *c);

enum verify_class { VERIFY_CLASS_MEMBER, VERIFY_CLASS_CLIENT };
#define VERIFY_CLASS_COUNT 2u

struct verify_pool_config {
    uint32_t threads; /* 1 to 64 */
    struct {
        uint32_t lanes;    /* one for each submitter of this class: numbers 0..lanes - 1 */
        uint32_t jobs_max; /* of this class inside at once: waiting, running, or done and not taken back */
    } classes[VERIFY_CLASS_COUNT];
    void (*notify)(void *context); /* called by a worker after each job: thread-safe and quick (ev_async_send) */
    void *context;
};

struct verify_pool;
/* Starts the workers. Errors: ERR_CONFIG for a number of threads out of range or a class that may have no job inside;
 * ERR_IO when the operating system has no thread left. */
MUST_USE struct err verify_pool_start(const struct verify_pool_config *config, struct verify_pool **out);
/* Hands job to the workers, at the end of this lane. False, and the job stays the caller's, when the class has jobs_max
 * inside: no class can take the other's room. */
MUST_USE bool verify_pool_submit(struct verify_pool *p, enum verify_class submitter, uint32_t lane,
                                 struct verify_job *job);
/* Takes back one finished job, or NULL. */
struct verify_job *verify_pool_take_done(struct verify_pool *p);
/* Jobs of a class inside: waiting, running, or done and not taken back. */
uint32_t verify_pool_inside(struct verify_pool *p, enum verify_class submitter);
/* Waits for the running jobs, then ends the workers. Jobs not started and those done and not taken are given to
 * `drop`, on the caller's thread. */
void verify_pool_stop(struct verify_pool *p, void (*drop)(struct verify_job *job));

#endif
