/* backup.c - what any member can do wrong, the primary too. */
#include "tests/evil/evil.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define FLOOD_EVERY_US 20000u
#define FLOOD_MESSAGES 20u
#define NOW_AND_THEN_US 300000u
#define FAR_VIEWS 1000000u
#define FAR_SEQUENCES (1u << 20)

static struct digest invented_digest(struct evil *e)
{
    struct digest d;
    prng_fill(&e->random, d.bytes, DIGEST_BYTES);
    return d;
}

/* ---- votes ---- */

/* PREPARE and COMMIT have the same fields, and so the same place for each in their structs. */
static bool take_vote(const struct evil_saying *s, const struct wire_record **record, struct wire_prepare *out)
{
    _Static_assert(sizeof(struct wire_prepare) == sizeof(struct wire_commit), "two votes of one form");
    if (s->message->type != WIRE_TYPE_prepare && s->message->type != WIRE_TYPE_commit) return false;
    *record = s->message->type == WIRE_TYPE_prepare ? &wire_record_prepare : &wire_record_commit;
    memcpy(out, wire_body_const(s->message), sizeof *out);
    return true;
}

/* The digest of another batch at that sequence: the same for whoever asks, so that votes for it could add up. */
static struct digest other_digest(const struct digest *d)
{
    struct digest out = *d;
    out.bytes[0] ^= 0x55;
    return out;
}

static bool vote_twice(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const struct wire_record *record;
    struct wire_prepare vote;
    if (!take_vote(s, &record, &vote)) return true;
    struct wire_prepare second = vote;
    second.digest = other_digest(&vote.digest);
    second.signature = evil_sign(e, record, &second);
    evil_send(e, s->member, record, s->place % 2 == 0 ? &second : &vote, s->resend);
    evil_send(e, s->member, record, s->place % 2 == 0 ? &vote : &second, s->resend);
    (void)o;
    return false;
}

static bool vote_wrong(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const struct wire_record *record;
    struct wire_prepare vote;
    if (!take_vote(s, &record, &vote)) return true;
    vote.digest = other_digest(&vote.digest);
    vote.signature = evil_sign(e, record, &vote);
    evil_send(e, s->member, record, &vote, s->resend);
    (void)o;
    return false;
}

/* ---- whatever is proposed to whomever, it is for it ---- */

static struct evil_accepted *accepted_at(struct evil *e, uint64_t member, uint64_t seq)
{
    return &e->accepted[(member * 67u + seq) % EVIL_ACCEPTED];
}

/* What that member has said that it accepted; NULL: nothing, or it was forgotten. */
static const struct evil_accepted *accepted_by(struct evil *e, uint64_t member, uint64_t view, uint64_t seq)
{
    const struct evil_accepted *a = accepted_at(e, member, seq);
    return a->present && a->member == member && a->view == view && a->seq == seq ? a : NULL;
}

static void vote_for_accepted(struct evil *e, const struct evil_accepted *a, const struct wire_record *record,
                              bool resend)
{
    struct wire_prepare vote = {
        .epoch = e->core.group.epoch, .sender = e->core.self, .view = a->view, .seq = a->seq, .digest = a->digest};
    vote.signature = evil_sign(e, record, &vote);
    evil_send(e, a->member, record, &vote, resend);
}

/* A member's PREPARE says which proposal it has: it gets both votes for that one, prepared or not. */
static bool hear_what_is_accepted(struct evil *e, const struct evil_order *o, const struct wire_message *m)
{
    if (m->type != WIRE_TYPE_prepare || m->prepare.sender == e->core.self) return true;
    if (quorum_primary(&e->core.group.quorum, m->prepare.view) == e->core.self) return true;
    if (accepted_by(e, m->prepare.sender, m->prepare.view, m->prepare.seq) != NULL) return true;
    struct evil_accepted *a = accepted_at(e, m->prepare.sender, m->prepare.seq);
    *a = (struct evil_accepted){.present = true,
                                .member = (uint32_t)m->prepare.sender,
                                .view = m->prepare.view,
                                .seq = m->prepare.seq,
                                .digest = m->prepare.digest};
    vote_for_accepted(e, a, &wire_record_prepare, false);
    vote_for_accepted(e, a, &wire_record_commit, false);
    evil_note(e, o, a->member, a->view);
    return true;
}

/* To the primary, who says no PREPARE, its own vote; to another member the one for what that has, once that is known.
 */
static bool vote_for_what_is_accepted(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const struct wire_record *record;
    struct wire_prepare vote;
    (void)o;
    if (!take_vote(s, &record, &vote) || vote.sender != e->core.self) return true;
    const uint32_t primary = quorum_primary(&e->core.group.quorum, vote.view);
    if (primary == e->core.self || primary == s->member) return true;
    const struct evil_accepted *a = accepted_by(e, s->member, vote.view, vote.seq);
    if (a != NULL) vote_for_accepted(e, a, record, s->resend);
    return false;
}

/* Says what others said long ago, and what it said itself. */
static void say_old_things(struct evil *e, const struct evil_order *o)
{
    if (!evil_is_time(e, NOW_AND_THEN_US / 4u)) return;
    for (uint32_t id = 0; id < e->core.group.quorum.replica_count; id++) {
        struct blob *old = e->heard[prng_below(&e->random, EVIL_HEARD)];
        struct wire_message m;
        if (id == e->core.self || old == NULL) continue;
        CHECK(wire_decode(blob_bytes(old), &m) == NULL); /* it was heard */
        evil_note(e, o, id, e->summary.view);
        evil_send_bytes(e, id, m.type, old, true);
    }
}

/* Votes as another group with the same members would have them. */
static bool vote_for_another_group(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const struct wire_record *record;
    struct wire_prepare vote;
    if (!take_vote(s, &record, &vote)) return true;
    struct digest other = e->core.group.id;
    other.bytes[0] ^= 1;
    vote.signature = evil_sign_for(e, &other, record, &vote);
    evil_send(e, s->member, record, &vote, s->resend);
    (void)o;
    return false;
}

static void flood(struct evil *e, const struct evil_order *o)
{
    if (!evil_is_time(e, FLOOD_EVERY_US)) return;
    for (uint32_t k = 0; k < FLOOD_MESSAGES; k++) {
        struct wire_prepare vote = {.epoch = e->core.group.epoch,
                                    .sender = e->core.self,
                                    .view = e->summary.view,
                                    .seq = e->summary.executed + 1 + k,
                                    .digest = invented_digest(e)};
        prng_fill(&e->random, &vote.signature, sizeof vote.signature);
        evil_send_to_all(e, &wire_record_prepare, &vote);
    }
    evil_note(e, o, e->core.self, e->summary.view);
}

/* In the name of another member, and of one that is none. */
static void forge(struct evil *e, const struct evil_order *o)
{
    if (!evil_is_time(e, NOW_AND_THEN_US)) return;
    const uint32_t n = e->core.group.quorum.replica_count;
    struct wire_commit vote = {.epoch = e->core.group.epoch,
                               .sender = (e->core.self + 1u) % n,
                               .view = e->summary.view,
                               .seq = e->summary.executed + 1,
                               .digest = invented_digest(e)};
    vote.signature = evil_sign(e, &wire_record_commit, &vote);
    evil_send_to_all(e, &wire_record_commit, &vote);
    vote.sender = n < REPLICAS_MAX ? n : REPLICAS_MAX - 1;
    vote.signature = evil_sign(e, &wire_record_commit, &vote);
    evil_send_to_all(e, &wire_record_commit, &vote);
    evil_note(e, o, e->core.self, e->summary.view);
}

/* ---- view changes ---- */

/* For views far away, with as many certificates as fit, none of which proves anything. */
static void spam_view_changes(struct evil *e, const struct evil_order *o)
{
    if (!evil_is_time(e, NOW_AND_THEN_US)) return;
    const size_t size = WINDOW_BATCHES * (64u + e->core.group.quorum.quorum * 72u) + 1024u;
    const size_t signatures_size = e->core.group.quorum.quorum * 72u;
    uint8_t *space = mem_alloc(size + signatures_size);
    struct writer w = writer_of(space, size);
    struct wire_view_change m = {.epoch = e->core.group.epoch,
                                 .sender = e->core.self,
                                 .view = e->summary.view + 1 + prng_below(&e->random, FAR_VIEWS)};
    for (uint64_t n = 1; n <= WINDOW_BATCHES; n++) {
        struct writer in = writer_of(space + size, signatures_size);
        struct wire_vote_certificate c = {.epoch = m.epoch, .view = e->summary.view, .seq = n, .digest = invented_digest(e)};
        for (uint32_t id = 0; id < e->core.group.quorum.quorum; id++) {
            struct wire_member_signature signature = {.id = id};
            prng_fill(&e->random, &signature.signature, sizeof signature.signature);
            wire_list_add(&c.signatures, &in, &wire_record_member_signature, &signature);
        }
        wire_list_add(&m.prepared, &w, &wire_record_vote_certificate, &c);
    }
    CHECK(!w.overflow);
    m.signature = evil_sign(e, &wire_record_view_change, &m);
    evil_send_to_all(e, &wire_record_view_change, &m);
    evil_note(e, o, e->core.self, e->summary.view);
    free(space);
}

static const struct wire_view_change *own_view_change(const struct evil *e, const struct evil_saying *s)
{
    const struct wire_message *m = s->message;
    return m->type == WIRE_TYPE_view_change && m->view_change.sender == e->core.self ? &m->view_change : NULL;
}

/* Its last certificate is of another batch than its signatures are. */
static bool invalidate_certificate(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const struct wire_view_change *true_one = own_view_change(e, s);
    if (true_one == NULL || true_one->prepared.count == 0) return true;
    struct wire_view_change m = *true_one;
    struct blob *space = blob_new(true_one->prepared.items.len + 64u);
    struct writer w = writer_of(space->data, space->len);
    struct wire_iterator i = wire_list_start(true_one->prepared);
    struct wire_vote_certificate c;
    m.prepared = (struct wire_list){.count = 0};
    while (wire_list_next(&i, &wire_record_vote_certificate, &c)) {
        if (m.prepared.count + 1 == true_one->prepared.count) c.digest = other_digest(&c.digest);
        wire_list_add(&m.prepared, &w, &wire_record_vote_certificate, &c);
    }
    CHECK(!w.overflow);
    m.signature = evil_sign(e, &wire_record_view_change, &m);
    evil_send(e, s->member, &wire_record_view_change, &m, s->resend);
    blob_release(space);
    (void)o;
    return false;
}

static bool hide_certificates(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const struct wire_view_change *true_one = own_view_change(e, s);
    if (true_one == NULL || true_one->prepared.count == 0) return true;
    struct wire_view_change m = *true_one;
    m.prepared = (struct wire_list){.count = 0};
    m.signature = evil_sign(e, &wire_record_view_change, &m);
    evil_send(e, s->member, &wire_record_view_change, &m, s->resend);
    (void)o;
    return false;
}

/* ---- checkpoints ---- */

static bool checkpoint_another_state(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (s->message->type != WIRE_TYPE_checkpoint) return true;
    struct wire_checkpoint m = s->message->checkpoint;
    m.state_root = other_digest(&m.state_root);
    m.signature = evil_sign(e, &wire_record_checkpoint, &m);
    evil_send(e, s->member, &wire_record_checkpoint, &m, s->resend);
    (void)o;
    return false;
}

/* CHECKPOINTs of what nobody has executed: the next one, and one far away. */
static void checkpoint_the_future(struct evil *e, const struct evil_order *o)
{
    if (!evil_is_time(e, NOW_AND_THEN_US)) return;
    const uint64_t next = (e->summary.executed / CHECKPOINT_INTERVAL + 1) * CHECKPOINT_INTERVAL;
    struct wire_checkpoint m = {.epoch = e->core.group.epoch,
                                .sender = e->core.self,
                                .seq = prng_below(&e->random, 2) == 0 ? next : next + CHECKPOINT_INTERVAL * FAR_SEQUENCES,
                                .header_hash = invented_digest(e),
                                .state_root = invented_digest(e)};
    m.signature = evil_sign(e, &wire_record_checkpoint, &m);
    evil_send_to_all(e, &wire_record_checkpoint, &m);
    evil_note(e, o, e->core.self, e->summary.view);
}

/* ---- as a source of what others lack ---- */

/* A byte of each answer is another. */
static bool answer_badly(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (s->message->type != WIRE_TYPE_data || s->message->data.payload.len == 0) return true;
    struct wire_data m = s->message->data;
    struct blob *payload = blob_copy(m.payload);
    const uint8_t bit = (uint8_t)(1u << prng_below(&e->random, 8));
    payload->data[prng_below(&e->random, payload->len)] ^= bit;
    m.payload = blob_bytes(payload);
    evil_send(e, s->member, &wire_record_data, &m, s->resend);
    blob_release(payload);
    (void)o;
    return false;
}

static bool answer_late(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (s->message->type != WIRE_TYPE_data) return true;
    evil_send_later(e, s, 6u * e->core.resend_us);
    (void)o;
    return false;
}

static bool answer_nothing(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    (void)e;
    (void)o;
    return s->message->type != WIRE_TYPE_data;
}

/* Says that it is far ahead: whoever believes one member waits for it. */
static bool claim_to_be_ahead(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (s->message->type != WIRE_TYPE_status) return true;
    struct wire_status m = s->message->status;
    m.executed += FAR_SEQUENCES;
    m.view += FAR_VIEWS;
    m.stable.seq += CHECKPOINT_INTERVAL * 1000u;
    evil_send(e, s->member, &wire_record_status, &m, s->resend);
    (void)o;
    return false;
}

/* ---- any message ---- */

/* One integer of a record, one up or down, in it or in a record that it holds in place. */
static void nudge(struct evil *e, const struct wire_record *record, void *message)
{
    const struct wire_field *f = &record->fields[prng_below(&e->random, record->field_count)];
    uint8_t *at = (uint8_t *)message + f->offset;
    if (f->kind == WIRE_KIND_OBJECT) {
        nudge(e, f->record, at);
    } else if (f->kind == WIRE_KIND_UINT) {
        uint64_t value;
        memcpy(&value, at, sizeof value);
        const bool up = value == 0 || (value < f->max && prng_below(&e->random, 2) == 0);
        value = up ? value + 1 : value - 1;
        memcpy(at, &value, sizeof value);
    } else if (f->kind == WIRE_KIND_DIGEST) {
        at[0] ^= 1;
    }
}

/* Two of three messages have one field one off, and are signed anew. */
static bool one_off(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    struct wire_message m = *s->message;
    const struct wire_record *record = wire_record_of_type(m.type);
    if (prng_below(&e->random, 3) == 0) return true;
    nudge(e, record, wire_body(&m));
    if (wire_is_signed(record))
        for (uint32_t i = 0; i < record->field_count; i++)
            if (record->fields[i].kind == WIRE_KIND_SIGNATURE) {
                const struct signature fresh = evil_sign(e, record, wire_body(&m));
                memcpy((uint8_t *)wire_body(&m) + record->fields[i].offset, &fresh, sizeof fresh);
            }
    evil_send(e, s->member, record, wire_body(&m), s->resend);
    (void)o;
    return false;
}

static bool say_nothing(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    (void)e;
    (void)o;
    (void)s;
    return false;
}

const struct evil_behaviour evil_backup_behaviours[] = {
    {"mute", "says nothing to other members", .says = say_nothing},
    {"vote-twice", "each vote goes with a second one for another digest", .says = vote_twice},
    {"wrong-digest", "votes for another digest than the one proposed", .says = vote_wrong},
    {"replay", "says again what others and itself said before", .wakes = say_old_things},
    {"foreign-votes", "votes are signed for another group", .says = vote_for_another_group},
    {"flood", "a thousand votes with bad signatures a second", .wakes = flood},
    {"forge", "votes in the name of another member, and of one that does not exist", .wakes = forge},
    {"view-change-spam", "VIEW-CHANGEs for far views, full of worthless certificates", .wakes = spam_view_changes},
    {"view-change-invalid", "a certificate in its VIEW-CHANGE is altered", .says = invalidate_certificate},
    {"view-change-hide", "its VIEW-CHANGE leaves out what it prepared", .says = hide_certificates},
    {"checkpoint-bogus", "CHECKPOINTs name another state", .says = checkpoint_another_state},
    {"checkpoint-future", "CHECKPOINTs of what nobody has executed", .wakes = checkpoint_the_future},
    {"source-bad", "a bit is changed in every batch, block or piece of state that it serves", .says = answer_badly},
    {"source-slow", "what it serves comes late", .says = answer_late},
    {"source-silent", "serves nothing", .says = answer_nothing},
    {"status-lie", "claims to be far ahead", .says = claim_to_be_ahead},
    {"one-off", "two of three messages have one field one off, and are signed", .says = one_off},
    {EVIL_ACCOMPLICE,
     "towards each member it is for the proposal that this member has accepted, whatever it says to others",
     .hears = hear_what_is_accepted, .says = vote_for_what_is_accepted},
};
const uint32_t evil_backup_behaviour_count = sizeof evil_backup_behaviours / sizeof evil_backup_behaviours[0];
