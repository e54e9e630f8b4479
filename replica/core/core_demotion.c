/* core_demotion.c - a primary that takes its time, or passes a client over, is left before T is over.
 *
 * T bounds what one request may wait; a primary that uses it up each time makes the group as slow as it likes. A backup
 * looks for what a primary that keeps the rules gives no occasion for:
 *
 *   idle      nothing it has proposed is unfinished, though this backup has handed requests on to it, for longer than
 *             a bound that is learned from how quick other primaries were;
 *   slow      its proposals keep that backup waiting so, if shorter, again and again;
 *   unfair    batch after batch had room for a request that it was given long ago (rule 25).
 *
 * Each may be a mistake of one backup, so none leaves alone: STATUS says that its sender suspects the primary, and
 * who suspects it leaves the view once f+1 do, one correct replica at least among them. Others join those (rule 16).
 * Each time makes this replica more patient for a while, so that a mistake is not made again and again. */
#include "replica/core/core_internal.h"

#define GAPS_WEIGHT 16u   /* gaps that the mean of a primary's remembers; it says nothing before so many */
#define USUAL_TIMES 8u    /* what is usual may take so many times as long */
#define EASE_US 60000000u /* after so long it is halved again */
#define HEARD_RESENDS 3u  /* a suspicion is said in each resend interval; one not heard for so many is over */
#define WASTE_SHARE 8u    /* one part in so many of the time may go by in long waits */
#define CHECK_US 100000u  /* between two looks over custody for requests that are passed over */
#define NOBODY UINT32_MAX

/* ---- what is learned ---- */

/* Since when this replica waits for a proposal, as far as is known without a look over custody: it may be later. */
static uint64_t waits_since(const struct core *c)
{
    const uint64_t idle_us = core_timer_start(c, c->idle_us);
    return idle_us > c->oldest_custody_us ? idle_us : c->oldest_custody_us;
}

/* At the end of each step. */
void core_demotion_look(struct core *c)
{
    if (c->under_way > 0 || c->handed > c->executed)
        c->idle_us = c->handed_us = 0;
    else if (c->idle_us == 0)
        c->idle_us = c->now_us;
}

/* A batch was executed that had room for more. Bytes fill one too: such a batch passes nobody over. */
void core_demotion_executed(struct core *c, const struct core_batch *batch)
{
    if (batch->bytes != NULL && batch->bytes->len < BATCH_BYTES_TARGET / 2) c->roomy_batches++;
}

/* The (f+1)-th smallest of what members let others wait as primaries: one that keeps the rules has let them wait so
 * long. UINT64_MAX: too few have led. except: whose waits are not looked at, or NOBODY. */
static uint64_t usual_gap(const struct core *c, uint32_t except)
{
    const uint32_t count = c->config.group.quorum.replica_count;
    uint64_t usual = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at_most = 0;
        for (uint32_t k = 0; k < count; k++)
            if (k != except && c->peers[k].gaps >= GAPS_WEIGHT && c->peers[k].gap_us <= c->peers[i].gap_us) at_most++;
        if (at_most >= c->config.group.quorum.weak && c->peers[i].gap_us < usual) usual = c->peers[i].gap_us;
    }
    return usual;
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
    return bound_of(c, usual_gap(c, NOBODY));
}

/* A wait that is not held against the primary. Its own waits are no measure here, or its habit would become usual. */
static uint64_t short_wait(const struct core *c)
{
    const uint64_t usual_us = usual_gap(c, core_primary(c));
    return bound_of(c, usual_us == UINT64_MAX ? 0 : usual_us);
}

/* Of the long waits in this view, what is more than their share of the time. */
static uint64_t wasted(const struct core *c)
{
    const uint64_t allowed_us = (c->now_us - c->wasted_at_us) / WASTE_SHARE;
    return c->wasted_view == c->view && c->wasted_us > allowed_us ? c->wasted_us - allowed_us : 0;
}

/* A proposal has been accepted in the normal course: how long has it been waited for? */
void core_demotion_proposed(struct core *c)
{
    if (c->idle_us == 0 || c->custody_count == 0) return;
    struct core_peer *p = &c->peers[core_primary(c)];
    const uint64_t since_us = waits_since(c);
    const uint64_t gap_us = c->now_us > since_us ? c->now_us - since_us : 0;
    if (p->gaps < GAPS_WEIGHT) p->gaps++;
    p->gap_us = (p->gap_us * (p->gaps - 1) + gap_us) / p->gaps;
    if (gap_us < short_wait(c)) return;
    c->wasted_us = wasted(c) + gap_us;
    c->wasted_at_us = c->now_us;
    c->wasted_view = c->view;
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
    if (c->idle_us == 0 || c->custody_count == 0 || c->executed >= c->low + WINDOW_BATCHES) return false;
    const uint64_t idle_us = core_timer_start(c, c->idle_us);
    const uint64_t bound_us = idle_bound(c);
    if (c->now_us - idle_us < bound_us) return false;
    if (c->handed_us == 0 || c->now_us - c->handed_us < bound_us / 2) return false;
    const uint64_t oldest_us = core_custody_oldest(c);
    return oldest_us <= c->now_us && c->now_us - oldest_us >= bound_us;
}

static bool is_slow(const struct core *c)
{
    return wasted(c) >= c->backoff.now_us << c->lenience;
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

/* While this replica is behind it does not know what the primary does. */
static enum core_suspicion judge(struct core *c)
{
    if (!c->active || c->diverged || c->stopping || c->disk_full || c->walking) return CORE_SUSPICION_NONE;
    if (core_peers_executed(c) > c->executed) return CORE_SUSPICION_NONE;
    if (is_idle(c)) return CORE_SUSPICION_IDLE;
    if (is_slow(c)) return CORE_SUSPICION_SLOW;
    return is_unfair(c) ? CORE_SUSPICION_UNFAIR : CORE_SUSPICION_NONE;
}

const char *core_suspicion_text(enum core_suspicion suspicion)
{
    switch (suspicion) {
    case CORE_SUSPICION_NONE: break;
    case CORE_SUSPICION_IDLE: return "it proposes nothing, though it has requests";
    case CORE_SUSPICION_SLOW: return "it lets requests wait for long before it proposes them, again and again";
    case CORE_SUSPICION_UNFAIR: return "its batches leave out a request that it has had for long";
    }
    return NULL;
}

/* Members that suspect the primary of this view, this one too. */
static uint32_t count_suspecting(const struct core *c)
{
    uint32_t count = 1;
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++) {
        const struct core_peer *p = &c->peers[id];
        if (id == c->config.self || !p->suspects || p->changing || p->view != c->view) continue;
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
