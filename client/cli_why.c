/* cli_why.c - pbft why. It asks each replica what it waits for; it needs no quorum, and works best when there is none. */
#include "client/cli_why.h"

#include "base/check.h"
#include "client/cli_common.h"
#include "client/cli_why_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WHY_TIMEOUT_MS 2000u

enum why_option { WHY_OPTION_REPLICA };

static json_t *ids_json(const struct why_group *g, const struct pbft_replica_why *r, bool commits)
{
    json_t *out = json_array();
    for (uint32_t id = 0; id < g->quorum.replica_count; id++)
        if (commits ? r->members[id].committed : r->members[id].prepared)
            CHECK(json_array_append_new(out, json_integer((json_int_t)id)) == 0);
    return out;
}

static json_t *timer_json(uint64_t left_ms)
{
    return left_ms == PBFT_NO_TIMER ? json_null() : json_integer((json_int_t)left_ms);
}

static json_t *members_json(const struct why_group *g, const struct pbft_replica_why *r)
{
    json_t *out = json_array();
    for (uint32_t id = 0; id < g->quorum.replica_count; id++) {
        const struct pbft_why_member *m = &r->members[id];
        json_t *item = json_pack("{s:I, s:b, s:o, s:b, s:I, s:I, s:I}", "id", (json_int_t)id, "connected", m->connected,
                                 "heard_ms_ago", m->heard ? json_integer((json_int_t)m->heard_ms) : json_null(), "changing",
                                 m->changing, "executed", (json_int_t)m->executed, "view", (json_int_t)m->view,
                                 "view_change", (json_int_t)m->view_change);
        CHECK(json_array_append_new(out, item) == 0);
    }
    return out;
}

static json_t *replica_json(const struct why_group *g, uint32_t id)
{
    static const char *const phases[] = {"none", "proposed", "prepared", "committed"};
    const struct pbft_replica_why *r = &g->replicas[id];
    struct buffer text = {0};
    char digest[65];
    const enum why_verdict v = why_replica(g, id, &text);
    json_t *sentences = json_stringn((const char *)text.data, text.len);
    buffer_free(&text);
    if (!r->answered)
        return json_pack("{s:I, s:b, s:b, s:s, s:o}", "id", (json_int_t)id, "answered", 0, "connected", r->connected, "reason",
                         r->reason, "text", sentences);
    hex_encode(digest, r->digest, sizeof r->digest);
    json_t *out = json_pack("{s:I, s:b, s:b, s:s, s:s, s:o, s:I, s:b, s:I, s:I, s:I, s:s, s:s}", "id", (json_int_t)id, "answered",
                            1, "stalled", v != WHY_VERDICT_FINE, "condition", pbft_condition_name(r->condition), "reason",
                            r->reason, "text", sentences, "view", (json_int_t)r->view, "changing", r->changing, "primary",
                            (json_int_t)quorum_primary(&g->quorum, r->view), "next_primary",
                            (json_int_t)quorum_primary(&g->quorum, r->view + 1), "sequence", (json_int_t)r->seq, "phase",
                            phases[r->phase], "digest", digest);
    json_t *more = json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "prepared", ids_json(g, r, false),
                             "committed", ids_json(g, r, true), "waited_ms", (json_int_t)r->waited_ms, "idle_ms",
                             (json_int_t)r->idle_ms, "low", (json_int_t)r->low, "high", (json_int_t)r->high, "ahead",
                             (json_int_t)r->ahead, "abstain_until", (json_int_t)r->abstain_until, "custody",
                             (json_int_t)r->custody, "custody_bytes", (json_int_t)r->custody_bytes, "custody_ms",
                             (json_int_t)r->custody_ms, "peers_connected", (json_int_t)r->peers_connected);
    json_t *rest = json_pack("{s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:I, s:o, s:o, s:o}", "entered", r->entered,
                             "batch_held", r->batch_held, "batch_void", r->batch_void, "prepare_sent", r->prepare_sent,
                             "certificate_durable", r->certificate_durable, "mute", r->mute, "diverged", r->diverged,
                             "disk_full", r->disk_full, "draining", r->draining, "timeout_ms", (json_int_t)r->timeout_ms,
                             "request_timer_ms", timer_json(r->request_timer_ms), "new_view_timer_ms",
                             timer_json(r->new_view_timer_ms), "members", members_json(g, r));
    CHECK(out != NULL && more != NULL && rest != NULL);
    CHECK(json_object_update(out, more) == 0 && json_object_update(out, rest) == 0);
    json_decref(more);
    json_decref(rest);
    return out;
}

static void print_json(const struct why_group *g, uint32_t first, uint32_t end, enum why_verdict v, const struct buffer *text)
{
    json_t *list = json_array();
    for (uint32_t id = first; id < end; id++)
        CHECK(json_array_append_new(list, replica_json(g, id)) == 0);
    cli_json_print(json_pack("{s:s, s:o, s:I, s:I, s:I, s:o}", "verdict", why_verdict_name(v), "text",
                             json_stringn((const char *)text->data, text->len), "replica_count",
                             (json_int_t)g->quorum.replica_count, "faulty_max", (json_int_t)g->quorum.faulty_max, "quorum",
                             (json_int_t)g->quorum.quorum, "replicas", list));
}

static void print_lines(const char *indent, const struct buffer *text)
{
    size_t at = 0;
    while (at < text->len) {
        const uint8_t *end = memchr(text->data + at, '\n', text->len - at);
        const size_t len = end == NULL ? text->len - at : (size_t)(end - (text->data + at));
        (void)printf("%s%.*s\n", indent, (int)len, (const char *)text->data + at);
        at += len + 1;
    }
}

static void print_text(const struct why_group *g, uint32_t first, uint32_t end, bool one, const struct buffer *text)
{
    if (!one) print_lines("", text);
    for (uint32_t id = first; id < end; id++) {
        struct buffer sentences = {0};
        (void)why_replica(g, id, &sentences);
        (void)printf("%sreplica %u\n", one ? "" : "\n", id);
        print_lines("    ", &sentences);
        buffer_free(&sentences);
    }
}

static struct err verdict_error(enum why_verdict v, bool one)
{
    switch (v) {
    case WHY_VERDICT_FINE: return err_none();
    case WHY_VERDICT_STALLED:
        return err_make(ERR_NEGATIVE, one ? "this replica is stalled" : "something is stalled; the sentences above say what waits for what");
    case WHY_VERDICT_NO_QUORUM: break;
    }
    return err_make(ERR_TIMEOUT, one ? "this replica does not answer" : "fewer replicas than a quorum answer");
}

static struct err why_run(const struct cli_call *call)
{
    struct pbft_client *c;
    uint64_t chosen = 0;
    const bool one = call->values[WHY_OPTION_REPLICA] != NULL;
    const uint64_t timeout_ms = call->globals->timeout_ms > 0 ? call->globals->timeout_ms : WHY_TIMEOUT_MS;
    ERR_TRY(cli_client_open(call->globals, CLI_ACCESS_STATUS, timeout_ms, &c));
    const uint32_t count = pbft_replica_count(c);
    if (one) {
        const struct err e = cli_number_parse("--replica", call->values[WHY_OPTION_REPLICA], 0, count - 1, &chosen);
        if (err_is(&e)) {
            pbft_close(c);
            return e;
        }
    }
    struct pbft_replica_why *replicas = mem_zero(count, sizeof *replicas);
    const struct pbft_error failed = pbft_why_wait(c, timeout_ms, replicas); /* none answers: the verdict says so, and why */
    (void)failed;
    pbft_close(c);
    const struct why_group g = {.quorum = quorum_of(count), .replicas = replicas};
    const uint32_t first = one ? (uint32_t)chosen : 0;
    const uint32_t end = one ? first + 1 : count;
    struct buffer text = {0};
    const enum why_verdict v = one ? why_replica(&g, first, &text) : why_group(&g, &text);
    if (call->globals->json)
        print_json(&g, first, end, v, &text);
    else
        print_text(&g, first, end, one, &text);
    buffer_free(&text);
    free(replicas);
    return verdict_error(v, one);
}

static const struct cli_command why_commands[] = {
    {.verb = "why",
     .words = "",
     .summary = "Explains what the group waits for: who voted, who is missing, which timers run.",
     .details = "It asks each replica and needs no quorum. Exit code 1 when something is stalled, 3 when fewer replicas\n"
                "than a quorum answer.",
     .options = {[WHY_OPTION_REPLICA] = {.name = "replica", .value = "ID", .help = "this one only"}},
     .run = why_run},
};

const struct cli_table cli_why_table = {.commands = why_commands, .count = sizeof why_commands / sizeof why_commands[0]};
