/* viewchange.c - collecting VIEW-CHANGEs and NEW-VIEWs, the join rule, choosing V, the back-off. The rule that makes O
 * of V is in viewchange_plan.c. */
#include "viewchange/viewchange.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define NOBODY UINT32_MAX

struct offered {
    struct blob *blob; /* NULL: none */
    uint64_t view;
};

struct kept {
    struct blob *blob; /* NULL: none */
    struct digest id;
};

struct viewchange {
    struct quorum quorum;
    uint32_t self;
    struct viewchange_message *latest; /* by member */
    struct offered *offered;           /* NEW-VIEWs by sender */
    uint32_t candidate;                /* the sender whose NEW-VIEW is looked at, or NOBODY */
    uint64_t candidate_number;
    bool rotated;                      /* the candidate was chosen by rotation: a lower view does not take its place */
    struct viewchange_message *named;  /* by member: what the candidate names, as far as it is here */
    struct kept *kept;                 /* by member: V of the view entered */
    bool *wanted;                      /* by member: named by the candidate */
    struct digest *wanted_id;
    struct blob *rejected; /* the candidate that viewchange_resolve rejected last, which its caller may still look at */
};
/* A new field goes into viewchange_image too. */
_Static_assert(sizeof(void *) != 8 || sizeof(struct viewchange) == 104, "viewchange_image knows every field");

struct viewchange *viewchange_new(const struct quorum *q, uint32_t self)
{
    struct viewchange *v = mem_zero(1, sizeof *v);
    v->quorum = *q;
    v->self = self;
    v->latest = mem_zero(q->replica_count, sizeof *v->latest);
    v->offered = mem_zero(q->replica_count, sizeof *v->offered);
    v->named = mem_zero(q->replica_count, sizeof *v->named);
    v->kept = mem_zero(q->replica_count, sizeof *v->kept);
    v->wanted = mem_zero(q->replica_count, sizeof *v->wanted);
    v->wanted_id = mem_zero(q->replica_count, sizeof *v->wanted_id);
    v->candidate = NOBODY;
    return v;
}

void viewchange_free(struct viewchange *v)
{
    if (v == NULL) return;
    for (uint32_t i = 0; i < v->quorum.replica_count; i++) {
        blob_release(v->latest[i].blob);
        blob_release(v->named[i].blob);
        blob_release(v->offered[i].blob);
        blob_release(v->kept[i].blob);
    }
    blob_release(v->rejected);
    free(v->kept);
    free(v->latest);
    free(v->offered);
    free(v->named);
    free(v->wanted);
    free(v->wanted_id);
    free(v);
}

/* ---- VIEW-CHANGE ---- */

static void message_copy(struct viewchange_message *to, const struct viewchange_message *from)
{
    blob_release(to->blob);
    *to = *from;
    (void)blob_retain(to->blob);
}

const char *viewchange_add(struct viewchange *v, struct blob *blob, const struct digest *id,
                           const struct wire_view_change *m, const uint64_t *good)
{
    CHECK_OP(m->sender, <, v->quorum.replica_count);
    struct viewchange_message *latest = &v->latest[m->sender];
    struct viewchange_message *named = &v->named[m->sender];
    const bool newer = latest->blob == NULL || m->view > latest->view;
    const bool wanted = v->wanted[m->sender] && named->blob == NULL && digest_equal(&v->wanted_id[m->sender], id);
    if (!newer && !wanted) return "this member's VIEW-CHANGE is known already, or a newer one is";
    struct viewchange_message *to = newer ? latest : named;
    viewchange_read(blob, id, m, good, to);
    if (newer && wanted) message_copy(named, latest);
    return NULL;
}

const struct viewchange_message *viewchange_latest(const struct viewchange *v, uint32_t member)
{
    return &v->latest[member];
}

struct blob *viewchange_find(const struct viewchange *v, uint32_t member, const struct digest *id)
{
    const struct viewchange_message *latest = &v->latest[member];
    const struct viewchange_message *named = &v->named[member];
    if (latest->blob != NULL && digest_equal(&latest->id, id)) return latest->blob;
    if (named->blob != NULL && digest_equal(&named->id, id)) return named->blob;
    if (v->kept[member].blob != NULL && digest_equal(&v->kept[member].id, id)) return v->kept[member].blob;
    return NULL;
}

uint64_t viewchange_join(const struct viewchange *v, uint64_t view)
{
    struct replica_set ahead = {0};
    uint64_t smallest = 0;
    for (uint32_t id = 0; id < v->quorum.replica_count; id++) {
        const struct viewchange_message *m = &v->latest[id];
        if (id == v->self || m->blob == NULL || m->view <= view) continue;
        replica_set_add(&ahead, id);
        if (smallest == 0 || m->view < smallest) smallest = m->view;
    }
    return replica_set_count(&ahead) >= v->quorum.weak ? smallest : 0;
}

static bool asks_for(const struct viewchange *v, uint32_t member, uint64_t view)
{
    return v->latest[member].blob != NULL && v->latest[member].view == view;
}

uint32_t viewchange_count(const struct viewchange *v, uint64_t view)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < v->quorum.replica_count; id++)
        if (v->latest[id].blob != NULL && v->latest[id].view >= view) count++;
    return count;
}

/* ---- choosing V ---- */

/* V: the own message and the first Q-1 others of the set, ids ascending. */
static void plan_first(const struct viewchange *v, uint64_t view, const struct replica_set *from,
                       struct viewchange_plan *out)
{
    const struct viewchange_message *messages[REPLICAS_MAX];
    uint32_t members[REPLICAS_MAX];
    uint32_t count = 0;
    bool own = false;
    for (uint32_t id = 0; id < v->quorum.replica_count && count < v->quorum.quorum; id++) {
        if (!replica_set_has(from, id)) continue;
        if (id == v->self) own = true;
        if (!own && count == v->quorum.quorum - 1) continue; /* the last place is the own one's */
        messages[count] = &v->latest[id];
        members[count++] = id;
    }
    CHECK_OP(count, ==, v->quorum.quorum);
    CHECK(own);
    viewchange_plan_of(view, messages, members, count, out);
}

/* Takes those members of the plan whose certificate made `digest` win at seq out of the set. */
static void leave_out(const struct viewchange *v, const struct viewchange_plan *plan, uint64_t seq,
                      const struct digest *digest, struct replica_set *from)
{
    for (uint32_t i = 0; i < plan->member_count; i++) {
        const struct viewchange_message *m = &v->latest[plan->members[i]];
        const struct viewchange_claim *c = &m->claims[seq % WINDOW_BATCHES];
        if (seq > m->low + WINDOW_BATCHES) continue; /* its slot is of another n */
        if (plan->members[i] != v->self && c->present && digest_equal(&c->digest, digest))
            replica_set_remove(from, plan->members[i]);
    }
}

static void add_missing(struct viewchange_missing *missing, uint32_t *count, uint64_t seq, const struct digest *digest)
{
    for (uint32_t i = 0; i < *count; i++)
        if (missing[i].seq == seq && digest_equal(&missing[i].digest, digest)) return;
    if (*count < WINDOW_BATCHES) missing[(*count)++] = (struct viewchange_missing){.seq = seq, .digest = *digest};
}

bool viewchange_build(const struct viewchange *v, uint64_t view,
                      bool (*held)(void *context, uint64_t seq, const struct digest *digest), void *context,
                      struct viewchange_plan *out, struct viewchange_missing *missing, uint32_t *missing_count)
{
    const struct digest null = viewchange_null_digest();
    struct replica_set from = {0};
    *missing_count = 0;
    if (!asks_for(v, v->self, view)) return false;
    for (uint32_t id = 0; id < v->quorum.replica_count; id++)
        if (asks_for(v, id, view)) replica_set_add(&from, id);
    while (replica_set_count(&from) >= v->quorum.quorum) {
        const uint32_t before = replica_set_count(&from);
        bool all = true;
        plan_first(v, view, &from, out);
        for (uint64_t n = out->low + 1; n <= out->high; n++) {
            const struct digest *digest = &out->proposals[n - out->low - 1];
            if (digest_equal(digest, &null) || held(context, n, digest)) continue;
            all = false;
            add_missing(missing, missing_count, n, digest);
            leave_out(v, out, n, digest, &from);
        }
        if (all) return true;
        if (replica_set_count(&from) == before) return false; /* an own certificate whose batch is gone: fetch it */
    }
    return false;
}

/* ---- NEW-VIEW ---- */

const char *viewchange_offer(struct viewchange *v, struct blob *blob, const struct wire_new_view *m, uint64_t above)
{
    struct wire_iterator i = wire_list_start(m->view_changes);
    struct wire_view_change_ref ref;
    uint64_t least = 0;
    CHECK_OP(m->sender, <, v->quorum.replica_count);
    if (m->view <= above) return "a NEW-VIEW of a view that is past or entered";
    if (m->view_changes.count != v->quorum.quorum) return "a NEW-VIEW that does not name exactly Q VIEW-CHANGEs";
    while (wire_list_next(&i, &wire_record_view_change_ref, &ref)) {
        if (ref.id < least || ref.id >= v->quorum.replica_count) /* rule 3: distinct members */
            return "a NEW-VIEW whose VIEW-CHANGEs are not of distinct members, ids ascending";
        least = ref.id + 1;
    }
    struct offered *o = &v->offered[m->sender];
    if (o->view >= m->view) return "this member's NEW-VIEW is known already";
    blob_release(o->blob);
    *o = (struct offered){.blob = blob_retain(blob), .view = m->view};
    if (v->candidate == m->sender) v->candidate = NOBODY; /* another message: looked at anew */
    return NULL;
}

static void candidate_clear(struct viewchange *v)
{
    for (uint32_t id = 0; id < v->quorum.replica_count; id++) {
        blob_release(v->named[id].blob);
        v->named[id].blob = NULL;
        v->wanted[id] = false;
    }
    v->candidate = NOBODY;
}

static void candidate_set(struct viewchange *v, uint32_t sender)
{
    struct wire_message m;
    struct wire_view_change_ref ref;
    candidate_clear(v);
    v->candidate = sender;
    v->candidate_number++;
    CHECK(wire_decode(blob_bytes(v->offered[sender].blob), &m) == NULL); /* decoded when it came */
    struct wire_iterator i = wire_list_start(m.new_view.view_changes);
    while (wire_list_next(&i, &wire_record_view_change_ref, &ref)) {
        v->wanted[ref.id] = true;
        v->wanted_id[ref.id] = ref.digest;
        const struct viewchange_message *latest = &v->latest[ref.id];
        if (latest->blob != NULL && digest_equal(&latest->id, &ref.digest)) message_copy(&v->named[ref.id], latest);
    }
}

static void drop_past(struct viewchange *v, uint64_t above)
{
    for (uint32_t id = 0; id < v->quorum.replica_count; id++) {
        struct offered *o = &v->offered[id];
        if (o->blob == NULL || o->view > above) continue;
        if (v->candidate == id) candidate_clear(v);
        blob_release(o->blob);
        o->blob = NULL;
    }
}

/* The lowest view offered, unless another candidate's turn has come by rotation. */
static void choose_candidate(struct viewchange *v)
{
    uint32_t best = NOBODY;
    if (v->candidate != NOBODY && v->rotated) return;
    for (uint32_t id = 0; id < v->quorum.replica_count; id++) {
        if (v->offered[id].blob == NULL) continue;
        if (best == NOBODY || v->offered[id].view < v->offered[best].view) best = id;
    }
    v->rotated = false;
    if (best != NOBODY && best != v->candidate) candidate_set(v, best);
}

void viewchange_rotate(struct viewchange *v)
{
    const uint32_t count = v->quorum.replica_count;
    if (v->candidate == NOBODY) return;
    for (uint32_t k = 1; k < count; k++) {
        const uint32_t id = (v->candidate + k) % count;
        if (v->offered[id].blob == NULL) continue;
        candidate_set(v, id);
        v->rotated = true;
        return;
    }
}

/* Does O follow from V? NULL, or why not (rule 2). */
static const char *compare(const struct viewchange_plan *plan, const struct wire_new_view *m)
{
    struct wire_iterator i = wire_list_start(m->proposals);
    struct wire_reproposal p;
    uint64_t n = plan->low;
    if (m->proposals.count != plan->high - plan->low) return "a NEW-VIEW proposes other sequences than follow from V";
    while (wire_list_next(&i, &wire_record_reproposal, &p)) {
        n++;
        if (p.seq != n) return "a NEW-VIEW proposes other sequences than follow from V";
        if (!digest_equal(&p.digest, &plan->proposals[n - plan->low - 1]))
            return "a NEW-VIEW proposes another batch than follows from V";
    }
    return NULL;
}

enum viewchange_decision viewchange_resolve(struct viewchange *v, uint64_t above, struct viewchange_plan *out,
                                            struct wire_new_view *m, const char **reason)
{
    const struct viewchange_message *messages[REPLICAS_MAX];
    uint32_t members[REPLICAS_MAX];
    uint32_t count = 0;
    struct wire_message decoded;
    blob_release(v->rejected);
    v->rejected = NULL;
    drop_past(v, above);
    choose_candidate(v);
    if (v->candidate == NOBODY) return VIEWCHANGE_WAIT;
    CHECK(wire_decode(blob_bytes(v->offered[v->candidate].blob), &decoded) == NULL);
    *m = decoded.new_view;
    *reason = NULL;
    for (uint32_t id = 0; id < v->quorum.replica_count; id++) {
        if (!v->wanted[id]) continue;
        if (v->named[id].blob == NULL) return VIEWCHANGE_FETCH;
        if (v->named[id].view != m->view) *reason = "a NEW-VIEW names a VIEW-CHANGE for another view";
        messages[count] = &v->named[id];
        members[count++] = id;
    }
    if (*reason == NULL) {
        viewchange_plan_of(m->view, messages, members, count, out);
        *reason = compare(out, m);
    }
    if (*reason == NULL) return VIEWCHANGE_ENTER;
    v->rejected = v->offered[v->candidate].blob;
    v->offered[v->candidate].blob = NULL; /* its view stays known: it is not taken up again */
    candidate_clear(v);
    return VIEWCHANGE_REJECT;
}

bool viewchange_lacking(const struct viewchange *v, uint32_t member, struct digest *id)
{
    if (v->candidate == NOBODY || !v->wanted[member] || v->named[member].blob != NULL) return false;
    *id = v->wanted_id[member];
    return true;
}

uint64_t viewchange_candidate_number(const struct viewchange *v)
{
    return v->candidate_number;
}

struct blob *viewchange_candidate(const struct viewchange *v)
{
    return v->candidate == NOBODY ? NULL : v->offered[v->candidate].blob;
}

struct blob *viewchange_named(const struct viewchange *v, uint32_t member)
{
    return v->candidate == NOBODY ? NULL : v->named[member].blob;
}

/* ---- V of the view entered ---- */

void viewchange_restore_kept(struct viewchange *v, uint32_t member, struct blob *blob, const struct digest *id)
{
    struct kept *k = &v->kept[member];
    (void)blob_retain(blob);
    blob_release(k->blob);
    *k = (struct kept){.blob = blob, .id = *id};
}

static void kept_clear(struct viewchange *v)
{
    for (uint32_t id = 0; id < v->quorum.replica_count; id++) {
        blob_release(v->kept[id].blob);
        v->kept[id].blob = NULL;
    }
}

void viewchange_keep_built(struct viewchange *v, const struct viewchange_plan *plan)
{
    kept_clear(v);
    for (uint32_t i = 0; i < plan->member_count; i++) {
        const struct viewchange_message *m = &v->latest[plan->members[i]];
        viewchange_restore_kept(v, plan->members[i], m->blob, &m->id);
    }
}

void viewchange_keep_candidate(struct viewchange *v)
{
    kept_clear(v);
    for (uint32_t id = 0; id < v->quorum.replica_count; id++)
        if (v->wanted[id] && v->named[id].blob != NULL)
            viewchange_restore_kept(v, id, v->named[id].blob, &v->named[id].id);
    candidate_clear(v);
}

struct blob *viewchange_kept(const struct viewchange *v, uint32_t member)
{
    return v->kept[member].blob;
}

/* ---- back-off ---- */

void viewchange_backoff_start(struct viewchange_backoff *b, uint64_t base_us, uint64_t cap_us)
{
    *b = (struct viewchange_backoff){.base_us = base_us, .cap_us = cap_us, .now_us = base_us};
}

void viewchange_backoff_failed(struct viewchange_backoff *b)
{
    b->now_us = b->now_us > b->cap_us / 2 ? b->cap_us : b->now_us * 2;
    b->executed = 0;
}

void viewchange_backoff_executed(struct viewchange_backoff *b)
{
    if (++b->executed < VIEWCHANGE_BATCHES_TO_SHRINK) return;
    b->executed = 0;
    b->now_us = b->now_us / 2 < b->base_us ? b->base_us : b->now_us / 2;
}

/* ---- the whole, written and read ---- */

static void message_image(struct viewchange_message *m, struct image *i)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < WINDOW_BATCHES; k++)
        if (m->claims[k].present) count++;
    image_blob(i, &m->blob);
    image_fixed(i, &m->id, sizeof m->id);
    image_u64(i, &m->view);
    image_u64(i, &m->low);
    image_count(i, &count, WINDOW_BATCHES);
    for (uint32_t k = 0, at = 0; k < count; k++, at++) {
        while (!i->reading && !m->claims[at].present)
            at++;
        image_count(i, &at, WINDOW_BATCHES - 1);
        m->claims[at].present = true;
        image_u64(i, &m->claims[at].view);
        image_fixed(i, &m->claims[at].digest, sizeof m->claims[at].digest);
    }
}

/* A NEW-VIEW that was read: what is looked up by it later must be in range (viewchange_offer has said so of the others). */
static void check_offered(const struct viewchange *v, const struct offered *o, struct image *i)
{
    struct wire_message m;
    struct wire_view_change_ref ref;
    if (!i->reading || o->blob == NULL) return;
    if (wire_decode(blob_bytes(o->blob), &m) != NULL || m.type != WIRE_TYPE_new_view) {
        image_fail(i, "what was offered is no NEW-VIEW");
        return;
    }
    struct wire_iterator refs = wire_list_start(m.new_view.view_changes);
    while (wire_list_next(&refs, &wire_record_view_change_ref, &ref))
        if (ref.id >= v->quorum.replica_count) image_fail(i, "a NEW-VIEW names a member that there is not");
}

void viewchange_image(struct viewchange *v, struct image *i)
{
    for (uint32_t id = 0; id < v->quorum.replica_count; id++) {
        message_image(&v->latest[id], i);
        message_image(&v->named[id], i);
        image_blob(i, &v->offered[id].blob);
        image_u64(i, &v->offered[id].view);
        check_offered(v, &v->offered[id], i);
        image_blob(i, &v->kept[id].blob);
        image_fixed(i, &v->kept[id].id, sizeof v->kept[id].id);
        image_bool(i, &v->wanted[id]);
        image_fixed(i, &v->wanted_id[id], sizeof v->wanted_id[id]);
    }
    image_u32(i, &v->candidate);
    image_u64(i, &v->candidate_number);
    image_bool(i, &v->rotated);
    if (!i->reading || v->candidate == NOBODY) return;
    if (v->candidate >= v->quorum.replica_count || v->offered[v->candidate].blob == NULL) {
        v->candidate = NOBODY;
        image_fail(i, "the candidate was offered by nobody");
    }
}

void viewchange_backoff_image(struct viewchange_backoff *b, struct image *i)
{
    image_u64(i, &b->base_us);
    image_u64(i, &b->cap_us);
    image_u64(i, &b->now_us);
    image_u32(i, &b->executed);
}
