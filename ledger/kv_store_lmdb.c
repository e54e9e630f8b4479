/* kv_store_lmdb.c - the store in LMDB files.
 *
 * Reads go through one long-lived read transaction that is reset before each batch and renewed by the next read, so
 * they see the last applied batch and hold back no free pages. Commits are synchronous: LMDB's own two steps, the pages
 * with fdatasync and then the meta page.
 *
 * Invariant of a writer: the data file is at least as long as the map, and the map grows only after posix_fallocate has
 * given the file that length. So a full disk shows itself before a transaction starts, not as a half-done commit; and a
 * file shorter than its last page was cut (lmdb_file.c), which LMDB alone does not promise.
 *
 * LMDB trusts its pages. What an open looks at, and no more (lmdb_pages.c), is known to be whole; what a read gives is
 * checked as far as the tree promises it, so that nothing above reads past the map or goes in circles; and where LMDB
 * itself gives up, the last line of the process names the directory.
 *
 * It does not guard against two writers, nor against opening one environment twice in a process (LMDB forbids that).
 */
#include "base/check.h"
#include "base/log.h"
#include "ledger/kv_store_private.h"
#include "ledger/lmdb_file.h"
#include "ledger/lmdb_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_STEP_BYTES (1ull << 20)         /* sizes of maps are multiples of it */
#define MAP_GROWTH_BYTES_MAX (256ull << 20) /* a map doubles until it grows by this much at a time */
#define MAP_BYTES_MAX (1ull << 44)
#define STAT_BLOCK_BYTES 512u /* what st_blocks counts in */
#define SLACK_PAGES 64u /* for the list of free pages and the roots */
#define OPEN_PAGES_MAX 1024u /* that an open reads of each table: docs/architecture.md "Damaged pages" */
#define SNAPSHOTS_MAX 100u   /* tried beside a running writer */

struct lmdb_store {
    struct kv_store base;
    char dir[PATH_MAX];
    bool read_only;
    bool broken; /* a sync failed, or the map is gone: nothing works any more */
    bool holes;  /* the file may have some, for which there was no space */
    const char *first_table; /* its name, once the tables are open */
    MDB_dbi table_of_tables;
    const uint8_t *map; /* NULL: to be found */
    uint64_t map_bytes; /* of it, that the file has */
    MDB_env *env;
    MDB_dbi tables[KV_TABLES_MAX];
    MDB_txn *reader; /* NULL before the first read */
    bool reader_live;
    MDB_cursor *cursors[KV_TABLES_MAX]; /* NULL before the first use */
    bool cursor_live[KV_TABLES_MAX];    /* belongs to the reader as last renewed */
};

static struct lmdb_store *lmdb_of(struct kv_store *s)
{
    return (struct lmdb_store *)(void *)s;
}

static struct err lmdb_error(const struct lmdb_store *l, int rc, const char *what)
{
    enum err_code code = ERR_IO;
    if (rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT || rc == EFBIG) code = ERR_NO_SPACE;
    switch (rc) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE: /* these by their nature; the others because nothing that the callers do gives them */
    case MDB_BAD_TXN:
    case MDB_BAD_VALSIZE:
    case MDB_BAD_DBI:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_TXN_FULL: return err_make(ERR_CORRUPT, "store %s is damaged: cannot %s: %s", l->dir, what, mdb_strerror(rc));
    default: return err_make(code, "store %s: cannot %s: %s", l->dir, what, mdb_strerror(rc));
    }
}

/* LMDB has met what its own code rules out, and cannot go on. */
static void lmdb_gave_up(MDB_env *env, const char *what)
{
    const char *dir = NULL;
    (void)mdb_env_get_path(env, &dir);
    LOG(LOG_LEVEL_ERROR, "store.damaged", LOG_S("store", dir != NULL ? dir : "?"), LOG_S("error", what),
        LOG_S("action", "the process ends now: a page of this store is damaged; pbft ledger check on the data directory says "
                        "which, and what to do"));
    abort();
}

/* ---- reads ---- */

static void lmdb_reader_reset(struct lmdb_store *l)
{
    if (l->reader_live) mdb_txn_reset(l->reader);
    l->reader_live = false;
    memset(l->cursor_live, 0, sizeof l->cursor_live);
}

/* Takes over the size that another process has given to the map, or sets a new one. No transaction may be live. */
static int lmdb_remap(struct lmdb_store *l, uint64_t map_bytes)
{
    CHECK(!l->reader_live);
    l->map = NULL;
    const int rc = mdb_env_set_mapsize(l->env, map_bytes);
    if (rc != 0) l->broken = true; /* LMDB has let go of the old map */
    return rc;
}

static int lmdb_reader_begin(struct lmdb_store *l)
{
    if (l->reader != NULL) return mdb_txn_renew(l->reader);
    return mdb_txn_begin(l->env, NULL, MDB_RDONLY, &l->reader);
}

/* LMDB does not tell where its map begins; but each page says how far into it it is. */
static int lmdb_find_map(struct lmdb_store *l)
{
    MDB_val name = {.mv_size = strlen(l->first_table), .mv_data = (void *)(uintptr_t)l->first_table};
    MDB_val record;
    MDB_stat stat;
    MDB_envinfo info;
    struct stat st;
    uint64_t number;
    int fd;
    CHECK(mdb_env_stat(l->env, &stat) == 0 && mdb_env_info(l->env, &info) == 0 && mdb_env_get_fd(l->env, &fd) == 0);
    if (fstat(fd, &st) != 0) return errno;
    const int rc = mdb_get(l->reader, l->table_of_tables, &name, &record);
    if (rc != 0) return rc;
    const uint8_t *page = (const uint8_t *)record.mv_data - (uintptr_t)record.mv_data % stat.ms_psize;
    memcpy(&number, page, sizeof number);
    if (number >= info.me_mapsize / stat.ms_psize) return MDB_CORRUPTED;
    l->map = page - number * stat.ms_psize;
    l->map_bytes = (uint64_t)st.st_size < info.me_mapsize ? (uint64_t)st.st_size : info.me_mapsize;
    return 0;
}

/* Makes the reader live; false, with the fault set, when that cannot be. */
static bool lmdb_reader_ready(struct lmdb_store *l)
{
    if (l->reader_live) return true;
    if (l->broken) {
        l->base.fault = err_make(ERR_IO, "store %s: broken by an earlier failure", l->dir);
        return false;
    }
    int rc = lmdb_reader_begin(l);
    if (rc == MDB_MAP_RESIZED) {
        rc = lmdb_remap(l, 0);
        if (rc == 0) rc = lmdb_reader_begin(l);
    }
    if (rc == 0 && l->map == NULL && l->first_table != NULL) {
        rc = lmdb_find_map(l);
        if (rc != 0) mdb_txn_reset(l->reader);
    }
    if (rc != 0) {
        l->base.fault = lmdb_error(l, rc, "start reading");
        return false;
    }
    l->reader_live = true;
    return true;
}

static enum kv_found lmdb_found(struct lmdb_store *l, int rc)
{
    if (rc == 0) return KV_FOUND;
    if (rc == MDB_NOTFOUND) return KV_ABSENT;
    /* after a failure the transaction gives MDB_BAD_TXN for everything: the first one says why */
    if (rc != MDB_BAD_TXN || !err_is(&l->base.fault)) l->base.fault = lmdb_error(l, rc, "read");
    return KV_FAILED;
}

/* A range that LMDB has given lies in the map, as far as that can be seen: the map ends with the file. */
static bool lmdb_in_map(const struct lmdb_store *l, struct bytes range)
{
    const uint8_t *map = l->map;
    if (range.data < map || range.data > map + l->map_bytes) return false;
    return range.len <= (size_t)(map + l->map_bytes - range.data);
}

static enum kv_found lmdb_get(struct kv_store *s, uint32_t table, struct bytes key, struct bytes *value)
{
    struct lmdb_store *l = lmdb_of(s);
    MDB_val k = {.mv_size = key.len, .mv_data = (void *)(uintptr_t)key.data};
    MDB_val v;
    if (!lmdb_reader_ready(l)) return KV_FAILED;
    const enum kv_found found = lmdb_found(l, mdb_get(l->reader, l->tables[table], &k, &v));
    if (found != KV_FOUND) return found;
    if (!lmdb_in_map(l, bytes_of(v.mv_data, v.mv_size))) return lmdb_found(l, MDB_CORRUPTED);
    *value = bytes_of(v.mv_data, v.mv_size);
    return found;
}

/* What every item of a good table is. A key below the one that was asked for would send walkers round in circles. */
static bool lmdb_item_good(const struct lmdb_store *l, struct bytes from, struct bytes key, struct bytes value)
{
    if (!lmdb_in_map(l, key) || !lmdb_in_map(l, value)) return false;
    return key.len >= 1 && key.len <= KV_KEY_BYTES_MAX && bytes_compare(key, from) >= 0;
}

/* Moves the table's cursor; k.mv_size is 0 but for MDB_SET_RANGE. */
static enum kv_found lmdb_move(struct lmdb_store *l, uint32_t table, MDB_cursor_op op, MDB_val k, struct bytes *key,
                               struct bytes *value)
{
    const struct bytes from = bytes_of(k.mv_data, k.mv_size);
    MDB_val v;
    int rc = 0;
    if (!lmdb_reader_ready(l)) return KV_FAILED;
    if (l->cursors[table] == NULL)
        rc = mdb_cursor_open(l->reader, l->tables[table], &l->cursors[table]);
    else if (!l->cursor_live[table])
        rc = mdb_cursor_renew(l->reader, l->cursors[table]);
    if (rc == 0) {
        l->cursor_live[table] = true;
        rc = mdb_cursor_get(l->cursors[table], &k, &v, op);
    }
    const enum kv_found found = lmdb_found(l, rc);
    if (found != KV_FOUND) return found;
    const struct bytes got = bytes_of(k.mv_data, k.mv_size);
    const struct bytes its = bytes_of(v.mv_data, v.mv_size);
    if (!lmdb_item_good(l, from, got, its)) return lmdb_found(l, MDB_CORRUPTED);
    *key = got;
    *value = its;
    return found;
}

static enum kv_found lmdb_seek(struct kv_store *s, uint32_t table, struct bytes from, struct bytes *key,
                               struct bytes *value)
{
    const MDB_val k = {.mv_size = from.len, .mv_data = (void *)(uintptr_t)from.data};
    return lmdb_move(lmdb_of(s), table, from.len == 0 ? MDB_FIRST : MDB_SET_RANGE, k, key, value);
}

static enum kv_found lmdb_last(struct kv_store *s, uint32_t table, struct bytes *key, struct bytes *value)
{
    return lmdb_move(lmdb_of(s), table, MDB_LAST, (MDB_val){.mv_size = 0}, key, value);
}

static void lmdb_refresh(struct kv_store *s)
{
    lmdb_reader_reset(lmdb_of(s));
}

/* ---- the size of file and map ---- */

/* Gives the file and then the map at least `want` bytes. */
static struct err lmdb_set_size(struct lmdb_store *l, uint64_t want)
{
    int fd;
    struct stat st;
    if (want > MAP_BYTES_MAX) return err_make(ERR_NO_SPACE, "store %s: larger than the maximum of a map", l->dir);
    want = (want + MAP_STEP_BYTES - 1) / MAP_STEP_BYTES * MAP_STEP_BYTES;
    CHECK(mdb_env_get_fd(l->env, &fd) == 0);
    if (fstat(fd, &st) != 0) return err_system(errno, "store %s: cannot stat the data file", l->dir);
    if ((uint64_t)st.st_size < want) {
        int rc;
        do {
            rc = posix_fallocate(fd, st.st_size, (off_t)want - st.st_size);
        } while (rc == EINTR);
        if (rc != 0) {
            /* Gives back what was taken; the map is not longer than the old size. */
            const struct err e = lmdb_error(l, rc, "enlarge the data file");
            if (ftruncate(fd, st.st_size) != 0) return err_system(errno, "store %s: cannot cut the data file", l->dir);
            return e;
        }
    }
    const int rc = lmdb_remap(l, want);
    return rc == 0 ? err_none() : lmdb_error(l, rc, "enlarge the map");
}

/* A file that was restored with holes (cp --sparse, rsync -S) has them filled, so that LMDB's own writes find space:
 * fallocate keeps what is there. Without space the store works as long as nothing has to be written. */
static struct err lmdb_fill_holes(struct lmdb_store *l)
{
    int fd;
    int rc;
    struct stat st;
    CHECK(mdb_env_get_fd(l->env, &fd) == 0);
    if (fstat(fd, &st) != 0) return err_system(errno, "store %s: cannot stat the data file", l->dir);
    do {
        rc = fallocate(fd, 0, 0, st.st_size) == 0 ? 0 : errno;
    } while (rc == EINTR);
    const struct err e = rc == 0 ? err_none() : lmdb_error(l, rc, "fill the holes of the data file");
    l->holes = e.code == ERR_NO_SPACE;
    if (rc != EOPNOTSUPP && rc != ENOSYS) return e;
    LOG(LOG_LEVEL_WARN, "store.space-not-reserved", LOG_S("store", l->dir), LOG_S("error", e.text),
        LOG_S("action", "keep data directories on a file system with fallocate (ext4, xfs, btrfs, tmpfs): on this one a full disk may "
                        "end the process"));
    return err_none();
}

/* Makes the map at least `need` bytes large, more if there is space. */
static struct err lmdb_enlarge(struct lmdb_store *l, uint64_t map_bytes, uint64_t need)
{
    const uint64_t growth = map_bytes < MAP_GROWTH_BYTES_MAX ? map_bytes : MAP_GROWTH_BYTES_MAX;
    const uint64_t want = map_bytes + growth;
    int dead;
    (void)mdb_reader_check(l->env, &dead); /* readers that died hold back free pages */
    if (want > need) {
        const struct err e = lmdb_set_size(l, want);
        if (e.code != ERR_NO_SPACE) return e;
    }
    return lmdb_set_size(l, need);
}

/* Bytes of the pages of one table. False, with the fault set, when that cannot be read. */
static bool lmdb_table_bytes(struct lmdb_store *l, uint32_t table, uint64_t *out)
{
    MDB_stat stat;
    if (!lmdb_reader_ready(l) || lmdb_found(l, mdb_stat(l->reader, l->tables[table], &stat)) != KV_FOUND) return false;
    *out = (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * (uint64_t)stat.ms_psize;
    return true;
}

/* Bytes of all pages that hold items now; `used_bytes`, which counts free pages too, when that cannot be read. */
static uint64_t lmdb_live_bytes(struct lmdb_store *l, uint64_t used_bytes)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < l->base.table_count; i++) {
        uint64_t one;
        if (!lmdb_table_bytes(l, i, &one)) return used_bytes;
        all += one;
    }
    return all;
}

static struct err lmdb_size(struct kv_store *s, struct kv_store_size *out)
{
    struct lmdb_store *l = lmdb_of(s);
    struct kv_store_size size = {.file_bytes = 0};
    MDB_stat stat;
    MDB_envinfo info;
    struct stat st;
    int fd;
    for (uint32_t i = 0; i < s->table_count; i++)
        if (!lmdb_table_bytes(l, i, &size.table_bytes[i])) return s->fault;
    CHECK(mdb_env_stat(l->env, &stat) == 0 && mdb_env_info(l->env, &info) == 0 && mdb_env_get_fd(l->env, &fd) == 0);
    if (fstat(fd, &st) != 0) return err_system(errno, "store %s: cannot stat the data file", l->dir);
    size.file_bytes = (uint64_t)st.st_blocks * STAT_BLOCK_BYTES;
    size.used_bytes = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    *out = size;
    return err_none();
}

/* At least the bytes of new pages that a batch needs, in all cases but odd ones, which MDB_MAP_FULL then shows. */
static uint64_t lmdb_estimate(const struct kv_batch *b, uint64_t page_bytes, uint64_t live_bytes)
{
    /* New items: pages are at least half full, an item has a header, a large value has whole pages of its own. */
    uint64_t fresh = 0;
    const size_t count = kv_batch_count(b);
    for (size_t i = 0; i < count; i++) {
        const struct kv_batch_op op = kv_batch_at(b, i);
        if (op.remove) continue;
        fresh += 2 * (op.key.len + 32);
        fresh += op.value.len < page_bytes / 2 ? 2 * op.value.len : op.value.len + 2 * page_bytes;
    }
    /* Copies of existing pages: a leaf and its share of the way to it for each operation, but each page once. */
    const uint64_t copied = (uint64_t)count * 2 * page_bytes;
    return fresh + (copied < live_bytes ? copied : live_bytes) + SLACK_PAGES * page_bytes;
}

/* ---- batches ---- */

static int lmdb_write(MDB_cursor *at, const struct kv_batch_op *op)
{
    MDB_val k = {.mv_size = op->key.len, .mv_data = (void *)(uintptr_t)op->key.data};
    MDB_val v = {.mv_size = op->value.len, .mv_data = (void *)(uintptr_t)op->value.data};
    if (!op->remove) return mdb_cursor_put(at, &k, &v, 0);
    const int rc = mdb_cursor_get(at, &k, &v, MDB_SET);
    if (rc == MDB_NOTFOUND) return 0;
    return rc != 0 ? rc : mdb_cursor_del(at, 0);
}

/* A cursor for each table: keys that come in their order are found from where the last one was put. */
static int lmdb_put_all(struct lmdb_store *l, MDB_txn *txn, const struct kv_batch *b)
{
    MDB_cursor *cursors[KV_TABLES_MAX] = {NULL};
    const size_t count = kv_batch_count(b);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct kv_batch_op op = kv_batch_at(b, i);
        if (cursors[op.table] == NULL) rc = mdb_cursor_open(txn, l->tables[op.table], &cursors[op.table]);
        if (rc == 0) rc = lmdb_write(cursors[op.table], &op);
    }
    for (uint32_t i = 0; i < KV_TABLES_MAX; i++)
        if (cursors[i] != NULL) mdb_cursor_close(cursors[i]);
    return rc;
}

/* One try. Gives LMDB's code; *committing tells whether the failure was that of the commit. */
static int lmdb_try(struct lmdb_store *l, const struct kv_batch *b, bool *committing)
{
    MDB_txn *txn;
    *committing = false;
    int rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (rc == MDB_MAP_RESIZED) {
        rc = lmdb_remap(l, 0);
        if (rc == 0) rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    }
    if (rc != 0) return rc;
    rc = lmdb_put_all(l, txn, b);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    *committing = true;
    return mdb_txn_commit(txn);
}

static struct err lmdb_apply(struct kv_store *s, const struct kv_batch *b)
{
    struct lmdb_store *l = lmdb_of(s);
    MDB_stat stat;
    MDB_envinfo info;
    CHECK(!l->read_only);
    if (l->broken) return err_make(ERR_IO, "store %s: broken by an earlier failure", l->dir);
    if (l->holes) ERR_TRY(lmdb_fill_holes(l));
    CHECK(mdb_env_stat(l->env, &stat) == 0 && mdb_env_info(l->env, &info) == 0);
    const uint64_t used = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    const uint64_t estimate = lmdb_estimate(b, stat.ms_psize, lmdb_live_bytes(l, used));
    lmdb_reader_reset(l);
    if (used + estimate > info.me_mapsize) {
        const struct err e = lmdb_enlarge(l, info.me_mapsize, used + estimate);
        /* Without space the batch may still fit into free pages of the map. */
        if (err_is(&e) && e.code != ERR_NO_SPACE) return e;
    }
    for (;;) {
        bool committing;
        const int rc = lmdb_try(l, b, &committing);
        if (rc == 0) return err_none();
        const struct err e = lmdb_error(l, rc, committing ? "commit" : "write");
        /* Section 7: a failed sync is never tried again. A map that is full is found before anything is written, also by
         * the commit, whose list of free pages takes pages itself. */
        if (committing && rc != MDB_MAP_FULL) l->broken = true;
        if (rc != MDB_MAP_FULL) return e;
        CHECK(mdb_env_info(l->env, &info) == 0);
        ERR_TRY(lmdb_enlarge(l, info.me_mapsize, info.me_mapsize + estimate));
    }
}

/* ---- open and close ---- */

static void lmdb_close(struct kv_store *s)
{
    struct lmdb_store *l = lmdb_of(s);
    for (uint32_t i = 0; i < KV_TABLES_MAX; i++)
        if (l->cursors[i] != NULL) mdb_cursor_close(l->cursors[i]);
    if (l->reader != NULL) mdb_txn_abort(l->reader);
    if (l->env != NULL) mdb_env_close(l->env);
    free(l);
}

/* A path below the environment's directory. */
static struct err lmdb_path(const struct lmdb_store *l, const char *name, char out[PATH_MAX])
{
    const int len = snprintf(out, PATH_MAX, "%s/%s", l->dir, name);
    if (len < 0 || len >= PATH_MAX) return err_make(ERR_CONFIG, "store %s: the path is too long", l->dir);
    return err_none();
}

static struct err lmdb_sync_dir(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_system(errno, "cannot open %s", path);
    const int rc = fsync(fd);
    const int reason = errno;
    (void)close(fd);
    return rc == 0 ? err_none() : err_system(reason, "cannot sync %s", path);
}

static int lmdb_try_open(struct lmdb_store *l, uint64_t map_bytes, unsigned flags)
{
    int rc = mdb_env_create(&l->env);
    if (rc == 0) rc = mdb_env_set_maxdbs(l->env, l->base.table_count);
    if (rc == 0) rc = mdb_env_set_assert(l->env, lmdb_gave_up);
    if (rc == 0 && map_bytes > 0) rc = mdb_env_set_mapsize(l->env, map_bytes);
    if (rc == 0) rc = mdb_env_open(l->env, l->dir, flags | MDB_NOTLS, 0600);
    if (rc == 0) return 0;
    if (l->env != NULL) mdb_env_close(l->env);
    l->env = NULL;
    return rc;
}

/* Opens the environment itself. */
static struct err lmdb_open_env(struct lmdb_store *l, uint64_t map_bytes)
{
    int rc = lmdb_try_open(l, map_bytes, l->read_only ? MDB_RDONLY : 0);
    /* A reader who may not write the lock file goes without: its snapshot is then safe only while nobody writes. */
    if (rc == EACCES && l->read_only) rc = lmdb_try_open(l, map_bytes, MDB_RDONLY | MDB_NOLOCK);
    return rc == 0 ? err_none() : lmdb_error(l, rc, "open");
}

static struct err lmdb_open_tables(struct lmdb_store *l, const char *const *names, bool create)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(l->env, NULL, create ? 0 : MDB_RDONLY, &txn);
    if (rc != 0) return lmdb_error(l, rc, "start opening tables");
    for (uint32_t i = 0; i < l->base.table_count; i++) {
        rc = mdb_dbi_open(txn, names[i], create ? MDB_CREATE : 0, &l->tables[i]);
        if (rc == 0) continue;
        mdb_txn_abort(txn);
        if (rc == MDB_NOTFOUND) return err_make(ERR_CORRUPT, "store %s: table %s is missing", l->dir, names[i]);
        return lmdb_error(l, rc, "open a table");
    }
    CHECK(mdb_dbi_open(txn, NULL, 0, &l->table_of_tables) == 0); /* it always is */
    rc = mdb_txn_commit(txn);
    if (rc != 0) return lmdb_error(l, rc, "commit the tables");
    l->first_table = names[0];
    return err_none();
}

/* Checks the pages of the snapshot that the reader then sees: pages_max of each table, or all (0). */
static struct err lmdb_check_pages(struct lmdb_store *l, const char *const *names, uint32_t page_bytes, uint32_t pages_max)
{
    struct lmdb_pages in = {.dir = l->dir,
                            .page_bytes = page_bytes,
                            .table_names = names,
                            .table_count = l->base.table_count,
                            .pages_max = pages_max};
    bool stale = true;
    CHECK(mdb_env_get_fd(l->env, &in.fd) == 0);
    for (uint32_t i = 0; stale && i < SNAPSHOTS_MAX; i++) {
        lmdb_reader_reset(l);
        if (!lmdb_reader_ready(l)) return l->base.fault;
        in.transaction = mdb_txn_id(l->reader);
        ERR_TRY(lmdb_pages_check(&in, &stale));
    }
    return stale ? err_make(ERR_CORRUPT, "store %s: its meta pages contradict the lock file", l->dir) : err_none();
}

static struct err lmdb_open_existing(struct lmdb_store *l, const char *const *names, bool checked)
{
    char path[PATH_MAX];
    uint64_t map_bytes;
    uint32_t page_bytes;
    int dead;
    ERR_TRY(lmdb_path(l, LMDB_DATA_FILE, path));
    ERR_TRY(lmdb_file_check(path, &map_bytes, &page_bytes));
    ERR_TRY(lmdb_open_env(l, map_bytes));
    if (!l->read_only) (void)mdb_reader_check(l->env, &dead);
    ERR_TRY(lmdb_check_pages(l, names, page_bytes, OPEN_PAGES_MAX));
    lmdb_reader_reset(l);
    ERR_TRY(lmdb_open_tables(l, names, false));
    if (checked) return lmdb_check_pages(l, names, page_bytes, 0);
    if (l->read_only) return err_none();
    const struct err e = lmdb_fill_holes(l);
    return e.code == ERR_NO_SPACE ? err_none() : e;
}

static struct err lmdb_create_files(struct lmdb_store *l, const char *const *names, uint64_t map_bytes)
{
    char parent[PATH_MAX];
    ERR_TRY(lmdb_path(l, "..", parent));
    ERR_TRY(lmdb_open_env(l, map_bytes));
    ERR_TRY(lmdb_set_size(l, map_bytes));
    ERR_TRY(lmdb_open_tables(l, names, true));
    ERR_TRY(lmdb_sync_dir(l->dir));
    return lmdb_sync_dir(parent);
}

static struct err lmdb_create(struct lmdb_store *l, const char *const *names, uint64_t map_bytes)
{
    char data_path[PATH_MAX];
    char lock_path[PATH_MAX];
    struct stat st;
    ERR_TRY(lmdb_path(l, LMDB_DATA_FILE, data_path));
    ERR_TRY(lmdb_path(l, "lock.mdb", lock_path));
    const bool made_dir = mkdir(l->dir, 0700) == 0;
    if (!made_dir && errno != EEXIST) return err_system(errno, "cannot make the directory %s", l->dir);
    if (lstat(data_path, &st) == 0) return err_make(ERR_CONFIG, "there is already a store in %s", l->dir);
    if (errno != ENOENT) return err_system(errno, "cannot look at %s", data_path);
    const struct err e = lmdb_create_files(l, names, map_bytes);
    if (err_is(&e)) {
        /* A half-made store must not look like one. */
        (void)unlink(data_path);
        (void)unlink(lock_path);
        if (made_dir) (void)rmdir(l->dir);
    }
    return e;
}

struct err kv_store_open_lmdb(const char *dir, enum kv_open_mode mode, const char *const *table_names,
                              uint32_t table_count, uint64_t map_bytes_first, struct kv_store **out)
{
    static const struct kv_store_methods methods = {.get = lmdb_get,
                                                    .seek = lmdb_seek,
                                                    .last = lmdb_last,
                                                    .refresh = lmdb_refresh,
                                                    .size = lmdb_size,
                                                    .apply = lmdb_apply,
                                                    .close = lmdb_close};
    CHECK_OP(table_count, <=, KV_TABLES_MAX);
    if (map_bytes_first > MAP_BYTES_MAX) return err_make(ERR_CONFIG, "store %s: the first map is too large", dir);
    const uint64_t steps = map_bytes_first == 0 ? 1 : (map_bytes_first + MAP_STEP_BYTES - 1) / MAP_STEP_BYTES;
    struct lmdb_store *l = mem_zero(1, sizeof *l);
    l->base.methods = &methods;
    l->base.table_count = table_count;
    l->read_only = mode == KV_OPEN_READ_ONLY || mode == KV_OPEN_CHECKED;
    struct err e = err_none();
    const int len = snprintf(l->dir, sizeof l->dir, "%s", dir);
    if (len <= 0 || (size_t)len >= sizeof l->dir)
        e = err_make(ERR_CONFIG, "the path of the store is empty or too long");
    else if (mode == KV_OPEN_CREATE)
        e = lmdb_create(l, table_names, steps * MAP_STEP_BYTES);
    else
        e = lmdb_open_existing(l, table_names, mode == KV_OPEN_CHECKED);
    if (err_is(&e)) {
        lmdb_close(&l->base);
        return e;
    }
    *out = &l->base;
    return err_none();
}
