/* promises.c - reading the records of votes and views, and verifying them. */
#include "ledger/promises.h"

#include <inttypes.h>

/* ---- votes ---- */

struct err promises_batch(const struct promise_reader *p, uint64_t seq, const struct digest *digest, struct bytes *raw,
                          uint64_t *time_ms)
{
    const struct signature_checker none = {0}; /* they were checked before the vote */
    struct batch_view view = {.valid = false};
    ERR_TRY(log_get_batch(p->log, seq, digest, raw));
    const char *fault = batch_open(p->group, none, *raw, &view);
    if (fault == NULL) fault = view.fault;
    if (fault == NULL && !digest_equal(&view.digest, digest)) fault = "it has another digest";
    if (fault != NULL)
        return err_make(ERR_CORRUPT, "the stored batch of sequence %" PRIu64 " is damaged: %s", seq, fault);
    if (time_ms != NULL) *time_ms = view.batch.time_ms;
    return err_none();
}

bool promises_proposal_good(const struct promise_reader *p, const struct wire_stored_vote *vote)
{
    const struct wire_group *g = p->group;
    const uint32_t primary = quorum_primary(&g->quorum, vote->view);
    const struct wire_pre_prepare m = {
        .epoch = g->epoch, .sender = primary, .view = vote->view, .seq = vote->seq, .digest = vote->digest};
    struct verify_item item = {.key = g->members[primary], .signature = vote->signature};
    item.digest = wire_record_signing_digest(&g->id, &wire_record_pre_prepare, &m);
    return p->checker.check(p->checker.context, &item);
}

/* ---- views ---- */

struct err promises_message(const struct promise_reader *p, struct bytes raw, const char *what,
                            struct msg_verified *verified, struct blob **out)
{
    struct blob *message = blob_copy(raw);
    const char *fault = msg_verify(p->group, p->checker, blob_retain(message), verified);
    if (fault == NULL && verified->msg.type == WIRE_TYPE_view_change && !verified->checkpoint_good)
        fault = "its checkpoint is not proven";
    msg_verified_release(verified); /* what it names stays, by *out */
    if (fault != NULL) {
        blob_release(message);
        return err_make(ERR_CORRUPT, "the stored %s is damaged: %s", what, fault);
    }
    *out = message;
    return err_none();
}

struct err promises_view(const struct promise_reader *p, uint64_t *view, struct blob **view_change)
{
    struct bytes raw;
    struct msg_verified m;
    struct blob *message;
    uint64_t stored;
    ERR_TRY(log_get_view(p->log, &stored));
    const struct err none = log_get_view_left(p->log, &raw);
    if (none.code == ERR_NOT_FOUND) {
        *view = stored;
        *view_change = NULL;
        return err_none();
    }
    if (err_is(&none)) return none;
    ERR_TRY(promises_message(p, raw, "own VIEW-CHANGE", &m, &message));
    if (m.msg.type != WIRE_TYPE_view_change || m.msg.view_change.sender != p->self || m.msg.view_change.view != stored) {
        blob_release(message);
        return err_make(ERR_CORRUPT, "the stored own VIEW-CHANGE is another's or for another view than %" PRIu64, stored);
    }
    *view = stored;
    *view_change = message;
    return err_none();
}

struct err promises_new_view(const struct promise_reader *p, const uint64_t *view, bool left, struct blob **out,
                             struct wire_new_view *message)
{
    struct bytes raw;
    struct msg_verified m;
    struct blob *found;
    const struct err e = log_get_new_view(p->log, &raw);
    if (e.code == ERR_NOT_FOUND) {
        if (view != NULL && *view > 0 && !left)
            return err_make(ERR_CORRUPT, "the NEW-VIEW of view %" PRIu64 " is missing", *view);
        *out = NULL;
        return err_none();
    }
    if (err_is(&e)) return e;
    ERR_TRY(promises_message(p, raw, "NEW-VIEW", &m, &found));
    const uint64_t entered = m.msg.type == WIRE_TYPE_new_view ? m.msg.new_view.view : SEQ_MAX;
    if (m.msg.type != WIRE_TYPE_new_view || (view != NULL && (entered > *view || (!left && entered != *view)))) {
        blob_release(found);
        return err_make(ERR_CORRUPT, "the stored NEW-VIEW is another message, or for another view than the record says");
    }
    *out = found;
    *message = m.msg.new_view;
    return err_none();
}
