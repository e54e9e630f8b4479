/* attack_run.c - one group under load, with somebody who misbehaves or with nobody who does.
 *
 * Replicas are driven by `pbft devnet`, as an operator would. The one that misbehaves is in its place before the load
 * begins, keeps the rules while it warms up, and is told to begin (SIGUSR1) with the measured time: so the group has
 * had a past without faults, and what is measured begins with the attack. */
#include "bench/attack.h"

#include "bench/burn.h"
#include "bench/cluster.h"
#include "bench/program.h"

#include "base/check.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLOOR_SECONDS 1.6

struct stage {
    const struct bench_options *o;
    const struct attack_programs *programs;
    const struct attack_behaviour *behaviour; /* NULL: neither anybody who misbehaves nor a run to be compared */
    bool evil;
    uint32_t replicas;
    uint32_t replica; /* that misbehaves, when one does */
    struct bench_cluster cluster;
    char clients[sizeof((struct bench_cluster *)0)->clients]; /* those that keep the rules */
    const char *hostile_name;                                 /* of the last client */
    pid_t hostile;                                            /* 0: does not run */
    struct burn dummy;
    pid_t pids[REPLICAS_MAX]; /* when the measured time began */
    uint64_t from_us[REPLICAS_MAX];
    uint64_t dummy_from_us;
    struct attack_run *out;
};

static bool replica_misbehaves(const struct stage *s)
{
    return s->evil && s->behaviour->role != ATTACK_CLIENT;
}

uint32_t attack_replica(const struct attack_behaviour *b, uint32_t replicas)
{
    return b->role == ATTACK_PRIMARY ? 1 : replicas - 1;
}

/* ---- who misbehaves ---- */

/* The replica makes room for one that misbehaves once it is told to. */
static struct err place(const struct stage *s)
{
    char order[ATTACK_NAME_BYTES + 8u];
    (void)snprintf(order, sizeof order, "%s@signal", s->behaviour->name);
    return bench_cluster_devnet(&s->cluster, "evil", s->replica, order);
}

/* It stops, which makes it resign where it is primary, and starts. */
static struct err restart(const struct stage *s, uint32_t id)
{
    if (replica_misbehaves(s) && id == s->replica) return place(s);
    ERR_TRY(bench_cluster_devnet(&s->cluster, "stop", id, NULL));
    return bench_cluster_devnet(&s->cluster, "start", id, NULL);
}

/* Until this replica leads. */
static struct err enthrone(const struct stage *s, uint32_t id)
{
    uint32_t primary;
    ERR_TRY(bench_cluster_settle(&s->cluster, &primary));
    for (uint32_t tries = 2 * s->replicas; primary != id; tries--) {
        if (tries == 0)
            return err_make(ERR_TIMEOUT, "replica %u of the group in %s does not become primary", id, s->cluster.home);
        ERR_TRY(restart(s, primary));
        ERR_TRY(bench_cluster_settle(&s->cluster, &primary));
    }
    return err_none();
}

/* Who leads when the load begins. A primary that shows what it is in its NEW-VIEW is the next one then. */
static uint32_t first_primary(const struct stage *s)
{
    if (!replica_misbehaves(s) || s->behaviour->role != ATTACK_PRIMARY) return 0;
    return s->behaviour->hand_over ? (s->replica + s->replicas - 1) % s->replicas : s->replica;
}

static struct err start_hostile(struct stage *s)
{
    const char *const argv[] = {s->programs->client, "--home",      s->cluster.home,    "--client",
                                s->hostile_name,     "--behaviour", s->behaviour->name, NULL};
    pid_t pid;
    const int fault = posix_spawn(&pid, s->programs->client, NULL, NULL, (char *const *)(uintptr_t)argv, environ);
    if (fault != 0) return err_make(ERR_CONFIG, "cannot run %s: %s", s->programs->client, strerror(fault));
    s->hostile = pid;
    return err_none();
}

static void end_hostile(struct stage *s)
{
    if (s->hostile == 0) return;
    (void)kill(s->hostile, SIGTERM);
    (void)program_wait(s->hostile);
    s->hostile = 0;
}

/* ---- the measured time ---- */

static struct err replica_cpu(const struct stage *s, uint32_t id, uint64_t *out)
{
    const struct err e = process_cpu_us(s->pids[id], out);
    const char *who = replica_misbehaves(s) && id == s->replica ? ", which misbehaves," : "";
    return err_is(&e) ? err_wrap(e, "replica %u%s has ended by itself", id, who) : e;
}

static struct err began(void *context)
{
    struct stage *s = context;
    for (uint32_t id = 0; id < s->replicas; id++) {
        s->pids[id] = bench_replica_pid(s->cluster.home, id);
        ERR_TRY(replica_cpu(s, id, &s->from_us[id]));
    }
    ERR_TRY(burn_cpu_us(&s->dummy, &s->dummy_from_us));
    if (replica_misbehaves(s) && kill(s->pids[s->replica], SIGUSR1) != 0)
        return err_system(errno, "cannot tell replica %u to misbehave", s->replica);
    if (s->evil && s->behaviour->role == ATTACK_CLIENT) ERR_TRY(start_hostile(s));
    if (s->behaviour != NULL && s->behaviour->hand_over) ERR_TRY(restart(s, s->out->primary));
    return err_none();
}

/* CPU times, in us until `ended` has divided them by the time. */
static struct err take_cpu(struct stage *s)
{
    uint64_t us;
    int status;
    for (uint32_t id = 0; id < s->replicas; id++) {
        const pid_t pid = bench_replica_pid(s->cluster.home, id);
        if (pid == s->pids[id] && pid != 0) {
            ERR_TRY(replica_cpu(s, id, &us));
            s->out->replicas[id] = (double)(us - s->from_us[id]);
        } else if (replica_misbehaves(s) && id == s->replica) {
            return err_make(ERR_NEGATIVE, "replica %u, which misbehaves, was replaced by another process", id);
        }
    }
    ERR_TRY(burn_cpu_us(&s->dummy, &us));
    s->out->dummy = (double)(us - s->dummy_from_us);
    if (s->hostile == 0) return err_none();
    if (waitpid(s->hostile, &status, WNOHANG) != 0) {
        s->hostile = 0;
        return err_make(ERR_NEGATIVE, "%s, which misbehaves, has ended by itself", s->programs->client);
    }
    ERR_TRY(process_cpu_us(s->hostile, &us));
    s->out->hostile = (double)us;
    return err_none();
}

static struct err ended(void *context)
{
    return take_cpu(context);
}

/* From microseconds to cores. */
static void divide_cpu(struct attack_run *out)
{
    const double us = out->load.seconds * 1e6;
    for (uint32_t id = 0; id < out->load.replicas; id++)
        out->replicas[id] /= us;
    out->hostile /= us;
    out->dummy /= us;
}

/* ---- a group ---- */

/* The last client's name is cut off: it is the one that misbehaves, or nobody. */
static void name_clients(struct stage *s)
{
    memcpy(s->clients, s->cluster.clients, sizeof s->clients);
    char *comma = strrchr(s->clients, ',');
    CHECK(comma != NULL); /* there are two at least */
    *comma = '\0';
    s->hostile_name = comma + 1;
}

static struct err measure(struct stage *s, double burnt)
{
    const struct bench_options *o = s->o;
    name_clients(s);
    if (replica_misbehaves(s)) ERR_TRY(place(s));
    s->out->primary = first_primary(s);
    ERR_TRY(enthrone(s, s->out->primary));
    /* A client that is served would be so too if it kept the rules: one that does has its place, and is not counted. */
    const bool fifth = !s->evil && s->behaviour != NULL && s->behaviour->served;
    const struct load_options l = {.home = s->cluster.home,
                                   .clients = fifth ? s->cluster.clients : s->clients,
                                   .app = LOAD_KV,
                                   .in_flight = o->in_flight,
                                   .bundle = 1,
                                   .op_bytes = o->op_bytes,
                                   .seconds = o->seconds,
                                   .warm_up = o->warm_up,
                                   .carry_on = true,
                                   .floor_seconds = s->behaviour == NULL ? FLOOR_SECONDS : 0,
                                   .counted = o->client_count,
                                   .began = began,
                                   .ended = ended,
                                   .context = s};
    ERR_TRY(burn_start(burnt, &s->dummy));
    const struct err e = load_measure(&l, &s->out->load);
    burn_end(&s->dummy);
    end_hostile(s);
    if (!err_is(&e)) divide_cpu(s->out);
    return e;
}

struct err attack_run_group(const struct bench_options *o, uint32_t replicas, const struct attack_programs *programs,
                            const struct attack_behaviour *b, bool evil, double burnt, struct attack_run *out)
{
    struct stage *s = mem_zero(1, sizeof *s);
    *s = (struct stage){.o = o, .programs = programs, .behaviour = b, .evil = evil, .replicas = replicas, .out = out};
    if (b != NULL) s->replica = attack_replica(b, replicas);
    *out = (struct attack_run){.primary = 0};
    struct err e = bench_cluster_start(o->dir, o->base_port, replicas, o->client_count + 1, &s->cluster);
    if (!err_is(&e)) e = measure(s, burnt);
    const struct err down = bench_cluster_end(&s->cluster);
    free(s);
    if (!err_is(&e) && err_is(&down)) load_result_free(&out->load);
    return bench_both(&e, &down);
}
