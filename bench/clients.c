/* clients.c - see clients.h. */
#include "bench/clients.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096u
#define READY_MS 10000u

struct err bench_client_open(const char *home, const char *name, bool journaled, uint64_t timeout_ms,
                             struct pbft_client **out)
{
    char group[PATH_BYTES];
    char key[PATH_BYTES + NAME_MAX];
    char journal[PATH_BYTES + NAME_MAX];
    (void)snprintf(group, sizeof group, "%s/group.json", home);
    (void)snprintf(key, sizeof key, "%s/clients/%s.pem", home, name);
    (void)snprintf(journal, sizeof journal, "%s/clients/%s.journal", home, name);
    const struct pbft_options options = {
        .group_path = group, .key_path = key, .journal_path = journaled ? journal : NULL, .timeout_ms = timeout_ms};
    struct pbft_error e = pbft_open(&options, out);
    if (e.status == PBFT_OK) e = pbft_ready(*out, READY_MS);
    if (e.status == PBFT_OK) return err_none();
    pbft_close(*out);
    *out = NULL;
    return err_make(e.status == PBFT_TIMEOUT ? ERR_TIMEOUT : ERR_CONFIG, "%s", e.text);
}

struct err bench_clients_open(const char *home, const char *names, uint64_t timeout_ms, struct bench_clients *out)
{
    char list[PATH_BYTES];
    char *rest = NULL;
    out->count = 0;
    if (strlen(names) >= sizeof list)
        return err_make(ERR_USAGE, "the list of clients is longer than %u bytes", PATH_BYTES);
    (void)snprintf(list, sizeof list, "%s", names);
    for (char *name = strtok_r(list, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        if (out->count == BENCH_CLIENTS_MAX)
            return err_make(ERR_USAGE, "at most %u clients in one process", BENCH_CLIENTS_MAX);
        (void)snprintf(out->names[out->count], sizeof out->names[0], "%s", name);
        ERR_TRY(bench_client_open(home, name, true, timeout_ms, &out->clients[out->count]));
        out->count++;
    }
    return out->count > 0 ? err_none() : err_make(ERR_USAGE, "no client is named");
}

struct err bench_clients_open_observer(const char *home, struct pbft_client **out)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/clients/reader.pem", home);
    return bench_client_open(home, access(path, R_OK) == 0 ? "reader" : "default", false, 0, out);
}

void bench_clients_close(struct bench_clients *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        pbft_close(c->clients[i]);
    c->count = 0;
}
