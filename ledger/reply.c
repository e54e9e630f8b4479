/* reply.c - building REPLY messages. */
#include "ledger/reply.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define REPLY_HEAD_BYTES_MAX 1024u /* a REPLY without its entries */
#define ENTRY_HEAD_BYTES_MAX 96u   /* an entry without its result: two digests and small numbers */
#define PROVEN_HEAD_BYTES_MAX 16u  /* a proven entry without entry and path: its index, and the heads of lists */
#define PATH_NODE_BYTES 34u        /* a digest, encoded */
_Static_assert(REPLY_HEAD_BYTES_MAX + BLOCK_RESULT_BYTES_MAX +
                       OPS_MAX * (PROVEN_HEAD_BYTES_MAX + ENTRY_HEAD_BYTES_MAX + PATH_NODE_BYTES * MERKLE_PATH_MAX) <=
                   FRAME_BYTES_MAX,
               "the answer to one transaction fits a frame");

static void open_entries(struct reply_source *s, const struct reply_signer *signer, const struct wire_header *header,
                         struct wire_list entries)
{
    *s = (struct reply_source){.signer = signer, .header = *header, .count = entries.count};
    s->entries = mem_alloc(sizeof *s->entries * entries.count);
    struct wire_iterator i = wire_list_start(entries);
    uint32_t k = 0;
    while (k < s->count && wire_list_next_raw(&i, &wire_record_entry, &s->entries[k].decoded, &s->entries[k].raw))
        k++;
    CHECK_OP(k, ==, s->count); /* the list was decoded before, or is our own */
}

static void sign_header(struct reply_source *s)
{
    const struct reply_signer *signer = s->signer;
    struct wire_reply m = {.epoch = signer->epoch, .sender = signer->self, .header = s->header};
    const struct digest statement = wire_record_signing_digest(&signer->group, &wire_record_reply, &m);
    signer->sign(signer->context, &statement, &s->signature);
}

struct err reply_open(struct reply_source *s, const struct reply_signer *signer, const struct wire_header *header,
                      struct wire_list entries)
{
    *s = (struct reply_source){.signer = signer};
    if (entries.count == 0 || entries.count != header->count)
        return err_make(ERR_CORRUPT, "block %llu has another number of entries than its header says",
                        (unsigned long long)header->seq);
    open_entries(s, signer, header, entries);
    struct digest *leaves = mem_alloc(sizeof *leaves * entries.count);
    for (uint32_t k = 0; k < s->count; k++)
        leaves[k] = merkle_leaf(s->entries[k].raw);
    merkle_levels_build(&s->tree, leaves, s->count);
    s->owns_tree = true;
    free(leaves);
    const struct digest root = merkle_levels_root(&s->tree);
    if (!digest_equal(&root, &header->entries_root)) {
        reply_close(s);
        return err_make(ERR_CORRUPT, "the entries of block %llu do not have the root its header names",
                        (unsigned long long)header->seq);
    }
    sign_header(s);
    return err_none();
}

void reply_open_executed(struct reply_source *s, const struct reply_signer *signer, const struct executed_block *block)
{
    CHECK_OP(block->entry_count, >=, 1);
    CHECK_OP(block->tree.counts[0], ==, block->entry_count); /* not freed yet */
    open_entries(s, signer, &block->header, executed_block_entries(block));
    s->tree = block->tree;
    sign_header(s);
}

void reply_close(struct reply_source *s)
{
    if (s->owns_tree) merkle_levels_free(&s->tree);
    free(s->entries);
    s->entries = NULL;
}

static void add_entry(const struct reply_source *s, uint32_t index, struct wire_list *list, struct buffer *out)
{
    struct digest path[MERKLE_PATH_MAX];
    uint8_t space[MERKLE_PATH_MAX * PATH_NODE_BYTES];
    struct writer nodes = writer_of(space, sizeof space);
    struct wire_proven_entry item = {.index = index, .entry = s->entries[index].decoded};
    const uint32_t length = merkle_levels_path(&s->tree, index, path);
    for (uint32_t k = 0; k < length; k++)
        wire_list_add_digest(&item.path, &nodes, &path[k]);
    CHECK(!nodes.overflow);
    const size_t size = wire_record_size(&wire_record_proven_entry, &item);
    struct writer w = writer_of(buffer_reserve(out, size), size);
    wire_encode_record(&wire_record_proven_entry, &item, &w);
    out->len += w.len;
    list->count++;
}

uint32_t reply_fitting(const struct reply_source *s, const struct reply_range *ranges, uint32_t range_count)
{
    const size_t proof = PROVEN_HEAD_BYTES_MAX + PATH_NODE_BYTES * (size_t)(s->tree.level_count - 1);
    size_t bytes = REPLY_HEAD_BYTES_MAX;
    for (uint32_t r = 0; r < range_count; r++) {
        CHECK_OP(ranges[r].first, <=, s->count);
        CHECK_OP(ranges[r].count, <=, s->count - ranges[r].first);
        for (uint32_t k = 0; k < ranges[r].count; k++)
            bytes += proof + s->entries[ranges[r].first + k].raw.len;
        if (r > 0 && bytes > FRAME_BYTES_MAX) return r;
    }
    return range_count;
}

struct blob *reply_message(const struct reply_source *s, uint64_t view, const struct reply_range *ranges,
                           uint32_t range_count)
{
    struct buffer items = {0};
    struct wire_reply m = {.epoch = s->signer->epoch,
                           .sender = s->signer->self,
                           .header = s->header,
                           .signature = s->signature,
                           .view = view};
    for (uint32_t r = 0; r < range_count; r++) {
        if (ranges[r].first >= s->count || ranges[r].count > s->count - ranges[r].first) {
            buffer_free(&items);
            return NULL;
        }
        for (uint32_t k = 0; k < ranges[r].count; k++)
            add_entry(s, ranges[r].first + k, &m.entries, &items);
    }
    m.entries.items = bytes_of(items.data, items.len);
    struct blob *out = wire_encode_blob(&wire_record_reply, &m);
    buffer_free(&items);
    return out;
}
