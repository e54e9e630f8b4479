/* test_config.c - the configuration file: every refusal with file and line, and the keys that it points to. */
#include "replica/run/config.h"

#include "crypto/keyfile.h"
#include "tests/fixture/ledger_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Lines 1 to 6; what a test adds begins at line 7. */
#define REPLICA                                                                                                        \
    "[replica]\n"                                                                                                      \
    "id = 2\n"                                                                                                         \
    "group = group.json\n"                                                                                             \
    "data = data\n"                                                                                                    \
    "signing_key = signing.pem\n"                                                                                      \
    "transport_key = transport.pem\n"

#define NAME "/etc/pbft/replica.conf"

static struct config parsed(const char *text)
{
    struct config c;
    const struct err e = config_parse(NAME, bytes_of_text(text), &c);
    if (err_is(&e)) fail_msg("%s", e.text);
    return c;
}

/* Parsing must fail, with exactly this text, and leave *out alone. */
static void check_refused(const char *text, const char *want)
{
    struct config c = {.id = 77};
    const struct err e = config_parse(NAME, bytes_of_text(text), &c);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_string_equal(e.text, want);
    assert_int_equal(c.id, 77);
}

/* ---- form ---- */

static void test_config_empty_file_lacks_the_first_key(void **state)
{
    (void)state;
    check_refused("", NAME ": [replica] id is missing");
    check_refused("\n\n# nothing\n", NAME ": [replica] id is missing");
}

static void test_config_zero_byte_is_refused(void **state)
{
    (void)state;
    struct config c;
    static const char text[] = REPLICA "\0[log]\n";
    const struct err e = config_parse(NAME, bytes_of(text, sizeof text - 1), &c);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_string_equal(e.text, NAME ": holds a zero byte; it is not a configuration file");
}

static void test_config_line_that_is_no_key_is_refused_with_its_line(void **state)
{
    (void)state;
    check_refused("[replica]\nid = 2\nnonsense\n", NAME " line 3: neither a [section] nor key = value");
    check_refused("[replica]\n[log\nlevel = info\n", NAME " line 2: neither a [section] nor key = value");
}

/* The text was that of the later mistake, beside the line of the first. */
static void test_config_two_mistakes_name_the_first(void **state)
{
    (void)state;
    check_refused("nonsense\n[replica]\nid = 999\n", NAME " line 1: neither a [section] nor key = value");
    check_refused("[replica]\nid = 999\nnonsense\n", NAME " line 2: [replica] id = 999 is out of range");
    check_refused("[replica]\nid = 999\nport = 1\n", NAME " line 2: [replica] id = 999 is out of range");
}

static void test_config_unknown_key_is_refused_with_its_line(void **state)
{
    (void)state;
    check_refused(REPLICA "port = 7400\n", NAME " line 7: unknown key [replica] port");
    check_refused(REPLICA "ID = 2\n", NAME " line 7: unknown key [replica] ID");
    check_refused(REPLICA "[log]\n\ntimeout_ms = 100\n", NAME " line 9: unknown key [log] timeout_ms");
    check_refused(REPLICA "[tuning]\nlevel = info\n", NAME " line 8: unknown key [tuning] level");
    check_refused("id = 2\n", NAME " line 1: unknown key [] id");
    check_refused(REPLICA "[metrics]\nport = 1\n", NAME " line 8: unknown key [metrics] port");
}

static void test_config_key_given_twice_is_refused_with_its_line(void **state)
{
    (void)state;
    check_refused(REPLICA "id = 2\n", NAME " line 7: [replica] id = 2 stands twice");
    check_refused(REPLICA "[log]\nlevel = info\n[replica]\n[log]\nlevel = warn\n",
                  NAME " line 11: [log] level = warn stands twice");
}

static void test_config_missing_required_key_is_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {"id", "group", "data", "signing_key", "transport_key"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char text[512] = "[replica]\n";
        char want[128];
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            if (k == i) continue;
            (void)strncat(text, keys[k], 100);
            (void)strncat(text, " = 1\n", 100);
        }
        (void)snprintf(want, sizeof want, NAME ": [replica] %s is missing", keys[i]);
        check_refused(text, want);
    }
}

/* inih reads lines piece by piece, and took the end of a long one for a line of its own. */
static void test_config_line_that_is_too_long_is_refused_with_its_line(void **state)
{
    (void)state;
    char path[400];
    char text[1024];
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    (void)snprintf(text, sizeof text, "[replica]\nid = 1\ngroup = %s\n", path);
    check_refused(text, NAME " line 3: the line is longer than 198 bytes");
    (void)snprintf(text, sizeof text, "[replica]\n# %s\nid = x\n", path);
    check_refused(text, NAME " line 2: the line is longer than 198 bytes");
    /* the longest, with and without a line end behind it */
    (void)snprintf(text, sizeof text, REPLICA "# %.196s\n[log]\n# %.196s", path, path);
    assert_int_equal(parsed(text).id, 2);
    (void)snprintf(text, sizeof text, REPLICA "# %.197s\n", path);
    check_refused(text, NAME " line 7: the line is longer than 198 bytes");
    (void)snprintf(text, sizeof text, REPLICA "# %.197s", path);
    check_refused(text, NAME " line 7: the line is longer than 198 bytes");
}

/* ---- values ---- */

static void check_value(const char *section, const char *key, const char *value, const char *fault)
{
    char text[1024];
    char want[512];
    (void)snprintf(text, sizeof text, REPLICA "[%s]\n%s = %s\n", section, key, value);
    (void)snprintf(want, sizeof want, NAME " line 8: [%s] %s = %s %s", section, key, value, fault);
    check_refused(text, want);
}

static void test_config_id_that_is_no_member_number_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"x", "-1", "1x", "0x1", "", "1 2", "99999999999999999999", "1.0"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[256];
        char want[128];
        (void)snprintf(text, sizeof text, "[replica]\nid = %s\n", wrong[i]);
        (void)snprintf(want, sizeof want, NAME " line 2: [replica] id = %s is not a whole number", wrong[i]);
        check_refused(text, want);
    }
    check_refused("[replica]\nid = 128\n", NAME " line 2: [replica] id = 128 is out of range");
    check_refused("[replica]\nid = 4294967296\n", NAME " line 2: [replica] id = 4294967296 is out of range");
}

static void test_config_tuning_at_its_limits_is_read_and_past_them_refused(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        size_t offset;
        uint64_t min, max;
    } keys[] = {
        {"timeout_ms", offsetof(struct config, timeout_ms), 50, 600000},
        {"resend_ms", offsetof(struct config, resend_ms), 10, 60000},
        {"heartbeat_ms", offsetof(struct config, heartbeat_ms), 50, 60000},
        {"pipeline", offsetof(struct config, pipeline), 1, WINDOW_BATCHES},
        {"batch_fill", offsetof(struct config, batch_fill), 1, BATCH_REQUESTS_MAX},
        {"batch_delay_us", offsetof(struct config, batch_delay_us), 0, 1000000},
        {"verify_threads", offsetof(struct config, verify_threads), 0, 64},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char value[32];
        for (uint32_t k = 0; k < 2; k++) {
            char text[512];
            uint64_t got;
            const uint64_t want = k == 0 ? keys[i].min : keys[i].max;
            (void)snprintf(text, sizeof text, REPLICA "[tuning]\n%s = %llu\n", keys[i].key, (unsigned long long)want);
            const struct config c = parsed(text);
            memcpy(&got, (const uint8_t *)&c + keys[i].offset, sizeof got);
            assert_int_equal(got, want);
        }
        (void)snprintf(value, sizeof value, "%llu", (unsigned long long)keys[i].max + 1);
        check_value("tuning", keys[i].key, value, "is out of range");
        if (keys[i].min == 0) continue;
        (void)snprintf(value, sizeof value, "%llu", (unsigned long long)keys[i].min - 1);
        check_value("tuning", keys[i].key, value, "is out of range");
    }
}

static void test_config_words_that_are_none_of_the_known_are_refused(void **state)
{
    (void)state;
    check_value("replica", "production", "maybe", "is neither yes nor no");
    check_value("replica", "production", "YES", "is neither yes nor no");
    check_value("log", "level", "loud", "is none of debug, info, warn, error");
    check_value("log", "format", "xml", "is neither logfmt nor json");
    check_value("replica", "listen", "nowhere", "is not an address of the form host:port");
    check_value("replica", "listen", "127.0.0.1:0", "is not an address of the form host:port");
}

static void test_config_empty_path_is_refused(void **state)
{
    (void)state;
    check_refused("[replica]\nid = 1\ngroup =\n", NAME " line 3: [replica] group =  is empty");
}

static void test_config_path_that_gets_too_long_is_refused(void **state)
{
    (void)state;
    struct config c;
    char name[CONFIG_PATH_BYTES_MAX];
    const size_t len = CONFIG_PATH_BYTES_MAX - strlen("transport.pem") - 2; /* with the longest path of REPLICA */
    memset(name, 'd', sizeof name);
    name[0] = '/';
    name[len - 2] = '/';
    name[len] = '\0';
    assert_int_equal(config_parse(name, bytes_of_text(REPLICA), &c).code, ERR_CONFIG);
    name[len - 1] = '\0';
    assert_int_equal(config_parse(name, bytes_of_text(REPLICA), &c).code, ERR_NONE);
    assert_int_equal(strlen(c.transport_key_path), len - 1 + strlen("transport.pem"));
}

static void test_config_relative_paths_are_taken_from_the_files_directory(void **state)
{
    (void)state;
    struct config c = parsed("[replica]\nid = 2\ngroup = /abs/group.json\ndata = ../data\nsigning_key = s\n"
                             "transport_key = keys/t.pem\n");
    assert_string_equal(c.group_path, "/abs/group.json");
    assert_string_equal(c.data_path, "/etc/pbft/../data");
    assert_string_equal(c.signing_key_path, "/etc/pbft/s");
    assert_string_equal(c.transport_key_path, "/etc/pbft/keys/t.pem");
    const struct err e = config_parse("replica.conf", bytes_of_text(REPLICA), &c);
    assert_int_equal(e.code, ERR_NONE);
    assert_string_equal(c.group_path, "group.json");
}

static void test_config_without_the_optional_keys_has_the_defaults(void **state)
{
    (void)state;
    const struct config c = parsed(REPLICA);
    assert_int_equal(c.id, 2);
    assert_true(c.production);
    assert_string_equal(c.listen, "");
    assert_int_equal(c.log_level, LOG_LEVEL_INFO);
    assert_int_equal(c.log_format, LOG_FORMAT_LOGFMT);
    assert_int_equal(c.verify_threads, 0);
    assert_true(c.timeout_ms >= 50 && c.resend_ms >= 10 && c.heartbeat_ms >= 50);
    assert_true(c.pipeline >= 1 && c.batch_fill >= 1);
    assert_int_equal(c.timeout_cap_ms, 16 * c.timeout_ms);
}

static void test_config_timeout_cap_below_the_timeout_is_refused(void **state)
{
    (void)state;
    check_refused(REPLICA "[tuning]\ntimeout_ms = 3000\ntimeout_cap_ms = 2999\n",
                  NAME ": [tuning] timeout_cap_ms is less than timeout_ms");
    check_refused(REPLICA "[tuning]\ntimeout_cap_ms = 9600001\n",
                  NAME " line 8: [tuning] timeout_cap_ms = 9600001 is out of range");
    assert_int_equal(parsed(REPLICA "[tuning]\ntimeout_ms = 3000\ntimeout_cap_ms = 3000\n").timeout_cap_ms, 3000);
}

static void test_config_http_listens_where_it_is_told_and_locally_by_default(void **state)
{
    (void)state;
    assert_string_equal(parsed(REPLICA).http_listen, ""); /* no endpoint */
    assert_string_equal(parsed(REPLICA "[http]\nlisten = 7600\n").http_listen, "127.0.0.1:7600");
    assert_string_equal(parsed(REPLICA "[http]\nlisten = 0.0.0.0:7600\n").http_listen, "0.0.0.0:7600");
    assert_string_equal(parsed(REPLICA "[http]\nlisten = [::1]:7600\n").http_listen, "[::1]:7600");
    check_refused(REPLICA "[http]\nlisten = 0\n", NAME " line 8: [http] listen = 0 is not a port");
    check_refused(REPLICA "[http]\nlisten = 65536\n", NAME " line 8: [http] listen = 65536 is not a port");
    check_refused(REPLICA "[http]\nlisten = 123456\n",
                  NAME " line 8: [http] listen = 123456 is not an address of the form host:port");
    check_refused(REPLICA "[http]\nlisten = localhost\n",
                  NAME " line 8: [http] listen = localhost is not an address of the form host:port");
    check_refused(REPLICA "[http]\nport = 7600\n", NAME " line 8: unknown key [http] port");
}

static void test_config_every_key_is_read(void **state)
{
    (void)state;
    const struct config c = parsed(
        "\xef\xbb\xbf; a comment\n" REPLICA "listen = [::1]:7401 ; here\nproduction = no\n\n[log]\r\nlevel=debug\r\n"
        "format = json\n[tuning]\ntimeout_ms = 100\ntimeout_cap_ms = 107\nresend_ms = 101\nheartbeat_ms = 102\npipeline = 103\n"
        "batch_fill = 104\nbatch_delay_us = 105\nverify_threads = 6");
    assert_string_equal(c.listen, "[::1]:7401");
    assert_false(c.production);
    assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(c.log_format, LOG_FORMAT_JSON);
    assert_int_equal(c.timeout_ms, 100);
    assert_int_equal(c.timeout_cap_ms, 107);
    assert_int_equal(c.resend_ms, 101);
    assert_int_equal(c.heartbeat_ms, 102);
    assert_int_equal(c.pipeline, 103);
    assert_int_equal(c.batch_fill, 104);
    assert_int_equal(c.batch_delay_us, 105);
    assert_int_equal(c.verify_threads, 6);
}

/* ---- files ---- */

struct room {
    struct kit *kit;
    struct kit_place place;
    struct config config;
};

static const char *at(const struct room *r, const char *name)
{
    static char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", r->place.root, name);
    return path;
}

static void write_key(const struct room *r, const char *name, const struct secret_key *key, bool development)
{
    (void)unlink(at(r, name));
    assert_int_equal(keyfile_write_secret(at(r, name), key, development).code, ERR_NONE);
}

/* The transport keys of the kit are those of its seeds; this one is put into the group in their place. */
static struct secret_key new_transport(struct room *r, uint32_t member)
{
    struct secret_key secret;
    sign_key_new(&secret, &r->kit->group->members[member].transport_key);
    return secret;
}

static void write_group(struct room *r, bool development)
{
    r->kit->group->development = development;
    assert_int_equal(group_seal(r->kit->group).code, ERR_NONE);
    assert_int_equal(group_write(at(r, "group.json"), r->kit->group).code, ERR_NONE);
}

/* A configuration, group and keys that are good for production, member 2. */
static int room_setup(void **state)
{
    struct room *r = mem_zero(1, sizeof *r);
    r->kit = kit_new(4, KIT_REAL);
    r->place = kit_place_new();
    const struct secret_key transport = new_transport(r, 2);
    write_group(r, false);
    write_key(r, "signing.pem", &r->kit->members[2], false);
    write_key(r, "transport.pem", &transport, false);
    FILE *f = fopen(at(r, "replica.conf"), "we");
    if (f == NULL) return -1;
    (void)fputs(REPLICA, f);
    (void)fclose(f);
    const struct err e = config_read(at(r, "replica.conf"), &r->config);
    *state = r;
    return err_is(&e) ? -1 : 0;
}

static int room_teardown(void **state)
{
    struct room *r = *state;
    kit_place_remove(&r->place);
    kit_free(r->kit);
    free(r);
    return 0;
}

/* Loading must fail as ERR_CONFIG, say this, and leave *out alone. */
static void check_load_refused(const struct room *r, const char *words)
{
    struct identity i = {.group = (struct group *)8};
    const struct err e = identity_load(&r->config, &i);
    assert_int_equal(e.code, ERR_CONFIG);
    if (strstr(e.text, words) == NULL) fail_msg("%s", e.text);
    assert_ptr_equal(i.group, (struct group *)8);
}

static void test_config_file_that_cannot_be_read_is_refused(void **state)
{
    const struct room *r = *state;
    struct config c;
    struct err e = config_read(at(r, "none.conf"), &c);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, "none.conf"));
    e = config_read(r->place.root, &c); /* a directory */
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, r->place.root));
}

static void test_config_file_over_the_limit_is_refused(void **state)
{
    const struct room *r = *state;
    struct config c;
    assert_int_equal(truncate(at(r, "replica.conf"), FILE_BYTES_MAX + 1), 0);
    const struct err e = config_read(at(r, "replica.conf"), &c);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, "cannot be read as a configuration file"));
}

static void test_config_file_paths_lead_beside_it(void **state)
{
    const struct room *r = *state;
    assert_string_equal(r->config.group_path, at(r, "group.json"));
    assert_string_equal(r->config.data_path, at(r, "data"));
}

static void test_identity_without_group_file_is_refused(void **state)
{
    const struct room *r = *state;
    assert_int_equal(unlink(at(r, "group.json")), 0);
    check_load_refused(r, "group.json");
}

static void test_identity_of_an_id_outside_the_group_is_refused(void **state)
{
    struct room *r = *state;
    r->config.id = 4;
    check_load_refused(r, "id = 4, but the group in");
}

static void test_identity_in_production_refuses_a_development_group(void **state)
{
    struct room *r = *state;
    write_group(r, true);
    check_load_refused(r, "is a development group");
}

static void test_identity_in_production_refuses_a_development_key(void **state)
{
    struct room *r = *state;
    write_key(r, "signing.pem", &r->kit->members[2], true);
    check_load_refused(r, "signing.pem is a development key");
    write_key(r, "signing.pem", &r->kit->members[2], false);
    const struct secret_key transport = new_transport(r, 2);
    write_group(r, false);
    write_key(r, "transport.pem", &transport, true);
    check_load_refused(r, "transport.pem is a development key");
}

static void test_identity_not_in_production_takes_development_group_and_keys(void **state)
{
    struct room *r = *state;
    struct identity i;
    const struct secret_key transport = new_transport(r, 2);
    write_group(r, true);
    write_key(r, "signing.pem", &r->kit->members[2], true);
    write_key(r, "transport.pem", &transport, true);
    r->config.production = false;
    assert_int_equal(identity_load(&r->config, &i).code, ERR_NONE);
    identity_free(&i);
}

static void test_identity_with_the_key_of_another_member_is_refused(void **state)
{
    struct room *r = *state;
    write_key(r, "signing.pem", &r->kit->members[1], false);
    check_load_refused(r, "signing.pem is not the signing key that");
}

static void test_identity_with_signing_and_transport_keys_exchanged_is_refused(void **state)
{
    struct room *r = *state;
    char signing[CONFIG_PATH_BYTES_MAX];
    memcpy(signing, r->config.signing_key_path, sizeof signing);
    memcpy(r->config.signing_key_path, r->config.transport_key_path, sizeof signing);
    check_load_refused(r, "transport.pem is not the signing key that");
    memcpy(r->config.transport_key_path, signing, sizeof signing);
    memcpy(r->config.signing_key_path, signing, sizeof signing);
    check_load_refused(r, "signing.pem is not the transport key that");
}

static void test_identity_with_a_key_that_others_may_read_is_refused(void **state)
{
    struct room *r = *state;
    assert_int_equal(chmod(at(r, "transport.pem"), 0644), 0);
    check_load_refused(r, "transport.pem has mode 0644; others can read it");
}

static void test_identity_without_a_key_is_refused(void **state)
{
    struct room *r = *state;
    assert_int_equal(unlink(at(r, "transport.pem")), 0);
    check_load_refused(r, "key file");
    assert_int_equal(unlink(at(r, "signing.pem")), 0);
    check_load_refused(r, "key file");
}

static void test_identity_holds_group_and_both_keys_until_freed(void **state)
{
    struct room *r = *state;
    struct identity i;
    static const struct secret_key zero;
    assert_int_equal(identity_load(&r->config, &i).code, ERR_NONE);
    const struct public_key signing = secret_key_public(&i.signing);
    const struct public_key transport = secret_key_public(&i.transport);
    assert_true(public_key_equal(&signing, &r->kit->group->members[2].signing_key));
    assert_true(public_key_equal(&transport, &r->kit->group->members[2].transport_key));
    assert_memory_equal(i.group->id.bytes, r->kit->group->id.bytes, DIGEST_BYTES);
    identity_free(&i);
    assert_null(i.group);
    assert_memory_equal(&i.signing, &zero, sizeof zero);
    assert_memory_equal(&i.transport, &zero, sizeof zero);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_empty_file_lacks_the_first_key),
        cmocka_unit_test(test_config_zero_byte_is_refused),
        cmocka_unit_test(test_config_line_that_is_no_key_is_refused_with_its_line),
        cmocka_unit_test(test_config_two_mistakes_name_the_first),
        cmocka_unit_test(test_config_unknown_key_is_refused_with_its_line),
        cmocka_unit_test(test_config_key_given_twice_is_refused_with_its_line),
        cmocka_unit_test(test_config_missing_required_key_is_refused),
        cmocka_unit_test(test_config_line_that_is_too_long_is_refused_with_its_line),
        cmocka_unit_test(test_config_id_that_is_no_member_number_is_refused),
        cmocka_unit_test(test_config_tuning_at_its_limits_is_read_and_past_them_refused),
        cmocka_unit_test(test_config_words_that_are_none_of_the_known_are_refused),
        cmocka_unit_test(test_config_empty_path_is_refused),
        cmocka_unit_test(test_config_path_that_gets_too_long_is_refused),
        cmocka_unit_test(test_config_relative_paths_are_taken_from_the_files_directory),
        cmocka_unit_test(test_config_without_the_optional_keys_has_the_defaults),
        cmocka_unit_test(test_config_timeout_cap_below_the_timeout_is_refused),
        cmocka_unit_test(test_config_http_listens_where_it_is_told_and_locally_by_default),
        cmocka_unit_test(test_config_every_key_is_read),
        ROOM_TEST(test_config_file_that_cannot_be_read_is_refused),
        ROOM_TEST(test_config_file_over_the_limit_is_refused),
        ROOM_TEST(test_config_file_paths_lead_beside_it),
        ROOM_TEST(test_identity_without_group_file_is_refused),
        ROOM_TEST(test_identity_of_an_id_outside_the_group_is_refused),
        ROOM_TEST(test_identity_in_production_refuses_a_development_group),
        ROOM_TEST(test_identity_in_production_refuses_a_development_key),
        ROOM_TEST(test_identity_not_in_production_takes_development_group_and_keys),
        ROOM_TEST(test_identity_with_the_key_of_another_member_is_refused),
        ROOM_TEST(test_identity_with_signing_and_transport_keys_exchanged_is_refused),
        ROOM_TEST(test_identity_with_a_key_that_others_may_read_is_refused),
        ROOM_TEST(test_identity_without_a_key_is_refused),
        ROOM_TEST(test_identity_holds_group_and_both_keys_until_freed),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
