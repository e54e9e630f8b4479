/* cli_check.h - ledger check: whether a data directory is whole, and --repair. */
#ifndef PBFT_CLIENT_CLI_CHECK_H
#define PBFT_CLIENT_CLI_CHECK_H

#include "client/cli_command.h"

/* words[0]: the data directory; values[0]: --repair. Errors: ERR_CORRUPT when something is damaged, ERR_NEGATIVE when
 * only something is missing, ERR_CONFIG. */
MUST_USE struct err cli_check_run(const struct cli_call *call);

#endif
