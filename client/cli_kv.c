/* cli_kv.c - put, get, del, cas, list. Writes are transactions; reads believe what Q replicas answer alike. */
#include "client/cli_kv.h"

#include "base/check.h"
#include "client/cli_common.h"
#include "ledger/app.h"

#include <string.h>

_Static_assert(PBFT_VALUE_BYTES_MAX == APP_VALUE_BYTES_MAX, "what fits a transaction is what the application takes");

enum cas_option { CAS_OPTION_ABSENT };
enum get_option { GET_OPTION_CERTIFIED, GET_OPTION_AT_LEAST };

static struct err key_check(const char *key)
{
    const size_t len = strlen(key);
    if (len == 0) return err_make(ERR_USAGE, "the key is empty; give at least one byte");
    if (len > APP_KEY_BYTES_MAX)
        return err_make(ERR_USAGE, "the key has %zu bytes, the limit is %u; give a shorter one", len,
                        APP_KEY_BYTES_MAX);
    return err_none();
}

static struct pbft_operation kv_operation(enum app_kv_verb verb, uint32_t arg_count, const char *const *args)
{
    struct pbft_operation op = {.app = APP_KV, .verb = (uint16_t)verb, .arg_count = arg_count};
    for (uint32_t i = 0; i < arg_count; i++)
        op.args[i] = cli_arg(bytes_of_text(args[i]));
    return op;
}

/* An accepted transaction: its line, or its object with the key. */
static void accepted_print(const struct cli_call *call, const struct pbft_answer *a, const char *key)
{
    if (!call->globals->json) {
        if (a->outcome == PBFT_OUTCOME_OK) cli_answer_print(stdout, a);
        return;
    }
    json_t *out = cli_answer_json(a);
    cli_json_set_bytes(out, "key", bytes_of_text(key));
    if (a->outcome == PBFT_OUTCOME_NEGATIVE && a->value.len > 0) cli_json_set_bytes(out, "current", cli_value(a));
    cli_json_print(out);
}

static struct err put_run(const struct cli_call *call)
{
    struct pbft_answer *a;
    ERR_TRY(key_check(call->words[0]));
    const struct pbft_operation op = kv_operation(APP_KV_PUT, 2, call->words);
    ERR_TRY(cli_submit(call->globals, &op, &a));
    accepted_print(call, a, call->words[0]);
    pbft_answer_free(a);
    return err_none();
}

static struct err del_run(const struct cli_call *call)
{
    struct pbft_answer *a;
    ERR_TRY(key_check(call->words[0]));
    const struct pbft_operation op = kv_operation(APP_KV_DELETE, 1, call->words);
    ERR_TRY(cli_submit(call->globals, &op, &a));
    accepted_print(call, a, call->words[0]);
    const bool absent = a->outcome == PBFT_OUTCOME_NEGATIVE;
    pbft_answer_free(a);
    if (absent)
        return err_make(ERR_NEGATIVE, "there is no key \"%s\"; nothing was deleted",
                        cli_quote(bytes_of_text(call->words[0])).text);
    return err_none();
}

static struct err cas_run(const struct cli_call *call)
{
    struct pbft_answer *a;
    const bool absent = call->values[CAS_OPTION_ABSENT] != NULL;
    if (absent && call->word_count != 2) return err_make(ERR_USAGE, "--absent takes two words: KEY NEW");
    if (!absent && call->word_count != 3)
        return err_make(ERR_USAGE,
                        "three words are needed: KEY OLD NEW (--absent KEY NEW for a key that must not exist)");
    ERR_TRY(key_check(call->words[0]));
    const struct pbft_operation op = kv_operation(APP_KV_CAS, call->word_count, call->words);
    ERR_TRY(cli_submit(call->globals, &op, &a));
    accepted_print(call, a, call->words[0]);
    struct err e = err_none();
    if (a->outcome == PBFT_OUTCOME_NEGATIVE) {
        const struct cli_quote current = cli_quote(cli_value(a));
        e = a->value.len == 0 ? err_make(ERR_NEGATIVE, "not set: the key is absent or its value empty (pbft get tells)")
                              : err_make(ERR_NEGATIVE, "not set: the current value is \"%s\"; try again with it as OLD",
                                         current.text);
    }
    pbft_answer_free(a);
    return e;
}

/* What Q replicas say alike, or what one proves. */
static struct err get_read(struct cli_reader *r, const struct cli_call *call, struct pbft_answer **out)
{
    const struct pbft_operation op = kv_operation(APP_KV_GET, 1, call->words);
    const char *text = call->values[GET_OPTION_AT_LEAST];
    uint64_t at_least = 0;
    if (text != NULL) ERR_TRY(cli_number_parse("--at-least", text, 1, SEQ_MAX, &at_least));
    if (call->values[GET_OPTION_CERTIFIED] != NULL) return cli_read_certified(r, call->globals, &op, at_least, out);
    if (text != NULL)
        return err_make(ERR_USAGE, "--at-least goes with --certified: other reads are of the newest state");
    return cli_read(r, call->globals, &op, out);
}

static void get_print(const struct cli_call *call, const struct pbft_answer *a, bool found)
{
    const bool certified = call->values[GET_OPTION_CERTIFIED] != NULL;
    if (call->globals->json) {
        json_t *out = json_object();
        cli_json_set_bytes(out, "key", bytes_of_text(call->words[0]));
        if (found) cli_json_set_bytes(out, "value", cli_value(a));
        CHECK(json_object_set_new(out, "found", json_boolean(found)) == 0);
        if (certified) {
            CHECK(json_object_set_new(out, "checkpoint", json_integer((json_int_t)a->block)) == 0);
            CHECK(json_object_set_new(out, "replica", json_integer((json_int_t)a->matched[0])) == 0);
        }
        cli_json_print(out);
        return;
    }
    if (found) {
        (void)fwrite(a->value.data, 1, a->value.len, stdout);
        (void)putchar('\n');
    }
    if (certified)
        (void)fprintf(stderr, "as of the checkpoint of block %llu, proven by replica %u\n",
                      (unsigned long long)a->block, a->matched[0]);
}

static struct err get_run(const struct cli_call *call)
{
    struct cli_reader r = {0};
    struct pbft_answer *a;
    ERR_TRY(key_check(call->words[0]));
    const struct err e = get_read(&r, call, &a);
    cli_reader_close(&r);
    if (err_is(&e)) return e;
    const bool found = a->outcome == PBFT_OUTCOME_OK;
    get_print(call, a, found);
    pbft_answer_free(a);
    if (!found)
        return err_make(ERR_NEGATIVE, "there is no key \"%s\"; pbft list shows those there are",
                        cli_quote(bytes_of_text(call->words[0])).text);
    return err_none();
}

static void items_print(const struct wire_page *page, json_t *items)
{
    struct wire_iterator i = wire_list_start(page->items);
    struct wire_key_value item;
    while (wire_list_next(&i, &wire_record_key_value, &item)) {
        if (items == NULL) {
            cli_text_print(stdout, item.key, item.key.len);
            (void)putchar('\t');
            cli_text_print(stdout, item.value, item.value.len);
            (void)putchar('\n');
            continue;
        }
        json_t *object = json_object();
        cli_json_set_bytes(object, "key", item.key);
        cli_json_set_bytes(object, "value", item.value);
        CHECK(json_array_append_new(items, object) == 0);
    }
}

static struct err pages_print(struct cli_reader *r, const struct cli_call *call, json_t *items)
{
    uint8_t from[STATE_KEY_BYTES_MAX];
    size_t from_len = 0;
    do {
        struct pbft_answer *a;
        struct wire_page page;
        struct pbft_operation op = {.app = APP_KV, .verb = APP_KV_LIST, .arg_count = 2};
        op.args[0] = cli_arg(bytes_of_text(call->word_count > 0 ? call->words[0] : ""));
        op.args[1] = (struct pbft_bytes){.data = from, .len = from_len};
        ERR_TRY(cli_read(r, call->globals, &op, &a));
        struct err e = cli_page_decode(a, &page);
        if (!err_is(&e) && page.next.len > 0 && bytes_compare(page.next, bytes_of(from, from_len)) <= 0)
            e = err_make(ERR_FORMAT, "the replicas answered a page that does not go on");
        if (!err_is(&e)) {
            items_print(&page, items);
            from_len = page.next.len;
            if (from_len > 0) memcpy(from, page.next.data, from_len); /* at most STATE_KEY_BYTES_MAX: it was decoded */
        }
        pbft_answer_free(a);
        if (err_is(&e)) return e;
    } while (from_len > 0);
    return err_none();
}

static struct err list_run(const struct cli_call *call)
{
    struct cli_reader r = {0};
    if (call->word_count > 0 && call->words[0][0] != '\0') ERR_TRY(key_check(call->words[0]));
    json_t *items = call->globals->json ? json_array() : NULL;
    const struct err e = pages_print(&r, call, items);
    cli_reader_close(&r);
    if (err_is(&e))
        json_decref(items);
    else if (items != NULL)
        cli_json_print(json_pack("{s:o}", "items", items));
    return e;
}

static const struct cli_command kv_commands[] = {
    {.verb = "put",
     .words = "KEY VALUE",
     .words_min = 2,
     .words_max = 2,
     .summary = "Sets a key to a value, as one signed transaction.",
     .run = put_run},
    {.verb = "get",
     .words = "KEY",
     .words_min = 1,
     .words_max = 1,
     .summary = "Prints the value of a key; exit code 1 when there is none.",
     .details =
         "A quorum of replicas must give the same value. With --certified one replica proves it, as of a stable\n"
         "checkpoint, which stderr names: no other need be there. What was put in block N is in each checkpoint\n"
         "from N on; there is one every 128 blocks, and none while the group is idle.",
     .options = {[GET_OPTION_CERTIFIED] = {.name = "certified", .help = "believe the proof of one replica"},
                 [GET_OPTION_AT_LEAST] = {.name = "at-least", .value = "N", .help = "of no checkpoint before block N"}},
     .run = get_run},
    {.verb = "del",
     .words = "KEY",
     .words_min = 1,
     .words_max = 1,
     .summary = "Deletes a key; exit code 1 when there is none.",
     .run = del_run},
    {.verb = "cas",
     .words = "KEY OLD NEW",
     .words_min = 2,
     .words_max = 3,
     .summary = "Sets a key to NEW if its value is OLD; exit code 1 when it is not.",
     .details = "With --absent the words are KEY NEW.",
     .options = {[CAS_OPTION_ABSENT] = {.name = "absent", .help = "set it only if there is no such key"}},
     .run = cas_run},
    {.verb = "list",
     .words = "[PREFIX]",
     .words_min = 0,
     .words_max = 1,
     .summary = "Prints keys (that start with PREFIX) and values, in the order of their bytes.",
     .details = "In a table, control characters and backslashes are written \\xNN.",
     .run = list_run},
};

const struct cli_table cli_kv_table = {.commands = kv_commands, .count = sizeof kv_commands / sizeof kv_commands[0]};
