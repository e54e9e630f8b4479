/* app_keys.c - operations and keys by their form alone: without a state, for clients and auditors too (libpbft). */
#include "ledger/app.h"

#include "base/check.h"

#include <string.h>

bool app_args(const struct wire_operation *op, struct bytes *out, uint32_t count)
{
    struct wire_iterator i = wire_list_start(op->args);
    if (op->args.count != count) return false;
    for (uint32_t k = 0; k < count; k++)
        if (!wire_list_next_bytes(&i, &out[k])) return false;
    return true;
}

struct bytes app_state_key(uint16_t app, struct bytes key, uint8_t space[STATE_KEY_BYTES_MAX])
{
    CHECK_OP(key.len, <=, APP_KEY_BYTES_MAX);
    space[0] = (uint8_t)(app >> 8);
    space[1] = (uint8_t)(app & 0xff);
    if (key.len > 0) memcpy(space + APP_PREFIX_BYTES, key.data, key.len);
    return bytes_of(space, APP_PREFIX_BYTES + key.len);
}

bool app_reads_key(const struct wire_operation *op, struct bytes *key)
{
    if (op->app != APP_KV || op->verb != APP_KV_GET || !app_args(op, key, 1)) return false;
    return key->len > 0 && key->len <= APP_KEY_BYTES_MAX;
}
