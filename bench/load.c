/* load.c - a closed loop: each client keeps so many transactions in flight, for so long; what came out, and what it cost.
 *
 * Throughput counts transactions whose result f+1 replicas gave within the measured time. CPU time is that of the replica
 * processes, by their own account, and of this process. */
#include "bench/bench.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "client/pbft.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CLIENTS_HERE_MAX 16u
#define PATH_BYTES 1024u
#define LATENCIES_MAX 4000000u

struct load_client {
    struct load *load;
    struct pbft_client *client;
    uint64_t number;
};

struct load {
    const struct load_options *o;
    struct load_client clients[CLIENTS_HERE_MAX];
    uint32_t client_count;
    uint8_t *value;
    bool measuring;
    bool stopping;
    uint64_t done;
    uint64_t failed;
    uint32_t *latencies_us;
    uint64_t latency_count;
    char failure[PBFT_ERROR_BYTES];
};

struct snapshot {
    uint64_t at_us;
    uint64_t own_cpu_us;
    uint64_t replica_cpu_us;
    uint64_t executed;
    uint64_t syncs;
    uint64_t verified;
    uint64_t protocol_sent; /* PRE-PREPARE, PREPARE, COMMIT, first sends */
    uint64_t protocol_resent;
    uint64_t done;
};

static uint64_t own_cpu_us(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void on_answer(void *context, const struct pbft_answer *answer)
{
    struct load_client *c = context;
    struct load *l = c->load;
    if (answer->status != PBFT_OK) {
        l->failed++;
        (void)snprintf(l->failure, sizeof l->failure, "%s", answer->text);
        return;
    }
    l->done++;
    if (l->measuring && l->latency_count < LATENCIES_MAX)
        l->latencies_us[l->latency_count++] = (uint32_t)answer->elapsed_us;
}

static void fill(struct load_client *c)
{
    struct load *l = c->load;
    while (!l->stopping && pbft_in_flight(c->client) < l->o->in_flight && pbft_can_submit(c->client)) {
        uint8_t key[16];
        be64_put(key, (uint64_t)(c - l->clients));
        be64_put(key + 8, c->number++);
        const struct pbft_operation op = {
            .app = 1, .verb = 1, .arg_count = 2, .args = {{key, sizeof key}, {l->value, l->o->op_bytes}}};
        const struct pbft_error e = pbft_submit(c->client, &op, 1, on_answer, c);
        if (e.status != PBFT_OK) {
            l->failed++;
            (void)snprintf(l->failure, sizeof l->failure, "%s", e.text);
            return;
        }
    }
}

static struct err take_snapshot(struct load *l, struct snapshot *s)
{
    const uint32_t count = pbft_replica_count(l->clients[0].client);
    struct pbft_replica_status *status = mem_zero(count, sizeof *status);
    const struct pbft_error e = pbft_status_wait(l->clients[0].client, 3000, status);
    *s = (struct snapshot){.at_us = clock_monotonic_us(), .own_cpu_us = own_cpu_us(), .done = l->done};
    for (uint32_t i = 0; i < count; i++) {
        s->replica_cpu_us += status[i].cpu_us;
        s->syncs += status[i].syncs;
        s->verified += status[i].verified;
        if (status[i].executed > s->executed) s->executed = status[i].executed;
        for (uint32_t k = 0; k < status[i].message_count; k++) {
            if (status[i].messages[k].type < 2 || status[i].messages[k].type > 4) continue;
            s->protocol_sent += status[i].messages[k].sent;
            s->protocol_resent += status[i].messages[k].resent;
        }
    }
    free(status);
    return e.status == PBFT_OK ? err_none() : err_make(ERR_TIMEOUT, "%s", e.text);
}

static void run_for(struct load *l, double seconds)
{
    const uint64_t until = clock_monotonic_us() + (uint64_t)(seconds * 1e6);
    while (clock_monotonic_us() < until && l->failed == 0) {
        for (uint32_t i = 0; i < l->client_count; i++) {
            fill(&l->clients[i]);
            pbft_poll(l->clients[i].client, l->client_count == 1 ? 1 : 0);
        }
    }
}

static struct err open_clients(struct load *l)
{
    char names[PATH_BYTES];
    char *rest = NULL;
    (void)snprintf(names, sizeof names, "%s", l->o->clients);
    for (char *name = strtok_r(names, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        char group[PATH_BYTES];
        char key[PATH_BYTES + NAME_MAX];
        char journal[PATH_BYTES + NAME_MAX];
        if (l->client_count == CLIENTS_HERE_MAX)
            return err_make(ERR_USAGE, "at most %u clients in one process", CLIENTS_HERE_MAX);
        (void)snprintf(group, sizeof group, "%s/group.json", l->o->home);
        (void)snprintf(key, sizeof key, "%s/clients/%s.pem", l->o->home, name);
        (void)snprintf(journal, sizeof journal, "%s/clients/%s.journal", l->o->home, name);
        const struct pbft_options options = {.group_path = group, .key_path = key, .journal_path = journal};
        struct load_client *c = &l->clients[l->client_count];
        struct pbft_error e = pbft_open(&options, &c->client);
        if (e.status == PBFT_OK) {
            l->client_count++;
            e = pbft_ready(c->client, 10000);
        }
        if (e.status != PBFT_OK) return err_make(e.status == PBFT_TIMEOUT ? ERR_TIMEOUT : ERR_CONFIG, "%s", e.text);
        c->load = l;
        c->number = clock_wall_ms() << 20; /* keys of another run are left alone */
    }
    return err_none();
}

static int compare_u32(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static double percentile_ms(const struct load *l, double p)
{
    if (l->latency_count == 0) return 0;
    return (double)l->latencies_us[(uint64_t)(p * (double)(l->latency_count - 1))] / 1000.0;
}

static void report(struct load *l, const struct snapshot *from, const struct snapshot *to, struct floor_cost floor)
{
    const uint32_t n = pbft_replica_count(l->clients[0].client);
    const double seconds = (double)(to->at_us - from->at_us) / 1e6;
    const double done = (double)(to->done - from->done);
    const double per = done > 0 ? done : 1;
    const double rate = done / seconds;
    const double batches = (double)(to->executed - from->executed);
    const double replica_cpu = (double)(to->replica_cpu_us - from->replica_cpu_us) / per;
    const double client_cpu = (double)(to->own_cpu_us - from->own_cpu_us) / per;
    const double request_checks = n * floor.verify_us;
    const double ceiling = 2e6 / (n * floor.verify_us + floor.sign_us);
    const double messages = batches > 0 ? (double)(to->protocol_sent - from->protocol_sent) / batches : 0;
    qsort(l->latencies_us, l->latency_count, sizeof *l->latencies_us, compare_u32);
    if (l->o->json) {
        (void)printf("{\"replicas\":%u,\"clients\":%u,\"in_flight\":%u,\"op_bytes\":%u,\"seconds\":%.3f,"
                     "\"transactions\":%.0f,\"per_second\":%.1f,\"batches\":%.0f,\"batch_size\":%.2f,"
                     "\"latency_ms\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f},"
                     "\"cpu_us_per_transaction\":{\"replicas\":%.1f,\"client\":%.1f,\"request_verification\":%.1f},"
                     "\"messages_per_batch\":%.2f,\"resent\":%" PRIu64 ",\"syncs_per_batch\":%.2f,"
                     "\"verifications_per_transaction\":%.2f,"
                     "\"floor\":{\"verify_us\":%.2f,\"sign_us\":%.2f},\"ceiling_ratio\":%.3f}\n",
                     n, l->client_count, l->o->in_flight, l->o->op_bytes, seconds, done, rate, batches,
                     batches > 0 ? done / batches : 0, percentile_ms(l, 0.5), percentile_ms(l, 0.9),
                     percentile_ms(l, 0.99), percentile_ms(l, 1.0), replica_cpu, client_cpu, request_checks, messages,
                     to->protocol_resent - from->protocol_resent,
                     batches > 0 ? (double)(to->syncs - from->syncs) / batches : 0,
                     (double)(to->verified - from->verified) / per, floor.verify_us, floor.sign_us, rate / ceiling);
        return;
    }
    (void)printf("transactions        %.0f in %.1f s: %.0f a second, in %.0f batches of %.1f\n", done, seconds, rate,
                 batches, batches > 0 ? done / batches : 0);
    (void)printf("latency             median %.2f ms, 90 %% %.2f ms, 99 %% %.2f ms, longest %.2f ms\n",
                 percentile_ms(l, 0.5), percentile_ms(l, 0.9), percentile_ms(l, 0.99), percentile_ms(l, 1.0));
    (void)printf("CPU a transaction   %.1f us in all: replicas %.1f us, this client %.1f us\n", replica_cpu + client_cpu,
                 replica_cpu, client_cpu);
    (void)printf("  of it             %.1f us check the request's signature once on each of %u replicas\n",
                 request_checks, n);
    (void)printf("signatures          verify %.1f us, sign %.1f us (this machine, this run); %.2f verifications a "
                 "transaction\n",
                 floor.verify_us, floor.sign_us, (double)(to->verified - from->verified) / per);
    (void)printf("protocol messages   %.1f a batch (2N(N-1) = %u), re-sent %" PRIu64 "; syncs %.1f a batch\n", messages,
                 2 * n * (n - 1), to->protocol_resent - from->protocol_resent,
                 batches > 0 ? (double)(to->syncs - from->syncs) / batches : 0);
    (void)printf("ceiling ratio       %.3f of 2 cores / (N verify + sign)\n", rate / ceiling);
}

static struct err measure(struct load *l)
{
    struct snapshot from;
    struct snapshot to;
    ERR_TRY(open_clients(l));
    if (l->client_count == 0) return err_make(ERR_USAGE, "no client is named");
    const struct floor_cost before = floor_measure(0.3);
    run_for(l, l->o->warm_up);
    ERR_TRY(take_snapshot(l, &from));
    l->measuring = true;
    run_for(l, l->o->seconds);
    ERR_TRY(take_snapshot(l, &to));
    l->stopping = true;
    if (l->failed > 0) return err_make(ERR_TIMEOUT, "the load stopped: %s", l->failure);
    for (uint32_t i = 0; i < l->client_count; i++)
        while (pbft_in_flight(l->clients[i].client) > 0)
            pbft_poll(l->clients[i].client, 100);
    const struct floor_cost after = floor_measure(0.3);
    const struct floor_cost floor = {.verify_us = (before.verify_us + after.verify_us) / 2,
                                     .sign_us = (before.sign_us + after.sign_us) / 2};
    report(l, &from, &to, floor);
    return err_none();
}

struct err load_run(const struct load_options *o)
{
    struct load *l = mem_zero(1, sizeof *l);
    l->o = o;
    l->value = mem_zero(1, o->op_bytes + 1u);
    l->latencies_us = mem_alloc(sizeof *l->latencies_us * LATENCIES_MAX);
    struct err e = measure(l);
    for (uint32_t i = 0; i < l->client_count; i++)
        pbft_close(l->clients[i].client);
    free(l->latencies_us);
    free(l->value);
    free(l);
    return e;
}
