/* crash_promise.h - what a replica has promised by what it sent, collected from its trace. A message counts once the
 * last byte of its frame was given to TLS. */
#ifndef PBFT_TESTS_CRASH_PROMISE_H
#define PBFT_TESTS_CRASH_PROMISE_H

#include "tests/crash/crash_trace.h"
#include "wire/codec.h"

/* All that was sent for one (view, seq): one digest. */
struct promise_vote {
    uint64_t view;
    uint64_t seq;
    struct digest digest;
    bool proposed;  /* PRE-PREPARE */
    bool carried;   /* proposed in O of the own NEW-VIEW */
    bool prepared;  /* PREPARE */
    bool committed; /* COMMIT */
};

/* CHECKPOINT: two of digest. VIEW-CHANGE and NEW-VIEW: bytes. */
struct promise_statement {
    enum wire_type type;
    uint64_t number; /* seq of a CHECKPOINT, else the view */
    struct wire_checkpoint checkpoint;
    struct blob *bytes;
};

struct promises {
    uint32_t self;
    struct promise_vote *votes; /* in the order in which they were first sent */
    uint32_t vote_count;
    uint32_t vote_cap;
    uint32_t *places; /* hash of (view, seq) -> index + 1 */
    struct promise_statement *statements;
    uint32_t statement_count;
    uint32_t statement_cap;
    uint64_t view_left_for; /* highest view of a VIEW-CHANGE sent */
    uint64_t seq_highest;   /* of a vote */
    uint64_t messages;
    struct promise_stream *streams;
    char contradiction[256]; /* in the trace itself; empty: none */
};

void promises_start(struct promises *p, uint32_t self);
void promises_free(struct promises *p);
/* Any record; only what leaves matters. */
void promises_record(struct promises *p, const struct trace_record *r);
const struct promise_vote *promises_vote(const struct promises *p, uint64_t view, uint64_t seq);
/* NULL, or a static sentence: why the replica must not send this now. */
const char *promises_forbid(const struct promises *p, const struct wire_message *m);

#endif
