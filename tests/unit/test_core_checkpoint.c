/* test_core_checkpoint.c - CHECKPOINT votes, the stable checkpoint, the window (OSDI'99 section 4.3;
 * design.md 7.3, 7.7). One core driven by hand: replica 1 of N = 4, Q = 3, f + 1 = 2. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL
#define L WINDOW_BATCHES

/* Executed up to K, what it has been given to persist not durable. */
static void run_to_checkpoint(struct solo *s)
{
    solo_ready(s, 4, 1);
    solo_run_to(s, K);
}

/* ---- votes that do not count ---- */

static void test_checkpoint_at_no_interval_refused_by_verify(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct wire_checkpoint m = {.sender = 2, .seq = K - 1};
    assert_string_equal(solo_verify(&s, fixture_message(s.group, &wire_record_checkpoint, &m)),
                        "the sequence is no checkpoint's");
    m.seq = 0;
    assert_string_equal(solo_verify(&s, fixture_message(s.group, &wire_record_checkpoint, &m)),
                        "the sequence is no checkpoint's");
    solo_close(&s);
}

static void test_checkpoint_outside_the_window_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_string_equal(solo_checkpoint(&s, 2, L + K), "CHECKPOINT outside the window");
    assert_null(solo_checkpoint(&s, 2, L));
    assert_null(solo_checkpoint(&s, 2, K));
    assert_string_equal(solo_checkpoint(&s, 2, K), "this member's CHECKPOINT is known already");
    solo_close(&s);
}

static void test_checkpoint_votes_before_own_execution_prove_nothing_here(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    for (uint32_t id = 0; id < 4; id++)
        if (id != 1) assert_null(solo_checkpoint(&s, id, K));
    assert_int_equal(s.effects->count, 0);
    assert_int_equal(core_summary(s.core).low, 0);
    solo_close(&s);
}

/* ---- own CHECKPOINT ---- */

static void test_checkpoint_waits_for_its_blocks(void **state)
{
    struct solo s;
    (void)state;
    run_to_checkpoint(&s); /* the last event was EXECUTED K */
    const struct core_effect *blocks = solo_persist(&s, CORE_PERSIST_BLOCKS);
    const struct core_effect *send = solo_send(&s, WIRE_TYPE_checkpoint, 0);
    assert_non_null(blocks);
    assert_non_null(send);
    assert_int_equal(send->after, blocks->persist.token); /* design.md 7.7 */
    assert_true(send->after != 0);
    assert_false(send->send.resend);
    assert_int_equal(send->send.to, CORE_TO_ALL);
    const struct wire_message m = solo_message(send);
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    assert_true(digest_equal(&m.checkpoint.header_hash, &header));
    assert_true(digest_equal(&m.checkpoint.state_root, &root));
    assert_null(solo_verify(&s, blob_retain(send->send.bytes)));
    solo_close(&s);
}

static void test_checkpoint_own_vote_counts_only_when_durable(void **state)
{
    struct solo s;
    (void)state;
    run_to_checkpoint(&s);
    (void)solo_checkpoint(&s, 0, K);
    (void)solo_checkpoint(&s, 2, K);
    assert_int_equal(s.effects->count, 0); /* rule 31 */
    (void)solo_all_persisted(&s);
    assert_non_null(solo_persist(&s, CORE_PERSIST_STABLE));
    solo_close(&s);
}

static void test_checkpoint_of_others_waits_for_own_blocks(void **state)
{
    struct solo s;
    (void)state;
    run_to_checkpoint(&s);
    for (uint32_t id = 0; id < 4; id++)
        if (id != 1) (void)solo_checkpoint(&s, id, K);
    assert_null(solo_persist(&s, CORE_PERSIST_STABLE)); /* Q others, but what would be collected is not durable here */
    (void)solo_all_persisted(&s);
    assert_non_null(solo_persist(&s, CORE_PERSIST_STABLE));
    solo_close(&s);
}

/* ---- the certificate ---- */

static void test_checkpoint_stable_at_q_not_at_weak_quorum(void **state)
{
    struct solo s;
    (void)state;
    run_to_checkpoint(&s);
    (void)solo_all_persisted(&s);
    assert_null(solo_persist(&s, CORE_PERSIST_STABLE)); /* the own one is no proof */
    (void)solo_checkpoint(&s, 2, K);
    assert_null(solo_persist(&s, CORE_PERSIST_STABLE)); /* two: f + 1 */
    (void)solo_checkpoint(&s, 2, K);
    assert_null(solo_persist(&s, CORE_PERSIST_STABLE)); /* one member twice */
    (void)solo_checkpoint(&s, 3, K);
    const struct core_effect *e = solo_persist(&s, CORE_PERSIST_STABLE);
    assert_non_null(e);
    struct wire_checkpoint_certificate c;
    assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(e->persist.record), &c));
    assert_null(certificate_check_checkpoint(&s.wire, fixture_checker(), &c));
    assert_int_equal(c.signatures.count, 3);
    solo_close(&s);
}

static void test_checkpoint_vote_for_other_state_does_not_count(void **state)
{
    struct solo s;
    (void)state;
    run_to_checkpoint(&s);
    (void)solo_all_persisted(&s);
    struct wire_checkpoint root = {.sender = 2, .seq = K, .header_hash = solo_header(K), .state_root = solo_root(1)};
    struct wire_checkpoint head = {.sender = 3, .seq = K, .header_hash = solo_header(1), .state_root = solo_root(K)};
    assert_null(solo_receive(&s, 2, &wire_record_checkpoint, &root));
    assert_null(solo_receive(&s, 3, &wire_record_checkpoint, &head));
    assert_int_equal(s.effects->count, 0);
    assert_null(solo_checkpoint(&s, 0, K));
    assert_int_equal(s.effects->count, 0); /* still two of three */
    solo_close(&s);
}

/* ---- the window ---- */

static void test_window_moves_only_when_stable_is_durable(void **state)
{
    struct solo s;
    (void)state;
    run_to_checkpoint(&s);
    (void)solo_all_persisted(&s);
    (void)solo_checkpoint(&s, 2, K);
    (void)solo_checkpoint(&s, 3, K);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_int_equal(core_summary(s.core).low, 0);
    assert_string_equal(solo_propose(&s, L + 1, &b, true), "PRE-PREPARE outside the window"); /* design.md 7.3 */
    assert_null(solo_all_persisted(&s));
    assert_int_equal(solo_effect(&s, CORE_EFFECT_STABLE, 0)->stable, K);
    assert_int_equal(core_summary(s.core).low, K);
    assert_int_equal(core_summary(s.core).high, K + L);
    assert_string_equal(solo_propose(&s, K, &b, true), "PRE-PREPARE outside the window");
    assert_string_equal(solo_propose(&s, K + L + 1, &b, true), "PRE-PREPARE outside the window");
    assert_null(solo_propose(&s, K + L, &b, true));
    assert_null(solo_propose(&s, K + 1, &b, true));
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_window_keeps_votes_of_what_is_not_collected(void **state)
{
    struct solo s;
    (void)state;
    run_to_checkpoint(&s);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, K + 1, &b, true));
    assert_null(solo_propose(&s, L, &b, true));
    (void)solo_all_persisted(&s);
    (void)solo_checkpoint(&s, 2, K);
    (void)solo_checkpoint(&s, 3, K);
    (void)solo_all_persisted(&s);
    assert_string_equal(solo_propose(&s, K + 1, &b, true), "PRE-PREPARE known already");
    assert_string_equal(solo_propose(&s, L, &b, true), "PRE-PREPARE known already");
    solo_batch_free(&b);
    solo_close(&s);
}

/* The certificate of the second checkpoint comes while that of the first is on its way to disk. */
static void test_window_moves_on_to_what_was_proven_meanwhile(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, L);
    (void)solo_all_persisted(&s);
    (void)solo_checkpoint(&s, 2, K);
    (void)solo_checkpoint(&s, 3, K);
    assert_non_null(solo_persist(&s, CORE_PERSIST_STABLE));
    (void)solo_checkpoint(&s, 2, L);
    (void)solo_checkpoint(&s, 3, L);
    assert_null(solo_persist(&s, CORE_PERSIST_STABLE)); /* one at a time */
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).low, K);
    const struct core_effect *e = solo_persist(&s, CORE_PERSIST_STABLE);
    assert_non_null(e); /* lost, and the window full for ever, before it was looked at again here */
    assert_int_equal(e->persist.seq, L);
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).low, L);
    solo_close(&s);
}

static void test_window_may_move_by_two_checkpoints_at_once(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, L);
    (void)solo_all_persisted(&s);
    (void)solo_checkpoint(&s, 2, L);
    (void)solo_checkpoint(&s, 3, L);
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).low, L);
    solo_run_to(&s, L + 1);
    assert_int_equal(core_summary(s.core).executed, L + 1);
    solo_close(&s);
}

static void test_window_full_executes_no_further(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, L);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_string_equal(solo_propose(&s, L + 1, &b, true), "PRE-PREPARE outside the window");
    assert_int_equal(core_summary(s.core).committed, L);
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- a state that others prove to be wrong ---- */

static void diverge(struct solo *s)
{
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(77);
    run_to_checkpoint(s);
    struct blob *proof = fixture_checkpoint(s->group, K, &header, &root, 0xd);
    (void)solo_all_persisted(s);
    (void)solo_status(s, 2, K, proof);
    blob_release(proof);
}

static void test_other_state_proven_is_divergence(void **state)
{
    struct solo s;
    (void)state;
    diverge(&s);
    assert_int_equal(solo_effect(&s, CORE_EFFECT_DIVERGED, 0)->diverged, K);
    assert_null(solo_persist(&s, CORE_PERSIST_STABLE));
    assert_true(core_summary(s.core).diverged);
    solo_close(&s);
}

static void test_diverged_is_in_trace_and_dump(void **state)
{
    struct solo s;
    struct hasher with;
    struct hasher without;
    struct digest a;
    struct digest b;
    struct buffer dump = {0};
    (void)state;
    diverge(&s);
    hasher_start(&with, DIGEST_DOMAIN_TRACE);
    hasher_start(&without, DIGEST_DOMAIN_TRACE);
    core_effect_trace(&with, solo_effect(&s, CORE_EFFECT_DIVERGED, 0));
    hasher_finish(&with, &a);
    hasher_finish(&without, &b);
    assert_false(digest_equal(&a, &b));
    core_dump(s.core, &dump);
    buffer_append(&dump, "", 1);
    assert_non_null(strstr((const char *)dump.data, " diverged"));
    buffer_free(&dump);
    solo_close(&s);
}

static void test_diverged_votes_no_more(void **state)
{
    struct solo s;
    (void)state;
    diverge(&s);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_string_equal(solo_propose(&s, K + 1, &b, true), "diverged");
    assert_string_equal(solo_request(&s, 0, 1), "diverged");
    (void)solo_tick(&s, 5000000);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare) + solo_sent(&s, WIRE_TYPE_commit), 0);
    solo_batch_free(&b);
    solo_close(&s);
}

/* A batch was being executed when the divergence came to light, and it is a checkpoint's. */
static void test_diverged_signs_no_checkpoint(void **state)
{
    struct solo s;
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(77);
    struct blob *proof = fixture_checkpoint(fixture_group(4, SOLO_CLIENTS), K, &header, &root, 0xd);
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, L - 1);
    (void)solo_all_persisted(&s);
    solo_commit(&s, L);
    (void)solo_status(&s, 2, L, proof);
    assert_true(core_summary(s.core).diverged);
    assert_null(solo_executed(&s, L, s.wall_ms, NULL, 0));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_checkpoint), 0);
    assert_null(solo_persist(&s, CORE_PERSIST_BLOCKS));
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_count(&s, CORE_EFFECT_DIVERGED), 0); /* said once */
    blob_release(proof);
    solo_close(&s);
}

static void test_weak_quorum_for_another_state_is_no_divergence(void **state)
{
    struct solo s;
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(77);
    struct blob *proof =
        fixture_checkpoint(fixture_group(4, SOLO_CLIENTS), K, &header, &root, 0x9); /* two signatures */
    (void)state;
    run_to_checkpoint(&s);
    (void)solo_all_persisted(&s);
    (void)solo_status(&s, 2, K, proof);
    assert_false(core_summary(s.core).diverged); /* a claim without proof counts as absent (rule 5) */
    blob_release(proof);
    solo_close(&s);
}

/* ---- what is no checkpoint of this record ---- */

static struct blob *proof_of(const struct solo *s, uint64_t seq, struct digest header, struct digest root)
{
    return fixture_checkpoint(s->group, seq, &header, &root, 0xd);
}

/* msg_verify refuses it before; the core does not rely on that. */
static void test_checkpoint_between_two_intervals_has_no_place(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct wire_checkpoint m = {.sender = 2, .seq = K + 1};
    assert_string_equal(solo_receive_unchecked(&s, 2, fixture_message(s.group, &wire_record_checkpoint, &m)),
                        "CHECKPOINT outside the window");
    solo_close(&s);
}

static void test_checkpoint_proof_of_another_header_or_state_diverges(void **state)
{
    struct solo s;
    (void)state;
    for (uint32_t k = 0; k < 2; k++) {
        run_to_checkpoint(&s);
        (void)solo_all_persisted(&s);
        struct blob *proof =
            proof_of(&s, K, k == 0 ? solo_root(K) : solo_header(K), k == 0 ? solo_root(K) : solo_header(K));
        assert_null(solo_status(&s, 2, K, proof));
        assert_true(core_summary(s.core).diverged);
        assert_null(solo_persist(&s, CORE_PERSIST_STABLE));
        blob_release(proof);
        solo_close(&s);
    }
}

/* Its state is proven wrong at K: nothing that it says of 2K is worth anything either. */
static void test_checkpoint_of_a_diverged_core_is_not_made_stable(void **state)
{
    struct solo s;
    (void)state;
    for (uint32_t diverged = 0; diverged < 2; diverged++) {
        solo_ready(&s, 4, 1);
        solo_run_to(&s, 2 * K);
        (void)solo_checkpoint(&s, 0, 2 * K);
        (void)solo_checkpoint(&s, 2, 2 * K);
        struct blob *proof = proof_of(&s, K, solo_root(K), solo_root(K));
        if (diverged == 1) (void)solo_status(&s, 2, K, proof);
        assert_int_equal(core_summary(s.core).diverged, diverged);
        (void)solo_all_persisted(&s); /* the blocks up to 2K: with the own vote there are Q */
        assert_int_equal(solo_persist(&s, CORE_PERSIST_STABLE) != NULL, diverged == 0);
        blob_release(proof);
        solo_close(&s);
    }
}

/* It has executed that far, and its record does not say what its state was there: the proof is of another's state. */
static void test_checkpoint_that_the_record_does_not_hold_is_not_taken_from_a_proof(void **state)
{
    const struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_recovered r = {.clean = true, .executed = K + 2, .windows = windows};
    struct solo s;
    (void)state;
    solo_open(&s, 4, 1);
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    struct blob *proof = proof_of(&s, K, solo_header(K), solo_root(K));
    (void)solo_status(&s, 2, K, proof);
    (void)solo_all_persisted(&s);
    assert_null(solo_persist(&s, CORE_PERSIST_STABLE));
    assert_int_equal(core_summary(s.core).low, 0);
    assert_false(core_summary(s.core).diverged);
    blob_release(proof);
    solo_close(&s);
}

/* One that is stable already, and one that is none: neither is signed. */
static void test_checkpoint_of_a_record_that_has_no_place_is_left_out(void **state)
{
    const struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_recovered_checkpoint found[] = {{.seq = K}, {.seq = K + 1}, {.seq = 2 * K}};
    const struct core_recovered r = {.clean = true,
                                     .stable = {.seq = K},
                                     .executed = 2 * K,
                                     .checkpoints = found,
                                     .checkpoint_count = 3,
                                     .windows = windows};
    struct solo s;
    (void)state;
    solo_open(&s, 4, 1);
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 2, 2 * K, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_checkpoint), 1);
    assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_checkpoint, 0)).checkpoint.seq, 2 * K);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoint_at_no_interval_refused_by_verify),
        cmocka_unit_test(test_checkpoint_outside_the_window_ignored),
        cmocka_unit_test(test_checkpoint_votes_before_own_execution_prove_nothing_here),
        cmocka_unit_test(test_checkpoint_waits_for_its_blocks),
        cmocka_unit_test(test_checkpoint_own_vote_counts_only_when_durable),
        cmocka_unit_test(test_checkpoint_of_others_waits_for_own_blocks),
        cmocka_unit_test(test_checkpoint_stable_at_q_not_at_weak_quorum),
        cmocka_unit_test(test_checkpoint_vote_for_other_state_does_not_count),
        cmocka_unit_test(test_window_moves_only_when_stable_is_durable),
        cmocka_unit_test(test_window_keeps_votes_of_what_is_not_collected),
        cmocka_unit_test(test_window_moves_on_to_what_was_proven_meanwhile),
        cmocka_unit_test(test_window_may_move_by_two_checkpoints_at_once),
        cmocka_unit_test(test_window_full_executes_no_further),
        cmocka_unit_test(test_other_state_proven_is_divergence),
        cmocka_unit_test(test_diverged_is_in_trace_and_dump),
        cmocka_unit_test(test_diverged_votes_no_more),
        cmocka_unit_test(test_diverged_signs_no_checkpoint),
        cmocka_unit_test(test_weak_quorum_for_another_state_is_no_divergence),
        cmocka_unit_test(test_checkpoint_between_two_intervals_has_no_place),
        cmocka_unit_test(test_checkpoint_proof_of_another_header_or_state_diverges),
        cmocka_unit_test(test_checkpoint_of_a_diverged_core_is_not_made_stable),
        cmocka_unit_test(test_checkpoint_that_the_record_does_not_hold_is_not_taken_from_a_proof),
        cmocka_unit_test(test_checkpoint_of_a_record_that_has_no_place_is_left_out),
    };
    return cmocka_run_group_tests_name("core_checkpoint", tests, NULL, NULL);
}
