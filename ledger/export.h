/* export.h - a ledger as canonical text, read offline from a data directory: equal ledgers give equal bytes, whichever
 * replica they come from. Certificates are not part of it: replicas rightly hold different ones. */
#ifndef PBFT_LEDGER_EXPORT_H
#define PBFT_LEDGER_EXPORT_H

#include "ledger/log_store.h"

#include <stdio.h>

/* Writes every block from the first on, one line for a block and one for each of its entries, and a last line with the
 * count of blocks and entries. Checks on the way that sequences have no gap, that each block names the hash of the one
 * before, that entries have the root their header names, all entries so far its history root, and that the batch with
 * the transactions is here and the one that was agreed on. Errors: ERR_CORRUPT, naming the block; ERR_NEGATIVE: blocks are
 * missing below a transferred state; ERR_IO. */
MUST_USE struct err export_ledger(struct kv_store *log, FILE *out);
/* Appends one block to out: the lines of export, then its certificate and its requests; checked as above,
 * but for what comes before it. ERR_NOT_FOUND, ERR_CORRUPT. */
MUST_USE struct err export_show_block(struct kv_store *log, uint64_t seq, bool json, struct buffer *out);

#endif
