/* generals.c - see generals.h. */
#include "bench/generals.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/prng.h"

#include <stdlib.h>

struct field {
    const struct generals *g;
    struct prng random;
    uint64_t messages;
    bool given_up;
};

static bool is_traitor(const struct generals *g, uint32_t id)
{
    return (g->traitors >> id & 1u) != 0;
}

static void count(struct field *f)
{
    f->messages++;
    if (f->messages > f->g->messages_max) f->given_up = true;
}

/* IC1 and IC2 over what each lieutenant decides. */
static struct generals_result judge(const struct field *f, const uint32_t *decisions)
{
    const struct generals *g = f->g;
    struct generals_result r = {.ended = !f->given_up, .same = true, .obeyed = true, .messages = f->messages};
    uint32_t first = UINT32_MAX;
    for (uint32_t id = 1; id < g->count; id++) {
        if (is_traitor(g, id)) continue;
        if (first == UINT32_MAX) first = decisions[id];
        if (decisions[id] != first) r.same = false;
        if (!is_traitor(g, 0) && decisions[id] != g->order) r.obeyed = false;
    }
    return r;
}

/* ---- OM(m) ---- */

/* What arrives; a traitor says anything, or nothing, which is taken for a retreat. */
static uint32_t say(struct field *f, uint32_t from, uint32_t value)
{
    if (is_traitor(f->g, from)) {
        const uint64_t drawn = prng_below(&f->random, 3);
        if (drawn == 2) return 0;
        value = (uint32_t)drawn;
    }
    count(f);
    return value;
}

/* OM(m) among a commander and his lieutenants: taken[i] is what lieutenants[i] takes his order to be. */
static void oral(struct field *f, uint32_t m, uint32_t commander, const uint8_t *lieutenants, uint32_t lieutenant_count,
                 uint32_t value, uint8_t *taken)
{
    uint8_t received[GENERALS_MAX];
    uint8_t attacks[GENERALS_MAX]; /* votes for it, of the lieutenants as each takes them */
    for (uint32_t i = 0; i < lieutenant_count; i++)
        taken[i] = attacks[i] = received[i] = (uint8_t)say(f, commander, value);
    if (m == 0) return;
    for (uint32_t j = 0; j < lieutenant_count && !f->given_up;
         j++) { /* each passes on what he received, as commander of the others */
        uint8_t others[GENERALS_MAX];
        uint8_t heard[GENERALS_MAX];
        uint32_t other_count = 0;
        for (uint32_t i = 0; i < lieutenant_count; i++)
            if (i != j) others[other_count++] = lieutenants[i];
        oral(f, m - 1, lieutenants[j], others, other_count, received[j], heard);
        for (uint32_t i = 0; i < lieutenant_count; i++)
            if (i != j) attacks[i] = (uint8_t)(attacks[i] + heard[i > j ? i - 1 : i]);
    }
    for (uint32_t i = 0; i < lieutenant_count; i++)
        taken[i] = 2u * attacks[i] > lieutenant_count; /* the majority; none: retreat */
}

struct generals_result generals_oral(const struct generals *g)
{
    struct field f = {.g = g, .random = prng_of(g->seed)};
    uint8_t lieutenants[GENERALS_MAX];
    uint8_t taken[GENERALS_MAX] = {0};
    uint32_t decisions[GENERALS_MAX] = {0};
    CHECK(g->count >= 2 && g->count <= GENERALS_MAX && g->rounds + 2 <= g->count);
    for (uint32_t id = 1; id < g->count; id++)
        lieutenants[id - 1] = (uint8_t)id;
    oral(&f, g->rounds, 0, lieutenants, g->count - 1, g->order, taken);
    for (uint32_t id = 1; id < g->count; id++)
        decisions[id] = taken[id - 1];
    return judge(&f, decisions);
}

/* ---- SM(m) ---- */

/* An order with the signatures that it carries, on its way. */
struct signed_order {
    uint64_t signers; /* the commander first; each signed what was there before him */
    uint32_t value;
    uint32_t to;
};

struct post {
    struct signed_order *items;
    size_t count;
    size_t cap;
};

static void send_signed(struct field *f, struct post *p, struct signed_order o)
{
    if (f->given_up) return;
    count(f);
    if (p->count == p->cap) {
        p->cap = p->cap == 0 ? 1024 : 2 * p->cap;
        p->items = mem_resize(p->items, p->cap * sizeof *p->items);
    }
    p->items[p->count++] = o;
}

/* A loyal lieutenant passes an order on when it is new to him; a traitor to some, again and again. */
static void pass_on(struct field *f, struct post *p, const struct signed_order *o, bool is_new)
{
    const struct generals *g = f->g;
    const bool traitor = is_traitor(g, o->to);
    const uint32_t signatures = (uint32_t)__builtin_popcountll(o->signers);
    if (signatures > g->rounds || (!is_new && !traitor)) return;
    for (uint32_t id = 1; id < g->count; id++) {
        if (id == o->to || (o->signers >> id & 1u) != 0) continue;
        if (traitor && prng_below(&f->random, 2) == 0) continue;
        send_signed(f, p, (struct signed_order){.signers = o->signers | 1ull << o->to, .value = o->value, .to = id});
    }
}

struct generals_result generals_signed(const struct generals *g)
{
    struct field f = {.g = g, .random = prng_of(g->seed)};
    struct post p = {0};
    uint32_t known[GENERALS_MAX] = {0}; /* V: a bit for each order */
    uint32_t decisions[GENERALS_MAX] = {0};
    CHECK(g->count >= 2 && g->count <= GENERALS_MAX && g->rounds + 2 <= g->count);
    for (uint32_t id = 1; id < g->count; id++)
        for (uint32_t value = 0; value <= 1; value++) { /* a traitor in command signs either, or both */
            const bool sends = is_traitor(g, 0) ? prng_below(&f.random, 2) == 0 : value == g->order;
            if (sends) send_signed(&f, &p, (struct signed_order){.signers = 1, .value = value, .to = id});
        }
    for (size_t at = 0; at < p.count; at++) {
        const struct signed_order o = p.items[at];
        const bool is_new = (known[o.to] >> o.value & 1u) == 0;
        known[o.to] |= 1u << o.value;
        pass_on(&f, &p, &o, is_new);
    }
    for (uint32_t id = 1; id < g->count; id++)
        decisions[id] = known[id] == 2; /* one order, to attack; none or two: retreat */
    free(p.items);
    return judge(&f, decisions);
}

/* ---- formulas ---- */

uint64_t generals_oral_messages(uint32_t generals, uint32_t rounds)
{
    uint64_t sum = 0;
    uint64_t product = 1;
    for (uint32_t k = 0; k <= rounds && k + 1 < generals; k++) {
        if (__builtin_mul_overflow(product, (uint64_t)(generals - 1 - k), &product)) return UINT64_MAX;
        if (__builtin_add_overflow(sum, product, &sum)) return UINT64_MAX;
    }
    return sum;
}

uint64_t generals_signed_messages(uint32_t generals, uint32_t rounds)
{
    const uint64_t n = generals;
    return rounds == 0 ? n - 1 : (n - 1) + (n - 1) * (n - 2);
}
