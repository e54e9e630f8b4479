/* cli_messages.c - see cli_messages.h. The counters are those of /metrics, as the replicas give them. */
#include "client/cli_messages.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/replica_set.h"
#include "client/cli_common.h"
#include "wire/schema.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

struct cost {
    uint32_t replicas;
    struct replica_set uncounted; /* those that did not answer twice, or began anew between */
    double seconds;
    uint64_t batches;
    uint64_t entries;
    uint64_t sent[WIRE_TYPE_MAX + 1];
    uint64_t resent[WIRE_TYPE_MAX + 1];
};

static struct err ask(struct pbft_client *c, uint64_t timeout_ms, struct pbft_replica_status *out, uint64_t *at_us)
{
    const struct pbft_error e = pbft_status_wait(c, timeout_ms, out);
    *at_us = clock_monotonic_us();
    return cli_error(&e);
}

static const struct pbft_message_count *count_of(const struct pbft_replica_status *s, uint32_t type)
{
    for (uint32_t i = 0; i < s->message_count; i++)
        if (s->messages[i].type == type) return &s->messages[i];
    return NULL;
}

/* False: its process began anew meanwhile, and its counters with it. */
static bool add_replica(struct cost *k, const struct pbft_replica_status *before,
                        const struct pbft_replica_status *after)
{
    static const struct pbft_message_count none = {.sent = 0};
    uint64_t sent[WIRE_TYPE_MAX + 1] = {0};
    uint64_t resent[WIRE_TYPE_MAX + 1] = {0};
    for (uint32_t type = 1; type <= WIRE_TYPE_MAX; type++) {
        const struct pbft_message_count *was = count_of(before, type);
        const struct pbft_message_count *is = count_of(after, type);
        if (was == NULL) was = &none;
        if (is == NULL) is = &none;
        if (is->sent < was->sent || is->resent < was->resent) return false;
        sent[type] = is->sent - was->sent;
        resent[type] = is->resent - was->resent;
    }
    for (uint32_t type = 1; type <= WIRE_TYPE_MAX; type++) {
        k->sent[type] += sent[type];
        k->resent[type] += resent[type];
    }
    if (after->executed - before->executed > k->batches && after->executed > before->executed) {
        k->batches = after->executed - before->executed;
        k->entries = after->entries - before->entries;
    }
    return true;
}

static void compare(struct cost *k, const struct pbft_replica_status *before, const struct pbft_replica_status *after)
{
    for (uint32_t i = 0; i < k->replicas; i++)
        if (!before[i].answered || !after[i].answered || !add_replica(k, &before[i], &after[i]))
            replica_set_add(&k->uncounted, i);
}

static uint64_t three_phases(const struct cost *k)
{
    return k->sent[WIRE_TYPE_pre_prepare] + k->sent[WIRE_TYPE_prepare] + k->sent[WIRE_TYPE_commit];
}

static double per(uint64_t count, uint64_t of)
{
    return of == 0 ? 0 : (double)count / (double)of;
}

static void print_table(const struct cost *k)
{
    const uint64_t n = k->replicas;
    (void)printf("in %.1f s: %" PRIu64 " batches with %" PRIu64 " operations\n", k->seconds, k->batches, k->entries);
    if (k->batches == 0) (void)printf("nothing was ordered meanwhile: run it beside a load, or longer (--seconds)\n");
    (void)printf("%-14s %10s %10s %12s %14s\n", "TYPE", "SENT", "AGAIN", "PER BATCH", "PER OPERATION");
    for (uint32_t type = 1; type <= WIRE_TYPE_MAX; type++) {
        if (k->sent[type] + k->resent[type] == 0) continue;
        (void)printf("%-14s %10" PRIu64 " %10" PRIu64 " %12.2f %14.3f\n", wire_type_name(type), k->sent[type],
                     k->resent[type], per(k->sent[type] + k->resent[type], k->batches),
                     per(k->sent[type] + k->resent[type], k->entries));
    }
    if (k->batches > 0)
        (void)printf(
            "PRE-PREPARE, PREPARE and COMMIT: %.2f first sends for each batch; without faults 2N(N-1) = %" PRIu64 "\n",
            per(three_phases(k), k->batches), 2 * n * (n - 1));
    for (uint32_t i = 0; i < k->replicas; i++)
        if (replica_set_has(&k->uncounted, i))
            (void)printf("replica %u is not counted: it did not answer, or started anew meanwhile\n", i);
}

static void print_json(const struct cost *k)
{
    json_t *types = json_array();
    json_t *uncounted = json_array();
    for (uint32_t type = 1; type <= WIRE_TYPE_MAX; type++) {
        if (k->sent[type] + k->resent[type] == 0) continue;
        json_t *item = json_pack("{s:s, s:I, s:I}", "type", wire_type_name(type), "sent", (json_int_t)k->sent[type],
                                 "resent", (json_int_t)k->resent[type]);
        CHECK(json_array_append_new(types, item) == 0);
    }
    for (uint32_t i = 0; i < k->replicas; i++)
        if (replica_set_has(&k->uncounted, i)) CHECK(json_array_append_new(uncounted, json_integer(i)) == 0);
    cli_json_print(json_pack("{s:f, s:I, s:I, s:I, s:o, s:o}", "seconds", k->seconds, "replicas",
                             (json_int_t)k->replicas, "batches", (json_int_t)k->batches, "operations",
                             (json_int_t)k->entries, "types", types, "not_counted", uncounted));
}

struct err cli_messages_run(const struct cli_call *call, uint64_t seconds, uint64_t timeout_ms)
{
    struct pbft_client *c;
    uint64_t began_us = 0;
    uint64_t ended_us = 0;
    ERR_TRY(cli_client_open(call->globals, CLI_ACCESS_STATUS, timeout_ms, &c));
    struct cost k = {.replicas = pbft_replica_count(c)};
    struct pbft_replica_status *before = mem_zero(k.replicas, sizeof *before);
    struct pbft_replica_status *after = mem_zero(k.replicas, sizeof *after);
    struct err e = ask(c, timeout_ms, before, &began_us);
    if (!err_is(&e)) {
        const struct timespec pause = {.tv_sec = (time_t)seconds};
        (void)nanosleep(&pause, NULL);
        e = ask(c, timeout_ms, after, &ended_us);
    }
    if (!err_is(&e)) {
        k.seconds = (double)(ended_us - began_us) / 1e6;
        compare(&k, before, after);
        if (call->globals->json)
            print_json(&k);
        else
            print_table(&k);
    }
    free(before);
    free(after);
    pbft_close(c);
    return e;
}
