/* growth.c - the command growth: throughput, memory and disk as the ledger grows.
 *
 * A group of its own is filled with bundles of puts, as fast as it goes, up to each mark in turn. There it comes to
 * rest, its files are looked at, plain transactions of one put each are measured as the command load does, and the
 * files are looked at again. So what a mark shows is a ledger of that many entries, and what a plain transaction adds.
 *
 * Fill and load put the same keys in turn, so many of them in all: the state stays as it is while the ledger grows, and
 * whatever changes from mark to mark is the ledger's. Without a bound (--keys 0) each put has a new key, and the state
 * grows with the ledger.
 *
 * Machines change from one minute to the next, and marks are minutes apart: so there is a second group, filled to the
 * first mark only, and at each mark the two are measured in turns, the small one first and last. The ratio is that to
 * the small ledger at the same time; the one to the first mark is given too. */
#include "bench/growth.h"

#include "bench/cluster.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

#define FILL_IN_FLIGHT 2u /* bundles of each client: more would wait longer than the time-out */
#define FILL_SECONDS_MAX 86400.0
#define FILL_PATIENCE 30.0 /* seconds */
#define STATUS_MS 3000u
#define REST_US 30000000u
#define LOOK_AGAIN_NS 50000000
#define ENTRIES_MAX 1000000000ull
#define LATENCIES_KEPT 10001u /* of each load: enough for one in a thousand */
#define SMALL_PORT 100u       /* above the base port: where the small group's replicas begin */

struct growth_group {
    struct bench_cluster cluster;
    struct pbft_client *observer;
};

struct growing {
    const struct bench_options *o;
    struct growth_group large; /* that grows */
    struct growth_group small;
    uint32_t replicas;
    struct growth_row rows[GROWTH_MARKS_MAX];
    uint32_t count;
};

/* ---- what is asked for ---- */

static struct err parse_marks(const char *text, struct growing *g)
{
    for (const char *at = text;; at++) {
        char *end;
        const unsigned long long mark = strtoull(at, &end, 10);
        const bool rises = g->count == 0 || mark > g->rows[g->count - 1].mark;
        if (end == at || *at == '-' || (*end != ',' && *end != '\0') || mark > ENTRIES_MAX || !rises)
            return err_make(ERR_USAGE,
                            "--entries is \"%.60s\"; give rising numbers from 0 to %llu, separated by commas", text,
                            ENTRIES_MAX);
        if (g->count == GROWTH_MARKS_MAX)
            return err_make(ERR_USAGE, "--entries wants at most %u numbers", GROWTH_MARKS_MAX);
        g->rows[g->count++].mark = mark;
        at = end;
        if (*at == '\0') return err_none();
    }
}

static struct load_options load_options_of(const struct bench_options *o, const struct growth_group *g)
{
    return (struct load_options){.home = g->cluster.home,
                                 .clients = g->cluster.clients,
                                 .app = LOAD_KV,
                                 .in_flight = o->in_flight,
                                 .bundle = 1,
                                 .op_bytes = o->op_bytes,
                                 .key_count = o->key_count,
                                 .seconds = o->seconds,
                                 .warm_up = o->warm_up,
                                 .carry_on = true};
}

/* ---- the fill ---- */

/* What each says of itself; space for all. */
static struct err ask(const struct growth_group *g, struct pbft_replica_status *status)
{
    const struct pbft_error e = pbft_status_wait(g->observer, STATUS_MS, status);
    return e.status == PBFT_OK ? err_none() : err_make(ERR_TIMEOUT, "%s", e.text);
}

/* What the replica that has most has. */
static struct err count_entries(const struct growth_group *g, uint64_t *out)
{
    const uint32_t replicas = pbft_replica_count(g->observer);
    struct pbft_replica_status *status = mem_zero(replicas, sizeof *status);
    const struct err e = ask(g, status);
    *out = 0;
    for (uint32_t i = 0; i < replicas; i++)
        if (status[i].answered && status[i].entries > *out) *out = status[i].entries;
    free(status);
    return e;
}

/* Up to the mark. A bundle that fails is sent again, as another one, as long as some are accepted. */
static struct err fill(const struct bench_options *o, const struct growth_group *g, uint64_t mark)
{
    uint64_t entries;
    ERR_TRY(count_entries(g, &entries));
    while (entries < mark) {
        struct load_options l = load_options_of(o, g);
        struct load_result r;
        uint64_t now;
        l.bundle = mark - entries < o->bundle ? (uint32_t)(mark - entries) : o->bundle;
        l.op_bytes = o->fill_bytes;
        l.in_flight = FILL_IN_FLIGHT;
        l.transactions = (mark - entries) / l.bundle;
        l.seconds = FILL_SECONDS_MAX;
        l.patience = FILL_PATIENCE;
        l.warm_up = 0;
        ERR_TRY(load_measure(&l, &r));
        load_result_free(&r);
        ERR_TRY(count_entries(g, &now));
        if (now <= entries)
            return err_make(ERR_TIMEOUT, "the fill does not get beyond %llu entries", (unsigned long long)entries);
        entries = now;
    }
    return err_none();
}

/* The growing group, with how long it took. */
static struct err fill_row(const struct growing *g, struct growth_row *row)
{
    const uint64_t from_us = clock_monotonic_us();
    uint64_t first;
    ERR_TRY(count_entries(&g->large, &first));
    ERR_TRY(fill(g->o, &g->large, row->mark));
    ERR_TRY(count_entries(&g->large, &row->entries));
    row->filled = row->entries - first;
    row->fill_seconds = (double)(clock_monotonic_us() - from_us) / 1e6;
    return err_none();
}

/* ---- one mark ---- */

/* What it has executed, when nothing is under way. Errors: ERR_TIMEOUT. */
static struct err executed(const struct growth_group *g, uint32_t replica, uint64_t *out)
{
    struct pbft_replica_status *status = mem_zero(pbft_replica_count(g->observer), sizeof *status);
    struct err e = ask(g, status);
    if (!err_is(&e) && !status[replica].answered)
        e = err_make(ERR_TIMEOUT, "replica %u of the group in %s does not answer", replica, g->cluster.home);
    *out = status[replica].executed;
    free(status);
    return e;
}

/* Once what it has executed is in its log: the last block of an idle replica may be on its way for a while. */
static struct err look_at_rest(const struct growth_group *g, uint32_t replica, struct disk_use *out)
{
    const uint64_t until = clock_monotonic_us() + REST_US;
    for (;;) {
        uint64_t block;
        ERR_TRY(executed(g, replica, &block));
        ERR_TRY(disk_look(g->cluster.home, replica, out));
        if (out->block >= block) return err_none();
        ERR_TRY(bench_go_on());
        if (clock_monotonic_us() > until)
            return err_make(ERR_TIMEOUT, "replica %u of the group in %s does not write its last block", replica,
                            g->cluster.home);
        (void)nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
    }
}

static struct err measure_load(const struct bench_options *o, const struct growth_group *g, struct growth_side *side)
{
    const struct load_options l = load_options_of(o, g);
    struct load_result *r = &side->loads[side->count];
    uint32_t primary;
    ERR_TRY(bench_cluster_settle(&g->cluster, &primary));
    ERR_TRY(load_measure(&l, r));
    load_result_thin(r, LATENCIES_KEPT);
    side->count++;
    return err_none();
}

static struct err measure_in_turns(struct growing *g, struct growth_row *row)
{
    ERR_TRY(measure_load(g->o, &g->small, &row->small));
    for (uint32_t i = 0; i < g->o->rounds; i++) {
        ERR_TRY(measure_load(g->o, &g->large, &row->large));
        ERR_TRY(measure_load(g->o, &g->small, &row->small));
    }
    return err_none();
}

static struct err measure_mark(struct growing *g, struct growth_row *row)
{
    const char *home = g->large.cluster.home;
    const struct growth_replica *first = &row->replicas[0];
    struct disk_blocks folded;
    uint32_t primary;
    ERR_TRY(fill_row(g, row));
    ERR_TRY(count_entries(&g->small, &row->small_entries));
    ERR_TRY(bench_cluster_settle(&g->large.cluster, &primary));
    for (uint32_t i = 0; i < g->replicas; i++)
        ERR_TRY(look_at_rest(&g->large, i, &row->replicas[i].at));
    ERR_TRY(measure_in_turns(g, row));
    ERR_TRY(bench_cluster_settle(&g->large.cluster, &primary));
    for (uint32_t i = 0; i < g->replicas; i++) {
        row->replicas[i].memory_kib = memory_kib(home, i);
        ERR_TRY(look_at_rest(&g->large, i, &row->replicas[i].after));
    }
    ERR_TRY(disk_read_blocks(home, 0, first->at.block, first->after.block, &row->blocks));
    ERR_TRY(disk_read_blocks(home, 0, first->at.state_block, first->after.state_block, &folded));
    row->state_entries = folded.entries;
    return err_none();
}

/* ---- figures ---- */

static double of_one(uint64_t after, uint64_t at, uint64_t transactions)
{
    return transactions > 0 ? ((double)after - (double)at) / (double)transactions : 0;
}

struct growth_transaction growth_transaction(const struct growth_row *r)
{
    const struct disk_blocks *b = &r->blocks;
    const uint64_t *at = r->replicas[0].at.parts;
    const uint64_t *after = r->replicas[0].after.parts;
    const uint64_t n = b->transactions;
    struct growth_transaction t = {.request = of_one(b->request_bytes, 0, n),
                                   .batch = of_one(b->batch_bytes, 0, n),
                                   .header = of_one(b->header_bytes, 0, n),
                                   .certificate = of_one(b->certificate_bytes, 0, n),
                                   .entry = of_one(b->entry_bytes, 0, n)};
    const double logged = of_one(after[DISK_BATCHES] + after[DISK_BLOCKS], at[DISK_BATCHES] + at[DISK_BLOCKS], n);
    t.pages = logged - t.request - t.batch - t.header - t.certificate - t.entry;
    t.state = of_one(after[DISK_STATE_DATA] + after[DISK_STATE_TREE] + after[DISK_STATE_REST],
                     at[DISK_STATE_DATA] + at[DISK_STATE_TREE] + at[DISK_STATE_REST], r->state_entries);
    t.free = of_one(after[DISK_FREE], at[DISK_FREE], r->state_entries);
    t.rest = of_one(after[DISK_CERTIFICATES] + after[DISK_LOG_REST], at[DISK_CERTIFICATES] + at[DISK_LOG_REST], n);
    return t;
}

double growth_transaction_bytes(const struct growth_transaction *t)
{
    return t->request + t->batch + t->header + t->certificate + t->entry + t->pages + t->state + t->free + t->rest;
}

static double over(double value, double base)
{
    return base > 0 ? value / base : 0;
}

double growth_rate(const struct growth_side *s)
{
    uint64_t transactions = 0;
    double seconds = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        transactions += s->loads[i].transactions;
        seconds += s->loads[i].seconds;
    }
    return over((double)transactions, seconds);
}

double growth_cpu_us(const struct growth_side *s)
{
    uint64_t transactions = 0;
    uint64_t cpu_us = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        transactions += s->loads[i].transactions;
        cpu_us += s->loads[i].cost.cpu_us;
    }
    return over((double)cpu_us, (double)transactions);
}

static int compare_double(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

double growth_percentile_ms(const struct growth_side *s, double p)
{
    double all[GROWTH_ROUNDS_MAX + 1] = {0};
    if (s->count == 0) return 0;
    for (uint32_t i = 0; i < s->count; i++)
        all[i] = load_percentile_ms(&s->loads[i], p);
    qsort(all, s->count, sizeof all[0], compare_double);
    return all[(s->count - 1) / 2];
}

double growth_ratio(const struct growth_row *r)
{
    return over(growth_rate(&r->large), growth_rate(&r->small));
}

double growth_first_ratio(const struct growth_row *r, const struct growth_row *first)
{
    return over(growth_rate(&r->large), growth_rate(&first->large));
}

/* ---- the command ---- */

static struct err start(const struct bench_options *o, uint32_t port, struct growth_group *g)
{
    ERR_TRY(bench_cluster_start(o->dir, o->base_port > 0 ? o->base_port + port : 0, o->replica_count, o->client_count,
                                &g->cluster));
    return bench_clients_open_observer(g->cluster.home, &g->observer);
}

static struct err end(struct growth_group *g)
{
    pbft_close(g->observer);
    return bench_cluster_end(&g->cluster);
}

static struct err measure_marks(struct growing *g)
{
    const struct bench_options *o = g->o;
    ERR_TRY(start(o, 0, &g->large));
    ERR_TRY(start(o, SMALL_PORT, &g->small));
    ERR_TRY(fill(o, &g->small, g->rows[0].mark));
    growth_show_header(o);
    for (uint32_t i = 0; i < g->count; i++) {
        g->rows[i].replicas = mem_zero(g->replicas, sizeof *g->rows[i].replicas);
        ERR_TRY(measure_mark(g, &g->rows[i]));
        growth_show_row(o, &g->rows[i], &g->rows[0]);
    }
    growth_show_end(o, g->rows, g->count);
    return o->plot != NULL ? growth_plot(g->rows, g->count, o->plot) : err_none();
}

static void free_side(struct growth_side *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        load_result_free(&s->loads[i]);
}

struct err growth_run(const struct bench_options *o)
{
    struct growing *g = mem_zero(1, sizeof *g);
    g->o = o;
    g->replicas = o->replica_count;
    struct err e = parse_marks(o->entries, g);
    if (!err_is(&e)) e = measure_marks(g);
    const struct err small = end(&g->small);
    const struct err large = end(&g->large);
    const struct err ended = bench_both(&small, &large);
    for (uint32_t i = 0; i < g->count; i++) {
        free_side(&g->rows[i].large);
        free_side(&g->rows[i].small);
        free(g->rows[i].replicas);
    }
    free(g);
    return bench_both(&e, &ended);
}
