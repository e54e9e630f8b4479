/* program.c - see program.h. */
#include "bench/program.h"

#include "bench/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 200 /* whether this program is interrupted */

struct err program_path(const char *name, char *path, size_t path_bytes)
{
    const ssize_t got = readlink("/proc/self/exe", path, path_bytes - 1);
    if (got <= 0) return err_system(errno, "cannot tell where this program stands");
    path[got] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL || (size_t)(slash - path) + 1 + strlen(name) >= path_bytes)
        return err_make(ERR_CONFIG, "the path of this program is too long");
    (void)snprintf(slash + 1, path_bytes - (size_t)(slash + 1 - path), "%s", name);
    return err_none();
}

/* The input is in a file that has no name any more: nothing waits for who reads it. */
static FILE *input_file(struct bytes input)
{
    FILE *f = tmpfile();
    if (f == NULL) return NULL;
    if ((input.len == 0 || fwrite(input.data, input.len, 1, f) == 1) && fflush(f) == 0 && fseek(f, 0, SEEK_SET) == 0)
        return f;
    (void)fclose(f);
    return NULL;
}

/* ends: told to when this program is interrupted; 0: it is left to its end. */
static struct err read_all(int fd, pid_t ends, struct buffer *out)
{
    uint8_t space[4096];
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    for (;;) {
        if (ends != 0 && bench_interrupted()) {
            (void)kill(ends, SIGTERM);
            ends = 0;
        }
        if (ends != 0 && poll(&readable, 1, LOOK_MS) <= 0) continue;
        const ssize_t got = read(fd, space, sizeof space);
        if (got == 0) return err_none();
        if (got > 0) buffer_append(out, space, (size_t)got);
        if (got < 0 && errno != EINTR) return err_system(errno, "cannot read what a program prints");
    }
}

static struct err spawn(const char *const *argv, const posix_spawn_file_actions_t *actions, pid_t *pid)
{
    posix_spawnattr_t attributes;
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    const int fault = posix_spawnp(pid, argv[0], actions, &attributes, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawnattr_destroy(&attributes);
    return fault == 0 ? err_none() : err_make(ERR_CONFIG, "cannot run %s: %s", argv[0], strerror(fault));
}

struct err program_start(const char *const *argv, pid_t *pid)
{
    posix_spawn_file_actions_t quiet;
    (void)posix_spawn_file_actions_init(&quiet);
    (void)posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    const struct err e = spawn(argv, &quiet, pid);
    (void)posix_spawn_file_actions_destroy(&quiet);
    return e;
}

int program_wait(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static struct err run(const char *const *argv, struct bytes input, bool or_end, struct buffer *out)
{
    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    FILE *in = input_file(input);
    if (in == NULL) return err_system(errno, "cannot write a temporary file");
    if (pipe(ends) != 0) {
        const int fault = errno;
        (void)fclose(in);
        return err_system(fault, "cannot make a pipe");
    }
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, fileno(in), STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_addclose(&actions, ends[0]);
    (void)posix_spawn_file_actions_addclose(&actions, ends[1]);
    const struct err spawned = spawn(argv, &actions, &pid);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)fclose(in);
    (void)close(ends[1]);
    if (err_is(&spawned)) {
        (void)close(ends[0]);
        return spawned;
    }
    const struct err e = read_all(ends[0], or_end ? pid : 0, out);
    (void)close(ends[0]);
    const int status = program_wait(pid);
    if (err_is(&e)) return e;
    if (or_end) ERR_TRY(bench_go_on());
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return err_make(ERR_NEGATIVE, "%s failed", argv[0]);
    return err_none();
}

struct err program_run(const char *const *argv, struct bytes input, struct buffer *out)
{
    return run(argv, input, false, out);
}

struct err program_run_or_end(const char *const *argv, struct buffer *out)
{
    return run(argv, bytes_of(NULL, 0), true, out);
}

pid_t bench_replica_pid(const char *home, uint32_t id)
{
    char path[PATH_MAX + 32];
    char line[32];
    pid_t pid = 0;
    (void)snprintf(path, sizeof path, "%s/run/r%u.pid", home, id);
    FILE *f = fopen(path, "re");
    if (f == NULL) return 0;
    if (fgets(line, sizeof line, f) != NULL) pid = (pid_t)strtol(line, NULL, 10);
    (void)fclose(f);
    return pid;
}
