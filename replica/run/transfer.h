/* transfer.h - the state transfer of one replica between its core and its store: a walk (ledger/state_transfer.h) as
 * events for the core, and answers to others. Used on the thread that owns the state; knows no thread itself. */
#ifndef PBFT_REPLICA_RUN_TRANSFER_H
#define PBFT_REPLICA_RUN_TRANSFER_H

#include "ledger/executor.h"
#include "ledger/reply.h"
#include "ledger/state_transfer.h"
#include "replica/core/core.h"

/* What a call gives back: events for the core, in order. Released by transfer_out_release. */
struct transfer_out {
    struct core_walk events[1u + STATE_WALK_ASKS_MAX];
    uint32_t count;
    bool done;      /* the state stands at the target: the replica is to be started anew */
    bool disk_full; /* an answer could not be written; its question will be put again */
    struct state_walk_progress progress;
};
void transfer_out_release(struct transfer_out *out);

struct transfer;

/* Begins the walk that the effect WALK_BEGIN wants. Errors: as state_walk_open; after ERR_CORRUPT the store is marked
 * as damaged, and the next start makes its tree anew. */
MUST_USE struct err transfer_begin(struct kv_store *state, uint64_t seq, struct transfer **t, struct transfer_out *out);
/* The effect WALK_PIECE: data is the verified DATA message. Errors: as state_walk_take but ERR_NO_SPACE, which is an
 * event too; ERR_CORRUPT as above. Answers that come after `done` change nothing. */
MUST_USE struct err transfer_piece(struct transfer *t, uint32_t number, const struct blob *data,
                                   struct transfer_out *out);
void transfer_free(struct transfer *t);

/* The effect SERVE_STATE: a DATA message, one reference, the caller's; NULL when there is nothing to say. certificate:
 * that of the base's checkpoint, encoded, or NULL. Errors: ERR_CORRUPT (the own state is damaged, and marked as such),
 * or the store's fault. */
MUST_USE struct err transfer_answer(struct executor *e, struct kv_store *state, const struct blob *certificate,
                                    const struct reply_signer *signer, uint32_t number, uint64_t seq,
                                    const struct blob *ask, struct blob **out);

#endif
