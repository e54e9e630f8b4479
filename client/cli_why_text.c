/* cli_why_text.c - sentences about a stall. Every number in them is a replica's word or the arithmetic of quorums.
 *
 * A replica is stalled when something it has to do has waited for WHY_STALL_MS, and it has executed nothing for as long; and
 * when it cannot vote or cannot reach a quorum, whether or not anybody asks for anything. */
#include "client/cli_why_text.h"

#include "base/check.h"
#include "base/replica_set.h"
#include "wire/constants.h"

#include <inttypes.h>
#include <string.h>

#define WHY_SILENT_MS 5000u /* STATUS comes every second or two */
#define DIGEST_SHOWN 4u /* bytes of it */

const char *why_verdict_name(enum why_verdict v)
{
    static const char *const names[] = {"fine", "stalled", "no-quorum"};
    return names[v];
}

/* ---- parts of sentences ---- */

static void put_set(struct buffer *out, const struct replica_set *s)
{
    replica_set_print(s, REPLICAS_MAX, out);
}

/* A line about these members; none when there are none. */
static void put_line(struct buffer *out, const char *before, const struct replica_set *s, const char *after)
{
    if (replica_set_count(s) == 0) return;
    buffer_printf(out, "%s", before);
    put_set(out, s);
    buffer_printf(out, "%s", after);
}

static struct replica_set others(const struct why_group *g, const struct replica_set *s)
{
    struct replica_set out = {0};
    for (uint32_t id = 0; id < g->quorum.replica_count; id++)
        if (!replica_set_has(s, id)) replica_set_add(&out, id);
    return out;
}

static struct replica_set answering(const struct why_group *g)
{
    struct replica_set out = {0};
    for (uint32_t id = 0; id < g->quorum.replica_count; id++)
        if (g->replicas[id].answered) replica_set_add(&out, id);
    return out;
}

static bool can_vote(const struct pbft_replica_why *r)
{
    return r->answered && !r->mute && !r->diverged && !r->disk_full && r->condition != CONDITION_FENCED;
}

/* "waits for 1 more COMMIT: 0 and 2 have voted, 1 and 3 are missing (3 of 4 are needed)" */
static void put_votes(const struct why_group *g, struct buffer *out, const char *what, const struct replica_set *voted)
{
    const uint32_t count = replica_set_count(voted);
    const uint32_t needed = g->quorum.quorum;
    const struct replica_set missing = others(g, voted);
    if (count >= needed) {
        buffer_printf(out, "has %ss of a quorum, spread over replicas that have not told each other yet", what);
        return;
    }
    buffer_printf(out, "waits for %u more %s%s: ", needed - count, what, needed - count == 1 ? "" : "s");
    put_set(out, voted);
    buffer_printf(out, " %s voted, ", count == 1 ? "has" : "have");
    put_set(out, &missing);
    buffer_printf(out, " %s missing (%u of %u are needed)", replica_set_count(&missing) == 1 ? "is" : "are", needed,
                  g->quorum.replica_count);
}

/* ---- what there is to do ---- */

/* What is known of one sequence in one view: from one replica, or from all that are there. */
struct why_front {
    uint64_t seq;
    uint64_t view;
    bool changing;
    enum pbft_phase phase;
    uint8_t digest[32];
    bool batch_missing; /* a PRE-PREPARE is there, and nobody who has it holds the batch */
    bool batch_void;
    bool own_certificate_waits; /* one replica: its own COMMIT waits for its disk */
    uint64_t high;
    uint64_t ahead;
    uint64_t custody;
    uint64_t custody_ms;
    uint64_t waited_ms;
    struct replica_set prepared;
    struct replica_set committed;
    struct replica_set view_changes; /* for `view` */
};

static void front_add(const struct why_group *g, const struct pbft_replica_why *r, struct why_front *f)
{
    if (r->phase > f->phase || f->seq == 0) {
        f->phase = r->phase;
        f->batch_missing = r->phase == PBFT_PHASE_PROPOSED && !r->batch_held;
        memcpy(f->digest, r->digest, sizeof f->digest);
    } else if (r->batch_held) {
        f->batch_missing = false;
    }
    f->seq = r->seq;
    f->view = r->view;
    f->changing = r->changing;
    f->batch_void = f->batch_void || r->batch_void;
    if (r->high > f->high) f->high = r->high;
    if (r->ahead > f->ahead) f->ahead = r->ahead;
    if (r->custody > f->custody) f->custody = r->custody;
    if (r->custody_ms > f->custody_ms) f->custody_ms = r->custody_ms;
    if (r->waited_ms > f->waited_ms) f->waited_ms = r->waited_ms;
    for (uint32_t id = 0; id < g->quorum.replica_count; id++) {
        const struct pbft_why_member *m = &r->members[id];
        const bool same = memcmp(r->digest, f->digest, sizeof f->digest) == 0;
        if (m->prepared && (same || r->phase == PBFT_PHASE_EMPTY)) replica_set_add(&f->prepared, id);
        if (m->committed && (same || r->phase == PBFT_PHASE_EMPTY)) replica_set_add(&f->committed, id);
        if (r->changing && m->view_change == r->view) replica_set_add(&f->view_changes, id);
    }
}

static void put_changing(const struct why_group *g, const struct why_front *f, struct buffer *out)
{
    const uint32_t count = replica_set_count(&f->view_changes);
    const uint32_t primary = quorum_primary(&g->quorum, f->view);
    const struct replica_set missing = others(g, &f->view_changes);
    buffer_printf(out, "View %" PRIu64 " has not begun: the view before was left %" PRIu64 " ms ago, and VIEW-CHANGEs for it are here from ",
                  f->view, f->waited_ms);
    put_set(out, &f->view_changes);
    if (count >= g->quorum.quorum) {
        buffer_printf(out, ", which is a quorum; the NEW-VIEW of its primary, replica %u, is missing.\n", primary);
        return;
    }
    buffer_printf(out, "; %u more %s needed, ", g->quorum.quorum - count, g->quorum.quorum - count == 1 ? "is" : "are");
    put_set(out, &missing);
    buffer_printf(out, " %s missing (a quorum is %u of %u). Its primary is replica %u.\n",
                  replica_set_count(&missing) == 1 ? "is" : "are", g->quorum.quorum, g->quorum.replica_count, primary);
}

static void put_proposal(const struct why_front *f, struct buffer *out)
{
    char hex[2 * DIGEST_SHOWN + 1];
    hex_encode(hex, f->digest, DIGEST_SHOWN);
    buffer_printf(out, "Sequence %" PRIu64 " (digest %s..., proposed %" PRIu64 " ms ago in view %" PRIu64 ") ", f->seq, hex,
                  f->waited_ms, f->view);
}

/* False, and nothing is put: nothing waits. */
static bool put_waiting(const struct why_group *g, const struct why_front *f, struct buffer *out)
{
    const uint32_t primary = quorum_primary(&g->quorum, f->view);
    if (f->changing) {
        put_changing(g, f, out);
        return true;
    }
    switch (f->phase) {
    case PBFT_PHASE_EMPTY:
        if (f->ahead >= f->seq)
            buffer_printf(out, "It is behind: others have executed up to %" PRIu64 "; it waits for block %" PRIu64
                               " from them.\n", f->ahead, f->seq);
        else if (f->seq > f->high)
            buffer_printf(out, "Sequence %" PRIu64 " is above the window, which ends at %" PRIu64
                               ": a checkpoint has to become stable first.\n", f->seq, f->high);
        else if (f->custody > 0)
            buffer_printf(out, "Sequence %" PRIu64 " waits for a PRE-PREPARE of replica %u, the primary of view %" PRIu64
                               ": %" PRIu64 " request%s held, the oldest for %" PRIu64 " ms.\n",
                          f->seq, primary, f->view, f->custody, f->custody == 1 ? " is" : "s are", f->custody_ms);
        else
            return false;
        return true;
    case PBFT_PHASE_PROPOSED:
        put_proposal(f, out);
        put_votes(g, out, "PREPARE", &f->prepared);
        buffer_printf(out, "%s.\n", f->batch_void      ? "; its batch breaks the rules, and no correct replica prepares it"
                                    : f->batch_missing ? "; its batch has not come"
                                                       : "");
        return true;
    case PBFT_PHASE_PREPARED:
        put_proposal(f, out);
        put_votes(g, out, "COMMIT", &f->committed);
        buffer_printf(out, "%s.\n", f->own_certificate_waits ? "; its own waits for its disk" : "");
        return true;
    case PBFT_PHASE_COMMITTED:
        buffer_printf(out, "Sequence %" PRIu64 " is decided, and waits for its execution.\n", f->seq);
        return true;
    }
    return false;
}

/* ---- one replica ---- */

static bool has_work(const struct pbft_replica_why *r)
{
    return r->changing || r->phase != PBFT_PHASE_EMPTY || r->custody_ms > 0 || r->ahead >= r->seq;
}

static bool is_late(const struct pbft_replica_why *r)
{
    const uint64_t work_ms = r->waited_ms > r->custody_ms ? r->waited_ms : r->custody_ms;
    const uint64_t since_ms = r->changing ? r->waited_ms : r->ahead >= r->seq || work_ms > r->idle_ms ? r->idle_ms : work_ms;
    return has_work(r) && since_ms >= WHY_STALL_MS;
}

static bool is_stalled(const struct why_group *g, const struct pbft_replica_why *r)
{
    return r->diverged || r->disk_full || r->mute || r->peers_connected + 1 < g->quorum.quorum || is_late(r);
}

static void put_timers(const struct why_group *g, const struct pbft_replica_why *r, struct buffer *out)
{
    const uint32_t next = quorum_primary(&g->quorum, r->view + 1);
    if (r->request_timer_ms != PBFT_NO_TIMER)
        buffer_printf(out, "Timer: it leaves view %" PRIu64 " in %" PRIu64 " ms unless that executes (T is %" PRIu64
                           " ms); the next primary is replica %u.\n", r->view, r->request_timer_ms, r->timeout_ms, next);
    else if (r->new_view_timer_ms != PBFT_NO_TIMER)
        buffer_printf(out, "Timer: it goes on to view %" PRIu64 " in %" PRIu64 " ms unless the NEW-VIEW comes (T is %" PRIu64
                           " ms); the next primary is replica %u.\n", r->view + 1, r->new_view_timer_ms, r->timeout_ms, next);
    else if (r->changing)
        buffer_printf(out, "No timer runs: that for the NEW-VIEW starts with a quorum of VIEW-CHANGEs (T is %" PRIu64
                           " ms); the next primary is replica %u.\n", r->timeout_ms, next);
    else
        buffer_printf(out, "No timer runs; the next primary is replica %u.\n", next);
}

static void put_limits(const struct why_group *g, const struct pbft_replica_why *r, struct buffer *out)
{
    struct replica_set apart = {0};
    struct replica_set silent = {0};
    if (r->abstain_until >= r->seq)
        buffer_printf(out,
                      "It sends no PREPARE in view %" PRIu64 " up to sequence %" PRIu64
                      ": it may have voted there before its start and have forgotten.\n",
                      r->view, r->abstain_until);
    if (r->draining) buffer_printf(out, "It is being stopped.\n");
    for (uint32_t id = 0; id < g->quorum.replica_count; id++) {
        const struct pbft_why_member *m = &r->members[id];
        if (id == r->id) continue;
        if (!m->connected) replica_set_add(&apart, id);
        if (m->connected && m->heard && m->heard_ms >= WHY_SILENT_MS) replica_set_add(&silent, id);
    }
    put_line(out, "It has no connection to ", &apart, ".\n");
    put_line(out, "It is connected to ", &silent, ", but has not heard of them for some seconds.\n");
}

enum why_verdict why_replica(const struct why_group *g, uint32_t id, struct buffer *out)
{
    const struct pbft_replica_why *r = &g->replicas[id];
    struct why_front front = {0};
    if (!r->answered) {
        buffer_printf(out, "It does not answer: %s.\n", r->reason);
        return WHY_VERDICT_NO_QUORUM;
    }
    buffer_printf(out, "It is %s view %" PRIu64 " (%s), and %s. Sequence %" PRIu64 " is its next; ",
                  r->changing ? "waiting for" : "in", r->view,
                  quorum_primary(&g->quorum, r->view) == id ? "its primary" : "backup", r->reason, r->seq);
    if (r->seq > 1)
        buffer_printf(out, "the last was executed %" PRIu64 " ms ago.\n", r->idle_ms);
    else
        buffer_printf(out, "nothing has been executed yet.\n");
    put_limits(g, r, out);
    front_add(g, r, &front);
    front.own_certificate_waits = r->phase == PBFT_PHASE_PREPARED && !r->certificate_durable;
    if (!put_waiting(g, &front, out))
        buffer_printf(out, "Nothing waits here.\n");
    put_timers(g, r, out);
    return is_stalled(g, r) ? WHY_VERDICT_STALLED : WHY_VERDICT_FINE;
}

/* ---- the group ---- */

/* The answering replica that is furthest: by sequence, then by view; then whoever has entered it. */
static const struct pbft_replica_why *furthest(const struct why_group *g)
{
    const struct pbft_replica_why *best = NULL;
    for (uint32_t id = 0; id < g->quorum.replica_count; id++) {
        const struct pbft_replica_why *r = &g->replicas[id];
        if (!r->answered || r->diverged) continue;
        if (best == NULL || r->seq > best->seq || (r->seq == best->seq && r->view > best->view) ||
            (r->seq == best->seq && r->view == best->view && best->changing && !r->changing))
            best = r;
    }
    return best;
}

static void put_silent(const struct why_group *g, struct buffer *out)
{
    for (uint32_t id = 0; id < g->quorum.replica_count; id++)
        if (!g->replicas[id].answered) buffer_printf(out, "Replica %u does not answer: %s.\n", id, g->replicas[id].reason);
}

static void put_front(const struct why_group *g, const struct pbft_replica_why *best, struct buffer *out)
{
    struct why_front front = {0};
    front_add(g, best, &front);
    for (uint32_t id = 0; id < g->quorum.replica_count; id++) {
        const struct pbft_replica_why *r = &g->replicas[id];
        if (r != best && r->answered && r->seq == best->seq && r->view == best->view && r->changing == best->changing)
            front_add(g, r, &front);
    }
    (void)put_waiting(g, &front, out);
    if (front.changing || front.phase != PBFT_PHASE_EMPTY || front.custody > 0)
        buffer_printf(out, "The next primary is replica %u.\n", quorum_primary(&g->quorum, best->view + 1));
}

/* A fence ends with a stable checkpoint, which takes a quorum that can vote. */
static void put_fences(const struct why_group *g, struct buffer *out)
{
    struct replica_set fenced = {0};
    for (uint32_t id = 0; id < g->quorum.replica_count; id++)
        if (g->replicas[id].answered && g->replicas[id].condition == CONDITION_FENCED) replica_set_add(&fenced, id);
    if (g->quorum.replica_count - replica_set_count(&fenced) >= g->quorum.quorum) return;
    put_line(out, "To do: with replicas ", &fenced, " fenced ");
    buffer_printf(out, "too few are left to vote, and no fence ends by itself: see \"A fence that cannot end\" in docs/operations.md.\n");
}

static void put_cure(const struct why_group *g, uint32_t voters, struct buffer *out)
{
    put_fences(g, out);
    const struct replica_set there = answering(g);
    const struct replica_set gone = others(g, &there);
    const char *one = replica_set_count(&gone) == 1 ? "To do: start replica " : "To do: start replicas ";
    put_line(out, one, &gone, ", or see what keeps them from answering");
    if (replica_set_count(&gone) == 0) return;
    if (voters < g->quorum.quorum)
        buffer_printf(out, ": %u more must vote before anything commits.\n", g->quorum.quorum - voters);
    else
        buffer_printf(out, ".\n");
}

static enum why_verdict put_verdict(const struct why_group *g, uint32_t answered, uint32_t voters, bool front_late,
                                    const struct replica_set *stalled, struct buffer *out)
{
    const struct quorum *q = &g->quorum;
    if (answered < q->quorum) {
        buffer_printf(out, "No quorum: %u of %u replicas answer, %u are needed (f is %u).\n", answered, q->replica_count,
                      q->quorum, q->faulty_max);
        return WHY_VERDICT_NO_QUORUM;
    }
    if (voters < q->quorum) {
        buffer_printf(out, "Stalled: %u of %u replicas answer, but only %u of them can vote, and %u are needed (f is %u).\n",
                      answered, q->replica_count, voters, q->quorum, q->faulty_max);
        return WHY_VERDICT_STALLED;
    }
    if (front_late) {
        buffer_printf(out, "Stalled: %u of %u replicas answer, %u are needed (f is %u), and yet nothing executes.\n", answered,
                      q->replica_count, q->quorum, q->faulty_max);
        return WHY_VERDICT_STALLED;
    }
    if (replica_set_count(stalled) > 0) {
        buffer_printf(out, "The group goes on, but not with replica ");
        put_set(out, stalled);
        buffer_printf(out, ": %u of %u answer, %u are needed (f is %u).\n", answered, q->replica_count, q->quorum,
                      q->faulty_max);
        return WHY_VERDICT_STALLED;
    }
    buffer_printf(out, "Nothing stalls: %u of %u replicas answer, %u are needed (f is %u).%s\n", answered, q->replica_count,
                  q->quorum, q->faulty_max, voters == q->quorum && q->replica_count > 1 ? " No further one may fail." : "");
    return WHY_VERDICT_FINE;
}

enum why_verdict why_group(const struct why_group *g, struct buffer *out)
{
    const struct replica_set there = answering(g);
    const struct pbft_replica_why *best = furthest(g);
    struct replica_set stalled = {0};
    uint32_t voters = 0;
    for (uint32_t id = 0; id < g->quorum.replica_count; id++) {
        const struct pbft_replica_why *r = &g->replicas[id];
        if (can_vote(r)) voters++;
        if (r->answered && is_stalled(g, r)) replica_set_add(&stalled, id);
    }
    const enum why_verdict v =
        put_verdict(g, replica_set_count(&there), voters, best != NULL && is_late(best), &stalled, out);
    if (v != WHY_VERDICT_FINE && best != NULL) put_front(g, best, out);
    put_silent(g, out);
    put_cure(g, voters, out);
    return v;
}
