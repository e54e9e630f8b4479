/* quorum.h - all the arithmetic of group sizes, in one place (design.md section 4).
 *
 *   f = floor((N-1)/3)    Q = ceil((N+f+1)/2)    weak quorum = f+1    primary(v) = v mod N
 *
 * Any two quorums share a correct replica (2Q - N >= f+1), and a quorum exists without the f
 * faulty ones (N - f >= Q). 2f+1 would be wrong when N is not 3f+1 (rule 29).
 */
#ifndef PBFT_WIRE_QUORUM_H
#define PBFT_WIRE_QUORUM_H

#include <stdint.h>

struct quorum {
    uint32_t replica_count; /* N */
    uint32_t faulty_max;    /* f */
    uint32_t quorum;        /* Q */
    uint32_t weak;          /* f + 1 */
};

/* replica_count from 1 to REPLICAS_MAX; anything else is a CHECK, configurations are validated before. */
struct quorum quorum_of(uint32_t replica_count);
uint32_t quorum_primary(const struct quorum *q, uint64_t view);

#endif
