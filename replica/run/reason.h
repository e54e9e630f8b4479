/* reason.h - a replica's condition, and the sentence that says why: from what its core, its connections and its disks say, and from
 * nothing else. docs/operations.md explains the conditions. */
#ifndef PBFT_REPLICA_RUN_REASON_H
#define PBFT_REPLICA_RUN_REASON_H

#include "ledger/state_transfer.h"
#include "replica/core/core.h"

#define REASON_BYTES 512u /* with the NUL: what replica_status and replica_why have room for */
#define REASON_BEHIND 8u  /* sequences: fewer are on their way, as votes or as blocks */

/* How fast it catches up by blocks. Zero: it does not. */
struct reason_pace {
    uint64_t since_us; /* it has been behind since then; 0: it is not ... */
    uint64_t executed; /* ... when it had executed this ... */
    uint64_t behind;   /* ... and was so many sequences behind */
};
/* Call it now and then: the pace begins when it falls behind, and ends when it is there. now_us: any clock that goes on; not 0. */
void reason_pace_note(struct reason_pace *p, const struct core_summary *s, uint64_t now_us);

struct reason_facts {
    struct quorum quorum;
    uint32_t self;
    const struct core_summary *core;
    const struct core_why *why;
    uint32_t connected;     /* other members with an open connection */
    uint64_t timeout_us;    /* the configured T */
    const char *data_path;
    bool log_full;          /* no room for the log environment */
    bool state_full;        /* ... for the state environment */
    struct reason_pace pace;
    uint64_t now_us;        /* on the clock of the pace */
    struct state_walk_progress walk; /* of the transfer under way ... */
    uint64_t walk_since_us;          /* ... which began then; 0: none has */
};

/* Does it hear of so many others that can vote that they are a quorum with it? */
bool reason_has_quorum(const struct reason_facts *f);
enum replica_condition reason_condition(const struct reason_facts *f);
/* "ready", or the condition and why: "no-quorum: ...". ASCII. */
void reason_text(const struct reason_facts *f, char out[REASON_BYTES]);

#endif
