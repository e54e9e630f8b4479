/* app.c - the key spaces of applications, and what several applications use. */
#include "ledger/app.h"

#include "base/check.h"
#include "wire/certified.h"

#include <string.h>

struct app_key {
    uint8_t bytes[STATE_KEY_BYTES_MAX];
};

static struct bytes prefixed(const struct app_state *s, struct bytes key, struct app_key *space)
{
    return certified_state_key(s->app, key, space->bytes);
}

bool app_get(struct app_state *s, struct bytes key, struct bytes *value)
{
    struct app_key space;
    return state_get(s->state, prefixed(s, key, &space), value);
}

void app_put(struct app_state *s, struct bytes key, struct bytes value)
{
    struct app_key space;
    state_put(s->state, prefixed(s, key, &space), value);
}

void app_delete(struct app_state *s, struct bytes key)
{
    struct app_key space;
    state_delete(s->state, prefixed(s, key, &space));
}

bool app_seek(struct app_state *s, struct bytes from, struct bytes *key, struct bytes *value)
{
    struct app_key space;
    struct bytes found;
    struct bytes found_value;
    const struct bytes start = prefixed(s, from, &space);
    if (!state_seek(s->state, start, &found, &found_value)) return false;
    if (found.len < APP_PREFIX_BYTES || memcmp(found.data, space.bytes, APP_PREFIX_BYTES) != 0) return false;
    *key = bytes_of(found.data + APP_PREFIX_BYTES, found.len - APP_PREFIX_BYTES);
    *value = found_value;
    return true;
}

const struct app *app_by_number(uint64_t number)
{
    if (number == app_kv.number) return &app_kv;
    if (number == app_log.number) return &app_log;
    return NULL;
}

bool app_args(const struct wire_operation *op, struct bytes *out, uint32_t count)
{
    struct wire_iterator i = wire_list_start(op->args);
    if (op->args.count != count) return false;
    for (uint32_t k = 0; k < count; k++)
        if (!wire_list_next_bytes(&i, &out[k])) return false;
    return true;
}

void app_page(struct app_state *s, struct bytes prefix, struct bytes from, struct app_result *result)
{
    struct buffer items = {0};
    struct wire_page page = {0};
    uint8_t next[APP_KEY_BYTES_MAX];
    uint8_t cursor[APP_KEY_BYTES_MAX + 1];
    struct bytes at = bytes_compare(from, prefix) > 0 ? from : prefix;
    struct bytes key;
    struct bytes value;
    while (app_seek(s, at, &key, &value) && bytes_has_prefix(key, prefix)) {
        const struct wire_key_value item = {.key = key, .value = value};
        const size_t size = wire_record_size(&wire_record_key_value, &item);
        if (page.items.count > 0 && (items.len + size > APP_PAGE_BYTES_MAX || page.items.count >= APP_PAGE_ITEMS_MAX)) {
            memcpy(next, key.data, key.len);
            page.next = bytes_of(next, key.len);
            break;
        }
        struct writer w = writer_of(buffer_reserve(&items, size), size);
        wire_encode_record(&wire_record_key_value, &item, &w);
        items.len += w.len;
        page.items.count++;
        if (key.len >= APP_KEY_BYTES_MAX) { /* no longer key can follow with this prefix: the next one is key + 1 */
            memcpy(cursor, key.data, key.len);
            size_t last = key.len;
            while (last > 0 && cursor[last - 1] == 0xff)
                last--;
            if (last == 0) break;
            cursor[last - 1]++;
            at = bytes_of(cursor, last);
        } else { /* the smallest key after this one */
            memcpy(cursor, key.data, key.len);
            cursor[key.len] = 0;
            at = bytes_of(cursor, key.len + 1);
        }
    }
    page.items.items = bytes_of(items.data, items.len);
    const size_t size = wire_record_size(&wire_record_page, &page);
    if (size <= RESULT_BYTES_MAX) {
        struct writer w = writer_of(buffer_reserve(&result->value, size), size);
        wire_encode_record(&wire_record_page, &page, &w);
        result->value.len += w.len;
        result->outcome = OUTCOME_OK;
    } else { /* one item alone is over the limit of a result */
        result->outcome = OUTCOME_REFUSED;
    }
    buffer_free(&items);
}
