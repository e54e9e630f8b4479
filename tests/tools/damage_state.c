/* damage_state.c - damages the state of a stopped replica: changes one byte of the root of its tree.
 *
 *     damage_state DIR
 */
#include "ledger/data_dir.h"
#include "ledger/state.h"

#include <stdio.h>
#include <string.h>

static struct err damage(const char *dir)
{
    char path[4096];
    uint8_t node[600];
    struct kv_store *state;
    struct bytes key;
    struct bytes value;
    (void)snprintf(path, sizeof path, "%s/state", dir);
    ERR_TRY(kv_store_open_lmdb(path, KV_OPEN_EXISTING, state_table_names, STATE_TABLE_COUNT, 1u << 20, &state));
    struct err e = err_make(ERR_NOT_FOUND, "the tree is empty");
    if (kv_store_seek(state, STATE_TABLE_TREE, bytes_of(NULL, 0), &key, &value) == KV_FOUND &&
        value.len <= sizeof node) {
        struct kv_batch *b = kv_batch_new();
        memcpy(node, value.data, value.len);
        node[2] ^= 1;
        kv_batch_put(b, STATE_TABLE_TREE, key, bytes_of(node, value.len));
        e = kv_store_apply(state, b);
        kv_batch_free(b);
    }
    kv_store_close(state);
    return e;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: damage_state DIR\n");
        return 2;
    }
    const struct err e = damage(argv[1]);
    if (err_is(&e)) (void)fprintf(stderr, "damage_state: %s\n", e.text);
    return err_is(&e) ? 1 : 0;
}
