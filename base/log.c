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

#define LOG_FIELDS_MAX 15u
#define LOG_LEVELS 4u

struct log_limit {
    const char *event; /* NULL: never used */
    uint64_t cause;
    uint64_t last_us;
    uint64_t held_back;
};

/* The causes that have spoken lately. Each level has its own, so that a flood of warnings hides no error. */
struct log_limits {
    uint64_t others; /* held back of causes that have no slot, or have lost it: told with the next line */
    struct log_limit slots[LOG_LIMIT_CAUSES];
};

static _Atomic enum log_level log_level_now = LOG_LEVEL_INFO;
static enum log_format log_format_now = LOG_FORMAT_LOGFMT;
static const char *log_identity_key;
static uint64_t log_identity_value;
static pthread_mutex_t log_limit_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_limits log_limits[LOG_LEVELS];

static const char *const level_names[LOG_LEVELS] = {"debug", "info", "warn", "error"};

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
    for (uint32_t i = 0; i < LOG_LEVELS; i++) {
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

static bool log_limit_young(const struct log_limit *limit, uint64_t now_us)
{
    return limit->event != NULL && now_us - limit->last_us < LOG_LIMIT_SECONDS * 1000000ull;
}

/* The slot of this event and cause; else one that is free for it, never used rather than old; else NULL. A young slot
 * is never given away: that bounds the lines, however many causes an outsider invents. */
static struct log_limit *log_limit_find(struct log_limits *limits, const char *event, uint64_t cause, uint64_t now_us)
{
    struct log_limit *free_slot = NULL;
    const uint64_t start = (uintptr_t)event / 8u + cause * 31u; /* where it stands unless that place was taken */
    for (uint64_t i = 0; i < LOG_LIMIT_CAUSES; i++) {
        struct log_limit *limit = &limits->slots[(start + i) % LOG_LIMIT_CAUSES];
        if (limit->event == event && limit->cause == cause) return limit;
        if (log_limit_young(limit, now_us)) continue;
        if (free_slot == NULL || (free_slot->event != NULL && limit->event == NULL)) free_slot = limit;
    }
    return free_slot;
}

/* May this line be written? Then the counts of what was held back since go with it. */
static bool log_limit_take(struct log_limits *limits, const char *event, uint64_t cause, uint64_t *held_back,
                           uint64_t *others)
{
    const uint64_t now_us = clock_monotonic_us();
    struct log_limit *limit = log_limit_find(limits, event, cause, now_us);
    if (limit == NULL) {
        limits->others++;
        return false;
    }
    const bool same = limit->event == event && limit->cause == cause;
    if (same && log_limit_young(limit, now_us)) {
        limit->held_back++;
        return false;
    }
    if (same)
        *held_back = limit->held_back;
    else
        limits->others += limit->held_back;
    *others = limits->others;
    limits->others = 0;
    *limit = (struct log_limit){.event = event, .cause = cause, .last_us = now_us, .held_back = 0};
    return true;
}

void log_write_limited(enum log_level level, const char *event, uint64_t cause, const struct log_field *fields,
                       uint32_t field_count)
{
    if (level < atomic_load_explicit(&log_level_now, memory_order_relaxed)) return;
    uint64_t held_back = 0;
    uint64_t others = 0;
    (void)pthread_mutex_lock(&log_limit_lock);
    const bool speak = log_limit_take(&log_limits[level], event, cause, &held_back, &others);
    (void)pthread_mutex_unlock(&log_limit_lock);
    if (!speak) return;
    struct log_field with_count[LOG_FIELDS_MAX + 2];
    if (field_count > LOG_FIELDS_MAX) field_count = LOG_FIELDS_MAX;
    memcpy(with_count, fields, field_count * sizeof *fields);
    if (held_back > 0) with_count[field_count++] = LOG_U("held_back", held_back);
    if (others > 0) with_count[field_count++] = LOG_U("others_held_back", others);
    log_write(level, event, with_count, field_count);
}
