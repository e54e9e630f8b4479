/* print.h - the one text form of records and messages, for people, logs and test vectors.
 *
 * It is JSON without white space: {"field":value,...} in the order of the schema. Integers are decimal (up to 2^64-1:
 * read them as unsigned 64-bit numbers), byte strings of every kind lower-case hexadecimal strings, lists arrays,
 * nested records objects. A message has "type":"PRE-PREPARE" in front. Equal values print equally, and different ones
 * differently. Encodings inside byte strings (a batch's requests) are printed as bytes, not opened.
 */
#ifndef PBFT_WIRE_PRINT_H
#define PBFT_WIRE_PRINT_H

#include "wire/codec.h"

/* Appends the text of *in, a decoded struct of this record, to *out. About twice as long as the encoding, plus the
 * names. No NUL is appended. The descriptor of a message prints as wire_print_message does. */
void wire_print_record(const struct wire_record *record, const void *in, struct buffer *out);
/* The same of a decoded message. m->type must be one. */
void wire_print_message(const struct wire_message *m, struct buffer *out);

/* What `pbft status` and the pages of a replica call a condition; "unknown" for a number that is none. */
const char *wire_condition_name(uint64_t condition);

#endif
