/* test_client_callback.c - libpbft: what a callback may do with its own client. It may submit and read; it may not
 * wait.
 */
#include "tests/fixture/aborts.h"
#include "tests/fixture/client_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct kept kept;
static struct fake_replica *const replicas = fakes.replicas;
static struct pbft_client *client;
static uint32_t calls;

/* Runs `act` in the callback of a transaction that is given up. */
static void run_in_callback(pbft_callback act, void *context)
{
    const struct pbft_operation op = kv_put("key", "value");
    calls = 0;
    assert_int_equal(pbft_submit_at(client, 1, TIME_MS_MAX, &op, 1, act, context).status, PBFT_OK);
    client_deadline_now(client);
    while (calls == 0)
        pbft_poll(client, 1000);
}

/* ---- calls that wait ---- */

static void wait_for_all(void *context, const struct pbft_answer *answer)
{
    const struct pbft_operation op = kv_get("key");
    struct pbft_replica_status status[FAKE_REPLICAS_MAX];
    struct pbft_answer *a = (struct pbft_answer *)&kept;
    (void)context;
    (void)answer;
    calls++;
    memset(status, 7, sizeof status);
    const uint32_t in_flight = pbft_in_flight(client);
    const struct pbft_error e = pbft_submit_wait(client, &op, 1, &a);
    assert_int_equal(e.status, PBFT_IN_CALLBACK);
    assert_non_null(strstr(e.text, "pbft_submit_wait"));
    assert_null(a);
    a = (struct pbft_answer *)&kept;
    assert_int_equal(pbft_read_wait(client, &op, &a).status, PBFT_IN_CALLBACK);
    assert_null(a);
    assert_int_equal(pbft_status_wait(client, 1000, status).status, PBFT_IN_CALLBACK);
    assert_int_equal(status[0].id, 0x07070707);
    assert_int_equal(pbft_ready(client, 1000).status, PBFT_OK); /* nothing to wait for */
    assert_int_equal(pbft_in_flight(client), in_flight);
}

static void test_client_waiting_calls_in_callback_refused(void **state)
{
    const struct pbft_operation op = kv_put("key", "value");
    struct pbft_answer *a;
    (void)state;
    client = client_open_to_all();
    run_in_callback(wait_for_all, NULL);
    assert_int_equal(pbft_submit_wait(client, &op, 1, &a).status, PBFT_OK); /* and outside it is as before */
    pbft_answer_free(a);
    pbft_close(client);
}

static bool silent(struct fake_replica *r, const struct wire_message *m)
{
    (void)r;
    return m->type == WIRE_TYPE_query;
}

static void submit_unready(void *context, const struct pbft_answer *answer)
{
    const struct pbft_operation op = kv_put("key", "value");
    (void)context;
    (void)answer;
    calls++;
    assert_int_equal(pbft_ready(client, 1000).status, PBFT_IN_CALLBACK);
    assert_false(pbft_can_submit(client));
    assert_int_equal(pbft_submit(client, &op, 1, keep, &kept).status, PBFT_WINDOW_FULL);
    assert_int_equal(pbft_read(client, &op, keep, &kept).status, PBFT_OK); /* needs no sequence */
}

static void test_client_not_ready_submit_in_callback_window_full_read_taken(void **state)
{
    const struct pbft_options options = client_options();
    (void)state;
    fake_lock(&fakes);
    for (uint32_t id = 0; id < 4; id++)
        replicas[id].hook = silent;
    fake_unlock(&fakes);
    assert_int_equal(pbft_open(&options, &client).status, PBFT_OK);
    run_in_callback(submit_unready, NULL);
    assert_int_equal(pbft_in_flight(client), 1);
    assert_true(pbft_can_submit(client)); /* where it may wait */
    pbft_close(client);
}

/* ---- calls that have no error to give ---- */

static void poll_in_callback(void *context, const struct pbft_answer *answer)
{
    (void)context;
    (void)answer;
    pbft_poll(client, 0);
    calls++;
}

static void close_in_callback(void *context, const struct pbft_answer *answer)
{
    (void)context;
    (void)answer;
    pbft_close(client);
    calls++;
}

static int run_process(char **argv)
{
    const struct pbft_options options = client_process_options(argv);
    if (pbft_open(&options, &client).status != PBFT_OK) return 1;
    run_in_callback(strcmp(argv[1], "poll") == 0 ? poll_in_callback : close_in_callback, NULL);
    return 0;
}

static bool aborts_in_process(const char *act)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = client_process(act, "", ends[1]);
    (void)close(ends[1]);
    return child_aborts(pid, ends[0]);
}

static void test_client_poll_in_callback_aborts(void **state)
{
    (void)state;
    assert_true(aborts_in_process("poll"));
}

static void test_client_close_in_callback_aborts(void **state)
{
    (void)state;
    assert_true(aborts_in_process("close"));
}

/* ---- another client's callback is no obstacle ---- */

static void wait_with_another(void *context, const struct pbft_answer *answer)
{
    const struct pbft_operation op = kv_put("key", "value");
    struct pbft_client *other = context;
    struct pbft_answer *a;
    (void)answer;
    calls++;
    assert_int_equal(pbft_submit_wait(other, &op, 1, &a).status, PBFT_OK);
    pbft_answer_free(a);
    pbft_close(other);
}

static void test_client_waiting_with_another_client_in_callback_allowed(void **state)
{
    (void)state;
    client = client_open_to_all();
    run_in_callback(wait_with_another, client_open());
    pbft_close(client);
}

#define TEST_OF(count, test) cmocka_unit_test_setup_teardown(test, fakes_of_##count, fakes_end)

int main(int argc, char **argv)
{
    if (argc == CLIENT_PROCESS_ARGC) return run_process(argv);
    const struct CMUnitTest tests[] = {
        TEST_OF(4, test_client_waiting_calls_in_callback_refused),
        TEST_OF(4, test_client_not_ready_submit_in_callback_window_full_read_taken),
        TEST_OF(4, test_client_poll_in_callback_aborts),
        TEST_OF(4, test_client_close_in_callback_aborts),
        TEST_OF(4, test_client_waiting_with_another_client_in_callback_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
