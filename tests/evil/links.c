/* links.c - lossy links: of the frames that this replica sends to other replicas, some are lost, some come twice, some
 * come late and so out of order.
 *
 * This stands for a lossy proxy between the replicas. TLS runs over TCP, which hides what a network loses, and what is
 * inside TLS no proxy can take apart; so frames are lost here, above TLS, where each is whole. With all replicas of a
 * group run this way, every link between them is lossy in both directions. HELLO and what is said to clients are left
 * alone. Otherwise the replica keeps the rules. */
#include "tests/evil/process.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define LATE_MAX 8192u /* frames on their way; one more is lost */

/* A frame on its way. */
struct late {
    struct late *next;
    struct late **at; /* what points here */
    struct ev_timer timer;
    struct node *node;
    uint32_t member;
    enum wire_type type;
    bool resend;
    struct blob *bytes;
};

static struct {
    struct evil_links links;
    struct prng random;
    struct late *first;
    uint32_t late_count;
} state;

static bool parse_part(const char **text, const char *name, uint64_t most, uint64_t *out)
{
    const size_t len = strlen(name);
    if (strncmp(*text, name, len) != 0) return false;
    if ((*text)[len] < '0' || (*text)[len] > '9') return false;
    char *end;
    const unsigned long long value = strtoull(*text + len, &end, 10);
    if (value > most) return false;
    *text = end;
    *out = value;
    return true;
}

/* drop=PERCENT,dup=PERCENT,delay=PERCENT:MOSTms,seed=NUMBER, each at most once, in any order */
bool links_parse(const char *text, struct evil_links *out)
{
    struct evil_links l = {.delay_ms_max = 1};
    uint64_t value;
    for (const char *at = text;; at++) {
        if (parse_part(&at, "drop=", 100, &value)) {
            l.drop_percent = (uint32_t)value;
        } else if (parse_part(&at, "dup=", 100, &value)) {
            l.twice_percent = (uint32_t)value;
        } else if (parse_part(&at, "delay=", 100, &value)) {
            l.delay_percent = (uint32_t)value;
            if (!parse_part(&at, ":", 60000, &value) || value == 0 || strncmp(at, "ms", 2) != 0) return false;
            l.delay_ms_max = (uint32_t)value;
            at += 2;
        } else if (parse_part(&at, "seed=", UINT64_MAX, &value)) {
            l.seed = value;
        } else {
            return false;
        }
        if (*at == '\0') break;
        if (*at != ',') return false;
    }
    if (l.drop_percent + l.twice_percent + l.delay_percent > 100) return false;
    *out = l;
    return true;
}

/* Each replica draws its own numbers. */
void links_start(const struct evil_links *links, uint32_t self)
{
    state.links = *links;
    state.random = prng_of(links->seed * (REPLICAS_MAX + 1u) + self);
}

static void late_free(struct late *l)
{
    *l->at = l->next;
    if (l->next != NULL) l->next->at = l->at;
    state.late_count--;
    blob_release(l->bytes);
    free(l);
}

static void on_time(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct late *l = w->data;
    (void)loop;
    (void)events;
    (void)__real_node_send_member(l->node, l->member, l->type, l->bytes, l->resend);
    late_free(l);
}

static void send_late(struct node *n, uint32_t member, enum wire_type type, struct blob *bytes, bool resend)
{
    if (state.late_count == LATE_MAX) return;
    struct late *l = mem_zero(1, sizeof *l);
    *l = (struct late){.next = state.first,
                       .at = &state.first,
                       .node = n,
                       .member = member,
                       .type = type,
                       .resend = resend,
                       .bytes = blob_retain(bytes)};
    if (state.first != NULL) state.first->at = &l->next;
    state.first = l;
    state.late_count++;
    const double ms = (double)(1 + prng_below(&state.random, state.links.delay_ms_max));
    ev_timer_init(&l->timer, on_time, ms / 1000.0, 0.0);
    l->timer.data = l;
    ev_timer_start(n->loop, &l->timer);
}

bool links_send(struct node *n, uint32_t member, enum wire_type type, struct blob *bytes, bool resend)
{
    const uint64_t drawn = prng_below(&state.random, 100);
    const struct evil_links *l = &state.links;
    if (drawn < l->drop_percent) return true;
    if (drawn < l->drop_percent + l->delay_percent) {
        send_late(n, member, type, bytes, resend);
        return true;
    }
    const bool sent = __real_node_send_member(n, member, type, bytes, resend);
    if (sent && drawn >= 100 - l->twice_percent) (void)__real_node_send_member(n, member, type, bytes, true);
    return sent;
}

/* What is still on its way is lost. The loop is gone by now, or will never run again. */
void links_stop(void)
{
    while (state.first != NULL)
        late_free(state.first);
}
