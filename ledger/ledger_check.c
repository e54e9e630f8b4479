/* ledger_check.c - one run of the check: reporting, and the records of the log beside its blocks.
 *
 * A damaged record is reported and left out, and the check goes on with what can be said without it. A store that
 * cannot be read at all ends it.
 */
#include "ledger/ledger_check.h"

#include "ledger/ledger_check_private.h"
#include "ledger/promises.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 512u

/* ---- reporting, walking ---- */

static void report(struct ledger_checking *c, struct ledger_fault *fault, const char *text)
{
    fault->text = text;
    c->out->faults++;
    c->in->fault(c->in->context, fault);
}

void ledger_check_say(struct ledger_checking *c, struct ledger_fault place, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    report(c, &place, text);
}

void ledger_check_say_key(struct ledger_checking *c, struct ledger_fault place, const char *before, const char *text)
{
    char hex[2 * CHECK_KEY_BYTES_MAX + 1];
    char whole[TEXT_BYTES + sizeof hex];
    hex_encode(hex, place.key.data, place.key.len < CHECK_KEY_BYTES_MAX ? place.key.len : CHECK_KEY_BYTES_MAX);
    (void)snprintf(whole, sizeof whole, "%s %s: %s", before, hex, text);
    report(c, &place, whole);
}

enum kv_found ledger_cursor_next(struct ledger_cursor *c, struct bytes *key, struct bytes *value)
{
    const enum kv_found found = kv_store_seek(c->store, c->table, bytes_of(c->next, c->next_len), key, value);
    if (found != KV_FOUND || key->len > CHECK_KEY_BYTES_MAX) return found;
    memcpy(c->next, key->data, key->len);
    c->next[key->len] = 0; /* the smallest key above it */
    c->next_len = key->len + 1;
    return found;
}

/* ---- checkpoints ---- */

static const char *checkpoint_fault(const struct ledger_check *in, struct bytes raw, uint64_t seq,
                                    struct wire_checkpoint_certificate *out)
{
    const char *fault = wire_decode_record(&wire_record_checkpoint_certificate, raw, out);
    if (fault != NULL) return fault;
    if (out->seq != seq || seq == 0) return "it is of another sequence than its key";
    return certificate_check_checkpoint(in->wire, in->checker, out);
}

bool ledger_check_proven(const struct ledger_check *in, uint64_t seq, struct wire_checkpoint_certificate *out)
{
    uint8_t key[8];
    struct bytes raw;
    be64_put(key, seq);
    if (kv_store_get(in->log, LOG_TABLE_CHECKPOINTS, bytes_of(key, sizeof key), &raw) != KV_FOUND) return false;
    return checkpoint_fault(in, raw, seq, out) == NULL;
}

/* The certificates that are kept, and the highest that proves something. */
static void check_checkpoints(struct ledger_checking *c)
{
    struct ledger_cursor cursor = {.store = c->in->log, .table = LOG_TABLE_CHECKPOINTS};
    struct wire_checkpoint_certificate certificate;
    struct bytes key;
    struct bytes raw;
    while (ledger_cursor_next(&cursor, &key, &raw) == KV_FOUND) {
        const uint64_t seq = key.len == 8 ? be64_get(key.data) : 0;
        const char *fault = checkpoint_fault(c->in, raw, seq, &certificate);
        const struct ledger_fault place = {.kind = LEDGER_FAULT_CHECKPOINT, .low = seq, .key = key};
        if (fault != NULL)
            ledger_check_say(c, place, "log: the certificate of checkpoint %" PRIu64 " proves nothing: %s", seq, fault);
        else if (seq > c->out->stable)
            c->out->stable = seq;
    }
}

/* design.md 7.3: where the window stands. Its certificate was kept in the same transaction. */
static void check_stable(struct ledger_checking *c)
{
    const struct ledger_fault place = {.kind = LEDGER_FAULT_STABLE};
    struct wire_checkpoint_certificate stable;
    const struct err e = log_get_stable(c->in->log, &stable);
    if (err_is(&e)) {
        ledger_check_say(c, place, "log: %s", e.text);
        return;
    }
    const char *fault = stable.seq == 0 ? NULL : certificate_check_checkpoint(c->in->wire, c->in->checker, &stable);
    if (fault != NULL) {
        ledger_check_say(c, place, "log: the stable checkpoint %" PRIu64 " proves nothing: %s", stable.seq, fault);
        return;
    }
    c->stable = stable.seq;
    if (c->stable < c->out->stable)
        ledger_check_say(c, place,
                         "log: the stable checkpoint is %" PRIu64 ", but a later one, %" PRIu64 ", was stable before",
                         c->stable, c->out->stable);
    else
        c->out->stable = c->stable;
}

/* ---- votes ---- */

/* Of a batch that was voted for; the votes above the window are never looked at (replica/run/recovery.c). */
static struct err voted_batch_fault(const struct ledger_checking *c, const struct promise_reader *p, uint64_t seq,
                                    const struct digest *digest)
{
    struct bytes raw;
    if (seq <= c->out->stable || seq > c->out->stable + WINDOW_BATCHES) return err_none();
    return promises_batch(p, seq, digest, &raw, NULL);
}

static struct err prepared_fault(const struct ledger_checking *c, const struct promise_reader *p,
                                 const struct wire_vote_certificate *certificate)
{
    const char *fault = certificate_check_prepared(p->group, p->checker, certificate);
    if (fault != NULL) return err_make(ERR_CORRUPT, "%s", fault);
    return voted_batch_fault(c, p, certificate->seq, &certificate->digest);
}

static struct err vote_fault(const struct ledger_checking *c, const struct promise_reader *p,
                             const struct wire_stored_vote *vote)
{
    if (!promises_proposal_good(p, vote)) return err_make(ERR_CORRUPT, "it is for no PRE-PREPARE of its primary");
    return voted_batch_fault(c, p, vote->seq, &vote->digest);
}

/* Prepared certificates, or the votes of a clean stop. */
static void check_votes(struct ledger_checking *c, const struct promise_reader *p, bool prepared)
{
    const char *what = prepared ? "prepared certificate" : "kept vote";
    struct wire_vote_certificate certificate = {0};
    struct wire_stored_vote vote = {0};
    struct log_place at = {.seq = 0};
    uint64_t last;
    const struct err blocks = log_last_block(p->log, &last);
    if (err_is(&blocks)) last = SEQ_MAX; /* ledger_check_blocks says what is wrong with them */
    for (uint64_t from = 0; at.seq < SEQ_MAX; from = at.seq + 1) { /* a damaged key may be any number */
        struct err e = prepared ? log_next_prepared(p->log, from, &at, &certificate) : log_next_vote(p->log, from, &at, &vote);
        if (e.code == ERR_NOT_FOUND) return;
        const struct ledger_fault place = {.kind = LEDGER_FAULT_VOTE, .low = at.seq};
        if (err_is(&e)) {
            ledger_check_say(c, place, "log: %s", e.text);
            return;
        }
        if (at.fault != NULL)
            e = err_make(ERR_CORRUPT, "%s", at.fault);
        else
            e = prepared ? prepared_fault(c, p, &certificate) : vote_fault(c, p, &vote);
        if (err_is(&e))
            ledger_check_say(c, place, "log: the %s %" PRIu64 " is damaged: %s", what, at.seq, e.text);
        else if (prepared && at.seq > last)
            c->out->prepared++;
    }
}

/* The fence, the view, the own VIEW-CHANGE and the NEW-VIEW. */
static void check_views(struct ledger_checking *c, const struct promise_reader *p)
{
    const struct ledger_fault place = {.kind = LEDGER_FAULT_VOTE};
    struct blob *view_change = NULL;
    struct blob *new_view = NULL;
    struct wire_new_view m;
    uint64_t view = 0;
    uint64_t until;
    enum fence_reason reason;
    const struct err fence = log_get_fence(p->log, &until, &reason);
    const struct err own = promises_view(p, &view, &view_change);
    const struct err e = promises_new_view(p, err_is(&own) ? NULL : &view, view_change != NULL, &new_view, &m);
    if (err_is(&fence)) ledger_check_say(c, place, "log: %s", fence.text);
    if (err_is(&own)) ledger_check_say(c, place, "log: %s", own.text);
    if (err_is(&e)) ledger_check_say(c, place, "log: %s", e.text);
    blob_release(view_change);
    blob_release(new_view);
}

static void check_gap(struct ledger_checking *c)
{
    const struct err e = log_get_gap(c->in->log, &c->gap_low, &c->gap_high);
    if (!err_is(&e)) return;
    c->gap_low = c->gap_high = 0;
    ledger_check_say(c, (struct ledger_fault){.kind = LEDGER_FAULT_GAP}, "log: %s", e.text);
}

struct err ledger_check_records(struct ledger_checking *c)
{
    const struct promise_reader p = {
        .log = c->in->log, .group = c->in->wire, .checker = c->in->checker, .self = c->in->self};
    check_gap(c);
    check_checkpoints(c);
    check_stable(c);
    check_votes(c, &p, true);
    check_votes(c, &p, false);
    check_views(c, &p);
    return kv_store_fault(c->in->log);
}

/* ---- the run ---- */

struct err ledger_check_run(const struct ledger_check *in, struct ledger_check_result *out)
{
    struct ledger_check_result result = {.between = state_is_walking(in->state), .damaged = state_is_damaged(in->state)};
    struct ledger_checking c = {.in = in, .out = &result};
    ERR_TRY(ledger_check_records(&c));
    if (!result.between) ERR_TRY(ledger_check_base(&c));
    ERR_TRY(ledger_check_blocks(&c));
    if (!result.damaged) ERR_TRY(ledger_check_tree(&c));
    *out = result;
    return err_none();
}
