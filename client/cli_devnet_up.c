/* cli_devnet_up.c - pbft devnet up: make what is missing, start what does not run, wait, submit one transaction. */
#include "client/cli_devnet_up.h"

#include "base/check.h"
#include "base/clock.h"
#include "ledger/app.h"
#include "wire/constants.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_ROUND_MS 500u
#define PAUSE_MS 30u
#define TURN_MS 1000u /* for the client: another command is done by then, an import is not */
#define HELLO_KEY "devnet/hello"

/* ---- waiting ---- */

static bool satisfied(const struct pbft_replica_status *s, bool synced)
{
    return s->answered && (!synced || s->condition == CONDITION_SYNCED);
}

/* True when it is this devnet's process that listens for each of them. What answers may be another process with the same keys, from
 * a copy of this home: ours is about to end then, since the port is taken. */
static struct err find_ours(const struct devnet *d, const struct replica_set *wanted, bool *ours)
{
    *ours = true;
    for (uint32_t id = 0; id < d->replica_count; id++) {
        struct devnet_process p;
        if (!replica_set_has(wanted, id)) continue;
        ERR_TRY(devnet_process_find(d, id, &p));
        if (p.state == DEVNET_STATE_STOPPED || !devnet_process_listens(&p, d->base_port + id)) *ours = false;
        devnet_process_close(&p);
    }
    return err_none();
}

/* One of the wanted replicas that has ended. */
static struct err find_ended(const struct devnet *d, const struct replica_set *wanted)
{
    for (uint32_t id = 0; id < d->replica_count; id++) {
        struct devnet_process p;
        if (!replica_set_has(wanted, id)) continue;
        ERR_TRY(devnet_process_find(d, id, &p));
        devnet_process_close(&p);
        if (p.state != DEVNET_STATE_STOPPED) continue;
        devnet_log_tail(d, id);
        return err_make(ERR_CONFIG, "replica %u has ended; its last words are above", id);
    }
    return err_none();
}

static struct err late(const struct devnet *d, const struct replica_set *wanted,
                       const struct pbft_replica_status *replicas, bool synced, uint64_t waited_ms)
{
    for (uint32_t id = 0; id < d->replica_count; id++) {
        if (!replica_set_has(wanted, id) || satisfied(&replicas[id], synced)) continue;
        devnet_log_tail(d, id);
        return err_make(ERR_TIMEOUT, "replica %u is not ready after %" PRIu64 " ms: %s; its last words are above", id,
                        waited_ms,
                        replicas[id].answered ? pbft_condition_name(replicas[id].condition) : replicas[id].reason);
    }
    return err_make(ERR_TIMEOUT, "the replicas answer, but it is another process than this devnet's that listens on one of their "
                                 "ports; pbft devnet status shows this one's");
}

static struct err wait_with_client(struct pbft_client *c, const struct devnet *d, const struct replica_set *wanted,
                                   bool synced, uint64_t timeout_ms)
{
    const uint64_t until = clock_monotonic_us() + timeout_ms * 1000u;
    struct pbft_replica_status *replicas = mem_zero(d->replica_count, sizeof *replicas);
    struct err e = err_none();
    bool ready = false;
    while (!ready && !err_is(&e)) {
        const struct pbft_error failed = pbft_status_wait(c, STATUS_ROUND_MS, replicas); /* each says why, by itself */
        (void)failed;
        ready = true;
        for (uint32_t id = 0; id < d->replica_count; id++)
            if (replica_set_has(wanted, id) && !satisfied(&replicas[id], synced)) ready = false;
        if (ready) e = find_ours(d, wanted, &ready);
        if (err_is(&e) || ready) break;
        e = find_ended(d, wanted);
        if (!err_is(&e) && clock_monotonic_us() >= until) {
            e = late(d, wanted, replicas, synced, timeout_ms);
            break;
        }
        if (!err_is(&e)) pbft_poll(c, PAUSE_MS);
    }
    free(replicas);
    return e;
}

struct err devnet_wait_answers(const struct cli_call *call, const struct devnet *d, const struct replica_set *wanted,
                               bool synced)
{
    struct pbft_client *c;
    const uint64_t timeout_ms = call->globals->timeout_ms > 0 ? call->globals->timeout_ms : DEVNET_WAIT_MS;
    ERR_TRY(cli_client_open(call->globals, CLI_ACCESS_STATUS, timeout_ms, &c));
    struct err e = err_none();
    if (pbft_replica_count(c) != d->replica_count)
        e = err_make(ERR_CONFIG, "group.json has %u member%s, devnet.json %u; give another --home",
                     pbft_replica_count(c), plural(pbft_replica_count(c)), d->replica_count);
    if (!err_is(&e)) e = wait_with_client(c, d, wanted, synced, timeout_ms);
    pbft_close(c);
    return e;
}

struct err devnet_wait_answer(const struct cli_call *call, const struct devnet *d, uint32_t id)
{
    struct replica_set wanted = {0};
    replica_set_add(&wanted, id);
    return devnet_wait_answers(call, d, &wanted, false);
}

/* ---- up ---- */

/* No replica is started while one of them runs where this devnet did not start it. */
static struct err refuse_strangers(const struct devnet *d)
{
    for (uint32_t id = 0; id < d->replica_count; id++) {
        struct devnet_process p;
        ERR_TRY(devnet_process_find(d, id, &p));
        devnet_process_close(&p);
        if (p.stranger != 0)
            return err_make(
                ERR_CONFIG,
                "replica %u has no pid file, but process %d has its data directory locked; stop that process, "
                "then try again",
                id, (int)p.stranger);
    }
    return err_none();
}

/* Starts what does not run; paused ones go on. Those that were made to misbehave go out of *wanted: nobody waits for
 * them. */
static struct err start_missing(const struct devnet *d, json_t *started, struct replica_set *wanted)
{
    ERR_TRY(refuse_strangers(d));
    for (uint32_t id = 0; id < d->replica_count; id++) {
        struct devnet_process p;
        ERR_TRY(devnet_process_find(d, id, &p));
        struct err e = err_none();
        if (p.state == DEVNET_STATE_STOPPED)
            e = devnet_process_start(d, id);
        else if (p.state == DEVNET_STATE_PAUSED)
            e = devnet_process_signal(&p, id, SIGCONT);
        if (p.state == DEVNET_STATE_PAUSED) (void)fprintf(stderr, "pbft: replica %u was paused; it goes on\n", id);
        if (p.evil) {
            (void)fprintf(stderr, "pbft: replica %u misbehaves on purpose (%s); pbft devnet good %u ends that\n", id,
                          p.behaviour, id);
            replica_set_remove(wanted, id);
        }
        if (p.state == DEVNET_STATE_STOPPED) (void)json_array_append_new(started, json_integer((json_int_t)id));
        devnet_process_close(&p);
        if (err_is(&e)) return e;
    }
    return err_none();
}

/* The layout that is asked for, against the one there is. */
static struct err check_options(const struct cli_call *call, struct devnet *d, bool found)
{
    uint64_t replicas = found ? d->replica_count : DEVNET_REPLICAS_DEFAULT;
    uint64_t port = found ? d->base_port : 0;
    uint64_t writers = 1;
    if (call->values[UP_OPTION_REPLICAS] != NULL)
        ERR_TRY(cli_number_parse("--replicas", call->values[UP_OPTION_REPLICAS], 1, REPLICAS_MAX, &replicas));
    if (call->values[UP_OPTION_BASE_PORT] != NULL)
        ERR_TRY(cli_number_parse("--base-port", call->values[UP_OPTION_BASE_PORT], 1,
                                 65536 - DEVNET_HTTP_OFFSET - replicas, &port));
    if (call->values[UP_OPTION_CLIENTS] != NULL)
        ERR_TRY(cli_number_parse("--clients", call->values[UP_OPTION_CLIENTS], 1, DEVNET_WRITERS_MAX, &writers));
    if (found && call->values[UP_OPTION_CLIENTS] != NULL)
        return err_make(ERR_USAGE,
                        "the devnet in %s has its clients already; leave --clients out, or give another --home",
                        d->home.text);
    if (found && replicas != d->replica_count)
        return err_make(ERR_USAGE, "the devnet in %s has %u replica%s; give another --home for one with %" PRIu64,
                        d->home.text, d->replica_count, plural(d->replica_count), replicas);
    if (found && port != d->base_port)
        return err_make(ERR_USAGE, "the devnet in %s has base port %u; leave --base-port out, or give another --home",
                        d->home.text, d->base_port);
    d->replica_count = (uint32_t)replicas;
    d->writer_count = (uint32_t)writers;
    d->base_port = (uint32_t)port;
    return err_none();
}

/* The first transaction: proof that the group commits. *out is NULL when none was submitted, since another process uses
 * the client: then that is the one that sees it commit. */
static struct err say_hello(const struct cli_call *call, const struct devnet *d, struct pbft_answer **out)
{
    bool mine;
    *out = NULL;
    ERR_TRY(cli_client_turn(call->globals, CLI_ACCESS_WRITE, TURN_MS, &mine));
    if (!mine) {
        (void)fprintf(stderr, "pbft: no transaction was submitted: another process uses client \"%s\" (an import?)\n",
                      cli_client_name(call->globals, CLI_ACCESS_WRITE));
        return err_none();
    }
    char text[64];
    (void)snprintf(text, sizeof text, "hello from a group of %u", d->replica_count);
    struct pbft_operation op = {.app = APP_KV, .verb = APP_KV_PUT, .arg_count = 2};
    op.args[0] = cli_arg(bytes_of_text(HELLO_KEY));
    op.args[1] = cli_arg(bytes_of_text(text));
    return cli_submit(call->globals, &op, out);
}

/* A word as a shell reads it: as it is where it holds nothing but letters, digits and harmless signs, else in single quotes. */
static void print_word(FILE *to, const char *word)
{
    static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+:,@%";
    if (word[0] != '\0' && word[strspn(word, harmless)] == '\0') {
        (void)fputs(word, to);
        return;
    }
    (void)fputc('\'', to);
    for (const char *at = word; *at != '\0'; at++) {
        if (*at == '\'')
            (void)fputs("'\\''", to); /* ends the quote, a quote of its own, and begins again */
        else
            (void)fputc(*at, to);
    }
    (void)fputc('\'', to);
}

static void print_next_steps(const struct cli_call *call)
{
    static const char *const steps[] = {"put greeting hello", "get greeting", "status", "devnet down"};
    (void)fprintf(stderr, "pbft: the group is running; type next, for instance:\n");
    for (uint32_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        (void)fputs("    ", stderr);
        print_word(stderr, program_invocation_name);
        if (call->globals->home_given) {
            (void)fputs(" --home ", stderr);
            print_word(stderr, call->globals->home);
        }
        (void)fprintf(stderr, " %s\n", steps[i]);
    }
}

static struct err start_and_wait(const struct cli_call *call, const struct devnet *d, json_t *started)
{
    struct replica_set all = {0};
    for (uint32_t id = 0; id < d->replica_count; id++)
        replica_set_add(&all, id);
    ERR_TRY(start_missing(d, started, &all));
    return devnet_wait_answers(call, d, &all, true);
}

struct err devnet_up_run(const struct cli_call *call)
{
    struct devnet d;
    struct pbft_answer *a = NULL;
    bool found;
    ERR_TRY(devnet_load(call->globals, &d, &found));
    ERR_TRY(check_options(call, &d, found));
    if (found)
        ERR_TRY(devnet_lock(&d));
    else
        ERR_TRY(devnet_create(&d));
    json_t *started = json_array();
    struct err e = start_and_wait(call, &d, started);
    devnet_unlock(&d);
    if (!err_is(&e)) {
        e = say_hello(call, &d, &a);
        if (err_is(&e))
            e = err_wrap(e, "the replicas answer, but no transaction was committed (pbft status says more)");
    }
    if (err_is(&e)) {
        json_decref(started);
        return e;
    }
    if (call->globals->json) {
        cli_json_print(json_pack("{s:s, s:I, s:I, s:o, s:o}", "home", d.home.text, "replicas",
                                 (json_int_t)d.replica_count, "base_port", (json_int_t)d.base_port, "started", started,
                                 "transaction", a != NULL ? cli_answer_json(a) : json_null()));
    } else {
        (void)printf("%u replica%s on 127.0.0.1:%u to %u, %zu of them started now, in %s\n", d.replica_count,
                     plural(d.replica_count), d.base_port, d.base_port + d.replica_count - 1, json_array_size(started),
                     d.home.text);
        if (a != NULL) cli_answer_print(stdout, a);
        (void)fflush(stdout);
        json_decref(started);
        print_next_steps(call);
    }
    pbft_answer_free(a);
    return err_none();
}
