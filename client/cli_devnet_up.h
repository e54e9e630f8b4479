/* cli_devnet_up.h - pbft devnet up, and waiting for replicas. For cli_devnet.c only. */
#ifndef PBFT_CLIENT_CLI_DEVNET_UP_H
#define PBFT_CLIENT_CLI_DEVNET_UP_H

#include "base/replica_set.h"
#include "client/cli_devnet_internal.h"

enum up_option { UP_OPTION_REPLICAS, UP_OPTION_CLIENTS, UP_OPTION_BASE_PORT };

MUST_USE struct err devnet_up_run(const struct cli_call *call);
/* Waits until the wanted replicas answer (synced: and are synced), at most DEVNET_WAIT_MS or --timeout. On failure the
 * end of a replica's log goes to stderr. Errors: ERR_CONFIG when one has ended, ERR_TIMEOUT. */
MUST_USE struct err devnet_wait_answers(const struct cli_call *call, const struct devnet *d,
                                        const struct replica_set *wanted, bool synced);
/* The same for one replica, synced or not. */
MUST_USE struct err devnet_wait_answer(const struct cli_call *call, const struct devnet *d, uint32_t id);

#endif
