/* test_core_late.c - votes that are too late to matter (core_vote_is_late), each condition broken once; and that a
 * replica which never got them asks nobody for them. N = 4, Q = 3, replica 1, a backup of replica 0.
 */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct digest other = {.bytes = {1, 2, 3}};

static struct solo s;
static struct solo_batch b;

static int test_setup(void **state)
{
    (void)state;
    solo_ready(&s, 4, 1);
    b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, true));
    return 0;
}

static int test_teardown(void **state)
{
    (void)state;
    solo_batch_free(&b);
    solo_close(&s);
    return 0;
}

static void vote(enum wire_type type, uint32_t member, const struct digest *digest)
{
    assert_null(solo_vote(&s, type, member, 1, digest));
}

/* With the own PREPARE that of replica 2 is a quorum. */
static void prepare(void)
{
    vote(WIRE_TYPE_prepare, 2, &b.digest);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 1);
}

/* With the own COMMIT those of replicas 0 and 2 are. */
static void commit_prepared(void)
{
    (void)solo_all_persisted(&s);
    vote(WIRE_TYPE_commit, 0, &b.digest);
    vote(WIRE_TYPE_commit, 2, &b.digest);
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 1);
}

static void commit(void)
{
    prepare();
    commit_prepared();
}

static bool is_late(enum wire_type type, uint32_t member)
{
    return core_vote_is_late(s.core, type, member, 0, 1, &b.digest);
}

static void test_late_prepare_once_prepared(void **state)
{
    (void)state;
    assert_false(is_late(WIRE_TYPE_prepare, 3));
    prepare();
    assert_true(is_late(WIRE_TYPE_prepare, 3));
    commit_prepared();
    assert_true(is_late(WIRE_TYPE_prepare, 3));
}

static void test_late_commit_once_committed(void **state)
{
    (void)state;
    prepare();
    assert_false(is_late(WIRE_TYPE_commit, 3));
    (void)solo_all_persisted(&s);
    vote(WIRE_TYPE_commit, 0, &b.digest);
    assert_false(is_late(WIRE_TYPE_commit, 3));
    vote(WIRE_TYPE_commit, 2, &b.digest);
    assert_true(is_late(WIRE_TYPE_commit, 3));
    assert_null(solo_executed(&s, 1, s.wall_ms, NULL, 0));
    assert_true(is_late(WIRE_TYPE_commit, 3));
}

/* What contradicts must be looked at. */
static void test_late_never_for_another_digest(void **state)
{
    (void)state;
    commit();
    assert_false(core_vote_is_late(s.core, WIRE_TYPE_prepare, 3, 0, 1, &other));
    assert_false(core_vote_is_late(s.core, WIRE_TYPE_commit, 3, 0, 1, &other));
}

static void test_late_never_of_who_has_voted(void **state)
{
    (void)state;
    commit();
    assert_false(is_late(WIRE_TYPE_prepare, 2));
    assert_false(is_late(WIRE_TYPE_commit, 2));
    assert_false(is_late(WIRE_TYPE_commit, 0));
}

static void test_late_never_of_itself_nor_a_primarys_prepare(void **state)
{
    (void)state;
    prepare();
    assert_false(is_late(WIRE_TYPE_prepare, 0)); /* rule 18 */
    assert_true(is_late(WIRE_TYPE_prepare, 3));
    solo_close(&s);
    solo_ready(&s, 4, 1);
    assert_null(solo_propose(&s, 1, &b, true));
    prepare(); /* the certificate is not durable, and the own COMMIT not recorded */
    vote(WIRE_TYPE_commit, 0, &b.digest);
    vote(WIRE_TYPE_commit, 2, &b.digest);
    vote(WIRE_TYPE_commit, 3, &b.digest);
    assert_int_equal(solo_count(&s, CORE_EFFECT_EXECUTE), 1);
    assert_false(is_late(WIRE_TYPE_commit, 1));
}

static void test_late_only_in_the_view_and_window(void **state)
{
    (void)state;
    prepare();
    assert_false(core_vote_is_late(s.core, WIRE_TYPE_prepare, 3, 1, 1, &b.digest));
    assert_false(core_vote_is_late(s.core, WIRE_TYPE_prepare, 3, 0, 0, &b.digest));
    assert_false(core_vote_is_late(s.core, WIRE_TYPE_prepare, 3, 0, 2, &b.digest));
    assert_false(core_vote_is_late(s.core, WIRE_TYPE_prepare, 3, 0, 1 + WINDOW_BATCHES, &b.digest));
}

/* The slots still hold the votes of the view left. */
static void test_late_never_while_the_view_changes(void **state)
{
    (void)state;
    prepare();
    (void)solo_tick(&s, SOLO_TIMEOUT_US + 1);
    assert_true(core_summary(s.core).changing);
    assert_int_equal(core_view(s.core), 1);
    assert_false(core_vote_is_late(s.core, WIRE_TYPE_prepare, 3, 0, 1, &b.digest));
    assert_false(core_vote_is_late(s.core, WIRE_TYPE_prepare, 3, 1, 1, &b.digest));
}

/* Where a member has voted for another batch, what all others said belongs to the proof. */
static void test_late_never_where_a_prepare_is_for_another(void **state)
{
    (void)state;
    vote(WIRE_TYPE_prepare, 3, &other);
    commit();
    assert_false(is_late(WIRE_TYPE_commit, 3));
}

static void test_late_never_where_a_commit_is_for_another(void **state)
{
    (void)state;
    prepare();
    vote(WIRE_TYPE_commit, 0, &other);
    assert_false(is_late(WIRE_TYPE_prepare, 3));
}

/* Replica 3 was never heard: the maps of STATUS say all the same that nothing of it is wanted. */
static void test_late_votes_are_wanted_of_nobody(void **state)
{
    struct wire_message m;
    (void)state;
    commit();
    (void)solo_tick(&s, SOLO_HEARTBEAT_US);
    m = solo_message(solo_send(&s, WIRE_TYPE_status, 0));
    assert_int_equal(m.status.prepared.data[0], 1);
    assert_int_equal(m.status.committed.data[0], 1);
    assert_null(solo_executed(&s, 1, s.wall_ms, NULL, 0));
    (void)solo_tick(&s, SOLO_HEARTBEAT_US);
    m = solo_message(solo_send(&s, WIRE_TYPE_status, 0));
    assert_int_equal(m.status.executed, 1);
}

#define LATE_TEST(function_) cmocka_unit_test_setup_teardown(function_, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LATE_TEST(test_late_prepare_once_prepared),
        LATE_TEST(test_late_commit_once_committed),
        LATE_TEST(test_late_never_for_another_digest),
        LATE_TEST(test_late_never_of_who_has_voted),
        LATE_TEST(test_late_never_of_itself_nor_a_primarys_prepare),
        LATE_TEST(test_late_only_in_the_view_and_window),
        LATE_TEST(test_late_never_while_the_view_changes),
        LATE_TEST(test_late_never_where_a_prepare_is_for_another),
        LATE_TEST(test_late_never_where_a_commit_is_for_another),
        LATE_TEST(test_late_votes_are_wanted_of_nobody),
    };
    return cmocka_run_group_tests_name("core late", tests, NULL, NULL);
}
