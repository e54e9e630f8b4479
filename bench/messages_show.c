/* messages_show.c - a table, CSV, JSON or a picture of what messages were counted. */
#include "bench/messages.h"

#include "base/bytes.h"
#include "bench/plot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NOTHING (-1.0) /* a number that is none */

static const char *source_of(const struct messages_row *r)
{
    return r->processes ? "processes" : "simulator";
}

static const char *phase_of(const struct messages_row *r)
{
    return r->view_change ? "view-change" : "batches";
}

static uint64_t three_phases(const struct messages_row *r)
{
    return r->tallies[MESSAGES_PRE_PREPARE].sent + r->tallies[MESSAGES_PREPARE].sent + r->tallies[MESSAGES_COMMIT].sent;
}

/* For a batch; of a change of view there is no such number. */
static uint64_t three_phases_formula(const struct messages_row *r)
{
    return (messages_formula(r, MESSAGES_PRE_PREPARE) + messages_formula(r, MESSAGES_PREPARE) +
            messages_formula(r, MESSAGES_COMMIT)) /
           r->batches;
}

static uint64_t resent(const struct messages_row *r)
{
    uint64_t sum = 0;
    for (uint32_t k = 0; k < MESSAGES_KINDS; k++)
        sum += r->tallies[k].resent;
    return sum;
}

/* ---- the table ---- */

/* A section of it: first sends or bytes, for each batch or each transaction. */
struct section {
    const char *title;
    bool bytes;
    bool by_transaction;
};

static const struct section sections[] = {
    {"messages for each batch: first sends, at their receivers (again: all that was sent once more)", false, false},
    {"messages for each transaction", false, true},
    {"bytes for each transaction, frame lengths included", true, true},
};
#define SECTIONS (sizeof sections / sizeof sections[0])

static void print_number(double value)
{
    if (value == NOTHING)
        (void)printf(" %12s", "-");
    else
        (void)printf(" %12.6g", value);
}

static void print_head(const struct section *s)
{
    (void)printf("%s\n%4s %3s %6s %-11s %-10s %7s %5s", s->title, "N", "f", "silent", "phase", "of", "batches", "tx/b");
    for (uint32_t k = 0; k < MESSAGES_KINDS; k++)
        (void)printf(" %12s", messages_kind_names[k]);
    if (s->bytes)
        (void)printf(" %12s\n", "all");
    else
        (void)printf(" %12s %12s %6s\n", "three phases", "again", "exact");
}

static double divisor(const struct section *s, const struct messages_row *r)
{
    return (double)(s->by_transaction ? r->transactions : r->batches);
}

static void print_counted(const struct section *s, const struct messages_row *r)
{
    double sum = 0;
    (void)printf("%4" PRIu64 " %3" PRIu64 " %6" PRIu64 " %-11s %-10s %7" PRIu64 " %5.1f", r->replicas, r->faulty,
                 r->silent, phase_of(r), source_of(r), r->batches, (double)r->transactions / (double)r->batches);
    for (uint32_t k = 0; k < MESSAGES_KINDS; k++) {
        const double value = (double)(s->bytes ? r->tallies[k].bytes : r->tallies[k].sent) / divisor(s, r);
        sum += value;
        print_number(value);
    }
    if (s->bytes) {
        print_number(sum);
        (void)printf("\n");
        return;
    }
    print_number((double)three_phases(r) / divisor(s, r));
    print_number((double)resent(r) / divisor(s, r));
    (void)printf(" %6s\n", messages_exact(r) ? "yes" : "no");
}

static void print_formula(const struct section *s, const struct messages_row *r)
{
    uint64_t phases = 0;
    (void)printf("%4s %3s %6s %-11s %-10s %7s %5s", "", "", "", "", "formula", "", "");
    for (uint32_t k = 0; k < MESSAGES_KINDS; k++) {
        const uint64_t formula = messages_formula(r, (enum messages_kind)k);
        const bool none = formula == MESSAGES_NO_FORMULA;
        if (!none && k >= MESSAGES_PRE_PREPARE && k <= MESSAGES_COMMIT) phases += formula;
        print_number(none ? NOTHING : (double)formula / divisor(s, r));
    }
    if (messages_formula(r, MESSAGES_COMMIT) != MESSAGES_NO_FORMULA) print_number((double)phases / divisor(s, r));
    (void)printf("\n");
}

static void print_older(const struct messages_older *o)
{
    if (o->messages == UINT64_MAX)
        (void)printf(" %14s ", "over 10^19");
    else
        (void)printf(" %14" PRIu64 "%c", o->messages, o->ran ? ' ' : '*');
}

/* Beside PBFT's three phases, for each size once. */
static void print_older_table(const struct messages_row *rows, uint32_t count)
{
    const struct messages_row *before = NULL;
    (void)printf("messages for one decision that bears f traitors\n%4s %3s %14s %14s  %14s\n", "N", "f", "three phases",
                 "OM(f)", "SM(f)");
    for (uint32_t i = 0; i < count; i++) {
        const struct messages_row *r = &rows[i];
        if (r->view_change || (before != NULL && before->replicas == r->replicas)) continue;
        before = r;
        (void)printf("%4" PRIu64 " %3" PRIu64 " %14" PRIu64, r->replicas, r->faulty, three_phases_formula(r));
        print_older(&r->oral);
        print_older(&r->with_signatures);
        (void)printf("\n");
    }
}

void messages_print_table(const struct messages_row *rows, uint32_t count)
{
    bool alone = true; /* each transaction in its batch */
    for (uint32_t i = 0; i < count; i++)
        if (rows[i].batches != rows[i].transactions) alone = false;
    for (uint32_t k = 0; k < SECTIONS; k++) {
        if (alone && sections[k].by_transaction && !sections[k].bytes) continue;
        print_head(&sections[k]);
        for (uint32_t i = 0; i < count; i++) {
            print_counted(&sections[k], &rows[i]);
            if (!sections[k].bytes) print_formula(&sections[k], &rows[i]);
        }
        (void)printf("\n");
    }
    print_older_table(rows, count);
    (void)printf(
        "three phases: (N-1) + (N-1-silent)(N-1) + (N-silent)(N-1), which is 2N(N-1) when none is silent; in a "
        "change of view with\nwhat is proposed again. exact: each kind with a formula came out as it says. "
        "OM(f), SM(f): Lamport, Shostak and\nPease; * by formula, else counted in a run\n");
}

/* ---- for programs ---- */

/* unknown: what stands for a number that is too large. */
static const char *older_text(const struct messages_older *o, const char *unknown, char text[24])
{
    if (o->messages == UINT64_MAX) return unknown;
    (void)snprintf(text, 24, "%" PRIu64, o->messages);
    return text;
}

static const char *formula_text(const struct messages_row *r, uint32_t kind, const char *unknown, char text[24])
{
    const uint64_t formula = messages_formula(r, (enum messages_kind)kind);
    if (formula == MESSAGES_NO_FORMULA) return unknown;
    (void)snprintf(text, 24, "%" PRIu64, formula);
    return text;
}

void messages_print_csv(const struct messages_row *rows, uint32_t count)
{
    (void)printf("phase,of,replicas,faulty,silent,batches,transactions,checkpoints,views,proposed-again,seconds");
    for (uint32_t k = 0; k < MESSAGES_KINDS; k++)
        (void)printf(",%s,%s-resent,%s-bytes,%s-formula", messages_kind_names[k], messages_kind_names[k],
                     messages_kind_names[k], messages_kind_names[k]);
    (void)printf(",exact,formula,oral,signed\n");
    for (uint32_t i = 0; i < count; i++) {
        const struct messages_row *r = &rows[i];
        char oral[24];
        char with_signatures[24];
        char formula[24];
        (void)printf("%s,%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
                     ",%" PRIu64 ",%.1f",
                     phase_of(r), source_of(r), r->replicas, r->faulty, r->silent, r->batches, r->transactions,
                     r->checkpoints, r->views, r->proposed_again, r->seconds);
        for (uint32_t k = 0; k < MESSAGES_KINDS; k++)
            (void)printf(",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s", r->tallies[k].sent, r->tallies[k].resent,
                         r->tallies[k].bytes, formula_text(r, k, "", formula));
        (void)printf(",%s", messages_exact(r) ? "yes" : "no");
        if (r->view_change)
            (void)printf(",,,\n");
        else
            (void)printf(",%" PRIu64 ",%s,%s\n", three_phases_formula(r), older_text(&r->oral, "", oral),
                         older_text(&r->with_signatures, "", with_signatures));
    }
}

void messages_print_json(const struct messages_row *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct messages_row *r = &rows[i];
        char oral[24];
        char with_signatures[24];
        char formula[24];
        (void)printf("%s{\"phase\":\"%s\",\"of\":\"%s\",\"replicas\":%" PRIu64 ",\"faulty\":%" PRIu64
                     ",\"silent\":%" PRIu64 ",\"batches\":%" PRIu64 ",\"transactions\":%" PRIu64
                     ",\"checkpoints\":%" PRIu64 ",\"views\":%" PRIu64 ",\"proposed_again\":%" PRIu64
                     ",\"seconds\":%.1f,\"messages\":{",
                     i == 0 ? "[" : ",\n ", phase_of(r), source_of(r), r->replicas, r->faulty, r->silent, r->batches,
                     r->transactions, r->checkpoints, r->views, r->proposed_again, r->seconds);
        for (uint32_t k = 0; k < MESSAGES_KINDS; k++)
            (void)printf("%s\"%s\":{\"count\":%" PRIu64 ",\"resent\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"formula\":%s}",
                         k == 0 ? "" : ",", messages_kind_names[k], r->tallies[k].sent, r->tallies[k].resent,
                         r->tallies[k].bytes, formula_text(r, k, "null", formula));
        (void)printf("},\"exact\":%s", messages_exact(r) ? "true" : "false");
        if (!r->view_change)
            (void)printf(",\"formula\":%" PRIu64 ",\"oral\":{\"messages\":%s,\"ran\":%s},"
                         "\"signed\":{\"messages\":%s,\"ran\":%s}",
                         three_phases_formula(r), older_text(&r->oral, "null", oral), r->oral.ran ? "true" : "false",
                         older_text(&r->with_signatures, "null", with_signatures),
                         r->with_signatures.ran ? "true" : "false");
        (void)printf("}");
    }
    (void)printf("]\n");
}

/* ---- the plot ---- */

/* A block of data for gnuplot; false: there is none. */
static bool plot_counts(struct buffer *script, const struct messages_row *rows, uint32_t count, bool processes)
{
    bool any = false;
    buffer_printf(script, "$%s << end\n", processes ? "processes" : "simulator");
    for (uint32_t i = 0; i < count; i++) {
        const struct messages_row *r = &rows[i];
        if (r->view_change || r->processes != processes) continue;
        any = true;
        buffer_printf(script, "%" PRIu64 " %.6g\n", r->replicas, (double)three_phases(r) / (double)r->batches);
    }
    buffer_printf(script, "end\n");
    return any;
}

struct err messages_plot(const struct messages_row *rows, uint32_t count, const char *file)
{
    struct buffer script = {0};
    ERR_TRY(plot_begin(&script, file));
    buffer_printf(&script, "set logscale y\nset key below\nset xlabel 'replicas'\nset ylabel 'messages'\n"
                           "set format y '10^{%%L}'\n");
    const bool simulated = plot_counts(&script, rows, count, false);
    const bool real = plot_counts(&script, rows, count, true);
    buffer_printf(&script, "$theory << end\n");
    for (uint32_t i = 0; i < count; i++) {
        const struct messages_row *r = &rows[i];
        if (r->view_change || (i > 0 && rows[i - 1].replicas == r->replicas)) continue;
        buffer_printf(&script, "%" PRIu64 " %" PRIu64 " %.6g %" PRIu64 "\n", r->replicas, three_phases_formula(r),
                      r->oral.messages == UINT64_MAX ? 1e30 : (double)r->oral.messages, r->with_signatures.messages);
    }
    buffer_printf(
        &script,
        "end\nset yrange [1:1e12]\nset xrange [0:*]\nplot %s%s"
        "$theory using 1:2 with lines lw 2 lc rgb '#009e73' title '2N(N-1), less what is silent', "
        "$theory using 1:3 with linespoints lc rgb '#d55e00' title 'OM(f), one decision', "
        "$theory using 1:4 with linespoints lc rgb '#cc79a7' title 'SM(f), one decision'\n",
        simulated ? "$simulator using 1:2 with points pt 7 ps 1.4 lc rgb '#0072b2' title 'PBFT, three phases of "
                    "a batch, simulator', "
                  : "",
        real ? "$processes using 1:2 with points pt 4 ps 2.2 lw 2 lc rgb '#000000' title 'PBFT, processes', " : "");
    return plot_finish(&script);
}
