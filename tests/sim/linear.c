/* linear.c - the search for an order, key by key. */
#include "tests/sim/linear.h"

#include "base/check.h"
#include "ledger/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct linear_history {
    struct linear_operation *items;
    size_t count;
    size_t cap;
};

struct linear_history *linear_new(void)
{
    return mem_zero(1, sizeof(struct linear_history));
}

void linear_free(struct linear_history *h)
{
    for (size_t i = 0; i < h->count; i++) {
        const char *texts[] = {h->items[i].client, h->items[i].key, h->items[i].value, h->items[i].expect,
                               h->items[i].result};
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
            free((void *)(uintptr_t)texts[k]);
    }
    free(h->items);
    free(h);
}

static const char *copy(const char *text)
{
    if (text == NULL) return NULL;
    const size_t len = strlen(text) + 1;
    char *out = mem_alloc(len);
    memcpy(out, text, len);
    return out;
}

void linear_add(struct linear_history *h, const struct linear_operation *op)
{
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 256 : 2 * h->cap;
        h->items = mem_resize(h->items, h->cap * sizeof *h->items);
    }
    struct linear_operation *o = &h->items[h->count++];
    *o = *op;
    o->client = copy(op->client);
    o->key = copy(op->key);
    o->value = copy(op->value);
    o->expect = copy(op->expect);
    o->result = copy(op->result);
}

uint64_t linear_count(const struct linear_history *h)
{
    return h->count;
}

const struct linear_operation *linear_at(const struct linear_history *h, uint64_t index)
{
    return index < h->count ? &h->items[index] : NULL;
}

/* ---- the model: one key holds one value, or none (NULL) ---- */

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* May this be what came of it when `before` was there? Sets what is there then. */
static bool fits(const struct linear_operation *o, const char *before, const char **after)
{
    const bool known = o->complete_us != UINT64_MAX;
    *after = before;
    switch (o->verb) {
    case LINEAR_PUT: *after = o->value; return !o->negative;
    case LINEAR_GET: return !known || (o->negative ? before == NULL : before != NULL && same(before, o->result));
    case LINEAR_DELETE: *after = NULL; return !known || o->negative == (before == NULL);
    case LINEAR_CAS: {
        const bool match = same(before, o->expect);
        if (match) *after = o->value;
        if (!known) return true;
        if (o->negative != !match) return false;
        return match || o->result == NULL || same(before, o->result);
    }
    }
    return false;
}

/* ---- one key ---- */

struct piece {
    const struct linear_operation **ops; /* by the time they began */
    uint32_t count;
    uint32_t open; /* of them complete, and not in the order yet */
    bool *taken;
    const struct linear_operation *stuck; /* what had no place when the search got furthest */
    uint32_t furthest;
};

static int by_place(const void *a, const void *b)
{
    const struct linear_operation *x = *(const struct linear_operation *const *)a;
    const struct linear_operation *y = *(const struct linear_operation *const *)b;
    if (x->block != y->block) return x->block < y->block ? -1 : 1;
    if (x->index != y->index) return x->index < y->index ? -1 : 1;
    return x->invoke_us < y->invoke_us ? -1 : x->invoke_us > y->invoke_us;
}

/* The order that the group claims for those that it has placed, and what is known of each place in it. */
struct claim {
    const struct linear_operation **sorted;
    uint32_t count;
    const char **values; /* count + 1: what is there before each, and after the last */
    uint64_t *began_us;  /* the latest beginning up to each */
    uint64_t *ends_us;   /* the earliest end from each on */
};

static void claim_make(struct claim *k, const struct piece *p)
{
    *k = (struct claim){.sorted = mem_alloc((p->count + 1u) * sizeof(void *)),
                        .values = mem_zero(p->count + 1u, sizeof *k->values),
                        .began_us = mem_alloc((p->count + 1u) * sizeof *k->began_us),
                        .ends_us = mem_alloc((p->count + 1u) * sizeof *k->ends_us)};
    for (uint32_t i = 0; i < p->count; i++) /* what never ended is not needed, if it fits without */
        if (p->ops[i]->complete_us != UINT64_MAX && p->ops[i]->placed) k->sorted[k->count++] = p->ops[i];
    qsort(k->sorted, k->count, sizeof k->sorted[0], by_place);
}

static void claim_free(struct claim *k)
{
    free(k->sorted);
    free(k->values);
    free(k->began_us);
    free(k->ends_us);
}

/* Fills in the rest; false when that order is none. */
static bool claim_holds(struct claim *k)
{
    uint64_t latest_us = 0;
    uint64_t earliest_us = UINT64_MAX;
    for (uint32_t i = 0; i < k->count; i++) {
        const struct linear_operation *o = k->sorted[i];
        if (o->complete_us < latest_us || !fits(o, k->values[i], &k->values[i + 1])) return false;
        if (o->invoke_us > latest_us) latest_us = o->invoke_us;
        k->began_us[i] = latest_us;
    }
    for (uint32_t i = k->count; i-- > 0;) {
        if (k->sorted[i]->complete_us < earliest_us) earliest_us = k->sorted[i]->complete_us;
        k->ends_us[i] = earliest_us;
    }
    return true;
}

/* The lowest index below count whose value, rising with it, is above `limit` (or not below it); else count. */
static uint32_t first_above(const uint64_t *rising, uint32_t count, uint64_t limit, bool or_equal)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (rising[middle] > limit || (or_equal && rising[middle] == limit))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The first place in the order, not before `least`, at which a get that has none can have seen what it saw. UINT32_MAX:
 * none. */
static uint32_t place_for(const struct claim *k, const struct linear_operation *get, uint32_t least)
{
    const uint32_t first =
        first_above(k->ends_us, k->count, get->invoke_us, true); /* all before it that ended before */
    const uint32_t last = first_above(k->began_us, k->count, get->complete_us, false);
    const char *after;
    for (uint32_t at = first > least ? first : least; at <= last; at++)
        if (fits(get, k->values[at], &after)) return at;
    return UINT32_MAX;
}

struct placed_get {
    uint64_t complete_us;
    uint32_t place;
};

/* The order that the group claims: is it one, and have gets for which it claims nothing (reads by quorum) a place in
 * it? Each takes the first that it can have, in the order in which they began, so that those which begin after its end
 * have most left. */
static bool claimed_order_holds(const struct piece *p)
{
    struct claim k;
    claim_make(&k, p);
    struct placed_get *recent =
        mem_alloc((p->count + 1u) * sizeof *recent); /* that may not have ended when the next begins */
    uint32_t recent_count = 0;
    uint32_t least = 0; /* of those that had ended */
    bool good = claim_holds(&k);
    for (uint32_t i = 0; good && i < p->count; i++) {
        const struct linear_operation *o = p->ops[i];
        uint32_t kept = 0;
        if (o->complete_us == UINT64_MAX || o->placed) continue;
        for (uint32_t r = 0; r < recent_count; r++)
            if (recent[r].complete_us >= o->invoke_us)
                recent[kept++] = recent[r];
            else if (recent[r].place > least)
                least = recent[r].place;
        recent_count = kept;
        const uint32_t place = o->verb == LINEAR_GET ? place_for(&k, o, least) : UINT32_MAX;
        recent[recent_count++] = (struct placed_get){.complete_us = o->complete_us, .place = place};
        good = place != UINT32_MAX;
    }
    free(recent);
    claim_free(&k);
    return good;
}

/* A get that saw what had been overwritten before it began, or was written after it ended: no search is needed for
 * these. */
static bool is_out_of_time(const struct piece *p, const struct linear_operation *get)
{
    const struct linear_operation *writer = NULL;
    if (get->verb != LINEAR_GET || get->negative || get->complete_us == UINT64_MAX) return false;
    for (uint32_t i = 0; i < p->count; i++) {
        if (!same(p->ops[i]->value, get->result) || p->ops[i]->value == NULL) continue;
        if (writer != NULL) return false; /* it may be the other one's */
        writer = p->ops[i];
    }
    if (writer == NULL || writer->invoke_us > get->complete_us) return true;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct linear_operation *o = p->ops[i];
        if (o == writer || o->verb == LINEAR_GET || (o->verb != LINEAR_PUT && o->negative)) continue;
        if (o->complete_us < get->invoke_us && writer->complete_us < o->invoke_us) return true;
    }
    return false;
}

static bool find_out_of_time(struct piece *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (is_out_of_time(p, p->ops[i])) {
            p->stuck = p->ops[i];
            return true;
        }
    return false;
}

/* What is in the order, and the value then, as bytes: all before `first`, and of those after it the ones set. */
static void remember(const struct piece *p, const char *value, struct buffer *out)
{
    uint32_t first = 0;
    uint32_t last = p->count;
    out->len = 0;
    while (first < p->count && p->taken[first])
        first++;
    while (last > first && !p->taken[last - 1])
        last--;
    buffer_append(out, &first, sizeof first);
    buffer_append(out, &last, sizeof last);
    for (uint32_t i = first; i < last; i += 8) {
        uint8_t bits = 0;
        for (uint32_t k = i; k < i + 8 && k < last; k++)
            if (p->taken[k]) bits |= (uint8_t)(1u << (k - i));
        buffer_append(out, &bits, 1);
    }
    buffer_append(out, value == NULL ? "0" : "1", 1);
    if (value != NULL) buffer_append(out, value, strlen(value));
}

struct choice {
    uint32_t op;
    const char *before;
};

/* The next operation that may come now, from `from` on: it began before every open one has ended. p->count: none. */
static uint32_t next_choice(const struct piece *p, uint32_t from, const char *value)
{
    uint64_t ended_us = UINT64_MAX;
    const char *after;
    for (uint32_t i = 0; i < p->count && p->ops[i]->invoke_us <= ended_us; i++)
        if (!p->taken[i] && p->ops[i]->complete_us < ended_us) ended_us = p->ops[i]->complete_us;
    for (uint32_t i = from; i < p->count && p->ops[i]->invoke_us <= ended_us; i++)
        if (!p->taken[i] && fits(p->ops[i], value, &after)) return i;
    return p->count;
}

/* Remembers the open operation that ended first, where the order was longest. */
static void note_stuck(struct piece *p, uint32_t depth)
{
    if (p->stuck != NULL && depth <= p->furthest) return;
    p->furthest = depth;
    p->stuck = NULL;
    for (uint32_t i = 0; i < p->count; i++)
        if (!p->taken[i] && (p->stuck == NULL || p->ops[i]->complete_us < p->stuck->complete_us)) p->stuck = p->ops[i];
}

static enum linear_verdict search(struct piece *p, uint64_t steps)
{
    struct choice *stack = mem_alloc((p->count + 1u) * sizeof *stack);
    struct map *tried = map_new();
    struct buffer state = {0};
    struct map_item item;
    enum linear_verdict verdict = LINEAR_BROKEN;
    const char *value = NULL;
    uint32_t depth = 0;
    uint32_t from = 0;
    while (p->open > 0 && steps-- > 0) {
        const uint32_t i = next_choice(p, from, value);
        if (i == p->count) {
            note_stuck(p, depth);
            if (depth == 0) break;
            const struct choice *back = &stack[--depth];
            p->taken[back->op] = false;
            if (p->ops[back->op]->complete_us != UINT64_MAX) p->open++;
            value = back->before;
            from = back->op + 1;
            continue;
        }
        const char *before = value;
        (void)fits(p->ops[i], before, &value);
        p->taken[i] = true;
        remember(p, value, &state);
        from = 0;
        if (map_get(tried, bytes_of(state.data, state.len), &item)) { /* no order goes on from here */
            p->taken[i] = false;
            value = before;
            from = i + 1;
            continue;
        }
        map_put(tried, bytes_of(state.data, state.len), bytes_of("", 0));
        stack[depth++] = (struct choice){.op = i, .before = before};
        if (p->ops[i]->complete_us != UINT64_MAX) p->open--;
    }
    if (p->open == 0)
        verdict = LINEAR_HOLDS;
    else if (steps == UINT64_MAX)
        verdict = LINEAR_UNCHECKED;
    buffer_free(&state);
    map_free(tried);
    free(stack);
    return verdict;
}

/* ---- all keys ---- */

static int by_key(const void *a, const void *b)
{
    const struct linear_operation *x = *(const struct linear_operation *const *)a;
    const struct linear_operation *y = *(const struct linear_operation *const *)b;
    const int order = strcmp(x->key, y->key);
    if (order != 0) return order;
    return x->invoke_us < y->invoke_us ? -1 : x->invoke_us > y->invoke_us;
}

static enum linear_verdict judge_key(struct piece *p, uint64_t steps, char *text, size_t text_bytes)
{
    if (claimed_order_holds(p)) return LINEAR_HOLDS;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->ops[i]->complete_us != UINT64_MAX) p->open++;
    const bool out_of_time = find_out_of_time(p);
    const enum linear_verdict v = out_of_time ? LINEAR_BROKEN : search(p, steps);
    const struct linear_operation *o = p->stuck;
    if (out_of_time) {
        (void)snprintf(text, text_bytes,
                       "key \"%s\": client %s's get of %" PRIu64 " to %" PRIu64
                       " us saw %s, which was overwritten before, or written later, or by nobody",
                       o->key, o->client, o->invoke_us, o->complete_us, o->result);
        return v;
    }
    if (v == LINEAR_UNCHECKED)
        (void)snprintf(text, text_bytes,
                       "key \"%s\" is unchecked: no order of its %u operations was found in %" PRIu64 " steps",
                       p->ops[0]->key, p->count, steps);
    if (v == LINEAR_BROKEN && o != NULL)
        (void)snprintf(
            text, text_bytes,
            "key \"%s\": no order of its %u operations fits; the best one ends before client %s's operation of %" PRIu64
            " us, whose result was %s%s",
            o->key, p->count, o->client, o->invoke_us, o->negative ? "negative" : "ok ",
            o->result == NULL ? "" : o->result);
    return v;
}

enum linear_verdict linear_judge(const struct linear_history *h, uint64_t steps, char *text, size_t text_bytes)
{
    const struct linear_operation **all = mem_alloc((h->count + 1u) * sizeof(void *));
    enum linear_verdict worst = LINEAR_HOLDS;
    for (size_t i = 0; i < h->count; i++)
        all[i] = &h->items[i];
    qsort(all, h->count, sizeof all[0], by_key);
    for (size_t first = 0; first < h->count && worst != LINEAR_BROKEN;) {
        size_t next = first;
        while (next < h->count && strcmp(all[next]->key, all[first]->key) == 0)
            next++;
        struct piece p = {.ops = &all[first], .count = (uint32_t)(next - first)};
        p.taken = mem_zero(p.count, sizeof *p.taken);
        const enum linear_verdict v = judge_key(&p, steps, text, text_bytes);
        if (v == LINEAR_BROKEN || worst == LINEAR_HOLDS) worst = v;
        free(p.taken);
        first = next;
    }
    free(all);
    return worst;
}
