/* quorum.c - quorum sizes. */
#include "wire/quorum.h"

#include "base/check.h"
#include "base/limits.h"

struct quorum quorum_of(uint32_t replica_count)
{
    CHECK_OP(replica_count, >=, 1);
    CHECK_OP(replica_count, <=, REPLICAS_MAX);
    const uint32_t f = (replica_count - 1) / 3;
    const struct quorum q = {
        .replica_count = replica_count,
        .faulty_max = f,
        .quorum = (replica_count + f + 2) / 2, /* ceil((N + f + 1) / 2), rule 29 */
        .weak = f + 1,
    };
    CHECK_OP(2 * q.quorum, >=, replica_count + f + 1); /* two quorums share f + 1 */
    CHECK_OP(replica_count - f, >=, q.quorum);         /* a quorum without the faulty exists */
    return q;
}

uint32_t quorum_primary(const struct quorum *q, uint64_t view)
{
    return (uint32_t)(view % q->replica_count);
}
