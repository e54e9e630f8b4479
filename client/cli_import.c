/* cli_import.c - sending the lines of a file.
 *
 * Line i is a transaction with a sequence fixed by the import record (client/cli_import_record.h), so a run that is
 * killed and started again sends the very same transactions; the replicas execute each once. Up to 64 are in flight.
 *
 *   accepted      all lines below `lowest`, and lowest + 1 + k for each bit k of `above`
 *   in flight     other lines below `next`
 *
 * When a sequence turns out to be used up, sending stops and what is in flight ends. TOO_OLD, when an earlier run sent
 * these sequences, says that more of what that run left in flight was settled meanwhile: the import goes on behind it.
 * Otherwise (something else used this client; EXPIRED) it goes on from `lowest` with fresh sequences. Lines sent twice
 * that way keep their one place in the log. */
#include "client/cli_import.h"

#include "base/check.h"
#include "base/clock.h"
#include "client/cli_common.h"
#include "client/cli_import_record.h"
#include "client/cli_progress.h"
#include "ledger/app.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRY_AFTER_MS (24u * 3600u * 1000u)
#define TIMEOUT_MS_DEFAULT 30000u
#define POLL_MS 100u
#define REBASES_MAX 8u
#define LINE_BYTES_MAX PBFT_VALUE_BYTES_MAX

struct import;

struct import_line {
    struct import *import;
    uint64_t number;
};

struct import {
    const struct cli_globals *globals;
    const char *name;
    const char *client_name;
    struct bytes content;
    struct pbft_client *client;
    struct import_record record;
    uint64_t resumed_from; /* lines accepted before this run */
    bool resumed;          /* an earlier run sent transactions with the record's sequences */
    uint64_t next;         /* line to send next, */
    size_t next_offset;    /* and where it begins */
    uint64_t lowest;
    size_t lowest_offset;
    uint64_t above; /* bit k: line lowest + 1 + k is accepted */
    struct import_line lines[PBFT_WINDOW];
    uint64_t accepted; /* in this run, ... */
    uint64_t there_already; /* ... of them lines that the log had from another run */
    uint64_t first_block;
    uint64_t last_block;
    uint64_t first_index; /* of line 0 in the log; valid when accepted > 0 */
    bool stale;           /* a sequence is used up: rebase */
    uint32_t rebases;
    struct err failure;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

/* ---- lines ---- */

/* Where the line that begins at offset ends: after its newline, or at the end of the file. */
static size_t line_end(const struct import *m, size_t offset)
{
    const uint8_t *at = memchr(m->content.data + offset, '\n', m->content.len - offset);
    return at == NULL ? m->content.len : (size_t)(at - m->content.data) + 1;
}

static struct err lines_count(const struct import *m, uint64_t *out)
{
    uint64_t count = 0;
    for (size_t at = 0; at < m->content.len; count++) {
        const size_t end = line_end(m, at);
        if (end - at > LINE_BYTES_MAX)
            return err_make(ERR_LIMIT, "%s: line %" PRIu64 " has %zu bytes, the limit is %u; split it", m->name,
                            count + 1, end - at, LINE_BYTES_MAX);
        at = end;
    }
    *out = count;
    return err_none();
}

static size_t line_offset(const struct import *m, uint64_t number)
{
    size_t at = 0;
    for (uint64_t i = 0; i < number; i++)
        at = line_end(m, at);
    return at;
}

static uint64_t lines_done(const struct import *m)
{
    return m->lowest + (uint64_t)__builtin_popcountll(m->above);
}

static void line_accepted(struct import *m, uint64_t number)
{
    if (number < m->lowest) return;
    if (number > m->lowest) {
        CHECK_OP(number - m->lowest - 1, <, 64);
        m->above |= 1ull << (number - m->lowest - 1);
        return;
    }
    bool more = true;
    while (more) { /* lowest moves past the accepted ones that follow it */
        m->lowest++;
        m->lowest_offset = line_end(m, m->lowest_offset);
        more = (m->above & 1u) != 0;
        m->above >>= 1;
    }
}

/* ---- answers ---- */

static void fail(struct import *m, struct err e)
{
    if (!err_is(&m->failure)) m->failure = e;
}

static void on_executed(struct import *m, uint64_t number, const struct pbft_answer *a)
{
    if (a->outcome == PBFT_OUTCOME_EXPIRED) {
        m->stale = true;
        return;
    }
    if (a->outcome == PBFT_OUTCOME_NEGATIVE) {
        fail(m, err_make(ERR_REFUSED, "the log holds another record for line %" PRIu64 " of this file already",
                         number + 1));
        return;
    }
    if (a->outcome != PBFT_OUTCOME_OK) {
        fail(m, err_wrap(cli_outcome_error(a), "line %" PRIu64, number + 1));
        return;
    }
    if (m->first_block == 0 || a->block < m->first_block) m->first_block = a->block;
    if (a->block > m->last_block) m->last_block = a->block;
    if (a->value.len >= 8) m->first_index = be64_get(a->value.data) - number;
    if (a->value.len > 8) m->there_already++; /* the log says so with one byte more */
    m->accepted++;
    line_accepted(m, number);
}

static void on_answer(void *context, const struct pbft_answer *a)
{
    const struct import_line *line = context;
    struct import *m = line->import;
    switch (a->status) {
    case PBFT_OK: on_executed(m, line->number, a); return;
    case PBFT_TOO_OLD: /* nobody knows whether this line was accepted under it */
    case PBFT_CONFLICT: m->stale = true; return;
    case PBFT_WINDOW_FULL:
    case PBFT_TIMEOUT:
    case PBFT_REJECTED:
    case PBFT_TOO_LARGE:
    case PBFT_BAD_CONFIG:
    case PBFT_BAD_ARGUMENT:
    case PBFT_IN_CALLBACK: break;
    }
    struct pbft_error e = {.status = a->status};
    (void)snprintf(e.text, sizeof e.text, "%s", a->text);
    fail(m, err_wrap(cli_error(&e), "line %" PRIu64, line->number + 1));
}

/* ---- sending ---- */

static struct pbft_error send_next(struct import *m)
{
    uint8_t number[8];
    uint8_t count[8];
    const size_t end = line_end(m, m->next_offset);
    struct import_line *line = &m->lines[m->next % PBFT_WINDOW]; /* free: the window is not full */
    const struct pbft_operation op = {
        .app = APP_LOG,
        .verb = APP_LOG_APPEND_LINE,
        .arg_count = 4,
        .args = {{m->record.file.bytes, DIGEST_BYTES},
                 {number, sizeof number},
                 {count, sizeof count},
                 {m->content.data + m->next_offset, end - m->next_offset}},
    };
    be64_put(number, m->next);
    be64_put(count, m->record.lines);
    const struct import_line taken = {.import = m, .number = m->next};
    const struct import_line before = *line;
    *line = taken;
    const struct pbft_error e = pbft_submit_at(m->client, m->record.first_sequence + (m->next - m->record.start_line),
                                               m->record.expiry_ms, &op, 1, on_answer, line);
    if (e.status != PBFT_OK) {
        *line = before;
        return e;
    }
    m->next++;
    m->next_offset = end;
    return e;
}

static void send_some(struct import *m)
{
    while (!m->stale && !err_is(&m->failure) && interrupted == 0 && m->next < m->record.lines &&
           m->next - m->lowest < PBFT_WINDOW) {
        const struct pbft_error e = send_next(m);
        if (e.status == PBFT_WINDOW_FULL) return;
        if (e.status != PBFT_OK) fail(m, cli_error(&e));
    }
}

/* Sends from line `number` on. */
static void go_to(struct import *m, uint64_t number)
{
    m->stale = false;
    m->lowest = number;
    m->lowest_offset = line_offset(m, number);
    m->above = 0;
    m->next = m->lowest;
    m->next_offset = m->lowest_offset;
}

/* Fresh sequences and a fresh expiry for all lines from `lowest` on. */
static struct err rebase(struct import *m)
{
    m->resumed = false;
    m->record.start_line = m->lowest;
    m->record.first_sequence = pbft_next_sequence(m->client);
    m->record.expiry_ms = clock_wall_ms() + EXPIRY_AFTER_MS;
    return import_record_write(m->globals, m->client_name, &m->record);
}

/* Until the replicas have said where the client's sequences stand: at first, and after each refused one. */
static struct err await_ready(const struct import *m)
{
    const struct pbft_error e =
        pbft_ready(m->client, m->globals->timeout_ms > 0 ? m->globals->timeout_ms : CLI_TIMEOUT_MS_DEFAULT);
    return cli_error(&e);
}

/* After a sequence was refused as used up. */
static struct err go_on(struct import *m)
{
    const uint64_t settled_below = import_record_position(&m->record, pbft_highest_settled(m->client));
    const bool behind = m->resumed && settled_below > m->lowest;
    go_to(m, behind ? settled_below : m->lowest);
    return behind ? err_none() : rebase(m);
}

static struct err send_all(struct import *m, struct cli_progress *progress)
{
    while (m->lowest < m->record.lines && !err_is(&m->failure)) {
        if (m->stale && pbft_in_flight(m->client) == 0) {
            if (++m->rebases > REBASES_MAX)
                return err_make(ERR_REFUSED, "other processes keep using client \"%s\"; give the import one of its own",
                                m->client_name);
            ERR_TRY(await_ready(m));
            ERR_TRY(go_on(m));
        }
        send_some(m);
        pbft_poll(m->client, POLL_MS);
        cli_progress_show(progress, lines_done(m));
        if (interrupted != 0) return err_make(ERR_TIMEOUT, "interrupted");
    }
    return m->failure;
}

/* ---- beginning and end ---- */

static struct err start_record(struct import *m, uint64_t lines, bool restart)
{
    struct import_record r;
    struct digest file;
    struct hasher h;
    bool found = false;
    hasher_start_plain(&h);
    hasher_add(&h, m->content.data, m->content.len);
    hasher_finish(&h, &file);
    if (!restart) ERR_TRY(import_record_read(m->globals, m->client_name, &r, &found));
    if (found && (!digest_equal(&r.file, &file) || r.lines != lines))
        return err_make(ERR_USAGE,
                        "an import of another file (%" PRIu64
                        " line%s) by client \"%s\" is unfinished: run its command again, or forget it with --restart",
                        r.lines, plural(r.lines), m->client_name);
    if (!found) {
        m->record = (struct import_record){.file = file, .lines = lines};
        return rebase(m);
    }
    m->record = r;
    m->resumed = true;
    go_to(m, import_record_position(&r, pbft_highest_settled(m->client)));
    m->resumed_from = m->lowest;
    if (m->resumed_from > 0)
        (void)fprintf(stderr, "pbft: log append: continuing at line %" PRIu64 " of %" PRIu64 "\n", m->lowest + 1,
                      lines);
    return r.first_sequence == 0 || clock_wall_ms() >= r.expiry_ms ? rebase(m) : err_none();
}

static void summary_print(const struct import *m, double seconds)
{
    const double rate = (double)(m->lowest - m->resumed_from) / seconds;
    char hex[2 * DIGEST_BYTES + 1];
    hex_encode(hex, m->record.file.bytes, DIGEST_BYTES);
    (void)fprintf(stderr, "pbft: log append: %" PRIu64 " line%s, %zu byte%s in %.1f s, %.0f transactions/s",
                  m->record.lines, plural(m->record.lines), m->content.len, plural(m->content.len), seconds, rate);
    if (m->last_block > 0) (void)fprintf(stderr, ", blocks %" PRIu64 " to %" PRIu64, m->first_block, m->last_block);
    const uint64_t before = m->resumed_from + m->there_already;
    if (before > 0)
        (void)fprintf(stderr, "; %" PRIu64 " line%s %s in the log already", before, plural(before),
                      before == 1 ? "was" : "were");
    (void)fprintf(stderr, "\n");
    if (!m->globals->json) return;
    json_t *out = json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I}", "file_digest", hex, "lines",
                            (json_int_t)m->record.lines, "bytes", (json_int_t)m->content.len, "resumed_from",
                            (json_int_t)m->resumed_from, "there_already",
                            (json_int_t)m->there_already, "seconds", seconds, "transactions_per_second", rate,
                            "first_block", (json_int_t)m->first_block, "last_block", (json_int_t)m->last_block);
    if (m->accepted > 0) CHECK(json_object_set_new(out, "first_index", json_integer((json_int_t)m->first_index)) == 0);
    cli_json_set_bytes(out, "file", bytes_of_text(m->name));
    cli_json_print(out);
}

static struct err import_lines(struct import *m, uint64_t lines, bool restart)
{
    const struct sigaction catch = {.sa_handler = on_signal}; /* no SA_RESTART: waits end */
    ERR_TRY(cli_client_open(m->globals, CLI_ACCESS_WRITE, TIMEOUT_MS_DEFAULT, &m->client));
    ERR_TRY(await_ready(m));
    ERR_TRY(start_record(m, lines, restart));
    (void)sigaction(SIGINT, &catch, NULL);
    (void)sigaction(SIGTERM, &catch, NULL);
    struct cli_progress progress = cli_progress_start(lines, m->lowest);
    const struct err e = send_all(m, &progress);
    cli_progress_end(&progress);
    if (err_is(&e))
        return err_wrap(e, "lines in the log: %" PRIu64 " of %" PRIu64 "; the same command again continues",
                        lines_done(m), lines);
    summary_print(m, cli_progress_seconds(&progress));
    return import_record_remove(m->globals, m->client_name);
}

static void print_empty(const struct cli_call *call, const char *name)
{
    (void)fprintf(stderr, "pbft: log append: %s is empty; there is nothing to append\n", name);
    if (call->globals->json) cli_json_print(json_pack("{s:i, s:i}", "lines", 0, "bytes", 0));
}

struct err cli_import_run(const struct cli_call *call, const char *name, struct bytes content, bool restart)
{
    uint64_t lines = 0;
    if (content.len == 0) {
        print_empty(call, name);
        return err_none();
    }
    struct import *m = mem_zero(1, sizeof *m);
    m->globals = call->globals;
    m->name = name;
    m->client_name = cli_client_name(call->globals, CLI_ACCESS_WRITE);
    m->content = content;
    struct err e = lines_count(m, &lines);
    if (!err_is(&e) && lines > APP_LOG_LINES_MAX) e = err_make(ERR_LIMIT, "%s has too many lines; split it", name);
    if (!err_is(&e)) e = import_lines(m, lines, restart);
    pbft_close(m->client);
    free(m);
    return e;
}
