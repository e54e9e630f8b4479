/* net.c - listening, connecting, deadlines, the life of a connection. */
#include "replica/net/net_internal.h"

#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SWEEP_SECONDS 0.5
#define ACCEPTS_A_TURN 32
#define BACKLOG 1024 /* a storm of strangers must not delay a member for want of a place in the queue */

void net_watch(struct net_connection *c, int events)
{
    if (c->paused) events &= ~EV_READ;
    if (c->io_events == events) return;
    if (c->io_events != 0) ev_io_stop(c->net->loop, &c->io);
    ev_io_set(&c->io, c->fd, events);
    if (events != 0) ev_io_start(c->net->loop, &c->io);
    c->io_events = events;
    /* stopping the watcher forgot a turn that net_read had asked for */
    if (c->state == NET_STATE_OPEN && !c->paused && gnutls_record_check_pending(c->session) > 0)
        ev_feed_event(c->net->loop, &c->io, EV_READ);
}

void net_pause(struct net_connection *c)
{
    if (c->state != NET_STATE_OPEN || c->paused) return;
    c->paused = true;
    net_watch(c, c->io_events);
}

void net_resume(struct net_connection *c)
{
    if (!c->paused) return;
    c->paused = false;
    c->frame_since = ev_now(c->net->loop); /* that a frame was not read is not the peer's fault */
    if (c->state == NET_STATE_OPEN) net_watch(c, c->io_events | EV_READ);
}

void net_mark_dirty(struct net_connection *c)
{
    if (c->dirty) return;
    c->dirty = true;
    c->dirty_next = c->net->dirty_first;
    c->net->dirty_first = c;
}

void net_close(struct net_connection *c, const char *reason)
{
    if (c->state == NET_STATE_CLOSING) return;
    if (c->state == NET_STATE_HANDSHAKE) c->net->counts.refused++;
    c->state = NET_STATE_CLOSING;
    c->close_reason = reason;
    if (c->io_events != 0) ev_io_stop(c->net->loop, &c->io);
    c->io_events = 0;
    net_mark_dirty(c);
}

void net_close_flushed(struct net_connection *c, const char *reason)
{
    c->close_reason = reason;
    c->close_flushed = true;
    if (c->state != NET_STATE_OPEN || c->queue_bytes == 0) net_close(c, reason);
}

static void free_connection(struct net_connection *c)
{
    struct net *n = c->net;
    if (c->io_events != 0) ev_io_stop(n->loop, &c->io);
    if (c->session != NULL) {
        if (c->opened) (void)gnutls_bye(c->session, GNUTLS_SHUT_WR); /* tells the peer that this end is no accident */
        gnutls_deinit(c->session);
    }
    if (c->fd >= 0) (void)close(c->fd);
    net_frame_free(c);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        n->first = c->next;
    if (c->next != NULL) c->next->prev = c->prev;
    n->counts.open--;
    free(c);
}

/* End of a turn: everything queued goes out, everything closed is ended. */
static void on_prepare(struct ev_loop *loop, struct ev_prepare *w, int events)
{
    struct net *n = w->data;
    (void)loop;
    (void)events;
    while (n->dirty_first != NULL) {
        struct net_connection *c = n->dirty_first;
        n->dirty_first = c->dirty_next;
        c->dirty = false;
        if (c->state == NET_STATE_OPEN) net_flush(c);
        if (c->state != NET_STATE_CLOSING) continue;
        if (c->dirty) continue; /* closed while flushing: it is on the list again */
        n->events.closed(n->context, c, c->close_reason);
        free_connection(c);
    }
}

static void progress_handshake(struct net_connection *c)
{
    if (net_tls_handshake(c) != 1) return;
    c->state = NET_STATE_OPEN;
    c->opened = true;
    c->since = ev_now(c->net->loop);
    net_watch(c, EV_READ);
    c->net->events.opened(c->net->context, c);
    if (c->state == NET_STATE_OPEN && gnutls_record_check_pending(c->session) > 0)
        ev_feed_event(c->net->loop, &c->io, EV_READ);
}

static const char *connect_fault(int error)
{
    switch (error) {
    case ECONNREFUSED: return "connection refused: nothing listens there";
    case ETIMEDOUT: return "its machine does not answer";
    case EHOSTUNREACH:
    case ENETUNREACH: return "its machine cannot be reached: the network is down, or there is no way to its address";
    default: return "cannot connect";
    }
}

static void on_io(struct ev_loop *loop, struct ev_io *w, int events)
{
    struct net_connection *c = w->data;
    (void)loop;
    if (c->state == NET_STATE_CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
            net_close(c, connect_fault(error));
            return;
        }
        c->state = NET_STATE_HANDSHAKE;
    }
    if (c->state == NET_STATE_HANDSHAKE) {
        progress_handshake(c);
        return;
    }
    if ((events & EV_WRITE) != 0) net_flush(c);
    if (c->state == NET_STATE_OPEN && (events & EV_READ) != 0) net_read(c);
}

static struct net_connection *new_connection(struct net *n, int fd, bool outgoing)
{
    const int on = 1;
    const int idle = NET_KEEPALIVE_SECONDS;
    const unsigned unacked_ms = NET_UNACKED_SECONDS * 1000u;
    struct net_connection *c = mem_zero(1, sizeof *c);
    c->net = n;
    c->fd = fd;
    c->outgoing = outgoing;
    c->state = outgoing ? NET_STATE_CONNECTING : NET_STATE_HANDSHAKE;
    c->since = ev_now(n->loop);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* without it TCP waits ever longer between tries, and a network that is whole again stays silent as long as it was cut */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof unacked_ms);
    /* and who is idle is asked now and then whether he is there at all */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &on, sizeof on);
    ev_init(&c->io, on_io);
    c->io.data = c;
    c->next = n->first;
    if (n->first != NULL) n->first->prev = c;
    n->first = c;
    n->counts.open++;
    return c;
}

static void describe_address(struct net_connection *c, const struct sockaddr *address, socklen_t size)
{
    char host[40];
    char port[8];
    if (getnameinfo(address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        (void)snprintf(c->address, sizeof c->address, "unknown");
    else
        (void)snprintf(c->address, sizeof c->address, "%s:%s", host, port);
}

/* The house is full: the oldest that has not shown its key goes. False when all have. */
static bool make_room(struct net *n)
{
    struct net_connection *oldest = NULL;
    for (struct net_connection *c = n->first; c != NULL; c = c->next)
        if (c->state == NET_STATE_HANDSHAKE && !c->outgoing) oldest = c;
    if (oldest == NULL) return false;
    net_close(oldest, "it gave way to a newer connection before it had shown its key");
    return true;
}

/* Without descriptors the listener would stay readable and spin; the sweep starts it again. */
static void pause_listening(struct net *n, int why)
{
    LOG_LIMITED(LOG_LEVEL_ERROR, "net.no-descriptors", 0, LOG_U("connections", n->counts.open),
                LOG_S("error", strerror(why)), LOG_S("action", "raise the limit of open files of this process"));
    ev_io_stop(n->loop, &n->listener);
}

static void on_accept(struct ev_loop *loop, struct ev_io *w, int events)
{
    struct net *n = w->data;
    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        const int fd = accept4(w->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pause_listening(n, errno);
            return;
        }
        if (n->counts.open >= n->connections_max && !make_room(n)) {
            LOG_LIMITED(LOG_LEVEL_WARN, "net.full", 0, LOG_U("connections", n->counts.open));
            (void)close(fd);
            continue;
        }
        struct net_connection *c = new_connection(n, fd, false);
        n->counts.accepted++;
        describe_address(c, (struct sockaddr *)&address, size);
        net_watch(c, EV_READ);
        if (!net_tls_attach(c)) net_close(c, "cannot start TLS");
    }
}

static const char *overdue(const struct net_connection *c, double now)
{
    if (c->state == NET_STATE_CONNECTING || c->state == NET_STATE_HANDSHAKE)
        return now - c->since > NET_HANDSHAKE_SECONDS ? "the handshake took too long" : NULL;
    if (!c->had_frame && now - c->since > NET_FIRST_FRAME_SECONDS) return "no frame came after the handshake";
    if (frame_under_way(&c->assembler) && !c->paused &&
        now - c->frame_since > NET_FRAME_SECONDS + (double)c->assembler.frame_len / NET_FRAME_RATE)
        return "a frame came too slowly";
    if (c->queue_bytes > 0 && now - c->progress > NET_STALL_SECONDS) return "the peer does not read";
    return NULL;
}

static void on_sweep(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct net *n = w->data;
    const double now = ev_now(loop);
    (void)events;
    for (struct net_connection *c = n->first; c != NULL; c = c->next) {
        const char *reason = c->state == NET_STATE_CLOSING ? NULL : overdue(c, now);
        if (reason != NULL) net_close(c, reason);
    }
    if (n->listen_fd >= 0 && !ev_is_active(&n->listener)) ev_io_start(loop, &n->listener);
}

struct err net_new(struct ev_loop *loop, const struct secret_key *key, const struct net_events *events, void *context,
                   uint32_t connections_max, struct net **out)
{
    struct net *n = mem_zero(1, sizeof *n);
    n->loop = loop;
    n->events = *events;
    n->context = context;
    n->connections_max = connections_max;
    n->listen_fd = -1;
    struct err e = net_tls_start(n, key);
    if (err_is(&e)) {
        net_tls_stop(n);
        free(n);
        return e;
    }
    ev_prepare_init(&n->prepare, on_prepare);
    n->prepare.data = n;
    ev_prepare_start(loop, &n->prepare);
    ev_timer_init(&n->sweep, on_sweep, SWEEP_SECONDS, SWEEP_SECONDS);
    n->sweep.data = n;
    ev_timer_start(loop, &n->sweep);
    *out = n;
    return err_none();
}

void net_free(struct net *n)
{
    if (n == NULL) return;
    struct net_connection *next;
    for (struct net_connection *c = n->first; c != NULL; c = next) {
        next = c->next;
        free_connection(c);
    }
    ev_prepare_stop(n->loop, &n->prepare);
    ev_timer_stop(n->loop, &n->sweep);
    if (n->listen_fd >= 0) {
        ev_io_stop(n->loop, &n->listener);
        (void)close(n->listen_fd);
    }
    net_tls_stop(n);
    free(n);
}

static struct err resolve(const char *host, uint16_t port, int flags, struct addrinfo **out)
{
    char service[8];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    (void)snprintf(service, sizeof service, "%u", port);
    const int code = getaddrinfo(host, service, &hints, out);
    if (code != 0) return err_make(ERR_CONFIG, "cannot resolve %s: %s", host, gai_strerror(code));
    return err_none();
}

struct err net_listen(struct net *n, const char *host, uint16_t *port)
{
    struct addrinfo *found;
    const int on = 1;
    ERR_TRY(resolve(host, *port, AI_PASSIVE, &found));
    const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct err e = err_none();
    if (fd < 0) e = err_system(errno, "cannot make a socket");
    if (!err_is(&e)) (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!err_is(&e) && (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)) {
        e = err_system(errno, "cannot listen on %s port %u", host, *port);
        e.code = ERR_CONFIG;
    }
    freeaddrinfo(found);
    if (err_is(&e)) {
        if (fd >= 0) (void)close(fd);
        return e;
    }
    struct sockaddr_in6 bound = {0}; /* the port stands at the same place in an IPv4 address */
    socklen_t size = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &size) == 0) *port = ntohs(bound.sin6_port);
    n->listen_fd = fd;
    ev_io_init(&n->listener, on_accept, fd, EV_READ);
    n->listener.data = n;
    ev_io_start(n->loop, &n->listener);
    return err_none();
}

struct err net_resolve(const char *host, char out[NET_HOST_BYTES_MAX])
{
    struct addrinfo *found;
    ERR_TRY(resolve(host, 0, 0, &found));
    const int code = getnameinfo(found->ai_addr, found->ai_addrlen, out, NET_HOST_BYTES_MAX, NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
    return code == 0 ? err_none() : err_make(ERR_CONFIG, "cannot resolve %s: %s", host, gai_strerror(code));
}

struct net_connection *net_connect(struct net *n, const char *host, uint16_t port, void *user)
{
    struct addrinfo *found;
    struct err e = resolve(host, port, AI_NUMERICHOST, &found);
    if (err_is(&e)) {
        LOG_LIMITED(LOG_LEVEL_WARN, "net.resolve", port, LOG_S("error", e.text));
        return NULL;
    }
    const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        freeaddrinfo(found);
        return NULL;
    }
    struct net_connection *c = new_connection(n, fd, true);
    c->user = user;
    describe_address(c, found->ai_addr, found->ai_addrlen);
    const int code = connect(fd, found->ai_addr, found->ai_addrlen);
    const int why = errno;
    freeaddrinfo(found);
    if (!net_tls_attach(c)) net_close(c, "cannot start TLS");
    else if (code != 0 && why != EINPROGRESS)
        net_close(c, connect_fault(why));
    else
        net_watch(c, EV_WRITE);
    return c;
}

void net_set_user(struct net_connection *c, void *user)
{
    c->user = user;
}

void *net_user(const struct net_connection *c)
{
    return c->user;
}

bool net_is_open(const struct net_connection *c)
{
    return c->state == NET_STATE_OPEN;
}

bool net_is_outgoing(const struct net_connection *c)
{
    return c->outgoing;
}

bool net_is_paused(const struct net_connection *c)
{
    return c->paused;
}

size_t net_queued_bytes(const struct net_connection *c)
{
    return c->queue_bytes;
}

const struct public_key *net_peer_key(const struct net_connection *c)
{
    return &c->peer;
}

const char *net_peer_address(const struct net_connection *c)
{
    return c->address;
}

struct net_counts net_counts(const struct net *n)
{
    return n->counts;
}
