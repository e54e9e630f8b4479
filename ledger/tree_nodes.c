/* tree_nodes.c - an array of nodes for each depth, in the order in which they were added; a heap of them merges. */
#include "ledger/tree_nodes.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/limits.h"
#include "ledger/state_tree.h"

#include <stdlib.h>
#include <string.h>

struct tree_node {
    uint16_t position_len;
    uint16_t node_len; /* 0: there is none any more */
    uint8_t bytes[];   /* position, node */
};

_Static_assert(STATE_NODE_BYTES + STATE_KEY_BYTES_MAX <= UINT16_MAX, "a length holds that of a node");

struct level {
    struct tree_node **nodes; /* ascending */
    size_t count;
    size_t cap;
};

struct tree_nodes {
    struct arena *arena;
    uint64_t bytes; /* of the nodes, and their places in the arrays */
    struct level levels[STATE_TREE_DEPTH_MAX + 1];
};

struct tree_nodes *tree_nodes_new(void)
{
    struct tree_nodes *t = mem_zero(1, sizeof *t);
    t->arena = arena_new();
    return t;
}

void tree_nodes_free(struct tree_nodes *t)
{
    if (t == NULL) return;
    for (uint32_t i = 0; i <= STATE_TREE_DEPTH_MAX; i++)
        free(t->levels[i].nodes);
    arena_free(t->arena);
    free(t);
}

static uint32_t depth_of(struct bytes position)
{
    CHECK_OP(position.len, >=, 2);
    CHECK_OP(position.len, <=, STATE_POSITION_BYTES_MAX);
    const uint8_t *at = position.data + (position.len == 2 ? 0 : position.len - 3);
    const uint32_t depth = (uint32_t)at[0] << 8 | at[1];
    CHECK_OP(depth, <=, STATE_TREE_DEPTH_MAX);
    return depth;
}

static struct bytes position_of(const struct tree_node *n)
{
    return bytes_of(n->bytes, n->position_len);
}

static struct bytes node_of(const struct tree_node *n)
{
    return bytes_of(n->bytes + n->position_len, n->node_len);
}

void tree_nodes_add(struct tree_nodes *t, struct bytes position, struct bytes node)
{
    struct level *l = &t->levels[depth_of(position)];
    CHECK_OP(node.len, <=, STATE_NODE_BYTES + STATE_KEY_BYTES_MAX);
    CHECK(l->count == 0 || bytes_compare(position_of(l->nodes[l->count - 1]), position) < 0);
    if (l->count == l->cap) {
        const size_t cap = l->cap == 0 ? 8 : l->cap * 2;
        CHECK_OP(cap, <=, SIZE_MAX / sizeof(struct tree_node *));
        l->nodes = mem_resize(l->nodes, cap * sizeof(struct tree_node *));
        l->cap = cap;
    }
    const size_t size = sizeof(struct tree_node) + position.len + node.len;
    struct tree_node *n = arena_take(t->arena, size);
    t->bytes += size + sizeof(struct tree_node *);
    n->position_len = (uint16_t)position.len;
    n->node_len = (uint16_t)node.len;
    memcpy(n->bytes, position.data, position.len);
    if (node.len > 0) memcpy(n->bytes + position.len, node.data, node.len);
    l->nodes[l->count++] = n;
}

bool tree_nodes_get(const struct tree_nodes *t, struct bytes position, struct bytes *node)
{
    const struct level *l = &t->levels[depth_of(position)];
    size_t begin = 0;
    size_t end = l->count;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        const int order = bytes_compare(position_of(l->nodes[middle]), position);
        if (order == 0) {
            *node = node_of(l->nodes[middle]);
            return true;
        }
        if (order < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    return false;
}

struct run {
    struct tree_node *const *next;
    struct tree_node *const *end;
};

/* What is left of the levels, those that have something: a heap, the one with the least position first. */
struct merge {
    struct run levels[STATE_TREE_DEPTH_MAX + 1];
    uint32_t count;
};

static bool before(const struct merge *m, uint32_t a, uint32_t b)
{
    return bytes_compare(position_of(*m->levels[a].next), position_of(*m->levels[b].next)) < 0;
}

/* The level at `at` may be later than those below it. */
static void sink(struct merge *m, uint32_t at)
{
    for (;;) {
        uint32_t least = at;
        for (uint32_t below = 2 * at + 1; below <= 2 * at + 2 && below < m->count; below++)
            if (before(m, below, least)) least = below;
        if (least == at) return;
        const struct run moved = m->levels[at];
        m->levels[at] = m->levels[least];
        m->levels[least] = moved;
        at = least;
    }
}

static const struct tree_node *merge_next(struct merge *m)
{
    const struct tree_node *n = *m->levels[0].next++;
    if (m->levels[0].next == m->levels[0].end) m->levels[0] = m->levels[--m->count];
    if (m->count > 0) sink(m, 0);
    return n;
}

void tree_nodes_fold(const struct tree_nodes *t, struct kv_batch *b, uint32_t table)
{
    struct merge m;
    m.count = 0;
    for (uint32_t depth = 0; depth <= STATE_TREE_DEPTH_MAX; depth++) {
        const struct level *l = &t->levels[depth];
        if (l->count == 0) continue;
        m.levels[m.count].next = l->nodes;
        m.levels[m.count++].end = l->nodes + l->count;
    }
    for (uint32_t at = m.count / 2; at > 0; at--)
        sink(&m, at - 1);
    while (m.count > 0) {
        const struct tree_node *n = merge_next(&m);
        if (n->node_len == 0)
            kv_batch_delete_lent(b, table, position_of(n));
        else
            kv_batch_put_lent(b, table, position_of(n), node_of(n));
    }
}

uint64_t tree_nodes_bytes(const struct tree_nodes *t)
{
    return t->bytes;
}
