/* interrupt.c - see interrupt.h. */
#include "bench/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_bool interrupted;

static void on_signal(int signal)
{
    static const char text[] = "pbft-bench: interrupted; it ends when what it has started is stopped\n";
    const int failure = errno;
    (void)signal;
    atomic_store(&interrupted, true);
    const ssize_t told = write(STDERR_FILENO, text, sizeof text - 1);
    (void)told; /* or there is nobody to tell */
    errno = failure;
}

void interrupt_catch(void)
{
    const struct sigaction catch = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &catch, NULL);
    (void)sigaction(SIGTERM, &catch, NULL);
    (void)sigaction(SIGHUP, &catch, NULL);
}

bool bench_interrupted(void)
{
    return atomic_load(&interrupted);
}

struct err bench_go_on(void)
{
    return bench_interrupted() ? err_make(ERR_NEGATIVE, "interrupted") : err_none();
}

struct err bench_both(const struct err *first, const struct err *then)
{
    if (!err_is(first)) return *then;
    return err_is(then) ? err_make(first->code, "%.300s; %.300s", first->text, then->text) : *first;
}
