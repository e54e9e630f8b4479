/* state_proof.h - the state tree as far as a proof needs it: hashes, and the check of what stands on the way of a key. Stateless;
 * the tree itself is ledger/state_tree.h.
 *
 * The tree is a compact sparse Merkle tree. The path of a key is the 256 bits of digest(STATE_KEY, key), most
 * significant bit of byte 0 first.
 *     empty subtree                    32 zero bytes
 *     subtree with exactly one leaf    that leaf: digest(STATE_LEAF, path | SHA-256(value))
 *     other subtree                    digest(STATE_NODE, left | right)
 * So the root is a function of the set of (key, value) alone, whatever the order of changes.
 */
#ifndef PBFT_WIRE_STATE_PROOF_H
#define PBFT_WIRE_STATE_PROOF_H

#include "crypto/digest.h"

#include <stdbool.h>
#include <stdint.h>

#define STATE_PROOF_SIBLINGS_MAX 256u

/* What stands at the end of the walk from the root along the key's path. */
struct state_proof {
    uint32_t sibling_count; /* the depth where the walk ended */
    struct digest siblings[STATE_PROOF_SIBLINGS_MAX]; /* from the root downwards */
    bool leaf;                    /* a leaf stands there; else the subtree is empty */
    struct digest leaf_path;      /* of that leaf; equals the key's path for membership */
    struct digest leaf_value;     /* SHA-256 of its value */
};

/* Pure checks; every argument may come from outside. */
MUST_USE bool state_proof_shows_value(const struct state_proof *p, const struct digest *root, struct bytes key,
                                      struct bytes value);
MUST_USE bool state_proof_shows_absence(const struct state_proof *p, const struct digest *root, struct bytes key);

/* ---- hashes ---- */

static inline uint32_t state_path_bit(const struct digest *path, uint32_t depth)
{
    return (uint32_t)path->bytes[depth / 8u] >> (7u - depth % 8u) & 1u;
}
/* True when the first `depth` bits are the same. */
bool state_path_shares(const struct digest *a, const struct digest *b, uint32_t depth);
struct digest state_path_of(struct bytes key);
struct digest state_value_digest(struct bytes value);
struct digest state_leaf_hash(const struct digest *path, const struct digest *value);
struct digest state_inner_hash(const struct digest *left, const struct digest *right);

#endif
