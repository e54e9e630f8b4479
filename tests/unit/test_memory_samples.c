/* test_memory_samples.c - memory of replicas over a time: whose process is looked at, and what is made of the samples.
 */
#include "bench/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A group's directory in which replica 1 is this process. */
static void make_home(char *home, size_t home_bytes)
{
    char path[128];
    (void)snprintf(home, home_bytes, "/tmp/test-memory-XXXXXX");
    assert_non_null(mkdtemp(home));
    (void)snprintf(path, sizeof path, "%s/run", home);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/run/r1.pid", home);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fprintf(f, "%ld\n", (long)getpid());
    assert_int_equal(fclose(f), 0);
}

static void remove_home(const char *home)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/run/r1.pid", home);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/run", home);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(home), 0);
}

static void test_memory_samples_are_of_the_replicas_that_run(void **state)
{
    char home[64];
    (void)state;
    make_home(home, sizeof home);
    assert_int_equal(memory_kib(home, 0), 0);
    assert_true(memory_kib(home, 1) > 0);
    struct memory_samples s = memory_begin(home, 2, 3600);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.kib[0], 0);
    assert_true(s.kib[1] > 0);
    memory_tick(&s); /* not due for a minute */
    assert_int_equal(s.count, 1);
    assert_int_equal(memory_course(&s, 0).most_kib, 0);
    assert_int_equal(memory_course(&s, 1).last_kib, s.kib[1]);
    memory_free(&s);
    remove_home(home);
}

static void test_memory_samples_never_exceed_their_maximum(void **state)
{
    char home[64];
    (void)state;
    make_home(home, sizeof home);
    struct memory_samples s = memory_begin(home, 2, 3600);
    s.from_us -= 2 * (uint64_t)MEMORY_SAMPLES_MAX * s.every_us; /* all are due */
    for (uint32_t i = 0; i < 2 * MEMORY_SAMPLES_MAX; i++)
        memory_tick(&s);
    assert_int_equal(s.count, MEMORY_SAMPLES_MAX);
    memory_free(&s);
    remove_home(home);
}

static void test_memory_course_passes_over_what_was_not_seen(void **state)
{
    uint64_t kib[] = {0, 9, 5, 0, 8, 7, 6, 0}; /* of two replicas, in turn */
    const struct memory_samples s = {.replicas = 2, .count = 4, .kib = kib};
    const struct memory_course first = memory_course(&s, 0);
    const struct memory_course second = memory_course(&s, 1);
    (void)state;
    assert_int_equal(first.first_kib, 5);
    assert_int_equal(first.most_kib, 8);
    assert_int_equal(first.last_kib, 6);
    assert_int_equal(second.first_kib, 9);
    assert_int_equal(second.last_kib, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_samples_are_of_the_replicas_that_run),
        cmocka_unit_test(test_memory_samples_never_exceed_their_maximum),
        cmocka_unit_test(test_memory_course_passes_over_what_was_not_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
