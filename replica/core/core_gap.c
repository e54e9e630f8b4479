/* core_gap.c - the blocks that are not here, because the state above them was transferred or they were found damaged
 * (ledger/ledger_repair.c): fetched from others in the background (design.md section 9).
 *
 *     gap_low ////// seq ....... next ... n*K /////////////////// gap_high | what is here
 *                     <--- the detour                              <--- the fill
 *
 * The fill goes newest first: each block is checked by what the one above it says of its header, and the gap ends below
 * it. A detour brings one block out of turn, which a client's retry refers to (MISSING_BLOCK): it begins at a
 * checkpoint's block, whose header hash a certificate names, and goes down from there in the same way. What it brings
 * stays inside the gap, until the fill comes by and brings the same again. A member may lack the certificate of a
 * checkpoint (never, of its own, of two in a row): one that nobody proves is given up for the next higher one.
 *
 * One question is under way at a time. While there is a detour, the two take turns: neither waits for the end of the
 * other. For one retry no more than DETOUR_ROUNDS * K blocks are fetched, and it is dropped after so many rounds of all
 * members in which nobody had the next block; whoever asks again begins another. */
#include "replica/core/core_internal.h"

#define GAP_BLOCKS 16u   /* asked for at once */
#define GAP_PATIENCE 2u  /* resend intervals without a next one */
#define DETOUR_ROUNDS 4u /* of all members, asked in vain: checkpoints that are tried, too */

static void detour_end(struct core *c)
{
    if (c->detour.asked) c->gap_peer = UINT32_MAX;
    c->detour = (struct core_detour){.seq = 0};
}

/* The question under way has brought nothing, or nothing more: its member is silent, lies, or has not got it. */
static void give_up_question(struct core *c)
{
    struct core_detour *d = &c->detour;
    const uint32_t others = c->config.group.quorum.replica_count - 1;
    c->gap_first = core_member_after(c, c->gap_peer);
    c->gap_peer = UINT32_MAX;
    if (d->seq == 0 || !d->asked) return;
    d->failures++;
    if (d->failures % others != 0) return;
    if (!d->proven) d->next += CHECKPOINT_INTERVAL; /* nobody has this one's certificate */
    if (d->failures / others >= DETOUR_ROUNDS || d->next >= c->gap_high) detour_end(c);
}

/* `count` blocks, `seq` and those before it. */
static void ask(struct core *c, uint32_t peer, uint64_t seq, uint64_t count)
{
    const struct wire_fetch m = {
        .kind = DATA_KIND_PAST_BLOCK, .view = c->view, .seq = seq, .count = count < GAP_BLOCKS ? count : GAP_BLOCKS};
    c->gap_peer = peer;
    c->gap_first = peer;
    c->gap_until = seq - m.count + 1;
    c->gap_us = c->now_us;
    core_send_fetch(c, peer, m);
}

/* The next question, when none is under way and this replica has nothing more urgent to ask, and room for the answer.
 */
static void ask_next(struct core *c)
{
    struct core_detour *d = &c->detour;
    const uint32_t count = c->config.group.quorum.replica_count;
    if (c->gap_low == 0 || c->walking || c->listening || c->stopping || c->disk_full) return;
    if (c->gap_peer != UINT32_MAX && c->now_us - c->gap_us >= GAP_PATIENCE * c->config.resend_us) give_up_question(c);
    if (c->gap_peer != UINT32_MAX || core_peers_executed(c) > c->executed + WINDOW_BATCHES) return;
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t id = (c->gap_first + k) % count;
        if (id == c->config.self || !c->peers[id].heard || c->peers[id].executed < c->gap_high) continue;
        d->asked = d->seq != 0 && !d->asked; /* they take turns */
        if (d->asked)
            ask(c, id, d->next, d->proven ? d->next - d->seq + 1 : 1);
        else
            ask(c, id, c->gap_high, c->gap_high - c->gap_low + 1);
        return;
    }
}

void core_gap_tick(struct core *c)
{
    ask_next(c);
}

/* A retry refers to a block that is not here. */
const char *core_on_missing_block(struct core *c, uint64_t seq)
{
    struct core_detour *d = &c->detour;
    if (c->gap_low == 0 || c->walking || seq < c->gap_low || seq > c->gap_high) return "a block that is not in the gap";
    if (d->seq != 0) return "another missing block is being fetched";
    const uint64_t checkpoint = (seq + CHECKPOINT_INTERVAL - 1) / CHECKPOINT_INTERVAL * CHECKPOINT_INTERVAL;
    if (!d->proven || seq > d->next || d->next > checkpoint) { /* else it goes on where the last one ended */
        if (checkpoint >= c->gap_high) return "a missing block that the fill comes to next";
        d->next = checkpoint;
        d->proven = false;
    }
    d->seq = seq;
    d->failures = 0;
    ask_next(c);
    return NULL;
}

/* ---- answers ---- */

static void keep(struct core *c, const struct msg_verified *m, uint64_t gap_low)
{
    struct core_effect *e = core_emit(c, CORE_EFFECT_PAST_BLOCK);
    e->past_block.gap_low = gap_low;
    e->past_block.data = blob_retain(m->blob);
    e->past_block.entries = blob_retain(m->entries);
    e->past_block.checkpoint_good = m->checkpoint_good;
    c->gap_us = c->now_us;
}

static const char *fill(struct core *c, const struct msg_verified *m, uint32_t from)
{
    const struct wire_header *h = &m->block.header;
    const struct digest hash = header_hash(h);
    if (!digest_equal(&hash, &c->gap_hash)) {
        if (from == c->gap_peer && !c->detour.asked) c->gap_us = 0; /* the next source */
        return "an old block that is not the one that the ledger goes on from";
    }
    keep(c, m, c->gap_low);
    c->gap_hash = h->previous;
    if (c->gap_high == c->gap_until && !c->detour.asked) c->gap_peer = UINT32_MAX;
    if (c->gap_high == c->gap_low)
        c->gap_low = c->gap_high = 0;
    else
        c->gap_high--;
    if (c->detour.next >= c->gap_high) detour_end(c); /* the fill is as near */
    ask_next(c);
    return NULL;
}

/* Q have signed the hash of its header in a CHECKPOINT. */
static bool is_proven(const struct msg_verified *m, const struct digest *hash)
{
    struct wire_iterator i = wire_list_start(m->block.checkpoint);
    struct wire_checkpoint_certificate proof;
    return m->checkpoint_good && wire_list_next(&i, &wire_record_checkpoint_certificate, &proof) &&
           digest_equal(&proof.header_hash, hash);
}

static const char *go_on(struct core *c, const struct msg_verified *m, uint32_t from)
{
    struct core_detour *d = &c->detour;
    const struct wire_header *h = &m->block.header;
    const struct digest hash = header_hash(h);
    if (d->proven ? !digest_equal(&hash, &d->hash) : !is_proven(m, &hash)) {
        if (from == c->gap_peer && d->asked) c->gap_us = 0; /* the next source */
        return d->proven ? "an old block that is not the one that a checkpoint goes back to"
                         : "an old block that no checkpoint proves";
    }
    keep(c, m, 0);
    if (h->seq == c->gap_until && d->asked) c->gap_peer = UINT32_MAX;
    if (h->seq == d->seq) d->seq = 0; /* it is here; where it ended is kept for the next one */
    d->next = h->seq - 1;
    d->hash = h->previous;
    d->proven = true;
    d->failures = 0;
    ask_next(c);
    return NULL;
}

const char *core_on_past_block(struct core *c, const struct msg_verified *m, uint32_t from)
{
    const uint64_t seq = m->block.header.seq;
    if (c->gap_low != 0 && !c->walking && seq == c->gap_high) return fill(c, m, from);
    if (c->detour.seq != 0 && !c->walking && seq == c->detour.next) return go_on(c, m, from);
    if (c->gap_low != 0 && !c->walking && from == c->gap_peer && seq == c->gap_until) {
        give_up_question(c); /* the end of its answer is here, and has overtaken something: signatures are checked side by side */
        ask_next(c);
    }
    return "an old block that is not the next one missing";
}
