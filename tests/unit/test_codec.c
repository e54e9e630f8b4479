/* test_codec.c - one encoding per value: whatever decodes encodes to the same bytes, everything else is refused with
 * the sentence that says why. Random values come from wire/generate.h, malformed ones from tests/vectors/wire_bad.txt.
 */
#include "tests/fixture/aborts.h"
#include "tests/fixture/wire_vectors.h"
#include "wire/any_record.h"
#include "wire/codec.h"
#include "wire/generate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 1500u
#define SMALL_BYTES 512u
#define LARGE_BYTES (1024u * 1024u)

/* Calls body once for each record of the schema. */
static void for_each_record(void (*body)(const struct wire_record *record, uint32_t index))
{
    uint32_t count;
    const struct wire_record *const *records = wire_records(&count);
    assert_true(count > 30);
    for (uint32_t i = 0; i < count; i++)
        body(records[i], i);
}

/* A random value, and its encoding as a new blob of exactly its size. scratch must outlive the value. */
static struct blob *random_blob(const struct wire_record *record, struct prng *random, struct writer *scratch,
                                union wire_any_record *value)
{
    struct writer room = *scratch;
    while (!wire_generate_record(record, random, &room, value))
        room = *scratch;
    return wire_encode_blob(record, value);
}

static void assert_same_bytes(struct bytes a, struct bytes b)
{
    assert_int_equal(a.len, b.len);
    assert_true(bytes_equal(a, b));
}

/* ---- round trips ---- */

static void round_trip(const struct wire_record *record, struct prng *random, size_t room)
{
    uint8_t *space = mem_alloc(room);
    struct writer scratch = writer_of(space, room);
    union wire_any_record value;
    union wire_any_record back;
    struct blob *b = random_blob(record, random, &scratch, &value);
    assert_int_equal(wire_record_size(record, &value), b->len);
    assert_null(wire_decode_record(record, blob_bytes(b), &back));
    assert_int_equal(wire_compare_record(record, &value, &back), 0);
    struct blob *again = wire_encode_blob(record, &back);
    assert_same_bytes(blob_bytes(again), blob_bytes(b));
    blob_release(again);
    blob_release(b);
    free(space);
}

static void round_trips(const struct wire_record *record, uint32_t index)
{
    struct prng random = prng_of(100 + index);
    for (uint32_t i = 0; i < ROUNDS; i++)
        round_trip(record, &random, SMALL_BYTES << (i % 4));
    for (uint32_t i = 0; i < 4; i++)
        round_trip(record, &random, LARGE_BYTES);
}

static void test_codec_random_values_of_every_record_round_trip(void **state)
{
    (void)state;
    for_each_record(round_trips);
}

static void test_codec_largest_strings_round_trip(void **state)
{
    (void)state;
    struct blob *batch = blob_new(BATCH_BYTES_MAX);
    memset(batch->data, 0x5a, batch->len);
    const struct wire_pre_prepare in = {
        .epoch = EPOCH_MAX, .sender = REPLICAS_MAX - 1, .view = VIEW_MAX, .seq = SEQ_MAX, .batch = blob_bytes(batch)};
    struct wire_message out;
    struct blob *b = wire_encode_blob(&wire_record_pre_prepare, &in);
    assert_null(wire_decode(blob_bytes(b), &out));
    assert_int_equal(wire_compare_record(&wire_record_pre_prepare, &in, &out.pre_prepare), 0);
    assert_int_equal(out.pre_prepare.batch.len, BATCH_BYTES_MAX);
    assert_true(b->len < FRAME_BYTES_MAX);
    blob_release(b);
    blob_release(batch);
}

/* Written out by hand from RFC 8949, so that encoder and decoder cannot be wrong together. */
static void test_codec_known_prepare_has_known_bytes(void **state)
{
    (void)state;
    struct wire_prepare in = {.epoch = 23, .sender = 24, .view = 256, .seq = 65536};
    struct wire_message out;
    memset(in.digest.bytes, 0xdd, sizeof in.digest.bytes);
    memset(in.signature.bytes, 0x55, sizeof in.signature.bytes);
    uint8_t expected[15 + 32 + 2 + 64] = {0x87, 0x03, 0x17, 0x18, 0x18, 0x19, 0x01, 0x00,
                                          0x1a, 0x00, 0x01, 0x00, 0x00, 0x58, 0x20};
    memset(expected + 15, 0xdd, 32);
    expected[47] = 0x58;
    expected[48] = 0x40;
    memset(expected + 49, 0x55, 64);
    struct blob *b = wire_encode_blob(&wire_record_prepare, &in);
    assert_same_bytes(blob_bytes(b), bytes_of(expected, sizeof expected));
    assert_null(wire_decode(bytes_of(expected, sizeof expected), &out));
    assert_int_equal(out.type, WIRE_TYPE_prepare);
    assert_int_equal(out.prepare.epoch, 23);
    assert_int_equal(out.prepare.sender, 24);
    assert_int_equal(out.prepare.view, 256);
    assert_int_equal(out.prepare.seq, 65536);
    assert_int_equal(out.prepare.digest.bytes[31], 0xdd);
    assert_int_equal(out.prepare.signature.bytes[63], 0x55);
    assert_int_equal(out.signed_part.len, 47);
    assert_ptr_equal(out.signed_part.data, expected);
    blob_release(b);
}

/* ---- messages ---- */

static void message_parts(const struct wire_record *record, uint32_t index)
{
    if (record->number == 0) return;
    uint8_t space[4 * SMALL_BYTES];
    uint8_t again[4 * SMALL_BYTES];
    struct prng random = prng_of(200 + index);
    for (uint32_t i = 0; i < 300; i++) {
        struct wire_message m;
        struct writer scratch;
        do
            scratch = writer_of(space, sizeof space);
        while (!wire_generate_message((enum wire_type)record->number, &random, &scratch, &m));
        assert_int_equal(m.type, record->number);
        assert_int_equal(m.raw.len, wire_record_size(record, wire_body_const(&m)));
        assert_true(bytes_has_prefix(m.raw, m.signed_part));
        assert_int_equal(m.signed_part.len > 0, wire_is_signed(record));
        if (!wire_is_signed(record)) continue;
        struct writer w = writer_of(again, sizeof again);
        wire_encode_signed_part(record, wire_body_const(&m), &w);
        assert_false(w.overflow);
        assert_same_bytes(writer_written(&w), m.signed_part);
        /* what follows the signed part is the signature's string, not one that is nested */
        const struct wire_field *field = record->fields;
        while (field->kind != WIRE_KIND_SIGNATURE)
            field++;
        const uint8_t *value = (const uint8_t *)wire_body_const(&m) + field->offset;
        assert_memory_equal(m.raw.data + m.signed_part.len, "\x58\x40", 2);
        assert_memory_equal(m.raw.data + m.signed_part.len + 2, value, 64);
    }
}

static void test_codec_signed_part_is_what_stands_before_the_signature(void **state)
{
    (void)state;
    for_each_record(message_parts);
}

static void message_as_other_type(const struct wire_record *record, uint32_t index)
{
    uint32_t count;
    const struct wire_record *const *records = wire_records(&count);
    struct blob *b = wire_vectors_encoding(record, 0);
    union wire_any_record value;
    for (uint32_t i = 0; i < count; i++)
        if (i != index && record->number != 0 && records[i]->number != 0)
            assert_non_null(wire_decode_record(records[i], blob_bytes(b), &value));
    blob_release(b);
}

static void test_codec_message_decoded_as_another_type_is_refused(void **state)
{
    (void)state;
    for_each_record(message_as_other_type);
}

/* ---- refusals ---- */

/* One line of wire_bad.txt: "record hex sentence", cut up in place. */
static void check_bad_line(char *line)
{
    char *hex = strchr(line, ' ');
    assert_non_null(hex);
    *hex++ = '\0';
    char *sentence = strchr(hex, ' ');
    assert_non_null(sentence);
    *sentence++ = '\0';
    struct blob *b = blob_of_hex(strcmp(hex, "-") == 0 ? "" : hex);
    assert_non_null(b);
    struct wire_message message;
    union wire_any_record value;
    const char *fault;
    if (strcmp(line, "message") == 0) {
        fault = wire_decode(blob_bytes(b), &message);
    } else {
        const struct wire_record *record = wire_record_named(line);
        assert_non_null(record);
        fault = wire_decode_record(record, blob_bytes(b), &value);
    }
    blob_release(b);
    if (strcmp(fault == NULL ? "ok" : fault, sentence) != 0)
        fail_msg("%s %s: \"%s\" instead of \"%s\"", line, hex, fault == NULL ? "ok" : fault, sentence);
}

static void test_codec_malformed_values_are_refused_with_the_right_sentence(void **state)
{
    (void)state;
    struct buffer file = {0};
    uint32_t lines = 0;
    assert_true(file_read(WIRE_VECTORS_BAD_PATH, &file));
    for (char *line = (char *)file.data; *line != '\0';) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        if (*line != '#') check_bad_line(line);
        lines++;
        line = end + 1;
    }
    assert_true(lines > 200);
    buffer_free(&file);
}

static void cuts(const struct wire_record *record, uint32_t index)
{
    uint8_t space[SMALL_BYTES];
    struct prng random = prng_of(300 + index);
    struct writer scratch = writer_of(space, sizeof space);
    union wire_any_record value;
    for (uint32_t i = 0; i < 20; i++) {
        struct blob *b = random_blob(record, &random, &scratch, &value);
        for (size_t len = 0; len < b->len; len++) {
            struct blob *cut =
                blob_copy(bytes_of(b->data, len)); /* its own memory, so that a sanitizer sees overreach */
            assert_string_equal(wire_decode_record(record, blob_bytes(cut), &value), "the bytes end inside a value");
            blob_release(cut);
        }
        struct blob *longer = blob_new(b->len + 1);
        memcpy(longer->data, b->data, b->len);
        longer->data[b->len] = 0;
        assert_string_equal(wire_decode_record(record, blob_bytes(longer), &value),
                            "bytes follow the end of the value");
        blob_release(longer);
        blob_release(b);
    }
}

static void test_codec_value_cut_or_lengthened_anywhere_is_refused(void **state)
{
    (void)state;
    for_each_record(cuts);
}

/* Changes one byte everywhere: whatever is not refused must encode to exactly the changed bytes. */
static void mutations(const struct wire_record *record, uint32_t index)
{
    uint8_t space[SMALL_BYTES];
    struct prng random = prng_of(400 + index);
    struct writer scratch = writer_of(space, sizeof space);
    union wire_any_record value;
    for (uint32_t i = 0; i < 12; i++) {
        struct blob *b = random_blob(record, &random, &scratch, &value);
        for (size_t at = 0; at < 8 * b->len; at++) {
            const uint8_t before = b->data[at / 8];
            b->data[at / 8] = (uint8_t)(at % 2 == 0 ? before ^ (1u << at % 8) : prng_below(&random, 256));
            if (wire_decode_record(record, blob_bytes(b), &value) == NULL) {
                struct blob *again = wire_encode_blob(record, &value);
                assert_same_bytes(blob_bytes(again), blob_bytes(b));
                blob_release(again);
            }
            b->data[at / 8] = before;
        }
        blob_release(b);
    }
}

static void test_codec_single_byte_changes_are_refused_or_encode_identically(void **state)
{
    (void)state;
    for_each_record(mutations);
}

static void test_codec_nesting_deeper_than_the_schema_is_refused(void **state)
{
    (void)state;
    struct blob *b = blob_new(LARGE_BYTES);
    struct wire_message m;
    memset(b->data, 0x81, b->len);
    assert_non_null(wire_decode(blob_bytes(b), &m));
    memset(b->data, 0x9f, b->len);
    assert_non_null(wire_decode(blob_bytes(b), &m));
    blob_release(b);
}

/* ---- the encoder trusts nothing of ours either ---- */

static void encode_uint_over_max(void *context)
{
    const struct wire_prepare p = {.sender = REPLICAS_MAX};
    (void)context;
    (void)wire_encode_blob(&wire_record_prepare, &p);
}

static void encode_bytes_over_max(void *context)
{
    static const uint8_t key[STATE_KEY_BYTES_MAX + 1];
    const struct wire_key_value leaf = {.key = bytes_of(key, sizeof key)};
    (void)context;
    (void)wire_encode_blob(&wire_record_key_value, &leaf);
}

static void encode_list_under_min(void *context)
{
    const struct wire_request request = {.seq = 1};
    (void)context;
    (void)wire_encode_blob(&wire_record_request, &request);
}

static void encode_list_over_max(void *context)
{
    static const uint8_t items[OP_ARGS_MAX + 1] = {0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40};
    const struct wire_operation o = {.args = {.items = bytes_of(items, sizeof items), .count = OP_ARGS_MAX + 1}};
    (void)context;
    (void)wire_encode_blob(&wire_record_operation, &o);
}

static void encode_signed_part_of_unsigned(void *context)
{
    const struct wire_fetch fetch = {.seq = 1};
    uint8_t space[128];
    struct writer w = writer_of(space, sizeof space);
    (void)context;
    wire_encode_signed_part(&wire_record_fetch, &fetch, &w);
}

static void add_after_other_bytes(void *context)
{
    uint8_t space[128];
    struct writer w = writer_of(space, sizeof space);
    struct wire_list list = {.count = 0};
    (void)context;
    wire_list_add_bytes(&list, &w, bytes_of_text("one"));
    writer_u8(&w, 0);
    wire_list_add_bytes(&list, &w, bytes_of_text("two"));
}

static void test_codec_encoding_outside_the_schema_is_a_failed_check(void **state)
{
    (void)state;
    assert_true(aborts(encode_uint_over_max, NULL));
    assert_true(aborts(encode_bytes_over_max, NULL));
    assert_true(aborts(encode_list_under_min, NULL));
    assert_true(aborts(encode_list_over_max, NULL));
    assert_true(aborts(encode_signed_part_of_unsigned, NULL));
    assert_true(aborts(add_after_other_bytes, NULL));
}

static void test_codec_full_writer_keeps_its_mark_and_its_bound(void **state)
{
    (void)state;
    const struct wire_prepare p = {.view = 1};
    const size_t size = wire_record_size(&wire_record_prepare, &p);
    for (size_t cap = 0; cap < size; cap++) {
        uint8_t space[256];
        memset(space, 0xee, sizeof space);
        struct writer w = writer_of(space, cap);
        wire_encode_record(&wire_record_prepare, &p, &w);
        assert_true(w.overflow);
        assert_true(w.len <= cap);
        for (size_t i = cap; i < sizeof space; i++)
            assert_int_equal(space[i], 0xee);
    }
}

/* ---- lists ---- */

static void test_codec_list_is_walked_in_order_to_its_end(void **state)
{
    (void)state;
    uint8_t space[512];
    struct writer w = writer_of(space, sizeof space);
    struct wire_list list = {.count = 0};
    for (uint32_t i = 0; i < 3; i++) {
        struct wire_reproposal r = {.seq = 100 + i};
        memset(r.digest.bytes, (int)i, sizeof r.digest.bytes);
        wire_list_add(&list, &w, &wire_record_reproposal, &r);
    }
    assert_int_equal(list.count, 3);
    assert_same_bytes(list.items, writer_written(&w));
    struct wire_iterator i = wire_list_start(list);
    struct wire_reproposal r;
    struct bytes raw;
    size_t walked = 0;
    for (uint32_t k = 0; k < 3; k++) {
        assert_true(wire_list_next_raw(&i, &wire_record_reproposal, &r, &raw));
        assert_int_equal(r.seq, 100 + k);
        assert_int_equal(r.digest.bytes[31], k);
        assert_ptr_equal(raw.data, list.items.data + walked);
        assert_int_equal(raw.len, wire_record_size(&wire_record_reproposal, &r));
        walked += raw.len;
    }
    assert_int_equal(walked, list.items.len);
    assert_false(wire_list_next_raw(&i, &wire_record_reproposal, &r, &raw));
    assert_false(wire_list_next(&i, &wire_record_reproposal, &r));
}

/* The count ends a list, whatever stands behind its items. */
static void test_codec_list_of_fewer_items_than_bytes_ends_at_its_count(void **state)
{
    (void)state;
    static const uint8_t items[] = {0x82, 0x40, 0x40, 0x82, 0x40, 0x40};
    const struct wire_list records = {.items = bytes_of(items, sizeof items), .count = 1};
    const struct wire_list strings = {.items = bytes_of(items + 1, 2), .count = 1};
    uint8_t two_digests[2 * 34] = {[0] = 0x58, [1] = 0x20, [34] = 0x58, [35] = 0x20};
    const struct wire_list digests = {.items = bytes_of(two_digests, sizeof two_digests), .count = 1};
    struct digest digest;
    struct wire_key_value leaf;
    struct bytes string;
    struct wire_iterator i = wire_list_start(records);
    assert_true(wire_list_next(&i, &wire_record_key_value, &leaf));
    assert_false(wire_list_next(&i, &wire_record_key_value, &leaf));
    i = wire_list_start(strings);
    assert_true(wire_list_next_bytes(&i, &string));
    assert_false(wire_list_next_bytes(&i, &string));
    i = wire_list_start(digests);
    assert_true(wire_list_next_digest(&i, &digest));
    assert_false(wire_list_next_digest(&i, &digest));
}

static void test_codec_lists_of_strings_and_digests_are_walked(void **state)
{
    (void)state;
    uint8_t space[512];
    struct writer w = writer_of(space, sizeof space);
    struct wire_list strings = {.count = 0};
    struct wire_list digests = {.count = 0};
    struct digest d = {{7}};
    struct bytes string;
    wire_list_add_bytes(&strings, &w, bytes_of_text(""));
    wire_list_add_bytes(&strings, &w, bytes_of_text("second"));
    wire_list_add_digest(&digests, &w, &d);
    struct wire_iterator i = wire_list_start(strings);
    assert_true(wire_list_next_bytes(&i, &string));
    assert_int_equal(string.len, 0);
    assert_true(wire_list_next_bytes(&i, &string));
    assert_same_bytes(string, bytes_of_text("second"));
    assert_false(wire_list_next_bytes(&i, &string));
    i = wire_list_start(digests);
    memset(&d, 0, sizeof d);
    assert_true(wire_list_next_digest(&i, &d));
    assert_int_equal(d.bytes[0], 7);
    assert_false(wire_list_next_digest(&i, &d));
    i = wire_list_start((struct wire_list){.count = 0});
    assert_false(wire_list_next_bytes(&i, &string));
}

static void test_codec_list_does_not_grow_over_a_full_writer(void **state)
{
    (void)state;
    uint8_t space[8];
    struct writer w = writer_of(space, sizeof space);
    struct wire_list list = {.count = 0};
    wire_list_add_bytes(&list, &w, bytes_of_text("four"));
    wire_list_add_bytes(&list, &w, bytes_of_text("more"));
    assert_true(w.overflow);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items.len, 5);
}

/* ---- comparing ---- */

static int sign_of(int order)
{
    return order < 0 ? -1 : order > 0 ? 1 : 0;
}

static void orders(const struct wire_record *record, uint32_t index)
{
    struct prng random = prng_of(500 + index);
    for (uint32_t i = 0; i < 200; i++) {
        uint8_t left[SMALL_BYTES];
        uint8_t right[SMALL_BYTES];
        struct writer left_room = writer_of(left, sizeof left);
        struct writer right_room = writer_of(right, sizeof right);
        union wire_any_record a;
        union wire_any_record b;
        struct blob *x = random_blob(record, &random, &left_room, &a);
        struct blob *y = random_blob(record, &random, &right_room, &b);
        const int order = wire_compare_record(record, &a, &b);
        assert_int_equal(order == 0, bytes_equal(blob_bytes(x), blob_bytes(y)));
        assert_int_equal(sign_of(order), -sign_of(wire_compare_record(record, &b, &a)));
        blob_release(x);
        blob_release(y);
    }
}

/* Each field alone decides: flips one byte of a fixed-size value, or the length or count of a variable one. */
static void fields_decide(const struct wire_record *record, uint32_t index)
{
    (void)index;
    union wire_any_record a;
    union wire_any_record b;
    memset(&a, 0, sizeof a);
    for (uint32_t i = 0; i < record->field_count; i++) {
        memset(&b, 0, sizeof b);
        uint8_t *at = (uint8_t *)&b + record->fields[i].offset;
        const struct bytes string = bytes_of_text("x");
        const struct wire_list list = {.items = string, .count = 1};
        switch (record->fields[i].kind) {
        case WIRE_KIND_UINT:
        case WIRE_KIND_DIGEST:
        case WIRE_KIND_KEY:
        case WIRE_KIND_SIGNATURE:
        case WIRE_KIND_OBJECT: at[0] = 1; break; /* nested records begin with one of these too */
        case WIRE_KIND_BYTES: memcpy(at, &string, sizeof string); break;
        case WIRE_KIND_LIST:
        case WIRE_KIND_BYTES_LIST:
        case WIRE_KIND_DIGEST_LIST: memcpy(at, &list, sizeof list); break;
        }
        assert_true(wire_compare_record(record, &a, &b) < 0);
        assert_true(wire_compare_record(record, &b, &a) > 0);
    }
}

static void test_codec_compare_is_zero_only_for_equal_encodings(void **state)
{
    (void)state;
    for_each_record(orders);
    for_each_record(fields_decide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec_malformed_values_are_refused_with_the_right_sentence),
        cmocka_unit_test(test_codec_value_cut_or_lengthened_anywhere_is_refused),
        cmocka_unit_test(test_codec_nesting_deeper_than_the_schema_is_refused),
        cmocka_unit_test(test_codec_single_byte_changes_are_refused_or_encode_identically),
        cmocka_unit_test(test_codec_message_decoded_as_another_type_is_refused),
        cmocka_unit_test(test_codec_encoding_outside_the_schema_is_a_failed_check),
        cmocka_unit_test(test_codec_full_writer_keeps_its_mark_and_its_bound),
        cmocka_unit_test(test_codec_known_prepare_has_known_bytes),
        cmocka_unit_test(test_codec_random_values_of_every_record_round_trip),
        cmocka_unit_test(test_codec_largest_strings_round_trip),
        cmocka_unit_test(test_codec_signed_part_is_what_stands_before_the_signature),
        cmocka_unit_test(test_codec_list_is_walked_in_order_to_its_end),
        cmocka_unit_test(test_codec_list_of_fewer_items_than_bytes_ends_at_its_count),
        cmocka_unit_test(test_codec_lists_of_strings_and_digests_are_walked),
        cmocka_unit_test(test_codec_list_does_not_grow_over_a_full_writer),
        cmocka_unit_test(test_codec_compare_is_zero_only_for_equal_encodings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
