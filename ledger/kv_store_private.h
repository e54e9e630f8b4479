/* kv_store_private.h - what the two implementations of the store share: the table of functions behind kv_store.h, and a
 * view of the operations of a batch. Included by kv_store*.c only.
 */
#ifndef PBFT_LEDGER_KV_STORE_PRIVATE_H
#define PBFT_LEDGER_KV_STORE_PRIVATE_H

#include "ledger/kv_store.h"

#define KV_KEY_BYTES_MAX 511u /* what LMDB takes */

/* The first member of each implementation's struct. An implementation's read that fails sets `fault`. */
struct kv_store {
    const struct kv_store_methods *methods;
    uint32_t table_count;
    uint64_t syncs;
    struct err fault;
};

/* As the functions of kv_store.h; kv_store.c has checked table numbers and key lengths. `from` of seek is at most
 * KV_KEY_BYTES_MAX long. apply is never given an empty batch and does not count syncs. */
struct kv_store_methods {
    enum kv_found (*get)(struct kv_store *s, uint32_t table, struct bytes key, struct bytes *value);
    enum kv_found (*seek)(struct kv_store *s, uint32_t table, struct bytes from, struct bytes *key,
                          struct bytes *value);
    enum kv_found (*last)(struct kv_store *s, uint32_t table, struct bytes *key, struct bytes *value);
    void (*refresh)(struct kv_store *s);
    struct err (*size)(struct kv_store *s, struct kv_store_size *out);
    struct err (*apply)(struct kv_store *s, const struct kv_batch *b);
    void (*close)(struct kv_store *s);
};

/* One operation of a batch; key and value are borrowed from the batch. */
struct kv_batch_op {
    uint32_t table;
    bool remove;
    struct bytes key;
    struct bytes value;
};

size_t kv_batch_count(const struct kv_batch *b);
struct kv_batch_op kv_batch_at(const struct kv_batch *b, size_t index);

#endif
