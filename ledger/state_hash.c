/* state_hash.c - the hashes of the state tree, and the check of a proof against a root that the checker trusts: without a
 * store, for clients and auditors too (libpbft).
 *
 * The checks are pure and take every byte from outside. They believe nothing in a proof but what hashes to the root.
 */
#include "ledger/state_tree.h"

#include "base/check.h"

#include <string.h>

/* ---- hashes ---- */

struct digest state_path_of(struct bytes key)
{
    return digest_of(DIGEST_DOMAIN_STATE_KEY, key);
}

struct digest state_value_digest(struct bytes value)
{
    struct hasher h;
    struct digest out;
    hasher_start_plain(&h);
    if (value.len > 0) hasher_add(&h, value.data, value.len);
    hasher_finish(&h, &out);
    return out;
}

bool state_path_shares(const struct digest *a, const struct digest *b, uint32_t depth)
{
    CHECK_OP(depth, <=, STATE_TREE_DEPTH_MAX);
    const uint32_t whole = depth / 8u;
    const uint32_t rest = depth % 8u;
    if (memcmp(a->bytes, b->bytes, whole) != 0) return false;
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8u - rest) == 0;
}

static struct digest pair_hash(enum digest_domain domain, const struct digest *first, const struct digest *second)
{
    struct hasher h;
    struct digest out;
    hasher_start(&h, domain);
    hasher_add(&h, first->bytes, DIGEST_BYTES);
    hasher_add(&h, second->bytes, DIGEST_BYTES);
    hasher_finish(&h, &out);
    return out;
}

struct digest state_inner_hash(const struct digest *left, const struct digest *right)
{
    return pair_hash(DIGEST_DOMAIN_STATE_NODE, left, right);
}

struct digest state_node_hash(const struct state_node *n)
{
    switch (n->kind) {
    case STATE_NODE_EMPTY: return (struct digest){{0}};
    case STATE_NODE_LEAF: return pair_hash(DIGEST_DOMAIN_STATE_LEAF, &n->first, &n->second);
    case STATE_NODE_INNER: return state_inner_hash(&n->first, &n->second);
    }
    CHECK(!"state_node_hash: kind outside the enumeration");
    return (struct digest){{0}};
}

/* ---- proofs ---- */

/* True when what stands at the end of the proof, on the way of `path`, hashes up to the root. */
static bool proof_reaches(const struct state_proof *p, const struct digest *path, const struct digest *root)
{
    struct state_node end = {.kind = STATE_NODE_EMPTY};
    if (p->sibling_count > STATE_PROOF_SIBLINGS_MAX) return false;
    if (p->leaf) end = (struct state_node){.kind = STATE_NODE_LEAF, .first = p->leaf_path, .second = p->leaf_value};
    struct digest hash = state_node_hash(&end);
    for (uint32_t depth = p->sibling_count; depth > 0; depth--) {
        const struct digest *sibling = &p->siblings[depth - 1];
        hash =
            state_path_bit(path, depth - 1) != 0 ? state_inner_hash(sibling, &hash) : state_inner_hash(&hash, sibling);
    }
    return digest_equal(&hash, root);
}

bool state_proof_shows_value(const struct state_proof *p, const struct digest *root, struct bytes key,
                             struct bytes value)
{
    const struct digest path = state_path_of(key);
    const struct digest value_digest = state_value_digest(value);
    if (!p->leaf || !digest_equal(&p->leaf_path, &path) || !digest_equal(&p->leaf_value, &value_digest)) return false;
    return proof_reaches(p, &path, root);
}

bool state_proof_shows_absence(const struct state_proof *p, const struct digest *root, struct bytes key)
{
    const struct digest path = state_path_of(key);
    if (p->sibling_count > STATE_PROOF_SIBLINGS_MAX) return false;
    if (p->leaf) {
        /* Another leaf stands where the key's would: below the same position, and not the key's own. */
        if (digest_equal(&p->leaf_path, &path)) return false;
        if (!state_path_shares(&p->leaf_path, &path, p->sibling_count)) return false;
    }
    return proof_reaches(p, &path, root);
}
