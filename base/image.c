/* image.c - states to bytes and back. */
#include "base/image.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define NO_BLOB UINT64_MAX

struct image image_of(struct bytes in)
{
    return (struct image){.reading = true, .in = reader_of(in)};
}

void image_free(struct image *i)
{
    for (uint32_t k = 0; k < i->blob_count; k++)
        blob_release(i->blobs[k].blob);
    free(i->blobs);
    buffer_free(&i->out);
    *i = (struct image){.reading = false};
}

void image_fail(struct image *i, const char *fault)
{
    if (i->fault == NULL) i->fault = fault;
    i->in.pos = i->in.end;
}

const char *image_end(struct image *i)
{
    if (i->fault == NULL && reader_left(&i->in) > 0) i->fault = "bytes stand after the end";
    return i->fault;
}

void image_u64(struct image *i, uint64_t *value)
{
    uint8_t space[8];
    if (!i->reading) {
        be64_put(space, *value);
        buffer_append(&i->out, space, sizeof space);
        return;
    }
    *value = 0;
    if (!reader_be64(&i->in, value)) image_fail(i, "it ends in the middle of a value");
}

void image_u32(struct image *i, uint32_t *value)
{
    uint8_t space[4];
    if (!i->reading) {
        be32_put(space, *value);
        buffer_append(&i->out, space, sizeof space);
        return;
    }
    *value = 0;
    if (!reader_be32(&i->in, value)) image_fail(i, "it ends in the middle of a value");
}

void image_bool(struct image *i, bool *value)
{
    uint8_t byte = *value ? 1 : 0;
    if (!i->reading) {
        buffer_append(&i->out, &byte, 1);
        return;
    }
    *value = false;
    if (!reader_u8(&i->in, &byte))
        image_fail(i, "it ends in the middle of a value");
    else if (byte > 1)
        image_fail(i, "a truth value is neither 0 nor 1");
    else
        *value = byte == 1;
}

void image_fixed(struct image *i, void *data, size_t len)
{
    struct bytes in;
    if (!i->reading) {
        buffer_append(&i->out, data, len);
        return;
    }
    memset(data, 0, len);
    if (reader_bytes(&i->in, len, &in))
        memcpy(data, in.data, len);
    else
        image_fail(i, "it ends in the middle of a value");
}

void image_count(struct image *i, uint32_t *value, uint32_t most)
{
    image_u32(i, value);
    if (!i->reading) {
        CHECK_OP(*value, <=, most);
    } else if (*value > most) {
        *value = 0;
        image_fail(i, "a count is over its maximum");
    }
}

static void add_blob(struct image *i, struct blob *blob)
{
    if (i->blob_count == i->blob_cap) {
        i->blob_cap = i->blob_cap == 0 ? 8 : i->blob_cap * 2;
        i->blobs = mem_resize(i->blobs, i->blob_cap * sizeof *i->blobs);
    }
    i->blobs[i->blob_count++] = (struct image_blob){.at = i->out.len, .blob = blob_retain(blob)};
    i->blob_bytes += blob->len;
}

void image_blob(struct image *i, struct blob **blob)
{
    struct bytes in;
    uint64_t len = !i->reading && *blob != NULL ? (*blob)->len : NO_BLOB;
    image_u64(i, &len);
    if (!i->reading) {
        if (*blob != NULL) add_blob(i, *blob);
        return;
    }
    *blob = NULL;
    if (i->fault != NULL || len == NO_BLOB) return;
    if (len <= reader_left(&i->in) && reader_bytes(&i->in, (size_t)len, &in))
        *blob = blob_copy(in);
    else
        image_fail(i, "it ends in the middle of a value");
}

size_t image_bytes(const struct image *i)
{
    return i->out.len + i->blob_bytes;
}

void image_write_to(const struct image *i, void (*piece)(void *context, struct bytes piece), void *context)
{
    size_t at = 0;
    for (uint32_t k = 0; k < i->blob_count; k++) {
        const struct image_blob *b = &i->blobs[k];
        if (b->at > at) piece(context, bytes_of(i->out.data + at, b->at - at));
        if (b->blob->len > 0) piece(context, blob_bytes(b->blob));
        at = b->at;
    }
    if (i->out.len > at) piece(context, bytes_of(i->out.data + at, i->out.len - at));
}

static void append_piece(void *context, struct bytes piece)
{
    struct writer *w = context;
    writer_bytes(w, piece.data, piece.len);
}

struct blob *image_flat(const struct image *i)
{
    struct blob *flat = blob_new(image_bytes(i));
    struct writer w = writer_of(flat->data, flat->len);
    image_write_to(i, append_piece, &w);
    CHECK(!w.overflow && w.len == flat->len);
    return flat;
}
