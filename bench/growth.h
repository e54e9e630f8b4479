/* growth.h - what the two parts of the command growth share: growth.c fills and measures, growth_show.c shows. */
#ifndef PBFT_BENCH_GROWTH_H
#define PBFT_BENCH_GROWTH_H

#include "bench/bench.h"
#include "bench/disk.h"

#define GROWTH_MARKS_MAX 16u
#define GROWTH_ROUNDS_MAX 9u

/* Of one replica at one mark: when the ledger has reached it, and after what was measured there. */
struct growth_replica {
    uint64_t memory_kib; /* after the load, at rest; under load: in the load's result */
    struct disk_use at;
    struct disk_use after;
};

/* The loads on one of the two ledgers at a mark. */
struct growth_side {
    struct load_result loads[GROWTH_ROUNDS_MAX + 1];
    uint32_t count;
};

/* One mark. */
struct growth_row {
    uint64_t mark;
    uint64_t entries; /* when the load began */
    double fill_seconds;
    uint64_t filled; /* operations in them */
    struct growth_side large;
    struct growth_side small;
    uint64_t small_entries;          /* of the ledger that stays small, before its first load here */
    struct growth_replica *replicas; /* one for each, owned */
    struct disk_blocks blocks;       /* what replica 0 has logged of the load */
    uint64_t state_entries;          /* those that went into replica 0's state at its checkpoints meanwhile */
};

/* Bytes that one transaction of the load has left on replica 0's disk. */
struct growth_transaction {
    double request;     /* as it was signed and sent */
    double batch;       /* its share of what a batch has beside its requests */
    double header;      /* its share of the block's header */
    double certificate; /* its share of the commit certificate */
    double entry;
    double pages; /* what pages of batches and blocks have beside that: LMDB's own, and room left in them */
    double state; /* data and tree, with their pages: of each operation that a checkpoint has folded in */
    double free;  /* free pages, mostly copies that a fold has left behind: likewise */
    double rest;  /* prepared certificates above the low watermark, certificates of checkpoints */
};
struct growth_transaction growth_transaction(const struct growth_row *r);
/* All of it, the request too. */
double growth_transaction_bytes(const struct growth_transaction *t);

double growth_rate(const struct growth_side *s);   /* transactions a second, of all its loads */
double growth_cpu_us(const struct growth_side *s); /* of all replicas for each of those */
/* The median of its loads (the lower one of two), each as load_percentile_ms. */
double growth_percentile_ms(const struct growth_side *s, double p);
/* The throughput over that of the small ledger; and over that at the first mark. 0: nothing was accepted there. */
double growth_ratio(const struct growth_row *r);
double growth_first_ratio(const struct growth_row *r, const struct growth_row *first);

/* Before the first row; each row when it is measured; and after the last one. */
void growth_show_header(const struct bench_options *o);
void growth_show_row(const struct bench_options *o, const struct growth_row *r, const struct growth_row *first);
void growth_show_end(const struct bench_options *o, const struct growth_row *rows, uint32_t count);
MUST_USE struct err growth_plot(const struct growth_row *rows, uint32_t count, const char *file);

#endif
