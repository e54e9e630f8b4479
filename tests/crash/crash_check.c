/* crash_check.c - an image is started and questioned. */
#include "tests/crash/crash_check.h"

#include "base/check.h"
#include "ledger/ledger_check.h"
#include "ledger/state_transfer.h"
#include "replica/run/recovery.h"
#include "tests/crash/crash_provoke.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* One started image. */
struct started {
    const struct crash_room *room;
    const struct promises *promises;
    struct data_dir dir;
    struct executor *executor;
    struct recovery recovery;
    bool thorough;
};

static bool check_signature(void *context, struct verify_item *item)
{
    return verify_cache_check(context, item);
}

#define BROKEN(...) err_make(ERR_CORRUPT, __VA_ARGS__)

/* ---- votes: design.md 7.1, 7.2, 7.3, 7.5 ---- */

static const struct core_recovered_slot *certificate_at(const struct core_recovered *r, uint64_t seq)
{
    const struct core_recovered_slot *best = NULL;
    for (uint32_t i = 0; i < r->slot_count; i++) {
        const struct core_recovered_slot *s = &r->slots[i];
        if (s->seq == seq && s->certificate && (best == NULL || s->prepared.view > best->prepared.view)) best = s;
    }
    return best;
}

static struct err check_commit(const struct core_recovered *r, const struct promise_vote *v)
{
    const struct core_recovered_slot *s = certificate_at(r, v->seq);
    if (s == NULL || s->prepared.view < v->view)
        return BROKEN("COMMIT(%" PRIu64 ", %" PRIu64 ") was sent, and its prepared certificate is not there", v->view,
                      v->seq);
    if (s->prepared.view == v->view && !digest_equal(&s->digest, &v->digest))
        return BROKEN("COMMIT(%" PRIu64 ", %" PRIu64 ") was sent for another digest than that certificate's", v->view,
                      v->seq);
    if (s->batch == NULL)
        return BROKEN("COMMIT(%" PRIu64 ", %" PRIu64 ") was sent, and its batch is not there", v->view, v->seq);
    return err_none();
}

/* The mark of a clean stop says that every vote is here. */
static struct err check_clean(const struct core_recovered *r, const struct promise_vote *v)
{
    for (uint32_t i = 0; i < r->slot_count; i++) {
        const struct core_recovered_slot *s = &r->slots[i];
        const bool of_view = s->accepted || (s->certificate && s->prepared.view == v->view);
        if (s->seq == v->seq && of_view && digest_equal(&s->digest, &v->digest)) return err_none();
    }
    return BROKEN("the stop counts as clean, and the vote (%" PRIu64 ", %" PRIu64 ") is not there", v->view, v->seq);
}

static struct err check_vote(const struct core_recovered *r, const struct promise_vote *v)
{
    if (v->view > r->view || (v->view == r->view && r->view_change != NULL))
        return BROKEN("a vote (%" PRIu64 ", %" PRIu64 ") was sent, and that its view was entered is not there", v->view,
                      v->seq);
    if (v->seq > r->stable.seq + WINDOW_BATCHES)
        return BROKEN("a vote (%" PRIu64 ", %" PRIu64 ") is above the high watermark of the stable checkpoint %" PRIu64,
                      v->view, v->seq, r->stable.seq);
    if (v->seq <= r->stable.seq) return err_none();
    if (v->committed) ERR_TRY(check_commit(r, v));
    if (v->view == r->view && r->clean && (v->proposed || v->prepared)) return check_clean(r, v);
    return err_none();
}

/* ---- VIEW-CHANGE, NEW-VIEW, CHECKPOINT: design.md 7.1, 7.7 ---- */

static struct err check_checkpoint(struct started *s, const struct wire_checkpoint *m)
{
    struct wire_stored_block block;
    if (s->recovery.recovered.executed < m->seq)
        return BROKEN("CHECKPOINT(%" PRIu64 ") was sent, and the blocks end at %" PRIu64, m->seq,
                      s->recovery.recovered.executed);
    ERR_TRY(log_get_block(s->dir.log, m->seq, &block));
    const struct digest hash = header_hash(&block.header);
    if (!digest_equal(&hash, &m->header_hash))
        return BROKEN("CHECKPOINT(%" PRIu64 ") was sent for another block", m->seq);
    return err_none();
}

/* design.md 7.1: the message with the batches of its P. */
static struct err check_claims(const struct core_recovered *r, const struct blob *view_change)
{
    struct wire_message m;
    struct wire_vote_certificate claim;
    CHECK(wire_decode(blob_bytes(view_change), &m) == NULL);
    struct wire_iterator i = wire_list_start(m.view_change.prepared);
    while (wire_list_next(&i, &wire_record_vote_certificate, &claim)) {
        const struct core_recovered_slot *s = certificate_at(r, claim.seq);
        if (claim.seq <= r->stable.seq || (s != NULL && s->prepared.view >= claim.view && s->batch != NULL)) continue;
        return BROKEN("VIEW-CHANGE(%" PRIu64 ") was sent with a certificate of %" PRIu64 " that is not there",
                      m.view_change.view, claim.seq);
    }
    return err_none();
}

static bool holds(const struct blob *stored, const struct blob *sent)
{
    return stored != NULL && bytes_equal(blob_bytes(stored), blob_bytes(sent));
}

static struct err check_statement(struct started *s, const struct promise_statement *x)
{
    const struct core_recovered *r = &s->recovery.recovered;
    if (x->type == WIRE_TYPE_checkpoint) return check_checkpoint(s, &x->checkpoint);
    if (x->type == WIRE_TYPE_view_change) ERR_TRY(check_claims(r, x->bytes));
    if (r->view > x->number) return err_none();
    if (r->view < x->number)
        return BROKEN("%s(%" PRIu64 ") was sent, and the record is of view %" PRIu64, wire_type_name(x->type),
                      x->number, r->view);
    if (x->type == WIRE_TYPE_new_view)
        return r->view_change == NULL && holds(r->new_view, x->bytes)
                   ? err_none()
                   : BROKEN("NEW-VIEW(%" PRIu64 ") was sent, and is not there", x->number);
    if (r->view_change != NULL && !holds(r->view_change, x->bytes))
        return BROKEN("VIEW-CHANGE(%" PRIu64 ") was sent, and another one is there", x->number);
    return err_none();
}

static struct err check_promises(struct started *s)
{
    const struct promises *p = s->promises;
    const struct core_recovered *r = &s->recovery.recovered;
    if (p->contradiction[0] != '\0') return BROKEN("%s", p->contradiction);
    if (r->damaged) return BROKEN("a record of a vote is damaged");
    if (r->view > 0 && r->view_change == NULL && r->new_view == NULL)
        return BROKEN("view %" PRIu64 " was entered without its NEW-VIEW", r->view);
    for (uint32_t i = 0; i < p->vote_count; i++)
        ERR_TRY(check_vote(r, &p->votes[i]));
    for (uint32_t i = 0; i < p->statement_count; i++)
        ERR_TRY(check_statement(s, &p->statements[i]));
    return err_none();
}

/* ---- starting ---- */

/* A directory whose log has no name yet is one that init did not finish. */
static struct err finish_init(const struct crash_room *room, const char *dir)
{
    char log[PATH_MAX];
    (void)snprintf(log, sizeof log, "%s/log", dir);
    if (access(log, F_OK) == 0) return err_none();
    const struct err e = data_dir_init(dir, room->group, room->self, true);
    return err_is(&e) ? err_wrap(e, "init does not finish") : e;
}

/* A power loss damages nothing, wherever a state transfer was. */
static void note_fault(void *context, const struct ledger_fault *fault)
{
    struct err *first = context;
    if (!err_is(first)) *first = BROKEN("pbft ledger check would find: %s", fault->text);
}

static struct err check_ledger(struct started *s)
{
    struct err first = err_none();
    struct ledger_check_result result;
    const struct ledger_check check = {.log = s->dir.log,
                                       .state = s->dir.state,
                                       .group = s->room->group,
                                       .wire = &s->room->wire,
                                       .self = s->room->self,
                                       .checker = {.check = check_signature, .context = s->room->cache},
                                       .fault = note_fault,
                                       .context = &first};
    ERR_TRY(ledger_check_run(&check, &result));
    if (!err_is(&first) && result.damaged) return BROKEN("the state is marked as damaged");
    return first;
}

static struct err run(struct started *s, const char *dir)
{
    const struct crash_room *room = s->room;
    const struct signature_checker checker = {.check = check_signature, .context = room->cache};
    ERR_TRY(finish_init(room, dir));
    ERR_TRY(data_dir_open(dir, room->group, room->self, &s->dir));
    if (!state_is_walking(s->dir.state)) ERR_TRY(executor_open(s->dir.state, room->group, &s->executor));
    ERR_TRY(recovery_run(&s->dir, s->executor, &room->wire, checker, room->self, room->group->client_count, &s->recovery));
    ERR_TRY(check_promises(s));
    if (s->thorough || s->executor == NULL) ERR_TRY(check_ledger(s));
    return crash_provoke(room, &s->recovery.recovered, s->promises);
}

struct err crash_check(const struct crash_room *room, const char *dir, const struct promises *p, bool thorough)
{
    struct started s = {.room = room, .promises = p, .dir.lock_fd = -1, .thorough = thorough};
    const struct err e = run(&s, dir);
    recovery_free(&s.recovery);
    if (s.executor != NULL) executor_close(s.executor);
    data_dir_close(&s.dir);
    return e;
}
