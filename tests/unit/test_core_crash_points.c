/* test_core_crash_points.c - a replica crashes before and after an effect of its core, what was not synced is lost, it starts again
 * from what is left: every invariant holds, and everybody gets there. Here one effect in STRIDE, both the primary of the view to
 * come and a backup; all of them: pbft-sim crashes. */
#include "tests/fixture/crash_points.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define STRIDE 29u

static void check_crashes_of(uint32_t replica)
{
    struct buffer text = {0};
    struct crash_points points;
    struct err e = scenario_read("tests/scenarios/crash_points.txt", &text);
    assert_int_equal(e.code, ERR_NONE);
    e = crash_points_run("crash_points.txt", bytes_of(text.data, text.len), replica, 1 + replica, STRIDE, &points);
    if (err_is(&e)) fail_msg("%s", e.text);
    assert_true(points.effects > 400);
    assert_true(points.runs >= 2 * (points.effects / STRIDE));
    buffer_free(&text);
}

static void test_next_primary_crashes_at_its_effects(void **state)
{
    (void)state;
    check_crashes_of(1);
}

static void test_backup_crashes_at_its_effects(void **state)
{
    (void)state;
    check_crashes_of(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_primary_crashes_at_its_effects),
        cmocka_unit_test(test_backup_crashes_at_its_effects),
    };
    return cmocka_run_group_tests_name("core_crash_points", tests, NULL, NULL);
}
