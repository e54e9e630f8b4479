/* net_internal.h - shared by the files of replica/net/ only. */
#ifndef PBFT_REPLICA_NET_NET_INTERNAL_H
#define PBFT_REPLICA_NET_NET_INTERNAL_H

#include "replica/net/frame.h"
#include "replica/net/net.h"

#include <ev.h>
#include <gnutls/gnutls.h>

#define NET_STAGE_BYTES 16384u /* one TLS record */

enum net_state { NET_STATE_CONNECTING, NET_STATE_HANDSHAKE, NET_STATE_OPEN, NET_STATE_CLOSING };

struct net_item {
    struct net_item *next;
    struct blob *frame;
};

struct net_connection {
    struct net *net;
    struct net_connection *prev;
    struct net_connection *next;
    struct net_connection *dirty_next; /* has something to send or to be ended this turn */
    bool dirty;
    bool outgoing;
    bool admitted;
    bool opened; /* the handshake was done */
    bool close_flushed;
    bool paused; /* nothing is read */
    enum net_state state;
    const char *close_reason;
    int fd;
    gnutls_session_t session;
    struct ev_io io;
    int io_events;
    struct public_key peer;
    char address[64];
    void *user;
    double since;       /* connection began, or opened */
    bool had_frame;
    size_t frame_bytes_max;
    size_t queue_bytes_max;
    /* receiving */
    struct frame_assembler assembler;
    double frame_since;
    /* sending */
    struct net_item *queue_first;
    struct net_item *queue_last;
    size_t queue_bytes;
    size_t item_pos; /* bytes of the first item, head included, already staged */
    uint8_t stage[NET_STAGE_BYTES];
    size_t stage_len;
    bool stage_offered; /* given to GnuTLS, which asked to be called again */
    double progress;
};

struct net {
    struct ev_loop *loop;
    struct net_events events;
    void *context;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
    uint32_t connections_max;
    struct net_connection *first;
    struct net_connection *dirty_first;
    struct ev_prepare prepare;
    struct ev_timer sweep;
    struct ev_io listener;
    int listen_fd;
    struct net_counts counts;
};

/* net.c */
void net_mark_dirty(struct net_connection *c);
void net_watch(struct net_connection *c, int events);
/* net_tls.c */
MUST_USE struct err net_tls_start(struct net *n, const struct secret_key *key);
void net_tls_stop(struct net *n);
MUST_USE bool net_tls_attach(struct net_connection *c);
/* 1 done, 0 wait, -1 failed (the connection is closing). */
int net_tls_handshake(struct net_connection *c);
/* net_frame.c */
void net_read(struct net_connection *c);
void net_flush(struct net_connection *c);
void net_frame_free(struct net_connection *c);

#endif
