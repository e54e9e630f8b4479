/* codec.h - deterministic CBOR (RFC 8949 section 4.2.1) for everything in wire/schema.def.
 *
 * Only three CBOR kinds occur: unsigned integers, byte strings, arrays, each with the shortest head
 * and a definite length. A decoder refuses everything else, so that every value has one encoding
 * and encode(decode(x)) == x. A fault is a static sentence, NULL when there is none.
 * Depth is bounded by the schema, never by the input.
 */
#ifndef PBFT_WIRE_CODEC_H
#define PBFT_WIRE_CODEC_H

#include "wire/schema.h"

/* Decodes `in` as exactly one record, nothing after it. *out borrows from `in`; on a fault it is unspecified. */
MUST_USE const char *wire_decode_record(const struct wire_record *record, struct bytes in, void *out);
/* Decodes a message of any type, setting type, raw and signed_part too. */
MUST_USE const char *wire_decode(struct bytes in, struct wire_message *out);

/* Bytes that wire_encode_record writes for *in. */
size_t wire_record_size(const struct wire_record *record, const void *in);
/* Appends the encoding. A full writer keeps its overflow mark. CHECKs the bounds of the schema: what we encode is ours. */
void wire_encode_record(const struct wire_record *record, const void *in, struct writer *w);
/* Appends only what the signature of a signed message covers. */
void wire_encode_signed_part(const struct wire_record *record, const void *in, struct writer *w);
/* The encoding as a new blob, one reference, the caller's. */
struct blob *wire_encode_blob(const struct wire_record *record, const void *in);
/* True when the type has a signature field. */
bool wire_is_signed(const struct wire_record *record);

/* Walks a decoded list. */
struct wire_iterator {
    struct reader reader;
    uint32_t left;
};
struct wire_iterator wire_list_start(struct wire_list list);
/* The next record, string or digest; false at the end. Each list is walked with the call of its kind. */
MUST_USE bool wire_list_next(struct wire_iterator *i, const struct wire_record *record, void *out);
MUST_USE bool wire_list_next_bytes(struct wire_iterator *i, struct bytes *out);
MUST_USE bool wire_list_next_digest(struct wire_iterator *i, struct digest *out);
/* As wire_list_next; also gives the item's own encoding. */
MUST_USE bool wire_list_next_raw(struct wire_iterator *i, const struct wire_record *record, void *out,
                                 struct bytes *raw);

/* Builds a list: each call appends one item to w and extends *list, which must be empty before the first call and
 * covers what w got since. Other bytes must not be written to w in between. */
void wire_list_add(struct wire_list *list, struct writer *w, const struct wire_record *record, const void *item);
void wire_list_add_bytes(struct wire_list *list, struct writer *w, struct bytes item);
void wire_list_add_digest(struct wire_list *list, struct writer *w, const struct digest *item);

/* Field by field; lists and strings by their bytes. 0 when equal. */
int wire_compare_record(const struct wire_record *record, const void *a, const void *b);

#endif
