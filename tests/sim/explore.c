/* explore.c - pbft-sim explore: everything that four replicas, one of them Byzantine, can come to within a few
 * sequences, views and steps, searched breadth first.
 *
 *     a global state is three numbers: of the state of each replica that keeps the rules, what it has said so far
 * included a step: one of these hears one message that somebody has said, or what it waits for times out
 *
 * What was said stays said: it can be heard in any order, again, or never, so that loss, reordering and duplication
 * need no steps of their own. The Byzantine member has no state: it may say any message of its list (below) at any time
 * to anybody, another one to each. So the step of a replica depends on its own state and the message alone, and is
 * computed once: cores are run only for new pairs of these, and the search over global states is one over numbers.
 * States are compared whole (core_image_write) but for the counts of evidence, global states too: no two different ones
 * are taken for one, but for a collision of SHA-256.
 *
 * What is left out, and said by --help: STATUS is never heard (all it does is to have things sent again), nothing is
 * said about later sequences and views, a replica's disk answers at once and nobody crashes; all requests have reached
 * every replica. */
#include "base/check.h"
#include "base/clock.h"
#include "tests/fixture/small_core.h"
#include "tests/sim/run.h"
#include "tests/sim/verbs.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMBERS 4u
#define HONEST 3u
#define MESSAGES_MAX 4096u
#define NEEDS_MAX 3u
#define SEQS_MAX 4u
#define NO_MESSAGE UINT32_MAX
#define ACTION_TIMEOUT 0x3fffffffu
#define REQUESTS 2u

static const char usage_text[] =
    "usage: pbft-sim explore [--byzantine ID] [--seqs N] [--views N] [--depth D] [--budget SECONDS] [--states N]\n"
    "\n"
    "Goes through every state that four replicas can come to, one of them Byzantine, breadth first: each step is a "
    "message that one\n"
    "of the three others hears, of all that were said, or a time-out. Says how far it got.\n"
    "\n"
    "  --byzantine ID   which member (default 0, the primary of view 0). It says any vote, proposal of either of two "
    "batches, and\n"
    "                   VIEW-CHANGE with any certificate that it can have, or none, to whom it likes; no NEW-VIEW\n"
    "  --seqs N         nothing is said about sequences above N (default 2, at most 4)\n"
    "  --views N        nor about views from N on (default 2)\n"
    "  --depth D        ends after so many steps (default: as many as there are)\n"
    "  --budget S       ends after so many seconds (default 60)\n"
    "  --states N       ends at so many states, 24 bytes each (default 5000000)\n"
    "\n"
    "Left out: STATUS is never heard, what others asked for apart; disks answer at once, and nobody crashes; the two "
    "requests have\n"
    "reached all replicas before the first step; a time-out happens once in each view.\n"
    "Exit codes: 0 what was seen held, 1 an invariant did not (the steps are printed), 2 usage.\n";

struct message {
    uint32_t from;
    uint32_t to; /* bit for each member */
    struct blob *bytes;
    enum wire_type type;
    uint64_t view;
    uint64_t seq;
    struct digest digest;
    char text[128]; /* " hears ..." */
    uint32_t needs[NEEDS_MAX]; /* of the Byzantine one: only after these were said; NO_MESSAGE: none */
};

/* A state of one replica, and what it has said on the way. */
struct local {
    struct digest key;
    struct blob *saved;
    uint16_t *said; /* numbers of messages, ascending */
    uint32_t said_count;
    uint32_t member;
    uint64_t view;
    struct small_memory *memory; /* cut behind vote_count votes */
};

struct state {
    uint32_t locals[HONEST];
    uint32_t parent;
    uint32_t action; /* which replica << 30 | message */
};

/* Open addressing; an entry is a number plus one. */
struct table {
    uint32_t *slots;
    uint64_t cap; /* a power of two */
    uint64_t count;
};

struct memo {
    uint64_t key; /* local << 32 | message, plus one */
    uint32_t to;
};

struct explore {
    uint32_t byzantine;
    uint64_t seqs;
    uint64_t views;
    uint64_t depth_max;
    uint64_t budget_us;
    uint64_t states_max;
    uint64_t since_us;
    const struct group *group;
    uint32_t members[HONEST]; /* those that keep the rules */
    struct solo_batch batches[REQUESTS];
    struct message messages[MESSAGES_MAX];
    uint32_t message_count;
    bool messages_full;
    struct local *locals;
    uint32_t local_count;
    uint32_t local_cap;
    struct table local_table;
    struct memo *memos;
    uint64_t memo_cap;
    uint64_t memo_count;
    struct state *states;
    uint64_t state_count;
    uint64_t state_cap;
    struct table state_table;
    /* of the step under way */
    uint16_t said[MESSAGES_MAX];
    uint32_t said_count;
    const char *broken;
    uint64_t last_state;  /* the state before ... */
    uint32_t last_action; /* ... and the step that was taken last */
};

/* ---- tables ---- */

static void table_put(struct table *t, uint64_t hash, uint32_t value)
{
    uint64_t at = hash & (t->cap - 1);
    while (t->slots[at] != 0)
        at = (at + 1) & (t->cap - 1);
    t->slots[at] = value + 1;
    t->count++;
}

/* Doubles it when it is half full; hash_of gives the hash of a number. */
static void table_grow(struct explore *x, struct table *t, uint64_t (*hash_of)(const struct explore *x, uint32_t value))
{
    if (t->cap > 0 && t->count * 2 < t->cap) return;
    struct table bigger = {.cap = t->cap == 0 ? 1024 : 2 * t->cap};
    bigger.slots = mem_zero(bigger.cap, sizeof *bigger.slots);
    for (uint64_t i = 0; i < t->cap; i++)
        if (t->slots[i] != 0) table_put(&bigger, hash_of(x, t->slots[i] - 1), t->slots[i] - 1);
    free(t->slots);
    *t = bigger;
}

static uint64_t mix(uint64_t a)
{
    a ^= a >> 31;
    a *= 0x9e3779b97f4a7c15ull;
    return a ^ a >> 29;
}

static uint64_t hash_locals(const uint32_t locals[HONEST])
{
    return mix(mix(mix(locals[0] + 1u) + locals[1]) + locals[2]);
}

static uint64_t state_hash(const struct explore *x, uint32_t value)
{
    return hash_locals(x->states[value].locals);
}

static uint64_t local_hash(const struct explore *x, uint32_t value)
{
    return be64_get(x->locals[value].key.bytes);
}

static void memo_put(struct memo *memos, uint64_t cap, struct memo m)
{
    uint64_t at = mix(m.key) & (cap - 1);
    while (memos[at].key != 0)
        at = (at + 1) & (cap - 1);
    memos[at] = m;
}

static void memo_add(struct explore *x, uint64_t key, uint32_t to)
{
    if (x->memo_count * 2 >= x->memo_cap) {
        const uint64_t cap = x->memo_cap == 0 ? 4096 : 2 * x->memo_cap;
        struct memo *bigger = mem_zero(cap, sizeof *bigger);
        for (uint64_t i = 0; i < x->memo_cap; i++)
            if (x->memos[i].key != 0) memo_put(bigger, cap, x->memos[i]);
        free(x->memos);
        x->memos = bigger;
        x->memo_cap = cap;
    }
    memo_put(x->memos, x->memo_cap, (struct memo){.key = key, .to = to});
    x->memo_count++;
}

static bool memo_find(const struct explore *x, uint64_t key, uint32_t *out)
{
    if (x->memo_cap == 0) return false;
    for (uint64_t at = mix(key) & (x->memo_cap - 1); x->memos[at].key != 0; at = (at + 1) & (x->memo_cap - 1)) {
        if (x->memos[at].key != key) continue;
        *out = x->memos[at].to;
        return true;
    }
    return false;
}

/* ---- messages ---- */

/* What it is about. False: it is never heard here. */
static bool describe(const struct explore *x, struct message *m)
{
    struct wire_message w;
    CHECK(wire_decode(blob_bytes(m->bytes), &w) == NULL);
    m->type = w.type;
    switch (w.type) {
    case WIRE_TYPE_pre_prepare:
        m->view = w.pre_prepare.view;
        m->seq = w.pre_prepare.seq;
        m->digest = w.pre_prepare.digest;
        break;
    case WIRE_TYPE_prepare:
        m->view = w.prepare.view;
        m->seq = w.prepare.seq;
        m->digest = w.prepare.digest;
        break;
    case WIRE_TYPE_commit:
        m->view = w.commit.view;
        m->seq = w.commit.seq;
        m->digest = w.commit.digest;
        break;
    case WIRE_TYPE_view_change: m->view = w.view_change.view; break;
    case WIRE_TYPE_new_view: m->view = w.new_view.view; break;
    case WIRE_TYPE_fetch: m->seq = w.fetch.seq; break;
    case WIRE_TYPE_data: m->seq = w.data.seq; break;
    case WIRE_TYPE_request:
    case WIRE_TYPE_checkpoint:
    case WIRE_TYPE_reply:
    case WIRE_TYPE_status:
    case WIRE_TYPE_hello:
    case WIRE_TYPE_query:
    case WIRE_TYPE_result:
    case WIRE_TYPE_busy: return false;
    }
    return m->view < x->views && m->seq <= x->seqs;
}

/* Its number, known or new. NO_MESSAGE: never heard, or no room (and then that is noted). */
static uint32_t message_number(struct explore *x, uint32_t from, uint32_t to, struct blob *bytes,
                               const uint32_t needs[NEEDS_MAX])
{
    struct message m = {.from = from, .to = to, .bytes = bytes};
    for (uint32_t i = 0; i < NEEDS_MAX; i++)
        m.needs[i] = needs == NULL ? NO_MESSAGE : needs[i];
    if (!describe(x, &m)) return NO_MESSAGE;
    for (uint32_t i = 0; i < x->message_count; i++) {
        const struct message *old = &x->messages[i];
        if (old->from == from && old->to == to && bytes_equal(blob_bytes(old->bytes), blob_bytes(bytes))) return i;
    }
    if (x->message_count == MESSAGES_MAX) {
        x->messages_full = true;
        return NO_MESSAGE;
    }
    m.bytes = blob_retain(bytes);
    (void)snprintf(m.text, sizeof m.text, " hears %s of %u: view %" PRIu64 ", sequence %" PRIu64 ", digest %02x%02x%s\n",
                   wire_type_name(m.type), m.from, m.view, m.seq, m.digest.bytes[0], m.digest.bytes[1],
                   from == x->byzantine ? "   (Byzantine)" : "");
    x->messages[x->message_count] = m;
    return x->message_count++;
}

static uint32_t others(const struct explore *x)
{
    return 0xfu & ~(1u << x->byzantine);
}

static void byzantine_says(struct explore *x, const struct wire_record *record, void *message,
                           const uint32_t needs[NEEDS_MAX])
{
    struct blob *bytes = fixture_message(x->group, record, message);
    (void)message_number(x, x->byzantine, others(x), bytes, needs);
    blob_release(bytes);
}

/* Its votes for a proposal. */
static void byzantine_votes(struct explore *x, uint64_t view, uint64_t seq, const struct digest *digest, uint32_t need)
{
    const uint32_t needs[NEEDS_MAX] = {need, NO_MESSAGE, NO_MESSAGE};
    struct wire_prepare prepare = {.sender = x->byzantine, .view = view, .seq = seq, .digest = *digest};
    struct wire_commit commit = {.sender = x->byzantine, .view = view, .seq = seq, .digest = *digest};
    if (view % MEMBERS != x->byzantine) byzantine_says(x, &wire_record_prepare, &prepare, needs);
    byzantine_says(x, &wire_record_commit, &commit, needs);
}

/* Its VIEW-CHANGE with a certificate of the PREPAREs in the two messages, which are for the same. */
static void byzantine_claims(struct explore *x, const struct message *a, uint32_t first, const struct message *b,
                             uint32_t second)
{
    const uint32_t primary = (uint32_t)(a->view % MEMBERS);
    uint32_t needs[NEEDS_MAX] = {first, second, NO_MESSAGE};
    uint64_t members = 1ull << a->from | 1ull << b->from | 1ull << x->byzantine;
    if (primary != x->byzantine) { /* with its proposal, which was said, and its own vote in the place of the second */
        uint32_t k = 0;
        while (k < x->message_count &&
               !(x->messages[k].type == WIRE_TYPE_pre_prepare && x->messages[k].from == primary &&
                 x->messages[k].view == a->view && x->messages[k].seq == a->seq &&
                 digest_equal(&x->messages[k].digest, &a->digest)))
            k++;
        if (k == x->message_count) return;
        needs[2] = k;
        members = 1ull << a->from | 1ull << primary | 1ull << x->byzantine;
    }
    struct wire_view_change m = {.sender = x->byzantine, .view = a->view + 1};
    struct blob *certificate = fixture_prepared(x->group, a->view, a->seq, &a->digest, members);
    m.prepared = (struct wire_list){.items = blob_bytes(certificate), .count = 1};
    byzantine_says(x, &wire_record_view_change, &m, needs);
    blob_release(certificate);
}

/* The Byzantine one can answer what a correct one has said. */
static void byzantine_answers(struct explore *x, uint32_t number)
{
    const struct message m = x->messages[number];
    if (m.type == WIRE_TYPE_pre_prepare) byzantine_votes(x, m.view, m.seq, &m.digest, number);
    if (m.type != WIRE_TYPE_prepare) return;
    for (uint32_t i = 0; i < number; i++) {
        const struct message o = x->messages[i];
        if (o.type == WIRE_TYPE_prepare && o.from != m.from && o.from != x->byzantine && o.view == m.view &&
            o.seq == m.seq && digest_equal(&o.digest, &m.digest))
            byzantine_claims(x, &m, number, &o, i);
    }
}

/* What it can say from the start. */
static void byzantine_begins(struct explore *x)
{
    for (uint64_t view = 0; view < x->views; view++) {
        for (uint64_t seq = 1; seq <= x->seqs; seq++) {
            for (uint32_t b = 0; b < REQUESTS; b++) {
                struct wire_pre_prepare m = {.sender = x->byzantine,
                                             .view = view,
                                             .seq = seq,
                                             .digest = x->batches[b].digest,
                                             .batch = blob_bytes(x->batches[b].bytes)};
                if (view % MEMBERS == x->byzantine) byzantine_says(x, &wire_record_pre_prepare, &m, NULL);
                byzantine_votes(x, view, seq, &m.digest, NO_MESSAGE);
            }
        }
        struct wire_view_change left = {.sender = x->byzantine, .view = view};
        if (view > 0) byzantine_says(x, &wire_record_view_change, &left, NULL);
    }
}

/* ---- states of one replica ---- */

static void said(void *context, uint32_t from, uint32_t to, struct blob *bytes)
{
    struct explore *x = context;
    const uint32_t before = x->message_count;
    const uint32_t number = message_number(x, from, to == CORE_TO_ALL ? 0xfu & ~(1u << from) : 1u << to, bytes, NULL);
    if (number == NO_MESSAGE) return;
    if (number == before) byzantine_answers(x, number);
    uint32_t at = 0;
    while (at < x->said_count && x->said[at] < number)
        at++;
    if (at < x->said_count && x->said[at] == number) return;
    memmove(x->said + at + 1, x->said + at, (x->said_count - at) * sizeof *x->said);
    x->said[at] = (uint16_t)number;
    x->said_count++;
}

/* The number of the state that the core is in now, with all it has said. */
static uint32_t local_number(struct explore *x, struct small_core *core)
{
    struct hasher h;
    struct digest key;
    const uint32_t member = core->solo.config.self;
    struct blob *saved = small_core_save(core);
    hasher_start(&h, DIGEST_DOMAIN_TRACE);
    hasher_add_be64(&h, member);
    hasher_add(&h, x->said, x->said_count * sizeof *x->said);
    hasher_add(&h, saved->data, saved->len);
    hasher_finish(&h, &key);
    table_grow(x, &x->local_table, local_hash);
    for (uint64_t at = be64_get(key.bytes) & (x->local_table.cap - 1); x->local_table.slots[at] != 0;
         at = (at + 1) & (x->local_table.cap - 1)) {
        const uint32_t old = x->local_table.slots[at] - 1;
        if (!digest_equal(&x->locals[old].key, &key)) continue;
        blob_release(saved);
        return old;
    }
    if (x->local_count == x->local_cap) {
        x->local_cap = x->local_cap == 0 ? 1024 : 2 * x->local_cap;
        x->locals = mem_resize(x->locals, x->local_cap * sizeof *x->locals);
    }
    const size_t kept = offsetof(struct small_memory, votes) + core->memory.vote_count * sizeof(struct small_vote);
    struct local *l = &x->locals[x->local_count];
    *l = (struct local){
        .key = key, .saved = saved, .member = member, .view = core->memory.view, .said_count = x->said_count};
    l->said = mem_zero(x->said_count + 1, sizeof *l->said);
    memcpy(l->said, x->said, x->said_count * sizeof *l->said);
    l->memory = mem_zero(1, kept);
    memcpy(l->memory, &core->memory, kept);
    table_put(&x->local_table, be64_get(key.bytes), x->local_count);
    return x->local_count++;
}

/* Where the step leads from there: computed once. The same number: it changes nothing. */
static uint32_t step(struct explore *x, uint32_t from, uint32_t what)
{
    static struct small_core core;
    const uint64_t key = ((uint64_t)from << 32 | what) + 1;
    uint32_t to;
    if (memo_find(x, key, &to)) return to;
    const struct local l = x->locals[from];
    memset(&core, 0, sizeof core);
    core.say = said;
    core.context = x;
    x->said_count = l.said_count;
    memcpy(x->said, l.said, l.said_count * sizeof *x->said);
    small_core_load(&core, l.member, l.saved);
    if (what == ACTION_TIMEOUT)
        (void)small_core_tick(&core, SOLO_TIMEOUT_US + 1000);
    else
        (void)small_core_hear(&core, x->messages[what].from, x->messages[what].bytes);
    if (core.broken != NULL) x->broken = core.broken;
    if ((core.accused & ~(1ull << x->byzantine)) != 0) x->broken = "evidence: it names one that keeps the rules";
    /* only time has passed: that is no step */
    to = what == ACTION_TIMEOUT && core.memory.view == l.view ? from : local_number(x, &core);
    small_core_end(&core);
    memo_add(x, key, to);
    return to;
}

/* ---- global states ---- */

static bool state_add(struct explore *x, const uint32_t locals[HONEST], uint32_t parent, uint32_t action)
{
    table_grow(x, &x->state_table, state_hash);
    uint64_t at = hash_locals(locals) & (x->state_table.cap - 1);
    for (; x->state_table.slots[at] != 0; at = (at + 1) & (x->state_table.cap - 1))
        if (memcmp(x->states[x->state_table.slots[at] - 1].locals, locals, HONEST * sizeof *locals) == 0) return false;
    if (x->state_count == x->state_cap) {
        x->state_cap = x->state_cap == 0 ? 4096 : 2 * x->state_cap;
        x->states = mem_resize(x->states, x->state_cap * sizeof *x->states);
    }
    struct state *s = &x->states[x->state_count];
    memcpy(s->locals, locals, sizeof s->locals);
    s->parent = parent;
    s->action = action;
    table_put(&x->state_table, hash_locals(locals), (uint32_t)x->state_count++);
    return true;
}

/* What two of them must not have done. NULL while all hold. */
static const char *disagreement(const struct explore *x, const uint32_t locals[HONEST], uint32_t who)
{
    const struct small_memory *m = x->locals[locals[who]].memory;
    for (uint32_t i = 0; i < HONEST; i++) {
        const struct small_memory *other = x->locals[locals[i]].memory;
        if (i == who) continue;
        if (!small_core_agree(other, m)) return "agreement: two replicas executed different batches at one sequence";
        if (!small_core_prepared_agree(other, m))
            return "one-prepared: two replicas prepared different batches at one view and sequence";
    }
    return NULL;
}

/* One step of one replica from a state. False: an invariant does not hold there. */
static bool take(struct explore *x, uint32_t from, uint32_t who, uint32_t what)
{
    uint32_t locals[HONEST];
    memcpy(locals, x->states[from].locals, sizeof locals);
    x->last_state = from;
    x->last_action = who << 30 | what;
    const uint32_t to = step(x, locals[who], what);
    if (x->broken == NULL && to == locals[who]) return true;
    locals[who] = to;
    if (x->broken == NULL) x->broken = disagreement(x, locals, who);
    if (x->broken != NULL) return false;
    (void)state_add(x, locals, from, x->last_action);
    return true;
}

/* The messages that somebody can say in a state. */
static void said_in(const struct explore *x, const struct state *s, bool out[MESSAGES_MAX])
{
    memset(out, 0, MESSAGES_MAX * sizeof *out);
    for (uint32_t i = 0; i < HONEST; i++) {
        const struct local *l = &x->locals[s->locals[i]];
        for (uint32_t k = 0; k < l->said_count; k++)
            out[l->said[k]] = true;
    }
    for (uint32_t m = 0; m < x->message_count; m++) {
        if (x->messages[m].from != x->byzantine) continue;
        out[m] = true;
        for (uint32_t k = 0; k < NEEDS_MAX; k++)
            if (x->messages[m].needs[k] != NO_MESSAGE && !out[x->messages[m].needs[k]]) out[m] = false;
    }
}

static bool expand(struct explore *x, uint32_t from)
{
    static bool heard[MESSAGES_MAX];
    said_in(x, &x->states[from], heard);
    const uint32_t count = x->message_count;
    for (uint32_t who = 0; who < HONEST; who++) {
        const struct local *l = &x->locals[x->states[from].locals[who]];
        const bool can_leave = l->view + 1 < x->views;
        for (uint32_t m = 0; m < count; m++)
            if (heard[m] && (x->messages[m].to >> x->members[who] & 1u) != 0 && !take(x, from, who, m)) return false;
        if (can_leave && !take(x, from, who, ACTION_TIMEOUT)) return false;
    }
    return true;
}

/* ---- telling ---- */

/* Only what a signal handler may call: a CHECK of a core that fails comes here too. */
static void put(const char *text)
{
    const ssize_t n = write(STDOUT_FILENO, text, strlen(text));
    (void)n;
}

static void print_action(const struct explore *x, uint32_t action)
{
    const char who[] = {(char)('0' + x->members[action >> 30]), '\0'};
    const uint32_t what = action & ACTION_TIMEOUT;
    put("  replica ");
    put(who);
    put(what == ACTION_TIMEOUT ? " times out\n" : x->messages[what].text);
}

static void print_path(const struct explore *x)
{
    static uint32_t path[1024];
    uint32_t length = 0;
    path[length++] = x->last_action;
    for (uint64_t at = x->last_state; at != 0 && length < 1024; at = x->states[at].parent)
        path[length++] = x->states[at].action;
    put(x->broken);
    put(", after these steps:\n");
    while (length > 0)
        print_action(x, path[--length]);
}

static struct explore *exploring;

static void on_abort(int signal)
{
    (void)signal;
    exploring->broken = "a CHECK failed, as above";
    print_path(exploring);
    _exit(1);
}

static const char *finished(const struct explore *x, uint64_t at, uint64_t depth)
{
    if (x->messages_full) return "not finished: no room for more messages";
    if (at == x->state_count) return "finished: there are no others";
    if (depth > x->depth_max) return "not finished: --depth";
    return x->state_count >= x->states_max ? "not finished: --states" : "not finished: --budget";
}

/* ---- the search ---- */

static void begin(struct explore *x)
{
    uint32_t locals[HONEST];
    struct solo *any = NULL;
    static struct small_core cores[HONEST];
    x->group = fixture_group(MEMBERS, SOLO_CLIENTS);
    memset(cores, 0, sizeof cores);
    for (uint32_t id = 0, k = 0; id < MEMBERS; id++) {
        if (id == x->byzantine) continue;
        x->members[k] = id;
        small_core_start(&cores[k++], id);
    }
    any = &cores[0].solo;
    for (uint32_t b = 0; b < REQUESTS; b++)
        x->batches[b] = solo_batch_make(any, b + 1);
    byzantine_begins(x);
    for (uint32_t k = 0; k < HONEST; k++) {
        x->said_count = 0;
        cores[k].say = said;
        cores[k].context = x;
        for (uint32_t b = 0; b < REQUESTS; b++) {
            struct blob *request = fixture_request(x->group, 0, b + 1, SOLO_WALL_MS + 60000, "key", "value");
            (void)small_core_hear(&cores[k], UINT32_MAX, request);
            blob_release(request);
        }
        locals[k] = local_number(x, &cores[k]);
        small_core_end(&cores[k]);
    }
    (void)state_add(x, locals, 0, 0);
}

static int search(struct explore *x)
{
    uint64_t at = 0;
    uint64_t depth = 1; /* of the states that come of those being expanded */
    uint64_t level_end = 1;
    x->since_us = clock_monotonic_us();
    while (at < x->state_count && depth <= x->depth_max && x->state_count < x->states_max && !x->messages_full) {
        if (clock_monotonic_us() - x->since_us > x->budget_us) break;
        if (!expand(x, (uint32_t)at)) break;
        if (++at < level_end) continue;
        (void)fprintf(stderr, "pbft-sim: depth %" PRIu64 ": %" PRIu64 " states, %u of single replicas, %u messages\n",
                      depth, x->state_count, x->local_count, x->message_count);
        level_end = x->state_count;
        depth++;
    }
    const double seconds = (double)(clock_monotonic_us() - x->since_us) / 1e6;
    if (x->broken != NULL) print_path(x);
    (void)printf("%" PRIu64 " states, %u of single replicas, %u messages; all up to depth %" PRIu64 " in %.1f s; %s\n",
                 x->state_count, x->local_count, x->message_count, depth - 1, seconds,
                 x->broken != NULL ? "an invariant does not hold" : finished(x, at, depth));
    return x->broken != NULL ? 1 : 0;
}

static void end(struct explore *x)
{
    for (uint32_t i = 0; i < x->local_count; i++) {
        blob_release(x->locals[i].saved);
        free(x->locals[i].said);
        free(x->locals[i].memory);
    }
    for (uint32_t i = 0; i < x->message_count; i++)
        blob_release(x->messages[i].bytes);
    for (uint32_t b = 0; b < REQUESTS; b++)
        solo_batch_free(&x->batches[b]);
    free(x->locals);
    free(x->local_table.slots);
    free(x->memos);
    free(x->states);
    free(x->state_table.slots);
    free(x);
}

static int explore(int argc, char **argv)
{
    static const struct option options[] = {{"byzantine", required_argument, NULL, 'b'},
                                            {"seqs", required_argument, NULL, 's'},
                                            {"views", required_argument, NULL, 'v'},
                                            {"depth", required_argument, NULL, 'd'},
                                            {"budget", required_argument, NULL, 'u'},
                                            {"states", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    uint64_t byzantine = 0;
    uint64_t seqs = 2;
    uint64_t views = 2;
    uint64_t depth = UINT32_MAX;
    uint64_t budget = 60;
    uint64_t states = 5000000;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        bool good = true;
        switch (option) {
        case 'b': good = run_number(optarg, MEMBERS - 1, &byzantine); break;
        case 's': good = run_number(optarg, SEQS_MAX, &seqs) && seqs > 0; break;
        case 'v': good = run_number(optarg, 8, &views) && views > 0; break;
        case 'd': good = run_number(optarg, UINT32_MAX, &depth) && depth > 0; break;
        case 'u': good = run_number(optarg, 1000000, &budget); break;
        case 'n': good = run_number(optarg, 1000000000, &states) && states > 0; break;
        default: return verb_usage(usage_text, NULL, "");
        }
        if (!good) return verb_usage(usage_text, "no such number: ", optarg);
    }
    if (optind != argc) return verb_usage(usage_text, "what is that: ", argv[optind]);
    struct explore *x = mem_zero(1, sizeof *x);
    x->byzantine = (uint32_t)byzantine;
    x->seqs = seqs;
    x->views = views;
    x->depth_max = depth;
    x->budget_us = budget * 1000000;
    x->states_max = states;
    begin(x);
    exploring = x;
    (void)signal(SIGABRT, on_abort);
    const int code = search(x);
    end(x);
    return verb_end(code);
}

const struct verb verb_explore = {.name = "explore", .usage = usage_text, .perform = explore};
