/* test_data_dir.c - making, opening and locking data directories, and every one that must not be opened. */
#include "ledger/data_dir.h"

#include "tests/fixture/ledger_kit.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define REPLICA 2u

struct room {
    struct kit *kit;
    struct kit_place place;
};

static int room_setup(void **state)
{
    struct room *r = mem_zero(1, sizeof *r);
    r->kit = kit_new(4, KIT_FAST);
    r->place = kit_place_new();
    *state = r;
    return 0;
}

static int room_teardown(void **state)
{
    struct room *r = *state;
    kit_place_remove(&r->place);
    kit_free(r->kit);
    free(r);
    return 0;
}

static void made(const struct room *r)
{
    const struct err e = data_dir_init(r->place.dir, r->kit->group, REPLICA, true);
    if (err_is(&e)) fail_msg("%s", e.text);
}

static struct data_dir opened(const struct room *r)
{
    struct data_dir d;
    const struct err e = data_dir_open(r->place.dir, r->kit->group, REPLICA, &d);
    if (err_is(&e)) fail_msg("%s", e.text);
    return d;
}

/* Opening must fail with this code, name the directory, and leave *out alone and the directory unlocked. */
static void check_refused(const struct room *r, enum err_code code)
{
    struct data_dir d = {.lock_fd = 4711};
    const struct err e = data_dir_open(r->place.dir, r->kit->group, REPLICA, &d);
    assert_int_equal(e.code, code);
    assert_non_null(strstr(e.text, r->place.dir));
    assert_int_equal(d.lock_fd, 4711);
}

static void check_reader_refused(const struct room *r, enum err_code code)
{
    struct data_dir d = {.lock_fd = 4711};
    struct wire_store_identity identity;
    const struct err e = data_dir_open_reader(r->place.dir, &d, &identity);
    assert_int_equal(e.code, code);
    assert_non_null(strstr(e.text, r->place.dir));
    assert_int_equal(d.lock_fd, 4711);
}

/* A path below the data directory. */
static const char *below(const struct room *r, const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", r->place.dir, name);
    return path;
}

/* Renames within it. */
static void move(const struct room *r, const char *from, const char *to)
{
    char old[256];
    (void)snprintf(old, sizeof old, "%s", below(r, from));
    assert_int_equal(rename(old, below(r, to)), 0);
}

static void put_identity(const struct room *r, const struct wire_store_identity *identity)
{
    struct data_dir d = opened(r);
    struct kv_batch *b = kv_batch_new();
    log_put_identity(b, identity);
    kit_apply(d.log, b);
    data_dir_close(&d);
}

/* ---- init ---- */

static void test_data_dir_init_twice_is_refused_and_changes_nothing(void **state)
{
    const struct room *r = *state;
    made(r);
    const struct err e = data_dir_init(r->place.dir, r->kit->group, REPLICA + 1, true);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, r->place.dir));
    struct data_dir d = opened(r);
    data_dir_close(&d);
}

static void test_data_dir_init_without_a_parent_is_an_error(void **state)
{
    struct room *r = *state;
    const struct kit_place place = r->place;
    (void)snprintf(r->place.dir, sizeof r->place.dir, "%s/none/r0", place.root);
    const struct err e = data_dir_init(r->place.dir, r->kit->group, REPLICA, true);
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.text, r->place.dir));
}

static void test_data_dir_init_on_a_file_is_an_error(void **state)
{
    const struct room *r = *state;
    const int fd = creat(r->place.dir, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(data_dir_init(r->place.dir, r->kit->group, REPLICA, true).code, ERR_IO);
}

/* The lock is gone, but a store is there: init never touches it. */
static void test_data_dir_init_beside_a_store_is_refused(void **state)
{
    const struct room *r = *state;
    static const char *const moved[] = {"log", "state"};
    for (size_t i = 0; i < 2; i++) {
        char gone[128];
        made(r);
        (void)snprintf(gone, sizeof gone, "%s/%s", r->place.root, moved[i]);
        assert_int_equal(rename(below(r, moved[i]), gone), 0);
        assert_int_equal(unlink(below(r, "LOCK")), 0);
        assert_int_equal(data_dir_init(r->place.dir, r->kit->group, REPLICA, true).code, ERR_CONFIG);
        (void)snprintf(gone, sizeof gone, "%s/gone-%zu", r->place.root, i);
        assert_int_equal(rename(r->place.dir, gone), 0);
    }
}

/* Whatever step an init was interrupted at, the next one finishes. */
static void test_data_dir_init_after_an_interrupted_one(void **state)
{
    const struct room *r = *state;
    for (int step = 0; step < 4; step++) {
        char gone[128];
        made(r);
        move(r, "log", "log.making");
        if (step < 3) move(r, "state", "state.making");
        if (step < 2) assert_int_equal(truncate(below(r, "log.making/data.mdb"), 5000), 0);
        if (step < 1) assert_int_equal(unlink(below(r, "state.making/data.mdb")), 0);
        struct data_dir d;
        assert_int_not_equal(data_dir_open(r->place.dir, r->kit->group, REPLICA, &d).code, ERR_NONE);
        made(r);
        assert_int_not_equal(access(below(r, "log.making"), F_OK), 0);
        d = opened(r);
        data_dir_close(&d);
        (void)snprintf(gone, sizeof gone, "%s/gone-%d", r->place.root, step);
        assert_int_equal(rename(r->place.dir, gone), 0);
    }
}

/* Only a group that has never run begins with the mark of a clean stop; what replaces a lost directory is fenced. */
static void test_data_dir_of_a_group_that_runs_is_fenced(void **state)
{
    const struct room *r = *state;
    for (int new_group = 0; new_group < 2; new_group++) {
        char gone[128];
        enum fence_reason reason = FENCE_REASON_VOTE_LOST;
        uint64_t until = 1;
        assert_int_equal(data_dir_init(r->place.dir, r->kit->group, REPLICA, new_group == 1).code, ERR_NONE);
        struct data_dir d = opened(r);
        assert_int_equal(log_get_fence(d.log, &until, &reason).code, ERR_NONE);
        assert_int_equal(reason, new_group == 0 ? FENCE_REASON_NEW_DIRECTORY : FENCE_REASON_NONE);
        assert_int_equal(until, 0);
        assert_int_equal(log_is_clean(d.log), new_group == 1);
        data_dir_close(&d);
        (void)snprintf(gone, sizeof gone, "%s/gone-%d", r->place.root, new_group);
        assert_int_equal(rename(r->place.dir, gone), 0);
    }
}

static void test_data_dir_init_while_another_one_runs_is_refused(void **state)
{
    const struct room *r = *state;
    made(r);
    move(r, "log", "log.making");
    const int fd = open(below(r, "LOCK"), O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(data_dir_init(r->place.dir, r->kit->group, REPLICA, true).code, ERR_CONFIG);
    assert_int_equal(access(below(r, "log.making"), F_OK), 0);
    (void)close(fd);
}

static void test_data_dir_of_a_path_that_is_too_long_is_config(void **state)
{
    const struct room *r = *state;
    struct data_dir d;
    struct wire_store_identity identity;
    char *path = mem_zero(5000, 1);
    memset(path, 'x', 4999);
    assert_true(data_dir_init(path, r->kit->group, REPLICA, true).code != ERR_NONE);
    assert_int_equal(data_dir_open(path, r->kit->group, REPLICA, &d).code, ERR_CONFIG);
    assert_int_equal(data_dir_open_reader(path, &d, &identity).code, ERR_CONFIG);
    free(path);
}

static void test_data_dir_init_takes_an_empty_directory(void **state)
{
    const struct room *r = *state;
    assert_int_equal(mkdir(r->place.dir, 0700), 0);
    made(r);
    struct data_dir d = opened(r);
    data_dir_close(&d);
}

static void test_data_dir_new_is_the_beginning_and_clean(void **state)
{
    const struct room *r = *state;
    struct wire_store_identity identity;
    struct wire_checkpoint_certificate stable;
    struct executor *e;
    struct stat st;
    uint64_t view;
    uint64_t last;
    made(r);
    assert_int_equal(stat(r->place.dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    struct data_dir d = opened(r);
    assert_int_equal(log_get_identity(d.log, &identity).code, ERR_NONE);
    assert_int_equal(identity.format, LOG_STORE_FORMAT);
    assert_int_equal(identity.replica, REPLICA);
    assert_memory_equal(identity.group.bytes, r->kit->group->id.bytes, DIGEST_BYTES);
    assert_int_equal(log_get_view(d.log, &view).code, ERR_NONE);
    assert_int_equal(view, 0);
    assert_true(log_is_clean(d.log)); /* a new group has cast no vote */
    assert_int_equal(log_get_stable(d.log, &stable).code, ERR_NONE);
    assert_int_equal(stable.seq, 0);
    assert_int_equal(log_last_block(d.log, &last).code, ERR_NONE);
    assert_int_equal(last, 0);
    assert_int_equal(executor_open(d.state, r->kit->group, &e).code, ERR_NONE);
    assert_int_equal(executor_executed(e), 0);
    executor_close(e);
    data_dir_close(&d);
}

/* ---- what is not opened ---- */

static void test_data_dir_missing_is_config_with_the_cure(void **state)
{
    const struct room *r = *state;
    struct data_dir d;
    const struct err e = data_dir_open(r->place.dir, r->kit->group, REPLICA, &d);
    check_refused(r, ERR_CONFIG);
    check_reader_refused(r, ERR_CONFIG);
    assert_non_null(strstr(e.text, "pbftd --config FILE --init-new-group if the group has never run"));
    assert_non_null(
        strstr(e.text, "pbftd --config FILE --init where a directory was lost (the replica then starts fenced)"));
    assert_int_equal(access(r->place.dir, F_OK), -1); /* starting never makes one */
}

static void test_data_dir_empty_is_config(void **state)
{
    const struct room *r = *state;
    assert_int_equal(mkdir(r->place.dir, 0700), 0);
    check_refused(r, ERR_CONFIG);
    check_reader_refused(r, ERR_CONFIG);
}

static void test_data_dir_of_another_replica_is_config(void **state)
{
    const struct room *r = *state;
    struct data_dir d;
    made(r);
    const struct err e = data_dir_open(r->place.dir, r->kit->group, REPLICA + 1, &d);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, "replica 2"));
    d = opened(r); /* the refused attempt has let go of the lock */
    data_dir_close(&d);
}

static void test_data_dir_of_another_group_is_config(void **state)
{
    struct room *r = *state;
    struct data_dir d;
    char has[2 * 8 + 1];
    char wants[2 * 8 + 1];
    made(r);
    hex_encode(has, r->kit->group->id.bytes, 8);
    r->kit->group->id.bytes[0] ^= 1;
    hex_encode(wants, r->kit->group->id.bytes, 8);
    check_refused(r, ERR_CONFIG);
    const struct err e = data_dir_open(r->place.dir, r->kit->group, REPLICA, &d);
    assert_non_null(strstr(e.text, has));
    assert_non_null(strstr(e.text, wants));
    r->kit->group->id.bytes[0] ^= 1;
    d = opened(r);
    data_dir_close(&d);
}

static void test_data_dir_of_another_format_is_config(void **state)
{
    const struct room *r = *state;
    made(r);
    const struct wire_store_identity other = {
        .format = LOG_STORE_FORMAT + 1, .group = r->kit->group->id, .replica = REPLICA};
    put_identity(r, &other);
    check_refused(r, ERR_CONFIG);
    check_reader_refused(r, ERR_CONFIG);
}

static void test_data_dir_without_identity_is_corrupt(void **state)
{
    const struct room *r = *state;
    struct data_dir d;
    struct wire_store_identity identity;
    made(r);
    d = opened(r);
    struct kv_batch *b = kv_batch_new();
    kv_batch_delete(b, LOG_TABLE_META, bytes_of_text("identity"));
    kit_apply(d.log, b);
    data_dir_close(&d);
    assert_int_equal(data_dir_open(r->place.dir, r->kit->group, REPLICA, &d).code, ERR_CORRUPT);
    assert_int_equal(data_dir_open_reader(r->place.dir, &d, &identity).code, ERR_CORRUPT);
}

static void check_action(const struct room *r, const char *words)
{
    struct data_dir d;
    const struct err e = data_dir_open(r->place.dir, r->kit->group, REPLICA, &d);
    if (strstr(e.text, words) == NULL) fail_msg("%s", e.text);
}

#define ANEW "move the data directory away and make a new one with pbftd --config FILE --init"

static void test_data_dir_half_made_is_corrupt(void **state)
{
    const struct room *r = *state;
    static const char *const parts[] = {"log/data.mdb", "state/data.mdb"};
    for (size_t i = 0; i < 2; i++) {
        char cmd[128];
        made(r);
        assert_int_equal(unlink(below(r, parts[i])), 0);
        check_refused(r, ERR_CORRUPT);
        check_action(r, ANEW);
        (void)snprintf(cmd, sizeof cmd, "%s/gone-%zu", r->place.root, i);
        assert_int_equal(rename(r->place.dir, cmd), 0);
    }
}

/* Either store with all that is in it, or both: a mount that is missing, a directory that was emptied. */
static void test_data_dir_without_a_store_names_the_action(void **state)
{
    const struct room *r = *state;
    static const char *const actions[] = {ANEW, ANEW, "make them with pbftd --config FILE --init"};
    for (int lost = 1; lost < 4; lost++) {
        char gone[128];
        made(r);
        if ((lost & 1) != 0) move(r, "log", "moved-log");
        if ((lost & 2) != 0) move(r, "state", "moved-state");
        check_refused(r, ERR_CORRUPT);
        check_action(r, actions[lost - 1]);
        (void)snprintf(gone, sizeof gone, "%s/gone-%d", r->place.root, lost);
        assert_int_equal(rename(r->place.dir, gone), 0);
    }
}

static void test_data_dir_with_a_destroyed_meta_page_names_the_action(void **state)
{
    const struct room *r = *state;
    static const uint8_t noise[64] = {0xff, 0xff};
    made(r);
    const int fd = open(below(r, "log/data.mdb"), O_WRONLY);
    assert_int_equal(pwrite(fd, noise, sizeof noise, 0), sizeof noise);
    (void)close(fd);
    check_refused(r, ERR_CORRUPT);
    check_action(r, ANEW);
}

static void test_data_dir_truncated_file_is_corrupt(void **state)
{
    const struct room *r = *state;
    static const char *const parts[] = {"log/data.mdb", "state/data.mdb"};
    static const char *const actions[] = {ANEW, "--repair, on the stopped replica, makes a new state"};
    static const off_t lengths[] = {0, 100, 4096, 8192, 12288};
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            char gone[128];
            made(r);
            assert_int_equal(truncate(below(r, parts[i]), lengths[k]), 0);
            check_refused(r, ERR_CORRUPT);
            check_action(r, actions[i]);
            if (i == 0) check_reader_refused(r, ERR_CORRUPT);
            (void)snprintf(gone, sizeof gone, "%s/gone-%zu-%zu", r->place.root, i, k);
            assert_int_equal(rename(r->place.dir, gone), 0);
        }
    }
}

static void test_data_dir_unreadable_is_io(void **state)
{
    const struct room *r = *state;
    made(r);
    assert_int_equal(unlink(below(r, "LOCK")), 0);
    assert_int_equal(mkdir(below(r, "LOCK"), 0700),
                     0); /* root reads everything; a directory is opened for writing by none */
    check_refused(r, ERR_IO);
}

/* ---- one at a time ---- */

static void test_data_dir_second_opener_is_refused(void **state)
{
    const struct room *r = *state;
    made(r);
    struct data_dir d = opened(r);
    check_refused(r, ERR_CONFIG);
    data_dir_close(&d);
    d = opened(r);
    data_dir_close(&d);
}

/* It holds nothing: whole stores are opened without it. */
static void test_data_dir_lock_that_was_deleted_is_made_again(void **state)
{
    const struct room *r = *state;
    made(r);
    assert_int_equal(unlink(below(r, "LOCK")), 0);
    struct data_dir d = opened(r);
    assert_int_equal(access(below(r, "LOCK"), F_OK), 0);
    check_refused(r, ERR_CONFIG); /* and is held */
    data_dir_close(&d);
}

/* Opens in a child process, which then ends without closing anything; gives the code. */
static enum err_code open_in_child(const struct room *r)
{
    int status;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct data_dir d;
        const struct err e = data_dir_open(r->place.dir, r->kit->group, REPLICA, &d);
        _exit((int)e.code);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return (enum err_code)WEXITSTATUS(status);
}

/* Whoever holds the deleted one runs on: a second process must not join it. */
static void test_data_dir_lock_deleted_beside_one_that_runs_is_refused(void **state)
{
    const struct room *r = *state;
    made(r);
    struct data_dir d = opened(r);
    assert_int_equal(unlink(below(r, "LOCK")), 0);
    assert_int_equal(open_in_child(r), ERR_CONFIG);
    assert_int_equal(access(below(r, "LOCK"), F_OK), -1);
    data_dir_close(&d);
    assert_int_equal(open_in_child(r), ERR_NONE);
}

static void test_data_dir_open_in_another_process_is_refused_until_closed(void **state)
{
    const struct room *r = *state;
    made(r);
    assert_int_equal(open_in_child(r), ERR_NONE); /* and a process that ended has let go */
    struct data_dir d = opened(r);
    assert_int_equal(open_in_child(r), ERR_CONFIG);
    data_dir_close(&d);
    assert_int_equal(open_in_child(r), ERR_NONE);
}

static void test_data_dir_reader_reads_beside_a_running_replica(void **state)
{
    const struct room *r = *state;
    int status;
    made(r);
    struct data_dir d = opened(r);
    const pid_t child = fork(); /* LMDB: not twice in one process */
    assert_true(child >= 0);
    if (child == 0) {
        struct data_dir reader;
        struct wire_store_identity identity;
        const struct err e = data_dir_open_reader(r->place.dir, &reader, &identity);
        if (err_is(&e) || identity.replica != REPLICA || reader.state != NULL || reader.lock_fd != -1) _exit(1);
        data_dir_close(&reader);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    data_dir_close(&d);
}

static void put_mark(struct kv_store *s, uint32_t table)
{
    struct kv_batch *b = kv_batch_new();
    kv_batch_put(b, table, bytes_of_text("mark"), bytes_of_text("later"));
    kit_apply(s, b);
}

/* What a reader of both sees: opens, tells by `opened_to`, waits for `go_from`; the exit code is 0 when the state has no mark. */
static int read_both(const char *dir, int opened_to, int go_from)
{
    struct data_dir reader;
    struct wire_store_identity identity;
    struct bytes value;
    char byte = 0;
    const struct err e = data_dir_open_reader_whole(dir, &reader, &identity);
    if (err_is(&e) || identity.replica != REPLICA || reader.lock_fd != -1) return 1;
    if (write(opened_to, &byte, 1) != 1 || read(go_from, &byte, 1) != 1) return 2;
    if (kv_store_get(reader.state, STATE_TABLE_META, bytes_of_text("mark"), &value) != KV_ABSENT) return 3;
    data_dir_close(&reader);
    return 0;
}

/* Whatever the replica writes later: its state is never newer than its log. */
static void test_data_dir_reader_of_both_sees_the_state_as_it_was_when_opened(void **state)
{
    const struct room *r = *state;
    int to[2];
    int from[2];
    int status;
    char byte;
    made(r);
    struct data_dir d = opened(r);
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    const pid_t child = fork(); /* LMDB: not twice in one process */
    assert_true(child >= 0);
    if (child == 0) _exit(read_both(r->place.dir, from[1], to[0]));
    assert_int_equal(read(from[0], &byte, 1), 1);
    put_mark(d.state, STATE_TABLE_META);
    assert_int_equal(write(to[1], &byte, 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 0; i < 2; i++) {
        (void)close(to[i]);
        (void)close(from[i]);
    }
    data_dir_close(&d);
}

static void test_data_dir_reader_of_both_refuses_what_is_none(void **state)
{
    const struct room *r = *state;
    struct data_dir d = {.lock_fd = 4711};
    struct wire_store_identity identity;
    assert_int_equal(data_dir_open_reader_whole(r->place.dir, &d, &identity).code, ERR_CONFIG);
    made(r);
    assert_int_equal(unlink(below(r, "log/data.mdb")), 0);
    assert_int_equal(data_dir_open_reader_whole(r->place.dir, &d, &identity).code, ERR_CONFIG);
    assert_int_equal(d.lock_fd, 4711);
}

static void test_data_dir_closed_twice_is_harmless(void **state)
{
    const struct room *r = *state;
    made(r);
    struct data_dir d = opened(r);
    data_dir_close(&d);
    assert_int_equal(d.lock_fd, -1);
    assert_null(d.log);
    data_dir_close(&d);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_data_dir_init_twice_is_refused_and_changes_nothing),
        ROOM_TEST(test_data_dir_init_without_a_parent_is_an_error),
        ROOM_TEST(test_data_dir_init_on_a_file_is_an_error),
        ROOM_TEST(test_data_dir_init_beside_a_store_is_refused),
        ROOM_TEST(test_data_dir_init_after_an_interrupted_one),
        ROOM_TEST(test_data_dir_of_a_group_that_runs_is_fenced),
        ROOM_TEST(test_data_dir_init_while_another_one_runs_is_refused),
        ROOM_TEST(test_data_dir_of_a_path_that_is_too_long_is_config),
        ROOM_TEST(test_data_dir_init_takes_an_empty_directory),
        ROOM_TEST(test_data_dir_new_is_the_beginning_and_clean),
        ROOM_TEST(test_data_dir_missing_is_config_with_the_cure),
        ROOM_TEST(test_data_dir_empty_is_config),
        ROOM_TEST(test_data_dir_of_another_replica_is_config),
        ROOM_TEST(test_data_dir_of_another_group_is_config),
        ROOM_TEST(test_data_dir_of_another_format_is_config),
        ROOM_TEST(test_data_dir_without_identity_is_corrupt),
        ROOM_TEST(test_data_dir_half_made_is_corrupt),
        ROOM_TEST(test_data_dir_without_a_store_names_the_action),
        ROOM_TEST(test_data_dir_with_a_destroyed_meta_page_names_the_action),
        ROOM_TEST(test_data_dir_truncated_file_is_corrupt),
        ROOM_TEST(test_data_dir_unreadable_is_io),
        ROOM_TEST(test_data_dir_second_opener_is_refused),
        ROOM_TEST(test_data_dir_lock_that_was_deleted_is_made_again),
        ROOM_TEST(test_data_dir_lock_deleted_beside_one_that_runs_is_refused),
        ROOM_TEST(test_data_dir_open_in_another_process_is_refused_until_closed),
        ROOM_TEST(test_data_dir_reader_reads_beside_a_running_replica),
        ROOM_TEST(test_data_dir_reader_of_both_sees_the_state_as_it_was_when_opened),
        ROOM_TEST(test_data_dir_reader_of_both_refuses_what_is_none),
        ROOM_TEST(test_data_dir_closed_twice_is_harmless),
    };
    return cmocka_run_group_tests_name("data_dir", tests, NULL, NULL);
}
