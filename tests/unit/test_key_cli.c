/* test_key_cli.c - `pbft key` and `pbft group`: exit codes, what goes to stdout and stderr, what is on disk after. */
#include "keys/key_cli.h"

#include "crypto/keyfile.h"
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

/* The public keys of the seeds 01..01 to 04..04. */
#define KEY_1 "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
#define KEY_2 "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"
#define KEY_3 "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1"
#define KEY_4 "ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c"
#define OUTPUT_BYTES 16384u
#define WORDS_MAX 20
#define TEXT_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

/* The test's directory is the working directory, so that files have short names. */
static char directory[] = "/tmp/pbft-test-key-cli-XXXXXX";
static char out[OUTPUT_BYTES];
static char err[OUTPUT_BYTES];

static int suite_setup(void **state)
{
    (void)state;
    const struct err e = sign_start();
    return err_is(&e) || mkdtemp(directory) == NULL || chdir(directory) != 0 ? -1 : 0;
}

static int suite_teardown(void **state)
{
    (void)state;
    return chdir("/") != 0 ? -1 : rmdir(directory);
}

static int test_teardown(void **state)
{
    (void)state;
    static const char *const files[] = {"a.key", "b.key", "dev.key", "a.pub", "g.json", "open.key"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        (void)unlink(files[i]);
    return 0;
}

static void output_take(FILE *from, char text[OUTPUT_BYTES])
{
    rewind(from);
    text[fread(text, 1, OUTPUT_BYTES - 1, from)] = '\0';
    (void)fclose(from);
}

/* Runs one command with stdout going to `to` and stderr caught in `err`. line[0] is "key" or "group". */
static int run_words_into(FILE *to, char *const *line, bool json)
{
    char *words[WORDS_MAX];
    int count = 0;
    for (; line[count + 1] != NULL; count++)
        words[count] = line[count + 1];
    words[count] = NULL;
    FILE *caught = tmpfile();
    assert_non_null(to);
    assert_non_null(caught);
    (void)fflush(stdout);
    (void)fflush(stderr);
    const int kept_out = dup(STDOUT_FILENO);
    const int kept_err = dup(STDERR_FILENO);
    (void)dup2(fileno(to), STDOUT_FILENO);
    (void)dup2(fileno(caught), STDERR_FILENO);
    const bool key = strcmp(line[0], "key") == 0;
    const int code = key ? key_cli_main(count, words, json) : group_cli_main(count, words, json);
    (void)fflush(stdout);
    (void)fflush(stderr);
    clearerr(stdout);
    (void)dup2(kept_out, STDOUT_FILENO);
    (void)dup2(kept_err, STDERR_FILENO);
    (void)close(kept_out);
    (void)close(kept_err);
    output_take(caught, err);
    return code;
}

static int run_words(char *const *line, bool json)
{
    FILE *caught = tmpfile();
    const int code = run_words_into(caught, line, json);
    output_take(caught, out);
    return code;
}

#define RUN(...) run_words((char *[]){__VA_ARGS__, NULL}, false)
#define RUN_JSON(...) run_words((char *[]){__VA_ARGS__, NULL}, true)
#define ADD_MEMBER(signing, transport)                                                                                 \
    RUN("group", "add", "g.json", "member", "--organisation", "Acme", "--signing-key", signing, "--transport-key",     \
        transport, "--address", "127.0.0.1:7400")
#define ADD_CLIENT(name, key) RUN("group", "add", "g.json", "client", "--name", name, "--role", "writer", "--key", key)

/* The command failed as it should: nothing on stdout, a message that says so on stderr. */
static void assert_failed(int code, int code_wanted, const char *why)
{
    if (code != code_wanted || strstr(err, why) == NULL)
        fail_msg("wanted code %d and \"%s\", got %d, \"%s\"", code_wanted, why, code, err);
    assert_int_equal(strncmp(err, "pbft: ", 6), 0);
    assert_string_equal(out, "");
}

static void assert_worked(int code)
{
    if (code != 0) fail_msg("code %d, \"%s\"", code, err);
    assert_string_equal(err, "");
    assert_string_not_equal(out, "");
}

static json_t *out_json(void)
{
    json_t *root = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    return root;
}

static const char *text_of(const json_t *root, const char *name)
{
    const char *text = json_string_value(json_object_get(root, name));
    assert_non_null(text);
    return text;
}

/* The secret key file of a seed of 32 times one byte. */
static void key_file_make(const char *path, uint8_t seed_byte, bool development)
{
    uint8_t seed[32];
    struct secret_key secret;
    struct public_key public;
    memset(seed, seed_byte, sizeof seed);
    sign_key_from_seed(seed, &secret, &public);
    const struct err e = keyfile_write_secret(path, &secret, development);
    assert_string_equal(e.text, "");
}

static void text_file_make(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
}

static void group_make(bool development)
{
    assert_worked(development ? RUN("group", "new", "g.json", "--name", "acme", "--development")
                              : RUN("group", "new", "g.json", "--name", "acme"));
}

/* --- words and options --- */

static void test_cli_without_or_with_unknown_verb_is_usage(void **state)
{
    (void)state;
    char *none[] = {(char *)"key", NULL};
    assert_failed(run_words(none, false), 2, "a verb is needed");
    assert_failed(RUN("group", "destroy"), 2, "no such verb");
    assert_non_null(strstr(err, "check"));
}

static void test_cli_wrong_number_of_words_is_usage(void **state)
{
    (void)state;
    assert_failed(RUN("key", "new"), 2, "FILE is missing");
    assert_failed(RUN("key", "show"), 2, "FILE is missing");
    assert_failed(RUN("key", "show", "a", "b"), 2, "\"b\" is one word too many");
    assert_failed(RUN("key", "show", "a", "--", "--b"), 2, "\"--b\" is one word too many");
    assert_failed(RUN("key", "show", "--", "--help"), 4, "--help does not exist");
    assert_failed(RUN("group", "add", "g.json"), 2, "member|client is missing");
    assert_failed(RUN("group", "check"), 2, "FILE is missing");
}

static void test_cli_bad_option_is_usage(void **state)
{
    (void)state;
    assert_failed(RUN("key", "new", "a.key", "--fast"), 2, "no option --fast");
    assert_failed(RUN("key", "new", "a.key", "-x"), 2, "no option -x");
    assert_failed(RUN("key", "show", "a.key", "--development"), 2, "no option --development");
    assert_failed(RUN("key", "new", "a.key", "--development=yes"), 2, "--development=yes takes no value");
    assert_failed(RUN("group", "new", "g.json", "--name"), 2, "--name needs a value");
    assert_failed(RUN("group", "new", "g.json", "--name", "a", "--name", "a"), 2, "--name is given twice");
    assert_int_equal(access("a.key", F_OK), -1);
    assert_int_equal(access("g.json", F_OK), -1);
}

static void test_cli_missing_option_is_usage(void **state)
{
    (void)state;
    assert_failed(RUN("group", "new", "g.json"), 2, "--name NAME is missing");
    group_make(false);
    assert_failed(RUN("group", "add", "g.json", "member", "--organisation", "A"), 2, "--signing-key KEY is missing");
    assert_failed(RUN("group", "add", "g.json", "client", "--name", "A", "--role", "admin"), 2, "--key KEY is missing");
}

static void test_cli_option_or_kind_that_does_not_fit_is_usage(void **state)
{
    (void)state;
    assert_failed(RUN("group", "add", "g.json", "replica"), 2, "\"replica\" is none of member|client");
    assert_failed(
        RUN("group", "add", "g.json", "client", "--name", "a", "--role", "admin", "--key", KEY_1, "--address", "h:1"),
        2, "--address belongs to a member, not to a client");
    assert_failed(RUN("group", "add", "g.json", "member", "--role", "admin"), 2, "--role belongs to a client");
}

static void test_cli_help_goes_to_stdout(void **state)
{
    (void)state;
    static const char *const verbs[][2] = {{"key", "new"},   {"key", "show"},   {"group", "new"},
                                           {"group", "add"}, {"group", "show"}, {"group", "check"}};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        assert_worked(RUN((char *)verbs[i][0], (char *)verbs[i][1], "--help"));
        assert_non_null(strstr(out, "usage: pbft "));
        assert_non_null(strstr(out, verbs[i][1]));
        assert_non_null(strstr(out, "FILE"));
        assert_non_null(strstr(out, "\n  -o table|json "));
        assert_non_null(strstr(out, "\nExit codes: 0 ok, "));
    }
    assert_worked(RUN("group", "add", "-h"));
    assert_non_null(strstr(out, "--transport-key KEY"));
    assert_worked(RUN("key", "--help"));
    assert_non_null(strstr(out, "show"));
}

static void test_cli_call_after_a_failed_one_starts_afresh(void **state)
{
    (void)state;
    /* getopt stops in the middle of "-xh"; the rest must not be taken for the next call's. */
    assert_failed(RUN("key", "new", "a.key", "-xh"), 2, "no option -x");
    assert_failed(RUN("key", "show", "b.key"), 4, "b.key does not exist");
}

/* --- key --- */

static void test_key_new_over_a_file_is_refused(void **state)
{
    (void)state;
    text_file_make("a.key", "precious");
    assert_failed(RUN("key", "new", "a.key"), 4, "a.key exists");
    assert_failed(RUN("key", "new", "no/a.key"), 4, "no/a.key");
}

static void test_key_new_writes_a_private_file_and_prints_its_public_key(void **state)
{
    (void)state;
    struct stat status;
    struct secret_key secret;
    bool development = true;
    char hex[65];
    char pem[KEYFILE_PEM_BYTES_MAX];
    assert_worked(RUN("key", "new", "a.key"));
    assert_int_equal(stat("a.key", &status), 0);
    assert_int_equal(status.st_mode & 07777u, 0600);
    const struct err e = keyfile_read_secret("a.key", &secret, &development);
    assert_string_equal(e.text, "");
    assert_false(development);
    const struct public_key key = secret_key_public(&secret);
    hex_encode(hex, key.bytes, PUBLIC_KEY_BYTES);
    keyfile_public_pem(&key, pem);
    assert_non_null(strstr(out, hex));
    assert_non_null(strstr(out, pem));
    assert_null(strstr(out, "PRIVATE"));
    hex_encode(hex, secret.bytes, 32);
    assert_null(strstr(out, hex));
    secret_key_wipe(&secret);
}

static void test_key_new_development_marks_the_file(void **state)
{
    (void)state;
    struct secret_key secret;
    bool development = false;
    assert_worked(RUN_JSON("key", "new", "--development", "dev.key"));
    const struct err e = keyfile_read_secret("dev.key", &secret, &development);
    assert_string_equal(e.text, "");
    assert_true(development);
    json_t *root = out_json();
    assert_true(json_is_true(json_object_get(root, "development")));
    assert_string_equal(text_of(root, "file"), "dev.key");
    assert_int_equal(strlen(text_of(root, "public_key")), 64);
    assert_null(strstr(out, "PRIVATE"));
    json_decref(root);
    secret_key_wipe(&secret);
}

static void test_key_show_of_what_is_no_key_is_refused(void **state)
{
    (void)state;
    assert_failed(RUN("key", "show", "a.key"), 4, "a.key does not exist");
    text_file_make("a.key", "no key");
    assert_failed(RUN("key", "show", "a.key"), 4, "a.key");
    assert_failed(RUN("key", "show", "."), 4, "regular file");
    key_file_make("open.key", 1, false);
    assert_int_equal(chmod("open.key", 0644), 0);
    assert_failed(RUN("key", "show", "open.key"), 4, "chmod 600");
}

static void test_key_show_of_secret_file_shows_only_the_public_key(void **state)
{
    (void)state;
    key_file_make("a.key", 1, false);
    key_file_make("dev.key", 2, true);
    assert_worked(RUN("key", "show", "a.key"));
    assert_non_null(strstr(out, "public key   " KEY_1 "\n"));
    assert_non_null(strstr(out, "development  no\n"));
    assert_non_null(strstr(out, "holds        secret key\n"));
    assert_non_null(strstr(out, "-----BEGIN PUBLIC KEY-----\n"));
    assert_null(strstr(out, "PRIVATE"));
    assert_null(strstr(out, "0101010101010101"));
    assert_null(strstr(out, "AQEBAQEBAQEB"));
    assert_worked(RUN("key", "show", "dev.key"));
    assert_non_null(strstr(out, "development  yes"));
    assert_worked(RUN_JSON("key", "show", "a.key"));
    json_t *root = out_json();
    assert_string_equal(text_of(root, "public_key"), KEY_1);
    assert_string_equal(text_of(root, "holds"), "secret key");
    assert_true(json_is_false(json_object_get(root, "development")));
    json_decref(root);
}

static void test_key_show_of_public_file_does_not_guess_development(void **state)
{
    (void)state;
    char pem[KEYFILE_PEM_BYTES_MAX];
    struct public_key key;
    assert_true(hex_decode(KEY_3, key.bytes, PUBLIC_KEY_BYTES));
    keyfile_public_pem(&key, pem);
    text_file_make("a.pub", pem);
    assert_worked(RUN("key", "show", "a.pub"));
    assert_non_null(strstr(out, KEY_3));
    assert_non_null(strstr(out, pem));
    assert_non_null(strstr(out, "development  unknown"));
    assert_worked(RUN_JSON("key", "show", "a.pub"));
    json_t *root = out_json();
    assert_true(json_is_null(json_object_get(root, "development")));
    assert_string_equal(text_of(root, "holds"), "public key");
    assert_string_equal(text_of(root, "public_key_pem"), pem);
    json_decref(root);
}

static void test_cli_full_stdout_is_reported(void **state)
{
    (void)state;
    key_file_make("a.key", 1, false);
    FILE *full = fopen("/dev/full", "w");
    assert_int_equal(run_words_into(full, (char *[]){"key", "show", "a.key", NULL}, false), 4);
    assert_non_null(strstr(err, "standard output"));
    (void)fclose(full);
}

/* --- group --- */

static void test_group_new_with_bad_name_is_usage_and_leaves_no_file(void **state)
{
    (void)state;
    assert_failed(RUN("group", "new", "g.json", "--name", ""), 2, "--name: empty");
    assert_failed(RUN("group", "new", "g.json", "--name", TEXT_63 "l"), 2, "--name: longer than 63 bytes");
    assert_failed(RUN("group", "new", "g.json", "--name", "a\nb"), 2, "--name: has a control character");
    assert_failed(RUN("group", "new", "g.json", "--name", "\xff"), 2, "--name: not UTF-8");
    assert_int_equal(access("g.json", F_OK), -1);
}

static void test_group_new_over_a_file_is_refused(void **state)
{
    (void)state;
    group_make(false);
    assert_failed(RUN("group", "new", "g.json", "--name", "other"), 4, "g.json: exists already");
    assert_worked(RUN("group", "show", "g.json"));
    assert_non_null(strstr(out, "acme"));
}

static void test_group_new_is_unfinished(void **state)
{
    (void)state;
    group_make(true);
    assert_failed(RUN("group", "check", "g.json"), 4, "g.json: members: the group has none yet");
    assert_worked(RUN("group", "show", "g.json"));
    assert_non_null(strstr(out, "id           none before there are members\n"));
    assert_non_null(strstr(out, "development  yes\n"));
    assert_non_null(strstr(out, "N            0 members\n"));
    assert_worked(RUN_JSON("group", "show", "g.json"));
    json_t *root = out_json();
    assert_true(json_is_null(json_object_get(root, "id")));
    assert_true(json_is_null(json_object_get(root, "quorum")));
    assert_int_equal(json_integer_value(json_object_get(root, "replica_count")), 0);
    json_decref(root);
}

static void test_group_add_to_missing_or_broken_file_is_refused(void **state)
{
    (void)state;
    assert_failed(ADD_CLIENT("c", KEY_1), 4, "g.json: does not exist");
    text_file_make("g.json", "{");
    assert_failed(ADD_CLIENT("c", KEY_1), 4, "g.json: line 1");
}

static void test_group_add_with_bad_value_is_usage_and_changes_nothing(void **state)
{
    (void)state;
    group_make(false);
    assert_failed(RUN("group", "add", "g.json", "member", "--organisation", "\x7f", "--signing-key", KEY_1,
                      "--transport-key", KEY_2, "--address", "h:1"),
                  2, "--organisation: has a control character");
    assert_failed(RUN("group", "add", "g.json", "member", "--organisation", "A", "--signing-key", KEY_1,
                      "--transport-key", KEY_2, "--address", "h"),
                  2, "--address: has no port");
    assert_failed(RUN("group", "add", "g.json", "client", "--name", "c", "--role", "root", "--key", KEY_1), 2,
                  "--role: \"root\" is none of");
    assert_failed(ADD_CLIENT(TEXT_63 "l", KEY_1), 2, "--name: longer");
    struct group *g = NULL;
    const struct err e = group_draft_read("g.json", &g);
    assert_string_equal(e.text, "");
    assert_int_equal(g->member_count + g->client_count, 0);
    group_free(g);
}

static void test_group_add_bad_key_is_refused(void **state)
{
    (void)state;
    static const char neutral[] = "0100000000000000000000000000000000000000000000000000000000000000";
    group_make(false);
    assert_failed(ADD_MEMBER((char *)neutral, KEY_1), 4, "--signing-key: not an Ed25519 public key of prime order");
    assert_failed(ADD_MEMBER(KEY_1, "none.key"), 4, "--transport-key takes 64 hexadecimal digits or a key file");
    assert_failed(ADD_CLIENT("c", KEY_1 "0"), 4, "--key takes 64 hexadecimal digits or a key file");
}

static void test_group_add_key_or_name_already_there_is_refused(void **state)
{
    (void)state;
    group_make(false);
    assert_failed(ADD_MEMBER(KEY_1, KEY_1), 4, "members[0].transport_key: the same key as members[0].signing_key");
    assert_worked(ADD_CLIENT("c", KEY_1));
    assert_failed(ADD_MEMBER(KEY_1, KEY_2), 4, "clients[0].key: the same key as members[0].signing_key");
    assert_failed(ADD_CLIENT("c", KEY_2), 4, "clients[1].name: clients[0] has the same name");
}

static void test_group_add_development_key_to_other_group_is_refused(void **state)
{
    (void)state;
    key_file_make("dev.key", 1, true);
    group_make(false);
    assert_failed(ADD_CLIENT("c", "dev.key"), 4, "dev.key is a development key");
    assert_int_equal(unlink("g.json"), 0);
    group_make(true);
    assert_worked(ADD_CLIENT("c", "dev.key"));
}

static void test_group_add_past_the_maximum_is_refused(void **state)
{
    (void)state;
    struct group *g = group_new();
    struct secret_key secret;
    memcpy(g->name, "full", 5);
    g->member_count = REPLICAS_MAX;
    for (uint32_t i = 0; i < REPLICAS_MAX; i++) {
        g->members[i] = (struct group_member){.id = i, .organisation = "o", .address = "h:1"};
        sign_key_new(&secret, &g->members[i].signing_key);
        sign_key_new(&secret, &g->members[i].transport_key);
    }
    g->client_count = CLIENTS_MAX;
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        sign_key_new(&secret, &g->clients[i].key);
        (void)snprintf(g->clients[i].name, NAME_BYTES_MAX, "c%u", i);
    }
    const struct err e = group_write("g.json", g);
    assert_string_equal(e.text, "");
    group_free(g);
    assert_failed(ADD_MEMBER(KEY_1, KEY_2), 2, "128 members already");
    assert_failed(ADD_CLIENT("one more", KEY_1), 2, "1024 clients already");
    assert_worked(RUN("group", "show", "g.json"));
    assert_non_null(strstr(out, "f            42 may be faulty in any way\nQ            86 make a quorum\n"));
}

static void test_group_add_from_files_and_digits_gives_a_good_group(void **state)
{
    (void)state;
    struct group *g = NULL;
    char pem[KEYFILE_PEM_BYTES_MAX];
    struct public_key key;
    key_file_make("a.key", 1, false);
    assert_true(hex_decode(KEY_2, key.bytes, PUBLIC_KEY_BYTES));
    keyfile_public_pem(&key, pem);
    text_file_make("a.pub", pem);
    group_make(false);
    assert_worked(ADD_MEMBER("a.key", "a.pub"));
    assert_string_equal(out, "member 0 added\n");
    assert_worked(ADD_CLIENT("zo\xc3\xab", KEY_3));
    assert_string_equal(out, "client zo\xc3\xab added\n");
    assert_worked(RUN_JSON("group", "add", "g.json", "client", "--name", "d", "--role", "reader", "--key", KEY_4));
    json_t *root = out_json();
    assert_string_equal(text_of(root, "client"), "d");
    json_decref(root);
    const struct err e = group_read("g.json", &g);
    assert_string_equal(e.text, "");
    assert_int_equal(g->member_count, 1);
    assert_int_equal(g->client_count, 2);
    assert_string_equal(g->members[0].organisation, "Acme");
    assert_string_equal(g->members[0].address, "127.0.0.1:7400");
    assert_int_equal(g->members[0].signing_key.bytes[0], 0x8a);
    assert_int_equal(g->members[0].transport_key.bytes[0], 0x81);
    assert_int_equal(g->clients[0].role, GROUP_ROLE_WRITER);
    assert_int_equal(g->clients[1].role, GROUP_ROLE_READER);
    group_free(g);
}

static void test_group_show_and_check_print_the_same_id(void **state)
{
    (void)state;
    struct group *g = NULL;
    char hex[65];
    group_make(false);
    assert_worked(ADD_MEMBER(KEY_1, KEY_2));
    assert_worked(ADD_CLIENT("zo\xc3\xab", KEY_3));
    struct err e = group_read("g.json", &g);
    assert_string_equal(e.text, "");
    hex_encode(hex, g->id.bytes, DIGEST_BYTES);
    group_free(g);
    assert_worked(RUN("group", "check", "g.json"));
    assert_non_null(strstr(out, hex));
    assert_worked(RUN("group", "show", "g.json"));
    assert_non_null(strstr(out, hex));
    assert_non_null(strstr(out, "f            0 may be faulty"));
    assert_non_null(strstr(out, "Q            1 make a quorum\n"));
    assert_non_null(strstr(out, "0    Acme          127.0.0.1:7400  " KEY_1 "  " KEY_2 "\n"));
    assert_non_null(strstr(out, "zo\xc3\xab     writer  " KEY_3 "\n"));
    assert_worked(RUN_JSON("group", "check", "g.json"));
    json_t *root = out_json();
    assert_true(json_is_true(json_object_get(root, "good")));
    assert_string_equal(text_of(root, "id"), hex);
    json_decref(root);
    assert_worked(RUN_JSON("group", "show", "g.json"));
    root = out_json();
    assert_string_equal(text_of(root, "id"), hex);
    assert_int_equal(json_integer_value(json_object_get(root, "faulty_max")), 0);
    assert_int_equal(json_integer_value(json_object_get(root, "quorum")), 1);
    /* Its "group" is the file's content, addresses included. */
    char *inner = json_dumps(json_object_get(root, "group"), 0);
    e = group_parse("inner", bytes_of_text(inner), &g);
    assert_string_equal(e.text, "");
    assert_string_equal(g->members[0].address, "127.0.0.1:7400");
    group_free(g);
    free(inner);
    json_decref(root);
}

static void test_group_check_of_a_bad_file_is_refused(void **state)
{
    (void)state;
    assert_failed(RUN("group", "check", "g.json"), 4, "g.json: does not exist");
    assert_failed(RUN("group", "show", "g.json"), 4, "g.json: does not exist");
    text_file_make("g.json", "{\"format\": 3}");
    assert_failed(RUN_JSON("group", "check", "g.json"), 4, "format: must be 1");
}

#define TEST(name) cmocka_unit_test_teardown(name, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_cli_without_or_with_unknown_verb_is_usage),
        TEST(test_cli_wrong_number_of_words_is_usage),
        TEST(test_cli_bad_option_is_usage),
        TEST(test_cli_missing_option_is_usage),
        TEST(test_cli_option_or_kind_that_does_not_fit_is_usage),
        TEST(test_cli_help_goes_to_stdout),
        TEST(test_cli_call_after_a_failed_one_starts_afresh),
        TEST(test_key_new_over_a_file_is_refused),
        TEST(test_key_new_writes_a_private_file_and_prints_its_public_key),
        TEST(test_key_new_development_marks_the_file),
        TEST(test_key_show_of_what_is_no_key_is_refused),
        TEST(test_key_show_of_secret_file_shows_only_the_public_key),
        TEST(test_key_show_of_public_file_does_not_guess_development),
        TEST(test_cli_full_stdout_is_reported),
        TEST(test_group_new_with_bad_name_is_usage_and_leaves_no_file),
        TEST(test_group_new_over_a_file_is_refused),
        TEST(test_group_new_is_unfinished),
        TEST(test_group_add_to_missing_or_broken_file_is_refused),
        TEST(test_group_add_with_bad_value_is_usage_and_changes_nothing),
        TEST(test_group_add_bad_key_is_refused),
        TEST(test_group_add_key_or_name_already_there_is_refused),
        TEST(test_group_add_development_key_to_other_group_is_refused),
        TEST(test_group_add_past_the_maximum_is_refused),
        TEST(test_group_add_from_files_and_digits_gives_a_good_group),
        TEST(test_group_show_and_check_print_the_same_id),
        TEST(test_group_check_of_a_bad_file_is_refused),
    };
    return cmocka_run_group_tests(tests, suite_setup, suite_teardown);
}
