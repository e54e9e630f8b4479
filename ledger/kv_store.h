/* kv_store.h - the durable store under the ledger: a few named ordered tables, atomic durable batches, snapshot reads.
 *
 * Two implementations behind one interface: LMDB files (kv_store_open_lmdb), and memory (kv_store_new_memory) for the
 * fixture and tests. A store is used by one thread at a time; design.md section 10 gives each LMDB environment its own.
 *
 * A batch is applied whole and synced, or not at all. Reads see the last applied batch. The map of LMDB grows by
 * itself: before a batch that might not fit, and again should LMDB report it full.
 */
#ifndef PBFT_LEDGER_KV_STORE_H
#define PBFT_LEDGER_KV_STORE_H

#include "base/bytes.h"

#define KV_TABLES_MAX 8u

enum kv_found {
    KV_FOUND,
    KV_ABSENT,
    KV_FAILED, /* kv_store_fault says why */
};

struct kv_store;

enum kv_open_mode {
    KV_OPEN_EXISTING, /* fails when there is none */
    KV_OPEN_CREATE,   /* fails when there is one */
    KV_OPEN_READ_ONLY, /* for offline readers, also beside a running replica; no batch may be applied */
    KV_OPEN_CHECKED,   /* as READ_ONLY; every page of what the reads will see has been checked */
};

/* Opens the LMDB environment in directory `dir` (created with mode 0700 in mode CREATE; its parent is synced).
 * table_names are table_count (at most KV_TABLES_MAX) strings; the index of a name is the table number everywhere else.
 * map_bytes_first is the map's size at first (rounded up to 1 MiB); an existing larger file is mapped whole.
 * Of an existing one the pages at the top of each table are checked, all of a small one (KV_OPEN_CHECKED: all); damage
 * that is met later is a KV_FAILED or an error, ERR_CORRUPT, or ends the process with a line that names the directory.
 * An existing one with holes and no space for them is opened, and takes its first batch when there is space.
 * Errors: ERR_NOT_FOUND (no environment there), ERR_CONFIG (CREATE on an existing one), ERR_CORRUPT (not LMDB, truncated:
 * the file is shorter than its own last page says, which would otherwise be a SIGBUS later; a table missing; a page
 * damaged), ERR_IO, ERR_NO_SPACE. */
MUST_USE struct err kv_store_open_lmdb(const char *dir, enum kv_open_mode mode, const char *const *table_names,
                                       uint32_t table_count, uint64_t map_bytes_first, struct kv_store **out);
struct kv_store *kv_store_new_memory(uint32_t table_count);
void kv_store_close(struct kv_store *s);

/* Reads. *value and *key are borrowed until the next kv_store_apply or kv_store_refresh on this store. */
MUST_USE enum kv_found kv_store_get(struct kv_store *s, uint32_t table, struct bytes key, struct bytes *value);
/* The first item with key >= from (an empty `from` means the very first). */
MUST_USE enum kv_found kv_store_seek(struct kv_store *s, uint32_t table, struct bytes from, struct bytes *key,
                                     struct bytes *value);
/* The last item of the table. */
MUST_USE enum kv_found kv_store_last(struct kv_store *s, uint32_t table, struct bytes *key, struct bytes *value);
/* Lets reads see what another process has committed (read-only mode). */
void kv_store_refresh(struct kv_store *s);
/* What a store takes on its disk; all zero for one in memory. */
struct kv_store_size {
    uint64_t file_bytes; /* of its data file: space is reserved before it is used */
    uint64_t used_bytes; /* of those, up to the last page that was ever used; free pages are among them */
    uint64_t table_bytes[KV_TABLES_MAX]; /* of the pages of each table */
};
/* Of what reads see. Errors as reads: kv_store_fault. */
MUST_USE struct err kv_store_size(struct kv_store *s, struct kv_store_size *out);
/* Why the last read gave KV_FAILED. */
struct err kv_store_fault(const struct kv_store *s);

/* A batch in the making; plain memory, owned by the caller, reusable after kv_batch_clear. */
struct kv_batch;
struct kv_batch *kv_batch_new(void);
void kv_batch_free(struct kv_batch *b);
void kv_batch_clear(struct kv_batch *b);
/* Later operations on one key win over earlier ones. Keys and values are copied. key.len from 1 to 511. */
void kv_batch_put(struct kv_batch *b, uint32_t table, struct bytes key, struct bytes value);
void kv_batch_delete(struct kv_batch *b, uint32_t table, struct bytes key);
/* The same without a copy: key and value stay where they are until the batch has been applied for the last time. */
void kv_batch_put_lent(struct kv_batch *b, uint32_t table, struct bytes key, struct bytes value);
void kv_batch_delete_lent(struct kv_batch *b, uint32_t table, struct bytes key);
bool kv_batch_empty(const struct kv_batch *b);
uint64_t kv_batch_bytes(const struct kv_batch *b);

/* Applies and syncs. Errors: ERR_NO_SPACE (nothing was applied; the caller may try the same batch later), ERR_IO (a write
 * or sync failed: what is on disk is unknown, the process must end and must not try again), ERR_CORRUPT. */
MUST_USE struct err kv_store_apply(struct kv_store *s, const struct kv_batch *b);
/* Batches applied since open: each is one sync. */
uint64_t kv_store_syncs(const struct kv_store *s);

#endif
