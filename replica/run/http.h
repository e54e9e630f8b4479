/* http.h - a small HTTP endpoint in the libev loop: a few pages to GET, for operators and their monitoring.
 *
 * libmicrohttpd does the parsing; it is driven from its epoll descriptor, has no thread, and is run at most once in
 * HTTP_REST_SECONDS, each time for one read or write of each connection: what clients do, however many and however hostile,
 * takes a bounded part of the loop's time. A page that is dear to make is made at most once in keep_ms. Connections, their
 * memory, their idleness and their age are bounded.
 *
 * It knows nothing of the replica. One thread.
 */
#ifndef PBFT_REPLICA_RUN_HTTP_H
#define PBFT_REPLICA_RUN_HTTP_H

#include "base/bytes.h"

struct ev_loop;
struct http;

#define HTTP_CONNECTIONS_MAX 32u
#define HTTP_CONNECTIONS_OF_ADDRESS_MAX 16u
#define HTTP_CONNECTION_BYTES_MAX 16384u /* memory of one: a longer request line or header is refused */
#define HTTP_IDLE_SECONDS 3u
#define HTTP_LIFE_SECONDS 8.0 /* from accept: whoever sends or reads a byte now and then gives way too */
#define HTTP_REST_SECONDS 0.002
#define HTTP_PAGES_MAX 8u

struct http_page {
    const char *path;
    const char *type; /* Content-Type */
    uint32_t keep_ms; /* the same answer is given for so long; 0: made anew for each request */
    /* Fills *body, which is empty; returns the HTTP status. */
    uint32_t (*render)(void *context, struct buffer *body);
};

/* Listens on address (host:port, as in a group file; the host may be a name). pages and context are borrowed. Errors:
 * ERR_CONFIG (the name does not resolve, the port is in use), ERR_IO. */
MUST_USE struct err http_start(struct ev_loop *loop, const char *address, const struct http_page *pages,
                               uint32_t page_count, void *context, struct http **out);
/* Ends all connections. NULL is allowed. */
void http_free(struct http *h);
/* Connections there are now. */
uint32_t http_connections(const struct http *h);
uint16_t http_port(const struct http *h);
/* Whether only this machine can reach it. */
bool http_is_loopback(const struct http *h);

#endif
