/* run.c - one run, and what is said of it. */
#include "tests/sim/run.h"

#include "tests/evil/evil.h"
#include "tests/sim/draw.h"
#include "tests/sim/verbs.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_US 2000000u /* events so long before the end are looked at */
#define LAST_LINES 12u  /* of each replica */

bool run_number(const char *text, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > most) return false;
    *out = value;
    return true;
}

/* ---- the last events ---- */

/* An event with its effects, as they stand in a trace. */
struct piece {
    size_t start;
    size_t end;
    uint32_t replica;
};

/* The next event from `at` on; false at the end. Its effects are the lines that begin with a space. */
static bool next_piece(const struct buffer *trace, size_t at, struct piece *out)
{
    if (at >= trace->len) return false;
    out->start = at;
    const char *line = (const char *)trace->data + at;
    const char *name = memchr(line, ' ', trace->len - at);
    out->replica = name != NULL && name[1] == 'r' ? (uint32_t)strtoul(name + 2, NULL, 10) : UINT32_MAX;
    do {
        const uint8_t *end = memchr(trace->data + at, '\n', trace->len - at);
        at = end == NULL ? trace->len : (size_t)(end - trace->data) + 1;
    } while (at < trace->len && trace->data[at] == ' ');
    out->end = at;
    return true;
}

static void print_last(const struct buffer *trace, uint32_t replica)
{
    struct piece last[LAST_LINES];
    struct piece p;
    uint64_t count = 0;
    for (size_t at = 0; next_piece(trace, at, &p); at = p.end)
        if (p.replica == replica) last[count++ % LAST_LINES] = p;
    for (uint64_t i = count > LAST_LINES ? count - LAST_LINES : 0; i < count; i++)
        (void)printf("  %.*s", (int)(last[i % LAST_LINES].end - last[i % LAST_LINES].start),
                     (const char *)trace->data + last[i % LAST_LINES].start);
}

void run_explain(const char *name, struct bytes text, const struct err *e, const struct scenario_result *result,
                 const char *repeat)
{
    struct buffer trace = {0};
    struct scenario_result again;
    const uint64_t from_us = result->ended_us > LAST_US ? result->ended_us - LAST_US : 0;
    const struct scenario_trace last = {.out = &trace, .from_us = from_us};
    const struct err ignored = scenario_run_text(name, text, &last, &again);
    (void)ignored; /* the same once more */
    if (result->violated)
        (void)printf("invariant %d (%s) is broken: %s\n", (int)result->broken, invariant_name(result->broken),
                     invariant_text(result->broken));
    (void)printf("%s\n\nthe last events of each replica:\n", e->text);
    for (uint32_t id = 0; id < DRAW_REPLICAS_MAX; id++)
        print_last(&trace, id);
    (void)printf("\nthe scenario:\n%.*s\nrepeat it with:\n  %s\n", (int)text.len, (const char *)text.data, repeat);
    buffer_free(&trace);
}

/* ---- run ---- */

static const char run_usage[] =
    "usage: pbft-sim run --seed S [--replicas N] [--print] [--history FILE]\n"
    "       pbft-sim run --scenario FILE [--history FILE]\n"
    "\n"
    "One run of a group in virtual time. What happens is drawn from the seed, or stands in FILE "
    "(tests/fixture/scenario.h). The same\n"
    "seed, or the same text, is the same run everywhere.\n"
    "\n"
    "  --replicas N     the size of the group, 1 to 16 (default: drawn)\n"
    "  --print          print the scenario of the seed, and end\n"
    "  --history FILE   what the clients asked and accepted goes there, for pbft-sim linearize\n"
    "\n"
    "Exit codes: 0 all invariants held, 1 one was broken or an expectation failed, 2 usage.\n";

static struct err write_file(const char *path, const struct buffer *text)
{
    FILE *f = fopen(path, "w");
    if (f == NULL) return err_make(ERR_IO, "%s cannot be written", path);
    const bool whole = fwrite(text->data, 1, text->len, f) == text->len;
    return fclose(f) == 0 && whole ? err_none() : err_make(ERR_IO, "%s cannot be written", path);
}

static int perform(const char *name, struct bytes text, const char *repeat, const char *history)
{
    struct buffer asked = {0};
    const struct scenario_trace also = {.from_us = UINT64_MAX, .history = &asked};
    struct scenario_result r;
    char hex[2 * DIGEST_BYTES + 1];
    const struct err e = scenario_run_text(name, text, history != NULL ? &also : NULL, &r);
    const bool ran = e.code != ERR_USAGE; /* what is no scenario leaves an older history as it is */
    const struct err written = history != NULL && ran ? write_file(history, &asked) : err_none();
    buffer_free(&asked);
    hex_encode(hex, r.trace_hash.bytes, DIGEST_BYTES);
    if (!ran) return verb_usage(run_usage, e.text, "");
    if (err_is(&e)) {
        run_explain(name, text, &e, &r, repeat);
        return verb_end(1);
    }
    if (err_is(&written)) {
        (void)fprintf(stderr, "pbft-sim: %s\n", written.text);
        return 2;
    }
    if (r.unlinearized)
        (void)printf("UNCHECKED: invariant 6, the search for an order of what clients accepted took too long\n");
    (void)printf("%s: all invariants held for %" PRIu64 ".%03" PRIu64 " virtual seconds: %" PRIu64
                 " requests accepted, %" PRIu64 " of them after the faults within their bound and %" PRIu64
                 " asked without one, %" PRIu64 " batches executed, view %" PRIu64 ", %" PRIu64
                 " messages of faulty members refused; trace %.16s\n",
                 name, r.ended_us / 1000000, r.ended_us / 1000 % 1000, r.accepted, r.bounded, r.unbounded, r.executed,
                 r.view, r.refused, hex);
    return verb_end(0);
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},     {"replicas", required_argument, NULL, 'n'},
        {"scenario", required_argument, NULL, 'f'}, {"print", no_argument, NULL, 'p'},
        {"history", required_argument, NULL, 'h'},  {NULL, 0, NULL, 0}};
    uint64_t seed = UINT64_MAX;
    uint64_t replicas = 0;
    const char *path = NULL;
    const char *history = NULL;
    bool print = false;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            if (!run_number(optarg, UINT64_MAX - 1, &seed)) return verb_usage(run_usage, "no seed: ", optarg);
            break;
        case 'n':
            if (!run_number(optarg, DRAW_REPLICAS_MAX, &replicas) || replicas < DRAW_REPLICAS_MIN)
                return verb_usage(run_usage, "a group has 1 to 16 replicas here, not ", optarg);
            break;
        case 'f': path = optarg; break;
        case 'p': print = true; break;
        case 'h': history = optarg; break;
        default: return verb_usage(run_usage, NULL, "");
        }
    }
    if (optind != argc) return verb_usage(run_usage, "one word too many: ", argv[optind]);
    if ((path == NULL) == (seed == UINT64_MAX)) return verb_usage(run_usage, "give --seed or --scenario", "");
    struct buffer text = {0};
    char name[4096];
    char repeat[4200];
    int code = 0;
    if (path != NULL) {
        const struct err e = scenario_read(path, &text);
        if (err_is(&e)) {
            (void)fprintf(stderr, "pbft-sim: %s\n", e.text);
            return 2;
        }
        (void)snprintf(name, sizeof name, "%s", path);
        (void)snprintf(repeat, sizeof repeat, "pbft-sim run --scenario %s", name);
    } else {
        draw_scenario(seed, (uint32_t)replicas, &text);
        (void)snprintf(name, sizeof name, "seed %" PRIu64, seed);
        (void)snprintf(repeat, sizeof repeat, "pbft-sim run --seed %" PRIu64, seed);
        if (replicas != 0) (void)snprintf(repeat + strlen(repeat), 32, " --replicas %" PRIu64, replicas);
    }
    if (print)
        (void)fwrite(text.data, 1, text.len, stdout);
    else
        code = perform(name, bytes_of(text.data, text.len), repeat, history);
    buffer_free(&text);
    return verb_end(code);
}

const struct verb verb_run = {.name = "run", .usage = run_usage, .perform = run};

/* ---- list ---- */

static const char list_usage[] = "usage: pbft-sim list\n\nWhat members and clients can do wrong (for `evil` and "
                                 "`evil-client` in scenarios), and what must hold.\n";

static int list(int argc, char **argv)
{
    const struct evil_behaviour *b;
    if (argc != 1) return verb_usage(list_usage, "list takes no words: ", argv[1]);
    (void)printf("behaviours:\n");
    for (uint32_t i = 0; (b = evil_behaviour_at(i)) != NULL; i++)
        (void)printf("  %-20s %s%s%s\n", b->name, b->primary ? "as primary: " : "", b->does,
                     b->process ? " (pbft-evil only)" : "");
    (void)printf("behaviours of clients:\n");
    for (uint32_t i = 0; client_behaviour_at(i) != NULL; i++)
        (void)printf("  %-20s %s\n", client_behaviour_name(client_behaviour_at(i)),
                     client_behaviour_text(client_behaviour_at(i)));
    (void)printf("invariants:\n");
    for (uint32_t i = 0; i <= INVARIANT_MAX; i++)
        (void)printf("  %2u %-17s %s\n", i, invariant_name((enum invariant)i), invariant_text((enum invariant)i));
    return verb_end(0);
}

const struct verb verb_list = {.name = "list", .usage = list_usage, .perform = list};
