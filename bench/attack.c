/* attack.c - the command attack: for each behaviour what is left to clients that keep the rules of the throughput that
 * they have without it.
 *
 * Each behaviour has two groups of its own, one after the other, of the same shape and for the same time: one in which
 * somebody misbehaves, and one in which nobody does, while a dummy burns CPU time. The dummy stands for what the
 * attacker takes from all who share the cores with it: without it, a replica that spends a core on signing nonsense
 * would be counted as if the others had become slower by themselves.
 *
 * It does not burn all that the attacker used: in the fault-free run a replica that keeps the rules stands in the
 * attacker's place, and uses CPU time as well. So it burns what the attacker used beyond
 *
 *     CPU time of a correct replica in that place for each transaction   x   transactions under attack
 *
 * and never less than nothing. "In that place": as the primary, or as a backup (the mean of them), in a run at the
 * beginning in which nobody misbehaves and no dummy burns. "For each transaction", since an attacker that makes the
 * group slower has less to do for it as well; counted by the second it would be given back that time for the
 * attack. This is the stricter reading: a dummy that burns all of it slows the fault-free run down, and the ratio looks
 * better. An attacker that does less than a correct replica (one that is silent) leaves the others more than they would
 * have, and nothing is taken off for that: ratios above 1 are possible.
 *
 * The same for a client that misbehaves, with the CPU time of a correct client. Some of them are served, as they are
 * entitled to be: they take their turns. In the fault-free run a correct client stands in the place of such a one, with
 * as much in flight as the others; in both runs only the others are counted. */
#include "bench/attack.h"

#include "bench/burn.h"
#include "bench/program.h"

#include "base/bytes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LATENCIES_KEPT 10001u /* of each run: enough for one in a thousand */
#define REPLICAS_MIN 4u       /* fewer bear nobody who misbehaves */
#define EVIL_NAME "pbft-evil"

static const char default_names[] =
    "silent,slow,late,finish-late,trickle,equivocate,starve,censor,mute,vote-twice,wrong-digest,replay,flood,forge,"
    "view-change-spam,status-lie,"
    "reply-silent,reply-false,never-reads,slow-loris,client-flood,client-two-operations,client-some-only,"
    "client-bad-signatures,client-huge,client-far-ahead,client-never-reads";

/* Of the throughput that the run beside it has (issue 5). */
#define FLOOR_OTHERS 0.95 /* backups and clients */
#define FLOOR_PRIMARY 0.9 /* silent, equivocating, and whatever else one can do but being slow */
static const struct {
    const char *name;
    double floor;
} floors[] = {{"slow", 0.85}, {"late", 0.85},       {"finish-late", 0.85},          {"trickle", 0.85},
              {"flood", 0.9}, {"never-reads", 0.9}, {"client-bad-signatures", 0.9}, {"client-never-reads", 0.9}};

/* What these do nobody sees as long as no view ends and nobody has been away. */
static const char *const hand_overs[] = {"new-view-", "view-change-invalid", "view-change-hide", "source-"};

/* ---- what there is ---- */

/* Where `pbft devnet evil` looks too: PBFT_EVIL, beside this program, or where make puts it. The client that misbehaves
 * stands beside the replica that does. */
static struct err find_programs(struct attack_programs *out)
{
    static const char *const places[] = {EVIL_NAME, "../build/release/" EVIL_NAME};
    const char *given = getenv("PBFT_EVIL");
    if (given != NULL && given[0] != '\0') {
        if (strlen(given) >= sizeof out->replica) return err_make(ERR_CONFIG, "PBFT_EVIL is too long");
        (void)snprintf(out->replica, sizeof out->replica, "%s", given);
        if (access(out->replica, X_OK) != 0)
            return err_make(ERR_CONFIG, "%s cannot be run; set PBFT_EVIL to where " EVIL_NAME " is", out->replica);
    } else {
        bool found = false;
        for (uint32_t i = 0; i < sizeof places / sizeof places[0] && !found; i++) {
            ERR_TRY(program_path(places[i], out->replica, sizeof out->replica));
            found = access(out->replica, X_OK) == 0;
        }
        if (!found)
            return err_make(ERR_CONFIG,
                            EVIL_NAME " is missing: it is a test program that is not installed; in a copy of "
                                      "the sources run make evil, then set PBFT_EVIL to its "
                                      "build/release/" EVIL_NAME);
    }
    const char *slash = strrchr(out->replica, '/');
    const int dir_bytes = slash == NULL ? 0 : (int)(slash - out->replica) + 1;
    const int wanted = snprintf(out->client, sizeof out->client, "%.*s" EVIL_NAME "-client", dir_bytes, out->replica);
    if (wanted < 0 || (size_t)wanted >= sizeof out->client || access(out->client, X_OK) != 0)
        return err_make(ERR_CONFIG, "%s is missing; make evil builds it", out->client);
    return err_none();
}

static double floor_of(const struct attack_behaviour *b)
{
    for (size_t i = 0; i < sizeof floors / sizeof floors[0]; i++)
        if (strcmp(floors[i].name, b->name) == 0) return floors[i].floor;
    return b->role == ATTACK_PRIMARY ? FLOOR_PRIMARY : FLOOR_OTHERS;
}

struct behaviours {
    struct attack_behaviour all[ATTACK_BEHAVIOURS_MAX];
    uint32_t count;
};

/* A line "NAME   as primary: what it does", of a list that a program prints. */
static struct err take_line(const char *line, bool client, struct behaviours *out)
{
    struct attack_behaviour b = {.role = client ? ATTACK_CLIENT : ATTACK_BACKUP};
    const size_t len = strcspn(line, " ");
    const char *does = line + len + strspn(line + len, " ");
    if (len == 0 || len >= sizeof b.name || out->count == ATTACK_BEHAVIOURS_MAX)
        return err_make(ERR_CONFIG, "the list of behaviours has a line that is not understood: %.60s", line);
    memcpy(b.name, line, len);
    if (strncmp(does, "as primary: ", 12) == 0) b.role = ATTACK_PRIMARY;
    b.served = strncmp(does, "served: ", 8) == 0;
    for (size_t i = 0; i < sizeof hand_overs / sizeof hand_overs[0]; i++)
        if (strncmp(b.name, hand_overs[i], strlen(hand_overs[i])) == 0) b.hand_over = true;
    b.floor = floor_of(&b);
    out->all[out->count++] = b;
    return err_none();
}

/* What `PROGRAM --list` prints. */
static struct err take_list(const char *program, bool client, struct behaviours *out)
{
    const char *const argv[] = {program, "--list", NULL};
    struct buffer said = {0};
    char *rest = NULL;
    struct err e = program_run(argv, bytes_of(NULL, 0), &said);
    buffer_append(&said, "", 1);
    if (!err_is(&e))
        for (char *line = strtok_r((char *)said.data, "\n", &rest); line != NULL && !err_is(&e);
             line = strtok_r(NULL, "\n", &rest))
            e = take_line(line, client, out);
    buffer_free(&said);
    return e;
}

/* ---- what is asked for ---- */

static const struct attack_behaviour *find(const struct behaviours *b, const char *name)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (strcmp(b->all[i].name, name) == 0) return &b->all[i];
    return NULL;
}

/* rows has room for ATTACK_BEHAVIOURS_MAX. */
static struct err choose(const char *names, const struct behaviours *from, struct attack_row *rows, uint32_t *count)
{
    char name[ATTACK_NAME_BYTES];
    if (strcmp(names, "all") == 0) {
        for (uint32_t i = 0; i < from->count; i++)
            rows[(*count)++].behaviour = from->all[i];
        return err_none();
    }
    for (const char *at = names;; at++) {
        const size_t len = strcspn(at, ",");
        (void)snprintf(name, sizeof name, "%.*s", len < sizeof name ? (int)len : (int)sizeof name - 1, at);
        const struct attack_behaviour *b = find(from, name);
        if (b == NULL || strlen(name) != len)
            return err_make(ERR_USAGE,
                            "\"%s\" is no behaviour; " EVIL_NAME " --list and " EVIL_NAME "-client --list print them",
                            name);
        if (*count == ATTACK_BEHAVIOURS_MAX)
            return err_make(ERR_USAGE, "--behaviours has more than %u names", ATTACK_BEHAVIOURS_MAX);
        rows[(*count)++].behaviour = *b;
        at += len;
        if (*at == '\0') return err_none();
    }
}

static struct err parse_replicas(const char *text, uint32_t *out)
{
    char *end;
    const unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || n < REPLICAS_MIN || n > REPLICAS_MAX)
        return err_make(ERR_USAGE,
                        "--replicas is \"%.60s\"; give a number from %u, which bear one that misbehaves, to %u", text,
                        REPLICAS_MIN, REPLICAS_MAX);
    *out = (uint32_t)n;
    return err_none();
}

/* ---- the comparison ---- */

/* Of a correct one in the attacker's place, in cores, for each transaction a second; by the run in which nobody
 * misbehaves. */
static double honest_cost(const struct attack_behaviour *b, const struct attack_run *alone)
{
    const struct load_result *l = &alone->load;
    const double rate = load_rate(l);
    double backups = 0;
    if (rate <= 0) return 0;
    if (b->role == ATTACK_CLIENT) /* one of so many that share the transactions */
        return b->served ? (double)l->own_cpu_us / (double)l->transactions / 1e6 / l->client_count : 0;
    if (b->role == ATTACK_PRIMARY) return alone->replicas[alone->primary] / rate;
    for (uint32_t id = 0; id < l->replicas; id++)
        if (id != alone->primary) backups += alone->replicas[id];
    return backups / (l->replicas - 1) / rate;
}

static void free_round(struct attack_round *r)
{
    load_result_free(&r->attacked.load);
    load_result_free(&r->fault_free.load);
}

static struct err measure_round(const struct bench_options *o, const struct attack_programs *programs,
                                const struct attack_run *alone, const struct attack_row *row, struct attack_round *r)
{
    const struct attack_behaviour *b = &row->behaviour;
    const uint32_t replicas = alone->load.replicas;
    ERR_TRY(attack_run_group(o, replicas, programs, b, true, 0, &r->attacked));
    r->used = b->role == ATTACK_CLIENT ? r->attacked.hostile : r->attacked.replicas[row->replica];
    r->honest = honest_cost(b, alone) * load_rate(&r->attacked.load);
    r->burnt = fmin(fmax(r->used - r->honest, 0), BURN_CORES_MAX);
    ERR_TRY(attack_run_group(o, replicas, programs, b, false, r->burnt, &r->fault_free));
    load_result_thin(&r->attacked.load, LATENCIES_KEPT);
    load_result_thin(&r->fault_free.load, LATENCIES_KEPT);
    return err_none();
}

static struct err compare(const struct bench_options *o, const struct attack_programs *programs,
                          const struct attack_run *alone, struct attack_row *row)
{
    row->replica = attack_replica(&row->behaviour, alone->load.replicas);
    while (row->round_count < o->rounds) {
        struct attack_round *r = &row->rounds[row->round_count];
        const struct err e = measure_round(o, programs, alone, row, r);
        if (err_is(&e)) {
            free_round(r);
            return e;
        }
        row->round_count++;
    }
    return err_none();
}

/* One that fails is said, and the next one goes on: all of them take hours. */
static struct err compare_all(const struct bench_options *o, const struct attack_programs *programs,
                              const struct attack_run *alone, struct attack_row *rows, uint32_t count)
{
    struct err first = err_none();
    uint32_t failed = 0;
    for (uint32_t i = 0; i < count; i++) {
        rows[i].failure = compare(o, programs, alone, &rows[i]);
        ERR_TRY(bench_go_on());
        attack_show_row(o, &rows[i]);
        if (!err_is(&rows[i].failure)) continue;
        if (failed++ == 0) first = err_wrap(rows[i].failure, "%s", rows[i].behaviour.name);
    }
    return failed == 0 ? first : err_wrap(first, "%u of %u did not run", failed, count);
}

struct err attack_run(const struct bench_options *o)
{
    uint32_t replicas = 0;
    uint32_t count = 0;
    struct attack_programs programs;
    struct attack_run alone = {.primary = 0};
    ERR_TRY(parse_replicas(o->replicas, &replicas));
    if (o->client_count >= BENCH_CLIENTS_MAX)
        return err_make(ERR_USAGE, "--clients is %u; one of %u is for who misbehaves", o->client_count,
                        BENCH_CLIENTS_MAX);
    ERR_TRY(find_programs(&programs));
    struct behaviours *behaviours = mem_zero(1, sizeof *behaviours);
    struct attack_row *rows = mem_zero(ATTACK_BEHAVIOURS_MAX, sizeof *rows);
    struct err e = take_list(programs.replica, false, behaviours);
    if (!err_is(&e)) e = take_list(programs.client, true, behaviours);
    if (!err_is(&e)) e = choose(o->behaviours != NULL ? o->behaviours : default_names, behaviours, rows, &count);
    if (!err_is(&e)) e = attack_run_group(o, replicas, &programs, NULL, false, 0, &alone);
    if (!err_is(&e)) {
        attack_show_header(o, &alone);
        e = compare_all(o, &programs, &alone, rows, count);
        if (!bench_interrupted()) attack_show_end(o, &alone, rows, count);
        if (!bench_interrupted() && o->plot != NULL) {
            const struct err drawn = attack_plot(&alone, rows, count, o->plot);
            if (!err_is(&e)) e = drawn;
        }
    }
    load_result_free(&alone.load);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < rows[i].round_count; k++)
            free_round(&rows[i].rounds[k]);
    free(rows);
    free(behaviours);
    return e;
}
