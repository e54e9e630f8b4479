/* node_inbound.c - frames on their way in: who may send what, verification in the pool, reads.
 *
 * Limits before work: each member and client may have so much being worked on, messages and bytes; past that a member's
 * messages are dropped (anti-entropy brings them again) and a client hears BUSY. */
#include "replica/run/node_internal.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

static bool check_with_cache(void *context, struct verify_item *item)
{
    return verify_cache_check(context, item);
}

/* On a worker thread. */
static void verify(struct verify_job *job)
{
    struct inbound *i = (struct inbound *)(void *)job;
    const struct signature_checker checker = {.check = check_with_cache, .context = i->node->cache};
    struct blob *frame = i->frame;
    i->frame = NULL;
    i->fault = msg_verify(&i->node->wire, checker, frame, &i->verified);
}

static bool has_room(const struct session *s, size_t bytes)
{
    const struct account *a = s->account;
    const bool client = s->kind == SESSION_CLIENT;
    const size_t bytes_max = client ? NODE_CLIENT_INSIDE_BYTES_MAX : NODE_PEER_INSIDE_BYTES_MAX;
    return a->inside < (client ? NODE_CLIENT_INSIDE_MAX : NODE_PEER_INSIDE_MAX) &&
           bytes <= bytes_max - a->inside_bytes;
}

static void enter(struct session *s, size_t bytes)
{
    s->inside++;
    s->account->inside++;
    s->account->inside_bytes += bytes;
}

/* May free the session. */
static void leave(struct session *s, size_t bytes)
{
    s->inside--;
    s->account->inside--;
    s->account->inside_bytes -= bytes;
    session_release(s);
}

static void submit(struct session *s, struct blob *frame)
{
    const size_t bytes = frame->len;
    struct inbound *i = mem_zero(1, sizeof *i);
    i->job.run = verify;
    i->node = s->node;
    i->session = s;
    i->frame = frame;
    if (!verify_pool_submit(s->node->pool, &i->job)) {
        LOG_LIMITED(LOG_LEVEL_WARN, "verify.full", 0, LOG_U("jobs", NODE_JOBS_MAX));
        blob_release(frame);
        free(i);
        return;
    }
    enter(s, bytes);
}

static void send_busy(struct session *s, uint64_t seq, const struct digest *transaction, enum busy_reason reason)
{
    struct wire_busy m = {.epoch = s->node->wire.epoch,
                          .sender = s->node->config.id,
                          .seq = seq,
                          .reason = reason,
                          .retry_ms = reason == BUSY_OVERLOAD ? 100 : 0,
                          .view = core_summary(s->node->core).view};
    if (transaction != NULL) m.transaction = *transaction;
    session_send(s, &wire_record_busy, &m);
}

/* An invalid message costs its sender; enough of them and the connection ends. */
static void count_bad(struct session *s, const char *fault)
{
    s->bad++;
    if (s->kind == SESSION_REPLICA)
        LOG_LIMITED(LOG_LEVEL_WARN, "peer.invalid", node_cause(fault, s->member), LOG_U("peer", s->member),
                    LOG_S("fault", fault));
    else
        LOG_LIMITED(LOG_LEVEL_WARN, "client.invalid", node_cause(fault, s->client), LOG_U("client", s->client),
                    LOG_S("fault", fault));
    if (s->bad >= NODE_BAD_MAX && s->connection != NULL) net_close(s->connection, "too many invalid messages");
}

/* ---- queries ---- */

static void send_result(struct session *s, uint64_t number, enum outcome outcome, uint64_t seq, struct bytes value)
{
    const struct wire_result m = {.epoch = s->node->wire.epoch,
                                  .sender = s->node->config.id,
                                  .number = number,
                                  .outcome = outcome,
                                  .view = core_summary(s->node->core).view,
                                  .seq = seq,
                                  .value = value};
    session_send(s, &wire_record_result, &m);
}

static void answer_local(struct session *s, const struct wire_query *q)
{
    struct node *n = s->node;
    struct blob *value = NULL;
    if (q->operation.app == APP_SYSTEM && q->operation.verb == SYSTEM_VERB_STATUS) {
        value = node_status(n);
    } else if (q->operation.app == APP_SYSTEM && q->operation.verb == SYSTEM_VERB_CLIENT) {
        const struct wire_client_status c = {.registered = 1,
                                             .highest_settled = core_client_highest(n->core, s->client)};
        value = wire_encode_blob(&wire_record_client_status, &c);
    }
    const struct bytes none = bytes_of(NULL, 0);
    send_result(s, q->number, value != NULL ? OUTCOME_OK : OUTCOME_REFUSED, core_summary(n->core).executed,
                value != NULL ? blob_bytes(value) : none);
    blob_release(value);
}

static void take_query(struct session *s, struct blob *frame, const struct wire_query *q)
{
    struct node *n = s->node;
    if (q->epoch != n->wire.epoch) {
        send_busy(s, 0, NULL, BUSY_INVALID);
        count_bad(s, "a query of another epoch");
        return;
    }
    if (q->mode == QUERY_MODE_LOCAL) {
        answer_local(s, q);
        return;
    }
    if (q->mode != QUERY_MODE_QUORUM || n->query_count >= NODE_QUERIES_MAX || !has_room(s, frame->len)) {
        send_busy(s, q->number > SEQ_MAX ? SEQ_MAX : q->number, NULL, BUSY_OVERLOAD);
        return;
    }
    /* rule 23: wait for everything this replica has committed to */
    n->queries[n->query_count++] = (struct waiting_query){
        .query = blob_retain(frame), .session = s, .barrier = core_summary(n->core).read_barrier};
    enter(s, frame->len);
    node_wake(n); /* later in this turn, with what else has come: not only at the next tick */
}

void node_run_queries(struct node *n)
{
    const uint64_t executed = core_summary(n->core).executed;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n->query_count; i++) {
        struct waiting_query *q = &n->queries[i];
        if (q->session->connection == NULL) { /* nobody waits for it any more */
            leave(q->session, q->query->len);
            blob_release(q->query);
            continue;
        }
        if (q->barrier > executed || n->queries_running >= NODE_QUERIES_RUNNING_MAX) {
            n->queries[kept++] = *q;
            continue;
        }
        struct execution_job *j = mem_zero(1, sizeof *j);
        j->kind = EXECUTION_QUERY;
        j->query = q->query;
        j->session = q->session;
        n->queries_running++;
        execution_submit(n->execution, j);
    }
    n->query_count = kept;
}

void node_query_done(struct node *n, struct execution_job *j)
{
    struct wire_message m;
    struct session *s = j->session;
    n->queries_running--;
    CHECK(wire_decode(blob_bytes(j->query), &m) == NULL); /* decoded when it came */
    send_result(s, m.query.number, j->outcome, j->executed, bytes_of(j->value.data, j->value.len));
    leave(s, j->query->len);
}

/* ---- frames ---- */

static void inbound_client(struct session *s, struct blob *frame)
{
    struct wire_message m;
    const char *fault = wire_decode(blob_bytes(frame), &m);
    if (fault == NULL && m.type == WIRE_TYPE_query) {
        s->node->received[m.type]++;
        take_query(s, frame, &m.query);
        blob_release(frame);
        return;
    }
    if (fault == NULL && m.type != WIRE_TYPE_request) fault = "a client sent something that is no request or query";
    if (fault == NULL && !public_key_equal(&m.request.client, net_peer_key(s->connection)))
        fault = "a client sent a request of another client";
    if (fault == NULL && !has_room(s, frame->len)) {
        send_busy(s, m.request.seq, NULL, BUSY_OVERLOAD);
        blob_release(frame);
        return;
    }
    if (fault == NULL) {
        s->node->received[m.type]++;
        submit(s, frame);
        return;
    }
    send_busy(s, 0, NULL, BUSY_INVALID);
    blob_release(frame);
    count_bad(s, fault);
}

void node_inbound(struct session *s, struct blob *frame)
{
    if (s->kind == SESSION_CLIENT) {
        inbound_client(s, frame);
        return;
    }
    if (!has_room(s, frame->len)) {
        LOG_LIMITED(LOG_LEVEL_WARN, "peer.flood", s->member, LOG_U("peer", s->member),
                    LOG_U("inside", s->account->inside), LOG_U("inside_bytes", s->account->inside_bytes));
        blob_release(frame);
        return;
    }
    submit(s, frame);
}

static void deliver(struct node *n, struct inbound *i)
{
    struct session *s = i->session;
    struct msg_verified *m = &i->verified;
    if (i->fault != NULL) {
        if (s->kind == SESSION_CLIENT) {
            const uint64_t seq = m->msg.raw.len > 0 ? m->msg.request.seq : 0;
            send_busy(s, seq, NULL, BUSY_INVALID);
        }
        count_bad(s, i->fault);
        return;
    }
    if (s->kind == SESSION_REPLICA) n->received[m->msg.type]++;
    struct core_event event = {.type = CORE_EVENT_MESSAGE};
    event.message.verified = m;
    event.message.from = s->kind == SESSION_REPLICA ? s->member : UINT32_MAX;
    event.message.client = UINT32_MAX;
    if (m->msg.type == WIRE_TYPE_request) {
        const int client = group_client_by_key(n->identity.group, &m->msg.request.client);
        if (client >= 0) event.message.client = (uint32_t)client;
    }
    node_step(n, &event);
}

void node_take_verified(struct node *n)
{
    struct verify_job *job;
    while ((job = verify_pool_take_done(n->pool)) != NULL) {
        struct inbound *i = (struct inbound *)(void *)job;
        struct session *s = i->session;
        deliver(n, i);
        leave(s, i->verified.blob->len);
        msg_verified_release(&i->verified);
        free(i);
    }
}
