/* disk.c - see disk.h. Two read-only environments, opened for each look and closed after it: a reader that stays would
 * hold back free pages of the running replica. */
#include "bench/disk.h"

#include "ledger/data_dir.h"
#include "ledger/state.h"

#include <limits.h>
#include <stdio.h>

#define SEQ_KEY_BYTES 8u
#define BATCH_KEY_BYTES (SEQ_KEY_BYTES + DIGEST_BYTES)

const char *const disk_part_names[DISK_PARTS] = {
    [DISK_BATCHES] = "batches_bytes",           [DISK_BLOCKS] = "blocks_bytes",
    [DISK_CERTIFICATES] = "certificates_bytes", [DISK_LOG_REST] = "log_rest_bytes",
    [DISK_STATE_DATA] = "state_data_bytes",     [DISK_STATE_TREE] = "state_tree_bytes",
    [DISK_STATE_REST] = "state_rest_bytes",     [DISK_FREE] = "free_bytes"};

static const enum disk_part log_parts[LOG_TABLE_COUNT] = {
    [LOG_TABLE_META] = DISK_LOG_REST,        [LOG_TABLE_BLOCKS] = DISK_BLOCKS,
    [LOG_TABLE_BATCHES] = DISK_BATCHES,      [LOG_TABLE_CERTIFICATES] = DISK_CERTIFICATES,
    [LOG_TABLE_VOTES] = DISK_CERTIFICATES,   [LOG_TABLE_CHECKPOINTS] = DISK_LOG_REST,
    [LOG_TABLE_VIEW_CHANGES] = DISK_LOG_REST};

static const enum disk_part state_parts[STATE_TABLE_COUNT] = {
    [STATE_TABLE_DATA] = DISK_STATE_DATA, [STATE_TABLE_TREE] = DISK_STATE_TREE, [STATE_TABLE_META] = DISK_STATE_REST};

static struct err directory(const char *home, uint32_t replica, const char *below, char out[PATH_MAX])
{
    const int len = snprintf(out, PATH_MAX, "%s/r%u%s", home, replica, below);
    if (len < 0 || len >= PATH_MAX) return err_make(ERR_CONFIG, "the path of replica %u is too long", replica);
    return err_none();
}

static struct err open_log(const char *home, uint32_t replica, struct data_dir *out)
{
    char dir[PATH_MAX];
    struct wire_store_identity identity;
    ERR_TRY(directory(home, replica, "", dir));
    return data_dir_open_reader(dir, out, &identity);
}

static struct err add_store(struct kv_store *s, const enum disk_part *parts, uint32_t tables, struct disk_use *out)
{
    struct kv_store_size size;
    uint64_t known = 0;
    ERR_TRY(kv_store_size(s, &size));
    for (uint32_t i = 0; i < tables; i++) {
        out->parts[parts[i]] += size.table_bytes[i];
        known += size.table_bytes[i];
    }
    out->parts[DISK_FREE] += size.used_bytes - known;
    out->reserved_bytes += size.file_bytes;
    return err_none();
}

static struct err look_at_log(const char *home, uint32_t replica, struct disk_use *out)
{
    struct data_dir d;
    ERR_TRY(open_log(home, replica, &d));
    struct err e = log_last_block(d.log, &out->block);
    if (!err_is(&e)) e = add_store(d.log, log_parts, LOG_TABLE_COUNT, out);
    data_dir_close(&d);
    return e;
}

/* 0 before the first checkpoint. */
static struct err state_block(struct kv_store *store, uint64_t *out)
{
    struct state *state;
    struct bytes raw;
    struct wire_state_meta meta = {.seq = 0};
    ERR_TRY(state_open(store, &state));
    const struct err e = state_meta(state, &raw);
    const char *fault = err_is(&e) ? NULL : wire_decode_record(&wire_record_state_meta, raw, &meta);
    state_close(state);
    if (err_is(&e) && e.code != ERR_NOT_FOUND) return e;
    if (fault != NULL) return err_make(ERR_CORRUPT, "the record of the state's checkpoint does not decode: %s", fault);
    *out = meta.seq;
    return err_none();
}

static struct err look_at_state(const char *home, uint32_t replica, struct disk_use *out)
{
    char dir[PATH_MAX];
    struct kv_store *store;
    ERR_TRY(directory(home, replica, "/state", dir));
    ERR_TRY(kv_store_open_lmdb(dir, KV_OPEN_READ_ONLY, state_table_names, STATE_TABLE_COUNT, 0, &store));
    struct err e = state_block(store, &out->state_block);
    if (!err_is(&e)) e = add_store(store, state_parts, STATE_TABLE_COUNT, out);
    kv_store_close(store);
    return e;
}

uint64_t disk_used(const struct disk_use *u)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < DISK_PARTS; i++)
        all += u->parts[i];
    return all;
}

struct err disk_look(const char *home, uint32_t replica, struct disk_use *out)
{
    struct disk_use u = {.block = 0};
    ERR_TRY(look_at_log(home, replica, &u));
    ERR_TRY(look_at_state(home, replica, &u));
    *out = u;
    return err_none();
}

static struct err add_batch(struct kv_store *log, const struct wire_header *h, struct disk_blocks *out)
{
    struct wire_batch batch;
    struct bytes raw;
    struct bytes request;
    uint64_t bytes = 0;
    ERR_TRY(log_get_batch(log, h->seq, &h->batch_digest, &raw));
    const char *fault = wire_decode_record(&wire_record_batch, raw, &batch);
    if (fault != NULL)
        return err_make(ERR_CORRUPT, "the batch of block %llu does not decode: %s", (unsigned long long)h->seq, fault);
    struct wire_iterator i = wire_list_start(batch.requests);
    while (wire_list_next_bytes(&i, &request)) {
        out->transactions++;
        bytes += request.len;
    }
    out->request_bytes += bytes;
    out->batch_bytes += BATCH_KEY_BYTES + raw.len - bytes;
    return err_none();
}

static struct err add_block(struct kv_store *log, uint64_t seq, struct disk_blocks *out)
{
    struct wire_stored_block block;
    ERR_TRY(log_get_block(log, seq, &block));
    const size_t header = wire_record_size(&wire_record_header, &block.header);
    const size_t certificate = wire_record_size(&wire_record_vote_certificate, &block.committed);
    out->blocks++;
    out->entries += block.header.count;
    out->header_bytes += SEQ_KEY_BYTES + header;
    out->certificate_bytes += certificate;
    out->entry_bytes += wire_record_size(&wire_record_stored_block, &block) - header - certificate;
    return add_batch(log, &block.header, out);
}

struct err disk_read_blocks(const char *home, uint32_t replica, uint64_t after, uint64_t last, struct disk_blocks *out)
{
    struct data_dir d;
    struct disk_blocks all = {.blocks = 0};
    ERR_TRY(open_log(home, replica, &d));
    struct err e = err_none();
    for (uint64_t seq = after + 1; seq <= last && !err_is(&e); seq++)
        e = add_block(d.log, seq, &all);
    data_dir_close(&d);
    if (!err_is(&e)) *out = all;
    return e;
}
