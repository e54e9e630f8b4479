/* test_http.c - the HTTP endpoint with real sockets: what is answered and refused, and that nobody who is slow, greedy or
 * malformed keeps others out or the loop from turning. The loop under test runs in this thread, between the tests' own reads.
 */
#include "replica/run/http.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PATIENCE_US 60000000u /* no wait of a test lasts longer */
#define LARGE_BYTES (4u * 1024u * 1024u)

static struct ev_loop *loop;
static struct http *http;
static char address[32];
static uint32_t host; /* a loopback address of this process's own */
static uint16_t port;
static uint32_t rendered; /* of /kept */
static uint32_t status;   /* that /page answers */

static uint32_t render_page(void *context, struct buffer *body)
{
    buffer_printf(body, "%s", (const char *)context);
    return status;
}

static uint32_t render_kept(void *context, struct buffer *body)
{
    (void)context;
    buffer_printf(body, "made %u\n", ++rendered);
    return 200;
}

static uint32_t render_large(void *context, struct buffer *body)
{
    (void)context;
    memset(buffer_reserve(body, LARGE_BYTES), 'x', LARGE_BYTES);
    body->len += LARGE_BYTES;
    return 200;
}

static const struct http_page pages[] = {
    {.path = "/page", .type = "text/plain", .render = render_page},
    {.path = "/kept", .type = "text/plain", .keep_ms = 3600000, .render = render_kept},
    {.path = "/large", .type = "text/plain", .keep_ms = 3600000, .render = render_large},
};

static int socket_from(uint32_t from)
{
    const struct sockaddr_in mine = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(from)}};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    if (from != 0) assert_int_equal(bind(fd, (const struct sockaddr *)&mine, sizeof mine), 0);
    return fd;
}

static uint16_t free_port(void)
{
    struct sockaddr_in a = {0};
    socklen_t size = sizeof a;
    const int fd = socket_from(host);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

static int http_setup(void **state)
{
    static char context[] = "the page\n";
    const unsigned pid = (unsigned)getpid();
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    rendered = 0;
    status = 200;
    host = 127u << 24 | (64 + (pid >> 16 & 63)) << 16 | (pid & 0xffff);
    loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(loop);
    port = free_port();
    (void)snprintf(address, sizeof address, "%u.%u.%u.%u:%u", host >> 24, host >> 16 & 255, host >> 8 & 255, host & 255, port);
    const struct err e = http_start(loop, address, pages, sizeof pages / sizeof pages[0], context, &http);
    if (err_is(&e)) fail_msg("%s", e.text);
    return 0;
}

static int http_teardown(void **state)
{
    (void)state;
    http_free(http);
    ev_loop_destroy(loop);
    return 0;
}

/* ---- a client ---- */

/* One more turn of the loop; fails at the deadline. */
static void turn_until(uint64_t until_us)
{
    if (clock_monotonic_us() > until_us) fail_msg("nothing came in %u s", PATIENCE_US / 1000000);
    (void)ev_run(loop, EVRUN_ONCE); /* the sweep's timer ends the wait */
}

static int connect_from(uint32_t from)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(host)}};
    const int fd = socket_from(from);
    const int code = connect(fd, (const struct sockaddr *)&to, sizeof to);
    if (code != 0) assert_int_equal(errno, EINPROGRESS);
    return fd;
}

/* False when the other side has closed. */
static bool send_all(int fd, const char *data, size_t len)
{
    const uint64_t until = clock_monotonic_us() + PATIENCE_US;
    while (len > 0) {
        const ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent > 0) {
            data += sent;
            len -= (size_t)sent;
        } else if (errno != EAGAIN && errno != ENOTCONN) {
            return false;
        }
        if (len > 0) turn_until(until);
    }
    return true;
}

/* Reads until the text is there, or the other side closes; the buffer ends in NUL. */
static void read_until(int fd, const char *text, struct buffer *out)
{
    const uint64_t until = clock_monotonic_us() + PATIENCE_US;
    for (;;) {
        const ssize_t got = recv(fd, buffer_reserve(out, 65537), 65536, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != ENOTCONN)) break;
        if (got > 0) out->len += (size_t)got;
        out->data[out->len] = '\0';
        if (text != NULL && strstr((const char *)out->data, text) != NULL) return;
        if (got < 0) turn_until(until);
    }
    *buffer_reserve(out, 1) = '\0';
}

/* A request on a connection of its own; the answer must begin with `first` and hold `part`. */
static void check_answer(const char *request, const char *first, const char *part)
{
    struct buffer got = {0};
    const int fd = connect_from(0);
    (void)send_all(fd, request, strlen(request)); /* a refusal may come before its end */
    read_until(fd, NULL, &got);
    (void)close(fd);
    if (strncmp((const char *)got.data, first, strlen(first)) != 0 ||
        (part != NULL && strstr((const char *)got.data, part) == NULL))
        fail_msg("%.80s: got %.300s", request, (const char *)got.data);
    buffer_free(&got);
}

#define GET_PAGE "GET /page HTTP/1.1\r\nHost: a\r\n"
#define CLOSE "Connection: close\r\n\r\n"

/* ---- answers ---- */

static void test_http_page_is_answered(void **state)
{
    (void)state;
    check_answer(GET_PAGE CLOSE, "HTTP/1.1 200 OK\r\n", "\r\n\r\nthe page\n");
    check_answer(GET_PAGE CLOSE, "HTTP/1.1 200 OK\r\n", "Content-Type: text/plain\r\n");
    check_answer("GET /page?x=y HTTP/1.1\r\nHost: a\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", NULL);
    status = 503;
    check_answer(GET_PAGE CLOSE, "HTTP/1.1 503 ", "\r\n\r\nthe page\n");
}

static void test_http_head_has_no_body(void **state)
{
    struct buffer got = {0};
    static const char request[] = "HEAD /page HTTP/1.1\r\nHost: a\r\n" CLOSE;
    (void)state;
    const int fd = connect_from(0);
    assert_true(send_all(fd, request, strlen(request)));
    read_until(fd, NULL, &got);
    assert_non_null(strstr((const char *)got.data, "Content-Length: 9\r\n"));
    assert_null(strstr((const char *)got.data, "the page"));
    (void)close(fd);
    buffer_free(&got);
}

static void test_http_connection_takes_several_requests(void **state)
{
    struct buffer got = {0};
    (void)state;
    const int fd = connect_from(0);
    for (uint32_t i = 0; i < 3; i++) {
        got.len = 0;
        assert_true(send_all(fd, GET_PAGE "\r\n", strlen(GET_PAGE "\r\n")));
        read_until(fd, "the page\n", &got);
        assert_non_null(strstr((const char *)got.data, "the page\n"));
    }
    (void)close(fd);
    buffer_free(&got);
}

static void test_http_kept_page_is_made_once(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        check_answer("GET /kept HTTP/1.1\r\nHost: a\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "\r\n\r\nmade 1\n");
    assert_int_equal(rendered, 1);
}

/* ---- refusals ---- */

static void test_http_unknown_page_is_404_and_names_those_there_are(void **state)
{
    (void)state;
    check_answer("GET / HTTP/1.1\r\nHost: a\r\n" CLOSE, "HTTP/1.1 404 ", "there are: /page /kept /large\n");
    check_answer("GET /page/ HTTP/1.1\r\nHost: a\r\n" CLOSE, "HTTP/1.1 404 ", NULL);
    check_answer("GET /page%00x HTTP/1.1\r\nHost: a\r\n" CLOSE, "HTTP/1.1 404 ", NULL);
    check_answer("GET /../page HTTP/1.1\r\nHost: a\r\n" CLOSE, "HTTP/1.1 404 ", NULL);
}

static void test_http_other_methods_are_405(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "X"};
    char request[128];
    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        (void)snprintf(request, sizeof request, "%s /page HTTP/1.1\r\nHost: a\r\n" CLOSE, methods[i]);
        check_answer(request, "HTTP/1.1 405 ", "Allow: GET, HEAD\r\n");
    }
    check_answer("POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 405 ", NULL);
}

static void test_http_body_is_refused_before_it_is_read(void **state)
{
    (void)state;
    check_answer(GET_PAGE "Content-Length: 1000000000\r\n\r\n", "HTTP/1.1 400 ", "no body");
    check_answer(GET_PAGE "Transfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 400 ", "no body");
}

static void test_http_malformed_request_is_refused(void **state)
{
    static const char *const requests[] = {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "GET\r\n\r\n",
                                           "GET /page HTTP/1.1\r\n\r\n", /* no Host */
                                           "GET /page HTTP/9.9\r\nHost: a\r\n\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct buffer got = {0};
        const int fd = connect_from(0);
        (void)send_all(fd, requests[i], strlen(requests[i]));
        (void)shutdown(fd, SHUT_WR);
        read_until(fd, NULL, &got); /* an error, or nothing; but closed */
        assert_null(strstr((const char *)got.data, "the page"));
        (void)close(fd);
        buffer_free(&got);
    }
    check_answer(GET_PAGE CLOSE, "HTTP/1.1 200 OK\r\n", NULL);
}

static void check_too_long(const char *before, char what, const char *after)
{
    struct buffer request = {0};
    struct buffer got = {0};
    buffer_printf(&request, "%s", before);
    memset(buffer_reserve(&request, 8 * HTTP_CONNECTION_BYTES_MAX), what, 8 * HTTP_CONNECTION_BYTES_MAX);
    request.len += 8 * HTTP_CONNECTION_BYTES_MAX;
    buffer_printf(&request, "%s", after);
    const int fd = connect_from(0);
    (void)send_all(fd, (const char *)request.data, request.len);
    read_until(fd, NULL, &got); /* refused, or reset since it was not read to its end */
    assert_null(strstr((const char *)got.data, "200 OK"));
    (void)close(fd);
    buffer_free(&request);
    buffer_free(&got);
}

static void test_http_request_over_the_limit_is_refused(void **state)
{
    (void)state;
    check_too_long("GET /page", 'a', " HTTP/1.1\r\nHost: a\r\n" CLOSE);
    check_too_long(GET_PAGE "X: ", 'a', "\r\n" CLOSE);
    check_too_long("", 'G', "\r\n\r\n");
    check_answer(GET_PAGE CLOSE, "HTTP/1.1 200 OK\r\n", NULL);
}

/* ---- those who keep others out ---- */

/* Whether the other side has closed. What it has sent is read. */
static bool is_closed(int fd)
{
    static char space[65536];
    ssize_t got;
    do
        got = recv(fd, space, sizeof space, 0);
    while (got > 0);
    return got == 0 || (errno != EAGAIN && errno != ENOTCONN);
}

static void open_half(int *fds, uint32_t count, uint32_t from)
{
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = connect_from(from);
        (void)send_all(fds[i], "GET /pa", 7);
    }
}

static void test_http_one_address_has_so_many_connections_and_others_get_in(void **state)
{
    int fds[HTTP_CONNECTIONS_OF_ADDRESS_MAX + 4];
    const uint32_t count = sizeof fds / sizeof fds[0];
    const uint64_t until = clock_monotonic_us() + PATIENCE_US;
    uint32_t closed = 0;
    uint32_t most = 0;
    (void)state;
    open_half(fds, count, host + 1);
    while (closed < count - HTTP_CONNECTIONS_OF_ADDRESS_MAX) {
        turn_until(until);
        if (http_connections(http) > most) most = http_connections(http);
        closed = 0;
        for (uint32_t i = 0; i < count; i++)
            if (is_closed(fds[i])) closed++;
    }
    assert_int_equal(most, HTTP_CONNECTIONS_OF_ADDRESS_MAX);
    check_answer(GET_PAGE CLOSE, "HTTP/1.1 200 OK\r\n", NULL); /* from another address */
    for (uint32_t i = 0; i < count; i++)
        (void)close(fds[i]);
}

static void test_http_half_open_connections_give_way(void **state)
{
    int fds[HTTP_CONNECTIONS_MAX];
    const uint64_t until = clock_monotonic_us() + PATIENCE_US;
    (void)state;
    open_half(fds, HTTP_CONNECTIONS_MAX / 2, host + 1);
    open_half(fds + HTTP_CONNECTIONS_MAX / 2, HTTP_CONNECTIONS_MAX / 2, host + 2);
    check_answer(GET_PAGE CLOSE, "HTTP/1.1 200 OK\r\n", NULL); /* it waits until one of them has gone */
    for (uint32_t i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
        while (!is_closed(fds[i]))
            turn_until(until);
        (void)close(fds[i]);
    }
}

/* It was deaf from then on: libmicrohttpd puts its listener back only when it is run once more. */
static void test_http_full_house_that_empties_at_once_lets_others_in(void **state)
{
    int fds[HTTP_CONNECTIONS_MAX];
    const uint64_t until = clock_monotonic_us() + PATIENCE_US;
    (void)state;
    open_half(fds, HTTP_CONNECTIONS_MAX / 2, host + 1);
    open_half(fds + HTTP_CONNECTIONS_MAX / 2, HTTP_CONNECTIONS_MAX / 2, host + 2);
    while (http_connections(http) < HTTP_CONNECTIONS_MAX)
        turn_until(until);
    for (uint32_t i = 0; i < 8; i++) { /* runs in which it is full */
        (void)send(fds[0], "g", 1, MSG_NOSIGNAL);
        for (uint32_t k = 0; k < 4; k++)
            (void)ev_run(loop, EVRUN_NOWAIT);
        turn_until(until);
    }
    for (uint32_t i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        (void)close(fds[i]);
    check_answer(GET_PAGE CLOSE, "HTTP/1.1 200 OK\r\n", NULL);
}

/* Never idle for long, never at an end, and far from every limit of memory. */
static void test_http_connection_that_trickles_ends(void **state)
{
    const uint64_t until = clock_monotonic_us() + PATIENCE_US;
    uint64_t next_us = 0;
    (void)state;
    const int fd = connect_from(0);
    assert_true(send_all(fd, GET_PAGE "X: ", strlen(GET_PAGE "X: ")));
    while (!is_closed(fd)) {
        if (clock_monotonic_us() >= next_us) (void)send(fd, "a", 1, MSG_NOSIGNAL);
        if (clock_monotonic_us() >= next_us) next_us = clock_monotonic_us() + 500000;
        turn_until(until);
    }
    while (http_connections(http) > 0)
        turn_until(until);
    (void)close(fd);
}

static void test_http_reader_that_does_not_read_delays_nobody(void **state)
{
    static const char request[] = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    const uint64_t until = clock_monotonic_us() + PATIENCE_US;
    int fds[8];
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        fds[i] = connect_from(host + 1);
        assert_true(send_all(fds[i], request, strlen(request)));
    }
    check_answer(GET_PAGE CLOSE, "HTTP/1.1 200 OK\r\n", NULL);
    assert_true(http_connections(http) >= 8);
    while (http_connections(http) > 0) {
        char byte;
        for (uint32_t i = 0; i < 8; i++)
            (void)recv(fds[i], &byte, 1, 0); /* one byte a turn: it is never idle */
        turn_until(until);
    }
    for (uint32_t i = 0; i < 8; i++)
        (void)close(fds[i]);
}

struct turns {
    struct ev_timer timer;
    uint32_t count;
};

static void on_turn(struct ev_loop *l, struct ev_timer *w, int events)
{
    (void)l;
    (void)events;
    ((struct turns *)w->data)->count++;
}

/* Between two runs of the endpoint, the loop's other work has its turn: a flood of requests is answered a bounded number of
 * times in each rest. */
static void test_http_flood_leaves_the_loop_its_turns(void **state)
{
    struct turns turns = {.count = 0};
    struct buffer flood = {0};
    struct buffer got = {0};
    uint32_t answers = 0;
    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        buffer_printf(&flood, "%s\r\n", GET_PAGE);
    ev_timer_init(&turns.timer, on_turn, 0.0, 0.0005);
    turns.timer.data = &turns;
    ev_timer_start(loop, &turns.timer);
    const int fd = connect_from(0);
    assert_true(send_all(fd, (const char *)flood.data, flood.len));
    while (answers < 100) {
        got.len = 0;
        read_until(fd, "the page\n", &got);
        const char *at = (const char *)got.data;
        assert_true(got.len > 0);
        while ((at = strstr(at, "the page\n")) != NULL) {
            at++;
            answers++;
        }
    }
    assert_int_equal(answers, 100);
    assert_true(turns.count >= 50); /* with rests between them; without, all hundred came in a few turns */
    ev_timer_stop(loop, &turns.timer);
    (void)close(fd);
    buffer_free(&flood);
    buffer_free(&got);
}

/* ---- starting ---- */

static void test_http_port_in_use_is_an_error_that_names_it(void **state)
{
    struct http *other = NULL;
    (void)state;
    const struct err e = http_start(loop, address, pages, 1, NULL, &other);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, address));
    assert_null(other);
    assert_true(http_is_loopback(http));
    assert_int_equal(http_port(http), port);
}

static void test_http_any_address_is_not_loopback(void **state)
{
    struct http *other = NULL;
    char everywhere[32];
    (void)state;
    (void)snprintf(everywhere, sizeof everywhere, "0.0.0.0:%u", free_port());
    const struct err e = http_start(loop, everywhere, pages, 1, NULL, &other);
    if (err_is(&e)) return; /* the port is another process's at another address: nothing to be seen here */
    assert_false(http_is_loopback(other));
    http_free(other);
}

#define HTTP_TEST(f) cmocka_unit_test_setup_teardown(f, http_setup, http_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(test_http_page_is_answered),
        HTTP_TEST(test_http_head_has_no_body),
        HTTP_TEST(test_http_connection_takes_several_requests),
        HTTP_TEST(test_http_kept_page_is_made_once),
        HTTP_TEST(test_http_unknown_page_is_404_and_names_those_there_are),
        HTTP_TEST(test_http_other_methods_are_405),
        HTTP_TEST(test_http_body_is_refused_before_it_is_read),
        HTTP_TEST(test_http_malformed_request_is_refused),
        HTTP_TEST(test_http_request_over_the_limit_is_refused),
        HTTP_TEST(test_http_one_address_has_so_many_connections_and_others_get_in),
        HTTP_TEST(test_http_half_open_connections_give_way),
        HTTP_TEST(test_http_full_house_that_empties_at_once_lets_others_in),
        HTTP_TEST(test_http_connection_that_trickles_ends),
        HTTP_TEST(test_http_reader_that_does_not_read_delays_nobody),
        HTTP_TEST(test_http_flood_leaves_the_loop_its_turns),
        HTTP_TEST(test_http_port_in_use_is_an_error_that_names_it),
        HTTP_TEST(test_http_any_address_is_not_loopback),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
