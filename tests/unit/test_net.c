/* test_net.c - replica/net: two nets in one loop, real sockets and real TLS. */
#include "replica/net/net.h"

#include "base/clock.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
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

#define WAIT_MS 120000u
#define FRAME_MAX (9u * 1024u * 1024u)
#define QUEUE_MAX (32u * 1024u * 1024u)
#define EVENTS_MAX 64u

/* One side: what it admits, and what has happened to it. */
struct side {
    struct net *net;
    struct secret_key key;
    struct public_key admits; /* the one key that may come in */
    size_t frame_bytes_max;
    size_t queue_bytes_max;
    struct net_connection *connection; /* the newest that opened */
    uint32_t admitted;
    uint32_t opened;
    uint32_t closed;
    const char *reasons[EVENTS_MAX];
    uint64_t frames;
    uint64_t frame_bytes;
    uint64_t next_number; /* frames begin with rising numbers */
    bool disordered;
    uint32_t close_at; /* closes inside the callback of this frame; 0: never */
    uint32_t pause_at; /* pauses inside it */
    bool close_when_opened;
    bool cut_when_opened; /* says something on a connection that has just gone */
};

static struct ev_loop *loop;
static struct side server;
static struct side client;
static uint16_t server_port;

static bool on_admit(void *context, struct net_connection *c, const struct public_key *key, size_t *frame_bytes_max,
                     size_t *queue_bytes_max)
{
    struct side *s = context;
    s->admitted++;
    assert_true(public_key_equal(key, net_peer_key(c)));
    *frame_bytes_max = s->frame_bytes_max;
    *queue_bytes_max = s->queue_bytes_max;
    return public_key_equal(key, &s->admits);
}

static struct blob *numbered(uint64_t number, size_t len);

/* As if the other end were gone: its socket takes nothing any more. */
static void cut_towards(uint16_t port)
{
    for (int fd = 3; fd < FD_SETSIZE; fd++) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && ntohs(peer.sin_port) == port)
            assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
    }
}

static void on_opened(void *context, struct net_connection *c)
{
    struct side *s = context;
    s->opened++;
    s->connection = c;
    if (s->close_when_opened) net_close(c, "as the test wants");
    if (!s->cut_when_opened) return;
    struct blob *first = numbered(0, 100);
    cut_towards(server_port);
    assert_true(net_send(c, first));
    blob_release(first);
}

static void on_frame(void *context, struct net_connection *c, struct blob *frame)
{
    struct side *s = context;
    s->frames++;
    s->frame_bytes += frame->len;
    if (frame->len >= 8) {
        if (be64_get(frame->data) != s->next_number) s->disordered = true;
        s->next_number++;
    }
    for (size_t i = 8; i < frame->len; i++)
        if (frame->data[i] != (uint8_t)(i * 7u + frame->data[7])) {
            s->disordered = true;
            break;
        }
    if (s->frames == s->close_at) net_close(c, "as the test wants");
    if (s->frames == s->pause_at) net_pause(c);
    blob_release(frame);
}

static void on_closed(void *context, struct net_connection *c, const char *reason)
{
    struct side *s = context;
    if (s->closed < EVENTS_MAX) s->reasons[s->closed] = reason;
    s->closed++;
    if (s->connection == c) s->connection = NULL;
}

static const struct net_events side_events = {
    .admit = on_admit, .opened = on_opened, .frame = on_frame, .closed = on_closed};

static void side_start(struct side *s, uint8_t seed_byte)
{
    uint8_t seed[32];
    struct public_key public;
    memset(seed, seed_byte, sizeof seed);
    memset(s, 0, sizeof *s);
    sign_key_from_seed(seed, &s->key, &public);
    s->frame_bytes_max = FRAME_MAX;
    s->queue_bytes_max = QUEUE_MAX;
}

static int start_with(uint32_t connections_max)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    side_start(&server, 1);
    side_start(&client, 2);
    server.admits = secret_key_public(&client.key);
    client.admits = secret_key_public(&server.key);
    server_port = 0;
    struct err e = net_new(loop, &server.key, &side_events, &server, connections_max, &server.net);
    if (!err_is(&e)) e = net_new(loop, &client.key, &side_events, &client, 100, &client.net);
    if (!err_is(&e)) e = net_listen(server.net, "127.0.0.1", &server_port);
    return err_is(&e) ? -1 : 0;
}

static int test_setup(void **state)
{
    (void)state;
    return start_with(100);
}

static int test_teardown(void **state)
{
    (void)state;
    net_free(client.net);
    net_free(server.net);
    ev_loop_destroy(loop);
    return 0;
}

static int suite_setup(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_LEVEL_ERROR);
    const struct err e = sign_start();
    return err_is(&e) ? -1 : 0;
}

static void on_turn_limit(struct ev_loop *l, struct ev_timer *w, int events)
{
    (void)l;
    (void)w;
    (void)events;
}

/* One turn of the loop, of at most 10 ms of waiting. */
static void turn(void)
{
    struct ev_timer limit;
    ev_timer_init(&limit, on_turn_limit, 0.01, 0);
    ev_timer_start(loop, &limit);
    (void)ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &limit);
}

/* Turns the loop until the condition holds; fails at the deadline. */
#define TURN_UNTIL(condition)                                                                                          \
    do {                                                                                                               \
        const uint64_t until_ = clock_monotonic_us() + WAIT_MS * 1000u;                                                \
        while (!(condition)) {                                                                                         \
            if (clock_monotonic_us() > until_) fail_msg("never: %s", #condition);                                      \
            turn();                                                                                                    \
        }                                                                                                              \
    } while (0)

static struct net_connection *open_pair(void)
{
    assert_non_null(net_connect(client.net, "127.0.0.1", server_port, &client));
    TURN_UNTIL(client.opened == 1 && server.opened == 1);
    return client.connection;
}

/* A frame that begins with its number and goes on in a pattern. */
static struct blob *numbered(uint64_t number, size_t len)
{
    struct blob *b = blob_new(len);
    be64_put(b->data, number);
    for (size_t i = 8; i < len; i++)
        b->data[i] = (uint8_t)(i * 7u + b->data[7]);
    return b;
}

static bool send_numbered(struct net_connection *c, uint64_t number, size_t len)
{
    struct blob *b = numbered(number, len);
    const bool queued = net_send(c, b);
    blob_release(b);
    return queued;
}

/* ---- the handshake ---- */

static void test_handshake_both_admit_opened_with_keys(void **state)
{
    (void)state;
    const struct net_connection *c = open_pair();
    const struct public_key server_key = secret_key_public(&server.key);
    const struct public_key client_key = secret_key_public(&client.key);
    assert_true(net_is_open(c));
    assert_true(net_is_outgoing(c));
    assert_false(net_is_outgoing(server.connection));
    assert_ptr_equal(net_user(c), &client);
    assert_true(public_key_equal(net_peer_key(c), &server_key));
    assert_true(public_key_equal(net_peer_key(server.connection), &client_key));
    assert_int_equal(net_counts(server.net).accepted, 1);
    assert_int_equal(net_counts(server.net).refused, 0);
    assert_int_equal(net_counts(server.net).open, 1);
}

static void test_handshake_server_refuses_never_opened(void **state)
{
    (void)state;
    server.admits = secret_key_public(&server.key);
    assert_non_null(net_connect(client.net, "127.0.0.1", server_port, NULL));
    TURN_UNTIL(server.closed == 1 && client.closed == 1);
    assert_int_equal(server.opened, 0);
    assert_int_equal(net_counts(server.net).refused, 1);
    assert_int_equal(net_counts(server.net).open, 0);
    assert_non_null(strstr(server.reasons[0], "not one of this group's"));
    assert_non_null(strstr(client.reasons[0], "refused"));
}

/* A refusal may end the connection before the first message could leave; the reason must not be the library's alone. */
static void test_first_message_cannot_leave_reason_says_refused_or_stopping(void **state)
{
    (void)state;
    client.cut_when_opened = true;
    assert_non_null(net_connect(client.net, "127.0.0.1", server_port, NULL));
    TURN_UNTIL(client.closed == 1);
    assert_int_equal(client.opened, 1);
    assert_non_null(strstr(client.reasons[0], "before its first message: it refused this key, or is stopping"));
}

static void test_handshake_client_refuses_never_opened(void **state)
{
    (void)state;
    client.admits = secret_key_public(&client.key);
    assert_non_null(net_connect(client.net, "127.0.0.1", server_port, NULL));
    TURN_UNTIL(server.closed == 1 && client.closed == 1);
    assert_int_equal(client.opened, 0);
    assert_int_equal(server.opened, 0);
    assert_non_null(strstr(client.reasons[0], "not the one expected at this address"));
}

static void test_connect_nobody_listens_closed_says_so(void **state)
{
    (void)state;
    uint16_t port = 0;
    struct net *other;
    struct err e = net_new(loop, &server.key, &side_events, &server, 10, &other);
    assert_int_equal(e.code, ERR_NONE);
    e = net_listen(other, "127.0.0.1", &port);
    assert_int_equal(e.code, ERR_NONE);
    net_free(other); /* a port that was free a moment ago */
    assert_non_null(net_connect(client.net, "127.0.0.1", port, NULL));
    TURN_UNTIL(client.closed == 1);
    assert_non_null(strstr(client.reasons[0], "connection refused"));
}

static void test_connect_name_without_address_null(void **state)
{
    (void)state;
    assert_null(net_connect(client.net, "no-such-host.invalid", 7400, NULL));
    assert_int_equal(net_counts(client.net).open, 0);
}

static void test_listen_port_in_use_config_error(void **state)
{
    (void)state;
    uint16_t port = server_port;
    const struct err e = net_listen(client.net, "127.0.0.1", &port);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, "cannot listen on 127.0.0.1"));
}

/* ---- limits ---- */

static void test_frame_of_the_limit_passes_one_more_closes(void **state)
{
    (void)state;
    server.frame_bytes_max = 100000;
    struct net_connection *c = open_pair();
    assert_true(send_numbered(c, 0, 100000));
    TURN_UNTIL(server.frames == 1);
    assert_true(send_numbered(c, 1, 100001));
    TURN_UNTIL(server.closed == 1 && client.closed == 1);
    assert_int_equal(server.frames, 1);
    assert_non_null(strstr(server.reasons[0], "over the limit"));
}

static void test_queue_full_refused_then_taken_again(void **state)
{
    (void)state;
    client.queue_bytes_max = 100000;
    struct net_connection *c = open_pair();
    assert_false(send_numbered(c, 0, 100000)); /* with its length it is over */
    assert_int_equal(net_queued_bytes(c), 0);
    assert_true(send_numbered(c, 0, 60000));
    assert_false(send_numbered(c, 1, 40000));
    assert_true(send_numbered(c, 1, 39992));
    assert_int_equal(net_queued_bytes(c), 100000);
    assert_false(send_numbered(c, 2, 8));
    TURN_UNTIL(server.frames == 2);
    assert_int_equal(net_queued_bytes(c), 0);
    assert_true(send_numbered(c, 2, 8));
    TURN_UNTIL(server.frames == 3);
    assert_false(server.disordered);
}

static void test_send_on_closed_connection_refused(void **state)
{
    (void)state;
    struct net_connection *c = open_pair();
    net_close(c, "as the test wants");
    assert_false(send_numbered(c, 0, 100));
}

/* Strangers that open connections and say nothing keep nobody out. */
static void test_connections_full_of_strangers_member_still_enters(void **state)
{
    int fds[40];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server_port)};
    (void)state;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (uint32_t i = 0; i < 40; i++) { /* the net takes 8 */
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_true(fds[i] >= 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&to, sizeof to), 0);
    }
    TURN_UNTIL(net_counts(server.net).accepted == 40 && net_counts(server.net).open == 8);
    assert_int_equal(server.closed, 32);
    assert_non_null(strstr(server.reasons[0], "gave way"));
    (void)open_pair();
    assert_int_equal(net_counts(server.net).open, 8);
    for (uint32_t i = 0; i < 40; i++)
        (void)close(fds[i]);
}

static int setup_of_8(void **state)
{
    (void)state;
    return start_with(8);
}

static void test_connections_full_of_admitted_newcomer_dropped(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 8; i++) {
        assert_non_null(net_connect(client.net, "127.0.0.1", server_port, NULL));
        TURN_UNTIL(server.opened == i);
    }
    assert_non_null(net_connect(client.net, "127.0.0.1", server_port, NULL));
    TURN_UNTIL(client.closed == 1);
    assert_int_equal(server.closed, 0);
    assert_int_equal(net_counts(server.net).open, 8);
}

/* Without a free descriptor the listener stays readable for ever: the loop must not spin on it. */
static void test_accept_without_descriptors_waits_then_goes_on(void **state)
{
    struct rlimit before;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server_port)};
    (void)state;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const int lowest = dup(fd); /* every lower one is taken */
    assert_true(lowest >= 0);
    (void)close(lowest);
    const struct rlimit none = {(rlim_t)lowest, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    const unsigned turns_before = ev_iteration(loop);
    const uint64_t until = clock_monotonic_us() + 1200000;
    while (clock_monotonic_us() < until)
        turn();
    const unsigned turns = ev_iteration(loop) - turns_before;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_in_range(turns, 1, 1000);
    assert_int_equal(net_counts(server.net).accepted, 0);
    TURN_UNTIL(net_counts(server.net).accepted == 1);
    (void)open_pair();
    (void)close(fd);
}

/* ---- carrying ---- */

static void test_large_frames_both_ways_at_once_arrive_whole(void **state)
{
    static const size_t sizes[] = {8, 8 * 1024 * 1024, 65535, 65536, 65537, 3 * 1024 * 1024 + 1, 16380, 5000000};
    const uint64_t count = sizeof sizes / sizeof sizes[0];
    (void)state;
    struct net_connection *c = open_pair();
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < count; i++) {
        assert_true(send_numbered(c, i, sizes[i]));
        assert_true(send_numbered(server.connection, i, sizes[i]));
        bytes += sizes[i];
    }
    TURN_UNTIL(server.frames == count && client.frames == count);
    assert_int_equal(server.frame_bytes, bytes);
    assert_int_equal(client.frame_bytes, bytes);
    assert_false(server.disordered);
    assert_false(client.disordered);
    assert_int_equal(net_queued_bytes(c), 0);
}

static void test_many_small_frames_both_ways_arrive_in_order(void **state)
{
    (void)state;
    struct net_connection *c = open_pair();
    for (uint64_t i = 0; i < 30000; i++) {
        assert_true(send_numbered(c, i, 8 + i % 50));
        if (i % 3 == 0) assert_true(send_numbered(server.connection, i / 3, 9));
    }
    TURN_UNTIL(server.frames == 30000 && client.frames == 10000);
    assert_false(server.disordered);
    assert_false(client.disordered);
}

static void test_several_connections_do_not_mix(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 5; i++) {
        assert_non_null(net_connect(client.net, "127.0.0.1", server_port, NULL));
        TURN_UNTIL(client.opened == i && server.opened == i);
        assert_true(send_numbered(client.connection, i - 1, 300000));
        TURN_UNTIL(server.frames == i);
    }
    assert_false(server.disordered);
    assert_int_equal(net_counts(server.net).open, 5);
}

/* ---- ending ---- */

static void test_paused_nothing_more_is_read_until_resumed(void **state)
{
    (void)state;
    server.pause_at = 1;
    struct net_connection *c = open_pair();
    assert_true(send_numbered(c, 0, 100));
    TURN_UNTIL(server.frames == 1);
    assert_true(net_is_paused(server.connection));
    for (uint64_t i = 1; i <= 40; i++)
        assert_true(send_numbered(c, i, 1000));
    TURN_UNTIL(net_queued_bytes(c) == 0); /* its socket has them */
    assert_true(send_numbered(server.connection, 0, 100));
    TURN_UNTIL(client.frames == 1); /* the other way is open, and writing does not begin to read */
    for (uint32_t i = 0; i < 5; i++)
        turn();
    assert_int_equal(server.frames, 1);
    net_resume(server.connection);
    assert_false(net_is_paused(server.connection));
    TURN_UNTIL(server.frames == 41);
    assert_false(server.disordered);
}

static void test_close_while_sending_ends_both_without_whole_frame(void **state)
{
    (void)state;
    struct net_connection *c = open_pair();
    assert_true(send_numbered(c, 0, 8 * 1024 * 1024));
    assert_true(send_numbered(server.connection, 0, 8 * 1024 * 1024));
    TURN_UNTIL(net_counts(client.net).bytes_out > 0);
    net_close(c, "as the test wants");
    TURN_UNTIL(client.closed == 1 && server.closed == 1);
    assert_string_equal(client.reasons[0], "as the test wants");
    assert_int_equal(net_counts(client.net).open, 0);
    assert_int_equal(net_counts(server.net).open, 0);
}

static void test_close_flushed_everything_arrives_first(void **state)
{
    (void)state;
    struct net_connection *c = open_pair();
    for (uint64_t i = 0; i < 5; i++)
        assert_true(send_numbered(c, i, 2 * 1024 * 1024));
    net_close_flushed(c, "as the test wants");
    assert_false(send_numbered(c, 5, 100));
    TURN_UNTIL(client.closed == 1 && server.closed == 1);
    assert_int_equal(server.frames, 5);
    assert_false(server.disordered);
}

static void test_peer_closes_reason_is_the_ordinary_one(void **state)
{
    (void)state;
    net_close_flushed(open_pair(), "as the test wants");
    TURN_UNTIL(server.closed == 1);
    assert_ptr_equal(server.reasons[0], net_closed_by_peer);
}

static void test_close_inside_frame_no_further_frame(void **state)
{
    (void)state;
    server.close_at = 3;
    struct net_connection *c = open_pair();
    for (uint64_t i = 0; i < 10; i++)
        assert_true(send_numbered(c, i, 100)); /* they come in one record */
    TURN_UNTIL(server.closed == 1);
    assert_int_equal(server.frames, 3);
}

static void test_close_inside_opened_closed_once(void **state)
{
    (void)state;
    server.close_when_opened = true;
    assert_non_null(net_connect(client.net, "127.0.0.1", server_port, NULL));
    TURN_UNTIL(client.closed == 1 && server.closed == 1);
    assert_int_equal(server.opened, 1);
}

static void test_free_with_queued_frames_no_callback(void **state)
{
    (void)state;
    assert_true(send_numbered(open_pair(), 0, 8 * 1024 * 1024));
    net_free(client.net);
    client.net = NULL;
    assert_int_equal(client.closed, 0);
    TURN_UNTIL(server.closed == 1);
    assert_int_equal(server.frames, 0);
}

/* ---- deadlines ---- */

/* One that only connects, one that sends no TLS, one that shakes hands and says nothing; beside them one that is right.
 */
static void test_silent_peers_closed_at_the_deadline_others_not(void **state)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server_port)};
    (void)state;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int silent = socket(AF_INET, SOCK_STREAM, 0);
    const int garbage = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(silent, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(connect(garbage, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(garbage, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    TURN_UNTIL(server.closed == 1); /* at once: it is no TLS */
    struct net_connection *talks = open_pair();
    assert_true(send_numbered(talks, 0, 100));
    assert_true(send_numbered(server.connection, 0, 100));
    TURN_UNTIL(server.frames == 1 && client.frames == 1);
    const uint64_t began = clock_monotonic_us();
    assert_non_null(net_connect(client.net, "127.0.0.1", server_port, NULL));
    TURN_UNTIL(server.opened == 2);
    TURN_UNTIL(server.closed == 3);
    const uint64_t took_ms = (clock_monotonic_us() - began) / 1000u;
    assert_in_range(took_ms, (uint64_t)(NET_FIRST_FRAME_SECONDS * 1000) - 100, 15000);
    assert_non_null(strstr(server.reasons[1], "handshake took too long"));
    assert_non_null(strstr(server.reasons[2], "no frame came"));
    assert_true(net_is_open(talks));
    (void)close(silent);
    (void)close(garbage);
}

/* The rest of its frame has come, and is not read for longer than a frame may take. */
static void test_paused_inside_a_frame_not_closed_for_it(void **state)
{
    const size_t len = 40000; /* more than one TLS record */
    (void)state;
    server.pause_at = 1;
    struct net_connection *c = open_pair();
    assert_true(send_numbered(c, 0, 100));
    assert_true(send_numbered(c, 1, len));
    TURN_UNTIL(server.frames == 1);
    const uint64_t until =
        clock_monotonic_us() + (uint64_t)((NET_FRAME_SECONDS + (double)len / NET_FRAME_RATE + 1) * 1e6);
    while (clock_monotonic_us() < until)
        turn();
    assert_int_equal(server.closed, 0);
    assert_int_equal(server.frames, 1);
    net_resume(server.connection);
    TURN_UNTIL(server.frames == 2);
    assert_false(server.disordered);
}

#define NET_TEST(test) cmocka_unit_test_setup_teardown(test, test_setup, test_teardown)
#define NET_TEST_OF_8(test) cmocka_unit_test_setup_teardown(test, setup_of_8, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_handshake_both_admit_opened_with_keys),
        NET_TEST(test_handshake_server_refuses_never_opened),
        NET_TEST(test_first_message_cannot_leave_reason_says_refused_or_stopping),
        NET_TEST(test_handshake_client_refuses_never_opened),
        NET_TEST(test_connect_nobody_listens_closed_says_so),
        NET_TEST(test_connect_name_without_address_null),
        NET_TEST(test_listen_port_in_use_config_error),
        NET_TEST(test_frame_of_the_limit_passes_one_more_closes),
        NET_TEST(test_queue_full_refused_then_taken_again),
        NET_TEST(test_send_on_closed_connection_refused),
        NET_TEST_OF_8(test_connections_full_of_strangers_member_still_enters),
        NET_TEST_OF_8(test_connections_full_of_admitted_newcomer_dropped),
        NET_TEST(test_accept_without_descriptors_waits_then_goes_on),
        NET_TEST(test_large_frames_both_ways_at_once_arrive_whole),
        NET_TEST(test_many_small_frames_both_ways_arrive_in_order),
        NET_TEST(test_several_connections_do_not_mix),
        NET_TEST(test_paused_nothing_more_is_read_until_resumed),
        NET_TEST(test_close_while_sending_ends_both_without_whole_frame),
        NET_TEST(test_close_flushed_everything_arrives_first),
        NET_TEST(test_peer_closes_reason_is_the_ordinary_one),
        NET_TEST(test_close_inside_frame_no_further_frame),
        NET_TEST(test_close_inside_opened_closed_once),
        NET_TEST(test_free_with_queued_frames_no_callback),
        NET_TEST(test_silent_peers_closed_at_the_deadline_others_not),
        NET_TEST(test_paused_inside_a_frame_not_closed_for_it),
    };
    return cmocka_run_group_tests_name("net", tests, suite_setup, NULL);
}
