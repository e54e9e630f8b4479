/* sign.c - Ed25519 through libsodium, and the start-up self-test that the library in use keeps rule 28.
 *
 * Nothing here decides what a valid signature is: libsodium does, and sign_start proves on known
 * answers (crypto/sign_vectors.c) that this build of it decides as every other replica's does.
 */
#include "crypto/sign.h"

#include "crypto/sign_vectors.h"

#include <sodium.h>
#include <string.h>

_Static_assert(PUBLIC_KEY_BYTES == crypto_sign_ed25519_PUBLICKEYBYTES, "libsodium's public key");
_Static_assert(SIGNATURE_BYTES == crypto_sign_ed25519_BYTES, "libsodium's signature");
_Static_assert(sizeof(struct secret_key) == crypto_sign_ed25519_SECRETKEYBYTES, "libsodium's secret key");

struct err sign_start(void)
{
    if (sodium_init() < 0) return err_make(ERR_CONFIG, "libsodium does not start: no usable source of randomness");
    return sign_vectors_check(sign_vectors, SIGN_VECTOR_COUNT, sign_key_vectors, SIGN_KEY_VECTOR_COUNT);
}

void sign_key_new(struct secret_key *secret, struct public_key *public)
{
    (void)crypto_sign_ed25519_keypair(public->bytes, secret->bytes);
}

void sign_key_from_seed(const uint8_t seed[32], struct secret_key *secret, struct public_key *public)
{
    (void)crypto_sign_ed25519_seed_keypair(public->bytes, secret->bytes, seed);
}

struct public_key secret_key_public(const struct secret_key *secret)
{
    struct public_key key;
    (void)crypto_sign_ed25519_sk_to_pk(key.bytes, secret->bytes);
    return key;
}

void secret_key_wipe(struct secret_key *secret)
{
    sodium_memzero(secret, sizeof *secret);
}

void sign_digest(const struct secret_key *secret, const struct digest *digest, struct signature *out)
{
    (void)crypto_sign_ed25519_detached(out->bytes, NULL, digest->bytes, DIGEST_BYTES, secret->bytes);
}

bool sign_verify(const struct public_key *key, const struct digest *digest, const struct signature *signature)
{
    return sign_verify_bytes(key, bytes_of(digest->bytes, DIGEST_BYTES), signature);
}

bool sign_verify_bytes(const struct public_key *key, struct bytes message, const struct signature *signature)
{
    /* Rule 28: one verifier, with libsodium's rules, everywhere. */
    return crypto_sign_ed25519_verify_detached(signature->bytes, message.data, message.len, key->bytes) == 0;
}

bool public_key_valid(const struct public_key *key)
{
    /* Canonical, on the curve, of prime order; the neutral element is refused with the small orders (the self-test
     * holds libsodium to each of these). */
    return crypto_core_ed25519_is_valid_point(key->bytes) == 1;
}

bool public_key_equal(const struct public_key *a, const struct public_key *b)
{
    return memcmp(a->bytes, b->bytes, PUBLIC_KEY_BYTES) == 0;
}
