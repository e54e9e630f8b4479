/* test_executor.c - executing batches: who gets an entry and which, limits of results, headers and history, and that
 * equal batches give equal ledgers whatever the store and however often it was opened again. */
#include "ledger/executor.h"

#include "tests/fixture/aborts.h"
#include "tests/fixture/failing_store.h"
#include "tests/fixture/ledger_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- an executor in memory ---- */

struct room {
    struct kit *kit;
    struct kv_store *store;
    struct executor *executor;
};

static int room_setup(void **state)
{
    struct room *r = mem_zero(1, sizeof *r);
    r->kit = kit_new(4, KIT_FAST);
    r->executor = kit_executor_new(r->kit, &r->store);
    *state = r;
    return 0;
}

static int room_teardown(void **state)
{
    struct room *r = *state;
    executor_close(r->executor);
    kv_store_close(r->store);
    kit_free(r->kit);
    free(r);
    return 0;
}

/* A request of these operations that never expires. */
static struct blob *request(const struct room *r, enum kit_client client, uint64_t seq, const struct kit_op *ops,
                            uint32_t count)
{
    return kit_request(r->kit, client, seq, KIT_EXPIRY, ops, count);
}

static struct blob *put_request(const struct room *r, enum kit_client client, uint64_t seq, const char *key,
                                const char *value)
{
    const struct kit_op op = kit_kv(APP_KV_PUT, key, value, NULL);
    return request(r, client, seq, &op, 1);
}

/* Executes the next batch, made of these requests. */
static struct executed_block *execute(struct room *r, uint64_t time_ms, struct blob *const *requests, uint32_t count)
{
    struct digest digest;
    struct executed_block *block = NULL;
    const uint64_t seq = executor_executed(r->executor) + 1;
    struct blob *batch = kit_batch(time_ms, requests, count, &digest);
    const struct err e = executor_execute(r->executor, seq, blob_bytes(batch), &digest, &block);
    if (err_is(&e)) fail_msg("%s", e.text);
    assert_int_equal(block->request_count, count);
    assert_memory_equal(block->header.batch_digest.bytes, digest.bytes, DIGEST_BYTES);
    blob_release(batch);
    return block;
}

static struct executed_block *execute_one(struct room *r, struct blob *request_taken)
{
    return execute(r, 1000, &request_taken, 1);
}

/* The same, for its effect only. */
static void executed(struct room *r, struct blob *request_taken)
{
    executed_block_free(execute_one(r, request_taken));
}

static struct wire_entry entry_of(const struct executed_block *b, uint32_t index)
{
    struct wire_iterator i = wire_list_start(executed_block_entries(b));
    struct wire_entry entry;
    for (uint32_t k = 0; k <= index; k++)
        assert_true(wire_list_next(&i, &wire_record_entry, &entry));
    return entry;
}

static void check_entry(const struct executed_block *b, uint32_t index, enum outcome outcome, const char *result)
{
    const struct wire_entry entry = entry_of(b, index);
    assert_int_equal(entry.outcome, outcome);
    assert_int_equal(entry.result.len, strlen(result));
    if (entry.result.len > 0) assert_memory_equal(entry.result.data, result, entry.result.len);
}

/* What a read-only GET sees. */
static void check_value(struct room *r, const char *key, const char *want)
{
    struct buffer space = {0};
    struct app_result result = {.outcome = OUTCOME_REFUSED};
    const struct kit_op op = kit_kv(APP_KV_GET, key, NULL, NULL);
    const struct wire_operation o = kit_operation(&op, &space);
    executor_query(r->executor, &o, &result);
    assert_int_equal(result.outcome, want == NULL ? OUTCOME_NEGATIVE : OUTCOME_OK);
    if (want != NULL) {
        assert_int_equal(result.value.len, strlen(want));
        if (result.value.len > 0) assert_memory_equal(result.value.data, want, result.value.len);
    }
    buffer_free(&result.value);
    buffer_free(&space);
}

/* ---- wrong calls and bytes ---- */

struct wrong_call {
    struct room *room;
    uint64_t seq;
};

static void execute_at(void *context)
{
    const struct wrong_call *w = context;
    struct digest digest;
    struct executed_block *block;
    struct blob *batch = kit_batch(1, NULL, 0, &digest);
    const struct err e = executor_execute(w->room->executor, w->seq, blob_bytes(batch), &digest, &block);
    if (err_is(&e)) return;
    executed_block_free(block);
    blob_release(batch);
}

static void test_executor_batch_out_of_order_aborts(void **state)
{
    struct wrong_call w = {.room = *state};
    assert_true(aborts(execute_at, &w)); /* 0 */
    w.seq = 2;
    assert_true(aborts(execute_at, &w));
    w.seq = 1;
    assert_false(aborts(execute_at, &w));
}

static void test_executor_bytes_that_are_no_batch_are_corrupt(void **state)
{
    struct room *r = *state;
    struct executed_block *block = NULL;
    const struct digest digest = {{0}};
    const struct err e = executor_execute(r->executor, 1, bytes_of("\x82\x00", 2), &digest, &block);
    assert_int_equal(e.code, ERR_CORRUPT);
    assert_null(block);
}

static void test_executor_batch_of_what_is_no_request_is_corrupt(void **state)
{
    struct room *r = *state;
    struct executed_block *block = NULL;
    struct digest digest;
    struct wire_commit vote = {.sender = 1, .seq = 1};
    struct blob *inside[] = {wire_encode_blob(&wire_record_commit, &vote)};
    struct blob *batch = kit_batch(1, inside, 1, &digest);
    struct err e = executor_execute(r->executor, 1, blob_bytes(batch), &digest, &block);
    assert_int_equal(e.code, ERR_CORRUPT);
    blob_release(batch);
    inside[0] = blob_copy(bytes_of_text("garbage"));
    batch = kit_batch(1, inside, 1, &digest);
    e = executor_execute(r->executor, 1, blob_bytes(batch), &digest, &block);
    assert_int_equal(e.code, ERR_CORRUPT);
    assert_null(block);
    blob_release(batch);
}

/* ---- who gets an entry ---- */

static void test_executor_unknown_client_has_no_entry_and_no_effect(void **state)
{
    struct room *r = *state;
    struct executed_block *b = execute_one(r, put_request(r, KIT_STRANGER, 1, "k", "v"));
    assert_int_equal(b->entry_count, 0);
    assert_int_equal(b->header.count, 0);
    assert_int_equal(b->requests[0].client, UINT32_MAX);
    assert_int_equal(b->requests[0].verdict, WINDOW_OUTSIDE);
    assert_int_equal(executor_entries(r->executor), 0);
    check_value(r, "k", NULL);
    executed_block_free(b);
}

static void test_executor_sequence_outside_the_window_has_no_entry(void **state)
{
    struct room *r = *state;
    static const uint64_t wrong[] = {0, CLIENT_WINDOW + 1, SEQ_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct executed_block *b = execute_one(r, put_request(r, KIT_WRITER, wrong[i], "k", "v"));
        assert_int_equal(b->entry_count, 0);
        assert_int_equal(b->requests[0].client, KIT_WRITER);
        assert_int_equal(b->requests[0].seq, wrong[i]);
        assert_int_equal(b->requests[0].verdict, WINDOW_OUTSIDE);
        executed_block_free(b);
    }
    check_value(r, "k", NULL);
    assert_int_equal(executor_window(r->executor, KIT_WRITER)->highest_settled, 0);
}

static void test_executor_same_request_twice_in_one_batch_executes_once(void **state)
{
    struct room *r = *state;
    const struct kit_op op = kit_append("line");
    struct blob *twice[] = {request(r, KIT_WRITER, 1, &op, 1), request(r, KIT_WRITER, 1, &op, 1)};
    struct executed_block *b = execute(r, 1000, twice, 2);
    assert_int_equal(b->entry_count, 1);
    assert_int_equal(b->requests[0].verdict, WINDOW_NEW);
    assert_int_equal(b->requests[0].count, 1);
    assert_int_equal(b->requests[1].verdict, WINDOW_SAME);
    assert_int_equal(b->requests[1].count, 0);
    assert_int_equal(b->requests[1].earlier.block, 1);
    assert_int_equal(b->requests[1].earlier.first_index, 0);
    executed_block_free(b);
}

static void test_executor_same_request_in_a_later_batch_points_to_its_answer(void **state)
{
    struct room *r = *state;
    const struct kit_op ops[] = {kit_append("a"), kit_append("b")};
    executed(r, put_request(r, KIT_ADMIN, 1, "x", "y"));
    executed(r, request(r, KIT_WRITER, 5, ops, 2));
    struct executed_block *b = execute_one(r, request(r, KIT_WRITER, 5, ops, 2));
    assert_int_equal(b->entry_count, 0);
    assert_int_equal(b->requests[0].verdict, WINDOW_SAME);
    const struct wire_window_slot *slot = &b->requests[0].earlier;
    assert_int_equal(slot->seq, 5);
    assert_int_equal(slot->block, 2);
    assert_int_equal(slot->first_index, 1);
    assert_int_equal(slot->count, 2);
    assert_int_equal(slot->outcome, OUTCOME_OK);
    assert_memory_equal(slot->transaction.bytes, b->requests[0].transaction.bytes, DIGEST_BYTES);
    executed_block_free(b);
}

/* Rule 28: the signature is not part of what a transaction is. */
static void test_executor_same_transaction_under_another_signature_executes_once(void **state)
{
    struct room *r = *state;
    struct wire_message m;
    struct blob *first = put_request(r, KIT_WRITER, 1, "k", "v");
    struct blob *second = blob_copy(blob_bytes(first));
    assert_null(wire_decode(blob_bytes(second), &m));
    second->data[second->len - 1] ^= 1; /* the last byte of the signature */
    struct blob *both[] = {first, second};
    struct executed_block *b = execute(r, 1000, both, 2);
    assert_int_equal(b->entry_count, 1);
    assert_int_equal(b->requests[1].verdict, WINDOW_SAME);
    executed_block_free(b);
}

static void test_executor_same_sequence_with_another_operation_is_conflict_without_entry(void **state)
{
    struct room *r = *state;
    struct blob *both[] = {put_request(r, KIT_WRITER, 1, "k", "first"), put_request(r, KIT_WRITER, 1, "k", "second")};
    struct executed_block *b = execute(r, 1000, both, 2);
    assert_int_equal(b->entry_count, 1);
    assert_int_equal(b->requests[1].verdict, WINDOW_OTHER);
    executed_block_free(b);
    b = execute_one(r, put_request(r, KIT_WRITER, 1, "k", "third"));
    assert_int_equal(b->entry_count, 0);
    assert_int_equal(b->requests[0].verdict, WINDOW_OTHER);
    executed_block_free(b);
    check_value(r, "k", "first");
}

static void test_executor_same_sequence_of_two_clients_are_two_transactions(void **state)
{
    struct room *r = *state;
    struct blob *both[] = {put_request(r, KIT_WRITER, 1, "k", "1"), put_request(r, KIT_OTHER, 1, "k", "2")};
    struct executed_block *b = execute(r, 1000, both, 2);
    assert_int_equal(b->entry_count, 2);
    assert_int_equal(b->requests[0].client, KIT_WRITER);
    assert_int_equal(b->requests[1].client, KIT_OTHER);
    executed_block_free(b);
    check_value(r, "k", "2");
}

static void test_executor_batch_time_past_expiry_is_expired_with_entry(void **state)
{
    struct room *r = *state;
    const struct kit_op ops[] = {kit_kv(APP_KV_PUT, "k", "v", NULL), kit_kv(APP_KV_PUT, "l", "v", NULL)};
    struct blob *late = kit_request(r->kit, KIT_WRITER, 1, 999, ops, 2);
    struct blob *again = blob_retain(late);
    struct executed_block *b = execute(r, 1000, &late, 1);
    assert_int_equal(b->entry_count, 1); /* one for the whole bundle */
    assert_int_equal(b->requests[0].count, 1);
    check_entry(b, 0, OUTCOME_EXPIRED, "");
    executed_block_free(b);
    check_value(r, "k", NULL);
    assert_int_equal(window_find(executor_window(r->executor, KIT_WRITER), 1)->outcome, OUTCOME_EXPIRED);
    /* it is settled: an earlier batch time does not revive it */
    b = execute(r, 500, &again, 1);
    assert_int_equal(b->entry_count, 0);
    assert_int_equal(b->requests[0].verdict, WINDOW_SAME);
    executed_block_free(b);
}

static void test_executor_batch_time_at_expiry_executes(void **state)
{
    struct room *r = *state;
    const struct kit_op op = kit_kv(APP_KV_PUT, "k", "v", NULL);
    struct blob *just = kit_request(r->kit, KIT_WRITER, 1, 1000, &op, 1);
    struct executed_block *b = execute(r, 1000, &just, 1);
    check_entry(b, 0, OUTCOME_OK, "");
    executed_block_free(b);
}

static void test_executor_reader_that_writes_is_refused_with_entry(void **state)
{
    struct room *r = *state;
    const struct kit_op mixed[] = {kit_kv(APP_KV_GET, "k", NULL, NULL), kit_kv(APP_KV_PUT, "k", "v", NULL)};
    const struct kit_op log = kit_append("x");
    struct executed_block *b = execute_one(r, request(r, KIT_READER, 1, mixed, 2));
    assert_int_equal(b->entry_count, 1);
    check_entry(b, 0, OUTCOME_REFUSED, "a reader may not write");
    executed_block_free(b);
    b = execute_one(r, request(r, KIT_READER, 2, &log, 1));
    check_entry(b, 0, OUTCOME_REFUSED, "a reader may not write");
    executed_block_free(b);
    check_value(r, "k", NULL);
    assert_int_equal(window_find(executor_window(r->executor, KIT_READER), 1)->outcome, OUTCOME_REFUSED);
}

static void test_executor_reader_that_reads_gets_the_answer(void **state)
{
    struct room *r = *state;
    const struct kit_op get = kit_kv(APP_KV_GET, "k", NULL, NULL);
    executed(r, put_request(r, KIT_WRITER, 1, "k", "v"));
    struct executed_block *b = execute_one(r, request(r, KIT_READER, 1, &get, 1));
    check_entry(b, 0, OUTCOME_OK, "v");
    executed_block_free(b);
}

static void test_executor_unknown_application_is_refused_with_entry(void **state)
{
    struct room *r = *state;
    static const uint64_t wrong[] = {APP_SYSTEM, APP_LOG + 1, 65535};
    for (uint64_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct kit_op op = kit_kv(APP_KV_PUT, "k", "v", NULL);
        op.app = wrong[i];
        struct executed_block *b = execute_one(r, request(r, KIT_WRITER, i + 1, &op, 1));
        assert_int_equal(b->entry_count, 1);
        check_entry(b, 0, OUTCOME_REFUSED, "no such application");
        executed_block_free(b);
    }
}

static void test_executor_bad_operation_refuses_the_whole_bundle(void **state)
{
    struct room *r = *state;
    struct kit_op ops[] = {kit_kv(APP_KV_PUT, "k", "v", NULL), kit_kv(APP_KV_GET, "k", NULL, NULL)};
    ops[1].verb = 99;
    struct executed_block *b = execute_one(r, request(r, KIT_WRITER, 1, ops, 2));
    assert_int_equal(b->entry_count, 1);
    check_entry(b, 0, OUTCOME_REFUSED, "the key-value application has no such verb");
    executed_block_free(b);
    check_value(r, "k", NULL);
}

static void test_executor_bundle_gives_one_entry_for_each_operation_in_order(void **state)
{
    struct room *r = *state;
    const struct kit_op ops[] = {kit_kv(APP_KV_PUT, "k", "1", NULL), kit_kv(APP_KV_GET, "k", NULL, NULL),
                                 kit_kv(APP_KV_CAS, "k", "0", "2"), kit_kv(APP_KV_GET, "absent", NULL, NULL)};
    struct blob *q = request(r, KIT_WRITER, 1, ops, 4);
    const struct digest leaf = merkle_leaf(blob_bytes(q));
    struct executed_block *b = execute_one(r, q);
    assert_int_equal(b->entry_count, 4);
    check_entry(b, 0, OUTCOME_OK, "");
    check_entry(b, 1, OUTCOME_OK, "1");
    check_entry(b, 2, OUTCOME_NEGATIVE, "1");
    check_entry(b, 3, OUTCOME_NEGATIVE, "");
    for (uint32_t i = 0; i < 4; i++) {
        const struct wire_entry entry = entry_of(b, i);
        assert_int_equal(entry.operation, i);
        assert_memory_equal(entry.request_digest.bytes, leaf.bytes, DIGEST_BYTES);
        assert_memory_equal(entry.transaction.bytes, b->requests[0].transaction.bytes, DIGEST_BYTES);
    }
    assert_int_equal(window_find(executor_window(r->executor, KIT_WRITER), 1)->count, 4);
    executed_block_free(b);
}

static void test_executor_refused_operation_leaves_the_others_of_its_bundle(void **state)
{
    struct room *r = *state;
    uint8_t file[DIGEST_BYTES] = {1};
    uint8_t raw[3][8];
    be64_put(raw[0], 0);
    be64_put(raw[1], 1);
    be64_put(raw[2], 2);
    const struct kit_op ops[] = {
        {.app = APP_LOG,
         .verb = APP_LOG_APPEND_LINE,
         .arg_count = 4,
         .args = {bytes_of(file, 32), bytes_of(raw[0], 8), bytes_of(raw[1], 8), bytes_of_text("line")}},
        {.app = APP_LOG,
         .verb = APP_LOG_APPEND_LINE,
         .arg_count = 4,
         .args = {bytes_of(file, 32), bytes_of(raw[0], 8), bytes_of(raw[2], 8), bytes_of_text("line")}},
        kit_kv(APP_KV_PUT, "k", "v", NULL)};
    struct executed_block *b = execute_one(r, request(r, KIT_WRITER, 1, ops, 3));
    assert_int_equal(entry_of(b, 0).outcome, OUTCOME_OK);
    check_entry(b, 1, OUTCOME_REFUSED, "");
    check_entry(b, 2, OUTCOME_OK, "");
    executed_block_free(b);
    check_value(r, "k", "v");
}

static void test_executor_null_batch_makes_a_block_without_entries(void **state)
{
    struct room *r = *state;
    const struct digest empty = merkle_root(NULL, 0);
    executed(r, put_request(r, KIT_WRITER, 1, "k", "v"));
    const struct wire_header before = executor_header(r->executor);
    struct executed_block *b = execute(r, 2000, NULL, 0);
    assert_int_equal(b->entry_count, 0);
    assert_int_equal(b->header.count, 0);
    assert_int_equal(b->header.seq, 2);
    assert_int_equal(b->header.time_ms, 2000);
    assert_int_equal(b->header.first_index, 1);
    assert_memory_equal(b->header.entries_root.bytes, empty.bytes, DIGEST_BYTES);
    assert_memory_equal(b->header.history_root.bytes, before.history_root.bytes, DIGEST_BYTES);
    executed_block_free(b);
}

/* ---- limits of results ---- */

/* Puts a value of `size` bytes under a key. */
static void put_large(struct room *r, uint64_t seq, const char *key, size_t size)
{
    struct blob *value = blob_new(size);
    memset(value->data, 'v', size);
    struct kit_op op = kit_kv(APP_KV_PUT, key, "", NULL);
    op.args[1] = blob_bytes(value);
    struct executed_block *b = execute_one(r, request(r, KIT_ADMIN, seq, &op, 1));
    check_entry(b, 0, OUTCOME_OK, "");
    executed_block_free(b);
    blob_release(value);
}

#define LARGE_BYTES (1024u * 1024u - 4096u)

/* A bundle of GETs whose results fill a block up to `left` bytes, `left` below LARGE_BYTES; the values exist. */
static void fill_setup(struct room *r, size_t left)
{
    put_large(r, 1, "large", LARGE_BYTES);
    put_large(r, 2, "rest", BLOCK_RESULT_BYTES_MAX - 4 * LARGE_BYTES - left);
    put_large(r, 3, "one", 1);
}

static void fill_ops(struct kit_op ops[5])
{
    for (uint32_t i = 0; i < 4; i++)
        ops[i] = kit_kv(APP_KV_GET, "large", NULL, NULL);
    ops[4] = kit_kv(APP_KV_GET, "rest", NULL, NULL);
}

static size_t result_bytes(const struct executed_block *b)
{
    size_t total = 0;
    for (uint32_t i = 0; i < b->entry_count; i++)
        total += entry_of(b, i).result.len;
    return total;
}

static void test_executor_results_up_to_the_limit_of_a_block_are_given(void **state)
{
    struct room *r = *state;
    struct kit_op ops[6];
    fill_setup(r, 1);
    fill_ops(ops);
    ops[5] = kit_kv(APP_KV_GET, "one", NULL, NULL);
    struct executed_block *b = execute_one(r, request(r, KIT_WRITER, 1, ops, 6));
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(entry_of(b, i).outcome, OUTCOME_OK);
    assert_int_equal(result_bytes(b), BLOCK_RESULT_BYTES_MAX);
    executed_block_free(b);
}

static void test_executor_result_past_the_limit_of_a_block_is_refused_and_undone(void **state)
{
    struct room *r = *state;
    struct kit_op ops[9];
    fill_setup(r, 0);
    fill_ops(ops);
    ops[5] = kit_kv(APP_KV_GET, "one", NULL, NULL);
    ops[6] = kit_append("this answers 8 bytes: no room");
    ops[7] = kit_kv(APP_KV_PUT, "small", "answers nothing", NULL);
    ops[8] = kit_kv(APP_KV_CAS, "one", "x", "y");
    struct executed_block *b = execute_one(r, request(r, KIT_WRITER, 1, ops, 9));
    check_entry(b, 5, OUTCOME_REFUSED, "");
    check_entry(b, 6, OUTCOME_REFUSED, "");
    check_entry(b, 7, OUTCOME_OK, "");
    check_entry(b, 8, OUTCOME_REFUSED, "");
    assert_int_equal(result_bytes(b), BLOCK_RESULT_BYTES_MAX);
    executed_block_free(b);
    check_value(r, "small", "answers nothing");
    /* the append did not happen, and the limit is the block's, not the ledger's */
    const struct kit_op append = kit_append("first");
    b = execute_one(r, request(r, KIT_WRITER, 2, &append, 1));
    const struct wire_entry entry = entry_of(b, 0);
    assert_int_equal(entry.outcome, OUTCOME_OK);
    assert_int_equal(be64_get(entry.result.data), 0);
    executed_block_free(b);
}

/* The reason of a refusal was put past the limit, and the room left wrapped round to no limit at all. */
static void test_executor_reason_past_the_limit_of_a_block_is_left_out_and_the_limit_stays(void **state)
{
    struct room *r = *state;
    struct kit_op fill[5];
    struct kit_op bad = kit_kv(APP_KV_GET, "one", NULL, NULL);
    const struct kit_op more[] = {kit_kv(APP_KV_GET, "large", NULL, NULL), kit_kv(APP_KV_GET, "one", NULL, NULL)};
    bad.verb = 99;
    fill_setup(r, 5);
    fill_ops(fill);
    struct blob *requests[] = {request(r, KIT_WRITER, 1, fill, 5), request(r, KIT_WRITER, 2, &bad, 1),
                               request(r, KIT_WRITER, 3, more, 2)};
    struct executed_block *b = execute(r, 1000, requests, 3);
    check_entry(b, 5, OUTCOME_REFUSED, "");
    check_entry(b, 6, OUTCOME_REFUSED, "");
    check_entry(b, 7, OUTCOME_OK, "v");
    assert_int_equal(result_bytes(b), BLOCK_RESULT_BYTES_MAX - 4);
    executed_block_free(b);
}

/* ---- headers and history ---- */

static void test_executor_header_names_what_it_stands_on(void **state)
{
    struct room *r = *state;
    struct digest previous = {{0}};
    uint64_t first_index = 0;
    const struct wire_header none = executor_header(r->executor);
    assert_int_equal(none.seq, 0);
    for (uint64_t seq = 1; seq <= 30; seq++) {
        struct digest digest;
        struct executed_block *b = kit_execute_next(r->kit, r->executor);
        const struct wire_header *h = &b->header;
        const struct digest hash = header_hash(h);
        const struct wire_header now = executor_header(r->executor);
        blob_release(kit_ledger_batch(r->kit, seq, &digest));
        assert_int_equal(h->version, HEADER_VERSION);
        assert_int_equal(h->epoch, 0);
        assert_memory_equal(h->configuration.bytes, r->kit->group->configuration.bytes, DIGEST_BYTES);
        assert_int_equal(h->seq, seq);
        assert_int_equal(h->time_ms, 1000 * seq);
        assert_memory_equal(h->batch_digest.bytes, digest.bytes, DIGEST_BYTES);
        assert_int_equal(h->first_index, first_index);
        assert_int_equal(h->count, b->entry_count);
        assert_memory_equal(h->previous.bytes, previous.bytes, DIGEST_BYTES);
        assert_memory_equal(b->header_hash.bytes, hash.bytes, DIGEST_BYTES);
        assert_int_equal(wire_compare_record(&wire_record_header, h, &now), 0);
        previous = hash;
        first_index += h->count;
        executed_block_free(b);
    }
    assert_int_equal(executor_executed(r->executor), 30);
    assert_int_equal(executor_entries(r->executor), first_index);
}

static void test_executor_roots_are_those_of_the_trees_over_the_entries(void **state)
{
    struct room *r = *state;
    struct digest all[1024];
    uint64_t count = 0;
    for (uint64_t seq = 1; seq <= 60; seq++) {
        struct executed_block *b = kit_execute_next(r->kit, r->executor);
        struct wire_iterator i = wire_list_start(executed_block_entries(b));
        struct wire_entry entry;
        struct bytes raw;
        const uint64_t first = count;
        while (wire_list_next_raw(&i, &wire_record_entry, &entry, &raw))
            all[count++] = merkle_leaf(raw);
        const struct digest entries = merkle_root(all + first, count - first);
        const struct digest history = merkle_root(all, count);
        assert_memory_equal(b->header.entries_root.bytes, entries.bytes, DIGEST_BYTES);
        assert_memory_equal(b->header.history_root.bytes, history.bytes, DIGEST_BYTES);
        executed_block_free(b);
    }
}

static void test_executor_checkpoint_is_every_Kth_block_and_names_the_state_root(void **state)
{
    struct room *r = *state;
    const struct digest genesis = executor_base_root(r->executor);
    for (uint64_t seq = 1; seq <= 2 * CHECKPOINT_INTERVAL; seq++) {
        struct executed_block *b = kit_execute_next(r->kit, r->executor);
        assert_int_equal(b->checkpoint, seq == CHECKPOINT_INTERVAL || seq == 2 * CHECKPOINT_INTERVAL);
        assert_int_equal(digest_is_zero(&b->state_root), !b->checkpoint);
        assert_false(digest_equal(&b->state_root, &genesis));
        executed_block_free(b);
    }
    assert_int_equal(executor_base(r->executor), 0);
}

/* Windows are replicated state (rule 22): two ledgers with equal data and other windows have other roots. */
static void test_executor_state_root_covers_client_windows(void **state)
{
    struct room *r = *state;
    struct room other = {.kit = r->kit};
    other.executor = kit_executor_new(r->kit, &other.store);
    const struct kit_op get = kit_kv(APP_KV_GET, "k", NULL, NULL);
    executed(r, request(r, KIT_WRITER, 1, &get, 1));
    executed(&other, request(r, KIT_WRITER, 2, &get, 1));
    struct digest roots[2];
    for (uint32_t i = 0; i < 2; i++) {
        struct room *at = i == 0 ? r : &other;
        while (executor_executed(at->executor) < CHECKPOINT_INTERVAL) {
            struct executed_block *b = execute(at, 1, NULL, 0);
            if (b->checkpoint) roots[i] = b->state_root;
            executed_block_free(b);
        }
    }
    assert_false(digest_equal(&roots[0], &roots[1]));
    executor_close(other.executor);
    kv_store_close(other.store);
}

/* ---- the same everywhere ---- */

#define CHAIN 300u

struct chain {
    struct digest headers[CHAIN + 1];
    struct digest roots[CHAIN / CHECKPOINT_INTERVAL + 1];
};

static void chain_note(struct chain *c, const struct executed_block *b)
{
    c->headers[b->header.seq] = b->header_hash;
    if (b->checkpoint) c->roots[b->header.seq / CHECKPOINT_INTERVAL] = b->state_root;
}

static void chain_run(struct chain *c, const struct kit *k, struct executor *e, uint64_t last, bool fold)
{
    while (executor_executed(e) < last) {
        struct executed_block *b = kit_execute_next(k, e);
        chain_note(c, b);
        if (fold && b->checkpoint) assert_int_equal(executor_fold(e, b->header.seq).code, ERR_NONE);
        executed_block_free(b);
    }
}

static struct executor *opened(struct kv_store *store, const struct kit *k)
{
    struct executor *e = NULL;
    const struct err error = executor_open(store, k->group, &e);
    if (err_is(&error)) fail_msg("%s", error.text);
    return e;
}

static void test_executor_same_batches_give_the_same_blocks_and_roots_on_lmdb(void **state)
{
    struct room *r = *state;
    struct chain memory = {0};
    struct chain files = {0};
    const struct kit_place place = kit_place_new();
    struct kv_store *store = NULL;
    assert_int_equal(
        kv_store_open_lmdb(place.dir, KV_OPEN_CREATE, state_table_names, STATE_TABLE_COUNT, 1 << 20, &store).code,
        ERR_NONE);
    assert_int_equal(executor_init(store, r->kit->group).code, ERR_NONE);
    struct executor *e = opened(store, r->kit);
    chain_run(&memory, r->kit, r->executor, CHAIN, false);
    chain_run(&files, r->kit, e, CHAIN, true);
    assert_memory_equal(&memory, &files, sizeof memory);
    executor_close(e);
    kv_store_close(store);
    kit_place_remove(&place);
}

static void test_executor_opened_again_stands_at_its_base_and_replays_to_the_same_blocks(void **state)
{
    struct room *r = *state;
    struct chain once = {0};
    struct chain twice = {0};
    struct room other = {.kit = r->kit};
    other.executor = kit_executor_new(r->kit, &other.store);
    chain_run(&once, r->kit, r->executor, CHAIN, false);
    for (uint64_t at = 50; at <= CHAIN; at += 50) {
        chain_run(&twice, r->kit, other.executor, at, true);
        const struct wire_header header = executor_header(other.executor);
        executor_close(other.executor);
        other.executor = opened(other.store, r->kit);
        const uint64_t base = at - at % CHECKPOINT_INTERVAL;
        assert_int_equal(executor_base(other.executor), base);
        assert_int_equal(executor_executed(other.executor), base);
        assert_int_equal(executor_header(other.executor).seq, base);
        const struct digest root = executor_base_root(other.executor);
        if (base > 0) assert_memory_equal(root.bytes, once.roots[base / CHECKPOINT_INTERVAL].bytes, DIGEST_BYTES);
        chain_run(&twice, r->kit, other.executor, at, true);
        const struct wire_header again = executor_header(other.executor);
        assert_int_equal(wire_compare_record(&wire_record_header, &header, &again), 0);
    }
    assert_memory_equal(&once, &twice, sizeof once);
    executor_close(other.executor);
    kv_store_close(other.store);
}

static void test_executor_opened_again_remembers_what_clients_had_settled(void **state)
{
    struct room *r = *state;
    kit_grow(r->kit, r->executor, NULL, CHECKPOINT_INTERVAL, NULL);
    assert_int_equal(executor_fold(r->executor, CHECKPOINT_INTERVAL).code, ERR_NONE);
    const struct client_window before = *executor_window(r->executor, KIT_WRITER);
    executor_close(r->executor);
    r->executor = opened(r->store, r->kit);
    const struct client_window *after = executor_window(r->executor, KIT_WRITER);
    for (uint64_t seq = CHECKPOINT_INTERVAL - CLIENT_WINDOW; seq <= CHECKPOINT_INTERVAL; seq++) {
        const struct wire_window_slot *a = window_find(&before, seq);
        const struct wire_window_slot *b = window_find(after, seq);
        assert_int_equal(a == NULL, b == NULL);
        if (a != NULL) assert_int_equal(wire_compare_record(&wire_record_window_slot, a, b), 0);
    }
    assert_int_equal(after->role, GROUP_ROLE_WRITER);
}

/* ---- folding ---- */

static void test_executor_fold_below_the_oldest_checkpoint_does_nothing(void **state)
{
    struct room *r = *state;
    kit_grow(r->kit, r->executor, NULL, CHECKPOINT_INTERVAL, NULL);
    const uint64_t syncs = kv_store_syncs(r->store);
    assert_int_equal(executor_fold(r->executor, CHECKPOINT_INTERVAL - 1).code, ERR_NONE);
    assert_int_equal(executor_base(r->executor), 0);
    assert_int_equal(kv_store_syncs(r->store), syncs);
}

static void test_executor_fold_takes_every_checkpoint_up_to_it_and_no_later_one(void **state)
{
    struct room *r = *state;
    struct chain c = {0};
    chain_run(&c, r->kit, r->executor, CHAIN, false);
    kit_grow(r->kit, r->executor, NULL, 3 * CHECKPOINT_INTERVAL, NULL);
    assert_int_equal(executor_fold(r->executor, 2 * CHECKPOINT_INTERVAL + 5).code, ERR_NONE);
    assert_int_equal(executor_base(r->executor), 2 * CHECKPOINT_INTERVAL);
    const struct digest root = executor_base_root(r->executor);
    assert_memory_equal(root.bytes, c.roots[2].bytes, DIGEST_BYTES);
    executor_close(r->executor);
    r->executor = opened(r->store, r->kit);
    assert_int_equal(executor_executed(r->executor), 2 * CHECKPOINT_INTERVAL);
}

static void test_executor_fold_on_a_full_disk_can_be_repeated(void **state)
{
    struct room *r = *state;
    struct failing_store *f = failing_store_new(STATE_TABLE_COUNT);
    struct err broken;
    assert_int_equal(executor_init(&f->base, r->kit->group).code, ERR_NONE);
    struct executor *e = opened(&f->base, r->kit);
    kit_grow(r->kit, e, NULL, CHECKPOINT_INTERVAL, NULL);
    atomic_store(&f->apply_fails, ERR_NO_SPACE);
    assert_int_equal(executor_fold(e, CHECKPOINT_INTERVAL).code, ERR_NO_SPACE);
    assert_int_equal(executor_base(e), 0);
    assert_false(executor_fault(e, &broken));
    atomic_store(&f->apply_fails, ERR_NONE);
    assert_int_equal(executor_fold(e, CHECKPOINT_INTERVAL).code, ERR_NONE);
    assert_int_equal(executor_base(e), CHECKPOINT_INTERVAL);
    executor_close(e);
    kv_store_close(&f->base);
}

/* With the disk full for so long that no layer is left, the executor says so; it does not abort. */
static void test_executor_more_checkpoints_than_can_wait_is_no_space(void **state)
{
    struct room *r = *state;
    struct digest digest;
    struct executed_block *block = NULL;
    const uint64_t last = STATE_LAYERS_MAX * CHECKPOINT_INTERVAL;
    kit_grow(r->kit, r->executor, NULL, last - 1, NULL);
    struct blob *batch = kit_ledger_batch(r->kit, last, &digest);
    struct err e = executor_execute(r->executor, last, blob_bytes(batch), &digest, &block);
    assert_int_equal(e.code, ERR_NO_SPACE);
    assert_null(block);
    assert_int_equal(executor_executed(r->executor), last - 1);
    /* nothing was executed: after a fold the same batch gives its block */
    assert_int_equal(executor_fold(r->executor, CHECKPOINT_INTERVAL).code, ERR_NONE);
    e = executor_execute(r->executor, last, blob_bytes(batch), &digest, &block);
    assert_int_equal(e.code, ERR_NONE);
    assert_true(block->checkpoint);
    executed_block_free(block);
    blob_release(batch);
}

/* ---- a failing or damaged store ---- */

static void test_executor_failing_read_ends_the_batch_with_the_fault(void **state)
{
    struct room *r = *state;
    struct failing_store *f = failing_store_new(STATE_TABLE_COUNT);
    struct executed_block *block = NULL;
    struct digest digest;
    struct err broken;
    assert_int_equal(executor_init(&f->base, r->kit->group).code, ERR_NONE);
    struct executor *e = opened(&f->base, r->kit);
    struct blob *batch = kit_ledger_batch(r->kit, 3, &digest); /* reads a key */
    atomic_store(&f->reads_fail, true);
    const struct err error = executor_execute(e, 1, blob_bytes(batch), &digest, &block);
    assert_int_equal(error.code, ERR_IO);
    assert_null(block);
    assert_true(executor_fault(e, &broken));
    blob_release(batch);
    executor_close(e);
    kv_store_close(&f->base);
}

static void test_executor_init_on_a_failing_store_gives_its_error(void **state)
{
    struct room *r = *state;
    struct failing_store *f = failing_store_new(STATE_TABLE_COUNT);
    atomic_store(&f->apply_fails, ERR_NO_SPACE);
    assert_int_equal(executor_init(&f->base, r->kit->group).code, ERR_NO_SPACE);
    atomic_store(&f->reads_fail, true);
    assert_int_equal(executor_init(&f->base, r->kit->group).code, ERR_IO);
    kv_store_close(&f->base);
}

/* Opens a store after one item of it was replaced (value.data NULL: deleted), and gives the code. */
static enum err_code open_changed(const struct room *r, uint32_t table, struct bytes key, struct bytes value)
{
    struct executor *e = NULL;
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    assert_int_equal(executor_init(store, r->kit->group).code, ERR_NONE);
    struct kv_batch *b = kv_batch_new();
    if (value.data == NULL)
        kv_batch_delete(b, table, key);
    else
        kv_batch_put(b, table, key, value);
    kit_apply(store, b);
    const struct err error = executor_open(store, r->kit->group, &e);
    assert_true(err_is(&error) == (e == NULL));
    assert_true(err_is(&error) == (error.text[0] != '\0'));
    executor_close(e);
    kv_store_close(store);
    return error.code;
}

static void test_executor_open_on_an_empty_store_is_corrupt(void **state)
{
    struct room *r = *state;
    struct executor *e = NULL;
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    assert_int_equal(executor_open(store, r->kit->group, &e).code, ERR_CORRUPT);
    assert_null(e);
    kv_store_close(store);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), bytes_of(NULL, 0)), ERR_CORRUPT);
}

static void test_executor_open_with_a_damaged_meta_record_is_corrupt(void **state)
{
    struct room *r = *state;
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    struct bytes raw;
    struct wire_state_meta meta;
    assert_int_equal(executor_init(store, r->kit->group).code, ERR_NONE);
    assert_int_equal(kv_store_get(store, STATE_TABLE_META, bytes_of_text("meta"), &raw), KV_FOUND);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), raw), ERR_NONE);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), bytes_of(raw.data, raw.len - 1)),
                     ERR_CORRUPT);
    assert_null(wire_decode_record(&wire_record_state_meta, raw, &meta));
    meta.state_root.bytes[0] ^= 1;
    struct blob *other_root = wire_encode_blob(&wire_record_state_meta, &meta);
    meta.state_root.bytes[0] ^= 1;
    meta.history_count = 3; /* wants two nodes; there are none */
    struct blob *other_count = wire_encode_blob(&wire_record_state_meta, &meta);
    meta.history_count = 0;
    meta.seq = 1; /* but the header's is 0 */
    struct blob *other_seq = wire_encode_blob(&wire_record_state_meta, &meta);
    meta.seq = 0;
    meta.header.first_index = 1;
    struct blob *other_index = wire_encode_blob(&wire_record_state_meta, &meta);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), blob_bytes(other_seq)), ERR_CORRUPT);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), blob_bytes(other_index)), ERR_CORRUPT);
    blob_release(other_seq);
    blob_release(other_index);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), blob_bytes(other_root)), ERR_CORRUPT);
    assert_int_equal(open_changed(r, STATE_TABLE_META, bytes_of_text("meta"), blob_bytes(other_count)), ERR_CORRUPT);
    blob_release(other_root);
    blob_release(other_count);
    kv_store_close(store);
}

static struct bytes registry_key(const struct room *r, enum kit_client client, uint8_t space[35])
{
    space[0] = 0;
    space[1] = 0;
    space[2] = 'c';
    memcpy(space + 3, r->kit->group->clients[client].key.bytes, PUBLIC_KEY_BYTES);
    return bytes_of(space, 35);
}

static void test_executor_open_with_a_client_that_is_not_in_the_registry_is_config(void **state)
{
    struct room *r = *state;
    uint8_t space[35];
    const struct bytes key = registry_key(r, KIT_READER, space);
    assert_int_equal(open_changed(r, STATE_TABLE_DATA, key, bytes_of(NULL, 0)), ERR_CONFIG);
}

static void test_executor_open_with_a_damaged_window_is_corrupt(void **state)
{
    struct room *r = *state;
    uint8_t space[35];
    struct client_window w = {.role = GROUP_ROLE_READER, .number = KIT_READER};
    struct buffer good = {0};
    struct buffer other = {0};
    const struct bytes key = registry_key(r, KIT_READER, space);
    window_encode(&w, &good);
    w.number = KIT_WRITER;
    window_encode(&w, &other);
    assert_int_equal(open_changed(r, STATE_TABLE_DATA, key, bytes_of(good.data, good.len)), ERR_NONE);
    assert_int_equal(open_changed(r, STATE_TABLE_DATA, key, bytes_of(good.data, good.len - 1)), ERR_CORRUPT);
    assert_int_equal(open_changed(r, STATE_TABLE_DATA, key, bytes_of(other.data, other.len)), ERR_CORRUPT);
    buffer_free(&good);
    buffer_free(&other);
}

/* ---- looking ---- */

static void test_executor_query_that_writes_or_is_malformed_is_refused_with_a_reason(void **state)
{
    struct room *r = *state;
    struct kit_op ops[] = {kit_kv(APP_KV_PUT, "k", "v", NULL), kit_kv(APP_KV_GET, "k", NULL, NULL),
                           kit_kv(APP_KV_GET, NULL, NULL, NULL)};
    static const char *const reasons[] = {"this operation writes: submit it as a transaction", "no such application",
                                          "get takes a key"};
    ops[1].app = 9;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct buffer space = {0};
        struct app_result result = {.outcome = OUTCOME_OK};
        const struct wire_operation o = kit_operation(&ops[i], &space);
        executor_query(r->executor, &o, &result);
        assert_int_equal(result.outcome, OUTCOME_REFUSED);
        assert_int_equal(result.value.len, strlen(reasons[i]));
        assert_memory_equal(result.value.data, reasons[i], result.value.len);
        buffer_free(&result.value);
        buffer_free(&space);
    }
    check_value(r, "k", NULL);
}

static void test_executor_query_sees_the_newest_executed_state(void **state)
{
    struct room *r = *state;
    check_value(r, "k", NULL);
    executed(r, put_request(r, KIT_WRITER, 1, "k", "1"));
    check_value(r, "k", "1");
    executed(r, put_request(r, KIT_WRITER, 2, "k", "2"));
    check_value(r, "k", "2");
}

static void test_executor_clients_are_those_of_the_group_file_in_its_order(void **state)
{
    struct room *r = *state;
    assert_int_equal(executor_client_count(r->executor), KIT_CLIENT_COUNT);
    for (uint32_t i = 0; i < KIT_CLIENT_COUNT; i++) {
        assert_int_equal(executor_client(r->executor, &r->kit->group->clients[i].key), i);
        assert_int_equal(executor_window(r->executor, i)->number, i);
        assert_int_equal(executor_window(r->executor, i)->role, r->kit->group->clients[i].role);
    }
    const struct public_key stranger = secret_key_public(&r->kit->clients[KIT_STRANGER]);
    assert_int_equal(executor_client(r->executor, &stranger), UINT32_MAX);
    assert_null(executor_window(r->executor, KIT_CLIENT_COUNT));
    assert_null(executor_window(r->executor, UINT32_MAX));
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_executor_batch_out_of_order_aborts),
        ROOM_TEST(test_executor_bytes_that_are_no_batch_are_corrupt),
        ROOM_TEST(test_executor_batch_of_what_is_no_request_is_corrupt),
        ROOM_TEST(test_executor_unknown_client_has_no_entry_and_no_effect),
        ROOM_TEST(test_executor_sequence_outside_the_window_has_no_entry),
        ROOM_TEST(test_executor_same_request_twice_in_one_batch_executes_once),
        ROOM_TEST(test_executor_same_request_in_a_later_batch_points_to_its_answer),
        ROOM_TEST(test_executor_same_transaction_under_another_signature_executes_once),
        ROOM_TEST(test_executor_same_sequence_with_another_operation_is_conflict_without_entry),
        ROOM_TEST(test_executor_same_sequence_of_two_clients_are_two_transactions),
        ROOM_TEST(test_executor_batch_time_past_expiry_is_expired_with_entry),
        ROOM_TEST(test_executor_batch_time_at_expiry_executes),
        ROOM_TEST(test_executor_reader_that_writes_is_refused_with_entry),
        ROOM_TEST(test_executor_reader_that_reads_gets_the_answer),
        ROOM_TEST(test_executor_unknown_application_is_refused_with_entry),
        ROOM_TEST(test_executor_bad_operation_refuses_the_whole_bundle),
        ROOM_TEST(test_executor_bundle_gives_one_entry_for_each_operation_in_order),
        ROOM_TEST(test_executor_refused_operation_leaves_the_others_of_its_bundle),
        ROOM_TEST(test_executor_null_batch_makes_a_block_without_entries),
        ROOM_TEST(test_executor_results_up_to_the_limit_of_a_block_are_given),
        ROOM_TEST(test_executor_result_past_the_limit_of_a_block_is_refused_and_undone),
        ROOM_TEST(test_executor_reason_past_the_limit_of_a_block_is_left_out_and_the_limit_stays),
        ROOM_TEST(test_executor_header_names_what_it_stands_on),
        ROOM_TEST(test_executor_roots_are_those_of_the_trees_over_the_entries),
        ROOM_TEST(test_executor_checkpoint_is_every_Kth_block_and_names_the_state_root),
        ROOM_TEST(test_executor_state_root_covers_client_windows),
        ROOM_TEST(test_executor_same_batches_give_the_same_blocks_and_roots_on_lmdb),
        ROOM_TEST(test_executor_opened_again_stands_at_its_base_and_replays_to_the_same_blocks),
        ROOM_TEST(test_executor_opened_again_remembers_what_clients_had_settled),
        ROOM_TEST(test_executor_fold_below_the_oldest_checkpoint_does_nothing),
        ROOM_TEST(test_executor_fold_takes_every_checkpoint_up_to_it_and_no_later_one),
        ROOM_TEST(test_executor_fold_on_a_full_disk_can_be_repeated),
        ROOM_TEST(test_executor_more_checkpoints_than_can_wait_is_no_space),
        ROOM_TEST(test_executor_failing_read_ends_the_batch_with_the_fault),
        ROOM_TEST(test_executor_init_on_a_failing_store_gives_its_error),
        ROOM_TEST(test_executor_open_on_an_empty_store_is_corrupt),
        ROOM_TEST(test_executor_open_with_a_damaged_meta_record_is_corrupt),
        ROOM_TEST(test_executor_open_with_a_client_that_is_not_in_the_registry_is_config),
        ROOM_TEST(test_executor_open_with_a_damaged_window_is_corrupt),
        ROOM_TEST(test_executor_query_that_writes_or_is_malformed_is_refused_with_a_reason),
        ROOM_TEST(test_executor_query_sees_the_newest_executed_state),
        ROOM_TEST(test_executor_clients_are_those_of_the_group_file_in_its_order),
    };
    return cmocka_run_group_tests_name("executor", tests, NULL, NULL);
}
