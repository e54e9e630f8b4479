/* print.c - prints by interpreting the descriptors of wire/schema.c; it knows no record by name. Reads only what the
 * decoder has already checked, and allocates only through the caller's buffer. */
#include "wire/print.h"

#include "base/check.h"
#include "wire/any_record.h"
#include "wire/constants.h"

#include <inttypes.h>
#include <string.h>

static void print_hex(struct bytes value, struct buffer *out)
{
    buffer_append(out, "\"", 1);
    char *to = (char *)buffer_reserve(out, 2 * value.len + 1);
    hex_encode(to, value.data, value.len);
    out->len += 2 * value.len;
    buffer_append(out, "\"", 1);
}

static void print_list(const struct wire_field *field, struct wire_list list, struct buffer *out)
{
    struct wire_iterator i = wire_list_start(list);
    union wire_any_record item;
    struct bytes string;
    struct digest digest;
    for (uint32_t k = 0; k < list.count; k++) {
        if (k > 0) buffer_append(out, ",", 1);
        switch (field->kind) {
        case WIRE_KIND_LIST:
            CHECK(wire_list_next(&i, field->record, &item));
            wire_print_record(field->record, &item, out);
            break;
        case WIRE_KIND_BYTES_LIST:
            CHECK(wire_list_next_bytes(&i, &string));
            print_hex(string, out);
            break;
        case WIRE_KIND_DIGEST_LIST:
            CHECK(wire_list_next_digest(&i, &digest));
            print_hex(bytes_of(digest.bytes, sizeof digest.bytes), out);
            break;
        case WIRE_KIND_UINT:
        case WIRE_KIND_DIGEST:
        case WIRE_KIND_KEY:
        case WIRE_KIND_SIGNATURE:
        case WIRE_KIND_BYTES:
        case WIRE_KIND_OBJECT: CHECK(!"print_list: not a list");
        }
    }
}

static void print_field(const struct wire_field *field, const uint8_t *in, struct buffer *out)
{
    switch (field->kind) {
    case WIRE_KIND_UINT: {
        uint64_t value;
        memcpy(&value, in, sizeof value);
        buffer_printf(out, "%" PRIu64, value);
        return;
    }
    case WIRE_KIND_DIGEST:
    case WIRE_KIND_KEY:
    case WIRE_KIND_SIGNATURE: print_hex(bytes_of(in, (size_t)field->max), out); return;
    case WIRE_KIND_BYTES: {
        struct bytes value;
        memcpy(&value, in, sizeof value);
        print_hex(value, out);
        return;
    }
    case WIRE_KIND_OBJECT: wire_print_record(field->record, in, out); return;
    case WIRE_KIND_LIST:
    case WIRE_KIND_BYTES_LIST:
    case WIRE_KIND_DIGEST_LIST: {
        struct wire_list list;
        memcpy(&list, in, sizeof list);
        buffer_append(out, "[", 1);
        print_list(field, list, out);
        buffer_append(out, "]", 1);
        return;
    }
    }
    CHECK(!"print_field: kind outside the enumeration");
}

/* Calls itself through print_field for nested records: as deep as the schema is, not the input. */
void wire_print_record(const struct wire_record *record, const void *in, struct buffer *out)
{
    const char *comma = "";
    buffer_append(out, "{", 1);
    if (record->number != 0) {
        buffer_printf(out, "\"type\":\"%s\"", wire_type_name(record->number));
        comma = ",";
    }
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        buffer_printf(out, "%s\"%s\":", comma, field->name);
        print_field(field, (const uint8_t *)in + field->offset, out);
        comma = ",";
    }
    buffer_append(out, "}", 1);
}

void wire_print_message(const struct wire_message *m, struct buffer *out)
{
    const struct wire_record *record = wire_record_of_type((uint64_t)m->type);
    CHECK(record != NULL);
    wire_print_record(record, wire_body_const(m), out);
}

const char *wire_condition_name(uint64_t condition)
{
    static const char *const names[] = {"starting", "no-quorum", "catching-up", "synced",
                                        "stalled",  "diverged",  "fenced",      "disk-full", "disk-full"};
    _Static_assert(sizeof names / sizeof names[0] == CONDITION_MAX + 1, "one for each");
    return condition <= CONDITION_MAX ? names[condition] : "unknown";
}
