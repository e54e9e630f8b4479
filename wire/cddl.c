/* cddl.c - CDDL and fuzz dictionary, made from the descriptors of wire/schema.c. */
#include "wire/cddl.h"

#include "base/check.h"
#include "wire/codec.h"

#include <inttypes.h>
#include <string.h>

/* ---- CDDL ---- */

static const char cddl_head[] =
    "; docs/wire.cddl - every message and record of pbft, as RFC 8610 CDDL.\n"
    "; Made from wire/schema.def by `wire_tool cddl`; do not edit.\n"
    ";\n"
    "; Encoding: deterministic CBOR (RFC 8949 section 4.2.1). Only unsigned integers, byte strings and arrays occur;\n"
    "; every head is the shortest one, every length definite, and nothing follows the outermost array. A decoder\n"
    "; refuses everything else, so that a value has exactly one encoding. Field names are not on the wire: a field is\n"
    "; known by its place.\n"
    ";\n"
    "; Messages begin with their type number; records, which are nested in messages or stored, do not.\n"
    ";\n"
    "; Signatures: a message with a `signature` field is signed with Ed25519 (RFC 8032) over the 32 bytes\n"
    ";\n"
    ";     SHA-256( 0x0e | \"pbft/1/message\" | group id (32 bytes) | signed part )\n"
    ";\n"
    "; where 0x0e is the length of the tag, and the signed part is every byte of the encoded message from its first\n"
    "; (the array head, which counts all fields) up to where the `signature` field's byte string begins. Fields after\n"
    "; `signature` are not signed; they are bound by fields that are.\n"
    "; A member_signature in a certificate is the signature of the message that the certificate stands for "
    "(PRE-PREPARE,\n"
    "; PREPARE, COMMIT or CHECKPOINT), with the certificate's fields and sender = id; a reproposal's is that of the\n"
    "; PRE-PREPARE(view of the NEW-VIEW, seq, digest).\n"
    "\n";

static const char cddl_sizes[] = "\n"
                                 "digest = bstr .size 32      ; SHA-256\n"
                                 "public_key = bstr .size 32  ; Ed25519\n"
                                 "signature = bstr .size 64   ; Ed25519\n"
                                 "\n";

static void print_bytes_type(uint64_t max, struct buffer *out)
{
    buffer_printf(out, "bstr .size (0..%" PRIu64 ")", max);
}

static void print_type(const struct wire_field *field, struct buffer *out)
{
    switch (field->kind) {
    case WIRE_KIND_UINT:
        if (field->max == UINT64_MAX)
            buffer_printf(out, "uint");
        else
            buffer_printf(out, "0..%" PRIu64, field->max);
        return;
    case WIRE_KIND_DIGEST: buffer_printf(out, "digest"); return;
    case WIRE_KIND_KEY: buffer_printf(out, "public_key"); return;
    case WIRE_KIND_SIGNATURE: buffer_printf(out, "signature"); return;
    case WIRE_KIND_BYTES: print_bytes_type(field->max, out); return;
    case WIRE_KIND_OBJECT: buffer_printf(out, "%s", field->record->name); return;
    case WIRE_KIND_LIST:
        buffer_printf(out, "[%" PRIu32 "*%" PRIu32 " %s]", field->count_min, field->count_max, field->record->name);
        return;
    case WIRE_KIND_BYTES_LIST:
        buffer_printf(out, "[%" PRIu32 "*%" PRIu32 " ", field->count_min, field->count_max);
        print_bytes_type(field->max, out);
        buffer_printf(out, "]");
        return;
    case WIRE_KIND_DIGEST_LIST:
        buffer_printf(out, "[%" PRIu32 "*%" PRIu32 " digest]", field->count_min, field->count_max);
        return;
    }
    CHECK(!"print_type: kind outside the enumeration");
}

static void print_rule(const struct wire_record *record, struct buffer *out)
{
    buffer_printf(out, "\n");
    if (record->number != 0)
        buffer_printf(out, "; %s, %s\n", wire_type_name(record->number),
                      wire_is_signed(record) ? "signed" : "not signed");
    buffer_printf(out, "%s = [\n", record->name);
    if (record->number != 0) buffer_printf(out, "    type: %" PRIu32 ",\n", record->number);
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        buffer_printf(out, "    %s: ", field->name);
        print_type(field, out);
        buffer_printf(out, "%s\n", i + 1 < record->field_count ? "," : "");
    }
    buffer_printf(out, "]\n");
}

/* "name = a / b / c" over the messages, or over the records. */
static void print_choice(const char *name, bool messages, struct buffer *out)
{
    uint32_t count;
    const struct wire_record *const *records = wire_records(&count);
    const char *between = "= ";
    buffer_printf(out, "%s ", name);
    for (uint32_t i = 0; i < count; i++) {
        if ((records[i]->number != 0) != messages) continue;
        buffer_printf(out, "%s%s", between, records[i]->name);
        between = "\n    / ";
    }
    buffer_printf(out, "\n");
}

void wire_print_cddl(struct buffer *out)
{
    uint32_t count;
    const struct wire_record *const *records = wire_records(&count);
    buffer_printf(out, "%s", cddl_head);
    print_choice("message", true, out); /* first, because a CDDL document means its first rule */
    buffer_printf(out, "%s", cddl_sizes);
    print_choice("record", false, out);
    for (uint32_t i = 0; i < count; i++)
        print_rule(records[i], out);
}

/* ---- dictionary ---- */

#define MAJOR_UINT 0u
#define MAJOR_BYTES 2u
#define MAJOR_ARRAY 4u

/* One entry per width that can hold the value: also the heads that are not the shortest, which a decoder must refuse.
 */
static void print_heads(const char *name, unsigned major, uint64_t value, struct buffer *out)
{
    static const struct {
        unsigned code;
        unsigned bytes;
        uint64_t max;
    } widths[] = {{24, 1, 0xff}, {25, 2, 0xffff}, {26, 4, 0xffffffff}, {27, 8, UINT64_MAX}};
    if (value < 24) buffer_printf(out, "%s_%" PRIu64 "=\"\\x%02x\"\n", name, value, major << 5 | (unsigned)value);
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        if (value > widths[i].max) continue;
        uint8_t raw[8];
        be64_put(raw, value);
        buffer_printf(out, "%s_%" PRIu64 "_in_%u=\"\\x%02x", name, value, widths[i].bytes, major << 5 | widths[i].code);
        for (unsigned k = 8 - widths[i].bytes; k < 8; k++)
            buffer_printf(out, "\\x%02x", raw[k]);
        buffer_printf(out, "\"\n");
    }
}

/* Array head and, for a message, type number. */
static void print_first_bytes(const struct wire_record *record, struct buffer *out)
{
    const bool typed = record->number != 0;
    const unsigned arity = record->field_count + (typed ? 1u : 0u);
    CHECK_OP(arity, <, 24); /* one byte each, as the schema stands */
    CHECK_OP(record->number, <, 24);
    buffer_printf(out, "%s=\"\\x%02x", record->name, MAJOR_ARRAY << 5 | arity);
    if (typed) buffer_printf(out, "\\x%02x", record->number);
    buffer_printf(out, "\"\n");
}

static void print_field_heads(const struct wire_record *record, const struct wire_field *field, struct buffer *out)
{
    buffer_printf(out, "# %s.%s\n", record->name, field->name);
    switch (field->kind) {
    case WIRE_KIND_UINT: print_heads("max", MAJOR_UINT, field->max, out); return;
    case WIRE_KIND_DIGEST:
    case WIRE_KIND_KEY:
    case WIRE_KIND_SIGNATURE:
    case WIRE_KIND_BYTES: print_heads("bytes", MAJOR_BYTES, field->max, out); return;
    case WIRE_KIND_OBJECT: return;
    case WIRE_KIND_LIST:
    case WIRE_KIND_BYTES_LIST:
    case WIRE_KIND_DIGEST_LIST: print_heads("items", MAJOR_ARRAY, field->count_max, out); return;
    }
    CHECK(!"print_field_heads: kind outside the enumeration");
}

void wire_print_dictionary(struct buffer *out)
{
    static const uint64_t edges[] = {0, 1, 23, 24, 255, 256, 65535, 65536, 0xffffffff, 1ull << 32, UINT64_MAX};
    uint32_t count;
    const struct wire_record *const *records = wire_records(&count);
    buffer_printf(out, "# libFuzzer dictionary, made from wire/schema.def by `wire_tool dict`; do not edit.\n");
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        print_heads("uint", MAJOR_UINT, edges[i], out);
        print_heads("bytes", MAJOR_BYTES, edges[i], out);
        print_heads("array", MAJOR_ARRAY, edges[i], out);
    }
    buffer_printf(out, "bytes_indefinite=\"\\x5f\"\narray_indefinite=\"\\x9f\"\nbreak=\"\\xff\"\n");
    for (uint32_t i = 0; i < count; i++) {
        print_first_bytes(records[i], out);
        for (uint32_t k = 0; k < records[i]->field_count; k++)
            print_field_heads(records[i], &records[i]->fields[k], out);
    }
}
