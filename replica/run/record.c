/* record.c - frames, headers, events and effects of a recording. */
#include "replica/run/record.h"

#include "base/check.h"
#include "base/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t magic[8] = {'p', 'b', 'f', 't', 'r', 'e', 'c', '\n'};

/* A new field of these goes into the walks below. */
#define KNOWS_EVERY_FIELD(type, size)                                                                                  \
    _Static_assert(sizeof(void *) != 8 || sizeof(struct type) == (size), "record.c knows every field of this struct")
KNOWS_EVERY_FIELD(core_config, 152);
KNOWS_EVERY_FIELD(core_event, 24);
KNOWS_EVERY_FIELD(core_recovered, 264);
KNOWS_EVERY_FIELD(core_recovered_slot, 208);
KNOWS_EVERY_FIELD(core_recovered_checkpoint, 72);
KNOWS_EVERY_FIELD(core_executed, 96);
KNOWS_EVERY_FIELD(core_walk, 24);

/* ---- frames ---- */

void record_frame_start(struct record_frame *f, const struct record_check *before, enum record_kind kind,
                        size_t body_bytes)
{
    CHECK_OP(body_bytes, <=, RECORD_BODY_BYTES_MAX);
    be32_put(f->head, (uint32_t)body_bytes);
    be32_put(f->head + 4, ~(uint32_t)body_bytes);
    f->head[8] = (uint8_t)kind;
    hasher_start_plain(&f->hasher);
    hasher_add(&f->hasher, before->bytes, sizeof before->bytes);
    hasher_add(&f->hasher, f->head, sizeof f->head);
}

void record_frame_add(struct record_frame *f, struct bytes piece)
{
    hasher_add(&f->hasher, piece.data, piece.len);
}

struct record_check record_frame_finish(struct record_frame *f)
{
    struct digest digest;
    struct record_check check;
    hasher_finish(&f->hasher, &digest);
    memcpy(check.bytes, digest.bytes, sizeof check.bytes);
    return check;
}

enum record_read record_frame_next(struct bytes file, size_t *offset, struct record_check *check,
                                   enum record_kind *kind, struct bytes *body)
{
    const size_t left = file.len - *offset;
    struct record_frame f;
    if (left == 0) return RECORD_READ_END;
    const uint8_t *at = file.data + *offset;
    if (left < RECORD_FRAME_HEAD) return RECORD_READ_TORN;
    const uint32_t len = be32_get(at);
    if (be32_get(at + 4) != ~len || len > RECORD_BODY_BYTES_MAX || at[8] > RECORD_KIND_END) return RECORD_READ_DAMAGED;
    if (left - RECORD_FRAME_HEAD < RECORD_CHECK_BYTES || left - RECORD_FRAME_HEAD - RECORD_CHECK_BYTES < len)
        return RECORD_READ_TORN;
    *kind = (enum record_kind)at[8];
    *body = bytes_of(at + RECORD_FRAME_HEAD, len);
    record_frame_start(&f, check, *kind, len);
    record_frame_add(&f, *body);
    *check = record_frame_finish(&f);
    if (memcmp(check->bytes, at + RECORD_FRAME_HEAD + len, RECORD_CHECK_BYTES) != 0) return RECORD_READ_DAMAGED;
    *offset += RECORD_FRAME_HEAD + len + RECORD_CHECK_BYTES;
    return RECORD_READ_FRAME;
}

/* ---- HEADER ---- */

uint32_t record_layout(void)
{
    uint32_t layout = 0;
    const size_t sizes[] = {core_state_bytes(),
                            sizeof(struct core_recovered),
                            sizeof(struct core_recovered_slot),
                            sizeof(struct core_executed),
                            sizeof(struct core_walk),
                            WINDOW_BATCHES,
                            CHECKPOINT_INTERVAL,
                            CLIENT_WINDOW};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        layout = layout * 31u + (uint32_t)sizes[i];
    return layout;
}

static void config_image(struct core_config *c, struct image *i)
{
    image_count(i, &c->self, REPLICAS_MAX - 1);
    image_count(i, &c->client_count, CLIENTS_MAX);
    image_count(i, &c->batch_requests_max, BATCH_REQUESTS_MAX);
    image_u32(i, &c->drift_ms);
    image_count(i, &c->pipeline_max, WINDOW_BATCHES);
    image_u32(i, &c->batch_fill);
    image_u64(i, &c->batch_delay_us);
    image_u64(i, &c->resend_us);
    image_u64(i, &c->heartbeat_us);
    image_u64(i, &c->timeout_us);
    image_u64(i, &c->timeout_cap_us);
    image_u64(i, &c->transfer_after);
}

void record_header_image(struct record_header *h, struct image *i)
{
    uint8_t start[sizeof magic];
    uint32_t members = h->config.group.quorum.replica_count;
    memcpy(start, magic, sizeof start);
    if (!i->reading) {
        h->format = RECORD_FORMAT;
        h->layout = record_layout();
        memset(h->version, 0, sizeof h->version);
        (void)snprintf(h->version, sizeof h->version, "%s", PBFT_VERSION);
    }
    image_fixed(i, start, sizeof start);
    if (memcmp(start, magic, sizeof start) != 0) {
        image_fail(i, "it is no recording of pbftd");
        return;
    }
    image_u32(i, &h->format);
    image_u32(i, &h->layout);
    image_fixed(i, h->version, sizeof h->version);
    h->version[sizeof h->version - 1] = '\0';
    if (h->format != RECORD_FORMAT || h->layout != record_layout()) return;
    image_fixed(i, &h->config.group.id, sizeof h->config.group.id);
    image_u64(i, &h->config.group.epoch);
    image_count(i, &members, REPLICAS_MAX);
    for (uint32_t k = 0; k < members; k++) {
        if (!i->reading) h->members[k] = h->config.group.members[k];
        image_fixed(i, &h->members[k], sizeof h->members[k]);
    }
    config_image(&h->config, i);
    if (!i->reading) return;
    if (members == 0 || h->config.self >= members || h->config.pipeline_max == 0 || h->config.batch_requests_max == 0) {
        image_fail(i, "its configuration is none that a replica can have");
        return;
    }
    h->config.group.quorum = quorum_of(members);
    h->config.group.members = h->members;
}

/* ---- EVENT ---- */

/* Reading: the record_event owns the reference. */
static void own_blob(struct record_event *owner, struct blob *blob)
{
    if (blob == NULL) return;
    if (owner->blob_count == owner->blob_cap) {
        owner->blob_cap = owner->blob_cap == 0 ? 16 : owner->blob_cap * 2;
        owner->blobs = mem_resize(owner->blobs, owner->blob_cap * sizeof(struct blob *));
    }
    owner->blobs[owner->blob_count++] = blob;
}

static void owned_image(struct record_event *owner, struct blob **blob, struct image *i)
{
    image_blob(i, blob);
    if (i->reading) own_blob(owner, *blob);
}

static void owned_message_image(struct record_event *owner, struct blob **blob, enum wire_type type, struct image *i)
{
    core_message_image(blob, type, i);
    if (i->reading) own_blob(owner, *blob);
}

/* A certificate as its encoding. Reading: it borrows from a blob that is owned. */
static void certificate_image(struct record_event *owner, const struct wire_record *record, void *certificate,
                              struct image *i)
{
    struct blob *encoded = i->reading ? NULL : wire_encode_blob(record, certificate);
    image_blob(i, &encoded);
    if (!i->reading) {
        blob_release(encoded);
        return;
    }
    own_blob(owner, encoded);
    if (encoded == NULL || wire_decode_record(record, blob_bytes(encoded), certificate) != NULL)
        image_fail(i, "a stored certificate does not decode");
}

static void slot_image(struct record_event *owner, struct core_recovered_slot *s, struct image *i)
{
    image_u64(i, &s->seq);
    image_fixed(i, &s->digest, sizeof s->digest);
    image_fixed(i, &s->proposal, sizeof s->proposal);
    owned_image(owner, &s->batch, i);
    image_u64(i, &s->time_ms);
    image_bool(i, &s->accepted);
    image_bool(i, &s->certificate);
    if (s->certificate) certificate_image(owner, &wire_record_vote_certificate, &s->prepared, i);
}

/* Which of `kept` there are, and these; NULL when the array itself is. */
static void kept_image(struct record_event *owner, struct core_recovered *r, uint32_t members, struct image *i)
{
    struct blob **kept = (struct blob **)(uintptr_t)r->kept;
    bool any = kept != NULL;
    image_bool(i, &any);
    if (!any) return;
    if (i->reading) {
        kept = mem_zero(REPLICAS_MAX, sizeof(struct blob *));
        r->kept = kept;
    }
    CHECK(kept != NULL);
    for (uint32_t id = 0; id < members; id++)
        owned_message_image(owner, &kept[id], WIRE_TYPE_view_change, i);
}

static void recovered_image(const struct core_config *config, struct record_event *owner, struct core_recovered *r,
                            struct image *i)
{
    image_u64(i, &r->view);
    owned_message_image(owner, &r->view_change, WIRE_TYPE_view_change, i);
    owned_message_image(owner, &r->new_view, WIRE_TYPE_new_view, i);
    kept_image(owner, r, config->group.quorum.replica_count, i);
    image_bool(i, &r->fenced);
    image_u64(i, &r->fence_until);
    uint32_t reason = r->fence_reason;
    image_count(i, &reason, FENCE_REASON_MAX);
    r->fence_reason = (enum fence_reason)reason;
    image_bool(i, &r->damaged);
    image_bool(i, &r->walking);
    image_u64(i, &r->gap_low);
    image_u64(i, &r->gap_high);
    image_fixed(i, &r->gap_hash, sizeof r->gap_hash);
    image_bool(i, &r->clean);
    certificate_image(owner, &wire_record_checkpoint_certificate, &r->stable, i);
    image_u64(i, &r->executed);
    image_u64(i, &r->executed_time_ms);
    image_count(i, &r->slot_count, 2u * WINDOW_BATCHES); /* recovery.c gives at most so many */
    image_count(i, &r->checkpoint_count, WINDOW_BATCHES / CHECKPOINT_INTERVAL);
    if (i->reading) {
        r->slots = owner->slots = mem_zero(r->slot_count + 1u, sizeof *owner->slots);
        r->checkpoints = owner->checkpoints = mem_zero(r->checkpoint_count + 1u, sizeof *owner->checkpoints);
        r->windows = owner->windows = mem_zero(config->client_count + 1u, sizeof *owner->windows);
    }
    for (uint32_t k = 0; k < r->slot_count; k++)
        slot_image(owner, (struct core_recovered_slot *)(uintptr_t)&r->slots[k], i);
    for (uint32_t k = 0; k < r->checkpoint_count; k++) {
        struct core_recovered_checkpoint *p = (struct core_recovered_checkpoint *)(uintptr_t)&r->checkpoints[k];
        image_u64(i, &p->seq);
        image_fixed(i, &p->header_hash, sizeof p->header_hash);
        image_fixed(i, &p->state_root, sizeof p->state_root);
    }
    for (uint32_t k = 0; k < config->client_count; k++) {
        struct core_client_window *w = (struct core_client_window *)(uintptr_t)&r->windows[k];
        image_u64(i, &w->highest_settled);
        image_u64(i, &w->settled);
    }
}

static void executed_image(struct record_event *owner, struct core_executed *e, struct image *i)
{
    image_u64(i, &e->seq);
    image_u64(i, &e->time_ms);
    image_fixed(i, &e->header_hash, sizeof e->header_hash);
    image_fixed(i, &e->state_root, sizeof e->state_root);
    image_count(i, &e->settled_count, BATCH_REQUESTS_MAX);
    if (i->reading) e->settled = owner->settled = mem_zero(e->settled_count + 1u, sizeof *owner->settled);
    for (uint32_t k = 0; k < e->settled_count; k++) {
        struct core_settled *s = (struct core_settled *)(uintptr_t)&e->settled[k];
        image_u32(i, &s->client);
        image_u64(i, &s->seq);
    }
}

static void walk_image(struct record_event *owner, struct core_walk *w, struct image *i)
{
    uint32_t what = w->what;
    image_count(i, &what, CORE_WALK_BAD);
    w->what = (enum core_walk_what)what;
    image_u32(i, &w->number);
    image_u64(i, &w->target);
    owned_image(owner, &w->ask, i);
    if (!i->reading) return;
    if (w->number == 0) image_fail(i, "a question about the state has no number");
    if (w->what == CORE_WALK_ASK && (w->ask == NULL || w->ask->len > STATE_ASK_BYTES_MAX))
        image_fail(i, "a question about the state is empty or too long");
}

/* Writing: `owner` holds nothing, and the event's pointers are only looked at. */
static void event_image(const struct core_config *config, struct record_event *owner, struct core_event *event,
                        struct image *i)
{
    uint32_t type = event->type;
    image_count(i, &type, CORE_EVENT_STOP);
    event->type = (enum core_event_type)type;
    switch (event->type) {
    case CORE_EVENT_START:
        if (i->reading) event->recovered = &owner->recovered;
        recovered_image(config, owner, (struct core_recovered *)(uintptr_t)event->recovered, i);
        return;
    case CORE_EVENT_MESSAGE:
        if (i->reading) event->message.verified = &owner->message;
        image_u32(i, &event->message.from);
        image_u32(i, &event->message.client);
        core_verified_image(&config->group, event->message.verified, i);
        return;
    case CORE_EVENT_TICK:
        image_u64(i, &event->tick.monotonic_us);
        image_u64(i, &event->tick.wall_ms);
        return;
    case CORE_EVENT_PERSISTED: image_u64(i, &event->persisted); return;
    case CORE_EVENT_EXECUTED:
        if (i->reading) event->executed = &owner->executed;
        executed_image(owner, (struct core_executed *)(uintptr_t)event->executed, i);
        return;
    case CORE_EVENT_DISK: image_bool(i, &event->disk_full); return;
    case CORE_EVENT_WALK:
        if (i->reading) event->walk = &owner->walk;
        walk_image(owner, (struct core_walk *)(uintptr_t)event->walk, i);
        return;
    case CORE_EVENT_MISSING_BLOCK: image_u64(i, &event->missing); return;
    case CORE_EVENT_DRAIN:
    case CORE_EVENT_STOP: return;
    }
}

void record_event_write(const struct core_config *config, const struct core_event *event, struct image *out)
{
    struct core_event copy = *event;
    struct record_event nothing;
    memset(&nothing, 0, sizeof nothing);
    CHECK(!out->reading);
    event_image(config, &nothing, &copy, out); /* writing changes nothing that it points to */
}

void record_event_read(const struct core_config *config, struct image *in, struct record_event *out)
{
    CHECK(in->reading);
    event_image(config, out, &out->event, in);
}

void record_event_release(struct record_event *e)
{
    for (uint32_t k = 0; k < e->blob_count; k++)
        blob_release(e->blobs[k]);
    free(e->blobs);
    msg_verified_release(&e->message);
    free((void *)(uintptr_t)e->recovered.kept);
    free(e->slots);
    free(e->checkpoints);
    free(e->windows);
    free(e->settled);
    memset(e, 0, sizeof *e);
}

/* ---- EFFECTS ---- */

void record_effects_image(struct record_effects *e, struct image *i)
{
    image_u64(i, &e->number);
    image_u32(i, &e->count);
    image_fixed(i, &e->hash, sizeof e->hash);
    image_count(i, &e->signature_count, RECORD_SIGNATURES_MAX);
    for (uint32_t k = 0; k < e->signature_count; k++) {
        image_fixed(i, &e->signatures[k].digest, sizeof e->signatures[k].digest);
        image_fixed(i, &e->signatures[k].signature, sizeof e->signatures[k].signature);
    }
}

struct digest record_hash_next(const struct digest *before, const struct core_effects *effects)
{
    struct hasher h;
    struct digest out;
    hasher_start(&h, DIGEST_DOMAIN_TRACE);
    hasher_add(&h, before->bytes, sizeof before->bytes);
    hasher_add_be64(&h, effects->count);
    for (uint32_t k = 0; k < effects->count; k++)
        core_effect_trace(&h, &effects->items[k]);
    hasher_finish(&h, &out);
    return out;
}
