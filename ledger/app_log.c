/* app_log.c - the log application: opaque records under rising indexes, and files appended line by line.
 *
 *   'n'                              next free index, 8 bytes
 *   'r' index(8)                     a record
 *   'f' client(32) file digest(32)   first index(8), line count(8)
 *
 * Lines of a file may execute in any order and land in line order: the file reserves its indexes at once. */
#include "ledger/app.h"

#include "base/check.h"

#include <string.h>

#define RECORD_KEY_BYTES 9u
#define FILE_KEY_BYTES 65u

static const char *log_check(const struct wire_operation *op)
{
    struct bytes args[4];
    switch (op->verb) {
    case APP_LOG_APPEND: return app_args(op, args, 1) ? NULL : "append takes a record";
    case APP_LOG_READ: return app_args(op, args, 1) && args[0].len == 8 ? NULL : "read takes an index of 8 bytes";
    case APP_LOG_APPEND_LINE:
        if (!app_args(op, args, 4) || args[0].len != DIGEST_BYTES || args[1].len != 8 || args[2].len != 8)
            return "append-line takes a file digest, a line number, a line count and a record";
        if (be64_get(args[2].data) > APP_LOG_LINES_MAX) return "a file has more lines than the log takes";
        return be64_get(args[1].data) < be64_get(args[2].data) ? NULL : "the line number is not below the line count";
    default: return "the log application has no such verb";
    }
}

static bool log_writes(const struct wire_operation *op)
{
    return op->verb != APP_LOG_READ;
}

static uint32_t log_cost(const struct wire_operation *op)
{
    return op->verb == APP_LOG_READ ? APP_PAGE_BYTES_MAX : 0;
}

static uint64_t next_index(struct app_state *s)
{
    struct bytes value;
    return app_get(s, bytes_of("n", 1), &value) && value.len == 8 ? be64_get(value.data) : 0;
}

static void reserve(struct app_state *s, uint64_t next)
{
    uint8_t raw[8];
    be64_put(raw, next);
    app_put(s, bytes_of("n", 1), bytes_of(raw, sizeof raw));
}

static struct bytes record_key(uint8_t space[RECORD_KEY_BYTES], uint64_t index)
{
    space[0] = 'r';
    be64_put(space + 1, index);
    return bytes_of(space, RECORD_KEY_BYTES);
}

static void answer_index(struct app_result *result, enum outcome outcome, uint64_t index)
{
    uint8_t raw[8];
    be64_put(raw, index);
    buffer_append(&result->value, raw, sizeof raw);
    result->outcome = outcome;
}

static void append_line(struct app_state *s, const struct app_context *context, const struct bytes args[4],
                        struct app_result *result)
{
    uint8_t file_key[FILE_KEY_BYTES];
    uint8_t range[16];
    uint8_t key[RECORD_KEY_BYTES];
    struct bytes value;
    const uint64_t line = be64_get(args[1].data);
    const uint64_t count = be64_get(args[2].data);
    file_key[0] = 'f';
    memcpy(file_key + 1, context->client.bytes, PUBLIC_KEY_BYTES);
    memcpy(file_key + 1 + PUBLIC_KEY_BYTES, args[0].data, DIGEST_BYTES);
    uint64_t first = next_index(s);
    if (app_get(s, bytes_of(file_key, sizeof file_key), &value) && value.len == sizeof range) {
        first = be64_get(value.data);
        if (be64_get(value.data + 8) != count) {
            result->outcome = OUTCOME_REFUSED; /* the same digest with another line count is not the same file */
            return;
        }
    } else {
        if (first > SEQ_MAX - count) {
            result->outcome = OUTCOME_REFUSED;
            return;
        }
        be64_put(range, first);
        be64_put(range + 8, count);
        app_put(s, bytes_of(file_key, sizeof file_key), bytes_of(range, sizeof range));
        reserve(s, first + count);
    }
    const struct bytes at = record_key(key, first + line);
    if (app_get(s, at, &value)) {
        answer_index(result, bytes_equal(value, args[3]) ? OUTCOME_OK : OUTCOME_NEGATIVE, first + line);
        return;
    }
    app_put(s, at, args[3]);
    answer_index(result, OUTCOME_OK, first + line);
}

static void log_query(struct app_state *s, const struct wire_operation *op, struct app_result *result)
{
    uint8_t key[RECORD_KEY_BYTES];
    struct bytes args[1];
    if (op->verb != APP_LOG_READ || !app_args(op, args, 1)) {
        result->outcome = OUTCOME_REFUSED;
        return;
    }
    app_page(s, bytes_of("r", 1), record_key(key, be64_get(args[0].data)), result);
}

static void log_execute(struct app_state *s, const struct app_context *context, const struct wire_operation *op,
                        struct app_result *result)
{
    struct bytes args[4];
    uint8_t key[RECORD_KEY_BYTES];
    if (op->verb == APP_LOG_APPEND) {
        CHECK(app_args(op, args, 1)); /* log_check has seen it */
        const uint64_t index = next_index(s);
        if (index >= SEQ_MAX) {
            result->outcome = OUTCOME_REFUSED;
            return;
        }
        app_put(s, record_key(key, index), args[0]);
        reserve(s, index + 1);
        answer_index(result, OUTCOME_OK, index);
    } else if (op->verb == APP_LOG_APPEND_LINE) {
        CHECK(app_args(op, args, 4));
        append_line(s, context, args, result);
    } else {
        log_query(s, op, result);
    }
}

const struct app app_log = {.number = APP_LOG,
                            .name = "log",
                            .check = log_check,
                            .execute = log_execute,
                            .query = log_query,
                            .writes = log_writes,
                            .cost = log_cost};
