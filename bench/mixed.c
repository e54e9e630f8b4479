/* mixed.c - the command load with --readers: what clients that write get alone, and while others read beside them.
 *
 * Rounds of two runs on one group, turn about: in one the writers are alone, in the other the readers read meanwhile;
 * every second round the other way round, so that a machine that becomes slower hits both. The readers are a load of
 * their own in a thread of its own: they begin before the writers warm up, and end with the writers' measured time.
 * Reads are a load on the same cores: what the ratio means is in docs/performance.md. */
#include "bench/bench.h"

#include "bench/plot.h"

#include "base/bytes.h"
#include "base/check.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 2u
#define READ_SECONDS_MAX 86400.0
#define NAMES_BYTES 4096u

struct mixed_round {
    struct load_result alone;
    struct load_result beside;
    struct load_result reads; /* of those beside */
};

struct mixed {
    const struct bench_options *o;
    struct load_options writers;
    struct load_options readers;
    char names[NAMES_BYTES]; /* of both, cut in two */
    struct mixed_round *rounds;
    uint32_t count;
};

/* The readers in their thread. */
struct reading {
    struct load_options l;
    struct load_result *out;
    struct err failure;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool begun; /* or ended */
    atomic_bool ends;
};

/* ---- the runs ---- */

static void say_begun(struct reading *r)
{
    (void)pthread_mutex_lock(&r->lock);
    r->begun = true;
    (void)pthread_cond_signal(&r->changed);
    (void)pthread_mutex_unlock(&r->lock);
}

static struct err reading_began(void *context)
{
    say_begun(context);
    return err_none();
}

static void *read_all(void *context)
{
    struct reading *r = context;
    r->failure = load_measure(&r->l, r->out);
    say_begun(r); /* when it failed before */
    return NULL;
}

static struct err writing_ended(void *context)
{
    struct reading *r = context;
    atomic_store(&r->ends, true);
    return err_none();
}

static struct err measure_beside(const struct mixed *m, struct mixed_round *round)
{
    struct reading r = {.l = m->readers, .out = &round->reads};
    struct load_options l = m->writers;
    pthread_t thread;
    r.l.began = reading_began;
    r.l.until = &r.ends;
    r.l.context = &r;
    l.ended = writing_ended;
    l.context = &r;
    (void)pthread_mutex_init(&r.lock, NULL);
    (void)pthread_cond_init(&r.changed, NULL);
    const int fault = pthread_create(&thread, NULL, read_all, &r);
    struct err e = fault == 0 ? err_none() : err_system(fault, "cannot make a thread for the readers");
    if (fault == 0) {
        (void)pthread_mutex_lock(&r.lock);
        while (!r.begun)
            (void)pthread_cond_wait(&r.changed, &r.lock);
        (void)pthread_mutex_unlock(&r.lock);
        e = load_measure(&l, &round->beside);
        atomic_store(&r.ends, true);
        (void)pthread_join(thread, NULL);
        if (err_is(&r.failure) && !bench_interrupted()) e = err_wrap(r.failure, "the readers");
    }
    (void)pthread_cond_destroy(&r.changed);
    (void)pthread_mutex_destroy(&r.lock);
    return e;
}

static struct err measure_round(const struct mixed *m, struct mixed_round *round, bool alone_first)
{
    if (alone_first) ERR_TRY(load_measure(&m->writers, &round->alone));
    ERR_TRY(measure_beside(m, round));
    return alone_first ? err_none() : load_measure(&m->writers, &round->alone);
}

/* ---- what is asked for ---- */

/* Cuts the list in two: the last so many names are those of the readers. */
static struct err cut_names(struct mixed *m, const char *names, uint32_t readers)
{
    uint32_t count = 1;
    if (strlen(names) >= sizeof m->names)
        return err_make(ERR_USAGE, "the list of clients is longer than %u bytes", NAMES_BYTES);
    (void)snprintf(m->names, sizeof m->names, "%s", names);
    for (const char *at = m->names; *at != '\0'; at++)
        if (*at == ',') count++;
    if (readers >= count)
        return err_make(ERR_USAGE,
                        "--readers is %u, and --client has %u: name those that write, and behind them those that read",
                        readers, count);
    char *cut = m->names;
    for (uint32_t i = 0; i < count - readers; i++)
        cut = strchr(cut, ',') + 1;
    cut[-1] = '\0';
    m->writers.clients = m->names;
    m->readers.clients = cut;
    return err_none();
}

static struct err prepare(const struct bench_options *o, const struct load_options *l, struct mixed *m)
{
    m->o = o;
    m->writers = *l;
    m->writers.reads = m->writers.certified = false;
    m->writers.floor_seconds = 0;
    m->writers.carry_on = true;
    m->readers = m->writers;
    m->readers.app = LOAD_KV;
    m->readers.reads = true;
    m->readers.certified = o->certified;
    m->readers.bundle = 1;
    m->readers.key_count = 0;
    m->readers.rate = o->read_rate;
    m->readers.warm_up = 0;
    m->readers.seconds = READ_SECONDS_MAX;
    return cut_names(m, l->clients, o->readers);
}

/* ---- figures, of so many rounds together ---- */

struct figures {
    double alone; /* transactions a second */
    double beside;
    double reads;
    double ratio; /* 0: nothing was accepted alone */
};

static double rate_of(uint64_t transactions, double seconds)
{
    return seconds > 0 ? (double)transactions / seconds : 0;
}

static struct figures figures(const struct mixed_round *rounds, uint32_t count)
{
    struct figures f = {.alone = 0};
    uint64_t transactions[3] = {0};
    double seconds[3] = {0};
    for (uint32_t i = 0; i < count; i++) {
        const struct load_result *of[3] = {&rounds[i].alone, &rounds[i].beside, &rounds[i].reads};
        for (uint32_t k = 0; k < 3; k++) {
            transactions[k] += of[k]->transactions;
            seconds[k] += of[k]->seconds;
        }
    }
    f.alone = rate_of(transactions[0], seconds[0]);
    f.beside = rate_of(transactions[1], seconds[1]);
    f.reads = rate_of(transactions[2], seconds[2]);
    f.ratio = f.alone > 0 ? f.beside / f.alone : 0;
    return f;
}

/* ---- show ---- */

static json_t *real(double value)
{
    return json_real(round(value * 1000) / 1000);
}

static void print_table(const struct mixed *m)
{
    const struct mixed_round *first = &m->rounds[0];
    (void)printf("%u clients write, alone and while %u read%s%s", first->alone.client_count, first->reads.client_count,
                 m->o->certified ? " what one replica proves" : " by quorum",
                 m->o->read_rate > 0 ? "" : " as fast as it goes");
    if (m->o->read_rate > 0) (void)printf(", %.0f a second", m->o->read_rate);
    (void)printf("\n%5s %10s %10s %6s %10s %10s %10s %10s %10s %8s\n", "round", "alone/s", "beside/s", "ratio",
                 "99 % ms", "beside", "reads/s", "median ms", "99 % ms", "failed");
    for (uint32_t i = 0; i < m->count; i++) {
        const struct mixed_round *r = &m->rounds[i];
        const struct figures f = figures(r, 1);
        (void)printf("%5u %10.0f %10.0f %6.2f %10.2f %10.2f %10.0f %10.2f %10.2f %8" PRIu64 "\n", i + 1, f.alone,
                     f.beside, f.ratio, load_percentile_ms(&r->alone, 0.99), load_percentile_ms(&r->beside, 0.99),
                     f.reads, load_percentile_ms(&r->reads, 0.5), load_percentile_ms(&r->reads, 0.99), r->reads.failed);
    }
    const struct figures all = figures(m->rounds, m->count);
    (void)printf("%5s %10.0f %10.0f %6.2f %10s %10s %10.0f\n", "all", all.alone, all.beside, all.ratio, "", "",
                 all.reads);
}

static void print_csv(const struct mixed *m)
{
    (void)printf("round,run,");
    show_load_header();
    for (uint32_t i = 0; i < m->count; i++) {
        (void)printf("%u,alone,", i + 1);
        show_load_line(&m->rounds[i].alone);
        (void)printf("%u,beside,", i + 1);
        show_load_line(&m->rounds[i].beside);
        (void)printf("%u,reads,", i + 1);
        show_load_line(&m->rounds[i].reads);
    }
}

static json_t *figures_of(const struct figures *f)
{
    json_t *out = json_pack("{s:o, s:o, s:o, s:o}", "ratio", real(f->ratio), "alone_per_second", real(f->alone),
                            "beside_per_second", real(f->beside), "reads_per_second", real(f->reads));
    CHECK(out != NULL);
    return out;
}

static void add_load(json_t *to, const char *name, const struct load_result *r)
{
    json_t *one = json_object();
    show_load_into(one, r);
    CHECK(json_object_set_new(to, name, one) == 0);
}

static void print_json(const struct mixed *m)
{
    const struct figures all = figures(m->rounds, m->count);
    json_t *object = show_envelope("load");
    json_t *rounds = json_array();
    CHECK(json_object_set_new(object, "readers", json_integer(m->o->readers)) == 0);
    CHECK(json_object_set_new(object, "results", figures_of(&all)) == 0);
    for (uint32_t i = 0; i < m->count; i++) {
        const struct figures f = figures(&m->rounds[i], 1);
        json_t *round = figures_of(&f);
        add_load(round, "alone", &m->rounds[i].alone);
        add_load(round, "beside", &m->rounds[i].beside);
        add_load(round, "reads", &m->rounds[i].reads);
        CHECK(json_array_append_new(rounds, round) == 0);
    }
    CHECK(json_object_set_new(object, "rounds", rounds) == 0);
    show_json(object);
}

static struct err plot(const struct mixed *m, const char *file)
{
    struct buffer script = {0};
    ERR_TRY(plot_begin(&script, file));
    buffer_printf(&script, "set xlabel 'round'\nset ylabel 'transactions a second'\nset y2label 'reads a second'\n"
                           "set ytics nomirror\nset y2tics\nset xtics 1\nset key below\nset yrange [0:*]\n"
                           "set y2range [0:*]\n$rows << end\n");
    for (uint32_t i = 0; i < m->count; i++) {
        const struct figures f = figures(&m->rounds[i], 1);
        buffer_printf(&script, "%u %.1f %.1f %.1f\n", i + 1, f.alone, f.beside, f.reads);
    }
    buffer_printf(&script, "end\nplot $rows using 1:2 with linespoints title 'writes alone', $rows using 1:3 with "
                           "linespoints title 'writes beside reads', $rows using 1:4 axes x1y2 with linespoints title "
                           "'reads'\n");
    return plot_finish(&script);
}

/* ---- the command ---- */

struct err mixed_measure(const struct bench_options *o, const struct load_options *l)
{
    struct mixed m = {.count = 0};
    const uint32_t wanted = o->rounds > 0 ? o->rounds : ROUNDS;
    ERR_TRY(prepare(o, l, &m));
    m.rounds = mem_zero(wanted, sizeof *m.rounds);
    struct err e = err_none();
    for (; m.count < wanted && !err_is(&e); m.count++)
        e = measure_round(&m, &m.rounds[m.count], m.count % 2 == 0);
    if (!err_is(&e) && o->form == BENCH_TABLE) print_table(&m);
    if (!err_is(&e) && o->form == BENCH_CSV) print_csv(&m);
    if (!err_is(&e) && o->form == BENCH_JSON) print_json(&m);
    if (!err_is(&e) && o->plot != NULL) e = plot(&m, o->plot);
    for (uint32_t i = 0; i < m.count; i++) {
        load_result_free(&m.rounds[i].alone);
        load_result_free(&m.rounds[i].beside);
        load_result_free(&m.rounds[i].reads);
    }
    free(m.rounds);
    return e;
}
