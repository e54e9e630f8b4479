/* viewchange.h - what a set of VIEW-CHANGEs means (OSDI'99 section 4.4): whom to join, which batches a new view begins
 * with, whether a NEW-VIEW says the same. It collects and answers questions; it changes no slot, sends nothing, and has no
 * clock.
 *
 *        VIEW-CHANGE                        views and certificates               the core
 *   viewchange_add ---> latest[member] ---> viewchange_join        JOIN v        leaves its view
 *                            |        \---> viewchange_build       BUILD O       signs NEW-VIEW (as primary)
 *        NEW-VIEW            v
 *   viewchange_offer -> candidate[primary] -> viewchange_resolve   WAIT, FETCH, ENTER O, REJECT reason
 *
 * V, the set behind one NEW-VIEW, has exactly Q members' VIEW-CHANGEs for that view. From V alone follow (rules 1, 2, 5, 6):
 *
 *   low   the highest proven checkpoint in V
 *   high  the highest n with a counting certificate in V, or low
 *   O     for each n in (low, high]: the digest of the counting certificate for n with the highest view, or the null batch
 *
 * A certificate counts if it proves itself, is for a view below V's, and n lies in its sender's proven (h, h+L].
 */
#ifndef PBFT_VIEWCHANGE_VIEWCHANGE_H
#define PBFT_VIEWCHANGE_VIEWCHANGE_H

#include "base/image.h"
#include "base/replica_set.h"
#include "wire/verified.h"

/* A certificate of P that counts, at seq % WINDOW_BATCHES of its message. */
struct viewchange_claim {
    bool present;
    uint64_t view;
    struct digest digest;
};

/* A member's VIEW-CHANGE as far as it counts: what is unproven is absent. */
struct viewchange_message {
    struct blob *blob; /* as signed; one reference; NULL: none */
    struct digest id;  /* what the signature is over */
    uint64_t view;     /* to move to */
    uint64_t low;      /* h, proven */
    struct viewchange_claim claims[WINDOW_BATCHES];
};

/* What follows from V. */
struct viewchange_plan {
    uint64_t view;
    uint64_t low;
    uint64_t high;
    uint32_t member_count; /* Q, ids ascending */
    uint32_t members[REPLICAS_MAX];
    struct digest proposals[WINDOW_BATCHES]; /* [n - low - 1]; viewchange_null_digest() where nothing was prepared */
};

struct viewchange;
struct viewchange_backoff;

struct viewchange *viewchange_new(const struct quorum *q, uint32_t self);
void viewchange_free(struct viewchange *v);
/* Writes everything collected, or reads it into a new one of the same group. What is read indexes nothing out of range;
 * whether it could ever have been collected is not looked at. */
void viewchange_image(struct viewchange *v, struct image *i);
void viewchange_backoff_image(struct viewchange_backoff *b, struct image *i);

/* Digest of the null batch: no requests, time 0. It executes as nothing, at the time of the batch before it. */
struct digest viewchange_null_digest(void);

/* ---- VIEW-CHANGE ---- */

/* Reads one VIEW-CHANGE into *out, which then holds a reference to blob (out->blob must be NULL or one to release). good:
 * bit k for the k-th certificate of P, as msg_verify found it. Pure. */
void viewchange_read(struct blob *blob, const struct digest *id, const struct wire_view_change *m, const uint64_t *good,
                     struct viewchange_message *out);
/* Takes up a member's VIEW-CHANGE whose checkpoint is proven. The newest of each member is kept, and any that the
 * candidate NEW-VIEW names. Returns NULL, or why nothing changed. */
const char *viewchange_add(struct viewchange *v, struct blob *blob, const struct digest *id,
                           const struct wire_view_change *m, const uint64_t *good);
/* The newest of a member; its blob is NULL when there is none. */
const struct viewchange_message *viewchange_latest(const struct viewchange *v, uint32_t member);
/* A VIEW-CHANGE held, by its id: for those who fetch it. Borrowed; NULL when not held. */
struct blob *viewchange_find(const struct viewchange *v, uint32_t member, const struct digest *id);

/* The join rule (rule 16): when f+1 distinct others have asked for views above `view`, the smallest of those; else 0. */
uint64_t viewchange_join(const struct viewchange *v, uint64_t view);
/* Members whose newest VIEW-CHANGE is for this view or one above it: none of them will vote below it. */
uint32_t viewchange_count(const struct viewchange *v, uint64_t view);

/* ---- O from V ---- */

/* The rule itself: messages[0..count) are V, all for `view`, by the ascending ids in members. Pure. */
void viewchange_plan_of(uint64_t view, const struct viewchange_message *const *messages, const uint32_t *members,
                        uint32_t count, struct viewchange_plan *out);

/* As primary of `view`: chooses V among the newest VIEW-CHANGEs, own one included, such that every batch of O is held. A member
 * whose certificate wins with a batch that is not held is left out in favour of another. True: *out is it. False: too few
 * yet; the batches that stood in the way are named in missing[0..*missing_count), at most WINDOW_BATCHES. */
struct viewchange_missing {
    uint64_t seq;
    struct digest digest;
};
bool viewchange_build(const struct viewchange *v, uint64_t view,
                      bool (*held)(void *context, uint64_t seq, const struct digest *digest), void *context,
                      struct viewchange_plan *out, struct viewchange_missing *missing, uint32_t *missing_count);

/* ---- NEW-VIEW ---- */

enum viewchange_decision {
    VIEWCHANGE_WAIT,   /* no candidate */
    VIEWCHANGE_FETCH,  /* the candidate names VIEW-CHANGEs that are not here: viewchange_lacking */
    VIEWCHANGE_ENTER,  /* the candidate's O follows from its V */
    VIEWCHANGE_REJECT, /* it does not; the candidate is gone, and `reason` says why */
};

/* Takes up a verified NEW-VIEW for a view above `above`. One is kept for each sender, the newest. Returns NULL, or why
 * nothing changed. */
const char *viewchange_offer(struct viewchange *v, struct blob *blob, const struct wire_new_view *m, uint64_t above);
/* Looks at the candidate: the one with the lowest view above `above`, or another after viewchange_rotate. ENTER fills
 * *out; *m is the candidate's message, which borrows from a blob that lives until the next call here. */
enum viewchange_decision viewchange_resolve(struct viewchange *v, uint64_t above, struct viewchange_plan *out,
                                            struct wire_new_view *m, const char **reason);
/* Whether the candidate's VIEW-CHANGE of this member is still to be fetched; its id. */
bool viewchange_lacking(const struct viewchange *v, uint32_t member, struct digest *id);
/* The candidate could not be resolved for long: the next one. A liar's candidate hides no other. */
void viewchange_rotate(struct viewchange *v);
/* Changes whenever another candidate is looked at. */
uint64_t viewchange_candidate_number(const struct viewchange *v);
/* The candidate's message as signed, and the VIEW-CHANGE that it names of a member (NULL when it names none or it is not
 * here). Borrowed. */
struct blob *viewchange_candidate(const struct viewchange *v);
struct blob *viewchange_named(const struct viewchange *v, uint32_t member);

/* ---- the V of the view entered: kept for those who come later (rule 15) ---- */

/* Keeps what the plan of viewchange_build names, or what the resolved candidate names; the candidate is gone then. */
void viewchange_keep_built(struct viewchange *v, const struct viewchange_plan *plan);
void viewchange_keep_candidate(struct viewchange *v);
/* One that was found in the data directory. */
void viewchange_restore_kept(struct viewchange *v, uint32_t member, struct blob *blob, const struct digest *id);
/* Borrowed; NULL when none of this member is kept. */
struct blob *viewchange_kept(const struct viewchange *v, uint32_t member);

/* ---- back-off (rule 17) ---- */

struct viewchange_backoff {
    uint64_t base_us;
    uint64_t cap_us;
    uint64_t now_us;       /* the time-out in force */
    uint32_t executed;     /* batches in a view without a time-out since the last change here */
};
#define VIEWCHANGE_BATCHES_TO_SHRINK 16u
void viewchange_backoff_start(struct viewchange_backoff *b, uint64_t base_us, uint64_t cap_us);
void viewchange_backoff_failed(struct viewchange_backoff *b);   /* doubled, up to the cap */
void viewchange_backoff_executed(struct viewchange_backoff *b); /* every 16 batches: halved, down to the base */

#endif
