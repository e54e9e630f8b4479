/* ledger_check_blocks.c - the blocks of the log, from the first to the last: each by itself, and what it must follow.
 *
 * Of a broken link either block may be the damaged one, unless a checkpoint certificate proves one of them. History is
 * known from the first entry on, and again from the state's checkpoint on, whose record has it; it is unknown behind a
 * block that is missing or whose entries are damaged.
 */
#include "ledger/ledger_check_private.h"

#include <inttypes.h>

static const struct ledger_link beginning = {.known = true, .proven = true};

/* Blocks low to high are not here: those that the gap record does not name should be. */
static void say_missing(struct ledger_checking *c, uint64_t low, uint64_t high)
{
    if (low > high) return;
    const struct ledger_fault place = {.kind = LEDGER_FAULT_BLOCK, .low = low, .high = high, .missing = true};
    if (low == high)
        ledger_check_say(c, place, "log: block %" PRIu64 " is missing", low);
    else
        ledger_check_say(c, place, "log: blocks %" PRIu64 " to %" PRIu64 " are missing", low, high);
}

static void skip(struct ledger_checking *c, uint64_t low, uint64_t high)
{
    if (low > high) return;
    if (c->gap_low == 0 || c->gap_high < low || c->gap_low > high) {
        say_missing(c, low, high);
        return;
    }
    if (c->gap_low > low) say_missing(c, low, c->gap_low - 1);
    if (c->gap_high < high) say_missing(c, c->gap_high + 1, high);
}

static void say_block(struct ledger_checking *c, uint64_t seq, const char *fault)
{
    const struct ledger_fault place = {.kind = LEDGER_FAULT_BLOCK, .low = seq, .high = seq};
    ledger_check_say(c, place, "log: block %" PRIu64 ": %s", seq, fault);
}

/* ---- one block by itself ---- */

static const char *header_fault(const struct ledger_checking *c, const struct wire_header *h)
{
    if (h->version != HEADER_VERSION) return "its header has another version";
    if (h->epoch != c->in->wire->epoch) return "it is of another epoch than the group";
    if (!digest_equal(&h->configuration, &c->in->group->configuration)) return "it names another configuration";
    return NULL;
}

static const char *entries_fault(const struct wire_stored_block *b)
{
    struct merkle_frontier tree = {0};
    struct wire_iterator i = wire_list_start(b->entries);
    struct wire_entry entry;
    struct bytes raw;
    while (wire_list_next_raw(&i, &wire_record_entry, &entry, &raw)) {
        const struct digest leaf = merkle_leaf(raw);
        merkle_frontier_append(&tree, &leaf);
    }
    const struct digest root = merkle_frontier_root(&tree);
    if (tree.count != b->header.count) return "it has not as many entries as its header says";
    return digest_equal(&root, &b->header.entries_root) ? NULL
                                                        : "its entries do not have the root that its header names";
}

/* Rule 10: the digest does not depend on view or sequence. The time of a block does not go back (ledger/executor.c). */
static const char *batch_fault(const struct ledger_checking *c, const struct wire_header *h, bool linked)
{
    const struct signature_checker none = {0}; /* f+1 correct members checked the requests before they voted */
    struct batch_view view = {.valid = false};
    struct bytes raw;
    const struct err e = log_get_batch(c->in->log, h->seq, &h->batch_digest, &raw);
    if (err_is(&e)) return "its batch is not here";
    const char *fault = batch_open(c->in->wire, none, raw, &view);
    if (fault != NULL) return "its batch does not decode";
    if (!digest_equal(&view.digest, &h->batch_digest)) return "its batch has another digest";
    const uint64_t before = c->before.time_ms;
    if (linked && h->time_ms != (view.batch.time_ms > before ? view.batch.time_ms : before))
        return "its time is not the one that follows from its batch";
    return NULL;
}

static const char *committed_fault(const struct ledger_checking *c, const struct wire_stored_block *b)
{
    const struct wire_vote_certificate *committed = &b->committed;
    if (committed->seq != b->header.seq) return "its commit certificate is of another sequence";
    if (!digest_equal(&committed->digest, &b->header.batch_digest)) return "its commit certificate is of another batch";
    return certificate_check_committed(c->in->wire, c->in->checker, committed);
}

/* ---- what it follows ---- */

/* The block before this one as the walk has met it; without it the state's record of its checkpoint, if that is the
 * one. */
static void look_back(struct ledger_checking *c, uint64_t seq)
{
    const struct wire_header *base = &c->base;
    if (seq == 1) {
        c->before = beginning;
        c->history_known = true;
        return;
    }
    if (c->before.seq + 1 != seq) c->before.known = c->history_known = false;
    if (!c->base_good || base->seq == 0 || base->seq + 1 != seq) return;
    const struct digest hash = header_hash(base);
    if (!c->before.known)
        c->before = (struct ledger_link){.known = true,
                                         .proven = c->base_proven,
                                         .seq = base->seq,
                                         .hash = hash,
                                         .time_ms = base->time_ms,
                                         .next_index = base->first_index + base->count};
    if (c->history_known || !digest_equal(&hash, &c->before.hash)) return;
    c->history = c->base_history;
    c->history_known = true;
}

/* False when the blocks do not follow each other, or it is not known which one comes before. */
static bool check_link(struct ledger_checking *c, const struct wire_header *h, bool proven)
{
    const struct ledger_link *before = &c->before;
    if (!before->known) return false;
    if (digest_equal(&h->previous, &before->hash)) {
        if (h->first_index != before->next_index) say_block(c, h->seq, "its first index is not the one that follows");
        return true;
    }
    if (before->proven && !proven)
        say_block(c, h->seq, "it does not follow the block before it");
    else if (proven && !before->proven)
        say_block(c, before->seq, "the block behind it, which a quorum signed as checkpoint, does not follow it");
    else
        ledger_check_say(c, (struct ledger_fault){.kind = LEDGER_FAULT_LINK, .low = before->seq, .high = h->seq},
                         "log: block %" PRIu64 " does not follow block %" PRIu64 ": one of the two is damaged", h->seq,
                         before->seq);
    return false;
}

/* RFC 9162: one leaf for each entry since the first. */
static const char *history_fault(struct ledger_checking *c, const struct wire_stored_block *b)
{
    struct wire_iterator i = wire_list_start(b->entries);
    struct wire_entry entry;
    struct bytes raw;
    if (!c->history_known) return NULL;
    while (wire_list_next_raw(&i, &wire_record_entry, &entry, &raw)) {
        const struct digest leaf = merkle_leaf(raw);
        merkle_frontier_append(&c->history, &leaf);
    }
    const struct digest root = merkle_frontier_root(&c->history);
    if (!digest_equal(&root, &b->header.history_root)) return "its history root is not that of all entries up to it";
    c->out->history++;
    return NULL;
}

/* ---- the walk ---- */

static void check_block(struct ledger_checking *c, uint64_t seq, struct bytes raw)
{
    struct wire_checkpoint_certificate proof;
    struct wire_stored_block b;
    const char *fault = wire_decode_record(&wire_record_stored_block, raw, &b);
    if (fault == NULL && b.header.seq != seq) fault = "it is of another sequence than its key";
    look_back(c, seq);
    c->out->blocks++;
    if (fault != NULL) {
        say_block(c, seq, fault); /* and the next one has nothing before it */
        return;
    }
    const struct digest hash = header_hash(&b.header);
    const bool certified = seq % CHECKPOINT_INTERVAL == 0 && ledger_check_proven(c->in, seq, &proof);
    const bool proven = certified && digest_equal(&proof.header_hash, &hash);
    const bool linked = check_link(c, &b.header, proven);
    const char *entries = entries_fault(&b);
    fault = certified && !proven ? "it is not the one that a quorum signed as checkpoint" : header_fault(c, &b.header);
    if (fault == NULL) fault = entries;
    if (fault == NULL) fault = batch_fault(c, &b.header, linked);
    if (fault == NULL) fault = committed_fault(c, &b);
    const char *history = entries == NULL ? history_fault(c, &b) : NULL;
    if (fault == NULL) fault = history;
    if (fault != NULL) say_block(c, seq, fault);
    if (entries != NULL || history != NULL) c->history_known = false;
    c->before = (struct ledger_link){.known = true,
                                     .proven = proven,
                                     .seq = seq,
                                     .hash = hash,
                                     .time_ms = b.header.time_ms,
                                     .next_index = b.header.first_index + b.header.count};
    c->out->entries += b.entries.count;
    if (c->base_good && c->base.seq == seq && wire_compare_record(&wire_record_header, &c->base, &b.header) != 0)
        ledger_check_say(c, (struct ledger_fault){.kind = LEDGER_FAULT_STATE},
                         "state: its record of checkpoint %" PRIu64 " has another header than the block", seq);
}

/* A state that a walk has brought above the end of the blocks: the next start makes the gap record say so. */
static void widen_gap(struct ledger_checking *c)
{
    const struct err e = log_last_block(c->in->log, &c->last);
    if (err_is(&e) || c->last > SEQ_MAX) c->last = 0; /* a stray key */
    if (!c->transferred || c->base.seq <= c->last) return;
    if (c->gap_low == 0) c->gap_low = c->last + 1;
    if (c->gap_high < c->base.seq) c->gap_high = c->base.seq;
}

static bool in_gap(const struct ledger_checking *c, uint64_t seq)
{
    return c->gap_low != 0 && seq >= c->gap_low && seq <= c->gap_high;
}

struct err ledger_check_blocks(struct ledger_checking *c)
{
    struct ledger_cursor cursor = {.store = c->in->log, .table = LOG_TABLE_BLOCKS};
    struct bytes key;
    struct bytes value;
    widen_gap(c);
    c->next = 1;
    while (ledger_cursor_next(&cursor, &key, &value) == KV_FOUND) {
        const uint64_t seq = key.len == 8 ? be64_get(key.data) : 0;
        if (seq == 0 || seq > SEQ_MAX) {
            const struct ledger_fault place = {.kind = LEDGER_FAULT_STRAY, .key = key};
            ledger_check_say_key(c, place, "log: in the table of blocks, key", "it is the sequence of no block");
            continue;
        }
        skip(c, c->next, seq - 1);
        c->next = seq + 1;
        c->out->last = seq;
        if (in_gap(c, seq)) continue; /* left from before; it is fetched again */
        check_block(c, seq, value);
        if (c->in->progress != NULL) c->in->progress(c->in->context, seq, c->last > seq ? c->last : seq);
    }
    const uint64_t base = c->base_good ? c->base.seq : 0;
    const uint64_t end =
        c->out->stable > base ? c->out->stable : base; /* design.md 7.7: what a checkpoint was signed over is kept */
    skip(c, c->next, end);
    c->out->missing_low = c->gap_low;
    c->out->missing_high = c->gap_high;
    return kv_store_fault(c->in->log);
}
