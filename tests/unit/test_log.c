/* test_log.c - the exact lines, in both formats, and the rate limit.
 *
 * Defines the two clocks itself, so that time moves only when a test says so: the linker takes these
 * instead of base/clock.c from the archive.
 */
#include "base/clock.h"
#include "base/log.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_US 1000000ull

static uint64_t fake_us = 1000 * SECOND_US;
static char text[32 * LOG_LINE_BYTES_MAX];
static FILE *sink;
static int real_stderr;

uint64_t clock_monotonic_us(void)
{
    return fake_us;
}

uint64_t clock_wall_ms(void)
{
    return 1700000000007ull;
}

#define STAMP "2023-11-14T22:13:20.007Z"

/* From here to taken(), standard error goes to a file. */
static void capture(void)
{
    (void)fflush(stderr);
    sink = tmpfile();
    assert_non_null(sink);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0);
    assert_true(dup2(fileno(sink), STDERR_FILENO) >= 0);
}

/* What was written since capture(). */
static const char *taken(void)
{
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    (void)close(real_stderr);
    rewind(sink);
    const size_t got = fread(text, 1, sizeof text - 1, sink);
    text[got] = '\0';
    (void)fclose(sink);
    return text;
}

static uint32_t lines_in(const char *lines)
{
    uint32_t count = 0;
    for (const char *c = lines; *c != '\0'; c++)
        if (*c == '\n') count++;
    return count;
}

/* Settings as at start, and no line held back: as many causes as the rate limit knows, all old by now. */
static int reset(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_INFO);
    log_set_format(LOG_FORMAT_LOGFMT);
    log_set_identity(NULL, 0);
    fake_us += 1000 * SECOND_US;
    capture();
    for (uint32_t cause = 0; cause < LOG_LIMIT_CAUSES; cause++) {
        LOG_LIMITED(LOG_LEVEL_WARN, "reset", cause, LOG_U("cause", cause));
        LOG_LIMITED(LOG_LEVEL_ERROR, "reset", cause, LOG_U("cause", cause));
    }
    const char *lines = taken();
    fake_us += 1000 * SECOND_US;
    return lines_in(lines) == 2 * LOG_LIMIT_CAUSES ? 0 : -1;
}

/* ---- names ---- */

static void test_log_unknown_names_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "INFO", "inf", "info ", "warning", "trace"};
    enum log_level level = LOG_LEVEL_WARN;
    enum log_format format = LOG_FORMAT_JSON;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(log_level_parse(bad[i], &level));
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_false(log_format_parse("JSON", &format));
    assert_false(log_format_parse("", &format));
    assert_int_equal(format, LOG_FORMAT_JSON);
}

static void test_log_names_are_parsed(void **state)
{
    (void)state;
    enum log_level level;
    enum log_format format;
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_true(log_level_parse("info", &level));
    assert_int_equal(level, LOG_LEVEL_INFO);
    assert_true(log_level_parse("warn", &level));
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_true(log_level_parse("error", &level));
    assert_int_equal(level, LOG_LEVEL_ERROR);
    assert_true(log_format_parse("json", &format));
    assert_int_equal(format, LOG_FORMAT_JSON);
    assert_true(log_format_parse("logfmt", &format));
    assert_int_equal(format, LOG_FORMAT_LOGFMT);
}

/* ---- lines ---- */

static void test_log_below_the_level_is_silent(void **state)
{
    (void)state;
    capture();
    LOG(LOG_LEVEL_DEBUG, "a.b", LOG_U("x", 1));
    log_set_level(LOG_LEVEL_ERROR);
    LOG(LOG_LEVEL_WARN, "a.b", LOG_U("x", 1));
    assert_string_equal(taken(), "");
    log_set_level(LOG_LEVEL_DEBUG);
    capture();
    LOG(LOG_LEVEL_DEBUG, "a.b", LOG_U("x", 1));
    assert_string_equal(taken(), "time=" STAMP " level=debug event=a.b x=1\n");
}

static void test_log_logfmt_line_is_exact(void **state)
{
    (void)state;
    capture();
    LOG(LOG_LEVEL_INFO, "peer.connected", LOG_U("peer", UINT64_MAX), LOG_S("address", "[::1]:4000"));
    assert_string_equal(taken(), "time=" STAMP " level=info event=peer.connected peer=18446744073709551615"
                                 " address=[::1]:4000\n");
}

static void test_log_json_line_is_exact(void **state)
{
    (void)state;
    log_set_format(LOG_FORMAT_JSON);
    log_set_identity("replica", 2);
    capture();
    LOG(LOG_LEVEL_ERROR, "disk.full", LOG_U("bytes", 0), LOG_S("path", "/var/lib"));
    assert_string_equal(taken(), "{\"time\":\"" STAMP "\",\"level\":\"error\",\"event\":\"disk.full\",\"replica\":2,"
                                 "\"bytes\":0,\"path\":\"/var/lib\"}\n");
}

static void test_log_identity_stands_in_every_line(void **state)
{
    (void)state;
    log_set_identity("replica", 3);
    capture();
    LOG(LOG_LEVEL_INFO, "a.b", LOG_U("x", 1));
    assert_string_equal(taken(), "time=" STAMP " level=info event=a.b replica=3 x=1\n");
}

/* Text from outside cannot end the line, begin a field or leave its quotes. */
static void test_log_logfmt_text_is_quoted_where_needed(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        {"plain-1.0/x", "plain-1.0/x"},
        {"", "\"\""},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"line\nlevel=error", "\"line\\u000alevel=error\""},
        {"\x1b[31m", "\"\\u001b[31m\""},
        {"\x7f", "\"\\u007f\""},
        {"\r", "\"\\u000d\""},
        {"\t", "\"\\u0009\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[256] = "";
        (void)snprintf(expected, sizeof expected, "time=" STAMP " level=info event=a.b x=%s y=1\n", cases[i].out);
        capture();
        LOG(LOG_LEVEL_INFO, "a.b", LOG_S("x", cases[i].in), LOG_U("y", 1));
        assert_string_equal(taken(), expected);
    }
}

static void test_log_json_text_goes_there_and_back(void **state)
{
    (void)state;
    char all[128];
    for (size_t i = 0; i < 127; i++)
        all[i] = (char)(i + 1);
    all[127] = '\0';
    log_set_format(LOG_FORMAT_JSON);
    capture();
    LOG(LOG_LEVEL_INFO, "a.b", LOG_S("x", all));
    json_t *root = json_loads(taken(), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "x")), all);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); /* one line */
    json_decref(root);
}

static void test_log_line_too_long_loses_whole_fields(void **state)
{
    (void)state;
    char text_long[LOG_LINE_BYTES_MAX + 1];
    memset(text_long, 'x', sizeof text_long - 1);
    text_long[sizeof text_long - 1] = '\0';
    capture();
    LOG(LOG_LEVEL_INFO, "a.b", LOG_U("x", 1), LOG_S("long", text_long), LOG_U("y", 2));
    assert_string_equal(taken(), "time=" STAMP " level=info event=a.b x=1\n");
    log_set_format(LOG_FORMAT_JSON);
    for (size_t len = LOG_LINE_BYTES_MAX - 120; len < LOG_LINE_BYTES_MAX; len++) {
        text_long[len] = '\0';
        capture();
        LOG(LOG_LEVEL_INFO, "a.b", LOG_U("x", 1), LOG_S("long", text_long));
        text_long[len] = 'x';
        json_t *root = json_loads(taken(), 0, NULL);
        assert_non_null(root); /* closed, whatever was left out */
        assert_non_null(json_object_get(root, "x"));
        assert_true(strlen(text) <= LOG_LINE_BYTES_MAX);
        json_decref(root);
    }
}

/* ---- rate limit ---- */

static void test_log_limited_speaks_once_in_its_time(void **state)
{
    (void)state;
    capture();
    for (uint32_t i = 0; i < 50; i++) {
        LOG_LIMITED(LOG_LEVEL_WARN, "frame.bad", 1, LOG_U("i", i));
        fake_us += LOG_LIMIT_SECONDS * SECOND_US / 50 - 1;
    }
    assert_string_equal(taken(), "time=" STAMP " level=warn event=frame.bad i=0\n");
}

static void test_log_limited_tells_how_many_were_held_back(void **state)
{
    (void)state;
    static const char event[] = "frame.bad";
    capture();
    for (uint32_t i = 0; i < 3; i++)
        LOG_LIMITED(LOG_LEVEL_WARN, event, 1, LOG_U("i", i));
    fake_us += LOG_LIMIT_SECONDS * SECOND_US - 1;
    LOG_LIMITED(LOG_LEVEL_WARN, event, 1, LOG_U("i", 3));
    fake_us += 1;
    LOG_LIMITED(LOG_LEVEL_WARN, event, 1, LOG_U("i", 4));
    fake_us += LOG_LIMIT_SECONDS * SECOND_US;
    LOG_LIMITED(LOG_LEVEL_WARN, event, 1, LOG_U("i", 5));
    assert_string_equal(taken(), "time=" STAMP " level=warn event=frame.bad i=0\n"
                                 "time=" STAMP " level=warn event=frame.bad i=4 held_back=3\n"
                                 "time=" STAMP " level=warn event=frame.bad i=5\n");
}

static void test_log_limited_tells_causes_apart(void **state)
{
    (void)state;
    static const char event[] = "frame.bad";
    capture();
    for (uint32_t round = 0; round < 5; round++)
        for (uint32_t peer = 0; peer < 4; peer++)
            LOG_LIMITED(LOG_LEVEL_WARN, event, peer, LOG_U("peer", peer));
    assert_int_equal(lines_in(taken()), 4);
}

/* However many causes an outsider invents, the lines are bounded. */
static void test_log_limited_is_bounded_over_all_causes(void **state)
{
    (void)state;
    static const char event[] = "frame.bad";
    capture();
    for (uint32_t cause = 0; cause < 10000; cause++)
        LOG_LIMITED(LOG_LEVEL_WARN, event, cause, LOG_U("x", 1));
    assert_int_equal(lines_in(taken()), LOG_LIMIT_CAUSES);
    fake_us += LOG_LIMIT_SECONDS * SECOND_US;
    capture();
    LOG_LIMITED(LOG_LEVEL_WARN, event, 10000, LOG_U("x", 1));
    assert_string_equal(taken(), "time=" STAMP " level=warn event=frame.bad x=1 others_held_back=9872\n");
}

/* Causes that a table with a place for each would put into one place. */
static void test_log_limited_no_cause_hides_another(void **state)
{
    (void)state;
    static const char event[] = "frame.bad";
    capture();
    for (uint32_t round = 0; round < 3; round++)
        for (uint32_t k = 0; k < LOG_LIMIT_CAUSES; k++)
            LOG_LIMITED(LOG_LEVEL_WARN, event, k * LOG_LIMIT_CAUSES, LOG_U("k", k));
    assert_int_equal(lines_in(taken()), LOG_LIMIT_CAUSES);
    fake_us += LOG_LIMIT_SECONDS * SECOND_US;
    capture();
    for (uint32_t k = 0; k < LOG_LIMIT_CAUSES; k++)
        LOG_LIMITED(LOG_LEVEL_WARN, event, k * LOG_LIMIT_CAUSES, LOG_U("k", k));
    const char *lines = taken();
    assert_int_equal(lines_in(lines), LOG_LIMIT_CAUSES);
    uint32_t told = 0;
    for (const char *at = lines; (at = strstr(at, " held_back=2\n")) != NULL; at++)
        told++;
    assert_int_equal(told, LOG_LIMIT_CAUSES);
}

/* A place that a cause has left is not the end of the search for another's. */
static void test_log_limited_cause_that_moved_is_found_again(void **state)
{
    (void)state;
    static const char event[] = "frame.bad";
    capture();
    LOG_LIMITED(LOG_LEVEL_WARN, event, 0, LOG_U("k", 0));
    fake_us += 1;
    LOG_LIMITED(LOG_LEVEL_WARN, event, LOG_LIMIT_CAUSES, LOG_U("k", 1)); /* stands one place further */
    fake_us += LOG_LIMIT_SECONDS * SECOND_US - 1;                        /* the first is old, the second is not */
    LOG_LIMITED(LOG_LEVEL_WARN, event, LOG_LIMIT_CAUSES, LOG_U("k", 2));
    assert_int_equal(lines_in(taken()), 2);
}

static void test_log_limited_counts_of_a_lost_place_are_told(void **state)
{
    (void)state;
    static const char event[] = "frame.bad";
    capture();
    for (uint32_t i = 0; i < 8; i++)
        LOG_LIMITED(LOG_LEVEL_WARN, event, 0, LOG_U("x", 1));
    fake_us += LOG_LIMIT_SECONDS * SECOND_US;
    for (uint32_t cause = 1; cause <= LOG_LIMIT_CAUSES; cause++)
        LOG_LIMITED(LOG_LEVEL_WARN, event, cause, LOG_U("x", 1));
    const char *lines = taken();
    assert_int_equal(lines_in(lines), 1 + LOG_LIMIT_CAUSES);
    const char *told = strstr(lines, "others_held_back");
    assert_non_null(told);
    assert_memory_equal(told, "others_held_back=7\n", 19);
    assert_null(strstr(told + 1, "others_held_back")); /* once */
}

static void test_log_limited_flood_of_warnings_hides_no_error(void **state)
{
    (void)state;
    static const char event[] = "frame.bad";
    capture();
    for (uint32_t cause = 0; cause < 1000; cause++)
        LOG_LIMITED(LOG_LEVEL_WARN, event, cause, LOG_U("x", 1));
    LOG_LIMITED(LOG_LEVEL_ERROR, "disk.full", 0, LOG_U("bytes", 0));
    assert_non_null(strstr(taken(), " level=error event=disk.full bytes=0\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_log_unknown_names_are_refused, reset),
        cmocka_unit_test_setup(test_log_names_are_parsed, reset),
        cmocka_unit_test_setup(test_log_below_the_level_is_silent, reset),
        cmocka_unit_test_setup(test_log_logfmt_line_is_exact, reset),
        cmocka_unit_test_setup(test_log_json_line_is_exact, reset),
        cmocka_unit_test_setup(test_log_identity_stands_in_every_line, reset),
        cmocka_unit_test_setup(test_log_logfmt_text_is_quoted_where_needed, reset),
        cmocka_unit_test_setup(test_log_json_text_goes_there_and_back, reset),
        cmocka_unit_test_setup(test_log_line_too_long_loses_whole_fields, reset),
        cmocka_unit_test_setup(test_log_limited_speaks_once_in_its_time, reset),
        cmocka_unit_test_setup(test_log_limited_tells_how_many_were_held_back, reset),
        cmocka_unit_test_setup(test_log_limited_tells_causes_apart, reset),
        cmocka_unit_test_setup(test_log_limited_is_bounded_over_all_causes, reset),
        cmocka_unit_test_setup(test_log_limited_no_cause_hides_another, reset),
        cmocka_unit_test_setup(test_log_limited_cause_that_moved_is_found_again, reset),
        cmocka_unit_test_setup(test_log_limited_counts_of_a_lost_place_are_told, reset),
        cmocka_unit_test_setup(test_log_limited_flood_of_warnings_hides_no_error, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
