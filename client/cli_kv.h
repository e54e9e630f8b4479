/* cli_kv.h - put, get, del, cas, list: the key-value application on the command line. */
#ifndef PBFT_CLIENT_CLI_KV_H
#define PBFT_CLIENT_CLI_KV_H

#include "client/cli_command.h"

extern const struct cli_table cli_kv_table;

#endif
