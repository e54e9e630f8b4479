/* sockets.c - how pbft-evil misuses its connections to other members. What it says and hears above them is true; how
 * clients and its operator are served is as ever. Nothing of it begins before the replica has been ready once: who
 * starts it waits for that. */
#include "tests/evil/process.h"

#include "base/clock.h"
#include "replica/net/net_internal.h"

#include <time.h>

#define BYTE_EVERY_US 50000u

/* The socket stays readable or writable meanwhile, and the loop comes again at once. */
static void rest(void)
{
    (void)nanosleep(&(const struct timespec){.tv_nsec = 2000000}, NULL);
}

static bool misuses(const struct net_connection *c, const char *behaviour)
{
    const struct session *s = net_user(c);
    if (process.evil.order_count == 0 || s == NULL || s->kind != SESSION_REPLICA) return false;
    process.was_ready = process.was_ready || s->node->ready;
    return process.was_ready && evil_is_told(&process.evil, behaviour);
}

static void note(const char *behaviour)
{
    LOG_LIMITED(LOG_LEVEL_WARN, "evil.misbehaved", 0, LOG_S("behaviour", behaviour));
}

void __wrap_net_read(struct net_connection *c)
{
    if (!misuses(c, "never-reads")) {
        __real_net_read(c);
        return;
    }
    note("never-reads");
    rest();
}

/* One byte now and then, whoever it is for: each frame stays unfinished. */
ssize_t __wrap_gnutls_record_send(gnutls_session_t session, const void *data, size_t size)
{
    static uint64_t last_us;
    const struct net_connection *c = gnutls_session_get_ptr(session);
    const uint64_t now_us = clock_monotonic_us();
    if (!misuses(c, "slow-loris")) return __real_gnutls_record_send(session, data, size);
    if (now_us - last_us < BYTE_EVERY_US) {
        rest();
        return GNUTLS_E_AGAIN;
    }
    last_us = now_us;
    note("slow-loris");
    return __real_gnutls_record_send(session, c->stage, 1); /* data is NULL when the caller was told AGAIN before */
}
