/* process.h - pbft-evil: the whole product with one member that misbehaves (evil.h), as a real process. Shared by the
 * files pbft_evil.c, seam.c, sockets.c and links.c only.
 *
 * It is linked with some functions wrapped (-Wl,--wrap, seam.c, sockets.c): core_new shows the key, core_step is where
 * messages can go unheard and where time passes, node_send_member is where each message to each member can be left out,
 * replaced or added to, node_send_client and session_send are where each answer to a client can, node_query_done tells
 * what a RESULT answers; net_read and gnutls_record_send are where connections can be misused. The product itself has
 * no such code; tests/e2e/evil_primary.sh looks for it in pbftd. */
#ifndef PBFT_TESTS_EVIL_PROCESS_H
#define PBFT_TESTS_EVIL_PROCESS_H

#include "replica/run/node_internal.h"
#include "tests/evil/evil.h"

#include <gnutls/gnutls.h>

struct evil_links {
    uint32_t drop_percent;
    uint32_t twice_percent;
    uint32_t delay_percent;
    uint32_t delay_ms_max;
    uint64_t seed;
};

/* One in the process, since the wrapped functions have no other place for it. */
struct evil_process {
    struct evil evil; /* without orders it keeps the rules */
    struct node *node;        /* NULL until it has sent or answered something */
    const struct blob *query; /* that is being answered, or NULL */
    bool lossy;
    bool was_ready; /* the node has been, once */
};
extern struct evil_process process;

/* links.c */
bool links_parse(const char *text, struct evil_links *out);
void links_start(const struct evil_links *links, uint32_t self);
bool links_send(struct node *n, uint32_t member, enum wire_type type, struct blob *bytes, bool resend);
void links_stop(void);

/* The wrapped functions, and what they stand before. */
struct core *__wrap_core_new(const struct core_config *config);
struct core *__real_core_new(const struct core_config *config);
const char *__wrap_core_step(struct core *c, const struct core_event *event, struct core_effects *effects);
const char *__real_core_step(struct core *c, const struct core_event *event, struct core_effects *effects);
bool __wrap_node_send_member(struct node *n, uint32_t member, enum wire_type type, struct blob *bytes, bool resend);
bool __real_node_send_member(struct node *n, uint32_t member, enum wire_type type, struct blob *bytes, bool resend);
void __wrap_node_send_client(struct node *n, uint32_t client, struct blob *bytes);
void __real_node_send_client(struct node *n, uint32_t client, struct blob *bytes);
void __wrap_node_query_done(struct node *n, struct execution_job *j);
void __real_node_query_done(struct node *n, struct execution_job *j);
void __wrap_net_read(struct net_connection *c);
void __real_net_read(struct net_connection *c);
ssize_t __wrap_gnutls_record_send(gnutls_session_t session, const void *data, size_t size);
ssize_t __real_gnutls_record_send(gnutls_session_t session, const void *data, size_t size);
void __wrap_session_send(struct session *s, const struct wire_record *record, const void *message);
void __real_session_send(struct session *s, const struct wire_record *record, const void *message);

#endif
