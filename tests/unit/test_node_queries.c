/* test_node_queries.c - whose reads are given to the execution thread, and how many: a client that asks more than anybody else
 * waits for itself (design.md section 11), and every read for what this replica has committed to (rule 23). Around a
 * worker that does nothing by itself; no socket.
 */
#include "tests/fixture/stand_in_worker.h"

#include "replica/run/node_internal.h"
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define CLIENTS 12u
#define ASKED 20u /* by the first of them */

static struct solo solo;
static struct node *node;
static struct account accounts[CLIENTS];
static struct session sessions[CLIENTS];

static void no_notify(void *context)
{
    (void)context;
}

static int test_setup(void **state)
{
    (void)state;
    solo_ready(&solo, 4, 1);
    node = mem_zero(1, sizeof *node);
    node->core = solo.core;
    node->wire = solo.wire;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        accounts[i] = (struct account){.connections = 1};
        sessions[i] = (struct session){
            .node = node, .connection = (struct net_connection *)&accounts[i], .kind = SESSION_CLIENT, .account = &accounts[i]};
    }
    const struct err e = execution_start(NULL, NULL, &node->signer, 100, no_notify, NULL, &node->execution);
    return err_is(&e) ? -1 : 0;
}

static int test_teardown(void **state)
{
    (void)state;
    execution_free(node->execution);
    for (uint32_t i = 0; i < node->query_count; i++)
        blob_release(node->queries[i].query);
    free(node);
    solo_close(&solo);
    return 0;
}

static void ask(uint32_t client)
{
    const struct wire_query q = {.number = 1, .operation = {.app = APP_KV, .verb = APP_KV_GET}};
    struct blob *query = wire_encode_blob(&wire_record_query, &q);
    node->queries[node->query_count++] = (struct waiting_query){.query = query, .session = &sessions[client]};
    accounts[client].inside++;
    accounts[client].inside_bytes += query->len;
    sessions[client].inside++;
}

static void test_queries_of_one_client_leave_room_for_the_others(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < ASKED; k++)
        ask(0);
    for (uint32_t i = 1; i < 5; i++)
        ask(i);
    node_run_queries(node);
    assert_int_equal(accounts[0].queries, NODE_CLIENT_QUERIES_RUNNING_MAX);
    for (uint32_t i = 1; i < 5; i++)
        assert_int_equal(accounts[i].queries, 1);
    assert_int_equal(node->queries_running, NODE_CLIENT_QUERIES_RUNNING_MAX + 4);
    assert_int_equal(node->query_count, ASKED - NODE_CLIENT_QUERIES_RUNNING_MAX);
}

static void test_queries_running_are_bounded_in_all(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CLIENTS; i++)
        for (uint32_t k = 0; k < 2; k++)
            ask(i);
    node_run_queries(node);
    assert_int_equal(node->queries_running, NODE_QUERIES_RUNNING_MAX);
    assert_int_equal(node->query_count, 2 * CLIENTS - NODE_QUERIES_RUNNING_MAX);
}

static void test_query_done_lets_the_next_of_its_client_run(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 3; k++)
        ask(0);
    node_run_queries(node);
    assert_int_equal(node->query_count, 1);
    (void)step();
    struct execution_job *j = execution_take_done(node->execution);
    assert_non_null(j);
    assert_true(j->unanswered); /* there is no state here: nothing is sent */
    node_query_done(node, j);
    execution_job_free(j);
    node_run_queries(node);
    assert_int_equal(node->query_count, 0);
    assert_int_equal(accounts[0].queries, 2);
}

/* A query reaches this replica, which has sent a COMMIT for 1. */
static void ask_under_way(enum query_mode mode, const struct solo_batch *b)
{
    const struct wire_query q = {.mode = mode, .number = 1, .operation = {.app = APP_KV, .verb = APP_KV_GET}};
    node->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(node->loop);
    sessions[0].greeted = true;
    assert_null(solo_propose(&solo, 1, b, true));
    assert_null(solo_vote(&solo, WIRE_TYPE_prepare, 2, 1, &b->digest));
    node_inbound(&sessions[0], wire_encode_blob(&wire_record_query, &q));
}

/* Rule 23: it has sent a COMMIT for 1, so what is read must include 1. */
static void test_query_waits_for_what_this_replica_has_committed_to(void **state)
{
    struct solo_batch b = solo_batch_make(&solo, 1);
    (void)state;
    ask_under_way(QUERY_MODE_QUORUM, &b);
    assert_int_equal(node->query_count, 1);
    node_run_queries(node);
    assert_int_equal(node->queries_running, 0);
    (void)solo_all_persisted(&solo);
    for (uint32_t id = 2; id < 4; id++)
        assert_null(solo_vote(&solo, WIRE_TYPE_commit, id, 1, &b.digest));
    node_run_queries(node);
    assert_int_equal(node->queries_running, 0); /* committed, and not executed */
    assert_null(solo_executed(&solo, 1, b.time_ms, NULL, 0));
    node_run_queries(node);
    assert_int_equal(node->queries_running, 1);
    assert_int_equal(node->query_count, 0);
    ev_loop_destroy(node->loop);
    solo_batch_free(&b);
}

/* It is of a checkpoint, and what is under way is not in it anyway. */
static void test_query_for_what_is_certified_waits_for_nothing(void **state)
{
    struct solo_batch b = solo_batch_make(&solo, 1);
    (void)state;
    ask_under_way(QUERY_MODE_CERTIFIED, &b);
    node_run_queries(node);
    assert_int_equal(node->queries_running, 1);
    assert_int_equal(node->query_count, 0);
    ev_loop_destroy(node->loop);
    solo_batch_free(&b);
}

/* Rule 23: what it has committed to and forgotten it cannot wait for; so it waits until that no longer matters. */
static void test_query_waits_while_this_replica_is_fenced(void **state)
{
    struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_recovered empty = {
        .fenced = true, .fence_reason = FENCE_REASON_NEW_DIRECTORY, .windows = windows};
    (void)state;
    solo_close(&solo);
    solo_open(&solo, 4, 1);
    solo_start(&solo, &empty);
    node->core = solo.core;
    assert_true(core_summary(solo.core).fenced);
    ask(0);
    node_run_queries(node);
    assert_int_equal(node->queries_running, 0);
    assert_int_equal(node->query_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_queries_of_one_client_leave_room_for_the_others, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_queries_running_are_bounded_in_all, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(test_query_waits_for_what_this_replica_has_committed_to, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_query_for_what_is_certified_waits_for_nothing, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(test_query_waits_while_this_replica_is_fenced, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(test_query_done_lets_the_next_of_its_client_run, test_setup, test_teardown),
    };
    return cmocka_run_group_tests_name("node_queries", tests, NULL, NULL);
}
