/* test_core_shown.c - which messages of a member that starts are shown to it, and what each that is shown to this
 * replica says of its own record (design.md 7.6, core_fence.c). One core driven by hand: replica 1 of N = 4. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SELF 1u
#define K CHECKPOINT_INTERVAL
#define L WINDOW_BATCHES

static struct core_client_window windows[SOLO_CLIENTS];

static struct core_summary summary(const struct solo *s)
{
    return core_summary(s->core);
}

/* ---- what is shown to others ---- */

/* The k-th message shown to member 2, which says that it is listening; false: there are no more. */
static bool shown(struct solo *s, uint32_t k, struct wire_message *out)
{
    struct wire_status m = {.sender = 2, .flags = STATUS_FLAG_LISTENING};
    struct bytes raw;
    (void)solo_tick(s, SOLO_RESEND_US);
    assert_null(solo_receive(s, 2, &wire_record_status, &m));
    for (uint32_t i = 0; i < solo_sent(s, WIRE_TYPE_status); i++) {
        const struct wire_status said = solo_message(solo_send(s, WIRE_TYPE_status, i)).status;
        if ((said.flags & STATUS_FLAG_ANSWER) == 0) continue;
        struct wire_iterator list = wire_list_start(said.shown);
        for (uint32_t at = 0; wire_list_next_bytes(&list, &raw); at++) {
            if (at != k) continue;
            assert_null(wire_decode(raw, out));
            return true;
        }
        return false;
    }
    fail_msg("no answer");
    return false;
}

/* The sequence of the only message of that type that is shown; 0: none is. */
static uint64_t shown_seq(struct solo *s, enum wire_type type)
{
    struct wire_message m;
    uint64_t seq = 0;
    for (uint32_t k = 0; shown(s, k, &m); k++) {
        if (m.type != type) continue;
        assert_int_equal(seq, 0);
        seq = type == WIRE_TYPE_commit       ? m.commit.seq
              : type == WIRE_TYPE_prepare    ? m.prepare.seq
              : type == WIRE_TYPE_checkpoint ? m.checkpoint.seq
                                             : m.pre_prepare.seq;
    }
    return seq;
}

static void test_shown_is_the_newest_vote_of_each_kind(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, SELF);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 3, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 2, 4, &b.digest));
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 2, 5, &b.digest));
    assert_int_equal(shown_seq(&s, WIRE_TYPE_commit), 5);
    assert_int_equal(shown_seq(&s, WIRE_TYPE_prepare), 3);
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 5, &b.digest)); /* now both are of the highest */
    assert_int_equal(shown_seq(&s, WIRE_TYPE_commit), 5);
    assert_int_equal(shown_seq(&s, WIRE_TYPE_prepare), 5);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_shown_early_vote_is_the_one_of_the_highest_sequence(void **state)
{
    struct solo s;
    struct wire_message m;
    (void)state;
    solo_ready(&s, 4, SELF);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 3, 2, 5, &b.digest));
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 3, 2, 7, &b.digest));
    assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 3, 2, 6, &b.digest));
    assert_true(shown(&s, 0, &m));
    assert_int_equal(m.type, WIRE_TYPE_prepare);
    assert_int_equal(m.prepare.view, 3);
    assert_int_equal(m.prepare.seq, 7);
    assert_false(shown(&s, 1, &m));
    assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 3, 2, 8, &b.digest));
    assert_true(shown(&s, 0, &m));
    assert_int_equal(m.type, WIRE_TYPE_commit);
    assert_int_equal(m.commit.seq, 8);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_shown_checkpoint_is_the_higher_of_two(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, SELF);
    assert_null(solo_checkpoint(&s, 2, K));
    assert_int_equal(shown_seq(&s, WIRE_TYPE_checkpoint), K);
    assert_null(solo_checkpoint(&s, 2, 2 * K));
    assert_int_equal(shown_seq(&s, WIRE_TYPE_checkpoint), 2 * K);
    solo_run_to(&s, K); /* the window moves by one checkpoint, whose place the next one takes */
    (void)solo_all_persisted(&s);
    assert_null(solo_checkpoint(&s, 0, K));
    (void)solo_all_persisted(&s);
    assert_int_equal(summary(&s).low, K);
    assert_int_equal(shown_seq(&s, WIRE_TYPE_checkpoint), 2 * K);
    assert_null(solo_checkpoint(&s, 2, 3 * K));
    assert_int_equal(shown_seq(&s, WIRE_TYPE_checkpoint), 3 * K);
    solo_close(&s);
}

/* ---- what others show of this replica ---- */

static struct blob *signed_message(const struct solo *s, const struct wire_record *record, void *message)
{
    fixture_sign_message(s->group, record, message);
    return wire_encode_blob(record, message);
}

static struct blob *prepare(const struct solo *s, uint32_t sender, uint64_t view, uint64_t seq, struct digest digest)
{
    struct wire_prepare m = {.sender = sender, .view = view, .seq = seq, .digest = digest};
    return signed_message(s, &wire_record_prepare, &m);
}

static struct blob *commit(const struct solo *s, uint32_t sender, uint64_t view, uint64_t seq)
{
    struct wire_commit m = {.sender = sender, .view = view, .seq = seq, .digest = solo_header(seq)};
    return signed_message(s, &wire_record_commit, &m);
}

/* Starts, hears one member that shows the message (released) and one that shows nothing: why it is fenced, or NULL. */
static const char *judged(struct solo *s, const struct core_recovered *r, struct blob *message_taken)
{
    solo_start_unheard(s, r);
    (void)solo_all_persisted(s);
    assert_null(solo_answer(s, 2, &message_taken, 1, NULL));
    blob_release(message_taken);
    assert_null(solo_answer(s, 3, NULL, 0, NULL));
    assert_false(summary(s).listening);
    return summary(s).fence_reason;
}

#define LOST_VOTE "it has voted in this view, and its record, of a clean stop, does not hold the vote"
#define LOST_COMMIT "it has sent a COMMIT whose certificate is not in its record"

/* A liar may show what others have said in views above: that is theirs. */
static void test_shown_messages_of_other_members_fence_nobody(void **state)
{
    const struct core_recovered r = {.clean = true, .windows = windows};
    struct solo s;
    (void)state;
    for (uint32_t k = 0; k < 5; k++) {
        solo_open(&s, 4, SELF);
        struct wire_view_change left = {.sender = 3, .view = 9};
        struct wire_pre_prepare proposal = {.sender = 3, .view = 7, .seq = 1};
        struct wire_checkpoint checkpoint = {.sender = 3, .seq = 8 * K};
        struct blob *of_other = k == 0   ? signed_message(&s, &wire_record_view_change, &left)
                                : k == 1 ? signed_message(&s, &wire_record_pre_prepare, &proposal)
                                : k == 2 ? signed_message(&s, &wire_record_checkpoint, &checkpoint)
                                : k == 3 ? prepare(&s, 3, 9, 1, solo_header(1))
                                         : commit(&s, 3, 9, 1);
        assert_null(judged(&s, &r, of_other));
        assert_int_equal(summary(&s).view, 0);
        solo_close(&s);
    }
}

static void test_shown_vote_for_what_is_stable_here_fences_nobody(void **state)
{
    const struct core_recovered r = {.clean = true, .stable = {.seq = K}, .executed = K, .windows = windows};
    struct solo s;
    (void)state;
    solo_open(&s, 4, SELF);
    assert_null(judged(&s, &r, commit(&s, SELF, 0, K)));
    solo_close(&s);
    solo_open(&s, 4, SELF);
    assert_string_equal(judged(&s, &r, commit(&s, SELF, 0, K + 1)), LOST_COMMIT);
    solo_close(&s);
}

/* Its record has a certificate for that sequence, but of an earlier view than the COMMIT is. */
static void test_shown_commit_of_a_later_view_than_its_certificate_fences(void **state)
{
    struct core_recovered_slot slot = {.seq = 1, .certificate = true};
    struct core_recovered r = {.view = 2, .slots = &slot, .slot_count = 1, .windows = windows};
    struct solo s;
    (void)state;
    for (uint64_t view = 0; view <= 2; view += 2) {
        solo_open(&s, 4, SELF);
        struct solo_batch b = solo_batch_make(&s, 1);
        struct blob *certificate = fixture_prepared(s.group, 0, 1, &b.digest, 0x7);
        assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(certificate), &slot.prepared));
        slot.digest = b.digest;
        slot.batch = b.bytes;
        slot.time_ms = b.time_ms;
        const char *reason = judged(&s, &r, commit(&s, SELF, view, 1));
        if (view == 0)
            assert_null(reason);
        else
            assert_string_equal(reason, LOST_COMMIT);
        blob_release(certificate);
        solo_batch_free(&b);
        solo_close(&s);
    }
}

/* After a clean stop the record holds every vote of its view: this digest, and no other. */
static void test_shown_vote_that_a_clean_record_does_not_hold_fences(void **state)
{
    struct core_recovered_slot slot = {.seq = 1, .accepted = true};
    struct core_recovered r = {.slots = &slot, .slot_count = 1, .windows = windows};
    struct solo s;
    (void)state;
    for (uint32_t k = 0; k < 5; k++) {
        solo_open(&s, 4, SELF);
        struct solo_batch b = solo_batch_make(&s, 1);
        struct solo_batch other = solo_batch_make(&s, 2);
        slot.digest = b.digest;
        slot.batch = b.bytes;
        slot.time_ms = b.time_ms;
        r.clean = k != 3;
        r.view = k == 4 ? 4 : 0;
        struct wire_pre_prepare proposal = {.sender = 0, .view = 0, .seq = 1, .digest = b.digest};
        fixture_sign_message(s.group, &wire_record_pre_prepare, &proposal);
        slot.proposal = proposal.signature;
        struct blob *vote = k == 0   ? prepare(&s, SELF, 0, 1, b.digest)      /* that very vote */
                            : k == 1 ? prepare(&s, SELF, 0, 1, other.digest)  /* another one */
                                     : prepare(&s, SELF, 0, 2, other.digest); /* where it holds none */
        const char *reason = judged(&s, &r, vote);
        if (k == 1 || k == 2)
            assert_string_equal(reason, LOST_VOTE);
        else
            assert_null(reason); /* not clean: it abstains instead; of an earlier view: long past */
        solo_batch_free(&other);
        solo_batch_free(&b);
        solo_close(&s);
    }
}

/* It has heard of a proposal, and did not vote for it before it heard what it is shown. */
static void test_shown_vote_on_what_came_since_the_start_fences(void **state)
{
    const struct core_recovered r = {.clean = true, .windows = windows};
    struct solo s;
    (void)state;
    solo_open(&s, 4, SELF);
    solo_start_unheard(&s, &r);
    (void)solo_all_persisted(&s);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, true));
    struct blob *vote = prepare(&s, SELF, 0, 1, b.digest);
    assert_null(solo_answer(&s, 2, &vote, 1, NULL));
    assert_null(solo_answer(&s, 3, NULL, 0, NULL));
    assert_string_equal(summary(&s).fence_reason, LOST_VOTE);
    blob_release(vote);
    solo_batch_free(&b);
    solo_close(&s);
}

/* Once the view of the record has been left, here or before the stop, its votes are no longer in the slots to compare
 * with. */
static void test_shown_vote_of_a_view_that_was_left_fences_nobody(void **state)
{
    struct core_recovered r = {.clean = true, .windows = windows};
    struct solo s;
    (void)state;
    solo_open(&s, 4, SELF);
    struct blob *left = solo_view_change_make(&s, SELF, 1, NULL, 0, NULL);
    r.view = 1;
    r.view_change = left;
    assert_null(judged(&s, &r, prepare(&s, SELF, 1, 1, solo_header(1))));
    blob_release(left);
    solo_close(&s);
    r.view = 0;
    r.view_change = NULL;
    solo_open(&s, 4, SELF);
    solo_start_unheard(&s, &r);
    (void)solo_all_persisted(&s);
    solo_enter(&s, 2, NULL, 0); /* with the others, while it listens */
    struct blob *vote = prepare(&s, SELF, 0, 1, solo_header(1));
    assert_null(solo_answer(&s, 2, &vote, 1, NULL));
    assert_null(solo_answer(&s, 3, NULL, 0, NULL));
    assert_null(summary(&s).fence_reason);
    blob_release(vote);
    solo_close(&s);
}

/* ---- the fence itself ---- */

static void test_fence_every_reason_has_its_sentence(void **state)
{
    const char *earlier[FENCE_REASON_MAX + 1];
    struct solo s;
    (void)state;
    for (uint32_t k = 1; k <= FENCE_REASON_MAX; k++) {
        const struct core_recovered r = {
            .fenced = true, .fence_reason = (enum fence_reason)k, .clean = true, .windows = windows};
        solo_open(&s, 4, SELF);
        solo_start(&s, &r);
        assert_true(summary(&s).fenced);
        earlier[k] = summary(&s).fence_reason;
        assert_non_null(earlier[k]);
        for (uint32_t i = 1; i < k; i++)
            assert_string_not_equal(earlier[i], earlier[k]);
        solo_close(&s);
    }
}

/* What was decided at an earlier start stands, whatever else is heard. */
static void test_fence_of_an_earlier_start_is_not_begun_anew(void **state)
{
    const struct core_recovered r = {
        .clean = true, .fence_until = 3 * L, .fence_reason = FENCE_REASON_NEW_DIRECTORY, .windows = windows};
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    struct solo s;
    (void)state;
    solo_open(&s, 4, SELF);
    solo_start_unheard(&s, &r);
    (void)solo_all_persisted(&s);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0x7); /* this replica has signed it */
    struct blob *vote = commit(&s, SELF, 5, 1);
    assert_null(solo_answer(&s, 2, &vote, 1, proof));
    assert_null(solo_answer(&s, 3, NULL, 0, NULL));
    assert_false(summary(&s).listening);
    assert_null(solo_persist(&s, CORE_PERSIST_FENCE));
    assert_int_equal(summary(&s).fence_until, 3 * L);
    assert_string_equal(summary(&s).fence_reason, "its data directory is new, in a group that may know it");
    assert_false(core_may_answer_read(s.core, 0)); /* it may have committed to what it does not know */
    blob_release(vote);
    blob_release(proof);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown_is_the_newest_vote_of_each_kind),
        cmocka_unit_test(test_shown_early_vote_is_the_one_of_the_highest_sequence),
        cmocka_unit_test(test_shown_checkpoint_is_the_higher_of_two),
        cmocka_unit_test(test_shown_messages_of_other_members_fence_nobody),
        cmocka_unit_test(test_shown_vote_for_what_is_stable_here_fences_nobody),
        cmocka_unit_test(test_shown_commit_of_a_later_view_than_its_certificate_fences),
        cmocka_unit_test(test_shown_vote_that_a_clean_record_does_not_hold_fences),
        cmocka_unit_test(test_shown_vote_on_what_came_since_the_start_fences),
        cmocka_unit_test(test_shown_vote_of_a_view_that_was_left_fences_nobody),
        cmocka_unit_test(test_fence_every_reason_has_its_sentence),
        cmocka_unit_test(test_fence_of_an_earlier_start_is_not_begun_anew),
    };
    return cmocka_run_group_tests_name("core_shown", tests, NULL, NULL);
}
