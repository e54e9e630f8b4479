/* crash_disk.h - a model of the disk under one data directory, and the images that a power loss can leave of it.
 *
 * Of each file it keeps the bytes that a finished sync covers, and in order the changes since (the pending ones). A
 * change is durable when a sync of that file began after it and has ended; a write through O_DSYNC when it has
 * returned. An image is the durable bytes and, of the pending changes, what the kind says:
 *
 *   NONE     none
 *   ALL      all: a process that was killed, and no power loss
 *   SUBSET   each whole or not at all, by chance
 *   TORN     of each write each sector of 512 bytes by chance; other changes as in SUBSET
 *
 * Names (mkdir, create, rename, unlink) are durable at once and in order: the model says nothing of a lost name.
 */
#ifndef PBFT_TESTS_CRASH_DISK_H
#define PBFT_TESTS_CRASH_DISK_H

#include "base/prng.h"
#include "tests/crash/crash_trace.h"

#define DISK_SECTOR_BYTES 512u

enum disk_image { DISK_IMAGE_NONE, DISK_IMAGE_ALL, DISK_IMAGE_SUBSET, DISK_IMAGE_TORN };
#define DISK_IMAGE_KINDS 4u
extern const char *const disk_image_names[DISK_IMAGE_KINDS];

struct disk;

struct disk *disk_new(void);
void disk_free(struct disk *d);
/* Takes over the files of a directory, all durable. Nothing when there is no such directory. */
MUST_USE struct err disk_load(struct disk *d, const char *dir);
/* True when the record can change what an image holds. */
bool disk_concerns(const struct trace_record *r);
void disk_apply(struct disk *d, const struct trace_record *r);
/* True when a power loss now could lose something. */
bool disk_has_pending(const struct disk *d);
/* A directory or file is there. */
bool disk_has(const struct disk *d, const char *path);
/* Makes the image in dir, which must not be there. The model stays as it is. */
MUST_USE struct err disk_write(struct disk *d, enum disk_image kind, struct prng *random, const char *dir);
/* Compares the image ALL with a directory, byte by byte. ERR_CORRUPT names the first difference. */
MUST_USE struct err disk_compare(struct disk *d, const char *dir);

#endif
