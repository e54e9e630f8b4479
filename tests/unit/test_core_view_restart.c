/* test_core_view_restart.c - a replica that stops in the middle of a view change, and what its record makes of it
 * (rules 12 and 13; design.md 7.1, 7.5). Core 3 of N = 4, driven by hand, unless a test says so. */
#include "tests/fixture/solo.h"

#include "viewchange/viewchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define L WINDOW_BATCHES
#define T SOLO_TIMEOUT_US

static const struct core_event stop = {.type = CORE_EVENT_STOP};

/* A record to start from, with room for one certificate. */
struct record {
    struct core_client_window windows[SOLO_CLIENTS];
    struct core_recovered_slot slot;
    struct core_recovered recovered;
    struct blob *certificate;
};

static void record_make(struct record *r, uint64_t view, bool clean)
{
    memset(r, 0, sizeof *r);
    r->recovered.view = view;
    r->recovered.clean = clean;
    r->recovered.windows = r->windows;
    r->recovered.slots = &r->slot;
}

/* The prepared certificate of view 0 for one batch. */
static void record_certificate(struct record *r, const struct solo *s, uint64_t seq, const struct solo_batch *b)
{
    r->certificate = fixture_prepared(s->group, 0, seq, &b->digest, 0x7);
    r->slot = (struct core_recovered_slot){
        .seq = seq, .digest = b->digest, .batch = b->bytes, .time_ms = b->time_ms, .certificate = true};
    r->recovered.slot_count = 1;
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(r->certificate), &r->slot.prepared));
}

static uint64_t left_for(const struct solo *s)
{
    const struct core_effect *e = solo_send(s, WIRE_TYPE_view_change, 0);
    return e == NULL ? 0 : solo_message(e).view_change.view;
}

/* ---- stopped while it waited for a NEW-VIEW ---- */

static void test_start_with_a_view_change_goes_on_waiting(void **state)
{
    struct solo s;
    struct record r;
    (void)state;
    for (uint32_t clean = 0; clean < 2; clean++) {
        record_make(&r, 1, clean == 1);
        solo_open(&s, 4, 3);
        struct blob *own = solo_view_change_make(&s, 3, 1, NULL, 0, NULL);
        r.recovered.view_change = own;
        solo_start(&s, &r.recovered);
        (void)solo_all_persisted(&s);
        assert_true(core_summary(s.core).changing);
        assert_int_equal(core_summary(s.core).view, 1);
        struct solo_batch b = solo_batch_make(&s, 1);
        assert_null(solo_propose_in(&s, 1, 1, &b, true)); /* kept until its view begins */
        assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
        (void)solo_tick(&s, SOLO_RESEND_US);
        assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_status, 0)).status.flags, STATUS_FLAG_CHANGING);
        assert_null(solo_status_in(&s, 2, 0, false)); /* as signed: rule 15 */
        const struct core_effect *e = solo_send(&s, WIRE_TYPE_view_change, 0);
        assert_non_null(e);
        assert_int_equal(e->send.bytes->len, own->len);
        assert_memory_equal(e->send.bytes->data, own->data, own->len);
        solo_batch_free(&b);
        blob_release(own);
        solo_close(&s);
    }
}

/* Its own VIEW-CHANGE counts as before: two others make Q, and as primary of that view it builds. */
static void test_start_with_a_view_change_builds_as_primary(void **state)
{
    struct solo s;
    struct record r;
    (void)state;
    record_make(&r, 1, false);
    solo_open(&s, 4, 1);
    struct blob *own = solo_view_change_make(&s, 1, 1, NULL, 0, NULL);
    r.recovered.view_change = own;
    solo_start(&s, &r.recovered);
    (void)solo_all_persisted(&s);
    assert_null(solo_view_change(&s, 0, 1));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_new_view), 0);
    assert_null(solo_view_change(&s, 2, 1));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_new_view), 1);
    blob_release(own);
    solo_close(&s);
}

/* The abstention after an unclean stop is about the view left; in the next one it votes. */
static void test_start_with_a_view_change_votes_in_the_view_when_it_begins(void **state)
{
    struct solo s;
    struct record r;
    (void)state;
    record_make(&r, 1, false);
    solo_open(&s, 4, 3);
    struct blob *own = solo_view_change_make(&s, 3, 1, NULL, 0, NULL);
    r.recovered.view_change = own;
    solo_start(&s, &r.recovered);
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).abstain_until, 0);
    struct solo_batch b = solo_batch_make(&s, 1);
    solo_enter(&s, 1, NULL, 0);
    (void)solo_all_persisted(&s);
    assert_null(solo_propose_in(&s, 1, 1, &b, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    solo_batch_free(&b);
    blob_release(own);
    solo_close(&s);
}

/* What it had prepared is in the record: kept, and said again in the VIEW-CHANGE after that one. */
static void test_start_with_a_view_change_keeps_its_certificates(void **state)
{
    struct solo s;
    struct record r;
    (void)state;
    record_make(&r, 1, false);
    solo_open(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    record_certificate(&r, &s, 1, &b);
    const struct solo_claim claim = {1, 0, &b};
    struct blob *own = solo_view_change_make(&s, 3, 1, &claim, 1, NULL);
    r.recovered.view_change = own;
    solo_start(&s, &r.recovered);
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).read_barrier, 1);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 0, 1, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 0); /* of view 0: past */
    assert_null(solo_view_change(&s, 0, 2));
    assert_null(solo_view_change(&s, 1, 2));
    assert_int_equal(left_for(&s), 2);
    assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_view_change, 0)).view_change.prepared.count, 1);
    blob_release(own);
    blob_release(r.certificate);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_stop_while_changing_keeps_no_vote_and_is_clean(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    assert_null(solo_view_change(&s, 0, 1));
    assert_null(solo_step(&s, &stop));
    assert_null(solo_persist(&s, CORE_PERSIST_VOTE)); /* it would be taken for one of view 1 */
    assert_non_null(solo_persist(&s, CORE_PERSIST_CLEAN));
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- stopped in a view that a NEW-VIEW began ---- */

/* The record after an entry into view 1 whose O is these claims. */
static struct blob *new_view_of(const struct solo *s, const struct solo_claim *claims, uint32_t count)
{
    struct solo_view v;
    solo_view_make(s, 1, claims, count, &v);
    struct blob *out = solo_view_message(s, &v);
    solo_view_free(&v);
    return out;
}

static void test_start_with_a_new_view_carries_its_proposals_whatever_their_time(void **state)
{
    struct solo s;
    struct record r;
    (void)state;
    record_make(&r, 1, true);
    solo_open(&s, 4, 3);
    struct solo_batch old = solo_batch_at(&s, 1, s.wall_ms - 10 * SOLO_DRIFT_MS);
    const struct solo_claim claim = {1, 0, &old};
    struct blob *new_view = new_view_of(&s, &claim, 1);
    r.recovered.new_view = new_view;
    solo_start(&s, &r.recovered);
    (void)solo_all_persisted(&s);
    assert_false(core_summary(s.core).changing);
    assert_null(solo_data(&s, 1, 1, &old));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    const struct wire_prepare p = solo_message(solo_send(&s, WIRE_TYPE_prepare, 0)).prepare;
    assert_int_equal(p.view, 1);
    assert_true(digest_equal(&p.digest, &old.digest));
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 0, 0, false)); /* and who lacks the NEW-VIEW gets it from here */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_new_view), 1);
    blob_release(new_view);
    solo_batch_free(&old);
    solo_close(&s);
}

/* Fenced it casts no vote, but the NEW-VIEW is its primary's word, and may be here alone. */
static void test_start_fenced_in_a_view_still_sends_its_new_view(void **state)
{
    struct solo s;
    struct record r;
    (void)state;
    record_make(&r, 1, false);
    r.recovered.fence_until = WINDOW_BATCHES;
    solo_open(&s, 4, 3);
    struct blob *new_view = new_view_of(&s, NULL, 0);
    r.recovered.new_view = new_view;
    solo_start(&s, &r.recovered);
    (void)solo_all_persisted(&s);
    assert_true(core_summary(s.core).fenced);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 0, 0, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_new_view), 1);
    blob_release(new_view);
    solo_close(&s);
}

/* As the primary of that view: its NEW-VIEW was its vote for O, and what is new comes after it. */
static void test_start_primary_with_a_new_view_goes_on_after_o(void **state)
{
    struct solo s;
    struct record r;
    (void)state;
    record_make(&r, 1, true);
    solo_open(&s, 4, 1);
    struct solo_batch a = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &a};
    struct blob *new_view = new_view_of(&s, &claim, 1);
    r.recovered.new_view = new_view;
    solo_start(&s, &r.recovered);
    (void)solo_all_persisted(&s);
    assert_null(solo_request(&s, 1, 1));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0); /* O has not executed */
    assert_null(solo_data(&s, 2, 1, &a));
    for (uint32_t id = 2; id <= 3; id++)
        assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 1, id, 1, &a.digest));
    (void)solo_all_persisted(&s);
    for (uint32_t id = 2; id <= 3; id++)
        assert_null(solo_vote_in(&s, WIRE_TYPE_commit, 1, id, 1, &a.digest));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    assert_null(solo_executed(&s, 1, a.time_ms, NULL, 0));
    assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 0)).pre_prepare.seq, 2);
    blob_release(new_view);
    solo_batch_free(&a);
    solo_close(&s);
}

static void test_start_serves_the_view_changes_it_kept(void **state)
{
    struct solo s;
    struct record r;
    struct solo_view v;
    (void)state;
    record_make(&r, 1, true);
    solo_open(&s, 4, 3);
    solo_view_make(&s, 1, NULL, 0, &v);
    struct blob *new_view = solo_view_message(&s, &v);
    r.recovered.new_view = new_view;
    r.recovered.kept = v.view_changes;
    solo_start(&s, &r.recovered);
    (void)solo_all_persisted(&s);
    struct wire_fetch m = {
        .sender = 2, .kind = DATA_KIND_VIEW_CHANGE, .view = 1, .seq = 0, .count = 1, .digest = v.ids[0]};
    assert_null(solo_receive(&s, 2, &wire_record_fetch, &m));
    assert_memory_equal(solo_send(&s, WIRE_TYPE_view_change, 0)->send.bytes->data, v.view_changes[0]->data,
                        v.view_changes[0]->len);
    blob_release(new_view);
    solo_view_free(&v);
    solo_close(&s);
}

/* A certificate of view 0 that V of view 1 did not contain is not forgotten. */
static void test_start_certificate_of_an_earlier_view_goes_with_the_next_view_change(void **state)
{
    struct solo s;
    struct record r;
    (void)state;
    record_make(&r, 1, true);
    solo_open(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    record_certificate(&r, &s, 1, &b);
    struct blob *new_view = new_view_of(&s, NULL, 0);
    r.recovered.new_view = new_view;
    solo_start(&s, &r.recovered);
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status_in(&s, 0, 1, false));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 0); /* no COMMIT in view 1 follows from it */
    assert_null(solo_view_change(&s, 1, 2));              /* the primary resigns */
    assert_int_equal(left_for(&s), 2);
    const struct wire_view_change m = solo_message(solo_send(&s, WIRE_TYPE_view_change, 0)).view_change;
    struct wire_iterator i = wire_list_start(m.prepared);
    struct wire_vote_certificate c;
    assert_true(wire_list_next(&i, &wire_record_vote_certificate, &c));
    assert_int_equal(c.view, 0);
    assert_int_equal(c.seq, 1);
    assert_true(digest_equal(&c.digest, &b.digest));
    blob_release(new_view);
    blob_release(r.certificate);
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- unclean stops (design.md 7.5) ---- */

static void test_unclean_primary_leaves_its_view_at_once(void **state)
{
    struct solo s;
    struct record r;
    (void)state;
    for (uint32_t clean = 0; clean < 2; clean++) {
        record_make(&r, 4, clean == 1);
        solo_open(&s, 4, 0);
        solo_start(&s, &r.recovered);
        assert_int_equal(left_for(&s), 0); /* not before its start is durable */
        (void)solo_all_persisted(&s);
        assert_int_equal(left_for(&s), clean ? 0 : 5);
        solo_close(&s);
    }
}

static void test_unclean_group_of_one_begins_its_next_view(void **state)
{
    struct solo s;
    struct record r;
    (void)state;
    record_make(&r, 0, false);
    solo_open(&s, 1, 0);
    solo_start(&s, &r.recovered);
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).view, 1);
    assert_false(core_summary(s.core).changing);
    (void)solo_all_persisted(&s);
    assert_null(solo_request(&s, 0, 1));
    assert_int_equal(solo_persist(&s, CORE_PERSIST_PREPARED) != NULL, 1);
    solo_close(&s);
}

static void test_unclean_backup_abstains_in_its_view_and_votes_in_the_next(void **state)
{
    struct solo s;
    struct record r;
    (void)state;
    record_make(&r, 0, false);
    solo_open(&s, 4, 3);
    solo_start(&s, &r.recovered);
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).abstain_until, L);
    struct solo_batch a = solo_batch_make(&s, 1);
    struct solo_batch b = solo_batch_make(&s, 2);
    const struct solo_claim claim = {1, 0, &a};
    assert_null(solo_propose(&s, 1, &a, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    solo_enter(&s, 1, &claim, 1);
    assert_int_equal(core_summary(s.core).abstain_until, 0);
    (void)solo_all_persisted(&s);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    assert_null(solo_propose_in(&s, 1, 2, &b, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    solo_batch_free(&a);
    solo_batch_free(&b);
    solo_close(&s);
}

/* Without votes of its own it entered view 1 and stopped: what O proposes is restored, and it abstains there too. */
static void test_unclean_backup_abstains_from_what_was_carried(void **state)
{
    struct solo s;
    struct record r;
    (void)state;
    record_make(&r, 1, false);
    solo_open(&s, 4, 3);
    struct solo_batch a = solo_batch_make(&s, 1);
    const struct solo_claim claim = {1, 0, &a};
    struct blob *new_view = new_view_of(&s, &claim, 1);
    r.recovered.new_view = new_view;
    solo_start(&s, &r.recovered);
    (void)solo_all_persisted(&s);
    assert_null(solo_data(&s, 1, 1, &a));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 1, 0, 1, &a.digest));
    assert_null(solo_vote_in(&s, WIRE_TYPE_prepare, 1, 2, 1, &a.digest));
    assert_non_null(solo_persist(&s, CORE_PERSIST_PREPARED)); /* it commits on the certificate of others */
    blob_release(new_view);
    solo_batch_free(&a);
    solo_close(&s);
}

/* A NEW-VIEW for view 1 that carries over nothing but null batches, up to the high watermark. */
static struct blob *new_view_of_nulls(const struct solo *s)
{
    uint8_t *space = mem_zero(L, 128);
    uint8_t named[256];
    struct writer w = writer_of(space, L * 128u);
    struct writer refs = writer_of(named, sizeof named);
    struct wire_new_view m = {.sender = 1, .view = 1};
    for (uint32_t id = 0; id < 3; id++) {
        const struct wire_view_change_ref ref = {.id = id};
        wire_list_add(&m.view_changes, &refs, &wire_record_view_change_ref, &ref);
    }
    for (uint64_t n = 1; n <= L; n++) {
        const struct wire_reproposal p = {.seq = n, .digest = viewchange_null_digest()};
        wire_list_add(&m.proposals, &w, &wire_record_reproposal, &p);
    }
    assert_false(w.overflow);
    struct blob *out = fixture_message(s->group, &wire_record_new_view, &m);
    free(space);
    return out;
}

/* It may not vote on what was carried over, up to the window of its record; on the first one above it may. Its time is
 * judged by what was carried over, whose own was judged before, though this replica has voted for none of it. */
static void test_unclean_backup_judges_a_time_by_what_was_carried_though_it_abstains_from_it(void **state)
{
    const uint64_t ahead = SOLO_WALL_MS + SOLO_DRIFT_MS + 1000;
    const struct core_recovered_checkpoint own = {.seq = CHECKPOINT_INTERVAL,
                                                  .header_hash = solo_header(CHECKPOINT_INTERVAL),
                                                  .state_root = solo_root(CHECKPOINT_INTERVAL)};
    struct solo s;
    struct record r;
    (void)state;
    record_make(&r, 1, false);
    r.recovered.executed = CHECKPOINT_INTERVAL;
    r.recovered.executed_time_ms = ahead; /* agreed on by others whose clocks are ahead of this one */
    r.recovered.checkpoints = &own;
    r.recovered.checkpoint_count = 1;
    solo_open(&s, 4, 3);
    struct blob *new_view = new_view_of_nulls(&s);
    r.recovered.new_view = new_view;
    solo_start(&s, &r.recovered);
    (void)solo_all_persisted(&s);
    for (uint32_t id = 0; id < 3; id++)
        (void)solo_checkpoint(&s, id, CHECKPOINT_INTERVAL);
    (void)solo_all_persisted(&s);
    assert_int_equal(core_summary(s.core).low, CHECKPOINT_INTERVAL);
    assert_int_equal(core_summary(s.core).abstain_until, L);
    struct solo_batch b = solo_batch_at(&s, 1, ahead);
    assert_null(solo_propose_in(&s, 1, L + 1, &b, true));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    solo_batch_free(&b);
    blob_release(new_view);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_with_a_view_change_goes_on_waiting),
        cmocka_unit_test(test_start_with_a_view_change_builds_as_primary),
        cmocka_unit_test(test_start_with_a_view_change_votes_in_the_view_when_it_begins),
        cmocka_unit_test(test_start_with_a_view_change_keeps_its_certificates),
        cmocka_unit_test(test_stop_while_changing_keeps_no_vote_and_is_clean),
        cmocka_unit_test(test_start_with_a_new_view_carries_its_proposals_whatever_their_time),
        cmocka_unit_test(test_start_fenced_in_a_view_still_sends_its_new_view),
        cmocka_unit_test(test_start_primary_with_a_new_view_goes_on_after_o),
        cmocka_unit_test(test_start_serves_the_view_changes_it_kept),
        cmocka_unit_test(test_start_certificate_of_an_earlier_view_goes_with_the_next_view_change),
        cmocka_unit_test(test_unclean_primary_leaves_its_view_at_once),
        cmocka_unit_test(test_unclean_group_of_one_begins_its_next_view),
        cmocka_unit_test(test_unclean_backup_abstains_in_its_view_and_votes_in_the_next),
        cmocka_unit_test(test_unclean_backup_abstains_from_what_was_carried),
        cmocka_unit_test(test_unclean_backup_judges_a_time_by_what_was_carried_though_it_abstains_from_it),
    };
    return cmocka_run_group_tests_name("core_view_restart", tests, NULL, NULL);
}
