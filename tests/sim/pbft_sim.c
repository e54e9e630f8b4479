/* pbft_sim.c - the command line of pbft-sim. */
#include "tests/sim/verbs.h"

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/version.h"

#include <stdio.h>
#include <string.h>

static const char usage_text[] =
    "usage: pbft-sim VERB [options]\n"
    "\n"
    "  run --seed S | --scenario FILE    one run of a group in virtual time, with faults and members that misbehave\n"
    "  swarm --seeds A..B                many of them\n"
    "  shrink FILE                       makes a failing scenario small\n"
    "  crashes                           a replica crashes at each effect of a scenario\n"
    "  explore                           all that four replicas can come to in a few steps, one of them Byzantine\n"
    "  list                              what members can do wrong, and what must hold\n"
    "  linearize FILE                    judges a history of clients: is there one order that fits?\n"
    "  messages                          what batches and a view change cost in messages, by type\n"
    "  replay FILE                       performs a recording of `pbftd --record` again\n"
    "\n"
    "pbft-sim VERB --help tells more. --version prints the version.\n";

int verb_usage(const char *usage, const char *fault, const char *word)
{
    if (fault != NULL) (void)fprintf(stderr, "pbft-sim: %s%s\n\n", fault, word);
    (void)fputs(usage, stderr);
    return 2;
}

int verb_end(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    (void)fprintf(stderr, "pbft-sim: cannot write to standard output: it is closed or full\n");
    return code == 0 ? err_exit_code(ERR_IO) : code;
}

static const struct verb *const verbs[] = {&verb_run,  &verb_swarm,  &verb_shrink,    &verb_crashes, &verb_explore,
                                           &verb_list, &verb_replay, &verb_linearize, &verb_messages};

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int print(const char *usage)
{
    (void)fputs(usage, stdout);
    return verb_end(0);
}

int main(int argc, char **argv)
{
    const int failure = file_standard_open();
    if (failure != 0) {
        (void)fprintf(stderr, "pbft-sim: cannot open /dev/null: %s\n", strerror(failure));
        return err_exit_code(ERR_IO);
    }
    log_set_level(LOG_LEVEL_NONE); /* what is damaged on purpose is no news */
    if (argc < 2) return verb_usage(usage_text, "what is to be done?", "");
    if (asks_for_help(argv[1])) return print(usage_text);
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("pbft-sim %s\n", PBFT_VERSION);
        return verb_end(0);
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(argv[1], verbs[i]->name) != 0) continue;
        for (int word = 2; word < argc; word++)
            if (asks_for_help(argv[word])) return print(verbs[i]->usage);
        return verbs[i]->perform(argc - 1, argv + 1);
    }
    return verb_usage(usage_text, "no such verb: ", argv[1]);
}
