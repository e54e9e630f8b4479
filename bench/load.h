/* load.h - a load of signed transactions on a group, and what came of it. */
#ifndef PBFT_BENCH_LOAD_H
#define PBFT_BENCH_LOAD_H

#include "bench/clients.h"
#include "bench/floor.h"
#include "bench/memory.h"
#include "client/status_cost.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

enum load_app { LOAD_KV, LOAD_LOG }; /* put of a key of its own; append of a record */

struct load_options {
    const char *home;    /* of a running development group */
    const char *clients; /* names, separated by commas */
    enum load_app app;
    uint32_t in_flight; /* transactions of each client at most, 1 to 64 */
    uint32_t bundle;    /* operations in each transaction */
    uint32_t op_bytes;  /* size of the value, or record, of each operation */
    uint32_t
        key_count;  /* puts go round so many keys, all clients together, the same in each load; 0: each has a new one */
    bool reads;     /* transactions are gets by quorum of keys that were put before; */
    bool certified; /* with reads: one replica proves each, as of a checkpoint that has those keys */
    double rate;    /* transactions a second that are meant to be sent, at random times; 0: a closed loop, the next when
                       one is done */
    double seconds; /* measured */
    double warm_up; /* before that, not counted */
    uint64_t transactions;    /* it ends after so many, and up to one more of each client; 0: only by time */
    const atomic_bool *until; /* it ends early once this is true; NULL: only by time */
    bool carry_on;            /* a transaction that fails is counted, and does not end the load */
    double patience;          /* seconds without anything accepted that end it; 0: there is no end to it */
    double floor_seconds;     /* for the floor, before and after each; 0: it is not measured */
    uint32_t counted; /* only what the first so many clients do is counted; the others send beside them. 0: all */
    /* Called in the thread that measures when the measured time has begun, and when it ends; what they take is part of
     * it. NULL: nothing. */
    struct err (*began)(void *context);
    struct err (*ended)(void *context);
    void *context;
};

struct load_result {
    struct load_options options; /* its pointers are the caller's */
    uint32_t replicas;
    uint32_t client_count;
    double seconds;
    uint64_t transactions; /* accepted: f+1 replicas gave the same result */
    uint64_t failed;
    uint64_t unsent;         /* open loop: meant to be sent by the end, and not, since the clients' windows were full */
    struct status_cost cost; /* within the measured time */
    uint64_t own_cpu_us;
    uint64_t memory_kib;          /* anonymous resident memory of the largest replica at the end; 0: not known */
    struct memory_samples memory; /* through the measured time; load_result_free frees it */
    uint32_t
        *latencies_us; /* sorted; from when it was meant to be sent until it was accepted; load_result_free frees it */
    uint64_t latency_count; /* at most 1,000,000 of each client are kept */
    uint32_t *each_half;    /* transactions accepted in each half of a measured second; freed likewise */
    uint32_t half_count;
    struct floor_cost floor;
};

/* Errors: ERR_USAGE, ERR_CONFIG, ERR_TIMEOUT (a transaction failed, unless carry_on), ERR_NEGATIVE (bench_interrupted),
 * those of began and ended. */
MUST_USE struct err load_measure(const struct load_options *o, struct load_result *out);
void load_result_free(struct load_result *r);
/* Leaves at most so many latencies, 2 or more, evenly spaced among the sorted ones, the shortest and the longest among
 * them: for who keeps many results. */
void load_result_thin(struct load_result *r, uint64_t most);

double load_rate(const struct load_result *r); /* transactions a second */
/* The latency below which so many of all are (0.5: the median). */
double load_percentile_ms(const struct load_result *r, double p);
/* Of the transactions that the signatures alone would allow. */
double load_ceiling_ratio(const struct load_result *r);
/* The median latency over the time of as many concurrent LMDB commits as there are replicas; 0: not measured. */
double load_sync_ratio(const struct load_result *r);
double load_cpu_us(const struct load_result *r); /* of all replicas for each transaction */
/* Transactions accepted in that measured second; below half_count / 2. */
uint32_t load_second(const struct load_result *r, uint32_t second);

#endif
