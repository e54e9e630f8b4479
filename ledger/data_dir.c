/* data_dir.c - making, opening and locking data directories. */
#include "ledger/data_dir.h"

#include "base/file.h"
#include "ledger/state_transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES_MAX 4096u
#define LOG_MAP_BYTES_FIRST (64ull << 20)
#define STATE_MAP_BYTES_FIRST (64ull << 20)
#define LOG_MAKING "log.making"
#define STATE_MAKING "state.making"

static struct err sub_path(char out[PATH_BYTES_MAX], const char *dir, const char *name)
{
    const int wanted = snprintf(out, PATH_BYTES_MAX, "%s/%s", dir, name);
    if (wanted < 0 || (size_t)wanted >= PATH_BYTES_MAX)
        return err_make(ERR_CONFIG, "the path of the data directory is too long");
    return err_none();
}

static bool is_there(const char *dir, const char *name)
{
    char path[PATH_BYTES_MAX];
    const struct err e = sub_path(path, dir, name);
    return !err_is(&e) && access(path, F_OK) == 0;
}

/* Has another process the log open? LMDB keeps a lock of each in this file. */
static bool log_in_use(const char *dir)
{
    char path[PATH_BYTES_MAX];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const struct err e = sub_path(path, dir, "log/lock.mdb");
    const int fd = err_is(&e) ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return false;
    const bool in_use = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    (void)close(fd);
    return in_use;
}

/* The LOCK alone was deleted: it holds nothing, and is made again. Not while a process runs that holds the deleted one. */
static struct err lock_anew(const char *dir, const char *path, int *out)
{
    if (log_in_use(dir))
        return err_make(ERR_CONFIG, "%s is missing, and another process has the data directory open; stop it first", path);
    const int fd = open(path, O_RDWR | O_CLOEXEC | O_CREAT, 0600);
    if (fd < 0) return err_system(errno, "cannot make %s", path);
    *out = fd;
    return err_none();
}

static struct err lock_dir(const char *dir, int flags, int *out)
{
    char path[PATH_BYTES_MAX];
    ERR_TRY(sub_path(path, dir, "LOCK"));
    int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0 && errno == ENOENT && is_there(dir, "log") && is_there(dir, "state"))
        ERR_TRY(lock_anew(dir, path, &fd));
    else if (fd < 0 && errno == ENOENT)
        return err_make(
            ERR_CONFIG,
            "%s is not a data directory; make one with pbftd --config FILE --init-new-group if the group has "
            "never run, with pbftd --config FILE --init where a directory was lost (the replica then starts fenced)",
            dir);
    if (fd < 0) return err_system(errno, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int why = errno;
        (void)close(fd);
        if (why == EWOULDBLOCK)
            return err_make(ERR_CONFIG, "another process runs on the data directory %s; stop it first", dir);
        return err_system(why, "cannot lock %s", path);
    }
    *out = fd;
    return err_none();
}

static struct err init_log(const char *dir, const struct group *g, uint32_t replica, bool new_group)
{
    char path[PATH_BYTES_MAX];
    struct kv_store *log;
    ERR_TRY(sub_path(path, dir, LOG_MAKING));
    ERR_TRY(kv_store_open_lmdb(path, KV_OPEN_CREATE, log_table_names, LOG_TABLE_COUNT, LOG_MAP_BYTES_FIRST, &log));
    struct kv_batch *b = kv_batch_new();
    const struct wire_store_identity identity = {.format = LOG_STORE_FORMAT, .group = g->id, .replica = replica};
    log_put_identity(b, &identity);
    log_put_view(b, 0);
    if (new_group)
        log_put_clean(b); /* it has cast no vote that could be forgotten */
    else
        log_put_fence(b, 0, FENCE_REASON_NEW_DIRECTORY); /* design.md 7.6 */
    struct err e = kv_store_apply(log, b);
    kv_batch_free(b);
    kv_store_close(log);
    return e;
}

static struct err init_state(const char *dir, const struct group *g, bool damaged)
{
    char path[PATH_BYTES_MAX];
    struct kv_store *state;
    ERR_TRY(sub_path(path, dir, STATE_MAKING));
    ERR_TRY(kv_store_open_lmdb(path, KV_OPEN_CREATE, state_table_names, STATE_TABLE_COUNT, STATE_MAP_BYTES_FIRST,
                               &state));
    struct err e = executor_init(state, g);
    if (!err_is(&e) && damaged) e = state_mark_damaged(state);
    kv_store_close(state);
    return e;
}

/* Removes the unfinished stores of an init that was interrupted. */
static void clear_unfinished(const char *dir)
{
    static const char *const made[] = {STATE_MAKING "/data.mdb", STATE_MAKING "/lock.mdb", STATE_MAKING,
                                       LOG_MAKING "/data.mdb",   LOG_MAKING "/lock.mdb",   LOG_MAKING};
    char path[PATH_BYTES_MAX];
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        const struct err e = sub_path(path, dir, made[i]);
        if (!err_is(&e)) (void)remove(path);
    }
}

static struct err rename_in(const char *dir, const char *from, const char *to)
{
    char old[PATH_BYTES_MAX];
    char new[PATH_BYTES_MAX];
    ERR_TRY(sub_path(old, dir, from));
    ERR_TRY(sub_path(new, dir, to));
    if (rename(old, new) != 0) return err_system(errno, "cannot rename %s to %s", old, new);
    const int failure = file_directory_sync(new);
    return failure == 0 ? err_none() : err_system(failure, "cannot sync %s", dir);
}

/* Both stores are made whole before either has its name, the log's last: a directory with a log is complete. One with a
 * state and no log is either one step short of that, or has lost its log, and with it its votes. */
static struct err init_locked(const char *dir, const struct group *g, uint32_t replica, bool new_group)
{
    if (is_there(dir, "log"))
        return err_make(ERR_CONFIG, "%s is a data directory already; init never touches an existing one", dir);
    if (is_there(dir, "state")) {
        if (is_there(dir, LOG_MAKING)) return rename_in(dir, LOG_MAKING, "log");
        return err_make(ERR_CONFIG, "%s holds a state but no log; init never touches an existing one: move it away", dir);
    }
    clear_unfinished(dir);
    ERR_TRY(init_state(dir, g, false));
    ERR_TRY(init_log(dir, g, replica, new_group));
    ERR_TRY(rename_in(dir, STATE_MAKING, "state"));
    return rename_in(dir, LOG_MAKING, "log");
}

struct err data_dir_init(const char *dir, const struct group *g, uint32_t replica, bool new_group)
{
    int lock = -1;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) return err_system(errno, "cannot make the data directory %s", dir);
    ERR_TRY(lock_dir(dir, O_CREAT, &lock));
    struct err e = init_locked(dir, g, replica, new_group);
    (void)close(lock);
    if (err_is(&e)) return e;
    const int failure = file_directory_sync(dir);
    return failure == 0 ? e : err_system(failure, "cannot sync the directory that holds %s", dir);
}

/* ---- damage ---- */

/* The failure, with what to do about it: a state with damaged pages is made anew where it is, anything else with the
 * whole directory. */
static struct err advise(const char *dir, struct err e, bool pages_of_state)
{
    if (pages_of_state)
        return err_make(
            e.code,
            "%.200s; pbft ledger check %s --repair, on the stopped replica, makes a new state, which it takes from the "
            "others when it starts",
            e.text, dir);
    return err_make(e.code, "%.200s; " DATA_DIR_ANEW, e.text);
}

struct err data_dir_explain(const char *dir, const struct data_dir *d, struct err e)
{
    const struct err log = d->log != NULL ? kv_store_fault(d->log) : err_none();
    const struct err state = d->state != NULL ? kv_store_fault(d->state) : err_none();
    if (e.code != ERR_CORRUPT) return e;
    return advise(dir, e, state.code == ERR_CORRUPT && log.code != ERR_CORRUPT);
}

static struct err renew_state_locked(const char *dir, const struct group *g)
{
    char path[PATH_BYTES_MAX];
    char made[PATH_BYTES_MAX];
    ERR_TRY(sub_path(path, dir, "state"));
    ERR_TRY(sub_path(made, dir, STATE_MAKING));
    clear_unfinished(dir);
    const struct err e = init_state(dir, g, true);
    if (err_is(&e)) {
        clear_unfinished(dir);
        return e;
    }
    if (!is_there(dir, "state")) return rename_in(dir, STATE_MAKING, "state");
    if (renameat2(AT_FDCWD, made, AT_FDCWD, path, RENAME_EXCHANGE) != 0)
        return err_system(errno, "cannot exchange %s and %s; remove %s, and run this again", made, path, path);
    const int failure = file_directory_sync(path);
    if (failure != 0) return err_system(failure, "cannot sync %s", dir);
    clear_unfinished(dir);
    return err_none();
}

struct err data_dir_renew_state(const char *dir, const struct group *g)
{
    int lock = -1;
    ERR_TRY(lock_dir(dir, 0, &lock));
    struct err e = renew_state_locked(dir, g);
    (void)close(lock);
    return e;
}

/* ---- opening ---- */

static struct err check_identity(const char *dir, struct kv_store *log, const struct group *g, uint32_t replica)
{
    struct wire_store_identity identity;
    char has[2 * DIGEST_BYTES + 1];
    char wants[2 * DIGEST_BYTES + 1];
    ERR_TRY(log_get_identity(log, &identity));
    if (identity.format != LOG_STORE_FORMAT)
        return err_make(ERR_CONFIG, "data directory %s has format %llu, this program reads format %u: run it with the pbftd that "
                        "made it, or " DATA_DIR_ANEW, dir,
                        (unsigned long long)identity.format, LOG_STORE_FORMAT);
    if (!digest_equal(&identity.group, &g->id)) {
        hex_encode(has, identity.group.bytes, 8);
        hex_encode(wants, g->id.bytes, 8);
        return err_make(ERR_CONFIG, "data directory %s belongs to group %s..., the group file says %s...", dir, has,
                        wants);
    }
    if (identity.replica != replica)
        return err_make(ERR_CONFIG, "data directory %s belongs to replica %llu, the configuration says %u", dir,
                        (unsigned long long)identity.replica, replica);
    return err_none();
}

/* A store that is not there, cut, or damaged where it begins. */
static struct err open_failure(const char *dir, struct err e, bool in_state)
{
    if (e.code != ERR_NOT_FOUND && e.code != ERR_CORRUPT) return e;
    if (!is_there(dir, "log") && !is_there(dir, "state"))
        return err_make(ERR_CORRUPT, "%s holds neither log nor state; make them with pbftd --config FILE --init (the replica then "
                        "starts fenced)", dir);
    const bool pages_of_state = in_state && e.code == ERR_CORRUPT;
    e.code = ERR_CORRUPT;
    return advise(dir, e, pages_of_state);
}

struct err data_dir_open(const char *dir, const struct group *g, uint32_t replica, struct data_dir *out)
{
    char path[PATH_BYTES_MAX];
    struct data_dir d = {.lock_fd = -1};
    bool in_state = false;
    ERR_TRY(lock_dir(dir, 0, &d.lock_fd));
    struct err e = sub_path(path, dir, "log");
    if (!err_is(&e))
        e = kv_store_open_lmdb(path, KV_OPEN_EXISTING, log_table_names, LOG_TABLE_COUNT, LOG_MAP_BYTES_FIRST, &d.log);
    if (!err_is(&e)) e = check_identity(dir, d.log, g, replica);
    if (!err_is(&e)) e = sub_path(path, dir, "state");
    if (!err_is(&e)) {
        in_state = true;
        e = kv_store_open_lmdb(path, KV_OPEN_EXISTING, state_table_names, STATE_TABLE_COUNT, STATE_MAP_BYTES_FIRST,
                               &d.state);
    }
    if (err_is(&e)) {
        data_dir_close(&d);
        return open_failure(dir, e, in_state);
    }
    *out = d;
    return err_none();
}

static struct err open_log_reader(const char *dir, enum kv_open_mode mode, struct data_dir *out,
                                  struct wire_store_identity *identity)
{
    char path[PATH_BYTES_MAX];
    struct data_dir d = {.lock_fd = -1};
    ERR_TRY(sub_path(path, dir, "log"));
    struct err e = kv_store_open_lmdb(path, mode, log_table_names, LOG_TABLE_COUNT, LOG_MAP_BYTES_FIRST, &d.log);
    if (e.code == ERR_NOT_FOUND) e = err_make(ERR_CONFIG, "%s is not a data directory of a replica", dir);
    if (e.code == ERR_CORRUPT) e = advise(dir, e, false);
    if (!err_is(&e)) e = log_get_identity(d.log, identity);
    if (!err_is(&e) && identity->format != LOG_STORE_FORMAT)
        e = err_make(ERR_CONFIG, "data directory %s has format %llu, this program reads format %u", dir,
                     (unsigned long long)identity->format, LOG_STORE_FORMAT);
    if (err_is(&e)) {
        data_dir_close(&d);
        return e;
    }
    *out = d;
    return err_none();
}

struct err data_dir_open_reader(const char *dir, struct data_dir *out, struct wire_store_identity *identity)
{
    return open_log_reader(dir, KV_OPEN_READ_ONLY, out, identity);
}

struct err data_dir_open_reader_whole(const char *dir, struct data_dir *out, struct wire_store_identity *identity)
{
    char path[PATH_BYTES_MAX];
    struct data_dir d;
    struct kv_store *state;
    struct err fault = err_none();
    ERR_TRY(sub_path(path, dir, "state"));
    /* what has been checked decides what all later reads see */
    struct err e = kv_store_open_lmdb(path, KV_OPEN_CHECKED, state_table_names, STATE_TABLE_COUNT, STATE_MAP_BYTES_FIRST, &state);
    if (e.code == ERR_NOT_FOUND) e = err_make(ERR_CONFIG, "%s is not a data directory of a replica", dir);
    if (e.code == ERR_CORRUPT) {
        fault = e;
        state = kv_store_new_memory(STATE_TABLE_COUNT);
        e = state_mark_damaged(state);
    }
    if (err_is(&e)) return e;
    e = open_log_reader(dir, KV_OPEN_CHECKED, &d, identity);
    if (err_is(&e)) {
        kv_store_close(state);
        return e;
    }
    d.state = state;
    d.state_fault = fault;
    *out = d;
    return err_none();
}

void data_dir_close(struct data_dir *d)
{
    if (d->log != NULL) kv_store_close(d->log);
    if (d->state != NULL) kv_store_close(d->state);
    if (d->lock_fd >= 0) (void)close(d->lock_fd);
    *d = (struct data_dir){.lock_fd = -1};
}
