/* client_votes.c - see client_votes.h. */
#include "client/client_votes.h"

#include "crypto/merkle.h"
#include "wire/certificate.h"

/* The entry as it was hashed; into b, in the place of what was there. */
static struct bytes encoded(struct buffer *b, const struct wire_entry *e)
{
    const size_t size = wire_record_size(&wire_record_entry, e);
    b->len = 0;
    struct writer w = writer_of(buffer_reserve(b, size), size);
    wire_encode_record(&wire_record_entry, e, &w);
    return bytes_of(w.data, w.len);
}

static bool entry_proven(const struct wire_header *h, const struct wire_proven_entry *e, struct bytes raw_entry)
{
    struct digest path[MERKLE_PATH_MAX];
    struct wire_iterator i = wire_list_start(e->path);
    uint32_t count = 0;
    while (count < MERKLE_PATH_MAX && wire_list_next_digest(&i, &path[count]))
        count++;
    const struct digest leaf = merkle_leaf(raw_entry);
    return merkle_path_verify(&leaf, e->index, h->count, path, count, &h->entries_root);
}

static bool reply_results(const struct wire_reply *m, struct wire_iterator first, uint32_t op_count,
                          struct buffer *space, struct client_results *results, struct digest *what)
{
    struct wire_proven_entry e;
    struct digest transaction;
    struct hasher h;
    const struct digest header = header_hash(&m->header);
    results->count = 0;
    hasher_start(&h, DIGEST_DOMAIN_RESULT);
    hasher_add(&h, header.bytes, sizeof header.bytes);
    while (wire_list_next(&first, &wire_record_proven_entry, &e)) {
        if (results->count == 0) transaction = e.entry.transaction;
        if (!digest_equal(&e.entry.transaction, &transaction)) break;
        if (e.entry.operation != results->count || results->count >= op_count) return false;
        const struct bytes raw = encoded(space, &e.entry);
        if (!entry_proven(&m->header, &e, raw) || e.entry.outcome > OUTCOME_MAX) return false;
        hasher_add(&h, raw.data, raw.len);
        if (results->count == 0) results->first_index = m->header.first_index + e.index;
        results->outcomes[results->count] = (enum outcome)e.entry.outcome;
        results->values[results->count] = e.entry.result;
        results->count++;
    }
    hasher_finish(&h, what);
    if (results->count == 0) return false;
    /* expired or refused as a whole: one entry stands for all */
    const bool whole = results->count == 1 && results->outcomes[0] >= OUTCOME_EXPIRED;
    return results->count == op_count || whole;
}

bool client_votes_reply(const struct wire_reply *m, struct wire_iterator first, uint32_t op_count,
                        struct client_results *results, struct digest *what)
{
    struct buffer space = {0};
    const bool good = reply_results(m, first, op_count, &space, results, what);
    buffer_free(&space);
    return good;
}

struct digest client_votes_result(const struct wire_result *m)
{
    struct hasher h;
    struct digest out;
    hasher_start(&h, DIGEST_DOMAIN_RESULT);
    hasher_add_be64(&h, m->outcome);
    hasher_add(&h, m->value.data, m->value.len);
    hasher_finish(&h, &out);
    return out;
}

uint32_t client_votes_for(const struct client_vote *votes, uint32_t replica_count, const struct digest *what)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < replica_count; id++)
        if (votes[id].present && digest_equal(&votes[id].what, what)) count++;
    return count;
}

bool client_votes_settle(const struct client_vote *votes, const struct quorum *quorum, const struct digest *what)
{
    return client_votes_for(votes, quorum->replica_count, what) >= quorum->weak; /* f + 1 */
}

bool client_votes_settle_read(const struct client_vote *votes, const struct quorum *quorum, const struct digest *what)
{
    return client_votes_for(votes, quorum->replica_count, what) >= quorum->quorum; /* rule 23 */
}
