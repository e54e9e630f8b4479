/* messages.c - what a batch costs in messages and bytes, counted, beside the formulas, and beside the two algorithms
 * that PBFT improved on. Counted twice: the real core in the simulator (`pbft-sim messages`), and real processes. */
#include "bench/messages.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "bench/generals.h"
#include "bench/program.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIZES_MAX 64u
#define PATH_BYTES 4096u
#define GENERALS_MESSAGES_MAX 20000000u /* of OM(m): what is more is not run */

/* All but the last are the names of message types too, which are in capitals. */
const char *const messages_kind_names[MESSAGES_KINDS] = {
    "request", "pre-prepare", "prepare", "commit", "reply", "checkpoint", "view-change", "new-view", "anti-entropy"};

struct table {
    const struct bench_options *o;
    struct messages_row rows[4 * SIZES_MAX]; /* of each size two phases, of two sources */
    uint32_t count;
};

/* ---- counting ---- */

static enum messages_kind kind_of(const char *type)
{
    for (uint32_t k = 0; k < MESSAGES_ANTI_ENTROPY; k++)
        if (strcasecmp(messages_kind_names[k], type) == 0) return (enum messages_kind)k;
    return MESSAGES_ANTI_ENTROPY;
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
    struct messages_row *r = &t->rows[t->count++];
    const char *phase = json_string_value(json_object_get(object, "phase"));
    *r = (struct messages_row){.view_change = phase != NULL && strcmp(phase, "view-change") == 0,
                               .replicas = number(object, "replicas"),
                               .faulty = number(object, "faulty"),
                               .silent = number(object, "silent"),
                               .batches = number(object, "batches"),
                               .transactions = number(object, "transactions"),
                               .checkpoints = number(object, "checkpoints"),
                               .views = number(object, "views"),
                               .proposed_again = number(object, "proposed_again")};
    json_object_foreach(json_object_get(object, "types"), type, counts)
    {
        struct messages_tally *k = &r->tallies[kind_of(type)];
        k->sent += number(counts, "sent");
        k->resent += number(counts, "resent");
        k->bytes += number(counts, "bytes") + number(counts, "resent_bytes");
    }
    json_decref(object);
    if (r->batches == 0 || r->transactions == 0) return err_make(ERR_CORRUPT, "pbft-sim counted no batch");
    return err_none();
}

static struct err count_simulated(struct table *t, const char *sim, uint32_t replicas)
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
    struct err e = program_run_or_end(argv, &out);
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

static uint64_t view_change_formula(const struct messages_row *r, enum messages_kind kind)
{
    const uint64_t others = r->replicas - 1;
    const uint64_t correct = r->replicas - 1 - r->silent; /* without the primary that is dead */
    const uint64_t proposed = r->proposed_again + r->batches;
    if (r->views != 1) return MESSAGES_NO_FORMULA;
    switch (kind) {
    case MESSAGES_PRE_PREPARE: return r->batches * others; /* what is proposed again is in the NEW-VIEW */
    case MESSAGES_PREPARE: return proposed * (correct - 1) * others;
    case MESSAGES_COMMIT: return proposed * correct * others;
    case MESSAGES_REPLY: return r->transactions * correct;
    case MESSAGES_CHECKPOINT: return r->checkpoints * correct * others;
    case MESSAGES_VIEW_CHANGE: return correct * others;
    case MESSAGES_NEW_VIEW: return others;
    case MESSAGES_REQUEST:
    case MESSAGES_ANTI_ENTROPY:
    case MESSAGES_KINDS: break;
    }
    return MESSAGES_NO_FORMULA;
}

uint64_t messages_formula(const struct messages_row *r, enum messages_kind kind)
{
    const uint64_t others = r->replicas - 1;
    const uint64_t correct = r->replicas - r->silent;
    const bool shared = r->processes && r->batches < r->transactions; /* a batch by several requests */
    if (r->view_change) return view_change_formula(r, kind);
    switch (kind) {
    case MESSAGES_REQUEST: /* a client that has waited for a while for its batch to fill asks again */
        return shared ? MESSAGES_NO_FORMULA : r->transactions;
    case MESSAGES_PRE_PREPARE: return r->batches * others;
    case MESSAGES_PREPARE: return r->batches * (correct - 1) * others;
    case MESSAGES_COMMIT: return r->batches * correct * others;
    case MESSAGES_REPLY: /* a process answers all requests of one client in a batch with one message */
        return shared ? MESSAGES_NO_FORMULA : r->transactions * correct;
    case MESSAGES_CHECKPOINT: return r->checkpoints * correct * others;
    case MESSAGES_VIEW_CHANGE:
    case MESSAGES_NEW_VIEW: return 0;
    case MESSAGES_ANTI_ENTROPY:
    case MESSAGES_KINDS: break;
    }
    return MESSAGES_NO_FORMULA;
}

bool messages_exact(const struct messages_row *r)
{
    bool exact = true;
    for (uint32_t k = 0; k < MESSAGES_KINDS; k++) {
        const uint64_t formula = messages_formula(r, (enum messages_kind)k);
        if (formula != MESSAGES_NO_FORMULA && r->tallies[k].sent != formula) exact = false;
    }
    return exact && messages_formula(r, MESSAGES_COMMIT) != MESSAGES_NO_FORMULA;
}

/* Runs the older algorithms, or takes their formula where a run would be too long. */
static void add_older(struct messages_row *r)
{
    const struct generals g = {.count = (uint32_t)r->replicas,
                               .rounds = (uint32_t)r->faulty,
                               .order = 1,
                               .messages_max = GENERALS_MESSAGES_MAX};
    const bool fits = g.count <= GENERALS_MAX && g.count >= 2;
    r->oral = (struct messages_older){.messages = generals_oral_messages(g.count, g.rounds)};
    if (fits && r->oral.messages <= GENERALS_MESSAGES_MAX)
        r->oral = (struct messages_older){.messages = generals_oral(&g).messages, .ran = true};
    r->with_signatures = fits ? (struct messages_older){.messages = generals_signed(&g).messages, .ran = true}
                              : (struct messages_older){.messages = generals_signed_messages(g.count, g.rounds)};
}

/* ---- running ---- */

static bool counts_in(const struct bench_options *o, enum bench_messages_of of)
{
    return o->messages_of == BENCH_MESSAGES_BOTH || o->messages_of == of;
}

static struct err count_size(struct table *t, const char *sim, uint32_t replicas)
{
    const struct bench_options *o = t->o;
    if (counts_in(o, BENCH_MESSAGES_SIMULATOR)) ERR_TRY(count_simulated(t, sim, replicas));
    if (!counts_in(o, BENCH_MESSAGES_PROCESSES) || replicas > BENCH_MESSAGES_PROCESSES_MAX) return err_none();
    ERR_TRY(messages_of_processes(o, replicas, &t->rows[t->count]));
    t->count += o->view_change ? 2 : 1;
    return err_none();
}

/* The next number of the list at *at, which moves to the one behind it, or to the end. */
static struct err next_size(const struct bench_options *o, const char **at, uint32_t *out)
{
    char *end;
    const unsigned long n = strtoul(*at, &end, 10);
    if (end == *at || (*end != ',' && *end != '\0') || (*end == ',' && end[1] == '\0') || n < 2 || n > REPLICAS_MAX)
        return err_make(ERR_USAGE, "--replicas wants up to %u numbers from 2 to %u, separated by commas", SIZES_MAX,
                        REPLICAS_MAX);
    if (o->silent + (o->view_change ? 1u : 0u) > (n - 1) / 3)
        return err_make(ERR_USAGE, "of %lu replicas at most %lu may be silent or die", n, (n - 1) / 3);
    if (o->messages_of == BENCH_MESSAGES_PROCESSES && n > BENCH_MESSAGES_PROCESSES_MAX)
        return err_make(ERR_USAGE, "groups of processes have at most %u replicas here, not %lu; leave --of out",
                        BENCH_MESSAGES_PROCESSES_MAX, n);
    *out = (uint32_t)n;
    *at = *end == '\0' ? end : end + 1;
    return err_none();
}

static struct err parse_sizes(const struct bench_options *o, uint32_t sizes[SIZES_MAX], uint32_t *count)
{
    *count = 0;
    const char *at = o->replicas;
    do {
        if (*count == SIZES_MAX) return err_make(ERR_USAGE, "--replicas wants at most %u numbers", SIZES_MAX);
        ERR_TRY(next_size(o, &at, &sizes[*count]));
        (*count)++;
    } while (*at != '\0');
    return err_none();
}

static struct err count_sizes(struct table *t)
{
    char sim[PATH_BYTES];
    uint32_t sizes[SIZES_MAX];
    uint32_t count;
    ERR_TRY(program_path("pbft-sim", sim, sizeof sim));
    ERR_TRY(parse_sizes(t->o, sizes, &count)); /* all of them, before anything is started */
    for (uint32_t i = 0; i < count; i++) {
        ERR_TRY(bench_go_on());
        ERR_TRY(count_size(t, sim, sizes[i]));
    }
    return err_none();
}

struct err messages_run(const struct bench_options *o)
{
    struct table *t = mem_zero(1, sizeof *t);
    t->o = o;
    struct err e = count_sizes(t);
    for (uint32_t i = 0; i < t->count && !err_is(&e); i++)
        if (!t->rows[i].view_change) add_older(&t->rows[i]);
    if (!err_is(&e) && o->form == BENCH_TABLE) messages_print_table(t->rows, t->count);
    if (!err_is(&e) && o->form == BENCH_CSV) messages_print_csv(t->rows, t->count);
    if (!err_is(&e) && o->form == BENCH_JSON) messages_print_json(t->rows, t->count);
    if (!err_is(&e) && o->plot != NULL) e = messages_plot(t->rows, t->count, o->plot);
    free(t);
    return e;
}
