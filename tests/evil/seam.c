/* seam.c - where pbft-evil gets between the core and the world.
 *
 * What the core says passes node_send_member once for each receiver, after whatever had to be durable first: the
 * misbehaviour is about what is said, not about the disk. */
#include "tests/evil/process.h"

#include "base/check.h"
#include "replica/core/core_internal.h"

struct evil_process process;

static void send_frame(void *context, uint32_t member, enum wire_type type, struct blob *bytes, bool resend)
{
    struct node *n = process.node;
    (void)context;
    if (n == NULL) return;
    (void)(process.lossy ? links_send(n, member, type, bytes, resend)
                         : __real_node_send_member(n, member, type, bytes, resend));
}

static void tell_client(void *context, uint32_t client, enum wire_type type, struct blob *bytes)
{
    (void)context;
    (void)type;
    if (process.node != NULL) __real_node_send_client(process.node, client, bytes);
}

/* So that a test can tell that it has. */
static void note(void *context, const char *behaviour, uint32_t member, uint64_t view)
{
    (void)context;
    LOG_LIMITED(LOG_LEVEL_WARN, "evil.misbehaved", member, LOG_S("behaviour", behaviour), LOG_U("view", view),
                LOG_U("member", member));
}

struct core *__wrap_core_new(const struct core_config *config)
{
    evil_start(&process.evil, config, (struct evil_world){.send = send_frame, .tell = tell_client, .note = note},
               config->self + 1u);
    return __real_core_new(config);
}

/* trickle: the core itself makes batches of one request, one at a time, while it leads. */
static void shape(struct core *c, const struct evil *e)
{
    const bool trickles = evil_is_told(e, "trickle") && core_is_primary(c);
    c->config.batch_requests_max = trickles ? 1 : e->core.batch_requests_max;
    c->config.batch_fill = trickles ? 1 : e->core.batch_fill;
    c->config.pipeline_max = trickles ? 1 : e->core.pipeline_max;
}

const char *__wrap_core_step(struct core *c, const struct core_event *event, struct core_effects *effects)
{
    struct evil *e = &process.evil;
    if (event->type == CORE_EVENT_MESSAGE && e->order_count > 0 &&
        !evil_hears(e, event->message.verified->blob, &event->message.verified->msg))
        return "not heard, on purpose";
    const char *ignored = __real_core_step(c, event, effects);
    if (event->type == CORE_EVENT_TICK && e->order_count > 0) {
        const struct core_summary s = core_summary(c);
        evil_wakes(e, event->tick.monotonic_us, &s);
        shape(c, e);
    }
    return ignored;
}

bool __wrap_node_send_member(struct node *n, uint32_t member, enum wire_type type, struct blob *bytes, bool resend)
{
    process.node = n;
    if (process.evil.order_count > 0 && !evil_says(&process.evil, member, bytes, resend)) return true;
    return process.lossy ? links_send(n, member, type, bytes, resend)
                         : __real_node_send_member(n, member, type, bytes, resend);
}

void __wrap_node_send_client(struct node *n, uint32_t client, struct blob *bytes)
{
    process.node = n;
    if (process.evil.order_count > 0 && !evil_answers(&process.evil, client, NULL, bytes)) return;
    __real_node_send_client(n, client, bytes);
}

void __wrap_node_query_done(struct node *n, struct execution_job *j)
{
    process.query = j->query;
    __real_node_query_done(n, j);
    process.query = NULL;
}

/* Answers to reads, and BUSYs. What it says of itself is true (`pbft status`), and so is its HELLO: who runs it waits
 * for both. */
void __wrap_session_send(struct session *s, const struct wire_record *record, const void *message)
{
    const bool read = record->number == WIRE_TYPE_result && process.query != NULL;
    process.node = s->node;
    if (process.evil.order_count > 0 && s->kind == SESSION_CLIENT && (read || record->number == WIRE_TYPE_busy)) {
        struct blob *bytes = wire_encode_blob(record, message);
        const bool as_it_is = evil_answers(&process.evil, s->client, process.query, bytes);
        blob_release(bytes);
        if (!as_it_is) return;
    }
    __real_session_send(s, record, message);
}
