/* micro_core.c - a group of cores in one thread, and the time spent in core_step alone.
 *
 *     requests --> core 0 (primary) --SEND--> queue --> cores --PERSIST--> PERSISTED at once, --EXECUTE--> EXECUTED at
 * once
 *
 * Messages are decoded and hashed between the steps, as the verification pool does, and not timed; what a signature
 * would be is zero, and every one is good. */
#include "bench/micro_core.h"

#include "base/check.h"
#include "base/clock.h"
#include "replica/core/core.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLIENTS 64u
#define WALL_MS 1000000000u
#define QUEUE_MAX 65536u /* messages under way: a round of the largest group is far below */
#define REPLICAS_HERE 16u
#define START_TICKS_MAX 10000u /* until they have heard each other */

struct letter {
    uint32_t from;
    uint32_t to;
    struct blob *bytes; /* one reference */
};

struct room {
    uint32_t replicas;
    struct core *cores[REPLICAS_HERE];
    struct core_effects *effects;
    struct letter *queue;
    uint32_t first;
    uint32_t count;
    uint64_t next_seq[CLIENTS];
    uint64_t now_us;
    struct public_key members[REPLICAS_HERE];
    struct wire_group group;
    uint64_t step_ns; /* spent in core_step */
    uint64_t steps;
    uint64_t requests; /* executed by core 0 */
    uint64_t batches;
};

static bool any_is_good(void *context, struct verify_item *item)
{
    (void)context;
    (void)item;
    return true;
}

static void sign_nothing(void *context, const struct digest *digest, struct signature *out)
{
    (void)context;
    (void)digest;
    memset(out, 0, sizeof *out);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The client's number is what its key begins with. */
static struct public_key client_key(uint32_t client)
{
    struct public_key key = {{0}};
    be32_put(key.bytes, client);
    return key;
}

static void post(struct room *r, uint32_t from, uint32_t to, struct blob *bytes)
{
    CHECK_OP(r->count, <, QUEUE_MAX);
    r->queue[(r->first + r->count++) % QUEUE_MAX] = (struct letter){from, to, blob_retain(bytes)};
}

static void step(struct room *r, uint32_t id, const struct core_event *event);

/* ---- what follows from a step ---- */

static uint32_t settle(const struct blob *batch, uint64_t *time_ms, struct core_settled *out)
{
    struct wire_batch b;
    struct bytes raw;
    uint32_t count = 0;
    CHECK(wire_decode_record(&wire_record_batch, blob_bytes(batch), &b) == NULL);
    struct wire_iterator i = wire_list_start(b.requests);
    while (wire_list_next_bytes(&i, &raw)) {
        struct wire_message m;
        CHECK(wire_decode(raw, &m) == NULL);
        out[count++] = (struct core_settled){.client = be32_get(m.request.client.bytes), .seq = m.request.seq};
    }
    *time_ms = b.time_ms;
    return count;
}

static void execute(struct room *r, uint32_t id, uint64_t seq, const struct digest *digest, const struct blob *batch)
{
    struct core_settled settled[BATCH_REQUESTS_MAX];
    struct core_executed done = {.seq = seq, .header_hash = *digest, .state_root = *digest, .settled = settled};
    done.settled_count = settle(batch, &done.time_ms, settled);
    if (id == 0) {
        r->requests += done.settled_count;
        r->batches++;
    }
    step(r, id, &(struct core_event){.type = CORE_EVENT_EXECUTED, .executed = &done});
}

/* The effects of one step are moved out: what follows from them gives others. */
static void perform(struct room *r, uint32_t id)
{
    const uint32_t count = r->effects->count;
    uint64_t durable = 0;
    if (count == 0) return;
    struct core_effect *effects = mem_alloc(count * sizeof *effects);
    memcpy(effects, r->effects->items, count * sizeof *effects);
    r->effects->count = 0;
    for (uint32_t k = 0; k < count; k++) {
        const struct core_effect *e = &effects[k];
        if (e->type == CORE_EFFECT_PERSIST) durable = e->persist.token;
        if (e->type != CORE_EFFECT_SEND) continue;
        for (uint32_t to = 0; to < r->replicas; to++)
            if (to != id && (e->send.to == CORE_TO_ALL || e->send.to == to)) post(r, id, to, e->send.bytes);
    }
    if (durable > 0) step(r, id, &(struct core_event){.type = CORE_EVENT_PERSISTED, .persisted = durable});
    for (uint32_t k = 0; k < count; k++) {
        if (effects[k].type == CORE_EFFECT_EXECUTE)
            execute(r, id, effects[k].execute.seq, &effects[k].execute.digest, effects[k].execute.batch);
        core_effect_release(&effects[k]);
    }
    free(effects);
}

static void step(struct room *r, uint32_t id, const struct core_event *event)
{
    const uint64_t from = now_ns();
    (void)core_step(r->cores[id], event, r->effects);
    r->step_ns += now_ns() - from;
    r->steps++;
    perform(r, id);
}

static void deliver(struct room *r, const struct letter *l)
{
    struct msg_verified v;
    const struct signature_checker checker = {.check = any_is_good};
    CHECK(msg_verify(&r->group, checker, l->bytes, &v) == NULL); /* takes the reference */
    struct core_event event = {.type = CORE_EVENT_MESSAGE,
                               .message = {.verified = &v, .from = l->from, .client = UINT32_MAX}};
    if (v.msg.type == WIRE_TYPE_request) event.message.client = be32_get(v.msg.request.client.bytes);
    step(r, l->to, &event);
    msg_verified_release(&v);
}

static void deliver_all(struct room *r)
{
    while (r->count > 0) {
        const struct letter l = r->queue[r->first];
        r->first = (r->first + 1) % QUEUE_MAX;
        r->count--;
        deliver(r, &l);
    }
}

static void tick(struct room *r)
{
    r->now_us += 1000;
    for (uint32_t id = 0; id < r->replicas; id++)
        step(r, id, &(struct core_event){.type = CORE_EVENT_TICK, .tick = {r->now_us, WALL_MS + r->now_us / 1000}});
    deliver_all(r);
}

/* ---- the group ---- */

static void submit(struct room *r, uint32_t client)
{
    uint8_t value[256] = {0};
    uint8_t space[2][512];
    struct writer args = writer_of(space[0], sizeof space[0]);
    struct writer ops = writer_of(space[1], sizeof space[1]);
    struct wire_operation op = {.app = APP_KV, .verb = APP_KV_PUT};
    struct wire_request m = {.client = client_key(client), .seq = ++r->next_seq[client], .expiry_ms = 2ull * WALL_MS};
    be64_put(value, m.seq);
    wire_list_add_bytes(&op.args, &args, bytes_of(value, 16));
    wire_list_add_bytes(&op.args, &args, bytes_of(value, sizeof value));
    wire_list_add(&m.ops, &ops, &wire_record_operation, &op);
    CHECK(!args.overflow && !ops.overflow);
    struct blob *bytes = wire_encode_blob(&wire_record_request, &m);
    post(r, UINT32_MAX, 0, bytes);
    blob_release(bytes);
}

static void open_room(struct room *r, uint32_t replicas, uint32_t batch_requests)
{
    const struct core_client_window windows[CLIENTS] = {{0}};
    const struct core_recovered fresh = {.clean = true, .windows = windows};
    *r = (struct room){.replicas = replicas, .effects = mem_zero(1, sizeof *r->effects)};
    r->queue = mem_alloc(QUEUE_MAX * sizeof *r->queue);
    r->group = (struct wire_group){.quorum = quorum_of(replicas), .members = r->members};
    for (uint32_t id = 0; id < replicas; id++) {
        const struct core_config config = {.group = r->group,
                                           .self = id,
                                           .client_count = CLIENTS,
                                           .batch_requests_max = batch_requests,
                                           .drift_ms = 600000,
                                           .pipeline_max = 8,
                                           .batch_fill = batch_requests,
                                           .resend_us = 1000000,
                                           .heartbeat_us = 1000000,
                                           .timeout_us = 1000000000,
                                           .timeout_cap_us = 16000000000,
                                           .transfer_after = 1024,
                                           .sign = sign_nothing};
        r->cores[id] = core_new(&config);
    }
    tick(r); /* a core knows the time before it starts */
    for (uint32_t id = 0; id < replicas; id++)
        step(r, id, &(struct core_event){.type = CORE_EVENT_START, .recovered = &fresh});
    deliver_all(r);
    for (uint32_t k = 0; core_summary(r->cores[0]).listening; k++) {
        CHECK_OP(k, <, START_TICKS_MAX);
        tick(r);
    }
}

static void close_room(struct room *r)
{
    for (uint32_t id = 0; id < r->replicas; id++)
        core_free(r->cores[id]);
    core_effects_release(r->effects);
    free(r->effects);
    free(r->queue);
}

struct micro_core_cost micro_core_measure(uint32_t replicas, uint32_t batch_requests, double seconds)
{
    struct room r;
    CHECK_OP(replicas, <=, REPLICAS_HERE);
    CHECK_OP(batch_requests, <=, BATCH_REQUESTS_MAX);
    open_room(&r, replicas, batch_requests);
    r.step_ns = r.steps = 0;
    const uint64_t until_us = clock_monotonic_us() + (uint64_t)(seconds * 1e6);
    while (clock_monotonic_us() < until_us) {
        const uint64_t before = r.requests;
        for (uint32_t k = 0; k < 4; k++)
            for (uint32_t client = 0; client < CLIENTS; client++)
                submit(&r, client);
        deliver_all(&r);
        tick(&r);
        CHECK_OP(r.requests, ==, before + 4 * CLIENTS); /* the group goes on */
    }
    const double us = (double)r.step_ns / 1e3 / replicas;
    const struct micro_core_cost out = {.request_us = us / (double)r.requests,
                                        .batch_us = us / (double)r.batches,
                                        .batch_size = (double)r.requests / (double)r.batches,
                                        .event_count = (double)r.steps / (double)r.batches / replicas};
    close_room(&r);
    return out;
}
