/* certified.h - answers that prove themselves (wire/certified.h): from the state of the last stable checkpoint, whose
 * age is the price. */
#ifndef PBFT_LEDGER_CERTIFIED_H
#define PBFT_LEDGER_CERTIFIED_H

#include "ledger/executor.h"
#include "wire/certified.h"

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

#endif
