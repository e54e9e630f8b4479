/* test_hostile_early.c - frames of a hostile member that a replica drops before it checks a signature, counted by the
 * signatures it has checked: three real replicas of a group of four, and this program in the place of the fourth, as in
 * test_hostile_member.c. Replica 0 logs what it ignores.
 */
#include "base/clock.h"
#include "ledger/app.h"
#include "tests/fixture/live_peer.h"
#include "wire/verified.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define REPLICAS 4u
#define HONEST 3u
#define EVIL 3u        /* the member whose keys we have */
#define MANY 100u      /* good signatures that nobody has seen before */
#define HARDLY_ANY 20u /* what a group without clients may come to verify by the way */

enum { CLIENT_VICTIM = 1, CLIENT_COUNT };

static struct live_group live;

static int suite_setup(void **state)
{
    (void)state;
    live_group_make(&live, REPLICAS, CLIENT_COUNT);
    live_write(live.replicas[0].config,
               "[replica]\nid = 0\ngroup = ../group.json\ndata = data\nsigning_key = signing.key\n"
               "transport_key = transport.key\nproduction = no\n" LIVE_TUNING "[log]\nlevel = debug\n");
    for (uint32_t id = 0; id < HONEST; id++)
        live_replica_start(&live, id);
    live_commit(&live);
    return 0;
}

static int suite_teardown(void **state)
{
    (void)state;
    live_group_end(&live);
    return 0;
}

static int test_setup(void **state)
{
    (void)state;
    live_attack_begin(&live);
    return 0;
}

static int test_teardown(void **state)
{
    (void)state;
    live_attack_end(&live);
    return 0;
}

/* Good signatures that replica 0 has checked. */
static uint64_t verified_now(void)
{
    struct pbft_replica_status status[REPLICAS];
    (void)pbft_status_wait(live.client, LIVE_PEER_MS, status);
    assert_true(status[0].answered);
    return status[0].verified;
}

/* A frame that comes after those sent before has been worked on: the answer is one block. */
static void await_answer(struct raw_peer *p)
{
    const struct wire_fetch fetch = {.sender = EVIL, .kind = DATA_KIND_BLOCK, .seq = 1, .count = 1};
    struct wire_message m;
    assert_true(raw_peer_send_record(p, &wire_record_fetch, &fetch));
    struct blob *answer = live_peer_await(p, WIRE_TYPE_data, &m);
    assert_non_null(answer);
    blob_release(answer);
}

/* A request never sent before; signed by `key`, a client's or not. */
static struct blob *new_request(const struct secret_key *key)
{
    static uint64_t seq = SEQ_MAX;
    const struct live_request r = {.signer = key, .seq = seq--, .verb = APP_KV_PUT, .key = "never", .value = "x"};
    return live_request_make(&live, &r);
}

/* An encoded batch of `count` requests of a client, all new. */
static struct blob *new_batch(uint32_t count)
{
    struct blob *space = blob_new(count * 400u + 16u);
    struct writer w = writer_of(space->data, space->len);
    struct wire_batch batch = {.time_ms = clock_wall_ms()};
    for (uint32_t i = 0; i < count; i++) {
        struct blob *request = new_request(&live.clients[CLIENT_VICTIM]);
        wire_list_add_bytes(&batch.requests, &w, blob_bytes(request));
        blob_release(request);
    }
    assert_false(w.overflow);
    struct blob *out = wire_encode_blob(&wire_record_batch, &batch);
    blob_release(space);
    return out;
}

static struct digest digest_of_batch(const struct blob *batch)
{
    const struct signature_checker none = {0};
    struct batch_view view;
    assert_null(batch_open(&live.wire, none, blob_bytes(batch), &view));
    return view.digest;
}

static void send_batch_as_data(struct raw_peer *p, const struct blob *batch)
{
    const struct wire_data m = {.sender = EVIL,
                                .kind = DATA_KIND_BATCH,
                                .seq = 1,
                                .digest = digest_of_batch(batch),
                                .payload = blob_bytes(batch)};
    assert_true(raw_peer_send_record(p, &wire_record_data, &m));
}

static void send_batch_as_proposal(struct raw_peer *p, const struct blob *batch, uint64_t view, uint64_t seq)
{
    struct wire_pre_prepare m = {.sender = EVIL, .view = view, .seq = seq, .digest = digest_of_batch(batch)};
    m.signature = live_sign(&live, EVIL, &wire_record_pre_prepare, &m);
    m.batch = blob_bytes(batch);
    assert_true(raw_peer_send_record(p, &wire_record_pre_prepare, &m));
}

static void test_data_not_asked_for_costs_no_signature(void **state)
{
    (void)state;
    struct raw_peer *p = live_peer_member(&live, 0, EVIL);
    struct blob *empty = new_batch(0); /* what may be owed is used up with these */
    LIVE_UNTIL_LOGGED(&live, 0, "event=inbound.ignored replica=0 peer=3 reason=\"DATA that was not asked for\"", {
        for (uint32_t i = 0; i < 200; i++)
            send_batch_as_data(p, empty);
    });
    const uint64_t before = verified_now();
    struct blob *batch = new_batch(MANY);
    send_batch_as_data(p, batch);
    await_answer(p);
    assert_in_range(verified_now() - before, 0, HARDLY_ANY);
    blob_release(batch);
    blob_release(empty);
    raw_peer_free(p);
}

static void test_pre_prepare_outside_window_costs_no_signature(void **state)
{
    (void)state;
    struct raw_peer *p = live_peer_member(&live, 0, EVIL);
    struct blob *batch = new_batch(1);
    const uint64_t before = verified_now();
    LIVE_UNTIL_LOGGED(&live, 0, "event=inbound.ignored replica=0 peer=3 reason=\"PRE-PREPARE outside the window\"", {
        for (uint64_t i = 0; i < MANY; i++) /* each with a signature of its own */
            send_batch_as_proposal(p, batch, 0, SEQ_MAX - i);
    });
    await_answer(p);
    assert_in_range(verified_now() - before, 0, HARDLY_ANY);
    blob_release(batch);
    raw_peer_free(p);
}

/* In view 3 it is the primary: a replica about to enter that view must not have dropped its proposals. */
static void test_pre_prepare_of_higher_view_is_verified(void **state)
{
    (void)state;
    struct raw_peer *p = live_peer_member(&live, 0, EVIL);
    struct blob *batch = new_batch(MANY);
    const uint64_t before = verified_now();
    const uint64_t until = live_deadline_us(LIVE_PEER_MS);
    send_batch_as_proposal(p, batch, EVIL, 1);
    while (verified_now() - before < MANY)
        if (live_deadline_us(0) > until) fail_msg("it is never verified");
    blob_release(batch);
    raw_peer_free(p);
}

static void test_requests_of_unregistered_forwarded_cost_no_signature(void **state)
{
    struct secret_key stranger;
    struct public_key public;
    (void)state;
    sign_key_new(&stranger, &public);
    struct raw_peer *p = live_peer_member(&live, 0, EVIL);
    const uint64_t before = verified_now();
    LIVE_UNTIL_LOGGED(&live, 0, "event=inbound.ignored replica=0 peer=3 reason=\"request of an unknown client\"", {
        for (uint32_t i = 0; i < MANY; i++) {
            struct blob *request = new_request(&stranger);
            assert_true(raw_peer_send(p, blob_bytes(request)));
            blob_release(request);
        }
    });
    await_answer(p);
    assert_in_range(verified_now() - before, 0, HARDLY_ANY);
    assert_int_equal(live_log_count(&live, 0, "event=verify.full"), 0); /* its own limit is the only one it meets */
    raw_peer_free(p);
}

#define EARLY_TEST(test) cmocka_unit_test_setup_teardown(test, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EARLY_TEST(test_data_not_asked_for_costs_no_signature),
        EARLY_TEST(test_pre_prepare_outside_window_costs_no_signature),
        EARLY_TEST(test_pre_prepare_of_higher_view_is_verified),
        EARLY_TEST(test_requests_of_unregistered_forwarded_cost_no_signature),
    };
    return cmocka_run_group_tests_name("hostile early", tests, suite_setup, suite_teardown);
}
