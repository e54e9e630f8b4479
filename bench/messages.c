/* messages.c - what a batch costs in messages and bytes, counted, beside the formulas, and beside the two algorithms
 * that PBFT improved on. The counts are those of the real core in the simulator (`pbft-sim messages`). */
#include "bench/bench.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "bench/generals.h"
#include "bench/plot.h"
#include "bench/program.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ROWS_MAX 64u
#define PATH_BYTES 4096u
#define GENERALS_MESSAGES_MAX 20000000u /* of OM(m): what is more is not run */

/* As they are shown; several types of messages may be one kind. */
enum kind {
    KIND_REQUEST,
    KIND_PRE_PREPARE,
    KIND_PREPARE,
    KIND_COMMIT,
    KIND_REPLY,
    KIND_CHECKPOINT,
    KIND_VIEW_CHANGE,
    KIND_NEW_VIEW,
    KIND_ANTI_ENTROPY,
    KIND_COUNT
};

/* All but the last are the names of message types too, which are in capitals. */
static const char *const kind_names[KIND_COUNT] = {"request",    "pre-prepare", "prepare",  "commit",      "reply",
                                                   "checkpoint", "view-change", "new-view", "anti-entropy"};

struct tally {
    uint64_t messages; /* re-sends too */
    uint64_t resent;
    uint64_t bytes;
};

/* What an older algorithm sends for one decision that bears as many faulty ones. */
struct older {
    uint64_t messages; /* UINT64_MAX: more than a number holds */
    bool ran;          /* counted in a run; else by the formula */
};

/* One phase of one run. */
struct row {
    bool view_change;
    uint64_t replicas;
    uint64_t faulty;
    uint64_t silent;
    uint64_t batches;
    uint64_t transactions;
    struct tally tallies[KIND_COUNT];
    struct older oral;
    struct older with_signatures;
};

struct table {
    const struct bench_options *o;
    struct row rows[2 * ROWS_MAX];
    uint32_t count;
};

/* ---- counting ---- */

static enum kind kind_of(const char *type)
{
    for (uint32_t k = 0; k < KIND_ANTI_ENTROPY; k++)
        if (strcasecmp(kind_names[k], type) == 0) return (enum kind)k;
    return KIND_ANTI_ENTROPY;
}

static uint64_t number(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static struct err take_line(struct table *t, const char *line, size_t len)
{
    json_error_t fault;
    json_t *object = json_loadb(line, len, 0, &fault);
    const char *type;
    json_t *counts;
    if (object == NULL) return err_make(ERR_CORRUPT, "pbft-sim printed no JSON: %s", fault.text);
    struct row *r = &t->rows[t->count++];
    const char *phase = json_string_value(json_object_get(object, "phase"));
    *r = (struct row){.view_change = phase != NULL && strcmp(phase, "view-change") == 0,
                      .replicas = number(object, "replicas"),
                      .faulty = number(object, "faulty"),
                      .silent = number(object, "silent"),
                      .batches = number(object, "batches"),
                      .transactions = number(object, "transactions")};
    json_object_foreach(json_object_get(object, "types"), type, counts)
    {
        struct tally *k = &r->tallies[kind_of(type)];
        k->messages += number(counts, "sent") + number(counts, "resent");
        k->resent += number(counts, "resent");
        k->bytes += number(counts, "bytes") + number(counts, "resent_bytes");
    }
    json_decref(object);
    if (r->batches == 0 || r->transactions == 0) return err_make(ERR_CORRUPT, "pbft-sim counted no batch");
    return err_none();
}

static struct err count_group(struct table *t, const char *sim, uint32_t replicas)
{
    char texts[4][24];
    const uint64_t numbers[] = {replicas, t->o->silent, t->o->batch, t->o->batches};
    for (size_t i = 0; i < 4; i++)
        (void)snprintf(texts[i], sizeof texts[i], "%" PRIu64, numbers[i]);
    const char *const argv[] = {sim,
                                "messages",
                                "--replicas",
                                texts[0],
                                "--silent",
                                texts[1],
                                "--batch",
                                texts[2],
                                "--batches",
                                texts[3],
                                t->o->view_change ? "--view-change" : NULL,
                                NULL};
    struct buffer out = {0};
    struct err e = program_run(argv, bytes_of(NULL, 0), &out);
    for (size_t at = 0; at < out.len && !err_is(&e);) {
        const uint8_t *end = memchr(out.data + at, '\n', out.len - at);
        const size_t len = end == NULL ? out.len - at : (size_t)(end - (out.data + at));
        e = take_line(t, (const char *)out.data + at, len);
        at += len + 1;
    }
    buffer_free(&out);
    return e;
}

/* ---- theory ---- */

/* Of one batch, with so many backups that say nothing. */
static uint64_t formula(const struct row *r, enum kind kind)
{
    const uint64_t n = r->replicas;
    switch (kind) {
    case KIND_PRE_PREPARE: return n - 1;
    case KIND_PREPARE: return (n - 1 - r->silent) * (n - 1);
    case KIND_COMMIT: return (n - r->silent) * (n - 1);
    case KIND_REPLY: return n - r->silent;
    default: return 0;
    }
}

static uint64_t protocol_messages(const struct row *r)
{
    uint64_t sum = 0;
    for (uint32_t k = KIND_PRE_PREPARE; k <= KIND_COMMIT; k++)
        sum += r->tallies[k].messages;
    return sum;
}

static uint64_t protocol_formula(const struct row *r)
{
    uint64_t sum = 0;
    for (uint32_t k = KIND_PRE_PREPARE; k <= KIND_COMMIT; k++)
        sum += formula(r, (enum kind)k);
    return sum;
}

/* Each batch cost what the formulas say; replies go to each client of a batch. */
static bool as_in_theory(const struct row *r)
{
    for (uint32_t k = KIND_PRE_PREPARE; k <= KIND_COMMIT; k++)
        if (r->tallies[k].messages != r->batches * formula(r, (enum kind)k)) return false;
    return r->tallies[KIND_REQUEST].messages == r->transactions &&
           r->tallies[KIND_REPLY].messages == r->transactions * formula(r, KIND_REPLY);
}

/* Runs the older algorithms, or takes their formula where a run would be too long. */
static void add_older(struct row *r)
{
    const struct generals g = {.count = (uint32_t)r->replicas,
                               .rounds = (uint32_t)r->faulty,
                               .order = 1,
                               .messages_max = GENERALS_MESSAGES_MAX};
    const bool fits = g.count <= GENERALS_MAX && g.count >= 2;
    r->oral = (struct older){.messages = generals_oral_messages(g.count, g.rounds)};
    if (fits && r->oral.messages <= GENERALS_MESSAGES_MAX)
        r->oral = (struct older){.messages = generals_oral(&g).messages, .ran = true};
    r->with_signatures = fits ? (struct older){.messages = generals_signed(&g).messages, .ran = true}
                              : (struct older){.messages = generals_signed_messages(g.count, g.rounds)};
}

/* ---- showing ---- */

static double per_batch(const struct row *r, enum kind k)
{
    return (double)r->tallies[k].messages / (double)r->batches;
}

static double bytes_per_transaction(const struct row *r)
{
    uint64_t sum = 0;
    for (uint32_t k = 0; k < KIND_COUNT; k++)
        sum += r->tallies[k].bytes;
    return (double)sum / (double)r->transactions;
}

static void print_older(const struct older *o)
{
    if (o->messages == UINT64_MAX)
        (void)printf(" %14s ", "over 10^19");
    else
        (void)printf(" %14" PRIu64 "%c", o->messages, o->ran ? ' ' : '*');
}

static void print_table(const struct table *t)
{
    (void)printf("messages for each batch, at their receivers; bytes for each transaction\n%4s %3s %6s %7s %5s", "N",
                 "f", "silent", "batches", "tx/b");
    for (uint32_t k = 0; k < KIND_COUNT; k++)
        (void)printf(" %12s", kind_names[k]);
    (void)printf(" %12s %12s %6s %10s %14s  %14s\n", "three phases", "formula", "exact", "bytes/tx", "OM(f)", "SM(f)");
    for (uint32_t i = 0; i < t->count; i++) {
        const struct row *r = &t->rows[i];
        (void)printf("%4" PRIu64 " %3" PRIu64 " %6" PRIu64 " %7" PRIu64 " %5.1f", r->replicas, r->faulty, r->silent,
                     r->batches, (double)r->transactions / (double)r->batches);
        for (uint32_t k = 0; k < KIND_COUNT; k++)
            (void)printf(" %12.6g", per_batch(r, (enum kind)k));
        (void)printf(" %12.6g", (double)protocol_messages(r) / (double)r->batches);
        if (r->view_change) {
            (void)printf(" %12s %6s %10.0f  (a view change, and what it proposes again)\n", "-", "-",
                         bytes_per_transaction(r));
            continue;
        }
        (void)printf(" %12" PRIu64 " %6s %10.0f", protocol_formula(r), as_in_theory(r) ? "yes" : "no",
                     bytes_per_transaction(r));
        print_older(&r->oral);
        print_older(&r->with_signatures);
        (void)printf("\n");
    }
    (void)printf("formula: (N-1) + (N-1-silent)(N-1) + (N-silent)(N-1), which is 2N(N-1) when none is silent. OM(f), "
                 "SM(f): Lamport, Shostak "
                 "and\nPease, messages for one decision that bears f traitors; * by formula, else counted in a run\n");
}

/* unknown: what stands for a number that is too large. */
static const char *older_text(const struct older *o, const char *unknown, char text[24])
{
    if (o->messages == UINT64_MAX) return unknown;
    (void)snprintf(text, 24, "%" PRIu64, o->messages);
    return text;
}

static void print_csv(const struct table *t)
{
    (void)printf("phase,replicas,faulty,silent,batches,transactions");
    for (uint32_t k = 0; k < KIND_COUNT; k++)
        (void)printf(",%s,%s-resent,%s-bytes", kind_names[k], kind_names[k], kind_names[k]);
    (void)printf(",formula,oral,signed\n");
    for (uint32_t i = 0; i < t->count; i++) {
        const struct row *r = &t->rows[i];
        char oral[24];
        char with_signatures[24];
        (void)printf("%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64,
                     r->view_change ? "view-change" : "batches", r->replicas, r->faulty, r->silent, r->batches,
                     r->transactions);
        for (uint32_t k = 0; k < KIND_COUNT; k++)
            (void)printf(",%" PRIu64 ",%" PRIu64 ",%" PRIu64, r->tallies[k].messages, r->tallies[k].resent,
                         r->tallies[k].bytes);
        if (r->view_change)
            (void)printf(",,,\n");
        else
            (void)printf(",%" PRIu64 ",%s,%s\n", protocol_formula(r), older_text(&r->oral, "", oral),
                         older_text(&r->with_signatures, "", with_signatures));
    }
}

static void print_json(const struct table *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        const struct row *r = &t->rows[i];
        char oral[24];
        char with_signatures[24];
        (void)printf("%s{\"phase\":\"%s\",\"replicas\":%" PRIu64 ",\"faulty\":%" PRIu64 ",\"silent\":%" PRIu64
                     ",\"batches\":%" PRIu64 ",\"transactions\":%" PRIu64 ",\"messages\":{",
                     i == 0 ? "[" : ",\n ", r->view_change ? "view-change" : "batches", r->replicas, r->faulty,
                     r->silent, r->batches, r->transactions);
        for (uint32_t k = 0; k < KIND_COUNT; k++)
            (void)printf("%s\"%s\":{\"count\":%" PRIu64 ",\"resent\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
                         k == 0 ? "" : ",", kind_names[k], r->tallies[k].messages, r->tallies[k].resent,
                         r->tallies[k].bytes);
        (void)printf("}");
        if (!r->view_change)
            (void)printf(",\"formula\":%" PRIu64 ",\"exact\":%s,\"oral\":{\"messages\":%s,\"ran\":%s},"
                         "\"signed\":{\"messages\":%s,\"ran\":%s}",
                         protocol_formula(r), as_in_theory(r) ? "true" : "false", older_text(&r->oral, "null", oral),
                         r->oral.ran ? "true" : "false", older_text(&r->with_signatures, "null", with_signatures),
                         r->with_signatures.ran ? "true" : "false");
        (void)printf("}");
    }
    (void)printf("]\n");
}

/* ---- the plot ---- */

static struct err plot(const struct table *t)
{
    struct buffer script = {0};
    ERR_TRY(plot_begin(&script, t->o->plot));
    buffer_printf(&script, "set logscale y\nset key below\nset xlabel 'replicas'\nset ylabel 'messages'\n"
                           "set format y '10^{%%L}'\n$counts << end\n");
    for (uint32_t i = 0; i < t->count; i++) {
        const struct row *r = &t->rows[i];
        if (r->view_change) continue;
        buffer_printf(&script, "%" PRIu64 " %.6g %" PRIu64 " %.6g %" PRIu64 "\n", r->replicas,
                      (double)protocol_messages(r) / (double)r->batches, protocol_formula(r),
                      r->oral.messages == UINT64_MAX ? 1e30 : (double)r->oral.messages, r->with_signatures.messages);
    }
    buffer_printf(&script, "end\nset yrange [1:1e12]\n"
                           "plot $counts using 1:2 with points pt 7 title 'PBFT, three phases of a batch, counted', "
                           "$counts using 1:3 with lines title '2N(N-1), less what is silent', "
                           "$counts using 1:4 with linespoints title 'OM(f), one decision', "
                           "$counts using 1:5 with linespoints title 'SM(f), one decision'\n");
    return plot_finish(&script);
}

struct err messages_run(const struct bench_options *o)
{
    struct table *t = mem_zero(1, sizeof *t);
    char sim[PATH_BYTES];
    struct err e = program_path("pbft-sim", sim, sizeof sim);
    t->o = o;
    for (const char *at = o->replicas; !err_is(&e);) {
        char *end;
        const unsigned long n = strtoul(at, &end, 10);
        if (end == at || (*end != ',' && *end != '\0') || n < 2 || n > REPLICAS_MAX || t->count >= ROWS_MAX) {
            e = err_make(ERR_USAGE, "--replicas wants up to %u numbers from 2 to %u, separated by commas", ROWS_MAX,
                         REPLICAS_MAX);
            break;
        }
        if (o->silent + (o->view_change ? 1u : 0u) > (n - 1) / 3) {
            e = err_make(ERR_USAGE, "of %lu replicas at most %lu may be silent or die", n, (n - 1) / 3);
            break;
        }
        e = count_group(t, sim, (uint32_t)n);
        if (*end == '\0') break;
        at = end + 1;
    }
    for (uint32_t i = 0; i < t->count && !err_is(&e); i++)
        if (!t->rows[i].view_change) add_older(&t->rows[i]);
    if (!err_is(&e) && o->form == BENCH_TABLE) print_table(t);
    if (!err_is(&e) && o->form == BENCH_CSV) print_csv(t);
    if (!err_is(&e) && o->form == BENCH_JSON) print_json(t);
    if (!err_is(&e) && o->plot != NULL) e = plot(t);
    free(t);
    return e;
}
