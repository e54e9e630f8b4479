/* test_net_resolve.c - names are looked up at start and when the configuration is read again, never in a running loop:
 * the name service may take minutes, and the loop is one thread. Every look-up of the program goes through the
 * getaddrinfo below, which counts those that a name service would be asked for. */
#include "base/check.h"
#include "base/log.h"
#include "replica/run/node_internal.h"

#include <ev.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#define NAME "replica-0.test"
#define PORT_CLOSED 1u /* nothing listens there */

static uint32_t look_ups;

/* Stands in front of the C library's. Knows one name, and numeric hosts, of IPv4; what it gives out it frees itself. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    struct in_addr numeric;
    const bool is_numeric = inet_pton(AF_INET, host, &numeric) == 1;
    if (!is_numeric && (hints->ai_flags & AI_NUMERICHOST) != 0) return EAI_NONAME;
    if (!is_numeric) {
        look_ups++;
        if (strcmp(host, NAME) != 0) return EAI_NONAME;
        numeric.s_addr = htonl(INADDR_LOOPBACK);
    }
    struct {
        struct addrinfo info;
        struct sockaddr_in address;
    } *found = mem_zero(1, sizeof *found);
    found->address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(service, NULL, 10)), .sin_addr = numeric};
    found->info = (struct addrinfo){.ai_family = AF_INET,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_addrlen = sizeof found->address,
                                    .ai_addr = (struct sockaddr *)&found->address};
    *out = &found->info;
    return 0;
}

void freeaddrinfo(struct addrinfo *found)
{
    free(found);
}

static struct net *make_net(struct ev_loop *loop, const struct net_events *events, void *context)
{
    const uint8_t seed[32] = {7};
    struct secret_key key;
    struct public_key public;
    struct net *net = NULL;
    sign_key_from_seed(seed, &key, &public);
    const struct err e = net_new(loop, &key, events, context, 8, &net);
    assert_false(err_is(&e));
    return net;
}

static int suite_setup(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    const struct err e = sign_start();
    return err_is(&e) ? -1 : 0;
}

/* ---- net ---- */

static void test_resolve_name_once_gives_the_numeric_address(void **state)
{
    char host[NET_HOST_BYTES_MAX];
    (void)state;
    look_ups = 0;
    struct err e = net_resolve(NAME, host);
    assert_false(err_is(&e));
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(look_ups, 1);
    e = net_resolve("other.test", host);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_string_equal(host, "127.0.0.1");
}

static void test_connect_to_a_name_refused_without_looking_it_up(void **state)
{
    const struct net_events none = {0};
    (void)state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net *net = make_net(loop, &none, NULL);
    look_ups = 0;
    assert_null(net_connect(net, NAME, PORT_CLOSED, NULL));
    assert_non_null(net_connect(net, "127.0.0.1", PORT_CLOSED, NULL));
    assert_int_equal(look_ups, 0);
    net_free(net);
    ev_loop_destroy(loop);
}

/* ---- the node: dialling a member whose address is a name ---- */

static void name_member(struct group *g, uint32_t id, const char *address)
{
    g->members[id].id = id;
    CHECK(strlen(address) < sizeof g->members[id].address);
    memcpy(g->members[id].address, address, strlen(address) + 1);
}

static void test_node_dials_again_and_again_without_looking_names_up(void **state)
{
    (void)state;
    struct group *g = group_new();
    struct node *n = mem_zero(1, sizeof *n);
    g->member_count = 3;
    name_member(g, 0, NAME ":1");
    name_member(g, 1, "unknown.test:1");
    name_member(g, 2, "127.0.0.1:1");
    n->config.id = 2;
    n->loop = ev_loop_new(EVFLAG_AUTO);
    n->net = make_net(n->loop, &node_net_events, n);
    look_ups = 0;
    struct err e = node_read_addresses(n, g); /* as at start */
    assert_false(err_is(&e));
    assert_int_equal(look_ups, 2);
    assert_string_equal(n->peers[0].host, "127.0.0.1");
    assert_string_equal(n->peers[1].host, "");
    for (uint32_t round = 0; round < 5; round++) {
        n->peers[0].next_dial = 0;
        node_dial(n);
        assert_non_null(n->peers[0].dialling);
        assert_null(n->peers[1].dialling); /* until HUP */
        while (n->peers[0].dialling != NULL)
            (void)ev_run(n->loop, EVRUN_ONCE);
    }
    assert_int_equal(look_ups, 2);
    name_member(g, 1, NAME ":1");
    e = node_read_addresses(n, g); /* as after HUP */
    assert_false(err_is(&e));
    assert_int_equal(look_ups, 4);
    assert_string_equal(n->peers[1].host, "127.0.0.1");
    net_free(n->net);
    ev_loop_destroy(n->loop);
    free(n);
    group_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve_name_once_gives_the_numeric_address),
        cmocka_unit_test(test_connect_to_a_name_refused_without_looking_it_up),
        cmocka_unit_test(test_node_dials_again_and_again_without_looking_names_up),
    };
    return cmocka_run_group_tests_name("net_resolve", tests, suite_setup, NULL);
}
