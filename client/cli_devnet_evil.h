/* cli_devnet_evil.h - pbft devnet evil and good. For cli_devnet.c only. */
#ifndef PBFT_CLIENT_CLI_DEVNET_EVIL_H
#define PBFT_CLIENT_CLI_DEVNET_EVIL_H

#include "client/cli_devnet_internal.h"

MUST_USE struct err devnet_evil_run(const struct cli_call *call);
MUST_USE struct err devnet_good_run(const struct cli_call *call);

#endif
