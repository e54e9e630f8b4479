/* fuzz_frames.c - the frame layer on arbitrary bytes in arbitrary pieces: never crashes, never takes more memory than the bytes
 * that came allow, and what it takes apart, put together again, is what came in. */
#include "base/check.h"
#include "replica/net/frame.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first two bytes choose the limit and the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    struct frame_assembler a = {0};
    const size_t max = (size_t)1 << (data[0] % 24);
    const size_t piece = 1 + (size_t)data[1] * (size_t)data[1];
    struct bytes all = bytes_of(data + 2, size - 2);
    struct buffer again = {0};
    bool good = true;
    size_t taken = 0;
    while (good && taken < all.len) {
        struct bytes in = bytes_of(all.data + taken, all.len - taken < piece ? all.len - taken : piece);
        taken += in.len;
        while (good && in.len > 0) {
            struct blob *frame = NULL;
            uint8_t head[FRAME_HEAD_BYTES];
            good = frame_take(&a, max, &in, &frame);
            if (frame == NULL) continue;
            CHECK(frame->len >= 1 && frame->len <= max);
            be32_put(head, (uint32_t)frame->len);
            buffer_append(&again, head, sizeof head);
            buffer_append(&again, frame->data, frame->len);
            blob_release(frame);
        }
        CHECK(a.partial == NULL || a.partial->len <= 65536 || a.partial->len <= 2 * all.len);
    }
    CHECK(again.len <= all.len);
    CHECK(again.len == 0 || memcmp(again.data, all.data, again.len) == 0);
    frame_assembler_free(&a);
    buffer_free(&again);
    return 0;
}
