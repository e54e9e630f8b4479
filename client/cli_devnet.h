/* cli_devnet.h - pbft devnet: a development group on this machine, one process for each replica. */
#ifndef PBFT_CLIENT_CLI_DEVNET_H
#define PBFT_CLIENT_CLI_DEVNET_H

#include "client/cli_command.h"

extern const struct cli_table cli_devnet_table;

#endif
