/* state_proof.c - see state_proof.h. The checks believe nothing in a proof but what hashes to the root. */
#include "wire/state_proof.h"

#include "base/check.h"

#include <string.h>

/* ---- hashes ---- */

struct digest state_path_of(struct bytes key)
{
    return digest_of(DIGEST_DOMAIN_STATE_KEY, key);
}

struct digest state_value_digest(struct bytes value)
{
    struct hasher h;
    struct digest out;
    hasher_start_plain(&h);
    if (value.len > 0) hasher_add(&h, value.data, value.len);
    hasher_finish(&h, &out);
    return out;
}

bool state_path_shares(const struct digest *a, const struct digest *b, uint32_t depth)
{
    CHECK_OP(depth, <=, STATE_PROOF_SIBLINGS_MAX);
    const uint32_t whole = depth / 8u;
    const uint32_t rest = depth % 8u;
    if (memcmp(a->bytes, b->bytes, whole) != 0) return false;
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8u - rest) == 0;
}

static struct digest pair_hash(enum digest_domain domain, const struct digest *first, const struct digest *second)
{
    struct hasher h;
    struct digest out;
    hasher_start(&h, domain);
    hasher_add(&h, first->bytes, DIGEST_BYTES);
    hasher_add(&h, second->bytes, DIGEST_BYTES);
    hasher_finish(&h, &out);
    return out;
}

struct digest state_inner_hash(const struct digest *left, const struct digest *right)
{
    return pair_hash(DIGEST_DOMAIN_STATE_NODE, left, right);
}

struct digest state_leaf_hash(const struct digest *path, const struct digest *value)
{
    return pair_hash(DIGEST_DOMAIN_STATE_LEAF, path, value);
}

/* ---- proofs ---- */

/* True when what stands at the end of the proof, on the way of `path`, hashes up to the root. */
static bool proof_reaches(const struct state_proof *p, const struct digest *path, const struct digest *root)
{
    if (p->sibling_count > STATE_PROOF_SIBLINGS_MAX) return false;
    struct digest hash = {{0}}; /* nothing */
    if (p->leaf) hash = state_leaf_hash(&p->leaf_path, &p->leaf_value);
    for (uint32_t depth = p->sibling_count; depth > 0; depth--) {
        const struct digest *sibling = &p->siblings[depth - 1];
        hash =
            state_path_bit(path, depth - 1) != 0 ? state_inner_hash(sibling, &hash) : state_inner_hash(&hash, sibling);
    }
    return digest_equal(&hash, root);
}

bool state_proof_shows_value(const struct state_proof *p, const struct digest *root, struct bytes key,
                             struct bytes value)
{
    const struct digest path = state_path_of(key);
    const struct digest value_digest = state_value_digest(value);
    if (!p->leaf || !digest_equal(&p->leaf_path, &path) || !digest_equal(&p->leaf_value, &value_digest)) return false;
    return proof_reaches(p, &path, root);
}

bool state_proof_shows_absence(const struct state_proof *p, const struct digest *root, struct bytes key)
{
    const struct digest path = state_path_of(key);
    if (p->sibling_count > STATE_PROOF_SIBLINGS_MAX) return false;
    if (p->leaf) {
        /* Another leaf stands where the key's would: below the same position, and not the key's own. */
        if (digest_equal(&p->leaf_path, &path)) return false;
        if (!state_path_shares(&p->leaf_path, &path, p->sibling_count)) return false;
    }
    return proof_reaches(p, &path, root);
}
