/* burn.h - CPU time of other processes, and a dummy that uses as much of it as it is told. */
#ifndef PBFT_BENCH_BURN_H
#define PBFT_BENCH_BURN_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

#define BURN_CORES_MAX 64u

/* The dummy: a process for each core that its share needs. */
struct burn {
    pid_t pids[BURN_CORES_MAX];
    uint32_t count;
};

/* User and system time of a process with all its threads since it began, to 10 ms. Errors: ERR_IO, when there is no
 * such process. */
MUST_USE struct err process_cpu_us(pid_t pid, uint64_t *out);

/* Starts a dummy that uses `share` of one core (above 1: of more than one), in slices of 10 ms, until burn_end; it ends
 * with this process too. 0 starts none. To be called while this process has one thread. Errors: ERR_IO; then none is
 * left. */
MUST_USE struct err burn_start(double share, struct burn *out);
/* What it has used by now. */
MUST_USE struct err burn_cpu_us(const struct burn *b, uint64_t *out);
void burn_end(struct burn *b);

#endif
