/* kv_store.c - the store interface: checks of arguments, dispatch to an implementation, and the batch.
 *
 * A batch is a list of operations in the order in which they were given; an implementation applies them in that order,
 * which is what makes later ones win. Keys and values that are copied stand one after the other in one buffer.
 */
#include "ledger/kv_store.h"

#include "base/check.h"
#include "ledger/kv_store_private.h"

#include <stdlib.h>

struct kv_batch_record {
    union {
        const uint8_t *key; /* lent */
        size_t key_at;      /* copied: into the buffer; the value follows the key */
    };
    const uint8_t *value; /* lent */
    uint32_t value_len;
    uint16_t key_len;
    uint8_t table : 6;
    bool remove : 1;
    bool lent : 1;
};

struct kv_batch {
    struct kv_batch_record *records;
    size_t count;
    size_t cap;
    uint64_t bytes; /* of all keys and values */
    struct buffer content;
};

_Static_assert(KV_KEY_BYTES_MAX <= UINT16_MAX && KV_TABLES_MAX <= 1u << 6, "a record holds them");

struct kv_batch *kv_batch_new(void)
{
    return mem_zero(1, sizeof(struct kv_batch));
}

void kv_batch_free(struct kv_batch *b)
{
    if (b == NULL) return;
    buffer_free(&b->content);
    free(b->records);
    free(b);
}

void kv_batch_clear(struct kv_batch *b)
{
    b->count = 0;
    b->bytes = 0;
    b->content.len = 0;
}

static struct kv_batch_record *kv_batch_add(struct kv_batch *b, uint32_t table, struct bytes key, struct bytes value,
                                            bool remove)
{
    CHECK_OP(table, <, KV_TABLES_MAX);
    CHECK_OP(key.len, >=, 1);
    CHECK_OP(key.len, <=, KV_KEY_BYTES_MAX);
    CHECK_OP(value.len, <=, UINT32_MAX); /* what LMDB takes */
    if (b->count == b->cap) {
        const size_t cap = b->cap == 0 ? 64 : b->cap * 2;
        CHECK_OP(cap, <=, SIZE_MAX / sizeof *b->records);
        b->records = mem_resize(b->records, cap * sizeof *b->records);
        b->cap = cap;
    }
    b->bytes += key.len + value.len;
    struct kv_batch_record *r = &b->records[b->count++];
    *r = (struct kv_batch_record){
        .value_len = (uint32_t)value.len, .key_len = (uint16_t)key.len, .table = table & 0x3fu, .remove = remove};
    return r;
}

static void kv_batch_copy(struct kv_batch *b, struct kv_batch_record *r, struct bytes key, struct bytes value)
{
    r->key_at = b->content.len;
    buffer_append(&b->content, key.data, key.len);
    if (value.len > 0) buffer_append(&b->content, value.data, value.len);
}

static void kv_batch_lend(struct kv_batch_record *r, struct bytes key, struct bytes value)
{
    r->lent = true;
    r->key = key.data;
    r->value = value.data;
}

void kv_batch_put(struct kv_batch *b, uint32_t table, struct bytes key, struct bytes value)
{
    kv_batch_copy(b, kv_batch_add(b, table, key, value, false), key, value);
}

void kv_batch_put_lent(struct kv_batch *b, uint32_t table, struct bytes key, struct bytes value)
{
    kv_batch_lend(kv_batch_add(b, table, key, value, false), key, value);
}

void kv_batch_delete(struct kv_batch *b, uint32_t table, struct bytes key)
{
    const struct bytes none = bytes_of(NULL, 0);
    kv_batch_copy(b, kv_batch_add(b, table, key, none, true), key, none);
}

void kv_batch_delete_lent(struct kv_batch *b, uint32_t table, struct bytes key)
{
    const struct bytes none = bytes_of(NULL, 0);
    kv_batch_lend(kv_batch_add(b, table, key, none, true), key, none);
}

bool kv_batch_empty(const struct kv_batch *b)
{
    return b->count == 0;
}

uint64_t kv_batch_bytes(const struct kv_batch *b)
{
    return b->bytes;
}

size_t kv_batch_count(const struct kv_batch *b)
{
    return b->count;
}

struct kv_batch_op kv_batch_at(const struct kv_batch *b, size_t index)
{
    CHECK_OP(index, <, b->count);
    const struct kv_batch_record *r = &b->records[index];
    const uint8_t *key = r->lent ? r->key : b->content.data + r->key_at;
    const uint8_t *value = r->lent ? r->value : key + r->key_len;
    return (struct kv_batch_op){.table = r->table,
                                .remove = r->remove,
                                .key = bytes_of(key, r->key_len),
                                .value = bytes_of(value, r->value_len)};
}

void kv_store_close(struct kv_store *s)
{
    if (s != NULL) s->methods->close(s);
}

enum kv_found kv_store_get(struct kv_store *s, uint32_t table, struct bytes key, struct bytes *value)
{
    CHECK_OP(table, <, s->table_count);
    /* A key that cannot be put is not there. */
    if (key.len == 0 || key.len > KV_KEY_BYTES_MAX) return KV_ABSENT;
    return s->methods->get(s, table, key, value);
}

enum kv_found kv_store_seek(struct kv_store *s, uint32_t table, struct bytes from, struct bytes *key,
                            struct bytes *value)
{
    CHECK_OP(table, <, s->table_count);
    if (from.len <= KV_KEY_BYTES_MAX) return s->methods->seek(s, table, from, key, value);
    /* Keys end at KV_KEY_BYTES_MAX, so the first one >= from is the first one > its head: the next of that length. */
    uint8_t head[KV_KEY_BYTES_MAX];
    size_t len = KV_KEY_BYTES_MAX;
    for (size_t i = 0; i < len; i++)
        head[i] = from.data[i];
    while (len > 0 && head[len - 1] == UINT8_MAX)
        len--;
    if (len == 0) return KV_ABSENT;
    head[len - 1]++;
    return s->methods->seek(s, table, bytes_of(head, len), key, value);
}

enum kv_found kv_store_last(struct kv_store *s, uint32_t table, struct bytes *key, struct bytes *value)
{
    CHECK_OP(table, <, s->table_count);
    return s->methods->last(s, table, key, value);
}

void kv_store_refresh(struct kv_store *s)
{
    s->methods->refresh(s);
}

struct err kv_store_size(struct kv_store *s, struct kv_store_size *out)
{
    return s->methods->size(s, out);
}

struct err kv_store_fault(const struct kv_store *s)
{
    return s->fault;
}

struct err kv_store_apply(struct kv_store *s, const struct kv_batch *b)
{
    if (kv_batch_empty(b)) return err_none();
    for (size_t i = 0; i < b->count; i++)
        CHECK_OP(b->records[i].table, <, s->table_count);
    ERR_TRY(s->methods->apply(s, b));
    s->syncs++;
    return err_none();
}

uint64_t kv_store_syncs(const struct kv_store *s)
{
    return s->syncs;
}
