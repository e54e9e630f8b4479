/* state_transfer.h - the state of a stable checkpoint on its way from one replica to another (design.md section 9).
 *
 *     walker                                     server, whose base is at checkpoint n
 *     state_walk_ask:  places that differ  --->  state_serve: the tree from its root, pruned but at those places
 *     state_walk_take: checks the hash     <---  (state_piece, with the certificate of n)
 *        what equals the own tree is done; leaves are put, what is pruned and differs is asked for next
 *
 * An answer proves itself: its tree hashes to the state root that the certificate of its checkpoint names, whoever sent
 * it. So the server may go on to a newer checkpoint at any time: the walker goes with it, and what it has of the older
 * one stays where it is still the same. Each answer taken is one durable change of the walker's store, from data and
 * tree that belong together to such data and tree: a walk that is cut short goes on from there.
 *
 * Neither knows a network: who is asked, how often, and who is believed to be slow, is the core's business.
 */
#ifndef PBFT_LEDGER_STATE_TRANSFER_H
#define PBFT_LEDGER_STATE_TRANSFER_H

#include "ledger/state.h"
#include "wire/codec.h"
#include "wire/constants.h"

/* ---- serving ---- */

/* Appends the encoded state_items that answer `ask` from the store's base; *count of them, 1 to STATE_PIECE_ITEMS_MAX.
 * Reads at most that many nodes, and values until they reach STATE_PIECE_BYTES_TARGET; at least one of the places asked
 * for is answered by more than its hash. Errors: ERR_CORRUPT (the own tree or data are damaged), or the store's fault.
 */
MUST_USE struct err state_serve(struct kv_store *store, const struct wire_state_ask *ask, struct buffer *items,
                                uint32_t *count);

/* ---- walking ---- */

/* True when the store is between two checkpoints: a walk began and has not ended, or it was found to be damaged. */
bool state_is_walking(struct kv_store *store);
/* Marks the store, durably, as damaged: the next walk makes its tree anew from its data before it begins. Errors as
 * kv_store_apply. */
MUST_USE struct err state_mark_damaged(struct kv_store *store);
/* Does so when e is ERR_CORRUPT, of something found in the store. e with that added, or what the marking gave. */
MUST_USE struct err state_note_damage(struct kv_store *store, struct err e);
/* True when it is so marked. Otherwise data and tree belong together, in the middle of a walk too. */
bool state_is_damaged(struct kv_store *store);
/* The certificate of the checkpoint at which a walk ended, encoded. ERR_NOT_FOUND: none has. */
MUST_USE struct err state_walk_certificate(struct kv_store *store, struct bytes *out);
/* The sequence of that checkpoint; 0: no walk has ended here. */
uint64_t state_walk_ended_at(struct kv_store *store);

struct state_walk;

/* Begins a walk, or goes on with one, to a checkpoint of at least `seq`. From here on nothing else may use the store,
 * and it is marked, durably, as being between checkpoints. Errors as kv_store_apply; ERR_CORRUPT: the tree's root is
 * damaged, and not marked so. */
MUST_USE struct err state_walk_open(struct kv_store *store, uint64_t seq, struct state_walk **out);
void state_walk_close(struct state_walk *w);

#define STATE_WALK_ASKS_MAX 8u /* questions that wait for an answer at once */

/* The next question, encoded as a state_ask, to be put to any replica that is at state_walk_target or later. False when
 * there is none before another answer comes. */
MUST_USE bool state_walk_ask(struct state_walk *w, uint32_t *number, struct buffer *out);
/* The checkpoint that the walk leads to; it grows with the answers. */
uint64_t state_walk_target(const struct state_walk *w);

enum state_walk_verdict {
    STATE_WALK_TAKEN, /* the question is answered */
    STATE_WALK_OLD,   /* of an older checkpoint than the target: the question still waits */
    STATE_WALK_BAD,   /* not what its certificate says, or of no use: no correct replica sends that; it still waits */
    STATE_WALK_DONE,  /* the store is exactly at the target, the mark is gone, and the walk good for state_walk_close */
};

/* Takes the answer to question `number`, one that waits (CHECKed). The piece's certificate has been checked by the
 * caller; all else is checked here. Errors: as kv_store_apply; after ERR_NO_SPACE nothing has changed, and the question
 * waits. ERR_CORRUPT: the own tree or data are damaged. */
MUST_USE struct err state_walk_take(struct state_walk *w, uint32_t number, const struct wire_state_piece *piece,
                                    enum state_walk_verdict *out);

struct state_walk_progress {
    uint64_t target;
    uint64_t leaves; /* keys and values put, ... */
    uint64_t removed;
    uint64_t bytes;       /* ... of answers taken, */
    uint64_t pieces;      /* ... so many */
    uint32_t covered_ppm; /* of the present pass over the tree */
};
struct state_walk_progress state_walk_progress(const struct state_walk *w);

#endif
