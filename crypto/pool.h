/* pool.h - the verification pool: worker threads that hash and verify off the loop's thread, and the bounded memory of
 * signatures already found good.
 *
 * The loop's thread submits jobs and takes them back when done; a job is owned by the pool in between. Jobs may finish
 * in any order. Nothing is decided here: a worker only fills in `valid` of each item.
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
    void (*run)(struct verify_job *job); /* called on a worker thread; typically calls verify_cache_check */
};

/* Remembers good signatures by digest(signer, digest, signature). Thread-safe. At least `entries` are kept (rounded up
 * to a power of two); newer push out older ones in the same bucket. Bad signatures are never remembered. */
struct verify_cache;
struct verify_cache *verify_cache_new(uint32_t entries);
void verify_cache_free(struct verify_cache *c);
/* Fills item->valid from memory or by verifying; returns it. */
bool verify_cache_check(struct verify_cache *c, struct verify_item *item);
/* True when this signature is remembered as good; never verifies. */
bool verify_cache_has(struct verify_cache *c, const struct verify_item *item);
/* Counters since start. */
struct verify_counts {
    uint64_t verified;   /* checked and good */
    uint64_t remembered; /* answered from memory */
    uint64_t bad;        /* checked and refused */
};
struct verify_counts verify_cache_counts(const struct verify_cache *c);

struct verify_pool;
/* Starts `threads` workers (1 to 64). notify(context) is called from a worker after each job is done: it must be
 * thread-safe and quick (ev_async_send). At most jobs_max jobs may be inside at once. */
MUST_USE struct err verify_pool_start(uint32_t threads, uint32_t jobs_max, void (*notify)(void *context), void *context,
                                      struct verify_pool **out);
/* Hands job to the workers. False, and the job stays the caller's, when jobs_max are inside. */
MUST_USE bool verify_pool_submit(struct verify_pool *p, struct verify_job *job);
/* Takes back one finished job, or NULL. */
struct verify_job *verify_pool_take_done(struct verify_pool *p);
/* Jobs inside: waiting, running, or done and not taken back. */
uint32_t verify_pool_inside(const struct verify_pool *p);
/* Waits for the running jobs, then ends the workers. Jobs not started and those done and not taken are given to
 * `drop`, on the caller's thread. */
void verify_pool_stop(struct verify_pool *p, void (*drop)(struct verify_job *job));

#endif
