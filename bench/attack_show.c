/* attack_show.c - the comparison of attack.c as a table, CSV, JSON and a picture. */
#include "bench/attack.h"

#include "bench/plot.h"

#include "base/bytes.h"
#include "base/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define HALF 0.5        /* of a second */
#define DUMMY_SHORT 0.9 /* of what it was to use; less is said */
#define TICK_CORES 0.01 /* CPU time of others is known in hundredths of a second */
#define COLOURS 8u      /* of gnuplot, one after the other; then the next kind of line */
#define DASHES 5u

static const char *const role_names[] = {
    [ATTACK_PRIMARY] = "primary", [ATTACK_BACKUP] = "backup", [ATTACK_CLIENT] = "client"};

static double over(double value, double base)
{
    return base > 0 ? value / base : 0;
}

/* Over the run beside it; 0: nothing was accepted there. */
static double ratio(const struct attack_round *r)
{
    return over(load_rate(&r->attacked.load), load_rate(&r->fault_free.load));
}

static double p99_ratio(const struct attack_round *r)
{
    return over(load_percentile_ms(&r->attacked.load, 0.99), load_percentile_ms(&r->fault_free.load, 0.99));
}

static double attacked_rate(const struct attack_round *r)
{
    return load_rate(&r->attacked.load);
}

static double attacked_p99(const struct attack_round *r)
{
    return load_percentile_ms(&r->attacked.load, 0.99);
}

static double attacked_failed(const struct attack_round *r)
{
    return (double)r->attacked.load.failed;
}

static double used(const struct attack_round *r)
{
    return r->used;
}

static double dummy(const struct attack_round *r)
{
    return r->fault_free.dummy;
}

/* Others had the cores: the fault-free run was easier than it should be, the ratio is too small. */
static bool dummy_short(const struct attack_round *r)
{
    return r->fault_free.dummy < DUMMY_SHORT * r->burnt - TICK_CORES;
}

static int compare_double(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

struct spread {
    double least;
    double median; /* the lower one of two */
    double most;
};

static struct spread spread(const struct attack_row *r, double (*figure)(const struct attack_round *r))
{
    double all[ATTACK_ROUNDS_MAX] = {0};
    CHECK(r->round_count > 0);
    for (uint32_t i = 0; i < r->round_count; i++)
        all[i] = figure(&r->rounds[i]);
    qsort(all, r->round_count, sizeof all[0], compare_double);
    return (struct spread){all[0], all[(r->round_count - 1) / 2], all[r->round_count - 1]};
}

static bool is_met(const struct attack_row *r)
{
    return spread(r, ratio).median >= r->behaviour.floor;
}

/* ---- line by line ---- */

void attack_show_header(const struct bench_options *o, const struct attack_run *alone)
{
    const struct load_result *l = &alone->load;
    if (o->form == BENCH_CSV)
        (void)printf("behaviour,role,replica,round,seconds,per_second,fault_free_per_second,ratio,p99_ms,"
                     "fault_free_p99_ms,p99_ratio,failed,attacker_cores,honest_cores,dummy_cores,floor,met,dummy_short,"
                     "error\n");
    if (o->form == BENCH_TABLE)
        (void)printf("%u replicas, %u clients with %u in flight each, %.0f s: nobody misbehaves, %.0f a second, 99 %% "
                     "%.1f ms\n%-22s %-8s %8s %6s %6s %6s %10s %6s %7s %9s %7s %6s\n",
                     l->replicas, l->client_count, l->options.in_flight, l->seconds, load_rate(l),
                     load_percentile_ms(l, 0.99), "behaviour", "role", "a second", "ratio", "least", "most", "99 % ms",
                     "ratio", "failed", "CPU used", "dummy", "floor");
    (void)fflush(stdout);
}

static void show_table_row(const struct attack_row *r)
{
    (void)printf("%-22s %-8s ", r->behaviour.name, role_names[r->behaviour.role]);
    if (err_is(&r->failure)) {
        (void)printf("did not run: %s\n", r->failure.text);
        return;
    }
    const struct spread s = spread(r, ratio);
    uint32_t short_count = 0;
    for (uint32_t i = 0; i < r->round_count; i++)
        if (dummy_short(&r->rounds[i])) short_count++;
    (void)printf("%8.0f %6.2f %6.2f %6.2f %10.1f %6.2f %7.0f %9.2f %7.2f %6.2f %s%s\n", spread(r, attacked_rate).median,
                 s.median, s.least, s.most, spread(r, attacked_p99).median, spread(r, p99_ratio).median,
                 spread(r, attacked_failed).median, spread(r, used).median, spread(r, dummy).median, r->behaviour.floor,
                 is_met(r) ? "met" : "missed", short_count > 0 ? " (the dummy could not have its CPU time)" : "");
}

/* What stands in quotation marks in CSV has none itself. */
static void show_csv_text(const char *text)
{
    (void)putchar('"');
    for (; *text != '\0'; text++)
        (void)putchar(*text == '"' ? '\'' : *text);
    (void)printf("\"\n");
}

/* What a line of each round begins with; a failure is that of the round after the last. */
static void show_csv_begin(const struct attack_row *r, uint32_t round)
{
    (void)printf("%s,%s,", r->behaviour.name, role_names[r->behaviour.role]);
    if (r->behaviour.role != ATTACK_CLIENT) (void)printf("%u", r->replica);
    (void)printf(",%u,", round + 1);
}

static void show_csv_row(const struct attack_row *row)
{
    for (uint32_t i = 0; i < row->round_count; i++) {
        const struct attack_round *r = &row->rounds[i];
        const struct load_result *l = &r->attacked.load;
        const struct load_result *f = &r->fault_free.load;
        show_csv_begin(row, i);
        (void)printf("%.3f,%.1f,%.1f,%.3f,%.3f,%.3f,%.3f,%" PRIu64 ",%.3f,%.3f,%.3f,%.2f,%d,%d,\n", l->seconds,
                     load_rate(l), load_rate(f), ratio(r), load_percentile_ms(l, 0.99), load_percentile_ms(f, 0.99),
                     p99_ratio(r), l->failed, r->used, r->honest, r->fault_free.dummy, row->behaviour.floor,
                     ratio(r) >= row->behaviour.floor ? 1 : 0, dummy_short(r) ? 1 : 0);
    }
    if (!err_is(&row->failure)) return;
    show_csv_begin(row, row->round_count);
    (void)printf(",,,,,,,,,,,%.2f,,,", row->behaviour.floor);
    show_csv_text(row->failure.text);
}

void attack_show_row(const struct bench_options *o, const struct attack_row *r)
{
    if (o->form == BENCH_TABLE) show_table_row(r);
    if (o->form == BENCH_CSV) show_csv_row(r);
    (void)fflush(stdout);
}

/* ---- JSON ---- */

static json_t *real(double value)
{
    return json_real(round(value * 1000) / 1000);
}

static json_t *run_of(const struct attack_run *r)
{
    json_t *out = json_object();
    json_t *halves = json_array();
    for (uint32_t i = 0; i < r->load.half_count; i++)
        CHECK(json_array_append_new(halves, json_integer(r->load.each_half[i])) == 0);
    show_load_into(out, &r->load);
    CHECK(json_object_set_new(json_object_get(out, "results"), "each_half_second", halves) == 0);
    return out;
}

static json_t *round_of(const struct attack_round *r)
{
    json_t *out = json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "ratio", real(ratio(r)), "p99_ratio",
                            real(p99_ratio(r)), "attacker_cores", real(r->used), "honest_cores", real(r->honest),
                            "dummy_cores", real(r->fault_free.dummy), "dummy_short", dummy_short(r), "attack",
                            run_of(&r->attacked), "fault_free", run_of(&r->fault_free));
    CHECK(out != NULL);
    return out;
}

static json_t *row_of(const struct attack_row *r)
{
    json_t *rounds = json_array();
    json_t *out = json_pack("{s:s, s:s, s:o}", "behaviour", r->behaviour.name, "role", role_names[r->behaviour.role],
                            "floor", real(r->behaviour.floor));
    CHECK(out != NULL);
    if (r->behaviour.role != ATTACK_CLIENT) CHECK(json_object_set_new(out, "replica", json_integer(r->replica)) == 0);
    for (uint32_t i = 0; i < r->round_count; i++)
        CHECK(json_array_append_new(rounds, round_of(&r->rounds[i])) == 0);
    if (err_is(&r->failure)) {
        CHECK(json_object_set_new(out, "error", json_string(r->failure.text)) == 0);
    } else {
        const struct spread s = spread(r, ratio);
        json_t *figures = json_pack("{s:{s:o, s:o, s:o}, s:o, s:b}", "throughput_ratio", "min", real(s.least), "median",
                                    real(s.median), "max", real(s.most), "p99_ratio_median",
                                    real(spread(r, p99_ratio).median), "met", is_met(r) ? 1 : 0);
        CHECK(figures != NULL && json_object_update_new(out, figures) == 0);
    }
    CHECK(json_object_set_new(out, "rounds", rounds) == 0);
    return out;
}

void attack_show_end(const struct bench_options *o, const struct attack_run *alone, const struct attack_row *rows,
                     uint32_t count)
{
    if (o->form != BENCH_JSON) return;
    json_t *object = show_envelope("attack");
    json_t *list = json_array();
    show_load_into(object, &alone->load);
    for (uint32_t i = 0; i < count; i++)
        CHECK(json_array_append_new(list, row_of(&rows[i])) == 0);
    CHECK(json_object_set_new(object, "behaviours", list) == 0);
    show_json(object);
}

/* ---- the picture ---- */

static void add_series(struct buffer *script, uint32_t number, const struct load_result *l)
{
    buffer_printf(script, "$run%u << end\n", number);
    for (uint32_t i = 0; i < l->half_count; i++)
        buffer_printf(script, "%.2f %.1f\n", ((double)i + HALF) * HALF, (double)l->each_half[i] / HALF);
    buffer_printf(script, "end\n");
}

struct err attack_plot(const struct attack_run *alone, const struct attack_row *rows, uint32_t count, const char *file)
{
    struct buffer script = {0};
    if (alone->load.half_count == 0)
        return err_make(ERR_USAGE, "a picture of throughput over time wants half a second at least, for %s", file);
    ERR_TRY(plot_begin(&script, file));
    add_series(&script, 0, &alone->load);
    for (uint32_t i = 0; i < count; i++)
        if (rows[i].round_count > 0) add_series(&script, i + 1, &rows[i].rounds[0].attacked.load);
    buffer_printf(&script,
                  "set xlabel 'seconds since the attack began'\nset ylabel 'transactions a second, each half second'\n"
                  "set title 'under attack: %u replicas, %u clients'\nset key below font ',9'\nset xrange [0:*]\n"
                  "set yrange [0:*]\nplot $run0 using 1:2 with lines lw 3 lc rgb 'black' title 'nobody'",
                  alone->load.replicas, alone->load.client_count);
    for (uint32_t i = 0; i < count; i++)
        if (rows[i].round_count > 0)
            buffer_printf(&script, ", $run%u using 1:2 with lines lc %u dt %u title '%s' noenhanced", i + 1,
                          i % COLOURS + 1, i / COLOURS % DASHES + 1, rows[i].behaviour.name);
    buffer_printf(&script, "\n");
    return plot_finish(&script);
}
