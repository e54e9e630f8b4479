/* any_record.h - room for the struct of any record or message of wire/schema.def: what code that is driven by a
 * descriptor keeps one item of a list in. Holds nothing else. */
#ifndef PBFT_WIRE_ANY_RECORD_H
#define PBFT_WIRE_ANY_RECORD_H

#include "wire/schema.h"

union wire_any_record {
#define RECORD(name) struct wire_##name name;
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

#endif
