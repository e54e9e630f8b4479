/* fuzz_verified.c - msg_verify on any bytes, and what it says of those that it lets through.
 *
 * The checker is a stand-in that takes a signature for good when the low bit of its first byte is clear, so that the
 * fuzzer gets behind signatures; tests/fixture/ledger_kit.c makes such ones, and the corpus is the valid messages of
 * tests/unit/test_verified.c. The group has 4 members.
 */
#include "base/check.h"
#include "wire/verified.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool check_low_bit(void *context, struct verify_item *item)
{
    (void)context;
    item->valid = (item->signature.bytes[0] & 1) == 0;
    return item->valid;
}

static void check_members(const struct wire_group *g, uint64_t sender, uint64_t epoch)
{
    CHECK_OP(sender, <, g->quorum.replica_count);
    CHECK_OP(epoch, ==, g->epoch);
}

static void check_batch(const struct batch_view *b)
{
    CHECK(b->valid == (b->fault == NULL));
    CHECK_OP(b->batch.requests.count, <=, BATCH_REQUESTS_MAX);
}

/* What the core relies on. */
static void check_accepted(const struct wire_group *g, const struct msg_verified *v)
{
    const struct wire_message *m = &v->msg;
    if (v->has_batch) check_batch(&v->batch);
    CHECK(digest_is_zero(&v->id) == (m->signed_part.len == 0));
    switch (m->type) {
    case WIRE_TYPE_request:
        CHECK_OP(m->request.seq, >=, 1);
        CHECK_OP(m->raw.len, <=, REQUEST_BYTES_MAX);
        return;
    case WIRE_TYPE_pre_prepare:
        check_members(g, m->pre_prepare.sender, m->pre_prepare.epoch);
        CHECK_OP(m->pre_prepare.sender, ==, m->pre_prepare.view % g->quorum.replica_count);
        CHECK_OP(m->pre_prepare.seq, >=, 1);
        CHECK(v->has_batch == (m->pre_prepare.batch.len > 0));
        if (v->has_batch) CHECK(digest_equal(&v->batch.digest, &m->pre_prepare.digest));
        return;
    case WIRE_TYPE_prepare:
        check_members(g, m->prepare.sender, m->prepare.epoch);
        CHECK(m->prepare.sender != m->prepare.view % g->quorum.replica_count);
        CHECK_OP(m->prepare.seq, >=, 1);
        return;
    case WIRE_TYPE_commit:
        check_members(g, m->commit.sender, m->commit.epoch);
        CHECK_OP(m->commit.seq, >=, 1);
        return;
    case WIRE_TYPE_checkpoint:
        check_members(g, m->checkpoint.sender, m->checkpoint.epoch);
        CHECK(m->checkpoint.seq >= 1 && m->checkpoint.seq % CHECKPOINT_INTERVAL == 0);
        return;
    case WIRE_TYPE_view_change: check_members(g, m->view_change.sender, m->view_change.epoch); return;
    case WIRE_TYPE_new_view:
        check_members(g, m->new_view.sender, m->new_view.epoch);
        CHECK_OP(m->new_view.sender, ==, m->new_view.view % g->quorum.replica_count);
        return;
    case WIRE_TYPE_status:
        check_members(g, m->status.sender, m->status.epoch);
        if (v->checkpoint_good) CHECK_OP(m->status.stable.signatures.count, >=, g->quorum.quorum);
        return;
    case WIRE_TYPE_fetch: check_members(g, m->fetch.sender, m->fetch.epoch); return;
    case WIRE_TYPE_data:
        check_members(g, m->data.sender, m->data.epoch);
        CHECK(v->has_batch);
        if (m->data.kind == DATA_KIND_BATCH) return;
        CHECK(m->data.kind == DATA_KIND_BLOCK && v->batch.valid);
        CHECK(v->block.header.seq == m->data.seq && v->block.committed.seq == m->data.seq && m->data.seq >= 1);
        CHECK(digest_equal(&v->block.committed.digest, &v->batch.digest));
        CHECK_OP(v->block.committed.signatures.count, >=, g->quorum.quorum);
        return;
    case WIRE_TYPE_reply:
    case WIRE_TYPE_hello:
    case WIRE_TYPE_query:
    case WIRE_TYPE_result:
    case WIRE_TYPE_busy: break;
    }
    CHECK(!"a type that is not for the core was accepted");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct public_key members[4];
    static struct msg_verified out;
    const struct signature_checker checker = {.check = check_low_bit};
    const struct wire_group g = {.quorum = quorum_of(4), .members = members};
    const char *fault = msg_verify(&g, checker, blob_copy(bytes_of(data, size)), &out);
    if (fault == NULL) check_accepted(&g, &out);
    msg_verified_release(&out);
    return 0;
}
