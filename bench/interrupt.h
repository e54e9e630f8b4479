/* interrupt.h - being told to stop: by INT, TERM or HUP, as often as one likes. */
#ifndef PBFT_BENCH_INTERRUPT_H
#define PBFT_BENCH_INTERRUPT_H

#include "base/err.h"

#include <stdbool.h>

/* From now on these signals set bench_interrupted, and say so on standard error. */
void interrupt_catch(void);
/* True once the program has been told to stop: what it does ends, and what was started for it. */
bool bench_interrupted(void);
/* ERR_NEGATIVE then. */
MUST_USE struct err bench_go_on(void);
/* What went wrong, first and then in clearing up: both, one of them, or neither. */
struct err bench_both(const struct err *first, const struct err *then);

#endif
