/* cli_devnet.c - devnet down, status, kill, start, pause, resume, and the table of the verbs. `up` is cli_devnet_up.c,
 * `evil` and `good` are cli_devnet_evil.c. */
#include "client/cli_devnet.h"

#include "base/check.h"
#include "client/cli_devnet_evil.h"
#include "client/cli_devnet_up.h"
#include "client/cli_status.h"
#include "replica/run/config.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_WAIT_MS 3000u

struct err devnet_open(const struct cli_call *call, struct devnet *out)
{
    bool found;
    ERR_TRY(devnet_load(call->globals, out, &found));
    if (!found)
        return err_make(ERR_CONFIG, "there is no devnet in %s; pbft devnet up makes one, --home DIR names another",
                        call->globals->home);
    return devnet_lock(out);
}

struct err devnet_id_parse(const struct devnet *d, const char *word, uint32_t *out)
{
    uint64_t id;
    ERR_TRY(cli_number_parse("the replica's id", word, 0, d->replica_count - 1, &id));
    *out = (uint32_t)id;
    return err_none();
}

void devnet_print_id(const struct cli_call *call, const char *verb, uint32_t id)
{
    if (call->globals->json)
        cli_json_print(json_pack("{s:I}", verb, (json_int_t)id));
    else
        (void)printf("%u\n", id);
}

static struct err not_running(const struct devnet_process *p, uint32_t id)
{
    if (p->stranger > 0)
        return err_make(
            ERR_NEGATIVE,
            "replica %u has no pid file, but process %d has its data directory locked; stop that one yourself", id,
            (int)p->stranger);
    if (p->stranger < 0)
        return err_make(
            ERR_NEGATIVE,
            "replica %u has no pid file, but some process has its data directory locked; stop that one yourself", id);
    return err_make(ERR_NEGATIVE, "replica %u is not running; pbft devnet start %u starts it", id, id);
}

/* ---- down ---- */

/* Asks all that run to stop, waits for them together. */
static struct err stop_all(const struct devnet *d, struct devnet_process *processes, uint32_t *stopped)
{
    char left[200] = "";
    size_t used = 0;
    struct err failure = err_none();
    for (uint32_t id = 0; id < d->replica_count; id++) {
        if (processes[id].state == DEVNET_STATE_STOPPED) {
            if (processes[id].stranger != 0 && !err_is(&failure)) {
                failure = not_running(&processes[id], id);
                failure.code = ERR_TIMEOUT;
            }
            continue;
        }
        ERR_TRY(devnet_process_signal(&processes[id], id, SIGTERM));
    }
    const bool all = devnet_process_wait_end(processes, d->replica_count, DEVNET_WAIT_MS);
    for (uint32_t id = 0; id < d->replica_count; id++) {
        if (processes[id].state == DEVNET_STATE_STOPPED) continue;
        if (all || devnet_process_wait_end(&processes[id], 1, 1)) {
            devnet_process_forget(d, id);
            (*stopped)++;
            continue;
        }
        const int wanted = snprintf(left + used, sizeof left - used, "%s%u (process %d)", used == 0 ? "" : ", ", id,
                                    (int)processes[id].pid);
        if (wanted > 0 && (size_t)wanted < sizeof left - used) used += (size_t)wanted;
    }
    if (used > 0)
        return err_make(ERR_TIMEOUT, "still running after %u s: replica %s; run it again, or pbft devnet kill ID",
                        DEVNET_WAIT_MS / 1000u, left);
    return failure;
}

static struct err down_run(const struct cli_call *call)
{
    struct devnet d;
    bool found;
    uint32_t stopped = 0;
    struct err e = err_none();
    ERR_TRY(devnet_load(call->globals, &d, &found));
    if (found) {
        ERR_TRY(devnet_lock(&d));
        struct devnet_process *processes = mem_zero(d.replica_count, sizeof *processes);
        for (uint32_t id = 0; id < d.replica_count; id++)
            processes[id].pidfd = -1;
        for (uint32_t id = 0; id < d.replica_count && !err_is(&e); id++)
            e = devnet_process_find(&d, id, &processes[id]);
        if (!err_is(&e)) e = stop_all(&d, processes, &stopped);
        for (uint32_t id = 0; id < d.replica_count; id++)
            devnet_process_close(&processes[id]);
        free(processes);
        devnet_unlock(&d);
    }
    if (call->globals->json)
        cli_json_print(json_pack("{s:I}", "stopped", (json_int_t)stopped));
    else if (stopped > 0)
        (void)printf("stopped %u replica%s\n", stopped, stopped == 1 ? "" : "s");
    else if (!err_is(&e))
        (void)fprintf(stderr, "pbft: nothing runs in %s\n", call->globals->home);
    return e;
}

/* ---- status ---- */

/* Where it answers HTTP, by its configuration file; "-" where that has no endpoint, or cannot be read. */
static void http_address(const struct devnet *d, uint32_t id, char out[GROUP_ADDRESS_BYTES_MAX])
{
    struct cli_path path;
    struct config config;
    (void)snprintf(out, GROUP_ADDRESS_BYTES_MAX, "-");
    struct err e = cli_home_path(d->home.text, &path, "conf/r%u.conf", id);
    if (!err_is(&e)) e = config_read(path.text, &config);
    if (!err_is(&e) && config.http_listen[0] != '\0')
        (void)snprintf(out, GROUP_ADDRESS_BYTES_MAX, "%s", config.http_listen);
}

static json_t *process_json(const struct devnet *d, uint32_t id, const struct devnet_process *p, const char *http)
{
    char address[32];
    char data[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", d->base_port + id);
    (void)snprintf(data, sizeof data, "r%u", id);
    json_t *out = json_pack("{s:I, s:s, s:s, s:s, s:s}", "id", (json_int_t)id, "state", devnet_state_name(p), "address",
                            address, "http", http, "data", data);
    const pid_t pid = p->state != DEVNET_STATE_STOPPED ? p->pid : p->stranger;
    CHECK(out != NULL && json_object_set_new(out, "pid", pid > 0 ? json_integer((json_int_t)pid) : json_null()) == 0);
    CHECK(json_object_set_new(out, "evil", p->evil ? json_string_nocheck(p->behaviour) : json_null()) == 0);
    return out;
}

static struct err status_run(const struct cli_call *call)
{
    struct devnet d;
    bool found;
    ERR_TRY(devnet_load(call->globals, &d, &found));
    if (!found)
        return err_make(ERR_CONFIG, "there is no devnet in %s; pbft devnet up makes one, --home DIR names another",
                        call->globals->home);
    json_t *list = call->globals->json ? json_array() : NULL;
    if (list == NULL) (void)printf("ID   STATE     PID       %-17s %-17s EVIL\n", "ADDRESS", "HTTP");
    for (uint32_t id = 0; id < d.replica_count; id++) {
        struct devnet_process p;
        char http[GROUP_ADDRESS_BYTES_MAX];
        ERR_TRY(devnet_process_find(&d, id, &p));
        http_address(&d, id, http);
        if (list != NULL)
            CHECK(json_array_append_new(list, process_json(&d, id, &p, http)) == 0);
        else
            (void)printf("%-4u %-9s %-9d 127.0.0.1:%-7u %-17s %s\n", id, devnet_state_name(&p),
                         (int)(p.state != DEVNET_STATE_STOPPED ? p.pid : p.stranger), d.base_port + id, http,
                         p.evil ? p.behaviour : "no");
        if (p.stranger != 0) {
            const struct err e = not_running(&p, id);
            (void)fprintf(stderr, "pbft: %s\n", e.text);
        }
        devnet_process_close(&p);
    }
    if (list != NULL)
        cli_json_print(
            json_pack("{s:s, s:I, s:o}", "home", d.home.text, "base_port", (json_int_t)d.base_port, "replicas", list));
    return err_none();
}

/* ---- one replica ---- */

/* The primary of the view that f+1 of the answering replicas report. */
static struct err find_primary(const struct cli_call *call, const struct devnet *d, uint32_t *out)
{
    struct pbft_client *c;
    uint64_t view;
    const uint64_t timeout_ms = call->globals->timeout_ms > 0 ? call->globals->timeout_ms : STATUS_WAIT_MS;
    ERR_TRY(cli_client_open(call->globals, CLI_ACCESS_STATUS, timeout_ms, &c));
    struct pbft_replica_status *replicas = mem_zero(pbft_replica_count(c), sizeof *replicas);
    const struct pbft_error failed = pbft_status_wait(c, timeout_ms, replicas);
    const bool known = failed.status == PBFT_OK && cli_status_view(c, replicas, &view);
    free(replicas);
    pbft_close(c);
    if (!known)
        return err_make(ERR_TIMEOUT, "no replica says who the primary is; pbft devnet up starts them, or give an id");
    *out = (uint32_t)(view % d->replica_count);
    return err_none();
}

struct err devnet_end(const struct devnet *d, uint32_t id, int signal)
{
    struct devnet_process p;
    ERR_TRY(devnet_process_find(d, id, &p));
    if (p.state == DEVNET_STATE_STOPPED) return not_running(&p, id);
    struct err e = devnet_process_signal(&p, id, signal);
    if (!err_is(&e) && !devnet_process_wait_end(&p, 1, DEVNET_WAIT_MS))
        e = err_make(ERR_TIMEOUT, "replica %u (process %d) does not end, although it was %s", id, (int)p.pid,
                     signal == SIGKILL ? "killed" : "asked to");
    if (!err_is(&e)) devnet_process_forget(d, id);
    devnet_process_close(&p);
    return e;
}

static struct err end_run(const struct cli_call *call, int signal, const char *verb)
{
    struct devnet d;
    uint32_t id = 0;
    ERR_TRY(devnet_open(call, &d));
    struct err e =
        strcmp(call->words[0], "primary") == 0 ? find_primary(call, &d, &id) : devnet_id_parse(&d, call->words[0], &id);
    if (!err_is(&e)) e = devnet_end(&d, id, signal);
    devnet_unlock(&d);
    if (!err_is(&e)) devnet_print_id(call, verb, id);
    return e;
}

static struct err kill_run(const struct cli_call *call)
{
    return end_run(call, SIGKILL, "killed");
}

static struct err stop_run(const struct cli_call *call)
{
    return end_run(call, SIGTERM, "stopped");
}

static struct err start_run(const struct cli_call *call)
{
    struct devnet d;
    struct devnet_process p;
    uint32_t id;
    ERR_TRY(devnet_open(call, &d));
    ERR_TRY(devnet_id_parse(&d, call->words[0], &id));
    ERR_TRY(devnet_process_find(&d, id, &p));
    devnet_process_close(&p);
    if (p.state == DEVNET_STATE_PAUSED)
        return err_make(ERR_NEGATIVE, "replica %u runs, but is paused; pbft devnet resume %u", id, id);
    if (p.stranger != 0) return not_running(&p, id);
    if (p.state == DEVNET_STATE_RUNNING)
        (void)fprintf(stderr, "pbft: replica %u runs already\n", id);
    else
        ERR_TRY(devnet_process_start(&d, id));
    ERR_TRY(devnet_wait_answer(call, &d, id));
    devnet_unlock(&d);
    devnet_print_id(call, "started", id);
    return err_none();
}

/* SIGSTOP and SIGCONT. A process that is there already is left alone. */
static struct err signal_one(const struct cli_call *call, int signal, const char *verb)
{
    struct devnet d;
    struct devnet_process p;
    uint32_t id;
    ERR_TRY(devnet_open(call, &d));
    ERR_TRY(devnet_id_parse(&d, call->words[0], &id));
    ERR_TRY(devnet_process_find(&d, id, &p));
    if (p.state == DEVNET_STATE_STOPPED) return not_running(&p, id);
    const struct err e = signal == SIGSTOP ? devnet_process_pause(&p, id) : devnet_process_signal(&p, id, signal);
    devnet_process_close(&p);
    devnet_unlock(&d);
    if (!err_is(&e)) devnet_print_id(call, verb, id);
    return e;
}

static struct err pause_run(const struct cli_call *call)
{
    return signal_one(call, SIGSTOP, "paused");
}

static struct err resume_run(const struct cli_call *call)
{
    return signal_one(call, SIGCONT, "resumed");
}

#define ONE_ID .noun = "devnet", .words = "ID", .words_min = 1, .words_max = 1

static const struct cli_command devnet_commands[] = {
    {.noun = "devnet",
     .verb = "up",
     .words = "",
     .summary = "Makes a development group if there is none, starts what does not run, submits one transaction.",
     .details = "It may be run again at any time. Development keys are refused by replicas in production.",
     .options = {[UP_OPTION_REPLICAS] = {.name = "replicas",
                                         .value = "N",
                                         .help = "members of a new group (default 4)"},
                 [UP_OPTION_CLIENTS] = {.name = "clients",
                                        .value = "N",
                                        .help = "clients of a new group that may write: default, client2 to clientN "
                                                "(default 1)"},
                 [UP_OPTION_BASE_PORT] =
                     {.name = "base-port",
                      .value = "P",
                      .help = "replica I listens on 127.0.0.1:P+I, and on P+200+I for HTTP (default 7450, if free)"}},
     .run = devnet_up_run},
    {.noun = "devnet",
     .verb = "down",
     .words = "",
     .summary = "Stops all replicas cleanly; the ledger stays.",
     .run = down_run},
    {.noun = "devnet", .verb = "status", .words = "", .summary = "Shows which processes run.", .run = status_run},
    {.noun = "devnet",
     .verb = "kill",
     .words = "ID|primary",
     .words_min = 1,
     .words_max = 1,
     .summary = "Kills a replica as a crash would, and prints its id.",
     .run = kill_run},
    {.noun = "devnet",
     .verb = "stop",
     .words = "ID|primary",
     .words_min = 1,
     .words_max = 1,
     .summary = "Stops a replica cleanly (TERM), and prints its id.",
     .run = stop_run},
    {ONE_ID, .verb = "start", .summary = "Starts a replica and waits until it answers.", .run = start_run},
    {ONE_ID, .verb = "pause", .summary = "Stops a replica's process for a while (SIGSTOP).", .run = pause_run},
    {.noun = "devnet",
     .verb = "evil",
     .words = "ID BEHAVIOUR[@WHEN][,...]",
     .words_min = 2,
     .words_max = 2,
     .summary = "Replaces a replica by one that breaks the rules on purpose.",
     .details =
         "pbft-evil --list shows the behaviours; up to three at once. WHEN: seq=N from that sequence on, view=V "
         "in that\n"
         "view only, time=SECONDS so long after its start, signal from its first SIGUSR1 on. docs/adversary.md says\n"
         "what each does to the group.",
     .run = devnet_evil_run},
    {ONE_ID, .verb = "good", .summary = "Replaces it by the replica that keeps the rules.", .run = devnet_good_run},
    {ONE_ID, .verb = "resume", .summary = "Lets a paused replica go on (SIGCONT).", .run = resume_run},
};

const struct cli_table cli_devnet_table = {.commands = devnet_commands,
                                           .count = sizeof devnet_commands / sizeof devnet_commands[0]};
