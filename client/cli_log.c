/* cli_log.c - log append and log cat. The import of a file line by line is client/cli_import.h. */
#include "client/cli_log.h"

#include "base/check.h"
#include "client/cli_common.h"
#include "client/cli_import.h"
#include "ledger/app.h"

#include <inttypes.h>

#define FILE_BYTES_LIMIT (1024ull * 1024ull * 1024ull)
#define RECORD_KEY_BYTES 9u /* 'r' and the index */

enum append_option { APPEND_OPTION_LINES, APPEND_OPTION_RESTART };
enum cat_option { CAT_OPTION_FROM };

static struct err append_record(const struct cli_call *call, const char *name, struct bytes record)
{
    struct pbft_answer *a;
    if (record.len > PBFT_REQUEST_BYTES_MAX)
        return err_make(ERR_LIMIT, "%s has %zu bytes; a record of %u fits: split it, or append it with --lines", name,
                        record.len, PBFT_VALUE_BYTES_MAX);
    const struct pbft_operation op = {
        .app = APP_LOG, .verb = APP_LOG_APPEND, .arg_count = 1, .args = {cli_arg(record)}};
    ERR_TRY(cli_submit(call->globals, &op, &a));
    const uint64_t index = a->value.len == 8 ? be64_get(a->value.data) : 0;
    if (call->globals->json) {
        json_t *out = cli_answer_json(a);
        CHECK(json_object_set_new(out, "record", json_integer((json_int_t)index)) == 0);
        cli_json_print(out);
    } else {
        (void)printf("record %" PRIu64 " ", index);
        cli_answer_print(stdout, a);
    }
    pbft_answer_free(a);
    return err_none();
}

static struct err append_run(const struct cli_call *call)
{
    struct buffer content = {0};
    const char *name = call->words[0];
    const bool lines = call->values[APPEND_OPTION_LINES] != NULL;
    const bool restart = call->values[APPEND_OPTION_RESTART] != NULL;
    if (restart && !lines) return err_make(ERR_USAGE, "--restart belongs to --lines");
    struct err e = cli_file_read(name, FILE_BYTES_LIMIT, &content);
    const struct bytes bytes = bytes_of(content.data, content.len);
    if (!err_is(&e) && lines) e = cli_import_run(call, name, bytes, restart);
    if (!err_is(&e) && !lines) e = append_record(call, name, bytes);
    buffer_free(&content);
    return e;
}

/* Prints the records of a page; *from becomes the index after the last. */
static struct err page_print(const struct cli_call *call, const struct wire_page *page, uint64_t *from)
{
    struct wire_iterator i = wire_list_start(page->items);
    struct wire_key_value item;
    while (wire_list_next(&i, &wire_record_key_value, &item)) {
        if (item.key.len != RECORD_KEY_BYTES || be64_get(item.key.data + 1) < *from)
            return err_make(ERR_FORMAT, "the replicas answered a page of the log that is out of order");
        const uint64_t index = be64_get(item.key.data + 1);
        *from = index + 1;
        if (!call->globals->json) {
            (void)fwrite(item.value.data, 1, item.value.len, stdout);
            continue;
        }
        json_t *object = json_pack("{s:I}", "index", (json_int_t)index);
        cli_json_set_bytes(object, "record", item.value);
        (void)json_dumpf(object, stdout, JSON_COMPACT);
        (void)putchar('\n');
        json_decref(object);
    }
    return err_none();
}

static struct err pages_print(struct cli_reader *r, const struct cli_call *call, uint64_t from)
{
    bool more = true;
    while (more) {
        uint8_t raw[8];
        struct pbft_answer *a;
        struct wire_page page;
        const struct pbft_operation op = {
            .app = APP_LOG, .verb = APP_LOG_READ, .arg_count = 1, .args = {{raw, sizeof raw}}};
        be64_put(raw, from);
        ERR_TRY(cli_read(r, call->globals, &op, &a));
        struct err e = cli_page_decode(a, &page);
        if (!err_is(&e)) e = page_print(call, &page, &from);
        more = page.next.len > 0;
        if (!err_is(&e) && more && (page.next.len != RECORD_KEY_BYTES || be64_get(page.next.data + 1) < from))
            e = err_make(ERR_FORMAT, "the replicas answered a page of the log that does not go on");
        if (!err_is(&e) && more) from = be64_get(page.next.data + 1);
        pbft_answer_free(a);
        if (err_is(&e)) return e;
        if (ferror(stdout)) return err_none(); /* reported by the caller */
    }
    return err_none();
}

static struct err cat_run(const struct cli_call *call)
{
    struct cli_reader r = {0};
    uint64_t from = 0;
    const char *text = call->values[CAT_OPTION_FROM];
    if (text != NULL) ERR_TRY(cli_number_parse("--from", text, 0, SEQ_MAX, &from));
    const struct err e = pages_print(&r, call, from);
    cli_reader_close(&r);
    return e;
}

static const struct cli_command log_commands[] = {
    {.noun = "log",
     .verb = "append",
     .words = "FILE|-",
     .words_min = 1,
     .words_max = 1,
     .summary = "Appends a file to the log as one record, or each of its lines as one (--lines).",
     .details =
         "With --lines every line is a signed transaction of its own; they land in line order, once: a command that\n"
         "was interrupted continues when it is run again, and a file that is there already is not appended twice.",
     .options = {[APPEND_OPTION_LINES] = {.name = "lines", .help = "one transaction for each line"},
                 [APPEND_OPTION_RESTART] = {.name = "restart", .help = "forget an unfinished import of this client"}},
     .run = append_run},
    {.noun = "log",
     .verb = "cat",
     .words = "",
     .words_min = 0,
     .words_max = 0,
     .summary = "Writes the records of the log, with nothing added, in index order.",
     .details = "With -o json, one object {\"index\", \"record\"} on each line.",
     .options = {[CAT_OPTION_FROM] = {.name = "from", .value = "I", .help = "start at record I (default 0)"}},
     .run = cat_run},
};

const struct cli_table cli_log_table = {.commands = log_commands,
                                        .count = sizeof log_commands / sizeof log_commands[0]};
