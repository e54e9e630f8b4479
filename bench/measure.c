/* measure.c - the commands that put a load on a group: load, latency, curve, scale. With --replicas the group is one
 * that lives as long as the command. */
#include "bench/bench.h"

#include "bench/cluster.h"
#include "bench/plot.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLOOR_SECONDS 1.6
#define SIZES_MAX 16u
#define PEAK_SHARE 0.9 /* of the closed loop's throughput is to be left when 1.5 times as much is asked for */

static const double shares[] = {0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5};
#define SHARES (sizeof shares / sizeof shares[0])

static struct load_options load_options_of(const struct bench_options *o)
{
    return (struct load_options){.home = o->home,
                                 .clients = o->clients,
                                 .app = o->app,
                                 .in_flight = o->in_flight,
                                 .bundle = o->bundle,
                                 .op_bytes = o->op_bytes,
                                 .key_count = o->key_count,
                                 .reads = o->reads || o->certified,
                                 .certified = o->certified,
                                 .rate = o->rate,
                                 .seconds = o->seconds,
                                 .warm_up = o->warm_up,
                                 .floor_seconds = FLOOR_SECONDS};
}

/* context: the command's. */
typedef struct err (*measuring)(void *context, const struct load_options *l);

static struct err parse_replicas(const char *text, char **end, uint32_t *out)
{
    const unsigned long n = strtoul(text, end, 10);
    if (*end == text || (**end != ',' && **end != '\0') || n < 1 || n > REPLICAS_MAX)
        return err_make(ERR_USAGE, "--replicas is \"%.60s\"; give numbers from 1 to %u", text, REPLICAS_MAX);
    *out = (uint32_t)n;
    return err_none();
}

/* Measures with a group of its own of so many replicas. */
static struct err with_own_group(const struct bench_options *o, uint32_t replicas, uint32_t clients, measuring measure,
                                 void *context)
{
    struct bench_cluster c;
    struct load_options l = load_options_of(o);
    struct err e = bench_cluster_start(o->dir, o->base_port, replicas, clients, &c);
    l.home = c.home;
    l.clients = c.clients;
    if (!err_is(&e)) e = measure(context, &l);
    const struct err ended = bench_cluster_end(&c);
    return bench_both(&e, &ended);
}

static struct err with_group(struct bench_options *o, uint32_t clients, measuring measure)
{
    uint32_t replicas;
    char *end;
    const struct load_options l = load_options_of(o);
    if (o->key_count > 0 && (o->reads || (o->certified && o->readers == 0)))
        return err_make(ERR_USAGE, "--keys is of puts; leave it out with --reads and --certified");
    if (o->replicas == NULL) return measure(o, &l);
    ERR_TRY(parse_replicas(o->replicas, &end, &replicas));
    if (*end != '\0') return err_make(ERR_USAGE, "--replicas is \"%.60s\"; one number is wanted here", o->replicas);
    return with_own_group(o, replicas, clients, measure, o);
}

/* ---- load, latency ---- */

static struct err measure_and_show(const char *command, const struct bench_options *o, const struct load_options *l)
{
    struct load_result r;
    ERR_TRY(load_measure(l, &r));
    show_load(command, &r, o->form);
    const struct err e = o->plot != NULL ? show_histogram(&r, o->plot) : err_none();
    load_result_free(&r);
    return e;
}

static struct err measure_load(void *options, const struct load_options *l)
{
    const struct bench_options *o = options;
    return o->readers > 0 ? mixed_measure(o, l) : measure_and_show("load", o, l);
}

struct err load_run(const struct bench_options *o)
{
    struct bench_options own = *o;
    if (o->readers == 0 && (o->read_rate > 0 || o->rounds > 0))
        return err_make(ERR_USAGE, "--%s is for --readers", o->read_rate > 0 ? "read-rate" : "rounds");
    if (o->readers > 0 && o->reads) return err_make(ERR_USAGE, "with --readers the others write; leave --reads out");
    if (o->replicas != NULL && o->client_count + o->readers > BENCH_CLIENTS_MAX)
        return err_make(ERR_USAGE, "--clients and --readers are %u together; at most %u", o->client_count + o->readers,
                        BENCH_CLIENTS_MAX);
    return with_group(&own, o->client_count + o->readers, measure_load);
}

static struct err measure_latency(void *options, const struct load_options *l)
{
    return measure_and_show("latency", options, l);
}

struct err latency_run(const struct bench_options *o)
{
    struct bench_options one = *o;
    if (strchr(o->clients, ',') != NULL)
        return err_make(ERR_USAGE, "--client is \"%.60s\"; one transaction at a time is one client's", o->clients);
    one.in_flight = 1;
    return with_group(&one, 1, measure_latency);
}

/* ---- throughput and latency ---- */

static struct err plot_curve(const struct load_result *rows, uint32_t count, const char *file)
{
    struct buffer script = {0};
    ERR_TRY(plot_begin(&script, file));
    buffer_printf(&script,
                  "set logscale y\nset key below\nset xlabel 'transactions a second'\nset ylabel 'latency, ms'\n"
                  "set title 'open loop, %u replicas, from when it was meant to be sent'\n$rows << end\n",
                  rows[0].replicas);
    for (uint32_t i = 0; i < count; i++)
        buffer_printf(&script, "%.1f %.3f %.3f %.1f\n", load_rate(&rows[i]), load_percentile_ms(&rows[i], 0.5),
                      load_percentile_ms(&rows[i], 0.99), rows[i].options.rate);
    buffer_printf(&script, "end\nset xrange [0:*]\nplot $rows using 1:2 with linespoints title 'median', "
                           "$rows using 1:3 with linespoints title '99 %%'\n");
    return plot_finish(&script);
}

/* The closed loop, measured first and last: the machine changes, and a state that grows costs more and more. */
struct closed {
    struct load_result first;
    struct load_result last;
};

static double closed_rate(const struct closed *c)
{
    return (load_rate(&c->first) + load_rate(&c->last)) / 2;
}

static void print_curve(const struct closed *closed, const struct load_result *rows)
{
    (void)printf("closed loop: %.0f a second, ceiling ratio %.3f\n%10s %10s %8s %10s %10s %8s %8s\n",
                 load_rate(&closed->first), load_ceiling_ratio(&closed->first), "meant", "accepted", "share",
                 "median ms", "99 % ms", "unsent", "failed");
    for (uint32_t i = 0; i < SHARES; i++)
        (void)printf("%10.0f %10.0f %8.2f %10.2f %10.2f %8llu %8llu\n", rows[i].options.rate, load_rate(&rows[i]),
                     load_rate(&rows[i]) / closed_rate(closed), load_percentile_ms(&rows[i], 0.5),
                     load_percentile_ms(&rows[i], 0.99), (unsigned long long)rows[i].unsent,
                     (unsigned long long)rows[i].failed);
    const double kept = load_rate(&rows[SHARES - 1]) / closed_rate(closed);
    (void)printf("closed loop again: %.0f a second; shares are of the mean of both\n", load_rate(&closed->last));
    (void)printf("at %.2f times the closed loop %.2f of it is left; the aim is %.2f\n", shares[SHARES - 1], kept,
                 PEAK_SHARE);
}

static void show_curve(const struct bench_options *o, const struct closed *closed, const struct load_result *rows)
{
    if (o->form == BENCH_TABLE) print_curve(closed, rows);
    if (o->form == BENCH_CSV) {
        show_load_header();
        show_load_line(&closed->first);
        for (uint32_t i = 0; i < SHARES; i++)
            show_load_line(&rows[i]);
        show_load_line(&closed->last);
    }
    if (o->form != BENCH_JSON) return;
    json_t *object = show_envelope("curve");
    json_t *open = json_array();
    show_load_into(object, &closed->first);
    json_t *last = json_object();
    show_load_into(last, &closed->last);
    CHECK(json_object_set_new(object, "closed_again", last) == 0);
    for (uint32_t i = 0; i < SHARES; i++) {
        json_t *row = json_object();
        show_load_into(row, &rows[i]);
        CHECK(json_array_append_new(open, row) == 0);
    }
    CHECK(json_object_set_new(object, "open", open) == 0);
    show_json(object);
}

static struct err measure_open(const struct load_options *l, struct closed *closed, struct load_result *rows)
{
    struct load_options open = *l;
    ERR_TRY(load_measure(l, &closed->first));
    if (closed->first.transactions == 0)
        return err_make(ERR_TIMEOUT, "nothing was accepted in the closed loop, so there are no shares of it");
    open.carry_on = true;
    open.floor_seconds = 0;
    for (uint32_t i = 0; i < SHARES; i++) {
        open.rate = shares[i] * load_rate(&closed->first);
        ERR_TRY(load_measure(&open, &rows[i]));
    }
    return load_measure(l, &closed->last);
}

static struct err measure_curve(void *options, const struct load_options *l)
{
    const struct bench_options *o = options;
    struct closed closed = {0};
    struct load_result rows[SHARES] = {0};
    struct err e = measure_open(l, &closed, rows);
    if (!err_is(&e)) show_curve(o, &closed, rows);
    if (!err_is(&e) && o->plot != NULL) e = plot_curve(rows, SHARES, o->plot);
    for (uint32_t i = 0; i < SHARES; i++)
        load_result_free(&rows[i]);
    load_result_free(&closed.first);
    load_result_free(&closed.last);
    return e;
}

struct err curve_run(const struct bench_options *o)
{
    struct bench_options own = *o;
    return with_group(&own, o->client_count, measure_curve);
}

/* ---- sizes of groups ---- */

struct sizes {
    struct load_result results[SIZES_MAX];
    uint32_t count;
};

static struct err measure_size(void *sizes, const struct load_options *l)
{
    struct sizes *s = sizes;
    ERR_TRY(load_measure(l, &s->results[s->count]));
    s->count++;
    return err_none();
}

/* CPU time of one replica for each transaction. */
static double cpu_of_one(const struct load_result *r)
{
    return load_cpu_us(r) / r->replicas;
}

static void show_sizes(const struct bench_options *o, const struct sizes *s)
{
    json_t *object = NULL;
    json_t *rows = json_array();
    if (o->form == BENCH_TABLE)
        (void)printf("%8s %12s %14s %20s %8s %12s %10s\n", "replicas", "a second", "ceiling ratio",
                     "CPU us of a replica", "ratio", "median ms", "batch");
    if (o->form == BENCH_CSV) show_load_header();
    if (o->form == BENCH_JSON) object = show_envelope("scale");
    for (uint32_t i = 0; i < s->count; i++) {
        const struct load_result *r = &s->results[i];
        if (o->form == BENCH_CSV) show_load_line(r);
        if (o->form == BENCH_TABLE)
            (void)printf("%8u %12.0f %14.3f %20.1f %8.2f %12.2f %10.1f\n", r->replicas, load_rate(r),
                         load_ceiling_ratio(r), cpu_of_one(r), cpu_of_one(r) / cpu_of_one(&s->results[0]),
                         load_percentile_ms(r, 0.5),
                         r->cost.batches > 0 ? (double)r->transactions / (double)r->cost.batches : 0);
        if (object == NULL) continue;
        json_t *row = json_object();
        show_load_into(row, r);
        CHECK(json_array_append_new(rows, row) == 0);
    }
    if (object == NULL) {
        json_decref(rows);
        return;
    }
    CHECK(json_object_set_new(object, "sizes", rows) == 0);
    show_json(object);
}

static struct err plot_sizes(const struct sizes *s, const char *file)
{
    struct buffer script = {0};
    ERR_TRY(plot_begin(&script, file));
    buffer_printf(&script, "set xlabel 'replicas'\nset ylabel 'us of CPU for each transaction'\nset key below\n"
                           "set yrange [0:*]\n$rows << end\n");
    for (uint32_t i = 0; i < s->count; i++)
        buffer_printf(&script, "%u %.2f %.2f\n", s->results[i].replicas, cpu_of_one(&s->results[i]),
                      s->results[i].floor.verify_us);
    buffer_printf(&script, "end\nplot $rows using 1:2 with linespoints title 'one replica', $rows using 1:3 with "
                           "linespoints title 'of it: the signature of the request'\n");
    return plot_finish(&script);
}

static struct err parse_sizes(const char *text, uint32_t sizes[SIZES_MAX], uint32_t *count)
{
    char *end;
    for (const char *at = text;; at = end + 1) {
        if (*count == SIZES_MAX) return err_make(ERR_USAGE, "--replicas wants at most %u numbers", SIZES_MAX);
        ERR_TRY(parse_replicas(at, &end, &sizes[*count]));
        (*count)++;
        if (*end == '\0') return err_none();
    }
}

struct err scale_run(const struct bench_options *o)
{
    uint32_t sizes[SIZES_MAX] = {0};
    uint32_t count = 0;
    ERR_TRY(parse_sizes(o->replicas, sizes, &count));
    struct sizes *s = mem_zero(1, sizeof *s);
    struct err e = err_none();
    for (uint32_t i = 0; i < count && !err_is(&e); i++)
        e = with_own_group(o, sizes[i], o->client_count, measure_size, s);
    if (!err_is(&e)) show_sizes(o, s);
    if (!err_is(&e) && o->plot != NULL) e = plot_sizes(s, o->plot);
    for (uint32_t i = 0; i < s->count; i++)
        load_result_free(&s->results[i]);
    free(s);
    return e;
}
