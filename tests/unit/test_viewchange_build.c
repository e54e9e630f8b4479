/* test_viewchange_build.c - which V the primary of a new view chooses: the own message and Q-1 others, such that every
 * batch of O is here; and which batches it names as missing. */
#include "base/prng.h"
#include "tests/fixture/viewchange_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL
#define L WINDOW_BATCHES
#define VIEW 3u

static struct viewchange_kit kit;
static struct viewchange_plan plan;
static struct viewchange_missing missing[L + 1]; /* one more than there may be */
static uint32_t missing_count;

/* A VIEW-CHANGE comes. */
static void says(uint32_t sender, uint64_t view, uint64_t low, const struct viewchange_kit_claim *p, uint32_t count)
{
    assert_null(viewchange_kit_add(kit.v, viewchange_kit_say(&kit, sender, view, low, p, count)));
}

static void ask(uint32_t sender, uint64_t view)
{
    says(sender, view, 0, NULL, 0);
}

/* For VIEW, with one certificate. */
static void shows(uint32_t sender, uint64_t seq, uint64_t in_view, char batch)
{
    const struct viewchange_kit_claim claim = {.seq = seq, .view = in_view, .batch = batch};
    says(sender, VIEW, 0, &claim, 1);
}

/* context: the letters of the batches that are not here. Nobody has the null batch, nor needs to. */
static bool held(void *context, uint64_t seq, const struct digest *digest)
{
    const struct digest null = viewchange_kit_batch(VIEWCHANGE_KIT_NULL);
    assert_true(seq > plan.low && seq <= plan.high);
    if (digest_equal(digest, &null)) return false;
    return strchr(context, digest->bytes[0]) == NULL;
}

static bool build(const char *absent)
{
    char letters[64] = {0};
    memcpy(letters, absent, strlen(absent));
    missing_count = UINT32_MAX;
    return viewchange_build(kit.v, VIEW, held, letters, &plan, missing, &missing_count);
}

/* V is of these members, and what the plan says follows from their messages. */
static void assert_members(const char *ids)
{
    static struct viewchange_plan want;
    const struct viewchange_message *messages[REPLICAS_MAX];
    assert_int_equal(plan.member_count, strlen(ids));
    for (uint32_t i = 0; i < plan.member_count; i++) {
        assert_int_equal(plan.members[i], ids[i] - '0');
        messages[i] = viewchange_latest(kit.v, plan.members[i]);
    }
    viewchange_plan_of(VIEW, messages, plan.members, plan.member_count, &want);
    assert_int_equal(plan.view, VIEW);
    assert_int_equal(plan.low, want.low);
    assert_int_equal(plan.high, want.high);
    assert_memory_equal(plan.proposals, want.proposals, (want.high - want.low) * sizeof *want.proposals);
}

static void assert_missing(uint32_t index, uint64_t seq, char batch)
{
    const struct digest want = viewchange_kit_batch(batch);
    assert_true(index < missing_count);
    assert_int_equal(missing[index].seq, seq);
    assert_memory_equal(missing[index].digest.bytes, want.bytes, DIGEST_BYTES);
}

static void test_viewchange_build_needs_the_own_message_for_the_view(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, 4, 3);
    for (uint32_t id = 0; id < 3; id++)
        ask(id, VIEW);
    assert_false(build(""));
    assert_int_equal(missing_count, 0);
    ask(3, VIEW - 1);
    assert_false(build(""));
    ask(3, VIEW);
    assert_true(build(""));
    assert_members("013");
    ask(3, VIEW + 1);
    assert_false(build(""));
}

static void test_viewchange_build_needs_a_quorum_for_exactly_the_view(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 8; size++) {
        for (uint32_t count = 1; count <= size; count++) {
            viewchange_kit_start(&kit, size, 0);
            for (uint32_t id = 0; id < size; id++)
                ask(id, id < count ? VIEW : id % 2 != 0 ? VIEW - 1 : VIEW + 1);
            assert_int_equal(build(""), count >= kit.quorum.quorum);
            assert_int_equal(missing_count, 0);
            viewchange_kit_end(&kit);
        }
    }
}

/* Bit id of `in`: that member has asked. */
static void check_choice(uint32_t size, uint32_t self, uint32_t in)
{
    const uint32_t asked = (uint32_t)__builtin_popcount(in);
    viewchange_kit_start(&kit, size, self);
    for (uint32_t id = 0; id < size; id++)
        if ((in >> id & 1u) != 0) ask(id, VIEW);
    const bool possible = asked >= kit.quorum.quorum && (in >> self & 1u) != 0;
    assert_int_equal(build(""), possible);
    bool own = false;
    if (possible) assert_int_equal(plan.member_count, kit.quorum.quorum);
    for (uint32_t i = 0; possible && i < plan.member_count; i++) {
        assert_true((in >> plan.members[i] & 1u) != 0);
        if (i > 0) assert_true(plan.members[i] > plan.members[i - 1]);
        if (plan.members[i] == self) own = true;
    }
    assert_int_equal(own, possible);
    viewchange_kit_end(&kit);
}

static void test_viewchange_build_names_a_quorum_with_the_own_one_ids_ascending(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 7; size++)
        for (uint32_t self = 0; self < size; self++)
            for (uint32_t in = 0; in < 1u << size; in++)
                check_choice(size, self, in);
    for (uint32_t self = 0; self < 13; self++)
        check_choice(13, self, (1u << 13) - 1);
}

static void test_viewchange_build_leaves_out_whose_batch_is_not_held(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, 4, 1);
    shows(0, 2, 1, 'x');
    shows(1, 1, 0, 'A');
    ask(2, VIEW);
    assert_true(build(""));
    assert_members("012");
    assert_false(build("x")); /* no other to take */
    assert_int_equal(missing_count, 1);
    assert_missing(0, 2, 'x');
    shows(3, 1, 1, 'B');
    assert_true(build("x"));
    assert_members("123");
}

static void test_viewchange_build_leaves_out_at_the_high_watermark_too(void **state)
{
    (void)state;
    for (uint64_t seq = 1; seq <= L; seq += L - 1) {
        viewchange_kit_start(&kit, 4, 0);
        ask(0, VIEW);
        shows(1, seq, 0, 'x');
        ask(2, VIEW);
        ask(3, VIEW);
        assert_true(build("x"));
        assert_members("023");
        viewchange_kit_end(&kit);
    }
}

static void test_viewchange_build_minds_only_batches_that_win(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, 4, 3);
    shows(0, 1, 0, 'x');
    shows(1, 1, 1, 'A');
    ask(3, VIEW);
    assert_true(build("x"));
    assert_members("013");
    assert_int_equal(missing_count, 0);
    assert_false(build("A"));
    assert_int_equal(missing_count, 1);
    assert_missing(0, 1, 'A');
}

/* Without the one whose batch is gone, another that is not held wins. */
static void test_viewchange_build_leaves_out_one_after_the_other(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, 7, 6);
    shows(0, 1, 2, 'x');
    shows(1, 1, 1, 'y');
    for (uint32_t id = 2; id < 7; id++)
        shows(id, 1, 0, 'A');
    assert_true(build("y"));
    assert_members("01236");
    assert_true(build("x"));
    assert_members("12346");
    assert_true(build("xy"));
    assert_members("23456");
    assert_false(build("xyA"));
    assert_int_equal(missing_count, 3);
    assert_missing(0, 1, 'x');
    assert_missing(1, 1, 'y');
    assert_missing(2, 1, 'A');
}

static void test_viewchange_build_with_an_own_batch_not_held_names_it(void **state)
{
    (void)state;
    viewchange_kit_start(&kit, 4, 0);
    shows(0, 4, 1, 'x');
    for (uint32_t id = 1; id < 4; id++)
        shows(id, 3, 1, 'A');
    assert_false(build("x"));
    assert_int_equal(missing_count, 1);
    assert_missing(0, 4, 'x');
    assert_true(build(""));
    assert_members("012");
}

static void test_viewchange_build_names_each_missing_batch_once(void **state)
{
    (void)state;
    static const struct viewchange_kit_claim own[] = {{1, 0, 'x', 0}, {3, 0, 'x', 0}};
    viewchange_kit_start(&kit, 7, 6);
    says(6, VIEW, 0, own, 2);
    shows(0, 1, 1, 'y'); /* left out first; what is missing of the own one is seen twice */
    shows(1, 2, 0, 'z');
    for (uint32_t id = 2; id < 6; id++)
        ask(id, VIEW);
    assert_false(build("xyz"));
    assert_int_equal(missing_count, 4);
    assert_missing(0, 1, 'y');
    assert_missing(1, 2, 'z');
    assert_missing(2, 3, 'x');
    assert_missing(3, 1, 'x');
}

static void test_viewchange_build_names_at_most_a_window_of_missing_batches(void **state)
{
    (void)state;
    struct viewchange_kit_claim x[L];
    struct viewchange_kit_claim y[L];
    for (uint32_t k = 0; k < L; k++) {
        x[k] = (struct viewchange_kit_claim){.seq = k + 1, .view = 1, .batch = 'x'};
        y[k] = (struct viewchange_kit_claim){.seq = k + 1, .view = 0, .batch = 'y'};
    }
    viewchange_kit_start(&kit, 7, 6);
    says(0, VIEW, 0, x, L);
    says(1, VIEW, 0, y, L);
    for (uint32_t id = 2; id < 7; id++)
        ask(id, VIEW);
    memset(missing, 0xee, sizeof missing);
    assert_true(build("xy"));
    assert_members("23456");
    assert_int_equal(missing_count, L);
    assert_missing(0, 1, 'x');
    assert_missing(L - 1, L, 'x');
    assert_int_equal(missing[L].seq, 0xeeeeeeeeeeeeeeeeull);
}

/* n and n + L share a slot: a certificate for the one is none for the other, whatever its batch. */
static void test_viewchange_build_keeps_a_member_with_the_missing_batch_at_another_sequence(void **state)
{
    (void)state;
    static const struct viewchange_kit_claim above[] = {{L + 1, 0, 'x', 0}};
    viewchange_kit_start(&kit, 4, 0);
    says(0, VIEW, K, NULL, 0);
    shows(1, 1, 0, 'x');
    says(2, VIEW, K, above, 1);
    says(3, VIEW, K, NULL, 0);
    assert_true(build("x"));
    assert_members("013");
}

/* f liars, certificates at will for batches that nobody has; the rest are correct, and their batches are here. */
static void test_viewchange_build_is_never_hindered_by_liars(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {4, 5, 6, 7, 13};
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct prng r = prng_of(seed);
        const uint32_t size = sizes[seed % 5];
        const uint32_t self = (uint32_t)prng_below(&r, size);
        uint32_t liars = 0;
        viewchange_kit_start(&kit, size, self);
        for (uint32_t id = 0; id < size; id++) {
            struct viewchange_kit_claim p[8];
            const bool liar = id != self && liars < kit.quorum.faulty_max && prng_below(&r, 2) == 0;
            const uint64_t low = K * prng_below(&r, 2);
            liars += liar;
            for (uint32_t k = 0; k < 8; k++) {
                p[k] = (struct viewchange_kit_claim){.seq = low + 1 + prng_below(&r, 4), .view = prng_below(&r, VIEW)};
                if (prng_below(&r, 4) == 0) p[k].seq += K;
                p[k].batch = liar ? (char)('u' + prng_below(&r, 6)) : (char)('A' + p[k].view);
            }
            says(id, VIEW, low, p, (uint32_t)prng_below(&r, 9));
        }
        assert_true(build("uvwxyz"));
        for (uint64_t n = plan.low + 1; n <= plan.high; n++) {
            const uint8_t letter = plan.proposals[n - plan.low - 1].bytes[0];
            const struct digest null = viewchange_kit_batch(VIEWCHANGE_KIT_NULL);
            assert_true(letter < 'u' || digest_equal(&plan.proposals[n - plan.low - 1], &null));
        }
        viewchange_kit_end(&kit);
    }
}

static int test_teardown(void **state)
{
    (void)state;
    viewchange_kit_end(&kit);
    return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_viewchange_build_needs_the_own_message_for_the_view),
        TEST(test_viewchange_build_needs_a_quorum_for_exactly_the_view),
        TEST(test_viewchange_build_names_a_quorum_with_the_own_one_ids_ascending),
        TEST(test_viewchange_build_leaves_out_whose_batch_is_not_held),
        TEST(test_viewchange_build_leaves_out_at_the_high_watermark_too),
        TEST(test_viewchange_build_minds_only_batches_that_win),
        TEST(test_viewchange_build_leaves_out_one_after_the_other),
        TEST(test_viewchange_build_with_an_own_batch_not_held_names_it),
        TEST(test_viewchange_build_names_each_missing_batch_once),
        TEST(test_viewchange_build_names_at_most_a_window_of_missing_batches),
        TEST(test_viewchange_build_keeps_a_member_with_the_missing_batch_at_another_sequence),
        TEST(test_viewchange_build_is_never_hindered_by_liars),
    };
    return cmocka_run_group_tests_name("viewchange_build", tests, NULL, NULL);
}
