/* behaviours.c - the misbehaviours of a primary, by name.
 *
 * Everything that it says instead is well-formed and well signed: no receiver can tell it from the truth alone. With a
 * PRE-PREPARE that is not the truth goes a COMMIT for it, so that this replica votes for all it says. What is said
 * depends on the proposal and the receiver only: the same is said again when it is asked again. */
#include "tests/evil/evil.h"

#include "base/check.h"
#include "crypto/merkle.h"

#include <stdlib.h>
#include <string.h>

bool evil_at(uint64_t view, uint64_t seq)
{
    return evil.behaviour != NULL && quorum_primary(&evil.core.group.quorum, view) == evil.core.self &&
           (evil.view == EVIL_ANY || evil.view == view) && seq >= evil.from_seq;
}

/* ---- saying something else ---- */

static struct signature signed_by_us(const struct wire_record *record, const void *message)
{
    struct signature out;
    const struct digest statement = wire_record_signing_digest(&evil.core.group.id, record, message);
    evil.core.sign(evil.core.sign_context, &statement, &out);
    return out;
}

static void say(const struct evil_proposal *p, const struct wire_record *record, enum wire_type type,
                const void *message)
{
    struct blob *bytes = wire_encode_blob(record, message);
    (void)evil_send(p->node, p->member, type, bytes, p->resend);
    blob_release(bytes);
}

/* The proposal of this batch at this sequence, and the COMMIT for it. */
static void say_proposal(const struct evil_proposal *p, uint64_t seq, const struct digest *digest, struct bytes batch)
{
    struct wire_pre_prepare m = *p->message;
    m.seq = seq;
    m.digest = *digest;
    m.batch = batch;
    m.signature = signed_by_us(&wire_record_pre_prepare, &m);
    struct wire_commit commit = {
        .epoch = m.epoch, .sender = m.sender, .view = m.view, .seq = m.seq, .digest = m.digest};
    commit.signature = signed_by_us(&wire_record_commit, &commit);
    say(p, &wire_record_pre_prepare, WIRE_TYPE_pre_prepare, &m);
    say(p, &wire_record_commit, WIRE_TYPE_commit, &commit);
}

/* The same requests in another order and `which` ms later: a batch that a correct primary could have proposed as well.
 */
static void say_other_batch(const struct evil_proposal *p, uint32_t which)
{
    struct wire_batch batch;
    const char *fault = wire_decode_record(&wire_record_batch, p->message->batch, &batch);
    CHECK(fault == NULL);
    const uint32_t count = (uint32_t)batch.requests.count;
    struct bytes *requests = mem_alloc(sizeof *requests * (count + 1u));
    struct digest *leaves = mem_alloc(sizeof *leaves * (count + 1u));
    uint8_t *space = mem_alloc(p->message->batch.len + 1);
    struct writer w = writer_of(space, p->message->batch.len);
    struct wire_iterator i = wire_list_start(batch.requests);
    struct bytes request;
    for (uint32_t k = 0; wire_list_next_bytes(&i, &request); k++)
        requests[(k + which) % count] = request;
    struct wire_batch other = {.time_ms = batch.time_ms + which};
    for (uint32_t k = 0; k < count; k++) {
        wire_list_add_bytes(&other.requests, &w, requests[k]);
        leaves[k] = merkle_leaf(requests[k]);
    }
    CHECK(!w.overflow);
    const struct digest digest = batch_digest(other.time_ms, leaves, count);
    struct blob *bytes = wire_encode_blob(&wire_record_batch, &other);
    say_proposal(p, p->message->seq, &digest, blob_bytes(bytes));
    blob_release(bytes);
    free(space);
    free(leaves);
    free(requests);
}

/* ---- the misbehaviours ---- */

static bool propose_nothing(const struct evil_proposal *p)
{
    (void)p;
    return false;
}

static bool propose_two_batches(const struct evil_proposal *p)
{
    const uint32_t backups = evil.core.group.quorum.replica_count - 1;
    if (p->place < (backups + 1) / 2) return true;
    say_other_batch(p, 1);
    return false;
}

static bool propose_a_batch_each(const struct evil_proposal *p)
{
    if (p->place == 0) return true;
    say_other_batch(p, p->place);
    return false;
}

static bool propose_a_sequence_each(const struct evil_proposal *p)
{
    if (p->place == 0) return true;
    say_proposal(p, p->message->seq + p->place, &p->message->digest, p->message->batch);
    return false;
}

static bool propose_to_all_but_f(const struct evil_proposal *p)
{
    const struct quorum *q = &evil.core.group.quorum;
    return p->place < q->replica_count - 1 - q->faulty_max;
}

static bool propose_to_too_few(const struct evil_proposal *p)
{
    return p->place + 2 < evil.core.group.quorum.quorum; /* Q-1 backups would prepare it */
}

const struct evil_behaviour evil_behaviours[] = {
    {.name = "silent", .says = "ignores requests and proposes nothing", .deaf = true, .propose = propose_nothing},
    {.name = "equivocate", .says = "one half of the backups gets another batch", .propose = propose_two_batches},
    {.name = "scatter", .says = "each backup gets another batch: none has a quorum", .propose = propose_a_batch_each},
    {.name = "renumber",
     .says = "each backup gets the batch under another sequence number",
     .propose = propose_a_sequence_each},
    {.name = "omit", .says = "f backups get no pre-prepare", .propose = propose_to_all_but_f},
    {.name = "starve", .says = "only Q-2 backups get a pre-prepare: no quorum", .propose = propose_to_too_few},
};
const uint32_t evil_behaviour_count = sizeof evil_behaviours / sizeof evil_behaviours[0];

const struct evil_behaviour *evil_behaviour_find(const char *name, size_t len)
{
    for (uint32_t i = 0; i < evil_behaviour_count; i++)
        if (strlen(evil_behaviours[i].name) == len && memcmp(evil_behaviours[i].name, name, len) == 0)
            return &evil_behaviours[i];
    return NULL;
}
