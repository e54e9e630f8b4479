/* test_storage.c - worker, storage and execution as threads. Clean under TSan. What a step does, one at a time:
 * test_storage_steps.c.
 */
#include "replica/run/execution.h"
#include "replica/run/storage.h"

#include "ledger/data_dir.h"
#include "tests/fixture/failing_store.h"
#include "tests/fixture/ledger_kit.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* ---- waiting for what a thread posts, at most 30 seconds ---- */

static void wait_for(sem_t *s)
{
    struct timespec until;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += 30;
    if (sem_timedwait(s, &until) != 0) fail_msg("nothing came within 30 seconds");
}

static void post(void *context)
{
    assert_int_equal(sem_post(context), 0);
}

/* ---- the worker ---- */

#define JOBS 2000u

struct counting_job {
    struct worker_job job;
    uint32_t number;
};

/* The thread's; the test looks at it after worker_stop. */
struct counting {
    struct worker *worker;
    uint32_t next; /* number of the job that must come now */
    uint32_t chains;
    uint32_t ends; /* calls without jobs */
    bool out_of_order;
    sem_t started; /* posted once, by the first chain ... */
    sem_t go;      /* ... which then waits for this */
    sem_t notified;
    uint32_t wait_ms;
    sem_t slept; /* posted by each call without jobs */
};

static void count_jobs(void *context, struct worker_job *chain, uint32_t *wait_ms)
{
    struct counting *c = context;
    if (chain == NULL) {
        c->ends++;
        post(&c->slept);
        return;
    }
    if (c->chains++ == 0) {
        post(&c->started);
        wait_for(&c->go);
    }
    while (chain != NULL) {
        struct worker_job *job = chain;
        chain = chain->next;
        if (((struct counting_job *)job)->number != c->next++) c->out_of_order = true;
        worker_done(c->worker, job);
    }
    *wait_ms = c->wait_ms;
}

static struct counting *counting_new(void)
{
    struct counting *c = mem_zero(1, sizeof *c);
    assert_int_equal(sem_init(&c->started, 0, 0), 0);
    assert_int_equal(sem_init(&c->go, 0, 0), 0);
    assert_int_equal(sem_init(&c->notified, 0, 0), 0);
    assert_int_equal(sem_init(&c->slept, 0, 0), 0);
    assert_int_equal(worker_start("counting", count_jobs, c, post, &c->notified, &c->worker).code, ERR_NONE);
    return c;
}

static void counting_free(struct counting *c)
{
    worker_free(c->worker);
    free(c);
}

static void test_worker_jobs_that_wait_come_as_one_chain_in_order(void **state)
{
    (void)state;
    struct counting *c = counting_new();
    struct counting_job *jobs = mem_zero(JOBS, sizeof *jobs);
    worker_submit(c->worker, &jobs[0].job);
    wait_for(&c->started);
    for (uint32_t i = 1; i < JOBS; i++) {
        jobs[i].number = i;
        jobs[i].job.next = &jobs[0].job; /* as a job that is used again has it */
        worker_submit(c->worker, &jobs[i].job);
    }
    post(&c->go);
    for (uint32_t i = 0; i < JOBS; i++) {
        wait_for(&c->notified);
        assert_ptr_equal(worker_take_done(c->worker), &jobs[i].job);
    }
    assert_null(worker_take_done(c->worker));
    worker_stop(c->worker);
    assert_false(c->out_of_order);
    assert_int_equal(c->chains, 2);
    counting_free(c);
    free(jobs);
}

static void test_worker_stop_runs_what_waits_first(void **state)
{
    (void)state;
    struct counting *c = counting_new();
    struct counting_job *jobs = mem_zero(JOBS, sizeof *jobs);
    post(&c->go);
    for (uint32_t i = 0; i < JOBS; i++) {
        jobs[i].number = i;
        worker_submit(c->worker, &jobs[i].job);
    }
    worker_stop(c->worker);
    worker_stop(c->worker); /* once more is harmless */
    assert_int_equal(c->next, JOBS);
    assert_int_equal(c->ends, 1); /* the last call, without jobs */
    for (uint32_t i = 0; i < JOBS; i++)
        assert_ptr_equal(worker_take_done(c->worker), &jobs[i].job);
    counting_free(c);
    free(jobs);
}

static void test_worker_that_asked_to_sleep_wakes_by_itself(void **state)
{
    (void)state;
    struct counting *c = counting_new();
    struct counting_job job = {.number = 0};
    c->wait_ms = 5; /* before the first job: the thread has not looked yet */
    post(&c->go);
    worker_submit(c->worker, &job.job);
    wait_for(&c->slept);
    counting_free(c);
}

/* ---- the storage thread ---- */

struct room {
    struct kit *kit;
    struct failing_store *failing;
    struct reply_signer signer;
    struct kv_store *state;
    struct executor *executor;
    struct storage *storage;
    struct execution *execution;
    sem_t notified;
    sem_t applying; /* posted by each sync before it begins ... */
    sem_t go;       /* ... which waits for this when gated */
    bool gated;
};

static void before_apply(void *context)
{
    struct room *r = context;
    post(&r->applying);
    if (r->gated) wait_for(&r->go);
}

static int room_setup(void **state)
{
    struct room *r = mem_zero(1, sizeof *r);
    *state = r;
    r->kit = kit_new(4, KIT_FAST);
    r->signer = kit_reply_signer(r->kit, 1);
    r->failing = failing_store_new(LOG_TABLE_COUNT);
    r->failing->before_apply = before_apply;
    r->failing->context = r;
    r->executor = kit_executor_new(r->kit, &r->state);
    return sem_init(&r->notified, 0, 0) + sem_init(&r->applying, 0, 0) + sem_init(&r->go, 0, 0);
}

static int room_teardown(void **state)
{
    struct room *r = *state;
    if (r->storage != NULL) storage_stop(r->storage);
    storage_free(r->storage);
    execution_free(r->execution);
    executor_close(r->executor);
    kv_store_close(r->state);
    kv_store_close(&r->failing->base);
    kit_free(r->kit);
    free(r);
    return 0;
}

static void started(struct room *r, struct kv_store *log)
{
    assert_int_equal(storage_start(log, &r->signer, post, &r->notified, &r->storage).code, ERR_NONE);
}

static void persist(struct room *r, uint64_t token)
{
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_PERSIST;
    j->persist = CORE_PERSIST_PREPARED;
    j->token = token;
    j->seq = token;
    j->batch = kit_ledger_batch(r->kit, token, &j->digest);
    j->record = kit_prepared(r->kit, 0, token, &j->digest, NULL, 3);
    storage_submit(r->storage, j);
}

static void give_block(struct room *r)
{
    struct storage_job *j = mem_zero(1, sizeof *j);
    struct digest digest;
    j->kind = STORAGE_BLOCK;
    j->block = kit_execute_next(r->kit, r->executor);
    j->batch = kit_ledger_batch(r->kit, j->block->header.seq, &digest);
    j->certificate = kit_committed(r->kit, 0, j->block->header.seq, &digest, NULL, 3);
    storage_submit(r->storage, j);
}

static struct storage_job *take(struct room *r)
{
    wait_for(&r->notified);
    struct storage_job *j = storage_take_done(r->storage);
    assert_non_null(j);
    return j;
}

static void test_storage_persists_during_a_sync_share_the_next_one(void **state)
{
    struct room *r = *state;
    const uint64_t count = 300;
    r->gated = true;
    started(r, &r->failing->base);
    persist(r, 1);
    wait_for(&r->applying);
    for (uint64_t token = 2; token <= count; token++)
        persist(r, token);
    assert_null(storage_take_done(r->storage)); /* the first is not durable yet */
    post(&r->go);
    post(&r->go);
    for (uint64_t token = 1; token <= count; token++) {
        struct storage_job *j = take(r);
        assert_int_equal(j->token, token);
        storage_job_free(j);
    }
    assert_int_equal(storage_syncs(r->storage), 2);
}

static void test_storage_block_without_company_becomes_durable_by_itself(void **state)
{
    struct room *r = *state;
    struct timespec before;
    struct timespec after;
    started(r, &r->failing->base);
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &before), 0);
    give_block(r);
    wait_for(&r->applying);
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &after), 0);
    const int64_t took_ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    assert_true(took_ms >= (int64_t)STORAGE_BLOCK_WAIT_MS - 1); /* it did wait; never how long a busy machine took */
}

static void test_storage_blocks_are_readable_as_soon_as_they_are_given(void **state)
{
    struct room *r = *state;
    started(r, &r->failing->base);
    for (uint32_t i = 0; i < 10; i++)
        give_block(r);
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_READ_BLOCKS;
    j->seq = 1;
    j->count = 20;
    storage_submit(r->storage, j);
    assert_ptr_equal(take(r), j);
    assert_int_equal(j->out_count, 10);
    storage_job_free(j);
}

static void test_storage_stopped_has_written_everything_to_the_files(void **state)
{
    struct room *r = *state;
    struct data_dir d;
    struct wire_vote_certificate c;
    struct log_place at;
    uint64_t last;
    const struct kit_place place = kit_place_new();
    assert_int_equal(data_dir_init(place.dir, r->kit->group, 1, true).code, ERR_NONE);
    assert_int_equal(data_dir_open(place.dir, r->kit->group, 1, &d).code, ERR_NONE);
    started(r, d.log);
    for (uint64_t i = 1; i <= 20; i++) {
        persist(r, i);
        give_block(r);
    }
    storage_stop(r->storage);
    for (uint64_t token = 1; token <= 20; token++) {
        struct storage_job *j = storage_take_done(r->storage);
        assert_non_null(j);
        assert_int_equal(j->token, token);
        storage_job_free(j);
    }
    storage_free(r->storage);
    r->storage = NULL;
    data_dir_close(&d);
    assert_int_equal(data_dir_open(place.dir, r->kit->group, 1, &d).code, ERR_NONE);
    assert_int_equal(log_last_block(d.log, &last).code, ERR_NONE);
    assert_int_equal(last, 20);
    assert_int_equal(log_next_prepared(d.log, 20, &at, &c).code, ERR_NONE);
    data_dir_close(&d);
    kit_place_remove(&place);
}

/* ---- the execution thread ---- */

static struct execution_job *take_executed(struct room *r)
{
    wait_for(&r->notified);
    struct execution_job *j = execution_take_done(r->execution);
    assert_non_null(j);
    return j;
}

static void test_execution_thread_gives_the_blocks_that_the_executor_gives(void **state)
{
    struct room *r = *state;
    struct kv_store *store;
    const uint64_t count = 2 * CHECKPOINT_INTERVAL;
    struct executor *alone = kit_executor_new(r->kit, &store);
    assert_int_equal(execution_start(r->executor, r->state, &r->signer, 100, post, &r->notified, &r->execution).code, ERR_NONE);
    for (uint64_t seq = 1; seq <= count; seq++) {
        struct execution_job *j = mem_zero(1, sizeof *j);
        j->kind = EXECUTION_BATCH;
        j->seq = seq;
        j->batch = kit_ledger_batch(r->kit, seq, &j->digest);
        execution_submit(r->execution, j);
        if (seq % CHECKPOINT_INTERVAL != 0) continue;
        struct execution_job *fold = mem_zero(1, sizeof *fold);
        fold->kind = EXECUTION_FOLD;
        fold->seq = seq;
        execution_submit(r->execution, fold);
    }
    uint64_t seen = 0;
    for (uint64_t i = 0; i < count + 2; i++) {
        struct execution_job *j = take_executed(r);
        if (j->kind == EXECUTION_BATCH) {
            struct executed_block *want = kit_execute_next(r->kit, alone);
            assert_int_equal(j->seq, ++seen);
            assert_memory_equal(j->block->header_hash.bytes, want->header_hash.bytes, DIGEST_BYTES);
            assert_memory_equal(j->block->state_root.bytes, want->state_root.bytes, DIGEST_BYTES);
            executed_block_free(want);
        }
        execution_job_free(j);
    }
    assert_int_equal(seen, count);
    execution_stop(r->execution);
    assert_int_equal(executor_base(r->executor), count);
    executor_close(alone);
    kv_store_close(store);
}

static void test_execution_thread_stopped_gives_back_all_jobs(void **state)
{
    struct room *r = *state;
    struct execution_job *j;
    uint64_t seen = 0;
    assert_int_equal(execution_start(r->executor, r->state, &r->signer, 100, post, &r->notified, &r->execution).code, ERR_NONE);
    for (uint64_t seq = 1; seq <= 50; seq++) {
        j = mem_zero(1, sizeof *j);
        j->kind = EXECUTION_BATCH;
        j->seq = seq;
        j->batch = kit_ledger_batch(r->kit, seq, &j->digest);
        execution_submit(r->execution, j);
    }
    execution_stop(r->execution);
    while ((j = execution_take_done(r->execution)) != NULL) {
        assert_int_equal(j->seq, ++seen);
        execution_job_free(j);
    }
    assert_int_equal(seen, 50);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker_jobs_that_wait_come_as_one_chain_in_order),
        cmocka_unit_test(test_worker_stop_runs_what_waits_first),
        cmocka_unit_test(test_worker_that_asked_to_sleep_wakes_by_itself),
        ROOM_TEST(test_storage_persists_during_a_sync_share_the_next_one),
        ROOM_TEST(test_storage_block_without_company_becomes_durable_by_itself),
        ROOM_TEST(test_storage_blocks_are_readable_as_soon_as_they_are_given),
        ROOM_TEST(test_storage_stopped_has_written_everything_to_the_files),
        ROOM_TEST(test_execution_thread_gives_the_blocks_that_the_executor_gives),
        ROOM_TEST(test_execution_thread_stopped_gives_back_all_jobs),
    };
    return cmocka_run_group_tests_name("storage", tests, NULL, NULL);
}
