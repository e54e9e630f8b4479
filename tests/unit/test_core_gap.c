/* test_core_gap.c - the blocks below a transferred state: which is asked for, what is believed, who is asked next
 * (design.md section 9, rule 26). One core driven by hand: replica 1 of N = 4. */
#include "crypto/merkle.h"
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL
#define GAP_HIGH K

/* The header that a start above a transferred state knows as that of its last missing block. */
static struct wire_header gap_header(const struct solo_batch *b)
{
    const struct merkle_frontier empty = {0};
    return (struct wire_header){.version = 1,
                                .seq = GAP_HIGH,
                                .time_ms = b->time_ms,
                                .batch_digest = b->digest,
                                .entries_root = merkle_frontier_root(&empty),
                                .previous = solo_header(GAP_HIGH - 1)};
}

static const char *past_block(struct solo *s, uint32_t from, const struct solo_batch *b, const struct wire_header *h)
{
    struct blob *committed = fixture_committed(s->group, 0, h->seq, &b->digest, 0x7);
    struct wire_past_block past = {.header = *h, .batch = blob_bytes(b->bytes)};
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(committed), &past.committed));
    struct blob *payload = wire_encode_blob(&wire_record_past_block, &past);
    struct wire_data m = {.sender = from, .kind = DATA_KIND_PAST_BLOCK, .seq = h->seq, .payload = blob_bytes(payload)};
    const char *ignored = solo_receive(s, from, &wire_record_data, &m);
    blob_release(payload);
    blob_release(committed);
    return ignored;
}

static const struct core_effect *past_question(const struct solo *s)
{
    const struct core_effect *e;
    for (uint32_t i = 0; (e = solo_send(s, WIRE_TYPE_fetch, i)) != NULL; i++)
        if (solo_message(e).fetch.kind == DATA_KIND_PAST_BLOCK) return e;
    return NULL;
}

static void test_gap_filled_only_with_the_block_that_the_ledger_goes_on_from(void **state)
{
    struct solo s;
    const struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    (void)state;
    solo_open(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct wire_header h = gap_header(&b);
    struct core_recovered r = {.clean = true,
                               .stable = {.seq = GAP_HIGH},
                               .executed = GAP_HIGH,
                               .gap_low = GAP_HIGH - 1,
                               .gap_high = GAP_HIGH,
                               .gap_hash = header_hash(&h),
                               .windows = windows};
    solo_start(&s, &r);
    (void)solo_all_persisted(&s);
    assert_null(solo_status(&s, 2, GAP_HIGH, NULL));
    (void)solo_tick(&s, SOLO_RESEND_US);
    const struct core_effect *e = past_question(&s);
    assert_non_null(e);
    assert_int_equal(solo_message(e).fetch.seq, GAP_HIGH);
    assert_int_equal(solo_message(e).fetch.count, 2);
    const uint32_t first = e->send.to;
    h.time_ms++; /* its commit certificate says nothing of the header */
    assert_string_equal(past_block(&s, first, &b, &h), "an old block that is not the one that the ledger goes on from");
    assert_null(solo_effect(&s, CORE_EFFECT_PAST_BLOCK, 0));
    assert_null(solo_status(&s, 3, GAP_HIGH, NULL));
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_non_null(past_question(&s)); /* the next source, without waiting */
    assert_int_not_equal(past_question(&s)->send.to, first);
    h.time_ms--;
    assert_null(past_block(&s, 3, &b, &h));
    e = solo_effect(&s, CORE_EFFECT_PAST_BLOCK, 0);
    assert_non_null(e);
    assert_int_equal(e->past_block.gap_low, GAP_HIGH - 1);
    assert_int_equal(core_summary(s.core).gap_high, GAP_HIGH - 1);
    assert_string_equal(past_block(&s, 3, &b, &h), "an old block that is not the next one missing");
    solo_batch_free(&b);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gap_filled_only_with_the_block_that_the_ledger_goes_on_from),
    };
    return cmocka_run_group_tests_name("core_gap", tests, NULL, NULL);
}
