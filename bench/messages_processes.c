/* messages_processes.c - what batches and a change of view cost a group of real processes, by their own counters.
 *
 * A silent backup is a pbft-evil that hears everything and says nothing, to members and clients; a dead primary is one
 * whose process is paused: connections stay, as in the paper, whose counts are of messages that are sent, also to those
 * that are deaf. */
#include "bench/messages.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/limits.h"
#include "bench/cluster.h"
#include "bench/program.h"
#include "client/status_cost.h"
#include "ledger/app.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SENDERS_MAX 16u /* as many as in the simulator */
#define AHEAD 8u        /* batches' worth of requests in flight: as many batches as may be under way */
#define TIMEOUT_MS 5000u
#define CLIENT_TIMEOUT_MS 60000u
#define STATUS_MS 2000u
#define STILL_US 1500000u /* nothing moves for so long: nothing will */
#define STILL_WITHIN_US 90000000u
#define LOOK_AGAIN_NS 100000000
#define STEP_NS 500000
#define NOBODY UINT32_MAX

struct stage {
    const struct bench_options *o;
    uint32_t replicas;
    struct bench_cluster cluster;
    struct bench_clients clients;
    struct pbft_client *observer;
    uint32_t primary;
    struct replica_set silent;
    uint32_t paused; /* or NOBODY */
    uint64_t number; /* of the next transaction */
    uint64_t accepted;
    uint64_t in_flight;
    char failure[PBFT_ERROR_BYTES];
};

static void rest(long ns)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* ---- the group ---- */

/* The last ones that would lead. */
static struct err place_silent(struct stage *s)
{
    for (uint32_t k = 0; k < s->o->silent; k++) {
        const uint32_t id = (s->primary + s->replicas - 1 - k) % s->replicas;
        ERR_TRY(bench_cluster_devnet(&s->cluster, "evil", id, "mute@signal,reply-silent@signal"));
        replica_set_add(&s->silent, id);
    }
    return err_none();
}

static struct err silence(const struct stage *s)
{
    for (uint32_t id = 0; id < s->replicas; id++) {
        if (!replica_set_has(&s->silent, id)) continue;
        const pid_t pid = bench_replica_pid(s->cluster.home, id);
        if (pid == 0 || kill(pid, SIGUSR1) != 0)
            return err_make(ERR_NEGATIVE, "replica %u, which is to be silent, has ended by itself", id);
    }
    return err_none();
}

static uint32_t client_count(const struct bench_options *o)
{
    return o->batch < SENDERS_MAX ? o->batch : SENDERS_MAX;
}

static struct err start(struct stage *s)
{
    char tuning[128];
    const struct bench_options *o = s->o;
    ERR_TRY(bench_cluster_start(o->dir, o->base_port, s->replicas, client_count(o), &s->cluster));
    (void)snprintf(tuning, sizeof tuning, "batch_fill = %u\nbatch_delay_us = 200000\ntimeout_ms = %u\n", o->batch,
                   TIMEOUT_MS);
    ERR_TRY(bench_cluster_tune(&s->cluster, s->replicas, tuning));
    ERR_TRY(bench_cluster_settle(&s->cluster, &s->primary));
    ERR_TRY(place_silent(s));
    ERR_TRY(bench_cluster_settle(&s->cluster, &s->primary));
    if (replica_set_has(&s->silent, s->primary))
        return err_make(ERR_TIMEOUT,
                        "replica %u became primary, which was to be a silent backup; the machine is too slow",
                        s->primary);
    ERR_TRY(silence(s));
    ERR_TRY(bench_clients_open(s->cluster.home, s->cluster.clients, CLIENT_TIMEOUT_MS, &s->clients));
    return bench_clients_open_observer(s->cluster.home, &s->observer);
}

/* ---- transactions ---- */

static void on_answer(void *context, const struct pbft_answer *answer)
{
    struct stage *s = context;
    s->in_flight--;
    s->accepted++;
    if (s->failure[0] != '\0' || (answer->status == PBFT_OK && answer->outcome == PBFT_OUTCOME_OK)) return;
    (void)snprintf(s->failure, sizeof s->failure, "%s",
                   answer->status != PBFT_OK ? answer->text : pbft_outcome_name(answer->outcome));
}

/* As large as those in the simulator. */
static void submit(struct stage *s, uint32_t client)
{
    char key[32];
    char value[32];
    (void)snprintf(key, sizeof key, "key %u %u", client, (unsigned)(s->number % 50));
    (void)snprintf(value, sizeof value, "value %" PRIu64, s->number % 1000);
    const struct pbft_operation op = {
        .app = APP_KV,
        .verb = APP_KV_PUT,
        .arg_count = 2,
        .args = {{(const uint8_t *)key, strlen(key)}, {(const uint8_t *)value, strlen(value)}}};
    const struct pbft_error e = pbft_submit(s->clients.clients[client], &op, 1, on_answer, s);
    s->number++;
    if (e.status == PBFT_OK)
        s->in_flight++;
    else
        (void)snprintf(s->failure, sizeof s->failure, "%s", e.text);
}

/* So many transactions of each client in turn, at most `ahead` at a time, until all are accepted. */
static struct err order(struct stage *s, uint64_t count, uint64_t ahead)
{
    const uint64_t wanted = s->accepted + count;
    uint32_t next = 0;
    uint64_t left = count;
    while (s->accepted < wanted && s->failure[0] == '\0' && !bench_interrupted()) {
        for (uint32_t tried = 0; left > 0 && s->in_flight < ahead && tried < s->clients.count; tried++) {
            const uint32_t client = next++ % s->clients.count;
            if (!pbft_can_submit(s->clients.clients[client])) continue;
            submit(s, client);
            left--;
        }
        for (uint32_t i = 0; i < s->clients.count; i++)
            pbft_poll(s->clients.clients[i], 0);
        rest(STEP_NS);
    }
    ERR_TRY(bench_go_on());
    return s->failure[0] == '\0' ? err_none() : err_make(ERR_TIMEOUT, "a transaction failed: %s", s->failure);
}

/* ---- counters ---- */

/* What changes while something is under way; STATUS goes on for ever. UINT64_MAX: something is, for sure. */
static uint64_t movement(const struct stage *s, const struct pbft_replica_status *status)
{
    const uint32_t next = (s->primary + 1) % s->replicas; /* it is neither silent nor paused */
    uint64_t sum = 0;
    for (uint32_t id = 0; id < s->replicas; id++) {
        if (id == s->paused) continue;
        if (!status[id].answered) return UINT64_MAX;
        for (uint32_t k = 0; k < status[id].message_count; k++) {
            const struct pbft_message_count *m = &status[id].messages[k];
            if (m->type != WIRE_TYPE_status && status_cost_orders(m->type)) sum += m->sent + m->resent + m->received;
        }
        if (!replica_set_has(&s->silent, id) && status[id].executed != status[next].executed) return UINT64_MAX;
    }
    return sum;
}

/* Waits until nothing but STATUS has moved for a while: votes leave yet when a batch has executed elsewhere. */
static struct err come_to_rest(const struct stage *s, struct pbft_replica_status *status)
{
    const uint64_t until = clock_monotonic_us() + STILL_WITHIN_US;
    uint64_t since = clock_monotonic_us();
    uint64_t last = UINT64_MAX;
    for (uint64_t now = since; now < until && !bench_interrupted(); now = clock_monotonic_us()) {
        const struct pbft_error e = pbft_status_wait(s->observer, STATUS_MS, status);
        const uint64_t is = e.status == PBFT_OK ? movement(s, status) : UINT64_MAX;
        if (is == UINT64_MAX || is != last)
            since = clock_monotonic_us();
        else if (now - since >= STILL_US && now > since)
            return err_none();
        last = is;
        rest(LOOK_AGAIN_NS);
    }
    ERR_TRY(bench_go_on());
    return err_make(ERR_TIMEOUT, "the group in %s does not come to rest within %u s", s->cluster.home,
                    STILL_WITHIN_US / 1000000u);
}

static enum messages_kind kind_of(enum wire_type type)
{
    switch (type) {
    case WIRE_TYPE_request: return MESSAGES_REQUEST;
    case WIRE_TYPE_pre_prepare: return MESSAGES_PRE_PREPARE;
    case WIRE_TYPE_prepare: return MESSAGES_PREPARE;
    case WIRE_TYPE_commit: return MESSAGES_COMMIT;
    case WIRE_TYPE_checkpoint: return MESSAGES_CHECKPOINT;
    case WIRE_TYPE_view_change: return MESSAGES_VIEW_CHANGE;
    case WIRE_TYPE_new_view: return MESSAGES_NEW_VIEW;
    case WIRE_TYPE_busy:
    case WIRE_TYPE_reply: return MESSAGES_REPLY;
    case WIRE_TYPE_status:
    case WIRE_TYPE_fetch:
    case WIRE_TYPE_data: return MESSAGES_ANTI_ENTROPY;
    case WIRE_TYPE_hello:
    case WIRE_TYPE_query:
    case WIRE_TYPE_result: break; /* this program's own questions */
    }
    return MESSAGES_KINDS;
}

/* The highest of those that count. */
static const struct pbft_replica_status *foremost(const struct stage *s, const struct pbft_replica_status *status)
{
    const struct pbft_replica_status *best = NULL;
    for (uint32_t id = 0; id < s->replicas; id++) {
        if (id == s->paused || replica_set_has(&s->silent, id)) continue;
        if (best == NULL || status[id].executed > best->executed) best = &status[id];
    }
    return best;
}

static struct err fill(const struct stage *s, const struct pbft_replica_status *before,
                       const struct pbft_replica_status *after, struct messages_row *r)
{
    struct status_cost cost;
    const struct pbft_replica_status *from = foremost(s, before);
    const struct pbft_replica_status *to = foremost(s, after);
    status_cost(before, after, s->replicas, &cost);
    if (s->paused != NOBODY) replica_set_remove(&cost.uncounted, s->paused);
    if (replica_set_count(&cost.uncounted) > 0 || from == NULL || to == NULL)
        return err_make(ERR_NEGATIVE, "a replica of the group in %s has ended by itself", s->cluster.home);
    r->batches = to->executed - from->executed;
    r->checkpoints = to->executed / CHECKPOINT_INTERVAL - from->executed / CHECKPOINT_INTERVAL;
    r->views = to->view - from->view;
    r->proposed_again = r->views > 0 ? from->executed - from->stable : 0;
    for (enum wire_type type = 1; type <= WIRE_TYPE_MAX; type++) {
        const enum messages_kind kind = kind_of(type);
        if (kind == MESSAGES_KINDS) continue;
        r->tallies[kind].sent += cost.messages[type].sent + cost.messages[type].from_clients;
        r->tallies[kind].resent += cost.messages[type].resent;
        r->tallies[kind].bytes += status_cost_bytes(&cost, type);
    }
    return r->batches > 0 ? err_none() : err_make(ERR_CORRUPT, "the replicas counted no batch");
}

/* Orders so many and counts them, from *before, which is left as it is at the end. */
static struct err count_order(struct stage *s, uint64_t count, uint64_t ahead, struct pbft_replica_status *before,
                              struct messages_row *r)
{
    struct pbft_replica_status *after = mem_zero(s->replicas, sizeof *after);
    const uint64_t from_us = clock_monotonic_us();
    *r = (struct messages_row){.processes = true,
                               .view_change = s->paused != NOBODY,
                               .replicas = s->replicas,
                               .faulty = (s->replicas - 1) / 3,
                               .silent = s->o->silent,
                               .transactions = count};
    struct err e = order(s, count, ahead);
    if (!err_is(&e)) e = come_to_rest(s, after);
    r->seconds = (double)(clock_monotonic_us() - from_us) / 1e6;
    if (!err_is(&e)) e = fill(s, before, after, r);
    memcpy(before, after, s->replicas * sizeof *after);
    free(after);
    return e;
}

static struct err count_all(struct stage *s, struct pbft_replica_status *status, struct messages_row rows[2])
{
    const uint64_t batch = s->o->batch;
    ERR_TRY(order(s, s->clients.count, 1)); /* each client knows the primary then */
    ERR_TRY(come_to_rest(s, status));
    ERR_TRY(count_order(s, batch * s->o->batches, batch == 1 ? 1 : AHEAD * batch, status, &rows[0]));
    if (!s->o->view_change) return err_none();
    s->paused = (uint32_t)(status[s->primary].view % s->replicas);
    s->primary = s->paused;
    ERR_TRY(bench_cluster_devnet(&s->cluster, "pause", s->paused, NULL));
    return count_order(s, 1, 1, status, &rows[1]);
}

struct err messages_of_processes(const struct bench_options *o, uint32_t replicas, struct messages_row rows[2])
{
    struct stage *s = mem_zero(1, sizeof *s);
    struct pbft_replica_status *status = mem_zero(replicas, sizeof *status);
    *s = (struct stage){.o = o, .replicas = replicas, .paused = NOBODY};
    struct err e = start(s);
    if (!err_is(&e)) e = count_all(s, status, rows);
    bench_clients_close(&s->clients);
    pbft_close(s->observer);
    const struct err down = bench_cluster_end(&s->cluster);
    free(status);
    free(s);
    return bench_both(&e, &down);
}
