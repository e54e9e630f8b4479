/* executor.h - executes batches in order: deduplication by client windows, applications, entries, block headers, the
 * history tree, checkpoints of the state. Deterministic: same base, same batches, same blocks, on every replica.
 *
 * One thread owns an executor. It knows nothing of views, votes or sockets.
 */
#ifndef PBFT_LEDGER_EXECUTOR_H
#define PBFT_LEDGER_EXECUTOR_H

#include "crypto/merkle_levels.h"
#include "ledger/app.h"
#include "ledger/window.h"
#include "wire/certificate.h"

/* What became of one request of a batch. */
struct executed_request {
    uint32_t client; /* number; UINT32_MAX when the registry has no such client */
    uint64_t seq;
    struct digest transaction;
    enum window_verdict verdict;
    uint32_t first; /* WINDOW_NEW: its entries in this block */
    uint32_t count;
    struct wire_window_slot earlier; /* WINDOW_SAME: where the stored answer is */
};

/* An executed batch. One allocation tree, freed with executed_block_free. */
struct executed_block {
    struct wire_header header;
    struct digest header_hash;
    bool checkpoint; /* seq is a multiple of K: state_root is set */
    struct digest state_root;
    uint32_t request_count;
    struct executed_request *requests;
    struct buffer entries; /* encoded wire_entry, one after the other: items of a wire_list */
    uint32_t entry_count;
    struct merkle_levels tree; /* of the entries, for REPLYs; none without entries */
};
void executed_block_free(struct executed_block *b);
/* Once the REPLYs are made: the tree is as large as the entries. */
void executed_block_free_tree(struct executed_block *b);
struct wire_list executed_block_entries(const struct executed_block *b);

struct executor;

/* Writes the state of sequence 0 (the registry of the group's first clients) into an empty store. */
MUST_USE struct err executor_init(struct kv_store *store, const struct group *g);
/* Opens at the stored checkpoint. Borrows store and group. Errors: ERR_CORRUPT, ERR_CONFIG (another group's state). */
MUST_USE struct err executor_open(struct kv_store *store, const struct group *g, struct executor **out);
void executor_close(struct executor *e);

/* Executes the next batch: seq must be executor_executed + 1 (CHECKed). Errors: ERR_CORRUPT (the batch does not decode,
 * though it was checked before), ERR_IO: the process must end. ERR_NO_SPACE: as many checkpoints wait to be folded as
 * can; nothing has changed, and the batch can be executed after executor_fold. */
MUST_USE struct err executor_execute(struct executor *e, uint64_t seq, struct bytes batch,
                                     const struct digest *digest, struct executed_block **out);
uint64_t executor_executed(const struct executor *e);
struct wire_header executor_header(const struct executor *e); /* of the last executed block; zero at the beginning */
uint64_t executor_entries(const struct executor *e);
/* The checkpoint the base stands at, and its root. */
uint64_t executor_base(const struct executor *e);
struct digest executor_base_root(const struct executor *e);
/* The state_meta record of that checkpoint, encoded; borrowed until the next fold. Errors as state_meta. */
MUST_USE struct err executor_base_meta(struct executor *e, struct bytes *out);
/* A checkpoint became stable: folds every layer up to seq into the base. Errors as kv_store_apply. */
MUST_USE struct err executor_fold(struct executor *e, uint64_t seq);

/* Answers a read-only operation from the newest executed state. */
void executor_query(struct executor *e, const struct wire_operation *op, struct app_result *result);
/* What the base holds under a key of the state, borrowed until the next fold, and the proof of that: *found tells which
 * of the two it proves. Errors as state_prove. */
MUST_USE struct err executor_base_prove(struct executor *e, struct bytes key, bool *found, struct bytes *value,
                                        struct state_proof *proof);
/* A client's window, borrowed until the next execution; NULL when number is none. */
const struct client_window *executor_window(const struct executor *e, uint32_t client);
/* Number of the client with this key, or UINT32_MAX. */
uint32_t executor_client(const struct executor *e, const struct public_key *key);
uint32_t executor_client_count(const struct executor *e);
/* True once the store has failed; the process must end with this error. */
bool executor_fault(const struct executor *e, struct err *out);

#endif
