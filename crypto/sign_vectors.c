/* sign_vectors.c - known answers for Ed25519 with libsodium's rules, and how they are checked.
 *
 * Every refused signature satisfies the verification equation in some other implementation, so a
 * verifier that lacks the one rule a vector is named for accepts it. S = scalar, L = group order,
 * A = public key, R = first half of the signature, k = H(R | A | M), B = base point.
 */
#include "crypto/sign_vectors.h"

#include <sodium.h>
#include <string.h>

const struct sign_vector sign_vectors[SIGN_VECTOR_COUNT] = {
    {.name = "RFC 8032 section 7.1 TEST 1",
     .seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     .key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
     .message = "",
     .signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                  "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
     .good = true},
    {.name = "RFC 8032 section 7.1 TEST 2",
     .seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     .key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
     .message = "72",
     .signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                  "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
     .good = true},
    {.name = "RFC 8032 section 7.1 TEST 3",
     .seed = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     .key = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
     .message = "af82",
     .signature = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                  "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
     .good = true},
    {.name = "RFC 8032 section 7.1 TEST SHA(abc)",
     .seed = "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     .key = "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     .message = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     .signature = "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
                  "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
     .good = true},
    /* From "Taming the many EdDSAs" (ed25519-speccheck): what tells the cofactorless equation from the cofactored
     * one. This key has a component of small order: public_key_valid refuses it, verification need not. */
    {.name = "mixed-order A and R, both equations hold",
     .seed = NULL,
     .key = "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
     .message = "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
     .signature = "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f"
                  "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
     .good = true},
    {.name = "mixed-order A, only the cofactored equation holds",
     .seed = NULL,
     .key = "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
     .message = "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
     .signature = "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512"
                  "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
     .good = false},
    {.name = "S far above L",
     .seed = NULL,
     .key = "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
     .message = "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
     .signature = "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942"
                  "7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
     .good = false},
    {.name = "small-order A and R, S = 0",
     .seed = NULL,
     .key = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
     .message = "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
     .signature = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
                  "0000000000000000000000000000000000000000000000000000000000000000",
     .good = false},
    /* RFC 8032 TEST 2 with S replaced by S + L: the equation holds, the encoding is not the only one. */
    {.name = "S + L",
     .seed = NULL,
     .key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
     .message = "72",
     .signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                  "f52db7415978abc61b2c2eb6aeebfca0387b2eaeb4302aeeb00d291612bb0c10",
     .good = false},
    /* R = S * B and k = H(R | A | M) a multiple of 8, so that k * A is neutral and the equation holds for anyone. */
    {.name = "A neutral",
     .seed = NULL,
     .key = "0100000000000000000000000000000000000000000000000000000000000000",
     .message = "08",
     .signature = "398136f781c9f1e25b899480d542927605dfbcdd2f4692208492214ffcef52d3"
                  "f0c4f9154ae82214f8d29dce5ddb555198e935a277257251eef6323cee2d7805",
     .good = false},
    {.name = "A of order 2",
     .seed = NULL,
     .key = "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
     .message = "07",
     .signature = "398136f781c9f1e25b899480d542927605dfbcdd2f4692208492214ffcef52d3"
                  "f0c4f9154ae82214f8d29dce5ddb555198e935a277257251eef6323cee2d7805",
     .good = false},
    {.name = "A of order 4",
     .seed = NULL,
     .key = "0000000000000000000000000000000000000000000000000000000000000000",
     .message = "0b",
     .signature = "398136f781c9f1e25b899480d542927605dfbcdd2f4692208492214ffcef52d3"
                  "f0c4f9154ae82214f8d29dce5ddb555198e935a277257251eef6323cee2d7805",
     .good = false},
    {.name = "A of order 4, sign bit set",
     .seed = NULL,
     .key = "0000000000000000000000000000000000000000000000000000000000000080",
     .message = "02",
     .signature = "398136f781c9f1e25b899480d542927605dfbcdd2f4692208492214ffcef52d3"
                  "f0c4f9154ae82214f8d29dce5ddb555198e935a277257251eef6323cee2d7805",
     .good = false},
    {.name = "A of order 8",
     .seed = NULL,
     .key = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
     .message = "0d",
     .signature = "398136f781c9f1e25b899480d542927605dfbcdd2f4692208492214ffcef52d3"
                  "f0c4f9154ae82214f8d29dce5ddb555198e935a277257251eef6323cee2d7805",
     .good = false},
    {.name = "A of order 8, the other pair",
     .seed = NULL,
     .key = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
     .message = "05",
     .signature = "398136f781c9f1e25b899480d542927605dfbcdd2f4692208492214ffcef52d3"
                  "f0c4f9154ae82214f8d29dce5ddb555198e935a277257251eef6323cee2d7805",
     .good = false},
    {.name = "A non-canonical: y = p + 1, neutral",
     .seed = NULL,
     .key = "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
     .message = "05",
     .signature = "398136f781c9f1e25b899480d542927605dfbcdd2f4692208492214ffcef52d3"
                  "f0c4f9154ae82214f8d29dce5ddb555198e935a277257251eef6323cee2d7805",
     .good = false},
    {.name = "A non-canonical: y = p, order 4",
     .seed = NULL,
     .key = "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
     .message = "0b",
     .signature = "398136f781c9f1e25b899480d542927605dfbcdd2f4692208492214ffcef52d3"
                  "f0c4f9154ae82214f8d29dce5ddb555198e935a277257251eef6323cee2d7805",
     .good = false},
    {.name = "A non-canonical: neutral with the sign bit",
     .seed = NULL,
     .key = "0100000000000000000000000000000000000000000000000000000000000080",
     .message = "0d",
     .signature = "398136f781c9f1e25b899480d542927605dfbcdd2f4692208492214ffcef52d3"
                  "f0c4f9154ae82214f8d29dce5ddb555198e935a277257251eef6323cee2d7805",
     .good = false},
    /* The key of TEST 2; S = k * a, so that S * B = R + k * A with R neutral. */
    {.name = "R neutral",
     .seed = NULL,
     .key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
     .message = "72",
     .signature = "0100000000000000000000000000000000000000000000000000000000000000"
                  "675d054595fa17cb6a44e3ada6ca385e55667e41a63fdab0ac22d10000354002",
     .good = false},
    {.name = "R non-canonical: y = p + 1, neutral",
     .seed = NULL,
     .key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
     .message = "72",
     .signature = "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
                  "0a0403c78756704394a791302d07acbdf846e02e6371010b73f9c021313bde01",
     .good = false},
};

const struct sign_key_vector sign_key_vectors[SIGN_KEY_VECTOR_COUNT] = {
    {.name = "the base point",
     .key = "5866666666666666666666666666666666666666666666666666666666666666",
     .valid = true},
    {.name = "RFC 8032 TEST 1",
     .key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
     .valid = true},
    {.name = "neutral", .key = "0100000000000000000000000000000000000000000000000000000000000000", .valid = false},
    {.name = "order 2", .key = "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", .valid = false},
    {.name = "order 4", .key = "0000000000000000000000000000000000000000000000000000000000000000", .valid = false},
    {.name = "order 8", .key = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", .valid = false},
    {.name = "non-canonical: y = p + 1",
     .key = "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
     .valid = false},
    {.name = "non-canonical: y = p + 3",
     .key = "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
     .valid = false},
    {.name = "not on the curve: y = 2",
     .key = "0200000000000000000000000000000000000000000000000000000000000000",
     .valid = false},
    /* Mixed order. The first passed in libsodium before 1.0.18-1+deb12u1 (CVE-2025-69277). */
    {.name = "base point plus a point of order 2",
     .key = "9599999999999999999999999999999999999999999999999999999999999999",
     .valid = false},
    {.name = "base point plus a point of order 4",
     .key = "9bad33f580df7ecc49df5342bac8145d5bedc40f573d1b067f3c4ce449689a15",
     .valid = false},
    {.name = "base point plus a point of order 8",
     .key = "98519eadf35b995233b51b5cd23e9cc5a28b639b5a4af0ec903cb960d81b7819",
     .valid = false},
};

/* The part of a vector that came out wrong. */
static struct err vector_failed(const char *name, const char *what)
{
    return err_make(ERR_CONFIG,
                    "libsodium %s fails the Ed25519 self-test \"%s\": %s; install libsodium 1.0.18-1+deb12u1 or later",
                    sodium_version_string(), name, what);
}

/* Signing is deterministic (RFC 8032 section 5.1.6), so the whole signature is compared. */
static struct err vector_check_signing(const struct sign_vector *v, const struct public_key *key, struct bytes message,
                                       const struct signature *signature)
{
    uint8_t seed[crypto_sign_ed25519_SEEDBYTES];
    struct secret_key secret;
    struct public_key public;
    struct signature made;
    if (!hex_decode(v->seed, seed, sizeof seed)) return vector_failed(v->name, "the seed is not hexadecimal");
    sign_key_from_seed(seed, &secret, &public);
    (void)crypto_sign_ed25519_detached(made.bytes, NULL, message.data, message.len, secret.bytes);
    /* Published, not secret; wiped so that no path here is an exception to the rule. */
    sodium_memzero(seed, sizeof seed);
    secret_key_wipe(&secret);
    if (!public_key_equal(&public, key)) return vector_failed(v->name, "the seed gives another public key");
    if (memcmp(made.bytes, signature->bytes, SIGNATURE_BYTES) != 0)
        return vector_failed(v->name, "signing gives another signature");
    return err_none();
}

struct err sign_vector_check(const struct sign_vector *v)
{
    struct public_key key;
    struct signature signature;
    uint8_t message[SIGN_VECTOR_MESSAGE_BYTES_MAX];
    const size_t message_bytes = strlen(v->message) / 2;
    if (!hex_decode(v->key, key.bytes, sizeof key.bytes)) return vector_failed(v->name, "the key is not hexadecimal");
    if (!hex_decode(v->signature, signature.bytes, sizeof signature.bytes))
        return vector_failed(v->name, "the signature is not hexadecimal");
    if (message_bytes > sizeof message || !hex_decode(v->message, message, message_bytes))
        return vector_failed(v->name, "the message is too long or not hexadecimal");
    const struct bytes text = bytes_of(message, message_bytes);
    if (v->seed != NULL) ERR_TRY(vector_check_signing(v, &key, text, &signature));
    if (sign_verify_bytes(&key, text, &signature) != v->good)
        return vector_failed(v->name, v->good ? "a good signature is refused" : "a bad signature is accepted");
    return err_none();
}

struct err sign_key_vector_check(const struct sign_key_vector *v)
{
    struct public_key key;
    if (!hex_decode(v->key, key.bytes, sizeof key.bytes)) return vector_failed(v->name, "the key is not hexadecimal");
    if (public_key_valid(&key) != v->valid)
        return vector_failed(v->name, v->valid ? "a good public key is refused" : "a bad public key is accepted");
    return err_none();
}

struct err sign_vectors_check(const struct sign_vector *vectors, uint32_t count,
                              const struct sign_key_vector *key_vectors, uint32_t key_count)
{
    for (uint32_t i = 0; i < count; i++)
        ERR_TRY(sign_vector_check(&vectors[i]));
    for (uint32_t i = 0; i < key_count; i++)
        ERR_TRY(sign_key_vector_check(&key_vectors[i]));
    return err_none();
}
