/* clients.h - several clients of one group in one process. */
#ifndef PBFT_BENCH_CLIENTS_H
#define PBFT_BENCH_CLIENTS_H

#include "base/err.h"
#include "client/pbft.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define BENCH_CLIENTS_MAX 64u

struct bench_clients {
    struct pbft_client *clients[BENCH_CLIENTS_MAX];
    char names[BENCH_CLIENTS_MAX][NAME_MAX];
    uint32_t count;
};

/* Opens the client of that name of the development group in home, and waits until it is ready; NULL when it fails.
 * Without a journal it learns its sequence from the replicas alone. timeout_ms as in struct pbft_options. Errors:
 * ERR_TIMEOUT, ERR_CONFIG. */
MUST_USE struct err bench_client_open(const char *home, const char *name, bool journaled, uint64_t timeout_ms,
                                      struct pbft_client **out);
/* Opens the clients with these names, separated by commas, of the development group in home, and waits until each is
 * ready. timeout_ms as in struct pbft_options. Close them with bench_clients_close also when it fails. Errors:
 * ERR_USAGE, ERR_TIMEOUT, ERR_CONFIG. */
MUST_USE struct err bench_clients_open(const char *home, const char *names, uint64_t timeout_ms,
                                       struct bench_clients *out);
/* A client for status alone, with the key "reader" where there is one, else the default one. Close it with pbft_close.
 */
MUST_USE struct err bench_clients_open_observer(const char *home, struct pbft_client **out);
void bench_clients_close(struct bench_clients *c);

#endif
