/* test_cddl.c - docs/wire.cddl, the vectors and the dictionary say what the schema says. */
#include "tests/fixture/wire_vectors.h"
#include "wire/cddl.h"
#include "wire/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The file must be exactly what `print` gives; `wire_tool verb` writes it. */
static void assert_up_to_date(const char *path, void (*print)(struct buffer *out), const char *verb)
{
    struct buffer file = {0};
    struct buffer text = {0};
    if (!file_read(path, &file)) fail_msg("cannot read %s (run from the repository's root)", path);
    print(&text);
    if (!bytes_equal(bytes_of(file.data, file.len), bytes_of(text.data, text.len)))
        fail_msg("%s is not what the schema gives: run `wire_tool %s > %s` and read the difference", path, verb, path);
    buffer_free(&file);
    buffer_free(&text);
}

static void test_cddl_document_is_up_to_date(void **state)
{
    (void)state;
    assert_up_to_date(WIRE_CDDL_PATH, wire_print_cddl, "cddl");
}

static void test_cddl_vectors_are_up_to_date(void **state)
{
    (void)state;
    assert_up_to_date(WIRE_VECTORS_GOOD_PATH, wire_vectors_good, "vectors");
    assert_up_to_date(WIRE_VECTORS_BAD_PATH, wire_vectors_bad, "vectors-bad");
}

static char *text_from(void (*print)(struct buffer *out))
{
    struct buffer text = {0};
    print(&text);
    buffer_append(&text, "", 1);
    return (char *)text.data;
}

static void test_cddl_rules_show_sizes_and_maxima(void **state)
{
    (void)state;
    char *text = text_from(wire_print_cddl);
    assert_non_null(strstr(text, "\n; PREPARE, signed\n"
                                 "prepare = [\n"
                                 "    type: 3,\n"
                                 "    epoch: 0..4294967296,\n"
                                 "    sender: 0..127,\n"
                                 "    view: 0..281474976710656,\n"
                                 "    seq: 0..281474976710656,\n"
                                 "    digest: digest,\n"
                                 "    signature: signature\n"
                                 "]\n"));
    assert_non_null(strstr(text, "\n; FETCH, not signed\nfetch = [\n"));
    assert_non_null(strstr(text, "    args: [0*8 bstr .size (0..1048576)]\n"));
    assert_non_null(strstr(text, "    ops: [1*1000 operation],\n"));
    assert_non_null(strstr(text, "    path: [0*64 digest]\n"));
    assert_non_null(strstr(text, "    client: public_key,\n"));
    assert_non_null(strstr(text, "    sent: uint,\n"));
    assert_non_null(strstr(text, "    key: bstr .size (0..480),\n"));
    assert_non_null(strstr(text, "    proof: checkpoint_certificate,\n"));
    free(text);
}

/* The rule that the comment states, carried out with a plain SHA-256, gives what replicas sign. */
static void test_cddl_signature_rule_is_the_one_in_force(void **state)
{
    (void)state;
    char *text = text_from(wire_print_cddl);
    assert_non_null(strstr(text, "SHA-256( 0x0e | \"pbft/1/message\" | group id (32 bytes) | signed part )"));
    free(text);
    struct hasher h;
    struct digest group;
    struct digest stated;
    struct wire_message m;
    struct blob *b = wire_vectors_encoding(&wire_record_prepare, 0);
    assert_null(wire_decode(blob_bytes(b), &m));
    memset(group.bytes, 9, sizeof group.bytes);
    hasher_start_plain(&h);
    hasher_add(&h, "\x0epbft/1/message", 15);
    hasher_add(&h, group.bytes, sizeof group.bytes);
    hasher_add(&h, m.raw.data, m.raw.len - 66); /* a PREPARE ends in the 66 bytes of its signature */
    hasher_finish(&h, &stated);
    const struct digest in_force = wire_signing_digest(&group, m.signed_part);
    assert_true(digest_equal(&stated, &in_force));
    blob_release(b);
}

static void test_cddl_names_every_record_once(void **state)
{
    (void)state;
    char *text = text_from(wire_print_cddl);
    uint32_t count;
    const struct wire_record *const *records = wire_records(&count);
    for (uint32_t i = 0; i < count; i++) {
        char rule[80] = "\n";
        struct writer w = writer_of(rule, sizeof rule - 1);
        writer_bytes(&w, "\n", 1);
        writer_bytes(&w, records[i]->name, strlen(records[i]->name));
        writer_bytes(&w, " = [", 5);
        const char *found = strstr(text, rule);
        assert_non_null(found);
        assert_null(strstr(found + 1, rule));
    }
    free(text);
}

/* ---- the dictionary ---- */

/* name="\xNN..." with one to nine escaped bytes: what libFuzzer's parser takes. */
static void check_dictionary_line(const char *line, size_t len)
{
    if (len == 0 || line[0] == '#') return;
    const char *open = memchr(line, '"', len);
    assert_non_null(open);
    assert_true(open > line + 1 && open[-1] == '=');
    const size_t value = len - (size_t)(open - line) - 2;
    assert_int_equal(line[len - 1], '"');
    assert_true(value >= 4 && value % 4 == 0 && value <= 36);
    for (size_t i = 0; i < value; i += 4) {
        assert_memory_equal(open + 1 + i, "\\x", 2);
        assert_non_null(strchr("0123456789abcdef", open[3 + i]));
        assert_non_null(strchr("0123456789abcdef", open[4 + i]));
    }
}

static void test_cddl_dictionary_has_heads_and_types(void **state)
{
    (void)state;
    char *text = text_from(wire_print_dictionary);
    for (const char *line = text; *line != '\0';) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        check_dictionary_line(line, (size_t)(end - line));
        line = end + 1;
    }
    assert_non_null(strstr(text, "\nprepare=\"\\x87\\x03\"\n"));
    assert_non_null(strstr(text, "\nmember_signature=\"\\x82\"\n"));
    assert_non_null(strstr(text, "\nbytes_32_in_1=\"\\x58\\x20\"\n"));
    assert_non_null(strstr(text, "\nuint_255_in_1=\"\\x18\\xff\"\n"));
    assert_null(strstr(text, "uint_256_in_1")); /* does not fit */
    assert_non_null(strstr(text, "\nuint_65536_in_4=\"\\x1a\\x00\\x01\\x00\\x00\"\n"));
    assert_non_null(strstr(text, "=\"\\x1b\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\"\n")); /* 2^48 */
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cddl_document_is_up_to_date),
        cmocka_unit_test(test_cddl_vectors_are_up_to_date),
        cmocka_unit_test(test_cddl_rules_show_sizes_and_maxima),
        cmocka_unit_test(test_cddl_signature_rule_is_the_one_in_force),
        cmocka_unit_test(test_cddl_names_every_record_once),
        cmocka_unit_test(test_cddl_dictionary_has_heads_and_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
