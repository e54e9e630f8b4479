/* cluster.c - see cluster.h. */
#include "bench/cluster.h"

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/clients.h"
#include "bench/program.h"
#include "wire/constants.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WORDS_MAX 16u
#define SETTLE_US 60000000u
#define STATUS_MS 2000u
#define LAG_MAX 16u
#define LOOK_AGAIN_NS 50000000
#define OPEN_FILES 16 /* of nftw */

/* Runs pbft with these words, which end with NULL, and --home. Errors as program_run's. */
static struct err run_pbft(const struct bench_cluster *c, const char *const *words)
{
    const char *argv[WORDS_MAX + 4u] = {c->pbft, "--home", c->home};
    struct buffer said = {0};
    for (uint32_t i = 0; i < WORDS_MAX && words[i] != NULL; i++)
        argv[3 + i] = words[i];
    const struct err e = program_run(argv, bytes_of(NULL, 0), &said);
    buffer_free(&said);
    return err_is(&e) ? err_wrap(e, "pbft %s %s", words[0], words[1]) : e;
}

struct err bench_cluster_start(const char *dir, uint32_t base_port, uint32_t replicas, uint32_t clients,
                               struct bench_cluster *out)
{
    char port_text[16];
    char replicas_text[16];
    char clients_text[16];
    *out = (struct bench_cluster){.home = ""};
    ERR_TRY(program_path("pbft", out->pbft, sizeof out->pbft));
    const int wanted = snprintf(out->home, sizeof out->home, "%s/pbft-bench-XXXXXX", dir);
    if (wanted < 0 || (size_t)wanted >= sizeof out->home || mkdtemp(out->home) == NULL) {
        const int fault = errno;
        out->home[0] = '\0';
        return err_system(fault, "cannot make a directory in %s; give another --dir", dir);
    }
    size_t used = (size_t)snprintf(out->clients, sizeof out->clients, "default");
    for (uint32_t i = 2; i <= clients && used < sizeof out->clients; i++)
        used += (size_t)snprintf(out->clients + used, sizeof out->clients - used, ",client%u", i);
    if (used >= sizeof out->clients)
        return err_make(ERR_USAGE, "the names of %u clients are too long together", clients);
    (void)snprintf(replicas_text, sizeof replicas_text, "%u", replicas);
    (void)snprintf(clients_text, sizeof clients_text, "%u", clients);
    (void)snprintf(port_text, sizeof port_text, "%u", base_port);
    const char *const words[] = {"devnet",    "up",         "-o",
                                 "json",      "--replicas", replicas_text,
                                 "--clients", clients_text, base_port != 0 ? "--base-port" : NULL,
                                 port_text,   NULL};
    return run_pbft(out, words);
}

static struct err append_tuning(const struct bench_cluster *c, uint32_t id, const char *lines)
{
    char path[PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/conf/r%u.conf", c->home, id);
    FILE *f = fopen(path, "ae");
    if (f == NULL) return err_system(errno, "cannot open %s", path);
    const bool written = fprintf(f, "[tuning]\n%s", lines) > 0;
    return fclose(f) == 0 && written ? err_none() : err_system(errno, "cannot write %s", path);
}

struct err bench_cluster_tune(const struct bench_cluster *c, uint32_t replicas, const char *lines)
{
    const char *const down[] = {"devnet", "down", "-o", "json", NULL};
    const char *const up[] = {"devnet", "up", "-o", "json", NULL};
    for (uint32_t id = 0; id < replicas; id++)
        ERR_TRY(append_tuning(c, id, lines));
    ERR_TRY(run_pbft(c, down));
    return run_pbft(c, up);
}

struct err bench_cluster_devnet(const struct bench_cluster *c, const char *verb, uint32_t id, const char *what)
{
    char id_text[16];
    (void)snprintf(id_text, sizeof id_text, "%u", id);
    const char *const words[] = {"devnet", verb, "-o", "json", id_text, what, NULL};
    const struct err e = run_pbft(c, words);
    return err_is(&e) ? err_wrap(e, "replica %u of the group in %s", id, c->home) : e;
}

/* What keeps them from being one group that works; NULL: nothing. */
static const char *look(struct pbft_client *observer, struct pbft_replica_status *status, uint32_t *primary)
{
    const uint32_t count = pbft_replica_count(observer);
    const struct pbft_error e = pbft_status_wait(observer, STATUS_MS, status);
    uint64_t view = 0;
    if (e.status != PBFT_OK || count == 0) return "none answers";
    for (uint32_t i = 0; i < count; i++)
        if (status[i].view > view) view = status[i].view;
    for (uint32_t i = 0; i < count; i++) {
        if (!status[i].answered) return "one does not answer";
        if (status[i].view != view) return "they are in different views";
        if (status[i].lag > LAG_MAX) return "one lags";
        if (status[i].condition != CONDITION_SYNCED) return "one is not ready to vote";
        if (status[i].peers_connected + 1 < count) return "one is not connected to all others";
    }
    *primary = (uint32_t)(view % count);
    return NULL;
}

struct err bench_cluster_settle(const struct bench_cluster *c, uint32_t *primary)
{
    const uint64_t until = clock_monotonic_us() + SETTLE_US;
    struct pbft_client *observer;
    const char *fault;
    ERR_TRY(bench_clients_open_observer(c->home, &observer));
    struct pbft_replica_status *status = mem_zero(pbft_replica_count(observer) + 1u, sizeof *status);
    while ((fault = look(observer, status, primary)) != NULL && clock_monotonic_us() < until && !bench_interrupted())
        (void)nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
    free(status);
    pbft_close(observer);
    ERR_TRY(bench_go_on());
    return fault == NULL ? err_none()
                         : err_make(ERR_TIMEOUT, "the replicas in %s did not come together within %u s: %s", c->home,
                                    SETTLE_US / 1000000u, fault);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

struct err bench_cluster_end(struct bench_cluster *c)
{
    const char *const words[] = {"devnet", "down", "-o", "json", NULL};
    if (c->home[0] == '\0') return err_none();
    const struct err e = run_pbft(c, words);
    if (err_is(&e)) return err_wrap(e, "the group in %s is left as it is", c->home);
    if (nftw(c->home, remove_one, OPEN_FILES, FTW_DEPTH | FTW_PHYS) != 0)
        return err_system(errno, "cannot remove %s", c->home);
    return err_none();
}
