/* app_log.c - the log application: opaque records under rising indexes, and files appended line by line.
 *
 *   'n'                              next free index, 8 bytes
 *   'r' index(8)                     a record
 *   'f' client(32) file digest(32)   first index(8), line count(8)
 *   'e' client(32)                   how many indexes that client has reserved and not filled, 8 bytes; absent: none
 *
 * Lines of a file may execute in any order and land in line order: the file reserves its indexes at once. What a client
 * has reserved and not filled is bounded, so that the index space is used up by records alone. */
#include "ledger/app.h"

#include "base/check.h"

#include <string.h>

#define RECORD_KEY_BYTES 9u
#define FILE_KEY_BYTES 65u
#define EMPTY_KEY_BYTES 33u

_Static_assert((uint64_t)CLIENTS_MAX *APP_LOG_LINES_MAX <= SEQ_MAX / 64, "what all clients leave empty hardly counts");

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

/* A number of 8 bytes; 0 when it is not there. */
static uint64_t get_number(struct app_state *s, struct bytes key)
{
    struct bytes value;
    return app_get(s, key, &value) && value.len == 8 ? be64_get(value.data) : 0;
}

static void put_number(struct app_state *s, struct bytes key, uint64_t number)
{
    uint8_t raw[8];
    be64_put(raw, number);
    app_put(s, key, bytes_of(raw, sizeof raw));
}

static uint64_t next_index(struct app_state *s)
{
    return get_number(s, bytes_of("n", 1));
}

static void reserve(struct app_state *s, uint64_t next)
{
    put_number(s, bytes_of("n", 1), next);
}

static struct bytes empty_key(uint8_t space[EMPTY_KEY_BYTES], const struct public_key *client)
{
    space[0] = 'e';
    memcpy(space + 1, client->bytes, PUBLIC_KEY_BYTES);
    return bytes_of(space, EMPTY_KEY_BYTES);
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

/* The first index of a file, reserving its indexes when it is new; false when that is refused. */
static bool file_place(struct app_state *s, const struct public_key *client, struct bytes file, uint64_t count,
                       uint64_t *first)
{
    uint8_t file_space[FILE_KEY_BYTES];
    uint8_t empty_space[EMPTY_KEY_BYTES];
    uint8_t range[16];
    struct bytes value;
    file_space[0] = 'f';
    memcpy(file_space + 1, client->bytes, PUBLIC_KEY_BYTES);
    memcpy(file_space + 1 + PUBLIC_KEY_BYTES, file.data, DIGEST_BYTES);
    const struct bytes file_key = bytes_of(file_space, sizeof file_space);
    if (app_get(s, file_key, &value) && value.len == sizeof range) {
        *first = be64_get(value.data);
        return be64_get(value.data + 8) == count; /* the same digest with another line count is not the same file */
    }
    const struct bytes empty = empty_key(empty_space, client);
    const uint64_t left = get_number(s, empty);
    const uint64_t next = next_index(s);
    if (left > APP_LOG_LINES_MAX - count) return false; /* let it finish the files it has begun */
    if (next > SEQ_MAX - count) return false;
    be64_put(range, next);
    be64_put(range + 8, count);
    app_put(s, file_key, bytes_of(range, sizeof range));
    put_number(s, empty, left + count);
    reserve(s, next + count);
    *first = next;
    return true;
}

/* One of the client's reserved indexes has its record now. */
static void index_filled(struct app_state *s, const struct public_key *client)
{
    uint8_t space[EMPTY_KEY_BYTES];
    const struct bytes key = empty_key(space, client);
    const uint64_t left = get_number(s, key);
    if (left > 1)
        put_number(s, key, left - 1);
    else
        app_delete(s, key);
}

static void append_line(struct app_state *s, const struct app_context *context, const struct bytes args[4],
                        struct app_result *result)
{
    uint8_t key[RECORD_KEY_BYTES];
    struct bytes value;
    uint64_t first;
    const uint64_t line = be64_get(args[1].data);
    if (!file_place(s, &context->client, args[0], be64_get(args[2].data), &first)) {
        result->outcome = OUTCOME_REFUSED;
        return;
    }
    const struct bytes at = record_key(key, first + line);
    if (app_get(s, at, &value)) {
        static const uint8_t there_already = 1;
        answer_index(result, bytes_equal(value, args[3]) ? OUTCOME_OK : OUTCOME_NEGATIVE, first + line);
        if (result->outcome == OUTCOME_OK) buffer_append(&result->value, &there_already, 1);
        return;
    }
    app_put(s, at, args[3]);
    index_filled(s, &context->client);
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
