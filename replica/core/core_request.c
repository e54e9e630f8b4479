/* core_request.c - custody of requests, fairness between clients, building batches.
 *
 * A replica that holds a request keeps it until (client, seq) is settled (rule 25). A backup forwards what clients give
 * it to the primary, again and again. The primary serves clients in turn, one request each. */
#include "replica/core/core_internal.h"

#define CUSTODY_LEAST 2048u /* requests taken before any rate is known */
#define CUSTODY_BYTES_LEAST                                                                                            \
    (8ull * 1024u * 1024u)                /* ... and bytes: what fills the pipeline with the largest requests */
#define FORWARD_BYTES_MAX (1024u * 1024u) /* forwarded again in one look over custody ... */
#define FORWARD_COUNT_MAX 512u            /* ... and requests */
#define RATE_WINDOW_US 1000000u
#define SWEEP_US 100000u

/* ---- windows ---- */

static bool window_settled(const struct core_client_window *w, uint64_t seq)
{
    if (seq > w->highest_settled) return false;
    if (seq + CLIENT_WINDOW <= w->highest_settled) return true;
    return (w->settled >> (seq % CLIENT_WINDOW) & 1u) != 0;
}

/* The same rule as the ledger's (design.md section 6): hi rises, slots that fall out are forgotten. */
static void window_settle(struct core_client_window *w, uint64_t seq)
{
    if (seq > w->highest_settled) {
        const uint64_t rise = seq - w->highest_settled;
        if (rise >= CLIENT_WINDOW) {
            w->settled = 0;
        } else {
            for (uint64_t s = w->highest_settled + 1; s <= seq; s++)
                w->settled &= ~(1ull << (s % CLIENT_WINDOW));
        }
        w->highest_settled = seq;
    } else if (seq + CLIENT_WINDOW <= w->highest_settled) {
        return;
    }
    w->settled |= 1ull << (seq % CLIENT_WINDOW);
}

/* ---- the ring of clients that have something to propose ---- */

static void ring_push(struct core *c, uint32_t client)
{
    if (c->clients[client].queued) return;
    CHECK_OP(c->ring_count, <, c->config.client_count);
    c->ring[(c->ring_start + c->ring_count) % c->config.client_count] = client;
    c->ring_count++;
    c->clients[client].queued = true;
}

static uint32_t ring_pop(struct core *c)
{
    CHECK_OP(c->ring_count, >, 0);
    const uint32_t client = c->ring[c->ring_start];
    c->ring_start = (c->ring_start + 1) % c->config.client_count;
    c->ring_count--;
    c->clients[client].queued = false;
    return client;
}

/* The lowest held sequence of a client that its window allows: its requests are ordered as it numbered them. */
static struct core_request *client_next(struct core_client *owner)
{
    struct core_request *best = NULL;
    if (owner->held == 0) return NULL;
    for (uint32_t k = 0; k < CORE_CLIENT_REQUESTS; k++) {
        struct core_request *r = &owner->requests[k];
        if (r->state != CORE_REQUEST_HELD || r->seq > owner->window.highest_settled + CLIENT_WINDOW) continue;
        if (best == NULL || r->seq < best->seq) best = r;
    }
    return best;
}

/* Puts a client with something to propose into the ring. */
static void offer(struct core *c, uint32_t client)
{
    if (client_next(&c->clients[client]) != NULL) ring_push(c, client);
}

/* ---- custody ---- */

static void request_drop(struct core *c, uint32_t client, struct core_request *r)
{
    if (r->state == CORE_REQUEST_HELD) {
        c->clients[client].held--;
        c->held_count--;
    }
    c->custody_count--;
    c->custody_bytes -= r->bytes->len;
    c->clients[client].bytes -= r->bytes->len;
    if (r->parked) {
        c->clients[client].parked_bytes -= r->bytes->len;
        c->parked_bytes -= r->bytes->len;
    }
    blob_release(r->bytes);
    *r = (struct core_request){.state = CORE_REQUEST_EMPTY};
}

/* What custody may hold: as much as clears in T/2 at the recent rate, requests and bytes (design.md section 8). */
static uint64_t custody_limit(const struct core *c)
{
    const uint64_t clears = c->rate_per_second * (c->config.timeout_us / 2u) / 1000000u;
    return clears > CUSTODY_LEAST ? clears : CUSTODY_LEAST;
}

static uint64_t custody_bytes_limit(const struct core *c)
{
    const uint64_t clears = c->bytes_per_second * (c->config.timeout_us / 2u) / 1000000u;
    if (clears < CUSTODY_BYTES_LEAST) return CUSTODY_BYTES_LEAST;
    return clears < CORE_CUSTODY_BYTES_MAX ? clears : CORE_CUSTODY_BYTES_MAX;
}

static void send_busy(struct core *c, uint32_t client, uint64_t seq, const struct digest *transaction,
                      enum busy_reason reason)
{
    const struct wire_busy m = {.epoch = c->config.group.epoch,
                                .sender = c->config.self,
                                .seq = seq,
                                .transaction = *transaction,
                                .reason = reason,
                                .retry_ms = reason == BUSY_OVERLOAD ? c->config.timeout_us / 2000u : 0,
                                .view = c->view};
    struct core_effect *e = core_emit(c, CORE_EFFECT_SEND_CLIENT);
    e->send_client.client = client;
    e->send_client.bytes = wire_encode_blob(&wire_record_busy, &m);
}

static void forward(struct core *c, struct core_request *r)
{
    core_send_blob(c, core_primary(c), WIRE_TYPE_request, blob_retain(r->bytes), 0, r->forwarded_us != 0);
    if (r->forwarded_us != 0 && !r->given_again) {
        r->given_again = true;
        r->roomy_before = c->roomy_batches;
    }
    r->forwarded_us = c->now_us;
    core_demotion_handed(c);
}

/* May a request above its client's window be held until the window has moved? Only the primary can use it, and it takes
 * a small share: nothing says that the window will ever move. */
static bool may_park(const struct core *c, const struct core_client *owner, uint64_t seq, size_t bytes)
{
    return core_is_primary(c) && seq <= owner->window.highest_settled + CORE_CLIENT_REQUESTS &&
           owner->parked_bytes + bytes <= CORE_PARKED_BYTES_MAX && c->parked_bytes + bytes <= CORE_PARKED_TOTAL_MAX;
}

/* Parked too long: its client sends it again. */
static bool parked_too_long(const struct core *c, const struct core_client *owner, const struct core_request *r)
{
    return r->parked && r->seq > owner->window.highest_settled + CLIENT_WINDOW &&
           c->now_us - r->since_us > c->config.timeout_us;
}

static void time_from_now(const struct core *c, struct core_request *r)
{
    r->since_us = c->now_us;
    r->roomy_before = c->roomy_batches;
}

enum core_standing core_request_standing(const struct core *c, uint32_t client, uint64_t seq, size_t bytes)
{
    if (client >= c->config.client_count || c->walking || c->disk_full) return CORE_STANDING_OPEN;
    const struct core_client *owner = &c->clients[client];
    const struct core_request *r = &owner->requests[seq % CORE_CLIENT_REQUESTS];
    if (r->state != CORE_REQUEST_EMPTY && r->seq == seq) return CORE_STANDING_HELD;
    if (seq > owner->window.highest_settled + CLIENT_WINDOW)
        return may_park(c, owner, seq, bytes) ? CORE_STANDING_OPEN : CORE_STANDING_ABOVE;
    return seq + CLIENT_WINDOW <= owner->window.highest_settled ? CORE_STANDING_BELOW : CORE_STANDING_OPEN;
}

bool core_holds_another(const struct core *c, uint32_t client, uint64_t seq, const struct digest *transaction)
{
    if (client >= c->config.client_count) return false;
    const struct core_request *r = &c->clients[client].requests[seq % CORE_CLIENT_REQUESTS];
    return r->state != CORE_REQUEST_EMPTY && r->seq == seq && !digest_equal(&r->transaction, transaction);
}

const char *core_on_request(struct core *c, struct msg_verified *m, uint32_t client, bool from_member)
{
    const struct wire_request *q = &m->msg.request;
    if (client >= c->config.client_count) return "request of an unknown client";
    if (from_member && !core_is_primary(c)) return "a request was forwarded to a backup";
    if (c->walking) { /* nothing is known here of what is settled */
        if (!from_member) send_busy(c, client, q->seq, &m->id, BUSY_NOT_READY);
        return "the state is being transferred";
    }
    struct core_client *owner = &c->clients[client];
    struct core_request *r = &owner->requests[q->seq % CORE_CLIENT_REQUESTS];
    if (q->seq > owner->window.highest_settled + CLIENT_WINDOW && !c->disk_full) {
        if (!from_member) send_busy(c, client, q->seq, &m->id, BUSY_TOO_FAR);
        if (!may_park(c, owner, q->seq, m->blob->len)) return "request above its client's window";
    }
    if (q->seq + CLIENT_WINDOW <= owner->window.highest_settled) {
        if (!from_member) send_busy(c, client, q->seq, &m->id, BUSY_TOO_OLD);
        return "request below its client's window";
    }
    if (window_settled(&owner->window, q->seq)) {
        if (from_member) return "a settled request was forwarded"; /* its client asks whom it wants an answer of */
        struct core_effect *e = core_emit(c, CORE_EFFECT_ANSWER);  /* the ledger knows whether it was this one */
        e->answer.client = client;
        e->answer.seq = q->seq;
        e->answer.transaction = m->id;
        return NULL;
    }
    if (c->disk_full) { /* also of one that is held already: its client shall know why it waits */
        if (!from_member) send_busy(c, client, q->seq, &m->id, BUSY_DISK_FULL);
        return "the disk is full";
    }
    if (r->state != CORE_REQUEST_EMPTY) return "a request with this client sequence is in custody already";
    if (c->draining || c->custody_count >= custody_limit(c) ||
        c->custody_bytes + m->blob->len > custody_bytes_limit(c) ||
        owner->bytes + m->blob->len > CORE_CLIENT_BYTES_MAX) {
        if (!from_member) send_busy(c, client, q->seq, &m->id, c->draining ? BUSY_NOT_READY : BUSY_OVERLOAD);
        return "custody is full";
    }
    *r = (struct core_request){.state = CORE_REQUEST_HELD,
                               .seq = q->seq,
                               .transaction = m->id,
                               .leaf = m->leaf,
                               .bytes = blob_retain(m->blob),
                               .ops = q->ops.count,
                               .parked = q->seq > owner->window.highest_settled + CLIENT_WINDOW,
                               .expiry_ms = q->expiry_ms};
    time_from_now(c, r);
    owner->held++;
    if (c->held_count == 0) c->oldest_held_us = c->now_us;
    c->held_count++;
    if (c->custody_count == 0) c->oldest_custody_us = c->now_us;
    c->custody_count++;
    c->custody_bytes += r->bytes->len;
    owner->bytes += r->bytes->len;
    if (r->parked) {
        owner->parked_bytes += r->bytes->len;
        c->parked_bytes += r->bytes->len;
    }
    if (core_is_primary(c))
        offer(c, client);
    else
        forward(c, r);
    return NULL;
}

/* What was parked above the window that ended at `before`, and stands in it now: it could not be ordered until now, so
 * its time begins. */
static void time_reached(struct core *c, struct core_client *owner, uint64_t before)
{
    if (owner->parked_bytes == 0) return;
    for (uint32_t k = 0; k < CORE_CLIENT_REQUESTS; k++) {
        struct core_request *r = &owner->requests[k];
        if (r->parked && r->seq > before && r->seq <= owner->window.highest_settled + CLIENT_WINDOW)
            time_from_now(c, r);
    }
}

uint64_t core_settle(struct core *c, uint32_t client, uint64_t seq)
{
    uint64_t since_us = UINT64_MAX;
    if (client >= c->config.client_count) return since_us;
    struct core_client *owner = &c->clients[client];
    const uint64_t before = owner->window.highest_settled + CLIENT_WINDOW;
    window_settle(&owner->window, seq);
    time_reached(c, owner, before);
    c->settled_total++;
    struct core_request *r = &owner->requests[seq % CORE_CLIENT_REQUESTS];
    if (r->state != CORE_REQUEST_EMPTY && window_settled(&owner->window, r->seq)) {
        c->settled_bytes += r->bytes->len;
        since_us = r->since_us;
        request_drop(c, client, r);
    }
    if (core_is_primary(c)) offer(c, client); /* the window may have moved up to what is held */
    return since_us;
}

/* Lets go of what is settled or has run out. */
static void sweep_client(struct core *c, uint32_t client)
{
    struct core_client *owner = &c->clients[client];
    if (owner->bytes == 0) return;
    for (uint32_t k = 0; k < CORE_CLIENT_REQUESTS; k++) {
        struct core_request *r = &owner->requests[k];
        if (r->state == CORE_REQUEST_EMPTY) continue;
        /* held until settled, or past expiry + drift by the own clock */
        if (window_settled(&owner->window, r->seq) || parked_too_long(c, owner, r) ||
            (r->state == CORE_REQUEST_HELD && c->wall_ms > r->expiry_ms + c->config.drift_ms))
            request_drop(c, client, r);
    }
}

/* Forwards again what the primary has left unanswered, so many bytes in one look, and so many in one step, which may
 * leave several views. The next look begins where this one ended: who comes late has its turn too. */
static void forward_again(struct core *c)
{
    const uint64_t places = (uint64_t)c->config.client_count * CORE_CLIENT_REQUESTS;
    const bool all = core_demotion_hands_again(c);
    size_t bytes = 0;
    uint32_t count = 0;
    uint64_t i = 0;
    while (i < places) {
        const uint64_t place = (c->forward_next + i) % places;
        struct core_client *owner = &c->clients[place / CORE_CLIENT_REQUESTS];
        struct core_request *r = &owner->requests[place % CORE_CLIENT_REQUESTS];
        if (owner->bytes == 0) {
            i += CORE_CLIENT_REQUESTS - place % CORE_CLIENT_REQUESTS;
            continue;
        }
        i++;
        const bool recent = r->forwarded_us != 0 && c->now_us - r->forwarded_us < c->config.resend_us * 4;
        if (r->state == CORE_REQUEST_EMPTY || (recent && !all)) continue;
        if (bytes >= FORWARD_BYTES_MAX || count >= FORWARD_COUNT_MAX || c->effects->count >= CORE_EFFECTS_ENOUGH) {
            c->forward_next = place;
            return;
        }
        bytes += r->bytes->len;
        count++;
        forward(c, r);
    }
    c->forward_next = 0;
}

static void sweep(struct core *c)
{
    c->sweep_us = c->now_us;
    for (uint32_t client = 0; client < c->config.client_count; client++)
        sweep_client(c, client);
    if (!core_is_primary(c)) forward_again(c);
}

void core_custody_tick(struct core *c)
{
    if (c->now_us - c->rate_mark_us >= RATE_WINDOW_US) {
        const uint64_t elapsed = c->now_us - c->rate_mark_us;
        c->rate_per_second = (c->settled_total - c->rate_mark_total) * 1000000u / elapsed;
        c->bytes_per_second = (c->settled_bytes - c->rate_mark_bytes) * 1000000u / elapsed;
        c->rate_mark_total = c->settled_total;
        c->rate_mark_bytes = c->settled_bytes;
        c->rate_mark_us = c->now_us;
    }
    if (c->custody_count == 0 || c->now_us - c->sweep_us < SWEEP_US) return;
    sweep(c);
}

/* The view was left or entered: no request is in a proposal of ours any more, and the new primary hears of all that is
 * held. */
void core_custody_new_view(struct core *c)
{
    c->ring_start = 0;
    c->ring_count = 0;
    for (uint32_t client = 0; client < c->config.client_count; client++) {
        struct core_client *owner = &c->clients[client];
        owner->queued = false;
        for (uint32_t k = 0; k < CORE_CLIENT_REQUESTS; k++) {
            struct core_request *r = &owner->requests[k];
            r->forwarded_us = 0;
            r->given_again = false;
            if (r->state != CORE_REQUEST_PROPOSED) continue;
            r->state = CORE_REQUEST_HELD;
            owner->held++;
            c->held_count++;
        }
        if (core_is_primary(c)) offer(c, client);
    }
    if (c->custody_count > 0) sweep(c);
}

/* Since when the oldest request waits that can be ordered now. */
uint64_t core_custody_oldest(const struct core *c)
{
    uint64_t oldest = UINT64_MAX;
    for (uint32_t client = 0; client < c->config.client_count; client++) {
        const struct core_client *owner = &c->clients[client];
        for (uint32_t k = 0; k < CORE_CLIENT_REQUESTS && owner->bytes > 0; k++) {
            const struct core_request *r = &owner->requests[k];
            if (r->state == CORE_REQUEST_EMPTY || r->seq > owner->window.highest_settled + CLIENT_WINDOW) continue;
            if (r->since_us < oldest) oldest = r->since_us;
        }
    }
    return oldest;
}

/* ---- batches ---- */

struct batch_plan {
    uint32_t count;
    uint32_t ops;
    size_t items_bytes;
    struct core_request *requests[BATCH_REQUESTS_MAX];
};

/* Takes requests from the clients in turn, one each (rule 25), until the batch is full. */
static void plan_batch(struct core *c, struct batch_plan *plan)
{
    plan->count = 0;
    plan->ops = 0;
    plan->items_bytes = 0;
    while (c->ring_count > 0 && plan->count < c->config.batch_requests_max && plan->items_bytes < BATCH_BYTES_TARGET) {
        const uint32_t client = ring_pop(c);
        struct core_client *owner = &c->clients[client];
        struct core_request *r = client_next(owner);
        if (r == NULL) continue;
        if (r->ops > BLOCK_OPS_MAX - plan->ops) { /* the next batch begins with it */
            ring_push(c, client);
            return;
        }
        plan->ops += r->ops;
        r->state = CORE_REQUEST_PROPOSED;
        owner->held--;
        c->held_count--;
        c->leaf_space[plan->count] = r->leaf;
        plan->requests[plan->count++] = r;
        plan->items_bytes += r->bytes->len + 9;
        offer(c, client);
    }
}

static bool propose_batch(struct core *c, struct core_slot *s, bool empty)
{
    struct batch_plan plan;
    plan_batch(c, &plan);
    if (plan.count == 0 && !empty) return false; /* what was held has been settled meanwhile */
    const struct core_slot *before = core_slot_const(c, s->seq - 1);
    const bool known = before != NULL && before->batch.bytes != NULL && before->batch.time_ms != 0;
    const uint64_t previous_ms = known ? before->batch.time_ms : c->executed_time_ms;
    const uint64_t time_ms = c->wall_ms > previous_ms ? c->wall_ms : previous_ms;
    struct blob *items = blob_new(plan.items_bytes);
    struct writer w = writer_of(items->data, items->len);
    struct wire_batch batch = {.time_ms = time_ms};
    for (uint32_t i = 0; i < plan.count; i++)
        wire_list_add_bytes(&batch.requests, &w, blob_bytes(plan.requests[i]->bytes));
    CHECK(!w.overflow);
    struct blob *bytes = wire_encode_blob(&wire_record_batch, &batch);
    blob_release(items);
    const struct digest digest = batch_digest(time_ms, c->leaf_space, plan.count);
    struct wire_pre_prepare m = {
        .epoch = c->config.group.epoch, .sender = c->config.self, .view = c->view, .seq = s->seq, .digest = digest};
    const struct digest statement = wire_record_signing_digest(&c->config.group.id, &wire_record_pre_prepare, &m);
    c->config.sign(c->config.sign_context, &statement, &m.signature);
    core_accept_proposal(c, s, &digest, &m.signature, bytes, time_ms);
    s->prepare_sent = true; /* the PRE-PREPARE is the primary's vote (rule 18) */
    c->next_seq = s->seq + 1;
    c->under_way++;
    c->oldest_held_us = c->now_us;
    blob_release(bytes);
    core_send_vote(c, s, WIRE_TYPE_pre_prepare, CORE_TO_ALL, 0, false);
    return true;
}

static bool may_lead(const struct core *c)
{
    if (!c->active || c->draining || c->disk_full || c->walking || !core_is_primary(c)) return false;
    if (c->next_seq > c->low + WINDOW_BATCHES || core_may_have_voted(c, c->next_seq)) return false;
    return c->executed >= c->carried_until; /* what the NEW-VIEW carried over settles its requests first */
}

/* At once when idle; while batches are under way, when enough has gathered or has waited. */
static bool may_propose(const struct core *c)
{
    if (c->ring_count == 0 || !may_lead(c)) return false;
    if (c->under_way == 0) return true;
    if (c->under_way >= c->config.pipeline_max) return false;
    return c->held_count >= c->config.batch_fill || c->now_us - c->oldest_held_us >= c->config.batch_delay_us;
}

/* True when at least one batch was proposed. */
bool core_propose(struct core *c)
{
    bool proposed = false;
    while (may_propose(c)) {
        struct core_slot *s = core_slot(c, c->next_seq);
        if (s->phase != CORE_PHASE_EMPTY || s->decision != CORE_OPEN) {
            c->next_seq++;
            continue;
        }
        if (!propose_batch(c, s, false)) break;
        proposed = true;
        if (c->config.group.quorum.quorum == 1) break; /* prepared at once by the next look at the slots */
    }
    return proposed;
}

/* Nothing is to be done, and a batch may be proposed. */
bool core_may_fill(const struct core *c)
{
    return may_lead(c) && c->ring_count == 0 && c->under_way == 0 && c->executed + 1 == c->next_seq;
}

void core_propose_empty(struct core *c)
{
    struct core_slot *s = core_slot(c, c->next_seq);
    if (s->phase == CORE_PHASE_EMPTY && s->decision == CORE_OPEN) (void)propose_batch(c, s, true);
}
