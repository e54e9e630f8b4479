/* cli_status.h - pbft status: what each replica says of itself. */
#ifndef PBFT_CLIENT_CLI_STATUS_H
#define PBFT_CLIENT_CLI_STATUS_H

#include "client/cli_command.h"
#include "client/pbft.h"

extern const struct cli_table cli_status_table;

/* The view that f+1 of the answering replicas have reached at least (the lowest they name when fewer answer); false
 * when none answers. */
MUST_USE bool cli_status_view(const struct pbft_client *c, const struct pbft_replica_status *replicas, uint64_t *out);

#endif
