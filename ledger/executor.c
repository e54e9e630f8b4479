/* executor.c - executing batches.
 *
 * State keys of the ledger itself are under application number 0:
 *   'c' key(32)   client_record: role, number, window
 * What is not in the state but follows from it and the blocks (last header, history frontier) is stored beside each
 * checkpoint in state_meta.
 *
 * Windows are kept decoded in memory, where everybody looks; those that changed since the last checkpoint are written
 * to the state when the next one is closed, so that its root covers them. */
#include "ledger/executor.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define CLIENT_KEY_BYTES 35u

/* Where execution stood at a checkpoint whose layer is not folded yet. */
struct mark {
    uint64_t seq;
    struct digest root;
    struct wire_header header;
    struct merkle_frontier history;
};

struct executor {
    struct state *state;
    const struct group *group;
    struct wire_group wire; /* id and epoch only */
    uint64_t executed;
    struct wire_header header;
    struct digest header_hash;
    struct merkle_frontier history;
    uint64_t base;
    struct digest base_root;
    struct mark marks[STATE_LAYERS_MAX];
    uint32_t mark_count;
    struct client_window *windows; /* by client number */
    bool *touched;                 /* since the last checkpoint */
};

/* ---- client keys ---- */

static struct bytes client_key(uint8_t space[CLIENT_KEY_BYTES], const struct public_key *key)
{
    space[0] = 0;
    space[1] = APP_SYSTEM;
    space[2] = 'c';
    memcpy(space + 3, key->bytes, PUBLIC_KEY_BYTES);
    return bytes_of(space, CLIENT_KEY_BYTES);
}

static void store_window(struct state *s, const struct public_key *key, const struct client_window *w)
{
    uint8_t space[CLIENT_KEY_BYTES];
    struct buffer record = {0};
    window_encode(w, &record);
    state_put(s, client_key(space, key), bytes_of(record.data, record.len));
    buffer_free(&record);
}

uint32_t executor_client(const struct executor *e, const struct public_key *key)
{
    const int index = group_client_by_key(e->group, key);
    return index < 0 ? UINT32_MAX : (uint32_t)index;
}

uint32_t executor_client_count(const struct executor *e)
{
    return e->group->client_count;
}

/* ---- meta ---- */

static void encode_meta(const struct mark *m, struct buffer *out)
{
    uint8_t space[MERKLE_PATH_MAX * 34u];
    struct writer nodes = writer_of(space, sizeof space);
    struct wire_state_meta meta = {
        .seq = m->seq, .state_root = m->root, .header = m->header, .history_count = m->history.count};
    for (uint32_t i = 0; i < merkle_frontier_nodes(&m->history); i++)
        wire_list_add_digest(&meta.history, &nodes, &m->history.nodes[i]);
    CHECK(!nodes.overflow);
    const size_t size = wire_record_size(&wire_record_state_meta, &meta);
    struct writer w = writer_of(buffer_reserve(out, size), size);
    wire_encode_record(&wire_record_state_meta, &meta, &w);
    out->len += w.len;
}

static struct err load_meta(struct executor *e)
{
    struct bytes raw;
    struct wire_state_meta meta;
    struct err error = state_meta(e->state, &raw);
    if (error.code == ERR_NOT_FOUND) error.code = ERR_CORRUPT; /* init writes one */
    if (err_is(&error)) return error;
    if (wire_decode_record(&wire_record_state_meta, raw, &meta) != NULL)
        return err_make(ERR_CORRUPT, "the state's meta record does not decode; restore this replica from its peers");
    struct merkle_frontier history = {.count = meta.history_count};
    if (meta.history.count != merkle_frontier_nodes(&history))
        return err_make(ERR_CORRUPT, "the state's meta record has a history of the wrong size");
    struct wire_iterator i = wire_list_start(meta.history);
    for (uint32_t k = 0; k < meta.history.count; k++)
        if (!wire_list_next_digest(&i, &history.nodes[k])) return err_make(ERR_CORRUPT, "the history does not decode");
    if (meta.header.seq != meta.seq || meta.header.first_index + meta.header.count != meta.history_count)
        return err_make(ERR_CORRUPT, "the state's meta record contradicts the header in it");
    const struct digest root = state_root(e->state);
    if (!digest_equal(&root, &meta.state_root))
        return err_make(ERR_CORRUPT, "the state tree's root is not the one its meta record names");
    e->executed = meta.seq;
    e->base = meta.seq;
    e->base_root = root;
    e->header = meta.header;
    if (meta.seq > 0) e->header_hash = header_hash(&meta.header);
    e->history = history;
    return err_none();
}

struct err executor_init(struct kv_store *store, const struct group *g)
{
    struct state *s;
    ERR_TRY(state_open(store, &s));
    struct client_window *w = mem_zero(1, sizeof *w);
    for (uint32_t i = 0; i < g->client_count; i++) {
        w->role = g->clients[i].role;
        w->number = i;
        store_window(s, &g->clients[i].key, w);
    }
    free(w);
    state_accept(s);
    struct mark genesis = {.seq = 0};
    struct buffer meta = {0};
    genesis.root = state_close_layer(s, 0);
    encode_meta(&genesis, &meta);
    struct err e = state_fold(s, 0, bytes_of(meta.data, meta.len));
    buffer_free(&meta);
    state_close(s);
    return e;
}

static struct err load_windows(struct executor *e)
{
    uint8_t space[CLIENT_KEY_BYTES];
    struct bytes value;
    struct err fault;
    for (uint32_t i = 0; i < e->group->client_count; i++) {
        const struct public_key *key = &e->group->clients[i].key;
        if (!state_get(e->state, client_key(space, key), &value)) {
            if (state_fault(e->state, &fault)) return fault;
            return err_make(ERR_CONFIG,
                            "client %s of the group file is not in this ledger's registry: this is the data "
                            "directory of another group",
                            e->group->clients[i].name);
        }
        if (!window_decode(value, &e->windows[i]) || e->windows[i].number != i)
            return err_make(ERR_CORRUPT, "the window of client %s does not decode", e->group->clients[i].name);
    }
    return err_none();
}

struct err executor_open(struct kv_store *store, const struct group *g, struct executor **out)
{
    struct executor *e = mem_zero(1, sizeof *e);
    e->group = g;
    e->wire.id = g->id;
    e->windows = mem_zero(g->client_count + 1u, sizeof *e->windows);
    e->touched = mem_zero(g->client_count + 1u, sizeof *e->touched);
    struct err result = state_open(store, &e->state);
    if (!err_is(&result)) result = load_meta(e);
    if (!err_is(&result)) result = load_windows(e);
    if (err_is(&result)) {
        executor_close(e);
        return result;
    }
    *out = e;
    return err_none();
}

void executor_close(struct executor *e)
{
    if (e == NULL) return;
    if (e->state != NULL) state_close(e->state);
    free(e->windows);
    free(e->touched);
    free(e);
}

void executed_block_free(struct executed_block *b)
{
    if (b == NULL) return;
    executed_block_free_tree(b);
    buffer_free(&b->entries);
    free(b->requests);
    free(b);
}

void executed_block_free_tree(struct executed_block *b)
{
    merkle_levels_free(&b->tree);
}

struct wire_list executed_block_entries(const struct executed_block *b)
{
    return (struct wire_list){.items = bytes_of(b->entries.data, b->entries.len), .count = b->entry_count};
}

/* ---- one batch ---- */

struct run {
    struct executor *e;
    struct executed_block *block;
    uint64_t first_index;
    uint64_t time_ms;
    size_t result_bytes; /* of all results so far; bounded by BLOCK_RESULT_BYTES_MAX */
    size_t read_bytes;   /* charged so far; bounded by BLOCK_READ_BYTES_MAX */
    struct buffer leaves; /* a digest for each entry */
};

static void add_entry(struct run *r, const struct digest *request, uint32_t operation, const struct digest *transaction,
                      enum outcome outcome, struct bytes result)
{
    if (result.len > BLOCK_RESULT_BYTES_MAX - r->result_bytes) result.len = 0; /* small texts and indexes, in the end */
    const struct wire_entry entry = {.request_digest = *request,
                                     .operation = operation,
                                     .transaction = *transaction,
                                     .outcome = outcome,
                                     .result = result};
    const size_t size = wire_record_size(&wire_record_entry, &entry);
    uint8_t *at = buffer_reserve(&r->block->entries, size);
    struct writer w = writer_of(at, size);
    wire_encode_record(&wire_record_entry, &entry, &w);
    CHECK(!w.overflow && w.len == size);
    r->block->entries.len += size;
    r->block->entry_count++;
    const struct digest leaf = merkle_leaf(bytes_of(at, size));
    buffer_append(&r->leaves, &leaf, sizeof leaf);
    merkle_frontier_append(&r->e->history, &leaf);
    r->result_bytes += result.len;
}

/* Runs one operation within what is left of the block's room for results: the same on every replica. An operation that
 * returns data is charged before it runs, and one whose result no longer fits uses the room up, so that a block cannot be
 * filled with work whose results are thrown away. */
static void run_within_budget(struct run *r, const struct app *app, struct app_state *space,
                              const struct app_context *context, const struct wire_operation *op,
                              struct app_result *result)
{
    const uint32_t cost = app->cost(op);
    const size_t left = BLOCK_READ_BYTES_MAX - r->read_bytes;
    if (cost > left) return; /* refused without running */
    app->execute(space, context, op, result);
    const size_t charge = cost == 0 || result->value.len < cost ? cost : result->value.len;
    if (result->value.len <= RESULT_BYTES_MAX && charge <= left) {
        r->read_bytes += charge;
        return;
    }
    r->read_bytes = BLOCK_READ_BYTES_MAX;
    result->outcome = OUTCOME_REFUSED;
    result->value.len = 0;
}

static void run_operation(struct run *r, const struct wire_request *q, const struct digest *request,
                          const struct digest *transaction, uint32_t number, const struct wire_operation *op)
{
    const struct app *app = app_by_number(op->app);
    struct app_state space = {.state = r->e->state, .app = (uint16_t)op->app};
    struct app_result result = {.outcome = OUTCOME_REFUSED};
    const struct app_context context = {.time_ms = r->time_ms,
                                        .client = q->client,
                                        .block = r->block->header.seq,
                                        .index = r->first_index + r->block->entry_count};
    run_within_budget(r, app, &space, &context, op, &result);
    if (result.outcome == OUTCOME_REFUSED)
        state_reject(r->e->state);
    else
        state_accept(r->e->state);
    add_entry(r, request, number, transaction, result.outcome, bytes_of(result.value.data, result.value.len));
    buffer_free(&result.value);
}

/* NULL when this client may have these operations executed; else why not. */
static const char *refusal(const struct client_window *w, const struct wire_request *q)
{
    struct wire_iterator i = wire_list_start(q->ops);
    struct wire_operation op;
    while (wire_list_next(&i, &wire_record_operation, &op)) {
        const struct app *app = app_by_number(op.app);
        if (app == NULL) return "no such application";
        const char *fault = app->check(&op);
        if (fault != NULL) return fault;
        if (w->role == GROUP_ROLE_READER && app->writes(&op)) return "a reader may not write";
    }
    return NULL;
}

static void execute_new(struct run *r, const struct wire_request *q, const struct digest *leaf,
                        struct executed_request *done)
{
    struct client_window *w = &r->e->windows[done->client];
    struct wire_window_slot slot = {.seq = q->seq,
                                    .transaction = done->transaction,
                                    .outcome = OUTCOME_OK,
                                    .block = r->block->header.seq,
                                    .first_index = r->first_index + r->block->entry_count};
    const char *reason = refusal(w, q);
    done->first = r->block->entry_count;
    if (r->time_ms > q->expiry_ms) {
        slot.outcome = OUTCOME_EXPIRED;
        add_entry(r, leaf, 0, &done->transaction, OUTCOME_EXPIRED, bytes_of(NULL, 0));
    } else if (reason != NULL) {
        slot.outcome = OUTCOME_REFUSED;
        add_entry(r, leaf, 0, &done->transaction, OUTCOME_REFUSED, bytes_of_text(reason));
    } else {
        struct wire_iterator i = wire_list_start(q->ops);
        struct wire_operation op;
        for (uint32_t k = 0; wire_list_next(&i, &wire_record_operation, &op); k++)
            run_operation(r, q, leaf, &done->transaction, k, &op);
    }
    done->count = r->block->entry_count - done->first;
    slot.count = done->count;
    window_settle(w, &slot);
    r->e->touched[done->client] = true;
}

static struct err execute_request(struct run *r, struct bytes raw, struct executed_request *done)
{
    struct wire_message m;
    const char *fault = wire_decode(raw, &m);
    if (fault != NULL || m.type != WIRE_TYPE_request)
        return err_make(ERR_CORRUPT, "a request in batch %llu does not decode: %s",
                        (unsigned long long)r->block->header.seq, fault == NULL ? "not a request" : fault);
    const struct digest leaf = merkle_leaf(raw);
    done->client = executor_client(r->e, &m.request.client);
    done->seq = m.request.seq;
    done->transaction = wire_signing_digest(&r->e->wire.id, m.signed_part);
    done->verdict = WINDOW_OUTSIDE;
    if (done->client == UINT32_MAX) return err_none(); /* unknown: no effect, no entry */
    struct client_window *w = &r->e->windows[done->client];
    done->verdict = window_judge(w, done->seq, &done->transaction);
    if (done->verdict == WINDOW_NEW) execute_new(r, &m.request, &leaf, done);
    if (done->verdict == WINDOW_SAME) done->earlier = *window_find(w, done->seq);
    return err_none();
}

/* The tree of the entries, and its root. */
static struct digest build_tree(struct run *r)
{
    static const struct merkle_frontier nothing;
    if (r->block->entry_count == 0) return merkle_frontier_root(&nothing);
    merkle_levels_build(&r->block->tree, (const struct digest *)(const void *)r->leaves.data, r->block->entry_count);
    return merkle_levels_root(&r->block->tree);
}

static void finish_header(struct run *r, const struct digest *digest)
{
    struct executor *e = r->e;
    struct wire_header *h = &r->block->header;
    h->version = HEADER_VERSION;
    h->epoch = e->wire.epoch;
    h->configuration = e->group->configuration;
    h->time_ms = r->time_ms;
    h->batch_digest = *digest;
    h->entries_root = build_tree(r);
    h->first_index = r->first_index;
    h->count = r->block->entry_count;
    h->history_root = merkle_frontier_root(&e->history);
    h->previous = e->header_hash;
    r->block->header_hash = header_hash(h);
    e->header = *h;
    e->header_hash = r->block->header_hash;
    e->executed = h->seq;
}

static void store_windows(struct executor *e)
{
    for (uint32_t c = 0; c < e->group->client_count; c++) {
        if (!e->touched[c]) continue;
        store_window(e->state, &e->group->clients[c].key, &e->windows[c]); /* rule 22 */
        e->touched[c] = false;
    }
    state_accept(e->state);
}

static void close_checkpoint(struct executor *e, struct executed_block *block)
{
    store_windows(e);
    CHECK_OP(e->mark_count, <, STATE_LAYERS_MAX);
    struct mark *m = &e->marks[e->mark_count++];
    m->seq = e->executed;
    m->root = state_close_layer(e->state, e->executed);
    m->header = e->header;
    m->history = e->history;
    block->checkpoint = true;
    block->state_root = m->root;
}

struct err executor_execute(struct executor *e, uint64_t seq, struct bytes batch, const struct digest *digest,
                            struct executed_block **out)
{
    struct wire_batch b;
    struct err result = err_none();
    CHECK_OP(seq, ==, e->executed + 1); /* in order, never across a gap */
    if (seq % CHECKPOINT_INTERVAL == 0 && state_layers_waiting(e->state) == STATE_LAYERS_MAX - 1)
        return err_make(ERR_NO_SPACE, "%u checkpoints wait to be written to the state; batch %llu waits for that",
                        STATE_LAYERS_MAX - 1, (unsigned long long)seq);
    const char *fault = wire_decode_record(&wire_record_batch, batch, &b);
    if (fault != NULL) return err_make(ERR_CORRUPT, "batch %llu does not decode: %s", (unsigned long long)seq, fault);
    struct executed_block *block = mem_zero(1, sizeof *block);
    struct run run = {.e = e, .block = block, .first_index = e->history.count, .time_ms = b.time_ms};
    /* A NEW-VIEW carries batches over from different views, and null batches: time stands still rather than go back. */
    if (b.time_ms < e->header.time_ms) run.time_ms = e->header.time_ms;
    block->header.seq = seq;
    block->requests = mem_zero(b.requests.count + 1u, sizeof *block->requests);
    struct wire_iterator i = wire_list_start(b.requests);
    struct bytes raw;
    while (!err_is(&result) && wire_list_next_bytes(&i, &raw))
        result = execute_request(&run, raw, &block->requests[block->request_count++]);
    if (!err_is(&result)) {
        finish_header(&run, digest);
        if (seq % CHECKPOINT_INTERVAL == 0) close_checkpoint(e, block);
        struct err broken;
        if (executor_fault(e, &broken)) result = broken;
    }
    buffer_free(&run.leaves);
    if (err_is(&result)) {
        executed_block_free(block);
        return result;
    }
    *out = block;
    return err_none();
}

struct err executor_fold(struct executor *e, uint64_t seq)
{
    while (e->mark_count > 0 && e->marks[0].seq <= seq) {
        struct buffer meta = {0};
        encode_meta(&e->marks[0], &meta);
        struct err result = state_fold(e->state, e->marks[0].seq, bytes_of(meta.data, meta.len));
        buffer_free(&meta);
        if (err_is(&result)) return result;
        e->base = e->marks[0].seq;
        e->base_root = e->marks[0].root;
        e->mark_count--;
        memmove(&e->marks[0], &e->marks[1], sizeof e->marks[0] * e->mark_count);
    }
    return err_none();
}

/* ---- looking ---- */

uint64_t executor_executed(const struct executor *e)
{
    return e->executed;
}

struct wire_header executor_header(const struct executor *e)
{
    return e->header;
}

uint64_t executor_entries(const struct executor *e)
{
    return e->history.count;
}

uint64_t executor_base(const struct executor *e)
{
    return e->base;
}

struct digest executor_base_root(const struct executor *e)
{
    return e->base_root;
}

struct err executor_base_meta(struct executor *e, struct bytes *out)
{
    return state_meta(e->state, out);
}

bool executor_fault(const struct executor *e, struct err *out)
{
    return state_fault(e->state, out);
}

const struct client_window *executor_window(const struct executor *e, uint32_t client)
{
    return client < e->group->client_count ? &e->windows[client] : NULL;
}

struct err executor_base_prove(struct executor *e, struct bytes key, bool *found, struct bytes *value,
                               struct state_proof *proof)
{
    struct err fault;
    *found = state_base_get(e->state, key, value);
    if (state_fault(e->state, &fault)) return fault;
    return state_prove(e->state, key, proof);
}

void executor_query(struct executor *e, const struct wire_operation *op, struct app_result *result)
{
    const struct app *app = app_by_number(op->app);
    struct app_state space = {.state = e->state, .app = (uint16_t)op->app};
    const char *fault = app == NULL ? "no such application" : app->check(op);
    if (fault == NULL && app->writes(op)) fault = "this operation writes: submit it as a transaction";
    result->outcome = OUTCOME_REFUSED;
    if (fault == NULL)
        app->query(&space, op, result);
    else
        buffer_append(&result->value, fault, strlen(fault));
}
