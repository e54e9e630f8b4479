/* test_node_effects.c - what the log says of an effect that is for the operator. No thread, no socket. What effects do
 * to disk and network: test_storage.c, test_execution_steps.c, test_net.c.
 */
#include "replica/run/node_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT_BYTES 4096u

/* What node_perform of this one effect logs. */
static void performed(struct core_effect effect, char text[TEXT_BYTES])
{
    struct node *n = mem_zero(1, sizeof *n);
    struct core_effects *effects = mem_zero(1, sizeof *effects);
    effects->count = 1;
    effects->items[0] = effect;
    FILE *sink = tmpfile();
    const int real = dup(STDERR_FILENO);
    assert_non_null(sink);
    assert_true(real >= 0 && dup2(fileno(sink), STDERR_FILENO) >= 0);
    node_perform(n, effects);
    assert_true(dup2(real, STDERR_FILENO) >= 0);
    (void)close(real);
    const ssize_t len = pread(fileno(sink), text, TEXT_BYTES - 1, 0);
    assert_true(len >= 0);
    text[len] = '\0';
    (void)fclose(sink);
    free(effects);
    free(n);
}

/* A copy of another replica's directory, or an empty one, would be refused at the start. */
static void test_node_effects_diverged_advises_what_works(void **state)
{
    char text[TEXT_BYTES];
    (void)state;
    performed((struct core_effect){.type = CORE_EFFECT_DIVERGED, .diverged = 128}, text);
    assert_non_null(strstr(text, "level=error event=replica.diverged"));
    assert_non_null(strstr(text, "seq=128"));
    assert_non_null(strstr(text, "Stop it, move its data directory away for inspection, make a new one with "
                                 "pbftd --config FILE --init, and start it\""));
    assert_null(strstr(text, "copy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_node_effects_diverged_advises_what_works)};
    return cmocka_run_group_tests_name("node_effects", tests, NULL, NULL);
}
