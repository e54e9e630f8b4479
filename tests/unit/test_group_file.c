/* test_group_file.c - groups built in memory, sizes from 1 to 128 members, files, looking up, addresses. */
#include "keys/group.h"

#include "keys/group_draft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define TEXT_127 TEXT_63 "l" TEXT_63

static char directory[] = "/tmp/pbft-test-group-XXXXXX";

static int suite_setup(void **state)
{
    (void)state;
    const struct err e = sign_start();
    return err_is(&e) || mkdtemp(directory) == NULL ? -1 : 0;
}

static int suite_teardown(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void path_in(char out[128], const char *name)
{
    (void)snprintf(out, 128, "%s/%s", directory, name);
}

static struct public_key key_of(uint32_t number)
{
    uint8_t seed[32] = {0};
    struct secret_key secret;
    struct public_key key;
    be32_put(seed, number);
    sign_key_from_seed(seed, &secret, &key);
    return key;
}

/* A group in memory that breaks no rule as long as the counts do not. */
static struct group *group_made(uint32_t member_count, uint32_t client_count)
{
    struct group *g = group_new();
    memcpy(g->name, "made", 5);
    g->member_count = member_count;
    for (uint32_t i = 0; i < member_count; i++) {
        g->members[i].id = i;
        g->members[i].signing_key = key_of(2 * i);
        g->members[i].transport_key = key_of(2 * i + 1);
        (void)snprintf(g->members[i].organisation, NAME_BYTES_MAX, "org %u", i);
        (void)snprintf(g->members[i].address, GROUP_ADDRESS_BYTES_MAX, "host-%u:%u", i, 7000 + i);
    }
    g->client_count = client_count;
    for (uint32_t i = 0; i < client_count; i++) {
        g->clients[i].key = key_of(1000000 + i);
        g->clients[i].role = GROUP_ROLE_WRITER;
        (void)snprintf(g->clients[i].name, NAME_BYTES_MAX, "client %u", i);
    }
    return g;
}

static void assert_seal_refused(struct group *g, const char *start)
{
    const struct digest before = g->id;
    const struct err e = group_seal(g);
    if (e.code != ERR_CONFIG || strstr(e.text, start) != e.text)
        fail_msg("wanted \"%s\", got code %d, \"%s\"", start, (int)e.code, e.text);
    assert_true(digest_equal(&before, &g->id));
}

/* Two members, two clients, sealed. */
static struct group *group_sealed(void)
{
    struct group *g = group_made(2, 2);
    const struct err e = group_seal(g);
    assert_string_equal(e.text, "");
    return g;
}

/* --- groups built in memory --- */

static void test_group_seal_count_over_its_maximum_is_refused(void **state)
{
    (void)state;
    struct group *g = group_made(1, 1);
    g->member_count = REPLICAS_MAX + 1;
    assert_seal_refused(g, "members: 129 are more than 128");
    g->member_count = 1;
    g->client_count = CLIENTS_MAX + 1;
    assert_seal_refused(g, "clients: 1025 are more than 1024");
    g->client_count = UINT32_MAX;
    assert_seal_refused(g, "clients: 4294967295 are more than 1024");
    group_free(g);
}

static void test_group_seal_bad_text_in_memory_is_refused(void **state)
{
    (void)state;
    struct group *g = group_made(2, 1);
    memset(g->name, 'x', sizeof g->name);
    assert_seal_refused(g, "name: longer than 63 bytes");
    memcpy(g->name, "a\xff", 3);
    assert_seal_refused(g, "name: not UTF-8");
    memcpy(g->name, "a\xc2", 3);
    assert_seal_refused(g, "name: not UTF-8");
    memcpy(g->name, "a", 2);
    memset(g->members[1].address, '1', sizeof g->members[1].address);
    assert_seal_refused(g, "members[1].address: longer than 127 bytes");
    memcpy(g->members[1].address, "h:1", 4);
    g->clients[0].role = (enum group_role)3;
    assert_seal_refused(g, "clients[0].role: must be");
    group_free(g);
}

static void test_group_seal_without_members_is_refused_but_sealed_as_draft(void **state)
{
    (void)state;
    struct group *g = group_made(0, 0);
    assert_seal_refused(g, "members: the group has none yet");
    const struct err e = group_draft_seal(g);
    assert_int_equal(e.code, ERR_NONE);
    group_free(g);
}

static void test_group_new_has_the_default_parameters(void **state)
{
    (void)state;
    struct group *g = group_new();
    assert_int_equal(g->drift_ms, GROUP_DRIFT_MS_DEFAULT);
    assert_int_equal(g->batch_requests_max, BATCH_REQUESTS_MAX);
    assert_int_equal(g->member_count, 0);
    assert_int_equal(g->client_count, 0);
    group_free(g);
    group_free(NULL);
}

/* --- files --- */

static void assert_file_round_trip(struct group *g)
{
    char path[128];
    struct group *again = NULL;
    path_in(path, "round.json");
    struct err e = group_seal(g);
    assert_string_equal(e.text, "");
    e = group_write(path, g);
    assert_string_equal(e.text, "");
    e = group_read(path, &again);
    assert_string_equal(e.text, "");
    /* Both started as zeroed memory, so every byte that means something and every other one is the same. */
    assert_memory_equal(again, g, sizeof *g);
    group_free(again);
    assert_int_equal(unlink(path), 0);
}

static void test_group_of_1_member_written_and_read_is_the_same(void **state)
{
    (void)state;
    struct group *g = group_made(1, 0);
    assert_file_round_trip(g);
    group_free(g);
}

static void test_group_of_128_members_and_1024_clients_written_and_read_is_the_same(void **state)
{
    (void)state;
    struct group *g = group_made(REPLICAS_MAX, CLIENTS_MAX);
    assert_file_round_trip(g);
    group_free(g);
}

/* The JSON of g with the last element of `list` there once more. */
static void assert_longer_list_refused(const char *list, const char *why)
{
    struct group *again = NULL;
    struct group *g = group_made(REPLICAS_MAX, CLIENTS_MAX);
    json_t *root = group_draft_json(g, true);
    json_t *array = json_object_get(root, list);
    assert_int_equal(json_array_append(array, json_array_get(array, json_array_size(array) - 1)), 0);
    char *text = json_dumps(root, 0);
    const struct err e = group_parse("g.json", bytes_of_text(text), &again);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, why));
    assert_null(again);
    free(text);
    json_decref(root);
    group_free(g);
}

static void test_group_of_129_members_is_refused(void **state)
{
    (void)state;
    assert_longer_list_refused("members", "members: 129 are more than 128");
}

static void test_group_of_1025_clients_is_refused(void **state)
{
    (void)state;
    assert_longer_list_refused("clients", "clients: 1025 are more than 1024");
}

/* No temporary file stayed behind: rmdir refuses a directory that is not empty. */
static void assert_directory_empty(void)
{
    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(mkdir(directory, 0700), 0);
}

static void test_group_write_over_a_file_replaces_it_and_keeps_its_mode(void **state)
{
    (void)state;
    char path[128];
    struct stat status;
    struct group *again = NULL;
    struct group *g = group_sealed();
    path_in(path, "mode.json");
    struct err e = group_write(path, g);
    assert_int_equal(e.code, ERR_NONE);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777u, 0644);
    assert_int_equal(chmod(path, 0640), 0);
    g->drift_ms = 100;
    e = group_write(path, g);
    assert_int_equal(e.code, ERR_NONE);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777u, 0640);
    e = group_read(path, &again);
    assert_int_equal(e.code, ERR_NONE);
    assert_int_equal(again->drift_ms, 100);
    group_free(again);
    group_free(g);
    assert_int_equal(unlink(path), 0);
    assert_directory_empty();
}

static void test_group_write_into_missing_directory_is_refused(void **state)
{
    (void)state;
    char path[128];
    struct group *g = group_sealed();
    path_in(path, "no/group.json");
    const struct err e = group_write(path, g);
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.text, path));
    group_free(g);
}

static void test_group_write_over_a_directory_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    char path[128];
    struct group *g = group_sealed();
    path_in(path, "d");
    assert_int_equal(mkdir(path, 0700), 0);
    const struct err e = group_write(path, g);
    assert_int_equal(e.code, ERR_IO);
    assert_int_equal(rmdir(path), 0);
    assert_directory_empty();
    group_free(g);
}

static void test_group_write_of_a_path_without_slash_works(void **state)
{
    (void)state;
    char before[4096];
    struct group *again = NULL;
    struct group *g = group_sealed();
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(directory), 0);
    struct err e = group_write("bare.json", g);
    assert_string_equal(e.text, "");
    e = group_read("bare.json", &again);
    assert_string_equal(e.text, "");
    assert_int_equal(unlink("bare.json"), 0);
    assert_int_equal(chdir(before), 0);
    group_free(again);
    group_free(g);
}

static void test_group_draft_create_over_a_file_is_refused(void **state)
{
    (void)state;
    char path[128];
    struct group *g = group_sealed();
    path_in(path, "once.json");
    struct err e = group_draft_create(path, g);
    assert_string_equal(e.text, "");
    e = group_draft_create(path, g);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, "exists already"));
    group_free(g);
    assert_int_equal(unlink(path), 0);
    assert_directory_empty();
}

static void assert_read_refused(const char *path, const char *why)
{
    struct group *g = NULL;
    const struct err e = group_read(path, &g);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, path));
    assert_non_null(strstr(e.text, why));
    assert_null(g);
}

static void test_group_read_of_what_is_no_file_is_refused(void **state)
{
    (void)state;
    char path[128];
    assert_read_refused(directory, "not a regular file");
    path_in(path, "fifo");
    assert_read_refused(path, "does not exist");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_read_refused(path, "not a regular file");
    assert_int_equal(unlink(path), 0);
}

static void test_group_read_of_a_file_over_the_limit_is_refused(void **state)
{
    (void)state;
    char path[128];
    path_in(path, "big.json");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(ftruncate(fileno(f), (off_t)FILE_BYTES_MAX * 1000), 0);
    assert_int_equal(fclose(f), 0);
    assert_read_refused(path, "longer than 16777216 bytes");
    assert_int_equal(unlink(path), 0);
}

static void test_group_read_of_a_draft_is_refused_but_read_as_draft(void **state)
{
    (void)state;
    char path[128];
    struct group *again = NULL;
    struct group *g = group_made(0, 1);
    path_in(path, "draft.json");
    struct err e = group_draft_seal(g);
    assert_int_equal(e.code, ERR_NONE);
    e = group_draft_create(path, g);
    assert_int_equal(e.code, ERR_NONE);
    assert_read_refused(path, "members: the group has none yet");
    e = group_draft_read(path, &again);
    assert_int_equal(e.code, ERR_NONE);
    assert_int_equal(again->client_count, 1);
    group_free(again);
    group_free(g);
    assert_int_equal(unlink(path), 0);
}

/* --- looking up --- */

static void test_group_lookup_of_what_is_not_there_gives_minus_1(void **state)
{
    (void)state;
    struct group *g = group_sealed();
    const struct public_key stranger = key_of(7);
    assert_int_equal(group_member_by_transport_key(g, &stranger), -1);
    /* A signing key is no transport key. */
    assert_int_equal(group_member_by_transport_key(g, &g->members[0].signing_key), -1);
    assert_int_equal(group_client_by_key(g, &g->members[0].transport_key), -1);
    assert_int_equal(group_client_by_name(g, "defaul"), -1);
    assert_int_equal(group_client_by_name(g, ""), -1);
    group_free(g);
}

static void test_group_lookup_gives_the_index(void **state)
{
    (void)state;
    struct group *g = group_sealed();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(group_member_by_transport_key(g, &g->members[i].transport_key), i);
        assert_int_equal(group_client_by_key(g, &g->clients[i].key), i);
        assert_int_equal(group_client_by_name(g, g->clients[i].name), i);
    }
    group_free(g);
}

/* Every client of a full group, and what lies just beside its key in the order; and the two ends. */
static void test_group_lookup_of_client_in_a_full_group_gives_the_index(void **state)
{
    (void)state;
    struct group *g = group_made(1, CLIENTS_MAX);
    struct public_key lowest = {{0}};
    struct public_key highest;
    memset(highest.bytes, 0xff, sizeof highest.bytes);
    const struct err e = group_seal(g);
    assert_string_equal(e.text, "");
    for (int i = 0; i < (int)CLIENTS_MAX; i++) {
        struct public_key key = g->clients[i].key;
        assert_int_equal(group_client_by_key(g, &key), i);
        key.bytes[PUBLIC_KEY_BYTES - 1]++;
        assert_int_equal(group_client_by_key(g, &key), -1);
        key.bytes[PUBLIC_KEY_BYTES - 1] -= 2;
        assert_int_equal(group_client_by_key(g, &key), -1);
    }
    assert_int_equal(group_client_by_key(g, &lowest), -1);
    assert_int_equal(group_client_by_key(g, &highest), -1);
    group_free(g);
}

static void test_group_lookup_of_client_in_a_group_without_clients_gives_minus_1(void **state)
{
    (void)state;
    struct group *g = group_made(1, 0);
    const struct public_key zero = {{0}}; /* as stands in the places that are not used */
    const struct err e = group_seal(g);
    assert_string_equal(e.text, "");
    assert_int_equal(group_client_by_key(g, &zero), -1);
    group_free(g);
}

static void test_group_lookup_of_client_after_another_seal_gives_the_new_index(void **state)
{
    (void)state;
    struct group *g = group_made(1, 20);
    struct err e = group_seal(g);
    assert_string_equal(e.text, "");
    const struct public_key first = g->clients[0].key;
    for (uint32_t i = 0; i + 1 < g->client_count; i++)
        g->clients[i] = g->clients[i + 1];
    g->clients[--g->client_count] = (struct group_client){.role = 0};
    e = group_seal(g);
    assert_string_equal(e.text, "");
    assert_int_equal(g->client_order_count, 19);
    assert_int_equal(group_client_by_key(g, &first), -1);
    assert_file_round_trip(g); /* what is computed is a function of the rest */
    for (uint32_t i = 0; i < g->client_count; i++)
        assert_int_equal(group_client_by_key(g, &g->clients[i].key), i);
    group_free(g);
}

static void test_group_role_name_parsed_gives_the_role(void **state)
{
    (void)state;
    enum group_role role = GROUP_ROLE_ADMIN;
    assert_false(group_role_parse("", &role));
    assert_false(group_role_parse("admins", &role));
    assert_int_equal(role, GROUP_ROLE_ADMIN);
    for (uint32_t i = GROUP_ROLE_READER; i <= GROUP_ROLE_ADMIN; i++) {
        assert_true(group_role_parse(group_role_name((enum group_role)i), &role));
        assert_int_equal(role, i);
    }
    assert_string_equal(group_role_name(GROUP_ROLE_WRITER), "writer");
}

/* --- addresses --- */

static void test_address_of_bad_form_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           ":",         "host",         "host:",           ":80",        "host:0",       "host:65536",
        "host:080",   "host:+80",  "host:-1",      "host: 80",        "host:80 ",   "host:8 0",     "host:1234567",
        "host:80:90", "::1:80",    "[::1]",        "[::1]80",         "[::1]x80",   "[::1]:",       "[::1",
        "[]:80",      "[host]:80", "[1.2.3.4]:80", "[::1%eth0]:80",   "[[::1]]:80", "ho st:80",     "host/x:80",
        "-host:80",   ".host:80",  "h\xc3\xb6:80", "h\x1b:80",        "1.2.3:80",   "1.2.3.4.5:80", "256.1.1.1:80",
        "1:80",       "h@b:80",    "[::1]:80:90",  "host:4294967376", "%:1",        "host:8a",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char host[GROUP_ADDRESS_BYTES_MAX] = "untouched";
        uint16_t port = 9;
        const struct err e = address_parse(bad[i], host, &port);
        if (e.code != ERR_CONFIG) fail_msg("\"%s\" is accepted", bad[i]);
        assert_string_equal(host, "untouched");
        assert_int_equal(port, 9);
    }
}

static void test_address_longer_than_127_bytes_is_refused(void **state)
{
    (void)state;
    char host[GROUP_ADDRESS_BYTES_MAX];
    uint16_t port = 0;
    char address[GROUP_ADDRESS_BYTES_MAX + 1] = TEXT_127;
    memcpy(address + 125, ":9", 3);
    struct err e = address_parse(address, host, &port);
    assert_string_equal(e.text, "");
    memcpy(address + 126, ":9", 3);
    e = address_parse(address, host, &port);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, "longer than 127 bytes"));
}

static void assert_address(const char *address, const char *host_wanted, uint16_t port_wanted)
{
    char host[GROUP_ADDRESS_BYTES_MAX];
    uint16_t port = 0;
    const struct err e = address_parse(address, host, &port);
    assert_string_equal(e.text, "");
    assert_string_equal(host, host_wanted);
    assert_int_equal(port, port_wanted);
}

static void test_address_of_good_form_gives_host_and_port(void **state)
{
    (void)state;
    assert_address("127.0.0.1:7400", "127.0.0.1", 7400);
    assert_address("h:1", "h", 1);
    assert_address("3com.example:65535", "3com.example", 65535);
    assert_address("replica_0-a.example.:80", "replica_0-a.example.", 80);
    assert_address("[::1]:7401", "::1", 7401);
    assert_address("[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4", 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_seal_count_over_its_maximum_is_refused),
        cmocka_unit_test(test_group_seal_bad_text_in_memory_is_refused),
        cmocka_unit_test(test_group_seal_without_members_is_refused_but_sealed_as_draft),
        cmocka_unit_test(test_group_new_has_the_default_parameters),
        cmocka_unit_test(test_group_of_1_member_written_and_read_is_the_same),
        cmocka_unit_test(test_group_of_128_members_and_1024_clients_written_and_read_is_the_same),
        cmocka_unit_test(test_group_of_129_members_is_refused),
        cmocka_unit_test(test_group_of_1025_clients_is_refused),
        cmocka_unit_test(test_group_write_over_a_file_replaces_it_and_keeps_its_mode),
        cmocka_unit_test(test_group_write_into_missing_directory_is_refused),
        cmocka_unit_test(test_group_write_over_a_directory_is_refused_and_leaves_nothing),
        cmocka_unit_test(test_group_write_of_a_path_without_slash_works),
        cmocka_unit_test(test_group_draft_create_over_a_file_is_refused),
        cmocka_unit_test(test_group_read_of_what_is_no_file_is_refused),
        cmocka_unit_test(test_group_read_of_a_file_over_the_limit_is_refused),
        cmocka_unit_test(test_group_read_of_a_draft_is_refused_but_read_as_draft),
        cmocka_unit_test(test_group_lookup_of_what_is_not_there_gives_minus_1),
        cmocka_unit_test(test_group_lookup_gives_the_index),
        cmocka_unit_test(test_group_lookup_of_client_in_a_full_group_gives_the_index),
        cmocka_unit_test(test_group_lookup_of_client_in_a_group_without_clients_gives_minus_1),
        cmocka_unit_test(test_group_lookup_of_client_after_another_seal_gives_the_new_index),
        cmocka_unit_test(test_group_role_name_parsed_gives_the_role),
        cmocka_unit_test(test_address_of_bad_form_is_refused),
        cmocka_unit_test(test_address_longer_than_127_bytes_is_refused),
        cmocka_unit_test(test_address_of_good_form_gives_host_and_port),
    };
    return cmocka_run_group_tests(tests, suite_setup, suite_teardown);
}
