/* test_sign.c - Ed25519 with libsodium's rules, and that the start-up self-test can fail. */
#include "crypto/sign.h"

#include "crypto/sign_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* RFC 8032 section 7.1 TEST 2. */
#define SEED_TEXT "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
#define KEY_TEXT "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

static void key_pair(struct secret_key *secret, struct public_key *public)
{
    uint8_t seed[32];
    assert_true(hex_decode(SEED_TEXT, seed, sizeof seed));
    sign_key_from_seed(seed, secret, public);
}

static struct digest counting_digest(void)
{
    struct digest d;
    for (uint8_t i = 0; i < DIGEST_BYTES; i++)
        d.bytes[i] = i;
    return d;
}

static int group_setup(void **state)
{
    (void)state;
    const struct err e = sign_start();
    return err_is(&e) ? -1 : 0;
}

static void assert_vector_fails(const struct sign_vector *v)
{
    const struct err e = sign_vector_check(v);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, v->name));
}

static void test_sign_vector_with_opposite_answer_is_reported(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SIGN_VECTOR_COUNT; i++) {
        struct sign_vector wrong = sign_vectors[i];
        wrong.good = !wrong.good;
        assert_vector_fails(&wrong);
    }
}

static void test_sign_key_vector_with_opposite_answer_is_reported(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SIGN_KEY_VECTOR_COUNT; i++) {
        struct sign_key_vector wrong = sign_key_vectors[i];
        wrong.valid = !wrong.valid;
        const struct err e = sign_key_vector_check(&wrong);
        assert_int_equal(e.code, ERR_CONFIG);
        assert_non_null(strstr(e.text, wrong.name));
    }
}

static void test_sign_vector_with_seed_of_other_key_is_reported(void **state)
{
    (void)state;
    struct sign_vector wrong = sign_vectors[0];
    wrong.seed = sign_vectors[1].seed;
    assert_vector_fails(&wrong);
}

/* Signing and verification answer as expected here; only the comparison of the public key catches it. */
static void test_sign_vector_with_other_expected_public_key_is_reported(void **state)
{
    (void)state;
    struct sign_vector wrong = sign_vectors[0];
    wrong.key = sign_vectors[1].key;
    wrong.good = false;
    assert_vector_fails(&wrong);
}

/* A verifier that accepts everything would let this pass; only the comparison of what was signed catches it. */
static void test_sign_vector_with_other_expected_signature_is_reported(void **state)
{
    (void)state;
    struct sign_vector wrong = sign_vectors[0];
    wrong.signature = sign_vectors[1].signature;
    wrong.good = false;
    assert_vector_fails(&wrong);
}

static void test_sign_vector_not_hexadecimal_is_reported(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "zz", "3d4017c3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sign_vector wrong = sign_vectors[8]; /* a refused one: an undecoded key must not count as refusal */
        wrong.key = bad[i];
        assert_vector_fails(&wrong);
        wrong = sign_vectors[8];
        wrong.signature = bad[i];
        assert_vector_fails(&wrong);
        wrong = sign_vectors[0];
        wrong.seed = bad[i];
        const struct err seed_error = sign_vector_check(&wrong);
        assert_non_null(strstr(seed_error.text, "the seed is not hexadecimal"));
        struct sign_key_vector wrong_key = sign_key_vectors[2];
        wrong_key.key = bad[i];
        const struct err e = sign_key_vector_check(&wrong_key);
        assert_int_equal(e.code, ERR_CONFIG);
    }
    struct sign_vector wrong = sign_vectors[8];
    wrong.message = "7";
    assert_vector_fails(&wrong);
}

static void test_sign_vector_with_message_over_maximum_is_reported(void **state)
{
    (void)state;
    char message[2 * (SIGN_VECTOR_MESSAGE_BYTES_MAX + 1) + 1];
    memset(message, '0', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    struct sign_vector wrong = sign_vectors[8];
    wrong.message = message;
    assert_vector_fails(&wrong);
}

static void test_sign_vectors_with_last_one_wrong_is_reported(void **state)
{
    (void)state;
    struct sign_vector two[2] = {sign_vectors[0], sign_vectors[1]};
    struct sign_key_vector keys[2] = {sign_key_vectors[0], sign_key_vectors[2]};
    struct err e = sign_vectors_check(two, 2, keys, 2);
    assert_int_equal(e.code, ERR_NONE);
    two[1].good = false;
    e = sign_vectors_check(two, 2, keys, 2);
    assert_int_equal(e.code, ERR_CONFIG);
    two[1].good = true;
    keys[1].valid = true;
    e = sign_vectors_check(two, 2, keys, 2);
    assert_int_equal(e.code, ERR_CONFIG);
}

static void test_sign_start_repeated_succeeds(void **state)
{
    (void)state;
    const struct err e = sign_start();
    assert_int_equal(e.code, ERR_NONE);
}

static void test_sign_verify_with_any_bit_changed_is_false(void **state)
{
    (void)state;
    struct secret_key secret;
    struct public_key key;
    struct signature signature;
    const struct digest digest = counting_digest();
    key_pair(&secret, &key);
    sign_digest(&secret, &digest, &signature);
    assert_true(sign_verify(&key, &digest, &signature));
    for (uint32_t bit = 0; bit < 8 * SIGNATURE_BYTES; bit++) {
        struct signature changed = signature;
        changed.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(sign_verify(&key, &digest, &changed));
    }
    for (uint32_t bit = 0; bit < 8 * DIGEST_BYTES; bit++) {
        struct digest changed = digest;
        changed.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(sign_verify(&key, &changed, &signature));
    }
    for (uint32_t bit = 0; bit < 8 * PUBLIC_KEY_BYTES; bit++) {
        struct public_key changed = key;
        changed.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(sign_verify(&changed, &digest, &signature));
    }
}

static void test_sign_verify_bytes_with_other_length_is_false(void **state)
{
    (void)state;
    struct secret_key secret;
    struct public_key key;
    struct signature signature;
    uint8_t longer[DIGEST_BYTES + 1] = {0};
    const struct digest digest = counting_digest();
    key_pair(&secret, &key);
    sign_digest(&secret, &digest, &signature);
    memcpy(longer, digest.bytes, DIGEST_BYTES);
    assert_false(sign_verify_bytes(&key, bytes_of(longer, DIGEST_BYTES + 1), &signature));
    assert_false(sign_verify_bytes(&key, bytes_of(longer, DIGEST_BYTES - 1), &signature));
    assert_true(sign_verify_bytes(&key, bytes_of(longer, DIGEST_BYTES), &signature));
}

/* From an independent implementation (Python integers, RFC 8032 section 5.1.6). */
static void test_sign_digest_of_counting_bytes_is_known_answer(void **state)
{
    (void)state;
    static const char expected[] = "ed19931f49cf7559f1474199dfbcce36cef99ed8c2faf414550fa01c8699bc99"
                                   "ca097b6e4764712829214b328f593b8f1db93ef2965b838d9770663b36882105";
    struct secret_key secret;
    struct public_key key;
    struct signature signature;
    char text[2 * SIGNATURE_BYTES + 1];
    const struct digest digest = counting_digest();
    key_pair(&secret, &key);
    sign_digest(&secret, &digest, &signature);
    hex_encode(text, signature.bytes, SIGNATURE_BYTES);
    assert_string_equal(text, expected);
}

static void test_sign_key_from_seed_gives_published_public_key(void **state)
{
    (void)state;
    struct secret_key secret;
    struct public_key key;
    char text[2 * PUBLIC_KEY_BYTES + 1];
    key_pair(&secret, &key);
    hex_encode(text, key.bytes, PUBLIC_KEY_BYTES);
    assert_string_equal(text, KEY_TEXT);
    const struct public_key again = secret_key_public(&secret);
    assert_true(public_key_equal(&again, &key));
}

static void test_sign_key_new_is_valid_and_different_each_time(void **state)
{
    (void)state;
    struct secret_key secrets[2];
    struct public_key keys[2];
    struct signature signature;
    const struct digest digest = counting_digest();
    for (uint32_t i = 0; i < 2; i++) {
        sign_key_new(&secrets[i], &keys[i]);
        assert_true(public_key_valid(&keys[i]));
    }
    assert_false(public_key_equal(&keys[0], &keys[1]));
    sign_digest(&secrets[0], &digest, &signature);
    assert_true(sign_verify(&keys[0], &digest, &signature));
    assert_false(sign_verify(&keys[1], &digest, &signature));
}

static void test_secret_key_wipe_leaves_zeros(void **state)
{
    (void)state;
    static const struct secret_key zero;
    struct secret_key secret;
    struct public_key key;
    key_pair(&secret, &key);
    secret_key_wipe(&secret);
    assert_memory_equal(secret.bytes, zero.bytes, sizeof zero.bytes);
}

static void test_public_key_equal_with_any_bit_changed_is_false(void **state)
{
    (void)state;
    struct secret_key secret;
    struct public_key key;
    key_pair(&secret, &key);
    for (uint32_t bit = 0; bit < 8 * PUBLIC_KEY_BYTES; bit++) {
        struct public_key changed = key;
        changed.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(public_key_equal(&key, &changed));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign_vector_with_opposite_answer_is_reported),
        cmocka_unit_test(test_sign_key_vector_with_opposite_answer_is_reported),
        cmocka_unit_test(test_sign_vector_with_seed_of_other_key_is_reported),
        cmocka_unit_test(test_sign_vector_with_other_expected_public_key_is_reported),
        cmocka_unit_test(test_sign_vector_with_other_expected_signature_is_reported),
        cmocka_unit_test(test_sign_vector_not_hexadecimal_is_reported),
        cmocka_unit_test(test_sign_vector_with_message_over_maximum_is_reported),
        cmocka_unit_test(test_sign_vectors_with_last_one_wrong_is_reported),
        cmocka_unit_test(test_sign_start_repeated_succeeds),
        cmocka_unit_test(test_sign_verify_with_any_bit_changed_is_false),
        cmocka_unit_test(test_sign_verify_bytes_with_other_length_is_false),
        cmocka_unit_test(test_sign_digest_of_counting_bytes_is_known_answer),
        cmocka_unit_test(test_sign_key_from_seed_gives_published_public_key),
        cmocka_unit_test(test_sign_key_new_is_valid_and_different_each_time),
        cmocka_unit_test(test_secret_key_wipe_leaves_zeros),
        cmocka_unit_test(test_public_key_equal_with_any_bit_changed_is_false),
    };
    return cmocka_run_group_tests_name("sign", tests, group_setup, NULL);
}
