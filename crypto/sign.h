/* sign.h - Ed25519 exactly as libsodium >= 1.0.18-1+deb12u1 verifies it: canonical S, canonical A,
 * no small-order A or R, cofactorless equation. The same strict verifier everywhere (rule 28).
 *
 * What is signed is always a 32-byte domain-separated digest (crypto/digest.h).
 */
#ifndef PBFT_CRYPTO_SIGN_H
#define PBFT_CRYPTO_SIGN_H

#include "base/err.h"
#include "crypto/digest.h"

#define PUBLIC_KEY_BYTES 32u
#define SIGNATURE_BYTES 64u

struct public_key {
    uint8_t bytes[PUBLIC_KEY_BYTES];
};

struct signature {
    uint8_t bytes[SIGNATURE_BYTES];
};

/* Seed and public key, libsodium's layout. Wipe with secret_key_wipe when done. */
struct secret_key {
    uint8_t bytes[64];
};

/* Starts libsodium and runs the self-test on published vectors (RFC 8032 section 7.1; non-canonical
 * S, S+L, small-order A and R). Call once, before anything else here, from one thread.
 * Errors: ERR_CONFIG when a vector gives another answer; the library must then not be used. */
MUST_USE struct err sign_start(void);

/* A fresh key pair from the operating system's randomness. */
void sign_key_new(struct secret_key *secret, struct public_key *public);
/* The key pair of a 32-byte seed (RFC 8032's private key). */
void sign_key_from_seed(const uint8_t seed[32], struct secret_key *secret, struct public_key *public);
struct public_key secret_key_public(const struct secret_key *secret);
void secret_key_wipe(struct secret_key *secret);

void sign_digest(const struct secret_key *secret, const struct digest *digest, struct signature *out);
/* True when signature is key's over digest. Constant memory; reads nothing else. */
bool sign_verify(const struct public_key *key, const struct digest *digest, const struct signature *signature);
/* The same over bytes of any length; used by the self-test and the published vectors. */
bool sign_verify_bytes(const struct public_key *key, struct bytes message, const struct signature *signature);
/* True when key is a canonical encoding of a point of the prime-order subgroup, not the neutral element: what is
 * demanded of every key at registration. */
bool public_key_valid(const struct public_key *key);
bool public_key_equal(const struct public_key *a, const struct public_key *b);

#endif
