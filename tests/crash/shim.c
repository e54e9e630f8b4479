/* shim.c - preloaded into pbftd: records in one trace every change of the data directory, every sync of it, and every
 * byte sent, before TLS makes it unreadable.
 *
 * PBFT_CRASH_HOME    the group's home; data directories are its r0, r1, ...
 * PBFT_CRASH_TRACES  a directory outside of them; replica 1 appends to r1.trace there
 * PBFT_CRASH_SYNC_US so long every sync takes at least (default 0), as on a slow disk: there is then more to lose
 *
 * It knows the calls that pbftd and LMDB make. That none is missing is seen at the end: the files rebuilt from the
 * trace must be those on the disk (crash_search compare). lock.mdb is left out: LMDB makes it anew at the first start
 * after a crash. Other programs than pbftd record nothing. */
#include "tests/crash/trace_format.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t shim_lock = PTHREAD_MUTEX_INITIALIZER;
static int trace_fd = -1;
static bool shim_on;
static useconds_t sync_us;
static char home[PATH_MAX];
static char traces[PATH_MAX];

/* The call that the program would have made without the shim. */
#define REAL(name) (__extension__(__typeof__(&name)) shim_real(#name))

static void *shim_real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) abort();
    return found;
}

__attribute__((constructor)) static void shim_start(void)
{
    const char *in = getenv("PBFT_CRASH_HOME");
    const char *to = getenv("PBFT_CRASH_TRACES");
    shim_on = in != NULL && to != NULL && strcmp(program_invocation_short_name, "pbftd") == 0;
    if (!shim_on) return;
    const char *slow = getenv("PBFT_CRASH_SYNC_US");
    sync_us = slow == NULL ? 0 : (useconds_t)strtoul(slow, NULL, 10);
    if (realpath(in, home) == NULL || realpath(to, traces) == NULL) {
        (void)fprintf(stderr, "shim: PBFT_CRASH_HOME and PBFT_CRASH_TRACES must be directories\n");
        _exit(2);
    }
}

/* A trace with a hole proves nothing. */
static _Noreturn void shim_fail(const char *what)
{
    (void)fprintf(stderr, "shim: cannot record: %s: %s\n", what, strerror(errno));
    _exit(2);
}

/* ---- recording; the lock is held ---- */

static void put_record(enum trace_kind kind, const char *path, uint64_t at, uint64_t extra, const void *data,
                       size_t len)
{
    struct trace_head head = {.magic = TRACE_MAGIC, .kind = kind, .at = at, .extra = extra, .data_bytes = len};
    head.path_bytes = path == NULL ? 0 : (uint32_t)strlen(path);
    struct iovec parts[3] = {
        {&head, sizeof head}, {(void *)(uintptr_t)path, head.path_bytes}, {(void *)(uintptr_t)data, len}};
    const ssize_t whole = (ssize_t)(sizeof head + head.path_bytes + len);
    if (syscall(SYS_writev, trace_fd, parts, 3) != whole) shim_fail("the trace");
}

/* The part of an absolute path below home when it is in a data directory, else NULL. Opens the trace at the first one.
 */
static const char *in_data(const char *path)
{
    const size_t len = strlen(home);
    if (strncmp(path, home, len) != 0 || path[len] != '/' || path[len + 1] != 'r') return NULL;
    const char *below = path + len + 1;
    const size_t digits = strspn(below + 1, "0123456789");
    const size_t name = digits + 1;
    if (digits == 0 || name >= TRACE_REPLICA_BYTES || (below[name] != '/' && below[name] != '\0')) return NULL;
    if (strlen(below) >= 9 && strcmp(below + strlen(below) - 9, "/lock.mdb") == 0) return NULL;
    if (trace_fd < 0) {
        char file[PATH_MAX + TRACE_REPLICA_BYTES + 8];
        (void)snprintf(file, sizeof file, "%s/%.*s.trace", traces, (int)name, below);
        trace_fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (trace_fd < 0) shim_fail(file);
        put_record(TRACE_START, NULL, (uint64_t)getpid(), 0, NULL, 0);
    }
    return below;
}

/* Where an open file is; space has PATH_MAX bytes. */
static const char *fd_in_data(int fd, char *space)
{
    char link[64];
    if (!shim_on) return NULL;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t len = syscall(SYS_readlinkat, AT_FDCWD, link, space, (size_t)PATH_MAX - 1);
    if (len <= 0) return NULL;
    space[len] = '\0';
    return in_data(space);
}

/* The same of a name, which may not be there yet. */
static const char *name_in_data(const char *name, char *space)
{
    char parent[PATH_MAX];
    char resolved[PATH_MAX];
    if (!shim_on || strlen(name) >= sizeof parent) return NULL;
    (void)snprintf(parent, sizeof parent, "%s", name);
    char *slash = strrchr(parent, '/');
    if (slash == NULL || slash == parent) return NULL;
    *slash = '\0';
    const int before = errno;
    const bool there = realpath(parent, resolved) != NULL;
    errno = before;
    if (!there) return NULL;
    const int wanted = snprintf(space, PATH_MAX, "%s/%s", resolved, slash + 1);
    return wanted > 0 && wanted < PATH_MAX ? in_data(space) : NULL;
}

/* ---- changes of names ---- */

int mkdir(const char *name, mode_t mode)
{
    char space[PATH_MAX];
    struct stat st;
    (void)pthread_mutex_lock(&shim_lock);
    const char *path = name_in_data(name, space);
    if (path != NULL && stat(name, &st) != 0) put_record(TRACE_MKDIR, path, 0, 0, NULL, 0);
    const int rc = REAL(mkdir)(name, mode);
    (void)pthread_mutex_unlock(&shim_lock);
    return rc;
}

int rmdir(const char *name)
{
    char space[PATH_MAX];
    (void)pthread_mutex_lock(&shim_lock);
    const char *path = name_in_data(name, space);
    const int rc = REAL(rmdir)(name);
    if (rc == 0 && path != NULL) put_record(TRACE_RMDIR, path, 0, 0, NULL, 0);
    (void)pthread_mutex_unlock(&shim_lock);
    return rc;
}

int unlink(const char *name)
{
    char space[PATH_MAX];
    (void)pthread_mutex_lock(&shim_lock);
    const char *path = name_in_data(name, space);
    const int rc = REAL(unlink)(name);
    if (rc == 0 && path != NULL) put_record(TRACE_UNLINK, path, 0, 0, NULL, 0);
    (void)pthread_mutex_unlock(&shim_lock);
    return rc;
}

int rename(const char *from, const char *to)
{
    char space[PATH_MAX];
    char space_to[PATH_MAX];
    (void)pthread_mutex_lock(&shim_lock);
    const char *path = name_in_data(from, space);
    const char *path_to = name_in_data(to, space_to);
    const int rc = REAL(rename)(from, to);
    if (rc == 0 && path != NULL && path_to != NULL) put_record(TRACE_RENAME, path, 0, 0, path_to, strlen(path_to));
    (void)pthread_mutex_unlock(&shim_lock);
    return rc;
}

int open(const char *name, int flags, ...)
{
    char space[PATH_MAX];
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (!shim_on || (flags & (O_CREAT | O_TRUNC)) == 0) return REAL(open)(name, flags, mode);
    (void)pthread_mutex_lock(&shim_lock);
    const char *path = name_in_data(name, space);
    const bool there = path != NULL && syscall(SYS_faccessat, AT_FDCWD, name, F_OK) == 0;
    const int fd = REAL(open)(name, flags, mode);
    if (fd >= 0 && path != NULL && !there) put_record(TRACE_CREATE, path, 0, 0, NULL, 0);
    if (fd >= 0 && path != NULL && there && (flags & O_TRUNC) != 0) put_record(TRACE_TRUNCATE, path, 0, 0, NULL, 0);
    (void)pthread_mutex_unlock(&shim_lock);
    return fd;
}

/* ---- changes of contents ---- */

int ftruncate(int fd, off_t len)
{
    char space[PATH_MAX];
    (void)pthread_mutex_lock(&shim_lock);
    const char *path = fd_in_data(fd, space);
    if (path != NULL) put_record(TRACE_TRUNCATE, path, (uint64_t)len, 0, NULL, 0);
    const int rc = REAL(ftruncate)(fd, len);
    (void)pthread_mutex_unlock(&shim_lock);
    return rc;
}

int posix_fallocate(int fd, off_t at, off_t len)
{
    char space[PATH_MAX];
    (void)pthread_mutex_lock(&shim_lock);
    const char *path = fd_in_data(fd, space);
    if (path != NULL) put_record(TRACE_ALLOCATE, path, (uint64_t)at, (uint64_t)len, NULL, 0);
    const int rc = REAL(posix_fallocate)(fd, at, len);
    (void)pthread_mutex_unlock(&shim_lock);
    return rc;
}

/* A write to a data file: recorded, then made, then, through a descriptor with O_DSYNC, durable. at < 0: where the
 * descriptor stands. */
static bool record_write(int fd, const char *path, const void *data, size_t len, off_t at)
{
    const off_t place = at >= 0 ? at : (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    if (place < 0) shim_fail("a write to what has no place");
    put_record(TRACE_WRITE, path, (uint64_t)place, 0, data, len);
    return (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
}

static void record_written(const char *path, bool dsync, ssize_t done, size_t len)
{
    if (done != (ssize_t)len) shim_fail("a short write");
    if (dsync) put_record(TRACE_WRITE_DONE, path, 0, 0, NULL, 0);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    char space[PATH_MAX];
    (void)pthread_mutex_lock(&shim_lock);
    const char *path = fd_in_data(fd, space);
    const bool dsync = path != NULL && record_write(fd, path, data, len, at);
    const ssize_t done = REAL(pwrite)(fd, data, len, at);
    if (path != NULL) record_written(path, dsync, done, len);
    (void)pthread_mutex_unlock(&shim_lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t len)
{
    char space[PATH_MAX];
    if (!shim_on) return REAL(write)(fd, data, len);
    (void)pthread_mutex_lock(&shim_lock);
    const char *path = fd_in_data(fd, space);
    const bool dsync = path != NULL && record_write(fd, path, data, len, -1);
    const ssize_t done = path != NULL ? REAL(write)(fd, data, len) : 0;
    if (path != NULL) record_written(path, dsync, done, len);
    (void)pthread_mutex_unlock(&shim_lock);
    return path != NULL ? done : REAL(write)(fd, data, len); /* a pipe may keep us waiting: not under the lock */
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    char space[PATH_MAX];
    (void)pthread_mutex_lock(&shim_lock);
    const char *path = fd_in_data(fd, space);
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    bool dsync = false;
    if (path != NULL) {
        uint8_t *whole = malloc(len);
        if (whole == NULL) shim_fail("memory");
        size_t at = 0;
        for (int i = 0; i < count; i++) {
            memcpy(whole + at, parts[i].iov_base, parts[i].iov_len);
            at += parts[i].iov_len;
        }
        dsync = record_write(fd, path, whole, len, -1);
        free(whole);
    }
    const ssize_t done = REAL(writev)(fd, parts, count);
    if (path != NULL) record_written(path, dsync, done, len);
    (void)pthread_mutex_unlock(&shim_lock);
    return done;
}

/* ---- syncs ---- */

/* The lock is not held while the disk works: others go on, and what they write meanwhile is not covered. */
static int record_sync(int fd, int (*sync)(int))
{
    char space[PATH_MAX];
    (void)pthread_mutex_lock(&shim_lock);
    const char *path = fd_in_data(fd, space);
    if (path != NULL) put_record(TRACE_SYNC, path, 0, 0, NULL, 0);
    (void)pthread_mutex_unlock(&shim_lock);
    if (path != NULL && sync_us > 0) (void)usleep(sync_us);
    const int rc = sync(fd);
    if (path == NULL || rc != 0) return rc;
    (void)pthread_mutex_lock(&shim_lock);
    put_record(TRACE_SYNC_DONE, path, 0, 0, NULL, 0);
    (void)pthread_mutex_unlock(&shim_lock);
    return rc;
}

int fsync(int fd)
{
    return record_sync(fd, REAL(fsync));
}

int fdatasync(int fd)
{
    return record_sync(fd, REAL(fdatasync));
}

/* ---- what leaves ---- */

ssize_t gnutls_record_send(gnutls_session_t session, const void *data, size_t len)
{
    const size_t most = gnutls_record_get_max_size(session);
    const size_t taken = len < most ? len : most;
    (void)pthread_mutex_lock(&shim_lock);
    /* called again with nothing it goes on with what it was given before */
    if (trace_fd >= 0 && data != NULL && taken > 0)
        put_record(TRACE_SENT, NULL, (uint64_t)(uintptr_t)session, 0, data, taken);
    (void)pthread_mutex_unlock(&shim_lock);
    const ssize_t done = REAL(gnutls_record_send)(session, data, taken);
    if (done > 0 && data != NULL && (size_t)done != taken) shim_fail("a part of a record sent");
    return done;
}

void gnutls_deinit(gnutls_session_t session)
{
    (void)pthread_mutex_lock(&shim_lock);
    if (trace_fd >= 0) put_record(TRACE_CLOSED, NULL, (uint64_t)(uintptr_t)session, 0, NULL, 0);
    (void)pthread_mutex_unlock(&shim_lock);
    REAL(gnutls_deinit)(session);
}
