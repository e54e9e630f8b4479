/* run.h - running a drawn or written scenario, and telling what broke. */
#ifndef PBFT_TESTS_SIM_RUN_H
#define PBFT_TESTS_SIM_RUN_H

#include "tests/fixture/scenario.h"

/* Prints what a failing run was: the invariant, the last events of each replica before it broke, the scenario, and the command
 * that repeats it. e is what scenario_run_text gave. */
void run_explain(const char *name, struct bytes text, const struct err *e, const struct scenario_result *result,
                 const char *repeat);
/* "A number", decimal; false when it is none or above most. */
bool run_number(const char *text, uint64_t most, uint64_t *out);

#endif
