/* test_client_open.c - libpbft: files that cannot be used, the journal, and where the next sequence comes from.
 */
#include "tests/fixture/client_kit.h"

#include "client/client_internal.h"
#include "crypto/keyfile.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct kept kept;
static struct fake_replica *const replicas = fakes.replicas;
static char path[FAKE_PATH_BYTES];

static void write_file(const void *data, size_t len)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* A path in the test's directory, in `path`. */
static const char *name_file(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", fakes.place.root, name);
    return path;
}

static void check_refused(const struct pbft_options *options, const char *text)
{
    struct pbft_client *c = (struct pbft_client *)&kept;
    const struct pbft_error e = pbft_open(options, &c);
    assert_int_equal(e.status, PBFT_BAD_CONFIG);
    assert_null(c);
    if (strstr(e.text, text) == NULL) fail_msg("\"%s\" does not say \"%s\"", e.text, text);
}

/* ---- group file and key ---- */

static void test_client_open_without_paths_bad_argument(void **state)
{
    (void)state;
    struct pbft_options options = client_options();
    struct pbft_client *c;
    assert_int_equal(pbft_open(NULL, &c).status, PBFT_BAD_ARGUMENT);
    options.key_path = NULL;
    assert_int_equal(pbft_open(&options, &c).status, PBFT_BAD_ARGUMENT);
    options = client_options();
    options.group_path = NULL;
    assert_int_equal(pbft_open(&options, &c).status, PBFT_BAD_ARGUMENT);
    assert_null(c);
}

static void test_client_open_group_file_missing_bad_config(void **state)
{
    (void)state;
    struct pbft_options options = client_options();
    options.group_path = name_file("none.json");
    check_refused(&options, "none.json");
}

static void test_client_open_group_file_malformed_bad_config(void **state)
{
    (void)state;
    struct pbft_options options = client_options();
    options.group_path = name_file("bad.json");
    write_file("{\"format\": 1,", 13);
    check_refused(&options, "bad.json");
}

static void test_client_open_key_missing_bad_config(void **state)
{
    (void)state;
    struct pbft_options options = client_options();
    options.key_path = name_file("none.key");
    check_refused(&options, "none.key");
}

static void test_client_open_key_malformed_bad_config(void **state)
{
    (void)state;
    struct pbft_options options = client_options();
    options.key_path = name_file("bad.key");
    write_file("no key\n", 7);
    assert_int_equal(chmod(path, 0600), 0);
    check_refused(&options, "bad.key");
}

static void test_client_open_key_mode_0644_bad_config(void **state)
{
    (void)state;
    const struct pbft_options options = client_options();
    assert_int_equal(chmod(fakes.key_path, 0644), 0);
    check_refused(&options, "client.key");
    assert_int_equal(chmod(fakes.key_path, 0600), 0);
}

static void test_client_open_key_not_in_group_bad_config(void **state)
{
    (void)state;
    struct pbft_options options = client_options();
    options.key_path = name_file("stranger.key");
    const struct err e = keyfile_write_secret(path, &fakes.kit->clients[KIT_STRANGER], true);
    assert_int_equal(e.code, ERR_NONE);
    check_refused(&options, "not a client's of the group");
}

/* ---- the journal ---- */

static struct pbft_client *open_with_journal(void)
{
    struct pbft_options options = client_options();
    struct pbft_client *c;
    options.journal_path = name_file("journal");
    const struct pbft_error e = pbft_open(&options, &c);
    if (e.status != PBFT_OK) fail_msg("%s", e.text);
    assert_int_equal(pbft_ready(c, CLIENT_KIT_MS).status, PBFT_OK);
    return c;
}

static void check_journal_refused(const char *text)
{
    struct pbft_options options = client_options();
    options.journal_path = path;
    check_refused(&options, text);
}

static void write_journal(uint64_t seq)
{
    uint8_t raw[8];
    (void)name_file("journal");
    be64_put(raw, seq);
    write_file(raw, sizeof raw);
}

static void test_client_journal_too_short_bad_config(void **state)
{
    (void)state;
    (void)name_file("journal");
    write_file("\0\0\0", 3);
    check_journal_refused("damaged");
}

static void test_client_journal_too_long_bad_config(void **state)
{
    (void)state;
    (void)name_file("journal");
    write_file("\0\0\0\0\0\0\0\1\0", 9);
    check_journal_refused("damaged");
}

static void test_client_journal_impossible_sequence_bad_config(void **state)
{
    (void)state;
    write_journal(SEQ_MAX + 1);
    check_journal_refused("damaged");
}

static void test_client_journal_directory_missing_bad_config(void **state)
{
    (void)state;
    (void)name_file("none/journal");
    check_journal_refused("none/journal");
}

static void test_client_journal_reopened_sequences_not_used_again(void **state)
{
    (void)state;
    WITH_FAKES(fake_set_manner(&fakes, FAKE_DEAF)); /* the replicas know of none */
    struct pbft_client *c = open_with_journal();
    for (uint32_t i = 0; i < 3; i++)
        client_put(c, "key", "value", &kept);
    pbft_close(c);
    c = open_with_journal();
    assert_int_equal(pbft_next_sequence(c), 4);
    client_put(c, "key", "value", &kept);
    pbft_close(c);
    c = open_with_journal();
    assert_int_equal(pbft_next_sequence(c), 5);
    pbft_close(c);
}

/* ---- processes beside this one ---- */

/* The exit code; -1: it was killed. */
static int in_process(const char *act)
{
    int status;
    const pid_t pid = client_process(act, path, -1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int open_only(const struct pbft_options *options)
{
    struct pbft_client *c;
    const struct pbft_error e = pbft_open(options, &c);
    pbft_close(c);
    if (e.status == PBFT_OK) return 0;
    return e.status == PBFT_BAD_CONFIG && strstr(e.text, "another process submits with this client's key") != NULL ? 7
                                                                                                                   : 1;
}

static int submit_5_and_die(const struct pbft_options *options)
{
    const struct pbft_operation op = kv_put("key", "value");
    struct pbft_client *c;
    if (pbft_open(options, &c).status != PBFT_OK) return 1;
    for (uint32_t i = 0; i < 5; i++)
        if (pbft_submit(c, &op, 1, keep, &kept).status != PBFT_OK) return 1;
    (void)raise(SIGKILL);
    return 1;
}

static int run_process(char **argv)
{
    const struct pbft_options options = client_process_options(argv);
    return strcmp(argv[1], "open") == 0 ? open_only(&options) : submit_5_and_die(&options);
}

static void test_client_journal_held_by_another_process_bad_config(void **state)
{
    (void)state;
    struct pbft_client *c = open_with_journal();
    assert_int_equal(in_process("open"), 7);
    pbft_close(c);
    assert_int_equal(in_process("open"), 0);
}

static void test_client_journal_of_killed_process_sequences_not_used_again(void **state)
{
    (void)state;
    WITH_FAKES(fake_set_manner(&fakes, FAKE_DEAF));
    (void)name_file("journal");
    assert_int_equal(in_process("submit and die"), -1);
    struct pbft_client *c = open_with_journal();
    assert_int_equal(pbft_next_sequence(c), 6);
    pbft_close(c);
}

/* Of a group that was made anew: what it notes cannot be jumped over, but what is used from here on is noted. */
static void test_client_journal_far_ahead_replicas_believed_and_noted(void **state)
{
    (void)state;
    write_journal(1000);
    WITH_FAKES(fake_set_manner(&fakes, FAKE_DEAF));
    struct pbft_client *c = open_with_journal();
    assert_int_equal(pbft_next_sequence(c), 1);
    client_put(c, "key", "value", &kept);
    pbft_close(c);
    c = open_with_journal();
    assert_int_equal(pbft_next_sequence(c), 2);
    pbft_close(c);
}

/* ---- what replicas say is settled ---- */

static uint64_t settled[FAKE_REPLICAS_MAX];

static bool say_settled(struct fake_replica *r, const struct wire_message *m)
{
    if (m->type != WIRE_TYPE_query || m->query.operation.verb != SYSTEM_VERB_CLIENT || settled[r->id] == UINT64_MAX)
        return m->type == WIRE_TYPE_query;
    const struct wire_client_status s = {.registered = 1, .highest_settled = settled[r->id]};
    struct blob *value = wire_encode_blob(&wire_record_client_status, &s);
    fake_send_result(r, m->query.number, OUTCOME_OK, 0, blob_bytes(value));
    blob_release(value);
    return true;
}

static void script_settled(const uint64_t *values)
{
    fake_lock(&fakes);
    for (uint32_t id = 0; id < fakes.replica_count; id++) {
        settled[id] = values[id];
        replicas[id].hook = say_settled;
    }
    fake_unlock(&fakes);
}

/* UINT64_MAX: that replica does not say. */
static void check_next(const uint64_t *values, uint64_t next)
{
    script_settled(values);
    struct pbft_client *c = client_open();
    assert_int_equal(pbft_next_sequence(c), next);
    assert_int_equal(pbft_highest_settled(c), next - 1);
    pbft_close(c);
}

static void test_client_f_say_settled_too_high_not_believed(void **state)
{
    (void)state;
    check_next((const uint64_t[]){SEQ_MAX, 5, 5, UINT64_MAX}, 6);
}

static void test_client_f_say_settled_too_low_not_believed(void **state)
{
    (void)state;
    check_next((const uint64_t[]){0, 5, 5, UINT64_MAX}, 6);
}

static void test_client_f_plus_1_say_settled_higher_believed(void **state)
{
    (void)state;
    check_next((const uint64_t[]){9, 5, UINT64_MAX, 9}, 10);
}

static void test_client_2_of_7_say_settled_too_high_not_believed(void **state)
{
    (void)state;
    check_next((const uint64_t[]){SEQ_MAX, SEQ_MAX, 5, 5, 5, UINT64_MAX, UINT64_MAX}, 6);
}

/* What comes after a quorum has said can still raise the sequence. */
static void test_client_late_f_plus_1_say_settled_higher_believed(void **state)
{
    (void)state;
    script_settled((const uint64_t[]){0, 2, 9, UINT64_MAX});
    struct pbft_client *c = client_open();
    assert_int_equal(pbft_next_sequence(c), 3);
    WITH_FAKES(settled[3] = 9, fake_drop(&replicas[3])); /* it is asked when it is connected again */
    CLIENT_UNTIL(c, pbft_next_sequence(c) == 10);
    pbft_close(c);
}

static void test_client_journal_behind_replicas_replicas_believed(void **state)
{
    (void)state;
    write_journal(3);
    script_settled((const uint64_t[]){20, 20, 20, 20});
    struct pbft_client *c = open_with_journal();
    assert_int_equal(pbft_next_sequence(c), 21);
    pbft_close(c);
}

static void test_client_fewer_than_q_say_not_ready(void **state)
{
    (void)state;
    struct pbft_options options = client_options();
    struct pbft_client *c;
    script_settled((const uint64_t[]){5, 5, UINT64_MAX, UINT64_MAX});
    assert_int_equal(pbft_open(&options, &c).status, PBFT_OK);
    const struct pbft_error e = pbft_ready(c, 300);
    assert_int_equal(e.status, PBFT_TIMEOUT);
    assert_int_equal(pbft_next_sequence(c), 0);
    pbft_close(c);
}

static void test_client_fewer_than_q_alive_not_ready_says_who(void **state)
{
    (void)state;
    struct pbft_options options = client_options();
    const struct pbft_operation op = kv_put("key", "value");
    struct pbft_answer *a;
    struct pbft_client *c;
    WITH_FAKES(fake_stop(&replicas[0]), fake_stop(&replicas[2]));
    options.timeout_ms = 1000;
    assert_int_equal(pbft_open(&options, &c).status, PBFT_OK);
    const struct pbft_error e = pbft_submit_wait(c, &op, 1, &a);
    assert_int_equal(e.status, PBFT_TIMEOUT);
    assert_null(a);
    assert_non_null(
        strstr(e.text, "2 of 4 replicas answer, a quorum of 3 is needed; the primary is replica 0 of view 0"));
    assert_non_null(strstr(e.text, "; not connected: 0, 2 (connection refused: nothing listens there)"));
    pbft_close(c);
}

static void test_client_nobody_alive_primary_unknown(void **state)
{
    (void)state;
    struct pbft_options options = client_options();
    const struct pbft_operation op = kv_put("key", "value");
    struct pbft_answer *a;
    struct pbft_client *c;
    for (uint32_t id = 0; id < 4; id++)
        WITH_FAKES(fake_stop(&replicas[id]));
    options.timeout_ms = 500;
    assert_int_equal(pbft_open(&options, &c).status, PBFT_OK);
    const struct pbft_error e = pbft_submit_wait(c, &op, 1, &a);
    assert_int_equal(e.status, PBFT_TIMEOUT);
    assert_string_equal(e.text,
                        "0 of 4 replicas answer, a quorum of 3 is needed; the primary is unknown; not connected: "
                        "0, 1, 2, 3 (connection refused: nothing listens there)");
    pbft_close(c);
}

/* Reasons that differ from replica to replica, longer in all than an error has room for. */
static void test_client_reasons_too_long_end_in_dots(void **state)
{
    (void)state;
    struct pbft_client *c = client_open();
    for (uint32_t id = 0; id < 7; id++)
        WITH_FAKES(fake_stop(&replicas[id]));
    CLIENT_UNTIL(c, client_connected(c) == 0);
    for (uint32_t id = 0; id < 7; id++)
        (void)snprintf(c->links[id].reason, sizeof c->links[id].reason,
                       "reason %u is one of the many words that explain it to whom it concerns", id);
    c->next_seq = 0;
    const struct pbft_error e = pbft_ready(c, 0);
    const size_t len = strlen(e.text);
    assert_int_equal(e.status, PBFT_TIMEOUT);
    assert_in_range(len, sizeof e.text - 64, sizeof e.text - 1);
    assert_string_equal(e.text + len - 4, " ...");
    assert_true(e.text[len - 5] != ' ' && e.text[len - 5] != ',');
    pbft_close(c);
}

#define TEST_OF(count, test) cmocka_unit_test_setup_teardown(test, fakes_of_##count, fakes_end)

int main(int argc, char **argv)
{
    if (argc == CLIENT_PROCESS_ARGC) return run_process(argv);
    const struct CMUnitTest tests[] = {
        TEST_OF(1, test_client_open_without_paths_bad_argument),
        TEST_OF(1, test_client_open_group_file_missing_bad_config),
        TEST_OF(1, test_client_open_group_file_malformed_bad_config),
        TEST_OF(1, test_client_open_key_missing_bad_config),
        TEST_OF(1, test_client_open_key_malformed_bad_config),
        TEST_OF(1, test_client_open_key_mode_0644_bad_config),
        TEST_OF(1, test_client_open_key_not_in_group_bad_config),
        TEST_OF(1, test_client_journal_too_short_bad_config),
        TEST_OF(1, test_client_journal_too_long_bad_config),
        TEST_OF(1, test_client_journal_impossible_sequence_bad_config),
        TEST_OF(1, test_client_journal_directory_missing_bad_config),
        TEST_OF(4, test_client_journal_reopened_sequences_not_used_again),
        TEST_OF(1, test_client_journal_held_by_another_process_bad_config),
        TEST_OF(4, test_client_journal_of_killed_process_sequences_not_used_again),
        TEST_OF(4, test_client_journal_far_ahead_replicas_believed_and_noted),
        TEST_OF(4, test_client_f_say_settled_too_high_not_believed),
        TEST_OF(4, test_client_f_say_settled_too_low_not_believed),
        TEST_OF(4, test_client_f_plus_1_say_settled_higher_believed),
        TEST_OF(7, test_client_2_of_7_say_settled_too_high_not_believed),
        TEST_OF(4, test_client_late_f_plus_1_say_settled_higher_believed),
        TEST_OF(4, test_client_journal_behind_replicas_replicas_believed),
        TEST_OF(4, test_client_fewer_than_q_say_not_ready),
        TEST_OF(4, test_client_fewer_than_q_alive_not_ready_says_who),
        TEST_OF(4, test_client_nobody_alive_primary_unknown),
        TEST_OF(7, test_client_reasons_too_long_end_in_dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
