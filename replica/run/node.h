/* node.h - a running replica: the loop, its threads, and the only mapping from effects to I/O. */
#ifndef PBFT_REPLICA_RUN_NODE_H
#define PBFT_REPLICA_RUN_NODE_H

#include "replica/run/config.h"

struct node;

/* What pbftd's command line says beside the configuration. */
struct node_options {
    const char *record_path; /* NULL: nothing is recorded */
    uint64_t record_bytes;   /* of all files of the recording together */
};

/* Opens the data directory, rebuilds the state, listens. config_path is read again on HUP. Takes over the keys in *identity.
 * Errors: ERR_CONFIG, ERR_CORRUPT, ERR_IO, ERR_USAGE. */
MUST_USE struct err node_start(const struct config *config, const char *config_path, struct identity *identity,
                               const struct node_options *options, struct node **out);
/* Runs until TERM or INT; a clean stop keeps every vote (design.md 7.5). *again: it has stopped because a state transfer has
 * ended, and the replica is to be started anew from its data directory. */
MUST_USE struct err node_run(struct node *n, bool *again);
void node_free(struct node *n);

#endif
