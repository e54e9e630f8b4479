/* http.c - libmicrohttpd in the libev loop: listening, turns and rests, refusals, answers that are kept for a while. */
#include "replica/run/http.h"

#include "base/check.h"
#include "keys/group.h"

#include <errno.h>
#include <ev.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 64
#define SWEEP_SECONDS 0.5

/* One connection, as far as its age goes. */
struct http_connection {
    struct http_connection *prev;
    struct http_connection *next;
    struct http *http;
    int fd;
    double since;
    bool ended; /* shut down by us; libmicrohttpd will see that and close it */
};

struct http_kept {
    struct MHD_Response *response; /* NULL: none */
    uint32_t status;
    double since;
};

struct http {
    struct ev_loop *loop;
    struct MHD_Daemon *daemon;
    struct ev_io io;       /* its epoll descriptor; stopped during a rest */
    struct ev_timer timer; /* the end of a rest, or libmicrohttpd's own next time-out */
    struct ev_timer sweep;
    bool resting;
    bool loopback;
    uint16_t port;
    void *context;
    const struct http_page *pages;
    uint32_t page_count;
    struct http_kept kept[HTTP_PAGES_MAX];
    struct http_connection *connections;
};

/* ---- answers ---- */

static struct MHD_Response *response_of(struct buffer *body, const char *type)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_COPY);
    buffer_free(body);
    if (r == NULL) return NULL; /* no memory: the connection is closed without an answer */
    (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    (void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    return r;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, uint32_t status, const char *why)
{
    struct buffer body = {0};
    buffer_printf(&body, "%s\n", why);
    struct MHD_Response *r = response_of(&body, "text/plain; charset=utf-8");
    if (r == NULL) return MHD_NO;
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) (void)MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    if (status != MHD_HTTP_NOT_FOUND) (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
    const enum MHD_Result queued = MHD_queue_response(connection, status, r);
    MHD_destroy_response(r);
    return queued;
}

static enum MHD_Result refuse_unknown(const struct http *h, struct MHD_Connection *connection)
{
    char why[256] = "no such page; there are:";
    size_t used = strlen(why);
    for (uint32_t i = 0; i < h->page_count && used < sizeof why; i++) {
        const int wanted = snprintf(why + used, sizeof why - used, " %s", h->pages[i].path);
        used += wanted < 0 ? 0 : (size_t)wanted;
    }
    return refuse(connection, MHD_HTTP_NOT_FOUND, why);
}

static enum MHD_Result answer(struct http *h, uint32_t index, struct MHD_Connection *connection)
{
    const struct http_page *page = &h->pages[index];
    struct http_kept *kept = &h->kept[index];
    const double now = ev_now(h->loop);
    if (kept->response == NULL || now - kept->since >= (double)page->keep_ms / 1000.0) {
        struct buffer body = {0};
        if (kept->response != NULL) MHD_destroy_response(kept->response); /* whom it is being sent to holds it too */
        kept->status = page->render(h->context, &body);
        kept->since = now;
        kept->response = response_of(&body, page->type);
    }
    return kept->response == NULL ? MHD_NO : MHD_queue_response(connection, kept->status, kept->response);
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length != NULL && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

/* Called twice for a request that is taken: after its headers, and at its end. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_bytes, void **state)
{
    static int headers_seen;
    struct http *h = context;
    (void)version;
    (void)upload;
    if (*state == NULL) {
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
            return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are answered here");
        if (has_body(connection))
            return refuse(connection, MHD_HTTP_BAD_REQUEST, "a request here has no body");
        *state = &headers_seen;
        return MHD_YES;
    }
    if (*upload_bytes > 0) return MHD_NO; /* a body that no header announced */
    for (uint32_t i = 0; i < h->page_count; i++)
        if (strcmp(url, h->pages[i].path) == 0) return answer(h, i, connection);
    return refuse_unknown(h, connection);
}

/* ---- connections ---- */

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *h = context;
    struct http_connection *c = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        c = mem_zero(1, sizeof *c);
        *c = (struct http_connection){
            .http = h, .fd = info == NULL ? -1 : info->connect_fd, .since = ev_now(h->loop), .next = h->connections};
        if (c->next != NULL) c->next->prev = c;
        h->connections = c;
        *socket_context = c;
        return;
    }
    if (c == NULL) return;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        h->connections = c->next;
    if (c->next != NULL) c->next->prev = c->prev;
    *socket_context = NULL;
    free(c);
}

/* libmicrohttpd knows when a connection was idle, not how old it is. */
static void end_old(const struct http *h)
{
    for (struct http_connection *c = h->connections; c != NULL; c = c->next) {
        if (c->ended || c->fd < 0 || ev_now(h->loop) - c->since < HTTP_LIFE_SECONDS) continue;
        c->ended = true;
        (void)shutdown(c->fd, SHUT_RDWR);
    }
}

/* ---- turns ---- */

static void turn(struct http *h)
{
    (void)MHD_run(h->daemon);
    ev_io_stop(h->loop, &h->io);
    ev_timer_stop(h->loop, &h->timer);
    h->resting = true;
    ev_timer_set(&h->timer, HTTP_REST_SECONDS, 0.0);
    ev_timer_start(h->loop, &h->timer);
}

/* Full, libmicrohttpd takes its listener out of the epoll descriptor, and puts it back in the first run after a connection has
 * gone: which nobody may ask for. So it is run now and then without being asked. */
static void on_sweep(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct http *h = w->data;
    (void)loop;
    (void)events;
    end_old(h);
    if (!h->resting) turn(h);
}

static void on_ready(struct ev_loop *loop, struct ev_io *w, int events)
{
    (void)loop;
    (void)events;
    turn(w->data);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct http *h = w->data;
    MHD_UNSIGNED_LONG_LONG wait_ms;
    (void)events;
    if (!h->resting) {
        turn(h);
        return;
    }
    h->resting = false;
    ev_io_start(loop, &h->io);
    if (MHD_get_timeout(h->daemon, &wait_ms) != MHD_YES) return;
    ev_timer_set(&h->timer, (double)wait_ms / 1000.0, 0.0);
    ev_timer_start(loop, &h->timer);
}

/* ---- starting ---- */

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

static struct err bind_socket(const struct addrinfo *to, const char *address, int *out)
{
    const int on = 1;
    const int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return err_system(errno, "cannot make a socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, to->ai_addr, to->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        struct err e = err_system(errno, "cannot listen on %s for HTTP", address);
        e.code = ERR_CONFIG;
        (void)close(fd);
        return e;
    }
    *out = fd;
    return err_none();
}

static struct err open_listener(struct http *h, const char *address, int *out)
{
    char host[GROUP_ADDRESS_BYTES_MAX];
    char service[8];
    uint16_t port;
    struct addrinfo *found;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    ERR_TRY(address_parse(address, host, &port));
    (void)snprintf(service, sizeof service, "%u", port);
    const int code = getaddrinfo(host, service, &hints, &found);
    if (code != 0) return err_make(ERR_CONFIG, "cannot resolve %s: %s", host, gai_strerror(code));
    struct err e = bind_socket(found, address, out);
    h->loopback = is_loopback(found->ai_addr);
    h->port = port;
    freeaddrinfo(found);
    return e;
}

/* No path of ours has a %: one that has is another one. */
static size_t unescape_nothing(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static struct err start_daemon(struct http *h, int fd)
{
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_OF_ADDRESS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CONNECTION_BYTES_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)HTTP_IDLE_SECONDS, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_UNESCAPE_CALLBACK, unescape_nothing, NULL, MHD_OPTION_END);
    if (h->daemon == NULL) { /* it has closed the listener */
        return err_make(ERR_IO, "libmicrohttpd cannot start");
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL || info->epoll_fd < 0) return err_make(ERR_IO, "libmicrohttpd has no epoll descriptor");
    ev_io_init(&h->io, on_ready, info->epoll_fd, EV_READ);
    h->io.data = h;
    ev_io_start(h->loop, &h->io);
    ev_init(&h->timer, on_timer);
    h->timer.data = h;
    ev_timer_init(&h->sweep, on_sweep, SWEEP_SECONDS, SWEEP_SECONDS);
    h->sweep.data = h;
    ev_timer_start(h->loop, &h->sweep);
    return err_none();
}

struct err http_start(struct ev_loop *loop, const char *address, const struct http_page *pages, uint32_t page_count,
                      void *context, struct http **out)
{
    int fd = -1;
    CHECK_OP(page_count, <=, HTTP_PAGES_MAX);
    struct http *h = mem_zero(1, sizeof *h);
    h->loop = loop;
    h->pages = pages;
    h->page_count = page_count;
    h->context = context;
    struct err e = open_listener(h, address, &fd);
    if (!err_is(&e)) e = start_daemon(h, fd);
    if (err_is(&e)) {
        http_free(h);
        return e;
    }
    *out = h;
    return err_none();
}

void http_free(struct http *h)
{
    if (h == NULL) return;
    ev_io_stop(h->loop, &h->io);
    ev_timer_stop(h->loop, &h->timer);
    ev_timer_stop(h->loop, &h->sweep);
    for (uint32_t i = 0; i < h->page_count; i++)
        if (h->kept[i].response != NULL) MHD_destroy_response(h->kept[i].response);
    if (h->daemon != NULL) MHD_stop_daemon(h->daemon); /* closes the listener too */
    free(h);
}

uint32_t http_connections(const struct http *h)
{
    uint32_t count = 0;
    for (const struct http_connection *c = h->connections; c != NULL; c = c->next)
        count++;
    return count;
}

uint16_t http_port(const struct http *h)
{
    return h->port;
}

bool http_is_loopback(const struct http *h)
{
    return h->loopback;
}
