/* generate.h - random values that follow the schema, for tests, fuzz seeds and vectors. Never used by a replica.
 *
 * Integers and lengths are often at the edges of the encoding (0, 23, 24, 255, 256, 65535, 65536, 2^32) and of the
 * schema (its maximum). Values follow the schema only: signatures are random bytes, a batch's requests are not
 * requests. Same generator state and scratch size, same value, everywhere.
 */
#ifndef PBFT_WIRE_GENERATE_H
#define PBFT_WIRE_GENERATE_H

#include "base/prng.h"
#include "wire/codec.h"

/* Fills *out, a struct of this record. Its lists and strings are appended to scratch, which therefore must outlive it.
 * The room left in scratch decides how large they get: no string takes more than an eighth of it, a list ends early
 * when its part of the room is used up. False, and *out unspecified, when even the smallest value does not fit. */
MUST_USE bool wire_generate_record(const struct wire_record *record, struct prng *random, struct writer *scratch,
                                   void *out);
/* The same for a message of this type, with raw and signed_part as if it had been received: its encoding is in scratch
 * too. */
MUST_USE bool wire_generate_message(enum wire_type type, struct prng *random, struct writer *scratch,
                                    struct wire_message *out);

#endif
