/* cddl.h - descriptions of the schema for others: RFC 8610 text for people and tools of other languages, and a
 * dictionary for libFuzzer. docs/wire.cddl is the former; a test holds it to what this prints. */
#ifndef PBFT_WIRE_CDDL_H
#define PBFT_WIRE_CDDL_H

#include "base/bytes.h"

/* Appends the CDDL (RFC 8610) of every message and record, with sizes and maxima, in the order of the schema. What CDDL
 * cannot say (deterministic encoding, what is signed) stands in its comments. No NUL is appended. */
void wire_print_cddl(struct buffer *out);
/* Appends a libFuzzer dictionary (-dict=): the first bytes of every message and record, heads of every fixed size and
 * count in the schema, and integers at the edges of the encoding. */
void wire_print_dictionary(struct buffer *out);

#endif
