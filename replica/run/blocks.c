/* blocks.c - blocks as messages, and past blocks from messages. */
#include "replica/run/blocks.h"

#include "base/check.h"
#include "crypto/merkle.h"
#include "ledger/data_dir.h"
#include "wire/constants.h"

/* The certificate of a checkpoint, if it is here. */
static struct wire_list checkpoint_of(struct kv_store *log, uint64_t seq)
{
    struct wire_checkpoint_certificate checkpoint;
    struct bytes raw;
    if (seq % CHECKPOINT_INTERVAL != 0) return (struct wire_list){0};
    const struct err e = log_get_checkpoint(log, seq, &checkpoint, &raw);
    return err_is(&e) ? (struct wire_list){0} : (struct wire_list){.items = raw, .count = 1};
}

static struct blob *data_message(const struct reply_signer *signer, enum data_kind kind,
                                 const struct wire_header *header, const struct wire_record *record, const void *block)
{
    struct blob *payload = wire_encode_blob(record, block);
    const struct wire_data m = {.epoch = signer->epoch,
                                .sender = signer->self,
                                .kind = kind,
                                .seq = header->seq,
                                .digest = header->batch_digest,
                                .payload = blob_bytes(payload)};
    struct blob *out = wire_encode_blob(&wire_record_data, &m);
    blob_release(payload);
    return out;
}

/* The batch of the block, decoded, after a look at whether it still is what the block says: a record that has rotted is
 * not sent to others, who could not tell it from a lie. */
static struct err batch_of(struct kv_store *log, const struct wire_stored_block *stored, struct bytes *raw,
                           struct wire_batch *batch)
{
    const unsigned long long seq = stored->header.seq;
    struct digest digest;
    ERR_TRY(log_get_batch(log, stored->header.seq, &stored->header.batch_digest, raw));
    const char *fault = batch_decode(*raw, batch, &digest);
    if (fault != NULL) return err_make(ERR_CORRUPT, "the batch of block %llu does not decode; " DATA_DIR_LOOK, seq);
    if (!digest_equal(&digest, &stored->committed.digest))
        return err_make(ERR_CORRUPT,
                        "the batch of block %llu is not the one that its certificate names; " DATA_DIR_LOOK, seq);
    return err_none();
}

struct err blocks_message(struct kv_store *log, const struct reply_signer *signer, uint64_t seq, struct blob **out)
{
    struct wire_stored_block stored;
    struct wire_block block = {.header.seq = seq};
    struct wire_batch batch;
    ERR_TRY(log_get_block(log, seq, &stored));
    ERR_TRY(batch_of(log, &stored, &block.batch, &batch));
    block.header = stored.header;
    block.committed = stored.committed;
    block.checkpoint = checkpoint_of(log, seq);
    *out = data_message(signer, DATA_KIND_BLOCK, &stored.header, &wire_record_block, &block);
    return err_none();
}

/* Entries as they travel: which request of the batch each is of, found by its digest. They stand in the order of the
 * requests. What a disk has changed since is not sent: it would be refused, and held against its sender. */
static struct err past_entries(const struct wire_stored_block *stored, const struct wire_batch *batch,
                               struct buffer *out)
{
    struct wire_iterator requests = wire_list_start(batch->requests);
    struct wire_iterator i = wire_list_start(stored->entries);
    struct wire_entry entry;
    struct merkle_frontier tree = {0};
    struct bytes raw_entry;
    struct bytes raw;
    struct digest leaf = {{0}};
    uint32_t number = 0; /* of the request behind `leaf`, and one */
    while (wire_list_next_raw(&i, &wire_record_entry, &entry, &raw_entry)) {
        while ((number == 0 || !digest_equal(&leaf, &entry.request_digest)) && wire_list_next_bytes(&requests, &raw)) {
            leaf = merkle_leaf(raw);
            number++;
        }
        if (number == 0 || !digest_equal(&leaf, &entry.request_digest))
            return err_make(ERR_CORRUPT, "block %llu: an entry is of a request that its batch does not hold",
                            (unsigned long long)stored->header.seq);
        const struct wire_past_entry past = {
            .request = number - 1, .operation = entry.operation, .outcome = entry.outcome, .result = entry.result};
        const size_t size = wire_record_size(&wire_record_past_entry, &past);
        struct writer w = writer_of(buffer_reserve(out, size), size);
        wire_encode_record(&wire_record_past_entry, &past, &w);
        out->len += size;
        const struct digest entry_leaf = merkle_leaf(raw_entry);
        merkle_frontier_append(&tree, &entry_leaf);
    }
    const struct digest root = merkle_frontier_root(&tree);
    if (tree.count != stored->header.count || !digest_equal(&root, &stored->header.entries_root))
        return err_make(ERR_CORRUPT, "the entries of block %llu do not have the root its header names",
                        (unsigned long long)stored->header.seq);
    return err_none();
}

struct err blocks_past_message(struct kv_store *log, const struct reply_signer *signer, uint64_t seq, struct blob **out)
{
    struct wire_stored_block stored;
    struct wire_past_block past = {.header.seq = seq};
    struct wire_batch batch;
    struct buffer entries = {0};
    ERR_TRY(log_get_block(log, seq, &stored));
    ERR_TRY(batch_of(log, &stored, &past.batch, &batch));
    struct err e = past_entries(&stored, &batch, &entries);
    if (!err_is(&e)) {
        past.header = stored.header;
        past.committed = stored.committed;
        past.checkpoint = checkpoint_of(log, seq);
        past.entries = (struct wire_list){.items = bytes_of(entries.data, entries.len), .count = stored.entries.count};
        *out = data_message(signer, DATA_KIND_PAST_BLOCK, &stored.header, &wire_record_past_block, &past);
    }
    buffer_free(&entries);
    return e;
}

void blocks_put_past(struct kv_batch *b, uint64_t gap_low, const struct blob *data, const struct blob *entries,
                     bool checkpoint_good)
{
    struct wire_message m;
    struct wire_past_block past;
    CHECK(wire_decode(blob_bytes(data), &m) == NULL); /* msg_verify has seen it */
    CHECK(wire_decode_record(&wire_record_past_block, m.data.payload, &past) == NULL);
    const struct wire_list list = {.items = blob_bytes(entries), .count = (uint32_t)past.header.count};
    log_put_past_block(b, gap_low, &past.header, &past.committed, list,
                       checkpoint_good ? past.checkpoint.items : bytes_of(NULL, 0), past.batch);
}
