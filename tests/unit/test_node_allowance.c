/* test_node_allowance.c - what a client may make a replica do in vain, when it is no longer read, and when again; and
 * what of its requests is refused before a signature is checked. Around a core driven by hand and connections that have
 * no socket: what a replica sends stays in their queues. There is no verification pool: whoever asks for it falls.
 */
#include "replica/net/net_internal.h"
#include "replica/run/node_internal.h"
#include "tests/fixture/solo.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define CLIENTS 2u
#define ABOVE (CLIENT_WINDOW + 1)

static struct solo solo;
static struct node *node;
static struct net net;
static struct net_connection connections[CLIENTS];
static struct session sessions[CLIENTS];

static int test_setup(void **state)
{
    (void)state;
    solo_ready(&solo, 4, 1);
    node = mem_zero(1, sizeof *node);
    node->config.id = 1;
    node->core = solo.core;
    node->wire = solo.wire;
    node->effects = mem_zero(1, sizeof *node->effects);
    node->loop = ev_loop_new(EVFLAG_AUTO);
    node->clients = mem_zero(CLIENTS, sizeof *node->clients);
    net = (struct net){.loop = node->loop};
    for (uint32_t i = 0; i < CLIENTS; i++) {
        connections[i] = (struct net_connection){.net = &net,
                                                 .fd = open("/dev/null", O_RDWR | O_CLOEXEC),
                                                 .state = NET_STATE_OPEN,
                                                 .dirty = true, /* nothing is flushed: it has no TLS */
                                                 .peer = solo.group->clients[i].key,
                                                 .queue_bytes_max = CLIENT_QUEUE_BYTES_MAX};
        sessions[i] = (struct session){.node = node,
                                       .next = node->sessions,
                                       .connection = &connections[i],
                                       .kind = SESSION_CLIENT,
                                       .client = i,
                                       .account = &node->clients[i],
                                       .greeted = true};
        node->sessions = &sessions[i];
        connections[i].user = &sessions[i];
        ev_init(&connections[i].io, NULL);
        assert_int_equal(gnutls_init(&connections[i].session, GNUTLS_SERVER), 0);
    }
    return node->loop == NULL ? -1 : 0;
}

static int test_teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        ev_io_stop(node->loop, &connections[i].io);
        gnutls_deinit(connections[i].session);
        (void)close(connections[i].fd);
        net_frame_free(&connections[i]);
    }
    ev_loop_destroy(node->loop);
    core_effects_release(node->effects);
    free(node->effects);
    free(node->clients);
    free(node);
    solo_close(&solo);
    return 0;
}

/* A frame of a client comes, as net has put it together. */
static void arrives(uint32_t client, struct blob *frame)
{
    node_net_events.frame(node, &connections[client], frame);
}

/* The signature of what is sent here is wrong: it must not matter. */
static void request_arrives(uint32_t client, uint64_t seq)
{
    struct blob *request = fixture_request(solo.group, client, seq, solo.wall_ms + 60000, "key", "value");
    request->data[request->len - 1] ^= 1u;
    arrives(client, request);
}

/* The last message that was sent to it, decoded; it must be this one. */
static void expect_busy(uint32_t client, uint64_t seq, enum busy_reason reason)
{
    struct wire_message m;
    assert_non_null(connections[client].queue_last);
    assert_null(wire_decode(blob_bytes(connections[client].queue_last->frame), &m));
    assert_int_equal(m.type, WIRE_TYPE_busy);
    assert_int_equal(m.busy.seq, seq);
    assert_int_equal(m.busy.reason, reason);
    assert_true(digest_is_zero(&m.busy.transaction)); /* nobody has looked at it */
}

/* Until it has none left. */
static void use_up(uint32_t client)
{
    for (uint32_t spent = 0; spent <= NODE_ALLOWANCE_US_MAX; spent += 100)
        node_charge(node, &node->clients[client], NODE_VAIN_REPORT, 0);
}

/* As if so much time had passed since. */
static void later(uint32_t client, double seconds)
{
    node->clients[client].vain_at -= seconds;
}

/* ---- before a signature is checked ---- */

static void test_request_in_custody_dropped_before_its_signature(void **state)
{
    (void)state;
    assert_null(solo_request(&solo, 0, 1));
    request_arrives(0, 1);
    assert_null(connections[0].queue_last); /* its answer comes when it is executed */
    assert_int_equal(node->vain[NODE_VAIN_DROPPED], 1);
    assert_int_equal(node->ignored_count, 1);
}

static void test_request_above_the_window_refused_before_its_signature(void **state)
{
    (void)state;
    request_arrives(0, ABOVE);
    expect_busy(0, ABOVE, BUSY_TOO_FAR);
    assert_int_equal(node->vain[NODE_VAIN_DROPPED], 1);
}

static void test_request_below_the_window_refused_before_its_signature(void **state)
{
    struct core_client_window windows[SOLO_CLIENTS] = {{.highest_settled = ABOVE}};
    const struct core_recovered there = {.clean = true, .windows = windows};
    (void)state;
    solo_close(&solo);
    solo_open(&solo, 4, 1);
    solo_start(&solo, &there);
    node->core = solo.core;
    request_arrives(0, 1);
    expect_busy(0, 1, BUSY_TOO_OLD);
    assert_int_equal(node->vain[NODE_VAIN_DROPPED], 1);
}

static void test_request_past_what_may_be_under_way_refused_and_counted(void **state)
{
    (void)state;
    node->clients[0].inside = NODE_CLIENT_INSIDE_MAX;
    request_arrives(0, 1);
    expect_busy(0, 1, BUSY_OVERLOAD);
    assert_int_equal(node->vain[NODE_VAIN_DROPPED], 1);
}

/* ---- what is counted ---- */

static void test_invalid_message_counted(void **state)
{
    (void)state;
    arrives(0, blob_copy(bytes_of_text("no message at all")));
    assert_int_equal(node->vain[NODE_VAIN_INVALID], 1);
    assert_int_equal(node->invalid_count, 1);
}

static void test_connection_that_ends_for_invalid_messages_counted_once(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < NODE_BAD_MAX + 3; i++) /* the last ones were under way */
        arrives(0, blob_copy(bytes_of_text("no message at all")));
    assert_int_equal(connections[0].state, NET_STATE_CLOSING);
    assert_int_equal(node->closed_count, 1);
}

static void test_bytes_cost_beside_the_message(void **state)
{
    (void)state;
    node_charge(node, &node->clients[0], NODE_VAIN_INVALID, 0);
    const uint64_t one = node->vain_us;
    node_charge(node, &node->clients[0], NODE_VAIN_INVALID, REQUEST_BYTES_MAX);
    assert_true(node->vain_us > 10 * one);
    assert_true(node->clients[0].vain_us > 10.0 * (double)one);
}

static void test_question_about_its_window_counted(void **state)
{
    const struct wire_query q = {
        .number = 1, .mode = QUERY_MODE_LOCAL, .operation = {.app = APP_SYSTEM, .verb = SYSTEM_VERB_CLIENT}};
    (void)state;
    arrives(0, wire_encode_blob(&wire_record_query, &q));
    assert_int_equal(node->vain[NODE_VAIN_QUESTION], 1);
    assert_non_null(connections[0].queue_last); /* and answered */
}

static void test_another_transaction_than_the_executed_one_counted(void **state)
{
    struct executed_request requests[3] = {
        {.client = 0, .seq = 1, .transaction = {.bytes = {1}}},          /* another one than is held */
        {.client = UINT32_MAX, .seq = 1, .transaction = {.bytes = {1}}}, /* of nobody */
        {.client = 1, .seq = 1, .transaction = {.bytes = {1}}},          /* of one that gave this replica none */
    };
    const struct executed_block block = {.request_count = 3, .requests = requests};
    struct wire_message m;
    (void)state;
    assert_null(solo_request(&solo, 0, 1));
    node_look_at_block(node, &block);
    assert_int_equal(node->vain[NODE_VAIN_OTHER], 1);
    assert_true(node->clients[0].vain_us > 0);
    assert_true(node->clients[1].vain_us <= 0);
    struct blob *held = fixture_request(solo.group, 0, 1, solo.wall_ms + 60000, "key", "value");
    assert_null(wire_decode(blob_bytes(held), &m));
    requests[0].transaction = wire_signing_digest(&solo.wire.id, m.signed_part);
    node_look_at_block(node, &block); /* the very one: as it should be */
    assert_int_equal(node->vain[NODE_VAIN_OTHER], 1);
    blob_release(held);
}

static void test_reads_and_new_requests_cost_nothing(void **state)
{
    const struct wire_query q = {.number = 1, .operation = {.app = APP_KV, .verb = APP_KV_GET}};
    (void)state;
    arrives(0, wire_encode_blob(&wire_record_query, &q));
    assert_int_equal(node->query_count, 1);
    assert_int_equal(node->vain_us, 0);
    blob_release(node->queries[0].query);
}

/* ---- pauses ---- */

static void test_allowance_used_up_not_read_until_it_has_filled_again(void **state)
{
    (void)state;
    use_up(0);
    request_arrives(0, ABOVE);
    assert_true(net_is_paused(&connections[0]));
    assert_int_equal(node->paused, 1);
    assert_int_equal(node->pauses[NODE_PAUSE_ALLOWANCE], 1);
    node_resume_clients(node);
    assert_true(net_is_paused(&connections[0]));
    later(0, 1.0);
    node_resume_clients(node);
    assert_false(net_is_paused(&connections[0]));
    assert_int_equal(node->paused, 0);
    assert_true(connections[0].frame_since == ev_now(node->loop)); /* a frame that had begun has all its time again */
}

static void test_allowance_is_each_client_s_own(void **state)
{
    (void)state;
    use_up(0);
    request_arrives(0, ABOVE);
    request_arrives(1, ABOVE);
    assert_true(net_is_paused(&connections[0]));
    assert_false(net_is_paused(&connections[1]));
}

static void test_allowance_fills_at_its_rate_up_to_its_maximum(void **state)
{
    (void)state;
    use_up(0);
    const double used = node->clients[0].vain_us;
    later(0, 1.0);
    node_charge(node, &node->clients[0], NODE_VAIN_REPORT, 0);
    assert_in_range(node->clients[0].vain_us, used - NODE_ALLOWANCE_US_PER_SECOND - 1000,
                    used - NODE_ALLOWANCE_US_PER_SECOND + 100);
    later(0, 3600.0);
    node_charge(node, &node->clients[0], NODE_VAIN_REPORT, 0);
    assert_in_range(node->clients[0].vain_us, 1, 100); /* nothing is saved up beyond the maximum */
}

/* A block with one transaction of each of these. */
static void executes_of(const uint32_t *clients, uint32_t count)
{
    struct executed_request requests[4] = {{0}};
    const struct executed_block block = {.request_count = count, .requests = requests};
    for (uint32_t i = 0; i < count; i++)
        requests[i] = (struct executed_request){.client = clients[i], .seq = 1, .verdict = WINDOW_NEW};
    node_look_at_block(node, &block);
}

/* Whatever was under way when its reading stopped. */
static void test_debt_is_soon_made_up_for(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        use_up(0);
    request_arrives(0, ABOVE);
    assert_true(net_is_paused(&connections[0]));
    later(0, (double)NODE_ALLOWANCE_DEBT_US / NODE_ALLOWANCE_US_PER_SECOND - 0.1);
    node_resume_clients(node);
    assert_true(net_is_paused(&connections[0]));
    later(0, 0.2);
    node_resume_clients(node);
    assert_false(net_is_paused(&connections[0]));
}

static void test_share_of_bytes_used_up_not_read_while_another_is_served(void **state)
{
    static const uint32_t other_first[] = {1, 0, 0};
    (void)state;
    node_count_share(node, &node->clients[0], NODE_SHARE_BYTES_MAX + 1);
    request_arrives(0, ABOVE);
    assert_false(net_is_paused(&connections[0])); /* nobody is served */
    executes_of((const uint32_t[]){0, 0}, 2);
    request_arrives(0, ABOVE);
    assert_false(net_is_paused(&connections[0])); /* nor is any other */
    executes_of(other_first, 3);
    request_arrives(0, ABOVE);
    assert_true(net_is_paused(&connections[0]));
    assert_int_equal(node->pauses[NODE_PAUSE_SHARE], 1);
    request_arrives(1, ABOVE);
    assert_false(net_is_paused(&connections[1])); /* it has its own share */
    node_resume_clients(node);
    assert_true(net_is_paused(&connections[0]));
    node->clients[0].share_at -= 0.1; /* as if that had passed */
    node_resume_clients(node);
    assert_false(net_is_paused(&connections[0]));
}

static void test_share_of_bytes_matters_no_more_when_others_are_served_no_more(void **state)
{
    (void)state;
    node_count_share(node, &node->clients[0], 100 * NODE_SHARE_BYTES_MAX);
    executes_of((const uint32_t[]){1, 0}, 2);
    request_arrives(0, ABOVE);
    assert_true(net_is_paused(&connections[0]));
    for (uint32_t k = 0; k < 2; k++)
        node->served[k].at -= NODE_SERVED_SECONDS;
    node_resume_clients(node);
    assert_false(net_is_paused(&connections[0]));
}

static void no_notify(void *context)
{
    (void)context;
}

static void test_bytes_of_a_request_that_is_worked_on_count_as_its_share(void **state)
{
    const struct verify_pool_config config = {
        .threads = 1, .classes = {{.lanes = 1, .jobs_max = 1}, {.lanes = CLIENTS, .jobs_max = 4}}, .notify = no_notify};
    (void)state;
    node->cache = verify_cache_new(8);
    const struct err e = verify_pool_start(&config, &node->pool);
    assert_int_equal(e.code, ERR_NONE);
    request_arrives(0, ABOVE); /* refused by its sequence */
    assert_true(node->clients[0].share_bytes <= 0);
    request_arrives(0, 1);
    assert_true(node->clients[0].share_bytes > 100);
    verify_pool_stop(node->pool, node_drop_inbound);
    verify_cache_free(node->cache);
}

static void test_unread_answers_not_read_until_half_of_them_are_gone(void **state)
{
    (void)state;
    connections[0].queue_bytes = NODE_CLIENT_UNREAD_MAX + 1;
    request_arrives(0, ABOVE);
    assert_true(net_is_paused(&connections[0]));
    assert_int_equal(node->pauses[NODE_PAUSE_UNREAD], 1);
    connections[0].queue_bytes = NODE_CLIENT_UNREAD_MAX / 2 + 1;
    node_resume_clients(node);
    assert_true(net_is_paused(&connections[0]));
    connections[0].queue_bytes = NODE_CLIENT_UNREAD_MAX / 2;
    node_resume_clients(node);
    assert_false(net_is_paused(&connections[0]));
}

static void test_enough_under_way_not_read_until_half_of_it_is_done(void **state)
{
    (void)state;
    node->clients[0].inside = NODE_CLIENT_INSIDE_ENOUGH + 1;
    request_arrives(0, ABOVE);
    assert_true(net_is_paused(&connections[0]));
    assert_int_equal(node->pauses[NODE_PAUSE_INSIDE], 1);
    node->clients[0].inside = NODE_CLIENT_INSIDE_ENOUGH / 2 + 1;
    node_resume_clients(node);
    assert_true(net_is_paused(&connections[0]));
    node->clients[0].inside = NODE_CLIENT_INSIDE_ENOUGH / 2;
    node_resume_clients(node);
    assert_false(net_is_paused(&connections[0]));
}

static void test_whole_window_and_reads_under_way_are_read(void **state)
{
    (void)state;
    node->clients[0].inside = 2 * CLIENT_WINDOW; /* and as many reads */
    request_arrives(0, ABOVE);
    assert_false(net_is_paused(&connections[0]));
}

static void test_paused_connection_that_ends_is_paused_no_more(void **state)
{
    (void)state;
    use_up(0);
    request_arrives(0, ABOVE);
    assert_int_equal(node->paused, 1);
    node->clients_connected = node->clients[0].connections = 1;
    sessions[0].inside = 1; /* or the session would be freed, which is not of the heap */
    node_net_events.closed(node, &connections[0], "as the test wants");
    assert_int_equal(node->paused, 0);
    node_resume_clients(node);
    assert_int_equal(node->paused, 0);
}

static int suite_setup(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    const struct err e = sign_start();
    return err_is(&e) ? -1 : 0;
}

#define ALLOWANCE_TEST(test) cmocka_unit_test_setup_teardown(test, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALLOWANCE_TEST(test_request_in_custody_dropped_before_its_signature),
        ALLOWANCE_TEST(test_request_above_the_window_refused_before_its_signature),
        ALLOWANCE_TEST(test_request_below_the_window_refused_before_its_signature),
        ALLOWANCE_TEST(test_request_past_what_may_be_under_way_refused_and_counted),
        ALLOWANCE_TEST(test_invalid_message_counted),
        ALLOWANCE_TEST(test_connection_that_ends_for_invalid_messages_counted_once),
        ALLOWANCE_TEST(test_bytes_cost_beside_the_message),
        ALLOWANCE_TEST(test_question_about_its_window_counted),
        ALLOWANCE_TEST(test_another_transaction_than_the_executed_one_counted),
        ALLOWANCE_TEST(test_reads_and_new_requests_cost_nothing),
        ALLOWANCE_TEST(test_allowance_used_up_not_read_until_it_has_filled_again),
        ALLOWANCE_TEST(test_allowance_is_each_client_s_own),
        ALLOWANCE_TEST(test_allowance_fills_at_its_rate_up_to_its_maximum),
        ALLOWANCE_TEST(test_debt_is_soon_made_up_for),
        ALLOWANCE_TEST(test_share_of_bytes_used_up_not_read_while_another_is_served),
        ALLOWANCE_TEST(test_share_of_bytes_matters_no_more_when_others_are_served_no_more),
        ALLOWANCE_TEST(test_bytes_of_a_request_that_is_worked_on_count_as_its_share),
        ALLOWANCE_TEST(test_unread_answers_not_read_until_half_of_them_are_gone),
        ALLOWANCE_TEST(test_enough_under_way_not_read_until_half_of_it_is_done),
        ALLOWANCE_TEST(test_whole_window_and_reads_under_way_are_read),
        ALLOWANCE_TEST(test_paused_connection_that_ends_is_paused_no_more),
    };
    return cmocka_run_group_tests_name("node allowance", tests, suite_setup, NULL);
}
