/* bench.h - the commands of pbft-bench and what they are told. */
#ifndef PBFT_BENCH_BENCH_H
#define PBFT_BENCH_BENCH_H

#include "bench/interrupt.h"
#include "bench/load.h"
#include "bench/show.h"

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define ATTACK_ROUNDS_MAX 9u
#define BENCH_MESSAGES_PROCESSES_MAX 13u /* replicas of a group of real processes whose messages are counted */

enum recover_how {
    RECOVER_KILL,
    RECOVER_STOP,
    RECOVER_PAUSE,
    RECOVER_RANDOM, /* kill -9 of any replica, and every fifth time of all at once */
    RECOVER_ROLL,   /* TERM of one replica after the other */
    RECOVER_WATCH,  /* none is let go by this program; a round lasts until a line, or the end, of standard input */
};

/* Where messages are counted. */
enum bench_messages_of { BENCH_MESSAGES_BOTH, BENCH_MESSAGES_SIMULATOR, BENCH_MESSAGES_PROCESSES };

/* Each command uses some of it (pbft_bench.c says which). Texts are the caller's. */
struct bench_options {
    const char *home;      /* of a running development group */
    const char *clients;   /* names, separated by commas */
    const char *replicas;  /* a number, for a group that lives as long as the command; or a list; or NULL */
    const char *dir;       /* where such a group lives */
    uint32_t base_port;    /* of such a group; 0: any that are free */
    uint32_t client_count; /* of such a group */
    uint32_t replica_count; /* of the group of growth */
    enum load_app app;
    bool reads;
    bool certified;
    uint32_t in_flight; /* of each client, 1 to 64 */
    uint32_t bundle;    /* operations in a transaction */
    uint32_t op_bytes;  /* of the value that each operation puts */
    double rate;        /* a second; 0: closed loop */
    double seconds;     /* measured */
    double warm_up;     /* before that, not counted */
    uint32_t rounds;
    enum recover_how how;
    uint32_t at_once;     /* replicas that go together, 1 to f: the chosen one and those after it by id */
    const char *accepted; /* file for a line "INDEX BLOCK" of each accepted result, as it comes; or NULL */
    const char *history;  /* file of a history */
    uint32_t keys;        /* 1 to 64 */
    uint32_t key_count;   /* that puts go round, all clients together; 0: each has a new one */
    const char *entries;  /* rising numbers, separated by commas: marks of a growing ledger */
    uint32_t fill_bytes;  /* of the value that each operation of a fill puts */
    uint32_t readers;     /* clients that read beside the others in every second run */
    double read_rate;     /* of them together, a second; 0: closed loop */
    uint32_t silent;      /* backups that say nothing */
    uint32_t batch;       /* requests in a batch, at most */
    uint32_t batches;
    bool view_change;
    enum bench_messages_of messages_of;
    const char *behaviours; /* names, separated by commas, or "all"; NULL: one of each kind */
    const char *plot; /* a picture: SVG, or PNG when its name says so; or NULL */
    enum bench_form form;
};

/* Of load, with readers: on the group that l names. */
MUST_USE struct err mixed_measure(const struct bench_options *o, const struct load_options *l);
MUST_USE struct err load_run(const struct bench_options *o);
MUST_USE struct err latency_run(const struct bench_options *o);
MUST_USE struct err curve_run(const struct bench_options *o);
MUST_USE struct err scale_run(const struct bench_options *o);
MUST_USE struct err recover_run(const struct bench_options *o);
MUST_USE struct err history_run(const struct bench_options *o);
MUST_USE struct err messages_run(const struct bench_options *o);
MUST_USE struct err attack_run(const struct bench_options *o);
MUST_USE struct err growth_run(const struct bench_options *o);
MUST_USE struct err micro_run(const struct bench_options *o);

#endif
