/* micro_core.h - what core_step costs: a group of cores in one thread, to each of which its disk, its execution and the
 * others' messages come at once, and whose signatures are left out. */
#ifndef PBFT_BENCH_MICRO_CORE_H
#define PBFT_BENCH_MICRO_CORE_H

#include <stdint.h>

struct micro_core_cost {
    double request_us;  /* of one replica for each transaction: the mean of all, the primary among them */
    double batch_us;    /* the same for each batch */
    double batch_size;  /* transactions in a batch, as it came out */
    double event_count; /* calls of core_step for a batch, of one replica */
};

/* With batches of so many requests at most, for so long. Aborts when the group does not go on: its cores are wrong. */
struct micro_core_cost micro_core_measure(uint32_t replicas, uint32_t batch_requests, double seconds);

#endif
