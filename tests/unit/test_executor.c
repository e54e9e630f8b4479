/* test_executor.c - executing batches: who gets an entry and which, the limits of results, read-only queries. The
 * ledger that comes out of it: test_executor_ledger.c. */
#include "tests/fixture/aborts.h"
#include "tests/fixture/executor_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
static void check_value(struct executor_room *r, const char *key, const char *want)
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
    struct executor_room *room;
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
    struct executor_room *r = *state;
    struct executed_block *block = NULL;
    const struct digest digest = {{0}};
    const struct err e = executor_execute(r->executor, 1, bytes_of("\x82\x00", 2), &digest, &block);
    assert_int_equal(e.code, ERR_CORRUPT);
    assert_null(block);
}

static void test_executor_batch_of_what_is_no_request_is_corrupt(void **state)
{
    struct executor_room *r = *state;
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
    struct executor_room *r = *state;
    struct executed_block *b = executor_room_execute_one(r, executor_room_put(r, KIT_STRANGER, 1, "k", "v"));
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
    struct executor_room *r = *state;
    static const uint64_t wrong[] = {0, CLIENT_WINDOW + 1, SEQ_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct executed_block *b = executor_room_execute_one(r, executor_room_put(r, KIT_WRITER, wrong[i], "k", "v"));
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
    struct executor_room *r = *state;
    const struct kit_op op = kit_append("line");
    struct blob *twice[] = {executor_room_request(r, KIT_WRITER, 1, &op, 1),
                            executor_room_request(r, KIT_WRITER, 1, &op, 1)};
    struct executed_block *b = executor_room_execute(r, 1000, twice, 2);
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
    struct executor_room *r = *state;
    const struct kit_op ops[] = {kit_append("a"), kit_append("b")};
    executor_room_executed(r, executor_room_put(r, KIT_ADMIN, 1, "x", "y"));
    executor_room_executed(r, executor_room_request(r, KIT_WRITER, 5, ops, 2));
    struct executed_block *b = executor_room_execute_one(r, executor_room_request(r, KIT_WRITER, 5, ops, 2));
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
    struct executor_room *r = *state;
    struct wire_message m;
    struct blob *first = executor_room_put(r, KIT_WRITER, 1, "k", "v");
    struct blob *second = blob_copy(blob_bytes(first));
    assert_null(wire_decode(blob_bytes(second), &m));
    second->data[second->len - 1] ^= 1; /* the last byte of the signature */
    struct blob *both[] = {first, second};
    struct executed_block *b = executor_room_execute(r, 1000, both, 2);
    assert_int_equal(b->entry_count, 1);
    assert_int_equal(b->requests[1].verdict, WINDOW_SAME);
    executed_block_free(b);
}

static void test_executor_same_sequence_with_another_operation_is_conflict_without_entry(void **state)
{
    struct executor_room *r = *state;
    struct blob *both[] = {executor_room_put(r, KIT_WRITER, 1, "k", "first"),
                           executor_room_put(r, KIT_WRITER, 1, "k", "second")};
    struct executed_block *b = executor_room_execute(r, 1000, both, 2);
    assert_int_equal(b->entry_count, 1);
    assert_int_equal(b->requests[1].verdict, WINDOW_OTHER);
    executed_block_free(b);
    b = executor_room_execute_one(r, executor_room_put(r, KIT_WRITER, 1, "k", "third"));
    assert_int_equal(b->entry_count, 0);
    assert_int_equal(b->requests[0].verdict, WINDOW_OTHER);
    executed_block_free(b);
    check_value(r, "k", "first");
}

static void test_executor_same_sequence_of_two_clients_are_two_transactions(void **state)
{
    struct executor_room *r = *state;
    struct blob *both[] = {executor_room_put(r, KIT_WRITER, 1, "k", "1"), executor_room_put(r, KIT_OTHER, 1, "k", "2")};
    struct executed_block *b = executor_room_execute(r, 1000, both, 2);
    assert_int_equal(b->entry_count, 2);
    assert_int_equal(b->requests[0].client, KIT_WRITER);
    assert_int_equal(b->requests[1].client, KIT_OTHER);
    assert_int_equal(b->requests[0].first, 0);
    assert_int_equal(b->requests[1].first, 1);
    assert_int_equal(window_find(executor_window(r->executor, KIT_OTHER), 1)->first_index, 1);
    executed_block_free(b);
    check_value(r, "k", "2");
}

static void test_executor_batch_time_past_expiry_is_expired_with_entry(void **state)
{
    struct executor_room *r = *state;
    const struct kit_op ops[] = {kit_kv(APP_KV_PUT, "k", "v", NULL), kit_kv(APP_KV_PUT, "l", "v", NULL)};
    struct blob *late = kit_request(r->kit, KIT_WRITER, 1, 999, ops, 2);
    struct blob *again = blob_retain(late);
    struct executed_block *b = executor_room_execute(r, 1000, &late, 1);
    assert_int_equal(b->entry_count, 1); /* one for the whole bundle */
    assert_int_equal(b->requests[0].count, 1);
    check_entry(b, 0, OUTCOME_EXPIRED, "");
    executed_block_free(b);
    check_value(r, "k", NULL);
    assert_int_equal(window_find(executor_window(r->executor, KIT_WRITER), 1)->outcome, OUTCOME_EXPIRED);
    /* it is settled: an earlier batch time does not revive it */
    b = executor_room_execute(r, 500, &again, 1);
    assert_int_equal(b->entry_count, 0);
    assert_int_equal(b->requests[0].verdict, WINDOW_SAME);
    executed_block_free(b);
}

static void test_executor_batch_time_at_expiry_executes(void **state)
{
    struct executor_room *r = *state;
    const struct kit_op op = kit_kv(APP_KV_PUT, "k", "v", NULL);
    struct blob *just = kit_request(r->kit, KIT_WRITER, 1, 1000, &op, 1);
    struct executed_block *b = executor_room_execute(r, 1000, &just, 1);
    check_entry(b, 0, OUTCOME_OK, "");
    executed_block_free(b);
}

static void test_executor_reader_that_writes_is_refused_with_entry(void **state)
{
    struct executor_room *r = *state;
    const struct kit_op mixed[] = {kit_kv(APP_KV_GET, "k", NULL, NULL), kit_kv(APP_KV_PUT, "k", "v", NULL)};
    const struct kit_op log = kit_append("x");
    struct executed_block *b = executor_room_execute_one(r, executor_room_request(r, KIT_READER, 1, mixed, 2));
    assert_int_equal(b->entry_count, 1);
    check_entry(b, 0, OUTCOME_REFUSED, "a reader may not write");
    executed_block_free(b);
    b = executor_room_execute_one(r, executor_room_request(r, KIT_READER, 2, &log, 1));
    check_entry(b, 0, OUTCOME_REFUSED, "a reader may not write");
    executed_block_free(b);
    check_value(r, "k", NULL);
    assert_int_equal(window_find(executor_window(r->executor, KIT_READER), 1)->outcome, OUTCOME_REFUSED);
}

static void test_executor_reader_that_reads_gets_the_answer(void **state)
{
    struct executor_room *r = *state;
    const struct kit_op get = kit_kv(APP_KV_GET, "k", NULL, NULL);
    executor_room_executed(r, executor_room_put(r, KIT_WRITER, 1, "k", "v"));
    struct executed_block *b = executor_room_execute_one(r, executor_room_request(r, KIT_READER, 1, &get, 1));
    check_entry(b, 0, OUTCOME_OK, "v");
    executed_block_free(b);
}

static void test_executor_unknown_application_is_refused_with_entry(void **state)
{
    struct executor_room *r = *state;
    static const uint64_t wrong[] = {APP_SYSTEM, APP_LOG + 1, 65535};
    for (uint64_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct kit_op op = kit_kv(APP_KV_PUT, "k", "v", NULL);
        op.app = wrong[i];
        struct executed_block *b = executor_room_execute_one(r, executor_room_request(r, KIT_WRITER, i + 1, &op, 1));
        assert_int_equal(b->entry_count, 1);
        check_entry(b, 0, OUTCOME_REFUSED, "no such application");
        executed_block_free(b);
    }
}

static void test_executor_bad_operation_refuses_the_whole_bundle(void **state)
{
    struct executor_room *r = *state;
    struct kit_op ops[] = {kit_kv(APP_KV_PUT, "k", "v", NULL), kit_kv(APP_KV_GET, "k", NULL, NULL)};
    ops[1].verb = 99;
    struct executed_block *b = executor_room_execute_one(r, executor_room_request(r, KIT_WRITER, 1, ops, 2));
    assert_int_equal(b->entry_count, 1);
    check_entry(b, 0, OUTCOME_REFUSED, "the key-value application has no such verb");
    executed_block_free(b);
    check_value(r, "k", NULL);
}

static void test_executor_bundle_gives_one_entry_for_each_operation_in_order(void **state)
{
    struct executor_room *r = *state;
    const struct kit_op ops[] = {kit_kv(APP_KV_PUT, "k", "1", NULL), kit_kv(APP_KV_GET, "k", NULL, NULL),
                                 kit_kv(APP_KV_CAS, "k", "0", "2"), kit_kv(APP_KV_GET, "absent", NULL, NULL)};
    struct blob *q = executor_room_request(r, KIT_WRITER, 1, ops, 4);
    struct wire_message m;
    const struct digest leaf = merkle_leaf(blob_bytes(q));
    assert_null(wire_decode(blob_bytes(q), &m));
    const struct digest transaction = wire_signing_digest(&r->kit->group->id, m.signed_part);
    struct executed_block *b = executor_room_execute_one(r, q);
    assert_int_equal(b->entry_count, 4);
    check_entry(b, 0, OUTCOME_OK, "");
    check_entry(b, 1, OUTCOME_OK, "1");
    check_entry(b, 2, OUTCOME_NEGATIVE, "1");
    check_entry(b, 3, OUTCOME_NEGATIVE, "");
    for (uint32_t i = 0; i < 4; i++) {
        const struct wire_entry entry = entry_of(b, i);
        assert_int_equal(entry.operation, i);
        assert_memory_equal(entry.request_digest.bytes, leaf.bytes, DIGEST_BYTES);
        assert_memory_equal(entry.transaction.bytes, transaction.bytes, DIGEST_BYTES);
    }
    assert_memory_equal(b->requests[0].transaction.bytes, transaction.bytes, DIGEST_BYTES);
    assert_int_equal(window_find(executor_window(r->executor, KIT_WRITER), 1)->count, 4);
    executed_block_free(b);
}

static void test_executor_refused_operation_leaves_the_others_of_its_bundle(void **state)
{
    struct executor_room *r = *state;
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
    struct executed_block *b = executor_room_execute_one(r, executor_room_request(r, KIT_WRITER, 1, ops, 3));
    assert_int_equal(entry_of(b, 0).outcome, OUTCOME_OK);
    check_entry(b, 1, OUTCOME_REFUSED, "");
    check_entry(b, 2, OUTCOME_OK, "");
    executed_block_free(b);
    check_value(r, "k", "v");
}

static void test_executor_null_batch_makes_a_block_without_entries(void **state)
{
    struct executor_room *r = *state;
    const struct digest empty = merkle_root(NULL, 0);
    executor_room_executed(r, executor_room_put(r, KIT_WRITER, 1, "k", "v"));
    const struct wire_header before = executor_header(r->executor);
    struct executed_block *b = executor_room_execute(r, 2000, NULL, 0);
    assert_int_equal(b->entry_count, 0);
    assert_int_equal(b->header.count, 0);
    assert_int_equal(b->header.seq, 2);
    assert_int_equal(b->header.time_ms, 2000);
    assert_int_equal(b->header.first_index, 1);
    assert_memory_equal(b->header.entries_root.bytes, empty.bytes, DIGEST_BYTES);
    assert_memory_equal(b->header.history_root.bytes, before.history_root.bytes, DIGEST_BYTES);
    executed_block_free(b);
}

/* A view change carries batches over from different views, and null batches with no time at all. */
static void test_executor_time_never_goes_back(void **state)
{
    struct executor_room *r = *state;
    static const uint64_t batch_ms[] = {2000, 1500, 0, 1999, 2000, 2001};
    for (size_t i = 0; i < sizeof batch_ms / sizeof batch_ms[0]; i++) {
        struct executed_block *b = executor_room_execute(r, batch_ms[i], NULL, 0);
        assert_int_equal(b->header.time_ms, batch_ms[i] > 2000 ? batch_ms[i] : 2000);
        executed_block_free(b);
    }
}

/* ---- limits of results ---- */

/* Puts a value of `size` bytes under a key. */
static void put_large(struct executor_room *r, uint64_t seq, const char *key, size_t size)
{
    struct blob *value = blob_new(size);
    memset(value->data, 'v', size);
    struct kit_op op = kit_kv(APP_KV_PUT, key, "", NULL);
    op.args[1] = blob_bytes(value);
    struct executed_block *b = executor_room_execute_one(r, executor_room_request(r, KIT_ADMIN, seq, &op, 1));
    check_entry(b, 0, OUTCOME_OK, "");
    executed_block_free(b);
    blob_release(value);
}

#define LARGE_BYTES (1024u * 1024u - 4096u)
#define FILL_OPS 4u

/* A bundle of GETs that leaves `left` bytes of a block's room for what is read; left is below 10,000. */
static void fill_ops(struct executor_room *r, size_t left, struct kit_op ops[FILL_OPS])
{
    put_large(r, 1, "large", LARGE_BYTES);
    put_large(r, 2, "rest", BLOCK_READ_BYTES_MAX - 3 * LARGE_BYTES - left);
    put_large(r, 3, "one", 1);
    for (uint32_t i = 0; i < 3; i++)
        ops[i] = kit_kv(APP_KV_GET, "large", NULL, NULL);
    ops[3] = kit_kv(APP_KV_GET, "rest", NULL, NULL);
}

/* Executes a full block of reads that leaves so many bytes, and then these operations, in the same block. */
static struct executed_block *fill_and_run(struct executor_room *r, size_t left, const struct kit_op *ops,
                                           uint32_t count)
{
    struct kit_op fill[FILL_OPS];
    fill_ops(r, left, fill);
    struct blob *requests[] = {executor_room_request(r, KIT_WRITER, 1, fill, FILL_OPS),
                               executor_room_request(r, KIT_OTHER, 1, ops, count)};
    struct executed_block *b = executor_room_execute(r, 1000, requests, 2);
    for (uint32_t i = 0; i < FILL_OPS; i++)
        assert_int_equal(entry_of(b, i).outcome, OUTCOME_OK);
    return b;
}

static void test_executor_read_up_to_the_limit_of_a_block_is_answered(void **state)
{
    const struct kit_op get = kit_kv(APP_KV_GET, "one", NULL, NULL);
    struct executed_block *b = fill_and_run(*state, app_kv.cost(&(struct wire_operation){.verb = APP_KV_GET}), &get, 1);
    check_entry(b, FILL_OPS, OUTCOME_OK, "v");
    executed_block_free(b);
}

static void test_executor_read_past_the_limit_of_a_block_is_refused(void **state)
{
    const struct kit_op ops[] = {kit_kv(APP_KV_GET, "one", NULL, NULL), kit_kv(APP_KV_CAS, "new", "v", NULL),
                                 kit_kv(APP_KV_LIST, "", "", NULL)};
    const size_t cost = app_kv.cost(&(struct wire_operation){.verb = APP_KV_GET});
    struct executed_block *b = fill_and_run(*state, cost - 1, ops, 3);
    for (uint32_t i = 0; i < 3; i++)
        check_entry(b, FILL_OPS + i, OUTCOME_REFUSED, "");
    executed_block_free(b);
    check_value(*state, "new", NULL);
}

static void test_executor_write_past_the_limit_of_reads_is_executed(void **state)
{
    const struct kit_op ops[] = {kit_kv(APP_KV_PUT, "new", "v", NULL), kit_append("line"),
                                 kit_kv(APP_KV_DELETE, "one", NULL, NULL)};
    struct executed_block *b = fill_and_run(*state, 0, ops, 3);
    check_entry(b, FILL_OPS, OUTCOME_OK, "");
    assert_int_equal(entry_of(b, FILL_OPS + 1).outcome, OUTCOME_OK);
    assert_int_equal(entry_of(b, FILL_OPS + 1).result.len, 8);
    check_entry(b, FILL_OPS + 2, OUTCOME_OK, "");
    executed_block_free(b);
    check_value(*state, "new", "v");
    check_value(*state, "one", NULL);
}

static void test_executor_read_that_does_not_fit_uses_up_the_room_of_the_block(void **state)
{
    const struct kit_op ops[] = {kit_kv(APP_KV_GET, "large", NULL, NULL), kit_kv(APP_KV_GET, "one", NULL, NULL)};
    struct executed_block *b = fill_and_run(*state, 9999, ops, 2);
    check_entry(b, FILL_OPS, OUTCOME_REFUSED, "");
    check_entry(b, FILL_OPS + 1, OUTCOME_REFUSED, "");
    executed_block_free(b);
}

static void test_executor_every_block_has_its_own_room(void **state)
{
    struct executor_room *r = *state;
    const struct kit_op get = kit_kv(APP_KV_GET, "one", NULL, NULL);
    executed_block_free(fill_and_run(r, 0, &get, 1));
    struct executed_block *b = executor_room_execute_one(r, executor_room_request(r, KIT_WRITER, 2, &get, 1));
    check_entry(b, 0, OUTCOME_OK, "v");
    executed_block_free(b);
}

/* An empty page is as much work to refuse as a full one. */
static void test_executor_page_is_charged_whole(void **state)
{
    struct executor_room *r = *state;
    uint8_t from[8] = {0};
    const uint32_t room = BLOCK_READ_BYTES_MAX / APP_PAGE_BYTES_MAX;
    struct kit_op ops[BLOCK_READ_BYTES_MAX / APP_PAGE_BYTES_MAX + 1];
    for (uint32_t kind = 0; kind < 2; kind++) {
        for (uint32_t i = 0; i <= room; i++) {
            ops[i] = kit_kv(APP_KV_LIST, "", "", NULL);
            if (kind == 0) continue;
            ops[i] = (struct kit_op){.app = APP_LOG, .verb = APP_LOG_READ, .arg_count = 1, .args = {bytes_of(from, 8)}};
        }
        struct blob *q = executor_room_request(r, KIT_READER, kind + 1, ops, room + 1);
        struct executed_block *b = executor_room_execute_one(r, q);
        for (uint32_t i = 0; i < room; i++)
            assert_int_equal(entry_of(b, i).outcome, OUTCOME_OK);
        check_entry(b, room, OUTCOME_REFUSED, "");
        executed_block_free(b);
    }
}

/* The reason of a refusal was put past the limit, and the room left wrapped round to no limit at all. */
static void test_executor_reason_in_a_full_block_is_given_and_the_limit_stays(void **state)
{
    struct executor_room *r = *state;
    struct kit_op fill[FILL_OPS];
    struct kit_op bad = kit_kv(APP_KV_GET, "one", NULL, NULL);
    const struct kit_op more[] = {kit_kv(APP_KV_GET, "large", NULL, NULL), kit_kv(APP_KV_GET, "one", NULL, NULL)};
    bad.verb = 99;
    fill_ops(r, 0, fill);
    struct blob *requests[] = {executor_room_request(r, KIT_WRITER, 1, fill, FILL_OPS),
                               executor_room_request(r, KIT_WRITER, 2, &bad, 1),
                               executor_room_request(r, KIT_WRITER, 3, more, 2)};
    struct executed_block *b = executor_room_execute(r, 1000, requests, 3);
    check_entry(b, FILL_OPS, OUTCOME_REFUSED, "the key-value application has no such verb");
    check_entry(b, FILL_OPS + 1, OUTCOME_REFUSED, "");
    check_entry(b, FILL_OPS + 2, OUTCOME_REFUSED, "");
    executed_block_free(b);
}

/* All that a batch can hold, after all that may be read: the small answers find room, and the sum stays below its
 * limit. */
static void test_executor_block_of_the_most_operations_keeps_every_small_answer(void **state)
{
    struct executor_room *r = *state;
    static struct kit_op ops[OPS_MAX];
    struct blob *requests[BLOCK_OPS_MAX / OPS_MAX + 2];
    uint32_t count = 0;
    size_t total = 0;
    fill_ops(r, 0, ops);
    requests[count++] = executor_room_request(r, KIT_WRITER, 1, ops, FILL_OPS);
    for (uint32_t i = 0; i < OPS_MAX; i++)
        ops[i] = kit_append("x");
    for (uint32_t left = BLOCK_OPS_MAX - FILL_OPS; left > 0; count++) {
        const uint32_t now = left < OPS_MAX ? left : OPS_MAX;
        const enum kit_client client = count % 2 == 0 ? KIT_WRITER : KIT_OTHER;
        requests[count] = executor_room_request(r, client, count / 2 + 1, ops, now);
        left -= now;
    }
    struct executed_block *b = executor_room_execute(r, 1000, requests, count);
    assert_int_equal(b->entry_count, BLOCK_OPS_MAX);
    struct wire_iterator i = wire_list_start(executed_block_entries(b));
    struct wire_entry entry;
    for (uint32_t k = 0; wire_list_next(&i, &wire_record_entry, &entry); k++) {
        assert_int_equal(entry.outcome, OUTCOME_OK);
        if (k >= FILL_OPS) assert_int_equal(entry.result.len, 8);
        total += entry.result.len;
    }
    assert_true(total <= BLOCK_RESULT_BYTES_MAX);
    executed_block_free(b);
}

/* ---- looking ---- */

static void test_executor_query_that_writes_or_is_malformed_is_refused_with_a_reason(void **state)
{
    struct executor_room *r = *state;
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
    struct executor_room *r = *state;
    check_value(r, "k", NULL);
    executor_room_executed(r, executor_room_put(r, KIT_WRITER, 1, "k", "1"));
    check_value(r, "k", "1");
    executor_room_executed(r, executor_room_put(r, KIT_WRITER, 2, "k", "2"));
    check_value(r, "k", "2");
}

static void test_executor_clients_are_those_of_the_group_file_in_its_order(void **state)
{
    struct executor_room *r = *state;
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

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, executor_room_setup, executor_room_teardown)

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
        ROOM_TEST(test_executor_time_never_goes_back),
        ROOM_TEST(test_executor_read_up_to_the_limit_of_a_block_is_answered),
        ROOM_TEST(test_executor_read_past_the_limit_of_a_block_is_refused),
        ROOM_TEST(test_executor_write_past_the_limit_of_reads_is_executed),
        ROOM_TEST(test_executor_read_that_does_not_fit_uses_up_the_room_of_the_block),
        ROOM_TEST(test_executor_every_block_has_its_own_room),
        ROOM_TEST(test_executor_page_is_charged_whole),
        ROOM_TEST(test_executor_reason_in_a_full_block_is_given_and_the_limit_stays),
        ROOM_TEST(test_executor_block_of_the_most_operations_keeps_every_small_answer),
        ROOM_TEST(test_executor_query_that_writes_or_is_malformed_is_refused_with_a_reason),
        ROOM_TEST(test_executor_query_sees_the_newest_executed_state),
        ROOM_TEST(test_executor_clients_are_those_of_the_group_file_in_its_order),
    };
    return cmocka_run_group_tests_name("executor", tests, NULL, NULL);
}
