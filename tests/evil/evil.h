/* evil.h - a member that misbehaves on purpose, apart from where it lives.
 *
 *     what it hears --evil_hears--> its own core, honest --effects, durability--> evil_says --> what it says
 *                                                        --what it tells clients--> evil_answers --> what it tells them
 *                                                              time: evil_wakes --> what it says unasked
 *
 * The same behaviours live in a real process (pbft-evil: process.h, seam.c) and in the simulator (tests/sim/). Nothing
 * of the product knows of them.
 *
 * A behaviour is one line of a table (primary.c, backup.c, liar.c, sockets.c) and a function or two. What it says
 * instead of the truth is well-formed and well signed unless its point is that it is not. */
#ifndef PBFT_TESTS_EVIL_EVIL_H
#define PBFT_TESTS_EVIL_EVIL_H

#include "base/prng.h"
#include "replica/core/core.h"

#include <stdatomic.h>

#define EVIL_ANY UINT64_MAX
#define EVIL_ORDERS_MAX 3u
#define EVIL_HEARD 256u     /* messages kept, to be said again */
#define EVIL_READS 64u      /* operations whose results are remembered */
#define EVIL_LATER 4096u    /* messages held back; one more is lost */
#define EVIL_ACCEPTED 1024u /* proposals that members have said they accepted */

struct evil;
struct evil_behaviour;

/* What it can do in the world that it lives in. */
struct evil_world {
    void *context;
    /* Sends; bytes is borrowed. */
    void (*send)(void *context, uint32_t member, enum wire_type type, struct blob *bytes, bool resend);
    /* Tells a client; bytes is borrowed. */
    void (*tell)(void *context, uint32_t client, enum wire_type type, struct blob *bytes);
    /* Says that it has misbehaved, towards this member. May be NULL. */
    void (*note)(void *context, const char *behaviour, uint32_t member, uint64_t view);
};

/* What it is told to do, and when. */
struct evil_order {
    const struct evil_behaviour *behaviour;
    uint64_t from_seq; /* from this sequence on */
    uint64_t view;     /* in this view only, or EVIL_ANY */
    uint64_t from_us;  /* so long after it began */
    bool on_signal;    /* not before it is signalled */
};

/* A message of its own core on its way to one member. */
struct evil_saying {
    uint32_t member;
    uint32_t place; /* of that member among the others, by ascending id: 0 to N-2 */
    bool resend;
    struct blob *bytes;
    const struct wire_message *message;
};

/* What it would tell a client: a REPLY, RESULT or BUSY. */
struct evil_answer {
    uint32_t client;
    const struct wire_query *query; /* what a RESULT answers; NULL: not known, or no RESULT */
    const struct wire_message *message;
};

struct evil_behaviour {
    const char *name;
    const char *does;
    bool primary; /* misbehaves as the primary of a view; else whatever it is */
    bool process; /* of pbft-evil only: it misuses connections (sockets.c), or makes its core another one (seam.c) */
    /* Each may be NULL. False: its core does not hear it. */
    bool (*hears)(struct evil *e, const struct evil_order *o, const struct wire_message *m);
    /* False: it does not leave as it is; the function has sent what goes in its place. */
    bool (*says)(struct evil *e, const struct evil_order *o, const struct evil_saying *s);
    void (*wakes)(struct evil *e, const struct evil_order *o);
    /* As says. */
    bool (*answers)(struct evil *e, const struct evil_order *o, const struct evil_answer *a);
};

struct evil_late {
    uint64_t due_us;
    uint32_t member;
    enum wire_type type;
    bool resend;
    struct blob *bytes;
};

/* What a read gave. */
struct evil_read {
    struct digest operation; /* zero: unused */
    struct blob *now;        /* the RESULT */
    struct blob *before;     /* the one with another value before that; or NULL */
};

/* A member's PREPARE was for that. */
struct evil_accepted {
    bool present;
    uint32_t member;
    uint64_t view;
    uint64_t seq;
    struct digest digest;
};

struct evil {
    struct evil_order orders[EVIL_ORDERS_MAX];
    uint32_t order_count;
    struct core_config core; /* the group, who it is, and how it signs */
    struct evil_world world;
    struct prng random;
    uint64_t begun_us;     /* 0: it has not woken yet */
    atomic_bool signalled; /* set from outside: what waits for that begins */
    uint64_t now_us;
    struct core_summary summary;    /* of its core, as it last woke */
    struct blob *heard[EVIL_HEARD]; /* a ring; NULL: not that many yet */
    uint32_t heard_next;
    struct evil_read reads[EVIL_READS];           /* by the operation's digest */
    struct evil_accepted accepted[EVIL_ACCEPTED]; /* by member and sequence, the newest of each place */
    struct evil_late *late;                       /* in no order */
    uint32_t late_count;
    uint64_t woken_us;          /* for those that do something now and then */
    struct public_key censored; /* whose requests are not heard, once one was */
    bool censors;
};

/* ---- for where it lives ---- */

void evil_start(struct evil *e, const struct core_config *core, struct evil_world world, uint64_t seed);
void evil_end(struct evil *e);
/* "NAME", "NAME@seq=N", "NAME@view=V", "NAME@time=SECONDS", "NAME@signal", or more than one of these behind each other.
 * NULL, or what is wrong. Before or after evil_start. */
MUST_USE const char *evil_order(struct evil *e, const char *text);
/* True while it is told to do that. */
bool evil_is_told(const struct evil *e, const char *behaviour);
/* False: its core is not to be given this message. m is bytes, decoded. */
bool evil_hears(struct evil *e, struct blob *bytes, const struct wire_message *m);
/* False: its core's message is not to be sent as it is. */
bool evil_says(struct evil *e, uint32_t member, struct blob *bytes, bool resend);
void evil_wakes(struct evil *e, uint64_t now_us, const struct core_summary *summary);
/* False: the client is not to be told this as it is. query: encoded, what bytes answers when that is a RESULT; NULL:
 * not known. */
bool evil_answers(struct evil *e, uint32_t client, const struct blob *query, struct blob *bytes);
/* Every behaviour, in the order of the tables: those of a primary, of a backup, towards clients, of processes. NULL
 * past the last. */
const struct evil_behaviour *evil_behaviour_at(uint32_t index);

/* ---- for the behaviours ---- */

extern const struct evil_behaviour evil_primary_behaviours[];
extern const uint32_t evil_primary_behaviour_count;
/* The last of the backups': what the f of one mind would agree on, each finds from what it hears. */
#define EVIL_ACCOMPLICE "accomplice"
extern const struct evil_behaviour evil_backup_behaviours[];
extern const uint32_t evil_backup_behaviour_count;
extern const struct evil_behaviour evil_liar_behaviours[];
extern const uint32_t evil_liar_behaviour_count;

/* True when it is the primary of the view and the order is for that view and seq. */
bool evil_reigns(const struct evil *e, const struct evil_order *o, uint64_t view, uint64_t seq);
struct signature evil_sign(const struct evil *e, const struct wire_record *record, const void *message);
/* The same for another group. */
struct signature evil_sign_for(const struct evil *e, const struct digest *group, const struct wire_record *record,
                               const void *message);
void evil_send(struct evil *e, uint32_t member, const struct wire_record *record, const void *message, bool resend);
void evil_send_to_all(struct evil *e, const struct wire_record *record, const void *message);
void evil_send_bytes(struct evil *e, uint32_t member, enum wire_type type, struct blob *bytes, bool resend);
void evil_tell(struct evil *e, uint32_t client, const struct wire_record *record, const void *message);
/* evil_send_bytes of what is on its way, so much later. */
void evil_send_later(struct evil *e, const struct evil_saying *s, uint64_t delay_us);
void evil_note(struct evil *e, const struct evil_order *o, uint32_t member, uint64_t view);
/* True once in so long; for behaviours that do something unasked. */
bool evil_is_time(struct evil *e, uint64_t every_us);

#endif
