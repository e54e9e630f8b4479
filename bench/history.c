/* history.c - clients that put, get, delete and compare-and-set a few keys between them, and a record of what they
 * asked, when, and what came of it: whether one order fits it all is for `pbft-sim linearize` to say
 * (docs/adversary.md, "Histories"). Gets are reads by quorum and ordered operations in turn. */
#include "bench/bench.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/prng.h"
#include "client/pbft.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS 1u
#define KEYS_MAX 64u
#define TEXT_BYTES 64u
#define GIVE_UP_US 90000000u /* for what is in flight at the end */

enum verb { PUT = 1, GET = 2, DELETE = 3, CAS = 4 }; /* of the key-value application */

struct owner {
    struct history *history;
    struct pbft_client *client;
    const char *name;
    uint32_t in_flight; /* of the operations below */
};

struct operation {
    struct operation *next;
    struct owner *owner;
    enum verb verb;
    uint32_t key;
    char value[TEXT_BYTES];
    char expect[TEXT_BYTES]; /* empty: none must be there */
    uint64_t invoke_us;
};

struct history {
    const struct bench_options *o;
    struct bench_clients clients;
    struct owner owners[BENCH_CLIENTS_MAX];
    struct prng random;
    char prefix[TEXT_BYTES / 2]; /* of the keys: those of another run are left alone */
    char last[KEYS_MAX][TEXT_BYTES];
    struct operation *open;
    uint64_t number; /* of values */
    uint64_t written;
    uint64_t unknown; /* asked, and nobody knows what came of it */
    FILE *file;
    char failure[PBFT_ERROR_BYTES];
};

/* ---- the file ---- */

static bool plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\') return false;
    return true;
}

/* answer NULL: nothing is known of what came of it. */
static void write_line(struct history *h, const struct operation *op, const struct pbft_answer *answer)
{
    static const char *const verbs[] = {[PUT] = "put", [GET] = "get", [DELETE] = "delete", [CAS] = "cas"};
    FILE *f = h->file;
    (void)fprintf(f, "{\"client\":\"%s\",\"op\":\"%s\",\"key\":\"%s %u\"", op->owner->name, verbs[op->verb], h->prefix,
                  op->key);
    if (op->verb == PUT || op->verb == CAS) (void)fprintf(f, ",\"value\":\"%s\"", op->value);
    if (op->expect[0] != '\0') (void)fprintf(f, ",\"expect\":\"%s\"", op->expect);
    (void)fprintf(f, ",\"invoke_us\":%" PRIu64, op->invoke_us);
    if (answer == NULL) {
        (void)fprintf(f, ",\"complete_us\":null}\n");
        h->unknown++;
    } else {
        const char *result = (const char *)answer->value.data;
        (void)fprintf(f, ",\"complete_us\":%" PRIu64 ",\"outcome\":\"%s\"", clock_monotonic_us(),
                      answer->outcome == PBFT_OUTCOME_OK ? "ok" : "negative");
        if (!plain(result, answer->value.len))
            (void)snprintf(h->failure, sizeof h->failure, "a result is none that was written");
        else if (answer->value.len > 0)
            (void)fprintf(f, ",\"result\":\"%.*s\"", (int)answer->value.len, result);
        (void)fprintf(f, ",\"block\":%" PRIu64 ",\"index\":%" PRIu64 "}\n", answer->block,
                      op->verb == GET && answer->client_seq == 0 ? (uint64_t)INT32_MAX << 16 : answer->index);
    }
    h->written++;
}

/* ---- asking ---- */

static void forget(struct history *h, struct operation *op)
{
    struct operation **at = &h->open;
    while (*at != op)
        at = &(*at)->next;
    *at = op->next;
    op->owner->in_flight--;
    free(op);
}

static void on_answer(void *context, const struct pbft_answer *answer)
{
    struct operation *op = context;
    struct history *h = op->owner->history;
    const bool settled = answer->status == PBFT_OK;
    /* what was refused or has expired did nothing, nor did a get without an answer */
    const bool nothing =
        settled ? answer->outcome != PBFT_OUTCOME_OK && answer->outcome != PBFT_OUTCOME_NEGATIVE : op->verb == GET;
    if (!nothing) write_line(h, op, settled ? answer : NULL);
    forget(h, op);
}

static void ask(struct history *h, struct owner *c)
{
    static const enum verb drawn[] = {PUT, PUT, PUT, GET, GET, GET, GET, DELETE, CAS};
    struct operation *op = mem_zero(1, sizeof *op);
    char key[TEXT_BYTES];
    op->owner = c;
    op->verb = drawn[prng_below(&h->random, sizeof drawn / sizeof drawn[0])];
    op->key = (uint32_t)prng_below(&h->random, h->o->keys);
    (void)snprintf(key, sizeof key, "%s %u", h->prefix, op->key);
    (void)snprintf(op->value, sizeof op->value, "value %" PRIu64, ++h->number);
    if (op->verb == CAS) memcpy(op->expect, h->last[op->key], sizeof op->expect);
    if (op->verb == PUT || op->verb == CAS) memcpy(h->last[op->key], op->value, sizeof op->value);
    struct pbft_operation what = {
        .app = 1, .verb = (uint16_t)op->verb, .arg_count = 1, .args = {{(uint8_t *)key, strlen(key)}}};
    if (op->expect[0] != '\0')
        what.args[what.arg_count++] = (struct pbft_bytes){(uint8_t *)op->expect, strlen(op->expect)};
    if (op->verb == PUT || op->verb == CAS)
        what.args[what.arg_count++] = (struct pbft_bytes){(uint8_t *)op->value, strlen(op->value)};
    op->invoke_us = clock_monotonic_us();
    op->next = h->open;
    h->open = op;
    c->in_flight++;
    const bool by_quorum = op->verb == GET && prng_below(&h->random, 2) == 0;
    const struct pbft_error e =
        by_quorum ? pbft_read(c->client, &what, on_answer, op) : pbft_submit(c->client, &what, 1, on_answer, op);
    if (e.status == PBFT_OK) return;
    (void)snprintf(h->failure, sizeof h->failure, "%s", e.text);
    forget(h, op);
}

static void poll_all(struct history *h)
{
    for (uint32_t i = 0; i < h->clients.count; i++)
        pbft_poll(h->clients.clients[i], POLL_MS);
}

static void run_for(struct history *h)
{
    const uint64_t until = clock_monotonic_us() + (uint64_t)(h->o->seconds * 1e6);
    while (clock_monotonic_us() < until && h->failure[0] == '\0' && !bench_interrupted()) {
        for (uint32_t i = 0; i < h->clients.count; i++) {
            struct owner *c = &h->owners[i];
            while (c->in_flight < h->o->in_flight && pbft_can_submit(c->client) && h->failure[0] == '\0')
                ask(h, c);
        }
        poll_all(h);
    }
    const uint64_t give_up = clock_monotonic_us() + GIVE_UP_US;
    while (h->open != NULL && clock_monotonic_us() < give_up && h->failure[0] == '\0')
        poll_all(h);
}

/* ---- from beginning to end ---- */

static struct err record(struct history *h)
{
    if (h->o->history == NULL) return err_make(ERR_USAGE, "history wants --history FILE");
    ERR_TRY(bench_clients_open(h->o->home, h->o->clients, 0, &h->clients));
    for (uint32_t i = 0; i < h->clients.count; i++)
        h->owners[i] = (struct owner){.history = h, .client = h->clients.clients[i], .name = h->clients.names[i]};
    h->file = fopen(h->o->history, "w");
    if (h->file == NULL) return err_make(ERR_IO, "%s cannot be written", h->o->history);
    run_for(h);
    while (h->open != NULL) {
        if (h->open->verb != GET) write_line(h, h->open, NULL);
        h->open->owner->in_flight--;
        struct operation *next = h->open->next;
        free(h->open);
        h->open = next;
    }
    (void)fprintf(h->file, "{\"operations\":%" PRIu64 "}\n", h->written);
    const bool good = ferror(h->file) == 0;
    if (fclose(h->file) != 0 || !good) return err_make(ERR_IO, "%s cannot be written", h->o->history);
    if (h->failure[0] != '\0') return err_make(ERR_TIMEOUT, "the clients stopped: %s", h->failure);
    if (bench_interrupted())
        return err_make(ERR_NEGATIVE, "interrupted; %s holds what was done until then", h->o->history);
    (void)printf("%" PRIu64 " operations in %s, of %" PRIu64 " of them nobody knows what came\n", h->written,
                 h->o->history, h->unknown);
    return err_none();
}

struct err history_run(const struct bench_options *o)
{
    struct history *h = mem_zero(1, sizeof *h);
    h->o = o;
    h->random = prng_of(clock_wall_ms());
    (void)snprintf(h->prefix, sizeof h->prefix, "h%" PRIu64, clock_wall_ms());
    const struct err e = record(h);
    bench_clients_close(&h->clients);
    free(h);
    return e;
}
