/* state_proof.c - proofs that a key has a value, or is absent, under a root of the state tree: made from the base, and
 * checked against a root that the checker trusts.
 *
 * The checks are pure and take every byte from outside. They believe nothing in a proof but what hashes to the root.
 */
#include "ledger/state_proof.h"

#include "ledger/state_tree.h"

_Static_assert(STATE_PROOF_SIBLINGS_MAX == STATE_TREE_DEPTH_MAX, "a proof can reach the deepest leaf");

struct err state_proof_make(struct kv_store *store, struct bytes key, struct state_proof *out)
{
    const struct state_tree_source base = {.store = store};
    const struct digest path = state_path_of(key);
    struct state_node node;
    struct digest hash;
    struct state_proof p = {.sibling_count = 0};
    ERR_TRY(state_tree_read(&base, 0, &path, NULL, &node));
    while (node.kind == STATE_NODE_INNER) {
        const bool right = state_path_bit(&path, p.sibling_count) != 0;
        hash = right ? node.second : node.first;
        p.siblings[p.sibling_count++] = right ? node.first : node.second;
        /* state_tree_read gives no inner node at the greatest depth, so the siblings fit. */
        if (digest_is_zero(&hash))
            node = (struct state_node){.kind = STATE_NODE_EMPTY};
        else
            ERR_TRY(state_tree_read(&base, p.sibling_count, &path, &hash, &node));
    }
    if (node.kind == STATE_NODE_LEAF) {
        p.leaf = true;
        p.leaf_path = node.first;
        p.leaf_value = node.second;
    }
    *out = p;
    return err_none();
}

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
