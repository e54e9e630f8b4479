/* program.h - other programs: those that are run from this one, and replicas. */
#ifndef PBFT_BENCH_PROGRAM_H
#define PBFT_BENCH_PROGRAM_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

/* The path of the project's program of that name: beside this one. */
MUST_USE struct err program_path(const char *name, char *path, size_t path_bytes);
/* Runs argv, which ends with NULL, with `input` on its standard input, and appends what it writes to standard output.
 * argv[0] is a path, or a name that is looked for in PATH. It has a process group of its own: a key of the terminal
 * that interrupts this program lets it go on to its end. ERR_CONFIG: it cannot be run; ERR_NEGATIVE: it did not end
 * with 0. */
MUST_USE struct err program_run(const char *const *argv, struct bytes input, struct buffer *out);
/* The same of one that only calculates: it is told to end once bench_interrupted. */
MUST_USE struct err program_run_or_end(const char *const *argv, struct buffer *out);
/* Starts argv, a path first, in such a group, with nothing on standard output; the caller waits for it. */
MUST_USE struct err program_start(const char *const *argv, pid_t *pid);

/* Waits until it has ended, whatever signals come meanwhile, and gives what waitpid says of it. */
int program_wait(pid_t pid);

/* The process of a replica of the development group in home; 0: none is known. */
pid_t bench_replica_pid(const char *home, uint32_t id);

#endif
