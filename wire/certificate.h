/* certificate.h - what is signed, batch and header digests, and checking certificates: Q signatures of distinct members
 * over one statement. Stateless; the group's keys come in as data. */
#ifndef PBFT_WIRE_CERTIFICATE_H
#define PBFT_WIRE_CERTIFICATE_H

#include "crypto/pool.h"
#include "wire/codec.h"
#include "wire/quorum.h"

/* The group as far as checking needs it. Borrowed by whoever holds it. */
struct wire_group {
    struct digest id;
    uint64_t epoch;
    struct quorum quorum;
    const struct public_key *members; /* replica_count signing keys */
};

/* Checks one signature: really, from memory, or in a test by a fast stand-in. Thread-safe. */
struct signature_checker {
    bool (*check)(void *context, struct verify_item *item);
    void *context;
};

/* The one that checks each really, and remembers none. */
struct signature_checker signature_checker_plain(void);

/* digest(MESSAGE, group id | signed part): what a signature is over; of a request it is the transaction's id, which
 * therefore leaves the signature out (rule 28). Type, epoch and sender are in the signed part (rule 19). */
struct digest wire_signing_digest(const struct digest *group_id, struct bytes signed_part);
/* The same of a signed message or of its struct. */
struct digest wire_record_signing_digest(const struct digest *group_id, const struct wire_record *record,
                                         const void *message);

/* digest(BATCH, time | count | root over the full signed requests): no view, no sequence (rule 10). leaves are
 * merkle_leaf of each request. */
struct digest batch_digest(uint64_t time_ms, const struct digest *leaves, uint32_t count);
/* The same of an encoded batch, which is decoded into *batch and borrowed by it. NULL, or a static sentence when it is
 * none. */
MUST_USE const char *batch_decode(struct bytes raw, struct wire_batch *batch, struct digest *digest);
struct digest header_hash(const struct wire_header *h);

/* The statement of a PRE-PREPARE, PREPARE or COMMIT, and what its sender signed it with. */
struct wire_vote {
    enum wire_type type;
    uint64_t epoch;
    uint64_t sender;
    uint64_t view;
    uint64_t seq;
    struct digest digest;
    struct signature signature; /* not part of the statement */
};
/* The digest that the sender signed. */
struct digest wire_vote_statement(const struct digest *group_id, const struct wire_vote *v);
/* The message, of a PRE-PREPARE without its batch. One reference, the caller's. */
struct blob *wire_vote_encode(const struct wire_vote *v);

/* NULL when the certificate proves its statement: its epoch is the group's, ids ascend strictly and are members', at
 * least Q of them (rule 3), a prepared one holds the primary's PRE-PREPARE (rule 18), and every signature is good. Else a
 * static sentence. */
MUST_USE const char *certificate_check_prepared(const struct wire_group *g, struct signature_checker checker,
                                                const struct wire_vote_certificate *c);
MUST_USE const char *certificate_check_committed(const struct wire_group *g, struct signature_checker checker,
                                                 const struct wire_vote_certificate *c);
/* seq 0 needs no signatures: everyone starts there. */
MUST_USE const char *certificate_check_checkpoint(const struct wire_group *g, struct signature_checker checker,
                                                  const struct wire_checkpoint_certificate *c);

#endif
