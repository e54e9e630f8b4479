/* show.h - results as text, JSON, CSV and pictures. */
#ifndef PBFT_BENCH_SHOW_H
#define PBFT_BENCH_SHOW_H

#include "bench/load.h"

#include <jansson.h>

enum bench_form { BENCH_TABLE, BENCH_JSON, BENCH_CSV };

/* {"command", "version", "commit" of the tree that this program stands in, "time", "machine"}; the caller's. */
json_t *show_envelope(const char *command);
json_t *show_floor(const struct floor_cost *f);
/* {"parameters", "floor", "results"} of one load, into an object. */
void show_load_into(json_t *object, const struct load_result *r);
/* Prints it and frees it. */
void show_json(json_t *object);
/* One load, in any form. */
void show_load(const char *command, const struct load_result *r, enum bench_form form);
/* The header of show_load_line. */
void show_load_header(void);
/* One load as a line of CSV. */
void show_load_line(const struct load_result *r);
/* How many transactions took how long, on a logarithmic axis. */
MUST_USE struct err show_histogram(const struct load_result *r, const char *file);

#endif
