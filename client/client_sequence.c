/* client_sequence.c - which client sequence the next transaction gets.
 *
 * It is learned: the (f+1)-th highest of what Q replicas say is settled of this client. At least one correct replica
 * has that settled, so no liar makes it too high; but f liars beside correct replicas that lag can make it too low, and
 * then others have used the sequences that follow it. That shows when f+1 replicas refuse one of them, and a refusal
 * proves more than was known:
 *
 *   CONFLICT at s   s is settled
 *   TOO_OLD at s    s + 64 is settled
 *
 * After either all replicas are asked anew. Until Q have said, next_seq is 0; it never falls to what is known to be
 * settled, so each round brings the client further even when the same replicas lie and lag again. What replicas say
 * later, when the sequence is known already, can still raise it.
 *
 * The journal knows what was sent, and s + 64 is sent only once s is settled. So replicas that have settled less than that lag:
 * a group that has just started executes again what it had committed, and what it says meanwhile would be a sequence that is TOO_OLD
 * a moment later. They are asked again until they have come up, or have not come on for a while: then theirs is the truth (a ledger
 * that was restored from an old copy). */
#include "client/client_internal.h"

uint64_t pbft_next_sequence(const struct pbft_client *c)
{
    return c->next_seq;
}

uint64_t pbft_highest_settled(const struct pbft_client *c)
{
    return c->settled_seq;
}

void client_settled(struct pbft_client *c, uint64_t seq)
{
    if (seq > c->settled_seq) c->settled_seq = seq;
}

/* ---- learning ---- */

#define LAG_ASK_US 100000u
#define LAG_PATIENCE_US 3000000u

/* True while the replicas are still coming up to what the journal shows to be settled. */
static bool replicas_lag(struct pbft_client *c)
{
    const uint64_t now = client_now_us();
    if (c->journal_seq <= c->settled_seq + PBFT_WINDOW) return false;
    if (c->lag_since_us == 0 || c->lag_seq != c->settled_seq) {
        c->lag_since_us = now;
        c->lag_seq = c->settled_seq;
    }
    return now - c->lag_since_us < LAG_PATIENCE_US;
}

void client_ask_lagging(struct pbft_client *c)
{
    const uint64_t now = client_now_us();
    if (!c->lagging || now - c->lag_asked_us < LAG_ASK_US) return;
    c->lag_asked_us = now;
    client_forget_sequence(c);
}

void client_learn_sequence(struct pbft_client *c)
{
    uint32_t known = 0;
    for (uint32_t i = 0; i < c->quorum.replica_count; i++) {
        uint32_t at_least = 0;
        if (!c->links[i].window_known) continue;
        known++;
        for (uint32_t k = 0; k < c->quorum.replica_count; k++)
            if (c->links[k].window_known && c->links[k].highest_settled >= c->links[i].highest_settled) at_least++;
        if (at_least >= c->quorum.weak) client_settled(c, c->links[i].highest_settled);
    }
    if (c->next_seq > c->settled_seq || (c->next_seq == 0 && known < c->quorum.quorum)) return;
    c->lagging = c->next_seq == 0 && replicas_lag(c);
    if (c->lagging) return;
    /* what was used far ahead, by the journal too, are transactions that were lost: they cannot be jumped over */
    if (c->journal_seq < c->settled_seq || c->journal_seq >= c->settled_seq + PBFT_WINDOW)
        c->journal_seq = c->settled_seq;
    c->next_seq = c->journal_seq + 1;
}

void client_forget_sequence(struct pbft_client *c)
{
    c->next_seq = 0;
    c->window_question = ++c->next_read; /* what was said before does not answer it */
    for (uint32_t id = 0; id < c->quorum.replica_count; id++) {
        c->links[id].window_known = false;
        if (c->links[id].greeted) client_ask_window(&c->links[id]);
    }
}

/* ---- the window ---- */

bool client_window_allows(const struct pbft_client *c, uint64_t seq)
{
    for (uint32_t k = 0; k < PBFT_WINDOW; k++) {
        const struct pending *p = &c->submits[k];
        if (p->kind == PENDING_FREE) continue;
        if (p->seq == seq || (p->seq > seq ? p->seq - seq : seq - p->seq) >= PBFT_WINDOW) return false;
    }
    return true;
}

bool client_window_spent(const struct pbft_client *c)
{
    return c->next_seq > c->settled_seq + PBFT_WINDOW;
}

static bool any_submitted(const struct pbft_client *c)
{
    for (uint32_t k = 0; k < PBFT_WINDOW; k++)
        if (c->submits[k].kind != PENDING_FREE) return true;
    return false;
}

bool pbft_can_submit(const struct pbft_client *c)
{
    const bool waits = c->next_seq == 0 || client_window_spent(c); /* until it is learned */
    if (client_refused_first(c) != NULL) return false;
    return waits ? !any_submitted(c) && !c->in_callback : client_window_allows(c, c->next_seq);
}

bool client_sequence_usable(struct pbft_client *c)
{
    if (client_window_spent(c) && !any_submitted(c)) client_forget_sequence(c);
    if (c->next_seq == 0 || c->next_seq > SEQ_MAX) return false; /* f+1 liars can leave none */
    return !client_window_spent(c) && client_window_allows(c, c->next_seq);
}
