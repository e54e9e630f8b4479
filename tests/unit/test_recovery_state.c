/* test_recovery_state.c - the state and the blocks against what a quorum signed at checkpoints: whatever differs
 * refuses the start. And epochs. In memory and in LMDB's files.
 */
#include "tests/fixture/recovery_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The meta record of the stored state, changed and written again. */
static void put_meta(struct recovery_room *r, const struct wire_state_meta *meta)
{
    struct blob *raw = wire_encode_blob(&wire_record_state_meta, meta);
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, STATE_TABLE_META, bytes_of_text("meta"), blob_bytes(raw));
    kit_apply(r->dir.state, b);
    blob_release(raw);
}

/* A copy of the record; meta borrows from it. */
static struct blob *get_meta(struct recovery_room *r, struct wire_state_meta *meta)
{
    struct bytes value;
    assert_int_equal(kv_store_get(r->dir.state, STATE_TABLE_META, bytes_of_text("meta"), &value), KV_FOUND);
    struct blob *raw = blob_copy(value);
    assert_null(wire_decode_record(&wire_record_state_meta, blob_bytes(raw), meta));
    return raw;
}

/* Puts one key more into the stored state: data, tree, root and meta record agree with each other. */
static void alter_state(struct recovery_room *r)
{
    struct wire_state_meta meta;
    struct state *s;
    struct blob *raw = get_meta(r, &meta);
    assert_int_equal(state_open(r->dir.state, &s).code, ERR_NONE);
    struct app_state space = {.state = s, .app = APP_KV};
    app_put(&space, bytes_of_text("a key that nobody put"), bytes_of_text("value"));
    state_accept(s);
    meta.state_root = state_close_layer(s, meta.seq);
    struct blob *altered = wire_encode_blob(&wire_record_state_meta, &meta);
    assert_int_equal(state_fold(s, meta.seq, blob_bytes(altered)).code, ERR_NONE);
    state_close(s);
    blob_release(altered);
    blob_release(raw);
    recovery_room_restart(r);
}

/* A ledger with the state folded at `base` and the last checkpoint stable. */
static void grow(struct recovery_room *r, uint64_t base, uint64_t last)
{
    kit_grow(r->kit, r->executor, r->dir.log, last, NULL);
    assert_int_equal(executor_fold(r->executor, base).code, ERR_NONE);
    recovery_room_restart(r);
    assert_int_equal(executor_base(r->executor), base);
}

static void forget_certificate(struct recovery_room *r, uint64_t seq)
{
    uint8_t key[8];
    recovery_room_put_raw(r, LOG_TABLE_CHECKPOINTS, recovery_room_seq_key(key, seq), bytes_of(NULL, 0));
}

/* A certificate that proves something else than this replica has. */
static void replace_certificate(struct recovery_room *r, enum log_table table, struct bytes key, uint64_t seq,
                                bool header)
{
    struct wire_checkpoint_certificate c;
    struct bytes raw;
    assert_int_equal(log_get_checkpoint(r->dir.log, seq, &c, &raw).code, ERR_NONE);
    (header ? &c.header_hash : &c.state_root)->bytes[0] ^= 1;
    struct blob *other = kit_checkpoint(r->kit, seq, &c.header_hash, &c.state_root, NULL, 3);
    recovery_room_put_raw(r, table, key, blob_bytes(other));
    blob_release(other);
}

/* ---- the state as it is stored ---- */

static void test_recovery_state_at_the_stable_checkpoint_with_another_root_is_corrupt(void **state)
{
    grow(*state, 128, 130);
    alter_state(*state);
    recovery_room_check_corrupt(*state, "state at checkpoint 128 has another root");
}

/* Nothing is executed again then. */
static void test_recovery_state_without_a_block_above_with_another_root_is_corrupt(void **state)
{
    grow(*state, 128, 128);
    alter_state(*state);
    recovery_room_check_corrupt(*state, "state at checkpoint 128 has another root");
}

static void test_recovery_state_below_the_stable_checkpoint_with_another_root_is_corrupt(void **state)
{
    grow(*state, 128, 300);
    alter_state(*state);
    recovery_room_check_corrupt(*state, "state at checkpoint 128 has another root");
}

static void test_recovery_state_with_another_header_is_corrupt(void **state)
{
    struct recovery_room *r = *state;
    struct wire_state_meta meta;
    grow(r, 128, 130);
    struct blob *raw = get_meta(r, &meta);
    meta.header.time_ms++;
    put_meta(r, &meta);
    recovery_room_restart(r);
    recovery_room_check_corrupt(r, "block 128 is not the one that a quorum signed");
    blob_release(raw);
}

static void test_recovery_state_above_the_stable_checkpoint_is_corrupt(void **state)
{
    struct recovery_room *r = *state;
    struct wire_checkpoint_certificate c;
    struct bytes raw;
    grow(r, 256, 300);
    assert_int_equal(log_get_checkpoint(r->dir.log, 128, &c, &raw).code, ERR_NONE);
    struct blob *older = blob_copy(raw);
    recovery_room_put_raw(r, LOG_TABLE_META, bytes_of_text("stable"), blob_bytes(older));
    recovery_room_restart(r);
    recovery_room_check_corrupt(r, "the state stands at checkpoint 256, above the last stable one, 128");
    blob_release(older);
}

/* A crash between two folds leaves the state at a checkpoint that never was stable by itself. */
static void test_recovery_state_at_a_checkpoint_without_certificate_is_proven_by_the_next(void **state)
{
    struct recovery_room *r = *state;
    grow(r, 128, 300);
    forget_certificate(r, 128);
    recovery_room_restart(r);
    assert_int_equal(recovery_room_recovered(r)->executed, 300);
    assert_int_equal(executor_base(r->executor), 256);
}

static void test_recovery_state_at_a_checkpoint_without_certificate_fails_at_the_next(void **state)
{
    grow(*state, 128, 300);
    forget_certificate(*state, 128);
    alter_state(*state);
    recovery_room_check_corrupt(*state, "state at checkpoint 256 has another root");
}

/* ---- what comes out of executing again ---- */

static void test_recovery_state_executed_again_with_another_root_is_corrupt(void **state)
{
    grow(*state, 0, 300);
    alter_state(*state);
    recovery_room_check_corrupt(*state, "state at checkpoint 128 has another root");
    forget_certificate(*state, 128);
    recovery_room_restart(*state);
    recovery_room_check_corrupt(*state, "state at checkpoint 256 has another root");
}

static void test_recovery_state_executed_again_against_what_was_signed_is_corrupt(void **state)
{
    struct recovery_room *r = *state;
    uint8_t key[8];
    grow(r, 0, 130);
    for (uint32_t header = 0; header < 2; header++) {
        replace_certificate(r, LOG_TABLE_META, bytes_of_text("stable"), 128, header == 1);
        recovery_room_restart(r);
        recovery_room_check_corrupt(r, header == 1 ? "block 128 is not the one" : "checkpoint 128 has another root");
    }
    kit_grow(r->kit, r->executor, r->dir.log, 256, NULL); /* 256 is stable now */
    for (uint32_t header = 0; header < 2; header++) {
        replace_certificate(r, LOG_TABLE_CHECKPOINTS, recovery_room_seq_key(key, 128), 128, header == 1);
        recovery_room_restart(r);
        recovery_room_check_corrupt(r, header == 1 ? "block 128 is not the one" : "checkpoint 128 has another root");
        replace_certificate(r, LOG_TABLE_CHECKPOINTS, recovery_room_seq_key(key, 128), 128, header == 1);
    }
    recovery_room_restart(r);
    assert_int_equal(recovery_room_recovered(r)->executed, 256); /* mended */
}

static void test_recovery_state_damaged_checkpoint_certificate_is_corrupt(void **state)
{
    struct recovery_room *r = *state;
    struct wire_checkpoint_certificate c;
    struct bytes raw;
    uint8_t key[8];
    grow(r, 128, 300);
    assert_int_equal(log_get_checkpoint(r->dir.log, 256, &c, &raw).code, ERR_NONE);
    struct blob *next = blob_copy(raw);
    recovery_room_spoil(r, LOG_TABLE_CHECKPOINTS, recovery_room_seq_key(key, 128), 0);
    recovery_room_restart(r);
    recovery_room_check_corrupt(r, "certificate of checkpoint 128 proves nothing: a signature");
    recovery_room_put_raw(r, LOG_TABLE_CHECKPOINTS, recovery_room_seq_key(key, 128), blob_bytes(next));
    recovery_room_restart(r);
    recovery_room_check_corrupt(r, "certificate of checkpoint 128 proves nothing: it is of another sequence");
    recovery_room_put_raw(r, LOG_TABLE_CHECKPOINTS, recovery_room_seq_key(key, 128), bytes_of_text("garbage"));
    recovery_room_restart(r);
    recovery_room_check_corrupt(r, "checkpoint 128");
    blob_release(next);
}

/* ---- epochs (rule 20) ---- */

static void test_recovery_state_of_a_new_directory_begins_in_the_groups_epoch(void **state)
{
    struct recovery_room *r = *state;
    r->kit->wire.epoch = 7;
    const struct core_recovered *c = recovery_room_recovered(r);
    assert_int_equal(c->stable.seq, 0);
    assert_int_equal(c->stable.epoch, 7);
    assert_null(certificate_check_checkpoint(&r->kit->wire, kit_checker(r->kit), &c->stable));
}

static void test_recovery_state_block_of_another_epoch_is_corrupt(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_grow(r, 3);
    r->kit->wire.epoch = 7;
    recovery_room_check_corrupt(r, "block 1 is of epoch 0, but the group is in epoch 7");
}

static void test_recovery_state_stable_checkpoint_of_another_epoch_is_corrupt(void **state)
{
    struct recovery_room *r = *state;
    grow(r, 128, 128);
    r->kit->wire.epoch = 7;
    recovery_room_check_corrupt(r, "stable checkpoint 128 is of epoch 0, but the group is in epoch 7");
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, recovery_room_setup, recovery_room_teardown)

int main(void)
{
    struct CMUnitTest tests[] = {
        ROOM_TEST(test_recovery_state_at_the_stable_checkpoint_with_another_root_is_corrupt),
        ROOM_TEST(test_recovery_state_without_a_block_above_with_another_root_is_corrupt),
        ROOM_TEST(test_recovery_state_below_the_stable_checkpoint_with_another_root_is_corrupt),
        ROOM_TEST(test_recovery_state_with_another_header_is_corrupt),
        ROOM_TEST(test_recovery_state_above_the_stable_checkpoint_is_corrupt),
        ROOM_TEST(test_recovery_state_at_a_checkpoint_without_certificate_is_proven_by_the_next),
        ROOM_TEST(test_recovery_state_at_a_checkpoint_without_certificate_fails_at_the_next),
        ROOM_TEST(test_recovery_state_executed_again_with_another_root_is_corrupt),
        ROOM_TEST(test_recovery_state_executed_again_against_what_was_signed_is_corrupt),
        ROOM_TEST(test_recovery_state_damaged_checkpoint_certificate_is_corrupt),
        ROOM_TEST(test_recovery_state_of_a_new_directory_begins_in_the_groups_epoch),
        ROOM_TEST(test_recovery_state_block_of_another_epoch_is_corrupt),
        ROOM_TEST(test_recovery_state_stable_checkpoint_of_another_epoch_is_corrupt),
    };
    int failed = cmocka_run_group_tests_name("recovery_state", tests, NULL, NULL);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tests[i].setup_func = recovery_room_setup_files;
    failed += cmocka_run_group_tests_name("recovery_state_in_files", tests, NULL, NULL);
    return failed;
}
