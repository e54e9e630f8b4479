/* net.h - frames over TLS 1.3 with raw public keys (RFC 7250, GnuTLS) in a libev loop.
 *
 * A frame is a length of 4 bytes, big-endian, and that many bytes. The length is checked before anything is allocated.
 * Both sides prove an Ed25519 key in the handshake; who is admitted is the owner's decision, made before
 * the handshake ends. Everything is bounded: frame size, unsent bytes, half-open and slow peers, connections.
 * It knows nothing of the protocol. One thread.
 */
#ifndef PBFT_REPLICA_NET_NET_H
#define PBFT_REPLICA_NET_NET_H

#include "base/bytes.h"
#include "crypto/sign.h"

struct ev_loop;
struct net;
struct net_connection;

#define NET_HOST_BYTES_MAX 128u
#define NET_HANDSHAKE_SECONDS 5.0  /* to finish the handshake */
#define NET_FIRST_FRAME_SECONDS 5.0 /* from there to the first frame */
#define NET_FRAME_SECONDS 10.0     /* to finish a frame once begun, and one more for each NET_FRAME_RATE bytes */
#define NET_FRAME_RATE 65536.0
#define NET_UNACKED_SECONDS 5      /* sent bytes that the other machine does not acknowledge, or has no room for */
#define NET_KEEPALIVE_SECONDS 10   /* idle for so long, the other machine is asked whether it is there; the same holds then */
#define NET_STALL_SECONDS 20.0     /* unsent bytes that do not move */

/* The reason given to `closed` when the peer ended an open connection by itself; any other is a fault or a refusal. */
extern const char net_closed_by_peer[];

struct net_events {
    /* May this key come in? Sets *frame_bytes_max and *queue_bytes_max for the connection. Called during the handshake. */
    bool (*admit)(void *context, struct net_connection *c, const struct public_key *key, size_t *frame_bytes_max,
                  size_t *queue_bytes_max);
    /* The handshake is done on our side; a refusal by the other side may still come as `closed`. */
    void (*opened)(void *context, struct net_connection *c);
    /* A whole frame; the callee takes over the reference. It may close the connection. */
    void (*frame)(void *context, struct net_connection *c, struct blob *frame);
    /* Ended, for whatever reason; c is freed after the call. Also called for connections that never opened. */
    void (*closed)(void *context, struct net_connection *c, const char *reason);
};

struct net_counts {
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t accepted;
    uint64_t refused; /* handshakes that failed */
    uint32_t open;
};

/* key is copied and wiped by net_free. connections_max: past it a new connection takes the place of the oldest one that has
 * not shown an admitted key yet, and is dropped where there is none: strangers keep nobody out. */
MUST_USE struct err net_new(struct ev_loop *loop, const struct secret_key *key, const struct net_events *events,
                            void *context, uint32_t connections_max, struct net **out);
/* Closes everything without further callbacks. */
void net_free(struct net *n);
/* Errors: ERR_CONFIG (the name does not resolve; the port is in use: says by which address), ERR_IO. *port gives the port
 * bound, for a request of port 0. */
MUST_USE struct err net_listen(struct net *n, const char *host, uint16_t *port);
/* Turns a host name into a numeric address. It may take as long as the name service takes: call it at start and when the
 * configuration is read again, never in a running loop. Errors: ERR_CONFIG. */
MUST_USE struct err net_resolve(const char *host, char out[NET_HOST_BYTES_MAX]);
/* host is numeric (net_resolve). Begins to connect; the result comes as an event, also a failure. NULL when the address cannot be used at all. */
struct net_connection *net_connect(struct net *n, const char *host, uint16_t port, void *user);
/* Queues one frame (one more reference is taken). False, and nothing is queued, when the queue is full or the connection
 * is not open. Sending happens at the end of the loop's turn, many frames in one write. */
bool net_send(struct net_connection *c, struct blob *frame);
/* Ends a connection from outside its own callbacks or inside; `closed` is called later in the same turn. */
void net_close(struct net_connection *c, const char *reason);
/* Closes once the queue is sent. */
void net_close_flushed(struct net_connection *c, const char *reason);

/* Reads nothing more of an open connection until net_resume: the peer finds its socket full, and its frame may take as
 * much longer. What is left of one TLS record (16 KiB) still comes as frames. That the peer has ended the connection is
 * seen when something is sent, or after net_resume. */
void net_pause(struct net_connection *c);
void net_resume(struct net_connection *c);

void net_set_user(struct net_connection *c, void *user);
void *net_user(const struct net_connection *c);
bool net_is_open(const struct net_connection *c);
bool net_is_outgoing(const struct net_connection *c);
bool net_is_paused(const struct net_connection *c);
size_t net_queued_bytes(const struct net_connection *c);
const struct public_key *net_peer_key(const struct net_connection *c); /* valid from `admit` on */
const char *net_peer_address(const struct net_connection *c);
struct net_counts net_counts(const struct net *n);

#endif
