/* fuzz_config.c - config_parse on any bytes: no crash; a refusal says why in one line; what it accepts is inside its
 * limits, and written out again it reads the same. */
#include "replica/run/config.h"

#include "base/check.h"
#include "base/limits.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME "/fuzz/replica.conf"

static void check_text(const char *text, size_t cap)
{
    CHECK(memchr(text, '\0', cap) != NULL);
}

static void check_limits(const struct config *c)
{
    CHECK_OP(c->id, <, REPLICAS_MAX);
    const char *const paths[] = {c->group_path, c->data_path, c->signing_key_path, c->transport_key_path};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        check_text(paths[i], CONFIG_PATH_BYTES_MAX);
        CHECK(paths[i][0] == '/'); /* all are absolute, or made so by NAME */
    }
    check_text(c->listen, sizeof c->listen);
    CHECK(c->log_level <= LOG_LEVEL_ERROR && c->log_format <= LOG_FORMAT_JSON);
    CHECK(c->timeout_ms >= 50 && c->timeout_ms <= 600000);
    CHECK(c->resend_ms >= 10 && c->resend_ms <= 60000);
    CHECK(c->heartbeat_ms >= 50 && c->heartbeat_ms <= 60000);
    CHECK(c->pipeline >= 1 && c->pipeline <= WINDOW_BATCHES);
    CHECK(c->batch_fill >= 1 && c->batch_fill <= BATCH_REQUESTS_MAX);
    CHECK_OP(c->batch_delay_us, <=, 1000000);
    CHECK_OP(c->verify_threads, <=, 64);
}

/* The configuration as a text. */
static void put_config(struct buffer *out, const struct config *c)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    buffer_printf(out, "[replica]\nid = %u\ngroup = %s\ndata = %s\n", c->id, c->group_path, c->data_path);
    buffer_printf(out, "signing_key = %s\ntransport_key = %s\n", c->signing_key_path, c->transport_key_path);
    if (c->listen[0] != '\0') buffer_printf(out, "listen = %s\n", c->listen);
    buffer_printf(out, "production = %s\n[log]\nlevel = %s\nformat = %s\n[tuning]\n", c->production ? "yes" : "no",
                  levels[c->log_level], c->log_format == LOG_FORMAT_JSON ? "json" : "logfmt");
    buffer_printf(out, "timeout_ms = %llu\nresend_ms = %llu\nheartbeat_ms = %llu\npipeline = %llu\n",
                  (unsigned long long)c->timeout_ms, (unsigned long long)c->resend_ms,
                  (unsigned long long)c->heartbeat_ms, (unsigned long long)c->pipeline);
    buffer_printf(out, "batch_fill = %llu\nbatch_delay_us = %llu\nverify_threads = %llu\n",
                  (unsigned long long)c->batch_fill, (unsigned long long)c->batch_delay_us,
                  (unsigned long long)c->verify_threads);
}

/* A path that was made absolute may be too long for a line of its own. */
static bool fits_lines(const struct config *c)
{
    return strlen(c->group_path) < 180 && strlen(c->data_path) < 180 && strlen(c->signing_key_path) < 180 &&
           strlen(c->transport_key_path) < 180;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c = {.id = 4711};
    struct config again = {.id = 0};
    struct err e = config_parse(NAME, bytes_of(data, size), &c);
    if (err_is(&e)) {
        CHECK(e.code == ERR_CONFIG);
        CHECK(strncmp(e.text, NAME, strlen(NAME)) == 0);
        CHECK(strchr(e.text, '\n') == NULL);
        CHECK_OP(c.id, ==, 4711);
        return 0;
    }
    check_limits(&c);
    if (!fits_lines(&c)) return 0;
    struct buffer text = {0};
    put_config(&text, &c);
    e = config_parse(NAME, bytes_of(text.data, text.len), &again);
    CHECK(!err_is(&e));
    CHECK(strcmp(c.group_path, again.group_path) == 0 && strcmp(c.data_path, again.data_path) == 0);
    CHECK(strcmp(c.signing_key_path, again.signing_key_path) == 0);
    CHECK(strcmp(c.transport_key_path, again.transport_key_path) == 0);
    CHECK(strcmp(c.listen, again.listen) == 0);
    CHECK(c.id == again.id && c.production == again.production && c.log_level == again.log_level);
    CHECK(c.log_format == again.log_format && c.timeout_ms == again.timeout_ms && c.resend_ms == again.resend_ms);
    CHECK(c.heartbeat_ms == again.heartbeat_ms && c.pipeline == again.pipeline && c.batch_fill == again.batch_fill);
    CHECK(c.batch_delay_us == again.batch_delay_us && c.verify_threads == again.verify_threads);
    buffer_free(&text);
    return 0;
}
