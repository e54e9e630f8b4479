/* crash_trace.c - reading a trace. */
#include "tests/crash/crash_trace.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct err trace_open(const char *path, enum trace_syncs syncs, struct trace *out)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_system(errno, "cannot open the trace %s", path);
    if (fstat(fd, &st) != 0 || st.st_size == 0) {
        (void)close(fd);
        return err_make(ERR_IO, "the trace %s is empty", path);
    }
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    const int reason = errno;
    (void)close(fd);
    if (map == MAP_FAILED) return err_system(reason, "cannot map the trace %s", path);
    *out = (struct trace){.start = map, .len = (size_t)st.st_size, .syncs = syncs};
    return err_none();
}

void trace_rewind(struct trace *t)
{
    t->pos = 0;
}

/* "r1/log/data.mdb" is "log/data.mdb" of the one replica that a trace is about. */
static void own_path(struct bytes in, char out[TRACE_PATH_BYTES_MAX])
{
    const uint8_t *slash = in.len == 0 ? NULL : memchr(in.data, '/', in.len);
    const size_t skip = slash == NULL ? in.len : (size_t)(slash - in.data) + 1;
    CHECK_OP(in.len - skip, <, TRACE_PATH_BYTES_MAX);
    if (in.len > skip) memcpy(out, in.data + skip, in.len - skip);
    out[in.len - skip] = '\0';
}

static bool counts(const struct trace *t, enum trace_kind kind)
{
    if (t->pos <= t->len / 2) return true; /* so that there is a replica with promises to lose */
    switch (t->syncs) {
    case TRACE_SYNCS_ALL: return true;
    case TRACE_SYNCS_NO_FDATASYNC: return kind != TRACE_SYNC && kind != TRACE_SYNC_DONE;
    case TRACE_SYNCS_NO_DSYNC: return kind != TRACE_WRITE_DONE;
    case TRACE_SYNCS_NONE: return kind != TRACE_SYNC && kind != TRACE_SYNC_DONE && kind != TRACE_WRITE_DONE;
    }
    return true;
}

static bool next_of_any_kind(struct trace *t, struct trace_record *out)
{
    struct trace_head head;
    if (t->len - t->pos < sizeof head) return false;
    memcpy(&head, t->start + t->pos, sizeof head);
    CHECK_OP(head.magic, ==, TRACE_MAGIC);
    const size_t left = t->len - t->pos - sizeof head;
    if (head.path_bytes > left || head.data_bytes > left - head.path_bytes) return false;
    const uint8_t *path = t->start + t->pos + sizeof head;
    out->kind = (enum trace_kind)head.kind;
    out->at = head.at;
    out->extra = head.extra;
    out->data = bytes_of(path + head.path_bytes, head.data_bytes);
    own_path(bytes_of(path, head.path_bytes), out->path);
    if (out->kind == TRACE_RENAME) own_path(out->data, out->path_to);
    t->pos += sizeof head + head.path_bytes + head.data_bytes;
    return true;
}

bool trace_next(struct trace *t, struct trace_record *out)
{
    while (next_of_any_kind(t, out))
        if (counts(t, out->kind)) return true;
    return false;
}

void trace_close(struct trace *t)
{
    if (t->start != NULL) (void)munmap((void *)(uintptr_t)t->start, t->len);
    *t = (struct trace){0};
}
