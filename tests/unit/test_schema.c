/* test_schema.c - what the one table must keep so that everything driven by it is sound. */
#include "tests/fixture/wire_vectors.h"
#include "wire/any_record.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct wire_record *const *all(uint32_t *count)
{
    return wire_records(count);
}

static void test_schema_number_that_is_no_type_has_no_record(void **state)
{
    (void)state;
    assert_null(wire_record_of_type(0));
    assert_null(wire_record_of_type(WIRE_TYPE_MAX + 1));
    assert_null(wire_record_of_type(256 + WIRE_TYPE_prepare));
    assert_null(wire_record_of_type((1ull << 32) + WIRE_TYPE_prepare));
    assert_null(wire_record_of_type(UINT64_MAX));
    assert_string_equal(wire_type_name(0), "?");
    assert_string_equal(wire_type_name(WIRE_TYPE_MAX + 1), "?");
    assert_string_equal(wire_type_name(UINT64_MAX), "?");
}

static void test_schema_every_number_has_one_record_of_that_name(void **state)
{
    (void)state;
    uint32_t count;
    const struct wire_record *const *records = all(&count);
    uint32_t messages = 0;
    for (uint32_t i = 0; i < count; i++) {
        char name[64] = "";
        if (records[i]->number == 0) continue;
        messages++;
        assert_ptr_equal(wire_record_of_type(records[i]->number), records[i]);
        for (size_t k = 0; records[i]->name[k] != '\0'; k++) {
            assert_true(k + 1 < sizeof name);
            const char c = records[i]->name[k];
            name[k] = (char)(c == '_' ? '-' : toupper((unsigned char)c));
        }
        assert_string_equal(wire_type_name(records[i]->number), name);
    }
    assert_int_equal(messages, WIRE_TYPE_MAX);
}

static void test_schema_record_names_are_distinct(void **state)
{
    (void)state;
    uint32_t count;
    const struct wire_record *const *records = all(&count);
    for (uint32_t i = 0; i < count; i++)
        assert_ptr_equal(wire_record_named(records[i]->name), records[i]);
}

static void check_field(const struct wire_record *record, const struct wire_field *field)
{
    assert_true(field->offset < record->size);
    assert_true(field->count_min <= field->count_max);
    const bool nests = field->kind == WIRE_KIND_OBJECT || field->kind == WIRE_KIND_LIST;
    assert_int_equal(field->record != NULL, nests);
    if (!nests) return;
    assert_int_equal(field->record->number, 0); /* only records nest: a message inside a message is a byte string */
    assert_true(field->record->size <= sizeof(union wire_any_record));
    assert_true(field->record->size <= 1024); /* ITEM_BYTES_MAX of wire/codec.c */
}

static void test_schema_descriptors_are_within_bounds(void **state)
{
    (void)state;
    uint32_t count;
    const struct wire_record *const *records = all(&count);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(records[i]->field_count > 0);
        assert_true(records[i]->field_count + 1 < 24); /* one-byte array heads: wire/cddl.c */
        for (uint32_t k = 0; k < records[i]->field_count; k++)
            check_field(records[i], &records[i]->fields[k]);
    }
}

/* Deepest chain of nested records below this one; no cycles, or the decoder would be as deep as its input. */
static uint32_t depth_of(const struct wire_record *record, uint32_t depth)
{
    uint32_t deepest = depth;
    assert_true(depth < 8);
    for (uint32_t i = 0; i < record->field_count; i++) {
        if (record->fields[i].record == NULL) continue;
        const uint32_t below = depth_of(record->fields[i].record, depth + 1);
        if (below > deepest) deepest = below;
    }
    return deepest;
}

static void test_schema_nesting_is_at_most_three_levels(void **state)
{
    (void)state;
    uint32_t count;
    const struct wire_record *const *records = all(&count);
    for (uint32_t i = 0; i < count; i++)
        assert_true(depth_of(records[i], 1) <= 3);
}

static bool has_field(const struct wire_record *record, uint32_t before, const char *name)
{
    for (uint32_t i = 0; i < before; i++)
        if (strcmp(record->fields[i].name, name) == 0) return true;
    return false;
}

/* Rule 19: the signature covers epoch and sender (a request's sender is its client); the type always is. */
static void test_schema_signature_covers_epoch_and_sender(void **state)
{
    (void)state;
    uint32_t signed_count = 0;
    for (uint32_t number = 1; number <= WIRE_TYPE_MAX; number++) {
        const struct wire_record *record = wire_record_of_type(number);
        uint32_t signatures = 0;
        for (uint32_t i = 0; i < record->field_count; i++) {
            if (record->fields[i].kind != WIRE_KIND_SIGNATURE) continue;
            signatures++;
            assert_string_equal(record->fields[i].name, "signature");
            assert_true(has_field(record, i, "epoch"));
            assert_true(has_field(record, i, number == WIRE_TYPE_request ? "client" : "sender"));
        }
        assert_true(signatures <= 1);
        signed_count += signatures;
    }
    assert_int_equal(signed_count, 8);
}

/* "type" is the name that the printed form of a message gives to its number. */
static void test_schema_no_message_has_a_field_called_type(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= WIRE_TYPE_MAX; number++) {
        const struct wire_record *record = wire_record_of_type(number);
        assert_false(has_field(record, record->field_count, "type"));
    }
}

static void test_schema_body_is_where_each_message_begins(void **state)
{
    (void)state;
    struct wire_message m;
    assert_ptr_equal(wire_body(&m), &m.request);
    assert_ptr_equal(wire_body(&m), &m.busy);
    assert_ptr_equal(wire_body_const(&m), &m.view_change);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_number_that_is_no_type_has_no_record),
        cmocka_unit_test(test_schema_every_number_has_one_record_of_that_name),
        cmocka_unit_test(test_schema_record_names_are_distinct),
        cmocka_unit_test(test_schema_descriptors_are_within_bounds),
        cmocka_unit_test(test_schema_nesting_is_at_most_three_levels),
        cmocka_unit_test(test_schema_signature_covers_epoch_and_sender),
        cmocka_unit_test(test_schema_no_message_has_a_field_called_type),
        cmocka_unit_test(test_schema_body_is_where_each_message_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
