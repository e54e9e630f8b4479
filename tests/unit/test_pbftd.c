/* test_pbftd.c - the daemon's command line, configuration, keys, data directory and signals: what an operator can get
 * wrong, and what pbftd says and does then. Exit codes: 0 ok, 2 usage, 4 bad configuration or key, 5 corrupt data.
 *
 * `cold` is a group of four that never runs: its members are started to fail. `warm` is one replica that runs.
 */
#include "base/clock.h"
#include "base/prng.h"
#include "crypto/keyfile.h"
#include "ledger/data_dir.h"
#include "tests/fixture/live_peer.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT_BYTES 1024u

static struct live_group cold;
static struct live_group warm;
static char output[LIVE_OUTPUT_BYTES];

static int suite_setup(void **state)
{
    (void)state;
    live_group_make(&cold, 4, 1);
    live_group_start(&warm, 1, 1);
    return 0;
}

static int suite_teardown(void **state)
{
    (void)state;
    live_group_end(&cold);
    live_group_end(&warm);
    return 0;
}

/* The running replica is not disturbed by anything that goes on beside it. */
static int test_teardown(void **state)
{
    (void)state;
    live_check_healthy(&warm);
    return 0;
}

static void expect(char *const *words, int code, const char *text)
{
    const int got = live_run(&cold, words, output);
    if (got != code || strstr(output, text) == NULL)
        fail_msg("wanted exit code %d and \"%s\", got %d and \"%s\"", code, text, got, output);
}

#define EXPECT(code, text, ...) expect((char *[]){__VA_ARGS__, NULL}, code, text)

/* What a configuration of replica 0 of `cold` says; each test changes a line. */
struct lines {
    const char *id;
    const char *group;
    const char *data;
    const char *signing;
    const char *transport;
    const char *production;
    const char *rest;
};

static const struct lines good = {"0", "../group.json", "data", "signing.key", "transport.key", "no", ""};

/* Writes r0/trial.conf and gives its path. */
static char *config_of(const struct lines *l)
{
    static char path[LIVE_PATH_BYTES];
    char text[TEXT_BYTES];
    (void)snprintf(
        text, sizeof text,
        "[replica]\nid = %s\ngroup = %s\ndata = %s\nsigning_key = %s\ntransport_key = %s\nproduction = %s\n%s", l->id,
        l->group, l->data, l->signing, l->transport, l->production, l->rest);
    live_path(&cold, "r0/trial.conf", path);
    live_write(path, text);
    return path;
}

static void expect_config(const struct lines *l, int code, const char *text)
{
    EXPECT(code, text, "--config", config_of(l));
}

/* ---- the command line ---- */

static void test_words_wrong_usage(void **state)
{
    (void)state;
    EXPECT(2, "usage: pbftd", NULL);
    EXPECT(2, "usage: pbftd", "--no-such-flag");
    EXPECT(2, "usage: pbftd", "--config");
    EXPECT(2, "usage: pbftd", "--config", cold.replicas[0].config, "more");
    EXPECT(0, "usage: pbftd", "--help");
    EXPECT(0, "pbftd ", "--version");
}

static void test_check_config_good_and_bad(void **state)
{
    struct lines bad = good;
    (void)state;
    EXPECT(0, "ok: replica 0 of 4 in group test", "--config", config_of(&good), "--check-config");
    bad.id = "4";
    EXPECT(4, "has 4 members", "--config", config_of(&bad), "--check-config");
    EXPECT(2, "exclude each other", "--config", config_of(&good), "--check-config", "--init");
    EXPECT(2, "exclude each other", "--config", config_of(&good), "--check-config", "--record", "file");
    EXPECT(2, "exclude each other", "--config", config_of(&good), "--init", "--init-new-group");
    EXPECT(2, "goes with --record", "--config", config_of(&good), "--record-size", "5");
}

/* ---- the configuration file ---- */

static void test_config_missing_file_exit_4(void **state)
{
    (void)state;
    EXPECT(4, "/no/such/pbftd.conf", "--config", "/no/such/pbftd.conf");
    EXPECT(4, "as a configuration file", "--config", "/");
}

static void test_config_unknown_key_names_file_and_line(void **state)
{
    struct lines l = good;
    (void)state;
    l.rest = "colour = blue\n";
    expect_config(&l, 4, "trial.conf line 8: unknown key [replica] colour");
    l.rest = "[no-such]\nlevel = info\n";
    expect_config(&l, 4, "trial.conf line 9: unknown key [no-such] level");
    l.rest = "what is this\n";
    expect_config(&l, 4, "trial.conf line 8: ");
}

static void test_config_duplicate_key_names_file_and_line(void **state)
{
    struct lines l = good;
    (void)state;
    l.rest = "id = 0\n";
    expect_config(&l, 4, "trial.conf line 8: [replica] id = 0 stands twice");
}

static void test_config_missing_key_named(void **state)
{
    char path[LIVE_PATH_BYTES];
    (void)state;
    live_path(&cold, "r0/trial.conf", path);
    live_write(path, "[replica]\nid = 0\n");
    EXPECT(4, "[replica] group is missing", "--config", path);
    live_write(path, "");
    EXPECT(4, "[replica] id is missing", "--config", path);
}

static void test_config_values_wrong_told(void **state)
{
    static const struct {
        const char *rest;
        const char *why;
    } wrong[] = {{"[log]\nlevel = loud\n", "is none of debug, info, warn, error"},
                 {"[log]\nformat = xml\n", "is neither logfmt nor json"},
                 {"[tuning]\nresend_ms = 1\n", "is out of range"},
                 {"[tuning]\nresend_ms = -5\n", "is not a whole number"},
                 {"[tuning]\npipeline = 99999999999999999999\n", "is not a whole number"},
                 {"listen = nowhere\n", "is not an address"}};
    struct lines l = good;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        l.rest = wrong[i].rest;
        expect_config(&l, 4, wrong[i].why);
    }
    l = good;
    l.production = "perhaps";
    expect_config(&l, 4, "is neither yes nor no");
    l = good;
    l.id = "one";
    expect_config(&l, 4, "is not a whole number");
}

/* ---- keys and group ---- */

static void test_key_readable_by_others_refused(void **state)
{
    char path[LIVE_PATH_BYTES];
    (void)state;
    live_path(&cold, "r0/signing.key", path);
    assert_int_equal(chmod(path, 0644), 0);
    expect_config(&good, 4, "signing.key");
    assert_int_equal(chmod(path, 0600), 0);
    EXPECT(0, "ok: replica", "--config", config_of(&good), "--check-config");
}

static void test_key_missing_wrong_or_no_key_refused(void **state)
{
    struct lines l = good;
    char path[LIVE_PATH_BYTES];
    (void)state;
    l.transport = "no-such.key";
    expect_config(&l, 4, "no-such.key");
    l.transport = "../r1/transport.key";
    expect_config(&l, 4, "is not the transport key that");
    l.transport = "signing.key";
    expect_config(&l, 4, "is not the transport key that");
    l = good;
    l.signing = "../r1/signing.key";
    expect_config(&l, 4, "is not the signing key that");
    live_path(&cold, "r0/garbage.key", path);
    live_write(path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    assert_int_equal(chmod(path, 0600), 0);
    l.signing = "garbage.key";
    expect_config(&l, 4, "garbage.key");
}

static void test_development_key_in_production_refused(void **state)
{
    struct lines l = good;
    (void)state;
    l.production = "yes";
    expect_config(&l, 4, "development");
}

/* A key with the development mark, in a group that has none. */
static void test_development_key_in_production_group_refused(void **state)
{
    struct lines l = good;
    struct group *g;
    char path[LIVE_PATH_BYTES];
    (void)state;
    live_path(&cold, "production.json", path);
    struct err e = group_read(cold.group_path, &g);
    assert_int_equal(e.code, ERR_NONE);
    g->development = false;
    e = group_seal(g);
    assert_int_equal(e.code, ERR_NONE);
    e = group_write(path, g);
    assert_int_equal(e.code, ERR_NONE);
    group_free(g);
    l.group = "../production.json";
    l.production = "yes";
    expect_config(&l, 4, "is a development key");
}

static void test_group_file_missing_or_broken_refused(void **state)
{
    struct lines l = good;
    char path[LIVE_PATH_BYTES];
    (void)state;
    l.group = "no-such.json";
    expect_config(&l, 4, "no-such.json");
    live_path(&cold, "broken.json", path);
    live_write(path, "{\"format\": 1, \"format\": 1}");
    l.group = "../broken.json";
    expect_config(&l, 4, "broken.json");
}

/* ---- the data directory ---- */

static void data_path(const char *name, char path[LIVE_PATH_BYTES])
{
    char below[64];
    (void)snprintf(below, sizeof below, "r0/data%s", name);
    live_path(&cold, below, path);
}

static int fresh_data(void **state)
{
    char path[LIVE_PATH_BYTES];
    (void)state;
    data_path("", path);
    if (access(path, F_OK) == 0) live_remove(path);
    EXPECT(0, "", "--config", cold.replicas[0].config, "--init-new-group");
    return 0;
}

static void test_data_missing_says_init(void **state)
{
    struct lines l = good;
    (void)state;
    l.data = "nothing-here";
    expect_config(&l, 4, "pbftd --config FILE --init");
}

static void test_init_twice_refused(void **state)
{
    (void)state;
    EXPECT(4, "is a data directory already", "--config", cold.replicas[0].config, "--init");
}

static void test_data_of_another_replica_refused(void **state)
{
    struct lines l = good;
    (void)state;
    l.data = "../r1/data";
    expect_config(&l, 4, "belongs to replica 1, the configuration says 0");
}

static void test_data_of_another_group_refused(void **state)
{
    struct lines l = good;
    struct group *g;
    char path[LIVE_PATH_BYTES];
    (void)state;
    live_path(&cold, "other.json", path);
    struct err e = group_read(cold.group_path, &g);
    assert_int_equal(e.code, ERR_NONE);
    (void)snprintf(g->name, sizeof g->name, "another");
    e = group_seal(g);
    assert_int_equal(e.code, ERR_NONE);
    e = group_write(path, g);
    assert_int_equal(e.code, ERR_NONE);
    group_free(g);
    l.group = "../other.json";
    expect_config(&l, 4, "belongs to group");
}

static void test_data_of_another_format_refused(void **state)
{
    struct data_dir d;
    char path[LIVE_PATH_BYTES];
    const struct wire_store_identity later = {.format = LOG_STORE_FORMAT + 1, .group = cold.group->id};
    (void)state;
    data_path("", path);
    struct err e = data_dir_open(path, cold.group, 0, &d);
    assert_int_equal(e.code, ERR_NONE);
    struct kv_batch *b = kv_batch_new();
    log_put_identity(b, &later);
    e = kv_store_apply(d.log, b);
    assert_int_equal(e.code, ERR_NONE);
    kv_batch_free(b);
    data_dir_close(&d);
    expect_config(&good, 4, "has format");
}

/* Neither a fence nor a transfer helps there. */
static void test_data_log_damaged_names_the_action(void **state)
{
    char path[LIVE_PATH_BYTES];
    struct data_dir d;
    (void)state;
    (void)fresh_data(NULL);
    data_path("", path);
    struct err e = data_dir_open(path, cold.group, 0, &d);
    assert_int_equal(e.code, ERR_NONE);
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, LOG_TABLE_META, bytes_of_text("stable"), bytes_of_text("garbage"));
    e = kv_store_apply(d.log, b);
    assert_int_equal(e.code, ERR_NONE);
    kv_batch_free(b);
    data_dir_close(&d);
    expect_config(&good, 5, "make a new one with pbftd --config FILE --init");
}

static void cut_and_start(const char *name, off_t bytes, const char *text)
{
    char path[LIVE_PATH_BYTES];
    (void)fresh_data(NULL);
    data_path(name, path);
    assert_int_equal(truncate(path, bytes), 0);
    expect_config(&good, 5, text);
}

static void test_data_truncated_corrupt_no_signal(void **state)
{
    (void)state;
    cut_and_start("/log/data.mdb", 0, "cut");
    cut_and_start("/log/data.mdb", 4096, "cut");
    cut_and_start("/log/data.mdb", 3 * 4096, "was cut");
    cut_and_start("/state/data.mdb", 100, "cut");
    cut_and_start("/state/data.mdb", 3 * 4096, "was cut");
}

/* Overwrites a part of a file with noise, from one byte to another. */
static void spoil(const char *name, uint64_t seed, size_t from, size_t to)
{
    char path[LIVE_PATH_BYTES];
    struct stat st;
    struct prng random = prng_of(seed);
    data_path(name, path);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    if (to > (size_t)st.st_size) to = (size_t)st.st_size;
    for (size_t at = from; at + 8 <= to; at += 8) {
        const uint64_t noise = prng_next(&random);
        assert_int_equal(pwrite(fd, &noise, sizeof noise, (off_t)at), sizeof noise);
    }
    (void)close(fd);
}

static void test_data_garbage_corrupt_no_signal(void **state)
{
    static const char *const files[] = {"/log/data.mdb", "/state/data.mdb"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        (void)fresh_data(NULL);
        spoil(files[i], 1, 0, 65536);
        expect_config(&good, 5, "data.mdb");
    }
}

/* An error of a start is worth what it says there is to do. */
static void test_data_lost_names_the_action(void **state)
{
    static const char *const files[] = {"/log/data.mdb", "/state/data.mdb"};
    char path[LIVE_PATH_BYTES];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        (void)fresh_data(NULL);
        data_path(files[i], path);
        assert_int_equal(unlink(path), 0);
        expect_config(&good, 5, "make a new one with pbftd --config FILE --init");
    }
}

/* ---- beside one that runs ---- */

static void test_second_process_on_one_directory_refused(void **state)
{
    (void)state;
    EXPECT(4, "another process runs on the data directory", "--config", warm.replicas[0].config);
}

static void test_port_in_use_refused(void **state)
{
    struct lines l = good;
    char rest[64];
    (void)state;
    (void)fresh_data(NULL);
    (void)snprintf(rest, sizeof rest, "listen = %s:%u\n", warm.host, warm.replicas[0].port);
    l.rest = rest;
    expect_config(&l, 4, "cannot listen on");
}

/* ---- signals ---- */

static void write_level(const char *level)
{
    char text[TEXT_BYTES];
    (void)snprintf(text, sizeof text,
                   "[replica]\nid = 0\ngroup = ../group.json\ndata = data\nsigning_key = signing.key\n"
                   "transport_key = transport.key\nproduction = no\n[log]\nlevel = %s\n",
                   level);
    live_write(warm.replicas[0].config, text);
}

static void test_hangup_reads_log_level_again(void **state)
{
    (void)state;
    write_level("debug");
    live_replica_signal(&warm, 0, SIGHUP);
    live_log_wait(&warm, 0, "event=config.reloaded", 1);
    LIVE_UNTIL_LOGGED(&warm, 0, "level=debug", raw_peer_free(live_peer_client(&warm, 0, 0)));
    write_level("info");
    live_replica_signal(&warm, 0, SIGHUP);
    live_log_wait(&warm, 0, "event=config.reloaded", 2);
}

static void test_hangup_broken_file_logged_and_goes_on(void **state)
{
    (void)state;
    write_level("deafening");
    live_replica_signal(&warm, 0, SIGHUP);
    live_log_wait(&warm, 0, "event=config.not-reloaded", 1);
    assert_int_equal(live_log_count(&warm, 0, "is none of debug, info, warn, error"), 1);
    assert_int_equal(unlink(warm.replicas[0].config), 0);
    live_replica_signal(&warm, 0, SIGHUP);
    live_log_wait(&warm, 0, "event=config.not-reloaded", 2);
    write_level("info");
}

static void test_hangup_another_group_logged_and_goes_on(void **state)
{
    struct group *g;
    (void)state;
    struct err e = group_read(warm.group_path, &g);
    assert_int_equal(e.code, ERR_NONE);
    (void)snprintf(g->name, sizeof g->name, "another");
    e = group_seal(g);
    assert_int_equal(e.code, ERR_NONE);
    e = group_write(warm.group_path, g);
    assert_int_equal(e.code, ERR_NONE);
    group_free(g);
    live_replica_signal(&warm, 0, SIGHUP);
    live_log_wait(&warm, 0, "is another group now", 1);
    e = group_write(warm.group_path, warm.group);
    assert_int_equal(e.code, ERR_NONE);
}

static void test_terminated_exits_0_and_starts_clean(void **state)
{
    (void)state;
    const uint32_t clean_before = live_log_count(&warm, 0, "stop=clean");
    live_replica_signal(&warm, 0, SIGTERM);
    live_replica_signal(&warm, 0, SIGTERM); /* twice is no more than once */
    assert_int_equal(live_replica_wait(&warm, 0, 20000u * LIVE_STRETCH), 0);
    live_replica_start(&warm, 0);
    live_log_wait(&warm, 0, "stop=clean", clean_before + 1);
}

/* Fewer descriptors than connections: it waits for some without spinning, and says so. */
static void test_descriptors_used_up_no_spin_goes_on(void **state)
{
    enum { STRANGERS = 80 };
    int fds[STRANGERS];
    (void)state;
    pbft_close(warm.client);
    warm.client = NULL;
    live_replica_signal(&warm, 0, SIGTERM);
    assert_int_equal(live_replica_wait(&warm, 0, 20000u * LIVE_STRETCH), 0);
    warm.files_max = 48;
    live_replica_start(&warm, 0);
    live_log_wait(&warm, 0, "event=limits.open-files", 1);
    live_commit(&warm);
    for (uint32_t i = 0; i < STRANGERS; i++) {
        fds[i] = raw_peer_tcp(warm.host, warm.replicas[0].port, false);
        assert_true(fds[i] >= 0);
    }
    live_log_wait(&warm, 0, "event=net.no-descriptors", 1);
    const uint64_t cpu_before_ms = live_replica_cpu_ms(&warm, 0);
    for (const uint64_t until = live_deadline_us(1000); clock_monotonic_us() < until;)
        live_pause(); /* what is measured: a second of it */
    assert_in_range(live_replica_cpu_ms(&warm, 0) - cpu_before_ms, 0, 500);
    live_commit(&warm); /* those inside are served */
    for (uint32_t i = 0; i < STRANGERS; i++)
        (void)close(fds[i]);
}

#define PBFTD_TEST(test) cmocka_unit_test_teardown(test, test_teardown)
#define PBFTD_TEST_FRESH(test) cmocka_unit_test_setup_teardown(test, fresh_data, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PBFTD_TEST(test_words_wrong_usage),
        PBFTD_TEST(test_check_config_good_and_bad),
        PBFTD_TEST(test_config_missing_file_exit_4),
        PBFTD_TEST(test_config_unknown_key_names_file_and_line),
        PBFTD_TEST(test_config_duplicate_key_names_file_and_line),
        PBFTD_TEST(test_config_missing_key_named),
        PBFTD_TEST(test_config_values_wrong_told),
        PBFTD_TEST(test_key_readable_by_others_refused),
        PBFTD_TEST(test_key_missing_wrong_or_no_key_refused),
        PBFTD_TEST(test_development_key_in_production_refused),
        PBFTD_TEST(test_development_key_in_production_group_refused),
        PBFTD_TEST(test_group_file_missing_or_broken_refused),
        PBFTD_TEST(test_data_missing_says_init),
        PBFTD_TEST_FRESH(test_init_twice_refused),
        PBFTD_TEST(test_data_of_another_replica_refused),
        PBFTD_TEST_FRESH(test_data_of_another_group_refused),
        PBFTD_TEST_FRESH(test_data_of_another_format_refused),
        PBFTD_TEST(test_data_truncated_corrupt_no_signal),
        PBFTD_TEST(test_data_log_damaged_names_the_action),
        PBFTD_TEST(test_data_garbage_corrupt_no_signal),
        PBFTD_TEST(test_data_lost_names_the_action),
        PBFTD_TEST(test_second_process_on_one_directory_refused),
        PBFTD_TEST(test_port_in_use_refused),
        PBFTD_TEST(test_hangup_reads_log_level_again),
        PBFTD_TEST(test_hangup_broken_file_logged_and_goes_on),
        PBFTD_TEST(test_hangup_another_group_logged_and_goes_on),
        PBFTD_TEST(test_terminated_exits_0_and_starts_clean),
        PBFTD_TEST(test_descriptors_used_up_no_spin_goes_on),
    };
    return cmocka_run_group_tests_name("pbftd", tests, suite_setup, suite_teardown);
}
