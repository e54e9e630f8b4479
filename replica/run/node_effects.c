/* node_effects.c - performing effects, and giving results back to the core.
 *
 * An effect with a token waits in the order it was given until that token is durable (rule 30). */
#include "replica/run/node_internal.h"

#include "base/check.h"
#include "base/clock.h"
#include "wire/evidence.h"

#include <stdlib.h>
#include <string.h>

static void log_view(const struct node *n, const struct core_effect *e)
{
    const uint32_t primary = quorum_primary(&n->wire.quorum, e->persist.view);
    if (e->persist.kind == CORE_PERSIST_VIEW_LEFT)
        LOG(LOG_LEVEL_WARN, "view.left", LOG_U("for", e->persist.view), LOG_U("next_primary", primary),
            LOG_U("executed", core_last_executed(n->core)));
    if (e->persist.kind == CORE_PERSIST_NEW_VIEW)
        LOG(LOG_LEVEL_INFO, "view.entered", LOG_U("view", e->persist.view), LOG_U("primary", primary),
            LOG_U("executed", core_last_executed(n->core)));
    if (e->persist.kind == CORE_PERSIST_FENCE)
        LOG(LOG_LEVEL_WARN, "replica.fenced", LOG_U("until", e->persist.seq),
            LOG_S("reason", core_summary(n->core).fence_reason),
            LOG_S("action", "none while enough others run: it follows, and votes again once that sequence is stable"));
}

static void submit_persist(struct node *n, struct core_effect *e)
{
    log_view(n, e);
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_PERSIST;
    j->token = e->persist.token;
    j->persist = e->persist.kind;
    j->view = e->persist.view;
    j->seq = e->persist.seq;
    j->reason = e->persist.reason;
    j->digest = e->persist.digest;
    j->record = e->persist.record;
    j->batch = e->persist.batch;
    e->persist.record = NULL; /* passed on */
    e->persist.batch = NULL;
    storage_submit(n->storage, j);
}

static void submit_execute(struct node *n, struct core_effect *e)
{
    struct execution_job *j = mem_zero(1, sizeof *j);
    j->kind = EXECUTION_BATCH;
    j->seq = e->execute.seq;
    j->view = core_view(n->core);
    j->digest = e->execute.digest;
    j->batch = e->execute.batch;
    j->certificate = e->execute.certificate;
    j->batch_persisted = e->execute.batch_persisted;
    e->execute.batch = NULL;
    e->execute.certificate = NULL;
    n->proposed_us[j->seq % WINDOW_BATCHES] = core_proposed_us(n->core, j->seq);
    execution_submit(n->execution, j);
}

void node_fold(struct node *n, uint64_t seq)
{
    struct execution_job *j = mem_zero(1, sizeof *j);
    j->kind = EXECUTION_FOLD;
    j->seq = seq;
    j->certificate = blob_retain(core_stable(n->core));
    execution_submit(n->execution, j);
}

static void submit_serve_state(struct node *n, struct core_effect *e)
{
    struct execution_job *j = mem_zero(1, sizeof *j);
    j->kind = EXECUTION_SERVE_STATE;
    j->to = e->serve_state.to;
    j->number = e->serve_state.number;
    j->seq = e->serve_state.seq;
    j->ask = e->serve_state.ask;
    e->serve_state.ask = NULL; /* passed on */
    execution_submit(n->execution, j);
}

static void submit_past_block(struct node *n, struct core_effect *e)
{
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_PAST_BLOCK;
    j->gap_low = e->past_block.gap_low;
    j->record = e->past_block.data;
    j->batch = e->past_block.entries;
    j->checkpoint_good = e->past_block.checkpoint_good;
    e->past_block.data = NULL; /* passed on */
    e->past_block.entries = NULL;
    storage_submit(n->storage, j);
}

static void submit_walk(struct node *n, enum execution_kind kind, uint64_t seq, uint32_t number, struct blob *data_taken)
{
    struct execution_job *j = mem_zero(1, sizeof *j);
    j->kind = kind;
    j->seq = seq;
    j->number = number;
    j->answer = data_taken;
    execution_submit(n->execution, j);
}

static void send_member(struct node *n, const struct core_effect *e)
{
    if (e->send.to != CORE_TO_ALL) {
        (void)node_send_member(n, e->send.to, e->send.type, e->send.bytes, e->send.resend);
        return;
    }
    for (uint32_t id = 0; id < n->wire.quorum.replica_count; id++)
        if (id != n->config.id) (void)node_send_member(n, id, e->send.type, e->send.bytes, e->send.resend);
}

/* Stored answers are looked up for a client as many at a time as it may have transactions in flight. */
static bool begin_answer(struct node *n, uint32_t client)
{
    if (n->clients[client].reads >= CLIENT_WINDOW) return false;
    n->clients[client].reads++;
    return true;
}

/* Checked once more, from its bytes alone as everybody else will, before it is kept and said. */
void node_keep_evidence(struct node *n, struct core_effect *e)
{
    struct evidence found;
    struct buffer text = {0};
    const struct blob *record = e->evidence.record;
    const char *fault = evidence_check(&n->wire, node_checker(n), blob_bytes(record), &found);
    if (fault != NULL) { /* our own bug: nobody is accused by it */
        LOG(LOG_LEVEL_ERROR, "evidence.unsound", LOG_U("member", e->evidence.member), LOG_S("reason", fault),
            LOG_S("action", "report it with the log of this replica"));
        return;
    }
    evidence_text(&found, &text);
    buffer_append(&text, "", 1);
    LOG(LOG_LEVEL_WARN, "evidence.found", LOG_U("member", found.member), LOG_S("kind", evidence_kind_name(found.kind)),
        LOG_U("view", found.view), LOG_U("seq", found.seq), LOG_S("what", (const char *)text.data),
        LOG_S("action", "tell that member's operator; pbft evidence list and export show it to anybody"));
    buffer_free(&text);
    struct storage_job *j = mem_zero(1, sizeof *j);
    j->kind = STORAGE_EVIDENCE;
    j->seq = found.member;
    j->count = (uint32_t)found.kind;
    j->record = e->evidence.record;
    e->evidence.record = NULL; /* passed on */
    storage_submit(n->storage, j);
}

static void perform(struct node *n, struct core_effect *e)
{
    switch (e->type) {
    case CORE_EFFECT_SEND: send_member(n, e); return;
    case CORE_EFFECT_SEND_CLIENT: node_send_client(n, e->send_client.client, e->send_client.bytes); return;
    case CORE_EFFECT_PERSIST: submit_persist(n, e); return;
    case CORE_EFFECT_EXECUTE: submit_execute(n, e); return;
    case CORE_EFFECT_ANSWER: {
        if (!begin_answer(n, e->answer.client)) return; /* the client asks again */
        struct execution_job *j = mem_zero(1, sizeof *j);
        j->kind = EXECUTION_FIND;
        j->client = e->answer.client;
        j->seq = e->answer.seq;
        j->transaction = e->answer.transaction;
        execution_submit(n->execution, j);
        return;
    }
    case CORE_EFFECT_STABLE:
        node_fold(n, e->stable);
        LOG(LOG_LEVEL_DEBUG, "checkpoint.stable", LOG_U("seq", e->stable));
        return;
    case CORE_EFFECT_SERVE_BLOCKS: {
        if (n->members[e->serve.to].reads > 0) return; /* one at a time: who is behind waits for an answer before it asks on */
        n->members[e->serve.to].reads++;
        struct storage_job *j = mem_zero(1, sizeof *j);
        j->kind = STORAGE_READ_BLOCKS;
        j->to = e->serve.to;
        j->seq = e->serve.seq;
        j->count = e->serve.count;
        j->past = e->serve.past;
        storage_submit(n->storage, j);
        return;
    }
    case CORE_EFFECT_SERVE_STATE: submit_serve_state(n, e); return;
    case CORE_EFFECT_PAST_BLOCK: submit_past_block(n, e); return;
    case CORE_EFFECT_WALK_BEGIN:
        LOG(LOG_LEVEL_WARN, "transfer.begins", LOG_U("executed", core_last_executed(n->core)),
            LOG_U("target", e->walk_begin),
            LOG_S("action", "none: the state comes from the other replicas; this one executes nothing and answers no "
                            "reads until then"));
        n->transfer_since_us = clock_monotonic_us();
        submit_walk(n, EXECUTION_WALK_BEGIN, e->walk_begin, 0, NULL);
        return;
    case CORE_EFFECT_WALK_PIECE:
        submit_walk(n, EXECUTION_WALK_PIECE, 0, e->walk_piece.number, e->walk_piece.data);
        e->walk_piece.data = NULL;
        return;
    case CORE_EFFECT_EVIDENCE: node_keep_evidence(n, e); return;
    case CORE_EFFECT_DIVERGED:
        LOG(LOG_LEVEL_ERROR, "replica.diverged", LOG_U("seq", e->diverged),
            LOG_S("action",
                  "a quorum proved another state than this replica's: it votes no more. Stop it, move its data directory away "
                  "for inspection, make a new one with pbftd --config FILE --init, and start it"));
        return;
    }
}

static void wait_for_token(struct node *n, const struct core_effect *e)
{
    if (n->waiting_count == n->waiting_cap) {
        const uint32_t cap = n->waiting_cap == 0 ? 256 : n->waiting_cap * 2;
        struct core_effect *larger = mem_alloc(sizeof *larger * cap);
        for (uint32_t i = 0; i < n->waiting_count; i++)
            larger[i] = n->waiting[(n->waiting_first + i) % n->waiting_cap];
        free(n->waiting);
        n->waiting = larger;
        n->waiting_cap = cap;
        n->waiting_first = 0;
    }
    n->waiting[(n->waiting_first + n->waiting_count) % n->waiting_cap] = *e;
    n->waiting_count++;
}

void node_perform(struct node *n, struct core_effects *effects)
{
    for (uint32_t i = 0; i < effects->count; i++) {
        struct core_effect *e = &effects->items[i];
        if (e->after <= n->durable_token) {
            perform(n, e);
            continue;
        }
        wait_for_token(n, e);
        *e = (struct core_effect){.type = CORE_EFFECT_STABLE}; /* its references moved on */
    }
    core_effects_release(effects);
}

void node_release_waiting(struct node *n)
{
    while (n->waiting_count > 0) {
        struct core_effect e = n->waiting[n->waiting_first];
        if (e.after > n->durable_token) return;
        n->waiting_first = (n->waiting_first + 1) % n->waiting_cap;
        n->waiting_count--;
        perform(n, &e);
        core_effect_release(&e);
    }
}

static void answer_read(struct node *n, const struct storage_job *j)
{
    n->clients[j->to].reads--;
    if (j->asked) node_charge(n, &n->clients[j->to], NODE_VAIN_REPEATED, j->out_count > 0 ? j->out[0]->len : 0);
    if (j->out_count > 0) node_send_client(n, j->to, j->out[0]);
    if (!j->missing) return;
    /* the client asks again; by then it may be here */
    const struct core_event event = {.type = CORE_EVENT_MISSING_BLOCK, .missing = j->seq};
    LOG_LIMITED(LOG_LEVEL_DEBUG, "answer.block-missing", 0, LOG_U("seq", j->seq));
    node_step(n, &event);
}

void node_take_storage(struct node *n)
{
    struct storage_job *j;
    while ((j = storage_take_done(n->storage)) != NULL) {
        if (j->kind == STORAGE_PERSIST) {
            n->durable_token = j->token;
            node_release_waiting(n);
            const struct core_event event = {.type = CORE_EVENT_PERSISTED, .persisted = j->token};
            node_step(n, &event);
        } else if (j->kind == STORAGE_READ_BLOCKS) {
            n->members[j->to].reads--;
            for (uint32_t i = 0; i < j->out_count; i++)
                (void)node_send_member(n, j->to, WIRE_TYPE_data, j->out[i], false);
        } else {
            answer_read(n, j);
        }
        storage_job_free(j);
    }
}

/* From the proposal to its execution here. A block that was fetched had no proposal here. */
static void note_latency(struct node *n, uint64_t seq)
{
    const uint64_t proposed_us = n->proposed_us[seq % WINDOW_BATCHES];
    const uint64_t now_us = clock_monotonic_us();
    if (proposed_us != 0 && now_us >= proposed_us) metrics_histogram_add(&n->commit_latency, now_us - proposed_us);
}

static void batch_done(struct node *n, struct execution_job *j)
{
    const struct executed_block *b = j->block;
    n->entries = b->header.first_index + b->header.count;
    n->header_hash = b->header_hash;
    note_latency(n, j->seq);
    node_look_at_block(n, b);
    const struct core_executed executed = {.seq = j->seq,
                                           .time_ms = b->header.time_ms,
                                           .header_hash = b->header_hash,
                                           .state_root = b->state_root,
                                           .settled = j->settled,
                                           .settled_count = j->settled_count};
    for (uint32_t i = 0; i < j->reply_count; i++) /* design.md 7.4: replies need not wait for the own sync */
        node_send_client(n, j->replies[i].client, j->replies[i].bytes);
    /* before EXECUTED, so that the block is on its way to disk before a CHECKPOINT asks for it */
    struct storage_job *s = mem_zero(1, sizeof *s);
    s->kind = STORAGE_BLOCK;
    s->seq = j->seq;
    s->block = j->block;
    s->certificate = j->certificate;
    j->block = NULL;
    j->certificate = NULL;
    if (!j->batch_persisted) { /* else it is in the log, or before this block in the queue */
        s->batch = j->batch;
        j->batch = NULL;
    }
    storage_submit(n->storage, s);
    const struct core_event event = {.type = CORE_EVENT_EXECUTED, .executed = &executed};
    node_step(n, &event);
}

static void send_conflict(struct node *n, const struct execution_job *j, enum busy_reason reason)
{
    const struct wire_busy m = {.epoch = n->wire.epoch,
                                .sender = n->config.id,
                                .seq = j->seq,
                                .transaction = j->transaction,
                                .reason = reason,
                                .view = core_view(n->core)};
    struct blob *bytes = wire_encode_blob(&wire_record_busy, &m);
    node_send_client(n, j->client, bytes);
    blob_release(bytes);
}

/* Ends what begin_answer began, here or when the storage thread has read the answer. */
static void find_done(struct node *n, const struct execution_job *j, bool asked)
{
    if (j->verdict != WINDOW_SAME) {
        n->clients[j->client].reads--;
        if (asked) node_charge(n, &n->clients[j->client], NODE_VAIN_IGNORED, 0);
    }
    switch (j->verdict) {
    case WINDOW_SAME: {
        struct storage_job *s = mem_zero(1, sizeof *s);
        s->kind = STORAGE_READ_ANSWER;
        s->to = j->client;
        s->asked = asked;
        s->seq = j->slot.block;
        s->view = core_view(n->core);
        s->first_index = j->slot.first_index;
        s->range.count = (uint32_t)j->slot.count;
        storage_submit(n->storage, s);
        return;
    }
    case WINDOW_OTHER: send_conflict(n, j, BUSY_CONFLICT); return;
    case WINDOW_OUTSIDE: /* TOO_OLD says that the sequence is settled: never of one above the window */
        send_conflict(n, j, j->seq > core_client_highest(n->core, j->client) ? BUSY_TOO_FAR : BUSY_TOO_OLD);
        return;
    case WINDOW_NEW: return; /* the mirror was ahead for a moment: the client asks again */
    }
}

/* Requests of a block that were settled before it: their clients get the stored answer, or hear of the conflict. */
static void answer_repeated(struct node *n, const struct execution_job *j)
{
    for (uint32_t i = 0; i < j->block->request_count; i++) {
        const struct executed_request *r = &j->block->requests[i];
        if (r->verdict == WINDOW_NEW || r->client == UINT32_MAX) continue;
        if (r->verdict == WINDOW_SAME && r->earlier.block == j->seq) continue; /* twice in this batch: its REPLY goes out with the block */
        if (!begin_answer(n, r->client)) continue;
        const struct execution_job found = {
            .client = r->client, .seq = r->seq, .transaction = r->transaction, .verdict = r->verdict, .slot = r->earlier};
        find_done(n, &found, false); /* its client has not asked for that: the primary has */
    }
}

static void log_bad_answer(const struct blob *data)
{
    struct wire_message m;
    CHECK(wire_decode(blob_bytes(data), &m) == NULL); /* msg_verify has seen it */
    LOG_LIMITED(LOG_LEVEL_WARN, "transfer.bad-answer", m.data.sender, LOG_U("peer", m.data.sender),
                LOG_S("action", "none: it is asked no more for a while; tell its operator"));
}

/* What the walk says, in its order; and the new start when it is over. */
static void walk_done(struct node *n, struct execution_job *j)
{
    n->transfer = j->walk.progress;
    for (uint32_t i = 0; i < j->walk.count; i++) {
        const struct core_event event = {.type = CORE_EVENT_WALK, .walk = &j->walk.events[i]};
        if (j->walk.events[i].what == CORE_WALK_BAD) log_bad_answer(j->answer);
        node_step(n, &event);
    }
    if (!j->walk.done) return;
    LOG(LOG_LEVEL_INFO, "transfer.done", LOG_U("checkpoint", n->transfer.target), LOG_U("leaves", n->transfer.leaves),
        LOG_U("removed", n->transfer.removed), LOG_U("bytes", n->transfer.bytes),
        LOG_U("ms", (clock_monotonic_us() - n->transfer_since_us) / 1000));
    node_start_again(n);
}

static void state_served(struct node *n, struct execution_job *j)
{
    if (j->answer == NULL) return;
    (void)node_send_member(n, j->to, WIRE_TYPE_data, j->answer, false);
}

void node_take_execution(struct node *n)
{
    struct execution_job *j;
    while ((j = execution_take_done(n->execution)) != NULL) {
        switch (j->kind) {
        case EXECUTION_BATCH:
            answer_repeated(n, j);
            batch_done(n, j);
            break;
        case EXECUTION_FOLD: break;
        case EXECUTION_QUERY: node_query_done(n, j); break;
        case EXECUTION_FIND: find_done(n, j, true); break;
        case EXECUTION_SERVE_STATE: state_served(n, j); break;
        case EXECUTION_WALK_BEGIN:
        case EXECUTION_WALK_PIECE: walk_done(n, j); break;
        }
        execution_job_free(j);
    }
}
