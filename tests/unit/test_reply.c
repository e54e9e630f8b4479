/* test_reply.c - REPLY messages: one signature over the header, every entry with a path that leads to it. */
#include "ledger/reply.h"

#include "tests/fixture/aborts.h"
#include "tests/fixture/ledger_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ENTRIES 11u

struct room {
    struct kit *kit;
    struct kv_store *store;
    struct executor *executor;
    struct reply_signer signer;
    struct executed_block *block; /* of ENTRIES entries */
};

static int room_setup(void **state)
{
    struct room *r = mem_zero(1, sizeof *r);
    struct kit_op ops[ENTRIES];
    struct digest digest;
    r->kit = kit_new(4, KIT_FAST);
    r->signer = kit_reply_signer(r->kit, 2);
    r->executor = kit_executor_new(r->kit, &r->store);
    for (uint32_t i = 0; i < ENTRIES; i++)
        ops[i] = kit_append(i % 2 == 0 ? "even" : "odd");
    struct blob *request = kit_request(r->kit, KIT_WRITER, 1, KIT_EXPIRY, ops, ENTRIES);
    struct blob *batch = kit_batch(1, &request, 1, &digest);
    const struct err e = executor_execute(r->executor, 1, blob_bytes(batch), &digest, &r->block);
    blob_release(batch);
    *state = r;
    return err_is(&e) ? -1 : 0;
}

static int room_teardown(void **state)
{
    struct room *r = *state;
    executed_block_free(r->block);
    executor_close(r->executor);
    kv_store_close(r->store);
    kit_free(r->kit);
    free(r);
    return 0;
}

static struct reply_source opened(const struct room *r)
{
    struct reply_source s;
    const struct err e = reply_open(&s, &r->signer, &r->block->header, executed_block_entries(r->block));
    if (err_is(&e)) fail_msg("%s", e.text);
    return s;
}

static enum err_code open_code(const struct room *r, const struct wire_header *header, struct wire_list entries)
{
    struct reply_source s;
    const struct err e = reply_open(&s, &r->signer, header, entries);
    reply_close(&s);
    return e.code;
}

static void test_reply_open_of_a_block_without_entries_is_corrupt(void **state)
{
    const struct room *r = *state;
    const struct wire_header header = {.seq = 3};
    assert_int_equal(open_code(r, &header, (struct wire_list){.count = 0}), ERR_CORRUPT);
}

static void test_reply_open_with_another_count_than_the_header_is_corrupt(void **state)
{
    const struct room *r = *state;
    struct wire_header header = r->block->header;
    header.count = ENTRIES - 1;
    assert_int_equal(open_code(r, &header, executed_block_entries(r->block)), ERR_CORRUPT);
    header.count = ENTRIES + 1;
    assert_int_equal(open_code(r, &header, executed_block_entries(r->block)), ERR_CORRUPT);
}

static void test_reply_open_with_entries_of_another_root_is_corrupt(void **state)
{
    const struct room *r = *state;
    struct wire_header header = r->block->header;
    header.entries_root.bytes[5] ^= 1;
    assert_int_equal(open_code(r, &header, executed_block_entries(r->block)), ERR_CORRUPT);
    const struct wire_list entries = executed_block_entries(r->block);
    struct blob *changed = blob_copy(entries.items);
    changed->data[changed->len - 1] ^= 1; /* the last byte of the last result */
    assert_int_equal(open_code(r, &r->block->header, (struct wire_list){blob_bytes(changed), entries.count}),
                     ERR_CORRUPT);
    assert_int_equal(open_code(r, &r->block->header, entries), ERR_NONE);
    blob_release(changed);
}

static void test_reply_with_a_range_outside_the_block_is_none(void **state)
{
    const struct room *r = *state;
    static const struct reply_range wrong[] = {{ENTRIES, 1},     {ENTRIES, 0},    {ENTRIES - 1, 2},
                                               {0, ENTRIES + 1}, {UINT32_MAX, 2}, {1, UINT32_MAX}};
    struct reply_source s = opened(r);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct reply_range second[] = {{0, 1}, wrong[i]};
        assert_null(reply_message(&s, 0, &wrong[i], 1));
        assert_null(reply_message(&s, 0, second, 2));
    }
    reply_close(&s);
}

/* Decodes the REPLY and checks everything that a client checks. */
static void check_reply(const struct room *r, struct blob *bytes, uint64_t view, const uint32_t *indexes,
                        uint32_t count)
{
    struct wire_message m;
    struct wire_proven_entry item;
    assert_non_null(bytes);
    assert_null(wire_decode(blob_bytes(bytes), &m));
    assert_int_equal(m.type, WIRE_TYPE_reply);
    assert_int_equal(m.reply.epoch, r->kit->wire.epoch);
    assert_int_equal(m.reply.sender, 2);
    assert_int_equal(m.reply.view, view);
    assert_int_equal(wire_compare_record(&wire_record_header, &m.reply.header, &r->block->header), 0);
    struct verify_item signature = {.key = r->kit->member_keys[2], .signature = m.reply.signature};
    signature.digest = wire_signing_digest(&r->kit->wire.id, m.signed_part);
    assert_true(kit_checker(r->kit).check(NULL, &signature));
    assert_int_equal(m.reply.entries.count, count);
    struct wire_iterator i = wire_list_start(m.reply.entries);
    for (uint32_t k = 0; k < count; k++) {
        struct digest path[MERKLE_PATH_MAX];
        uint32_t length = 0;
        assert_true(wire_list_next(&i, &wire_record_proven_entry, &item));
        assert_int_equal(item.index, indexes[k]);
        assert_int_equal(item.entry.operation, indexes[k]);
        struct wire_iterator p = wire_list_start(item.path);
        while (wire_list_next_digest(&p, &path[length]))
            length++;
        struct blob *raw = wire_encode_blob(&wire_record_entry, &item.entry);
        const struct digest leaf = merkle_leaf(blob_bytes(raw));
        assert_true(
            merkle_path_verify(&leaf, item.index, m.reply.header.count, path, length, &m.reply.header.entries_root));
        blob_release(raw);
    }
    blob_release(bytes);
}

static void test_reply_of_every_range_proves_its_entries(void **state)
{
    const struct room *r = *state;
    struct reply_source s = opened(r);
    for (uint32_t first = 0; first < ENTRIES; first++) {
        for (uint32_t count = 0; count <= ENTRIES - first; count++) {
            uint32_t indexes[ENTRIES];
            const struct reply_range range = {first, count};
            for (uint32_t i = 0; i < count; i++)
                indexes[i] = first + i;
            check_reply(r, reply_message(&s, 7, &range, 1), 7, indexes, count);
        }
    }
    reply_close(&s);
}

static void test_reply_of_several_ranges_holds_all_their_entries(void **state)
{
    const struct room *r = *state;
    static const struct reply_range ranges[] = {{1, 2}, {9, 2}, {5, 1}};
    static const uint32_t indexes[] = {1, 2, 9, 10, 5};
    struct reply_source s = opened(r);
    check_reply(r, reply_message(&s, 0, ranges, 3), 0, indexes, 5);
    check_reply(r, reply_message(&s, 0, NULL, 0), 0, NULL, 0);
    reply_close(&s);
}

static void open_again(void *context)
{
    const struct room *r = context;
    struct reply_source s;
    reply_open_executed(&s, &r->signer, r->block);
}

static void test_reply_of_an_executed_block_is_that_of_the_stored_one(void **state)
{
    struct room *r = *state;
    static const struct reply_range ranges[] = {{1, 2}, {5, 1}};
    struct reply_source stored = opened(r);
    struct reply_source executed;
    reply_open_executed(&executed, &r->signer, r->block);
    struct blob *a = reply_message(&stored, 3, ranges, 2);
    struct blob *b = reply_message(&executed, 3, ranges, 2);
    assert_true(bytes_equal(blob_bytes(a), blob_bytes(b)));
    assert_int_equal(reply_fitting(&executed, ranges, 2), 2);
    blob_release(a);
    blob_release(b);
    reply_close(&stored);
    reply_close(&executed);
    executed_block_free_tree(r->block);
    assert_true(aborts(open_again, r));
}

/* Ranges of one entry each, of these sizes: how many of them one REPLY takes. */
static uint32_t fitting(const size_t *sizes, uint32_t count)
{
    static const uint8_t byte;
    struct reply_entry entries[4];
    struct reply_range ranges[4];
    const struct reply_source s = {.entries = entries, .count = count, .tree = {.level_count = 3}};
    for (uint32_t i = 0; i < count; i++) {
        entries[i].raw = bytes_of(&byte, sizes[i]); /* only the size is looked at */
        ranges[i] = (struct reply_range){.first = i, .count = 1};
    }
    return reply_fitting(&s, ranges, count);
}

static void test_reply_fitting_takes_what_fits_a_frame(void **state)
{
    (void)state;
    const size_t third = FRAME_BYTES_MAX / 3;
    assert_int_equal(fitting((size_t[]){1, 2, 3, 4}, 4), 4);
    assert_int_equal(fitting((size_t[]){third, third, third, 1}, 4), 2);
    assert_int_equal(fitting((size_t[]){third, third, third - 4096, 1}, 4), 4);
    assert_int_equal(fitting((size_t[]){third, FRAME_BYTES_MAX}, 2), 1);
    assert_int_equal(fitting((size_t[]){1, FRAME_BYTES_MAX - 256}, 2), 1); /* header and paths take some bytes too */
}

static void test_reply_fitting_takes_one_at_least(void **state)
{
    (void)state;
    assert_int_equal(fitting((size_t[]){FRAME_BYTES_MAX + 1, 1}, 2), 1);
    assert_int_equal(fitting((size_t[]){FRAME_BYTES_MAX + 1}, 1), 1);
}

static void count_and_sign(void *context, const struct digest *digest, struct signature *out)
{
    uint32_t *count = context;
    (*count)++;
    memcpy(out->bytes, digest->bytes, DIGEST_BYTES);
}

static void test_reply_signs_a_block_once_for_all_its_messages(void **state)
{
    const struct room *r = *state;
    struct reply_source s;
    uint32_t count = 0;
    const struct reply_signer signer = {.group = r->kit->wire.id, .self = 1, .sign = count_and_sign, .context = &count};
    const struct err e = reply_open(&s, &signer, &r->block->header, executed_block_entries(r->block));
    assert_int_equal(e.code, ERR_NONE);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        const struct reply_range range = {i, 1};
        blob_release(reply_message(&s, 0, &range, 1));
    }
    assert_int_equal(count, 1);
    reply_close(&s);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_reply_open_of_a_block_without_entries_is_corrupt),
        ROOM_TEST(test_reply_open_with_another_count_than_the_header_is_corrupt),
        ROOM_TEST(test_reply_open_with_entries_of_another_root_is_corrupt),
        ROOM_TEST(test_reply_with_a_range_outside_the_block_is_none),
        ROOM_TEST(test_reply_of_every_range_proves_its_entries),
        ROOM_TEST(test_reply_of_several_ranges_holds_all_their_entries),
        ROOM_TEST(test_reply_of_an_executed_block_is_that_of_the_stored_one),
        cmocka_unit_test(test_reply_fitting_takes_what_fits_a_frame),
        cmocka_unit_test(test_reply_fitting_takes_one_at_least),
        ROOM_TEST(test_reply_signs_a_block_once_for_all_its_messages),
    };
    return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
