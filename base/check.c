/* check.c - what a failed CHECK does: one line on stderr, then abort. */
#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *file, int line, const char *expression)
{
    (void)fprintf(stderr, "%s:%d: CHECK failed: %s (this is a bug in pbft; please report this line)\n", file, line,
                  expression);
    abort();
}

_Noreturn void check_failed_values(const char *file, int line, const char *expression, uint64_t left, uint64_t right)
{
    (void)fprintf(stderr,
                  "%s:%d: CHECK failed: %s (%" PRIu64 " against %" PRIu64
                  "; this is a bug in pbft; please report this line)\n",
                  file, line, expression, left, right);
    abort();
}
