/* test_keyfile.c - key files: what is refused and how it is said, and that OpenSSL reads and writes the same ones. The
 * texts themselves: test_keyfile_text.c. */
#include "crypto/keyfile.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* RFC 8410 section 10.3 and 10.1: a secret key and another key's public half. */
#define RFC_SECRET_SEED "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842"
#define RFC_SECRET_BODY "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC"
#define RFC_PUBLIC_KEY "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
#define RFC_PUBLIC_BODY "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="

#define SECRET_BEGIN "-----BEGIN PRIVATE KEY-----\n"
#define SECRET_END "-----END PRIVATE KEY-----\n"
#define PUBLIC_BEGIN "-----BEGIN PUBLIC KEY-----\n"
#define PUBLIC_END "-----END PUBLIC KEY-----\n"
#define RFC_SECRET SECRET_BEGIN RFC_SECRET_BODY "\n" SECRET_END
#define RFC_PUBLIC PUBLIC_BEGIN RFC_PUBLIC_BODY "\n" PUBLIC_END

#define COUNT_OF(array_) (sizeof(array_) / sizeof((array_)[0]))

static char directory[64];
static char path[128];

static int group_setup(void **state)
{
    (void)state;
    const struct err e = sign_start();
    return err_is(&e) ? -1 : 0;
}

static int directory_setup(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/test_keyfile.XXXXXX");
    if (mkdtemp(directory) == NULL) return -1;
    (void)snprintf(path, sizeof path, "%s/key.pem", directory);
    return 0;
}

static int directory_teardown(void **state)
{
    (void)state;
    char command[256];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static void file_put(const char *text, size_t len, mode_t mode)
{
    (void)unlink(path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

/* Runs a shell command in which %s is the key's path; true when it exits with 0. */
static bool shell(const char *format)
{
    char command[512];
    (void)snprintf(command, sizeof command, format, path, path);
    const int status = system(command);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void rfc_pair(struct secret_key *secret, struct public_key *public)
{
    uint8_t seed[32];
    assert_true(hex_decode(RFC_SECRET_SEED, seed, sizeof seed));
    sign_key_from_seed(seed, secret, public);
}

/* The read must fail, leave its results alone, name the path and say `cure`. */
static void assert_read_secret_fails(const char *cure)
{
    struct secret_key secret;
    struct secret_key before;
    bool development = true;
    memset(&secret, 0xa5, sizeof secret);
    before = secret;
    const struct err e = keyfile_read_secret(path, &secret, &development);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, path));
    if (strstr(e.text, cure) == NULL) fail_msg("\"%s\" does not say \"%s\"", e.text, cure);
    assert_memory_equal(&secret, &before, sizeof secret);
    assert_true(development);
}

static void assert_read_public_fails(const char *cure)
{
    struct public_key key;
    struct public_key before;
    memset(&key, 0xa5, sizeof key);
    before = key;
    const struct err e = keyfile_read_public(path, &key);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, path));
    if (strstr(e.text, cure) == NULL) fail_msg("\"%s\" does not say \"%s\"", e.text, cure);
    assert_memory_equal(&key, &before, sizeof key);
}

/* ---- files ---- */

static void test_keyfile_read_of_missing_file_is_refused(void **state)
{
    (void)state;
    assert_read_secret_fails("does not exist");
    assert_read_public_fails("does not exist");
}

static void test_keyfile_read_of_directory_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_read_secret_fails("not a regular file");
    assert_read_public_fails("not a regular file");
}

/* Also: the call returns although nobody writes to the FIFO. */
static void test_keyfile_read_of_fifo_is_refused_without_waiting(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_read_secret_fails("not a regular file");
    assert_read_public_fails("not a regular file");
}

static void test_keyfile_read_with_any_bit_for_others_is_refused(void **state)
{
    (void)state;
    for (uint32_t bit = 0; bit < 6; bit++) {
        char cure[192];
        const unsigned mode = 0600u | 1u << bit;
        file_put(RFC_SECRET, strlen(RFC_SECRET), (mode_t)mode);
        (void)snprintf(cure, sizeof cure, "has mode %04o; others can read it: run chmod 600 %s", mode, path);
        assert_read_secret_fails(cure);
        assert_read_public_fails(cure);
    }
}

/* As another user than root, for whom EACCES exists. */
static void test_keyfile_read_without_permission_is_refused(void **state)
{
    (void)state;
    file_put(RFC_SECRET, strlen(RFC_SECRET), 0000);
    assert_int_equal(chmod(directory, 0755), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct secret_key secret;
        bool development = false;
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(2);
        const struct err e = keyfile_read_secret(path, &secret, &development);
        _exit(e.code == ERR_CONFIG && strstr(e.text, path) != NULL && strstr(e.text, "owner") != NULL ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_keyfile_read_of_empty_file_is_refused(void **state)
{
    (void)state;
    file_put("", 0, 0600);
    assert_read_secret_fails("BEGIN");
    assert_read_public_fails("BEGIN");
}

static void test_keyfile_read_of_file_with_more_after_block_is_refused(void **state)
{
    (void)state;
    static const char secret_text[] = RFC_SECRET RFC_SECRET;
    static const char public_text[] = RFC_PUBLIC RFC_SECRET;
    file_put(secret_text, sizeof secret_text - 1, 0600);
    assert_read_secret_fails("one file holds one key");
    assert_read_public_fails("one file holds one key");
    file_put(public_text, sizeof public_text - 1, 0600);
    assert_read_public_fails("one file holds one key");
}

static void test_keyfile_read_secret_of_public_key_is_refused(void **state)
{
    (void)state;
    file_put(RFC_PUBLIC, strlen(RFC_PUBLIC), 0600);
    assert_read_secret_fails("a secret key is needed");
}

static void test_keyfile_read_public_of_invalid_point_is_refused(void **state)
{
    (void)state;
    char text[KEYFILE_PEM_BYTES_MAX];
    const struct public_key neutral = {{1}};
    keyfile_public_pem(&neutral, text);
    file_put(text, strlen(text), 0644);
    assert_read_public_fails("prime order");
}

static void test_keyfile_read_of_longest_file_works_and_one_byte_more_is_refused(void **state)
{
    (void)state;
    char text[4097];
    struct secret_key secret;
    bool development = true;
    memset(text, '\n', sizeof text);
    memcpy(text, RFC_SECRET, strlen(RFC_SECRET));
    file_put(text, 4097, 0600);
    assert_read_secret_fails("longer than 4096 bytes");
    assert_read_public_fails("longer than 4096 bytes");
    file_put(text, 4096, 0600);
    const struct err e = keyfile_read_secret(path, &secret, &development);
    assert_string_equal(e.text, "");
}

static void test_keyfile_write_over_existing_file_is_refused(void **state)
{
    (void)state;
    struct secret_key secret;
    struct public_key public;
    rfc_pair(&secret, &public);
    file_put("precious", 8, 0600);
    struct err e = keyfile_write_secret(path, &secret, false);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, path));
    assert_true(shell("test \"$(cat %s)\" = precious"));
    /* nor through a link that leads nowhere yet */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("elsewhere", path), 0);
    e = keyfile_write_secret(path, &secret, false);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_false(shell("test -e %s"));
}

static void test_keyfile_write_into_missing_directory_is_io_error(void **state)
{
    (void)state;
    struct secret_key secret;
    struct public_key public;
    rfc_pair(&secret, &public);
    (void)snprintf(path, sizeof path, "%s/none/key.pem", directory);
    const struct err e = keyfile_write_secret(path, &secret, false);
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.text, path));
}

static void test_keyfile_write_that_cannot_be_synced_leaves_no_file(void **state)
{
    (void)state;
    struct secret_key secret;
    struct public_key public;
    rfc_pair(&secret, &public);
    /* A directory that may be written but not read: the file is made, the directory cannot be opened to be synced. Root
     * may read everything, so for root another user tries. */
    const bool root = geteuid() == 0;
    assert_int_equal(chmod(directory, root ? 0733 : 0300), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (root && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(2);
        const struct err e = keyfile_write_secret(path, &secret, false);
        _exit(e.code == ERR_IO && access(path, F_OK) != 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(directory, 0700), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_keyfile_write_under_any_umask_has_mode_0600(void **state)
{
    (void)state;
    static const mode_t masks[] = {0000, 0022, 0077, 0377, 0777};
    struct secret_key secret;
    struct public_key public;
    struct stat status;
    rfc_pair(&secret, &public);
    for (size_t i = 0; i < COUNT_OF(masks); i++) {
        const mode_t before = umask(masks[i]);
        const struct err e = keyfile_write_secret(path, &secret, false);
        (void)umask(before);
        assert_string_equal(e.text, "");
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777u, 0600);
        assert_int_equal(unlink(path), 0);
    }
}

static void test_keyfile_write_to_plain_name_works(void **state)
{
    (void)state;
    struct secret_key secret;
    struct public_key public;
    char *before = getcwd(NULL, 0);
    assert_non_null(before);
    rfc_pair(&secret, &public);
    assert_int_equal(chdir(directory), 0);
    const struct err e = keyfile_write_secret("key.pem", &secret, false);
    assert_int_equal(chdir(before), 0);
    free(before);
    assert_string_equal(e.text, "");
    assert_int_equal(access(path, R_OK), 0);
}

static void test_keyfile_written_secret_reads_back(void **state)
{
    (void)state;
    for (int marked = 0; marked < 2; marked++) {
        struct secret_key secret;
        struct secret_key again;
        struct public_key public;
        struct public_key public_again;
        bool development = marked == 0;
        sign_key_new(&secret, &public);
        struct err e = keyfile_write_secret(path, &secret, marked == 1);
        assert_string_equal(e.text, "");
        e = keyfile_read_secret(path, &again, &development);
        assert_string_equal(e.text, "");
        assert_memory_equal(&again, &secret, sizeof secret);
        assert_int_equal(development, marked == 1);
        e = keyfile_read_public(path, &public_again);
        assert_string_equal(e.text, "");
        assert_true(public_key_equal(&public_again, &public));
        assert_int_equal(unlink(path), 0);
    }
}

static void test_keyfile_read_public_of_file_others_can_read_works(void **state)
{
    (void)state;
    struct public_key key;
    char text[2 * PUBLIC_KEY_BYTES + 1];
    file_put(RFC_PUBLIC, strlen(RFC_PUBLIC), 0644);
    const struct err e = keyfile_read_public(path, &key);
    assert_string_equal(e.text, "");
    hex_encode(text, key.bytes, PUBLIC_KEY_BYTES);
    assert_string_equal(text, RFC_PUBLIC_KEY);
}

static void test_keyfile_read_of_file_only_owner_reads_works(void **state)
{
    (void)state;
    struct secret_key secret;
    bool development = true;
    file_put(RFC_SECRET, strlen(RFC_SECRET), 0400);
    const struct err e = keyfile_read_secret(path, &secret, &development);
    assert_string_equal(e.text, "");
}

/* ---- OpenSSL ---- */

static void test_keyfile_written_secret_is_read_by_openssl(void **state)
{
    (void)state;
    for (int marked = 0; marked < 2; marked++) {
        struct secret_key secret;
        struct public_key public;
        char text[KEYFILE_PEM_BYTES_MAX];
        sign_key_new(&secret, &public);
        const struct err e = keyfile_write_secret(path, &secret, marked == 1);
        assert_string_equal(e.text, "");
        assert_true(shell("openssl pkey -in %s -text -noout | grep -q 'ED25519 Private-Key'"));
        /* OpenSSL derives the same public key and writes the same text as keyfile_public_pem. */
        assert_true(shell("openssl pkey -in %s -pubout -out %s.pub"));
        keyfile_public_pem(&public, text);
        assert_int_equal(unlink(path), 0);
        file_put(text, strlen(text), 0644);
        assert_true(shell("cmp -s %s %s.pub"));
        assert_int_equal(unlink(path), 0);
    }
}

static void test_keyfile_public_pem_is_read_by_openssl(void **state)
{
    (void)state;
    file_put(RFC_PUBLIC, strlen(RFC_PUBLIC), 0644);
    assert_true(shell("openssl pkey -pubin -in %s -text -noout | grep -q 'ED25519 Public-Key'"));
}

static void test_keyfile_made_by_openssl_is_read(void **state)
{
    (void)state;
    struct secret_key secret;
    struct public_key key;
    bool development = true;
    char public_path[sizeof path + 8];
    assert_true(shell("umask 077 && openssl genpkey -algorithm ED25519 -out %s"));
    assert_true(shell("openssl pkey -in %s -pubout -out %s.pub"));
    struct err e = keyfile_read_secret(path, &secret, &development);
    assert_string_equal(e.text, "");
    assert_false(development);
    (void)snprintf(public_path, sizeof public_path, "%s.pub", path);
    e = keyfile_read_public(public_path, &key);
    assert_string_equal(e.text, "");
    const struct public_key half = secret_key_public(&secret);
    assert_true(public_key_equal(&half, &key));
}

static void test_keyfile_of_other_algorithm_made_by_openssl_is_refused(void **state)
{
    (void)state;
    assert_true(shell("umask 077 && openssl genpkey -algorithm X25519 -out %s"));
    assert_read_secret_fails("not an Ed25519 secret key");
    assert_read_public_fails("not an Ed25519 secret key");
}

#define FILE_TEST(function_) cmocka_unit_test_setup_teardown(function_, directory_setup, directory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_keyfile_read_of_missing_file_is_refused),
        FILE_TEST(test_keyfile_read_of_directory_is_refused),
        FILE_TEST(test_keyfile_read_of_fifo_is_refused_without_waiting),
        FILE_TEST(test_keyfile_read_with_any_bit_for_others_is_refused),
        FILE_TEST(test_keyfile_read_without_permission_is_refused),
        FILE_TEST(test_keyfile_read_of_empty_file_is_refused),
        FILE_TEST(test_keyfile_read_of_file_with_more_after_block_is_refused),
        FILE_TEST(test_keyfile_read_secret_of_public_key_is_refused),
        FILE_TEST(test_keyfile_read_public_of_invalid_point_is_refused),
        FILE_TEST(test_keyfile_read_of_longest_file_works_and_one_byte_more_is_refused),
        FILE_TEST(test_keyfile_write_over_existing_file_is_refused),
        FILE_TEST(test_keyfile_write_into_missing_directory_is_io_error),
        FILE_TEST(test_keyfile_write_that_cannot_be_synced_leaves_no_file),
        FILE_TEST(test_keyfile_write_under_any_umask_has_mode_0600),
        FILE_TEST(test_keyfile_write_to_plain_name_works),
        FILE_TEST(test_keyfile_written_secret_reads_back),
        FILE_TEST(test_keyfile_read_public_of_file_others_can_read_works),
        FILE_TEST(test_keyfile_read_of_file_only_owner_reads_works),
        FILE_TEST(test_keyfile_written_secret_is_read_by_openssl),
        FILE_TEST(test_keyfile_public_pem_is_read_by_openssl),
        FILE_TEST(test_keyfile_made_by_openssl_is_read),
        FILE_TEST(test_keyfile_of_other_algorithm_made_by_openssl_is_refused),
    };
    return cmocka_run_group_tests_name("keyfile", tests, group_setup, NULL);
}
