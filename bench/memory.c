/* memory.c - see memory.h. Mapped pages are left out: they are files', and the system takes them back. */
#include "bench/memory.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "bench/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_US_MIN 250000u

uint64_t memory_kib(const char *home, uint32_t replica)
{
    char path[64];
    char line[128];
    uint64_t kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)bench_replica_pid(home, replica));
    FILE *f = fopen(path, "re");
    if (f == NULL) return 0;
    while (fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "RssAnon:", 8) == 0) kib = strtoull(line + 8, NULL, 10);
    (void)fclose(f);
    return kib;
}

struct memory_samples memory_begin(const char *home, uint32_t replicas, double seconds)
{
    const double share_us = seconds * 1e6 / (MEMORY_SAMPLES_MAX - 1);
    struct memory_samples s = {.home = home,
                               .replicas = replicas,
                               .from_us = clock_monotonic_us(),
                               .every_us = share_us < EVERY_US_MIN ? EVERY_US_MIN : (uint64_t)share_us,
                               .kib = mem_zero((size_t)MEMORY_SAMPLES_MAX * replicas, sizeof(uint64_t))};
    memory_tick(&s);
    return s;
}

void memory_tick(struct memory_samples *s)
{
    if (s->count == MEMORY_SAMPLES_MAX || clock_monotonic_us() < s->from_us + s->count * s->every_us) return;
    for (uint32_t i = 0; i < s->replicas; i++)
        s->kib[(size_t)s->count * s->replicas + i] = memory_kib(s->home, i);
    s->count++;
}

void memory_free(struct memory_samples *s)
{
    free(s->kib);
    *s = (struct memory_samples){.count = 0};
}

struct memory_course memory_course(const struct memory_samples *s, uint32_t replica)
{
    struct memory_course c = {.first_kib = 0};
    for (uint32_t n = 0; n < s->count; n++) {
        const uint64_t kib = s->kib[(size_t)n * s->replicas + replica];
        if (kib == 0) continue;
        if (c.first_kib == 0) c.first_kib = kib;
        if (kib > c.most_kib) c.most_kib = kib;
        c.last_kib = kib;
    }
    return c;
}
