/* cli_progress.c - drawing the progress bar. */
#include "client/cli_progress.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define DRAW_EVERY_US 100000u
#define BAR_CELLS 24u

struct cli_progress cli_progress_start(uint64_t total, uint64_t first)
{
    return (struct cli_progress){
        .total = total, .first = first, .since_us = clock_monotonic_us(), .terminal = isatty(STDERR_FILENO) == 1, .what = "lines"};
}

double cli_progress_seconds(const struct cli_progress *p)
{
    const uint64_t us = clock_monotonic_us() - p->since_us;
    return us == 0 ? 1e-6 : (double)us / 1e6;
}

void cli_progress_show(struct cli_progress *p, uint64_t done)
{
    const uint64_t now = clock_monotonic_us();
    if (!p->terminal || p->total == 0 || (p->drawn_us != 0 && now - p->drawn_us < DRAW_EVERY_US)) return;
    p->drawn_us = now;
    char bar[BAR_CELLS + 1];
    const double share = (double)done / (double)p->total;
    for (uint32_t i = 0; i < BAR_CELLS; i++)
        bar[i] = (double)i < share * BAR_CELLS ? '#' : '-';
    bar[BAR_CELLS] = '\0';
    const double rate = (double)(done - p->first) / cli_progress_seconds(p);
    (void)fprintf(stderr, "\r[%s] %5.1f%%  %" PRIu64 "/%" PRIu64 " %s  %.0f/s  ETA ", bar, share * 100.0, done,
                  p->total, p->what, rate);
    const uint64_t left = rate > 0.0 ? (uint64_t)((double)(p->total - done) / rate + 0.5) : 0;
    if (rate > 0.0)
        (void)fprintf(stderr, "%" PRIu64 ":%02" PRIu64 "\033[K", left / 60, left % 60);
    else
        (void)fprintf(stderr, "-\033[K");
    (void)fflush(stderr);
}

void cli_progress_end(struct cli_progress *p)
{
    if (p->drawn_us == 0) return;
    (void)fprintf(stderr, "\r\033[K");
    p->drawn_us = 0;
}
