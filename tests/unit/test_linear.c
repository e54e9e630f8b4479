/* test_linear.c - histories of the key-value application: which have an order, and which have none. */
#include "tests/sim/linear.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NEVER UINT64_MAX

/* Ends with the verb PUT on a NULL key. value: what is put, or what a get saw; NULL: it saw nothing. */
struct line {
    enum linear_verb verb;
    const char *key;
    const char *value;
    uint64_t invoke_us;
    uint64_t complete_us;
};

static enum linear_verdict judge(const struct line *lines, uint64_t steps)
{
    char text[400];
    struct linear_history *h = linear_new();
    for (; lines->key != NULL; lines++) {
        const bool get = lines->verb == LINEAR_GET;
        const struct linear_operation op = {.verb = lines->verb,
                                            .client = "a",
                                            .key = lines->key,
                                            .value = get ? NULL : lines->value,
                                            .result = get ? lines->value : NULL,
                                            .negative = get && lines->value == NULL,
                                            .invoke_us = lines->invoke_us,
                                            .complete_us = lines->complete_us};
        linear_add(h, &op);
    }
    const enum linear_verdict v = linear_judge(h, steps, text, sizeof text);
    linear_free(h);
    return v;
}

#define JUDGE(...) judge((const struct line[]){__VA_ARGS__, {0}}, LINEAR_STEPS)

static void test_reads_of_what_was_written_hold(void **state)
{
    (void)state;
    assert_int_equal(judge((const struct line[]){{0}}, 1), LINEAR_HOLDS);
    assert_int_equal(JUDGE({LINEAR_GET, "x", NULL, 0, 1}, {LINEAR_PUT, "x", "1", 2, 3}, {LINEAR_GET, "x", "1", 4, 5}),
                     LINEAR_HOLDS);
    assert_int_equal(JUDGE({LINEAR_PUT, "x", "1", 0, 9}, {LINEAR_PUT, "x", "2", 1, 8}, {LINEAR_GET, "x", "1", 2, 3},
                           {LINEAR_GET, "x", "2", 4, 5}),
                     LINEAR_HOLDS);
    assert_int_equal(JUDGE({LINEAR_PUT, "x", "1", 0, 1}, {LINEAR_GET, "y", NULL, 2, 3}), LINEAR_HOLDS);
    assert_int_equal(
        JUDGE({LINEAR_PUT, "x", "1", 0, 1}, {LINEAR_DELETE, "x", NULL, 2, 3}, {LINEAR_GET, "x", NULL, 4, 5}),
        LINEAR_HOLDS);
}

static void test_stale_read_broken(void **state)
{
    (void)state;
    assert_int_equal(JUDGE({LINEAR_PUT, "x", "1", 0, 1}, {LINEAR_PUT, "x", "2", 2, 3}, {LINEAR_GET, "x", "1", 4, 5}),
                     LINEAR_BROKEN);
}

static void test_lost_write_broken(void **state)
{
    (void)state;
    assert_int_equal(JUDGE({LINEAR_PUT, "x", "1", 0, 1}, {LINEAR_GET, "x", NULL, 2, 3}), LINEAR_BROKEN);
}

static void test_value_that_nobody_wrote_broken(void **state)
{
    (void)state;
    assert_int_equal(JUDGE({LINEAR_PUT, "x", "1", 0, 1}, {LINEAR_GET, "x", "7", 2, 3}), LINEAR_BROKEN);
}

static void test_reads_that_see_two_writes_in_two_orders_broken(void **state)
{
    (void)state;
    assert_int_equal(JUDGE({LINEAR_PUT, "x", "1", 0, 9}, {LINEAR_PUT, "x", "2", 0, 9}, {LINEAR_GET, "x", "1", 1, 2},
                           {LINEAR_GET, "x", "2", 3, 4}, {LINEAR_GET, "x", "1", 5, 6}),
                     LINEAR_BROKEN);
}

static void test_operation_without_an_end_may_have_been_or_not(void **state)
{
    (void)state;
    assert_int_equal(
        JUDGE({LINEAR_PUT, "x", "1", 0, NEVER}, {LINEAR_GET, "x", NULL, 2, 3}, {LINEAR_GET, "x", "1", 4, 5}),
        LINEAR_HOLDS);
    assert_int_equal(
        JUDGE({LINEAR_PUT, "x", "1", 0, NEVER}, {LINEAR_GET, "x", "1", 2, 3}, {LINEAR_GET, "x", NULL, 4, 5}),
        LINEAR_BROKEN);
    assert_int_equal(JUDGE({LINEAR_GET, "x", "1", 2, 3}, {LINEAR_PUT, "x", "1", 4, NEVER}), LINEAR_BROKEN);
}

static enum linear_verdict swap(const char *expect, bool negative, const char *seen)
{
    char text[400];
    struct linear_history *h = linear_new();
    const struct linear_operation put = {.verb = LINEAR_PUT, .client = "a", .key = "x", .value = "1", .complete_us = 1};
    const struct linear_operation cas = {.verb = LINEAR_CAS,
                                         .client = "b",
                                         .key = "x",
                                         .value = "2",
                                         .expect = expect,
                                         .invoke_us = 2,
                                         .complete_us = 3,
                                         .negative = negative,
                                         .result = seen};
    linear_add(h, &put);
    linear_add(h, &cas);
    const enum linear_verdict v = linear_judge(h, LINEAR_STEPS, text, sizeof text);
    linear_free(h);
    return v;
}

static void test_compare_and_set(void **state)
{
    (void)state;
    assert_int_equal(swap("1", false, NULL), LINEAR_HOLDS);
    assert_int_equal(swap("7", true, "1"), LINEAR_HOLDS);
    assert_int_equal(swap(NULL, true, "1"), LINEAR_HOLDS);
    assert_int_equal(swap("7", false, NULL), LINEAR_BROKEN);
    assert_int_equal(swap("1", true, NULL), LINEAR_BROKEN);
    assert_int_equal(swap("7", true, "3"), LINEAR_BROKEN);
}

/* The order that the group claims is no proof against the times. */
static void test_claimed_order_against_the_times_broken(void **state)
{
    (void)state;
    char text[400];
    struct linear_history *h = linear_new();
    const struct linear_operation put = {.verb = LINEAR_PUT,
                                         .client = "a",
                                         .key = "x",
                                         .value = "1",
                                         .invoke_us = 10,
                                         .complete_us = 11,
                                         .placed = true,
                                         .block = 1};
    const struct linear_operation get = {.verb = LINEAR_GET,
                                         .client = "b",
                                         .key = "x",
                                         .result = "1",
                                         .invoke_us = 1,
                                         .complete_us = 2,
                                         .placed = true,
                                         .block = 2};
    linear_add(h, &put);
    linear_add(h, &get);
    assert_int_equal(linear_judge(h, LINEAR_STEPS, text, sizeof text), LINEAR_BROKEN);
    linear_free(h);
}

static void test_search_that_takes_too_long_is_unchecked(void **state)
{
    (void)state;
    const struct line lines[] = {{LINEAR_PUT, "x", "1", 0, 9},
                                 {LINEAR_PUT, "x", "2", 0, 9},
                                 {LINEAR_PUT, "x", "3", 0, 9},
                                 {LINEAR_GET, "x", "1", 10, 11},
                                 {0}};
    assert_int_equal(judge(lines, 2), LINEAR_UNCHECKED);
    assert_int_equal(judge(lines, 100), LINEAR_HOLDS);
}

/* Two states of the search whose bits and value, one behind the other, are the same bytes. */
static void test_states_of_the_search_are_told_apart(void **state)
{
    (void)state;
    struct linear_history *h = linear_new();
    char text[400];
    for (uint64_t i = 0; i < 15; i++) {
        struct linear_operation o = {
            .verb = LINEAR_GET, .client = "a", .key = "k", .result = "b", .invoke_us = i, .complete_us = 1000};
        if (i == 1) o = (struct linear_operation){.verb = LINEAR_PUT, .value = "0"};
        if (i == 8) o = (struct linear_operation){.verb = LINEAR_DELETE};
        if (i == 12) o = (struct linear_operation){.verb = LINEAR_CAS, .value = "a"};
        if (i == 13) o.result = "a";
        if (i == 14) o = (struct linear_operation){.verb = LINEAR_CAS, .value = "b"};
        if (o.verb != LINEAR_GET || i == 13) o.complete_us = i == 14 ? 1000 : 200;
        o.invoke_us = i == 14 ? 300 : i;
        o.client = "a";
        o.key = "k";
        linear_add(h, &o);
    }
    assert_int_equal(linear_judge(h, LINEAR_STEPS, text, sizeof text), LINEAR_HOLDS);
    linear_free(h);
}

/* Two puts whose order the group claims, and gets by quorum for which it claims nothing. */
static enum linear_verdict judge_reads(const struct line *gets, uint64_t puts_end_us, uint64_t steps)
{
    char text[400];
    struct linear_history *h = linear_new();
    for (uint64_t block = 1; block <= 2; block++) {
        const struct linear_operation put = {.verb = LINEAR_PUT,
                                             .client = "a",
                                             .key = "x",
                                             .value = block == 1 ? "1" : "2",
                                             .invoke_us = 10,
                                             .complete_us = puts_end_us,
                                             .placed = true,
                                             .block = block};
        linear_add(h, &put);
    }
    for (; gets->key != NULL; gets++) {
        const struct linear_operation get = {.verb = LINEAR_GET,
                                             .client = "b",
                                             .key = "x",
                                             .result = gets->value,
                                             .negative = gets->value == NULL,
                                             .invoke_us = gets->invoke_us,
                                             .complete_us = gets->complete_us};
        linear_add(h, &get);
    }
    const enum linear_verdict v = linear_judge(h, steps, text, sizeof text);
    linear_free(h);
    return v;
}

#define JUDGE_READS(end, steps, ...) judge_reads((const struct line[]){__VA_ARGS__, {0}}, end, steps)

/* One step is no search: these are placed in the claimed order. */
static void test_reads_by_quorum_have_a_place_in_the_claimed_order(void **state)
{
    (void)state;
    assert_int_equal(JUDGE_READS(90, 1, {LINEAR_GET, "x", NULL, 11, 12}, {LINEAR_GET, "x", "1", 20, 21},
                                 {LINEAR_GET, "x", "1", 22, 30}, {LINEAR_GET, "x", "2", 25, 26}),
                     LINEAR_HOLDS);
    assert_int_equal(JUDGE_READS(20, 1, {LINEAR_GET, "x", NULL, 1, 2}, {LINEAR_GET, "x", "2", 21, 22}), LINEAR_HOLDS);
}

/* ... and these have none: what was seen by one read is there for those that begin later, what ended before a read is
 * before it, what began after it is after it. */
static void test_reads_by_quorum_without_a_place_need_a_search(void **state)
{
    (void)state;
    assert_int_equal(JUDGE_READS(90, 1, {LINEAR_GET, "x", "2", 20, 21}, {LINEAR_GET, "x", "1", 22, 23}),
                     LINEAR_UNCHECKED);
    assert_int_equal(JUDGE_READS(90, 1, {LINEAR_GET, "x", "2", 20, 40}, {LINEAR_GET, "x", "1", 22, 50},
                                 {LINEAR_GET, "x", NULL, 45, 46}),
                     LINEAR_UNCHECKED);
    assert_int_equal(JUDGE_READS(90, LINEAR_STEPS, {LINEAR_GET, "x", "2", 20, 21}, {LINEAR_GET, "x", "1", 22, 23}),
                     LINEAR_HOLDS); /* the other way about: the group's claim is believed only as far as it fits */
    assert_int_equal(JUDGE_READS(20, 1, {LINEAR_GET, "x", NULL, 21, 22}), LINEAR_UNCHECKED);
    assert_int_equal(JUDGE_READS(20, LINEAR_STEPS, {LINEAR_GET, "x", NULL, 21, 22}), LINEAR_BROKEN);
}

static void test_read_out_of_its_time_is_broken_without_a_search(void **state)
{
    (void)state;
    const struct line stale[] = {
        {LINEAR_PUT, "x", "1", 0, 1}, {LINEAR_PUT, "x", "2", 2, 3}, {LINEAR_GET, "x", "1", 4, 5}, {0}};
    const struct line early[] = {{LINEAR_GET, "x", "1", 0, 1}, {LINEAR_PUT, "x", "1", 2, 3}, {0}};
    const struct line twice[] = {{LINEAR_PUT, "x", "1", 0, 1},
                                 {LINEAR_PUT, "x", "2", 2, 3},
                                 {LINEAR_PUT, "x", "1", 4, 5},
                                 {LINEAR_GET, "x", "1", 6, 7},
                                 {0}};
    assert_int_equal(judge(stale, 1), LINEAR_BROKEN);
    assert_int_equal(judge(early, 1), LINEAR_BROKEN);
    assert_int_equal(judge(twice, LINEAR_STEPS), LINEAR_HOLDS);
}

/* ---- files ---- */

static struct err read_text(const char *text, struct linear_history *h)
{
    char path[] = "/tmp/pbft-linear-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
    const struct err e = linear_read(path, h);
    assert_int_equal(unlink(path), 0);
    return e;
}

static void test_file_written_and_read_is_the_same(void **state)
{
    (void)state;
    static const char text[] = "{\"client\":\"a\",\"op\":\"put\",\"key\":\"x\",\"value\":\"1\",\"invoke_us\":0,"
                               "\"complete_us\":1,\"outcome\":\"ok\",\"block\":3,\"index\":4}\n"
                               "{\"client\":\"b\",\"op\":\"cas\",\"key\":\"x\",\"value\":\"2\",\"expect\":\"1\","
                               "\"invoke_us\":2,\"complete_us\":null}\n"
                               "{\"client\":\"a\",\"op\":\"get\",\"key\":\"x\",\"invoke_us\":4,\"complete_us\":5,"
                               "\"outcome\":\"ok\",\"result\":\"2\"}\n"
                               "{\"operations\":3}\n";
    struct linear_history *h = linear_new();
    struct buffer out = {0};
    const struct err e = read_text(text, h);
    assert_false(err_is(&e));
    linear_write(h, &out);
    assert_int_equal(out.len, strlen(text));
    assert_memory_equal(out.data, text, out.len);
    buffer_free(&out);
    linear_free(h);
}

static void test_wrong_files_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "no json\n",
        "{\"operations\":1}\n",
        "{\"client\":\"a\",\"op\":\"get\",\"key\":\"x\",\"invoke_us\":4,\"complete_us\":5,\"outcome\":\"ok\","
        "\"result\":\"2\"}\n", /* cut */
        "{\"client\":\"a\",\"op\":\"get\",\"key\":\"x\",\"invoke_us\":4,\"complete_us\":5,\"outcome\":\"ok\"}\n{"
        "\"operations\":1}\n",
        "{\"client\":\"a\",\"op\":\"get\",\"key\":\"x\",\"invoke_us\":4,\"complete_us\":3,\"outcome\":\"negative\"}\n{"
        "\"operations\":1}\n",
        "{\"client\":\"a\",\"op\":\"get\",\"key\":\"x\",\"invoke_us\":4,\"outcome\":\"negative\"}\n{\"operations\":1}"
        "\n",
        "{\"client\":\"a\",\"op\":\"put\",\"key\":\"x\",\"invoke_us\":4,\"complete_us\":5,\"outcome\":\"ok\"}\n{"
        "\"operations\":1}\n",
        "{\"client\":\"a\",\"op\":\"dance\",\"key\":\"x\",\"invoke_us\":4,\"complete_us\":5,\"outcome\":\"ok\"}\n{"
        "\"operations\":1}\n",
        "{\"operations\":0}\n{\"operations\":0}\n",
        "{\"client\":\"a\",\"op\":\"cas\",\"key\":\"x\",\"value\":\"1\",\"expect\":5,\"invoke_us\":4,\"complete_us\":5,"
        "\"outcome\":\"ok\"}\n{\"operations\":1}\n",
        "{\"client\":\"a\",\"op\":\"cas\",\"key\":\"x\",\"value\":\"1\",\"invoke_us\":4,\"complete_us\":5,"
        "\"outcome\":\"negative\",\"result\":[]}\n{\"operations\":1}\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct linear_history *h = linear_new();
        const struct err e = read_text(wrong[i], h);
        assert_int_equal(e.code, ERR_USAGE);
        linear_free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_of_what_was_written_hold),
        cmocka_unit_test(test_stale_read_broken),
        cmocka_unit_test(test_lost_write_broken),
        cmocka_unit_test(test_value_that_nobody_wrote_broken),
        cmocka_unit_test(test_reads_that_see_two_writes_in_two_orders_broken),
        cmocka_unit_test(test_operation_without_an_end_may_have_been_or_not),
        cmocka_unit_test(test_compare_and_set),
        cmocka_unit_test(test_claimed_order_against_the_times_broken),
        cmocka_unit_test(test_search_that_takes_too_long_is_unchecked),
        cmocka_unit_test(test_states_of_the_search_are_told_apart),
        cmocka_unit_test(test_reads_by_quorum_have_a_place_in_the_claimed_order),
        cmocka_unit_test(test_reads_by_quorum_without_a_place_need_a_search),
        cmocka_unit_test(test_read_out_of_its_time_is_broken_without_a_search),
        cmocka_unit_test(test_file_written_and_read_is_the_same),
        cmocka_unit_test(test_wrong_files_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
