/* test_digest.c - domain tags, known answers and the small helpers of crypto/digest.h. */
#include "crypto/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DOMAIN_COUNT 13u

/* SHA-256 of (length byte, domain text, "abc"), from Python's hashlib. */
static const char *const domain_answers[DOMAIN_COUNT] = {
    [DIGEST_DOMAIN_MESSAGE] = "f93ba031518540a33f19e62e1fb1dfddf425137477c52627cb6608dbeecb8a0d",
    [DIGEST_DOMAIN_BATCH] = "76507b118b8938ca8b40da7c16075a841a4c9e46918cee319b2d731267c22053",
    [DIGEST_DOMAIN_HEADER] = "279022bd14fd3424bb9c8f6fc8c47f5f09795acf423798d64d3f241bef9df602",
    [DIGEST_DOMAIN_GROUP] = "1711fc315c4b5e25fc90b5899cd7ae175e8cc94c48ec596feee2475a19d89b67",
    [DIGEST_DOMAIN_CONFIGURATION] = "f815f93ea0e42c17ac910cbce215e4a713717f1521d3d3165679b2ffe3e3da28",
    [DIGEST_DOMAIN_STATE_KEY] = "8b58bb412b05ca0512790196316ebe0a30c3a7e568eb185bd76e006dd1dc6b75",
    [DIGEST_DOMAIN_STATE_LEAF] = "22cc02454a358f496fc5c54094b3b31683da9cb1452441cb177177d33c5a730f",
    [DIGEST_DOMAIN_STATE_NODE] = "d3bbafda7f9f5ed7b6f51fcec7338e43e9258a418be8b68c4b253ba8949af668",
    [DIGEST_DOMAIN_RESULT] = "f9f48bce765d409d51fe97f660e766b5139209e3dd38ed21926bc24cef3fb353",
    [DIGEST_DOMAIN_SIGNATURE] = "7f8dd903e9a0add95b237203837a2484d952436d8c7c47ebc6d95c6ff62b9703",
    [DIGEST_DOMAIN_FILE] = "b1bad7e530c2876a365a56d8d52550dcb74d0124b2a946e58adf3420d15f5f46",
    [DIGEST_DOMAIN_TRACE] = "2f55dc534d335b9ca8e88a260cfabe21b93a6bd971b1cd226393e29d1362c4ad",
    [DIGEST_DOMAIN_STORED] = "b4d27dc62e6c2d28e2608cf654acf0122903ecf98ef0729409e3ef307b993a3b",
};

static void assert_digest_is(const struct digest *d, const char *expected)
{
    char text[2 * DIGEST_BYTES + 1];
    hex_encode(text, d->bytes, DIGEST_BYTES);
    assert_string_equal(text, expected);
}

static struct digest plain(const char *text)
{
    struct hasher h;
    struct digest out;
    hasher_start_plain(&h);
    hasher_add(&h, text, strlen(text));
    hasher_finish(&h, &out);
    return out;
}

static void test_digest_domain_outside_enumeration_aborts(void **state)
{
    (void)state;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct hasher h;
        (void)close(STDERR_FILENO);
        hasher_start(&h, (enum digest_domain)DOMAIN_COUNT);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_digest_plain_of_nothing_is_fips_answer(void **state)
{
    (void)state;
    const struct digest d = plain("");
    assert_digest_is(&d, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_digest_plain_of_abc_is_fips_answer(void **state)
{
    (void)state;
    const struct digest d = plain("abc");
    assert_digest_is(&d, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_digest_each_domain_matches_known_answer(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < DOMAIN_COUNT; i++) {
        const struct digest d = digest_of((enum digest_domain)i, bytes_of_text("abc"));
        assert_digest_is(&d, domain_answers[i]);
    }
}

static void test_digest_of_nothing_accepts_null_data(void **state)
{
    (void)state;
    struct hasher h;
    struct digest tag_only;
    hasher_start(&h, DIGEST_DOMAIN_RESULT);
    hasher_finish(&h, &tag_only);
    const struct digest d = digest_of(DIGEST_DOMAIN_RESULT, bytes_of(NULL, 0));
    assert_true(digest_equal(&d, &tag_only));
}

static void test_hasher_pieces_give_digest_of_whole(void **state)
{
    (void)state;
    uint8_t data[200];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    const struct digest whole = digest_of(DIGEST_DOMAIN_FILE, bytes_of(data, sizeof data));
    for (size_t cut = 0; cut <= sizeof data; cut++) {
        struct hasher h;
        struct digest d;
        hasher_start(&h, DIGEST_DOMAIN_FILE);
        hasher_add(&h, data, cut);
        hasher_add(&h, data + cut, sizeof data - cut);
        hasher_finish(&h, &d);
        assert_true(digest_equal(&d, &whole));
    }
}

static void test_hasher_copy_goes_on_by_itself(void **state)
{
    (void)state;
    struct hasher one;
    struct digest a;
    struct digest b;
    hasher_start_plain(&one);
    hasher_add(&one, "a", 1);
    struct hasher two = one;
    hasher_add(&one, "bc", 2);
    hasher_add(&two, "xy", 2);
    hasher_finish(&one, &a);
    hasher_finish(&two, &b);
    const struct digest abc = plain("abc");
    const struct digest axy = plain("axy");
    assert_true(digest_equal(&a, &abc));
    assert_true(digest_equal(&b, &axy));
}

static void test_hasher_be64_is_big_endian(void **state)
{
    (void)state;
    static const uint8_t raw[8] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
    struct hasher h;
    struct digest d;
    hasher_start(&h, DIGEST_DOMAIN_HEADER);
    hasher_add_be64(&h, 0x0102030405060708ull);
    hasher_finish(&h, &d);
    const struct digest expected = digest_of(DIGEST_DOMAIN_HEADER, bytes_of(raw, sizeof raw));
    assert_true(digest_equal(&d, &expected));
}

static void test_digest_equal_with_any_bit_changed_is_false(void **state)
{
    (void)state;
    const struct digest a = plain("abc");
    for (uint32_t bit = 0; bit < 8 * DIGEST_BYTES; bit++) {
        struct digest b = a;
        b.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(digest_equal(&a, &b));
    }
    const struct digest same = a;
    assert_true(digest_equal(&a, &same));
}

static void test_digest_is_zero_with_any_bit_set_is_false(void **state)
{
    (void)state;
    for (uint32_t bit = 0; bit < 8 * DIGEST_BYTES; bit++) {
        struct digest d = {{0}};
        d.bytes[bit / 8] = (uint8_t)(1u << (bit % 8));
        assert_false(digest_is_zero(&d));
    }
    const struct digest zero = {{0}};
    assert_true(digest_is_zero(&zero));
}

static void test_digest_compare_orders_by_first_different_byte(void **state)
{
    (void)state;
    struct digest a = {{0}};
    struct digest b = {{0}};
    assert_int_equal(digest_compare(&a, &b), 0);
    a.bytes[31] = 1;
    assert_true(digest_compare(&a, &b) > 0);
    b.bytes[0] = 0x80; /* unsigned: 0x80 comes after 0x00 */
    assert_true(digest_compare(&a, &b) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest_domain_outside_enumeration_aborts),
        cmocka_unit_test(test_digest_plain_of_nothing_is_fips_answer),
        cmocka_unit_test(test_digest_plain_of_abc_is_fips_answer),
        cmocka_unit_test(test_digest_each_domain_matches_known_answer),
        cmocka_unit_test(test_digest_of_nothing_accepts_null_data),
        cmocka_unit_test(test_hasher_pieces_give_digest_of_whole),
        cmocka_unit_test(test_hasher_copy_goes_on_by_itself),
        cmocka_unit_test(test_hasher_be64_is_big_endian),
        cmocka_unit_test(test_digest_equal_with_any_bit_changed_is_false),
        cmocka_unit_test(test_digest_is_zero_with_any_bit_set_is_false),
        cmocka_unit_test(test_digest_compare_orders_by_first_different_byte),
    };
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
