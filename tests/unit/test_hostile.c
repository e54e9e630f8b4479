/* test_hostile.c - what strangers and registered clients may send to a group of four real replicas, and what comes of
 * it.
 *
 * Each test attacks, asserts the answer and the log line, and then that every replica runs, a transaction commits, and
 * no replica has grown. One group for all tests; each test uses a client key of its own, so that log limits do not mix.
 */
#include "base/clock.h"
#include "crypto/keyfile.h"
#include "ledger/app.h"
#include "tests/fixture/live_peer.h"
#include "tests/fixture/wire_vectors.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define REPLICAS 4u
#define GROWTH_KIB_MAX (96u * 1024u * LIVE_STRETCH)
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
    CLIENT_SLOW,
    CLIENT_DEAF,
    CLIENT_READS,
    CLIENT_RELAY,
    CLIENT_RELAYED,
    CLIENT_CROWD,
    CLIENT_EPOCH,
    CLIENT_FLOOD,
    CLIENT_MEGABYTES,
    CLIENT_TYPES,
    CLIENT_STORED,
    CLIENT_COUNT,
};

static struct live_group live;
static uint64_t rss_before_kib[REPLICAS];

static int suite_setup(void **state)
{
    const struct rlimit files = {4096, 4096};
    (void)state;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* as many connections as a replica takes, and more */
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
    for (uint32_t id = 0; id < REPLICAS; id++)
        rss_before_kib[id] = live_replica_rss_kib(&live, id);
    return 0;
}

static int test_teardown(void **state)
{
    (void)state;
    live_check_healthy(&live);
    for (uint32_t id = 0; id < REPLICAS; id++) {
        const uint64_t now = live_replica_rss_kib(&live, id);
        if (now > rss_before_kib[id] + GROWTH_KIB_MAX)
            fail_msg("replica %u grew from %" PRIu64 " to %" PRIu64 " KiB", id, rss_before_kib[id], now);
    }
    return 0;
}

static struct blob *make_put(uint32_t client, uint64_t seq, const char *key, const char *value)
{
    const struct live_request r = {
        .signer = &live.clients[client], .seq = seq, .verb = APP_KV_PUT, .key = key, .value = value};
    return live_request_make(&live, &r);
}

/* ---- who may connect ---- */

static void test_key_unregistered_refused_at_handshake_logged_once(void **state)
{
    struct secret_key stranger;
    struct public_key public;
    struct raw_peer *p;
    (void)state;
    sign_key_new(&stranger, &public);
    for (uint32_t i = 0; i < 40; i++) {
        if (!raw_peer_open(live.host, live.replicas[i % REPLICAS].port, &stranger, false, &p)) continue;
        const struct wire_hello hello = live_peer_hello(&live, HELLO_ROLE_CLIENT, 0);
        (void)raw_peer_send_record(p, &wire_record_hello, &hello);
        live_peer_expect_closed(p);
    }
    for (uint32_t id = 0; id < REPLICAS; id++) {
        live_log_wait(&live, id, "event=net.refused", 1);
        assert_in_range(live_log_count(&live, id, "unknown key"), 1, 3);
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

static void test_hello_of_another_group_closed_and_logged(void **state)
{
    struct wire_hello hello = live_peer_hello(&live, HELLO_ROLE_CLIENT, 0);
    (void)state;
    hello.group.bytes[5] ^= 1u;
    struct raw_peer *p = live_peer_silent(&live, 1, &live.clients[CLIENT_GROUP], false);
    assert_true(raw_peer_send_record(p, &wire_record_hello, &hello));
    live_peer_expect_closed(p);
    live_log_wait(&live, 1, "belongs to another group", 1);
}

static void test_hello_wrong_in_any_field_closed(void **state)
{
    const struct wire_hello good = live_peer_hello(&live, HELLO_ROLE_CLIENT, 0);
    struct wire_hello bad[3] = {good, good, good};
    (void)state;
    bad[0].version++;
    bad[1].epoch++;
    bad[2].role = HELLO_ROLE_REPLICA;
    for (uint32_t i = 0; i < 3; i++) {
        struct raw_peer *p = live_peer_silent(&live, 1, &live.clients[CLIENT_GROUP], false);
        assert_true(raw_peer_send_record(p, &wire_record_hello, &bad[i]));
        live_peer_expect_closed(p);
    }
    /* a request in place of HELLO */
    struct raw_peer *p = live_peer_silent(&live, 1, &live.clients[CLIENT_GROUP], false);
    struct blob *request = make_put(CLIENT_GROUP, 1, "k", "v");
    assert_true(raw_peer_send(p, blob_bytes(request)));
    blob_release(request);
    live_peer_expect_closed(p);
}

/* ---- requests ---- */

static void test_request_wrong_signature_invalid_then_disconnected(void **state)
{
    const struct live_request forged = {.signer = &live.clients[CLIENT_GROUP],
                                        .names = &live.clients[CLIENT_SIGNATURE],
                                        .seq = 1,
                                        .verb = APP_KV_PUT,
                                        .key = "forged",
                                        .value = "x"};
    (void)state;
    struct raw_peer *p = live_peer_client(&live, 0, CLIENT_SIGNATURE);
    for (uint32_t i = 0; i < 10; i++)
        live_peer_expect_busy(p, live_request_make(&live, &forged), BUSY_INVALID);
    live_log_wait(&live, 0, "the signature of a request is wrong", 1);
    assert_in_range(live_log_count(&live, 0, "the signature of a request is wrong"), 1, 2);
    for (uint32_t i = 0; i < 60; i++) {
        struct blob *request = live_request_make(&live, &forged);
        const bool sent = raw_peer_send(p, blob_bytes(request));
        blob_release(request);
        if (!sent) break;
    }
    live_peer_expect_closed(p);
    live_log_wait(&live, 0, "too many invalid messages", 1);
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
    live_log_wait(&live, 2, "event=client.invalid", 1);
}

/* The entries that the ledger has, as f+1 replicas say. */
static uint64_t ledger_entries(void)
{
    struct pbft_replica_status status[REPLICAS];
    uint64_t low = UINT64_MAX;
    const struct pbft_error e = pbft_status_wait(live.client, LIVE_PEER_MS, status);
    assert_int_equal(e.status, PBFT_OK);
    for (uint32_t id = 0; id < REPLICAS; id++)
        if (status[id].answered && status[id].entries < low) low = status[id].entries;
    return low;
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
    const struct pbft_operation two = {.app = 1, .verb = 1, .arg_count = 2, .args = {{"conflict", 8}, {"2", 1}}};
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
    (void)two;
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

static void test_request_of_another_client_relayed_invalid(void **state)
{
    (void)state;
    struct raw_peer *p = live_peer_client(&live, 0, CLIENT_RELAY);
    live_peer_expect_busy(p, make_put(CLIENT_RELAYED, 1, "relayed", "x"), BUSY_INVALID);
    raw_peer_free(p);
    live_log_wait(&live, 0, "a client sent a request of another client", 1);
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
    (void)state;
    expect_length_refused(0, 0);
    expect_length_refused(1, UINT32_MAX); /* 4 GiB */
    expect_length_refused(2, 0x80000000u);
    expect_length_refused(3, CLIENT_FRAME_BYTES_MAX + 1);
    for (uint32_t id = 0; id < REPLICAS; id++)
        live_log_wait(&live, id, "a frame has a length of zero or over the limit", 1);
    for (uint32_t i = 0; i < 20; i++) /* also as the first frame */
        for (uint32_t id = 0; id < REPLICAS; id++) {
            struct raw_peer *p = live_peer_silent(&live, id, &live.clients[CLIENT_FRAMES], false);
            (void)raw_peer_send_bytes(p, bytes_of("\xff\xff\xff\xff", 4), LIVE_PEER_MS);
            live_peer_expect_closed(p);
        }
    assert_in_range(live_log_count(&live, 0, "a frame has a length of zero or over the limit"), 1, 4);
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
    live_log_wait(&live, 0, "event=client.invalid", 1);
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
    for (uint32_t mode = 0; mode < 2; mode++) {
        struct blob *q = live_query_make(1, 77, (enum query_mode)mode, APP_KV, APP_KV_GET, bytes_of_text("health"));
        send_refused(&s, blob_bytes(q));
        blob_release(q);
    }
    raw_peer_free(s.peer);
    live_log_wait(&live, 0, "a query of another epoch", 1);
}

/* ---- floods ---- */

static void test_requests_10000_at_once_answered_and_bounded(void **state)
{
    struct buffer all = {0};
    struct wire_message m;
    uint8_t head[4];
    uint32_t busy = 0;
    uint32_t replies = 0;
    (void)state;
    for (uint64_t seq = 1; seq <= 10000; seq++) {
        struct blob *request = make_put(CLIENT_FLOOD, seq, "flood", "x");
        be32_put(head, (uint32_t)request->len);
        buffer_append(&all, head, sizeof head);
        buffer_append(&all, request->data, request->len);
        blob_release(request);
    }
    struct raw_peer *p = live_peer_client(&live, 0, CLIENT_FLOOD);
    assert_true(raw_peer_send_bytes(p, bytes_of(all.data, all.len), LIVE_PEER_MS));
    live_commit(&live); /* at the same time */
    buffer_free(&all);
    while (busy < 5000) { /* the rest is in custody, or a repetition of what is */
        struct blob *frame = raw_peer_receive(p, LIVE_PEER_MS);
        assert_non_null(frame);
        assert_null(wire_decode(blob_bytes(frame), &m));
        if (m.type == WIRE_TYPE_busy) {
            busy++;
            assert_true(m.busy.reason == BUSY_OVERLOAD || m.busy.reason == BUSY_TOO_FAR);
        }
        if (m.type == WIRE_TYPE_reply) replies++;
        blob_release(frame);
    }
    assert_true(replies > 0);
    raw_peer_free(p);
}

/* 64 requests of nearly 1 MiB, over and over: bytes are bounded, not only messages. */
static void test_requests_of_a_mebibyte_flood_bounded(void **state)
{
    static char large[MIB];
    struct raw_peer *peers[4];
    (void)state;
    memset(large, 'x', sizeof large);
    const struct live_request forged = {.signer = &live.clients[CLIENT_GROUP],
                                        .names = &live.clients[CLIENT_MEGABYTES],
                                        .seq = 1,
                                        .verb = APP_KV_PUT,
                                        .key = "large",
                                        .value = large,
                                        .value_bytes = MIB - 400};
    struct blob *request = live_request_make(&live, &forged);
    for (uint32_t k = 0; k < 4; k++)
        peers[k] = live_peer_client(&live, 1, CLIENT_MEGABYTES);
    bool open = true;
    for (uint32_t i = 0; i < 30 && open; i++) /* wrongly signed: at most 32 of them on each connection */
        for (uint32_t k = 0; k < 4; k++)
            open = raw_peer_send(peers[k], blob_bytes(request)) && open;
    blob_release(request);
    for (uint32_t k = 0; k < 4; k++)
        raw_peer_free(peers[k]);
}

/* Asks and never reads, until the replica ends it. */
static void ask_until_closed(struct raw_peer *p, struct blob *query)
{
    const uint64_t until = live_deadline_us(60000u * LIVE_STRETCH);
    while (raw_peer_send(p, blob_bytes(query)))
        if (clock_monotonic_us() > until) fail_msg("it is never disconnected");
    blob_release(query);
    raw_peer_free(p);
}

static struct raw_peer *deaf_client(uint32_t replica, uint32_t client)
{
    const struct wire_hello hello = live_peer_hello(&live, HELLO_ROLE_CLIENT, 0);
    struct raw_peer *p = live_peer_silent(&live, replica, &live.clients[client], true);
    assert_true(raw_peer_send_record(p, &wire_record_hello, &hello));
    return p;
}

static void test_queries_never_read_disconnected_and_bounded(void **state)
{
    (void)state;
    ask_until_closed(deaf_client(0, CLIENT_DEAF),
                     live_query_make(0, 5, QUERY_MODE_LOCAL, APP_SYSTEM, SYSTEM_VERB_STATUS, bytes_of(NULL, 0)));
    live_log_wait(&live, 0, "the client does not read its answers", 1);
}

static void test_queries_for_large_values_never_read_bounded(void **state)
{
    static char large[MIB];
    struct pbft_answer *answer;
    (void)state;
    memset(large, 'x', sizeof large);
    struct pbft_client *c = live_client_open(&live, CLIENT_READS, LIVE_PEER_MS);
    const struct pbft_operation put = {
        .app = 1, .verb = 1, .arg_count = 2, .args = {{"mebibyte", 8}, {large, MIB - 400}}};
    const struct pbft_error e = pbft_submit_wait(c, &put, 1, &answer);
    if (e.status != PBFT_OK) fail_msg("%s", e.text);
    pbft_answer_free(answer);
    pbft_close(c);
    for (uint32_t i = 0; i < 4; i++)
        ask_until_closed(deaf_client(1, CLIENT_READS),
                         live_query_make(0, 5, QUERY_MODE_QUORUM, APP_KV, APP_KV_GET, bytes_of_text("mebibyte")));
}

static void test_connections_up_to_the_limit_others_still_served(void **state)
{
    enum { STRANGERS = 1500, OWN = 40 };
    static int fds[STRANGERS];
    struct raw_peer *own[OWN];
    uint32_t open = 0;
    (void)state;
    for (uint32_t i = 0; i < OWN; i++) { /* one client may have a few */
        const struct wire_hello hello = live_peer_hello(&live, HELLO_ROLE_CLIENT, 0);
        own[i] = live_peer_silent(&live, 0, &live.clients[CLIENT_CROWD], false);
        (void)raw_peer_send_record(own[i], &wire_record_hello, &hello);
    }
    for (uint32_t i = 0; i < OWN; i++) {
        struct blob *hello = raw_peer_receive(own[i], LIVE_PEER_MS);
        if (hello != NULL) open++;
        blob_release(hello);
    }
    assert_int_equal(open, 16);
    live_log_wait(&live, 0, "too many connections of one client", 1);
    for (uint32_t i = 0; i < STRANGERS; i++) { /* and strangers take the rest */
        fds[i] = raw_peer_tcp(live.host, live.replicas[0].port, false);
        assert_true(fds[i] >= 0);
    }
    struct pbft_client *c = live_client_open(&live, CLIENT_STORED, LIVE_PEER_MS);
    assert_int_equal(submit_at(c, 1, "x").status, PBFT_OK);
    struct pbft_replica_status status[REPLICAS];
    const struct pbft_error e = pbft_status_wait(c, LIVE_PEER_MS, status);
    assert_int_equal(e.status, PBFT_OK);
    assert_true(status[0].answered); /* it came in though the house is full */
    pbft_close(c);
    for (uint32_t i = 0; i < STRANGERS; i++)
        (void)close(fds[i]);
    for (uint32_t i = 0; i < OWN; i++)
        raw_peer_free(own[i]);
}

/* ---- slow ---- */

/* All at once, each for as long as its deadline; the group serves others meanwhile. */
static void test_slow_peers_disconnected_by_deadlines_others_served(void **state)
{
    enum { HALF_OPEN, NO_HELLO, SLOW_HELLO, SLOW_FRAME, SLOW_COUNT };
    static const uint64_t latest_ms[SLOW_COUNT] = {8000, 8000, 8000, 14000};
    const struct wire_hello hello = live_peer_hello(&live, HELLO_ROLE_CLIENT, 0);
    struct raw_peer *peers[SLOW_COUNT] = {NULL};
    bool ended[SLOW_COUNT] = {false};
    uint32_t left = SLOW_COUNT;
    uint8_t trickle[4096] = {0};
    (void)state;
    const int half_open = raw_peer_tcp(live.host, live.replicas[2].port, false);
    assert_true(half_open >= 0);
    peers[NO_HELLO] = live_peer_silent(&live, 2, &live.clients[CLIENT_SLOW], false);
    peers[SLOW_HELLO] = live_peer_silent(&live, 2, &live.clients[CLIENT_SLOW], false);
    peers[SLOW_FRAME] = live_peer_silent(&live, 2, &live.clients[CLIENT_SLOW], false);
    assert_true(raw_peer_send_record(peers[SLOW_FRAME], &wire_record_hello, &hello));
    trickle[2] = 4; /* a frame of 1 KiB */
    const uint64_t began = clock_monotonic_us();
    for (uint64_t byte = 0; left > 0; byte++) {
        for (uint32_t i = 0; i < SLOW_COUNT; i++) {
            if (ended[i]) continue;
            if (i == HALF_OPEN) {
                const uint8_t record_head[] = {22, 3, 1, 2, 0}; /* of a handshake record of 512 bytes */
                const uint8_t next = byte < sizeof record_head ? record_head[byte] : 0;
                ended[i] = send(half_open, &next, 1, MSG_NOSIGNAL) != 1;
            } else if (i == NO_HELLO) {
                ended[i] = raw_peer_closed(peers[i], 0);
            } else {
                ended[i] = !raw_peer_send_bytes(peers[i], bytes_of(trickle + byte, 1), LIVE_PEER_MS) ||
                           raw_peer_closed(peers[i], 0);
            }
            if (ended[i]) left--;
        }
        const uint64_t now_ms = (clock_monotonic_us() - began) / 1000u;
        for (uint32_t i = 0; i < SLOW_COUNT; i++)
            if (!ended[i] && now_ms > latest_ms[i] * LIVE_STRETCH) fail_msg("slow peer %u is never ended", i);
        live_commit(&live); /* served beside them */
        for (uint64_t until = began + (byte + 1) * 1000000u; clock_monotonic_us() < until;)
            live_pause(); /* the attack itself: one byte a second */
    }
    (void)close(half_open);
    for (uint32_t i = 0; i < SLOW_COUNT; i++)
        raw_peer_free(peers[i]);
    live_log_wait(&live, 2, "the handshake took too long", 1);
    live_log_wait(&live, 2, "no frame came after the handshake", 1);
    live_log_wait(&live, 2, "a frame came too slowly", 1);
}

static void test_no_tls_at_all_closed_at_once(void **state)
{
    char byte;
    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        const int fd = raw_peer_tcp(live.host, live.replicas[i % REPLICAS].port, false);
        assert_true(fd >= 0);
        assert_int_equal(send(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, MSG_NOSIGNAL), 27);
        while (recv(fd, &byte, 1, 0) > 0)
            continue; /* an alert, then the end */
        (void)close(fd);
    }
    live_log_wait(&live, 0, "event=net.closed", 1);
    assert_in_range(live_log_count(&live, 0, "event=net.closed"), 1, 12);
}

/* ---- stopping and starting, last: they leave marks on the group ---- */

static void test_terminated_backup_ends_with_0_starts_clean(void **state)
{
    (void)state;
    live_replica_signal(&live, 2, SIGTERM);
    assert_int_equal(live_replica_wait(&live, 2, 20000u * LIVE_STRETCH), 0);
    live_log_wait(&live, 2, "event=replica.stopped", 1);
    assert_int_equal(live_log_count(&live, 2, "votes=kept"), 1);
    live_commit(&live); /* three are a quorum */
    live_replica_start(&live, 2);
    live_log_wait(&live, 2, "stop=clean", 2); /* its first start was one too */
    live_log_wait(&live, 2, "event=replica.ready", 2);
    rss_before_kib[2] = live_replica_rss_kib(&live, 2);
}

static void test_killed_backup_starts_and_abstains(void **state)
{
    (void)state;
    live_replica_signal(&live, 3, SIGKILL);
    assert_int_equal(live_replica_wait(&live, 3, 20000u * LIVE_STRETCH), 128 + SIGKILL);
    live_commit(&live);
    live_replica_start(&live, 3);
    live_log_wait(&live, 3, "stop=unclean", 1);
    live_log_wait(&live, 3, "event=replica.abstains", 1);
    live_log_wait(&live, 3, "event=replica.ready", 2);
    rss_before_kib[3] = live_replica_rss_kib(&live, 3);
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
        HOSTILE_TEST(test_requests_10000_at_once_answered_and_bounded),
        HOSTILE_TEST(test_requests_of_a_mebibyte_flood_bounded),
        HOSTILE_TEST(test_queries_never_read_disconnected_and_bounded),
        HOSTILE_TEST(test_queries_for_large_values_never_read_bounded),
        HOSTILE_TEST(test_connections_up_to_the_limit_others_still_served),
        HOSTILE_TEST(test_slow_peers_disconnected_by_deadlines_others_served),
        HOSTILE_TEST(test_no_tls_at_all_closed_at_once),
        HOSTILE_TEST(test_terminated_backup_ends_with_0_starts_clean),
        HOSTILE_TEST(test_killed_backup_starts_and_abstains),
    };
    return cmocka_run_group_tests_name("hostile", tests, suite_setup, suite_teardown);
}
