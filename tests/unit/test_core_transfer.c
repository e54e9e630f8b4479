/* test_core_transfer.c - when a replica takes the state instead of blocks, whom it asks, who is left alone for how
 * long, what is served to others (design.md section 9, rule 26). One core driven by hand: replica 1 of N = 4. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL
#define FAR (SOLO_TRANSFER_AFTER)
#define SILENT_US (8u * SOLO_RESEND_US) /* then another member is asked */

static void proven_by(struct solo *s, uint32_t member, uint64_t stable)
{
    const struct digest header = solo_header(stable);
    const struct digest root = solo_root(stable);
    struct blob *proof = fixture_checkpoint(s->group, stable, &header, &root, 0xd);
    assert_null(solo_status(s, member, stable, proof));
    blob_release(proof);
}

static bool begins(const struct solo *s)
{
    return solo_effect(s, CORE_EFFECT_WALK_BEGIN, 0) != NULL;
}

static const char *walk(struct solo *s, enum core_walk_what what, uint32_t number, uint64_t target)
{
    struct blob *ask = what == CORE_WALK_ASK ? blob_copy(bytes_of_text("ask")) : NULL;
    const struct core_walk w = {.what = what, .number = number, .target = target, .ask = ask};
    const struct core_event event = {.type = CORE_EVENT_WALK, .walk = &w};
    const char *ignored = solo_step(s, &event);
    blob_release(ask);
    return ignored;
}

static const struct core_effect *question_of(const struct solo *s, uint32_t k)
{
    const struct core_effect *e;
    for (uint32_t i = 0; (e = solo_send(s, WIRE_TYPE_fetch, i)) != NULL; i++)
        if (solo_message(e).fetch.kind == DATA_KIND_STATE && k-- == 0) return e;
    return NULL;
}

/* DATA with part of a state of checkpoint `seq`, for question `number`. */
static const char *answer(struct solo *s, uint32_t member, uint64_t number, uint64_t seq)
{
    const struct digest header = solo_header(seq);
    const struct digest root = solo_root(seq);
    struct blob *proof = fixture_checkpoint(s->group, seq, &header, &root, 0xd);
    struct wire_state_piece piece = {.meta = {.seq = seq}};
    assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(proof), &piece.certificate));
    struct blob *payload = wire_encode_blob(&wire_record_state_piece, &piece);
    struct wire_data m = {.sender = member, .kind = DATA_KIND_STATE, .seq = number, .payload = blob_bytes(payload)};
    const char *ignored = solo_receive(s, member, &wire_record_data, &m);
    blob_release(payload);
    blob_release(proof);
    return ignored;
}

/* Walking to FAR, with members 0, 2 and 3 there. */
static void walking(struct solo *s)
{
    solo_ready(s, 4, 1);
    proven_by(s, 0, FAR);
    proven_by(s, 2, FAR);
    proven_by(s, 3, FAR);
    (void)solo_tick(s, SOLO_RESEND_US);
    assert_true(begins(s));
    assert_int_equal(solo_effect(s, CORE_EFFECT_WALK_BEGIN, 0)->walk_begin, FAR);
}

/* ---- whether ---- */

static void test_transfer_begins_when_a_proven_checkpoint_is_far(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    proven_by(&s, 2, FAR - K);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(begins(&s)); /* near: blocks */
    assert_null(solo_status(&s, 3, 100 * FAR, NULL));
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(begins(&s)); /* only claimed (rule 26) */
    proven_by(&s, 2, FAR);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_true(begins(&s));
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(begins(&s)); /* once */
    solo_close(&s);
}

static void test_transfer_waits_for_what_is_being_executed(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_commit(&s, 1);
    assert_int_equal(core_summary(s.core).committed, 1);
    proven_by(&s, 2, FAR + K);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(begins(&s));
    assert_null(solo_executed(&s, 1, SOLO_WALL_MS, NULL, 0));
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_true(begins(&s));
    solo_close(&s);
}

static void test_transfer_begins_when_nobody_has_the_next_blocks(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    proven_by(&s, 0, 4 * K);
    proven_by(&s, 2, 4 * K);
    proven_by(&s, 3, 4 * K);
    bool began = false;
    for (uint32_t i = 0; i < 200 && !began; i++) { /* each source is asked, and none answers */
        (void)solo_tick(&s, SOLO_RESEND_US);
        began = begins(&s);
    }
    assert_true(began);
    solo_close(&s);
}

static void test_transfer_of_a_damaged_state_begins_with_any_proven_checkpoint_from_the_own_on(void **state)
{
    struct solo s;
    const struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    struct core_recovered r = {
        .clean = true, .walking = true, .stable = {.seq = 2 * K}, .executed = 2 * K + 5, .windows = windows};
    (void)state;
    solo_open(&s, 4, 1);
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    assert_true(core_summary(s.core).walking);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 2 * K + 6, &b, true)); /* it cannot execute it, which is no fault of the primary */
    (void)solo_tick(&s, 10 * SOLO_TIMEOUT_US);
    assert_int_equal(core_summary(s.core).view, 0);
    assert_false(core_summary(s.core).changing);
    solo_batch_free(&b);
    proven_by(&s, 2, K);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_false(begins(&s)); /* before what it has held stable itself */
    proven_by(&s, 2, 2 * K);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_true(begins(&s));
    solo_close(&s);
}

/* ---- what it does not do meanwhile ---- */

static void test_transfer_under_way_nothing_is_executed_nor_taken_nor_timed_out(void **state)
{
    struct solo s;
    (void)state;
    walking(&s);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_block(&s, 2, 1, &b, NULL)); /* decided */
    assert_null(solo_effect(&s, CORE_EFFECT_EXECUTE, 0));
    assert_int_equal(core_summary(s.core).committed, 0);
    assert_string_equal(solo_request(&s, 0, 1), "the state is being transferred");
    assert_non_null(solo_effect(&s, CORE_EFFECT_SEND_CLIENT, 0)); /* BUSY */
    (void)solo_tick(&s, 10 * SOLO_TIMEOUT_US);
    assert_int_equal(core_summary(s.core).view, 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_transfer_of_the_primary_leaves_its_view(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    proven_by(&s, 2, FAR);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_true(begins(&s));
    assert_true(core_summary(s.core).changing);
    assert_int_equal(core_summary(s.core).view, 1);
    solo_close(&s);
}

/* ---- whom to ask ---- */

/* The others leave for the view that it is to lead: it begins that view, which needs its NEW-VIEW, and leaves it at once. */
static void test_transfer_of_the_next_primary_leaves_the_view_it_comes_to_lead(void **state)
{
    struct solo s;
    (void)state;
    walking(&s);
    (void)solo_view_change(&s, 0, 1);
    (void)solo_view_change(&s, 2, 1);
    (void)solo_view_change(&s, 3, 1);
    for (uint32_t i = 0; i < 5 && core_summary(s.core).view < 2; i++) {
        (void)solo_all_persisted(&s);
        (void)solo_tick(&s, 1000);
    }
    assert_int_equal(core_summary(s.core).view, 2);
    assert_true(core_summary(s.core).changing);
    solo_close(&s);
}

static void test_transfer_questions_are_spread_over_the_members(void **state)
{
    struct solo s;
    bool asked[4] = {false};
    (void)state;
    walking(&s);
    for (uint32_t n = 1; n <= 3; n++) {
        assert_null(walk(&s, CORE_WALK_ASK, n, FAR));
        const struct core_effect *e = question_of(&s, 0);
        assert_non_null(e);
        assert_int_equal(solo_message(e).fetch.count, n);
        assert_int_equal(solo_message(e).fetch.seq, FAR);
        assert_false(asked[e->send.to]);
        asked[e->send.to] = true;
    }
    for (uint32_t n = 4; n <= 8; n++)
        assert_null(walk(&s, CORE_WALK_ASK, n, FAR));
    assert_string_equal(walk(&s, CORE_WALK_ASK, 9, FAR), "more questions than can be under way");
    solo_close(&s);
}

static void test_transfer_silent_member_is_replaced_and_left_alone_longer_each_time(void **state)
{
    struct solo s;
    (void)state;
    walking(&s);
    assert_null(walk(&s, CORE_WALK_ASK, 1, FAR));
    const uint32_t first = question_of(&s, 0)->send.to;
    (void)solo_tick(&s, SILENT_US - 1);
    assert_null(question_of(&s, 0));
    (void)solo_tick(&s, 1);
    assert_non_null(question_of(&s, 0));
    assert_int_not_equal(question_of(&s, 0)->send.to, first);
    for (uint32_t n = 2; n <= 7; n++) { /* it is not asked for a while, whatever there is to ask */
        assert_null(walk(&s, CORE_WALK_ASK, n, FAR));
        assert_int_not_equal(question_of(&s, 0)->send.to, first);
    }
    solo_close(&s);
}

static void test_transfer_liar_is_replaced_at_once_and_left_alone(void **state)
{
    struct solo s;
    (void)state;
    walking(&s);
    assert_null(walk(&s, CORE_WALK_ASK, 1, FAR));
    const uint32_t liar = question_of(&s, 0)->send.to;
    assert_null(answer(&s, liar, 1, FAR));
    assert_non_null(solo_effect(&s, CORE_EFFECT_WALK_PIECE, 0));
    assert_null(walk(&s, CORE_WALK_BAD, 1, FAR));
    assert_non_null(question_of(&s, 0));
    assert_int_not_equal(question_of(&s, 0)->send.to, liar);
    for (uint32_t i = 0; i < 20; i++) { /* the others are silent, and it is still not asked */
        (void)solo_tick(&s, SOLO_RESEND_US);
        for (uint32_t k = 0; question_of(&s, k) != NULL; k++)
            assert_int_not_equal(question_of(&s, k)->send.to, liar);
    }
    solo_close(&s);
}

static void test_transfer_member_at_an_older_checkpoint_is_asked_again_later(void **state)
{
    struct solo s;
    (void)state;
    walking(&s);
    assert_null(walk(&s, CORE_WALK_ASK, 1, FAR));
    const uint32_t older = question_of(&s, 0)->send.to;
    assert_null(answer(&s, older, 1, FAR));
    assert_null(walk(&s, CORE_WALK_OLD, 1, FAR));
    assert_int_not_equal(question_of(&s, 0)->send.to, older);
    (void)solo_tick(&s, SOLO_RESEND_US);
    bool asked = false;
    for (uint32_t n = 2; n <= 4; n++) {
        assert_null(walk(&s, CORE_WALK_ASK, n, FAR));
        asked |= question_of(&s, 0)->send.to == older;
    }
    assert_true(asked);
    solo_close(&s);
}

static void test_transfer_answer_to_no_question_is_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_string_equal(answer(&s, 2, 1, FAR), "an answer to no question about the state");
    solo_close(&s);
    walking(&s);
    assert_string_equal(answer(&s, 2, 1, FAR), "an answer to no question about the state");
    assert_null(walk(&s, CORE_WALK_ASK, 1, FAR));
    assert_null(answer(&s, 3, 1, FAR)); /* whoever answers: it proves itself */
    assert_string_equal(answer(&s, 2, 1, FAR), "an answer to no question about the state"); /* one is being looked at */
    assert_null(walk(&s, CORE_WALK_TAKEN, 1, FAR));
    assert_string_equal(walk(&s, CORE_WALK_TAKEN, 1, FAR), "no answer to that question is being looked at");
    assert_string_equal(answer(&s, 2, 1, FAR), "an answer to no question about the state");
    solo_close(&s);
}

static void test_transfer_answer_without_proof_is_refused(void **state)
{
    struct solo s;
    struct wire_state_piece piece = {.certificate = {.seq = FAR}, .meta = {.seq = FAR}};
    (void)state;
    walking(&s);
    assert_null(walk(&s, CORE_WALK_ASK, 1, FAR));
    struct blob *payload = wire_encode_blob(&wire_record_state_piece, &piece);
    struct wire_data m = {.sender = 2, .kind = DATA_KIND_STATE, .seq = 1, .payload = blob_bytes(payload)};
    assert_non_null(solo_verify(&s, wire_encode_blob(&wire_record_data, &m)));
    piece.certificate.seq = 0; /* what needs no proof is no checkpoint to transfer */
    blob_release(payload);
    payload = wire_encode_blob(&wire_record_state_piece, &piece);
    m.payload = blob_bytes(payload);
    assert_non_null(solo_verify(&s, wire_encode_blob(&wire_record_data, &m)));
    m.payload = bytes_of_text("no piece");
    assert_non_null(solo_verify(&s, wire_encode_blob(&wire_record_data, &m)));
    blob_release(payload);
    solo_close(&s);
}

/* A question whose answer is being looked at is no load on the member that answered it. */
static void test_transfer_member_whose_answer_is_looked_at_counts_as_free(void **state)
{
    struct solo s;
    (void)state;
    walking(&s);
    uint32_t to[4];
    for (uint32_t n = 1; n <= 3; n++) {
        assert_null(walk(&s, CORE_WALK_ASK, n, FAR));
        to[n] = question_of(&s, 0)->send.to;
    }
    assert_null(answer(&s, to[2], 2, FAR));
    assert_null(walk(&s, CORE_WALK_ASK, 4, FAR));
    assert_int_equal(question_of(&s, 0)->send.to, to[2]); /* to[1] would be the next in turn, and has one under way */
    solo_close(&s);
}

static void test_transfer_member_that_is_not_so_far_is_not_asked(void **state)
{
    struct solo s;
    (void)state;
    walking(&s);
    assert_null(solo_status(&s, 0, FAR - 1, NULL));
    assert_null(solo_status(&s, 2, FAR - 1, NULL));
    for (uint32_t n = 1; n <= 4; n++) {
        assert_null(walk(&s, CORE_WALK_ASK, n, FAR));
        assert_int_equal(question_of(&s, 0)->send.to, 3);
    }
    solo_close(&s);
}

/* One member alone is far enough. */
static void walking_with_one(struct solo *s)
{
    solo_ready(s, 4, 1);
    proven_by(s, 2, FAR);
    (void)solo_tick(s, SOLO_RESEND_US);
    assert_true(begins(s));
}

/* How long until the question is put again, in ticks of a resend interval. */
static uint32_t asked_after(struct solo *s)
{
    for (uint32_t i = 1; i <= 1000; i++) {
        (void)solo_tick(s, SOLO_RESEND_US);
        if (question_of(s, 0) != NULL) return i;
    }
    return UINT32_MAX;
}

static void test_transfer_question_that_nobody_can_be_asked_waits(void **state)
{
    struct solo s;
    (void)state;
    walking_with_one(&s);
    assert_null(walk(&s, CORE_WALK_ASK, 1, FAR));
    assert_int_equal(question_of(&s, 0)->send.to, 2);
    assert_null(answer(&s, 2, 1, FAR));
    assert_null(walk(&s, CORE_WALK_BAD, 1, FAR));
    assert_null(question_of(&s, 0)); /* the only one has lied */
    assert_int_equal(asked_after(&s), 240);
    solo_close(&s);
}

static void test_transfer_silence_again_and_again_is_left_alone_twice_as_long_up_to_a_bound(void **state)
{
    static const uint32_t alone[] = {4, 8, 16, 32, 64, 64, 64};
    struct solo s;
    (void)state;
    walking_with_one(&s);
    assert_null(walk(&s, CORE_WALK_ASK, 1, FAR));
    for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++)
        assert_int_equal(asked_after(&s), 8 + alone[i]); /* it may take 8 */
    assert_null(answer(&s, 2, 1, FAR));
    assert_null(walk(&s, CORE_WALK_TAKEN, 1, FAR)); /* it has answered: its silences are forgotten */
    assert_null(walk(&s, CORE_WALK_ASK, 2, FAR));
    assert_int_equal(asked_after(&s), 8 + alone[0]);
    solo_close(&s);
}

static void test_transfer_answer_under_a_number_that_no_question_has_is_ignored(void **state)
{
    struct solo s;
    (void)state;
    walking(&s);
    assert_null(walk(&s, CORE_WALK_ASK, 1, FAR));
    assert_string_equal(answer(&s, 2, 0, FAR), "an answer to no question about the state");
    assert_string_equal(answer(&s, 2, (1ull << 32) + 1, FAR), "an answer to no question about the state");
    assert_null(solo_effect(&s, CORE_EFFECT_WALK_PIECE, 0));
    solo_close(&s);
}

static void test_transfer_word_of_a_walk_that_fits_nothing_is_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_string_equal(walk(&s, CORE_WALK_ASK, 1, FAR), "no state is being transferred");
    solo_close(&s);
    walking(&s);
    assert_null(walk(&s, CORE_WALK_ASK, 1, FAR));
    assert_string_equal(walk(&s, CORE_WALK_BAD, 1, FAR), "no answer to that question is being looked at");
    solo_close(&s);
}

/* The walk has moved to a newer root: from then on that is asked for, of those who have it. */
static void test_transfer_target_that_the_walk_raises_is_asked_for(void **state)
{
    struct solo s;
    (void)state;
    walking(&s);
    assert_null(solo_status(&s, 3, FAR + K, NULL));
    assert_null(walk(&s, CORE_WALK_ASK, 1, FAR + K));
    assert_int_equal(core_summary(s.core).walk_target, FAR + K);
    assert_int_equal(solo_message(question_of(&s, 0)).fetch.seq, FAR + K);
    assert_int_equal(question_of(&s, 0)->send.to, 3);
    assert_null(walk(&s, CORE_WALK_ASK, 2, FAR));
    assert_int_equal(core_summary(s.core).walk_target, FAR + K); /* never lower */
    solo_close(&s);
}

static const char *disk(struct solo *s, bool full)
{
    const struct core_event event = {.type = CORE_EVENT_DISK, .disk_full = full};
    return solo_step(s, &event);
}

/* A primary without room on its disk cannot say that it leaves; one that stops says nothing any more. */
static void test_transfer_of_a_primary_that_may_not_vote_leaves_no_view(void **state)
{
    const struct core_event stop = {.type = CORE_EVENT_STOP};
    struct solo s;
    (void)state;
    for (uint32_t stopping = 0; stopping < 2; stopping++) {
        solo_ready(&s, 4, 0);
        assert_null(disk(&s, true));
        proven_by(&s, 2, FAR);
        (void)solo_tick(&s, SOLO_RESEND_US);
        assert_true(begins(&s));
        assert_int_equal(core_summary(s.core).view, 0);
        struct blob *request = fixture_request(s.group, 0, 1, s.wall_ms + 1000, "key", "value");
        assert_string_equal(solo_receive_bytes(&s, 2, request), "the state is being transferred");
        assert_int_equal(solo_busy(&s), 0); /* its client has not asked here */
        if (stopping == 1) assert_null(solo_step(&s, &stop));
        assert_null(disk(&s, false));
        (void)solo_tick(&s, SOLO_RESEND_US);
        assert_int_equal(core_summary(s.core).view, stopping == 1 ? 0 : 1);
        solo_close(&s);
    }
}

/* ---- for others ---- */

static const char *ask(struct solo *s, uint32_t from, uint32_t number)
{
    struct wire_fetch m = {
        .sender = from, .kind = DATA_KIND_STATE, .seq = K, .count = number, .ask = bytes_of_text("question")};
    return solo_receive(s, from, &wire_record_fetch, &m);
}

static uint32_t served(const struct solo *s)
{
    uint32_t count = 0;
    while (solo_effect(s, CORE_EFFECT_SERVE_STATE, count) != NULL)
        count++;
    return count;
}

static void test_transfer_served_at_a_steady_rate_in_order(void **state)
{
    struct solo s;
    struct wire_fetch none = {.sender = 2, .kind = DATA_KIND_STATE, .seq = K, .count = 1};
    uint32_t total = 0;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_string_equal(ask(&s, 2, 1), "a FETCH of the state before the first checkpoint");
    solo_run_to(&s, K);
    (void)solo_all_persisted(&s);
    for (uint32_t id = 0; id < 4; id++)
        if (id != 1) (void)solo_checkpoint(&s, id, K);
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).low, K);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_string_equal(solo_receive(&s, 2, &wire_record_fetch, &none), "a FETCH of the state without a question");
    for (uint32_t n = 1; n <= 4; n++) { /* a few at once */
        assert_null(ask(&s, 2, n));
        assert_int_equal(served(&s), 1);
        assert_int_equal(solo_effect(&s, CORE_EFFECT_SERVE_STATE, 0)->serve_state.number, n);
        assert_int_equal(solo_effect(&s, CORE_EFFECT_SERVE_STATE, 0)->serve_state.to, 2);
    }
    for (uint32_t n = 5; n <= 12; n++) {
        assert_null(ask(&s, 2, n));
        assert_int_equal(served(&s), 0);
    }
    assert_string_equal(ask(&s, 2, 13), "more questions about the state than wait for an answer");
    assert_null(ask(&s, 3, 1)); /* another member does not wait for it */
    assert_int_equal(served(&s), 1);
    for (uint32_t i = 0; i < 40; i++) {
        (void)solo_tick(&s, 2000);
        total += served(&s);
    }
    assert_int_equal(total, 8); /* 80 ms: ten could have been */
    solo_close(&s);
}

static void test_transfer_nothing_is_served_of_a_state_that_is_not_whole(void **state)
{
    struct solo s;
    (void)state;
    walking(&s);
    assert_string_equal(ask(&s, 2, 1), "a FETCH of the state, which is not whole here");
    assert_int_equal(served(&s), 0);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transfer_begins_when_a_proven_checkpoint_is_far),
        cmocka_unit_test(test_transfer_waits_for_what_is_being_executed),
        cmocka_unit_test(test_transfer_begins_when_nobody_has_the_next_blocks),
        cmocka_unit_test(test_transfer_of_a_damaged_state_begins_with_any_proven_checkpoint_from_the_own_on),
        cmocka_unit_test(test_transfer_under_way_nothing_is_executed_nor_taken_nor_timed_out),
        cmocka_unit_test(test_transfer_of_the_primary_leaves_its_view),
        cmocka_unit_test(test_transfer_of_the_next_primary_leaves_the_view_it_comes_to_lead),
        cmocka_unit_test(test_transfer_questions_are_spread_over_the_members),
        cmocka_unit_test(test_transfer_silent_member_is_replaced_and_left_alone_longer_each_time),
        cmocka_unit_test(test_transfer_liar_is_replaced_at_once_and_left_alone),
        cmocka_unit_test(test_transfer_member_at_an_older_checkpoint_is_asked_again_later),
        cmocka_unit_test(test_transfer_answer_to_no_question_is_ignored),
        cmocka_unit_test(test_transfer_answer_without_proof_is_refused),
        cmocka_unit_test(test_transfer_member_whose_answer_is_looked_at_counts_as_free),
        cmocka_unit_test(test_transfer_member_that_is_not_so_far_is_not_asked),
        cmocka_unit_test(test_transfer_question_that_nobody_can_be_asked_waits),
        cmocka_unit_test(test_transfer_silence_again_and_again_is_left_alone_twice_as_long_up_to_a_bound),
        cmocka_unit_test(test_transfer_answer_under_a_number_that_no_question_has_is_ignored),
        cmocka_unit_test(test_transfer_word_of_a_walk_that_fits_nothing_is_ignored),
        cmocka_unit_test(test_transfer_target_that_the_walk_raises_is_asked_for),
        cmocka_unit_test(test_transfer_of_a_primary_that_may_not_vote_leaves_no_view),
        cmocka_unit_test(test_transfer_served_at_a_steady_rate_in_order),
        cmocka_unit_test(test_transfer_nothing_is_served_of_a_state_that_is_not_whole),
    };
    return cmocka_run_group_tests_name("core_transfer", tests, NULL, NULL);
}
