/* client_inspect.c - asking every replica about itself: status, and what it waits for. No quorum is needed, and nothing of it
 * is believed: it is for operators. */
#include "client/client_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- answers ---- */

/* A liar's words go to a terminal: printable ASCII only. */
static void take_text(char *out, size_t size, struct bytes text)
{
    size_t i;
    for (i = 0; i < text.len && i + 1 < size; i++)
        out[i] = text.data[i] >= 0x20 && text.data[i] < 0x7f ? (char)text.data[i] : '?';
    out[i] = '\0';
}

/* The place of a type; NULL: there is no more room. */
static struct pbft_message_count *count_at(struct pbft_replica_status *out, uint64_t type)
{
    for (uint32_t i = 0; i < out->message_count; i++)
        if (out->messages[i].type == type) return &out->messages[i];
    if (out->message_count == sizeof out->messages / sizeof out->messages[0]) return NULL;
    struct pbft_message_count *fresh = &out->messages[out->message_count++];
    fresh->type = (uint32_t)type;
    return fresh;
}

static void take_counts(struct pbft_replica_status *out, const struct wire_replica_status *s)
{
    struct wire_message_count count;
    struct wire_message_bytes bytes;
    struct pbft_message_count *m;
    struct wire_iterator i = wire_list_start(s->messages);
    while (wire_list_next(&i, &wire_record_message_count, &count) && (m = count_at(out, count.type)) != NULL) {
        m->sent = count.sent;
        m->resent = count.resent;
        m->received = count.received;
    }
    i = wire_list_start(s->bytes);
    while (wire_list_next(&i, &wire_record_message_bytes, &bytes) && (m = count_at(out, bytes.type)) != NULL) {
        m->sent_bytes = bytes.sent;
        m->resent_bytes = bytes.resent;
        m->received_bytes = bytes.received;
        m->from_clients_bytes = bytes.from_clients;
        m->from_clients = bytes.client_messages;
    }
}

static bool take_status(struct pbft_replica_status *out, uint32_t id, struct bytes value)
{
    struct wire_replica_status s;
    if (out->answered || wire_decode_record(&wire_record_replica_status, value, &s) != NULL || s.id != id) return false;
    out->answered = true;
    out->condition = (uint32_t)s.condition;
    out->view = s.view;
    out->executed = s.executed;
    out->committed = s.committed;
    out->stable = s.stable;
    out->high = s.high;
    out->entries = s.entries;
    out->peers_connected = s.peers_connected;
    out->clients_connected = s.clients_connected;
    out->lag = s.lag;
    out->custody = s.custody;
    out->abstain_until = s.abstain_until;
    out->time_ms = s.time_ms;
    out->cpu_us = s.cpu_us;
    out->syncs = s.syncs;
    out->verified = s.verified;
    memcpy(out->header_hash, s.header_hash.bytes, sizeof out->header_hash);
    take_text(out->reason, sizeof out->reason, s.reason);
    take_counts(out, &s);
    return true;
}

static void take_flags(struct pbft_replica_why *out, uint64_t flags)
{
    out->changing = (flags & WHY_FLAG_CHANGING) != 0;
    out->entered = (flags & WHY_FLAG_ENTERED) != 0;
    out->batch_held = (flags & WHY_FLAG_BATCH_HELD) != 0;
    out->batch_void = (flags & WHY_FLAG_BATCH_VOID) != 0;
    out->prepare_sent = (flags & WHY_FLAG_PREPARE_SENT) != 0;
    out->certificate_durable = (flags & WHY_FLAG_CERTIFICATE_DURABLE) != 0;
    out->mute = (flags & WHY_FLAG_MUTE) != 0;
    out->diverged = (flags & WHY_FLAG_DIVERGED) != 0;
    out->disk_full = (flags & WHY_FLAG_DISK_FULL) != 0;
    out->draining = (flags & WHY_FLAG_DRAINING) != 0;
}

static void take_timers(struct pbft_replica_why *out, struct wire_list timers)
{
    struct wire_why_timer timer;
    struct wire_iterator i = wire_list_start(timers);
    out->request_timer_ms = PBFT_NO_TIMER;
    out->new_view_timer_ms = PBFT_NO_TIMER;
    while (wire_list_next(&i, &wire_record_why_timer, &timer)) {
        if (timer.kind == WHY_TIMER_REQUEST) out->request_timer_ms = timer.remaining_ms;
        if (timer.kind == WHY_TIMER_NEW_VIEW) out->new_view_timer_ms = timer.remaining_ms;
    }
}

static void take_members(struct pbft_replica_why *out, struct wire_list members)
{
    struct wire_why_member m;
    struct wire_iterator i = wire_list_start(members);
    while (wire_list_next(&i, &wire_record_why_member, &m)) /* its id is below REPLICAS_MAX: the schema says so */
        out->members[m.id] = (struct pbft_why_member){.connected = (m.flags & WHY_MEMBER_CONNECTED) != 0,
                                                      .heard = (m.flags & WHY_MEMBER_HEARD) != 0,
                                                      .changing = (m.flags & WHY_MEMBER_CHANGING) != 0,
                                                      .prepared = (m.flags & WHY_MEMBER_PREPARED) != 0,
                                                      .committed = (m.flags & WHY_MEMBER_COMMITTED) != 0,
                                                      .heard_ms = m.heard_ms,
                                                      .executed = m.executed,
                                                      .view = m.view,
                                                      .view_change = m.view_change};
}

static bool take_why(struct pbft_replica_why *out, uint32_t id, struct bytes value)
{
    struct wire_replica_why w;
    if (out->answered || wire_decode_record(&wire_record_replica_why, value, &w) != NULL || w.id != id ||
        w.phase > WHY_PHASE_MAX)
        return false;
    out->answered = true;
    out->condition = (uint32_t)w.condition;
    out->view = w.view;
    out->seq = w.seq;
    out->phase = (enum pbft_phase)w.phase;
    memcpy(out->digest, w.digest.bytes, sizeof out->digest);
    out->waited_ms = w.waited_ms;
    out->idle_ms = w.idle_ms;
    out->low = w.low;
    out->high = w.high;
    out->ahead = w.ahead;
    out->abstain_until = w.abstain_until;
    out->custody = w.custody;
    out->custody_bytes = w.custody_bytes;
    out->custody_ms = w.custody_ms;
    out->timeout_ms = w.timeout_ms;
    out->peers_connected = w.peers_connected;
    take_text(out->reason, sizeof out->reason, w.reason);
    take_flags(out, w.flags);
    take_timers(out, w.timers);
    take_members(out, w.members);
    return true;
}

bool client_inspected(struct replica_link *l, const struct wire_result *m)
{
    struct pbft_client *c = l->client;
    if ((c->status_out == NULL && c->why_out == NULL) || m->number != c->inspect_round) return false;
    const bool taken = c->status_out != NULL ? take_status(&c->status_out[l->id], l->id, m->value)
                                             : take_why(&c->why_out[l->id], l->id, m->value);
    if (taken) c->inspect_missing--;
    return true;
}

/* ---- asking ---- */

static bool has_answered(const struct pbft_client *c, uint32_t id)
{
    return c->status_out != NULL ? c->status_out[id].answered : c->why_out[id].answered;
}

/* Waits until all have answered, timeout_ms have passed, or those that are missing refuse the connection. */
static void ask_all(struct pbft_client *c, enum system_verb verb, uint64_t timeout_ms)
{
    const uint64_t until = client_now_us() + timeout_ms * 1000u;
    const uint32_t count = c->quorum.replica_count;
    bool *asked = mem_zero(count, sizeof *asked);
    c->inspect_round = ++c->next_read;
    c->inspect_missing = count;
    while (c->inspect_missing > 0 && client_now_us() < until) {
        bool refused = true;
        for (uint32_t id = 0; id < count; id++) {
            struct replica_link *l = &c->links[id];
            if (l->greeted && !asked[id]) client_ask_local(l, c->inspect_round, verb);
            asked[id] = l->greeted;
            if (!has_answered(c, id) && (l->greeted || l->reason[0] == '\0')) refused = false;
        }
        if (refused) break;
        (void)ev_run(c->loop, EVRUN_ONCE);
    }
    free(asked);
}

static const char *silence_of(const struct replica_link *l, const char *otherwise)
{
    return l->reason[0] != '\0' ? l->reason : otherwise;
}

static struct pbft_error inspect_end(struct pbft_client *c)
{
    c->status_out = NULL;
    c->why_out = NULL;
    if (c->inspect_missing < c->quorum.replica_count) return client_ok();
    return client_group_foreign(c) ? client_refuse_foreign(c)
                                   : client_error(PBFT_TIMEOUT, "no replica answers; is the group running?");
}

struct pbft_error pbft_status_wait(struct pbft_client *c, uint64_t timeout_ms, struct pbft_replica_status *out)
{
    const uint32_t count = c->quorum.replica_count;
    if (c->in_callback) return client_refuse_in_callback("pbft_status_wait");
    memset(out, 0, sizeof *out * count);
    c->status_out = out;
    ask_all(c, SYSTEM_VERB_STATUS, timeout_ms);
    for (uint32_t id = 0; id < count; id++) {
        out[id].id = id;
        out[id].connected = c->links[id].greeted;
        if (!out[id].answered)
            (void)snprintf(out[id].reason, sizeof out[id].reason, "%s", silence_of(&c->links[id], "it does not answer"));
    }
    return inspect_end(c);
}

struct pbft_error pbft_why_wait(struct pbft_client *c, uint64_t timeout_ms, struct pbft_replica_why *out)
{
    const uint32_t count = c->quorum.replica_count;
    if (c->in_callback) return client_refuse_in_callback("pbft_why_wait");
    memset(out, 0, sizeof *out * count);
    c->why_out = out;
    ask_all(c, SYSTEM_VERB_WHY, timeout_ms);
    for (uint32_t id = 0; id < count; id++) {
        out[id].id = id;
        out[id].connected = c->links[id].greeted;
        if (!out[id].answered)
            (void)snprintf(out[id].reason, sizeof out[id].reason, "%s", silence_of(&c->links[id], "nothing came in time"));
    }
    return inspect_end(c);
}
