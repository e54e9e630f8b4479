/* test_client_links.c - libpbft: connections. Replicas that send garbage, introduce themselves as somebody else or name
 * any view they like; what pbft_status_wait and pbft_ready tell of those that do not answer.
 */
#include "tests/fixture/client_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LIAR 3u

static struct kept kept;
static struct fake_replica *const replicas = fakes.replicas;
static struct pbft_replica_status status[FAKE_REPLICAS_MAX];

static void check_commits(struct pbft_client *c)
{
    client_put(c, "key", "value", &kept);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_int_equal(kept.answer.status, PBFT_OK);
}

static void check_status_reason(struct pbft_client *c, uint32_t id, const char *reason)
{
    assert_int_equal(pbft_status_wait(c, CLIENT_KIT_MS, status).status, PBFT_OK);
    assert_false(status[id].connected);
    assert_false(status[id].answered);
    assert_non_null(strstr(status[id].reason, reason));
}

/* ---- bytes that are no message ---- */

static bool mute(struct fake_replica *r, const struct wire_message *m)
{
    (void)r;
    (void)m;
    return true;
}

/* A transaction waits for answers; the liar sends this, and the true answer behind it. */
static void check_disconnected_by(struct bytes frame, const char *reason)
{
    WITH_FAKES(fake_set_manner(&fakes, FAKE_MANUAL));
    struct pbft_client *c = client_open_to_all();
    client_put(c, "key", "value", &kept);
    client_resend_never(c);
    CLIENT_UNTIL(c, fake_order_of(&fakes, 1) != NULL);
    WITH_FAKES(fake_send_bytes(&replicas[LIAR], frame), fake_answer_truly(&replicas[LIAR], 1),
               replicas[LIAR].hook = mute); /* so that it is not taken for well again */
    CLIENT_UNTIL(c, replicas[LIAR].closed_count == 1);
    check_status_reason(c, LIAR, reason);
    WITH_FAKES(fake_answer_truly(&replicas[1], 1));
    client_settle(c);
    assert_int_equal(kept.calls, 0); /* what came behind was not heard */
    WITH_FAKES(fake_answer_truly(&replicas[2], 1));
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_matched(&kept, 1u << 1 | 1u << 2);
    pbft_close(c);
}

static void test_client_garbage_disconnected_others_suffice(void **state)
{
    (void)state;
    check_disconnected_by(bytes_of_text("\xff"
                                        "garbage"),
                          "malformed");
}

static void test_client_huge_frame_disconnected_others_suffice(void **state)
{
    (void)state;
    struct blob *frame = blob_new(FRAME_BYTES_MAX + 1);
    memset(frame->data, 0, frame->len);
    check_disconnected_by(blob_bytes(frame), "over the limit");
    blob_release(frame);
}

static bool garbage_for_hello(struct fake_replica *r, const struct wire_message *m)
{
    if (m->type != WIRE_TYPE_hello) return false;
    fake_send_bytes(r, bytes_of_text("garbage"));
    return true;
}

static void test_client_garbage_for_hello_said_in_status(void **state)
{
    (void)state;
    WITH_FAKES(replicas[LIAR].hook = garbage_for_hello);
    struct pbft_client *c = client_open();
    CLIENT_UNTIL(c, replicas[LIAR].closed_count > 0);
    check_status_reason(c, LIAR, "malformed");
    check_commits(c);
    pbft_close(c);
}

static bool prepare_for_request(struct fake_replica *r, const struct wire_message *m)
{
    const struct wire_prepare prepare = {.sender = r->id, .seq = 1};
    if (m->type != WIRE_TYPE_request) return false;
    fake_send(r, &wire_record_prepare, &prepare);
    return false;
}

static void test_client_message_not_for_clients_ignored(void **state)
{
    (void)state;
    WITH_FAKES(replicas[0].hook = prepare_for_request);
    struct pbft_client *c = client_open_to_all();
    check_commits(c);
    client_settle(c);
    fake_lock(&fakes);
    const uint32_t closed = replicas[0].closed_count;
    fake_unlock(&fakes);
    assert_int_equal(closed, 0);
    pbft_close(c);
}

/* ---- HELLO ---- */

static void (*spoil_hello)(struct wire_hello *hello);

static bool spoiled_hello(struct fake_replica *r, const struct wire_message *m)
{
    struct wire_hello hello = fake_hello(r);
    if (m->type != WIRE_TYPE_hello) return false;
    spoil_hello(&hello);
    fake_send(r, &wire_record_hello, &hello);
    return true;
}

static void check_hello_refused(void (*spoil)(struct wire_hello *hello), const char *reason)
{
    spoil_hello = spoil;
    WITH_FAKES(replicas[LIAR].hook = spoiled_hello);
    struct pbft_client *c = client_open();
    CLIENT_UNTIL(c, replicas[LIAR].closed_count > 0);
    check_status_reason(c, LIAR, reason);
    check_commits(c);
    for (uint32_t i = 0; i < kept.answer.matched_count; i++)
        assert_int_not_equal(kept.answer.matched[i], LIAR);
    pbft_close(c);
}

static void hello_group(struct wire_hello *hello)
{
    hello->group.bytes[31] ^= 1;
}

static void test_client_hello_of_another_group_refused(void **state)
{
    (void)state;
    check_hello_refused(hello_group, "another group");
}

/* Opens a client of these replicas while `foreign` of them belong to another group, and asks. */
static struct pbft_error ask_with_foreign(uint32_t foreign, uint32_t stopped, uint64_t timeout_ms)
{
    struct pbft_options options = client_options();
    struct pbft_client *c;
    spoil_hello = hello_group;
    fake_lock(&fakes);
    for (uint32_t id = 0; id < foreign; id++)
        replicas[id].hook = spoiled_hello;
    for (uint32_t id = foreign; id < foreign + stopped; id++)
        fake_stop(&replicas[id]);
    fake_unlock(&fakes);
    assert_int_equal(pbft_open(&options, &c).status, PBFT_OK);
    const struct pbft_error e = pbft_ready(c, timeout_ms);
    pbft_close(c);
    return e;
}

static void check_refused_foreign(struct pbft_error e)
{
    assert_int_equal(e.status, PBFT_BAD_CONFIG);
    assert_non_null(strstr(e.text, "belong to another group than"));
    assert_non_null(strstr(e.text, fakes.group_path));
}

static void test_client_all_of_another_group_ends_at_once(void **state)
{
    (void)state;
    check_refused_foreign(ask_with_foreign(4, 0, CLIENT_KIT_MS));
}

static void test_client_f_plus_1_of_another_group_the_rest_dead_ends_at_once(void **state)
{
    (void)state;
    check_refused_foreign(ask_with_foreign(2, 2, CLIENT_KIT_MS));
}

static void test_client_f_of_another_group_the_rest_dead_waits(void **state)
{
    (void)state;
    const struct pbft_error e = ask_with_foreign(1, 3, 500);
    assert_int_equal(e.status, PBFT_TIMEOUT);
    assert_non_null(strstr(e.text, "0 (it belongs to another group: compare the group files)"));
}

static void test_client_f_of_another_group_goes_on(void **state)
{
    (void)state;
    assert_int_equal(ask_with_foreign(1, 0, CLIENT_KIT_MS).status, PBFT_OK);
}

static void test_client_status_of_another_group_says_so(void **state)
{
    (void)state;
    const struct pbft_options options = client_options();
    struct pbft_client *c;
    spoil_hello = hello_group;
    for (uint32_t id = 0; id < 4; id++)
        WITH_FAKES(replicas[id].hook = spoiled_hello);
    assert_int_equal(pbft_open(&options, &c).status, PBFT_OK);
    check_refused_foreign(pbft_status_wait(c, CLIENT_KIT_MS, status));
    assert_non_null(strstr(status[3].reason, "another group"));
    pbft_close(c);
}

static void hello_id(struct wire_hello *hello)
{
    hello->id = 1;
}

static void test_client_hello_of_another_id_refused(void **state)
{
    (void)state;
    check_hello_refused(hello_id, "did not introduce itself as this replica");
}

static void hello_role(struct wire_hello *hello)
{
    hello->role = HELLO_ROLE_CLIENT;
}

static void test_client_hello_of_a_client_refused(void **state)
{
    (void)state;
    check_hello_refused(hello_role, "did not introduce itself as this replica");
}

static void hello_version(struct wire_hello *hello)
{
    hello->version++;
}

static void test_client_hello_of_another_version_refused(void **state)
{
    (void)state;
    check_hello_refused(hello_version, "another version");
}

static void hello_epoch(struct wire_hello *hello)
{
    hello->epoch = 1;
}

static void test_client_hello_of_another_epoch_refused(void **state)
{
    (void)state;
    check_hello_refused(hello_epoch, "another epoch");
}

static void test_client_no_hello_others_suffice(void **state)
{
    (void)state;
    WITH_FAKES(replicas[0].hook = mute); /* the primary */
    struct pbft_client *c = client_open();
    check_commits(c);
    for (uint32_t i = 0; i < kept.answer.matched_count; i++)
        assert_int_not_equal(kept.answer.matched[i], 0);
    pbft_close(c);
}

static void test_client_transport_key_of_another_member_refused(void **state)
{
    (void)state;
    WITH_FAKES(fake_stop(&replicas[LIAR]));
    WITH_FAKES(replicas[LIAR].transport = replicas[1].transport, fake_restart(&replicas[LIAR]));
    struct pbft_client *c = client_open();
    check_status_reason(c, LIAR, "not the one expected at this address");
    assert_int_equal(replicas[LIAR].hello_count, 0);
    check_commits(c);
    pbft_close(c);
}

/* ---- the view ---- */

/* The replicas name these views: who alone gets the next request? */
static void check_asked_next(const uint64_t views[4], uint32_t wanted)
{
    fake_lock(&fakes);
    for (uint32_t id = 0; id < 4; id++)
        replicas[id].view = views[id];
    fake_unlock(&fakes);
    struct pbft_client *c = client_open_to_all();
    client_settle(c);
    client_put(c, "key", "value", &kept);
    client_resend_never(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    client_settle(c);
    assert_int_equal(kept.answer.status, PBFT_OK);
    fake_lock(&fakes);
    uint32_t counts[4];
    for (uint32_t id = 0; id < 4; id++)
        counts[id] = replicas[id].request_count;
    fake_unlock(&fakes);
    for (uint32_t id = 0; id < 4; id++)
        assert_int_equal(counts[id], id == wanted ? 1 : 0);
    pbft_close(c);
}

static void test_client_one_names_view_2_pow_40_not_redirected(void **state)
{
    (void)state;
    check_asked_next((const uint64_t[]){0, (1ull << 40) + 1, 0, 0}, 0);
}

static void test_client_f_plus_1_name_view_1_redirected(void **state)
{
    (void)state;
    check_asked_next((const uint64_t[]){0, 0, 1, 1}, 1);
}

static void test_client_views_differ_redirected_to_what_f_plus_1_reached(void **state)
{
    (void)state;
    check_asked_next((const uint64_t[]){VIEW_MAX, 2, 0, 0}, 2);
}

static void test_client_timeout_names_primary_of_view_learned(void **state)
{
    (void)state;
    fake_lock(&fakes);
    fake_set_manner(&fakes, FAKE_DEAF);
    for (uint32_t id = 0; id < 4; id++)
        replicas[id].view = 6;
    fake_unlock(&fakes);
    struct pbft_client *c = client_open_to_all();
    client_settle(c);
    client_put(c, "key", "value", &kept);
    client_deadline_now(c);
    CLIENT_UNTIL(c, kept.calls > 0);
    assert_non_null(strstr(kept.answer.text, "the primary is replica 2 of view 6"));
    pbft_close(c);
}

/* ---- status ---- */

static void test_client_status_some_dead_others_answer(void **state)
{
    (void)state;
    WITH_FAKES(replicas[2].view = 5);
    struct pbft_client *c = client_open_to_all();
    WITH_FAKES(fake_stop(&replicas[0]), fake_stop(&replicas[1]));
    assert_int_equal(pbft_status_wait(c, CLIENT_KIT_MS, status).status, PBFT_OK);
    for (uint32_t id = 0; id < 4; id++) {
        assert_int_equal(status[id].id, id);
        assert_int_equal(status[id].answered, id >= 2);
        assert_int_equal(status[id].reason[0] == '\0', id >= 2);
    }
    assert_int_equal(status[2].view, 5);
    assert_int_equal(status[2].condition, CONDITION_SYNCED);
    pbft_close(c);
}

static void test_client_status_all_dead_timeout(void **state)
{
    (void)state;
    struct pbft_client *c = client_open_to_all();
    for (uint32_t id = 0; id < 4; id++)
        WITH_FAKES(fake_stop(&replicas[id]));
    const struct pbft_error e = pbft_status_wait(c, CLIENT_KIT_MS, status); /* does not wait: all refuse */
    assert_int_equal(e.status, PBFT_TIMEOUT);
    assert_non_null(strstr(e.text, "no replica answers"));
    pbft_close(c);
}

static bool no_status(struct fake_replica *r, const struct wire_message *m)
{
    (void)r;
    return m->type == WIRE_TYPE_query && m->query.operation.verb == SYSTEM_VERB_STATUS;
}

static void test_client_status_one_silent_given_up_at_deadline(void **state)
{
    (void)state;
    WITH_FAKES(replicas[1].hook = no_status);
    struct pbft_client *c = client_open_to_all();
    assert_int_equal(pbft_status_wait(c, 1000, status).status, PBFT_OK);
    assert_true(status[0].answered);
    assert_true(status[1].connected);
    assert_false(status[1].answered);
    assert_string_equal(status[1].reason, "it does not answer");
    pbft_close(c);
}

static bool status_of_another(struct fake_replica *r, const struct wire_message *m)
{
    const struct wire_replica_status s = {.id = r->id + 1};
    if (!no_status(r, m)) return false;
    struct blob *value = wire_encode_blob(&wire_record_replica_status, &s);
    fake_send_result(r, m->query.number, OUTCOME_OK, 0, blob_bytes(value));
    blob_release(value);
    return true;
}

static void test_client_status_of_another_id_ignored(void **state)
{
    (void)state;
    WITH_FAKES(replicas[1].hook = status_of_another);
    struct pbft_client *c = client_open_to_all();
    assert_int_equal(pbft_status_wait(c, 1000, status).status, PBFT_OK);
    assert_false(status[1].answered);
    assert_true(status[2].answered);
    pbft_close(c);
}

/* No two of its numbers are the same; a type beyond those that are known is one like others. */
static bool status_with_counts(struct fake_replica *r, const struct wire_message *m)
{
    uint8_t space[2][64];
    struct wire_replica_status s = {.id = r->id};
    struct writer counts = writer_of(space[0], sizeof space[0]);
    struct writer bytes = writer_of(space[1], sizeof space[1]);
    if (!no_status(r, m)) return false;
    for (uint32_t type = WIRE_TYPE_request; type <= 200; type += 199) {
        const struct wire_message_count c = {.type = type, .sent = type + 1, .resent = type + 2, .received = type + 3};
        const struct wire_message_bytes b = {.type = type,
                                             .sent = type + 4,
                                             .resent = type + 5,
                                             .received = type + 6,
                                             .from_clients = type + 7,
                                             .client_messages = type + 8};
        wire_list_add(&s.messages, &counts, &wire_record_message_count, &c);
        wire_list_add(&s.bytes, &bytes, &wire_record_message_bytes, &b);
    }
    struct blob *value = wire_encode_blob(&wire_record_replica_status, &s);
    fake_send_result(r, m->query.number, OUTCOME_OK, 0, blob_bytes(value));
    blob_release(value);
    return true;
}

static void test_client_status_counts_messages_bytes_and_what_clients_sent(void **state)
{
    (void)state;
    WITH_FAKES(replicas[1].hook = status_with_counts);
    struct pbft_client *c = client_open_to_all();
    assert_int_equal(pbft_status_wait(c, 1000, status).status, PBFT_OK);
    assert_true(status[1].answered);
    assert_int_equal(status[1].message_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct pbft_message_count *m = &status[1].messages[i];
        const uint32_t type = i == 0 ? WIRE_TYPE_request : 200;
        assert_int_equal(m->type, type);
        assert_int_equal(m->sent, type + 1);
        assert_int_equal(m->resent, type + 2);
        assert_int_equal(m->received, type + 3);
        assert_int_equal(m->sent_bytes, type + 4);
        assert_int_equal(m->resent_bytes, type + 5);
        assert_int_equal(m->received_bytes, type + 6);
        assert_int_equal(m->from_clients_bytes, type + 7);
        assert_int_equal(m->from_clients, type + 8);
    }
    pbft_close(c);
}

static void test_client_restarted_replica_connected_again(void **state)
{
    (void)state;
    struct pbft_client *c = client_open_to_all();
    WITH_FAKES(fake_stop(&replicas[2]));
    CLIENT_UNTIL(c, replicas[2].client == NULL);
    client_settle(c);
    WITH_FAKES(fake_restart(&replicas[2]));
    CLIENT_UNTIL(c, replicas[2].client != NULL);
    check_commits(c);
    pbft_close(c);
}

#define TEST_OF(count, test) cmocka_unit_test_setup_teardown(test, fakes_of_##count, fakes_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(4, test_client_garbage_disconnected_others_suffice),
        TEST_OF(4, test_client_huge_frame_disconnected_others_suffice),
        TEST_OF(4, test_client_garbage_for_hello_said_in_status),
        TEST_OF(4, test_client_message_not_for_clients_ignored),
        TEST_OF(4, test_client_hello_of_another_group_refused),
        TEST_OF(4, test_client_all_of_another_group_ends_at_once),
        TEST_OF(4, test_client_f_plus_1_of_another_group_the_rest_dead_ends_at_once),
        TEST_OF(4, test_client_f_of_another_group_the_rest_dead_waits),
        TEST_OF(4, test_client_f_of_another_group_goes_on),
        TEST_OF(4, test_client_status_of_another_group_says_so),
        TEST_OF(4, test_client_hello_of_another_id_refused),
        TEST_OF(4, test_client_hello_of_a_client_refused),
        TEST_OF(4, test_client_hello_of_another_version_refused),
        TEST_OF(4, test_client_hello_of_another_epoch_refused),
        TEST_OF(4, test_client_no_hello_others_suffice),
        TEST_OF(4, test_client_transport_key_of_another_member_refused),
        TEST_OF(4, test_client_one_names_view_2_pow_40_not_redirected),
        TEST_OF(4, test_client_f_plus_1_name_view_1_redirected),
        TEST_OF(4, test_client_views_differ_redirected_to_what_f_plus_1_reached),
        TEST_OF(4, test_client_timeout_names_primary_of_view_learned),
        TEST_OF(4, test_client_status_some_dead_others_answer),
        TEST_OF(4, test_client_status_all_dead_timeout),
        TEST_OF(4, test_client_status_one_silent_given_up_at_deadline),
        TEST_OF(4, test_client_status_of_another_id_ignored),
        TEST_OF(4, test_client_status_counts_messages_bytes_and_what_clients_sent),
        TEST_OF(4, test_client_restarted_replica_connected_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
