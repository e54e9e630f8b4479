/* test_core_blocks.c - serving and fetching blocks with their certificates, and sources that lie, trickle or are silent
 * (rules 5, 26; design.md section 9). One core driven by hand: replica 1 of N = 4. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL
#define L WINDOW_BATCHES
#define PATIENCE_US (4u * SOLO_RESEND_US) /* then another source of blocks is asked */

static const struct core_effect *fetch_of(const struct solo *s, uint64_t kind)
{
    const struct core_effect *e;
    for (uint32_t k = 0; (e = solo_send(s, WIRE_TYPE_fetch, k)) != NULL; k++)
        if (solo_message(e).fetch.kind == kind) return e;
    return NULL;
}

/* ---- serving blocks ---- */

static void test_fetch_of_blocks_serves_what_is_executed(void **state)
{
    struct solo s;
    struct wire_fetch m = {.sender = 2, .kind = DATA_KIND_BLOCK, .seq = 1, .count = 10};
    (void)state;
    solo_ready(&s, 4, 1);
    assert_string_equal(solo_receive(&s, 2, &wire_record_fetch, &m), "a FETCH of blocks that are not here yet");
    solo_run_to(&s, 40);
    assert_null(solo_receive(&s, 2, &wire_record_fetch, &m));
    assert_int_equal(solo_effect(&s, CORE_EFFECT_SERVE_BLOCKS, 0)->serve.count, 10);
    assert_int_equal(solo_effect(&s, CORE_EFFECT_SERVE_BLOCKS, 0)->serve.to, 2);
    m.count = 65535;
    assert_null(solo_receive(&s, 2, &wire_record_fetch, &m));
    assert_int_equal(solo_effect(&s, CORE_EFFECT_SERVE_BLOCKS, 0)->serve.count, CORE_FETCH_BLOCKS_MAX);
    m.seq = 40;
    assert_null(solo_receive(&s, 2, &wire_record_fetch, &m));
    assert_int_equal(solo_effect(&s, CORE_EFFECT_SERVE_BLOCKS, 0)->serve.count, 1);
    m.seq = 41;
    assert_string_equal(solo_receive(&s, 2, &wire_record_fetch, &m), "a FETCH of blocks that are not here yet");
    m.seq = 0;
    assert_string_equal(solo_receive(&s, 2, &wire_record_fetch, &m), "a FETCH of blocks that are not here yet");
    solo_close(&s);
}

/* ---- fetching blocks ---- */

static void test_blocks_fetched_when_votes_do_not_bring_them(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    (void)solo_tick(&s, 10 * SOLO_HEARTBEAT_US); /* nothing has happened for long */
    assert_null(solo_status(&s, 2, 5, NULL));
    assert_null(fetch_of(&s, DATA_KIND_BLOCK)); /* votes are given time first */
    (void)solo_tick(&s, 2 * SOLO_RESEND_US);
    assert_null(solo_status(&s, 2, 5, NULL));
    const struct core_effect *e = fetch_of(&s, DATA_KIND_BLOCK);
    assert_non_null(e);
    assert_int_equal(e->send.to, 2);
    assert_int_equal(solo_message(e).fetch.seq, 1);
    assert_int_equal(solo_message(e).fetch.count, 5);
    assert_null(solo_status(&s, 3, 5, NULL));
    assert_null(fetch_of(&s, DATA_KIND_BLOCK)); /* one source at a time */
    solo_close(&s);
}

static void test_blocks_that_a_peer_has_collected_fetched_at_once(void **state)
{
    struct solo s;
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0xd);
    assert_null(solo_status(&s, 2, K + 3, proof));
    const struct core_effect *e = fetch_of(&s, DATA_KIND_BLOCK);
    assert_non_null(e);
    assert_int_equal(solo_message(e).fetch.count, CORE_FETCH_BLOCKS_MAX);
    blob_release(proof);
    solo_close(&s);
}

static void test_block_is_executed_and_the_next_are_asked_for(void **state)
{
    struct solo s;
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0xd);
    assert_null(solo_status(&s, 2, 2 * L, proof));
    for (uint64_t n = 1; n <= CORE_FETCH_BLOCKS_MAX; n++) {
        struct solo_batch b = solo_batch_make(&s, n);
        assert_null(solo_block(&s, 2, n, &b, NULL));
        assert_int_equal(solo_effect(&s, CORE_EFFECT_EXECUTE, 0)->execute.seq, n);
        assert_string_equal(solo_block(&s, 2, n, &b, NULL), "a block that is committed here already");
        assert_null(solo_executed(&s, n, b.time_ms, NULL, 0));
        solo_batch_free(&b);
    }
    const struct core_effect *e = fetch_of(&s, DATA_KIND_BLOCK); /* at once, from the same source */
    assert_non_null(e);
    assert_int_equal(e->send.to, 2);
    assert_int_equal(solo_message(e).fetch.seq, CORE_FETCH_BLOCKS_MAX + 1);
    blob_release(proof);
    solo_close(&s);
}

/* A source ends its answer with the block that reaches its limit: what comes after it is asked for at once. */
static void test_block_that_fills_an_answer_ends_it(void **state)
{
    struct solo s;
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0xd);
    assert_null(solo_status(&s, 2, K, proof));
    for (uint64_t n = 1; n <= 7; n++) { /* the seventh passes 4 MiB */
        struct solo_batch b = {.time_ms = s.wall_ms};
        struct blob *request = fixture_request_sized(s.group, 0, n, s.wall_ms + 1000, 620000);
        b.bytes = fixture_batch(b.time_ms, &request, 1, &b.digest);
        assert_null(solo_block(&s, 2, n, &b, NULL));
        assert_null(fetch_of(&s, DATA_KIND_BLOCK));
        assert_null(solo_executed(&s, n, b.time_ms, NULL, 0));
        assert_int_equal(fetch_of(&s, DATA_KIND_BLOCK) != NULL, n == 7);
        blob_release(request);
        solo_batch_free(&b);
    }
    assert_int_equal(solo_message(fetch_of(&s, DATA_KIND_BLOCK)).fetch.seq, 8);
    blob_release(proof);
    solo_close(&s);
}

static void test_block_outside_the_window_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_string_equal(solo_block(&s, 2, L + 1, &b, NULL), "a block outside the window");
    assert_null(solo_block(&s, 2, L, &b, NULL));
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 0); /* never across a gap */
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_block_with_too_few_signatures_refused_by_verify(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct blob *committed = fixture_committed(s.group, 0, 1, &b.digest, 0x5); /* f + 1 */
    struct wire_block block = {
        .header = {.version = 1, .seq = 1, .time_ms = b.time_ms, .batch_digest = b.digest, .count = 1},
        .batch = blob_bytes(b.bytes)};
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(committed), &block.committed));
    struct blob *payload = wire_encode_blob(&wire_record_block, &block);
    struct wire_data m = {
        .sender = 2, .kind = DATA_KIND_BLOCK, .seq = 1, .digest = b.digest, .payload = blob_bytes(payload)};
    assert_string_equal(solo_verify(&s, fixture_message(s.group, &wire_record_data, &m)),
                        "the certificate has fewer signatures than a quorum");
    blob_release(payload);
    blob_release(committed);
    solo_batch_free(&b);
    solo_close(&s);
}

/* A replica that has a batch only as a block has accepted no PRE-PREPARE, and so prepares nothing. Found by seed 5 of
 * trace_tool: the vote was kept by a clean stop without a signature of the primary, and the record was refused. */
static void test_block_without_pre_prepare_is_not_prepared(void **state)
{
    struct solo s;
    const struct core_event stop = {.type = CORE_EVENT_STOP};
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_block(&s, 2, 1, &b, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    (void)solo_tick(&s, 10000);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    assert_null(solo_step(&s, &stop));
    const struct core_effect *first = solo_effect(&s, CORE_EFFECT_PERSIST, 0);
    assert_int_equal(first->persist.kind, CORE_PERSIST_CLEAN); /* no vote to keep */
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_block_replaces_what_was_accepted_here(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch accepted = solo_batch_make(&s, 1);
    struct solo_batch proven = solo_batch_make(&s, 2);
    assert_null(solo_propose(&s, 1, &accepted, true));
    assert_null(solo_block(&s, 2, 1, &proven, NULL));
    const struct core_effect *e = solo_effect(&s, CORE_EFFECT_EXECUTE, 0);
    assert_non_null(e);
    assert_true(digest_equal(&e->execute.digest, &proven.digest)); /* Q COMMITs prove it */
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, 0, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0); /* the own vote was for another digest */
    solo_batch_free(&accepted);
    solo_batch_free(&proven);
    solo_close(&s);
}

static void test_block_makes_a_void_batch_good(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *request = fixture_request(s.group, 0, 1, s.wall_ms + 1000, "key", "value");
    struct solo_batch b = {.time_ms = s.wall_ms};
    request->data[request->len - 1] ^= 1;
    b.bytes = fixture_batch(b.time_ms, &request, 1, &b.digest);
    assert_non_null(solo_propose(&s, 1, &b, true));
    assert_null(
        solo_block(&s, 2, 1, &b, NULL)); /* f + 1 correct members have checked it: then this verdict was wrong */
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 1);
    blob_release(request);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_block_of_a_checkpoint_brings_its_certificate(void **state)
{
    struct solo s;
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0xd);
    for (uint64_t n = 1; n <= K; n++) {
        struct solo_batch b = solo_batch_make(&s, n);
        assert_null(solo_block(&s, 2, n, &b, n == K ? proof : NULL));
        assert_null(solo_executed(&s, n, b.time_ms, NULL, 0));
        solo_batch_free(&b);
    }
    assert_null(solo_persist(&s, CORE_PERSIST_STABLE)); /* the own blocks are not durable */
    (void)solo_all_persisted(&s);
    assert_non_null(solo_persist(&s, CORE_PERSIST_STABLE));
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).low, K);
    blob_release(proof);
    solo_close(&s);
}

static void test_block_of_an_executed_checkpoint_brings_its_certificate_later(void **state)
{
    struct solo s;
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0xd);
    solo_run_to(&s, K);
    (void)solo_all_persisted(&s);
    struct solo_batch b = solo_batch_make(&s, K);
    (void)solo_block(&s, 2, K, &b, proof);
    assert_non_null(solo_persist(&s, CORE_PERSIST_STABLE));
    solo_batch_free(&b);
    blob_release(proof);
    solo_close(&s);
}

/* ---- peers that lie or are silent (rule 26) ---- */

static void test_source_that_is_silent_is_left_for_the_next(void **state)
{
    struct solo s;
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0xd);
    assert_null(solo_status(&s, 2, K, proof));
    assert_int_equal(fetch_of(&s, DATA_KIND_BLOCK)->send.to, 2);
    assert_null(solo_status(&s, 3, K, proof));
    assert_null(fetch_of(&s, DATA_KIND_BLOCK));
    (void)solo_tick(&s, PATIENCE_US - 1);
    assert_null(fetch_of(&s, DATA_KIND_BLOCK));
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_int_equal(fetch_of(&s, DATA_KIND_BLOCK)->send.to, 3);
    assert_null(solo_status(&s, 2, K, proof)); /* the silent one speaks up again: that does not bring it back */
    assert_null(fetch_of(&s, DATA_KIND_BLOCK));
    blob_release(proof);
    solo_close(&s);
}

/* One block now and then keeps nobody waiting for the rest. */
static void test_source_that_trickles_is_left_for_the_next(void **state)
{
    struct solo s;
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0xd);
    assert_null(solo_status(&s, 2, K, proof));
    assert_null(solo_status(&s, 3, K, proof));
    (void)solo_tick(&s, PATIENCE_US - 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_block(&s, 2, 1, &b, NULL));
    assert_null(solo_executed(&s, 1, b.time_ms, NULL, 0));
    (void)solo_tick(&s, SOLO_RESEND_US);
    const struct core_effect *e = fetch_of(&s, DATA_KIND_BLOCK);
    assert_non_null(e);
    assert_int_equal(e->send.to, 3);
    assert_int_equal(solo_message(e).fetch.seq, 2);
    solo_batch_free(&b);
    blob_release(proof);
    solo_close(&s);
}

static void test_claims_of_one_peer_are_capped_and_do_not_stall(void **state)
{
    struct solo s;
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0xd);
    assert_null(solo_status(&s, 0, SEQ_MAX, NULL));                  /* lies */
    assert_int_equal(core_summary(s.core).highest_peer_executed, 0); /* one claim is none */
    (void)solo_tick(&s, 2 * SOLO_RESEND_US);
    const struct core_effect *e = fetch_of(&s, DATA_KIND_BLOCK);
    assert_non_null(e);
    assert_int_equal(e->send.to, 0);
    assert_true(solo_message(e).fetch.count <= CORE_FETCH_BLOCKS_MAX);
    assert_null(solo_status(&s, 2, K, proof));
    assert_int_equal(core_summary(s.core).highest_peer_executed, K);
    uint32_t asked_honest = 0;
    for (uint32_t round = 0; round < 30; round++) { /* the liar goes on claiming and never delivers */
        (void)solo_tick(&s, SOLO_RESEND_US);
        e = fetch_of(&s, DATA_KIND_BLOCK);
        if (e != NULL && e->send.to == 2) asked_honest++;
        assert_null(solo_status(&s, 0, SEQ_MAX, NULL));
    }
    assert_true(asked_honest > 0);
    blob_release(proof);
    solo_close(&s);
}

static void test_proof_with_a_wrong_signature_counts_as_absent(void **state)
{
    struct solo s;
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0xd);
    proof->data[proof->len - 1] ^= 1;
    assert_null(solo_status(&s, 2, K, proof)); /* the rest of the STATUS is taken */
    assert_null(fetch_of(&s, DATA_KIND_BLOCK));
    solo_run_to(&s, K);
    (void)solo_all_persisted(&s);
    assert_null(solo_status(&s, 2, K, proof));
    assert_null(solo_persist(&s, CORE_PERSIST_STABLE));
    blob_release(proof);
    solo_close(&s);
}

/* The window is full, and the others have gone on and collected the CHECKPOINTs of it: only a block brings the
 * certificate. Found by a backup that crashed with its window full: it never moved again. */
static void test_full_window_fetches_the_certificate_that_moves_it(void **state)
{
    struct solo s;
    const struct digest far_header = solo_header(2 * L);
    const struct digest far_root = solo_root(2 * L);
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *far = fixture_checkpoint(s.group, 2 * L, &far_header, &far_root, 0xd);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0xd);
    solo_run_to(&s, L);
    (void)solo_all_persisted(&s);
    assert_null(solo_status(&s, 2, 2 * L, far));
    const struct core_effect *e = fetch_of(&s, DATA_KIND_BLOCK);
    assert_non_null(e);
    assert_int_equal(solo_message(e).fetch.seq, L); /* what this replica has executed, for what came with it */
    assert_int_equal(solo_message(e).fetch.count, 1);
    assert_null(solo_status(&s, 3, 2 * L, far));
    assert_null(fetch_of(&s, DATA_KIND_BLOCK)); /* an answer is on its way */
    (void)solo_tick(&s, PATIENCE_US);
    e = fetch_of(&s, DATA_KIND_BLOCK); /* a peer that moved by two checkpoints at once has only the other one */
    assert_non_null(e);
    assert_int_equal(solo_message(e).fetch.seq, K);
    struct solo_batch b = solo_batch_make(&s, K);
    (void)solo_block(&s, 2, K, &b, proof);
    assert_non_null(solo_persist(&s, CORE_PERSIST_STABLE));
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).low, K);
    (void)solo_tick(&s, SOLO_RESEND_US);
    e = fetch_of(&s, DATA_KIND_BLOCK);
    assert_non_null(e);
    assert_int_equal(solo_message(e).fetch.seq, L + 1);
    solo_batch_free(&b);
    blob_release(far);
    blob_release(proof);
    solo_close(&s);
}

static void test_full_window_fetches_nothing_from_who_has_not_collected_it(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, L);
    (void)solo_all_persisted(&s);
    assert_null(solo_status(&s, 2, 2 * L, NULL)); /* a claim without proof (rule 5) */
    assert_null(solo_status(&s, 3, L, NULL));
    (void)solo_tick(&s, PATIENCE_US);
    assert_null(fetch_of(&s, DATA_KIND_BLOCK)); /* CHECKPOINTs are sent again on STATUS */
    solo_close(&s);
}

/* An answer ends with the block that reaches its size; what its sender adds beyond what was asked for is not part of
 * it. */
static void test_blocks_beyond_what_was_asked_for_do_not_end_the_answer(void **state)
{
    struct blob *requests[2];
    struct solo s;
    (void)state;
    for (uint32_t beyond = 0; beyond < 2; beyond++) {
        solo_ready(&s, 4, 1);
        (void)solo_status(&s, 2, 100, NULL);
        for (uint32_t i = 0; i < 10 && solo_sent(&s, WIRE_TYPE_fetch) == 0; i++) {
            (void)solo_tick(&s, SOLO_RESEND_US);
            (void)solo_status(&s, 2, 100, NULL);
        }
        assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 1);
        const struct wire_fetch asked = solo_message(solo_send(&s, WIRE_TYPE_fetch, 0)).fetch;
        assert_int_equal(asked.count, CORE_FETCH_BLOCKS_MAX);
        for (uint32_t i = 0; i < 2; i++)
            requests[i] = fixture_request_sized(s.group, i, 1, s.wall_ms + 1000, 1000000);
        struct solo_batch large = {.time_ms = s.wall_ms};
        large.bytes = fixture_batch(large.time_ms, requests, 2, &large.digest);
        struct solo_batch b = solo_batch_make(&s, 2);
        for (uint64_t k = 1; k <= 3; k++) /* six megabytes */
            assert_null(solo_block(&s, 2, (beyond == 1 ? CORE_FETCH_BLOCKS_MAX : 1) + k, &large, NULL));
        assert_null(solo_block(&s, 2, 1, &b, NULL));
        assert_null(solo_executed(&s, 1, s.wall_ms, NULL, 0));
        for (uint64_t n = 2; beyond == 0 && n <= 4; n++)
            assert_null(solo_executed(&s, n, s.wall_ms, NULL, 0));
        uint32_t again = 0;
        for (uint32_t i = 0; i < 3; i++) { /* it has patience for one more */
            (void)solo_tick(&s, SOLO_RESEND_US);
            (void)solo_status(&s, 2, 100, NULL);
            again += solo_sent(&s, WIRE_TYPE_fetch);
        }
        assert_int_equal(again > 0, beyond == 0); /* the next ones; or they are still on their way */
        for (uint32_t i = 0; i < 2; i++)
            blob_release(requests[i]);
        solo_batch_free(&large);
        solo_batch_free(&b);
        solo_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch_of_blocks_serves_what_is_executed),
        cmocka_unit_test(test_blocks_fetched_when_votes_do_not_bring_them),
        cmocka_unit_test(test_blocks_that_a_peer_has_collected_fetched_at_once),
        cmocka_unit_test(test_block_is_executed_and_the_next_are_asked_for),
        cmocka_unit_test(test_block_that_fills_an_answer_ends_it),
        cmocka_unit_test(test_block_outside_the_window_ignored),
        cmocka_unit_test(test_block_with_too_few_signatures_refused_by_verify),
        cmocka_unit_test(test_block_without_pre_prepare_is_not_prepared),
        cmocka_unit_test(test_block_replaces_what_was_accepted_here),
        cmocka_unit_test(test_block_makes_a_void_batch_good),
        cmocka_unit_test(test_block_of_a_checkpoint_brings_its_certificate),
        cmocka_unit_test(test_block_of_an_executed_checkpoint_brings_its_certificate_later),
        cmocka_unit_test(test_source_that_is_silent_is_left_for_the_next),
        cmocka_unit_test(test_source_that_trickles_is_left_for_the_next),
        cmocka_unit_test(test_claims_of_one_peer_are_capped_and_do_not_stall),
        cmocka_unit_test(test_proof_with_a_wrong_signature_counts_as_absent),
        cmocka_unit_test(test_full_window_fetches_the_certificate_that_moves_it),
        cmocka_unit_test(test_full_window_fetches_nothing_from_who_has_not_collected_it),
        cmocka_unit_test(test_blocks_beyond_what_was_asked_for_do_not_end_the_answer),
    };
    return cmocka_run_group_tests_name("core_blocks", tests, NULL, NULL);
}
