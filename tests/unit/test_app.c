/* test_app.c - applications and their key spaces; the key-value application: what check refuses, what each verb does,
 * and pages. */
#include "tests/fixture/aborts.h"
#include "tests/fixture/app_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kit_op list_op(struct bytes prefix, struct bytes from)
{
    return (struct kit_op){.app = APP_KV, .verb = APP_KV_LIST, .arg_count = 2, .args = {prefix, from}};
}

/* All keys that a listing gives, page after page, as "a b c ". */
static void check_lists(struct app_place *p, const char *prefix, const char *from, const char *want)
{
    struct buffer got = {0};
    struct blob *next = blob_copy(bytes_of_text(from));
    do {
        struct buffer value;
        struct wire_key_value item;
        const struct wire_page page = app_place_page(p, list_op(bytes_of_text(prefix), blob_bytes(next)), &value);
        struct wire_iterator i = wire_list_start(page.items);
        while (wire_list_next(&i, &wire_record_key_value, &item)) {
            buffer_append(&got, item.key.data, item.key.len);
            buffer_append(&got, " ", 1);
        }
        blob_release(next);
        next = blob_copy(page.next);
        buffer_free(&value);
    } while (next->len > 0);
    blob_release(next);
    assert_int_equal(got.len, strlen(want));
    if (got.len > 0) assert_memory_equal(got.data, want, got.len);
    buffer_free(&got);
}

static void put(struct app_place *p, struct bytes key, struct bytes value)
{
    const struct kit_op op = {.app = APP_KV, .verb = APP_KV_PUT, .arg_count = 2, .args = {key, value}};
    app_place_check(p, op, OUTCOME_OK, "");
}

static void put_text(struct app_place *p, const char *key, const char *value)
{
    put(p, bytes_of_text(key), bytes_of_text(value));
}

/* ---- applications by number; key spaces ---- */

static void test_app_unknown_number_has_no_application(void **state)
{
    (void)state;
    assert_null(app_by_number(APP_SYSTEM));
    assert_null(app_by_number(3));
    assert_null(app_by_number(65536 + APP_KV));
    assert_null(app_by_number(UINT64_MAX));
    assert_ptr_equal(app_by_number(APP_KV), &app_kv);
    assert_ptr_equal(app_by_number(APP_LOG), &app_log);
}

static void test_app_args_of_another_count_are_refused(void **state)
{
    (void)state;
    struct bytes out[OP_ARGS_MAX];
    struct buffer space = {0};
    const struct kit_op op = kit_kv(APP_KV_PUT, "a", "bb", NULL);
    const struct wire_operation o = kit_operation(&op, &space);
    assert_false(app_args(&o, out, 1));
    assert_false(app_args(&o, out, 3));
    assert_true(app_args(&o, out, 2));
    assert_true(bytes_equal(out[1], bytes_of_text("bb")));
    buffer_free(&space);
}

static void get_long_key(void *context)
{
    static const uint8_t key[APP_KEY_BYTES_MAX + 1];
    struct bytes value;
    if (app_get(context, bytes_of(key, sizeof key), &value)) return;
}

static void test_app_key_over_the_limit_aborts(void **state)
{
    struct app_place *p = *state;
    struct app_state at = {.state = p->state, .app = APP_KV};
    assert_true(aborts(get_long_key, &at));
}

static void test_app_neighbours_do_not_see_each_others_keys(void **state)
{
    struct app_place *p = *state;
    struct bytes key;
    struct bytes value;
    struct app_state mine = {.state = p->state, .app = 0x0100};
    struct app_state below = {.state = p->state, .app = 0x00ff};
    struct app_state above = {.state = p->state, .app = 0x0101};
    app_put(&below, bytes_of_text("k"), bytes_of_text("below"));
    app_put(&above, bytes_of_text("k"), bytes_of_text("above"));
    assert_false(app_get(&mine, bytes_of_text("k"), &value));
    assert_false(app_seek(&mine, bytes_of(NULL, 0), &key, &value));
    app_delete(&mine, bytes_of_text("k"));
    app_put(&mine, bytes_of_text("z"), bytes_of_text("mine"));
    assert_true(app_seek(&mine, bytes_of_text("a"), &key, &value));
    assert_true(bytes_equal(key, bytes_of_text("z")));
    assert_true(bytes_equal(value, bytes_of_text("mine")));
    assert_true(app_get(&below, bytes_of_text("k"), &value));
    assert_true(app_get(&above, bytes_of_text("k"), &value));
    app_delete(&mine, bytes_of_text("z"));
    assert_false(app_seek(&mine, bytes_of_text("a"), &key, &value));
    state_reject(p->state);
}

static void test_app_longest_key_is_put_and_found(void **state)
{
    struct app_place *p = *state;
    uint8_t raw[APP_KEY_BYTES_MAX];
    memset(raw, 0xff, sizeof raw);
    put(p, bytes_of(raw, sizeof raw), bytes_of_text("v"));
    const struct kit_op get = {.app = APP_KV, .verb = APP_KV_GET, .arg_count = 1, .args = {bytes_of(raw, sizeof raw)}};
    app_place_check(p, get, OUTCOME_OK, "v");
}

/* ---- kv: check ---- */

static void test_app_kv_check_of_unknown_verb_is_refused(void **state)
{
    (void)state;
    static const uint64_t wrong[] = {0, APP_KV_LIST + 1, 65535};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct kit_op op = kit_kv(APP_KV_GET, "a", NULL, NULL);
        op.verb = wrong[i];
        assert_non_null(app_place_fault(&op));
    }
}

static void test_app_kv_check_of_another_argument_count_is_refused(void **state)
{
    (void)state;
    static const uint8_t good[][2] = {{APP_KV_PUT, 2}, {APP_KV_GET, 1}, {APP_KV_DELETE, 1},
                                      {APP_KV_CAS, 2}, {APP_KV_CAS, 3}, {APP_KV_LIST, 2}};
    for (uint64_t verb = APP_KV_PUT; verb <= APP_KV_LIST; verb++) {
        for (uint32_t count = 0; count <= OP_ARGS_MAX; count++) {
            struct kit_op op = {.app = APP_KV, .verb = verb, .arg_count = count};
            bool wanted = false;
            for (uint32_t i = 0; i < OP_ARGS_MAX; i++)
                op.args[i] = bytes_of_text("a");
            for (size_t i = 0; i < sizeof good / sizeof *good; i++)
                if (good[i][0] == verb && good[i][1] == count) wanted = true;
            assert_int_equal(app_place_fault(&op) == NULL, wanted);
        }
    }
}

static void test_app_kv_check_of_empty_key_is_refused(void **state)
{
    (void)state;
    const struct kit_op wrong[] = {kit_kv(APP_KV_PUT, "", "v", NULL), kit_kv(APP_KV_GET, "", NULL, NULL),
                                   kit_kv(APP_KV_DELETE, "", NULL, NULL), kit_kv(APP_KV_CAS, "", "v", NULL),
                                   kit_kv(APP_KV_CAS, "", "v", "w")};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_string_equal(app_place_fault(&wrong[i]), "the key is empty");
    const struct kit_op list = kit_kv(APP_KV_LIST, "", "", NULL);
    assert_null(app_place_fault(&list)); /* lists everything */
}

static void test_app_kv_check_of_key_over_the_limit_is_refused(void **state)
{
    (void)state;
    static const uint8_t raw[APP_KEY_BYTES_MAX + 1];
    for (uint64_t verb = APP_KV_PUT; verb <= APP_KV_LIST; verb++) {
        struct kit_op op = {.app = APP_KV, .verb = verb};
        op.arg_count = verb == APP_KV_GET || verb == APP_KV_DELETE ? 1 : 2;
        op.args[0] = bytes_of(raw, APP_KEY_BYTES_MAX);
        op.args[1] = bytes_of_text("v");
        assert_null(app_place_fault(&op));
        op.args[0] = bytes_of(raw, sizeof raw);
        assert_string_equal(app_place_fault(&op), "the key is too long");
    }
    const struct kit_op list = list_op(bytes_of_text("a"), bytes_of(raw, sizeof raw));
    assert_string_equal(app_place_fault(&list), "the key is too long");
    const struct kit_op most = list_op(bytes_of_text("a"), bytes_of(raw, APP_KEY_BYTES_MAX));
    assert_null(app_place_fault(&most));
}

/* A value so large that a page could not hold it beside two of the longest keys would end every listing for good. */
static void test_app_kv_check_of_value_over_the_limit_is_refused(void **state)
{
    (void)state;
    const size_t over = APP_VALUE_BYTES_MAX + 1;
    struct blob *value = blob_new(over);
    memset(value->data, 'v', over);
    for (uint32_t args = 2; args <= 3; args++) {
        for (uint64_t verb = APP_KV_PUT; verb <= APP_KV_CAS; verb += APP_KV_CAS - APP_KV_PUT) {
            if (verb == APP_KV_PUT && args == 3) continue;
            struct kit_op op = {.app = APP_KV, .verb = verb, .arg_count = args};
            op.args[0] = bytes_of_text("k");
            op.args[1] = bytes_of_text("old");
            op.args[args - 1] = bytes_of(value->data, over);
            assert_string_equal(app_place_fault(&op), "the value is too long");
            op.args[args - 1] = bytes_of(value->data, APP_VALUE_BYTES_MAX);
            assert_null(app_place_fault(&op));
        }
    }
    blob_release(value);
}

static void test_app_kv_writes_are_put_delete_and_cas(void **state)
{
    (void)state;
    for (uint64_t verb = APP_KV_PUT; verb <= APP_KV_LIST; verb++) {
        const struct wire_operation op = {.app = APP_KV, .verb = verb};
        assert_int_equal(app_kv.writes(&op), verb != APP_KV_GET && verb != APP_KV_LIST);
    }
}

/* What answers data is charged for it before it runs; what answers a few bytes at most is free. */
static void test_app_kv_cost_is_that_of_the_answer(void **state)
{
    (void)state;
    for (uint64_t verb = APP_KV_PUT; verb <= APP_KV_LIST; verb++) {
        const struct wire_operation op = {.app = APP_KV, .verb = verb};
        const uint32_t cost = app_kv.cost(&op);
        assert_int_equal(cost == 0, verb == APP_KV_PUT || verb == APP_KV_DELETE);
        assert_int_equal(cost == APP_PAGE_BYTES_MAX, verb == APP_KV_LIST);
    }
}

/* ---- kv: verbs ---- */

static void test_app_kv_get_of_absent_key_is_negative(void **state)
{
    app_place_check(*state, kit_kv(APP_KV_GET, "a", NULL, NULL), OUTCOME_NEGATIVE, "");
}

static void test_app_kv_get_gives_what_was_put_last(void **state)
{
    put_text(*state, "a", "1");
    put_text(*state, "a", "");
    app_place_check(*state, kit_kv(APP_KV_GET, "a", NULL, NULL), OUTCOME_OK, "");
    put_text(*state, "a", "22");
    app_place_check(*state, kit_kv(APP_KV_GET, "a", NULL, NULL), OUTCOME_OK, "22");
    app_place_check(*state, kit_kv(APP_KV_GET, "aa", NULL, NULL), OUTCOME_NEGATIVE, "");
}

static void test_app_kv_delete_of_absent_key_is_negative(void **state)
{
    app_place_check(*state, kit_kv(APP_KV_DELETE, "a", NULL, NULL), OUTCOME_NEGATIVE, "");
}

static void test_app_kv_delete_removes_the_key_once(void **state)
{
    put_text(*state, "a", "1");
    app_place_check(*state, kit_kv(APP_KV_DELETE, "a", NULL, NULL), OUTCOME_OK, "");
    app_place_check(*state, kit_kv(APP_KV_GET, "a", NULL, NULL), OUTCOME_NEGATIVE, "");
    app_place_check(*state, kit_kv(APP_KV_DELETE, "a", NULL, NULL), OUTCOME_NEGATIVE, "");
}

static void test_app_kv_cas_on_absent_key_is_negative_and_writes_nothing(void **state)
{
    app_place_check(*state, kit_kv(APP_KV_CAS, "a", "", "new"), OUTCOME_NEGATIVE, "");
    app_place_check(*state, kit_kv(APP_KV_GET, "a", NULL, NULL), OUTCOME_NEGATIVE, "");
}

static void test_app_kv_cas_with_another_old_value_gives_the_current_one(void **state)
{
    put_text(*state, "a", "1");
    app_place_check(*state, kit_kv(APP_KV_CAS, "a", "2", "new"), OUTCOME_NEGATIVE, "1");
    app_place_check(*state, kit_kv(APP_KV_CAS, "a", "", "new"), OUTCOME_NEGATIVE, "1");
    app_place_check(*state, kit_kv(APP_KV_GET, "a", NULL, NULL), OUTCOME_OK, "1");
}

static void test_app_kv_cas_with_the_current_value_writes(void **state)
{
    put_text(*state, "a", "1");
    app_place_check(*state, kit_kv(APP_KV_CAS, "a", "1", "2"), OUTCOME_OK, "");
    app_place_check(*state, kit_kv(APP_KV_GET, "a", NULL, NULL), OUTCOME_OK, "2");
}

static void test_app_kv_cas_without_old_value_writes_only_an_absent_key(void **state)
{
    app_place_check(*state, kit_kv(APP_KV_CAS, "a", "1", NULL), OUTCOME_OK, "");
    app_place_check(*state, kit_kv(APP_KV_CAS, "a", "2", NULL), OUTCOME_NEGATIVE, "1");
    app_place_check(*state, kit_kv(APP_KV_GET, "a", NULL, NULL), OUTCOME_OK, "1");
}

static void test_app_kv_query_of_a_writing_verb_is_refused(void **state)
{
    struct app_place *p = *state;
    struct app_state at = {.state = p->state, .app = APP_KV};
    const struct kit_op ops[] = {kit_kv(APP_KV_PUT, "a", "1", NULL), kit_kv(APP_KV_DELETE, "a", NULL, NULL),
                                 kit_kv(APP_KV_CAS, "a", "1", NULL)};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct buffer space = {0};
        struct app_result result = {.outcome = OUTCOME_OK};
        const struct wire_operation o = kit_operation(&ops[i], &space);
        app_kv.query(&at, &o, &result);
        assert_int_equal(result.outcome, OUTCOME_REFUSED);
        buffer_free(&space);
    }
}

/* ---- kv: pages ---- */

static void test_app_kv_list_of_nothing_is_an_empty_page(void **state)
{
    check_lists(*state, "", "", "");
    put_text(*state, "b", "1");
    check_lists(*state, "a", "", "");
    check_lists(*state, "c", "", "");
    check_lists(*state, "b", "c", "");
}

static void test_app_kv_list_gives_the_keys_of_the_prefix_in_order(void **state)
{
    static const char *const keys[] = {"b", "a", "ab", "abc", "ac", "b\xff", "b\xff\xff", "c"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put_text(*state, keys[i], "v");
    check_lists(*state, "", "", "a ab abc ac b b\xff b\xff\xff c ");
    check_lists(*state, "a", "", "a ab abc ac ");
    check_lists(*state, "ab", "", "ab abc ");
    check_lists(*state, "b", "", "b b\xff b\xff\xff ");
    check_lists(*state, "b\xff", "", "b\xff b\xff\xff ");
    check_lists(*state, "\xff", "", "");
}

static void test_app_kv_list_starts_at_from_and_never_before_the_prefix(void **state)
{
    static const char *const keys[] = {"a", "b1", "b2", "b3", "c"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put_text(*state, keys[i], "v");
    check_lists(*state, "b", "b2", "b2 b3 ");
    check_lists(*state, "b", "b11", "b2 b3 ");
    check_lists(*state, "b", "a", "b1 b2 b3 ");
    check_lists(*state, "b", "bz", "");
    check_lists(*state, "", "b3", "b3 c ");
}

static void test_app_kv_list_passes_keys_of_the_greatest_length(void **state)
{
    struct app_place *p = *state;
    uint8_t key[APP_KEY_BYTES_MAX];
    struct buffer value;
    /* aa..aa, aa..ab, ab ff..ff, then "b", and ff..ff at the very end */
    memset(key, 'a', sizeof key);
    put(p, bytes_of(key, sizeof key), bytes_of_text("1"));
    key[sizeof key - 1] = 'b';
    put(p, bytes_of(key, sizeof key), bytes_of_text("2"));
    memset(key + 2, 0xff, sizeof key - 2);
    key[1] = 'b';
    put(p, bytes_of(key, sizeof key), bytes_of_text("3"));
    put_text(p, "b", "4");
    memset(key, 0xff, sizeof key);
    put(p, bytes_of(key, sizeof key), bytes_of_text("5"));
    struct wire_key_value item;
    struct wire_page page = app_place_page(p, kit_kv(APP_KV_LIST, "", "", NULL), &value);
    struct wire_iterator i = wire_list_start(page.items);
    for (const char *want = "12345"; *want != '\0'; want++) {
        assert_true(wire_list_next(&i, &wire_record_key_value, &item));
        assert_true(bytes_equal(item.value, bytes_of(want, 1)));
    }
    assert_int_equal(page.items.count, 5);
    assert_int_equal(page.next.len, 0);
    buffer_free(&value);
    page = app_place_page(p, kit_kv(APP_KV_LIST, "a", "", NULL), &value);
    assert_int_equal(page.items.count, 3);
    buffer_free(&value);
    page = app_place_page(p, kit_kv(APP_KV_LIST, "ab", "", NULL), &value);
    assert_int_equal(page.items.count, 1);
    buffer_free(&value);
    memset(key, 0xff, sizeof key); /* prefix and start at their limits */
    page = app_place_page(p, list_op(bytes_of(key, sizeof key), bytes_of(key, sizeof key)), &value);
    assert_int_equal(page.items.count, 1);
    buffer_free(&value);
}

static void test_app_kv_list_ends_a_page_before_it_is_too_large(void **state)
{
    struct app_place *p = *state;
    struct buffer value;
    struct blob *large = blob_new(100 * 1024);
    memset(large->data, 'v', large->len);
    put(p, bytes_of_text("a"), blob_bytes(large));
    put(p, bytes_of_text("b"), blob_bytes(large));
    put(p, bytes_of_text("c"), blob_bytes(large));
    put_text(p, "d", "1");
    struct wire_page page = app_place_page(p, kit_kv(APP_KV_LIST, "", "", NULL), &value);
    assert_int_equal(page.items.count, 2);
    assert_true(page.items.items.len <= APP_PAGE_BYTES_MAX);
    assert_true(bytes_equal(page.next, bytes_of_text("c")));
    buffer_free(&value);
    page = app_place_page(p, kit_kv(APP_KV_LIST, "", "c", NULL), &value);
    assert_int_equal(page.items.count, 2);
    assert_int_equal(page.next.len, 0);
    buffer_free(&value);
    check_lists(p, "", "", "a b c d ");
    blob_release(large);
}

static void test_app_kv_list_page_of_exactly_the_limit_is_one_page(void **state)
{
    struct app_place *p = *state;
    struct buffer value;
    const size_t head = 1 + 2 + 5; /* of an item: its array, a key of one byte, a value of 64 KiB or more */
    struct blob *large = blob_new(APP_PAGE_BYTES_MAX - head - 4);
    memset(large->data, 'v', large->len);
    put(p, bytes_of_text("a"), blob_bytes(large));
    put_text(p, "b", ""); /* an item of 4 bytes */
    struct wire_page page = app_place_page(p, kit_kv(APP_KV_LIST, "", "", NULL), &value);
    assert_int_equal(page.items.items.len, APP_PAGE_BYTES_MAX);
    assert_int_equal(page.items.count, 2);
    assert_int_equal(page.next.len, 0);
    buffer_free(&value);
    put_text(p, "b", "1");
    page = app_place_page(p, kit_kv(APP_KV_LIST, "", "", NULL), &value);
    assert_int_equal(page.items.count, 1);
    assert_true(bytes_equal(page.next, bytes_of_text("b")));
    buffer_free(&value);
    blob_release(large);
}

static void test_app_kv_list_ends_a_page_at_its_item_limit(void **state)
{
    struct app_place *p = *state;
    struct app_state at = {.state = p->state, .app = APP_KV};
    struct buffer value;
    for (uint32_t i = 0; i <= APP_PAGE_ITEMS_MAX; i++) {
        uint8_t key[4];
        be32_put(key, i);
        app_put(&at, bytes_of(key, sizeof key), bytes_of(NULL, 0));
    }
    state_accept(p->state);
    struct wire_page page = app_place_page(p, kit_kv(APP_KV_LIST, "", "", NULL), &value);
    assert_int_equal(page.items.count, APP_PAGE_ITEMS_MAX);
    assert_int_equal(page.next.len, 4);
    assert_int_equal(be32_get(page.next.data), APP_PAGE_ITEMS_MAX);
    struct blob *next = blob_copy(page.next);
    buffer_free(&value);
    page = app_place_page(p, list_op(bytes_of(NULL, 0), blob_bytes(next)), &value);
    assert_int_equal(page.items.count, 1);
    assert_int_equal(page.next.len, 0);
    buffer_free(&value);
    blob_release(next);
}

static void test_app_kv_list_gives_an_item_larger_than_a_page_alone(void **state)
{
    struct app_place *p = *state;
    struct buffer value;
    struct blob *large = blob_new(APP_PAGE_BYTES_MAX + 1);
    memset(large->data, 'v', large->len);
    put_text(p, "a", "1");
    put(p, bytes_of_text("b"), blob_bytes(large));
    put_text(p, "c", "1");
    struct wire_page page = app_place_page(p, kit_kv(APP_KV_LIST, "", "", NULL), &value);
    assert_int_equal(page.items.count, 1);
    assert_true(bytes_equal(page.next, bytes_of_text("b")));
    buffer_free(&value);
    page = app_place_page(p, kit_kv(APP_KV_LIST, "", "b", NULL), &value);
    assert_int_equal(page.items.count, 1);
    assert_true(bytes_equal(page.next, bytes_of_text("c")));
    buffer_free(&value);
    check_lists(p, "", "", "a b c ");
    blob_release(large);
}

/* Before the limit of values, the page of such an item with the next key behind it was over RESULT_BYTES_MAX, so that
 * no list ever came past it. */
static void test_app_kv_list_gives_the_largest_value_between_the_longest_keys(void **state)
{
    struct app_place *p = *state;
    struct buffer value;
    uint8_t key[APP_KEY_BYTES_MAX];
    struct blob *large = blob_new(APP_VALUE_BYTES_MAX);
    memset(large->data, 'v', large->len);
    memset(key, 'k', sizeof key);
    put(p, bytes_of(key, sizeof key), blob_bytes(large));
    key[sizeof key - 1] = 'l';
    put(p, bytes_of(key, sizeof key), bytes_of_text("1"));
    const struct wire_page page = app_place_page(p, kit_kv(APP_KV_LIST, "", "", NULL), &value);
    assert_int_equal(page.items.count, 1);
    assert_true(bytes_equal(page.next, bytes_of(key, sizeof key)));
    buffer_free(&value);
    blob_release(large);
}

/* Only what gets round kv_check can make such a page. */
static void test_app_page_of_an_item_over_the_result_limit_is_refused(void **state)
{
    struct app_place *p = *state;
    struct app_state at = {.state = p->state, .app = APP_KV};
    struct app_result result = {.outcome = OUTCOME_OK};
    struct blob *large = blob_new(STATE_VALUE_BYTES_MAX);
    memset(large->data, 'v', large->len);
    app_put(&at, bytes_of_text("a"), blob_bytes(large));
    app_page(&at, bytes_of(NULL, 0), bytes_of(NULL, 0), &result);
    assert_int_equal(result.outcome, OUTCOME_REFUSED);
    assert_int_equal(result.value.len, 0);
    state_reject(p->state);
    blob_release(large);
}

#define PLACE_TEST(f) cmocka_unit_test_setup_teardown(f, app_place_setup, app_place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_app_unknown_number_has_no_application),
        cmocka_unit_test(test_app_args_of_another_count_are_refused),
        PLACE_TEST(test_app_key_over_the_limit_aborts),
        PLACE_TEST(test_app_neighbours_do_not_see_each_others_keys),
        PLACE_TEST(test_app_longest_key_is_put_and_found),
        cmocka_unit_test(test_app_kv_check_of_unknown_verb_is_refused),
        cmocka_unit_test(test_app_kv_check_of_another_argument_count_is_refused),
        cmocka_unit_test(test_app_kv_check_of_empty_key_is_refused),
        cmocka_unit_test(test_app_kv_check_of_key_over_the_limit_is_refused),
        cmocka_unit_test(test_app_kv_check_of_value_over_the_limit_is_refused),
        cmocka_unit_test(test_app_kv_writes_are_put_delete_and_cas),
        cmocka_unit_test(test_app_kv_cost_is_that_of_the_answer),
        PLACE_TEST(test_app_kv_get_of_absent_key_is_negative),
        PLACE_TEST(test_app_kv_get_gives_what_was_put_last),
        PLACE_TEST(test_app_kv_delete_of_absent_key_is_negative),
        PLACE_TEST(test_app_kv_delete_removes_the_key_once),
        PLACE_TEST(test_app_kv_cas_on_absent_key_is_negative_and_writes_nothing),
        PLACE_TEST(test_app_kv_cas_with_another_old_value_gives_the_current_one),
        PLACE_TEST(test_app_kv_cas_with_the_current_value_writes),
        PLACE_TEST(test_app_kv_cas_without_old_value_writes_only_an_absent_key),
        PLACE_TEST(test_app_kv_query_of_a_writing_verb_is_refused),
        PLACE_TEST(test_app_kv_list_of_nothing_is_an_empty_page),
        PLACE_TEST(test_app_kv_list_gives_the_keys_of_the_prefix_in_order),
        PLACE_TEST(test_app_kv_list_starts_at_from_and_never_before_the_prefix),
        PLACE_TEST(test_app_kv_list_passes_keys_of_the_greatest_length),
        PLACE_TEST(test_app_kv_list_ends_a_page_before_it_is_too_large),
        PLACE_TEST(test_app_kv_list_page_of_exactly_the_limit_is_one_page),
        PLACE_TEST(test_app_kv_list_ends_a_page_at_its_item_limit),
        PLACE_TEST(test_app_kv_list_gives_an_item_larger_than_a_page_alone),
        PLACE_TEST(test_app_kv_list_gives_the_largest_value_between_the_longest_keys),
        PLACE_TEST(test_app_page_of_an_item_over_the_result_limit_is_refused),
    };
    return cmocka_run_group_tests_name("app", tests, NULL, NULL);
}
