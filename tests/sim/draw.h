/* draw.h - a scenario drawn from a seed: which faults are on, and when (docs/adversary.md, "swarm"). The run is that of the text:
 * whoever keeps the text keeps the run. */
#ifndef PBFT_TESTS_SIM_DRAW_H
#define PBFT_TESTS_SIM_DRAW_H

#include "base/bytes.h"

#define DRAW_REPLICAS_MIN 1u
#define DRAW_REPLICAS_MAX 16u

/* Appends the text. replicas: 0 to have the seed draw it too. */
void draw_scenario(uint64_t seed, uint32_t replicas, struct buffer *out);

#endif
