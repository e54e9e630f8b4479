/* log.c - formatting and rate-limiting log lines. */
#include "base/log.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LIMIT_SLOTS 128u
#define LOG_FIELDS_MAX 15u

struct log_limit {
    const char *event;
    uint64_t cause;
    uint64_t last_us;
    uint64_t held_back;
};

static _Atomic enum log_level log_level_now = LOG_LEVEL_INFO;
static enum log_format log_format_now = LOG_FORMAT_LOGFMT;
static const char *log_identity_key;
static uint64_t log_identity_value;
static pthread_mutex_t log_limit_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_limit log_limits[LOG_LIMIT_SLOTS];

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level level)
{
    atomic_store(&log_level_now, level);
}

void log_set_format(enum log_format format)
{
    log_format_now = format;
}

void log_set_identity(const char *key, uint64_t value)
{
    log_identity_key = key;
    log_identity_value = value;
}

bool log_level_parse(const char *name, enum log_level *out)
{
    for (uint32_t i = 0; i < LOG_COUNT_(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_format_parse(const char *name, enum log_format *out)
{
    if (strcmp(name, "logfmt") == 0)
        *out = LOG_FORMAT_LOGFMT;
    else if (strcmp(name, "json") == 0)
        *out = LOG_FORMAT_JSON;
    else
        return false;
    return true;
}

static void put_text(struct writer *w, const char *text)
{
    if (text == NULL) text = "";
    writer_bytes(w, text, strlen(text));
}

/* Quotes text so that a line stays one line whatever the text holds. */
static void put_quoted(struct writer *w, const char *text)
{
    char escaped[8];
    writer_u8(w, '"');
    for (const char *c = text; c != NULL && *c != '\0'; c++) {
        const unsigned char byte = (unsigned char)*c;
        if (byte == '"' || byte == '\\') {
            writer_u8(w, '\\');
            writer_u8(w, byte);
        } else if (byte < 0x20 || byte >= 0x7f) { /* also above ASCII: outsiders' bytes need not be UTF-8 */
            (void)snprintf(escaped, sizeof escaped, "\\u%04x", byte);
            put_text(w, escaped);
        } else {
            writer_u8(w, byte);
        }
    }
    writer_u8(w, '"');
}

static bool needs_quotes(const char *text)
{
    if (text == NULL || *text == '\0') return true;
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || *c == '"' || *c == '=' || *c == '\\' || (unsigned char)*c >= 0x7f) return true;
    return false;
}

static void put_field(struct writer *w, const struct log_field *field)
{
    char number[24];
    const bool json = log_format_now == LOG_FORMAT_JSON;
    put_text(w, json ? ",\"" : " ");
    put_text(w, field->key);
    put_text(w, json ? "\":" : "=");
    switch (field->kind) {
    case LOG_KIND_UINT:
        (void)snprintf(number, sizeof number, "%" PRIu64, field->number);
        put_text(w, number);
        break;
    case LOG_KIND_TEXT:
        if (json || needs_quotes(field->text))
            put_quoted(w, field->text);
        else
            put_text(w, field->text);
        break;
    }
}

static void put_head(struct writer *w, enum log_level level, const char *event)
{
    char stamp[40];
    const uint64_t now_ms = clock_wall_ms();
    const time_t seconds = (time_t)(now_ms / 1000u);
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    const size_t used = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(stamp + used, sizeof stamp - used, ".%03uZ", (unsigned)(now_ms % 1000u));
    const bool json = log_format_now == LOG_FORMAT_JSON;
    put_text(w, json ? "{\"time\":\"" : "time=");
    put_text(w, stamp);
    put_text(w, json ? "\",\"level\":\"" : " level=");
    put_text(w, level_names[level]);
    put_text(w, json ? "\",\"event\":\"" : " event=");
    put_text(w, event);
    if (json) put_text(w, "\"");
    if (log_identity_key != NULL) put_field(w, &LOG_U(log_identity_key, log_identity_value));
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, uint32_t field_count)
{
    if (level < atomic_load_explicit(&log_level_now, memory_order_relaxed)) return;
    uint8_t line[LOG_LINE_BYTES_MAX];
    struct writer w = writer_of(line, sizeof line - 8);
    put_head(&w, level, event);
    for (uint32_t i = 0; i < field_count; i++) {
        const struct writer before = w;
        put_field(&w, &fields[i]);
        if (w.overflow) { /* a field that does not fit is left out whole */
            w = before;
            break;
        }
    }
    w.cap = sizeof line;
    if (log_format_now == LOG_FORMAT_JSON) writer_u8(&w, '}');
    writer_u8(&w, '\n');
    const ssize_t done = write(STDERR_FILENO, line, w.len);
    (void)done; /* nowhere to report a log that cannot be written */
}

void log_write_limited(enum log_level level, const char *event, uint64_t cause, const struct log_field *fields,
                       uint32_t field_count)
{
    if (level < atomic_load_explicit(&log_level_now, memory_order_relaxed)) return;
    const uint64_t now_us = clock_monotonic_us();
    const uint32_t slot = (uint32_t)(((uintptr_t)event / 8u + cause * 31u) % LOG_LIMIT_SLOTS);
    uint64_t held_back = 0;
    bool speak = true;
    (void)pthread_mutex_lock(&log_limit_lock);
    struct log_limit *limit = &log_limits[slot];
    const bool young = limit->event != NULL && now_us - limit->last_us < LOG_LIMIT_SECONDS * 1000000ull;
    if (young) {
        /* also when another cause holds the slot: the bound on lines matters more than each cause */
        if (limit->event == event && limit->cause == cause) limit->held_back++;
        speak = false;
    } else {
        if (limit->event == event && limit->cause == cause) held_back = limit->held_back;
        *limit = (struct log_limit){.event = event, .cause = cause, .last_us = now_us, .held_back = 0};
    }
    (void)pthread_mutex_unlock(&log_limit_lock);
    if (!speak) return;
    struct log_field with_count[LOG_FIELDS_MAX + 1];
    if (field_count > LOG_FIELDS_MAX) field_count = LOG_FIELDS_MAX;
    memcpy(with_count, fields, field_count * sizeof *fields);
    if (held_back > 0) with_count[field_count++] = LOG_U("held_back", held_back);
    log_write(level, event, with_count, field_count);
}
