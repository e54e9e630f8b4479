/* fuzz_stored.c - whatever the two environments hold, reading them back ends in an error or a value, never in an abort.
 *
 * The first byte of the input selects where the rest of it stands:
 *   0 a client's window     decoded, and encoded again: the same bytes
 *   1 the state's meta record   2 a window in the state's registry   the executor opens the state, and goes on
 *   3 a stored block        opened for replies, exported, executed again
 *   4 stable checkpoint   5 prepared certificate   6 vote   7 batch of a certificate   8 view   the replica recovers
 */
#include "base/check.h"
#include "ledger/export.h"
#include "ledger/reply.h"
#include "replica/run/recovery.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool check_low_bit(void *context, struct verify_item *item)
{
    (void)context;
    item->valid = (item->signature.bytes[0] & 1) == 0;
    return item->valid;
}

static void sign_nothing(void *context, const struct digest *digest, struct signature *out)
{
    (void)context;
    (void)digest;
    memset(out->bytes, 0, sizeof out->bytes);
}

static const struct public_key members[4];

/* One member's group with one client; enough for the executor, which looks at no member. */
static struct group *the_group(void)
{
    static struct group *g;
    if (g != NULL) return g;
    g = group_new();
    g->client_count = 1;
    g->clients[0].key.bytes[0] = 7;
    g->clients[0].role = GROUP_ROLE_WRITER;
    return g;
}

static void put(struct kv_store *s, uint32_t table, struct bytes key, struct bytes value)
{
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, table, key, value);
    const struct err e = kv_store_apply(s, b);
    CHECK(!err_is(&e));
    kv_batch_free(b);
}

static struct bytes seq_key(uint8_t space[8], uint64_t seq)
{
    be64_put(space, seq);
    return bytes_of(space, 8);
}

static void window(struct bytes in)
{
    struct client_window w;
    struct buffer out = {0};
    if (!window_decode(in, &w)) return;
    window_encode(&w, &out);
    CHECK(bytes_equal(bytes_of(out.data, out.len), in));
    buffer_free(&out);
}

static struct kv_store *new_state(void)
{
    struct kv_store *s = kv_store_new_memory(STATE_TABLE_COUNT);
    const struct err e = executor_init(s, the_group());
    CHECK(!err_is(&e));
    return s;
}

/* Opens a state, and if that goes executes two null batches. */
static void executor_try(struct kv_store *state)
{
    static const struct digest digest;
    static const uint8_t null_batch[] = {0x82, 0x00, 0x80};
    struct executor *x;
    struct err e = executor_open(state, the_group(), &x);
    if (err_is(&e)) return;
    for (uint32_t i = 0; i < 2 && executor_executed(x) < SEQ_MAX; i++) {
        struct executed_block *block;
        e = executor_execute(x, executor_executed(x) + 1, bytes_of(null_batch, sizeof null_batch), &digest, &block);
        if (!err_is(&e)) executed_block_free(block);
    }
    executor_close(x);
}

static void state_meta_record(struct bytes in)
{
    struct kv_store *s = new_state();
    put(s, STATE_TABLE_META, bytes_of_text("meta"), in);
    executor_try(s);
    kv_store_close(s);
}

static void registry_record(struct bytes in)
{
    uint8_t key[35] = {0, 0, 'c', 7};
    struct kv_store *s = new_state();
    put(s, STATE_TABLE_DATA, bytes_of(key, sizeof key), in);
    executor_try(s);
    kv_store_close(s);
}

static void reply_try(const struct wire_stored_block *b)
{
    const struct reply_signer signer = {.self = 1, .sign = sign_nothing};
    struct reply_source source;
    struct err e = reply_open(&source, &signer, &b->header, b->entries);
    if (!err_is(&e)) {
        const struct reply_range range = {.first = 0, .count = source.count};
        struct blob *reply = reply_message(&source, 0, &range, 1);
        CHECK(reply != NULL);
        blob_release(reply);
        reply_close(&source);
    }
}

static void recover(struct kv_store *log)
{
    struct data_dir d = {.lock_fd = -1, .log = log, .state = new_state()};
    const struct signature_checker checker = {.check = check_low_bit};
    const struct wire_group g = {.quorum = quorum_of(4), .members = members};
    struct executor *x;
    struct recovery r;
    struct err e = executor_open(d.state, the_group(), &x);
    CHECK(!err_is(&e));
    e = recovery_run(&d, x, &g, checker, 0, executor_client_count(x), &r);
    CHECK(!err_is(&e) || e.code == ERR_CORRUPT);
    if (!err_is(&e)) recovery_free(&r);
    executor_close(x);
    kv_store_close(d.state);
}

/* A log environment with the null batch of sequence 1, 5 and 6 in it, under the digest that all of them have. */
static struct kv_store *new_log(void)
{
    static const uint8_t null_batch[] = {0x82, 0x00, 0x80};
    struct kv_store *log = kv_store_new_memory(LOG_TABLE_COUNT);
    struct kv_batch *b = kv_batch_new();
    const struct digest digest = batch_digest(0, NULL, 0);
    static const uint64_t seqs[] = {1, 5, 6};
    log_put_view(b, 0);
    log_put_clean(b);
    for (size_t i = 0; i < sizeof seqs / sizeof *seqs; i++) {
        uint8_t key[40];
        be64_put(key, seqs[i]);
        memcpy(key + 8, digest.bytes, DIGEST_BYTES);
        kv_batch_put(b, LOG_TABLE_BATCHES, bytes_of(key, sizeof key), bytes_of(null_batch, sizeof null_batch));
    }
    const struct err e = kv_store_apply(log, b);
    CHECK(!err_is(&e));
    kv_batch_free(b);
    return log;
}

static void block_record(struct bytes in)
{
    uint8_t key[8];
    struct wire_stored_block stored;
    struct kv_store *log = new_log();
    struct buffer shown = {0};
    char *text = NULL;
    size_t len = 0;
    put(log, LOG_TABLE_BLOCKS, seq_key(key, 1), in);
    struct err e = log_get_block(log, 1, &stored);
    if (!err_is(&e)) reply_try(&stored);
    FILE *f = open_memstream(&text, &len);
    CHECK(f != NULL);
    e = export_ledger(log, f);
    CHECK(!err_is(&e) || e.code == ERR_CORRUPT);
    (void)fclose(f);
    free(text);
    e = export_show_block(log, 1, in.len % 2 == 0, &shown);
    CHECK(!err_is(&e) || e.code == ERR_CORRUPT);
    buffer_free(&shown);
    recover(log);
    kv_store_close(log);
}

static void log_record(enum log_table table, struct bytes key, struct bytes in)
{
    struct kv_store *log = new_log();
    put(log, table, key, in);
    recover(log);
    kv_store_close(log);
}

/* The batch of a vote whose digest is that of the bytes, so that they get past the digest. */
static void batch_record(struct bytes in)
{
    uint8_t key[40];
    uint8_t vote_key[8];
    const struct wire_group g = {.quorum = quorum_of(4), .members = members};
    const struct signature_checker none = {0};
    struct batch_view view = {.valid = false};
    struct wire_stored_vote vote = {.seq = 9, .digest = {{1}}};
    struct kv_store *log = new_log();
    if (batch_open(&g, none, in, &view) == NULL) vote.digest = view.digest;
    be64_put(key, 9);
    memcpy(key + 8, vote.digest.bytes, DIGEST_BYTES);
    put(log, LOG_TABLE_BATCHES, bytes_of(key, sizeof key), in);
    struct blob *record = wire_encode_blob(&wire_record_stored_vote, &vote);
    put(log, LOG_TABLE_VOTES, seq_key(vote_key, 9), blob_bytes(record));
    recover(log);
    blob_release(record);
    kv_store_close(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t key[8];
    if (size == 0) return 0;
    const struct bytes in = bytes_of(data + 1, size - 1);
    switch (data[0] % 9) {
    case 0: window(in); break;
    case 1: state_meta_record(in); break;
    case 2: registry_record(in); break;
    case 3: block_record(in); break;
    case 4: log_record(LOG_TABLE_META, bytes_of_text("stable"), in); break;
    case 5: log_record(LOG_TABLE_CERTIFICATES, seq_key(key, 5), in); break;
    case 6: log_record(LOG_TABLE_VOTES, seq_key(key, 6), in); break;
    case 7: batch_record(in); break;
    case 8: log_record(LOG_TABLE_META, bytes_of_text("view"), in); break;
    }
    return 0;
}
