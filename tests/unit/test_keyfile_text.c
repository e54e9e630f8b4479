/* test_keyfile_text.c - the PEM and DER texts of keys held in memory: what is accepted and what is not. */
#include "crypto/keyfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* RFC 8410 section 10.3 and 10.1: a secret key and another key's public half. */
#define RFC_SECRET_SEED "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842"
#define RFC_SECRET_BODY "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC"
#define RFC_PUBLIC_KEY "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
#define RFC_PUBLIC_BODY "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="

#define SECRET_BEGIN "-----BEGIN PRIVATE KEY-----\n"
#define SECRET_END "-----END PRIVATE KEY-----\n"
#define PUBLIC_BEGIN "-----BEGIN PUBLIC KEY-----\n"
#define PUBLIC_END "-----END PUBLIC KEY-----\n"
#define RFC_SECRET SECRET_BEGIN RFC_SECRET_BODY "\n" SECRET_END
#define RFC_PUBLIC PUBLIC_BEGIN RFC_PUBLIC_BODY "\n" PUBLIC_END

#define COUNT_OF(array_) (sizeof(array_) / sizeof((array_)[0]))

static int group_setup(void **state)
{
    (void)state;
    const struct err e = sign_start();
    return err_is(&e) ? -1 : 0;
}

static void rfc_pair(struct secret_key *secret, struct public_key *public)
{
    uint8_t seed[32];
    assert_true(hex_decode(RFC_SECRET_SEED, seed, sizeof seed));
    sign_key_from_seed(seed, secret, public);
}

static void assert_parse_secret_fails(const char *text, size_t len)
{
    struct secret_key secret;
    struct secret_key before;
    bool development = true;
    memset(&secret, 0xa5, sizeof secret);
    before = secret;
    const struct err e = keyfile_parse_secret(bytes_of(text, len), &secret, &development);
    if (e.code != ERR_CONFIG) fail_msg("accepted: %s", text);
    assert_memory_equal(&secret, &before, sizeof secret);
    assert_true(development);
}

static void assert_parse_public_fails(const char *text, size_t len)
{
    struct public_key key;
    struct public_key before;
    memset(&key, 0xa5, sizeof key);
    before = key;
    const struct err e = keyfile_parse_public(bytes_of(text, len), &key);
    if (e.code != ERR_CONFIG) fail_msg("accepted: %s", text);
    assert_memory_equal(&key, &before, sizeof key);
}

static void test_keyfile_parse_secret_cut_anywhere_is_refused(void **state)
{
    (void)state;
    /* Without its last LF the text is whole. */
    for (size_t len = 0; len < sizeof RFC_SECRET - 2; len++)
        assert_parse_secret_fails(RFC_SECRET, len);
}

static void test_keyfile_parse_public_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof RFC_PUBLIC - 2; len++)
        assert_parse_public_fails(RFC_PUBLIC, len);
}

static void test_keyfile_parse_secret_of_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\n",
        "# only a comment\n",
        RFC_PUBLIC,                                                                            /* the other label */
        "\n" RFC_SECRET,                                                                       /* an empty line */
        " " RFC_SECRET,                                                                        /* a space in front */
        "key:\n" RFC_SECRET,                                                                   /* no comment sign */
        "-----BEGIN PRIVATE KEY----- \n" RFC_SECRET_BODY "\n" SECRET_END,                      /* a space behind */
        "-----BEGIN EC PRIVATE KEY-----\n" RFC_SECRET_BODY "\n-----END EC PRIVATE KEY-----\n", /* another label */
        SECRET_BEGIN RFC_SECRET_BODY "\n" PUBLIC_END,                                          /* labels differ */
        SECRET_BEGIN RFC_SECRET_BODY SECRET_END,                                               /* END on no own line */
        SECRET_BEGIN "\n" RFC_SECRET_BODY "\n" SECRET_END,                                     /* an empty line */
        SECRET_BEGIN RFC_SECRET_BODY "\n\n" SECRET_END,                                        /* an empty line */
        SECRET_BEGIN " " RFC_SECRET_BODY "\n" SECRET_END,                                      /* a space */
        SECRET_BEGIN RFC_SECRET_BODY " \n" SECRET_END,                                         /* a space */
        SECRET_BEGIN "# comment\n" RFC_SECRET_BODY "\n" SECRET_END,                            /* a comment inside */
        SECRET_BEGIN RFC_SECRET_BODY "=\n" SECRET_END,                                         /* padding too much */
        SECRET_BEGIN RFC_SECRET_BODY "AA==\n" SECRET_END,                                      /* a byte more */
        SECRET_BEGIN RFC_SECRET_BODY RFC_SECRET_BODY "\n" SECRET_END,                          /* twice as long */
        SECRET_BEGIN RFC_PUBLIC_BODY "\n" SECRET_END,                                          /* the other DER */
        SECRET_BEGIN "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp-K06_nwoy_HU--CXqI9EdVhC\n" SECRET_END, /* URL-safe */
        SECRET_BEGIN "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVg=\n" SECRET_END, /* a byte less */
        PUBLIC_BEGIN RFC_SECRET_BODY "\n" PUBLIC_END, /* only the label is wrong */
        SECRET_BEGIN "MC4CAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n" SECRET_END, /* version 1 */
        SECRET_BEGIN "MC4CAQAwBQYDK2VuBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n" SECRET_END, /* X25519 */
        SECRET_BEGIN "MC4CAQAwBQYDK2VwBCIEIdTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n" SECRET_END, /* length 33 */
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" RFC_SECRET_BODY "\n-----END ENCRYPTED PRIVATE KEY-----\n",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_parse_secret_fails(bad[i], strlen(bad[i]));
}

static void test_keyfile_parse_public_of_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        RFC_SECRET,                                   /* the other label */
        SECRET_BEGIN RFC_PUBLIC_BODY "\n" SECRET_END, /* only the label is wrong */
        PUBLIC_BEGIN "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuEA\n" PUBLIC_END, /* a byte more */
        PUBLIC_BEGIN
        "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuEAAAAA\n" PUBLIC_END, /* as long as a secret key */
        PUBLIC_BEGIN RFC_SECRET_BODY "\n" PUBLIC_END,                                    /* the other DER */
        PUBLIC_BEGIN RFC_PUBLIC_BODY "\n" SECRET_END,                                    /* labels differ */
        PUBLIC_BEGIN "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE\n" PUBLIC_END,  /* no padding */
        PUBLIC_BEGIN "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuF=\n" PUBLIC_END, /* unused bits set */
        PUBLIC_BEGIN "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZg==\n" PUBLIC_END, /* a byte less */
        PUBLIC_BEGIN "MCowBQYDK2VuAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n" PUBLIC_END, /* X25519 */
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_parse_public_fails(bad[i], strlen(bad[i]));
}

static void test_keyfile_parse_public_of_point_of_small_order_is_refused(void **state)
{
    (void)state;
    char text[KEYFILE_PEM_BYTES_MAX];
    const struct public_key neutral = {{1}};
    keyfile_public_pem(&neutral, text);
    assert_parse_public_fails(text, strlen(text));
}

static void test_keyfile_parse_with_anything_after_block_is_refused(void **state)
{
    (void)state;
    static const char *const after[] = {"x", "#", "# comment\n", "\n.", RFC_SECRET, RFC_PUBLIC};
    char text[KEYFILE_PEM_BYTES_MAX];
    for (size_t i = 0; i < COUNT_OF(after); i++) {
        (void)snprintf(text, sizeof text, "%s%s", RFC_SECRET, after[i]);
        assert_parse_secret_fails(text, strlen(text));
        (void)snprintf(text, sizeof text, "%s%s", RFC_PUBLIC, after[i]);
        assert_parse_public_fails(text, strlen(text));
    }
    /* The terminating NUL is not white space. */
    assert_parse_secret_fails(RFC_SECRET, sizeof RFC_SECRET);
    assert_parse_public_fails(RFC_PUBLIC, sizeof RFC_PUBLIC);
}

static void test_keyfile_parse_secret_with_any_bit_of_header_changed_is_refused(void **state)
{
    (void)state;
    static const char text[] = RFC_SECRET;
    char changed[sizeof text];
    /* BEGIN line and the first 21 characters: the 16 bytes of DER in front of the seed, but for its own two bits. */
    for (size_t i = 0; i < sizeof SECRET_BEGIN - 1 + 21; i++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            memcpy(changed, text, sizeof text);
            changed[i] = (char)(changed[i] ^ (char)(1u << bit));
            assert_parse_secret_fails(changed, sizeof text - 1);
        }
    }
}

static void test_keyfile_parse_secret_of_rfc_8410_gives_seed_and_no_mark(void **state)
{
    (void)state;
    struct secret_key secret;
    struct secret_key expected;
    struct public_key public;
    static const char *const good[] = {
        RFC_SECRET,
        "# a comment\n#\n" RFC_SECRET,
        RFC_SECRET " \t\r\n\n",
        SECRET_BEGIN RFC_SECRET_BODY "\n-----END PRIVATE KEY-----",
        "# crlf\r\n-----BEGIN PRIVATE KEY-----\r\n" RFC_SECRET_BODY "\r\n-----END PRIVATE KEY-----\r\n",
        KEYFILE_DEVELOPMENT_MARK " - not the mark itself\n" RFC_SECRET,
    };
    rfc_pair(&expected, &public);
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        bool development = true;
        memset(&secret, 0, sizeof secret);
        const struct err e = keyfile_parse_secret(bytes_of_text(good[i]), &secret, &development);
        assert_string_equal(e.text, "");
        assert_memory_equal(&secret, &expected, sizeof secret);
        assert_false(development);
    }
}

static void test_keyfile_parse_secret_with_mark_is_development(void **state)
{
    (void)state;
    static const char *const good[] = {
        KEYFILE_DEVELOPMENT_MARK "\n" RFC_SECRET,
        KEYFILE_DEVELOPMENT_MARK "\r\n" RFC_SECRET,
        "# before\n" KEYFILE_DEVELOPMENT_MARK "\n# after\n" RFC_SECRET,
    };
    struct secret_key secret;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        bool development = false;
        const struct err e = keyfile_parse_secret(bytes_of_text(good[i]), &secret, &development);
        assert_string_equal(e.text, "");
        assert_true(development);
    }
}

static void test_keyfile_parse_public_of_rfc_8410_gives_key(void **state)
{
    (void)state;
    struct public_key key;
    char text[2 * PUBLIC_KEY_BYTES + 1];
    const struct err e = keyfile_parse_public(bytes_of_text("# whose\n" RFC_PUBLIC "\n"), &key);
    assert_string_equal(e.text, "");
    hex_encode(text, key.bytes, PUBLIC_KEY_BYTES);
    assert_string_equal(text, RFC_PUBLIC_KEY);
}

static void test_keyfile_pem_of_rfc_8410_keys_is_rfc_text(void **state)
{
    (void)state;
    char text[KEYFILE_PEM_BYTES_MAX];
    struct secret_key secret;
    struct public_key public;
    rfc_pair(&secret, &public);
    keyfile_secret_pem(&secret, text);
    assert_string_equal(text, RFC_SECRET);
    assert_true(hex_decode(RFC_PUBLIC_KEY, public.bytes, PUBLIC_KEY_BYTES));
    keyfile_public_pem(&public, text);
    assert_string_equal(text, RFC_PUBLIC);
}

static void test_keyfile_spki_of_other_length_or_prefix_is_refused(void **state)
{
    (void)state;
    uint8_t spki[KEYFILE_SPKI_BYTES + 1] = {0};
    struct public_key key = {{7}};
    struct public_key out = {{9}};
    const struct public_key before = out;
    keyfile_public_spki(&key, spki);
    for (size_t len = 0; len <= sizeof spki; len++)
        if (len != KEYFILE_SPKI_BYTES) assert_false(keyfile_spki_public(bytes_of(spki, len), &out));
    assert_false(keyfile_spki_public(bytes_of(NULL, 0), &out));
    for (uint32_t bit = 0; bit < 8 * (KEYFILE_SPKI_BYTES - PUBLIC_KEY_BYTES); bit++) {
        spki[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(keyfile_spki_public(bytes_of(spki, KEYFILE_SPKI_BYTES), &out));
        spki[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_true(public_key_equal(&out, &before));
    assert_true(keyfile_spki_public(bytes_of(spki, KEYFILE_SPKI_BYTES), &out));
    assert_true(public_key_equal(&out, &key));
}

static void test_secret_bytes_wipe_leaves_zeros_and_neighbours(void **state)
{
    (void)state;
    uint8_t data[4] = {1, 2, 3, 4};
    static const uint8_t expected[4] = {1, 0, 0, 4};
    secret_bytes_wipe(data + 1, 2);
    assert_memory_equal(data, expected, sizeof data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keyfile_parse_secret_cut_anywhere_is_refused),
        cmocka_unit_test(test_keyfile_parse_public_cut_anywhere_is_refused),
        cmocka_unit_test(test_keyfile_parse_secret_of_other_text_is_refused),
        cmocka_unit_test(test_keyfile_parse_public_of_other_text_is_refused),
        cmocka_unit_test(test_keyfile_parse_public_of_point_of_small_order_is_refused),
        cmocka_unit_test(test_keyfile_parse_with_anything_after_block_is_refused),
        cmocka_unit_test(test_keyfile_parse_secret_with_any_bit_of_header_changed_is_refused),
        cmocka_unit_test(test_keyfile_parse_secret_of_rfc_8410_gives_seed_and_no_mark),
        cmocka_unit_test(test_keyfile_parse_secret_with_mark_is_development),
        cmocka_unit_test(test_keyfile_parse_public_of_rfc_8410_gives_key),
        cmocka_unit_test(test_keyfile_pem_of_rfc_8410_keys_is_rfc_text),
        cmocka_unit_test(test_keyfile_spki_of_other_length_or_prefix_is_refused),
        cmocka_unit_test(test_secret_bytes_wipe_leaves_zeros_and_neighbours),
    };
    return cmocka_run_group_tests_name("keyfile_text", tests, group_setup, NULL);
}
