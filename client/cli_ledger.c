/* cli_ledger.c - ledger show, ledger export, and the table in which ledger check stands too. They read a data directory, also beside a running replica, and change
 * nothing.
 *
 * The JSON form of an export is made from its text, line by line: "block 5 epoch 0 ..." is pairs of a name and a value.
 */
#include "client/cli_ledger.h"

#include "base/check.h"
#include "client/cli_check.h"
#include "client/cli_common.h"
#include "ledger/data_dir.h"
#include "ledger/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define INTEGER_DIGITS_MAX 18u /* more is a digest */

static struct err open_dir(const char *dir, struct data_dir *out)
{
    struct wire_store_identity identity;
    return data_dir_open_reader(dir, out, &identity);
}

/* ---- JSON lines ---- */

struct line_sink {
    struct buffer line;
    FILE *out;
};

static json_t *value_json(const char *text)
{
    const size_t len = strlen(text);
    if (len > 0 && len <= INTEGER_DIGITS_MAX && strspn(text, "0123456789") == len)
        return json_integer((json_int_t)strtoull(text, NULL, 10));
    return json_string(text);
}

/* One line of the export. "entry I operation K OUTCOME ..." and "end blocks ..." have a word without a name. */
static void line_print(struct line_sink *sink)
{
    json_t *object = json_object();
    char *at = (char *)sink->line.data;
    const char *kind = strsep(&at, " ");
    CHECK(json_object_set_new(object, "kind", json_string(kind)) == 0);
    if (strcmp(kind, "block") == 0) CHECK(json_object_set_new(object, "sequence", value_json(strsep(&at, " "))) == 0);
    if (strcmp(kind, "entry") == 0) CHECK(json_object_set_new(object, "index", value_json(strsep(&at, " "))) == 0);
    while (at != NULL) {
        const char *name = strsep(&at, " ");
        const bool outcome = strcmp(kind, "entry") == 0 && json_object_get(object, "operation") != NULL &&
                             json_object_get(object, "outcome") == NULL;
        const char *value = outcome ? name : strsep(&at, " ");
        /* hexadecimal results stay strings, whatever their digits */
        json_t *item = strcmp(name, "result") == 0 || outcome ? json_string(value == NULL ? "" : value)
                                                              : value_json(value == NULL ? "" : value);
        CHECK(json_object_set_new(object, outcome ? "outcome" : name, item) == 0);
    }
    (void)json_dumpf(object, sink->out, JSON_COMPACT);
    (void)fputc('\n', sink->out);
    json_decref(object);
}

static ssize_t sink_write(void *cookie, const char *data, size_t len)
{
    struct line_sink *sink = cookie;
    size_t from = 0;
    while (from < len) {
        const char *end = memchr(data + from, '\n', len - from);
        const size_t part = end == NULL ? len - from : (size_t)(end - data) - from;
        buffer_append(&sink->line, data + from, part);
        from += part;
        if (end == NULL) break;
        from++;
        buffer_append(&sink->line, "", 1);
        line_print(sink);
        sink->line.len = 0;
    }
    return ferror(sink->out) ? 0 : (ssize_t)len;
}

static struct err export_json(struct kv_store *log)
{
    struct line_sink sink = {.out = stdout};
    FILE *to = fopencookie(&sink, "w", (cookie_io_functions_t){.write = sink_write});
    if (to == NULL) return err_system(errno, "cannot export");
    const struct err e = export_ledger(log, to);
    (void)fclose(to);
    buffer_free(&sink.line);
    return e;
}

/* ---- the commands ---- */

static struct err export_run(const struct cli_call *call)
{
    struct data_dir d;
    ERR_TRY(open_dir(call->words[0], &d));
    const struct err e = call->globals->json ? export_json(d.log) : export_ledger(d.log, stdout);
    data_dir_close(&d);
    return e;
}

static struct err show_run(const struct cli_call *call)
{
    struct data_dir d;
    struct buffer text = {0};
    uint64_t seq;
    ERR_TRY(cli_number_parse("the sequence of the block", call->words[1], 1, SEQ_MAX, &seq));
    ERR_TRY(open_dir(call->words[0], &d));
    struct err e = export_show_block(d.log, seq, call->globals->json, &text);
    if (e.code == ERR_NOT_FOUND) {
        uint64_t last = 0;
        uint64_t gap_low = 0;
        uint64_t gap_high = 0;
        struct err failed = log_last_block(d.log, &last);
        if (!err_is(&failed)) failed = log_get_gap(d.log, &gap_low, &gap_high);
        if (err_is(&failed))
            e = failed;
        else if (seq >= gap_low && seq <= gap_high)
            e = err_make(ERR_NEGATIVE,
                         "block %" PRIu64 " is not in %s yet: blocks %" PRIu64 " to %" PRIu64
                         " are fetched in the background while the replica runs",
                         seq, call->words[0], gap_low, gap_high);
        else
            e = err_make(ERR_NOT_FOUND, "there is no block %" PRIu64 " in %s; it has blocks 1 to %" PRIu64, seq,
                           call->words[0], last);
    }
    if (!err_is(&e)) (void)fwrite(text.data, 1, text.len, stdout);
    buffer_free(&text);
    data_dir_close(&d);
    return e;
}

static const struct cli_command ledger_commands[] = {
    {.noun = "ledger",
     .verb = "show",
     .words = "DIR N",
     .words_min = 2,
     .words_max = 2,
     .summary = "Shows block N of a data directory: header, entries, certificate, requests.",
     .run = show_run},
    {.noun = "ledger",
     .verb = "export",
     .words = "DIR",
     .words_min = 1,
     .words_max = 1,
     .summary = "Writes a data directory's whole ledger as canonical text: equal ledgers, equal bytes.",
     .details = "With -o json, one object for each line of it. Exit code 5 when the ledger fails its checks, 1 while "
                "older blocks are still fetched after a state transfer.",
     .run = export_run},
    {.noun = "ledger",
     .verb = "check",
     .words = "DIR",
     .words_min = 1,
     .words_max = 1,
     .summary = "Checks all of a data directory that can be checked offline, also beside a running replica.",
     .details = "Blocks, batches, certificates with every signature, history, state and its tree; HOME/group.json has the\n"
                "members' keys. A line for each fault on standard error. Exit code 5 when there are faults, 1 when there are\n"
                "none but blocks are missing or the state is between two checkpoints.",
     .options = {{.name = "repair", .help = "let the stopped replica repair itself from the others when it starts"}},
     .run = cli_check_run},
};

const struct cli_table cli_ledger_table = {.commands = ledger_commands,
                                           .count = sizeof ledger_commands / sizeof ledger_commands[0]};
