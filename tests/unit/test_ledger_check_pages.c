/* test_ledger_check_pages.c - images of a small data directory with pages damaged at random, from seeds: a check, a
 * repair and a start of each end, in time and without a crash, in success or as corrupt. Each in a process of its own.
 */
#include "base/prng.h"
#include "ledger/state_transfer.h"
#include "replica/run/recovery.h"
#include "tests/fixture/check_room.h"
#include "tests/fixture/ends_process.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096u
#define IMAGES 450u
#define IMAGE_SECONDS_MAX 20u
#define PATH_BYTES 256u

/* The used part of a data file. */
struct content {
    char path[PATH_BYTES]; /* of its copy */
    uint8_t *bytes;
    uint64_t pages;
    uint64_t file_bytes;
};

struct images {
    struct check_room *room;
    struct kit_place place;
    struct content log;
    struct content state;
};

static uint64_t u64_at(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static struct content content_of(const struct images *im, const char *name)
{
    struct content c;
    char from[PATH_BYTES];
    char dir[PATH_BYTES];
    struct stat st;
    (void)snprintf(from, sizeof from, "%s/%s/data.mdb", im->room->room->place.dir, name);
    (void)snprintf(dir, sizeof dir, "%s/%s", im->place.dir, name);
    (void)snprintf(c.path, sizeof c.path, "%s/%s/data.mdb", im->place.dir, name);
    const int fd = open(from, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    c.file_bytes = (uint64_t)st.st_size;
    uint8_t metas[2 * PAGE];
    assert_int_equal(pread(fd, metas, sizeof metas, 0), sizeof metas);
    const uint64_t first = u64_at(metas + 136);
    const uint64_t second = u64_at(metas + PAGE + 136);
    c.pages = (first > second ? first : second) + 1;
    c.bytes = mem_alloc(c.pages * PAGE);
    assert_int_equal(pread(fd, c.bytes, c.pages * PAGE, 0), c.pages * PAGE);
    assert_int_equal(close(fd), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    return c;
}

static void write_at(const char *path, uint64_t at, const void *data, size_t len)
{
    const int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, (off_t)at), (ssize_t)len);
    assert_int_equal(close(fd), 0);
}

static void put_back(const struct content *c)
{
    write_at(c->path, 0, c->bytes, c->pages * PAGE);
    assert_int_equal(truncate(c->path, (off_t)c->file_bytes), 0);
}

static struct images images_new(struct check_room *room)
{
    struct images im = {.room = room, .place = kit_place_new()};
    char lock[PATH_BYTES];
    check_room_grow(room, 256, 300);
    recovery_room_put_prepared(room->room, 0, 299);
    recovery_room_put_vote(room->room, 0, 299, 299);
    assert_int_equal(mkdir(im.place.dir, 0700), 0);
    im.log = content_of(&im, "log");
    im.state = content_of(&im, "state");
    (void)snprintf(lock, sizeof lock, "%s/LOCK", im.place.dir);
    write_at(lock, 0, "", 0);
    return im;
}

static void images_free(struct images *im)
{
    kit_place_remove(&im->place);
    free(im->log.bytes);
    free(im->state.bytes);
}

/* One byte of any page, or some of a page's beginning: its header, and where its nodes are. */
static void damage(struct prng *r, const struct content *c)
{
    const uint64_t kind = prng_below(r, 4);
    const uint64_t count = prng_below(r, 3) == 0 ? 1 + prng_below(r, 30) : 1;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t garbage[24];
        const uint64_t page = prng_below(r, c->pages) * PAGE;
        prng_fill(r, garbage, sizeof garbage);
        switch (kind) {
        case 0: write_at(c->path, page + prng_below(r, PAGE), garbage, 1); break;
        case 1: write_at(c->path, page + 8 + prng_below(r, 56), garbage, 1); break;
        default: write_at(c->path, page, garbage, sizeof garbage); break;
        }
    }
}

/* ---- what is done with an image, in a process of its own ---- */

static void hear(void *context, const struct ledger_fault *fault)
{
    (void)context;
    (void)fault;
}

static struct ledger_check check_of(const struct images *im, const struct data_dir *d)
{
    const struct kit *k = im->room->room->kit;
    return (struct ledger_check){.log = d->log,
                                 .state = d->state,
                                 .group = k->group,
                                 .wire = &k->wire,
                                 .self = 1,
                                 .checker = kit_checker(k),
                                 .fault = hear};
}

static struct err run_check(const struct images *im, bool *state_broken)
{
    struct wire_store_identity identity;
    struct ledger_check_result result;
    struct data_dir d;
    ERR_TRY(data_dir_open_reader_whole(im->place.dir, &d, &identity));
    const struct ledger_check in = check_of(im, &d);
    struct err e = ledger_check_run(&in, &result);
    *state_broken = err_is(&d.state_fault);
    if (!err_is(&e) && *state_broken) e = d.state_fault;
    if (!err_is(&e) && result.faults > 0) e = err_make(ERR_CORRUPT, "%s: faults", im->place.dir);
    data_dir_close(&d);
    return e;
}

/* And afterwards the check finds nothing that has still to be arranged, but votes. */
static struct err run_repair(const struct images *im)
{
    const struct kit *k = im->room->room->kit;
    struct ledger_check_result result;
    struct ledger_repair done;
    struct data_dir d;
    bool broken = false;
    struct err e = run_check(im, &broken);
    if (broken) ERR_TRY(data_dir_renew_state(im->place.dir, k->group));
    ERR_TRY(data_dir_open(im->place.dir, k->group, 1, &d));
    const struct ledger_check in = check_of(im, &d);
    e = ledger_repair(&in, &result, &done);
    if (!err_is(&e)) e = ledger_repair(&in, &result, &done);
    if (!err_is(&e) && result.faults > done.votes) e = err_make(ERR_LIMIT, "faults are left");
    data_dir_close(&d);
    return e;
}

/* As far as a replica's start reads the two stores. */
static struct err run_start(const struct images *im)
{
    const struct kit *k = im->room->room->kit;
    struct recovery r = {0};
    struct executor *x;
    struct data_dir d;
    ERR_TRY(data_dir_open(im->place.dir, k->group, 1, &d));
    struct err e = executor_open(d.state, k->group, &x);
    if (!err_is(&e)) {
        e = recovery_run(&d, x, &k->wire, kit_checker(k), 1, executor_client_count(x), &r);
        recovery_free(&r);
        executor_close(x);
    }
    e = data_dir_explain(im->place.dir, &d, e);
    data_dir_close(&d);
    return e;
}

struct use {
    const struct images *im;
    uint64_t seed;
};

static struct err run(void *context)
{
    const struct use *u = context;
    bool broken = false;
    switch (u->seed % 3) {
    case 0: return run_check(u->im, &broken);
    case 1: return run_repair(u->im);
    default: return run_start(u->im);
    }
}

static struct err run_apart(const struct images *im, uint64_t seed)
{
    struct use u = {im, seed};
    return apart(run, &u, IMAGE_SECONDS_MAX);
}

/* The page at the top of all, in the newest of the two pages that say where it is. */
static uint64_t top_page(const uint8_t *file)
{
    const uint64_t newest = u64_at(file + 144) > u64_at(file + PAGE + 144) ? 0 : PAGE;
    return u64_at(file + newest + 88 + 40);
}

static void test_ledger_check_of_pages_damaged_at_random_ends_as_good_or_corrupt(void **state)
{
    struct images im = images_new(*state);
    uint32_t found[3] = {0};
    put_back(&im.log);
    put_back(&im.state);
    for (uint64_t what = 0; what < 3; what++) {
        const struct err e = run_apart(&im, what);
        if (err_is(&e)) fail_msg("undamaged, %llu: %s", (unsigned long long)what, e.text);
    }
    for (uint64_t seed = 1; seed <= IMAGES; seed++) {
        struct prng r = prng_of(seed);
        put_back(&im.log);
        put_back(&im.state);
        damage(&r, prng_below(&r, 2) == 0 ? &im.log : &im.state);
        const struct err e = run_apart(&im, seed);
        if (err_is(&e) && err_exit_code(e.code) != 5) fail_msg("seed %llu: %s", (unsigned long long)seed, e.text);
        if (err_is(&e)) found[seed % 3]++;
    }
    for (uint32_t i = 0; i < 3; i++)
        assert_in_range(found[i], i == 1 ? 10 : 30, IMAGES / 3); /* a repair ends well with a damaged state */
    images_free(&im);
}

/* The state's root page is garbage: the check names page and table, a repair puts an empty state in its place. */
static void test_ledger_check_damaged_page_of_the_state_is_named_and_repaired(void **state)
{
    static const uint8_t garbage[24] = "no page begins like this";
    struct images im = images_new(*state);
    struct data_dir d;
    bool broken = false;
    put_back(&im.log);
    put_back(&im.state);
    const uint64_t page = top_page(im.state.bytes);
    write_at(im.state.path, page * PAGE, garbage, sizeof garbage);
    const struct err e = run_check(&im, &broken);
    char words[64];
    (void)snprintf(words, sizeof words, "page %llu (the table of tables)", (unsigned long long)page);
    assert_true(broken);
    assert_int_equal(e.code, ERR_CORRUPT);
    if (strstr(e.text, words) == NULL || strstr(e.text, "/state") == NULL) fail_msg("%s", e.text);
    const struct kit *k = im.room->room->kit;
    const struct err start = data_dir_open(im.place.dir, k->group, 1, &d);
    assert_int_equal(start.code, ERR_CORRUPT);
    if (strstr(start.text, "--repair") == NULL) fail_msg("%s", start.text);
    assert_int_equal(run_repair(&im).code, ERR_NONE);
    assert_int_equal(data_dir_open(im.place.dir, k->group, 1, &d).code, ERR_NONE);
    assert_true(state_is_damaged(d.state));
    data_dir_close(&d);
    images_free(&im);
}

/* The log is what a replica has promised: it is not made anew by a repair. */
static void test_ledger_check_damaged_page_of_the_log_asks_for_a_new_directory(void **state)
{
    static const uint8_t garbage[24] = "no page begins like this";
    struct images im = images_new(*state);
    struct data_dir d;
    bool broken = false;
    put_back(&im.log);
    put_back(&im.state);
    write_at(im.log.path, top_page(im.log.bytes) * PAGE, garbage, sizeof garbage);
    const struct err ends[] = {run_check(&im, &broken), data_dir_open(im.place.dir, im.room->room->kit->group, 1, &d)};
    for (uint32_t i = 0; i < 2; i++)
        if (ends[i].code != ERR_CORRUPT || strstr(ends[i].text, "pbftd --config FILE --init") == NULL ||
            strstr(ends[i].text, im.place.dir) == NULL)
            fail_msg("%s", ends[i].text);
    images_free(&im);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, check_room_setup_files, check_room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_ledger_check_damaged_page_of_the_state_is_named_and_repaired),
        ROOM_TEST(test_ledger_check_damaged_page_of_the_log_asks_for_a_new_directory),
        ROOM_TEST(test_ledger_check_of_pages_damaged_at_random_ends_as_good_or_corrupt),
    };
    return cmocka_run_group_tests_name("ledger_check_pages", tests, NULL, NULL);
}
