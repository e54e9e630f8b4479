/* test_node_verify.c - where the signature of a member's frame is checked: at once on the loop's thread, in the pool,
 * or not at all as long as that does not matter. Around a core driven by hand, a real pool, a worker that does nothing
 * by itself and connections that have no socket.
 */
#include "tests/fixture/stand_in_worker.h"

#include "ledger/log_store.h"
#include "replica/net/net_internal.h"
#include "replica/run/node_internal.h"
#include "tests/fixture/solo.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define REPLICAS 4u
#define SELF 1u

static const struct digest other = {.bytes = {1, 2, 3}};

static struct solo solo;
static struct solo_batch batches[2]; /* of sequences 1 and 2 */
static struct node *node;
static struct net net;
static struct net_connection connections[REPLICAS];
static struct session sessions[REPLICAS];
static struct kv_store *store;
static sem_t done; /* a job of the pool */

static void post(void *context)
{
    assert_int_equal(sem_post(context), 0);
}

static void open_peer(uint32_t id)
{
    connections[id] = (struct net_connection){.net = &net,
                                              .fd = -1,
                                              .state = NET_STATE_OPEN,
                                              .dirty = true, /* nothing is flushed: it has no TLS */
                                              .queue_bytes_max = PEER_QUEUE_BYTES_MAX};
    sessions[id] = (struct session){.node = node,
                                    .next = node->sessions,
                                    .connection = &connections[id],
                                    .kind = SESSION_REPLICA,
                                    .member = id,
                                    .client = UINT32_MAX,
                                    .account = &node->members[id],
                                    .greeted = true};
    node->sessions = &sessions[id];
    node->peers[id].session = &sessions[id];
    connections[id].user = &sessions[id];
}

static int test_setup(void **state)
{
    const struct verify_pool_config config = {.threads = 1,
                                              .classes = {[VERIFY_CLASS_MEMBER] = {.lanes = REPLICAS, .jobs_max = 64},
                                                          [VERIFY_CLASS_CLIENT] = {.lanes = 1, .jobs_max = 64}},
                                              .notify = post,
                                              .context = &done};
    (void)state;
    fixture_sign_really(true);
    assert_int_equal(sem_init(&done, 0, 0), 0);
    solo_ready(&solo, REPLICAS, SELF);
    node = mem_zero(1, sizeof *node);
    node->config.id = SELF;
    node->core = solo.core;
    node->wire = solo.wire;
    node->identity.group = (struct group *)solo.group; /* only read */
    node->effects = mem_zero(1, sizeof *node->effects);
    node->loop = ev_loop_new(EVFLAG_AUTO);
    node->cache = verify_cache_new(1024);
    node->late = node_late_new(REPLICAS);
    node->durable_token = solo.token;
    net = (struct net){.loop = node->loop};
    store = kv_store_new_memory(LOG_TABLE_COUNT);
    for (uint32_t id = 0; id < REPLICAS; id++)
        if (id != SELF) open_peer(id);
    struct err e = verify_pool_start(&config, &node->pool);
    if (!err_is(&e)) e = storage_start(store, NULL, post, &done, &node->storage);
    for (uint64_t seq = 1; seq <= 2; seq++)
        batches[seq - 1] = solo_batch_make(&solo, seq);
    return node->loop == NULL || err_is(&e) ? -1 : 0;
}

static int test_teardown(void **state)
{
    (void)state;
    verify_pool_stop(node->pool, node_drop_inbound);
    storage_stop(node->storage);
    storage_free(node->storage);
    kv_store_close(store);
    for (uint32_t id = 0; id < REPLICAS; id++)
        net_frame_free(&connections[id]);
    for (uint32_t i = 0; i < node->waiting_count; i++)
        core_effect_release(&node->waiting[(node->waiting_first + i) % node->waiting_cap]);
    free(node->waiting);
    for (uint32_t i = 0; i < 2; i++)
        solo_batch_free(&batches[i]);
    ev_loop_destroy(node->loop);
    verify_cache_free(node->cache);
    node_late_free(node->late);
    free(node->effects);
    free(node);
    solo_close(&solo);
    (void)sem_destroy(&done);
    fixture_sign_really(false);
    return 0;
}

/* ---- what comes ---- */

/* A frame by that member's connection, as net has put it together. */
static void arrives(uint32_t member, struct blob *frame)
{
    node_net_events.frame(node, &connections[member], frame);
}

static struct blob *vote(enum wire_type type, uint32_t sender, uint64_t seq, const struct digest *digest)
{
    struct wire_prepare prepare = {.sender = sender, .seq = seq, .digest = *digest};
    struct wire_commit commit = {.sender = sender, .seq = seq, .digest = *digest};
    return type == WIRE_TYPE_prepare ? fixture_message(solo.group, &wire_record_prepare, &prepare)
                                     : fixture_message(solo.group, &wire_record_commit, &commit);
}

static struct blob *bad_vote(uint32_t sender)
{
    struct blob *frame = vote(WIRE_TYPE_prepare, sender, 1, &batches[0].digest);
    frame->data[frame->len - 1] ^= 1u;
    return frame;
}

static struct blob *proposal(uint64_t seq)
{
    struct wire_pre_prepare m = {
        .seq = seq, .digest = batches[seq - 1].digest, .batch = blob_bytes(batches[seq - 1].bytes)};
    return fixture_message(solo.group, &wire_record_pre_prepare, &m);
}

/* The loop comes round once. */
static void next_turn(void)
{
    (void)ev_run(node->loop, EVRUN_NOWAIT);
}

/* So many jobs of the pool are done, and given back. */
static void take(uint32_t jobs)
{
    for (uint32_t i = 0; i < jobs; i++)
        while (sem_wait(&done) != 0) {
        }
    node_take_verified(node);
}

static uint32_t inside(void)
{
    return verify_pool_inside(node->pool, VERIFY_CLASS_MEMBER);
}

static uint64_t checked(void)
{
    const struct verify_counts c = verify_cache_counts(node->cache);
    return c.verified + c.bad;
}

static bool recorded(uint32_t member, uint64_t seq)
{
    char line[64];
    struct buffer text = {0};
    core_dump(node->core, &text);
    buffer_append(&text, "", 1);
    (void)snprintf(line, sizeof line, "slot %u ", (unsigned)seq);
    const char *slot = strstr((const char *)text.data, line);
    assert_non_null(slot);
    const char *votes = strstr(slot, "prepares");
    (void)snprintf(line, sizeof line, " %u", member);
    const char *found = strstr(votes, line);
    const bool has = found != NULL && found < strstr(votes, "commits");
    buffer_free(&text);
    return has;
}

/* Prepared: with the own PREPARE that of replica 2 is a quorum. */
static void prepare(uint64_t seq)
{
    arrives(0, proposal(seq));
    next_turn();
    arrives(2, vote(WIRE_TYPE_prepare, 2, seq, &batches[seq - 1].digest));
    next_turn();
    assert_true(recorded(2, seq));
    assert_int_equal(inside(), 0);
}

/* ---- at once, or in the pool ---- */

static void test_frame_that_comes_alone_is_given_to_the_core_at_once(void **state)
{
    (void)state;
    arrives(0, proposal(1));
    assert_true(recorded(SELF, 1)); /* the own PREPARE */
    next_turn();
    arrives(3, vote(WIRE_TYPE_commit, 3, 1, &batches[0].digest));
    next_turn();
    arrives(2, vote(WIRE_TYPE_prepare, 2, 1, &batches[0].digest));
    assert_true(recorded(2, 1));
    assert_int_equal(inside(), 0);
    assert_int_equal(node->members[2].inside, 0);
    assert_int_equal(node->members[2].inside_bytes, 0);
    assert_int_equal(node->traffic[2].messages[TRAFFIC_RECEIVED][WIRE_TYPE_prepare], 1);
}

static void test_frames_of_one_turn_past_the_bound_go_to_the_pool(void **state)
{
    (void)state;
    for (uint64_t seq = 1; seq <= NODE_HERE_MAX + 2; seq++)
        arrives(2, vote(WIRE_TYPE_prepare, 2, seq, &other));
    assert_int_equal(inside(), 2);
    assert_int_equal(node->members[2].inside, 2);
    assert_int_equal(node->traffic[2].messages[TRAFFIC_RECEIVED][WIRE_TYPE_prepare], NODE_HERE_MAX);
    take(2);
    assert_int_equal(node->traffic[2].messages[TRAFFIC_RECEIVED][WIRE_TYPE_prepare], NODE_HERE_MAX + 2);
    arrives(2, vote(WIRE_TYPE_prepare, 2, 100, &other)); /* still the same turn */
    assert_int_equal(inside(), 1);
    take(1);
    next_turn();
    arrives(2, vote(WIRE_TYPE_prepare, 2, 101, &other));
    assert_int_equal(inside(), 0);
}

/* What came first is not overtaken by what came in a later turn. */
static void test_frame_behind_one_in_the_pool_goes_there_too(void **state)
{
    const struct wire_status status = {.sender = 3};
    (void)state;
    arrives(3, wire_encode_blob(&wire_record_status, &status));
    assert_int_equal(inside(), 1);
    next_turn();
    arrives(2, vote(WIRE_TYPE_prepare, 2, 1, &other));
    assert_int_equal(inside(), 2);
    take(2);
    assert_int_equal(inside(), 0);
}

static void run_nothing(struct verify_job *job)
{
    (void)job;
}

static void test_frame_while_one_of_a_client_is_inside_goes_to_the_pool(void **state)
{
    struct verify_job job = {.run = run_nothing};
    (void)state;
    assert_true(verify_pool_submit(node->pool, VERIFY_CLASS_CLIENT, 0, &job));
    while (sem_wait(&done) != 0) {
    }
    arrives(2, vote(WIRE_TYPE_prepare, 2, 1, &other));
    assert_int_equal(inside(), 1);
    assert_ptr_equal(verify_pool_take_done(node->pool), &job);
    take(1);
}

/* Two bytes say what it is; the rest does not matter here. */
static struct blob *beginning_of(enum wire_type type)
{
    const uint8_t head[2] = {0x81, (uint8_t)type};
    return blob_copy(bytes_of(head, sizeof head));
}

static void test_frames_that_may_be_dear_go_to_the_pool(void **state)
{
    const struct wire_status status = {.sender = 2};
    const struct wire_fetch fetch = {.sender = 2, .kind = DATA_KIND_BLOCK, .seq = 1, .count = 1};
    const struct wire_data data = {.sender = 2, .kind = DATA_KIND_BATCH, .seq = 1};
    struct wire_pre_prepare large = {.seq = 1, .digest = other};
    struct blob *filler = blob_new(NODE_HERE_BYTES_MAX);
    (void)state;
    memset(filler->data, 0, filler->len);
    large.batch = blob_bytes(filler);
    node->peers[2].data_owed = 1;
    struct blob *const frames[] = {
        wire_encode_blob(&wire_record_status, &status),
        wire_encode_blob(&wire_record_fetch, &fetch),
        wire_encode_blob(&wire_record_data, &data),
        beginning_of(WIRE_TYPE_view_change),
        beginning_of(WIRE_TYPE_new_view),
        fixture_message(solo.group, &wire_record_pre_prepare, &large),
        fixture_request_sized(solo.group, 0, 1, solo.wall_ms + 60000, NODE_HERE_BYTES_MAX),
    };
    for (uint32_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        arrives(2, frames[i]);
        assert_int_equal(inside(), 1);
        take(1);
        next_turn();
    }
    blob_release(filler);
}

static void test_invalid_frames_at_once_end_the_connection(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < NODE_BAD_MAX; i++) {
        assert_int_equal(connections[2].state, NET_STATE_OPEN);
        arrives(2, bad_vote(2));
        assert_int_equal(inside(), 0);
        next_turn();
    }
    assert_int_equal(connections[2].state, NET_STATE_CLOSING);
    assert_int_equal(node->invalid_count, NODE_BAD_MAX);
    assert_int_equal(node->closed_count, 1);
    assert_int_equal(sessions[2].inside, 0); /* net ends it later: nothing of it is gone yet */
    assert_true(node->members[2].penalty > 0);
}

/* ---- votes that are late ---- */

static void test_vote_behind_its_quorum_is_counted_and_not_checked(void **state)
{
    (void)state;
    prepare(1);
    const uint64_t before = checked();
    for (uint32_t i = 0; i < 2; i++) { /* it may be sent again */
        arrives(3, vote(WIRE_TYPE_prepare, 3, 1, &batches[0].digest));
        next_turn();
    }
    assert_int_equal(checked(), before);
    assert_false(recorded(3, 1));
    assert_int_equal(inside(), 0);
    assert_int_equal(node->traffic[3].messages[TRAFFIC_RECEIVED][WIRE_TYPE_prepare], 2);
}

/* Nobody can have anything put aside in another's name, or of another epoch. */
static void test_vote_by_another_connection_is_checked(void **state)
{
    struct wire_prepare later = {.epoch = 1, .sender = 3, .seq = 1, .digest = batches[0].digest};
    (void)state;
    prepare(1);
    arrives(3, bad_vote(2)); /* as if 3 had said it, whose vote is not here yet */
    assert_int_equal(node->invalid_count, 1);
    assert_int_equal(sessions[3].bad, 1);
    next_turn();
    arrives(3, fixture_message(solo.group, &wire_record_prepare, &later));
    assert_int_equal(node->invalid_count, 2);
    next_turn();
    arrives(2, vote(WIRE_TYPE_prepare, 3, 1, &batches[0].digest));
    assert_true(recorded(3, 1));
}

static void test_vote_not_checked_is_half_of_the_proof_of_two(void **state)
{
    (void)state;
    prepare(1);
    arrives(3, vote(WIRE_TYPE_prepare, 3, 1, &batches[0].digest));
    next_turn();
    assert_int_equal(core_contradictions(node->core, 3, EVIDENCE_KIND_PREPARE), 0);
    arrives(3, vote(WIRE_TYPE_prepare, 3, 1, &other));
    take(1);
    assert_int_equal(core_contradictions(node->core, 3, EVIDENCE_KIND_PREPARE), 1);
    assert_int_equal(node->traffic[3].messages[TRAFFIC_RECEIVED][WIRE_TYPE_prepare], 2); /* each once */
}

static void test_vote_not_checked_is_when_another_contradicts(void **state)
{
    (void)state;
    prepare(1);
    arrives(3, vote(WIRE_TYPE_prepare, 3, 1, &batches[0].digest));
    next_turn();
    struct blob *forged = vote(WIRE_TYPE_commit, 2, 1, &other);
    forged->data[forged->len - 1] ^= 1u;
    arrives(2, forged); /* proves nothing */
    assert_int_equal(inside(), 0);
    next_turn();
    arrives(0, vote(WIRE_TYPE_commit, 0, 1, &batches[0].digest)); /* for the same batch */
    assert_int_equal(inside(), 0);
    arrives(2, vote(WIRE_TYPE_commit, 2, 1 + WINDOW_BATCHES, &other)); /* of the next sequence in its place */
    assert_int_equal(inside(), 0);
    next_turn();
    arrives(2, vote(WIRE_TYPE_commit, 2, 1, &other));
    assert_int_equal(inside(), 1);
    take(1);
    assert_true(recorded(3, 1));
}

/* Room is for what its sender makes this replica do: a vote that waits is no way past that bound. */
static void test_vote_not_checked_waits_while_its_sender_has_no_room(void **state)
{
    (void)state;
    prepare(1);
    arrives(3, vote(WIRE_TYPE_prepare, 3, 1, &batches[0].digest));
    next_turn();
    node->members[3].inside_bytes = NODE_PEER_INSIDE_BYTES_MAX; /* of others under way */
    arrives(2, vote(WIRE_TYPE_commit, 2, 1, &other));
    assert_int_equal(inside(), 0);
    assert_int_equal(node->members[3].inside_bytes, NODE_PEER_INSIDE_BYTES_MAX);
    node->members[3].inside_bytes = 0;
    next_turn();
    arrives(2, vote(WIRE_TYPE_commit, 2, 1, &other)); /* it is shown again, and known already */
    assert_int_equal(inside(), 1);
    take(1);
    assert_true(recorded(3, 1));
    assert_int_equal(node->members[3].inside_bytes, 0);
}

/* To hang up does not hide what was said. */
static void test_vote_not_checked_of_who_has_gone_is_half_of_the_proof_too(void **state)
{
    (void)state;
    prepare(1);
    arrives(3, vote(WIRE_TYPE_prepare, 3, 1, &batches[0].digest));
    next_turn();
    node->peers[3].session = NULL;
    arrives(2, vote(WIRE_TYPE_prepare, 3, 1, &other)); /* shown by another */
    assert_int_equal(inside(), 0);
    assert_int_equal(core_contradictions(node->core, 3, EVIDENCE_KIND_PREPARE), 1);
    assert_int_equal(sessions[2].inside, 0);
}

static void test_vote_not_checked_of_who_has_gone_costs_nobody_else(void **state)
{
    (void)state;
    prepare(1);
    arrives(3, bad_vote(3));
    next_turn();
    assert_int_equal(node->invalid_count, 0);
    node->peers[3].session = NULL;
    arrives(2, vote(WIRE_TYPE_prepare, 3, 1, &other));
    assert_true(recorded(3, 1)); /* the other one */
    assert_int_equal(sessions[2].bad, 0);
    assert_int_equal(core_contradictions(node->core, 3, EVIDENCE_KIND_PREPARE), 0);
}

/* A member that has started anew asks what is held of it, by a new connection (design.md 7.6). */
static void test_votes_not_checked_newest_is_when_its_sender_connects(void **state)
{
    const struct wire_hello hello = {.version = WIRE_VERSION,
                                     .group = node->wire.id,
                                     .role = HELLO_ROLE_REPLICA,
                                     .id = 3,
                                     .key = node->wire.members[3]};
    (void)state;
    for (uint64_t seq = 1; seq <= 2; seq++) {
        prepare(seq);
        arrives(3, vote(WIRE_TYPE_prepare, 3, seq, &batches[seq - 1].digest));
        next_turn();
    }
    const uint64_t before = checked();
    node->peers[3].session = NULL;
    sessions[3].greeted = false;
    arrives(3, wire_encode_blob(&wire_record_hello, &hello));
    assert_true(sessions[3].greeted);
    assert_int_equal(inside(), 0);
    assert_int_equal(checked(), before + 1);
    assert_true(recorded(3, 2));
    assert_false(recorded(3, 1));
    node_hear_late(&sessions[3]); /* the next newest */
    assert_true(recorded(3, 1));
    node_hear_late(&sessions[3]);
    assert_int_equal(checked(), before + 2);
}

#define VERIFY_TEST(function_) cmocka_unit_test_setup_teardown(function_, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VERIFY_TEST(test_frame_that_comes_alone_is_given_to_the_core_at_once),
        VERIFY_TEST(test_frames_of_one_turn_past_the_bound_go_to_the_pool),
        VERIFY_TEST(test_frame_behind_one_in_the_pool_goes_there_too),
        VERIFY_TEST(test_frame_while_one_of_a_client_is_inside_goes_to_the_pool),
        VERIFY_TEST(test_frames_that_may_be_dear_go_to_the_pool),
        VERIFY_TEST(test_invalid_frames_at_once_end_the_connection),
        VERIFY_TEST(test_vote_behind_its_quorum_is_counted_and_not_checked),
        VERIFY_TEST(test_vote_by_another_connection_is_checked),
        VERIFY_TEST(test_vote_not_checked_is_half_of_the_proof_of_two),
        VERIFY_TEST(test_vote_not_checked_is_when_another_contradicts),
        VERIFY_TEST(test_vote_not_checked_waits_while_its_sender_has_no_room),
        VERIFY_TEST(test_vote_not_checked_of_who_has_gone_is_half_of_the_proof_too),
        VERIFY_TEST(test_vote_not_checked_of_who_has_gone_costs_nobody_else),
        VERIFY_TEST(test_votes_not_checked_newest_is_when_its_sender_connects),
    };
    return cmocka_run_group_tests_name("node verify", tests, NULL, NULL);
}
