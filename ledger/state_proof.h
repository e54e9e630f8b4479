/* state_proof.h - making the proofs of state.h from a store. Used by state.c only; the checks are in state.h. */
#ifndef PBFT_LEDGER_STATE_PROOF_H
#define PBFT_LEDGER_STATE_PROOF_H

#include "ledger/state.h"

/* As state_prove. Errors: ERR_CORRUPT, or the store's fault. */
MUST_USE struct err state_proof_make(struct kv_store *store, struct bytes key, struct state_proof *out);

#endif
