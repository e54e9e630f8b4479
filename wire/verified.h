/* verified.h - from received bytes to a message the core may see.
 *
 * msg_verify decodes, validates without state, and checks every signature in the message, nested ones too. It runs on the
 * verification pool's threads. A fault of the outer message keeps it out of the core altogether; a nested
 * certificate gets a verdict of its own, and the core voids the bad ones alone (rule 4).
 */
#ifndef PBFT_WIRE_VERIFIED_H
#define PBFT_WIRE_VERIFIED_H

#include "wire/certificate.h"
#include "wire/constants.h"


/* A batch whose bytes match their digest. */
struct batch_view {
    struct wire_batch batch;
    struct digest digest;
    bool valid; /* every request well-formed, of this group and epoch, and signed by its client; within limits */
    const char *fault; /* why not */
};

struct msg_verified {
    struct wire_message msg; /* borrows from blob */
    struct blob *blob;       /* one reference, owned */
    struct digest id;        /* what the outer signature is over; a REQUEST's transaction id. Zero when unsigned */
    struct digest leaf;      /* REQUEST: merkle_leaf of its bytes */
    bool has_batch;          /* PRE-PREPARE or DATA with a batch: `batch` is set, and matches the digest claimed */
    struct batch_view batch;
    struct wire_block block;  /* DATA of kind BLOCK: decoded, committed certificate good, batch matches the header */
    struct blob *entries;     /* DATA of kind PAST_BLOCK: `block` is set too, and these are its entries as the header names them,
                               * encoded one after the other: items of a wire_list. Owned */
    bool checkpoint_good;     /* ... and its checkpoint certificate, if it has one; STATUS: `stable` carries proof; DATA of
                               * kind STATE: always, for the payload decodes as a state_piece and its certificate is good */
    uint32_t shown_good;      /* STATUS: bit k for the k-th message of `shown`: it is a message, signed by its sender */
    uint64_t certificates_good[(WINDOW_BATCHES + 64u) / 64u]; /* VIEW-CHANGE: bit k for the k-th of P */
};

/* Takes over the caller's reference to blob. NULL when the message may enter the core; else a static sentence that says why
 * not, and *out only holds the reference (release it with msg_verified_release all the same). */
MUST_USE const char *msg_verify(const struct wire_group *g, struct signature_checker checker, struct blob *blob,
                                struct msg_verified *out);
void msg_verified_release(struct msg_verified *m);

/* A vote, PRE-PREPARE, CHECKPOINT or VIEW-CHANGE by itself: NULL when it decodes, names a member and this epoch, and
 * that member has signed it. Nothing that is nested in it is looked at. *out borrows from raw; *id is what the
 * signature is over. */
MUST_USE const char *msg_check_signed(const struct wire_group *g, struct signature_checker checker, struct bytes raw,
                                      struct wire_message *out, struct digest *id);

/* Decodes a batch and computes its digest; checks signatures only when `checker` has a function. Static sentence when the
 * bytes are no batch at all. */
MUST_USE const char *batch_open(const struct wire_group *g, struct signature_checker checker, struct bytes in,
                                struct batch_view *out);

#endif
