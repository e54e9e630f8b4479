/* export.h - a ledger as canonical text, read offline from a data directory: equal ledgers give equal bytes, whichever
 * replica they come from. Certificates are not part of it: replicas rightly hold different ones. */
#ifndef PBFT_LEDGER_EXPORT_H
#define PBFT_LEDGER_EXPORT_H

#include "ledger/log_store.h"

#include <stdio.h>

/* Writes every block from the first on, one line for a block and one for each of its entries, and a last line with the
 * count of blocks and entries. Checks on the way that sequences have no gap, that each block names the hash of the one
 * before, and that entries have the root their header names. Errors: ERR_CORRUPT, naming the block; ERR_IO. */
MUST_USE struct err export_ledger(struct kv_store *log, FILE *out);
/* Appends one block to out: the lines of export, then its certificate and its requests. ERR_NOT_FOUND. */
MUST_USE struct err export_show_block(struct kv_store *log, uint64_t seq, bool json, struct buffer *out);

#endif
