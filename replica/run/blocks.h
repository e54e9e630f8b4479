/* blocks.h - blocks between the log environment and the wire: as DATA for who executes them, and for who has taken the
 * state above them and cannot (design.md section 9). */
#ifndef PBFT_REPLICA_RUN_BLOCKS_H
#define PBFT_REPLICA_RUN_BLOCKS_H

#include "ledger/log_store.h"
#include "ledger/reply.h"

/* A DATA message of kind BLOCK, one reference, the caller's. Errors as log_get_block and log_get_batch; ERR_CORRUPT too
 * when the batch is not the one of the block. */
MUST_USE struct err blocks_message(struct kv_store *log, const struct reply_signer *signer, uint64_t seq,
                                   struct blob **out);
/* The same of kind PAST_BLOCK, with what the execution of the block gave. ERR_CORRUPT also when that does not
 * fit its batch. */
MUST_USE struct err blocks_past_message(struct kv_store *log, const struct reply_signer *signer, uint64_t seq,
                                        struct blob **out);
/* Puts the block of such a message, which msg_verify has seen; entries and checkpoint_good as it found them. gap_low as
 * log_put_past_block has it. */
void blocks_put_past(struct kv_batch *b, uint64_t gap_low, const struct blob *data, const struct blob *entries,
                     bool checkpoint_good);

#endif
