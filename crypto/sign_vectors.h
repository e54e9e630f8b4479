/* sign_vectors.h - the known answers of the start-up self-test, and the checks that compare the library with them.
 *
 * For crypto/sign.c and its tests only. The checks take the vector as an argument so that a test can hand them a wrong
 * expectation and see it reported.
 */
#ifndef PBFT_CRYPTO_SIGN_VECTORS_H
#define PBFT_CRYPTO_SIGN_VECTORS_H

#include "crypto/sign.h"

#define SIGN_VECTOR_COUNT 20u
#define SIGN_KEY_VECTOR_COUNT 12u
#define SIGN_VECTOR_MESSAGE_BYTES_MAX 64u

/* A signature and the verifier's answer. All values in lower-case hexadecimal. */
struct sign_vector {
    const char *name;
    const char
        *seed; /* NULL, or the secret key: it must then give `key`, and signing `message` must give `signature` */
    const char *key;
    const char *message; /* at most SIGN_VECTOR_MESSAGE_BYTES_MAX bytes */
    const char *signature;
    bool good;
};

/* A public key and public_key_valid's answer. */
struct sign_key_vector {
    const char *name;
    const char *key;
    bool valid;
};

extern const struct sign_vector sign_vectors[SIGN_VECTOR_COUNT];
extern const struct sign_key_vector sign_key_vectors[SIGN_KEY_VECTOR_COUNT];

/* Errors: ERR_CONFIG, naming the vector, when libsodium gives another answer than the vector or the vector is not
 * well-formed hexadecimal. */
MUST_USE struct err sign_vector_check(const struct sign_vector *v);
MUST_USE struct err sign_key_vector_check(const struct sign_key_vector *v);
/* Checks every vector of the two tables; returns the first failure. */
MUST_USE struct err sign_vectors_check(const struct sign_vector *vectors, uint32_t count,
                                       const struct sign_key_vector *key_vectors, uint32_t key_count);

#endif
