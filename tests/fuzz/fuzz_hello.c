/* fuzz_hello.c - any bytes, in any pieces, as what a stranger sends to a replica's port before and in place of a TLS
 * handshake: nobody is admitted, nothing is opened, no frame comes out, the connection is closed once, and nothing is
 * left of it.
 *
 * The first byte chooses the size of the pieces. GnuTLS parses; replica/net is what is tested. */
#include "base/check.h"
#include "replica/net/net.h"
#include "tests/fuzz/loopback.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t closed_count;

/* No input proves a key: a signature over the server's fresh random would be needed. */
static bool admit(void *context, struct net_connection *c, const struct public_key *key, size_t *frame_bytes_max,
                  size_t *queue_bytes_max)
{
    (void)context;
    (void)c;
    (void)key;
    *frame_bytes_max = 1024;
    *queue_bytes_max = 1024;
    return true;
}

static void opened(void *context, struct net_connection *c)
{
    (void)context;
    (void)c;
    CHECK(!"a handshake without a key was done");
}

static void frame(void *context, struct net_connection *c, struct blob *blob)
{
    (void)context;
    (void)c;
    (void)blob;
    CHECK(!"a frame came out of a connection that is not open");
}

static void closed(void *context, struct net_connection *c, const char *reason)
{
    (void)context;
    CHECK(!net_is_open(c) && reason != NULL && reason[0] != '\0');
    closed_count++;
}

static bool nobody(void *context)
{
    return net_counts(context).open == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct net_events events = {.admit = admit, .opened = opened, .frame = frame, .closed = closed};
    static struct net *net;
    static struct ev_loop *loop;
    static uint16_t port;
    struct buffer got = {0};
    if (net == NULL) {
        struct secret_key key;
        struct public_key public;
        struct err e = sign_start();
        CHECK(!err_is(&e));
        sign_key_new(&key, &public);
        loop = loopback_loop();
        e = net_new(loop, &key, &events, NULL, 4, &net);
        CHECK(!err_is(&e));
        e = net_listen(net, "127.0.0.1", &port);
        CHECK(!err_is(&e));
    }
    if (size < 1) return 0;
    const uint64_t accepted = net_counts(net).accepted;
    const uint64_t before = closed_count;
    loopback_talk(loop, port, bytes_of(data + 1, size - 1), 1 + (size_t)data[0] * (size_t)data[0], &got);
    CHECK(loopback_wait(loop, nobody, net));
    CHECK_OP(net_counts(net).accepted, ==, accepted + 1);
    CHECK_OP(closed_count, ==, before + 1);
    buffer_free(&got);
    return 0;
}
