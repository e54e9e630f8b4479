/* clock.h - the two clocks. Nothing in wire/, viewchange/ or replica/core/ may call them: time
 * reaches those rooms as data. */
#ifndef PBFT_BASE_CLOCK_H
#define PBFT_BASE_CLOCK_H

#include <stdint.h>

/* Microseconds since an arbitrary start; never goes back. */
uint64_t clock_monotonic_us(void);
/* Milliseconds since 1970-01-01 UTC; may jump. */
uint64_t clock_wall_ms(void);

#endif
