/* arena.h - memory for many small things that end together: taken from large chunks, given up all at once.
 *
 * What is given back before that is kept for the next thing of about its size. Not thread-safe; the owner bounds what
 * it takes. Under AddressSanitizer what is not taken is poisoned, as malloc's would be.
 */
#ifndef PBFT_BASE_ARENA_H
#define PBFT_BASE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
/* Everything taken from it is gone. */
void arena_free(struct arena *a);
/* Aligned for any object; not initialised. size up to ARENA_ITEM_BYTES_MAX. */
void *arena_take(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));
/* `size` as it was taken. */
void arena_give_back(struct arena *a, void *item, size_t size);
/* Bytes of all its chunks. */
size_t arena_bytes(const struct arena *a);

#define ARENA_ITEM_BYTES_MAX ((size_t)1 << 31)

#endif
