/* log_store.c - keys and records of the log environment. */
#include "ledger/log_store.h"

#include "base/check.h"

#include <string.h>

#define BATCH_KEY_BYTES 40u
#define KEY_BYTES_MAX 511u /* of any key in a store */
#define CHECK_BYTES 8u
#define NUMBERS_MAX 2u /* of a meta record with a check */

const char *const log_table_names[LOG_TABLE_COUNT] = {"meta",  "blocks",      "batches",     "certificates",
                                                      "votes", "checkpoints", "view_changes"};

struct seq_key {
    uint8_t bytes[BATCH_KEY_BYTES];
};

static struct bytes seq_key(struct seq_key *space, uint64_t seq)
{
    be64_put(space->bytes, seq);
    return bytes_of(space->bytes, 8);
}

static struct bytes batch_key(struct seq_key *space, uint64_t seq, const struct digest *digest)
{
    be64_put(space->bytes, seq);
    memcpy(space->bytes + 8, digest->bytes, DIGEST_BYTES);
    return bytes_of(space->bytes, BATCH_KEY_BYTES);
}

static void put_record(struct kv_batch *b, uint32_t table, struct bytes key, const struct wire_record *record,
                       const void *value)
{
    struct blob *bytes = wire_encode_blob(record, value);
    kv_batch_put(b, table, key, blob_bytes(bytes));
    blob_release(bytes);
}

/* ---- numbers with a check ---- */

/* space: count numbers; the check is put behind them. */
static struct bytes add_check(const char *key, uint8_t *space, uint32_t count)
{
    struct hasher h;
    struct digest check;
    hasher_start(&h, DIGEST_DOMAIN_STORED);
    hasher_add_be64(&h, strlen(key));
    hasher_add(&h, key, strlen(key));
    hasher_add(&h, space, count * 8u);
    hasher_finish(&h, &check);
    memcpy(space + count * 8u, check.bytes, CHECK_BYTES);
    return bytes_of(space, count * 8u + CHECK_BYTES);
}

static void put_numbers(struct kv_batch *b, const char *key, const uint64_t *numbers, uint32_t count)
{
    uint8_t space[NUMBERS_MAX * 8u + CHECK_BYTES];
    for (uint32_t i = 0; i < count; i++)
        be64_put(space + i * 8u, numbers[i]);
    kv_batch_put(b, LOG_TABLE_META, bytes_of_text(key), add_check(key, space, count));
}

/* ERR_NOT_FOUND, ERR_CORRUPT. */
static struct err get_numbers(struct kv_store *s, const char *key, uint64_t *numbers, uint32_t count)
{
    uint8_t space[NUMBERS_MAX * 8u + CHECK_BYTES];
    struct bytes value;
    switch (kv_store_get(s, LOG_TABLE_META, bytes_of_text(key), &value)) {
    case KV_FAILED: return kv_store_fault(s);
    case KV_ABSENT: return err_make(ERR_NOT_FOUND, "no %s is in this data directory", key);
    case KV_FOUND: break;
    }
    if (value.len != count * 8u + CHECK_BYTES)
        return err_make(ERR_CORRUPT, "the stored %s is damaged: it has another length", key);
    memcpy(space, value.data, count * 8u);
    if (bytes_compare(add_check(key, space, count), value) != 0)
        return err_make(ERR_CORRUPT, "the stored %s is damaged: it fails its check", key);
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = be64_get(value.data + i * 8u);
    return err_none();
}

/* ---- writing ---- */

void log_put_identity(struct kv_batch *b, const struct wire_store_identity *identity)
{
    put_record(b, LOG_TABLE_META, bytes_of_text("identity"), &wire_record_store_identity, identity);
}

void log_put_view(struct kv_batch *b, uint64_t view)
{
    put_numbers(b, "view", &view, 1);
}

void log_put_view_left(struct kv_batch *b, uint64_t view, struct bytes record)
{
    log_put_view(b, view);
    kv_batch_put(b, LOG_TABLE_META, bytes_of_text("view-change"), record);
}

void log_put_view_change(struct kv_batch *b, uint64_t member, struct bytes record)
{
    struct seq_key space;
    kv_batch_put(b, LOG_TABLE_VIEW_CHANGES, seq_key(&space, member), record);
}

void log_put_new_view(struct kv_batch *b, uint64_t view, struct bytes record)
{
    log_put_view(b, view);
    kv_batch_put(b, LOG_TABLE_META, bytes_of_text("new-view"), record);
    kv_batch_delete(b, LOG_TABLE_META, bytes_of_text("view-change"));
}

/* "evidence", member, kind */
#define EVIDENCE_NAME "evidence"
struct evidence_key {
    uint8_t bytes[sizeof EVIDENCE_NAME - 1 + 16];
};

static struct bytes evidence_key(struct evidence_key *space, uint64_t member, uint64_t kind)
{
    const size_t len = sizeof EVIDENCE_NAME - 1;
    memcpy(space->bytes, EVIDENCE_NAME, len);
    be64_put(space->bytes + len, member);
    be64_put(space->bytes + len + 8, kind);
    return bytes_of(space->bytes, sizeof space->bytes);
}

void log_put_evidence(struct kv_batch *b, uint64_t member, uint64_t kind, struct bytes record)
{
    struct evidence_key space;
    kv_batch_put(b, LOG_TABLE_META, evidence_key(&space, member, kind), record);
}

void log_put_clean(struct kv_batch *b)
{
    kv_batch_put(b, LOG_TABLE_META, bytes_of_text("clean"), bytes_of_text("yes"));
}

void log_put_fence(struct kv_batch *b, uint64_t until, enum fence_reason reason)
{
    const uint64_t numbers[] = {until, reason};
    put_numbers(b, "fence", numbers, 2);
}

void log_put_view_lost(struct kv_batch *b, uint64_t view)
{
    log_put_view(b, view);
    kv_batch_delete(b, LOG_TABLE_META, bytes_of_text("view-change"));
    log_put_fence(b, 0, FENCE_REASON_VIEW_DAMAGED);
    log_delete_clean(b);
}

void log_delete_clean(struct kv_batch *b)
{
    kv_batch_delete(b, LOG_TABLE_META, bytes_of_text("clean"));
}

static void put_batch(struct kv_batch *b, uint64_t seq, const struct digest *digest, struct bytes batch)
{
    struct seq_key space;
    if (batch.data == NULL) return; /* it is there already */
    kv_batch_put(b, LOG_TABLE_BATCHES, batch_key(&space, seq, digest), batch);
}

void log_put_prepared(struct kv_batch *b, uint64_t seq, const struct digest *digest, struct bytes record,
                      struct bytes batch)
{
    struct seq_key space;
    kv_batch_put(b, LOG_TABLE_CERTIFICATES, seq_key(&space, seq), record);
    put_batch(b, seq, digest, batch);
}

void log_put_vote(struct kv_batch *b, uint64_t seq, const struct digest *digest, struct bytes record,
                  struct bytes batch)
{
    struct seq_key space;
    kv_batch_put(b, LOG_TABLE_VOTES, seq_key(&space, seq), record);
    put_batch(b, seq, digest, batch);
}

void log_put_block(struct kv_batch *b, const struct executed_block *block, struct bytes committed, struct bytes batch)
{
    struct seq_key space;
    struct wire_stored_block stored = {.header = block->header, .entries = executed_block_entries(block)};
    CHECK(wire_decode_record(&wire_record_vote_certificate, committed, &stored.committed) == NULL);
    put_record(b, LOG_TABLE_BLOCKS, seq_key(&space, block->header.seq), &wire_record_stored_block, &stored);
    put_batch(b, block->header.seq, &block->header.batch_digest, batch);
}

/* Deletes every key of a table whose sequence is at most `seq`. */
static struct err drop_up_to(struct kv_store *s, struct kv_batch *b, uint32_t table, uint64_t seq)
{
    struct seq_key space;
    struct bytes key;
    struct bytes value;
    uint64_t at = 0;
    for (;;) {
        const enum kv_found found = kv_store_seek(s, table, seq_key(&space, at), &key, &value);
        if (found == KV_FAILED) return kv_store_fault(s);
        if (found == KV_ABSENT || key.len != 8 || be64_get(key.data) > seq) return err_none();
        at = be64_get(key.data) + 1;
        kv_batch_delete(b, table, key);
    }
}

struct err log_delete_blocks(struct kv_store *s, struct kv_batch *b, uint64_t low, uint64_t high)
{
    struct seq_key first;
    struct seq_key last;
    struct bytes key;
    struct bytes value;
    uint8_t cursor[KEY_BYTES_MAX + 1];
    struct bytes at = seq_key(&first, low);
    const struct bytes end = seq_key(&last, high);
    for (;;) {
        const enum kv_found found = kv_store_seek(s, LOG_TABLE_BLOCKS, at, &key, &value);
        if (found == KV_FAILED) return kv_store_fault(s);
        if (found == KV_ABSENT || bytes_compare(key, end) > 0) return err_none();
        CHECK_OP(key.len, <=, KEY_BYTES_MAX);
        kv_batch_delete(b, LOG_TABLE_BLOCKS, key);
        memcpy(cursor, key.data, key.len);
        cursor[key.len] = 0;
        at = bytes_of(cursor, key.len + 1);
    }
}

/* Batches that were proposed at some sequence in (after, seq] and are not the block's. gaps: where there is none is no fault. */
static struct err drop_unused_batches(struct kv_store *s, struct kv_batch *b, uint64_t after, uint64_t seq, bool gaps)
{
    struct seq_key space;
    struct bytes key;
    struct bytes value;
    uint8_t cursor[BATCH_KEY_BYTES + 1];
    struct bytes at = seq_key(&space, after + 1);
    for (;;) {
        const enum kv_found found = kv_store_seek(s, LOG_TABLE_BATCHES, at, &key, &value);
        if (found == KV_FAILED) return kv_store_fault(s);
        if (found == KV_ABSENT || key.len != BATCH_KEY_BYTES || be64_get(key.data) > seq) return err_none();
        memcpy(cursor, key.data, BATCH_KEY_BYTES);
        cursor[BATCH_KEY_BYTES] = 0;
        struct wire_stored_block block = {0};
        const struct err e = log_get_block(s, be64_get(cursor), &block);
        const bool missing = gaps && e.code == ERR_NOT_FOUND;
        if (err_is(&e) && !missing) return e;
        if (missing || memcmp(block.header.batch_digest.bytes, cursor + 8, DIGEST_BYTES) != 0)
            kv_batch_delete(b, LOG_TABLE_BATCHES, bytes_of(cursor, BATCH_KEY_BYTES));
        at = bytes_of(cursor, sizeof cursor);
    }
}

static struct err put_stable(struct kv_store *s, struct kv_batch *b, uint64_t seq, struct bytes record, bool gaps)
{
    struct wire_checkpoint_certificate old = {0};
    ERR_TRY(log_get_stable(s, &old));
    ERR_TRY(drop_up_to(s, b, LOG_TABLE_CERTIFICATES, seq));
    ERR_TRY(drop_up_to(s, b, LOG_TABLE_VOTES, seq));
    ERR_TRY(drop_unused_batches(s, b, old.seq, seq, gaps));
    log_put_stable_again(b, seq, record);
    return err_none();
}

void log_put_gap(struct kv_batch *b, uint64_t low, uint64_t high)
{
    uint8_t gap[16];
    be64_put(gap, low);
    be64_put(gap + 8, high);
    if (low > 0)
        kv_batch_put(b, LOG_TABLE_META, bytes_of_text("gap"), bytes_of(gap, sizeof gap));
    else
        kv_batch_delete(b, LOG_TABLE_META, bytes_of_text("gap"));
}

void log_put_past_block(struct kv_batch *b, uint64_t gap_low, const struct wire_header *header,
                        const struct wire_vote_certificate *committed, struct wire_list entries, struct bytes checkpoint,
                        struct bytes batch)
{
    struct seq_key space;
    const struct wire_stored_block stored = {.header = *header, .committed = *committed, .entries = entries};
    put_record(b, LOG_TABLE_BLOCKS, seq_key(&space, header->seq), &wire_record_stored_block, &stored);
    put_batch(b, header->seq, &header->batch_digest, batch);
    if (checkpoint.len > 0) kv_batch_put(b, LOG_TABLE_CHECKPOINTS, seq_key(&space, header->seq), checkpoint);
    if (gap_low == 0) return;
    if (header->seq > gap_low)
        log_put_gap(b, gap_low, header->seq - 1);
    else
        log_put_gap(b, 0, 0);
}

struct err log_put_stable(struct kv_store *s, struct kv_batch *b, uint64_t seq, struct bytes record)
{
    return put_stable(s, b, seq, record, false);
}

void log_put_stable_again(struct kv_batch *b, uint64_t seq, struct bytes record)
{
    struct seq_key space;
    kv_batch_put(b, LOG_TABLE_META, bytes_of_text("stable"), record);
    kv_batch_put(b, LOG_TABLE_CHECKPOINTS, seq_key(&space, seq), record);
}

struct err log_put_transferred(struct kv_store *s, struct kv_batch *b, uint64_t seq, struct bytes record)
{
    uint64_t last = 0;
    uint64_t low = 0;
    uint64_t high = 0;
    ERR_TRY(log_last_block(s, &last));
    ERR_TRY(log_get_gap(s, &low, &high));
    if (last < seq) { /* a gap that is there already grows: what is between is fetched once more */
        if (low == 0) low = last + 1;
        log_put_gap(b, low, seq);
    }
    return put_stable(s, b, seq, record, true);
}

/* ---- reading ---- */

static struct err get_record(struct kv_store *s, uint32_t table, struct bytes key, const char *what,
                             const struct wire_record *record, void *out, struct bytes *raw)
{
    struct bytes value;
    switch (kv_store_get(s, table, key, &value)) {
    case KV_FAILED: return kv_store_fault(s);
    case KV_ABSENT: return err_make(ERR_NOT_FOUND, "the %s is not in this data directory", what);
    case KV_FOUND: break;
    }
    const char *fault = wire_decode_record(record, value, out);
    if (fault != NULL) return err_make(ERR_CORRUPT, "the stored %s does not decode: %s", what, fault);
    if (raw != NULL) *raw = value;
    return err_none();
}

struct err log_get_identity(struct kv_store *s, struct wire_store_identity *out)
{
    struct err e =
        get_record(s, LOG_TABLE_META, bytes_of_text("identity"), "identity", &wire_record_store_identity, out, NULL);
    if (e.code == ERR_NOT_FOUND) e.code = ERR_CORRUPT;
    return e;
}

struct err log_get_view(struct kv_store *s, uint64_t *out)
{
    uint64_t view = 0;
    const struct err e = get_numbers(s, "view", &view, 1);
    if (e.code == ERR_NOT_FOUND) return err_make(ERR_CORRUPT, "the stored view is missing");
    if (err_is(&e)) return e;
    if (view > VIEW_MAX) return err_make(ERR_CORRUPT, "the stored view is damaged: there is no such view");
    *out = view;
    return err_none();
}

static struct err get_message(struct kv_store *s, uint32_t table, struct bytes key, const char *what, struct bytes *out)
{
    switch (kv_store_get(s, table, key, out)) {
    case KV_FAILED: return kv_store_fault(s);
    case KV_ABSENT: return err_make(ERR_NOT_FOUND, "no %s is in this data directory", what);
    case KV_FOUND: break;
    }
    return err_none();
}

struct err log_get_view_left(struct kv_store *s, struct bytes *out)
{
    return get_message(s, LOG_TABLE_META, bytes_of_text("view-change"), "VIEW-CHANGE under way", out);
}

struct err log_get_new_view(struct kv_store *s, struct bytes *out)
{
    return get_message(s, LOG_TABLE_META, bytes_of_text("new-view"), "NEW-VIEW", out);
}

struct err log_get_view_change(struct kv_store *s, uint64_t member, struct bytes *out)
{
    struct seq_key space;
    return get_message(s, LOG_TABLE_VIEW_CHANGES, seq_key(&space, member), "VIEW-CHANGE", out);
}

struct err log_get_evidence(struct kv_store *s, uint64_t member, uint64_t kind, struct bytes *out)
{
    struct evidence_key space;
    return get_message(s, LOG_TABLE_META, evidence_key(&space, member, kind), "evidence", out);
}

bool log_is_clean(struct kv_store *s)
{
    struct bytes value;
    return kv_store_get(s, LOG_TABLE_META, bytes_of_text("clean"), &value) == KV_FOUND;
}

struct err log_get_fence(struct kv_store *s, uint64_t *until, enum fence_reason *reason)
{
    uint64_t numbers[2] = {0, FENCE_REASON_NONE};
    const struct err e = get_numbers(s, "fence", numbers, 2);
    if (err_is(&e) && e.code != ERR_NOT_FOUND) return e;
    if (!err_is(&e) && (numbers[1] == FENCE_REASON_NONE || numbers[1] > FENCE_REASON_MAX))
        return err_make(ERR_CORRUPT, "the stored fence is damaged: there is no such reason");
    *until = numbers[0];
    *reason = (enum fence_reason)numbers[1];
    return err_none();
}

struct err log_get_stable(struct kv_store *s, struct wire_checkpoint_certificate *out)
{
    struct err e = get_record(s, LOG_TABLE_META, bytes_of_text("stable"), "stable checkpoint",
                              &wire_record_checkpoint_certificate, out, NULL);
    if (e.code != ERR_NOT_FOUND) return e;
    *out = (struct wire_checkpoint_certificate){0};
    return err_none();
}

struct err log_last_block(struct kv_store *s, uint64_t *out)
{
    struct bytes key;
    struct bytes value;
    switch (kv_store_last(s, LOG_TABLE_BLOCKS, &key, &value)) {
    case KV_FAILED: return kv_store_fault(s);
    case KV_ABSENT: *out = 0; return err_none();
    case KV_FOUND: break;
    }
    if (key.len != 8) return err_make(ERR_CORRUPT, "the key of a stored block is malformed");
    *out = be64_get(key.data);
    return err_none();
}

struct err log_get_gap(struct kv_store *s, uint64_t *low, uint64_t *high)
{
    struct bytes value;
    switch (kv_store_get(s, LOG_TABLE_META, bytes_of_text("gap"), &value)) {
    case KV_FAILED: return kv_store_fault(s);
    case KV_ABSENT: *low = *high = 0; return err_none();
    case KV_FOUND: break;
    }
    if (value.len != 16 || be64_get(value.data) == 0 || be64_get(value.data + 8) < be64_get(value.data))
        return err_make(ERR_CORRUPT, "the record of the blocks that are missing is damaged");
    *low = be64_get(value.data);
    *high = be64_get(value.data + 8);
    return err_none();
}

bool log_in_gap(struct kv_store *s, uint64_t seq)
{
    uint64_t low = 0;
    uint64_t high = 0;
    const struct err e = log_get_gap(s, &low, &high);
    return !err_is(&e) && low != 0 && seq >= low && seq <= high;
}

struct err log_get_block(struct kv_store *s, uint64_t seq, struct wire_stored_block *out)
{
    struct seq_key space;
    struct err e = get_record(s, LOG_TABLE_BLOCKS, seq_key(&space, seq), "block", &wire_record_stored_block, out, NULL);
    if (err_is(&e)) return err_wrap(e, "block %llu", (unsigned long long)seq);
    if (out->header.seq != seq)
        return err_make(ERR_CORRUPT, "block %llu names another sequence", (unsigned long long)seq);
    return e;
}

struct err log_get_batch(struct kv_store *s, uint64_t seq, const struct digest *digest, struct bytes *out)
{
    struct seq_key space;
    switch (kv_store_get(s, LOG_TABLE_BATCHES, batch_key(&space, seq, digest), out)) {
    case KV_FAILED: return kv_store_fault(s);
    case KV_ABSENT: return err_make(ERR_NOT_FOUND, "the batch of sequence %llu is not here", (unsigned long long)seq);
    case KV_FOUND: break;
    }
    return err_none();
}

struct err log_get_checkpoint(struct kv_store *s, uint64_t seq, struct wire_checkpoint_certificate *out,
                              struct bytes *raw)
{
    struct seq_key space;
    return get_record(s, LOG_TABLE_CHECKPOINTS, seq_key(&space, seq), "checkpoint certificate",
                      &wire_record_checkpoint_certificate, out, raw);
}

/* The first record of a table with a key >= from. */
static struct err next_record(struct kv_store *s, uint32_t table, uint64_t from, const char *what, uint64_t *seq,
                              struct bytes *value)
{
    struct seq_key space;
    struct bytes key;
    switch (kv_store_seek(s, table, seq_key(&space, from), &key, value)) {
    case KV_FAILED: return kv_store_fault(s);
    case KV_ABSENT: return err_make(ERR_NOT_FOUND, "no further %s", what);
    case KV_FOUND: break;
    }
    if (key.len != 8 || be64_get(key.data) < from) /* a walk must get on */
        return err_make(ERR_CORRUPT, "the table of each stored %s is damaged: a key in it is no sequence", what);
    *seq = be64_get(key.data);
    return err_none();
}

static const char *const wrong_key = "it is of another sequence than its key";

struct err log_next_prepared(struct kv_store *s, uint64_t from, struct log_place *at, struct wire_vote_certificate *out)
{
    struct wire_vote_certificate record;
    struct bytes value;
    ERR_TRY(next_record(s, LOG_TABLE_CERTIFICATES, from, "prepared certificate", &at->seq, &value));
    at->fault = wire_decode_record(&wire_record_vote_certificate, value, &record);
    if (at->fault == NULL && record.seq != at->seq) at->fault = wrong_key;
    if (at->fault == NULL) *out = record;
    return err_none();
}

struct err log_next_vote(struct kv_store *s, uint64_t from, struct log_place *at, struct wire_stored_vote *out)
{
    struct wire_stored_vote record;
    struct bytes value;
    ERR_TRY(next_record(s, LOG_TABLE_VOTES, from, "vote", &at->seq, &value));
    at->fault = wire_decode_record(&wire_record_stored_vote, value, &record);
    if (at->fault == NULL && record.seq != at->seq) at->fault = wrong_key;
    if (at->fault == NULL) *out = record;
    return err_none();
}
