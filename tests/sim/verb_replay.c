/* verb_replay.c - pbft-sim replay: a recording of a real replica, performed again. */
#include "tests/sim/replay.h"
#include "tests/sim/run.h"
#include "tests/sim/verbs.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_READ_MAX (4ull * 1024u * 1024u * 1024u)

static const char usage_text[] =
    "usage: pbft-sim replay FILE [--until-seq N] [--quiet] [-o text|json]\n"
    "\n"
    "Performs the recording FILE of `pbftd --record` again: one line for each event with the effects under it, then "
    "whether\n"
    "they are the recorded ones.\n"
    "\n"
    "  --until-seq N    stop after the event with which sequence N has executed, and print the core's state\n"
    "  --quiet          only the last line\n"
    "  -o json          one JSON object for each event, and one at the end\n"
    "\n"
    "Exit codes: 0 the effects are the recorded ones, 1 an event has other effects, 2 usage, or sequence N is not in "
    "FILE,\n"
    "4 unreadable or of another build, 5 damaged.\n";

struct words {
    const char *path;
    bool quiet;
    bool json;
    struct replay_options replay;
    struct buffer line;
};

/* ---- a core that ends in a CHECK ---- */

static uint64_t performing;

/* A replica that ended in a CHECK does so here too: say with which event. Only what a signal handler may call. */
static void on_abort(int number)
{
    static const char text[] = "pbft-sim: the core ended there while it performed event ";
    char digits[24];
    size_t at = sizeof digits;
    (void)number;
    digits[--at] = '\n';
    for (uint64_t n = performing; at > 0; n /= 10) {
        digits[--at] = (char)('0' + n % 10);
        if (n < 10) break;
    }
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    n = write(STDERR_FILENO, digits + at, sizeof digits - at);
    (void)n;
    _exit(1);
}

/* ---- lines ---- */

static void before(void *context, uint64_t number)
{
    (void)context;
    performing = number;
}

static void text_event(struct buffer *line, const struct replay_event *e)
{
    buffer_printf(line, "%" PRIu64 " %" PRIu64 ".%06" PRIu64 " ", e->number, e->at_us / 1000000, e->at_us % 1000000);
    core_event_text(e->event, e->ignored, line);
    buffer_printf(line, "\n");
    for (uint32_t k = 0; k < e->effects->count; k++) {
        buffer_printf(line, "            ");
        core_effect_text(&e->effects->items[k], line);
        buffer_printf(line, "\n");
    }
}

static json_t *text_of(struct buffer *b)
{
    json_t *text = json_stringn((const char *)b->data, b->len);
    b->len = 0;
    return text;
}

static void json_line(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    CHECK(text != NULL);
    (void)puts(text);
    free(text);
    json_decref(object);
}

static void json_event(struct buffer *line, const struct replay_event *e)
{
    json_t *object = json_object();
    json_t *effects = json_array();
    (void)json_object_set_new(object, "number", json_integer((json_int_t)e->number));
    (void)json_object_set_new(object, "monotonic_us", json_integer((json_int_t)e->at_us));
    core_event_text(e->event, NULL, line);
    (void)json_object_set_new(object, "event", text_of(line));
    (void)json_object_set_new(object, "ignored", e->ignored != NULL ? json_string(e->ignored) : json_null());
    for (uint32_t k = 0; k < e->effects->count; k++) {
        core_effect_text(&e->effects->items[k], line);
        (void)json_array_append_new(effects, text_of(line));
    }
    (void)json_object_set_new(object, "effects", effects);
    json_line(object);
}

static void after(void *context, const struct replay_event *e)
{
    struct words *w = context;
    w->line.len = 0;
    if (w->json) {
        json_event(&w->line, e);
        return;
    }
    text_event(&w->line, e);
    (void)fwrite(w->line.data, 1, w->line.len, stdout);
}

static const char *stop_text(enum replay_stop stop)
{
    switch (stop) {
    case REPLAY_STOP_END: return "the replica stopped there";
    case REPLAY_STOP_NEXT: return "it goes on in the next newer file";
    case REPLAY_STOP_OVERFLOW: return "the disk was too slow: the recording ended there, the replica did not";
    case REPLAY_STOP_CUT: return "no end is marked: the replica was killed there, or still runs, or the disk was full";
    case REPLAY_STOP_SEQ: return "stopped at the sequence asked for";
    }
    return "";
}

static void print_result(const struct words *w, const struct replay_result *r)
{
    char hex[2 * DIGEST_BYTES + 1];
    hex_encode(hex, r->hash.bytes, DIGEST_BYTES);
    if (w->json) {
        json_line(json_pack("{s:I,s:I,s:I,s:b,s:s,s:b,s:b,s:s,s:s,s:I,s:I,s:i}", "first", (json_int_t)r->first,
                            "events", (json_int_t)r->events, "effects", (json_int_t)r->effects, "equal", 1, "hash", hex,
                            "torn", r->torn ? 1 : 0, "last_event_open", r->open ? 1 : 0, "stop", stop_text(r->stop),
                            "version", r->version, "view", (json_int_t)r->summary.view, "executed",
                            (json_int_t)r->summary.executed, "replica", (int)r->self));
        return;
    }
    if (r->stop == REPLAY_STOP_SEQ) (void)fwrite(r->state.data, 1, r->state.len, stdout);
    (void)printf("replica %u of %u, view %" PRIu64 ", executed %" PRIu64 "; %s\n", r->self, r->members, r->summary.view,
                 r->summary.executed, stop_text(r->stop));
    if (r->torn) (void)printf("the frame at offset %zu is not whole, and was left out\n", r->torn_at);
    if (r->open) (void)printf("the effects of the last event are not recorded, and were not compared\n");
    (void)printf("%" PRIu64 " events from %" PRIu64 " on, %" PRIu64
                 " effects: the effects' hash equals the recorded one (%.16s)\n",
                 r->events, r->first, r->effects, hex);
}

/* ---- the file ---- */

static struct err load(const char *path, struct buffer *out)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return err_system(errno, "%s", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return err_make(ERR_IO, "%s: no regular file", path);
    }
    struct err e = (uint64_t)st.st_size > FILE_BYTES_READ_MAX ? err_make(ERR_IO, "%s: longer than any recording", path)
                                                              : err_none();
    const size_t size = (size_t)st.st_size; /* of a replica that still runs: as far as it is now */
    if (!err_is(&e)) (void)buffer_reserve(out, size + 1);
    while (!err_is(&e) && out->len < size) {
        const ssize_t n = read(fd, out->data + out->len, size - out->len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) e = err_system(errno, "%s", path);
        if (n <= 0) break;
        out->len += (size_t)n;
    }
    (void)close(fd);
    return e;
}

static int replay(struct words *w)
{
    struct buffer file = {0};
    struct replay_result result = {.events = 0};
    struct err e = load(w->path, &file);
    w->replay.before = before;
    w->replay.after = w->quiet ? NULL : after;
    w->replay.context = w;
    (void)signal(SIGABRT, on_abort);
    if (!err_is(&e)) {
        e = replay_run(bytes_of(file.data, file.len), &w->replay, &result);
        if (err_is(&e)) e = err_wrap(e, "%s", w->path);
    }
    if (!err_is(&e)) print_result(w, &result);
    if ((fflush(stdout) != 0 || ferror(stdout)) && !err_is(&e))
        e = err_make(ERR_IO, "cannot write to standard output: it is closed or full");
    if (err_is(&e)) (void)fprintf(stderr, "pbft-sim: %s\n", e.text);
    buffer_free(&result.state);
    buffer_free(&w->line);
    buffer_free(&file);
    return err_is(&e) ? err_exit_code(e.code) : 0;
}

/* ---- words ---- */

static int replay_verb(int argc, char **argv)
{
    static const struct option options[] = {
        {"until-seq", required_argument, NULL, 'u'}, {"quiet", no_argument, NULL, 'q'}, {NULL, 0, NULL, 0}};
    struct words w = {.replay = {.until_seq = REPLAY_TO_END}};
    int option;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        switch (option) {
        case 'u':
            if (!run_number(optarg, SEQ_MAX, &w.replay.until_seq))
                return verb_usage(usage_text, "no sequence: ", optarg);
            break;
        case 'q': w.quiet = true; break;
        case 'o':
            if (strcmp(optarg, "json") != 0 && strcmp(optarg, "text") != 0)
                return verb_usage(usage_text, "no form of output: ", optarg);
            w.json = strcmp(optarg, "json") == 0;
            break;
        default: return verb_usage(usage_text, NULL, "");
        }
    }
    if (optind + 1 != argc) return verb_usage(usage_text, "replay takes one FILE", "");
    w.path = argv[optind];
    return replay(&w);
}

const struct verb verb_replay = {.name = "replay", .usage = usage_text, .perform = replay_verb};
