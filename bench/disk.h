/* disk.h - what a replica of a development group has on its disk, read from its data directory beside the running
 * process: by what it is for, and byte by byte for a range of blocks. */
#ifndef PBFT_BENCH_DISK_H
#define PBFT_BENCH_DISK_H

#include "base/err.h"

#include <stdint.h>

enum disk_part {
    DISK_BATCHES,      /* the transactions as they were signed */
    DISK_BLOCKS,       /* headers, commit certificates, entries */
    DISK_CERTIFICATES, /* prepared certificates above the low watermark, votes of a clean stop */
    DISK_LOG_REST,     /* certificates of checkpoints, VIEW-CHANGEs, meta */
    DISK_STATE_DATA,   /* keys and values */
    DISK_STATE_TREE,   /* and the hashes over them */
    DISK_STATE_REST,
    DISK_FREE, /* pages of both files without use, taken again later; the list of them; LMDB's own pages */
    DISK_PARTS
};
extern const char *const disk_part_names[DISK_PARTS];

struct disk_use {
    uint64_t parts[DISK_PARTS]; /* bytes of whole pages */
    uint64_t reserved_bytes;    /* of both files: more than all parts, since space is reserved before it is used */
    uint64_t block;             /* the last one in the log */
    uint64_t state_block;       /* the one at whose checkpoint the state stands */
};

/* All parts. */
uint64_t disk_used(const struct disk_use *u);
/* Errors: ERR_CONFIG (there is no such directory on this machine), ERR_CORRUPT, ERR_IO. */
MUST_USE struct err disk_look(const char *home, uint32_t replica, struct disk_use *out);

/* The contents of a range of blocks, without what pages round up to. */
struct disk_blocks {
    uint64_t blocks;
    uint64_t transactions;
    uint64_t entries;
    uint64_t request_bytes;     /* as they were signed and sent */
    uint64_t batch_bytes;       /* around them: time, lengths, the key with the batch's digest */
    uint64_t header_bytes;      /* with the block's key */
    uint64_t certificate_bytes; /* of the commit */
    uint64_t entry_bytes;
};

/* Of the blocks after + 1 to last. Errors as disk_look; ERR_NOT_FOUND when one is not there. */
MUST_USE struct err disk_read_blocks(const char *home, uint32_t replica, uint64_t after, uint64_t last,
                                     struct disk_blocks *out);

#endif
