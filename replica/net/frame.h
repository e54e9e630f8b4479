/* frame.h - putting frames together from bytes as they arrive. Pure: no socket, no clock.
 *
 *   offset  size  field
 *   0       4     length of the body, big-endian, 1..max
 *   4       ...   body
 *
 * The length is checked before anything is allocated, and memory grows with the bytes that have come: a claimed length
 * alone costs nothing.
 */
#ifndef PBFT_REPLICA_NET_FRAME_H
#define PBFT_REPLICA_NET_FRAME_H

#include "base/bytes.h"

#define FRAME_HEAD_BYTES 4u

/* All zero at the start. */
struct frame_assembler {
    uint8_t head[FRAME_HEAD_BYTES];
    size_t head_len;
    struct blob *partial;
    size_t partial_len;
    size_t frame_len; /* of the frame under way, once its head is complete */
};

/* Takes bytes from *in until a frame is complete or they are used up; *in is what is left. *out gets the frame (one
 * reference, the caller's) or NULL. False when a length is zero or over max: nothing more can be read then. */
MUST_USE bool frame_take(struct frame_assembler *a, size_t max, struct bytes *in, struct blob **out);
/* True while a frame has begun (its head is complete) and is not whole yet. */
bool frame_under_way(const struct frame_assembler *a);
void frame_assembler_free(struct frame_assembler *a);

#endif
