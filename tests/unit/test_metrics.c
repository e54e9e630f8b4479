/* test_metrics.c - the text for Prometheus: heads, samples, histograms with cumulative buckets. */
#include "replica/run/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_text(struct buffer *b, const char *want)
{
    buffer_append(b, "", 1);
    assert_string_equal((const char *)b->data, want);
    buffer_free(b);
}

static void test_metrics_one_has_head_and_sample(void **state)
{
    struct buffer b = {0};
    (void)state;
    metrics_one(&b, "pbft_view", METRICS_GAUGE, "The view.", 18446744073709551615ull);
    check_text(&b, "# HELP pbft_view The view.\n# TYPE pbft_view gauge\npbft_view 18446744073709551615\n");
}

static void test_metrics_labels_stand_in_braces(void **state)
{
    struct buffer b = {0};
    (void)state;
    metrics_head(&b, "pbft_m_total", METRICS_COUNTER, "Messages.");
    metrics_value(&b, "pbft_m_total", "type=\"PREPARE\",peer=\"3\"", 7);
    metrics_value(&b, "pbft_m_total", NULL, 0);
    check_text(&b, "# HELP pbft_m_total Messages.\n# TYPE pbft_m_total counter\n"
                   "pbft_m_total{type=\"PREPARE\",peer=\"3\"} 7\npbft_m_total 0\n");
}

static void test_metrics_seconds_are_microseconds_with_all_their_digits(void **state)
{
    struct buffer b = {0};
    (void)state;
    metrics_seconds(&b, "s", NULL, 0);
    metrics_seconds(&b, "s", NULL, 1);
    metrics_seconds(&b, "s", "a=\"b\"", 61000250);
    check_text(&b, "s 0.000000\ns 0.000001\ns{a=\"b\"} 61.000250\n");
}

static void test_metrics_histogram_is_cumulative_and_its_bounds_belong_below(void **state)
{
    struct metrics_histogram h = {0};
    struct buffer b = {0};
    (void)state;
    metrics_histogram_add(&h, 1000);     /* its bound: still in the first */
    metrics_histogram_add(&h, 1001);     /* the second */
    metrics_histogram_add(&h, 10000000); /* the last with a bound */
    metrics_histogram_add(&h, 10000001); /* above all */
    metrics_histogram(&b, "x", "Help.", &h);
    check_text(&b, "# HELP x Help.\n# TYPE x histogram\n"
                   "x_bucket{le=\"0.001\"} 1\nx_bucket{le=\"0.0025\"} 2\nx_bucket{le=\"0.005\"} 2\nx_bucket{le=\"0.01\"} 2\n"
                   "x_bucket{le=\"0.025\"} 2\nx_bucket{le=\"0.05\"} 2\nx_bucket{le=\"0.1\"} 2\nx_bucket{le=\"0.25\"} 2\n"
                   "x_bucket{le=\"0.5\"} 2\nx_bucket{le=\"1\"} 2\nx_bucket{le=\"2.5\"} 2\nx_bucket{le=\"5\"} 2\n"
                   "x_bucket{le=\"10\"} 3\nx_bucket{le=\"+Inf\"} 4\nx_sum 20.002002\nx_count 4\n");
}

static void test_metrics_empty_histogram_has_all_buckets(void **state)
{
    const struct metrics_histogram h = {0};
    struct buffer b = {0};
    uint32_t lines = 0;
    (void)state;
    metrics_histogram(&b, "x", "Help.", &h);
    for (size_t i = 0; i < b.len; i++)
        if (b.data[i] == '\n') lines++;
    assert_int_equal(lines, 2 + METRICS_BUCKETS + 1 + 2);
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_one_has_head_and_sample),
        cmocka_unit_test(test_metrics_labels_stand_in_braces),
        cmocka_unit_test(test_metrics_seconds_are_microseconds_with_all_their_digits),
        cmocka_unit_test(test_metrics_histogram_is_cumulative_and_its_bounds_belong_below),
        cmocka_unit_test(test_metrics_empty_histogram_has_all_buckets),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
