/* codec.c - one encoder and one decoder that interpret the descriptors of wire/schema.c.
 *
 * A head is one byte, major type (0 unsigned, 2 bytes, 4 array) << 5 | n, where n < 24 is the value
 * itself and 24..27 say that 1, 2, 4 or 8 bytes follow.
 */
#include "wire/codec.h"

#include "base/check.h"

#include <string.h>

#define MAJOR_UINT 0u
#define MAJOR_BYTES 2u
#define MAJOR_ARRAY 4u

static const char fault_short[] = "the bytes end inside a value";
static const char fault_major[] = "a value is of another kind than the schema says";
static const char fault_minimal[] = "a number is not in its shortest form";
static const char fault_length[] = "a length is reserved or indefinite";
static const char fault_range[] = "a value is over the schema's maximum";
static const char fault_arity[] = "an array has another number of fields than the schema says";
static const char fault_count[] = "a list has more or fewer items than the schema allows";
static const char fault_exact[] = "a key, digest or signature has the wrong size";
static const char fault_trailing[] = "bytes follow the end of the value";
static const char fault_type[] = "the message type is unknown";

/* ---- heads ---- */

static size_t head_size(uint64_t value)
{
    return value < 24 ? 1 : value <= 0xff ? 2 : value <= 0xffff ? 3 : value <= 0xffffffff ? 5 : 9;
}

static void put_head(struct writer *w, unsigned major, uint64_t value)
{
    uint8_t raw[8];
    const size_t size = head_size(value);
    const unsigned top = major << 5;
    if (size == 1) {
        writer_u8(w, (uint8_t)(top | (unsigned)value));
        return;
    }
    if (size == 2) {
        const uint8_t head[2] = {(uint8_t)(top | 24u), (uint8_t)value};
        writer_bytes(w, head, sizeof head);
        return;
    }
    const unsigned code = size == 3 ? 25 : size == 5 ? 26 : 27;
    writer_u8(w, (uint8_t)(top | code));
    be64_put(raw, value);
    writer_bytes(w, raw + 8 - (size - 1), size - 1);
}

static const char *get_head(struct reader *r, unsigned major, uint64_t *out)
{
    uint8_t first;
    if (!reader_u8(r, &first)) return fault_short;
    if (first >> 5 != major) return fault_major;
    const unsigned code = first & 31u;
    if (code < 24) {
        *out = code;
        return NULL;
    }
    if (code > 27) return fault_length;
    const size_t width = (size_t)1 << (code - 24);
    struct bytes raw;
    if (!reader_bytes(r, width, &raw)) return fault_short;
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value = (value << 8) | raw.data[i];
    if (head_size(value) != width + 1) return fault_minimal;
    *out = value;
    return NULL;
}

static const char *get_bytes(struct reader *r, uint64_t max, struct bytes *out)
{
    uint64_t len;
    const char *fault = get_head(r, MAJOR_BYTES, &len);
    if (fault != NULL) return fault;
    if (len > max) return fault_range;
    return reader_bytes(r, (size_t)len, out) ? NULL : fault_short;
}

/* size from 24 to 255: its head is two bytes, and most of what comes has them. */
static const char *get_exact(struct reader *r, size_t size, void *out)
{
    struct bytes raw;
    uint64_t len;
    if (reader_left(r) >= size + 2 && r->pos[0] == (MAJOR_BYTES << 5 | 24u) && r->pos[1] == size) {
        memcpy(out, r->pos + 2, size);
        r->pos += size + 2;
        return NULL;
    }
    const char *fault = get_head(r, MAJOR_BYTES, &len);
    if (fault != NULL) return fault;
    if (len != size) return fault_exact;
    if (!reader_bytes(r, size, &raw)) return fault_short;
    memcpy(out, raw.data, size);
    return NULL;
}

/* ---- decoding ---- */

/* The largest struct that is an item of a list; checked where it is used. */
#define ITEM_BYTES_MAX 1024u

union item_space {
    uint8_t bytes[ITEM_BYTES_MAX];
    uint64_t align;
};

static const char *decode_fields(const struct wire_record *record, struct reader *r, void *out,
                                 const uint8_t **signed_end);

static const char *decode_list(const struct wire_field *field, struct reader *r, struct wire_list *out)
{
    uint64_t count;
    const char *fault = get_head(r, MAJOR_ARRAY, &count);
    if (fault != NULL) return fault;
    if (count < field->count_min || count > field->count_max) return fault_count;
    const uint8_t *start = r->pos;
    union item_space item;
    for (uint64_t i = 0; i < count; i++) {
        struct bytes string;
        struct digest digest;
        switch (field->kind) {
        case WIRE_KIND_LIST:
            CHECK_OP(field->record->size, <=, sizeof item);
            fault = decode_fields(field->record, r, &item, NULL);
            break;
        case WIRE_KIND_BYTES_LIST: fault = get_bytes(r, field->max, &string); break;
        case WIRE_KIND_DIGEST_LIST: fault = get_exact(r, sizeof digest.bytes, &digest); break;
        case WIRE_KIND_UINT:
        case WIRE_KIND_DIGEST:
        case WIRE_KIND_KEY:
        case WIRE_KIND_SIGNATURE:
        case WIRE_KIND_BYTES:
        case WIRE_KIND_OBJECT: CHECK(!"decode_list: not a list");
        }
        if (fault != NULL) return fault;
    }
    out->items = bytes_of(start, (size_t)(r->pos - start));
    out->count = (uint32_t)count;
    return NULL;
}

static const char *decode_field(const struct wire_field *field, struct reader *r, uint8_t *out)
{
    const char *fault = NULL;
    switch (field->kind) {
    case WIRE_KIND_UINT: {
        uint64_t value;
        fault = get_head(r, MAJOR_UINT, &value);
        if (fault == NULL && value > field->max) fault = fault_range;
        if (fault == NULL) memcpy(out, &value, sizeof value);
        return fault;
    }
    case WIRE_KIND_DIGEST:
    case WIRE_KIND_KEY:
    case WIRE_KIND_SIGNATURE: return get_exact(r, (size_t)field->max, out);
    case WIRE_KIND_BYTES: {
        struct bytes value;
        fault = get_bytes(r, field->max, &value);
        if (fault == NULL) memcpy(out, &value, sizeof value);
        return fault;
    }
    case WIRE_KIND_OBJECT: return decode_fields(field->record, r, out, NULL);
    case WIRE_KIND_LIST:
    case WIRE_KIND_BYTES_LIST:
    case WIRE_KIND_DIGEST_LIST: {
        struct wire_list list;
        fault = decode_list(field, r, &list);
        if (fault == NULL) memcpy(out, &list, sizeof list);
        return fault;
    }
    }
    CHECK(!"decode_field: kind outside the enumeration");
    return fault_major;
}

/* Calls itself through decode_field for nested records: as deep as the schema is, three levels. */
static const char *decode_fields(const struct wire_record *record, struct reader *r, void *out,
                                 const uint8_t **signed_end)
{
    uint64_t arity;
    const uint64_t wanted = record->field_count + (record->number != 0 ? 1u : 0u);
    const char *fault = get_head(r, MAJOR_ARRAY, &arity);
    if (fault != NULL) return fault;
    if (arity != wanted) return fault_arity;
    if (record->number != 0) {
        uint64_t number;
        fault = get_head(r, MAJOR_UINT, &number);
        if (fault != NULL) return fault;
        if (number != record->number) return fault_type;
    }
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        if (field->kind == WIRE_KIND_SIGNATURE && signed_end != NULL) *signed_end = r->pos;
        fault = decode_field(field, r, (uint8_t *)out + field->offset);
        if (fault != NULL) return fault;
    }
    return NULL;
}

const char *wire_decode_record(const struct wire_record *record, struct bytes in, void *out)
{
    struct reader r = reader_of(in);
    const char *fault = decode_fields(record, &r, out, NULL);
    if (fault != NULL) return fault;
    return reader_left(&r) == 0 ? NULL : fault_trailing;
}

const char *wire_decode(struct bytes in, struct wire_message *out)
{
    struct reader peek = reader_of(in);
    uint64_t arity;
    uint64_t number;
    const char *fault = get_head(&peek, MAJOR_ARRAY, &arity);
    if (fault == NULL) fault = get_head(&peek, MAJOR_UINT, &number);
    if (fault != NULL) return fault;
    const struct wire_record *record = wire_record_of_type(number);
    if (record == NULL) return fault_type;
    struct reader r = reader_of(in);
    const uint8_t *signed_end = in.data;
    fault = decode_fields(record, &r, wire_body(out), &signed_end);
    if (fault != NULL) return fault;
    if (reader_left(&r) != 0) return fault_trailing;
    out->type = (enum wire_type)number;
    out->raw = in;
    out->signed_part = bytes_of(in.data, (size_t)(signed_end - in.data));
    return NULL;
}

/* ---- encoding ---- */

static void encode_fields(const struct wire_record *record, const void *in, struct writer *w, bool signed_part_only);

static void encode_field(const struct wire_field *field, const uint8_t *in, struct writer *w)
{
    switch (field->kind) {
    case WIRE_KIND_UINT: {
        uint64_t value;
        memcpy(&value, in, sizeof value);
        CHECK_OP(value, <=, field->max);
        put_head(w, MAJOR_UINT, value);
        return;
    }
    case WIRE_KIND_DIGEST:
    case WIRE_KIND_KEY:
    case WIRE_KIND_SIGNATURE:
        put_head(w, MAJOR_BYTES, field->max);
        writer_bytes(w, in, (size_t)field->max);
        return;
    case WIRE_KIND_BYTES: {
        struct bytes value;
        memcpy(&value, in, sizeof value);
        CHECK_OP(value.len, <=, field->max);
        put_head(w, MAJOR_BYTES, value.len);
        writer_bytes(w, value.data, value.len);
        return;
    }
    case WIRE_KIND_OBJECT: encode_fields(field->record, in, w, false); return;
    case WIRE_KIND_LIST:
    case WIRE_KIND_BYTES_LIST:
    case WIRE_KIND_DIGEST_LIST: {
        struct wire_list list;
        memcpy(&list, in, sizeof list);
        CHECK_OP(list.count, >=, field->count_min);
        CHECK_OP(list.count, <=, field->count_max);
        put_head(w, MAJOR_ARRAY, list.count);
        writer_bytes(w, list.items.data, list.items.len);
        return;
    }
    }
    CHECK(!"encode_field: kind outside the enumeration");
}

static void encode_fields(const struct wire_record *record, const void *in, struct writer *w, bool signed_part_only)
{
    const bool typed = record->number != 0;
    put_head(w, MAJOR_ARRAY, record->field_count + (typed ? 1u : 0u));
    if (typed) put_head(w, MAJOR_UINT, record->number);
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        if (signed_part_only && field->kind == WIRE_KIND_SIGNATURE) return;
        encode_field(field, (const uint8_t *)in + field->offset, w);
    }
}

void wire_encode_record(const struct wire_record *record, const void *in, struct writer *w)
{
    encode_fields(record, in, w, false);
}

void wire_encode_signed_part(const struct wire_record *record, const void *in, struct writer *w)
{
    CHECK(wire_is_signed(record));
    encode_fields(record, in, w, true);
}

size_t wire_record_size(const struct wire_record *record, const void *in)
{
    const bool typed = record->number != 0;
    size_t size = head_size(record->field_count + (typed ? 1u : 0u)) + (typed ? head_size(record->number) : 0);
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        const uint8_t *at = (const uint8_t *)in + field->offset;
        uint64_t number;
        struct bytes string;
        struct wire_list list;
        switch (field->kind) {
        case WIRE_KIND_UINT:
            memcpy(&number, at, sizeof number);
            size += head_size(number);
            break;
        case WIRE_KIND_DIGEST:
        case WIRE_KIND_KEY:
        case WIRE_KIND_SIGNATURE: size += head_size(field->max) + (size_t)field->max; break;
        case WIRE_KIND_BYTES:
            memcpy(&string, at, sizeof string);
            size += head_size(string.len) + string.len;
            break;
        case WIRE_KIND_OBJECT: size += wire_record_size(field->record, at); break;
        case WIRE_KIND_LIST:
        case WIRE_KIND_BYTES_LIST:
        case WIRE_KIND_DIGEST_LIST:
            memcpy(&list, at, sizeof list);
            size += head_size(list.count) + list.items.len;
            break;
        }
    }
    return size;
}

struct blob *wire_encode_blob(const struct wire_record *record, const void *in)
{
    struct blob *b = blob_new(wire_record_size(record, in));
    struct writer w = writer_of(b->data, b->len);
    wire_encode_record(record, in, &w);
    CHECK(!w.overflow && w.len == b->len);
    return b;
}

bool wire_is_signed(const struct wire_record *record)
{
    if (record->number == 0) return false;
    for (uint32_t i = 0; i < record->field_count; i++)
        if (record->fields[i].kind == WIRE_KIND_SIGNATURE) return true;
    return false;
}

/* ---- lists ---- */

struct wire_iterator wire_list_start(struct wire_list list)
{
    return (struct wire_iterator){.reader = reader_of(list.items), .left = list.count};
}

bool wire_list_next_raw(struct wire_iterator *i, const struct wire_record *record, void *out, struct bytes *raw)
{
    if (i->left == 0) return false;
    const uint8_t *start = i->reader.pos;
    if (decode_fields(record, &i->reader, out, NULL) != NULL) return false;
    i->left--;
    *raw = bytes_of(start, (size_t)(i->reader.pos - start));
    return true;
}

bool wire_list_next(struct wire_iterator *i, const struct wire_record *record, void *out)
{
    struct bytes raw;
    return wire_list_next_raw(i, record, out, &raw);
}

bool wire_list_next_bytes(struct wire_iterator *i, struct bytes *out)
{
    if (i->left == 0) return false;
    if (get_bytes(&i->reader, UINT64_MAX, out) != NULL) return false;
    i->left--;
    return true;
}

bool wire_list_next_digest(struct wire_iterator *i, struct digest *out)
{
    if (i->left == 0) return false;
    if (get_exact(&i->reader, sizeof out->bytes, out) != NULL) return false;
    i->left--;
    return true;
}

/* Extends the list over what was written since `from`. */
static void list_extend(struct wire_list *list, const struct writer *w, size_t from)
{
    if (w->overflow) return;
    if (list->count == 0) list->items = bytes_of(w->data + from, 0);
    CHECK(list->items.data + list->items.len == w->data + from);
    list->items.len += w->len - from;
    list->count++;
}

void wire_list_add(struct wire_list *list, struct writer *w, const struct wire_record *record, const void *item)
{
    const size_t from = w->len;
    wire_encode_record(record, item, w);
    list_extend(list, w, from);
}

void wire_list_add_bytes(struct wire_list *list, struct writer *w, struct bytes item)
{
    const size_t from = w->len;
    put_head(w, MAJOR_BYTES, item.len);
    writer_bytes(w, item.data, item.len);
    list_extend(list, w, from);
}

void wire_list_add_digest(struct wire_list *list, struct writer *w, const struct digest *item)
{
    wire_list_add_bytes(list, w, bytes_of(item->bytes, sizeof item->bytes));
}

int wire_compare_record(const struct wire_record *record, const void *a, const void *b)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        const uint8_t *left = (const uint8_t *)a + field->offset;
        const uint8_t *right = (const uint8_t *)b + field->offset;
        int order = 0;
        switch (field->kind) {
        case WIRE_KIND_UINT: {
            uint64_t x;
            uint64_t y;
            memcpy(&x, left, sizeof x);
            memcpy(&y, right, sizeof y);
            order = x < y ? -1 : x > y ? 1 : 0;
            break;
        }
        case WIRE_KIND_DIGEST:
        case WIRE_KIND_KEY:
        case WIRE_KIND_SIGNATURE: order = memcmp(left, right, (size_t)field->max); break;
        case WIRE_KIND_BYTES: {
            struct bytes x;
            struct bytes y;
            memcpy(&x, left, sizeof x);
            memcpy(&y, right, sizeof y);
            order = bytes_compare(x, y);
            break;
        }
        case WIRE_KIND_OBJECT: order = wire_compare_record(field->record, left, right); break;
        case WIRE_KIND_LIST:
        case WIRE_KIND_BYTES_LIST:
        case WIRE_KIND_DIGEST_LIST: {
            struct wire_list x;
            struct wire_list y;
            memcpy(&x, left, sizeof x);
            memcpy(&y, right, sizeof y);
            order = x.count < y.count ? -1 : x.count > y.count ? 1 : bytes_compare(x.items, y.items);
            break;
        }
        }
        if (order != 0) return order;
    }
    return 0;
}
