/* status_cost.c - see status_cost.h. */
#include "client/status_cost.h"

#include <stddef.h>

/* Of struct pbft_message_count: all its counters. */
static const size_t counters[] = {
    offsetof(struct pbft_message_count, sent),           offsetof(struct pbft_message_count, resent),
    offsetof(struct pbft_message_count, received),       offsetof(struct pbft_message_count, from_clients),
    offsetof(struct pbft_message_count, sent_bytes),     offsetof(struct pbft_message_count, resent_bytes),
    offsetof(struct pbft_message_count, received_bytes), offsetof(struct pbft_message_count, from_clients_bytes),
};
#define COUNTERS (sizeof counters / sizeof counters[0])

static uint64_t counter(const struct pbft_message_count *m, uint32_t which)
{
    return m == NULL ? 0 : *(const uint64_t *)((const char *)m + counters[which]);
}

static const struct pbft_message_count *count_of(const struct pbft_replica_status *s, uint32_t type)
{
    for (uint32_t i = 0; i < s->message_count; i++)
        if (s->messages[i].type == type) return &s->messages[i];
    return NULL;
}

/* Its process is the one that it was: what only grows has not shrunk. */
static bool went_on(const struct pbft_replica_status *before, const struct pbft_replica_status *after)
{
    if (!before->answered || !after->answered) return false;
    if (after->cpu_us < before->cpu_us || after->syncs < before->syncs || after->verified < before->verified ||
        after->executed < before->executed || after->entries < before->entries)
        return false;
    for (uint32_t type = 1; type <= WIRE_TYPE_MAX; type++)
        for (uint32_t i = 0; i < COUNTERS; i++)
            if (counter(count_of(after, type), i) < counter(count_of(before, type), i)) return false;
    return true;
}

static void add(struct status_cost *k, const struct pbft_replica_status *before,
                const struct pbft_replica_status *after)
{
    k->cpu_us += after->cpu_us - before->cpu_us;
    k->syncs += after->syncs - before->syncs;
    k->verified += after->verified - before->verified;
    for (uint32_t type = 1; type <= WIRE_TYPE_MAX; type++)
        for (uint32_t i = 0; i < COUNTERS; i++)
            *(uint64_t *)((char *)&k->messages[type] + counters[i]) +=
                counter(count_of(after, type), i) - counter(count_of(before, type), i);
    if (after->executed - before->executed <= k->batches) return;
    k->batches = after->executed - before->executed;
    k->entries = after->entries - before->entries;
}

void status_cost(const struct pbft_replica_status *before, const struct pbft_replica_status *after, uint32_t count,
                 struct status_cost *out)
{
    *out = (struct status_cost){.batches = 0};
    for (uint32_t type = 0; type <= WIRE_TYPE_MAX; type++)
        out->messages[type].type = type;
    for (uint32_t i = 0; i < count; i++) {
        if (went_on(&before[i], &after[i]))
            add(out, &before[i], &after[i]);
        else
            replica_set_add(&out->uncounted, i);
    }
}

uint64_t status_cost_messages(const struct status_cost *k, enum wire_type type)
{
    const struct pbft_message_count *m = &k->messages[type];
    return m->sent + m->resent + m->from_clients;
}

uint64_t status_cost_bytes(const struct status_cost *k, enum wire_type type)
{
    const struct pbft_message_count *m = &k->messages[type];
    return m->sent_bytes + m->resent_bytes + m->from_clients_bytes;
}

uint64_t status_cost_phases(const struct status_cost *k, bool resent)
{
    static const enum wire_type phases[] = {WIRE_TYPE_pre_prepare, WIRE_TYPE_prepare, WIRE_TYPE_commit};
    uint64_t sum = 0;
    for (uint32_t i = 0; i < sizeof phases / sizeof phases[0]; i++)
        sum += resent ? k->messages[phases[i]].resent : k->messages[phases[i]].sent;
    return sum;
}

bool status_cost_orders(enum wire_type type)
{
    return type != WIRE_TYPE_hello && type != WIRE_TYPE_query && type != WIRE_TYPE_result;
}
