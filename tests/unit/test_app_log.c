/* test_app_log.c - the log application: what check refuses, records under rising indexes, files line by line. */
#include "tests/fixture/app_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct line {
    uint8_t file[DIGEST_BYTES];
    uint8_t number[8];
    uint8_t count[8];
};

static struct kit_op line_op(struct line *l, uint8_t file, uint64_t number, uint64_t count, const char *record)
{
    memset(l->file, file, sizeof l->file);
    be64_put(l->number, number);
    be64_put(l->count, count);
    return (struct kit_op){.app = APP_LOG,
                           .verb = APP_LOG_APPEND_LINE,
                           .arg_count = 4,
                           .args = {bytes_of(l->file, sizeof l->file), bytes_of(l->number, 8), bytes_of(l->count, 8),
                                    bytes_of_text(record)}};
}

static struct kit_op read_op(uint8_t space[8], uint64_t from)
{
    be64_put(space, from);
    return (struct kit_op){.app = APP_LOG, .verb = APP_LOG_READ, .arg_count = 1, .args = {bytes_of(space, 8)}};
}

/* All records from an index on, as "0:a 1:b ". */
static void check_records(struct app_place *p, uint64_t from, const char *want)
{
    uint8_t raw[8];
    struct buffer value;
    struct buffer got = {0};
    struct wire_key_value item;
    const struct wire_page page = app_place_page(p, read_op(raw, from), &value);
    struct wire_iterator i = wire_list_start(page.items);
    while (wire_list_next(&i, &wire_record_key_value, &item)) {
        assert_int_equal(item.key.len, 9);
        assert_int_equal(item.key.data[0], 'r');
        buffer_printf(&got, "%llu:%.*s ", (unsigned long long)be64_get(item.key.data + 1), (int)item.value.len,
                      (const char *)item.value.data);
    }
    assert_int_equal(got.len, strlen(want));
    if (got.len > 0) assert_memory_equal(got.data, want, got.len);
    buffer_free(&got);
    buffer_free(&value);
}

static void test_app_log_check_of_unknown_verb_or_argument_count_is_refused(void **state)
{
    (void)state;
    struct line l;
    uint8_t raw[8];
    struct kit_op good[] = {kit_append("r"), line_op(&l, 1, 0, 1, "r"), read_op(raw, 0)};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_null(app_place_fault(&good[i]));
        struct kit_op op = good[i];
        op.arg_count--;
        assert_non_null(app_place_fault(&op));
        op.arg_count += 2;
        op.args[op.arg_count - 1] = bytes_of_text("x");
        assert_non_null(app_place_fault(&op));
    }
    good[0].verb = 0;
    assert_non_null(app_place_fault(&good[0]));
    good[0].verb = APP_LOG_READ + 1;
    assert_non_null(app_place_fault(&good[0]));
}

static void test_app_log_check_of_argument_of_wrong_size_is_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[40];
    for (uint32_t arg = 0; arg < 3; arg++) {
        for (uint32_t k = 0; k < 2; k++) {
            struct line l;
            struct kit_op op = line_op(&l, 1, 0, 1, "r");
            op.args[arg] = bytes_of(bytes, op.args[arg].len + (k == 0 ? 1 : SIZE_MAX));
            assert_non_null(app_place_fault(&op));
        }
    }
    struct kit_op read = {.app = APP_LOG, .verb = APP_LOG_READ, .arg_count = 1, .args = {bytes_of(bytes, 7)}};
    assert_non_null(app_place_fault(&read));
    read.args[0].len = 9;
    assert_non_null(app_place_fault(&read));
}

static void test_app_log_check_of_line_at_or_above_count_is_refused(void **state)
{
    (void)state;
    struct line l;
    struct kit_op op = line_op(&l, 1, 3, 3, "r");
    assert_non_null(app_place_fault(&op));
    op = line_op(&l, 1, 0, 0, "r");
    assert_non_null(app_place_fault(&op));
    op = line_op(&l, 1, UINT64_MAX, 3, "r");
    assert_non_null(app_place_fault(&op));
    op = line_op(&l, 1, 2, 3, "r");
    assert_null(app_place_fault(&op));
}

static void test_app_log_check_of_more_lines_than_the_limit_is_refused(void **state)
{
    (void)state;
    struct line l;
    struct kit_op op = line_op(&l, 1, 0, APP_LOG_LINES_MAX + 1, "r");
    assert_non_null(app_place_fault(&op));
    op = line_op(&l, 1, 0, UINT64_MAX, "r");
    assert_non_null(app_place_fault(&op));
    op = line_op(&l, 1, APP_LOG_LINES_MAX - 1, APP_LOG_LINES_MAX, "r");
    assert_null(app_place_fault(&op));
}

static void test_app_log_writes_are_both_appends(void **state)
{
    (void)state;
    for (uint64_t verb = APP_LOG_APPEND; verb <= APP_LOG_READ; verb++) {
        const struct wire_operation op = {.app = APP_LOG, .verb = verb};
        assert_int_equal(app_log.writes(&op), verb != APP_LOG_READ);
    }
}

static void test_app_log_cost_is_that_of_a_page_for_read_only(void **state)
{
    (void)state;
    for (uint64_t verb = APP_LOG_APPEND; verb <= APP_LOG_READ; verb++) {
        const struct wire_operation op = {.app = APP_LOG, .verb = verb};
        assert_int_equal(app_log.cost(&op), verb == APP_LOG_READ ? APP_PAGE_BYTES_MAX : 0);
    }
}

static void test_app_log_query_of_an_append_is_refused(void **state)
{
    struct app_place *p = *state;
    struct app_state at = {.state = p->state, .app = APP_LOG};
    struct app_result result = {.outcome = OUTCOME_OK};
    struct buffer space = {0};
    const struct kit_op op = kit_append("r");
    const struct wire_operation o = kit_operation(&op, &space);
    app_log.query(&at, &o, &result);
    assert_int_equal(result.outcome, OUTCOME_REFUSED);
    buffer_free(&space);
}

static void test_app_log_append_gives_rising_indexes_from_0(void **state)
{
    app_place_check_index(*state, kit_append("a"), OUTCOME_OK, 0);
    app_place_check_index(*state, kit_append("a"), OUTCOME_OK, 1);
    app_place_check_index(*state, kit_append(""), OUTCOME_OK, 2);
    check_records(*state, 0, "0:a 1:a 2: ");
}

static void test_app_log_read_past_the_end_is_an_empty_page(void **state)
{
    check_records(*state, 0, "");
    app_place_check_index(*state, kit_append("a"), OUTCOME_OK, 0);
    check_records(*state, 1, "");
    check_records(*state, UINT64_MAX, "");
}

static void test_app_log_read_goes_on_where_the_page_before_ended(void **state)
{
    struct app_place *p = *state;
    uint8_t raw[8];
    struct buffer value;
    char *large = mem_alloc(100 * 1024 + 1);
    memset(large, 'v', 100 * 1024);
    large[100 * 1024] = '\0';
    for (uint64_t i = 0; i < 5; i++)
        app_place_check_index(p, kit_append(large), OUTCOME_OK, i);
    struct wire_page page = app_place_page(p, read_op(raw, 1), &value);
    assert_int_equal(page.items.count, 2);
    assert_int_equal(page.next.len, 9);
    const uint64_t next = be64_get(page.next.data + 1);
    assert_int_equal(next, 3);
    buffer_free(&value);
    page = app_place_page(p, read_op(raw, next), &value);
    assert_int_equal(page.items.count, 2);
    assert_int_equal(page.next.len, 0);
    buffer_free(&value);
    free(large);
}

static void test_app_log_lines_in_any_order_land_in_line_order(void **state)
{
    struct line l;
    app_place_check_index(*state, kit_append("before"), OUTCOME_OK, 0);
    app_place_check_index(*state, line_op(&l, 1, 2, 4, "c"), OUTCOME_OK, 3);
    app_place_check_index(*state, kit_append("after"), OUTCOME_OK, 5);
    app_place_check_index(*state, line_op(&l, 1, 0, 4, "a"), OUTCOME_OK, 1);
    app_place_check_index(*state, line_op(&l, 1, 3, 4, "d"), OUTCOME_OK, 4);
    app_place_check_index(*state, line_op(&l, 1, 1, 4, "b"), OUTCOME_OK, 2);
    check_records(*state, 0, "0:before 1:a 2:b 3:c 4:d 5:after ");
}

/* The line was in the log already: its index, and a byte that says so. */
static void check_there_already(struct app_place *p, struct kit_op op, uint64_t index)
{
    uint8_t raw[9];
    be64_put(raw, index);
    raw[8] = 1;
    app_place_check_bytes(p, op, OUTCOME_OK, bytes_of(raw, sizeof raw));
}

static void test_app_log_same_line_again_is_ok_writes_nothing_and_says_so(void **state)
{
    struct line l;
    app_place_check_index(*state, line_op(&l, 1, 0, 2, "a"), OUTCOME_OK, 0);
    check_there_already(*state, line_op(&l, 1, 0, 2, "a"), 0);
    check_records(*state, 0, "0:a ");
}

static void test_app_log_same_line_with_another_record_is_negative_and_keeps_the_first(void **state)
{
    struct line l;
    app_place_check_index(*state, line_op(&l, 1, 1, 2, "a"), OUTCOME_OK, 1);
    app_place_check_index(*state, line_op(&l, 1, 1, 2, "b"), OUTCOME_NEGATIVE, 1);
    check_records(*state, 0, "1:a ");
}

static void test_app_log_same_file_with_another_count_is_refused(void **state)
{
    struct line l;
    app_place_check_index(*state, line_op(&l, 1, 0, 2, "a"), OUTCOME_OK, 0);
    app_place_check(*state, line_op(&l, 1, 1, 3, "b"), OUTCOME_REFUSED, "");
    app_place_check(*state, line_op(&l, 1, 0, 1, "a"), OUTCOME_REFUSED, "");
    app_place_check_index(*state, kit_append("next"), OUTCOME_OK, 2);
    check_records(*state, 0, "0:a 2:next ");
}

static void test_app_log_same_file_of_another_client_is_another_file(void **state)
{
    struct app_place *p = *state;
    struct line l;
    app_place_check_index(p, line_op(&l, 1, 0, 2, "mine"), OUTCOME_OK, 0);
    p->context.client.bytes[31] = 1;
    app_place_check_index(p, line_op(&l, 1, 0, 2, "theirs"), OUTCOME_OK, 2);
    check_there_already(p, line_op(&l, 1, 0, 2, "theirs"), 2);
    check_records(p, 0, "0:mine 2:theirs ");
}

static void test_app_log_another_digest_is_another_file(void **state)
{
    struct line l;
    app_place_check_index(*state, line_op(&l, 1, 0, 2, "a"), OUTCOME_OK, 0);
    app_place_check_index(*state, line_op(&l, 2, 0, 2, "b"), OUTCOME_OK, 2);
}

/* Sets the next free index. */
static void set_next(struct app_place *p, uint64_t next)
{
    struct app_state at = {.state = p->state, .app = APP_LOG};
    uint8_t raw[8];
    be64_put(raw, next);
    app_put(&at, bytes_of_text("n"), bytes_of(raw, sizeof raw));
    state_accept(p->state);
}

static void test_app_log_append_past_the_last_index_is_refused(void **state)
{
    set_next(*state, SEQ_MAX - 1);
    app_place_check_index(*state, kit_append("last"), OUTCOME_OK, SEQ_MAX - 1);
    app_place_check(*state, kit_append("over"), OUTCOME_REFUSED, "");
}

/* 65,536 operations that each reserved 2^32 indexes used the whole space up, for all clients and for ever. */
static void test_app_log_client_reserves_no_more_than_the_limit_without_records(void **state)
{
    struct line l;
    app_place_check_index(*state, line_op(&l, 1, 0, 3, "a"), OUTCOME_OK, 0); /* two are left empty */
    app_place_check(*state, line_op(&l, 2, 0, APP_LOG_LINES_MAX - 1, "b"), OUTCOME_REFUSED, "");
    app_place_check_index(*state, kit_append("next"), OUTCOME_OK, 3); /* what was refused reserved nothing */
    app_place_check_index(*state, line_op(&l, 2, 0, APP_LOG_LINES_MAX - 2, "b"), OUTCOME_OK, 4);
    app_place_check_index(*state, line_op(&l, 3, 0, 1, "c"), OUTCOME_OK, 4 + APP_LOG_LINES_MAX - 2);
    app_place_check(*state, line_op(&l, 4, 0, 2, "d"), OUTCOME_REFUSED, "");
}

static void test_app_log_filled_indexes_make_room_for_the_next_file(void **state)
{
    struct line l;
    app_place_check_index(*state, line_op(&l, 1, 0, APP_LOG_LINES_MAX, "a"), OUTCOME_OK, 0);
    app_place_check(*state, line_op(&l, 2, 0, 2, "b"), OUTCOME_REFUSED, "");
    check_there_already(*state, line_op(&l, 1, 0, APP_LOG_LINES_MAX, "a"), 0); /* once more: no room */
    app_place_check(*state, line_op(&l, 2, 0, 2, "b"), OUTCOME_REFUSED, "");
    app_place_check_index(*state, line_op(&l, 1, 5, APP_LOG_LINES_MAX, "f"), OUTCOME_OK, 5);
    app_place_check_index(*state, line_op(&l, 2, 0, 2, "b"), OUTCOME_OK, APP_LOG_LINES_MAX);
}

static void test_app_log_limit_of_reserved_indexes_is_each_clients_own(void **state)
{
    struct app_place *p = *state;
    struct line l;
    app_place_check_index(p, line_op(&l, 1, 0, APP_LOG_LINES_MAX, "a"), OUTCOME_OK, 0);
    app_place_check(p, line_op(&l, 2, 0, 2, "b"), OUTCOME_REFUSED, "");
    p->context.client.bytes[31] = 1;
    app_place_check_index(p, line_op(&l, 2, 0, 2, "b"), OUTCOME_OK, APP_LOG_LINES_MAX);
}

/* One after the other, any number of finished files is taken, and leaves nothing of the count behind. */
static void test_app_log_finished_files_count_for_nothing(void **state)
{
    struct app_place *p = *state;
    struct app_state at = {.state = p->state, .app = APP_LOG};
    struct bytes key;
    struct bytes value;
    struct line l;
    for (uint8_t file = 1; file < 20; file++) {
        app_place_check_index(p, line_op(&l, file, 1, 2, "b"), OUTCOME_OK, (file - 1u) * 2u + 1u);
        assert_true(app_seek(&at, bytes_of_text("e"), &key, &value) && key.len == 33);
        app_place_check_index(p, line_op(&l, file, 0, 2, "a"), OUTCOME_OK, (file - 1u) * 2u);
        assert_true(app_seek(&at, bytes_of_text("e"), &key, &value) && key.data[0] != 'e');
    }
    app_place_check_index(p, line_op(&l, 20, 0, APP_LOG_LINES_MAX, "a"), OUTCOME_OK, 38);
}

static void test_app_log_file_past_the_last_index_is_refused(void **state)
{
    struct line l;
    set_next(*state, SEQ_MAX - 2);
    app_place_check(*state, line_op(&l, 1, 0, 3, "a"), OUTCOME_REFUSED, "");
    app_place_check_index(*state, line_op(&l, 2, 1, 2, "b"), OUTCOME_OK, SEQ_MAX - 1);
    app_place_check(*state, line_op(&l, 3, 0, 1, "c"), OUTCOME_REFUSED, "");
}

#define PLACE_TEST(f) cmocka_unit_test_setup_teardown(f, app_place_setup, app_place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_app_log_check_of_unknown_verb_or_argument_count_is_refused),
        cmocka_unit_test(test_app_log_check_of_argument_of_wrong_size_is_refused),
        cmocka_unit_test(test_app_log_check_of_line_at_or_above_count_is_refused),
        cmocka_unit_test(test_app_log_check_of_more_lines_than_the_limit_is_refused),
        cmocka_unit_test(test_app_log_writes_are_both_appends),
        cmocka_unit_test(test_app_log_cost_is_that_of_a_page_for_read_only),
        PLACE_TEST(test_app_log_query_of_an_append_is_refused),
        PLACE_TEST(test_app_log_append_gives_rising_indexes_from_0),
        PLACE_TEST(test_app_log_read_past_the_end_is_an_empty_page),
        PLACE_TEST(test_app_log_read_goes_on_where_the_page_before_ended),
        PLACE_TEST(test_app_log_lines_in_any_order_land_in_line_order),
        PLACE_TEST(test_app_log_same_line_again_is_ok_writes_nothing_and_says_so),
        PLACE_TEST(test_app_log_same_line_with_another_record_is_negative_and_keeps_the_first),
        PLACE_TEST(test_app_log_same_file_with_another_count_is_refused),
        PLACE_TEST(test_app_log_same_file_of_another_client_is_another_file),
        PLACE_TEST(test_app_log_another_digest_is_another_file),
        PLACE_TEST(test_app_log_append_past_the_last_index_is_refused),
        PLACE_TEST(test_app_log_client_reserves_no_more_than_the_limit_without_records),
        PLACE_TEST(test_app_log_filled_indexes_make_room_for_the_next_file),
        PLACE_TEST(test_app_log_limit_of_reserved_indexes_is_each_clients_own),
        PLACE_TEST(test_app_log_finished_files_count_for_nothing),
        PLACE_TEST(test_app_log_file_past_the_last_index_is_refused),
    };
    return cmocka_run_group_tests_name("app_log", tests, NULL, NULL);
}
