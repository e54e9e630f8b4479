/* cli_log.h - log append, log cat: the log application on the command line. */
#ifndef PBFT_CLIENT_CLI_LOG_H
#define PBFT_CLIENT_CLI_LOG_H

#include "client/cli_command.h"

extern const struct cli_table cli_log_table;

#endif
