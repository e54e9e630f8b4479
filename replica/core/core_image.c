/* core_image.c - the whole state of a core as bytes and back: what a recording begins with (replica/run/recorder.h).
 *
 * One walk does both. What is read is checked as far as memory goes: every number that indexes is in range, every
 * message that is decoded later decodes, every blob that must be there is there. Whether a core can ever have come into
 * that state is not looked at: the invariants of core_step say so.
 *
 * A field that is missing here is a replay that goes another way than the run did. A struct that has changed does not
 * compile until its line below is brought up to date, together with the walk. */
#include "replica/core/core_internal.h"

#include <string.h>

#define KNOWS_EVERY_FIELD(type, size)                                                                                  \
    _Static_assert(sizeof(void *) != 8 || sizeof(struct type) == (size), "core_image knows every field of this "       \
                                                                         "struct")
KNOWS_EVERY_FIELD(core, 110176); /* agreed stays out: 0 is always right */
KNOWS_EVERY_FIELD(core_slot, 352);
KNOWS_EVERY_FIELD(core_batch, 48);
KNOWS_EVERY_FIELD(core_vote, 97);
KNOWS_EVERY_FIELD(core_checkpoint, 104);
KNOWS_EVERY_FIELD(core_checkpoint_vote, 136);
KNOWS_EVERY_FIELD(core_client, 16424);
KNOWS_EVERY_FIELD(core_request, 128);
KNOWS_EVERY_FIELD(core_early, 24);
KNOWS_EVERY_FIELD(core_early_vote, 112);
KNOWS_EVERY_FIELD(core_peer, 392);
KNOWS_EVERY_FIELD(core_wanted, 48);
KNOWS_EVERY_FIELD(core_question, 40);
KNOWS_EVERY_FIELD(core_detour, 56);
KNOWS_EVERY_FIELD(core_asked, 24);
KNOWS_EVERY_FIELD(msg_verified, 904);
KNOWS_EVERY_FIELD(viewchange_backoff, 32);
KNOWS_EVERY_FIELD(viewchange_missing, 40);

#define SLOT_BATCHES 4u

static void digest_image(struct digest *d, struct image *i)
{
    image_fixed(i, d->bytes, sizeof d->bytes);
}

static void signature_image(struct signature *s, struct image *i)
{
    image_fixed(i, s->bytes, sizeof s->bytes);
}

/* NULL, or a blob that this core takes for a message of that type. */
void core_message_image(struct blob **blob, enum wire_type type, struct image *i)
{
    struct wire_message m;
    image_blob(i, blob);
    if (i->reading && *blob != NULL && (wire_decode(blob_bytes(*blob), &m) != NULL || m.type != type))
        image_fail(i, "a message is not of the type that its place says");
}

/* NULL, or a blob that this core takes for such a record. Reading: *out, unless it is NULL, is the record. */
static void record_image(struct blob **blob, const struct wire_record *record, void *out, struct image *i)
{
    union {
        struct wire_vote_certificate vote;
        struct wire_checkpoint_certificate checkpoint;
    } space;
    image_blob(i, blob);
    if (i->reading && *blob != NULL &&
        wire_decode_record(record, blob_bytes(*blob), out != NULL ? out : &space) != NULL)
        image_fail(i, "a stored certificate does not decode");
}

/* ---- slots ---- */

/* Batches of one slot are often one blob: it stands once. */
static void slot_batches_image(struct core_slot *s, struct image *i)
{
    struct core_batch *const all[SLOT_BATCHES] = {&s->batch, &s->kept_batch, &s->decided, &s->extra};
    for (uint32_t k = 0; k < SLOT_BATCHES; k++) {
        uint32_t same = k; /* the first of those before it with the same bytes; itself: they follow */
        for (uint32_t before = 0; !i->reading && all[k]->bytes != NULL && before < k && same == k; before++)
            if (all[before]->bytes == all[k]->bytes) same = before;
        digest_image(&all[k]->digest, i);
        image_u64(i, &all[k]->time_ms);
        image_count(i, &same, k);
        if (same == k)
            image_blob(i, &all[k]->bytes);
        else if (i->reading)
            all[k]->bytes = blob_retain(all[same]->bytes);
    }
}

/* Votes that were never set are zero, and take one byte. */
static void votes_image(struct core_vote *votes, uint32_t count, struct image *i)
{
    for (uint32_t id = 0; id < count; id++) {
        struct core_vote *v = &votes[id];
        bool set = v->present || !digest_is_zero(&v->digest);
        image_bool(i, &set);
        if (!set) continue;
        image_bool(i, &v->present);
        digest_image(&v->digest, i);
        signature_image(&v->signature, i);
    }
}

static void slot_image(struct core_slot *s, uint32_t place, uint32_t members, struct image *i)
{
    uint32_t phase = s->phase;
    uint32_t decision = s->decision;
    image_u64(i, &s->seq);
    if (s->seq == 0) return; /* no sequence finds it: it is cleared before it is used */
    if (i->reading && s->seq % WINDOW_BATCHES != place) image_fail(i, "a slot holds a sequence of another");
    image_count(i, &phase, CORE_PHASE_COMMITTED);
    image_count(i, &decision, CORE_EXECUTED);
    s->phase = (enum core_phase)phase;
    s->decision = (enum core_decision)decision;
    slot_batches_image(s, i);
    signature_image(&s->proposal, i);
    image_bool(i, &s->batch_void);
    image_bool(i, &s->carried);
    image_bool(i, &s->prepare_sent);
    image_bool(i, &s->certificate_durable);
    image_u64(i, &s->certificate_token);
    image_u64(i, &s->since_us);
    image_u64(i, &s->changed_us);
    votes_image(s->prepares, members, i);
    votes_image(s->commits, members, i);
    record_image(&s->kept, &wire_record_vote_certificate, NULL, i);
    image_bool(i, &s->batch_persisted);
    record_image(&s->committed, &wire_record_vote_certificate, NULL, i);
    record_image(&s->checkpoint, &wire_record_checkpoint_certificate, NULL, i);
}

static void checkpoint_image(struct core_checkpoint *p, uint32_t members, struct image *i)
{
    image_u64(i, &p->seq);
    digest_image(&p->header_hash, i);
    digest_image(&p->state_root, i);
    image_u64(i, &p->token);
    image_bool(i, &p->durable);
    image_u64(i, &p->sent_us);
    for (uint32_t id = 0; id < members; id++) {
        struct core_checkpoint_vote *v = &p->votes[id];
        image_u64(i, &v->seq);
        if (v->seq == 0) continue;
        digest_image(&v->header_hash, i);
        digest_image(&v->state_root, i);
        signature_image(&v->signature, i);
    }
}

/* ---- custody ---- */

static void request_image(struct core_request *r, uint32_t place, struct image *i)
{
    uint32_t state = r->state;
    image_count(i, &state, CORE_REQUEST_PROPOSED);
    r->state = (enum core_request_state)state;
    image_u64(i, &r->seq);
    digest_image(&r->transaction, i);
    digest_image(&r->leaf, i);
    image_blob(i, &r->bytes);
    image_u32(i, &r->ops);
    image_bool(i, &r->parked);
    image_u64(i, &r->expiry_ms);
    image_u64(i, &r->since_us);
    image_u64(i, &r->forwarded_us);
    image_u64(i, &r->roomy_before);
    image_bool(i, &r->given_again);
    if (i->reading && (r->state == CORE_REQUEST_EMPTY || r->bytes == NULL || r->seq % CORE_CLIENT_REQUESTS != place))
        image_fail(i, "a request in custody is none, or stands in the place of another");
    if (i->fault == NULL) return;
    blob_release(r->bytes);
    *r = (struct core_request){.state = CORE_REQUEST_EMPTY};
}

static void client_image(struct core_client *owner, struct image *i)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < CORE_CLIENT_REQUESTS; k++)
        if (owner->requests[k].state != CORE_REQUEST_EMPTY) count++;
    image_u64(i, &owner->window.highest_settled);
    image_u64(i, &owner->window.settled);
    image_u64(i, &owner->bytes);
    image_u64(i, &owner->parked_bytes);
    image_u32(i, &owner->held);
    image_bool(i, &owner->queued);
    image_count(i, &count, CORE_CLIENT_REQUESTS);
    uint32_t place = 0;
    for (uint32_t k = 0; k < count && i->fault == NULL; k++, place++) {
        while (!i->reading && owner->requests[place].state == CORE_REQUEST_EMPTY)
            place++;
        image_count(i, &place, CORE_CLIENT_REQUESTS - 1);
        if (i->reading && owner->requests[place].state != CORE_REQUEST_EMPTY)
            image_fail(i, "a request stands twice");
        else
            request_image(&owner->requests[place], place, i);
    }
}

static void custody_image(struct core *c, struct image *i)
{
    const uint32_t clients = c->config.client_count;
    for (uint32_t k = 0; k < clients; k++)
        client_image(&c->clients[k], i);
    image_count(i, &c->ring_count, clients);
    for (uint32_t k = 0; clients > 0 && k < c->ring_count; k++) /* from its start on: where that is says nothing */
        image_count(i, &c->ring[(c->ring_start + k) % clients], clients - 1);
    image_u64(i, &c->held_count);
    image_u64(i, &c->custody_count);
    image_u64(i, &c->custody_bytes);
    image_u64(i, &c->parked_bytes);
    image_u64(i, &c->under_way);
    image_u64(i, &c->oldest_held_us);
    image_u64(i, &c->oldest_custody_us);
    image_u64(i, &c->oldest_slot_us);
    image_u64(i, &c->settled_total);
    image_u64(i, &c->rate_mark_total);
    image_u64(i, &c->rate_mark_us);
    image_u64(i, &c->rate_per_second);
    image_u64(i, &c->settled_bytes);
    image_u64(i, &c->rate_mark_bytes);
    image_u64(i, &c->bytes_per_second);
    image_u64(i, &c->sweep_us);
    image_u64(i, &c->forward_next);
}

/* ---- messages ---- */

static bool believe(void *context, struct verify_item *item)
{
    (void)context;
    (void)item;
    return true; /* the verdicts were given when it came, and stand beside it */
}

void core_verified_image(const struct wire_group *group, struct msg_verified *m, struct image *i)
{
    const struct signature_checker believer = {.check = believe};
    struct blob *blob = m->blob;
    bool valid = m->batch.valid;
    bool checkpoint_good = m->checkpoint_good;
    uint32_t shown_good = m->shown_good;
    uint64_t good[sizeof m->certificates_good / sizeof m->certificates_good[0]];
    memcpy(good, m->certificates_good, sizeof good);
    image_blob(i, &blob);
    image_bool(i, &valid);
    image_bool(i, &checkpoint_good);
    image_u32(i, &shown_good);
    for (size_t k = 0; k < sizeof good / sizeof good[0]; k++)
        image_u64(i, &good[k]);
    if (!i->reading) return;
    if (blob == NULL) {
        image_fail(i, "a message has no bytes");
        return;
    }
    if (msg_verify(group, believer, blob, m) != NULL) {
        image_fail(i, "a message could not have entered the core");
        return;
    }
    if (m->batch.valid && !valid) {
        m->batch.valid = false;
        m->batch.fault = "a batch that was found bad when it came";
    }
    m->checkpoint_good = m->checkpoint_good && checkpoint_good;
    m->shown_good &= shown_good;
    for (size_t k = 0; k < sizeof good / sizeof good[0]; k++)
        m->certificates_good[k] &= good[k];
}

static void early_image(struct core *c, struct image *i)
{
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++) {
        struct core_early *e = &c->early[id];
        image_u64(i, &e->view);
        image_count(i, &e->count, CORE_EARLY_VOTES);
        for (uint32_t k = 0; k < e->count; k++) {
            image_bool(i, &e->votes[k].commit);
            image_u64(i, &e->votes[k].seq);
            digest_image(&e->votes[k].digest, i);
            signature_image(&e->votes[k].signature, i);
        }
    }
    image_count(i, &c->early_proposal_count, CORE_EARLY_PROPOSALS);
    for (uint32_t k = 0; k < c->early_proposal_count; k++) {
        core_verified_image(&c->config.group, &c->early_proposals[k], i);
        if (i->reading && i->fault == NULL && c->early_proposals[k].msg.type != WIRE_TYPE_pre_prepare)
            image_fail(i, "a message is not of the type that its place says");
    }
}

/* ---- the rest ---- */

/* A question about the state: it must be there, and what it says is its asker's business. */
static void ask_image(struct blob **ask, struct image *i)
{
    image_blob(i, ask);
    if (i->reading && *ask == NULL) image_fail(i, "a question about the state is empty");
    if (i->reading && *ask != NULL && (*ask)->len > STATE_ASK_BYTES_MAX) image_fail(i, "a question about the state is too long");
}

static void peer_image(struct core_peer *p, struct image *i)
{
    image_bool(i, &p->heard);
    image_bool(i, &p->changing);
    for (uint32_t k = 0; k < EVIDENCE_KIND_MAX; k++) {
        uint64_t nothing = 0;
        image_u64(i, i->outline ? &nothing : &p->contradictions[k]);
    }
    image_bool(i, &p->fenced);
    image_u32(i, &p->filled);
    image_bool(i, &p->suspects);
    image_u32(i, &p->gaps);
    image_u64(i, &p->gap_us);
    image_u64(i, &p->led_us);
    image_u64(i, &p->wasted_us);
    image_u64(i, &p->filled_us);
    image_u64(i, &p->answered_us);
    image_u64(i, &p->view);
    image_u64(i, &p->executed);
    image_u64(i, &p->stable);
    image_u64(i, &p->heard_us);
    image_u64(i, &p->said);
    image_u64(i, &p->repaired_us);
    image_u64(i, &p->served_us);
    image_u64(i, &p->served_bytes);
    image_u64(i, &p->state_served_us);
    image_count(i, &p->asked_count, CORE_WALK_QUESTIONS);
    for (uint32_t k = 0; k < p->asked_count && i->fault == NULL; k++) {
        image_u32(i, &p->asked[k].number);
        image_u64(i, &p->asked[k].seq);
        ask_image(&p->asked[k].ask, i);
    }
    image_u64(i, &p->walk_shunned_us);
    image_u32(i, &p->walk_failures);
}

static void demotion_image(struct core *c, struct image *i)
{
    uint32_t suspicion = c->suspicion;
    image_count(i, &suspicion, CORE_SUSPICION_UNFAIR);
    c->suspicion = (enum core_suspicion)suspicion;
    image_u64(i, &c->idle_us);
    image_u64(i, &c->handed_us);
    image_u64(i, &c->stalled_us);
    image_u64(i, &c->led_at_us);
    image_u64(i, &c->wasted_us);
    image_u64(i, &c->wasted_at_us);
    image_u64(i, &c->wasted_view);
    image_u64(i, &c->looked_us);
    image_u64(i, &c->votes_us[0]);
    image_u64(i, &c->votes_us[1]);
    image_u64(i, &c->votes_count);
    image_u64(i, &c->known_us);
    image_u64(i, &c->known_until);
    image_u64(i, &c->known_next_us);
    image_u64(i, &c->roomy_batches);
    image_u64(i, &c->fairness_us);
    image_u64(i, &c->demotions);
    image_count(i, &c->lenience, CORE_LENIENCE_MAX);
    image_u64(i, &c->lenience_us);
}

static void view_image(struct core *c, struct image *i)
{
    image_bool(i, &c->active);
    image_bool(i, &c->changing);
    image_u64(i, &c->entry_token);
    image_u64(i, &c->slots_view);
    image_u64(i, &c->left_token);
    image_u64(i, &c->view);
    if (i->reading && c->view > VIEW_MAX) image_fail(i, "a view is over its maximum");
    image_u64(i, &c->view_since_us);
    image_bool(i, &c->overdue);
    image_u64(i, &c->caught_us);
    image_bool(i, &c->unproven);
    image_u64(i, &c->view_changes);
    viewchange_image(c->collected, i);
    demotion_image(c, i);
    viewchange_backoff_image(&c->backoff, i);
    core_message_image(&c->own_view_change, WIRE_TYPE_view_change, i);
    core_message_image(&c->new_view, WIRE_TYPE_new_view, i);
    if (i->reading && i->fault == NULL && c->changing && c->own_view_change == NULL)
        image_fail(i, "a view was left without a VIEW-CHANGE");
    image_u64(i, &c->quorum_us);
    image_u64(i, &c->candidate_seen);
    image_u64(i, &c->candidate_us);
    image_u32(i, &c->candidate_tries);
    image_u32(i, &c->candidate_round);
    image_u32(i, &c->candidate_lacking);
    image_u64(i, &c->carried_until);
    image_count(i, &c->missing_count, WINDOW_BATCHES);
    for (uint32_t k = 0; k < c->missing_count; k++) {
        image_u64(i, &c->missing[k].seq);
        digest_image(&c->missing[k].digest, i);
    }
    image_count(i, &c->wanted_count, CORE_WANTED_MAX);
    for (uint32_t k = 0; k < c->wanted_count; k++) {
        image_u64(i, &c->wanted[k].what.seq);
        digest_image(&c->wanted[k].what.digest, i);
        image_u64(i, &c->wanted[k].asked_us);
    }
}

static void fence_image(struct core *c, struct image *i)
{
    uint32_t reason = c->fence_reason;
    image_bool(i, &c->listening);
    for (size_t k = 0; k < sizeof c->heard.words / sizeof c->heard.words[0]; k++)
        image_u64(i, &c->heard.words[k]);
    image_u64(i, &c->heard_stable);
    core_message_image(&c->heard_own, WIRE_TYPE_view_change, i);
    image_u64(i, &c->heard_view);
    image_u64(i, &c->record.view);
    image_u64(i, &c->record.low);
    image_u64(i, &c->record.executed);
    image_bool(i, &c->record.clean);
    image_u64(i, &c->mute_until);
    image_bool(i, &c->fence_new);
    image_count(i, &reason, FENCE_REASON_MAX);
    image_u64(i, &c->filled_us);
    c->fence_reason = (enum fence_reason)reason;
}

static void progress_image(struct core *c, struct image *i)
{
    image_u64(i, &c->now_us);
    image_u64(i, &c->wall_ms);
    image_u64(i, &c->low);
    image_u64(i, &c->slots_top);
    image_u64(i, &c->executed);
    image_u64(i, &c->handed);
    image_u64(i, &c->executed_time_ms);
    image_u64(i, &c->low_time_ms);
    image_u64(i, &c->next_seq);
    fence_image(c, i);
    image_u64(i, &c->abstain_until);
    image_u64(i, &c->highest_certificate);
    image_u64(i, &c->highest_durable);
    image_u64(i, &c->next_token);
    image_u64(i, &c->durable_token);
    record_image(&c->stable_record, &wire_record_checkpoint_certificate, &c->stable, i);
    image_u64(i, &c->stable_token);
    record_image(&c->stable_next_record, &wire_record_checkpoint_certificate, NULL, i);
    if (!i->reading || i->fault != NULL) return;
    if ((c->started && c->stable_record == NULL) || (c->stable_token != 0 && c->stable_next_record == NULL))
        image_fail(i, "a checkpoint has no certificate");
    if (c->low > SEQ_MAX || c->executed > SEQ_MAX || c->handed > SEQ_MAX || c->next_seq > 2 * SEQ_MAX)
        image_fail(i, "a sequence is over its maximum");
    if (c->slots_top > c->low + WINDOW_BATCHES) image_fail(i, "a slot is above the window");
}

static void sync_image(struct core *c, struct image *i)
{
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++)
        peer_image(&c->peers[id], i);
    image_u64(i, &c->status_us);
    image_u64(i, &c->status_wait_us);
    image_bool(i, &c->changed);
    image_u64(i, &c->executed_us);
    image_u64(i, &c->behind_seq);
    image_u64(i, &c->behind_us);
    image_u32(i, &c->fetch_first);
    image_u32(i, &c->fetch_peer);
    image_u64(i, &c->fetch_us);
    image_u64(i, &c->fetch_checkpoint);
    image_u64(i, &c->fetch_until);
    image_u64(i, &c->fetch_bytes);
    image_u32(i, &c->fetch_failures);
    const uint32_t members = c->config.group.quorum.replica_count;
    if (i->reading && (c->fetch_first >= members || (c->fetch_peer >= members && c->fetch_peer != UINT32_MAX)))
        image_fail(i, "blocks were asked for of a member that there is not");
}

static void detour_image(struct core_detour *d, struct image *i)
{
    image_u64(i, &d->seq);
    image_u64(i, &d->next);
    image_bool(i, &d->proven);
    digest_image(&d->hash, i);
    image_bool(i, &d->asked);
    image_u32(i, &d->failures);
    if (i->reading && (d->seq > d->next || d->next > SEQ_MAX)) image_fail(i, "a wanted block is not on its way");
}

static void transfer_image(struct core *c, struct image *i)
{
    const uint32_t members = c->config.group.quorum.replica_count;
    image_bool(i, &c->walking);
    image_bool(i, &c->walk_begun);
    image_u64(i, &c->walk_target);
    image_count(i, &c->walk_first, members - 1);
    image_u64(i, &c->gap_low);
    image_u64(i, &c->gap_high);
    digest_image(&c->gap_hash, i);
    image_u32(i, &c->gap_peer);
    image_count(i, &c->gap_first, members - 1);
    image_u64(i, &c->gap_until);
    image_u64(i, &c->gap_us);
    detour_image(&c->detour, i);
    if (i->reading && c->gap_peer >= members && c->gap_peer != UINT32_MAX)
        image_fail(i, "old blocks were asked for of a member that there is not");
    for (uint32_t k = 0; k < CORE_WALK_QUESTIONS; k++) {
        struct core_question *q = &c->questions[k];
        image_u32(i, &q->number);
        if (q->number == 0) continue;
        ask_image(&q->ask, i);
        image_u32(i, &q->peer);
        image_u64(i, &q->since_us);
        image_bool(i, &q->taking);
        image_u32(i, &q->answered);
        if (i->reading && ((q->peer >= members && q->peer != UINT32_MAX) || (q->taking && q->answered >= members)))
            image_fail(i, "a question was put to a member that there is not");
    }
}

static void walk(struct core *c, struct image *i)
{
    const uint32_t members = c->config.group.quorum.replica_count;
    image_bool(i, &c->started);
    image_bool(i, &c->draining);
    image_bool(i, &c->resigned);
    image_bool(i, &c->disk_full);
    image_bool(i, &c->stopping);
    image_bool(i, &c->diverged);
    progress_image(c, i);
    view_image(c, i);
    for (uint32_t k = 0; k < WINDOW_BATCHES; k++)
        slot_image(&c->slots[k], k, members, i);
    for (uint32_t k = 0; k < WINDOW_BATCHES / CHECKPOINT_INTERVAL; k++)
        checkpoint_image(&c->checkpoints[k], members, i);
    custody_image(c, i);
    early_image(c, i);
    sync_image(c, i);
    transfer_image(c, i);
}

size_t core_state_bytes(void)
{
    return sizeof(struct core) + sizeof(struct core_slot) + sizeof(struct core_client) + sizeof(struct core_request) +
           sizeof(struct core_peer) + sizeof(struct core_checkpoint) + sizeof(struct core_early_vote);
}

void core_image_write(const struct core *c, struct image *out)
{
    CHECK(!out->reading);
    walk((struct core *)(uintptr_t)c, out); /* writing changes nothing */
}

const char *core_image_read(struct core *c, struct image *in)
{
    CHECK(in->reading && !c->started);
    walk(c, in);
    return in->fault;
}
