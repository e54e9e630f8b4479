/* state.c - the layers of the state: pending writes, the current layer, closed layers, the base; and their life from a
 * batch to the durable checkpoint.
 *
 * layers[0 .. closed) are the closed ones, oldest first, and layers[closed] is the current one. Each has a map of data
 * and a map of tree nodes; a tombstone in either says "not there, whatever is below". A layer's tree nodes are made
 * when it is closed. The base changes in state_fold only, by one batch, so it is always exactly at one checkpoint. A
 * store that fails sets `fault`, for good; from then on answers mean nothing and nothing is written to the store.
 */
#include "ledger/state.h"

#include "base/check.h"
#include "base/limits.h"
#include "ledger/map.h"
#include "ledger/state_proof.h"
#include "ledger/state_tree.h"

#include <stdlib.h>
#include <string.h>

const char *const state_table_names[STATE_TABLE_COUNT] = {"data", "tree", "meta"};

#define META_KEY "meta"

_Static_assert(STATE_KEY_BYTES_MAX + 1 <= 511, "a key and one more byte can be sought in the store");

struct layer {
    struct arena *arena; /* of data, and of what is pending above it */
    struct map *data;
    struct tree_nodes *tree;
    uint64_t seq;       /* of a closed layer */
    struct digest root; /* of a closed layer */
};

struct state {
    struct kv_store *store;
    struct map *pending;
    struct layer layers[STATE_LAYERS_MAX];
    uint32_t closed;
    struct digest base_root;
    struct err fault;
};

static struct layer layer_new(void)
{
    struct arena *arena = arena_new();
    return (struct layer){.arena = arena, .data = map_new_in(arena), .tree = tree_nodes_new()};
}

static void layer_free(struct layer *l)
{
    map_free(l->data);
    tree_nodes_free(l->tree);
    arena_free(l->arena);
    *l = (struct layer){0};
}

static void begin_layer(struct state *s, uint32_t index)
{
    s->layers[index] = layer_new();
    s->pending = map_new_in(s->layers[index].arena);
}

struct err state_open(struct kv_store *store, struct state **out)
{
    static const struct digest top;
    const struct state_tree_source base = {.store = store};
    struct state_node node;
    ERR_TRY(state_tree_read(&base, 0, &top, NULL, &node));
    struct state *s = mem_zero(1, sizeof *s);
    s->store = store;
    begin_layer(s, 0);
    s->base_root = state_node_hash(&node);
    *out = s;
    return err_none();
}

void state_close(struct state *s)
{
    if (s == NULL) return;
    map_free(s->pending);
    for (uint32_t i = 0; i <= s->closed; i++)
        layer_free(&s->layers[i]);
    free(s);
}

/* ---- data ---- */

bool state_fault(const struct state *s, struct err *out)
{
    if (!err_is(&s->fault)) return false;
    *out = s->fault;
    return true;
}

/* Keeps the first fault. */
static void state_fail(struct state *s, struct err e)
{
    if (!err_is(&s->fault)) s->fault = e;
}

/* The data maps from the top down: pending, then the layers, newest first. */
static uint32_t state_overlays(const struct state *s, const struct map *out[STATE_LAYERS_MAX + 1])
{
    uint32_t count = 0;
    out[count++] = s->pending;
    for (uint32_t i = s->closed + 1; i > 0; i--)
        out[count++] = s->layers[i - 1].data;
    return count;
}

bool state_get(struct state *s, struct bytes key, struct bytes *value)
{
    const struct map *overlays[STATE_LAYERS_MAX + 1];
    const uint32_t overlay_count = state_overlays(s, overlays);
    struct map_item item;
    for (uint32_t i = 0; i < overlay_count; i++) {
        if (!map_get(overlays[i], key, &item)) continue;
        if (!item.tombstone) *value = item.value;
        return !item.tombstone;
    }
    return state_base_get(s, key, value);
}

void state_put(struct state *s, struct bytes key, struct bytes value)
{
    CHECK_OP(key.len, >=, 1);
    CHECK_OP(key.len, <=, STATE_KEY_BYTES_MAX);
    CHECK_OP(value.len, <=, STATE_VALUE_BYTES_MAX);
    map_put(s->pending, key, value);
}

void state_delete(struct state *s, struct bytes key)
{
    CHECK_OP(key.len, >=, 1);
    CHECK_OP(key.len, <=, STATE_KEY_BYTES_MAX);
    map_put_tombstone(s->pending, key);
}

/* The smallest key >= from over all layers, as the topmost layer that has it sees it. */
static bool state_seek_any(struct state *s, struct bytes from, struct map_item *out)
{
    const struct map *overlays[STATE_LAYERS_MAX + 1];
    const uint32_t overlay_count = state_overlays(s, overlays);
    struct map_item best = {.tombstone = false};
    struct map_item item = {.tombstone = false};
    bool any = false;
    const enum kv_found found = kv_store_seek(s->store, STATE_TABLE_DATA, from, &item.key, &item.value);
    if (found == KV_FAILED) {
        state_fail(s, kv_store_fault(s->store));
        return false;
    }
    if (found == KV_FOUND) {
        best = item;
        any = true;
    }
    /* From the bottom up, so that of equal keys the upper one wins. */
    for (uint32_t i = overlay_count; i > 0; i--) {
        if (!map_seek(overlays[i - 1], from, &item)) continue;
        if (any && bytes_compare(item.key, best.key) > 0) continue;
        best = item;
        any = true;
    }
    if (any) *out = best;
    return any;
}

bool state_seek(struct state *s, struct bytes from, struct bytes *key, struct bytes *value)
{
    uint8_t next[STATE_KEY_BYTES_MAX + 1];
    struct map_item item;
    while (state_seek_any(s, from, &item)) {
        if (!item.tombstone) {
            *key = item.key;
            *value = item.value;
            return true;
        }
        /* Deleted: go on at the smallest key above it. */
        memcpy(next, item.key.data, item.key.len);
        next[item.key.len] = 0;
        from = bytes_of(next, item.key.len + 1);
    }
    return false;
}

void state_accept(struct state *s)
{
    while (map_move_one(s->pending, s->layers[s->closed].data))
        ;
}

void state_reject(struct state *s)
{
    map_clear(s->pending);
}

/* ---- checkpoints ---- */

/* The changed keys of a layer as changes of the tree; the caller frees them. NULL when there are none. */
static struct state_tree_change *layer_changes(const struct layer *l, size_t *count)
{
    struct map_item item;
    *count = 0;
    if (map_count(l->data) == 0) return NULL;
    struct state_tree_change *changes = mem_zero(map_count(l->data), sizeof *changes);
    bool more = map_seek(l->data, bytes_of(NULL, 0), &item);
    while (more) {
        struct state_tree_change *c = &changes[(*count)++];
        c->key = item.key;
        c->path = state_path_of(item.key);
        c->remove = item.tombstone;
        if (!item.tombstone) c->value = state_value_digest(item.value);
        more = map_next(&item);
    }
    return changes;
}

struct digest state_close_layer(struct state *s, uint64_t seq)
{
    struct layer *current = &s->layers[s->closed];
    struct state_tree_source below = {.store = s->store};
    size_t count;
    CHECK(map_count(s->pending) == 0);
    CHECK_OP(s->closed, <, STATE_LAYERS_MAX - 1);
    CHECK(s->closed == 0 || s->layers[s->closed - 1].seq < seq);
    for (uint32_t i = s->closed; i > 0; i--)
        below.overlays[below.overlay_count++] = s->layers[i - 1].tree;
    current->seq = seq;
    current->root = state_root(s);
    struct state_tree_change *changes = layer_changes(current, &count);
    struct digest root;
    const struct err e = state_tree_update(&below, changes, count, current->tree, &root);
    if (err_is(&e))
        state_fail(s, e);
    else
        current->root = root;
    free(changes);
    map_free(s->pending);
    begin_layer(s, ++s->closed);
    return s->layers[s->closed - 1].root;
}

static void fold_data(const struct map *m, struct kv_batch *b)
{
    struct map_item item;
    for (bool more = map_seek(m, bytes_of(NULL, 0), &item); more; more = map_next(&item)) {
        if (item.tombstone)
            kv_batch_delete_lent(b, STATE_TABLE_DATA, item.key);
        else
            kv_batch_put_lent(b, STATE_TABLE_DATA, item.key, item.value);
    }
}

struct err state_fold(struct state *s, uint64_t seq, struct bytes meta_value)
{
    CHECK_OP(s->closed, >=, 1);
    CHECK_OP(s->layers[0].seq, ==, seq);
    if (err_is(&s->fault)) return s->fault;
    struct kv_batch *b = kv_batch_new();
    fold_data(s->layers[0].data, b);
    tree_nodes_fold(s->layers[0].tree, b, STATE_TABLE_TREE);
    kv_batch_put(b, STATE_TABLE_META, bytes_of_text(META_KEY), meta_value);
    const struct err e = kv_store_apply(s->store, b);
    kv_batch_free(b);
    if (err_is(&e)) return e;
    s->base_root = s->layers[0].root;
    layer_free(&s->layers[0]);
    memmove(&s->layers[0], &s->layers[1], s->closed * sizeof s->layers[0]);
    s->layers[s->closed] = (struct layer){0};
    s->closed--;
    return err_none();
}

struct err state_meta(struct state *s, struct bytes *out)
{
    switch (kv_store_get(s->store, STATE_TABLE_META, bytes_of_text(META_KEY), out)) {
    case KV_FOUND: return err_none();
    case KV_ABSENT: return err_make(ERR_NOT_FOUND, "the state store holds no checkpoint yet");
    case KV_FAILED: return kv_store_fault(s->store);
    }
    CHECK(!"state_meta: result outside the enumeration");
    return err_none();
}

uint32_t state_layers_waiting(const struct state *s)
{
    return s->closed;
}

struct digest state_root(const struct state *s)
{
    return s->closed == 0 ? s->base_root : s->layers[s->closed - 1].root;
}

uint64_t state_overlay_bytes(const struct state *s)
{
    uint64_t total = map_bytes(s->pending);
    for (uint32_t i = 0; i <= s->closed; i++)
        total += map_bytes(s->layers[i].data) + tree_nodes_bytes(s->layers[i].tree);
    return total;
}

bool state_base_get(struct state *s, struct bytes key, struct bytes *value)
{
    const enum kv_found found = kv_store_get(s->store, STATE_TABLE_DATA, key, value);
    if (found == KV_FAILED) state_fail(s, kv_store_fault(s->store));
    return found == KV_FOUND;
}

struct err state_prove(struct state *s, struct bytes key, struct state_proof *out)
{
    return state_proof_make(s->store, key, out);
}
