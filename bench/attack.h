/* attack.h - what the parts of the command attack share: attack.c finds the behaviours and compares, attack_run.c runs
 * one group, attack_show.c shows. */
#ifndef PBFT_BENCH_ATTACK_H
#define PBFT_BENCH_ATTACK_H

#include "bench/bench.h"

#include "base/limits.h"

#include <limits.h>

#define ATTACK_NAME_BYTES 48u
#define ATTACK_BEHAVIOURS_MAX 128u

enum attack_role { ATTACK_PRIMARY, ATTACK_BACKUP, ATTACK_CLIENT };

struct attack_behaviour {
    char name[ATTACK_NAME_BYTES];
    enum attack_role role;
    bool served;    /* of a client: what it asks for is executed, so in the fault-free run a correct client asks too */
    bool hand_over; /* shows when a view changes, or a replica returns: one is stopped and started in both runs */
    double floor;   /* what is to be left of the fault-free throughput */
};

/* One group under load. */
struct attack_run {
    struct load_result load;
    uint32_t primary;              /* when the load began */
    double replicas[REPLICAS_MAX]; /* CPU time that each used, in cores; of one that began anew meanwhile 0 */
    double hostile;                /* the same of a client that misbehaves */
    double dummy;                  /* and of the process that stands for the attacker's CPU time */
};

/* The run with a behaviour, and the one beside it. */
struct attack_round {
    struct attack_run attacked;
    struct attack_run fault_free;
    double used;   /* by the attacker, in cores */
    double honest; /* of it, what one that keeps the rules would have used for as many transactions */
    double burnt;  /* what the dummy beside was to use; fault_free.dummy is what it could have */
};

struct attack_row {
    struct attack_behaviour behaviour;
    uint32_t replica; /* that misbehaves; of a client it means nothing */
    struct attack_round rounds[ATTACK_ROUNDS_MAX];
    uint32_t round_count;
    struct err failure; /* of the round after these */
};

/* Which programs misbehave. */
struct attack_programs {
    char replica[PATH_MAX];
    char client[PATH_MAX];
};

/* ---- attack_run.c ---- */

/* The replica of a group of so many that misbehaves so. */
uint32_t attack_replica(const struct attack_behaviour *b, uint32_t replicas);
/* Starts a group, puts a load of correct clients on it for o->seconds, and ends it. `evil`: b misbehaves from the
 * beginning of the measured time on; else nobody does, everything else is the same, and a dummy uses `burnt` cores. b
 * is NULL: nobody does. out->load is to be freed. Errors: of any of these, and ERR_NEGATIVE (bench_interrupted);
 * nothing runs any more then, and out->load has nothing to free. */
MUST_USE struct err attack_run_group(const struct bench_options *o, uint32_t replicas,
                                     const struct attack_programs *programs, const struct attack_behaviour *b,
                                     bool evil, double burnt, struct attack_run *out);

/* ---- attack_show.c ---- */

/* Table and CSV grow line by line; JSON comes at the end. */
void attack_show_header(const struct bench_options *o, const struct attack_run *alone);
void attack_show_row(const struct bench_options *o, const struct attack_row *r);
void attack_show_end(const struct bench_options *o, const struct attack_run *alone, const struct attack_row *rows,
                     uint32_t count);
/* Throughput over time, a line for the first round of each behaviour. */
MUST_USE struct err attack_plot(const struct attack_run *alone, const struct attack_row *rows, uint32_t count,
                                const char *file);

#endif
