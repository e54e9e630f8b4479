/* tree_nodes.h - the nodes of the state tree that one update changed, in memory until they are folded into the store.
 *
 * Written once, in the order of the update's walk: at each depth the positions ascend. So those of a depth are sorted
 * without being compared, found by bisection, and merged with the other depths when they are folded, in the order of
 * the table.
 */
#ifndef PBFT_LEDGER_TREE_NODES_H
#define PBFT_LEDGER_TREE_NODES_H

#include "ledger/kv_store.h"

struct tree_nodes;

struct tree_nodes *tree_nodes_new(void);
void tree_nodes_free(struct tree_nodes *t);
/* Adds what stands at a position (its key in the table: state_tree.h) from now on: a node as it is stored, or nothing
 * where one has gone. Both are copied. At each depth each position is above the one before it (CHECKed). */
void tree_nodes_add(struct tree_nodes *t, struct bytes position, struct bytes node);
/* False when it says nothing of that position. *node, empty where a node has gone, lives as long as t. */
MUST_USE bool tree_nodes_get(const struct tree_nodes *t, struct bytes position, struct bytes *node);
/* Puts all of it into a batch for that table, lent: t stays until the batch is applied. */
void tree_nodes_fold(const struct tree_nodes *t, struct kv_batch *b, uint32_t table);
/* What the nodes cost: their bytes, and a fixed overhead for each. */
uint64_t tree_nodes_bytes(const struct tree_nodes *t);

#endif
