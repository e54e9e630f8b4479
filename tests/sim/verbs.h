/* verbs.h - what pbft-sim can do: each verb gets the words behind it, and returns the exit code. */
#ifndef PBFT_TESTS_SIM_VERBS_H
#define PBFT_TESTS_SIM_VERBS_H

int verb_replay(int argc, char **argv);
int verb_run(int argc, char **argv);
int verb_swarm(int argc, char **argv);
int verb_shrink(int argc, char **argv);
int verb_crashes(int argc, char **argv);
int verb_list(int argc, char **argv);

/* Prints what is wrong and how the words go; 2. */
int verb_usage(const char *usage, const char *fault, const char *word);
/* Flushes standard output; `code`, or 5 when that is closed or full and code was 0. */
int verb_end(int code);

#endif
