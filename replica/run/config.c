/* config.c - the configuration file, and what it points to. */
#include "replica/run/config.h"

#include "crypto/keyfile.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum config_kind {
    CONFIG_UINT,
    CONFIG_ID,
    CONFIG_PATH,
    CONFIG_ADDRESS,
    CONFIG_LOCAL_ADDRESS, /* as CONFIG_ADDRESS; a port alone is one of 127.0.0.1 */
    CONFIG_BOOL,
    CONFIG_LEVEL,
    CONFIG_FORMAT
};

struct config_key {
    const char *section;
    const char *name;
    enum config_kind kind;
    size_t offset;
    uint64_t min;
    uint64_t max;
    bool required;
};

#define KEY_COUNT (sizeof config_keys / sizeof config_keys[0])
static const struct config_key config_keys[] = {
    {"replica", "id", CONFIG_ID, offsetof(struct config, id), 0, REPLICAS_MAX - 1, true},
    {"replica", "group", CONFIG_PATH, offsetof(struct config, group_path), 0, 0, true},
    {"replica", "data", CONFIG_PATH, offsetof(struct config, data_path), 0, 0, true},
    {"replica", "signing_key", CONFIG_PATH, offsetof(struct config, signing_key_path), 0, 0, true},
    {"replica", "transport_key", CONFIG_PATH, offsetof(struct config, transport_key_path), 0, 0, true},
    {"replica", "listen", CONFIG_ADDRESS, offsetof(struct config, listen), 0, 0, false},
    {"replica", "production", CONFIG_BOOL, offsetof(struct config, production), 0, 0, false},
    {"http", "listen", CONFIG_LOCAL_ADDRESS, offsetof(struct config, http_listen), 0, 0, false},
    {"log", "level", CONFIG_LEVEL, offsetof(struct config, log_level), 0, 0, false},
    {"log", "format", CONFIG_FORMAT, offsetof(struct config, log_format), 0, 0, false},
    {"tuning", "timeout_ms", CONFIG_UINT, offsetof(struct config, timeout_ms), 50, 600000, false},
    {"tuning", "transfer_after", CONFIG_UINT, offsetof(struct config, transfer_after), WINDOW_BATCHES, 1000000000, false},
    {"tuning", "transfer_load", CONFIG_UINT, offsetof(struct config, transfer_load), 1, 100, false},
    {"tuning", "timeout_cap_ms", CONFIG_UINT, offsetof(struct config, timeout_cap_ms), 50, 9600000, false},
    {"tuning", "resend_ms", CONFIG_UINT, offsetof(struct config, resend_ms), 10, 60000, false},
    {"tuning", "heartbeat_ms", CONFIG_UINT, offsetof(struct config, heartbeat_ms), 50, 60000, false},
    {"tuning", "pipeline", CONFIG_UINT, offsetof(struct config, pipeline), 1, WINDOW_BATCHES, false},
    {"tuning", "batch_fill", CONFIG_UINT, offsetof(struct config, batch_fill), 1, BATCH_REQUESTS_MAX, false},
    {"tuning", "batch_delay_us", CONFIG_UINT, offsetof(struct config, batch_delay_us), 0, 1000000, false},
    {"tuning", "verify_threads", CONFIG_UINT, offsetof(struct config, verify_threads), 0, 64, false},
};

struct parsing {
    const char *name;
    struct config *out;
    struct bytes left; /* of the text */
    int line;          /* the one that inih has last been given */
    int long_line;     /* the first that is too long for it; 0: none */
    int line_bytes_max;
    bool seen[sizeof config_keys / sizeof config_keys[0]];
    struct err error; /* the first of on_value ... */
    int error_line;   /* ... and where */
};

static void put_path(const struct parsing *p, const char *value, char *out)
{
    const char *slash = strrchr(p->name, '/');
    if (value[0] == '/' || slash == NULL)
        (void)snprintf(out, CONFIG_PATH_BYTES_MAX, "%s", value);
    else
        (void)snprintf(out, CONFIG_PATH_BYTES_MAX, "%.*s/%s", (int)(slash - p->name), p->name, value);
}

static const char *put_address(const char *value, char out[GROUP_ADDRESS_BYTES_MAX])
{
    char host[GROUP_ADDRESS_BYTES_MAX];
    uint16_t port;
    const struct err e = address_parse(value, host, &port);
    if (err_is(&e)) return "is not an address of the form host:port";
    (void)snprintf(out, GROUP_ADDRESS_BYTES_MAX, "%s", value);
    return NULL;
}

/* NULL, or what is wrong with the value. */
static const char *put_value(const struct parsing *p, const struct config_key *key, const char *value)
{
    uint8_t *at = (uint8_t *)p->out + key->offset;
    char local[sizeof "127.0.0.1:65535"];
    switch (key->kind) {
    case CONFIG_UINT:
    case CONFIG_ID: {
        char *end;
        errno = 0;
        const unsigned long long number = strtoull(value, &end, 10);
        if (errno != 0 || end == value || *end != '\0' || value[0] == '-') return "is not a whole number";
        if (number < key->min || number > key->max) return "is out of range";
        if (key->kind == CONFIG_ID)
            *(uint32_t *)(void *)at = (uint32_t)number;
        else
            *(uint64_t *)(void *)at = number;
        return NULL;
    }
    case CONFIG_PATH:
        if (value[0] == '\0') return "is empty";
        if (strlen(value) + strlen(p->name) + 2 >= CONFIG_PATH_BYTES_MAX) return "is too long";
        put_path(p, value, (char *)at);
        return NULL;
    case CONFIG_ADDRESS: return put_address(value, (char *)at);
    case CONFIG_LOCAL_ADDRESS:
        if (value[0] == '\0' || strspn(value, "0123456789") != strlen(value) || strlen(value) > 5)
            return put_address(value, (char *)at);
        (void)snprintf(local, sizeof local, "127.0.0.1:%s", value);
        return put_address(local, (char *)at) == NULL ? NULL : "is not a port";
    case CONFIG_BOOL:
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) return "is neither yes nor no";
        *(bool *)at = strcmp(value, "yes") == 0;
        return NULL;
    case CONFIG_LEVEL:
        return log_level_parse(value, (enum log_level *)(void *)at) ? NULL : "is none of debug, info, warn, error";
    case CONFIG_FORMAT:
        return log_format_parse(value, (enum log_format *)(void *)at) ? NULL : "is neither logfmt nor json";
    }
    return "has an unknown kind";
}

/* As fgets, for inih; but a line that does not fit ends the text, where inih would take its rest for another line. */
static char *next_line(char *out, int size, void *user)
{
    struct parsing *p = user;
    if (p->left.len == 0) return NULL;
    const uint8_t *end = memchr(p->left.data, '\n', p->left.len);
    const size_t len = end == NULL ? p->left.len : (size_t)(end - p->left.data);
    const size_t taken = end == NULL ? len : len + 1;
    p->line++;
    p->line_bytes_max = size - 2; /* its end and the NUL */
    if (len > (size_t)size - 2) {
        p->long_line = p->line;
        return NULL;
    }
    memcpy(out, p->left.data, taken);
    out[taken] = '\0';
    p->left = bytes_of(p->left.data + taken, p->left.len - taken);
    return out;
}

static int on_value(void *user, const char *section, const char *name, const char *value)
{
    struct parsing *p = user;
    if (err_is(&p->error)) return 0;
    p->error_line = p->line;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        if (strcmp(section, key->section) != 0 || strcmp(name, key->name) != 0) continue;
        const char *fault = p->seen[i] ? "stands twice" : put_value(p, key, value);
        p->seen[i] = true;
        if (fault == NULL) return 1;
        p->error = err_make(ERR_CONFIG, "[%s] %s = %.80s %s", section, name, value, fault);
        return 0;
    }
    p->error = err_make(ERR_CONFIG, "unknown key [%.40s] %.40s", section, name);
    return 0;
}

struct err config_parse(const char *name, struct bytes text, struct config *out)
{
    struct config c = {.production = true,
                       .log_level = LOG_LEVEL_INFO,
                       .log_format = LOG_FORMAT_LOGFMT,
                       .timeout_ms = 2000,
                       .resend_ms = 250,
                       .heartbeat_ms = 1000,
                       .transfer_after = CONFIG_TRANSFER_AFTER,
                       .transfer_load = CONFIG_TRANSFER_LOAD,
                       .pipeline = 8,
                       .batch_fill = 256,
                       .batch_delay_us = 20000};
    struct parsing p = {.name = name, .out = &c, .left = text, .error = err_none()};
    if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL)
        return err_make(ERR_CONFIG, "%s: holds a zero byte; it is not a configuration file", name);
    const int line = ini_parse_stream(next_line, &p, on_value, &p); /* the first with a mistake; parsing goes on */
    if (line > 0)
        return err_make(ERR_CONFIG, "%s line %d: %s", name, line,
                        err_is(&p.error) && p.error_line == line ? p.error.text
                                                                 : "neither a [section] nor key = value");
    if (line < 0) return err_make(ERR_CONFIG, "%s: cannot be parsed", name);
    if (p.long_line != 0)
        return err_make(ERR_CONFIG, "%s line %d: the line is longer than %d bytes", name, p.long_line,
                        p.line_bytes_max);
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (config_keys[i].required && !p.seen[i])
            return err_make(ERR_CONFIG, "%s: [%s] %s is missing", name, config_keys[i].section, config_keys[i].name);
    if (c.timeout_cap_ms == 0) c.timeout_cap_ms = c.timeout_ms * CONFIG_TIMEOUT_CAP_FACTOR;
    if (c.timeout_cap_ms < c.timeout_ms)
        return err_make(ERR_CONFIG, "%s: [tuning] timeout_cap_ms is less than timeout_ms", name);
    *out = c;
    return err_none();
}

struct err config_read(const char *path, struct config *out)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        struct err e = err_system(errno, "cannot read the configuration file %s", path);
        e.code = ERR_CONFIG;
        return e;
    }
    struct buffer text = {0};
    size_t got = 1;
    while (got > 0 && text.len <= FILE_BYTES_MAX) {
        got = fread(buffer_reserve(&text, 4096), 1, 4096, f);
        text.len += got;
    }
    const bool failed = ferror(f) != 0;
    (void)fclose(f);
    struct err e = failed || text.len > FILE_BYTES_MAX
                       ? err_make(ERR_CONFIG, "%s cannot be read as a configuration file", path)
                       : config_parse(path, bytes_of(text.data, text.len), out);
    buffer_free(&text);
    return e;
}

static struct err load_key(const struct config *c, const char *path, const struct public_key *wanted, const char *what,
                           struct secret_key *out)
{
    bool development;
    ERR_TRY(keyfile_read_secret(path, out, &development));
    if (development && c->production)
        return err_make(ERR_CONFIG,
                        "%s is a development key, and this configuration is for production: make a key with "
                        "pbft key new, or set production = no for a trial",
                        path);
    const struct public_key public = secret_key_public(out);
    if (!public_key_equal(&public, wanted))
        return err_make(ERR_CONFIG, "%s is not the %s key that %s gives member %u", path, what, c->group_path, c->id);
    return err_none();
}

struct err identity_load(const struct config *c, struct identity *out)
{
    struct identity i = {0};
    ERR_TRY(group_read(c->group_path, &i.group));
    struct err e = err_none();
    if (c->id >= i.group->member_count)
        e = err_make(ERR_CONFIG, "id = %u, but the group in %s has %u members", c->id, c->group_path,
                     i.group->member_count);
    if (!err_is(&e) && i.group->development && c->production)
        e = err_make(ERR_CONFIG, "%s is a development group, and this configuration is for production", c->group_path);
    if (!err_is(&e))
        e = load_key(c, c->signing_key_path, &i.group->members[c->id].signing_key, "signing", &i.signing);
    if (!err_is(&e))
        e = load_key(c, c->transport_key_path, &i.group->members[c->id].transport_key, "transport", &i.transport);
    if (err_is(&e)) {
        identity_free(&i);
        return e;
    }
    *out = i;
    secret_key_wipe(&i.signing);
    secret_key_wipe(&i.transport);
    return err_none();
}

void identity_free(struct identity *i)
{
    group_free(i->group);
    secret_key_wipe(&i->signing);
    secret_key_wipe(&i->transport);
    i->group = NULL;
}
