/* test_print.c - the text form: exact for known values, JSON for all, the same as in tests/vectors/wire.jsonl. */
#include "tests/fixture/aborts.h"
#include "tests/fixture/wire_vectors.h"
#include "wire/any_record.h"
#include "wire/generate.h"
#include "wire/print.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_prints(const struct wire_record *record, const void *value, const char *expected)
{
    struct buffer out = {0};
    wire_print_record(record, value, &out);
    buffer_append(&out, "", 1);
    assert_string_equal((char *)out.data, expected);
    buffer_free(&out);
}

static void test_print_message_begins_with_its_type(void **state)
{
    (void)state;
    struct wire_message m;
    memset(&m, 0, sizeof m);
    m.type = WIRE_TYPE_busy;
    struct buffer out = {0};
    wire_print_message(&m, &out);
    assert_true(bytes_has_prefix(bytes_of(out.data, out.len), bytes_of_text("{\"type\":\"BUSY\",\"epoch\":0,")));
    buffer_free(&out);
}

static void test_print_integers_are_decimal_up_to_the_largest(void **state)
{
    (void)state;
    const struct wire_message_count c = {.type = 255, .sent = UINT64_MAX, .resent = 1ull << 53, .received = 0};
    assert_prints(&wire_record_message_count, &c,
                  "{\"type\":255,\"sent\":18446744073709551615,\"resent\":9007199254740992,\"received\":0}");
}

static void test_print_strings_are_lower_case_hex(void **state)
{
    (void)state;
    static const uint8_t key[] = {0x00, 0xab, 0xff};
    const struct wire_key_value leaf = {.key = bytes_of(key, sizeof key)};
    assert_prints(&wire_record_key_value, &leaf, "{\"key\":\"00abff\",\"value\":\"\"}");
}

static void test_print_lists_are_arrays(void **state)
{
    (void)state;
    uint8_t space[64];
    struct writer w = writer_of(space, sizeof space);
    struct wire_operation o = {.app = 1, .verb = 65535};
    assert_prints(&wire_record_operation, &o, "{\"app\":1,\"verb\":65535,\"args\":[]}");
    wire_list_add_bytes(&o.args, &w, bytes_of_text("k"));
    assert_prints(&wire_record_operation, &o, "{\"app\":1,\"verb\":65535,\"args\":[\"6b\"]}");
    wire_list_add_bytes(&o.args, &w, bytes_of_text(""));
    assert_prints(&wire_record_operation, &o, "{\"app\":1,\"verb\":65535,\"args\":[\"6b\",\"\"]}");
}

static void test_print_records_nest_as_objects(void **state)
{
    (void)state;
    uint8_t space[128];
    struct writer w = writer_of(space, sizeof space);
    struct wire_page page = {.next = bytes_of_text("z")};
    const struct wire_key_value item = {.key = bytes_of_text("a"), .value = bytes_of_text("b")};
    wire_list_add(&page.items, &w, &wire_record_key_value, &item);
    wire_list_add(&page.items, &w, &wire_record_key_value, &item);
    assert_prints(&wire_record_page, &page,
                  "{\"items\":[{\"key\":\"61\",\"value\":\"62\"},{\"key\":\"61\",\"value\":\"62\"}],\"next\":\"7a\"}");
    const struct wire_query query = {.epoch = 1, .number = 2, .mode = 3, .operation = {.app = 4, .verb = 5}};
    assert_prints(&wire_record_query, &query,
                  "{\"type\":\"QUERY\",\"epoch\":1,\"number\":2,\"mode\":3,"
                  "\"operation\":{\"app\":4,\"verb\":5,\"args\":[]}}");
}

static void test_print_digest_lists_hold_every_byte(void **state)
{
    (void)state;
    uint8_t space[128];
    struct writer w = writer_of(space, sizeof space);
    struct wire_proven_entry entry;
    memset(&entry, 0, sizeof entry);
    struct digest d;
    memset(d.bytes, 0x0f, sizeof d.bytes);
    wire_list_add_digest(&entry.path, &w, &d);
#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"
    assert_prints(&wire_record_proven_entry, &entry,
                  "{\"index\":0,\"entry\":{\"request_digest\":\"" ZERO "\",\"operation\":0,\"transaction\":\"" ZERO
                  "\",\"outcome\":0,\"result\":\"\"},\"path\":[\"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"
                  "0f0f0f0f0f0f\"]}");
#undef ZERO
}

static void print_no_type(void *context)
{
    struct wire_message m;
    struct buffer out = {0};
    (void)context;
    memset(&m, 0, sizeof m);
    wire_print_message(&m, &out);
}

static void test_print_message_of_no_type_is_a_failed_check(void **state)
{
    (void)state;
    assert_true(aborts(print_no_type, NULL));
}

/* ---- every record ---- */

static json_t *parse(const struct buffer *text)
{
    json_error_t error;
    json_t *root =
        json_loadb((const char *)text->data, text->len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    if (root == NULL) fail_msg("%s at %d", error.text, error.position);
    return root;
}

static void check_json(const struct wire_record *record, const struct buffer *text)
{
    json_t *root = parse(text);
    assert_int_equal(json_object_size(root), record->field_count + (record->number != 0 ? 1u : 0u));
    for (uint32_t i = 0; i < record->field_count; i++) {
        const json_t *value = json_object_get(root, record->fields[i].name);
        assert_non_null(value);
        switch (record->fields[i].kind) {
        case WIRE_KIND_UINT: assert_true(json_is_real(value)); break;
        case WIRE_KIND_DIGEST:
        case WIRE_KIND_KEY:
        case WIRE_KIND_SIGNATURE: assert_int_equal(json_string_length(value), 2 * record->fields[i].max); break;
        case WIRE_KIND_BYTES: assert_true(json_is_string(value)); break;
        case WIRE_KIND_OBJECT: assert_true(json_is_object(value)); break;
        case WIRE_KIND_LIST:
        case WIRE_KIND_BYTES_LIST:
        case WIRE_KIND_DIGEST_LIST: assert_true(json_is_array(value)); break;
        }
    }
    json_decref(root);
}

static void test_print_random_values_are_json_with_every_field(void **state)
{
    (void)state;
    uint32_t count;
    const struct wire_record *const *records = wire_records(&count);
    struct prng random = prng_of(3);
    for (uint32_t i = 0; i < 100 * count; i++) {
        const struct wire_record *record = records[i % count];
        uint8_t space[2048];
        struct writer scratch = writer_of(space, sizeof space);
        union wire_any_record value;
        if (!wire_generate_record(record, &random, &scratch, &value)) continue;
        struct buffer text = {0};
        wire_print_record(record, &value, &text);
        check_json(record, &text);
        buffer_free(&text);
    }
}

/* ---- the published vectors ---- */

static const char *text_of(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));
    assert_non_null(text);
    return text;
}

/* One line of wire.jsonl: its encoding decodes, encodes back, and prints as its "fields". */
static void check_vector_line(const char *line, size_t len)
{
    const struct buffer text = {.data = (uint8_t *)(uintptr_t)line, .len = len};
    json_t *root = parse(&text);
    const struct wire_record *record = wire_record_named(text_of(root, "record"));
    assert_non_null(record);
    struct blob *b = blob_of_hex(text_of(root, "hex"));
    assert_non_null(b);
    union wire_any_record value;
    assert_null(wire_decode_record(record, blob_bytes(b), &value));
    struct blob *again = wire_encode_blob(record, &value);
    assert_true(bytes_equal(blob_bytes(again), blob_bytes(b)));
    struct buffer fields = {0};
    buffer_printf(&fields, ",\"fields\":");
    wire_print_record(record, &value, &fields);
    buffer_printf(&fields, "}");
    assert_true(len > fields.len);
    assert_memory_equal(line + len - fields.len, fields.data, fields.len);
    buffer_free(&fields);
    blob_release(again);
    blob_release(b);
    json_decref(root);
}

static void test_print_published_vectors_decode_to_their_fields(void **state)
{
    (void)state;
    struct buffer file = {0};
    uint32_t lines = 0;
    uint32_t count;
    (void)wire_records(&count);
    assert_true(file_read(WIRE_VECTORS_GOOD_PATH, &file));
    for (char *line = (char *)file.data; *line != '\0'; lines++) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        check_vector_line(line, (size_t)(end - line));
        line = end + 1;
    }
    assert_int_equal(lines, WIRE_VECTORS_PER_RECORD * count);
    buffer_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print_message_of_no_type_is_a_failed_check),
        cmocka_unit_test(test_print_message_begins_with_its_type),
        cmocka_unit_test(test_print_integers_are_decimal_up_to_the_largest),
        cmocka_unit_test(test_print_strings_are_lower_case_hex),
        cmocka_unit_test(test_print_lists_are_arrays),
        cmocka_unit_test(test_print_records_nest_as_objects),
        cmocka_unit_test(test_print_digest_lists_hold_every_byte),
        cmocka_unit_test(test_print_random_values_are_json_with_every_field),
        cmocka_unit_test(test_print_published_vectors_decode_to_their_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
