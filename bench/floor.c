/* floor.c - see floor.h. */
#include "bench/floor.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "crypto/sign.h"

#include <errno.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CORES_MAX 64u
#define SYNCING_MAX 128u
#define COMMITS_MAX 100000u
#define COMMIT_BYTES 1024u
#define MAP_BYTES (64u * 1024u * 1024u)
#define KEYS 256u /* the file does not grow for ever */

/* ---- signatures ---- */

struct signing {
    pthread_t thread;
    double seconds;
    double sign_us;
    double verify_us;
};

/* Of this thread, so that what else runs on the machine does not count. */
static double cpu_us(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void *sign_and_verify(void *context)
{
    struct signing *s = context;
    struct secret_key secret;
    struct public_key public;
    struct signature signature;
    struct digest digest = {{0}};
    sign_key_new(&secret, &public);
    uint64_t count = 0;
    double start = cpu_us();
    while (cpu_us() - start < s->seconds * 5e5) {
        be64_put(digest.bytes, count++);
        sign_digest(&secret, &digest, &signature);
    }
    s->sign_us = (cpu_us() - start) / (double)count;
    count = 0;
    start = cpu_us();
    while (cpu_us() - start < s->seconds * 5e5) {
        CHECK(sign_verify(&public, &digest, &signature));
        count++;
    }
    s->verify_us = (cpu_us() - start) / (double)count;
    secret_key_wipe(&secret);
    return NULL;
}

static struct err measure_signatures(double seconds, struct floor_cost *out)
{
    cpu_set_t set;
    struct signing threads[CORES_MAX];
    uint32_t started = 0;
    int fault = 0;
    out->cores = sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
    if (out->cores > CORES_MAX) out->cores = CORES_MAX;
    for (; started < out->cores && fault == 0; started++) {
        threads[started].seconds = seconds;
        fault = pthread_create(&threads[started].thread, NULL, sign_and_verify, &threads[started]);
    }
    if (fault != 0) started--;
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i].thread, NULL);
        out->sign_us += threads[i].sign_us / (double)out->cores;
        out->verify_us += threads[i].verify_us / (double)out->cores;
    }
    return fault == 0 ? err_none() : err_system(fault, "cannot make a thread");
}

/* ---- synchronous commits ---- */

struct syncing {
    pthread_t thread;
    MDB_env *env;
    MDB_dbi dbi;
    char path[PATH_MAX];
    double seconds;
    uint64_t *taken_us; /* COMMITS_MAX */
    uint32_t count;
    int fault;
};

static int commit_once(struct syncing *s, uint32_t number, bool first)
{
    static uint8_t value[COMMIT_BYTES];
    MDB_txn *txn;
    uint8_t key[8];
    be64_put(key, number);
    MDB_val k = {sizeof key, key};
    MDB_val v = {sizeof value, value};
    int fault = mdb_txn_begin(s->env, NULL, 0, &txn);
    if (fault != 0) return fault;
    if (first) fault = mdb_dbi_open(txn, NULL, 0, &s->dbi);
    if (fault == 0) fault = mdb_put(txn, s->dbi, &k, &v, 0);
    if (fault != 0) {
        mdb_txn_abort(txn);
        return fault;
    }
    return mdb_txn_commit(txn);
}

static void *commit_again_and_again(void *context)
{
    struct syncing *s = context;
    const uint64_t until = clock_monotonic_us() + (uint64_t)(s->seconds * 1e6);
    s->fault = commit_once(s, 0, true);
    for (uint32_t i = 0; s->fault == 0 && s->count < COMMITS_MAX && (i == 0 || clock_monotonic_us() < until); i++) {
        const uint64_t start = clock_monotonic_us();
        s->fault = commit_once(s, i % KEYS, false);
        s->taken_us[s->count++] = clock_monotonic_us() - start;
    }
    return NULL;
}

static int compare_u64(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static int open_syncing(const char *dir, uint32_t id, double seconds, struct syncing *out)
{
    *out = (struct syncing){.seconds = seconds, .taken_us = mem_alloc(COMMITS_MAX * sizeof *out->taken_us)};
    const int wanted = snprintf(out->path, sizeof out->path, "%s/%u", dir, id);
    if (wanted < 0 || (size_t)wanted >= sizeof out->path) {
        out->path[0] = '\0';
        return ENAMETOOLONG;
    }
    int fault = mdb_env_create(&out->env);
    if (fault == 0) fault = mdb_env_set_mapsize(out->env, MAP_BYTES);
    if (fault == 0) fault = mdb_env_open(out->env, out->path, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
    return fault;
}

static void close_syncing(struct syncing *s)
{
    if (s->env != NULL) mdb_env_close(s->env);
    (void)unlink(s->path);
    free(s->taken_us);
}

/* The median of all commits of `count` threads. */
static struct err measure_commits(const char *dir, uint32_t count, double seconds, double *median_us)
{
    struct syncing *s = mem_zero(count, sizeof *s);
    uint64_t *all = mem_alloc((size_t)count * COMMITS_MAX * sizeof *all);
    uint64_t total = 0;
    uint32_t opened = 0;
    uint32_t started = 0;
    int fault = 0;
    for (; opened < count && fault == 0; opened++)
        fault = open_syncing(dir, opened, seconds, &s[opened]);
    for (; started < count && fault == 0; started++)
        fault = pthread_create(&s[started].thread, NULL, commit_again_and_again, &s[started]);
    if (fault != 0 && started > 0) started--;
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(s[i].thread, NULL);
        if (s[i].fault != 0) fault = s[i].fault;
        memcpy(all + total, s[i].taken_us, s[i].count * sizeof *all);
        total += s[i].count;
    }
    for (uint32_t i = 0; i < opened; i++)
        close_syncing(&s[i]);
    qsort(all, total, sizeof *all, compare_u64);
    const uint64_t middle = total / 2;
    *median_us = total > 0 ? (double)all[middle] : 0;
    free(all);
    free(s);
    return fault == 0 ? err_none() : err_make(ERR_IO, "commits in %s: %s", dir, mdb_strerror(fault));
}

/* ---- both ---- */

struct err floor_measure(const char *dir, uint32_t syncing, double seconds, struct floor_cost *out)
{
    char path[PATH_MAX];
    *out = (struct floor_cost){.syncing = syncing < SYNCING_MAX ? syncing : SYNCING_MAX};
    ERR_TRY(measure_signatures(seconds / 2, out));
    const int wanted = snprintf(path, sizeof path, "%s/floor-XXXXXX", dir);
    if (wanted < 0 || (size_t)wanted >= sizeof path || mkdtemp(path) == NULL)
        return err_system(errno, "cannot make a directory in %s", dir);
    struct err e = measure_commits(path, 1, seconds / 4, &out->sync_one_us);
    if (!err_is(&e)) e = measure_commits(path, out->syncing, seconds / 4, &out->sync_all_us);
    (void)rmdir(path);
    return e;
}

struct floor_cost floor_between(const struct floor_cost *before, const struct floor_cost *after)
{
    struct floor_cost f = *before;
    f.verify_us = (before->verify_us + after->verify_us) / 2;
    f.sign_us = (before->sign_us + after->sign_us) / 2;
    f.sync_one_us = (before->sync_one_us + after->sync_one_us) / 2;
    f.sync_all_us = (before->sync_all_us + after->sync_all_us) / 2;
    return f;
}

double floor_ceiling(const struct floor_cost *f, uint32_t replicas)
{
    return (double)f->cores * 1e6 / (replicas * f->verify_us + f->sign_us);
}
