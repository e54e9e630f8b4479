/* test_hostile_flood.c - clients that send too much, too slowly, or never read, and strangers that only connect: four
 * real replicas, as in test_hostile.c. Last, replicas that are stopped and killed.
 */
#include "base/clock.h"
#include "ledger/app.h"
#include "tests/fixture/live_peer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define REPLICAS 4u
#define LARGE_BYTES 1000000u /* of a value: nearly the limit of a request */

/* Which client key a test uses. 0 is the fixture's. */
enum {
    CLIENT_SLOW = 1,
    CLIENT_DEAF,
    CLIENT_READS,
    CLIENT_CROWD,
    CLIENT_OUTSIDE_CROWD,
    CLIENT_FLOOD,
    CLIENT_MEBIBYTES,
    CLIENT_FORGER,
    CLIENT_COUNT,
};

static struct live_group live;

static int suite_setup(void **state)
{
    const struct rlimit files = {4096, 4096};
    (void)state;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* more connections than a replica takes */
    live_group_start(&live, REPLICAS, CLIENT_COUNT);
    return 0;
}

static int suite_teardown(void **state)
{
    (void)state;
    live_group_end(&live);
    return 0;
}

static int test_setup(void **state)
{
    (void)state;
    live_attack_begin(&live);
    return 0;
}

static int test_teardown(void **state)
{
    (void)state;
    live_attack_end(&live);
    return 0;
}

static struct blob *make_put(uint32_t client, uint64_t seq, const char *key, const char *value)
{
    const struct live_request r = {
        .signer = &live.clients[client], .seq = seq, .verb = APP_KV_PUT, .key = key, .value = value};
    return live_request_make(&live, &r);
}

/* ---- floods ---- */

/* Far more than its window takes: it is told so of each, slowly. */
static void test_requests_3000_at_once_answered_slowly_others_served(void **state)
{
    struct buffer all = {0};
    struct wire_message m;
    uint8_t head[4];
    uint32_t busy = 0;
    uint32_t replies = 0;
    (void)state;
    for (uint64_t seq = 1; seq <= 3000; seq++) {
        struct blob *request = make_put(CLIENT_FLOOD, seq, "flood", "x");
        be32_put(head, (uint32_t)request->len);
        buffer_append(&all, head, sizeof head);
        buffer_append(&all, request->data, request->len);
        blob_release(request);
    }
    struct raw_peer *p = live_peer_client(&live, 0, CLIENT_FLOOD);
    assert_true(raw_peer_send_bytes(p, bytes_of(all.data, all.len), LIVE_PEER_MS));
    live_commit(&live); /* at the same time */
    buffer_free(&all);
    while (busy < 1500 || replies == 0) { /* the rest is in custody, or a repetition of what is */
        struct blob *frame = raw_peer_receive(p, LIVE_PEER_MS);
        assert_non_null(frame);
        assert_null(wire_decode(blob_bytes(frame), &m));
        if (m.type == WIRE_TYPE_busy) {
            busy++;
            assert_true(m.busy.reason == BUSY_OVERLOAD || m.busy.reason == BUSY_TOO_FAR);
        }
        if (m.type == WIRE_TYPE_reply) replies++;
        blob_release(frame);
    }
    assert_true(replies > 0);
    raw_peer_free(p);
}

/* 64 requests of nearly 1 MiB, over and over: bytes are bounded, not only messages. */
static void test_requests_of_a_mebibyte_flood_bounded(void **state)
{
    static char large[LARGE_BYTES];
    struct raw_peer *peers[4];
    (void)state;
    memset(large, 'x', sizeof large);
    const struct live_request forged = {.signer = &live.clients[CLIENT_FORGER],
                                        .names = &live.clients[CLIENT_MEBIBYTES],
                                        .seq = 1,
                                        .verb = APP_KV_PUT,
                                        .key = "large",
                                        .value = large,
                                        .value_bytes = LARGE_BYTES};
    struct blob *request = live_request_make(&live, &forged);
    for (uint32_t k = 0; k < 4; k++)
        peers[k] = live_peer_client(&live, 1, CLIENT_MEBIBYTES);
    bool open = true;
    for (uint32_t i = 0; i < 30 && open; i++) /* wrongly signed: at most 32 of them on each connection */
        for (uint32_t k = 0; k < 4; k++)
            open = raw_peer_send(peers[k], blob_bytes(request)) && open;
    blob_release(request);
    for (uint32_t k = 0; k < 4; k++)
        raw_peer_free(peers[k]);
}

static struct raw_peer *deaf_client(uint32_t replica, uint32_t client)
{
    const struct wire_hello hello = live_peer_hello(&live, HELLO_ROLE_CLIENT, 0);
    struct raw_peer *p = live_peer_silent(&live, replica, &live.clients[client], true);
    assert_true(raw_peer_send_record(p, &wire_record_hello, &hello));
    return p;
}

/* Asks and never reads, until nothing more is taken, for the replica does not read it either, or has ended it. */
static void ask_until_not_read(struct raw_peer *p, struct blob *query)
{
    const uint64_t until = live_deadline_us(60000u * LIVE_STRETCH);
    struct buffer many = {0};
    uint8_t head[4];
    be32_put(head, (uint32_t)query->len);
    for (uint32_t i = 0; i < 200; i++) {
        buffer_append(&many, head, sizeof head);
        buffer_append(&many, query->data, query->len);
    }
    while (raw_peer_send_bytes(p, bytes_of(many.data, many.len), 500))
        if (clock_monotonic_us() > until) fail_msg("all that it asks is read");
    buffer_free(&many);
    blob_release(query);
}

static void flood_status(void)
{
    struct raw_peer *p = deaf_client(0, CLIENT_DEAF);
    ask_until_not_read(p, live_query_make(0, 5, QUERY_MODE_LOCAL, APP_SYSTEM, SYSTEM_VERB_STATUS, bytes_of(NULL, 0)));
    raw_peer_free(p);
}

static void test_questions_without_end_not_read_for_a_while(void **state)
{
    (void)state;
    flood_status();
    LIVE_UNTIL_LOGGED(&live, 0, "it asks for too much in vain", flood_status());
}

static void test_queries_for_large_values_never_read_disconnected_and_bounded(void **state)
{
    enum { DEAF = 4 };
    static char large[LARGE_BYTES];
    struct raw_peer *deaf[DEAF];
    struct pbft_answer *answer;
    (void)state;
    memset(large, 'x', sizeof large);
    struct pbft_client *c = live_client_open(&live, CLIENT_READS, LIVE_PEER_MS);
    const struct pbft_operation put = {
        .app = 1, .verb = 1, .arg_count = 2, .args = {{"large", 5}, {large, LARGE_BYTES}}};
    const struct pbft_error e = pbft_submit_wait(c, &put, 1, &answer);
    if (e.status != PBFT_OK) fail_msg("%s", e.text);
    assert_int_equal(answer->outcome, PBFT_OUTCOME_OK);
    pbft_answer_free(answer);
    pbft_close(c);
    for (uint32_t i = 0; i < DEAF; i++) {
        deaf[i] = deaf_client(3, CLIENT_READS);
        ask_until_not_read(deaf[i],
                           live_query_make(0, 5, QUERY_MODE_QUORUM, APP_KV, APP_KV_GET, bytes_of_text("large")));
    }
    LIVE_UNTIL_LOGGED(&live, 3, "event=client.closed",
                      live_pause()); /* its queue is full, or nothing moves for too long */
    for (uint32_t i = 0; i < DEAF; i++)
        raw_peer_free(deaf[i]);
}

static void one_too_many(void)
{
    struct raw_peer *p;
    if (raw_peer_open(live.host, live.replicas[0].port, &live.clients[CLIENT_CROWD], false, &p))
        live_peer_expect_closed(p);
}

static void test_connections_up_to_the_limit_others_still_served(void **state)
{
    enum { STRANGERS = 1500, OWN = 40 };
    static int fds[STRANGERS];
    struct raw_peer *own[OWN];
    uint32_t open = 0;
    (void)state;
    for (uint32_t i = 0; i < OWN; i++) { /* one client may have a few */
        const struct wire_hello hello = live_peer_hello(&live, HELLO_ROLE_CLIENT, 0);
        own[i] = live_peer_silent(&live, 0, &live.clients[CLIENT_CROWD], false);
        (void)raw_peer_send_record(own[i], &wire_record_hello, &hello);
    }
    for (uint32_t i = 0; i < OWN; i++) {
        struct blob *hello = raw_peer_receive(own[i], LIVE_PEER_MS);
        if (hello != NULL) open++;
        blob_release(hello);
    }
    assert_int_equal(open, 16);
    LIVE_UNTIL_LOGGED(&live, 0, "too many connections of one client", one_too_many());
    for (uint32_t i = 0; i < STRANGERS; i++) { /* and strangers take the rest */
        fds[i] = raw_peer_tcp(live.host, live.replicas[0].port, false);
        assert_true(fds[i] >= 0);
    }
    struct pbft_client *c = live_client_open(&live, CLIENT_OUTSIDE_CROWD, LIVE_PEER_MS);
    const struct pbft_operation put = {.app = 1, .verb = 1, .arg_count = 2, .args = {{"crowd", 5}, {"x", 1}}};
    struct pbft_answer *answer;
    struct pbft_error e = pbft_submit_wait(c, &put, 1, &answer);
    if (e.status != PBFT_OK) fail_msg("%s", e.text);
    pbft_answer_free(answer);
    struct pbft_replica_status status[REPLICAS];
    e = pbft_status_wait(c, LIVE_PEER_MS, status);
    assert_int_equal(e.status, PBFT_OK);
    assert_true(status[0].answered); /* it came in though the house is full */
    pbft_close(c);
    for (uint32_t i = 0; i < STRANGERS; i++)
        (void)close(fds[i]);
    for (uint32_t i = 0; i < OWN; i++)
        raw_peer_free(own[i]);
}

/* ---- slow ---- */

static void be_half_open(void)
{
    char byte;
    const int fd = raw_peer_tcp(live.host, live.replicas[2].port, false);
    assert_true(fd >= 0);
    while (recv(fd, &byte, 1, 0) > 0)
        continue;
    (void)close(fd);
}

static void stop_inside_frame(void)
{
    struct raw_peer *p = live_peer_client(&live, 2, CLIENT_SLOW);
    assert_true(raw_peer_send_bytes(p, bytes_of("\0\0\4\0x", 5), LIVE_PEER_MS));
    live_peer_expect_closed(p);
}

/* All at once, each for as long as its deadline; the group serves others meanwhile. */
static void test_slow_peers_disconnected_by_deadlines_others_served(void **state)
{
    enum { HALF_OPEN, NO_HELLO, SLOW_HELLO, SLOW_FRAME, SLOW_COUNT };
    static const uint64_t latest_ms[SLOW_COUNT] = {8000, 8000, 8000, 14000};
    const struct wire_hello hello = live_peer_hello(&live, HELLO_ROLE_CLIENT, 0);
    struct raw_peer *peers[SLOW_COUNT] = {NULL};
    bool ended[SLOW_COUNT] = {false};
    uint32_t left = SLOW_COUNT;
    uint8_t trickle[4096] = {0};
    (void)state;
    const int half_open = raw_peer_tcp(live.host, live.replicas[2].port, false);
    assert_true(half_open >= 0);
    peers[NO_HELLO] = live_peer_silent(&live, 2, &live.clients[CLIENT_SLOW], false);
    peers[SLOW_HELLO] = live_peer_silent(&live, 2, &live.clients[CLIENT_SLOW], false);
    peers[SLOW_FRAME] = live_peer_silent(&live, 2, &live.clients[CLIENT_SLOW], false);
    assert_true(raw_peer_send_record(peers[SLOW_FRAME], &wire_record_hello, &hello));
    trickle[2] = 4; /* a frame of 1 KiB */
    const uint64_t began = clock_monotonic_us();
    for (uint64_t byte = 0; left > 0; byte++) {
        for (uint32_t i = 0; i < SLOW_COUNT; i++) {
            if (ended[i]) continue;
            if (i == HALF_OPEN) {
                const uint8_t record_head[] = {22, 3, 1, 2, 0}; /* of a handshake record of 512 bytes */
                const uint8_t next = byte < sizeof record_head ? record_head[byte] : 0;
                ended[i] = send(half_open, &next, 1, MSG_NOSIGNAL) != 1;
            } else if (i == NO_HELLO) {
                ended[i] = raw_peer_closed(peers[i], 0);
            } else {
                ended[i] = !raw_peer_send_bytes(peers[i], bytes_of(trickle + byte, 1), LIVE_PEER_MS) ||
                           raw_peer_closed(peers[i], 0);
            }
            if (ended[i]) left--;
        }
        const uint64_t now_ms = (clock_monotonic_us() - began) / 1000u;
        for (uint32_t i = 0; i < SLOW_COUNT; i++)
            if (!ended[i] && now_ms > latest_ms[i] * LIVE_STRETCH) fail_msg("slow peer %u is never ended", i);
        live_commit(&live); /* served beside them */
        for (uint64_t until = began + (byte + 1) * 1000000u; clock_monotonic_us() < until;)
            live_pause(); /* the attack itself: one byte a second */
    }
    (void)close(half_open);
    for (uint32_t i = 0; i < SLOW_COUNT; i++)
        raw_peer_free(peers[i]);
    LIVE_UNTIL_LOGGED(&live, 2, "the handshake took too long", be_half_open());
    LIVE_UNTIL_LOGGED(&live, 2, "no frame came after the handshake",
                      live_peer_expect_closed(live_peer_silent(&live, 2, &live.clients[CLIENT_SLOW], false)));
    LIVE_UNTIL_LOGGED(&live, 2, "a frame came too slowly", stop_inside_frame());
}

static void speak_http(uint32_t replica)
{
    char byte;
    const int fd = raw_peer_tcp(live.host, live.replicas[replica].port, false);
    assert_true(fd >= 0);
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, MSG_NOSIGNAL), 27);
    while (recv(fd, &byte, 1, 0) > 0)
        continue; /* an alert, then the end */
    (void)close(fd);
}

static void test_no_tls_at_all_closed_at_once(void **state)
{
    const uint64_t began = clock_monotonic_us();
    (void)state;
    for (uint32_t i = 0; i < 200; i++)
        speak_http(i % REPLICAS);
    for (uint32_t id = 0; id < REPLICAS; id++) {
        LIVE_UNTIL_LOGGED(&live, id, "An unexpected TLS packet was received", speak_http(id));
        live_log_check_limited(&live, id, "An unexpected TLS packet was received", began);
    }
}

/* ---- stopping and starting, last: they leave marks on the group ---- */

static void test_terminated_backup_ends_with_0_starts_clean(void **state)
{
    (void)state;
    live_replica_signal(&live, 2, SIGTERM);
    assert_int_equal(live_replica_wait(&live, 2, 20000u * LIVE_STRETCH), 0);
    live_log_wait(&live, 2, "event=replica.stopped", 1);
    assert_int_equal(live_log_count(&live, 2, "votes=kept"), 1);
    live_commit(&live); /* three are a quorum */
    live_replica_start(&live, 2);
    live_log_wait(&live, 2, "stop=clean", 2); /* its first start was one too */
    live_log_wait(&live, 2, "event=replica.ready", 2);
    live_attack_begin(&live);
}

static void test_killed_backup_starts_and_abstains(void **state)
{
    (void)state;
    live_replica_signal(&live, 3, SIGKILL);
    assert_int_equal(live_replica_wait(&live, 3, 20000u * LIVE_STRETCH), 128 + SIGKILL);
    live_commit(&live);
    live_replica_start(&live, 3);
    live_log_wait(&live, 3, "stop=unclean", 1);
    live_log_wait(&live, 3, "event=replica.abstains", 1);
    live_log_wait(&live, 3, "event=replica.ready", 2);
    live_attack_begin(&live);
}

#define HOSTILE_TEST(test) cmocka_unit_test_setup_teardown(test, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOSTILE_TEST(test_requests_3000_at_once_answered_slowly_others_served),
        HOSTILE_TEST(test_requests_of_a_mebibyte_flood_bounded),
        HOSTILE_TEST(test_questions_without_end_not_read_for_a_while),
        HOSTILE_TEST(test_queries_for_large_values_never_read_disconnected_and_bounded),
        HOSTILE_TEST(test_connections_up_to_the_limit_others_still_served),
        HOSTILE_TEST(test_slow_peers_disconnected_by_deadlines_others_served),
        HOSTILE_TEST(test_no_tls_at_all_closed_at_once),
        HOSTILE_TEST(test_terminated_backup_ends_with_0_starts_clean),
        HOSTILE_TEST(test_killed_backup_starts_and_abstains),
    };
    return cmocka_run_group_tests_name("hostile flood", tests, suite_setup, suite_teardown);
}
