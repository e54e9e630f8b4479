/* config.h - a replica's configuration file (INI, read with inih). An unknown section or key, a value out of range or a
 * missing key is an error that names file and line.
 *
 *   [replica]
 *   id = 0
 *   group = /etc/pbft/group.json           paths may be relative to the configuration file's directory
 *   data = /var/lib/pbft
 *   signing_key = /etc/pbft/signing.pem
 *   transport_key = /etc/pbft/transport.pem
 *   listen = 0.0.0.0:7400                  default: the member's address in the group file
 *   production = yes                       refuses development keys and groups; default yes
 *   [http]
 *   listen = 7600                          port of 127.0.0.1, or host:port; default: no endpoint
 *   [log]
 *   level = info                           debug, info, warn, error
 *   format = logfmt                        or json
 *   [tuning]
 *   timeout_ms, timeout_cap_ms, transfer_after, transfer_load, resend_ms, heartbeat_ms, pipeline, batch_fill, batch_delay_us,
 *   verify_threads
 */
#ifndef PBFT_REPLICA_RUN_CONFIG_H
#define PBFT_REPLICA_RUN_CONFIG_H

#include "base/err.h"
#include "base/log.h"
#include "keys/group.h"

#include <stdint.h>

#define CONFIG_PATH_BYTES_MAX 1024u

#define CONFIG_TRANSFER_LOAD 50u /* percent: beside a replica that takes the state its disk and machine have others to serve */
#define CONFIG_TRANSFER_AFTER 2048u /* batches behind a proven checkpoint before the state is transferred */
#define CONFIG_TIMEOUT_CAP_FACTOR 16u /* timeout_cap_ms, when it is not given, in timeout_ms */

struct config {
    uint32_t id;
    char group_path[CONFIG_PATH_BYTES_MAX];
    char data_path[CONFIG_PATH_BYTES_MAX];
    char signing_key_path[CONFIG_PATH_BYTES_MAX];
    char transport_key_path[CONFIG_PATH_BYTES_MAX];
    char listen[GROUP_ADDRESS_BYTES_MAX]; /* empty: as in the group file */
    char http_listen[GROUP_ADDRESS_BYTES_MAX]; /* host:port; empty: no endpoint */
    bool production;
    enum log_level log_level;
    enum log_format log_format;
    uint64_t timeout_ms;
    uint64_t timeout_cap_ms; /* never below timeout_ms */
    uint64_t transfer_after; /* batches */
    uint64_t transfer_load;  /* percent of its time that taking the state from others may use */
    uint64_t resend_ms;
    uint64_t heartbeat_ms;
    uint64_t pipeline;
    uint64_t batch_fill;
    uint64_t batch_delay_us;
    uint64_t verify_threads; /* 0: one for each core */
};

/* Reads a file. Errors: ERR_CONFIG. */
MUST_USE struct err config_read(const char *path, struct config *out);
/* The same from memory (fuzzed); name stands for the path, and relative paths are taken from its directory. */
MUST_USE struct err config_parse(const char *name, struct bytes text, struct config *out);

/* Everything a replica needs to start, checked against each other. Freed (and the keys wiped) with identity_free. */
struct identity {
    struct group *group;
    struct secret_key signing;
    struct secret_key transport;
};
/* Errors: ERR_CONFIG, e.g. the key is not the one that the group file gives this member. */
MUST_USE struct err identity_load(const struct config *c, struct identity *out);
void identity_free(struct identity *i);

#endif
