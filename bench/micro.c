/* micro.c - what the parts cost, one after the other on one core, without a network: signatures, hashes, the codec, the core, the
 * state tree, commits. */
#include "bench/bench.h"
#include "bench/micro_core.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "crypto/digest.h"
#include "crypto/sign.h"
#include "ledger/app.h"
#include "ledger/state.h"
#include "wire/codec.h"
#include "wire/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECONDS_EACH 0.3
#define STATE_KEYS 20000u /* put between two checkpoints */
#define ROWS_MAX 32u

struct row {
    const char *name;
    const char *unit;
    double us;
};

struct micro {
    struct row rows[ROWS_MAX];
    uint32_t count;
    struct secret_key secret;
    struct public_key public;
    struct digest digest;
    struct signature signature;
    uint8_t *text;
    size_t text_len;
    struct blob *message;
    struct wire_list ops;
    char core_names[2][64];
};

static void add(struct micro *m, const char *name, const char *unit, double us)
{
    CHECK(m->count < ROWS_MAX);
    m->rows[m->count++] = (struct row){name, unit, us};
}

/* Calls it again and again; what each call takes. */
static double time_of(struct micro *m, void (*once)(struct micro *m))
{
    uint64_t count = 0;
    uint64_t taken;
    const uint64_t start = clock_monotonic_us();
    do { /* that of an interrupted program is shown to nobody */
        for (uint32_t i = 0; i < 16; i++)
            once(m);
        count += 16;
        taken = clock_monotonic_us() - start;
    } while ((double)taken < SECONDS_EACH * 1e6 && !bench_interrupted());
    return (double)taken / (double)count;
}

static void sign_once(struct micro *m)
{
    m->digest.bytes[0]++;
    sign_digest(&m->secret, &m->digest, &m->signature);
}

static void verify_once(struct micro *m)
{
    CHECK(sign_verify(&m->public, &m->digest, &m->signature));
}

static void hash_once(struct micro *m)
{
    struct hasher h;
    hasher_start_plain(&h);
    hasher_add(&h, m->text, m->text_len);
    hasher_finish(&h, &m->digest);
}

static void encode_once(struct micro *m)
{
    const struct wire_request request = {
        .client = m->public, .seq = 1, .expiry_ms = 1, .ops = m->ops, .signature = m->signature};
    if (m->message != NULL) blob_release(m->message);
    m->message = wire_encode_blob(&wire_record_request, &request);
}

static void decode_once(struct micro *m)
{
    struct wire_message out;
    CHECK(wire_decode(blob_bytes(m->message), &out) == NULL);
}

static void measure_codec(struct micro *m)
{
    uint8_t key[16] = {0};
    uint8_t space[2][512];
    struct writer args = writer_of(space[0], sizeof space[0]);
    struct writer items = writer_of(space[1], sizeof space[1]);
    struct wire_operation op = {.app = APP_KV, .verb = APP_KV_PUT};
    wire_list_add_bytes(&op.args, &args, bytes_of(key, sizeof key));
    wire_list_add_bytes(&op.args, &args, bytes_of(m->text, 256));
    wire_list_add(&m->ops, &items, &wire_record_operation, &op);
    CHECK(!args.overflow && !items.overflow);
    add(m, "encode a REQUEST, a put of 256 bytes", "message", time_of(m, encode_once));
    add(m, "decode it", "message", time_of(m, decode_once));
    blob_release(m->message);
}

/* Puts keys and closes the layer: the tree is hashed; then folds it into the store. */
static struct err measure_state(struct micro *m, struct kv_store *store, const char *name, const char *fold_name)
{
    struct state *s;
    uint64_t number = 0;
    uint64_t put_us = 0;
    uint64_t fold_us = 0;
    uint64_t layers = 0;
    ERR_TRY(state_open(store, &s));
    struct err e = err_none();
    while (!err_is(&e) && (layers < 2 || (double)(put_us + fold_us) < SECONDS_EACH * 1e6)) {
        e = bench_go_on();
        if (err_is(&e)) break;
        const uint64_t start = clock_monotonic_us();
        for (uint32_t i = 0; i < STATE_KEYS; i++) {
            uint8_t key[16] = {0};
            be64_put(key, number++);
            state_put(s, bytes_of(key, sizeof key), bytes_of(m->text, 256));
            state_accept(s);
        }
        (void)state_close_layer(s, ++layers);
        const uint64_t closed = clock_monotonic_us();
        e = state_fold(s, layers, bytes_of(m->text, 64));
        put_us += closed - start;
        fold_us += clock_monotonic_us() - closed;
    }
    state_close(s);
    if (err_is(&e)) return e;
    if (name != NULL) add(m, name, "key", (double)put_us / (double)number);
    add(m, fold_name, "key", (double)fold_us / (double)number);
    return e;
}

static struct err measure_states(struct micro *m, const char *dir)
{
    char path[PATH_MAX];
    struct kv_store *store = kv_store_new_memory(STATE_TABLE_COUNT);
    struct err e = measure_state(m, store, "put a key of 256 bytes, and hash the tree at the checkpoint",
                                 "fold it into a store in memory");
    kv_store_close(store);
    if (err_is(&e)) return e;
    (void)snprintf(path, sizeof path, "%s/state", dir);
    ERR_TRY(kv_store_open_lmdb(path, KV_OPEN_CREATE, state_table_names, STATE_TABLE_COUNT, 1u << 28, &store));
    e = measure_state(m, store, NULL, "fold it into LMDB, with its sync");
    kv_store_close(store);
    const char *const files[] = {"data.mdb", "lock.mdb"};
    for (uint32_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/state/%s", dir, files[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof path, "%s/state", dir);
    (void)rmdir(path);
    return e;
}

/* Of one of four replicas, without signatures, decoding and I/O. */
static void measure_core(struct micro *m)
{
    const struct micro_core_cost one = micro_core_measure(4, 1, SECONDS_EACH);
    const struct micro_core_cost many = micro_core_measure(4, 64, SECONDS_EACH);
    (void)snprintf(m->core_names[0], sizeof m->core_names[0], "core_step, %.1f events for a batch of %.1f",
                   one.event_count, one.batch_size);
    (void)snprintf(m->core_names[1], sizeof m->core_names[1], "core_step, %.1f events for a batch of %.1f",
                   many.event_count, many.batch_size);
    add(m, m->core_names[0], "transaction", one.request_us);
    add(m, m->core_names[1], "transaction", many.request_us);
}

static void show(const struct micro *m, const struct bench_options *o)
{
    if (o->form != BENCH_JSON) {
        for (uint32_t i = 0; i < m->count; i++)
            (void)printf("%-64s %10.3f us a %s\n", m->rows[i].name, m->rows[i].us, m->rows[i].unit);
        return;
    }
    json_t *object = show_envelope("micro");
    json_t *rows = json_array();
    for (uint32_t i = 0; i < m->count; i++)
        CHECK(json_array_append_new(rows, json_pack("{s:s, s:s, s:f}", "name", m->rows[i].name, "unit", m->rows[i].unit,
                                                    "us", m->rows[i].us)) == 0);
    CHECK(json_object_set_new(object, "results", rows) == 0);
    show_json(object);
}

static struct err measure_all(struct micro *m, const char *dir)
{
    struct floor_cost f;
    sign_key_new(&m->secret, &m->public);
    add(m, "Ed25519 sign a digest", "signature", time_of(m, sign_once));
    add(m, "Ed25519 verify", "signature", time_of(m, verify_once));
    m->text_len = 64;
    add(m, "SHA-256 of 64 bytes", "hash", time_of(m, hash_once));
    m->text_len = 1024;
    add(m, "SHA-256 of 1 KiB", "hash", time_of(m, hash_once));
    m->text_len = 65536;
    add(m, "SHA-256 of 64 KiB", "hash", time_of(m, hash_once));
    measure_codec(m);
    ERR_TRY(bench_go_on());
    measure_core(m);
    ERR_TRY(measure_states(m, dir));
    ERR_TRY(bench_go_on());
    ERR_TRY(floor_measure(dir, 4, 4 * SECONDS_EACH, &f));
    add(m, "Ed25519 verify, every core busy with it", "signature", f.verify_us);
    add(m, "LMDB commit of 1 KiB", "commit", f.sync_one_us);
    add(m, "LMDB commit of 1 KiB, four at once", "commit", f.sync_all_us);
    return err_none();
}

struct err micro_run(const struct bench_options *o)
{
    char dir[PATH_MAX];
    struct micro m = {.text = mem_zero(1, 65536)};
    const int wanted = snprintf(dir, sizeof dir, "%s/pbft-bench-XXXXXX", o->dir);
    if (wanted < 0 || (size_t)wanted >= sizeof dir || mkdtemp(dir) == NULL) {
        free(m.text);
        return err_make(ERR_IO, "cannot make a directory in %s; give another --dir", o->dir);
    }
    const struct err e = measure_all(&m, dir);
    if (!err_is(&e)) show(&m, o);
    secret_key_wipe(&m.secret);
    free(m.text);
    (void)rmdir(dir);
    return e;
}
