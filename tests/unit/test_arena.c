/* test_arena.c - memory taken in pieces: aligned, apart from each other, taken again once given back, and never much
 * more than was asked for. */
#include "base/arena.h"
#include "base/prng.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_arena_nothing_taken_costs_nothing(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    assert_int_equal(arena_bytes(a), 0);
    arena_free(a);
    arena_free(NULL);
}

static void test_arena_takes_what_was_given_back_of_that_size_again(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 16, 17, 1024, 1025, 1280, 1281, 2048, 2049, 100000, 3u << 20};
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *first = arena_take(a, sizes[i]);
        void *second = arena_take(a, sizes[i]);
        const size_t bytes = arena_bytes(a);
        assert_ptr_not_equal(first, second);
        arena_give_back(a, first, sizes[i]);
        arena_give_back(a, second, sizes[i]);
        assert_ptr_equal(arena_take(a, sizes[i]), second);
        assert_ptr_equal(arena_take(a, sizes[i]), first);
        assert_int_equal(arena_bytes(a), bytes);
    }
    arena_free(a);
}

/* What a smaller item left must not be taken for a larger one. */
static void test_arena_gives_each_size_enough_room(void **state)
{
    (void)state;
    for (size_t size = 1; size < 5000; size++) {
        struct arena *a = arena_new();
        uint8_t *smaller = arena_take(a, size);
        arena_give_back(a, smaller, size);
        uint8_t *larger = arena_take(a, size + 1);
        uint8_t *next = arena_take(a, 1);
        memset(larger, 0xff, size + 1);
        if (next >= larger) assert_true((size_t)(next - larger) >= size + 1);
        *next = 1;
        for (size_t i = 0; i <= size; i++)
            assert_int_equal(larger[i], 0xff);
        arena_free(a);
    }
}

#define ITEMS 400u

struct item {
    uint8_t *at;
    size_t size;
    uint8_t mark;
};

static void check_item(const struct item *i)
{
    assert_int_equal((uintptr_t)i->at % alignof(max_align_t), 0);
    for (size_t k = 0; k < i->size; k++)
        assert_int_equal(i->at[k], i->mark);
}

static void test_arena_items_keep_what_is_in_them(void **state)
{
    (void)state;
    struct prng r = prng_of(7);
    struct arena *a = arena_new();
    struct item items[ITEMS] = {{.at = NULL}};
    size_t bytes = 0;
    size_t most = 0;
    for (uint32_t step = 0; step < 20000; step++) {
        struct item *i = &items[prng_below(&r, ITEMS)];
        if (i->at != NULL) {
            check_item(i);
            arena_give_back(a, i->at, i->size);
            bytes -= i->size;
        }
        const uint64_t limit = prng_below(&r, 20) == 0 ? 40000 : 300;
        *i = (struct item){.size = (size_t)prng_below(&r, limit), .mark = (uint8_t)step};
        i->at = arena_take(a, i->size);
        if (i->size > 0) memset(i->at, i->mark, i->size);
        bytes += i->size;
        if (bytes > most) most = bytes;
    }
    for (uint32_t k = 0; k < ITEMS; k++)
        if (items[k].at != NULL) check_item(&items[k]);
    assert_true(arena_bytes(a) < 8 * most + (1u << 20)); /* sizes change places: each class has had its own most */
    arena_free(a);
}

/* Many small ones take little more than their bytes: no header for each. */
static void test_arena_small_items_cost_what_they_are(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    const size_t count = 200000;
    for (size_t i = 0; i < count; i++)
        (void)arena_take(a, 112);
    assert_true(arena_bytes(a) >= count * 112);
    assert_true(arena_bytes(a) < count * 112 + (2u << 20));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_nothing_taken_costs_nothing),
        cmocka_unit_test(test_arena_takes_what_was_given_back_of_that_size_again),
        cmocka_unit_test(test_arena_gives_each_size_enough_room),
        cmocka_unit_test(test_arena_items_keep_what_is_in_them),
        cmocka_unit_test(test_arena_small_items_cost_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
