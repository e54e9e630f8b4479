/* test_core_intake.c - which messages count at all: what msg_verify keeps away from the core, and what the core itself
 * ignores before any rule of the protocol is asked. One core driven by hand: replica 1 of N = 4. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct digest other = {.bytes = {1, 2, 3}};

/* ---- messages that never reach the core ---- */

static void test_verify_member_out_of_range_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct wire_prepare m = {.sender = 3, .seq = 1};
    fixture_sign_message(s.group, &wire_record_prepare, &m);
    m.sender = 4;
    assert_string_equal(solo_verify(&s, wire_encode_blob(&wire_record_prepare, &m)), "the sender is not a member");
    m.sender = REPLICAS_MAX - 1;
    assert_string_equal(solo_verify(&s, wire_encode_blob(&wire_record_prepare, &m)), "the sender is not a member");
    solo_close(&s);
}

static void test_verify_other_epoch_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct wire_commit m = {.epoch = 1, .sender = 2, .seq = 1};
    assert_string_equal(solo_verify(&s, fixture_message(s.group, &wire_record_commit, &m)),
                        "the message is of another epoch");
    solo_close(&s);
}

static void test_verify_other_group_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    const struct group *twin = fixture_group(4, SOLO_CLIENTS + 1); /* the same member keys, another id */
    struct wire_commit m = {.sender = 2, .seq = 1};
    assert_string_equal(solo_verify(&s, fixture_message(twin, &wire_record_commit, &m)), "the signature is wrong");
    solo_close(&s);
}

static void test_verify_signature_of_another_member_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct wire_commit m = {.sender = 2, .seq = 1};
    fixture_sign_message(s.group, &wire_record_commit, &m);
    m.sender = 3;
    assert_string_equal(solo_verify(&s, wire_encode_blob(&wire_record_commit, &m)), "the signature is wrong");
    solo_close(&s);
}

static void test_verify_prepare_of_primary_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct wire_prepare m = {.sender = 0, .seq = 1};
    assert_string_equal(solo_verify(&s, fixture_message(s.group, &wire_record_prepare, &m)),
                        "a PREPARE is from the primary of its view"); /* rule 18 */
    solo_close(&s);
}

static void test_verify_pre_prepare_of_backup_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct wire_pre_prepare m = {.sender = 2, .seq = 1};
    assert_string_equal(solo_verify(&s, fixture_message(s.group, &wire_record_pre_prepare, &m)),
                        "a PRE-PREPARE is not from the primary of its view");
    solo_close(&s);
}

static void test_verify_batch_of_another_digest_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct wire_pre_prepare m = {.seq = 1, .digest = other, .batch = blob_bytes(b.bytes)};
    assert_string_equal(solo_verify(&s, fixture_message(s.group, &wire_record_pre_prepare, &m)),
                        "the batch beside a PRE-PREPARE has another digest");
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- which messages count at all ---- */

static void test_message_before_start_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_open(&s, 4, 1);
    s.core = core_new(&s.config);
    assert_string_equal(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &other), "not started");
    assert_null(solo_tick(&s, 1000));
    assert_int_equal(s.effects->count, 0);
    solo_close(&s);
}

static void test_message_of_member_from_client_channel_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct wire_prepare m = {.sender = 2, .seq = 1, .digest = other};
    assert_string_equal(solo_receive_bytes(&s, UINT32_MAX, fixture_message(s.group, &wire_record_prepare, &m)),
                        "only members may send this");
    solo_close(&s);
}

static void test_proposal_of_another_view_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct wire_pre_prepare proposal = {.sender = 0, .view = 4, .seq = 1, .digest = other};
    assert_string_equal(solo_receive(&s, 0, &wire_record_pre_prepare, &proposal),
                        "PRE-PREPARE of a view further on than the next");
    solo_close(&s);
}

static void test_own_messages_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_string_equal(solo_vote(&s, WIRE_TYPE_prepare, 1, 1, &other), "own PREPARE");
    assert_string_equal(solo_vote(&s, WIRE_TYPE_commit, 1, 1, &other), "own COMMIT");
    assert_string_equal(solo_checkpoint(&s, 1, 128), "own CHECKPOINT");
    solo_close(&s);
    solo_ready(&s, 4, 0);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_string_equal(solo_propose(&s, 1, &b, true), "own PRE-PREPARE");
    solo_batch_free(&b);
    solo_close(&s);
}

/* msg_verify refuses it; the core does not rely on that. */
static void test_prepare_of_primary_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct wire_prepare m = {.sender = 0, .seq = 1, .digest = b.digest};
    assert_null(solo_propose(&s, 1, &b, true));
    assert_string_equal(solo_receive_unchecked(&s, 0, fixture_message(s.group, &wire_record_prepare, &m)),
                        "PREPARE from the primary"); /* rule 18 */
    assert_int_equal(s.effects->count, 0);
    solo_batch_free(&b);
    solo_close(&s);
}

/* Nor that only messages for members come from members. */
static void test_messages_for_others_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct wire_busy busy = {.sender = 2};
    struct wire_new_view view = {.sender = 2, .view = 2};
    uint8_t space[256];
    struct writer w = writer_of(space, sizeof space);
    const struct wire_view_change_ref ref = {.id = 2};
    wire_list_add(&view.view_changes, &w, &wire_record_view_change_ref, &ref);
    assert_string_equal(solo_receive_unchecked(&s, 2, fixture_message(s.group, &wire_record_busy, &busy)),
                        "not a message between members");
    assert_string_equal(solo_receive_unchecked(&s, 2, fixture_message(s.group, &wire_record_new_view, &view)),
                        "a NEW-VIEW that does not name exactly Q VIEW-CHANGEs");
    solo_close(&s);
}

static void test_window_edges_of_votes(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_string_equal(solo_vote(&s, WIRE_TYPE_prepare, 2, WINDOW_BATCHES + 1, &other), "PREPARE outside the window");
    assert_string_equal(solo_vote(&s, WIRE_TYPE_commit, 2, WINDOW_BATCHES + 1, &other), "COMMIT outside the window");
    assert_string_equal(solo_vote(&s, WIRE_TYPE_commit, 2, SEQ_MAX, &other), "COMMIT outside the window");
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &other));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, WINDOW_BATCHES, &other));
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 2, 1, &other));
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 2, WINDOW_BATCHES, &other));
    solo_close(&s);
}

static void test_window_edges_of_proposals(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_string_equal(solo_propose(&s, WINDOW_BATCHES + 1, &b, true), "PRE-PREPARE outside the window");
    assert_null(solo_propose(&s, WINDOW_BATCHES, &b, true));
    assert_null(solo_propose(&s, 1, &b, true));
    solo_batch_free(&b);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify_member_out_of_range_refused),
        cmocka_unit_test(test_verify_other_epoch_refused),
        cmocka_unit_test(test_verify_other_group_refused),
        cmocka_unit_test(test_verify_signature_of_another_member_refused),
        cmocka_unit_test(test_verify_prepare_of_primary_refused),
        cmocka_unit_test(test_verify_pre_prepare_of_backup_refused),
        cmocka_unit_test(test_verify_batch_of_another_digest_refused),
        cmocka_unit_test(test_message_before_start_ignored),
        cmocka_unit_test(test_message_of_member_from_client_channel_ignored),
        cmocka_unit_test(test_proposal_of_another_view_ignored),
        cmocka_unit_test(test_own_messages_ignored),
        cmocka_unit_test(test_prepare_of_primary_ignored),
        cmocka_unit_test(test_messages_for_others_ignored),
        cmocka_unit_test(test_window_edges_of_votes),
        cmocka_unit_test(test_window_edges_of_proposals),
    };
    return cmocka_run_group_tests_name("core_intake", tests, NULL, NULL);
}
