/* ledger_repair.c - from the faults that the check has found to what the next start needs to repair them.
 *
 * What a replica executes never comes from a repaired block: `floor` is the checkpoint up to which blocks are only
 * kept. It is that of the state, or, when the state itself is to be taken from others, the stable one, below which no
 * walk ends.
 *
 *     blocks        1 ....... low ///// high ....... floor ...... k xxxxxxx last
 *                             damaged: the gap       |           damaged: deleted from k on, and executed again
 *                             record covers them     the state
 *
 * The gap is filled newest first, each block checked by what the one behind it says of it
 * (replica/core/core_gap.c). So what stands behind it must be good: it is, because the gap reaches to the highest
 * faulty block below the floor, or to the floor, whose header the state has. Good blocks inside the gap stay: others
 * may want to fetch them meanwhile.
 *
 * Deleting blocks that this replica has executed breaks no promise: certificates and votes stay, and where it has
 * signed a CHECKPOINT above what is left, the others show it that after the start, and it is fenced (design.md 7.6).
 */
#include "ledger/ledger_check_private.h"

#include <stdlib.h>

/* A fault that has been reported. */
struct found {
    enum ledger_fault_kind kind;
    bool missing;
    uint64_t low;
    uint64_t high;
};

struct planning {
    const struct ledger_check *in;
    const struct ledger_check_result *result;
    struct ledger_repair *out;
    struct kv_batch *batch; /* of the log */
    struct found *found;
    size_t found_count;
    size_t found_cap;
    bool gap_fault;
    bool stable_fault;
    uint64_t floor;
};

static void note_fault(void *context, const struct ledger_fault *f)
{
    struct planning *p = context;
    if (p->found_count == p->found_cap) {
        p->found_cap = p->found_cap == 0 ? 64 : p->found_cap * 2;
        p->found = mem_resize(p->found, p->found_cap * sizeof *p->found);
    }
    p->found[p->found_count++] = (struct found){.kind = f->kind, .missing = f->missing, .low = f->low, .high = f->high};
    switch (f->kind) {
    case LEDGER_FAULT_STRAY:
        kv_batch_delete(p->batch, LOG_TABLE_BLOCKS, f->key);
        p->out->records++;
        break;
    case LEDGER_FAULT_CHECKPOINT: /* it comes again with its block */
        kv_batch_delete(p->batch, LOG_TABLE_CHECKPOINTS, f->key);
        p->out->records++;
        break;
    case LEDGER_FAULT_STATE: p->out->state = true; break;
    case LEDGER_FAULT_VOTE: p->out->votes++; break;
    case LEDGER_FAULT_GAP: p->gap_fault = true; break;
    case LEDGER_FAULT_STABLE: p->stable_fault = true; break;
    case LEDGER_FAULT_BLOCK:
    case LEDGER_FAULT_LINK: break;
    }
    p->in->fault(p->in->context, f);
}

static void note_progress(void *context, uint64_t done, uint64_t total)
{
    struct planning *p = context;
    if (p->in->progress != NULL) p->in->progress(p->in->context, done, total);
}

static bool names_blocks(const struct found *f)
{
    return f->kind == LEDGER_FAULT_BLOCK || f->kind == LEDGER_FAULT_LINK;
}

/* ---- where repaired blocks end ---- */

/* A state below the stable checkpoint needs the blocks up to that as they are, and a start refuses to be without them
 * (replica/run/recovery.c): when one is damaged the state is taken from others too, at the stable checkpoint or later.
 */
static void find_floor(struct planning *p)
{
    const struct ledger_check_result *r = p->result;
    bool taken = p->out->state || r->between;
    for (size_t i = 0; i < p->found_count && r->base < r->stable; i++) {
        const struct found *f = &p->found[i];
        if (!taken && names_blocks(f) && f->high > r->base && f->low <= r->stable) taken = p->out->state = true;
    }
    p->floor = taken ? r->stable : r->base;
}

/* ---- blocks ---- */

static void widen(struct ledger_repair *out, uint64_t low, uint64_t high)
{
    if (out->gap_low == 0 || low < out->gap_low) out->gap_low = low;
    if (high > out->gap_high) out->gap_high = high;
}

/* The part of the range above the floor is fetched and executed again, with all that follows; the one below it only
 * fetched. The damaged ones themselves go, so that nobody is served them and no start reads them. */
static struct err plan_range(struct planning *p, const struct found *f)
{
    struct ledger_repair *out = p->out;
    uint64_t high = f->high;
    if (high > p->floor) {
        const uint64_t from = f->low > p->floor ? f->low : p->floor + 1;
        if (out->deleted_from == 0 || from < out->deleted_from) out->deleted_from = from;
        high = p->floor;
    }
    if (f->low > high) return err_none();
    widen(out, f->low, high);
    if (f->missing || f->kind == LEDGER_FAULT_LINK) return err_none(); /* of a broken link one block is good */
    return log_delete_blocks(p->in->log, p->batch, f->low, high);
}

static struct err plan_blocks(struct planning *p)
{
    const struct ledger_check_result *r = p->result;
    struct ledger_repair *out = p->out;
    for (size_t i = 0; i < p->found_count; i++)
        if (names_blocks(&p->found[i])) ERR_TRY(plan_range(p, &p->found[i]));
    /* a certificate comes with its block; those above the floor are of checkpoints still to be reached */
    for (size_t i = 0; i < p->found_count; i++) {
        const struct found *f = &p->found[i];
        if (f->kind != LEDGER_FAULT_CHECKPOINT || f->low == 0 || f->low > p->floor || f->low % CHECKPOINT_INTERVAL != 0)
            continue;
        if (f->low != r->stable) widen(out, f->low, f->low);
    }
    if (out->deleted_from > 0) ERR_TRY(log_delete_blocks(p->in->log, p->batch, out->deleted_from, UINT64_MAX));
    const bool arranged = out->gap_low > 0;
    if (arranged && r->missing_low > 0) widen(out, r->missing_low, r->missing_high);
    if (arranged || p->gap_fault) log_put_gap(p->batch, out->gap_low, out->gap_high);
    return err_none();
}

/* ---- the stable checkpoint ---- */

static bool certificate_is_damaged(const struct planning *p, uint64_t low, uint64_t high)
{
    for (size_t i = 0; i < p->found_count; i++) {
        const struct found *f = &p->found[i];
        if (f->kind == LEDGER_FAULT_CHECKPOINT && f->low >= low && f->low <= high) return true;
    }
    return false;
}

/* It is kept twice: each record can stand for the other. But the certificate of an earlier checkpoint must not: a
 * replica whose window goes back has forgotten what it prepared in between (design.md 7.7). So the copy counts only
 * when none above it, and none whose sequence is unknown, is damaged. */
static struct err plan_stable(struct planning *p)
{
    const uint64_t stable = p->result->stable;
    struct wire_checkpoint_certificate proof;
    if (!p->stable_fault && !certificate_is_damaged(p, stable, stable)) return err_none();
    if (!p->stable_fault) {
        if (stable == 0) return err_none();
        ERR_TRY(log_get_stable(p->in->log, &proof));
    } else if (certificate_is_damaged(p, stable + 1, UINT64_MAX) || certificate_is_damaged(p, 0, 0) ||
               !ledger_check_proven(p->in, stable, &proof)) {
        return err_make(
            ERR_CORRUPT,
            "the stable checkpoint is damaged, and no copy of it is sure to be the same: give this replica a "
            "new data directory (pbftd --config FILE --init)");
    } else {
        p->out->records++;
    }
    struct blob *record = wire_encode_blob(&wire_record_checkpoint_certificate, &proof);
    log_put_stable_again(p->batch, stable, blob_bytes(record));
    blob_release(record);
    return err_none();
}

/* ---- the parts together ---- */

static struct err plan(struct planning *p, const struct ledger_check *check, struct ledger_check_result *result)
{
    ERR_TRY(ledger_check_run(check, result));
    find_floor(p);
    ERR_TRY(plan_blocks(p));
    return plan_stable(p);
}

struct err ledger_repair(const struct ledger_check *in, struct ledger_check_result *result, struct ledger_repair *out)
{
    struct ledger_check_result checked = {0};
    struct ledger_repair arranged = {0};
    struct ledger_check check = *in;
    struct planning p = {.in = in, .result = &checked, .out = &arranged, .batch = kv_batch_new()};
    check.fault = note_fault;
    check.progress = note_progress;
    check.context = &p;
    struct err e = plan(&p, &check, &checked);
    /* the log first: a state that is marked for no other reason than its blocks would hide what is still to be arranged
     */
    if (!err_is(&e)) e = kv_store_apply(in->log, p.batch);
    if (!err_is(&e) && arranged.state) e = state_mark_damaged(in->state);
    kv_batch_free(p.batch);
    free(p.found);
    if (err_is(&e)) return e;
    *result = checked;
    *out = arranged;
    return err_none();
}
