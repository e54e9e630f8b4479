/* merkle.h - the Merkle tree of RFC 9162 section 2.1: SHA-256, leaves under 0x00, nodes under 0x01.
 *
 * Used for the requests of a batch, the entries of a block and the history of all entries.
 *
 *            root = H(01 | k | l)          a tree of 3 leaves: the left subtree is the largest
 *             /            \               power of two smaller than the count
 *        k=H(01|a|b)       l=c
 *         /      \
 *     a=H(00|0)  b=H(00|1)                 c=H(00|2)
 */
#ifndef PBFT_CRYPTO_MERKLE_H
#define PBFT_CRYPTO_MERKLE_H

#include "crypto/digest.h"

#define MERKLE_PATH_MAX 64u

/* H(0x00 | data). */
struct digest merkle_leaf(struct bytes data);
/* H(0x01 | left | right). */
struct digest merkle_node(const struct digest *left, const struct digest *right);

/* An append-only tree kept as the roots of its complete subtrees, largest first: one for each bit set in count. */
struct merkle_frontier {
    uint64_t count;
    struct digest nodes[MERKLE_PATH_MAX];
};

void merkle_frontier_append(struct merkle_frontier *f, const struct digest *leaf);
/* The root over all appended leaves; SHA-256 of nothing when count is 0 (RFC 9162 section 2.1.1). */
struct digest merkle_frontier_root(const struct merkle_frontier *f);
/* How many of nodes[] are in use. */
uint32_t merkle_frontier_nodes(const struct merkle_frontier *f);

/* The root over count leaf hashes. */
struct digest merkle_root(const struct digest *leaves, uint64_t count);

/* Inclusion proof of leaf `index` in the tree of `count` leaf hashes (RFC 9162 section 2.1.3.1), leaf to root.
 * CHECKs index < count. Returns the length, at most MERKLE_PATH_MAX. */
uint32_t merkle_path(const struct digest *leaves, uint64_t count, uint64_t index, struct digest path[MERKLE_PATH_MAX]);
/* RFC 9162 section 2.1.3.2. All arguments may come from outside. */
MUST_USE bool merkle_path_verify(const struct digest *leaf, uint64_t index, uint64_t count, const struct digest *path,
                                 uint32_t path_count, const struct digest *root);

/* Consistency proof that the tree of the first old_count leaves is a prefix of the tree of count leaves (RFC 9162
 * section 2.1.4.1). CHECKs 0 < old_count <= count. Returns the length (0 when the counts are equal). */
uint32_t merkle_consistency(const struct digest *leaves, uint64_t old_count, uint64_t count,
                            struct digest proof[MERKLE_PATH_MAX]);
/* RFC 9162 section 2.1.4.2. All arguments may come from outside; with equal counts the proof must be empty and the
 * roots equal; an old_count of 0 is refused. */
MUST_USE bool merkle_consistency_verify(uint64_t old_count, const struct digest *old_root, uint64_t count,
                                        const struct digest *root, const struct digest *proof, uint32_t proof_count);

#endif
