/* pbft_evil_client.c - a registered client that misbehaves towards real replicas, as fast as they take it, until it is
 * told to stop. Never installed; `pbft-bench attack` runs it beside clients that keep the rules (docs/adversary.md).
 *
 * Each replica has a thread of its own with a connection of its own (tests/fixture/raw_peer.h): it sends one round of
 * what the behaviour is about, then reads what has come, again and again. A replica that ends the connection finds it
 * opened again. What is settled of this client they are asked for, as libpbft does. The simulator's clients of
 * tests/fixture/cluster_client_evil.c do the same in virtual time. */
#include "tests/fixture/raw_peer.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/prng.h"
#include "crypto/keyfile.h"
#include "keys/group.h"
#include "ledger/app.h"
#include "wire/certificate.h"

#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define VALUE_BYTES 256u
#define HUGE_BYTES 450000u
#define HUGE_COUNT 20u      /* together more than the custody of a replica that knows no rate yet */
#define GARBAGE_COUNT 16u   /* badly signed requests in a round */
#define QUESTIONS 8u        /* for one round of who never reads */
#define KEPT 512u           /* signed requests, for the other threads and to be sent again */
#define KEYS 50u            /* that it writes */
#define EXPIRY_MS 86400000u /* from its start */
#define SEND_MS 20000u
#define REST_MS 20u           /* where a round had nothing to send, or a connection was refused */
#define ASK_EVERY_US 5000u    /* what is settled */
#define HUGE_EVERY_US 500000u /* the same ones again, if nothing has been settled meanwhile */
#define NUMBER_WINDOW 1u      /* of that question */

/* A signed request that may be used again. */
struct kept {
    uint64_t seq; /* 0: none */
    uint32_t variant;
    struct blob *bytes;
};

struct hostile {
    const struct evil_client_behaviour *behaviour;
    struct group *group;
    struct secret_key key;
    uint64_t expiry_ms;
    _Atomic uint64_t settled; /* the highest sequence that any replica has said is settled */
    pthread_mutex_t lock;     /* of kept */
    struct kept kept[KEPT];
};

/* Towards one replica. */
struct line {
    struct hostile *h;
    uint32_t id;
    pthread_t thread;
    struct raw_peer *peer;
    struct prng random;
    struct buffer out;
    uint64_t asked_us;
    uint64_t begun_us; /* the last round of who sends now and then */
    uint64_t begun_at; /* what was settled then */
};

struct evil_client_behaviour {
    const char *name;
    const char *does;
    bool
        served; /* what it sends in its window is executed, turn about with others: beside it a correct client stands */
    bool deaf;  /* reads nothing */
    void (*round)(struct line *l);
};

/* ---- what it sends ---- */

static struct blob *make_request(const struct hostile *h, uint64_t seq, uint32_t variant, uint32_t value_bytes)
{
    struct blob *args = blob_new(value_bytes + 256u);
    struct blob *ops = blob_new(value_bytes + 512u);
    struct writer args_out = writer_of(args->data, args->len);
    struct writer ops_out = writer_of(ops->data, ops->len);
    uint8_t *value = mem_zero(1, value_bytes);
    char key[48];
    (void)snprintf(key, sizeof key, "hostile %u %u", (unsigned)(seq % KEYS), variant);
    struct wire_operation op = {.app = APP_KV, .verb = APP_KV_PUT};
    struct wire_request m = {.client = secret_key_public(&h->key), .seq = seq, .expiry_ms = h->expiry_ms + variant};
    be64_put(value, seq);
    wire_list_add_bytes(&op.args, &args_out, bytes_of_text(key));
    wire_list_add_bytes(&op.args, &args_out, bytes_of(value, value_bytes));
    wire_list_add(&m.ops, &ops_out, &wire_record_operation, &op);
    CHECK(!args_out.overflow && !ops_out.overflow);
    const struct digest transaction = wire_record_signing_digest(&h->group->id, &wire_record_request, &m);
    sign_digest(&h->key, &transaction, &m.signature);
    struct blob *out = wire_encode_blob(&wire_record_request, &m);
    blob_release(args);
    blob_release(ops);
    free(value);
    return out;
}

/* The same bytes for every thread that asks for the same. The caller's reference. */
static struct blob *request_of(struct hostile *h, uint64_t seq, uint32_t variant)
{
    struct kept *k = &h->kept[(seq * 2 + variant) % KEPT];
    CHECK(pthread_mutex_lock(&h->lock) == 0);
    if (k->seq != seq || k->variant != variant) {
        blob_release(k->bytes);
        *k = (struct kept){seq, variant, make_request(h, seq, variant, VALUE_BYTES)};
    }
    struct blob *out = blob_retain(k->bytes);
    CHECK(pthread_mutex_unlock(&h->lock) == 0);
    return out;
}

static void add_frame(struct line *l, struct blob *bytes_taken)
{
    uint8_t head[4];
    be32_put(head, (uint32_t)bytes_taken->len);
    buffer_append(&l->out, head, sizeof head);
    buffer_append(&l->out, bytes_taken->data, bytes_taken->len);
    blob_release(bytes_taken);
}

static void add_question(struct line *l, uint64_t number, enum system_verb verb)
{
    const struct wire_query q = {
        .number = number, .mode = QUERY_MODE_LOCAL, .operation = {.app = APP_SYSTEM, .verb = verb}};
    add_frame(l, wire_encode_blob(&wire_record_query, &q));
}

static uint64_t settled(const struct line *l)
{
    return atomic_load(&l->h->settled);
}

/* All that its window takes, and more, again and again. */
static void flood(struct line *l)
{
    const uint64_t from = settled(l) + 1;
    for (uint32_t k = 0; k < CLIENT_WINDOW + 16; k++)
        add_frame(l, request_of(l->h, from + k, 0));
}

static void two_operations(struct line *l)
{
    const uint64_t from = settled(l) + 1;
    for (uint32_t k = 0; k < CLIENT_WINDOW; k++)
        add_frame(l, request_of(l->h, from + k, l->id % 2));
}

static void some_only(struct line *l)
{
    const uint64_t from = settled(l) + 1;
    if (l->id != l->h->group->member_count - 1) return;
    for (uint32_t k = 0; k < CLIENT_WINDOW; k++)
        add_frame(l, request_of(l->h, from + k, 0));
}

/* The signature is what a request ends with. Each is another one: no replica has seen it before. */
static void bad_signatures(struct line *l)
{
    const uint64_t from = settled(l) + 1;
    for (uint32_t k = 0; k < GARBAGE_COUNT; k++) {
        struct blob *good = request_of(l->h, from + k, 0);
        struct blob *bad = blob_copy(blob_bytes(good));
        be64_put(bad->data + bad->len - 40, prng_next(&l->random));
        blob_release(good);
        add_frame(l, bad);
    }
}

static void huge(struct line *l)
{
    const uint64_t from = settled(l) + 1;
    const uint64_t now = clock_monotonic_us();
    if (l->begun_at == from && now - l->begun_us < HUGE_EVERY_US) return;
    l->begun_at = from;
    l->begun_us = now;
    for (uint32_t k = 0; k < HUGE_COUNT; k++)
        add_frame(l, make_request(l->h, from + k, 0, HUGE_BYTES));
}

static void far_ahead(struct line *l)
{
    const uint64_t from = settled(l) + 1;
    add_frame(l, request_of(l->h, from + CLIENT_WINDOW + prng_below(&l->random, CLIENT_WINDOW), 0));
    add_frame(l, request_of(l->h, from + CLIENT_WINDOW - 1, 0)); /* the last that its window allows */
    add_frame(l, request_of(l->h, SEQ_MAX - prng_below(&l->random, 3), 0));
}

/* Its first requests, whose answers are there for ever, and questions. */
static void ask_on(struct line *l)
{
    for (uint32_t seq = 1; seq <= CLIENT_WINDOW; seq++)
        add_frame(l, request_of(l->h, seq, 0));
    for (uint32_t k = 0; k < QUESTIONS; k++)
        add_question(l, 2, SYSTEM_VERB_STATUS);
}

static const struct evil_client_behaviour behaviours[] = {
    {"client-flood", "fills its window and more, again and again", .served = true, .round = flood},
    {"client-two-operations", "half of the replicas get another operation for the same sequence", .served = true,
     .round = two_operations},
    {"client-some-only", "sends to one backup only", .served = true, .round = some_only},
    {"client-bad-signatures", "requests with bad signatures, each with another one", .round = bad_signatures},
    {"client-huge", "requests of half a megabyte, more than custody takes", .served = true, .round = huge},
    {"client-far-ahead", "sequences above its window, at its edge, and the highest there is", .served = true,
     .round = far_ahead},
    {"client-never-reads", "asks on and on, and reads no answer", .deaf = true, .round = ask_on},
};
#define BEHAVIOURS (sizeof behaviours / sizeof behaviours[0])

/* ---- a line to one replica ---- */

static void rest(void)
{
    (void)nanosleep(&(const struct timespec){.tv_nsec = REST_MS * 1000000}, NULL);
}

static void connect_line(struct line *l)
{
    const struct hostile *h = l->h;
    const struct wire_hello hello = {.version = WIRE_VERSION,
                                     .group = h->group->id,
                                     .role = HELLO_ROLE_CLIENT,
                                     .key = secret_key_public(&h->key),
                                     .software = bytes_of_text("hostile")};
    char host[GROUP_ADDRESS_BYTES_MAX];
    uint16_t port;
    const struct err e = address_parse(h->group->members[l->id].address, host, &port);
    CHECK(!err_is(&e)); /* the group file was read */
    if (raw_peer_open(host, port, &h->key, h->behaviour->deaf, &l->peer) &&
        raw_peer_send_record(l->peer, &wire_record_hello, &hello))
        return;
    raw_peer_free(l->peer);
    l->peer = NULL;
    rest();
}

static void raise_settled(struct hostile *h, uint64_t seq)
{
    uint64_t known = atomic_load(&h->settled);
    while (known < seq && !atomic_compare_exchange_weak(&h->settled, &known, seq)) {
    }
}

/* False: the connection has ended. */
static bool listen_to(struct line *l)
{
    struct blob *frame;
    if (l->h->behaviour->deaf) return true; /* that it has ended shows when it sends */
    while ((frame = raw_peer_receive(l->peer, 0)) != NULL) {
        struct wire_message m;
        struct wire_client_status s;
        if (wire_decode(blob_bytes(frame), &m) == NULL && m.type == WIRE_TYPE_result &&
            m.result.number == NUMBER_WINDOW &&
            wire_decode_record(&wire_record_client_status, m.result.value, &s) == NULL)
            raise_settled(l->h, s.highest_settled);
        blob_release(frame);
    }
    return raw_peer_send_bytes(l->peer, bytes_of(NULL, 0), 0);
}

static void one_round(struct line *l)
{
    const uint64_t now = clock_monotonic_us();
    l->out.len = 0;
    l->h->behaviour->round(l);
    const bool nothing = l->out.len == 0;
    if (!l->h->behaviour->deaf && now - l->asked_us >= ASK_EVERY_US) {
        l->asked_us = now;
        add_question(l, NUMBER_WINDOW, SYSTEM_VERB_CLIENT);
    }
    if (raw_peer_send_bytes(l->peer, bytes_of(l->out.data, l->out.len), SEND_MS) && listen_to(l)) {
        if (nothing) rest();
        return;
    }
    raw_peer_free(l->peer);
    l->peer = NULL;
}

static void *misbehave(void *context)
{
    struct line *l = context;
    for (;;) {
        if (l->peer == NULL) connect_line(l);
        if (l->peer != NULL) one_round(l);
    }
    return NULL;
}

/* ---- the command line ---- */

static const char usage_text[] = "usage: pbft-evil-client --home DIR --client NAME --behaviour NAME\n"
                                 "\n"
                                 "A client that misbehaves on purpose, for tests, until it is ended (TERM).\n"
                                 "\n"
                                 "  --home DIR         of a development group\n"
                                 "  --client NAME      whose key it uses\n"
                                 "  --behaviour NAME   what it does\n"
                                 "  --list             the behaviours, and end\n"
                                 "\n"
                                 "Exit codes: 0 ok, 2 usage, 4 bad group or key.\n";

static const struct evil_client_behaviour *find(const char *name)
{
    for (uint32_t i = 0; i < BEHAVIOURS; i++)
        if (strcmp(behaviours[i].name, name) == 0) return &behaviours[i];
    return NULL;
}

static struct err load(struct hostile *h, const char *home, const char *client)
{
    char path[4096];
    bool development;
    int wanted = snprintf(path, sizeof path, "%s/group.json", home);
    if (wanted < 0 || (size_t)wanted >= sizeof path) return err_make(ERR_USAGE, "--home is too long");
    ERR_TRY(group_read(path, &h->group));
    wanted = snprintf(path, sizeof path, "%s/clients/%s.pem", home, client);
    if (wanted < 0 || (size_t)wanted >= sizeof path) return err_make(ERR_USAGE, "--home is too long");
    ERR_TRY(keyfile_read_secret(path, &h->key, &development));
    const struct public_key public = secret_key_public(&h->key);
    if (group_client_by_key(h->group, &public) < 0)
        return err_make(ERR_CONFIG, "%s is the key of no client of %s", path, home);
    return err_none();
}

static struct err run(const char *home, const char *client, const struct evil_client_behaviour *behaviour)
{
    static struct hostile h = {.lock = PTHREAD_MUTEX_INITIALIZER};
    static struct line lines[REPLICAS_MAX];
    ERR_TRY(sign_start());
    ERR_TRY(load(&h, home, client));
    h.behaviour = behaviour;
    h.expiry_ms = clock_wall_ms() + EXPIRY_MS;
    for (uint32_t id = 0; id < h.group->member_count; id++) {
        lines[id] = (struct line){.h = &h, .id = id, .random = prng_of(clock_monotonic_us() + id)};
        const int fault = pthread_create(&lines[id].thread, NULL, misbehave, &lines[id]);
        if (fault != 0) return err_system(fault, "cannot make a thread for replica %u", id);
    }
    for (;;)
        (void)pause();
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"home", required_argument, NULL, 'd'},
                                            {"client", required_argument, NULL, 'c'},
                                            {"behaviour", required_argument, NULL, 'b'},
                                            {"list", no_argument, NULL, 'l'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *home = NULL;
    const char *client = NULL;
    const char *name = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'd': home = optarg; break;
        case 'c': client = optarg; break;
        case 'b': name = optarg; break;
        case 'l':
            for (uint32_t i = 0; i < BEHAVIOURS; i++)
                (void)printf("%-22s %s%s\n", behaviours[i].name, behaviours[i].served ? "served: " : "",
                             behaviours[i].does);
            return 0;
        case 'h': (void)fputs(usage_text, stdout); return 0;
        default: (void)fputs(usage_text, stderr); return 2;
        }
    }
    if (home == NULL || client == NULL || name == NULL || optind != argc) {
        (void)fputs(usage_text, stderr);
        return 2;
    }
    if (find(name) == NULL) {
        (void)fprintf(stderr, "pbft-evil-client: %s is no behaviour; --list shows them\n", name);
        return 2;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    const struct err e = run(home, client, find(name));
    (void)fprintf(stderr, "pbft-evil-client: %s\n", e.text);
    return err_exit_code(e.code);
}
