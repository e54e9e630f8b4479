/* crash_provoke.c - the provoking of a recovered core.
 *
 * Signatures are a stand-in here: any is good. What may be said in the name of others is then everything, so the core
 * must keep its own promises whatever they say. */
#include "tests/crash/crash_provoke.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_US 1000000u
#define TIMEOUT_US 2000000u
#define WALL_MS 1700000000000ull /* of a group that has executed nothing */
#define EXPIRY_MS 60000u
#define SHOWN_BYTES (4u << 20)

struct provoked {
    const struct crash_room *room;
    const struct promises *promises;
    struct core *core;
    struct core_effects *effects;
    uint64_t token; /* highest given out; all are durable after each step */
    uint64_t now_us;
    uint64_t wall_ms;
    struct err fault;
};

static bool any_is_good(void *context, struct verify_item *item)
{
    (void)context;
    item->valid = true;
    return true;
}

static void sign_anything(void *context, const struct digest *digest, struct signature *out)
{
    (void)context;
    memset(out, 0, sizeof *out);
    memcpy(out->bytes, digest->bytes, DIGEST_BYTES);
}

/* What comes out must be allowed; what is to be persisted will be. */
static void look(struct provoked *v)
{
    for (uint32_t i = 0; i < v->effects->count; i++) {
        const struct core_effect *e = &v->effects->items[i];
        struct wire_message m;
        if (e->type == CORE_EFFECT_PERSIST && e->persist.token > v->token) v->token = e->persist.token;
        if (e->type == CORE_EFFECT_PERSIST && e->persist.kind == CORE_PERSIST_FENCE && !err_is(&v->fault))
            v->fault = err_make(ERR_CORRUPT, "after the start it is fenced: %s", core_summary(v->core).fence_reason);
        if (e->type != CORE_EFFECT_SEND) continue;
        CHECK(wire_decode(blob_bytes(e->send.bytes), &m) == NULL);
        const char *why = promises_forbid(v->promises, &m);
        if (why != NULL && !err_is(&v->fault))
            v->fault = err_make(ERR_CORRUPT, "after the start it sends a %s though %s", wire_type_name(m.type), why);
    }
    core_effects_release(v->effects);
}

static void step(struct provoked *v, const struct core_event *event)
{
    (void)core_step(v->core, event, v->effects);
    look(v);
    for (uint64_t durable = 0; durable < v->token;) {
        durable = v->token;
        const struct core_event persisted = {.type = CORE_EVENT_PERSISTED, .persisted = durable};
        (void)core_step(v->core, &persisted, v->effects);
        look(v);
    }
}

static void tick(struct provoked *v, uint64_t later_us)
{
    v->now_us += later_us;
    const struct core_event event = {.type = CORE_EVENT_TICK, .tick = {v->now_us, v->wall_ms}};
    step(v, &event);
}

static void say(struct provoked *v, uint32_t from, const struct wire_record *record, void *message)
{
    const struct signature_checker checker = {.check = any_is_good};
    struct msg_verified m;
    if (msg_verify(&v->room->wire, checker, wire_encode_blob(record, message), &m) == NULL) {
        const struct core_event event = {.type = CORE_EVENT_MESSAGE, .message = {.verified = &m, .from = from}};
        step(v, &event);
    }
    msg_verified_release(&m);
}

/* The newest message of a type that the replica had sent, which another member may hold; NULL when there is none. */
static struct blob *newest(const struct provoked *v, enum wire_type type)
{
    const struct promises *p = v->promises;
    const uint64_t epoch = v->room->wire.epoch;
    const uint64_t self = v->room->self;
    for (uint32_t i = p->statement_count; i > 0; i--) {
        const struct promise_statement *s = &p->statements[i - 1];
        if (s->type != type) continue;
        return type == WIRE_TYPE_checkpoint ? wire_encode_blob(&wire_record_checkpoint, &s->checkpoint)
                                            : blob_retain(s->bytes);
    }
    for (uint32_t i = p->vote_count; i > 0; i--) {
        const struct promise_vote *s = &p->votes[i - 1];
        const struct wire_vote vote = {
            .type = type, .epoch = epoch, .sender = self, .view = s->view, .seq = s->seq, .digest = s->digest};
        if ((type == WIRE_TYPE_pre_prepare && s->proposed) || (type == WIRE_TYPE_prepare && s->prepared) ||
            (type == WIRE_TYPE_commit && s->committed))
            return wire_vote_encode(&vote);
    }
    return NULL;
}

/* All others answer its first STATUS with what they hold of it. None of that is above its record, so it is not fenced
 * (design.md 7.6). */
static void answer(struct provoked *v, const struct core_recovered *r)
{
    static const enum wire_type types[] = {WIRE_TYPE_view_change, WIRE_TYPE_checkpoint, WIRE_TYPE_commit,
                                           WIRE_TYPE_prepare, WIRE_TYPE_pre_prepare};
    struct blob *space = blob_new(SHOWN_BYTES);
    struct writer w = writer_of(space->data, space->len);
    struct wire_list shown = {0};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct blob *message = newest(v, types[i]);
        if (message != NULL) wire_list_add_bytes(&shown, &w, blob_bytes(message));
        blob_release(message);
    }
    CHECK(!w.overflow);
    for (uint32_t id = 0; id < v->room->wire.quorum.replica_count; id++) {
        struct wire_status m = {.epoch = v->room->wire.epoch,
                                .sender = id,
                                .view = r->view,
                                .flags = STATUS_FLAG_ANSWER,
                                .executed = r->executed,
                                .shown = shown};
        if (id != v->room->self) say(v, id, &wire_record_status, &m);
    }
    blob_release(space);
}

/* Another batch than any that was proposed: none has no request and this time. */
static void propose_another(struct provoked *v, uint64_t view, uint64_t seq)
{
    const struct wire_batch batch = {.time_ms = v->wall_ms};
    struct blob *bytes = wire_encode_blob(&wire_record_batch, &batch);
    const uint32_t primary = quorum_primary(&v->room->wire.quorum, view);
    struct wire_pre_prepare m = {.epoch = v->room->wire.epoch,
                                 .sender = primary,
                                 .view = view,
                                 .seq = seq,
                                 .digest = batch_digest(batch.time_ms, NULL, 0),
                                 .batch = blob_bytes(bytes)};
    say(v, primary, &wire_record_pre_prepare, &m);
    blob_release(bytes);
}

/* As a client of a primary that may have proposed something else there. */
static void request(struct provoked *v, uint64_t seq)
{
    uint8_t space[256];
    struct writer args = writer_of(space, sizeof space);
    struct wire_operation op = {.app = 1, .verb = 1};
    wire_list_add_bytes(&op.args, &args, bytes_of_text("after"));
    wire_list_add_bytes(&op.args, &args, bytes_of_text("the crash"));
    uint8_t ops_space[256];
    struct writer ops = writer_of(ops_space, sizeof ops_space);
    struct wire_request m = {.epoch = v->room->wire.epoch,
                             .client = v->room->group->clients[0].key,
                             .seq = seq,
                             .expiry_ms = v->wall_ms + EXPIRY_MS};
    wire_list_add(&m.ops, &ops, &wire_record_operation, &op);
    say(v, UINT32_MAX, &wire_record_request, &m);
}

static void provoke(struct provoked *v, const struct core_recovered *r)
{
    const uint64_t most = v->promises->seq_highest < r->stable.seq + WINDOW_BATCHES ? v->promises->seq_highest
                                                                                    : r->stable.seq + WINDOW_BATCHES;
    answer(v, r);
    for (uint64_t seq = r->stable.seq + 1; seq <= most; seq++)
        propose_another(v, r->view, seq);
    request(v, r->windows[0].highest_settled + 1);
    for (uint32_t k = 0; k < 4; k++)
        tick(v, TIMEOUT_US / 2 + 1);
    for (uint64_t seq = r->executed + 1; seq <= most; seq++) /* in a view that it left for */
        propose_another(v, r->view, seq);
}

struct err crash_provoke(const struct crash_room *room, const struct core_recovered *recovered,
                         const struct promises *p)
{
    const struct core_config config = {.group = room->wire,
                                       .self = room->self,
                                       .client_count = room->group->client_count,
                                       .batch_requests_max = room->group->batch_requests_max,
                                       .drift_ms = room->group->drift_ms,
                                       .pipeline_max = 8,
                                       .batch_fill = 64,
                                       .batch_delay_us = 1000,
                                       .resend_us = 100000,
                                       .heartbeat_us = 1000000,
                                       .timeout_us = TIMEOUT_US,
                                       .timeout_cap_us = 16 * TIMEOUT_US,
                                       .transfer_after = UINT64_MAX,
                                       .sign = sign_anything};
    struct provoked v = {.room = room,
                         .promises = p,
                         .core = core_new(&config),
                         .effects = mem_zero(1, sizeof *v.effects),
                         .wall_ms = recovered->executed_time_ms > 0 ? recovered->executed_time_ms : WALL_MS};
    tick(&v, START_US);
    const struct core_event start = {.type = CORE_EVENT_START, .recovered = recovered};
    step(&v, &start);
    provoke(&v, recovered);
    core_free(v.core);
    free(v.effects);
    return v.fault;
}
