/* crash_search.c - power losses at every point of a recorded run of pbftd.
 *
 *   crash_search VERB --group FILE --id N --trace FILE ...
 *
 *   search   --work DIR [--images N] [--seed N] [--jobs N] [--syncs all|no-fdatasync|no-dsync|none]
 *            Rebuilds the data directory as a power loss would leave it, and checks every image (crash_check.h). A
 *            point is before each change of the disk; what was sent before it has left. Points with something
 *            un-synced give four images each (crash_disk.h), others one. --images takes so many, evenly, and those of
 *            init; without it, all. Exit code 1 at the first bad image, which is kept in --work, with the words that
 *            repeat it.
 *   image    --work DIR --out DIR [--base DIR] [--earlier FILE]... [--seed N]
 *            The image of a power loss at the end of the trace, checked first, in --out. The trace began on the files
 *            of --base, or on none; --earlier traces came before it and count for what was promised.
 *   compare  --dir DIR
 *            The trace tells all that happened to the files of --dir, which no power loss has met.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "tests/crash/crash_check.h"
#include "tests/crash/crash_disk.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define EARLIER_MAX 64u
#define JOBS_MAX 16u
#define THOROUGH_EVERY 8u
#define CACHE_ENTRIES 65536u

struct options {
    const char *group;
    const char *trace;
    const char *work;
    const char *base;
    const char *out;
    const char *dir;
    const char *earlier[EARLIER_MAX];
    uint32_t earlier_count;
    uint32_t id;
    uint32_t jobs;
    uint64_t images; /* 0: all */
    uint64_t seed;
    enum trace_syncs syncs;
};

/* What a worker has done, in memory that it shares with its parent. */
struct result {
    uint64_t images[DISK_IMAGE_KINDS];
    bool finished;
};

struct search {
    const struct options *options;
    struct crash_room room;
    struct trace trace;
    struct disk *disk;
    struct promises promises;
    uint64_t record; /* of the trace, from 1 */
    uint64_t index;  /* of the image among all that the trace gives */
    uint64_t total;
    uint64_t checked; /* by this worker */
    uint32_t processes; /* that began to use the directory; the first one is init */
    char image_dir[PATH_MAX];
};

/* What to say when the check ends the process. */
static char under_check[PATH_MAX + 512];

static void on_crash(int signal)
{
    const char *text = "not ok - the check crashed on this image: ";
    (void)signal;
    (void)!write(STDOUT_FILENO, text, strlen(text));
    (void)!write(STDOUT_FILENO, under_check, strlen(under_check));
    (void)!write(STDOUT_FILENO, "\n", 1);
    _exit(1);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_tree(const char *dir)
{
    if (access(dir, F_OK) == 0) (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- one image ---- */

static struct prng image_random(const struct search *s)
{
    return prng_of(s->options->seed * 0x9e3779b97f4a7c15ull + s->index);
}

static struct err make_image(struct search *s, enum disk_image kind, const char *dir)
{
    struct prng random = image_random(s);
    remove_tree(dir);
    return disk_write(s->disk, kind, &random, dir);
}

static struct err try_image(struct search *s, enum disk_image kind)
{
    (void)snprintf(under_check, sizeof under_check,
                   "%s: image %" PRIu64 " (%s) before record %" PRIu64 ", seed %" PRIu64 ", left in %s",
                   s->options->trace, s->index, disk_image_names[kind], s->record, s->options->seed, s->image_dir);
    ERR_TRY(make_image(s, kind, s->image_dir));
    struct err e = crash_check(&s->room, s->image_dir, &s->promises, s->checked++ % THOROUGH_EVERY == 0);
    if (!err_is(&e)) return e;
    const struct err again = make_image(s, kind, s->image_dir); /* the check has changed it */
    return err_is(&again) ? again : err_wrap(e, "%s", under_check);
}

/* ---- the walk over the trace ---- */

/* An even choice of `images` among `total`; and all of init, which is short. */
static bool chosen(const struct search *s)
{
    const uint64_t images = s->options->images;
    if (images == 0 || images >= s->total || s->processes < 2) return true;
    const uint64_t at = (s->index + s->options->seed) % s->total;
    return (at + 1) * images / s->total != at * images / s->total;
}

static struct err at_point(struct search *s, uint32_t worker, struct result *result)
{
    const uint32_t kinds = disk_has_pending(s->disk) ? DISK_IMAGE_KINDS : 1;
    for (uint32_t k = 0; k < kinds; k++, s->index++) {
        if (result == NULL || !chosen(s) || s->index % s->options->jobs != worker) continue;
        const enum disk_image kind = kinds == 1 ? DISK_IMAGE_ALL : (enum disk_image)k;
        ERR_TRY(try_image(s, kind));
        result->images[kind]++;
    }
    return err_none();
}

static struct err walk(struct search *s, uint32_t worker, struct result *result)
{
    struct trace_record r;
    trace_rewind(&s->trace);
    s->index = 0;
    s->record = 0;
    s->processes = 0;
    while (trace_next(&s->trace, &r)) {
        s->record++;
        s->processes += r.kind == TRACE_START ? 1 : 0;
        if (disk_concerns(&r) && disk_has(s->disk, "LOCK")) ERR_TRY(at_point(s, worker, result));
        disk_apply(s->disk, &r);
        if (result != NULL) promises_record(&s->promises, &r);
    }
    s->record++;
    return at_point(s, worker, result);
}

static struct err search_open(const struct options *o, struct search *s)
{
    struct group *g;
    *s = (struct search){.options = o};
    ERR_TRY(group_read(o->group, &g));
    if (o->id >= g->member_count) return err_make(ERR_USAGE, "the group has no member %u", o->id);
    struct public_key *keys = mem_alloc(sizeof *keys * g->member_count);
    for (uint32_t i = 0; i < g->member_count; i++)
        keys[i] = g->members[i].signing_key;
    s->room = (struct crash_room){.group = g, .self = o->id, .cache = verify_cache_new(CACHE_ENTRIES)};
    s->room.wire = (struct wire_group){.id = g->id, .quorum = quorum_of(g->member_count), .members = keys};
    s->disk = disk_new();
    promises_start(&s->promises, o->id);
    return trace_open(o->trace, o->syncs, &s->trace);
}

static void search_close(struct search *s)
{
    promises_free(&s->promises);
    disk_free(s->disk);
    trace_close(&s->trace);
    verify_cache_free(s->room.cache);
    free((void *)(uintptr_t)s->room.wire.members);
    group_free((struct group *)(uintptr_t)s->room.group);
}

/* ---- search ---- */

static int work(const struct options *o, uint32_t worker, uint64_t total, struct result *result)
{
    struct search s;
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)signal(signals[i], on_crash);
    struct err e = search_open(o, &s);
    s.total = total;
    (void)snprintf(s.image_dir, sizeof s.image_dir, "%s/image%u", o->work, worker);
    if (!err_is(&e)) e = walk(&s, worker, result);
    if (err_is(&e)) {
        (void)printf("not ok - %s\n", e.text);
        (void)fflush(stdout);
        return 1;
    }
    remove_tree(s.image_dir);
    search_close(&s);
    result->finished = true;
    return 0;
}

static uint64_t count_images(const struct options *o, struct err *e)
{
    struct search s;
    *e = search_open(o, &s);
    if (!err_is(e)) *e = walk(&s, 0, NULL);
    const uint64_t total = s.index;
    search_close(&s);
    return total;
}

/* Waits for all; when one has found a bad image the others need not go on. */
static bool await_workers(const pid_t *pids, uint32_t jobs)
{
    bool good = true;
    for (uint32_t i = 0; i < jobs; i++) {
        int status;
        if (wait(&status) < 0) return false;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        for (uint32_t k = 0; k < jobs && good; k++)
            (void)kill(pids[k], SIGTERM);
        good = false;
    }
    return good;
}

static struct err do_search(const struct options *o)
{
    struct err e;
    pid_t pids[JOBS_MAX];
    uint64_t counts[DISK_IMAGE_KINDS] = {0};
    const uint64_t begin = clock_monotonic_us();
    const uint64_t total = count_images(o, &e);
    if (err_is(&e)) return e;
    struct result *results =
        mmap(NULL, sizeof *results * JOBS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(results != MAP_FAILED);
    (void)fflush(stdout);
    for (uint32_t i = 0; i < o->jobs; i++) {
        pids[i] = fork();
        if (pids[i] < 0) return err_system(errno, "cannot fork");
        if (pids[i] == 0) _exit(work(o, i, total, &results[i]));
    }
    bool good = await_workers(pids, o->jobs);
    for (uint32_t i = 0; i < o->jobs; i++) {
        good = good && results[i].finished;
        for (uint32_t k = 0; k < DISK_IMAGE_KINDS; k++)
            counts[k] += results[i].images[k];
    }
    (void)munmap(results, sizeof *results * JOBS_MAX);
    (void)printf("%s replica %u: %" PRIu64 " images of %" PRIu64 " (none %" PRIu64 ", all %" PRIu64 ", subset %" PRIu64
                 ", torn %" PRIu64 "), seed %" PRIu64 ", %.1f s\n",
                 good ? "good:" : "bad:", o->id, counts[0] + counts[1] + counts[2] + counts[3], total, counts[0],
                 counts[1], counts[2], counts[3], o->seed, (double)(clock_monotonic_us() - begin) / 1e6);
    return good ? err_none() : err_make(ERR_CORRUPT, "an image is bad");
}

/* ---- image ---- */

static struct err take_earlier(struct search *s, const char *path)
{
    struct trace t;
    struct trace_record r;
    ERR_TRY(trace_open(path, TRACE_SYNCS_ALL, &t));
    while (trace_next(&t, &r))
        promises_record(&s->promises, &r);
    trace_close(&t);
    return err_none();
}

static struct err do_image(const struct options *o)
{
    struct search s;
    struct trace_record r;
    ERR_TRY(search_open(o, &s));
    if (o->base != NULL) ERR_TRY(disk_load(s.disk, o->base));
    for (uint32_t i = 0; i < o->earlier_count; i++)
        ERR_TRY(take_earlier(&s, o->earlier[i]));
    while (trace_next(&s.trace, &r)) {
        s.record++;
        disk_apply(s.disk, &r);
        promises_record(&s.promises, &r);
    }
    (void)snprintf(s.image_dir, sizeof s.image_dir, "%s/image", o->work);
    struct prng random = prng_of(o->seed);
    const enum disk_image kind = (enum disk_image)prng_below(&random, DISK_IMAGE_KINDS);
    ERR_TRY(try_image(&s, kind));
    ERR_TRY(make_image(&s, kind, o->out));
    remove_tree(s.image_dir);
    (void)printf("replica %u: power lost at record %" PRIu64 ", image %s%s, seed %" PRIu64 "\n", o->id, s.record,
                 disk_image_names[kind], disk_has_pending(s.disk) ? "" : " (nothing was un-synced)", o->seed);
    search_close(&s);
    return err_none();
}

static struct err do_compare(const struct options *o)
{
    struct search s;
    struct trace_record r;
    ERR_TRY(search_open(o, &s));
    while (trace_next(&s.trace, &r)) {
        disk_apply(s.disk, &r);
        promises_record(&s.promises, &r);
    }
    const struct err e = disk_compare(s.disk, o->dir);
    if (!err_is(&e))
        (void)printf("replica %u: the trace gives the files; %" PRIu64 " messages, %u votes, %u statements\n", o->id,
                     s.promises.messages, s.promises.vote_count, s.promises.statement_count);
    search_close(&s);
    return e;
}

/* ---- the command line ---- */

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out <= max;
}

static bool syncs_of(const char *name, enum trace_syncs *out)
{
    static const char *const names[] = {"all", "no-fdatasync", "no-dsync", "none"};
    for (uint32_t i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (enum trace_syncs)i;
        return true;
    }
    return false;
}

static bool take_option(struct options *o, int option)
{
    uint64_t value = 0;
    switch (option) {
    case 'g': o->group = optarg; return true;
    case 't': o->trace = optarg; return true;
    case 'w': o->work = optarg; return true;
    case 'b': o->base = optarg; return true;
    case 'o': o->out = optarg; return true;
    case 'd': o->dir = optarg; return true;
    case 'e':
        if (o->earlier_count == EARLIER_MAX) return false;
        o->earlier[o->earlier_count++] = optarg;
        return true;
    case 'i':
        if (!number(optarg, 127, &value)) return false;
        o->id = (uint32_t)value;
        return true;
    case 'j':
        if (!number(optarg, JOBS_MAX, &value) || value == 0) return false;
        o->jobs = (uint32_t)value;
        return true;
    case 'n': return number(optarg, UINT32_MAX, &o->images);
    case 's': return number(optarg, UINT32_MAX, &o->seed);
    case 'y': return syncs_of(optarg, &o->syncs);
    default: return false;
    }
}

static bool take_options(int argc, char **argv, struct options *o)
{
    static const struct option table[] = {{"group", 1, NULL, 'g'}, {"id", 1, NULL, 'i'},      {"trace", 1, NULL, 't'},
                                          {"work", 1, NULL, 'w'},  {"base", 1, NULL, 'b'},    {"out", 1, NULL, 'o'},
                                          {"dir", 1, NULL, 'd'},   {"earlier", 1, NULL, 'e'}, {"jobs", 1, NULL, 'j'},
                                          {"seed", 1, NULL, 's'},  {"images", 1, NULL, 'n'},  {"syncs", 1, NULL, 'y'},
                                          {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", table, NULL)) != -1;)
        if (!take_option(o, option)) return false;
    return optind == argc - 1 && o->group != NULL && o->trace != NULL;
}

int main(int argc, char **argv)
{
    struct options o = {.jobs = 1, .seed = 1};
    struct err e = err_make(ERR_USAGE, "usage: see the head of tests/crash/crash_search.c");
    log_set_level(LOG_LEVEL_ERROR);
    if (take_options(argc, argv, &o)) {
        const char *verb = argv[optind];
        if (strcmp(verb, "search") == 0 && o.work != NULL) e = do_search(&o);
        if (strcmp(verb, "image") == 0 && o.work != NULL && o.out != NULL) e = do_image(&o);
        if (strcmp(verb, "compare") == 0 && o.dir != NULL) e = do_compare(&o);
    }
    if (!err_is(&e)) return 0;
    (void)fprintf(stderr, "crash_search: %s\n", e.text);
    return e.code == ERR_USAGE ? 2 : 1;
}
