/* promises.h - the records of what a replica has promised, read from the log as its start and the check of a stopped one
 * read them: each is verified, for LMDB has no checksums. What a function gives out borrows from the log until its next
 * apply, blobs apart: one reference each.
 */
#ifndef PBFT_LEDGER_PROMISES_H
#define PBFT_LEDGER_PROMISES_H

#include "ledger/log_store.h"
#include "wire/verified.h"

/* What is read, and how it is checked. */
struct promise_reader {
    struct kv_store *log;
    const struct wire_group *group;
    struct signature_checker checker;
    uint32_t self;
};

/* A stored batch, which must be the one of its digest and fit to be executed. *time_ms may be NULL. ERR_NOT_FOUND,
 * ERR_CORRUPT. */
MUST_USE struct err promises_batch(const struct promise_reader *p, uint64_t seq, const struct digest *digest,
                                   struct bytes *raw, uint64_t *time_ms);
/* The PRE-PREPARE that the vote was for, as its primary signed it. */
MUST_USE bool promises_proposal_good(const struct promise_reader *p, const struct wire_stored_vote *vote);
/* A message of the view change, verified as if it had come from a peer; *verified borrows from *out. ERR_CORRUPT. */
MUST_USE struct err promises_message(const struct promise_reader *p, struct bytes raw, const char *what,
                                     struct msg_verified *verified, struct blob **out);
/* The view, and the own VIEW-CHANGE while that view is left for; else *view_change is NULL. ERR_CORRUPT: what was promised
 * about views is lost (rule 13). */
MUST_USE struct err promises_view(const struct promise_reader *p, uint64_t *view, struct blob **view_change);
/* The NEW-VIEW by which the last view was entered; NULL: none since view 0. view: what promises_view gave, left: with a
 * VIEW-CHANGE; NULL: that is lost, and any view will do. ERR_CORRUPT. */
MUST_USE struct err promises_new_view(const struct promise_reader *p, const uint64_t *view, bool left,
                                      struct blob **out, struct wire_new_view *message);

#endif
