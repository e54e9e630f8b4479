/* test_pool.c - the memory of good signatures and the verification workers; whose turn it is: test_pool_lanes.c. Clean
 * under TSan. */
#include "crypto/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct secret_key secret;
static struct public_key public;

static int group_setup(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {1};
    const struct err e = sign_start();
    sign_key_from_seed(seed, &secret, &public);
    return err_is(&e) ? -1 : 0;
}

/* Item `number`, signed; distinct numbers give distinct signatures. */
static struct verify_item item_good(uint64_t number)
{
    struct verify_item item = {.key = public, .valid = false};
    be64_put(item.digest.bytes, number);
    sign_digest(&secret, &item.digest, &item.signature);
    return item;
}

static struct verify_item item_bad(uint64_t number)
{
    struct verify_item item = item_good(number);
    item.signature.bytes[0] ^= 1;
    return item;
}

/* ---- cache ---- */

static void assert_counts(const struct verify_cache *c, uint64_t verified, uint64_t remembered, uint64_t bad)
{
    const struct verify_counts counts = verify_cache_counts(c);
    assert_int_equal(counts.verified, verified);
    assert_int_equal(counts.remembered, remembered);
    assert_int_equal(counts.bad, bad);
}

/* Whether a good item was remembered; it is from now on. Being asked for does not make one that is remembered newer. */
static bool is_remembered(struct verify_cache *c, struct verify_item *item)
{
    const uint64_t before = verify_cache_counts(c).remembered;
    assert_true(verify_cache_check(c, item));
    return verify_cache_counts(c).remembered > before;
}

static void test_verify_cache_bad_signature_is_never_remembered(void **state)
{
    (void)state;
    struct verify_cache *c = verify_cache_new(64);
    struct verify_item item = item_bad(1);
    for (uint64_t i = 1; i <= 3; i++) {
        item.valid = true;
        assert_false(verify_cache_check(c, &item));
        assert_false(item.valid);
        assert_counts(c, 0, 0, i);
    }
    verify_cache_free(c);
}

static void test_verify_cache_good_signature_with_any_part_changed_is_bad(void **state)
{
    (void)state;
    struct verify_cache *c = verify_cache_new(64);
    struct verify_item item = item_good(1);
    assert_true(verify_cache_check(c, &item));
    for (uint32_t bit = 0; bit < 8 * SIGNATURE_BYTES; bit += 5) {
        struct verify_item changed = item;
        changed.signature.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(verify_cache_check(c, &changed));
    }
    for (uint32_t bit = 0; bit < 8 * DIGEST_BYTES; bit += 5) {
        struct verify_item changed = item;
        changed.digest.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(verify_cache_check(c, &changed));
        changed = item;
        changed.key.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(verify_cache_check(c, &changed));
    }
    assert_true(is_remembered(c, &item));
    verify_cache_free(c);
}

static void test_verify_cache_good_signature_is_verified_once(void **state)
{
    (void)state;
    struct verify_cache *c = verify_cache_new(64);
    struct verify_item item = item_good(1);
    assert_true(verify_cache_check(c, &item));
    assert_true(item.valid);
    assert_counts(c, 1, 0, 0);
    item.valid = false;
    assert_true(verify_cache_check(c, &item));
    assert_true(item.valid);
    assert_counts(c, 1, 1, 0);
    verify_cache_free(c);
}

/* The smallest cache is one bucket of 8, where it can be seen which ones are kept. */
static void test_verify_cache_full_bucket_forgets_oldest_first(void **state)
{
    (void)state;
    struct verify_item items[20];
    for (uint32_t i = 0; i < 20; i++)
        items[i] = item_good(i);
    for (uint32_t count = 9; count <= 20; count++) {
        struct verify_cache *c = verify_cache_new(8);
        for (uint32_t i = 0; i < count; i++)
            assert_false(is_remembered(c, &items[i]));
        for (uint32_t i = count - 8; i < count; i++)
            assert_true(is_remembered(c, &items[i]));
        assert_false(is_remembered(c, &items[count - 9]));
        verify_cache_free(c);
    }
}

static void test_verify_cache_of_no_or_few_entries_keeps_one_bucket(void **state)
{
    (void)state;
    for (uint32_t entries = 0; entries <= 8; entries++) {
        struct verify_cache *c = verify_cache_new(entries);
        struct verify_item items[8];
        for (uint32_t i = 0; i < 8; i++) {
            items[i] = item_good(i);
            assert_true(verify_cache_check(c, &items[i]));
        }
        for (uint32_t i = 0; i < 8; i++)
            assert_true(is_remembered(c, &items[i]));
        verify_cache_free(c);
    }
}

/* A cache of n entries has room for n: spread over its buckets, nearly all of n / 2 stay. */
static void test_verify_cache_half_full_keeps_nearly_all(void **state)
{
    (void)state;
    enum { ENTRIES = 1000, USED = 500 };
    struct verify_cache *c = verify_cache_new(ENTRIES);
    static struct verify_item items[USED];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < USED; i++) {
        items[i] = item_good(i);
        assert_true(verify_cache_check(c, &items[i]));
    }
    for (uint32_t i = 0; i < USED; i++)
        if (is_remembered(c, &items[i])) kept++;
    assert_true(kept >= USED - USED / 20);
    verify_cache_free(c);
}

static void test_verify_cache_free_of_null_does_nothing(void **state)
{
    (void)state;
    verify_cache_free(NULL);
}

/* ---- pool ---- */

/* What the workers and the test's thread share. */
struct bench {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t notified;
    uint32_t running;  /* gate jobs that have started */
    bool open;         /* gate jobs may end */
    uint32_t dropped;  /* counted by drop_job */
    pthread_t dropper; /* who called drop_job last */
};

static struct bench bench = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

struct test_job {
    struct verify_job job; /* first: a job is its test_job */
    struct verify_cache *cache;
    struct verify_item item;
    bool expected;
    uint32_t runs;
    uint32_t drops;
};

static int bench_setup(void **state)
{
    (void)state;
    bench.notified = 0;
    bench.running = 0;
    bench.open = false;
    bench.dropped = 0;
    return 0;
}

static void bench_notify(void *context)
{
    struct bench *b = context;
    (void)pthread_mutex_lock(&b->lock);
    b->notified++;
    (void)pthread_cond_broadcast(&b->changed);
    (void)pthread_mutex_unlock(&b->lock);
}

static void bench_wait_notified(uint32_t count)
{
    (void)pthread_mutex_lock(&bench.lock);
    while (bench.notified < count)
        (void)pthread_cond_wait(&bench.changed, &bench.lock);
    (void)pthread_mutex_unlock(&bench.lock);
}

static void bench_wait_running(uint32_t count)
{
    (void)pthread_mutex_lock(&bench.lock);
    while (bench.running < count)
        (void)pthread_cond_wait(&bench.changed, &bench.lock);
    (void)pthread_mutex_unlock(&bench.lock);
}

static void bench_open(void)
{
    (void)pthread_mutex_lock(&bench.lock);
    bench.open = true;
    (void)pthread_cond_broadcast(&bench.changed);
    (void)pthread_mutex_unlock(&bench.lock);
}

static void run_count(struct verify_job *job)
{
    ((struct test_job *)(void *)job)->runs++;
}

static void run_verify(struct verify_job *job)
{
    struct test_job *t = (struct test_job *)(void *)job;
    t->runs++;
    (void)verify_cache_check(t->cache, &t->item);
}

/* Holds its worker until bench_open. */
static void run_gate(struct verify_job *job)
{
    (void)pthread_mutex_lock(&bench.lock);
    bench.running++;
    (void)pthread_cond_broadcast(&bench.changed);
    while (!bench.open)
        (void)pthread_cond_wait(&bench.changed, &bench.lock);
    (void)pthread_mutex_unlock(&bench.lock);
    ((struct test_job *)(void *)job)->runs++;
}

/* Work that takes a millisecond. */
static void run_slow(struct verify_job *job)
{
    const struct timespec millisecond = {.tv_nsec = 1000000};
    (void)nanosleep(&millisecond, NULL);
    ((struct test_job *)(void *)job)->runs++;
}

static void drop_job(struct verify_job *job)
{
    ((struct test_job *)(void *)job)->drops++;
    /* The job is the caller's again: its memory may go away at once. */
    memset(job, 0xa5, sizeof *job);
    bench.dropped++;
    bench.dropper = pthread_self();
}

static void drop_none(struct verify_job *job)
{
    (void)job;
    bench.dropped++;
}

#define LANES 4u

static struct verify_pool_config pool_config(uint32_t threads, uint32_t jobs_max)
{
    return (struct verify_pool_config){.threads = threads,
                                       .classes = {[VERIFY_CLASS_MEMBER] = {.lanes = LANES, .jobs_max = jobs_max},
                                                   [VERIFY_CLASS_CLIENT] = {.lanes = LANES, .jobs_max = jobs_max}},
                                       .notify = bench_notify,
                                       .context = &bench};
}

static struct verify_pool *pool_start(uint32_t threads, uint32_t jobs_max)
{
    const struct verify_pool_config config = pool_config(threads, jobs_max);
    struct verify_pool *p = NULL;
    const struct err e = verify_pool_start(&config, &p);
    assert_string_equal(e.text, "");
    assert_non_null(p);
    return p;
}

/* To the first member's lane. */
static bool pool_submit(struct verify_pool *p, struct test_job *t)
{
    return verify_pool_submit(p, VERIFY_CLASS_MEMBER, 0, &t->job);
}

static void test_verify_pool_start_with_numbers_out_of_range_is_refused(void **state)
{
    (void)state;
    struct verify_pool *const before = (struct verify_pool *)(void *)&bench;
    struct verify_pool *p = before;
    static const uint32_t bad[][2] = {{0, 1}, {65, 1}, {UINT32_MAX, 1}, {1, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct verify_pool_config config = pool_config(bad[i][0], bad[i][1]);
        const struct err e = verify_pool_start(&config, &p);
        assert_int_equal(e.code, ERR_CONFIG);
        assert_ptr_equal(p, before);
    }
    struct verify_pool_config config = pool_config(1, 1);
    config.classes[VERIFY_CLASS_CLIENT].jobs_max = 0;
    const struct err e = verify_pool_start(&config, &p);
    assert_int_equal(e.code, ERR_CONFIG);
}

static void test_verify_pool_start_with_least_and_most_threads_works(void **state)
{
    (void)state;
    verify_pool_stop(pool_start(1, 1), drop_none);
    verify_pool_stop(pool_start(64, UINT32_MAX), drop_none);
    assert_int_equal(bench.dropped, 0);
}

static void test_verify_pool_class_without_lanes_works(void **state)
{
    (void)state;
    struct verify_pool_config config = pool_config(1, 1);
    struct test_job job = {.job = {.run = run_count}};
    struct verify_pool *p;
    config.classes[VERIFY_CLASS_CLIENT].lanes = 0; /* a group without clients */
    const struct err e = verify_pool_start(&config, &p);
    assert_int_equal(e.code, ERR_NONE);
    assert_true(pool_submit(p, &job));
    bench_wait_notified(1);
    verify_pool_stop(p, drop_none);
    assert_int_equal(job.runs, 1);
}

static void test_verify_pool_take_done_with_nothing_done_is_null(void **state)
{
    (void)state;
    struct verify_pool *p = pool_start(1, 4);
    struct test_job gate = {.job = {.run = run_gate}};
    assert_null(verify_pool_take_done(p));
    assert_true(pool_submit(p, &gate));
    bench_wait_running(1);
    assert_null(verify_pool_take_done(p)); /* running is not done */
    bench_open();
    bench_wait_notified(1);
    assert_ptr_equal(verify_pool_take_done(p), &gate.job);
    assert_null(verify_pool_take_done(p));
    verify_pool_stop(p, drop_none);
    assert_int_equal(bench.dropped, 0);
}

static void test_verify_pool_submit_past_maximum_is_refused_until_taken(void **state)
{
    (void)state;
    struct verify_pool *p = pool_start(2, 3);
    struct test_job jobs[3] = {{.job = {.run = run_count}}, {.job = {.run = run_count}}, {.job = {.run = run_count}}};
    struct test_job more = {.job = {.run = run_count}};
    for (uint32_t i = 0; i < 3; i++)
        assert_true(pool_submit(p, &jobs[i]));
    assert_false(pool_submit(p, &more));
    bench_wait_notified(3);
    /* Done and not taken back still counts. */
    assert_false(pool_submit(p, &more));
    assert_non_null(verify_pool_take_done(p));
    assert_true(pool_submit(p, &more));
    assert_false(pool_submit(p, &more));
    bench_wait_notified(4);
    for (uint32_t i = 0; i < 3; i++)
        assert_non_null(verify_pool_take_done(p));
    assert_null(verify_pool_take_done(p));
    verify_pool_stop(p, drop_none);
    assert_int_equal(more.runs, 1);
    assert_int_equal(bench.dropped, 0);
}

static void test_verify_pool_of_one_thread_runs_in_order(void **state)
{
    (void)state;
    struct verify_pool *p = pool_start(1, 10);
    struct test_job jobs[10];
    for (uint32_t i = 0; i < 10; i++) {
        jobs[i] = (struct test_job){.job = {.run = run_count}};
        assert_true(pool_submit(p, &jobs[i]));
    }
    bench_wait_notified(10);
    for (uint32_t i = 0; i < 10; i++)
        assert_ptr_equal(verify_pool_take_done(p), &jobs[i].job);
    verify_pool_stop(p, drop_none);
}

static void test_verify_pool_threads_run_at_the_same_time(void **state)
{
    (void)state;
    struct verify_pool *p = pool_start(4, 4);
    struct test_job gates[4];
    for (uint32_t i = 0; i < 4; i++) {
        gates[i] = (struct test_job){.job = {.run = run_gate}};
        assert_true(pool_submit(p, &gates[i]));
    }
    bench_wait_running(4); /* would wait for ever if one worker did them all */
    bench_open();
    bench_wait_notified(4);
    verify_pool_stop(p, drop_job);
    assert_int_equal(bench.dropped, 4);
}

/* Whoever waits for a notification must then find the job. */
static void test_verify_pool_job_is_done_before_notification(void **state)
{
    (void)state;
    struct verify_pool *p = pool_start(4, 1);
    struct test_job job = {.job = {.run = run_count}};
    for (uint32_t i = 1; i <= 2000; i++) {
        assert_true(pool_submit(p, &job));
        bench_wait_notified(i);
        assert_ptr_equal(verify_pool_take_done(p), &job.job);
        assert_int_equal(job.runs, i);
    }
    verify_pool_stop(p, drop_none);
}

static void test_verify_pool_stop_drops_each_job_once_on_callers_thread(void **state)
{
    (void)state;
    enum { JOBS = 10000 };
    struct verify_pool *p = pool_start(1, JOBS + 2);
    static struct test_job jobs[JOBS];
    struct test_job done = {.job = {.run = run_count}};
    struct test_job gate = {.job = {.run = run_gate}};
    uint32_t ran = 0;
    assert_true(pool_submit(p, &done));
    bench_wait_notified(1);
    assert_true(pool_submit(p, &gate));
    bench_wait_running(1);
    for (uint32_t i = 0; i < JOBS; i++) {
        jobs[i] = (struct test_job){.job = {.run = run_slow}};
        assert_true(pool_submit(p, &jobs[i]));
    }
    bench_open();
    verify_pool_stop(p, drop_job);
    assert_int_equal(bench.dropped, JOBS + 2);
    assert_true(pthread_equal(bench.dropper, pthread_self()));
    assert_int_equal(done.drops, 1);
    assert_int_equal(gate.drops, 1);
    assert_int_equal(gate.runs, 1); /* what runs is waited for */
    for (uint32_t i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].drops, 1);
        ran += jobs[i].runs;
    }
    assert_true(ran < JOBS); /* ten seconds of work: what waits is not begun */
}

/* Many threads, one small cache, good, bad and repeated items, with a caller that keeps the pool full. */
static void test_verify_pool_with_shared_cache_answers_every_item_rightly(void **state)
{
    (void)state;
    enum { JOBS = 2000, INSIDE = 64, DISTINCT = 50 };
    struct verify_cache *c = verify_cache_new(32);
    struct verify_pool *p = pool_start(8, INSIDE);
    static struct test_job jobs[JOBS];
    struct verify_item kinds[2 * DISTINCT];
    uint32_t submitted = 0;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < DISTINCT; i++) {
        kinds[2 * i] = item_good(i);
        kinds[2 * i + 1] = item_bad(i);
    }
    for (uint32_t i = 0; i < JOBS; i++)
        jobs[i] = (struct test_job){
            .job = {.run = run_verify}, .cache = c, .item = kinds[i * 7 % (2 * DISTINCT)], .expected = i * 7 % 2 == 0};
    while (taken < JOBS) {
        while (submitted < JOBS && verify_pool_submit(p, submitted % 2, submitted / 2 % LANES, &jobs[submitted].job))
            submitted++;
        bench_wait_notified(taken + 1);
        struct verify_job *job;
        while ((job = verify_pool_take_done(p)) != NULL) {
            const struct test_job *t = (const struct test_job *)(const void *)job;
            assert_int_equal(t->item.valid, t->expected);
            assert_int_equal(t->runs, 1);
            taken++;
        }
    }
    verify_pool_stop(p, drop_none);
    assert_int_equal(bench.dropped, 0);
    assert_int_equal(bench.notified, JOBS);
    const struct verify_counts counts = verify_cache_counts(c);
    assert_int_equal(counts.bad, JOBS / 2);
    assert_int_equal(counts.verified + counts.remembered, JOBS / 2);
    assert_true(counts.verified >= DISTINCT);
    verify_cache_free(c);
}

/* Workers that verify the same signature at once must not fill the bucket with copies of it. */
static void test_verify_cache_same_signature_by_many_workers_takes_one_place(void **state)
{
    (void)state;
    enum { WORKERS = 4, WAYS = 8, ROUNDS = 100 };
    struct verify_pool *p = pool_start(WORKERS, WORKERS);
    struct verify_item items[WAYS];
    struct test_job jobs[WORKERS];
    for (uint32_t i = 0; i < WAYS; i++)
        items[i] = item_good(i);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        struct verify_cache *c = verify_cache_new(WAYS);
        for (uint32_t i = 0; i + 1 < WAYS; i++)
            assert_true(verify_cache_check(c, &items[i]));
        for (uint32_t i = 0; i < WORKERS; i++) {
            jobs[i] = (struct test_job){.job = {.run = run_verify}, .cache = c, .item = items[WAYS - 1]};
            assert_true(pool_submit(p, &jobs[i]));
        }
        bench_wait_notified(round * WORKERS);
        for (uint32_t i = 0; i < WORKERS; i++)
            assert_non_null(verify_pool_take_done(p));
        for (uint32_t i = 0; i < WAYS; i++)
            assert_true(is_remembered(c, &items[i]));
        verify_cache_free(c);
    }
    verify_pool_stop(p, drop_none);
}

#define POOL_TEST(function_) cmocka_unit_test_setup(function_, bench_setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify_cache_bad_signature_is_never_remembered),
        cmocka_unit_test(test_verify_cache_good_signature_with_any_part_changed_is_bad),
        cmocka_unit_test(test_verify_cache_good_signature_is_verified_once),
        cmocka_unit_test(test_verify_cache_full_bucket_forgets_oldest_first),
        cmocka_unit_test(test_verify_cache_of_no_or_few_entries_keeps_one_bucket),
        cmocka_unit_test(test_verify_cache_half_full_keeps_nearly_all),
        cmocka_unit_test(test_verify_cache_free_of_null_does_nothing),
        POOL_TEST(test_verify_pool_start_with_numbers_out_of_range_is_refused),
        POOL_TEST(test_verify_pool_start_with_least_and_most_threads_works),
        POOL_TEST(test_verify_pool_class_without_lanes_works),
        POOL_TEST(test_verify_pool_take_done_with_nothing_done_is_null),
        POOL_TEST(test_verify_pool_submit_past_maximum_is_refused_until_taken),
        POOL_TEST(test_verify_pool_of_one_thread_runs_in_order),
        POOL_TEST(test_verify_pool_threads_run_at_the_same_time),
        POOL_TEST(test_verify_pool_job_is_done_before_notification),
        POOL_TEST(test_verify_pool_stop_drops_each_job_once_on_callers_thread),
        POOL_TEST(test_verify_pool_with_shared_cache_answers_every_item_rightly),
        POOL_TEST(test_verify_cache_same_signature_by_many_workers_takes_one_place),
    };
    return cmocka_run_group_tests_name("pool", tests, group_setup, NULL);
}
