/* core_trace.c - events and effects as lines of text, for expected traces, replays and people.
 *
 *   MESSAGE PRE-PREPARE 1 from 0
 *   SEND PREPARE 1 to all
 *
 * The number after a message's type is its sequence, of STATUS what is executed. */
#include "replica/core/core_internal.h"
#include "wire/evidence.h"

#include <inttypes.h>

static uint64_t message_seq(const struct wire_message *m)
{
    switch (m->type) {
    case WIRE_TYPE_request: return m->request.seq;
    case WIRE_TYPE_pre_prepare: return m->pre_prepare.seq;
    case WIRE_TYPE_prepare: return m->prepare.seq;
    case WIRE_TYPE_commit: return m->commit.seq;
    case WIRE_TYPE_checkpoint: return m->checkpoint.seq;
    case WIRE_TYPE_status: return m->status.executed;
    case WIRE_TYPE_fetch: return m->fetch.seq;
    case WIRE_TYPE_data: return m->data.seq;
    case WIRE_TYPE_busy: return m->busy.seq;
    case WIRE_TYPE_reply: return m->reply.header.seq;
    case WIRE_TYPE_view_change:
    case WIRE_TYPE_new_view:
    case WIRE_TYPE_hello:
    case WIRE_TYPE_query:
    case WIRE_TYPE_result: return 0;
    }
    return 0;
}

static void describe_message(const struct wire_message *m, struct buffer *out)
{
    buffer_printf(out, "%s %" PRIu64, wire_type_name(m->type), message_seq(m));
}

static void describe_bytes(const struct blob *bytes, struct buffer *out)
{
    struct wire_message m;
    if (wire_decode(blob_bytes(bytes), &m) == NULL)
        describe_message(&m, out);
    else
        buffer_printf(out, "?");
}

void core_event_text(const struct core_event *event, const char *ignored, struct buffer *out)
{
    switch (event->type) {
    case CORE_EVENT_START: buffer_printf(out, "START executed %" PRIu64, event->recovered->executed); break;
    case CORE_EVENT_MESSAGE:
        buffer_printf(out, "MESSAGE ");
        describe_message(&event->message.verified->msg, out);
        if (event->message.from == UINT32_MAX)
            buffer_printf(out, " from client %u", event->message.client);
        else
            buffer_printf(out, " from %u", event->message.from);
        break;
    case CORE_EVENT_TICK: buffer_printf(out, "TICK"); break;
    case CORE_EVENT_PERSISTED: buffer_printf(out, "PERSISTED %" PRIu64, event->persisted); break;
    case CORE_EVENT_EXECUTED: buffer_printf(out, "EXECUTED %" PRIu64, event->executed->seq); break;
    case CORE_EVENT_WALK: {
        static const char *const whats[] = {[CORE_WALK_ASK] = "ASK",
                                            [CORE_WALK_TAKEN] = "TAKEN",
                                            [CORE_WALK_OLD] = "OLD",
                                            [CORE_WALK_BAD] = "BAD"};
        buffer_printf(out, "WALK %s %u", whats[event->walk->what], event->walk->number);
        break;
    }
    case CORE_EVENT_MISSING_BLOCK: buffer_printf(out, "MISSING block %" PRIu64, event->missing); break;
    case CORE_EVENT_DISK: buffer_printf(out, "DISK %s", event->disk_full ? "full" : "has room"); break;
    case CORE_EVENT_DRAIN: buffer_printf(out, "DRAIN"); break;
    case CORE_EVENT_STOP: buffer_printf(out, "STOP"); break;
    }
    if (ignored != NULL) buffer_printf(out, " - ignored: %s", ignored);
}

void core_effect_text(const struct core_effect *e, struct buffer *out)
{
    static const char *const kinds[] = {[CORE_PERSIST_START] = "START",
                                        [CORE_PERSIST_PREPARED] = "PREPARED",
                                        [CORE_PERSIST_BLOCKS] = "BLOCKS",
                                        [CORE_PERSIST_STABLE] = "STABLE",
                                        [CORE_PERSIST_VOTE] = "VOTE",
                                        [CORE_PERSIST_CLEAN] = "CLEAN",
                                        [CORE_PERSIST_VIEW_LEFT] = "VIEW_LEFT",
                                        [CORE_PERSIST_VIEW_CHANGE] = "VIEW_CHANGE",
                                        [CORE_PERSIST_NEW_VIEW] = "NEW_VIEW",
                                        [CORE_PERSIST_FENCE] = "FENCE"};
    switch (e->type) {
    case CORE_EFFECT_SEND:
        buffer_printf(out, "%s ", e->send.resend ? "RESEND" : "SEND");
        describe_bytes(e->send.bytes, out);
        if (e->send.to == CORE_TO_ALL)
            buffer_printf(out, " to all");
        else
            buffer_printf(out, " to %u", e->send.to);
        break;
    case CORE_EFFECT_SEND_CLIENT:
        buffer_printf(out, "SEND ");
        describe_bytes(e->send_client.bytes, out);
        buffer_printf(out, " to client %u", e->send_client.client);
        break;
    case CORE_EFFECT_PERSIST:
        buffer_printf(out, "PERSIST %s %" PRIu64 " token %" PRIu64, kinds[e->persist.kind], e->persist.seq,
                      e->persist.token);
        break;
    case CORE_EFFECT_EXECUTE: buffer_printf(out, "EXECUTE %" PRIu64, e->execute.seq); break;
    case CORE_EFFECT_ANSWER:
        buffer_printf(out, "ANSWER %" PRIu64 " to client %u", e->answer.seq, e->answer.client);
        break;
    case CORE_EFFECT_STABLE: buffer_printf(out, "STABLE %" PRIu64, e->stable); break;
    case CORE_EFFECT_SERVE_BLOCKS:
        buffer_printf(out, "SERVE %u%s blocks from %" PRIu64 " to %u", e->serve.count, e->serve.past ? " past" : "", e->serve.seq, e->serve.to);
        break;
    case CORE_EFFECT_SERVE_STATE:
        buffer_printf(out, "SERVE state %u to %u", e->serve_state.number, e->serve_state.to);
        break;
    case CORE_EFFECT_PAST_BLOCK:
        buffer_printf(out, "PAST block%s", e->past_block.gap_low == 0 ? " out of turn" : "");
        break;
    case CORE_EFFECT_WALK_BEGIN: buffer_printf(out, "WALK to %" PRIu64, e->walk_begin); break;
    case CORE_EFFECT_WALK_PIECE: buffer_printf(out, "WALK piece %u", e->walk_piece.number); break;
    case CORE_EFFECT_EVIDENCE:
        buffer_printf(out, "EVIDENCE %s against %u", evidence_kind_name(e->evidence.kind), e->evidence.member);
        break;
    case CORE_EFFECT_DIVERGED: buffer_printf(out, "DIVERGED %" PRIu64, e->diverged); break;
    }
    if (e->after != 0) buffer_printf(out, " after %" PRIu64, e->after);
}
