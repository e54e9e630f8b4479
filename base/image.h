/* image.h - one walk over a state that writes it or reads it: one list of fields, both ways.
 *
 *     void thing_image(struct image *i, struct thing *t)
 *     {
 *         image_u64(i, &t->count);        writing: appends; reading: sets
 *         image_blob(i, &t->payload);
 *     }
 *
 * A written image holds a reference to each of its blobs instead of a copy; image_write_to hands out the pieces in
 * order. Integers are big-endian and of fixed width, so an image of one state is one string of bytes. Reading never
 * goes past the end: the first fault is kept, and everything read after it is zero, so that a walk needs to look once,
 * at the end.
 */
#ifndef PBFT_BASE_IMAGE_H
#define PBFT_BASE_IMAGE_H

#include "base/bytes.h"

/* A blob that stands between out.data[at - 1] and out.data[at]. */
struct image_blob {
    size_t at;
    struct blob *blob;
};

struct image {
    bool reading;
    bool outline; /* writing: without what is only counted and reported */
    struct reader in;
    const char *fault; /* reading: the first; NULL while there is none */
    struct buffer out; /* writing: everything but the blobs */
    struct image_blob *blobs;
    uint32_t blob_count;
    uint32_t blob_cap;
    size_t blob_bytes;
};

/* An image to be written: all zero. One to be read: */
struct image image_of(struct bytes in);
/* Drops what a written image holds. */
void image_free(struct image *i);

/* Reading: out of range or out of bytes is a fault, and the value is zero. */
void image_u64(struct image *i, uint64_t *value);
void image_u32(struct image *i, uint32_t *value);
void image_bool(struct image *i, bool *value);
/* So many bytes in place: digests, signatures, keys. */
void image_fixed(struct image *i, void *data, size_t len);
/* A number up to most: how many of something follow, or which of them. */
void image_count(struct image *i, uint32_t *value, uint32_t most);
/* NULL or a blob. Reading: the caller gets one reference. */
void image_blob(struct image *i, struct blob **blob);
/* Reading: notes a fault unless there is one. The text is static. */
void image_fail(struct image *i, const char *fault);
/* Reading is over: NULL, or the fault; bytes left over are one. */
const char *image_end(struct image *i);

/* Bytes of a written image; and its pieces in order. */
size_t image_bytes(const struct image *i);
void image_write_to(const struct image *i, void (*piece)(void *context, struct bytes piece), void *context);
/* All of it in one piece, one reference, the caller's. */
struct blob *image_flat(const struct image *i);

#endif
