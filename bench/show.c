/* show.c - see show.h. */
#include "bench/show.h"

#include "bench/plot.h"
#include "bench/program.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/version.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#define BUCKETS_FOR_EACH_TENFOLD 20u
#define BUCKETS (7u * BUCKETS_FOR_EACH_TENFOLD) /* from 10 us to 100 s */

/* ---- where, and of what ---- */

/* What git says of the tree that this program stands in. */
static void find_commit(char *out, size_t size)
{
    char path[PATH_MAX];
    const char *const argv[] = {
        "sh", "-c", "cd \"$(dirname \"$0\")\" && git describe --always --dirty --abbrev=12 2>/dev/null", path, NULL};
    struct buffer said = {0};
    struct err e = program_path("pbft-bench", path, sizeof path);
    if (!err_is(&e)) e = program_run(argv, bytes_of(NULL, 0), &said);
    const size_t len = err_is(&e) || said.len == 0 ? 0 : said.len - 1; /* a line */
    (void)snprintf(out, size, "%.*s", len == 0 ? 7 : (int)len, len == 0 ? "unknown" : (const char *)said.data);
    buffer_free(&said);
}

static void find_processor(char *out, size_t size)
{
    char line[256];
    (void)snprintf(out, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (f == NULL) return;
    while (fgets(line, sizeof line, f) != NULL) {
        const char *at = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || at == NULL) continue;
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(out, size, "%s", at + 2);
        break;
    }
    (void)fclose(f);
}

json_t *show_envelope(const char *command)
{
    char commit[64];
    char processor[128];
    char when[32];
    struct utsname kernel;
    struct tm tm;
    const time_t now = time(NULL);
    find_commit(commit, sizeof commit);
    find_processor(processor, sizeof processor);
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    if (uname(&kernel) != 0) memset(&kernel, 0, sizeof kernel);
    json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s}}", "command", command, "version", PBFT_VERSION, "commit",
                            commit, "time", when, "machine", "processor", processor, "kernel", kernel.release);
    CHECK(out != NULL);
    return out;
}

/* Three digits after the point are enough of any figure here. */
static json_t *real(double value)
{
    return json_real(round(value * 1000) / 1000);
}

static json_t *whole(uint64_t value)
{
    return json_integer((json_int_t)value);
}

json_t *show_floor(const struct floor_cost *f)
{
    json_t *out = json_pack("{s:i, s:o, s:o, s:o, s:i, s:o}", "cores", (int)f->cores, "verify_us", real(f->verify_us),
                            "sign_us", real(f->sign_us), "sync_one_us", real(f->sync_one_us), "syncing",
                            (int)f->syncing, "sync_all_us", real(f->sync_all_us));
    CHECK(out != NULL);
    return out;
}

/* ---- one load ---- */

static double per(double sum, uint64_t count)
{
    return count > 0 ? sum / (double)count : 0;
}

static const char *app_name(const struct load_options *o)
{
    return o->app == LOAD_LOG ? "log" : "kv";
}

static double operations_a_second(const struct load_result *r)
{
    return load_rate(r) * r->options.bundle;
}

/* Of the replica whose memory has grown most from the first sample to the last; all zero: none was sampled. */
static struct memory_course grown_most(const struct memory_samples *m)
{
    struct memory_course most = {.first_kib = 0};
    for (uint32_t i = 0; i < m->replicas; i++) {
        const struct memory_course c = memory_course(m, i);
        const double growth = (double)c.last_kib - (double)c.first_kib;
        if (most.most_kib == 0 || growth > (double)most.last_kib - (double)most.first_kib) most = c;
    }
    return most;
}

/* {"every_seconds", "replicas": for each {"first", "last", "most", "samples"}} */
static json_t *memory_over_time(const struct memory_samples *m)
{
    json_t *replicas = json_array();
    for (uint32_t i = 0; i < m->replicas; i++) {
        const struct memory_course c = memory_course(m, i);
        json_t *samples = json_array();
        for (uint32_t n = 0; n < m->count; n++)
            CHECK(json_array_append_new(samples, whole(m->kib[(size_t)n * m->replicas + i])) == 0);
        json_t *one = json_pack("{s:o, s:o, s:o, s:o}", "first", whole(c.first_kib), "last", whole(c.last_kib), "most",
                                whole(c.most_kib), "samples", samples);
        CHECK(one != NULL && json_array_append_new(replicas, one) == 0);
    }
    json_t *out = json_pack("{s:o, s:o}", "every_seconds", real((double)m->every_us / 1e6), "replicas", replicas);
    CHECK(out != NULL);
    return out;
}

/* The replicas of which the counts know nothing. */
static json_t *uncounted(const struct status_cost *c)
{
    json_t *out = json_array();
    for (uint32_t i = 0; i < REPLICAS_MAX; i++)
        if (replica_set_has(&c->uncounted, i)) CHECK(json_array_append_new(out, json_integer(i)) == 0);
    CHECK(out != NULL);
    return out;
}

void show_load_into(json_t *object, const struct load_result *r)
{
    const struct load_options *o = &r->options;
    const struct status_cost *c = &r->cost;
    json_t *seconds = json_array();
    for (uint32_t i = 0; i < r->half_count / 2 && i < r->seconds; i++)
        CHECK(json_array_append_new(seconds, json_integer(load_second(r, i))) == 0);
    json_t *parameters =
        json_pack("{s:i, s:i, s:s, s:b, s:b, s:i, s:i, s:i, s:i, s:o, s:o, s:o}", "replicas", (int)r->replicas,
                  "clients", (int)r->client_count, "app", app_name(o), "reads", o->reads, "certified", o->certified,
                  "in_flight", (int)o->in_flight, "bundle", (int)o->bundle, "op_bytes", (int)o->op_bytes, "keys",
                  (int)o->key_count, "rate", real(o->rate), "seconds", real(o->seconds), "warm_up", real(o->warm_up));
    json_t *latency = json_pack("{s:o, s:o, s:o, s:o, s:o}", "p50", real(load_percentile_ms(r, 0.5)), "p90",
                                real(load_percentile_ms(r, 0.9)), "p99", real(load_percentile_ms(r, 0.99)), "p999",
                                real(load_percentile_ms(r, 0.999)), "max", real(load_percentile_ms(r, 1)));
    json_t *cpu = json_pack("{s:o, s:o}", "replicas", real(load_cpu_us(r)), "clients",
                            real(per((double)r->own_cpu_us, r->transactions)));
    json_t *results =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "seconds",
                  real(r->seconds), "transactions", whole(r->transactions), "per_second", real(load_rate(r)),
                  "operations_per_second", real(operations_a_second(r)), "failed", whole(r->failed), "unsent",
                  whole(r->unsent), "batches", whole(c->batches), "batch_size",
                  real(per((double)r->transactions, c->batches)), "latency_ms", latency, "cpu_us_per_transaction", cpu,
                  "messages_per_batch", real(per((double)status_cost_phases(c, false), c->batches)), "resent",
                  whole(status_cost_phases(c, true)), "syncs_per_batch", real(per((double)c->syncs, c->batches)),
                  "verifications_per_transaction", real(per((double)c->verified, r->transactions)), "memory_kib",
                  whole(r->memory_kib), "memory_kib_over_time", memory_over_time(&r->memory), "each_second", seconds);
    CHECK(parameters != NULL && results != NULL && json_object_set_new(results, "not_counted", uncounted(c)) == 0);
    if (r->floor.cores > 0 && !o->reads) {
        CHECK(json_object_set_new(results, "ceiling_ratio", real(load_ceiling_ratio(r))) == 0);
        CHECK(json_object_set_new(cpu, "request_verification", real(r->replicas * r->floor.verify_us)) == 0);
    }
    if (r->floor.cores > 0) {
        CHECK(json_object_set_new(results, "sync_ratio", real(load_sync_ratio(r))) == 0);
        CHECK(json_object_set_new(object, "floor", show_floor(&r->floor)) == 0);
    }
    CHECK(json_object_set_new(object, "parameters", parameters) == 0);
    CHECK(json_object_set_new(object, "results", results) == 0);
}

void show_json(json_t *object)
{
    char *text = json_dumps(object, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    CHECK(text != NULL);
    (void)puts(text);
    free(text);
    json_decref(object);
}

static void print_table(const struct load_result *r)
{
    const struct load_options *o = &r->options;
    const struct status_cost *c = &r->cost;
    const uint64_t n = r->replicas;
    (void)printf("%-20s%" PRIu64 " in %.1f s: %.0f a second",
                 o->certified ? "certified reads"
                 : o->reads   ? "reads"
                              : "transactions",
                 r->transactions, r->seconds, load_rate(r));
    if (o->bundle > 1) (void)printf(", %.0f operations a second", operations_a_second(r));
    if (!o->reads)
        (void)printf(", in %" PRIu64 " batches of %.1f", c->batches, per((double)r->transactions, c->batches));
    (void)printf("\n");
    if (o->rate > 0)
        (void)printf("meant               %.0f a second; %" PRIu64 " were not sent by the end, %" PRIu64 " failed\n",
                     o->rate, r->unsent, r->failed);
    else if (r->failed > 0)
        (void)printf("failed              %" PRIu64 "\n", r->failed);
    (void)printf("latency             median %.2f ms, 90 %% %.2f ms, 99 %% %.2f ms, longest %.2f ms\n",
                 load_percentile_ms(r, 0.5), load_percentile_ms(r, 0.9), load_percentile_ms(r, 0.99),
                 load_percentile_ms(r, 1));
    (void)printf("CPU a transaction   replicas %.1f us together, clients %.1f us\n", load_cpu_us(r),
                 per((double)r->own_cpu_us, r->transactions));
    if (replica_set_count(&c->uncounted) > 0)
        (void)printf("not counted         %u of %" PRIu64 " replicas: they did not answer, or began anew meanwhile\n",
                     replica_set_count(&c->uncounted), n);
    if (r->memory_kib > 0)
        (void)printf("memory              %.1f MiB, beside mapped pages, of the largest replica\n",
                     (double)r->memory_kib / 1024);
    const struct memory_course course = grown_most(&r->memory);
    if (course.most_kib > 0)
        (void)printf(
            "  over the time     %.1f MiB at first, %.1f at last, %.1f at most, of the replica that grew most\n",
            (double)course.first_kib / 1024, (double)course.last_kib / 1024, (double)course.most_kib / 1024);
    if (!o->reads)
        (void)printf("protocol            %.1f messages a batch (2N(N-1) = %" PRIu64 "), re-sent %" PRIu64
                     "; %.1f syncs a batch; %.2f verifications a transaction\n",
                     per((double)status_cost_phases(c, false), c->batches), 2 * n * (n - 1),
                     status_cost_phases(c, true), per((double)c->syncs, c->batches),
                     per((double)c->verified, r->transactions));
    if (r->floor.cores == 0) return;
    (void)printf("floor               verify %.1f us, sign %.1f us with %u cores busy; LMDB commit %.2f ms, %u at once "
                 "%.2f ms\n",
                 r->floor.verify_us, r->floor.sign_us, r->floor.cores, r->floor.sync_one_us / 1000, r->floor.syncing,
                 r->floor.sync_all_us / 1000);
    if (!o->reads) {
        (void)printf("  of the CPU        %.1f us check the signature once on each replica\n",
                     (double)n * r->floor.verify_us);
        (void)printf("ceiling ratio       %.3f of %u cores / (N verify + sign)\n", load_ceiling_ratio(r),
                     r->floor.cores);
    }
    (void)printf("sync ratio          %.2f: the median latency over %u commits at once\n", load_sync_ratio(r),
                 r->floor.syncing);
}

void show_load_header(void)
{
    (void)printf("replicas,clients,app,reads,certified,in_flight,bundle,op_bytes,rate,seconds,transactions,per_second,"
                 "operations_per_second,failed,unsent,batch_size,p50_ms,p90_ms,p99_ms,max_ms,replicas_cpu_us,"
                 "clients_cpu_us,memory_kib,messages_per_batch,syncs_per_batch,verify_us,sign_us,sync_one_us,"
                 "sync_all_us,ceiling_ratio,sync_ratio\n");
}

void show_load_line(const struct load_result *r)
{
    const struct load_options *o = &r->options;
    const struct status_cost *c = &r->cost;
    (void)printf("%u,%u,%s,%d,%d,%u,%u,%u,%.1f,%.3f,%" PRIu64 ",%.1f,%.1f,%" PRIu64 ",%" PRIu64
                 ",%.2f,%.3f,%.3f,%.3f,%.3f,%.1f,%.1f,%" PRIu64 ",%.2f,%.2f,%.2f,%.2f,%.1f,%.1f,%.3f,%.3f\n",
                 r->replicas, r->client_count, app_name(o), o->reads ? 1 : 0, o->certified ? 1 : 0, o->in_flight,
                 o->bundle, o->op_bytes, o->rate, r->seconds, r->transactions, load_rate(r), operations_a_second(r),
                 r->failed, r->unsent, per((double)r->transactions, c->batches), load_percentile_ms(r, 0.5),
                 load_percentile_ms(r, 0.9), load_percentile_ms(r, 0.99), load_percentile_ms(r, 1), load_cpu_us(r),
                 per((double)r->own_cpu_us, r->transactions), r->memory_kib,
                 per((double)status_cost_phases(c, false), c->batches), per((double)c->syncs, c->batches),
                 r->floor.verify_us, r->floor.sign_us, r->floor.sync_one_us, r->floor.sync_all_us,
                 load_ceiling_ratio(r), load_sync_ratio(r));
}

void show_load(const char *command, const struct load_result *r, enum bench_form form)
{
    if (form == BENCH_TABLE) print_table(r);
    if (form == BENCH_CSV) {
        show_load_header();
        show_load_line(r);
    }
    if (form != BENCH_JSON) return;
    json_t *object = show_envelope(command);
    show_load_into(object, r);
    show_json(object);
}

/* ---- the histogram ---- */

struct err show_histogram(const struct load_result *r, const char *file)
{
    uint64_t counts[BUCKETS] = {0};
    struct buffer script = {0};
    uint32_t first = BUCKETS;
    uint32_t last = 0;
    for (uint64_t i = 0; i < r->latency_count; i++) {
        const double at = (log10((double)r->latencies_us[i] + 1) - 1) * BUCKETS_FOR_EACH_TENFOLD;
        const uint32_t bucket = at < 0 ? 0 : at >= BUCKETS ? BUCKETS - 1 : (uint32_t)at;
        counts[bucket]++;
        if (bucket < first) first = bucket;
        if (bucket > last) last = bucket;
    }
    if (r->latency_count == 0)
        return err_make(ERR_TIMEOUT, "nothing was accepted, so there is nothing to draw in %s", file);
    ERR_TRY(plot_begin(&script, file));
    buffer_printf(&script,
                  "set logscale x\nset xlabel 'latency, ms'\nset ylabel 'transactions'\nset style fill solid 0.5\n"
                  "set title '%u replicas, %u clients, %.0f transactions a second: median %.2f ms, 99 %% %.2f ms'\n"
                  "$counts << end\n",
                  r->replicas, r->client_count, load_rate(r), load_percentile_ms(r, 0.5), load_percentile_ms(r, 0.99));
    for (uint32_t i = first; i <= last; i++)
        buffer_printf(&script, "%.5f %" PRIu64 "\n", pow(10, 1 + ((double)i + 0.5) / BUCKETS_FOR_EACH_TENFOLD) / 1000,
                      counts[i]);
    buffer_printf(&script, "end\nset yrange [0:*]\nplot $counts using 1:2 with boxes notitle\n");
    return plot_finish(&script);
}
