/* cli_messages.h - pbft status --messages. */
#ifndef PBFT_CLIENT_CLI_MESSAGES_H
#define PBFT_CLIENT_CLI_MESSAGES_H

#include "client/cli_command.h"

/* Asks every replica twice, so many seconds apart, and prints what the batches between cost in messages and bytes, by
 * type. Errors: ERR_USAGE, ERR_TIMEOUT. */
MUST_USE struct err cli_messages_run(const struct cli_call *call, uint64_t seconds, uint64_t timeout_ms);

#endif
