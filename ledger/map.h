/* map.h - an ordered map from byte strings to byte strings in memory (a red-black tree from libbsd).
 *
 * Holds the overlay of the state above its last stable checkpoint, and the tables of the memory
 * store. Keys and values are copied in; a value can also be a tombstone ("deleted here").
 */
#ifndef PBFT_LEDGER_MAP_H
#define PBFT_LEDGER_MAP_H

#include "base/arena.h"
#include "base/bytes.h"

struct map;

/* With an arena of its own. */
struct map *map_new(void);
/* Takes its items from this arena, which others may use too and which outlives it: its memory comes back with the
 * arena. */
struct map *map_new_in(struct arena *arena);
void map_free(struct map *m);
/* Removes everything, item by item. */
void map_clear(struct map *m);
/* Puts or replaces. */
void map_put(struct map *m, struct bytes key, struct bytes value);
/* Puts a tombstone: the key is present and says that it is deleted. */
void map_put_tombstone(struct map *m, struct bytes key);
/* Forgets the key altogether; nothing happens when it is not there. */
void map_remove(struct map *m, struct bytes key);

/* An item as it stands in the map; borrowed until the next change of the map. */
struct map_item {
    struct bytes key;
    struct bytes value; /* empty for a tombstone */
    bool tombstone;
    const void *place; /* for map_next */
};
/* False when the key is absent. */
MUST_USE bool map_get(const struct map *m, struct bytes key, struct map_item *out);
/* The first item with key >= from. */
MUST_USE bool map_seek(const struct map *m, struct bytes from, struct map_item *out);
/* From an item to the one after it; its map must not have changed since the item was got. */
MUST_USE bool map_next(struct map_item *item);
/* Moves an item, which replaces the one with its key, between two maps of one arena (CHECKed). False when there is none
 * to move. */
MUST_USE bool map_move_one(struct map *from, struct map *to);
uint64_t map_count(const struct map *m);
/* Sum of key and value bytes plus a fixed overhead for each item: what the map costs. */
uint64_t map_bytes(const struct map *m);

#endif
