/* lmdb_pages.h - whether the pages of an LMDB environment hang together. Used by kv_store_lmdb.c only.
 *
 * LMDB follows what stands in its pages without a doubt: a changed byte in one makes it read past its map, fail an
 * assertion, or go in circles. This looks at the pages first, without LMDB.
 */
#ifndef PBFT_LEDGER_LMDB_PAGES_H
#define PBFT_LEDGER_LMDB_PAGES_H

#include "base/bytes.h"

/* What is looked at. All borrowed for the call. */
struct lmdb_pages {
    int fd;               /* the data file */
    const char *dir;      /* names the environment in texts */
    uint32_t page_bytes;  /* as lmdb_file_check has found it */
    uint64_t transaction; /* the snapshot: a live read transaction of this number holds its pages */
    const char *const *table_names;
    uint32_t table_count; /* at most KV_TABLES_MAX */
    uint32_t pages_max;   /* pages read of each table, from its root down; 0: all pages of the environment */
};

/* Reads the meta page of the snapshot, the table of tables, each table, and the list of free pages. What is read costs
 * time and memory in proportion to the pages that the environment has, whatever stands in them. Keys and structure are
 * checked, values are not. *stale, with no error: a running writer has written over the meta page meanwhile; take a
 * newer snapshot. Errors: ERR_CORRUPT (page, table and what is wrong with it), ERR_IO. */
MUST_USE struct err lmdb_pages_check(const struct lmdb_pages *in, bool *stale);

#endif
