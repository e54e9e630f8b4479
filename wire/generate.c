/* generate.c - random values by interpreting the descriptors of wire/schema.c; it knows no record by name.
 *
 * Room for a list is split in two, because the items of one list stand next to each other:
 *
 *     scratch  | used | items of the list ...      | content of the item being made |
 *                     ^ len                        ^ len + free / 2                 ^ cap
 *
 * Each item is made in the right half, then encoded into the left one; the right half is used again for the next.
 */
#include "wire/generate.h"

#include "base/check.h"
#include "wire/any_record.h"

#include <string.h>

/* Where the encoding's heads change their size, and where off-by-ones live. */
static const uint64_t edges[] = {0,     1,     23,         24,         255,        256,
                                 65535, 65536, 0xffffffff, 1ull << 32, UINT64_MAX, UINT64_MAX - 1};
#define EDGE_COUNT (sizeof edges / sizeof edges[0])

/* At most max. One in four small, one in four the maximum or one less, one in four an edge, one in four anything. */
static uint64_t generate_uint(struct prng *random, uint64_t max)
{
    uint64_t value = 0;
    switch (prng_below(random, 4)) {
    case 0: value = prng_below(random, 32); break;
    case 1: value = max - (max > 0 ? prng_below(random, 2) : 0); break;
    case 2: value = edges[prng_below(random, EDGE_COUNT)]; break;
    case 3: /* two statements: the order of two calls in one expression is the compiler's */
        value = prng_next(random);
        value >>= prng_below(random, 64);
        break;
    }
    if (value <= max) return value;
    return value % (max + 1); /* max + 1 does not wrap: some value is above max */
}

/* How many bytes or items: mostly few, at times an edge or the maximum if that is at most `room`. */
static size_t generate_count(struct prng *random, uint64_t min, uint64_t max, size_t room)
{
    const uint64_t bound = max < room ? max : room;
    if (bound <= min) return (size_t)min;
    uint64_t count = min + prng_below(random, 4);
    switch (prng_below(random, 8)) {
    case 0: count = min; break;
    case 1: count = prng_below(random, 40); break;
    case 2: count = edges[prng_below(random, EDGE_COUNT)]; break;
    case 3: count = max; break;
    }
    return count >= min && count <= bound ? (size_t)count : (size_t)min;
}

static struct bytes generate_bytes(struct prng *random, uint64_t max, struct writer *scratch)
{
    const size_t len = generate_count(random, 0, max, (scratch->cap - scratch->len) / 8);
    uint8_t *start = scratch->data + scratch->len;
    prng_fill(random, start, len);
    scratch->len += len;
    return bytes_of(start, len);
}

/* Makes one item with its content in `content`, and adds it to the list. */
static bool generate_item(const struct wire_field *field, struct prng *random, struct writer *items,
                          struct writer *content, struct wire_list *list)
{
    union wire_any_record item;
    struct digest digest;
    switch (field->kind) {
    case WIRE_KIND_LIST:
        if (!wire_generate_record(field->record, random, content, &item)) return false;
        wire_list_add(list, items, field->record, &item);
        break;
    case WIRE_KIND_BYTES_LIST: wire_list_add_bytes(list, items, generate_bytes(random, field->max, content)); break;
    case WIRE_KIND_DIGEST_LIST:
        prng_fill(random, digest.bytes, sizeof digest.bytes);
        wire_list_add_digest(list, items, &digest);
        break;
    case WIRE_KIND_UINT:
    case WIRE_KIND_DIGEST:
    case WIRE_KIND_KEY:
    case WIRE_KIND_SIGNATURE:
    case WIRE_KIND_BYTES:
    case WIRE_KIND_OBJECT: CHECK(!"generate_item: not a list");
    }
    return !items->overflow;
}

static bool generate_list(const struct wire_field *field, struct prng *random, struct writer *scratch,
                          struct wire_list *out)
{
    const size_t free_bytes = scratch->cap - scratch->len;
    const size_t count = generate_count(random, field->count_min, field->count_max, free_bytes / 2);
    struct writer items = *scratch;
    items.cap = scratch->len + free_bytes / 2;
    struct wire_list list = {.items = bytes_of(scratch->data + scratch->len, 0)};
    for (size_t i = 0; i < count; i++) {
        struct writer content = writer_of(scratch->data + items.cap, scratch->cap - items.cap);
        if (!generate_item(field, random, &items, &content, &list)) break; /* full; the list ends before this item */
    }
    if (list.count < field->count_min) return false;
    scratch->len += list.items.len;
    *out = list;
    return true;
}

static bool generate_field(const struct wire_field *field, struct prng *random, struct writer *scratch, uint8_t *out)
{
    switch (field->kind) {
    case WIRE_KIND_UINT: {
        const uint64_t value = generate_uint(random, field->max);
        memcpy(out, &value, sizeof value);
        return true;
    }
    case WIRE_KIND_DIGEST:
    case WIRE_KIND_KEY:
    case WIRE_KIND_SIGNATURE:
        prng_fill(random, out, (size_t)field->max);
        if (prng_below(random, 8) == 0) memset(out, 0, (size_t)field->max);
        return true;
    case WIRE_KIND_BYTES: {
        const struct bytes value = generate_bytes(random, field->max, scratch);
        memcpy(out, &value, sizeof value);
        return true;
    }
    case WIRE_KIND_OBJECT: return wire_generate_record(field->record, random, scratch, out);
    case WIRE_KIND_LIST:
    case WIRE_KIND_BYTES_LIST:
    case WIRE_KIND_DIGEST_LIST: {
        struct wire_list list;
        if (!generate_list(field, random, scratch, &list)) return false;
        memcpy(out, &list, sizeof list);
        return true;
    }
    }
    CHECK(!"generate_field: kind outside the enumeration");
    return false;
}

/* Calls itself through generate_field for nested records: as deep as the schema is. */
bool wire_generate_record(const struct wire_record *record, struct prng *random, struct writer *scratch, void *out)
{
    memset(out, 0, record->size);
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        if (!generate_field(field, random, scratch, (uint8_t *)out + field->offset)) return false;
    }
    return true;
}

bool wire_generate_message(enum wire_type type, struct prng *random, struct writer *scratch, struct wire_message *out)
{
    const struct wire_record *record = wire_record_of_type((uint64_t)type);
    CHECK(record != NULL);
    union wire_any_record body;
    /* the value in the left half of the room, its encoding, little longer, behind it */
    struct writer content = *scratch;
    content.cap = scratch->len + (scratch->cap - scratch->len) / 2;
    if (!wire_generate_record(record, random, &content, &body)) return false;
    scratch->len = content.len;
    const size_t size = wire_record_size(record, &body);
    if (size > scratch->cap - scratch->len) return false;
    const size_t from = scratch->len;
    wire_encode_record(record, &body, scratch);
    const char *fault = wire_decode(bytes_of(scratch->data + from, size), out);
    CHECK(fault == NULL);
    return true;
}
