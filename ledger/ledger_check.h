/* ledger_check.h - whether a replica's data directory is what it should be, as far as that can be told offline; and
 * what is arranged so that the replica repairs itself from the others (ledger_repair).
 *
 *   log      blocks: keys and sequences, the chain of previous hashes, first indexes, times, entries' roots, the history of all
 *            entries, batches by their digests, commit certificates; checkpoint certificates, also against the blocks they
 *            name; the stable checkpoint; prepared certificates and kept votes; the view, the own VIEW-CHANGE, the NEW-VIEW,
 *            the fence
 *   state    the record of its checkpoint against block and certificate; the tree from its root; each leaf's key, and its
 *            value by its digest; no value that the tree does not name
 *
 * A block that the gap record says is missing is no fault (ledger/log_store.h), nor is a state between two checkpoints:
 * its tree and data still have to belong together, unless it is marked as damaged already.
 * What a replica has signed and nobody else knows cannot be checked. Nothing is changed but by ledger_repair.
 */
#ifndef PBFT_LEDGER_LEDGER_CHECK_H
#define PBFT_LEDGER_LEDGER_CHECK_H

#include "ledger/data_dir.h"

enum ledger_fault_kind {
    LEDGER_FAULT_BLOCK,      /* blocks low to high, with their batches and commit certificates */
    LEDGER_FAULT_LINK,       /* blocks low and high = low + 1 do not follow each other: one of them is damaged */
    LEDGER_FAULT_STRAY,      /* an item of the table of blocks that is none: key */
    LEDGER_FAULT_CHECKPOINT, /* the checkpoint certificate under `key`; low: its sequence, 0 when the key is none */
    LEDGER_FAULT_STABLE,     /* the record of the stable checkpoint */
    LEDGER_FAULT_GAP,        /* the record of the missing blocks */
    LEDGER_FAULT_VOTE,       /* the prepared certificate or kept vote at low; 0: what it has promised about views, or its fence */
    LEDGER_FAULT_STATE,
};

struct ledger_fault {
    enum ledger_fault_kind kind;
    uint64_t low;
    uint64_t high;
    bool missing;     /* BLOCK: there is none of them */
    struct bytes key; /* borrowed for the call */
    const char *text; /* names environment and sequence or key, the latter in hexadecimal; borrowed for the call */
};

/* What is checked, and who hears of it. All borrowed for the call. */
struct ledger_check {
    struct kv_store *log;
    struct kv_store *state; /* where a replica runs beside it: as it was before `log`, or at the same time */
    const struct group *group;
    const struct wire_group *wire; /* of the same group */
    uint32_t self;                 /* whose directory it is */
    struct signature_checker checker;
    void (*fault)(void *context, const struct ledger_fault *fault);
    void (*progress)(void *context, uint64_t done, uint64_t total); /* blocks; may be NULL */
    void *context;
};

struct ledger_check_result {
    uint64_t faults;
    uint64_t blocks;      /* checked */
    uint64_t entries;     /* in them */
    uint64_t history;     /* blocks whose history root was computed anew from the entries */
    uint64_t last;        /* the highest block */
    uint64_t missing_low; /* the blocks that the gap record names; 0: none */
    uint64_t missing_high;
    uint64_t
        prepared;    /* batches above the highest block that are prepared here: they may have been decided elsewhere */
    uint64_t stable; /* the highest checkpoint that the log proves */
    bool between;    /* the state is between two checkpoints: none says what its root must be */
    bool damaged;    /* ... and is marked as damaged: it was not checked */
    uint64_t base;   /* the checkpoint at which the state stands, when its record says so credibly */
    uint64_t keys;   /* data items of the state */
};

/* Faults are reported and counted, not returned. Errors: the store's fault: it cannot be read; *out is then unset. */
MUST_USE struct err ledger_check_run(const struct ledger_check *in, struct ledger_check_result *out);

/* What ledger_repair has arranged. */
struct ledger_repair {
    bool state;       /* the state is compared with the others', and what differs taken from them */
    uint64_t gap_low; /* these blocks are fetched from others, newest first; 0: none */
    uint64_t gap_high;
    uint64_t deleted_from; /* the blocks from here on are fetched and executed again; 0: none */
    uint64_t records;      /* other records deleted, or put right from their copy */
    uint64_t votes;        /* damaged records of votes: the next start leaves them out and is fenced (design.md 7.6) */
};

/* Checks as ledger_check_run and arranges, durably, that the replica puts right what is faulty when it starts next;
 * nothing is invented. The stores must be open for writing, and the replica must not run. Errors: the store's fault;
 * ERR_CORRUPT: the stable checkpoint is damaged and there is no copy of it (nothing has changed); as kv_store_apply,
 * after which it may be run again. */
MUST_USE struct err ledger_repair(const struct ledger_check *in, struct ledger_check_result *result,
                                  struct ledger_repair *out);

#endif
