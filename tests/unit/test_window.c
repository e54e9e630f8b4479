/* test_window.c - client windows: what a sequence meets, how the window slides, and its stored form. */
#include "ledger/window.h"

#include "tests/fixture/aborts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define W CLIENT_WINDOW

/* The transaction that settles `seq` in these tests, and another one. */
static struct digest transaction_of(uint64_t seq)
{
    struct digest d = {{1}};
    be64_put(d.bytes + 8, seq);
    return d;
}

static struct digest another(uint64_t seq)
{
    struct digest d = transaction_of(seq);
    d.bytes[31] = 1;
    return d;
}

static struct wire_window_slot slot_of(uint64_t seq)
{
    return (struct wire_window_slot){.seq = seq,
                                     .transaction = transaction_of(seq),
                                     .outcome = seq % (OUTCOME_MAX + 1),
                                     .block = seq + 7,
                                     .first_index = 3 * seq,
                                     .count = 1 + seq % OPS_MAX};
}

static void settle(struct client_window *w, uint64_t seq)
{
    const struct wire_window_slot slot = slot_of(seq);
    window_settle(w, &slot);
}

static enum window_verdict judge(const struct client_window *w, uint64_t seq)
{
    const struct digest d = transaction_of(seq);
    return window_judge(w, seq, &d);
}

static void check_settled(const struct client_window *w, uint64_t seq)
{
    const struct wire_window_slot want = slot_of(seq);
    const struct digest other = another(seq);
    const struct wire_window_slot *got = window_find(w, seq);
    assert_int_equal(judge(w, seq), WINDOW_SAME);
    assert_int_equal(window_judge(w, seq, &other), WINDOW_OTHER);
    assert_non_null(got);
    assert_int_equal(wire_compare_record(&wire_record_window_slot, got, &want), 0);
}

/* ---- judging ---- */

static void test_window_sequence_0_is_outside(void **state)
{
    (void)state;
    struct client_window w = {.highest_settled = 0};
    assert_int_equal(judge(&w, 0), WINDOW_OUTSIDE);
    assert_null(window_find(&w, 0));
    settle(&w, 5);
    assert_int_equal(judge(&w, 0), WINDOW_OUTSIDE);
    assert_null(window_find(&w, 0));
}

static void test_window_new_client_takes_1_to_W_and_nothing_above(void **state)
{
    (void)state;
    const struct client_window w = {.highest_settled = 0};
    assert_int_equal(judge(&w, 1), WINDOW_NEW);
    assert_int_equal(judge(&w, W), WINDOW_NEW);
    assert_int_equal(judge(&w, W + 1), WINDOW_OUTSIDE);
    assert_int_equal(judge(&w, SEQ_MAX), WINDOW_OUTSIDE);
}

static void test_window_at_highest_minus_W_is_outside_and_one_above_is_inside(void **state)
{
    (void)state;
    struct client_window w = {.highest_settled = 0};
    settle(&w, W);
    settle(&w, 2 * W);
    assert_int_equal(judge(&w, W), WINDOW_OUTSIDE);
    assert_int_equal(judge(&w, W - 1), WINDOW_OUTSIDE);
    assert_int_equal(judge(&w, 1), WINDOW_OUTSIDE);
    assert_null(window_find(&w, W));
    assert_int_equal(judge(&w, W + 1), WINDOW_NEW);
}

static void test_window_at_highest_plus_W_is_inside_and_one_above_is_outside(void **state)
{
    (void)state;
    struct client_window w = {.highest_settled = 0};
    settle(&w, 10);
    assert_int_equal(judge(&w, 10 + W), WINDOW_NEW);
    assert_int_equal(judge(&w, 10 + W + 1), WINDOW_OUTSIDE);
}

static void test_window_at_the_end_of_sequences_does_not_wrap(void **state)
{
    (void)state;
    struct client_window w = {.highest_settled = SEQ_MAX - 1};
    settle(&w, SEQ_MAX);
    check_settled(&w, SEQ_MAX);
    assert_int_equal(judge(&w, SEQ_MAX - W), WINDOW_OUTSIDE);
    assert_int_equal(judge(&w, SEQ_MAX - W + 1), WINDOW_NEW);
    assert_int_equal(judge(&w, 1), WINDOW_OUTSIDE);
}

static void test_window_taken_slot_knows_its_own_transaction_from_another(void **state)
{
    (void)state;
    struct client_window w = {.highest_settled = 0};
    settle(&w, 3);
    check_settled(&w, 3);
}

static void test_window_slot_that_slid_out_leaves_its_place_empty(void **state)
{
    (void)state;
    struct client_window w = {.highest_settled = 0};
    settle(&w, 3);
    settle(&w, W);
    settle(&w, 2 * W);
    /* 3 + W has the place of 3, and 3 is out. */
    assert_int_equal(judge(&w, 3), WINDOW_OUTSIDE);
    assert_null(window_find(&w, 3));
    assert_int_equal(judge(&w, 3 + W), WINDOW_NEW);
    assert_null(window_find(&w, 3 + W));
}

/* ---- settling ---- */

static void settle_twice(void *context)
{
    settle(context, 3);
}

static void settle_above(void *context)
{
    settle(context, 3 + W + 1);
}

static void test_window_settle_of_what_is_not_new_aborts(void **state)
{
    (void)state;
    struct client_window w = {.highest_settled = 0};
    settle(&w, 3);
    assert_true(aborts(settle_twice, &w));
    assert_true(aborts(settle_above, &w));
}

static void test_window_settle_below_highest_keeps_highest(void **state)
{
    (void)state;
    struct client_window w = {.highest_settled = 0};
    settle(&w, 9);
    settle(&w, 4);
    assert_int_equal(w.highest_settled, 9);
    check_settled(&w, 4);
    check_settled(&w, 9);
    assert_int_equal(judge(&w, 5), WINDOW_NEW);
}

static void test_window_settled_in_any_order_holds_exactly_the_last_W(void **state)
{
    (void)state;
    struct client_window w = {.highest_settled = 0};
    /* pairs turned round: 2, 1, 4, 3, ... 2000, 1999 */
    for (uint64_t seq = 1; seq <= 2000; seq += 2) {
        settle(&w, seq + 1);
        settle(&w, seq);
    }
    assert_int_equal(w.highest_settled, 2000);
    for (uint64_t seq = 1; seq <= 2000 - W; seq++)
        assert_int_equal(judge(&w, seq), WINDOW_OUTSIDE);
    for (uint64_t seq = 2000 - W + 1; seq <= 2000; seq++)
        check_settled(&w, seq);
}

/* ---- the stored form ---- */

static void check_same_bytes(const struct client_window *a, const struct client_window *b)
{
    struct buffer x = {0};
    struct buffer y = {0};
    window_encode(a, &x);
    window_encode(b, &y);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    buffer_free(&x);
    buffer_free(&y);
}

static void test_window_encode_forgets_the_order_and_what_slid_out(void **state)
{
    (void)state;
    struct client_window a = {.role = GROUP_ROLE_WRITER, .number = 7};
    struct client_window b = {.role = GROUP_ROLE_WRITER, .number = 7};
    settle(&a, 2); /* slides out below; its bytes stay in the array */
    settle(&a, 64);
    settle(&a, 100);
    settle(&a, 99);
    settle(&a, 120);
    settle(&b, 64);
    settle(&b, 120);
    settle(&b, 99);
    settle(&b, 100);
    check_same_bytes(&a, &b);
}

static void test_window_encode_and_decode_give_the_same_window(void **state)
{
    (void)state;
    struct client_window w = {.role = GROUP_ROLE_READER, .number = CLIENTS_MAX - 1};
    struct client_window got;
    for (uint64_t seq = 0; seq < 300; seq++) {
        struct buffer b = {0};
        window_encode(&w, &b);
        memset(&got, 0xee, sizeof got);
        assert_true(window_decode(bytes_of(b.data, b.len), &got));
        assert_int_equal(got.role, w.role);
        assert_int_equal(got.number, w.number);
        assert_int_equal(got.highest_settled, w.highest_settled);
        for (uint64_t at = 1; at <= w.highest_settled + W + 1; at++)
            assert_int_equal(judge(&got, at), judge(&w, at));
        check_same_bytes(&w, &got);
        buffer_free(&b);
        if (seq % 3 != 1) settle(&w, seq + 1);
    }
}

static void test_window_full_of_the_largest_numbers_encodes(void **state)
{
    (void)state;
    struct client_window w = {.role = GROUP_ROLE_ADMIN, .highest_settled = SEQ_MAX - W};
    struct client_window got;
    struct buffer b = {0};
    for (uint64_t seq = SEQ_MAX - W + 1; seq <= SEQ_MAX; seq++) {
        const struct wire_window_slot slot = {.seq = seq,
                                              .transaction = transaction_of(seq),
                                              .outcome = OUTCOME_REFUSED,
                                              .block = SEQ_MAX,
                                              .first_index = SEQ_MAX,
                                              .count = OPS_MAX};
        window_settle(&w, &slot);
    }
    window_encode(&w, &b);
    assert_true(window_decode(bytes_of(b.data, b.len), &got));
    assert_memory_equal(&w, &got, sizeof w);
    buffer_free(&b);
}

/* Encodes a record of these slots as it stands, and tries to decode it. */
static bool decodes(uint64_t role, uint64_t number, uint64_t highest, const uint64_t *seqs, uint32_t count)
{
    uint8_t space[8192];
    struct writer w = writer_of(space, sizeof space);
    struct wire_client_record record = {.role = role, .number = number, .highest_settled = highest};
    for (uint32_t i = 0; i < count; i++) {
        const struct wire_window_slot slot = slot_of(seqs[i]);
        wire_list_add(&record.slots, &w, &wire_record_window_slot, &slot);
    }
    struct client_window out;
    struct blob *b = wire_encode_blob(&wire_record_client_record, &record);
    const bool good = window_decode(blob_bytes(b), &out);
    blob_release(b);
    return good;
}

static void test_window_decode_of_unknown_role_is_refused(void **state)
{
    (void)state;
    assert_true(decodes(GROUP_ROLE_ADMIN, 0, 0, NULL, 0));
    assert_false(decodes(GROUP_ROLE_ADMIN + 1, 0, 0, NULL, 0));
}

static void test_window_decode_of_number_at_CLIENTS_MAX_is_refused(void **state)
{
    (void)state;
    assert_true(decodes(0, CLIENTS_MAX - 1, 0, NULL, 0));
    assert_false(decodes(0, CLIENTS_MAX, 0, NULL, 0));
}

static void test_window_decode_of_slot_0_or_above_highest_is_refused(void **state)
{
    (void)state;
    static const uint64_t zero[] = {0};
    static const uint64_t above[] = {5, 6};
    assert_true(decodes(0, 0, 6, above, 2));
    assert_false(decodes(0, 0, 5, above, 2));
    assert_false(decodes(0, 0, 5, zero, 1));
}

static void test_window_decode_of_slot_below_the_window_is_refused(void **state)
{
    (void)state;
    static const uint64_t low[] = {36, 100};
    static const uint64_t inside[] = {37, 100};
    assert_false(decodes(0, 0, 100, low, 2));
    assert_true(decodes(0, 0, 100, inside, 2));
}

static void test_window_decode_of_slots_that_do_not_ascend_is_refused(void **state)
{
    (void)state;
    static const uint64_t twice[] = {5, 5};
    static const uint64_t descending[] = {6, 5};
    assert_false(decodes(0, 0, 5, twice, 2));
    assert_false(decodes(0, 0, 6, descending, 2));
}

static void test_window_decode_of_any_cut_or_longer_record_is_refused(void **state)
{
    (void)state;
    struct client_window w = {.role = GROUP_ROLE_WRITER, .number = 1};
    struct client_window out;
    struct buffer b = {0};
    settle(&w, 1);
    settle(&w, 2);
    window_encode(&w, &b);
    for (size_t len = 0; len < b.len; len++)
        assert_false(window_decode(bytes_of(b.data, len), &out));
    buffer_append(&b, "", 1);
    assert_false(window_decode(bytes_of(b.data, b.len), &out));
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_sequence_0_is_outside),
        cmocka_unit_test(test_window_new_client_takes_1_to_W_and_nothing_above),
        cmocka_unit_test(test_window_at_highest_minus_W_is_outside_and_one_above_is_inside),
        cmocka_unit_test(test_window_at_highest_plus_W_is_inside_and_one_above_is_outside),
        cmocka_unit_test(test_window_at_the_end_of_sequences_does_not_wrap),
        cmocka_unit_test(test_window_taken_slot_knows_its_own_transaction_from_another),
        cmocka_unit_test(test_window_slot_that_slid_out_leaves_its_place_empty),
        cmocka_unit_test(test_window_settle_of_what_is_not_new_aborts),
        cmocka_unit_test(test_window_settle_below_highest_keeps_highest),
        cmocka_unit_test(test_window_settled_in_any_order_holds_exactly_the_last_W),
        cmocka_unit_test(test_window_encode_forgets_the_order_and_what_slid_out),
        cmocka_unit_test(test_window_encode_and_decode_give_the_same_window),
        cmocka_unit_test(test_window_full_of_the_largest_numbers_encodes),
        cmocka_unit_test(test_window_decode_of_unknown_role_is_refused),
        cmocka_unit_test(test_window_decode_of_number_at_CLIENTS_MAX_is_refused),
        cmocka_unit_test(test_window_decode_of_slot_0_or_above_highest_is_refused),
        cmocka_unit_test(test_window_decode_of_slot_below_the_window_is_refused),
        cmocka_unit_test(test_window_decode_of_slots_that_do_not_ascend_is_refused),
        cmocka_unit_test(test_window_decode_of_any_cut_or_longer_record_is_refused),
    };
    return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
