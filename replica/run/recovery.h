/* recovery.h - from a data directory to what the core starts with: the state is rebuilt by executing the blocks above
 * its base and compared with what a quorum signed, and every certificate read from disk is verified before use. */
#ifndef PBFT_REPLICA_RUN_RECOVERY_H
#define PBFT_REPLICA_RUN_RECOVERY_H

#include "ledger/data_dir.h"
#include "replica/core/core.h"

struct recovery {
    struct core_recovered recovered; /* points into the rest */
    struct core_recovered_slot *slots;
    struct core_recovered_checkpoint checkpoints[WINDOW_BATCHES / CHECKPOINT_INTERVAL];
    struct core_client_window *windows;
    struct blob *stable;        /* encoded; recovered.stable borrows from it */
    struct blob **certificates; /* encoded; the slots borrow from them */
    struct blob *view_change;   /* as in core_recovered, with new_view and kept */
    struct blob *new_view;
    struct blob **kept; /* REPLICAS_MAX */
    uint64_t blocks_executed;   /* again, to rebuild the overlay */
};

/* e: opened on d's state; NULL when that is between two checkpoints, and to be transferred before anything is executed.
 * Errors: ERR_CORRUPT, naming the record: blocks, state or checkpoints are damaged or contradict each other; ERR_IO. */
MUST_USE struct err recovery_run(struct data_dir *d, struct executor *e, const struct wire_group *g,
                                 struct signature_checker checker, uint32_t self, uint32_t client_count, struct recovery *out);
void recovery_free(struct recovery *r);

#endif
