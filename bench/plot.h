/* plot.h - pictures, drawn by gnuplot. */
#ifndef PBFT_BENCH_PLOT_H
#define PBFT_BENCH_PLOT_H

#include "base/bytes.h"
#include "base/err.h"

/* Begins a script that draws to this file: SVG, or PNG when its name ends so. What follows are commands of gnuplot.
 * Errors: ERR_USAGE for a name that cannot be quoted. */
MUST_USE struct err plot_begin(struct buffer *script, const char *file);
/* Draws, and frees the script. Errors: ERR_CONFIG without gnuplot, ERR_NEGATIVE when it fails (it has said why). */
MUST_USE struct err plot_finish(struct buffer *script);

#endif
