/* test_kv_store_files.c - what only files can do: damage, growth, a full disk, failing syncs.
 *
 * fdatasync, fsync, fallocate and posix_fallocate are defined here, in front of the C library's, to count them and to make
 * them fail.
 */
#include "base/prng.h"
#include "ledger/kv_store.h"
#include "tests/fixture/kv_place.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define TABLES KV_PLACE_TABLES
#define MIB (1ull << 20)
#define PAGE 4096ull

static uint32_t data_syncs;
static uint32_t dir_syncs;
static int sync_error; /* 0, or the errno that fdatasync gives */

int fdatasync(int fd)
{
    data_syncs++;
    if (sync_error == 0) return (int)syscall(SYS_fdatasync, fd);
    errno = sync_error;
    return -1;
}

int fsync(int fd)
{
    dir_syncs++;
    return (int)syscall(SYS_fsync, fd);
}

static uint32_t allocations_failing; /* how many calls from now on fail */

/* A failing one has taken half of the space by then, as it may on some file systems. */
int posix_fallocate(int fd, off_t offset, off_t len)
{
    if (allocations_failing == 0) return syscall(SYS_fallocate, fd, 0, offset, len) == 0 ? 0 : errno;
    allocations_failing--;
    assert_int_equal(ftruncate(fd, offset + len / 2), 0);
    return ENOSPC;
}

static int fill_error; /* 0, or the errno that fallocate gives */

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    if (fill_error == 0) return (int)syscall(SYS_fallocate, fd, mode, offset, len);
    errno = fill_error;
    return -1;
}

static struct bytes text(const char *t)
{
    return bytes_of_text(t);
}

static void put_one(struct kv_store *s, const char *key, const char *value)
{
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, 0, text(key), text(value));
    const struct err e = kv_store_apply(s, b);
    if (err_is(&e)) fail_msg("%s", e.text);
    kv_batch_free(b);
}

static bool has(struct kv_store *s, const char *key, const char *value)
{
    struct bytes got;
    return kv_store_get(s, 0, text(key), &got) == KV_FOUND && bytes_equal(got, text(value));
}

/* ---- damaged files ---- */

/* A closed store with some hundred pages in use; gives its last page. */
static uint64_t make_store(const struct kv_place *p)
{
    static uint8_t value[3000];
    struct kv_store *s = kv_place_opened(p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    for (uint32_t i = 0; i < 200; i++)
        kv_batch_put(b, 0, bytes_of(&i, sizeof i), bytes_of(value, sizeof value));
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    kv_batch_free(b);
    kv_store_close(s);
    uint64_t last[2] = {0, 0};
    const int fd = open(p->data, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &last[0], 8, 136), 8);
    assert_int_equal(pread(fd, &last[1], 8, PAGE + 136), 8);
    assert_int_equal(close(fd), 0);
    return last[0] > last[1] ? last[0] : last[1];
}

static void overwrite(const struct kv_place *p, off_t at, const void *data, size_t len)
{
    const int fd = open(p->data, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, at), (ssize_t)len);
    assert_int_equal(close(fd), 0);
}

static void check_corrupt(const struct kv_place *p)
{
    kv_place_check_refused(p, KV_OPEN_EXISTING, ERR_CORRUPT);
    kv_place_check_refused(p, KV_OPEN_READ_ONLY, ERR_CORRUPT);
}

static void test_kv_store_cut_file_is_corrupt(void **state)
{
    (void)state;
    const struct kv_place p = kv_place_new();
    const uint64_t last = make_store(&p);
    assert_true(last > 100);
    /* All pages in use: a reader needs no more. */
    assert_int_equal(truncate(p.data, (off_t)((last + 1) * PAGE)), 0);
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_READ_ONLY);
    kv_store_close(s);
    const uint64_t lengths[] = {
        (last + 1) * PAGE - 1, last * PAGE, 2 * PAGE, 2 * PAGE - 1, PAGE + 151, PAGE, 152, 151, 16, 1, 0};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_int_equal(truncate(p.data, (off_t)lengths[i]), 0);
        check_corrupt(&p);
    }
    kv_place_remove(&p);
}

static void test_kv_store_garbage_file_is_corrupt(void **state)
{
    (void)state;
    static uint8_t garbage[10 * PAGE];
    struct prng r = prng_of(3);
    const struct kv_place p = kv_place_new();
    assert_int_equal(mkdir(p.dir, 0700), 0);
    for (uint32_t i = 0; i < 20; i++) {
        prng_fill(&r, garbage, sizeof garbage);
        if (i == 0) memset(garbage, 0, sizeof garbage);
        FILE *f = fopen(p.data, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(garbage, 1, sizeof garbage, f), sizeof garbage);
        assert_int_equal(fclose(f), 0);
        check_corrupt(&p);
    }
    kv_place_remove(&p);
}

static void test_kv_store_damaged_meta_page_is_corrupt(void **state)
{
    (void)state;
    static const struct {
        off_t at;
        uint64_t value;
        size_t len;
    } damages[] = {
        {10, 0, 2},          /* not a meta page */
        {16, 0xdeadbeef, 4}, /* magic */
        {20, 2, 4},          /* version */
        {32, UINT64_MAX, 8}, /* map size */
        {40, 0, 4},          /* page size: none, not a power of two, tiny, huge, another */
        {40, 4097, 4},        {40, 256, 4},
        {40, 1 << 20, 4},     {40, 8192, 4},
        {136, 0, 8}, /* last page: before the metas, beyond the file */
        {136, UINT64_MAX, 8}, {136, 1ull << 40, 8},
        {4096 + 16, 0, 4}, /* the second one */
        {4096 + 40, 8192, 4}, {4096 + 136, 1ull << 40, 8},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const struct kv_place p = kv_place_new();
        (void)make_store(&p);
        overwrite(&p, damages[i].at, &damages[i].value, damages[i].len);
        check_corrupt(&p);
        kv_place_remove(&p);
    }
}

/* LMDB does not write pages that a transaction frees again, even at the end of the file: the reason why the file is
 * allocated in advance. Without that the newest meta page speaks of pages that the file does not have. */
static void test_kv_store_pages_freed_unwritten_do_not_look_cut(void **state)
{
    (void)state;
    static uint8_t value[400000];
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    for (uint32_t round = 0; round < 40; round++) {
        kv_batch_clear(b);
        for (uint32_t i = 0; i < 6; i++)
            kv_batch_put(b, 0, text("k"), bytes_of(value, sizeof value - 50000 * i));
        kv_batch_delete(b, 0, text("k"));
        assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
        kv_store_close(s);
        s = kv_place_opened(&p, KV_OPEN_EXISTING);
    }
    kv_batch_free(b);
    kv_store_close(s);
    kv_place_remove(&p);
}

/* ---- sizes ---- */

static struct kv_store_size sizes(struct kv_store *s)
{
    struct kv_store_size size;
    assert_int_equal(kv_store_size(s, &size).code, ERR_NONE);
    return size;
}

static void test_kv_store_size_counts_pages_of_tables_and_free_ones(void **state)
{
    (void)state;
    enum { ITEMS = 100, LEN = 5000, PAGES_OF_ONE = 2 };
    uint8_t value[LEN] = {0};
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    const struct kv_store_size empty = sizes(s);
    assert_int_equal(empty.table_bytes[0] + empty.table_bytes[1], 0);
    assert_true(empty.used_bytes > 0 && empty.used_bytes < empty.file_bytes && empty.file_bytes >= 1u << 20);
    for (uint8_t i = 0; i < ITEMS; i++)
        kv_batch_put(b, 1, bytes_of(&i, 1), bytes_of(value, LEN));
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    const struct kv_store_size full = sizes(s);
    assert_int_equal(full.table_bytes[0], 0);
    /* each value has pages of its own, and the keys a few */
    assert_true(full.table_bytes[1] >= ITEMS * PAGES_OF_ONE * 4096u);
    assert_true(full.table_bytes[1] < (ITEMS + 8) * PAGES_OF_ONE * 4096u);
    assert_true(full.used_bytes >= empty.used_bytes + full.table_bytes[1]);
    kv_batch_clear(b);
    for (uint8_t i = 0; i < ITEMS; i++)
        kv_batch_delete(b, 1, bytes_of(&i, 1));
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    const struct kv_store_size freed = sizes(s);
    assert_int_equal(freed.table_bytes[1], 0);
    assert_true(freed.used_bytes >= full.used_bytes);
    kv_batch_free(b);
    kv_store_close(s);
    s = kv_store_new_memory(TABLES);
    assert_int_equal(sizes(s).file_bytes + sizes(s).used_bytes, 0);
    kv_store_close(s);
    kv_place_remove(&p);
}

/* ---- growth and full disks ---- */

static void test_kv_store_map_grows_from_one_mib_to_fifty(void **state)
{
    (void)state;
    const size_t len = 64u << 10;
    uint8_t *value = mem_zero(1, len);
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    /* Half of it in small batches, with reads between; half of it at once. */
    for (uint32_t i = 0; i < 800; i++) {
        struct bytes got;
        uint8_t key[4];
        be32_put(key, i);
        memset(value, (int)(i % 251), len);
        kv_batch_put(b, i % TABLES, bytes_of(key, 4), bytes_of(value, len));
        if (i >= 400 && i < 799) continue;
        assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
        kv_batch_clear(b);
        assert_int_equal(kv_store_get(s, i % TABLES, bytes_of(key, 4), &got), KV_FOUND);
        assert_true(bytes_equal(got, bytes_of(value, len)));
    }
    kv_batch_free(b);
    kv_store_close(s);
    s = kv_place_opened(&p, KV_OPEN_EXISTING);
    for (uint32_t i = 0; i < 800; i++) {
        struct bytes got;
        uint8_t key[4];
        be32_put(key, i);
        memset(value, (int)(i % 251), len);
        assert_int_equal(kv_store_get(s, i % TABLES, bytes_of(key, 4), &got), KV_FOUND);
        assert_true(bytes_equal(got, bytes_of(value, len)));
    }
    kv_store_close(s);
    free(value);
    kv_place_remove(&p);
}

static uint64_t size_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_kv_store_full_disk_is_no_space_and_applies_nothing(void **state)
{
    (void)state;
    static uint8_t value[3 * MIB];
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    put_one(s, "small", "1");
    const uint64_t size = size_of(p.data);
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files(2 * MIB);
    kv_batch_put(b, 0, text("small"), text("2"));
    kv_batch_put(b, 0, text("large"), bytes_of(value, sizeof value));
    for (uint32_t i = 0; i < 3; i++) {
        const struct err e = kv_store_apply(s, b);
        assert_int_equal(e.code, ERR_NO_SPACE);
        assert_non_null(strstr(e.text, p.dir));
        assert_true(has(s, "small", "1"));
        assert_false(has(s, "large", ""));
        assert_true(size_of(p.data) <= 2 * MIB && size_of(p.data) >= size);
    }
    /* Space returns: the same batch. */
    limit_files(RLIM_INFINITY);
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    assert_true(has(s, "small", "2"));
    (void)signal(SIGXFSZ, SIG_DFL);
    kv_batch_free(b);
    kv_store_close(s);
    s = kv_place_opened(&p, KV_OPEN_EXISTING);
    assert_true(has(s, "small", "2"));
    kv_store_close(s);
    kv_place_remove(&p);
}

static void test_kv_store_full_disk_still_takes_what_fits(void **state)
{
    (void)state;
    static uint8_t value[300];
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files(MIB);
    struct err e = err_none();
    uint32_t count = 0;
    while (!err_is(&e)) {
        assert_true(count < 5000);
        kv_batch_clear(b);
        kv_batch_put(b, 0, bytes_of(&count, 4), bytes_of(value, sizeof value));
        e = kv_store_apply(s, b);
        count++;
    }
    assert_int_equal(e.code, ERR_NO_SPACE);
    /* More than the generous estimate would have allowed: 64 pages of slack are a quarter of the file. */
    assert_true(count * sizeof value > MIB / 2);
    assert_int_equal(size_of(p.data), MIB);
    limit_files(RLIM_INFINITY);
    (void)signal(SIGXFSZ, SIG_DFL);
    kv_batch_free(b);
    kv_store_close(s);
    kv_place_remove(&p);
}

/* The commit takes pages for its list of free pages, and may be what finds that there are none: nothing was written yet, so
 * the store is no more broken than by a full disk anywhere else. */
static void test_kv_store_full_disk_found_by_the_commit_breaks_nothing(void **state)
{
    (void)state;
    static uint8_t value[9000];
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    uint32_t refused = 0;
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files(MIB);
    for (uint32_t round = 0; round < 3000; round++) {
        kv_batch_clear(b);
        for (uint32_t k = 0; k < 1 + round % 5; k++) {
            const uint32_t key = (round * 7 + k * 13) % 400;
            if ((round + k) % 3 == 0)
                kv_batch_delete(b, 0, bytes_of(&key, 4));
            else
                kv_batch_put(b, 0, bytes_of(&key, 4), bytes_of(value, 100 + (round * 31 + k * 17) % 8900));
        }
        const struct err e = kv_store_apply(s, b);
        if (!err_is(&e)) continue;
        if (e.code != ERR_NO_SPACE) fail_msg("round %u: %s", round, e.text);
        refused++;
    }
    assert_true(refused > 100);
    limit_files(RLIM_INFINITY);
    put_one(s, "after", "1");
    assert_true(has(s, "after", "1"));
    (void)signal(SIGXFSZ, SIG_DFL);
    kv_batch_free(b);
    kv_store_close(s);
    kv_place_remove(&p);
}

static void test_kv_store_failed_allocation_gives_the_space_back(void **state)
{
    (void)state;
    static uint8_t value[3 * MIB];
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    const uint64_t size = size_of(p.data);
    kv_batch_put(b, 0, text("large"), bytes_of(value, sizeof value));
    allocations_failing = UINT32_MAX;
    assert_int_equal(kv_store_apply(s, b).code, ERR_NO_SPACE);
    assert_int_equal(size_of(p.data), size);
    allocations_failing = 0;
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    kv_batch_free(b);
    kv_store_close(s);
    kv_place_remove(&p);
}

/* The first enlargement fails, so LMDB finds its map full in the middle of the batch; by then there is space. */
static void test_kv_store_full_map_grows_and_the_batch_is_tried_again(void **state)
{
    (void)state;
    static uint8_t value[3 * MIB];
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, 0, text("small"), text("1"));
    kv_batch_put(b, 0, text("large"), bytes_of(value, sizeof value));
    allocations_failing = 1; /* this batch needs more than twice the map: one try to enlarge */
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    assert_int_equal(allocations_failing, 0);
    assert_int_equal(kv_store_syncs(s), 1);
    assert_true(has(s, "small", "1"));
    kv_batch_free(b);
    kv_store_close(s);
    kv_place_remove(&p);
}

/* ---- files with holes ---- */

static uint64_t allocated(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* A store whose file has a hole behind its last page, as a sparse copy has. */
static void make_hollow(const struct kv_place *p)
{
    const uint64_t used = (make_store(p) + 1) * PAGE;
    const int fd = open(p->data, O_WRONLY);
    assert_true(fd >= 0);
    const off_t hole = (off_t)(size_of(p->data) - used);
    assert_int_equal(syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)used, hole), 0);
    assert_int_equal(close(fd), 0);
    assert_true(allocated(p->data) < size_of(p->data));
}

static void test_kv_store_holes_are_filled_when_it_is_opened(void **state)
{
    (void)state;
    const struct kv_place p = kv_place_new();
    const uint32_t key = 7;
    struct bytes value;
    make_hollow(&p);
    kv_store_close(kv_place_opened(&p, KV_OPEN_READ_ONLY));
    assert_true(allocated(p.data) < size_of(p.data));
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_EXISTING);
    assert_true(allocated(p.data) >= size_of(p.data));
    assert_int_equal(kv_store_get(s, 0, bytes_of(&key, sizeof key), &value), KV_FOUND);
    assert_int_equal(value.len, 3000);
    kv_store_close(s);
    kv_place_remove(&p);
}

static void test_kv_store_holes_without_space_refuse_batches_until_there_is_some(void **state)
{
    (void)state;
    const struct kv_place p = kv_place_new();
    const uint32_t key = 7;
    struct bytes value;
    make_hollow(&p);
    fill_error = ENOSPC;
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_EXISTING);
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, 0, text("k"), text("v"));
    for (uint32_t i = 0; i < 3; i++) {
        const struct err e = kv_store_apply(s, b);
        assert_int_equal(e.code, ERR_NO_SPACE);
        assert_non_null(strstr(e.text, p.dir));
        assert_int_equal(kv_store_get(s, 0, bytes_of(&key, sizeof key), &value), KV_FOUND);
    }
    fill_error = 0;
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    assert_true(allocated(p.data) >= size_of(p.data));
    fill_error = ENOSPC; /* they are filled once */
    kv_batch_put(b, 0, text("k"), text("w"));
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    fill_error = 0;
    kv_batch_free(b);
    kv_store_close(s);
    kv_place_remove(&p);
}

static void test_kv_store_file_system_without_fallocate_is_said_and_used(void **state)
{
    (void)state;
    char line[1000];
    FILE *sink = tmpfile();
    const struct kv_place p = kv_place_new();
    assert_non_null(sink);
    (void)make_store(&p);
    const int kept = dup(STDERR_FILENO);
    (void)dup2(fileno(sink), STDERR_FILENO);
    fill_error = EOPNOTSUPP;
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_EXISTING);
    put_one(s, "a", "1");
    fill_error = 0;
    (void)dup2(kept, STDERR_FILENO);
    (void)close(kept);
    rewind(sink);
    line[fread(line, 1, sizeof line - 1, sink)] = '\0';
    (void)fclose(sink);
    const char *said = strstr(line, "event=store.space-not-reserved");
    if (said == NULL || strstr(said + 1, "event=") != NULL || strstr(line, p.dir) == NULL) fail_msg("\"%s\"", line);
    kv_store_close(s);
    kv_place_remove(&p);
}

/* ---- syncs ---- */

static void test_kv_store_each_batch_is_one_sync(void **state)
{
    (void)state;
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    const uint32_t before = data_syncs;
    put_one(s, "a", "1");
    put_one(s, "b", "2");
    assert_int_equal(kv_store_syncs(s), 2);
    assert_int_equal(data_syncs, before + 2);
    kv_store_close(s);
    kv_place_remove(&p);
}

static void test_kv_store_failed_sync_is_never_tried_again(void **state)
{
    (void)state;
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    struct bytes value;
    kv_batch_put(b, 0, text("k"), text("v"));
    sync_error = EIO;
    struct err e = kv_store_apply(s, b);
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.text, p.dir));
    sync_error = 0;
    const uint32_t before = data_syncs;
    e = kv_store_apply(s, b);
    assert_int_equal(e.code, ERR_IO);
    assert_int_equal(data_syncs, before);
    assert_int_equal(kv_store_syncs(s), 0);
    assert_int_equal(kv_store_get(s, 0, text("k"), &value), KV_FAILED);
    e = kv_store_fault(s);
    assert_int_equal(e.code, ERR_IO);
    kv_batch_free(b);
    kv_store_close(s);
    kv_place_remove(&p);
}

static void test_kv_store_create_is_private_and_synced(void **state)
{
    (void)state;
    struct stat st;
    const struct kv_place p = kv_place_new();
    dir_syncs = 0;
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    assert_int_equal(dir_syncs, 2); /* the directory and its parent */
    assert_int_equal(stat(p.dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(p.data, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    kv_store_close(s);
    kv_place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kv_store_cut_file_is_corrupt),
        cmocka_unit_test(test_kv_store_garbage_file_is_corrupt),
        cmocka_unit_test(test_kv_store_damaged_meta_page_is_corrupt),
        cmocka_unit_test(test_kv_store_pages_freed_unwritten_do_not_look_cut),
        cmocka_unit_test(test_kv_store_size_counts_pages_of_tables_and_free_ones),
        cmocka_unit_test(test_kv_store_map_grows_from_one_mib_to_fifty),
        cmocka_unit_test(test_kv_store_full_disk_is_no_space_and_applies_nothing),
        cmocka_unit_test(test_kv_store_full_disk_still_takes_what_fits),
        cmocka_unit_test(test_kv_store_full_disk_found_by_the_commit_breaks_nothing),
        cmocka_unit_test(test_kv_store_failed_allocation_gives_the_space_back),
        cmocka_unit_test(test_kv_store_full_map_grows_and_the_batch_is_tried_again),
        cmocka_unit_test(test_kv_store_holes_are_filled_when_it_is_opened),
        cmocka_unit_test(test_kv_store_holes_without_space_refuse_batches_until_there_is_some),
        cmocka_unit_test(test_kv_store_file_system_without_fallocate_is_said_and_used),
        cmocka_unit_test(test_kv_store_each_batch_is_one_sync),
        cmocka_unit_test(test_kv_store_failed_sync_is_never_tried_again),
        cmocka_unit_test(test_kv_store_create_is_private_and_synced),
    };
    return cmocka_run_group_tests_name("kv_store_files", tests, NULL, NULL);
}
