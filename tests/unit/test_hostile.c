/* test_hostile.c - what strangers and registered clients may say to a group of four real replicas, and what comes of
 * it.
 *
 * Each test attacks, asserts the answer and the log line, and then that every replica runs, a transaction commits, and
 * no replica has grown. One group for all tests; each test uses a client key of its own.
 */
#include "base/clock.h"
#include "crypto/keyfile.h"
#include "ledger/app.h"
#include "tests/fixture/live_peer.h"
#include "tests/fixture/wire_vectors.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define REPLICAS 4u
#define MIB (1024u * 1024u)

/* Which client key a test uses. 0 is the fixture's. */
enum {
    CLIENT_SIGNATURE = 1,
    CLIENT_GROUP,
    CLIENT_REPLAY,
    CLIENT_CONFLICT,
    CLIENT_WINDOW_EDGES,
    CLIENT_LARGE,
    CLIENT_FRAMES,
    CLIENT_MALFORMED,
    CLIENT_RELAY,
    CLIENT_RELAYED,
    CLIENT_EPOCH,
    CLIENT_TYPES,
    CLIENT_COUNT,
};

static struct live_group live;

static int suite_setup(void **state)
{
    (void)state;
    live_group_start(&live, REPLICAS, CLIENT_COUNT);
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

static struct blob *make_put(uint32_t client, uint64_t seq, const char *key, const char *value)
{
    const struct live_request r = {
        .signer = &live.clients[client], .seq = seq, .verb = APP_KV_PUT, .key = key, .value = value};
    return live_request_make(&live, &r);
}

/* ---- who may connect ---- */

/* A key of nobody: refused in the handshake, whether our side hears of it before or after its end. */
static void stranger_knocks(uint32_t replica)
{
    const struct wire_hello hello = live_peer_hello(&live, HELLO_ROLE_CLIENT, 0);
    struct secret_key stranger;
    struct public_key public;
    struct raw_peer *p;
    sign_key_new(&stranger, &public);
    if (!raw_peer_open(live.host, live.replicas[replica].port, &stranger, false, &p)) return;
    (void)raw_peer_send_record(p, &wire_record_hello, &hello);
    live_peer_expect_closed(p);
}

static void test_key_unregistered_refused_at_handshake_logged_once(void **state)
{
    const uint64_t began = clock_monotonic_us();
    (void)state;
    for (uint32_t i = 0; i < 80; i++)
        stranger_knocks(i % REPLICAS);
    for (uint32_t id = 0; id < REPLICAS; id++) {
        LIVE_UNTIL_LOGGED(&live, id, "unknown key: neither a member's", stranger_knocks(id));
        live_log_check_limited(&live, id, "unknown key", began);
    }
}

/* The library with a key that only its own group file knows: told apart before and after the handshake. */
static void test_client_unregistered_library_says_refused(void **state)
{
    char group_path[LIVE_PATH_BYTES];
    char key_path[LIVE_PATH_BYTES];
    struct secret_key stranger;
    struct pbft_client *c;
    struct group *g;
    (void)state;
    live_path(&live, "stranger.json", group_path);
    live_path(&live, "stranger.key", key_path);
    struct err e = group_read(live.group_path, &g);
    assert_int_equal(e.code, ERR_NONE);
    sign_key_new(&stranger, &g->clients[0].key);
    e = group_seal(g);
    assert_int_equal(e.code, ERR_NONE);
    e = group_write(group_path, g);
    assert_int_equal(e.code, ERR_NONE);
    group_free(g);
    e = keyfile_write_secret(key_path, &stranger, true);
    assert_int_equal(e.code, ERR_NONE);
    const struct pbft_options honest = {.group_path = live.group_path, .key_path = key_path};
    struct pbft_error told = pbft_open(&honest, &c);
    assert_int_equal(told.status, PBFT_BAD_CONFIG);
    assert_non_null(strstr(told.text, "is not a client's of the group"));
    const struct pbft_options doctored = {.group_path = group_path, .key_path = key_path};
    told = pbft_open(&doctored, &c);
    assert_int_equal(told.status, PBFT_OK);
    told = pbft_ready(c, 1500);
    pbft_close(c);
    assert_int_equal(told.status, PBFT_TIMEOUT);
    assert_non_null(strstr(told.text, "0 of 4 replicas answer"));
    assert_non_null(strstr(told.text, "refused"));
}

static void expect_hello_refused(const struct wire_hello *hello)
{
    struct raw_peer *p = live_peer_silent(&live, 1, &live.clients[CLIENT_GROUP], false);
    assert_true(raw_peer_send_record(p, &wire_record_hello, hello));
    live_peer_expect_closed(p);
}

static void test_hello_of_another_group_closed_and_logged(void **state)
{
    struct wire_hello hello = live_peer_hello(&live, HELLO_ROLE_CLIENT, 0);
    (void)state;
    hello.group.bytes[5] ^= 1u;
    expect_hello_refused(&hello);
    LIVE_UNTIL_LOGGED(&live, 1, "belongs to another group", expect_hello_refused(&hello));
}

static void test_hello_wrong_in_any_field_closed(void **state)
{
    const struct wire_hello good = live_peer_hello(&live, HELLO_ROLE_CLIENT, 0);
    struct wire_hello bad[3] = {good, good, good};
    (void)state;
    bad[0].version++;
    bad[1].epoch++;
    bad[2].role = HELLO_ROLE_REPLICA;
    for (uint32_t i = 0; i < 3; i++)
        expect_hello_refused(&bad[i]);
    /* a request in place of HELLO */
    struct raw_peer *p = live_peer_silent(&live, 1, &live.clients[CLIENT_GROUP], false);
    struct blob *request = make_put(CLIENT_GROUP, 1, "k", "v");
    assert_true(raw_peer_send(p, blob_bytes(request)));
    blob_release(request);
    live_peer_expect_closed(p);
}

/* ---- requests ---- */

/* Ten forged requests, each refused; then more than the budget. */
static void forge_until_closed(void)
{
    const struct live_request forged = {.signer = &live.clients[CLIENT_GROUP],
                                        .names = &live.clients[CLIENT_SIGNATURE],
                                        .seq = 1,
                                        .verb = APP_KV_PUT,
                                        .key = "forged",
                                        .value = "x"};
    struct raw_peer *p = live_peer_client(&live, 0, CLIENT_SIGNATURE);
    struct blob *request = live_request_make(&live, &forged);
    for (uint32_t i = 0; i < 10; i++)
        live_peer_expect_busy(p, blob_retain(request), BUSY_INVALID);
    for (uint32_t i = 0; i < 60; i++)
        if (!raw_peer_send(p, blob_bytes(request))) break;
    blob_release(request);
    live_peer_expect_closed(p);
}

static void test_request_wrong_signature_invalid_then_disconnected(void **state)
{
    const uint64_t began = clock_monotonic_us();
    (void)state;
    forge_until_closed();
    LIVE_UNTIL_LOGGED(&live, 0, "the signature of a request is wrong", forge_until_closed());
    LIVE_UNTIL_LOGGED(&live, 0, "too many invalid messages", forge_until_closed());
    live_log_check_limited(&live, 0, "the signature of a request is wrong", began);
    live_log_check_limited(&live, 0, "too many invalid messages", began);
}

static void test_request_signed_for_another_group_invalid(void **state)
{
    struct digest other = live.group->id;
    (void)state;
    other.bytes[0] ^= 1u;
    const struct live_request r = {.signer = &live.clients[CLIENT_GROUP],
                                   .group = &other,
                                   .seq = 1,
                                   .verb = APP_KV_PUT,
                                   .key = "other-group",
                                   .value = "x"};
    const struct live_request later = {
        .signer = &live.clients[CLIENT_GROUP], .epoch = 1, .seq = 1, .verb = APP_KV_PUT, .key = "k", .value = "v"};
    const struct live_request zero = {
        .signer = &live.clients[CLIENT_GROUP], .seq = 0, .verb = APP_KV_PUT, .key = "k", .value = "v"};
    struct raw_peer *p = live_peer_client(&live, 2, CLIENT_GROUP);
    live_peer_expect_busy(p, live_request_make(&live, &r), BUSY_INVALID);
    live_peer_expect_busy(p, live_request_make(&live, &later), BUSY_INVALID); /* another epoch */
    live_peer_expect_busy(p, live_request_make(&live, &zero), BUSY_INVALID);
    raw_peer_free(p);
}

/* The entries of the ledger, once every replica has the same. */
static uint64_t ledger_entries(void)
{
    struct pbft_replica_status status[REPLICAS];
    const uint64_t until = live_deadline_us(LIVE_PEER_MS);
    for (;;) {
        uint32_t same = 0;
        (void)pbft_status_wait(live.client, LIVE_PEER_MS, status);
        for (uint32_t id = 0; id < REPLICAS; id++)
            if (status[id].answered && status[id].entries == status[0].entries) same++;
        if (same == REPLICAS) return status[0].entries;
        if (clock_monotonic_us() > until) fail_msg("the replicas do not come to the same ledger");
        live_pause();
    }
}

static void test_request_replayed_answered_alike_executed_once(void **state)
{
    const struct live_request r = {.signer = &live.clients[CLIENT_REPLAY],
                                   .seq = 1,
                                   .verb = APP_KV_CAS, /* only when absent: executed twice it would answer no */
                                   .key = "replayed",
                                   .value = "once"};
    struct wire_message first;
    struct wire_message m;
    (void)state;
    struct blob *request = live_request_make(&live, &r);
    struct raw_peer *p = live_peer_client(&live, 0, CLIENT_REPLAY);
    assert_true(raw_peer_send(p, blob_bytes(request)));
    struct blob *answer = live_peer_await(p, WIRE_TYPE_reply, &first);
    assert_non_null(answer);
    const uint64_t entries_before = ledger_entries();
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(raw_peer_send(p, blob_bytes(request)));
        struct blob *again = live_peer_await(p, WIRE_TYPE_reply, &m);
        assert_non_null(again);
        assert_int_equal(wire_compare_record(&wire_record_header, &m.reply.header, &first.reply.header), 0);
        assert_true(bytes_equal(m.reply.entries.items, first.reply.entries.items));
        blob_release(again);
    }
    for (uint32_t i = 0; i < 20000; i++) /* and without waiting for the answers */
        if (!raw_peer_send(p, blob_bytes(request))) break;
    live_commit(&live); /* beside it */
    assert_int_equal(ledger_entries(), entries_before + 1);
    raw_peer_free(p);
    blob_release(answer);
    blob_release(request);
}

static void test_same_sequence_other_operation_conflict(void **state)
{
    const struct pbft_operation one = {.app = 1, .verb = 1, .arg_count = 2, .args = {{"conflict", 8}, {"1", 1}}};
    struct pbft_answer *answer;
    (void)state;
    struct pbft_client *c = live_client_open(&live, CLIENT_CONFLICT, LIVE_PEER_MS);
    struct pbft_error e = pbft_submit_wait(c, &one, 1, &answer);
    assert_int_equal(e.status, PBFT_OK);
    assert_int_equal(answer->client_seq, 1);
    pbft_answer_free(answer);
    pbft_close(c);
    struct raw_peer *p = live_peer_client(&live, 0, CLIENT_CONFLICT);
    live_peer_expect_busy(p, make_put(CLIENT_CONFLICT, 1, "conflict", "3"), BUSY_CONFLICT);
    live_peer_expect_busy(p, make_put(CLIENT_CONFLICT, 1, "conflict", "4"), BUSY_CONFLICT);
    raw_peer_free(p);
}

struct outcome_of_submit {
    bool done;
    enum pbft_status status;
    char text[PBFT_ERROR_BYTES];
};

static void keep_outcome(void *context, const struct pbft_answer *answer)
{
    struct outcome_of_submit *o = context;
    o->done = true;
    o->status = answer->status;
    (void)snprintf(o->text, sizeof o->text, "%s", answer->text);
}

/* Submits one put at a given sequence and waits for what the library makes of it. */
static struct outcome_of_submit submit_at(struct pbft_client *c, uint64_t seq, const char *value)
{
    struct outcome_of_submit o = {0};
    const struct pbft_operation op = {
        .app = 1, .verb = 1, .arg_count = 2, .args = {{"edge", 4}, {value, strlen(value)}}};
    const struct pbft_error e = pbft_submit_at(c, seq, clock_wall_ms() + 3600000u, &op, 1, keep_outcome, &o);
    if (e.status != PBFT_OK) fail_msg("%s", e.text);
    while (!o.done)
        pbft_poll(c, 100);
    return o;
}

static void test_sequences_outside_the_window_told_so(void **state)
{
    (void)state;
    struct pbft_client *c = live_client_open(&live, CLIENT_WINDOW_EDGES, LIVE_PEER_MS);
    struct pbft_error e = pbft_ready(c, LIVE_PEER_MS);
    assert_int_equal(e.status, PBFT_OK);
    assert_int_equal(submit_at(c, 1, "a").status, PBFT_OK);
    assert_int_equal(submit_at(c, 65, "b").status, PBFT_OK); /* 1 + 64: the highest that may be */
    struct outcome_of_submit o = submit_at(c, 1, "other");
    assert_int_equal(o.status, PBFT_TOO_OLD);
    assert_non_null(strstr(o.text, "settled long ago"));
    o = submit_at(c, 65, "other");
    assert_int_equal(o.status, PBFT_CONFLICT);
    assert_non_null(strstr(o.text, "settled by another transaction"));
    pbft_close(c);
    struct raw_peer *p = live_peer_client(&live, 0, CLIENT_WINDOW_EDGES);
    live_peer_expect_busy(p, make_put(CLIENT_WINDOW_EDGES, 65 + 1000, "edge", "c"), BUSY_TOO_FAR);
    live_peer_expect_busy(p, make_put(CLIENT_WINDOW_EDGES, SEQ_MAX, "edge", "c"), BUSY_TOO_FAR);
    live_peer_expect_busy(p, make_put(CLIENT_WINDOW_EDGES, 1, "edge", "c"), BUSY_TOO_OLD);
    raw_peer_free(p);
}

static void relay(void)
{
    struct raw_peer *p = live_peer_client(&live, 0, CLIENT_RELAY);
    live_peer_expect_busy(p, make_put(CLIENT_RELAYED, 1, "relayed", "x"), BUSY_INVALID);
    raw_peer_free(p);
}

static void test_request_of_another_client_relayed_invalid(void **state)
{
    (void)state;
    relay();
    LIVE_UNTIL_LOGGED(&live, 0, "a client sent a request of another client", relay());
    struct pbft_client *c = live_client_open(&live, CLIENT_RELAYED, LIVE_PEER_MS);
    const struct pbft_error e = pbft_ready(c, LIVE_PEER_MS);
    assert_int_equal(e.status, PBFT_OK);
    assert_int_equal(pbft_highest_settled(c), 0); /* its own sequence is untouched */
    pbft_close(c);
}

/* ---- sizes ---- */

static void test_request_oversize_library_too_large(void **state)
{
    static char large[MIB + 100];
    struct pbft_answer *answer;
    (void)state;
    memset(large, 'x', sizeof large);
    struct pbft_client *c = live_client_open(&live, CLIENT_LARGE, LIVE_PEER_MS);
    struct pbft_operation op = {.app = 1, .verb = 1, .arg_count = 2, .args = {{"large", 5}, {large, MIB}}};
    struct pbft_error e = pbft_submit_wait(c, &op, 1, &answer);
    assert_int_equal(e.status, PBFT_TOO_LARGE);
    assert_non_null(strstr(e.text, "1048576 bytes"));
    op = (struct pbft_operation){.app = 1, .verb = 2, .arg_count = 8};
    for (uint32_t i = 0; i < 8; i++)
        op.args[i] = (struct pbft_bytes){large, MIB - 100}; /* each within the limit, together far over it */
    e = pbft_read_wait(c, &op, &answer);
    assert_int_equal(e.status, PBFT_TOO_LARGE);
    op = (struct pbft_operation){.app = 1, .verb = 1, .arg_count = 2, .args = {{"large", 5}, {large, MIB - 400}}};
    e = pbft_submit_wait(c, &op, 1, &answer); /* just below it: fine */
    assert_int_equal(e.status, PBFT_OK);
    pbft_answer_free(answer);
    pbft_close(c);
}

static void test_request_oversize_within_frame_invalid(void **state)
{
    static char large[MIB + 1000];
    (void)state;
    memset(large, 'x', sizeof large);
    const struct live_request r = {.signer = &live.clients[CLIENT_LARGE],
                                   .seq = 2,
                                   .verb = APP_KV_PUT,
                                   .key = "large",
                                   .value = large,
                                   .value_bytes = MIB - 20}; /* with its head over the limit */
    struct raw_peer *p = live_peer_client(&live, 0, CLIENT_LARGE);
    live_peer_expect_busy(p, live_request_make(&live, &r), BUSY_INVALID);
    raw_peer_free(p);
}

static void expect_length_refused(uint32_t replica, uint64_t length)
{
    uint8_t head[4];
    struct raw_peer *p = live_peer_client(&live, replica, CLIENT_FRAMES);
    be32_put(head, (uint32_t)length);
    assert_true(raw_peer_send_bytes(p, bytes_of(head, sizeof head), LIVE_PEER_MS));
    live_peer_expect_closed(p);
}

static void test_frame_length_zero_huge_or_over_limit_disconnected(void **state)
{
    const uint64_t began = clock_monotonic_us();
    (void)state;
    expect_length_refused(0, 0);
    expect_length_refused(1, UINT32_MAX); /* 4 GiB */
    expect_length_refused(2, 0x80000000u);
    expect_length_refused(3, CLIENT_FRAME_BYTES_MAX + 1);
    for (uint32_t id = 0; id < REPLICAS; id++)
        LIVE_UNTIL_LOGGED(&live, id, "a frame has a length of zero or over the limit", expect_length_refused(id, 0));
    for (uint32_t i = 0; i < 20; i++) /* also as the first frame */
        for (uint32_t id = 0; id < REPLICAS; id++) {
            struct raw_peer *p = live_peer_silent(&live, id, &live.clients[CLIENT_FRAMES], false);
            (void)raw_peer_send_bytes(p, bytes_of("\xff\xff\xff\xff", 4), LIVE_PEER_MS);
            live_peer_expect_closed(p);
        }
    for (uint32_t id = 0; id < REPLICAS; id++)
        live_log_check_limited(&live, id, "a frame has a length of zero or over the limit", began);
}

/* ---- malformed ---- */

struct sender {
    struct raw_peer *peer;
    uint32_t client;
    uint32_t sent; /* on this connection */
    uint32_t total;
};

/* Sends one frame and waits until it is refused; a new connection before the old one's budget is used up. */
static void send_refused(void *context, struct bytes encoding)
{
    struct sender *s = context;
    struct wire_message m;
    if (s->sent == 30) {
        raw_peer_free(s->peer);
        s->peer = NULL;
    }
    if (s->peer == NULL) {
        s->peer = live_peer_client(&live, s->total / 30u % REPLICAS, s->client);
        s->sent = 0;
    }
    assert_true(raw_peer_send(s->peer, encoding));
    struct blob *answer = live_peer_await(s->peer, WIRE_TYPE_busy, &m);
    assert_non_null(answer);
    assert_int_equal(m.busy.reason, BUSY_INVALID);
    blob_release(answer);
    s->sent++;
    s->total++;
}

static void test_malformed_every_kind_invalid(void **state)
{
    struct sender s = {.client = CLIENT_MALFORMED};
    (void)state;
    const uint32_t count = live_bad_encodings(send_refused, &s);
    assert_true(count > 200);
    raw_peer_free(s.peer);
}

static void test_malformed_deep_nesting_and_huge_lengths_invalid(void **state)
{
    static uint8_t deep[CLIENT_FRAME_BYTES_MAX];
    struct sender s = {.client = CLIENT_MALFORMED};
    const char *const huge[] = {
        "9bffffffffffffffff", "865bffffffffffffffff", "8601005820", "9a7fffffff01", "bf", "9f9f9f9f"};
    (void)state;
    memset(deep, 0x81, sizeof deep); /* an array in an array in an array, a million deep */
    send_refused(&s, bytes_of(deep, sizeof deep));
    memset(deep, 0xd8, sizeof deep); /* tags */
    send_refused(&s, bytes_of(deep, sizeof deep));
    for (uint32_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        uint8_t bytes[32];
        const size_t len = strlen(huge[i]) / 2;
        assert_true(hex_decode(huge[i], bytes, len));
        send_refused(&s, bytes_of(bytes, len));
    }
    raw_peer_free(s.peer);
}

/* Well-formed messages that no client may send: of every type but its own. */
static void test_messages_of_members_from_a_client_invalid(void **state)
{
    struct sender s = {.client = CLIENT_TYPES};
    uint32_t count;
    const struct wire_record *const *records = wire_records(&count);
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t type = records[i]->number;
        if (type == 0 || type == WIRE_TYPE_query) continue;
        for (uint32_t k = 0; k < WIRE_VECTORS_PER_RECORD; k++) {
            struct blob *bytes = wire_vectors_encoding(records[i], k);
            if (bytes->len <= CLIENT_FRAME_BYTES_MAX) send_refused(&s, blob_bytes(bytes));
            blob_release(bytes);
        }
    }
    raw_peer_free(s.peer);
}

static void test_query_of_another_epoch_invalid(void **state)
{
    struct sender s = {.client = CLIENT_EPOCH};
    (void)state;
    struct blob *quorum = live_query_make(1, 77, QUERY_MODE_QUORUM, APP_KV, APP_KV_GET, bytes_of_text("health"));
    struct blob *local = live_query_make(1, 77, QUERY_MODE_LOCAL, APP_KV, APP_KV_GET, bytes_of_text("health"));
    send_refused(&s, blob_bytes(quorum));
    send_refused(&s, blob_bytes(local));
    LIVE_UNTIL_LOGGED(&live, 0, "a query of another epoch", send_refused(&s, blob_bytes(quorum)));
    raw_peer_free(s.peer);
    blob_release(quorum);
    blob_release(local);
}

#define HOSTILE_TEST(test) cmocka_unit_test_setup_teardown(test, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOSTILE_TEST(test_key_unregistered_refused_at_handshake_logged_once),
        HOSTILE_TEST(test_client_unregistered_library_says_refused),
        HOSTILE_TEST(test_hello_of_another_group_closed_and_logged),
        HOSTILE_TEST(test_hello_wrong_in_any_field_closed),
        HOSTILE_TEST(test_request_wrong_signature_invalid_then_disconnected),
        HOSTILE_TEST(test_request_signed_for_another_group_invalid),
        HOSTILE_TEST(test_request_replayed_answered_alike_executed_once),
        HOSTILE_TEST(test_same_sequence_other_operation_conflict),
        HOSTILE_TEST(test_sequences_outside_the_window_told_so),
        HOSTILE_TEST(test_request_of_another_client_relayed_invalid),
        HOSTILE_TEST(test_request_oversize_library_too_large),
        HOSTILE_TEST(test_request_oversize_within_frame_invalid),
        HOSTILE_TEST(test_frame_length_zero_huge_or_over_limit_disconnected),
        HOSTILE_TEST(test_malformed_every_kind_invalid),
        HOSTILE_TEST(test_malformed_deep_nesting_and_huge_lengths_invalid),
        HOSTILE_TEST(test_messages_of_members_from_a_client_invalid),
        HOSTILE_TEST(test_query_of_another_epoch_invalid),
    };
    return cmocka_run_group_tests_name("hostile", tests, suite_setup, suite_teardown);
}
