/* fuzz_scenario.c - any text as a scenario: it is refused with a line number, or runs, and then what the cluster checks
 * holds.
 *
 * Runs are kept short: a text with a number of more than four digits, or with more than 24 lines, is left aside. */
#include "base/check.h"
#include "tests/fixture/scenario.h"

#include <stddef.h>

#define LINES_MAX 24u
#define DIGITS_MAX 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_short(const uint8_t *data, size_t size)
{
    uint32_t lines = 0;
    uint32_t digits = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n' && ++lines > LINES_MAX) return false;
        digits = data[i] >= '0' && data[i] <= '9' ? digits + 1 : 0;
        if (digits > DIGITS_MAX) return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scenario_result result;
    if (!is_short(data, size)) return 0;
    const struct err e = scenario_run_text("input", bytes_of(data, size), NULL, &result);
    CHECK(!err_is(&e) || e.code == ERR_USAGE || e.code == ERR_NEGATIVE);
    CHECK(!result.violated || (err_is(&e) && e.code == ERR_NEGATIVE));
    return 0;
}
