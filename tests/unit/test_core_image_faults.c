/* test_core_image_faults.c - an image that no core has written is refused with a sentence that says why, field by
 * field; and what an image holds of states that are rare. */
#include "tests/fixture/solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL
#define FAR SOLO_TRANSFER_AFTER
#define OTHER 0x7f /* a byte that none of the fields looked at here has */

/* Where fields stand, as core_image.c walks them. */
#define AT_LOW 22u
#define AT_SLOTS_TOP 30u
#define AT_EXECUTED 38u
#define AT_HANDED 46u
#define AT_NEXT_SEQ 70u
#define AT_STABLE_RECORD 213u
#define AT_VIEW_AFTER_STABLE_RECORD 42u /* when no other certificate is under way */

static struct blob *image_of_core(const struct core *c, bool outline)
{
    struct image i = {.outline = outline};
    core_image_write(c, &i);
    struct blob *flat = image_flat(&i);
    image_free(&i);
    return flat;
}

/* What reading says; the core is gone again. */
static const char *read_back(const struct solo *s, const struct blob *image)
{
    struct core *c = core_new(&s->config);
    struct image i = image_of(blob_bytes(image));
    const char *fault = core_image_read(c, &i);
    if (fault == NULL) fault = image_end(&i);
    core_free(c);
    return fault;
}

static const char *read_with(const struct solo *s, size_t at, uint8_t byte)
{
    struct blob *image = image_of_core(s->core, false);
    assert_true(at < image->len);
    image->data[at] = byte;
    const char *fault = read_back(s, image);
    blob_release(image);
    return fault;
}

/* How many bytes of the image give this sentence when they are OTHER. */
static uint32_t bytes_that_give(const struct solo *s, const char *sentence)
{
    struct blob *image = image_of_core(s->core, false);
    uint32_t count = 0;
    for (size_t at = 0; at < image->len; at++) {
        const uint8_t before = image->data[at];
        image->data[at] = OTHER;
        const char *fault = read_back(s, image);
        if (fault != NULL && strcmp(fault, sentence) == 0) count++;
        image->data[at] = before;
    }
    blob_release(image);
    return count;
}

/* Where the k-th place of these bytes begins. */
static size_t find(const struct blob *image, const struct blob *what, uint32_t k)
{
    for (size_t at = 0; what->len <= image->len - at; at++)
        if (memcmp(image->data + at, what->data, what->len) == 0 && k-- == 0) return at;
    fail_msg("not in the image");
    return 0;
}

/* Reading with another blob, or none, in the k-th place of one. */
static const char *read_with_blob(const struct solo *s, const struct blob *what, uint32_t k, const struct blob *instead)
{
    uint8_t len[8];
    struct buffer out = {0};
    struct blob *image = image_of_core(s->core, false);
    const size_t at = find(image, what, k);
    be64_put(len, instead != NULL ? instead->len : UINT64_MAX);
    buffer_append(&out, image->data, at - sizeof len);
    buffer_append(&out, len, sizeof len);
    if (instead != NULL) buffer_append(&out, instead->data, instead->len);
    buffer_append(&out, image->data + at + what->len, image->len - at - what->len);
    struct blob *changed = blob_copy(bytes_of(out.data, out.len));
    const char *fault = read_back(s, changed);
    blob_release(changed);
    blob_release(image);
    buffer_free(&out);
    return fault;
}

static void check_whole(const struct solo *s)
{
    struct core *c = core_new(&s->config);
    struct blob *image = image_of_core(s->core, false);
    struct image i = image_of(blob_bytes(image));
    assert_null(core_image_read(c, &i));
    assert_null(image_end(&i));
    struct blob *again = image_of_core(c, false);
    assert_int_equal(again->len, image->len);
    assert_memory_equal(again->data, image->data, image->len);
    blob_release(again);
    blob_release(image);
    core_free(c);
}

/* ---- sequences, views, members ---- */

static void test_image_sequence_or_view_over_its_maximum_is_refused(void **state)
{
    static const char sentence[] = "a sequence is over its maximum";
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    const size_t view = AT_STABLE_RECORD + core_stable(s.core)->len + AT_VIEW_AFTER_STABLE_RECORD;
    assert_string_equal(read_with(&s, AT_LOW, OTHER), sentence);
    assert_string_equal(read_with(&s, AT_EXECUTED, OTHER), sentence);
    assert_string_equal(read_with(&s, AT_HANDED, OTHER), sentence);
    assert_string_equal(read_with(&s, AT_NEXT_SEQ, OTHER), sentence);
    assert_null(read_with(&s, view + 7, 3)); /* it is the view: any up to the last one is taken */
    assert_null(read_with(&s, view + 1, 1));
    assert_string_equal(read_with(&s, view, OTHER), "a view is over its maximum");
    assert_string_equal(read_with(&s, view + 1, 2), "a view is over its maximum");
    assert_string_equal(read_with(&s, AT_SLOTS_TOP + 6, 2), "a slot is above the window");
    solo_close(&s);
}

static void test_image_member_that_there_is_not_is_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_int_equal(bytes_that_give(&s, "blocks were asked for of a member that there is not"), 4 + 4);
    assert_int_equal(bytes_that_give(&s, "old blocks were asked for of a member that there is not"), 4);
    assert_int_equal(bytes_that_give(&s, "a wanted block is not on its way"),
                     8 + 2); /* above the next; over the maximum */
    assert_true(bytes_that_give(&s, "a slot holds a sequence of another") >= WINDOW_BATCHES);
    solo_close(&s);
}

/* ---- certificates and messages ---- */

static void test_image_without_the_certificate_of_its_checkpoint_is_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, K);
    (void)solo_all_persisted(&s);
    (void)solo_checkpoint(&s, 0, K);
    (void)solo_checkpoint(&s, 2, K);
    assert_non_null(solo_persist(&s, CORE_PERSIST_STABLE)); /* under way */
    struct blob *next = blob_retain(solo_persist(&s, CORE_PERSIST_STABLE)->persist.record);
    check_whole(&s);
    assert_string_equal(read_with_blob(&s, core_stable(s.core), 0, NULL), "a checkpoint has no certificate");
    assert_string_equal(read_with_blob(&s, next, 0, NULL), "a checkpoint has no certificate");
    blob_release(next);
    solo_close(&s);
}

static void test_image_of_a_view_left_without_its_view_change_is_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    (void)solo_view_change(&s, 0, 1); /* the primary resigns */
    struct blob *own = blob_retain(solo_persist(&s, CORE_PERSIST_VIEW_LEFT)->persist.record);
    struct blob *vote = fixture_message(s.group, &wire_record_prepare, &(struct wire_prepare){.sender = 3, .seq = 1});
    check_whole(&s);
    assert_string_equal(read_with_blob(&s, own, 1, NULL), "a view was left without a VIEW-CHANGE");
    struct blob *junk = blob_copy(bytes_of_text("no message"));
    assert_string_equal(read_with_blob(&s, own, 1, vote), "a message is not of the type that its place says");
    assert_string_equal(read_with_blob(&s, own, 1, junk), "a message is not of the type that its place says");
    blob_release(junk);
    blob_release(vote);
    blob_release(own);
    solo_close(&s);
}

static void test_image_early_proposal_that_is_none_is_refused(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    struct solo_batch b = solo_batch_make(&s, 1);
    struct wire_pre_prepare m = {.sender = 1, .view = 1, .seq = 1, .digest = b.digest, .batch = blob_bytes(b.bytes)};
    struct wire_prepare vote = {.sender = 2, .view = 1, .seq = 1};
    struct blob *early = fixture_message(s.group, &wire_record_pre_prepare, &m);
    struct blob *prepare = fixture_message(s.group, &wire_record_prepare, &vote);
    struct blob *junk = blob_copy(bytes_of_text("no message"));
    assert_null(solo_receive_bytes(&s, 1, blob_retain(early)));
    check_whole(&s);
    assert_string_equal(read_with_blob(&s, early, 0, NULL), "a message has no bytes");
    assert_string_equal(read_with_blob(&s, early, 0, junk), "a message could not have entered the core");
    assert_string_equal(read_with_blob(&s, early, 0, prepare), "a message is not of the type that its place says");
    blob_release(junk);
    blob_release(prepare);
    blob_release(early);
    solo_batch_free(&b);
    solo_close(&s);
}

static void test_image_verdict_that_was_good_stays_good(void **state)
{
    const struct digest header = solo_header(K);
    const struct digest root = solo_root(K);
    struct solo s;
    struct msg_verified m;
    struct msg_verified back = {.blob = NULL};
    (void)state;
    solo_open(&s, 4, 1);
    struct blob *proof = fixture_checkpoint(s.group, K, &header, &root, 0xd);
    struct wire_status status = {.sender = 2};
    assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(proof), &status.stable));
    assert_null(msg_verify(&s.wire, fixture_checker(), fixture_message(s.group, &wire_record_status, &status), &m));
    assert_true(m.checkpoint_good);
    struct image written = {.reading = false};
    core_verified_image(&s.wire, &m, &written);
    struct blob *flat = image_flat(&written);
    struct image in = image_of(blob_bytes(flat));
    core_verified_image(&s.wire, &back, &in);
    assert_null(image_end(&in));
    assert_true(back.checkpoint_good);
    msg_verified_release(&back);
    msg_verified_release(&m);
    blob_release(flat);
    image_free(&written);
    blob_release(proof);
    solo_close(&s);
}

/* ---- NEW-VIEWs offered ---- */

static void test_image_new_view_offered_that_is_none_is_refused(void **state)
{
    struct wire_message m;
    struct solo_view v;
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 3);
    solo_view_make(&s, 1, NULL, 0, &v);
    assert_null(solo_view_begin(&s, &v)); /* its VIEW-CHANGEs are not here: it is the candidate */
    struct blob *offered = solo_view_message(&s, &v);
    struct blob *vote = fixture_message(s.group, &wire_record_prepare, &(struct wire_prepare){.sender = 2, .seq = 1});
    struct blob *junk = blob_copy(bytes_of_text("no message"));
    check_whole(&s);
    assert_string_equal(read_with_blob(&s, offered, 0, NULL), "the candidate was offered by nobody");
    assert_string_equal(read_with_blob(&s, offered, 0, vote), "what was offered is no NEW-VIEW");
    assert_string_equal(read_with_blob(&s, offered, 0, junk), "what was offered is no NEW-VIEW");
    assert_null(wire_decode(blob_bytes(offered), &m));
    uint8_t space[512];
    struct writer w = writer_of(space, sizeof space);
    struct wire_new_view stranger = m.new_view;
    const struct wire_view_change_ref ref = {.id = 4};
    stranger.view_changes = (struct wire_list){.count = 0};
    wire_list_add(&stranger.view_changes, &w, &wire_record_view_change_ref, &ref);
    struct blob *named = fixture_message(s.group, &wire_record_new_view, &stranger);
    assert_string_equal(read_with_blob(&s, offered, 0, named), "a NEW-VIEW names a member that there is not");
    assert_int_equal(bytes_that_give(&s, "the candidate was offered by nobody"), 4);
    blob_release(named);
    blob_release(junk);
    blob_release(vote);
    blob_release(offered);
    solo_view_free(&v);
    solo_close(&s);
}

/* ---- custody ---- */

static void test_image_request_that_is_none_is_refused(void **state)
{
    static const char sentence[] = "a request in custody is none, or stands in the place of another";
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    struct blob *first = fixture_request(s.group, 0, 1, s.wall_ms + 1000, "key", "value");
    struct blob *second = fixture_request(s.group, 0, 2, s.wall_ms + 1000, "key", "value");
    assert_null(solo_receive_bytes(&s, UINT32_MAX, blob_retain(first)));
    assert_null(solo_receive_bytes(&s, UINT32_MAX, blob_retain(second)));
    check_whole(&s);
    struct blob *image = image_of_core(s.core, false);
    const size_t at = find(image, second, 0); /* before it: place 4, state 4, sequence 8, two digests, length 8 */
    assert_string_equal(read_with_blob(&s, second, 0, NULL), sentence);
    assert_string_equal(read_with(&s, at - 73, 3), sentence);                 /* the sequence */
    assert_string_equal(read_with(&s, at - 81, 0), sentence);                 /* the state */
    assert_string_equal(read_with(&s, at - 85, 1), "a request stands twice"); /* the place */
    blob_release(image);
    blob_release(first);
    blob_release(second);
    solo_close(&s);
}

/* What a core has counted of custody is not believed by who counts anew: each of its counters is looked at. */
static void test_image_counters_that_are_wrong_are_noticed_by_holdings(void **state)
{
    struct solo s;
    uint32_t wrong = 0;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_null(solo_request(&s, 0, 1));
    assert_null(solo_request(&s, 2, 1));
    assert_true(core_holdings(s.core).counters_right);
    struct blob *image = image_of_core(s.core, false);
    for (size_t at = 0; at < image->len; at++) {
        const uint8_t before = image->data[at];
        image->data[at] = OTHER;
        struct core *c = core_new(&s.config);
        struct image i = image_of(blob_bytes(image));
        if (core_image_read(c, &i) == NULL && !core_holdings(c).counters_right) wrong++;
        core_free(c);
        image->data[at] = before;
    }
    assert_int_equal(wrong, SOLO_CLIENTS * (8 + 8 + 4) + 4 * 8); /* of each client: bytes, parked, held; of all: four */
    blob_release(image);
    solo_close(&s);
}

static void test_image_of_a_group_without_clients_is_read(void **state)
{
    const struct core_recovered r = {.clean = true};
    struct solo s;
    (void)state;
    solo_open(&s, 4, 1);
    s.config.client_count = 0;
    solo_start(&s, &r);
    check_whole(&s);
    solo_close(&s);
}

/* ---- the transfer of a state ---- */

static void proven_by(struct solo *s, uint32_t member, uint64_t stable)
{
    const struct digest header = solo_header(stable);
    const struct digest root = solo_root(stable);
    struct blob *proof = fixture_checkpoint(s->group, stable, &header, &root, 0xd);
    assert_null(solo_status(s, member, stable, proof));
    blob_release(proof);
}

static void ask_walk(struct solo *s, uint32_t number, struct blob *ask)
{
    const struct core_walk w = {.what = CORE_WALK_ASK, .number = number, .target = FAR, .ask = ask};
    const struct core_event event = {.type = CORE_EVENT_WALK, .walk = &w};
    assert_null(solo_step(s, &event));
}

static const char *answer(struct solo *s, uint32_t member, uint32_t number)
{
    const struct digest header = solo_header(FAR);
    const struct digest root = solo_root(FAR);
    struct blob *proof = fixture_checkpoint(s->group, FAR, &header, &root, 0xd);
    struct wire_state_piece piece = {.meta = {.seq = FAR}};
    assert_null(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(proof), &piece.certificate));
    struct blob *payload = wire_encode_blob(&wire_record_state_piece, &piece);
    struct wire_data m = {.sender = member, .kind = DATA_KIND_STATE, .seq = number, .payload = blob_bytes(payload)};
    const char *ignored = solo_receive(s, member, &wire_record_data, &m);
    blob_release(payload);
    blob_release(proof);
    return ignored;
}

static void test_image_of_a_transfer_holds_its_questions(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    proven_by(&s, 2, FAR);
    (void)solo_tick(&s, SOLO_RESEND_US);
    assert_true(core_summary(s.core).walking);
    struct blob *ask = blob_copy(bytes_of_text("what stands at the left"));
    struct blob *other = blob_copy(bytes_of_text("what stands at the right"));
    struct blob *longer = blob_new(STATE_ASK_BYTES_MAX + 1);
    memset(longer->data, 0, longer->len);
    ask_walk(&s, 7, ask);
    ask_walk(&s, 8, other);
    check_whole(&s);
    assert_int_equal(bytes_that_give(&s, "a question was put to a member that there is not"), 2 * 4);
    assert_null(answer(&s, 2, 7)); /* it is looked at */
    check_whole(&s);
    assert_int_equal(bytes_that_give(&s, "a question was put to a member that there is not"), 3 * 4);
    assert_string_equal(read_with_blob(&s, ask, 0, NULL), "a question about the state is empty");
    assert_string_equal(read_with_blob(&s, ask, 0, longer), "a question about the state is too long");
    const struct core_walk bad = {.what = CORE_WALK_BAD, .number = 7, .target = FAR};
    const struct core_event event = {.type = CORE_EVENT_WALK, .walk = &bad};
    assert_null(solo_step(&s, &event));
    assert_null(
        solo_send(&s, WIRE_TYPE_fetch, 0)); /* the only one that has it has lied: the question is put to nobody */
    check_whole(&s);
    blob_release(longer);
    blob_release(other);
    blob_release(ask);
    solo_close(&s);
}

static void test_image_of_who_serves_a_state_holds_what_waits(void **state)
{
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    solo_run_to(&s, K);
    (void)solo_all_persisted(&s);
    for (uint32_t id = 0; id < 4; id++)
        if (id != 1) (void)solo_checkpoint(&s, id, K);
    (void)solo_all_persisted(&s);
    struct blob *ask = blob_copy(bytes_of_text("what stands at the left"));
    for (uint32_t n = 1; n <= 7; n++) { /* a few are answered at once */
        struct wire_fetch m = {.sender = 2, .kind = DATA_KIND_STATE, .seq = K, .count = n, .ask = blob_bytes(ask)};
        assert_null(solo_receive(&s, 2, &wire_record_fetch, &m));
    }
    check_whole(&s);
    assert_string_equal(read_with_blob(&s, ask, 0, NULL), "a question about the state is empty");
    blob_release(ask);
    solo_close(&s); /* with questions that wait: nothing of them is lost (asan) */
}

/* ---- outlines ---- */

static bool same(struct blob *a_taken, struct blob *b_taken)
{
    const bool equal = a_taken->len == b_taken->len && memcmp(a_taken->data, b_taken->data, a_taken->len) == 0;
    blob_release(a_taken);
    blob_release(b_taken);
    return equal;
}

/* States are compared by them in `pbft-sim explore`: counts of evidence would make every step a new one. */
static void test_image_outline_leaves_out_the_counts_of_evidence(void **state)
{
    const struct digest one = {{1}};
    const struct digest two = {{2}};
    struct solo s;
    (void)state;
    solo_ready(&s, 4, 1);
    assert_null(solo_vote(&s, WIRE_TYPE_commit, 2, 1, &one));
    struct blob *whole = image_of_core(s.core, false);
    struct blob *outline = image_of_core(s.core, true);
    assert_non_null(solo_vote(&s, WIRE_TYPE_commit, 2, 1, &two));
    assert_int_equal(core_contradictions(s.core, 2, EVIDENCE_KIND_COMMIT), 1);
    assert_false(same(image_of_core(s.core, false), whole));
    assert_true(same(image_of_core(s.core, true), outline));
    solo_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_sequence_or_view_over_its_maximum_is_refused),
        cmocka_unit_test(test_image_member_that_there_is_not_is_refused),
        cmocka_unit_test(test_image_without_the_certificate_of_its_checkpoint_is_refused),
        cmocka_unit_test(test_image_of_a_view_left_without_its_view_change_is_refused),
        cmocka_unit_test(test_image_early_proposal_that_is_none_is_refused),
        cmocka_unit_test(test_image_verdict_that_was_good_stays_good),
        cmocka_unit_test(test_image_new_view_offered_that_is_none_is_refused),
        cmocka_unit_test(test_image_request_that_is_none_is_refused),
        cmocka_unit_test(test_image_counters_that_are_wrong_are_noticed_by_holdings),
        cmocka_unit_test(test_image_of_a_group_without_clients_is_read),
        cmocka_unit_test(test_image_of_a_transfer_holds_its_questions),
        cmocka_unit_test(test_image_of_who_serves_a_state_holds_what_waits),
        cmocka_unit_test(test_image_outline_leaves_out_the_counts_of_evidence),
    };
    return cmocka_run_group_tests_name("core_image_faults", tests, NULL, NULL);
}
