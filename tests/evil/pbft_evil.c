/* pbft_evil.c - the command line of pbft-evil.
 *
 * Never installed. `pbft devnet evil` runs it in the place of one replica of a development group; in the place of all
 * when PBFT_PBFTD names it, and what it does then comes from the environment (docs/adversary.md). */
#include "tests/evil/process.h"

#include "replica/run/config.h"
#include "replica/run/node.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] =
    "usage: pbft-evil --config FILE [--behaviour NAME[@WHEN][,NAME[@WHEN]]] [--links SPEC]\n"
    "\n"
    "A replica that misbehaves on purpose, for tests.\n"
    "\n"
    "  --config FILE      as of pbftd\n"
    "  --behaviour NAME   what it does (--list), up to three at once. WHEN: seq=N from that sequence on, view=V in "
    "that\n"
    "                     view only, time=SECONDS so long after it has started, signal: from the first SIGUSR1 on\n"
    "  --links SPEC       what becomes of frames to other replicas:\n"
    "                     drop=PERCENT,dup=PERCENT,delay=PERCENT:MOSTms,seed=NUMBER\n"
    "  --list             the behaviours, and end\n"
    "  --check            ends after the options were understood; 2 when not\n"
    "\n"
    "PBFT_EVIL_BEHAVIOUR and PBFT_EVIL_LINKS stand for options that are not given.\n"
    "Exit codes: those of pbftd.\n";

static void print_names(FILE *to)
{
    const struct evil_behaviour *b;
    (void)fputs("pbft-evil: behaviours are", to);
    for (uint32_t i = 0; (b = evil_behaviour_at(i)) != NULL; i++)
        (void)fprintf(to, " %s", b->name);
    (void)fputc('\n', to);
}

/* "NAME[@...][,NAME[@...]]": each an order. */
static bool parse_behaviours(const char *text)
{
    char part[128];
    for (const char *at = text; *at != '\0';) {
        const size_t len = strcspn(at, ",");
        if (len == 0 || len >= sizeof part) {
            print_names(stderr);
            return false;
        }
        memcpy(part, at, len);
        part[len] = '\0';
        const char *fault = evil_order(&process.evil, part);
        if (fault != NULL) {
            (void)fprintf(stderr, "pbft-evil: %s: %s\n", part, fault);
            print_names(stderr);
            return false;
        }
        at += len + (at[len] == ',' ? 1 : 0);
    }
    return true;
}

/* *again as node_run says. */
static struct err run(const char *path, const struct evil_links *links, bool *again)
{
    struct config config;
    struct identity identity = {0};
    struct node *n;
    ERR_TRY(sign_start());
    ERR_TRY(config_read(path, &config));
    struct err e = identity_load(&config, &identity);
    log_set_level(config.log_level);
    log_set_format(config.log_format);
    log_set_identity("replica", config.id);
    links_start(links, config.id);
    for (uint32_t i = 0; i < process.evil.order_count; i++)
        LOG(LOG_LEVEL_WARN, "evil.started", LOG_S("behaviour", process.evil.orders[i].behaviour->name));
    if (process.lossy) LOG(LOG_LEVEL_WARN, "evil.started", LOG_S("links", "lossy"));
    if (!err_is(&e)) e = node_start(&config, path, &identity, &(const struct node_options){.record_path = NULL}, &n);
    if (!err_is(&e)) {
        e = node_run(n, again);
        node_free(n);
    }
    links_stop();
    evil_end(&process.evil);
    process.node = NULL;
    identity_free(&identity);
    return e;
}

static void on_signal(int number)
{
    (void)number;
    atomic_store(&process.evil.signalled, true);
}

static void list(void)
{
    const struct evil_behaviour *b;
    for (uint32_t i = 0; (b = evil_behaviour_at(i)) != NULL; i++)
        (void)printf("%-20s %s%s\n", b->name, b->primary ? "as primary: " : "", b->does);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"behaviour", required_argument, NULL, 'b'},
                                            {"links", required_argument, NULL, 'k'},
                                            {"list", no_argument, NULL, 'l'},
                                            {"check", no_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *path = NULL;
    const char *behaviour = getenv("PBFT_EVIL_BEHAVIOUR");
    const char *links_text = getenv("PBFT_EVIL_LINKS");
    struct evil_links links = {0};
    bool check = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'c': path = optarg; break;
        case 'b': behaviour = optarg; break;
        case 'k': links_text = optarg; break;
        case 'l': list(); return 0;
        case 'o': check = true; break;
        case 'h': (void)fputs(usage_text, stdout); return 0;
        default: (void)fputs(usage_text, stderr); return 2;
        }
    }
    process.lossy = links_text != NULL;
    if (check && optind == argc) {
        if (behaviour != NULL && behaviour[0] == '\0') print_names(stderr);
        return behaviour != NULL && behaviour[0] != '\0' && parse_behaviours(behaviour) ? 0 : 2;
    }
    if (path == NULL || optind != argc || (behaviour != NULL && !parse_behaviours(behaviour)) ||
        (links_text != NULL && !links_parse(links_text, &links))) {
        (void)fputs(usage_text, stderr);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigaction(SIGUSR1, &(const struct sigaction){.sa_handler = on_signal, .sa_flags = SA_RESTART}, NULL);
    bool again = true;
    struct err e = err_none();
    while (again && !err_is(&e)) { /* as pbftd after a state transfer */
        again = false;
        e = run(path, &links, &again);
    }
    if (!err_is(&e)) return 0;
    (void)fprintf(stderr, "pbft-evil: %s\n", e.text);
    return err_exit_code(e.code);
}
