/* cli_progress.h - a progress bar on stderr: done, total, rate, time left. Nothing is drawn unless stderr is a
 * terminal. */
#ifndef PBFT_CLIENT_CLI_PROGRESS_H
#define PBFT_CLIENT_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct cli_progress {
    uint64_t total;
    uint64_t first;    /* done before this run */
    uint64_t since_us; /* monotonic */
    uint64_t drawn_us; /* last drawn; 0: never */
    bool terminal;
    const char *what; /* is counted: "lines" unless set otherwise */
};

struct cli_progress cli_progress_start(uint64_t total, uint64_t first);
/* Draws at most ten times a second. */
void cli_progress_show(struct cli_progress *p, uint64_t done);
/* Removes the bar. */
void cli_progress_end(struct cli_progress *p);
/* Seconds since the start, never 0. */
double cli_progress_seconds(const struct cli_progress *p);

#endif
