/* burn.c - see burn.h. */
#include "bench/burn.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLICE_US 10000u
#define SLICES_OWED_MAX                                                                                                \
    25u /* more than this it does not take later: a debt of the warm-up is none of the measured time */
#define FIELDS_BEFORE_UTIME 11u /* of /proc/PID/stat, behind the name: state to cmajflt */

struct err process_cpu_us(pid_t pid, uint64_t *out)
{
    char path[64];
    char line[1024];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL) return err_system(errno, "cannot open %s", path);
    const bool got = fgets(line, sizeof line, f) != NULL;
    (void)fclose(f);
    char *at = got ? strrchr(line, ')') : NULL; /* the name may hold anything */
    for (uint32_t i = 0; at != NULL && i <= FIELDS_BEFORE_UTIME; i++)
        at = strchr(at + 1, ' ');
    if (at == NULL) return err_make(ERR_IO, "%s is not what it should be", path);
    const uint64_t user = strtoull(at, &at, 10);
    const uint64_t system = strtoull(at, NULL, 10);
    *out = (user + system) * 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    return err_none();
}

static uint64_t own_cpu_us(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* What it could not have in a slice, since others had the core, it takes in the next ones. */
static _Noreturn void burn_for_ever(double share)
{
    uint64_t next_us = clock_monotonic_us();
    double until_us = (double)own_cpu_us();
    for (;;) {
        next_us += SLICE_US;
        until_us += share * SLICE_US;
        while ((double)own_cpu_us() < until_us) {
        }
        const uint64_t now = clock_monotonic_us();
        if (now < next_us) (void)nanosleep(&(struct timespec){.tv_nsec = (long)((next_us - now) * 1000u)}, NULL);
        if (now > next_us + SLICES_OWED_MAX * SLICE_US) next_us = now - SLICES_OWED_MAX * SLICE_US;
    }
}

struct err burn_start(double share, struct burn *out)
{
    const pid_t parent = getpid();
    const uint32_t cores = (uint32_t)ceil(share);
    *out = (struct burn){.count = 0};
    CHECK(share >= 0 && cores <= BURN_CORES_MAX);
    while (out->count < cores) {
        const pid_t pid = fork();
        if (pid < 0) {
            const int fault = errno;
            burn_end(out);
            return err_system(fault, "cannot make a process that burns CPU time");
        }
        if (pid == 0) {
            (void)signal(SIGINT, SIG_DFL);
            (void)signal(SIGTERM, SIG_DFL);
            (void)signal(SIGHUP, SIG_DFL);
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent) _exit(1);
            burn_for_ever(share / cores);
        }
        out->pids[out->count++] = pid;
    }
    return err_none();
}

struct err burn_cpu_us(const struct burn *b, uint64_t *out)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        uint64_t one;
        ERR_TRY(process_cpu_us(b->pids[i], &one));
        sum += one;
    }
    *out = sum;
    return err_none();
}

void burn_end(struct burn *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        (void)kill(b->pids[i], SIGKILL);
    for (uint32_t i = 0; i < b->count; i++)
        while (waitpid(b->pids[i], NULL, 0) < 0 && errno == EINTR) {
        }
    b->count = 0;
}
