/* core_fence.c - what a replica hears before its first vote, and the fence (design.md 7.6).
 *
 *   START -> listening --- Q-1 others have shown what they hold of it ---> votes
 *                                            |
 *                             its record is not all it has promised
 *                                            v
 *                             fenced: no vote, no VIEW-CHANGE until C + 2L is stable
 *
 * A data directory can be older than what its replica has signed: restored from a backup, or made anew. Nobody can see
 * that from within. So after every start the others show the newest messages they hold of this replica, in answer to a
 * STATUS that says it is listening. What they show is signed, so no liar can fence a correct replica; a correct one never
 * sends what its record does not hold (design.md 7.1 to 7.7).
 *
 * Beyond the words of 7.6, also an own COMMIT without its certificate here is a promise lost, and after a clean stop,
 * which keeps every vote, an own vote of the view that is not in the record. What it has signed below the others'
 * stable checkpoint they do not hold any more: it casts no vote there, and need not, for they have executed that. */
#include "replica/core/core_internal.h"

#include <string.h>

#define SHOWN_MAX 8u
#define SHOWN_BYTES_MAX (4u * 1024u * 1024u)
#define FILL_US 10000u                   /* between two empty batches */
#define FILL_MAX (4u * WINDOW_BATCHES)   /* of them for one member that says it is fenced, however often it says so, */
#define FILL_AGAIN_US 60000000u          /* ... and one more each minute: a day gives an honest one all of them again */

bool core_is_fenced(const struct core *c)
{
    return c->low < c->mute_until;
}

bool core_is_mute(const struct core *c)
{
    return c->listening || core_is_fenced(c);
}

/* Rule 12: it may have voted here, and forgotten. After an unclean stop in its view (design.md 7.5); and up to the
 * stable checkpoint that it was shown at its start: who has that has dropped the votes up to it, and shows none. */
bool core_may_have_voted(const struct core *c, uint64_t seq)
{
    return seq <= c->abstain_until || seq <= c->heard_stable;
}

/* ---- what is held of a member ---- */

struct shown {
    uint32_t count;
    size_t bytes;
    struct blob *messages[SHOWN_MAX];
};

static void show_blob(struct shown *out, struct blob *message_taken)
{
    if (out->count == SHOWN_MAX || out->bytes + message_taken->len > SHOWN_BYTES_MAX) {
        blob_release(message_taken);
        return;
    }
    out->bytes += message_taken->len;
    out->messages[out->count++] = message_taken;
}

static void show_vote(const struct core *c, uint32_t of, uint64_t view, uint64_t seq, enum wire_type type,
                      const struct core_vote *v, struct shown *out)
{
    const struct wire_vote vote = {.type = type,
                                   .epoch = c->config.group.epoch,
                                   .sender = of,
                                   .view = view,
                                   .seq = seq,
                                   .digest = v->digest,
                                   .signature = v->signature};
    show_blob(out, wire_vote_encode(&vote));
}

/* Its COMMIT, and its PREPARE or PRE-PREPARE, of the highest sequence in this view. */
static void show_slots(const struct core *c, uint32_t of, struct shown *out)
{
    const enum wire_type proposing = core_primary(c) == of ? WIRE_TYPE_pre_prepare : WIRE_TYPE_prepare;
    bool commit_shown = false;
    bool vote_shown = false;
    if (c->changing) return; /* the votes in the slots are of a view left */
    for (uint64_t n = c->low + WINDOW_BATCHES; n > c->low && !(commit_shown && vote_shown); n--) {
        const struct core_slot *s = core_slot_const(c, n);
        if (s == NULL) continue;
        const struct core_vote proposal = {.present = s->phase != CORE_PHASE_EMPTY,
                                           .digest = s->batch.digest,
                                           .signature = s->proposal};
        const struct core_vote *vote = proposing == WIRE_TYPE_pre_prepare ? &proposal : &s->prepares[of];
        if (s->commits[of].present && !commit_shown)
            show_vote(c, of, c->view, n, WIRE_TYPE_commit, &s->commits[of], out);
        if (vote->present && !vote_shown) show_vote(c, of, c->view, n, proposing, vote, out);
        commit_shown |= s->commits[of].present;
        vote_shown |= vote->present;
    }
}

static void show_early(const struct core *c, uint32_t of, struct shown *out)
{
    const struct core_early *e = &c->early[of];
    const struct core_early_vote *newest = NULL;
    for (uint32_t i = 0; i < e->count; i++)
        if (newest == NULL || e->votes[i].seq > newest->seq) newest = &e->votes[i];
    if (newest == NULL) return;
    const struct core_vote v = {.digest = newest->digest, .signature = newest->signature};
    show_vote(c, of, e->view, newest->seq, newest->commit ? WIRE_TYPE_commit : WIRE_TYPE_prepare, &v, out);
}

static void show_checkpoint(const struct core *c, uint32_t of, struct shown *out)
{
    const struct core_checkpoint_vote *newest = NULL;
    for (uint32_t i = 0; i < WINDOW_BATCHES / CHECKPOINT_INTERVAL; i++) {
        const struct core_checkpoint_vote *v = &c->checkpoints[i].votes[of];
        if (v->seq > 0 && (newest == NULL || v->seq > newest->seq)) newest = v;
    }
    if (newest == NULL) return;
    struct wire_checkpoint m = {.epoch = c->config.group.epoch,
                                .sender = of,
                                .seq = newest->seq,
                                .header_hash = newest->header_hash,
                                .state_root = newest->state_root,
                                .signature = newest->signature};
    show_blob(out, wire_encode_blob(&wire_record_checkpoint, &m));
}

/* The newest messages held that member `of` has signed, as a list of STATUS.shown; release the space returned. */
struct blob *core_shown(const struct core *c, uint32_t of, struct wire_list *out)
{
    struct shown shown = {0};
    show_checkpoint(c, of, &shown);
    show_early(c, of, &shown);
    show_slots(c, of, &shown);
    const struct viewchange_message *v = viewchange_latest(c->collected, of);
    if (v->blob != NULL) show_blob(&shown, blob_retain(v->blob));
    struct blob *space = blob_new(shown.bytes + SHOWN_MAX * 9u);
    struct writer w = writer_of(space->data, space->len);
    for (uint32_t i = 0; i < shown.count; i++) {
        wire_list_add_bytes(out, &w, blob_bytes(shown.messages[i]));
        blob_release(shown.messages[i]);
    }
    CHECK(!w.overflow);
    return space;
}

/* ---- listening ---- */

const char *core_fence_text(enum fence_reason reason)
{
    switch (reason) {
    case FENCE_REASON_NONE: return NULL;
    case FENCE_REASON_NEW_DIRECTORY: return "its data directory is new, in a group that may know it";
    case FENCE_REASON_VOTE_DAMAGED: return "a vote in its record is damaged";
    case FENCE_REASON_VIEW_DAMAGED: return "the record of its view is damaged";
    case FENCE_REASON_FENCE_DAMAGED: return "the record of an earlier fence is damaged";
    case FENCE_REASON_VIEW_ABOVE: return "it has voted in a view above its record";
    case FENCE_REASON_WINDOW_ABOVE: return "it has voted above the window of its record";
    case FENCE_REASON_COMMIT_LOST: return "it has sent a COMMIT whose certificate is not in its record";
    case FENCE_REASON_VIEW_LEFT: return "it has left a view that its record is in";
    case FENCE_REASON_VOTE_LOST: return "it has voted in this view, and its record, of a clean stop, does not hold the vote";
    case FENCE_REASON_CHECKPOINT_LOST: return "it has signed a CHECKPOINT above its own blocks";
    }
    return NULL;
}

static void suspect(struct core *c, enum fence_reason reason)
{
    if (!c->fence_new) c->fence_reason = reason; /* the first one found */
    c->fence_new = true;
}

/* An own vote that the record does not hold. */
static enum fence_reason judge_vote(const struct core *c, const struct wire_message *m, uint64_t view, uint64_t seq,
                              const struct digest *digest)
{
    if (view > c->record.view) return FENCE_REASON_VIEW_ABOVE;
    if (seq > c->record.low + WINDOW_BATCHES) return FENCE_REASON_WINDOW_ABOVE;
    const struct core_slot *s = core_slot_const(c, seq);
    if (seq <= c->low) return FENCE_REASON_NONE;
    if (m->type == WIRE_TYPE_commit) {
        struct wire_vote_certificate kept;
        if (s == NULL || s->kept == NULL) return FENCE_REASON_COMMIT_LOST;
        CHECK(wire_decode_record(&wire_record_vote_certificate, blob_bytes(s->kept), &kept) == NULL);
        return kept.view < view ? FENCE_REASON_COMMIT_LOST : FENCE_REASON_NONE;
    }
    if (!c->record.clean || view != c->record.view || c->view != view || c->changing) return FENCE_REASON_NONE;
    if (s == NULL || !s->prepare_sent || !digest_equal(&s->batch.digest, digest)) return FENCE_REASON_VOTE_LOST;
    return FENCE_REASON_NONE;
}

static enum fence_reason judge(const struct core *c, const struct wire_message *m)
{
    const uint32_t self = c->config.self;
    switch (m->type) {
    case WIRE_TYPE_view_change:
        return m->view_change.sender == self && m->view_change.view > c->record.view ? FENCE_REASON_VIEW_LEFT : FENCE_REASON_NONE;
    case WIRE_TYPE_pre_prepare:
        return m->pre_prepare.sender != self
                   ? FENCE_REASON_NONE
                   : judge_vote(c, m, m->pre_prepare.view, m->pre_prepare.seq, &m->pre_prepare.digest);
    case WIRE_TYPE_prepare:
        return m->prepare.sender != self ? FENCE_REASON_NONE
                                         : judge_vote(c, m, m->prepare.view, m->prepare.seq, &m->prepare.digest);
    case WIRE_TYPE_commit:
        return m->commit.sender != self ? FENCE_REASON_NONE
                                        : judge_vote(c, m, m->commit.view, m->commit.seq, &m->commit.digest);
    case WIRE_TYPE_checkpoint:
        if (m->checkpoint.sender == self && m->checkpoint.seq > c->record.executed) return FENCE_REASON_CHECKPOINT_LOST;
        return FENCE_REASON_NONE;
    default: return FENCE_REASON_NONE;
    }
}

static bool names_self(const struct core *c, const struct wire_checkpoint_certificate *certificate)
{
    struct wire_iterator i = wire_list_start(certificate->signatures);
    struct wire_member_signature m;
    while (wire_list_next(&i, &wire_record_member_signature, &m))
        if (m.id == c->config.self) return true;
    return false;
}

static void end_listening(struct core *c)
{
    c->listening = false;
    c->view_since_us = c->now_us; /* no timer ran before */
    if (c->fence_new) {
        const uint64_t from = c->heard_stable > c->low ? c->heard_stable : c->low;
        c->mute_until = from + 2 * WINDOW_BATCHES;
        (void)core_persist(c, CORE_PERSIST_FENCE, c->mute_until, NULL, NULL, NULL);
    }
    /* also when the fence is of an earlier start: the Q-1 heard then may not have held this one, or the process ended
     * before it was durable here (rule 16). Who is not fenced was shown none above its view: that would fence it */
    if (c->heard_view > c->view) core_view_retake(c, c->heard_own, c->heard_view);
    blob_release(c->heard_own);
    c->heard_own = NULL;
    core_begin(c);
}

/* The promise in a VIEW-CHANGE, no vote in a lower view, outlasts the fence (rule 16). */
static void keep_own(struct core *c, const struct wire_message *m, struct bytes raw)
{
    if (m->type != WIRE_TYPE_view_change || m->view_change.sender != c->config.self) return;
    if (m->view_change.view <= c->heard_view) return;
    blob_release(c->heard_own);
    c->heard_own = blob_copy(raw);
    c->heard_view = m->view_change.view;
}

static void listen_on(struct core *c)
{
    if (replica_set_count(&c->heard) + 1 >= c->config.group.quorum.quorum) end_listening(c);
}

void core_listen(struct core *c, const struct core_recovered *r)
{
    c->listening = true;
    c->record.view = r->view;
    c->record.low = r->stable.seq;
    c->record.executed = r->executed;
    c->record.clean = r->clean;
    if (r->fence_until > c->low) {
        c->mute_until = r->fence_until; /* decided at an earlier start */
        c->fence_reason = r->fence_reason;
    } else if (r->fenced) {
        suspect(c, r->fence_reason);
    } else if (r->damaged) {
        suspect(c, FENCE_REASON_VOTE_DAMAGED);
    }
    listen_on(c); /* a group of one has nobody to hear */
}

/* An answer to this replica's own STATUS. */
void core_hear(struct core *c, const struct msg_verified *m, uint32_t from)
{
    const struct wire_status *status = &m->msg.status;
    struct wire_iterator i = wire_list_start(status->shown);
    struct bytes raw;
    if (status->stable.seq > 0 && !m->checkpoint_good) return; /* rule 5 */
    for (uint32_t k = 0; wire_list_next_bytes(&i, &raw); k++) {
        struct wire_message shown;
        if ((m->shown_good >> k & 1u) == 0 || wire_decode(raw, &shown) != NULL) continue;
        keep_own(c, &shown, raw);
        const enum fence_reason reason = judge(c, &shown);
        if (reason != FENCE_REASON_NONE && !core_is_fenced(c)) suspect(c, reason);
    }
    if (status->stable.seq > c->record.executed && names_self(c, &status->stable) && !core_is_fenced(c))
        suspect(c, FENCE_REASON_CHECKPOINT_LOST);
    if (status->stable.seq > c->heard_stable) c->heard_stable = status->stable.seq;
    replica_set_add(&c->heard, from);
    listen_on(c);
}

/* ---- helping others over theirs ---- */

/* Only time gives back what was used up for a member: what it says of itself, a liar says at will. */
static void give_back(const struct core *c, struct core_peer *p)
{
    const uint64_t more = p->filled == 0 ? 0 : (c->now_us - p->filled_us) / FILL_AGAIN_US;
    p->filled -= more < p->filled ? (uint32_t)more : p->filled;
    p->filled_us = p->filled == 0 ? c->now_us : p->filled_us + more * FILL_AGAIN_US;
}

static bool someone_is_fenced(struct core *c)
{
    for (uint32_t id = 0; id < c->config.group.quorum.replica_count; id++) {
        struct core_peer *p = &c->peers[id];
        if (!p->fenced || c->now_us - p->heard_us > 3 * c->config.heartbeat_us) continue;
        give_back(c, p);
        if (p->filled >= FILL_MAX) continue;
        p->filled++;
        return true;
    }
    return false;
}

/* An idle group makes no checkpoints, and a fenced member waits for them: the primary proposes empty batches. */
void core_fence_tick(struct core *c)
{
    if (c->now_us - c->filled_us < FILL_US || !core_may_fill(c) || !someone_is_fenced(c)) return;
    c->filled_us = c->now_us;
    core_propose_empty(c);
}
