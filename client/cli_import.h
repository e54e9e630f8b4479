/* cli_import.h - `pbft log append --lines`: every line of a file as one signed transaction, pipelined, and resumable.
 */
#ifndef PBFT_CLIENT_CLI_IMPORT_H
#define PBFT_CLIENT_CLI_IMPORT_H

#include "base/bytes.h"
#include "client/cli_command.h"

/* Imports `content`, the bytes of the file called `name`. restart forgets an unfinished import. Errors: ERR_USAGE
 * (another import is unfinished), ERR_LIMIT (a line over the limit), ERR_TIMEOUT (no quorum, or interrupted; the record
 * stays), and those of the library. */
MUST_USE struct err cli_import_run(const struct cli_call *call, const char *name, struct bytes content, bool restart);

#endif
