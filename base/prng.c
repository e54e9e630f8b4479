/* prng.c - xoshiro256** seeded by splitmix64. */
#include "base/prng.h"

#include "base/check.h"

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

struct prng prng_of(uint64_t seed)
{
    struct prng p;
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15ull;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        p.s[i] = z ^ (z >> 31);
    }
    return p;
}

uint64_t prng_next(struct prng *p)
{
    const uint64_t result = rotate_left(p->s[1] * 5, 7) * 9;
    const uint64_t t = p->s[1] << 17;
    p->s[2] ^= p->s[0];
    p->s[3] ^= p->s[1];
    p->s[1] ^= p->s[2];
    p->s[0] ^= p->s[3];
    p->s[2] ^= t;
    p->s[3] = rotate_left(p->s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *p, uint64_t bound)
{
    CHECK_OP(bound, >, 0);
    const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t x;
    do
        x = prng_next(p);
    while (x >= limit);
    return x % bound;
}

void prng_fill(struct prng *p, void *out, size_t len)
{
    uint8_t *to = out;
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0) word = prng_next(p);
        to[i] = (uint8_t)(word >> (8 * (i % 8)));
    }
}
