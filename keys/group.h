/* group.h - the group file: who the members are, who the first clients are, the parameters, the first configuration.
 *
 * group.json (jansson, duplicate and unknown names refused, every text and number bounded):
 *
 *   {
 *     "format": 1,
 *     "name": "acme-settlement",
 *     "development": true,                         keys in it are development keys
 *     "parameters": { "drift_ms": 5000, "batch_requests_max": 1024 },
 *     "members": [
 *       { "id": 0, "organisation": "Acme", "signing_key": "<64 hex digits>", "transport_key": "<64 hex digits>",
 *         "address": "127.0.0.1:7400" }, ... ids 0..N-1 in order
 *     ],
 *     "clients": [ { "name": "default", "role": "admin" | "writer" | "reader", "key": "<64 hex digits>" }, ... ]
 *   }
 *
 * The group id is digest(GROUP, canonical form): the deterministic JSON text (keys sorted, no white space) of the file
 * without its addresses. It never changes, though addresses may. The digest of the configuration in force is
 * digest(CONFIGURATION, the same text): what the first epoch's block headers carry.
 *
 * A group's keys must all differ and be valid points (public_key_valid); its clients' names differ too. Every name
 * above is needed. Names are UTF-8 without control characters, at most NAME_BYTES_MAX - 1 bytes. What is written has
 * lower-case keys; either case is read.
 */
#ifndef PBFT_KEYS_GROUP_H
#define PBFT_KEYS_GROUP_H

#include "base/limits.h"
#include "crypto/sign.h"

#define GROUP_FORMAT 1u
#define GROUP_ADDRESS_BYTES_MAX 128u
#define GROUP_DRIFT_MS_DEFAULT 5000u

enum group_role { GROUP_ROLE_READER, GROUP_ROLE_WRITER, GROUP_ROLE_ADMIN };

struct group_member {
    uint32_t id;
    char organisation[NAME_BYTES_MAX];
    struct public_key signing_key;
    struct public_key transport_key;
    char address[GROUP_ADDRESS_BYTES_MAX]; /* host:port; IPv6 hosts in brackets */
};

struct group_client {
    char name[NAME_BYTES_MAX];
    enum group_role role;
    struct public_key key;
};

struct group {
    char name[NAME_BYTES_MAX];
    bool development;
    uint32_t drift_ms;           /* (P) how far a batch's time may be from a correct clock: 100 to 600,000 */
    uint32_t batch_requests_max; /* (P) 1 to BATCH_REQUESTS_MAX */
    uint32_t member_count;       /* N: 1 to REPLICAS_MAX */
    struct group_member members[REPLICAS_MAX];
    uint32_t client_count; /* 0 to CLIENTS_MAX */
    struct group_client clients[CLIENTS_MAX];
    uint16_t client_order[CLIENTS_MAX]; /* computed: the clients' indexes, their keys ascending */
    uint32_t client_order_count;        /* computed */
    struct digest id;                   /* computed */
    struct digest configuration;        /* computed */
};

/* Reads and checks a group file; ids and digests are computed. *out is one allocation, freed with group_free.
 * Errors: ERR_CONFIG, naming the path, the place in it ("members[2].signing_key"), what is wrong and the cure; ERR_IO
 * when the operating system refuses. A group without members is refused. */
MUST_USE struct err group_read(const char *path, struct group **out);
/* The same from memory (fuzzed); `name` stands for the path in errors. */
MUST_USE struct err group_parse(const char *name, struct bytes text, struct group **out);
/* Checks a group built in memory by the same rules, and computes what is marked so. Errors: ERR_CONFIG, naming the
 * place; g is as it was. */
MUST_USE struct err group_seal(struct group *g);
/* Writes it as an indented text, atomically: temporary file beside it, sync, rename. g has passed group_seal. A file
 * that is replaced keeps its mode, a new one has 0644. A symbolic link is replaced, not followed. Errors: ERR_IO. */
MUST_USE struct err group_write(const char *path, const struct group *g);
/* An empty group with the default parameters; freed with group_free, which takes NULL too. */
struct group *group_new(void);
void group_free(struct group *g);

/* Index of a key, or -1. The clients are those of the last group_seal; each request is looked up, so that takes
 * log2(CLIENTS_MAX) comparisons. */
int group_member_by_transport_key(const struct group *g, const struct public_key *key);
int group_client_by_key(const struct group *g, const struct public_key *key);
int group_client_by_name(const struct group *g, const char *name);
const char *group_role_name(enum group_role role);
MUST_USE bool group_role_parse(const char *name, enum group_role *out);

/* Splits "host:port"; IPv6 hosts in brackets, given back without them, no zone. A host of digits and dots must be an
 * IPv4 address, any other a name of letters, digits, '.', '-' and '_' that starts with none of '.' and '-'. The port is
 * 1 to 65,535 without leading zeros. Errors: ERR_CONFIG; the text does not repeat the address. */
MUST_USE struct err address_parse(const char *address, char host[GROUP_ADDRESS_BYTES_MAX], uint16_t *port);

#endif
