/* core_gap.c - the blocks that are not here, because the state above them was transferred or they were found damaged
 * (ledger/ledger_repair.c): fetched in the background, newest first, each checked by what the one above it says of its
 * header (design.md section 9).
 *
 *     gap_low /////////////////////////// gap_high | what is here
 *                                       <--- the fill: the gap ends below each block that it brings
 */
#include "replica/core/core_internal.h"

#define GAP_BLOCKS 16u  /* asked for at once */
#define GAP_PATIENCE 2u /* resend intervals without a next one */

/* Newest first: each is checked by what the one behind it says of its header. One question at a time, and none while
 * this replica has more urgent things to ask. */
static void fill_gap(struct core *c)
{
    const uint32_t count = c->config.group.quorum.replica_count;
    if (c->gap_low == 0 || c->walking || c->listening || c->stopping) return;
    if (c->gap_peer != UINT32_MAX && c->now_us - c->gap_us >= GAP_PATIENCE * c->config.resend_us) {
        c->gap_first = core_member_after(c, c->gap_peer); /* silent, or it does not have them either */
        c->gap_peer = UINT32_MAX;
    }
    if (c->gap_peer != UINT32_MAX || core_peers_executed(c) > c->executed + WINDOW_BATCHES) return;
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t id = (c->gap_first + k) % count;
        if (id == c->config.self || !c->peers[id].heard || c->peers[id].executed < c->gap_high) continue;
        const uint64_t missing = c->gap_high - c->gap_low + 1;
        const uint64_t asked = missing < GAP_BLOCKS ? missing : GAP_BLOCKS;
        struct wire_fetch m = {.epoch = c->config.group.epoch,
                               .sender = c->config.self,
                               .kind = DATA_KIND_PAST_BLOCK,
                               .view = c->view,
                               .seq = c->gap_high,
                               .count = asked};
        c->gap_peer = id;
        c->gap_first = id;
        c->gap_until = c->gap_high - asked + 1;
        c->gap_us = c->now_us;
        core_send(c, id, &wire_record_fetch, &m, 0, false);
        return;
    }
}

void core_gap_tick(struct core *c)
{
    fill_gap(c);
}

const char *core_on_past_block(struct core *c, const struct msg_verified *m, uint32_t from)
{
    const struct wire_header *h = &m->block.header;
    if (c->gap_low == 0 || c->walking || h->seq != c->gap_high) return "an old block that is not the next one missing";
    const struct digest hash = header_hash(h);
    if (!digest_equal(&hash, &c->gap_hash)) {
        if (from == c->gap_peer) c->gap_us = 0; /* the next source */
        return "an old block that is not the one that the ledger goes on from";
    }
    struct core_effect *e = core_emit(c, CORE_EFFECT_PAST_BLOCK);
    e->past_block.gap_low = c->gap_low;
    e->past_block.data = blob_retain(m->blob);
    e->past_block.entries = blob_retain(m->entries);
    e->past_block.checkpoint_good = m->checkpoint_good;
    c->gap_us = c->now_us;
    c->gap_hash = h->previous;
    if (c->gap_high == c->gap_until) c->gap_peer = UINT32_MAX;
    if (c->gap_high == c->gap_low)
        c->gap_low = c->gap_high = 0;
    else
        c->gap_high--;
    fill_gap(c);
    return NULL;
}
