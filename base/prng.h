/* prng.h - a small seeded generator (xoshiro256**, Blackman and Vigna) for tests, the fixture, benches and jitter.
 * Never for keys: those come from the operating system. Same seed, same numbers, everywhere. */
#ifndef PBFT_BASE_PRNG_H
#define PBFT_BASE_PRNG_H

#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t s[4];
};

struct prng prng_of(uint64_t seed);
uint64_t prng_next(struct prng *p);
/* Uniform in [0, bound); bound > 0. */
uint64_t prng_below(struct prng *p, uint64_t bound);
void prng_fill(struct prng *p, void *out, size_t len);

#endif
