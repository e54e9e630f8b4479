/* messages.c - pbft-sim messages: what batches and a view change cost in messages, counted. `pbft-bench messages`
 * presents it. */
#include "tests/fixture/cluster.h"
#include "tests/sim/run.h"
#include "tests/sim/verbs.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define START_US 3000000u /* until each has heard the others and may vote */
#define WITHIN_US 600000000u
#define CLIENTS 16u

static const char usage_text[] =
    "usage: pbft-sim messages [--replicas N] [--silent F] [--batch B] [--batches K] [--view-change]\n"
    "\n"
    "Counts the messages of a group without faults but those asked for: K batches of up to B requests, and then a "
    "change of view.\n"
    "Prints a line of JSON for each of the two: by type, messages and bytes at their receivers, re-sends apart;\n"
    "views: those that were left; proposed_again: batches that the NEW-VIEW carries over.\n"
    "\n"
    "  --replicas N     1 to 128 (default 4)\n"
    "  --silent F       so many backups say nothing, at most f (default 0)\n"
    "  --batch B        requests in a batch at most, 1 to 1024 (default 1)\n"
    "  --batches K      K times B requests, 1 to 10000 (default 8; each 128th batch has a checkpoint)\n"
    "  --view-change    then the primary dies, and one more request is ordered: what was ordered since the last "
    "checkpoint is\n"
    "                   proposed again\n"
    "\n"
    "Exit codes: 0, 1 an invariant was broken or it did not come to an end, 2 usage.\n";

struct messages {
    uint64_t replicas;
    uint64_t silent;
    uint64_t batch;
    uint64_t batches;
    bool view_change;
    struct cluster *cluster;
    uint64_t executed_before;
    uint64_t view_before;
    uint64_t proposed_again; /* by the new primary */
    uint64_t accepted_before;
    struct cluster_traffic before[WIRE_TYPE_MAX + 1];
};

static uint32_t client_count(const struct messages *m)
{
    return (uint32_t)(m->batch < CLIENTS ? m->batch : CLIENTS);
}

/* Of one that is up to the end. */
static struct core_summary summary(const struct messages *m)
{
    return cluster_summary(m->cluster, m->view_change ? 1 : 0);
}

static void mark(struct messages *m)
{
    const struct core_summary s = summary(m);
    m->executed_before = s.executed;
    m->view_before = s.view;
    m->proposed_again = s.executed - s.low;
    m->accepted_before = cluster_accepted(m->cluster);
    for (uint32_t type = 0; type <= WIRE_TYPE_MAX; type++)
        m->before[type] = cluster_traffic(m->cluster, (enum wire_type)type);
}

static void print(const struct messages *m, const char *phase)
{
    const struct core_summary s = summary(m);
    bool first = true;
    (void)printf("{\"phase\":\"%s\",\"replicas\":%" PRIu64 ",\"faulty\":%" PRIu64 ",\"silent\":%" PRIu64
                 ",\"batches\":%" PRIu64 ",\"transactions\":%" PRIu64 ",\"checkpoints\":%" PRIu64 ",\"views\":%" PRIu64
                 ",\"proposed_again\":%" PRIu64 ",\"types\":{",
                 phase, m->replicas, (m->replicas - 1) / 3, m->silent, s.executed - m->executed_before,
                 cluster_accepted(m->cluster) - m->accepted_before,
                 s.executed / CHECKPOINT_INTERVAL - m->executed_before / CHECKPOINT_INTERVAL, s.view - m->view_before,
                 s.view == m->view_before ? 0 : m->proposed_again);
    for (uint32_t type = 1; type <= WIRE_TYPE_MAX; type++) {
        const struct cluster_traffic now = cluster_traffic(m->cluster, (enum wire_type)type);
        const struct cluster_traffic *was = &m->before[type];
        if (now.sent + now.resent == was->sent + was->resent) continue;
        (void)printf("%s\"%s\":{\"sent\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"resent\":%" PRIu64
                     ",\"resent_bytes\":%" PRIu64 "}",
                     first ? "" : ",", wire_type_name((enum wire_type)type), now.sent - was->sent,
                     now.sent_bytes - was->sent_bytes, now.resent - was->resent, now.resent_bytes - was->resent_bytes);
        first = false;
    }
    (void)printf("}}\n");
}

/* So many requests, all asked for at once, as far as the windows of the clients allow. */
static bool order(struct messages *m, uint64_t requests)
{
    const uint64_t clients = client_count(m);
    for (uint64_t i = 0; i < clients; i++)
        cluster_submit(m->cluster, (uint32_t)i, (uint32_t)((requests + clients - 1 - i) / clients));
    return cluster_settle(m->cluster, WITHIN_US);
}

static bool count(struct messages *m)
{
    struct cluster_options o = cluster_defaults();
    o.replica_count = (uint32_t)m->replicas;
    o.client_count = client_count(m);
    o.in_flight_max = CLIENT_WINDOW;
    o.batch_requests_max = (uint32_t)m->batch;
    o.batch_fill = (uint32_t)m->batch;
    o.batch_delay_us = 1000000; /* while others are under way a batch waits until it is full */
    m->cluster = cluster_new(&o);
    cluster_run(m->cluster, START_US);
    for (uint64_t k = 0; k < m->silent; k++)
        cluster_crash(m->cluster, (uint32_t)(m->replicas - 1 - k));
    mark(m);
    if (!order(m, m->batches * m->batch)) return false;
    print(m, "batches");
    if (!m->view_change) return true;
    cluster_crash(m->cluster, 0);
    mark(m);
    if (!order(m, 1)) return false;
    print(m, "view-change");
    return true;
}

/* NULL, or what is wrong. */
static const char *parse(int argc, char **argv, struct messages *m)
{
    static const struct option options[] = {
        {"replicas", required_argument, NULL, 'n'}, {"silent", required_argument, NULL, 's'},
        {"batch", required_argument, NULL, 'b'},    {"batches", required_argument, NULL, 'k'},
        {"view-change", no_argument, NULL, 'v'},    {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        bool good = true;
        switch (option) {
        case 'n': good = run_number(optarg, CLUSTER_REPLICAS_MAX, &m->replicas) && m->replicas > 0; break;
        case 's': good = run_number(optarg, CLUSTER_REPLICAS_MAX, &m->silent); break;
        case 'b': good = run_number(optarg, CLIENTS * CLIENT_WINDOW, &m->batch) && m->batch > 0; break;
        case 'k': good = run_number(optarg, 10000, &m->batches) && m->batches > 0; break;
        case 'v': m->view_change = true; break;
        default: return "";
        }
        if (!good) return "no such number";
    }
    if (optind != argc) return "one word too many";
    if (m->silent + (m->view_change ? 1 : 0) > (m->replicas - 1) / 3)
        return "more members are silent than the group bears";
    return NULL;
}

static int messages(int argc, char **argv)
{
    struct messages m = {.replicas = 4, .batch = 1, .batches = 8};
    const char *fault = parse(argc, argv, &m);
    if (fault != NULL) return verb_usage(usage_text, fault[0] == '\0' ? NULL : fault, "");
    const bool good = count(&m);
    const char *violation = cluster_violation(m.cluster);
    if (!good)
        (void)fprintf(stderr, "pbft-sim: messages: %s\n", violation != NULL ? violation : "it does not come to an end");
    cluster_free(m.cluster);
    return verb_end(good ? 0 : 1);
}

const struct verb verb_messages = {.name = "messages", .usage = usage_text, .perform = messages};
