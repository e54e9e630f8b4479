/* cli_evidence.h - evidence list, evidence export, evidence verify: what proves that a member broke the rules. */
#ifndef PBFT_CLIENT_CLI_EVIDENCE_H
#define PBFT_CLIENT_CLI_EVIDENCE_H

#include "client/cli_command.h"

extern const struct cli_table cli_evidence_table;

#endif
