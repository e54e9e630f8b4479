/* recover.c - how long clients wait when replicas go: a load runs, the primary (or any) is killed, stopped or paused
 * again and again, and each time the longest pause between two accepted results is taken. The members are driven by the
 * `pbft` command beside this program, as an operator would. */
#include "bench/bench.h"
#include "bench/clients.h"
#include "bench/program.h"
#include "bench/show.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/prng.h"
#include "client/pbft.h"
#include "wire/quorum.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_BYTES 4096u
#define ROUNDS_MAX 1000u
#define REST_US 1000000u     /* load between two rounds, and after each event */
#define GIVE_UP_US 60000000u /* without any result, or for a replica to get there */

struct recover {
    const struct bench_options *o;
    struct pbft_client *client;
    char pbft[PATH_BYTES]; /* the command */
    uint8_t value[64];
    struct prng random;
    uint64_t number;
    uint64_t accepted;
    uint64_t last_us; /* last accepted result */
    uint64_t gap_us;  /* longest pause since it was reset */
    char failure[PBFT_ERROR_BYTES];
    double gaps_ms[ROUNDS_MAX];
    double gaps_t[ROUNDS_MAX]; /* the same over T when the round began */
    double timeout_ms;         /* T then */
    uint32_t rounds;
    uint32_t first_away; /* in the round that is under way: so many replicas from this one on are gone; 0: none */
    uint32_t away;
    FILE *accepted_file;
};

static void on_answer(void *context, const struct pbft_answer *answer)
{
    struct recover *r = context;
    const uint64_t now = clock_monotonic_us();
    if (answer->status != PBFT_OK) {
        (void)snprintf(r->failure, sizeof r->failure, "%s", answer->text);
        return;
    }
    if (now - r->last_us > r->gap_us) r->gap_us = now - r->last_us;
    r->last_us = now;
    r->accepted++;
    if (r->accepted_file != NULL && fprintf(r->accepted_file, "%llu %llu\n", (unsigned long long)answer->index,
                                            (unsigned long long)answer->block) < 0)
        (void)snprintf(r->failure, sizeof r->failure, "%s cannot be written", r->o->accepted);
}

static struct err poll_once(struct recover *r)
{
    while (pbft_in_flight(r->client) < r->o->in_flight && pbft_can_submit(r->client)) {
        uint8_t key[8];
        be64_put(key, r->number++);
        const struct pbft_operation op = {
            .app = 1, .verb = 1, .arg_count = 2, .args = {{key, sizeof key}, {r->value, sizeof r->value}}};
        const struct pbft_error e = pbft_submit(r->client, &op, 1, on_answer, r);
        if (e.status != PBFT_OK) return err_make(ERR_TIMEOUT, "%s", e.text);
    }
    pbft_poll(r->client, 1);
    ERR_TRY(bench_go_on());
    if (r->failure[0] != '\0') return err_make(ERR_TIMEOUT, "the load stopped: %s", r->failure);
    if (clock_monotonic_us() - r->last_us > GIVE_UP_US)
        return err_make(ERR_TIMEOUT, "no result for %u s", GIVE_UP_US / 1000000u);
    return err_none();
}

static struct err run_for(struct recover *r, uint64_t us)
{
    const uint64_t until = clock_monotonic_us() + us;
    while (clock_monotonic_us() < until)
        ERR_TRY(poll_once(r));
    return err_none();
}

/* Runs `pbft --home DIR devnet VERB [WHO]` while the load goes on. */
static struct err devnet(struct recover *r, const char *verb, const char *who)
{
    const char *const argv[] = {r->pbft, "--home", r->o->home, "devnet", verb, who, NULL};
    pid_t pid;
    int status;
    ERR_TRY(program_start(argv, &pid));
    while (waitpid(pid, &status, WNOHANG) == 0) {
        struct err e = poll_once(r);
        if (!err_is(&e)) continue;
        (void)program_wait(pid);
        return e;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_make(ERR_CONFIG, "pbft devnet %s %s failed", verb, who);
    return err_none();
}

/* The members as they are now; *primary is that of the highest view, *steady says that all take part in it. */
static struct err look(struct recover *r, uint32_t *primary, bool *steady)
{
    const uint32_t count = pbft_replica_count(r->client);
    struct pbft_replica_status *status = mem_zero(count, sizeof *status);
    const struct pbft_error e = pbft_status_wait(r->client, 2000, status);
    uint64_t view = 0;
    *steady = e.status == PBFT_OK;
    for (uint32_t i = 0; i < count; i++)
        if (status[i].answered && status[i].view > view) view = status[i].view;
    for (uint32_t i = 0; i < count; i++)
        if (!status[i].answered || status[i].view != view || status[i].lag > 16 ||
            status[i].peers_connected + 1 < count)
            *steady = false;
    *primary = count == 0 ? 0 : (uint32_t)(view % count); /* a group has members; the analyser does not know */
    free(status);
    return err_none();
}

static struct err wait_steady(struct recover *r, uint32_t *primary)
{
    const uint64_t until = clock_monotonic_us() + GIVE_UP_US;
    bool steady = false;
    while (!steady) {
        ERR_TRY(run_for(r, 100000));
        ERR_TRY(look(r, primary, &steady));
        if (!steady && clock_monotonic_us() > until)
            return err_make(ERR_TIMEOUT, "the replicas did not all come back within %u s", GIVE_UP_US / 1000000u);
    }
    return err_none();
}

/* T doubles with views that bring nothing: the longest that is in force. */
static struct err look_at_timeout(struct recover *r)
{
    const uint32_t count = pbft_replica_count(r->client);
    struct pbft_replica_why *why = mem_zero(count, sizeof *why);
    const struct pbft_error e = pbft_why_wait(r->client, 2000, why);
    r->timeout_ms = 0;
    for (uint32_t i = 0; i < count; i++)
        if (why[i].answered && (double)why[i].timeout_ms > r->timeout_ms) r->timeout_ms = (double)why[i].timeout_ms;
    free(why);
    if (r->timeout_ms > 0) return err_none();
    return err_make(ERR_TIMEOUT, "no replica says how long its time-out is: %s", e.text);
}

static void note_gap(struct recover *r)
{
    r->gaps_ms[r->rounds] = (double)r->gap_us / 1000.0;
    r->gaps_t[r->rounds] = r->gaps_ms[r->rounds] / r->timeout_ms;
    r->rounds++;
}

static const char *const how_names[] = {
    [RECOVER_KILL] = "kill",     [RECOVER_STOP] = "stop", [RECOVER_PAUSE] = "pause",
    [RECOVER_RANDOM] = "random", [RECOVER_ROLL] = "roll", [RECOVER_WATCH] = "watch"};

/* devnet VERB for so many members, from the first on. */
static struct err devnet_each(struct recover *r, const char *verb, uint32_t first, uint32_t how_many)
{
    char id[16];
    for (uint32_t i = 0; i < how_many; i++) {
        (void)snprintf(id, sizeof id, "%u", (first + i) % pbft_replica_count(r->client));
        ERR_TRY(devnet(r, verb, id));
    }
    return err_none();
}

/* Waits until results come that were not in flight before. */
static struct err wait_results(struct recover *r)
{
    const uint64_t accepted = r->accepted;
    while (r->accepted <= accepted + r->o->in_flight)
        ERR_TRY(poll_once(r));
    return err_none();
}

/* Somebody else lets replicas go; the load runs until a line, or the end, of standard input. */
static struct err watch(struct recover *r)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte = '\0';
    if (r->rounds == 0) ERR_TRY(look_at_timeout(r)); /* later somebody may be away, and asking would hold the load up */
    r->gap_us = 0;
    while (byte != '\n') {
        ERR_TRY(poll_once(r));
        if (poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0) break;
    }
    ERR_TRY(wait_results(r));
    note_gap(r);
    return err_none();
}

static struct err one_round(struct recover *r)
{
    static const char *const before[] = {[RECOVER_KILL] = "kill",   [RECOVER_STOP] = "stop", [RECOVER_PAUSE] = "pause",
                                         [RECOVER_RANDOM] = "kill", [RECOVER_ROLL] = "stop", [RECOVER_WATCH] = NULL};
    const uint32_t count = pbft_replica_count(r->client);
    const bool all = r->o->how == RECOVER_RANDOM && r->rounds % 5 == 4;
    uint32_t first;
    if (r->o->how == RECOVER_WATCH && r->rounds > 0) return watch(r); /* whatever state the group is in */
    ERR_TRY(wait_steady(r, &first));
    if (r->o->how == RECOVER_WATCH) return watch(r);
    ERR_TRY(run_for(r, REST_US));
    if (r->o->how == RECOVER_RANDOM) first = (uint32_t)prng_below(&r->random, count);
    if (r->o->how == RECOVER_ROLL) first = r->rounds % count;
    const uint32_t gone = all ? count : r->o->at_once;
    ERR_TRY(look_at_timeout(r));
    r->gap_us = 0;
    r->first_away = first;
    r->away = gone;
    ERR_TRY(devnet_each(r, before[r->o->how], first, gone));
    if (all) { /* nobody is there to answer until they are back */
        ERR_TRY(devnet_each(r, "start", first, gone));
        ERR_TRY(wait_results(r));
    } else {
        ERR_TRY(wait_results(r));
        ERR_TRY(run_for(r, r->o->how == RECOVER_PAUSE ? 10 * REST_US : REST_US));
        ERR_TRY(devnet_each(r, r->o->how == RECOVER_PAUSE ? "resume" : "start", first, gone));
    }
    r->away = 0;
    note_gap(r);
    return err_none();
}

/* Of an interrupted round: who is away comes back. The group is its operator's. */
static struct err bring_back(const struct recover *r)
{
    const char *verb = r->o->how == RECOVER_PAUSE ? "resume" : "start";
    struct err e = err_none();
    for (uint32_t i = 0; i < r->away; i++) {
        char id[16];
        struct buffer said = {0};
        const uint32_t away = (r->first_away + i) % pbft_replica_count(r->client);
        const char *const argv[] = {r->pbft, "--home", r->o->home, "devnet", verb, id, NULL};
        (void)snprintf(id, sizeof id, "%u", away);
        const struct err back = program_run(argv, bytes_of(NULL, 0), &said);
        buffer_free(&said);
        if (err_is(&back)) e = err_wrap(back, "replica %u is still away: pbft devnet %s %u", away, verb, away);
    }
    return e;
}

static int compare_double(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* Sorts; the middle and the last are the median and the worst. */
static void sort(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, compare_double);
}

static json_t *all_of(const double *values, uint32_t count)
{
    json_t *out = json_array();
    for (uint32_t i = 0; i < count; i++)
        CHECK(json_array_append_new(out, json_real(round(values[i] * 100) / 100)) == 0);
    return out;
}

static void report(struct recover *r)
{
    json_t *gaps = all_of(r->gaps_ms, r->rounds);
    json_t *units = all_of(r->gaps_t, r->rounds);
    sort(r->gaps_ms, r->rounds);
    sort(r->gaps_t, r->rounds);
    const double median = r->gaps_ms[r->rounds / 2];
    const double longest = r->gaps_ms[r->rounds - 1];
    const double median_t = r->gaps_t[r->rounds / 2];
    const double longest_t = r->gaps_t[r->rounds - 1];
    if (r->o->form == BENCH_JSON) {
        json_t *object = show_envelope("recover");
        json_t *results = json_pack("{s:o, s:o, s:I, s:{s:f, s:f}, s:{s:f, s:f}}", "gaps_ms", gaps, "gaps_t", units,
                                    "accepted", (json_int_t)r->accepted, "gap_ms", "median", median, "max", longest,
                                    "gap_t", "median", median_t, "max", longest_t);
        json_t *parameters = json_pack("{s:s, s:i, s:i, s:i}", "how", how_names[r->o->how], "rounds", (int)r->rounds,
                                       "at_once", (int)r->o->at_once, "in_flight", (int)r->o->in_flight);
        CHECK(results != NULL && parameters != NULL);
        CHECK(json_object_set_new(object, "parameters", parameters) == 0);
        CHECK(json_object_set_new(object, "results", results) == 0);
        show_json(object);
        return;
    }
    json_decref(gaps);
    json_decref(units);
    (void)printf(
        "%u rounds (%s): %llu results; longest pause without a result: median %.1f ms, worst %.1f ms; in units of "
        "the T then in force: %.2f, %.2f\n",
        r->rounds, how_names[r->o->how], (unsigned long long)r->accepted, median, longest, median_t, longest_t);
}

static struct err open_client(struct recover *r)
{
    ERR_TRY(bench_client_open(r->o->home, r->o->clients, true, 2 * GIVE_UP_US / 1000u, &r->client));
    const uint32_t count = pbft_replica_count(r->client);
    const uint32_t faulty_max = quorum_of(count).faulty_max;
    if (r->o->at_once > faulty_max)
        return err_make(ERR_CONFIG, "--at-once is %u, but a group of %u goes on only while at most %u are gone",
                        r->o->at_once, count, faulty_max);
    return err_none();
}

static struct err open_accepted(struct recover *r)
{
    if (r->o->accepted == NULL) return err_none();
    r->accepted_file = fopen(r->o->accepted, "we");
    return r->accepted_file != NULL ? err_none() : err_system(errno, "cannot write %s", r->o->accepted);
}

static struct err close_accepted(struct recover *r)
{
    if (r->accepted_file == NULL || fclose(r->accepted_file) == 0) return err_none();
    return err_system(errno, "cannot write %s", r->o->accepted);
}

struct err recover_run(const struct bench_options *o)
{
    struct recover *r = mem_zero(1, sizeof *r);
    r->o = o;
    r->number = clock_wall_ms() << 20;
    r->random = prng_of(r->number);
    r->last_us = clock_monotonic_us();
    struct err e = program_path("pbft", r->pbft, sizeof r->pbft);
    if (!err_is(&e)) e = open_accepted(r);
    if (!err_is(&e)) e = open_client(r);
    for (uint32_t i = 0; i < o->rounds && !err_is(&e); i++)
        e = one_round(r);
    uint32_t primary;
    if (!err_is(&e) && o->how != RECOVER_WATCH) e = wait_steady(r, &primary); /* one that was watched may stay behind */
    while (!err_is(&e) && pbft_in_flight(r->client) > 0) {
        pbft_poll(r->client, 100);
        if (r->failure[0] != '\0') e = err_make(ERR_TIMEOUT, "the load stopped: %s", r->failure);
    }
    const struct err back = bring_back(r);
    const struct err closed = close_accepted(r);
    const struct err cleared = bench_both(&back, &closed);
    const struct err both = bench_both(&e, &cleared);
    if (!err_is(&both)) report(r);
    if (r->client != NULL) pbft_close(r->client);
    free(r);
    return both;
}
