/* cli_status.c - pbft status. One replica's word on itself: for operators, believed by nobody. */
#include "client/cli_status.h"

#include "base/check.h"
#include "client/cli_common.h"
#include "client/cli_messages.h"
#include "wire/constants.h"
#include "wire/schema.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_TIMEOUT_MS 2000u
#define MESSAGES_SECONDS 2u
#define MESSAGES_SECONDS_MAX 3600u

enum { STATUS_OPTION_MESSAGES, STATUS_OPTION_SECONDS };

bool cli_status_view(const struct pbft_client *c, const struct pbft_replica_status *replicas, uint64_t *out)
{
    const uint32_t count = pbft_replica_count(c);
    uint32_t answered = 0;
    for (uint32_t i = 0; i < count; i++)
        if (replicas[i].answered) answered++;
    if (answered == 0) return false;
    const uint32_t wanted = answered <= pbft_faulty_max(c) ? answered : pbft_faulty_max(c) + 1;
    uint64_t best = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at_least = 0;
        for (uint32_t k = 0; k < count && replicas[i].answered; k++)
            if (replicas[k].answered && replicas[k].view >= replicas[i].view) at_least++;
        if (at_least >= wanted && replicas[i].view > best) best = replicas[i].view;
    }
    *out = best;
    return true;
}

static const char *role_of(const struct pbft_replica_status *s, uint64_t view, uint32_t count)
{
    return s->id == view % count ? "primary" : "backup";
}

static json_t *messages_json(const struct pbft_replica_status *s)
{
    json_t *out = json_array();
    for (uint32_t i = 0; i < s->message_count; i++) {
        const struct pbft_message_count *m = &s->messages[i];
        json_t *item = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "type", wire_type_name(m->type), "sent",
                                 (json_int_t)m->sent, "resent", (json_int_t)m->resent, "received",
                                 (json_int_t)m->received, "sent_bytes", (json_int_t)m->sent_bytes, "resent_bytes",
                                 (json_int_t)m->resent_bytes, "received_bytes", (json_int_t)m->received_bytes);
        CHECK(json_array_append_new(out, item) == 0);
    }
    return out;
}

static json_t *replica_json(const struct pbft_replica_status *s, uint64_t view, uint32_t count)
{
    char hash[65];
    if (!s->answered)
        return json_pack("{s:I, s:b, s:b, s:s}", "id", (json_int_t)s->id, "answered", 0, "connected", s->connected,
                         "reason", s->reason);
    hex_encode(hash, s->header_hash, sizeof s->header_hash);
    json_t *out = json_pack("{s:I, s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:{s:I, s:I}, s:I, s:I}", "id", (json_int_t)s->id,
                            "answered", 1, "role", role_of(s, view, count), "condition",
                            pbft_condition_name(s->condition), "view", (json_int_t)s->view, "sequence",
                            (json_int_t)s->executed, "committed", (json_int_t)s->committed, "stable",
                            (json_int_t)s->stable, "window", "low", (json_int_t)s->stable, "high", (json_int_t)s->high,
                            "peers_connected", (json_int_t)s->peers_connected, "lag", (json_int_t)s->lag);
    json_t *more = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o}", "clients_connected",
                             (json_int_t)s->clients_connected, "entries", (json_int_t)s->entries, "custody",
                             (json_int_t)s->custody, "abstain_until", (json_int_t)s->abstain_until, "time_ms",
                             (json_int_t)s->time_ms, "cpu_us", (json_int_t)s->cpu_us, "syncs", (json_int_t)s->syncs,
                             "verified", (json_int_t)s->verified, "header_hash", hash, "messages", messages_json(s));
    CHECK(out != NULL && more != NULL && json_object_update(out, more) == 0);
    json_decref(more);
    CHECK(json_object_set_new(out, "reason", json_string(s->reason)) == 0);
    if (pbft_condition_note(s->condition)[0] != '\0')
        CHECK(json_object_set_new(out, "note", json_string(pbft_condition_note(s->condition))) == 0);
    return out;
}

static void print_json(const struct pbft_replica_status *replicas, uint64_t view, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++)
        CHECK(json_array_append_new(list, replica_json(&replicas[i], view, count)) == 0);
    cli_json_print(json_pack("{s:o}", "replicas", list));
}

static void print_table(const struct pbft_replica_status *replicas, uint64_t view, uint32_t count)
{
    (void)printf("ID  ROLE     CONDITION    VIEW  SEQUENCE  STABLE    WINDOW               PEERS  LAG\n");
    for (uint32_t i = 0; i < count; i++) {
        const struct pbft_replica_status *s = &replicas[i];
        char window[48];
        const char *advice = pbft_condition_note(s->condition);
        char note[160];
        if (!s->answered) {
            (void)printf("%-3u -        no answer: %s\n", s->id, s->reason);
            continue;
        }
        (void)snprintf(note, sizeof note, "%s%s", advice[0] == '\0' ? "" : "  ", advice);
        if (advice[0] == '\0' && s->abstain_until > s->executed)
            (void)snprintf(note, sizeof note,
                           "  abstains up to %" PRIu64 ": what it voted before its start may be forgotten",
                           s->abstain_until);
        (void)snprintf(window, sizeof window, "%" PRIu64 "..%" PRIu64, s->stable, s->high);
        (void)printf("%-3u %-8s %-12s %-5" PRIu64 " %-9" PRIu64 " %-9" PRIu64 " %-20s %-6" PRIu64 " %" PRIu64 "%s\n",
                     s->id, role_of(s, view, count), pbft_condition_name(s->condition), s->view, s->executed, s->stable,
                     window, s->peers_connected, s->lag, note);
    }
}

/* What the table has no room for: why a replica is not synced, how far it is, and how long it takes yet. */
static void print_reasons(const struct pbft_replica_status *replicas, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (replicas[i].answered && replicas[i].condition != CONDITION_SYNCED && replicas[i].reason[0] != '\0')
            (void)printf("replica %u is %s\n", replicas[i].id, replicas[i].reason);
}

static void print_status(const struct pbft_replica_status *replicas, uint64_t view, uint32_t count)
{
    print_table(replicas, view, count);
    print_reasons(replicas, count);
}

static struct err status_run(const struct cli_call *call)
{
    struct pbft_client *c;
    uint64_t view = 0;
    const uint64_t timeout_ms = call->globals->timeout_ms > 0 ? call->globals->timeout_ms : STATUS_TIMEOUT_MS;
    const char *seconds_text = call->values[STATUS_OPTION_SECONDS];
    uint64_t seconds = MESSAGES_SECONDS;
    if (seconds_text != NULL) ERR_TRY(cli_number_parse("--seconds", seconds_text, 1, MESSAGES_SECONDS_MAX, &seconds));
    if (call->values[STATUS_OPTION_MESSAGES] != NULL) return cli_messages_run(call, seconds, timeout_ms);
    if (seconds_text != NULL) return err_make(ERR_USAGE, "--seconds belongs to --messages");
    ERR_TRY(cli_client_open(call->globals, CLI_ACCESS_STATUS, timeout_ms, &c));
    const uint32_t count = pbft_replica_count(c);
    struct pbft_replica_status *replicas = mem_zero(count, sizeof *replicas);
    const struct pbft_error failed = pbft_status_wait(c, timeout_ms, replicas);
    const bool any = cli_status_view(c, replicas, &view);
    if (call->globals->json)
        print_json(replicas, view, count);
    else
        print_status(replicas, view, count);
    free(replicas);
    pbft_close(c);
    ERR_TRY(cli_error(&failed));
    return any ? err_none() : err_make(ERR_TIMEOUT, "no replica answers; pbft devnet up starts a devnet's");
}

static const struct cli_command status_commands[] = {
    {.verb = "status",
     .words = "",
     .words_min = 0,
     .words_max = 0,
     .summary = "Shows what each replica says of itself; exit code 3 when none answers.",
     .details = "Role is by the view that f+1 of them report. Below the table stands why a replica is not synced, and "
                "how far it is.\n"
                "JSON has more: message counters, first sends and re-sends apart.\n"
                "With --messages: what the batches of some seconds cost in messages, by type; all replicas together.",
     .options = {[STATUS_OPTION_MESSAGES] = {.name = "messages", .help = "messages for each batch and each operation"},
                 [STATUS_OPTION_SECONDS] = {.name = "seconds", .value = "S", .help = "over so long (default 2)"}},
     .run = status_run},
};

const struct cli_table cli_status_table = {.commands = status_commands,
                                           .count = sizeof status_commands / sizeof status_commands[0]};
