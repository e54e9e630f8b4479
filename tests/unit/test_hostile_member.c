/* test_hostile_member.c - what one member may do to the others with its keys: three real replicas of a group of four,
 * and this program in the place of the fourth (f = 1).
 *
 * Each test attacks, and then every replica runs, a transaction commits with the votes of the three, and none has
 * grown. Last, the real fourth replica starts, and comes to the same ledger.
 */
#include "base/clock.h"
#include "ledger/app.h"
#include "tests/fixture/live_peer.h"
#include "tests/fixture/wire_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REPLICAS 4u
#define HONEST 3u
#define EVIL 3u /* the member whose keys we have */
#define BAD_MAX 32u

enum { CLIENT_SETTLED = 1, CLIENT_LARGE, CLIENT_COUNT };

static struct live_group live;
static struct digest wrong; /* the digest of nothing */

static int suite_setup(void **state)
{
    (void)state;
    memset(wrong.bytes, 0x5a, sizeof wrong.bytes);
    live_group_make(&live, REPLICAS, CLIENT_COUNT);
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

/* What replica 0 has executed. */
static uint64_t executed_now(void)
{
    struct pbft_replica_status status[REPLICAS];
    const struct pbft_error e = pbft_status_wait(live.client, LIVE_PEER_MS, status);
    assert_int_equal(e.status, PBFT_OK);
    assert_true(status[0].answered);
    return status[0].executed;
}

/* ---- connections ---- */

static void expect_hello_refused(const struct wire_hello *hello)
{
    struct raw_peer *p = live_peer_silent(&live, 1, &live.transport[EVIL], false);
    assert_true(raw_peer_send_record(p, &wire_record_hello, hello));
    live_peer_expect_closed(p);
}

static void test_hello_as_another_member_closed_and_logged(void **state)
{
    const struct wire_hello other = live_peer_hello(&live, HELLO_ROLE_REPLICA, 2);
    const struct wire_hello client = live_peer_hello(&live, HELLO_ROLE_CLIENT, EVIL);
    const struct wire_hello nobody = live_peer_hello(&live, HELLO_ROLE_REPLICA, REPLICAS_MAX - 1);
    (void)state;
    expect_hello_refused(&other);
    expect_hello_refused(&client);
    expect_hello_refused(&nobody);
    LIVE_UNTIL_LOGGED(&live, 1, "does not fit its transport key", expect_hello_refused(&other));
}

static void test_frame_over_the_limit_disconnected(void **state)
{
    uint8_t head[4];
    (void)state;
    for (uint32_t id = 0; id < HONEST; id++) {
        struct raw_peer *p = live_peer_member(&live, id, EVIL);
        be32_put(head, id == 0 ? 0 : id == 1 ? FRAME_BYTES_MAX + 1 : UINT32_MAX);
        assert_true(raw_peer_send_bytes(p, bytes_of(head, sizeof head), LIVE_PEER_MS));
        live_peer_expect_closed(p);
    }
}

static void test_connects_again_and_again_logged_seldom(void **state)
{
    const uint64_t began = clock_monotonic_us();
    (void)state;
    for (uint32_t i = 0; i < 150; i++)
        raw_peer_free(live_peer_member(&live, 2, EVIL));
    LIVE_UNTIL_LOGGED(&live, 2, "event=peer.connected replica=2 peer=3",
                      raw_peer_free(live_peer_member(&live, 2, EVIL)));
    live_log_check_limited(&live, 2, "event=peer.connected replica=2 peer=3", began);
    /* two causes at most: it closes, and it is replaced */
    assert_in_range(live_log_count(&live, 2, "event=peer.lost replica=2 peer=3"), 0, 8 * LIVE_STRETCH);
}

static void take_over(struct raw_peer **from)
{
    struct raw_peer *next = live_peer_member(&live, 1, EVIL);
    raw_peer_free(*from);
    *from = next;
}

static void test_two_processes_with_the_keys_of_one_member_named(void **state)
{
    struct raw_peer *p = live_peer_member(&live, 1, EVIL);
    (void)state;
    LIVE_UNTIL_LOGGED(&live, 1, "event=peer.twice replica=1 peer=3", take_over(&p));
    raw_peer_free(p);
}

static void test_connections_of_one_member_few(void **state)
{
    struct raw_peer *peers[12];
    uint32_t open = 0;
    (void)state;
    for (uint32_t i = 0; i < 12; i++)
        if (!raw_peer_open(live.host, live.replicas[1].port, &live.transport[EVIL], false, &peers[i])) peers[i] = NULL;
    for (uint32_t i = 0; i < 12; i++) {
        struct blob *hello = peers[i] == NULL ? NULL : raw_peer_receive(peers[i], LIVE_PEER_MS);
        if (hello != NULL) open++;
        blob_release(hello);
    }
    for (uint32_t i = 0; i < 12; i++)
        raw_peer_free(peers[i]);
    assert_in_range(open, 1, 4);
}

/* ---- malformed and forged ---- */

struct garbage {
    struct raw_peer *peer;
    uint32_t sent;
};

/* Every one counts: the connection ends with the last that the budget allows. */
static void send_garbage(void *context, struct bytes encoding)
{
    struct garbage *g = context;
    if (g->peer == NULL) g->peer = live_peer_member(&live, 0, EVIL);
    assert_true(raw_peer_send(g->peer, encoding));
    if (++g->sent < BAD_MAX) return;
    live_peer_expect_closed(g->peer);
    *g = (struct garbage){0};
}

static void test_malformed_every_kind_disconnected(void **state)
{
    const uint64_t began = clock_monotonic_us();
    struct garbage g = {0};
    (void)state;
    const uint32_t count = live_bad_encodings(send_garbage, &g);
    assert_true(count > 200);
    raw_peer_free(g.peer);
    g = (struct garbage){0};
    LIVE_UNTIL_LOGGED(&live, 0, "too many invalid messages", {
        for (uint32_t i = 0; i < BAD_MAX; i++)
            send_garbage(&g, bytes_of("\xff", 1));
    });
    live_log_check_limited(&live, 0, "too many invalid messages", began);
}

/* Well-formed messages of every type that mean nothing: signatures are random, senders anybody. */
static void test_random_messages_of_every_type_survived(void **state)
{
    uint32_t count;
    const struct wire_record *const *records = wire_records(&count);
    (void)state;
    for (uint32_t id = 0; id < HONEST; id++) {
        struct raw_peer *p = live_peer_member(&live, id, EVIL);
        for (uint32_t i = 0; i < count; i++) {
            if (records[i]->number == 0) continue;
            for (uint32_t k = 0; k < WIRE_VECTORS_PER_RECORD; k++) {
                struct blob *bytes = wire_vectors_encoding(records[i], k);
                if (!raw_peer_send(p, blob_bytes(bytes))) {
                    raw_peer_free(p);
                    p = live_peer_member(&live, id, EVIL);
                }
                blob_release(bytes);
            }
        }
        raw_peer_free(p);
    }
}

static void send_prepare(uint32_t sender, uint64_t epoch)
{
    struct wire_prepare m = {.epoch = epoch, .sender = sender, .seq = executed_now() + 1, .digest = wrong};
    m.signature = live_sign(&live, EVIL, &wire_record_prepare, &m);
    struct raw_peer *p = live_peer_member(&live, 0, EVIL);
    assert_true(raw_peer_send_record(p, &wire_record_prepare, &m));
    raw_peer_free(p);
}

static void test_forged_senders_and_epochs_invalid_and_logged(void **state)
{
    (void)state;
    LIVE_UNTIL_LOGGED(&live, 0, "fault=\"the signature is wrong\"", send_prepare(1, 0));
    LIVE_UNTIL_LOGGED(&live, 0, "fault=\"the sender is not a member\"", send_prepare(REPLICAS, 0));
    LIVE_UNTIL_LOGGED(&live, 0, "fault=\"the sender is not a member\"", send_prepare(REPLICAS_MAX - 1, 0));
    LIVE_UNTIL_LOGGED(&live, 0, "fault=\"the message is of another epoch\"", send_prepare(EVIL, 1));
}

/* STATUS, FETCH and DATA are not signed: they count only for the member whose channel they come by. */
static void test_unsigned_messages_of_others_ignored(void **state)
{
    const struct wire_fetch fetch = {.sender = 1, .kind = DATA_KIND_BLOCK, .seq = 1, .count = 32};
    struct wire_message m;
    (void)state;
    const struct wire_status status = {.sender = 1, .executed = SEQ_MAX, .view = VIEW_MAX};
    struct raw_peer *p = live_peer_member(&live, 0, EVIL);
    for (uint32_t i = 0; i < 20; i++) {
        assert_true(raw_peer_send_record(p, &wire_record_fetch, &fetch));
        assert_true(raw_peer_send_record(p, &wire_record_status, &status));
    }
    const struct wire_fetch own = {.sender = EVIL, .kind = DATA_KIND_BLOCK, .seq = 1, .count = 1};
    assert_true(raw_peer_send_record(p, &wire_record_fetch, &own));
    struct blob *data = live_peer_await(p, WIRE_TYPE_data, &m);
    assert_non_null(data); /* the first and only block that comes answers our own */
    assert_int_equal(m.data.seq, 1);
    blob_release(data);
    raw_peer_free(p);
}

/* ---- protocol messages with good signatures and bad contents ---- */

static void vote_wrongly(struct raw_peer *p, uint64_t from, uint64_t count)
{
    for (uint64_t seq = from; seq < from + count; seq++) {
        struct wire_prepare prepare = {.sender = EVIL, .seq = seq, .digest = wrong};
        struct wire_commit commit = {.sender = EVIL, .seq = seq, .digest = wrong};
        prepare.signature = live_sign(&live, EVIL, &wire_record_prepare, &prepare);
        commit.signature = live_sign(&live, EVIL, &wire_record_commit, &commit);
        assert_true(raw_peer_send_record(p, &wire_record_prepare, &prepare));
        assert_true(raw_peer_send_record(p, &wire_record_commit, &commit));
    }
}

static void test_votes_for_wrong_digests_others_go_on(void **state)
{
    struct raw_peer *peers[HONEST];
    struct pbft_replica_status status[REPLICAS];
    (void)state;
    const uint64_t executed = executed_now();
    for (uint32_t id = 0; id < HONEST; id++) {
        peers[id] = live_peer_member(&live, id, EVIL);
        vote_wrongly(peers[id], executed + 1, 2 * WINDOW_BATCHES); /* also beyond the window */
    }
    for (uint32_t i = 0; i < 30; i++)
        live_commit(&live);
    const uint64_t until = live_deadline_us(LIVE_PEER_MS);
    for (uint32_t same = 0; same < HONEST;) {
        same = 0;
        (void)pbft_status_wait(live.client, LIVE_PEER_MS, status);
        for (uint32_t id = 0; id < HONEST; id++)
            if (status[id].answered && memcmp(status[id].header_hash, status[0].header_hash, DIGEST_BYTES) == 0) same++;
        if (clock_monotonic_us() > until) fail_msg("the three do not come to the same ledger");
    }
    for (uint32_t id = 0; id < HONEST; id++)
        raw_peer_free(peers[id]);
}

static void send_pre_prepare(uint64_t view)
{
    struct wire_pre_prepare m = {.sender = EVIL, .view = view, .seq = executed_now() + 1, .digest = wrong};
    m.signature = live_sign(&live, EVIL, &wire_record_pre_prepare, &m);
    m.batch = bytes_of("\x82\x00\x80", 3);
    struct raw_peer *p = live_peer_member(&live, 1, EVIL);
    assert_true(raw_peer_send_record(p, &wire_record_pre_prepare, &m));
    raw_peer_free(p);
}

static void test_pre_prepare_of_a_backup_invalid_and_logged(void **state)
{
    (void)state;
    LIVE_UNTIL_LOGGED(&live, 1, "a PRE-PREPARE is not from the primary of its view", send_pre_prepare(0));
    LIVE_UNTIL_LOGGED(&live, 1, "the batch beside a PRE-PREPARE has another digest", send_pre_prepare(EVIL));
}

static void test_checkpoints_invented_others_go_on(void **state)
{
    static const uint64_t seqs[] = {CHECKPOINT_INTERVAL, 2 * CHECKPOINT_INTERVAL, 3 * CHECKPOINT_INTERVAL, 5,
                                    SEQ_MAX / CHECKPOINT_INTERVAL * CHECKPOINT_INTERVAL};
    (void)state;
    struct raw_peer *p = live_peer_member(&live, 0, EVIL);
    for (uint32_t i = 0; i < sizeof seqs / sizeof seqs[0]; i++) {
        struct wire_checkpoint m = {.sender = EVIL, .seq = seqs[i], .header_hash = wrong, .state_root = wrong};
        m.signature = live_sign(&live, EVIL, &wire_record_checkpoint, &m);
        assert_true(raw_peer_send_record(p, &wire_record_checkpoint, &m));
    }
    /* a certificate of one signature, three times */
    uint8_t space[400];
    struct writer w = writer_of(space, sizeof space);
    struct wire_status status = {.sender = EVIL, .stable = {.seq = CHECKPOINT_INTERVAL, .header_hash = wrong}};
    for (uint32_t id = 0; id < HONEST; id++) {
        const struct wire_member_signature s = {.id = EVIL};
        wire_list_add(&status.stable.signatures, &w, &wire_record_member_signature, &s);
    }
    assert_true(raw_peer_send_record(p, &wire_record_status, &status));
    raw_peer_free(p);
}

/* As large as can be, rightly signed, full of certificates whose signatures are wrong: the dearest message there is. */
static struct blob *make_view_change(void)
{
    struct blob *space = blob_new(WINDOW_BATCHES * 400u);
    struct blob *inner = blob_new(WINDOW_BATCHES * 400u);
    struct writer w = writer_of(space->data, space->len);
    struct writer in = writer_of(inner->data, inner->len);
    struct wire_view_change m = {.sender = EVIL, .view = 1};
    for (uint32_t k = 0; k < WINDOW_BATCHES; k++) {
        struct wire_vote_certificate c = {.seq = k + 1, .digest = wrong};
        for (uint32_t id = 0; id < HONEST; id++) {
            struct wire_member_signature s = {.id = id};
            memset(s.signature.bytes, (int)(k + 1), sizeof s.signature.bytes / 2);
            wire_list_add(&c.signatures, &in, &wire_record_member_signature, &s);
        }
        wire_list_add(&m.prepared, &w, &wire_record_vote_certificate, &c);
    }
    assert_false(w.overflow || in.overflow);
    m.signature = live_sign(&live, EVIL, &wire_record_view_change, &m);
    struct blob *out = wire_encode_blob(&wire_record_view_change, &m);
    blob_release(space);
    blob_release(inner);
    return out;
}

static void test_view_changes_full_of_certificates_flood_others_go_on(void **state)
{
    (void)state;
    struct blob *message = make_view_change();
    struct raw_peer *p = live_peer_member(&live, 0, EVIL);
    for (uint32_t i = 0; i < 300; i++)
        if (!raw_peer_send(p, blob_bytes(message))) break;
    live_commit(&live);
    blob_release(message);
    raw_peer_free(p);
}

static void flood_until_closed(struct blob *message)
{
    struct raw_peer *p = live_peer_member(&live, 2, EVIL);
    uint32_t sent = 0;
    while (raw_peer_send(p, blob_bytes(message)))
        if (++sent > 20000) fail_msg("it is never disconnected");
    raw_peer_free(p);
}

/* Its connection ends at the budget, and coming back at once brings nothing: it is kept out for a while. */
static void test_comes_back_with_bad_view_changes_kept_out(void **state)
{
    struct blob *message = make_view_change();
    (void)state;
    for (uint32_t round = 0; round < 3; round++) {
        flood_until_closed(message);
        live_commit(&live);
    }
    LIVE_UNTIL_LOGGED(&live, 2, "this member was closed for invalid messages a moment ago", flood_until_closed(message));
    LIVE_UNTIL_LOGGED(&live, 2, "a certificate inside a VIEW-CHANGE does not check", flood_until_closed(message));
    blob_release(message);
}

static void test_status_lies_flood_others_go_on(void **state)
{
    const struct wire_status lie = {
        .sender = EVIL, .executed = SEQ_MAX, .view = VIEW_MAX, .time_ms = TIME_MS_MAX, .flags = 65535};
    struct wire_status behind = {.sender = EVIL};
    (void)state;
    struct raw_peer *p = live_peer_member(&live, 0, EVIL);
    for (uint32_t i = 0; i < 3000; i++) {
        const bool sent = raw_peer_send_record(p, &wire_record_status, i % 2 == 0 ? &lie : &behind);
        assert_true(sent);
    }
    live_commit(&live);
    raw_peer_free(p);
}

static void test_data_that_nobody_asked_for_ignored(void **state)
{
    static uint8_t large[FRAME_BYTES_MAX - 2048];
    (void)state;
    struct raw_peer *p = live_peer_member(&live, 0, EVIL);
    for (uint32_t kind = 0; kind <= DATA_KIND_MAX + 1; kind++) {
        const struct wire_data m = {
            .sender = EVIL, .kind = kind, .seq = 3, .digest = wrong, .payload = bytes_of(large, sizeof large)};
        assert_true(raw_peer_send_record(p, &wire_record_data, &m));
    }
    raw_peer_free(p);
}

/* ---- requests by way of a member ---- */

static void forward(const struct secret_key *signer, const struct secret_key *names, uint32_t times)
{
    const struct live_request r = {
        .signer = signer, .names = names, .seq = 1, .verb = APP_KV_PUT, .key = "forwarded", .value = "x"};
    struct blob *request = live_request_make(&live, &r);
    struct raw_peer *p = live_peer_member(&live, 0, EVIL);
    for (uint32_t i = 0; i < times; i++)
        if (!raw_peer_send(p, blob_bytes(request))) break;
    raw_peer_free(p);
    blob_release(request);
}

static void test_requests_forwarded_forged_or_unregistered_not_executed(void **state)
{
    struct secret_key stranger;
    struct public_key public;
    struct pbft_answer *answer;
    const struct pbft_operation get = {.app = 1, .verb = 2, .arg_count = 1, .args = {{"forwarded", 9}}};
    (void)state;
    sign_key_new(&stranger, &public);
    forward(&stranger, NULL, 50);
    forward(&stranger, &live.clients[CLIENT_SETTLED], 50);
    live_commit(&live);
    const struct pbft_error e = pbft_read_wait(live.client, &get, &answer);
    assert_int_equal(e.status, PBFT_OK);
    assert_int_equal(answer->outcome, PBFT_OUTCOME_NEGATIVE);
    pbft_answer_free(answer);
}

static void test_request_settled_forwarded_thousandfold_others_go_on(void **state)
{
    (void)state;
    forward(&live.clients[CLIENT_SETTLED], NULL, 1); /* a member may forward what a client signed */
    struct pbft_client *c = live_client_open(&live, CLIENT_SETTLED, LIVE_PEER_MS);
    const uint64_t until = live_deadline_us(LIVE_PEER_MS);
    while (pbft_ready(c, LIVE_PEER_MS).status != PBFT_OK || pbft_highest_settled(c) < 1) {
        if (clock_monotonic_us() > until) fail_msg("it is never settled");
        pbft_close(c);
        c = live_client_open(&live, CLIENT_SETTLED, LIVE_PEER_MS);
    }
    forward(&live.clients[CLIENT_SETTLED], NULL, 20000);
    live_commit(&live);
    pbft_close(c);
}

/* ---- asking without reading ---- */

static void test_blocks_asked_for_without_reading_bounded_then_disconnected(void **state)
{
    static char large[900000];
    struct pbft_answer *answer;
    const struct wire_hello hello = live_peer_hello(&live, HELLO_ROLE_REPLICA, EVIL);
    (void)state;
    memset(large, 'x', sizeof large);
    struct pbft_client *c = live_client_open(&live, CLIENT_LARGE, LIVE_PEER_MS);
    const struct pbft_operation put = {
        .app = 1, .verb = 1, .arg_count = 2, .args = {{"big", 3}, {large, sizeof large}}};
    for (uint32_t i = 0; i < 4; i++) {
        const struct pbft_error e = pbft_submit_wait(c, &put, 1, &answer);
        if (e.status != PBFT_OK) fail_msg("%s", e.text);
        pbft_answer_free(answer);
    }
    pbft_close(c);
    const struct wire_fetch fetch = {.sender = EVIL, .kind = DATA_KIND_BLOCK, .seq = executed_now() - 3, .count = 32};
    struct raw_peer *p = live_peer_silent(&live, 0, &live.transport[EVIL], true);
    assert_true(raw_peer_send_record(p, &wire_record_hello, &hello));
    const uint64_t until = live_deadline_us(60000u * LIVE_STRETCH);
    while (raw_peer_send_record(p, &wire_record_fetch, &fetch)) {
        live_commit(&live);
        if (clock_monotonic_us() > until) fail_msg("it is never disconnected");
    }
    raw_peer_free(p);
}

/* ---- the real one ---- */

static void test_real_replica_starts_same_ledger(void **state)
{
    struct pbft_replica_status status[REPLICAS];
    const uint64_t until = live_deadline_us(60000u * LIVE_STRETCH);
    (void)state;
    live_replica_start(&live, EVIL);
    do {
        if (clock_monotonic_us() > until) fail_msg("it does not come to the same ledger");
        live_pause();
        (void)pbft_status_wait(live.client, LIVE_PEER_MS, status);
    } while (!status[EVIL].answered || !status[0].answered ||
             memcmp(status[EVIL].header_hash, status[0].header_hash, DIGEST_BYTES) != 0);
    live_attack_begin(&live);
}

#define MEMBER_TEST(test) cmocka_unit_test_setup_teardown(test, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MEMBER_TEST(test_hello_as_another_member_closed_and_logged),
        MEMBER_TEST(test_frame_over_the_limit_disconnected),
        MEMBER_TEST(test_connects_again_and_again_logged_seldom),
        MEMBER_TEST(test_two_processes_with_the_keys_of_one_member_named),
        MEMBER_TEST(test_connections_of_one_member_few),
        MEMBER_TEST(test_comes_back_with_bad_view_changes_kept_out),
        MEMBER_TEST(test_malformed_every_kind_disconnected),
        MEMBER_TEST(test_random_messages_of_every_type_survived),
        MEMBER_TEST(test_forged_senders_and_epochs_invalid_and_logged),
        MEMBER_TEST(test_unsigned_messages_of_others_ignored),
        MEMBER_TEST(test_votes_for_wrong_digests_others_go_on),
        MEMBER_TEST(test_pre_prepare_of_a_backup_invalid_and_logged),
        MEMBER_TEST(test_checkpoints_invented_others_go_on),
        MEMBER_TEST(test_view_changes_full_of_certificates_flood_others_go_on),
        MEMBER_TEST(test_status_lies_flood_others_go_on),
        MEMBER_TEST(test_data_that_nobody_asked_for_ignored),
        MEMBER_TEST(test_requests_forwarded_forged_or_unregistered_not_executed),
        MEMBER_TEST(test_request_settled_forwarded_thousandfold_others_go_on),
        MEMBER_TEST(test_blocks_asked_for_without_reading_bounded_then_disconnected),
        MEMBER_TEST(test_real_replica_starts_same_ledger),
    };
    return cmocka_run_group_tests_name("hostile member", tests, suite_setup, suite_teardown);
}
