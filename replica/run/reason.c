/* reason.c - condition and reason of a replica. Nothing is said of a speed before a second has passed and something has come. */
#include "replica/run/reason.h"

#include "wire/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TELLING_US 1000000u /* a rate of less than that is none */
#define NAMED_MAX 8u        /* members named in a sentence */
#define STUCK "a fence that cannot end: see docs/operations.md"

static uint64_t behind_by(const struct core_summary *s)
{
    return s->highest_peer_executed > s->executed ? s->highest_peer_executed - s->executed : 0;
}

void reason_pace_note(struct reason_pace *p, const struct core_summary *s, uint64_t now_us)
{
    const bool behind = s->started && !s->walking && behind_by(s) > REASON_BEHIND;
    if (behind && p->since_us == 0)
        *p = (struct reason_pace){.since_us = now_us, .executed = s->executed, .behind = behind_by(s)};
    if (!behind) *p = (struct reason_pace){0};
}

bool reason_has_quorum(const struct reason_facts *f)
{
    return replica_set_count(&f->core->voters) + 1 >= f->quorum.quorum;
}

/* With so many members fenced no checkpoint becomes stable, and none of their fences ends. */
static bool is_stuck(const struct reason_facts *f)
{
    const uint32_t fenced = replica_set_count(&f->core->fenced_members) + (f->core->fenced ? 1 : 0);
    return f->quorum.replica_count - fenced < f->quorum.quorum;
}

enum replica_condition reason_condition(const struct reason_facts *f)
{
    const struct core_summary *s = f->core;
    if (s->diverged) return CONDITION_DIVERGED;
    if (s->fenced) return CONDITION_FENCED;
    if (f->log_full) return CONDITION_LOG_DISK_FULL;
    if (f->state_full) return CONDITION_STATE_DISK_FULL;
    if (!s->started) return CONDITION_STARTING;
    if (f->connected + 1 < f->quorum.quorum) return CONDITION_NO_QUORUM;
    if (s->listening) return CONDITION_STARTING;
    if (!reason_has_quorum(f)) return CONDITION_NO_QUORUM;
    if (s->walking || behind_by(s) > REASON_BEHIND) return CONDITION_CATCHING_UP;
    if (s->changing_us > f->timeout_us) return CONDITION_STALLED; /* no NEW-VIEW in the time for one */
    return CONDITION_SYNCED;
}

/* ---- parts of sentences ---- */

/* "replica 2", "replicas 0, 2 and 3"; of many the first ones. */
static void put_members(struct buffer *out, const struct replica_set *s)
{
    buffer_printf(out, replica_set_count(s) == 1 ? "replica " : "replicas ");
    replica_set_print(s, NAMED_MAX, out);
}

static void put_clause(struct buffer *out, const struct replica_set *s, const char *one, const char *more)
{
    if (replica_set_count(s) == 0) return;
    buffer_printf(out, "; ");
    put_members(out, s);
    buffer_printf(out, " %s", replica_set_count(s) == 1 ? one : more);
}

static struct replica_set silent_members(const struct reason_facts *f)
{
    struct replica_set out = {0};
    for (uint32_t id = 0; id < f->quorum.replica_count; id++)
        if (id != f->self && !replica_set_has(&f->core->voters, id) && !replica_set_has(&f->core->fenced_members, id))
            replica_set_add(&out, id);
    return out;
}

/* How far the transfer is. Covered is the present pass over the tree: the checkpoint moves on meanwhile, and a pass over what
 * changed follows. */
static void put_transfer(struct buffer *out, const struct reason_facts *f)
{
    const struct state_walk_progress *p = &f->walk;
    const uint64_t us = f->walk_since_us == 0 ? 0 : f->now_us - f->walk_since_us;
    if (f->core->walk_target == 0 || f->walk_since_us == 0) {
        buffer_printf(out, "its state is to be transferred, and no other replica has proven a checkpoint to it yet");
        return;
    }
    buffer_printf(out, "its state is being transferred to checkpoint %" PRIu64 ": ", f->core->walk_target);
    if (us < TELLING_US) {
        buffer_printf(out, "just begun");
        return;
    }
    if (p->bytes == 0) {
        buffer_printf(out, "nothing has come in %" PRIu64 " s", us / 1000000);
        return;
    }
    buffer_printf(out, "%u %% of the tree looked at, %" PRIu64 " keys and %" PRIu64 " bytes in %" PRIu64 " s (%" PRIu64 " bytes a second)",
                  p->covered_ppm / 10000, p->leaves, p->bytes, us / 1000000, p->bytes * 1000 / (us / 1000));
    if (p->covered_ppm > 0)
        buffer_printf(out, ", about %" PRIu64 " s left", us / 1000 * (1000000u - p->covered_ppm) / p->covered_ppm / 1000);
}

/* By blocks. The others go on meanwhile: how long it takes yet is told by how the distance shrinks. */
static void put_blocks(struct buffer *out, const struct reason_facts *f)
{
    const struct core_summary *s = f->core;
    const struct reason_pace *p = &f->pace;
    const uint64_t behind = behind_by(s);
    const uint64_t us = p->since_us == 0 ? 0 : f->now_us - p->since_us;
    buffer_printf(out, "it has executed sequence %" PRIu64 ", others %" PRIu64 ": %" PRIu64 " to go", s->executed,
                  s->highest_peer_executed, behind);
    if (us < TELLING_US) {
        buffer_printf(out, ", just begun");
        return;
    }
    if (s->executed <= p->executed) {
        buffer_printf(out, ", nothing has come in %" PRIu64 " s", us / 1000000);
        return;
    }
    buffer_printf(out, ", %" PRIu64 " a second", (s->executed - p->executed) * 1000 / (us / 1000));
    if (p->behind > behind)
        buffer_printf(out, ", about %" PRIu64 " s left", us / 1000 * behind / (p->behind - behind) / 1000);
    else
        buffer_printf(out, ", no faster than the others go on");
}

static bool put_progress(struct buffer *out, const struct reason_facts *f, const char *before)
{
    if (!f->core->walking && behind_by(f->core) <= REASON_BEHIND) return false;
    buffer_printf(out, "%s", before);
    if (f->core->walking)
        put_transfer(out, f);
    else
        put_blocks(out, f);
    return true;
}

/* ---- sentences ---- */

static void put_no_quorum(struct buffer *out, const struct reason_facts *f)
{
    const struct quorum *q = &f->quorum;
    if (f->connected + 1 < q->quorum) {
        buffer_printf(out, "it is connected to %u of the %u other replicas; a quorum is %u of %u, itself included", f->connected,
                      q->replica_count - 1, q->quorum, q->replica_count);
    } else {
        const struct replica_set silent = silent_members(f);
        buffer_printf(out, "it hears of %u of the %u other replicas that can vote; a quorum is %u of %u, itself included",
                      replica_set_count(&f->core->voters), q->replica_count - 1, q->quorum, q->replica_count);
        put_clause(out, &silent, "is silent", "are silent");
    }
    put_clause(out, &f->core->fenced_members, "is fenced", "are fenced");
    if (is_stuck(f)) buffer_printf(out, ", " STUCK);
}

static void put_fenced(struct buffer *out, const struct reason_facts *f)
{
    const struct core_summary *s = f->core;
    const struct quorum *q = &f->quorum;
    buffer_printf(out, "%s; ", s->fence_reason != NULL ? s->fence_reason : "it may have forgotten votes");
    if (is_stuck(f)) {
        const uint32_t can = q->replica_count - 1 - replica_set_count(&s->fenced_members);
        buffer_printf(out, "it cannot vote again by itself: it waits for sequence %" PRIu64 " to be stable, and only %u of %u replicas could "
                           "vote for that where %u are needed", s->fence_until, can, q->replica_count, q->quorum);
        put_clause(out, &s->fenced_members, "is fenced too", "are fenced too");
        buffer_printf(out, ", " STUCK);
        return;
    }
    buffer_printf(out, "it votes again once sequence %" PRIu64 " is stable, and now %" PRIu64 " is", s->fence_until, s->low);
    if (replica_set_count(&s->voters) < q->quorum) {
        const struct replica_set silent = silent_members(f);
        buffer_printf(out, "; it hears of %u replicas that can vote, and %u have to", replica_set_count(&s->voters), q->quorum);
        put_clause(out, &silent, "is silent", "are silent");
    }
    (void)put_progress(out, f, "; ");
}

/* Without a quorum of VIEW-CHANGEs it is not the new primary that is late. */
static void put_stalled(struct buffer *out, const struct reason_facts *f)
{
    const struct core_summary *s = f->core;
    struct replica_set missing = {0};
    for (uint32_t id = 0; id < f->quorum.replica_count; id++)
        if (f->why->members[id].view_change != s->view) replica_set_add(&missing, id);
    const uint32_t here = f->quorum.replica_count - replica_set_count(&missing);
    buffer_printf(out, "it left for view %" PRIu64 " %" PRIu64 " ms ago, and ", s->view, s->changing_us / 1000);
    if (here < f->quorum.quorum) {
        buffer_printf(out, "%u of the %u VIEW-CHANGEs for it are here", here, f->quorum.quorum);
        put_clause(out, &missing, "has sent none", "have sent none");
    } else if (s->primary == f->self) {
        buffer_printf(out, "it has a quorum of VIEW-CHANGEs; as primary it waits for batches that its NEW-VIEW carries over");
    } else {
        buffer_printf(out, "the NEW-VIEW of replica %u has not come", s->primary);
    }
}

static void put_why(struct buffer *out, const struct reason_facts *f, enum replica_condition condition)
{
    const struct core_summary *s = f->core;
    switch (condition) {
    case CONDITION_STARTING:
        if (s->listening)
            buffer_printf(out, "before its first vote %u others have to say what they hold of it; %u have", f->quorum.quorum - 1,
                          s->heard);
        else
            buffer_printf(out, "its record is being read");
        return;
    case CONDITION_NO_QUORUM: put_no_quorum(out, f); return;
    case CONDITION_CATCHING_UP: (void)put_progress(out, f, ""); return;
    case CONDITION_SYNCED: return;
    case CONDITION_STALLED: put_stalled(out, f); return;
    case CONDITION_DIVERGED:
        buffer_printf(out, "a quorum proved another state than this replica's; it votes no more");
        return;
    case CONDITION_FENCED: put_fenced(out, f); return;
    case CONDITION_LOG_DISK_FULL:
    case CONDITION_STATE_DISK_FULL:
        buffer_printf(out, "there is no room in %.200s/%s; it casts no vote until there is", f->data_path,
                      condition == CONDITION_LOG_DISK_FULL ? "log" : "state");
        return;
    }
}

void reason_text(const struct reason_facts *f, char out[REASON_BYTES])
{
    const enum replica_condition condition = reason_condition(f);
    struct buffer text = {0};
    if (condition == CONDITION_SYNCED)
        buffer_printf(&text, "ready");
    else
        buffer_printf(&text, "%s: ", wire_condition_name(condition));
    put_why(&text, f, condition);
    const size_t len = text.len < REASON_BYTES - 1 ? text.len : REASON_BYTES - 1;
    memcpy(out, text.data, len);
    out[len] = '\0';
    buffer_free(&text);
}
