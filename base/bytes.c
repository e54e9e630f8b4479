/* bytes.c - checked access to byte ranges. */
#include "base/bytes.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes bytes_of_text(const char *text)
{
    return bytes_of(text, strlen(text));
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

int bytes_compare(struct bytes a, struct bytes b)
{
    const size_t shared = a.len < b.len ? a.len : b.len;
    const int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    if (order != 0) return order;
    return a.len < b.len ? -1 : a.len > b.len ? 1 : 0;
}

bool bytes_has_prefix(struct bytes whole, struct bytes prefix)
{
    return whole.len >= prefix.len && (prefix.len == 0 || memcmp(whole.data, prefix.data, prefix.len) == 0);
}

struct reader reader_of(struct bytes in)
{
    static const uint8_t nothing;
    const uint8_t *start = in.len == 0 ? &nothing : in.data;
    return (struct reader){.pos = start, .end = start + in.len};
}

bool reader_u8(struct reader *r, uint8_t *out)
{
    if (reader_left(r) < 1) return false;
    *out = *r->pos++;
    return true;
}

bool reader_be32(struct reader *r, uint32_t *out)
{
    if (reader_left(r) < 4) return false;
    *out = be32_get(r->pos);
    r->pos += 4;
    return true;
}

bool reader_be64(struct reader *r, uint64_t *out)
{
    if (reader_left(r) < 8) return false;
    *out = be64_get(r->pos);
    r->pos += 8;
    return true;
}

bool reader_bytes(struct reader *r, size_t count, struct bytes *out)
{
    if (reader_left(r) < count) return false;
    *out = bytes_of(r->pos, count);
    r->pos += count;
    return true;
}

struct writer writer_of(void *data, size_t cap)
{
    return (struct writer){.data = data, .len = 0, .cap = cap, .overflow = false};
}

void writer_bytes(struct writer *w, const void *data, size_t len)
{
    if (w->overflow || len > w->cap - w->len) {
        w->overflow = true;
        return;
    }
    if (len > 0) memcpy(w->data + w->len, data, len);
    w->len += len;
}

void writer_u8(struct writer *w, uint8_t value)
{
    writer_bytes(w, &value, 1);
}

void writer_be32(struct writer *w, uint32_t value)
{
    uint8_t raw[4];
    be32_put(raw, value);
    writer_bytes(w, raw, sizeof raw);
}

void writer_be64(struct writer *w, uint64_t value)
{
    uint8_t raw[8];
    be64_put(raw, value);
    writer_bytes(w, raw, sizeof raw);
}

void be64_put(uint8_t out[8], uint64_t value)
{
    for (int i = 7; i >= 0; i--) {
        out[i] = (uint8_t)(value & 0xff);
        value >>= 8;
    }
}

uint64_t be64_get(const uint8_t in[8])
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = (value << 8) | in[i];
    return value;
}

void be32_put(uint8_t out[4], uint32_t value)
{
    for (int i = 3; i >= 0; i--) {
        out[i] = (uint8_t)(value & 0xff);
        value >>= 8;
    }
}

uint32_t be32_get(const uint8_t in[4])
{
    return ((uint32_t)in[0] << 24) | ((uint32_t)in[1] << 16) | ((uint32_t)in[2] << 8) | (uint32_t)in[3];
}

void hex_encode(char *out, const uint8_t *in, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool hex_decode(const char *text, uint8_t *out, size_t out_len)
{
    if (strlen(text) != 2 * out_len) return false;
    for (size_t i = 0; i < 2 * out_len; i++)
        if (hex_value(text[i]) < 0) return false;
    for (size_t i = 0; i < out_len; i++)
        out[i] = (uint8_t)(hex_value(text[2 * i]) * 16 + hex_value(text[2 * i + 1]));
    return true;
}

static _Noreturn void out_of_memory(size_t size)
{
    (void)fprintf(stderr, "pbft: out of memory while asking for %zu bytes; the process ends here\n", size);
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = malloc(size == 0 ? 1 : size);
    if (p == NULL) out_of_memory(size);
    return p;
}

void *mem_zero(size_t count, size_t size)
{
    void *p = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
    if (p == NULL) out_of_memory(size);
    return p;
}

void *mem_resize(void *old, size_t size)
{
    void *p = realloc(old, size == 0 ? 1 : size);
    if (p == NULL) out_of_memory(size);
    return p;
}

struct blob *blob_new(size_t len)
{
    CHECK_OP(len, <, SIZE_MAX / 2);
    struct blob *b = mem_alloc(sizeof *b + len);
    atomic_init(&b->refs, 1);
    b->len = len;
    return b;
}

struct blob *blob_copy(struct bytes in)
{
    struct blob *b = blob_new(in.len);
    if (in.len > 0) memcpy(b->data, in.data, in.len);
    return b;
}

struct blob *blob_retain(struct blob *b)
{
    if (b != NULL) atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void blob_release(struct blob *b)
{
    if (b == NULL) return;
    const unsigned before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    CHECK_OP(before, >, 0);
    if (before == 1) free(b);
}

uint8_t *buffer_reserve(struct buffer *b, size_t extra)
{
    CHECK_OP(extra, <, SIZE_MAX / 4);
    if (b->data == NULL || extra > b->cap - b->len) {
        size_t cap = b->cap == 0 ? 256 : b->cap;
        while (cap - b->len < extra)
            cap *= 2;
        b->data = mem_resize(b->data, cap);
        b->cap = cap;
    }
    return b->data + b->len;
}

void buffer_append(struct buffer *b, const void *data, size_t len)
{
    uint8_t *to = buffer_reserve(b, len);
    if (len > 0) memcpy(to, data, len);
    b->len += len;
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    const int wanted = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(wanted >= 0);
    char *to = (char *)buffer_reserve(b, (size_t)wanted + 1);
    (void)vsnprintf(to, (size_t)wanted + 1, format, again);
    va_end(again);
    b->len += (size_t)wanted;
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}
