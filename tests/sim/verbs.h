/* verbs.h - what pbft-sim can do. */
#ifndef PBFT_TESTS_SIM_VERBS_H
#define PBFT_TESTS_SIM_VERBS_H

struct verb {
    const char *name;
    const char *usage;                     /* what --help prints */
    int (*perform)(int argc, char **argv); /* gets the verb and the words behind it; returns the exit code */
};

extern const struct verb verb_replay;
extern const struct verb verb_run;
extern const struct verb verb_swarm;
extern const struct verb verb_shrink;
extern const struct verb verb_crashes;
extern const struct verb verb_explore;
extern const struct verb verb_list;
extern const struct verb verb_linearize;
extern const struct verb verb_messages;

/* Prints what is wrong and how the words go; 2. */
int verb_usage(const char *usage, const char *fault, const char *word);
/* Flushes standard output; `code`, or 5 when that is closed or full and code was 0. */
int verb_end(int code);

#endif
