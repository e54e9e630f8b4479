/* node_inbound.c - frames on their way in: who may send what, verification here or in the pool, reads.
 *
 * Limits before work: each member and client may have so much being worked on, messages and bytes; past that a member's
 * messages are dropped (anti-entropy brings them again) and a client hears BUSY. What the core would ignore whatever
 * its signatures say is dropped before any is checked, and is no fault: a correct member may be late. */
#include "replica/run/node_internal.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(WIRE_TYPE_MAX < 24, "a message's type is one byte, after the one of its array");

static bool check_with_cache(void *context, struct verify_item *item)
{
    return verify_cache_check(context, item);
}

struct signature_checker node_checker(struct node *n)
{
    return (struct signature_checker){.check = check_with_cache, .context = n->cache};
}

/* ---- before any signature ---- */

/* What a frame says it is, before it is decoded. */
static uint32_t frame_type(struct bytes frame)
{
    return frame.len < 2 ? 0 : frame.data[1];
}

static bool is_vote(uint32_t type)
{
    return type == WIRE_TYPE_prepare || type == WIRE_TYPE_commit;
}

static void log_ignored(uint32_t member, const char *reason)
{
    LOG_LIMITED(LOG_LEVEL_DEBUG, "inbound.ignored", node_cause(reason, member), LOG_U("peer", member),
                LOG_S("reason", reason));
}

void node_note_fetches(struct node *n, const struct core_effects *effects)
{
    for (uint32_t i = 0; i < effects->count; i++) {
        const struct core_effect *e = &effects->items[i];
        struct wire_message m;
        if (e->type != CORE_EFFECT_SEND || e->send.type != WIRE_TYPE_fetch) continue;
        CHECK(wire_decode(blob_bytes(e->send.bytes), &m) == NULL); /* our own */
        for (uint32_t id = 0; id < n->wire.quorum.replica_count; id++) {
            struct peer *p = &n->peers[id];
            if (e->send.to != CORE_TO_ALL && e->send.to != id) continue;
            /* what never came stays owed, for it may be on its way: hence a maximum */
            const uint64_t owed = p->data_owed + (m.fetch.kind == DATA_KIND_STATE ? 1 : m.fetch.count);
            p->data_owed = owed < NODE_DATA_OWED_MAX ? (uint32_t)owed : NODE_DATA_OWED_MAX;
        }
    }
}

static const char *ignores_proposal(const struct core_summary *s, const struct wire_pre_prepare *m)
{
    if (m->view < s->view) return "PRE-PREPARE of a view that is over";
    if (m->view > s->view) return NULL; /* the core may be about to enter it, with another window */
    return m->seq <= s->low || m->seq > s->high ? "PRE-PREPARE outside the window" : NULL;
}

/* Both types that can hold a thousand signatures hold them inside one byte string: decoding passes over it. */
const char *node_ignores(struct node *n, uint32_t member, struct bytes frame)
{
    struct wire_message m;
    const uint32_t type = frame_type(frame);
    if (type != WIRE_TYPE_pre_prepare && type != WIRE_TYPE_data) return NULL;
    if (wire_decode(frame, &m) != NULL) return NULL; /* invalid: that is its sender's fault, and counted */
    if (m.type == WIRE_TYPE_pre_prepare) {
        const struct core_summary s = core_summary(n->core);
        return ignores_proposal(&s, &m.pre_prepare);
    }
    if (n->peers[member].data_owed == 0) return "DATA that was not asked for";
    n->peers[member].data_owed--;
    return NULL;
}

/* Finds whose request a member forwards; on a worker, for decoding takes as long as the request has operations. */
static const char *find_client(struct inbound *i)
{
    struct wire_message m;
    if (i->client != UINT32_MAX || frame_type(blob_bytes(i->frame)) != WIRE_TYPE_request) return NULL;
    if (wire_decode(blob_bytes(i->frame), &m) != NULL) return NULL;
    const int client = group_client_by_key(i->node->identity.group, &m.request.client);
    if (client < 0) return "request of an unknown client";
    i->client = (uint32_t)client;
    return NULL;
}

/* ---- verification ---- */

/* On a worker thread. */
static void verify(struct verify_job *job)
{
    struct inbound *i = (struct inbound *)(void *)job;
    i->ignored = find_client(i);
    if (i->ignored != NULL) return;
    struct blob *frame = i->frame;
    i->frame = NULL;
    i->fault = msg_verify(&i->node->wire, node_checker(i->node), frame, &i->verified);
}

static bool has_room(const struct session *s, size_t bytes)
{
    const struct account *a = s->account;
    const bool client = s->kind == SESSION_CLIENT;
    const size_t bytes_max = client ? NODE_CLIENT_INSIDE_BYTES_MAX : NODE_PEER_INSIDE_BYTES_MAX;
    return a->inside < (client ? NODE_CLIENT_INSIDE_MAX : NODE_PEER_INSIDE_MAX) && bytes <= bytes_max - a->inside_bytes;
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

static bool is_dear(struct bytes frame)
{
    const uint32_t type = frame_type(frame);
    return type == WIRE_TYPE_view_change || type == WIRE_TYPE_new_view;
}

static void take_back(struct inbound *i);

/* One signature and little to hash, whatever its sender makes of it: a vote, CHECKPOINT or REQUEST. A PRE-PREPARE has
 * its own and one for each request, of which there is room for six at most in so many bytes. STATUS and DATA hold
 * certificates. */
static bool is_cheap(struct bytes frame)
{
    switch (frame_type(frame)) {
    case WIRE_TYPE_prepare:
    case WIRE_TYPE_commit:
    case WIRE_TYPE_checkpoint:
    case WIRE_TYPE_pre_prepare:
    case WIRE_TYPE_request: return frame.len <= NODE_HERE_BYTES_MAX;
    default: return false;
    }
}

/* Where nothing is in the pool, to wake a thread of it and to be woken by it costs as much as the signature. But so
 * many in one turn of the loop only: what comes all at once is shared out, and the loop is not held up by it. */
static bool verifies_here(struct node *n, struct bytes frame)
{
    if (!is_cheap(frame) || verify_pool_inside(n->pool, VERIFY_CLASS_MEMBER) > 0 ||
        verify_pool_inside(n->pool, VERIFY_CLASS_CLIENT) > 0)
        return false;
    const uint32_t turn = ev_iteration(n->loop);
    if (turn != n->here_turn) n->here_count = 0;
    n->here_turn = turn;
    return n->here_count++ < NODE_HERE_MAX;
}

static struct inbound *inbound_new(struct session *s, struct blob *frame_taken)
{
    const bool client = s->kind == SESSION_CLIENT;
    struct inbound *i = mem_zero(1, sizeof *i);
    i->job.run = verify;
    i->node = s->node;
    i->session = s;
    i->frame = frame_taken;
    i->bytes = frame_taken->len;
    i->client = s->client;
    i->dear = !client && is_dear(blob_bytes(frame_taken));
    return i;
}

static void verify_here(struct inbound *i)
{
    enter(i->session, i->bytes);
    verify(&i->job);
    node_tick(i->node);
    take_back(i);
}

static bool to_pool(struct inbound *i)
{
    struct session *s = i->session;
    const bool client = s->kind == SESSION_CLIENT;
    if (!verify_pool_submit(s->node->pool, client ? VERIFY_CLASS_CLIENT : VERIFY_CLASS_MEMBER,
                            client ? s->client : s->member, &i->job)) {
        LOG_LIMITED(LOG_LEVEL_WARN, "verify.full", client, LOG_S("class", client ? "clients" : "members"));
        free(i);
        return false;
    }
    enter(s, i->bytes);
    if (i->dear) s->account->dear++;
    return true;
}

/* Takes over the frame, unless the pool has no room. */
static bool submit(struct session *s, struct blob *frame)
{
    const bool here = verifies_here(s->node, blob_bytes(frame));
    struct inbound *i = inbound_new(s, frame);
    if (!here) return to_pool(i);
    verify_here(i);
    return true;
}

bool node_verify_late(struct session *s, struct blob *frame, bool at_once)
{
    if (!at_once && !has_room(s, frame->len)) return false;
    struct inbound *i = inbound_new(s, frame);
    i->counted = true;
    if (!at_once) return to_pool(i);
    verify_here(i);
    return true;
}

static void send_busy(struct session *s, uint64_t seq, const struct digest *transaction, enum busy_reason reason)
{
    struct wire_busy m = {.epoch = s->node->wire.epoch,
                          .sender = s->node->config.id,
                          .seq = seq,
                          .reason = reason,
                          .retry_ms = reason == BUSY_OVERLOAD ? 100 : 0,
                          .view = core_view(s->node->core)};
    if (transaction != NULL) m.transaction = *transaction;
    session_send(s, &wire_record_busy, &m);
}

/* An invalid message costs its sender; enough of them and the connection ends. */
static void count_bad(struct session *s, const char *fault, size_t bytes)
{
    s->bad++;
    s->node->invalid_count++;
    if (s->kind == SESSION_REPLICA)
        LOG_LIMITED(LOG_LEVEL_WARN, "peer.invalid", node_cause(fault, s->member), LOG_U("peer", s->member),
                    LOG_S("fault", fault));
    else
        LOG_LIMITED(LOG_LEVEL_WARN, "client.invalid", node_cause(fault, s->client), LOG_U("client", s->client),
                    LOG_S("fault", fault));
    if (s->kind == SESSION_CLIENT) node_charge(s->node, s->account, NODE_VAIN_INVALID, bytes);
    if (s->bad < NODE_BAD_MAX || s->connection == NULL) return;
    if (s->bad == NODE_BAD_MAX) s->node->closed_count++;               /* others that were under way come after it */
    if (s->kind == SESSION_REPLICA) node_keep_out(s->node, s->member); /* for longer, with each of these */
    net_close(s->connection, "too many invalid messages");
}

/* ---- queries ---- */

static void send_result(struct session *s, uint64_t number, enum outcome outcome, uint64_t seq, struct bytes value,
                        const struct blob *proof)
{
    const struct wire_result m = {.epoch = s->node->wire.epoch,
                                  .sender = s->node->config.id,
                                  .number = number,
                                  .outcome = outcome,
                                  .view = core_view(s->node->core),
                                  .seq = seq,
                                  .value = value,
                                  .proof = proof != NULL ? blob_bytes(proof) : bytes_of(NULL, 0)};
    session_send(s, &wire_record_result, &m);
}

static void answer_local(struct session *s, const struct wire_query *q)
{
    struct node *n = s->node;
    struct blob *value = NULL;
    const bool window = q->operation.app == APP_SYSTEM && q->operation.verb == SYSTEM_VERB_CLIENT;
    node_charge(n, s->account, window ? NODE_VAIN_QUESTION : NODE_VAIN_REPORT, 0);
    if (q->operation.app == APP_SYSTEM && q->operation.verb == SYSTEM_VERB_STATUS) {
        value = node_status(n);
    } else if (q->operation.app == APP_SYSTEM && q->operation.verb == SYSTEM_VERB_WHY) {
        value = node_why(n);
    } else if (window && !core_summary(n->core).walking) {
        const struct wire_client_status c = {.registered = 1,
                                             .highest_settled = core_client_highest(n->core, s->client)};
        value = wire_encode_blob(&wire_record_client_status, &c);
    }
    const struct bytes none = bytes_of(NULL, 0);
    send_result(s, q->number, value != NULL ? OUTCOME_OK : OUTCOME_REFUSED, core_last_executed(n->core),
                value != NULL ? blob_bytes(value) : none, NULL);
    blob_release(value);
}

static void take_query(struct session *s, struct blob *frame, const struct wire_query *q)
{
    struct node *n = s->node;
    if (q->epoch != n->wire.epoch) {
        send_busy(s, 0, NULL, BUSY_INVALID);
        count_bad(s, "a query of another epoch", frame->len);
        return;
    }
    if (q->mode == QUERY_MODE_LOCAL) {
        answer_local(s, q);
        return;
    }
    if (q->mode > QUERY_MODE_MAX || n->query_count >= NODE_QUERIES_MAX || !has_room(s, frame->len)) {
        send_busy(s, q->number > SEQ_MAX ? SEQ_MAX : q->number, NULL, BUSY_OVERLOAD);
        return;
    }
    /* rule 23: wait for everything this replica has committed to; what is certified is as of its checkpoint */
    n->queries[n->query_count++] = (struct waiting_query){.query = blob_retain(frame),
                                                          .session = s,
                                                          .barrier = core_summary(n->core).read_barrier,
                                                          .certified = q->mode == QUERY_MODE_CERTIFIED};
    enter(s, frame->len);
    node_wake(n); /* later in this turn, with what else has come: not only at the next tick */
}

void node_run_queries(struct node *n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n->query_count; i++) {
        struct waiting_query *q = &n->queries[i];
        if (q->session->connection == NULL) { /* nobody waits for it any more */
            leave(q->session, q->query->len);
            blob_release(q->query);
            continue;
        }
        if ((!q->certified && !core_may_answer_read(n->core, q->barrier)) ||
            n->queries_running >= NODE_QUERIES_RUNNING_MAX ||
            q->session->account->queries >=
                NODE_CLIENT_QUERIES_RUNNING_MAX) { /* fair between clients (design.md section 11) */
            n->queries[kept++] = *q;
            continue;
        }
        struct execution_job *j = mem_zero(1, sizeof *j);
        j->kind = EXECUTION_QUERY;
        j->query = q->query;
        j->session = q->session;
        n->queries_running++;
        q->session->account->queries++;
        execution_submit(n->execution, j);
    }
    n->query_count = kept;
}

void node_query_done(struct node *n, struct execution_job *j)
{
    struct wire_message m;
    struct session *s = j->session;
    n->queries_running--;
    s->account->queries--;
    CHECK(wire_decode(blob_bytes(j->query), &m) == NULL); /* decoded when it came */
    if (!j->unanswered) /* else the client has it from others */
        send_result(s, m.query.number, j->outcome, j->executed, bytes_of(j->value.data, j->value.len), j->proof);
    leave(s, j->query->len);
}

/* ---- frames ---- */

/* Refuses or drops a request that the core has no use for, by its sequence alone: the connection's key is its client's,
 * so whoever hears of it may. */
static bool refuse_early(struct session *s, const struct wire_request *m, size_t bytes)
{
    switch (core_request_standing(s->node->core, s->client, m->seq, bytes)) {
    case CORE_STANDING_OPEN: return false;
    case CORE_STANDING_HELD: break; /* its answer will come */
    case CORE_STANDING_ABOVE: send_busy(s, m->seq, NULL, BUSY_TOO_FAR); break;
    case CORE_STANDING_BELOW: send_busy(s, m->seq, NULL, BUSY_TOO_OLD); break;
    }
    s->node->ignored_count++;
    node_charge(s->node, s->account, NODE_VAIN_DROPPED, bytes);
    return true;
}

static void inbound_client(struct session *s, struct blob *frame)
{
    struct wire_message m;
    const char *fault = wire_decode(blob_bytes(frame), &m);
    if (fault == NULL && m.type == WIRE_TYPE_query) {
        node_count(s->node, NODE_TRAFFIC_CLIENTS, TRAFFIC_RECEIVED, WIRE_TYPE_query, frame->len);
        take_query(s, frame, &m.query);
        blob_release(frame);
        return;
    }
    if (fault == NULL && m.type != WIRE_TYPE_request) fault = "a client sent something that is no request or query";
    if (fault == NULL && !public_key_equal(&m.request.client, net_peer_key(s->connection)))
        fault = "a client sent a request of another client";
    if (fault == NULL && refuse_early(s, &m.request, frame->len)) {
        blob_release(frame);
        return;
    }
    if (fault == NULL) {
        const size_t bytes = frame->len;
        if (has_room(s, bytes) && submit(s, frame)) {
            node_count(s->node, NODE_TRAFFIC_CLIENTS, TRAFFIC_RECEIVED, WIRE_TYPE_request, bytes);
            node_count_share(s->node, s->account, bytes);
            return;
        }
        send_busy(s, m.request.seq, NULL, BUSY_OVERLOAD);
        node_charge(s->node, s->account, NODE_VAIN_DROPPED, bytes);
        blob_release(frame);
        return;
    }
    send_busy(s, 0, NULL, BUSY_INVALID);
    count_bad(s, fault, frame->len);
    blob_release(frame);
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
    /* a correct member has at most one of each member's under way, and its NEW-VIEW; what is dropped is sent again */
    if (is_dear(blob_bytes(frame)) && s->account->dear > s->node->wire.quorum.replica_count) {
        log_ignored(s->member, "more VIEW-CHANGEs and NEW-VIEWs at once than there are members");
        blob_release(frame);
        return;
    }
    const uint32_t type = frame_type(blob_bytes(frame));
    const size_t bytes = frame->len;
    if (is_vote(type) && node_keep_late(s->node, s->member, frame)) {
        node_count(s->node, s->member, TRAFFIC_RECEIVED, type, bytes);
        return;
    }
    const char *ignored = node_ignores(s->node, s->member, blob_bytes(frame));
    if (ignored != NULL) log_ignored(s->member, ignored);
    if (ignored != NULL || !submit(s, frame)) blob_release(frame);
}

static bool has_void_certificate(const struct msg_verified *m)
{
    if (m->msg.type != WIRE_TYPE_view_change) return false;
    for (uint32_t k = 0; k < m->msg.view_change.prepared.count; k++)
        if ((m->certificates_good[k / 64] >> (k % 64) & 1u) == 0) return true;
    return !m->checkpoint_good;
}

static void deliver(struct node *n, struct inbound *i)
{
    struct session *s = i->session;
    struct msg_verified *m = &i->verified;
    if (i->ignored != NULL) {
        log_ignored(s->member, i->ignored);
        return;
    }
    if (i->fault != NULL) {
        if (s->kind == SESSION_CLIENT) {
            const uint64_t seq = m->msg.raw.len > 0 ? m->msg.request.seq : 0;
            send_busy(s, seq, NULL, BUSY_INVALID);
        }
        count_bad(s, i->fault, i->bytes);
        return;
    }
    if (s->kind == SESSION_REPLICA && !i->counted) node_count(n, s->member, TRAFFIC_RECEIVED, m->msg.type, i->bytes);
    /* rule 4: the others in it are judged by themselves; but who signed this one broke the rules */
    if (s->kind == SESSION_REPLICA && has_void_certificate(m) && m->msg.view_change.sender == s->member)
        count_bad(s, "a certificate inside a VIEW-CHANGE does not check", i->bytes);
    struct core_event event = {.type = CORE_EVENT_MESSAGE};
    event.message.verified = m;
    event.message.from = s->kind == SESSION_REPLICA ? s->member : UINT32_MAX;
    event.message.client = i->client;
    const char *ignored = node_step(n, &event);
    if (ignored != NULL && s->kind == SESSION_CLIENT) node_charge(n, s->account, NODE_VAIN_IGNORED, i->bytes);
    if (s->kind == SESSION_REPLICA) node_contest_late(n, &m->msg);
}

void node_drop_inbound(struct verify_job *job)
{
    struct inbound *i = (struct inbound *)(void *)job;
    blob_release(i->frame);
    msg_verified_release(&i->verified);
    free(i);
}

static void take_back(struct inbound *i)
{
    deliver(i->node, i);
    if (i->dear) i->session->account->dear--;
    leave(i->session, i->bytes);
    node_drop_inbound(&i->job);
}

void node_take_verified(struct node *n)
{
    struct verify_job *job;
    while ((job = verify_pool_take_done(n->pool)) != NULL)
        take_back((struct inbound *)(void *)job);
}
