/* digest.h - SHA-256, always with a domain tag in front, so that a hash made for one purpose can
 * never stand for another (rule 19).
 *
 * The tag is one length byte and the ASCII text of the domain. The RFC 9162 trees of
 * crypto/merkle.h have their own 0x00/0x01 prefixes instead, so that their proofs are standard ones.
 */
#ifndef PBFT_CRYPTO_DIGEST_H
#define PBFT_CRYPTO_DIGEST_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define DIGEST_BYTES 32u

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

/* What a hash is for. The texts are in digest.c and are part of the protocol. */
enum digest_domain {
    DIGEST_DOMAIN_MESSAGE,       /* what a replica or client signs; a transaction's id */
    DIGEST_DOMAIN_BATCH,         /* a batch: time, count, root of its requests */
    DIGEST_DOMAIN_HEADER,        /* a block header */
    DIGEST_DOMAIN_GROUP,         /* the canonical group file: the group id */
    DIGEST_DOMAIN_CONFIGURATION, /* the configuration in force */
    DIGEST_DOMAIN_STATE_KEY,     /* a key of the state: its path in the state tree */
    DIGEST_DOMAIN_STATE_LEAF,    /* a leaf of the state tree */
    DIGEST_DOMAIN_STATE_NODE,    /* an inner node of the state tree */
    DIGEST_DOMAIN_RESULT,        /* the answer to a query */
    DIGEST_DOMAIN_SIGNATURE,     /* a remembered (signer, digest, signature) */
    DIGEST_DOMAIN_FILE,          /* a file appended line by line */
    DIGEST_DOMAIN_TRACE,         /* the effects of a core */
    DIGEST_DOMAIN_STORED,        /* the check of a stored number */
};

/* A hash in progress. Plain data; holds no secret. */
struct hasher {
    uint64_t opaque[14];
};

void hasher_start(struct hasher *h, enum digest_domain domain);
/* As hasher_start without a tag: plain SHA-256, for RFC 9162 and files. */
void hasher_start_plain(struct hasher *h);
void hasher_add(struct hasher *h, const void *data, size_t len);
void hasher_add_be64(struct hasher *h, uint64_t value);
void hasher_finish(struct hasher *h, struct digest *out);

/* One-call form. */
struct digest digest_of(enum digest_domain domain, struct bytes data);
bool digest_equal(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *d);
int digest_compare(const struct digest *a, const struct digest *b);

#endif
