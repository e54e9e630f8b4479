/* metrics.c - text for Prometheus. Integers only: seconds are written from microseconds, so no locale and no rounding. */
#include "replica/run/metrics.h"

#include <inttypes.h>
#include <stdio.h>

/* A bucket's bound, as `le` names it. */
static const struct {
    uint64_t us;
    const char *name;
} bounds[METRICS_BUCKETS] = {{1000, "0.001"},  {2500, "0.0025"},  {5000, "0.005"}, {10000, "0.01"},   {25000, "0.025"},
                             {50000, "0.05"},  {100000, "0.1"},   {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},
                             {2500000, "2.5"}, {5000000, "5"},    {10000000, "10"}};

void metrics_histogram_add(struct metrics_histogram *h, uint64_t us)
{
    uint32_t i = 0;
    while (i < METRICS_BUCKETS && us > bounds[i].us)
        i++;
    h->counts[i]++;
    h->sum_us += us;
}

void metrics_head(struct buffer *out, const char *name, enum metrics_type type, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

static void sample_name(struct buffer *out, const char *name, const char *labels)
{
    if (labels == NULL)
        buffer_printf(out, "%s ", name);
    else
        buffer_printf(out, "%s{%s} ", name, labels);
}

void metrics_value(struct buffer *out, const char *name, const char *labels, uint64_t value)
{
    sample_name(out, name, labels);
    buffer_printf(out, "%" PRIu64 "\n", value);
}

void metrics_seconds(struct buffer *out, const char *name, const char *labels, uint64_t us)
{
    sample_name(out, name, labels);
    buffer_printf(out, "%" PRIu64 ".%06" PRIu64 "\n", us / 1000000, us % 1000000);
}

void metrics_one(struct buffer *out, const char *name, enum metrics_type type, const char *help, uint64_t value)
{
    metrics_head(out, name, type, help);
    metrics_value(out, name, NULL, value);
}

void metrics_histogram(struct buffer *out, const char *name, const char *help, const struct metrics_histogram *h)
{
    char sample[96];
    char labels[32];
    uint64_t below = 0;
    metrics_head(out, name, METRICS_HISTOGRAM, help);
    (void)snprintf(sample, sizeof sample, "%s_bucket", name);
    for (uint32_t i = 0; i <= METRICS_BUCKETS; i++) {
        below += h->counts[i];
        (void)snprintf(labels, sizeof labels, "le=\"%s\"", i < METRICS_BUCKETS ? bounds[i].name : "+Inf");
        metrics_value(out, sample, labels, below);
    }
    (void)snprintf(sample, sizeof sample, "%s_sum", name);
    metrics_seconds(out, sample, NULL, h->sum_us);
    (void)snprintf(sample, sizeof sample, "%s_count", name);
    metrics_value(out, sample, NULL, below);
}
