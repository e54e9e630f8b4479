/* transfer.c - questions, answers and verdicts, translated between the core and the walk. */
#include "replica/run/transfer.h"

#include "base/check.h"

#include <stdlib.h>

struct transfer {
    struct kv_store *state;
    struct state_walk *walk;
    bool done; /* the state stands at its checkpoint, and is not to be touched again */
};

void transfer_out_release(struct transfer_out *out)
{
    for (uint32_t i = 0; i < out->count; i++)
        blob_release(out->events[i].ask);
    *out = (struct transfer_out){0};
}

static void add_questions(struct transfer *t, struct transfer_out *out)
{
    struct buffer ask = {0};
    uint32_t number;
    while (out->count < sizeof out->events / sizeof out->events[0] && state_walk_ask(t->walk, &number, &ask)) {
        out->events[out->count++] = (struct core_walk){.what = CORE_WALK_ASK,
                                                       .number = number,
                                                       .target = state_walk_target(t->walk),
                                                       .ask = blob_copy(bytes_of(ask.data, ask.len))};
        buffer_free(&ask);
    }
    out->progress = state_walk_progress(t->walk);
}

struct err transfer_begin(struct kv_store *state, uint64_t seq, struct transfer **out_transfer,
                          struct transfer_out *out)
{
    struct state_walk *walk;
    struct err e = state_walk_open(state, seq, &walk);
    if (err_is(&e)) return state_note_damage(state, e);
    struct transfer *t = mem_zero(1, sizeof *t);
    t->state = state;
    t->walk = walk;
    add_questions(t, out);
    *out_transfer = t;
    return err_none();
}

static enum core_walk_what verdict_of(enum state_walk_verdict v)
{
    switch (v) {
    case STATE_WALK_TAKEN:
    case STATE_WALK_DONE: return CORE_WALK_TAKEN;
    case STATE_WALK_OLD: return CORE_WALK_OLD;
    case STATE_WALK_BAD: return CORE_WALK_BAD;
    }
    CHECK(!"verdict_of: outside the enumeration");
    return CORE_WALK_BAD;
}

struct err transfer_piece(struct transfer *t, uint32_t number, const struct blob *data, struct transfer_out *out)
{
    struct wire_message m;
    struct wire_state_piece piece;
    enum state_walk_verdict verdict = STATE_WALK_OLD;
    if (t->done) return err_none();
    CHECK(wire_decode(blob_bytes(data), &m) == NULL); /* msg_verify has seen it */
    CHECK(wire_decode_record(&wire_record_state_piece, m.data.payload, &piece) == NULL);
    struct err e = state_walk_take(t->walk, number, &piece, &verdict);
    out->disk_full = e.code == ERR_NO_SPACE;
    if (err_is(&e) && !out->disk_full) return state_note_damage(t->state, e);
    out->events[out->count++] =
        (struct core_walk){.what = verdict_of(verdict), .number = number, .target = state_walk_target(t->walk)};
    out->done = t->done = verdict == STATE_WALK_DONE;
    if (out->done)
        out->progress = state_walk_progress(t->walk);
    else
        add_questions(t, out);
    return err_none();
}

void transfer_free(struct transfer *t)
{
    if (t == NULL) return;
    state_walk_close(t->walk);
    free(t);
}

struct err transfer_answer(struct executor *e, struct kv_store *state, const struct blob *certificate,
                           const struct reply_signer *signer, uint32_t number, uint64_t seq, const struct blob *ask,
                           struct blob **out)
{
    struct wire_state_ask question;
    struct wire_state_piece piece;
    struct bytes meta;
    struct buffer items = {0};
    *out = NULL;
    if (certificate == NULL || wire_decode_record(&wire_record_state_ask, blob_bytes(ask), &question) != NULL)
        return err_none();
    CHECK(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(certificate), &piece.certificate) == NULL);
    if (piece.certificate.seq != executor_base(e)) return err_none(); /* a fold is waiting for room */
    ERR_TRY(executor_base_meta(e, &meta));
    if (wire_decode_record(&wire_record_state_meta, meta, &piece.meta) != NULL)
        return state_note_damage(state, err_make(ERR_CORRUPT, "the state's meta record does not decode"));
    piece.items = (struct wire_list){0};
    if (seq <= piece.certificate.seq) { /* else the asker hears where this replica stands */
        struct err error = state_serve(state, &question, &items, &piece.items.count);
        if (err_is(&error)) {
            buffer_free(&items);
            return state_note_damage(state, error);
        }
        piece.items.items = bytes_of(items.data, items.len);
    }
    struct blob *payload = wire_encode_blob(&wire_record_state_piece, &piece);
    const struct wire_data m = {.epoch = signer->epoch,
                                .sender = signer->self,
                                .kind = DATA_KIND_STATE,
                                .seq = number,
                                .payload = blob_bytes(payload)};
    *out = wire_encode_blob(&wire_record_data, &m);
    blob_release(payload);
    buffer_free(&items);
    return err_none();
}
