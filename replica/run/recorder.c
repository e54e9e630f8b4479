/* recorder.c - a ring of files behind a thread (recorder.h says what for). */
#include "replica/run/recorder.h"

#include "base/check.h"
#include "base/log.h"
#include "replica/run/record.h"
#include "replica/run/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (256u * 1024u)
#define JOB_BYTES 512u   /* what a waiting frame costs beside its bytes, counted generously */
#define ABORT_WAITS 100u /* of 10 ms: how long a failed CHECK waits for the thread */

/* One frame on its way to the thread. */
struct frame_job {
    struct worker_job job;
    enum record_kind kind;
    bool begins_file; /* the file before it ends first */
    struct image body;
};

/* What the thread owns. */
struct file {
    char path[PATH_MAX];
    int fd;     /* -1: none */
    bool fresh; /* opened, nothing written yet */
    struct record_check check;
    uint8_t *buffer;
    size_t buffered;
};

struct recorder {
    struct worker *worker;
    struct file file;
    atomic_bool failed; /* set by the thread: nothing more is written */
    atomic_uint_least64_t queued;
    /* the loop's */
    void (*sign)(void *context, const struct digest *digest, struct signature *out);
    void *sign_context;
    struct record_header header;
    bool over;  /* the disk was too slow: nothing more is handed over */
    bool begin; /* the next event begins a file */
    bool stepping;
    uint64_t number; /* of the next event */
    struct digest hash;
    uint64_t file_bytes_max;
    uint64_t file_bytes;
    uint64_t image_bytes; /* of the state at the head of this file */
    uint32_t signature_count;
    struct record_signature *signatures;
};

/* ---- the thread: files ---- */

static void log_end(const struct recorder *r, const char *what, int error_number)
{
    LOG(LOG_LEVEL_WARN, "recording.stopped", LOG_S("path", r->file.path), LOG_S("reason", what),
        LOG_S("error", error_number != 0 ? strerror(error_number) : "none"),
        LOG_S("action", "the replica goes on; what was written so far can be replayed"));
}

static void fail(struct recorder *r, const char *what, int error_number)
{
    if (!atomic_exchange(&r->failed, true)) log_end(r, what, error_number);
}

static void flush(struct recorder *r)
{
    struct file *f = &r->file;
    size_t at = 0;
    while (at < f->buffered && !atomic_load(&r->failed)) {
        const ssize_t n = write(f->fd, f->buffer + at, f->buffered - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) fail(r, "the file cannot be written", n < 0 ? errno : ENOSPC);
        if (n > 0) at += (size_t)n;
    }
    f->buffered = 0;
}

static void put(struct recorder *r, struct bytes bytes)
{
    struct file *f = &r->file;
    while (bytes.len > 0) {
        const size_t room = BUFFER_BYTES - f->buffered;
        const size_t n = bytes.len < room ? bytes.len : room;
        memcpy(f->buffer + f->buffered, bytes.data, n);
        f->buffered += n;
        bytes = bytes_of(bytes.data + n, bytes.len - n);
        if (f->buffered == BUFFER_BYTES) flush(r);
    }
}

struct body_sink {
    struct recorder *recorder;
    struct record_frame *frame;
};

static void put_piece(void *context, struct bytes piece)
{
    const struct body_sink *s = context;
    record_frame_add(s->frame, piece);
    put(s->recorder, piece);
}

static void put_frame(struct recorder *r, enum record_kind kind, const struct image *body)
{
    struct record_frame f;
    struct body_sink sink = {.recorder = r, .frame = &f};
    record_frame_start(&f, &r->file.check, kind, image_bytes(body));
    put(r, bytes_of(f.head, sizeof f.head));
    image_write_to(body, put_piece, &sink);
    r->file.check = record_frame_finish(&f);
    put(r, bytes_of(r->file.check.bytes, sizeof r->file.check.bytes));
}

static void put_end(struct recorder *r, enum record_end reason)
{
    struct image body = {.reading = false};
    uint32_t code = reason;
    image_u32(&body, &code);
    put_frame(r, RECORD_KIND_END, &body);
    image_free(&body);
}

static void name_of(const struct file *f, uint32_t place, char *out, size_t cap)
{
    if (place == 0)
        (void)snprintf(out, cap, "%s", f->path);
    else
        (void)snprintf(out, cap, "%s.%u", f->path, place);
}

/* FILE becomes FILE.1 and so on; the oldest goes. Returns an errno value. */
static int move_on(const struct file *f)
{
    char from[PATH_MAX + 16];
    char to[PATH_MAX + 16];
    for (uint32_t place = RECORDER_FILES - 1; place > 0; place--) {
        name_of(f, place - 1, from, sizeof from);
        name_of(f, place, to, sizeof to);
        if (rename(from, to) != 0 && errno != ENOENT) return errno;
    }
    return 0;
}

/* Returns an errno value. */
static int open_next(struct file *f)
{
    const int code = move_on(f);
    if (code != 0) return code;
    if (f->fd >= 0) (void)close(f->fd);
    f->fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->fd < 0) return errno;
    (void)flock(f->fd, LOCK_EX | LOCK_NB); /* for check_old of another process */
    f->fresh = true;
    f->check = (struct record_check){{0}};
    return 0;
}

static void begin_file(struct recorder *r)
{
    if (!r->file.fresh) {
        put_end(r, RECORD_END_NEXT);
        flush(r);
        const int code = atomic_load(&r->failed) ? 0 : open_next(&r->file);
        if (code != 0) fail(r, "the next file cannot be opened", code);
    }
    r->file.fresh = false;
}

static void run_jobs(void *context, struct worker_job *chain, uint32_t *wait_ms)
{
    struct recorder *r = context;
    uint64_t bytes = 0;
    (void)wait_ms;
    while (chain != NULL) {
        struct frame_job *j = (struct frame_job *)(void *)chain;
        chain = chain->next;
        if (j->begins_file && !atomic_load(&r->failed)) begin_file(r);
        if (!atomic_load(&r->failed)) put_frame(r, j->kind, &j->body);
        bytes += image_bytes(&j->body) + JOB_BYTES;
        image_free(&j->body);
        free(j);
    }
    flush(r);
    (void)atomic_fetch_sub(&r->queued, bytes);
}

static void wake_nobody(void *context)
{
    (void)context;
}

/* ---- the loop's side ---- */

static void submit(struct recorder *r, enum record_kind kind, const struct image *body, bool begins_file)
{
    const uint64_t bytes = image_bytes(body) + JOB_BYTES;
    struct frame_job *j = mem_zero(1, sizeof *j);
    j->kind = kind;
    j->begins_file = begins_file;
    j->body = *body;
    r->file_bytes += image_bytes(body) + RECORD_FRAME_HEAD + RECORD_CHECK_BYTES;
    (void)atomic_fetch_add(&r->queued, bytes);
    worker_submit(r->worker, &j->job);
}

/* The disk is too slow. What waits is still written, and the end says why it is one. */
static void overflow(struct recorder *r)
{
    struct image body = {.reading = false};
    uint32_t code = RECORD_END_OVERFLOW;
    image_u32(&body, &code);
    submit(r, RECORD_KIND_END, &body, false);
    r->over = true;
    log_end(r, "events come faster than the disk takes them", 0);
}

static void begin(struct recorder *r, const struct core *core)
{
    struct image header = {.reading = false};
    struct image state = {.reading = false};
    record_header_image(&r->header, &header);
    image_u64(&state, &r->number);
    image_fixed(&state, &r->hash, sizeof r->hash);
    core_image_write(core, &state);
    r->file_bytes = 0;
    r->image_bytes = image_bytes(&state);
    r->begin = false;
    submit(r, RECORD_KIND_HEADER, &header, true);
    submit(r, RECORD_KIND_IMAGE, &state, false);
}

void recorder_event(struct recorder *r, const struct core *core, const struct core_event *event)
{
    struct image body = {.reading = false};
    if (r == NULL || !recorder_runs(r)) return;
    if (atomic_load(&r->queued) > RECORDER_QUEUE_BYTES_MAX) {
        overflow(r);
        return;
    }
    const bool full = r->file_bytes >= r->file_bytes_max && r->file_bytes >= 2 * r->image_bytes;
    if (r->begin || full) begin(r, core);
    image_u64(&body, &r->number);
    record_event_write(&r->header.config, event, &body);
    submit(r, RECORD_KIND_EVENT, &body, false);
    r->signature_count = 0;
    r->stepping = true;
}

void recorder_effects(struct recorder *r, const struct core_effects *effects)
{
    struct image body = {.reading = false};
    if (r == NULL || !r->stepping) return;
    r->stepping = false;
    r->hash = record_hash_next(&r->hash, effects);
    struct record_effects e = {.number = r->number++,
                               .count = effects->count,
                               .hash = r->hash,
                               .signature_count = r->signature_count,
                               .signatures = r->signatures};
    if (atomic_load(&r->failed)) return;
    record_effects_image(&e, &body);
    submit(r, RECORD_KIND_EFFECTS, &body, false);
}

static void sign(void *context, const struct digest *digest, struct signature *out)
{
    struct recorder *r = context;
    r->sign(r->sign_context, digest, out);
    if (!r->stepping) return;
    CHECK_OP(r->signature_count, <, RECORD_SIGNATURES_MAX); /* L proposals and some: see core_view.c */
    r->signatures[r->signature_count++] = (struct record_signature){.digest = *digest, .signature = *out};
}

void recorder_wrap(struct recorder *r, struct core_config *config)
{
    r->header.config = *config;
    r->sign = config->sign;
    r->sign_context = config->sign_context;
    config->sign = sign;
    config->sign_context = r;
    r->begin = true;
}

bool recorder_runs(const struct recorder *r)
{
    return !atomic_load(&r->failed) && !r->over;
}

/* ---- a CHECK that fails waits until its event is written ---- */

static struct recorder *_Atomic aborting;
static struct sigaction before_abort;

static void on_abort(int number)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    struct recorder *r = atomic_load(&aborting);
    (void)number;
    for (uint32_t i = 0; r != NULL && i < ABORT_WAITS && atomic_load(&r->queued) > 0; i++)
        (void)nanosleep(&pause, NULL);
}

static void watch_aborts(struct recorder *r)
{
    const struct sigaction action = {.sa_handler = on_abort};
    atomic_store(&aborting, r);
    (void)sigaction(SIGABRT, &action, &before_abort);
}

static void watch_no_aborts(const struct recorder *r)
{
    if (atomic_load(&aborting) != r) return;
    (void)sigaction(SIGABRT, &before_abort, NULL);
    atomic_store(&aborting, NULL);
}

/* ---- opening and closing ---- */

/* What stands there may only be moved if it is a recording, or empty, and nobody writes it. */
static struct err check_old(const char *path)
{
    uint8_t start[RECORD_FRAME_HEAD + 8];
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) return err_none();
    if (fd < 0) return err_system(errno, "cannot record to %s", path);
    const bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    const ssize_t n = regular ? read(fd, start, sizeof start) : -1;
    const bool in_use = regular && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    (void)close(fd);
    if (in_use) return err_make(ERR_USAGE, "cannot record to %s: another process does; name another file", path);
    if (!regular) return err_make(ERR_USAGE, "cannot record to %s: it is no regular file", path);
    if (n == 0 || (n == (ssize_t)sizeof start && memcmp(start + RECORD_FRAME_HEAD, "pbftrec\n", 8) == 0))
        return err_none();
    return err_make(ERR_USAGE, "cannot record to %s: it is there already, and is no recording; name another file",
                    path);
}

struct err recorder_open(const char *path, uint64_t bytes_max, struct recorder **out)
{
    if (bytes_max < RECORDER_BYTES_MIN || bytes_max > RECORDER_BYTES_MAX)
        return err_make(ERR_USAGE, "a recording has from %llu to %llu bytes", RECORDER_BYTES_MIN, RECORDER_BYTES_MAX);
    if (strlen(path) >= PATH_MAX) return err_make(ERR_USAGE, "the path of the recording is too long");
    struct recorder *r = mem_zero(1, sizeof *r);
    (void)snprintf(r->file.path, sizeof r->file.path, "%s", path);
    struct err old = err_none();
    for (uint32_t place = 0; place < RECORDER_FILES && !err_is(&old); place++) {
        char name[PATH_MAX + 16];
        name_of(&r->file, place, name, sizeof name);
        old = check_old(name);
    }
    if (err_is(&old)) {
        free(r);
        return old;
    }
    r->file.fd = -1;
    r->file.buffer = mem_alloc(BUFFER_BYTES);
    r->signatures = mem_zero(RECORD_SIGNATURES_MAX, sizeof *r->signatures);
    r->file_bytes_max = bytes_max / RECORDER_FILES;
    r->begin = true;
    const int code = open_next(&r->file);
    struct err e = code != 0 ? err_system(code, "cannot record to %s", path) : err_none();
    if (!err_is(&e)) e = worker_start("recorder", run_jobs, r, wake_nobody, NULL, &r->worker);
    if (err_is(&e)) {
        recorder_close(r);
        return e;
    }
    watch_aborts(r);
    *out = r;
    return err_none();
}

void recorder_close(struct recorder *r)
{
    if (r == NULL) return;
    watch_no_aborts(r);
    if (r->worker != NULL) worker_stop(r->worker);
    worker_free(r->worker);
    if (r->file.fd >= 0) {
        if (!r->file.fresh && recorder_runs(r)) put_end(r, RECORD_END_STOPPED);
        flush(r);
        (void)close(r->file.fd);
    }
    free(r->file.buffer);
    free(r->signatures);
    free(r);
}
