/* lmdb_file.c - reads the two meta pages of an LMDB 0.9 data file, with pread and never through a map.
 *
 * A meta page, numbers in the byte order of the machine (as LMDB writes them; 64-bit machines):
 *
 *     offset  bytes  field
 *          0      8  page number (0 or 1)
 *         10      2  page flags, 0x08 for a meta page
 *         16      4  magic 0xBEEFC0DE
 *         20      4  data format version, 1
 *         32      8  size of the map
 *         40      4  page size
 *        136      8  last page in use
 *        144      8  transaction that wrote this meta page
 *
 * The second one stands at offset `page size`. A writer changes them in turn, so the last page of either must be there:
 * kv_store_lmdb.c keeps the file at least as long as its map, hence a file shorter than its last page was cut.
 * They are of two transactions that follow each other, in the page of its number modulo two; LMDB believes the higher.
 * It does not look at any other page (lmdb_pages.c does): LMDB has no checksums.
 */
#include "ledger/lmdb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_BYTES 152u
#define META_FLAG 0x08u
#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1u
#define PAGE_BYTES_MIN 512u
#define PAGE_BYTES_MAX 65536u
#define MAP_BYTES_SANE (1ull << 46)
#define METAS_READ_MAX 100u /* times, beside a running writer */

_Static_assert(sizeof(size_t) == 8, "the offsets are those of 64-bit machines");

struct meta {
    uint64_t map_bytes;
    uint64_t last_page;
    uint64_t transaction;
    uint32_t page_bytes;
};

static uint64_t meta_u64(const uint8_t *page, size_t at)
{
    uint64_t value;
    memcpy(&value, page + at, sizeof value);
    return value;
}

static uint32_t meta_u32(const uint8_t *page, size_t at)
{
    uint32_t value;
    memcpy(&value, page + at, sizeof value);
    return value;
}

static struct err meta_read(int fd, const char *path, uint64_t at, struct meta *out)
{
    uint8_t page[META_BYTES];
    uint16_t flags;
    const ssize_t got = pread(fd, page, sizeof page, (off_t)at);
    if (got < 0) return err_system(errno, "cannot read %s", path);
    if ((size_t)got < sizeof page) return err_make(ERR_CORRUPT, "%s is empty or cut inside its meta pages", path);
    memcpy(&flags, page + 10, sizeof flags);
    if ((flags & META_FLAG) == 0 || meta_u32(page, 16) != META_MAGIC)
        return err_make(ERR_CORRUPT, "%s is not an LMDB data file", path);
    if (meta_u32(page, 20) != META_VERSION)
        return err_make(ERR_CORRUPT, "%s has LMDB data format %u, not %u", path, meta_u32(page, 20), META_VERSION);
    const struct meta m = {.map_bytes = meta_u64(page, 32),
                           .page_bytes = meta_u32(page, 40),
                           .last_page = meta_u64(page, 136),
                           .transaction = meta_u64(page, 144)};
    const bool page_bytes_sane =
        m.page_bytes >= PAGE_BYTES_MIN && m.page_bytes <= PAGE_BYTES_MAX && (m.page_bytes & (m.page_bytes - 1)) == 0;
    if (!page_bytes_sane || m.map_bytes > MAP_BYTES_SANE || m.last_page < 1)
        return err_make(ERR_CORRUPT, "%s has a damaged meta page", path);
    *out = m;
    return err_none();
}

/* Which of two that do not follow each other is the newest cannot be told: LMDB might go back behind what was synced. A
 * new file has two of transaction 0. */
static bool metas_follow(const struct meta *first, const struct meta *second)
{
    const uint64_t even = first->transaction;
    const uint64_t odd = second->transaction;
    if (even % 2 != 0 || (odd % 2 == 0 && odd != 0)) return false;
    return even == odd || even + 1 == odd || odd + 1 == even;
}

static struct err metas_read(int fd, const char *path, struct meta *first, struct meta *second)
{
    for (uint32_t i = 0; i < METAS_READ_MAX; i++) {
        ERR_TRY(meta_read(fd, path, 0, first));
        ERR_TRY(meta_read(fd, path, first->page_bytes, second));
        if (first->page_bytes == second->page_bytes && metas_follow(first, second)) return err_none();
    }
    return err_make(ERR_CORRUPT, "%s has a damaged meta page", path);
}

static struct err file_check(int fd, const char *path, uint64_t *map_bytes, uint32_t *page_bytes)
{
    struct meta first;
    struct meta second;
    struct stat st;
    ERR_TRY(metas_read(fd, path, &first, &second));
    /* The size after the meta pages: beside a running writer the file only grows. */
    if (fstat(fd, &st) != 0) return err_system(errno, "cannot stat %s", path);
    const uint64_t pages = (uint64_t)st.st_size / first.page_bytes;
    const uint64_t last = first.last_page > second.last_page ? first.last_page : second.last_page;
    if (last >= pages)
        return err_make(ERR_CORRUPT, "%s was cut: it has %llu pages and its last one is %llu; restore it or start anew",
                        path, (unsigned long long)pages, (unsigned long long)last);
    *map_bytes = pages * first.page_bytes;
    *page_bytes = first.page_bytes;
    return err_none();
}

struct err lmdb_file_check(const char *path, uint64_t *map_bytes, uint32_t *page_bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_make(ERR_NOT_FOUND, "there is no store at %s", path);
    if (fd < 0) return err_system(errno, "cannot open %s", path);
    const struct err e = file_check(fd, path, map_bytes, page_bytes);
    (void)close(fd);
    return e;
}
