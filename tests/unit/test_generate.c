/* test_generate.c - the random generator reaches the edges, stays in its scratch, and is the same everywhere. */
#include "wire/any_record.h"
#include "wire/generate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM_BYTES 4096u

static void test_generate_scratch_too_small_is_told(void **state)
{
    (void)state;
    uint8_t space[16];
    struct prng random = prng_of(1);
    struct wire_request request; /* at least one operation: some bytes are needed */
    for (size_t cap = 0; cap < 4; cap++) {
        struct writer scratch = writer_of(space, cap);
        assert_false(wire_generate_record(&wire_record_request, &random, &scratch, &request));
    }
    struct wire_message m;
    struct writer scratch = writer_of(space, sizeof space);
    assert_false(wire_generate_message(WIRE_TYPE_prepare, &random, &scratch, &m)); /* encodes to 106 bytes and more */
}

static void test_generate_stays_within_its_scratch(void **state)
{
    (void)state;
    uint32_t count;
    const struct wire_record *const *records = wire_records(&count);
    for (size_t cap = 0; cap < 300; cap++) {
        uint8_t *space = mem_alloc(cap); /* exact, for the sanitizer */
        struct prng random = prng_of(cap);
        for (uint32_t i = 0; i < count; i++) {
            struct writer scratch = writer_of(space, cap);
            union wire_any_record value;
            if (!wire_generate_record(records[i], &random, &scratch, &value)) continue;
            assert_false(scratch.overflow);
            assert_true(scratch.len <= cap);
        }
        free(space);
    }
}

static void test_generate_same_seed_gives_same_value(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        uint8_t one[ROOM_BYTES];
        uint8_t two[ROOM_BYTES];
        struct prng random_one = prng_of(seed);
        struct prng random_two = prng_of(seed);
        struct writer scratch_one = writer_of(one, sizeof one);
        struct writer scratch_two = writer_of(two, sizeof two);
        struct wire_view_change a;
        struct wire_view_change b;
        assert_true(wire_generate_record(&wire_record_view_change, &random_one, &scratch_one, &a));
        assert_true(wire_generate_record(&wire_record_view_change, &random_two, &scratch_two, &b));
        assert_int_equal(wire_compare_record(&wire_record_view_change, &a, &b), 0);
    }
}

static void test_generate_integers_reach_the_edges(void **state)
{
    (void)state;
    static const uint64_t wanted[] = {0,     1,     23,         24,         255,     256,
                                      65535, 65536, 0xffffffff, 1ull << 32, SEQ_MAX, SEQ_MAX - 1};
    uint32_t seen[sizeof wanted / sizeof wanted[0]] = {0};
    uint8_t space[64];
    struct prng random = prng_of(7);
    for (uint32_t i = 0; i < 5000; i++) {
        struct writer scratch = writer_of(space, sizeof space);
        struct wire_prepare p;
        assert_true(wire_generate_record(&wire_record_prepare, &random, &scratch, &p));
        assert_true(p.seq <= SEQ_MAX && p.sender < REPLICAS_MAX);
        for (size_t k = 0; k < sizeof wanted / sizeof wanted[0]; k++)
            if (p.seq == wanted[k]) seen[k]++;
    }
    for (size_t k = 0; k < sizeof wanted / sizeof wanted[0]; k++)
        assert_true(seen[k] > 20);
    assert_true(seen[10] > 400); /* the maximum */
}

/* Small on average, larger at times; lengths at the edges and at the maximum when there is room. */
static void test_generate_sizes_follow_the_room(void **state)
{
    (void)state;
    const size_t room = 1024 * 1024;
    uint8_t *space = mem_alloc(room);
    struct prng random = prng_of(8);
    uint32_t small = 0;
    uint32_t full_key = 0;
    uint32_t long_value = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        struct writer scratch = writer_of(space, room);
        struct wire_key_value leaf;
        assert_true(wire_generate_record(&wire_record_key_value, &random, &scratch, &leaf));
        if (leaf.key.len <= 40) small++;
        if (leaf.key.len == STATE_KEY_BYTES_MAX) full_key++;
        if (leaf.value.len == 65536) long_value++;
    }
    assert_true(small > 1200);
    assert_true(full_key > 50);
    assert_true(long_value > 5);
    free(space);
}

static void test_generate_message_is_as_if_received(void **state)
{
    (void)state;
    uint8_t space[ROOM_BYTES];
    struct prng random = prng_of(9);
    for (uint32_t i = 0; i < 40 * WIRE_TYPE_MAX; i++) {
        const uint32_t number = 1 + i % WIRE_TYPE_MAX;
        struct writer scratch = writer_of(space, sizeof space);
        struct wire_message m;
        struct wire_message again;
        assert_true(wire_generate_message((enum wire_type)number, &random, &scratch, &m));
        assert_null(wire_decode(m.raw, &again));
        const struct wire_record *record = wire_record_of_type(number);
        assert_int_equal(wire_compare_record(record, wire_body_const(&m), wire_body_const(&again)), 0);
        assert_int_equal(m.signed_part.len, again.signed_part.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generate_scratch_too_small_is_told),
        cmocka_unit_test(test_generate_stays_within_its_scratch),
        cmocka_unit_test(test_generate_same_seed_gives_same_value),
        cmocka_unit_test(test_generate_integers_reach_the_edges),
        cmocka_unit_test(test_generate_sizes_follow_the_room),
        cmocka_unit_test(test_generate_message_is_as_if_received),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
