/* crash_promise.c - from sent bytes to promises. */
#include "tests/crash/crash_promise.h"

#include "base/check.h"
#include "base/limits.h"
#include "replica/net/frame.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES (1u << 18) /* a power of two, several times the votes of a run */
#define STREAMS_MAX 256u

struct promise_stream {
    uint64_t connection; /* 0: free */
    struct frame_assembler assembler;
};

void promises_start(struct promises *p, uint32_t self)
{
    *p = (struct promises){.self = self};
    p->places = mem_zero(PLACES, sizeof *p->places);
    p->streams = mem_zero(STREAMS_MAX, sizeof *p->streams);
}

static void close_streams(struct promises *p, uint64_t connection)
{
    for (uint32_t i = 0; i < STREAMS_MAX; i++) {
        if (connection != 0 && p->streams[i].connection != connection) continue;
        frame_assembler_free(&p->streams[i].assembler);
        p->streams[i] = (struct promise_stream){0};
    }
}

void promises_free(struct promises *p)
{
    if (p->streams != NULL) close_streams(p, 0);
    for (uint32_t i = 0; i < p->statement_count; i++)
        blob_release(p->statements[i].bytes);
    free(p->streams);
    free(p->statements);
    free(p->places);
    free(p->votes);
    *p = (struct promises){0};
}

/* ---- votes ---- */

static uint32_t *place_of(const struct promises *p, uint64_t view, uint64_t seq)
{
    uint64_t at = (seq + view * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull >> 40;
    for (;; at++) {
        uint32_t *place = &p->places[at % PLACES];
        if (*place == 0) return place;
        const struct promise_vote *v = &p->votes[*place - 1];
        if (v->view == view && v->seq == seq) return place;
    }
}

const struct promise_vote *promises_vote(const struct promises *p, uint64_t view, uint64_t seq)
{
    const uint32_t *place = place_of(p, view, seq);
    return *place == 0 ? NULL : &p->votes[*place - 1];
}

static struct promise_vote *vote_at(struct promises *p, uint64_t view, uint64_t seq, const struct digest *digest)
{
    uint32_t *place = place_of(p, view, seq);
    if (*place != 0) return &p->votes[*place - 1];
    CHECK_OP(p->vote_count, <, PLACES / 4);
    if (p->vote_count == p->vote_cap) {
        p->vote_cap = p->vote_cap == 0 ? 1024 : p->vote_cap * 2;
        p->votes = mem_resize(p->votes, sizeof *p->votes * p->vote_cap);
    }
    p->votes[p->vote_count] = (struct promise_vote){.view = view, .seq = seq, .digest = *digest};
    *place = ++p->vote_count;
    if (seq > p->seq_highest) p->seq_highest = seq;
    return &p->votes[p->vote_count - 1];
}

/* Who promises something by this message; UINT64_MAX when nobody does. */
static uint64_t promiser(const struct wire_message *m)
{
    switch (m->type) {
    case WIRE_TYPE_pre_prepare: return m->pre_prepare.sender;
    case WIRE_TYPE_prepare: return m->prepare.sender;
    case WIRE_TYPE_commit: return m->commit.sender;
    case WIRE_TYPE_checkpoint: return m->checkpoint.sender;
    case WIRE_TYPE_view_change: return m->view_change.sender;
    case WIRE_TYPE_new_view: return m->new_view.sender;
    case WIRE_TYPE_request:
    case WIRE_TYPE_reply:
    case WIRE_TYPE_status:
    case WIRE_TYPE_fetch:
    case WIRE_TYPE_data:
    case WIRE_TYPE_hello:
    case WIRE_TYPE_query:
    case WIRE_TYPE_result:
    case WIRE_TYPE_busy: return UINT64_MAX;
    }
    return UINT64_MAX;
}

/* What a PRE-PREPARE, PREPARE or COMMIT is about. */
static struct promise_vote vote_of(const struct wire_message *m)
{
    if (m->type == WIRE_TYPE_pre_prepare)
        return (struct promise_vote){
            .view = m->pre_prepare.view, .seq = m->pre_prepare.seq, .digest = m->pre_prepare.digest, .proposed = true};
    if (m->type == WIRE_TYPE_prepare)
        return (struct promise_vote){
            .view = m->prepare.view, .seq = m->prepare.seq, .digest = m->prepare.digest, .prepared = true};
    CHECK_OP(m->type, ==, WIRE_TYPE_commit);
    return (struct promise_vote){
        .view = m->commit.view, .seq = m->commit.seq, .digest = m->commit.digest, .committed = true};
}

/* ---- statements ---- */

static const struct promise_statement *statement_at(const struct promises *p, enum wire_type type, uint64_t number)
{
    for (uint32_t i = 0; i < p->statement_count; i++)
        if (p->statements[i].type == type && p->statements[i].number == number) return &p->statements[i];
    return NULL;
}

static struct promise_statement *add_statement(struct promises *p, enum wire_type type, uint64_t number)
{
    if (p->statement_count == p->statement_cap) {
        p->statement_cap = p->statement_cap == 0 ? 64 : p->statement_cap * 2;
        p->statements = mem_resize(p->statements, sizeof *p->statements * p->statement_cap);
    }
    struct promise_statement *s = &p->statements[p->statement_count++];
    *s = (struct promise_statement){.type = type, .number = number};
    return s;
}

/* ---- what may be said, and taking it down ---- */

static const char *forbid_vote(const struct promises *p, const struct wire_message *m)
{
    const struct promise_vote v = vote_of(m);
    const struct promise_vote *before = promises_vote(p, v.view, v.seq);
    if (before != NULL && !digest_equal(&before->digest, &v.digest)) return "it has voted for another digest there";
    if (v.view >= p->view_left_for || (before != NULL && v.committed && before->committed)) return NULL;
    return "it has left that view";
}

static const char *forbid_statement(const struct promises *p, const struct wire_message *m)
{
    const bool view_change = m->type == WIRE_TYPE_view_change;
    const uint64_t view = view_change ? m->view_change.view : m->new_view.view;
    const struct promise_statement *before = statement_at(p, m->type, view);
    if (before == NULL || bytes_equal(blob_bytes(before->bytes), m->raw)) return NULL;
    return view_change ? "it has sent another VIEW-CHANGE for that view" : "it has sent another NEW-VIEW for that view";
}

static const char *forbid_checkpoint(const struct promises *p, const struct wire_checkpoint *m)
{
    const struct promise_statement *before = statement_at(p, WIRE_TYPE_checkpoint, m->seq);
    if (before == NULL) return NULL;
    const bool same = digest_equal(&before->checkpoint.header_hash, &m->header_hash) &&
                      digest_equal(&before->checkpoint.state_root, &m->state_root);
    return same ? NULL : "it has signed another checkpoint there";
}

const char *promises_forbid(const struct promises *p, const struct wire_message *m)
{
    if (promiser(m) != p->self) return NULL; /* nobody's promise, or another member's that is passed on */
    if (m->type == WIRE_TYPE_checkpoint) return forbid_checkpoint(p, &m->checkpoint);
    if (m->type == WIRE_TYPE_view_change || m->type == WIRE_TYPE_new_view) return forbid_statement(p, m);
    return forbid_vote(p, m);
}

static void take_vote(struct promises *p, const struct wire_message *m)
{
    const struct promise_vote sent = vote_of(m);
    struct promise_vote *v = vote_at(p, sent.view, sent.seq, &sent.digest);
    v->proposed |= sent.proposed;
    v->prepared |= sent.prepared;
    v->committed |= sent.committed;
}

static void take_carried(struct promises *p, const struct wire_new_view *m)
{
    struct wire_iterator i = wire_list_start(m->proposals);
    struct wire_reproposal o;
    while (wire_list_next(&i, &wire_record_reproposal, &o))
        vote_at(p, m->view, o.seq, &o.digest)->carried = true;
}

static void take(struct promises *p, const struct wire_message *m)
{
    const char *fault = promises_forbid(p, m);
    if (fault != NULL && p->contradiction[0] == '\0')
        (void)snprintf(p->contradiction, sizeof p->contradiction, "the replica sent a %s though %s",
                       wire_type_name(m->type), fault);
    p->messages++;
    const bool view_change = m->type == WIRE_TYPE_view_change;
    if (m->type == WIRE_TYPE_checkpoint) {
        if (statement_at(p, m->type, m->checkpoint.seq) == NULL)
            add_statement(p, m->type, m->checkpoint.seq)->checkpoint = m->checkpoint;
    } else if (view_change || m->type == WIRE_TYPE_new_view) {
        const uint64_t view = view_change ? m->view_change.view : m->new_view.view;
        if (statement_at(p, m->type, view) == NULL) add_statement(p, m->type, view)->bytes = blob_copy(m->raw);
        if (view_change && view > p->view_left_for) p->view_left_for = view;
        if (!view_change) take_carried(p, &m->new_view);
    } else {
        take_vote(p, m);
    }
}

static void take_frame(struct promises *p, struct bytes frame)
{
    struct wire_message m;
    CHECK(wire_decode(frame, &m) == NULL);
    if (promiser(&m) == p->self) take(p, &m);
}

static struct promise_stream *stream_of(struct promises *p, uint64_t connection)
{
    struct promise_stream *unused = NULL;
    for (uint32_t i = 0; i < STREAMS_MAX; i++) {
        if (p->streams[i].connection == connection) return &p->streams[i];
        if (p->streams[i].connection == 0 && unused == NULL) unused = &p->streams[i];
    }
    CHECK(unused != NULL);
    unused->connection = connection;
    return unused;
}

void promises_record(struct promises *p, const struct trace_record *r)
{
    if (r->kind == TRACE_START) close_streams(p, 0);
    if (r->kind == TRACE_CLOSED) close_streams(p, r->at);
    if (r->kind != TRACE_SENT) return;
    struct promise_stream *s = stream_of(p, r->at);
    struct bytes in = r->data;
    while (in.len > 0) {
        struct blob *frame;
        CHECK(frame_take(&s->assembler, FRAME_BYTES_MAX, &in, &frame));
        if (frame != NULL) take_frame(p, blob_bytes(frame));
        blob_release(frame);
    }
}
