/* evil.h - pbft-evil: a real replica process that misbehaves on purpose. Shared by the files of tests/evil/ only.
 *
 *     core_step, honest ---> effects, durability ---> node_send_member ---> frames
 *         ^ what it hears                                 ^ what it says
 *
 * It is the whole product, linked with three functions wrapped (-Wl,--wrap, seam.c): core_new shows the key, core_step
 * is where messages can go unheard, node_send_member is where each message to each member can be left out, replaced or
 * added to. The product itself has no such code; tests/e2e/evil_primary.sh looks for it in pbftd.
 *
 * A misbehaviour is one line of the table in behaviours.c and a function. */
#ifndef PBFT_TESTS_EVIL_EVIL_H
#define PBFT_TESTS_EVIL_EVIL_H

#include "replica/run/node_internal.h"

#define EVIL_ANY UINT64_MAX

/* This replica's PRE-PREPARE on its way to one backup. */
struct evil_proposal {
    struct node *node;
    uint32_t member;
    uint32_t place; /* of that backup among the backups, by ascending id: 0 to N-2 */
    bool resend;
    const struct wire_pre_prepare *message;
};

struct evil_behaviour {
    const char *name;
    const char *says;
    bool deaf; /* as primary it does not hear requests */
    /* False: the proposal does not leave as it is; the function has sent what goes in its place. */
    bool (*propose)(const struct evil_proposal *p);
};

struct evil_links {
    uint32_t drop_percent;
    uint32_t twice_percent;
    uint32_t delay_percent;
    uint32_t delay_ms_max;
    uint64_t seed;
};

/* One in the process, since the wrapped functions have no other place for it. */
struct evil {
    const struct evil_behaviour *behaviour; /* NULL: it keeps the rules */
    uint64_t from_seq;                      /* misbehaves from this sequence on ... */
    uint64_t view;                          /* ... in this view, or EVIL_ANY */
    bool lossy;
    struct core_config core; /* the group, who we are, and how we sign */
};
extern struct evil evil;

/* behaviours.c */
extern const struct evil_behaviour evil_behaviours[];
extern const uint32_t evil_behaviour_count;
const struct evil_behaviour *evil_behaviour_find(const char *name, size_t len);
/* True when this replica is the primary of the view and misbehaves there at seq. */
bool evil_at(uint64_t view, uint64_t seq);
/* seam.c: sends a frame, over lossy links when they are asked for. bytes is borrowed. */
bool evil_send(struct node *n, uint32_t member, enum wire_type type, struct blob *bytes, bool resend);
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

#endif
