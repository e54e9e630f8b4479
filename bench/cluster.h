/* cluster.h - a development group that lives as long as a measurement: in a new directory, driven by the `pbft` beside
 * this program. */
#ifndef PBFT_BENCH_CLUSTER_H
#define PBFT_BENCH_CLUSTER_H

#include "base/err.h"

#include <limits.h>
#include <stdint.h>

struct bench_cluster {
    char home[PATH_MAX];
    char pbft[PATH_MAX];
    char clients[1024]; /* the names of those that may write, separated by commas */
};

/* Makes and starts a group of so many replicas and writing clients, from that port on (0: any), in a new directory
 * under `dir`. It is to be ended with bench_cluster_end, also when this fails. Errors: ERR_IO, ERR_CONFIG, ERR_NEGATIVE
 * (pbft has said why). */
MUST_USE struct err bench_cluster_start(const char *dir, uint32_t base_port, uint32_t replicas, uint32_t clients,
                                        struct bench_cluster *out);
/* Appends these lines to the [tuning] of every replica, and starts all anew. Errors as bench_cluster_start's. */
MUST_USE struct err bench_cluster_tune(const struct bench_cluster *c, uint32_t replicas, const char *lines);
/* `pbft devnet VERB ID`, and `what` behind it unless that is NULL. Errors: ERR_CONFIG, ERR_NEGATIVE (pbft has said
 * why).
 */
MUST_USE struct err bench_cluster_devnet(const struct bench_cluster *c, const char *verb, uint32_t id,
                                         const char *what);
/* Waits until all replicas take part in one view, each connected to all others; *primary is who leads it. Errors:
 * ERR_TIMEOUT after a minute, ERR_NEGATIVE (bench_interrupted). */
MUST_USE struct err bench_cluster_settle(const struct bench_cluster *c, uint32_t *primary);
/* Stops it and removes the directory. */
MUST_USE struct err bench_cluster_end(struct bench_cluster *c);

#endif
