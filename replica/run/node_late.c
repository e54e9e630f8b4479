/* node_late.c - votes that came when their sequence had its quorum here: kept, and verified only if that matters.
 *
 * The third vote of four mostly finds nothing left to do. Its bytes stay here, in the place of its sequence in the
 * window, until another sequence or view takes it. They are verified, and given to the core,
 *
 *     when a good vote for another batch is at the same view and sequence: together they may prove that a member
 *     contradicts itself, or another replica can put them together with what it has heard;
 *
 *     when the member connects again, its newest PREPARE and COMMIT: it may have started from an old record, and will
 *     ask what is held of it (design.md 7.6).
 *
 * Only what came by its sender's own connection is kept: nobody else can put anything here in its name. */
#include "replica/run/node_internal.h"

#include "base/check.h"

#include <stdlib.h>

enum { LATE_PREPARE, LATE_COMMIT, LATE_PHASES };

/* All here are for the one digest that has its quorum. */
struct late_place {
    uint64_t view;
    uint64_t seq; /* 0: never used */
    struct digest digest;
    struct blob **frames[LATE_PHASES]; /* by member; NULL: none */
};

struct late_votes {
    uint32_t member_count;
    struct late_place places[WINDOW_BATCHES];
};

struct late_votes *node_late_new(uint32_t member_count)
{
    struct late_votes *late = mem_zero(1, sizeof *late);
    late->member_count = member_count;
    for (uint32_t k = 0; k < WINDOW_BATCHES; k++)
        for (uint32_t phase = 0; phase < LATE_PHASES; phase++)
            late->places[k].frames[phase] = mem_zero(member_count, sizeof(struct blob *));
    return late;
}

static void empty_place(struct late_votes *late, struct late_place *p)
{
    for (uint32_t phase = 0; phase < LATE_PHASES; phase++) {
        for (uint32_t id = 0; id < late->member_count; id++) {
            blob_release(p->frames[phase][id]);
            p->frames[phase][id] = NULL;
        }
    }
}

void node_late_free(struct late_votes *late)
{
    if (late == NULL) return;
    for (uint32_t k = 0; k < WINDOW_BATCHES; k++) {
        empty_place(late, &late->places[k]);
        for (uint32_t phase = 0; phase < LATE_PHASES; phase++)
            free(late->places[k].frames[phase]);
    }
    free(late);
}

static struct late_place *place_of(struct late_votes *late, uint64_t view, uint64_t seq, const struct digest *digest)
{
    struct late_place *p = &late->places[seq % WINDOW_BATCHES];
    if (p->view == view && p->seq == seq && digest_equal(&p->digest, digest)) return p;
    empty_place(late, p);
    p->view = view;
    p->seq = seq;
    p->digest = *digest;
    return p;
}

/* A PREPARE or COMMIT. */
static bool read_vote(const struct wire_message *m, struct wire_vote *out)
{
    *out = (struct wire_vote){.type = m->type};
    if (m->type == WIRE_TYPE_prepare) {
        out->epoch = m->prepare.epoch;
        out->sender = m->prepare.sender;
        out->view = m->prepare.view;
        out->seq = m->prepare.seq;
        out->digest = m->prepare.digest;
    } else if (m->type == WIRE_TYPE_commit) {
        out->epoch = m->commit.epoch;
        out->sender = m->commit.sender;
        out->view = m->commit.view;
        out->seq = m->commit.seq;
        out->digest = m->commit.digest;
    }
    return m->type == WIRE_TYPE_prepare || m->type == WIRE_TYPE_commit;
}

bool node_keep_late(struct node *n, uint32_t member, struct blob *frame)
{
    struct wire_message m;
    struct wire_vote v;
    if (wire_decode(blob_bytes(frame), &m) != NULL || !read_vote(&m, &v)) return false;
    if (v.sender != member || v.epoch != n->wire.epoch) return false;
    if (!core_vote_is_late(n->core, v.type, member, v.view, v.seq, &v.digest)) return false;
    struct late_place *p = place_of(n->late, v.view, v.seq, &v.digest);
    struct blob **frames = p->frames[v.type == WIRE_TYPE_commit ? LATE_COMMIT : LATE_PREPARE];
    blob_release(frames[member]); /* it has said so before */
    frames[member] = frame;
    return true;
}

/* Who says two things and hangs up is found out all the same. There is no connection for a bad one to count against. */
static void verify_without_session(struct node *n, uint32_t member, struct blob *frame_taken)
{
    struct msg_verified m;
    const char *fault = msg_verify(&n->wire, node_checker(n), frame_taken, &m);
    const struct core_event event = {.type = CORE_EVENT_MESSAGE,
                                     .message = {.verified = &m, .from = member, .client = UINT32_MAX}};
    if (fault == NULL) (void)node_step(n, &event);
    msg_verified_release(&m);
}

/* Takes the frame, if there is one, unless its sender has no room now: it stays for another time. */
static void verify_contested(struct node *n, uint32_t member, struct blob **frame)
{
    struct session *s = n->peers[member].session;
    struct blob *taken = *frame;
    if (taken == NULL || (s != NULL && !node_verify_late(s, taken, false))) return;
    *frame = NULL;
    if (s == NULL) verify_without_session(n, member, taken);
}

void node_contest_late(struct node *n, const struct wire_message *m)
{
    struct wire_vote v;
    if (!read_vote(m, &v)) return;
    struct late_place *p = &n->late->places[v.seq % WINDOW_BATCHES];
    if (p->view != v.view || p->seq != v.seq || digest_equal(&p->digest, &v.digest)) return; /* nearly always */
    for (uint32_t id = 0; id < n->late->member_count; id++)
        for (uint32_t phase = 0; phase < LATE_PHASES; phase++)
            verify_contested(n, id, &p->frames[phase][id]);
}

void node_hear_late(struct session *s)
{
    struct late_votes *late = s->node->late;
    for (uint32_t phase = 0; phase < LATE_PHASES; phase++) {
        struct late_place *newest = NULL;
        for (uint32_t k = 0; k < WINDOW_BATCHES; k++) {
            struct late_place *p = &late->places[k];
            if (p->frames[phase][s->member] == NULL || p->view != core_view(s->node->core)) continue;
            if (newest == NULL || p->seq > newest->seq) newest = p;
        }
        if (newest == NULL) continue;
        struct blob *taken = newest->frames[phase][s->member];
        newest->frames[phase][s->member] = NULL;
        CHECK(node_verify_late(s, taken, true));
    }
}
