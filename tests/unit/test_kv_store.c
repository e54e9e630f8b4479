/* test_kv_store.c - both stores against the same rules; opening of files; readers in other processes. What only files
 * can do wrong is in test_kv_store_files.c.
 */
#include "base/prng.h"
#include "ledger/kv_store.h"
#include "tests/fixture/aborts.h"
#include "tests/fixture/kv_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TABLES KV_PLACE_TABLES
#define MIB (1ull << 20)

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

/* Between two copied operations; the copies' buffer moves as it grows. */
static void check_lent_operations(struct kv_store *s)
{
    char key[] = "lent";
    char value[1000];
    struct bytes got;
    struct kv_batch *b = kv_batch_new();
    memset(value, 'x', sizeof value);
    kv_batch_put(b, 0, text("lent and gone"), text("1"));
    kv_batch_put_lent(b, 0, text(key), bytes_of(value, sizeof value));
    kv_batch_delete_lent(b, 0, text("lent and gone"));
    for (uint32_t i = 0; i < 300; i++)
        kv_batch_put(b, 0, bytes_of(&i, sizeof i), bytes_of(value, i));
    value[0] = 'y'; /* not copied */
    assert_true(kv_batch_bytes(b) > sizeof value);
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    kv_batch_free(b);
    assert_int_equal(kv_store_get(s, 0, text("lent"), &got), KV_FOUND);
    assert_true(bytes_equal(got, bytes_of(value, sizeof value)));
    assert_int_equal(kv_store_get(s, 0, text("lent and gone"), &got), KV_ABSENT);
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(kv_store_get(s, 0, bytes_of(&i, sizeof i), &got), KV_FOUND);
        assert_int_equal(got.len, i);
    }
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
    const struct kv_place p = kv_place_new();
    s = kv_place_opened(&p, KV_OPEN_CREATE);
    check(s);
    kv_store_close(s);
    kv_place_remove(&p);
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

static void test_kv_store_applies_what_was_lent(void **state)
{
    (void)state;
    on_both(check_lent_operations);
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
    const struct kv_place p = kv_place_new();
    struct kv_store *memory = kv_store_new_memory(TABLES);
    struct kv_store *file = kv_place_opened(&p, KV_OPEN_CREATE);
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
            file = kv_place_opened(&p, KV_OPEN_EXISTING);
            check_same(memory, file);
        }
    }
    kv_batch_free(b);
    kv_store_close(memory);
    kv_store_close(file);
    kv_place_remove(&p);
}

/* ---- opening ---- */

static void test_kv_store_open_without_a_store_is_not_found(void **state)
{
    (void)state;
    struct kv_place p = kv_place_new();
    kv_place_check_refused(&p, KV_OPEN_EXISTING, ERR_NOT_FOUND);
    kv_place_check_refused(&p, KV_OPEN_READ_ONLY, ERR_NOT_FOUND);
    assert_int_equal(mkdir(p.dir, 0700), 0);
    kv_place_check_refused(&p, KV_OPEN_EXISTING, ERR_NOT_FOUND);
    kv_place_check_refused(&p, KV_OPEN_READ_ONLY, ERR_NOT_FOUND);
    assert_int_equal(rmdir(p.dir), 0);
    struct kv_place below = p;
    (void)snprintf(below.dir, sizeof below.dir, "%s/no/store", p.root);
    kv_place_check_refused(&below, KV_OPEN_CREATE, ERR_IO);
    kv_place_remove(&p);
}

static void test_kv_store_open_with_an_impossible_path_is_config(void **state)
{
    (void)state;
    struct kv_store *s = NULL;
    char path[5000];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    struct err e = kv_store_open_lmdb(path, KV_OPEN_CREATE, kv_place_tables, TABLES, MIB, &s);
    assert_int_equal(e.code, ERR_CONFIG);
    e = kv_store_open_lmdb("", KV_OPEN_CREATE, kv_place_tables, TABLES, MIB, &s);
    assert_int_equal(e.code, ERR_CONFIG);
    e = kv_store_open_lmdb("/tmp", KV_OPEN_CREATE, kv_place_tables, TABLES, UINT64_MAX, &s);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_null(s);
}

static void test_kv_store_create_on_an_existing_one_is_config_and_harmless(void **state)
{
    (void)state;
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    put_one(s, "k", "v");
    kv_store_close(s);
    kv_place_check_refused(&p, KV_OPEN_CREATE, ERR_CONFIG);
    s = kv_place_opened(&p, KV_OPEN_EXISTING);
    assert_true(has(s, "k", "v"));
    kv_store_close(s);
    kv_place_remove(&p);
}

static void test_kv_store_open_with_a_table_missing_is_corrupt(void **state)
{
    (void)state;
    struct kv_store *s = NULL;
    const struct kv_place p = kv_place_new();
    const struct err e = kv_store_open_lmdb(p.dir, KV_OPEN_CREATE, kv_place_tables, TABLES - 1, MIB, &s);
    assert_int_equal(e.code, ERR_NONE);
    kv_store_close(s);
    kv_place_check_refused(&p, KV_OPEN_EXISTING, ERR_CORRUPT);
    kv_place_check_refused(&p, KV_OPEN_READ_ONLY, ERR_CORRUPT);
    kv_place_remove(&p);
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
static int reader_child(const struct kv_place *p, int from_writer, int to_writer)
{
    struct kv_store *s = NULL;
    wait_for(from_writer);
    const struct err e = kv_place_open(p, KV_OPEN_READ_ONLY, &s);
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
    const struct kv_place p = kv_place_new();
    assert_int_equal(pipe(to_reader), 0);
    assert_int_equal(pipe(to_writer), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(reader_child(&p, to_reader[0], to_writer[1]));
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
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
    kv_place_remove(&p);
}

static int unprivileged_child(const struct kv_place *p)
{
    struct kv_store *s = NULL;
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) return 1;
    struct err e = kv_place_open(p, KV_OPEN_READ_ONLY, &s);
    if (err_is(&e)) return 2;
    if (!has(s, "k", "v")) return 3;
    kv_store_close(s);
    e = kv_place_open(p, KV_OPEN_EXISTING, &s);
    return e.code == ERR_IO ? 0 : 4;
}

static void test_kv_store_reader_without_rights_to_the_lock_file_reads(void **state)
{
    (void)state;
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
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
    kv_place_remove(&p);
}

static void apply_one(void *context)
{
    put_one(context, "k", "w");
}

static void test_kv_store_batch_on_a_reader_aborts(void **state)
{
    (void)state;
    const struct kv_place p = kv_place_new();
    struct kv_store *s = kv_place_opened(&p, KV_OPEN_CREATE);
    put_one(s, "k", "v");
    kv_store_close(s);
    s = kv_place_opened(&p, KV_OPEN_READ_ONLY);
    assert_true(aborts(apply_one, s));
    assert_true(has(s, "k", "v"));
    kv_store_close(s);
    kv_place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kv_store_impossible_keys_are_absent),
        cmocka_unit_test(test_kv_store_empty_tables_have_nothing),
        cmocka_unit_test(test_kv_store_later_operations_of_a_batch_win),
        cmocka_unit_test(test_kv_store_applies_what_was_lent),
        cmocka_unit_test(test_kv_store_wrong_arguments_abort),
        cmocka_unit_test(test_kv_store_random_batches_make_both_the_same),
        cmocka_unit_test(test_kv_store_open_without_a_store_is_not_found),
        cmocka_unit_test(test_kv_store_open_with_an_impossible_path_is_config),
        cmocka_unit_test(test_kv_store_create_on_an_existing_one_is_config_and_harmless),
        cmocka_unit_test(test_kv_store_open_with_a_table_missing_is_corrupt),
        cmocka_unit_test(test_kv_store_reader_beside_a_writer_sees_snapshots),
        cmocka_unit_test(test_kv_store_reader_without_rights_to_the_lock_file_reads),
        cmocka_unit_test(test_kv_store_batch_on_a_reader_aborts),
    };
    return cmocka_run_group_tests_name("kv_store", tests, NULL, NULL);
}
