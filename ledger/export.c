/* export.c - canonical text of a ledger. */
#include "ledger/export.h"

#include "crypto/merkle.h"
#include "wire/print.h"
#include "wire/verified.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void put_hex(struct buffer *out, struct bytes in)
{
    char *to = (char *)buffer_reserve(out, 2 * in.len + 1);
    hex_encode(to, in.data, in.len);
    out->len += 2 * in.len;
}

static void put_digest(struct buffer *out, const char *name, const struct digest *d)
{
    buffer_printf(out, " %s ", name);
    put_hex(out, bytes_of(d->bytes, sizeof d->bytes));
}

static const char *outcome_name(uint64_t outcome)
{
    static const char *const names[] = {"ok", "negative", "expired", "refused"};
    return outcome <= OUTCOME_MAX ? names[outcome] : "unknown";
}

static void put_header(struct buffer *out, const struct wire_header *h)
{
    const struct digest hash = header_hash(h);
    buffer_printf(out, "block %" PRIu64 " epoch %" PRIu64 " time %" PRIu64 " first %" PRIu64 " count %" PRIu64, h->seq,
                  h->epoch, h->time_ms, h->first_index, h->count);
    put_digest(out, "hash", &hash);
    put_digest(out, "previous", &h->previous);
    put_digest(out, "batch", &h->batch_digest);
    put_digest(out, "entries", &h->entries_root);
    put_digest(out, "history", &h->history_root);
    put_digest(out, "configuration", &h->configuration);
    buffer_printf(out, "\n");
}

/* Puts a block's entries, and checks them against the header's root. */
static struct err put_entries(struct buffer *out, const struct wire_stored_block *b)
{
    struct merkle_frontier tree = {0};
    struct wire_iterator i = wire_list_start(b->entries);
    struct wire_entry entry;
    struct bytes raw;
    for (uint64_t k = 0; wire_list_next_raw(&i, &wire_record_entry, &entry, &raw); k++) {
        const struct digest leaf = merkle_leaf(raw);
        merkle_frontier_append(&tree, &leaf);
        buffer_printf(out, "entry %" PRIu64 " operation %" PRIu64 " %s", b->header.first_index + k, entry.operation,
                      outcome_name(entry.outcome));
        put_digest(out, "transaction", &entry.transaction);
        put_digest(out, "request", &entry.request_digest);
        buffer_printf(out, " result ");
        put_hex(out, entry.result);
        buffer_printf(out, "\n");
    }
    const struct digest root = merkle_frontier_root(&tree);
    if (tree.count != b->header.count || !digest_equal(&root, &b->header.entries_root))
        return err_make(ERR_CORRUPT, "block %" PRIu64 ": its entries do not have the root its header names",
                        b->header.seq);
    return err_none();
}

/* The batch of a block: here, and the one whose digest the header names. What it holds is then what was agreed on. */
static struct err check_batch(struct kv_store *log, const struct wire_header *h, struct wire_batch *out)
{
    const struct wire_group group = {.epoch = h->epoch};
    const struct signature_checker none = {0}; /* Q members checked them before they voted for this digest */
    struct batch_view view = {.valid = false};
    struct bytes raw;
    struct err e = log_get_batch(log, h->seq, &h->batch_digest, &raw);
    if (e.code == ERR_NOT_FOUND) e.code = ERR_CORRUPT; /* its block is here */
    if (err_is(&e)) return e;
    const char *fault = batch_open(&group, none, raw, &view);
    if (fault == NULL) fault = view.fault;
    if (fault == NULL && !digest_equal(&view.digest, &h->batch_digest))
        fault = "it has another digest than its block names";
    if (fault != NULL) return err_make(ERR_CORRUPT, "the batch of block %" PRIu64 " is damaged: %s", h->seq, fault);
    *out = view.batch;
    return err_none();
}

/* The history up to this block has the root that its header names. */
static struct err check_history(const struct wire_stored_block *b, struct merkle_frontier *history)
{
    struct wire_iterator i = wire_list_start(b->entries);
    struct wire_entry entry;
    struct bytes raw;
    while (wire_list_next_raw(&i, &wire_record_entry, &entry, &raw)) {
        const struct digest leaf = merkle_leaf(raw);
        merkle_frontier_append(history, &leaf);
    }
    const struct digest root = merkle_frontier_root(history);
    if (digest_equal(&root, &b->header.history_root)) return err_none();
    return err_make(ERR_CORRUPT,
                    "block %" PRIu64 ": the entries up to it do not have the history root that its header names",
                    b->header.seq);
}

struct err export_ledger(struct kv_store *log, FILE *out)
{
    struct buffer text = {0};
    struct digest previous = {{0}};
    struct merkle_frontier history = {0};
    uint64_t last;
    uint64_t entries = 0;
    uint64_t gap_low = 0;
    uint64_t gap_high = 0;
    struct err e = log_last_block(log, &last);
    if (!err_is(&e)) e = log_get_gap(log, &gap_low, &gap_high);
    if (!err_is(&e) && gap_low > 0)
        e = err_make(ERR_NEGATIVE,
                     "blocks %" PRIu64 " to %" PRIu64 " are not here yet: this replica took the state above them from others, and "
                     "fetches them in the background while it runs; export again later, or from another replica",
                     gap_low, gap_high);
    for (uint64_t seq = 1; !err_is(&e) && seq <= last; seq++) {
        struct wire_stored_block block;
        e = log_get_block(log, seq, &block);
        if (e.code == ERR_NOT_FOUND) e.code = ERR_CORRUPT; /* a gap */
        if (err_is(&e)) break;
        if (!digest_equal(&block.header.previous, &previous) || block.header.first_index != entries) {
            e = err_make(ERR_CORRUPT, "block %" PRIu64 " does not follow the block before it", seq);
            break;
        }
        struct wire_batch batch;
        e = check_batch(log, &block.header, &batch);
        if (!err_is(&e)) e = check_history(&block, &history);
        if (err_is(&e)) break;
        previous = header_hash(&block.header);
        entries += block.header.count;
        put_header(&text, &block.header);
        e = put_entries(&text, &block);
        if (!err_is(&e) && fwrite(text.data, 1, text.len, out) != text.len)
            e = err_system(errno, "cannot write the export");
        text.len = 0;
    }
    buffer_free(&text);
    if (err_is(&e)) return e;
    if (fprintf(out, "end blocks %" PRIu64 " entries %" PRIu64 "\n", last, entries) < 0 || fflush(out) != 0)
        return err_system(errno, "cannot write the export");
    return err_none();
}

/* The requests of a block's batch, decoded. */
static struct err put_requests(struct kv_store *log, const struct wire_header *h, struct buffer *out, bool json)
{
    struct bytes raw;
    struct wire_batch batch;
    ERR_TRY(check_batch(log, h, &batch));
    struct wire_iterator i = wire_list_start(batch.requests);
    for (uint32_t k = 0; wire_list_next_bytes(&i, &raw); k++) {
        struct wire_message m;
        if (wire_decode(raw, &m) != NULL)
            return err_make(ERR_CORRUPT, "a request of block %" PRIu64 " does not decode", h->seq);
        buffer_printf(out, "%s", json ? (k > 0 ? "," : "") : "request ");
        wire_print_message(&m, out);
        if (!json) buffer_printf(out, "\n");
    }
    return err_none();
}

struct err export_show_block(struct kv_store *log, uint64_t seq, bool json, struct buffer *out)
{
    struct wire_stored_block b;
    struct wire_batch batch;
    ERR_TRY(log_get_block(log, seq, &b));
    ERR_TRY(check_batch(log, &b.header, &batch)); /* before a word of it is shown */
    const struct digest hash = header_hash(&b.header);
    if (json) {
        buffer_printf(out, "{\"hash\":\"");
        put_hex(out, bytes_of(hash.bytes, sizeof hash.bytes));
        buffer_printf(out, "\",\"block\":");
        wire_print_record(&wire_record_stored_block, &b, out);
        buffer_printf(out, ",\"requests\":[");
        ERR_TRY(put_requests(log, &b.header, out, true));
        buffer_printf(out, "]}\n");
        return err_none();
    }
    put_header(out, &b.header);
    ERR_TRY(put_entries(out, &b));
    buffer_printf(out, "certificate view %" PRIu64 " commits of", b.committed.view);
    struct wire_iterator i = wire_list_start(b.committed.signatures);
    struct wire_member_signature s;
    while (wire_list_next(&i, &wire_record_member_signature, &s))
        buffer_printf(out, " %" PRIu64, s.id);
    buffer_printf(out, "\n");
    return put_requests(log, &b.header, out, false);
}
