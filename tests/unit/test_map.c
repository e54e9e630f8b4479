/* test_map.c - the ordered map: order, replacement, tombstones, accounting, and equality with a sorted array. */
#include "base/prng.h"
#include "ledger/map.h"
#include "ledger/map_private.h"
#include "tests/fixture/aborts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct bytes text(const char *t)
{
    return bytes_of_text(t);
}

static void check_text(struct bytes got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_true(bytes_equal(got, bytes_of_text(want)));
}

static void test_map_empty_finds_nothing(void **state)
{
    (void)state;
    struct map *m = map_new();
    struct map_item item = {.tombstone = true};
    assert_false(map_get(m, text("a"), &item));
    assert_false(map_get(m, bytes_of(NULL, 0), &item));
    assert_false(map_seek(m, bytes_of(NULL, 0), &item));
    assert_false(map_last(m, &item));
    assert_true(item.tombstone); /* untouched */
    map_remove(m, text("a"));
    map_clear(m);
    assert_int_equal(map_count(m), 0);
    assert_int_equal(map_bytes(m), 0);
    map_free(m);
    map_free(NULL);
}

static void test_map_missing_key_is_absent_beside_its_neighbours(void **state)
{
    (void)state;
    struct map *m = map_new();
    struct map_item item;
    map_put(m, text("ab"), text("1"));
    map_put(m, text("abcd"), text("2"));
    assert_false(map_get(m, text("a"), &item));
    assert_false(map_get(m, text("abc"), &item));
    assert_false(map_get(m, text("abcde"), &item));
    assert_false(map_get(m, bytes_of(NULL, 0), &item));
    assert_true(map_get(m, text("ab"), &item));
    check_text(item.value, "1");
    map_free(m);
}

static void test_map_seek_and_next_respect_bounds(void **state)
{
    (void)state;
    struct map *m = map_new();
    struct map_item item;
    map_put(m, text("b"), text("1"));
    map_put(m, text("d"), text("2"));
    map_put(m, text("\xff"), text("3"));
    assert_true(map_seek(m, bytes_of(NULL, 0), &item));
    check_text(item.key, "b");
    assert_true(map_seek(m, text("b"), &item));
    check_text(item.key, "b");
    assert_true(map_seek(m, text("ba"), &item));
    check_text(item.key, "d");
    assert_true(map_next(&item));
    check_text(item.key, "\xff"); /* unsigned order */
    assert_false(map_next(&item));
    assert_false(map_seek(m, text("\xff\x01"), &item));
    assert_true(map_last(m, &item));
    check_text(item.key, "\xff");
    map_free(m);
}

static void test_map_tombstone_is_present_and_empty(void **state)
{
    (void)state;
    struct map *m = map_new();
    struct map_item item;
    map_put(m, text("a"), text("value"));
    map_put_tombstone(m, text("a"));
    map_put_tombstone(m, text("b"));
    assert_int_equal(map_count(m), 2);
    assert_true(map_get(m, text("a"), &item));
    assert_true(item.tombstone);
    assert_int_equal(item.value.len, 0);
    assert_true(map_next(&item));
    check_text(item.key, "b");
    assert_true(item.tombstone);
    map_put(m, text("b"), text("back"));
    assert_true(map_get(m, text("b"), &item));
    assert_false(item.tombstone);
    check_text(item.value, "back");
    map_remove(m, text("a"));
    assert_false(map_get(m, text("a"), &item));
    map_free(m);
}

static void move_between_arenas(void *context)
{
    struct map *to = map_new();
    if (map_move_one(context, to)) map_clear(to);
    map_free(to);
}

static void test_map_move_replaces_and_leaves_nothing(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct map *from = map_new_in(arena);
    struct map *to = map_new_in(arena);
    struct map *same = map_new();
    struct map_item item;
    map_put(to, text("a"), text("old"));
    map_put(to, text("b"),
            text("an old value that is long, and leaves much room to the short one that comes in its place, too much "
                 "in fact"));
    map_put(to, text("c"), text("stays"));
    map_put_tombstone(to, text("e"));
    map_put(from, text("a"), text("a value that does not fit where the old one stood"));
    map_put(from, text("b"), text("x"));
    map_put_tombstone(from, text("d"));
    map_put(from, text("e"), text("back"));
    for (uint32_t i = 0; i < 4; i++)
        assert_true(map_move_one(from, to));
    assert_false(map_move_one(from, to));
    assert_int_equal(map_count(from), 0);
    assert_int_equal(map_bytes(from), 0);
    assert_false(map_last(from, &item));
    assert_int_equal(map_count(to), 5);
    assert_true(map_get(to, text("a"), &item));
    check_text(item.value, "a value that does not fit where the old one stood");
    assert_true(map_get(to, text("b"), &item));
    check_text(item.value, "x");
    assert_true(map_get(to, text("c"), &item));
    check_text(item.value, "stays");
    assert_true(map_get(to, text("d"), &item));
    assert_true(item.tombstone);
    assert_true(map_get(to, text("e"), &item));
    assert_false(item.tombstone);
    check_text(item.value, "back");
    for (bool more = map_seek(to, bytes_of(NULL, 0), &item); more; more = map_next(&item)) {
        if (item.tombstone)
            map_put_tombstone(same, item.key);
        else
            map_put(same, item.key, item.value);
    }
    assert_int_equal(map_bytes(same), map_bytes(to));
    map_put(from, text("f"), text("x"));
    assert_true(aborts(move_between_arenas, from));
    map_free(from);
    map_free(to);
    arena_free(arena);
    map_free(same);
}

static void test_map_put_of_a_borrowed_value_keeps_it(void **state)
{
    (void)state;
    struct map *m = map_new();
    struct map_item item;
    uint8_t large[5000];
    memset(large, 7, sizeof large);
    map_put(m, text("k"), bytes_of(large, sizeof large));
    /* The tail of the own value and the own key: once in place, once into a new item. */
    assert_true(map_get(m, text("k"), &item));
    map_put(m, item.key, bytes_of(item.value.data + 1, item.value.len - 1));
    assert_true(map_get(m, text("k"), &item));
    assert_int_equal(item.value.len, sizeof large - 1);
    map_put(m, item.key, bytes_of(item.value.data, 10));
    assert_true(map_get(m, text("k"), &item));
    assert_int_equal(item.value.len, 10);
    assert_memory_equal(item.value.data, large, 10);
    assert_int_equal(map_count(m), 1);
    map_free(m);
}

static void test_map_bytes_follows_every_change(void **state)
{
    (void)state;
    struct map *m = map_new();
    map_put(m, text("key"), text("12345"));
    const uint64_t one = map_bytes(m);
    assert_true(one > 8);
    map_put(m, text("key"), text("123"));
    assert_int_equal(map_bytes(m), one - 2);
    map_put(m, text("key"), text("1234567890"));
    assert_int_equal(map_bytes(m), one + 5);
    map_put_tombstone(m, text("key"));
    assert_int_equal(map_bytes(m), one - 5);
    map_put(m, text("kez"), text("12345"));
    assert_int_equal(map_bytes(m), 2 * one - 5);
    map_remove(m, text("key"));
    assert_int_equal(map_bytes(m), one);
    map_clear(m);
    assert_int_equal(map_bytes(m), 0);
    map_free(m);
}

/* The model: keys are two bytes, so a table of all of them is an ordered map. */
#define MODEL_KEYS 512u

struct model_item {
    bool there;
    bool tombstone;
    uint32_t value;
};

static struct bytes model_key(uint32_t k, uint8_t out[2])
{
    out[0] = (uint8_t)(k >> 8);
    out[1] = (uint8_t)k;
    return bytes_of(out, 2);
}

static void model_compare(const struct map *m, const struct model_item *model)
{
    struct map_item item;
    uint64_t count = 0;
    bool more = map_seek(m, bytes_of(NULL, 0), &item);
    for (uint32_t k = 0; k < MODEL_KEYS; k++) {
        uint8_t raw[2];
        if (!model[k].there) continue;
        count++;
        assert_true(more);
        assert_true(bytes_equal(item.key, model_key(k, raw)));
        assert_int_equal(item.tombstone, model[k].tombstone);
        if (!item.tombstone) assert_memory_equal(item.value.data, &model[k].value, sizeof model[k].value);
        more = map_next(&item);
    }
    assert_false(more);
    assert_int_equal(map_count(m), count);
}

static void test_map_random_changes_equal_the_model(void **state)
{
    (void)state;
    struct prng p = prng_of(41);
    struct model_item model[MODEL_KEYS] = {{false, false, 0}};
    struct map *m = map_new();
    for (uint32_t round = 0; round < 20000; round++) {
        uint8_t raw[2];
        const uint32_t k = (uint32_t)prng_below(&p, MODEL_KEYS);
        const struct bytes key = model_key(k, raw);
        const uint32_t what = (uint32_t)prng_below(&p, 4);
        if (what < 2) {
            model[k] = (struct model_item){.there = true, .value = (uint32_t)prng_next(&p)};
            map_put(m, key, bytes_of(&model[k].value, sizeof model[k].value));
        } else if (what == 2) {
            model[k] = (struct model_item){.there = true, .tombstone = true};
            map_put_tombstone(m, key);
        } else {
            model[k].there = false;
            map_remove(m, key);
        }
        if (round % 500 == 0) model_compare(m, model);
    }
    model_compare(m, model);
    map_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_empty_finds_nothing),
        cmocka_unit_test(test_map_missing_key_is_absent_beside_its_neighbours),
        cmocka_unit_test(test_map_seek_and_next_respect_bounds),
        cmocka_unit_test(test_map_tombstone_is_present_and_empty),
        cmocka_unit_test(test_map_move_replaces_and_leaves_nothing),
        cmocka_unit_test(test_map_put_of_a_borrowed_value_keeps_it),
        cmocka_unit_test(test_map_bytes_follows_every_change),
        cmocka_unit_test(test_map_random_changes_equal_the_model),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
