/* crashes.c - pbft-sim crashes: a replica crashes at each effect of a scenario. */
#include "tests/fixture/crash_points.h"
#include "tests/sim/run.h"
#include "tests/sim/verbs.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

static const char usage_text[] =
    "usage: pbft-sim crashes --scenario FILE --replica ID [--from K] [--stride K]\n"
    "\n"
    "Runs FILE once for each SEND and PERSIST of the replica and each side of it: there the replica crashes, what it has not synced is\n"
    "lost, and it starts again 0.3 virtual seconds later. FILE must not end or start that replica itself.\n"
    "\n"
    "  --from K      begins with its K-th effect (default 1)\n"
    "  --stride K    takes every K-th only (default 1)\n"
    "\n"
    "Exit codes: 0 all runs held, 1 one did not, 2 usage.\n";

static int crashes(int argc, char **argv)
{
    static const struct option options[] = {{"scenario", required_argument, NULL, 'f'},
                                            {"replica", required_argument, NULL, 'r'},
                                            {"from", required_argument, NULL, 'k'},
                                            {"stride", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    const char *path = NULL;
    uint64_t replica = UINT64_MAX;
    uint64_t first = 1;
    uint64_t stride = 1;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        bool good = true;
        switch (option) {
        case 'f': path = optarg; break;
        case 'r': good = run_number(optarg, SCENARIO_REPLICAS_MAX - 1, &replica); break;
        case 'k': good = run_number(optarg, UINT32_MAX, &first) && first > 0; break;
        case 's': good = run_number(optarg, UINT32_MAX, &stride) && stride > 0; break;
        default: return verb_usage(usage_text, NULL, "");
        }
        if (!good) return verb_usage(usage_text, "no such number: ", optarg);
    }
    if (optind != argc || path == NULL || replica == UINT64_MAX) return verb_usage(usage_text, "give --scenario and --replica", "");
    struct buffer text = {0};
    struct crash_points points = {.runs = 0};
    struct err e = scenario_read(path, &text);
    if (!err_is(&e)) e = crash_points_run(path, bytes_of(text.data, text.len), (uint32_t)replica, first, stride, &points);
    buffer_free(&text);
    if (err_is(&e)) {
        (void)fprintf(stderr, "pbft-sim: %s\n", e.text);
        return verb_end(e.code == ERR_USAGE ? 2 : 1);
    }
    (void)printf("%" PRIu64 " crashes of replica %" PRIu64 " at its %" PRIu64 " effects: all invariants held\n", points.runs, replica,
                 points.effects);
    return verb_end(0);
}

const struct verb verb_crashes = {.name = "crashes", .usage = usage_text, .perform = crashes};
