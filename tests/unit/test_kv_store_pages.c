/* test_kv_store_pages.c - the pages of the files: good ones pass, damaged ones are found before LMDB sees them, and
 * what an open does not look at is refused by the read that meets it. Each image is opened in a process of its own,
 * with a time.
 */
#include "base/prng.h"
#include "ledger/kv_store.h"
#include "tests/fixture/ends_process.h"
#include "tests/fixture/kv_place.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TABLES KV_PLACE_TABLES
#define PAGE 4096u
#define IMAGE_SECONDS_MAX 10u
#define IMAGES 500u
#define WALK_MAX 100000u

/* ---- environments ---- */

static void fill(struct prng *r, struct kv_batch *b, uint32_t ops, uint32_t keys, uint32_t deletes_of_4)
{
    static uint8_t value[30000];
    for (uint32_t i = 0; i < ops; i++) {
        uint8_t key[300];
        const uint64_t k = prng_below(r, keys);
        const uint32_t table = (uint32_t)prng_below(r, TABLES);
        const size_t key_len = 8 + (size_t)(k % 7 == 0 ? 200 + k % 90 : k % 20);
        memset(key, (int)(k % 251), sizeof key);
        memcpy(key, &k, sizeof k);
        const size_t len = prng_below(r, prng_below(r, 9) == 0 ? sizeof value : 300);
        prng_fill(r, value, len);
        if (prng_below(r, 4) < deletes_of_4)
            kv_batch_delete(b, table, bytes_of(key, key_len));
        else
            kv_batch_put(b, table, bytes_of(key, key_len), bytes_of(value, len));
    }
}

/* One of some hundred pages: three levels, runs of pages, free pages. */
static void make_store(const struct kv_place *p)
{
    struct prng r = prng_of(11);
    struct kv_store *s = kv_place_opened(p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    for (uint32_t round = 0; round < 12; round++) {
        kv_batch_clear(b);
        fill(&r, b, 200, 500, round % 2);
        assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    }
    kv_batch_free(b);
    kv_store_close(s);
}

static uint8_t *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *len = (size_t)ftell(f);
    rewind(f);
    uint8_t *out = mem_alloc(*len);
    assert_int_equal(fread(out, 1, *len, f), *len);
    assert_int_equal(fclose(f), 0);
    return out;
}

static void overwrite(const char *path, size_t at, const void *data, size_t len)
{
    const int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, (off_t)at), (ssize_t)len);
    assert_int_equal(close(fd), 0);
}

static uint64_t number_at(const uint8_t *at, size_t len)
{
    uint64_t value = 0;
    memcpy(&value, at, len);
    return value;
}

/* Of the newer meta page: where it begins. */
static size_t newest(const uint8_t *file)
{
    return number_at(file + 144, 8) > number_at(file + PAGE + 144, 8) ? 0 : PAGE;
}

static uint64_t last_page(const uint8_t *file)
{
    return number_at(file + newest(file) + 136, 8);
}

/* ---- what a process says of an image ---- */

/* All of it is read: by the walk, and each item by its key. */
static enum err_code read_all(struct kv_store *s)
{
    for (uint32_t t = 0; t < TABLES; t++) {
        uint8_t from[600];
        size_t len = 0;
        uint64_t sum = 0;
        for (uint32_t count = 0;; count++) {
            struct bytes key;
            struct bytes value;
            if (count == WALK_MAX) return ERR_LIMIT;
            const enum kv_found found = kv_store_seek(s, t, bytes_of(from, len), &key, &value);
            if (found == KV_FAILED) return kv_store_fault(s).code;
            if (found == KV_ABSENT) break;
            for (size_t i = 0; i < value.len; i++)
                sum += value.data[i];
            memcpy(from, key.data, key.len);
            from[key.len] = 0;
            len = key.len + 1;
            if (kv_store_get(s, t, bytes_of(from, len - 1), &value) != KV_FOUND) return ERR_REFUSED;
        }
        if (sum == UINT64_MAX) return ERR_LIMIT;
    }
    return ERR_NONE;
}

struct image {
    const struct kv_place *place;
    enum kv_open_mode mode;
};

static struct err open_and_read(void *context)
{
    const struct image *im = context;
    struct kv_store *s = NULL;
    struct err e = kv_place_open(im->place, im->mode, &s);
    if (err_is(&e)) return e;
    e.code = read_all(s);
    kv_store_close(s);
    return e;
}

/* The code with which opening and reading ended; the text goes to `text`. */
static enum err_code try_image(const struct kv_place *p, enum kv_open_mode mode, char text[ERR_TEXT_BYTES])
{
    struct image im = {p, mode};
    const struct err got = apart(open_and_read, &im, IMAGE_SECONDS_MAX);
    memcpy(text, got.text, ERR_TEXT_BYTES);
    return got.code;
}

static void damage(struct prng *r, const char *path, const uint8_t *file, uint64_t pages)
{
    const uint64_t kind = prng_below(r, 6);
    const uint64_t count = prng_below(r, 3) == 0 ? 1 + prng_below(r, 30) : 1;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t garbage[24];
        size_t at = (size_t)(prng_below(r, pages) * PAGE + prng_below(r, PAGE));
        size_t len = 1;
        prng_fill(r, garbage, sizeof garbage);
        if (kind == 0) garbage[0] = (uint8_t)(file[at] ^ (1u << prng_below(r, 8)));
        if (kind >= 2) at = at / PAGE * PAGE;
        if (kind == 2) len = sizeof garbage;
        if (kind >= 3) at += 8 + prng_below(r, 56); /* the header and the list of nodes */
        overwrite(path, at, garbage, len);
    }
}

/* ---- tests ---- */

static void test_kv_store_pages_of_any_batches_are_good(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct prng r = prng_of(seed);
        const struct kv_place p = kv_place_new();
        struct kv_batch *b = kv_batch_new();
        kv_store_close(kv_place_opened(&p, KV_OPEN_CREATE));
        kv_store_close(kv_place_opened(&p, KV_OPEN_CHECKED));
        for (uint32_t round = 0; round < 40; round++) {
            struct kv_store *s = kv_place_opened(&p, KV_OPEN_EXISTING);
            for (uint64_t k = prng_below(&r, 4); k < 4; k++) {
                kv_batch_clear(b);
                fill(&r, b, 1 + (uint32_t)prng_below(&r, round % 9 == 0 ? 600 : 20), 40 * (uint32_t)seed * 10,
                     round % 20 > 13 ? 4 : (uint32_t)prng_below(&r, 4));
                assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
            }
            kv_store_close(s);
            s = kv_place_opened(&p, KV_OPEN_CHECKED);
            assert_int_equal(read_all(s), ERR_NONE);
            kv_store_close(s);
        }
        kv_batch_free(b);
        kv_place_remove(&p);
    }
}

static void test_kv_store_pages_damaged_at_random_are_found_or_harmless(void **state)
{
    (void)state;
    char text[ERR_TEXT_BYTES];
    size_t len;
    uint32_t found = 0;
    const struct kv_place p = kv_place_new();
    make_store(&p);
    uint8_t *file = read_file(p.data, &len);
    const uint64_t pages = last_page(file) + 1;
    assert_in_range(pages, 200, len / PAGE);
    for (uint64_t seed = 1; seed <= IMAGES; seed++) {
        struct prng r = prng_of(seed);
        const enum kv_open_mode mode = seed % 2 == 0 ? KV_OPEN_CHECKED : KV_OPEN_EXISTING;
        overwrite(p.data, 0, file, pages * PAGE);
        damage(&r, p.data, file, pages);
        const enum err_code code = try_image(&p, mode, text);
        if (code != ERR_NONE && code != ERR_CORRUPT) fail_msg("seed %llu: %s", (unsigned long long)seed, text);
        if (code == ERR_CORRUPT && strstr(text, p.dir) == NULL)
            fail_msg("seed %llu: no place in: %s", (unsigned long long)seed, text);
        if (code == ERR_CORRUPT) found++;
    }
    assert_in_range(found, IMAGES / 8, IMAGES);
    free(file);
    kv_place_remove(&p);
}

/* Every page in use is reached by one way or another: with the number of another page, it is named. */
static void test_kv_store_pages_each_in_use_is_looked_at(void **state)
{
    (void)state;
    char text[ERR_TEXT_BYTES];
    char words[64];
    size_t len;
    uint32_t kinds[5] = {0};
    const struct kv_place p = kv_place_new();
    make_store(&p);
    uint8_t *file = read_file(p.data, &len);
    for (uint64_t page = 2; page <= last_page(file); page++) {
        const uint8_t *at = file + page * PAGE;
        const uint64_t other = page + 1;
        overwrite(p.data, page * PAGE, &other, sizeof other);
        const enum err_code code = try_image(&p, KV_OPEN_CHECKED, text);
        overwrite(p.data, page * PAGE, at, 8);
        if (code == ERR_NONE) continue;
        assert_int_equal(code, ERR_CORRUPT);
        (void)snprintf(words, sizeof words, "page %llu (", (unsigned long long)page);
        if (strstr(text, words) == NULL) fail_msg("page %llu: %s", (unsigned long long)page, text);
        kinds[number_at(at + 10, 2) & 7u]++;
    }
    assert_in_range(kinds[1], 3, 1000); /* branches, leaves, runs */
    assert_in_range(kinds[2], 60, 1000);
    assert_in_range(kinds[4], 20, 1000);
    free(file);
    kv_place_remove(&p);
}

/* ---- one rule at a time ---- */

struct finding {
    size_t at; /* in the file */
    uint64_t value;
    size_t len;
    const char *words;
};

static void check_finding(const struct kv_place *p, const uint8_t *file, const struct finding *f)
{
    char text[ERR_TEXT_BYTES];
    overwrite(p->data, f->at, &f->value, f->len);
    const enum err_code code = try_image(p, KV_OPEN_CHECKED, text);
    overwrite(p->data, f->at, file + f->at, f->len);
    if (code != ERR_CORRUPT || strstr(text, f->words) == NULL) fail_msg("wanted \"%s\", got \"%s\"", f->words, text);
}

/* The page of this kind with the most nodes among those below the root of table "one"; its root is a branch. */
static size_t page_below(const uint8_t *file, size_t root, uint32_t index)
{
    const uint8_t *node = file + root + number_at(file + root + 16 + (size_t)2 * index, 2);
    return (size_t)(number_at(node, 4) | number_at(node + 4, 2) << 32) * PAGE;
}

static size_t node_of(const uint8_t *file, size_t page, uint32_t index)
{
    return page + number_at(file + page + 16 + (size_t)2 * index, 2);
}

static void test_kv_store_pages_each_rule_of_a_page_is_checked(void **state)
{
    (void)state;
    size_t len;
    const struct kv_place p = kv_place_new();
    make_store(&p);
    uint8_t *file = read_file(p.data, &len);
    const size_t meta = newest(file);
    const size_t tables = number_at(file + meta + 88 + 40, 8) * PAGE;
    const size_t record = node_of(file, tables, 0) + 8 + 3; /* of the table "one" */
    assert_memory_equal(file + record - 3, "one", 3);
    const size_t root = number_at(file + record + 40, 8) * PAGE;
    assert_true(number_at(file + record + 6, 2) >= 2);
    const size_t below = page_below(file, root, 1);
    const size_t leaf = number_at(file + below + 10, 2) == 2 ? below : page_below(file, below, 1);
    const size_t second = node_of(file, leaf, 1);
    const size_t free_root = number_at(file + meta + 40 + 40, 8) * PAGE;
    assert_int_equal(number_at(file + free_root + 10, 2), 2);
    const size_t free_node = node_of(file, free_root, 0);
    const struct finding findings[] = {
        {root + 10, 2, 2, "(one) is damaged: it is no branch"},
        {leaf + 10, 1, 2, "(one) is damaged: it is no leaf"},
        {leaf + 12, 8, 2, "the bounds of its nodes"},
        {leaf + 12, 0xfff0, 2, "the bounds of its nodes"},
        {leaf + 14, 0x1002, 2, "the bounds of its nodes"},
        {leaf + 12, 16, 2, "it has too few nodes"},
        {root + 12, 18, 2, "it has too few nodes"},
        {leaf + 16, 16, 2, "a node lies outside"},
        {leaf + 16, 0xfffe, 2, "a node lies outside"},
        {leaf + 16, number_at(file + leaf + 16, 2) + 1, 2, "a node lies outside"},
        {second + 6, 512, 2, "a key is longer"},
        {second, 4096, 4, "a value reaches out"},
        {second, UINT32_MAX, 4, "a value reaches out"},
        {second + 4, 4, 2, "flags that there are not"},
        {second + 8, 0, 8, "its keys are not in order"},
        {node_of(file, root, 1), 1, 4, "it names a page that there is not"},
        {node_of(file, root, 1), last_page(file) + 1, 4, "it names a page that there is not"},
        {node_of(file, root, 1), root / PAGE, 4, "it names a page that is also used elsewhere"},
        {node_of(file, root, 1) + 8, UINT64_MAX, 8, "its keys are not in order"},
        {record + 4, 4, 2, "has other flags"},
        {record + 6, 0, 2, "a depth that it cannot have"},
        {record + 6, 33, 2, "a depth that it cannot have"},
        {record + 6, 1, 2, "it is no leaf"},
        {record + 32, 1, 8, "counts other pages or items"},
        {record + 40, 1, 8, "it names a page that there is not"},
        {record - 3, 'x', 1, "a table of it has an unknown name"},
        {record - 3 - 4, 0, 2, "an item of it is no table"},
        {meta + 88 + 4, 4, 2, "(the table of tables) is damaged: the record of the table has other flags"},
        {meta + 40 + 6, 0, 2, "(the list of free pages) is damaged: the record of the table has a depth"},
        {meta + 144, 1ull << 40, 8, "damaged meta page"},
        {meta + 136, 2, 8, "page that there is not"},
        {free_node + 8, UINT64_MAX, 8, "(the list of free pages) is damaged: it is of a transaction that has not been"},
        {free_node, 9, 4, "its nodes overlap"},
    };
    for (size_t i = 0; i < sizeof findings / sizeof *findings; i++)
        check_finding(&p, file, &findings[i]);
    free(file);
    kv_place_remove(&p);
}

/* ---- beyond what an open looks at ---- */

/* A table of more leaves than that. */
static uint8_t *make_wide(const struct kv_place *p, size_t *len)
{
    static uint8_t value[1000];
    struct kv_store *s = kv_place_opened(p, KV_OPEN_CREATE);
    struct kv_batch *b = kv_batch_new();
    memset(value, 0xff, sizeof value);
    for (uint32_t i = 0; i < 6000; i++) {
        uint8_t key[8];
        be64_put(key, i);
        kv_batch_put(b, 0, bytes_of(key, sizeof key), bytes_of(value, sizeof value));
    }
    assert_int_equal(kv_store_apply(s, b).code, ERR_NONE);
    kv_batch_free(b);
    kv_store_close(s);
    return read_file(p->data, len);
}

static size_t first_leaf(const uint8_t *file, size_t *branch)
{
    const size_t tables = number_at(file + newest(file) + 88 + 40, 8) * PAGE;
    size_t page = number_at(file + node_of(file, tables, 0) + 8 + 3 + 40, 8) * PAGE;
    while (number_at(file + page + 10, 2) == 1) {
        *branch = page;
        page = page_below(file, page, 0);
    }
    return page;
}

/* An open does not see it, a check does; reads refuse it instead of following it. */
static void test_kv_store_pages_damage_met_by_a_read_is_corrupt(void **state)
{
    (void)state;
    char text[ERR_TEXT_BYTES];
    size_t len;
    size_t branch = 0;
    const struct kv_place p = kv_place_new();
    uint8_t *file = make_wide(&p, &len);
    const size_t leaf = first_leaf(file, &branch);
    const size_t second_leaf = page_below(file, branch, 1);
    const struct finding findings[] = {
        {node_of(file, leaf, 0), UINT32_MAX, 4, ""},   /* a value of 4 GiB */
        {node_of(file, leaf, 0) + 6, 0, 2, ""},        /* no key */
        {node_of(file, second_leaf, 0) + 8, 0, 8, ""}, /* the first key again: a walk would go round */
        {node_of(file, leaf, 0) + 4, 1, 2, ""},        /* a value in pages that there are not */
        {leaf + 10, 4, 2, ""},                         /* no leaf */
    };
    for (size_t i = 0; i < sizeof findings / sizeof *findings; i++) {
        const struct finding *f = &findings[i];
        overwrite(p.data, f->at, &f->value, f->len);
        assert_int_equal(try_image(&p, KV_OPEN_CHECKED, text), ERR_CORRUPT);
        assert_non_null(strstr(text, "page "));
        if (try_image(&p, KV_OPEN_EXISTING, text) != ERR_CORRUPT) fail_msg("%zu is read", i);
        if (strstr(text, "page ") != NULL) fail_msg("the open has seen %zu: %s", i, text);
        overwrite(p.data, f->at, file + f->at, f->len);
    }
    const uint64_t far = 1ull << 40; /* but it looks at all branches */
    overwrite(p.data, node_of(file, branch, 3), &far, 6);
    assert_int_equal(try_image(&p, KV_OPEN_EXISTING, text), ERR_CORRUPT);
    assert_non_null(strstr(text, "it names a page that there is not"));
    free(file);
    kv_place_remove(&p);
}

/* The first read that fails says why, and so do those after it, of whatever else. */
static void test_kv_store_pages_reads_after_a_failed_one_give_its_fault(void **state)
{
    (void)state;
    static const uint8_t first[8];
    static const uint8_t other[8] = {[6] = 2};
    size_t len;
    size_t branch = 0;
    struct bytes value;
    const struct kv_place p = kv_place_new();
    uint8_t *file = make_wide(&p, &len);
    const size_t node = node_of(file, first_leaf(file, &branch), 0);
    const uint32_t huge = UINT32_MAX;
    const uint16_t run = 1; /* the value names the page of one, which there is not */
    for (uint32_t i = 0; i < 2; i++) {
        overwrite(p.data, node, file + node, 8);
        if (i == 0)
            overwrite(p.data, node, &huge, sizeof huge);
        else
            overwrite(p.data, node + 4, &run, sizeof run);
        struct kv_store *s = kv_place_opened(&p, KV_OPEN_EXISTING);
        assert_int_equal(kv_store_get(s, 0, bytes_of(other, sizeof other), &value), KV_FOUND);
        assert_int_equal(kv_store_get(s, 0, bytes_of(first, sizeof first), &value), KV_FAILED);
        const struct err why = kv_store_fault(s);
        assert_int_equal(why.code, ERR_CORRUPT);
        assert_non_null(strstr(why.text, p.dir));
        if (i == 1) assert_int_equal(kv_store_get(s, 0, bytes_of(other, sizeof other), &value), KV_FAILED);
        assert_string_equal(kv_store_fault(s).text, why.text);
        kv_store_close(s);
    }
    free(file);
    kv_place_remove(&p);
}

/* What LMDB itself rules out ends the process, with a line that says where and what to do. */
static void test_kv_store_pages_damage_that_lmdb_asserts_against_ends_with_a_line(void **state)
{
    (void)state;
    char line[2000];
    int ends[2];
    int status;
    size_t len;
    size_t branch = 0;
    const struct kv_place p = kv_place_new();
    uint8_t *file = make_wide(&p, &len);
    const uint16_t branch_of_one[] = {1, 18};
    overwrite(p.data, first_leaf(file, &branch) + 10, branch_of_one, sizeof branch_of_one);
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        (void)alarm(IMAGE_SECONDS_MAX);
        (void)read_all(kv_place_opened(&p, KV_OPEN_EXISTING));
        _exit(0);
    }
    (void)close(ends[1]);
    size_t got = 0;
    for (ssize_t n = 1; n > 0 && got < sizeof line - 1; got += (size_t)n)
        n = read(ends[0], line + got, sizeof line - 1 - got);
    line[got] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (strstr(line, "event=store.damaged") == NULL || strstr(line, p.dir) == NULL ||
        strstr(line, "ledger check") == NULL)
        fail_msg("\"%s\"", line);
    free(file);
    kv_place_remove(&p);
}

/* ---- beside a writer ---- */

static void test_kv_store_pages_beside_a_writer_are_good(void **state)
{
    (void)state;
    int ends[2];
    int status;
    char byte;
    const struct kv_place p = kv_place_new();
    make_store(&p);
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct prng r = prng_of(5);
        struct kv_store *s = kv_place_opened(&p, KV_OPEN_EXISTING);
        struct kv_batch *b = kv_batch_new();
        (void)close(ends[0]);
        for (;;) {
            kv_batch_clear(b);
            fill(&r, b, 1 + (uint32_t)prng_below(&r, 60), 500, 2);
            const struct err e = kv_store_apply(s, b);
            if (err_is(&e) || write(ends[1], "x", 1) != 1) _exit(0);
        }
    }
    (void)close(ends[1]);
    (void)signal(SIGPIPE, SIG_DFL);
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(read(ends[0], &byte, 1), 1);
        struct kv_store *s = kv_place_opened(&p, KV_OPEN_CHECKED);
        assert_int_equal(read_all(s), ERR_NONE);
        kv_store_close(s);
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    kv_place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kv_store_pages_of_any_batches_are_good),
        cmocka_unit_test(test_kv_store_pages_damaged_at_random_are_found_or_harmless),
        cmocka_unit_test(test_kv_store_pages_each_in_use_is_looked_at),
        cmocka_unit_test(test_kv_store_pages_each_rule_of_a_page_is_checked),
        cmocka_unit_test(test_kv_store_pages_damage_met_by_a_read_is_corrupt),
        cmocka_unit_test(test_kv_store_pages_reads_after_a_failed_one_give_its_fault),
        cmocka_unit_test(test_kv_store_pages_damage_that_lmdb_asserts_against_ends_with_a_line),
        cmocka_unit_test(test_kv_store_pages_beside_a_writer_are_good),
    };
    return cmocka_run_group_tests_name("kv_store_pages", tests, NULL, NULL);
}
