/* net_frame.c - frames in and out of an open connection. */
#include "replica/net/net_internal.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_TURN_BYTES (512u * 1024u) /* read from one connection in one turn of the loop */

const char net_closed_by_peer[] = "the peer closed the connection";

/* ---- receiving ---- */

static void take_bytes(struct net_connection *c, struct bytes in)
{
    while (in.len > 0 && c->state == NET_STATE_OPEN) {
        struct blob *frame;
        const bool begun = frame_under_way(&c->assembler);
        if (!frame_take(&c->assembler, c->frame_bytes_max, &in, &frame)) {
            net_close(c, "a frame has a length of zero or over the limit");
            return;
        }
        if (!begun || frame != NULL) c->frame_since = ev_now(c->net->loop);
        if (frame == NULL) return;
        c->had_frame = true;
        c->net->events.frame(c->net->context, c, frame);
    }
}

/* Why it ended, from what reading (0: the end) or writing said. */
static const char *end_reason(const struct net_connection *c, int code)
{
    const bool failed = code == GNUTLS_E_PULL_ERROR || code == GNUTLS_E_PUSH_ERROR; /* errno says how */
    const bool broken = failed || code == GNUTLS_E_PREMATURE_TERMINATION;
    if (failed && errno == ETIMEDOUT) /* NET_UNACKED_SECONDS */
        return "the peer acknowledges nothing: its machine or the network is down, or it does not read";
    if (code == GNUTLS_E_FATAL_ALERT_RECEIVED) return "the peer refused this connection's key";
    if (broken && c->outgoing && !c->had_frame) /* a reset can overtake the refusal */
        return "the peer broke the connection before its first message: it refused this key, or is stopping";
    if (code == 0 || code == GNUTLS_E_PREMATURE_TERMINATION) return net_closed_by_peer;
    return broken ? "the connection broke" : gnutls_strerror(code);
}

void net_read(struct net_connection *c)
{
    uint8_t space[NET_STAGE_BYTES];
    size_t total = 0;
    while (c->state == NET_STATE_OPEN && !c->paused && total < READ_TURN_BYTES) {
        const ssize_t got = gnutls_record_recv(c->session, space, sizeof space);
        if (got > 0) {
            total += (size_t)got;
            c->net->counts.bytes_in += (uint64_t)got;
            take_bytes(c, bytes_of(space, (size_t)got));
            continue;
        }
        if (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED) return;
        if (got == 0 || gnutls_error_is_fatal((int)got) != 0) net_close(c, end_reason(c, (int)got));
        return;
    }
    /* bytes that GnuTLS has read already will not make the socket readable again */
    if (c->state == NET_STATE_OPEN && !c->paused && gnutls_record_check_pending(c->session) > 0)
        ev_feed_event(c->net->loop, &c->io, EV_READ);
}

/* ---- sending ---- */

bool net_send(struct net_connection *c, struct blob *frame)
{
    CHECK_OP(frame->len, >, 0);
    CHECK_OP(frame->len, <=, UINT32_MAX);
    if (c->state != NET_STATE_OPEN || c->close_flushed) return false;
    if (frame->len + 4 > c->queue_bytes_max || c->queue_bytes > c->queue_bytes_max - frame->len - 4) return false;
    struct net_item *item = mem_alloc(sizeof *item);
    item->next = NULL;
    item->frame = blob_retain(frame);
    if (c->queue_bytes == 0) c->progress = ev_now(c->net->loop);
    if (c->queue_last == NULL)
        c->queue_first = item;
    else
        c->queue_last->next = item;
    c->queue_last = item;
    c->queue_bytes += frame->len + 4;
    net_mark_dirty(c);
    return true;
}

static void pop_item(struct net_connection *c)
{
    struct net_item *item = c->queue_first;
    c->queue_first = item->next;
    if (c->queue_first == NULL) c->queue_last = NULL;
    blob_release(item->frame);
    free(item);
    c->item_pos = 0;
}

/* Fills one TLS record from the frames that wait. */
static void fill_stage(struct net_connection *c)
{
    while (c->queue_first != NULL && c->stage_len < sizeof c->stage) {
        const struct blob *frame = c->queue_first->frame;
        const size_t room = sizeof c->stage - c->stage_len;
        if (c->item_pos < 4) {
            uint8_t head[4];
            be32_put(head, (uint32_t)frame->len);
            const size_t part = room < 4 - c->item_pos ? room : 4 - c->item_pos;
            memcpy(c->stage + c->stage_len, head + c->item_pos, part);
            c->stage_len += part;
            c->item_pos += part;
            continue;
        }
        const size_t left = frame->len + 4 - c->item_pos;
        const size_t part = room < left ? room : left;
        memcpy(c->stage + c->stage_len, frame->data + (c->item_pos - 4), part);
        c->stage_len += part;
        c->item_pos += part;
        if (c->item_pos == frame->len + 4) pop_item(c);
    }
}

void net_flush(struct net_connection *c)
{
    while (c->state == NET_STATE_OPEN) {
        if (!c->stage_offered) fill_stage(c);
        if (c->stage_len == 0) break;
        /* after AGAIN GnuTLS holds the record itself and wants to be called with nothing */
        const ssize_t sent = gnutls_record_send(c->session, c->stage_offered ? NULL : c->stage,
                                                c->stage_offered ? 0 : c->stage_len);
        if (sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED) {
            c->stage_offered = true;
            net_watch(c, EV_READ | EV_WRITE);
            return;
        }
        if (sent < 0) {
            net_close(c, end_reason(c, (int)sent));
            return;
        }
        c->stage_offered = false;
        c->net->counts.bytes_out += (uint64_t)sent;
        c->queue_bytes -= (size_t)sent;
        c->progress = ev_now(c->net->loop);
        memmove(c->stage, c->stage + sent, c->stage_len - (size_t)sent);
        c->stage_len -= (size_t)sent;
    }
    if (c->state != NET_STATE_OPEN) return;
    net_watch(c, EV_READ);
    if (c->close_flushed) net_close(c, c->close_reason);
}

void net_frame_free(struct net_connection *c)
{
    while (c->queue_first != NULL)
        pop_item(c);
    frame_assembler_free(&c->assembler);
}
