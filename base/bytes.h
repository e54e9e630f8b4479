/* bytes.h - borrowed byte ranges, a checked reader, a bounded writer, shared immutable blobs.
 *
 * Nothing here reads or writes past a bound: a reader that runs out reports it, a writer that is
 * full remembers it and writes nothing more.
 */
#ifndef PBFT_BASE_BYTES_H
#define PBFT_BASE_BYTES_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A borrowed range. data may be NULL only when len is 0. */
struct bytes {
    const uint8_t *data;
    size_t len;
};

static inline struct bytes bytes_of(const void *data, size_t len)
{
    return (struct bytes){.data = data, .len = len};
}
struct bytes bytes_of_text(const char *text);
bool bytes_equal(struct bytes a, struct bytes b);
/* memcmp order, then the shorter first. Returns <0, 0, >0. */
int bytes_compare(struct bytes a, struct bytes b);
bool bytes_has_prefix(struct bytes whole, struct bytes prefix);

/* Reads forward through a borrowed range. */
struct reader {
    const uint8_t *pos;
    const uint8_t *end;
};

struct reader reader_of(struct bytes in);
static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->pos);
}
/* Each returns false, and leaves *r and the out-pointers untouched, when too few bytes are left. */
MUST_USE bool reader_u8(struct reader *r, uint8_t *out);
MUST_USE bool reader_be32(struct reader *r, uint32_t *out);
MUST_USE bool reader_be64(struct reader *r, uint64_t *out);
MUST_USE bool reader_bytes(struct reader *r, size_t count, struct bytes *out);

/* Writes into a buffer the caller owns. After an overflow nothing more is written and `overflow`
 * stays true; the caller looks once, at the end. */
struct writer {
    uint8_t *data;
    size_t len;
    size_t cap;
    bool overflow;
};

struct writer writer_of(void *data, size_t cap);
void writer_u8(struct writer *w, uint8_t value);
void writer_be32(struct writer *w, uint32_t value);
void writer_be64(struct writer *w, uint64_t value);
void writer_bytes(struct writer *w, const void *data, size_t len);
static inline struct bytes writer_written(const struct writer *w)
{
    return bytes_of(w->data, w->len);
}

/* Fixed-width big-endian to and from memory the caller knows to be long enough. */
void be64_put(uint8_t out[8], uint64_t value);
uint64_t be64_get(const uint8_t in[8]);
void be32_put(uint8_t out[4], uint32_t value);
uint32_t be32_get(const uint8_t in[4]);

/* Lower-case hexadecimal. out has 2 * len + 1 bytes and ends in NUL. */
void hex_encode(char *out, const uint8_t *in, size_t len);
/* Decodes exactly out_len bytes from text of exactly 2 * out_len digits; false otherwise. */
MUST_USE bool hex_decode(const char *text, uint8_t *out, size_t out_len);

/* A shared, immutable range with an atomic reference count: how a received frame, a request or a
 * batch travels between threads without being copied. */
struct blob {
    atomic_uint refs;
    size_t len;
    uint8_t data[];
};

/* A new blob of len bytes with one reference, contents unset. Never NULL: out of memory ends the process. */
struct blob *blob_new(size_t len);
struct blob *blob_copy(struct bytes in);
/* Adds a reference; NULL gives NULL. */
struct blob *blob_retain(struct blob *b);
/* Drops a reference; the last one frees. NULL is allowed. */
void blob_release(struct blob *b);
static inline struct bytes blob_bytes(const struct blob *b)
{
    return bytes_of(b->data, b->len);
}

/* malloc and realloc that end the process with one clear line instead of returning NULL. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zero(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *mem_resize(void *old, size_t size) __attribute__((returns_nonnull));

/* A buffer that grows as it is filled; the caller bounds what it puts in. Owned memory, freed by buffer_free. */
struct buffer {
    uint8_t *data;
    size_t len;
    size_t cap;
};

void buffer_append(struct buffer *b, const void *data, size_t len);
/* Makes room for extra bytes after len and returns where they start; len is not moved. */
uint8_t *buffer_reserve(struct buffer *b, size_t extra);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_free(struct buffer *b);

#endif
