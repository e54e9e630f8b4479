/* cli_evidence.c - what a replica keeps as evidence, shown, taken out as a file, and checked anywhere with the group
 * file alone (wire/evidence.h). list and export read a data directory, also beside a running replica, and change
 * nothing in it. */
#include "client/cli_evidence.h"

#include "base/check.h"
#include "base/file.h"
#include "client/cli_common.h"
#include "client/cli_group.h"
#include "ledger/data_dir.h"
#include "wire/evidence.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_OPTION                                                                                                   \
    {                                                                                                                  \
        .name = "group", .value = "FILE", .help = "the group file, in the place of HOME/group.json"                    \
    }

/* ---- one record ---- */

static json_t *record_json(const struct group *g, const struct evidence *e, const char *sentence)
{
    char hex[2 * DIGEST_BYTES + 1];
    json_t *digests = json_array();
    json_t *out = json_object();
    CHECK(json_object_set_new(out, "member", json_integer((json_int_t)e->member)) == 0);
    CHECK(json_object_set_new(out, "organisation", json_string(g->members[e->member].organisation)) == 0);
    CHECK(json_object_set_new(out, "kind", json_string(evidence_kind_name(e->kind))) == 0);
    CHECK(json_object_set_new(out, "view", json_integer((json_int_t)e->view)) == 0);
    CHECK(json_object_set_new(out, "sequence", json_integer((json_int_t)e->seq)) == 0);
    for (uint32_t k = 0; k < (e->kind == EVIDENCE_KIND_CERTIFICATE ? 1u : 2u); k++) {
        hex_encode(hex, e->digests[k].bytes, DIGEST_BYTES);
        CHECK(json_array_append_new(digests, json_string(hex)) == 0);
    }
    CHECK(json_object_set_new(out, "digests", digests) == 0);
    CHECK(json_object_set_new(out, "sentence", json_string(sentence)) == 0);
    return out;
}

/* "member 2 (Acme) signed two different PREPAREs ..." with its final NUL. */
static void record_text(const struct group *g, const struct evidence *e, struct buffer *out)
{
    const struct cli_quote name = cli_quote(bytes_of_text(g->members[e->member].organisation));
    buffer_printf(out, "member %u (%s) ", e->member, name.text);
    evidence_text(e, out);
    buffer_append(out, "", 1);
}

/* ---- a data directory ---- */

struct record_place {
    uint64_t number; /* among those kept, from 1 on: by member, then by kind */
    uint32_t member;
    uint32_t kind;
    struct bytes bytes; /* borrowed from the log */
};

/* The next one kept; ERR_NOT_FOUND at the end. Begins with a place that is all zero. */
static struct err next_record(struct kv_store *log, struct record_place *at)
{
    struct err e = err_make(ERR_NOT_FOUND, "no more evidence is kept");
    while (e.code == ERR_NOT_FOUND) {
        at->kind++;
        if (at->kind > EVIDENCE_KIND_MAX) {
            at->kind = 1;
            at->member++;
        }
        if (at->member >= REPLICAS_MAX) return e;
        e = log_get_evidence(log, at->member, at->kind, &at->bytes);
    }
    at->number++;
    return e;
}

static struct err open_both(const struct cli_call *call, struct cli_group *g, struct data_dir *d)
{
    struct wire_store_identity identity;
    struct err e = cli_group_open(call->globals->home, call->values[0], g);
    if (err_is(&e)) return e;
    e = data_dir_open_reader(call->words[0], d, &identity);
    if (err_is(&e) || digest_equal(&identity.group, &g->group->id)) return e;
    data_dir_close(d);
    return err_make(ERR_CONFIG, "%s belongs to another group than the group file; give the right one with --group",
                    call->words[0]);
}

/* One line, or one object of *out; false: the record that is kept there proves nothing. */
static bool list_one(const struct cli_group *g, const struct record_place *at, json_t *out)
{
    struct evidence e;
    struct buffer text = {0};
    const char *fault = evidence_check(&g->wire, signature_checker_plain(), at->bytes, &e);
    if (fault == NULL && (e.member != at->member || e.kind != at->kind)) fault = "it is kept in the place of another";
    if (fault != NULL) {
        (void)fprintf(stderr, "record %" PRIu64 " is damaged: %s\n", at->number, fault);
        return false;
    }
    record_text(g->group, &e, &text);
    if (out != NULL) {
        json_t *item = record_json(g->group, &e, (const char *)text.data);
        CHECK(json_object_set_new(item, "number", json_integer((json_int_t)at->number)) == 0);
        CHECK(json_array_append_new(out, item) == 0);
    } else {
        (void)printf("%" PRIu64 "  %s\n", at->number, (const char *)text.data);
    }
    buffer_free(&text);
    return true;
}

static struct err list_run(const struct cli_call *call)
{
    struct cli_group g;
    struct data_dir d;
    struct record_place at = {.number = 0};
    uint64_t damaged = 0;
    struct err e = open_both(call, &g, &d);
    if (!err_is(&e)) {
        json_t *out = call->globals->json ? json_array() : NULL;
        for (e = next_record(d.log, &at); !err_is(&e); e = next_record(d.log, &at))
            if (!list_one(&g, &at, out)) damaged++;
        if (e.code == ERR_NOT_FOUND) e = err_none();
        if (out != NULL)
            cli_json_print(out);
        else if (!err_is(&e) && at.number == 0)
            (void)printf("no evidence against any member\n");
        data_dir_close(&d);
    }
    cli_group_close(&g);
    if (!err_is(&e) && damaged > 0)
        e = err_make(ERR_CORRUPT, "%" PRIu64 " record%s in %s prove nothing", damaged, damaged == 1 ? "" : "s",
                     call->words[0]);
    return e;
}

static struct err export_run(const struct cli_call *call)
{
    struct cli_group g;
    struct data_dir d;
    struct record_place at = {.number = 0};
    struct evidence found;
    uint64_t number;
    ERR_TRY(cli_number_parse("the number of the record", call->words[1], 1, REPLICAS_MAX * EVIDENCE_KIND_MAX, &number));
    struct err e = open_both(call, &g, &d);
    if (!err_is(&e)) {
        do
            e = next_record(d.log, &at);
        while (!err_is(&e) && at.number < number);
        if (e.code == ERR_NOT_FOUND)
            e = err_make(ERR_NOT_FOUND,
                         "there is no record %" PRIu64 " in %s; pbft evidence list shows those that there are", number,
                         call->words[0]);
        const char *fault = err_is(&e) ? NULL : evidence_check(&g.wire, signature_checker_plain(), at.bytes, &found);
        if (fault != NULL) e = err_make(ERR_CORRUPT, "record %" PRIu64 " is damaged: %s", number, fault);
        const int refused = err_is(&e) ? 0 : file_put(call->words[2], at.bytes, 0644, FILE_PLACE_NEW);
        if (refused != 0) e = err_system(refused, "cannot write %s", call->words[2]);
        data_dir_close(&d);
    }
    cli_group_close(&g);
    return e;
}

/* ---- a file ---- */

static struct err verify_run(const struct cli_call *call)
{
    struct cli_group g;
    struct evidence found;
    struct buffer file = {0};
    struct buffer text = {0};
    struct err e = cli_group_open(call->globals->home, call->values[0], &g);
    if (!err_is(&e)) e = cli_file_read(call->words[0], EVIDENCE_BYTES_MAX, &file);
    if (e.code == ERR_LIMIT)
        e = err_make(ERR_NEGATIVE, "%s proves nothing: it is too long for a record of evidence", call->words[0]);
    if (!err_is(&e)) {
        const char *fault = evidence_check(&g.wire, signature_checker_plain(), bytes_of(file.data, file.len), &found);
        if (fault != NULL) e = err_make(ERR_NEGATIVE, "%s proves nothing: %s", call->words[0], fault);
    }
    if (!err_is(&e)) {
        record_text(g.group, &found, &text);
        if (call->globals->json)
            cli_json_print(record_json(g.group, &found, (const char *)text.data));
        else
            (void)printf("%s\n", (const char *)text.data);
    }
    buffer_free(&text);
    buffer_free(&file);
    cli_group_close(&g);
    return e;
}

static const struct cli_command evidence_commands[] = {
    {.noun = "evidence",
     .verb = "list",
     .words = "DIR",
     .words_min = 1,
     .words_max = 1,
     .summary = "Shows what a replica's data directory keeps as evidence that a member broke the rules.",
     .details = "One line for each record: the first of each kind against each member. Each is checked; exit code 5 "
                "when one is damaged.",
     .options = {GROUP_OPTION},
     .run = list_run},
    {.noun = "evidence",
     .verb = "export",
     .words = "DIR NUMBER FILE",
     .words_min = 3,
     .words_max = 3,
     .summary = "Writes the record of that number in the list to a new file.",
     .details = "Who has the file and the group file needs nothing else to check it: pbft evidence verify.",
     .options = {GROUP_OPTION},
     .run = export_run},
    {.noun = "evidence",
     .verb = "verify",
     .words = "FILE",
     .words_min = 1,
     .words_max = 1,
     .summary = "Checks an exported record offline, and says what it proves.",
     .details =
         "Exit code 0 and a sentence that names the member, the view, the sequence and both digests (a CHECKPOINT\n"
         "has no view, a VIEW-CHANGE no sequence, and a bad certificate one digest); 1 when it proves nothing, 4 when\n"
         "a file cannot be read.",
     .options = {GROUP_OPTION},
     .run = verify_run},
};

const struct cli_table cli_evidence_table = {.commands = evidence_commands,
                                             .count = sizeof evidence_commands / sizeof evidence_commands[0]};
