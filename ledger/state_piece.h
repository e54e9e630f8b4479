/* state_piece.h - part of a state as it travels: its items and their hashes, and the record of its checkpoint. Used by
 * state_walk.c only.
 */
#ifndef PBFT_LEDGER_STATE_PIECE_H
#define PBFT_LEDGER_STATE_PIECE_H

#include "crypto/digest.h"
#include "wire/codec.h"

struct state_piece_item {
    struct wire_state_item item; /* borrows from the piece */
    struct digest hash;          /* of the subtree that it stands for */
    uint32_t end;                /* index behind that subtree */
};

/* Fills in piece->items.count items. False when they are malformed, or not exactly one tree. Every byte may come from
 * outside. */
MUST_USE bool state_piece_read(const struct wire_state_piece *piece, struct state_piece_item *items);
/* True when the record of the checkpoint is what the piece's certificate says: header, root, and the history that the
 * header names. */
MUST_USE bool state_piece_meta_good(const struct wire_state_piece *piece);

#endif
