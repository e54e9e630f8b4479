/* test_viewchange.c - which VIEW-CHANGEs are kept, whom to join, V kept for those who come later, and the back-off. The
 * rule of O is in test_viewchange_plan.c, V in test_viewchange_build.c, NEW-VIEWs are in test_viewchange_new_view.c. */
#include "tests/fixture/aborts.h"
#include "tests/fixture/viewchange_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct viewchange_kit kit;

/* A VIEW-CHANGE with one certificate; none when the batch is 0. */
static const struct viewchange_kit_message *say(uint32_t sender, uint64_t view, uint64_t seq, uint64_t in_view,
                                                char batch)
{
    const struct viewchange_kit_claim claim = {.seq = seq, .view = in_view, .batch = batch};
    return viewchange_kit_say(&kit, sender, view, 0, &claim, batch != 0);
}

static const struct viewchange_kit_message *add(const struct viewchange_kit_message *m)
{
    assert_null(viewchange_kit_add(kit.v, m));
    return m;
}

static const struct viewchange_kit_message *ask(uint32_t sender, uint64_t view)
{
    return add(say(sender, view, 0, 0, 0));
}

static void refused(const struct viewchange_kit_message *m)
{
    const char *reason = viewchange_kit_add(kit.v, m);
    assert_non_null(reason);
    assert_string_equal(reason, "this member's VIEW-CHANGE is known already, or a newer one is");
}

/* ---- VIEW-CHANGE ---- */

static void test_viewchange_add_keeps_the_newest_of_each_member(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, 4, 0);
    for (uint32_t id = 0; id < 4; id++)
        assert_null(viewchange_latest(kit.v, id)->blob);
    const struct viewchange_kit_message *other = ask(2, 7);
    const struct viewchange_kit_message *first = ask(3, 1);
    assert_ptr_equal(viewchange_latest(kit.v, 3)->blob, first->blob);
    const struct viewchange_kit_message *second = add(say(3, 2, 5, 1, 'A'));
    const struct viewchange_message *latest = viewchange_latest(kit.v, 3);
    assert_ptr_equal(latest->blob, second->blob);
    assert_int_equal(latest->view, 2);
    assert_true(digest_equal(&latest->id, &second->id));
    assert_true(latest->claims[5].present);
    assert_ptr_equal(viewchange_latest(kit.v, 2)->blob, other->blob);
    assert_null(viewchange_latest(kit.v, 1)->blob);
}

static void test_viewchange_add_of_the_same_or_a_lower_view_is_ignored(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, 4, 0);
    const struct viewchange_kit_message *m = ask(3, 5);
    refused(m);
    refused(say(3, 5, 1, 0, 'A')); /* another message for the same view */
    refused(say(3, 4, 0, 0, 0));
    assert_ptr_equal(viewchange_latest(kit.v, 3)->blob, m->blob);
    assert_int_equal(viewchange_latest(kit.v, 3)->view, 5);
}

static void add_context(void *context)
{
    (void)viewchange_kit_add(kit.v, context);
}

/* Rule 3: an id is checked before it indexes anything. */
static void test_viewchange_add_of_no_member_is_a_failed_check(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, 4, 0);
    struct viewchange_kit_message last = *say(3, 1, 0, 0, 0);
    struct viewchange_kit_message next = *say(4, 1, 0, 0, 0);
    assert_false(aborts(add_context, &last));
    assert_true(aborts(add_context, &next));
}

static void test_viewchange_find_serves_only_that_member_and_id(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, 4, 0);
    const struct viewchange_kit_message *m = ask(1, 1);
    const struct viewchange_kit_message *other = ask(2, 1);
    assert_ptr_equal(viewchange_find(kit.v, 1, &m->id), m->blob);
    assert_ptr_equal(viewchange_find(kit.v, 2, &other->id), other->blob);
    assert_null(viewchange_find(kit.v, 1, &other->id));
    assert_null(viewchange_find(kit.v, 3, &m->id));
    (void)ask(1, 2); /* replaces it */
    assert_null(viewchange_find(kit.v, 1, &m->id));
}

/* ---- the join rule (rule 16) ---- */

struct join_case {
    uint32_t size, self;
    uint64_t views[7]; /* asked for by each member; 0: none */
    uint64_t above, want;
};

static void test_viewchange_join_needs_weak_quorum_of_others_above_and_takes_the_smallest(void **state)
{
    (void)state;
    static const struct join_case cases[] = {
        {1, 0, {9}, 0, 0},
        {2, 0, {0, 9}, 0, 9}, /* f = 0 */
        {4, 0, {0}, 0, 0},
        {4, 0, {0, 9}, 0, 0}, /* f others are not enough */
        {4, 0, {0, 9, 4}, 0, 4},
        {4, 0, {0, 4, 0, 9}, 0, 4},
        {4, 0, {0, 7, 5, 9}, 0, 5}, /* the smallest of all above */
        {4, 2, {7, 6, 0, 0}, 5, 6},
        {4, 0, {9, 9, 0, 0}, 0, 0}, /* the own one does not count */
        {4, 0, {2, 9, 9, 0}, 0, 9}, /* nor is it the smallest */
        {4, 3, {0, 9, 0, 9}, 0, 0},
        {4, 0, {0, 9, 5, 0}, 5, 0}, /* those at or below the own view do not count */
        {4, 0, {0, 9, 4, 0}, 5, 0},
        {4, 0, {0, 9, 4, 6}, 5, 6},
        {4, 0, {0, 6, 6, 0}, 5, 6},
        {7, 6, {8, 9}, 0, 0},
        {7, 6, {8, 9, 0, 0, 0, 12}, 0, 8},
        {7, 0, {0, VIEW_MAX, VIEW_MAX, VIEW_MAX}, VIEW_MAX - 1, VIEW_MAX},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct join_case *c = &cases[k];
        viewchange_kit_start(&kit, c->size, c->self);
        for (uint32_t id = 0; id < c->size; id++)
            if (c->views[id] != 0) (void)ask(id, c->views[id]);
        assert_int_equal(viewchange_join(kit.v, c->above), c->want);
        viewchange_kit_end(&kit);
    }
}

/* Rule 3. */
static void test_viewchange_join_counts_members_not_messages(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, 4, 0);
    for (uint64_t view = 1; view < 9; view++)
        (void)ask(1, view);
    assert_int_equal(viewchange_join(kit.v, 0), 0);
    (void)ask(2, 10);
    assert_int_equal(viewchange_join(kit.v, 0), 8);
}

static void test_viewchange_count_is_of_members_that_have_left_for_the_view_or_beyond(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, 5, 2);
    assert_int_equal(viewchange_count(kit.v, 0), 0); /* members without a message ask for no view */
    static const uint64_t views[] = {3, 3, 3, 4};
    for (uint32_t id = 0; id < 4; id++)
        (void)ask(id, views[id]);
    assert_int_equal(viewchange_count(kit.v, 3), 4); /* the own one too */
    assert_int_equal(viewchange_count(kit.v, 4), 1);
    assert_int_equal(viewchange_count(kit.v, 5), 0);
    (void)ask(0, 4);
    assert_int_equal(viewchange_count(kit.v, 3), 4);
    assert_int_equal(viewchange_count(kit.v, 4), 2);
}

/* ---- V of the view entered ---- */

static void test_viewchange_keep_built_serves_v_when_newer_ones_have_come(void **state)
{
    (void)state;
    static const struct viewchange_plan plan = {.view = 3, .member_count = 3, .members = {0, 1, 3}};
    const struct viewchange_kit_message *m[4];
    viewchange_kit_start(&kit, 4, 0);
    for (uint32_t id = 0; id < 4; id++)
        m[id] = ask(id, 3);
    assert_null(viewchange_kept(kit.v, 0));
    viewchange_keep_built(kit.v, &plan);
    for (uint32_t id = 0; id < 4; id++) {
        assert_ptr_equal(viewchange_kept(kit.v, id), id != 2 ? m[id]->blob : NULL);
        (void)ask(id, 4);
        assert_ptr_equal(viewchange_find(kit.v, id, &m[id]->id), id != 2 ? m[id]->blob : NULL);
    }
}

static void test_viewchange_keep_built_forgets_the_v_before(void **state)
{
    (void)state;
    static const struct viewchange_plan plan = {.view = 3, .member_count = 3, .members = {0, 1, 3}};
    viewchange_kit_start(&kit, 4, 3);
    for (uint32_t id = 0; id < 4; id++)
        (void)ask(id, 3);
    const struct viewchange_kit_message *old = say(2, 2, 0, 0, 0);
    viewchange_restore_kept(kit.v, 2, old->blob, &old->id);
    viewchange_keep_built(kit.v, &plan);
    assert_null(viewchange_kept(kit.v, 2));
    assert_null(viewchange_find(kit.v, 2, &old->id));
}

static void test_viewchange_restore_kept_is_served_until_replaced(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, 4, 0);
    const struct viewchange_kit_message *first = say(1, 1, 0, 0, 0);
    const struct viewchange_kit_message *second = say(1, 2, 0, 0, 0);
    viewchange_restore_kept(kit.v, 1, first->blob, &first->id);
    viewchange_restore_kept(kit.v, 1, first->blob, &first->id); /* itself again */
    assert_ptr_equal(viewchange_kept(kit.v, 1), first->blob);
    assert_ptr_equal(viewchange_find(kit.v, 1, &first->id), first->blob);
    assert_null(viewchange_find(kit.v, 1, &second->id));
    assert_null(viewchange_find(kit.v, 2, &first->id));
    assert_null(viewchange_latest(kit.v, 1)->blob); /* it asks for nothing */
    viewchange_restore_kept(kit.v, 1, second->blob, &second->id);
    assert_null(viewchange_find(kit.v, 1, &first->id));
    assert_ptr_equal(viewchange_find(kit.v, 1, &second->id), second->blob);
}

/* It may be the last one who holds it. */
static void test_viewchange_restore_kept_of_what_is_kept_keeps_it(void **state)
{
    (void)state;
    struct viewchange_kit_message m;
    viewchange_kit_start(&kit, 4, 0);
    viewchange_kit_make(1, 1, 0, NULL, 0, &m);
    viewchange_restore_kept(kit.v, 1, m.blob, &m.id);
    blob_release(m.blob);
    viewchange_restore_kept(kit.v, 1, viewchange_kept(kit.v, 1), &m.id);
    assert_int_equal(viewchange_kept(kit.v, 1)->refs, 1);
}

/* ---- back-off (rule 17) ---- */

static void test_viewchange_backoff_doubles_up_to_the_cap(void **state)
{
    (void)state;
    struct viewchange_backoff b;
    static const uint64_t want[] = {200, 400, 800, 1000, 1000};
    viewchange_backoff_start(&b, 100, 1000);
    assert_int_equal(b.now_us, 100);
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        viewchange_backoff_failed(&b);
        assert_int_equal(b.now_us, want[k]);
    }
    viewchange_backoff_start(&b, 500, 1000); /* doubled it is the cap itself */
    viewchange_backoff_failed(&b);
    assert_int_equal(b.now_us, 1000);
    viewchange_backoff_start(&b, 1, 5); /* an odd cap */
    viewchange_backoff_failed(&b);
    viewchange_backoff_failed(&b);
    assert_int_equal(b.now_us, 4);
    viewchange_backoff_failed(&b);
    assert_int_equal(b.now_us, 5);
}

static void test_viewchange_backoff_does_not_overflow(void **state)
{
    (void)state;
    struct viewchange_backoff b;
    uint64_t before = 3;
    viewchange_backoff_start(&b, 3, UINT64_MAX);
    for (uint32_t k = 0; k < 100; k++) {
        viewchange_backoff_failed(&b);
        assert_true(b.now_us >= before);
        before = b.now_us;
    }
    assert_true(b.now_us == UINT64_MAX);
}

static void executed(struct viewchange_backoff *b, uint32_t batches)
{
    for (uint32_t k = 0; k < batches; k++)
        viewchange_backoff_executed(b);
}

static void test_viewchange_backoff_halves_every_sixteen_batches_down_to_the_base(void **state)
{
    (void)state;
    struct viewchange_backoff b;
    viewchange_backoff_start(&b, 100, 700);
    executed(&b, 100);
    assert_int_equal(b.now_us, 100);
    for (uint32_t k = 0; k < 4; k++)
        viewchange_backoff_failed(&b);
    assert_int_equal(b.now_us, 700);
    static const uint64_t want[] = {350, 175, 100, 100};
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        const uint64_t before = b.now_us;
        executed(&b, VIEWCHANGE_BATCHES_TO_SHRINK - 1);
        assert_int_equal(b.now_us, before);
        executed(&b, 1);
        assert_int_equal(b.now_us, want[k]);
    }
    assert_int_equal(VIEWCHANGE_BATCHES_TO_SHRINK, 16);
}

static void test_viewchange_backoff_counts_batches_anew_after_a_failure(void **state)
{
    (void)state;
    struct viewchange_backoff b;
    viewchange_backoff_start(&b, 100, 1000);
    viewchange_backoff_failed(&b);
    executed(&b, VIEWCHANGE_BATCHES_TO_SHRINK - 1);
    viewchange_backoff_failed(&b);
    executed(&b, VIEWCHANGE_BATCHES_TO_SHRINK - 1);
    assert_int_equal(b.now_us, 400);
    executed(&b, 1);
    assert_int_equal(b.now_us, 200);
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
        TEST(test_viewchange_add_keeps_the_newest_of_each_member),
        TEST(test_viewchange_add_of_the_same_or_a_lower_view_is_ignored),
        TEST(test_viewchange_add_of_no_member_is_a_failed_check),
        TEST(test_viewchange_find_serves_only_that_member_and_id),
        TEST(test_viewchange_join_needs_weak_quorum_of_others_above_and_takes_the_smallest),
        TEST(test_viewchange_join_counts_members_not_messages),
        TEST(test_viewchange_count_is_of_members_that_have_left_for_the_view_or_beyond),
        TEST(test_viewchange_keep_built_serves_v_when_newer_ones_have_come),
        TEST(test_viewchange_keep_built_forgets_the_v_before),
        TEST(test_viewchange_restore_kept_is_served_until_replaced),
        TEST(test_viewchange_restore_kept_of_what_is_kept_keeps_it),
        TEST(test_viewchange_backoff_doubles_up_to_the_cap),
        TEST(test_viewchange_backoff_does_not_overflow),
        TEST(test_viewchange_backoff_halves_every_sixteen_batches_down_to_the_base),
        TEST(test_viewchange_backoff_counts_batches_anew_after_a_failure),
    };
    return cmocka_run_group_tests_name("viewchange", tests, NULL, NULL);
}
