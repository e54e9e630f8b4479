/* cli_common.c - home, clients, files and printing for the commands of `pbft`. */
#include "client/cli_common.h"

#include "base/check.h"
#include "base/clock.h"
#include "client/cli_import_record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define CLIENT_DEFAULT "default"
#define CLIENT_READER "reader"
#define REAL_DIGITS 9

_Static_assert(ERR_TEXT_BYTES >= PBFT_ERROR_BYTES + 64, "the library's sentences fit, with advice behind them");

/* ---- files ---- */

struct err cli_home_path(const char *home, struct cli_path *out, const char *format, ...)
{
    va_list args;
    const int head = snprintf(out->text, sizeof out->text, "%s/", home);
    if (head < 0 || (size_t)head >= sizeof out->text) return err_make(ERR_CONFIG, "the path of the home is too long");
    va_start(args, format);
    const int tail = vsnprintf(out->text + head, sizeof out->text - (size_t)head, format, args);
    va_end(args);
    if (tail < 0 || (size_t)tail >= sizeof out->text - (size_t)head)
        return err_make(ERR_CONFIG, "the path of the home is too long");
    return err_none();
}

struct err cli_file_read(const char *path, uint64_t limit, struct buffer *out)
{
    const bool input = strcmp(path, "-") == 0;
    const char *name = input ? "standard input" : path;
    const int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    struct err e = err_none();
    if (fd < 0 || fstat(fd, &st) != 0) {
        e = err_system(errno, "cannot read %s", name);
        e.code = ERR_CONFIG;
        return e;
    }
    size_t chunk = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size + 1 : 65536;
    if (chunk > 1u << 20) chunk = 1u << 20;
    ssize_t got = 1;
    while (got > 0 && !err_is(&e)) {
        got = read(fd, buffer_reserve(out, chunk), chunk);
        if (got < 0 && errno == EINTR) {
            got = 1;
            continue;
        }
        if (got < 0) {
            e = err_system(errno, "cannot read %s", name);
            e.code = ERR_CONFIG;
        }
        if (got > 0) out->len += (size_t)got;
        if (out->len > limit) e = err_make(ERR_LIMIT, "%s is larger than %" PRIu64 " bytes", name, limit);
    }
    if (!input) (void)close(fd);
    return e;
}

static struct err sync_parent(const char *path)
{
    struct cli_path dir;
    const char *slash = strrchr(path, '/');
    (void)snprintf(dir.text, sizeof dir.text, "%.*s", slash == NULL ? 1 : (int)(slash - path),
                   slash == NULL ? "." : path);
    const int fd = open(dir.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool good = fd >= 0 && fsync(fd) == 0;
    const int why = errno;
    if (fd >= 0) (void)close(fd);
    return good ? err_none() : err_system(why, "cannot sync the directory %s", dir.text);
}

struct err cli_file_write(const char *path, const char *text, uint32_t mode)
{
    struct cli_path temporary;
    const int wanted = snprintf(temporary.text, sizeof temporary.text, "%s.new", path);
    if (wanted < 0 || (size_t)wanted >= sizeof temporary.text)
        return err_make(ERR_CONFIG, "the path %s is too long", path);
    const int fd = open(temporary.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode);
    if (fd < 0) return err_system(errno, "cannot write %s", temporary.text);
    const size_t len = strlen(text);
    size_t done = 0;
    while (done < len) {
        const ssize_t put = write(fd, text + done, len - done);
        if (put < 0 && errno != EINTR) break;
        if (put > 0) done += (size_t)put;
    }
    const bool good = done == len && fsync(fd) == 0;
    const int why = errno;
    (void)close(fd);
    if (!good) return err_system(why, "cannot write %s", temporary.text);
    if (rename(temporary.text, path) != 0) return err_system(errno, "cannot rename %s to %s", temporary.text, path);
    return sync_parent(path);
}

/* ---- clients ---- */

static void on_alarm(int number)
{
    (void)number;
}

/* This process's turn to use the client: the lock of HOME/clients/NAME.lock, kept until the process ends. The journal
 * has a lock of its own, which does not wait. A timer ends the wait again and again, so that a signal that comes
 * between two calls is not the last. *mine is false when another process still has it after timeout_ms. */
static struct err take_turn(const struct cli_globals *g, const char *name, uint64_t timeout_ms, bool *mine)
{
    static int turn_fd = -1;
    const uint64_t until = clock_monotonic_us() + timeout_ms * 1000u;
    const struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART */
    const struct itimerval often = {.it_interval = {.tv_usec = 50000}, .it_value = {.tv_usec = 50000}};
    const struct itimerval never = {.it_value = {0}};
    struct sigaction before;
    struct cli_path path;
    *mine = turn_fd >= 0;
    if (*mine) return err_none();
    ERR_TRY(cli_home_path(g->home, &path, "clients/%s.lock", name));
    const int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return err_system(errno, "cannot open %s", path.text);
    (void)sigaction(SIGALRM, &action, &before);
    (void)setitimer(ITIMER_REAL, &often, NULL);
    int locked = flock(fd, LOCK_EX);
    while (locked != 0 && errno == EINTR && clock_monotonic_us() < until)
        locked = flock(fd, LOCK_EX);
    const int why = errno;
    (void)setitimer(ITIMER_REAL, &never, NULL);
    (void)sigaction(SIGALRM, &before, NULL);
    *mine = locked == 0;
    if (*mine) {
        turn_fd = fd;
        return err_none();
    }
    (void)close(fd);
    return why == EINTR ? err_none() : err_system(why, "cannot lock %s", path.text);
}

static struct err await_turn(const struct cli_globals *g, const char *name, uint64_t timeout_ms)
{
    bool mine;
    ERR_TRY(take_turn(g, name, timeout_ms, &mine));
    if (mine) return err_none();
    return err_make(ERR_TIMEOUT,
                    "another process has used client \"%s\" for %" PRIu64
                    " ms (an import?); wait for it, or use another client with --client",
                    name, timeout_ms);
}

/* True when a process holds the journal that did not wait for a turn: pbft-bench, or a program of somebody's own. */
static bool journal_held(const struct cli_path *path)
{
    const int fd = open(path->text, O_RDONLY | O_CLOEXEC);
    const bool held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) (void)close(fd);
    return held;
}

struct err cli_client_turn(const struct cli_globals *g, enum cli_access access, uint64_t timeout_ms, bool *mine)
{
    struct cli_path journal;
    bool taken;
    const char *name = cli_client_name(g, access);
    ERR_TRY(cli_home_path(g->home, &journal, "clients/%s.journal", name));
    ERR_TRY(take_turn(g, name, timeout_ms, &taken));
    *mine = taken && !journal_held(&journal);
    return err_none();
}

static bool readable(const struct cli_path *path)
{
    return access(path->text, F_OK) == 0;
}

const char *cli_client_name(const struct cli_globals *g, enum cli_access access)
{
    struct cli_path path;
    if (g->client != NULL) return g->client;
    if (access != CLI_ACCESS_READ) return CLIENT_DEFAULT;
    const struct err e = cli_home_path(g->home, &path, "clients/" CLIENT_READER ".pem");
    return !err_is(&e) && readable(&path) ? CLIENT_READER : CLIENT_DEFAULT;
}

struct err cli_client_open(const struct cli_globals *g, enum cli_access access, uint64_t timeout_ms_default,
                           struct pbft_client **out)
{
    struct cli_path group;
    struct cli_path key;
    struct cli_path journal;
    const char *name = cli_client_name(g, access);
    /* Only reads as "reader" go without a journal: that client never has more than a read to lose. */
    const bool journaled =
        access == CLI_ACCESS_WRITE || (access == CLI_ACCESS_READ && strcmp(name, CLIENT_READER) != 0);
    ERR_TRY(cli_home_path(g->home, &group, "group.json"));
    ERR_TRY(cli_home_path(g->home, &key, "clients/%s.pem", name));
    ERR_TRY(cli_home_path(g->home, &journal, "clients/%s.journal", name));
    if (!readable(&group))
        return err_make(ERR_CONFIG, "%s is missing: pbft devnet up makes a development group, --home DIR names another",
                        group.text);
    if (!readable(&key))
        return err_make(ERR_CONFIG, "client \"%s\" has no key %s: --client NAME names another, pbft key new makes one",
                        name, key.text);
    const struct pbft_options options = {.group_path = group.text,
                                         .key_path = key.text,
                                         .journal_path = journaled ? journal.text : NULL,
                                         .timeout_ms = g->timeout_ms > 0 ? g->timeout_ms : timeout_ms_default};
    if (journaled) ERR_TRY(await_turn(g, name, options.timeout_ms));
    const struct pbft_error e = pbft_open(&options, out);
    return cli_error(&e);
}

struct err cli_error(const struct pbft_error *e)
{
    switch (e->status) {
    case PBFT_OK: return err_none();
    case PBFT_WINDOW_FULL:
    case PBFT_TIMEOUT: return err_make(ERR_TIMEOUT, "%s", e->text);
    case PBFT_TOO_OLD: return err_make(ERR_TIMEOUT, "%s; look before you run the command again", e->text);
    case PBFT_CONFLICT: return err_make(ERR_REFUSED, "%s; run the command again", e->text);
    case PBFT_REJECTED:
    case PBFT_BAD_CONFIG: return err_make(ERR_CONFIG, "%s", e->text);
    case PBFT_TOO_LARGE: return err_make(ERR_LIMIT, "%s; split the data", e->text);
    case PBFT_IN_CALLBACK:
    case PBFT_BAD_ARGUMENT: return err_make(ERR_USAGE, "%s", e->text);
    }
    return err_make(ERR_CONFIG, "%s", e->text);
}

struct err cli_outcome_error(const struct pbft_answer *a)
{
    const struct cli_quote reason = cli_quote(cli_value(a));
    if (a->outcome == PBFT_OUTCOME_EXPIRED)
        return err_make(ERR_TIMEOUT,
                        "it came after its expiry (block %" PRIu64 "); nothing was changed, submit it again", a->block);
    return err_make(ERR_REFUSED, "refused by the group (block %" PRIu64 "): %s; nothing was changed", a->block,
                    reason.text[0] == '\0' ? "the application's check forbids it" : reason.text);
}

static struct err check_outcome(struct pbft_answer **a)
{
    if ((*a)->outcome == PBFT_OUTCOME_OK || (*a)->outcome == PBFT_OUTCOME_NEGATIVE) return err_none();
    const struct err e = cli_outcome_error(*a);
    pbft_answer_free(*a);
    *a = NULL;
    return e;
}

struct err cli_submit(const struct cli_globals *g, const struct pbft_operation *op, struct pbft_answer **out)
{
    struct pbft_client *c;
    struct pbft_answer *a = NULL;
    ERR_TRY(cli_client_open(g, CLI_ACCESS_WRITE, CLI_TIMEOUT_MS_DEFAULT, &c));
    struct err e = import_record_detach(g, cli_client_name(g, CLI_ACCESS_WRITE), c);
    if (!err_is(&e)) {
        const struct pbft_error failed = pbft_submit_wait(c, op, 1, &a);
        e = cli_error(&failed);
    }
    pbft_close(c);
    if (err_is(&e)) {
        pbft_answer_free(a);
        return e;
    }
    ERR_TRY(check_outcome(&a));
    *out = a;
    return err_none();
}

void cli_reader_close(struct cli_reader *r)
{
    pbft_close(r->client);
    r->client = NULL;
}

static struct err reader_open(struct cli_reader *r, const struct cli_globals *g)
{
    if (r->client != NULL) return err_none();
    ERR_TRY(cli_client_open(g, CLI_ACCESS_READ, CLI_TIMEOUT_MS_DEFAULT, &r->client));
    return import_record_detach(g, cli_client_name(g, CLI_ACCESS_READ), r->client);
}

static struct err take_read(const struct pbft_error *e, struct pbft_answer *a, struct pbft_answer **out)
{
    if (e->status != PBFT_OK) {
        pbft_answer_free(a);
        return cli_error(e);
    }
    ERR_TRY(check_outcome(&a));
    *out = a;
    return err_none();
}

struct err cli_read(struct cli_reader *r, const struct cli_globals *g, const struct pbft_operation *op,
                    struct pbft_answer **out)
{
    struct pbft_answer *a = NULL;
    ERR_TRY(reader_open(r, g));
    const struct pbft_error e = pbft_read_wait(r->client, op, &a);
    return take_read(&e, a, out);
}

struct err cli_read_certified(struct cli_reader *r, const struct cli_globals *g, const struct pbft_operation *op,
                              uint64_t at_least, struct pbft_answer **out)
{
    struct pbft_answer *a = NULL;
    ERR_TRY(reader_open(r, g));
    const struct pbft_error e = pbft_read_certified_wait(r->client, op, at_least, &a);
    return take_read(&e, a, out);
}

struct err cli_page_decode(const struct pbft_answer *a, struct wire_page *out)
{
    const char *fault = wire_decode_record(&wire_record_page, cli_value(a), out);
    if (fault != NULL) return err_make(ERR_FORMAT, "the replicas answered something that is no page: %s", fault);
    return err_none();
}

/* ---- printing ---- */

void cli_json_print(json_t *value)
{
    CHECK(value != NULL);
    /* A failure to write is seen by the fflush at the end of the command. */
    (void)json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS));
    (void)putchar('\n');
    json_decref(value);
}

void cli_json_set_bytes(json_t *object, const char *name, struct bytes value)
{
    char hex_name[64];
    json_t *text = json_stringn(value.len == 0 ? "" : (const char *)value.data, value.len);
    if (text != NULL) {
        CHECK(json_object_set_new(object, name, text) == 0);
        return;
    }
    char *hex = mem_alloc(2 * value.len + 1);
    hex_encode(hex, value.data, value.len);
    (void)snprintf(hex_name, sizeof hex_name, "%s_hex", name);
    CHECK(json_object_set_new(object, hex_name, json_string(hex)) == 0);
    free(hex);
}

json_t *cli_answer_json(const struct pbft_answer *a)
{
    json_t *matched = json_array();
    for (uint32_t i = 0; i < a->matched_count; i++)
        (void)json_array_append_new(matched, json_integer((json_int_t)a->matched[i]));
    json_t *out = json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:I, s:o}", "result", pbft_outcome_name(a->outcome),
                            "client_sequence", (json_int_t)a->client_seq, "block", (json_int_t)a->block, "view",
                            (json_int_t)a->view, "index", (json_int_t)a->index, "milliseconds",
                            (double)a->elapsed_us / 1000.0, "time_ms", (json_int_t)a->time_ms, "matched", matched);
    CHECK(out != NULL);
    return out;
}

void cli_answer_print(FILE *to, const struct pbft_answer *a)
{
    (void)fprintf(to,
                  "%s: block %" PRIu64 ", view %" PRIu64 ", index %" PRIu64 ", client sequence %" PRIu64
                  ", %.1f ms, matched by replicas",
                  pbft_outcome_name(a->outcome), a->block, a->view, a->index, a->client_seq,
                  (double)a->elapsed_us / 1000.0);
    for (uint32_t i = 0; i < a->matched_count; i++)
        (void)fprintf(to, "%s%u", i == 0 ? " " : ", ", a->matched[i]);
    (void)fprintf(to, "\n");
}

void cli_text_print(FILE *to, struct bytes value, size_t most)
{
    for (size_t i = 0; i < value.len && i < most; i++) {
        if (value.data[i] < 0x20 || value.data[i] == 0x7f || value.data[i] == '\\')
            (void)fprintf(to, "\\x%02x", value.data[i]);
        else
            (void)fputc(value.data[i], to);
    }
    if (value.len > most) (void)fputs("...", to);
}

struct cli_quote cli_quote(struct bytes value)
{
    struct cli_quote q = {.text = ""};
    FILE *to = fmemopen(q.text, sizeof q.text, "w");
    CHECK(to != NULL);
    cli_text_print(to, value, 30); /* four characters each, and the dots */
    (void)fclose(to);
    return q;
}
