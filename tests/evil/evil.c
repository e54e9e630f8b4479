/* evil.c - orders, and what behaviours have in common. */
#include "tests/evil/evil.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* Of a process: nothing of them is in the core's words. */
static const struct evil_behaviour process_behaviours[] = {
    {"trickle", "one request in each batch, one batch at a time", .primary = true, .process = true},
    {"never-reads", "reads nothing that members send", .process = true},
    {"slow-loris", "sends members a byte now and then, and finishes no message", .process = true},
};
static const uint32_t process_behaviour_count = sizeof process_behaviours / sizeof process_behaviours[0];

/* ---- orders ---- */

const struct evil_behaviour *evil_behaviour_at(uint32_t index)
{
    if (index < evil_primary_behaviour_count) return &evil_primary_behaviours[index];
    index -= evil_primary_behaviour_count;
    if (index < evil_backup_behaviour_count) return &evil_backup_behaviours[index];
    index -= evil_backup_behaviour_count;
    if (index < evil_liar_behaviour_count) return &evil_liar_behaviours[index];
    index -= evil_liar_behaviour_count;
    return index < process_behaviour_count ? &process_behaviours[index] : NULL;
}

static const struct evil_behaviour *find(const char *name, size_t len)
{
    const struct evil_behaviour *b;
    for (uint32_t i = 0; (b = evil_behaviour_at(i)) != NULL; i++)
        if (strlen(b->name) == len && memcmp(b->name, name, len) == 0) return b;
    return NULL;
}

/* "=N" behind the word; moves *at behind it. */
static bool take_number(const char **at, const char *word, uint64_t most, uint64_t *out)
{
    const size_t len = strlen(word);
    char *end;
    if (strncmp(*at, word, len) != 0 || (*at)[len] < '0' || (*at)[len] > '9') return false;
    *out = strtoull(*at + len, &end, 10);
    *at = end;
    return *out <= most;
}

static bool take_word(const char **at, const char *word)
{
    const size_t len = strlen(word);
    if (strncmp(*at, word, len) != 0 || ((*at)[len] != '\0' && (*at)[len] != '@')) return false;
    *at += len;
    return true;
}

const char *evil_order(struct evil *e, const char *text)
{
    const char *at = strchr(text, '@');
    struct evil_order o = {.view = EVIL_ANY};
    uint64_t seconds = 0;
    if (e->order_count == EVIL_ORDERS_MAX) return "more behaviours at once than three";
    o.behaviour = find(text, at == NULL ? strlen(text) : (size_t)(at - text));
    if (o.behaviour == NULL) return "no such behaviour";
    while (at != NULL && *at != '\0') {
        if (take_number(&at, "@seq=", SEQ_MAX, &o.from_seq)) continue;
        if (take_number(&at, "@view=", VIEW_MAX, &o.view)) continue;
        if (take_word(&at, "@signal")) {
            o.on_signal = true;
            continue;
        }
        if (!take_number(&at, "@time=", 1000000000, &seconds))
            return "behind a behaviour come @seq=N, @view=V, @time=SECONDS or @signal";
        o.from_us = seconds * 1000000u;
    }
    e->orders[e->order_count++] = o;
    return NULL;
}

static bool is_due(const struct evil *e, const struct evil_order *o)
{
    if (o->on_signal && !atomic_load(&e->signalled)) return false;
    return e->begun_us != 0 && e->now_us - e->begun_us >= o->from_us;
}

/* Of what is no proposal of a primary: by the view and sequence where its core stands. */
static bool is_on(const struct evil *e, const struct evil_order *o)
{
    if (!is_due(e, o)) return false;
    if (o->behaviour->primary) return true; /* it looks by itself: evil_reigns */
    return (o->view == EVIL_ANY || o->view == e->summary.view) && e->summary.executed + 1 >= o->from_seq;
}

bool evil_is_told(const struct evil *e, const char *behaviour)
{
    for (uint32_t i = 0; i < e->order_count; i++)
        if (strcmp(e->orders[i].behaviour->name, behaviour) == 0 && is_on(e, &e->orders[i])) return true;
    return false;
}

bool evil_reigns(const struct evil *e, const struct evil_order *o, uint64_t view, uint64_t seq)
{
    return quorum_primary(&e->core.group.quorum, view) == e->core.self && (o->view == EVIL_ANY || o->view == view) &&
           seq >= o->from_seq;
}

/* ---- its life ---- */

void evil_start(struct evil *e, const struct core_config *core, struct evil_world world, uint64_t seed)
{
    e->core = *core;
    e->world = world;
    e->random = prng_of(seed);
    if (e->late == NULL) e->late = mem_zero(EVIL_LATER, sizeof *e->late);
}

void evil_end(struct evil *e)
{
    for (uint32_t i = 0; i < EVIL_HEARD; i++)
        blob_release(e->heard[i]);
    for (uint32_t i = 0; i < e->late_count; i++)
        blob_release(e->late[i].bytes);
    for (uint32_t i = 0; i < EVIL_READS; i++) {
        blob_release(e->reads[i].now);
        blob_release(e->reads[i].before);
    }
    free(e->late);
    memset(e->reads, 0, sizeof e->reads);
    memset(e->heard, 0, sizeof e->heard);
    memset(e->accepted, 0, sizeof e->accepted);
    e->late = NULL;
    e->late_count = 0;
    e->begun_us = 0;
}

bool evil_hears(struct evil *e, struct blob *bytes, const struct wire_message *m)
{
    bool heard = true;
    blob_release(e->heard[e->heard_next]);
    e->heard[e->heard_next] = blob_retain(bytes);
    e->heard_next = (e->heard_next + 1) % EVIL_HEARD;
    for (uint32_t i = 0; i < e->order_count; i++) {
        const struct evil_order *o = &e->orders[i];
        if (o->behaviour->hears != NULL && is_on(e, o) && !o->behaviour->hears(e, o, m)) heard = false;
    }
    return heard;
}

/* A primary that misbehaves does not give its view up: its own VIEW-CHANGE for the next, by which a correct one resigns, stays. */
static bool keeps_its_view(const struct evil *e, const struct evil_order *o, const struct wire_message *m)
{
    return o->behaviour->primary && m->type == WIRE_TYPE_view_change && m->view_change.sender == e->core.self &&
           m->view_change.view > 0 && evil_reigns(e, o, m->view_change.view - 1, SEQ_MAX);
}

bool evil_says(struct evil *e, uint32_t member, struct blob *bytes, bool resend)
{
    struct wire_message m;
    CHECK(wire_decode(blob_bytes(bytes), &m) == NULL); /* it is its core's own */
    const struct evil_saying s = {.member = member,
                                  .place = member > e->core.self ? member - 1 : member,
                                  .resend = resend,
                                  .bytes = bytes,
                                  .message = &m};
    for (uint32_t i = 0; i < e->order_count; i++) {
        const struct evil_order *o = &e->orders[i];
        if (!is_on(e, o)) continue;
        if (keeps_its_view(e, o, &m)) return false;
        if (o->behaviour->says == NULL || o->behaviour->says(e, o, &s)) continue;
        evil_note(e, o, member, e->summary.view);
        return false;
    }
    return true;
}

bool evil_answers(struct evil *e, uint32_t client, const struct blob *query, struct blob *bytes)
{
    struct wire_message m;
    struct wire_message q;
    CHECK(wire_decode(blob_bytes(bytes), &m) == NULL);                  /* it is its own */
    CHECK(query == NULL || wire_decode(blob_bytes(query), &q) == NULL); /* it was answered */
    const struct evil_answer a = {.client = client, .query = query == NULL ? NULL : &q.query, .message = &m};
    for (uint32_t i = 0; i < e->order_count; i++) {
        const struct evil_order *o = &e->orders[i];
        if (o->behaviour->answers == NULL || !is_on(e, o) || o->behaviour->answers(e, o, &a)) continue;
        evil_note(e, o, e->core.self, e->summary.view);
        return false;
    }
    return true;
}

static void send_due(struct evil *e)
{
    uint32_t i = 0;
    while (i < e->late_count) {
        const struct evil_late l = e->late[i];
        if (l.due_us > e->now_us) {
            i++;
            continue;
        }
        e->late_count--;
        memmove(e->late + i, e->late + i + 1, (e->late_count - i) * sizeof *e->late); /* those of one time keep their order */
        evil_send_bytes(e, l.member, l.type, l.bytes, l.resend);
        blob_release(l.bytes);
    }
}

void evil_wakes(struct evil *e, uint64_t now_us, const struct core_summary *summary)
{
    if (e->begun_us == 0) e->begun_us = now_us;
    e->now_us = now_us;
    e->summary = *summary;
    send_due(e);
    for (uint32_t i = 0; i < e->order_count; i++) {
        const struct evil_order *o = &e->orders[i];
        if (o->behaviour->wakes != NULL && summary->started && is_on(e, o)) o->behaviour->wakes(e, o);
    }
}

/* ---- for the behaviours ---- */

struct signature evil_sign(const struct evil *e, const struct wire_record *record, const void *message)
{
    return evil_sign_for(e, &e->core.group.id, record, message);
}

struct signature evil_sign_for(const struct evil *e, const struct digest *group, const struct wire_record *record,
                               const void *message)
{
    struct signature out;
    const struct digest statement = wire_record_signing_digest(group, record, message);
    e->core.sign(e->core.sign_context, &statement, &out);
    return out;
}

void evil_send_bytes(struct evil *e, uint32_t member, enum wire_type type, struct blob *bytes, bool resend)
{
    e->world.send(e->world.context, member, type, bytes, resend);
}

void evil_send(struct evil *e, uint32_t member, const struct wire_record *record, const void *message, bool resend)
{
    struct blob *bytes = wire_encode_blob(record, message);
    evil_send_bytes(e, member, (enum wire_type)record->number, bytes, resend);
    blob_release(bytes);
}

void evil_send_to_all(struct evil *e, const struct wire_record *record, const void *message)
{
    for (uint32_t id = 0; id < e->core.group.quorum.replica_count; id++)
        if (id != e->core.self) evil_send(e, id, record, message, false);
}

void evil_tell(struct evil *e, uint32_t client, const struct wire_record *record, const void *message)
{
    struct blob *bytes = wire_encode_blob(record, message);
    e->world.tell(e->world.context, client, (enum wire_type)record->number, bytes);
    blob_release(bytes);
}

void evil_send_later(struct evil *e, const struct evil_saying *s, uint64_t delay_us)
{
    if (e->late_count == EVIL_LATER) return;
    e->late[e->late_count++] = (struct evil_late){.due_us = e->now_us + delay_us,
                                                  .member = s->member,
                                                  .type = s->message->type,
                                                  .resend = s->resend,
                                                  .bytes = blob_retain(s->bytes)};
}

void evil_note(struct evil *e, const struct evil_order *o, uint32_t member, uint64_t view)
{
    if (e->world.note != NULL) e->world.note(e->world.context, o->behaviour->name, member, view);
}

bool evil_is_time(struct evil *e, uint64_t every_us)
{
    if (e->woken_us != 0 && e->now_us - e->woken_us < every_us) return false;
    e->woken_us = e->now_us;
    return true;
}
