/* fuzz_core.c - three cores that keep the rules and a member of the same group that says anything it can sign: what
 * each core can be asked of alone holds (tests/fixture/small_core.h), and no two execute different batches at one
 * sequence.
 *
 * The input is a list of commands: a byte that says what, and its arguments. Messages are taken from what was said
 * before, by anybody, changed in a field or in a byte, and signed by the Byzantine member; those of the others are
 * delivered in any order, more than once, or never. The first byte says which member is the Byzantine one. */
#include "base/check.h"
#include "tests/fixture/small_core.h"

#include <stdio.h>
#include <string.h>

#define MEMBERS 4u
#define SAID_MAX 512u
#define COMMANDS_MAX 400u
#define TICK_US 40000u
#define STOCK 6u /* requests and batches made before: numbers 1 to STOCK of client 0 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct said {
    uint32_t from;
    uint32_t to; /* or CORE_TO_ALL */
    struct blob *bytes;
};

struct world {
    struct small_core cores[MEMBERS];
    uint32_t evil;
    struct said said[SAID_MAX]; /* further ones are lost */
    uint32_t said_count;
    struct bytes in;
    struct blob *requests[STOCK];
    struct solo_batch batches[STOCK];
};

static uint8_t next(struct world *w)
{
    if (w->in.len == 0) return 0;
    const uint8_t out = w->in.data[0];
    w->in = bytes_of(w->in.data + 1, w->in.len - 1);
    return out;
}

static void say(void *context, uint32_t from, uint32_t to, struct blob *bytes)
{
    struct world *w = context;
    if (w->said_count == SAID_MAX) return;
    w->said[w->said_count++] = (struct said){.from = from, .to = to, .bytes = blob_retain(bytes)};
}

/* ---- what the Byzantine member says ---- */

static const struct digest *some_digest(struct world *w)
{
    static const struct digest none;
    const uint8_t which = next(w);
    return which % (STOCK + 1) == STOCK ? &none : &w->batches[which % (STOCK + 1)].digest;
}

static uint64_t changed(struct world *w, uint64_t value, uint64_t most)
{
    static const int64_t by[] = {0, 1, -1, 2, 4, -4, 127, 256};
    const uint8_t how = next(w);
    if (how >= 0xfe) return how == 0xfe ? most : 0;
    const int64_t step = by[how % 8u];
    if (step < 0 && value < (uint64_t)-step) return 0;
    const uint64_t out = step < 0 ? value - (uint64_t)-step : value + (uint64_t)step;
    return out > most ? most : out;
}

/* A batch of the stock, under another digest if the input says so. */
static void put_batch(struct world *w, struct wire_pre_prepare *m)
{
    const struct solo_batch *b = &w->batches[next(w) % STOCK];
    m->digest = b->digest;
    m->batch = next(w) % 4u == 0 ? (struct bytes){.data = NULL} : blob_bytes(b->bytes);
}

/* The message with fields changed, by the evil one, signed. NULL: not one that it could sign. */
static struct blob *forged(struct world *w, struct wire_message *m)
{
    const struct group *g = w->cores[(w->evil + 1) % MEMBERS].solo.group;
    const uint64_t self = w->evil;
    switch (m->type) {
    case WIRE_TYPE_pre_prepare:
        m->pre_prepare.sender = self;
        m->pre_prepare.view = changed(w, m->pre_prepare.view, VIEW_MAX);
        m->pre_prepare.seq = changed(w, m->pre_prepare.seq, SEQ_MAX);
        put_batch(w, &m->pre_prepare);
        return fixture_message(g, &wire_record_pre_prepare, &m->pre_prepare);
    case WIRE_TYPE_prepare:
        m->prepare.sender = self;
        m->prepare.view = changed(w, m->prepare.view, VIEW_MAX);
        m->prepare.seq = changed(w, m->prepare.seq, SEQ_MAX);
        if (next(w) % 2u == 0) m->prepare.digest = *some_digest(w);
        return fixture_message(g, &wire_record_prepare, &m->prepare);
    case WIRE_TYPE_commit:
        m->commit.sender = self;
        m->commit.view = changed(w, m->commit.view, VIEW_MAX);
        m->commit.seq = changed(w, m->commit.seq, SEQ_MAX);
        if (next(w) % 2u == 0) m->commit.digest = *some_digest(w);
        return fixture_message(g, &wire_record_commit, &m->commit);
    case WIRE_TYPE_checkpoint:
        m->checkpoint.sender = self;
        m->checkpoint.seq = changed(w, m->checkpoint.seq, SEQ_MAX);
        if (next(w) % 2u == 0) m->checkpoint.state_root = *some_digest(w);
        return fixture_message(g, &wire_record_checkpoint, &m->checkpoint);
    case WIRE_TYPE_view_change:
        m->view_change.sender = self;
        m->view_change.view = changed(w, m->view_change.view, VIEW_MAX);
        if (next(w) % 2u == 0) m->view_change.prepared = (struct wire_list){.count = 0};
        return fixture_message(g, &wire_record_view_change, &m->view_change);
    case WIRE_TYPE_new_view:
        m->new_view.sender = self;
        m->new_view.view = changed(w, m->new_view.view, VIEW_MAX);
        if (next(w) % 2u == 0) m->new_view.proposals = (struct wire_list){.count = 0};
        return fixture_message(g, &wire_record_new_view, &m->new_view);
    case WIRE_TYPE_status:
        m->status.sender = self;
        m->status.view = changed(w, m->status.view, VIEW_MAX);
        m->status.executed = changed(w, m->status.executed, SEQ_MAX);
        m->status.flags ^= next(w) % 4u;
        return fixture_message(g, &wire_record_status, &m->status);
    case WIRE_TYPE_fetch:
        m->fetch.sender = self;
        m->fetch.seq = changed(w, m->fetch.seq, SEQ_MAX);
        return fixture_message(g, &wire_record_fetch, &m->fetch);
    case WIRE_TYPE_data:
        m->data.sender = self;
        m->data.seq = changed(w, m->data.seq, SEQ_MAX);
        return fixture_message(g, &wire_record_data, &m->data);
    case WIRE_TYPE_request:
    case WIRE_TYPE_reply:
    case WIRE_TYPE_hello:
    case WIRE_TYPE_query:
    case WIRE_TYPE_result:
    case WIRE_TYPE_busy: return NULL;
    }
    return NULL;
}

/* One that nobody has said before: of each type that needs no other. */
static struct blob *fresh(struct world *w)
{
    struct wire_message m;
    memset(&m, 0, sizeof m);
    switch (next(w) % 5u) {
    case 0: m.type = WIRE_TYPE_pre_prepare; break;
    case 1: m.type = WIRE_TYPE_prepare; break;
    case 2: m.type = WIRE_TYPE_commit; break;
    case 3: m.type = WIRE_TYPE_view_change; break;
    default: m.type = WIRE_TYPE_status; break;
    }
    return forged(w, &m);
}

/* NEW-VIEW naming what three members have said last, with proposals from the stock. */
static struct blob *new_view(struct world *w)
{
    uint8_t space[2][1024];
    struct writer refs = writer_of(space[0], sizeof space[0]);
    struct writer proposals = writer_of(space[1], sizeof space[1]);
    const struct group *g = w->cores[(w->evil + 1) % MEMBERS].solo.group;
    struct wire_new_view out = {.sender = w->evil, .view = next(w) % 8u};
    for (uint32_t id = 0; id < MEMBERS; id++) {
        for (uint32_t k = w->said_count; k-- > 0;) {
            struct wire_message m;
            if (w->said[k].from != id || wire_decode(blob_bytes(w->said[k].bytes), &m) != NULL) continue;
            if (m.type != WIRE_TYPE_view_change || m.view_change.sender != id || m.view_change.view != out.view)
                continue;
            const struct wire_view_change_ref ref = {
                .id = id, .digest = wire_record_signing_digest(&g->id, &wire_record_view_change, &m.view_change)};
            wire_list_add(&out.view_changes, &refs, &wire_record_view_change_ref, &ref);
            break;
        }
    }
    const uint32_t count = next(w) % 4u;
    for (uint32_t i = 0; i < count; i++) {
        struct wire_pre_prepare statement = {
            .sender = w->evil, .view = out.view, .seq = i + 1, .digest = *some_digest(w)};
        fixture_sign_message(g, &wire_record_pre_prepare, &statement);
        const struct wire_reproposal p = {
            .seq = statement.seq, .digest = statement.digest, .signature = statement.signature};
        wire_list_add(&out.proposals, &proposals, &wire_record_reproposal, &p);
    }
    CHECK(!refs.overflow && !proposals.overflow);
    return out.view_changes.count == 0 ? NULL : fixture_message(g, &wire_record_new_view, &out);
}

/* A byte of what was said is another; if it still is a message of a member, it is signed anew. */
static struct blob *bent(struct world *w, const struct blob *said)
{
    struct wire_message m;
    struct blob *copy = blob_copy(bytes_of(said->data, said->len));
    struct blob *out = NULL;
    copy->data[(size_t)(next(w) << 8 | next(w)) % copy->len] ^= (uint8_t)(1u << next(w) % 8u);
    if (wire_decode(blob_bytes(copy), &m) == NULL) out = forged(w, &m);
    blob_release(copy);
    return out;
}

/* ---- commands ---- */

static struct small_core *some_core(struct world *w)
{
    const uint32_t id = next(w) % MEMBERS;
    return &w->cores[id == w->evil ? (id + 1) % MEMBERS : id];
}

/* To one of the others, and into the stock: it may go to more. */
static void spread(struct world *w, struct blob *bytes)
{
    if (bytes == NULL) return;
    (void)small_core_hear(some_core(w), w->evil, bytes);
    say(w, w->evil, CORE_TO_ALL, bytes);
    blob_release(bytes);
}

static void deliver(struct world *w, uint32_t k)
{
    const struct said s = w->said[k];
    for (uint32_t id = 0; id < MEMBERS; id++)
        if (id != s.from && id != w->evil && (s.to == CORE_TO_ALL || s.to == id))
            (void)small_core_hear(&w->cores[id], s.from, s.bytes);
}

static void command(struct world *w)
{
    const uint8_t what = next(w);
    const uint32_t first = w->said_count;
    switch (what % 9u) {
    case 0: /* all that is said goes round, for some rounds */
        for (uint32_t k = first > 24 ? first - 24 : 0; k < w->said_count && k < first + 48; k++)
            deliver(w, k);
        return;
    case 1:
        if (first > 0) deliver(w, (uint32_t)(next(w) << 8 | next(w)) % first);
        return;
    case 2: (void)small_core_tick(some_core(w), (uint64_t)next(w) * TICK_US); return;
    case 3: {
        struct blob *request = w->requests[next(w) % STOCK];
        for (uint32_t id = 0; id < MEMBERS; id++)
            if (id != w->evil) (void)small_core_hear(&w->cores[id], UINT32_MAX, request);
        return;
    }
    case 4: spread(w, fresh(w)); return;
    case 5: spread(w, new_view(w)); return;
    case 6:
        for (uint32_t id = 0; id < MEMBERS; id++)
            if (id != w->evil) (void)small_core_tick(&w->cores[id], (uint64_t)next(w) * TICK_US);
        return;
    default: break;
    }
    if (first == 0) return;
    const struct blob *said = w->said[(uint32_t)(next(w) << 8 | next(w)) % first].bytes;
    struct wire_message m;
    if (what % 9u == 7)
        spread(w, bent(w, said));
    else if (wire_decode(blob_bytes(said), &m) == NULL)
        spread(w, forged(w, &m));
}

static void check(const struct world *w)
{
    for (uint32_t i = 0; i < MEMBERS; i++) {
        if (i == w->evil) continue;
        if (w->cores[i].broken != NULL) {
            (void)fprintf(stderr, "replica %u: %s\n", i, w->cores[i].broken);
            CHECK(!"an invariant of one core does not hold");
        }
        CHECK((w->cores[i].accused & ~(1ull << w->evil)) == 0); /* evidence against one that keeps the rules */
        for (uint32_t k = i + 1; k < MEMBERS; k++) {
            if (k == w->evil) continue;
            CHECK(small_core_agree(&w->cores[i].memory, &w->cores[k].memory));
            CHECK(small_core_prepared_agree(&w->cores[i].memory, &w->cores[k].memory));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    memset(&w, 0, sizeof w);
    w.in = bytes_of(data, size);
    w.evil = next(&w) % MEMBERS;
    for (uint32_t id = 0; id < MEMBERS; id++) {
        if (id == w.evil) continue;
        w.cores[id].say = say;
        w.cores[id].context = &w;
        small_core_start(&w.cores[id], id);
    }
    const struct solo *any = &w.cores[(w.evil + 1) % MEMBERS].solo;
    for (uint32_t i = 0; i < STOCK; i++) {
        w.batches[i] = solo_batch_make(any, i + 1);
        w.requests[i] = fixture_request(any->group, 0, i + 1, SOLO_WALL_MS + 60000, "key", "value");
    }
    for (uint32_t n = 0; n < COMMANDS_MAX && w.in.len > 0; n++) {
        command(&w);
        check(&w);
    }
    for (uint32_t id = 0; id < MEMBERS; id++)
        if (id != w.evil) small_core_end(&w.cores[id]);
    for (uint32_t i = 0; i < w.said_count; i++)
        blob_release(w.said[i].bytes);
    for (uint32_t i = 0; i < STOCK; i++) {
        blob_release(w.requests[i]);
        solo_batch_free(&w.batches[i]);
    }
    return 0;
}
