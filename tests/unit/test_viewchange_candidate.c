/* test_viewchange_candidate.c - which of several NEW-VIEWs is looked at, so that a liar's hides no other, and keeping V
 * of the one entered. */
#include "tests/fixture/viewchange_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

/* The view of the NEW-VIEW looked at; 0: none. */
static uint64_t candidate(void)
{
    struct wire_message m;
    const struct blob *b = viewchange_candidate(kit.v);
    if (b == NULL) return 0;
    assert_null(wire_decode(blob_bytes(b), &m));
    return m.new_view.view;
}

static void assert_entered(uint64_t view)
{
    assert_int_equal(resolve(0), VIEWCHANGE_ENTER);
    assert_int_equal(message.view, view);
    assert_int_equal(plan.view, view);
}

/* ---- which one is looked at ---- */

static void offer_empty(uint64_t view)
{
    struct viewchange_kit_new_view n = viewchange_kit_new_view(N, view, 0, "");
    for (uint32_t i = 0; i < Q; i++)
        n.refs[n.ref_count++] = (struct wire_view_change_ref){.id = i, .digest = {{(uint8_t)view}}};
    offer(&n);
}

/* resolve: nobody serves the VIEW-CHANGEs of offer_empty. */
static void assert_candidate(uint64_t view)
{
    assert_int_equal(resolve(0), VIEWCHANGE_FETCH);
    assert_int_equal(candidate(), view);
    assert_int_equal(message.view, view);
}

static void test_viewchange_candidate_is_the_lowest_view(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, N, 0);
    offer_empty(6);
    assert_candidate(6);
    offer_empty(7);
    assert_candidate(6);
    offer_empty(5);
    assert_candidate(5);
    offer_empty(4);
    assert_candidate(4);
    assert_int_equal(resolve(4), VIEWCHANGE_FETCH);
    assert_int_equal(candidate(), 5);
}

static void test_viewchange_candidate_of_a_newer_message_is_chosen_anew(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    const struct viewchange_kit_new_view next = viewchange_kit_right(&kit, 9, m);
    for (uint32_t id = 1; id < N; id++)
        add(m[id]);
    offer(&n);
    assert_candidate(5);
    offer(&next); /* of the same sender */
    assert_null(viewchange_candidate(kit.v));
    assert_entered(9);
    offer_empty(13);
    offer_empty(10);
    assert_candidate(10);
}

static void test_viewchange_candidate_replaced_lacks_nothing_until_looked_at(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    struct digest id;
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    offer(&n);
    add(m[2]);
    assert_candidate(5);
    assert_true(viewchange_lacking(kit.v, 1, &id));
    assert_ptr_equal(viewchange_named(kit.v, 2), m[2]->blob);
    offer_empty(9);
    assert_null(viewchange_named(kit.v, 2));
    assert_false(viewchange_lacking(kit.v, 1, &id));
    assert_candidate(9);
    assert_true(viewchange_lacking(kit.v, 1, &id));
    assert_int_equal(id.bytes[0], 9);
}

/* What was fetched for it is not lost. */
static void test_viewchange_candidate_stays_when_another_is_past(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    offer_empty(5);
    const struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 6, m);
    offer(&n);
    assert_candidate(5);
    viewchange_rotate(kit.v);
    for (uint32_t id = 1; id < N; id++) {
        add(m[id]);
        add(viewchange_kit_usual(&kit, id, 7));
    }
    assert_int_equal(resolve(5), VIEWCHANGE_ENTER);
    assert_int_equal(message.view, 6);
}

static void test_viewchange_candidate_number_changes_with_the_candidate(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, N, 0);
    const uint64_t none = viewchange_candidate_number(kit.v);
    offer_empty(6);
    assert_candidate(6);
    const uint64_t first = viewchange_candidate_number(kit.v);
    assert_true(first != none);
    assert_candidate(6); /* looked at again */
    viewchange_rotate(kit.v);
    offer_empty(7);
    assert_candidate(6);
    assert_int_equal(viewchange_candidate_number(kit.v), first);
    viewchange_rotate(kit.v);
    assert_candidate(7);
    const uint64_t second = viewchange_candidate_number(kit.v);
    assert_true(second != first && second != none);
    offer_empty(11); /* another message of the same sender */
    assert_candidate(6);
    viewchange_rotate(kit.v);
    assert_candidate(11);
    assert_true(viewchange_candidate_number(kit.v) > second + 1); /* none comes back */
}

static void test_viewchange_rotate_without_another_stays(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, N, 0);
    viewchange_rotate(kit.v);
    assert_int_equal(resolve(0), VIEWCHANGE_WAIT);
    offer_empty(5);
    viewchange_rotate(kit.v); /* none is looked at yet */
    assert_null(viewchange_candidate(kit.v));
    assert_candidate(5);
    viewchange_rotate(kit.v);
    assert_candidate(5);
    offer_empty(4); /* it was not rotated to: the lower one takes its place */
    assert_candidate(4);
}

static void test_viewchange_rotate_goes_round_by_sender(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, N, 0);
    offer_empty(11); /* of member 3 */
    offer_empty(5);  /* 1 */
    offer_empty(8);  /* 0 */
    static const uint64_t want[] = {5, 11, 8, 5, 11, 8};
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        assert_candidate(want[k]);
        assert_candidate(want[k]); /* no lower one takes its turn */
        viewchange_rotate(kit.v);
    }
}

static void test_viewchange_rotate_finds_the_one_other_of_any_sender(void **state)
{
    (void)state;
    for (uint64_t first = 4; first < 8; first++) {
        for (uint64_t other = 8; other < 12; other++) {
            if (first % N == other % N) continue;
            viewchange_kit_start(&kit, N, 0);
            offer_empty(first);
            offer_empty(other);
            assert_candidate(first);
            viewchange_rotate(kit.v);
            assert_candidate(other);
            viewchange_kit_end(&kit);
        }
    }
}

static void test_viewchange_rotate_then_a_lower_view_does_not_take_the_turn(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, N, 0);
    offer_empty(6);
    offer_empty(7);
    assert_candidate(6);
    viewchange_rotate(kit.v);
    offer_empty(5);
    assert_candidate(7);
    offer_empty(11); /* the candidate's own sender: chosen anew */
    assert_candidate(5);
    offer_empty(4); /* and the turn is over */
    assert_candidate(4);
}

static void test_viewchange_rotate_ends_its_turn_when_the_candidate_is_past(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, N, 0);
    offer_empty(6);
    offer_empty(5);
    assert_candidate(5);
    viewchange_rotate(kit.v);
    assert_candidate(6);
    offer_empty(11);
    assert_int_equal(resolve(6), VIEWCHANGE_FETCH);
    assert_int_equal(candidate(), 11);
    offer_empty(8);
    assert_int_equal(resolve(6), VIEWCHANGE_FETCH);
    assert_int_equal(candidate(), 8);
}

/* A liar's candidate that nobody can resolve. */
static void test_viewchange_rotate_lets_the_next_be_entered(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 6, m);
    for (uint32_t id = 1; id < N; id++)
        add(m[id]);
    offer_empty(5);
    offer(&n);
    assert_candidate(5);
    viewchange_rotate(kit.v);
    assert_entered(6);
}

/* ---- keeping V (rule 15) ---- */

static void test_viewchange_keep_candidate_serves_what_it_named(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    struct digest id;
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_message *old = viewchange_kit_usual(&kit, 0, 4);
    viewchange_restore_kept(kit.v, 0, old->blob, &old->id);
    const struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    for (uint32_t member = 1; member < N; member++)
        add(m[member]);
    offer(&n);
    assert_entered(5);
    add(viewchange_kit_usual(&kit, 1, 6)); /* no more the newest of its member */
    viewchange_keep_candidate(kit.v);
    assert_null(viewchange_candidate(kit.v));
    assert_null(viewchange_kept(kit.v, 0));
    for (uint32_t member = 1; member < N; member++) {
        assert_ptr_equal(viewchange_kept(kit.v, member), m[member]->blob);
        assert_null(viewchange_named(kit.v, member));
        assert_false(viewchange_lacking(kit.v, member, &id));
        add(viewchange_kit_usual(&kit, member, 7));
        assert_ptr_equal(viewchange_find(kit.v, member, &m[member]->id), m[member]->blob);
    }
    assert_int_equal(resolve(5), VIEWCHANGE_WAIT);
}

/* Nothing is wanted any more: an old message does not come in again. */
static void test_viewchange_keep_candidate_ends_what_is_wanted(void **state)
{
    (void)state;
    const struct viewchange_kit_message *m[N];
    viewchange_kit_start(&kit, N, 0);
    const struct viewchange_kit_new_view n = viewchange_kit_right(&kit, 5, m);
    for (uint32_t member = 1; member < N; member++)
        add(m[member]);
    offer(&n);
    assert_entered(5);
    viewchange_keep_candidate(kit.v);
    for (uint32_t member = 1; member < N; member++) {
        add(viewchange_kit_usual(&kit, member, 6));
        assert_non_null(viewchange_kit_add(kit.v, m[member]));
    }
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
        TEST(test_viewchange_candidate_is_the_lowest_view),
        TEST(test_viewchange_candidate_of_a_newer_message_is_chosen_anew),
        TEST(test_viewchange_candidate_replaced_lacks_nothing_until_looked_at),
        TEST(test_viewchange_candidate_stays_when_another_is_past),
        TEST(test_viewchange_candidate_number_changes_with_the_candidate),
        TEST(test_viewchange_rotate_without_another_stays),
        TEST(test_viewchange_rotate_goes_round_by_sender),
        TEST(test_viewchange_rotate_finds_the_one_other_of_any_sender),
        TEST(test_viewchange_rotate_then_a_lower_view_does_not_take_the_turn),
        TEST(test_viewchange_rotate_ends_its_turn_when_the_candidate_is_past),
        TEST(test_viewchange_rotate_lets_the_next_be_entered),
        TEST(test_viewchange_keep_candidate_serves_what_it_named),
        TEST(test_viewchange_keep_candidate_ends_what_is_wanted),
    };
    return cmocka_run_group_tests_name("viewchange_candidate", tests, NULL, NULL);
}
