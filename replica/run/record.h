/* record.h - what a recording is made of: bytes only, no file and no thread (replica/run/recorder.h writes it,
 * `pbft-sim replay` reads it).
 *
 * A recording is a row of frames. A file begins with HEADER and IMAGE, and so can be replayed without any other:
 *
 *   offset  bytes  frame
 *        0      4  length of the body, big-endian
 *        4      4  the same with every bit turned: a damaged length is not taken for a torn end
 *        8      1  kind
 *        9   body
 *   9+body      8  check: first bytes of SHA-256(check of the frame before | the frame up to here); the first one's is
 * 0
 *
 *   HEADER   magic, format, layout, version, group, configuration of the core: no key but public ones
 *   IMAGE    number of the next event, hash of the effects so far, the core's whole state (core_image_write)
 *   EVENT    number, then the event's inputs, byte for byte: written before the core performs it
 *   EFFECTS  number, count and hash of all effects up to here, what the core signed meanwhile
 *   END      why nothing follows
 *
 * Signatures stand beside the event that asked for them, since no private key is in a recording. A file that does not
 * end in END is one whose process was killed, or still runs; its last frame may be torn, and is then left out.
 */
#ifndef PBFT_REPLICA_RUN_RECORD_H
#define PBFT_REPLICA_RUN_RECORD_H

#include "replica/core/core.h"

#define RECORD_FORMAT 2u
#define RECORD_FRAME_HEAD 9u
#define RECORD_CHECK_BYTES 8u
#define RECORD_BODY_BYTES_MAX (1024u * 1024u * 1024u)
#define RECORD_SIGNATURES_MAX 4096u /* of one event */

enum record_kind {
    RECORD_KIND_HEADER,
    RECORD_KIND_IMAGE,
    RECORD_KIND_EVENT,
    RECORD_KIND_EFFECTS,
    RECORD_KIND_END,
};

enum record_end {
    RECORD_END_STOPPED,  /* the replica ended */
    RECORD_END_NEXT,     /* it goes on in the next file */
    RECORD_END_OVERFLOW, /* events came faster than the disk took them */
};

struct record_check {
    uint8_t bytes[RECORD_CHECK_BYTES];
};

/* ---- frames ---- */

/* The bytes before and after a body that is written in pieces: start, add each piece, finish. */
struct record_frame {
    struct hasher hasher;
    uint8_t head[RECORD_FRAME_HEAD];
};
void record_frame_start(struct record_frame *f, const struct record_check *before, enum record_kind kind,
                        size_t body_bytes);
void record_frame_add(struct record_frame *f, struct bytes piece);
struct record_check record_frame_finish(struct record_frame *f);

enum record_read {
    RECORD_READ_FRAME,
    RECORD_READ_END,     /* nothing is left */
    RECORD_READ_TORN,    /* what is left is the beginning of a frame */
    RECORD_READ_DAMAGED, /* it fails its check */
};
/* The next frame at *offset, which it moves. The body is borrowed. */
enum record_read record_frame_next(struct bytes file, size_t *offset, struct record_check *check,
                                   enum record_kind *kind, struct bytes *body);

/* ---- bodies: each call writes or reads, as the image says ---- */

/* What a HEADER says; `config.group.members` is `members` once it was read, and `sign` is nobody's. */
struct record_header {
    uint32_t format;
    uint32_t layout; /* sizes of the core's structs: another build may keep another state */
    char version[32];
    struct core_config config;
    struct public_key members[REPLICAS_MAX];
};
uint32_t record_layout(void);
/* Reading stops after the version when format or layout are not this program's; that is no fault. */
void record_header_image(struct record_header *h, struct image *i);

/* An event and the memory of what it points to. All zero before, released after. */
struct record_event {
    struct core_event event;
    struct msg_verified message;
    struct core_recovered recovered;
    struct core_executed executed;
    struct core_walk walk;
    struct blob **blobs; /* of `recovered` */
    uint32_t blob_count;
    uint32_t blob_cap;
    struct core_recovered_slot *slots;
    struct core_recovered_checkpoint *checkpoints;
    struct core_client_window *windows;
    struct core_settled *settled;
};
void record_event_write(const struct core_config *config, const struct core_event *event, struct image *out);
/* The fault is the image's. */
void record_event_read(const struct core_config *config, struct image *in, struct record_event *out);
void record_event_release(struct record_event *e);

struct record_signature {
    struct digest digest; /* what was signed */
    struct signature signature;
};
struct record_effects {
    uint64_t number;
    uint32_t count;     /* of this event */
    struct digest hash; /* of all up to here, record_hash_next by record_hash_next */
    uint32_t signature_count;
    struct record_signature *signatures; /* reading: RECORD_SIGNATURES_MAX of them are there */
};
void record_effects_image(struct record_effects *e, struct image *i);

/* Hash of all effects up to and with these: of the hash before and of what leaves the core (core_effect_trace). */
struct digest record_hash_next(const struct digest *before, const struct core_effects *effects);

#endif
