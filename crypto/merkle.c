/* merkle.c - RFC 9162 section 2.1 without recursion.
 *
 * Proofs are made from the root down (the subtree that holds the leaf shrinks, its sibling joins the
 * proof) and turned round at the end, because the RFC lists them from the leaf up. The root of a
 * range of leaves comes from a frontier on the stack: no allocation, each leaf is hashed in once.
 * The verifiers take everything from outside; their loops end because each step halves the counts.
 */
#include "crypto/merkle.h"

#include "base/check.h"

static const uint8_t prefix_leaf = 0x00;
static const uint8_t prefix_node = 0x01;

struct digest merkle_leaf(struct bytes data)
{
    struct hasher h;
    struct digest out;
    hasher_start_plain(&h);
    hasher_add(&h, &prefix_leaf, 1);
    hasher_add(&h, data.data, data.len);
    hasher_finish(&h, &out);
    return out;
}

struct digest merkle_node(const struct digest *left, const struct digest *right)
{
    struct hasher h;
    struct digest out;
    hasher_start_plain(&h);
    hasher_add(&h, &prefix_node, 1);
    hasher_add(&h, left->bytes, DIGEST_BYTES);
    hasher_add(&h, right->bytes, DIGEST_BYTES);
    hasher_finish(&h, &out);
    return out;
}

uint32_t merkle_frontier_nodes(const struct merkle_frontier *f)
{
    return (uint32_t)__builtin_popcountll(f->count);
}

void merkle_frontier_append(struct merkle_frontier *f, const struct digest *leaf)
{
    CHECK_OP(f->count, <, UINT64_MAX);
    uint32_t used = merkle_frontier_nodes(f);
    struct digest node = *leaf;
    /* As adding 1 carries through the low bits that are set, the subtrees they stand for merge. */
    for (uint64_t carry = f->count; (carry & 1) != 0; carry >>= 1)
        node = merkle_node(&f->nodes[--used], &node);
    f->nodes[used] = node;
    f->count++;
}

struct digest merkle_frontier_root(const struct merkle_frontier *f)
{
    uint32_t used = merkle_frontier_nodes(f);
    if (used == 0) {
        struct hasher h;
        struct digest empty;
        hasher_start_plain(&h);
        hasher_finish(&h, &empty);
        return empty;
    }
    struct digest root = f->nodes[--used];
    while (used > 0)
        root = merkle_node(&f->nodes[--used], &root);
    return root;
}

struct digest merkle_root(const struct digest *leaves, uint64_t count)
{
    struct merkle_frontier f = {.count = 0};
    for (uint64_t i = 0; i < count; i++)
        merkle_frontier_append(&f, &leaves[i]);
    return merkle_frontier_root(&f);
}

/* The leaves of a left subtree: the largest power of two smaller than count, which is at least 2. */
static uint64_t split(uint64_t count)
{
    return 1ull << (63 - __builtin_clzll(count - 1));
}

static void reverse(struct digest *list, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        const struct digest kept = list[i];
        list[i] = list[count - 1 - i];
        list[count - 1 - i] = kept;
    }
}

uint32_t merkle_path(const struct digest *leaves, uint64_t count, uint64_t index, struct digest path[MERKLE_PATH_MAX])
{
    CHECK_OP(index, <, count);
    uint32_t length = 0;
    while (count > 1) {
        const uint64_t left = split(count);
        CHECK_OP(length, <, MERKLE_PATH_MAX);
        if (index < left) {
            path[length++] = merkle_root(leaves + left, count - left);
            count = left;
        } else {
            path[length++] = merkle_root(leaves, left);
            leaves += left;
            count -= left;
            index -= left;
        }
    }
    reverse(path, length);
    return length;
}

bool merkle_path_verify(const struct digest *leaf, uint64_t index, uint64_t count, const struct digest *path,
                        uint32_t path_count, const struct digest *root)
{
    if (index >= count) return false;
    uint64_t at = index;       /* the RFC's fn */
    uint64_t last = count - 1; /* the RFC's sn */
    struct digest node = *leaf;
    for (uint32_t i = 0; i < path_count; i++) {
        if (last == 0) return false; /* longer than the tree is high */
        if ((at & 1) != 0 || at == last) {
            node = merkle_node(&path[i], &node);
            /* The last node of an odd level has no sibling: it rises to the level where it has one. */
            while ((at & 1) == 0 && at != 0) {
                at >>= 1;
                last >>= 1;
            }
        } else {
            node = merkle_node(&node, &path[i]);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && digest_equal(&node, root);
}

uint32_t merkle_consistency(const struct digest *leaves, uint64_t old_count, uint64_t count,
                            struct digest proof[MERKLE_PATH_MAX])
{
    CHECK_OP(old_count, >, 0);
    CHECK_OP(old_count, <=, count);
    uint32_t length = 0;
    /* True while the range starts at leaf 0: it then ends as exactly the old tree, whose root the verifier has. */
    bool whole = true;
    while (old_count < count) {
        const uint64_t left = split(count);
        CHECK_OP(length, <, MERKLE_PATH_MAX);
        if (old_count <= left) {
            proof[length++] = merkle_root(leaves + left, count - left);
            count = left;
        } else {
            proof[length++] = merkle_root(leaves, left);
            leaves += left;
            count -= left;
            old_count -= left;
            whole = false;
        }
    }
    if (!whole) {
        CHECK_OP(length, <, MERKLE_PATH_MAX);
        proof[length++] = merkle_root(leaves, count);
    }
    reverse(proof, length);
    return length;
}

bool merkle_consistency_verify(uint64_t old_count, const struct digest *old_root, uint64_t count,
                               const struct digest *root, const struct digest *proof, uint32_t proof_count)
{
    if (old_count == 0 || old_count > count) return false;
    if (old_count == count) return proof_count == 0 && digest_equal(old_root, root);
    if (proof_count == 0) return false;

    uint64_t at = old_count - 1; /* the RFC's fn */
    uint64_t last = count - 1;   /* the RFC's sn */
    while ((at & 1) != 0) {
        at >>= 1;
        last >>= 1;
    }
    /* A power of two is one complete subtree of the new tree: its root is not repeated in the proof. */
    const bool power_of_two = (old_count & (old_count - 1)) == 0;
    uint32_t next = power_of_two ? 0 : 1;
    struct digest old_node = power_of_two ? *old_root : proof[0];
    struct digest new_node = old_node;
    for (; next < proof_count; next++) {
        if (last == 0) return false; /* longer than the tree is high */
        if ((at & 1) != 0 || at == last) {
            old_node = merkle_node(&proof[next], &old_node);
            new_node = merkle_node(&proof[next], &new_node);
            while ((at & 1) == 0 && at != 0) {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_node = merkle_node(&new_node, &proof[next]);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && digest_equal(&old_node, old_root) && digest_equal(&new_node, root);
}
