/* certified.h - reads that prove themselves: what one replica answers from the state of its last stable checkpoint, with
 * the path in the state tree and the certificate of that checkpoint. Whoever has the group's keys can check it, and need
 * not believe the replica; the price is the age of that checkpoint. Operations that read one key alone can be proven
 * (app.h, app_reads_key). */
#ifndef PBFT_LEDGER_CERTIFIED_H
#define PBFT_LEDGER_CERTIFIED_H

#include "ledger/executor.h"

#define CERTIFIED_NOT_ONE_KEY "only an operation that reads one key (get of kv) can be certified"

/* An answer, as the RESULT carries it. */
struct certified_answer {
    enum outcome outcome; /* REFUSED: value is a sentence that says why, and there is no proof */
    struct buffer value;
    struct blob *proof; /* an encoded state_proof, or NULL */
    uint64_t seq;       /* of the checkpoint; 0 when refused */
};
void certified_answer_release(struct certified_answer *a);

/* Answers a read from the executor's base. certificate: that of the base's checkpoint, encoded, or NULL while none is
 * known. Errors: as state_prove, and ERR_CORRUPT when the tree does not prove what the data holds: the process must end. */
MUST_USE struct err certified_make(struct executor *e, const struct blob *certificate, const struct wire_operation *op,
                                   struct certified_answer *out);

/* NULL when the RESULT, not REFUSED, proves that its outcome and value are what the operation reads at the checkpoint
 * m->seq; else a static sentence. Every byte of m may come from a liar. *known: the digest of a certificate whose
 * signatures were good before, or zero; set to that of this one. It may be NULL. */
MUST_USE const char *certified_check(const struct wire_group *g, struct signature_checker checker,
                                     const struct wire_operation *op, const struct wire_result *m,
                                     struct digest *known);

#endif
