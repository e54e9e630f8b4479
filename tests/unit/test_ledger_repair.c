/* test_ledger_repair.c - what --repair arranges for each kind of damage, and that a start accepts it: the gap record,
 * deleted blocks, the mark on a damaged state, certificates from their copies. The ledger has blocks 1 to 300, its
 * stable checkpoint is 256.
 */
#include "ledger/state_transfer.h"
#include "tests/fixture/check_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LAST 300u
#define STABLE 256u

static struct check_room *grown(void **state)
{
    check_room_grow(*state, STABLE, LAST);
    return *state;
}

static void spoil_block(struct check_room *c, uint64_t seq)
{
    check_room_put(c->log, LOG_TABLE_BLOCKS, check_room_key(seq), bytes_of_text("garbage"));
}

/* Its link to the block before and to the one behind. */
static void break_links(struct check_room *c, uint64_t seq)
{
    struct blob *raw;
    struct wire_stored_block b = check_room_block(c, seq, &raw);
    b.header.previous.bytes[0] ^= 1;
    check_room_put_block(c, seq, &b);
    blob_release(raw);
}

static bool has_block(const struct check_room *c, uint64_t seq)
{
    struct bytes value;
    return kv_store_get(c->log, LOG_TABLE_BLOCKS, check_room_key(seq), &value) == KV_FOUND;
}

static void check_gap(const struct check_room *c, uint64_t low, uint64_t high)
{
    uint64_t is_low;
    uint64_t is_high;
    assert_int_equal(log_get_gap(c->log, &is_low, &is_high).code, ERR_NONE);
    assert_int_equal(is_low, low);
    assert_int_equal(is_high, high);
    assert_int_equal(c->repair.gap_low, low);
    assert_int_equal(c->repair.gap_high, high);
}

/* What a start makes of it: up to where it executes, and that it knows what the gap ends at. */
static const struct core_recovered *started(struct check_room *c, uint64_t executed)
{
    recovery_room_restart(c->room);
    c->log = c->room->dir.log;
    c->state = c->room->dir.state;
    const struct core_recovered *r = recovery_room_recovered(c->room);
    assert_false(r->walking);
    assert_int_equal(r->executed, executed);
    return r;
}

/* The same without the state, which is to be transferred. */
static const struct core_recovered *started_walking(struct check_room *c)
{
    struct recovery_room *r = c->room;
    recovery_free(&r->recovery);
    assert_true(state_is_walking(c->state));
    const struct err e = recovery_run(&r->dir, NULL, &r->kit->wire, kit_checker(r->kit), 0,
                                      executor_client_count(r->executor), &r->recovery);
    if (err_is(&e)) fail_msg("%s", e.text);
    return &r->recovery.recovered;
}

/* The hash by which the highest block of the gap will be known. */
static void check_gap_hash(const struct core_recovered *r, const struct digest *hash)
{
    assert_memory_equal(&r->gap_hash, hash, sizeof *hash);
}

static struct digest hash_of_block(const struct check_room *c, uint64_t seq)
{
    struct blob *raw;
    const struct wire_stored_block b = check_room_block(c, seq, &raw);
    const struct digest hash = header_hash(&b.header);
    blob_release(raw);
    return hash;
}

/* ---- nothing to do ---- */

static void test_ledger_repair_of_a_good_directory_changes_nothing(void **state)
{
    struct check_room *c = grown(state);
    const uint64_t syncs = kv_store_syncs(c->log) + kv_store_syncs(c->state);
    check_room_repair(c);
    assert_int_equal(c->result.faults, 0);
    assert_int_equal(kv_store_syncs(c->log) + kv_store_syncs(c->state), syncs);
    check_gap(c, 0, 0);
}

static void test_ledger_repair_leaves_a_gap_as_it_is(void **state)
{
    struct check_room *c = grown(state);
    check_room_put_gap(c, 5, 9);
    const uint64_t syncs = kv_store_syncs(c->log);
    check_room_repair(c);
    assert_int_equal(kv_store_syncs(c->log), syncs);
    assert_int_equal(c->repair.gap_low, 0);
}

/* ---- blocks below the state ---- */

static void test_ledger_repair_of_an_old_block_makes_it_the_gap(void **state)
{
    struct check_room *c = grown(state);
    const struct digest hash = hash_of_block(c, 77);
    spoil_block(c, 77);
    check_room_repair(c);
    assert_int_equal(c->result.faults, 1);
    check_gap(c, 77, 77);
    assert_false(has_block(c, 77));
    assert_false(c->repair.state);
    assert_int_equal(c->repair.deleted_from, 0);
    check_room_good(c); /* it is only missing now */
    check_gap_hash(started(c, LAST), &hash);
}

static void test_ledger_repair_covers_all_from_the_lowest_to_the_highest(void **state)
{
    struct check_room *c = grown(state);
    spoil_block(c, 77);
    check_room_flip(c->log, LOG_TABLE_BLOCKS, check_room_key(120), -1);
    check_room_repair(c);
    check_gap(c, 77, 120);
    assert_false(has_block(c, 77));
    assert_false(has_block(c, 120));
    assert_true(has_block(c, 100)); /* good, and others may ask for it */
    check_room_good(c);
    started(c, LAST);
}

static void test_ledger_repair_of_a_broken_link_covers_both_blocks(void **state)
{
    struct check_room *c = grown(state);
    break_links(c, 100);
    check_room_repair(c);
    check_gap(c, 99, 101);
    assert_true(has_block(c, 99)); /* one of each two is good */
    assert_true(has_block(c, 101));
    check_room_good(c);
    struct blob *raw;
    const struct wire_stored_block behind = check_room_block(c, 102, &raw);
    check_gap_hash(started(c, LAST), &behind.header.previous);
    blob_release(raw);
}

static void test_ledger_repair_widens_the_gap_that_is_there(void **state)
{
    struct check_room *c = grown(state);
    check_room_delete_blocks(c, 20, 30);
    check_room_put_gap(c, 20, 30);
    spoil_block(c, 77);
    check_room_repair(c);
    check_gap(c, 20, 77);
    assert_true(has_block(c, 50));
    check_room_good(c);
    spoil_block(c, 10);
    check_room_repair(c);
    check_gap(c, 10, 77);
    started(c, LAST);
}

static void test_ledger_repair_of_missing_blocks_notes_them(void **state)
{
    struct check_room *c = grown(state);
    check_room_delete_blocks(c, 1, 3);
    check_room_delete_blocks(c, 60, 60);
    check_room_repair(c);
    check_gap(c, 1, 60);
    check_room_good(c);
    started(c, LAST);
}

/* The state has its header. */
static void test_ledger_repair_of_the_block_of_the_states_checkpoint_reaches_to_it(void **state)
{
    struct check_room *c = grown(state);
    const struct digest hash = hash_of_block(c, STABLE);
    spoil_block(c, STABLE);
    check_room_repair(c);
    check_gap(c, STABLE, STABLE);
    assert_false(c->repair.state);
    check_room_good(c);
    check_gap_hash(started(c, LAST), &hash);
}

/* ... even when nothing stands above it. */
static void test_ledger_repair_of_the_last_block_at_the_states_checkpoint_is_accepted_by_a_start(void **state)
{
    struct check_room *c = *state;
    check_room_grow(c, STABLE, STABLE);
    const struct digest hash = hash_of_block(c, STABLE);
    spoil_block(c, STABLE);
    check_room_repair(c);
    check_gap(c, STABLE, STABLE);
    assert_false(has_block(c, STABLE));
    check_room_good(c);
    check_gap_hash(started(c, STABLE), &hash);
}

/* ---- blocks above the state ---- */

static void test_ledger_repair_of_a_block_above_the_state_deletes_it_and_what_follows(void **state)
{
    struct check_room *c = grown(state);
    recovery_room_put_prepared(c->room, 0, 280);
    spoil_block(c, 280);
    spoil_block(c, 290);
    check_room_repair(c);
    assert_int_equal(c->repair.deleted_from, 280);
    assert_true(has_block(c, 279));
    assert_false(has_block(c, 280));
    assert_false(has_block(c, 281));
    assert_false(has_block(c, LAST));
    check_gap(c, 0, 0);
    check_room_good(c);
    const struct core_recovered *r = started(c, 279);
    assert_int_equal(r->slot_count, 1); /* what it has promised stays */
    assert_int_equal(r->slots[0].seq, 280);
}

static void test_ledger_repair_of_damage_across_the_states_checkpoint_does_both(void **state)
{
    struct check_room *c = grown(state);
    spoil_block(c, 250);
    check_room_delete_blocks(c, 255, 258);
    check_room_repair(c);
    check_gap(c, 250, STABLE);
    assert_int_equal(c->repair.deleted_from, 257);
    assert_false(has_block(c, 259));
    check_room_good(c);
    started(c, STABLE);
}

/* It cannot be executed, and the stable checkpoint is above it. */
static void test_ledger_repair_of_a_block_between_state_and_stable_checkpoint_takes_the_state_too(void **state)
{
    struct check_room *c = *state;
    check_room_grow(c, 128, LAST);
    spoil_block(c, 200);
    check_room_repair(c);
    assert_true(c->repair.state);
    check_gap(c, 200, 200);
    assert_int_equal(c->repair.deleted_from, 0);
    check_room_good(c);
    assert_true(c->result.between);
    assert_int_equal(started_walking(c)->executed, LAST);
}

static void test_ledger_repair_of_blocks_around_a_state_below_the_stable_checkpoint_needs_no_transfer(void **state)
{
    struct check_room *c = *state;
    check_room_grow(c, 128, LAST);
    spoil_block(c, 128);
    spoil_block(c, 257);
    check_room_repair(c);
    assert_false(c->repair.state);
    check_gap(c, 128, 128);
    assert_int_equal(c->repair.deleted_from, 257);
    check_room_good(c);
    started(c, STABLE);
}

/* ---- the state ---- */

static void test_ledger_repair_of_the_state_marks_it_damaged(void **state)
{
    struct check_room *c = grown(state);
    char hex[128];
    check_room_flip(c->state, STATE_TABLE_DATA, check_room_datum(hex), 0);
    check_room_repair(c);
    assert_true(c->repair.state);
    check_gap(c, 0, 0);
    check_room_good(c);
    assert_true(c->result.between);
    assert_int_equal(started_walking(c)->executed, LAST);
    struct state_walk *w;
    assert_int_equal(state_walk_open(c->state, STABLE, &w).code, ERR_NONE); /* makes the tree anew */
    state_walk_close(w);
}

/* No walk ends below the stable checkpoint: up to there blocks are never executed again. */
static void test_ledger_repair_beside_a_damaged_state_goes_by_the_stable_checkpoint(void **state)
{
    struct check_room *c = *state;
    char hex[128];
    check_room_grow(c, 128, STABLE);
    check_room_flip(c->state, STATE_TABLE_DATA, check_room_datum(hex), 0);
    spoil_block(c, 200);
    spoil_block(c, STABLE); /* the last one: a start reads what is last */
    check_room_repair(c);
    assert_true(c->repair.state);
    check_gap(c, 200, STABLE);
    assert_int_equal(c->repair.deleted_from, 0);
    assert_int_equal(started_walking(c)->executed, STABLE);
}

static void test_ledger_repair_while_the_state_is_between_checkpoints_goes_by_the_stable_one(void **state)
{
    struct check_room *c = grown(state);
    assert_int_equal(state_mark_damaged(c->state).code, ERR_NONE);
    spoil_block(c, 200);
    spoil_block(c, 290);
    check_room_repair(c);
    assert_false(c->repair.state); /* it is known already */
    check_gap(c, 200, 200);
    assert_int_equal(c->repair.deleted_from, 290);
    check_room_good(c);
    assert_int_equal(started_walking(c)->executed, 289);
}

/* ---- records ---- */

static bool has_certificate(const struct check_room *c, uint64_t seq)
{
    struct wire_checkpoint_certificate proof;
    struct bytes raw;
    const struct err e = log_get_checkpoint(c->log, seq, &proof, &raw);
    return !err_is(&e);
}

static void test_ledger_repair_of_an_old_checkpoint_certificate_fetches_it_with_its_block(void **state)
{
    struct check_room *c = grown(state);
    check_room_flip(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(128), -1);
    check_room_repair(c);
    assert_false(has_certificate(c, 128));
    check_gap(c, 128, 128);
    assert_int_equal(c->repair.records, 1);
    check_room_good(c);
    started(c, LAST);
}

/* Its block is executed again by each start; it is not to be the gap's. */
static void test_ledger_repair_of_a_checkpoint_certificate_above_the_state_only_removes_it(void **state)
{
    struct check_room *c = *state;
    check_room_grow(c, 0, LAST);
    check_room_flip(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(128), -1);
    check_room_repair(c);
    assert_false(has_certificate(c, 128));
    assert_false(c->repair.state);
    check_gap(c, 0, 0);
    check_room_good(c);
    started(c, LAST);
}

static void test_ledger_repair_puts_the_last_checkpoint_certificate_from_the_stable_checkpoint(void **state)
{
    struct check_room *c = grown(state);
    check_room_flip(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(STABLE), -1);
    check_room_repair(c);
    assert_true(has_certificate(c, STABLE));
    check_gap(c, 0, 0);
    check_room_good(c);
    started(c, LAST);
}

static void test_ledger_repair_puts_the_stable_checkpoint_from_its_copy(void **state)
{
    struct check_room *c = grown(state);
    check_room_flip(c->log, LOG_TABLE_META, bytes_of_text("stable"), -1);
    check_room_repair(c);
    assert_int_equal(c->repair.records, 1);
    check_room_good(c);
    assert_int_equal(c->result.stable, STABLE);
    started(c, LAST);
}

/* A window that goes back would forget what was prepared in between. */
static void test_ledger_repair_of_the_stable_checkpoint_without_a_sure_copy_is_refused(void **state)
{
    struct check_room *c = grown(state);
    struct wire_checkpoint_certificate proof;
    struct bytes raw;
    check_room_flip(c->log, LOG_TABLE_META, bytes_of_text("stable"), -1);
    assert_int_equal(log_get_checkpoint(c->log, STABLE, &proof, &raw).code, ERR_NONE);
    struct blob *good = blob_copy(raw);
    check_room_flip(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(STABLE), -1);
    assert_int_equal(check_room_try_repair(c).code, ERR_CORRUPT); /* 128 has one */
    check_room_put(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(STABLE), bytes_of(NULL, 0));
    check_room_put(c->log, LOG_TABLE_CHECKPOINTS, bytes_of_text("odd"), blob_bytes(good)); /* its key is damaged */
    assert_int_equal(check_room_try_repair(c).code, ERR_CORRUPT);
    check_room_put(c->log, LOG_TABLE_CHECKPOINTS, bytes_of_text("odd"), bytes_of(NULL, 0));
    check_room_put(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(128), bytes_of(NULL, 0));
    assert_int_equal(check_room_try_repair(c).code, ERR_CORRUPT); /* none at all */
    check_room_put(c->log, LOG_TABLE_CHECKPOINTS, check_room_key(STABLE), blob_bytes(good));
    check_room_repair(c);
    blob_release(good);
}

static void test_ledger_repair_of_the_gap_record_makes_it_anew(void **state)
{
    struct check_room *c = grown(state);
    check_room_put(c->log, LOG_TABLE_META, bytes_of_text("gap"), bytes_of_text("garbage"));
    check_room_repair(c);
    check_gap(c, 0, 0);
    check_room_put(c->log, LOG_TABLE_META, bytes_of_text("gap"), bytes_of_text("garbage"));
    check_room_delete_blocks(c, 7, 12);
    check_room_repair(c);
    check_gap(c, 7, 12);
    check_room_good(c);
    started(c, LAST);
}

static void test_ledger_repair_removes_keys_that_are_no_sequence(void **state)
{
    struct check_room *c = grown(state);
    check_room_put(c->log, LOG_TABLE_BLOCKS, check_room_key(UINT64_MAX), bytes_of_text("x"));
    check_room_put(c->log, LOG_TABLE_BLOCKS, bytes_of_text("odd"), bytes_of_text("x"));
    check_room_repair(c);
    assert_int_equal(c->repair.records, 2);
    check_room_good(c);
    started(c, LAST);
}

static void test_ledger_repair_before_the_first_checkpoint_makes_none_stable(void **state)
{
    struct check_room *c = *state;
    struct bytes value;
    check_room_grow(c, 0, 5);
    check_room_put(c->log, LOG_TABLE_CHECKPOINTS, bytes_of_text("odd"), bytes_of_text("x"));
    check_room_repair(c);
    assert_int_equal(c->repair.records, 1);
    assert_int_equal(kv_store_get(c->log, LOG_TABLE_META, bytes_of_text("stable"), &value), KV_ABSENT);
    check_room_good(c);
    started(c, 5);
}

/* Nobody else has them. */
static void test_ledger_repair_leaves_damaged_votes_to_the_next_start(void **state)
{
    struct check_room *c = grown(state);
    recovery_room_put_prepared(c->room, 0, 299);
    check_room_flip(c->log, LOG_TABLE_CERTIFICATES, check_room_key(299), -1);
    const uint64_t syncs = kv_store_syncs(c->log);
    check_room_repair(c);
    assert_int_equal(c->repair.votes, 1);
    assert_int_equal(kv_store_syncs(c->log), syncs);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, check_room_setup, check_room_teardown)

int main(void)
{
    struct CMUnitTest tests[] = {
        ROOM_TEST(test_ledger_repair_of_a_good_directory_changes_nothing),
        ROOM_TEST(test_ledger_repair_leaves_a_gap_as_it_is),
        ROOM_TEST(test_ledger_repair_of_an_old_block_makes_it_the_gap),
        ROOM_TEST(test_ledger_repair_covers_all_from_the_lowest_to_the_highest),
        ROOM_TEST(test_ledger_repair_of_a_broken_link_covers_both_blocks),
        ROOM_TEST(test_ledger_repair_widens_the_gap_that_is_there),
        ROOM_TEST(test_ledger_repair_of_missing_blocks_notes_them),
        ROOM_TEST(test_ledger_repair_of_the_block_of_the_states_checkpoint_reaches_to_it),
        ROOM_TEST(test_ledger_repair_of_the_last_block_at_the_states_checkpoint_is_accepted_by_a_start),
        ROOM_TEST(test_ledger_repair_of_a_block_above_the_state_deletes_it_and_what_follows),
        ROOM_TEST(test_ledger_repair_of_damage_across_the_states_checkpoint_does_both),
        ROOM_TEST(test_ledger_repair_of_a_block_between_state_and_stable_checkpoint_takes_the_state_too),
        ROOM_TEST(test_ledger_repair_of_blocks_around_a_state_below_the_stable_checkpoint_needs_no_transfer),
        ROOM_TEST(test_ledger_repair_of_the_state_marks_it_damaged),
        ROOM_TEST(test_ledger_repair_beside_a_damaged_state_goes_by_the_stable_checkpoint),
        ROOM_TEST(test_ledger_repair_while_the_state_is_between_checkpoints_goes_by_the_stable_one),
        ROOM_TEST(test_ledger_repair_of_an_old_checkpoint_certificate_fetches_it_with_its_block),
        ROOM_TEST(test_ledger_repair_of_a_checkpoint_certificate_above_the_state_only_removes_it),
        ROOM_TEST(test_ledger_repair_puts_the_last_checkpoint_certificate_from_the_stable_checkpoint),
        ROOM_TEST(test_ledger_repair_puts_the_stable_checkpoint_from_its_copy),
        ROOM_TEST(test_ledger_repair_of_the_stable_checkpoint_without_a_sure_copy_is_refused),
        ROOM_TEST(test_ledger_repair_of_the_gap_record_makes_it_anew),
        ROOM_TEST(test_ledger_repair_removes_keys_that_are_no_sequence),
        ROOM_TEST(test_ledger_repair_before_the_first_checkpoint_makes_none_stable),
        ROOM_TEST(test_ledger_repair_leaves_damaged_votes_to_the_next_start),
    };
    struct CMUnitTest in_files[] = {
        ROOM_TEST(test_ledger_repair_of_an_old_block_makes_it_the_gap),
        ROOM_TEST(test_ledger_repair_of_a_block_above_the_state_deletes_it_and_what_follows),
        ROOM_TEST(test_ledger_repair_of_the_state_marks_it_damaged),
    };
    int failed = cmocka_run_group_tests_name("ledger_repair", tests, NULL, NULL);
    for (size_t i = 0; i < sizeof in_files / sizeof *in_files; i++)
        in_files[i].setup_func = check_room_setup_files;
    failed += cmocka_run_group_tests_name("ledger_repair_in_files", in_files, NULL, NULL);
    return failed;
}
