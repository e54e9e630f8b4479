/* test_core_sync.c - anti-entropy: what a STATUS says and what it makes others send again, FETCH and DATA of batches
 * (rules 5, 8, 9, 15). Blocks are test_core_blocks.c's. One core driven by hand: replica 1 of N = 4 unless a test says
 * so. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL
#define L WINDOW_BATCHES
#define PATIENCE_US (4u * SOLO_RESEND_US) /* then another source of blocks is asked */

/* A STATUS whose three maps say the sender has everything. */
static const char *full_status(struct solo *s, uint32_t sender, uint64_t executed)
{
    uint8_t all[L / 8];
    memset(all, 0xff, sizeof all);
    struct wire_status m = {.sender = sender,
                            .executed = executed,
                            .pre_prepared = bytes_of(all, sizeof all),
                            .prepared = bytes_of(all, sizeof all),
                            .committed = bytes_of(all, sizeof all)};
    return solo_receive(s, sender, &wire_record_status, &m);
}

/* A backup with one batch prepared: PREPARE and COMMIT sent, the certificate durable. */
static struct solo_batch prepared_one(struct solo *s)
{
    struct solo_batch b = solo_batch_make(s, 1);
    assert_null(solo_propose(s, 1, &b, true));
    assert_null(solo_vote(s, WIRE_TYPE_prepare, 2, 1, &b.digest));
    (void)solo_all_persisted(s);
    return b;
}

static const struct core_effect *fetch_of(const struct solo *s, uint64_t kind)
{
    const struct core_effect *e;
    for (uint32_t k = 0; (e = solo_send(s, WIRE_TYPE_fetch, k)) != NULL; k++)
        if (solo_message(e).fetch.kind == kind) return e;
    return NULL;
}

/* ---- STATUS out ---- */

static void test_status_idle_only_with_the_heartbeat(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    (void)solo_tick(&s, SOLO_HEARTBEAT_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_status), 1);
    (void)solo_tick(&s, SOLO_HEARTBEAT_US - 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_status), 0);
    (void)solo_tick(&s, 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_status), 1);
    assert_int_equal(solo_send(&s, WIRE_TYPE_status, 0)->send.to, CORE_TO_ALL);
    solo_close(&s);
}

static void test_status_sooner_when_something_is_under_way(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    (void)solo_tick(&s, SOLO_HEARTBEAT_US);
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true);
    (void)solo_tick(&s, SOLO_RESEND_US - 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_status), 0);
    (void)solo_tick(&s, 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_status), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

static bool bit(struct bytes map, uint64_t k)
{
    assert_true(k / 8 < map.len);
    return ((uint32_t)map.data[k / 8] >> (k % 8) & 1u) != 0;
}

static void test_status_tells_what_is_here(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, 1);
    struct solo_batch two = solo_batch_make(&s, 2);
    struct solo_batch three = solo_batch_make(&s, 3);
    struct solo_batch five = solo_batch_make(&s, 5);
    assert_null(solo_propose(&s, 2, &two, true));
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 2, &two.digest)); /* 2: prepared */
    assert_null(solo_propose(&s, 3, &three, false));                  /* 3: no batch */
    solo_commit(&s, 4);                                               /* 4: committed, waits for 2 and 3 */
    assert_null(solo_propose(&s, 5, &five, true));                    /* 5: pre-prepared */
    (void)solo_tick(&s, SOLO_HEARTBEAT_US);
    const struct wire_message m = solo_message(solo_send(&s, WIRE_TYPE_status, 0));
    assert_int_equal(m.status.executed, 1);
    const bool pre_prepared[] = {true, false, true, true, false};
    const bool prepared[] = {true, false, true, false, false};
    const bool committed[] = {false, false, true, false, false};
    for (uint64_t k = 0; k < 5; k++) {
        assert_int_equal(bit(m.status.pre_prepared, k), pre_prepared[k]);
        assert_int_equal(bit(m.status.prepared, k), prepared[k]);
        assert_int_equal(bit(m.status.committed, k), committed[k]);
    }
    solo_batch_free(&two);
    solo_batch_free(&three);
    solo_batch_free(&five);
    solo_close(&s);
}

/* ---- STATUS in ---- */

static void test_status_of_another_sender_ignored(void **state)
{
    struct solo s;
    struct wire_status m = {.sender = 2};
    (void)state;
    solo_ready(&s, 4, 1);
    assert_string_equal(solo_receive(&s, 3, &wire_record_status, &m),
                        "a STATUS that names another sender than its channel");
    m.sender = 1;
    assert_string_equal(solo_receive(&s, 1, &wire_record_status, &m), "own STATUS");
    solo_close(&s);
}

static void test_status_counts_peers_heard(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    (void)solo_tick(&s, 3 * SOLO_HEARTBEAT_US + 1); /* those of the start are forgotten */
    assert_int_equal(core_summary(s.core).peers_heard, 0);
    (void)solo_status(&s, 2, 0, NULL);
    (void)solo_status(&s, 3, 0, NULL);
    (void)solo_status(&s, 3, 0, NULL);
    assert_int_equal(core_summary(s.core).peers_heard, 2);
    (void)solo_tick(&s, 3 * SOLO_HEARTBEAT_US + 1);
    assert_int_equal(core_summary(s.core).peers_heard, 0);
    solo_close(&s);
}

static void test_status_resends_prepare_and_commit_of_a_backup(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = prepared_one(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, 0, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 1);
    assert_int_equal(s.effects->count, 2);
    for (uint32_t k = 0; k < 2; k++) {
        assert_true(s.effects->items[k].send.resend);
        assert_int_equal(s.effects->items[k].send.to, 3);
        assert_null(solo_verify(&s, blob_retain(s.effects->items[k].send.bytes)));
    }
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_status_resends_pre_prepare_of_the_primary_with_its_batch(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 0);
    assert_null(solo_request(&s, 0, 1));
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, 0, NULL));
    const struct core_effect *e = solo_send(&s, WIRE_TYPE_pre_prepare, 0);
    assert_non_null(e);
    assert_true(e->send.resend);
    assert_int_equal(e->send.to, 3);
    assert_true(solo_message(e).pre_prepare.batch.len > 0);
    assert_null(solo_verify(&s, blob_retain(e->send.bytes)));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 0);
    solo_close(&s);
}

static void test_status_that_lacks_nothing_resends_nothing(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = prepared_one(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(full_status(&s, 3, 0));
    assert_int_equal(s.effects->count, 0);
    assert_null(solo_status(&s, 3, 1, NULL)); /* it has executed it */
    assert_int_equal(s.effects->count, 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_status_resends_nothing_that_was_just_sent(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = prepared_one(&s);
    (void)solo_tick(&s, SOLO_RESEND_US - 1);
    assert_null(solo_status(&s, 3, 0, NULL));
    assert_int_equal(s.effects->count, 0); /* it is on its way */
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_status_resends_no_commit_before_its_certificate_is_durable(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    (void)solo_propose(&s, 1, &b, true);
    (void)solo_vote(&s, WIRE_TYPE_prepare, 2, 1, &b.digest);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, 0, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_status_of_another_view_resends_nothing(void **state)
{
    struct solo s;
    struct wire_status m = {.sender = 3, .view = 1};
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = prepared_one(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_receive(&s, 3, &wire_record_status, &m));
    assert_int_equal(s.effects->count, 0);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_status_resends_at_most_so_many_slots(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    for (uint64_t n = 1; n <= 60; n++) {
        struct solo_batch b = solo_batch_make(&s, n);
        assert_null(solo_propose(&s, n, &b, true));
        solo_batch_free(&b);
    }
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, 0, NULL));
    assert_int_equal(s.effects->count, 24);
    assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_prepare, 0)).prepare.seq, 1); /* the oldest first */
    solo_close(&s);
}

/* A primary whose slots hold `count` batches of one 600 kB request each. */
static void propose_large(struct solo *s, uint64_t count)
{
    solo_open(s, 4, 0);
    s->config.batch_fill = 1;
    s->config.pipeline_max = 64;
    solo_start(s, NULL);
    (void)solo_all_persisted(s);
    for (uint64_t seq = 1; seq <= count; seq++)
        assert_null(
            solo_receive_bytes(s, UINT32_MAX, fixture_request_sized(s->group, 0, seq, s->wall_ms + 100000, 600000)));
    assert_int_equal(core_summary(s->core).under_way, count);
}

/* The answers are bounded in bytes too. */
static void test_status_resends_at_most_so_many_bytes(void **state)
{
    struct solo s;
    (void)state;
    propose_large(&s, 12);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, 0, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 7); /* past 4 MiB no more */
    solo_close(&s);
}

/* What is sent again and what is fetched is one share; votes, which are small, come whatever that is. */
static void test_status_resends_batches_within_one_share_with_those_fetched(void **state)
{
    struct solo s;
    struct wire_fetch m = {.sender = 3, .kind = DATA_KIND_BATCH, .seq = 1, .count = 1};
    (void)state;
    propose_large(&s, 12);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, 0, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 7);
    m.digest = solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 0)).pre_prepare.digest;
    const struct digest second = solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 1)).pre_prepare.digest;
    assert_string_equal(solo_receive(&s, 3, &wire_record_fetch, &m), "a FETCH of more than is served in one interval");
    for (uint32_t id = 1; id < 3; id++)
        assert_null(solo_vote(&s, WIRE_TYPE_prepare, id, 2, &second));
    (void)solo_all_persisted(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    while (solo_receive(&s, 3, &wire_record_fetch, &m) == NULL) { /* until the share is used up */
    }
    assert_null(solo_status(&s, 3, 0, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_pre_prepare), 0);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 1);
    solo_close(&s);
}

static void test_status_resends_checkpoint(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, K);
    (void)solo_all_persisted(&s);
    assert_null(solo_status(&s, 3, K, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_checkpoint), 0); /* it is on its way */
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, K, NULL));
    const struct core_effect *e = solo_send(&s, WIRE_TYPE_checkpoint, 0);
    assert_non_null(e);
    assert_true(e->send.resend);
    assert_null(solo_verify(&s, blob_retain(e->send.bytes)));
    solo_close(&s);
}

static void test_status_resends_no_checkpoint_before_its_blocks_are_durable(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, K);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, K, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_checkpoint), 0);
    solo_close(&s);
}

static void test_status_with_proof_makes_the_own_checkpoint_stable(void **state)
{
    struct solo s;
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0xd);
    solo_run_to(&s, K - 1);
    (void)solo_all_persisted(&s);
    assert_null(solo_status(&s, 2, K, proof));
    assert_null(solo_persist(&s, CORE_PERSIST_STABLE)); /* above what is executed here */
    solo_run_to(&s, K);
    (void)solo_all_persisted(&s);
    assert_null(solo_status(&s, 2, K, proof));
    assert_non_null(solo_persist(&s, CORE_PERSIST_STABLE));
    blob_release(proof);
    solo_close(&s);
}

static void test_status_again_and_again_resends_no_more(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = prepared_one(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, 0, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 1);
    for (uint32_t i = 0; i < 100; i++) {
        assert_null(solo_status(&s, 3, 0, NULL));
        assert_int_equal(s.effects->count, 0);
    }
    assert_null(solo_status(&s, 2, 0, NULL)); /* another peer's share is its own */
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 1);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, 0, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 1);
    solo_batch_free(&b);
    solo_close(&s);
}

/* A peer that says STATUS all the time is repaired once in half a resend interval, no sooner. */
static void test_status_very_often_is_repaired_once_in_half_an_interval(void **state)
{
    struct solo s;
    uint32_t repairs = 0;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = prepared_one(&s);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, 0, NULL));
    (void)solo_tick(&s, SOLO_RESEND_US / 2 - 1);
    assert_null(solo_status(&s, 3, 0, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 0);
    (void)solo_tick(&s, 1);
    assert_null(solo_status(&s, 3, 0, NULL));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_commit), 1);
    for (uint32_t i = 0; i < 100; i++) { /* a hundredth of ten intervals each */
        (void)solo_tick(&s, SOLO_RESEND_US / 10);
        assert_null(solo_status(&s, 3, 0, NULL));
        repairs += solo_sent(&s, WIRE_TYPE_commit);
    }
    assert_int_equal(repairs, 20);
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- missing batches ---- */

static void test_fetch_of_batches_serves_at_most_so_many_bytes_in_an_interval(void **state)
{
    struct solo s;
    struct wire_fetch m = {.sender = 2, .kind = DATA_KIND_BATCH, .seq = 1, .count = 1};
    uint32_t served = 0;
    (void)state;
    propose_large(&s, 1);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_status(&s, 3, 0, NULL));
    m.digest = solo_message(solo_send(&s, WIRE_TYPE_pre_prepare, 0)).pre_prepare.digest;
    for (uint32_t i = 0; i < 50; i++)
        if (solo_receive(&s, 2, &wire_record_fetch, &m) == NULL) served++;
    assert_int_equal(served, 7); /* past 4 MiB no more */
    m.sender = 3;
    assert_null(solo_receive(&s, 3, &wire_record_fetch, &m)); /* another peer's share is its own */
    m.sender = 2;
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_null(solo_receive(&s, 2, &wire_record_fetch, &m));
    solo_close(&s);
}

static void test_fetch_asks_for_the_batch_of_a_proposal(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    assert_null(solo_propose(&s, 1, &b, false));
    (void)solo_tick(&s, SOLO_RESEND_US);
    const struct core_effect *e = fetch_of(&s, DATA_KIND_BATCH);
    assert_non_null(e);
    assert_int_equal(e->send.to, CORE_TO_ALL);
    const struct wire_message m = solo_message(e);
    assert_int_equal(m.fetch.seq, 1);
    assert_true(digest_equal(&m.fetch.digest, &b.digest));
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_fetch_asks_for_at_most_so_many_batches(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    for (uint64_t n = 1; n <= 40; n++) {
        struct solo_batch b = solo_batch_make(&s, n);
        assert_null(solo_propose(&s, n, &b, false));
        solo_batch_free(&b);
    }
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 16);
    solo_close(&s);
}

static void test_fetch_of_a_batch_is_answered_by_who_holds_it(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct wire_fetch m = {.sender = 2, .kind = DATA_KIND_BATCH, .seq = 1, .count = 1, .digest = b.digest};
    assert_string_equal(solo_receive(&s, 2, &wire_record_fetch, &m), "a FETCH of a batch not held");
    assert_null(solo_propose(&s, 1, &b, true));
    assert_null(solo_receive(&s, 2, &wire_record_fetch, &m));
    const struct core_effect *e = solo_send(&s, WIRE_TYPE_data, 0);
    assert_non_null(e);
    assert_int_equal(e->send.to, 2);
    assert_null(solo_verify(&s, blob_retain(e->send.bytes)));
    m.digest.bytes[0] ^= 1;
    assert_string_equal(solo_receive(&s, 2, &wire_record_fetch, &m), "a FETCH of a batch not held");
    assert_string_equal(solo_receive(&s, 3, &wire_record_fetch, &m),
                        "a FETCH that names another sender than its channel");
    m.kind = DATA_KIND_NEW_VIEW;
    assert_string_equal(solo_receive(&s, 2, &wire_record_fetch, &m),
                        "a FETCH of a kind that this version does not serve");
    solo_batch_free(&b);
    solo_close(&s);
}

static const char *data_batch(struct solo *s, uint64_t seq, const struct solo_batch *b)
{
    struct wire_data m = {
        .sender = 3, .kind = DATA_KIND_BATCH, .seq = seq, .digest = b->digest, .payload = blob_bytes(b->bytes)};
    return solo_receive(s, 3, &wire_record_data, &m);
}

static void test_data_brings_the_batch_of_a_proposal(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct solo_batch other = solo_batch_make(&s, 2);
    assert_string_equal(data_batch(&s, 1, &b), "a batch that no proposal waits for");
    assert_null(solo_propose(&s, 1, &b, false));
    assert_string_equal(data_batch(&s, 1, &other), "a batch that no proposal waits for");
    assert_string_equal(data_batch(&s, 2, &b), "a batch that no proposal waits for");
    assert_null(data_batch(&s, 1, &b));
    assert_int_equal(solo_sent(&s, WIRE_TYPE_prepare), 1);
    assert_string_equal(data_batch(&s, 1, &b), "the batch is judged already");
    solo_batch_free(&b);
    solo_batch_free(&other);
    solo_close(&s);
}

static void test_data_of_another_sender_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct wire_data m = {
        .sender = 3, .kind = DATA_KIND_BATCH, .seq = 1, .digest = b.digest, .payload = blob_bytes(b.bytes)};
    assert_string_equal(solo_receive(&s, 2, &wire_record_data, &m), "DATA that names another sender than its channel");
    solo_batch_free(&b);
    solo_close(&s);
}

/* ---- looking ---- */

static void test_dump_is_canonical_and_shows_slots(void **state)
{
    struct buffer one = {0};
    struct buffer two = {0};
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct solo s;
        solo_ready(&s, 4, 1);
        struct solo_batch b = prepared_one(&s);
        assert_null(solo_propose(&s, 2, &b, false));
        core_dump(s.core, i == 0 ? &one : &two);
        solo_batch_free(&b);
        solo_close(&s);
    }
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.data, two.data, one.len);
    buffer_append(&one, "", 1);
    assert_non_null(strstr((const char *)one.data, "slot 1 prepared"));
    assert_non_null(strstr((const char *)one.data, "slot 2 proposed"));
    buffer_free(&one);
    buffer_free(&two);
}

/* Nobody may prepare it, so nobody need have it. */
static void test_fetch_asks_for_no_batch_that_was_found_bad(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *request = fixture_request(s.group, 0, 1, s.wall_ms + 1000, "key", "value");
    request->data[request->len - 1] ^= 1;
    struct solo_batch bad = {.time_ms = s.wall_ms};
    bad.bytes = fixture_batch(bad.time_ms, &request, 1, &bad.digest);
    struct solo_batch lacking = solo_batch_make(&s, 2);
    assert_non_null(solo_propose(&s, 1, &bad, true));
    assert_null(solo_propose(&s, 2, &lacking, false));
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_int_equal(solo_sent(&s, WIRE_TYPE_fetch), 1);
    assert_int_equal(solo_message(solo_send(&s, WIRE_TYPE_fetch, 0)).fetch.seq, 2);
    blob_release(request);
    solo_batch_free(&bad);
    solo_batch_free(&lacking);
    solo_close(&s);
}

/* msg_verify lets no such DATA in; the core does not rely on that. */
static void test_data_that_nothing_asks_for_is_ignored(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct wire_data m = {.sender = 2, .kind = DATA_KIND_VIEW_CHANGE, .seq = 1};
    assert_string_equal(solo_receive_unchecked(&s, 2, fixture_message(s.group, &wire_record_data, &m)),
                        "DATA of a kind that was not asked for");
    m.kind = DATA_KIND_BATCH;
    assert_string_equal(solo_receive_unchecked(&s, 2, fixture_message(s.group, &wire_record_data, &m)),
                        "DATA of a kind that was not asked for");
    solo_close(&s);
}

/* A prepared certificate for one batch is on its way to disk, and Q have committed to another, in a view that this one
 * has not seen: that batch is not on disk with it. */
static void test_block_for_another_batch_than_was_prepared_here_is_kept_with_its_own(void **state)
{
    struct solo s;
    (void)state;
    for (uint32_t same = 0; same < 2; same++) {
        solo_ready(&s, 4, 1);
        struct solo_batch b = prepared_one(&s);
        struct solo_batch other = solo_batch_make(&s, 9);
        assert_null(solo_block(&s, 2, 1, same == 1 ? &b : &other, NULL));
        const struct core_effect *e = solo_effect(&s, CORE_EFFECT_EXECUTE, 0);
        assert_non_null(e);
        assert_int_equal(e->execute.batch_persisted, same);
        solo_batch_free(&b);
        solo_batch_free(&other);
        solo_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_idle_only_with_the_heartbeat),
        cmocka_unit_test(test_status_sooner_when_something_is_under_way),
        cmocka_unit_test(test_status_tells_what_is_here),
        cmocka_unit_test(test_status_of_another_sender_ignored),
        cmocka_unit_test(test_status_counts_peers_heard),
        cmocka_unit_test(test_status_resends_prepare_and_commit_of_a_backup),
        cmocka_unit_test(test_status_resends_pre_prepare_of_the_primary_with_its_batch),
        cmocka_unit_test(test_status_that_lacks_nothing_resends_nothing),
        cmocka_unit_test(test_status_resends_nothing_that_was_just_sent),
        cmocka_unit_test(test_status_resends_no_commit_before_its_certificate_is_durable),
        cmocka_unit_test(test_status_of_another_view_resends_nothing),
        cmocka_unit_test(test_status_resends_at_most_so_many_slots),
        cmocka_unit_test(test_status_resends_at_most_so_many_bytes),
        cmocka_unit_test(test_status_resends_batches_within_one_share_with_those_fetched),
        cmocka_unit_test(test_status_resends_checkpoint),
        cmocka_unit_test(test_status_resends_no_checkpoint_before_its_blocks_are_durable),
        cmocka_unit_test(test_status_with_proof_makes_the_own_checkpoint_stable),
        cmocka_unit_test(test_status_again_and_again_resends_no_more),
        cmocka_unit_test(test_status_very_often_is_repaired_once_in_half_an_interval),
        cmocka_unit_test(test_fetch_of_batches_serves_at_most_so_many_bytes_in_an_interval),
        cmocka_unit_test(test_fetch_asks_for_the_batch_of_a_proposal),
        cmocka_unit_test(test_fetch_asks_for_at_most_so_many_batches),
        cmocka_unit_test(test_fetch_of_a_batch_is_answered_by_who_holds_it),
        cmocka_unit_test(test_data_brings_the_batch_of_a_proposal),
        cmocka_unit_test(test_data_of_another_sender_ignored),
        cmocka_unit_test(test_dump_is_canonical_and_shows_slots),
        cmocka_unit_test(test_fetch_asks_for_no_batch_that_was_found_bad),
        cmocka_unit_test(test_data_that_nothing_asks_for_is_ignored),
        cmocka_unit_test(test_block_for_another_batch_than_was_prepared_here_is_kept_with_its_own),
    };
    return cmocka_run_group_tests_name("core_sync", tests, NULL, NULL);
}
