/* test_file.c - base/file: files read whole within a bound, written whole or not at all. Each test has a directory of
 * its own, is in it, and fails when it leaves anything there. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "a file"

static char directory[64];

static int enter(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/file-XXXXXX");
    return mkdtemp(directory) == NULL ? -1 : chdir(directory);
}

static int leave(void **state)
{
    (void)state;
    return chdir("/") != 0 ? -1 : rmdir(directory); /* which fails when something is left */
}

static uint32_t names_here(void)
{
    uint32_t count = 0;
    DIR *d = opendir(".");
    assert_non_null(d);
    for (const struct dirent *entry = readdir(d); entry != NULL; entry = readdir(d))
        if (entry->d_name[0] != '.') count++;
    (void)closedir(d);
    return count;
}

static void make(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void expect_text(const char *path, const char *text, unsigned mode)
{
    uint8_t space[256];
    struct file_text file;
    assert_int_equal(file_load(path, space, sizeof space - 1, &file), FILE_FAULT_NONE);
    assert_int_equal(file.len, strlen(text));
    assert_memory_equal(space, text, file.len);
    assert_int_equal(file.mode, mode);
}

/* ---- reading ---- */

static void test_file_load_missing_says_why(void **state)
{
    uint8_t space[8];
    struct file_text file;
    (void)state;
    assert_int_equal(file_load(NAME, space, 7, &file), FILE_FAULT_SYSTEM);
    assert_int_equal(file.error_number, ENOENT);
}

static void test_file_load_of_what_is_no_regular_file_refused(void **state)
{
    uint8_t space[8];
    struct file_text file;
    (void)state;
    assert_int_equal(file_load(".", space, 7, &file), FILE_FAULT_NOT_REGULAR);
    assert_int_equal(file_load("/dev/null", space, 7, &file), FILE_FAULT_NOT_REGULAR);
    assert_int_equal(mkfifo(NAME, 0600), 0);
    (void)alarm(10); /* a wait for the FIFO's writer ends the test */
    assert_int_equal(file_load(NAME, space, 7, &file), FILE_FAULT_NOT_REGULAR);
    (void)alarm(0);
    assert_int_equal(unlink(NAME), 0);
}

static void test_file_load_takes_the_bound_and_no_more(void **state)
{
    uint8_t space[8];
    struct file_text file;
    (void)state;
    make(NAME, "1234567", 0640);
    memset(space, 'x', sizeof space);
    assert_int_equal(file_load(NAME, space, 7, &file), FILE_FAULT_NONE);
    assert_int_equal(file.len, 7);
    assert_int_equal(file.mode, 0640);
    assert_memory_equal(space, "1234567x", 8);
    memset(space, 'x', sizeof space);
    assert_int_equal(file_load(NAME, space, 6, &file), FILE_FAULT_TOO_LONG);
    assert_int_equal(space[7], 'x'); /* not past bytes_max + 1 */
    memset(space, 'x', sizeof space);
    assert_int_equal(file_load(NAME, space, 3, &file), FILE_FAULT_TOO_LONG);
    assert_memory_equal(space + 4, "xxxx", 4);
    assert_int_equal(unlink(NAME), 0);
}

static void test_file_load_of_an_empty_file_is_empty(void **state)
{
    (void)state;
    make(NAME, "", 0600);
    expect_text(NAME, "", 0600);
    assert_int_equal(unlink(NAME), 0);
}

static void test_file_load_follows_a_symbolic_link(void **state)
{
    (void)state;
    make(NAME, "text", 0604);
    assert_int_equal(symlink(NAME, "link"), 0);
    expect_text("link", "text", 0604);
    assert_int_equal(unlink("link"), 0);
    assert_int_equal(unlink(NAME), 0);
}

/* ---- writing ---- */

static void test_file_put_new_makes_it_with_its_mode(void **state)
{
    (void)state;
    const mode_t before = umask(0777);
    assert_int_equal(file_put(NAME, bytes_of_text("text"), 0644, FILE_PLACE_NEW), 0);
    (void)umask(before);
    expect_text(NAME, "text", 0644);
    assert_int_equal(names_here(), 1);
    assert_int_equal(unlink(NAME), 0);
}

static void test_file_put_new_leaves_what_has_the_name(void **state)
{
    (void)state;
    make(NAME, "old", 0600);
    assert_int_equal(file_put(NAME, bytes_of_text("text"), 0644, FILE_PLACE_NEW), EEXIST);
    expect_text(NAME, "old", 0600);
    assert_int_equal(names_here(), 1); /* no temporary file */
    assert_int_equal(unlink(NAME), 0);
}

static void test_file_put_replace_takes_the_name(void **state)
{
    (void)state;
    assert_int_equal(file_put(NAME, bytes_of_text("first, and longer"), 0600, FILE_PLACE_REPLACE), 0);
    assert_int_equal(file_put(NAME, bytes_of_text("second"), 0640, FILE_PLACE_REPLACE), 0);
    expect_text(NAME, "second", 0640);
    assert_int_equal(names_here(), 1);
    assert_int_equal(unlink(NAME), 0);
}

/* Who has the old file open, or linked, keeps the old text: it was not written over. */
static void test_file_put_replace_leaves_the_old_file_whole(void **state)
{
    (void)state;
    make(NAME, "old", 0600);
    assert_int_equal(link(NAME, "other"), 0);
    assert_int_equal(file_put(NAME, bytes_of_text("new"), 0600, FILE_PLACE_REPLACE), 0);
    expect_text("other", "old", 0600);
    expect_text(NAME, "new", 0600);
    assert_int_equal(unlink("other"), 0);
    assert_int_equal(unlink(NAME), 0);
}

static void test_file_put_replace_replaces_a_symbolic_link(void **state)
{
    struct stat status;
    (void)state;
    make("target", "old", 0600);
    assert_int_equal(symlink("target", NAME), 0);
    assert_int_equal(file_put(NAME, bytes_of_text("new"), 0600, FILE_PLACE_REPLACE), 0);
    assert_int_equal(lstat(NAME, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    expect_text("target", "old", 0600);
    assert_int_equal(unlink("target"), 0);
    assert_int_equal(unlink(NAME), 0);
}

static void test_file_put_without_its_directory_fails(void **state)
{
    (void)state;
    assert_int_equal(file_put("none/" NAME, bytes_of_text("x"), 0600, FILE_PLACE_NEW), ENOENT);
    assert_int_equal(file_put("none/" NAME, bytes_of_text("x"), 0600, FILE_PLACE_REPLACE), ENOENT);
}

/* The disk gives out in the middle (here: the limit of file sizes). */
static void test_file_put_cut_short_leaves_the_old_and_no_other(void **state)
{
    struct rlimit before;
    (void)state;
    make(NAME, "old", 0600);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {.rlim_cur = 4, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const int replaced = file_put(NAME, bytes_of_text("longer than four"), 0600, FILE_PLACE_REPLACE);
    const int made = file_put("new", bytes_of_text("longer than four"), 0600, FILE_PLACE_NEW);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(replaced, EFBIG);
    assert_int_equal(made, EFBIG);
    expect_text(NAME, "old", 0600);
    assert_int_equal(names_here(), 1);
    assert_int_equal(unlink(NAME), 0);
}

static void test_file_fill_of_what_cannot_be_written_fails(void **state)
{
    (void)state;
    make(NAME, "", 0600);
    const int fd = open(NAME, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_fill(fd, bytes_of_text("x"), 0600), EBADF);
    assert_int_equal(close(fd), 0);
    assert_int_equal(file_fill(fd, bytes_of_text(""), 0600), EBADF);
    assert_int_equal(unlink(NAME), 0);
}

static void test_file_directory_sync_finds_the_directory_of_a_path(void **state)
{
    (void)state;
    assert_int_equal(file_directory_sync(NAME), 0); /* this one; the file itself need not be there */
    assert_int_equal(file_directory_sync("/" NAME), 0);
    assert_int_equal(file_directory_sync("../" NAME), 0);
    assert_int_equal(file_directory_sync("none/" NAME), ENOENT);
    make(NAME, "", 0600);
    assert_int_equal(file_directory_sync(NAME "/x"), ENOTDIR);
    assert_int_equal(unlink(NAME), 0);
}

/* ---- descriptors 0 to 2 ---- */

/* In a child, which has no other way to answer than its exit code: 0, or which of the steps failed. */
static int standard_open_after_closing(int first, int last)
{
    char byte = 0;
    for (int fd = first; fd <= last; fd++)
        if (close(fd) != 0) return 1;
    if (file_standard_open() != 0) return 2;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0) return 3;
    if (open("/dev/null", O_RDONLY) <= STDERR_FILENO) return 4;
    if (first == STDIN_FILENO && read(STDIN_FILENO, &byte, 1) >= 0) return 5;
    for (int fd = first == STDIN_FILENO ? STDOUT_FILENO : first; fd <= last; fd++)
        if (write(fd, &byte, 1) >= 0) return 6;
    return 0;
}

static void expect_standard_open(int first, int last)
{
    int status = 0;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(standard_open_after_closing(first, last));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_file_standard_open_of_closed_ones_takes_their_numbers(void **state)
{
    (void)state;
    for (int first = STDIN_FILENO; first <= STDERR_FILENO; first++)
        for (int last = first; last <= STDERR_FILENO; last++)
            expect_standard_open(first, last);
}

static void test_file_standard_open_leaves_open_ones(void **state)
{
    struct stat before[3];
    struct stat after[3];
    (void)state;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        assert_int_equal(fstat(fd, &before[fd]), 0);
    assert_int_equal(file_standard_open(), 0);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        assert_int_equal(fstat(fd, &after[fd]), 0);
        assert_int_equal(before[fd].st_ino, after[fd].st_ino);
    }
}

#define FILE_TEST(function) cmocka_unit_test_setup_teardown(function, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_file_load_missing_says_why),
        FILE_TEST(test_file_load_of_what_is_no_regular_file_refused),
        FILE_TEST(test_file_load_takes_the_bound_and_no_more),
        FILE_TEST(test_file_load_of_an_empty_file_is_empty),
        FILE_TEST(test_file_load_follows_a_symbolic_link),
        FILE_TEST(test_file_put_new_makes_it_with_its_mode),
        FILE_TEST(test_file_put_new_leaves_what_has_the_name),
        FILE_TEST(test_file_put_replace_takes_the_name),
        FILE_TEST(test_file_put_replace_leaves_the_old_file_whole),
        FILE_TEST(test_file_put_replace_replaces_a_symbolic_link),
        FILE_TEST(test_file_put_without_its_directory_fails),
        FILE_TEST(test_file_put_cut_short_leaves_the_old_and_no_other),
        FILE_TEST(test_file_fill_of_what_cannot_be_written_fails),
        FILE_TEST(test_file_directory_sync_finds_the_directory_of_a_path),
        FILE_TEST(test_file_standard_open_of_closed_ones_takes_their_numbers),
        FILE_TEST(test_file_standard_open_leaves_open_ones),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
