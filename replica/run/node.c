/* node.c - starting, running and stopping a replica. */
#include "replica/run/node_internal.h"

#include "base/check.h"
#include "base/clock.h"
#include "replica/run/recovery.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TICK_BUSY_SECONDS 0.002
#define TICK_IDLE_SECONDS 0.025
#define TICK_MOST_US 250000u /* that one tick moves the core's clock */
#define DRAIN_LEAST_SECONDS 0.3
#define DRAIN_MOST_SECONDS 3.0
#define FILES_BESIDE_CONNECTIONS 64u

const char *node_step(struct node *n, const struct core_event *event)
{
    recorder_event(n->recorder, n->core, event);
    const char *ignored = core_step(n->core, event, n->effects);
    recorder_effects(n->recorder, n->effects);
    if (ignored != NULL && event->type == CORE_EVENT_MESSAGE) {
        n->ignored_count++;
        LOG_LIMITED(LOG_LEVEL_DEBUG, "core.ignored", (uint64_t)(uintptr_t)ignored,
                    LOG_S("type", wire_type_name(event->message.verified->msg.type)), LOG_S("reason", ignored));
    }
    node_note_fetches(n, n->effects);
    node_perform(n, n->effects);
    return ignored;
}

/* Gives the core the time, when it may matter. Its clock all but stands still while the process does (SIGSTOP, a suspended
 * machine): what others said meanwhile waits in the sockets, and a time-out now would leave the view alone. */
void node_tick(struct node *n)
{
    const uint64_t now_us = clock_monotonic_us();
    const uint64_t passed_us = now_us - n->last_tick_us;
    if (passed_us < 500) return;
    n->core_us += n->last_tick_us != 0 && passed_us > TICK_MOST_US ? TICK_MOST_US : passed_us;
    n->last_tick_us = now_us;
    const struct core_event event = {.type = CORE_EVENT_TICK, .tick = {n->core_us, clock_wall_ms()}};
    node_step(n, &event);
}

/* Tells the core whether there is room for what it wants kept. Either thread finds out by itself, and tries again by itself. */
static void look_at_disk(struct node *n)
{
    const bool full = storage_disk_full(n->storage) || execution_disk_full(n->execution);
    if (full == n->disk_full) return;
    n->disk_full = full;
    const struct core_event event = {.type = CORE_EVENT_DISK, .disk_full = full};
    node_step(n, &event);
}

/* Says in the log when it reaches a quorum that can vote, and when it no longer does. */
static void note_ready(struct node *n, const struct core_summary *s)
{
    const uint32_t reached = s->listening ? node_peers_connected(n) : replica_set_count(&s->voters);
    const bool ready = s->started && node_peers_connected(n) + 1 >= n->wire.quorum.quorum && reached + 1 >= n->wire.quorum.quorum;
    if (ready && !n->ready)
        LOG(LOG_LEVEL_INFO, "replica.ready", LOG_U("view", s->view), LOG_U("executed", s->executed), LOG_U("stable", s->low),
            LOG_U("peers", node_peers_connected(n)));
    if (!ready && n->ready)
        LOG(LOG_LEVEL_WARN, "replica.no-quorum", LOG_U("connected", node_peers_connected(n) + 1),
            LOG_U("heard", s->peers_heard + 1), LOG_U("voting", reached + (s->fenced ? 0 : 1)),
            LOG_U("needed", n->wire.quorum.quorum),
            LOG_S("action", "see that enough of the other replicas run, can be reached and are not fenced"));
    n->ready = ready;
}

/* Says in the log when this replica would have another primary, and when it has left a view for that. */
static void note_suspicion(struct node *n, const struct core_summary *s)
{
    if (s->suspicion != NULL && !n->suspects)
        LOG_LIMITED(LOG_LEVEL_WARN, "primary.suspected", s->primary, LOG_U("primary", s->primary), LOG_U("view", s->view),
                    LOG_S("why", s->suspicion),
                    LOG_S("action", "none: its view is left once enough others see the same; if it comes again, look at that replica"));
    if (s->demotions != n->demotions)
        LOG(LOG_LEVEL_WARN, "primary.demoted", LOG_U("for", s->view), LOG_U("times", s->demotions));
    n->suspects = s->suspicion != NULL;
    n->demotions = s->demotions;
}

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct node *n = w->data;
    (void)events;
    node_tick(n);
    look_at_disk(n);
    node_run_queries(n);
    node_resume_clients(n);
    const struct core_summary s = core_summary(n->core);
    w->repeat = s.under_way > 0 || s.custody > 0 ? TICK_BUSY_SECONDS : TICK_IDLE_SECONDS;
    ev_timer_again(loop, w);
    reason_pace_note(&n->pace, &s, n->last_tick_us);
    note_ready(n, &s);
    note_suspicion(n, &s);
}

/* Called from any thread. */
void node_wake(void *context)
{
    struct node *n = context;
    ev_async_send(n->loop, &n->wake);
}

static void on_wake(struct ev_loop *loop, struct ev_async *w, int events)
{
    struct node *n = w->data;
    (void)loop;
    (void)events;
    node_tick(n);
    look_at_disk(n);
    node_take_storage(n);
    node_take_execution(n);
    node_take_verified(n);
    node_run_queries(n);
    node_resume_clients(n);
}

static void on_dial(struct ev_loop *loop, struct ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    node_dial(w->data);
}

static bool all_sent(const struct node *n)
{
    for (const struct session *s = n->sessions; s != NULL; s = s->next)
        if (s->connection != NULL && net_queued_bytes(s->connection) > 0) return false;
    return n->waiting_count == 0;
}

/* A clean stop: no new proposals, let what is under way finish, keep the votes, then end. */
static void on_drain(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct node *n = w->data;
    (void)events;
    const double waited = ev_now(loop) - n->drain_since;
    const struct core_summary s = core_summary(n->core);
    const bool quiet = n->again || s.walking || (s.under_way == 0 && !s.changing && waited >= DRAIN_LEAST_SECONDS); /* again, walking: nothing executes */
    if (!n->stopping && (quiet || waited >= DRAIN_MOST_SECONDS)) {
        n->stopping = true;
        const struct core_event event = {.type = CORE_EVENT_STOP};
        node_step(n, &event);
    }
    if (n->stopping && (all_sent(n) || waited >= 2 * DRAIN_MOST_SECONDS)) ev_break(loop, EVBREAK_ALL);
}

static void begin_stop(struct node *n)
{
    if (n->draining) return;
    n->draining = true;
    n->drain_since = ev_now(n->loop);
    const struct core_event event = {.type = CORE_EVENT_DRAIN};
    node_step(n, &event);
    ev_timer_start(n->loop, &n->drain);
}

void node_start_again(struct node *n)
{
    if (n->draining) return; /* it has been told to stop */
    n->again = true;
    begin_stop(n);
}

static void on_terminate(struct ev_loop *loop, struct ev_signal *w, int events)
{
    struct node *n = w->data;
    (void)loop;
    (void)events;
    n->again = false;
    if (n->draining) return;
    LOG(LOG_LEVEL_INFO, "replica.stopping", LOG_U("signal", w->signum));
    begin_stop(n);
}

/* HUP: log level and peer addresses. Everything else needs a restart. */
static void on_hangup(struct ev_loop *loop, struct ev_signal *w, int events)
{
    struct node *n = w->data;
    struct config fresh;
    struct group *g = NULL;
    (void)loop;
    (void)events;
    struct err e = config_read(n->config_path, &fresh);
    if (!err_is(&e)) e = group_read(fresh.group_path, &g);
    if (!err_is(&e) && !digest_equal(&g->id, &n->identity.group->id))
        e = err_make(ERR_CONFIG, "%s is another group now; only addresses may change", fresh.group_path);
    if (!err_is(&e)) e = node_read_addresses(n, g);
    if (err_is(&e)) {
        LOG(LOG_LEVEL_ERROR, "config.not-reloaded", LOG_S("error", e.text));
    } else {
        log_set_level(fresh.log_level);
        LOG(LOG_LEVEL_INFO, "config.reloaded", LOG_S("path", n->config_path));
    }
    group_free(g);
}

static struct err start_recorder(struct node *n, const struct node_options *options)
{
    if (options->record_path == NULL) return err_none();
    ERR_TRY(recorder_open(options->record_path, options->record_bytes, &n->recorder));
    LOG(LOG_LEVEL_INFO, "recording.started", LOG_S("path", options->record_path), LOG_U("bytes", options->record_bytes),
        LOG_U("files", RECORDER_FILES));
    return err_none();
}

static void sign_with_key(void *context, const struct digest *digest, struct signature *out)
{
    sign_digest(context, digest, out);
}

/* What is damaged in the state is put right from other replicas, unless it has just come from there: then it is something
 * else that is wrong. */
static bool may_repair(struct node *n, const struct err *e)
{
    const struct err pages = kv_store_fault(n->data.state); /* damaged ones must not be written to */
    if (e->code != ERR_CORRUPT || n->wire.quorum.replica_count == 1 || err_is(&pages)) return false;
    const uint64_t transferred = state_walk_ended_at(n->data.state);
    return transferred == 0 || n->executor == NULL || transferred != executor_base(n->executor);
}

static struct err recover(struct node *n, struct recovery *r)
{
    const uint32_t clients = n->identity.group->client_count;
    struct err e = err_none();
    if (!state_is_walking(n->data.state)) {
        e = executor_open(n->data.state, n->identity.group, &n->executor);
        if (!err_is(&e)) e = recovery_run(&n->data, n->executor, &n->wire, node_checker(n), n->config.id, clients, r);
        if (!err_is(&e) || !may_repair(n, &e)) return e;
        executor_close(n->executor);
        n->executor = NULL;
        const struct err rest = recovery_run(&n->data, NULL, &n->wire, node_checker(n), n->config.id, clients, r);
        if (err_is(&rest)) return e; /* the log is damaged too: no other state would help */
        LOG(LOG_LEVEL_ERROR, "state.damaged", LOG_S("error", e.text),
            LOG_S("action", "none: it is repaired from other replicas; check this machine's disk and memory"));
        e = state_mark_damaged(n->data.state);
        if (err_is(&e)) recovery_free(r);
        return e;
    }
    return recovery_run(&n->data, NULL, &n->wire, node_checker(n), n->config.id, clients, r);
}

static struct err start_core(struct node *n)
{
    struct recovery r;
    const struct err damaged = recover(n, &r);
    if (err_is(&damaged)) return data_dir_explain(n->config.data_path, &n->data, damaged);
    struct core_config config = {.group = n->wire,
                                 .self = n->config.id,
                                 .client_count = n->identity.group->client_count,
                                 .batch_requests_max = n->identity.group->batch_requests_max,
                                 .drift_ms = n->identity.group->drift_ms,
                                 .pipeline_max = (uint32_t)n->config.pipeline,
                                 .batch_fill = (uint32_t)n->config.batch_fill,
                                 .batch_delay_us = n->config.batch_delay_us,
                                 .resend_us = n->config.resend_ms * 1000,
                                 .heartbeat_us = n->config.heartbeat_ms * 1000,
                                 .timeout_us = n->config.timeout_ms * 1000,
                                 .timeout_cap_us = n->config.timeout_cap_ms * 1000,
                                 .transfer_after = n->config.transfer_after,
                                 .sign = sign_with_key,
                                 .sign_context = &n->identity.signing};
    if (n->recorder != NULL) recorder_wrap(n->recorder, &config);
    n->core = core_new(&config);
    n->effects = mem_zero(1, sizeof *n->effects);
    if (n->executor != NULL) {
        const struct wire_header header = executor_header(n->executor);
        n->entries = executor_entries(n->executor);
        if (r.recovered.executed > 0) n->header_hash = header_hash(&header);
    }
    struct err e = storage_start(n->data.log, &n->signer, node_wake, n, &n->storage);
    if (!err_is(&e)) e = execution_start(n->executor, n->data.state, &n->signer, (uint32_t)n->config.transfer_load, node_wake, n, &n->execution);
    if (!err_is(&e)) {
        LOG(LOG_LEVEL_INFO, "replica.recovered", LOG_U("view", r.recovered.view),
            LOG_U("executed", r.recovered.executed), LOG_U("stable", r.recovered.stable.seq),
            LOG_U("blocks_executed_again", r.blocks_executed), LOG_U("slots", r.recovered.slot_count),
            LOG_S("stop", r.recovered.clean ? "clean" : "unclean"));
        if (!r.recovered.clean)
            LOG(LOG_LEVEL_WARN, "replica.abstains", LOG_U("until", r.recovered.stable.seq + WINDOW_BATCHES),
                LOG_S("reason",
                      "after an unclean stop it may have voted and forgotten; it prepares nothing up to there"));
        node_tick(n);
        const struct core_event event = {.type = CORE_EVENT_START, .recovered = &r.recovered};
        node_step(n, &event);
        node_fold(n, r.recovered.stable.seq); /* what the start had no room for */
    }
    recovery_free(&r);
    return e;
}

/* Between two lives of a node in one process no signal is lost, nor ends it: those that come meanwhile wait for the second. */
static void hold_signals(int how)
{
    sigset_t set;
    CHECK(sigemptyset(&set) == 0 && sigaddset(&set, SIGTERM) == 0 && sigaddset(&set, SIGINT) == 0 &&
          sigaddset(&set, SIGHUP) == 0);
    CHECK(pthread_sigmask(how, &set, NULL) == 0);
}

static void start_watchers(struct node *n)
{
    ev_async_init(&n->wake, on_wake);
    n->wake.data = n;
    ev_async_start(n->loop, &n->wake);
    ev_timer_init(&n->tick, on_tick, TICK_BUSY_SECONDS, TICK_BUSY_SECONDS);
    n->tick.data = n;
    ev_timer_start(n->loop, &n->tick);
    ev_timer_init(&n->dial, on_dial, 0.0, 0.05);
    n->dial.data = n;
    ev_timer_start(n->loop, &n->dial);
    ev_timer_init(&n->drain, on_drain, 0.01, 0.01);
    n->drain.data = n;
    ev_signal_init(&n->on_term, on_terminate, SIGTERM);
    ev_signal_init(&n->on_int, on_terminate, SIGINT);
    ev_signal_init(&n->on_hup, on_hangup, SIGHUP);
    n->on_term.data = n;
    n->on_int.data = n;
    n->on_hup.data = n;
    ev_signal_start(n->loop, &n->on_term);
    ev_signal_start(n->loop, &n->on_int);
    ev_signal_start(n->loop, &n->on_hup);
    hold_signals(SIG_UNBLOCK);
}

/* libev keeps its list of signal watchers beside its loops: what is not stopped stays in it when the loop has gone, and the node
 * that is started next would find it there. */
static void stop_watchers(struct node *n)
{
    ev_signal_stop(n->loop, &n->on_term);
    ev_signal_stop(n->loop, &n->on_int);
    ev_signal_stop(n->loop, &n->on_hup);
    ev_async_stop(n->loop, &n->wake);
    ev_timer_stop(n->loop, &n->tick);
    ev_timer_stop(n->loop, &n->dial);
    ev_timer_stop(n->loop, &n->drain);
}

static struct err start_net(struct node *n)
{
    char host[GROUP_ADDRESS_BYTES_MAX];
    uint16_t port;
    const struct group *g = n->identity.group;
    const char *listen = n->config.listen[0] != '\0' ? n->config.listen : g->members[n->config.id].address;
    ERR_TRY(net_new(n->loop, &n->identity.transport, &node_net_events, n, CONNECTIONS_MAX, &n->net));
    ERR_TRY(address_parse(listen, host, &port));
    ERR_TRY(net_listen(n->net, host, &port));
    LOG(LOG_LEVEL_INFO, "replica.listening", LOG_S("host", host), LOG_U("port", port));
    return node_read_addresses(n, g);
}

static struct err start_http(struct node *n)
{
    if (n->config.http_listen[0] == '\0') return err_none();
    ERR_TRY(http_start(n->loop, n->config.http_listen, node_pages, node_page_count, n, &n->http));
    LOG(LOG_LEVEL_INFO, "http.listening", LOG_S("address", n->config.http_listen));
    if (!http_is_loopback(n->http))
        LOG(LOG_LEVEL_WARN, "http.reachable", LOG_S("address", n->config.http_listen),
            LOG_S("action", "it answers whoever reaches it, without a key: see that only your monitoring does"));
    return err_none();
}

/* A lane for each member and each client. A member's own limit is the only one that its messages meet: the room is for
 * all that the members may have inside together. */
static struct err start_pool(struct node *n)
{
    const struct group *g = n->identity.group;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const struct verify_pool_config config = {
        .threads = n->config.verify_threads > 0 ? (uint32_t)n->config.verify_threads
                   : cores < 1                  ? 1
                   : cores > 64                 ? 64
                                                : (uint32_t)cores,
        .classes = {[VERIFY_CLASS_MEMBER] = {.lanes = g->member_count,
                                             .jobs_max = g->member_count * NODE_PEER_INSIDE_MAX},
                    [VERIFY_CLASS_CLIENT] = {.lanes = g->client_count, .jobs_max = NODE_CLIENT_JOBS_MAX}},
        .notify = node_wake,
        .context = n};
    return verify_pool_start(&config, &n->pool);
}

/* One descriptor for each connection, and some for files. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    const rlim_t wanted = CONNECTIONS_MAX + FILES_BESIDE_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        LOG(LOG_LEVEL_WARN, "limits.open-files", LOG_U("limit", limit.rlim_cur), LOG_U("wanted", wanted),
            LOG_S("action", "raise the hard limit of open files, or fewer clients than the maximum can connect"));
}

struct err node_start(const struct config *config, const char *config_path, struct identity *identity,
                      const struct node_options *options, struct node **out)
{
    struct node *n = mem_zero(1, sizeof *n);
    n->config = *config;
    n->identity = *identity;
    *identity = (struct identity){0};
    n->data.lock_fd = -1;
    (void)snprintf(n->config_path, sizeof n->config_path, "%s", config_path);
    n->random = prng_of(clock_wall_ms() ^ (uint64_t)getpid());
    const struct group *g = n->identity.group;
    raise_file_limit();
    n->clients = mem_zero(g->client_count + 1u, sizeof *n->clients);
    n->member_keys = mem_alloc(sizeof *n->member_keys * g->member_count);
    for (uint32_t i = 0; i < g->member_count; i++)
        n->member_keys[i] = g->members[i].signing_key;
    n->wire = (struct wire_group){.id = g->id, .quorum = quorum_of(g->member_count), .members = n->member_keys};
    n->signer = (struct reply_signer){
        .group = g->id, .self = config->id, .sign = sign_with_key, .context = &n->identity.signing};
    n->loop = ev_default_loop(0);
    struct err e = n->loop == NULL ? err_make(ERR_IO, "libev cannot start") : err_none();
    if (!err_is(&e)) start_watchers(n);
    n->late = node_late_new(g->member_count);
    n->cache = verify_cache_new(WINDOW_BATCHES * (2 * g->member_count + 2));
    if (!err_is(&e)) e = data_dir_open(config->data_path, g, config->id, &n->data);
    if (!err_is(&e)) e = start_recorder(n, options); /* the directory is locked: no other process records this replica */
    if (!err_is(&e)) e = start_pool(n);
    if (!err_is(&e)) e = start_net(n);
    if (!err_is(&e)) e = start_core(n);
    if (!err_is(&e)) e = start_http(n);
    if (err_is(&e)) {
        node_free(n);
        return e;
    }
    *out = n;
    return err_none();
}

struct err node_run(struct node *n, bool *again)
{
    (void)ev_run(n->loop, 0);
    if (n->again) {
        hold_signals(SIG_BLOCK);
        (void)ev_run(n->loop, EVRUN_NOWAIT); /* one that has come before that stops it after all */
    }
    *again = n->again;
    LOG(LOG_LEVEL_INFO, "replica.stopped", LOG_U("executed", core_last_executed(n->core)),
        LOG_S("votes", n->waiting_count == 0 && n->stopping ? "kept" : "not kept: the next start will abstain"));
    return err_none();
}

void node_free(struct node *n)
{
    if (n == NULL) return;
    http_free(n->http);
    net_free(n->net);
    if (n->pool != NULL) verify_pool_stop(n->pool, node_drop_inbound);
    execution_free(n->execution);
    if (n->storage != NULL) storage_stop(n->storage);
    storage_free(n->storage);
    for (uint32_t i = 0; i < n->waiting_count; i++)
        core_effect_release(&n->waiting[(n->waiting_first + i) % n->waiting_cap]);
    for (uint32_t i = 0; i < n->query_count; i++)
        blob_release(n->queries[i].query);
    while (n->sessions != NULL) {
        struct session *s = n->sessions;
        n->sessions = s->next;
        free(s);
    }
    recorder_close(n->recorder);
    core_free(n->core);
    executor_close(n->executor);
    data_dir_close(&n->data);
    if (n->cache != NULL) verify_cache_free(n->cache);
    node_late_free(n->late);
    if (n->loop != NULL) {
        stop_watchers(n);
        ev_loop_destroy(n->loop);
    }
    identity_free(&n->identity);
    free(n->waiting);
    free(n->member_keys);
    free(n->clients);
    free(n->effects);
    free(n);
}
