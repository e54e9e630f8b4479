/* test_group.c - the group file: every refusal, the canonical form and the id. Sizes, files
 * and addresses are test_group_file.c's. */
#include "keys/group.h"

#include "keys/group_draft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The public keys of the seeds 01..01 to 06..06, from openssl. */
#define KEY_1 "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
#define KEY_2 "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"
#define KEY_3 "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1"
#define KEY_4 "ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c"
#define KEY_5 "6e7a1cdd29b0b78fd13af4c5598feff4ef2a97166e3ca6f2e4fbfccd80505bf1"
#define KEY_6 "8a875fff1eb38451577acd5afee405456568dd7c89e090863a0557bc7af49f17"
#define TEXT_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

#define MEMBERS                                                                                                        \
    "[{\"id\": 0, \"organisation\": \"Acme\", \"signing_key\": \"" KEY_1 "\", \"transport_key\": \"" KEY_2             \
    "\", \"address\": \"127.0.0.1:7400\"}, {\"id\": 1, \"organisation\": \"B/\\\"x\\\"\", \"signing_key\": \"" KEY_3   \
    "\", \"transport_key\": \"" KEY_4 "\", \"address\": \"[::1]:7401\"}]"
static const char good_text[] = "{\"format\": 1, \"name\": \"acme-settlement\", \"development\": true, \"parameters\": "
                                "{\"drift_ms\": 5000, \"batch_requests_max\": 1024}, \"members\": " MEMBERS
                                ", \"clients\": [{\"name\": \"default\", \"role\": \"admin\", \"key\": \"" KEY_5
                                "\"}, {\"name\": \"zo\xc3\xab\", \"role\": \"reader\", \"key\": \"" KEY_6 "\"}]}";

/* Written by hand; the digests are sha256sum's over a length byte, the domain's text and this. */
static const char good_canonical[] =
    "{\"clients\":[{\"key\":\"" KEY_5 "\",\"name\":\"default\",\"role\":\"admin\"},{\"key\":\"" KEY_6
    "\",\"name\":\"zo\xc3\xab\",\"role\":\"reader\"}],\"development\":true,\"format\":1,\"members\":[{\"id\":0,"
    "\"organisation\":\"Acme\",\"signing_key\":\"" KEY_1 "\",\"transport_key\":\"" KEY_2
    "\"},{\"id\":1,\"organisation\":\"B/\\\"x\\\"\",\"signing_key\":\"" KEY_3 "\",\"transport_key\":\"" KEY_4
    "\"}],\"name\":\"acme-settlement\",\"parameters\":{\"batch_requests_max\":1024,\"drift_ms\":5000}}";
#define GOOD_ID "3107a977fea970961978ddfa3f52f3945501703e30ae24cbb570e2c413f40822"
#define GOOD_CONFIGURATION "27c59184069303356dac3213e30afd5cdf357f36f6def61b7a8291075ea2edd4"

static int suite_setup(void **state)
{
    (void)state;
    const struct err e = sign_start();
    return err_is(&e) ? -1 : 0;
}

/* good_text with the first `from` in it turned into `to`; freed by the caller. */
static char *text_changed(const char *from, const char *to)
{
    const char *at = strstr(good_text, from);
    assert_non_null(at);
    struct buffer b = {0};
    buffer_printf(&b, "%.*s%s%s", (int)(at - good_text), good_text, to, at + strlen(from));
    return (char *)b.data;
}

static void assert_text_refused(struct bytes text, const char *place, const char *why)
{
    struct group *const untouched = group_new();
    struct group *g = untouched;
    const struct err e = group_parse("g.json", text, &g);
    if (e.code != ERR_CONFIG || strstr(e.text, "group file g.json: ") != e.text || strstr(e.text, place) == NULL ||
        strstr(e.text, why) == NULL)
        fail_msg("wanted \"%s\" and \"%s\", got code %d, \"%s\"", place, why, (int)e.code, e.text);
    assert_ptr_equal(g, untouched);
    group_free(untouched);
}

/* One change to a good file, and the place and reason that the refusal must name. */
static void assert_refused(const char *from, const char *to, const char *place, const char *why)
{
    char *text = text_changed(from, to);
    assert_text_refused(bytes_of_text(text), place, why);
    free(text);
}

static struct group *parse_good(const char *text)
{
    struct group *g = NULL;
    const struct err e = group_parse("g.json", bytes_of_text(text), &g);
    assert_string_equal(e.text, "");
    assert_non_null(g);
    return g;
}

static struct group *parse_changed(const char *from, const char *to)
{
    char *text = text_changed(from, to);
    struct group *g = parse_good(text);
    free(text);
    return g;
}

/* --- the text --- */

static void test_group_text_that_is_not_json_is_refused_with_line(void **state)
{
    (void)state;
    assert_text_refused(bytes_of(NULL, 0), "line 1", "correct the JSON");
    assert_text_refused(bytes_of_text("{\n\n  \"format\": oops}"), "line 3", "oops");
    assert_text_refused(bytes_of_text("[]"), "must be one object", "");
    assert_refused("]}", "]} x", "line 1", "end of file");
    assert_text_refused(bytes_of_text("{\"\x1b[31m"), "line 1", "");
}

static void test_group_terminal_codes_in_file_do_not_reach_the_message(void **state)
{
    (void)state;
    struct group *g = NULL;
    char *text = text_changed("\"name\"", "\"\\u001b[2Jx\": 1, \"name\"");
    const struct err e = group_parse("g.json", bytes_of_text(text), &g);
    assert_null(strchr(e.text, 0x1b));
    assert_non_null(strstr(e.text, "?[2Jx: an unknown name"));
    free(text);
}

static void test_group_text_longer_than_limit_is_refused(void **state)
{
    (void)state;
    struct group *g = NULL;
    struct buffer b = {0};
    buffer_append(&b, good_text, sizeof good_text - 1);
    const size_t spaces = FILE_BYTES_MAX + 1 - b.len;
    memset(buffer_reserve(&b, spaces), ' ', spaces);
    b.len += spaces;
    assert_text_refused(bytes_of(b.data, b.len), "longer than 16777216 bytes", "");
    const struct err e = group_parse("g.json", bytes_of(b.data, b.len - 1), &g);
    assert_int_equal(e.code, ERR_NONE);
    group_free(g);
    buffer_free(&b);
}

static void test_group_name_given_twice_is_refused(void **state)
{
    (void)state;
    assert_refused("\"format\": 1", "\"format\": 1, \"format\": 1", "line 1", "duplicate");
    assert_refused("\"id\": 0", "\"id\": 0, \"id\": 0", "line 1", "duplicate");
}

static void test_group_unknown_name_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_refused("\"format\": 1", "\"format\": 1, \"extra\": 1", ": extra: ", "unknown name");
    assert_refused("\"drift_ms\"", "\"x\": 1, \"drift_ms\"", "parameters.x: ", "unknown name");
    assert_refused("\"id\": 1", "\"id\": 1, \"y\": 1", "members[1].y: ", "unknown name");
    assert_refused("\"role\": \"reader\"", "\"role\": \"reader\", \"z\": 1", "clients[1].z: ", "unknown name");
}

static void test_group_missing_name_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_refused("\"format\": 1, ", "", ": format: missing", "");
    assert_refused("\"name\": \"acme-settlement\", ", "", ": name: missing", "add it");
    assert_refused("\"development\": true, ", "", ": development: missing", "add it");
    assert_refused("\"drift_ms\": 5000, ", "", "parameters.drift_ms: missing", "add it");
    assert_refused(", \"batch_requests_max\": 1024", "", "parameters.batch_requests_max: missing", "add it");
    assert_refused("\"members\": " MEMBERS ", ", "", ": members: missing", "add it");
    assert_refused("\"id\": 1, ", "", "members[1].id: missing", "add it");
    assert_refused("\"organisation\": \"Acme\", ", "", "members[0].organisation: missing", "add it");
    assert_refused("\"signing_key\": \"" KEY_1 "\", ", "", "members[0].signing_key: missing", "add it");
    assert_refused("\"transport_key\": \"" KEY_2 "\", ", "", "members[0].transport_key: missing", "add it");
    assert_refused(", \"address\": \"[::1]:7401\"", "", "members[1].address: missing", "add it");
    assert_refused("\"name\": \"default\", ", "", "clients[0].name: missing", "add it");
    assert_refused("\"role\": \"admin\", ", "", "clients[0].role: missing", "add it");
    assert_refused(", \"key\": \"" KEY_6 "\"", "", "clients[1].key: missing", "add it");
}

static void test_group_value_of_wrong_type_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_refused("\"format\": 1", "\"format\": \"1\"", ": format: ", "whole number");
    assert_refused("\"acme-settlement\"", "7", ": name: ", "text in quotes");
    assert_refused("{\"drift_ms\": 5000, \"batch_requests_max\": 1024}", "[]", ": parameters: ", "object in braces");
    assert_refused("\"drift_ms\": 5000", "\"drift_ms\": 5000.0", "parameters.drift_ms: ", "whole number");
    assert_refused("\"members\": " MEMBERS, "\"members\": {}", ": members: ", "must be a list");
    assert_refused("\"members\": [", "\"members\": [7, ", "members[0]: ", "object in braces");
    assert_refused("\"id\": 0", "\"id\": null", "members[0].id: ", "whole number");
    assert_refused("\"Acme\"", "null", "members[0].organisation: ", "text in quotes");
    assert_refused("\"127.0.0.1:7400\"", "7400", "members[0].address: ", "text in quotes");
    assert_refused("\"clients\": [", "\"clients\": [[], ", "clients[0]: ", "object in braces");
    assert_refused("\"admin\"", "2", "clients[0].role: ", "admin");
    assert_refused("\"" KEY_1 "\"", "5", "members[0].signing_key: ", "64 hexadecimal digits");
}

static void test_group_development_not_a_boolean_is_refused(void **state)
{
    (void)state;
    assert_refused("\"development\": true", "\"development\": 1", ": development: ", "true or false");
    assert_refused("\"development\": true", "\"development\": \"true\"", ": development: ", "true or false");
    struct group *g = parse_changed("\"development\": true", "\"development\": false");
    assert_false(g->development);
    group_free(g);
}

static void test_group_other_format_is_refused(void **state)
{
    (void)state;
    assert_refused("\"format\": 1", "\"format\": 0", ": format: ", "must be 1");
    assert_refused("\"format\": 1", "\"format\": 2, \"new in 2\": 1", ": format: ", "must be 1");
}

static void test_group_number_outside_32_bits_is_refused(void **state)
{
    (void)state;
    assert_refused("\"id\": 0", "\"id\": -1", "members[0].id: ", "not negative");
    assert_refused("\"id\": 0", "\"id\": 4294967296", "members[0].id: ", "below 2^32");
    assert_refused("\"id\": 0", "\"id\": 99999999999999999999", "line 1", "integer");
}

static void test_group_parameter_outside_its_range_is_refused(void **state)
{
    (void)state;
    static const char *const good[] = {"100", "600000"};
    assert_refused("5000", "99", "parameters.drift_ms: 99", "100 to 600000");
    assert_refused("5000", "600001", "parameters.drift_ms: 600001", "100 to 600000");
    assert_refused("1024", "0", "parameters.batch_requests_max: 0", "1 to 1024");
    assert_refused("1024", "1025", "parameters.batch_requests_max: 1025", "1 to 1024");
    for (size_t i = 0; i < 2; i++) {
        struct group *g = parse_changed("5000", good[i]);
        assert_int_equal(g->drift_ms, atol(good[i]));
        group_free(g);
    }
    struct group *g = parse_changed("1024", "1");
    assert_int_equal(g->batch_requests_max, 1);
    group_free(g);
}

static void test_group_bad_name_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_refused("acme-settlement", "", ": name: ", "empty");
    assert_refused("acme-settlement", TEXT_63 "l", ": name: ", "longer than 63 bytes");
    assert_refused("acme-settlement", "a\\nb", ": name: ", "control character at byte 1");
    assert_refused("acme-settlement", "\\u001fb", ": name: ", "control character at byte 0");
    assert_refused("acme-settlement", "a\\u007f", ": name: ", "control character at byte 1");
    assert_refused("acme-settlement", "a\\u0080", ": name: ", "control character at byte 1");
    assert_refused("acme-settlement", "a\\u009f", ": name: ", "control character at byte 1");
    assert_refused("acme-settlement", "a\\u0000b", "line 1", "");
    assert_refused("acme-settlement", "a\xff", "line 1", "");
    assert_refused("Acme", "a\\tb", "members[0].organisation: ", "control character");
    assert_refused("Acme", TEXT_63 "l", "members[0].organisation: ", "longer than 63 bytes");
    assert_refused("default", "\\r", "clients[0].name: ", "control character");
}

static void test_group_name_at_its_limits_is_read(void **state)
{
    (void)state;
    struct group *g = parse_changed("acme-settlement", TEXT_63);
    assert_string_equal(g->name, TEXT_63);
    group_free(g);
    g = parse_changed("acme-settlement", "\\u00a0 ");
    assert_string_equal(g->name, "\xc2\xa0 ");
    group_free(g);
}

static void test_group_key_that_is_not_64_digits_is_refused(void **state)
{
    (void)state;
    assert_refused(KEY_1, "", "members[0].signing_key: ", "64 hexadecimal digits");
    assert_refused(KEY_1, KEY_1 "0", "members[0].signing_key: ", "64 hexadecimal digits");
    assert_refused(KEY_4, "z" KEY_4, "members[1].transport_key: ", "64 hexadecimal digits");
    assert_refused("8a88e3dd", "8a88e3dg", "members[0].signing_key: ", "64 hexadecimal digits");
    assert_refused("6e7a1cdd", " 6e7a1cd", "clients[0].key: ", "64 hexadecimal digits");
}

static void test_group_id_out_of_order_is_refused(void **state)
{
    (void)state;
    assert_refused("\"id\": 0", "\"id\": 1", "members[0].id: 1 stands where 0 must", "0 first");
    assert_refused("\"id\": 1", "\"id\": 0", "members[1].id: 0 stands where 1 must", "0 first");
    assert_refused("\"id\": 1", "\"id\": 2", "members[1].id: 2 stands where 1 must", "0 first");
}

static void test_group_key_used_twice_is_refused_with_both_places(void **state)
{
    (void)state;
    assert_refused(KEY_2, KEY_1, "members[0].transport_key: ", "as members[0].signing_key");
    assert_refused(KEY_3, KEY_1, "members[1].signing_key: ", "as members[0].signing_key");
    assert_refused(KEY_4, KEY_1, "members[1].transport_key: ", "as members[0].signing_key");
    assert_refused(KEY_4, KEY_2, "members[1].transport_key: ", "as members[0].transport_key");
    assert_refused(KEY_5, KEY_4, "clients[0].key: ", "as members[1].transport_key");
    assert_refused(KEY_6, KEY_5, "clients[1].key: ", "as clients[0].key");
    assert_refused(KEY_6, "8A88E3DD7409F195FD52DB2D3CBA5D72CA6709BF1D94121BF3748801B40F6F5C",
                   "clients[1].key: ", "as members[0].signing_key");
}

static void test_group_key_that_is_no_valid_point_is_refused(void **state)
{
    (void)state;
    /* The neutral element, and a value that is no point. */
    static const char neutral[] = "0100000000000000000000000000000000000000000000000000000000000000";
    static const char nowhere[] = "0200000000000000000000000000000000000000000000000000000000000000";
    assert_refused(KEY_1, neutral, "members[0].signing_key: ", "prime order");
    assert_refused(KEY_4, nowhere, "members[1].transport_key: ", "prime order");
    assert_refused(KEY_6, neutral, "clients[1].key: ", "prime order");
}

static void test_group_client_name_used_twice_is_refused(void **state)
{
    (void)state;
    assert_refused("zo\xc3\xab", "default", "clients[1].name: clients[0] has the same name", "its own");
}

static void test_group_unknown_role_is_refused(void **state)
{
    (void)state;
    assert_refused("\"admin\"", "\"root\"", "clients[0].role: ", "\"admin\", \"writer\" or \"reader\"");
    assert_refused("\"admin\"", "\"Admin\"", "clients[0].role: ", "\"admin\", \"writer\" or \"reader\"");
}

static void test_group_bad_address_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_refused("127.0.0.1:7400", "127.0.0.1", "members[0].address: ", "no port");
    assert_refused("[::1]:7401", "::1:7401", "members[1].address: ", "port");
    assert_refused("127.0.0.1:7400", "a\\u0000:1", "line 1", "");
}

static void test_group_without_members_is_refused_but_read_as_draft(void **state)
{
    (void)state;
    struct group *g = NULL;
    assert_refused(MEMBERS, "[]", ": members: the group has none yet", "pbft group add");
    char *text = text_changed(MEMBERS, "[]");
    const struct err e = group_draft_parse("g.json", bytes_of_text(text), &g);
    assert_int_equal(e.code, ERR_NONE);
    assert_int_equal(g->member_count, 0);
    assert_int_equal(g->client_count, 2);
    group_free(g);
    free(text);
}

static void test_group_draft_that_breaks_another_rule_is_refused(void **state)
{
    (void)state;
    struct group *g = NULL;
    char *text = text_changed("\"admin\"", "\"root\"");
    const struct err e = group_draft_parse("g.json", bytes_of_text(text), &g);
    assert_int_equal(e.code, ERR_CONFIG);
    free(text);
}

static void test_group_good_text_gives_every_field(void **state)
{
    (void)state;
    struct group *g = parse_good(good_text);
    assert_string_equal(g->name, "acme-settlement");
    assert_true(g->development);
    assert_int_equal(g->drift_ms, 5000);
    assert_int_equal(g->batch_requests_max, 1024);
    assert_int_equal(g->member_count, 2);
    assert_int_equal(g->members[1].id, 1);
    assert_string_equal(g->members[1].organisation, "B/\"x\"");
    assert_string_equal(g->members[1].address, "[::1]:7401");
    assert_int_equal(g->members[0].signing_key.bytes[0], 0x8a);
    assert_int_equal(g->members[0].transport_key.bytes[31], 0x94);
    assert_int_equal(g->client_count, 2);
    assert_int_equal(g->clients[0].role, GROUP_ROLE_ADMIN);
    assert_int_equal(g->clients[1].role, GROUP_ROLE_READER);
    assert_string_equal(g->clients[1].name, "zo\xc3\xab");
    assert_int_equal(g->clients[1].key.bytes[0], 0x8a);
    assert_int_equal(g->clients[1].key.bytes[1], 0x87);
    group_free(g);
}

/* --- id and canonical form --- */

static void test_group_canonical_form_is_the_known_text_and_digests(void **state)
{
    (void)state;
    struct group *g = parse_good(good_text);
    char *canonical = group_draft_canonical(g);
    char hex[65];
    assert_string_equal(canonical, good_canonical);
    hex_encode(hex, g->id.bytes, DIGEST_BYTES);
    assert_string_equal(hex, GOOD_ID);
    hex_encode(hex, g->configuration.bytes, DIGEST_BYTES);
    assert_string_equal(hex, GOOD_CONFIGURATION);
    free(canonical);
    group_free(g);
}

static void assert_id_same(const char *from, const char *to, bool same)
{
    struct group *before = parse_good(good_text);
    struct group *after = parse_changed(from, to);
    assert_int_equal(digest_equal(&before->id, &after->id), same);
    assert_int_equal(digest_equal(&before->configuration, &after->configuration), same);
    group_free(before);
    group_free(after);
}

static void test_group_id_when_addresses_or_spelling_change_is_the_same(void **state)
{
    (void)state;
    assert_id_same("127.0.0.1:7400", "replica-0.acme.example:443", true);
    assert_id_same("[::1]:7401", "[2001:db8::1]:1", true);
    assert_id_same("{\"format\": 1, \"name\": \"acme-settlement\",", "{\"name\": \"acme-settlement\",\n\"format\":1,",
                   true);
    assert_id_same("8a88e3dd", "8A88E3DD", true);
    assert_id_same("Acme", "\\u0041cme", true);
}

static void test_group_id_when_anything_else_changes_is_another(void **state)
{
    (void)state;
    static const char other_key[] =
        "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"; /* seed 00..00 */
    assert_id_same("acme-settlement", "acme-settlemenu", false);
    assert_id_same("\"development\": true", "\"development\": false", false);
    assert_id_same("5000", "5001", false);
    assert_id_same("1024", "1023", false);
    assert_id_same("Acme", "acme", false);
    assert_id_same(KEY_1, other_key, false);
    assert_id_same(KEY_4, other_key, false);
    assert_id_same("default", "Default", false);
    assert_id_same("\"admin\"", "\"writer\"", false);
    assert_id_same(KEY_5, other_key, false);
    assert_id_same(", {\"name\": \"zo\xc3\xab\", \"role\": \"reader\", \"key\": \"" KEY_6 "\"}", "", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_text_that_is_not_json_is_refused_with_line),
        cmocka_unit_test(test_group_terminal_codes_in_file_do_not_reach_the_message),
        cmocka_unit_test(test_group_text_longer_than_limit_is_refused),
        cmocka_unit_test(test_group_name_given_twice_is_refused),
        cmocka_unit_test(test_group_unknown_name_is_refused_with_its_place),
        cmocka_unit_test(test_group_missing_name_is_refused_with_its_place),
        cmocka_unit_test(test_group_value_of_wrong_type_is_refused_with_its_place),
        cmocka_unit_test(test_group_development_not_a_boolean_is_refused),
        cmocka_unit_test(test_group_other_format_is_refused),
        cmocka_unit_test(test_group_number_outside_32_bits_is_refused),
        cmocka_unit_test(test_group_parameter_outside_its_range_is_refused),
        cmocka_unit_test(test_group_bad_name_is_refused_with_its_place),
        cmocka_unit_test(test_group_name_at_its_limits_is_read),
        cmocka_unit_test(test_group_key_that_is_not_64_digits_is_refused),
        cmocka_unit_test(test_group_id_out_of_order_is_refused),
        cmocka_unit_test(test_group_key_used_twice_is_refused_with_both_places),
        cmocka_unit_test(test_group_key_that_is_no_valid_point_is_refused),
        cmocka_unit_test(test_group_client_name_used_twice_is_refused),
        cmocka_unit_test(test_group_unknown_role_is_refused),
        cmocka_unit_test(test_group_bad_address_is_refused_with_its_place),
        cmocka_unit_test(test_group_without_members_is_refused_but_read_as_draft),
        cmocka_unit_test(test_group_draft_that_breaks_another_rule_is_refused),
        cmocka_unit_test(test_group_good_text_gives_every_field),
        cmocka_unit_test(test_group_canonical_form_is_the_known_text_and_digests),
        cmocka_unit_test(test_group_id_when_addresses_or_spelling_change_is_the_same),
        cmocka_unit_test(test_group_id_when_anything_else_changes_is_another),
    };
    return cmocka_run_group_tests(tests, suite_setup, NULL);
}
