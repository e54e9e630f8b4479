/* state_walk.c - bringing a store to the state of another checkpoint by questions and answers (state_transfer.h).
 *
 * `pending` is a stack of places below which the own tree and the target's may differ. A question takes the last of
 * them; its answer is compared with the own tree from the root down: equal hashes end it, leaves are put or removed,
 * and what is pruned and differs goes onto the stack. When nothing is left to ask and the roots are not equal yet (the
 * target moved, or the stack was full), the walk begins at the root again; so nothing on the stack has to be remembered
 * for ever.
 *
 * The changes of one answer are one batch of the store: data, nodes and nothing between. The own tree is thus always
 * that of the own data, and its hashes can be believed by the next answer and after a crash.
 */
#include "base/check.h"
#include "ledger/state_piece.h"
#include "ledger/state_transfer.h"
#include "ledger/state_tree.h"

#include <stdlib.h>
#include <string.h>

#define WALK_KEY "walk"
#define META_KEY "meta"
#define CERTIFICATE_KEY "certificate"
#define PENDING_MAX 65536u   /* places; more are found again from the root */
#define REMOVALS_MAX 4096u   /* keys removed for one answer; the rest for a later one */
#define NUMBER_MAX 65535u    /* what FETCH holds; numbers begin anew then */
#define REBUILD_KEYS 4096u   /* put into the tree in one batch */
#define REBUILD_NODES 16384u /* removed from it in one batch */

static const uint8_t mark_walking = 0;
static const uint8_t mark_damaged = 1;

/* What a question asked for, until its answer is taken. */
struct question {
    uint32_t number; /* 0: none */
    uint32_t count;
    struct state_place places[STATE_ASK_MAX];
};

struct state_walk {
    struct kv_store *store;
    struct digest root; /* of the own tree */
    uint64_t target;
    struct digest target_root; /* zero until an answer has brought one */
    bool met;                  /* ... which it has */
    bool done;
    struct state_place *pending;
    uint32_t pending_count;
    struct question questions[STATE_WALK_ASKS_MAX];
    uint32_t waiting; /* questions */
    uint32_t last_number;
    struct state_walk_progress progress;
};

/* ---- the mark, and the tree made anew ---- */

bool state_is_walking(struct kv_store *store)
{
    struct bytes value;
    return kv_store_get(store, STATE_TABLE_META, bytes_of_text(WALK_KEY), &value) == KV_FOUND;
}

bool state_is_damaged(struct kv_store *store)
{
    struct bytes value;
    const struct bytes damaged = bytes_of(&mark_damaged, 1);
    return kv_store_get(store, STATE_TABLE_META, bytes_of_text(WALK_KEY), &value) == KV_FOUND &&
           bytes_equal(value, damaged);
}

struct err state_walk_certificate(struct kv_store *store, struct bytes *out)
{
    switch (kv_store_get(store, STATE_TABLE_META, bytes_of_text(CERTIFICATE_KEY), out)) {
    case KV_FOUND: return err_none();
    case KV_ABSENT: return err_make(ERR_NOT_FOUND, "this state was not transferred");
    case KV_FAILED: return kv_store_fault(store);
    }
    CHECK(!"state_walk_certificate: result outside the enumeration");
    return err_none();
}

uint64_t state_walk_ended_at(struct kv_store *store)
{
    struct wire_checkpoint_certificate c;
    struct bytes raw;
    const struct err e = state_walk_certificate(store, &raw);
    return err_is(&e) || wire_decode_record(&wire_record_checkpoint_certificate, raw, &c) != NULL ? 0 : c.seq;
}

static struct err put_mark(struct kv_store *store, const uint8_t *mark)
{
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, STATE_TABLE_META, bytes_of_text(WALK_KEY), bytes_of(mark, 1));
    struct err e = kv_store_apply(store, b);
    kv_batch_free(b);
    return e;
}

struct err state_mark_damaged(struct kv_store *store)
{
    return put_mark(store, &mark_damaged);
}

struct err state_note_damage(struct kv_store *store, struct err e)
{
    if (e.code != ERR_CORRUPT) return e;
    const struct err noted = state_mark_damaged(store);
    return err_is(&noted) ? noted
                          : err_wrap(e, "the state is damaged, and is repaired from other replicas at the next start");
}

static struct err remove_nodes(struct kv_store *store)
{
    struct bytes key;
    struct bytes value;
    for (;;) {
        uint8_t next[2 + DIGEST_BYTES + 1];
        struct bytes from = bytes_of(NULL, 0);
        struct kv_batch *b = kv_batch_new();
        enum kv_found found = KV_ABSENT;
        uint32_t count = 0;
        for (; count < REBUILD_NODES; count++) {
            found = kv_store_seek(store, STATE_TABLE_TREE, from, &key, &value);
            if (found != KV_FOUND) break;
            kv_batch_delete(b, STATE_TABLE_TREE, key);
            if (key.len >= sizeof next) break; /* no node's key: one at a time */
            memcpy(next, key.data, key.len);
            next[key.len] = 0;
            from = bytes_of(next, key.len + 1);
        }
        struct err e = found == KV_FAILED ? kv_store_fault(store) : err_none();
        const bool empty = kv_batch_empty(b);
        if (!err_is(&e) && !empty) e = kv_store_apply(store, b);
        kv_batch_free(b);
        if (err_is(&e) || empty) return e;
    }
}

/* The nodes of `changes` join their data in b, and all of it becomes durable. *root: of the tree then. */
static struct err apply(struct kv_store *store, struct state_tree_change *changes, size_t count, struct kv_batch *b,
                        struct digest *root)
{
    const struct state_tree_source source = {.store = store};
    struct tree_nodes *nodes = tree_nodes_new();
    struct err e = state_tree_update(&source, changes, count, nodes, root);
    if (!err_is(&e)) tree_nodes_fold(nodes, b, STATE_TABLE_TREE);
    if (!err_is(&e) && !kv_batch_empty(b)) e = kv_store_apply(store, b);
    tree_nodes_free(nodes);
    return e;
}

/* The tree of the data, whatever stood there before. */
static struct err rebuild_tree(struct kv_store *store)
{
    uint8_t next[STATE_KEY_BYTES_MAX + 1];
    struct bytes from = bytes_of(NULL, 0);
    struct bytes key;
    struct bytes value;
    ERR_TRY(remove_nodes(store));
    struct state_tree_change *changes = mem_alloc(REBUILD_KEYS * sizeof *changes);
    struct err e = err_none();
    bool more = true;
    while (more && !err_is(&e)) {
        size_t count = 0;
        struct digest root;
        struct kv_batch *b = kv_batch_new();
        while (count < REBUILD_KEYS) {
            const enum kv_found found = kv_store_seek(store, STATE_TABLE_DATA, from, &key, &value);
            if (found == KV_FAILED) e = kv_store_fault(store);
            more = found == KV_FOUND;
            if (!more) break;
            if (key.len > STATE_KEY_BYTES_MAX) { /* no key of ours: damage */
                kv_batch_delete(b, STATE_TABLE_DATA, key);
                break;
            }
            changes[count++] =
                (struct state_tree_change){.key = key, .path = state_path_of(key), .value = state_value_digest(value)};
            memcpy(next, key.data, key.len);
            next[key.len] = 0;
            from = bytes_of(next, key.len + 1);
        }
        if (!err_is(&e)) e = apply(store, changes, count, b, &root);
        kv_batch_free(b);
    }
    free(changes);
    return e;
}

/* ---- the life of a walk ---- */

static void push(struct state_walk *w, uint32_t depth, const struct digest *path, bool whole)
{
    if (w->pending_count < PENDING_MAX)
        w->pending[w->pending_count++] = (struct state_place){.depth = depth, .path = *path, .whole = whole};
}

struct err state_walk_open(struct kv_store *store, uint64_t seq, struct state_walk **out)
{
    static const struct digest top;
    const struct state_tree_source source = {.store = store};
    struct state_node node;
    if (state_is_damaged(store)) ERR_TRY(rebuild_tree(store)); /* the mark stays until that is done */
    ERR_TRY(put_mark(store, &mark_walking));
    ERR_TRY(state_tree_read(&source, 0, &top, NULL, &node));
    struct state_walk *w = mem_zero(1, sizeof *w);
    w->store = store;
    w->target = seq;
    w->root = state_node_hash(&node);
    w->pending = mem_alloc(PENDING_MAX * sizeof *w->pending);
    *out = w;
    return err_none();
}

void state_walk_close(struct state_walk *w)
{
    if (w == NULL) return;
    free(w->pending);
    free(w);
}

uint64_t state_walk_target(const struct state_walk *w)
{
    return w->target;
}

bool state_walk_ask(struct state_walk *w, uint32_t *number, struct buffer *out)
{
    static const struct digest top;
    uint8_t space[STATE_ASK_BYTES_MAX];
    struct writer items = writer_of(space, sizeof space);
    struct wire_state_ask ask = {0};
    if (w->waiting == STATE_WALK_ASKS_MAX) return false;
    if (w->pending_count == 0) {
        if (w->waiting > 0) return false;
        push(w, 0, &top, digest_is_zero(&w->root));
    }
    struct question *q = w->questions;
    while (q->number != 0)
        q++;
    /* an even share, so that several replicas can answer at once */
    uint32_t share = w->pending_count / (STATE_WALK_ASKS_MAX - w->waiting);
    if (share == 0) share = 1;
    if (share > STATE_ASK_MAX) share = STATE_ASK_MAX;
    w->last_number = w->last_number == NUMBER_MAX ? 1 : w->last_number + 1;
    *q = (struct question){.number = w->last_number};
    while (q->count < share) {
        const struct state_place *p = &w->pending[--w->pending_count];
        const struct wire_state_position position = {
            .depth = p->depth, .prefix = bytes_of(p->path.bytes, (p->depth + 7u) / 8u), .whole = p->whole ? 1 : 0};
        wire_list_add(&ask.positions, &items, &wire_record_state_position, &position);
        q->places[q->count++] = *p;
    }
    qsort(q->places, q->count, sizeof *q->places, state_place_compare);
    w->waiting++;
    const size_t size = wire_record_size(&wire_record_state_ask, &ask);
    struct writer to = writer_of(buffer_reserve(out, size), size);
    wire_encode_record(&wire_record_state_ask, &ask, &to);
    CHECK(!items.overflow && !to.overflow);
    out->len += to.len;
    *number = q->number;
    return true;
}

/* ---- an answer: what it changes ---- */

/* A subtree of the own tree, read when it is needed. */
struct own {
    uint32_t depth;
    struct digest path;
    struct digest hash;
    bool known;
    struct state_node node;
};

/* An item of the answer and the own subtree at its place. The places asked for that are at or below it are [begin, end)
 * of the question's; inside: it is below one of them itself. */
struct visit {
    struct own own;
    uint32_t item;
    uint32_t begin;
    uint32_t end;
    bool inside;
    bool whole; /* ... asked for with its values */
};

struct taking {
    struct state_walk *w;
    struct state_tree_source source;
    const struct state_piece_item *items;
    struct visit *visits; /* a stack, at most two for each level */
    uint32_t visit_count;
    struct own *owns; /* a stack for removals, the same */
    struct state_tree_change *changes;
    size_t change_count;
    size_t change_cap;
    uint64_t puts;
    uint64_t removals;
    struct kv_batch *batch;
    const struct question *question;
    bool lied;
    bool *unanswered;          /* place k of the question is still only a hash ... */
    uint32_t unanswered_count; /* ... so many */
};

static struct err own_read(const struct taking *t, struct own *o)
{
    if (o->known) return err_none();
    ERR_TRY(state_tree_read(&t->source, o->depth, &o->path, &o->hash, &o->node));
    o->known = true;
    return err_none();
}

/* Child `side` of what stands at *o, which has been read. A lone leaf above stands for the one of its own side. */
static struct own own_child(const struct own *o, uint32_t side)
{
    struct own c = {.depth = o->depth + 1, .path = o->path, .known = true, .node = {.kind = STATE_NODE_EMPTY}};
    if (side == 1) c.path.bytes[o->depth / 8u] |= (uint8_t)(0x80u >> o->depth % 8u);
    if (o->node.kind == STATE_NODE_INNER) {
        c.hash = side == 0 ? o->node.first : o->node.second;
        c.known = digest_is_zero(&c.hash);
    } else if (o->node.kind == STATE_NODE_LEAF && state_path_bit(&o->node.first, o->depth) == side) {
        c.node = o->node;
        c.hash = o->hash;
    }
    return c;
}

static void add_change(struct taking *t, const struct state_tree_change *change)
{
    if (t->change_count == t->change_cap) {
        t->change_cap = t->change_cap == 0 ? 1024 : t->change_cap * 2;
        t->changes = mem_resize(t->changes, t->change_cap * sizeof *t->changes);
    }
    t->changes[t->change_count++] = *change;
}

/* Removes the leaves below *o, but not the one at `keep`. When there are too many for one answer, the place is left for
 * another. *kept: that leaf is there, with this value. */
static struct err remove_below(struct taking *t, const struct own *o, const struct digest *keep,
                               const struct digest *value, bool *kept)
{
    uint32_t count = 0;
    t->owns[count++] = *o;
    while (count > 0) {
        struct own at = t->owns[--count];
        if (t->removals >= REMOVALS_MAX) {
            push(t->w, at.depth, &at.path, false);
            continue;
        }
        ERR_TRY(own_read(t, &at));
        if (at.node.kind == STATE_NODE_INNER) {
            t->owns[count++] = own_child(&at, 1);
            t->owns[count++] = own_child(&at, 0);
        } else if (at.node.kind == STATE_NODE_LEAF) {
            if (keep != NULL && digest_equal(&at.node.first, keep)) {
                *kept = digest_equal(&at.node.second, value);
                continue;
            }
            add_change(t, &(struct state_tree_change){.key = at.node.key, .path = at.node.first, .remove = true});
            kv_batch_delete(t->batch, STATE_TABLE_DATA, at.node.key);
            t->removals++;
        }
    }
    return err_none();
}

static struct err take_leaf(struct taking *t, const struct own *o, const struct wire_state_item *item)
{
    const struct state_tree_change put = {
        .key = item->first, .path = state_path_of(item->first), .value = state_value_digest(item->second)};
    bool kept = false;
    ERR_TRY(remove_below(t, o, &put.path, &put.value, &kept));
    if (kept) return err_none();
    add_change(t, &put);
    kv_batch_put(t->batch, STATE_TABLE_DATA, item->first, item->second);
    t->puts++;
    return err_none();
}

/* Places whose answer is of no use. */
static void leave_unanswered(struct taking *t, const struct visit *v, bool whole_only)
{
    for (uint32_t k = v->begin; k < v->end; k++) {
        if (t->unanswered[k] || (whole_only && !t->question->places[k].whole)) continue;
        t->unanswered[k] = true;
        t->unanswered_count++;
    }
}

/* Differs, and is only a hash: to be asked for, when it is part of what was asked. The rest has its turn already, or has one when
 * the walk begins again at the root. */
static void take_hash(struct taking *t, const struct visit *v)
{
    if (v->inside)
        push(t->w, v->own.depth, &v->own.path, v->own.known && v->own.node.kind != STATE_NODE_INNER);
    else
        leave_unanswered(t, v, false);
}

/* A leaf without its value, which is to be asked for. A correct replica sends those of the places asked for whole. */
static void take_digest(struct taking *t, const struct visit *v)
{
    if (v->inside && v->whole)
        t->lied = true;
    else if (v->inside || v->begin < v->end)
        push(t->w, v->own.depth, &v->own.path, true);
    leave_unanswered(t, v, true);
}

/* The places at this very position decide what is inside. */
static void enter_places(const struct taking *t, struct visit *v)
{
    while (v->begin < v->end && t->question->places[v->begin].depth <= v->own.depth) {
        v->inside = true;
        v->whole |= t->question->places[v->begin++].whole;
    }
}

static struct err take_next(struct taking *t)
{
    struct visit v = t->visits[--t->visit_count];
    const struct state_piece_item *n = &t->items[v.item];
    if (digest_equal(&n->hash, &v.own.hash)) return err_none();
    switch ((enum state_item_kind)n->item.kind) {
    case STATE_ITEM_EMPTY: return remove_below(t, &v.own, NULL, NULL, NULL);
    case STATE_ITEM_PRUNED: take_hash(t, &v); return err_none();
    case STATE_ITEM_DIGEST:
        enter_places(t, &v);
        take_digest(t, &v);
        return err_none();
    case STATE_ITEM_LEAF: return take_leaf(t, &v.own, &n->item);
    case STATE_ITEM_INNER: break;
    }
    ERR_TRY(own_read(t, &v.own));
    enter_places(t, &v);
    uint32_t middle = v.begin;
    while (middle < v.end && state_path_bit(&t->question->places[middle].path, v.own.depth) == 0)
        middle++;
    struct visit *right = &t->visits[t->visit_count++];
    struct visit *left = &t->visits[t->visit_count++];
    *left = *right = v;
    right->own = own_child(&v.own, 1);
    right->item = t->items[v.item + 1].end;
    right->begin = middle;
    left->own = own_child(&v.own, 0);
    left->item = v.item + 1;
    left->end = middle;
    return err_none();
}

/* The tree may be deeper here than any tree of leaves is: an inner node at the greatest depth is no answer. */
static bool too_deep(const struct taking *t)
{
    const struct visit *v = &t->visits[t->visit_count - 1];
    return v->own.depth == STATE_TREE_DEPTH_MAX && t->items[v->item].item.kind == STATE_ITEM_INNER;
}

/* ---- the parts together ---- */

static void put_record(struct kv_batch *b, const char *key, const struct wire_record *record, const void *value)
{
    struct blob *encoded = wire_encode_blob(record, value);
    kv_batch_put(b, STATE_TABLE_META, bytes_of_text(key), blob_bytes(encoded));
    blob_release(encoded);
}

static struct err finish(struct state_walk *w, const struct wire_state_piece *piece)
{
    struct kv_batch *b = kv_batch_new();
    put_record(b, META_KEY, &wire_record_state_meta, &piece->meta);
    put_record(b, CERTIFICATE_KEY, &wire_record_checkpoint_certificate, &piece->certificate);
    kv_batch_delete(b, STATE_TABLE_META, bytes_of_text(WALK_KEY));
    const struct err e = kv_store_apply(w->store, b);
    kv_batch_free(b);
    return e;
}

static struct question *find_question(struct state_walk *w, uint32_t number)
{
    for (uint32_t k = 0; k < STATE_WALK_ASKS_MAX; k++)
        if (number != 0 && w->questions[k].number == number) return &w->questions[k];
    return NULL;
}

/* Compares the answer with the own tree and applies what differs. *useful: at least one place asked for came with more
 * than its hash. */
static struct err compare(struct taking *t, bool *useful)
{
    static const struct digest top;
    struct state_walk *w = t->w;
    const uint32_t pending_before = w->pending_count;
    t->visits[t->visit_count++] = (struct visit){
        .own = {.path = top, .hash = w->root, .known = digest_is_zero(&w->root)}, .end = t->question->count};
    while (t->visit_count > 0) {
        *useful = !too_deep(t);
        struct err e = *useful ? take_next(t) : err_none();
        if (!err_is(&e) && *useful) continue;
        w->pending_count = pending_before;
        return e;
    }
    *useful = !t->lied && t->unanswered_count < t->question->count;
    for (uint32_t k = 0; *useful && k < t->question->count; k++) {
        const struct state_place *p = &t->question->places[k];
        if (t->unanswered[k]) push(w, p->depth, &p->path, p->whole);
    }
    struct err e =
        *useful && t->change_count > 0 ? apply(w->store, t->changes, t->change_count, t->batch, &w->root) : err_none();
    if (err_is(&e) || !*useful) w->pending_count = pending_before;
    return e;
}

static struct err take_items(struct state_walk *w, const struct question *q, const struct state_piece_item *items,
                             bool *useful)
{
    struct taking t = {.w = w, .source = {.store = w->store}, .items = items, .question = q};
    t.visits = mem_alloc((2u * STATE_TREE_DEPTH_MAX + 2u) * sizeof *t.visits);
    t.owns = mem_alloc((2u * STATE_TREE_DEPTH_MAX + 2u) * sizeof *t.owns);
    t.unanswered = mem_zero(q->count + 1u, sizeof *t.unanswered);
    t.batch = kv_batch_new();
    const struct err e = compare(&t, useful);
    if (!err_is(&e) && *useful) {
        w->progress.leaves += t.puts;
        w->progress.removed += t.removals;
    }
    kv_batch_free(t.batch);
    free(t.changes);
    free(t.unanswered);
    free(t.owns);
    free(t.visits);
    return e;
}

struct err state_walk_take(struct state_walk *w, uint32_t number, const struct wire_state_piece *piece,
                           enum state_walk_verdict *out)
{
    struct question *q = find_question(w, number);
    CHECK(q != NULL && !w->done);
    if (piece->certificate.seq < w->target) {
        *out = STATE_WALK_OLD;
        return err_none();
    }
    *out = STATE_WALK_BAD;
    if (piece->items.count == 0 || !state_piece_meta_good(piece)) return err_none();
    struct state_piece_item *items = mem_zero(piece->items.count, sizeof *items);
    struct err e = err_none();
    bool useful = state_piece_read(piece, items) && digest_equal(&items[0].hash, &piece->certificate.state_root);
    if (useful) e = take_items(w, q, items, &useful);
    free(items);
    if (err_is(&e) || !useful) return e;
    w->target = piece->certificate.seq;
    w->target_root = piece->certificate.state_root;
    w->met = true;
    w->progress.pieces++;
    w->progress.bytes += piece->items.items.len;
    const bool there = digest_equal(&w->root, &w->target_root);
    if (there) ERR_TRY(finish(w, piece));
    w->done = there;
    *q = (struct question){0};
    w->waiting--;
    *out = there ? STATE_WALK_DONE : STATE_WALK_TAKEN;
    return err_none();
}

/* What share of all paths lies below the places. */
static double share_of(const struct state_place *places, uint32_t count)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        double part = 1;
        for (uint32_t d = 0; d < places[i].depth && d < 64; d++)
            part /= 2;
        sum += part;
    }
    return sum;
}

struct state_walk_progress state_walk_progress(const struct state_walk *w)
{
    struct state_walk_progress p = w->progress;
    double open = share_of(w->pending, w->pending_count);
    for (uint32_t k = 0; k < STATE_WALK_ASKS_MAX; k++)
        open += share_of(w->questions[k].places, w->questions[k].count);
    p.target = w->target;
    p.covered_ppm = !w->met || open >= 1 ? 0 : (uint32_t)((1 - open) * 1000000);
    return p;
}
