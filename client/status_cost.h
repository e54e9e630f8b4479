/* status_cost.h - what a group counted between two of its statuses (pbft_status_wait), all replicas together. */
#ifndef PBFT_CLIENT_STATUS_COST_H
#define PBFT_CLIENT_STATUS_COST_H

#include "client/pbft.h"

#include "base/replica_set.h"
#include "wire/schema.h"

struct status_cost {
    struct replica_set uncounted; /* did not answer twice, or began anew between: the rest knows nothing of them */
    uint64_t batches;             /* of the replica that executed most */
    uint64_t entries;             /* in these */
    uint64_t cpu_us;
    uint64_t syncs;
    uint64_t verified;
    struct pbft_message_count messages[WIRE_TYPE_MAX + 1]; /* by type number */
};

/* Of `count` replicas each. */
void status_cost(const struct pbft_replica_status *before, const struct pbft_replica_status *after, uint32_t count,
                 struct status_cost *out);
/* Messages of this type, and their bytes, that were sent in first or second place: by replicas, and by clients to them.
 */
uint64_t status_cost_messages(const struct status_cost *k, enum wire_type type);
uint64_t status_cost_bytes(const struct status_cost *k, enum wire_type type);
/* PRE-PREPARE, PREPARE and COMMIT, first sends, at each receiver; or their re-sends. */
uint64_t status_cost_phases(const struct status_cost *k, bool resent);
/* False of what makes or asks connections, whatever is ordered: HELLO, QUERY, RESULT. */
bool status_cost_orders(enum wire_type type);

#endif
