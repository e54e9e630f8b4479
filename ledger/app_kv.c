/* app_kv.c - the key-value application: put, get, delete, compare-and-set, list. */
#include "ledger/app.h"

#include "base/check.h"

static const char *kv_check(const struct wire_operation *op)
{
    struct bytes args[3];
    switch (op->verb) {
    case APP_KV_PUT:
        if (!app_args(op, args, 2)) return "put takes a key and a value";
        if (args[1].len > APP_VALUE_BYTES_MAX) return "the value is too long";
        break;
    case APP_KV_GET:
        if (!app_args(op, args, 1)) return "get takes a key";
        break;
    case APP_KV_DELETE:
        if (!app_args(op, args, 1)) return "delete takes a key";
        break;
    case APP_KV_CAS:
        if (!app_args(op, args, 3) && !app_args(op, args, 2))
            return "compare-and-set takes a key, an old and a new value";
        if (args[op->args.count - 1].len > APP_VALUE_BYTES_MAX) return "the value is too long";
        break;
    case APP_KV_LIST:
        if (!app_args(op, args, 2)) return "list takes a prefix and a start";
        return args[0].len > APP_KEY_BYTES_MAX || args[1].len > APP_KEY_BYTES_MAX ? "the key is too long" : NULL;
    default: return "the key-value application has no such verb";
    }
    if (args[0].len == 0) return "the key is empty";
    return args[0].len > APP_KEY_BYTES_MAX ? "the key is too long" : NULL;
}

static bool kv_writes(const struct wire_operation *op)
{
    return op->verb == APP_KV_PUT || op->verb == APP_KV_DELETE || op->verb == APP_KV_CAS;
}

static uint32_t kv_cost(const struct wire_operation *op)
{
    if (op->verb == APP_KV_LIST) return APP_PAGE_BYTES_MAX;
    return op->verb == APP_KV_GET || op->verb == APP_KV_CAS ? 64 : 0;
}

static void kv_query(struct app_state *s, const struct wire_operation *op, struct app_result *result)
{
    struct bytes args[2];
    struct bytes value;
    if (op->verb == APP_KV_GET && app_args(op, args, 1)) {
        result->outcome = OUTCOME_NEGATIVE;
        if (!app_get(s, args[0], &value)) return;
        result->outcome = OUTCOME_OK;
        buffer_append(&result->value, value.data, value.len);
    } else if (op->verb == APP_KV_LIST && app_args(op, args, 2)) {
        app_page(s, args[0], args[1], result);
    } else {
        result->outcome = OUTCOME_REFUSED;
    }
}

static void kv_cas(struct app_state *s, const struct wire_operation *op, struct app_result *result)
{
    struct bytes args[3];
    struct bytes current;
    const bool only_absent = op->args.count == 2;
    CHECK(app_args(op, args, only_absent ? 2 : 3));
    const bool there = app_get(s, args[0], &current);
    const bool match = only_absent ? !there : there && bytes_equal(current, args[1]);
    result->outcome = match ? OUTCOME_OK : OUTCOME_NEGATIVE;
    if (match)
        app_put(s, args[0], args[only_absent ? 1 : 2]);
    else if (there)
        buffer_append(&result->value, current.data, current.len);
}

static void kv_execute(struct app_state *s, const struct app_context *context, const struct wire_operation *op,
                       struct app_result *result)
{
    struct bytes args[2];
    struct bytes value;
    (void)context;
    result->outcome = OUTCOME_OK;
    switch (op->verb) {
    case APP_KV_PUT:
        CHECK(app_args(op, args, 2)); /* kv_check has seen it */
        app_put(s, args[0], args[1]);
        return;
    case APP_KV_DELETE:
        CHECK(app_args(op, args, 1));
        if (app_get(s, args[0], &value))
            app_delete(s, args[0]);
        else
            result->outcome = OUTCOME_NEGATIVE;
        return;
    case APP_KV_CAS: kv_cas(s, op, result); return;
    default: kv_query(s, op, result);
    }
}

const struct app app_kv = {
    .number = APP_KV, .name = "kv", .check = kv_check, .execute = kv_execute, .query = kv_query, .writes = kv_writes, .cost = kv_cost};
