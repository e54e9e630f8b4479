/* test_storage_steps.c - the storage thread one step at a time: what goes into one sync, how long a block waits, what a
 * full disk holds back, what is read. With real threads: test_storage.c.
 */
#include "replica/run/storage.h"

#include "base/log.h"
#include "tests/fixture/ends_process.h"
#include "tests/fixture/failing_store.h"
#include "tests/fixture/ledger_kit.h"
#include "tests/fixture/stand_in_worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a storage thread over a store that fails when told to ---- */

struct room {
    struct kit *kit;
    struct failing_store *failing;
    struct kv_store *log;
    struct reply_signer signer;
    struct kv_store *state;
    struct executor *executor;
    struct storage *storage;
    uint64_t token;
};

static void no_notify(void *context)
{
    (void)context;
}

static int room_setup(void **state)
{
    struct room *r = mem_zero(1, sizeof *r);
    *state = r;
    r->kit = kit_new(4, KIT_FAST);
    r->signer = kit_reply_signer(r->kit, 1);
    r->failing = failing_store_new(LOG_TABLE_COUNT);
    r->log = &r->failing->base;
    r->executor = kit_executor_new(r->kit, &r->state);
    log_set_level(LOG_LEVEL_ERROR);
    const struct err e = storage_start(r->log, &r->signer, no_notify, NULL, &r->storage);
    return err_is(&e) ? -1 : 0;
}

static int room_teardown(void **state)
{
    struct room *r = *state;
    storage_stop(r->storage);
    storage_free(r->storage);
    executor_close(r->executor);
    kv_store_close(r->state);
    kv_store_close(r->log);
    kit_free(r->kit);
    free(r);
    return 0;
}

static void persist(struct room *r, enum core_persist_kind kind, uint64_t view)
{
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_PERSIST;
    j->persist = kind;
    j->view = view;
    j->token = ++r->token;
    storage_submit(r->storage, j);
}

/* A prepared certificate or vote at seq, with its batch. */
static void persist_slot(struct room *r, enum core_persist_kind kind, uint64_t seq)
{
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_PERSIST;
    j->persist = kind;
    j->seq = seq;
    j->token = ++r->token;
    j->batch = kit_ledger_batch(r->kit, seq, &j->digest);
    const struct wire_stored_vote vote = {.seq = seq, .digest = j->digest};
    j->record = kind == CORE_PERSIST_VOTE ? wire_encode_blob(&wire_record_stored_vote, &vote)
                                          : kit_prepared(r->kit, 0, seq, &j->digest, NULL, 3);
    storage_submit(r->storage, j);
}

/* The next block of the shared ledger. */
static struct storage_job *next_block_job(struct room *r)
{
    struct storage_job *j = mem_zero(1, sizeof *j);
    struct digest digest;
    j->kind = STORAGE_BLOCK;
    j->block = kit_execute_next(r->kit, r->executor);
    j->seq = j->block->header.seq;
    j->batch = kit_ledger_batch(r->kit, j->seq, &digest);
    j->certificate = kit_committed(r->kit, 0, j->seq, &digest, NULL, 3);
    return j;
}

static void give_block(struct room *r)
{
    storage_submit(r->storage, next_block_job(r));
}

static void persist_stable(struct room *r, uint64_t seq)
{
    static const struct digest d = {{1}};
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_PERSIST;
    j->persist = CORE_PERSIST_STABLE;
    j->seq = seq;
    j->token = ++r->token;
    j->record = kit_checkpoint(r->kit, seq, &d, &d, NULL, 3);
    storage_submit(r->storage, j);
}

/* Takes back the jobs done; their tokens must go on from `after` without a gap. Gives the last. */
static uint64_t done_from(struct room *r, uint64_t after)
{
    struct storage_job *j;
    while ((j = storage_take_done(r->storage)) != NULL) {
        assert_int_equal(j->kind, STORAGE_PERSIST);
        assert_int_equal(j->token, ++after);
        storage_job_free(j);
    }
    return after;
}

static uint64_t last_block(struct room *r)
{
    uint64_t last;
    assert_int_equal(log_last_block(r->log, &last).code, ERR_NONE);
    return last;
}

/* ---- syncs ---- */

static void test_storage_steps_persists_that_wait_together_are_one_sync(void **state)
{
    struct room *r = *state;
    for (uint64_t seq = 1; seq <= 50; seq++)
        persist_slot(r, CORE_PERSIST_PREPARED, seq);
    assert_null(storage_take_done(r->storage));
    assert_int_equal(step(), 0);
    assert_int_equal(storage_syncs(r->storage), 1);
    assert_int_equal(done_from(r, 0), 50);
    persist_slot(r, CORE_PERSIST_PREPARED, 51);
    assert_int_equal(step(), 0);
    assert_int_equal(storage_syncs(r->storage), 2);
    assert_int_equal(done_from(r, 50), 51);
}

static void test_storage_steps_block_alone_waits_its_time_and_no_longer(void **state)
{
    struct room *r = *state;
    give_block(r);
    assert_int_equal(step(), STORAGE_BLOCK_WAIT_MS);
    assert_int_equal(storage_syncs(r->storage), 0);
    now_us += STORAGE_BLOCK_WAIT_MS * 1000 - 1;
    assert_int_equal(step(), 1);
    assert_int_equal(storage_syncs(r->storage), 0);
    now_us += 1;
    assert_int_equal(step(), 0);
    assert_int_equal(storage_syncs(r->storage), 1);
    assert_int_equal(last_block(r), 1);
    assert_null(storage_take_done(r->storage)); /* block jobs do not come back */
}

/* Each job that came made the oldest block wait 100 ms anew, up to nearly twice its time. */
static void test_storage_steps_later_block_does_not_prolong_the_wait_of_the_first(void **state)
{
    struct room *r = *state;
    give_block(r);
    assert_int_equal(step(), STORAGE_BLOCK_WAIT_MS);
    now_us += 60000;
    give_block(r);
    assert_int_equal(step(), STORAGE_BLOCK_WAIT_MS - 60);
    now_us += 39000;
    give_block(r);
    assert_int_equal(step(), 1);
    now_us += 1000;
    assert_int_equal(step(), 0);
    assert_int_equal(last_block(r), 3);
    assert_int_equal(storage_syncs(r->storage), 1);
    /* the next block's time begins with it */
    now_us += 50000;
    give_block(r);
    assert_int_equal(step(), STORAGE_BLOCK_WAIT_MS);
}

static void test_storage_steps_block_rides_with_the_next_certificate(void **state)
{
    struct room *r = *state;
    give_block(r);
    (void)step();
    now_us += 1000;
    persist_slot(r, CORE_PERSIST_PREPARED, 5);
    assert_int_equal(step(), 0);
    assert_int_equal(storage_syncs(r->storage), 1);
    assert_int_equal(last_block(r), 1);
    assert_int_equal(done_from(r, 0), 1);
}

static void test_storage_steps_blocks_persist_makes_the_waiting_ones_durable(void **state)
{
    struct room *r = *state;
    give_block(r);
    give_block(r);
    persist(r, CORE_PERSIST_BLOCKS, 0);
    assert_int_equal(step(), 0);
    assert_int_equal(last_block(r), 2);
    assert_int_equal(storage_syncs(r->storage), 1);
    assert_int_equal(done_from(r, 0), 1);
    persist(r, CORE_PERSIST_BLOCKS, 0); /* nothing waits: nothing to sync, and done */
    assert_int_equal(step(), 0);
    assert_int_equal(storage_syncs(r->storage), 1);
    assert_int_equal(done_from(r, 1), 2);
}

static void test_storage_steps_stop_writes_blocks_that_wait(void **state)
{
    struct room *r = *state;
    give_block(r);
    (void)step();
    give_block(r);
    storage_stop(r->storage);
    assert_int_equal(last_block(r), 2);
}

static void keep_evidence(struct room *r, uint64_t member, uint32_t kind, const char *record)
{
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_EVIDENCE;
    j->seq = member;
    j->count = kind;
    j->record = blob_copy(bytes_of_text(record));
    storage_submit(r->storage, j);
}

static void test_storage_steps_first_evidence_of_a_kind_stays(void **state)
{
    struct room *r = *state;
    struct bytes kept;
    keep_evidence(r, 2, EVIDENCE_KIND_COMMIT, "first");
    storage_stop(r->storage);
    storage_free(r->storage);
    assert_int_equal(storage_start(r->log, &r->signer, no_notify, NULL, &r->storage).code, ERR_NONE); /* a restart */
    keep_evidence(r, 2, EVIDENCE_KIND_COMMIT, "second");
    keep_evidence(r, 2, EVIDENCE_KIND_PREPARE, "another kind");
    storage_stop(r->storage);
    assert_int_equal(log_get_evidence(r->log, 2, EVIDENCE_KIND_COMMIT, &kept).code, ERR_NONE);
    assert_true(bytes_equal(kept, bytes_of_text("first")));
    assert_int_equal(log_get_evidence(r->log, 2, EVIDENCE_KIND_PREPARE, &kept).code, ERR_NONE);
    assert_int_equal(log_get_evidence(r->log, 1, EVIDENCE_KIND_COMMIT, &kept).code, ERR_NOT_FOUND);
}

static void test_storage_steps_persist_kinds_leave_their_records(void **state)
{
    struct room *r = *state;
    struct wire_vote_certificate c;
    struct log_place at;
    struct wire_stored_vote v;
    struct wire_checkpoint_certificate k;
    uint64_t view;
    persist(r, CORE_PERSIST_CLEAN, 0);
    (void)step();
    assert_true(log_is_clean(r->log));
    persist(r, CORE_PERSIST_START, 7);
    persist_slot(r, CORE_PERSIST_PREPARED, 129);
    persist_slot(r, CORE_PERSIST_VOTE, 130);
    (void)step();
    assert_false(log_is_clean(r->log));
    assert_int_equal(log_get_view(r->log, &view).code, ERR_NONE);
    assert_int_equal(view, 7);
    assert_int_equal(log_next_prepared(r->log, 0, &at, &c).code, ERR_NONE);
    assert_int_equal(c.seq, 129);
    assert_int_equal(log_next_vote(r->log, 0, &at, &v).code, ERR_NONE);
    assert_int_equal(v.seq, 130);
    persist_slot(r, CORE_PERSIST_PREPARED, 3);
    for (uint64_t seq = 1; seq <= 128; seq++)
        give_block(r);
    (void)step();
    persist_stable(r, 128);
    (void)step();
    assert_int_equal(log_get_stable(r->log, &k).code, ERR_NONE);
    assert_int_equal(k.seq, 128);
    assert_int_equal(log_next_prepared(r->log, 0, &at, &c).code, ERR_NONE);
    assert_int_equal(c.seq, 129);
    assert_int_equal(done_from(r, 0), 6);
}

/* ---- a full disk ---- */

static void test_storage_steps_full_disk_makes_nothing_durable_until_there_is_space(void **state)
{
    struct room *r = *state;
    atomic_store(&r->failing->apply_fails, ERR_NO_SPACE);
    persist_slot(r, CORE_PERSIST_PREPARED, 1);
    persist_slot(r, CORE_PERSIST_PREPARED, 2);
    assert_int_equal(step(), STORAGE_RETRY_MS);
    assert_true(storage_disk_full(r->storage));
    assert_null(storage_take_done(r->storage));
    persist_slot(r, CORE_PERSIST_PREPARED, 3);
    assert_int_equal(step(), STORAGE_RETRY_MS);
    assert_null(storage_take_done(r->storage));
    assert_int_equal(storage_syncs(r->storage), 0);
    atomic_store(&r->failing->apply_fails, ERR_NONE);
    assert_int_equal(step(), 0); /* its time to try again has come */
    assert_false(storage_disk_full(r->storage));
    assert_int_equal(done_from(r, 0), 3);
    assert_int_equal(storage_syncs(r->storage), 1);
}

static void test_storage_steps_full_disk_keeps_blocks_waiting(void **state)
{
    struct room *r = *state;
    atomic_store(&r->failing->apply_fails, ERR_NO_SPACE);
    give_block(r);
    (void)step();
    now_us += STORAGE_BLOCK_WAIT_MS * 1000;
    assert_int_equal(step(), STORAGE_RETRY_MS);
    assert_true(storage_disk_full(r->storage));
    atomic_store(&r->failing->apply_fails, ERR_NONE);
    now_us += STORAGE_RETRY_MS * 1000;
    assert_int_equal(step(), 0);
    assert_int_equal(last_block(r), 1);
}

static void test_storage_steps_full_disk_still_serves_what_is_there(void **state)
{
    struct room *r = *state;
    give_block(r);
    persist(r, CORE_PERSIST_BLOCKS, 0);
    (void)step();
    (void)done_from(r, 0);
    atomic_store(&r->failing->apply_fails, ERR_NO_SPACE);
    give_block(r);
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_READ_BLOCKS;
    j->seq = 1;
    j->count = 2;
    storage_submit(r->storage, j);
    (void)step();
    assert_ptr_equal(storage_take_done(r->storage), j);
    assert_int_equal(j->out_count, 1);
    storage_job_free(j);
}

/* What was never written is freed with the thread (seen by ASan). */
static void test_storage_steps_freed_on_a_full_disk_frees_the_jobs(void **state)
{
    struct room *r = *state;
    atomic_store(&r->failing->apply_fails, ERR_NO_SPACE);
    give_block(r);
    persist_slot(r, CORE_PERSIST_PREPARED, 1);
    (void)step();
    storage_stop(r->storage);
    assert_null(storage_take_done(r->storage));
}

/* ---- failures that end the process ---- */

static void persist_and_step(void *context)
{
    struct room *r = context;
    persist(r, CORE_PERSIST_START, 1);
    (void)step();
}

static void stable_and_step(void *context)
{
    struct room *r = context;
    persist_stable(r, 128);
    (void)step();
}

/* Rule 30: a failed sync is fatal. */
static void test_storage_steps_failed_sync_ends_the_process(void **state)
{
    struct room *r = *state;
    assert_false(ends_process(persist_and_step, r));
    atomic_store(&r->failing->apply_fails, ERR_IO);
    assert_true(ends_process(persist_and_step, r));
    atomic_store(&r->failing->apply_fails, ERR_CORRUPT);
    assert_true(ends_process(persist_and_step, r));
}

static void test_storage_steps_unreadable_log_at_a_stable_checkpoint_ends_the_process(void **state)
{
    struct room *r = *state;
    assert_false(ends_process(stable_and_step, r));
    atomic_store(&r->failing->reads_fail, true);
    assert_true(ends_process(stable_and_step, r));
}

/* ---- reading blocks ---- */

/* Reads through the thread; the caller frees the job. */
static struct storage_job *read_blocks(struct room *r, uint64_t seq, uint32_t count)
{
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_READ_BLOCKS;
    j->seq = seq;
    j->count = count;
    storage_submit(r->storage, j);
    (void)step();
    assert_ptr_equal(storage_take_done(r->storage), j);
    return j;
}

static void read_and_step(void *context)
{
    storage_job_free(read_blocks(context, 1, 1));
}

/* Not written to any more: a block that is damaged is one matter, pages that are, another. */
static void test_storage_steps_unreadable_log_at_a_read_ends_the_process(void **state)
{
    struct room *r = *state;
    give_block(r);
    assert_false(ends_process(read_and_step, r));
    atomic_store(&r->failing->reads_fail, true);
    assert_true(ends_process(read_and_step, r));
}

static void test_storage_steps_read_of_missing_blocks_gives_those_before(void **state)
{
    struct room *r = *state;
    for (uint32_t i = 0; i < 3; i++)
        give_block(r);
    static const uint32_t want[][3] = {{0, 5, 0}, {1, 5, 3}, {3, 5, 1}, {4, 5, 0}, {1, 0, 0}, {2, 1, 1}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct storage_job *j = read_blocks(r, want[i][0], want[i][1]);
        assert_int_equal(j->out_count, want[i][2]);
        storage_job_free(j);
    }
}

static struct storage_job *give_read(struct room *r)
{
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_READ_BLOCKS;
    j->seq = 1;
    j->count = 1;
    storage_submit(r->storage, j);
    return j;
}

/* Takes back one job, which must be of this kind, and frees it. */
static void taken(struct room *r, enum storage_kind kind)
{
    struct storage_job *j = storage_take_done(r->storage);
    assert_non_null(j);
    assert_int_equal(j->kind, kind);
    storage_job_free(j);
}

/* Whoever asks for many blocks does not hold back this replica's votes. */
static void test_storage_steps_votes_come_before_reads_that_wait(void **state)
{
    struct room *r = *state;
    for (uint32_t i = 0; i < 5; i++)
        (void)give_read(r);
    persist_slot(r, CORE_PERSIST_PREPARED, 1);
    assert_int_equal(step(), 1); /* there is more to read: look again soon */
    taken(r, STORAGE_PERSIST);
    taken(r, STORAGE_READ_BLOCKS);
    taken(r, STORAGE_READ_BLOCKS);
    assert_null(storage_take_done(r->storage));
    persist_slot(r, CORE_PERSIST_PREPARED, 2);
    assert_int_equal(step(), 1);
    taken(r, STORAGE_PERSIST);
    taken(r, STORAGE_READ_BLOCKS);
    taken(r, STORAGE_READ_BLOCKS);
    assert_int_equal(step(), 0);
    taken(r, STORAGE_READ_BLOCKS);
    assert_int_equal(storage_syncs(r->storage), 2);
}

static void test_storage_steps_freed_with_reads_that_wait_frees_them(void **state)
{
    struct room *r = *state;
    for (uint32_t i = 0; i < 5; i++)
        (void)give_read(r);
    (void)step();
}

static void test_storage_steps_read_gives_no_more_blocks_than_one_fetch_asks_for(void **state)
{
    struct room *r = *state;
    for (uint32_t i = 0; i < CORE_FETCH_BLOCKS_MAX + 5; i++)
        give_block(r);
    struct storage_job *j = read_blocks(r, 1, UINT32_MAX);
    assert_int_equal(j->out_count, CORE_FETCH_BLOCKS_MAX);
    storage_job_free(j);
}

static void test_storage_steps_read_ends_an_answer_that_gets_too_large(void **state)
{
    struct room *r = *state;
    struct blob *value = blob_new(900 * 1024);
    memset(value->data, 'v', value->len);
    struct kit_op op = kit_kv(APP_KV_PUT, "k", "", NULL);
    op.args[1] = blob_bytes(value);
    for (uint64_t seq = 1; seq <= 7; seq++) {
        struct storage_job *j = mem_zero(1, sizeof *j);
        struct digest digest;
        struct blob *q = kit_request(r->kit, KIT_WRITER, seq, KIT_EXPIRY, &op, 1);
        j->kind = STORAGE_BLOCK;
        j->batch = kit_batch(seq, &q, 1, &digest);
        j->certificate = kit_committed(r->kit, 0, seq, &digest, NULL, 3);
        assert_int_equal(executor_execute(r->executor, seq, blob_bytes(j->batch), &digest, &j->block).code, ERR_NONE);
        storage_submit(r->storage, j);
    }
    struct storage_job *j = read_blocks(r, 1, 7);
    assert_int_equal(j->out_count, 5); /* the fifth passes CORE_SERVE_BYTES_MAX */
    storage_job_free(j);
    blob_release(value);
}

static void test_storage_steps_read_block_is_a_data_message_that_proves_itself(void **state)
{
    struct room *r = *state;
    for (uint64_t seq = 1; seq <= 130; seq++)
        give_block(r);
    (void)step();
    persist(r, CORE_PERSIST_BLOCKS, 0);
    (void)step();
    persist_stable(r, 128);
    (void)step();
    (void)done_from(r, 0);
    for (uint64_t seq = 120; seq <= 130; seq++) {
        struct msg_verified m;
        struct storage_job *j = read_blocks(r, seq, 1);
        assert_int_equal(j->out_count, 1);
        assert_null(msg_verify(&r->kit->wire, kit_checker(r->kit), blob_retain(j->out[0]), &m));
        assert_int_equal(m.msg.data.kind, DATA_KIND_BLOCK);
        assert_int_equal(m.msg.data.seq, seq);
        assert_int_equal(m.msg.data.sender, 1);
        assert_int_equal(m.block.header.seq, seq);
        assert_int_equal(m.checkpoint_good, seq == 128);
        msg_verified_release(&m);
        storage_job_free(j);
    }
}

/* A batch that went to disk with its certificate is not written again with its block. */
static void test_storage_steps_block_without_its_batch_has_the_one_of_its_certificate(void **state)
{
    struct room *r = *state;
    persist_slot(r, CORE_PERSIST_PREPARED, 1);
    struct storage_job *block = next_block_job(r);
    blob_release(block->batch);
    block->batch = NULL;
    storage_submit(r->storage, block);
    (void)step();
    (void)done_from(r, 0);
    struct msg_verified m;
    struct storage_job *j = read_blocks(r, 1, 1);
    assert_int_equal(j->out_count, 1);
    assert_null(msg_verify(&r->kit->wire, kit_checker(r->kit), blob_retain(j->out[0]), &m));
    msg_verified_release(&m);
    storage_job_free(j);
}

static struct storage_job *read_answer(struct room *r, uint64_t seq, uint64_t first_index, uint32_t count)
{
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_READ_ANSWER;
    j->seq = seq;
    j->view = 3;
    j->first_index = first_index;
    j->range.count = count;
    storage_submit(r->storage, j);
    (void)step();
    assert_ptr_equal(storage_take_done(r->storage), j);
    return j;
}

static void test_storage_steps_read_answer_outside_the_ledger_is_nothing(void **state)
{
    struct room *r = *state;
    for (uint32_t i = 0; i < 11; i++)
        give_block(r);
    static const uint64_t wrong[][3] = {{0, 0, 1},
                                        {12, 0, 1},
                                        {10, 0, 1} /* a null block */,
                                        {2, 0, 1} /* in block 1 */,
                                        {1, 2, 1},
                                        {1, 0, 3},
                                        {1, UINT64_MAX, 1},
                                        {2, 1ull << 32, 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct storage_job *j = read_answer(r, wrong[i][0], wrong[i][1], (uint32_t)wrong[i][2]);
        assert_int_equal(j->out_count, 0);
        storage_job_free(j);
    }
}

/* What the gap record names is fetched; whatever else cannot be read is damage. */
static void test_storage_steps_read_answer_from_the_gap_says_that_its_block_is_missing(void **state)
{
    struct room *r = *state;
    struct kv_batch *b = kv_batch_new();
    uint8_t damaged[8];
    be64_put(damaged, 7);
    give_block(r);
    log_put_gap(b, 5, 9);
    kv_batch_put(b, LOG_TABLE_BLOCKS, bytes_of(damaged, sizeof damaged), bytes_of_text("no block"));
    assert_int_equal(kv_store_apply(r->log, b).code, ERR_NONE);
    kv_batch_free(b);
    for (uint64_t seq = 1; seq <= 10; seq++) {
        struct storage_job *j = read_answer(r, seq, 0, 1);
        assert_int_equal(j->out_count, seq == 1);
        assert_int_equal(j->missing, seq >= 5 && seq <= 9 && seq != 7);
        storage_job_free(j);
    }
}

static void test_storage_steps_read_answer_is_the_reply_with_these_entries(void **state)
{
    struct room *r = *state;
    struct wire_message m;
    struct wire_proven_entry item;
    give_block(r);
    give_block(r); /* entries 2 and 3 */
    struct storage_job *j = read_answer(r, 2, 3, 1);
    assert_int_equal(j->out_count, 1);
    assert_null(wire_decode(blob_bytes(j->out[0]), &m));
    assert_int_equal(m.type, WIRE_TYPE_reply);
    assert_int_equal(m.reply.view, 3);
    assert_int_equal(m.reply.header.seq, 2);
    assert_int_equal(m.reply.entries.count, 1);
    struct wire_iterator i = wire_list_start(m.reply.entries);
    assert_true(wire_list_next(&i, &wire_record_proven_entry, &item));
    assert_int_equal(item.index, 1);
    storage_job_free(j);
}

#define STORAGE_TEST(f) cmocka_unit_test_setup_teardown(f, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORAGE_TEST(test_storage_steps_persists_that_wait_together_are_one_sync),
        STORAGE_TEST(test_storage_steps_block_alone_waits_its_time_and_no_longer),
        STORAGE_TEST(test_storage_steps_later_block_does_not_prolong_the_wait_of_the_first),
        STORAGE_TEST(test_storage_steps_block_rides_with_the_next_certificate),
        STORAGE_TEST(test_storage_steps_blocks_persist_makes_the_waiting_ones_durable),
        STORAGE_TEST(test_storage_steps_stop_writes_blocks_that_wait),
        STORAGE_TEST(test_storage_steps_first_evidence_of_a_kind_stays),
        STORAGE_TEST(test_storage_steps_persist_kinds_leave_their_records),
        STORAGE_TEST(test_storage_steps_full_disk_makes_nothing_durable_until_there_is_space),
        STORAGE_TEST(test_storage_steps_full_disk_keeps_blocks_waiting),
        STORAGE_TEST(test_storage_steps_full_disk_still_serves_what_is_there),
        STORAGE_TEST(test_storage_steps_freed_on_a_full_disk_frees_the_jobs),
        STORAGE_TEST(test_storage_steps_failed_sync_ends_the_process),
        STORAGE_TEST(test_storage_steps_unreadable_log_at_a_stable_checkpoint_ends_the_process),
        STORAGE_TEST(test_storage_steps_unreadable_log_at_a_read_ends_the_process),
        STORAGE_TEST(test_storage_steps_read_of_missing_blocks_gives_those_before),
        STORAGE_TEST(test_storage_steps_votes_come_before_reads_that_wait),
        STORAGE_TEST(test_storage_steps_freed_with_reads_that_wait_frees_them),
        STORAGE_TEST(test_storage_steps_read_gives_no_more_blocks_than_one_fetch_asks_for),
        STORAGE_TEST(test_storage_steps_read_ends_an_answer_that_gets_too_large),
        STORAGE_TEST(test_storage_steps_read_block_is_a_data_message_that_proves_itself),
        STORAGE_TEST(test_storage_steps_block_without_its_batch_has_the_one_of_its_certificate),
        STORAGE_TEST(test_storage_steps_read_answer_outside_the_ledger_is_nothing),
        STORAGE_TEST(test_storage_steps_read_answer_from_the_gap_says_that_its_block_is_missing),
        STORAGE_TEST(test_storage_steps_read_answer_is_the_reply_with_these_entries),
    };
    return cmocka_run_group_tests_name("storage_steps", tests, NULL, NULL);
}
