/* core_demotion.c - a primary that takes its time, or passes a client over, is left before T is over.
 *
 * T bounds what one request may wait; a primary that uses it up each time makes the group as slow as it likes. A backup
 * looks for what a primary that keeps the rules gives no occasion for:
 *
 *   idle      nothing it has proposed is unfinished, though this backup has handed requests on to it, for longer than
 *             a bound that is learned from how quick other primaries were;
 *   slow      more than a share of the time goes by in waits, each too short for that: nothing is proposed, prepared or
 *             decided though there is work, beyond what the network takes, or the oldest request waits for longer than
 *             a bound. The share is an eighth, and what went by so under other primaries;
 *   unfair    batch after batch had room for a request that it was given long ago (rule 25).
 *
 * Each may be a mistake of one backup, so none leaves alone: STATUS says that its sender suspects the primary, and
 * who suspects it leaves the view once f+1 do, one correct replica at least among them. Others join those (rule 16).
 * Each time makes this replica more patient for a while, so that a mistake is not made again and again. */
#include "replica/core/core_internal.h"

#define GAPS_WEIGHT 16u   /* waits that the mean of a primary's remembers; it says nothing before so many */
#define USUAL_TIMES 4u    /* what is usual may take so many times as long */
#define EASE_US 60000000u /* after so long it is halved again */
#define HEARD_RESENDS 3u  /* a suspicion is said in each resend interval; one not heard for so many is over */
#define WASTE_SHARE 8u    /* one part in so many of the time may be wasted by whoever leads */
#define SHARE_ONE 1024u   /* shares of the time are counted in such parts */
#define STALL_LEAST 64u   /* each stall may take this part of T at least: a batch takes its time; ... */
#define STALL_MOST 8u     /* ... this at most; ... */
#define STALL_TIMES 2u    /* ... between them so many times as long as others' votes take */
#define VOTES_WEIGHT 16u  /* batches of which the one with the quickest votes is looked at */
#define LED_TIMEOUTS 16u  /* so many T of work are remembered of a primary; it says nothing before one */
#define CHECK_US 100000u  /* between two looks over custody */
#define NOBODY UINT32_MAX

/* ---- what is learned ---- */

/* It takes part, and can tell how the primary does; also when that is itself: it knows best what one that keeps the
 * rules can do. */
static bool watches(const struct core *c)
{
    return c->active && !c->diverged && !c->stopping && !c->disk_full && !c->walking;
}

/* Without a stable checkpoint nothing more may be proposed. */
static bool window_is_full(const struct core *c)
{
    return c->executed >= c->low + WINDOW_BATCHES;
}

static bool has_work(const struct core *c)
{
    return c->custody_count > 0 || c->under_way > 0;
}

/* A batch was executed. A roomy one passes over what is not in it; bytes fill a batch too. oldest_us: since when the
 * oldest of its requests was in custody here, UINT64_MAX: none was. */
void core_demotion_executed(struct core *c, const struct core_batch *batch, uint64_t oldest_us)
{
    if (batch->bytes != NULL && batch->bytes->len < BATCH_BYTES_TARGET / 2) c->roomy_batches++;
    if (oldest_us == UINT64_MAX || !watches(c) || core_is_behind(c)) return;
    struct core_peer *p = &c->peers[core_primary(c)];
    const uint64_t since_us = core_timer_start(c, oldest_us);
    const uint64_t gap_us = c->now_us > since_us ? c->now_us - since_us : 0;
    if (p->gaps < GAPS_WEIGHT) p->gaps++;
    p->gap_us = (p->gap_us * (p->gaps - 1) + gap_us) / p->gaps;
}

/* UINT64_MAX: it has not led for long enough to say. */
typedef uint64_t (*trait)(const struct core *c, const struct core_peer *p);

/* How long requests waited until they were executed while it led. */
static uint64_t gap_of(const struct core *c, const struct core_peer *p)
{
    (void)c;
    return p->gaps >= GAPS_WEIGHT ? p->gap_us : UINT64_MAX;
}

/* Which part of the time with work, of T at least, was wasted while it led; in parts of SHARE_ONE. */
static uint64_t waste_of(const struct core *c, const struct core_peer *p)
{
    return p->led_us >= c->config.timeout_us ? p->wasted_us * SHARE_ONE / p->led_us : UINT64_MAX;
}

/* What one that keeps the rules does no better: this replica's own, or the (f+1)-th smallest among members that have
 * led, whichever is more. UINT64_MAX: it has not led, and too few have. except: who is not looked at, or NOBODY. */
static uint64_t usual(const struct core *c, trait of, uint32_t except)
{
    const uint32_t count = c->config.group.quorum.replica_count;
    uint64_t marks[REPLICAS_MAX];
    uint64_t own = UINT64_MAX;
    uint64_t usual = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        marks[i] = i == except ? UINT64_MAX : of(c, &c->peers[i]);
        if (i == c->config.self) own = marks[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at_most = 0;
        for (uint32_t k = 0; k < count && marks[i] < usual; k++)
            if (marks[k] <= marks[i]) at_most++;
        if (at_most >= c->config.group.quorum.weak) usual = marks[i];
    }
    if (own == UINT64_MAX) return usual;
    return usual == UINT64_MAX || usual < own ? own : usual;
}

/* T/8 to T/2 by what is usual. */
static uint64_t bound_of(const struct core *c, uint64_t usual_us)
{
    const uint64_t timeout_us = c->backoff.now_us;
    uint64_t bound_us = timeout_us / 2;
    if (usual_us < bound_us / USUAL_TIMES) bound_us = usual_us * USUAL_TIMES;
    if (bound_us < timeout_us / 8) bound_us = timeout_us / 8;
    return bound_us << c->lenience;
}

/* How long the primary may be idle with work. */
static uint64_t idle_bound(const struct core *c)
{
    return bound_of(c, usual(c, gap_of, NOBODY));
}

/* How long a request may wait. The primary's own habit is no measure here, or it would become usual. */
static uint64_t wait_bound(const struct core *c)
{
    const uint64_t usual_us = usual(c, gap_of, core_primary(c));
    return usual_us == UINT64_MAX ? c->backoff.now_us / 4 << c->lenience : bound_of(c, usual_us);
}

/* ---- waste ---- */

/* What was wasted in this view, less what is allowed of the time since. */
static uint64_t wasted(const struct core *c)
{
    if (c->wasted_view != c->view || c->wasted_us == 0) return 0;
    const uint64_t usual_share = usual(c, waste_of, core_primary(c));
    const uint64_t share = SHARE_ONE / WASTE_SHARE + (usual_share == UINT64_MAX ? 0 : usual_share);
    const uint64_t allowed_us = (c->now_us - c->wasted_at_us) * share / SHARE_ONE;
    return c->wasted_us > allowed_us ? c->wasted_us - allowed_us : 0;
}

static void waste(struct core *c, uint64_t us)
{
    c->wasted_us = wasted(c) + us;
    c->wasted_at_us = c->now_us;
    c->wasted_view = c->view;
    c->peers[core_primary(c)].wasted_us += us;
}

/* All that this replica can do by itself is done: nothing is on its way to its disk or to execution. */
static bool is_at_rest(const struct core *c)
{
    return c->durable_token == c->next_token && c->handed == c->executed;
}

/* A proposal is prepared: the votes of other backups took so long, on whatever network and machines; on the primary
 * there and back. One that breaks the rules can make that look long to who gets its proposal first, but not to who gets
 * it last. */
void core_demotion_prepared(struct core *c, uint64_t us)
{
    if (core_is_primary(c)) us /= 2;
    if (c->votes_count % VOTES_WEIGHT == 0) {
        c->votes_us[1] = c->votes_us[0];
        c->votes_us[0] = us;
    }
    c->votes_count++;
    if (us < c->votes_us[0]) c->votes_us[0] = us;
}

/* What each stall may take. */
static uint64_t stall_allowed(const struct core *c)
{
    const uint64_t least_us = c->backoff.now_us / STALL_LEAST;
    const uint64_t most_us = c->backoff.now_us / STALL_MOST;
    uint64_t us = c->votes_us[0];
    if (c->votes_count > VOTES_WEIGHT && c->votes_us[1] < us) us = c->votes_us[1];
    us *= STALL_TIMES;
    if (c->votes_count == 0 || us > most_us) us = most_us;
    return (us < least_us ? least_us : us) << c->lenience;
}

/* How long nothing has come on, beyond that; 0: or it is this replica that does not hear of it. */
static uint64_t stall(const struct core *c)
{
    if (c->stalled_us == 0) return 0;
    const uint64_t us = c->now_us - core_timer_start(c, c->stalled_us);
    const uint64_t allowed_us = stall_allowed(c);
    return us > allowed_us && !core_is_behind(c) ? us - allowed_us : 0;
}

/* Something has been decided or prepared, or, where nothing was under way, proposed. */
void core_demotion_comes_on(struct core *c)
{
    const uint64_t us = stall(c);
    if (us > 0) waste(c, us);
    if (c->stalled_us != 0) c->stalled_us = c->now_us;
}

static void look_for_stall(struct core *c)
{
    if (has_work(c) && is_at_rest(c) && !window_is_full(c) && watches(c)) {
        if (c->stalled_us == 0) c->stalled_us = c->now_us;
        return;
    }
    if (watches(c)) core_demotion_comes_on(c); /* this replica has something to do again, or there is nothing to do */
    c->stalled_us = 0;
}

/* Up to here it has been proposed, or executed by others, as far as this replica knows: a primary that keeps the rules
 * leaves no gap, and has no more under way than its pipeline holds. */
static uint64_t proposed_until(const struct core *c)
{
    const uint64_t most = c->executed + 2u * c->config.pipeline_max;
    uint64_t until = c->handed;
    for (uint64_t n = c->handed + 1; n <= most; n++) {
        const struct core_slot *s = core_slot_const(c, n);
        if (s == NULL || (s->phase == CORE_PHASE_EMPTY && s->decision == CORE_OPEN)) break;
        until = n;
    }
    const uint64_t others = core_peers_executed(c);
    return others > until ? others : until;
}

/* What was proposed by then is executed here: a request that is older, and still in custody, was in none of it. Without
 * this a replica that is slow itself, or behind, would hold that against the primary; or a primary that keeps it behind
 * would never be found. */
static void learn_known(struct core *c)
{
    if (c->custody_count == 0) {
        c->known_us = c->now_us;
        c->known_next_us = 0;
        return;
    }
    const bool reached = c->executed >= c->known_until;
    if (reached && c->known_next_us != 0) c->known_us = c->known_next_us;
    if (!reached && c->known_next_us != 0) return;
    c->known_until = proposed_until(c);
    c->known_next_us = c->now_us;
}

/* The oldest request in custody waits for too long: so this time goes by, too, whatever else is decided. */
static void look_over_custody(struct core *c)
{
    learn_known(c);
    if (c->now_us - c->looked_us < CHECK_US) return;
    uint64_t counted_us = c->looked_us;
    c->looked_us = c->now_us;
    if (!watches(c) || c->custody_count == 0 || window_is_full(c)) return;
    const uint64_t bound_us = wait_bound(c);
    if (c->now_us - core_timer_start(c, c->oldest_custody_us) < bound_us) return;
    const uint64_t exact_us = core_custody_oldest(c);
    if (exact_us > c->now_us) return;
    c->oldest_custody_us = exact_us; /* what was kept is a bound only */
    const uint64_t oldest_us = core_timer_start(c, exact_us);
    if (c->known_us < oldest_us + bound_us) return;
    const uint64_t stalled_us = stall(c);
    if (oldest_us > counted_us) counted_us = oldest_us;
    if (c->wasted_view == c->view && c->wasted_at_us > counted_us) counted_us = c->wasted_at_us;
    waste(c, stalled_us > c->now_us - counted_us ? stalled_us : c->now_us - counted_us);
    if (c->stalled_us != 0) c->stalled_us = c->now_us;
}

/* At the end of each step. */
void core_demotion_look(struct core *c)
{
    struct core_peer *p = &c->peers[core_primary(c)];
    if (c->under_way > 0 || c->handed > c->executed)
        c->idle_us = c->handed_us = 0;
    else if (c->idle_us == 0)
        c->idle_us = c->now_us;
    look_for_stall(c);
    if (c->led_at_us != 0) p->led_us += c->now_us - c->led_at_us;
    c->led_at_us = has_work(c) && watches(c) ? c->now_us : 0;
    if (p->led_us <= LED_TIMEOUTS * c->config.timeout_us) return;
    p->led_us /= 2;
    p->wasted_us /= 2;
}

/* A request has been handed on. What the primary was given while it had work it may have refused, its custody being
 * full; an idle one has room. */
void core_demotion_handed(struct core *c)
{
    if (c->handed_us == 0) c->handed_us = c->now_us;
}

/* Half of the bound is over, and nothing has been handed on since the primary is idle. */
bool core_demotion_hands_again(const struct core *c)
{
    return c->idle_us != 0 && c->handed_us == 0 && c->now_us - core_timer_start(c, c->idle_us) >= idle_bound(c) / 2;
}

/* ---- suspicions ---- */

static bool is_idle(const struct core *c)
{
    if (c->idle_us == 0 || c->custody_count == 0 || window_is_full(c)) return false;
    const uint64_t idle_us = core_timer_start(c, c->idle_us);
    const uint64_t bound_us = idle_bound(c);
    if (c->now_us - idle_us < bound_us) return false;
    if (c->handed_us == 0 || c->now_us - c->handed_us < bound_us / 2) return false;
    const uint64_t oldest_us = core_custody_oldest(c);
    return oldest_us <= c->now_us && c->now_us - oldest_us >= bound_us;
}

/* Once it is, it is so until half of that is made up for: each backup says so when another hears it. */
static bool is_slow(const struct core *c)
{
    const uint64_t most_us = c->backoff.now_us << c->lenience;
    return wasted(c) + stall(c) >= (c->suspicion == CORE_SUSPICION_SLOW ? most_us / 2 : most_us);
}

/* So many batches may go by before a request that a primary has been given: it takes clients in turn, what backups hold
 * is with it after it has filled its pipeline twice or so, and twice as many are allowed. `turns`: requests of its
 * client up to this one. */
static uint64_t batches_most(const struct core *c, uint64_t turns)
{
    const uint64_t most = c->config.batch_requests_max;
    return 2u * (3u * c->config.pipeline_max + 2u + (turns * c->config.client_count + most - 1) / most);
}

static bool passes_over(const struct core *c, const struct core_client *owner)
{
    if (owner->bytes == 0) return false;
    for (uint32_t k = 0; k < CORE_CLIENT_REQUESTS; k++) {
        const struct core_request *r = &owner->requests[k];
        uint64_t turns = 0;
        if (!r->given_again || r->seq > owner->window.highest_settled + CLIENT_WINDOW) continue;
        if (c->now_us - core_timer_start(c, r->since_us) < c->backoff.now_us / 2) continue;
        for (uint32_t before = 0; before < CORE_CLIENT_REQUESTS; before++)
            if (owner->requests[before].state != CORE_REQUEST_EMPTY && owner->requests[before].seq <= r->seq) turns++;
        if (c->roomy_batches - r->roomy_before > batches_most(c, turns) << c->lenience) return true;
    }
    return false;
}

static bool is_unfair(struct core *c)
{
    if (c->custody_count == 0) return false;
    if (c->now_us - core_timer_start(c, c->oldest_custody_us) < c->backoff.now_us / 2) return false;
    if (c->now_us - c->fairness_us < CHECK_US) return c->suspicion == CORE_SUSPICION_UNFAIR;
    c->fairness_us = c->now_us;
    for (uint32_t client = 0; client < c->config.client_count; client++)
        if (passes_over(c, &c->clients[client])) return true;
    return false;
}

static enum core_suspicion judge(struct core *c)
{
    if (core_is_primary(c) || !watches(c)) return CORE_SUSPICION_NONE;
    if (core_is_behind(c)) /* what it does not see yet is no reason; what it has seen is */
        return is_slow(c) ? CORE_SUSPICION_SLOW : CORE_SUSPICION_NONE;
    if (is_idle(c)) return CORE_SUSPICION_IDLE;
    if (is_slow(c)) return CORE_SUSPICION_SLOW;
    return is_unfair(c) ? CORE_SUSPICION_UNFAIR : CORE_SUSPICION_NONE;
}

const char *core_suspicion_text(enum core_suspicion suspicion)
{
    switch (suspicion) {
    case CORE_SUSPICION_NONE: break;
    case CORE_SUSPICION_IDLE: return "it proposes nothing, though it has requests";
    case CORE_SUSPICION_SLOW:
        return "too much of the time goes by with nothing proposed or decided, or with requests that wait for too long";
    case CORE_SUSPICION_UNFAIR: return "its batches leave out a request that it has had for long";
    }
    return NULL;
}

/* Members that suspect the primary of this view, or have left it, and this one. */
static uint32_t count_suspecting(const struct core *c)
{
    uint32_t count = 1;
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++) {
        const struct core_peer *p = &c->peers[id];
        const bool left = p->changing && p->view == c->view + 1;
        if (id == c->config.self || (!left && (!p->suspects || p->changing || p->view != c->view))) continue;
        if (c->now_us - p->heard_us <= HEARD_RESENDS * c->config.resend_us) count++;
    }
    return count;
}

void core_demotion_tick(struct core *c)
{
    const enum core_suspicion before = c->suspicion;
    if (c->lenience > 0 && c->now_us - c->lenience_us >= EASE_US) {
        c->lenience--;
        c->lenience_us = c->now_us;
    }
    look_over_custody(c);
    c->suspicion = judge(c);
    if (c->suspicion == CORE_SUSPICION_NONE) return;
    if (before == CORE_SUSPICION_NONE) c->status_us = 0; /* it is said at once */
    if (count_suspecting(c) < c->config.group.quorum.weak) return;
    if (c->lenience < CORE_LENIENCE_MAX) c->lenience++;
    c->lenience_us = c->now_us;
    c->demotions++;
    c->suspicion = CORE_SUSPICION_NONE;
    core_give_up_view(c);
}
