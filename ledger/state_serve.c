/* state_serve.c - answering questions about the state: a partial tree from the root, written in preorder.
 *
 * One walk, depth first and left to right, with an explicit stack. Above a place that is asked for the tree is opened,
 * whatever it costs (a path is as long as the tree is deep); elsewhere a subtree is one hash. Below the place it is
 * opened until the answer is large enough: `whole` down to keys and values, otherwise COMPARE_LEVELS further, leaves by
 * their digests.
 */
#include "base/check.h"
#include "ledger/state_transfer.h"
#include "ledger/state_tree.h"

#include <stdlib.h>
#include <string.h>

#define COMPARE_LEVELS 6u

enum serve_mode { SERVE_ABOVE, SERVE_COMPARE, SERVE_WHOLE };

/* A subtree still to be written. Its places are [begin, end) of the sorted list. */
struct pending {
    uint32_t depth;
    struct digest path;
    struct digest hash;
    uint32_t begin;
    uint32_t end;
    enum serve_mode mode;
    uint32_t levels; /* COMPARE: still to be opened */
};

struct serving {
    struct state_tree_source source;
    struct state_place *places; /* STATE_ASK_MAX */
    struct pending *stack;      /* at most one for each level, and the root */
    uint32_t stacked;
    struct buffer *items;
    size_t begin_bytes;
    uint32_t count;
};

/* The places, sorted by path, bits below their depth being zero. */
static uint32_t read_places(const struct wire_state_ask *ask, struct state_place out[STATE_ASK_MAX])
{
    struct wire_iterator i = wire_list_start(ask->positions);
    struct wire_state_position p;
    uint32_t count = 0;
    while (count < STATE_ASK_MAX && wire_list_next(&i, &wire_record_state_position, &p)) {
        struct state_place *to = &out[count++];
        *to = (struct state_place){.depth = (uint32_t)p.depth, .whole = p.whole != 0};
        memcpy(to->path.bytes, p.prefix.data,
               p.prefix.len < (to->depth + 7u) / 8u ? p.prefix.len : (to->depth + 7u) / 8u);
        if (to->depth % 8u != 0) to->path.bytes[to->depth / 8u] &= (uint8_t)(0xffu << (8u - to->depth % 8u));
    }
    qsort(out, count, sizeof *out, state_place_compare);
    return count;
}

static void put_item(struct serving *s, enum state_item_kind kind, struct bytes first, struct bytes second)
{
    const struct wire_state_item item = {.kind = kind, .first = first, .second = second};
    const size_t size = wire_record_size(&wire_record_state_item, &item);
    struct writer w = writer_of(buffer_reserve(s->items, size), size);
    wire_encode_record(&wire_record_state_item, &item, &w);
    CHECK(!w.overflow && w.len == size);
    s->items->len += size;
    s->count++;
}

static struct bytes digest_bytes(const struct digest *d)
{
    return bytes_of(d->bytes, DIGEST_BYTES);
}

/* Places in [begin, end) that stand exactly here, or begin with a shallower depth that was passed: they decide the
 * mode. */
static void enter_places(const struct serving *s, struct pending *p)
{
    while (p->begin < p->end && s->places[p->begin].depth <= p->depth) {
        const struct state_place *asked = &s->places[p->begin++];
        if (asked->whole) {
            p->mode = SERVE_WHOLE;
        } else if (p->mode != SERVE_WHOLE) {
            p->mode = SERVE_COMPARE;
            p->levels = COMPARE_LEVELS;
        }
    }
}

static bool wants_whole(const struct serving *s, const struct pending *p)
{
    for (uint32_t i = p->begin; i < p->end; i++)
        if (s->places[i].whole) return true;
    return p->mode == SERVE_WHOLE;
}

/* A leaf with its value, checked against the tree: neither is sent on when they do not belong together. */
static struct err put_leaf(struct serving *s, const struct state_node *leaf)
{
    struct bytes value;
    const struct digest path = state_path_of(leaf->key);
    if (!digest_equal(&path, &leaf->first))
        return err_make(ERR_CORRUPT, "state tree: a leaf names another key than that of its path");
    const enum kv_found found = kv_store_get(s->source.store, STATE_TABLE_DATA, leaf->key, &value);
    if (found == KV_FAILED) return kv_store_fault(s->source.store);
    if (found == KV_ABSENT) return err_make(ERR_CORRUPT, "state: a key that the tree names has no value");
    const struct digest digest = state_value_digest(value);
    if (!digest_equal(&digest, &leaf->second))
        return err_make(ERR_CORRUPT, "state: the value of a key is not the one that the tree names");
    put_item(s, STATE_ITEM_LEAF, leaf->key, value);
    return err_none();
}

static void push_child(struct serving *s, const struct pending *above, const struct state_node *node, uint32_t side,
                       uint32_t middle)
{
    struct pending *p = &s->stack[s->stacked++];
    *p = (struct pending){.depth = above->depth + 1,
                          .path = above->path,
                          .hash = side == 0 ? node->first : node->second,
                          .begin = side == 0 ? above->begin : middle,
                          .end = side == 0 ? middle : above->end,
                          .mode = above->mode,
                          .levels = above->levels > 0 ? above->levels - 1 : 0};
    if (side == 1) p->path.bytes[above->depth / 8u] |= (uint8_t)(0x80u >> above->depth % 8u);
}

/* True when the subtree is not opened: nobody asked, or the answer is large enough. */
static bool is_closed(const struct serving *s, const struct pending *p)
{
    if (s->count + s->stacked + 3u > STATE_PIECE_ITEMS_MAX) return true;
    if (p->begin < p->end) return false; /* above a place */
    if (p->mode == SERVE_ABOVE || (p->mode == SERVE_COMPARE && p->levels == 0)) return true;
    return s->items->len - s->begin_bytes >= STATE_PIECE_BYTES_TARGET;
}

static struct err serve_next(struct serving *s)
{
    struct pending p = s->stack[--s->stacked];
    struct state_node node;
    if (digest_is_zero(&p.hash)) {
        put_item(s, STATE_ITEM_EMPTY, bytes_of(NULL, 0), bytes_of(NULL, 0));
        return err_none();
    }
    if (is_closed(s, &p)) {
        put_item(s, STATE_ITEM_PRUNED, digest_bytes(&p.hash), bytes_of(NULL, 0));
        return err_none();
    }
    ERR_TRY(state_tree_read(&s->source, p.depth, &p.path, &p.hash, &node));
    if (node.kind == STATE_NODE_LEAF) {
        if (wants_whole(s, &p)) return put_leaf(s, &node);
        put_item(s, STATE_ITEM_DIGEST, digest_bytes(&node.first), digest_bytes(&node.second));
        return err_none();
    }
    enter_places(s, &p);
    uint32_t middle = p.begin;
    while (middle < p.end && state_path_bit(&s->places[middle].path, p.depth) == 0)
        middle++;
    put_item(s, STATE_ITEM_INNER, bytes_of(NULL, 0), bytes_of(NULL, 0));
    push_child(s, &p, &node, 1, middle);
    push_child(s, &p, &node, 0, middle);
    return err_none();
}

struct err state_serve(struct kv_store *store, const struct wire_state_ask *ask, struct buffer *items, uint32_t *count)
{
    static const struct digest top;
    struct serving s = {.source = {.store = store}, .items = items, .begin_bytes = items->len};
    struct state_node root;
    ERR_TRY(state_tree_read(&s.source, 0, &top, NULL, &root));
    s.places = mem_alloc(STATE_ASK_MAX * sizeof *s.places);
    s.stack = mem_alloc((STATE_TREE_DEPTH_MAX + 2u) * sizeof *s.stack);
    s.stack[s.stacked++] = (struct pending){.hash = state_node_hash(&root), .end = read_places(ask, s.places)};
    struct err e = err_none();
    while (s.stacked > 0 && !err_is(&e))
        e = serve_next(&s);
    free(s.stack);
    free(s.places);
    if (err_is(&e)) return e;
    *count = s.count;
    return err_none();
}
