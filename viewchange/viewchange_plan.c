/* viewchange_plan.c - the rule that makes a new view's beginning of V (OSDI'99 section 4.4, rules 1, 4, 5, 6). Pure. */
#include "viewchange/viewchange.h"

#include "base/check.h"

#include <string.h>

struct digest viewchange_null_digest(void)
{
    return batch_digest(0, NULL, 0);
}

void viewchange_read(struct blob *blob, const struct digest *id, const struct wire_view_change *m, const uint64_t *good,
                     struct viewchange_message *out)
{
    struct wire_iterator i = wire_list_start(m->prepared);
    struct wire_vote_certificate c;
    (void)blob_retain(blob); /* before the release: it may be the same */
    blob_release(out->blob);
    memset(out, 0, sizeof *out);
    out->blob = blob;
    out->id = *id;
    out->view = m->view;
    out->low = m->proof.seq;
    for (uint32_t k = 0; wire_list_next(&i, &wire_record_vote_certificate, &c); k++) {
        struct viewchange_claim *claim = &out->claims[c.seq % WINDOW_BATCHES];
        if ((good[k / 64] >> (k % 64) & 1u) == 0) continue;                     /* rule 4: this one alone is void */
        if (c.seq <= out->low || c.seq > out->low + WINDOW_BATCHES) continue;   /* outside its sender's (h, h+L] */
        if (c.view >= m->view) continue;                                        /* prepared in no earlier view */
        if (claim->present && claim->view >= c.view) continue;
        *claim = (struct viewchange_claim){.present = true, .view = c.view, .digest = c.digest};
    }
}

/* The counting certificate of one message for n, or NULL; n is above its low watermark. A slot of claims[] belongs to
 * the one n of its window. */
static const struct viewchange_claim *claim_at(const struct viewchange_message *m, uint64_t n)
{
    const struct viewchange_claim *c = &m->claims[n % WINDOW_BATCHES];
    return n <= m->low + WINDOW_BATCHES && c->present ? c : NULL;
}

void viewchange_plan_of(uint64_t view, const struct viewchange_message *const *messages, const uint32_t *members,
                        uint32_t count, struct viewchange_plan *out)
{
    const struct digest null = viewchange_null_digest();
    out->view = view;
    out->low = 0;
    out->member_count = count;
    for (uint32_t i = 0; i < count; i++) {
        out->members[i] = members[i];
        if (messages[i]->low > out->low) out->low = messages[i]->low; /* rule 6 */
    }
    out->high = out->low;
    for (uint64_t n = out->low + 1; n <= out->low + WINDOW_BATCHES; n++) {
        const struct viewchange_claim *best = NULL;
        for (uint32_t i = 0; i < count; i++) {
            const struct viewchange_claim *c = claim_at(messages[i], n);
            if (c != NULL && (best == NULL || c->view > best->view)) best = c; /* rule 1: the highest view */
        }
        out->proposals[n - out->low - 1] = best != NULL ? best->digest : null;
        if (best != NULL) out->high = n;
    }
}
