/* test_invariants.c - the checker of the simulator is shown histories that break an invariant, and must name it. What
 * the checks see in a run is put before them by hand: an effect of a replica that keeps the rules, a block, an answer.
 */
#include "tests/fixture/cluster_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CAP 4096u

static struct cluster *started(void)
{
    struct cluster_options o = cluster_defaults();
    struct cluster *c = cluster_new(&o);
    cluster_run(c, 1000000); /* who has just started hears the others first */
    assert_null(cluster_violation(c));
    return c;
}

static void assert_broken(struct cluster *c, enum invariant wanted)
{
    assert_non_null(cluster_violation(c));
    if (cluster_broken(c) != wanted) print_message("%s\n", cluster_violation(c));
    assert_int_equal(cluster_broken(c), wanted);
    cluster_free(c);
}

static struct digest some_digest(uint8_t first)
{
    return (struct digest){{first, 1, 2, 3}};
}

/* ---- 14 ---- */

static void accept_new_view(struct cluster *c, uint64_t view, uint64_t proposal_count)
{
    struct cluster_replica *r = &c->replicas[0];
    uint8_t space[CAP];
    struct writer w = writer_of(space, sizeof space);
    struct wire_new_view m = {.sender = view % 4, .view = view};
    for (uint64_t n = 1; n <= proposal_count; n++) {
        const struct wire_reproposal p = {.seq = n, .digest = some_digest((uint8_t)n)};
        wire_list_add(&m.proposals, &w, &wire_record_reproposal, &p);
    }
    struct writer refs = writer_of(space + CAP / 2, CAP / 2);
    const struct wire_view_change_ref ref = {.id = 1};
    wire_list_add(&m.view_changes, &refs, &wire_record_view_change_ref, &ref);
    struct core_effect e = {.type = CORE_EFFECT_PERSIST};
    e.persist.kind = CORE_PERSIST_NEW_VIEW;
    e.persist.record = fixture_message(c->group, &wire_record_new_view, &m);
    views_emitted(c, r, &e);
    blob_release(e.persist.record);
}

static void commit(struct cluster *c, uint64_t view, uint64_t seq, uint8_t digest)
{
    const struct wire_vote_certificate v = {.view = view, .seq = seq, .digest = some_digest(digest)};
    views_committed(c, &c->replicas[2], &v);
}

static void test_new_view_with_what_was_committed_passes(void **state)
{
    (void)state;
    struct cluster *c = started();
    commit(c, 0, 2, 2);
    accept_new_view(c, 1, 2);
    commit(c, 1, 2, 2);
    commit(c, 1, 3, 9); /* in the view that was entered, so after it */
    assert_null(cluster_violation(c));
    cluster_free(c);
}

static void test_new_view_without_what_was_committed_seen(void **state)
{
    (void)state;
    struct cluster *c = started();
    commit(c, 0, 3, 3);
    accept_new_view(c, 1, 2);
    assert_broken(c, INVARIANT_CARRIED_OVER);
}

static void test_new_view_with_another_digest_seen(void **state)
{
    (void)state;
    struct cluster *c = started();
    commit(c, 0, 2, 7);
    accept_new_view(c, 2, 2);
    assert_broken(c, INVARIANT_CARRIED_OVER);
}

static void test_commit_in_an_earlier_view_after_a_new_view_without_it_seen(void **state)
{
    (void)state;
    struct cluster *c = started();
    accept_new_view(c, 3, 2);
    commit(c, 1, 3, 3);
    assert_broken(c, INVARIANT_CARRIED_OVER);
}

/* ---- 19, 20, 23 ---- */

static struct cluster *calm(void)
{
    struct cluster *c = started();
    cluster_calm(c);
    cluster_run(c, 100000);
    assert_true(c->calm.ready && c->calm.complete);
    return c;
}

static void cut_primary(struct cluster *c, uint32_t primary, bool cut)
{
    for (uint32_t id = 0; id < 4; id++)
        cluster_cut(c, primary, id, cut);
}

/* All are in view 1: the first view change is no breach. */
static struct cluster *calm_in_view_1(void)
{
    struct cluster *c = calm();
    cut_primary(c, 0, true);
    cluster_submit(c, 0, 1);
    assert_true(cluster_settle_except(c, 4000000, 1));
    cut_primary(c, 0, false);
    cluster_run(c, 1000000);
    assert_null(cluster_violation(c));
    return c;
}

static void test_second_view_change_after_the_faults_seen(void **state)
{
    (void)state;
    struct cluster *c = calm_in_view_1();
    cut_primary(c, 1, true);
    cluster_submit(c, 0, 1);
    cluster_run(c, 4000000);
    assert_broken(c, INVARIANT_STABILITY);
}

/* Q of H are in a view whose primary has left it itself (seed 310135). */
static void test_view_that_its_primary_is_not_in_may_be_left(void **state)
{
    (void)state;
    struct cluster *c = calm_in_view_1();
    struct cluster *elsewhere = started();
    struct core_summary left = core_summary(c->replicas[2].core);
    struct core *kept = c->replicas[1].core;
    left.view = 2;
    c->replicas[1].core = elsewhere->replicas[1].core; /* in view 0 */
    calm_stepped(c, &c->replicas[2], 1, &left);
    c->replicas[1].core = kept;
    assert_null(cluster_violation(c));
    cluster_free(elsewhere);
    calm_stepped(c, &c->replicas[2], 1, &left);
    assert_broken(c, INVARIANT_STABILITY);
}

static void test_request_that_waits_for_too_many_batches_seen(void **state)
{
    (void)state;
    struct cluster *c = calm();
    cluster_submit(c, 0, 1);
    struct client_request *q = &c->clients[0].requests[1];
    struct msg_verified m;
    assert_null(msg_verify(&c->wire, fixture_checker(), blob_retain(q->bytes), &m));
    calm_held(c, &c->replicas[0], 0, &m);
    assert_int_equal(q->held_at, 0);
    calm_held(c, &c->replicas[1], 0, &m);
    q->held_at = 1; /* one batch was proposed */
    msg_verified_release(&m);
    calm_ordered(c, 0, 1, &q->transaction, 1 + q->batches_most);
    assert_null(cluster_violation(c));
    calm_ordered(c, 0, 1, &q->transaction, 2 + q->batches_most);
    assert_broken(c, INVARIANT_FAIRNESS);
}

/* ---- 24 ---- */

static void vote_for(struct cluster *c, uint64_t time_ms)
{
    struct wire_prepare m = {.sender = 1, .seq = 1, .digest = some_digest(1)};
    struct core_effect e = {.type = CORE_EFFECT_SEND};
    e.send.type = WIRE_TYPE_prepare;
    e.send.bytes = fixture_message(c->group, &wire_record_prepare, &m);
    views_batch(c, &m.digest, time_ms);
    views_told(c, &c->replicas[1], CLUSTER_WALL_MS);
    views_emitted(c, &c->replicas[1], &e);
    blob_release(e.send.bytes);
}

static void test_vote_for_a_batch_at_the_edge_of_the_drift_passes(void **state)
{
    (void)state;
    struct cluster *c = started();
    vote_for(c, CLUSTER_WALL_MS + c->options.drift_ms);
    assert_null(cluster_violation(c));
    cluster_free(c);
}

static void test_vote_for_a_batch_past_the_drift_seen(void **state)
{
    (void)state;
    struct cluster *ahead = started();
    vote_for(ahead, CLUSTER_WALL_MS + ahead->options.drift_ms + 1);
    assert_broken(ahead, INVARIANT_BATCH_TIME);
    struct cluster *behind = started();
    vote_for(behind, CLUSTER_WALL_MS - behind->options.drift_ms - 1);
    assert_broken(behind, INVARIANT_BATCH_TIME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_view_with_what_was_committed_passes),
        cmocka_unit_test(test_new_view_without_what_was_committed_seen),
        cmocka_unit_test(test_new_view_with_another_digest_seen),
        cmocka_unit_test(test_commit_in_an_earlier_view_after_a_new_view_without_it_seen),
        cmocka_unit_test(test_second_view_change_after_the_faults_seen),
        cmocka_unit_test(test_view_that_its_primary_is_not_in_may_be_left),
        cmocka_unit_test(test_request_that_waits_for_too_many_batches_seen),
        cmocka_unit_test(test_vote_for_a_batch_at_the_edge_of_the_drift_passes),
        cmocka_unit_test(test_vote_for_a_batch_past_the_drift_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
