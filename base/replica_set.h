/* replica_set.h - a set of replica ids, 0 to REPLICAS_MAX - 1, iterated in ascending order.
 *
 * Counting a set counts distinct members, never messages (rule 3).
 */
#ifndef PBFT_BASE_REPLICA_SET_H
#define PBFT_BASE_REPLICA_SET_H

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct replica_set {
    uint64_t words[REPLICAS_MAX / 64u];
};

static inline void replica_set_add(struct replica_set *s, uint32_t id)
{
    CHECK_OP(id, <, REPLICAS_MAX);
    s->words[id / 64u] |= 1ull << (id % 64u);
}

static inline void replica_set_remove(struct replica_set *s, uint32_t id)
{
    CHECK_OP(id, <, REPLICAS_MAX);
    s->words[id / 64u] &= ~(1ull << (id % 64u));
}

static inline bool replica_set_has(const struct replica_set *s, uint32_t id)
{
    CHECK_OP(id, <, REPLICAS_MAX);
    return (s->words[id / 64u] >> (id % 64u) & 1u) != 0;
}

static inline uint32_t replica_set_count(const struct replica_set *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < REPLICAS_MAX / 64u; i++)
        count += (uint32_t)__builtin_popcountll(s->words[i]);
    return count;
}

/* Appends "none", "2", "0, 2 and 3", or of more than named_max the first ones: "0, 2 and 7 more". */
void replica_set_print(const struct replica_set *s, uint32_t named_max, struct buffer *out);

#endif
