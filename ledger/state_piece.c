/* state_piece.c - does part of a state hash to its root, and is its checkpoint's record the one that was certified?
 * Pure. */
#include "ledger/state_piece.h"

#include "crypto/merkle.h"
#include "ledger/state_tree.h"
#include "wire/certificate.h"
#include "wire/constants.h"

#include <stdlib.h>
#include <string.h>

static bool is_digest(struct bytes b)
{
    return b.len == DIGEST_BYTES;
}

static bool item_well_formed(const struct wire_state_item *item)
{
    switch ((enum state_item_kind)item->kind) {
    case STATE_ITEM_EMPTY:
    case STATE_ITEM_INNER: return item->first.len == 0 && item->second.len == 0;
    case STATE_ITEM_PRUNED: return is_digest(item->first) && item->second.len == 0;
    case STATE_ITEM_DIGEST: return is_digest(item->first) && is_digest(item->second);
    case STATE_ITEM_LEAF: return item->first.len >= 1;
    }
    return false;
}

static struct digest digest_from(struct bytes b)
{
    struct digest d;
    memcpy(d.bytes, b.data, DIGEST_BYTES);
    return d;
}

/* The hash of an item that has no items below it. */
static struct digest item_hash(const struct wire_state_item *item)
{
    struct state_node n = {.kind = STATE_NODE_LEAF};
    if (item->kind == STATE_ITEM_EMPTY) return (struct digest){{0}};
    if (item->kind == STATE_ITEM_PRUNED) return digest_from(item->first);
    if (item->kind == STATE_ITEM_DIGEST) {
        n.first = digest_from(item->first);
        n.second = digest_from(item->second);
    } else {
        n.first = state_path_of(item->first);
        n.second = state_value_digest(item->second);
    }
    return state_node_hash(&n);
}

/* Decodes the items and computes all hashes, from the last to the first: in a preorder read backwards both subtrees of
 * an inner node come before it. False when they are not exactly one tree. */
bool state_piece_read(const struct wire_state_piece *piece, struct state_piece_item *items)
{
    struct wire_iterator i = wire_list_start(piece->items);
    const uint32_t count = piece->items.count;
    for (uint32_t k = 0; k < count; k++)
        if (!wire_list_next(&i, &wire_record_state_item, &items[k].item) || !item_well_formed(&items[k].item))
            return false;
    uint32_t *stack = mem_alloc(count * sizeof *stack);
    uint32_t stacked = 0;
    bool whole = true;
    for (uint32_t k = count; whole && k > 0; k--) {
        struct state_piece_item *n = &items[k - 1];
        if (n->item.kind != STATE_ITEM_INNER) {
            n->hash = item_hash(&n->item);
            n->end = k;
        } else if (stacked < 2) {
            whole = false;
        } else {
            const struct state_piece_item *left = &items[stack[--stacked]];
            const struct state_piece_item *right = &items[stack[--stacked]];
            n->hash = state_inner_hash(&left->hash, &right->hash);
            n->end = right->end;
        }
        if (whole) stack[stacked++] = k - 1;
    }
    free(stack);
    return whole && stacked == 1;
}

/* The record of the checkpoint is what its certificate says: header, root, and the history that the header names. */
bool state_piece_meta_good(const struct wire_state_piece *piece)
{
    const struct wire_state_meta *m = &piece->meta;
    const struct wire_checkpoint_certificate *c = &piece->certificate;
    struct merkle_frontier history = {.count = m->history_count};
    if (m->seq != c->seq || m->header.seq != c->seq || c->seq == 0) return false;
    if (!digest_equal(&m->state_root, &c->state_root)) return false;
    const struct digest hash = header_hash(&m->header);
    if (!digest_equal(&hash, &c->header_hash)) return false;
    if (m->header.first_index + m->header.count != m->history_count) return false;
    if (m->history.count != merkle_frontier_nodes(&history)) return false;
    struct wire_iterator i = wire_list_start(m->history);
    for (uint32_t k = 0; k < m->history.count; k++)
        if (!wire_list_next_digest(&i, &history.nodes[k])) return false;
    const struct digest root = merkle_frontier_root(&history);
    return digest_equal(&root, &m->header.history_root);
}
