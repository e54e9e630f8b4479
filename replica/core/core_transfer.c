/* core_transfer.c - the state of a stable checkpoint, from others and for others (design.md section 9).
 *
 *   far behind, or the state is damaged -> walking -> WALK_BEGIN -> questions and answers -> a new start
 *
 * A replica that is `transfer_after` batches or more behind a proven checkpoint, or that nobody has the next blocks
 * for, takes the state instead of the blocks. What to ask and whether an answer is right is known to the walk
 * (ledger/state_transfer.h), which runs on the thread that owns the state; here is decided whom to ask, how long to
 * wait, and whom to leave alone for a while (rule 26). While it walks a replica executes nothing: it follows the views,
 * and votes only in its old window.
 *
 * For others: a member's questions are kept, as many as a walk has under way, and answered at a steady rate, so that
 * whoever asks most gets no more, and ordering goes on beside it. */
#include "replica/core/core_internal.h"

#define ANSWER_EVERY_US 8000u /* to one member: up to 16 MiB a second */
#define ANSWERS_SAVED 4u
#define PATIENCE 8u    /* resend intervals that an answer may take */
#define SHUN_OLD 1u    /* resend intervals for which a member is left alone that stands at an older checkpoint, */
#define SHUN_SILENT 4u /* ... that was silent, twice as many each time, */
#define SHUN_SILENT_MOST 64u
#define SHUN_LIAR 240u   /* ... that sent what no correct replica sends */
#define FAILURES_MOST 3u /* rounds of all members asked for the next blocks in vain */

uint32_t core_member_after(const struct core *c, uint32_t id)
{
    return id + 1 < c->config.group.quorum.replica_count ? id + 1 : 0;
}

/* ---- for others ---- */

/* One answer each ANSWER_EVERY_US, a few at once when the last is longer ago. */
static void answer_next(struct core *c, uint32_t to)
{
    struct core_peer *p = &c->peers[to];
    if (c->now_us > ANSWERS_SAVED * ANSWER_EVERY_US && p->state_served_us < c->now_us - ANSWERS_SAVED * ANSWER_EVERY_US)
        p->state_served_us = c->now_us - ANSWERS_SAVED * ANSWER_EVERY_US;
    while (p->asked_count > 0 && c->now_us - p->state_served_us >= ANSWER_EVERY_US) {
        p->state_served_us += ANSWER_EVERY_US;
        struct core_effect *e = core_emit(c, CORE_EFFECT_SERVE_STATE);
        e->serve_state.to = to;
        e->serve_state.number = p->asked[0].number;
        e->serve_state.seq = p->asked[0].seq;
        e->serve_state.ask = p->asked[0].ask; /* passed on */
        p->asked_count--;
        for (uint32_t k = 0; k < p->asked_count; k++)
            p->asked[k] = p->asked[k + 1];
    }
}

const char *core_on_fetch_state(struct core *c, const struct wire_fetch *m, uint32_t from)
{
    struct core_peer *p = &c->peers[from];
    if (c->walking) return "a FETCH of the state, which is not whole here";
    if (c->low == 0) return "a FETCH of the state before the first checkpoint";
    if (m->ask.len == 0) return "a FETCH of the state without a question";
    if (p->asked_count == CORE_WALK_QUESTIONS) return "more questions about the state than wait for an answer";
    struct core_asked *asked = &p->asked[p->asked_count++];
    *asked = (struct core_asked){.number = (uint32_t)m->count, .seq = m->seq, .ask = blob_copy(m->ask)};
    answer_next(c, from);
    return NULL;
}

/* ---- whether ---- */

/* The highest checkpoint that another member has proven. */
static uint64_t proven(const struct core *c)
{
    uint64_t best = 0;
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++)
        if (id != c->config.self && c->peers[id].stable > best) best = c->peers[id].stable;
    return best;
}

static bool too_far(const struct core *c, uint64_t target)
{
    if (target <= c->executed) return false;
    if (target - c->executed >= c->config.transfer_after) return true;
    return c->fetch_failures > FAILURES_MOST * c->config.group.quorum.replica_count;
}

/* It will take the state as soon as it has heard what the others hold of it: blocks would only put that off. */
bool core_awaits_state(const struct core *c)
{
    return c->listening && !c->walk_begun && too_far(c, proven(c));
}

static void begin(struct core *c, uint64_t target)
{
    c->walking = true;
    c->walk_begun = true;
    c->walk_target = target;
    c->fetch_peer = UINT32_MAX;
    core_emit(c, CORE_EFFECT_WALK_BEGIN)->walk_begin = target;
}

static void consider(struct core *c)
{
    const uint64_t target = proven(c);
    if (c->walk_begun || c->diverged || c->stopping || c->draining) return;
    if (c->walking) { /* from the start on: any checkpoint that is not before what was promised here */
        const uint64_t least = c->low > 0 ? c->low : CHECKPOINT_INTERVAL;
        if (target >= least) begin(c, target);
        return;
    }
    /* nothing may be on its way into the state that is given up */
    if (c->handed != c->executed || c->stable_token != 0 || c->listening) return;
    if (too_far(c, target)) begin(c, target);
}

/* ---- whom to ask ---- */

static uint32_t under_way(const struct core *c, uint32_t peer)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < CORE_WALK_QUESTIONS; k++)
        if (c->questions[k].number != 0 && !c->questions[k].taking && c->questions[k].peer == peer) count++;
    return count;
}

/* Who is there, has said to be far enough, is not left alone, and has the fewest questions: so who answers fast gets
 * more. */
static uint32_t choose(const struct core *c)
{
    const uint32_t count = c->config.group.quorum.replica_count;
    uint32_t best = UINT32_MAX;
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t id = (c->walk_first + k) % count;
        const struct core_peer *p = &c->peers[id];
        if (id == c->config.self || !p->heard || p->executed < c->walk_target || p->walk_shunned_us > c->now_us)
            continue;
        if (best == UINT32_MAX || under_way(c, id) < under_way(c, best)) best = id;
    }
    return best;
}

static void put_question(struct core *c, struct core_question *q)
{
    const uint32_t peer = choose(c);
    if (peer == UINT32_MAX) return;
    const struct wire_fetch m = {
        .kind = DATA_KIND_STATE, .view = c->view, .seq = c->walk_target, .count = q->number, .ask = blob_bytes(q->ask)};
    q->peer = peer;
    q->since_us = c->now_us;
    c->walk_first = core_member_after(c, peer);
    core_send_fetch(c, peer, m);
}

static void shun(struct core *c, uint32_t id, uint64_t intervals)
{
    c->peers[id].walk_shunned_us = c->now_us + intervals * c->config.resend_us;
}

static void put_questions(struct core *c)
{
    for (uint32_t k = 0; k < CORE_WALK_QUESTIONS; k++) {
        struct core_question *q = &c->questions[k];
        if (q->number == 0 || q->taking) continue;
        if (q->peer != UINT32_MAX && c->now_us - q->since_us < PATIENCE * c->config.resend_us) continue;
        if (q->peer != UINT32_MAX) { /* silent, or slower than others may be */
            struct core_peer *p = &c->peers[q->peer];
            uint64_t intervals = SHUN_SILENT;
            for (uint32_t i = 0; i < p->walk_failures && intervals < SHUN_SILENT_MOST; i++)
                intervals *= 2;
            p->walk_failures++;
            shun(c, q->peer, intervals);
            q->peer = UINT32_MAX;
        }
        put_question(c, q);
    }
}

/* ---- the tick ---- */

void core_transfer_tick(struct core *c)
{
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++)
        answer_next(c, id);
    consider(c);
    if (c->walking) put_questions(c);
    if (c->walking && c->active && core_is_primary(c) && !core_is_mute(c) && !c->disk_full && !c->stopping)
        core_leave_view(c, c->view + 1); /* it cannot propose, in whatever view it comes to lead */
    core_gap_tick(c);
}

/* ---- answers ---- */

static struct core_question *question(struct core *c, uint32_t number)
{
    for (uint32_t k = 0; k < CORE_WALK_QUESTIONS; k++)
        if (number != 0 && c->questions[k].number == number) return &c->questions[k];
    return NULL;
}

/* From whomever it comes: it proves itself. */
const char *core_on_state_data(struct core *c, const struct msg_verified *m, uint32_t from)
{
    struct core_question *q = m->msg.data.seq <= UINT32_MAX ? question(c, (uint32_t)m->msg.data.seq) : NULL;
    if (!c->walking || q == NULL || q->taking) return "an answer to no question about the state";
    q->taking = true;
    q->answered = from;
    struct core_effect *e = core_emit(c, CORE_EFFECT_WALK_PIECE);
    e->walk_piece.number = q->number;
    e->walk_piece.data = blob_retain(m->blob);
    return NULL;
}

static const char *on_ask(struct core *c, const struct core_walk *w)
{
    struct core_question *q = c->questions;
    while (q < c->questions + CORE_WALK_QUESTIONS && q->number != 0)
        q++;
    if (q == c->questions + CORE_WALK_QUESTIONS) return "more questions than can be under way";
    *q = (struct core_question){.number = w->number, .ask = blob_retain(w->ask), .peer = UINT32_MAX};
    put_question(c, q);
    return NULL;
}

static void forget(struct core_question *q)
{
    blob_release(q->ask);
    *q = (struct core_question){.number = 0};
}

const char *core_on_walk(struct core *c, const struct core_walk *w)
{
    if (!c->walking) return "no state is being transferred";
    if (w->target > c->walk_target) c->walk_target = w->target;
    if (w->what == CORE_WALK_ASK) return on_ask(c, w);
    struct core_question *q = question(c, w->number);
    if (q == NULL || !q->taking) return "no answer to that question is being looked at";
    struct core_peer *p = &c->peers[q->answered];
    q->taking = false;
    switch (w->what) {
    case CORE_WALK_ASK: break;
    case CORE_WALK_TAKEN:
        p->walk_failures = 0;
        forget(q);
        return NULL;
    case CORE_WALK_OLD: shun(c, q->answered, SHUN_OLD); break;
    case CORE_WALK_BAD: shun(c, q->answered, SHUN_LIAR); break;
    }
    q->peer = UINT32_MAX;
    put_question(c, q);
    return NULL;
}

void core_transfer_free(struct core *c)
{
    for (uint32_t k = 0; k < CORE_WALK_QUESTIONS; k++)
        forget(&c->questions[k]);
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++)
        for (uint32_t k = 0; k < c->peers[id].asked_count; k++)
            blob_release(c->peers[id].asked[k].ask);
}
