/* verb_linearize.c - pbft-sim linearize: judges a history. */
#include "tests/sim/linear.h"
#include "tests/sim/run.h"
#include "tests/sim/verbs.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

static const char usage_text[] =
    "usage: pbft-sim linearize FILE [--steps N]\n"
    "\n"
    "Judges a history of the key-value application, as `pbft-sim run --history` and `pbft-bench history` write them: "
    "is there one order\n"
    "of all operations that fits their times and results? (docs/adversary.md, \"Histories\")\n"
    "\n"
    "  --steps N   so many for the search of one key, when the order that the group claims does not fit (default "
    "2000000)\n"
    "\n"
    "Exit codes: 0 there is, 1 there is none, 2 usage, or FILE is no history, 3 some key is unchecked: the search took "
    "too long.\n";

static int judge(const char *path, uint64_t steps)
{
    char text[400] = "";
    struct linear_history *h = linear_new();
    const struct err e = linear_read(path, h);
    if (err_is(&e)) {
        (void)fprintf(stderr, "pbft-sim: %s\n", e.text);
        linear_free(h);
        return 2;
    }
    const enum linear_verdict v = linear_judge(h, steps, text, sizeof text);
    const uint64_t count = linear_count(h);
    linear_free(h);
    if (v == LINEAR_HOLDS)
        (void)printf("%s: linearizable: %" PRIu64 " operations\n", path, count);
    else
        (void)printf("%s: %s: %s\n", path, v == LINEAR_BROKEN ? "not linearizable" : "unchecked", text);
    return verb_end(v == LINEAR_HOLDS ? 0 : v == LINEAR_BROKEN ? 1 : 3);
}

static int linearize(int argc, char **argv)
{
    static const struct option options[] = {{"steps", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
    uint64_t steps = LINEAR_STEPS;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 's') return verb_usage(usage_text, NULL, "");
        if (!run_number(optarg, 1000000000, &steps))
            return verb_usage(usage_text, "--steps wants a number, not ", optarg);
    }
    if (optind + 1 != argc) return verb_usage(usage_text, "linearize takes one FILE", "");
    return judge(argv[optind], steps);
}

const struct verb verb_linearize = {.name = "linearize", .usage = usage_text, .perform = linearize};
