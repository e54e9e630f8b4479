/* kv_store_memory.c - the store in memory, one map for each table: for the fixture and tests. Never fails, keeps
 * nothing.
 */
#include "base/check.h"
#include "ledger/kv_store_private.h"
#include "ledger/map.h"
#include "ledger/map_private.h"

#include <stdlib.h>

struct memory_store {
    struct kv_store base;
    struct map *tables[KV_TABLES_MAX];
};

static struct map *memory_table(struct kv_store *s, uint32_t table)
{
    return ((struct memory_store *)(void *)s)->tables[table];
}

static enum kv_found memory_get(struct kv_store *s, uint32_t table, struct bytes key, struct bytes *value)
{
    struct map_item item;
    if (!map_get(memory_table(s, table), key, &item)) return KV_ABSENT;
    *value = item.value;
    return KV_FOUND;
}

static enum kv_found memory_seek(struct kv_store *s, uint32_t table, struct bytes from, struct bytes *key,
                                 struct bytes *value)
{
    struct map_item item;
    if (!map_seek(memory_table(s, table), from, &item)) return KV_ABSENT;
    *key = item.key;
    *value = item.value;
    return KV_FOUND;
}

static enum kv_found memory_last(struct kv_store *s, uint32_t table, struct bytes *key, struct bytes *value)
{
    struct map_item item;
    if (!map_last(memory_table(s, table), &item)) return KV_ABSENT;
    *key = item.key;
    *value = item.value;
    return KV_FOUND;
}

static void memory_refresh(struct kv_store *s)
{
    (void)s;
}

static struct err memory_apply(struct kv_store *s, const struct kv_batch *b)
{
    const size_t count = kv_batch_count(b);
    for (size_t i = 0; i < count; i++) {
        const struct kv_batch_op op = kv_batch_at(b, i);
        if (op.remove)
            map_remove(memory_table(s, op.table), op.key);
        else
            map_put(memory_table(s, op.table), op.key, op.value);
    }
    return err_none();
}

static struct err memory_size(struct kv_store *s, struct kv_store_size *out)
{
    (void)s;
    *out = (struct kv_store_size){.file_bytes = 0};
    return err_none();
}

static void memory_close(struct kv_store *s)
{
    for (uint32_t i = 0; i < s->table_count; i++)
        map_free(memory_table(s, i));
    free(s);
}

struct kv_store *kv_store_new_memory(uint32_t table_count)
{
    static const struct kv_store_methods methods = {.get = memory_get,
                                                    .seek = memory_seek,
                                                    .last = memory_last,
                                                    .refresh = memory_refresh,
                                                    .size = memory_size,
                                                    .apply = memory_apply,
                                                    .close = memory_close};
    CHECK_OP(table_count, <=, KV_TABLES_MAX);
    struct memory_store *m = mem_zero(1, sizeof *m);
    m->base.methods = &methods;
    m->base.table_count = table_count;
    for (uint32_t i = 0; i < table_count; i++)
        m->tables[i] = map_new();
    return &m->base;
}
