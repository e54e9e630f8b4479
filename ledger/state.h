/* state.h - the replicated key-value state: a durable base exactly at one stable checkpoint, an overlay of what came
 * later, and the authenticated tree over both.
 *
 *     reads go down:   pending (the operation in progress)
 *                      layer K+1..   (batches since the last closed checkpoint)
 *                      layer closed  (waiting for its checkpoint to become stable), at most STATE_LAYERS_MAX - 1
 *                      base          (the kv_store, at the last stable checkpoint)
 *
 * The tree is that of wire/state_proof.h.
 *
 * Nodes are stored under their position (state_tree.h).
 * Roots are computed when a layer is closed (once per checkpoint interval), for the changed keys only, iteratively.
 * Not thread-safe; owned by the execution thread.
 */
#ifndef PBFT_LEDGER_STATE_H
#define PBFT_LEDGER_STATE_H

#include "crypto/digest.h"
#include "ledger/kv_store.h"
#include "wire/state_proof.h"

#define STATE_LAYERS_MAX 4u

/* The tables of the state environment, in this order. */
enum state_table { STATE_TABLE_DATA, STATE_TABLE_TREE, STATE_TABLE_META, STATE_TABLE_COUNT };
/* Their names, for kv_store_open_lmdb. */
extern const char *const state_table_names[STATE_TABLE_COUNT];

struct state;

/* Opens the state over a store that it borrows; the overlay is empty. The root is read from the stored tree. */
MUST_USE struct err state_open(struct kv_store *store, struct state **out);
void state_close(struct state *s);

/* ---- data ---- */

/* All data functions may fail only because the store failed: then they return false or nothing, and state_fault is set
 * and stays set; the owner looks at it after each batch and ends the process. */
bool state_fault(const struct state *s, struct err *out);

/* True and *value (borrowed until the next change of the state) when the key is there. */
MUST_USE bool state_get(struct state *s, struct bytes key, struct bytes *value);
/* key.len from 1 to STATE_KEY_BYTES_MAX, value.len to STATE_VALUE_BYTES_MAX: CHECKed, the ledger validates before. */
void state_put(struct state *s, struct bytes key, struct bytes value);
void state_delete(struct state *s, struct bytes key);
/* The first key >= from that is there, merged over all layers. Borrowed until the next change of the state. */
MUST_USE bool state_seek(struct state *s, struct bytes from, struct bytes *key, struct bytes *value);

/* Writes since the last accept or reject are pending. */
void state_accept(struct state *s); /* they become part of the current layer */
void state_reject(struct state *s); /* they never happened */

/* ---- checkpoints ---- */

/* Ends the current layer at batch seq and returns the root over everything up to it. Nothing may be pending (CHECKed).
 * At most STATE_LAYERS_MAX - 1 closed layers may wait (CHECKed: the window bounds them). */
struct digest state_close_layer(struct state *s, uint64_t seq);
/* Folds the oldest closed layer, which must be that of seq, into the base: data, tree nodes and meta_value under key
 * "meta" of STATE_TABLE_META, in one durable batch. Errors as kv_store_apply; then nothing has changed. */
MUST_USE struct err state_fold(struct state *s, uint64_t seq, struct bytes meta_value);
/* The meta value stored by the last fold. Borrowed as kv_store_get. ERR_NOT_FOUND in a new store. */
MUST_USE struct err state_meta(struct state *s, struct bytes *out);
/* Closed layers that wait. */
uint32_t state_layers_waiting(const struct state *s);
/* Root at the last closed layer, or of the base when none is waiting. */
struct digest state_root(const struct state *s);
/* Memory of the overlay. */
uint64_t state_overlay_bytes(const struct state *s);

/* ---- proofs (against the base: the last stable checkpoint) ---- */

MUST_USE struct err state_prove(struct state *s, struct bytes key, struct state_proof *out);
/* As state_get, in the base. */
MUST_USE bool state_base_get(struct state *s, struct bytes key, struct bytes *value);

#endif
