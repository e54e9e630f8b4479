/* state_tree.h - the authenticated tree below state.h: its nodes, their positions, and the update for a set of changed
 * keys. Used by state.c, state_tree.c and state_proof.c only.
 *
 *                 (0,"")                       an inner node stands where a subtree has two leaves or more
 *                /      \
 *          (1,"0")      (1,"1")                a leaf stands at the highest position whose subtree is it alone
 *          /    \        leaf C
 *     (2,"00")  (2,"01")
 *      leaf A    leaf B                        an empty subtree is stored nowhere
 *
 * A position's key in the table: the first `depth` bits of the path, padded with zero bits to whole bytes, and before
 * the last of those bytes the depth (two bytes). So eight levels of a subtree stand together, and what changes with one
 * leaf is in few of the store's pages: those of its own eight levels, and the upper ones that all share. A node's
 * value: one byte (1 leaf, 2 inner) and two digests: path and SHA-256(value) of a leaf, left and right of an inner
 * node. An inner node so names the hashes of both subtrees, and each node read is checked against its parent. A leaf
 * has its key after that, by which its value is found in STATE_TABLE_DATA.
 */
#ifndef PBFT_LEDGER_STATE_TREE_H
#define PBFT_LEDGER_STATE_TREE_H

#include "ledger/state.h"
#include "ledger/tree_nodes.h"

#define STATE_TREE_DEPTH_MAX 256u
#define STATE_POSITION_BYTES_MAX (DIGEST_BYTES + 2u)
#define STATE_NODE_BYTES (1u + 2u * DIGEST_BYTES) /* and the key of a leaf */

enum state_node_kind { STATE_NODE_EMPTY, STATE_NODE_LEAF, STATE_NODE_INNER };

struct state_node {
    enum state_node_kind kind;
    struct digest first;  /* leaf: path; inner: hash of the left subtree */
    struct digest second; /* leaf: SHA-256 of the value; inner: hash of the right subtree */
    struct bytes key;     /* leaf: borrowed from where it was read; not covered by the hash but through its path */
};

/* Where nodes are read: overlays, newest first, then the table STATE_TABLE_TREE of the store. */
struct state_tree_source {
    struct kv_store *store;
    const struct tree_nodes *overlays[STATE_LAYERS_MAX];
    uint32_t overlay_count;
};

struct state_tree_change {
    struct bytes key;    /* borrowed until the update is done */
    struct digest path;  /* of that key */
    struct digest value; /* SHA-256 of the new value */
    bool remove;
};

/* A place in the tree that a transfer asks for. Bits of the path below its depth are zero. */
struct state_place {
    uint32_t depth;
    struct digest path;
    bool whole; /* with keys and values */
};
/* By path, those above before those below. */
int state_place_compare(const void *a, const void *b);

/* Zero for an empty node. */
struct digest state_node_hash(const struct state_node *n);

/* Reads the node at (depth, path). `expected` is its hash as its parent has it; NULL at the root, where nothing stored
 * means empty. Errors: ERR_CORRUPT (malformed, missing, or another hash), or the store's fault. */
MUST_USE struct err state_tree_read(const struct state_tree_source *source, uint32_t depth, const struct digest *path,
                                    const struct digest *expected, struct state_node *out);

/* Applies the changes (sorted here, by path; no path twice) to the tree of `source`: puts the nodes that differ into
 * `nodes`, which is empty before and no part of the source, and the new root into *root. On failure `nodes` may hold
 * some. Errors as state_tree_read. */
MUST_USE struct err state_tree_update(const struct state_tree_source *source, struct state_tree_change *changes,
                                      size_t count, struct tree_nodes *nodes, struct digest *root);

#endif
