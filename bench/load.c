/* load.c - see load.h. Each client has a thread. CPU time is that of the replica processes, by their own account. */
#include "bench/load.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/prng.h"
#include "bench/bench.h"
#include "bench/cluster.h"
#include "ledger/app.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define LATENCIES_MAX 1000000u /* kept of each client */
#define POLL_MS_MAX 10u
#define LOOK_US 20000u /* how often the thread that measures looks whether it is to end */
#define STATUS_MS 3000u
#define HALF_US 500000u /* of a second */
#define KEY_BYTES 16u
#define READ_KEYS 64u
#define CHECKPOINT_TRIES 8u /* with CHECKPOINT_INTERVAL batches between them */

enum phase { WARMING_UP, MEASURING, ENDING };

/* Shared by the thread that measures and those that send. */
struct load {
    struct load_options o;
    uint8_t *value;
    uint64_t first_number; /* of keys: those of another run are left alone */
    uint32_t key_count;    /* of each client, for its puts; 0: no bound */
    uint32_t half_count;
    _Atomic enum phase phase;
    _Atomic uint64_t from_us; /* since when it is MEASURING */
    _Atomic bool failed;      /* one has, and that ends the load */
    _Atomic uint64_t accepted_us; /* when the last was accepted, or the load began */
    _Atomic bool silent;          /* that was too long ago, and ends the load */
    _Atomic uint64_t sent;
    _Atomic uint64_t answered; /* in whatever way */
};

/* A client with its thread. */
struct sender {
    struct load *load;
    pthread_t thread;
    bool started;
    struct pbft_client *client;
    uint32_t id;
    bool counted;
    double rate;                /* its share */
    struct pbft_operation *ops; /* of one transaction */
    uint8_t *keys;              /* theirs */
    uint64_t number;
    struct prng random;
    double next_us; /* open loop: when the next is meant to be sent */
    uint64_t unsent;
    _Atomic uint64_t done;
    _Atomic uint64_t failed;
    uint32_t *latencies_us;
    uint64_t latency_count;
    uint32_t *each_half;
    char failure[PBFT_ERROR_BYTES];
    enum err_code failure_code;
};

/* A transaction in flight. */
struct shot {
    struct sender *sender;
    uint64_t meant_us;
};

struct snapshot {
    uint64_t at_us;
    uint64_t own_cpu_us;
    uint64_t done;
    uint64_t failed;
    struct pbft_replica_status *status; /* of each replica */
};

struct measuring {
    struct load load;
    struct load_result *r;
    struct bench_clients clients;
    struct pbft_client *observer;
    struct sender *senders;
};

/* ---- transactions ---- */

static void note_failure(struct sender *s, enum err_code code, const char *text)
{
    s->failure_code = code;
    if (s->counted) atomic_fetch_add(&s->failed, 1);
    (void)snprintf(s->failure, sizeof s->failure, "%s", text);
    if (!s->load->o.carry_on) atomic_store(&s->load->failed, true);
}

static void on_answer(void *context, const struct pbft_answer *answer)
{
    struct shot *shot = context;
    struct sender *s = shot->sender;
    const uint64_t now = clock_monotonic_us();
    const uint64_t meant = shot->meant_us;
    free(shot);
    atomic_fetch_add(&s->load->answered, 1);
    if (answer->status != PBFT_OK || answer->outcome >= PBFT_OUTCOME_EXPIRED) {
        note_failure(s, ERR_TIMEOUT, answer->status != PBFT_OK ? answer->text : pbft_outcome_name(answer->outcome));
        return;
    }
    atomic_store(&s->load->accepted_us, now);
    if (!s->counted) return;
    atomic_fetch_add(&s->done, 1);
    if (atomic_load(&s->load->phase) != MEASURING) return;
    const uint64_t half = (now - atomic_load(&s->load->from_us)) / HALF_US;
    if (half < s->load->half_count) s->each_half[half]++;
    if (s->latency_count < LATENCIES_MAX)
        s->latencies_us[s->latency_count++] = now - meant < UINT32_MAX ? (uint32_t)(now - meant) : UINT32_MAX;
}

static void make_operation(struct sender *s, uint32_t i)
{
    const struct load_options *o = &s->load->o;
    struct pbft_operation *op = &s->ops[i];
    uint8_t *key = s->keys + (size_t)i * KEY_BYTES;
    if (o->app == LOAD_LOG) {
        *op = (struct pbft_operation){
            .app = APP_LOG, .verb = APP_LOG_APPEND, .arg_count = 1, .args = {{s->load->value, o->op_bytes}}};
        return;
    }
    const uint64_t number = s->number++;
    const uint32_t key_count = o->reads ? READ_KEYS : s->load->key_count;
    be64_put(key, o->reads ? 0 : s->id);
    be64_put(key + 8, s->load->first_number + (key_count > 0 ? number % key_count : number));
    if (o->reads)
        *op = (struct pbft_operation){.app = APP_KV, .verb = APP_KV_GET, .arg_count = 1, .args = {{key, KEY_BYTES}}};
    else
        *op = (struct pbft_operation){.app = APP_KV,
                                      .verb = APP_KV_PUT,
                                      .arg_count = 2,
                                      .args = {{key, KEY_BYTES}, {s->load->value, o->op_bytes}}};
}

static void send_one(struct sender *s, uint64_t meant_us)
{
    const struct load_options *o = &s->load->o;
    struct shot *shot = mem_alloc(sizeof *shot);
    *shot = (struct shot){.sender = s, .meant_us = meant_us};
    for (uint32_t i = 0; i < o->bundle; i++)
        make_operation(s, i);
    atomic_fetch_add(&s->load->sent, 1);
    const struct pbft_error e = o->certified ? pbft_read_certified(s->client, &s->ops[0], 0, on_answer, shot)
                                : o->reads   ? pbft_read(s->client, &s->ops[0], on_answer, shot)
                                             : pbft_submit(s->client, s->ops, o->bundle, on_answer, shot);
    if (e.status == PBFT_OK) return;
    free(shot);
    atomic_fetch_add(&s->load->answered, 1);
    note_failure(s, e.status == PBFT_TOO_LARGE ? ERR_USAGE : ERR_TIMEOUT, e.text);
}

static bool has_room(const struct sender *s)
{
    const struct load_options *o = &s->load->o;
    if (o->transactions > 0 && atomic_load(&s->load->sent) >= o->transactions) return false;
    return pbft_in_flight(s->client) < o->in_flight && (o->reads || pbft_can_submit(s->client));
}

/* What is in flight is not waited for. */
static bool given_up(const struct load *l)
{
    return atomic_load(&l->silent) || bench_interrupted();
}

static bool goes_on(const struct load *l)
{
    if (l->o.transactions > 0 && atomic_load(&l->answered) >= l->o.transactions) return false;
    if (l->o.until != NULL && atomic_load(l->o.until)) return false;
    return atomic_load(&l->phase) != ENDING && !atomic_load(&l->failed) && !given_up(l);
}

/* The gaps between two are drawn as those of many independent senders are: exponential. */
static double gap_us(struct sender *s)
{
    const double u = ((double)prng_below(&s->random, 1u << 30) + 1.0) / (double)(1u << 30);
    return -log(u) * 1e6 / s->rate;
}

static void send_open(struct sender *s)
{
    const double now = (double)clock_monotonic_us();
    while (s->next_us <= now && has_room(s) && goes_on(s->load)) { /* without room it waits, and so do those after it */
        send_one(s, (uint64_t)s->next_us);
        s->next_us += gap_us(s);
    }
}

static void send_closed(struct sender *s)
{
    while (has_room(s) && goes_on(s->load))
        send_one(s, clock_monotonic_us());
}

static uint64_t wait_ms(const struct sender *s)
{
    if (s->rate <= 0 || !has_room(s)) return POLL_MS_MAX;
    const double left = s->next_us - (double)clock_monotonic_us();
    return left < 1000 ? 1 : left > POLL_MS_MAX * 1000.0 ? POLL_MS_MAX : (uint64_t)(left / 1000);
}

static void *send_all(void *context)
{
    struct sender *s = context;
    s->next_us = (double)clock_monotonic_us() + (s->rate > 0 ? gap_us(s) : 0);
    while (goes_on(s->load)) {
        if (s->rate > 0)
            send_open(s);
        else
            send_closed(s);
        pbft_poll(s->client, wait_ms(s));
    }
    const double behind_us = (double)clock_monotonic_us() - s->next_us;
    if (s->rate > 0 && behind_us > 0) s->unsent = (uint64_t)(behind_us * s->rate / 1e6);
    while (pbft_in_flight(s->client) > 0 && !given_up(s->load)) /* ends: each has a deadline */
        pbft_poll(s->client, POLL_MS_MAX);
    return NULL;
}

/* ---- measuring ---- */

static uint64_t own_cpu_us(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* s->status has room for all replicas. */
static struct err take_snapshot(const struct measuring *m, struct snapshot *s)
{
    s->at_us = clock_monotonic_us();
    s->own_cpu_us = own_cpu_us();
    for (uint32_t i = 0; i < m->clients.count; i++) {
        s->done += atomic_load(&m->senders[i].done);
        s->failed += atomic_load(&m->senders[i].failed);
    }
    const struct pbft_error e = pbft_status_wait(m->observer, STATUS_MS, s->status);
    return e.status == PBFT_OK ? err_none() : err_make(ERR_TIMEOUT, "%s", e.text);
}

/* Of the largest replica of the development group; 0 when this is not the machine that it runs on. */
static uint64_t replica_memory_kib(const struct load_result *r)
{
    uint64_t most = 0;
    for (uint32_t id = 0; id < r->replicas; id++) {
        const uint64_t kib = memory_kib(r->options.home, id);
        if (kib > most) most = kib;
    }
    return most;
}

static int compare_u32(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static struct err finish(const struct measuring *m)
{
    ERR_TRY(bench_go_on());
    if (atomic_load(&m->load.silent))
        return err_make(ERR_TIMEOUT, "nothing was accepted for %.0f s: do enough replicas of %s run?",
                        m->load.o.patience, m->load.o.home);
    if (!atomic_load(&m->load.failed)) return err_none();
    const struct sender *s = m->senders;
    while (s->failure[0] == '\0')
        s++;
    return err_make(s->failure_code, "the load stopped: %s", s->failure);
}

static void put_some(struct sender *s, uint32_t count)
{
    for (uint32_t i = 0; i < count && s->failure[0] == '\0'; i++) {
        send_one(s, 0);
        while (!has_room(s))
            pbft_poll(s->client, POLL_MS_MAX);
    }
    while (pbft_in_flight(s->client) > 0)
        pbft_poll(s->client, POLL_MS_MAX);
}

/* Whether the newest of the keys for the gets is in a checkpoint. A group without one gives no answer in time. */
static bool is_in_a_checkpoint(struct sender *s)
{
    struct pbft_answer *a = NULL;
    s->number = READ_KEYS - 1;
    make_operation(s, 0);
    const struct pbft_error e = pbft_read_certified_wait(s->client, &s->ops[0], 0, &a);
    const bool there = e.status == PBFT_OK && a->outcome == PBFT_OUTCOME_OK;
    pbft_answer_free(a);
    return there;
}

/* Keys for the gets, all by the first client; and others behind them, one batch each, until a checkpoint has the first
 * ones. */
static struct err put_keys(struct measuring *m)
{
    struct sender *s = &m->senders[0];
    struct load_options *o = &m->load.o;
    const struct load_options wanted = *o;
    bool ready = !wanted.certified;
    o->reads = o->certified = false;
    put_some(s, READ_KEYS);
    o->in_flight = 1;
    for (uint32_t tries = 0; tries < CHECKPOINT_TRIES && !ready && s->failure[0] == '\0'; tries++) {
        s->number = READ_KEYS;
        put_some(s, CHECKPOINT_INTERVAL);
        o->reads = true; /* for the key of what is asked for */
        ready = is_in_a_checkpoint(s);
        o->reads = false;
    }
    *o = wanted;
    s->number = 0;
    if (s->failure[0] != '\0') return err_make(s->failure_code, "the load did not begin: %s", s->failure);
    return ready ? err_none() : err_make(ERR_TIMEOUT, "the load did not begin: no checkpoint has the keys to be read");
}

/* memory: sampled meanwhile; NULL: not. */
static void wait_for(struct load *l, uint64_t from_us, double seconds, struct memory_samples *memory)
{
    const uint64_t until = from_us + (uint64_t)(seconds * 1e6);
    for (uint64_t now = clock_monotonic_us(); now < until && goes_on(l); now = clock_monotonic_us()) {
        const uint64_t left = until - now < LOOK_US ? until - now : LOOK_US;
        (void)nanosleep(&(struct timespec){.tv_nsec = (long)(left * 1000u)}, NULL);
        if (memory != NULL) memory_tick(memory);
        const uint64_t accepted_us =
            atomic_load(&l->accepted_us); /* before the clock: a later one would be ahead of it */
        const double silence = (double)(clock_monotonic_us() - accepted_us) / 1e6;
        if (l->o.patience > 0 && silence > l->o.patience) atomic_store(&l->silent, true);
    }
}

static struct err start_senders(struct measuring *m)
{
    atomic_store(&m->load.accepted_us, clock_monotonic_us());
    for (uint32_t i = 0; i < m->clients.count; i++) {
        struct sender *s = &m->senders[i];
        const int fault = pthread_create(&s->thread, NULL, send_all, s);
        if (fault != 0) return err_system(fault, "cannot make a thread for a client");
        s->started = true;
    }
    return err_none();
}

static void end_senders(struct measuring *m)
{
    atomic_store(&m->load.phase, ENDING);
    for (uint32_t i = 0; i < m->clients.count; i++)
        if (m->senders[i].started) (void)pthread_join(m->senders[i].thread, NULL);
}

/* What the senders have seen goes into the result. */
static void collect(const struct measuring *m)
{
    struct load_result *r = m->r;
    uint64_t count = 0;
    for (uint32_t i = 0; i < m->clients.count; i++)
        count += m->senders[i].latency_count;
    r->latencies_us = mem_alloc((count + 1) * sizeof *r->latencies_us);
    for (uint32_t i = 0; i < m->clients.count; i++) {
        const struct sender *s = &m->senders[i];
        memcpy(r->latencies_us + r->latency_count, s->latencies_us, s->latency_count * sizeof *s->latencies_us);
        r->latency_count += s->latency_count;
        r->unsent += s->unsent;
        for (uint32_t k = 0; k < r->half_count; k++)
            r->each_half[k] += s->each_half[k];
    }
    qsort(r->latencies_us, r->latency_count, sizeof *r->latencies_us, compare_u32);
}

static void compare(struct load_result *r, const struct snapshot *from, const struct snapshot *to)
{
    r->seconds = (double)(to->at_us - from->at_us) / 1e6;
    r->transactions = to->done - from->done;
    r->failed = to->failed - from->failed;
    r->own_cpu_us = to->own_cpu_us - from->own_cpu_us;
    status_cost(from->status, to->status, r->replicas, &r->cost);
}

static struct err measure_running(struct measuring *m)
{
    struct snapshot from = {.status = mem_zero(m->r->replicas, sizeof *from.status)};
    struct snapshot to = {.status = mem_zero(m->r->replicas, sizeof *to.status)};
    const struct load_options *o = &m->load.o;
    wait_for(&m->load, clock_monotonic_us(), o->warm_up, NULL);
    atomic_store(&m->load.from_us, clock_monotonic_us());
    atomic_store(&m->load.phase, MEASURING);
    struct err e = take_snapshot(m, &from);
    if (!err_is(&e) && o->began != NULL) e = o->began(o->context);
    m->r->memory = memory_begin(o->home, m->r->replicas, o->seconds);
    if (!err_is(&e)) wait_for(&m->load, from.at_us, o->seconds, &m->r->memory);
    if (!err_is(&e) && o->ended != NULL) e = o->ended(o->context);
    if (!err_is(&e)) e = take_snapshot(m, &to);
    if (!err_is(&e)) compare(m->r, &from, &to);
    m->r->memory_kib = replica_memory_kib(m->r);
    free(from.status);
    free(to.status);
    return e;
}

static struct err measure(struct measuring *m)
{
    struct floor_cost before = {.cores = 0};
    struct floor_cost after = {.cores = 0};
    struct load_result *r = m->r;
    const struct load_options *o = &r->options;
    ERR_TRY(bench_clients_open_observer(o->home, &m->observer));
    ERR_TRY(bench_clients_open(o->home, o->clients, 0, &m->clients));
    r->replicas = pbft_replica_count(m->observer);
    r->client_count = m->clients.count;
    m->load.key_count = o->key_count / r->client_count + (o->key_count % r->client_count > 0 ? 1 : 0);
    m->senders = mem_zero(r->client_count, sizeof *m->senders);
    for (uint32_t i = 0; i < r->client_count; i++)
        m->senders[i] = (struct sender){.load = &m->load,
                                        .client = m->clients.clients[i],
                                        .id = i,
                                        .counted = o->counted == 0 || i < o->counted,
                                        .rate = o->rate / r->client_count,
                                        .ops = mem_zero(o->bundle, sizeof(struct pbft_operation)),
                                        .keys = mem_zero(o->bundle, KEY_BYTES),
                                        .random = prng_of(clock_wall_ms() + i),
                                        .latencies_us = mem_alloc(LATENCIES_MAX * sizeof(uint32_t)),
                                        .each_half = mem_zero(r->half_count + 1u, sizeof(uint32_t))};
    if (o->floor_seconds > 0) ERR_TRY(floor_measure(o->home, r->replicas, o->floor_seconds, &before));
    if (o->reads) ERR_TRY(put_keys(m));
    struct err e = start_senders(m);
    if (!err_is(&e)) e = measure_running(m);
    end_senders(m);
    const struct err failed = finish(m);
    if (err_is(&failed)) return failed;
    if (err_is(&e)) return e;
    collect(m);
    if (o->floor_seconds > 0) ERR_TRY(floor_measure(o->home, r->replicas, o->floor_seconds, &after));
    r->floor = floor_between(&before, &after);
    return err_none();
}

struct err load_measure(const struct load_options *o, struct load_result *out)
{
    struct measuring m = {.load = {.o = *o, .first_number = o->key_count > 0 ? 0 : clock_wall_ms() << 20}, .r = out};
    *out = (struct load_result){.options = *o, .half_count = (uint32_t)(o->seconds * 2)};
    if (o->reads && o->bundle != 1) return err_make(ERR_USAGE, "a read is one operation; leave --bundle out");
    if (o->reads && o->app != LOAD_KV) return err_make(ERR_USAGE, "reads are gets of the kv application");
    m.load.half_count = out->half_count;
    m.load.value = mem_zero(1, o->op_bytes + 1u);
    out->each_half = mem_zero(out->half_count + 1u, sizeof *out->each_half);
    const struct err e = measure(&m);
    for (uint32_t i = 0; m.senders != NULL && i < m.clients.count; i++) {
        free(m.senders[i].ops);
        free(m.senders[i].keys);
        free(m.senders[i].latencies_us);
        free(m.senders[i].each_half);
    }
    bench_clients_close(&m.clients);
    pbft_close(m.observer);
    free(m.senders);
    free(m.load.value);
    if (err_is(&e)) load_result_free(out);
    return e;
}

void load_result_free(struct load_result *r)
{
    free(r->latencies_us);
    free(r->each_half);
    memory_free(&r->memory);
    r->latencies_us = NULL;
    r->each_half = NULL;
    r->latency_count = 0;
}

void load_result_thin(struct load_result *r, uint64_t most)
{
    if (r->latency_count <= most) return;
    for (uint64_t i = 0; i < most; i++)
        r->latencies_us[i] = r->latencies_us[i * (r->latency_count - 1) / (most - 1)];
    r->latencies_us = mem_resize(r->latencies_us, most * sizeof *r->latencies_us);
    r->latency_count = most;
}

uint32_t load_second(const struct load_result *r, uint32_t second)
{
    return r->each_half[2 * second] + r->each_half[2 * second + 1];
}

double load_rate(const struct load_result *r)
{
    return r->seconds > 0 ? (double)r->transactions / r->seconds : 0;
}

double load_percentile_ms(const struct load_result *r, double p)
{
    if (r->latency_count == 0) return 0;
    return (double)r->latencies_us[(uint64_t)(p * (double)(r->latency_count - 1))] / 1000.0;
}

double load_ceiling_ratio(const struct load_result *r)
{
    return r->floor.cores > 0 ? load_rate(r) / floor_ceiling(&r->floor, r->replicas) : 0;
}

double load_sync_ratio(const struct load_result *r)
{
    return r->floor.sync_all_us > 0 ? load_percentile_ms(r, 0.5) * 1000 / r->floor.sync_all_us : 0;
}

double load_cpu_us(const struct load_result *r)
{
    return r->transactions > 0 ? (double)r->cost.cpu_us / (double)r->transactions : 0;
}
