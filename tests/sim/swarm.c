/* swarm.c - many seeds, in several processes. A run that ends its process, or does not end, is a failure of its seed
 * like any other. */
#include "tests/sim/draw.h"
#include "tests/sim/run.h"
#include "tests/sim/verbs.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64u
#define RUN_SECONDS_MAX 600u /* of one seed, before it counts as one that does not end */
#define SEED_NONE UINT64_MAX

/* What all processes share. */
struct shared {
    atomic_uint_fast64_t next;
    atomic_uint_fast64_t runs;
    atomic_uint_fast64_t virtual_us;
    atomic_uint_fast64_t accepted;
    atomic_uint_fast64_t unlinearized; /* runs whose history was too much for the search */
    atomic_uint failures;
    atomic_uint_fast64_t current[JOBS_MAX]; /* seed under way, or SEED_NONE */
};

struct swarm {
    struct shared *shared;
    uint64_t first;
    uint64_t last;
    uint64_t replicas;
    uint32_t jobs;
    uint64_t until_us; /* no seed begins after that */
    uint32_t failures_enough;
    bool named; /* a run that ended its process is no failure */
};

static volatile sig_atomic_t told_to_stop;

static void on_signal(int number)
{
    told_to_stop = number;
}

/* Says it at once: who is stopped loses nothing of what was found. broken: an invariant, or -1, the process ended. */
static void note_failure(struct swarm *s, uint64_t seed, int broken, const char *text)
{
    char size[32] = "";
    if (s->named && broken < 0) return;
    atomic_fetch_add(&s->shared->failures, 1);
    if (s->replicas != 0) (void)snprintf(size, sizeof size, " --replicas %" PRIu64, s->replicas);
    (void)printf("FAILED seed %" PRIu64 ", %s: %s\n  pbft-sim run --seed %" PRIu64 "%s\n", seed,
                 broken < 0 ? "the process ended" : invariant_name((enum invariant)broken), text, seed, size);
    (void)fflush(stdout);
}

static _Noreturn void work(struct swarm *s, uint32_t job)
{
    while (clock_monotonic_us() < s->until_us && atomic_load(&s->shared->failures) < s->failures_enough) {
        const uint64_t seed = atomic_fetch_add(&s->shared->next, 1);
        if (seed > s->last) break;
        struct buffer text = {0};
        struct scenario_result r;
        atomic_store(&s->shared->current[job], seed);
        (void)alarm(RUN_SECONDS_MAX);
        draw_scenario(seed, (uint32_t)s->replicas, &text);
        const struct err e = scenario_run_text("", bytes_of(text.data, text.len), NULL, &r);
        (void)alarm(0);
        atomic_fetch_add(&s->shared->runs, 1);
        atomic_fetch_add(&s->shared->virtual_us, r.ended_us);
        atomic_fetch_add(&s->shared->accepted, r.accepted);
        if (r.unlinearized) atomic_fetch_add(&s->shared->unlinearized, 1);
        if (err_is(&e)) note_failure(s, seed, r.violated ? (int)r.broken : 0, e.text);
        atomic_store(&s->shared->current[job], SEED_NONE);
        buffer_free(&text);
    }
    exit(0); /* not _exit: counts of a coverage build are written */
}

static pid_t spawn(struct swarm *s, uint32_t job)
{
    atomic_store(&s->shared->current[job], SEED_NONE);
    (void)fflush(NULL); /* nothing is to be printed twice */
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid != 0) return pid;
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody goes on when the one that counts is gone */
    if (getppid() != parent) _exit(1);
    work(s, job);
}

/* A worker has ended: with its seed, unless it had done its part. True when it was started anew. */
static bool ended(struct swarm *s, uint32_t job, int status, pid_t *pid)
{
    const uint64_t seed = atomic_load(&s->shared->current[job]);
    char text[128];
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return false;
    if (seed == SEED_NONE) return false; /* killed by somebody else */
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        (void)snprintf(text, sizeof text, "the run did not end within %u s", RUN_SECONDS_MAX);
    else
        (void)snprintf(text, sizeof text, "the run ended its process (status %d): repeat it and see", status);
    note_failure(s, seed, -1, text);
    atomic_fetch_add(&s->shared->runs, 1);
    *pid = spawn(s, job);
    return *pid > 0;
}

static void perform(struct swarm *s)
{
    pid_t pids[JOBS_MAX];
    uint32_t running = 0;
    (void)fflush(stdout);
    for (uint32_t job = 0; job < s->jobs; job++) {
        pids[job] = spawn(s, job);
        if (pids[job] > 0) running++;
    }
    while (running > 0) {
        int status;
        const pid_t pid = wait(&status);
        for (uint32_t job = 0; job < s->jobs && told_to_stop != 0; job++)
            if (pids[job] > 0) (void)kill(pids[job], SIGKILL);
        if (pid < 0 && errno == EINTR) continue;
        if (pid < 0) break;
        for (uint32_t job = 0; job < s->jobs; job++)
            if (pids[job] == pid) {
                pids[job] = 0; /* a process id means nothing any more */
                if (told_to_stop != 0 || !ended(s, job, status, &pids[job])) running--;
            }
    }
}

/* That the processes which have ended used, in hours: what other work on the machine leaves them is no measure of the
 * seeds. */
static double cpu_hours(void)
{
    struct rusage r;
    CHECK(getrusage(RUSAGE_CHILDREN, &r) == 0);
    const double seconds =
        (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
    return seconds / 3600;
}

static void print_rate(const struct swarm *s, uint64_t us)
{
    const uint64_t runs = atomic_load(&s->shared->runs);
    const double hours = (double)us / 3.6e9;
    const double cpu = cpu_hours();
    const double virtual_hours = (double)atomic_load(&s->shared->virtual_us) / 3.6e9;
    (void)printf("%" PRIu64 " seeds from %" PRIu64
                 " on, %u failed; %.1f s on %u processes: %.0f seeds an hour of CPU time, %.0f virtual hours "
                 "an hour, %" PRIu64 " requests accepted\n",
                 runs, s->first, atomic_load(&s->shared->failures), (double)us / 1e6, s->jobs,
                 cpu > 0 ? (double)runs / cpu : 0, virtual_hours / hours, atomic_load(&s->shared->accepted));
    if (atomic_load(&s->shared->unlinearized) > 0)
        (void)printf("UNCHECKED: invariant 6 in %" PRIu64 " of them, the search took too long\n",
                     atomic_load(&s->shared->unlinearized));
}

/* ---- words ---- */

static const char usage_text[] =
    "usage: pbft-sim swarm [--seeds A..B] [--replicas N] [--jobs J] [--budget SECONDS] [--failures K] [--named]\n"
    "\n"
    "Runs the scenario of each seed, and names those in which an invariant was broken.\n"
    "\n"
    "  --seeds A..B      both included (default: from a random one on, until the budget is used up)\n"
    "  --replicas N      the size of the group, 1 to 16 (default: drawn for each seed)\n"
    "  --jobs J          processes, 1 to 64 (default: one for each core)\n"
    "  --budget SECONDS  no seed begins later (default: 60 without --seeds, else none)\n"
    "  --failures K      ends after so many (default 20)\n"
    "  --named           passes over those that ended their process: a failure is a broken invariant\n"
    "\n"
    "Failures are printed as they are found; told to stop (INT, TERM), it prints how far it got.\n"
    "\n"
    "Exit codes: 0 all held, 1 some seed failed, 2 usage, 128 + the signal that stopped it.\n";

static bool parse_seeds(const char *text, struct swarm *s)
{
    const char *dots = strstr(text, "..");
    char first[24];
    if (dots == NULL || (size_t)(dots - text) >= sizeof first) return false;
    memcpy(first, text, (size_t)(dots - text));
    first[dots - text] = '\0';
    return run_number(first, SEED_NONE - 1, &s->first) && run_number(dots + 2, SEED_NONE - 2, &s->last) &&
           s->first <= s->last;
}

/* "" when the words are right. */
static const char *parse(int argc, char **argv, struct swarm *s, uint64_t *budget_s)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 's'},
                                            {"replicas", required_argument, NULL, 'n'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"budget", required_argument, NULL, 'b'},
                                            {"failures", required_argument, NULL, 'f'},
                                            {"named", no_argument, NULL, 'i'},
                                            {NULL, 0, NULL, 0}};
    uint64_t number;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            if (!parse_seeds(optarg, s)) return "--seeds wants A..B";
            break;
        case 'n':
            if (!run_number(optarg, DRAW_REPLICAS_MAX, &s->replicas) || s->replicas == 0)
                return "--replicas wants 1 to 16";
            break;
        case 'j':
            if (!run_number(optarg, JOBS_MAX, &number) || number == 0) return "--jobs wants 1 to 64";
            s->jobs = (uint32_t)number;
            break;
        case 'b':
            if (!run_number(optarg, 1000000, budget_s) || *budget_s == 0) return "--budget wants seconds";
            break;
        case 'f':
            if (!run_number(optarg, UINT32_MAX, &number) || number == 0) return "--failures wants a number from 1 on";
            s->failures_enough = (uint32_t)number;
            break;
        case 'i': s->named = true; break;
        default: return "";
        }
    }
    return optind == argc ? NULL : "one word too many";
}

static int swarm(int argc, char **argv)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct swarm s = {.first = SEED_NONE, .last = SEED_NONE - 2, .failures_enough = 20};
    uint64_t budget_s = 0;
    s.jobs = cores < 1 ? 1 : cores > (long)JOBS_MAX ? JOBS_MAX : (uint32_t)cores;
    const char *fault = parse(argc, argv, &s, &budget_s);
    if (fault != NULL) return verb_usage(usage_text, fault[0] == '\0' ? NULL : fault, "");
    if (s.first == SEED_NONE) {
        uint32_t random = 0;
        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) random = (uint32_t)clock_wall_ms();
        s.first = random;
        if (budget_s == 0) budget_s = 60;
    }
    s.shared = mmap(NULL, sizeof *s.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s.shared == MAP_FAILED) {
        (void)fprintf(stderr, "pbft-sim: no memory that processes share: %s\n", strerror(errno));
        return 2;
    }
    const uint64_t began_us = clock_monotonic_us();
    s.until_us = budget_s == 0 ? UINT64_MAX : began_us + budget_s * 1000000u;
    atomic_store(&s.shared->next, s.first);
    const struct sigaction stop = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGTERM, &stop, NULL);
    perform(&s);
    print_rate(&s, clock_monotonic_us() - began_us);
    const int code = atomic_load(&s.shared->failures) > 0 ? 1 : told_to_stop != 0 ? 128 + told_to_stop : 0;
    (void)munmap(s.shared, sizeof *s.shared);
    return verb_end(code);
}

const struct verb verb_swarm = {.name = "swarm", .usage = usage_text, .perform = swarm};
