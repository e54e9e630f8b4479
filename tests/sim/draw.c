/* draw.c - a scenario from a seed.
 *
 *   0 ......................... FAULTS_MS ...................
 *   load, crashes, stops, disks lost, full, slow, damaged,    calm, a last load, rest
 *   cuts, clocks, pauses
 *
 * Members that misbehave do so to the end: at most f of them, together with those that have lost what they promised.
 * Each kind of fault draws from a stream of its own, so that one more kind leaves the others as they are. */
#include "tests/sim/draw.h"

#include "base/check.h"
#include "base/prng.h"
#include "tests/evil/evil.h"
#include "tests/fixture/cluster.h"

#include <inttypes.h>
#include <string.h>

#define FAULTS_MS 40000u
#define STEP_MS 100u
#define STOP_TAKES_MS 6500u /* until a replica that is stopped is surely down */

/* The later ones are seeded apart from the first six, which are as they were before. */
enum stream {
    STREAM_SHAPE,
    STREAM_EVIL,
    STREAM_PROCESS,
    STREAM_DISK,
    STREAM_LINKS,
    STREAM_CLOCK,
    STREAM_FIRST_COUNT,
    STREAM_SYNCS = STREAM_FIRST_COUNT,
    STREAM_ROT,
    STREAM_PAUSE,
    STREAM_TWIN,
    STREAM_CLIENTS,
    STREAM_READS,
    STREAM_LIARS,
    STREAM_TAMPER,
    STREAM_ACCOMPLICES,
    STREAM_DEAD,
    STREAM_COUNT
};

struct replica_plan {
    bool evil;
    bool down;
    bool kept;        /* there is a copy of its disk */
    uint32_t free_ms; /* it is not touched before */
    bool full;        /* its disk is */
    bool slow;        /* its syncs take up to a second */
    bool forgets;     /* it has lost its disk: how long its fence takes cannot be told here, so it counts to the end */
};

struct drawing {
    struct prng streams[STREAM_COUNT];
    struct buffer *out;
    uint32_t clients;      /* that keep the rules */
    uint32_t evil_clients; /* ... and those after them, which do not */
    uint32_t n;
    uint32_t f;
    struct replica_plan replicas[DRAW_REPLICAS_MAX];
    uint32_t crash_permille; /* in a step, of some replica */
    uint32_t stop_permille;
    uint32_t blackout_permille;
    uint32_t lose_permille; /* of those that are down */
    uint32_t cut_permille;
    uint32_t clock_permille;
    uint32_t full_permille;
    uint32_t slow_permille;
    uint32_t fail_permille; /* a sync */
    uint32_t rot_permille;  /* of those that start again */
    uint32_t pause_permille;
    uint32_t freeze_permille;
    uint32_t twin_permille; /* in a step others see the copy */
    uint32_t twin;
    bool is_cut;
};

static uint64_t draw(struct drawing *d, enum stream s, uint64_t below)
{
    return prng_below(&d->streams[s], below);
}

/* 1 to most, or 0; the former with a chance in percent. */
static uint32_t maybe(struct drawing *d, enum stream s, uint32_t percent, uint32_t most)
{
    const uint32_t value = (uint32_t)draw(d, s, most) + 1;
    return draw(d, s, 100) < percent ? value : 0;
}

static void option(struct drawing *d, const char *name, uint64_t value)
{
    buffer_printf(d->out, "%s %" PRIu64 "\n", name, value);
}

/* ---- clients that misbehave: none, or one or two beside those that keep the rules ---- */

static void draw_evil_clients(struct drawing *d)
{
    uint32_t count = 0;
    while (client_behaviour_at(count) != NULL)
        count++;
    for (uint32_t k = 0; k < d->evil_clients; k++) {
        const uint64_t ways = 1 + draw(d, STREAM_CLIENTS, 2);
        buffer_printf(d->out, "at 0 evil-client %u", d->clients + k);
        for (uint64_t w = 0; w < ways; w++)
            buffer_printf(d->out, " %s",
                          client_behaviour_name(client_behaviour_at((uint32_t)draw(d, STREAM_CLIENTS, count))));
        buffer_printf(d->out, "\n");
    }
}

/* ---- the shape of the run ---- */

static void draw_shape(struct drawing *d, uint64_t seed, uint32_t replicas)
{
    static const uint32_t sizes[] = {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 7, 7, 7, 7, 5, 6};
    static const uint64_t transfer_after[] = {1, CHECKPOINT_INTERVAL, WINDOW_BATCHES, 1024};
    d->n = sizes[draw(d, STREAM_SHAPE, sizeof sizes / sizeof sizes[0])];
    if (replicas != 0) d->n = replicas;
    d->f = (d->n - 1) / 3;
    const uint64_t delay_us = 100 + draw(d, STREAM_SHAPE, 3000);
    const uint64_t delay_most_us = delay_us + draw(d, STREAM_SHAPE, 8000);
    const uint64_t sync_us = 100 + draw(d, STREAM_SHAPE, 4000);
    const uint64_t sync_most_us = sync_us * (1 + draw(d, STREAM_SHAPE, 8));
    option(d, "replicas", d->n);
    d->clients = 1 + (uint32_t)draw(d, STREAM_SHAPE, 4);
    option(d, "clients", d->clients + d->evil_clients);
    option(d, "seed", seed);
    if (seed % 100 == 42) option(d, "ed25519", 1);
    option(d, "shared_keys", 1 + draw(d, STREAM_CLIENTS, 8));
    option(d, "reads_permille", maybe(d, STREAM_READS, 70, 300));
    option(d, "delay_us_min", delay_us);
    option(d, "delay_us_max", delay_most_us);
    option(d, "sync_us_min", sync_us);
    option(d, "sync_us_max", sync_most_us);
    option(d, "execute_us", 20 + draw(d, STREAM_SHAPE, 1000));
    option(d, "pipeline_max", 1 + draw(d, STREAM_SHAPE, 32));
    option(d, "batch_fill", 1 + draw(d, STREAM_SHAPE, 8));
    option(d, "batch_requests_max", 1 + draw(d, STREAM_SHAPE, 8));
    option(d, "batch_delay_us", draw(d, STREAM_SHAPE, 3000));
    option(d, "in_flight_max", 1 + draw(d, STREAM_SHAPE, CLIENT_WINDOW));
    option(d, "resend_us", 20000 + draw(d, STREAM_SHAPE, 100000));
    option(d, "transfer_after", transfer_after[draw(d, STREAM_SHAPE, 4)]);
    /* T > 5 delays + 2 syncs, with room for what is sent again */
    option(d, "timeout_us", 5 * delay_most_us + 2 * sync_most_us + 100000 + draw(d, STREAM_SHAPE, 700000));
    option(d, "loss_permille", maybe(d, STREAM_LINKS, 50, 300));
    option(d, "duplicate_permille", maybe(d, STREAM_LINKS, 40, 500));
    option(d, "straggle_permille", maybe(d, STREAM_LINKS, 40, 100));
    option(d, "corrupt_permille", maybe(d, STREAM_TAMPER, 20, 50));
    option(d, "stale_permille", maybe(d, STREAM_TAMPER, 25, 30));
    option(d, "stale_us", 1000ull * FAULTS_MS);
    draw_evil_clients(d);                                       /* before they ask for anything as others do */
    const uint64_t every_ms = 100 + draw(d, STREAM_SHAPE, 400); /* one draw in a statement: arguments have no order */
    const uint64_t count = 1 + draw(d, STREAM_SHAPE, 4);
    buffer_printf(d->out, "at 0 load %" PRIu64 " %" PRIu64 " %u\n", count, every_ms, FAULTS_MS);
    d->crash_permille = maybe(d, STREAM_PROCESS, 50, 60);
    d->stop_permille = maybe(d, STREAM_PROCESS, 40, 30);
    d->blackout_permille = maybe(d, STREAM_PROCESS, 15, 15);
    d->lose_permille = maybe(d, STREAM_DISK, 35, 200);
    d->cut_permille = maybe(d, STREAM_LINKS, 40, 60);
    d->clock_permille = maybe(d, STREAM_CLOCK, 20, 20);
    d->full_permille = maybe(d, STREAM_SYNCS, 15, 20);
    d->slow_permille = maybe(d, STREAM_SYNCS, 15, 20);
    d->fail_permille = maybe(d, STREAM_SYNCS, 20, 30);
    d->rot_permille = maybe(d, STREAM_ROT, 25, 300);
    d->pause_permille = maybe(d, STREAM_PAUSE, 20, 15);
    d->freeze_permille = maybe(d, STREAM_PAUSE, 15, 15);
    d->twin_permille = maybe(d, STREAM_TWIN, 12, 30);
}

/* ---- members that misbehave ---- */

static const struct evil_behaviour *draw_behaviour(struct drawing *d)
{
    const uint32_t count =
        evil_primary_behaviour_count + evil_backup_behaviour_count - 1; /* the accomplice comes apart */
    return evil_behaviour_at((uint32_t)draw(d, STREAM_EVIL, count));
}

/* Beside, or in the place of, what it does to members. */
static bool draw_liar(struct drawing *d)
{
    const uint64_t which = draw(d, STREAM_LIARS, 2ull * evil_liar_behaviour_count);
    if (which >= evil_liar_behaviour_count) return false;
    buffer_printf(d->out, " %s", evil_liar_behaviours[which].name);
    return true;
}

/* Those of one mind: what one of them proposes to some as a primary, the others vote for, towards those. */
static void draw_accomplice(struct drawing *d)
{
    static const char *const splits[] = {"equivocate", "scatter", "propose-twice"};
    buffer_printf(d->out, " %s " EVIL_ACCOMPLICE,
                  splits[draw(d, STREAM_ACCOMPLICES, sizeof splits / sizeof splits[0])]);
}

static void draw_evil(struct drawing *d)
{
    static const uint32_t how_many[] = {1, 1, 1, 1, 2, 2, 3}; /* behaviours of one */
    uint32_t left = draw(d, STREAM_EVIL, 4) == 0 ? 0 : (uint32_t)draw(d, STREAM_EVIL, d->f + 1);
    const bool of_one_mind = draw(d, STREAM_ACCOMPLICES, left > 1 ? 2 : 8) == 0;
    while (left > 0) {
        const uint32_t id = (uint32_t)draw(d, STREAM_EVIL, d->n);
        if (d->replicas[id].evil) continue;
        d->replicas[id].evil = true;
        left--;
        buffer_printf(d->out, "at 0 evil %u", id);
        uint32_t count = how_many[draw(d, STREAM_EVIL, sizeof how_many / sizeof how_many[0])];
        if (of_one_mind) {
            draw_accomplice(d);
            count = 1;
        } else if (count < EVIL_ORDERS_MAX && draw_liar(d) && count > 1) {
            count--;
        }
        for (; count > 0; count--) {
            buffer_printf(d->out, " %s", draw_behaviour(d)->name);
            if (draw(d, STREAM_EVIL, 3) == 0)
                buffer_printf(d->out, "@time=%" PRIu64, draw(d, STREAM_EVIL, FAULTS_MS / 1000));
        }
        buffer_printf(d->out, "\n");
    }
}

/* Of half of the members one copy of it is seen, of the others the other one. */
static void draw_twin(struct drawing *d, uint32_t at_ms)
{
    const uint64_t sees = draw(d, STREAM_TWIN, 1ull << d->n);
    buffer_printf(d->out, "at %u twin %u ", at_ms, d->twin);
    for (uint32_t id = 0; id < d->n; id++)
        if (id != d->twin && (sees >> id & 1u) != 0) buffer_printf(d->out, "%x", id);
    buffer_printf(d->out, "\n");
}

/* ---- processes and their disks ---- */

static void event(struct drawing *d, uint32_t at_ms, const char *what, uint32_t id)
{
    buffer_printf(d->out, "at %u %s %u\n", at_ms, what, id);
}

/* Members that misbehave or may have forgotten what they signed. */
static uint32_t faulty(const struct drawing *d)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < d->n; id++)
        if (d->replicas[id].evil || d->replicas[id].forgets) count++;
    return count;
}

static void lose_disk(struct drawing *d, uint32_t at_ms, uint32_t id)
{
    struct replica_plan *r = &d->replicas[id];
    const bool lost = draw(d, STREAM_DISK, 1000) < d->lose_permille;
    const bool restore = draw(d, STREAM_DISK, 2) == 0;
    if (d->lose_permille > 0 && draw(d, STREAM_DISK, 4) == 0 && !r->kept) {
        event(d, at_ms, "keep", id);
        r->kept = true;
    }
    if (!lost || (!r->forgets && faulty(d) >= d->f)) return;
    event(d, at_ms, restore && r->kept ? "restore" : "wipe", id);
    r->forgets = true;
}

static void end_process(struct drawing *d, uint32_t at_ms, uint32_t id, bool clean)
{
    struct replica_plan *r = &d->replicas[id];
    if (r->evil || r->down || r->free_ms > at_ms) return;
    event(d, at_ms, clean ? "stop" : "crash", id);
    r->down = true;
    r->free_ms = at_ms + (clean ? STOP_TAKES_MS : 0) + (uint32_t)draw(d, STREAM_PROCESS, 3000);
}

/* Of what it has promised, a block or its state: it is repaired, or fenced, or begins anew. */
static void rot_disk(struct drawing *d, uint32_t at_ms, uint32_t id)
{
    static const char *const kinds[] = {"vote", "vote", "block", "state", "meta"};
    struct replica_plan *r = &d->replicas[id];
    const bool rots = draw(d, STREAM_ROT, 1000) < d->rot_permille;
    const uint64_t kind = draw(d, STREAM_ROT, sizeof kinds / sizeof kinds[0]);
    if (!rots || (!r->forgets && faulty(d) >= d->f)) return;
    buffer_printf(d->out, "at %u rot %u %s\n", at_ms, id, kinds[kind]);
    r->forgets = true;
}

static void draw_processes(struct drawing *d, uint32_t at_ms)
{
    const bool blackout = draw(d, STREAM_PROCESS, 1000) < d->blackout_permille;
    const uint32_t victim = (uint32_t)draw(d, STREAM_PROCESS, d->n);
    for (uint32_t id = 0; id < d->n; id++)
        if (blackout || (id == victim && draw(d, STREAM_PROCESS, 1000) < d->crash_permille))
            end_process(d, at_ms, id, false);
    if (draw(d, STREAM_PROCESS, 1000) < d->stop_permille)
        end_process(d, at_ms, (uint32_t)draw(d, STREAM_PROCESS, d->n), true);
    for (uint32_t id = 0; id < d->n; id++) {
        struct replica_plan *r = &d->replicas[id];
        if (!r->down || r->free_ms > at_ms) continue;
        lose_disk(d, at_ms, id);
        rot_disk(d, at_ms, id);
        event(d, at_ms, "start", id);
        r->down = false;
    }
}

/* ---- links and clocks ---- */

static void draw_links(struct drawing *d, uint32_t at_ms)
{
    if (d->is_cut && draw(d, STREAM_LINKS, 8) == 0) {
        buffer_printf(d->out, "at %u partition", at_ms);
        buffer_printf(d->out, " ");
        for (uint32_t id = 0; id < d->n; id++)
            buffer_printf(d->out, "%x", id);
        buffer_printf(d->out, "\n");
        d->is_cut = false;
    }
    if (d->cut_permille == 0 || draw(d, STREAM_LINKS, 1000) >= d->cut_permille) return;
    d->is_cut = true;
    if (draw(d, STREAM_LINKS, 2) == 0) { /* one way of one link */
        const uint32_t from = (uint32_t)draw(d, STREAM_LINKS, d->n);
        buffer_printf(d->out, "at %u cut %u %u\n", at_ms, from,
                      (from + 1 + (uint32_t)draw(d, STREAM_LINKS, d->n - 1)) % d->n);
        return;
    }
    const uint64_t side = draw(d, STREAM_LINKS, 1ull << d->n);
    buffer_printf(d->out, "at %u partition", at_ms);
    for (uint32_t half = 0; half < 2; half++) {
        bool any = false;
        for (uint32_t id = 0; id < d->n; id++)
            if ((side >> id & 1u) == half) {
                buffer_printf(d->out, any ? "%x" : " %x", id);
                any = true;
            }
    }
    buffer_printf(d->out, "\n");
}

static void draw_clocks(struct drawing *d, uint32_t at_ms)
{
    if (d->clock_permille == 0 || draw(d, STREAM_CLOCK, 1000) >= d->clock_permille) return;
    const int64_t skew_ms =
        (int64_t)draw(d, STREAM_CLOCK, 600000) - 300000; /* clocks of two differ by less than the drift */
    buffer_printf(d->out, "at %u skew %" PRIu64 " %" PRId64 "\n", at_ms, draw(d, STREAM_CLOCK, d->n), skew_ms);
}

/* ---- disks that are full, slow or fail; processes and clocks that stand still ---- */

static bool happens(struct drawing *d, enum stream s, uint32_t permille)
{
    return permille > 0 && draw(d, s, 1000) < permille;
}

static void draw_syncs(struct drawing *d, uint32_t at_ms)
{
    const uint32_t id = (uint32_t)draw(d, STREAM_SYNCS, d->n);
    struct replica_plan *r = &d->replicas[id];
    if (r->full ? d->full_permille > 0 && draw(d, STREAM_SYNCS, 4) == 0 : happens(d, STREAM_SYNCS, d->full_permille)) {
        r->full = !r->full;
        event(d, at_ms, r->full ? "full" : "room", id);
    }
    if (r->slow ? d->slow_permille > 0 && draw(d, STREAM_SYNCS, 8) == 0 : happens(d, STREAM_SYNCS, d->slow_permille)) {
        r->slow = !r->slow;
        buffer_printf(d->out, "at %u syncs %u %u\n", at_ms, id, r->slow ? 1000u : 0u);
    }
    if (happens(d, STREAM_SYNCS, d->fail_permille)) buffer_printf(d->out, "at %u fail-sync %u 1000\n", at_ms, id);
}

static void draw_pauses(struct drawing *d, uint32_t at_ms)
{
    const uint32_t id = (uint32_t)draw(d, STREAM_PAUSE, d->n);
    if (happens(d, STREAM_PAUSE, d->pause_permille))
        buffer_printf(d->out, "at %u pause %u %" PRIu64 "\n", at_ms, id, 100 + draw(d, STREAM_PAUSE, 10000));
    if (happens(d, STREAM_PAUSE, d->freeze_permille))
        buffer_printf(d->out, "at %u freeze %u %" PRIu64 "\n", at_ms, id, 100 + draw(d, STREAM_PAUSE, 20000));
}

/* Some never come back: of the members at most f misbehave, have forgotten, or are dead. */
static void draw_dead(struct drawing *d, uint32_t at_ms)
{
    const bool any = draw(d, STREAM_DEAD, 3) == 0;
    for (uint32_t left = d->f; any && left > 0; left--) {
        const uint32_t id = (uint32_t)draw(d, STREAM_DEAD, d->n);
        if (faulty(d) >= d->f) return;
        if (d->replicas[id].evil || d->replicas[id].forgets) continue;
        event(d, at_ms, "dead", id);
        d->replicas[id].evil = true; /* as good as: nothing is drawn for it any more */
    }
}

void draw_scenario(uint64_t seed, uint32_t replicas, struct buffer *out)
{
    struct drawing d = {.out = out};
    CHECK(replicas <= DRAW_REPLICAS_MAX);
    for (uint32_t s = 0; s < STREAM_FIRST_COUNT; s++)
        d.streams[s] = prng_of(seed * STREAM_FIRST_COUNT + s);
    for (uint32_t s = STREAM_FIRST_COUNT; s < STREAM_COUNT; s++)
        d.streams[s] = prng_of(~(seed * 64u + s));
    d.evil_clients = draw(&d, STREAM_CLIENTS, 8) == 0 ? 1 + (uint32_t)draw(&d, STREAM_CLIENTS, 2) : 0;
    draw_shape(&d, seed, replicas);
    draw_evil(&d);
    d.twin = (uint32_t)draw(&d, STREAM_TWIN, d.n);
    if (d.twin_permille > 0 && (faulty(&d) >= d.f || d.replicas[d.twin].evil)) d.twin_permille = 0;
    if (d.twin_permille > 0) {
        d.replicas[d.twin].evil = true;
        draw_twin(&d, 0);
    }
    for (uint32_t at_ms = STEP_MS; at_ms < FAULTS_MS; at_ms += STEP_MS) {
        draw_processes(&d, at_ms);
        if (d.n > 1) draw_links(&d, at_ms);
        draw_clocks(&d, at_ms);
        draw_syncs(&d, at_ms);
        draw_pauses(&d, at_ms);
        if (happens(&d, STREAM_TWIN, d.twin_permille)) draw_twin(&d, at_ms);
    }
    draw_dead(&d, FAULTS_MS + STOP_TAKES_MS);
    buffer_printf(out, "at %u calm\nat %u load 2 100 %u\nat %u rest\n", FAULTS_MS + STOP_TAKES_MS,
                  FAULTS_MS + 2 * STOP_TAKES_MS + 4000, FAULTS_MS + 2 * STOP_TAKES_MS + 5000,
                  FAULTS_MS + 2 * STOP_TAKES_MS + 6000);
}
