/* test_core_text.c - events, effects and states as text, and the trace by which two runs are compared: every kind is
 * told from every other. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_event(const struct core_event *event, const char *ignored, const char *expected)
{
    struct buffer out = {0};
    core_event_text(event, ignored, &out);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
    buffer_free(&out);
}

static void check_effect(const struct core_effect *effect, const char *expected)
{
    struct buffer out = {0};
    core_effect_text(effect, &out);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
    buffer_free(&out);
}

static void test_text_of_every_event(void **state)
{
    const struct core_recovered recovered = {.executed = 7};
    const struct core_executed executed = {.seq = 8};
    const struct core_walk walk = {.what = CORE_WALK_OLD, .number = 3};
    struct msg_verified m = {.msg = {.type = WIRE_TYPE_commit, .commit = {.seq = 5}}};
    struct core_event message = {.type = CORE_EVENT_MESSAGE, .message = {.verified = &m, .from = 2}};
    (void)state;
    check_event(&(struct core_event){.type = CORE_EVENT_START, .recovered = &recovered}, NULL, "START executed 7");
    check_event(&message, NULL, "MESSAGE COMMIT 5 from 2");
    m.msg = (struct wire_message){.type = WIRE_TYPE_request, .request = {.seq = 9}};
    message.message.from = UINT32_MAX;
    message.message.client = 4;
    check_event(&message, "known", "MESSAGE REQUEST 9 from client 4 - ignored: known");
    check_event(&(struct core_event){.type = CORE_EVENT_TICK}, NULL, "TICK");
    check_event(&(struct core_event){.type = CORE_EVENT_PERSISTED, .persisted = 6}, NULL, "PERSISTED 6");
    check_event(&(struct core_event){.type = CORE_EVENT_EXECUTED, .executed = &executed}, NULL, "EXECUTED 8");
    check_event(&(struct core_event){.type = CORE_EVENT_WALK, .walk = &walk}, NULL, "WALK OLD 3");
    check_event(&(struct core_event){.type = CORE_EVENT_MISSING_BLOCK, .missing = 11}, NULL, "MISSING block 11");
    check_event(&(struct core_event){.type = CORE_EVENT_DISK, .disk_full = true}, NULL, "DISK full");
    check_event(&(struct core_event){.type = CORE_EVENT_DISK}, NULL, "DISK has room");
    check_event(&(struct core_event){.type = CORE_EVENT_DRAIN}, NULL, "DRAIN");
    check_event(&(struct core_event){.type = CORE_EVENT_STOP}, NULL, "STOP");
}

static void check_message(struct blob *bytes_taken, bool resend, uint32_t to, const char *expected)
{
    const struct core_effect e = {.type = CORE_EFFECT_SEND, .send = {.to = to, .resend = resend, .bytes = bytes_taken}};
    check_effect(&e, expected);
    blob_release(bytes_taken);
}

static void test_text_of_messages_sent(void **state)
{
    struct wire_prepare prepare = {.seq = 3};
    struct wire_status status = {.executed = 12};
    struct wire_view_change view_change = {.view = 4};
    struct wire_reply reply = {.header = {.seq = 6}};
    struct wire_busy busy = {.seq = 2, .reason = BUSY_OVERLOAD};
    struct core_effect e = {.type = CORE_EFFECT_SEND_CLIENT, .send_client = {.client = 1}};
    (void)state;
    check_message(wire_encode_blob(&wire_record_prepare, &prepare), false, CORE_TO_ALL, "SEND PREPARE 3 to all");
    check_message(wire_encode_blob(&wire_record_prepare, &prepare), true, 2, "RESEND PREPARE 3 to 2");
    check_message(wire_encode_blob(&wire_record_status, &status), false, 2, "SEND STATUS 12 to 2");
    check_message(wire_encode_blob(&wire_record_view_change, &view_change), false, CORE_TO_ALL,
                  "SEND VIEW-CHANGE 0 to all");
    check_message(blob_copy(bytes_of_text("no message")), false, 3, "SEND ? to 3");
    e.send_client.bytes = wire_encode_blob(&wire_record_reply, &reply);
    check_effect(&e, "SEND REPLY 6 to client 1");
    blob_release(e.send_client.bytes);
    e.send_client.bytes = wire_encode_blob(&wire_record_busy, &busy);
    check_effect(&e, "SEND BUSY 2 to client 1");
    blob_release(e.send_client.bytes);
}

static void test_text_of_every_other_effect(void **state)
{
    (void)state;
    check_effect(&(struct core_effect){.type = CORE_EFFECT_PERSIST,
                                       .after = 4,
                                       .persist = {.token = 5, .kind = CORE_PERSIST_NEW_VIEW, .seq = 0}},
                 "PERSIST NEW_VIEW 0 token 5 after 4");
    check_effect(&(struct core_effect){.type = CORE_EFFECT_EXECUTE, .execute = {.seq = 9}}, "EXECUTE 9");
    check_effect(&(struct core_effect){.type = CORE_EFFECT_ANSWER, .answer = {.client = 2, .seq = 7}},
                 "ANSWER 7 to client 2");
    check_effect(&(struct core_effect){.type = CORE_EFFECT_STABLE, .stable = 128}, "STABLE 128");
    check_effect(&(struct core_effect){.type = CORE_EFFECT_SERVE_BLOCKS, .serve = {.to = 3, .seq = 5, .count = 2}},
                 "SERVE 2 blocks from 5 to 3");
    check_effect(
        &(struct core_effect){.type = CORE_EFFECT_SERVE_BLOCKS, .serve = {.to = 3, .seq = 5, .count = 2, .past = true}},
        "SERVE 2 past blocks from 5 to 3");
    check_effect(&(struct core_effect){.type = CORE_EFFECT_SERVE_STATE, .serve_state = {.to = 1, .number = 8}},
                 "SERVE state 8 to 1");
    check_effect(&(struct core_effect){.type = CORE_EFFECT_WALK_BEGIN, .walk_begin = 256}, "WALK to 256");
    check_effect(&(struct core_effect){.type = CORE_EFFECT_WALK_PIECE, .walk_piece = {.number = 6}}, "WALK piece 6");
    check_effect(&(struct core_effect){.type = CORE_EFFECT_PAST_BLOCK, .past_block = {.gap_low = 1}}, "PAST block");
    check_effect(&(struct core_effect){.type = CORE_EFFECT_PAST_BLOCK}, "PAST block out of turn");
    check_effect(
        &(struct core_effect){.type = CORE_EFFECT_EVIDENCE, .evidence = {.member = 2, .kind = EVIDENCE_KIND_COMMIT}},
        "EVIDENCE COMMIT against 2");
    check_effect(&(struct core_effect){.type = CORE_EFFECT_DIVERGED, .diverged = 384}, "DIVERGED 384");
}

static struct digest trace_of(const struct core_effect *e)
{
    struct hasher h;
    struct digest out;
    hasher_start(&h, DIGEST_DOMAIN_TRACE);
    core_effect_trace(&h, e);
    hasher_finish(&h, &out);
    return out;
}

/* Each changes one thing that leaves the core; none has the trace of another. */
static void test_trace_tells_effects_apart(void **state)
{
    struct blob *a = blob_copy(bytes_of_text("a"));
    struct blob *b = blob_copy(bytes_of_text("b"));
    const struct core_effect all[] = {
        {.type = CORE_EFFECT_SEND, .send = {.to = 1, .bytes = a}},
        {.type = CORE_EFFECT_SEND, .send = {.to = 1, .bytes = b}},
        {.type = CORE_EFFECT_SEND, .send = {.to = 2, .bytes = a}},
        {.type = CORE_EFFECT_SEND, .send = {.to = 1, .bytes = a, .resend = true}},
        {.type = CORE_EFFECT_SEND, .send = {.to = 1, .bytes = a}, .after = 1},
        {.type = CORE_EFFECT_SEND_CLIENT, .send_client = {.client = 1, .bytes = a}},
        {.type = CORE_EFFECT_SEND_CLIENT, .send_client = {.client = 2, .bytes = a}},
        {.type = CORE_EFFECT_PERSIST, .persist = {.token = 1}},
        {.type = CORE_EFFECT_PERSIST, .persist = {.token = 1, .record = a}},
        {.type = CORE_EFFECT_PERSIST, .persist = {.token = 1, .batch = a}},
        {.type = CORE_EFFECT_PERSIST, .persist = {.token = 1, .kind = CORE_PERSIST_FENCE}},
        {.type = CORE_EFFECT_PERSIST,
         .persist = {.token = 1, .kind = CORE_PERSIST_FENCE, .reason = FENCE_REASON_VIEW_LEFT}},
        {.type = CORE_EFFECT_EXECUTE, .execute = {.seq = 1}},
        {.type = CORE_EFFECT_EXECUTE, .execute = {.seq = 1, .batch_persisted = true}},
        {.type = CORE_EFFECT_ANSWER, .answer = {.client = 1}},
        {.type = CORE_EFFECT_STABLE, .stable = 1},
        {.type = CORE_EFFECT_STABLE, .stable = 2},
        {.type = CORE_EFFECT_SERVE_BLOCKS, .serve = {.seq = 1}},
        {.type = CORE_EFFECT_SERVE_BLOCKS, .serve = {.seq = 1, .past = true}},
        {.type = CORE_EFFECT_SERVE_STATE, .serve_state = {.number = 1}},
        {.type = CORE_EFFECT_SERVE_STATE, .serve_state = {.number = 1, .ask = a}},
        {.type = CORE_EFFECT_WALK_BEGIN, .walk_begin = 1},
        {.type = CORE_EFFECT_WALK_PIECE, .walk_piece = {.number = 1}},
        {.type = CORE_EFFECT_WALK_PIECE, .walk_piece = {.number = 1, .data = a}},
        {.type = CORE_EFFECT_PAST_BLOCK, .past_block = {.data = a}},
        {.type = CORE_EFFECT_PAST_BLOCK, .past_block = {.data = a, .checkpoint_good = true}},
        {.type = CORE_EFFECT_EVIDENCE, .evidence = {.member = 1}},
        {.type = CORE_EFFECT_EVIDENCE, .evidence = {.member = 2}},
        {.type = CORE_EFFECT_EVIDENCE, .evidence = {.member = 1, .record = a}},
        {.type = CORE_EFFECT_DIVERGED, .diverged = 1},
        {.type = CORE_EFFECT_DIVERGED, .diverged = 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const struct digest one = trace_of(&all[i]);
        for (size_t k = 0; k < i; k++) {
            const struct digest other = trace_of(&all[k]);
            assert_false(digest_equal(&one, &other));
        }
    }
    blob_release(a);
    blob_release(b);
}

/* ---- dump ---- */

static void check_dump(const struct solo *s, const char *part, bool there)
{
    struct buffer out = {0};
    core_dump(s->core, &out);
    buffer_append(&out, "", 1);
    const bool found = strstr((const char *)out.data, part) != NULL;
    if (found != there) print_message("%s", (const char *)out.data);
    assert_int_equal(found, there);
    buffer_free(&out);
}

static void test_dump_says_what_the_replica_does(void **state)
{
    const struct core_event stop = {.type = CORE_EVENT_STOP};
    const struct core_event full = {.type = CORE_EVENT_DISK, .disk_full = true};
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    check_dump(&s, " active\n", true);
    assert_null(solo_step(&s, &full));
    check_dump(&s, " active disk-full\n", true);
    assert_null(solo_step(&s, &stop));
    check_dump(&s, " active stopping disk-full\n", true);
    solo_close(&s);
    solo_ready(&s, 4, 3);
    (void)solo_view_change(&s, 0, 1); /* the primary resigns */
    check_dump(&s, " changing\n", true);
    check_dump(&s, " active", false);
    solo_close(&s);
}

static void test_dump_of_a_state_that_is_proven_wrong_says_so(void **state)
{
    const struct digest header = solo_header(CHECKPOINT_INTERVAL);
    const struct digest other = solo_root(1);
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_run_to(&s, CHECKPOINT_INTERVAL);
    (void)solo_all_persisted(&s);
    check_dump(&s, " diverged", false);
    struct blob *proof = fixture_checkpoint(s.group, CHECKPOINT_INTERVAL, &header, &other, 0x7);
    assert_null(solo_status(&s, 0, CHECKPOINT_INTERVAL, proof));
    check_dump(&s, " diverged", true);
    blob_release(proof);
    solo_close(&s);
}

static void test_dump_of_slots_says_what_became_of_their_batch(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct blob *request = fixture_request(s.group, 0, 2, s.wall_ms + 1000, "key", "value");
    request->data[request->len - 1] ^= 1; /* badly signed: nobody may prepare it */
    struct solo_batch bad = {.time_ms = s.wall_ms};
    bad.bytes = fixture_batch(bad.time_ms, &request, 1, &bad.digest);
    assert_null(solo_propose(&s, 1, &b, true));
    assert_null(solo_propose(&s, 2, &b, false));
    assert_non_null(solo_propose(&s, 3, &bad, true));
    assert_null(solo_block(&s, 2, 5, &b, NULL)); /* decided, without a proposal */
    assert_null(solo_vote(&s, WIRE_TYPE_prepare, 2, 6, &b.digest));
    check_dump(&s, "slot 1 proposed open", true);
    check_dump(&s, "batch held prepare sent", true);
    check_dump(&s, "batch missing prepare not-sent", true);
    check_dump(&s, "batch void prepare not-sent", true);
    check_dump(&s, "slot 5 empty decided", true);
    check_dump(&s, "slot 6", false); /* only a vote */
    blob_release(request);
    solo_batch_free(&bad);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_dump_of_a_gap_says_what_is_wanted(void **state)
{
    const uint64_t high = 8 * CHECKPOINT_INTERVAL;
    const struct core_client_window windows[SOLO_CLIENTS] = {{0}};
    const struct core_recovered r = {
        .clean = true, .stable = {.seq = high}, .executed = high, .gap_low = 1, .gap_high = high, .windows = windows};
    const struct core_event missing = {.type = CORE_EVENT_MISSING_BLOCK, .missing = 5};
    struct solo s;
    (void)state;
    solo_open(&s, 4, 1);
    solo_start(&s, &r);
    check_dump(&s, "gap 1 to 1024 wanted 0 next 0\n", true);
    assert_null(solo_step(&s, &missing));
    check_dump(&s, "gap 1 to 1024 wanted 5 next 128\n", true);
    solo_close(&s);
    solo_ready(&s, 4, 1);
    check_dump(&s, "gap", false);
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_of_every_event),
        cmocka_unit_test(test_text_of_messages_sent),
        cmocka_unit_test(test_text_of_every_other_effect),
        cmocka_unit_test(test_trace_tells_effects_apart),
        cmocka_unit_test(test_dump_says_what_the_replica_does),
        cmocka_unit_test(test_dump_of_a_state_that_is_proven_wrong_says_so),
        cmocka_unit_test(test_dump_of_slots_says_what_became_of_their_batch),
        cmocka_unit_test(test_dump_of_a_gap_says_what_is_wanted),
    };
    return cmocka_run_group_tests_name("core_text", tests, NULL, NULL);
}
