/* group_cli.c - `pbft group new`, `add`, `show` and `check`.
 *
 * A group grows on disk: `new` writes one without members, `add` reads, extends, checks and replaces the file. Only
 * `check` demands a finished one. Two people adding to one file at once lose one of the additions: whoever collects the
 * keys does it alone.
 */
#include "crypto/keyfile.h"
#include "keys/cli_verb.h"
#include "keys/group_draft.h"
#include "keys/key_cli.h"
#include "wire/quorum.h"

#include <stdio.h>
#include <string.h>

#define KEY_DIGITS (2u * PUBLIC_KEY_BYTES)

enum new_option { NEW_OPTION_NAME, NEW_OPTION_DEVELOPMENT };
enum add_option {
    ADD_OPTION_ORGANISATION,
    ADD_OPTION_SIGNING_KEY,
    ADD_OPTION_TRANSPORT_KEY,
    ADD_OPTION_ADDRESS,
    ADD_OPTION_NAME,
    ADD_OPTION_ROLE,
    ADD_OPTION_KEY
};

struct hex_text {
    char text[2 * DIGEST_BYTES + 1];
};

static struct hex_text hex_of(const uint8_t bytes[DIGEST_BYTES])
{
    struct hex_text h;
    hex_encode(h.text, bytes, DIGEST_BYTES);
    return h;
}

/* A rule that an option's value breaks is the caller's mistake, not the group's. */
static struct err option_wrong(const struct err *inner, const char *option)
{
    struct err e = err_wrap(*inner, "%s", option);
    e.code = ERR_USAGE;
    return e;
}

static struct err option_name(const char *option, const char *value, char out[NAME_BYTES_MAX])
{
    const struct err e = group_draft_name_check(value, NAME_BYTES_MAX);
    if (err_is(&e)) return option_wrong(&e, option);
    memcpy(out, value, strlen(value) + 1);
    return err_none();
}

/* 64 hexadecimal digits, or a key file. A key that is marked as one for development enters development groups only. */
static struct err option_key(const char *option, const char *value, bool group_development, struct public_key *out)
{
    struct secret_key secret;
    bool development = false;
    if (hex_decode(value, out->bytes, PUBLIC_KEY_BYTES)) {
        if (public_key_valid(out)) return err_none();
        return err_make(ERR_CONFIG, "%s: not an Ed25519 public key of prime order: ask its owner for it again", option);
    }
    const struct err e = keyfile_read_public(value, out);
    if (err_is(&e)) return err_wrap(e, "%s takes %u hexadecimal digits or a key file", option, KEY_DIGITS);
    const struct err no_secret = keyfile_read_secret(value, &secret, &development);
    secret_key_wipe(&secret);
    if (!err_is(&no_secret) && development && !group_development)
        return err_make(
            ERR_CONFIG,
            "%s: %s is a development key and this is no development group: make a key without --development", option,
            value);
    return err_none();
}

static struct err group_new_run(const struct cli_verb_call *call)
{
    struct group *g = group_new();
    struct err e = option_name("--name", call->values[NEW_OPTION_NAME], g->name);
    if (err_is(&e)) goto out;
    g->development = call->values[NEW_OPTION_DEVELOPMENT] != NULL;
    e = group_draft_seal(g);
    if (err_is(&e)) goto out;
    e = group_draft_create(call->words[0], g);
    if (err_is(&e)) goto out;
    if (call->json)
        cli_verb_print_json(json_pack("{s:s, s:b}", "name", g->name, "development", g->development ? 1 : 0));
    else
        (void)printf("group %s made, without members yet: pbft group add %s member --help\n", g->name, call->words[0]);
out:
    group_free(g);
    return e;
}

static struct err member_add(const struct cli_verb_call *call, struct group *g)
{
    char host[GROUP_ADDRESS_BYTES_MAX];
    uint16_t port;
    const char *address = call->values[ADD_OPTION_ADDRESS];
    if (g->member_count == REPLICAS_MAX)
        return err_make(ERR_LIMIT, "the group has %u members already, and more are not possible", REPLICAS_MAX);
    struct group_member *m = &g->members[g->member_count];
    m->id = g->member_count;
    ERR_TRY(option_name("--organisation", call->values[ADD_OPTION_ORGANISATION], m->organisation));
    ERR_TRY(option_key("--signing-key", call->values[ADD_OPTION_SIGNING_KEY], g->development, &m->signing_key));
    ERR_TRY(option_key("--transport-key", call->values[ADD_OPTION_TRANSPORT_KEY], g->development, &m->transport_key));
    const struct err e = address_parse(address, host, &port);
    if (err_is(&e)) return option_wrong(&e, "--address");
    memcpy(m->address, address, strlen(address) + 1);
    g->member_count++;
    return err_none();
}

static struct err client_add(const struct cli_verb_call *call, struct group *g)
{
    if (g->client_count == CLIENTS_MAX)
        return err_make(ERR_LIMIT, "the group has %u clients already, and more are not possible", CLIENTS_MAX);
    struct group_client *c = &g->clients[g->client_count];
    ERR_TRY(option_name("--name", call->values[ADD_OPTION_NAME], c->name));
    if (!group_role_parse(call->values[ADD_OPTION_ROLE], &c->role))
        return err_make(ERR_USAGE, "--role: \"%s\" is none of admin, writer, reader", call->values[ADD_OPTION_ROLE]);
    ERR_TRY(option_key("--key", call->values[ADD_OPTION_KEY], g->development, &c->key));
    g->client_count++;
    return err_none();
}

static struct err group_add_run(const struct cli_verb_call *call)
{
    const char *path = call->words[0];
    const bool member = strcmp(call->words[1], "member") == 0;
    struct group *g = NULL;
    struct err e = group_draft_read(path, &g);
    if (err_is(&e)) return e;
    e = member ? member_add(call, g) : client_add(call, g);
    if (err_is(&e)) goto out;
    e = group_draft_seal(g);
    if (err_is(&e)) goto out;
    e = group_write(path, g);
    if (err_is(&e)) goto out;
    if (call->json && member)
        cli_verb_print_json(json_pack("{s:I}", "member", (json_int_t)(g->member_count - 1)));
    else if (call->json)
        cli_verb_print_json(json_pack("{s:s}", "client", call->values[ADD_OPTION_NAME]));
    else if (member)
        (void)printf("member %u added\n", g->member_count - 1);
    else
        (void)printf("client %s added\n", call->values[ADD_OPTION_NAME]);
out:
    group_free(g);
    return e;
}

/* How many columns a text takes, taking one for each character of it. */
static uint32_t text_columns(const char *text)
{
    uint32_t columns = 0;
    for (; *text != '\0'; text++)
        if (((uint8_t)*text & 0xc0u) != 0x80u) columns++;
    return columns;
}

static void cell_print(const char *text, uint32_t columns)
{
    const uint32_t used = text_columns(text);
    (void)printf("%s%*s", text, used < columns ? (int)(columns - used) + 2 : 2, "");
}

static uint32_t columns_max(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void members_print(const struct group *g)
{
    uint32_t organisation = text_columns("ORGANISATION");
    uint32_t address = text_columns("ADDRESS");
    for (uint32_t i = 0; i < g->member_count; i++) {
        organisation = columns_max(organisation, text_columns(g->members[i].organisation));
        address = columns_max(address, text_columns(g->members[i].address));
    }
    (void)printf("\nID   ");
    cell_print("ORGANISATION", organisation);
    cell_print("ADDRESS", address);
    cell_print("SIGNING KEY", KEY_DIGITS);
    (void)printf("TRANSPORT KEY\n");
    for (uint32_t i = 0; i < g->member_count; i++) {
        const struct group_member *m = &g->members[i];
        (void)printf("%-3u  ", m->id);
        cell_print(m->organisation, organisation);
        cell_print(m->address, address);
        (void)printf("%s  %s\n", hex_of(m->signing_key.bytes).text, hex_of(m->transport_key.bytes).text);
    }
}

static void clients_print(const struct group *g)
{
    uint32_t name = text_columns("CLIENT");
    for (uint32_t i = 0; i < g->client_count; i++)
        name = columns_max(name, text_columns(g->clients[i].name));
    (void)printf("\n");
    cell_print("CLIENT", name);
    (void)printf("ROLE    KEY\n");
    for (uint32_t i = 0; i < g->client_count; i++) {
        const struct group_client *c = &g->clients[i];
        cell_print(c->name, name);
        (void)printf("%-6s  %s\n", group_role_name(c->role), hex_of(c->key.bytes).text);
    }
}

static void group_print(const struct group *g)
{
    (void)printf("name         %s\n", g->name);
    /* The id of a group that can still grow names nothing. */
    (void)printf("id           %s\n",
                 g->member_count == 0 ? "none before there are members" : hex_of(g->id.bytes).text);
    (void)printf("development  %s\n", g->development ? "yes" : "no");
    (void)printf("drift        %u ms\n", g->drift_ms);
    (void)printf("batch        at most %u requests\n", g->batch_requests_max);
    (void)printf("N            %u member%s\n", g->member_count, plural(g->member_count));
    if (g->member_count > 0) {
        const struct quorum q = quorum_of(g->member_count);
        (void)printf("f            %u may be faulty in any way\n", q.faulty_max);
        (void)printf("Q            %u make a quorum\n", q.quorum);
        members_print(g);
    }
    if (g->client_count > 0) clients_print(g);
}

/* The file's content, and what is computed from it; null where that needs members. */
static void group_print_json(const struct group *g)
{
    const bool finished = g->member_count > 0;
    const struct quorum q = finished ? quorum_of(g->member_count) : (struct quorum){0};
    json_t *content = group_draft_json(g, true);
    cli_verb_print_json(json_pack("{s:s?, s:I, s:o, s:o, s:o}", "id", finished ? hex_of(g->id.bytes).text : NULL,
                                  "replica_count", (json_int_t)g->member_count, "faulty_max",
                                  finished ? json_integer((json_int_t)q.faulty_max) : json_null(), "quorum",
                                  finished ? json_integer((json_int_t)q.quorum) : json_null(), "group", content));
}

static struct err group_show_run(const struct cli_verb_call *call)
{
    struct group *g = NULL;
    ERR_TRY(group_draft_read(call->words[0], &g));
    if (call->json)
        group_print_json(g);
    else
        group_print(g);
    group_free(g);
    return err_none();
}

static struct err group_check_run(const struct cli_verb_call *call)
{
    struct group *g = NULL;
    ERR_TRY(group_read(call->words[0], &g));
    if (call->json)
        cli_verb_print_json(json_pack("{s:b, s:s, s:s}", "good", 1, "name", g->name, "id", hex_of(g->id.bytes).text));
    else
        (void)printf("good: group %s, %u member%s, %u client%s\nid %s\n", g->name, g->member_count,
                     plural(g->member_count), g->client_count, plural(g->client_count), hex_of(g->id.bytes).text);
    group_free(g);
    return err_none();
}

static const struct cli_verb group_verbs[] = {
    {.name = "new",
     .words = {"FILE"},
     .summary = "Makes a group file without members.",
     .options = {[NEW_OPTION_NAME] = {.name = "name", .value = "NAME", .required = true, .help = "the group's name"},
                 [NEW_OPTION_DEVELOPMENT] = {.name = "development", .help = "a group for trying things out"}},
     .run = group_new_run},
    {.name = "add",
     .words = {"FILE", "member|client"},
     .kinds = {"member", "client"},
     .summary =
         "Adds a member or a client to a group that is not in use yet. A KEY is 64 hexadecimal digits or a key file.",
     .options = {[ADD_OPTION_ORGANISATION] = {"organisation", "NAME", "member", true, "who runs the replica"},
                 [ADD_OPTION_SIGNING_KEY] = {"signing-key", "KEY", "member", true, "it signs the replica's messages"},
                 [ADD_OPTION_TRANSPORT_KEY] = {"transport-key", "KEY", "member", true, "it opens its connections"},
                 [ADD_OPTION_ADDRESS] = {"address", "HOST:PORT", "member", true, "where the others reach it"},
                 [ADD_OPTION_NAME] = {"name", "NAME", "client", true, "no two clients share one"},
                 [ADD_OPTION_ROLE] = {"role", "ROLE", "client", true, "admin, writer or reader"},
                 [ADD_OPTION_KEY] = {"key", "KEY", "client", true, "it signs the client's requests"}},
     .run = group_add_run},
    {.name = "show",
     .words = {"FILE"},
     .summary = "Shows a group file: parameters, quorum, members, clients.",
     .run = group_show_run},
    {.name = "check",
     .words = {"FILE"},
     .summary = "Checks that a group file is complete and keeps every rule; prints the group's id.",
     .run = group_check_run},
};

int group_cli_main(int argc, char **argv, bool json)
{
    return cli_verb_main("group", group_verbs, sizeof group_verbs / sizeof group_verbs[0], argc, argv, json);
}
