/* arena.c - chunks, cut from front to back, and a list for each class of sizes of what was given back.
 *
 * Classes: multiples of 16 bytes up to 1 KiB; above that four steps to each doubling, so that at most a quarter of an
 * item is lost. Chunks double from 4 KiB to 1 MiB; a larger item has a chunk of its own size.
 */
#include "base/arena.h"

#include "base/bytes.h"
#include "base/check.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

#define UNIT_BYTES 16u
#define SMALL_BYTES_MAX 1024u
#define SMALL_BITS 10u
#define SMALL_CLASSES (SMALL_BYTES_MAX / UNIT_BYTES)
#define LARGE_BITS_MAX 31u
#define CLASSES (SMALL_CLASSES + 4u * (LARGE_BITS_MAX - SMALL_BITS))
#define CHUNK_BYTES_MIN 4096u
#define CHUNK_BYTES_MAX (1024u * 1024u)

struct chunk {
    struct chunk *next;
    size_t bytes; /* with this header */
};

/* What was given back begins with this. */
struct spare {
    struct spare *next;
};

struct arena {
    struct chunk *chunks; /* newest first */
    uint8_t *at;          /* in the newest: what is still whole */
    size_t left;
    size_t bytes;
    struct spare *spares[CLASSES];
};

_Static_assert(sizeof(struct chunk) % UNIT_BYTES == 0 && UNIT_BYTES >= alignof(max_align_t), "items are aligned");
_Static_assert(ARENA_ITEM_BYTES_MAX == (size_t)1 << LARGE_BITS_MAX, "the classes reach to the largest item");

/* The class of a size, and the bytes that its items take. */
static uint32_t class_of(size_t size, size_t *taken)
{
    CHECK_OP(size, <=, ARENA_ITEM_BYTES_MAX);
    if (size <= SMALL_BYTES_MAX) {
        const size_t units = size == 0 ? 1 : (size + UNIT_BYTES - 1) / UNIT_BYTES;
        *taken = units * UNIT_BYTES;
        return (uint32_t)units - 1;
    }
    /* 2^bits < size <= 2^(bits + 1), in quarters of 2^bits: five to eight of them */
    const uint32_t bits = 63u - (uint32_t)__builtin_clzll(size - 1);
    const size_t quarter = (size_t)1 << (bits - 2);
    const size_t quarters = (size + quarter - 1) / quarter;
    *taken = quarters * quarter;
    return SMALL_CLASSES + 4u * (bits - SMALL_BITS) + (uint32_t)quarters - 5u;
}

struct arena *arena_new(void)
{
    return mem_zero(1, sizeof(struct arena));
}

void arena_free(struct arena *a)
{
    if (a == NULL) return;
    while (a->chunks != NULL) {
        struct chunk *c = a->chunks;
        a->chunks = c->next;
        free(c);
    }
    free(a);
}

static void add_chunk(struct arena *a, size_t wanted)
{
    size_t bytes = a->chunks == NULL ? CHUNK_BYTES_MIN : a->chunks->bytes * 2;
    if (bytes > CHUNK_BYTES_MAX) bytes = CHUNK_BYTES_MAX;
    if (bytes < sizeof(struct chunk) + wanted) bytes = sizeof(struct chunk) + wanted;
    struct chunk *c = mem_alloc(bytes);
    *c = (struct chunk){.next = a->chunks, .bytes = bytes};
    a->chunks = c;
    a->bytes += bytes;
    a->at = (uint8_t *)(c + 1);
    a->left = bytes - sizeof *c;
    ASAN_POISON_MEMORY_REGION(a->at, a->left);
}

void *arena_take(struct arena *a, size_t size)
{
    size_t taken;
    const uint32_t class = class_of(size, &taken);
    struct spare *spare = a->spares[class];
    if (spare != NULL) {
        ASAN_UNPOISON_MEMORY_REGION(spare, size < sizeof *spare ? sizeof *spare : size);
        a->spares[class] = spare->next;
        return spare;
    }
    if (taken > a->left) add_chunk(a, taken);
    void *item = a->at;
    a->at += taken;
    a->left -= taken;
    ASAN_UNPOISON_MEMORY_REGION(item, size);
    return item;
}

void arena_give_back(struct arena *a, void *item, size_t size)
{
    size_t taken;
    const uint32_t class = class_of(size, &taken);
    ASAN_UNPOISON_MEMORY_REGION(item, taken);
    struct spare *spare = item;
    spare->next = a->spares[class];
    a->spares[class] = spare;
    ASAN_POISON_MEMORY_REGION(item, taken);
}

size_t arena_bytes(const struct arena *a)
{
    return a->bytes;
}
