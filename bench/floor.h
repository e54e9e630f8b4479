/* floor.h - what this machine costs, measured in the same run as everything that is compared with it. */
#ifndef PBFT_BENCH_FLOOR_H
#define PBFT_BENCH_FLOOR_H

#include "base/err.h"

#include <stdint.h>

struct floor_cost {
    uint32_t cores;     /* that this process may use */
    double verify_us;   /* CPU time of one Ed25519 verification, while every core does the same */
    double sign_us;     /* likewise */
    double sync_one_us; /* a synchronous LMDB commit of 1 KiB, median; 0: not measured */
    double sync_all_us; /* one of so many at the same time, each with a file of its own */
    uint32_t syncing;   /* so many */
};

/* Takes about `seconds`, half of it for signatures. The library must be started (sign_start). dir: where the commits
 * go; a directory is made there and removed again. Errors: ERR_IO. */
MUST_USE struct err floor_measure(const char *dir, uint32_t syncing, double seconds, struct floor_cost *out);
/* The mean of what was measured before and after. */
struct floor_cost floor_between(const struct floor_cost *before, const struct floor_cost *after);
/* Transactions a second if there were nothing but one signature for each and its verification on each replica. */
double floor_ceiling(const struct floor_cost *f, uint32_t replicas);

#endif
