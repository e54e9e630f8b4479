/* metrics.h - text for Prometheus (exposition format 0.0.4), and a histogram with fixed buckets. */
#ifndef PBFT_REPLICA_RUN_METRICS_H
#define PBFT_REPLICA_RUN_METRICS_H

#include "base/bytes.h"

#define METRICS_BUCKETS 13u

/* Times, in microseconds; the last place counts what is above every bound. Zeroed at first. */
struct metrics_histogram {
    uint64_t counts[METRICS_BUCKETS + 1];
    uint64_t sum_us;
};
void metrics_histogram_add(struct metrics_histogram *h, uint64_t us);

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

/* HELP and TYPE of a metric; its samples follow. help is one line without backslashes. */
void metrics_head(struct buffer *out, const char *name, enum metrics_type type, const char *help);
/* One sample. labels: without braces, its values without quotes, backslashes and line ends; or NULL. */
void metrics_value(struct buffer *out, const char *name, const char *labels, uint64_t value);
/* Microseconds as seconds. */
void metrics_seconds(struct buffer *out, const char *name, const char *labels, uint64_t us);
/* Head and the one sample of a metric without labels. */
void metrics_one(struct buffer *out, const char *name, enum metrics_type type, const char *help, uint64_t value);
/* A whole histogram: head, cumulative buckets in seconds, sum and count. */
void metrics_histogram(struct buffer *out, const char *name, const char *help, const struct metrics_histogram *h);

#endif
