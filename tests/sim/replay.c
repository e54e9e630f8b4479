/* replay.c - reads frames, steps a core, compares. */
#include "tests/sim/replay.h"

#include "base/check.h"
#include "base/version.h"
#include "replica/run/record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct replay {
    const struct replay_options *options;
    struct replay_result *result;
    struct bytes file;
    size_t offset;   /* of the next frame */
    size_t frame_at; /* of the one being looked at */
    struct record_check check;
    struct record_header header;
    struct core *core;
    struct core_effects *effects;
    struct digest hash;
    uint64_t number;
    uint64_t now_us;
    uint32_t signed_count; /* by the core in this event */
    bool signs_other;
    struct record_effects recorded; /* of this event */
    bool has_recorded;
};

static struct err damaged(const struct replay *r, const char *why)
{
    return err_make(ERR_CORRUPT, "damaged at offset %zu: %s", r->frame_at, why);
}

/* Gives back what was signed when it was recorded; another statement is noted, and gets zeros. */
static void sign(void *context, const struct digest *digest, struct signature *out)
{
    struct replay *r = context;
    const uint32_t k = r->signed_count++;
    memset(out, 0, sizeof *out);
    if (k < r->recorded.signature_count && digest_equal(&r->recorded.signatures[k].digest, digest))
        *out = r->recorded.signatures[k].signature;
    else
        r->signs_other = true;
}

/* ---- frames ---- */

static struct err next(struct replay *r, enum record_read *read, enum record_kind *kind, struct bytes *body)
{
    r->frame_at = r->offset;
    *read = record_frame_next(r->file, &r->offset, &r->check, kind, body);
    if (*read == RECORD_READ_DAMAGED) return damaged(r, "a frame fails its check");
    if (*read == RECORD_READ_TORN) {
        r->result->torn = true;
        r->result->torn_at = r->frame_at;
    }
    return err_none();
}

static struct err expect(struct replay *r, enum record_kind wanted, const char *name, struct bytes *body)
{
    enum record_read read;
    enum record_kind kind = RECORD_KIND_END;
    ERR_TRY(next(r, &read, &kind, body));
    if (read != RECORD_READ_FRAME)
        return err_make(ERR_CORRUPT, "damaged at offset %zu: the file ends before its %s", r->frame_at, name);
    if (kind != wanted) return err_make(ERR_CORRUPT, "damaged at offset %zu: no %s stands there", r->frame_at, name);
    return err_none();
}

static struct err read_header(struct replay *r)
{
    struct bytes body;
    if (r->file.len >= RECORD_FRAME_HEAD && be32_get(r->file.data) != ~be32_get(r->file.data + 4))
        return err_make(ERR_CORRUPT, "damaged at offset 0: it is no recording of pbftd");
    ERR_TRY(expect(r, RECORD_KIND_HEADER, "header", &body));
    struct image i = image_of(body);
    record_header_image(&r->header, &i);
    if (i.fault != NULL) return damaged(r, i.fault);
    memcpy(r->result->version, r->header.version, sizeof r->result->version);
    if (r->header.format != RECORD_FORMAT || r->header.layout != record_layout())
        return err_make(ERR_CONFIG,
                        "recorded by another build of pbftd (%s, format %u, state %08x; this is %s, format %u, state "
                        "%08x): replay it with the pbft-sim of that build",
                        r->header.version, r->header.format, r->header.layout, PBFT_VERSION, RECORD_FORMAT,
                        record_layout());
    if (image_end(&i) != NULL) return damaged(r, i.fault);
    r->header.config.sign = sign;
    r->header.config.sign_context = r;
    r->result->self = r->header.config.self;
    r->result->members = r->header.config.group.quorum.replica_count;
    return err_none();
}

static struct err read_state(struct replay *r)
{
    struct bytes body;
    ERR_TRY(expect(r, RECORD_KIND_IMAGE, "state", &body));
    struct image i = image_of(body);
    image_u64(&i, &r->number);
    image_fixed(&i, &r->hash, sizeof r->hash);
    r->core = core_new(&r->header.config);
    const char *fault = core_image_read(r->core, &i);
    if (fault == NULL) fault = image_end(&i);
    r->result->first = r->number;
    r->result->hash = r->hash;
    return fault != NULL ? damaged(r, fault) : err_none();
}

/* The EFFECTS that follow an EVENT; none does when the process ended meanwhile. */
static struct err read_effects(struct replay *r)
{
    enum record_read read;
    enum record_kind kind = RECORD_KIND_END;
    struct bytes body;
    r->has_recorded = false;
    r->recorded.signature_count = 0;
    ERR_TRY(next(r, &read, &kind, &body));
    if (read != RECORD_READ_FRAME) return err_none();
    if (kind != RECORD_KIND_EFFECTS) return damaged(r, "an event has no effects");
    struct image i = image_of(body);
    record_effects_image(&r->recorded, &i);
    if (image_end(&i) != NULL) return damaged(r, i.fault);
    if (r->recorded.number != r->number) return damaged(r, "the effects are of another event");
    r->has_recorded = true;
    return err_none();
}

/* ---- events ---- */

static struct err differs(const struct replay *r, const char *how)
{
    return err_make(ERR_NEGATIVE, "event %" PRIu64 " (offset %zu): %s", r->number, r->frame_at, how);
}

static struct err perform(struct replay *r, const struct core_event *event)
{
    if (r->options->before != NULL) r->options->before(r->options->context, r->number);
    r->signed_count = 0;
    r->signs_other = false;
    const char *ignored = core_step(r->core, event, r->effects);
    if (event->type == CORE_EVENT_TICK) r->now_us = event->tick.monotonic_us;
    const struct replay_event done = {
        .number = r->number, .at_us = r->now_us, .event = event, .ignored = ignored, .effects = r->effects};
    if (r->options->after != NULL) r->options->after(r->options->context, &done);
    r->hash = record_hash_next(&r->hash, r->effects);
    r->result->events++;
    r->result->effects += r->effects->count;
    const uint32_t count = r->effects->count;
    core_effects_release(r->effects);
    r->result->open = !r->has_recorded;
    if (!r->has_recorded) return err_none();
    r->result->hash = r->hash;
    if (r->signs_other || r->signed_count != r->recorded.signature_count)
        return differs(r, "the core signs something else than was recorded");
    if (count != r->recorded.count) return differs(r, "it has another number of effects than was recorded");
    if (!digest_equal(&r->hash, &r->recorded.hash)) return differs(r, "its effects are not those that were recorded");
    return err_none();
}

static struct err take_event(struct replay *r, struct bytes body)
{
    struct record_event e;
    struct image i = image_of(body);
    uint64_t number;
    memset(&e, 0, sizeof e);
    image_u64(&i, &number);
    record_event_read(&r->header.config, &i, &e);
    const char *fault = image_end(&i);
    struct err bad = fault != NULL         ? damaged(r, fault)
                     : number != r->number ? damaged(r, "an event is missing before this one")
                                           : read_effects(r);
    if (!err_is(&bad)) bad = perform(r, &e.event);
    record_event_release(&e);
    r->number++;
    return bad;
}

static struct err take_end(struct replay *r, struct bytes body)
{
    static const enum replay_stop stops[] = {[RECORD_END_STOPPED] = REPLAY_STOP_END,
                                             [RECORD_END_NEXT] = REPLAY_STOP_NEXT,
                                             [RECORD_END_OVERFLOW] = REPLAY_STOP_OVERFLOW};
    struct image i = image_of(body);
    uint32_t reason = 0;
    image_count(&i, &reason, RECORD_END_OVERFLOW);
    if (image_end(&i) != NULL) return damaged(r, i.fault);
    r->frame_at = r->offset;
    if (r->offset != r->file.len) return damaged(r, "something stands after the end");
    r->result->stop = stops[reason];
    return err_none();
}

static struct err take_all(struct replay *r)
{
    for (;;) {
        enum record_read read;
        enum record_kind kind = RECORD_KIND_END;
        struct bytes body;
        r->result->summary = core_summary(r->core);
        if (r->options->until_seq <= r->result->summary.executed && r->result->summary.started) {
            r->result->stop = REPLAY_STOP_SEQ;
            return err_none();
        }
        if (r->result->open) return err_none();
        ERR_TRY(next(r, &read, &kind, &body));
        if (read != RECORD_READ_FRAME) return err_none();
        if (kind == RECORD_KIND_END) return take_end(r, body);
        if (kind != RECORD_KIND_EVENT) return damaged(r, "no event stands there");
        ERR_TRY(take_event(r, body));
    }
}

/* What was asked for must be where the replay has stopped: nothing before the file's state can be shown. */
static struct err check_reached(const struct replay *r)
{
    const uint64_t wanted = r->options->until_seq;
    const uint64_t executed = r->result->summary.executed;
    if (wanted == REPLAY_TO_END || executed == wanted) return err_none();
    if (r->result->stop == REPLAY_STOP_SEQ)
        return err_make(ERR_LIMIT,
                        "sequence %" PRIu64 " is not in this recording: where it begins, sequence %" PRIu64
                        " has executed; look in an older file",
                        wanted, executed);
    return err_make(ERR_LIMIT,
                    "sequence %" PRIu64 " is not reached in this recording: where it ends, sequence %" PRIu64
                    " has executed; look in a newer file",
                    wanted, executed);
}

struct err replay_run(struct bytes file, const struct replay_options *options, struct replay_result *out)
{
    struct replay *r = mem_zero(1, sizeof *r);
    memset(out, 0, sizeof *out);
    out->stop = REPLAY_STOP_CUT;
    r->options = options;
    r->result = out;
    r->file = file;
    r->effects = mem_zero(1, sizeof *r->effects);
    r->recorded.signatures = mem_zero(RECORD_SIGNATURES_MAX, sizeof *r->recorded.signatures);
    struct err e = read_header(r);
    if (!err_is(&e)) e = read_state(r);
    if (!err_is(&e)) e = take_all(r);
    if (!err_is(&e)) e = check_reached(r);
    if (!err_is(&e)) core_dump(r->core, &out->state);
    core_free(r->core);
    free(r->effects);
    free(r->recorded.signatures);
    free(r);
    return e;
}
