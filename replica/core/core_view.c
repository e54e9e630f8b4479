/* core_view.c - leaving a view and entering the next (OSDI'99 section 4.4): VIEW-CHANGE, NEW-VIEW, time-outs.
 *
 * What the messages mean is decided in viewchange/; here it is done. A replica that has left a view casts no vote until it has
 * entered another, and what it says in a VIEW-CHANGE, and that it entered a view, is durable before anyone hears of it
 * (design.md 7.1, rule 13). What was prepared stays in the slots and goes with every VIEW-CHANGE until it is stable. */
#include "replica/core/core_internal.h"

#include <string.h>

#define CANDIDATE_PATIENCE 4u /* resend intervals without a VIEW-CHANGE more before another NEW-VIEW is looked at */
#define CANDIDATE_SOURCES 4u  /* members that are asked for one VIEW-CHANGE in one interval */

/* ---- leaving ---- */

/* P: the prepared certificate of the highest view for each n in (h, h+L], as stored. */
static struct blob *prepared_list(const struct core *c, struct wire_list *out)
{
    size_t bytes = 0;
    for (uint64_t n = c->low + 1; n <= c->low + WINDOW_BATCHES; n++) {
        const struct core_slot *s = core_slot_const(c, n);
        if (s != NULL && s->kept != NULL) bytes += s->kept->len;
    }
    struct blob *space = blob_new(bytes);
    size_t at = 0;
    for (uint64_t n = c->low + 1; n <= c->low + WINDOW_BATCHES; n++) {
        const struct core_slot *s = core_slot_const(c, n);
        if (s == NULL || s->kept == NULL) continue;
        memcpy(space->data + at, s->kept->data, s->kept->len);
        at += s->kept->len;
        out->count++;
    }
    out->items = bytes_of(space->data, bytes);
    return space;
}

static void add_own(struct core *c)
{
    struct wire_message m;
    uint64_t good[(WINDOW_BATCHES + 64u) / 64u];
    memset(good, 0xff, sizeof good); /* verified before they were kept */
    CHECK(wire_decode(blob_bytes(c->own_view_change), &m) == NULL);
    const struct digest id = wire_signing_digest(&c->config.group.id, m.signed_part);
    (void)viewchange_add(c->collected, c->own_view_change, &id, &m.view_change, good);
}

static void stop_voting(struct core *c, uint64_t to)
{
    CHECK_OP(to, >, c->view);
    c->view = to;
    c->changing = true;
    c->active = false;
    c->view_since_us = c->now_us;
    c->view_changes++;
    c->quorum_us = 0;
    c->missing_count = 0;
    c->wanted_count = 0;
    c->abstain_until = 0; /* it bound this replica in the view left */
}

static void leave(struct core *c, uint64_t to)
{
    if (to > VIEW_MAX) return; /* rule 16: views cannot wrap */
    stop_voting(c, to);
    struct wire_view_change m = {
        .epoch = c->config.group.epoch, .sender = c->config.self, .view = to, .proof = c->stable};
    struct blob *prepared = prepared_list(c, &m.prepared);
    const struct digest id = wire_record_signing_digest(&c->config.group.id, &wire_record_view_change, &m);
    c->config.sign(c->config.sign_context, &id, &m.signature);
    blob_release(c->own_view_change);
    c->own_view_change = wire_encode_blob(&wire_record_view_change, &m);
    blob_release(prepared);
    /* the certificates in it were given out before: they are durable with it or before it (rule 13) */
    c->left_token = core_persist(c, CORE_PERSIST_VIEW_LEFT, 0, NULL, blob_retain(c->own_view_change), NULL);
    core_send_blob(c, CORE_TO_ALL, WIRE_TYPE_view_change, blob_retain(c->own_view_change), c->left_token, false);
    add_own(c);
    core_custody_new_view(c);
}

/* Holds to a VIEW-CHANGE of its own that its record has lost and another member has shown. */
void core_view_retake(struct core *c, struct blob *own, uint64_t view)
{
    stop_voting(c, view);
    (void)blob_retain(own);
    blob_release(c->own_view_change);
    c->own_view_change = own;
    c->left_token = core_persist(c, CORE_PERSIST_VIEW_LEFT, 0, NULL, blob_retain(own), NULL);
    add_own(c);
    core_custody_new_view(c);
}

/* ---- votes that come before the NEW-VIEW does ---- */

bool core_is_early(const struct core *c, uint64_t view)
{
    return view > c->view || (view == c->view && c->changing);
}

/* Which are lost for want of room is said again on STATUS (rule 8). */
const char *core_keep_early(struct core *c, uint64_t sender, uint64_t view, const struct core_early_vote *vote)
{
    struct core_early *e = &c->early[sender];
    if (e->count > 0 && view < e->view) return "a vote of a view that its sender has gone past";
    if (view != e->view) e->count = 0;
    if (e->count == CORE_EARLY_VOTES) return "more votes of a view to come than are kept";
    e->view = view;
    e->votes[e->count++] = *vote;
    return NULL;
}

/* Only of the view that comes next: it has one primary, so no other member can take the room. */
const char *core_keep_early_proposal(struct core *c, const struct msg_verified *m)
{
    const uint64_t view = m->msg.pre_prepare.view;
    if (view != (c->changing ? c->view : c->view + 1)) return "PRE-PREPARE of a view further on than the next";
    if (c->early_proposal_count > 0 && c->early_proposals[0].msg.pre_prepare.view != view)
        core_drop_early_proposals(c);
    if (c->early_proposal_count == CORE_EARLY_PROPOSALS) return "more PRE-PREPAREs of the next view than are kept";
    struct msg_verified *kept = &c->early_proposals[c->early_proposal_count++];
    *kept = *m;
    (void)blob_retain(kept->blob);
    return NULL;
}

void core_drop_early_proposals(struct core *c)
{
    for (uint32_t i = 0; i < c->early_proposal_count; i++)
        msg_verified_release(&c->early_proposals[i]);
    c->early_proposal_count = 0;
}

static void take_early_proposals(struct core *c)
{
    for (uint32_t i = 0; i < c->early_proposal_count; i++)
        if (c->early_proposals[i].msg.pre_prepare.view == c->view)
            (void)core_on_pre_prepare(c, &c->early_proposals[i]);
    if (c->early_proposal_count > 0 && c->early_proposals[0].msg.pre_prepare.view <= c->view)
        core_drop_early_proposals(c);
}

static void take_early(struct core *c)
{
    take_early_proposals(c);
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++) {
        struct core_early *e = &c->early[id];
        for (uint32_t i = 0; i < e->count && e->view == c->view; i++) {
            const struct core_early_vote *v = &e->votes[i];
            struct core_slot *s = core_slot(c, v->seq);
            if (s == NULL) continue;
            struct core_vote *to = v->commit ? &s->commits[id] : &s->prepares[id];
            if (!to->present)
                *to = (struct core_vote){.present = true, .digest = v->digest, .signature = v->signature};
        }
        if (e->view <= c->view) e->count = 0;
    }
}

/* ---- entering ---- */

/* The batch for a digest that the NEW-VIEW carries over: held already, or the null batch; else to be fetched. */
static void accept_carried(struct core *c, struct core_slot *s, const struct wire_reproposal *p)
{
    const struct digest null = viewchange_null_digest();
    const struct core_batch *held = core_slot_batch(s, &p->digest);
    struct blob *bytes = held != NULL ? blob_retain(held->bytes) : NULL;
    const uint64_t time_ms = held != NULL ? held->time_ms : 0;
    if (held == NULL && digest_equal(&p->digest, &null)) {
        const struct wire_batch nothing = {.time_ms = 0};
        bytes = wire_encode_blob(&wire_record_batch, &nothing);
    }
    core_slot_new_view(c, s);
    core_accept_proposal(c, s, &p->digest, &p->signature, bytes, time_ms);
    blob_release(bytes);
    s->carried = true; /* its time was judged before, or it is null */
    s->prepare_sent = core_is_primary(c);
    if (s->decision != CORE_OPEN && s->decided.bytes != NULL && !digest_equal(&s->decided.digest, &p->digest) &&
        !c->diverged) { /* more than f members are faulty: what was decided here is not what V proves */
        c->diverged = true;
        core_emit(c, CORE_EFFECT_DIVERGED)->diverged = s->seq;
    }
}

static void enter(struct core *c, const struct viewchange_plan *plan, struct blob *new_view, struct wire_list proposals)
{
    struct wire_iterator i = wire_list_start(proposals);
    struct wire_reproposal p;
    c->view = plan->view;
    c->slots_view = plan->view;
    c->changing = false;
    c->active = false; /* until the entry is durable */
    c->view_since_us = c->now_us;
    c->abstain_until = 0;
    c->missing_count = 0;
    c->wanted_count = 0;
    c->unproven = true;
    c->carried_until = plan->high;
    if (c->highest_certificate > plan->high) /* what V does not carry over was committed nowhere (rule 23) */
        c->highest_certificate = plan->high > c->executed ? plan->high : c->executed;
    if (c->highest_durable > c->highest_certificate) c->highest_durable = c->highest_certificate;
    (void)blob_retain(new_view);
    blob_release(c->new_view);
    c->new_view = new_view;
    blob_release(c->own_view_change);
    c->own_view_change = NULL;
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++) {
        struct blob *kept = viewchange_kept(c->collected, id);
        if (kept != NULL) (void)core_persist(c, CORE_PERSIST_VIEW_CHANGE, id, NULL, blob_retain(kept), NULL);
    }
    c->entry_token = core_persist(c, CORE_PERSIST_NEW_VIEW, 0, NULL, blob_retain(new_view), NULL);
    if (core_is_primary(c))
        core_send_blob(c, CORE_TO_ALL, WIRE_TYPE_new_view, blob_retain(new_view), c->entry_token, false);
    for (uint64_t n = c->low + 1; n <= c->slots_top; n++) {
        struct core_slot *s = core_slot(c, n);
        if (n <= plan->low || n > plan->high) core_slot_new_view(c, s);
    }
    while (wire_list_next(&i, &wire_record_reproposal, &p)) {
        struct core_slot *s = core_slot(c, p.seq); /* outside: stable here already, or to be caught up with first */
        if (s != NULL) accept_carried(c, s, &p);
    }
    c->next_seq = plan->high + 1;
    take_early(c);
    core_custody_new_view(c);
}

/* ---- NEW-VIEW as primary ---- */

static bool batch_held(void *context, uint64_t seq, const struct digest *digest)
{
    const struct core *c = context;
    if (seq <= c->low) return true; /* stable here: whoever lacks it gets the block */
    const struct core_slot *s = core_slot_const(c, seq);
    return s != NULL && core_slot_batch(s, digest) != NULL;
}

static struct blob *make_new_view(struct core *c, const struct viewchange_plan *plan)
{
    const size_t cap = 128u * (WINDOW_BATCHES + REPLICAS_MAX);
    struct blob *space = blob_new(2 * cap);
    struct writer refs = writer_of(space->data, cap);
    struct writer proposals = writer_of(space->data + cap, cap);
    struct wire_new_view m = {.epoch = c->config.group.epoch, .sender = c->config.self, .view = plan->view};
    for (uint32_t i = 0; i < plan->member_count; i++) {
        const struct wire_view_change_ref ref = {
            .id = plan->members[i], .digest = viewchange_latest(c->collected, plan->members[i])->id};
        wire_list_add(&m.view_changes, &refs, &wire_record_view_change_ref, &ref);
    }
    for (uint64_t n = plan->low + 1; n <= plan->high; n++) {
        struct wire_pre_prepare proposal = {.epoch = m.epoch,
                                            .sender = m.sender,
                                            .view = m.view,
                                            .seq = n,
                                            .digest = plan->proposals[n - plan->low - 1]};
        const struct digest statement =
            wire_record_signing_digest(&c->config.group.id, &wire_record_pre_prepare, &proposal);
        struct wire_reproposal p = {.seq = n, .digest = proposal.digest};
        c->config.sign(c->config.sign_context, &statement, &p.signature);
        wire_list_add(&m.proposals, &proposals, &wire_record_reproposal, &p);
    }
    CHECK(!refs.overflow && !proposals.overflow);
    const struct digest id = wire_record_signing_digest(&c->config.group.id, &wire_record_new_view, &m);
    c->config.sign(c->config.sign_context, &id, &m.signature);
    struct blob *out = wire_encode_blob(&wire_record_new_view, &m);
    blob_release(space);
    return out;
}

static bool same_batch(const struct viewchange_missing *a, const struct viewchange_missing *b)
{
    return a->seq == b->seq && digest_equal(&a->digest, &b->digest);
}

static bool is_missing(const struct core *c, const struct viewchange_missing *what)
{
    for (uint32_t i = 0; i < c->missing_count; i++)
        if (same_batch(&c->missing[i], what)) return true;
    return false;
}

/* Asked for, and the answer may still come. */
static bool is_wanted(const struct core *c, const struct viewchange_missing *what)
{
    for (uint32_t i = 0; i < c->wanted_count; i++)
        if (same_batch(&c->wanted[i].what, what)) return true;
    return false;
}

/* Forgets the questions that are answered or have waited for long. */
static void drop_wanted(struct core *c)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->wanted_count; i++)
        if (c->now_us - c->wanted[i].asked_us < c->config.resend_us && is_missing(c, &c->wanted[i].what))
            c->wanted[kept++] = c->wanted[i];
    c->wanted_count = kept;
}

/* So many are under way at a time, and none is asked for again while it is: the others serve a member only so much. */
static void fetch_missing(struct core *c)
{
    drop_wanted(c);
    for (uint32_t i = 0; i < c->missing_count && c->wanted_count < CORE_WANTED_MAX; i++) {
        if (is_wanted(c, &c->missing[i])) continue;
        const struct wire_fetch m = {.kind = DATA_KIND_BATCH,
                                     .view = c->view,
                                     .seq = c->missing[i].seq,
                                     .count = 1,
                                     .digest = c->missing[i].digest};
        c->wanted[c->wanted_count++] = (struct core_wanted){.what = c->missing[i], .asked_us = c->now_us};
        core_send_fetch(c, CORE_TO_ALL, m);
    }
}

static void try_build(struct core *c)
{
    struct viewchange_plan plan;
    if (!viewchange_build(c->collected, c->view, batch_held, c, &plan, c->missing, &c->missing_count)) {
        if (c->missing_count > 0) fetch_missing(c);
        return;
    }
    struct blob *message = make_new_view(c, &plan);
    struct wire_message decoded;
    CHECK(wire_decode(blob_bytes(message), &decoded) == NULL);
    viewchange_keep_built(c->collected, &plan);
    enter(c, &plan, message, decoded.new_view.proposals);
    blob_release(message);
}

/* A batch that the NEW-VIEW to be built waits for. False: none of those. */
bool core_take_missing(struct core *c, const struct msg_verified *m)
{
    const struct wire_data *d = &m->msg.data;
    if (!c->changing || !m->batch.valid) return false;
    for (uint32_t i = 0; i < c->missing_count; i++) {
        if (c->missing[i].seq != d->seq || !digest_equal(&c->missing[i].digest, &d->digest)) continue;
        struct core_slot *s = core_slot(c, d->seq);
        if (s == NULL) return false;
        struct blob *bytes = blob_copy(d->payload);
        core_batch_set(&s->extra, bytes, &d->digest, m->batch.batch.time_ms);
        blob_release(bytes);
        try_build(c); /* or the next ones are asked for at once */
        return true;
    }
    return false;
}

/* ---- what has come is looked at ---- */

/* One VIEW-CHANGE of V. In a large group V is more than one member serves in many intervals: each is asked of a few, its
 * signer first, and of others in the next interval. */
static void fetch_view_change(struct core *c, uint64_t view, uint32_t member, const struct digest *id)
{
    const uint32_t count = c->config.group.quorum.replica_count;
    const struct wire_fetch m = {.kind = DATA_KIND_VIEW_CHANGE, .view = view, .seq = member, .count = 1, .digest = *id};
    if (count <= CANDIDATE_SOURCES + 1) {
        core_send_fetch(c, CORE_TO_ALL, m);
        return;
    }
    for (uint32_t k = 0; k < CANDIDATE_SOURCES; k++) {
        const uint32_t to = (member + c->candidate_round * CANDIDATE_SOURCES + k) % count;
        if (to != c->config.self) core_send_fetch(c, to, m);
    }
}

static uint32_t count_lacking(const struct core *c)
{
    uint32_t count = 0;
    struct digest id;
    for (uint32_t member = 0; member < c->config.group.quorum.replica_count; member++)
        if (viewchange_lacking(c->collected, member, &id)) count++;
    return count;
}

/* Has everybody been asked, and for a while nothing more of V has come? */
static bool candidate_stuck(struct core *c)
{
    const uint32_t rounds = c->config.group.quorum.replica_count / CANDIDATE_SOURCES + 1;
    const uint32_t lacking = count_lacking(c);
    if (lacking < c->candidate_lacking) c->candidate_tries = 0;
    c->candidate_lacking = lacking;
    return ++c->candidate_tries > (rounds > CANDIDATE_PATIENCE ? rounds : CANDIDATE_PATIENCE);
}

/* Asks for what is lacking of V, for as long as something is: a liar's candidate may never be complete, and gives way to
 * another when there is one (rule 14). */
static void fetch_view_changes(struct core *c, const struct wire_new_view *candidate)
{
    struct digest id;
    const uint64_t number = viewchange_candidate_number(c->collected);
    if (c->candidate_seen != number) {
        c->candidate_seen = number;
        c->candidate_tries = 0;
        c->candidate_round = 0;
        c->candidate_lacking = 0;
    } else if (c->now_us - c->candidate_us < c->config.resend_us) {
        return;
    }
    c->candidate_us = c->now_us;
    if (candidate_stuck(c)) {
        c->candidate_tries = 0;
        viewchange_rotate(c->collected);
        if (viewchange_candidate_number(c->collected) != number) return; /* it is looked at next */
    }
    for (uint32_t member = 0; member < c->config.group.quorum.replica_count; member++)
        if (viewchange_lacking(c->collected, member, &id)) fetch_view_change(c, candidate->view, member, &id);
    c->candidate_round++;
}

/* False: nothing more follows from what is here. */
static bool look_at_candidate(struct core *c)
{
    struct viewchange_plan plan;
    struct wire_new_view m;
    const char *reason;
    const uint64_t above = c->changing ? c->view - 1 : c->view;
    switch (viewchange_resolve(c->collected, above, &plan, &m, &reason)) {
    case VIEWCHANGE_WAIT: return false;
    case VIEWCHANGE_FETCH: fetch_view_changes(c, &m); return false;
    case VIEWCHANGE_REJECT: return true;
    case VIEWCHANGE_ENTER: break;
    }
    struct blob *message = blob_retain(viewchange_candidate(c->collected));
    viewchange_keep_candidate(c->collected);
    enter(c, &plan, message, m.proposals);
    blob_release(message);
    return false;
}

static void evaluate(struct core *c)
{
    const uint32_t members = c->config.group.quorum.replica_count;
    const bool may_leave = !core_is_mute(c) && !c->disk_full;
    for (uint32_t i = 0; i < members && may_leave; i++) { /* each time to a view that another member names */
        const uint64_t join = viewchange_join(c->collected, c->view);
        if (join == 0) break;
        leave(c, join);
    }
    if (c->changing && c->quorum_us == 0 &&
        viewchange_count(c->collected, c->view) >= c->config.group.quorum.quorum)
        c->quorum_us = c->now_us; /* rule 17: the NEW-VIEW timer starts */
    for (uint32_t i = 0; i < members && look_at_candidate(c); i++) {
    }
    if (c->changing && core_is_primary(c) && may_leave) try_build(c);
}

/* The primary of this view has asked for the next one: a time-out of its view for whoever holds its word (rule 16), also
 * when that came before this replica had entered the view. */
static bool primary_resigned(const struct core *c)
{
    const struct viewchange_message *v = viewchange_latest(c->collected, core_primary(c));
    return c->active && v->blob != NULL && v->view == c->view + 1;
}

/* OSDI'99 section 4.4: a view in which nothing executes is as one that never began: the next gets 2T */
static void give_up(struct core *c)
{
    if (c->unproven) viewchange_backoff_failed(&c->backoff);
    leave(c, c->view + 1);
}

void core_give_up_view(struct core *c)
{
    give_up(c);
    evaluate(c);
}

void core_leave_view(struct core *c, uint64_t to)
{
    leave(c, to);
    evaluate(c);
}

/* ---- messages ---- */

const char *core_on_view_change(struct core *c, const struct msg_verified *m)
{
    const struct wire_view_change *v = &m->msg.view_change;
    if (v->sender == c->config.self) return "own VIEW-CHANGE";
    core_weigh_view_change(c, m);
    if (!m->checkpoint_good) return "a VIEW-CHANGE without proof of its checkpoint"; /* rule 5 */
    struct core_peer *peer = &c->peers[v->sender];
    if (v->proof.seq > peer->stable) peer->stable = v->proof.seq;
    core_offer_stable(c, &v->proof);
    const char *ignored =
        viewchange_add(c->collected, m->blob, &m->id, v, m->certificates_good);
    if (ignored != NULL) return ignored;
    if (primary_resigned(c) && !c->disk_full) leave(c, c->view + 1);
    evaluate(c);
    return NULL;
}

const char *core_on_new_view(struct core *c, const struct msg_verified *m)
{
    const struct wire_new_view *v = &m->msg.new_view;
    if (v->sender == c->config.self) return "own NEW-VIEW";
    const char *ignored = viewchange_offer(c->collected, m->blob, v, c->changing ? c->view - 1 : c->view);
    if (ignored == NULL) evaluate(c);
    return ignored;
}

const char *core_on_fetch_view_change(struct core *c, const struct wire_fetch *m, uint32_t from)
{
    if (m->seq >= c->config.group.quorum.replica_count) return "a FETCH of the VIEW-CHANGE of no member";
    struct blob *b = viewchange_find(c->collected, (uint32_t)m->seq, &m->digest);
    if (b == NULL) return "a FETCH of a VIEW-CHANGE not held";
    if (m->seq == c->config.self && c->left_token > c->durable_token) return "a FETCH of a VIEW-CHANGE not durable yet";
    if (!core_may_serve(c, &c->peers[from], b->len)) return "a FETCH of more than is served in one interval";
    core_send_blob(c, from, WIRE_TYPE_view_change, blob_retain(b), 0, true);
    return NULL;
}

/* After a STATUS: what brings that member to our view. */
void core_view_repair(struct core *c, uint32_t to)
{
    struct core_peer *p = &c->peers[to];
    if (p->view > c->view || (p->view == c->view && !p->changing)) return;
    /* fenced or not, for a NEW-VIEW: it is another's word */
    if (c->changing ? c->left_token > c->durable_token || core_is_mute(c)
                    : c->entry_token > c->durable_token || c->new_view == NULL)
        return;
    struct blob *bytes = c->changing ? c->own_view_change : c->new_view; /* rule 15: as signed */
    if (core_may_lead_on(c, p, bytes->len))
        core_send_blob(c, to, c->changing ? WIRE_TYPE_view_change : WIRE_TYPE_new_view, blob_retain(bytes), 0, true);
}

/* ---- time ---- */

uint64_t core_timer_start(const struct core *c, uint64_t oldest_us)
{
    const uint64_t since = c->view_since_us > c->caught_us ? c->view_since_us : c->caught_us;
    return oldest_us < since ? since : oldest_us;
}

/* The oldest request has waited long enough. While this replica is behind, it is not the primary that is late; and when it has
 * caught up it does not know yet what the others execute meanwhile, so the time begins anew. That is given once in the longest
 * time-out: by making each backup fall behind now and then a primary must not gain more. */
static bool timed_out(struct core *c)
{
    uint64_t oldest = c->oldest_slot_us;
    if (c->custody_count > 0 && c->now_us - c->oldest_custody_us >= c->backoff.now_us) {
        const uint64_t exact = core_custody_oldest(c); /* what was kept is a bound only */
        c->oldest_custody_us = exact < c->now_us ? exact : c->now_us;
    }
    if (c->custody_count > 0 && c->oldest_custody_us < oldest) oldest = c->oldest_custody_us;
    oldest = core_timer_start(c, oldest);
    if (oldest >= c->now_us || c->now_us - oldest < c->backoff.now_us) return false;
    const bool behind = c->walking || core_is_behind(c);
    const bool overdue = c->overdue;
    c->overdue = behind;
    if (behind || !overdue || (c->caught_us != 0 && c->now_us - c->caught_us < c->config.timeout_cap_us)) return !behind;
    c->caught_us = c->now_us;
    return false;
}

void core_view_tick(struct core *c)
{
    if (c->diverged || c->stopping || core_is_mute(c)) return;
    if (c->disk_full) {
        evaluate(c); /* it follows the others into their view */
        return;
    }
    if (c->changing && c->quorum_us != 0 && c->now_us - c->quorum_us >= c->backoff.now_us) {
        viewchange_backoff_failed(&c->backoff); /* rule 17 */
        leave(c, c->view + 1);
    } else if (c->active && timed_out(c)) {
        give_up(c);
    } else if (primary_resigned(c)) {
        leave(c, c->view + 1);
    }
    evaluate(c);
}

/* ---- start ---- */

void core_view_restore(struct core *c, const struct core_recovered *r)
{
    struct wire_message m;
    if (r->new_view != NULL) c->new_view = blob_retain(r->new_view);
    for (uint32_t id = 0; r->kept != NULL && id < c->config.group.quorum.replica_count; id++) {
        if (r->kept[id] == NULL) continue;
        CHECK(wire_decode(blob_bytes(r->kept[id]), &m) == NULL); /* decoded when it was read */
        const struct digest digest = wire_signing_digest(&c->config.group.id, m.signed_part);
        viewchange_restore_kept(c->collected, id, r->kept[id], &digest);
    }
    if (r->view_change == NULL) return;
    c->own_view_change = blob_retain(r->view_change);
    add_own(c);
}

/* What the NEW-VIEW of this view proposed stands as it stood: its time is not judged again. */
void core_view_restore_carried(struct core *c)
{
    struct wire_message m;
    struct wire_reproposal p;
    if (c->new_view == NULL || c->changing) return;
    CHECK(wire_decode(blob_bytes(c->new_view), &m) == NULL); /* decoded when it was read */
    struct wire_iterator i = wire_list_start(m.new_view.proposals);
    while (wire_list_next(&i, &wire_record_reproposal, &p)) {
        struct core_slot *s = core_slot(c, p.seq);
        c->carried_until = p.seq;
        if (s == NULL) continue;
        if (s->phase == CORE_PHASE_EMPTY)
            accept_carried(c, s, &p);
        else
            s->carried = true;
    }
    if (c->carried_until >= c->next_seq) c->next_seq = c->carried_until + 1;
}
