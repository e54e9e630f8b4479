/* test_viewchange_safety.c - nothing that may have committed is lost: random histories of a group with f liars, whose
 * NEW-VIEWs are made by viewchange_plan_of from any Q VIEW-CHANGEs that there can be. Once Q members may have prepared
 * a batch at n, every NEW-VIEW of a later view carries it, or a checkpoint at or above n (OSDI'99 section 4.5).
 *
 * Asynchrony is the order of events: each correct member votes, prepares, learns a checkpoint, leaves its view, or
 * enters another, at random. Liars vote for everything; their VIEW-CHANGEs show any certificates that can exist, and
 * bad ones. */
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
#define MEMBERS_MAX 7u
#define VIEWS 5u
#define NEW_VIEWS_MAX 24u
#define EVENTS 1000u

/* The sequences looked at: the edges of the windows, and pairs that differ by L. */
#define SEQS 7u
static const uint64_t seqs[SEQS] = {1, K, K + 1, L, L + 1, K + L, K + L + 1};

static const char letters[] = {'0', 'A', 'B'};

struct member {
    bool liar;
    uint64_t view;
    bool entered;
    uint32_t new_view; /* by which it entered */
    uint64_t low;
    char voted[VIEWS][SEQS];
    char prepared[VIEWS][SEQS];
    struct viewchange_message said[VIEWS]; /* its VIEW-CHANGE for this view */
};

struct new_view {
    uint64_t view;
    uint64_t low;
    uint64_t high;
    char batch[SEQS]; /* in (low, high] */
};

struct history {
    struct prng random;
    struct quorum quorum;
    struct member members[MEMBERS_MAX];
    struct new_view new_views[NEW_VIEWS_MAX]; /* the first is how view 0 begins */
    uint32_t new_view_count;
    char locked[VIEWS][SEQS]; /* may have committed in this view */
    bool changed;             /* locked or new_views, since broken() last looked */
};

static struct history history;
static uint64_t carried; /* by how many NEW-VIEWs of a history, counted when broken() last looked */

static bool chance(uint32_t of)
{
    return prng_below(&history.random, of) == 0;
}

static bool primary_lies(uint64_t view)
{
    return history.members[quorum_primary(&history.quorum, view)].liar;
}

/* ---- what can exist ---- */

static uint32_t count_letter(bool prepared, uint64_t view, uint32_t s, char letter)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < history.quorum.replica_count; id++) {
        const struct member *m = &history.members[id];
        if (m->liar || (prepared ? m->prepared[view][s] : m->voted[view][s]) == letter) count++;
    }
    return count;
}

/* A prepared certificate: the primary's PRE-PREPARE, Q votes in all, those of the liars at will. */
static bool can_exist(uint64_t view, uint32_t s, char letter)
{
    const struct member *primary = &history.members[quorum_primary(&history.quorum, view)];
    if (!primary->liar && primary->voted[view][s] != letter) return false;
    return count_letter(false, view, s, letter) >= history.quorum.quorum;
}

static bool may_have_committed(uint32_t s)
{
    for (uint32_t view = 0; view < VIEWS; view++)
        if (history.locked[view][s] != 0) return true;
    return false;
}

/* A checkpoint certificate: everything up to it committed. */
static bool checkpoint_can_exist(uint64_t seq)
{
    for (uint32_t s = 0; s < SEQS; s++)
        if (seqs[s] <= seq && !may_have_committed(s)) return false;
    return true;
}

/* ---- the property ---- */

static const char *broken(void)
{
    carried = 0;
    for (uint32_t view = 0; view < VIEWS; view++) {
        for (uint32_t s = 0; s < SEQS; s++) {
            const char letter = history.locked[view][s];
            if (letter == 0) continue;
            for (uint32_t later = view + 1; later < VIEWS; later++)
                if (history.locked[later][s] != 0 && history.locked[later][s] != letter) return "two batches at one n";
            for (uint32_t k = 0; k < history.new_view_count; k++) {
                const struct new_view *n = &history.new_views[k];
                if (n->view <= view || n->low >= seqs[s]) continue;
                if (n->high < seqs[s] || n->batch[s] != letter) return "a NEW-VIEW lost a batch";
                carried++;
            }
        }
    }
    return NULL;
}

/* ---- events ---- */

static char letter_at(const struct member *m, uint32_t s)
{
    const struct new_view *n = &history.new_views[m->new_view];
    if (seqs[s] <= n->low) return 0;
    if (seqs[s] <= n->high) return n->batch[s];
    if (primary_lies(m->view) && chance(3)) return chance(2) ? 'A' : 'B';
    return (m->view + s) % 2 == 0 ? 'A' : 'B';
}

static void vote(struct member *m)
{
    for (uint32_t s = 0; s < SEQS; s++) {
        char *voted = &m->voted[m->view][s];
        if (*voted != 0 || seqs[s] <= m->low || seqs[s] > m->low + L || chance(4)) continue;
        *voted = letter_at(m, s);
    }
}

static void prepare(struct member *m)
{
    for (uint32_t s = 0; s < SEQS; s++) {
        const char letter = m->voted[m->view][s];
        if (letter == 0 || seqs[s] <= m->low || chance(3) || !can_exist(m->view, s, letter)) continue;
        m->prepared[m->view][s] = letter;
        if (count_letter(true, m->view, s, letter) < history.quorum.quorum) continue;
        history.locked[m->view][s] = letter;
        history.changed = true;
    }
}

static void raise_low(struct member *m, uint64_t low)
{
    if (low > m->low) m->low = low;
}

static void learn_checkpoint(struct member *m)
{
    const uint64_t next = m->low + K;
    if (next <= L && checkpoint_can_exist(next)) raise_low(m, next);
}

static void say(struct viewchange_message *out, uint32_t id, uint64_t view, uint64_t low,
                const struct viewchange_kit_claim *p, uint32_t count)
{
    struct viewchange_kit_message m;
    viewchange_kit_make(id, view, low, p, count, &m);
    viewchange_kit_read(&m, out);
    viewchange_kit_release(&m);
}

/* For each n above its checkpoint, the certificate of the highest view in which it prepared. */
static void leave(struct member *m, uint32_t id)
{
    struct viewchange_kit_claim p[SEQS];
    uint32_t count = 0;
    if (m->view + 1 >= VIEWS) return;
    const uint64_t to = m->view + 1 + prng_below(&history.random, chance(4) ? VIEWS - 1 - m->view : 1);
    for (uint32_t s = 0; s < SEQS; s++) {
        uint64_t view = to;
        while (view > 0 && m->prepared[view - 1][s] == 0)
            view--;
        if (view == 0 || seqs[s] <= m->low) continue;
        p[count++] = (struct viewchange_kit_claim){.seq = seqs[s], .view = view - 1, .batch = m->prepared[view - 1][s]};
    }
    m->view = to;
    m->entered = false;
    say(&m->said[to], id, to, m->low, p, count);
}

/* Any certificates that can exist, and bad ones, in any order, above any checkpoint that can exist. */
static void lie(struct viewchange_message *out, uint32_t id, uint64_t to)
{
    struct viewchange_kit_claim p[L];
    uint32_t count = 0;
    uint64_t low = K * prng_below(&history.random, 3);
    const bool downwards = chance(2);
    while (!checkpoint_can_exist(low))
        low -= K;
    for (uint32_t s = 0; s < SEQS; s++) {
        for (uint32_t k = 0; k < VIEWS; k++) {
            for (uint32_t i = 0; i < sizeof letters; i++) {
                struct viewchange_kit_claim c = {.seq = seqs[s], .view = downwards ? VIEWS - 1 - k : k};
                c.batch = letters[i];
                c.bad = !can_exist(c.view, s, c.batch);
                if (chance(c.bad ? 4 : 2)) p[count++] = c;
            }
        }
    }
    say(out, id, to, low, p, count);
}

/* A NEW-VIEW of the primary of `view`, of Q random members that have asked for it, if there are so many. */
static void make_new_view(uint64_t view)
{
    static struct viewchange_message lies[MEMBERS_MAX];
    static struct viewchange_plan plan;
    const struct viewchange_message *messages[MEMBERS_MAX];
    uint32_t members[MEMBERS_MAX];
    uint32_t count = 0;
    uint32_t left_out = history.quorum.replica_count - history.quorum.quorum;
    if (history.new_view_count == NEW_VIEWS_MAX) return;
    for (uint32_t k = 0; k < history.new_view_count; k++) /* a correct primary makes one */
        if (history.new_views[k].view == view && !primary_lies(view)) return;
    for (uint32_t id = 0; id < history.quorum.replica_count && count < history.quorum.quorum; id++) {
        struct member *m = &history.members[id];
        if (left_out > 0 && chance(3)) {
            left_out--;
            continue;
        }
        if (!m->liar && m->said[view].blob == NULL) continue;
        if (m->liar) lie(&lies[id], id, view);
        messages[count] = m->liar ? &lies[id] : &m->said[view];
        members[count++] = id;
    }
    if (count == history.quorum.quorum) {
        struct new_view *n = &history.new_views[history.new_view_count++];
        history.changed = true;
        viewchange_plan_of(view, messages, members, count, &plan);
        *n = (struct new_view){.view = view, .low = plan.low, .high = plan.high};
        for (uint32_t s = 0; s < SEQS; s++) {
            for (uint32_t i = 0; i < sizeof letters && seqs[s] > n->low && seqs[s] <= n->high; i++) {
                const struct digest d = viewchange_kit_batch(letters[i]);
                if (digest_equal(&plan.proposals[seqs[s] - n->low - 1], &d)) n->batch[s] = letters[i];
            }
        }
    }
    for (uint32_t id = 0; id < MEMBERS_MAX; id++) {
        blob_release(lies[id].blob);
        lies[id].blob = NULL;
    }
}

static void enter(struct member *m)
{
    const uint32_t k = (uint32_t)prng_below(&history.random, history.new_view_count);
    const struct new_view *n = &history.new_views[k];
    if (n->view < m->view || (n->view == m->view && m->entered)) return;
    m->view = n->view;
    m->entered = true;
    m->new_view = k;
    raise_low(m, n->low);
}

static void happen(void)
{
    const uint32_t id = (uint32_t)prng_below(&history.random, history.quorum.replica_count);
    struct member *m = &history.members[id];
    const uint64_t what = prng_below(&history.random, 16);
    if (what == 0) make_new_view(1 + prng_below(&history.random, VIEWS - 1));
    if (m->liar) return;
    if (what == 1) learn_checkpoint(m);
    if (what == 2 && chance(2)) leave(m, id);
    if (what >= 3 && what < 6) enter(m);
    if (what >= 6 && what < 11 && m->entered) vote(m);
    if (what >= 11 && m->entered) prepare(m);
}

static void run(uint32_t size, uint64_t seed)
{
    memset(&history, 0, sizeof history);
    history.random = prng_of(seed);
    history.quorum = quorum_of(size);
    history.new_view_count = 1;
    for (uint32_t id = 0; id < size; id++)
        history.members[id].entered = true;
    for (uint32_t liars = 0; liars < history.quorum.faulty_max;) {
        struct member *m = &history.members[prng_below(&history.random, size)];
        if (!m->liar) liars++;
        m->liar = true;
    }
    carried = 0;
    for (uint32_t k = 0; k < EVENTS; k++) {
        history.changed = false;
        happen();
        const char *fault = history.changed ? broken() : NULL;
        if (fault != NULL) fail_msg("seed %u, N = %u, event %u: %s", (unsigned)seed, size, k, fault);
    }
    for (uint32_t id = 0; id < size; id++)
        for (uint32_t view = 0; view < VIEWS; view++)
            blob_release(history.members[id].said[view].blob);
}

static void test_viewchange_safety_what_may_have_committed_is_in_every_later_new_view(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {4, 5, 6, 7};
    uint64_t sum = 0;
    for (uint64_t seed = 0; seed < 4000; seed++) {
        run(sizes[seed % 4], seed);
        sum += carried;
    }
    assert_true(sum > 10000); /* it was put to the test */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_viewchange_safety_what_may_have_committed_is_in_every_later_new_view),
    };
    return cmocka_run_group_tests_name("viewchange_safety", tests, NULL, NULL);
}
