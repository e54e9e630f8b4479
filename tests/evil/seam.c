/* seam.c - where pbft-evil gets between the core and the world.
 *
 * What the core says passes node_send_member once for each receiver, after whatever had to be durable first: the
 * misbehaviour is about what is said, not about the disk. A primary that misbehaves also does not give its view up: its
 * own VIEW-CHANGE for the next view, by which a correct primary resigns, stays here. */
#include "tests/evil/evil.h"

#include "base/check.h"

struct evil evil = {.view = EVIL_ANY};

struct core *__wrap_core_new(const struct core_config *config)
{
    evil.core = *config;
    return __real_core_new(config);
}

/* So that a test can tell that it has. */
static void note(uint32_t member, uint64_t view)
{
    LOG_LIMITED(LOG_LEVEL_WARN, "evil.misbehaved", member, LOG_S("behaviour", evil.behaviour->name),
                LOG_U("view", view), LOG_U("member", member));
}

const char *__wrap_core_step(struct core *c, const struct core_event *event, struct core_effects *effects)
{
    if (evil.behaviour != NULL && evil.behaviour->deaf && event->type == CORE_EVENT_MESSAGE &&
        event->message.verified->msg.type == WIRE_TYPE_request) {
        const struct core_summary s = core_summary(c);
        const uint64_t last = s.proposed > s.executed ? s.proposed : s.executed;
        if (evil_at(s.view, last + 1)) {
            note(evil.core.self, s.view);
            return "not heard, on purpose";
        }
    }
    return __real_core_step(c, event, effects);
}

bool evil_send(struct node *n, uint32_t member, enum wire_type type, struct blob *bytes, bool resend)
{
    return evil.lossy ? links_send(n, member, type, bytes, resend)
                      : __real_node_send_member(n, member, type, bytes, resend);
}

/* False: this replica misbehaves by not sending it, or has sent something else. */
static bool leaves(struct node *n, uint32_t member, const struct wire_message *m, bool resend)
{
    const uint32_t self = evil.core.self;
    if (m->type == WIRE_TYPE_view_change && m->view_change.sender == self && m->view_change.view > 0)
        return !evil_at(m->view_change.view - 1, SEQ_MAX);
    if (m->type != WIRE_TYPE_pre_prepare || !evil_at(m->pre_prepare.view, m->pre_prepare.seq)) return true;
    const struct evil_proposal p = {.node = n,
                                    .member = member,
                                    .place = member > self ? member - 1 : member,
                                    .resend = resend,
                                    .message = &m->pre_prepare};
    const bool true_one = evil.behaviour->propose(&p);
    if (!true_one) note(member, m->pre_prepare.view);
    return true_one;
}

bool __wrap_node_send_member(struct node *n, uint32_t member, enum wire_type type, struct blob *bytes, bool resend)
{
    struct wire_message m;
    if (evil.behaviour != NULL) {
        const char *fault = wire_decode(blob_bytes(bytes), &m);
        CHECK(fault == NULL); /* it is the core's own */
        if (!leaves(n, member, &m, resend)) return true;
    }
    return evil_send(n, member, type, bytes, resend);
}
