/* state_tree.c - the authenticated tree: reading and checking nodes, and the update for a set of changed keys.
 *
 * The update is one walk, depth first, over the positions above changed keys; an explicit stack of frames stands for
 * recursion (at most STATE_TREE_DEPTH_MAX + 1 of them). A frame owns a position and the range of the sorted changes
 * below it. It ends at once where at most one leaf remains, and otherwise visits the children that have changes. A
 * position is read by its parent's frame, before, and written by its parent's frame, after: so no node is read back or
 * hashed twice, and a lone leaf can move up without having been written below.
 *
 * Nothing here trusts the store: a node that is not what its parent's hash says is ERR_CORRUPT.
 */
#include "ledger/state_tree.h"

#include "base/check.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define NODE_TAG_LEAF 1u
#define NODE_TAG_INNER 2u

/* ---- paths, hashes and bytes of nodes ---- */

struct digest state_node_hash(const struct state_node *n)
{
    switch (n->kind) {
    case STATE_NODE_EMPTY: return (struct digest){{0}};
    case STATE_NODE_LEAF: return state_leaf_hash(&n->first, &n->second);
    case STATE_NODE_INNER: return state_inner_hash(&n->first, &n->second);
    }
    CHECK(!"state_node_hash: kind outside the enumeration");
    return (struct digest){{0}};
}

int state_place_compare(const void *a, const void *b)
{
    const struct state_place *x = a;
    const struct state_place *y = b;
    const int order = digest_compare(&x->path, &y->path);
    if (order != 0) return order;
    return x->depth < y->depth ? -1 : x->depth > y->depth ? 1 : 0;
}

/* The key of a position in the table. */
static struct bytes position_key(uint32_t depth, const struct digest *path, uint8_t out[STATE_POSITION_BYTES_MAX])
{
    CHECK_OP(depth, <=, STATE_TREE_DEPTH_MAX);
    const uint32_t above = depth == 0 ? 0 : (depth - 1u) / 8u; /* whole bytes of the path before the one that differs */
    memcpy(out, path->bytes, above);
    out[above] = (uint8_t)(depth >> 8);
    out[above + 1] = (uint8_t)depth;
    if (depth == 0) return bytes_of(out, 2);
    out[above + 2] = path->bytes[above] & (uint8_t)(0xffu << (8u * (above + 1) - depth));
    return bytes_of(out, above + 3u);
}

static struct bytes node_encode(const struct state_node *n, uint8_t out[STATE_NODE_BYTES + STATE_KEY_BYTES_MAX])
{
    out[0] = n->kind == STATE_NODE_LEAF ? NODE_TAG_LEAF : NODE_TAG_INNER;
    memcpy(out + 1, n->first.bytes, DIGEST_BYTES);
    memcpy(out + 1 + DIGEST_BYTES, n->second.bytes, DIGEST_BYTES);
    if (n->kind != STATE_NODE_LEAF) return bytes_of(out, STATE_NODE_BYTES);
    CHECK_OP(n->key.len, >=, 1);
    CHECK_OP(n->key.len, <=, STATE_KEY_BYTES_MAX);
    memcpy(out + STATE_NODE_BYTES, n->key.data, n->key.len);
    return bytes_of(out, STATE_NODE_BYTES + n->key.len);
}

/* Bytes from a disk: false when they are no node, or none that can stand at (depth, path). */
static bool node_decode(struct bytes in, uint32_t depth, const struct digest *path, struct state_node *out)
{
    struct state_node n = {.kind = STATE_NODE_INNER};
    if (in.len < STATE_NODE_BYTES || in.len > STATE_NODE_BYTES + STATE_KEY_BYTES_MAX) return false;
    if (in.data[0] != NODE_TAG_LEAF && in.data[0] != NODE_TAG_INNER) return false;
    if ((in.data[0] == NODE_TAG_INNER) != (in.len == STATE_NODE_BYTES)) return false;
    if (in.data[0] == NODE_TAG_LEAF) {
        n.kind = STATE_NODE_LEAF;
        n.key = bytes_of(in.data + STATE_NODE_BYTES, in.len - STATE_NODE_BYTES);
    }
    memcpy(n.first.bytes, in.data + 1, DIGEST_BYTES);
    memcpy(n.second.bytes, in.data + 1 + DIGEST_BYTES, DIGEST_BYTES);
    if (n.kind == STATE_NODE_LEAF && !state_path_shares(&n.first, path, depth)) return false;
    if (n.kind == STATE_NODE_INNER && depth == STATE_TREE_DEPTH_MAX) return false;
    *out = n;
    return true;
}

static struct err tree_corrupt(uint32_t depth, const struct digest *path, const char *what)
{
    char prefix[2 * 8 + 1];
    hex_encode(prefix, path->bytes, 8);
    return err_make(ERR_CORRUPT, "state tree: the node at depth %u above path %s... %s", depth, prefix, what);
}

struct err state_tree_read(const struct state_tree_source *source, uint32_t depth, const struct digest *path,
                           const struct digest *expected, struct state_node *out)
{
    uint8_t raw[STATE_POSITION_BYTES_MAX];
    const struct bytes key = position_key(depth, path, raw);
    struct bytes stored = bytes_of(NULL, 0);
    bool found = false;
    uint32_t i = 0;
    while (i < source->overlay_count && !tree_nodes_get(source->overlays[i], key, &stored))
        i++;
    if (i < source->overlay_count) {
        found = stored.len > 0;
    } else {
        const enum kv_found in_store = kv_store_get(source->store, STATE_TABLE_TREE, key, &stored);
        if (in_store == KV_FAILED) return kv_store_fault(source->store);
        found = in_store == KV_FOUND;
    }
    struct state_node n = {.kind = STATE_NODE_EMPTY};
    if (found && !node_decode(stored, depth, path, &n)) return tree_corrupt(depth, path, "is malformed");
    if (!found && expected != NULL) return tree_corrupt(depth, path, "is missing");
    if (expected != NULL) {
        const struct digest hash = state_node_hash(&n);
        if (!digest_equal(&hash, expected)) return tree_corrupt(depth, path, "is not the one its parent names");
    }
    *out = n;
    return err_none();
}

/* ---- the update ---- */

/* One child position of a frame. */
struct child {
    bool stored;            /* the source has a node here */
    struct digest hash_old; /* of that node */
    struct digest hash;     /* of what stands below here now */
    bool known;             /* `node` is what stands here now (an unvisited stored child is not read unless needed) */
    struct state_node node;
};

/* One position of the walk, and the changes [begin, end) below it. The first `depth` bits of their paths are equal. */
struct frame {
    uint32_t depth;
    size_t begin;
    size_t middle; /* changes from here on go to the right */
    size_t end;
    uint32_t next_child; /* 0 or 1, then 2: both are done */
    struct child children[2];
};

struct update {
    const struct state_tree_source *source;
    const struct state_tree_change *changes;
    size_t *puts_before; /* puts_before[i]: how many of changes[0, i) are puts; count + 1 entries */
    struct tree_nodes *nodes;
    struct frame *frames;
    uint32_t frame_count;
};

static int change_compare(const void *a, const void *b)
{
    const struct state_tree_change *left = a;
    const struct state_tree_change *right = b;
    return digest_compare(&left->path, &right->path);
}

/* The first index in [begin, end) whose path is >= path; end when there is none. */
static size_t change_find(const struct update *u, size_t begin, size_t end, const struct digest *path)
{
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        if (digest_compare(&u->changes[middle].path, path) < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

/* The first index in [begin, end) whose path has a one at `depth`, the paths being equal above it. */
static size_t change_split(const struct update *u, size_t begin, size_t end, uint32_t depth)
{
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        if (state_path_bit(&u->changes[middle].path, depth) == 0)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

/* Below a position where nothing or one leaf stood: true, and *out, when at most one leaf stands there afterwards. */
static bool settle(const struct update *u, size_t begin, size_t end, const struct state_node *old,
                   struct state_node *out)
{
    const size_t puts = u->puts_before[end] - u->puts_before[begin];
    bool keeps_old = old->kind == STATE_NODE_LEAF;
    if (keeps_old) {
        const size_t same = change_find(u, begin, end, &old->first);
        keeps_old = same == end || !digest_equal(&u->changes[same].path, &old->first);
    }
    if (puts + (keeps_old ? 1 : 0) > 1) return false;
    *out = (struct state_node){.kind = STATE_NODE_EMPTY};
    if (keeps_old) *out = *old;
    for (size_t i = begin; puts == 1 && i < end; i++)
        if (!u->changes[i].remove)
            *out = (struct state_node){.kind = STATE_NODE_LEAF,
                                       .first = u->changes[i].path,
                                       .second = u->changes[i].value,
                                       .key = u->changes[i].key};
    return true;
}

/* Starts a frame for a position with more than one leaf, before or after; `old` is what stood there. */
static void frame_push(struct update *u, uint32_t depth, size_t begin, size_t end, const struct state_node *old)
{
    CHECK_OP(depth, <, STATE_TREE_DEPTH_MAX);
    struct frame *f = &u->frames[u->frame_count++];
    *f = (struct frame){.depth = depth, .begin = begin, .end = end, .middle = change_split(u, begin, end, depth)};
    for (uint32_t side = 0; side < 2; side++) {
        struct child *c = &f->children[side];
        if (old->kind == STATE_NODE_INNER) {
            c->hash_old = side == 0 ? old->first : old->second;
            c->stored = !digest_is_zero(&c->hash_old);
            c->hash = c->hash_old;
        } else if (old->kind == STATE_NODE_LEAF && state_path_bit(&old->first, depth) == side) {
            c->node = *old;
            c->hash = state_node_hash(old);
        }
        c->known = !c->stored;
    }
}

/* Any path below child `side` of the frame, good for its position key. */
static struct digest child_path(const struct update *u, const struct frame *f, uint32_t side)
{
    struct digest path = u->changes[f->begin].path;
    const uint8_t mask = (uint8_t)(0x80u >> f->depth % 8u);
    uint8_t *byte = &path.bytes[f->depth / 8u];
    *byte = side == 0 ? *byte & (uint8_t)~mask : *byte | mask;
    return path;
}

/* Reads what the source has at a child's position, unless that is known already. */
static struct err child_read(const struct update *u, struct frame *f, uint32_t side)
{
    struct child *c = &f->children[side];
    if (c->known) return err_none();
    const struct digest path = child_path(u, f, side);
    ERR_TRY(state_tree_read(u->source, f->depth + 1, &path, &c->hash, &c->node));
    c->known = true;
    return err_none();
}

/* Records what stands at a position: a node, or nothing. */
static void position_write(struct tree_nodes *nodes, uint32_t depth, const struct digest *path,
                           const struct state_node *n)
{
    uint8_t raw_key[STATE_POSITION_BYTES_MAX];
    uint8_t raw_node[STATE_NODE_BYTES + STATE_KEY_BYTES_MAX];
    const struct bytes key = position_key(depth, path, raw_key);
    tree_nodes_add(nodes, key, n->kind == STATE_NODE_EMPTY ? bytes_of(NULL, 0) : node_encode(n, raw_node));
}

/* What stands at a frame's position now that both children are done; writes the children's positions. */
static struct err frame_finish(const struct update *u, struct frame *f, struct state_node *out)
{
    struct child *left = &f->children[0];
    struct child *right = &f->children[1];
    const bool left_empty = digest_is_zero(&left->hash);
    const bool right_empty = digest_is_zero(&right->hash);
    struct state_node result = {.kind = STATE_NODE_INNER, .first = left->hash, .second = right->hash};
    if (left_empty && right_empty) {
        result = (struct state_node){.kind = STATE_NODE_EMPTY};
    } else if (left_empty || right_empty) {
        /* A lone leaf stands as high as it can: it takes this position. */
        struct child *only = left_empty ? right : left;
        ERR_TRY(child_read(u, f, left_empty ? 1 : 0));
        if (only->node.kind == STATE_NODE_LEAF) result = only->node;
    }
    for (uint32_t side = 0; side < 2; side++) {
        static const struct state_node nothing = {.kind = STATE_NODE_EMPTY};
        const struct child *c = &f->children[side];
        const bool stands = result.kind == STATE_NODE_INNER && !digest_is_zero(&c->hash);
        if (!stands && !c->stored) continue;
        if (stands && c->stored && digest_equal(&c->hash, &c->hash_old)) continue;
        const struct digest path = child_path(u, f, side);
        position_write(u->nodes, f->depth + 1, &path, stands ? &c->node : &nothing);
    }
    *out = result;
    return err_none();
}

/* Visits the next child of the top frame that has changes: settles it, or pushes a frame for it. */
static struct err frame_visit(struct update *u, struct frame *f)
{
    const uint32_t side = f->next_child++;
    const size_t begin = side == 0 ? f->begin : f->middle;
    const size_t end = side == 0 ? f->middle : f->end;
    struct child *c = &f->children[side];
    if (begin == end) return err_none();
    ERR_TRY(child_read(u, f, side));
    const struct state_node old = c->node;
    if (old.kind == STATE_NODE_INNER || !settle(u, begin, end, &old, &c->node))
        frame_push(u, f->depth + 1, begin, end, &old);
    else
        c->hash = state_node_hash(&c->node);
    return err_none();
}

/* The walk from a root with more than one leaf, before or after. */
static struct err update_walk(struct update *u, size_t count, const struct state_node *old, struct state_node *out)
{
    frame_push(u, 0, 0, count, old);
    for (;;) {
        struct frame *f = &u->frames[u->frame_count - 1];
        if (f->next_child < 2) {
            ERR_TRY(frame_visit(u, f));
            continue;
        }
        struct state_node result;
        ERR_TRY(frame_finish(u, f, &result));
        u->frame_count--;
        if (u->frame_count == 0) {
            *out = result;
            return err_none();
        }
        struct frame *above = &u->frames[u->frame_count - 1];
        struct child *c = &above->children[above->next_child - 1];
        c->node = result;
        c->hash = state_node_hash(&result);
    }
}

struct err state_tree_update(const struct state_tree_source *source, struct state_tree_change *changes, size_t count,
                             struct tree_nodes *nodes, struct digest *root)
{
    static const struct digest top; /* any path will do at depth 0 */
    struct state_node old;
    struct state_node now = {.kind = STATE_NODE_EMPTY};
    ERR_TRY(state_tree_read(source, 0, &top, NULL, &old));
    const struct digest hash_old = state_node_hash(&old);
    if (count == 0) {
        *root = hash_old;
        return err_none();
    }
    qsort(changes, count, sizeof *changes, change_compare);
    CHECK_OP(count, <, SIZE_MAX / sizeof(size_t));
    struct update u = {.source = source, .changes = changes, .nodes = nodes};
    u.puts_before = mem_alloc((count + 1) * sizeof *u.puts_before);
    u.frames = mem_alloc((STATE_TREE_DEPTH_MAX + 1) * sizeof *u.frames);
    u.puts_before[0] = 0;
    for (size_t i = 0; i < count; i++) {
        CHECK(i == 0 || digest_compare(&changes[i - 1].path, &changes[i].path) < 0);
        u.puts_before[i + 1] = u.puts_before[i] + (changes[i].remove ? 0 : 1);
    }
    struct err e = err_none();
    if (old.kind == STATE_NODE_INNER || !settle(&u, 0, count, &old, &now)) e = update_walk(&u, count, &old, &now);
    free(u.frames);
    free(u.puts_before);
    if (err_is(&e)) return e;
    const struct digest hash_now = state_node_hash(&now);
    if (!digest_equal(&hash_now, &hash_old)) position_write(nodes, 0, &top, &now);
    *root = hash_now;
    return err_none();
}
