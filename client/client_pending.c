/* client_pending.c - what is in flight: collecting answers, believing f+1 of them, sending again, giving up.
 *
 * Which answer is believed is decided in client_votes.c. */
#include "client/client_internal.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void client_votes_clear(struct pbft_client *c, struct pending *p)
{
    for (uint32_t id = 0; id < c->quorum.replica_count; id++) {
        p->votes[id] = (struct client_vote){.present = false};
    }
}

void client_pending_free(struct pbft_client *c, struct pending *p)
{
    if (p->kind == PENDING_FREE) return;
    client_votes_clear(c, p);
    blob_release(p->message);
    free(p->votes);
    free(p->complaints);
    *p = (struct pending){.kind = PENDING_FREE};
    c->in_flight--;
}

/* Moves to the highest view that f+1 replicas have reached: at least one correct one is there. */
void client_learn_view(struct pbft_client *c)
{
    for (uint32_t i = 0; i < c->quorum.replica_count; i++) {
        const struct replica_link *l = &c->links[i];
        uint32_t at_least = 0;
        if (!l->greeted || !l->view_said) continue;
        for (uint32_t k = 0; k < c->quorum.replica_count; k++)
            if (c->links[k].greeted && c->links[k].view_said && c->links[k].view >= l->view) at_least++;
        if (at_least < c->quorum.weak) continue;
        c->view_known = true;
        if (l->view > c->view) c->view = l->view;
    }
}

/* ---- giving answers ---- */

static void finish(struct pbft_client *c, struct pending *p, const struct pbft_answer *answer)
{
    const pbft_callback callback = p->callback;
    void *context = p->context;
    struct pending taken = *p; /* the slot is free for the callback to use; what the answer borrows lives on */
    *p = (struct pending){.kind = PENDING_FREE};
    c->called_back = true;
    c->in_callback = true;
    callback(context, answer);
    c->in_callback = false;
    client_pending_free(c, &taken);
}

static void finish_failed(struct pbft_client *c, struct pending *p, enum pbft_status status, const char *text)
{
    struct pbft_answer *a = mem_zero(1, sizeof *a);
    a->status = status;
    a->client_seq = p->kind == PENDING_SUBMIT ? p->seq : 0;
    a->elapsed_us = client_now_us() - p->since_us;
    a->op_count = p->op_count;
    (void)snprintf(a->text, sizeof a->text, "%s", text);
    finish(c, p, a);
    free(a);
}

/* The lowest view that f+1 of the matching replicas have reached at least. */
static uint64_t agreed_view(const struct pbft_client *c, const struct pending *p, const struct digest *what)
{
    uint64_t best = 0;
    for (uint32_t i = 0; i < c->quorum.replica_count; i++) {
        uint32_t at_least = 0;
        if (!p->votes[i].present || !digest_equal(&p->votes[i].what, what)) continue;
        for (uint32_t k = 0; k < c->quorum.replica_count; k++)
            if (p->votes[k].present && digest_equal(&p->votes[k].what, what) && p->votes[k].view >= p->votes[i].view)
                at_least++;
        if (at_least >= c->quorum.weak && p->votes[i].view > best) best = p->votes[i].view;
    }
    return best;
}

static void fill_matched(const struct pbft_client *c, const struct pending *p, const struct digest *what,
                         struct pbft_answer *a)
{
    a->view = agreed_view(c, p, what);
    a->elapsed_us = client_now_us() - p->since_us;
    a->op_count = p->op_count;
    for (uint32_t id = 0; id < c->quorum.replica_count; id++)
        if (p->votes[id].present && digest_equal(&p->votes[id].what, what)) a->matched[a->matched_count++] = id;
}

/* ---- REPLY ---- */

/* The header's signature, checked once for each header and replica. */
static bool header_signed(struct replica_link *l, const struct wire_reply *m)
{
    const struct digest hash = header_hash(&m->header);
    if (l->header_known && digest_equal(&hash, &l->header)) return true;
    const struct digest statement = wire_record_signing_digest(&l->client->group->id, &wire_record_reply, m);
    if (m->header.epoch != l->client->epoch) return false;
    if (!sign_verify(&l->client->member_keys[l->id], &statement, &m->signature)) return false;
    l->header = hash;
    l->header_known = true;
    return true;
}

static void learn_usual(uint64_t *usual_us, uint64_t us)
{
    *usual_us = *usual_us == 0 ? us : (7 * *usual_us + us) / 8;
}

static void accept_reply(struct pbft_client *c, struct pending *p, const struct wire_reply *m,
                         const struct client_results *r, const struct digest *what)
{
    enum pbft_outcome *outcomes = mem_zero(p->op_count, sizeof *outcomes);
    struct pbft_bytes *values = mem_zero(p->op_count, sizeof *values);
    for (uint32_t i = 0; i < p->op_count; i++) { /* one that stands for all: without values for the others */
        outcomes[i] = (enum pbft_outcome)r->outcomes[i < r->count ? i : 0];
        if (i < r->count) values[i] = (struct pbft_bytes){.data = r->values[i].data, .len = r->values[i].len};
    }
    struct pbft_answer *a = mem_zero(1, sizeof *a);
    fill_matched(c, p, what, a);
    client_settled(c, p->seq);
    learn_usual(&c->usual_us, a->elapsed_us);
    if (p->witness) learn_usual(&c->witness_took_us, a->elapsed_us);
    a->status = PBFT_OK;
    a->client_seq = p->seq;
    a->block = m->header.seq;
    a->time_ms = m->header.time_ms;
    a->index = r->first_index;
    a->outcome = outcomes[0];
    a->value = values[0];
    a->outcomes = outcomes;
    a->values = values;
    finish(c, p, a);
    free(a);
    free(outcomes);
    free(values);
}

/* The header is signed; first: where its entries begin. */
static void reply_for(struct replica_link *l, struct pending *p, const struct wire_reply *m, struct wire_iterator first)
{
    struct pbft_client *c = l->client;
    struct digest what;
    struct client_results r = {.outcomes = mem_zero(p->op_count, sizeof *r.outcomes),
                               .values = mem_zero(p->op_count, sizeof *r.values)};
    if (client_votes_reply(m, first, p->op_count, &r, &what)) {
        p->votes[l->id] = (struct client_vote){.present = true, .view = m->view, .seq = m->header.seq, .what = what};
        if (client_votes_settle(p->votes, &c->quorum, &what)) accept_reply(c, p, m, &r, &what);
    }
    free(r.outcomes);
    free(r.values);
}

static struct pending *submit_of(struct pbft_client *c, const struct digest *transaction)
{
    for (uint32_t k = 0; k < PBFT_WINDOW; k++)
        if (c->submits[k].kind == PENDING_SUBMIT && digest_equal(&c->submits[k].transaction, transaction))
            return &c->submits[k];
    return NULL;
}

void client_on_reply(struct replica_link *l, const struct wire_reply *m)
{
    struct wire_iterator at = wire_list_start(m->entries);
    struct wire_iterator first = at;
    struct wire_proven_entry e;
    for (; wire_list_next(&at, &wire_record_proven_entry, &e); first = at) {
        if (e.entry.operation != 0) continue;
        struct pending *p = submit_of(l->client, &e.entry.transaction);
        if (p == NULL || p->votes[l->id].present) continue;
        if (!header_signed(l, m)) return; /* one check for a REPLY, whatever it repeats */
        reply_for(l, p, m, first);
    }
}

/* ---- sending again ---- */

/* But not to `but`; UINT32_MAX: to each. */
static void send_to_others(struct pbft_client *c, struct pending *p, uint32_t but)
{
    for (uint32_t id = 0; id < c->quorum.replica_count; id++)
        if (id != but) (void)client_send(&c->links[id], p->message);
    p->sent_to_all = true;
}

void client_send_to_all(struct pbft_client *c, struct pending *p)
{
    send_to_others(c, p, UINT32_MAX);
}

uint64_t client_first_resend_us(const struct pbft_client *c)
{
    uint64_t slow_us = 2 * c->usual_us < CLIENT_RESEND_SLOW_US ? 2 * c->usual_us : CLIENT_RESEND_SLOW_US;
    if (c->witness_took_us != 0 && CLIENT_WITNESS_TIMES * c->witness_took_us < slow_us)
        slow_us = CLIENT_WITNESS_TIMES * c->witness_took_us; /* the others are kept back */
    return slow_us > CLIENT_RESEND_FIRST_US ? slow_us : CLIENT_RESEND_FIRST_US;
}

static void resend_submit(struct pbft_client *c, struct pending *p, uint64_t now)
{
    client_send_to_all(c, p);
    p->backoff_us = p->backoff_us * 2 > CLIENT_RESEND_MOST_US ? CLIENT_RESEND_MOST_US : p->backoff_us * 2;
    p->resend_us = now + p->backoff_us + prng_below(&c->random, p->backoff_us / 4 + 1);
}

/* ---- BUSY ---- */

static enum pbft_status busy_status(enum busy_reason reason)
{
    switch (reason) {
    case BUSY_CONFLICT: return PBFT_CONFLICT;
    case BUSY_TOO_OLD: return PBFT_TOO_OLD;
    case BUSY_UNKNOWN_CLIENT:
    case BUSY_INVALID: return PBFT_REJECTED;
    case BUSY_OVERLOAD:
    case BUSY_TOO_FAR:
    case BUSY_DISK_FULL:
    case BUSY_NOT_READY: return PBFT_OK; /* passes by itself: tried again */
    }
    return PBFT_OK;
}

/* The replica that was asked takes no transaction now, and will not pass this one on: as a primary that stops. */
static bool takes_nothing(enum busy_reason reason)
{
    return reason == BUSY_NOT_READY || reason == BUSY_DISK_FULL;
}

static const char *busy_text(enum pbft_status status)
{
    if (status == PBFT_CONFLICT)
        return "this client sequence was settled by another transaction (does another process use this client's key?): "
               "this one was not executed, and never will be";
    if (status == PBFT_TOO_OLD)
        return "this client sequence was settled long ago, perhaps by this transaction: whether it was executed is not "
               "known";
    return "f+1 replicas refuse this transaction: it is malformed, of another group, or this client is not registered";
}

struct pending *client_refused_first(const struct pbft_client *c)
{
    const struct pending *first = NULL;
    for (uint32_t k = 0; k < PBFT_WINDOW; k++) {
        const struct pending *p = &c->refused[k];
        if (p->kind != PENDING_FREE && (first == NULL || p->seq < first->seq)) first = p;
    }
    return (struct pending *)(uintptr_t)first;
}

/* Orders what was refused, as far as the window goes. */
static void order_refused(struct pbft_client *c)
{
    struct pending *p;
    while ((p = client_refused_first(c)) != NULL && client_sequence_usable(c))
        if (!client_order(c, p)) finish_failed(c, p, p->refusal, busy_text(p->refusal));
}

/* Lets it wait for another sequence. There is room: 64 were submitted at most, and nothing new is while one waits. */
static void set_aside(struct pbft_client *c, struct pending *p, enum pbft_status why)
{
    uint32_t k = 0;
    while (k < PBFT_WINDOW && c->refused[k].kind != PENDING_FREE)
        k++;
    CHECK_OP(k, <, PBFT_WINDOW);
    c->refused[k] = *p;
    c->refused[k].refusal = why;
    *p = (struct pending){.kind = PENDING_FREE};
}

/* f+1 replicas say that this sequence is used up. CONFLICT: the slot holds another transaction, so this one has not
 * been executed and cannot be any more; its operations may go under another sequence. TOO_OLD proves no such thing: a
 * copy sent before may have been executed, and its slot has left the window since. Only a read is worth the risk. */
static void sequence_refused(struct pbft_client *c, struct pending *p, enum pbft_status status)
{
    client_settled(c, status == PBFT_TOO_OLD ? p->seq + PBFT_WINDOW : p->seq);
    if (c->next_seq != 0) client_forget_sequence(c);
    if (p->chosen && (status == PBFT_CONFLICT || p->reads))
        set_aside(c, p, status);
    else
        finish_failed(c, p, status, busy_text(status));
}

void client_on_busy(struct replica_link *l, const struct wire_busy *m)
{
    struct pbft_client *c = l->client;
    struct pending *p = &c->submits[m->seq % PBFT_WINDOW];
    if (m->reason == 0 || m->reason > BUSY_REASON_MAX) return;
    if (p->kind != PENDING_SUBMIT || p->seq != m->seq || p->votes[l->id].present) return;
    /* said of a transaction that had this sequence before; one that could not be read has no id */
    if (!digest_is_zero(&m->transaction) && !digest_equal(&m->transaction, &p->transaction)) return;
    const enum busy_reason reason = (enum busy_reason)m->reason;
    p->votes[l->id].busy = reason;
    const enum pbft_status status = busy_status(reason);
    if (status == PBFT_OK) { /* sent again in its time: one replica's word must not hasten that */
        if (!p->sent_to_all && takes_nothing(reason)) send_to_others(c, p, l->id);
        return;
    }
    uint32_t same = 0;
    for (uint32_t id = 0; id < c->quorum.replica_count; id++)
        if (p->votes[id].busy != 0 && !p->votes[id].present && busy_status(p->votes[id].busy) == status) same++;
    if (same < c->quorum.weak) {
        if (!p->sent_to_all) p->resend_us = client_now_us(); /* ask the others too, at once */
        return;
    }
    if (status == PBFT_REJECTED) /* f + 1 say so */
        finish_failed(c, p, status, busy_text(status));
    else
        sequence_refused(c, p, status);
}

/* ---- RESULT ---- */

static void give_read(struct pbft_client *c, struct pending *p, const struct wire_result *m, struct pbft_answer *a)
{
    const enum pbft_outcome outcome = (enum pbft_outcome)m->outcome;
    const struct pbft_bytes value = {.data = m->value.data, .len = m->value.len};
    a->status = PBFT_OK;
    a->outcome = outcome;
    a->value = value;
    a->outcomes = &outcome;
    a->values = &value;
    a->op_count = 1;
    finish(c, p, a);
    free(a);
}

static void accept_read(struct pbft_client *c, struct pending *p, const struct wire_result *m)
{
    struct pbft_answer *a = mem_zero(1, sizeof *a);
    const struct digest what = p->votes[m->sender].what;
    fill_matched(c, p, &what, a);
    a->block = UINT64_MAX;
    for (uint32_t i = 0; i < a->matched_count; i++)
        if (p->votes[a->matched[i]].seq < a->block) a->block = p->votes[a->matched[i]].seq;
    give_read(c, p, m, a);
}

static void accept_certified(struct replica_link *l, struct pending *p, const struct wire_result *m)
{
    struct pbft_answer *a = mem_zero(1, sizeof *a);
    a->elapsed_us = client_now_us() - p->since_us;
    a->matched[a->matched_count++] = l->id;
    a->block = m->seq;
    give_read(l->client, p, m, a);
}

void client_on_result(struct replica_link *l, const struct wire_result *m)
{
    struct pbft_client *c = l->client;
    if (client_inspected(l, m)) return;
    struct pending *p = &c->reads[m->number % CLIENT_READS_MAX];
    if (p->kind == PENDING_FREE || p->seq != m->number || m->outcome > OUTCOME_MAX) return;
    if (p->kind == PENDING_CERTIFIED) {
        if (client_certified_take(l, p, m) == NULL) accept_certified(l, p, m);
        return;
    }
    struct client_vote *v = &p->votes[l->id];
    *v = (struct client_vote){.present = true, .view = m->view, .seq = m->seq, .what = client_votes_result(m)};
    if (client_votes_settle_read(p->votes, &c->quorum, &v->what)) {
        accept_read(c, p, m);
        return;
    }
    /* every replica reached has answered and no quorum agrees: writes are under way, ask again soon */
    uint32_t answered = 0;
    for (uint32_t id = 0; id < c->quorum.replica_count; id++)
        if (p->votes[id].present) answered++;
    const uint64_t soon = client_now_us() + 20000;
    if (answered >= client_connected(c) && p->resend_us > soon) p->resend_us = soon;
}

/* ---- time ---- */

/* Another round of a read, or the ordered path when rounds have not brought agreement (rule 23). Until a sequence can
 * be had for that, it is asked on. */
static void resend_read(struct pbft_client *c, struct pending *p, uint64_t now)
{
    if (p->rounds >= CLIENT_READ_ROUNDS && client_refused_first(c) == NULL && client_sequence_usable(c)) {
        if (!client_order(c, p)) finish_failed(c, p, PBFT_TOO_LARGE, "the read is too large to be ordered");
        return;
    }
    client_votes_clear(c, p);
    p->rounds++;
    p->resend_us = now + CLIENT_READ_ROUND_US;
    client_send_to_all(c, p);
}

/* Adds "; the disk is full on replica 1, 2", or nothing. */
static void describe_full_disks(const struct pbft_client *c, const struct pending *p, struct buffer *out)
{
    bool any = false;
    for (uint32_t id = 0; id < c->quorum.replica_count; id++) {
        if (p->votes[id].busy != BUSY_DISK_FULL || p->votes[id].present) continue;
        buffer_printf(out, "%s %u", any ? "," : "; the disk is full on replica", id);
        any = true;
    }
}

static void describe_missing_answers(const struct pbft_client *c, const struct pending *p, struct buffer *sentence)
{
    uint32_t answered = 0;
    for (uint32_t id = 0; id < c->quorum.replica_count; id++)
        if (p->votes[id].present || p->votes[id].busy != 0) answered++;
    const uint32_t needed = p->kind == PENDING_SUBMIT ? c->quorum.weak : c->quorum.quorum;
    buffer_printf(sentence, "no result in %.1f s%s: %u of %u replicas answered, %u equal answer%s needed; ",
                  (double)(client_now_us() - p->since_us) / 1e6,
                  p->kind == PENDING_SUBMIT ? ", and it may still be executed" : "", answered, c->quorum.replica_count,
                  needed, needed == 1 ? " is" : "s are");
    client_describe_primary(c, sentence);
    describe_full_disks(c, p, sentence);
}

static void give_up(struct pbft_client *c, struct pending *p)
{
    char text[PBFT_ERROR_BYTES];
    struct buffer sentence = {0};
    if (p->kind == PENDING_CERTIFIED) {
        buffer_printf(&sentence, "no certified answer in %.1f s: ", (double)(client_now_us() - p->since_us) / 1e6);
        client_certified_describe(c, p, &sentence);
    } else {
        describe_missing_answers(c, p, &sentence);
    }
    buffer_printf(&sentence, "; ");
    client_describe_silence(c, &sentence);
    client_text_fit(&sentence, text, sizeof text);
    buffer_free(&sentence);
    finish_failed(c, p, PBFT_TIMEOUT, text);
}

void client_timers(struct pbft_client *c)
{
    const uint64_t now = client_now_us();
    for (uint32_t k = 0; k < PBFT_WINDOW; k++) {
        struct pending *p = &c->submits[k];
        if (p->kind == PENDING_FREE) continue;
        if (now >= p->deadline_us)
            give_up(c, p);
        else if (now >= p->resend_us)
            resend_submit(c, p, now);
    }
    for (uint32_t k = 0; k < PBFT_WINDOW; k++) {
        struct pending *p = &c->refused[k];
        if (p->kind != PENDING_FREE && now >= p->deadline_us) finish_failed(c, p, p->refusal, busy_text(p->refusal));
    }
    for (uint32_t k = 0; k < CLIENT_READS_MAX; k++) {
        struct pending *p = &c->reads[k];
        if (p->kind == PENDING_FREE) continue;
        if (now >= p->deadline_us)
            give_up(c, p);
        else if (now >= p->resend_us && p->kind == PENDING_CERTIFIED)
            client_certified_ask(c, p, now);
        else if (now >= p->resend_us)
            resend_read(c, p, now);
    }
    order_refused(c);
}

void client_primary_lost(struct pbft_client *c)
{
    for (uint32_t k = 0; k < PBFT_WINDOW; k++)
        if (c->submits[k].kind == PENDING_SUBMIT) resend_submit(c, &c->submits[k], client_now_us());
}
