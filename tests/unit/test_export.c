/* test_export.c - the canonical text of a ledger: the same from every replica, and damage is found. */
#include "ledger/export.h"

#include "tests/fixture/failing_store.h"
#include "tests/fixture/ledger_kit.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLOCKS 140u

struct room {
    struct kit *kit;
    struct kv_store *log; /* BLOCKS blocks */
};

static struct kv_store *grown(const struct kit *k, uint64_t last, const uint64_t *signers)
{
    struct kv_store *store;
    struct kv_store *log = kv_store_new_memory(LOG_TABLE_COUNT);
    struct executor *e = kit_executor_new(k, &store);
    kit_grow(k, e, log, last, signers);
    executor_close(e);
    kv_store_close(store);
    return log;
}

static int room_setup(void **state)
{
    struct room *r = mem_zero(1, sizeof *r);
    r->kit = kit_new(4, KIT_FAST);
    r->log = grown(r->kit, BLOCKS, NULL);
    *state = r;
    return 0;
}

static int room_teardown(void **state)
{
    struct room *r = *state;
    kv_store_close(r->log);
    kit_free(r->kit);
    free(r);
    return 0;
}

/* The export as a new text, freed by the caller; *error is how it ended. */
static char *exported(struct kv_store *log, struct err *error)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    assert_non_null(f);
    *error = export_ledger(log, f);
    assert_int_equal(fclose(f), 0);
    return text;
}

static struct bytes block_key(uint8_t space[8], uint64_t seq)
{
    be64_put(space, seq);
    return bytes_of(space, 8);
}

/* A copy of the stored block. */
static struct blob *stored_block(struct kv_store *log, uint64_t seq)
{
    uint8_t key[8];
    struct bytes value;
    assert_int_equal(kv_store_get(log, LOG_TABLE_BLOCKS, block_key(key, seq), &value), KV_FOUND);
    return blob_copy(value);
}

static void put_block(struct kv_store *log, uint64_t seq, struct bytes value)
{
    uint8_t key[8];
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, LOG_TABLE_BLOCKS, block_key(key, seq), value);
    kit_apply(log, b);
}

/* Export must fail as corrupt and name the block. */
static void check_corrupt(struct kv_store *log, const char *block)
{
    struct err e;
    free(exported(log, &e));
    assert_int_equal(e.code, ERR_CORRUPT);
    if (strstr(e.text, block) == NULL) fail_msg("%s", e.text);
}

/* ---- damage ---- */

static void test_export_with_a_missing_block_is_corrupt(void **state)
{
    struct room *r = *state;
    uint8_t key[8];
    struct kv_batch *b = kv_batch_new();
    kv_batch_delete(b, LOG_TABLE_BLOCKS, block_key(key, 77));
    kit_apply(r->log, b);
    check_corrupt(r->log, "block 77");
}

static void test_export_with_the_first_block_missing_is_corrupt(void **state)
{
    struct room *r = *state;
    uint8_t key[8];
    struct kv_batch *b = kv_batch_new();
    kv_batch_delete(b, LOG_TABLE_BLOCKS, block_key(key, 1));
    kit_apply(r->log, b);
    check_corrupt(r->log, "block 1");
}

static void test_export_with_a_block_that_does_not_decode_is_corrupt(void **state)
{
    struct room *r = *state;
    struct blob *b = stored_block(r->log, 5);
    put_block(r->log, 5, bytes_of(b->data, b->len - 1));
    check_corrupt(r->log, "block 5");
    blob_release(b);
}

static void test_export_with_a_block_in_anothers_place_is_corrupt(void **state)
{
    struct room *r = *state;
    struct blob *b = stored_block(r->log, 6);
    put_block(r->log, 5, blob_bytes(b));
    check_corrupt(r->log, "block 5");
    blob_release(b);
}

/* Changes the header of block 5 by one field, and puts it back encoded. */
static void change_header(struct room *r, uint32_t what)
{
    struct wire_stored_block s;
    struct blob *b = stored_block(r->log, 5);
    assert_null(wire_decode_record(&wire_record_stored_block, blob_bytes(b), &s));
    switch (what) {
    case 0: s.header.time_ms++; break; /* its hash: the next block does not follow */
    case 1: s.header.previous.bytes[3] ^= 1; break;
    case 2: s.header.first_index++; break;
    case 3: s.header.entries_root.bytes[3] ^= 1; break;
    case 4: s.header.count++; break;
    case 5: s.header.history_root.bytes[3] ^= 1; break;
    default: fail();
    }
    struct blob *changed = wire_encode_blob(&wire_record_stored_block, &s);
    put_block(r->log, 5, blob_bytes(changed));
    blob_release(changed);
    blob_release(b);
}

static void test_export_with_a_changed_header_is_corrupt(void **state)
{
    struct room *r = *state;
    static const char *const blocks[] = {"block 6", "block 5", "block 5", "block 5", "block 5", "block 5"};
    for (uint32_t what = 0; what < 6; what++) {
        struct blob *good = stored_block(r->log, 5);
        change_header(r, what);
        check_corrupt(r->log, blocks[what]);
        put_block(r->log, 5, blob_bytes(good));
        blob_release(good);
    }
    struct err e;
    free(exported(r->log, &e));
    assert_int_equal(e.code, ERR_NONE);
}

static void test_export_with_a_changed_entry_is_corrupt(void **state)
{
    struct room *r = *state;
    struct blob *b = stored_block(r->log, 5);
    b->data[b->len - 1] ^= 1; /* the last result, an index of the log */
    put_block(r->log, 5, blob_bytes(b));
    check_corrupt(r->log, "block 5");
    blob_release(b);
}

static void test_export_from_a_failing_store_gives_its_error(void **state)
{
    struct err e;
    struct failing_store *f = failing_store_new(LOG_TABLE_COUNT);
    (void)state;
    atomic_store(&f->reads_fail, true);
    free(exported(&f->base, &e));
    assert_int_equal(e.code, ERR_IO);
    kv_store_close(&f->base);
}

static void test_export_to_a_full_device_is_an_error(void **state)
{
    struct room *r = *state;
    FILE *f = fopen("/dev/full", "we");
    assert_non_null(f);
    struct err e = export_ledger(r->log, f); /* seen when it is flushed ... */
    assert_true(e.code == ERR_NO_SPACE || e.code == ERR_IO);
    clearerr(f);
    assert_int_equal(setvbuf(f, NULL, _IONBF, 0), 0);
    e = export_ledger(r->log, f); /* ... and at once */
    assert_true(e.code == ERR_NO_SPACE || e.code == ERR_IO);
    (void)fclose(f);
}

/* ---- text ---- */

static void test_export_of_an_empty_ledger_is_the_last_line(void **state)
{
    struct kv_store *log = kv_store_new_memory(LOG_TABLE_COUNT);
    struct err e;
    (void)state;
    char *text = exported(log, &e);
    assert_int_equal(e.code, ERR_NONE);
    assert_string_equal(text, "end blocks 0 entries 0\n");
    free(text);
    kv_store_close(log);
}

static void test_export_of_stores_with_other_certificates_is_the_same(void **state)
{
    struct room *r = *state;
    static const uint64_t others[] = {1, 2, 3};
    struct err e;
    struct kv_store *log = grown(r->kit, BLOCKS, others);
    char *first = exported(r->log, &e);
    assert_int_equal(e.code, ERR_NONE);
    char *second = exported(log, &e);
    assert_int_equal(e.code, ERR_NONE);
    assert_string_equal(first, second);
    struct blob *a = stored_block(r->log, 5);
    struct blob *b = stored_block(log, 5);
    assert_false(bytes_equal(blob_bytes(a), blob_bytes(b)));
    blob_release(a);
    blob_release(b);
    free(first);
    free(second);
    kv_store_close(log);
}

static void test_export_of_another_ledger_is_another_text(void **state)
{
    struct room *r = *state;
    struct err e;
    struct kv_store *log = grown(r->kit, BLOCKS - 1, NULL);
    char *first = exported(r->log, &e);
    char *second = exported(log, &e);
    assert_string_not_equal(first, second);
    free(first);
    free(second);
    kv_store_close(log);
}

static void test_export_has_a_line_for_each_block_and_entry(void **state)
{
    struct room *r = *state;
    struct err e;
    uint64_t blocks = 0;
    uint64_t entries = 0;
    char last[64];
    char *text = exported(r->log, &e);
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL && *line != '\0'; line = strsep(&rest, "\n")) {
        if (strncmp(line, "block ", 6) == 0) assert_int_equal(strtoull(line + 6, NULL, 10), ++blocks);
        if (strncmp(line, "entry ", 6) == 0) assert_int_equal(strtoull(line + 6, NULL, 10), entries++);
        (void)snprintf(last, sizeof last, "%s", line);
    }
    char want[64];
    (void)snprintf(want, sizeof want, "end blocks %u entries %llu", BLOCKS, (unsigned long long)entries);
    assert_int_equal(blocks, BLOCKS);
    assert_true(entries > BLOCKS);
    assert_string_equal(last, want);
    free(text);
}

/* The form of the text is read by other programs: written down here whole, for one block. */
static void test_export_line_is_as_documented(void **state)
{
    struct room *r = *state;
    struct wire_stored_block s;
    struct wire_entry entry;
    struct buffer want = {0};
    struct err e;
    char hex[6][2 * DIGEST_BYTES + 1];
    struct blob *b = stored_block(r->log, 1);
    assert_null(wire_decode_record(&wire_record_stored_block, blob_bytes(b), &s));
    const struct digest hash = header_hash(&s.header);
    const struct digest *const digests[] = {&hash,
                                            &s.header.previous,
                                            &s.header.batch_digest,
                                            &s.header.entries_root,
                                            &s.header.history_root,
                                            &s.header.configuration};
    for (size_t i = 0; i < 6; i++)
        hex_encode(hex[i], digests[i]->bytes, DIGEST_BYTES);
    buffer_printf(&want,
                  "block 1 epoch 0 time 1000 first 0 count 2 hash %s previous %s batch %s entries %s history %s "
                  "configuration %s\n",
                  hex[0], hex[1], hex[2], hex[3], hex[4], hex[5]);
    struct wire_iterator i = wire_list_start(s.entries);
    for (int k = 0; wire_list_next(&i, &wire_record_entry, &entry); k++) {
        hex_encode(hex[0], entry.transaction.bytes, DIGEST_BYTES);
        hex_encode(hex[1], entry.request_digest.bytes, DIGEST_BYTES);
        buffer_printf(&want, "entry %d operation %d ok transaction %s request %s result %s\n", k, k, hex[0], hex[1],
                      k == 0 ? "" : "0000000000000000");
    }
    char *text = exported(r->log, &e);
    assert_memory_equal(text, want.data, want.len);
    free(text);
    buffer_free(&want);
    blob_release(b);
}

/* One block with an entry of each outcome. */
static void test_export_names_every_outcome(void **state)
{
    struct room *r = *state;
    struct kv_store *store;
    struct kv_store *log = kv_store_new_memory(LOG_TABLE_COUNT);
    struct executor *x = kit_executor_new(r->kit, &store);
    struct digest digest;
    struct executed_block *block;
    struct err e;
    const struct kit_op put = kit_kv(APP_KV_PUT, "k", "v", NULL);
    const struct kit_op get = kit_kv(APP_KV_GET, "absent", NULL, NULL);
    struct blob *requests[] = {kit_request(r->kit, KIT_WRITER, 1, KIT_EXPIRY, &put, 1),
                               kit_request(r->kit, KIT_WRITER, 2, KIT_EXPIRY, &get, 1),
                               kit_request(r->kit, KIT_WRITER, 3, 0, &put, 1),
                               kit_request(r->kit, KIT_READER, 1, KIT_EXPIRY, &put, 1)};
    struct blob *batch = kit_batch(1, requests, 4, &digest);
    struct blob *committed = kit_committed(r->kit, 0, 1, &digest, NULL, 3);
    assert_int_equal(executor_execute(x, 1, blob_bytes(batch), &digest, &block).code, ERR_NONE);
    struct kv_batch *b = kv_batch_new();
    log_put_block(b, block, blob_bytes(committed), blob_bytes(batch));
    kit_apply(log, b);
    char *text = exported(log, &e);
    assert_int_equal(e.code, ERR_NONE);
    assert_non_null(strstr(text, "\nentry 0 operation 0 ok transaction "));
    assert_non_null(strstr(text, "\nentry 1 operation 0 negative transaction "));
    assert_non_null(strstr(text, "\nentry 2 operation 0 expired transaction "));
    assert_non_null(strstr(text, "\nentry 3 operation 0 refused transaction "));
    free(text);
    executed_block_free(block);
    blob_release(batch);
    blob_release(committed);
    executor_close(x);
    kv_store_close(store);
    kv_store_close(log);
}

/* ---- one block ---- */

/* One byte of a transaction in the batch of block 5, which no entry holds. */
static void test_export_and_show_with_a_changed_transaction_are_corrupt(void **state)
{
    struct room *r = *state;
    struct wire_stored_block s;
    struct bytes value;
    uint8_t key[40];
    struct buffer out = {0};
    struct blob *b = stored_block(r->log, 5);
    assert_null(wire_decode_record(&wire_record_stored_block, blob_bytes(b), &s));
    be64_put(key, 5);
    memcpy(key + 8, s.header.batch_digest.bytes, DIGEST_BYTES);
    assert_int_equal(kv_store_get(r->log, LOG_TABLE_BATCHES, bytes_of(key, sizeof key), &value), KV_FOUND);
    struct blob *changed = blob_copy(value);
    changed->data[changed->len - 1] ^= 1; /* the last signature: it decodes as before */
    struct kv_batch *batch = kv_batch_new();
    kv_batch_put(batch, LOG_TABLE_BATCHES, bytes_of(key, sizeof key), blob_bytes(changed));
    kit_apply(r->log, batch);
    check_corrupt(r->log, "block 5");
    assert_int_equal(export_show_block(r->log, 5, false, &out).code, ERR_CORRUPT);
    assert_int_equal(out.len, 0); /* not a word of it */
    batch = kv_batch_new();
    kv_batch_delete(batch, LOG_TABLE_BATCHES, bytes_of(key, sizeof key));
    kit_apply(r->log, batch);
    check_corrupt(r->log, "sequence 5");
    blob_release(changed);
    blob_release(b);
    buffer_free(&out);
}

static void test_export_above_a_gap_says_which_blocks_are_not_here_yet(void **state)
{
    struct room *r = *state;
    struct err e;
    uint8_t gap[16];
    be64_put(gap, 3);
    be64_put(gap + 8, 130);
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, LOG_TABLE_META, bytes_of_text("gap"), bytes_of(gap, sizeof gap));
    kit_apply(r->log, b);
    char *text = exported(r->log, &e);
    assert_int_equal(e.code, ERR_NEGATIVE);
    assert_non_null(strstr(e.text, "blocks 3 to 130"));
    assert_string_equal(text, "");
    free(text);
}

static void test_export_show_of_a_missing_block_is_not_found(void **state)
{
    struct room *r = *state;
    struct buffer out = {0};
    assert_int_equal(export_show_block(r->log, 0, false, &out).code, ERR_NOT_FOUND);
    assert_int_equal(export_show_block(r->log, BLOCKS + 1, true, &out).code, ERR_NOT_FOUND);
    buffer_free(&out);
}

static void test_export_show_with_a_damaged_or_missing_batch_is_corrupt(void **state)
{
    struct room *r = *state;
    struct wire_stored_block s;
    uint8_t key[40];
    struct blob *b = stored_block(r->log, 1);
    assert_null(wire_decode_record(&wire_record_stored_block, blob_bytes(b), &s));
    be64_put(key, 1);
    memcpy(key + 8, s.header.batch_digest.bytes, DIGEST_BYTES);
    struct digest ignored;
    struct blob *garbage = blob_copy(bytes_of_text("no request"));
    struct blob *no_request = kit_batch(1, &garbage, 1, &ignored);
    const struct bytes wrong[] = {bytes_of_text("garbage"), blob_bytes(no_request), bytes_of(NULL, 0)};
    for (size_t i = 0; i < 3; i++) {
        for (int json = 0; json < 2; json++) {
            struct buffer out = {0};
            struct kv_batch *batch = kv_batch_new();
            if (wrong[i].data == NULL) /* gone */
                kv_batch_delete(batch, LOG_TABLE_BATCHES, bytes_of(key, sizeof key));
            else
                kv_batch_put(batch, LOG_TABLE_BATCHES, bytes_of(key, sizeof key), wrong[i]);
            kit_apply(r->log, batch);
            assert_int_equal(export_show_block(r->log, 1, json == 1, &out).code, ERR_CORRUPT);
            buffer_free(&out);
        }
    }
    blob_release(no_request);
    blob_release(b);
}

static void test_export_show_with_a_changed_entry_is_corrupt(void **state)
{
    struct room *r = *state;
    struct buffer out = {0};
    struct blob *b = stored_block(r->log, 5);
    b->data[b->len - 1] ^= 1;
    put_block(r->log, 5, blob_bytes(b));
    assert_int_equal(export_show_block(r->log, 5, false, &out).code, ERR_CORRUPT);
    buffer_free(&out);
    blob_release(b);
}

static void test_export_show_as_text_has_certificate_and_requests(void **state)
{
    struct room *r = *state;
    struct buffer out = {0};
    assert_int_equal(export_show_block(r->log, 3, false, &out).code, ERR_NONE);
    buffer_append(&out, "", 1);
    const char *text = (const char *)out.data;
    assert_memory_equal(text, "block 3 ", 8);
    assert_non_null(strstr(text, "\ncertificate view 0 commits of 0 1 2\n"));
    const char *request = strstr(text, "\nrequest {");
    assert_non_null(request);
    assert_non_null(strstr(request + 1, "\nrequest {")); /* block 3 has two */
    buffer_free(&out);
}

static void test_export_show_as_json_is_one_json_object(void **state)
{
    struct room *r = *state;
    static const uint64_t requests[] = {1, 1, 2, 1, 1, 1, 1, 1, 1, 0}; /* of blocks 1 to 10 */
    for (uint64_t seq = 1; seq <= 10; seq++) {
        struct buffer out = {0};
        json_error_t fault;
        assert_int_equal(export_show_block(r->log, seq, true, &out).code, ERR_NONE);
        json_t *root = json_loadb((const char *)out.data, out.len, 0, &fault);
        assert_non_null(root);
        assert_int_equal(json_array_size(json_object_get(root, "requests")), requests[seq - 1]);
        const json_t *header = json_object_get(json_object_get(root, "block"), "header");
        assert_int_equal(json_integer_value(json_object_get(header, "seq")), seq);
        assert_int_equal(strlen(json_string_value(json_object_get(root, "hash"))), 64);
        json_decref(root);
        buffer_free(&out);
    }
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_export_with_a_missing_block_is_corrupt),
        ROOM_TEST(test_export_with_the_first_block_missing_is_corrupt),
        ROOM_TEST(test_export_with_a_block_that_does_not_decode_is_corrupt),
        ROOM_TEST(test_export_with_a_block_in_anothers_place_is_corrupt),
        ROOM_TEST(test_export_with_a_changed_header_is_corrupt),
        ROOM_TEST(test_export_with_a_changed_entry_is_corrupt),
        ROOM_TEST(test_export_and_show_with_a_changed_transaction_are_corrupt),
        ROOM_TEST(test_export_above_a_gap_says_which_blocks_are_not_here_yet),
        cmocka_unit_test(test_export_from_a_failing_store_gives_its_error),
        ROOM_TEST(test_export_to_a_full_device_is_an_error),
        cmocka_unit_test(test_export_of_an_empty_ledger_is_the_last_line),
        ROOM_TEST(test_export_of_stores_with_other_certificates_is_the_same),
        ROOM_TEST(test_export_of_another_ledger_is_another_text),
        ROOM_TEST(test_export_has_a_line_for_each_block_and_entry),
        ROOM_TEST(test_export_line_is_as_documented),
        ROOM_TEST(test_export_names_every_outcome),
        ROOM_TEST(test_export_show_with_a_changed_entry_is_corrupt),
        ROOM_TEST(test_export_show_of_a_missing_block_is_not_found),
        ROOM_TEST(test_export_show_with_a_damaged_or_missing_batch_is_corrupt),
        ROOM_TEST(test_export_show_as_text_has_certificate_and_requests),
        ROOM_TEST(test_export_show_as_json_is_one_json_object),
    };
    return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
