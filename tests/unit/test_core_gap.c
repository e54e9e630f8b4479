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
#define GAP_HIGH (8u * K)
#define QUESTION 16u                    /* blocks asked for at once */
#define SILENT_US (2u * SOLO_RESEND_US) /* then another member is asked */

/* A replica that has executed up to GAP_HIGH and holds no block, and the blocks. */
struct room {
    struct solo s;
    struct solo_batch batch;            /* of every block */
    struct wire_header h[GAP_HIGH + 1]; /* by sequence, each naming the one before */
    struct core_client_window windows[SOLO_CLIENTS];
};

static void start(struct room *r, uint64_t gap_low, uint64_t gap_high)
{
    const struct core_recovered recovered = {.clean = true,
                                             .stable = {.seq = GAP_HIGH},
                                             .executed = GAP_HIGH,
                                             .gap_low = gap_low,
                                             .gap_high = gap_high,
                                             .gap_hash = header_hash(&r->h[gap_high]),
                                             .windows = r->windows};
    solo_start(&r->s, &recovered);
    (void)solo_all_persisted(&r->s);
    for (uint32_t id = 0; id < 4; id++)
        if (id != 1) assert_null(solo_status(&r->s, id, GAP_HIGH, NULL));
}

static struct room *room_new(uint64_t gap_low, uint64_t gap_high)
{
    const struct merkle_frontier empty = {0};
    struct room *r = mem_zero(1, sizeof *r);
    solo_open(&r->s, 4, 1);
    r->batch = solo_batch_make(&r->s, 1);
    for (uint64_t seq = 1; seq <= GAP_HIGH; seq++) {
        r->h[seq] = (struct wire_header){.version = 1,
                                         .seq = seq,
                                         .time_ms = r->batch.time_ms,
                                         .batch_digest = r->batch.digest,
                                         .entries_root = merkle_frontier_root(&empty)};
        if (seq > 1) r->h[seq].previous = header_hash(&r->h[seq - 1]);
    }
    start(r, gap_low, gap_high);
    return r;
}

static void room_free(struct room *r)
{
    solo_batch_free(&r->batch);
    solo_close(&r->s);
    free(r);
}

/* DATA with that block; proof, an encoded certificate, may be NULL. */
static const char *give(struct room *r, uint32_t from, const struct wire_header *h, const struct blob *proof)
{
    struct blob *committed = fixture_committed(r->s.group, 0, h->seq, &r->batch.digest, 0x7);
    struct wire_past_block past = {.header = *h, .batch = blob_bytes(r->batch.bytes)};
    if (proof != NULL) past.checkpoint = (struct wire_list){.items = blob_bytes(proof), .count = 1};
    assert_null(wire_decode_record(&wire_record_vote_certificate, blob_bytes(committed), &past.committed));
    struct blob *payload = wire_encode_blob(&wire_record_past_block, &past);
    struct wire_data m = {.sender = from, .kind = DATA_KIND_PAST_BLOCK, .seq = h->seq, .payload = blob_bytes(payload)};
    const char *ignored = solo_receive(&r->s, from, &wire_record_data, &m);
    blob_release(payload);
    blob_release(committed);
    return ignored;
}

/* The same with the certificate of a checkpoint, signed by `members`, that names the hash of block `of`. */
static const char *give_proven(struct room *r, uint32_t from, uint64_t seq, uint64_t of, uint64_t members)
{
    const struct digest hash = header_hash(&r->h[of]);
    const struct digest root = solo_root(seq);
    struct blob *proof = fixture_checkpoint(r->s.group, seq, &hash, &root, members);
    const char *ignored = give(r, from, &r->h[seq], proof);
    blob_release(proof);
    return ignored;
}

static const char *missing(struct room *r, uint64_t seq)
{
    const struct core_event event = {.type = CORE_EVENT_MISSING_BLOCK, .missing = seq};
    return solo_step(&r->s, &event);
}

static uint64_t wanted(const struct room *r)
{
    return core_summary(r->s.core).gap_wanted;
}

static uint64_t gap_high(const struct room *r)
{
    return core_summary(r->s.core).gap_high;
}

/* The question that the last event put. */
static bool asked(const struct room *r, struct wire_fetch *m, uint32_t *to)
{
    const struct core_effect *e;
    for (uint32_t i = 0; (e = solo_send(&r->s, WIRE_TYPE_fetch, i)) != NULL; i++) {
        if (solo_message(e).fetch.kind != DATA_KIND_PAST_BLOCK) continue;
        *m = solo_message(e).fetch;
        *to = e->send.to;
        return true;
    }
    return false;
}

static void check_asked(const struct room *r, uint64_t seq, uint64_t count)
{
    struct wire_fetch m;
    uint32_t to;
    assert_true(asked(r, &m, &to));
    assert_int_equal(m.seq, seq);
    assert_int_equal(m.count, count);
}

/* What the fill asks is answered, and what it asks next, until something else was asked: whom, and for what. */
static uint32_t fill_until_detour(struct room *r, struct wire_fetch *m)
{
    uint32_t to = UINT32_MAX;
    for (uint32_t i = 0; i < 4; i++) {
        if (!asked(r, m, &to)) (void)solo_tick(&r->s, SILENT_US);
        assert_true(asked(r, m, &to));
        if (m->seq != gap_high(r)) return to;
        for (uint64_t k = 0; k < m->count; k++)
            assert_null(give(r, to, &r->h[m->seq - k], NULL));
    }
    fail_msg("nothing but the fill is asked for");
    return to;
}

/* It wants block `seq`, and asks for block `at` alone: whom. */
static uint32_t detour_to(struct room *r, uint64_t seq, uint64_t at)
{
    struct wire_fetch m;
    assert_null(missing(r, seq));
    assert_int_equal(wanted(r), seq);
    const uint32_t to = fill_until_detour(r, &m);
    assert_int_equal(m.seq, at);
    assert_int_equal(m.count, 1);
    return to;
}

static void test_gap_filled_only_with_the_block_that_the_ledger_goes_on_from(void **state)
{
    struct room *r = room_new(GAP_HIGH - 1, GAP_HIGH);
    struct wire_header lie = r->h[GAP_HIGH];
    struct wire_fetch m;
    uint32_t first;
    uint32_t second;
    (void)state;
    (void)solo_tick(&r->s, SOLO_RESEND_US);
    check_asked(r, GAP_HIGH, 2);
    assert_true(asked(r, &m, &first));
    lie.time_ms++; /* its commit certificate says nothing of the header */
    assert_string_equal(give(r, first, &lie, NULL), "an old block that is not the one that the ledger goes on from");
    assert_null(solo_effect(&r->s, CORE_EFFECT_PAST_BLOCK, 0));
    (void)solo_tick(&r->s, 1000);
    assert_true(asked(r, &m, &second)); /* the next source, without waiting */
    assert_int_not_equal(second, first);
    assert_null(give(r, 3, &r->h[GAP_HIGH], NULL));
    const struct core_effect *e = solo_effect(&r->s, CORE_EFFECT_PAST_BLOCK, 0);
    assert_non_null(e);
    assert_int_equal(e->past_block.gap_low, GAP_HIGH - 1);
    assert_int_equal(gap_high(r), GAP_HIGH - 1);
    assert_string_equal(give(r, 3, &r->h[GAP_HIGH], NULL), "an old block that is not the next one missing");
    room_free(r);
}

/* What waits for its sync is in memory: without room on the disk it would be all of the gap. */
static void test_gap_is_not_asked_for_while_the_disk_is_full(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_fetch m;
    uint32_t to;
    (void)state;
    const struct core_event full = {.type = CORE_EVENT_DISK, .disk_full = true};
    const struct core_event room = {.type = CORE_EVENT_DISK, .disk_full = false};
    assert_null(solo_step(&r->s, &full));
    (void)solo_tick(&r->s, SILENT_US);
    assert_false(asked(r, &m, &to));
    assert_null(missing(r, 5));
    assert_false(asked(r, &m, &to));
    assert_null(solo_step(&r->s, &room));
    (void)solo_tick(&r->s, SILENT_US);
    assert_true(asked(r, &m, &to));
    room_free(r);
}

/* ---- a block that is wanted out of turn ---- */

static void test_gap_wanted_block_is_fetched_from_the_next_checkpoint_down(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_fetch m;
    (void)state;
    uint32_t to = detour_to(r, K - 20, K);
    const uint64_t high = gap_high(r);
    assert_null(give_proven(r, to, K, K, 0xd));
    const struct core_effect *e = solo_effect(&r->s, CORE_EFFECT_PAST_BLOCK, 0);
    assert_non_null(e);
    assert_int_equal(e->past_block.gap_low, 0); /* the gap stays */
    assert_true(e->past_block.checkpoint_good);
    assert_int_equal(gap_high(r), high);
    check_asked(r, high, QUESTION); /* the fill goes on beside it */
    to = fill_until_detour(r, &m);
    assert_int_equal(m.seq, K - 1);
    assert_int_equal(m.count, QUESTION);
    for (uint64_t k = 1; k <= QUESTION; k++)
        assert_null(give(r, to, &r->h[K - k], NULL));
    to = fill_until_detour(r, &m);
    assert_int_equal(m.seq, K - 17);
    assert_int_equal(m.count, 4); /* not beyond what is wanted */
    for (uint64_t k = 17; k <= 20; k++) {
        assert_int_equal(wanted(r), K - 20);
        assert_null(give(r, to, &r->h[K - k], NULL));
        assert_int_equal(solo_effect(&r->s, CORE_EFFECT_PAST_BLOCK, 0)->past_block.gap_low, 0);
    }
    assert_int_equal(wanted(r), 0);
    check_asked(r, gap_high(r), QUESTION);
    assert_string_equal(give(r, to, &r->h[K - 21], NULL), "an old block that is not the next one missing");
    room_free(r);
}

static void test_gap_wanted_block_that_is_a_checkpoint_s_is_fetched_alone(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    (void)state;
    const uint32_t to = detour_to(r, 2 * K, 2 * K);
    assert_null(give_proven(r, to, 2 * K, 2 * K, 0xd));
    assert_int_equal(wanted(r), 0);
    room_free(r);
}

static void test_gap_detour_begins_only_with_a_proven_block(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_fetch m;
    (void)state;
    const uint32_t liar = detour_to(r, K - 20, K);
    assert_string_equal(give(r, liar, &r->h[K], NULL), "an old block that no checkpoint proves");
    assert_string_equal(give_proven(r, liar, K, K + 1, 0xd), "an old block that no checkpoint proves"); /* of another */
    assert_string_equal(give_proven(r, liar, K, K, 0x5),
                        "an old block that no checkpoint proves"); /* too few signed it */
    assert_null(solo_effect(&r->s, CORE_EFFECT_PAST_BLOCK, 0));
    (void)solo_tick(&r->s, 1000); /* another is asked, without waiting */
    const uint32_t next = fill_until_detour(r, &m);
    assert_int_not_equal(next, liar);
    assert_int_equal(m.seq, K);
    assert_null(give_proven(r, next, K, K, 0xd));
    room_free(r);
}

static void test_gap_detour_goes_on_only_with_the_block_that_the_last_one_names(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_header lie = r->h[K - 1];
    struct wire_fetch m;
    (void)state;
    assert_null(give_proven(r, detour_to(r, K - 20, K), K, K, 0xd));
    const uint32_t liar = fill_until_detour(r, &m);
    lie.time_ms++;
    assert_string_equal(give(r, liar, &lie, NULL), "an old block that is not the one that a checkpoint goes back to");
    assert_null(solo_effect(&r->s, CORE_EFFECT_PAST_BLOCK, 0));
    (void)solo_tick(&r->s, 1000);
    const uint32_t next = fill_until_detour(r, &m);
    assert_int_not_equal(next, liar);
    assert_int_equal(m.seq, K - 1);
    assert_null(give(r, next, &r->h[K - 1], NULL));
    room_free(r);
}

static void test_gap_silent_member_is_left_for_the_next(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_fetch m;
    (void)state;
    const uint32_t silent = detour_to(r, K - 20, K);
    (void)solo_tick(&r->s, SILENT_US - 1);
    uint32_t to;
    assert_false(asked(r, &m, &to));
    (void)solo_tick(&r->s, 1);
    assert_int_not_equal(fill_until_detour(r, &m), silent);
    assert_int_equal(m.seq, K);
    room_free(r);
}

/* A transferred log has a checkpoint's certificate only where its source had it. */
static void test_gap_checkpoint_that_nobody_proves_is_given_up_for_the_next_one(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_fetch m;
    uint32_t others = 0;
    (void)state;
    uint32_t to = detour_to(r, K - 20, K);
    for (uint32_t k = 0; k < 3; k++) {
        others |= 1u << to;
        assert_string_equal(give(r, to, &r->h[K], NULL), "an old block that no checkpoint proves");
        (void)solo_tick(&r->s, 1000);
        to = fill_until_detour(r, &m);
        assert_int_equal(m.seq, k < 2 ? K : 2 * K);
    }
    assert_int_equal(others, 0xd); /* each of them */
    assert_null(give_proven(r, to, 2 * K, 2 * K, 0xd));
    for (uint64_t seq = 2 * K - 1; seq >= K - 20; seq--) {
        if (seq % QUESTION == QUESTION - 1) to = fill_until_detour(r, &m);
        assert_null(give(r, to, &r->h[seq], NULL));
    }
    assert_int_equal(wanted(r), 0);
    room_free(r);
}

static void test_gap_block_that_nobody_has_is_given_up_after_four_rounds(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_fetch m;
    uint32_t to;
    uint32_t questions[GAP_HIGH / K] = {0};
    (void)state;
    assert_null(missing(r, K - 20));
    for (uint32_t i = 0; i < 100 && wanted(r) != 0; i++) {
        if (asked(r, &m, &to) && m.seq != GAP_HIGH) questions[m.seq / K]++;
        (void)solo_tick(&r->s, SILENT_US); /* nobody answers the fill either */
    }
    assert_int_equal(wanted(r), 0);
    for (uint32_t k = 0; k < GAP_HIGH / K; k++)
        assert_int_equal(questions[k], k >= 1 && k <= 4 ? 3 : 0); /* so at most four intervals come for one retry */
    (void)detour_to(r, K - 20, K);                                /* the next retry begins anew */
    room_free(r);
}

/* The core gives its place to one that was read from its image. */
static void through_image(struct room *r)
{
    struct image out = {.reading = false};
    core_image_write(r->s.core, &out);
    struct blob *flat = image_flat(&out);
    struct image in = image_of(blob_bytes(flat));
    struct core *twin = core_new(&r->s.config);
    assert_null(core_image_read(twin, &in));
    assert_null(image_end(&in));
    core_free(r->s.core);
    r->s.core = twin;
    blob_release(flat);
    image_free(&out);
}

/* Nobody answers anything, until block `seq` was asked for so often, or nothing is wanted; how often it was. */
static uint32_t silence(struct room *r, uint64_t seq, uint32_t most)
{
    struct wire_fetch m;
    uint32_t to;
    uint32_t questions = 0;
    for (uint32_t i = 0; i < 100 && wanted(r) != 0 && questions < most; i++) {
        (void)solo_tick(&r->s, SILENT_US);
        if (asked(r, &m, &to) && m.seq == seq) questions++;
        through_image(r);
    }
    return questions;
}

static void test_gap_detour_that_breaks_off_is_given_up_after_four_rounds(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    (void)state;
    assert_null(give_proven(r, detour_to(r, K - 20, K), K, K, 0xd));
    assert_int_equal(silence(r, K - 1, 4 * 3), 4 * 3);
    assert_null(give(r, 3, &r->h[K - 1], NULL)); /* that counts anew */
    assert_int_equal(silence(r, K - 2, UINT32_MAX), 4 * 3 - 1); /* the question under way is the first of the twelve */
    assert_int_equal(wanted(r), 0);
    assert_null(missing(r, K - 20)); /* and so does the next retry */
    assert_int_equal(silence(r, K, 3), 3);
    assert_int_equal(wanted(r), K - 20);
    room_free(r);
}

static void test_gap_detour_ends_where_the_fill_is_as_near(void **state)
{
    struct room *r = room_new(1, 2 * K);
    struct wire_fetch m;
    uint32_t to;
    (void)state;
    to = detour_to(r, K - 20, K);
    for (uint32_t k = 0; k < 3 && wanted(r) != 0; k++) { /* nobody proves K; 2K is where the gap began */
        (void)give(r, to, &r->h[K], NULL);
        (void)solo_tick(&r->s, 1000);
        if (wanted(r) != 0) to = fill_until_detour(r, &m);
    }
    assert_int_equal(wanted(r), 0);
    room_free(r);

    r = room_new(1, K + QUESTION + 4);
    (void)detour_to(r, K - 20, K); /* which is silent, while the fill gets there */
    for (uint64_t seq = K + QUESTION + 4; seq > K; seq--) {
        assert_int_equal(wanted(r), K - 20);
        assert_null(give(r, 3, &r->h[seq], NULL));
    }
    assert_int_equal(wanted(r), 0);
    check_asked(r, K, QUESTION); /* the fill, without waiting for the answer to the other question */
    assert_null(give(r, 3, &r->h[K], NULL));
    assert_int_equal(solo_effect(&r->s, CORE_EFFECT_PAST_BLOCK, 0)->past_block.gap_low, 1);
    room_free(r);
}

static void test_gap_block_outside_it_is_not_wanted(void **state)
{
    struct room *r = room_new(10, GAP_HIGH - 10);
    (void)state;
    assert_string_equal(missing(r, 9), "a block that is not in the gap");
    assert_string_equal(missing(r, GAP_HIGH - 9), "a block that is not in the gap");
    assert_string_equal(missing(r, 0), "a block that is not in the gap");
    assert_string_equal(missing(r, UINT64_MAX), "a block that is not in the gap");
    assert_string_equal(missing(r, GAP_HIGH - 10), "a missing block that the fill comes to next");
    assert_string_equal(missing(r, GAP_HIGH - K + 1), "a missing block that the fill comes to next");
    assert_int_equal(wanted(r), 0);
    assert_null(missing(r, GAP_HIGH - K)); /* a checkpoint below the gap's end */
    room_free(r);

    struct solo s;
    struct core_recovered walking = {.clean = true,
                                     .walking = true,
                                     .stable = {.seq = GAP_HIGH},
                                     .executed = GAP_HIGH,
                                     .gap_low = 1,
                                     .gap_high = GAP_HIGH};
    const struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_event event = {.type = CORE_EVENT_MISSING_BLOCK, .missing = 1};
    walking.windows = windows;
    solo_open(&s, 4, 1);
    solo_start(&s, &walking);
    assert_string_equal(solo_step(&s, &event), "a block that is not in the gap"); /* its state is on its way */
    solo_close(&s);
    solo_ready(&s, 4, 1);
    assert_string_equal(solo_step(&s, &event), "a block that is not in the gap"); /* none is missing */
    solo_close(&s);
}

static void test_gap_blocks_are_wanted_one_at_a_time(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    (void)state;
    assert_null(missing(r, K - 20));
    assert_string_equal(missing(r, 5 * K), "another missing block is being fetched");
    assert_string_equal(missing(r, K - 20), "another missing block is being fetched");
    assert_int_equal(wanted(r), K - 20);
    room_free(r);
}

/* So a client that wants one block after the other of an interval makes each of them travel once. */
static void test_gap_next_wanted_block_goes_on_where_the_last_one_ended(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_fetch m;
    (void)state;
    assert_null(give_proven(r, detour_to(r, K - 1, K), K, K, 0xd));
    assert_null(give(r, fill_until_detour(r, &m), &r->h[K - 1], NULL));
    assert_int_equal(wanted(r), 0);
    assert_null(missing(r, K - 3));
    const uint32_t to = fill_until_detour(r, &m);
    assert_int_equal(m.seq, K - 2);
    assert_int_equal(m.count, 2);
    assert_null(give(r, to, &r->h[K - 2], NULL));
    assert_null(give(r, to, &r->h[K - 3], NULL));
    assert_int_equal(wanted(r), 0);
    assert_null(
        give_proven(r, detour_to(r, K - 3, K), K, K, 0xd)); /* above where it ended: from the checkpoint again */
    room_free(r);

    r = room_new(1, GAP_HIGH);
    assert_null(give_proven(r, detour_to(r, 3 * K, 3 * K), 3 * K, 3 * K, 0xd));
    (void)detour_to(r, K, K); /* another interval: not through all between */
    room_free(r);
}

static void test_gap_wanted_block_does_not_outlive_a_restart(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    (void)state;
    assert_null(give_proven(r, detour_to(r, K - 20, K), K, K, 0xd));
    const uint64_t high = gap_high(r);
    solo_close(&r->s);
    solo_open(&r->s, 4, 1);
    start(r, 1, high); /* as the record of the gap says */
    assert_int_equal(wanted(r), 0);
    assert_int_equal(gap_high(r), high);
    (void)detour_to(r, K - 20, K);
    room_free(r);
}

static void test_gap_wanted_block_is_in_the_image(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_fetch m;
    (void)state;
    assert_null(give_proven(r, detour_to(r, K - 20, K), K, K, 0xd));
    uint32_t to = fill_until_detour(r, &m);
    assert_null(give(r, to, &r->h[K - 1], NULL));
    for (uint32_t k = 0; k < 2; k++) { /* with a question under way; and when another one is to be put */
        through_image(r);
        assert_int_equal(wanted(r), K - 20);
        if (k > 0) break;
        for (uint64_t seq = K - 2; seq >= K - QUESTION; seq--)
            assert_null(give(r, to, &r->h[seq], NULL));
    }
    check_asked(r, gap_high(r), QUESTION); /* the last event of the core before */
    to = fill_until_detour(r, &m);
    assert_int_equal(m.seq, K - 17);
    room_free(r);
}

/* Blocks of one answer are checked side by side, and may come in any order: those that wait for one before them are lost, and are asked
 * for again as soon as the answer is at its end, of another member. */
static void test_gap_goes_on_at_once_when_the_end_of_an_answer_overtakes(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_fetch m;
    uint32_t to;
    uint32_t next;
    (void)state;
    (void)solo_tick(&r->s, 1);
    assert_true(asked(r, &m, &to));
    assert_int_equal(m.seq, GAP_HIGH);
    assert_null(give(r, to, &r->h[GAP_HIGH], NULL));
    assert_non_null(give(r, to, &r->h[GAP_HIGH - 2], NULL));
    assert_false(asked(r, &m, &next)); /* more of the answer is on its way */
    assert_non_null(give(r, to, &r->h[GAP_HIGH - QUESTION + 1], NULL));
    check_asked(r, GAP_HIGH - 1, QUESTION);
    assert_true(asked(r, &m, &next));
    assert_int_not_equal(next, to);
    assert_int_equal(gap_high(r), GAP_HIGH - 1);
    room_free(r);
}

/* ---- when nothing is asked ---- */

static bool asks_in_time(struct room *r)
{
    struct wire_fetch m;
    uint32_t to;
    (void)solo_tick(&r->s, SILENT_US);
    return asked(r, &m, &to);
}

static void test_gap_is_asked_for_only_of_who_has_executed_its_blocks(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_fetch m;
    uint32_t to;
    (void)state;
    for (uint32_t id = 0; id < 4; id++)
        if (id != 1) assert_null(solo_status(&r->s, id, GAP_HIGH - 1, NULL));
    assert_false(asks_in_time(r)); /* nobody */
    assert_null(solo_status(&r->s, 2, GAP_HIGH, NULL));
    (void)solo_tick(&r->s, SILENT_US);
    assert_true(asked(r, &m, &to));
    assert_int_equal(to, 2);
    room_free(r);
}

/* What is missing above comes first. */
static void test_gap_waits_while_the_others_are_a_window_ahead(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    (void)state;
    for (uint32_t id = 2; id < 4; id++)
        assert_null(solo_status(&r->s, id, GAP_HIGH + WINDOW_BATCHES + 1, NULL));
    assert_false(asks_in_time(r));
    for (uint32_t id = 2; id < 4; id++)
        assert_null(solo_status(&r->s, id, GAP_HIGH + WINDOW_BATCHES, NULL));
    assert_true(asks_in_time(r));
    room_free(r);
}

static void test_gap_is_not_asked_for_by_who_stops(void **state)
{
    const struct core_event stop = {.type = CORE_EVENT_STOP};
    struct room *r = room_new(1, GAP_HIGH);
    (void)state;
    assert_null(solo_step(&r->s, &stop));
    assert_false(asks_in_time(r));
    room_free(r);
}

/* The state above the gap is given up for a later one: what was asked for before is nothing to keep. */
static void test_gap_is_left_alone_while_a_state_is_transferred(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    const uint64_t far = GAP_HIGH + SOLO_TRANSFER_AFTER;
    const struct digest header = solo_header(far);
    const struct digest root = solo_root(far);
    struct blob *proof = fixture_checkpoint(r->s.group, far, &header, &root, 0xd);
    struct wire_fetch m;
    (void)state;
    (void)detour_to(r, 5, K);
    const uint32_t to = fill_until_detour(r, &m);
    assert_null(solo_status(&r->s, 2, far, proof));
    (void)solo_tick(&r->s, SOLO_RESEND_US);
    assert_non_null(solo_effect(&r->s, CORE_EFFECT_WALK_BEGIN, 0));
    assert_false(asks_in_time(r));
    assert_string_equal(give(r, to, &r->h[gap_high(r)], NULL), "an old block that is not the next one missing");
    assert_string_equal(give_proven(r, to, K, K, 0xd), "an old block that is not the next one missing");
    assert_string_equal(missing(r, 6), "a block that is not in the gap");
    assert_null(solo_effect(&r->s, CORE_EFFECT_PAST_BLOCK, 0));
    blob_release(proof);
    room_free(r);
}

/* ---- whose answer it is ---- */

/* A lie puts nobody in the place of the member that is asked, unless it comes from that one. */
static void test_gap_lie_of_who_was_not_asked_changes_nobodys_turn(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_header lie = r->h[GAP_HIGH];
    struct wire_fetch m;
    uint32_t to;
    (void)state;
    (void)solo_tick(&r->s, SOLO_RESEND_US);
    assert_true(asked(r, &m, &to));
    lie.time_ms++;
    assert_non_null(give(r, to == 3 ? 2 : 3, &lie, NULL));
    (void)solo_tick(&r->s, 1000);
    assert_false(asked(r, &m, &to));
    room_free(r);
}

/* While the detour is asked for, a wrong block of the fill is no answer to that; and the other way round. */
static void test_gap_lie_about_what_was_not_asked_changes_nobodys_turn(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_fetch m;
    (void)state;
    uint32_t to = detour_to(r, 5, K);
    struct wire_header lie = r->h[gap_high(r)];
    lie.time_ms++;
    assert_non_null(give(r, to, &lie, NULL)); /* the detour is under way */
    (void)solo_tick(&r->s, 1000);
    assert_false(asked(r, &m, &to));
    (void)solo_tick(&r->s, SILENT_US);
    assert_true(asked(r, &m, &to));
    assert_int_equal(m.seq, gap_high(r)); /* now the fill's turn */
    assert_string_equal(give(r, to, &r->h[K], NULL), "an old block that no checkpoint proves");
    assert_string_equal(give(r, to == 3 ? 2 : 3, &r->h[K], NULL), "an old block that no checkpoint proves");
    (void)solo_tick(&r->s, 1000);
    assert_false(asked(r, &m, &to));
    room_free(r);
}

static void test_gap_block_that_neither_goes_on_from_is_refused(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct buffer dump = {0};
    (void)state;
    const uint32_t to = detour_to(r, 5, K);
    assert_string_equal(give_proven(r, to, 2 * K, 2 * K, 0xd), "an old block that is not the next one missing");
    assert_null(give_proven(r, to, K, K, 0xd));
    assert_string_equal(give(r, to, &r->h[K - 2], NULL), "an old block that is not the next one missing");
    core_dump(r->s.core, &dump);
    buffer_append(&dump, "", 1);
    assert_non_null(strstr((const char *)dump.data, "wanted 5 next 127 proven\n"));
    buffer_free(&dump);
    room_free(r);
}

static void test_gap_detour_lie_of_who_was_not_asked_changes_nobodys_turn(void **state)
{
    struct room *r = room_new(1, GAP_HIGH);
    struct wire_fetch m;
    (void)state;
    uint32_t to = detour_to(r, 5, K);
    assert_non_null(give(r, to == 3 ? 2 : 3, &r->h[K], NULL));
    (void)solo_tick(&r->s, 1000);
    assert_false(asked(r, &m, &to));
    room_free(r);
}

/* The fill's question ends where the detour begins: that the detour's block is here does not answer it. */
static void test_gap_block_of_the_detour_does_not_end_the_question_of_the_fill(void **state)
{
    struct room *r = room_new(1, 7 * K + QUESTION - 1);
    struct wire_fetch m;
    uint32_t to;
    (void)state;
    (void)solo_tick(&r->s, SOLO_RESEND_US);
    assert_true(asked(r, &m, &to));
    assert_int_equal(m.seq - m.count + 1, 7 * K);
    assert_null(missing(r, 7 * K - 3)); /* it begins at 7K */
    assert_null(give_proven(r, 3, 7 * K, 7 * K, 0xd));
    assert_false(asked(r, &m, &to)); /* the answer to the fill is on its way */
    (void)solo_tick(&r->s, 1000);
    assert_false(asked(r, &m, &to));
    room_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gap_filled_only_with_the_block_that_the_ledger_goes_on_from),
        cmocka_unit_test(test_gap_is_not_asked_for_while_the_disk_is_full),
        cmocka_unit_test(test_gap_wanted_block_is_fetched_from_the_next_checkpoint_down),
        cmocka_unit_test(test_gap_wanted_block_that_is_a_checkpoint_s_is_fetched_alone),
        cmocka_unit_test(test_gap_detour_begins_only_with_a_proven_block),
        cmocka_unit_test(test_gap_detour_goes_on_only_with_the_block_that_the_last_one_names),
        cmocka_unit_test(test_gap_silent_member_is_left_for_the_next),
        cmocka_unit_test(test_gap_checkpoint_that_nobody_proves_is_given_up_for_the_next_one),
        cmocka_unit_test(test_gap_block_that_nobody_has_is_given_up_after_four_rounds),
        cmocka_unit_test(test_gap_detour_that_breaks_off_is_given_up_after_four_rounds),
        cmocka_unit_test(test_gap_detour_ends_where_the_fill_is_as_near),
        cmocka_unit_test(test_gap_block_outside_it_is_not_wanted),
        cmocka_unit_test(test_gap_blocks_are_wanted_one_at_a_time),
        cmocka_unit_test(test_gap_next_wanted_block_goes_on_where_the_last_one_ended),
        cmocka_unit_test(test_gap_wanted_block_does_not_outlive_a_restart),
        cmocka_unit_test(test_gap_wanted_block_is_in_the_image),
        cmocka_unit_test(test_gap_goes_on_at_once_when_the_end_of_an_answer_overtakes),
        cmocka_unit_test(test_gap_is_asked_for_only_of_who_has_executed_its_blocks),
        cmocka_unit_test(test_gap_waits_while_the_others_are_a_window_ahead),
        cmocka_unit_test(test_gap_is_not_asked_for_by_who_stops),
        cmocka_unit_test(test_gap_is_left_alone_while_a_state_is_transferred),
        cmocka_unit_test(test_gap_lie_of_who_was_not_asked_changes_nobodys_turn),
        cmocka_unit_test(test_gap_lie_about_what_was_not_asked_changes_nobodys_turn),
        cmocka_unit_test(test_gap_block_that_neither_goes_on_from_is_refused),
        cmocka_unit_test(test_gap_detour_lie_of_who_was_not_asked_changes_nobodys_turn),
        cmocka_unit_test(test_gap_block_of_the_detour_does_not_end_the_question_of_the_fill),
    };
    return cmocka_run_group_tests_name("core_gap", tests, NULL, NULL);
}
