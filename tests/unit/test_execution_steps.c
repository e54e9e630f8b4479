/* test_execution_steps.c - the execution thread one step at a time: replies, queries, and what waits while the disk is
 * full. With real threads: test_storage.c.
 */
#include "replica/run/execution.h"

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

/* ---- an execution thread over a state that fails when told to ---- */

struct room {
    struct kit *kit;
    struct failing_store *failing;
    struct reply_signer signer;
    struct executor *executor;
    struct execution *execution;
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
    r->failing = failing_store_new(STATE_TABLE_COUNT);
    log_set_level(LOG_LEVEL_ERROR);
    struct err e = executor_init(&r->failing->base, r->kit->group);
    if (!err_is(&e)) e = executor_open(&r->failing->base, r->kit->group, &r->executor);
    if (!err_is(&e)) e = execution_start(r->executor, &r->failing->base, &r->signer, 100, no_notify, NULL, &r->execution);
    return err_is(&e) ? -1 : 0;
}

static int room_teardown(void **state)
{
    struct room *r = *state;
    execution_free(r->execution);
    executor_close(r->executor);
    kv_store_close(&r->failing->base);
    kit_free(r->kit);
    free(r);
    return 0;
}

static struct execution_job *batch_job(struct room *r, uint64_t seq)
{
    struct execution_job *j = mem_zero(1, sizeof *j);
    j->kind = EXECUTION_BATCH;
    j->seq = seq;
    j->view = 5;
    j->batch = kit_ledger_batch(r->kit, seq, &j->digest);
    execution_submit(r->execution, j);
    return j;
}

static struct execution_job *fold_job(struct room *r, uint64_t seq)
{
    struct execution_job *j = mem_zero(1, sizeof *j);
    j->kind = EXECUTION_FOLD;
    j->seq = seq;
    execution_submit(r->execution, j);
    return j;
}

static struct execution_job *query_job(struct room *r, const struct kit_op *op)
{
    struct execution_job *j = mem_zero(1, sizeof *j);
    struct buffer space = {0};
    const struct wire_query m = {.number = 1, .operation = kit_operation(op, &space)};
    j->kind = EXECUTION_QUERY;
    j->query = wire_encode_blob(&wire_record_query, &m);
    buffer_free(&space);
    execution_submit(r->execution, j);
    return j;
}

/* Takes back one job, which must be this one. */
static void taken(struct room *r, struct execution_job *j)
{
    assert_ptr_equal(execution_take_done(r->execution), j);
}

static void test_execution_steps_batches_come_back_in_order_with_their_blocks(void **state)
{
    struct room *r = *state;
    struct execution_job *jobs[20];
    for (uint64_t seq = 1; seq <= 20; seq++)
        jobs[seq - 1] = batch_job(r, seq);
    assert_int_equal(step(), 0);
    for (uint64_t seq = 1; seq <= 20; seq++) {
        taken(r, jobs[seq - 1]);
        assert_int_equal(jobs[seq - 1]->block->header.seq, seq);
        execution_job_free(jobs[seq - 1]);
    }
    assert_null(execution_take_done(r->execution));
}

static void test_execution_steps_batch_gives_each_client_one_reply_and_its_settled_sequences(void **state)
{
    struct room *r = *state;
    struct execution_job *j = mem_zero(1, sizeof *j);
    const struct kit_op op = kit_append("x");
    struct blob *requests[] = {kit_request(r->kit, KIT_OTHER, 1, KIT_EXPIRY, &op, 1),
                               kit_request(r->kit, KIT_WRITER, 2, KIT_EXPIRY, &op, 1),
                               kit_request(r->kit, KIT_STRANGER, 1, KIT_EXPIRY, &op, 1),
                               kit_request(r->kit, KIT_OTHER, 2, KIT_EXPIRY, &op, 1),
                               kit_request(r->kit, KIT_WRITER, 900, KIT_EXPIRY, &op, 1),
                               kit_request(r->kit, KIT_OTHER, 2, KIT_EXPIRY, &op, 1)};
    j->kind = EXECUTION_BATCH;
    j->seq = 1;
    j->view = 5;
    j->batch = kit_batch(1, requests, 6, &j->digest);
    execution_submit(r->execution, j);
    (void)step();
    taken(r, j);
    /* the stranger and the one outside its window settle nothing; the duplicate is settled all the same */
    static const struct core_settled settled[] = {{KIT_OTHER, 1}, {KIT_WRITER, 2}, {KIT_OTHER, 2}, {KIT_OTHER, 2}};
    assert_int_equal(j->settled_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(j->settled[i].client, settled[i].client);
        assert_int_equal(j->settled[i].seq, settled[i].seq);
    }
    static const uint32_t want[][2] = {{KIT_WRITER, 1}, {KIT_OTHER, 2}};
    assert_int_equal(j->reply_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct wire_message m;
        assert_int_equal(j->replies[i].client, want[i][0]);
        assert_null(wire_decode(blob_bytes(j->replies[i].bytes), &m));
        assert_int_equal(m.reply.entries.count, want[i][1]);
        assert_int_equal(m.reply.view, 5);
        assert_int_equal(m.reply.sender, 1);
    }
    execution_job_free(j);
}

/* A block in which KIT_WRITER has `bundles` requests of OPS_MAX operations, each with a few bytes of result, and
 * KIT_OTHER one of one. */
static struct execution_job *large_block(struct room *r, uint32_t bundles)
{
    static struct kit_op ops[OPS_MAX];
    struct blob *requests[CLIENT_WINDOW + 1];
    struct execution_job *j = mem_zero(1, sizeof *j);
    for (uint32_t i = 0; i < OPS_MAX; i++)
        ops[i] = kit_append("r");
    for (uint32_t i = 0; i < bundles; i++)
        requests[i] = kit_request(r->kit, KIT_WRITER, i + 1, KIT_EXPIRY, ops, OPS_MAX);
    requests[bundles] = kit_request(r->kit, KIT_OTHER, 1, KIT_EXPIRY, ops, 1);
    j->kind = EXECUTION_BATCH;
    j->seq = 1;
    j->batch = kit_batch(1, requests, bundles + 1, &j->digest);
    execution_submit(r->execution, j);
    (void)step();
    taken(r, j);
    assert_int_equal(j->settled_count, bundles + 1);
    return j;
}

/* Checks a REPLY to KIT_WRITER as a client does: its entries begin with *entry of the block, and end with a request. */
static void check_part(const struct room *r, const struct execution_job *j, struct blob *bytes, uint32_t *entry)
{
    struct wire_message m;
    struct wire_proven_entry e;
    assert_true(bytes->len <= FRAME_BYTES_MAX);
    assert_null(wire_decode(blob_bytes(bytes), &m));
    assert_int_equal(wire_compare_record(&wire_record_header, &m.reply.header, &j->block->header), 0);
    struct verify_item signature = {.key = r->kit->member_keys[1], .signature = m.reply.signature};
    signature.digest = wire_signing_digest(&r->kit->wire.id, m.signed_part);
    assert_true(kit_checker(r->kit).check(NULL, &signature));
    assert_int_equal(m.reply.entries.count % OPS_MAX, 0);
    struct wire_iterator i = wire_list_start(m.reply.entries);
    while (wire_list_next(&i, &wire_record_proven_entry, &e)) {
        assert_int_equal(e.index, *entry);
        assert_int_equal(e.entry.operation, *entry % OPS_MAX);
        assert_memory_equal(e.entry.transaction.bytes, j->block->requests[*entry / OPS_MAX].transaction.bytes,
                            DIGEST_BYTES);
        (*entry)++;
    }
}

/* It was left out as a whole, and the client had to ask for each transaction. */
static void test_execution_steps_reply_over_the_frame_limit_travels_in_several(void **state)
{
    const struct room *r = *state;
    struct execution_job *j = large_block(*state, 19);
    size_t sum = 0;
    uint32_t entry = 0;
    assert_int_equal(j->reply_count, 3);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(j->replies[i].client, KIT_WRITER);
        check_part(r, j, j->replies[i].bytes, &entry);
        sum += j->replies[i].bytes->len;
    }
    assert_true(sum > FRAME_BYTES_MAX);
    assert_int_equal(entry, 19 * OPS_MAX);
    assert_int_equal(j->replies[2].client, KIT_OTHER);
    execution_job_free(j);
}

static void test_execution_steps_reply_that_fits_a_frame_is_one(void **state)
{
    struct execution_job *j = large_block(*state, 12);
    uint32_t entry = 0;
    assert_int_equal(j->reply_count, 2);
    assert_true(j->replies[0].bytes->len > FRAME_BYTES_MAX / 4 * 3);
    check_part(*state, j, j->replies[0].bytes, &entry);
    assert_int_equal(entry, 12 * OPS_MAX);
    assert_int_equal(j->replies[1].client, KIT_OTHER);
    execution_job_free(j);
}

/* More at once than its queue takes would end its connection to every replica. */
static void test_execution_steps_replies_over_a_clients_queue_are_left_to_be_asked_for(void **state)
{
    struct execution_job *j = large_block(*state, CLIENT_WINDOW - 20);
    size_t sum = 0;
    uint32_t entry = 0;
    uint32_t i = 0;
    for (; i < j->reply_count && j->replies[i].client == KIT_WRITER; i++) {
        check_part(*state, j, j->replies[i].bytes, &entry);
        sum += j->replies[i].bytes->len;
    }
    assert_true(entry > 0);
    assert_true(entry < (CLIENT_WINDOW - 20) * OPS_MAX);
    assert_true(sum < CLIENT_QUEUE_BYTES_MAX - FRAME_BYTES_MAX / 2);
    assert_int_equal(i, j->reply_count - 1);
    assert_int_equal(j->replies[i].client, KIT_OTHER);
    execution_job_free(j);
}

static void test_execution_steps_null_batch_gives_no_reply(void **state)
{
    struct room *r = *state;
    struct execution_job *j = mem_zero(1, sizeof *j);
    j->kind = EXECUTION_BATCH;
    j->seq = 1;
    j->batch = kit_batch(1, NULL, 0, &j->digest);
    execution_submit(r->execution, j);
    (void)step();
    taken(r, j);
    assert_int_equal(j->reply_count, 0);
    assert_int_equal(j->settled_count, 0);
    execution_job_free(j);
}

static void test_execution_steps_query_is_answered_from_the_batches_before_it(void **state)
{
    struct room *r = *state;
    const struct kit_op get = kit_kv(APP_KV_GET, "key-1", NULL, NULL);
    const struct kit_op put = kit_kv(APP_KV_PUT, "key-1", "x", NULL);
    struct execution_job *before = query_job(r, &get);
    struct execution_job *batch = batch_job(r, 1);
    struct execution_job *after = query_job(r, &get);
    struct execution_job *wrong = query_job(r, &put);
    (void)step();
    taken(r, before);
    taken(r, batch);
    taken(r, after);
    taken(r, wrong);
    assert_int_equal(before->outcome, OUTCOME_NEGATIVE);
    assert_int_equal(before->executed, 0);
    assert_int_equal(after->outcome, OUTCOME_OK);
    assert_int_equal(after->executed, 1);
    assert_true(bytes_equal(bytes_of(after->value.data, after->value.len), bytes_of_text("value-1")));
    assert_int_equal(wrong->outcome, OUTCOME_REFUSED);
    execution_job_free(before);
    execution_job_free(batch);
    execution_job_free(after);
    execution_job_free(wrong);
}

static void test_execution_steps_find_gives_verdict_and_slot(void **state)
{
    struct room *r = *state;
    struct execution_job *batch = batch_job(r, 1);
    (void)step();
    taken(r, batch);
    const struct digest transaction = batch->block->requests[0].transaction;
    const struct digest other = {{9}};
    const struct {
        uint32_t client;
        uint64_t seq;
        const struct digest *transaction;
        enum window_verdict want;
    } cases[] = {{KIT_WRITER, 1, &transaction, WINDOW_SAME},   {KIT_WRITER, 1, &other, WINDOW_OTHER},
                 {KIT_WRITER, 2, &transaction, WINDOW_NEW},    {KIT_WRITER, 999, &transaction, WINDOW_OUTSIDE},
                 {KIT_OTHER, 1, &transaction, WINDOW_NEW},     {KIT_CLIENT_COUNT, 1, &transaction, WINDOW_OUTSIDE},
                 {UINT32_MAX, 1, &transaction, WINDOW_OUTSIDE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct execution_job *j = mem_zero(1, sizeof *j);
        j->kind = EXECUTION_FIND;
        j->client = cases[i].client;
        j->seq = cases[i].seq;
        j->transaction = *cases[i].transaction;
        execution_submit(r->execution, j);
        (void)step();
        taken(r, j);
        assert_int_equal(j->verdict, cases[i].want);
        assert_int_equal(j->slot.block, cases[i].want == WINDOW_SAME ? 1 : 0);
        execution_job_free(j);
    }
    execution_job_free(batch);
}

static void free_all_done(struct room *r)
{
    struct execution_job *j;
    while ((j = execution_take_done(r->execution)) != NULL)
        execution_job_free(j);
}

static void test_execution_steps_fold_on_a_full_disk_is_tried_again_by_itself(void **state)
{
    struct room *r = *state;
    for (uint64_t seq = 1; seq <= CHECKPOINT_INTERVAL; seq++)
        (void)batch_job(r, seq);
    (void)step();
    free_all_done(r);
    atomic_store(&r->failing->apply_fails, ERR_NO_SPACE);
    struct execution_job *fold = fold_job(r, CHECKPOINT_INTERVAL);
    assert_false(execution_disk_full(r->execution));
    assert_int_equal(step(), EXECUTION_RETRY_MS);
    taken(r, fold);
    execution_job_free(fold);
    assert_true(execution_disk_full(r->execution));
    assert_int_equal(executor_base(r->executor), 0);
    assert_int_equal(step(), EXECUTION_RETRY_MS);
    assert_true(execution_disk_full(r->execution));
    atomic_store(&r->failing->apply_fails, ERR_NONE);
    assert_int_equal(step(), 0);
    assert_false(execution_disk_full(r->execution));
    assert_int_equal(executor_base(r->executor), CHECKPOINT_INTERVAL);
}

/* With the disk full for too long the process ended in a CHECK; now batches wait and queries are answered. */
static void test_execution_steps_full_disk_holds_batches_back_and_answers_queries(void **state)
{
    struct room *r = *state;
    const uint64_t last = STATE_LAYERS_MAX * CHECKPOINT_INTERVAL;
    const struct kit_op get = kit_kv(APP_KV_GET, "key-1", NULL, NULL);
    for (uint64_t seq = 1; seq < last; seq++)
        (void)batch_job(r, seq);
    (void)fold_job(r, 2 * CHECKPOINT_INTERVAL);
    atomic_store(&r->failing->apply_fails, ERR_NO_SPACE);
    assert_int_equal(step(), 1000);
    free_all_done(r);
    struct execution_job *held[] = {batch_job(r, last), batch_job(r, last + 1)};
    struct execution_job *query = query_job(r, &get);
    assert_int_equal(step(), 1000);
    taken(r, query);
    assert_int_equal(query->executed, last - 1);
    execution_job_free(query);
    assert_null(execution_take_done(r->execution));
    atomic_store(&r->failing->apply_fails, ERR_NONE);
    assert_int_equal(step(), 0);
    taken(r, held[0]);
    taken(r, held[1]);
    assert_true(held[0]->block->checkpoint);
    assert_int_equal(held[1]->block->header.seq, last + 1);
    execution_job_free(held[0]);
    execution_job_free(held[1]);
    assert_int_equal(executor_base(r->executor), 2 * CHECKPOINT_INTERVAL);
}

static void test_execution_steps_freed_with_batches_held_back_frees_them(void **state)
{
    struct room *r = *state;
    const uint64_t last = STATE_LAYERS_MAX * CHECKPOINT_INTERVAL;
    for (uint64_t seq = 1; seq <= last + 1; seq++)
        (void)batch_job(r, seq);
    (void)step();
    free_all_done(r);
    assert_int_equal(executor_executed(r->executor), last - 1);
}

static void batch_and_step(void *context)
{
    struct room *r = context;
    (void)batch_job(r, executor_executed(r->executor) + 1);
    (void)step();
}

static void batch_and_step_unreadable(void *context)
{
    struct room *r = context;
    atomic_store(&r->failing->reads_fail, true);
    batch_and_step(r);
}

static void fold_and_step(void *context)
{
    struct room *r = context;
    (void)fold_job(r, CHECKPOINT_INTERVAL);
    (void)step();
}

static void query_and_step_unreadable(void *context)
{
    struct room *r = context;
    const struct kit_op get = kit_kv(APP_KV_GET, "key-1", NULL, NULL);
    atomic_store(&r->failing->reads_fail, true);
    (void)query_job(r, &get);
    (void)step();
}

/* It would be answered as absent. */
static void test_execution_steps_query_of_an_unreadable_state_ends_the_process(void **state)
{
    assert_true(ends_process(query_and_step_unreadable, *state));
}

static void test_execution_steps_failing_state_ends_the_process(void **state)
{
    struct room *r = *state;
    assert_false(ends_process(batch_and_step, r));
    assert_true(ends_process(batch_and_step_unreadable, r)); /* an append reads the next index */
    while (executor_executed(r->executor) < CHECKPOINT_INTERVAL)
        batch_and_step(r);
    free_all_done(r);
    assert_false(ends_process(fold_and_step, r));
    atomic_store(&r->failing->apply_fails, ERR_IO);
    assert_true(ends_process(fold_and_step, r));
}

#define EXECUTION_TEST(f) cmocka_unit_test_setup_teardown(f, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTION_TEST(test_execution_steps_batches_come_back_in_order_with_their_blocks),
        EXECUTION_TEST(test_execution_steps_batch_gives_each_client_one_reply_and_its_settled_sequences),
        EXECUTION_TEST(test_execution_steps_reply_over_the_frame_limit_travels_in_several),
        EXECUTION_TEST(test_execution_steps_reply_that_fits_a_frame_is_one),
        EXECUTION_TEST(test_execution_steps_replies_over_a_clients_queue_are_left_to_be_asked_for),
        EXECUTION_TEST(test_execution_steps_null_batch_gives_no_reply),
        EXECUTION_TEST(test_execution_steps_query_is_answered_from_the_batches_before_it),
        EXECUTION_TEST(test_execution_steps_find_gives_verdict_and_slot),
        EXECUTION_TEST(test_execution_steps_fold_on_a_full_disk_is_tried_again_by_itself),
        EXECUTION_TEST(test_execution_steps_full_disk_holds_batches_back_and_answers_queries),
        EXECUTION_TEST(test_execution_steps_freed_with_batches_held_back_frees_them),
        EXECUTION_TEST(test_execution_steps_query_of_an_unreadable_state_ends_the_process),
        EXECUTION_TEST(test_execution_steps_failing_state_ends_the_process),
    };
    return cmocka_run_group_tests_name("execution_steps", tests, NULL, NULL);
}
