/* cli_devnet_process.c - the processes of a devnet: finding, starting, signalling and awaiting them. */
#include "client/cli_devnet_internal.h"

#include "base/check.h"
#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROC_BYTES_MAX 16384u
#define TAIL_BYTES 4096u
#define TAIL_LINES 12u
#define EXEC_FAILED 127
#define CONTINUE_MS 100u /* how often what is to end is told to go on */
#define PAUSE_WAIT_MS 5000u

/* ---- looking ---- */

/* Reads a small file whole; false when it cannot be read. */
static bool read_small(const char *path, char *out, size_t size, size_t *len)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t used = 0;
    ssize_t got = 1;
    while (got > 0 && used < size - 1) {
        got = read(fd, out + used, size - 1 - used);
        if (got > 0) used += (size_t)got;
    }
    (void)close(fd);
    out[used] = '\0';
    if (len != NULL) *len = used;
    return got >= 0;
}

/* A file of /proc/PID that holds words, each with a zero behind it. */
struct proc_words {
    char text[PROC_BYTES_MAX];
    size_t len;
};

static bool proc_read(pid_t pid, const char *name, struct proc_words *out)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return read_small(path, out->text, sizeof out->text, &out->len);
}

/* The word after `word`, which is NULL for the first; NULL past the last. */
static const char *proc_next(const struct proc_words *w, const char *word)
{
    const char *next = word == NULL ? w->text : word + strlen(word) + 1;
    return next < w->text + w->len ? next : NULL;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* True when the process is `pbftd --config CONF`, or that of pbft-evil. */
static bool is_replica(const struct proc_words *words, const char *conf)
{
    const char *program = last_part(words->text);
    if (strcmp(program, "pbftd") != 0 && strcmp(program, DEVNET_EVIL_NAME) != 0) return false;
    for (const char *word = proc_next(words, NULL); word != NULL; word = proc_next(words, word))
        if (strcmp(word, conf) == 0) return true;
    return false;
}

/* What the process really runs, whatever it is called: pbft-evil, under a link named pbftd too. */
static bool is_evil(pid_t pid)
{
    char path[64];
    struct cli_path program;
    (void)snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    const ssize_t len = readlink(path, program.text, sizeof program.text - 1);
    if (len <= 0) return false;
    program.text[len] = '\0';
    const char *name = last_part(program.text);
    return strcmp(name, DEVNET_EVIL_NAME) == 0 || strcmp(name, DEVNET_EVIL_NAME " (deleted)") == 0;
}

/* What it has been told to do: by --behaviour, else by its environment. */
static void read_behaviour(pid_t pid, const struct proc_words *words, char out[DEVNET_BEHAVIOUR_BYTES])
{
    static const char *const names[] = {"PBFT_EVIL_BEHAVIOUR=", "PBFT_EVIL_LINKS="};
    static const char *const shown[] = {"", "links "};
    struct proc_words environment;
    (void)snprintf(out, DEVNET_BEHAVIOUR_BYTES, "-");
    for (const char *word = proc_next(words, NULL); word != NULL; word = proc_next(words, word)) {
        const char *next = proc_next(words, word);
        if (strcmp(word, "--behaviour") != 0 || next == NULL) continue;
        (void)snprintf(out, DEVNET_BEHAVIOUR_BYTES, "%s", next);
        return;
    }
    if (!proc_read(pid, "environ", &environment)) return;
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (const char *word = proc_next(&environment, NULL); word != NULL; word = proc_next(&environment, word)) {
            if (strncmp(word, names[i], strlen(names[i])) != 0) continue;
            (void)snprintf(out, DEVNET_BEHAVIOUR_BYTES, "%s%s", shown[i], word + strlen(names[i]));
            return;
        }
    }
}

/* Stopped by a signal: state T in /proc/PID/stat, after the name in parentheses. */
static bool is_paused(pid_t pid)
{
    char path[64];
    char text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_small(path, text, sizeof text, NULL)) return false;
    const char *at = strrchr(text, ')');
    return at != NULL && at[1] == ' ' && (at[2] == 'T' || at[2] == 't');
}

/* A line of /proc/locks, "1: FLOCK  ADVISORY  WRITE 2215 fe:01:262157 0 EOF": true when it is about this inode. The
 * device is not compared: an overlay file system shows another one there than to stat. */
static bool line_locks(char *line, ino_t inode, pid_t *pid)
{
    char *at = line;
    char *words[6] = {NULL};
    for (uint32_t count = 0; count < 6 && at != NULL;) {
        words[count] = strsep(&at, " \n");
        if (words[count][0] != '\0') count++;
    }
    if (words[5] == NULL || strcmp(words[1], "FLOCK") != 0 || strcmp(words[3], "WRITE") != 0) return false;
    const char *number = strrchr(words[5], ':');
    if (number == NULL || strtoull(number + 1, NULL, 10) != inode) return false;
    *pid = (pid_t)strtol(words[4], NULL, 10);
    return true;
}

/* Who has the data directory locked (struct devnet_process). Looks at /proc/locks instead of trying the lock, which
 * could get in the way of a replica that starts. */
static pid_t lock_holder(const struct devnet *d, uint32_t id)
{
    struct cli_path path;
    struct stat st;
    pid_t holder = 0;
    const struct err e = cli_home_path(d->home.text, &path, "r%u/LOCK", id);
    if (err_is(&e) || stat(path.text, &st) != 0) return 0;
    FILE *locks = fopen("/proc/locks", "re");
    if (locks == NULL) return 0;
    char line[256];
    pid_t pid;
    while (holder == 0 && fgets(line, sizeof line, locks) != NULL) {
        if (line_locks(line, st.st_ino, &pid)) holder = pid > 0 ? pid : -1;
    }
    (void)fclose(locks);
    return holder;
}

static struct err run_path(const struct devnet *d, uint32_t id, const char *suffix, struct cli_path *out)
{
    return cli_home_path(d->home.text, out, "run/r%u.%s", id, suffix);
}

static struct err conf_path(const struct devnet *d, uint32_t id, struct cli_path *out)
{
    return cli_home_path(d->home.text, out, "conf/r%u.conf", id);
}

/* The process named in the pid file; 0 when there is none. */
static pid_t pid_read(const char *path)
{
    char text[32];
    char *end;
    if (!read_small(path, text, sizeof text, NULL)) return 0;
    errno = 0;
    const long value = strtol(text, &end, 10);
    return errno == 0 && end != text && value > 1 && value <= INT32_MAX ? (pid_t)value : 0;
}

struct err devnet_process_find(const struct devnet *d, uint32_t id, struct devnet_process *out)
{
    struct cli_path pid_path;
    struct cli_path conf;
    struct devnet_process p = {.state = DEVNET_STATE_STOPPED, .pidfd = -1};
    ERR_TRY(run_path(d, id, "pid", &pid_path));
    ERR_TRY(conf_path(d, id, &conf));
    const pid_t pid = pid_read(pid_path.text);
    /* The pidfd first: what /proc then shows is this process, or one that this pidfd no longer reaches. */
    if (pid > 0) p.pidfd = pidfd_open(pid, 0);
    struct proc_words words;
    if (p.pidfd >= 0 && proc_read(pid, "cmdline", &words) && is_replica(&words, conf.text)) {
        p.pid = pid;
        p.evil = is_evil(pid);
        if (p.evil) read_behaviour(pid, &words, p.behaviour);
        p.state = is_paused(pid) ? DEVNET_STATE_PAUSED : DEVNET_STATE_RUNNING;
    } else {
        devnet_process_close(&p);
        p.stranger = lock_holder(d, id);
    }
    *out = p;
    return err_none();
}

void devnet_process_close(struct devnet_process *p)
{
    if (p->pidfd >= 0) (void)close(p->pidfd);
    p->pidfd = -1;
}

/* The inode of the socket that listens on 127.0.0.1:port, by /proc/net/tcp; 0: none does. A line begins
 * "0: 0100007F:1D1A 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 INODE": addresses in hexadecimal, then the state. */
static ino_t listening_inode(uint32_t port)
{
    FILE *sockets = fopen("/proc/net/tcp", "re");
    char local[16];
    char line[256];
    ino_t inode = 0;
    if (sockets == NULL) return 0;
    (void)snprintf(local, sizeof local, "0100007F:%04X", port);
    while (inode == 0 && fgets(line, sizeof line, sockets) != NULL) {
        char *at = line;
        char *words[10] = {NULL};
        for (uint32_t count = 0; count < 10 && at != NULL;) {
            words[count] = strsep(&at, " \n");
            if (words[count][0] != '\0') count++;
        }
        if (words[9] == NULL || strcmp(words[1], local) != 0 || strcmp(words[3], "0A") != 0) continue;
        inode = (ino_t)strtoull(words[9], NULL, 10);
    }
    (void)fclose(sockets);
    return inode;
}

bool devnet_process_listens(const struct devnet_process *p, uint32_t port)
{
    char wanted[40];
    char path[64];
    char target[40];
    bool found = false;
    const ino_t inode = listening_inode(port);
    (void)snprintf(wanted, sizeof wanted, "socket:[%llu]", (unsigned long long)inode);
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)p->pid);
    DIR *files = inode == 0 ? NULL : opendir(path);
    if (files == NULL) return false;
    const struct dirent *entry;
    while (!found && (entry = readdir(files)) != NULL) {
        const ssize_t len = readlinkat(dirfd(files), entry->d_name, target, sizeof target - 1);
        if (len <= 0) continue;
        target[len] = '\0';
        found = strcmp(target, wanted) == 0;
    }
    (void)closedir(files);
    return found;
}

const char *devnet_state_name(const struct devnet_process *p)
{
    switch (p->state) {
    case DEVNET_STATE_STOPPED: return p->stranger != 0 ? "not ours" : "stopped";
    case DEVNET_STATE_RUNNING: return "running";
    case DEVNET_STATE_PAUSED: return "paused";
    }
    return "unknown";
}

void devnet_process_forget(const struct devnet *d, uint32_t id)
{
    struct cli_path path;
    const struct err e = run_path(d, id, "pid", &path);
    if (!err_is(&e)) (void)unlink(path.text);
}

/* ---- starting ---- */

/* In the child: input from nowhere, output to the log, nothing else inherited (a pipe of make would keep it waiting).
 */
static bool child_files(const char *log_path)
{
    const int input = open("/dev/null", O_RDONLY);
    const int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (input < 0 || log < 0) return false;
    if (dup2(input, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0) return false;
    return close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0;
}

static bool child_note_pid(const char *pid_path)
{
    const int fd = open(pid_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return fd >= 0 && dprintf(fd, "%d\n", (int)getpid()) > 0;
}

/* In the child: becomes the program. pid_path NULL: nothing is noted. */
static _Noreturn void child_become(const char *path, const char *conf, const char *option, const char *value,
                                   const char *log_path, const char *pid_path)
{
    static char option_config[] = "--config";
    char *conf_word = strdup(conf);
    char *program = strdup(path);
    char *const words[] = {
        program, option_config, conf_word, option == NULL ? NULL : strdup(option), value == NULL ? NULL : strdup(value),
        NULL};
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (conf_word == NULL || program == NULL || !child_files(log_path)) _exit(EXEC_FAILED);
    if (pid_path != NULL && !child_note_pid(pid_path)) _exit(EXEC_FAILED);
    (void)execv(program, words);
    dprintf(STDERR_FILENO, "pbft: cannot run %s: %s\n", program, strerror(errno));
    _exit(EXEC_FAILED);
}

static int wait_child(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXEC_FAILED;
}

struct err devnet_process_init(const struct devnet *d, uint32_t id)
{
    struct cli_path conf;
    struct cli_path log;
    ERR_TRY(conf_path(d, id, &conf));
    ERR_TRY(run_path(d, id, "log", &log));
    const pid_t child = fork();
    if (child < 0) return err_system(errno, "cannot make a process");
    if (child == 0) child_become(d->pbftd.text, conf.text, "--init-new-group", NULL, log.text, NULL);
    if (wait_child(child) == 0) return err_none();
    devnet_log_tail(d, id);
    return err_make(ERR_CONFIG, "%s --init-new-group failed for replica %u; its words are above", d->pbftd.text, id);
}

/* A grandchild in its own session: it belongs to nobody's terminal, and init reaps it. */
static struct err start(const struct devnet *d, uint32_t id, const char *program, const char *option, const char *value)
{
    struct cli_path conf;
    struct cli_path log;
    struct cli_path pid_path;
    int alive[2]; /* closed by the grandchild's exec */
    char byte;
    ERR_TRY(conf_path(d, id, &conf));
    ERR_TRY(run_path(d, id, "log", &log));
    ERR_TRY(run_path(d, id, "pid", &pid_path));
    if (pipe2(alive, O_CLOEXEC) != 0) return err_system(errno, "cannot make a pipe");
    const pid_t child = fork();
    if (child == 0) {
        if (setsid() < 0) _exit(EXEC_FAILED);
        const pid_t grandchild = fork();
        if (grandchild == 0) child_become(program, conf.text, option, value, log.text, pid_path.text);
        _exit(grandchild < 0 ? EXEC_FAILED : 0);
    }
    const int why = errno;
    (void)close(alive[1]);
    while (child > 0 && read(alive[0], &byte, 1) < 0 && errno == EINTR)
        ;
    (void)close(alive[0]);
    if (child < 0) return err_system(why, "cannot make a process");
    if (wait_child(child) != 0) return err_make(ERR_IO, "cannot make a process for replica %u", id);
    return err_none();
}

struct err devnet_process_start(const struct devnet *d, uint32_t id)
{
    if (access(d->pbftd.text, X_OK) != 0)
        return err_make(ERR_CONFIG, "%s cannot be run; build it with make, or set PBFT_PBFTD to where pbftd is",
                        d->pbftd.text);
    return start(d, id, d->pbftd.text, NULL, NULL);
}

struct err devnet_process_start_evil(const struct devnet *d, uint32_t id, const char *program, const char *behaviour)
{
    return start(d, id, program, "--behaviour", behaviour);
}

/* ---- signalling ---- */

struct err devnet_process_signal(const struct devnet_process *p, uint32_t id, int signal)
{
    CHECK(p->pidfd >= 0);
    if (pidfd_send_signal(p->pidfd, signal, NULL, 0) != 0 && errno != ESRCH)
        return err_system(errno, "cannot signal replica %u (process %d)", id, (int)p->pid);
    return err_none();
}

bool devnet_process_wait_end(const struct devnet_process *processes, uint32_t count, uint64_t timeout_ms)
{
    const uint64_t until = clock_monotonic_us() + timeout_ms * 1000u;
    struct pollfd *fds = mem_zero(count, sizeof *fds);
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = (struct pollfd){.fd = processes[i].pidfd, .events = POLLIN};
        if (processes[i].pidfd >= 0) left++;
    }
    while (left > 0) {
        const uint64_t now = clock_monotonic_us();
        if (now >= until) break;
        for (uint32_t i = 0; i < count; i++)
            if (fds[i].fd >= 0)
                (void)pidfd_send_signal(fds[i].fd, SIGCONT, NULL, 0); /* one that has ended is what we want */
        const uint64_t left_ms = (until - now) / 1000u + 1;
        const int ready = poll(fds, count, (int)(left_ms < CONTINUE_MS ? left_ms : CONTINUE_MS));
        if (ready < 0 && errno != EINTR) break;
        for (uint32_t i = 0; ready > 0 && i < count; i++) {
            if (fds[i].fd < 0 || fds[i].revents == 0) continue;
            fds[i].fd = -1; /* a pidfd is readable once its process has ended */
            left--;
        }
    }
    free(fds);
    return left == 0;
}

struct err devnet_process_pause(const struct devnet_process *p, uint32_t id)
{
    const uint64_t until = clock_monotonic_us() + PAUSE_WAIT_MS * 1000u;
    ERR_TRY(devnet_process_signal(p, id, SIGSTOP));
    while (!is_paused(p->pid)) {
        struct pollfd ended = {.fd = p->pidfd, .events = POLLIN};
        if (poll(&ended, 1, 1) > 0) return err_make(ERR_NEGATIVE, "replica %u (process %d) has ended", id, (int)p->pid);
        if (clock_monotonic_us() >= until)
            return err_make(ERR_TIMEOUT, "replica %u (process %d) has been told to pause and does not", id,
                            (int)p->pid);
    }
    return err_none();
}

/* ---- its log ---- */

void devnet_log_tail(const struct devnet *d, uint32_t id)
{
    struct cli_path path;
    char text[TAIL_BYTES + 1];
    const struct err e = run_path(d, id, "log", &path);
    if (err_is(&e)) return;
    const int fd = open(path.text, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    const off_t size = lseek(fd, 0, SEEK_END);
    const off_t from = size > (off_t)TAIL_BYTES ? size - (off_t)TAIL_BYTES : 0;
    const ssize_t got = pread(fd, text, TAIL_BYTES, from);
    (void)close(fd);
    if (got <= 0) return;
    text[got] = '\0';
    const char *start = text + got;
    for (uint32_t lines = 0; start > text; start--)
        if (start[-1] == '\n' && start < text + got && ++lines == TAIL_LINES) break;
    (void)fprintf(stderr, "pbft: the end of %s:\n%s%s", path.text, start, text[got - 1] == '\n' ? "" : "\n");
}
