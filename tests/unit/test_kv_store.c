/* test_kv_store.c - both stores against the same rules, and what only files can do: damage, growth, a full disk,
 * failing syncs, readers beside a writer.
 *
 * fdatasync and fsync are defined here, in front of the C library's, to count them and to make them fail.
 */
#include "base/prng.h"
#include "ledger/kv_store.h"
#include "tests/fixture/aborts.h"

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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TABLES 3u
#define MIB (1ull << 20)
#define PAGE 4096ull

static const char *const table_names[TABLES] = {"one", "two", "three"};

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

/* ---- a directory, and a store in it ---- */

struct place {
    char root[64];
    char dir[96];
    char data[128];
};

static struct place place_new(void)
{
    struct place p;
    (void)snprintf(p.root, sizeof p.root, "/tmp/pbft-kv-XXXXXX");
    assert_non_null(mkdtemp(p.root));
    (void)snprintf(p.dir, sizeof p.dir, "%s/store", p.root);
    (void)snprintf(p.data, sizeof p.data, "%s/data.mdb", p.dir);
    return p;
}

static void place_remove(const struct place *p)
{
    char lock[128];
    (void)snprintf(lock, sizeof lock, "%s/lock.mdb", p->dir);
    (void)unlink(p->data);
    (void)unlink(lock);
    (void)rmdir(p->dir);
    assert_int_equal(rmdir(p->root), 0);
}

static struct err place_open(const struct place *p, enum kv_open_mode mode, struct kv_store **out)
{
    return kv_store_open_lmdb(p->dir, mode, table_names, TABLES, MIB, out);
}

static struct kv_store *place_opened(const struct place *p, enum kv_open_mode mode)
{
    struct kv_store *s = NULL;
    const struct err e = place_open(p, mode, &s);
    if (err_is(&e)) fail_msg("%s", e.text);
    return s;
}

static void check_refused(const struct place *p, enum kv_open_mode mode, enum err_code code)
{
    struct kv_store *s = NULL;
    const struct err e = place_open(p, mode, &s);
    assert_int_equal(e.code, code);
    assert_null(s);
    assert_true(strlen(e.text) > 0);
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

/* ---- rules of both stores ---- */

static void check_lookups_of_impossible_keys(struct kv_store *s)
{
    uint8_t longest[600];
    struct bytes key;
    struct bytes value;
    memset(longest, 0xff, sizeof longest);
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, 0, bytes_of(longest, 510), text("510"));
    kv_batch_put(b, 0, bytes_of(longest, 511), text("511"));
    longest[0] = 1;
    kv_batch_put(b, 0, bytes_of(longest, 511), text("low"));
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    kv_batch_free(b);
    assert_int_equal(kv_store_get(s, 0, bytes_of(NULL, 0), &value), KV_ABSENT);
    assert_int_equal(kv_store_get(s, 0, bytes_of(longest, 512), &value), KV_ABSENT);
    assert_int_equal(kv_store_get(s, 0, bytes_of(longest, 511), &value), KV_FOUND);
    /* A bound longer than any key: the next key above it. */
    assert_int_equal(kv_store_seek(s, 0, bytes_of(longest, 512), &key, &value), KV_FOUND);
    assert_true(bytes_equal(value, text("510")));
    longest[0] = 0xff;
    assert_int_equal(kv_store_seek(s, 0, bytes_of(longest, 511), &key, &value), KV_FOUND);
    assert_true(bytes_equal(value, text("511")));
    assert_int_equal(kv_store_seek(s, 0, bytes_of(longest, 512), &key, &value), KV_ABSENT);
}

static void check_empty_tables(struct kv_store *s)
{
    struct bytes key;
    struct bytes value;
    struct kv_batch *b = kv_batch_new();
    assert_true(kv_batch_empty(b));
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    assert_int_equal(kv_store_syncs(s), 0);
    assert_int_equal(kv_store_get(s, 1, text("a"), &value), KV_ABSENT);
    assert_int_equal(kv_store_seek(s, 1, bytes_of(NULL, 0), &key, &value), KV_ABSENT);
    assert_int_equal(kv_store_seek(s, 1, text("a"), &key, &value), KV_ABSENT);
    assert_int_equal(kv_store_last(s, 1, &key, &value), KV_ABSENT);
    kv_batch_delete(b, 1, text("a"));
    assert_false(kv_batch_empty(b));
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    assert_int_equal(kv_store_syncs(s), 1);
    kv_batch_free(b);
}

static void check_order_of_operations(struct kv_store *s)
{
    struct bytes key;
    struct bytes value;
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, 0, text("a"), text("first"));
    kv_batch_put(b, 0, text("a"), text("second"));
    kv_batch_put(b, 0, text("b"), text("gone"));
    kv_batch_delete(b, 0, text("b"));
    kv_batch_delete(b, 0, text("c"));
    kv_batch_put(b, 0, text("c"), text("back"));
    kv_batch_put(b, 0, text("d"), bytes_of(NULL, 0));
    kv_batch_put(b, 1, text("a"), text("another table"));
    assert_true(kv_batch_bytes(b) > 30);
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    assert_true(has(s, "a", "second"));
    assert_false(has(s, "b", "gone"));
    assert_true(has(s, "c", "back"));
    assert_true(has(s, "d", ""));
    assert_int_equal(kv_store_seek(s, 0, text("aa"), &key, &value), KV_FOUND);
    assert_true(bytes_equal(key, text("c")));
    assert_int_equal(kv_store_seek(s, 0, bytes_of(NULL, 0), &key, &value), KV_FOUND);
    assert_true(bytes_equal(key, text("a")));
    assert_int_equal(kv_store_seek(s, 0, text("e"), &key, &value), KV_ABSENT);
    assert_int_equal(kv_store_last(s, 0, &key, &value), KV_FOUND);
    assert_true(bytes_equal(key, text("d")));
    assert_int_equal(kv_store_last(s, 1, &key, &value), KV_FOUND);
    assert_true(bytes_equal(value, text("another table")));
    kv_batch_clear(b);
    assert_true(kv_batch_empty(b));
    assert_int_equal(kv_batch_bytes(b), 0);
    kv_batch_delete(b, 0, text("d"));
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    assert_int_equal(kv_store_last(s, 0, &key, &value), KV_FOUND);
    assert_true(bytes_equal(key, text("c")));
    kv_batch_free(b);
}

static void on_both(void (*check)(struct kv_store *))
{
    struct kv_store *s = kv_store_new_memory(TABLES);
    check(s);
    kv_store_close(s);
    const struct place p = place_new();
    s = place_opened(&p, KV_OPEN_CREATE);
    check(s);
    kv_store_close(s);
    place_remove(&p);
}

static void test_kv_store_impossible_keys_are_absent(void **state)
{
    (void)state;
    on_both(check_lookups_of_impossible_keys);
}

static void test_kv_store_empty_tables_have_nothing(void **state)
{
    (void)state;
    on_both(check_empty_tables);
}

static void test_kv_store_later_operations_of_a_batch_win(void **state)
{
    (void)state;
    on_both(check_order_of_operations);
}

static void put_no_key(void *context)
{
    kv_batch_put(context, 0, bytes_of(NULL, 0), text("v"));
}

static void put_long_key(void *context)
{
    static const uint8_t key[512];
    kv_batch_put(context, 0, bytes_of(key, sizeof key), text("v"));
}

static void put_unknown_table(void *context)
{
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, TABLES, text("k"), text("v"));
    const struct err e = kv_store_apply(context, b);
    (void)e;
}

static void test_kv_store_wrong_arguments_abort(void **state)
{
    (void)state;
    struct kv_batch *b = kv_batch_new();
    struct kv_store *s = kv_store_new_memory(TABLES);
    assert_true(aborts(put_no_key, b));
    assert_true(aborts(put_long_key, b));
    assert_true(aborts(put_unknown_table, s));
    kv_store_close(s);
    kv_store_close(NULL);
    kv_batch_free(b);
    kv_batch_free(NULL);
}

static void check_same(struct kv_store *a, struct kv_store *b)
{
    for (uint32_t t = 0; t < TABLES; t++) {
        uint8_t from[600];
        size_t len = 0;
        for (;;) {
            struct bytes key_a;
            struct bytes key_b;
            struct bytes value_a;
            struct bytes value_b;
            const enum kv_found found = kv_store_seek(a, t, bytes_of(from, len), &key_a, &value_a);
            assert_int_equal(found, kv_store_seek(b, t, bytes_of(from, len), &key_b, &value_b));
            if (found != KV_FOUND) break;
            assert_true(bytes_equal(key_a, key_b) && bytes_equal(value_a, value_b));
            memcpy(from, key_a.data, key_a.len);
            from[key_a.len] = 0;
            len = key_a.len + 1;
        }
    }
}

static void test_kv_store_random_batches_make_both_the_same(void **state)
{
    (void)state;
    static uint8_t value[20000];
    struct prng r = prng_of(7);
    const struct place p = place_new();
    struct kv_store *memory = kv_store_new_memory(TABLES);
    struct kv_store *file = place_opened(&p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    for (uint32_t round = 0; round < 60; round++) {
        const uint64_t ops = prng_below(&r, 80);
        kv_batch_clear(b);
        for (uint64_t i = 0; i < ops; i++) {
            const uint64_t k = prng_below(&r, 60);
            const struct bytes key = bytes_of(&k, 1 + prng_below(&r, 2));
            const uint32_t table = (uint32_t)prng_below(&r, TABLES);
            const size_t len = prng_below(&r, prng_below(&r, 4) == 0 ? sizeof value : 50);
            prng_fill(&r, value, len);
            if (prng_below(&r, 3) == 0)
                kv_batch_delete(b, table, key);
            else
                kv_batch_put(b, table, key, bytes_of(value, len));
        }
        assert_int_equal(kv_store_apply(memory, b).code, ERR_NONE);
        assert_int_equal(kv_store_apply(file, b).code, ERR_NONE);
        check_same(memory, file);
        if (round % 7 == 0) {
            kv_store_close(file);
            file = place_opened(&p, KV_OPEN_EXISTING);
            check_same(memory, file);
        }
    }
    kv_batch_free(b);
    kv_store_close(memory);
    kv_store_close(file);
    place_remove(&p);
}

/* ---- opening ---- */

static void test_kv_store_open_without_a_store_is_not_found(void **state)
{
    (void)state;
    struct place p = place_new();
    check_refused(&p, KV_OPEN_EXISTING, ERR_NOT_FOUND);
    check_refused(&p, KV_OPEN_READ_ONLY, ERR_NOT_FOUND);
    assert_int_equal(mkdir(p.dir, 0700), 0);
    check_refused(&p, KV_OPEN_EXISTING, ERR_NOT_FOUND);
    check_refused(&p, KV_OPEN_READ_ONLY, ERR_NOT_FOUND);
    assert_int_equal(rmdir(p.dir), 0);
    struct place below = p;
    (void)snprintf(below.dir, sizeof below.dir, "%s/no/store", p.root);
    check_refused(&below, KV_OPEN_CREATE, ERR_IO);
    place_remove(&p);
}

static void test_kv_store_open_with_an_impossible_path_is_config(void **state)
{
    (void)state;
    struct kv_store *s = NULL;
    char path[5000];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    struct err e = kv_store_open_lmdb(path, KV_OPEN_CREATE, table_names, TABLES, MIB, &s);
    assert_int_equal(e.code, ERR_CONFIG);
    e = kv_store_open_lmdb("", KV_OPEN_CREATE, table_names, TABLES, MIB, &s);
    assert_int_equal(e.code, ERR_CONFIG);
    e = kv_store_open_lmdb("/tmp", KV_OPEN_CREATE, table_names, TABLES, UINT64_MAX, &s);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_null(s);
}

static void test_kv_store_create_on_an_existing_one_is_config_and_harmless(void **state)
{
    (void)state;
    const struct place p = place_new();
    struct kv_store *s = place_opened(&p, KV_OPEN_CREATE);
    put_one(s, "k", "v");
    kv_store_close(s);
    check_refused(&p, KV_OPEN_CREATE, ERR_CONFIG);
    s = place_opened(&p, KV_OPEN_EXISTING);
    assert_true(has(s, "k", "v"));
    kv_store_close(s);
    place_remove(&p);
}

static void test_kv_store_create_is_private_and_synced(void **state)
{
    (void)state;
    struct stat st;
    const struct place p = place_new();
    dir_syncs = 0;
    struct kv_store *s = place_opened(&p, KV_OPEN_CREATE);
    assert_int_equal(dir_syncs, 2); /* the directory and its parent */
    assert_int_equal(stat(p.dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(p.data, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    kv_store_close(s);
    place_remove(&p);
}

static void test_kv_store_open_with_a_table_missing_is_corrupt(void **state)
{
    (void)state;
    struct kv_store *s = NULL;
    const struct place p = place_new();
    const struct err e = kv_store_open_lmdb(p.dir, KV_OPEN_CREATE, table_names, TABLES - 1, MIB, &s);
    assert_int_equal(e.code, ERR_NONE);
    kv_store_close(s);
    check_refused(&p, KV_OPEN_EXISTING, ERR_CORRUPT);
    check_refused(&p, KV_OPEN_READ_ONLY, ERR_CORRUPT);
    place_remove(&p);
}

/* ---- damaged files ---- */

/* A closed store with some hundred pages in use; gives its last page. */
static uint64_t make_store(const struct place *p)
{
    static uint8_t value[3000];
    struct kv_store *s = place_opened(p, KV_OPEN_CREATE);
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

static void overwrite(const struct place *p, off_t at, const void *data, size_t len)
{
    const int fd = open(p->data, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, at), (ssize_t)len);
    assert_int_equal(close(fd), 0);
}

static void check_corrupt(const struct place *p)
{
    check_refused(p, KV_OPEN_EXISTING, ERR_CORRUPT);
    check_refused(p, KV_OPEN_READ_ONLY, ERR_CORRUPT);
}

static void test_kv_store_cut_file_is_corrupt(void **state)
{
    (void)state;
    const struct place p = place_new();
    const uint64_t last = make_store(&p);
    assert_true(last > 100);
    /* All pages in use: a reader needs no more. */
    assert_int_equal(truncate(p.data, (off_t)((last + 1) * PAGE)), 0);
    struct kv_store *s = place_opened(&p, KV_OPEN_READ_ONLY);
    kv_store_close(s);
    const uint64_t lengths[] = {
        (last + 1) * PAGE - 1, last * PAGE, 2 * PAGE, 2 * PAGE - 1, PAGE + 151, PAGE, 152, 151, 16, 1, 0};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_int_equal(truncate(p.data, (off_t)lengths[i]), 0);
        check_corrupt(&p);
    }
    place_remove(&p);
}

static void test_kv_store_garbage_file_is_corrupt(void **state)
{
    (void)state;
    static uint8_t garbage[10 * PAGE];
    struct prng r = prng_of(3);
    const struct place p = place_new();
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
    place_remove(&p);
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
        const struct place p = place_new();
        (void)make_store(&p);
        overwrite(&p, damages[i].at, &damages[i].value, damages[i].len);
        check_corrupt(&p);
        place_remove(&p);
    }
}

/* LMDB does not write pages that a transaction frees again, even at the end of the file: the reason why the file is
 * allocated in advance. Without that the newest meta page speaks of pages that the file does not have. */
static void test_kv_store_pages_freed_unwritten_do_not_look_cut(void **state)
{
    (void)state;
    static uint8_t value[400000];
    const struct place p = place_new();
    struct kv_store *s = place_opened(&p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    for (uint32_t round = 0; round < 40; round++) {
        kv_batch_clear(b);
        for (uint32_t i = 0; i < 6; i++)
            kv_batch_put(b, 0, text("k"), bytes_of(value, sizeof value - 50000 * i));
        kv_batch_delete(b, 0, text("k"));
        assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
        kv_store_close(s);
        s = place_opened(&p, KV_OPEN_EXISTING);
    }
    kv_batch_free(b);
    kv_store_close(s);
    place_remove(&p);
}

/* ---- growth and full disks ---- */

static void test_kv_store_map_grows_from_one_mib_to_fifty(void **state)
{
    (void)state;
    const size_t len = 64u << 10;
    uint8_t *value = mem_zero(1, len);
    const struct place p = place_new();
    struct kv_store *s = place_opened(&p, KV_OPEN_CREATE);
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
    s = place_opened(&p, KV_OPEN_EXISTING);
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
    place_remove(&p);
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
    const struct place p = place_new();
    struct kv_store *s = place_opened(&p, KV_OPEN_CREATE);
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
    s = place_opened(&p, KV_OPEN_EXISTING);
    assert_true(has(s, "small", "2"));
    kv_store_close(s);
    place_remove(&p);
}

static void test_kv_store_full_disk_still_takes_what_fits(void **state)
{
    (void)state;
    static uint8_t value[300];
    const struct place p = place_new();
    struct kv_store *s = place_opened(&p, KV_OPEN_CREATE);
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
    place_remove(&p);
}

/* ---- syncs ---- */

static void test_kv_store_each_batch_is_one_sync(void **state)
{
    (void)state;
    const struct place p = place_new();
    struct kv_store *s = place_opened(&p, KV_OPEN_CREATE);
    const uint32_t before = data_syncs;
    put_one(s, "a", "1");
    put_one(s, "b", "2");
    assert_int_equal(kv_store_syncs(s), 2);
    assert_int_equal(data_syncs, before + 2);
    kv_store_close(s);
    place_remove(&p);
}

static void test_kv_store_failed_sync_is_never_tried_again(void **state)
{
    (void)state;
    const struct place p = place_new();
    struct kv_store *s = place_opened(&p, KV_OPEN_CREATE);
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
    place_remove(&p);
}

/* ---- readers in other processes ---- */

static void wait_for(int fd)
{
    char c;
    if (read(fd, &c, 1) != 1) _exit(99);
}

static void tell(int fd)
{
    if (write(fd, "x", 1) != 1) _exit(98);
}

/* The reader's side; its exit code is the number of the step that failed. */
static int reader_child(const struct place *p, int from_writer, int to_writer)
{
    struct kv_store *s = NULL;
    wait_for(from_writer);
    const struct err e = place_open(p, KV_OPEN_READ_ONLY, &s);
    if (err_is(&e)) return 1;
    if (!has(s, "k", "1")) return 2;
    tell(to_writer);
    wait_for(from_writer);
    /* The writer has gone on, far beyond this process's map; the snapshot stands until refresh. */
    if (!has(s, "k", "1")) return 3;
    kv_store_refresh(s);
    if (!has(s, "k", "2")) return 4;
    struct bytes key;
    struct bytes value;
    if (kv_store_last(s, 1, &key, &value) != KV_FOUND || value.len != 8 * MIB) return 5;
    kv_store_close(s);
    return 0;
}

static void test_kv_store_reader_beside_a_writer_sees_snapshots(void **state)
{
    (void)state;
    int to_reader[2];
    int to_writer[2];
    const struct place p = place_new();
    assert_int_equal(pipe(to_reader), 0);
    assert_int_equal(pipe(to_writer), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(reader_child(&p, to_reader[0], to_writer[1]));
    struct kv_store *s = place_opened(&p, KV_OPEN_CREATE);
    put_one(s, "k", "1");
    tell(to_reader[1]);
    wait_for(to_writer[0]);
    struct kv_batch *b = kv_batch_new();
    uint8_t *value = mem_zero(1, 8 * MIB);
    kv_batch_put(b, 0, text("k"), text("2"));
    kv_batch_put(b, 1, text("large"), bytes_of(value, 8 * MIB));
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    tell(to_reader[1]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    free(value);
    kv_batch_free(b);
    kv_store_close(s);
    for (int i = 0; i < 2; i++) {
        (void)close(to_reader[i]);
        (void)close(to_writer[i]);
    }
    place_remove(&p);
}

static int unprivileged_child(const struct place *p)
{
    struct kv_store *s = NULL;
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) return 1;
    struct err e = place_open(p, KV_OPEN_READ_ONLY, &s);
    if (err_is(&e)) return 2;
    if (!has(s, "k", "v")) return 3;
    kv_store_close(s);
    e = place_open(p, KV_OPEN_EXISTING, &s);
    return e.code == ERR_IO ? 0 : 4;
}

static void test_kv_store_reader_without_rights_to_the_lock_file_reads(void **state)
{
    (void)state;
    const struct place p = place_new();
    struct kv_store *s = place_opened(&p, KV_OPEN_CREATE);
    put_one(s, "k", "v");
    kv_store_close(s);
    assert_int_equal(chmod(p.data, 0444), 0);
    assert_int_equal(chmod(p.root, 0755), 0);
    assert_int_equal(chmod(p.dir, 0555), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(unprivileged_child(&p));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(chmod(p.dir, 0700), 0);
    place_remove(&p);
}

static void apply_one(void *context)
{
    put_one(context, "k", "w");
}

static void test_kv_store_batch_on_a_reader_aborts(void **state)
{
    (void)state;
    const struct place p = place_new();
    struct kv_store *s = place_opened(&p, KV_OPEN_CREATE);
    put_one(s, "k", "v");
    kv_store_close(s);
    s = place_opened(&p, KV_OPEN_READ_ONLY);
    assert_true(aborts(apply_one, s));
    assert_true(has(s, "k", "v"));
    kv_store_close(s);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kv_store_impossible_keys_are_absent),
        cmocka_unit_test(test_kv_store_empty_tables_have_nothing),
        cmocka_unit_test(test_kv_store_later_operations_of_a_batch_win),
        cmocka_unit_test(test_kv_store_wrong_arguments_abort),
        cmocka_unit_test(test_kv_store_random_batches_make_both_the_same),
        cmocka_unit_test(test_kv_store_open_without_a_store_is_not_found),
        cmocka_unit_test(test_kv_store_open_with_an_impossible_path_is_config),
        cmocka_unit_test(test_kv_store_create_on_an_existing_one_is_config_and_harmless),
        cmocka_unit_test(test_kv_store_create_is_private_and_synced),
        cmocka_unit_test(test_kv_store_open_with_a_table_missing_is_corrupt),
        cmocka_unit_test(test_kv_store_cut_file_is_corrupt),
        cmocka_unit_test(test_kv_store_garbage_file_is_corrupt),
        cmocka_unit_test(test_kv_store_damaged_meta_page_is_corrupt),
        cmocka_unit_test(test_kv_store_pages_freed_unwritten_do_not_look_cut),
        cmocka_unit_test(test_kv_store_map_grows_from_one_mib_to_fifty),
        cmocka_unit_test(test_kv_store_full_disk_is_no_space_and_applies_nothing),
        cmocka_unit_test(test_kv_store_full_disk_still_takes_what_fits),
        cmocka_unit_test(test_kv_store_each_batch_is_one_sync),
        cmocka_unit_test(test_kv_store_failed_sync_is_never_tried_again),
        cmocka_unit_test(test_kv_store_reader_beside_a_writer_sees_snapshots),
        cmocka_unit_test(test_kv_store_reader_without_rights_to_the_lock_file_reads),
        cmocka_unit_test(test_kv_store_batch_on_a_reader_aborts),
    };
    return cmocka_run_group_tests_name("kv_store", tests, NULL, NULL);
}
