/* ledger_check_state.c - the state environment: the record of its checkpoint, the tree from its root, and the data.
 *
 * The tree is walked depth first with an explicit stack. Each leaf is looked up in the data by its key; a datum that no
 * leaf names shows by the counts, and is then searched for by going down the tree for every key.
 */
#include "ledger/ledger_check_private.h"
#include "ledger/state_proof.h"
#include "ledger/state_tree.h"

#include <inttypes.h>
#include <stdlib.h>

static void say_state(struct ledger_checking *c, const char *text)
{
    ledger_check_say(c, (struct ledger_fault){.kind = LEDGER_FAULT_STATE}, "state: %s", text);
}

static void say_key(struct ledger_checking *c, struct bytes key, const char *text)
{
    ledger_check_say_key(c, (struct ledger_fault){.kind = LEDGER_FAULT_STATE, .key = key}, "state: key", text);
}

/* ---- the record of the checkpoint ---- */

/* Header, count and history of the record against each other. */
static const char *meta_fault(const struct wire_state_meta *m, struct merkle_frontier *history)
{
    *history = (struct merkle_frontier){.count = m->history_count};
    if (m->header.seq != m->seq) return "its header is of another sequence";
    if (m->header.first_index + m->header.count != m->history_count)
        return "its header contradicts the count of entries";
    if (m->history.count != merkle_frontier_nodes(history)) return "its history has the wrong size";
    struct wire_iterator i = wire_list_start(m->history);
    for (uint32_t k = 0; k < m->history.count; k++)
        if (!wire_list_next_digest(&i, &history->nodes[k])) return "its history does not decode";
    if (m->seq == 0) return NULL;
    const struct digest root = merkle_frontier_root(history);
    return digest_equal(&root, &m->header.history_root) ? NULL : "its history is not the one that its header names";
}

/* The certificate with which a walk ended, if it is of this checkpoint and proves it. */
static bool walk_proven(const struct ledger_checking *c, uint64_t seq, struct wire_checkpoint_certificate *out)
{
    struct bytes raw;
    const struct err e = state_walk_certificate(c->in->state, &raw);
    if (err_is(&e) || wire_decode_record(&wire_record_checkpoint_certificate, raw, out) != NULL) return false;
    return out->seq == seq && seq > 0 && certificate_check_checkpoint(c->in->wire, c->in->checker, out) == NULL;
}

static bool base_proven(struct ledger_checking *c, uint64_t seq, struct wire_checkpoint_certificate *out)
{
    c->transferred = walk_proven(c, seq, out);
    if (c->transferred) return true;
    if (c->stable != seq) return ledger_check_proven(c->in, seq, out);
    const struct err e = log_get_stable(c->in->log, out); /* it has been checked */
    return !err_is(&e);
}

/* One that never was stable by itself has no certificate; it is then below the stable one. */
static const char *certificate_fault(struct ledger_checking *c, const struct wire_state_meta *m)
{
    struct wire_checkpoint_certificate proof;
    if (m->seq == 0) return NULL;
    c->base_proven = base_proven(c, m->seq, &proof);
    if (!c->base_proven) return m->seq < c->out->stable ? NULL : "no certificate proves it";
    const struct digest hash = header_hash(&m->header);
    if (!digest_equal(&proof.header_hash, &hash)) return "its header is not the one that a quorum signed";
    return digest_equal(&proof.state_root, &m->state_root) ? NULL : "its root is not the one that a quorum signed";
}

struct err ledger_check_base(struct ledger_checking *c)
{
    struct wire_state_meta m;
    struct bytes raw;
    const enum kv_found found = kv_store_get(c->in->state, STATE_TABLE_META, bytes_of_text("meta"), &raw);
    if (found == KV_FAILED) return kv_store_fault(c->in->state);
    const char *fault = found == KV_FOUND ? wire_decode_record(&wire_record_state_meta, raw, &m) : "it is missing";
    if (fault != NULL) {
        ledger_check_say(c, (struct ledger_fault){.kind = LEDGER_FAULT_STATE},
                         "state: the record of its checkpoint: %s", fault);
        return err_none();
    }
    fault = meta_fault(&m, &c->base_history);
    if (fault == NULL) fault = certificate_fault(c, &m);
    c->base_root = m.state_root;
    c->base_good = fault == NULL;
    if (c->base_good) {
        c->base = m.header;
        c->out->base = m.seq;
        return err_none();
    }
    ledger_check_say(c, (struct ledger_fault){.kind = LEDGER_FAULT_STATE},
                     "state: the record of checkpoint %" PRIu64 ": %s", m.seq, fault);
    return kv_store_fault(c->in->state);
}

/* ---- the tree ---- */

struct place {
    uint32_t depth;
    struct digest path;
    struct digest hash; /* as the node above names it */
};

static void check_leaf(struct ledger_checking *c, const struct state_node *leaf)
{
    struct bytes value;
    const struct digest path = state_path_of(leaf->key);
    if (!digest_equal(&path, &leaf->first)) {
        say_key(c, leaf->key, "it stands in the tree at the path of another");
        return;
    }
    const enum kv_found found = kv_store_get(c->in->state, STATE_TABLE_DATA, leaf->key, &value);
    if (found == KV_FAILED) return; /* seen at the end */
    if (found == KV_ABSENT) {
        say_key(c, leaf->key, "it has no value, but the tree names one");
        return;
    }
    const struct digest digest = state_value_digest(value);
    if (!digest_equal(&digest, &leaf->second)) say_key(c, leaf->key, "its value is not the one that the tree names");
}

/* Pushes the subtrees of an inner node that are not empty. */
static void push_children(const struct place *above, const struct state_node *node, struct place *stack,
                          uint32_t *stacked)
{
    for (uint32_t side = 2; side > 0; side--) {
        struct place p = {
            .depth = above->depth + 1, .path = above->path, .hash = side == 1 ? node->first : node->second};
        if (digest_is_zero(&p.hash)) continue;
        if (side == 2) p.path.bytes[above->depth / 8u] |= (uint8_t)(0x80u >> above->depth % 8u);
        stack[(*stacked)++] = p;
    }
}

/* All that can be reached from the root: the number of leaves. */
static uint64_t check_nodes(struct ledger_checking *c, const struct state_node *root)
{
    const struct state_tree_source source = {.store = c->in->state};
    struct place *stack =
        mem_alloc((STATE_TREE_DEPTH_MAX + 2u) * sizeof *stack); /* one for each level, and two at the end */
    uint32_t stacked = 0;
    uint64_t leaves = 0;
    stack[stacked++] = (struct place){.hash = state_node_hash(root)};
    while (stacked > 0) {
        const struct place at = stack[--stacked];
        struct state_node node;
        if (digest_is_zero(&at.hash)) continue; /* an empty state */
        const struct err e = state_tree_read(&source, at.depth, &at.path, &at.hash, &node);
        if (err_is(&e)) {
            ledger_check_say(c, (struct ledger_fault){.kind = LEDGER_FAULT_STATE}, "%s", e.text);
        } else if (node.kind == STATE_NODE_INNER) {
            push_children(&at, &node, stack, &stacked);
        } else {
            leaves++;
            check_leaf(c, &node);
        }
    }
    free(stack);
    return leaves;
}

static uint64_t count_data(struct ledger_checking *c)
{
    struct ledger_cursor cursor = {.store = c->in->state, .table = STATE_TABLE_DATA};
    struct bytes key;
    struct bytes value;
    uint64_t count = 0;
    while (ledger_cursor_next(&cursor, &key, &value) == KV_FOUND)
        count++;
    return count;
}

/* Names the data that no leaf names. Below a damaged node nothing can be said, and the node has been reported. */
static void say_unnamed(struct ledger_checking *c)
{
    struct ledger_cursor cursor = {.store = c->in->state, .table = STATE_TABLE_DATA};
    struct state_proof *proof = mem_alloc(sizeof *proof);
    struct bytes key;
    struct bytes value;
    while (ledger_cursor_next(&cursor, &key, &value) == KV_FOUND) {
        const struct digest path = state_path_of(key);
        const struct err e = state_proof_make(c->in->state, key, proof);
        if (err_is(&e) || (proof->leaf && digest_equal(&proof->leaf_path, &path))) continue;
        say_key(c, key, "it has a value, but the tree does not name it");
    }
    free(proof);
}

struct err ledger_check_tree(struct ledger_checking *c)
{
    static const struct digest top;
    const struct state_tree_source source = {.store = c->in->state};
    struct state_node root;
    const struct err e = state_tree_read(&source, 0, &top, NULL, &root);
    c->out->keys = count_data(c);
    if (err_is(&e)) {
        ledger_check_say(c, (struct ledger_fault){.kind = LEDGER_FAULT_STATE}, "%s", e.text);
        return kv_store_fault(c->in->state);
    }
    const struct digest hash = state_node_hash(&root);
    if (c->base_good && !digest_equal(&hash, &c->base_root))
        say_state(c, "the root of the tree is not the one that the record of its checkpoint names");
    if (check_nodes(c, &root) != c->out->keys) say_unnamed(c);
    return kv_store_fault(c->in->state);
}
