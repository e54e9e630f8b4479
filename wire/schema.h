/* schema.h - the structs and descriptors of every record and message, made from wire/schema.def.
 *
 * A decoded struct borrows from the bytes it was decoded from: struct bytes fields point into them,
 * lists are the still-encoded items, walked with wire_list_next (wire/codec.h).
 */
#ifndef PBFT_WIRE_SCHEMA_H
#define PBFT_WIRE_SCHEMA_H

#include "base/bytes.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "crypto/sign.h"

/* count items, encoded one after the other. Their encoding is checked when the list is decoded. */
struct wire_list {
    struct bytes items;
    uint32_t count;
};

#define RECORD(name)                                                                                                   \
    struct wire_##name                                                                                                 \
    {
#define MESSAGE(name, number) RECORD(name)
#define UINT(record, field, max) uint64_t field;
#define DIGEST(record, field) struct digest field;
#define KEY(record, field) struct public_key field;
#define SIGNATURE(record, field) struct signature field;
#define BYTES(record, field, max) struct bytes field;
#define OBJECT(record, field, type) struct wire_##type field;
#define LIST(record, field, type, min, max) struct wire_list field;
#define BYTES_LIST(record, field, min, max, bytes) struct wire_list field;
#define DIGEST_LIST(record, field, max) struct wire_list field;
#define END_RECORD(name)                                                                                               \
    }                                                                                                                  \
    ;
#define END_MESSAGE(name) END_RECORD(name)
#include "wire/schema.def"
#include "wire/schema_end.h"

enum wire_type {
#define RECORD(name)
#define MESSAGE(name, number) WIRE_TYPE_##name = (number),
#define UINT(record, field, max)
#define DIGEST(record, field)
#define KEY(record, field)
#define SIGNATURE(record, field)
#define BYTES(record, field, max)
#define OBJECT(record, field, type)
#define LIST(record, field, type, min, max)
#define BYTES_LIST(record, field, min, max, bytes)
#define DIGEST_LIST(record, field, max)
#define END_RECORD(name)
#define END_MESSAGE(name)
#include "wire/schema.def"
#include "wire/schema_end.h"
};

#define WIRE_TYPE_MAX 15u

/* Any message, decoded. */
struct wire_message {
    enum wire_type type;
    struct bytes raw;         /* all its bytes */
    struct bytes signed_part; /* the prefix that the signature covers; empty for an unsigned type */
    union {
#define RECORD(name)
#define MESSAGE(name, number) struct wire_##name name;
#define UINT(record, field, max)
#define DIGEST(record, field)
#define KEY(record, field)
#define SIGNATURE(record, field)
#define BYTES(record, field, max)
#define OBJECT(record, field, type)
#define LIST(record, field, type, min, max)
#define BYTES_LIST(record, field, min, max, bytes)
#define DIGEST_LIST(record, field, max)
#define END_RECORD(name)
#define END_MESSAGE(name)
#include "wire/schema.def"
#include "wire/schema_end.h"
    };
};

enum wire_kind {
    WIRE_KIND_UINT,
    WIRE_KIND_DIGEST,
    WIRE_KIND_KEY,
    WIRE_KIND_SIGNATURE,
    WIRE_KIND_BYTES,
    WIRE_KIND_OBJECT,
    WIRE_KIND_LIST,
    WIRE_KIND_BYTES_LIST,
    WIRE_KIND_DIGEST_LIST,
};

struct wire_record;

struct wire_field {
    const char *name;
    enum wire_kind kind;
    size_t offset;
    uint64_t max; /* largest integer, or most bytes */
    uint32_t count_min;
    uint32_t count_max;               /* of a list */
    const struct wire_record *record; /* of OBJECT and LIST */
};

struct wire_record {
    const char *name;
    size_t size; /* of the struct */
    uint32_t number; /* message type, 0 for a record */
    uint32_t field_count;
    const struct wire_field *fields;
};

#define RECORD(name) extern const struct wire_record wire_record_##name;
#define MESSAGE(name, number) RECORD(name)
#define UINT(record, field, max)
#define DIGEST(record, field)
#define KEY(record, field)
#define SIGNATURE(record, field)
#define BYTES(record, field, max)
#define OBJECT(record, field, type)
#define LIST(record, field, type, min, max)
#define BYTES_LIST(record, field, min, max, bytes)
#define DIGEST_LIST(record, field, max)
#define END_RECORD(name)
#define END_MESSAGE(name)
#include "wire/schema.def"
#include "wire/schema_end.h"

/* Every record and message, in the order of the table; count in *count. */
const struct wire_record *const *wire_records(uint32_t *count);
/* The descriptor of a message type, or NULL when number is none. */
const struct wire_record *wire_record_of_type(uint64_t number);
/* Where in a wire_message the struct of its type begins. */
void *wire_body(struct wire_message *m);
const void *wire_body_const(const struct wire_message *m);
/* "PRE-PREPARE" and the like, the paper's words; "?" for a number that is no type. */
const char *wire_type_name(uint64_t number);

#endif
