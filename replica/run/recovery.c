/* recovery.c - reading back what a replica promised. */
#include "replica/run/recovery.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdlib.h>

/* A stored batch, which must be the one of its digest and fit to be executed: LMDB has no checksums. *time_ms may be
 * NULL. */
static struct err read_batch(struct data_dir *d, const struct wire_group *g, uint64_t seq, const struct digest *digest,
                             struct bytes *raw, uint64_t *time_ms)
{
    const struct signature_checker none = {0}; /* they were checked before the vote */
    struct batch_view view = {.valid = false};
    ERR_TRY(log_get_batch(d->log, seq, digest, raw));
    const char *fault = batch_open(g, none, *raw, &view);
    if (fault == NULL) fault = view.fault;
    if (fault == NULL && !digest_equal(&view.digest, digest)) fault = "it has another digest";
    if (fault != NULL) return err_make(ERR_CORRUPT, "the stored batch of sequence %" PRIu64 " is damaged: %s", seq, fault);
    if (time_ms != NULL) *time_ms = view.batch.time_ms;
    return err_none();
}

/* Executes the stored blocks above the base again, and checks that the same headers come out. */
static struct err rebuild(struct data_dir *d, struct executor *e, const struct wire_group *g, uint64_t last,
                          struct recovery *r)
{
    for (uint64_t seq = executor_executed(e) + 1; seq <= last; seq++) {
        struct wire_stored_block stored;
        struct executed_block *block;
        struct bytes batch;
        ERR_TRY(log_get_block(d->log, seq, &stored));
        ERR_TRY(read_batch(d, g, seq, &stored.header.batch_digest, &batch, NULL));
        ERR_TRY(executor_execute(e, seq, batch, &stored.header.batch_digest, &block));
        const bool same = wire_compare_record(&wire_record_header, &block->header, &stored.header) == 0;
        if (block->checkpoint && seq > r->recovered.stable.seq &&
            r->recovered.checkpoint_count < WINDOW_BATCHES / CHECKPOINT_INTERVAL)
            r->checkpoints[r->recovered.checkpoint_count++] = (struct core_recovered_checkpoint){
                .seq = seq, .header_hash = block->header_hash, .state_root = block->state_root};
        executed_block_free(block);
        if (!same)
            return err_make(ERR_CORRUPT,
                            "block %" PRIu64 " executed again gives another header than the stored one: the state or the "
                            "block is damaged",
                            seq);
        r->blocks_executed++;
    }
    return err_none();
}

static struct err recover_stable(struct data_dir *d, const struct wire_group *g, struct signature_checker checker,
                                 struct recovery *r)
{
    struct wire_checkpoint_certificate stored;
    ERR_TRY(log_get_stable(d->log, &stored));
    const char *fault = certificate_check_checkpoint(g, checker, &stored);
    if (fault != NULL)
        return err_make(ERR_CORRUPT, "the stored stable checkpoint %" PRIu64 " proves nothing: %s", stored.seq, fault);
    r->stable = wire_encode_blob(&wire_record_checkpoint_certificate, &stored);
    CHECK(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(r->stable), &r->recovered.stable) ==
          NULL);
    return err_none();
}

static struct core_recovered_slot *slot_at(struct recovery *r, uint64_t seq)
{
    for (uint32_t i = 0; i < r->recovered.slot_count; i++)
        if (r->slots[i].seq == seq) return &r->slots[i];
    CHECK_OP(r->recovered.slot_count, <, WINDOW_BATCHES);
    struct core_recovered_slot *s = &r->slots[r->recovered.slot_count++];
    s->seq = seq;
    return s;
}

static struct err attach_batch(struct data_dir *d, const struct wire_group *g, struct core_recovered_slot *s)
{
    struct bytes raw;
    if (s->batch != NULL) return err_none();
    ERR_TRY(read_batch(d, g, s->seq, &s->digest, &raw, &s->time_ms));
    s->batch = blob_copy(raw);
    return err_none();
}

static bool in_window(const struct recovery *r, uint64_t seq)
{
    return seq > r->recovered.stable.seq && seq <= r->recovered.stable.seq + WINDOW_BATCHES;
}

/* The PRE-PREPARE that the vote was for, as its primary signed it. */
static bool proposal_good(const struct wire_group *g, struct signature_checker checker,
                          const struct wire_stored_vote *vote)
{
    const uint32_t primary = quorum_primary(&g->quorum, vote->view);
    const struct wire_pre_prepare m = {
        .epoch = g->epoch, .sender = primary, .view = vote->view, .seq = vote->seq, .digest = vote->digest};
    struct verify_item item = {.key = g->members[primary], .signature = vote->signature};
    item.digest = wire_record_signing_digest(&g->id, &wire_record_pre_prepare, &m);
    return checker.check(checker.context, &item);
}

static struct err recover_votes(struct data_dir *d, const struct wire_group *g, struct signature_checker checker,
                                struct recovery *r)
{
    struct wire_stored_vote vote;
    uint64_t at = 0;
    for (;;) {
        struct err e = log_next_vote(d->log, at, &vote);
        if (e.code == ERR_NOT_FOUND) return err_none();
        if (err_is(&e)) return e;
        at = vote.seq + 1;
        if (!in_window(r, vote.seq) || vote.view != r->recovered.view) continue;
        if (!proposal_good(g, checker, &vote))
            return err_make(ERR_CORRUPT, "the stored vote of sequence %" PRIu64 " is for no PRE-PREPARE of its primary",
                            vote.seq);
        struct core_recovered_slot *s = slot_at(r, vote.seq);
        s->digest = vote.digest;
        s->proposal = vote.signature;
        ERR_TRY(attach_batch(d, g, s));
    }
}

static struct err recover_certificates(struct data_dir *d, const struct wire_group *g,
                                       struct signature_checker checker, struct recovery *r)
{
    struct wire_vote_certificate stored;
    uint64_t at = 0;
    for (;;) {
        struct err e = log_next_prepared(d->log, at, &stored);
        if (e.code == ERR_NOT_FOUND) return err_none();
        if (err_is(&e)) return e;
        at = stored.seq + 1;
        if (!in_window(r, stored.seq) || stored.view != r->recovered.view) continue;
        const char *fault = certificate_check_prepared(g, checker, &stored);
        if (fault != NULL)
            return err_make(ERR_CORRUPT, "the stored prepared certificate of sequence %" PRIu64 " proves nothing: %s",
                            stored.seq, fault);
        struct core_recovered_slot *s = slot_at(r, stored.seq);
        const uint64_t k = stored.seq % WINDOW_BATCHES;
        if (s->batch != NULL && !digest_equal(&s->digest, &stored.digest))
            return err_make(ERR_CORRUPT, "the stored vote and certificate of sequence %" PRIu64 " contradict each other",
                            stored.seq);
        s->digest = stored.digest;
        blob_release(r->certificates[k]);
        r->certificates[k] = wire_encode_blob(&wire_record_vote_certificate, &stored);
        CHECK(wire_decode_record(&wire_record_vote_certificate, blob_bytes(r->certificates[k]), &s->prepared) == NULL);
        s->certificate = true;
        ERR_TRY(attach_batch(d, g, s));
    }
}

static void recover_windows(struct executor *e, struct recovery *r)
{
    const uint32_t count = executor_client_count(e);
    r->windows = mem_zero(count + 1u, sizeof *r->windows);
    for (uint32_t i = 0; i < count; i++) {
        const struct client_window *w = executor_window(e, i);
        r->windows[i].highest_settled = w->highest_settled;
        for (uint64_t k = 0; k < CLIENT_WINDOW && k < w->highest_settled; k++)
            if (window_find(w, w->highest_settled - k) != NULL)
                r->windows[i].settled |= 1ull << ((w->highest_settled - k) % CLIENT_WINDOW);
    }
    r->recovered.windows = r->windows;
}

struct err recovery_run(struct data_dir *d, struct executor *e, const struct wire_group *g,
                        struct signature_checker checker, struct recovery *out)
{
    uint64_t last = 0;
    *out = (struct recovery){0};
    out->slots = mem_zero(WINDOW_BATCHES, sizeof *out->slots);
    out->certificates = mem_zero(WINDOW_BATCHES, sizeof(struct blob *));
    struct core_recovered *r = &out->recovered;
    struct err error = log_get_view(d->log, &r->view);
    r->clean = log_is_clean(d->log);
    if (!err_is(&error)) error = recover_stable(d, g, checker, out);
    if (!err_is(&error)) error = log_last_block(d->log, &last);
    if (!err_is(&error) && (last < executor_executed(e) || last < r->stable.seq))
        error = err_make(ERR_CORRUPT,
                         "the blocks end at %" PRIu64 ", but the state stands at %" PRIu64
                         " and the stable checkpoint at %" PRIu64,
                         last, executor_executed(e), r->stable.seq);
    if (!err_is(&error)) error = rebuild(d, e, g, last, out);
    if (!err_is(&error) && r->stable.seq > executor_base(e)) error = executor_fold(e, r->stable.seq);
    if (!err_is(&error) && r->clean) error = recover_votes(d, g, checker, out);
    if (!err_is(&error)) error = recover_certificates(d, g, checker, out);
    if (error.code == ERR_NOT_FOUND) error.code = ERR_CORRUPT; /* what should be here is not */
    if (err_is(&error)) {
        recovery_free(out);
        return error;
    }
    recover_windows(e, out);
    const struct wire_header header = executor_header(e);
    r->executed = executor_executed(e);
    r->executed_time_ms = header.time_ms;
    r->slots = out->slots;
    r->checkpoints = out->checkpoints;
    return err_none();
}

void recovery_free(struct recovery *r)
{
    for (uint32_t i = 0; r->slots != NULL && i < WINDOW_BATCHES; i++)
        blob_release(r->slots[i].batch);
    for (uint32_t i = 0; r->certificates != NULL && i < WINDOW_BATCHES; i++)
        blob_release(r->certificates[i]);
    blob_release(r->stable);
    free(r->slots);
    free(r->certificates);
    free(r->windows);
    *r = (struct recovery){0};
}
