/* log.h - one line per event on stderr or a file: logfmt or JSON, with stable event names.
 *
 * An event name is lower-case words with dots ("peer.connected") and never changes its meaning;
 * operators match on it. Fields follow in the order given. One write(2) per line, so lines of
 * several threads do not mix. What outsiders can cause goes through log_write_limited: one line per
 * event and cause every LOG_LIMIT_SECONDS, with the count of those held back.
 */
#ifndef PBFT_BASE_LOG_H
#define PBFT_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_SECONDS 10u
#define LOG_LIMIT_CAUSES 128u /* events and causes of one level that may speak in that time */
#define LOG_LINE_BYTES_MAX 2048u

/* NONE is for log_set_level only: nothing is written. */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_NONE };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };
enum log_kind { LOG_KIND_UINT, LOG_KIND_TEXT };

struct log_field {
    const char *key;
    enum log_kind kind;
    uint64_t number;
    const char *text;
};

#define LOG_U(key_, value_)                                                                                            \
    (struct log_field)                                                                                                 \
    {                                                                                                                  \
        .key = (key_), .kind = LOG_KIND_UINT, .number = (uint64_t)(value_)                                             \
    }
#define LOG_S(key_, value_)                                                                                            \
    (struct log_field)                                                                                                 \
    {                                                                                                                  \
        .key = (key_), .kind = LOG_KIND_TEXT, .text = (value_)                                                         \
    }

/* Starts with level INFO, logfmt, on stderr. Thread-safe once the process is set up. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
/* Field put in every line, for instance ("replica", 2); key must outlive the process. */
void log_set_identity(const char *key, uint64_t value);
/* "debug", "info", "warn", "error"; false when the name is none of them. */
bool log_level_parse(const char *name, enum log_level *out);
bool log_format_parse(const char *name, enum log_format *out);

void log_write(enum log_level level, const char *event, const struct log_field *fields, uint32_t field_count);
/* As log_write, at most once per (event, cause) every LOG_LIMIT_SECONDS; cause is any number that
 * tells apart what should be told apart (a peer id), and event is one string literal. The line has a field "held_back":
 * how many of its own cause were not written since the last. No cause hides another, as long as no more than
 * LOG_LIMIT_CAUSES of one level speak in that time: past it new ones are held back too, and counted in
 * "others_held_back" of the next line of that level. */
void log_write_limited(enum log_level level, const char *event, uint64_t cause, const struct log_field *fields,
                       uint32_t field_count);

#define LOG_COUNT_(array_) ((uint32_t)(sizeof(array_) / sizeof((array_)[0])))
/* LOG(LOG_LEVEL_INFO, "peer.connected", LOG_U("peer", id), ...) with at least one field. */
#define LOG(level, event, ...)                                                                                         \
    log_write((level), (event), (struct log_field[]){__VA_ARGS__}, LOG_COUNT_(((struct log_field[]){__VA_ARGS__})))
#define LOG_LIMITED(level, event, cause, ...)                                                                          \
    log_write_limited((level), (event), (cause), (struct log_field[]){__VA_ARGS__},                                    \
                      LOG_COUNT_(((struct log_field[]){__VA_ARGS__})))

#endif
