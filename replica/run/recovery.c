/* recovery.c - reading back what a replica promised.
 *
 * Damage to what others can give again or prove (blocks, their batches, the state, checkpoints) is ERR_CORRUPT: there is nothing
 * to build on, and node.c has the state transferred, or refuses the start. A damaged record of the replica's own votes,
 * which nobody else has, is not: it is left out, and the replica is fenced, for it may have cast a vote it no longer knows. */
#include "replica/run/recovery.h"

#include "base/check.h"
#include "base/log.h"
#include "ledger/promises.h"
#include "ledger/state_transfer.h"

#include <inttypes.h>
#include <stdlib.h>

#define RECOVERED_SLOTS_MAX (2u * WINDOW_BATCHES) /* a vote of this view and a certificate of an earlier one each */

struct source {
    struct data_dir *dir;
    const struct wire_group *group;
    struct signature_checker checker;
    struct promise_reader promises; /* of the same */
};

/* Rule 20. What is of another epoch than the group's is neither damaged nor usable. */
static struct err check_epoch(const struct source *in, const char *what, uint64_t seq, uint64_t epoch)
{
    if (epoch == in->group->epoch) return err_none();
    return err_make(ERR_CORRUPT,
                    "the stored %s %" PRIu64 " is of epoch %" PRIu64 ", but the group is in epoch %" PRIu64
                    ": group file and data directory do not belong together",
                    what, seq, epoch, in->group->epoch);
}

/* What Q members signed at a checkpoint must be what this replica has there. One that never was stable by itself has no
 * certificate: it is below one that has, and a fault shows there. */
static struct err check_checkpoint(const struct source *in, const struct recovery *r, uint64_t seq,
                                   const struct digest *header, const struct digest *root)
{
    struct wire_checkpoint_certificate proven = r->recovered.stable;
    struct bytes raw;
    if (seq != proven.seq) {
        const struct err e = log_get_checkpoint(in->dir->log, seq, &proven, &raw);
        if (e.code == ERR_NOT_FOUND) return err_none();
        if (err_is(&e)) return err_wrap(e, "checkpoint %" PRIu64, seq);
        const char *fault = certificate_check_checkpoint(in->group, in->checker, &proven);
        if (fault == NULL && proven.seq != seq) fault = "it is of another sequence than its key";
        if (fault != NULL)
            return err_make(ERR_CORRUPT, "the stored certificate of checkpoint %" PRIu64 " proves nothing: %s", seq,
                            fault);
    }
    if (!digest_equal(&proven.header_hash, header))
        return err_make(ERR_CORRUPT,
                        "this replica's block %" PRIu64 " is not the one that a quorum signed as checkpoint: its data "
                        "directory is damaged; move it away and make a new one with pbftd --config FILE --init",
                        seq);
    if (!digest_equal(&proven.state_root, root))
        return err_make(ERR_CORRUPT,
                        "this replica's state at checkpoint %" PRIu64
                        " has another root than a quorum signed: the state "
                        "is damaged; move the data directory away and make a new one with pbftd --config FILE --init",
                        seq);
    return err_none();
}

/* The state as it is stored claims to be at a checkpoint: that must be a proven one, at or below the stable one. */
static struct err check_base(const struct source *in, const struct executor *e, const struct recovery *r)
{
    const uint64_t base = executor_base(e);
    if (base > r->recovered.stable.seq)
        return err_make(ERR_CORRUPT,
                        "the state stands at checkpoint %" PRIu64 ", above the last stable one, %" PRIu64
                        ": log and state do not belong together",
                        base, r->recovered.stable.seq);
    if (base == 0) return err_none(); /* where all begin; no certificate says more */
    const struct wire_header header = executor_header(e);
    const struct digest hash = header_hash(&header);
    const struct digest root = executor_base_root(e);
    return check_checkpoint(in, r, base, &hash, &root);
}

/* A block that came out of executing again, against the stored one and what is proven of it. */
static struct err check_block(const struct source *in, const struct executed_block *block,
                              const struct wire_header *stored, struct recovery *r)
{
    const uint64_t seq = stored->seq;
    if (wire_compare_record(&wire_record_header, &block->header, stored) != 0)
        return err_make(ERR_CORRUPT,
                        "block %" PRIu64 " executed again gives another header than the stored one: the state or the "
                        "block is damaged",
                        seq);
    if (!block->checkpoint) return err_none();
    ERR_TRY(check_checkpoint(in, r, seq, &block->header_hash, &block->state_root));
    if (seq > r->recovered.stable.seq && r->recovered.checkpoint_count < WINDOW_BATCHES / CHECKPOINT_INTERVAL)
        r->checkpoints[r->recovered.checkpoint_count++] = (struct core_recovered_checkpoint){
            .seq = seq, .header_hash = block->header_hash, .state_root = block->state_root};
    return err_none();
}

/* Executes the stored blocks above the base again, and checks that the same headers come out. */
static struct err rebuild(const struct source *in, struct executor *e, uint64_t last, struct recovery *r)
{
    for (uint64_t seq = executor_executed(e) + 1; seq <= last; seq++) {
        struct wire_stored_block stored;
        struct executed_block *block;
        struct bytes batch;
        ERR_TRY(log_get_block(in->dir->log, seq, &stored));
        ERR_TRY(check_epoch(in, "block", seq, stored.header.epoch));
        ERR_TRY(promises_batch(&in->promises, seq, &stored.header.batch_digest, &batch, NULL));
        struct err done = executor_execute(e, seq, batch, &stored.header.batch_digest, &block);
        if (done.code == ERR_NO_SPACE) { /* the state is far behind: an old copy of it */
            ERR_TRY(executor_fold(e, r->recovered.stable.seq));
            done = executor_execute(e, seq, batch, &stored.header.batch_digest, &block);
        }
        if (err_is(&done)) return done;
        const struct err fault = check_block(in, block, &stored.header, r);
        executed_block_free(block);
        if (err_is(&fault)) return fault;
        r->blocks_executed++;
    }
    return err_none();
}

static struct err recover_stable(const struct source *in, struct recovery *r)
{
    struct wire_checkpoint_certificate stored;
    ERR_TRY(log_get_stable(in->dir->log, &stored));
    if (stored.seq == 0) stored.epoch = in->group->epoch; /* the beginning, which every epoch takes as proven */
    ERR_TRY(check_epoch(in, "stable checkpoint", stored.seq, stored.epoch));
    const char *fault = certificate_check_checkpoint(in->group, in->checker, &stored);
    if (fault != NULL)
        return err_make(ERR_CORRUPT, "the stored stable checkpoint %" PRIu64 " proves nothing: %s", stored.seq, fault);
    r->stable = wire_encode_blob(&wire_record_checkpoint_certificate, &stored);
    CHECK(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(r->stable), &r->recovered.stable) == NULL);
    return err_none();
}

/* ---- votes and certificates ---- */

/* A vote and a certificate of this view at one sequence share a slot; a certificate of an earlier view has its own. */
static struct core_recovered_slot *slot_at(struct recovery *r, uint64_t seq)
{
    for (uint32_t i = 0; i < r->recovered.slot_count; i++)
        if (r->slots[i].seq == seq && (!r->slots[i].certificate || r->slots[i].prepared.view == r->recovered.view))
            return &r->slots[i];
    CHECK_OP(r->recovered.slot_count, <, RECOVERED_SLOTS_MAX);
    struct core_recovered_slot *s = &r->slots[r->recovered.slot_count++];
    s->seq = seq;
    return s;
}

static bool in_window(const struct recovery *r, uint64_t seq)
{
    return seq > r->recovered.stable.seq && seq <= r->recovered.stable.seq + WINDOW_BATCHES;
}

/* design.md 7.6: a vote record that fails its check. False when not the record is to blame but the store. */
static bool drop_damaged(const struct source *in, struct recovery *r, const char *what, uint64_t seq,
                         const struct err *e)
{
    const struct err store = kv_store_fault(in->dir->log);
    if (err_is(&store)) return false;
    LOG(LOG_LEVEL_ERROR, "recovery.damaged-vote", LOG_S("record", what), LOG_U("seq", seq), LOG_S("error", e->text),
        LOG_S("action", "this replica follows without a vote until a window of batches more is stable, and then takes part "
                        "again; check its disk and memory, and replace them if this happens again"));
    r->recovered.damaged = true;
    return true;
}

static struct err take_certificate(const struct source *in, const struct wire_vote_certificate *stored,
                                   struct recovery *r)
{
    struct bytes batch;
    uint64_t time_ms = 0;
    const char *fault = certificate_check_prepared(in->group, in->checker, stored);
    if (fault != NULL) return err_make(ERR_CORRUPT, "the prepared certificate proves nothing: %s", fault);
    /* only now: a damaged view would pass for another one */
    if (stored->view > r->recovered.view) return err_make(ERR_CORRUPT, "the prepared certificate is of a later view");
    if (!in_window(r, stored->seq)) return err_none();
    ERR_TRY(promises_batch(&in->promises, stored->seq, &stored->digest, &batch, &time_ms));
    struct core_recovered_slot *s = slot_at(r, stored->seq);
    const uint64_t k = stored->seq % WINDOW_BATCHES;
    s->digest = stored->digest;
    s->batch = blob_copy(batch);
    s->time_ms = time_ms;
    r->certificates[k] = wire_encode_blob(&wire_record_vote_certificate, stored);
    CHECK(wire_decode_record(&wire_record_vote_certificate, blob_bytes(r->certificates[k]), &s->prepared) == NULL);
    s->certificate = true;
    return err_none();
}

static struct err recover_certificates(const struct source *in, struct recovery *r)
{
    struct wire_vote_certificate stored;
    struct log_place at = {.seq = 0};
    for (uint64_t from = 0; at.seq < SEQ_MAX; from = at.seq + 1) { /* a damaged key may be any number */
        struct err e = log_next_prepared(in->dir->log, from, &at, &stored);
        if (e.code == ERR_NOT_FOUND) return err_none();
        if (err_is(&e)) return e;
        e = at.fault == NULL ? take_certificate(in, &stored, r) : err_make(ERR_CORRUPT, "%s", at.fault);
        if (err_is(&e) && !drop_damaged(in, r, "prepared certificate", at.seq, &e)) return e;
    }
    return err_none();
}

static struct err take_vote(const struct source *in, const struct wire_stored_vote *stored, struct recovery *r)
{
    struct bytes batch;
    uint64_t time_ms = 0;
    if (!promises_proposal_good(&in->promises, stored))
        return err_make(ERR_CORRUPT, "the vote is for no PRE-PREPARE of its primary");
    if (!in_window(r, stored->seq) || stored->view != r->recovered.view) return err_none();
    ERR_TRY(promises_batch(&in->promises, stored->seq, &stored->digest, &batch, &time_ms));
    struct core_recovered_slot *s = slot_at(r, stored->seq);
    if (s->certificate && !digest_equal(&s->digest, &stored->digest)) /* rule 12 */
        return err_make(ERR_CORRUPT, "vote and prepared certificate contradict each other");
    s->proposal = stored->signature;
    s->accepted = true;
    if (s->batch != NULL) return err_none();
    s->digest = stored->digest;
    s->batch = blob_copy(batch);
    s->time_ms = time_ms;
    return err_none();
}

/* The votes of a clean stop, all or none: with one of them damaged the stop counts as unclean. The slots of
 * certificates are there already. */
static struct err recover_votes(const struct source *in, struct recovery *r)
{
    const uint32_t certificates = r->recovered.slot_count;
    struct wire_stored_vote stored;
    struct log_place at = {.seq = 0};
    for (uint64_t from = 0; !r->recovered.damaged; from = at.seq + 1) {
        struct err e = log_next_vote(in->dir->log, from, &at, &stored);
        if (e.code == ERR_NOT_FOUND) return err_none();
        if (err_is(&e)) return e;
        e = at.fault == NULL ? take_vote(in, &stored, r) : err_make(ERR_CORRUPT, "%s", at.fault);
        if (err_is(&e) && !drop_damaged(in, r, "vote", at.seq, &e)) return e;
    }
    while (r->recovered.slot_count > certificates) { /* one is damaged */
        struct core_recovered_slot *s = &r->slots[--r->recovered.slot_count];
        blob_release(s->batch);
        *s = (struct core_recovered_slot){0};
    }
    return err_none();
}

/* ---- view changes ---- */

/* Those that the NEW-VIEW names and that are whole; others can be fetched from the other members. */
static void recover_kept(const struct source *in, const struct wire_new_view *new_view, struct recovery *r)
{
    struct wire_iterator i = wire_list_start(new_view->view_changes);
    struct wire_view_change_ref ref;
    while (wire_list_next(&i, &wire_record_view_change_ref, &ref)) {
        struct bytes raw;
        struct msg_verified m;
        if (ref.id >= REPLICAS_MAX || r->kept[ref.id] != NULL) continue;
        struct err e = log_get_view_change(in->dir->log, ref.id, &raw);
        if (!err_is(&e)) e = promises_message(&in->promises, raw, "VIEW-CHANGE of another member", &m, &r->kept[ref.id]);
        const bool right = !err_is(&e) && m.msg.type == WIRE_TYPE_view_change && digest_equal(&m.id, &ref.digest);
        if (right) continue;
        blob_release(r->kept[ref.id]);
        r->kept[ref.id] = NULL;
    }
}

/* design.md 7.6: what it promised about views is lost. In one transaction the damaged record goes and the fence comes: the next
 * start would find neither the one nor a reason for the other. */
static struct err put_view_lost(const struct source *in, const struct recovery *r)
{
    struct kv_batch *b = kv_batch_new();
    log_put_view_lost(b, r->recovered.view);
    const struct err e = kv_store_apply(in->dir->log, b);
    kv_batch_free(b);
    return e;
}

/* Where this replica stood between views. A fence makes it listen for its own VIEW-CHANGE: the others show it the one that they
 * hold, and it holds to that (core_fence.c). When the view is lost, the last one that it entered is what is left to stand on.
 * A NEW-VIEW is no promise, but says what may be proposed in its view: without it the replica is fenced too, at every start
 * until it enters another view. */
static struct err recover_view(const struct source *in, struct recovery *r)
{
    struct wire_new_view m = {.view = 0};
    uint64_t *view = &r->recovered.view;
    const struct err own = promises_view(&in->promises, view, &r->view_change);
    const bool lost = own.code == ERR_CORRUPT && drop_damaged(in, r, "view", 0, &own);
    if (err_is(&own) && !lost) return own;
    const struct err e =
        promises_new_view(&in->promises, lost ? NULL : view, r->view_change != NULL, &r->new_view, &m);
    if (err_is(&e) && (e.code != ERR_CORRUPT || !drop_damaged(in, r, "NEW-VIEW", 0, &e))) return e;
    if (lost) *view = m.view;
    if (r->new_view != NULL) recover_kept(in, &m, r);
    if (!lost && !err_is(&e)) return err_none();
    r->recovered.fenced = true;
    r->recovered.fence_until = 0;
    r->recovered.fence_reason = FENCE_REASON_VIEW_DAMAGED;
    return lost ? put_view_lost(in, r) : err_none();
}

/* A fence that cannot be read counts as one that has just been found. */
static struct err recover_fence(const struct source *in, struct recovery *r)
{
    const struct err e = log_get_fence(in->dir->log, &r->recovered.fence_until, &r->recovered.fence_reason);
    if (err_is(&e)) {
        if (e.code != ERR_CORRUPT || !drop_damaged(in, r, "fence", 0, &e)) return e;
        r->recovered.fence_reason = FENCE_REASON_FENCE_DAMAGED;
    }
    r->recovered.fenced = r->recovered.fence_reason != FENCE_REASON_NONE && r->recovered.fence_until == 0;
    return err_none();
}

/* Certificates first: with one of them damaged the votes do not count. */
static struct err recover_promises(const struct source *in, struct recovery *r)
{
    ERR_TRY(recover_certificates(in, r));
    if (r->recovered.clean && r->view_change == NULL) ERR_TRY(recover_votes(in, r));
    if (r->recovered.damaged) r->recovered.clean = false; /* design.md 7.5 */
    return err_none();
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

/* The state was transferred, and stands above what the log knows as stable: the certificate that came with it moves that. The
 * votes below it are of no more use (design.md 7.3). */
static struct err adopt_transferred(const struct source *in, struct executor *e, struct recovery *r)
{
    struct wire_checkpoint_certificate c;
    struct bytes raw;
    if (executor_base(e) <= r->recovered.stable.seq) return err_none();
    const struct err none = state_walk_certificate(in->dir->state, &raw);
    if (none.code == ERR_NOT_FOUND) return err_none(); /* check_base says what is wrong */
    if (err_is(&none)) return none;
    if (wire_decode_record(&wire_record_checkpoint_certificate, raw, &c) != NULL || c.seq != executor_base(e))
        return err_none();
    const char *fault = certificate_check_checkpoint(in->group, in->checker, &c);
    if (fault != NULL) return err_make(ERR_CORRUPT, "the certificate of the transferred state proves nothing: %s", fault);
    struct kv_batch *b = kv_batch_new();
    struct err error = log_put_transferred(in->dir->log, b, c.seq, raw);
    if (!err_is(&error)) error = kv_store_apply(in->dir->log, b);
    kv_batch_free(b);
    if (err_is(&error)) return error;
    blob_release(r->stable);
    r->stable = NULL;
    return recover_stable(in, r);
}

/* The blocks below a transferred state are not here. */
static bool is_transferred(const struct source *in, const struct executor *e)
{
    const uint64_t transferred = state_walk_ended_at(in->dir->state);
    return transferred != 0 && transferred == executor_base(e);
}

/* The blocks that a transferred state has left out. What follows them is a block, or the header that came with the state. */
static struct err recover_gap(const struct source *in, const struct wire_header *base, struct recovery *r)
{
    struct core_recovered *out = &r->recovered;
    struct wire_stored_block next;
    ERR_TRY(log_get_gap(in->dir->log, &out->gap_low, &out->gap_high));
    if (out->gap_low == 0) return err_none();
    if (out->gap_high == base->seq) {
        out->gap_hash = header_hash(base);
        return err_none();
    }
    ERR_TRY(log_get_block(in->dir->log, out->gap_high + 1, &next));
    out->gap_hash = next.header.previous;
    return err_none();
}

/* What the state says, and the blocks above it. */
static struct err recover_state(const struct source *in, struct executor *e, struct recovery *r)
{
    const struct wire_header base = executor_header(e); /* before anything is executed */
    uint64_t last = 0;
    uint64_t gap_low = 0;
    uint64_t gap_high = 0;
    ERR_TRY(adopt_transferred(in, e, r));
    ERR_TRY(log_last_block(in->dir->log, &last));
    ERR_TRY(log_get_gap(in->dir->log, &gap_low, &gap_high)); /* it may reach to the base without a transfer: ledger/ledger_repair.c */
    const bool gap = gap_low > 0 && gap_low <= last + 1 && gap_high >= executor_executed(e);
    if (last < executor_executed(e) && (gap || is_transferred(in, e))) last = executor_executed(e);
    if (last < executor_executed(e) || last < r->recovered.stable.seq)
        return err_make(ERR_CORRUPT,
                        "the blocks end at %" PRIu64 ", but the state stands at %" PRIu64
                        " and the stable checkpoint at %" PRIu64,
                        last, executor_executed(e), r->recovered.stable.seq);
    ERR_TRY(check_base(in, e, r));
    ERR_TRY(rebuild(in, e, last, r));
    if (r->recovered.stable.seq > executor_base(e)) {
        const struct err folded = executor_fold(e, r->recovered.stable.seq);
        if (err_is(&folded) && folded.code != ERR_NO_SPACE) return folded; /* the execution thread folds when there is room */
    }
    ERR_TRY(recover_gap(in, &base, r));
    recover_windows(e, r);
    const struct wire_header header = executor_header(e);
    r->recovered.executed = executor_executed(e);
    r->recovered.executed_time_ms = header.time_ms;
    return err_none();
}

/* No state to stand on: it is transferred before anything is executed. */
static struct err recover_without_state(const struct source *in, uint32_t client_count, struct recovery *r)
{
    struct wire_stored_block block;
    uint64_t last = 0;
    ERR_TRY(log_last_block(in->dir->log, &last));
    if (last > 0) {
        ERR_TRY(log_get_block(in->dir->log, last, &block));
        r->recovered.executed_time_ms = block.header.time_ms;
    }
    r->recovered.walking = true;
    r->recovered.executed = last > r->recovered.stable.seq ? last : r->recovered.stable.seq;
    r->recovered.windows = r->windows = mem_zero(client_count + 1u, sizeof *r->windows);
    return err_none();
}

struct err recovery_run(struct data_dir *d, struct executor *e, const struct wire_group *g,
                        struct signature_checker checker, uint32_t self, uint32_t client_count, struct recovery *out)
{
    const struct source in = {.dir = d,
                              .group = g,
                              .checker = checker,
                              .promises = {.log = d->log, .group = g, .checker = checker, .self = self}};
    *out = (struct recovery){0};
    out->slots = mem_zero(RECOVERED_SLOTS_MAX, sizeof *out->slots);
    out->kept = mem_zero(REPLICAS_MAX, sizeof(struct blob *));
    out->certificates = mem_zero(WINDOW_BATCHES, sizeof(struct blob *));
    struct core_recovered *r = &out->recovered;
    struct err error = recover_fence(&in, out);
    r->clean = log_is_clean(d->log);
    if (!err_is(&error)) error = recover_stable(&in, out);
    if (!err_is(&error))
        error = e != NULL ? recover_state(&in, e, out) : recover_without_state(&in, client_count, out);
    if (!err_is(&error)) error = recover_view(&in, out);
    if (!err_is(&error)) error = recover_promises(&in, out);
    if (error.code == ERR_NOT_FOUND) error.code = ERR_CORRUPT; /* what should be here is not */
    if (err_is(&error)) {
        recovery_free(out);
        return error;
    }
    r->slots = out->slots;
    r->checkpoints = out->checkpoints;
    r->view_change = out->view_change;
    r->new_view = out->new_view;
    r->kept = out->kept;
    return err_none();
}

void recovery_free(struct recovery *r)
{
    for (uint32_t i = 0; r->slots != NULL && i < RECOVERED_SLOTS_MAX; i++)
        blob_release(r->slots[i].batch);
    for (uint32_t i = 0; r->certificates != NULL && i < WINDOW_BATCHES; i++)
        blob_release(r->certificates[i]);
    for (uint32_t i = 0; r->kept != NULL && i < REPLICAS_MAX; i++)
        blob_release(r->kept[i]);
    blob_release(r->stable);
    blob_release(r->view_change);
    blob_release(r->new_view);
    free(r->kept);
    free(r->slots);
    free(r->certificates);
    free(r->windows);
    *r = (struct recovery){0};
}
