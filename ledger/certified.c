/* certified.c - see certified.h. */
#include "ledger/certified.h"

#include "base/check.h"

#include <string.h>

void certified_answer_release(struct certified_answer *a)
{
    buffer_free(&a->value);
    blob_release(a->proof);
    *a = (struct certified_answer){.outcome = OUTCOME_REFUSED};
}

static struct err refuse(struct certified_answer *out, const char *why)
{
    out->outcome = OUTCOME_REFUSED;
    buffer_append(&out->value, why, strlen(why));
    return err_none();
}

static struct blob *encode_proof(const struct wire_checkpoint_certificate *certificate, const struct state_proof *p)
{
    uint8_t siblings[STATE_PROOF_SIBLINGS_MAX * (DIGEST_BYTES + 2u)];
    uint8_t leaf[128];
    struct writer sibling_writer = writer_of(siblings, sizeof siblings);
    struct writer leaf_writer = writer_of(leaf, sizeof leaf);
    struct wire_state_proof m = {.certificate = *certificate};
    for (uint32_t i = 0; i < p->sibling_count; i++)
        wire_list_add_digest(&m.siblings, &sibling_writer, &p->siblings[i]);
    const struct wire_state_leaf end = {.path = p->leaf_path, .value = p->leaf_value};
    if (p->leaf) wire_list_add(&m.leaf, &leaf_writer, &wire_record_state_leaf, &end);
    CHECK(!sibling_writer.overflow && !leaf_writer.overflow);
    return wire_encode_blob(&wire_record_state_proof, &m);
}

struct err certified_make(struct executor *e, const struct blob *certificate, const struct wire_operation *op,
                          struct certified_answer *out)
{
    uint8_t space[STATE_KEY_BYTES_MAX];
    struct bytes key;
    struct bytes value;
    struct wire_checkpoint_certificate c;
    struct state_proof p;
    bool found;
    *out = (struct certified_answer){.outcome = OUTCOME_REFUSED};
    if (!certified_reads_key(op, space, &key)) return refuse(out, CERTIFIED_NOT_ONE_KEY);
    if (certificate == NULL) return refuse(out, "no checkpoint is stable yet");
    CHECK(wire_decode_record(&wire_record_checkpoint_certificate, blob_bytes(certificate), &c) == NULL);
    if (c.seq == 0 || c.seq != executor_base(e)) return refuse(out, "no checkpoint is stable yet");
    ERR_TRY(executor_base_prove(e, key, &found, &value, &p));
    if (found ? !state_proof_shows_value(&p, &c.state_root, key, value)
              : !state_proof_shows_absence(&p, &c.state_root, key))
        return err_make(ERR_CORRUPT, "the state's tree does not prove what its data holds at checkpoint %llu",
                        (unsigned long long)c.seq);
    out->outcome = found ? OUTCOME_OK : OUTCOME_NEGATIVE;
    if (found) buffer_append(&out->value, value.data, value.len);
    out->proof = encode_proof(&c, &p);
    out->seq = c.seq;
    return err_none();
}
