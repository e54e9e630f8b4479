/* group.c - the rules of a group, its id, and looking things up in it.
 *
 * Every group in use has passed group_check, whether it was read from a file or built in memory, so the rules stand
 * here once. The JSON text is group_json.c's business.
 */
#include "keys/group.h"

#include "base/check.h"
#include "keys/group_draft.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRIFT_MS_MIN 100u
#define DRIFT_MS_MAX 600000u
#define PORT_MAX 65535u
#define PORT_DIGITS_MAX 5u

_Static_assert(CLIENTS_MAX <= UINT16_MAX, "a client's index fits in client_order");

/* Where in the group file something is: "members[2].signing_key". */
struct place {
    char text[64];
};

static struct place place_of(const char *list, uint32_t index, const char *field)
{
    struct place p;
    (void)snprintf(p.text, sizeof p.text, "%s[%u].%s", list, index, field);
    return p;
}

struct group *group_new(void)
{
    struct group *g = mem_zero(1, sizeof *g);
    g->drift_ms = GROUP_DRIFT_MS_DEFAULT;
    g->batch_requests_max = BATCH_REQUESTS_MAX;
    return g;
}

void group_free(struct group *g)
{
    free(g);
}

struct err group_draft_name_check(const char *text, size_t cap)
{
    const size_t len = strnlen(text, cap);
    if (len == cap) return err_make(ERR_CONFIG, "longer than %zu bytes: shorten it", cap - 1);
    if (len == 0) return err_make(ERR_CONFIG, "empty: give it a text");
    for (size_t i = 0; i < len; i++) {
        const uint8_t byte = (uint8_t)text[i];
        /* C0, DEL, and C1, which UTF-8 writes as c2 80 to c2 9f: a terminal acts on all of them. */
        const bool c1 = byte == 0xc2 && (uint8_t)text[i + 1] >= 0x80 && (uint8_t)text[i + 1] <= 0x9f;
        if (byte < 0x20 || byte == 0x7f || c1)
            return err_make(ERR_CONFIG, "has a control character at byte %zu: remove it", i);
    }
    json_t *value = json_string(text);
    if (value == NULL) return err_make(ERR_CONFIG, "not UTF-8: write it again as UTF-8");
    json_decref(value);
    return err_none();
}

static struct err name_check(const char *place, const char *text, size_t cap)
{
    const struct err e = group_draft_name_check(text, cap);
    return err_is(&e) ? err_wrap(e, "%s", place) : e;
}

static struct err range_check(const char *place, uint32_t value, uint32_t min, uint32_t max)
{
    if (value >= min && value <= max) return err_none();
    return err_make(ERR_CONFIG, "%s: %u is outside %u to %u: choose a value in between", place, value, min, max);
}

static struct err member_check(const struct group_member *m, uint32_t index)
{
    char host[GROUP_ADDRESS_BYTES_MAX];
    uint16_t port;
    if (m->id != index)
        return err_make(ERR_CONFIG, "%s: %u stands where %u must: members are listed by id, 0 first, without gaps",
                        place_of("members", index, "id").text, m->id, index);
    ERR_TRY(name_check(place_of("members", index, "organisation").text, m->organisation, sizeof m->organisation));
    const struct err e = address_parse(m->address, host, &port);
    return err_is(&e) ? err_wrap(e, "%s", place_of("members", index, "address").text) : e;
}

static struct err client_check(const struct group *g, uint32_t index)
{
    const struct group_client *c = &g->clients[index];
    ERR_TRY(name_check(place_of("clients", index, "name").text, c->name, sizeof c->name));
    if ((uint32_t)c->role > GROUP_ROLE_ADMIN)
        return err_make(ERR_CONFIG, "%s: must be admin, writer or reader", place_of("clients", index, "role").text);
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(c->name, g->clients[i].name) == 0)
            return err_make(ERR_CONFIG, "%s: clients[%u] has the same name: every client has its own",
                            place_of("clients", index, "name").text, i);
    return err_none();
}

/* All keys in one row: signing and transport key of each member, then the clients' keys. */
static uint32_t key_count(const struct group *g)
{
    return 2 * g->member_count + g->client_count;
}

static const struct public_key *key_at(const struct group *g, uint32_t k)
{
    if (k >= 2 * g->member_count) return &g->clients[k - 2 * g->member_count].key;
    const struct group_member *m = &g->members[k / 2];
    return k % 2 == 0 ? &m->signing_key : &m->transport_key;
}

static struct place key_place(const struct group *g, uint32_t k)
{
    if (k >= 2 * g->member_count) return place_of("clients", k - 2 * g->member_count, "key");
    return place_of("members", k / 2, k % 2 == 0 ? "signing_key" : "transport_key");
}

/* One key, one purpose, one holder: a signature or a connection must point at exactly one party in one part. */
static struct err keys_check(const struct group *g)
{
    for (uint32_t k = 0; k < key_count(g); k++) {
        for (uint32_t i = 0; i < k; i++)
            if (public_key_equal(key_at(g, k), key_at(g, i)))
                return err_make(ERR_CONFIG,
                                "%s: the same key as %s: all keys must differ; make another with pbft key new",
                                key_place(g, k).text, key_place(g, i).text);
        if (!public_key_valid(key_at(g, k)))
            return err_make(
                ERR_CONFIG,
                "%s: not an Ed25519 public key of prime order: ask its owner for the output of pbft key show",
                key_place(g, k).text);
    }
    return err_none();
}

static struct err group_check(const struct group *g, uint32_t member_count_min)
{
    ERR_TRY(name_check("name", g->name, sizeof g->name));
    ERR_TRY(range_check("parameters.drift_ms", g->drift_ms, DRIFT_MS_MIN, DRIFT_MS_MAX));
    ERR_TRY(range_check("parameters.batch_requests_max", g->batch_requests_max, 1, BATCH_REQUESTS_MAX));
    if (g->member_count < member_count_min)
        return err_make(ERR_CONFIG, "members: the group has none yet: add them with pbft group add FILE member");
    if (g->member_count > REPLICAS_MAX)
        return err_make(ERR_CONFIG, "members: %u are more than %u: remove some", g->member_count, REPLICAS_MAX);
    if (g->client_count > CLIENTS_MAX)
        return err_make(ERR_CONFIG, "clients: %u are more than %u: remove some", g->client_count, CLIENTS_MAX);
    for (uint32_t i = 0; i < g->member_count; i++)
        ERR_TRY(member_check(&g->members[i], i));
    for (uint32_t i = 0; i < g->client_count; i++)
        ERR_TRY(client_check(g, i));
    return keys_check(g);
}

/* The first place in the order whose key is not below this one. */
static uint32_t client_place(const struct group *g, const struct public_key *key)
{
    uint32_t low = 0;
    uint32_t high = g->client_order_count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (memcmp(g->clients[g->client_order[middle]].key.bytes, key->bytes, PUBLIC_KEY_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void order_clients(struct group *g)
{
    memset(g->client_order, 0, sizeof g->client_order);
    g->client_order_count = 0;
    for (uint32_t i = 0; i < g->client_count; i++) {
        uint16_t *place = &g->client_order[client_place(g, &g->clients[i].key)];
        memmove(place + 1, place, (size_t)(&g->client_order[g->client_order_count] - place) * sizeof *place);
        *place = (uint16_t)i;
        g->client_order_count++;
    }
}

static struct err seal(struct group *g, uint32_t member_count_min)
{
    ERR_TRY(group_check(g, member_count_min));
    order_clients(g);
    char *canonical = group_draft_canonical(g);
    g->id = digest_of(DIGEST_DOMAIN_GROUP, bytes_of_text(canonical));
    g->configuration = digest_of(DIGEST_DOMAIN_CONFIGURATION, bytes_of_text(canonical));
    free(canonical);
    return err_none();
}

struct err group_seal(struct group *g)
{
    return seal(g, 1);
}

struct err group_draft_seal(struct group *g)
{
    return seal(g, 0);
}

int group_member_by_transport_key(const struct group *g, const struct public_key *key)
{
    for (uint32_t i = 0; i < g->member_count; i++)
        if (public_key_equal(&g->members[i].transport_key, key)) return (int)i;
    return -1;
}

int group_client_by_key(const struct group *g, const struct public_key *key)
{
    const uint32_t place = client_place(g, key);
    if (place == g->client_order_count) return -1;
    const uint16_t index = g->client_order[place];
    return public_key_equal(&g->clients[index].key, key) ? (int)index : -1;
}

int group_client_by_name(const struct group *g, const char *name)
{
    for (uint32_t i = 0; i < g->client_count; i++)
        if (strcmp(g->clients[i].name, name) == 0) return (int)i;
    return -1;
}

const char *group_role_name(enum group_role role)
{
    switch (role) {
    case GROUP_ROLE_READER: return "reader";
    case GROUP_ROLE_WRITER: return "writer";
    case GROUP_ROLE_ADMIN: return "admin";
    }
    CHECK(!"group_role_name: role outside the enumeration");
    return "";
}

bool group_role_parse(const char *name, enum group_role *out)
{
    for (uint32_t role = GROUP_ROLE_READER; role <= GROUP_ROLE_ADMIN; role++)
        if (strcmp(name, group_role_name((enum group_role)role)) == 0) {
            *out = (enum group_role)role;
            return true;
        }
    return false;
}

/* Decimal, 1 to 65,535, one spelling: no sign, no leading zero. */
static bool port_parse(const char *text, uint16_t *out)
{
    const size_t len = strnlen(text, PORT_DIGITS_MAX + 1);
    uint32_t value = 0;
    if (len == 0 || len > PORT_DIGITS_MAX || text[0] == '0') return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    if (value > PORT_MAX) return false;
    *out = (uint16_t)value;
    return true;
}

/* A host outside brackets: a name, or an IPv4 address when it has nothing but digits and dots. */
static bool host_name_good(const char *host)
{
    static const char digits_and_dot[] = "0123456789.";
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    struct in_addr v4;
    if (host[0] == '\0' || host[0] == '-' || host[0] == '.') return false;
    if (host[strspn(host, letters)] != '\0') return false;
    return host[strspn(host, digits_and_dot)] != '\0' || inet_pton(AF_INET, host, &v4) == 1;
}

struct err address_parse(const char *address, char host[GROUP_ADDRESS_BYTES_MAX], uint16_t *port)
{
    char copy[GROUP_ADDRESS_BYTES_MAX];
    struct in6_addr v6;
    uint16_t number = 0;
    const size_t len = strnlen(address, sizeof copy);
    if (len == sizeof copy) return err_make(ERR_CONFIG, "longer than %zu bytes: shorten it", sizeof copy - 1);
    memcpy(copy, address, len + 1);
    const bool bracketed = copy[0] == '[';
    char *name = bracketed ? copy + 1 : copy;
    char *end = strchr(name, bracketed ? ']' : ':');
    if (end == NULL || (bracketed && end[1] != ':'))
        return err_make(ERR_CONFIG, "has no port: write host:port, and an IPv6 host in brackets");
    const char *digits = bracketed ? end + 2 : end + 1;
    *end = '\0';
    if (!port_parse(digits, &number))
        return err_make(ERR_CONFIG, "what follows the host must be a port, 1 to %u; an IPv6 host goes in brackets",
                        PORT_MAX);
    if (bracketed && inet_pton(AF_INET6, name, &v6) != 1)
        return err_make(ERR_CONFIG, "what stands in brackets must be an IPv6 address without a zone");
    if (!bracketed && !host_name_good(name))
        return err_make(ERR_CONFIG, "its host must be a name (letters, digits, '.', '-', '_') or an IPv4 address");
    memcpy(host, name, strlen(name) + 1);
    *port = number;
    return err_none();
}
