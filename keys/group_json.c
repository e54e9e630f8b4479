/* group_json.c - the group file as text: JSON to struct group and back, reading and writing the file.
 *
 * Reading demands the one form of keys/group.h: every name present, none twice, none unknown, each value of its type
 * and short enough for its field. What the values must be is group.c's business.
 */
#include "keys/group_draft.h"

#include "base/check.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_DIGITS (2u * PUBLIC_KEY_BYTES)
#define SHOWN_BYTES_MAX 100u
#define MODE_OF_NEW 0644u /* readable by all: it holds no secret */

enum completeness { COMPLETENESS_DRAFT, COMPLETENESS_WHOLE };

static const char *const top_names[] = {"format", "name", "development", "parameters", "members", "clients", NULL};
static const char *const parameter_names[] = {"drift_ms", "batch_requests_max", NULL};
static const char *const member_names[] = {"id", "organisation", "signing_key", "transport_key", "address", NULL};
static const char *const client_names[] = {"name", "role", "key", NULL};

/* An object of the file and its place in it: "" for the whole, "members[2]". */
struct node {
    json_t *object;
    char place[32];
};

/* Text from the file as it may stand in a message: short, nothing a terminal acts on. */
struct shown {
    char text[SHOWN_BYTES_MAX];
};

static struct shown shown_of(const char *text)
{
    struct shown s;
    (void)snprintf(s.text, sizeof s.text, "%s", text);
    for (size_t i = 0; s.text[i] != '\0'; i++)
        if (s.text[i] < ' ' || s.text[i] > '~') s.text[i] = '?';
    return s;
}

static struct err field_wrong(const struct node *n, const char *name, const char *what)
{
    return err_make(ERR_CONFIG, "%s%s%s: %s", n->place, n->place[0] == '\0' ? "" : ".", name, what);
}

/* The names of an object are exactly `names`. */
static struct err names_check(const struct node *n, const char *const *names)
{
    const char *name;
    json_t *value;
    for (size_t i = 0; names[i] != NULL; i++)
        if (json_object_get(n->object, names[i]) == NULL) return field_wrong(n, names[i], "missing: add it");
    json_object_foreach(n->object, name, value)
    {
        size_t i = 0;
        while (names[i] != NULL && strcmp(names[i], name) != 0)
            i++;
        if (names[i] == NULL) return field_wrong(n, shown_of(name).text, "an unknown name: remove or correct it");
    }
    return err_none();
}

/* Each of these reads one field, which names_check has found there. */
static struct err field_text(const struct node *n, const char *name, char *out, size_t cap)
{
    const json_t *value = json_object_get(n->object, name);
    char what[64];
    if (!json_is_string(value)) return field_wrong(n, name, "must be a text in quotes");
    const size_t len = json_string_length(value);
    if (len >= cap) {
        (void)snprintf(what, sizeof what, "longer than %zu bytes: shorten it", cap - 1);
        return field_wrong(n, name, what);
    }
    memcpy(out, json_string_value(value), len + 1);
    return err_none();
}

static struct err field_number(const struct node *n, const char *name, uint32_t *out)
{
    const json_t *value = json_object_get(n->object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > UINT32_MAX)
        return field_wrong(n, name, "must be a whole number, not negative, below 2^32");
    *out = (uint32_t)json_integer_value(value);
    return err_none();
}

static struct err field_boolean(const struct node *n, const char *name, bool *out)
{
    const json_t *value = json_object_get(n->object, name);
    if (!json_is_boolean(value)) return field_wrong(n, name, "must be true or false");
    *out = json_is_true(value);
    return err_none();
}

static struct err field_key(const struct node *n, const char *name, struct public_key *out)
{
    const json_t *value = json_object_get(n->object, name);
    /* A text of the file has no NUL inside (jansson refuses it), so hex_decode sees all of it. */
    if (!json_is_string(value) || !hex_decode(json_string_value(value), out->bytes, PUBLIC_KEY_BYTES))
        return field_wrong(n, name, "must be a public key of 64 hexadecimal digits: see pbft key show");
    return err_none();
}

static struct err field_role(const struct node *n, const char *name, enum group_role *out)
{
    const json_t *value = json_object_get(n->object, name);
    if (!json_is_string(value) || !group_role_parse(json_string_value(value), out))
        return field_wrong(n, name, "must be \"admin\", \"writer\" or \"reader\"");
    return err_none();
}

static struct err field_list(const struct node *n, const char *name, size_t count_max, json_t **out)
{
    json_t *value = json_object_get(n->object, name);
    char what[64];
    if (!json_is_array(value)) return field_wrong(n, name, "must be a list");
    if (json_array_size(value) > count_max) {
        (void)snprintf(what, sizeof what, "%zu are more than %zu: remove some", json_array_size(value), count_max);
        return field_wrong(n, name, what);
    }
    *out = value;
    return err_none();
}

static struct err element_node(json_t *list, const char *list_name, uint32_t index, struct node *out)
{
    out->object = json_array_get(list, index);
    (void)snprintf(out->place, sizeof out->place, "%s[%u]", list_name, index);
    if (!json_is_object(out->object)) return err_make(ERR_CONFIG, "%s: must be an object in braces", out->place);
    return err_none();
}

static struct err parameters_decode(const struct node *top, struct group *g)
{
    struct node n = {.object = json_object_get(top->object, "parameters"), .place = "parameters"};
    if (!json_is_object(n.object)) return field_wrong(top, "parameters", "must be an object in braces");
    ERR_TRY(names_check(&n, parameter_names));
    ERR_TRY(field_number(&n, "drift_ms", &g->drift_ms));
    return field_number(&n, "batch_requests_max", &g->batch_requests_max);
}

static struct err members_decode(const struct node *top, struct group *g)
{
    json_t *list = NULL;
    struct node n;
    ERR_TRY(field_list(top, "members", REPLICAS_MAX, &list));
    for (uint32_t i = 0; i < json_array_size(list); i++) {
        struct group_member *m = &g->members[i];
        ERR_TRY(element_node(list, "members", i, &n));
        ERR_TRY(names_check(&n, member_names));
        ERR_TRY(field_number(&n, "id", &m->id));
        ERR_TRY(field_text(&n, "organisation", m->organisation, sizeof m->organisation));
        ERR_TRY(field_key(&n, "signing_key", &m->signing_key));
        ERR_TRY(field_key(&n, "transport_key", &m->transport_key));
        ERR_TRY(field_text(&n, "address", m->address, sizeof m->address));
        g->member_count++;
    }
    return err_none();
}

static struct err clients_decode(const struct node *top, struct group *g)
{
    json_t *list = NULL;
    struct node n;
    ERR_TRY(field_list(top, "clients", CLIENTS_MAX, &list));
    for (uint32_t i = 0; i < json_array_size(list); i++) {
        struct group_client *c = &g->clients[i];
        ERR_TRY(element_node(list, "clients", i, &n));
        ERR_TRY(names_check(&n, client_names));
        ERR_TRY(field_text(&n, "name", c->name, sizeof c->name));
        ERR_TRY(field_role(&n, "role", &c->role));
        ERR_TRY(field_key(&n, "key", &c->key));
        g->client_count++;
    }
    return err_none();
}

static struct err file_decode(json_t *root, struct group *g)
{
    const struct node top = {.object = root, .place = ""};
    uint32_t format = 0;
    if (!json_is_object(root)) return err_make(ERR_CONFIG, "must be one object in braces");
    /* The format first: another one may well have other names. */
    if (json_object_get(root, "format") == NULL) return field_wrong(&top, "format", "missing: is this a group file?");
    ERR_TRY(field_number(&top, "format", &format));
    if (format != GROUP_FORMAT) return field_wrong(&top, "format", "must be 1; this program reads no other");
    ERR_TRY(names_check(&top, top_names));
    ERR_TRY(field_text(&top, "name", g->name, sizeof g->name));
    ERR_TRY(field_boolean(&top, "development", &g->development));
    ERR_TRY(parameters_decode(&top, g));
    ERR_TRY(members_decode(&top, g));
    return clients_decode(&top, g);
}

static struct err parse(const char *name, struct bytes text, enum completeness completeness, struct group **out)
{
    json_error_t why;
    struct err e;
    struct group *g = NULL;
    json_t *root = NULL;
    if (text.len > FILE_BYTES_MAX)
        return err_make(ERR_CONFIG, "group file %s: longer than %u bytes: it is no group file", name, FILE_BYTES_MAX);
    root = json_loadb(text.len == 0 ? "" : (const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL)
        return err_make(ERR_CONFIG, "group file %s: line %d, column %d: %s: correct the JSON there", name, why.line,
                        why.column, shown_of(why.text).text);
    g = group_new();
    e = file_decode(root, g);
    if (!err_is(&e)) e = completeness == COMPLETENESS_DRAFT ? group_draft_seal(g) : group_seal(g);
    json_decref(root);
    if (err_is(&e)) {
        group_free(g);
        return err_wrap(e, "group file %s", name);
    }
    *out = g;
    return e;
}

struct err group_parse(const char *name, struct bytes text, struct group **out)
{
    return parse(name, text, COMPLETENESS_WHOLE, out);
}

struct err group_draft_parse(const char *name, struct bytes text, struct group **out)
{
    return parse(name, text, COMPLETENESS_DRAFT, out);
}

static struct err read_failed(const char *path, enum file_fault fault, int error_number)
{
    switch (fault) {
    case FILE_FAULT_NONE: return err_none();
    case FILE_FAULT_NOT_REGULAR:
        return err_make(ERR_CONFIG, "group file %s: not a regular file: give the path of the file itself", path);
    case FILE_FAULT_TOO_LONG:
        return err_make(ERR_CONFIG, "group file %s: longer than %u bytes: it is no group file", path, FILE_BYTES_MAX);
    case FILE_FAULT_SYSTEM: break;
    }
    if (error_number == ENOENT)
        return err_make(ERR_CONFIG, "group file %s: does not exist: correct the path, or make it with pbft group new",
                        path);
    return err_system(error_number, "group file %s: cannot read it", path);
}

static struct err draft_or_whole_read(const char *path, enum completeness completeness, struct group **out)
{
    uint8_t *text = mem_alloc(FILE_BYTES_MAX + 1u); /* what the file does not fill costs no memory */
    struct file_text file;
    const enum file_fault fault = file_load(path, text, FILE_BYTES_MAX, &file);
    struct err e = read_failed(path, fault, file.error_number);
    if (!err_is(&e)) e = parse(path, bytes_of(text, file.len), completeness, out);
    free(text);
    return e;
}

struct err group_read(const char *path, struct group **out)
{
    return draft_or_whole_read(path, COMPLETENESS_WHOLE, out);
}

struct err group_draft_read(const char *path, struct group **out)
{
    return draft_or_whole_read(path, COMPLETENESS_DRAFT, out);
}

static json_t *key_json(const struct public_key *key)
{
    char hex[KEY_DIGITS + 1];
    hex_encode(hex, key->bytes, PUBLIC_KEY_BYTES);
    return json_string(hex);
}

/* Memory is all that can be missing here, and without it the process ends. */
static void list_append(json_t *list, json_t *value)
{
    CHECK(value != NULL);
    CHECK(json_array_append_new(list, value) == 0);
}

json_t *group_draft_json(const struct group *g, bool with_addresses)
{
    json_t *members = json_array();
    json_t *clients = json_array();
    for (uint32_t i = 0; i < g->member_count; i++) {
        const struct group_member *m = &g->members[i];
        list_append(members, json_pack("{s:I, s:s, s:o, s:o, s:s*}", "id", (json_int_t)m->id, "organisation",
                                       m->organisation, "signing_key", key_json(&m->signing_key), "transport_key",
                                       key_json(&m->transport_key), "address", with_addresses ? m->address : NULL));
    }
    for (uint32_t i = 0; i < g->client_count; i++) {
        const struct group_client *c = &g->clients[i];
        list_append(clients, json_pack("{s:s, s:s, s:o}", "name", c->name, "role", group_role_name(c->role), "key",
                                       key_json(&c->key)));
    }
    json_t *root =
        json_pack("{s:I, s:s, s:b, s:{s:I, s:I}, s:o, s:o}", "format", (json_int_t)GROUP_FORMAT, "name", g->name,
                  "development", g->development ? 1 : 0, "parameters", "drift_ms", (json_int_t)g->drift_ms,
                  "batch_requests_max", (json_int_t)g->batch_requests_max, "members", members, "clients", clients);
    CHECK(root != NULL);
    return root;
}

static char *json_text(json_t *root, size_t flags)
{
    char *text = json_dumps(root, flags);
    json_decref(root);
    CHECK(text != NULL);
    return text;
}

char *group_draft_canonical(const struct group *g)
{
    return json_text(group_draft_json(g, false), JSON_SORT_KEYS | JSON_COMPACT);
}

static struct err write_text(const char *path, const struct group *g, unsigned mode, enum file_place place)
{
    struct buffer text = {0};
    char *json = json_text(group_draft_json(g, true), JSON_INDENT(2));
    buffer_printf(&text, "%s\n", json);
    free(json);
    const int failure = file_put(path, bytes_of(text.data, text.len), mode, place);
    buffer_free(&text);
    if (failure == EEXIST)
        return err_make(ERR_CONFIG, "group file %s: exists already: choose another path, or move it away first", path);
    return failure == 0 ? err_none() : err_system(failure, "group file %s: cannot write it", path);
}

struct err group_write(const char *path, const struct group *g)
{
    struct stat status;
    const unsigned mode = stat(path, &status) == 0 ? (unsigned)status.st_mode & 0777u : MODE_OF_NEW;
    return write_text(path, g, mode, FILE_PLACE_REPLACE);
}

struct err group_draft_create(const char *path, const struct group *g)
{
    return write_text(path, g, MODE_OF_NEW, FILE_PLACE_NEW);
}
