/* growth_show.c - the marks of growth.c as a table, CSV, JSON and a picture. */
#include "bench/growth.h"

#include "bench/plot.h"

#include "base/bytes.h"
#include "base/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define MIB (1024.0 * 1024.0)
#define RATIO_AIM 0.9 /* of the throughput at the first mark */
#define BYTES_AIM 2.0 /* times the request */

static json_t *real(double value)
{
    return json_real(round(value * 1000) / 1000);
}

static json_t *whole(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static double over(double value, double base)
{
    return base > 0 ? value / base : 0;
}

/* ---- line by line ---- */

void growth_show_header(const struct bench_options *o)
{
    if (o->form == BENCH_TABLE) {
        (void)printf(
            "%10s %9s %9s %6s %7s %7s %8s %8s %7s | MiB on the disk of the replica that has most, and bytes an "
            "entry\n",
            "entries", "a second", "small", "ratio", "CPU us", "small", "median", "99 %", "memory");
        (void)printf("%10s %9s %9s %6s %7s %7s %8s %8s %7s | %8s %8s %8s %8s %8s %8s %8s %8s %8s\n", "", "", "ledger",
                     "", "", "ledger", "ms", "ms", "MiB", "batches", "blocks", "log rest", "st. data", "st. tree",
                     "free", "all", "reserved", "an entry");
    }
    if (o->form == BENCH_CSV) {
        (void)printf("mark,entries,fill_seconds,filled,per_second,small_entries,small_per_second,ratio,first_ratio,p50_"
                     "ms,p99_ms,"
                     "replicas_cpu_us,small_replicas_cpu_us,replica,memory_kib,reserved_bytes,used_bytes");
        for (uint32_t i = 0; i < DISK_PARTS; i++)
            (void)printf(",%s", disk_part_names[i]);
        (void)printf(",bytes_per_entry,request_bytes,bytes_per_transaction\n");
    }
    (void)fflush(stdout);
}

/* Of the largest replica, at the end of the last load. */
static uint64_t memory_under_load(const struct growth_row *r)
{
    return r->large.loads[r->large.count - 1].memory_kib;
}

static void show_table_row(const struct growth_row *r)
{
    const struct disk_use *u = &r->replicas[0].at; /* of the one that has most */
    for (uint32_t i = 1; i < r->large.loads[0].replicas; i++)
        if (disk_used(&r->replicas[i].at) > disk_used(u)) u = &r->replicas[i].at;
    const uint64_t *p = u->parts;
    (void)printf("%10" PRIu64 " %9.0f %9.0f %6.2f %7.1f %7.1f %8.2f %8.2f %7.1f |", r->entries, growth_rate(&r->large),
                 growth_rate(&r->small), growth_ratio(r), growth_cpu_us(&r->large), growth_cpu_us(&r->small),
                 growth_percentile_ms(&r->large, 0.5), growth_percentile_ms(&r->large, 0.99),
                 (double)memory_under_load(r) / 1024);
    (void)printf(" %8.1f %8.1f %8.1f %8.1f %8.1f %8.1f %8.1f %8.1f %8.1f\n", (double)p[DISK_BATCHES] / MIB,
                 (double)p[DISK_BLOCKS] / MIB, (double)(p[DISK_CERTIFICATES] + p[DISK_LOG_REST]) / MIB,
                 (double)p[DISK_STATE_DATA] / MIB, (double)(p[DISK_STATE_TREE] + p[DISK_STATE_REST]) / MIB,
                 (double)p[DISK_FREE] / MIB, (double)disk_used(u) / MIB, (double)u->reserved_bytes / MIB,
                 over((double)disk_used(u), (double)r->entries));
}

static void show_csv_row(const struct growth_row *r, const struct growth_row *first)
{
    const struct growth_transaction t = growth_transaction(r);
    for (uint32_t i = 0; i < r->large.loads[0].replicas; i++) {
        const struct growth_replica *g = &r->replicas[i];
        (void)printf("%" PRIu64 ",%" PRIu64 ",%.3f,%" PRIu64 ",%.1f,%" PRIu64 ",%.1f,%.3f,%.3f,%.3f,%.3f,%.1f,%.1f,",
                     r->mark, r->entries, r->fill_seconds, r->filled, growth_rate(&r->large), r->small_entries,
                     growth_rate(&r->small), growth_ratio(r), growth_first_ratio(r, first),
                     growth_percentile_ms(&r->large, 0.5), growth_percentile_ms(&r->large, 0.99),
                     growth_cpu_us(&r->large), growth_cpu_us(&r->small));
        (void)printf("%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64, i, g->memory_kib, g->at.reserved_bytes, disk_used(&g->at));
        for (uint32_t k = 0; k < DISK_PARTS; k++)
            (void)printf(",%" PRIu64, g->at.parts[k]);
        (void)printf(",%.1f,%.1f,%.1f\n", over((double)disk_used(&g->at), (double)r->entries), t.request,
                     growth_transaction_bytes(&t));
    }
}

void growth_show_row(const struct bench_options *o, const struct growth_row *r, const struct growth_row *first)
{
    if (o->form == BENCH_TABLE) show_table_row(r);
    if (o->form == BENCH_CSV) show_csv_row(r, first);
    (void)fflush(stdout);
}

/* ---- the end ---- */

static void show_line(const char *what, double bytes, double request)
{
    (void)printf("  %-44s %8.1f %6.2f\n", what, bytes, over(bytes, request));
}

static void show_transaction(const struct growth_row *r)
{
    const struct growth_transaction t = growth_transaction(r);
    const double all = growth_transaction_bytes(&t);
    (void)printf("\na plain transaction of the load at %" PRIu64 " entries (%" PRIu64 " in %" PRIu64
                 " blocks) on a replica's disk: bytes, and over its request\n",
                 r->entries, r->blocks.transactions, r->blocks.blocks);
    show_line("request, as signed", t.request, t.request);
    show_line("batch around it: time, lengths, key", t.batch, t.request);
    show_line("block header", t.header, t.request);
    show_line("commit certificate", t.certificate, t.request);
    show_line("entry", t.entry, t.request);
    show_line("pages: LMDB's own and room left in them", t.pages, t.request);
    show_line("state: data and tree", t.state, t.request);
    show_line("free pages", t.free, t.request);
    show_line("other certificates", t.rest, t.request);
    show_line("all", all, t.request);
    (void)printf("all over the request %.2f, the aim is %.1f; without the request itself %.2f\n", over(all, t.request),
                 BYTES_AIM, over(all - t.request, t.request));
}

static json_t *use_of(const struct disk_use *u)
{
    json_t *out = json_pack("{s:o, s:o, s:o, s:o}", "used_bytes", whole(disk_used(u)), "reserved_bytes",
                            whole(u->reserved_bytes), "block", whole(u->block), "state_block", whole(u->state_block));
    json_t *parts = json_object();
    CHECK(out != NULL);
    for (uint32_t i = 0; i < DISK_PARTS; i++)
        CHECK(json_object_set_new(parts, disk_part_names[i], whole(u->parts[i])) == 0);
    CHECK(json_object_set_new(out, "parts", parts) == 0);
    return out;
}

static json_t *transaction_of(const struct growth_row *r)
{
    const struct growth_transaction t = growth_transaction(r);
    const double all = growth_transaction_bytes(&t);
    json_t *out =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "request", real(t.request), "batch",
                  real(t.batch), "header", real(t.header), "certificate", real(t.certificate), "entry", real(t.entry),
                  "pages", real(t.pages), "state", real(t.state), "free", real(t.free), "rest", real(t.rest), "all",
                  real(all), "over_request", real(over(all, t.request)));
    CHECK(out != NULL);
    return out;
}

static json_t *side_of(const struct growth_side *s)
{
    json_t *loads = json_array();
    json_t *out = json_pack("{s:o, s:o, s:{s:o, s:o}}", "per_second", real(growth_rate(s)), "replicas_cpu_us",
                            real(growth_cpu_us(s)), "latency_ms", "p50", real(growth_percentile_ms(s, 0.5)), "p99",
                            real(growth_percentile_ms(s, 0.99)));
    CHECK(out != NULL);
    for (uint32_t i = 0; i < s->count; i++) {
        json_t *one = json_object();
        show_load_into(one, &s->loads[i]);
        CHECK(json_array_append_new(loads, one) == 0);
    }
    CHECK(json_object_set_new(out, "loads", loads) == 0);
    return out;
}

static json_t *mark_of(const struct growth_row *r, const struct growth_row *first)
{
    json_t *replicas = json_array();
    for (uint32_t i = 0; i < r->large.loads[0].replicas; i++) {
        const struct growth_replica *g = &r->replicas[i];
        json_t *one = json_pack("{s:o, s:o, s:o}", "memory_kib", whole(g->memory_kib), "at", use_of(&g->at), "after",
                                use_of(&g->after));
        CHECK(one != NULL && json_array_append_new(replicas, one) == 0);
    }
    json_t *out =
        json_pack("{s:o, s:o, s:{s:o, s:o}, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "mark", whole(r->mark),
                  "entries", whole(r->entries), "fill", "seconds", real(r->fill_seconds), "operations",
                  whole(r->filled), "large", side_of(&r->large), "small_entries", whole(r->small_entries), "small",
                  side_of(&r->small), "ratio", real(growth_ratio(r)), "first_ratio", real(growth_first_ratio(r, first)),
                  "memory_kib", whole(memory_under_load(r)), "bytes_per_entry",
                  real(over((double)disk_used(&r->replicas[0].at), (double)r->entries)), "bytes_per_transaction",
                  transaction_of(r), "disk", replicas);
    CHECK(out != NULL);
    return out;
}

void growth_show_end(const struct bench_options *o, const struct growth_row *rows, uint32_t count)
{
    const struct growth_row *last = &rows[count - 1];
    if (o->form == BENCH_TABLE) {
        (void)printf("at %" PRIu64 " entries %.2f of the throughput of a ledger of %" PRIu64
                     " at the same time, the aim is %.2f; %.2f of that at %" PRIu64 " entries, earlier\n",
                     last->entries, growth_ratio(last), last->small_entries, RATIO_AIM, growth_first_ratio(last, rows),
                     rows->entries);
        show_transaction(last);
    }
    if (o->form != BENCH_JSON) return;
    json_t *object = show_envelope("growth");
    json_t *marks = json_array();
    json_t *parameters =
        json_pack("{s:i, s:i, s:o, s:o, s:i, s:i, s:i}", "replicas", (int)o->replica_count, "clients",
                  (int)o->client_count, "keys", whole(o->key_count), "fill_bundle", whole(o->bundle), "fill_bytes",
                  (int)o->fill_bytes, "op_bytes", (int)o->op_bytes, "in_flight", (int)o->in_flight);
    for (uint32_t i = 0; i < count; i++)
        CHECK(json_array_append_new(marks, mark_of(&rows[i], rows)) == 0);
    CHECK(parameters != NULL && json_object_set_new(object, "parameters", parameters) == 0);
    CHECK(json_object_set_new(object, "marks", marks) == 0);
    show_json(object);
}

struct err growth_plot(const struct growth_row *rows, uint32_t count, const char *file)
{
    struct buffer script = {0};
    ERR_TRY(plot_begin(&script, file));
    buffer_printf(&script,
                  "set xlabel 'entries in the ledger'\nset ylabel 'transactions a second'\n"
                  "set y2label 'bytes on the disk of a replica for each entry'\nset ytics nomirror\nset y2tics\n"
                  "set key below\nset yrange [0:*]\nset y2range [0:*]\n"
                  "set title '%u replicas, plain transactions of one put of %u bytes'\n$rows << end\n",
                  rows->large.loads[0].replicas, rows->large.loads[0].options.op_bytes);
    for (uint32_t i = 0; i < count; i++)
        buffer_printf(&script, "%" PRIu64 " %.1f %.1f %.1f\n", rows[i].entries, growth_rate(&rows[i].large),
                      growth_rate(&rows[i].small),
                      over((double)disk_used(&rows[i].replicas[0].at), (double)rows[i].entries));
    buffer_printf(&script, "end\nplot $rows using 1:2 with linespoints title 'transactions a second', "
                           "$rows using 1:3 with linespoints title 'of a small ledger at the same time', "
                           "$rows using 1:4 axes x1y2 with linespoints title 'bytes an entry'\n");
    return plot_finish(&script);
}
