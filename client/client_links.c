/* client_links.c - the connections to the replicas. */
#include "client/client_internal.h"

#include <stdio.h>
#include <string.h>

#define BACKOFF_FIRST_US 50000u
#define BACKOFF_MOST_US 2000000u

static struct replica_link *link_of(const struct net_connection *c)
{
    return net_user(c);
}

static bool on_admit(void *context, struct net_connection *connection, const struct public_key *key,
                     size_t *frame_bytes_max, size_t *queue_bytes_max)
{
    struct pbft_client *c = context;
    const struct replica_link *l = link_of(connection);
    *frame_bytes_max = FRAME_BYTES_MAX;
    *queue_bytes_max = CLIENT_QUEUE_BYTES_MAX;
    return public_key_equal(key, &c->group->members[l->id].transport_key);
}

static void on_opened(void *context, struct net_connection *connection)
{
    struct pbft_client *c = context;
    const struct wire_hello hello = {.version = WIRE_VERSION,
                                     .group = c->group->id,
                                     .epoch = c->epoch,
                                     .role = HELLO_ROLE_CLIENT,
                                     .key = c->public,
                                     .software = bytes_of_text("libpbft")};
    struct blob *bytes = wire_encode_blob(&wire_record_hello, &hello);
    (void)net_send(connection, bytes);
    blob_release(bytes);
}

void client_ask_local(struct replica_link *l, uint64_t number, enum system_verb verb)
{
    const struct wire_query q = {.epoch = l->client->epoch,
                                 .number = number,
                                 .mode = QUERY_MODE_LOCAL,
                                 .operation = {.app = APP_SYSTEM, .verb = verb}};
    struct blob *bytes = wire_encode_blob(&wire_record_query, &q);
    (void)client_send(l, bytes);
    blob_release(bytes);
}

/* Where do this client's sequences stand? */
void client_ask_window(struct replica_link *l)
{
    client_ask_local(l, l->client->window_question, SYSTEM_VERB_CLIENT);
}

static void take_hello(struct replica_link *l, const struct wire_message *m)
{
    struct pbft_client *c = l->client;
    const char *fault = NULL;
    l->foreign = false;
    if (m->type != WIRE_TYPE_hello || m->hello.role != HELLO_ROLE_REPLICA || m->hello.id != l->id)
        fault = "it did not introduce itself as this replica";
    else if (m->hello.version != WIRE_VERSION)
        fault = "it speaks another version of the protocol";
    else if (!digest_equal(&m->hello.group, &c->group->id))
        fault = "it belongs to another group: compare the group files";
    else if (m->hello.epoch != c->epoch)
        fault = "it is in another epoch of the group: a newer group file is needed";
    if (fault != NULL) {
        l->foreign = m->type == WIRE_TYPE_hello && !digest_equal(&m->hello.group, &c->group->id);
        net_close(l->connection, fault);
        return;
    }
    l->greeted = true;
    l->backoff_us = 0;
    l->reason[0] = '\0';
    client_ask_window(l);
}

bool client_group_foreign(const struct pbft_client *c)
{
    uint32_t foreign = 0;
    uint32_t awaited = 0;
    for (uint32_t id = 0; id < c->quorum.replica_count; id++) {
        const struct replica_link *l = &c->links[id];
        if (l->greeted) return false;
        if (l->foreign)
            foreign++;
        else if (l->reason[0] == '\0')
            awaited++;
    }
    return foreign >= c->quorum.weak && (awaited == 0 || foreign > c->quorum.replica_count - c->quorum.quorum);
}

static void take_window(struct replica_link *l, const struct wire_result *m)
{
    struct wire_client_status status;
    if (wire_decode_record(&wire_record_client_status, m->value, &status) != NULL) return;
    l->window_known = true;
    l->highest_settled = status.highest_settled;
    client_learn_sequence(l->client);
}

static void take_view(struct replica_link *l, uint64_t view)
{
    l->view = view;
    l->view_said = true;
}

/* Said by this replica, of the group's epoch: anything else is no word of it, not even of its view. */
static bool said_by(const struct replica_link *l, uint64_t sender, uint64_t epoch)
{
    return sender == l->id && epoch == l->client->epoch;
}

static void on_frame(void *context, struct net_connection *connection, struct blob *frame)
{
    struct replica_link *l = link_of(connection);
    struct wire_message m;
    const char *fault = wire_decode(blob_bytes(frame), &m);
    (void)context;
    if (fault != NULL) {
        net_close(connection, "it sent something malformed");
    } else if (!l->greeted) {
        take_hello(l, &m);
    } else if (m.type == WIRE_TYPE_reply && said_by(l, m.reply.sender, m.reply.epoch)) {
        take_view(l, m.reply.view);
        client_on_reply(l, &m.reply);
    } else if (m.type == WIRE_TYPE_busy && said_by(l, m.busy.sender, m.busy.epoch)) {
        take_view(l, m.busy.view);
        client_on_busy(l, &m.busy);
    } else if (m.type == WIRE_TYPE_result && said_by(l, m.result.sender, m.result.epoch)) {
        take_view(l, m.result.view);
        if (m.result.number == l->client->window_question)
            take_window(l, &m.result);
        else
            client_on_result(l, &m.result);
    }
    client_learn_view(l->client);
    blob_release(frame);
}

static void on_closed(void *context, struct net_connection *connection, const char *reason)
{
    struct pbft_client *c = context;
    struct replica_link *l = link_of(connection);
    const bool was_primary = l->greeted && quorum_primary(&c->quorum, c->view) == l->id;
    (void)snprintf(l->reason, sizeof l->reason, "%s", reason);
    l->connection = NULL;
    l->greeted = false;
    l->window_known = false;
    l->header_known = false;
    if (was_primary) client_primary_lost(c);
}

const struct net_events client_net_events = {
    .admit = on_admit, .opened = on_opened, .frame = on_frame, .closed = on_closed};

bool client_send(struct replica_link *l, struct blob *bytes)
{
    return l->greeted && l->connection != NULL && net_send(l->connection, bytes);
}

void client_dial(struct pbft_client *c)
{
    const uint64_t now = client_now_us();
    for (uint32_t id = 0; id < c->quorum.replica_count; id++) {
        struct replica_link *l = &c->links[id];
        if (l->connection != NULL || now < l->next_dial_us) continue;
        l->backoff_us = l->backoff_us == 0 ? BACKOFF_FIRST_US : l->backoff_us * 2;
        if (l->backoff_us > BACKOFF_MOST_US) l->backoff_us = BACKOFF_MOST_US;
        l->next_dial_us = now + l->backoff_us / 2 + prng_below(&c->random, l->backoff_us);
        l->connection = net_connect(c->net, l->host, l->port, l);
        if (l->connection == NULL) (void)snprintf(l->reason, sizeof l->reason, "its address does not resolve");
    }
}
