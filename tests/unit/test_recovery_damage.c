/* test_recovery_damage.c - a data directory with a block, a batch of one or a checkpoint missing or damaged is refused,
 * with the record named. Votes: test_recovery_votes.c. The state: test_recovery_state.c. */
#include "tests/fixture/failing_store.h"
#include "tests/fixture/recovery_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_recovery_with_a_missing_block_is_corrupt(void **state)
{
    uint8_t key[8];
    recovery_room_grow(*state, 20);
    recovery_room_put_raw(*state, LOG_TABLE_BLOCKS, recovery_room_seq_key(key, 7), bytes_of(NULL, 0));
    recovery_room_check_corrupt(*state, "block 7");
}

static void test_recovery_with_a_missing_batch_is_corrupt(void **state)
{
    uint8_t key[40];
    recovery_room_grow(*state, 20);
    recovery_room_put_raw(*state, LOG_TABLE_BATCHES, recovery_room_batch_key(*state, key, 7), bytes_of(NULL, 0));
    recovery_room_check_corrupt(*state, "the batch of sequence 7 is not here");
}

static void test_recovery_with_a_damaged_block_is_corrupt(void **state)
{
    uint8_t key[8];
    recovery_room_grow(*state, 20);
    recovery_room_put_raw(*state, LOG_TABLE_BLOCKS, recovery_room_seq_key(key, 7), bytes_of_text("garbage"));
    recovery_room_check_corrupt(*state, "block 7");
}

static void test_recovery_with_a_changed_header_is_corrupt(void **state)
{
    struct recovery_room *r = *state;
    struct wire_stored_block s;
    uint8_t key[8];
    recovery_room_grow(r, 20);
    assert_int_equal(log_get_block(r->dir.log, 7, &s).code, ERR_NONE);
    s.header.history_root.bytes[0] ^= 1;
    struct blob *changed = wire_encode_blob(&wire_record_stored_block, &s);
    recovery_room_put_raw(r, LOG_TABLE_BLOCKS, recovery_room_seq_key(key, 7), blob_bytes(changed));
    recovery_room_check_corrupt(r, "block 7 executed again gives another header");
    blob_release(changed);
}

/* A request of an unknown client leaves no entry, so the header alone would not show that it was put in. */
static void test_recovery_with_a_changed_batch_is_corrupt(void **state)
{
    struct recovery_room *r = *state;
    struct digest ignored;
    uint8_t key[40];
    recovery_room_grow(r, 20);
    const struct kit_op op = kit_append("x");
    struct blob *stranger = kit_request(r->kit, KIT_STRANGER, 1, KIT_EXPIRY, &op, 1);
    struct blob *other = kit_batch(10000, &stranger, 1, &ignored);
    recovery_room_put_raw(r, LOG_TABLE_BATCHES, recovery_room_batch_key(r, key, 10), blob_bytes(other));
    recovery_room_check_corrupt(r, "batch of sequence 10 is damaged");
    blob_release(other);
}

static void test_recovery_with_blocks_ending_below_the_stable_checkpoint_is_corrupt(void **state)
{
    struct recovery_room *r = *state;
    uint8_t key[8];
    recovery_room_grow(r, 128);
    recovery_room_put_raw(r, LOG_TABLE_BLOCKS, recovery_room_seq_key(key, 128), bytes_of(NULL, 0));
    recovery_room_check_corrupt(r, "the blocks end at 127");
}

static void test_recovery_with_the_state_ahead_of_the_blocks_is_corrupt(void **state)
{
    struct recovery_room *r = *state;
    kit_grow(r->kit, r->executor, NULL, 128, NULL); /* no block is written */
    assert_int_equal(executor_fold(r->executor, 128).code, ERR_NONE);
    recovery_room_restart(r);
    recovery_room_check_corrupt(r, "the state stands at 128");
}

static void test_recovery_with_a_damaged_stable_checkpoint_is_corrupt(void **state)
{
    struct recovery_room *r = *state;
    recovery_room_grow(r, 128);
    recovery_room_spoil(r, LOG_TABLE_META, bytes_of_text("stable"), 0); /* the last signature */
    recovery_room_check_corrupt(r, "stable checkpoint 128 proves nothing");
    recovery_room_put_raw(r, LOG_TABLE_META, bytes_of_text("stable"), bytes_of_text("garbage"));
    recovery_room_check_corrupt(r, "the stored stable checkpoint does not decode");
}

/* Whichever read of the log fails. */
static void test_recovery_on_a_failing_log_gives_its_error(void **state)
{
    struct recovery_room *r = *state;
    struct failing_store *f = failing_store_new(LOG_TABLE_COUNT);
    struct kv_store *log = r->dir.log;
    struct err e = {.code = ERR_IO};
    int reads = 0;
    r->dir.log = &f->base;
    recovery_room_set_view(r, 0);
    recovery_room_mark_clean(r);
    kit_grow(r->kit, r->executor, r->dir.log, 3, NULL);
    recovery_room_put_prepared(r, 0, 4);
    recovery_room_put_vote(r, 0, 5, 5);
    while (e.code == ERR_IO) {
        recovery_room_restart(r);
        atomic_store(&f->reads_left, reads++);
        e = recovery_room_run(r);
    }
    assert_int_equal(e.code, ERR_NONE);
    assert_int_equal(r->recovery.recovered.slot_count, 2);
    r->dir.log = log;
    kv_store_close(&f->base);
}

static void test_recovery_on_a_failing_state_gives_its_error(void **state)
{
    struct recovery_room *r = *state;
    struct failing_store *f = failing_store_new(STATE_TABLE_COUNT);
    recovery_room_grow(r, 3);
    executor_close(r->executor);
    kv_store_close(r->dir.state);
    r->dir.state = &f->base;
    assert_int_equal(executor_init(r->dir.state, r->kit->group).code, ERR_NONE);
    assert_int_equal(executor_open(r->dir.state, r->kit->group, &r->executor).code, ERR_NONE);
    atomic_store(&f->reads_fail, true);
    assert_int_equal(recovery_room_run(r).code, ERR_IO);
}

/* The start failed; now the replica serves reads, and the execution thread folds when there is room. */
static void test_recovery_on_a_full_disk_leaves_the_state_where_it_was(void **state)
{
    struct recovery_room *r = *state;
    struct failing_store *f = failing_store_new(STATE_TABLE_COUNT);
    recovery_room_grow(r, 128);
    executor_close(r->executor);
    kv_store_close(r->dir.state);
    r->dir.state = &f->base;
    assert_int_equal(executor_init(r->dir.state, r->kit->group).code, ERR_NONE);
    assert_int_equal(executor_open(r->dir.state, r->kit->group, &r->executor).code, ERR_NONE);
    atomic_store(&f->apply_fails, ERR_NO_SPACE);
    assert_int_equal(recovery_room_run(r).code, ERR_NONE);
    assert_int_equal(executor_base(r->executor), 0);
    assert_int_equal(executor_executed(r->executor), 128);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, recovery_room_setup, recovery_room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_recovery_with_a_missing_block_is_corrupt),
        ROOM_TEST(test_recovery_with_a_missing_batch_is_corrupt),
        ROOM_TEST(test_recovery_with_a_damaged_block_is_corrupt),
        ROOM_TEST(test_recovery_with_a_changed_header_is_corrupt),
        ROOM_TEST(test_recovery_with_a_changed_batch_is_corrupt),
        ROOM_TEST(test_recovery_with_blocks_ending_below_the_stable_checkpoint_is_corrupt),
        ROOM_TEST(test_recovery_with_the_state_ahead_of_the_blocks_is_corrupt),
        ROOM_TEST(test_recovery_with_a_damaged_stable_checkpoint_is_corrupt),
        ROOM_TEST(test_recovery_on_a_failing_log_gives_its_error),
        ROOM_TEST(test_recovery_on_a_failing_state_gives_its_error),
        ROOM_TEST(test_recovery_on_a_full_disk_leaves_the_state_where_it_was),
    };
    return cmocka_run_group_tests_name("recovery_damage", tests, NULL, NULL);
}
