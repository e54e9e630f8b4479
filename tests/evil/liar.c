/* liar.c - what any member can do wrong towards clients. The f that misbehave tell the same lie: it depends only on
 * what is true. */
#include "tests/evil/evil.h"

#include "base/check.h"
#include "crypto/merkle.h"

static const char lie[] = "a lie";

static bool tell_nothing(struct evil *e, const struct evil_order *o, const struct evil_answer *a)
{
    (void)e;
    (void)o;
    (void)a;
    return false;
}

/* The results of one transaction out of a REPLY: the transaction, and how many operations it had. */
static uint32_t first_transaction(const struct wire_reply *m, struct wire_entry *first)
{
    struct wire_iterator i = wire_list_start(m->entries);
    struct wire_proven_entry p;
    uint32_t count = 0;
    while (wire_list_next(&i, &wire_record_proven_entry, &p)) {
        if (count == 0) *first = p.entry;
        if (digest_equal(&p.entry.transaction, &first->transaction)) count++;
    }
    return count;
}

/* Another result, in a block of its own making that proves it. What had many operations was refused as a whole. */
static bool false_reply(struct evil *e, const struct evil_order *o, const struct evil_answer *a)
{
    struct wire_reply m = a->message->reply;
    struct wire_proven_entry p = {.index = 0};
    const uint32_t operations = first_transaction(&m, &p.entry);
    (void)o;
    if (operations == 0) return true;
    p.entry.operation = 0;
    p.entry.outcome = operations == 1 ? OUTCOME_OK : OUTCOME_REFUSED;
    p.entry.result = bytes_of_text(lie);
    struct blob *raw = wire_encode_blob(&wire_record_entry, &p.entry);
    m.header.count = 1;
    m.header.entries_root = merkle_leaf(blob_bytes(raw)); /* the root over one entry is its leaf (RFC 9162) */
    struct blob *space = blob_new(raw->len + 64u);
    struct writer w = writer_of(space->data, space->len);
    m.entries = (struct wire_list){.count = 0};
    wire_list_add(&m.entries, &w, &wire_record_proven_entry, &p);
    CHECK(!w.overflow);
    m.signature = evil_sign(e, &wire_record_reply, &m);
    evil_tell(e, a->client, &wire_record_reply, &m);
    blob_release(space);
    blob_release(raw);
    return false;
}

static bool same_result(const struct blob *known, const struct wire_result *m)
{
    struct wire_message k;
    CHECK(wire_decode(blob_bytes(known), &k) == NULL); /* it was told */
    return k.result.outcome == m->outcome && bytes_equal(k.result.value, m->value);
}

/* What that read gave before it gave what it gives now; NULL: nothing else is known. */
static const struct blob *earlier_result(struct evil *e, const struct wire_operation *operation,
                                         const struct wire_result *m)
{
    struct blob *question = wire_encode_blob(&wire_record_operation, operation);
    const struct digest d = digest_of(DIGEST_DOMAIN_RESULT, blob_bytes(question));
    struct evil_read *r = &e->reads[d.bytes[0] % EVIL_READS];
    blob_release(question);
    if (!digest_equal(&r->operation, &d)) {
        blob_release(r->now);
        blob_release(r->before);
        *r = (struct evil_read){.operation = d};
    }
    if (r->now == NULL || !same_result(r->now, m)) {
        blob_release(r->before);
        r->before = r->now;
        r->now = wire_encode_blob(&wire_record_result, m);
    }
    return r->before;
}

/* As if the last change had not been made. */
static bool tell_what_was(struct evil *e, const struct evil_order *o, const struct evil_answer *a)
{
    struct wire_message was;
    (void)o;
    if (a->message->type != WIRE_TYPE_result || a->query == NULL) return true;
    struct wire_result m = a->message->result;
    const struct blob *earlier = earlier_result(e, &a->query->operation, &m);
    if (earlier == NULL) return true;
    CHECK(wire_decode(blob_bytes(earlier), &was) == NULL); /* it was told */
    m.outcome = was.result.outcome;
    m.value = was.result.value;
    evil_tell(e, a->client, &wire_record_result, &m);
    return false;
}

static bool tell_lies(struct evil *e, const struct evil_order *o, const struct evil_answer *a)
{
    if (a->message->type == WIRE_TYPE_reply) return false_reply(e, o, a);
    if (a->message->type != WIRE_TYPE_result) return true;
    struct wire_result m = a->message->result;
    m.outcome = OUTCOME_OK;
    m.value = bytes_of_text(lie);
    evil_tell(e, a->client, &wire_record_result, &m);
    return false;
}

/* The client sequence of that transaction, if its request was heard lately; else 0. */
static uint64_t sequence_of(const struct evil *e, const struct digest *transaction)
{
    for (uint32_t i = 0; i < EVIL_HEARD; i++) {
        struct wire_message m;
        if (e->heard[i] == NULL) continue;
        CHECK(wire_decode(blob_bytes(e->heard[i]), &m) == NULL); /* it was heard */
        if (m.type != WIRE_TYPE_request) continue;
        const struct digest id = wire_signing_digest(&e->core.group.id, m.signed_part);
        if (digest_equal(&id, transaction)) return m.request.seq;
    }
    return 0;
}

/* Says that the sequence was settled by another transaction; of a read, that it may not be. */
static bool refuse(struct evil *e, const struct evil_order *o, const struct evil_answer *a)
{
    struct wire_entry first;
    (void)o;
    if (a->message->type == WIRE_TYPE_result) {
        struct wire_result m = a->message->result;
        m.outcome = OUTCOME_REFUSED;
        m.value = bytes_of(NULL, 0);
        evil_tell(e, a->client, &wire_record_result, &m);
        return false;
    }
    if (a->message->type != WIRE_TYPE_reply || first_transaction(&a->message->reply, &first) == 0) return true;
    const struct wire_busy m = {.epoch = e->core.group.epoch,
                                .sender = e->core.self,
                                .seq = sequence_of(e, &first.transaction),
                                .transaction = first.transaction,
                                .reason = BUSY_CONFLICT,
                                .view = e->summary.view};
    if (m.seq != 0) evil_tell(e, a->client, &wire_record_busy, &m);
    return false;
}

const struct evil_behaviour evil_liar_behaviours[] = {
    {"reply-silent", "answers no client", .answers = tell_nothing},
    {"reply-false", "tells clients false results, with a block header that proves them", .answers = tell_lies},
    {"read-stale", "answers reads as if the last change had not been made", .answers = tell_what_was},
    {"reply-refuse", "tells clients that what was executed is refused", .answers = refuse},
};
const uint32_t evil_liar_behaviour_count = sizeof evil_liar_behaviours / sizeof evil_liar_behaviours[0];
