/* cluster.c - see cluster.h. */
#include "bench/cluster.h"

#include "bench/program.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define WORDS_MAX 16u
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
