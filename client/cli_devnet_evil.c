/* cli_devnet_evil.c - pbft devnet evil and good: a replica's process makes room for pbft-evil, or for pbftd again.
 *
 * Nothing that misbehaves is in this program or in pbftd. pbft-evil is a test program, built with `make evil`, never
 * installed; it says itself whether it knows a behaviour. */
#include "client/cli_devnet_evil.h"

#include "client/cli_devnet_up.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE 2

/* PBFT_EVIL, or pbft-evil beside this program, or where make puts it when this program is in the tree's bin/. */
static struct err find_program(struct cli_path *out)
{
    static const char *const places[] = {DEVNET_EVIL_NAME, "../build/release/" DEVNET_EVIL_NAME};
    const char *given = getenv("PBFT_EVIL");
    struct cli_path self;
    if (given != NULL && given[0] != '\0') {
        const int wanted = snprintf(out->text, sizeof out->text, "%s", given);
        if (wanted < 0 || (size_t)wanted >= sizeof out->text) return err_make(ERR_CONFIG, "PBFT_EVIL is too long");
        if (access(out->text, X_OK) == 0) return err_none();
        return err_make(ERR_CONFIG, "%s cannot be run; set PBFT_EVIL to where " DEVNET_EVIL_NAME " is", out->text);
    }
    const ssize_t len = readlink("/proc/self/exe", self.text, sizeof self.text - 1);
    if (len <= 0) return err_system(errno, "cannot read /proc/self/exe");
    self.text[len] = '\0';
    const char *beside = dirname(self.text);
    for (uint32_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        ERR_TRY(cli_home_path(beside, out, "%s", places[i]));
        if (access(out->text, X_OK) == 0) return err_none();
    }
    return err_make(ERR_CONFIG, DEVNET_EVIL_NAME
                    " is missing: it is a test program that is not installed; in a copy of the sources "
                    "run make evil, then set PBFT_EVIL to its build/release/" DEVNET_EVIL_NAME);
}

/* Asks the program whether it can do that; its words go to stderr. */
static struct err ask(const struct cli_path *program, const char *behaviour)
{
    int status = 0;
    const pid_t child = fork();
    if (child < 0) return err_system(errno, "cannot make a process");
    if (child == 0) {
        (void)execl(program->text, program->text, "--behaviour", behaviour, "--check", (char *)NULL);
        _exit(127);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return err_none();
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE)
        return err_make(ERR_USAGE, "\"%s\" is nothing that a replica can be told to do; the list is above", behaviour);
    return err_make(ERR_CONFIG, "%s cannot be run; make evil builds it", program->text);
}

/* More of them than the group can bear are allowed: that is something to look at too. */
static struct err warn_of_too_many(const struct devnet *d)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < d->replica_count; id++) {
        struct devnet_process p;
        ERR_TRY(devnet_process_find(d, id, &p));
        devnet_process_close(&p);
        if (p.evil) count++;
    }
    const uint32_t most = (d->replica_count - 1) / 3;
    if (count > most)
        (void)fprintf(stderr, "pbft: %u of %u replicas misbehave, and the group bears %u: nothing is promised now\n",
                      count, d->replica_count, most);
    return err_none();
}

/* Ends what runs in its place, if something does. */
static struct err make_room(const struct devnet *d, uint32_t id)
{
    struct devnet_process p;
    ERR_TRY(devnet_process_find(d, id, &p));
    devnet_process_close(&p);
    return p.state == DEVNET_STATE_STOPPED && p.stranger == 0 ? err_none() : devnet_end(d, id, SIGTERM);
}

struct err devnet_evil_run(const struct cli_call *call)
{
    struct devnet d;
    struct cli_path program;
    uint32_t id;
    ERR_TRY(find_program(&program));
    ERR_TRY(ask(&program, call->words[1]));
    ERR_TRY(devnet_open(call, &d));
    ERR_TRY(devnet_id_parse(&d, call->words[0], &id));
    ERR_TRY(make_room(&d, id));
    ERR_TRY(devnet_process_start_evil(&d, id, program.text, call->words[1]));
    ERR_TRY(devnet_wait_answer(call, &d, id));
    ERR_TRY(warn_of_too_many(&d));
    devnet_unlock(&d);
    devnet_print_id(call, "evil", id);
    return err_none();
}

struct err devnet_good_run(const struct cli_call *call)
{
    struct devnet d;
    struct devnet_process p;
    uint32_t id;
    ERR_TRY(devnet_open(call, &d));
    ERR_TRY(devnet_id_parse(&d, call->words[0], &id));
    ERR_TRY(devnet_process_find(&d, id, &p));
    devnet_process_close(&p);
    if (p.state == DEVNET_STATE_RUNNING && !p.evil) {
        (void)fprintf(stderr, "pbft: replica %u keeps the rules already\n", id);
    } else {
        ERR_TRY(make_room(&d, id));
        ERR_TRY(devnet_process_start(&d, id));
    }
    ERR_TRY(devnet_wait_answer(call, &d, id));
    devnet_unlock(&d);
    devnet_print_id(call, "good", id);
    return err_none();
}
