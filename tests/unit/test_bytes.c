/* test_bytes.c - no read or write past a bound; hexadecimal, blobs and buffers. */
#include "base/bytes.h"
#include "tests/fixture/aborts.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- ranges ---- */

static void test_bytes_equal_needs_same_length_and_content(void **state)
{
    (void)state;
    assert_false(bytes_equal(bytes_of_text("ab"), bytes_of_text("abc")));
    assert_false(bytes_equal(bytes_of_text("abc"), bytes_of_text("abd")));
    assert_true(bytes_equal(bytes_of_text("abc"), bytes_of("abcd", 3)));
    assert_true(bytes_equal(bytes_of(NULL, 0), bytes_of_text("")));
}

static void test_bytes_compare_is_by_content_then_length(void **state)
{
    (void)state;
    assert_true(bytes_compare(bytes_of_text("a"), bytes_of_text("b")) < 0);
    assert_true(bytes_compare(bytes_of_text("\xff"), bytes_of_text("\x01")) > 0); /* unsigned bytes */
    assert_true(bytes_compare(bytes_of_text("ab"), bytes_of_text("abc")) < 0);
    assert_true(bytes_compare(bytes_of_text("b"), bytes_of_text("abc")) > 0);
    assert_true(bytes_compare(bytes_of_text("abc"), bytes_of_text("ab")) > 0);
    assert_int_equal(bytes_compare(bytes_of_text("abc"), bytes_of_text("abc")), 0);
    assert_int_equal(bytes_compare(bytes_of(NULL, 0), bytes_of_text("")), 0);
    assert_true(bytes_compare(bytes_of(NULL, 0), bytes_of_text("a")) < 0);
}

static void test_bytes_prefix_is_at_most_the_whole(void **state)
{
    (void)state;
    assert_false(bytes_has_prefix(bytes_of_text("ab"), bytes_of_text("abc")));
    assert_false(bytes_has_prefix(bytes_of("abc", 2), bytes_of_text("abc")));
    assert_false(bytes_has_prefix(bytes_of_text("abc"), bytes_of_text("b")));
    assert_true(bytes_has_prefix(bytes_of_text("abc"), bytes_of_text("abc")));
    assert_true(bytes_has_prefix(bytes_of_text("abc"), bytes_of_text("ab")));
    assert_true(bytes_has_prefix(bytes_of(NULL, 0), bytes_of(NULL, 0)));
}

/* ---- reader ---- */

static void test_bytes_reader_that_runs_out_is_untouched(void **state)
{
    (void)state;
    static const uint8_t data[7] = {1, 2, 3, 4, 5, 6, 7};
    for (size_t len = 0; len < 8; len++) {
        struct reader r = reader_of(bytes_of(data, len < 7 ? len : 7));
        const uint8_t *start = r.pos;
        uint64_t wide = 99;
        uint32_t narrow = 99;
        struct bytes range = bytes_of_text("untouched");
        assert_false(reader_be64(&r, &wide));
        assert_false(reader_bytes(&r, 8, &range));
        assert_false(reader_bytes(&r, SIZE_MAX, &range));
        if (len < 4) assert_false(reader_be32(&r, &narrow));
        assert_ptr_equal(r.pos, start);
        assert_int_equal(wide, 99);
        assert_int_equal(narrow, 99);
        assert_int_equal(range.len, 9);
    }
    struct reader empty = reader_of(bytes_of(NULL, 0));
    uint8_t byte = 99;
    struct bytes none = bytes_of_text("x");
    assert_false(reader_u8(&empty, &byte));
    assert_int_equal(byte, 99);
    assert_true(reader_bytes(&empty, 0, &none));
    assert_int_equal(none.len, 0);
}

static void test_bytes_reader_reads_big_endian_to_the_end(void **state)
{
    (void)state;
    static const uint8_t data[] = {0xfe, 0x01, 0x02, 0x03, 0x04, 0x81, 2, 3, 4, 5, 6, 7, 8, 'x', 'y'};
    struct reader r = reader_of(bytes_of(data, sizeof data));
    uint8_t byte;
    uint32_t narrow;
    uint64_t wide;
    struct bytes range;
    assert_int_equal(reader_left(&r), sizeof data);
    assert_true(reader_u8(&r, &byte));
    assert_int_equal(byte, 0xfe);
    assert_true(reader_be32(&r, &narrow));
    assert_int_equal(narrow, 0x01020304);
    assert_true(reader_be64(&r, &wide));
    assert_true(wide == 0x8102030405060708ull);
    assert_true(reader_bytes(&r, 2, &range));
    assert_true(bytes_equal(range, bytes_of_text("xy")));
    assert_ptr_equal(range.data, data + 13);
    assert_int_equal(reader_left(&r), 0);
    assert_false(reader_u8(&r, &byte));
}

/* ---- writer ---- */

static void test_bytes_writer_that_is_full_writes_nothing_more(void **state)
{
    (void)state;
    uint8_t space[8];
    memset(space, 0xee, sizeof space);
    struct writer w = writer_of(space, 5);
    writer_be32(&w, 0x01020304);
    assert_false(w.overflow);
    writer_be32(&w, 0x05060708);
    assert_true(w.overflow);
    writer_u8(&w, 9); /* would fit, but something before it is missing */
    assert_true(w.overflow);
    assert_int_equal(w.len, 4);
    assert_memory_equal(space, "\x01\x02\x03\x04\xee\xee\xee\xee", 8);
    w = writer_of(space, 5);
    writer_u8(&w, 1);
    writer_bytes(&w, "x", SIZE_MAX); /* a length that would wrap */
    assert_true(w.overflow);
    assert_int_equal(w.len, 1);
}

static void test_bytes_writer_fills_to_its_last_byte(void **state)
{
    (void)state;
    uint8_t space[16];
    struct writer w = writer_of(space, sizeof space);
    writer_be64(&w, 0x8102030405060708ull);
    writer_be32(&w, 0xa1a2a3a4);
    writer_u8(&w, 0xff);
    writer_bytes(&w, "abc", 3);
    writer_bytes(&w, NULL, 0);
    assert_false(w.overflow);
    assert_int_equal(writer_written(&w).len, 16);
    assert_memory_equal(space,
                        "\x81\x02\x03\x04\x05\x06\x07\x08\xa1\xa2\xa3\xa4\xff"
                        "abc",
                        16);
    writer_u8(&w, 0);
    assert_true(w.overflow);
}

static void test_bytes_fixed_width_goes_there_and_back(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 0xff, 0x100, 0xffffffff, 1ull << 32, 0x0123456789abcdefull, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t raw[8];
        be64_put(raw, values[i]);
        assert_true(be64_get(raw) == values[i]);
        assert_int_equal(raw[0], values[i] >> 56);
        assert_int_equal(raw[7], values[i] & 0xff);
        be32_put(raw, (uint32_t)values[i]);
        assert_int_equal(be32_get(raw), (uint32_t)values[i]);
        assert_int_equal(raw[3], values[i] & 0xff);
    }
}

/* ---- hexadecimal ---- */

static void test_bytes_hex_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "0",     "000",    "0g00", "00:0", " 000", "000 ",
                                      "0x00", "00000", "000000", "/000", "@000", "`000", "G000"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t out[2] = {9, 9};
        assert_false(hex_decode(bad[i], out, sizeof out));
        assert_int_equal(out[0], 9);
        assert_int_equal(out[1], 9);
    }
}

static void test_bytes_hex_goes_there_and_back(void **state)
{
    (void)state;
    uint8_t all[256];
    uint8_t back[256];
    char text[2 * sizeof all + 1];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    hex_encode(text, all, sizeof all);
    assert_int_equal(strlen(text), 512);
    assert_memory_equal(text, "000102030405060708090a0b0c0d0e0f", 32);
    assert_true(hex_decode(text, back, sizeof back));
    assert_memory_equal(all, back, sizeof all);
    assert_true(hex_decode("aBCd", back, 2));
    assert_memory_equal(back, "\xab\xcd", 2);
    hex_encode(text, all, 0);
    assert_string_equal(text, "");
    assert_true(hex_decode("", back, 0));
}

/* ---- blobs ---- */

static void release_twice(void *context)
{
    struct blob *b = context;
    atomic_store(&b->refs, 0); /* as it stands after the last release, without reading freed memory */
    blob_release(b);
}

static void test_bytes_blob_released_too_often_is_a_failed_check(void **state)
{
    (void)state;
    struct blob *b = blob_new(1);
    assert_true(aborts(release_twice, b));
    blob_release(b);
}

static void test_bytes_blob_lives_until_its_last_release(void **state)
{
    (void)state;
    struct blob *b = blob_copy(bytes_of_text("shared"));
    assert_int_equal(atomic_load(&b->refs), 1);
    assert_ptr_equal(blob_retain(b), b);
    assert_int_equal(atomic_load(&b->refs), 2);
    blob_release(b);
    assert_true(bytes_equal(blob_bytes(b), bytes_of_text("shared")));
    blob_release(b);
    assert_null(blob_retain(NULL));
    blob_release(NULL);
    struct blob *empty = blob_copy(bytes_of(NULL, 0));
    assert_int_equal(blob_bytes(empty).len, 0);
    blob_release(empty);
}

static void *retain_and_release(void *context)
{
    for (uint32_t i = 0; i < 20000; i++)
        blob_release(blob_retain(context));
    return NULL;
}

static void test_bytes_blob_counts_across_threads(void **state)
{
    (void)state;
    struct blob *b = blob_new(8);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, retain_and_release, b), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&b->refs), 1);
    blob_release(b);
}

static void blob_too_large(void *context)
{
    (void)context;
    blob_release(blob_new(SIZE_MAX / 2));
}

static void test_bytes_blob_size_that_would_wrap_is_a_failed_check(void **state)
{
    (void)state;
    assert_true(aborts(blob_too_large, NULL));
}

/* ---- buffers and memory ---- */

static void test_bytes_buffer_grows_and_keeps_its_content(void **state)
{
    (void)state;
    struct buffer b = {0};
    buffer_append(&b, NULL, 0); /* nothing to nothing */
    assert_int_equal(b.len, 0);
    for (uint32_t i = 0; i < 1000; i++)
        buffer_printf(&b, "%04u", i);
    buffer_append(&b, "end", 3);
    assert_int_equal(b.len, 4003);
    assert_true(b.cap >= b.len);
    assert_memory_equal(b.data, "000000010002", 12);
    assert_memory_equal(b.data + 3996, "0999end", 7);
    uint8_t *room = buffer_reserve(&b, 100000);
    assert_ptr_equal(room, b.data + b.len);
    assert_true(b.cap - b.len >= 100000);
    assert_int_equal(b.len, 4003);
    assert_memory_equal(b.data + 3996, "0999end", 7);
    buffer_free(&b);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    buffer_free(&b);
}

static void test_bytes_buffer_prints_text_longer_than_its_room(void **state)
{
    (void)state;
    struct buffer b = {0};
    char text[600];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    buffer_printf(&b, "<%s>", text);
    assert_int_equal(b.len, 601);
    assert_int_equal(b.data[600], '>');
    buffer_printf(&b, "%s", "");
    assert_int_equal(b.len, 601);
    buffer_free(&b);
}

static void test_bytes_memory_of_no_size_is_memory(void **state)
{
    (void)state;
    void *one = mem_alloc(0);
    uint8_t *two = mem_zero(3, 4);
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(two[i], 0);
    void *three = mem_resize(NULL, 0);
    assert_non_null(one);
    assert_non_null(three);
    free(one);
    free(two);
    free(three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_equal_needs_same_length_and_content),
        cmocka_unit_test(test_bytes_compare_is_by_content_then_length),
        cmocka_unit_test(test_bytes_prefix_is_at_most_the_whole),
        cmocka_unit_test(test_bytes_reader_that_runs_out_is_untouched),
        cmocka_unit_test(test_bytes_reader_reads_big_endian_to_the_end),
        cmocka_unit_test(test_bytes_writer_that_is_full_writes_nothing_more),
        cmocka_unit_test(test_bytes_writer_fills_to_its_last_byte),
        cmocka_unit_test(test_bytes_fixed_width_goes_there_and_back),
        cmocka_unit_test(test_bytes_hex_that_is_none_is_refused),
        cmocka_unit_test(test_bytes_hex_goes_there_and_back),
        cmocka_unit_test(test_bytes_blob_released_too_often_is_a_failed_check),
        cmocka_unit_test(test_bytes_blob_size_that_would_wrap_is_a_failed_check),
        cmocka_unit_test(test_bytes_blob_lives_until_its_last_release),
        cmocka_unit_test(test_bytes_blob_counts_across_threads),
        cmocka_unit_test(test_bytes_buffer_grows_and_keeps_its_content),
        cmocka_unit_test(test_bytes_buffer_prints_text_longer_than_its_room),
        cmocka_unit_test(test_bytes_memory_of_no_size_is_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
