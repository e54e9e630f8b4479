/* frame.c - assembling frames. */
#include "replica/net/frame.h"

#include <string.h>

#define PARTIAL_FIRST_BYTES 65536u

bool frame_under_way(const struct frame_assembler *a)
{
    return a->head_len == FRAME_HEAD_BYTES;
}

void frame_assembler_free(struct frame_assembler *a)
{
    blob_release(a->partial);
    *a = (struct frame_assembler){0};
}

/* Room for more of the frame: twice what has come. */
static void grow(struct frame_assembler *a)
{
    size_t cap = a->partial == NULL ? PARTIAL_FIRST_BYTES : a->partial->len * 2;
    if (cap > a->frame_len) cap = a->frame_len;
    struct blob *larger = blob_new(cap);
    if (a->partial != NULL) {
        memcpy(larger->data, a->partial->data, a->partial_len);
        blob_release(a->partial);
    }
    a->partial = larger;
}

static size_t move_bytes(struct bytes *in, uint8_t *to, size_t room)
{
    const size_t part = in->len < room ? in->len : room;
    memcpy(to, in->data, part);
    in->data += part;
    in->len -= part;
    return part;
}

bool frame_take(struct frame_assembler *a, size_t max, struct bytes *in, struct blob **out)
{
    *out = NULL;
    while (in->len > 0) {
        if (a->head_len < FRAME_HEAD_BYTES) {
            a->head_len += move_bytes(in, a->head + a->head_len, FRAME_HEAD_BYTES - a->head_len);
            if (a->head_len < FRAME_HEAD_BYTES) return true;
            a->frame_len = be32_get(a->head);
            a->partial_len = 0;
            if (a->frame_len == 0 || a->frame_len > max) return false;
            grow(a);
            continue;
        }
        if (a->partial_len == a->partial->len) grow(a);
        a->partial_len += move_bytes(in, a->partial->data + a->partial_len, a->partial->len - a->partial_len);
        if (a->partial_len < a->frame_len) continue;
        *out = a->partial;
        a->partial = NULL;
        a->head_len = 0;
        return true;
    }
    return true;
}
