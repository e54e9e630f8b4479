/* messages.h - what batches and a change of view cost in messages, as pbft-bench messages counts and shows it. */
#ifndef PBFT_BENCH_MESSAGES_H
#define PBFT_BENCH_MESSAGES_H

#include "bench/bench.h"

/* As they are shown; several types of messages may be one kind. */
enum messages_kind {
    MESSAGES_REQUEST,
    MESSAGES_PRE_PREPARE,
    MESSAGES_PREPARE,
    MESSAGES_COMMIT,
    MESSAGES_REPLY,
    MESSAGES_CHECKPOINT,
    MESSAGES_VIEW_CHANGE,
    MESSAGES_NEW_VIEW,
    MESSAGES_ANTI_ENTROPY,
    MESSAGES_KINDS
};

extern const char *const messages_kind_names[MESSAGES_KINDS];

/* Of one kind, at each receiver. */
struct messages_tally {
    uint64_t sent; /* first sends */
    uint64_t resent;
    uint64_t bytes; /* of both */
};

/* What an older algorithm sends for one decision that bears as many faulty ones. */
struct messages_older {
    uint64_t messages; /* UINT64_MAX: more than a number holds */
    bool ran;          /* counted in a run; else by the formula */
};

/* One phase of one run. */
struct messages_row {
    bool processes; /* counted by real ones; else in the simulator */
    bool view_change;
    uint64_t replicas;
    uint64_t faulty;
    uint64_t silent;
    uint64_t batches; /* executed meanwhile */
    uint64_t transactions;
    uint64_t checkpoints;    /* due among these batches */
    uint64_t views;          /* left meanwhile */
    uint64_t proposed_again; /* batches that a NEW-VIEW carried over */
    double seconds;          /* of processes: anti-entropy goes by time */
    struct messages_tally tallies[MESSAGES_KINDS];
    struct messages_older oral;
    struct messages_older with_signatures;
};

#define MESSAGES_NO_FORMULA UINT64_MAX
/* First sends of that kind in all, by theory; MESSAGES_NO_FORMULA: timing decides. */
uint64_t messages_formula(const struct messages_row *r, enum messages_kind kind);
/* Whether all kinds with a formula came out as that. */
bool messages_exact(const struct messages_row *r);

/* Counts on `replicas` real processes, which live as long as this call: the first row, and the second when
 * o->view_change; their older algorithms are left out. Errors: as bench_cluster_start, ERR_TIMEOUT, ERR_NEGATIVE. */
MUST_USE struct err messages_of_processes(const struct bench_options *o, uint32_t replicas,
                                          struct messages_row rows[2]);

void messages_print_table(const struct messages_row *rows, uint32_t count);
void messages_print_csv(const struct messages_row *rows, uint32_t count);
void messages_print_json(const struct messages_row *rows, uint32_t count);
MUST_USE struct err messages_plot(const struct messages_row *rows, uint32_t count, const char *file);

#endif
