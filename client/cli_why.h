/* cli_why.h - pbft why: what the group or one replica waits for. */
#ifndef PBFT_CLIENT_CLI_WHY_H
#define PBFT_CLIENT_CLI_WHY_H

#include "client/cli_command.h"

extern const struct cli_table cli_why_table;

#endif
