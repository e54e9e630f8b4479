/* test_core_fence.c - what a replica hears before its first vote, what fences it, and how others help it over that (design.md
 * 7.6, rule 12). One core driven by hand; whole groups are in tests/scenarios and tests/e2e/fence.sh. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SELF 1u
#define L WINDOW_BATCHES

static struct core_client_window windows[SOLO_CLIENTS];

static void open_unheard(struct solo *s, const struct core_recovered *r)
{
    solo_open(s, 4, SELF);
    solo_start_unheard(s, r);
    (void)solo_all_persisted(s);
}

static bool takes_part(struct solo *s)
{
    struct solo_batch b = solo_batch_make(s, 1);
    (void)solo_propose(s, 1, &b, true);
    const bool prepared = solo_sent(s, WIRE_TYPE_prepare) > 0;
    solo_batch_free(&b);
    return prepared;
}

static struct core_summary summary(const struct solo *s)
{
    return core_summary(s->core);
}

static struct blob *signed_message(const struct solo *s, const struct wire_record *record, void *message)
{
    fixture_sign_message(s->group, record, message);
    return wire_encode_blob(record, message);
}

static struct blob *own_vote(const struct solo *s, enum wire_type type, uint64_t view, uint64_t seq)
{
    struct wire_prepare prepare = {.sender = SELF, .view = view, .seq = seq, .digest = solo_header(seq)};
    struct wire_commit commit = {.sender = SELF, .view = view, .seq = seq, .digest = solo_header(seq)};
    return type == WIRE_TYPE_commit ? signed_message(s, &wire_record_commit, &commit)
                                    : signed_message(s, &wire_record_prepare, &prepare);
}

static struct blob *view_change(const struct solo *s, uint32_t sender, uint64_t view)
{
    struct wire_view_change m = {.sender = sender, .view = view};
    return signed_message(s, &wire_record_view_change, &m);
}

static struct blob *checkpoint(const struct solo *s, uint64_t seq)
{
    struct wire_checkpoint m = {
        .sender = SELF, .seq = seq, .header_hash = solo_header(seq), .state_root = solo_root(seq)};
    return signed_message(s, &wire_record_checkpoint, &m);
}

/* Two others answer, the first with this message, which is released; then: is the replica fenced? */
static bool fenced_by(struct solo *s, struct blob *message)
{
    assert_null(solo_answer(s, 2, &message, 1, NULL));
    blob_release(message);
    assert_null(solo_answer(s, 3, NULL, 0, NULL));
    assert_false(summary(s).listening);
    return summary(s).fenced;
}

static bool fences(const struct core_recovered *r, struct blob *(*make)(const struct solo *s))
{
    struct solo s;
    open_unheard(&s, r);
    const bool fenced = fenced_by(&s, make(&s));
    assert_int_equal(summary(&s).fence_until, fenced ? 2 * L : 0);
    assert_int_equal(fenced, summary(&s).fence_reason != NULL);
    assert_false(summary(&s).listening);
    assert_int_equal(takes_part(&s), !fenced && r == NULL);
    solo_close(&s);
    return fenced;
}

/* ---- listening ---- */

static void test_fence_no_vote_before_others_were_heard(void **state)
{
    struct solo s;
    (void)state;
    open_unheard(&s, NULL);
    assert_false(takes_part(&s));
    assert_true(summary(&s).listening);
    assert_null(solo_request(&s, 0, 2));
    for (uint32_t i = 0; i < 40; i++) {
        (void)solo_tick(&s, SOLO_TIMEOUT_US / 20);
        assert_null(solo_persist(&s, CORE_PERSIST_VIEW_LEFT)); /* nor a VIEW-CHANGE */
    }
    assert_null(solo_answer(&s, 2, NULL, 0, NULL));
    assert_int_equal(summary(&s).heard, 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    assert_null(solo_answer(&s, 3, NULL, 0, NULL));
    assert_false(summary(&s).listening);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1); /* for what came before */
    assert_null(solo_persist(&s, CORE_PERSIST_FENCE));
    solo_close(&s);
}

/* What it could not hear of is not the primary's fault: who left the view for that would be alone in the next one. */
static void test_fence_time_outs_count_from_when_others_were_heard(void **state)
{
    struct solo s;
    (void)state;
    open_unheard(&s, NULL);
    assert_null(solo_request(&s, 0, 2));
    (void)solo_tick(&s, SOLO_TIMEOUT_US);
    assert_null(solo_answer(&s, 2, NULL, 0, NULL));
    (void)solo_tick(&s, SOLO_TIMEOUT_US);
    assert_null(solo_answer(&s, 3, NULL, 0, NULL));
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_TIMEOUT_US - 1);
    assert_null(solo_persist(&s, CORE_PERSIST_VIEW_LEFT));
    (void)solo_tick(&s, 1);
    assert_non_null(solo_persist(&s, CORE_PERSIST_VIEW_LEFT));
    solo_close(&s);
}

static void test_fence_asks_until_it_has_heard(void **state)
{
    struct solo s;
    (void)state;
    open_unheard(&s, NULL);
    for (uint32_t i = 0; i < 5; i++) {
        (void)solo_tick(&s, SOLO_RESEND_US);
        const struct core_effect *e = solo_send(&s, WIRE_TYPE_status, 0);
        assert_non_null(e);
        assert_true((solo_message(e).status.flags & STATUS_FLAG_LISTENING) != 0);
    }
    (void)solo_answer(&s, 2, NULL, 0, NULL);
    (void)solo_answer(&s, 3, NULL, 0, NULL);
    (void)solo_tick(&s, SOLO_HEARTBEAT_US);
    assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_status, 0)).status.flags, 0);
    solo_close(&s);
}

static void test_fence_counts_members_that_answer(void **state)
{
    struct solo s;
    struct wire_status unproven = {.sender = 3, .flags = STATUS_FLAG_ANSWER, .stable.seq = 128};
    (void)state;
    open_unheard(&s, NULL);
    assert_null(solo_answer(&s, 2, NULL, 0, NULL));
    assert_null(solo_answer(&s, 2, NULL, 0, NULL)); /* rule 3 */
    assert_int_equal(summary(&s).heard, 1);
    assert_null(solo_status(&s, 3, 0, NULL)); /* no answer */
    assert_int_equal(summary(&s).heard, 1);
    assert_null(solo_receive(&s, 3, &wire_record_status, &unproven)); /* rule 5 */
    assert_int_equal(summary(&s).heard, 1);
    assert_null(solo_answer(&s, 0, NULL, 0, NULL));
    assert_false(summary(&s).listening);
    solo_close(&s);
}

static void test_fence_group_of_one_hears_nobody(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 1, 0);
    solo_start_unheard(&s, NULL);
    (void)solo_all_persisted(&s);
    assert_null(solo_request(&s, 0, 1));
    assert_int_equal(summary(&s).under_way, 1);
    solo_close(&s);
}

/* ---- what fences ---- */

static struct blob *own_view_change(const struct solo *s) { return view_change(s, SELF, 1); }
static struct blob *anothers_view_change(const struct solo *s) { return view_change(s, 2, 1); }
static struct blob *forged_view_change(const struct solo *s)
{
    struct blob *b = view_change(s, SELF, 1);
    b->data[b->len - 1] ^= 1;
    return b;
}
static struct blob *prepare_of_view_2(const struct solo *s)
{
    struct wire_prepare m = {.sender = SELF, .view = 2, .seq = 1};
    return signed_message(s, &wire_record_prepare, &m);
}
static struct blob *commit_of_view_1(const struct solo *s) { return own_vote(s, WIRE_TYPE_commit, 1, 1); }
static struct blob *proposal_of_view_1(const struct solo *s)
{
    struct wire_pre_prepare m = {.sender = SELF, .view = 1, .seq = 1};
    return signed_message(s, &wire_record_pre_prepare, &m);
}
static struct blob *prepare_in_window(const struct solo *s) { return own_vote(s, WIRE_TYPE_prepare, 0, L); }
static struct blob *prepare_above_window(const struct solo *s) { return own_vote(s, WIRE_TYPE_prepare, 0, L + 1); }
static struct blob *commit_in_window(const struct solo *s) { return own_vote(s, WIRE_TYPE_commit, 0, 5); }
static struct blob *own_checkpoint(const struct solo *s) { return checkpoint(s, 128); }

static void test_fence_by_own_signature_of_a_view_above(void **state)
{
    (void)state;
    const struct core_recovered unclean = {.windows = windows};
    assert_true(fences(&unclean, own_view_change));
    assert_true(fences(&unclean, prepare_of_view_2));
    assert_true(fences(&unclean, commit_of_view_1));
    assert_true(fences(&unclean, proposal_of_view_1));
}

/* It goes on waiting for the view that it had left for, with the very VIEW-CHANGE it had sent. */
static void test_fence_holds_to_the_view_change_it_is_shown(void **state)
{
    struct solo s;
    const struct core_recovered unclean = {.windows = windows};
    (void)state;
    open_unheard(&s, &unclean);
    struct blob *first = view_change(&s, SELF, 1);
    struct blob *second = view_change(&s, SELF, 3);
    assert_null(solo_answer(&s, 2, &second, 1, NULL));
    assert_null(solo_answer(&s, 3, &first, 1, NULL));
    const struct core_effect *e = solo_persist(&s, CORE_PERSIST_VIEW_LEFT);
    assert_non_null(e);
    assert_int_equal(e->persist.view, 3);
    assert_true(bytes_equal(blob_bytes(e->persist.record), blob_bytes(second)));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_view_change), 0);
    assert_int_equal(summary(&s).view, 3);
    assert_true(summary(&s).changing);
    blob_release(first);
    blob_release(second);
    solo_close(&s);
}

/* The Q-1 that it heard before held none, or it ended before that was durable. */
static void test_fence_of_an_earlier_start_holds_to_the_view_change_it_is_shown(void **state)
{
    struct solo s;
    const struct core_recovered again = {
        .fence_until = 2 * L, .fence_reason = FENCE_REASON_NEW_DIRECTORY, .windows = windows};
    (void)state;
    open_unheard(&s, &again);
    struct blob *own = view_change(&s, SELF, 3);
    assert_true(fenced_by(&s, blob_retain(own)));
    const struct core_effect *e = solo_persist(&s, CORE_PERSIST_VIEW_LEFT);
    assert_non_null(e);
    assert_int_equal(e->persist.view, 3);
    assert_true(bytes_equal(blob_bytes(e->persist.record), blob_bytes(own)));
    assert_null(solo_persist(&s, CORE_PERSIST_FENCE)); /* decided once */
    assert_int_equal(summary(&s).view, 3);
    assert_true(summary(&s).changing);
    assert_false(takes_part(&s));
    blob_release(own);
    solo_close(&s);
}

/* What others signed, or nobody, says nothing: a liar fences no correct replica. */
static void test_fence_not_by_what_it_has_not_signed(void **state)
{
    (void)state;
    assert_false(fences(NULL, anothers_view_change));
    assert_false(fences(NULL, forged_view_change));
}

static void test_fence_by_own_vote_above_its_window(void **state)
{
    (void)state;
    const struct core_recovered unclean = {.windows = windows};
    assert_true(fences(&unclean, prepare_above_window));
    assert_false(fences(&unclean, prepare_in_window)); /* it abstains: design.md 7.5 */
}

static void test_fence_by_own_commit_without_its_certificate(void **state)
{
    (void)state;
    const struct core_recovered unclean = {.windows = windows};
    assert_true(fences(&unclean, commit_in_window));
}

/* A directory copied while the replica was stopped has the mark of a clean stop. */
static void test_fence_by_own_vote_that_a_clean_record_lacks(void **state)
{
    (void)state;
    assert_true(fences(NULL, prepare_in_window));
}

static void test_fence_by_own_checkpoint_above_its_blocks(void **state)
{
    (void)state;
    const struct core_recovered unclean = {.windows = windows};
    assert_true(fences(&unclean, own_checkpoint));
    const struct core_recovered further = {.windows = windows, .executed = 128};
    assert_false(fences(&further, own_checkpoint));
}

static struct blob *proof_of(const struct solo *s, uint64_t seq, uint32_t members)
{
    const struct digest header = solo_header(seq);
    const struct digest root = solo_root(seq);
    return fixture_checkpoint(s->group, seq, &header, &root, members);
}

static void test_fence_by_own_signature_in_a_proof_above_its_blocks(void **state)
{
    struct solo s;
    (void)state;
    for (uint32_t named = 0; named < 2; named++) {
        open_unheard(&s, NULL);
        struct blob *proof = proof_of(&s, L, named == 1 ? 0x7 : 0xd); /* a bit for each member; self is 1 */
        assert_null(solo_answer(&s, 2, NULL, 0, proof));
        assert_null(solo_answer(&s, 3, NULL, 0, NULL));
        assert_int_equal(summary(&s).fenced, named == 1);
        assert_int_equal(summary(&s).fence_until, named == 1 ? 3 * L : 0); /* C + 2L */
        blob_release(proof);
        solo_close(&s);
    }
}

/* Its votes there, if it has forgotten any, are held by nobody who has that checkpoint. */
static void test_vote_up_to_a_checkpoint_that_the_others_prove_is_not_cast(void **state)
{
    struct solo s;
    (void)state;
    for (uint32_t below = 0; below < 2; below++) {
        open_unheard(&s, NULL);
        struct blob *proof = proof_of(&s, CHECKPOINT_INTERVAL, 0xd);
        struct solo_batch b = solo_batch_make(&s, 1);
        assert_null(solo_answer(&s, 2, NULL, 0, below == 1 ? proof : NULL));
        assert_null(solo_answer(&s, 3, NULL, 0, NULL));
        assert_false(summary(&s).fenced);
        (void)solo_propose(&s, 1, &b, true);
        assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), below == 1 ? 0 : 1);
        const struct core_event stop = {.type = CORE_EVENT_STOP};
        assert_null(solo_step(&s, &stop)); /* without the mark of a clean stop: the next start may hear of no checkpoint */
        assert_int_equal(solo_persist(&s, CORE_PERSIST_CLEAN) == NULL, below == 1);
        solo_batch_free(&b);
        blob_release(proof);
        solo_close(&s);
    }
}

static void test_proposal_up_to_a_checkpoint_that_the_others_prove_is_not_made(void **state)
{
    struct solo s;
    (void)state;
    for (uint32_t below = 0; below < 2; below++) {
        solo_open(&s, 4, 0); /* the primary */
        solo_start_unheard(&s, NULL);
        (void)solo_all_persisted(&s);
        struct blob *proof = proof_of(&s, CHECKPOINT_INTERVAL, 0xe);
        assert_null(solo_answer(&s, 2, NULL, 0, below == 1 ? proof : NULL));
        assert_null(solo_answer(&s, 3, NULL, 0, NULL));
        assert_false(summary(&s).fenced);
        assert_null(solo_request(&s, 0, 1));
        assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), below == 1 ? 0 : 1);
        blob_release(proof);
        solo_close(&s);
    }
}

/* ---- what is found at the start ---- */

static void test_fence_of_a_new_directory(void **state)
{
    struct solo s;
    const struct core_recovered empty = {.fenced = true, .fence_reason = FENCE_REASON_NEW_DIRECTORY, .windows = windows};
    (void)state;
    open_unheard(&s, &empty);
    assert_null(solo_answer(&s, 2, NULL, 0, NULL));
    assert_null(solo_persist(&s, CORE_PERSIST_FENCE)); /* C is not known yet */
    assert_null(solo_answer(&s, 3, NULL, 0, NULL));
    const struct core_effect *e = solo_persist(&s, CORE_PERSIST_FENCE);
    assert_non_null(e);
    assert_int_equal(e->persist.seq, 2 * L);
    assert_int_equal(e->persist.reason, FENCE_REASON_NEW_DIRECTORY); /* what the next start says too */
    assert_true(summary(&s).fenced);
    assert_false(takes_part(&s));
    solo_close(&s);
}

static void test_fence_outlasts_a_restart(void **state)
{
    struct solo s;
    const struct core_recovered again = {.fence_until = L, .fence_reason = FENCE_REASON_NEW_DIRECTORY, .windows = windows};
    const struct core_recovered over = {.fence_until = L, .stable.seq = L, .executed = L, .windows = windows};
    (void)state;
    open_unheard(&s, &again);
    assert_true(fenced_by(&s, own_vote(&s, WIRE_TYPE_prepare, 0, L + 1)));
    assert_int_equal(summary(&s).fence_until, L); /* decided once */
    assert_string_equal(summary(&s).fence_reason, "its data directory is new, in a group that may know it");
    assert_null(solo_persist(&s, CORE_PERSIST_FENCE));
    solo_close(&s);
    solo_open(&s, 4, SELF);
    solo_start(&s, &over);
    assert_false(summary(&s).fenced);
    solo_close(&s);
}

static void test_fenced_says_so_and_signs_no_checkpoint(void **state)
{
    struct solo s;
    struct core_recovered_checkpoint done = {
        .seq = 128, .header_hash = solo_header(128), .state_root = solo_root(128)};
    (void)state;
    for (uint32_t fenced = 0; fenced < 2; fenced++) {
        const struct core_recovered r = {.fenced = fenced == 1,
                                         .fence_reason = FENCE_REASON_NEW_DIRECTORY,
                                         .executed = 128,
                                         .windows = windows,
                                         .checkpoints = &done,
                                         .checkpoint_count = 1};
        solo_open(&s, 4, SELF);
        solo_start(&s, &r);
        (void)solo_all_persisted(&s);
        (void)solo_tick(&s, 2 * SOLO_RESEND_US);
        (void)solo_status(&s, 2, 0, NULL); /* which lacks the CHECKPOINT */
        assert_int_equal(solo_sent(&s, WIRE_TYPE_checkpoint), 1 - fenced);
        (void)solo_checkpoint(&s, 2, 128);
        (void)solo_checkpoint(&s, 3, 128);
        assert_int_equal(solo_persist(&s, CORE_PERSIST_STABLE) == NULL, fenced == 1); /* its own does not count */
        (void)solo_tick(&s, SOLO_HEARTBEAT_US * 3);
        const uint64_t flags = solo_message(solo_send(&s, WIRE_TYPE_status, 0)).status.flags;
        assert_int_equal((flags & STATUS_FLAG_FENCED) != 0, fenced == 1);
        solo_close(&s);
    }
}

/* ---- answering ---- */

static const char *ask(struct solo *s, uint32_t from)
{
    struct wire_status m = {.sender = from, .flags = STATUS_FLAG_LISTENING};
    return solo_receive(s, from, &wire_record_status, &m);
}

/* The messages in the answer of the last event, all of member 2. */
static uint32_t shown_in_answer(struct solo *s, struct wire_message out[8])
{
    const struct core_effect *e = solo_send(s, WIRE_TYPE_status, 0);
    assert_non_null(e);
    assert_int_equal(e->send.to, 2);
    const struct wire_message answer = solo_message(e);
    assert_true((answer.status.flags & STATUS_FLAG_ANSWER) != 0);
    struct msg_verified v;
    assert_null(msg_verify(&s->wire, fixture_checker(), blob_retain(e->send.bytes), &v));
    assert_int_equal(v.shown_good, (1u << answer.status.shown.count) - 1u);
    msg_verified_release(&v);
    struct wire_iterator i = wire_list_start(answer.status.shown);
    struct bytes raw;
    uint32_t count = 0;
    while (wire_list_next_bytes(&i, &raw))
        assert_null(wire_decode(raw, &out[count++]));
    return count;
}

static void test_fence_answer_shows_the_newest_of_each_kind(void **state)
{
    struct solo s;
    struct wire_message shown[8];
    (void)state;
    solo_ready(&s, 4, SELF);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(ask(&s, 2));
    assert_int_equal(shown_in_answer(&s, shown), 0); /* nothing is held of it */
    assert_null(solo_propose(&s, 1, &b, true));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 4, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 2, 3, &b.digest));
    assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 1, 2, 7, &b.digest)); /* early */
    assert_null(solo_checkpoint(&s, 2, 128));
    assert_null(solo_view_change(&s, 2, 1));
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(ask(&s, 2));
    assert_int_equal(shown_in_answer(&s, shown), 5);
    assert_int_equal(shown[0].type, WIRE_TYPE_checkpoint);
    assert_int_equal(shown[0].checkpoint.seq, 128);
    assert_int_equal(shown[1].type, WIRE_TYPE_commit);
    assert_int_equal(shown[1].commit.view, 1);
    assert_int_equal(shown[2].type, WIRE_TYPE_prepare);
    assert_int_equal(shown[2].prepare.seq, 4);
    assert_int_equal(shown[3].type, WIRE_TYPE_commit);
    assert_int_equal(shown[3].commit.seq, 3);
    assert_int_equal(shown[4].type, WIRE_TYPE_view_change);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_fence_answer_shows_the_primary_its_proposal(void **state)
{
    struct solo s;
    struct wire_status question = {.sender = 0, .flags = STATUS_FLAG_LISTENING};
    (void)state;
    solo_ready(&s, 4, SELF);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, true));
    assert_null(solo_receive(&s, 0, &wire_record_status, &question));
    const struct wire_message answer = solo_message(solo_send(&s, WIRE_TYPE_status, 0));
    struct wire_iterator i = wire_list_start(answer.status.shown);
    struct bytes raw;
    struct wire_message m;
    assert_true(wire_list_next_bytes(&i, &raw));
    assert_null(wire_decode(raw, &m));
    assert_int_equal(m.type, WIRE_TYPE_pre_prepare);
    assert_int_equal(m.pre_prepare.sender, 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_fence_answers_one_member_once_in_an_interval(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, SELF);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(ask(&s, 2));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_status), 1);
    assert_null(ask(&s, 2));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_status), 0);
    assert_null(ask(&s, 3));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_status), 1);
    solo_close(&s);
}

/* ---- helping ---- */

static const char *say(struct solo *s, uint32_t from, uint64_t flags)
{
    struct wire_status m = {.sender = from, .flags = flags, .executed = core_summary(s->core).executed};
    return solo_receive(s, from, &wire_record_status, &m);
}

static void test_fence_idle_primary_proposes_empty_batches(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    (void)solo_tick(&s, SOLO_HEARTBEAT_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    assert_null(say(&s, 3, STATUS_FLAG_FENCED));
    (void)solo_tick(&s, 10000);
    const struct core_effect *e = solo_send(&s, WIRE_TYPE_pre_prepare, 0);
    assert_non_null(e);
    struct msg_verified v;
    assert_null(msg_verify(&s.wire, fixture_checker(), blob_retain(e->send.bytes), &v));
    assert_true(v.has_batch && v.batch.valid);
    assert_int_equal(v.batch.batch.requests.count, 0);
    assert_int_equal(v.batch.batch.time_ms, s.wall_ms);
    msg_verified_release(&v);
    (void)solo_tick(&s, 10000);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0); /* one at a time */
    solo_close(&s);
}

static void test_fence_primary_stops_when_nobody_is_fenced(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_null(say(&s, 3, STATUS_FLAG_FENCED));
    assert_null(say(&s, 3, 0));
    (void)solo_tick(&s, SOLO_HEARTBEAT_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    assert_null(say(&s, 3, STATUS_FLAG_FENCED));
    (void)solo_tick(&s, 4 * SOLO_HEARTBEAT_US); /* it is gone */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    solo_close(&s);
}

/* Takes a proposed empty batch until it is executed, and stable where it ends an interval. */
static void agree(struct solo *s)
{
    const struct wire_message m = solo_message(solo_send(s, WIRE_TYPE_pre_prepare, 0));
    const struct digest digest = m.pre_prepare.digest;
    const uint64_t seq = m.pre_prepare.seq;
    const uint64_t time_ms = s->wall_ms;
    for (uint32_t id = 1; id < 3; id++)
        (void)solo_vote(s, WIRE_TYPE_prepare, id, seq, &digest);
    (void)solo_all_persisted(s);
    for (uint32_t id = 1; id < 3; id++)
        (void)solo_vote(s, WIRE_TYPE_commit, id, seq, &digest);
    assert_null(solo_executed(s, seq, time_ms, NULL, 0));
    for (uint32_t id = 1; id < 3 && seq % CHECKPOINT_INTERVAL == 0; id++)
        (void)solo_checkpoint(s, id, seq);
    (void)solo_all_persisted(s);
    (void)solo_all_persisted(s);
}

/* Empty batches in so many rounds, in each of which member 3 says that it is fenced, and then perhaps that it is not. */
static uint64_t filled_in(struct solo *s, uint64_t rounds, bool takes_back)
{
    uint64_t proposed = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        assert_null(say(s, 3, STATUS_FLAG_FENCED));
        (void)solo_tick(s, 10000);
        if (solo_sent(s, WIRE_TYPE_pre_prepare) > 0) {
            proposed++;
            agree(s);
            (void)solo_tick(s, 1000);
            assert_int_equal(solo_sent(s, WIRE_TYPE_pre_prepare), 0); /* nor sooner than 10 ms after the last one */
        }
        if (!takes_back) continue;
        assert_null(say(s, 3, 0));
        (void)solo_tick(s, 10000);
        assert_int_equal(solo_sent(s, WIRE_TYPE_pre_prepare), 0);
    }
    return proposed;
}

/* Heard of or not: whom a quorum can be made of. */
static void test_fence_of_others_is_known(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, SELF);
    (void)solo_tick(&s, 3 * SOLO_HEARTBEAT_US + 1);
    struct core_summary now = summary(&s);
    assert_int_equal(replica_set_count(&now.voters), 0);
    assert_null(say(&s, 0, 0));
    assert_null(say(&s, 3, STATUS_FLAG_FENCED));
    now = summary(&s);
    assert_int_equal(now.peers_heard, 2);
    assert_int_equal(replica_set_count(&now.voters), 1);
    assert_true(replica_set_has(&now.voters, 0));
    assert_int_equal(replica_set_count(&now.fenced_members), 1);
    assert_true(replica_set_has(&now.fenced_members, 3));
    (void)solo_tick(&s, 3 * SOLO_HEARTBEAT_US + 1);
    now = summary(&s);
    assert_int_equal(replica_set_count(&now.voters), 0);
    assert_true(replica_set_has(&now.fenced_members, 3)); /* its last word */
    assert_null(say(&s, 3, 0));
    now = summary(&s);
    assert_true(replica_set_has(&now.voters, 3));
    assert_int_equal(replica_set_count(&now.fenced_members), 0);
    solo_close(&s);
}

/* One liar brings about so many empty batches, and no more, whether it goes on saying so or says it again and again. */
static void test_fence_claim_is_helped_so_far_only(void **state)
{
    (void)state;
    for (uint32_t takes_back = 0; takes_back < 2; takes_back++) {
        struct solo s;
        solo_ready(&s, 4, 0);
        assert_int_equal(filled_in(&s, 5 * L, takes_back == 1), 4 * L);
        solo_close(&s);
    }
}

/* A member may truly be emptied once more, much later. */
static void test_fence_claim_is_helped_again_as_time_goes_by(void **state)
{
    struct solo s;
    const uint64_t minute_us = 60000000;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_int_equal(filled_in(&s, 5 * L, false), 4 * L);
    assert_null(say(&s, 3, 0));
    (void)solo_tick(&s, minute_us);
    assert_int_equal(filled_in(&s, 10, false), 1);
    (void)solo_tick(&s, 2 * L * minute_us);
    assert_int_equal(filled_in(&s, 3 * L, false), 2 * L);
    (void)solo_tick(&s, 100 * L * minute_us);
    assert_int_equal(filled_in(&s, 5 * L, false), 4 * L); /* what it has is no more than that */
    solo_close(&s);
}

static void test_fence_backup_prepares_an_empty_batch(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, SELF);
    struct solo_batch b = {.time_ms = s.wall_ms};
    b.bytes = fixture_batch(b.time_ms, NULL, 0, &b.digest);
    assert_null(solo_propose(&s, 1, &b, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

/* A fenced primary may not even resign: its own word, on its own channel, is enough. */
static void test_fence_backups_leave_the_view_of_a_fenced_primary(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, SELF);
    assert_null(say(&s, 2, STATUS_FLAG_FENCED)); /* not the primary */
    assert_int_equal(summary(&s).view, 0);
    assert_null(say(&s, 0, STATUS_FLAG_FENCED));
    assert_non_null(solo_persist(&s, CORE_PERSIST_VIEW_LEFT));
    assert_int_equal(summary(&s).view, 1);
    solo_close(&s);
}

/* What it says of another view is past, and who may not vote cannot say that it leaves. */
static void test_fenced_primary_is_left_only_in_its_view_and_by_who_may_vote(void **state)
{
    const struct core_event full = {.type = CORE_EVENT_DISK, .disk_full = true};
    struct wire_status later = {.sender = 0, .view = 4, .flags = STATUS_FLAG_FENCED};
    struct solo s;
    (void)state;
    solo_ready(&s, 4, SELF);
    assert_null(solo_receive(&s, 0, &wire_record_status, &later)); /* of view 4, whose primary it is, too */
    assert_int_equal(summary(&s).view, 0);
    assert_null(solo_step(&s, &full));
    assert_null(say(&s, 0, STATUS_FLAG_FENCED));
    assert_int_equal(summary(&s).view, 0);
    solo_close(&s);
    open_unheard(&s, NULL);
    assert_null(say(&s, 0, STATUS_FLAG_FENCED));
    assert_int_equal(summary(&s).view, 0);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fence_no_vote_before_others_were_heard),
        cmocka_unit_test(test_fence_time_outs_count_from_when_others_were_heard),
        cmocka_unit_test(test_fence_asks_until_it_has_heard),
        cmocka_unit_test(test_fence_counts_members_that_answer),
        cmocka_unit_test(test_fence_group_of_one_hears_nobody),
        cmocka_unit_test(test_fence_by_own_signature_of_a_view_above),
        cmocka_unit_test(test_fence_holds_to_the_view_change_it_is_shown),
        cmocka_unit_test(test_fence_of_an_earlier_start_holds_to_the_view_change_it_is_shown),
        cmocka_unit_test(test_fence_not_by_what_it_has_not_signed),
        cmocka_unit_test(test_fence_by_own_vote_above_its_window),
        cmocka_unit_test(test_fence_by_own_commit_without_its_certificate),
        cmocka_unit_test(test_fence_by_own_vote_that_a_clean_record_lacks),
        cmocka_unit_test(test_fence_by_own_checkpoint_above_its_blocks),
        cmocka_unit_test(test_fence_by_own_signature_in_a_proof_above_its_blocks),
        cmocka_unit_test(test_vote_up_to_a_checkpoint_that_the_others_prove_is_not_cast),
        cmocka_unit_test(test_proposal_up_to_a_checkpoint_that_the_others_prove_is_not_made),
        cmocka_unit_test(test_fence_of_a_new_directory),
        cmocka_unit_test(test_fence_outlasts_a_restart),
        cmocka_unit_test(test_fenced_says_so_and_signs_no_checkpoint),
        cmocka_unit_test(test_fence_answer_shows_the_newest_of_each_kind),
        cmocka_unit_test(test_fence_answer_shows_the_primary_its_proposal),
        cmocka_unit_test(test_fence_answers_one_member_once_in_an_interval),
        cmocka_unit_test(test_fence_idle_primary_proposes_empty_batches),
        cmocka_unit_test(test_fence_primary_stops_when_nobody_is_fenced),
        cmocka_unit_test(test_fence_of_others_is_known),
        cmocka_unit_test(test_fence_claim_is_helped_so_far_only),
        cmocka_unit_test(test_fence_claim_is_helped_again_as_time_goes_by),
        cmocka_unit_test(test_fence_backup_prepares_an_empty_batch),
        cmocka_unit_test(test_fence_backups_leave_the_view_of_a_fenced_primary),
        cmocka_unit_test(test_fenced_primary_is_left_only_in_its_view_and_by_who_may_vote),
    };
    return cmocka_run_group_tests_name("core_fence", tests, NULL, NULL);
}
