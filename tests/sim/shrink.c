/* shrink.c - a failing scenario, line by line made small: what is left breaks the same invariant, and without any of
 * its lines it would not. Each try runs in a process of its own, for it may end it. */
#include "tests/sim/run.h"
#include "tests/sim/verbs.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY_SECONDS_MAX 120u
#define ENDED (-1)    /* the run ended its process, or did not end */
#define HELD (-2)     /* all invariants held */
#define UNUSABLE (-3) /* the text is none any more */

struct lines {
    struct bytes *items;
    uint32_t count;
};

struct shrinking {
    struct lines lines;
    int wanted; /* what the whole scenario breaks */
    uint64_t tries;
    uint64_t until_us;
};

static void split(struct bytes text, struct lines *out)
{
    out->items = mem_alloc((text.len + 1u) * sizeof *out->items);
    for (size_t at = 0; at < text.len;) {
        const uint8_t *end = memchr(text.data + at, '\n', text.len - at);
        const size_t len = end == NULL ? text.len - at : (size_t)(end - text.data) - at + 1;
        const bool says = len > 1 && text.data[at] != '#';
        if (says) out->items[out->count++] = bytes_of(text.data + at, len);
        at += len;
    }
}

static void join(const struct lines *lines, struct buffer *out)
{
    for (uint32_t i = 0; i < lines->count; i++)
        buffer_append(out, lines->items[i].data, lines->items[i].len);
}

static _Noreturn void run_here(struct bytes text, int *shared)
{
    struct scenario_result r;
    (void)alarm(TRY_SECONDS_MAX);
    (void)fclose(stderr);
    const struct err e = scenario_run_text("", text, NULL, &r);
    if (e.code == ERR_USAGE)
        *shared = UNUSABLE;
    else if (!err_is(&e))
        *shared = HELD;
    else
        *shared = r.violated ? (int)r.broken : 1000; /* an expectation of the text */
    _exit(0);
}

/* What it breaks. */
static int outcome(struct bytes text)
{
    int status;
    int *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    *shared = ENDED;
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) run_here(text, shared);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    const int out = *shared;
    (void)munmap(shared, sizeof *shared);
    return out;
}

/* Where all is to come to rest, nothing is owed to anybody before the faults have ended: without that line another
 * thing breaks, the quorum that is down, and it goes by the same name. */
static bool is_needed(const struct shrinking *s, struct bytes line)
{
    char word[16] = "";
    char text[64];
    if (s->wanted != (int)INVARIANT_LIVENESS) return false;
    const size_t len = line.len < sizeof text - 1 ? line.len : sizeof text - 1;
    memcpy(text, line.data, len);
    text[len] = '\0';
    return sscanf(text, "at %*u %15s", word) == 1 && strcmp(word, "calm") == 0;
}

/* Is it still broken without lines [from, from + count)? Then they go. */
static bool try_without(struct shrinking *s, uint32_t from, uint32_t count)
{
    for (uint32_t i = from; i < from + count; i++)
        if (is_needed(s, s->lines.items[i])) return false;
    struct lines fewer = {.count = s->lines.count - count};
    struct buffer text = {0};
    fewer.items = mem_alloc((fewer.count + 1u) * sizeof *fewer.items);
    memcpy(fewer.items, s->lines.items, from * sizeof *fewer.items);
    memcpy(fewer.items + from, s->lines.items + from + count, (s->lines.count - from - count) * sizeof *fewer.items);
    join(&fewer, &text);
    s->tries++;
    const bool still = outcome(bytes_of(text.data, text.len)) == s->wanted;
    if (still) {
        memcpy(s->lines.items, fewer.items, fewer.count * sizeof *fewer.items);
        s->lines.count = fewer.count;
    }
    free(fewer.items);
    buffer_free(&text);
    return still;
}

/* Large pieces first, then smaller ones, until no single line can go. */
static void shrink(struct shrinking *s)
{
    uint32_t size = s->lines.count / 2;
    while (size > 0 && clock_monotonic_us() < s->until_us) {
        bool any = false;
        for (uint32_t from = 0; from + size <= s->lines.count && clock_monotonic_us() < s->until_us;) {
            if (try_without(s, from, size))
                any = true;
            else
                from += size;
        }
        if (!any || size > 1) size = size == 1 ? 0 : size / 2;
    }
}

static const char usage_text[] = "usage: pbft-sim shrink FILE [--budget SECONDS]\n"
                                 "\n"
                                 "Takes lines out of a scenario that breaks an invariant, as long as it breaks the "
                                 "same one, and prints what is left.\n"
                                 "(pbft-sim run --seed S --print makes a file of a seed.)\n"
                                 "\n"
                                 "  --budget SECONDS   ends with what it has then (default 600)\n"
                                 "\n"
                                 "Exit codes: 0 ok, 1 the scenario breaks nothing, 2 usage.\n";

static int shrink_verb(int argc, char **argv)
{
    static const struct option options[] = {{"budget", required_argument, NULL, 'b'}, {NULL, 0, NULL, 0}};
    struct shrinking s = {.wanted = HELD};
    struct buffer text = {0};
    struct buffer left = {0};
    uint64_t budget_s = 600;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'b':
            if (!run_number(optarg, 1000000, &budget_s))
                return verb_usage(usage_text, "--budget wants seconds, not ", optarg);
            break;
        default: return verb_usage(usage_text, NULL, "");
        }
    }
    if (optind + 1 != argc) return verb_usage(usage_text, "shrink takes one FILE", "");
    const struct err e = scenario_read(argv[optind], &text);
    if (err_is(&e)) {
        (void)fprintf(stderr, "pbft-sim: %s\n", e.text);
        return 2;
    }
    s.wanted = outcome(bytes_of(text.data, text.len));
    if (s.wanted == HELD || s.wanted == UNUSABLE) {
        (void)fprintf(stderr, "pbft-sim: %s %s\n", argv[optind],
                      s.wanted == HELD ? "breaks nothing: there is nothing to shrink"
                                       : "is no scenario: pbft-sim run says why");
        buffer_free(&text);
        return s.wanted == HELD ? 1 : 2;
    }
    s.until_us = clock_monotonic_us() + budget_s * 1000000u;
    split(bytes_of(text.data, text.len), &s.lines);
    shrink(&s);
    join(&s.lines, &left);
    (void)printf("# shrunk in %" PRIu64 " tries; it %s%s\n%.*s", s.tries,
                 s.wanted == ENDED ? "ends the process" : "breaks ",
                 s.wanted == ENDED               ? ""
                 : s.wanted > (int)INVARIANT_MAX ? "an expectation"
                                                 : invariant_name((enum invariant)s.wanted),
                 (int)left.len, left.len == 0 ? "" : (const char *)left.data);
    free(s.lines.items);
    buffer_free(&left);
    buffer_free(&text);
    return verb_end(0);
}

const struct verb verb_shrink = {.name = "shrink", .usage = usage_text, .perform = shrink_verb};
