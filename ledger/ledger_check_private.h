/* ledger_check_private.h - what the parts of the check share: the state of one run, reporting, and walking over a
 * table. Included by ledger_check*.c and ledger_repair.c only.
 */
#ifndef PBFT_LEDGER_LEDGER_CHECK_PRIVATE_H
#define PBFT_LEDGER_LEDGER_CHECK_PRIVATE_H

#include "ledger/ledger_check.h"
#include "ledger/state_transfer.h"
#include "wire/verified.h"

#define CHECK_KEY_BYTES_MAX 511u /* what a store takes */

/* What a block must follow. */
struct ledger_link {
    bool known;
    bool proven; /* by a checkpoint certificate, or the beginning */
    uint64_t seq;
    struct digest hash;
    uint64_t time_ms;
    uint64_t next_index;
};

struct ledger_checking {
    const struct ledger_check *in;
    struct ledger_check_result *out;
    uint64_t stable;         /* by its own record; 0 when that is damaged */
    bool base_good;          /* the state's record of its checkpoint is what it should be: */
    bool base_proven;        /* ... and a certificate says so, */
    bool transferred;        /* ... the one that a walk ended with */
    struct wire_header base; /* valid when base_good */
    struct digest base_root; /* the root that the record names */
    struct merkle_frontier base_history;
    uint64_t gap_low; /* 0: no gap */
    uint64_t gap_high;
    /* the walk over the blocks */
    uint64_t last; /* the highest, as the table's last key says */
    uint64_t next;
    struct ledger_link before;
    bool history_known; /* of all entries before `next` */
    struct merkle_frontier history;
};

/* Counts and reports a fault; `place` is the kind and what it names, the rest its text. */
void ledger_check_say(struct ledger_checking *c, struct ledger_fault place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same of a key: its name in hexadecimal is put between `before` and the text. */
void ledger_check_say_key(struct ledger_checking *c, struct ledger_fault place, const char *before, const char *text);

/* The certificate of the checkpoint at seq that the log has and that proves it; false when there is none. */
MUST_USE bool ledger_check_proven(const struct ledger_check *in, uint64_t seq, struct wire_checkpoint_certificate *out);

/* The parts, in the order in which they are run. Errors: the store's fault. */
MUST_USE struct err ledger_check_records(struct ledger_checking *c);
MUST_USE struct err ledger_check_base(struct ledger_checking *c);
MUST_USE struct err ledger_check_blocks(struct ledger_checking *c);
MUST_USE struct err ledger_check_tree(struct ledger_checking *c);

/* A walk over all items of a table, in order. Zeroed but for store and table. */
struct ledger_cursor {
    struct kv_store *store;
    uint32_t table;
    uint8_t next[CHECK_KEY_BYTES_MAX + 1];
    size_t next_len;
};
/* As kv_store_seek. */
MUST_USE enum kv_found ledger_cursor_next(struct ledger_cursor *c, struct bytes *key, struct bytes *value);

#endif
