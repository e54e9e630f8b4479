/* map.c - an ordered map from byte strings to byte strings: a red-black tree of libbsd's <bsd/sys/tree.h>.
 *
 * One piece of an arena holds an item: the links, then the key, then room for the value it was born with. A value that
 * fits that room without wasting much of it is replaced in place; otherwise the item is made anew. Invariant:
 * map->bytes is the sum over the items of MAP_ITEM_OVERHEAD, key and value bytes, and the memory in use is a small
 * multiple of it.
 */
#include "ledger/map.h"

#include "base/check.h"
#include "ledger/map_private.h"

#include <bsd/sys/tree.h>
#include <stdlib.h>
#include <string.h>

/* What an item costs besides its bytes: links and lengths, and what the arena rounds up. */
#define MAP_ITEM_OVERHEAD 64u

struct map_node {
    RB_ENTRY(map_node) link;
    const uint8_t *key; /* into room, for all nodes but the one of a lookup */
    uint32_t key_len;
    uint32_t value_len;
    uint32_t value_cap; /* the value stands in room after the key */
    bool tombstone;
    uint8_t room[]; /* key, then the first value */
};

RB_HEAD(map_tree, map_node);

struct map {
    struct map_tree tree;
    uint64_t count;
    uint64_t bytes;
    struct arena *arena;
    bool owns_arena;
};

static struct bytes map_key(const struct map_node *n)
{
    return bytes_of(n->key, n->key_len);
}

static int map_node_compare(const struct map_node *a, const struct map_node *b)
{
    return bytes_compare(map_key(a), map_key(b));
}

/* <bsd/sys/tree.h> marks its functions with a macro that glibc systems lack. */
#ifndef __unused
#define __unused __attribute__((unused))
#endif
RB_GENERATE_STATIC(map_tree, map_node, link, map_node_compare)

_Static_assert(sizeof(struct map_node) <= MAP_ITEM_OVERHEAD, "the overhead covers the links and lengths");

struct map *map_new(void)
{
    struct map *m = map_new_in(arena_new());
    m->owns_arena = true;
    return m;
}

struct map *map_new_in(struct arena *arena)
{
    struct map *m = mem_zero(1, sizeof *m);
    RB_INIT(&m->tree);
    m->arena = arena;
    return m;
}

static void map_node_free(struct map *m, struct map_node *n)
{
    arena_give_back(m->arena, n, sizeof *n + n->key_len + n->value_cap);
}

void map_clear(struct map *m)
{
    /* Takes the tree apart leaf by leaf: no recursion, no rebalancing. */
    struct map_node *n = RB_ROOT(&m->tree);
    while (n != NULL) {
        if (RB_LEFT(n, link) != NULL) {
            n = RB_LEFT(n, link);
        } else if (RB_RIGHT(n, link) != NULL) {
            n = RB_RIGHT(n, link);
        } else {
            struct map_node *parent = RB_PARENT(n, link);
            if (parent != NULL && RB_LEFT(parent, link) == n)
                RB_LEFT(parent, link) = NULL;
            else if (parent != NULL)
                RB_RIGHT(parent, link) = NULL;
            map_node_free(m, n);
            n = parent;
        }
    }
    RB_INIT(&m->tree);
    m->count = 0;
    m->bytes = 0;
}

void map_free(struct map *m)
{
    if (m == NULL) return;
    if (m->owns_arena) arena_free(m->arena);
    free(m);
}

static struct map_node map_sought(struct bytes key)
{
    CHECK_OP(key.len, <=, UINT32_MAX);
    return (struct map_node){.key = key.data, .key_len = (uint32_t)key.len};
}

static struct map_node *map_find(const struct map *m, struct bytes key)
{
    struct map_node sought = map_sought(key);
    return RB_FIND(map_tree, (struct map_tree *)&m->tree, &sought);
}

/* The first node with key >= from. */
static struct map_node *map_find_from(const struct map *m, struct bytes from)
{
    struct map_node sought = map_sought(from);
    return RB_NFIND(map_tree, (struct map_tree *)&m->tree, &sought);
}

static struct map_node *map_node_new(struct map *m, struct bytes key, struct bytes value)
{
    CHECK(key.len <= UINT32_MAX && value.len <= UINT32_MAX);
    struct map_node *n = arena_take(m->arena, sizeof *n + key.len + value.len);
    *n = (struct map_node){.key = n->room,
                           .key_len = (uint32_t)key.len,
                           .value_len = (uint32_t)value.len,
                           .value_cap = (uint32_t)value.len};
    if (key.len > 0) memcpy(n->room, key.data, key.len);
    if (value.len > 0) memcpy(n->room + key.len, value.data, value.len);
    return n;
}

/* Takes a node out; the caller frees it. */
static void map_take(struct map *m, struct map_node *n)
{
    (void)RB_REMOVE(map_tree, &m->tree, n);
    m->count--;
    m->bytes -= MAP_ITEM_OVERHEAD + n->key_len + n->value_len;
}

/* Puts a node in, or its value in the place of that of the one with its key. A new key, which most are, costs one
 * search. */
static void map_add(struct map *m, struct map_node *n)
{
    const struct bytes value = bytes_of(n->room + n->key_len, n->value_len);
    struct map_node *old = RB_INSERT(map_tree, &m->tree, n);
    if (old != NULL && value.len <= old->value_cap && old->value_cap - value.len <= value.len + MAP_ITEM_OVERHEAD) {
        if (value.len > 0) memcpy(old->room + old->key_len, value.data, value.len);
        m->bytes += value.len;
        m->bytes -= old->value_len;
        old->value_len = n->value_len;
        old->tombstone = n->tombstone;
        map_node_free(m, n);
        return;
    }
    if (old != NULL) {
        map_take(m, old);
        CHECK(RB_INSERT(map_tree, &m->tree, n) == NULL);
        map_node_free(m, old);
    }
    m->count++;
    m->bytes += MAP_ITEM_OVERHEAD + n->key_len + n->value_len;
}

static void map_set(struct map *m, struct bytes key, struct bytes value, bool tombstone)
{
    /* Key and value may be borrowed from the old item: copied before that is changed. */
    struct map_node *n = map_node_new(m, key, value);
    n->tombstone = tombstone;
    map_add(m, n);
}

void map_put(struct map *m, struct bytes key, struct bytes value)
{
    map_set(m, key, value, false);
}

void map_put_tombstone(struct map *m, struct bytes key)
{
    map_set(m, key, bytes_of(NULL, 0), true);
}

void map_remove(struct map *m, struct bytes key)
{
    struct map_node *n = map_find(m, key);
    if (n == NULL) return;
    map_take(m, n);
    map_node_free(m, n);
}

static bool map_show(const struct map_node *n, struct map_item *out)
{
    if (n == NULL) return false;
    *out = (struct map_item){.key = map_key(n),
                             .value = bytes_of(n->room + n->key_len, n->value_len),
                             .tombstone = n->tombstone,
                             .place = n};
    return true;
}

bool map_get(const struct map *m, struct bytes key, struct map_item *out)
{
    return map_show(map_find(m, key), out);
}

bool map_seek(const struct map *m, struct bytes from, struct map_item *out)
{
    return map_show(map_find_from(m, from), out);
}

bool map_next(struct map_item *item)
{
    return map_show(map_tree_RB_NEXT((struct map_node *)(uintptr_t)item->place), item);
}

bool map_move_one(struct map *from, struct map *to)
{
    struct map_node *n = RB_ROOT(&from->tree);
    CHECK(from->arena == to->arena);
    if (n == NULL) return false;
    map_take(from, n);
    map_add(to, n);
    return true;
}

bool map_last(const struct map *m, struct map_item *out)
{
    return map_show(RB_MAX(map_tree, (struct map_tree *)&m->tree), out);
}

uint64_t map_count(const struct map *m)
{
    return m->count;
}

uint64_t map_bytes(const struct map *m)
{
    return m->bytes;
}
