/* primary.c - what a primary can do wrong.
 *
 * No receiver can tell most of it from the truth alone. With a PRE-PREPARE that is not the truth goes a COMMIT for it, so
 * that this replica votes for all it says. What is said depends on the proposal and the receiver only: the same is said
 * again when it is asked again. */
#include "tests/evil/evil.h"

#include "base/check.h"
#include "crypto/merkle.h"

#include <stdlib.h>
#include <string.h>

/* Time of a proposal that is not the time: past what any clock may be off. */
#define TIME_AWAY_MS (24u * 3600u * 1000u)

/* The proposal that is on its way, when the order is about it; else NULL. */
static const struct wire_pre_prepare *proposal(const struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (s->message->type != WIRE_TYPE_pre_prepare) return NULL;
    const struct wire_pre_prepare *m = &s->message->pre_prepare;
    return evil_reigns(e, o, m->view, m->seq) ? m : NULL;
}

/* ---- saying something else ---- */

/* The proposal of this batch at this sequence, and the COMMIT for it. */
static void say_proposal(struct evil *e, const struct evil_saying *s, uint64_t seq, const struct digest *digest,
                         struct bytes batch)
{
    struct wire_pre_prepare m = s->message->pre_prepare;
    m.seq = seq;
    m.digest = *digest;
    m.batch = batch;
    m.signature = evil_sign(e, &wire_record_pre_prepare, &m);
    struct wire_commit commit = {
        .epoch = m.epoch, .sender = m.sender, .view = m.view, .seq = m.seq, .digest = m.digest};
    commit.signature = evil_sign(e, &wire_record_commit, &commit);
    evil_send(e, s->member, &wire_record_pre_prepare, &m, s->resend);
    evil_send(e, s->member, &wire_record_commit, &commit, s->resend);
}

/* A batch in pieces, to be put together in another way. */
struct pieces {
    uint64_t time_ms;
    uint32_t count;
    struct bytes *requests;
};

static struct pieces take_apart(const struct evil_saying *s, uint32_t room)
{
    struct wire_batch batch;
    CHECK(wire_decode_record(&wire_record_batch, s->message->pre_prepare.batch, &batch) == NULL);
    struct pieces p = {.time_ms = batch.time_ms};
    p.requests = mem_zero(batch.requests.count + room + 1u, sizeof *p.requests);
    struct wire_iterator i = wire_list_start(batch.requests);
    while (wire_list_next_bytes(&i, &p.requests[p.count]))
        p.count++;
    return p;
}

/* Proposes the pieces at the sequence of the true proposal, as many as a message holds (seed 140513), and gives them
 * back. */
static void propose_pieces(struct evil *e, const struct evil_saying *s, struct pieces *p)
{
    size_t size = 16;
    for (uint32_t k = 0; k < p->count; k++) {
        const size_t more = p->requests[k].len + 9;
        if (size + more > BATCH_BYTES_MAX) {
            p->count = k;
            break;
        }
        size += more;
    }
    struct digest *leaves = mem_alloc(sizeof *leaves * (p->count + 1u));
    uint8_t *space = mem_alloc(size);
    struct writer w = writer_of(space, size);
    struct wire_batch batch = {.time_ms = p->time_ms};
    for (uint32_t k = 0; k < p->count; k++) {
        wire_list_add_bytes(&batch.requests, &w, p->requests[k]);
        leaves[k] = merkle_leaf(p->requests[k]);
    }
    CHECK(!w.overflow);
    const struct digest digest = batch_digest(p->time_ms, leaves, p->count);
    struct blob *bytes = wire_encode_blob(&wire_record_batch, &batch);
    say_proposal(e, s, s->message->pre_prepare.seq, &digest, blob_bytes(bytes));
    blob_release(bytes);
    free(space);
    free(leaves);
    free(p->requests);
}

/* The same requests in another order and `which` ms later: a batch that a correct primary could have proposed as well. */
static void say_other_batch(struct evil *e, const struct evil_saying *s, uint32_t which)
{
    struct pieces p = take_apart(s, 0);
    struct bytes *turned = mem_alloc(sizeof *turned * (p.count + 1u));
    for (uint32_t k = 0; k < p.count; k++)
        turned[(k + which) % p.count] = p.requests[k];
    free(p.requests);
    p.requests = turned;
    p.time_ms += which;
    propose_pieces(e, s, &p);
}

/* ---- proposals ---- */

static bool is_deaf_to_requests(struct evil *e, const struct evil_order *o, const struct wire_message *m)
{
    if (m->type != WIRE_TYPE_request) return true;
    const uint64_t last = e->summary.proposed > e->summary.executed ? e->summary.proposed : e->summary.executed;
    if (!evil_reigns(e, o, e->summary.view, last + 1)) return true;
    evil_note(e, o, e->core.self, e->summary.view);
    return false;
}

static bool propose_nothing(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    return proposal(e, o, s) == NULL;
}

static bool propose_so_late(struct evil *e, const struct evil_order *o, const struct evil_saying *s, uint32_t tenths)
{
    if (proposal(e, o, s) == NULL) return true;
    if (!s->resend) evil_send_later(e, s, e->core.timeout_us / 10u * tenths);
    return false;
}

static bool propose_late(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    return propose_so_late(e, o, s, 9);
}

/* Each wait is too short to be a reason by itself. */
static bool propose_a_little_late(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    return propose_so_late(e, o, s, 1);
}

static bool propose_two_batches(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const uint32_t backups = e->core.group.quorum.replica_count - 1;
    if (proposal(e, o, s) == NULL || s->place < (backups + 1) / 2) return true;
    say_other_batch(e, s, 1);
    return false;
}

/* The true one, and right behind it another one for the same sequence. */
static bool propose_twice(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (proposal(e, o, s) == NULL) return true;
    evil_send_bytes(e, s->member, s->message->type, s->bytes, s->resend);
    say_other_batch(e, s, 1);
    return false;
}

static bool propose_a_batch_each(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (proposal(e, o, s) == NULL || s->place == 0) return true;
    say_other_batch(e, s, s->place);
    return false;
}

static bool propose_a_sequence_each(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const struct wire_pre_prepare *m = proposal(e, o, s);
    if (m == NULL || s->place == 0) return true;
    say_proposal(e, s, m->seq + s->place, &m->digest, m->batch);
    return false;
}

static bool propose_to_all_but_f(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const struct quorum *q = &e->core.group.quorum;
    return proposal(e, o, s) == NULL || s->place < q->replica_count - 1 - q->faulty_max;
}

/* It proposes at once, but not to f backups, and keeps its COMMIT back: no quorum comes together before it likes. */
static bool finish_late(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const struct wire_message *m = s->message;
    switch (m->type) {
    case WIRE_TYPE_pre_prepare:
        if (propose_to_all_but_f(e, o, s)) return true;
        break;
    case WIRE_TYPE_commit:
        if (!evil_reigns(e, o, m->commit.view, m->commit.seq)) return true;
        break;
    case WIRE_TYPE_status: /* nobody learns from it what is lacking, nor gets it */
    case WIRE_TYPE_data: return !evil_reigns(e, o, e->summary.view, SEQ_MAX);
    default: return true;
    }
    if (!s->resend) evil_send_later(e, s, e->core.timeout_us / 100u * 85u);
    return false;
}

static bool propose_to_too_few(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    return proposal(e, o, s) == NULL || s->place + 2 < e->core.group.quorum.quorum; /* Q-1 backups would prepare it */
}

/* Every eighth sequence number is never proposed. */
static bool skip_a_sequence(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const struct wire_pre_prepare *m = proposal(e, o, s);
    return m == NULL || m->seq % 8 != 0;
}

static bool jump_to_the_high_watermark(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const struct wire_pre_prepare *m = proposal(e, o, s);
    if (m == NULL || e->summary.low + WINDOW_BATCHES < m->seq) return true;
    say_proposal(e, s, e->summary.low + WINDOW_BATCHES, &m->digest, m->batch);
    return false;
}

/* The client whose request it hears first as primary: never again, whoever forwards it. */
static bool is_deaf_to_one_client(struct evil *e, const struct evil_order *o, const struct wire_message *m)
{
    if (m->type != WIRE_TYPE_request || !evil_reigns(e, o, e->summary.view, SEQ_MAX)) return true;
    if (!e->censors) e->censored = m->request.client;
    e->censors = true;
    if (!public_key_equal(&e->censored, &m->request.client)) return true;
    evil_note(e, o, e->core.self, e->summary.view);
    return false;
}

static bool propose_requests_twice(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (proposal(e, o, s) == NULL) return true;
    struct pieces p = take_apart(s, 1);
    if (p.count > 0 && p.count < e->core.batch_requests_max) p.count++;
    if (p.count > 1) p.requests[p.count - 1] = p.requests[0]; /* of a full batch the last request has to wait */
    propose_pieces(e, s, &p);
    return false;
}

static bool propose_requests_reordered(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (proposal(e, o, s) == NULL) return true;
    struct pieces p = take_apart(s, 0);
    for (uint32_t k = 0; k < p.count / 2; k++) {
        const struct bytes first = p.requests[k];
        p.requests[k] = p.requests[p.count - 1 - k];
        p.requests[p.count - 1 - k] = first;
    }
    propose_pieces(e, s, &p);
    return false;
}

static bool propose_the_past(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (proposal(e, o, s) == NULL) return true;
    struct pieces p = take_apart(s, 0);
    p.time_ms = p.time_ms > TIME_AWAY_MS ? p.time_ms - TIME_AWAY_MS : 0;
    propose_pieces(e, s, &p);
    return false;
}

static bool propose_the_future(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (proposal(e, o, s) == NULL) return true;
    struct pieces p = take_apart(s, 0);
    p.time_ms += TIME_AWAY_MS;
    propose_pieces(e, s, &p);
    return false;
}

/* More requests than the group allows in a batch. */
static bool propose_too_much(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (proposal(e, o, s) == NULL) return true;
    struct pieces p = take_apart(s, e->core.batch_requests_max + 1u);
    for (uint32_t k = p.count; p.count > 0 && k <= e->core.batch_requests_max; k++)
        p.requests[k] = p.requests[k % p.count];
    if (p.count > 0 && p.count <= e->core.batch_requests_max) p.count = e->core.batch_requests_max + 1u;
    if (p.count > BATCH_REQUESTS_MAX) p.count = BATCH_REQUESTS_MAX;
    propose_pieces(e, s, &p);
    return false;
}

/* The bytes of a batch that is none, under the digest of the true one. */
static bool propose_garbage(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    const struct wire_pre_prepare *m = proposal(e, o, s);
    if (m == NULL) return true;
    say_proposal(e, s, m->seq, &m->digest, bytes_of(m->batch.data, m->batch.len / 2));
    return false;
}

/* A request that its client has not signed as it stands. */
static bool propose_a_bad_signature(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (proposal(e, o, s) == NULL) return true;
    struct pieces p = take_apart(s, 0);
    struct blob *spoiled = NULL;
    if (p.count > 0) {
        spoiled = blob_copy(p.requests[0]);
        spoiled->data[spoiled->len - 1] ^= 1; /* the signature stands last */
        p.requests[0] = blob_bytes(spoiled);
    }
    propose_pieces(e, s, &p);
    blob_release(spoiled);
    return false;
}

/* ---- NEW-VIEW ---- */

/* The NEW-VIEW that is on its way, when it is its own and the order is about its view. */
static const struct wire_new_view *own_new_view(const struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    if (s->message->type != WIRE_TYPE_new_view || s->message->new_view.sender != e->core.self) return NULL;
    return evil_reigns(e, o, s->message->new_view.view, SEQ_MAX) ? &s->message->new_view : NULL;
}

static struct wire_reproposal reproposal_of(struct evil *e, const struct wire_new_view *m, uint64_t seq, uint8_t what)
{
    struct wire_pre_prepare p = {.epoch = m->epoch, .sender = m->sender, .view = m->view, .seq = seq};
    memset(p.digest.bytes, what, DIGEST_BYTES);
    return (struct wire_reproposal){.seq = seq, .digest = p.digest, .signature = evil_sign(e, &wire_record_pre_prepare, &p)};
}

enum new_view_lie { NEW_VIEW_DROP, NEW_VIEW_ALTER, NEW_VIEW_INVENT };

static bool say_new_view(struct evil *e, const struct evil_order *o, const struct evil_saying *s, enum new_view_lie lie)
{
    const struct wire_new_view *true_one = own_new_view(e, o, s);
    if (true_one == NULL || (lie != NEW_VIEW_INVENT && true_one->proposals.count == 0)) return true;
    struct wire_new_view m = *true_one;
    const size_t size = true_one->proposals.items.len + 256u;
    uint8_t *space = mem_alloc(size);
    struct writer w = writer_of(space, size);
    struct wire_iterator i = wire_list_start(true_one->proposals);
    struct wire_reproposal p = {.seq = e->summary.low};
    m.proposals = (struct wire_list){.count = 0};
    for (uint32_t k = 0; wire_list_next(&i, &wire_record_reproposal, &p); k++) {
        const bool last = k + 1 == true_one->proposals.count;
        if (last && lie == NEW_VIEW_DROP) continue;
        if (last && lie == NEW_VIEW_ALTER) p = reproposal_of(e, &m, p.seq, 0xa1);
        wire_list_add(&m.proposals, &w, &wire_record_reproposal, &p);
    }
    if (lie == NEW_VIEW_INVENT && m.proposals.count < WINDOW_BATCHES) {
        const struct wire_reproposal invented = reproposal_of(e, &m, p.seq + 1, 0x1f);
        wire_list_add(&m.proposals, &w, &wire_record_reproposal, &invented);
    }
    CHECK(!w.overflow);
    m.signature = evil_sign(e, &wire_record_new_view, &m);
    evil_send(e, s->member, &wire_record_new_view, &m, s->resend);
    free(space);
    return false;
}

static bool drop_from_new_view(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    return say_new_view(e, o, s, NEW_VIEW_DROP);
}

static bool alter_new_view(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    return say_new_view(e, o, s, NEW_VIEW_ALTER);
}

static bool invent_in_new_view(struct evil *e, const struct evil_order *o, const struct evil_saying *s)
{
    return say_new_view(e, o, s, NEW_VIEW_INVENT);
}

#define PRIMARY .primary = true

const struct evil_behaviour evil_primary_behaviours[] = {
    {"silent", "ignores requests and proposes nothing", PRIMARY, .hears = is_deaf_to_requests, .says = propose_nothing},
    {"slow", "each proposal leaves 0.9 T late", PRIMARY, .says = propose_late},
    {"late", "each proposal leaves 0.1 T late", PRIMARY, .says = propose_a_little_late},
    {"finish-late", "f backups get the PRE-PREPARE, and all its COMMIT, 0.85 T late", PRIMARY, .says = finish_late},
    {"equivocate", "one half of the backups gets another batch", PRIMARY, .says = propose_two_batches},
    {"scatter", "each backup gets another batch: none has a quorum", PRIMARY, .says = propose_a_batch_each},
    {"propose-twice", "each backup gets a second batch for the same sequence", PRIMARY, .says = propose_twice},
    {"renumber", "each backup gets the batch under another sequence number", PRIMARY, .says = propose_a_sequence_each},
    {"omit", "f backups get no PRE-PREPARE", PRIMARY, .says = propose_to_all_but_f},
    {"starve", "only Q-2 backups get a PRE-PREPARE: no quorum", PRIMARY, .says = propose_to_too_few},
    {"skip", "every eighth sequence number is not proposed", PRIMARY, .says = skip_a_sequence},
    {"jump", "proposes at the high watermark only", PRIMARY, .says = jump_to_the_high_watermark},
    {"censor", "ignores one client's requests, forwarded ones too", PRIMARY, .hears = is_deaf_to_one_client},
    {"duplicate-requests", "the first request of each batch is in it twice", PRIMARY, .says = propose_requests_twice},
    {"reorder-requests", "turns the order in each batch around", PRIMARY, .says = propose_requests_reordered},
    {"time-backwards", "batches are dated a day ago", PRIMARY, .says = propose_the_past},
    {"time-ahead", "batches are dated in a day", PRIMARY, .says = propose_the_future},
    {"batch-oversize", "batches hold more requests than the group allows", PRIMARY, .says = propose_too_much},
    {"batch-malformed", "half of each batch's bytes, under the whole one's digest", PRIMARY, .says = propose_garbage},
    {"batch-bad-signature", "a request in each batch is not what its client signed", PRIMARY,
     .says = propose_a_bad_signature},
    {"new-view-drop", "NEW-VIEW without the last batch that it must carry over", PRIMARY, .says = drop_from_new_view},
    {"new-view-alter", "NEW-VIEW with another digest for that batch", PRIMARY, .says = alter_new_view},
    {"new-view-invent", "NEW-VIEW with a batch that nobody prepared", PRIMARY, .says = invent_in_new_view},
};
const uint32_t evil_primary_behaviour_count = sizeof evil_primary_behaviours / sizeof evil_primary_behaviours[0];
