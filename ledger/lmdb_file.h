/* lmdb_file.h - a look at the data file of an LMDB environment before LMDB maps it. Used by kv_store_lmdb.c only.
 *
 * LMDB trusts its file: a page that lies beyond the end of the file is a SIGBUS, a page size read from garbage a
 * SIGSEGV.
 */
#ifndef PBFT_LEDGER_LMDB_FILE_H
#define PBFT_LEDGER_LMDB_FILE_H

#include "base/bytes.h"

/* The name LMDB gives to the data file in an environment's directory. */
#define LMDB_DATA_FILE "data.mdb"

/* Checks both meta pages of the file at `path`, and that the file holds every page they speak of. *map_bytes becomes
 * the file's size rounded down to whole pages, *page_bytes their size. Errors: ERR_NOT_FOUND (no such file),
 * ERR_CORRUPT, ERR_IO. */
MUST_USE struct err lmdb_file_check(const char *path, uint64_t *map_bytes, uint32_t *page_bytes);

#endif
