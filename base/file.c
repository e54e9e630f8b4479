/* file.c - small files read whole and written whole, and the three descriptors of a program. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One byte more than allowed is asked for, so that a longer file is seen to be longer. */
static enum file_fault read_all(int fd, uint8_t *space, size_t bytes_max, struct file_text *out)
{
    while (out->len <= bytes_max) {
        const ssize_t got = read(fd, space + out->len, bytes_max + 1 - out->len);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            out->error_number = errno;
            return FILE_FAULT_SYSTEM;
        }
        if (got == 0) return FILE_FAULT_NONE;
        out->len += (size_t)got;
    }
    return FILE_FAULT_TOO_LONG;
}

enum file_fault file_load(const char *path, uint8_t *space, size_t bytes_max, struct file_text *out)
{
    struct stat status;
    enum file_fault fault = FILE_FAULT_NONE;
    *out = (struct file_text){.len = 0};
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) != 0) {
        out->error_number = errno;
        fault = FILE_FAULT_SYSTEM;
    } else if (!S_ISREG(status.st_mode)) {
        fault = FILE_FAULT_NOT_REGULAR;
    } else {
        out->mode = (unsigned)status.st_mode & 07777u;
        fault = read_all(fd, space, bytes_max, out);
    }
    if (fd >= 0) (void)close(fd);
    return fault;
}

int file_fill(int fd, struct bytes text, unsigned mode)
{
    /* a restrictive umask must not leave a file that its owner cannot read */
    if (fchmod(fd, (mode_t)mode) != 0) return errno;
    size_t done = 0;
    while (done < text.len) {
        const ssize_t put = write(fd, text.data + done, text.len - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        done += (size_t)put;
    }
    return fsync(fd) != 0 ? errno : 0;
}

int file_directory_sync(const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    char *directory = mem_alloc(len + 2);
    memcpy(directory, path, len);
    if (len == 0) directory[0] = slash == NULL ? '.' : '/';
    directory[len > 0 ? len : 1] = '\0';
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int failure = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) (void)close(fd);
    free(directory);
    return failure;
}

/* Gives the temporary file its name. link, unlike rename, never replaces. */
static int name_take(const char *temporary, const char *path, enum file_place place)
{
    if (place == FILE_PLACE_REPLACE) return rename(temporary, path) != 0 ? errno : 0;
    if (link(temporary, path) != 0) return errno;
    return unlink(temporary) != 0 ? errno : 0;
}

int file_put(const char *path, struct bytes text, unsigned mode, enum file_place place)
{
    const size_t cap = strlen(path) + sizeof ".XXXXXX";
    char *temporary = mem_alloc(cap);
    (void)snprintf(temporary, cap, "%s.XXXXXX", path);
    const int fd = mkostemp(temporary, O_CLOEXEC);
    int failure = fd < 0 ? errno : file_fill(fd, text, mode);
    if (fd >= 0 && close(fd) != 0 && failure == 0) failure = errno;
    if (failure == 0) failure = name_take(temporary, path, place);
    if (fd >= 0 && failure != 0) (void)unlink(temporary);
    if (failure == 0) failure = file_directory_sync(path);
    free(temporary);
    return failure;
}

int file_standard_open(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        /* the lowest free number, which is fd: those below are open. Kept across exec: a child is no better off. */
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return errno;
    }
    return 0;
}
