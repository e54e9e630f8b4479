/* merkle_levels.c - a whole RFC 9162 tree in one allocation. */
#include "crypto/merkle_levels.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

void merkle_levels_build(struct merkle_levels *t, const struct digest *leaves, uint64_t count)
{
    CHECK_OP(count, >=, 1);
    CHECK_OP(count, <=, UINT32_MAX);
    struct digest *space = mem_alloc(sizeof *space * (size_t)(2 * count + MERKLE_PATH_MAX));
    memcpy(space, leaves, sizeof *space * (size_t)count);
    t->level_count = 1;
    t->counts[0] = count;
    t->levels[0] = space;
    while (count > 1) {
        const struct digest *below = t->levels[t->level_count - 1];
        struct digest *above = t->levels[t->level_count - 1] + count;
        for (uint64_t i = 0; i + 1 < count; i += 2)
            above[i / 2] = merkle_node(&below[i], &below[i + 1]);
        if (count % 2 == 1) above[count / 2] = below[count - 1];
        count = (count + 1) / 2;
        t->counts[t->level_count] = count;
        t->levels[t->level_count++] = above;
    }
}

void merkle_levels_free(struct merkle_levels *t)
{
    free(t->levels[0]);
    t->levels[0] = NULL;
    t->counts[0] = 0;
}

struct digest merkle_levels_root(const struct merkle_levels *t)
{
    return t->levels[t->level_count - 1][0];
}

uint32_t merkle_levels_path(const struct merkle_levels *t, uint64_t index, struct digest path[MERKLE_PATH_MAX])
{
    uint32_t length = 0;
    CHECK_OP(index, <, t->counts[0]);
    for (uint32_t level = 0; level + 1 < t->level_count; level++) {
        const uint64_t sibling = index ^ 1u;
        if (sibling < t->counts[level]) path[length++] = t->levels[level][sibling];
        index /= 2;
    }
    return length;
}
