/* schema.c - the descriptors of wire/schema.def. */
#include "wire/schema.h"

#include <stddef.h>

#define RECORD(name) static const struct wire_field fields_##name[] = {
#define MESSAGE(name, number) RECORD(name)
#define UINT(record_, field, max_) {#field, WIRE_KIND_UINT, offsetof(struct wire_##record_, field), max_, 0, 0, NULL},
#define DIGEST(record_, field) {#field, WIRE_KIND_DIGEST, offsetof(struct wire_##record_, field), 32, 0, 0, NULL},
#define KEY(record_, field) {#field, WIRE_KIND_KEY, offsetof(struct wire_##record_, field), 32, 0, 0, NULL},
#define SIGNATURE(record_, field)                                                                                      \
    {#field, WIRE_KIND_SIGNATURE, offsetof(struct wire_##record_, field), 64, 0, 0, NULL},
#define BYTES(record_, field, max_) {#field, WIRE_KIND_BYTES, offsetof(struct wire_##record_, field), max_, 0, 0, NULL},
#define OBJECT(record_, field, type)                                                                                   \
    {#field, WIRE_KIND_OBJECT, offsetof(struct wire_##record_, field), 0, 0, 0, &wire_record_##type},
#define LIST(record_, field, type, min_, max_)                                                                         \
    {#field, WIRE_KIND_LIST, offsetof(struct wire_##record_, field), 0, min_, max_, &wire_record_##type},
#define BYTES_LIST(record_, field, min_, max_, bytes_)                                                                 \
    {#field, WIRE_KIND_BYTES_LIST, offsetof(struct wire_##record_, field), bytes_, min_, max_, NULL},
#define DIGEST_LIST(record_, field, max_)                                                                              \
    {#field, WIRE_KIND_DIGEST_LIST, offsetof(struct wire_##record_, field), 32, 0, max_, NULL},
#define END_RECORD(name)                                                                                               \
    }                                                                                                                  \
    ;
#define END_MESSAGE(name) END_RECORD(name)
#include "wire/schema.def"
#include "wire/schema_end.h"

#define FIELD_COUNT(name) (uint32_t)(sizeof fields_##name / sizeof fields_##name[0])
#define RECORD(name)                                                                                                   \
    const struct wire_record wire_record_##name = {#name, sizeof(struct wire_##name), 0, FIELD_COUNT(name),            \
                                                   fields_##name};
#define MESSAGE(name, number)                                                                                          \
    const struct wire_record wire_record_##name = {#name, sizeof(struct wire_##name), number, FIELD_COUNT(name),       \
                                                   fields_##name};
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

static const struct wire_record *const all_records[] = {
#define RECORD(name) &wire_record_##name,
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
};

const struct wire_record *const *wire_records(uint32_t *count)
{
    *count = (uint32_t)(sizeof all_records / sizeof all_records[0]);
    return all_records;
}

const struct wire_record *wire_record_of_type(uint64_t number)
{
    if (number == 0 || number > WIRE_TYPE_MAX) return NULL;
    for (size_t i = 0; i < sizeof all_records / sizeof all_records[0]; i++)
        if (all_records[i]->number == number) return all_records[i];
    return NULL;
}

void *wire_body(struct wire_message *m)
{
    return &m->request; /* the members of a union share one address */
}

const void *wire_body_const(const struct wire_message *m)
{
    return &m->request;
}

const char *wire_type_name(uint64_t number)
{
    static const char *const names[WIRE_TYPE_MAX + 1] = {
        "?",        "REQUEST", "PRE-PREPARE", "PREPARE", "COMMIT", "CHECKPOINT", "VIEW-CHANGE", "NEW-VIEW",
        "REPLY",    "STATUS",  "FETCH",       "DATA",    "HELLO",  "QUERY",      "RESULT",      "BUSY",
    };
    return number <= WIRE_TYPE_MAX ? names[number] : names[0];
}
