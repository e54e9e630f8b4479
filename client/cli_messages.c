/* cli_messages.c - see cli_messages.h. The counters are those of /metrics, as the replicas give them. */
#include "client/cli_messages.h"

#include "base/check.h"
#include "base/clock.h"
#include "client/cli_common.h"
#include "client/status_cost.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

struct cost {
    uint32_t replicas;
    double seconds;
    struct status_cost sum;
};

static struct err ask(struct pbft_client *c, uint64_t timeout_ms, struct pbft_replica_status *out, uint64_t *at_us)
{
    const struct pbft_error e = pbft_status_wait(c, timeout_ms, out);
    *at_us = clock_monotonic_us();
    return cli_error(&e);
}

static double per(uint64_t count, uint64_t of)
{
    return of == 0 ? 0 : (double)count / (double)of;
}

static bool is_shown(const struct cost *k, enum wire_type type)
{
    return status_cost_messages(&k->sum, type) > 0;
}

static void print_row(const struct cost *k, enum wire_type type)
{
    const struct pbft_message_count *m = &k->sum.messages[type];
    const uint64_t messages = status_cost_messages(&k->sum, type);
    (void)printf("%-14s %10" PRIu64 " %10" PRIu64 " %12.2f %14.3f %16.1f\n", wire_type_name(type),
                 m->sent + m->from_clients, m->resent, per(messages, k->sum.batches), per(messages, k->sum.entries),
                 per(status_cost_bytes(&k->sum, type), k->sum.entries));
}

/* What there was to order, whoever sent it: without what opens connections and asks for statuses. */
static void print_sum(const struct cost *k)
{
    uint64_t messages = 0;
    uint64_t bytes = 0;
    for (enum wire_type type = 1; type <= WIRE_TYPE_MAX; type++) {
        if (!status_cost_orders(type)) continue;
        messages += status_cost_messages(&k->sum, type);
        bytes += status_cost_bytes(&k->sum, type);
    }
    (void)printf("without HELLO, QUERY and RESULT: %.2f messages and %.0f bytes for each operation\n",
                 per(messages, k->sum.entries), per(bytes, k->sum.entries));
}

static void print_table(const struct cost *k)
{
    const uint64_t n = k->replicas;
    (void)printf("in %.1f s: %" PRIu64 " batches with %" PRIu64 " operations\n", k->seconds, k->sum.batches,
                 k->sum.entries);
    if (k->sum.batches == 0)
        (void)printf("nothing was ordered meanwhile: run it beside a load, or longer (--seconds)\n");
    (void)printf("%-14s %10s %10s %12s %14s %16s\n", "TYPE", "SENT", "AGAIN", "PER BATCH", "PER OPERATION",
                 "BYTES/OPERATION");
    for (enum wire_type type = 1; type <= WIRE_TYPE_MAX; type++)
        if (is_shown(k, type)) print_row(k, type);
    if (k->sum.batches > 0) {
        print_sum(k);
        (void)printf(
            "PRE-PREPARE, PREPARE and COMMIT: %.2f first sends for each batch; without faults 2N(N-1) = %" PRIu64 "\n",
            per(status_cost_phases(&k->sum, false), k->sum.batches), 2 * n * (n - 1));
    }
    for (uint32_t i = 0; i < k->replicas; i++)
        if (replica_set_has(&k->sum.uncounted, i))
            (void)printf("replica %u is not counted: it did not answer, or started anew meanwhile\n", i);
}

static void print_json(const struct cost *k)
{
    json_t *types = json_array();
    json_t *uncounted = json_array();
    for (enum wire_type type = 1; type <= WIRE_TYPE_MAX; type++) {
        const struct pbft_message_count *m = &k->sum.messages[type];
        const uint64_t sent = m->sent + m->from_clients;
        const uint64_t sent_bytes = m->sent_bytes + m->from_clients_bytes;
        if (!is_shown(k, type)) continue;
        json_t *item = json_pack("{s:s, s:I, s:I, s:I, s:I}", "type", wire_type_name(type), "sent", (json_int_t)sent,
                                 "resent", (json_int_t)m->resent, "sent_bytes", (json_int_t)sent_bytes, "resent_bytes",
                                 (json_int_t)m->resent_bytes);
        CHECK(json_array_append_new(types, item) == 0);
    }
    for (uint32_t i = 0; i < k->replicas; i++)
        if (replica_set_has(&k->sum.uncounted, i)) CHECK(json_array_append_new(uncounted, json_integer(i)) == 0);
    cli_json_print(json_pack("{s:f, s:I, s:I, s:I, s:o, s:o}", "seconds", k->seconds, "replicas",
                             (json_int_t)k->replicas, "batches", (json_int_t)k->sum.batches, "operations",
                             (json_int_t)k->sum.entries, "types", types, "not_counted", uncounted));
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
        status_cost(before, after, k.replicas, &k.sum);
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
