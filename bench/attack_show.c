/* attack_show.c - the comparison of attack.c as a table, CSV, JSON and a picture. */
#include "bench/attack.h"

#include "bench/plot.h"

#include "base/bytes.h"
#include "base/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define HALF 0.5 /* of a second */

static const char *const role_names[] = {
    [ATTACK_PRIMARY] = "primary", [ATTACK_BACKUP] = "backup", [ATTACK_CLIENT] = "client"};

static double over(double value, double base)
{
    return base > 0 ? value / base : 0;
}

double attack_ratio(const struct attack_row *r)
{
    return over(load_rate(&r->attacked.load), load_rate(&r->fault_free.load));
}

double attack_p99_ratio(const struct attack_row *r)
{
    return over(load_percentile_ms(&r->attacked.load, 0.99), load_percentile_ms(&r->fault_free.load, 0.99));
}

static bool is_met(const struct attack_row *r)
{
    return attack_ratio(r) >= r->behaviour.floor;
}

/* ---- line by line ---- */

void attack_show_header(const struct bench_options *o, const struct attack_run *alone)
{
    const struct load_result *l = &alone->load;
    if (o->form == BENCH_CSV)
        (void)printf("behaviour,role,replica,seconds,per_second,fault_free_per_second,ratio,p99_ms,fault_free_p99_ms,"
                     "p99_ratio,failed,attacker_cores,honest_cores,dummy_cores,floor,met,error\n");
    if (o->form == BENCH_TABLE)
        (void)printf("%u replicas, %u clients with %u in flight each, %.0f s: nobody misbehaves, %.0f a second, 99 %% "
                     "%.1f ms\n%-22s %-8s %8s %6s %10s %6s %7s %9s %7s %6s\n",
                     l->replicas, l->client_count, l->options.in_flight, l->seconds, load_rate(l),
                     load_percentile_ms(l, 0.99), "behaviour", "role", "a second", "ratio", "99 % ms", "ratio",
                     "failed", "CPU used", "dummy", "floor");
    (void)fflush(stdout);
}

static void show_table_row(const struct attack_row *r)
{
    const struct load_result *l = &r->attacked.load;
    (void)printf("%-22s %-8s ", r->behaviour.name, role_names[r->behaviour.role]);
    if (err_is(&r->failure))
        (void)printf("did not run: %s\n", r->failure.text);
    else
        (void)printf("%8.0f %6.2f %10.1f %6.2f %7" PRIu64 " %9.2f %7.2f %6.2f %s\n", load_rate(l), attack_ratio(r),
                     load_percentile_ms(l, 0.99), attack_p99_ratio(r), l->failed, r->used, r->fault_free.dummy,
                     r->behaviour.floor, is_met(r) ? "met" : "missed");
}

/* What stands in quotation marks in CSV has none itself. */
static void show_csv_text(const char *text)
{
    (void)putchar('"');
    for (; *text != '\0'; text++)
        (void)putchar(*text == '"' ? '\'' : *text);
    (void)printf("\"\n");
}

static void show_csv_row(const struct attack_row *r)
{
    const struct load_result *l = &r->attacked.load;
    const struct load_result *f = &r->fault_free.load;
    (void)printf("%s,%s,", r->behaviour.name, role_names[r->behaviour.role]);
    if (r->behaviour.role != ATTACK_CLIENT) (void)printf("%u", r->replica);
    if (err_is(&r->failure)) {
        (void)printf(",,,,,,,,,,,,%.2f,,", r->behaviour.floor);
        show_csv_text(r->failure.text);
        return;
    }
    (void)printf(",%.3f,%.1f,%.1f,%.3f,%.3f,%.3f,%.3f,%" PRIu64 ",%.3f,%.3f,%.3f,%.2f,%d,\n", l->seconds, load_rate(l),
                 load_rate(f), attack_ratio(r), load_percentile_ms(l, 0.99), load_percentile_ms(f, 0.99),
                 attack_p99_ratio(r), l->failed, r->used, r->honest, r->fault_free.dummy, r->behaviour.floor,
                 is_met(r) ? 1 : 0);
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

static json_t *row_of(const struct attack_row *r)
{
    json_t *out = json_pack("{s:s, s:s, s:o}", "behaviour", r->behaviour.name, "role", role_names[r->behaviour.role],
                            "floor", real(r->behaviour.floor));
    CHECK(out != NULL);
    if (r->behaviour.role != ATTACK_CLIENT) CHECK(json_object_set_new(out, "replica", json_integer(r->replica)) == 0);
    if (err_is(&r->failure)) {
        CHECK(json_object_set_new(out, "error", json_string(r->failure.text)) == 0);
        return out;
    }
    json_t *figures =
        json_pack("{s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "throughput_ratio", real(attack_ratio(r)), "p99_ratio",
                  real(attack_p99_ratio(r)), "met", is_met(r) ? 1 : 0, "attacker_cores", real(r->used), "honest_cores",
                  real(r->honest), "dummy_cores", real(r->fault_free.dummy), "attack", run_of(&r->attacked),
                  "fault_free", run_of(&r->fault_free));
    CHECK(figures != NULL && json_object_update_new(out, figures) == 0);
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
        if (!err_is(&rows[i].failure)) add_series(&script, i + 1, &rows[i].attacked.load);
    buffer_printf(&script,
                  "set xlabel 'seconds since the attack began'\nset ylabel 'transactions a second, each half second'\n"
                  "set title 'under attack: %u replicas, %u clients'\nset key outside right top\nset xrange [0:*]\n"
                  "set yrange [0:*]\nplot $run0 using 1:2 with lines lw 3 lc rgb 'black' title 'nobody'",
                  alone->load.replicas, alone->load.client_count);
    for (uint32_t i = 0; i < count; i++)
        if (!err_is(&rows[i].failure))
            buffer_printf(&script, ", $run%u using 1:2 with lines title '%s' noenhanced", i + 1,
                          rows[i].behaviour.name);
    buffer_printf(&script, "\n");
    return plot_finish(&script);
}
