/* client.c - opening a client, submitting, reading, the blocking calls. */
#include "client/client_internal.h"

#include "base/check.h"
#include "base/clock.h"
#include "crypto/keyfile.h"
#include "wire/certified.h"
#include "wire/print.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMER_SECONDS 0.02
#define EXPIRY_MS (3600u * 1000u) /* of a transaction without a given one */

_Static_assert(PBFT_WINDOW == CLIENT_WINDOW, "the library's window is the ledger's");
_Static_assert(PBFT_ARGS_MAX == OP_ARGS_MAX, "the library's operations are the protocol's");
_Static_assert(PBFT_REPLICAS_MAX == REPLICAS_MAX, "the library's groups are the protocol's");
_Static_assert(PBFT_REQUEST_BYTES_MAX == REQUEST_BYTES_MAX, "the library's limit is the protocol's");

struct pbft_error client_error(enum pbft_status status, const char *format, ...)
{
    struct pbft_error e = {.status = status};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(e.text, sizeof e.text, format, args);
    va_end(args);
    return e;
}

struct pbft_error client_ok(void)
{
    struct pbft_error e;
    e.status = PBFT_OK;
    e.text[0] = '\0';
    return e;
}

uint64_t client_now_us(void)
{
    return clock_monotonic_us();
}

uint32_t client_connected(const struct pbft_client *c)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < c->quorum.replica_count; id++)
        if (c->links[id].greeted) count++;
    return count;
}

static const char *silence_reason(const struct replica_link *l)
{
    return l->reason[0] != '\0' ? l->reason : "no answer yet";
}

/* True when a replica with a lower id is not connected for the same reason. */
static bool reason_named(const struct pbft_client *c, uint32_t id)
{
    for (uint32_t k = 0; k < id; k++)
        if (!c->links[k].greeted && strcmp(silence_reason(&c->links[k]), silence_reason(&c->links[id])) == 0)
            return true;
    return false;
}

void client_describe_silence(const struct pbft_client *c, struct buffer *out)
{
    bool any = false;
    for (uint32_t id = 0; id < c->quorum.replica_count; id++) {
        if (c->links[id].greeted || reason_named(c, id)) continue;
        const char *reason = silence_reason(&c->links[id]);
        buffer_printf(out, "%s%u", any ? ", " : "not connected: ", id);
        for (uint32_t k = id + 1; k < c->quorum.replica_count; k++)
            if (!c->links[k].greeted && strcmp(silence_reason(&c->links[k]), reason) == 0)
                buffer_printf(out, ", %u", k);
        buffer_printf(out, " (%s)", reason);
        any = true;
    }
    if (!any) buffer_printf(out, "all replicas are connected");
}

void client_describe_primary(const struct pbft_client *c, struct buffer *out)
{
    if (c->view_known)
        buffer_printf(out, "the primary is replica %u of view %" PRIu64, quorum_primary(&c->quorum, c->view), c->view);
    else
        buffer_printf(out, "the primary is unknown");
}

void client_text_fit(const struct buffer *text, char *out, size_t size)
{
    static const char dots[] = " ...";
    CHECK_OP(size, >, sizeof dots);
    size_t len = text->len;
    if (len >= size) {
        len = size - sizeof dots;
        while (len > 0 && text->data[len] != ' ')
            len--;
        while (len > 0 && (text->data[len - 1] == ' ' || text->data[len - 1] == ','))
            len--;
        memcpy(out + len, dots, sizeof dots);
    } else {
        out[len] = '\0';
    }
    if (len > 0) memcpy(out, text->data, len);
}

static void on_poll_end(struct ev_loop *loop, struct ev_timer *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct pbft_client *c = w->data;
    (void)loop;
    (void)events;
    client_dial(c);
    client_ask_lagging(c);
    client_timers(c);
}

static struct err open_parts(const struct pbft_options *options, struct pbft_client *c)
{
    bool development;
    ERR_TRY(sign_start());
    c->group_path = strdup(options->group_path);
    CHECK(c->group_path != NULL);
    ERR_TRY(group_read(options->group_path, &c->group));
    ERR_TRY(keyfile_read_secret(options->key_path, &c->key, &development));
    c->public = secret_key_public(&c->key);
    if (group_client_by_key(c->group, &c->public) < 0)
        return err_make(ERR_CONFIG, "the key %s is not a client's of the group in %s; ask its operators to add it",
                        options->key_path, options->group_path);
    c->quorum = quorum_of(c->group->member_count);
    c->links = mem_zero(c->group->member_count, sizeof *c->links);
    c->member_keys = mem_zero(c->group->member_count, sizeof *c->member_keys);
    for (uint32_t id = 0; id < c->group->member_count; id++) {
        c->member_keys[id] = c->group->members[id].signing_key;
        c->links[id].client = c;
        c->links[id].id = id;
        char host[GROUP_ADDRESS_BYTES_MAX];
        ERR_TRY(address_parse(c->group->members[id].address, host, &c->links[id].port));
        struct err e = net_resolve(host, c->links[id].host);
        if (err_is(&e)) c->links[id].host[0] = '\0'; /* the others may suffice */
    }
    if (options->journal_path != NULL)
        ERR_TRY(client_journal_open(options->journal_path, &c->journal_fd, &c->journal_seq));
    c->loop = ev_loop_new(EVFLAG_AUTO);
    if (c->loop == NULL) return err_make(ERR_IO, "libev cannot start");
    return net_new(c->loop, &c->key, &client_net_events, c, REPLICAS_MAX, &c->net);
}

struct pbft_error pbft_open(const struct pbft_options *options, struct pbft_client **out)
{
    *out = NULL;
    if (options == NULL || options->group_path == NULL || options->key_path == NULL)
        return client_error(PBFT_BAD_ARGUMENT, "pbft_open needs a group file and a key file");
    struct pbft_client *c = mem_zero(1, sizeof *c);
    c->journal_fd = -1;
    c->timeout_us = (options->timeout_ms == 0 ? CLIENT_TIMEOUT_MS_DEFAULT : options->timeout_ms) * 1000u;
    c->random = prng_of(clock_monotonic_us() ^ (uint64_t)getpid());
    c->window_question = ++c->next_read;
    const struct err e = open_parts(options, c);
    if (err_is(&e)) {
        pbft_close(c);
        return client_error(PBFT_BAD_CONFIG, "%s", e.text);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    ev_timer_init(&c->timer, on_timer, 0.0, TIMER_SECONDS);
    ev_timer_init(&c->poll_end, on_poll_end, 0.0, 0.0);
    c->timer.data = c;
    ev_timer_start(c->loop, &c->timer);
    client_dial(c);
    *out = c;
    return client_ok();
}

void pbft_close(struct pbft_client *c)
{
    if (c == NULL) return;
    CHECK(!c->in_callback); /* pbft_poll still works with it */
    for (uint32_t k = 0; k < PBFT_WINDOW; k++) {
        client_pending_free(c, &c->submits[k]);
        client_pending_free(c, &c->refused[k]);
    }
    for (uint32_t k = 0; k < CLIENT_READS_MAX; k++)
        client_pending_free(c, &c->reads[k]);
    net_free(c->net);
    if (c->loop != NULL) ev_loop_destroy(c->loop);
    if (c->journal_fd >= 0) (void)close(c->journal_fd);
    group_free(c->group);
    free(c->group_path);
    secret_key_wipe(&c->key);
    free(c->links);
    free(c->member_keys);
    free(c);
}

void pbft_poll(struct pbft_client *c, uint64_t timeout_ms)
{
    const uint64_t until = client_now_us() + timeout_ms * 1000u;
    CHECK(!c->in_callback);
    c->called_back = false;
    if (timeout_ms > 0) {
        ev_now_update(c->loop);
        ev_timer_set(&c->poll_end, (double)timeout_ms / 1000.0, 0.0);
        ev_timer_start(c->loop, &c->poll_end);
    }
    do
        (void)ev_run(c->loop, timeout_ms == 0 ? EVRUN_NOWAIT : EVRUN_ONCE);
    while (!c->called_back && client_now_us() < until);
    ev_timer_stop(c->loop, &c->poll_end);
}

struct pbft_error client_refuse_in_callback(const char *call)
{
    return client_error(PBFT_IN_CALLBACK, "%s waits, which a callback of the same client may not", call);
}

static struct pbft_error not_ready(const struct pbft_client *c)
{
    struct pbft_error e = {.status = PBFT_TIMEOUT};
    struct buffer text = {0};
    buffer_printf(&text, "%u of %u replicas answer, a quorum of %u is needed; ", client_connected(c),
                  c->quorum.replica_count, c->quorum.quorum);
    client_describe_primary(c, &text);
    buffer_printf(&text, "; ");
    client_describe_silence(c, &text);
    client_text_fit(&text, e.text, sizeof e.text);
    buffer_free(&text);
    return e;
}

struct pbft_error client_refuse_foreign(const struct pbft_client *c)
{
    return client_error(
        PBFT_BAD_CONFIG,
        "the replicas that answer belong to another group than %s describes: get the group file that they run with "
        "from their operators (pbft group check FILE shows the id to compare)",
        c->group_path);
}

struct pbft_error pbft_ready(struct pbft_client *c, uint64_t timeout_ms)
{
    const uint64_t until = client_now_us() + timeout_ms * 1000u;
    if (c->next_seq == 0 && c->in_callback) return client_refuse_in_callback("pbft_ready");
    while (c->next_seq == 0) {
        if (client_group_foreign(c)) return client_refuse_foreign(c);
        if (client_now_us() >= until) return not_ready(c);
        (void)ev_run(c->loop, EVRUN_ONCE);
    }
    return client_ok();
}

uint32_t pbft_in_flight(const struct pbft_client *c)
{
    return c->in_flight;
}

static struct pending *pending_new(struct pbft_client *c, struct pending *p, enum pending_kind kind, uint64_t seq,
                                   pbft_callback callback, void *context)
{
    CHECK(p->kind == PENDING_FREE);
    p->kind = kind;
    p->seq = seq;
    p->callback = callback;
    p->context = context;
    p->since_us = client_now_us();
    p->deadline_us = p->since_us + c->timeout_us;
    p->votes = mem_zero(c->quorum.replica_count, sizeof *p->votes);
    c->in_flight++;
    return p;
}

/* Encodes one operation as an item of a list; false when it is over the limits. */
static bool encode_operation(const struct pbft_operation *op, struct wire_operation *out, struct buffer *args)
{
    size_t size = 0;
    if (op->arg_count > PBFT_ARGS_MAX) return false;
    for (uint32_t i = 0; i < op->arg_count; i++) {
        if (op->args[i].len > REQUEST_BYTES_MAX) return false;
        size += op->args[i].len + 9;
    }
    *out = (struct wire_operation){.app = op->app, .verb = op->verb};
    args->len = 0;
    struct writer w = writer_of(buffer_reserve(args, size + 1), size + 1);
    for (uint32_t i = 0; i < op->arg_count; i++)
        wire_list_add_bytes(&out->args, &w, bytes_of(op->args[i].data, op->args[i].len));
    return !w.overflow;
}

/* Encodes operations as the items of a list; false when they are over the limits. */
static bool encode_operations(const struct pbft_operation *ops, uint32_t op_count, struct buffer *items)
{
    struct buffer args = {0};
    bool fits = true;
    for (uint32_t i = 0; i < op_count && fits; i++) {
        struct wire_operation op;
        fits = encode_operation(&ops[i], &op, &args);
        if (!fits) break;
        const size_t size = wire_record_size(&wire_record_operation, &op);
        fits = items->len + size <= REQUEST_BYTES_MAX;
        if (!fits) break;
        struct writer w = writer_of(buffer_reserve(items, size), size);
        wire_encode_record(&wire_record_operation, &op, &w);
        items->len += size;
    }
    buffer_free(&args);
    return fits;
}

/* Signs a REQUEST. NULL when it is over the limit. */
static struct blob *sign_request(const struct pbft_client *c, uint64_t seq, uint64_t expiry_ms, struct wire_list ops,
                                 struct digest *transaction)
{
    struct wire_request m = {.epoch = c->epoch, .client = c->public, .seq = seq, .expiry_ms = expiry_ms, .ops = ops};
    if (wire_record_size(&wire_record_request, &m) > REQUEST_BYTES_MAX) return NULL;
    *transaction = wire_record_signing_digest(&c->group->id, &wire_record_request, &m);
    sign_digest(&c->key, transaction, &m.signature);
    return wire_encode_blob(&wire_record_request, &m);
}

/* Notes the sequence of a transaction, and sends it: to the primary. Of those beside others one now and then is a
 * witness, and goes to all at once: few enough to cost little, fewer of large ones. Where the primary alone knows what
 * waits, no backup can tell how long it waits, and a primary that lets every transaction wait would be what is usual
 * (docs/protocol.md, Demotion). One that is alone goes to all soon, however long they take of late, for the same
 * reason; it costs one message as long as nothing is amiss. */
static void launch(struct pbft_client *c, struct pending *p)
{
    const uint64_t now_us = client_now_us();
    bool alone = true;
    for (uint32_t k = 0; k < PBFT_WINDOW && alone; k++)
        alone = c->submits[k].kind == PENDING_FREE || &c->submits[k] == p;
    if (!alone) c->since_witness++;
    const uint32_t each = p->message->len > CLIENT_WITNESS_SMALL ? PBFT_WINDOW : CLIENT_WITNESS_EACH;
    const bool witness = !alone && c->since_witness >= each && now_us - c->witness_us >= CLIENT_WITNESS_US;
    if (witness) {
        c->since_witness = 0;
        c->witness_us = now_us;
    }
    p->witness = witness;
    p->backoff_us = alone ? CLIENT_RESEND_FIRST_US : client_first_resend_us(c);
    p->resend_us = now_us + p->backoff_us;
    p->sent_to_all = false;
    if (p->seq > c->journal_seq) {
        c->journal_seq = p->seq;
        client_journal_note(c->journal_fd, p->seq);
    }
    if (c->next_seq != 0 && p->seq >= c->next_seq) c->next_seq = p->seq + 1;
    if (witness || !client_send(&c->links[quorum_primary(&c->quorum, c->view)], p->message)) client_send_to_all(c, p);
}

bool client_order(struct pbft_client *c, struct pending *from)
{
    struct wire_message m;
    struct digest transaction;
    struct blob *query = NULL;
    CHECK(wire_decode(blob_bytes(from->message), &m) == NULL);
    if (from->kind == PENDING_READ) query = wire_encode_blob(&wire_record_operation, &m.query.operation);
    const struct wire_list ops =
        query == NULL ? m.request.ops : (struct wire_list){.items = blob_bytes(query), .count = 1};
    struct blob *message = sign_request(c, c->next_seq, clock_wall_ms() + EXPIRY_MS, ops, &transaction);
    blob_release(query);
    if (message == NULL) return false;
    struct pending *p = &c->submits[c->next_seq % PBFT_WINDOW];
    CHECK(p->kind == PENDING_FREE);
    *p = *from;
    *from = (struct pending){.kind = PENDING_FREE};
    client_votes_clear(c, p);
    blob_release(p->message);
    p->reads = p->reads || p->kind == PENDING_READ;
    p->kind = PENDING_SUBMIT;
    p->chosen = true;
    p->seq = c->next_seq;
    p->message = message;
    p->transaction = transaction;
    launch(c, p);
    return true;
}

struct pbft_error pbft_submit_at(struct pbft_client *c, uint64_t client_seq, uint64_t expiry_ms,
                                 const struct pbft_operation *ops, uint32_t op_count, pbft_callback callback,
                                 void *context)
{
    if (op_count == 0 || op_count > OPS_MAX || client_seq == 0 || client_seq > SEQ_MAX || expiry_ms > TIME_MS_MAX)
        return client_error(PBFT_BAD_ARGUMENT, "a transaction has 1 to %u operations and a sequence from 1", OPS_MAX);
    if (!client_window_allows(c, client_seq))
        return client_error(PBFT_WINDOW_FULL, "%u sequences are in flight", PBFT_WINDOW);
    struct digest transaction;
    struct buffer items = {0};
    struct blob *message = NULL;
    if (encode_operations(ops, op_count, &items)) {
        const struct wire_list list = {.items = bytes_of(items.data, items.len), .count = op_count};
        message = sign_request(c, client_seq, expiry_ms, list, &transaction);
    }
    buffer_free(&items);
    if (message == NULL)
        return client_error(
            PBFT_TOO_LARGE,
            "the transaction is over the limit of %u bytes, in which its framing and signature count too: one value "
            "of %u bytes fits (an operation has %u arguments at most)",
            REQUEST_BYTES_MAX, PBFT_VALUE_BYTES_MAX, PBFT_ARGS_MAX);
    struct pending *p =
        pending_new(c, &c->submits[client_seq % PBFT_WINDOW], PENDING_SUBMIT, client_seq, callback, context);
    p->message = message;
    p->transaction = transaction;
    p->op_count = op_count;
    launch(c, p);
    return client_ok();
}

static struct pbft_error window_full(void)
{
    return client_error(PBFT_WINDOW_FULL, "%u sequences are in flight, or the next one is being learned", PBFT_WINDOW);
}

struct pbft_error pbft_submit(struct pbft_client *c, const struct pbft_operation *ops, uint32_t op_count,
                              pbft_callback callback, void *context)
{
    if (!pbft_can_submit(c)) return window_full();
    if (c->next_seq == 0 || client_window_spent(c)) {
        if (c->next_seq != 0) client_forget_sequence(c);
        const struct pbft_error ready = pbft_ready(c, c->timeout_us / 1000u);
        if (ready.status != PBFT_OK) return ready;
        if (!pbft_can_submit(c)) return window_full(); /* callbacks ran meanwhile */
    }
    const uint64_t seq = c->next_seq;
    const struct pbft_error e = pbft_submit_at(c, seq, clock_wall_ms() + EXPIRY_MS, ops, op_count, callback, context);
    if (e.status == PBFT_OK) c->submits[seq % PBFT_WINDOW].chosen = true;
    return e;
}

/* The next number whose slot is free, 0: all are taken. Reads end in any order. */
static uint64_t read_number(const struct pbft_client *c)
{
    for (uint64_t number = c->next_read + 1; number <= c->next_read + CLIENT_READS_MAX; number++)
        if (c->reads[number % CLIENT_READS_MAX].kind == PENDING_FREE) return number;
    return 0;
}

/* A read of that kind, not asked yet. NULL: *error says why not. */
static struct pending *read_new(struct pbft_client *c, enum pending_kind kind, const struct pbft_operation *op,
                                pbft_callback callback, void *context, struct pbft_error *error)
{
    struct buffer args = {0};
    struct bytes key;
    uint8_t space[STATE_KEY_BYTES_MAX];
    struct wire_query q = {.epoch = c->epoch,
                           .number = read_number(c),
                           .mode = kind == PENDING_CERTIFIED ? QUERY_MODE_CERTIFIED : QUERY_MODE_QUORUM};
    *error = client_ok();
    if (q.number == 0)
        *error = client_error(PBFT_WINDOW_FULL, "%u reads are in flight", CLIENT_READS_MAX);
    else if (!encode_operation(op, &q.operation, &args) || wire_record_size(&wire_record_query, &q) > REQUEST_BYTES_MAX)
        *error = client_error(PBFT_TOO_LARGE, "the read is over the limit of %u bytes", REQUEST_BYTES_MAX);
    else if (kind == PENDING_CERTIFIED && !certified_reads_key(&q.operation, space, &key))
        *error = client_error(PBFT_BAD_ARGUMENT, "%s", CERTIFIED_NOT_ONE_KEY);
    if (error->status != PBFT_OK) {
        buffer_free(&args);
        return NULL;
    }
    c->next_read = q.number;
    struct pending *p = pending_new(c, &c->reads[q.number % CLIENT_READS_MAX], kind, q.number, callback, context);
    p->message = wire_encode_blob(&wire_record_query, &q);
    p->op_count = 1;
    p->rounds = 1;
    p->resend_us = p->since_us + CLIENT_READ_ROUND_US;
    buffer_free(&args);
    return p;
}

struct pbft_error pbft_read(struct pbft_client *c, const struct pbft_operation *op, pbft_callback callback,
                            void *context)
{
    struct pbft_error e;
    if (!c->in_callback) { /* there it may not wait, and what is not connected yet is asked in the next round */
        e = pbft_ready(c, c->timeout_us / 1000u);
        if (e.status != PBFT_OK) return e;
    }
    const struct pending *p = read_new(c, PENDING_READ, op, callback, context, &e);
    for (uint32_t id = 0; p != NULL && id < c->quorum.replica_count; id++)
        (void)client_send(&c->links[id], p->message);
    return e;
}

struct pbft_error pbft_read_certified(struct pbft_client *c, const struct pbft_operation *op, uint64_t at_least,
                                      pbft_callback callback, void *context)
{
    struct pbft_error e;
    struct pending *p = read_new(c, PENDING_CERTIFIED, op, callback, context, &e);
    if (p != NULL) client_certified_begin(c, p, at_least);
    return e;
}

/* ---- blocking forms ---- */

/* An answer with everything it points to, in one place. */
struct kept_answer {
    struct pbft_answer answer;
    bool done;
};

static void keep_answer(void *context, const struct pbft_answer *answer)
{
    struct kept_answer *k = context;
    k->answer = *answer;
    k->done = true;
    const uint32_t count = answer->status == PBFT_OK ? answer->op_count : 0;
    enum pbft_outcome *outcomes = mem_zero(count + 1u, sizeof *outcomes);
    struct pbft_bytes *values = mem_zero(count + 1u, sizeof *values);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *copy = mem_alloc(answer->values[i].len + 1);
        if (answer->values[i].len > 0) memcpy(copy, answer->values[i].data, answer->values[i].len);
        outcomes[i] = answer->outcomes[i];
        values[i] = (struct pbft_bytes){.data = copy, .len = answer->values[i].len};
    }
    k->answer.outcomes = outcomes;
    k->answer.values = values;
    k->answer.value = count > 0 ? values[0] : (struct pbft_bytes){0};
    k->answer.op_count = count;
}

void pbft_answer_free(struct pbft_answer *a)
{
    if (a == NULL) return;
    for (uint32_t i = 0; i < a->op_count; i++)
        free((void *)(uintptr_t)a->values[i].data);
    free((void *)(uintptr_t)a->outcomes);
    free((void *)(uintptr_t)a->values);
    free(a); /* the first member of its kept_answer */
}

static struct pbft_error wait_for(struct pbft_client *c, struct pbft_error started, struct kept_answer *k,
                                  struct pbft_answer **out)
{
    if (started.status != PBFT_OK) {
        free(k);
        return started;
    }
    while (!k->done)
        pbft_poll(c, 1000); /* ends: every transaction and read has a deadline */
    *out = &k->answer;
    return k->answer.status == PBFT_OK ? client_ok() : client_error(k->answer.status, "%s", k->answer.text);
}

struct pbft_error pbft_submit_wait(struct pbft_client *c, const struct pbft_operation *ops, uint32_t op_count,
                                   struct pbft_answer **out)
{
    *out = NULL;
    if (c->in_callback) return client_refuse_in_callback("pbft_submit_wait");
    struct kept_answer *k = mem_zero(1, sizeof *k);
    return wait_for(c, pbft_submit(c, ops, op_count, keep_answer, k), k, out);
}

struct pbft_error pbft_read_wait(struct pbft_client *c, const struct pbft_operation *op, struct pbft_answer **out)
{
    *out = NULL;
    if (c->in_callback) return client_refuse_in_callback("pbft_read_wait");
    struct kept_answer *k = mem_zero(1, sizeof *k);
    return wait_for(c, pbft_read(c, op, keep_answer, k), k, out);
}

struct pbft_error pbft_read_certified_wait(struct pbft_client *c, const struct pbft_operation *op, uint64_t at_least,
                                           struct pbft_answer **out)
{
    *out = NULL;
    if (c->in_callback) return client_refuse_in_callback("pbft_read_certified_wait");
    struct kept_answer *k = mem_zero(1, sizeof *k);
    return wait_for(c, pbft_read_certified(c, op, at_least, keep_answer, k), k, out);
}

/* ---- names and numbers ---- */

uint32_t pbft_replica_count(const struct pbft_client *c)
{
    return c->quorum.replica_count;
}

uint32_t pbft_faulty_max(const struct pbft_client *c)
{
    return c->quorum.faulty_max;
}

const char *pbft_condition_name(uint32_t condition)
{
    return wire_condition_name(condition);
}

const char *pbft_condition_note(uint32_t condition)
{
    if (condition == CONDITION_LOG_DISK_FULL)
        return "no room for log/ of its data directory: it casts no vote; free some space, it goes on by itself";
    if (condition == CONDITION_STATE_DISK_FULL)
        return "no room for state/ of its data directory: it casts no vote; free some space, it goes on by itself";
    return "";
}

const char *pbft_status_name(enum pbft_status status)
{
    static const char *const names[] = {"ok",       "window-full", "timeout",    "conflict",     "too-old",
                                        "rejected", "too-large",   "bad-config", "bad-argument", "in-callback"};
    return (uint32_t)status < sizeof names / sizeof names[0] ? names[status] : "unknown";
}

const char *pbft_outcome_name(enum pbft_outcome outcome)
{
    static const char *const names[] = {"ok", "negative", "expired", "refused"};
    return (uint32_t)outcome < sizeof names / sizeof names[0] ? names[outcome] : "unknown";
}
