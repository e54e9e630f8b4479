/* test_viewchange_new_view.c - which NEW-VIEWs are taken up, which one is looked at, what is fetched for it, and that
 * it is entered only when its O follows from its V (rule 2). */
#include "tests/fixture/aborts.h"
#include "tests/fixture/viewchange_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL
#define L WINDOW_BATCHES
#define N 4u /* members; the test's own is 0 */
#define Q 3u

static struct viewchange_kit kit;
static struct viewchange_plan plan;
static struct wire_new_view message;
static const char *reason;

static enum viewchange_decision resolve(uint64_t above)
{
    reason = "unset";
    return viewchange_resolve(kit.v, above, &plan, &message, &reason);
}

static void add(const struct viewchange_kit_message *m)
{
    assert_null(viewchange_kit_add(kit.v, m));
}

static void offer(const struct viewchange_kit_new_view *n)
{
    assert_null(viewchange_kit_offer(&kit, n, 0));
}

static void refused(const struct viewchange_kit_new_view *n, uint64_t above, const char *want)
{
    const char *got = viewchange_kit_offer(&kit, n, above);
    assert_non_null(got);
    assert_string_equal(got, want);
}

/* The view of the NEW-VIEW looked at; 0: none. */
static uint64_t candidate(void)
{
    struct wire_message m;
    const struct blob *b = viewchange_candidate(kit.v);
    if (b == NULL) return 0;
    assert_null(wire_decode(blob_bytes(b), &m));
    return m.new_view.view;
}

/* ---- offering ---- */

#define PAST "a NEW-VIEW of a view that is past or entered"
#define NOT_Q "a NEW-VIEW that does not name exactly Q VIEW-CHANGEs"
#define NOT_DISTINCT "a NEW-VIEW whose VIEW-CHANGEs are not of distinct members, ids ascending"
#define KNOWN "this member's NEW-VIEW is known already"

static void test_viewchange_offer_of_a_view_not_above_is_refused(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    refused(&n, 6, PAST);
    refused(&n, 5, PAST);
    assert_null(viewchange_kit_offer(&kit, &n, 4));
}

/* Rule 2. */
static void test_viewchange_offer_without_exactly_q_view_changes_is_refused(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    n.ref_count = 2;
    refused(&n, 0, NOT_Q);
    n.refs[3] = n.refs[2];
    for (uint32_t id = 0; id < N; id++)
        n.refs[id].id = id;
    n.ref_count = 4;
    refused(&n, 0, NOT_Q);
    n.ref_count = 3;
    offer(&n);
}

/* Rule 3. */
static void test_viewchange_offer_of_members_not_distinct_and_ascending_is_refused(void **state)
{
    (void)state;
    static const uint64_t wrong[][Q] = {{1, 1, 2}, {0, 0, 0},   {1, 2, 2}, {0, 2, 1}, {3, 2, 1},
                                        {1, 2, 4}, {2, 3, 127}, {4, 4, 4}, {1, 0, 2}};
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        for (uint32_t i = 0; i < Q; i++)
            n.refs[i].id = wrong[k][i];
        refused(&n, 0, NOT_DISTINCT);
    }
    static const uint64_t good[][Q] = {{0, 1, 2}, {1, 2, 3}};
    for (uint32_t k = 0; k < 2; k++, n.view++) {
        for (uint32_t i = 0; i < Q; i++)
            n.refs[i].id = good[k][i];
        offer(&n);
    }
}

static void test_viewchange_offer_of_the_same_or_a_lower_view_again_is_refused(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_new_view low = viewchange_kit_right(&kit, 5, m);
    const struct viewchange_kit_new_view middle = viewchange_kit_right(&kit, 9, m);
    const struct viewchange_kit_new_view high = viewchange_kit_right(&kit, 13, m); /* all of member 1 */
    offer(&middle);
    refused(&middle, 0, KNOWN);
    refused(&low, 0, KNOWN);
    offer(&high);
    assert_int_equal(resolve(0), VIEWCHANGE_FETCH);
    assert_int_equal(candidate(), 13);
}

static void offer_context(void *context)
{
    (void)viewchange_kit_offer(&kit, context, 0);
}

static void test_viewchange_offer_of_no_member_is_a_failed_check(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 7, m);
    assert_int_equal(n.sender, 3);
    assert_false(aborts(offer_context, &n));
    n.sender = 4;
    assert_true(aborts(offer_context, &n));
}

/* ---- resolving ---- */

static void test_viewchange_resolve_without_a_candidate_waits(void **state)
{
    (void)state;
    struct digest id;
    viewchange_kit_start(&kit, N, 0);
    add(viewchange_kit_usual(&kit, 1, 5));
    assert_int_equal(resolve(0), VIEWCHANGE_WAIT);
    assert_null(viewchange_candidate(kit.v));
    for (uint32_t member = 0; member < N; member++) {
        assert_false(viewchange_lacking(kit.v, member, &id));
        assert_null(viewchange_named(kit.v, member));
    }
}

static void assert_entered(uint64_t view)
{
    assert_int_equal(resolve(0), VIEWCHANGE_ENTER);
    assert_null(reason);
    assert_int_equal(message.view, view);
    assert_int_equal(message.sender, view % N);
    assert_int_equal(message.proposals.count, 3);
    assert_int_equal(plan.view, view);
    assert_int_equal(plan.low, 0);
    assert_int_equal(plan.high, 3);
    assert_int_equal(plan.member_count, Q);
    for (uint32_t i = 0; i < Q; i++)
        assert_int_equal(plan.members[i], i + 1);
    const char want[] = {'A', '0', 'B'};
    for (uint32_t i = 0; i < 3; i++) {
        const struct digest d = viewchange_kit_batch(want[i]);
        assert_memory_equal(plan.proposals[i].bytes, d.bytes, DIGEST_BYTES);
    }
}

static void test_viewchange_resolve_enters_when_all_are_known(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    for (uint32_t id = 1; id < N; id++)
        add(m[id]);
    offer(&n);
    assert_entered(5);
    assert_entered(5); /* until it is kept */
    assert_int_equal(candidate(), 5);
    for (uint32_t id = 0; id < N; id++)
        assert_ptr_equal(viewchange_named(kit.v, id), id == 0 ? NULL : m[id]->blob);
}

static void test_viewchange_resolve_enters_above_a_checkpoint(void **state)
{
    (void)state;
    static const struct viewchange_kit_claim p[] = {{K + 2, 0, 'A', 0}, {K, 0, 'B', 0}};
    viewchange_kit_start(&kit, N, 0);
    struct viewchange_kit_new_view n = viewchange_kit_new_view(N, 5, K, "0A");
    for (uint32_t id = 0; id < Q; id++) {
        const struct viewchange_kit_message *m = viewchange_kit_say(&kit, id, 5, id == 1 ? K : 0, p, 2);
        viewchange_kit_ref(&n, m);
        add(m);
    }
    offer(&n);
    assert_int_equal(resolve(0), VIEWCHANGE_ENTER);
    assert_int_equal(plan.low, K);
    assert_int_equal(plan.high, K + 2);
}

/* Bit id of `here`: that member's VIEW-CHANGE need not be fetched. */
static void assert_lacking(const struct viewchange_kit_message *m[N], uint32_t here)
{
    struct digest id = {{0}};
    assert_int_equal(resolve(0), VIEWCHANGE_FETCH);
    for (uint32_t member = 1; member < N; member++) {
        const bool has = (here >> member & 1u) != 0;
        assert_int_equal(viewchange_lacking(kit.v, member, &id), !has);
        if (!has) assert_true(digest_equal(&id, &m[member]->id));
        assert_ptr_equal(viewchange_named(kit.v, member), has ? m[member]->blob : NULL);
    }
    assert_false(viewchange_lacking(kit.v, 0, &id)); /* not named */
    assert_null(viewchange_named(kit.v, 0));
}

/* newer: each member has asked for a higher view meanwhile, so that only the NEW-VIEW makes its message wanted. */
static void fetch_in_order(const uint32_t order[3], bool newer)
{
    const struct viewchange_kit_message *m[N];
    uint32_t here = 0;
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    for (uint32_t id = 0; id < N && newer; id++)
        add(viewchange_kit_say(&kit, id, 6, 0, NULL, 0));
    offer(&n);
    for (uint32_t k = 0; k < 3; k++) {
        const uint32_t id = order[k];
        assert_lacking(m, here);
        if (newer)
            assert_non_null(viewchange_kit_add(kit.v, viewchange_kit_usual(&kit, id, 4))); /* not the one wanted */
        add(m[id]);
        assert_non_null(viewchange_kit_add(kit.v, m[id])); /* it is here now */
        assert_int_equal(viewchange_latest(kit.v, id)->view, newer ? 6 : 5);
        assert_ptr_equal(viewchange_find(kit.v, id, &m[id]->id), m[id]->blob);
        assert_null(viewchange_find(kit.v, id, &m[id % 3 + 1]->id));
        here |= 1u << id;
    }
    assert_entered(5);
    viewchange_kit_end(&kit);
}

static void test_viewchange_resolve_enters_once_all_are_fetched_in_any_order(void **state)
{
    (void)state;
    static const uint32_t orders[][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};
    for (uint32_t k = 0; k < 6; k++) {
        fetch_in_order(orders[k], false);
        fetch_in_order(orders[k], true);
    }
}

static void test_viewchange_resolve_keeps_what_is_named_when_newer_ones_come(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    offer(&n);
    assert_int_equal(resolve(0), VIEWCHANGE_FETCH);
    for (uint32_t id = 1; id < N; id++) {
        add(m[id]);
        add(viewchange_kit_usual(&kit, id, 6));
    }
    assert_entered(5);
}

static void test_viewchange_resolve_asks_for_another_message_of_a_member_that_sent_two(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    add(viewchange_kit_say(&kit, 1, 5, 0, NULL, 0));
    add(m[2]);
    add(m[3]);
    offer(&n);
    assert_lacking(m, 1u << 2 | 1u << 3);
    add(m[1]);
    assert_entered(5);
}

static void test_viewchange_resolve_drops_what_is_past(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    struct digest id;
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_new_view low = viewchange_kit_right(&kit, 5, m);
    const struct viewchange_kit_new_view high = viewchange_kit_right(&kit, 6, m);
    offer(&low);
    assert_int_equal(resolve(4), VIEWCHANGE_FETCH);
    assert_int_equal(candidate(), 5);
    assert_int_equal(resolve(5), VIEWCHANGE_WAIT);
    assert_null(viewchange_candidate(kit.v));
    assert_false(viewchange_lacking(kit.v, 1, &id));
    refused(&low, 0, KNOWN); /* views never go down */
    offer(&high);
    assert_int_equal(resolve(5), VIEWCHANGE_FETCH);
    assert_int_equal(candidate(), 6);
}

/* ---- rejecting (rule 2) ---- */

#define OTHER_SEQS "a NEW-VIEW proposes other sequences than follow from V"
#define OTHER_BATCH "a NEW-VIEW proposes another batch than follows from V"
#define OTHER_VIEW "a NEW-VIEW names a VIEW-CHANGE for another view"

static void assert_rejected(const struct viewchange_kit_new_view *n, const char *want)
{
    assert_int_equal(resolve(0), VIEWCHANGE_REJECT);
    assert_non_null(reason);
    assert_string_equal(reason, want);
    assert_int_equal(message.view, n->view);
    assert_null(viewchange_candidate(kit.v));
    assert_int_equal(resolve(0), VIEWCHANGE_WAIT); /* not taken up again */
    refused(n, 0, KNOWN);
    assert_int_equal(resolve(0), VIEWCHANGE_WAIT);
}

static void test_viewchange_resolve_rejects_batches_that_do_not_follow(void **state)
{
    (void)state;
    static const struct {
        uint64_t low; /* of the proposals */
        const char *batches;
        const char *want;
    } cases[] = {
        {0, "X0B", OTHER_BATCH},                                                   /* of a lower view */
        {0, "00B", OTHER_BATCH},                                                   /* null over a prepared n */
        {0, "ACB", OTHER_BATCH},                                                   /* a batch where none prepared */
        {0, "A00", OTHER_BATCH}, {0, "A0A", OTHER_BATCH}, {0, "", OTHER_SEQS},     /* too few */
        {0, "A0", OTHER_SEQS},   {1, "0B", OTHER_SEQS},   {0, "A0B0", OTHER_SEQS}, /* too many */
        {0, "A0BC", OTHER_SEQS}, {1, "A0B", OTHER_SEQS},                           /* the right number of others */
        {K, "A0B", OTHER_SEQS},  {L, "A0B", OTHER_SEQS},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct viewchange_kit_message *m[N];
        viewchange_kit_start(&kit, N, 0);
        struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
        const struct viewchange_kit_new_view o = viewchange_kit_new_view(N, 5, cases[k].low, cases[k].batches);
        n.proposal_count = o.proposal_count;
        memcpy(n.proposals, o.proposals, sizeof n.proposals);
        for (uint32_t id = 1; id < N; id++)
            add(m[id]);
        offer(&n);
        assert_rejected(&n, cases[k].want);
        viewchange_kit_end(&kit);
    }
}

static void test_viewchange_resolve_rejects_each_sequence_out_of_place(void **state)
{
    (void)state;
    static const uint64_t wrong[] = {0, 1, 2, 3, 4, L + 1, L + 2, L + 3, SEQ_MAX};
    for (uint32_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
            const struct viewchange_kit_message *m[N];
            if (wrong[k] == i + 1) continue;
            viewchange_kit_start(&kit, N, 0);
            struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
            n.proposals[i].seq = wrong[k];
            for (uint32_t id = 1; id < N; id++)
                add(m[id]);
            offer(&n);
            assert_rejected(&n, OTHER_SEQS);
            viewchange_kit_end(&kit);
        }
    }
}

static void test_viewchange_resolve_rejects_proposals_when_none_follow(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, N, 0);
    struct viewchange_kit_new_view n = viewchange_kit_new_view(N, 5, K, "0");
    for (uint32_t id = 1; id < N; id++) {
        const struct viewchange_kit_message *m = viewchange_kit_say(&kit, id, 5, K, NULL, 0);
        viewchange_kit_ref(&n, m);
        add(m);
    }
    offer(&n);
    assert_rejected(&n, OTHER_SEQS);
    n.view = 9;
    for (uint32_t id = 1; id < N; id++) {
        const struct viewchange_kit_message *m = viewchange_kit_say(&kit, id, 9, K, NULL, 0);
        n.refs[id - 1].digest = m->id;
        add(m);
    }
    n.proposal_count = 0;
    offer(&n);
    assert_int_equal(resolve(0), VIEWCHANGE_ENTER);
    assert_int_equal(plan.low, K);
    assert_int_equal(plan.high, K);
}

/* Of a lower view or a higher one, of any of the three. */
static void test_viewchange_resolve_rejects_a_view_change_for_another_view(void **state)
{
    (void)state;
    for (uint32_t other = 1; other < N; other++) {
        for (uint64_t view = 4; view <= 6; view += 2) {
            const struct viewchange_kit_message *m[N];
            viewchange_kit_start(&kit, N, 0);
            struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
            m[other] = viewchange_kit_usual(&kit, other, view);
            n.refs[other - 1].digest = m[other]->id;
            for (uint32_t id = 1; id < N; id++)
                add(m[id]);
            offer(&n);
            assert_rejected(&n, OTHER_VIEW);
            viewchange_kit_end(&kit);
        }
    }
}

static void test_viewchange_resolve_rejected_does_not_stop_its_sender_or_another(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_new_view other = viewchange_kit_right(&kit, 6, m); /* of member 2 */
    const struct viewchange_kit_new_view next = viewchange_kit_right(&kit, 9, m);  /* of member 1, as the wrong one */
    struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    n.proposals[0].seq = 2;
    for (uint32_t id = 1; id < N; id++)
        add(m[id]);
    offer(&n);
    offer(&other);
    assert_int_equal(resolve(0), VIEWCHANGE_REJECT);
    assert_int_equal(resolve(0), VIEWCHANGE_FETCH);
    assert_int_equal(candidate(), 6);
    offer(&next);
    assert_int_equal(resolve(6), VIEWCHANGE_FETCH);
    assert_int_equal(candidate(), 9);
}

/* A fault of its primary: the core may still look at what was rejected. */
static void test_viewchange_resolve_rejected_message_lives_until_the_next_call(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    struct wire_reproposal p;
    viewchange_kit_start(&kit, N, 0);
    struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    n.proposals[2].digest = viewchange_kit_batch('Y');
    for (uint32_t id = 1; id < N; id++)
        add(m[id]);
    offer(&n);
    assert_int_equal(resolve(0), VIEWCHANGE_REJECT);
    assert_int_equal(kit.offered[0]->refs, 2); /* the test's own is one */
    struct wire_iterator i = wire_list_start(message.proposals);
    for (uint32_t k = 0; k < 3; k++) {
        assert_true(wire_list_next(&i, &wire_record_reproposal, &p));
        assert_int_equal(p.seq, k + 1);
        assert_true(digest_equal(&p.digest, &n.proposals[k].digest));
    }
    assert_int_equal(resolve(0), VIEWCHANGE_WAIT);
    assert_int_equal(kit.offered[0]->refs, 1);
    n.view = 9;
    offer(&n);
    assert_int_equal(resolve(0), VIEWCHANGE_REJECT); /* and so it ends: viewchange_kit_end looks at the references */
}

static int test_teardown(void **state)
{
    (void)state;
    viewchange_kit_end(&kit);
    return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_viewchange_offer_of_a_view_not_above_is_refused),
        TEST(test_viewchange_offer_without_exactly_q_view_changes_is_refused),
        TEST(test_viewchange_offer_of_members_not_distinct_and_ascending_is_refused),
        TEST(test_viewchange_offer_of_the_same_or_a_lower_view_again_is_refused),
        TEST(test_viewchange_offer_of_no_member_is_a_failed_check),
        TEST(test_viewchange_resolve_without_a_candidate_waits),
        TEST(test_viewchange_resolve_enters_when_all_are_known),
        TEST(test_viewchange_resolve_enters_above_a_checkpoint),
        TEST(test_viewchange_resolve_enters_once_all_are_fetched_in_any_order),
        TEST(test_viewchange_resolve_keeps_what_is_named_when_newer_ones_come),
        TEST(test_viewchange_resolve_asks_for_another_message_of_a_member_that_sent_two),
        TEST(test_viewchange_resolve_drops_what_is_past),
        TEST(test_viewchange_resolve_rejects_batches_that_do_not_follow),
        TEST(test_viewchange_resolve_rejects_each_sequence_out_of_place),
        TEST(test_viewchange_resolve_rejects_proposals_when_none_follow),
        TEST(test_viewchange_resolve_rejects_a_view_change_for_another_view),
        TEST(test_viewchange_resolve_rejected_does_not_stop_its_sender_or_another),
        TEST(test_viewchange_resolve_rejected_message_lives_until_the_next_call),
    };
    return cmocka_run_group_tests_name("viewchange_new_view", tests, NULL, NULL);
}
