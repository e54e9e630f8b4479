/* test_core_evidence.c - what a core takes for two messages that contradict each other, and what it does not; how two
 * members put together what each has one side of. Core 1 of N = 4, driven by hand, in view 0, whose primary is 0. */
#include "tests/fixture/solo.h"
#include "wire/evidence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t given(const struct solo *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->effects->count; i++)
        if (s->effects->items[i].type == CORE_EFFECT_EVIDENCE) count++;
    return count;
}

/* The only record of the last event; it proves what its effect says. */
static struct evidence the_one(const struct solo *s)
{
    struct evidence out = {.kind = EVIDENCE_KIND_PREPARE};
    assert_int_equal(given(s), 1);
    for (uint32_t i = 0; i < s->effects->count; i++) {
        const struct core_effect *e = &s->effects->items[i];
        if (e->type != CORE_EFFECT_EVIDENCE) continue;
        assert_null(evidence_check(&s->wire, fixture_checker(), blob_bytes(e->evidence.record), &out));
        assert_int_equal(out.member, e->evidence.member);
        assert_int_equal(out.kind, e->evidence.kind);
    }
    return out;
}

struct room {
    struct solo s;
    struct solo_batch a;
    struct solo_batch b;
};

static void open_room_of(struct room *r, uint32_t self)
{
    solo_ready(&r->s, 4, self);
    r->a = solo_batch_make(&r->s, 1);
    r->b = solo_batch_make(&r->s, 2);
}

static void open_room(struct room *r)
{
    open_room_of(r, 1);
}

static void close_room(struct room *r)
{
    solo_batch_free(&r->a);
    solo_batch_free(&r->b);
    solo_close(&r->s);
}

static void check(const struct room *r, enum evidence_kind kind, uint32_t member, uint64_t view, uint64_t seq)
{
    const struct evidence e = the_one(&r->s);
    assert_int_equal(e.kind, kind);
    assert_int_equal(e.member, member);
    assert_int_equal(e.view, view);
    assert_int_equal(e.seq, seq);
    assert_int_equal(core_contradictions(r->s.core, member, kind), 1);
}

/* ---- pairs ---- */

static void test_two_pre_prepares_are_evidence_without_their_batches(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    assert_null(solo_propose(&r.s, 1, &r.a, true));
    assert_non_null(solo_propose(&r.s, 1, &r.b, true));
    check(&r, EVIDENCE_KIND_PRE_PREPARE, 0, 0, 1);
    close_room(&r);
}

static void test_two_votes_are_evidence(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    assert_null(solo_vote(&r.s, WIRE_TYPE_prepare, 2, 1, &r.a.digest)); /* before any proposal */
    assert_non_null(solo_vote(&r.s, WIRE_TYPE_prepare, 2, 1, &r.b.digest));
    check(&r, EVIDENCE_KIND_PREPARE, 2, 0, 1);
    assert_null(solo_vote(&r.s, WIRE_TYPE_commit, 0, 2, &r.a.digest));
    assert_non_null(solo_vote(&r.s, WIRE_TYPE_commit, 0, 2, &r.b.digest));
    check(&r, EVIDENCE_KIND_COMMIT, 0, 0, 2);
    close_room(&r);
}

static void test_what_is_said_again_or_elsewhere_is_none(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    assert_null(solo_propose(&r.s, 1, &r.a, true));
    assert_null(solo_vote(&r.s, WIRE_TYPE_prepare, 2, 1, &r.a.digest));
    (void)solo_propose(&r.s, 1, &r.a, true);
    assert_int_equal(given(&r.s), 0);
    (void)solo_vote(&r.s, WIRE_TYPE_prepare, 2, 1, &r.a.digest); /* again */
    assert_int_equal(given(&r.s), 0);
    (void)solo_vote(&r.s, WIRE_TYPE_prepare, 2, 2, &r.b.digest); /* another sequence */
    assert_int_equal(given(&r.s), 0);
    (void)solo_vote(&r.s, WIRE_TYPE_commit, 2, 1, &r.b.digest); /* another type */
    assert_int_equal(given(&r.s), 0);
    (void)solo_vote(&r.s, WIRE_TYPE_prepare, 3, 1, &r.b.digest); /* another member */
    assert_int_equal(given(&r.s), 0);
    (void)solo_vote_in(&r.s, WIRE_TYPE_prepare, 4, 2, 1, &r.b.digest); /* another view */
    assert_int_equal(given(&r.s), 0);
    close_room(&r);
}

static void test_votes_for_a_view_to_come_are_compared(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    assert_null(solo_vote_in(&r.s, WIRE_TYPE_prepare, 2, 3, 5, &r.a.digest));
    (void)solo_vote_in(&r.s, WIRE_TYPE_prepare, 2, 3, 5, &r.b.digest);
    check(&r, EVIDENCE_KIND_PREPARE, 3, 2, 5);
    close_room(&r);
}

static void test_votes_of_the_view_just_left_are_compared(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    assert_null(solo_propose(&r.s, 1, &r.a, true));
    (void)solo_view_change(&r.s, 0, 1); /* the primary resigns */
    assert_true(core_summary(r.s.core).changing);
    assert_non_null(solo_propose(&r.s, 1, &r.b, true));
    check(&r, EVIDENCE_KIND_PRE_PREPARE, 0, 0, 1);
    close_room(&r);
}

static void test_first_of_a_kind_leaves_all_are_counted(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_null(solo_vote(&r.s, WIRE_TYPE_commit, 2, seq, &r.a.digest));
        (void)solo_vote(&r.s, WIRE_TYPE_commit, 2, seq, &r.b.digest);
        assert_int_equal(given(&r.s), seq == 1);
    }
    assert_int_equal(core_contradictions(r.s.core, 2, EVIDENCE_KIND_COMMIT), 3);
    assert_int_equal(core_contradictions(r.s.core, 2, EVIDENCE_KIND_PREPARE), 0);
    assert_int_equal(core_contradictions(r.s.core, 3, EVIDENCE_KIND_COMMIT), 0);
    close_room(&r);
}

static void test_two_checkpoints_are_evidence(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    struct wire_checkpoint m = {.sender = 3, .seq = CHECKPOINT_INTERVAL};
    assert_null(solo_receive(&r.s, 3, &wire_record_checkpoint, &m));
    (void)solo_receive(&r.s, 3, &wire_record_checkpoint, &m);
    assert_int_equal(given(&r.s), 0);
    m.state_root.bytes[0] = 1;
    (void)solo_receive(&r.s, 3, &wire_record_checkpoint, &m);
    check(&r, EVIDENCE_KIND_CHECKPOINT, 3, 0, CHECKPOINT_INTERVAL);
    assert_true(the_one(&r.s).same_header);
    close_room(&r);
}

static void test_two_view_changes_are_evidence(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    const struct solo_claim claim = {1, 0, &r.a};
    struct blob *one = solo_view_change_make(&r.s, 3, 4, &claim, 1, NULL);
    assert_null(solo_receive_bytes(&r.s, 3, blob_retain(one)));
    (void)solo_receive_bytes(&r.s, 2, one); /* again, by another way */
    assert_int_equal(given(&r.s), 0);
    (void)solo_receive_bytes(&r.s, 3, solo_view_change_make(&r.s, 3, 4, NULL, 0, NULL)); /* it hides the certificate */
    check(&r, EVIDENCE_KIND_VIEW_CHANGE, 3, 4, 0);
    (void)solo_view_change(&r.s, 2, 4);
    (void)solo_view_change(&r.s, 2, 5);
    assert_int_equal(given(&r.s), 0); /* for two views */
    close_room(&r);
}

/* ---- certificates ---- */

static void test_bad_certificate_in_a_view_change_is_evidence_against_its_sender(void **state)
{
    struct room r;
    struct wire_message m;
    (void)state;
    open_room(&r);
    const struct solo_claim claims[] = {{1, 0, &r.a}, {2, 0, &r.b}};
    struct blob *good = solo_view_change_make(&r.s, 3, 4, claims, 2, NULL);
    assert_null(wire_decode(blob_bytes(good), &m));
    struct wire_view_change spoiled = m.view_change;
    struct blob *items = blob_copy(spoiled.prepared.items);
    items->data[items->len - 1] ^= 1; /* a signature of the second */
    spoiled.prepared.items = blob_bytes(items);
    (void)solo_receive(&r.s, 3, &wire_record_view_change, &spoiled);
    check(&r, EVIDENCE_KIND_CERTIFICATE, 3, 4, 2);
    blob_release(items);
    blob_release(good);
    close_room(&r);
}

static void test_bad_proof_of_a_view_change_is_evidence_against_its_sender(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    struct wire_view_change m = {.sender = 2, .view = 3, .proof = {.seq = CHECKPOINT_INTERVAL}};
    assert_non_null(solo_receive(&r.s, 2, &wire_record_view_change, &m)); /* rule 5: it counts as absent */
    check(&r, EVIDENCE_KIND_CERTIFICATE, 2, 3, CHECKPOINT_INTERVAL);
    assert_true(the_one(&r.s).proof);
    close_room(&r);
}

/* The certificate holds the primary's PRE-PREPARE for the other batch, and a PREPARE of 2. */
static void test_votes_inside_certificates_are_compared(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    const struct solo_claim claim = {1, 0, &r.b};
    assert_null(solo_propose(&r.s, 1, &r.a, true));
    assert_null(solo_receive_bytes(&r.s, 3, solo_view_change_make(&r.s, 3, 1, &claim, 1, NULL)));
    check(&r, EVIDENCE_KIND_PRE_PREPARE, 0, 0, 1);
    close_room(&r);
}

/* The commit certificate of a fetched block holds a COMMIT of 2 for the other batch. */
static void test_commits_inside_a_block_are_compared(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    assert_null(solo_vote(&r.s, WIRE_TYPE_commit, 2, 1, &r.b.digest));
    assert_null(solo_block(&r.s, 3, 1, &r.a, NULL));
    check(&r, EVIDENCE_KIND_COMMIT, 2, 0, 1);
    close_room(&r);
}

/* A STATUS proves a checkpoint with the signatures of 0, 2 and 3; 3 has said something else here. */
static void test_checkpoints_inside_a_certificate_are_compared(void **state)
{
    struct room r;
    const struct digest header = solo_header(CHECKPOINT_INTERVAL);
    const struct digest root = solo_root(CHECKPOINT_INTERVAL);
    (void)state;
    open_room(&r);
    struct wire_checkpoint m = {.sender = 3, .seq = CHECKPOINT_INTERVAL, .header_hash = header};
    struct blob *proof = fixture_checkpoint(r.s.group, CHECKPOINT_INTERVAL, &header, &root, 0xd);
    assert_null(solo_receive(&r.s, 3, &wire_record_checkpoint, &m));
    (void)solo_status(&r.s, 2, 0, proof);
    check(&r, EVIDENCE_KIND_CHECKPOINT, 3, 0, CHECKPOINT_INTERVAL);
    blob_release(proof);
    close_room(&r);
}

static void test_votes_of_a_view_entered_are_compared(void **state)
{
    struct room r;
    (void)state;
    solo_ready(&r.s, 4, 1);
    r.a = solo_batch_make(&r.s, 1);
    r.b = solo_batch_make(&r.s, 2);
    solo_enter(&r.s, 2, NULL, 0);
    assert_null(solo_vote_in(&r.s, WIRE_TYPE_prepare, 2, 3, 1, &r.a.digest));
    (void)solo_vote_in(&r.s, WIRE_TYPE_prepare, 2, 3, 1, &r.b.digest);
    check(&r, EVIDENCE_KIND_PREPARE, 3, 2, 1);
    close_room(&r);
}

/* ---- counted, not said again ---- */

static void test_second_of_a_kind_is_counted_whatever_the_kind(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    struct wire_checkpoint m = {.sender = 3, .seq = CHECKPOINT_INTERVAL};
    for (uint8_t i = 0; i < 3; i++) {
        m.header_hash.bytes[0] = i; /* headers differ, states do not */
        (void)solo_receive(&r.s, 3, &wire_record_checkpoint, &m);
        assert_int_equal(given(&r.s), i == 1);
    }
    assert_int_equal(core_contradictions(r.s.core, 3, EVIDENCE_KIND_CHECKPOINT), 2);
    struct wire_view_change unproven = {.sender = 2, .view = 3, .proof = {.seq = CHECKPOINT_INTERVAL}};
    for (uint32_t i = 0; i < 2; i++) {
        (void)solo_receive(&r.s, 2, &wire_record_view_change, &unproven);
        assert_int_equal(given(&r.s), i == 0);
    }
    assert_int_equal(core_contradictions(r.s.core, 2, EVIDENCE_KIND_CERTIFICATE), 2);
    const struct solo_claim claims[] = {{1, 0, &r.a}, {1, 0, &r.b}, {2, 0, &r.a}};
    for (uint32_t i = 0; i < 3; i++) {
        (void)solo_receive_bytes(&r.s, 3, solo_view_change_make(&r.s, 3, 4, &claims[i], 1, NULL));
        assert_int_equal(solo_count(&r.s, CORE_EFFECT_EVIDENCE), i == 1);
    }
    assert_int_equal(core_contradictions(r.s.core, 3, EVIDENCE_KIND_VIEW_CHANGE), 2);
    close_room(&r);
}

static void test_first_bad_certificate_of_a_view_change_is_named(void **state)
{
    struct room r;
    struct wire_message m;
    (void)state;
    open_room(&r);
    const struct solo_claim claims[] = {{1, 0, &r.a}, {2, 0, &r.b}};
    struct blob *good = solo_view_change_make(&r.s, 3, 4, claims, 2, NULL);
    assert_null(wire_decode(blob_bytes(good), &m));
    struct wire_view_change spoiled = m.view_change;
    struct blob *items = blob_copy(spoiled.prepared.items);
    items->data[items->len - 1] ^= 1;     /* a signature of the second ... */
    items->data[items->len / 2 - 1] ^= 1; /* ... and of the first, as long */
    spoiled.prepared.items = blob_bytes(items);
    (void)solo_receive(&r.s, 3, &wire_record_view_change, &spoiled);
    check(&r, EVIDENCE_KIND_CERTIFICATE, 3, 4, 1);
    blob_release(items);
    blob_release(good);
    close_room(&r);
}

/* One that was emptied may have forgotten the first (docs/protocol.md, Evidence 4). */
static void test_two_view_changes_a_window_apart_are_no_evidence(void **state)
{
    const struct digest header = solo_header(WINDOW_BATCHES);
    const struct digest root = solo_root(WINDOW_BATCHES);
    struct room r;
    (void)state;
    open_room(&r);
    struct blob *proof = fixture_checkpoint(r.s.group, WINDOW_BATCHES, &header, &root, 0xd);
    struct wire_view_change later = {.sender = 3, .view = 4};
    assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(proof), &later.proof));
    assert_null(solo_view_change(&r.s, 3, 4));
    (void)solo_receive(&r.s, 3, &wire_record_view_change, &later);
    assert_int_equal(given(&r.s), 0);
    assert_int_equal(core_contradictions(r.s.core, 3, EVIDENCE_KIND_VIEW_CHANGE), 0);
    blob_release(proof);
    close_room(&r);
}

/* ---- two members, one side each ---- */

static const struct core_effect *shown_to(const struct solo *s, uint32_t member)
{
    for (uint32_t i = 0; i < s->effects->count; i++) {
        const struct core_effect *e = &s->effects->items[i];
        if (e->type == CORE_EFFECT_SEND && e->send.type == WIRE_TYPE_pre_prepare && e->send.to == member) return e;
    }
    return NULL;
}

static void test_proposal_is_shown_to_whom_it_contradicts_and_makes_evidence_there(void **state)
{
    struct room r;
    struct room other;
    (void)state;
    open_room(&r);
    open_room_of(&other, 2);
    assert_null(solo_propose(&r.s, 1, &r.a, true));
    assert_null(solo_propose(&other.s, 1, &other.b, true));
    assert_null(solo_vote(&r.s, WIRE_TYPE_prepare, 2, 1, &r.b.digest)); /* what `other` has said */
    (void)solo_tick(&r.s, SOLO_RESEND_US);
    (void)solo_status(&r.s, 3, 0, NULL);
    assert_null(shown_to(&r.s, 3)); /* it has said nothing */
    (void)solo_status(&r.s, 2, 0, NULL);
    const struct core_effect *e = shown_to(&r.s, 2);
    assert_non_null(e);
    assert_true(e->send.resend);
    assert_true(e->send.bytes->len < 256);
    (void)solo_receive_bytes(&other.s, 1, blob_retain(e->send.bytes));
    check(&other, EVIDENCE_KIND_PRE_PREPARE, 0, 0, 1);
    close_room(&other);
    close_room(&r);
}

static void test_proposal_is_shown_no_more_once_the_proof_is_here(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    assert_null(solo_propose(&r.s, 1, &r.a, true));
    assert_null(solo_vote(&r.s, WIRE_TYPE_prepare, 2, 1, &r.b.digest));
    (void)solo_propose(&r.s, 1, &r.b, false);
    assert_int_equal(given(&r.s), 1);
    (void)solo_tick(&r.s, SOLO_RESEND_US);
    (void)solo_status(&r.s, 2, 0, NULL);
    assert_null(shown_to(&r.s, 2));
    close_room(&r);
}

static void test_proposal_is_not_shown_to_whom_has_voted_for_it(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    assert_null(solo_propose(&r.s, 1, &r.a, true));
    assert_null(solo_vote(&r.s, WIRE_TYPE_prepare, 2, 1, &r.a.digest));
    (void)solo_tick(&r.s, SOLO_RESEND_US);
    (void)solo_status(&r.s, 2, 0, NULL);
    assert_null(shown_to(&r.s, 2));
    close_room(&r);
}

static uint32_t shown_count(const struct solo *s, uint32_t member)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->effects->count; i++) {
        const struct core_effect *e = &s->effects->items[i];
        if (e->type == CORE_EFFECT_SEND && e->send.type == WIRE_TYPE_pre_prepare && e->send.to == member) count++;
    }
    return count;
}

/* Votes of `of` that the last event shows to a member; *seqs: a bit for the sequence of each. */
static uint32_t votes_shown_at(const struct solo *s, uint32_t to, uint32_t of, uint64_t *seqs)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->effects->count; i++) {
        const struct core_effect *e = &s->effects->items[i];
        struct wire_message m;
        if (e->type != CORE_EFFECT_SEND || e->send.to != to) continue;
        assert_null(wire_decode(blob_bytes(e->send.bytes), &m));
        const bool prepare = m.type == WIRE_TYPE_prepare && m.prepare.sender == of;
        const bool commit = m.type == WIRE_TYPE_commit && m.commit.sender == of;
        if (!prepare && !commit) continue;
        *seqs |= 1ull << (prepare ? m.prepare.seq : m.commit.seq);
        count++;
    }
    return count;
}

static uint32_t votes_shown(const struct solo *s, uint32_t to, uint32_t of)
{
    uint64_t seqs = 0;
    return votes_shown_at(s, to, of, &seqs);
}

/* Proposals for a up to `seq`, which member 2 has contradicted with PREPAREs for b. */
static void contradicted_to(struct room *r, uint64_t seq)
{
    for (uint64_t n = 1; n <= seq; n++) {
        assert_null(solo_propose(&r->s, n, &r->a, n == 1));
        assert_null(solo_vote(&r->s, WIRE_TYPE_prepare, 2, n, &r->b.digest));
    }
    (void)solo_tick(&r->s, SOLO_RESEND_US);
}

static void test_proposals_are_shown_so_many_for_one_status(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    contradicted_to(&r, 20);
    (void)solo_status(&r.s, 2, 0, NULL);
    assert_int_equal(shown_count(&r.s, 2), 16);
    close_room(&r);
}

/* What a member is sent again is one share, which batches have used up. */
static void test_proposals_and_votes_are_shown_within_the_share_of_a_member(void **state)
{
    struct room r;
    struct blob *requests[2];
    struct solo_batch large = {.time_ms = SOLO_WALL_MS};
    (void)state;
    open_room(&r);
    contradicted_to(&r, 3);
    assert_null(solo_vote(&r.s, WIRE_TYPE_prepare, 3, 1, &r.b.digest));
    for (uint32_t i = 0; i < 2; i++)
        requests[i] = fixture_request_sized(r.s.group, i, 1, r.s.wall_ms + 1000, 1000000);
    large.bytes = fixture_batch(large.time_ms, requests, 2, &large.digest);
    assert_null(solo_propose(&r.s, 4, &large, true));
    struct wire_fetch m = {
        .sender = 2, .kind = DATA_KIND_BATCH, .view = 0, .seq = 4, .count = 1, .digest = large.digest};
    for (uint32_t i = 0; i < 3; i++)
        (void)solo_receive(&r.s, 2, &wire_record_fetch, &m);
    (void)solo_status(&r.s, 2, 0, NULL);
    assert_int_equal(shown_count(&r.s, 2), 0);
    assert_int_equal(votes_shown(&r.s, 2, 3), 0);
    (void)solo_tick(&r.s, SOLO_RESEND_US);
    (void)solo_status(&r.s, 2, 0, NULL);
    assert_int_equal(shown_count(&r.s, 2), 3);
    assert_int_equal(votes_shown(&r.s, 2, 3), 1);
    for (uint32_t i = 0; i < 2; i++)
        blob_release(requests[i]);
    solo_batch_free(&large);
    close_room(&r);
}

/* Gives all that the last event of one shows to the other. */
static void deliver_shown(const struct solo *from, struct solo *to, uint32_t member)
{
    struct blob *bytes[64];
    uint32_t count = 0;
    for (uint32_t i = 0; i < from->effects->count; i++) {
        const struct core_effect *e = &from->effects->items[i];
        if (e->type == CORE_EFFECT_SEND && e->send.to == member) bytes[count++] = blob_retain(e->send.bytes);
        assert_in_range(count, 0, 63);
    }
    for (uint32_t i = 0; i < count; i++)
        (void)solo_receive_bytes(to, 1, bytes[i]);
}

/* Under a correct primary: 3 has told this one another digest than 2. */
static void test_vote_for_another_batch_is_shown_and_makes_evidence_there(void **state)
{
    static const enum wire_type types[] = {WIRE_TYPE_prepare, WIRE_TYPE_commit};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct room r;
        struct room other;
        open_room(&r);
        open_room_of(&other, 2);
        assert_null(solo_propose(&r.s, 1, &r.a, true));
        assert_null(solo_propose(&other.s, 1, &other.a, true));
        assert_null(solo_vote(&r.s, types[i], 3, 1, &r.b.digest));
        assert_null(solo_vote(&other.s, types[i], 3, 1, &other.a.digest));
        (void)solo_tick(&r.s, SOLO_RESEND_US);
        (void)solo_status(&r.s, 3, 0, NULL);
        assert_int_equal(votes_shown(&r.s, 3, 3), 0); /* it knows what it has said */
        (void)solo_status(&r.s, 2, 0, NULL);
        assert_int_equal(votes_shown(&r.s, 2, 3), 1);
        deliver_shown(&r.s, &other.s, 2);
        assert_int_equal(core_contradictions(other.s.core, 3, i == 0 ? EVIDENCE_KIND_PREPARE : EVIDENCE_KIND_COMMIT),
                         1);
        close_room(&other);
        close_room(&r);
    }
}

/* Under a primary that has proposed two: 3 is for each, towards those who have it. */
static void test_votes_are_shown_to_whom_has_another_batch(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    assert_null(solo_propose(&r.s, 1, &r.a, true));
    assert_null(solo_vote(&r.s, WIRE_TYPE_prepare, 3, 1, &r.a.digest));
    assert_null(solo_vote(&r.s, WIRE_TYPE_commit, 3, 1, &r.a.digest));
    (void)solo_tick(&r.s, SOLO_RESEND_US);
    (void)solo_status(&r.s, 2, 0, NULL);
    assert_int_equal(votes_shown(&r.s, 2, 3), 0); /* all say the same */
    assert_null(solo_vote(&r.s, WIRE_TYPE_prepare, 2, 1, &r.b.digest));
    (void)solo_tick(&r.s, SOLO_RESEND_US);
    (void)solo_status(&r.s, 2, 0, NULL);
    assert_int_equal(votes_shown(&r.s, 2, 3), 2);
    assert_int_equal(votes_shown(&r.s, 2, 2), 0);
    close_room(&r);
}

static void test_votes_are_shown_no_more_once_the_proof_is_here(void **state)
{
    struct room r;
    (void)state;
    open_room(&r);
    assert_null(solo_propose(&r.s, 1, &r.a, true));
    assert_null(solo_vote(&r.s, WIRE_TYPE_prepare, 3, 1, &r.b.digest));
    (void)solo_vote(&r.s, WIRE_TYPE_prepare, 3, 1, &r.a.digest);
    assert_int_equal(given(&r.s), 1);
    (void)solo_tick(&r.s, SOLO_RESEND_US);
    (void)solo_status(&r.s, 2, 0, NULL);
    assert_int_equal(votes_shown(&r.s, 2, 3), 0);
    close_room(&r);
}

/* Of each member so many; not always the same ones. */
static void test_votes_are_shown_so_many_for_one_status(void **state)
{
    struct room r;
    uint64_t seqs = 0;
    (void)state;
    open_room(&r);
    for (uint64_t n = 1; n <= 40; n++) {
        assert_null(solo_propose(&r.s, n, &r.a, n == 1));
        assert_null(solo_vote(&r.s, WIRE_TYPE_prepare, 3, n, &r.b.digest));
        if (n > 38) assert_null(solo_vote(&r.s, WIRE_TYPE_prepare, 2, n, &r.b.digest));
    }
    for (uint32_t times = 0; times < 40; times++) {
        (void)solo_tick(&r.s, SOLO_RESEND_US + 7000);
        (void)solo_status(&r.s, 2, 0, NULL);
        assert_int_equal(shown_count(&r.s, 2), 2);
        assert_int_equal(votes_shown_at(&r.s, 2, 3, &seqs), 16);
    }
    for (uint64_t n = 1; n <= 40; n++)
        assert_true((seqs >> n & 1u) != 0);
    close_room(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_pre_prepares_are_evidence_without_their_batches),
        cmocka_unit_test(test_two_votes_are_evidence),
        cmocka_unit_test(test_what_is_said_again_or_elsewhere_is_none),
        cmocka_unit_test(test_votes_for_a_view_to_come_are_compared),
        cmocka_unit_test(test_votes_of_the_view_just_left_are_compared),
        cmocka_unit_test(test_first_of_a_kind_leaves_all_are_counted),
        cmocka_unit_test(test_two_checkpoints_are_evidence),
        cmocka_unit_test(test_two_view_changes_are_evidence),
        cmocka_unit_test(test_bad_certificate_in_a_view_change_is_evidence_against_its_sender),
        cmocka_unit_test(test_bad_proof_of_a_view_change_is_evidence_against_its_sender),
        cmocka_unit_test(test_votes_inside_certificates_are_compared),
        cmocka_unit_test(test_commits_inside_a_block_are_compared),
        cmocka_unit_test(test_checkpoints_inside_a_certificate_are_compared),
        cmocka_unit_test(test_votes_of_a_view_entered_are_compared),
        cmocka_unit_test(test_second_of_a_kind_is_counted_whatever_the_kind),
        cmocka_unit_test(test_first_bad_certificate_of_a_view_change_is_named),
        cmocka_unit_test(test_two_view_changes_a_window_apart_are_no_evidence),
        cmocka_unit_test(test_proposal_is_shown_to_whom_it_contradicts_and_makes_evidence_there),
        cmocka_unit_test(test_proposal_is_shown_no_more_once_the_proof_is_here),
        cmocka_unit_test(test_proposal_is_not_shown_to_whom_has_voted_for_it),
        cmocka_unit_test(test_proposals_are_shown_so_many_for_one_status),
        cmocka_unit_test(test_proposals_and_votes_are_shown_within_the_share_of_a_member),
        cmocka_unit_test(test_vote_for_another_batch_is_shown_and_makes_evidence_there),
        cmocka_unit_test(test_votes_are_shown_to_whom_has_another_batch),
        cmocka_unit_test(test_votes_are_shown_no_more_once_the_proof_is_here),
        cmocka_unit_test(test_votes_are_shown_so_many_for_one_status),
    };
    return cmocka_run_group_tests_name("core_evidence", tests, NULL, NULL);
}
