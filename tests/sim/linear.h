/* linear.h - is a history of the key-value application linearizable? (docs/adversary.md, invariant 6)
 *
 * A history is a list of operations with the times at which their clients began and ended them, and what came of them.
 * Each key is a register of its own, and linearizability is local: keys are judged one by one (Herlihy and Wing, TOPLAS
 * 1990). For each there is first the order that the group claims (block and index), which is believed as far as it fits
 * times and results; if it does not fit, or is not given, all orders are searched (Wing and Gong; Lowe's memory of what
 * was tried), up to a bound.
 *
 * Shares no code with core or executor. */
#ifndef PBFT_TESTS_SIM_LINEAR_H
#define PBFT_TESTS_SIM_LINEAR_H

#include "base/bytes.h"
#include "base/err.h"

#define LINEAR_STEPS 2000000u /* of one key's search, before it is given up as unchecked */

enum linear_verb { LINEAR_PUT, LINEAR_GET, LINEAR_DELETE, LINEAR_CAS };

/* Text is kept by the history. Times in us, of one clock for all. */
struct linear_operation {
    enum linear_verb verb;
    const char *client;
    const char *key;
    const char *value;  /* PUT, CAS: the new one */
    const char *expect; /* CAS: the old one; NULL: none must be there */
    uint64_t invoke_us;
    uint64_t complete_us; /* UINT64_MAX: never, as far as the client knows; then it took effect at any time, or not */
    bool negative;        /* GET, DELETE: nothing was there; CAS: another was */
    const char *result;   /* GET: what was there; CAS that was negative: the same, or NULL when it is not known */
    bool placed;          /* the group says where: */
    uint64_t block;
    uint64_t index;
};

struct linear_history;
struct linear_history *linear_new(void);
void linear_free(struct linear_history *h);
/* Copies it. */
void linear_add(struct linear_history *h, const struct linear_operation *op);
uint64_t linear_count(const struct linear_history *h);
/* In the order in which they were added; NULL past the last. Borrowed until the next one is added. */
const struct linear_operation *linear_at(const struct linear_history *h, uint64_t index);

enum linear_verdict { LINEAR_HOLDS, LINEAR_BROKEN, LINEAR_UNCHECKED };
/* What is wrong, or what could not be checked, as a sentence. steps: LINEAR_STEPS. */
enum linear_verdict linear_judge(const struct linear_history *h, uint64_t steps, char *text, size_t text_bytes);

/* The file format, a JSON object on each line (docs/adversary.md). Reading: ERR_USAGE, with the line. */
MUST_USE struct err linear_read(const char *path, struct linear_history *h);
void linear_write(const struct linear_history *h, struct buffer *out);

#endif
