/* test_client_why.c - libpbft: pbft_why_wait takes what each replica says it waits for, of it alone, whatever a liar sends. */
#include "tests/fixture/client_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LIAR 3u

static struct fake_replica *const replicas = fakes.replicas;
static struct pbft_replica_why why[FAKE_REPLICAS_MAX];

static bool asks_why(const struct wire_message *m)
{
    return m->type == WIRE_TYPE_query && m->query.operation.app == APP_SYSTEM && m->query.operation.verb == SYSTEM_VERB_WHY;
}

static void send_why(struct fake_replica *r, const struct wire_message *question, const struct wire_replica_why *answer)
{
    struct blob *value = wire_encode_blob(&wire_record_replica_why, answer);
    fake_send_result(r, question->query.number, OUTCOME_OK, 0, blob_bytes(value));
    blob_release(value);
}

static bool says_everything(struct fake_replica *r, const struct wire_message *m)
{
    uint8_t timers_space[64];
    uint8_t members_space[256];
    struct writer timers = writer_of(timers_space, sizeof timers_space);
    struct writer members = writer_of(members_space, sizeof members_space);
    const struct wire_why_timer timer = {.kind = WHY_TIMER_NEW_VIEW, .remaining_ms = 700};
    const struct wire_why_member one = {.id = 2,
                                        .flags = WHY_MEMBER_CONNECTED | WHY_MEMBER_HEARD | WHY_MEMBER_COMMITTED,
                                        .heard_ms = 12,
                                        .executed = 7,
                                        .view = 5,
                                        .view_change = 6};
    struct wire_replica_why w = {.id = r->id,
                                 .condition = CONDITION_STALLED,
                                 .flags = WHY_FLAG_CHANGING | WHY_FLAG_BATCH_HELD | WHY_FLAG_MUTE,
                                 .view = 6,
                                 .seq = 8,
                                 .phase = WHY_PHASE_PREPARED,
                                 .digest = {{0xab}},
                                 .waited_ms = 1,
                                 .idle_ms = 2,
                                 .low = 3,
                                 .high = 4,
                                 .ahead = 5,
                                 .abstain_until = 6,
                                 .custody = 7,
                                 .custody_bytes = 8,
                                 .custody_ms = 9,
                                 .timeout_ms = 10,
                                 .peers_connected = 3,
                                 .reason = bytes_of_text("stalled: it waits")};
    if (!asks_why(m)) return false;
    wire_list_add(&w.timers, &timers, &wire_record_why_timer, &timer);
    wire_list_add(&w.members, &members, &wire_record_why_member, &one);
    send_why(r, m, &w);
    return true;
}

static void test_client_why_every_fact_arrives(void **state)
{
    (void)state;
    WITH_FAKES(replicas[1].hook = says_everything);
    struct pbft_client *c = client_open_to_all();
    assert_int_equal(pbft_why_wait(c, CLIENT_KIT_MS, why).status, PBFT_OK);
    const struct pbft_replica_why *w = &why[1];
    assert_true(w->answered && w->connected && w->changing && w->batch_held && w->mute);
    assert_false(w->entered || w->batch_void || w->prepare_sent || w->certificate_durable || w->diverged || w->disk_full ||
                 w->draining);
    assert_int_equal(w->condition, CONDITION_STALLED);
    assert_int_equal(w->view, 6);
    assert_int_equal(w->seq, 8);
    assert_int_equal(w->phase, PBFT_PHASE_PREPARED);
    assert_int_equal(w->digest[0], 0xab);
    assert_int_equal(w->waited_ms, 1);
    assert_int_equal(w->idle_ms, 2);
    assert_int_equal(w->low, 3);
    assert_int_equal(w->high, 4);
    assert_int_equal(w->ahead, 5);
    assert_int_equal(w->abstain_until, 6);
    assert_int_equal(w->custody, 7);
    assert_int_equal(w->custody_bytes, 8);
    assert_int_equal(w->custody_ms, 9);
    assert_int_equal(w->timeout_ms, 10);
    assert_int_equal(w->peers_connected, 3);
    assert_true(w->request_timer_ms == PBFT_NO_TIMER);
    assert_int_equal(w->new_view_timer_ms, 700);
    assert_string_equal(w->reason, "stalled: it waits");
    assert_true(w->members[2].connected && w->members[2].heard && w->members[2].committed);
    assert_false(w->members[2].prepared || w->members[2].changing || w->members[1].connected);
    assert_int_equal(w->members[2].heard_ms, 12);
    assert_int_equal(w->members[2].executed, 7);
    assert_int_equal(w->members[2].view, 5);
    assert_int_equal(w->members[2].view_change, 6);
    for (uint32_t id = 0; id < 4; id++) {
        assert_int_equal(why[id].id, id);
        assert_true(why[id].answered);
    }
    assert_int_equal(why[0].seq, 1);
    pbft_close(c);
}

static void test_client_why_some_dead_others_answer(void **state)
{
    (void)state;
    struct pbft_client *c = client_open_to_all();
    WITH_FAKES(fake_stop(&replicas[0]), fake_stop(&replicas[1]), fake_stop(&replicas[2]));
    assert_int_equal(pbft_why_wait(c, CLIENT_KIT_MS, why).status, PBFT_OK); /* no quorum is needed */
    for (uint32_t id = 0; id < 4; id++) {
        assert_int_equal(why[id].answered, id == 3);
        assert_true(why[id].reason[0] != '\0');
    }
    WITH_FAKES(fake_stop(&replicas[3]));
    assert_int_equal(pbft_why_wait(c, CLIENT_KIT_MS, why).status, PBFT_TIMEOUT);
    pbft_close(c);
}

static bool of_another(struct fake_replica *r, const struct wire_message *m)
{
    const struct wire_replica_why w = {.id = r->id - 1, .reason = bytes_of_text("ready")};
    if (!asks_why(m)) return false;
    send_why(r, m, &w);
    return true;
}

static bool of_no_phase(struct fake_replica *r, const struct wire_message *m)
{
    const struct wire_replica_why w = {.id = r->id, .phase = WHY_PHASE_MAX + 1};
    if (!asks_why(m)) return false;
    send_why(r, m, &w);
    return true;
}

static bool of_garbage(struct fake_replica *r, const struct wire_message *m)
{
    if (!asks_why(m)) return false;
    fake_send_result(r, m->query.number, OUTCOME_OK, 0, bytes_of("\x9f\xff", 2));
    return true;
}

static void test_client_why_of_a_liar_is_no_answer(void **state)
{
    const fake_hook hooks[] = {of_another, of_no_phase, of_garbage};
    (void)state;
    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        WITH_FAKES(replicas[LIAR].hook = hooks[i]);
        struct pbft_client *c = client_open_to_all();
        assert_int_equal(pbft_why_wait(c, 500, why).status, PBFT_OK);
        assert_false(why[LIAR].answered);
        assert_string_equal(why[LIAR].reason, "nothing came in time");
        assert_true(why[0].answered && why[1].answered && why[2].answered);
        pbft_close(c);
    }
}

static bool twice(struct fake_replica *r, const struct wire_message *m)
{
    const struct wire_replica_why w = {.id = r->id, .seq = 5, .reason = bytes_of_text("\x1b[2J\xff\n")};
    const struct wire_replica_why again = {.id = r->id, .seq = 6};
    if (!asks_why(m)) return false;
    send_why(r, m, &w);
    send_why(r, m, &again);
    return true;
}

static bool never(struct fake_replica *r, const struct wire_message *m)
{
    (void)r;
    return asks_why(m);
}

/* Two answers of one are not taken for the answer of another; and words are made fit for a terminal. */
static void test_client_why_twice_counts_once(void **state)
{
    (void)state;
    WITH_FAKES(replicas[LIAR].hook = twice, replicas[0].hook = never);
    struct pbft_client *c = client_open_to_all();
    assert_int_equal(pbft_why_wait(c, 500, why).status, PBFT_OK);
    assert_true(why[1].answered && why[2].answered && why[LIAR].answered);
    assert_false(why[0].answered);
    assert_int_equal(why[LIAR].seq, 5);
    assert_string_equal(why[LIAR].reason, "?[2J??");
    pbft_close(c);
}

#define WHY_TEST(f) cmocka_unit_test_setup_teardown(f, fakes_of_4, fakes_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WHY_TEST(test_client_why_every_fact_arrives),
        WHY_TEST(test_client_why_some_dead_others_answer),
        WHY_TEST(test_client_why_of_a_liar_is_no_answer),
        WHY_TEST(test_client_why_twice_counts_once),
    };
    return cmocka_run_group_tests_name("client_why", tests, NULL, NULL);
}
