/* test_burn.c - the dummy of pbft-bench attack uses what it is told to and no more, and nothing of it is left. */
#include "bench/burn.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#define SHARE 1.2 /* of a core, so that there are two processes */
#define WANTED_US 300000u
#define TRIES 6000u
#define TICK_US 10000u /* what the kernel counts in, and a slice of the dummy */

static void must(struct err e)
{
    if (err_is(&e)) fail_msg("%s", e.text);
}

static void test_burn_share_is_used_and_not_exceeded(void **state)
{
    struct burn b;
    uint64_t used_us = 0;
    const uint64_t from_us = clock_monotonic_us();
    (void)state;
    must(burn_start(SHARE, &b));
    assert_int_equal(b.count, 2);
    const struct burn processes = b;
    for (uint32_t i = 0; i < TRIES && used_us < WANTED_US; i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = TICK_US * 1000l}, NULL);
        must(burn_cpu_us(&b, &used_us));
    }
    const uint64_t took_us = clock_monotonic_us() - from_us;
    burn_end(&b);
    assert_true(used_us >= WANTED_US);
    assert_true((double)used_us <= SHARE * (double)(took_us + TICK_US) + 2 * TICK_US);
    for (uint32_t i = 0; i < processes.count; i++)
        assert_true(kill(processes.pids[i], 0) != 0 && errno == ESRCH);
}

static void test_burn_share_of_none_starts_none(void **state)
{
    struct burn b;
    (void)state;
    must(burn_start(0, &b));
    assert_int_equal(b.count, 0);
    burn_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burn_share_is_used_and_not_exceeded),
        cmocka_unit_test(test_burn_share_of_none_starts_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
