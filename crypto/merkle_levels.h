/* merkle_levels.h - an RFC 9162 tree kept whole, level by level, when the paths of many leaves are wanted: O(count) to
 * build, O(log count) for each path. A node without a right neighbour is promoted unchanged, which gives
 * exactly the tree of crypto/merkle.h. */
#ifndef PBFT_CRYPTO_MERKLE_LEVELS_H
#define PBFT_CRYPTO_MERKLE_LEVELS_H

#include "crypto/merkle.h"

struct merkle_levels {
    uint32_t level_count;
    uint64_t counts[MERKLE_PATH_MAX];
    struct digest *levels[MERKLE_PATH_MAX]; /* [0] are the leaves; all one allocation, at levels[0] */
};

/* Copies count leaf hashes (at least 1) and builds every level. Freed with merkle_levels_free. */
void merkle_levels_build(struct merkle_levels *t, const struct digest *leaves, uint64_t count);
void merkle_levels_free(struct merkle_levels *t); /* or one that is all zero; it has no leaves then */
struct digest merkle_levels_root(const struct merkle_levels *t);
/* As merkle_path. */
uint32_t merkle_levels_path(const struct merkle_levels *t, uint64_t index, struct digest path[MERKLE_PATH_MAX]);

#endif
