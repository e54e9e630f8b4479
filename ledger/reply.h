/* reply.h - REPLY messages: a block header signed once, and for each client its entries with their paths in the block's
 * entry tree. A client's entries of a block travel in one message, or in as few as frames allow; those of one
 * transaction are never apart, for a client believes a transaction's answer from one message. */
#ifndef PBFT_LEDGER_REPLY_H
#define PBFT_LEDGER_REPLY_H

#include "crypto/merkle_levels.h"
#include "ledger/executor.h"

/* Who speaks. */
struct reply_signer {
    struct digest group;
    uint64_t epoch;
    uint32_t self;
    void (*sign)(void *context, const struct digest *digest, struct signature *out);
    void *context;
};

struct reply_entry {
    struct bytes raw; /* encoded */
    struct wire_entry decoded;
};

/* A block opened for replying: header signed, entry tree there. Borrows the entries. */
struct reply_source {
    const struct reply_signer *signer;
    struct wire_header header;
    struct signature signature;
    struct merkle_levels tree;
    bool owns_tree; /* a stored block's; one that was executed just now has it */
    struct reply_entry *entries;
    uint32_t count;
};

/* entries holds header.count encoded entries, at least one. ERR_CORRUPT when they do not match the header's root. */
MUST_USE struct err reply_open(struct reply_source *s, const struct reply_signer *signer,
                               const struct wire_header *header, struct wire_list entries);
/* A block that was executed just now, with its tree, which is borrowed too; at least one entry (CHECKed). */
void reply_open_executed(struct reply_source *s, const struct reply_signer *signer, const struct executed_block *block);
void reply_close(struct reply_source *s);

struct reply_range {
    uint32_t first; /* entry in the block */
    uint32_t count;
};
/* How many of these ranges, from the first on, one REPLY takes so that it fits a frame: at least one, for the entries
 * of one transaction always fit. Ranges are within the block (CHECKed), range_count is at least 1. */
uint32_t reply_fitting(const struct reply_source *s, const struct reply_range *ranges, uint32_t range_count);
/* A REPLY with these entries; one reference, the caller's. NULL when a range is outside the block. */
struct blob *reply_message(const struct reply_source *s, uint64_t view, const struct reply_range *ranges,
                           uint32_t range_count);

#endif
