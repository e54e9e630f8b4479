/* log_store.h - the first environment: votes, certificates, batches, blocks, checkpoints (design.md section 7).
 *
 *   table         key                     value
 *   meta          "identity"              store_identity
 *                 "view"                  view entered or left for, 8 bytes, and a check
 *                 "view-change"           own VIEW-CHANGE for that view, until the view is entered
 *                 "new-view"              NEW-VIEW of the last view entered; absent in view 0
 *                 "clean"                 present after a clean stop
 *                 "fence"                 fenced until this sequence is stable, 8 bytes; 0: until when is not known yet.
 *                                         Why, enum fence_reason, 8 bytes; and a check
 *                 "stable"                checkpoint_certificate: the low watermark
 *                 "gap"                   lowest and highest block (8 bytes each) that are not here, because the state was
 *                                         transferred, or not to be trusted; absent when there is none.
 *                                         One that came out of turn is here all the same
 *                 "evidence", member (8),  evidence: the first record of that kind against that member
 *                   kind (8)
 *   blocks        seq (8 bytes)           stored_block
 *   batches       seq (8), digest (32)    encoded batch; more than one for a seq only above the low watermark
 *   certificates  seq (8)                 vote_certificate, prepared; only above the low watermark
 *   votes         seq (8)                 stored_vote; only after a clean stop
 *   checkpoints   seq (8)                 checkpoint_certificate of every stable checkpoint seen
 *   view_changes  member (8)              the VIEW-CHANGE that "new-view" names of it
 *
 * A check is the first 8 bytes of a SHA-256 over key and value: LMDB has none, and these are promises that nobody else keeps.
 *
 * Functions that write put operations into a kv_batch; the caller applies it, grouping what waits into one sync.
 */
#ifndef PBFT_LEDGER_LOG_STORE_H
#define PBFT_LEDGER_LOG_STORE_H

#include "ledger/executor.h"
#include "ledger/kv_store.h"
#include "wire/codec.h"

#define LOG_STORE_FORMAT 4u

enum log_table {
    LOG_TABLE_META,
    LOG_TABLE_BLOCKS,
    LOG_TABLE_BATCHES,
    LOG_TABLE_CERTIFICATES,
    LOG_TABLE_VOTES,
    LOG_TABLE_CHECKPOINTS,
    LOG_TABLE_VIEW_CHANGES,
    LOG_TABLE_COUNT
};
extern const char *const log_table_names[LOG_TABLE_COUNT];

/* ---- writing ---- */

void log_put_identity(struct kv_batch *b, const struct wire_store_identity *identity);
void log_put_view(struct kv_batch *b, uint64_t view);
void log_put_clean(struct kv_batch *b);
void log_delete_clean(struct kv_batch *b);
void log_put_fence(struct kv_batch *b, uint64_t until, enum fence_reason reason);
/* What was promised about views is lost: `view` is what the rest of the record says, the own VIEW-CHANGE goes, and the fence
 * that follows from that comes. */
void log_put_view_lost(struct kv_batch *b, uint64_t view);
/* The view was left for `view`; record: the own VIEW-CHANGE, as signed. */
void log_put_view_left(struct kv_batch *b, uint64_t view, struct bytes record);
/* A VIEW-CHANGE that the NEW-VIEW to be put names. */
void log_put_view_change(struct kv_batch *b, uint64_t member, struct bytes record);
/* `view` was entered; record: its NEW-VIEW, as signed. */
void log_put_new_view(struct kv_batch *b, uint64_t view, struct bytes record);
/* record: encoded vote_certificate; batch without data: it is there already. */
void log_put_prepared(struct kv_batch *b, uint64_t seq, const struct digest *digest, struct bytes record,
                      struct bytes batch);
void log_put_vote(struct kv_batch *b, uint64_t seq, const struct digest *digest, struct bytes record,
                  struct bytes batch);
/* A block and its batch, unless batch.data is NULL because it is there already. committed: encoded vote_certificate. */
void log_put_block(struct kv_batch *b, const struct executed_block *block, struct bytes committed, struct bytes batch);
/* The checkpoint at seq is stable: keeps the certificate, and drops prepared certificates, votes and batches of no
 * block at or below seq. The blocks up to seq must be in this batch's past (design.md 7.7). */
MUST_USE struct err log_put_stable(struct kv_store *s, struct kv_batch *b, uint64_t seq, struct bytes record);

/* The same for a state that was transferred to seq: the blocks below it need not be here. */
MUST_USE struct err log_put_transferred(struct kv_store *s, struct kv_batch *b, uint64_t seq, struct bytes record);

/* A block of the gap: what its execution gave stands in `entries`. gap_low: it is the highest, and the gap ends below it from here
 * on; 0: it comes out of turn, and the record of the gap stays. checkpoint: its encoded certificate, or no data. */
void log_put_past_block(struct kv_batch *b, uint64_t gap_low, const struct wire_header *header,
                        const struct wire_vote_certificate *committed, struct wire_list entries, struct bytes checkpoint,
                        struct bytes batch);

/* record: encoded evidence against a member, of a kind (enum evidence_kind). Checked by the caller. */
void log_put_evidence(struct kv_batch *b, uint64_t member, uint64_t kind, struct bytes record);

/* For what is repaired from others (ledger/ledger_check.h): the record of the missing blocks; low 0: there are none. */
void log_put_gap(struct kv_batch *b, uint64_t low, uint64_t high);
/* Deletes the records, not the batches, of those blocks low to high that are here. */
MUST_USE struct err log_delete_blocks(struct kv_store *s, struct kv_batch *b, uint64_t low, uint64_t high);
/* Puts the stable checkpoint and its copy among the checkpoints, and touches nothing else. */
void log_put_stable_again(struct kv_batch *b, uint64_t seq, struct bytes record);

/* ---- reading: borrowed until the next apply ---- */

/* ERR_CORRUPT when absent, or when it fails its check. */
MUST_USE struct err log_get_identity(struct kv_store *s, struct wire_store_identity *out);
MUST_USE struct err log_get_view(struct kv_store *s, uint64_t *out);
/* The messages as signed, not decoded. ERR_NOT_FOUND when there is none. */
MUST_USE struct err log_get_view_left(struct kv_store *s, struct bytes *out);
MUST_USE struct err log_get_new_view(struct kv_store *s, struct bytes *out);
MUST_USE struct err log_get_view_change(struct kv_store *s, uint64_t member, struct bytes *out);
bool log_is_clean(struct kv_store *s);
/* *reason is FENCE_REASON_NONE when no fence was ever put. ERR_CORRUPT when it fails its check. */
MUST_USE struct err log_get_fence(struct kv_store *s, uint64_t *until, enum fence_reason *reason);
/* A certificate of seq 0, of no epoch, when there is none yet. */
MUST_USE struct err log_get_stable(struct kv_store *s, struct wire_checkpoint_certificate *out);
/* Highest block; 0 when there is none. */
MUST_USE struct err log_last_block(struct kv_store *s, uint64_t *out);
/* The blocks [*low, *high] are not here; *low is 0 when none is missing. ERR_CORRUPT. */
MUST_USE struct err log_get_gap(struct kv_store *s, uint64_t *low, uint64_t *high);
/* A block that the record of the gap names; false too when that cannot be read. */
bool log_in_gap(struct kv_store *s, uint64_t seq);
/* ERR_NOT_FOUND, ERR_CORRUPT. */
MUST_USE struct err log_get_block(struct kv_store *s, uint64_t seq, struct wire_stored_block *out);
MUST_USE struct err log_get_batch(struct kv_store *s, uint64_t seq, const struct digest *digest, struct bytes *out);
MUST_USE struct err log_get_checkpoint(struct kv_store *s, uint64_t seq, struct wire_checkpoint_certificate *out,
                                       struct bytes *raw);
/* As it was put, not looked at. ERR_NOT_FOUND when there is none. */
MUST_USE struct err log_get_evidence(struct kv_store *s, uint64_t member, uint64_t kind, struct bytes *out);
/* Where a walk over certificates or votes is. */
struct log_place {
    uint64_t seq;      /* of the key */
    const char *fault; /* NULL, or why the record is damaged (a static sentence) and was not given */
};
/* The first prepared certificate, or vote, with a key >= from: a damaged one is an answer too, so that a walk can go on
 * behind it. ERR_NOT_FOUND at the end; ERR_CORRUPT when a key is no sequence: the table itself is damaged. */
MUST_USE struct err log_next_prepared(struct kv_store *s, uint64_t from, struct log_place *at,
                                      struct wire_vote_certificate *out);
MUST_USE struct err log_next_vote(struct kv_store *s, uint64_t from, struct log_place *at,
                                  struct wire_stored_vote *out);

#endif
