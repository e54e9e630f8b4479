/* state_proof.c - proofs that a key has a value, or is absent, under a root of the state tree, made from the base. They
 * are checked in wire/state_proof.c.
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
