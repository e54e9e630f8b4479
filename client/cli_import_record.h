/* cli_import_record.h - what an unfinished `pbft log append --lines` leaves on disk: HOME/clients/NAME.import.
 *
 *   { "format": 1, "file": "<64 hex digits>", "lines": 100000, "start_line": 0, "first_sequence": 12,
 *     "expiry_ms": 1700000000000 }
 *
 * Line i, from start_line on, is the transaction with sequence first_sequence + i - start_line and that expiry: the
 * very same one after a restart, so it executes once. first_sequence 0: detached, which is what any other use of this
 * client's sequences does to the record; the import then goes on at start_line with fresh sequences. Lines that it
 * sends again keep their place in the log: the log application knows a line by client, file and number.
 *
 * Only a process that holds the client's journal writes it.
 */
#ifndef PBFT_CLIENT_CLI_IMPORT_RECORD_H
#define PBFT_CLIENT_CLI_IMPORT_RECORD_H

#include "client/cli_command.h"
#include "client/pbft.h"
#include "crypto/digest.h"

struct import_record {
    struct digest file;
    uint64_t lines;
    uint64_t start_line;
    uint64_t first_sequence;
    uint64_t expiry_ms;
};

/* *found is false when there is none. Errors: ERR_CONFIG when it is damaged. */
MUST_USE struct err import_record_read(const struct cli_globals *g, const char *client, struct import_record *out,
                                       bool *found);
MUST_USE struct err import_record_write(const struct cli_globals *g, const char *client, const struct import_record *r);
MUST_USE struct err import_record_remove(const struct cli_globals *g, const char *client);
/* The first line that may not have been accepted yet, `settled` being the client's highest settled sequence: a sequence
 * is sent only after the one 64 below it was accepted. */
uint64_t import_record_position(const struct import_record *r, uint64_t settled);
/* Called before the client's sequences are used for anything but its import: detaches an unfinished one. */
MUST_USE struct err import_record_detach(const struct cli_globals *g, const char *client, struct pbft_client *c);

#endif
