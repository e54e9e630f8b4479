/* test_invariants_steps.c - the checker that looks at every step of a simulation is shown, by hand, what breaks an
 * invariant, and must name it: effects as a core gives them and as they leave, blocks, and answers. (test_invariants.c:
 * from view to view.) */
#include "tests/fixture/cluster_internal.h"
#include "wire/evidence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS(a, b, c) (1ull << (a) | 1ull << (b) | 1ull << (c))

static struct cluster *cluster;
static const struct digest none; /* all zero */
static struct digest one;
static struct digest other;

static int test_setup(void **state)
{
    struct cluster_options o = cluster_defaults();
    (void)state;
    cluster = cluster_new(&o);
    cluster_run(cluster, 1000000); /* who has just started hears the others first */
    one = (struct digest){{1}};
    other = (struct digest){{2}};
    return cluster_violation(cluster) == NULL ? 0 : -1;
}

static int test_teardown(void **state)
{
    (void)state;
    cluster_free(cluster);
    return 0;
}

static void assert_holds(void)
{
    if (cluster_violation(cluster) != NULL) fail_msg("%s", cluster_violation(cluster));
}

static void assert_broken(enum invariant wanted, const char *words)
{
    assert_non_null(cluster_violation(cluster));
    if (cluster_broken(cluster) != wanted || strstr(cluster_violation(cluster), words) == NULL)
        fail_msg("wanted %s, got %s", words, cluster_violation(cluster));
}

/* ---- what a core gives ---- */

static void executes_with(uint32_t replica, uint64_t seq, const struct digest *digest, struct blob *certificate_taken)
{
    struct core_effect e = {.type = CORE_EFFECT_EXECUTE};
    e.execute.seq = seq;
    e.execute.digest = *digest;
    e.execute.certificate = certificate_taken;
    check_emitted(cluster, &cluster->replicas[replica], &e);
    blob_release(certificate_taken);
}

static void executes(uint32_t replica, uint64_t seq, const struct digest *digest, uint64_t members)
{
    executes_with(replica, seq, digest, fixture_committed(cluster->group, 0, seq, digest, members));
}

static void prepares(uint32_t replica, const struct digest *digest, uint64_t members)
{
    struct core_effect e = {.type = CORE_EFFECT_PERSIST};
    e.persist.kind = CORE_PERSIST_PREPARED;
    e.persist.seq = 1;
    e.persist.digest = *digest;
    e.persist.record = fixture_prepared(cluster->group, 0, 1, digest, members);
    e.persist.batch = e.persist.record; /* not looked into */
    check_emitted(cluster, &cluster->replicas[replica], &e);
    blob_release(e.persist.record);
}

static void test_two_batches_committed_at_one_sequence_are_no_agreement(void **state)
{
    (void)state;
    executes(0, 1, &one, MEMBERS(1, 2, 3));
    executes(1, 1, &one, MEMBERS(0, 2, 3));
    assert_holds();
    executes(2, 1, &other, MEMBERS(0, 1, 3));
    assert_broken(INVARIANT_AGREEMENT, "another batch is committed at 1");
}

static void test_execution_that_leaves_one_out_regresses(void **state)
{
    (void)state;
    executes(0, 2, &one, MEMBERS(1, 2, 3));
    assert_broken(INVARIANT_NO_REGRESS, "execution goes from 0 to 2");
}

static void test_certificate_of_two_members(void **state)
{
    (void)state;
    executes(0, 1, &one, 1u << 1 | 1u << 2);
    assert_broken(INVARIANT_CERTIFICATES, "fewer than Q distinct members");
}

static void test_certificate_with_a_forged_signature(void **state)
{
    (void)state;
    struct blob *forged = fixture_committed(cluster->group, 0, 1, &one, MEMBERS(1, 2, 3));
    forged->data[forged->len - 1] ^= 1u; /* of the last member's signature */
    executes_with(0, 1, &one, forged);
    assert_broken(INVARIANT_CERTIFICATES, "a wrong signature");
}

static void test_certificate_of_another_batch(void **state)
{
    (void)state;
    executes_with(0, 1, &one, fixture_committed(cluster->group, 0, 1, &other, MEMBERS(1, 2, 3)));
    assert_broken(INVARIANT_CERTIFICATES, "for another batch");
}

static void test_certificate_that_counts_a_commit_before_it_is_durable(void **state)
{
    (void)state;
    executes(1, 1, &one, MEMBERS(1, 2, 3));
    assert_broken(INVARIANT_CERTIFICATES, "its own COMMIT counts before");
}

static void test_prepared_certificate_without_the_proposal(void **state)
{
    (void)state;
    prepares(1, &one, MEMBERS(0, 1, 2));
    assert_holds();
    prepares(1, &one, MEMBERS(1, 2, 3));
    assert_broken(INVARIANT_CERTIFICATES, "lacks the PRE-PREPARE");
}

static void test_two_batches_prepared_at_one_view_and_sequence(void **state)
{
    (void)state;
    prepares(1, &one, MEMBERS(0, 1, 2));
    prepares(2, &other, MEMBERS(0, 2, 3));
    assert_broken(INVARIANT_ONE_PREPARED, "two prepared certificates for sequence 1");
}

static void test_evidence_against_who_keeps_the_rules(void **state)
{
    (void)state;
    struct wire_prepare m = {.sender = 2, .view = 0, .seq = 1, .digest = one};
    struct blob *a = fixture_message(cluster->group, &wire_record_prepare, &m);
    m.digest = other;
    struct blob *b = fixture_message(cluster->group, &wire_record_prepare, &m);
    struct core_effect e = {.type = CORE_EFFECT_EVIDENCE};
    e.evidence.member = 2;
    e.evidence.kind = EVIDENCE_KIND_PREPARE;
    e.evidence.record = evidence_make(&cluster->group->id, blob_bytes(a), blob_bytes(b), 0);
    check_emitted(cluster, &cluster->replicas[1], &e);
    assert_broken(INVARIANT_EVIDENCE, "it names 2, who keeps the rules");
    blob_release(e.evidence.record);
    blob_release(a);
    blob_release(b);
}

/* ---- what leaves a replica ---- */

static void leaves(uint32_t replica, enum wire_type type, const struct wire_record *record, void *message)
{
    struct core_effect e = {.type = CORE_EFFECT_SEND};
    e.send.type = type;
    e.send.bytes = fixture_message(cluster->group, record, message);
    check_performed(cluster, &cluster->replicas[replica], &e, 1);
    blob_release(e.send.bytes);
}

static void sends_prepare(uint32_t replica, uint64_t view, uint64_t seq, const struct digest *digest)
{
    struct wire_prepare m = {.sender = replica, .view = view, .seq = seq, .digest = *digest};
    leaves(replica, WIRE_TYPE_prepare, &wire_record_prepare, &m);
}

static void stop(uint32_t replica)
{
    cluster_stop(cluster, replica);
    cluster_run(cluster, 7000000);
    assert_false(cluster_is_up(cluster, replica));
}

static void start(uint32_t replica)
{
    cluster_start(cluster, replica);
    cluster_run(cluster, 1000000);
    assert_holds();
}

/* The others have no checkpoint yet, and could have shown what it voted on in between. */
static void test_vote_that_a_copy_put_back_has_forgotten_may_equivocate(void **state)
{
    (void)state;
    stop(1);
    cluster_keep(cluster, 1);
    start(1);
    sends_prepare(1, 0, 5, &one);
    stop(1);
    cluster_restore(cluster, 1);
    start(1);
    sends_prepare(1, 0, 5, &one); /* again: no other */
    assert_holds();
    sends_prepare(1, 0, 6, &one);
    assert_broken(INVARIANT_NO_EQUIVOCATION, "PREPARE 6 though it may have voted here and forgotten");
}

static void test_second_vote_for_another_batch_equivocates(void **state)
{
    (void)state;
    sends_prepare(1, 0, 1, &one);
    sends_prepare(1, 0, 1, &one); /* again: no other */
    sends_prepare(2, 0, 1, &other);
    assert_holds();
    sends_prepare(1, 0, 1, &other);
    assert_broken(INVARIANT_NO_EQUIVOCATION, "a second, different PREPARE 1");
}

static void test_prepare_of_the_primary(void **state)
{
    (void)state;
    sends_prepare(0, 0, 1, &one);
    assert_broken(INVARIANT_NO_EQUIVOCATION, "a PREPARE of the primary");
}

static void test_vote_above_the_window(void **state)
{
    (void)state;
    sends_prepare(1, 0, WINDOW_BATCHES, &one);
    assert_holds();
    sends_prepare(1, 0, WINDOW_BATCHES + 1, &one);
    assert_broken(INVARIANT_WINDOW, "above the durable window");
}

static void test_commit_before_its_certificate_is_durable(void **state)
{
    struct wire_commit m = {.sender = 1, .seq = 1, .digest = one};
    (void)state;
    leaves(1, WIRE_TYPE_commit, &wire_record_commit, &m);
    assert_broken(INVARIANT_DURABLE_FIRST, "COMMIT 1 leaves before its certificate is durable");
}

static void test_vote_in_a_view_not_entered(void **state)
{
    (void)state;
    sends_prepare(1, 2, 1, &one);
    assert_broken(INVARIANT_DURABLE_FIRST, "before the entry into view 2 is durable");
}

static void test_checkpoint_before_its_blocks_are_durable(void **state)
{
    struct wire_checkpoint m = {.sender = 1, .seq = CHECKPOINT_INTERVAL, .header_hash = one, .state_root = one};
    (void)state;
    leaves(1, WIRE_TYPE_checkpoint, &wire_record_checkpoint, &m);
    assert_broken(INVARIANT_DURABLE_FIRST, "leaves before its blocks are durable");
}

static void test_message_that_is_not_what_its_effect_says(void **state)
{
    struct wire_commit m = {.sender = 1, .seq = 1, .digest = one};
    (void)state;
    leaves(1, WIRE_TYPE_prepare, &wire_record_commit, &m);
    assert_broken(INVARIANT_SOUNDNESS, "does not decode as what its effect says");
}

/* Replica 0, the primary, is cut off until the others have executed a request in view 1. */
static void leave_view_0(struct cluster *c)
{
    for (uint32_t id = 0; id < 4; id++)
        cluster_cut(c, 0, id, true);
    cluster_submit(c, 0, 1);
    assert_true(cluster_settle_except(c, 10000000, 1));
    assert_int_equal(core_view(c->replicas[1].core), 1);
}

static void test_vote_in_a_view_that_was_left(void **state)
{
    (void)state;
    leave_view_0(cluster);
    assert_holds();
    sends_prepare(1, 0, 9, &one);
    assert_broken(INVARIANT_LEFT_VIEWS, "in view 0, which it has left");
}

/* Replica 1 has left view 0, and starts again with another disk. */
static void lose_disk(bool restored)
{
    leave_view_0(cluster);
    cluster_crash(cluster, 1);
    if (restored) {
        cluster_keep(cluster, 1);
        cluster_restore(cluster, 1);
    } else {
        cluster_wipe(cluster, 1);
    }
    cluster_start(cluster, 1);
    assert_holds();
}

static void test_vote_in_a_view_that_its_record_has_left_binds_who_was_restored(void **state)
{
    (void)state;
    lose_disk(true);
    sends_prepare(1, 0, 9, &one);
    assert_broken(INVARIANT_LEFT_VIEWS, "in view 0, which it has left");
}

/* Nobody has shown it anything yet: all that can be said is that it may have voted. */
static void test_vote_in_a_view_left_before_its_disk_was_lost_is_forgotten(void **state)
{
    (void)state;
    lose_disk(false);
    sends_prepare(1, 0, 9, &one);
    assert_broken(INVARIANT_NO_EQUIVOCATION, "though it may have voted here and forgotten");
}

static void test_vote_in_a_view_left_as_others_have_shown(void **state)
{
    (void)state;
    lose_disk(false);
    cluster_run(cluster, 1000000);
    assert_holds();
    sends_prepare(1, 0, 9, &one);
    assert_broken(INVARIANT_LEFT_VIEWS, "in view 0, which it has left");
}

static void test_view_that_falls(void **state)
{
    struct cluster_options o = cluster_defaults();
    struct cluster *young = cluster_new(&o);
    (void)state;
    cluster_run(young, 1000000);
    cluster_submit(young, 0, 1);
    assert_true(cluster_settle(young, 10000000));
    leave_view_0(cluster);
    struct core *kept = cluster->replicas[1].core;
    cluster->replicas[1].core = young->replicas[1].core; /* the same executed, in view 0 */
    check_stepped(cluster, &cluster->replicas[1]);
    cluster->replicas[1].core = kept;
    assert_broken(INVARIANT_VIEWS_RISE, "the view falls");
    cluster_free(young);
}

static void test_executed_that_falls(void **state)
{
    struct cluster_options o = cluster_defaults();
    struct cluster *young = cluster_new(&o);
    (void)state;
    cluster_run(young, 1000000);
    cluster_submit(cluster, 0, 1);
    assert_true(cluster_settle(cluster, 10000000));
    struct core *kept = cluster->replicas[1].core;
    cluster->replicas[1].core = young->replicas[1].core;
    check_stepped(cluster, &cluster->replicas[1]);
    cluster->replicas[1].core = kept;
    assert_broken(INVARIANT_NO_REGRESS, "last executed goes from 1 to 0");
    cluster_free(young);
}

/* ---- blocks and answers ---- */

static void block(uint32_t replica, uint64_t seq, const struct digest *header, const struct digest *previous,
                  uint64_t time_ms)
{
    const struct executed_block b = {.header = {.seq = seq, .previous = *previous, .time_ms = time_ms},
                                     .header_hash = *header};
    check_block(cluster, &cluster->replicas[replica], &b);
}

static void test_block_that_differs_from_anothers(void **state)
{
    (void)state;
    block(0, 1, &one, &none, 5);
    block(1, 1, &one, &none, 5);
    assert_holds();
    block(2, 1, &other, &none, 5);
    assert_broken(INVARIANT_PREFIX, "block 1 differs");
}

static void test_block_that_does_not_follow(void **state)
{
    (void)state;
    block(0, 1, &one, &none, 5);
    block(0, 2, &other, &other, 5);
    assert_broken(INVARIANT_PREFIX, "block 2 does not follow");
}

static void test_block_time_that_goes_back(void **state)
{
    (void)state;
    block(0, 1, &one, &none, 5);
    block(0, 2, &other, &one, 4);
    assert_broken(INVARIANT_BATCH_TIME, "the time of block 2");
}

static void test_state_that_differs_from_anothers(void **state)
{
    struct executed_block b = {
        .header = {.seq = CHECKPOINT_INTERVAL}, .header_hash = one, .checkpoint = true, .state_root = one};
    (void)state;
    block(0, CHECKPOINT_INTERVAL - 1, &none, &none, 0);
    check_block(cluster, &cluster->replicas[0], &b);
    assert_holds();
    b.state_root = other;
    check_block(cluster, &cluster->replicas[1], &b);
    assert_broken(INVARIANT_SAME_STATE, "the state at 128 differs");
}

static void settles(uint64_t seq, const struct digest *header, const struct digest *previous,
                    const struct digest *transaction)
{
    struct executed_request q = {.client = 0, .seq = 7, .verdict = WINDOW_NEW, .transaction = *transaction};
    const struct executed_block b = {
        .header = {.seq = seq, .previous = *previous}, .header_hash = *header, .request_count = 1, .requests = &q};
    check_block(cluster, &cluster->replicas[0], &b);
}

static void test_operation_that_nobody_submitted(void **state)
{
    (void)state;
    settles(1, &one, &none, &other);
    assert_broken(INVARIANT_VALIDITY, "holds what no client submitted");
}

static void test_operation_executed_twice(void **state)
{
    (void)state;
    check_submitted(cluster, &other);
    settles(1, &one, &none, &other);
    assert_holds();
    settles(2, &other, &one, &other);
    assert_broken(INVARIANT_EXACTLY_ONCE, "request 7 is executed twice");
}

static void test_answer_from_a_block_that_nobody_executed(void **state)
{
    const struct wire_reply reply = {.header = {.seq = 3}};
    (void)state;
    check_accepted(cluster, 0, 1, &reply);
    assert_broken(INVARIANT_RESULTS, "a block 3 that nobody executed");
}

/* ---- bounds ---- */

static void test_more_of_one_client_than_its_bound(void **state)
{
    (void)state;
    cluster_submit(cluster, 0, 5);
    cluster_run(cluster, 20000);
    struct core_holdings h = core_holdings(cluster->replicas[0].core);
    h.client_requests = 2u * CLIENT_WINDOW;
    bounds_check(cluster, &cluster->replicas[0], &h);
    assert_holds();
    h.client_requests++;
    bounds_check(cluster, &cluster->replicas[0], &h);
    assert_broken(INVARIANT_BOUNDS, "requests of one client: 129");
}

static void test_counters_that_are_not_what_is_held(void **state)
{
    (void)state;
    struct core_holdings h = core_holdings(cluster->replicas[0].core);
    assert_true(h.counters_right);
    h.counters_right = false;
    bounds_check(cluster, &cluster->replicas[0], &h);
    assert_broken(INVARIANT_BOUNDS, "its counters of custody");
}

static size_t image_of_core(uint32_t id)
{
    struct image i = {.reading = false};
    core_image_write(cluster->replicas[id].core, &i);
    struct blob *flat = image_flat(&i);
    const size_t bytes = flat->len;
    blob_release(flat);
    image_free(&i);
    return bytes;
}

/* All that a core holds is in its image. At the same place between two checkpoints it is as large after nine as after
 * three. */
static void test_core_does_not_grow_with_the_ledger(void **state)
{
    size_t early[4] = {0};
    (void)state;
    for (uint64_t n = 1; n <= 9u * CHECKPOINT_INTERVAL + 10u; n++) {
        cluster_submit(cluster, 0, 1);
        assert_true(cluster_settle(cluster, 10000000));
        for (uint32_t id = 0; n == 3u * CHECKPOINT_INTERVAL + 10u && id < 4; id++)
            early[id] = image_of_core(id);
    }
    for (uint32_t id = 0; id < 4; id++)
        assert_in_range(image_of_core(id), early[id] - early[id] / 50, early[id] + early[id] / 50);
}

#define STEP_TEST(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STEP_TEST(test_two_batches_committed_at_one_sequence_are_no_agreement),
        STEP_TEST(test_execution_that_leaves_one_out_regresses),
        STEP_TEST(test_certificate_of_two_members),
        STEP_TEST(test_certificate_with_a_forged_signature),
        STEP_TEST(test_certificate_of_another_batch),
        STEP_TEST(test_certificate_that_counts_a_commit_before_it_is_durable),
        STEP_TEST(test_prepared_certificate_without_the_proposal),
        STEP_TEST(test_two_batches_prepared_at_one_view_and_sequence),
        STEP_TEST(test_evidence_against_who_keeps_the_rules),
        STEP_TEST(test_vote_that_a_copy_put_back_has_forgotten_may_equivocate),
        STEP_TEST(test_second_vote_for_another_batch_equivocates),
        STEP_TEST(test_prepare_of_the_primary),
        STEP_TEST(test_vote_above_the_window),
        STEP_TEST(test_commit_before_its_certificate_is_durable),
        STEP_TEST(test_vote_in_a_view_not_entered),
        STEP_TEST(test_checkpoint_before_its_blocks_are_durable),
        STEP_TEST(test_message_that_is_not_what_its_effect_says),
        STEP_TEST(test_vote_in_a_view_that_was_left),
        STEP_TEST(test_vote_in_a_view_that_its_record_has_left_binds_who_was_restored),
        STEP_TEST(test_vote_in_a_view_left_before_its_disk_was_lost_is_forgotten),
        STEP_TEST(test_vote_in_a_view_left_as_others_have_shown),
        STEP_TEST(test_view_that_falls),
        STEP_TEST(test_executed_that_falls),
        STEP_TEST(test_block_that_differs_from_anothers),
        STEP_TEST(test_block_that_does_not_follow),
        STEP_TEST(test_block_time_that_goes_back),
        STEP_TEST(test_state_that_differs_from_anothers),
        STEP_TEST(test_operation_that_nobody_submitted),
        STEP_TEST(test_operation_executed_twice),
        STEP_TEST(test_more_of_one_client_than_its_bound),
        STEP_TEST(test_counters_that_are_not_what_is_held),
        STEP_TEST(test_core_does_not_grow_with_the_ledger),
        STEP_TEST(test_answer_from_a_block_that_nobody_executed),
    };
    return cmocka_run_group_tests_name("invariants_steps", tests, NULL, NULL);
}
