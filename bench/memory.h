/* memory.h - anonymous resident memory of the replicas of a development group on this machine. */
#ifndef PBFT_BENCH_MEMORY_H
#define PBFT_BENCH_MEMORY_H

#include <stdint.h>

#define MEMORY_SAMPLES_MAX 60u /* of each replica, however long it takes */

/* What was seen over a time. */
struct memory_samples {
    const char *home; /* borrowed */
    uint32_t replicas;
    uint64_t from_us;  /* the time of the first */
    uint64_t every_us; /* between two */
    uint32_t count;    /* of each replica */
    uint64_t *kib;     /* the n-th of replica i at n * replicas + i; 0: it did not run, or not on this machine */
};

/* Of a replica, in KiB; 0: it does not run on this machine. */
uint64_t memory_kib(const char *home, uint32_t replica);

/* Begins to sample a time of so many seconds; the first one is due now. End it with memory_free. */
struct memory_samples memory_begin(const char *home, uint32_t replicas, double seconds);
/* Takes one when it is due. To be called more often than that. */
void memory_tick(struct memory_samples *s);
/* Frees them; all zero is allowed. */
void memory_free(struct memory_samples *s);

/* Of one replica. */
struct memory_course {
    uint64_t first_kib;
    uint64_t last_kib;
    uint64_t most_kib;
};
/* All zero when there is no sample of it. */
struct memory_course memory_course(const struct memory_samples *s, uint32_t replica);

#endif
