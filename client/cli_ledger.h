/* cli_ledger.h - ledger show, ledger export, ledger check: a replica's data directory, read offline. */
#ifndef PBFT_CLIENT_CLI_LEDGER_H
#define PBFT_CLIENT_CLI_LEDGER_H

#include "client/cli_command.h"

extern const struct cli_table cli_ledger_table;

#endif
