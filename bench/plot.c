/* plot.c - see plot.h. */
#include "bench/plot.h"

#include "bench/program.h"

#include <stdbool.h>
#include <string.h>

struct err plot_begin(struct buffer *script, const char *file)
{
    const size_t len = strlen(file);
    const bool png = len > 4 && strcmp(file + len - 4, ".png") == 0;
    for (const char *p = file; *p != '\0'; p++)
        if (*p == '\'' || *p == '\n') return err_make(ERR_USAGE, "a picture wants a file whose name has no quote");
    buffer_printf(script, "set terminal %s size 900,560 background '#ffffff'\nset output '%s'\nset grid\n",
                  png ? "png" : "svg", file);
    return err_none();
}

struct err plot_finish(struct buffer *script)
{
    const char *const argv[] = {"gnuplot", "-", NULL};
    struct buffer out = {0};
    struct err e = program_run(argv, bytes_of(script->data, script->len), &out);
    if (e.code == ERR_CONFIG)
        e = err_make(ERR_CONFIG, "gnuplot, which draws pictures, cannot be run: apt-get install gnuplot-nox");
    buffer_free(script);
    buffer_free(&out);
    return e;
}
