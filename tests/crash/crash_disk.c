/* crash_disk.c - the disk model.
 *
 * A file's bytes live in a reserved piece of address space, of which only pages that were written exist, and a map of
 * these pages; so an image is as small on disk as the file was. To make an image the chosen pending changes are made in
 * place, the files are written out, and what was there before is put back. */
#include "tests/crash/crash_disk.h"

#include "base/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 16u
#define FILE_SPACE_BYTES (1ull << 30)
#define PAGE_BYTES 4096u
#define FILE_PAGES (FILE_SPACE_BYTES / PAGE_BYTES)

const char *const disk_image_names[DISK_IMAGE_KINDS] = {"none", "all", "subset", "torn"};

struct change {
    enum trace_kind kind; /* WRITE, TRUNCATE, ALLOCATE */
    bool durable;         /* written through O_DSYNC; stays in its place among the others until a sync */
    uint64_t at;
    uint64_t extra;
    struct bytes data; /* the trace's */
};

struct file {
    char path[TRACE_PATH_BYTES_MAX];
    bool there;
    bool directory;
    uint8_t *bytes;   /* beyond `size` all zero */
    uint8_t *written; /* by page */
    uint64_t size;
    struct change *pending;
    uint32_t pending_count;
    uint32_t pending_cap;
    uint32_t sync_covers; /* pending changes that the sync under way covers */
};

struct disk {
    struct file files[FILES_MAX];
    struct buffer undo; /* bytes that an image has covered */
};

struct disk *disk_new(void)
{
    return mem_zero(1, sizeof(struct disk));
}

static void file_clear(struct file *f)
{
    if (f->bytes != NULL) (void)munmap(f->bytes, FILE_SPACE_BYTES);
    free(f->written);
    free(f->pending);
    *f = (struct file){0};
}

void disk_free(struct disk *d)
{
    if (d == NULL) return;
    for (uint32_t i = 0; i < FILES_MAX; i++)
        file_clear(&d->files[i]);
    buffer_free(&d->undo);
    free(d);
}

static struct file *find(const struct disk *d, const char *path)
{
    for (uint32_t i = 0; i < FILES_MAX; i++)
        if (d->files[i].there && strcmp(d->files[i].path, path) == 0) return (struct file *)(uintptr_t)&d->files[i];
    return NULL;
}

bool disk_has(const struct disk *d, const char *path)
{
    return find(d, path) != NULL;
}

static struct file *add(struct disk *d, const char *path, bool directory)
{
    struct file *f = find(d, path);
    if (f != NULL) return f;
    for (uint32_t i = 0; i < FILES_MAX && f == NULL; i++)
        if (!d->files[i].there) f = &d->files[i];
    CHECK(f != NULL);
    (void)snprintf(f->path, sizeof f->path, "%s", path);
    f->there = true;
    f->directory = directory;
    if (directory) return f;
    f->bytes = mmap(NULL, FILE_SPACE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(f->bytes != MAP_FAILED);
    f->written = mem_zero(FILE_PAGES, 1);
    return f;
}

/* ---- contents ---- */

static void write_bytes(struct file *f, uint64_t at, struct bytes data)
{
    CHECK(at <= FILE_SPACE_BYTES && data.len <= FILE_SPACE_BYTES - at);
    if (data.len == 0) return;
    memcpy(f->bytes + at, data.data, data.len);
    memset(f->written + at / PAGE_BYTES, 1, (at + data.len - 1) / PAGE_BYTES - at / PAGE_BYTES + 1);
    if (at + data.len > f->size) f->size = at + data.len;
}

static void set_size(struct file *f, uint64_t size)
{
    CHECK_OP(size, <=, FILE_SPACE_BYTES);
    for (uint64_t page = size / PAGE_BYTES; page * PAGE_BYTES < f->size;
         page++) { /* what is cut is zero when it comes back */
        const uint64_t from = page * PAGE_BYTES < size ? size : page * PAGE_BYTES;
        if (f->written[page]) memset(f->bytes + from, 0, (page + 1) * PAGE_BYTES - from);
    }
    f->size = size;
}

static void make(struct file *f, const struct change *c)
{
    if (c->kind == TRACE_WRITE) write_bytes(f, c->at, c->data);
    if (c->kind == TRACE_TRUNCATE) set_size(f, c->at);
    if (c->kind == TRACE_ALLOCATE && c->at + c->extra > f->size) set_size(f, c->at + c->extra);
}

static void add_pending(struct file *f, const struct trace_record *r)
{
    CHECK(r->kind != TRACE_TRUNCATE || r->at >= f->size); /* no file is cut in a run: an image could not be put back */
    if (f->pending_count == f->pending_cap) {
        f->pending_cap = f->pending_cap == 0 ? 64 : f->pending_cap * 2;
        f->pending = mem_resize(f->pending, sizeof *f->pending * f->pending_cap);
    }
    f->pending[f->pending_count++] = (struct change){.kind = r->kind, .at = r->at, .extra = r->extra, .data = r->data};
}

static void sync_done(struct file *f)
{
    for (uint32_t i = 0; i < f->sync_covers; i++)
        make(f, &f->pending[i]);
    f->pending_count -= f->sync_covers;
    if (f->pending_count > 0) memmove(f->pending, f->pending + f->sync_covers, sizeof *f->pending * f->pending_count);
    f->sync_covers = 0;
}

static void write_done(struct file *f)
{
    CHECK_OP(f->pending_count, >, 0);
    f->pending[f->pending_count - 1].durable = true;
    if (f->pending_count == 1 && f->sync_covers == 0) { /* nothing older is pending: it need not keep its place */
        make(f, &f->pending[0]);
        f->pending_count = 0;
    }
}

/* ---- names ---- */

static bool below(const char *path, const char *dir)
{
    const size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static void rename_all(struct disk *d, const char *from, const char *to)
{
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        struct file *f = &d->files[i];
        char path[2 * TRACE_PATH_BYTES_MAX];
        if (!f->there || !below(f->path, from)) continue;
        (void)snprintf(path, sizeof path, "%s%s", to, f->path + strlen(from));
        CHECK_OP(strlen(path), <, sizeof f->path);
        memcpy(f->path, path, strlen(path) + 1);
    }
}

static void remove_file(struct disk *d, const char *path)
{
    struct file *f = find(d, path);
    if (f != NULL) file_clear(f);
}

bool disk_concerns(const struct trace_record *r)
{
    return r->kind != TRACE_START && r->kind != TRACE_SENT && r->kind != TRACE_CLOSED && r->kind != TRACE_SYNC;
}

void disk_apply(struct disk *d, const struct trace_record *r)
{
    struct file *f = find(d, r->path);
    const bool content = f != NULL && !f->directory;
    switch (r->kind) {
    case TRACE_MKDIR: (void)add(d, r->path, true); return;
    case TRACE_CREATE: (void)add(d, r->path, false); return;
    case TRACE_RENAME: rename_all(d, r->path, r->path_to); return;
    case TRACE_RMDIR:
    case TRACE_UNLINK: remove_file(d, r->path); return;
    case TRACE_WRITE:
    case TRACE_TRUNCATE:
    case TRACE_ALLOCATE:
        CHECK(content);
        add_pending(f, r);
        return;
    case TRACE_WRITE_DONE: write_done(f); return;
    case TRACE_SYNC:
        if (content) f->sync_covers = f->pending_count;
        return;
    case TRACE_SYNC_DONE:
        if (content) sync_done(f);
        return;
    case TRACE_START:
    case TRACE_SENT:
    case TRACE_CLOSED: return;
    }
}

bool disk_has_pending(const struct disk *d)
{
    for (uint32_t i = 0; i < FILES_MAX; i++)
        for (uint32_t k = 0; k < d->files[i].pending_count; k++)
            if (!d->files[i].pending[k].durable) return true;
    return false;
}

/* ---- images ---- */

/* Some sectors of a write. */
static void make_torn(struct file *f, const struct change *c, struct prng *random)
{
    uint64_t at = c->at;
    const uint64_t end = c->at + c->data.len;
    while (at < end) {
        const uint64_t next = (at / DISK_SECTOR_BYTES + 1) * DISK_SECTOR_BYTES;
        const uint64_t stop = next < end ? next : end;
        if (prng_below(random, 2) == 1) write_bytes(f, at, bytes_of(c->data.data + (at - c->at), stop - at));
        at = stop;
    }
}

static void make_some(struct file *f, enum disk_image kind, struct prng *random)
{
    for (uint32_t i = 0; i < f->pending_count; i++) {
        const struct change *c = &f->pending[i];
        if (c->durable || kind == DISK_IMAGE_ALL)
            make(f, c);
        else if (kind == DISK_IMAGE_TORN && c->kind == TRACE_WRITE)
            make_torn(f, c, random);
        else if (kind != DISK_IMAGE_NONE && prng_below(random, 2) == 1)
            make(f, c);
    }
}

/* What pending changes of a file can touch, kept and put back. */
static void keep(struct disk *d, const struct file *f)
{
    buffer_append(&d->undo, &f->size, sizeof f->size);
    for (uint32_t i = 0; i < f->pending_count; i++)
        buffer_append(&d->undo, f->bytes + f->pending[i].at, f->pending[i].data.len);
}

static void put_back(struct disk *d, struct file *f)
{
    size_t at = 0;
    memcpy(&f->size, d->undo.data, sizeof f->size);
    at += sizeof f->size;
    for (uint32_t i = 0; i < f->pending_count;
         i++) { /* all were kept before the first was made: the order is no matter */
        const struct change *c = &f->pending[i];
        if (c->data.len > 0) memcpy(f->bytes + c->at, d->undo.data + at, c->data.len);
        at += c->data.len;
    }
    d->undo.len = 0;
}

static struct err write_pages(const struct file *f, int fd, const char *path)
{
    const uint64_t pages = (f->size + PAGE_BYTES - 1) / PAGE_BYTES;
    if (ftruncate(fd, (off_t)f->size) != 0) return err_system(errno, "cannot size %s", path);
    for (uint64_t page = 0; page < pages; page++) {
        uint64_t end = page;
        while (end < pages && f->written[end])
            end++;
        if (end == page) continue;
        const uint64_t from = page * PAGE_BYTES;
        const uint64_t to = end * PAGE_BYTES < f->size ? end * PAGE_BYTES : f->size;
        if (pwrite(fd, f->bytes + from, to - from, (off_t)from) != (ssize_t)(to - from))
            return err_system(errno, "cannot write %s", path);
        page = end;
    }
    return err_none();
}

static struct err write_file(const struct file *f, const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return err_system(errno, "cannot make %s", path);
    const struct err e = write_pages(f, fd, path);
    (void)close(fd);
    return e;
}

static void join(const char *dir, const struct file *f, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s%s%s", dir, f->path[0] == '\0' ? "" : "/", f->path);
}

/* Parents come before what is in them: names sort so. */
static int compare_paths(const void *a, const void *b)
{
    const struct file *const *x = a;
    const struct file *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

static uint32_t in_order(struct disk *d, struct file *out[FILES_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < FILES_MAX; i++)
        if (d->files[i].there) out[count++] = &d->files[i];
    qsort(out, count, sizeof out[0], compare_paths);
    return count;
}

struct err disk_write(struct disk *d, enum disk_image kind, struct prng *random, const char *dir)
{
    struct file *files[FILES_MAX];
    const uint32_t count = in_order(d, files);
    struct err e = err_none();
    for (uint32_t i = 0; i < count && !err_is(&e); i++) {
        struct file *f = files[i];
        char path[PATH_MAX];
        join(dir, f, path);
        if (f->directory) {
            if (mkdir(path, 0700) != 0) e = err_system(errno, "cannot make %s", path);
            continue;
        }
        keep(d, f);
        make_some(f, kind, random);
        e = write_file(f, path);
        put_back(d, f);
    }
    return e;
}

/* ---- directories of the real thing ---- */

static struct err read_file(int fd, const char *path, struct buffer *out)
{
    static const size_t piece = 1u << 20;
    ssize_t got = 1;
    while (got > 0) {
        uint8_t *space = mem_alloc(piece);
        got = read(fd, space, piece);
        if (got > 0) buffer_append(out, space, (size_t)got);
        free(space);
    }
    return got == 0 ? err_none() : err_system(errno, "cannot read %s", path);
}

static struct err read_path(const char *path, struct buffer *out)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_system(errno, "cannot open %s", path);
    const struct err e = read_file(fd, path, out);
    (void)close(fd);
    return e;
}

static struct err load_file(struct disk *d, const char *dir, const char *name)
{
    static const uint8_t zero[PAGE_BYTES];
    char path[PATH_MAX];
    struct buffer content = {0};
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    struct err e = read_path(path, &content);
    if (!err_is(&e)) {
        struct file *f = add(d, name, false);
        for (size_t at = 0; at < content.len; at += PAGE_BYTES) {
            const size_t len = content.len - at < PAGE_BYTES ? content.len - at : PAGE_BYTES;
            if (memcmp(content.data + at, zero, len) != 0) write_bytes(f, at, bytes_of(content.data + at, len));
        }
        f->size = content.len;
    }
    buffer_free(&content);
    return e;
}

/* The names that a data directory has (ledger/data_dir.h). */
static const char *const directories[] = {"", "log", "state"};
static const char *const contents[] = {"LOCK", "log/data.mdb", "state/data.mdb"};

struct err disk_load(struct disk *d, const char *dir)
{
    if (access(dir, F_OK) != 0) return err_none();
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
        (void)add(d, directories[i], true);
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++)
        ERR_TRY(load_file(d, dir, contents[i]));
    return err_none();
}

static struct err compare_file(struct disk *d, struct file *f, const char *path)
{
    struct buffer real = {0};
    struct prng unused = prng_of(0);
    struct err e = read_path(path, &real);
    if (err_is(&e)) return e;
    keep(d, f);
    make_some(f, DISK_IMAGE_ALL, &unused);
    if (real.len != f->size)
        e = err_make(ERR_CORRUPT, "%s has %zu bytes, by its trace %llu", path, real.len, (unsigned long long)f->size);
    for (size_t i = 0; i < real.len && !err_is(&e); i++)
        if (real.data[i] != f->bytes[i]) e = err_make(ERR_CORRUPT, "%s differs from its trace at byte %zu", path, i);
    put_back(d, f);
    buffer_free(&real);
    return e;
}

struct err disk_compare(struct disk *d, const char *dir)
{
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        struct file *f = find(d, contents[i]);
        char path[PATH_MAX];
        if (f == NULL) return err_make(ERR_CORRUPT, "by its trace %s has no %s", dir, contents[i]);
        join(dir, f, path);
        ERR_TRY(compare_file(d, f, path));
    }
    return err_none();
}
