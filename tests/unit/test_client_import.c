/* test_client_import.c - `pbft log append --lines` with sequences that are used up: no line counts as appended that
 * f+1 replicas did not accept.
 */
#include "base/clock.h"
#include "client/cli_common.h"
#include "client/cli_import.h"
#include "client/cli_import_record.h"
#include "ledger/app.h"
#include "tests/fixture/client_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct kept kept;
static bool said[4];
static struct fake_replica *const replicas = fakes.replicas;

static bool say_2_settled(struct fake_replica *r, const struct wire_message *m)
{
    const struct wire_client_status s = {.registered = 1, .highest_settled = 2};
    if (m->type != WIRE_TYPE_query || m->query.operation.verb != SYSTEM_VERB_CLIENT) return false;
    struct blob *value = wire_encode_blob(&wire_record_client_status, &s);
    fake_send_result(r, m->query.number, OUTCOME_OK, 0, blob_bytes(value));
    blob_release(value);
    return true;
}

/* Another process has had so many transactions of this client settled; all replicas say it is 2. */
static void mislead(uint32_t settled)
{
    struct pbft_client *c = client_open_to_all();
    for (uint32_t i = 0; i < settled; i++) {
        client_put(c, "key", "of another", &kept);
        CLIENT_UNTIL(c, kept.calls > 0);
    }
    pbft_close(c);
    fake_lock(&fakes);
    for (uint32_t id = 0; id < 4; id++)
        replicas[id].hook = say_2_settled;
    fake_unlock(&fakes);
}

/* The home directory is the test's own. */
static void make_home(void)
{
    char path[FAKE_PATH_BYTES + 32];
    (void)snprintf(path, sizeof path, "%s/clients", fakes.place.root);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/clients/default.pem", fakes.place.root);
    assert_int_equal(link(fakes.key_path, path), 0);
}

/* The log holds these three records and no others. */
static void assert_log_of_three(void)
{
    static const char *const wanted[] = {"one\n", "two\n", "three\n"};
    const uint8_t from[8] = {0};
    const struct pbft_operation op = {
        .app = APP_LOG, .verb = APP_LOG_READ, .arg_count = 1, .args = {{from, sizeof from}}};
    struct pbft_client *c = client_open();
    struct pbft_answer *a;
    struct wire_page page;
    struct wire_key_value item;
    assert_int_equal(pbft_read_wait(c, &op, &a).status, PBFT_OK);
    const struct err e = cli_page_decode(a, &page);
    assert_false(err_is(&e));
    assert_int_equal(page.items.count, 3);
    struct wire_iterator i = wire_list_start(page.items);
    for (uint32_t k = 0; k < 3; k++) {
        assert_true(wire_list_next(&i, &wire_record_key_value, &item));
        assert_true(bytes_equal(item.value, bytes_of_text(wanted[k])));
    }
    pbft_answer_free(a);
    pbft_close(c);
}

static void check_three_lines_appended(uint32_t settled)
{
    const struct cli_globals globals = {.home = fakes.place.root, .timeout_ms = CLIENT_KIT_MS};
    const struct cli_call call = {.globals = &globals};
    mislead(settled);
    make_home();
    const struct err e = cli_import_run(&call, "three", bytes_of_text("one\ntwo\nthree\n"), false);
    if (err_is(&e)) fail_msg("%s", e.text);
    assert_log_of_three();
}

static void test_import_sequences_below_window_lines_sent_again(void **state)
{
    (void)state;
    check_three_lines_appended(70);
}

static void test_import_sequences_of_others_lines_sent_again(void **state)
{
    (void)state;
    check_three_lines_appended(5);
}

/* Says once that 100 are settled, when it is 140 and the replicas have no answers left below the window. */
static bool settle_40_more(struct fake_replica *r, const struct wire_message *m)
{
    const struct wire_client_status s = {.registered = 1, .highest_settled = 100};
    if (m->type == WIRE_TYPE_request && m->request.seq + CLIENT_WINDOW <= 140) {
        fake_send_busy(r, m->request.seq, BUSY_TOO_OLD);
        return true;
    }
    if (m->type != WIRE_TYPE_query || m->query.operation.verb != SYSTEM_VERB_CLIENT || said[r->id]) return false;
    said[r->id] = true;
    struct blob *value = wire_encode_blob(&wire_record_client_status, &s);
    fake_send_result(r, m->query.number, OUTCOME_OK, 0, blob_bytes(value));
    blob_release(value);
    return true;
}

/* The run before was killed; what it had in flight settles after this one asked where the sequences stand. */
static void test_import_resumed_while_lines_settle_enters_none_twice(void **state)
{
    char text[140 * 8 + 1] = "";
    const struct cli_globals globals = {.home = fakes.place.root, .timeout_ms = CLIENT_KIT_MS};
    const struct cli_call call = {.globals = &globals};
    struct import_record record = {.lines = 140, .first_sequence = 1, .expiry_ms = 2 * clock_wall_ms()};
    struct hasher h;
    (void)state;
    make_home();
    for (size_t i = 0; i < 140; i++)
        (void)snprintf(text + strlen(text), 9, "line%03zu\n", i);
    hasher_start_plain(&h);
    hasher_add(&h, text, strlen(text));
    hasher_finish(&h, &record.file);
    for (uint32_t run = 0; run < 2; run++) { /* the same transactions in both */
        if (run == 1) {
            fake_lock(&fakes);
            for (uint32_t id = 0; id < 4; id++)
                replicas[id].hook = settle_40_more;
            fake_unlock(&fakes);
        }
        struct err e = import_record_write(&globals, "default", &record);
        if (!err_is(&e)) e = cli_import_run(&call, "lines", bytes_of_text(text), false);
        if (err_is(&e)) fail_msg("%s", e.text);
    }
    struct pbft_client *c = client_open();
    assert_int_equal(pbft_ready(c, CLIENT_KIT_MS).status, PBFT_OK);
    assert_int_equal(pbft_highest_settled(c), 140);
    pbft_close(c);
}

/* What may have been executed is no refusal. */
static void test_cli_too_old_is_no_refusal_and_says_look(void **state)
{
    const struct pbft_error too_old = {.status = PBFT_TOO_OLD, .text = "x"};
    const struct err e = cli_error(&too_old);
    (void)state;
    assert_int_equal(e.code, ERR_TIMEOUT);
    assert_non_null(strstr(e.text, "look before"));
}

#define TEST_OF(count, test) cmocka_unit_test_setup_teardown(test, fakes_of_##count, fakes_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(4, test_import_sequences_below_window_lines_sent_again),
        TEST_OF(4, test_import_sequences_of_others_lines_sent_again),
        TEST_OF(4, test_import_resumed_while_lines_settle_enters_none_twice),
        cmocka_unit_test(test_cli_too_old_is_no_refusal_and_says_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
