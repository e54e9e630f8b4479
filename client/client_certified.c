/* client_certified.c - reads that one replica answers with a proof (wire/certified.h): one replica after the other is
 * asked until one proves what it says. */
#include "client/client_internal.h"

#include "base/check.h"
#include "wire/certified.h"

#include <stdio.h>
#include <stdlib.h>

#define NOBODY_RETRY_US 20000u /* no replica is connected */

/* Asks a replica that is connected and has not answered in this round: the one after the last asked first. When all
 * have, another round begins a little later. */
void client_certified_ask(struct pbft_client *c, struct pending *p, uint64_t now)
{
    const uint32_t n = c->quorum.replica_count;
    for (uint32_t k = 1; k <= n; k++) {
        const uint32_t id = (c->certified_asked + k) % n;
        if (p->votes[id].present || !client_send(&c->links[id], p->message)) continue;
        c->certified_asked = id;
        p->votes[id].present = true;
        p->complaints[id] = "did not answer in time";
        p->asked = id;
        p->resend_us = now + CLIENT_READ_ROUND_US;
        return;
    }
    client_votes_clear(c, p);
    p->resend_us = now + (client_connected(c) == 0 ? NOBODY_RETRY_US : CLIENT_READ_ROUND_US);
}

void client_certified_begin(struct pbft_client *c, struct pending *p, uint64_t at_least)
{
    p->at_least = at_least;
    p->complaints = mem_zero(c->quorum.replica_count, sizeof *p->complaints);
    client_certified_ask(c, p, client_now_us());
}

/* NULL, or what is wrong with the answer. */
static const char *weigh(struct pbft_client *c, const struct pending *p, const struct wire_result *m)
{
    const struct wire_group g = {.id = c->group->id, .epoch = c->epoch, .quorum = c->quorum, .members = c->member_keys};
    struct wire_message query;
    if (m->outcome == OUTCOME_REFUSED) return "has no stable checkpoint to prove it from";
    if (m->seq < p->at_least) return "knows only an older checkpoint";
    CHECK(wire_decode(blob_bytes(p->message), &query) == NULL);
    return certified_check(&g, signature_checker_plain(), &query.query.operation, m, &c->certificate_known);
}

const char *client_certified_take(struct replica_link *l, struct pending *p, const struct wire_result *m)
{
    struct pbft_client *c = l->client;
    struct client_vote *v = &p->votes[l->id];
    if (!v->present || v->seq != 0) return "it was not asked"; /* one answer a round costs signature checks, not many */
    v->seq = m->seq + 1;
    const char *fault = weigh(c, p, m);
    if (fault == NULL) return NULL;
    p->complaints[l->id] = fault;
    if (p->asked == l->id) client_certified_ask(c, p, client_now_us());
    return fault;
}

void client_certified_describe(const struct pbft_client *c, const struct pending *p, struct buffer *out)
{
    bool any = false;
    for (uint32_t id = 0; id < c->quorum.replica_count; id++) {
        if (p->complaints[id] == NULL) continue;
        buffer_printf(out, "%sreplica %u: %s", any ? ", " : "", id, p->complaints[id]);
        any = true;
    }
    if (!any) buffer_printf(out, "no replica could be asked");
}
