/* cli_check.c - ledger check: faults on stderr, a line each, and a summary on stdout. What is checked, and what a
 * repair arranges, is decided in ledger/ledger_check.h.
 */
#include "client/cli_check.h"

#include "base/check.h"
#include "client/cli_common.h"
#include "client/cli_group.h"
#include "client/cli_progress.h"
#include "ledger/ledger_check.h"

#include <inttypes.h>
#include <stdlib.h>

#define FAULTS_SHOWN 20u

struct checking {
    const char *dir;
    struct wire_store_identity identity;
    struct cli_group group;
    struct cli_progress progress;
    uint64_t faults;
    bool state_broken; /* its pages are damaged */
};

/* ---- while it runs ---- */

static void show_fault(void *context, const struct ledger_fault *fault)
{
    struct checking *c = context;
    if (c->faults++ >= FAULTS_SHOWN) return;
    cli_progress_end(&c->progress);
    (void)fprintf(stderr, "%s\n", fault->text);
}

static void show_progress(void *context, uint64_t done, uint64_t total)
{
    struct checking *c = context;
    c->progress.total = total;
    cli_progress_show(&c->progress, done);
}

static struct err open_reader(struct checking *c, const char *home, struct data_dir *out)
{
    ERR_TRY(data_dir_open_reader_whole(c->dir, out, &c->identity));
    if (digest_equal(&c->identity.group, &c->group.group->id) && c->identity.replica < c->group.group->member_count)
        return err_none();
    data_dir_close(out);
    return err_make(ERR_CONFIG,
                    "%s belongs to another group than %s/group.json; give the directory of its group file with --home",
                    c->dir, home);
}

/* ---- the summary ---- */

static uint64_t missing(const struct ledger_check_result *r)
{
    return r->missing_low == 0 ? 0 : r->missing_high - r->missing_low + 1;
}

static void print_table(const struct checking *c, const struct ledger_check_result *r)
{
    (void)printf("replica         %" PRIu64 "\n", c->identity.replica);
    (void)printf("blocks          %" PRIu64 " checked, the highest is %" PRIu64 "\n", r->blocks, r->last);
    (void)printf("entries         %" PRIu64 "\n", r->entries);
    (void)printf("history         computed anew for %" PRIu64 " of these blocks\n", r->history);
    if (r->missing_low > 0)
        (void)printf("missing blocks  %" PRIu64 ": %" PRIu64 " to %" PRIu64 "\n", missing(r), r->missing_low,
                     r->missing_high);
    else
        (void)printf("missing blocks  0\n");
    if (r->prepared > 0)
        (void)printf("prepared        %" PRIu64
                     " above the highest block: they may have been decided, and stand in no block here\n",
                     r->prepared);
    (void)printf("stable          %" PRIu64 "\n", r->stable);
    if (c->state_broken)
        (void)printf("state           not checked: its pages are damaged\n");
    else if (r->damaged)
        (void)printf("state           known to be damaged, so not checked: it is repaired from the others when the replica runs\n");
    else if (r->between)
        (void)printf("state           between two checkpoints\nkeys            %" PRIu64 "\n", r->keys);
    else
        (void)printf("state           at checkpoint %" PRIu64 "\nkeys            %" PRIu64 "\n", r->base, r->keys);
    (void)printf("faults          %" PRIu64 "\n", r->faults);
}

static void set(json_t *object, const char *name, uint64_t value)
{
    CHECK(json_object_set_new(object, name, json_integer((json_int_t)value)) == 0);
}

static json_t *range_json(uint64_t low, uint64_t high)
{
    if (low == 0) return json_null();
    return json_pack("{s:I, s:I}", "low", (json_int_t)low, "high", (json_int_t)high);
}

static json_t *repair_json(const struct ledger_repair *done)
{
    json_t *out = json_object();
    CHECK(json_object_set_new(out, "state", json_boolean(done->state)) == 0);
    CHECK(json_object_set_new(out, "fetched", range_json(done->gap_low, done->gap_high)) == 0);
    set(out, "executed_again_from", done->deleted_from);
    set(out, "records", done->records);
    set(out, "votes", done->votes);
    return out;
}

/* done: NULL without --repair. */
static void print_json(const struct checking *c, const struct ledger_check_result *r, const struct ledger_repair *done)
{
    json_t *out = json_object();
    set(out, "replica", c->identity.replica);
    set(out, "blocks", r->blocks);
    set(out, "last", r->last);
    set(out, "entries", r->entries);
    set(out, "history", r->history);
    set(out, "missing_count", missing(r));
    CHECK(json_object_set_new(out, "missing", range_json(r->missing_low, r->missing_high)) == 0);
    set(out, "prepared", r->prepared);
    set(out, "stable", r->stable);
    CHECK(json_object_set_new(out, "between_checkpoints", json_boolean(r->between)) == 0);
    CHECK(json_object_set_new(out, "state_damaged", json_boolean(r->damaged)) == 0);
    set(out, "state", r->base);
    set(out, "keys", r->keys);
    set(out, "faults", r->faults);
    if (done != NULL) CHECK(json_object_set_new(out, "arranged", repair_json(done)) == 0);
    cli_json_print(out);
}

static void print_more(const struct checking *c)
{
    if (c->faults > FAULTS_SHOWN)
        (void)fprintf(stderr, "and %" PRIu64 " more fault%s\n", c->faults - FAULTS_SHOWN,
                      plural(c->faults - FAULTS_SHOWN));
}

/* ---- the command ---- */

static struct ledger_check check_of(struct checking *c, const struct data_dir *d)
{
    c->progress = cli_progress_start(0, 0);
    c->progress.what = "blocks";
    return (struct ledger_check){.log = d->log,
                                 .state = d->state,
                                 .group = c->group.group,
                                 .wire = &c->group.wire,
                                 .self = (uint32_t)c->identity.replica,
                                 .checker = signature_checker_plain(),
                                 .fault = show_fault,
                                 .progress = show_progress,
                                 .context = c};
}

static struct err check(struct checking *c, const struct cli_globals *globals, const struct data_dir *d)
{
    struct ledger_check_result r;
    const struct ledger_check in = check_of(c, d);
    const struct err e = ledger_check_run(&in, &r);
    cli_progress_end(&c->progress);
    print_more(c);
    if (err_is(&e)) return e;
    r.faults += c->state_broken;
    if (globals->json)
        print_json(c, &r, NULL);
    else
        print_table(c, &r);
    if (r.faults > 0)
        return err_make(ERR_CORRUPT,
                        "%s has %" PRIu64
                        " fault%s; stop the replica, and let it repair itself from the others: pbft ledger "
                        "check %s --repair",
                        c->dir, r.faults, plural(r.faults), c->dir);
    if (r.between)
        return err_make(ERR_NEGATIVE,
                        "nothing is wrong, but the state is between two checkpoints: the replica takes it from the "
                        "others while it runs");
    if (r.missing_low > 0)
        return err_make(ERR_NEGATIVE,
                        "nothing is wrong, but %" PRIu64 " blocks are missing: the replica fetches them in the "
                        "background while it runs",
                        missing(&r));
    return err_none();
}

static void print_arranged(const struct checking *c, const struct ledger_repair *done)
{
    const uint64_t id = c->identity.replica;
    if (c->state_broken)
        (void)printf("arranged        the state, whose pages were damaged, is an empty one now, and is taken from the others\n");
    else if (done->state)
        (void)printf("arranged        the state is compared with the others', and what differs taken from them\n");
    if (done->gap_low > 0)
        (void)printf("arranged        blocks %" PRIu64 " to %" PRIu64 " are fetched from the others, newest first\n",
                     done->gap_low, done->gap_high);
    if (done->deleted_from > 0)
        (void)printf("arranged        blocks from %" PRIu64 " on are fetched from the others, and executed again\n",
                     done->deleted_from);
    if (done->records > 0)
        (void)printf("arranged        %" PRIu64 " damaged record%s put right or removed\n", done->records,
                     plural(done->records));
    if (done->votes > 0)
        (void)printf("votes           %" PRIu64
                     " damaged record%s: the replica follows without a vote for a while after its start\n",
                     done->votes, plural(done->votes));
    (void)printf("next            start replica %" PRIu64 " (of a devnet: pbft devnet start %" PRIu64
                 "), and when it has caught up: pbft ledger check %s\n",
                 id, id, c->dir);
}

static struct err repair(struct checking *c, const struct cli_globals *globals)
{
    struct data_dir d;
    struct ledger_check_result r;
    struct ledger_repair done;
    if (c->group.group->member_count == 1)
        return err_make(ERR_CONFIG, "a group of one replica has nobody to repair from; restore %s from a copy", c->dir);
    if (c->state_broken) ERR_TRY(data_dir_renew_state(c->dir, c->group.group));
    ERR_TRY(data_dir_open(c->dir, c->group.group, (uint32_t)c->identity.replica, &d));
    const struct ledger_check in = check_of(c, &d);
    const struct err e = ledger_repair(&in, &r, &done);
    cli_progress_end(&c->progress);
    print_more(c);
    data_dir_close(&d);
    if (err_is(&e)) return e;
    r.faults += c->state_broken;
    done.state = done.state || c->state_broken;
    if (globals->json) {
        print_json(c, &r, &done);
        return err_none();
    }
    print_table(c, &r);
    print_arranged(c, &done);
    return err_none();
}

static void note_state_fault(struct checking *c, const struct err *state_fault)
{
    c->state_broken = err_is(state_fault);
    const struct ledger_fault fault = {.kind = LEDGER_FAULT_STATE, .text = state_fault->text};
    if (c->state_broken) show_fault(c, &fault);
}

struct err cli_check_run(const struct cli_call *call)
{
    const bool wants_repair = call->values[0] != NULL;
    struct checking c = {.dir = call->words[0]};
    struct data_dir d;
    struct err e = cli_group_open(call->globals->home, NULL, &c.group);
    if (!err_is(&e)) e = open_reader(&c, call->globals->home, &d);
    if (!err_is(&e)) {
        note_state_fault(&c, &d.state_fault);
        if (!wants_repair) e = check(&c, call->globals, &d);
        data_dir_close(&d);
        if (wants_repair) e = repair(&c, call->globals);
    }
    cli_group_close(&c.group);
    return e;
}
