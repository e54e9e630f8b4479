/* test_viewchange_plan.c - what a set of VIEW-CHANGEs means: cases with their answers, and every set of a small domain
 * and many random ones against the paper's rule, written down here once more. */
#include "base/prng.h"
#include "tests/fixture/viewchange_kit.h"
#include "wire/quorum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K CHECKPOINT_INTERVAL
#define L WINDOW_BATCHES

/* ---- the rule, from the paper ----
 *
 * OSDI'99 section 4.4: the primary determines min-s, the latest stable checkpoint in V, and max-s, the highest sequence
 * number in a prepare message in V. For each n between them: (1) there is a set in the P component of some message of V
 * with sequence number n: the digest in the pre-prepare for n with the highest view number in V; (2) there is none:
 * null. P of a message is about what prepared above its own checkpoint, within the watermarks, in views before the new
 * one. */

struct paper_message {
    uint64_t checkpoint;
    uint32_t count;
    const struct viewchange_kit_claim *p;
};

static struct digest null_digest;

static struct digest batch_of(char letter)
{
    return letter == VIEWCHANGE_KIT_NULL ? null_digest : viewchange_kit_batch(letter);
}

static bool paper_in_p(const struct paper_message *m, const struct viewchange_kit_claim *c, uint64_t new_view)
{
    const bool proven = !c->bad;
    const bool above = m->checkpoint < c->seq;
    const bool within = c->seq - m->checkpoint <= L;
    const bool earlier = c->view + 1 <= new_view;
    return proven && above && within && earlier;
}

static uint64_t paper_min_s(const struct paper_message *v, uint32_t count)
{
    uint64_t latest = 0;
    for (uint32_t i = 0; i < count; i++)
        latest = v[i].checkpoint > latest ? v[i].checkpoint : latest;
    return latest;
}

static uint64_t paper_max_s(const struct paper_message *v, uint32_t count, uint64_t new_view)
{
    uint64_t highest = paper_min_s(v, count);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < v[i].count; k++)
            if (paper_in_p(&v[i], &v[i].p[k], new_view) && v[i].p[k].seq > highest) highest = v[i].p[k].seq;
    return highest;
}

/* True when the paper lets O have this digest at n. More than one can only be right where two certificates of one view
 * contradict each other, which more than f faulty members would have to make. */
static bool paper_allows(const struct paper_message *v, uint32_t count, uint64_t new_view, uint64_t n,
                         const struct digest *digest)
{
    bool any = false;
    uint64_t highest_view = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < v[i].count; k++) {
            const struct viewchange_kit_claim *c = &v[i].p[k];
            if (c->seq != n || !paper_in_p(&v[i], c, new_view)) continue;
            any = true;
            highest_view = c->view > highest_view ? c->view : highest_view;
        }
    }
    if (!any) return digest_equal(digest, &null_digest);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < v[i].count; k++) {
            const struct viewchange_kit_claim *c = &v[i].p[k];
            const struct digest d = batch_of(c->batch);
            if (c->seq == n && c->view == highest_view && paper_in_p(&v[i], c, new_view) && digest_equal(digest, &d))
                return true;
        }
    }
    return false;
}

/* NULL when the plan is what the paper makes of V. */
static const char *paper_differs(const struct paper_message *v, uint32_t count, const struct viewchange_plan *plan)
{
    if (plan->low != paper_min_s(v, count)) return "low is not min-s";
    if (plan->high != paper_max_s(v, count, plan->view)) return "high is not max-s";
    for (uint64_t n = plan->low + 1; n <= plan->high; n++)
        if (!paper_allows(v, count, plan->view, n, &plan->proposals[n - plan->low - 1])) return "another batch";
    return NULL;
}

/* ---- plans of messages ---- */

static struct viewchange_message read_messages[REPLICAS_MAX];
static struct viewchange_plan plan;

static void read_into(struct viewchange_message *out, uint32_t sender, uint64_t view, const struct paper_message *p)
{
    struct viewchange_kit_message m;
    viewchange_kit_make(sender, view, p->checkpoint, p->p, p->count, &m);
    viewchange_kit_read(&m, out);
    viewchange_kit_release(&m);
}

/* The plan of these messages, of members 0, 1, 2, ... */
static void plan_of(uint64_t view, const struct paper_message *v, uint32_t count)
{
    const struct viewchange_message *messages[REPLICAS_MAX];
    uint32_t members[REPLICAS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        read_into(&read_messages[i], i, view, &v[i]);
        messages[i] = &read_messages[i];
        members[i] = i;
    }
    memset(&plan, 0xee, sizeof plan);
    viewchange_plan_of(view, messages, members, count, &plan);
}

/* The plan has this low, and from low + 1 on exactly these batches. */
static void assert_plan(uint64_t low, const char *batches)
{
    assert_int_equal(plan.low, low);
    assert_int_equal(plan.high, low + strlen(batches));
    for (uint32_t i = 0; batches[i] != '\0'; i++) {
        const struct digest want = batch_of(batches[i]);
        assert_memory_equal(plan.proposals[i].bytes, want.bytes, DIGEST_BYTES);
    }
}

/* Three messages for view 3, each as {low, claims...}; a claim without a batch ends the list. */
struct plan_case {
    struct {
        uint64_t low;
        struct viewchange_kit_claim p[4];
    } v[3];
    uint64_t want_low;
    const char *want;
};

static void assert_cases(const struct plan_case *cases, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        struct paper_message v[3];
        for (uint32_t i = 0; i < 3; i++) {
            v[i] = (struct paper_message){.checkpoint = cases[k].v[i].low, .p = cases[k].v[i].p};
            while (v[i].count < 4 && v[i].p[v[i].count].batch != 0)
                v[i].count++;
        }
        plan_of(3, v, 3);
        assert_plan(cases[k].want_low, cases[k].want);
        assert_null(paper_differs(v, 3, &plan));
    }
}

#define ASSERT_CASES(cases) assert_cases(cases, sizeof(cases) / sizeof *(cases))

/* ---- cases ---- */

static void test_viewchange_null_digest_is_of_no_requests_at_time_zero(void **state)
{
    (void)state;
    const struct digest want = batch_digest(0, NULL, 0);
    const struct digest got = viewchange_null_digest();
    assert_memory_equal(got.bytes, want.bytes, DIGEST_BYTES);
}

static void test_viewchange_plan_names_view_and_members(void **state)
{
    (void)state;
    const struct paper_message empty = {0};
    const uint32_t members[] = {1, 4, 127};
    const struct viewchange_message *messages[3];
    for (uint32_t i = 0; i < 3; i++) {
        read_into(&read_messages[i], members[i], 9, &empty);
        messages[i] = &read_messages[i];
    }
    viewchange_plan_of(9, messages, members, 3, &plan);
    assert_int_equal(plan.view, 9);
    assert_int_equal(plan.member_count, 3);
    assert_memory_equal(plan.members, members, sizeof members);
}

/* Rule 6. */
static void test_viewchange_plan_low_is_the_highest_proven_checkpoint(void **state)
{
    (void)state;
    static const struct plan_case cases[] = {
        {.want_low = 0, .want = ""},
        {.v = {{K, {{0}}}, {0, {{0}}}, {0, {{0}}}}, .want_low = K, .want = ""},
        {.v = {{0, {{0}}}, {0, {{0}}}, {K, {{0}}}}, .want_low = K, .want = ""},
        {.v = {{K, {{0}}}, {2 * K, {{0}}}, {K, {{0}}}}, .want_low = 2 * K, .want = ""},
        /* what is at or below it is not proposed again */
        {.v = {{0, {{1, 0, 'A', 0}}}, {0, {{K, 0, 'A', 0}}}, {K, {{0}}}}, .want_low = K, .want = ""},
        {.v = {{0, {{K, 0, 'A', 0}, {K + 1, 0, 'B', 0}}}, {K, {{0}}}, {0, {{0}}}}, .want_low = K, .want = "B"},
    };
    ASSERT_CASES(cases);
}

/* Rule 1. */
static void test_viewchange_plan_takes_the_digest_of_the_highest_view(void **state)
{
    (void)state;
    static const struct plan_case cases[] = {
        {.v = {{0, {{1, 0, 'A', 0}}}, {0, {{1, 1, 'B', 0}}}, {0, {{1, 0, 'A', 0}}}}, .want = "B"},
        {.v = {{0, {{1, 2, 'C', 0}}}, {0, {{1, 1, 'B', 0}}}, {0, {{1, 0, 'A', 0}}}}, .want = "C"},
        {.v = {{0, {{1, 0, 'A', 0}}}, {0, {{1, 1, 'B', 0}}}, {0, {{1, 2, 'C', 0}}}}, .want = "C"},
        /* a null batch that prepared in a later view wins too */
        {.v = {{0, {{1, 0, 'A', 0}}}, {0, {{1, 1, '0', 0}}}, {0, {{0}}}}, .want = "0"},
        /* several for one n in one message, in any order */
        {.v = {{0, {{1, 0, 'A', 0}, {1, 2, 'C', 0}, {1, 1, 'B', 0}}}, {0, {{0}}}, {0, {{0}}}}, .want = "C"},
        {.v = {{0, {{1, 2, 'C', 0}, {1, 1, 'B', 0}}}, {0, {{1, 1, 'B', 0}}}, {0, {{0}}}}, .want = "C"},
        {.v = {{0, {{1, 0, 'A', 0}, {1, 1, 'B', 0}}}, {0, {{0}}}, {0, {{1, 2, 'C', 0}}}}, .want = "C"},
    };
    ASSERT_CASES(cases);
}

static void test_viewchange_plan_fills_gaps_only_with_null(void **state)
{
    (void)state;
    static const struct plan_case cases[] = {
        {.v = {{0, {{3, 0, 'A', 0}}}, {0, {{0}}}, {0, {{1, 0, 'B', 0}}}}, .want = "B0A"},
        {.v = {{0, {{K + 2, 0, 'A', 0}}}, {K, {{0}}}, {0, {{0}}}}, .want_low = K, .want = "0A"},
        {.v = {{0, {{2, 0, 'A', 0}}}, {0, {{1, 1, 'B', 0}}}, {0, {{4, 2, 'C', 0}}}}, .want = "BA0C"},
    };
    ASSERT_CASES(cases);
}

/* Rule 4. */
static void test_viewchange_plan_voids_a_bad_certificate_alone(void **state)
{
    (void)state;
    static const struct plan_case cases[] = {
        {.v = {{0, {{1, 0, 'A', 1}}}, {0, {{0}}}, {0, {{0}}}}, .want = ""},
        {.v = {{0, {{1, 0, 'A', 0}, {1, 2, 'C', 1}}}, {0, {{0}}}, {0, {{0}}}}, .want = "A"},
        {.v = {{0, {{1, 2, 'C', 1}, {1, 0, 'A', 0}, {2, 0, 'B', 0}}}, {0, {{0}}}, {0, {{0}}}}, .want = "AB"},
        {.v = {{0, {{2, 0, 'B', 0}, {3, 0, 'A', 1}}}, {0, {{1, 2, 'C', 1}}}, {0, {{1, 0, 'A', 0}}}}, .want = "AB"},
    };
    ASSERT_CASES(cases);
}

static void test_viewchange_plan_voids_a_certificate_of_no_earlier_view(void **state)
{
    (void)state;
    static const struct plan_case cases[] = {
        {.v = {{0, {{1, 3, 'C', 0}}}, {0, {{1, 2, 'A', 0}}}, {0, {{0}}}}, .want = "A"},
        {.v = {{0, {{1, 4, 'C', 0}, {1, 0, 'A', 0}}}, {0, {{0}}}, {0, {{2, VIEW_MAX, 'C', 0}}}}, .want = "A"},
    };
    ASSERT_CASES(cases);
}

/* Slots are n mod L: what lies outside would stand for another n. */
static void test_viewchange_plan_voids_a_certificate_outside_its_senders_window(void **state)
{
    (void)state;
    static const struct plan_case cases[] = {
        {.v = {{0, {{L + 1, 0, 'A', 0}}}, {0, {{1, 0, 'B', 0}}}, {0, {{0}}}}, .want = "B"},
        {.v = {{0, {{L + 1, 1, 'A', 0}, {1, 0, 'B', 0}}}, {0, {{0}}}, {0, {{0}}}}, .want = "B"},
        {.v = {{0, {{0, 0, 'A', 0}}}, {0, {{0}}}, {0, {{0}}}}, .want = ""},
        {.v = {{0, {{SEQ_MAX, 0, 'A', 0}}}, {0, {{0}}}, {0, {{0}}}}, .want = ""},
        {.v = {{K, {{K, 0, 'A', 0}}}, {0, {{0}}}, {0, {{0}}}}, .want_low = K, .want = ""},
        {.v = {{K, {{1, 0, 'A', 0}, {K + 1, 0, 'B', 0}}}, {0, {{0}}}, {0, {{0}}}}, .want_low = K, .want = "B"},
        /* inside the window of the highest checkpoint, but not of its sender's */
        {.v = {{0, {{L + 1, 0, 'A', 0}}}, {K, {{0}}}, {0, {{0}}}}, .want_low = K, .want = ""},
        /* n = 1 of one sender is not n = L + 1 of the set */
        {.v = {{0, {{1, 2, 'A', 0}}}, {K, {{0}}}, {K, {{K + 1, 0, 'B', 0}}}}, .want_low = K, .want = "B"},
    };
    ASSERT_CASES(cases);
}

static void test_viewchange_plan_reaches_the_high_watermark(void **state)
{
    (void)state;
    for (uint64_t low = 0; low <= 2 * K; low += K) {
        const struct viewchange_kit_claim p[] = {{low + L, 0, 'A', 0}, {low + L + 1, 1, 'B', 0}, {low + 1, 0, 'C', 0}};
        const struct paper_message v[] = {{low, 3, p}, {0, 0, NULL}, {low, 0, NULL}};
        char want[L + 1];
        memset(want, VIEWCHANGE_KIT_NULL, L);
        want[0] = 'C';
        want[L - 1] = 'A';
        want[L] = '\0';
        plan_of(3, v, 3);
        assert_plan(low, want);
    }
}

static void test_viewchange_plan_takes_a_whole_window_of_certificates(void **state)
{
    (void)state;
    struct viewchange_kit_claim p[L];
    char want[L + 1] = {0};
    for (uint32_t k = 0; k < L; k++) {
        p[k] = (struct viewchange_kit_claim){.seq = K + L - k, .view = k % 3, .batch = (char)('A' + k % 26)};
        p[k].bad = k % 5 == 0 && k != 0; /* verdicts in every word of `good` */
        want[L - 1 - k] = p[k].bad ? VIEWCHANGE_KIT_NULL : p[k].batch;
    }
    const struct paper_message v[] = {{0, 0, NULL}, {K, L, p}, {0, 0, NULL}};
    plan_of(3, v, 3);
    assert_plan(K, want);
}

static void test_viewchange_read_keeps_what_is_signed_and_replaces_what_was(void **state)
{
    (void)state;
    static const struct viewchange_kit_claim first[] = {{5, 0, 'A', 0}};
    struct viewchange_kit_message a;
    struct viewchange_kit_message b;
    static struct viewchange_message out;
    viewchange_kit_make(1, 7, 0, first, 1, &a);
    viewchange_kit_make(1, 8, K, NULL, 0, &b);
    viewchange_kit_read(&a, &out);
    assert_true(out.claims[5].present);
    viewchange_kit_read(&a, &out); /* into itself */
    assert_int_equal(a.blob->refs, 2);
    viewchange_kit_read(&b, &out);
    assert_int_equal(a.blob->refs, 1);
    assert_int_equal(b.blob->refs, 2);
    assert_ptr_equal(out.blob, b.blob);
    assert_memory_equal(out.id.bytes, b.id.bytes, DIGEST_BYTES);
    assert_int_equal(out.view, 8);
    assert_int_equal(out.low, K);
    assert_false(out.claims[5].present);
    blob_release(out.blob);
    viewchange_kit_release(&a);
    viewchange_kit_release(&b);
}

/* It may hold the last reference to what it reads again. */
static void test_viewchange_read_of_its_own_blob_again_keeps_it(void **state)
{
    (void)state;
    struct viewchange_kit_message m;
    static struct viewchange_message out;
    viewchange_kit_make(1, 7, K, NULL, 0, &m);
    viewchange_kit_read(&m, &out);
    blob_release(m.blob);
    assert_int_equal(out.blob->refs, 1);
    viewchange_kit_read(&m, &out);
    assert_int_equal(out.blob->refs, 1);
    assert_int_equal(out.low, K);
    blob_release(out.blob);
}

/* ---- every set of a small domain ---- */

/* What a member may say, all of it combined: its checkpoint, of n = K+1, of K+2, and of the two n of one slot. */
#define ROW 3u
static const uint64_t small_low[] = {0, K};
static const struct viewchange_kit_claim small_first[][ROW] = {
    {{0}}, {{K + 1, 0, 'A', 0}}, {{K + 1, 1, 'B', 0}}, {{K + 1, 1, 'C', 1}}};
static const struct viewchange_kit_claim small_second[][ROW] = {
    {{0}}, {{K + 2, 1, 'A', 0}}, {{K + 2, 1, 'A', 0}, {K + 2, 0, 'B', 0}}, {{K + 2, 2, 'C', 0}}};
static const struct viewchange_kit_claim small_third[][ROW] = {{{0}}, {{1, 0, 'D', 0}}, {{L + 1, 0, 'E', 0}}};
#define SMALL_COUNT (2u * 4u * 4u * 3u)

static uint32_t append(struct viewchange_kit_claim *to, uint32_t count, const struct viewchange_kit_claim row[ROW])
{
    for (uint32_t k = 0; k < ROW && row[k].batch != 0; k++)
        to[count++] = row[k];
    return count;
}

/* N = 4: all sets of three messages for view 2. */
static void test_viewchange_plan_of_every_small_set_is_the_papers(void **state)
{
    (void)state;
    static struct viewchange_message options[SMALL_COUNT];
    static struct viewchange_kit_claim claims[SMALL_COUNT][3 * ROW];
    struct paper_message paper[SMALL_COUNT];
    const uint32_t members[] = {0, 1, 3};
    for (uint32_t o = 0; o < SMALL_COUNT; o++) {
        uint32_t count = append(claims[o], 0, small_first[o / 2 % 4]);
        count = append(claims[o], count, small_second[o / 8 % 4]);
        count = append(claims[o], count, small_third[o / 32]);
        paper[o] = (struct paper_message){.checkpoint = small_low[o % 2], .count = count, .p = claims[o]};
        read_into(&options[o], 0, 2, &paper[o]);
    }
    for (uint32_t set = 0; set < SMALL_COUNT * SMALL_COUNT * SMALL_COUNT; set++) {
        const uint32_t a = set % SMALL_COUNT;
        const uint32_t b = set / SMALL_COUNT % SMALL_COUNT;
        const uint32_t c = set / SMALL_COUNT / SMALL_COUNT;
        const struct viewchange_message *messages[] = {&options[a], &options[b], &options[c]};
        const struct paper_message v[] = {paper[a], paper[b], paper[c]};
        viewchange_plan_of(2, messages, members, 3, &plan);
        const char *fault = paper_differs(v, 3, &plan);
        if (fault != NULL) fail_msg("set %u: %s", set, fault);
    }
    for (uint32_t o = 0; o < SMALL_COUNT; o++)
        blob_release(options[o].blob);
}

/* ---- random sets ---- */

#define RANDOM_VIEW 4u

static struct viewchange_kit_claim random_claim(struct prng *r)
{
    static const uint64_t seqs[] = {0,     1,     2,         K - 1, K,         K + 1,     K + 2, L - 1,     L,
                                    L + 1, L + 2, K + L - 1, K + L, K + L + 1, 2 * L - 1, 2 * L, 2 * L + 1, SEQ_MAX};
    struct viewchange_kit_claim c = {.view = prng_below(r, RANDOM_VIEW + 2), .bad = prng_below(r, 4) == 0};
    c.seq = prng_below(r, 4) != 0 ? seqs[prng_below(r, sizeof seqs / sizeof *seqs)] : prng_below(r, 3 * L);
    c.batch = (char)('A' + (c.seq * 7 + c.view * 3) % 20);                 /* one batch for a view and n ... */
    if (prng_below(r, 16) == 0) c.batch = (char)('A' + prng_below(r, 20)); /* ... as a rule */
    if (prng_below(r, 8) == 0) c.batch = VIEWCHANGE_KIT_NULL;
    return c;
}

static void test_viewchange_plan_of_random_sets_is_the_papers(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 4, 5, 6, 7, 13};
    static struct viewchange_kit_claim claims[13][L];
    for (uint64_t seed = 0; seed < 48000; seed++) {
        struct prng r = prng_of(seed);
        const uint32_t q = quorum_of(sizes[seed % 6]).quorum;
        struct paper_message v[13];
        for (uint32_t i = 0; i < q; i++) {
            v[i] = (struct paper_message){.checkpoint = K * prng_below(&r, 3), .p = claims[i]};
            v[i].count = (uint32_t)prng_below(&r, prng_below(&r, 100) == 0 ? L + 1 : 9);
            for (uint32_t k = 0; k < v[i].count; k++)
                claims[i][k] = random_claim(&r);
        }
        plan_of(RANDOM_VIEW, v, q);
        const char *fault = paper_differs(v, q, &plan);
        if (fault != NULL) fail_msg("seed %u: %s", (unsigned)seed, fault);
    }
}

static int group_setup(void **state)
{
    (void)state;
    null_digest = batch_digest(0, NULL, 0);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < REPLICAS_MAX; i++)
        blob_release(read_messages[i].blob);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_viewchange_null_digest_is_of_no_requests_at_time_zero),
        cmocka_unit_test(test_viewchange_plan_names_view_and_members),
        cmocka_unit_test(test_viewchange_plan_low_is_the_highest_proven_checkpoint),
        cmocka_unit_test(test_viewchange_plan_takes_the_digest_of_the_highest_view),
        cmocka_unit_test(test_viewchange_plan_fills_gaps_only_with_null),
        cmocka_unit_test(test_viewchange_plan_voids_a_bad_certificate_alone),
        cmocka_unit_test(test_viewchange_plan_voids_a_certificate_of_no_earlier_view),
        cmocka_unit_test(test_viewchange_plan_voids_a_certificate_outside_its_senders_window),
        cmocka_unit_test(test_viewchange_plan_reaches_the_high_watermark),
        cmocka_unit_test(test_viewchange_plan_takes_a_whole_window_of_certificates),
        cmocka_unit_test(test_viewchange_read_keeps_what_is_signed_and_replaces_what_was),
        cmocka_unit_test(test_viewchange_read_of_its_own_blob_again_keeps_it),
        cmocka_unit_test(test_viewchange_plan_of_every_small_set_is_the_papers),
        cmocka_unit_test(test_viewchange_plan_of_random_sets_is_the_papers),
    };
    return cmocka_run_group_tests_name("viewchange_plan", tests, group_setup, group_teardown);
}
