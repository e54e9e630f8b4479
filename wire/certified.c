/* certified.c - see certified.h. */
#include "wire/certified.h"

#include "base/check.h"
#include "wire/state_proof.h"

#include <string.h>

#define PREFIX_BYTES 2u

_Static_assert(REPLICAS_MAX * 80u + STATE_PROOF_SIBLINGS_MAX * (DIGEST_BYTES + 2u) + 1024u <= RESULT_PROOF_BYTES_MAX,
               "a proof fits its field");

struct bytes certified_state_key(uint64_t app, struct bytes key, uint8_t space[STATE_KEY_BYTES_MAX])
{
    CHECK_OP(key.len, <=, STATE_KEY_BYTES_MAX - PREFIX_BYTES);
    space[0] = (uint8_t)(app >> 8);
    space[1] = (uint8_t)(app & 0xff);
    if (key.len > 0) memcpy(space + PREFIX_BYTES, key.data, key.len);
    return bytes_of(space, PREFIX_BYTES + key.len);
}

bool certified_reads_key(const struct wire_operation *op, uint8_t space[STATE_KEY_BYTES_MAX], struct bytes *key)
{
    struct wire_iterator i = wire_list_start(op->args);
    struct bytes raw;
    if (op->app != APP_KV || op->verb != APP_KV_GET || op->args.count != 1 || !wire_list_next_bytes(&i, &raw))
        return false;
    if (raw.len == 0 || raw.len > STATE_KEY_BYTES_MAX - PREFIX_BYTES) return false;
    *key = certified_state_key(op->app, raw, space);
    return true;
}

static const char *check_certificate(const struct wire_group *g, struct signature_checker checker,
                                     const struct wire_checkpoint_certificate *c, struct digest *known)
{
    if (c->seq == 0) return "its certificate is of the beginning, which nobody has signed";
    struct blob *raw = wire_encode_blob(&wire_record_checkpoint_certificate, c);
    const struct digest d = digest_of(DIGEST_DOMAIN_RESULT, blob_bytes(raw));
    blob_release(raw);
    if (known != NULL && digest_equal(known, &d)) return NULL;
    const char *fault = certificate_check_checkpoint(g, checker, c);
    if (fault == NULL && known != NULL) *known = d;
    return fault;
}

static void take_path(const struct wire_state_proof *m, struct state_proof *out)
{
    struct wire_iterator i = wire_list_start(m->siblings);
    struct wire_iterator leaves = wire_list_start(m->leaf);
    struct wire_state_leaf leaf;
    *out = (struct state_proof){.sibling_count = 0};
    while (out->sibling_count < STATE_PROOF_SIBLINGS_MAX &&
           wire_list_next_digest(&i, &out->siblings[out->sibling_count]))
        out->sibling_count++;
    out->leaf = wire_list_next(&leaves, &wire_record_state_leaf, &leaf);
    if (!out->leaf) return;
    out->leaf_path = leaf.path;
    out->leaf_value = leaf.value;
}

const char *certified_check(const struct wire_group *g, struct signature_checker checker,
                            const struct wire_operation *op, const struct wire_result *m, struct digest *known)
{
    uint8_t space[STATE_KEY_BYTES_MAX];
    struct bytes key;
    struct wire_state_proof proof;
    struct state_proof path;
    if (!certified_reads_key(op, space, &key)) return CERTIFIED_NOT_ONE_KEY;
    if (m->outcome != OUTCOME_OK && m->outcome != OUTCOME_NEGATIVE) return "it is no answer to a read";
    if (m->outcome == OUTCOME_NEGATIVE && m->value.len > 0) return "it says that there is no such key, and gives a value";
    if (wire_decode_record(&wire_record_state_proof, m->proof, &proof) != NULL) return "its proof does not decode";
    if (proof.certificate.seq != m->seq) return "its certificate is of another checkpoint than it says";
    const char *fault = check_certificate(g, checker, &proof.certificate, known);
    if (fault != NULL) return fault;
    take_path(&proof, &path);
    const struct digest *root = &proof.certificate.state_root;
    const bool shown = m->outcome == OUTCOME_OK ? state_proof_shows_value(&path, root, key, m->value)
                                                : state_proof_shows_absence(&path, root, key);
    return shown ? NULL : "its path does not lead to the state of that checkpoint";
}
