/* cli_devnet_files.c - the directory of a devnet: reading it, making it.
 *
 * Making is done in steps that can be repeated: what is complete is kept, and devnet.json, written last, says that all
 * is. */
#include "client/cli_devnet_internal.h"

#include "base/check.h"
#include "crypto/keyfile.h"
#include "keys/group.h"
#include "ledger/data_dir.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVNET_FORMAT 1
#define DEVNET_NAME "devnet"
#define DEVNET_FILE_BYTES_MAX 4096u
/* All replicas share one clock, so this bounds nothing but how long ago a proposal may have been made that a replica
 * first sees after a pause. */
#define DRIFT_MS 600000u
#define PORT_TRIES 40u
#define PORT_STEP 350u

_Static_assert(PORT_STEP > DEVNET_HTTP_OFFSET + REPLICAS_MAX, "two attempts at ports do not overlap");

/* ---- reading ---- */

/* PBFT_PBFTD, or pbftd beside this program. */
static struct err find_pbftd(struct devnet *d)
{
    const char *given = getenv("PBFT_PBFTD");
    struct cli_path self;
    if (given != NULL && given[0] != '\0') {
        const int wanted = snprintf(d->pbftd.text, sizeof d->pbftd.text, "%s", given);
        return wanted > 0 && (size_t)wanted < sizeof d->pbftd.text ? err_none()
                                                                   : err_make(ERR_CONFIG, "PBFT_PBFTD is too long");
    }
    const ssize_t len = readlink("/proc/self/exe", self.text, sizeof self.text - 1);
    if (len <= 0) return err_system(errno, "cannot read /proc/self/exe");
    self.text[len] = '\0';
    return cli_home_path(dirname(self.text), &d->pbftd, "pbftd");
}

static bool layout_parse(const struct buffer *text, struct devnet *d)
{
    int format = 0;
    json_int_t replicas = 0;
    json_int_t port = 0;
    json_t *root = json_loadb((const char *)text->data, text->len, JSON_REJECT_DUPLICATES, NULL);
    const bool good =
        root != NULL &&
        json_unpack(root, "{s:i, s:I, s:I !}", "format", &format, "replicas", &replicas, "base_port", &port) == 0 &&
        format == DEVNET_FORMAT && replicas >= 1 && replicas <= REPLICAS_MAX && port >= 1 && port <= 65535;
    json_decref(root);
    if (!good) return false;
    d->replica_count = (uint32_t)replicas;
    d->base_port = (uint32_t)port;
    return true;
}

static struct err layout_read(struct devnet *d, bool *found)
{
    struct cli_path path;
    struct buffer text = {0};
    *found = false;
    ERR_TRY(cli_home_path(d->home.text, &path, "devnet.json"));
    if (access(path.text, F_OK) != 0) return err_none();
    struct err e = cli_file_read(path.text, DEVNET_FILE_BYTES_MAX, &text);
    if (!err_is(&e) && !layout_parse(&text, d))
        e = err_make(ERR_CONFIG, "%s is damaged: it must hold format, replicas and base_port", path.text);
    buffer_free(&text);
    if (!err_is(&e)) *found = true;
    return e;
}

struct err devnet_load(const struct cli_globals *g, struct devnet *out, bool *found)
{
    struct devnet d = {.lock_fd = -1};
    ERR_TRY(find_pbftd(&d));
    char *absolute = realpath(g->home, NULL);
    const bool fits = absolute == NULL || strlen(absolute) < sizeof d.home.text;
    if (fits) (void)snprintf(d.home.text, sizeof d.home.text, "%s", absolute == NULL ? g->home : absolute);
    free(absolute);
    if (!fits) return err_make(ERR_CONFIG, "the path of the home is too long");
    ERR_TRY(layout_read(&d, found));
    *out = d;
    return err_none();
}

struct err devnet_lock(struct devnet *d)
{
    const int fd = open(d->home.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_system(errno, "cannot open %s", d->home.text);
    int done = -1;
    do
        done = flock(fd, LOCK_EX);
    while (done != 0 && errno == EINTR);
    if (done != 0) {
        const int why = errno;
        (void)close(fd);
        return err_system(why, "cannot lock %s", d->home.text);
    }
    d->lock_fd = fd;
    return err_none();
}

void devnet_unlock(struct devnet *d)
{
    if (d->lock_fd >= 0) (void)close(d->lock_fd);
    d->lock_fd = -1;
}

/* ---- ports ---- */

static bool port_free(uint32_t port)
{
    const int on = 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const bool bound = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0;
    (void)close(fd);
    return bound;
}

/* The first port of a group of `count` from base that is taken; 0 when all are free. */
static uint32_t port_taken(uint32_t base, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!port_free(base + i)) return base + i;
    for (uint32_t i = 0; i < count; i++)
        if (!port_free(base + DEVNET_HTTP_OFFSET + i)) return base + DEVNET_HTTP_OFFSET + i;
    return 0;
}

/* The base port that is asked for, or the first of which all are free. */
static struct err choose_ports(const struct devnet *d, uint32_t *out)
{
    if (d->base_port != 0) {
        const uint32_t taken = port_taken(d->base_port, d->replica_count);
        if (taken != 0)
            return err_make(ERR_CONFIG, "port %u is in use; give another --base-port, or none to have one chosen", taken);
        *out = d->base_port;
        return err_none();
    }
    for (uint32_t k = 0; k < PORT_TRIES; k++) {
        const uint32_t base = DEVNET_PORT_DEFAULT + k * PORT_STEP;
        if (port_taken(base, d->replica_count) != 0) continue;
        *out = base;
        return err_none();
    }
    return err_make(ERR_CONFIG, "no free ports for %u replicas were found from %u on; give --base-port", d->replica_count,
                    DEVNET_PORT_DEFAULT);
}

/* ---- making ---- */

static struct err make_dir(const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST) return err_system(errno, "cannot make the directory %s", path);
    return err_none();
}

/* HOME with its parents, and what it contains. */
static struct err make_dirs(struct devnet *d)
{
    static const char *const names[] = {"keys", "clients", "conf", "run"};
    for (char *at = d->home.text + 1; *at != '\0'; at++) {
        if (*at != '/') continue;
        *at = '\0';
        const struct err e = make_dir(d->home.text);
        *at = '/';
        if (err_is(&e)) return e;
    }
    ERR_TRY(make_dir(d->home.text));
    char *absolute = realpath(d->home.text, NULL);
    if (absolute == NULL || strlen(absolute) >= sizeof d->home.text) {
        free(absolute);
        return err_make(ERR_CONFIG, "cannot find the absolute path of %s", d->home.text);
    }
    (void)snprintf(d->home.text, sizeof d->home.text, "%s", absolute);
    free(absolute);
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct cli_path path;
        ERR_TRY(cli_home_path(d->home.text, &path, "%s", names[i]));
        ERR_TRY(make_dir(path.text));
    }
    return err_none();
}

/* The key in that file, made when there is none, and made anew when it is only half written. */
static struct err make_key(const struct devnet *d, const char *name, struct public_key *out)
{
    struct cli_path path;
    struct secret_key secret;
    bool development;
    ERR_TRY(cli_home_path(d->home.text, &path, "%s.pem", name));
    struct err e = keyfile_read_secret(path.text, &secret, &development);
    if (err_is(&e)) {
        (void)unlink(path.text);
        sign_key_new(&secret, out);
        e = keyfile_write_secret(path.text, &secret, true);
    }
    if (!err_is(&e)) *out = secret_key_public(&secret);
    secret_key_wipe(&secret);
    return e;
}

static struct err make_client(const struct devnet *d, struct group *g, const char *name, enum group_role role)
{
    char key[NAME_BYTES_MAX + 16];
    struct group_client *c = &g->clients[g->client_count++];
    (void)snprintf(c->name, sizeof c->name, "%s", name);
    (void)snprintf(key, sizeof key, "clients/%s", name);
    c->role = role;
    return make_key(d, key, &c->key);
}

static struct err make_group(const struct devnet *d, const char *path)
{
    struct group *g = group_new();
    struct err e = err_none();
    (void)snprintf(g->name, sizeof g->name, "%s", DEVNET_NAME);
    g->development = true;
    g->drift_ms = DRIFT_MS;
    g->member_count = d->replica_count;
    for (uint32_t id = 0; id < d->replica_count && !err_is(&e); id++) {
        struct group_member *m = &g->members[id];
        char key[64];
        m->id = id;
        (void)snprintf(m->organisation, sizeof m->organisation, "organisation %u", id);
        (void)snprintf(m->address, sizeof m->address, "127.0.0.1:%u", d->base_port + id);
        (void)snprintf(key, sizeof key, "keys/r%u-signing", id);
        e = make_key(d, key, &m->signing_key);
        (void)snprintf(key, sizeof key, "keys/r%u-transport", id);
        if (!err_is(&e)) e = make_key(d, key, &m->transport_key);
    }
    if (!err_is(&e)) e = make_client(d, g, "default", GROUP_ROLE_ADMIN);
    for (uint32_t i = 2; i <= d->writer_count && !err_is(&e); i++) {
        char name[NAME_BYTES_MAX];
        (void)snprintf(name, sizeof name, "client%u", i);
        e = make_client(d, g, name, GROUP_ROLE_WRITER);
    }
    if (!err_is(&e)) e = make_client(d, g, "reader", GROUP_ROLE_READER);
    if (!err_is(&e)) e = group_seal(g);
    if (!err_is(&e)) e = group_write(path, g);
    group_free(g);
    return e;
}

/* A group file is there, devnet.json is not: ours, when an earlier attempt was interrupted. Gives its base port. */
static struct err adopt_group(const struct devnet *d, const char *path, uint32_t *out)
{
    struct group *g;
    char host[GROUP_ADDRESS_BYTES_MAX];
    uint16_t port;
    ERR_TRY(group_read(path, &g));
    struct err e = address_parse(g->members[0].address, host, &port);
    if (!err_is(&e) && (!g->development || strcmp(g->name, DEVNET_NAME) != 0))
        e = err_make(ERR_CONFIG, "%s is the group \"%s\", not a devnet's; give another --home", path, g->name);
    if (!err_is(&e) && g->member_count != d->replica_count)
        e = err_make(ERR_USAGE, "%s has %u member%s already; give --replicas %u or another --home", path,
                     g->member_count, plural(g->member_count), g->member_count);
    if (!err_is(&e) && g->client_count != d->writer_count + 1) /* and the reader */
        e = err_make(ERR_USAGE, "%s has %u clients that may write already; give --clients %u or another --home", path,
                     g->client_count - 1, g->client_count - 1);
    if (!err_is(&e)) *out = port;
    group_free(g);
    return e;
}

/* The base port of the group that is to be made, or gone on with; refuses one that cannot be. Changes nothing. */
static struct err find_base_port(const struct devnet *d, const char *group_path, bool *adopted, uint32_t *out)
{
    *adopted = access(group_path, F_OK) == 0;
    return *adopted ? adopt_group(d, group_path, out) : choose_ports(d, out);
}

static struct err make_conf(const struct devnet *d, uint32_t id)
{
    struct cli_path path;
    char text[512];
    ERR_TRY(cli_home_path(d->home.text, &path, "conf/r%u.conf", id));
    (void)snprintf(text, sizeof text,
                   "# replica %u of a development group; paths are relative to this file\n"
                   "[replica]\n"
                   "id = %u\n"
                   "group = ../group.json\n"
                   "data = ../r%u\n"
                   "signing_key = ../keys/r%u-signing.pem\n"
                   "transport_key = ../keys/r%u-transport.pem\n"
                   "production = no\n"
                   "[http]\n"
                   "listen = 127.0.0.1:%u\n",
                   id, id, id, id, id, d->base_port + DEVNET_HTTP_OFFSET + id);
    return cli_file_write(path.text, text, 0644);
}

/* Makes the data directory, or finishes one. A complete one, as its log shows (pbftd --init-new-group gives it its name last), is
 * kept. */
static struct err make_data(const struct devnet *d, uint32_t id)
{
    struct cli_path log;
    struct cli_path path;
    struct data_dir data;
    struct wire_store_identity identity;
    ERR_TRY(cli_home_path(d->home.text, &path, "r%u", id));
    ERR_TRY(cli_home_path(d->home.text, &log, "r%u/log", id));
    if (access(log.text, F_OK) != 0) return devnet_process_init(d, id);
    const struct err e = data_dir_open_reader(path.text, &data, &identity);
    if (err_is(&e)) return err_wrap(e, "an unfinished devnet is in the way: remove it, or give another --home");
    data_dir_close(&data);
    return err_none();
}

static struct err make_layout(const struct devnet *d)
{
    struct cli_path path;
    char text[128];
    ERR_TRY(cli_home_path(d->home.text, &path, "devnet.json"));
    (void)snprintf(text, sizeof text, "{ \"format\": %d, \"replicas\": %u, \"base_port\": %u }\n", DEVNET_FORMAT,
                   d->replica_count, d->base_port);
    return cli_file_write(path.text, text, 0644);
}

struct err devnet_create(struct devnet *d)
{
    struct cli_path group;
    uint32_t port = 0;
    bool adopted;
    bool found;
    if (access(d->pbftd.text, X_OK) != 0)
        return err_make(ERR_CONFIG, "%s cannot be run; build it with make, or set PBFT_PBFTD to where pbftd is",
                        d->pbftd.text);
    /* once before anything is made in a place that may be somebody else's, and once when nobody else can make it */
    ERR_TRY(cli_home_path(d->home.text, &group, "group.json"));
    ERR_TRY(find_base_port(d, group.text, &adopted, &port));
    ERR_TRY(make_dirs(d));
    ERR_TRY(devnet_lock(d));
    ERR_TRY(layout_read(d, &found));
    if (found) return err_none(); /* another command made it while this one waited */
    ERR_TRY(cli_home_path(d->home.text, &group, "group.json"));
    ERR_TRY(find_base_port(d, group.text, &adopted, &port));
    if (!adopted && d->base_port == 0 && port != DEVNET_PORT_DEFAULT)
        (void)fprintf(stderr, "pbft: port %u is in use; using %u and up\n", DEVNET_PORT_DEFAULT, port);
    d->base_port = port;
    if (!adopted) ERR_TRY(make_group(d, group.text));
    for (uint32_t id = 0; id < d->replica_count; id++) {
        ERR_TRY(make_conf(d, id));
        ERR_TRY(make_data(d, id));
    }
    return make_layout(d);
}
