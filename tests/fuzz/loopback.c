/* loopback.c - a client of a server in this process. */
#include "tests/fuzz/loopback.h"

#include "base/check.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SILENCE_US 3000u /* then nothing more is expected */
#define PATIENCE_US 9000000u

struct ev_loop *loopback_loop(void)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    CHECK(loop != NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return loop;
}

static struct sockaddr_in address_of(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

uint16_t loopback_free_port(void)
{
    struct sockaddr_in a = address_of(0);
    socklen_t len = sizeof a;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

/* Takes what has come; false when the server has ended it. */
static bool take(int fd, struct buffer *got, bool *something)
{
    uint8_t space[4096];
    ssize_t n;
    while ((n = recv(fd, space, sizeof space, MSG_DONTWAIT)) > 0) {
        buffer_append(got, space, (size_t)n);
        *something = true;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Connects without blocking: the server is in this thread, and libFuzzer's timer interrupts what waits. */
static int reach(struct ev_loop *loop, uint16_t port)
{
    const struct sockaddr_in a = address_of(port);
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0}; /* no port of a closed one is kept for minutes */
    const uint64_t since = clock_monotonic_us();
    int failure = 0;
    socklen_t len = sizeof failure;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) (void)fprintf(stderr, "socket: %s\n", strerror(errno));
    CHECK(fd >= 0);
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    if (connect(fd, (const struct sockaddr *)&a, sizeof a) != 0 && errno != EINPROGRESS) failure = errno;
    while (failure == 0 && (writable.revents & (POLLOUT | POLLERR)) == 0 &&
           clock_monotonic_us() - since < PATIENCE_US) {
        (void)ev_run(loop, EVRUN_NOWAIT);
        (void)poll(&writable, 1, 1);
    }
    if (failure == 0) CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) == 0);
    if (failure != 0) (void)fprintf(stderr, "connect to port %u: %s\n", port, strerror(failure));
    CHECK_OP(failure, ==, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return fd;
}

void loopback_talk(struct ev_loop *loop, uint16_t port, struct bytes in, size_t piece, struct buffer *got)
{
    const int fd = reach(loop, port);
    bool there = true;
    size_t sent = 0;
    uint64_t since = clock_monotonic_us();
    bool ended = false;
    while (there && clock_monotonic_us() - since < SILENCE_US) {
        bool something = false;
        if (sent < in.len) {
            const size_t wanted = in.len - sent < piece ? in.len - sent : piece;
            const ssize_t n = send(fd, in.data + sent, wanted, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n > 0) {
                sent += (size_t)n;
                something = true;
            } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
                sent = in.len;
            }
        } else if (!ended) {
            (void)shutdown(fd, SHUT_WR);
            ended = true;
        }
        (void)ev_run(loop, EVRUN_NOWAIT);
        there = take(fd, got, &something);
        if (something) since = clock_monotonic_us();
    }
    (void)close(fd);
}

bool loopback_wait(struct ev_loop *loop, bool (*done)(void *context), void *context)
{
    const uint64_t since = clock_monotonic_us();
    while (!done(context)) {
        if (clock_monotonic_us() - since > PATIENCE_US) return false;
        (void)ev_run(loop, EVRUN_NOWAIT);
    }
    return true;
}
