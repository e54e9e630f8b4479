/* bench.h - shared by the files of pbft-bench. */
#ifndef PBFT_BENCH_BENCH_H
#define PBFT_BENCH_BENCH_H

#include "base/err.h"

#include <stdint.h>

/* What this machine costs, measured in the same run as everything it is compared with. */
struct floor_cost {
    double verify_us; /* one Ed25519 verification on one core */
    double sign_us;
};
/* Takes about `seconds`; the library must be started (sign_start). */
struct floor_cost floor_measure(double seconds);

struct load_options {
    const char *home;    /* of a running development group */
    const char *clients; /* names, separated by commas; each keeps `in_flight` transactions in flight */
    uint32_t in_flight;  /* 1 to 64 */
    uint32_t op_bytes;   /* size of the value that each transaction puts */
    double seconds;      /* measured */
    double warm_up;      /* before that, not counted */
    bool json;
};
MUST_USE struct err load_run(const struct load_options *o);

enum recover_how {
    RECOVER_KILL,
    RECOVER_STOP,
    RECOVER_PAUSE,
    RECOVER_RANDOM, /* kill -9 of any replica, and every fifth time of all at once */
    RECOVER_ROLL,   /* TERM of one replica after the other */
    RECOVER_WATCH,  /* none is let go by this program; a round lasts until a line, or the end, of standard input */
};

struct recover_options {
    const char *home;
    const char *client;
    uint32_t in_flight;
    uint32_t rounds; /* 1 to 1,000 */
    enum recover_how how;
    uint32_t at_once; /* replicas that go together, 1 to f: the chosen one and those after it by id */
    const char *accepted; /* file for a line "INDEX BLOCK" of each accepted result, as it comes; or NULL */
    bool json;
};
MUST_USE struct err recover_run(const struct recover_options *o);

struct history_options {
    const char *home;
    const char *clients; /* names, separated by commas */
    uint32_t in_flight;  /* of each */
    uint32_t keys;       /* 1 to 64 */
    double seconds;
    const char *path; /* of the history */
};
MUST_USE struct err history_run(const struct history_options *o);

enum messages_form { MESSAGES_TABLE, MESSAGES_CSV, MESSAGES_JSON };

struct messages_options {
    const char *replicas; /* sizes of groups, separated by commas */
    uint32_t silent;      /* backups that say nothing */
    uint32_t batch;       /* requests in a batch, at most */
    uint32_t batches;
    bool view_change;
    enum messages_form form;
    const char *plot; /* a picture: SVG, or PNG when its name says so; or NULL */
};
MUST_USE struct err messages_run(const struct messages_options *o);

#endif
