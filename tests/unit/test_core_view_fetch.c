/* test_core_view_fetch.c - what is fetched for a new view, how often and of whom: the VIEW-CHANGEs that a NEW-VIEW names,
 * for as long as one is lacking (rules 8, 14), and the batches without which no NEW-VIEW can be built (rule 9). Core 3 of
 * N = 4, driven by hand, unless a test says so. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE 4u /* intervals in which nothing comes, before another NEW-VIEW is looked at */
#define SOURCES 4u  /* members asked for one VIEW-CHANGE in an interval of a large group */
#define WANTED 16u  /* batches asked for at a time */

static bool in_view(const struct solo *s, uint64_t view)
{
    const struct core_summary now = core_summary(s->core);
    return now.view == view && !now.changing;
}

/* How many VIEW-CHANGEs for that view the last event asked for. */
static uint32_t asked_for(const struct solo *s, uint64_t view)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < solo_sent(s, WIRE_TYPE_fetch); k++) {
        const struct wire_fetch f = solo_message(solo_send(s, WIRE_TYPE_fetch, k)).fetch;
        if (f.kind == DATA_KIND_VIEW_CHANGE && f.view == view) count++;
    }
    return count;
}

/* ---- VIEW-CHANGEs that a NEW-VIEW names ---- */

static void test_view_changes_are_fetched_for_as_long_as_they_are_lacking(void **state)
{
    struct solo s;
    struct solo_view v;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_view_make(&s, 1, NULL, 0, &v);
    assert_null(solo_view_begin(&s, &v));
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(asked_for(&s, 1), 3);
        (void)solo_tick(&s, SOLO_RESEND_US);
    }
    solo_view_say_all(&s, &v);
    assert_true(in_view(&s, 1));
    solo_view_free(&v);
    solo_close(&s);
}

/* A NEW-VIEW of view 1 whose V is nowhere, and a true one of view 2, whose VIEW-CHANGEs come to who asks for them. */
static void begin_two(struct solo *s, struct solo_view *lie, struct solo_view *truth)
{
    solo_ready(s, 4, 3);
    solo_view_make(s, 1, NULL, 0, lie);
    solo_view_make(s, 2, NULL, 0, truth);
    for (uint32_t id = 0; id < 3; id++)
        lie->ids[id] = solo_header(id);
    assert_null(solo_view_begin(s, lie));
    assert_null(solo_view_begin(s, truth));
}

static void test_new_view_that_is_never_complete_gives_way_to_another(void **state)
{
    struct solo s;
    struct solo_view lie;
    struct solo_view truth;
    (void)state;
    begin_two(&s, &lie, &truth);
    for (uint32_t i = 0; i < 3 * PATIENCE && !in_view(&s, 2); i++) {
        (void)solo_tick(&s, SOLO_RESEND_US);
        if (asked_for(&s, 2) > 0) solo_view_say_all(&s, &truth);
    }
    assert_true(in_view(&s, 2));
    solo_view_free(&lie);
    solo_view_free(&truth);
    solo_close(&s);
}

/* Intervals from now until another view's VIEW-CHANGEs are asked for. */
static uint32_t intervals_until_asked_for(struct solo *s, uint64_t view)
{
    for (uint32_t i = 1; i <= 10 * PATIENCE; i++) {
        (void)solo_tick(s, SOLO_RESEND_US);
        if (asked_for(s, view) > 0) return i;
    }
    return 0;
}

/* V may be more than comes in a few intervals: each VIEW-CHANGE that comes is worth the whole patience again. */
static void test_new_view_whose_view_changes_come_one_by_one_is_kept(void **state)
{
    struct solo s;
    struct solo_view first;
    struct solo_view second;
    (void)state;
    for (uint32_t comes = 0; comes < 2; comes++) {
        solo_ready(&s, 4, 3);
        solo_view_make(&s, 1, NULL, 0, &first);
        solo_view_make(&s, 2, NULL, 0, &second);
        assert_null(solo_view_begin(&s, &first));
        assert_null(solo_view_begin(&s, &second));
        for (uint32_t i = 1; i < PATIENCE; i++)
            (void)solo_tick(&s, SOLO_RESEND_US);
        if (comes) assert_null(solo_view_say(&s, &first, 2));
        assert_int_equal(intervals_until_asked_for(&s, 2), comes ? PATIENCE + 2 : 2);
        assert_true(intervals_until_asked_for(&s, 1) > 0); /* and it is looked at again */
        solo_view_free(&first);
        solo_view_free(&second);
        solo_close(&s);
    }
}

/* ---- ... in a large group ---- */

#define LARGE 13u
#define LARGE_Q 9u

/* A NEW-VIEW of view 1 that names the VIEW-CHANGEs of the first Q members, none of which is here. */
static void begin_large(struct solo *s)
{
    uint8_t space[1024];
    struct writer refs = writer_of(space, sizeof space);
    struct wire_new_view m = {.sender = 1, .view = 1};
    solo_ready(s, LARGE, LARGE - 1);
    for (uint32_t id = 0; id < LARGE_Q; id++) {
        const struct wire_view_change_ref ref = {.id = id, .digest = solo_header(id)};
        wire_list_add(&m.view_changes, &refs, &wire_record_view_change_ref, &ref);
    }
    assert_false(refs.overflow);
    assert_null(solo_receive(s, 1, &wire_record_new_view, &m));
}

/* V is as large as what one member serves in many intervals: so each serves another part of it. */
static void test_view_changes_in_a_large_group_are_asked_of_few_at_a_time_and_of_all_in_turn(void **state)
{
    struct solo s;
    bool asked[LARGE][LARGE] = {{false}};
    (void)state;
    begin_large(&s);
    for (uint32_t round = 0; round <= LARGE / SOURCES; round++) {
        uint32_t of[LARGE] = {0};
        for (uint32_t k = 0; k < solo_sent(&s, WIRE_TYPE_fetch); k++) {
            const struct core_effect *e = solo_send(&s, WIRE_TYPE_fetch, k);
            const struct wire_fetch f = solo_message(e).fetch;
            assert_true(e->send.to < LARGE - 1); /* one member, not itself */
            assert_true(f.seq < LARGE_Q);
            asked[f.seq][e->send.to] = true;
            assert_true(++of[e->send.to] <= SOURCES);
        }
        assert_true(round > 0 || asked[0][0]); /* its signer first */
        (void)solo_tick(&s, SOLO_RESEND_US);
    }
    for (uint32_t member = 0; member < LARGE_Q; member++)
        for (uint32_t id = 0; id < LARGE - 1; id++)
            assert_true(asked[member][id]);
    solo_close(&s);
}

/* ---- batches that the NEW-VIEW to be built waits for ---- */

#define MISSING (WANTED + 4u)

/* Core 1 leads view 1 and lacks so many batches: the last VIEW-CHANGE says that they were prepared. */
static void lack(struct solo *s, struct solo_batch batches[MISSING])
{
    struct solo_claim claims[MISSING];
    solo_ready(s, 4, 1);
    for (uint32_t i = 0; i < MISSING; i++) {
        batches[i] = solo_batch_make(s, i + 1);
        claims[i] = (struct solo_claim){i + 1, 0, &batches[i]};
    }
    assert_null(solo_receive_bytes(s, 0, solo_view_change_make(s, 0, 1, claims, MISSING, NULL)));
    assert_null(solo_receive_bytes(s, 3, solo_view_change_make(s, 3, 1, NULL, 0, NULL)));
}

static void expect_fetch(const struct solo *s, uint32_t k, const struct solo_batch *b)
{
    const struct wire_fetch f = solo_message(solo_send(s, WIRE_TYPE_fetch, k)).fetch;
    assert_int_equal(f.kind, DATA_KIND_BATCH);
    assert_true(digest_equal(&f.digest, &b->digest));
}

static void test_missing_batches_under_way_are_not_asked_for_again(void **state)
{
    struct solo s;
    struct solo_batch b[MISSING];
    (void)state;
    lack(&s, b);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), WANTED);
    for (uint32_t i = 0; i < MISSING; i++) { /* for each that comes, the next one */
        assert_null(solo_data(&s, 2, i + 1, &b[i]));
        assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), i + WANTED < MISSING ? 1 : 0);
        if (i + WANTED < MISSING) expect_fetch(&s, 0, &b[i + WANTED]);
    }
    assert_true(in_view(&s, 1));
    for (uint32_t i = 0; i < MISSING; i++)
        solo_batch_free(&b[i]);
    solo_close(&s);
}

static void test_missing_batches_that_did_not_come_are_asked_for_again(void **state)
{
    struct solo s;
    struct solo_batch b[MISSING];
    (void)state;
    lack(&s, b);
    (void)solo_tick(&s, SOLO_RESEND_US / 2);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 0);
    assert_null(solo_data(&s, 2, 1, &b[0]));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 1);
    (void)solo_tick(&s, SOLO_RESEND_US / 2);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), WANTED - 1); /* those of the beginning */
    expect_fetch(&s, 0, &b[1]);
    (void)solo_tick(&s, SOLO_RESEND_US / 2);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 1);
    expect_fetch(&s, 0, &b[WANTED]);
    for (uint32_t i = 0; i < MISSING; i++)
        solo_batch_free(&b[i]);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_changes_are_fetched_for_as_long_as_they_are_lacking),
        cmocka_unit_test(test_new_view_that_is_never_complete_gives_way_to_another),
        cmocka_unit_test(test_new_view_whose_view_changes_come_one_by_one_is_kept),
        cmocka_unit_test(test_view_changes_in_a_large_group_are_asked_of_few_at_a_time_and_of_all_in_turn),
        cmocka_unit_test(test_missing_batches_under_way_are_not_asked_for_again),
        cmocka_unit_test(test_missing_batches_that_did_not_come_are_asked_for_again),
    };
    return cmocka_run_group_tests_name("core_view_fetch", tests, NULL, NULL);
}
