/* core_sync.c - anti-entropy: STATUS says what a replica has, and drives every re-send; FETCH and DATA bring batches
 * and blocks. Nothing received here is believed without its certificate (rules 5, 26). */
#include "replica/core/core_internal.h"

#include <string.h>

#define RESEND_SLOTS_MAX 24u /* slots repaired for one STATUS */
#define RESEND_BYTES_MAX (4u * 1024u * 1024u)
#define FETCH_BATCHES_MAX 16u /* batches asked for in one interval */
#define RESEND_WAITS_MAX 8u   /* resend intervals between two STATUS of a group that is stalled */
#define FETCH_PATIENCE 4u     /* resend intervals before another source is asked */

/* ---- STATUS out ---- */

static void map_set(uint8_t *map, uint64_t bit)
{
    map[bit / 8] |= (uint8_t)(1u << (bit % 8));
}

static bool map_has(struct bytes map, uint64_t bit)
{
    return bit / 8 < map.len && ((uint32_t)map.data[bit / 8] >> (bit % 8) & 1u) != 0;
}

static uint64_t own_flags(const struct core *c)
{
    return (c->changing ? STATUS_FLAG_CHANGING : 0) | (c->listening ? STATUS_FLAG_LISTENING : 0) |
           (!c->listening && core_is_fenced(c) ? STATUS_FLAG_FENCED : 0) |
           (c->suspicion != CORE_SUSPICION_NONE ? STATUS_FLAG_SUSPECTS : 0);
}

/* shown: what this replica holds of the receiver; or empty. */
static void send_status(struct core *c, uint32_t to, uint64_t flags, struct wire_list shown)
{
    uint8_t pre_prepared[WINDOW_BATCHES / 8] = {0};
    uint8_t prepared[WINDOW_BATCHES / 8] = {0};
    uint8_t committed[WINDOW_BATCHES / 8] = {0};
    for (uint64_t n = c->executed + 1; n <= c->low + WINDOW_BATCHES; n++) {
        const struct core_slot *s = core_slot_const(c, n);
        const uint64_t bit = n - c->executed - 1;
        if (s == NULL) continue;
        const bool decided = s->decision != CORE_OPEN;
        if (s->batch.bytes != NULL || decided) map_set(pre_prepared, bit);
        if (s->phase >= CORE_PHASE_PREPARED || decided) map_set(prepared, bit);
        if (decided) map_set(committed, bit);
    }
    struct wire_status m = {.epoch = c->config.group.epoch,
                            .sender = c->config.self,
                            .view = c->view,
                            .flags = flags | own_flags(c),
                            .executed = c->executed,
                            .time_ms = c->wall_ms,
                            .stable = c->stable,
                            .pre_prepared = bytes_of(pre_prepared, sizeof pre_prepared),
                            .prepared = bytes_of(prepared, sizeof prepared),
                            .committed = bytes_of(committed, sizeof committed),
                            .shown = shown};
    core_send(c, to, &wire_record_status, &m, 0, false);
}

/* The longest wait of a group that is stalled. Two heartbeats at most: three without a STATUS are taken for silence. */
static uint64_t status_wait_max(const struct core *c)
{
    const uint64_t most = RESEND_WAITS_MAX * c->config.resend_us;
    if (most < c->config.heartbeat_us) return c->config.heartbeat_us;
    return most < 2 * c->config.heartbeat_us ? most : 2 * c->config.heartbeat_us;
}

/* Is it time to say what is here? With the heartbeat when nothing waits. Otherwise after resend_us, and while that
 * brings nothing on, after twice as long each time. Who is behind asks without a pause: the others can help. */
static bool status_due(struct core *c)
{
    const bool behind = core_is_behind(c);
    const bool waiting = behind || c->listening || c->changing || c->under_way > 0 || c->handed > c->executed ||
                         c->custody_count > 0 || c->next_token > c->durable_token;
    const bool pressing = behind || c->listening || c->suspicion != CORE_SUSPICION_NONE;
    if (c->changed || pressing || !waiting) c->status_wait_us = c->config.resend_us;
    c->changed = false;
    if (c->now_us - c->status_us < (waiting ? c->status_wait_us : c->config.heartbeat_us)) return false;
    c->status_us = c->now_us;
    const uint64_t most = status_wait_max(c);
    if (waiting && c->status_wait_us < most)
        c->status_wait_us = c->status_wait_us < most / 2 ? c->status_wait_us * 2 : most;
    return true;
}

/* Has an event that was not ignored changed something that others may wait for? What clients ask, what peers lack and
 * what they claim change nothing by themselves. */
bool core_brings_on(const struct core_event *event)
{
    switch (event->type) {
    case CORE_EVENT_START:
    case CORE_EVENT_PERSISTED:
    case CORE_EVENT_EXECUTED:
    case CORE_EVENT_DISK: return true;
    case CORE_EVENT_WALK:
    case CORE_EVENT_MISSING_BLOCK:
    case CORE_EVENT_TICK:
    case CORE_EVENT_DRAIN:
    case CORE_EVENT_STOP: return false;
    case CORE_EVENT_MESSAGE: break;
    }
    const enum wire_type type = event->message.verified->msg.type;
    return type != WIRE_TYPE_request && type != WIRE_TYPE_status && type != WIRE_TYPE_fetch;
}

void core_sync_tick(struct core *c)
{
    if (!status_due(c)) return;
    send_status(c, CORE_TO_ALL, 0, (struct wire_list){0});
    /* proposals whose batch did not come with them */
    uint32_t asked = 0;
    for (uint64_t n = c->low + 1; n <= c->low + WINDOW_BATCHES && asked < FETCH_BATCHES_MAX; n++) {
        const struct core_slot *s = core_slot_const(c, n);
        if (s == NULL || s->phase != CORE_PHASE_PROPOSED || s->batch.bytes != NULL || s->batch_void) continue;
        const struct wire_fetch m = {
            .kind = DATA_KIND_BATCH, .view = c->view, .seq = n, .count = 1, .digest = s->batch.digest};
        core_send_fetch(c, CORE_TO_ALL, m);
        asked++;
    }
    if (c->fetch_peer != UINT32_MAX && c->now_us - c->fetch_us >= c->config.resend_us * FETCH_PATIENCE) {
        /* silent, slow, trickling or lying: the next source (rule 26) */
        c->fetch_first = (c->fetch_peer + 1) % c->config.group.quorum.replica_count;
        c->fetch_peer = UINT32_MAX;
        c->fetch_until = 0;
        c->fetch_failures++;
    }
    core_fetch_blocks(c);
}

/* ---- STATUS in ---- */

/* The (f+1)-th highest claim of `executed`: at least one correct replica is there (rule 26). */
uint64_t core_peers_executed(const struct core *c)
{
    const uint32_t count = c->config.group.quorum.replica_count;
    uint64_t best = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at_least = 0;
        const uint64_t claim = c->peers[i].executed;
        for (uint32_t k = 0; k < count; k++)
            if (c->peers[k].executed >= claim) at_least++;
        if (at_least >= c->config.group.quorum.weak && claim > best) best = claim;
    }
    return best;
}

bool core_is_behind(const struct core *c)
{
    return core_peers_executed(c) > c->executed;
}

/* Sends again what this replica has said at one sequence and the peer lacks: a proposal with its batch as far as its
 * share goes, votes in any case. True: something was sent. */
static bool repair_slot(struct core *c, const struct core_slot *s, const struct wire_status *m, uint32_t to)
{
    const uint64_t bit = s->seq - m->executed - 1;
    bool sent = false;
    if (!c->active) return false;
    if (s->decided.bytes != NULL && !digest_equal(&s->decided.digest, &s->batch.digest)) return false; /* Q have decided otherwise */
    if (!map_has(m->pre_prepared, bit) && core_is_primary(c) && s->prepare_sent && s->batch.bytes != NULL &&
        core_may_serve(c, &c->peers[to], s->batch.bytes->len)) {
        core_send_vote(c, s, WIRE_TYPE_pre_prepare, to, 0, true);
        sent = true;
    }
    if (!map_has(m->prepared, bit) && !core_is_primary(c) && s->prepare_sent && s->prepares[c->config.self].present) {
        core_send_vote(c, s, WIRE_TYPE_prepare, to, 0, true);
        sent = true;
    }
    if (!map_has(m->committed, bit) && s->certificate_durable && s->commits[c->config.self].present) {
        core_send_vote(c, s, WIRE_TYPE_commit, to, 0, true);
        sent = true;
    }
    return sent;
}

static void repair(struct core *c, const struct wire_status *m, uint32_t to)
{
    uint32_t slots = 0;
    const uint64_t from = m->executed > c->low ? m->executed : c->low;
    for (uint64_t n = from + 1; n <= c->low + WINDOW_BATCHES && slots < RESEND_SLOTS_MAX; n++) {
        const struct core_slot *s = core_slot_const(c, n);
        if (s == NULL || s->phase == CORE_PHASE_EMPTY || c->now_us - s->changed_us < c->config.resend_us) continue;
        if (repair_slot(c, s, m, to)) slots++;
    }
}

static void repair_checkpoints(struct core *c, const struct wire_status *m, uint32_t to)
{
    for (uint64_t seq = c->low + CHECKPOINT_INTERVAL; seq <= c->executed; seq += CHECKPOINT_INTERVAL) {
        struct core_checkpoint *p = core_checkpoint_at(c, seq);
        if (p == NULL || p->seq != seq || !p->durable || m->stable.seq >= seq) continue;
        if (c->now_us - p->sent_us < c->config.resend_us) continue;
        core_send_checkpoint(c, p, to, 0, true);
    }
}

static uint64_t map_count(struct bytes map)
{
    uint64_t count = 0;
    for (size_t i = 0; i < map.len; i++)
        count += (uint64_t)__builtin_popcount(map.data[i]);
    return count;
}

/* Keeps what a peer says of itself. True when that is news: it has come on, or is heard again after a silence. */
static bool take_claims(struct core *c, struct core_peer *peer, const struct msg_verified *m)
{
    const struct wire_status *status = &m->msg.status;
    const uint64_t said = map_count(status->pre_prepared) + map_count(status->prepared) + map_count(status->committed);
    const bool changing = (status->flags & STATUS_FLAG_CHANGING) != 0;
    const bool silent = !peer->heard || c->now_us - peer->heard_us > 2 * status_wait_max(c);
    const bool proven = m->checkpoint_good && status->stable.seq > peer->stable;
    const bool news =
        silent || proven || peer->view != status->view || peer->changing != changing || peer->executed != status->executed || peer->said != said;
    peer->heard = true;
    peer->heard_us = c->now_us;
    peer->view = status->view;
    peer->changing = changing;
    peer->fenced = (status->flags & STATUS_FLAG_FENCED) != 0;
    peer->executed = status->executed;
    peer->suspects = (status->flags & STATUS_FLAG_SUSPECTS) != 0;
    peer->said = said;
    if (proven) peer->stable = status->stable.seq;
    return news;
}

/* A member that has just started asks what is held of it (design.md 7.6). */
static void answer_start(struct core *c, struct core_peer *peer, uint32_t to)
{
    struct wire_list shown = {0};
    if (peer->answered_us != 0 && c->now_us - peer->answered_us < c->config.resend_us / 2) return;
    peer->answered_us = c->now_us;
    struct blob *space = core_shown(c, to, &shown);
    send_status(c, to, STATUS_FLAG_ANSWER, shown);
    blob_release(space);
}

const char *core_on_status(struct core *c, const struct msg_verified *m, uint32_t from)
{
    const struct wire_status *status = &m->msg.status;
    if (status->sender != from) return "a STATUS that names another sender than its channel";
    if (from == c->config.self) return "own STATUS";
    struct core_peer *peer = &c->peers[from];
    if (take_claims(c, peer, m)) c->changed = true;
    if (m->checkpoint_good) core_weigh_checkpoints(c, &status->stable);
    if (m->checkpoint_good) core_offer_stable(c, &status->stable);
    if (c->listening && (status->flags & STATUS_FLAG_ANSWER) != 0) core_hear(c, m, from);
    if ((status->flags & STATUS_FLAG_LISTENING) != 0) answer_start(c, peer, from);
    if (peer->fenced && from == core_primary(c) && status->view == c->view && c->active && !c->disk_full)
        core_leave_view(c, c->view + 1); /* it may not propose, nor say so in a VIEW-CHANGE (rule 16) */
    const bool due = peer->repaired_us == 0 || c->now_us - peer->repaired_us >= c->config.resend_us / 2;
    if (due) {
        peer->repaired_us = c->now_us; /* however often it sends STATUS */
        core_view_repair(c, from);
        core_show_contradictions(c, from);
        if (status->view == c->view && !c->changing && !peer->changing && status->executed + WINDOW_BATCHES > c->low)
            repair(c, status, from);
        if (status->executed + WINDOW_BATCHES > c->low) repair_checkpoints(c, status, from);
    }
    core_fetch_blocks(c);
    return NULL;
}

/* ---- blocks ---- */

/* True when a peer has had the next sequence for so long that votes should have brought it here too. */
static bool left_behind(struct core *c, uint64_t next)
{
    bool ahead = false;
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++)
        if (id != c->config.self && c->peers[id].heard && c->peers[id].executed >= next) ahead = true;
    if (!ahead) return false;
    if (c->behind_seq != next) {
        c->behind_seq = next;
        c->behind_us = c->now_us;
    }
    return c->now_us - c->behind_us >= c->config.resend_us * 2;
}

static void ask_for_blocks(struct core *c, uint32_t peer, uint64_t seq, uint64_t count)
{
    const struct wire_fetch m = {.kind = DATA_KIND_BLOCK, .view = c->view, .seq = seq, .count = count};
    c->fetch_peer = peer;
    c->fetch_first = peer;
    c->fetch_us = c->now_us;
    c->fetch_bytes = 0;
    core_send_fetch(c, peer, m);
}

/* The window is full, and the others have collected the CHECKPOINTs that would move it: their certificates come with
 * the blocks of those sequences. A peer holds at least one of two in a row. */
static void fetch_checkpoint(struct core *c)
{
    const uint32_t count = c->config.group.quorum.replica_count;
    if (c->fetch_peer != UINT32_MAX) return; /* an answer is on its way */
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t id = (c->fetch_first + k) % count;
        const struct core_peer *p = &c->peers[id];
        if (id == c->config.self || !p->heard || p->stable <= c->low + WINDOW_BATCHES) continue;
        const uint64_t last = c->low + WINDOW_BATCHES;
        c->fetch_checkpoint = c->fetch_checkpoint == last ? last - CHECKPOINT_INTERVAL : last;
        c->fetch_until = last;
        ask_for_blocks(c, id, c->fetch_checkpoint, 1);
        return;
    }
}

/* Asks one peer that says it has them for the blocks after ours, when votes alone no longer bring us on. */
void core_fetch_blocks(struct core *c)
{
    const uint64_t next = c->handed + 1;
    if (c->walking || core_awaits_state(c)) return;
    if (c->fetch_peer != UINT32_MAX && c->executed < c->fetch_until) return; /* an answer is on its way */
    if (c->stable_token != 0) return;                                        /* first a stable checkpoint */
    if (next > c->low + WINDOW_BATCHES) {
        fetch_checkpoint(c);
        return;
    }
    const struct core_slot *s = core_slot_const(c, next);
    const bool behind = left_behind(c, next);
    const uint32_t count = c->config.group.quorum.replica_count;
    uint32_t best = UINT32_MAX;
    for (uint32_t k = 0; k < count && best == UINT32_MAX; k++) {
        const uint32_t id = (c->fetch_first + k) % count;
        const struct core_peer *p = &c->peers[id];
        if (id == c->config.self || !p->heard || p->executed < next) continue;
        /* what the peer has collected can only come as blocks; the rest is given time to come as votes */
        if (p->stable >= next || (behind && (s == NULL || s->decision == CORE_OPEN))) best = id;
    }
    if (best == UINT32_MAX) {
        c->fetch_peer = UINT32_MAX;
        return;
    }
    uint64_t last = c->peers[best].executed;
    if (last > c->low + WINDOW_BATCHES) last = c->low + WINDOW_BATCHES;
    if (last - next >= CORE_FETCH_BLOCKS_MAX) last = next + CORE_FETCH_BLOCKS_MAX - 1;
    c->fetch_until = last;
    ask_for_blocks(c, best, next, last - next + 1);
}

static bool may_serve_up_to(struct core *c, struct core_peer *peer, size_t bytes, uint64_t most)
{
    if (c->now_us - peer->served_us >= c->config.resend_us) {
        peer->served_us = c->now_us;
        peer->served_bytes = 0;
    }
    if (peer->served_bytes > most) return false;
    peer->served_bytes += bytes;
    return true;
}

/* One member is served so much in an interval, whatever it asks for. */
bool core_may_serve(struct core *c, struct core_peer *peer, size_t bytes)
{
    return may_serve_up_to(c, peer, bytes, RESEND_BYTES_MAX);
}

/* The same for what brings it to our view: batches alone, the last of which may be the largest, never keep that from
 * it. */
bool core_may_lead_on(struct core *c, struct core_peer *peer, size_t bytes)
{
    return may_serve_up_to(c, peer, bytes, RESEND_BYTES_MAX + BATCH_BYTES_MAX);
}

const char *core_on_fetch(struct core *c, const struct wire_fetch *m, uint32_t from)
{
    if (m->sender != from) return "a FETCH that names another sender than its channel";
    if (m->kind == DATA_KIND_BLOCK || m->kind == DATA_KIND_PAST_BLOCK) {
        const bool past = m->kind == DATA_KIND_PAST_BLOCK;
        if (m->seq == 0 || m->seq > c->executed) return "a FETCH of blocks that are not here yet";
        const uint64_t have = past ? m->seq : c->executed - m->seq + 1;
        const uint64_t asked = m->count < CORE_FETCH_BLOCKS_MAX ? m->count : CORE_FETCH_BLOCKS_MAX;
        struct core_effect *e = core_emit(c, CORE_EFFECT_SERVE_BLOCKS);
        e->serve.to = from;
        e->serve.seq = m->seq;
        e->serve.count = (uint32_t)(asked < have ? asked : have);
        e->serve.past = past;
        return NULL;
    }
    if (m->kind == DATA_KIND_VIEW_CHANGE) return core_on_fetch_view_change(c, m, from);
    if (m->kind == DATA_KIND_STATE) return core_on_fetch_state(c, m, from);
    if (m->kind != DATA_KIND_BATCH) return "a FETCH of a kind that this version does not serve";
    const struct core_slot *s = core_slot_const(c, m->seq);
    const struct core_batch *batch = s != NULL ? core_slot_batch(s, &m->digest) : NULL;
    if (batch == NULL) return "a FETCH of a batch not held";
    if (!core_may_serve(c, &c->peers[from], batch->bytes->len)) return "a FETCH of more than is served in one interval";
    struct wire_data data = {.epoch = c->config.group.epoch,
                             .sender = c->config.self,
                             .kind = DATA_KIND_BATCH,
                             .seq = m->seq,
                             .digest = batch->digest,
                             .payload = blob_bytes(batch->bytes)};
    core_send(c, from, &wire_record_data, &data, 0, false);
    return NULL;
}

/* Keeps account of an answer under way: one that has reached its size ends here, and the next may be asked for. */
static void count_block(struct core *c, const struct msg_verified *m, uint32_t from)
{
    if (from != c->fetch_peer || m->block.header.seq > c->fetch_until) return;
    c->fetch_bytes += m->blob->len;
    if (c->fetch_bytes >= CORE_SERVE_BYTES_MAX) c->fetch_until = m->block.header.seq;
}

static const char *on_block(struct core *c, struct msg_verified *m)
{
    const struct wire_block *b = &m->block;
    struct core_slot *s = core_slot(c, b->header.seq);
    if (s == NULL) return "a block outside the window";
    core_weigh_votes(c, &b->committed, false);
    struct wire_iterator i = wire_list_start(b->checkpoint);
    struct wire_checkpoint_certificate proof;
    if (m->checkpoint_good && wire_list_next(&i, &wire_record_checkpoint_certificate, &proof)) {
        core_weigh_checkpoints(c, &proof);
        if (s->decision == CORE_EXECUTED) core_offer_stable(c, &proof);
        if (s->checkpoint == NULL) s->checkpoint = wire_encode_blob(&wire_record_checkpoint_certificate, &proof);
    }
    if (s->decision != CORE_OPEN) return "a block that is committed here already";
    /* Q COMMITs prove this batch at this sequence, whatever this replica had accepted here */
    struct blob *batch = blob_copy(b->batch);
    core_batch_set(&s->decided, batch, &b->committed.digest, m->batch.batch.time_ms);
    blob_release(batch);
    s->batch_persisted = s->kept != NULL && digest_equal(&s->kept_batch.digest, &s->decided.digest);
    s->committed = wire_encode_blob(&wire_record_vote_certificate, &b->committed);
    core_slot_decide(c, s, CORE_DECIDED);
    return NULL;
}

const char *core_on_data(struct core *c, struct msg_verified *m, uint32_t from)
{
    const struct wire_data *d = &m->msg.data;
    if (d->sender != from) return "DATA that names another sender than its channel";
    if (d->kind == DATA_KIND_BLOCK) {
        count_block(c, m, from);
        return on_block(c, m);
    }
    if (d->kind == DATA_KIND_STATE) return core_on_state_data(c, m, from);
    if (d->kind == DATA_KIND_PAST_BLOCK) return core_on_past_block(c, m, from);
    if (d->kind != DATA_KIND_BATCH || !m->has_batch) return "DATA of a kind that was not asked for";
    struct core_slot *s = core_slot(c, d->seq);
    if (core_take_missing(c, m)) return NULL;
    if (s == NULL || s->phase != CORE_PHASE_PROPOSED || !digest_equal(&s->batch.digest, &d->digest))
        return "a batch that no proposal waits for";
    return core_attach_batch(c, s, &m->batch, d->payload);
}
