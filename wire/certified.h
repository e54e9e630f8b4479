/* certified.h - whether an answer proves itself: what one replica says that a key holds at a stable checkpoint, with the path in
 * the state tree and that checkpoint's certificate. Whoever has the group's keys can check it, and need not believe the
 * replica. Stateless; ledger/certified.h makes such answers. */
#ifndef PBFT_WIRE_CERTIFIED_H
#define PBFT_WIRE_CERTIFIED_H

#include "wire/certificate.h"
#include "wire/constants.h"

#define CERTIFIED_NOT_ONE_KEY "only an operation that reads one key (get of kv) can be certified"

/* The key under which the state has an application's key: the application's number before it. */
struct bytes certified_state_key(uint64_t app, struct bytes key, uint8_t space[STATE_KEY_BYTES_MAX]);
/* True when the operation is well-formed and reads the value of one key and nothing else, an absent one being NEGATIVE: get of
 * kv. *key is that of the state, in space. */
MUST_USE bool certified_reads_key(const struct wire_operation *op, uint8_t space[STATE_KEY_BYTES_MAX],
                                  struct bytes *key);
/* NULL when the RESULT proves that its outcome and value are what the operation reads at the checkpoint m->seq; else a
 * static sentence. Every byte of m may come from a liar. *known: the digest of a certificate whose signatures were good
 * before, or zero; set to that of this one. It may be NULL. */
MUST_USE const char *certified_check(const struct wire_group *g, struct signature_checker checker,
                                     const struct wire_operation *op, const struct wire_result *m,
                                     struct digest *known);

#endif
