/* replay.h - performs a recording of pbftd again (replica/run/record.h), and says whether every effect is the one that
 * was recorded. No file, no terminal: bytes in, lines out. */
#ifndef PBFT_TESTS_SIM_REPLAY_H
#define PBFT_TESTS_SIM_REPLAY_H

#include "replica/core/core.h"

struct replay_event {
    uint64_t number;
    uint64_t at_us; /* the core's monotonic clock */
    const struct core_event *event;
    const char *ignored; /* what core_step said */
    const struct core_effects *effects;
};

#define REPLAY_TO_END UINT64_MAX
struct replay_options {
    uint64_t until_seq; /* stop after the event with which this sequence has executed; REPLAY_TO_END: at the end */
    /* Called before each event is performed, and after it; either may be NULL. */
    void (*before)(void *context, uint64_t number);
    void (*after)(void *context, const struct replay_event *event);
    void *context;
};

enum replay_stop {
    REPLAY_STOP_END,      /* the recorder wrote its mark: the replica stopped */
    REPLAY_STOP_NEXT,     /* ... it goes on in the next file */
    REPLAY_STOP_OVERFLOW, /* ... the disk was too slow */
    REPLAY_STOP_CUT,      /* no mark: the process was killed, or still runs */
    REPLAY_STOP_SEQ,      /* until_seq */
};

struct replay_result {
    char version[32]; /* that recorded it */
    uint32_t self;
    uint32_t members;
    uint64_t first;  /* number of the first event ... */
    uint64_t events; /* ... and how many were performed */
    uint64_t effects;
    bool open; /* of the last one no effects are recorded: the process ended while it was performed */
    bool torn; /* the last frame is not whole, and was left out */
    size_t torn_at;
    enum replay_stop stop;
    struct digest hash; /* of all effects since the recorder began */
    struct core_summary summary;
    struct buffer state; /* core_dump at the stop; freed by the caller */
};

/* Errors: ERR_CORRUPT: damaged, with the offset; ERR_CONFIG: of another build; ERR_NEGATIVE: the first event whose
 * effects differ; ERR_LIMIT: until_seq is not in the recording, which was performed as far as it goes. Of *out what is known by then is set in any case. */
MUST_USE struct err replay_run(struct bytes file, const struct replay_options *options, struct replay_result *out);

#endif
