/* app.h - what an application is: pure functions over its part of the replicated state.
 *
 * An application has no clock, no randomness, no I/O: execute must give the same result from the same state,
 * context and operation on every replica. It keeps all its data in the state that the ledger gives it; digest,
 * snapshot, transfer and proofs are written once, below it. Each application has its own key space.
 */
#ifndef PBFT_LEDGER_APP_H
#define PBFT_LEDGER_APP_H

#include "ledger/state.h"
#include "wire/codec.h"
#include "wire/constants.h"

/* An application's view of the state: its own keys only. Keys are at most APP_KEY_BYTES_MAX. */
#define APP_PREFIX_BYTES 2u
#define APP_KEY_BYTES_MAX (STATE_KEY_BYTES_MAX - APP_PREFIX_BYTES)
/* A value, so that a page holds it with its key and the key of the next page: no item can block a listing. */
#define APP_VALUE_BYTES_MAX (RESULT_BYTES_MAX - 1024u)
_Static_assert(APP_VALUE_BYTES_MAX + 2u * APP_KEY_BYTES_MAX + 32u <= RESULT_BYTES_MAX, "one item always fits a page");
struct app_state {
    struct state *state;
    uint16_t app;
};
/* As state_get and so on. What they give is borrowed until the next change of the state. */
MUST_USE bool app_get(struct app_state *s, struct bytes key, struct bytes *value);
void app_put(struct app_state *s, struct bytes key, struct bytes value);
void app_delete(struct app_state *s, struct bytes key);
/* The first key >= from of this application. */
MUST_USE bool app_seek(struct app_state *s, struct bytes from, struct bytes *key, struct bytes *value);

/* What all replicas agree on when an operation executes. */
struct app_context {
    uint64_t time_ms; /* of the batch */
    struct public_key client;
    uint64_t block; /* its sequence */
    uint64_t index; /* of the entry in the ledger */
};

struct app_result {
    enum outcome outcome;
    struct buffer value; /* at most RESULT_BYTES_MAX */
};

struct app {
    uint16_t number;
    const char *name;
    /* NULL when the operation is well-formed; else a static sentence. Cheap, stateless. */
    const char *(*check)(const struct wire_operation *op);
    /* Runs a checked operation. OUTCOME_REFUSED undoes its writes. */
    void (*execute)(struct app_state *s, const struct app_context *context, const struct wire_operation *op,
                    struct app_result *result);
    /* Answers a checked operation without changing anything; OUTCOME_REFUSED when it is one that writes. */
    void (*query)(struct app_state *s, const struct wire_operation *op, struct app_result *result);
    bool (*writes)(const struct wire_operation *op);
    /* What a checked operation is charged for its result before it runs, in bytes: 0 when the result is always a few
     * bytes, else at least what it may give (a page), so that a block cannot be filled with work that is refused after.
     */
    uint32_t (*cost)(const struct wire_operation *op);
};

extern const struct app app_kv;
extern const struct app app_log;
/* The application of that number, or NULL. */
const struct app *app_by_number(uint64_t number);

/* app_kv: arguments are (key, value) and so on.
 *   PUT key value -> OK      GET key -> OK value | NEGATIVE      DELETE key -> OK | NEGATIVE
 *   CAS key old new -> OK | NEGATIVE current value (empty when absent); CAS key new: only when absent
 *   LIST prefix from -> page of at most APP_PAGE_BYTES_MAX, keys >= from (empty: from the prefix on) */
/* app_log: opaque records under rising indexes.
 *   APPEND record -> index as 8 bytes
 *   APPEND_LINE file line count record -> index: line `line` (8 bytes) of the `count` (8 bytes) lines of the file with
 *     digest `file` (32 bytes). The first line of a file to arrive reserves the indexes for all of them, for that
 *     client; a line that is there already keeps its first record, and NEGATIVE is answered if the other differs.
 *     REFUSED when the client would have more than APP_LOG_LINES_MAX reserved indexes without a record: it has files
 *     to finish first.
 *   READ from (8 bytes) -> page, items in index order; a key is the byte r and the 8-byte index */
enum app_log_verb { APP_LOG_APPEND = 1, APP_LOG_APPEND_LINE = 2, APP_LOG_READ = 3 };
#define APP_LOG_LINES_MAX (1ull << 32) /* of a file, and of all that a client has begun and not finished */
#define APP_PAGE_BYTES_MAX (256u * 1024u)
#define APP_PAGE_ITEMS_MAX 16384u

/* Helpers for applications: the arguments of an operation; false when there are not exactly `count`. */
MUST_USE bool app_args(const struct wire_operation *op, struct bytes *out, uint32_t count);
/* Writes a page of items with keys >= from that have `prefix` into result. */
void app_page(struct app_state *s, struct bytes prefix, struct bytes from, struct app_result *result);

#endif
