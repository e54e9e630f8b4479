/* pbft_bench.c - the command line of pbft-bench. */
#include "bench/bench.h"

#include "base/file.h"
#include "base/limits.h"
#include "crypto/sign.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] =
    "usage: pbft-bench load [options]     closed loop of signed kv puts against a running development group\n"
    "       pbft-bench recover [options]  how long results pause when the primary goes, under load\n"
    "       pbft-bench history [options]  clients share a few keys; what they asked and got goes to a file, for "
    "pbft-sim linearize\n"
    "       pbft-bench messages [options] what a batch costs in messages, counted in the simulator, beside the "
    "formulas\n"
    "       pbft-bench micro              cost of Ed25519 on this machine\n"
    "\n"
    "  --home DIR        the group's directory (default $PBFT_HOME or ./devnet)\n"
    "  --client NAMES    clients, separated by commas (default: default)\n"
    "  --in-flight N     transactions in flight for each client, 1 to 64 (default 64)\n"
    "  --op-bytes N      bytes of each value (default 256)\n"
    "  --seconds S       measured time (default 10)     --warm-up S  before it (default 2)\n"
    "  --rounds N        recover: how often the primary goes (default 5)\n"
    "  --how HOW         recover: kill, stop, pause: kill -9, TERM, or SIGSTOP for 10 s of the primary (default "
    "kill);\n"
    "                    random: kill -9 of any replica, every fifth time of all at once; roll: TERM of each in turn;\n"
    "                    watch: none is let go by this program, a line on standard input ends a round\n"
    "  --at-once N       recover: so many go together, the chosen one and those after it by id (default 1, at most f)\n"
    "  --accepted FILE   recover: a line for each accepted result, the index of its entry and its block\n"
    "  --history FILE    history: the file\n"
    "  --keys N          history: so many keys, 1 to 64 (default 4)\n"
    "  --replicas LIST   messages: sizes of groups, separated by commas (default 4,7,10,13)\n"
    "  --silent F        messages: so many backups say nothing (default 0)\n"
    "  --batch B         messages: requests in a batch, at most (default 1)      --batches K  so many (default 8)\n"
    "  --view-change     messages: then the primary dies, and what that costs\n"
    "  --plot FILE       messages: a picture (.svg or .png), beside OM(f) and SM(f)\n"
    "  -o table|json     form of the result; messages: csv too\n"
    "Exit codes: 0 ok, 2 usage, 3 time-out or no quorum, 4 bad configuration or key.\n";

enum {
    OPTION_HOME = 256,
    OPTION_CLIENT,
    OPTION_IN_FLIGHT,
    OPTION_OP_BYTES,
    OPTION_SECONDS,
    OPTION_WARM_UP,
    OPTION_ROUNDS,
    OPTION_HOW,
    OPTION_AT_ONCE,
    OPTION_ACCEPTED,
    OPTION_HISTORY,
    OPTION_KEYS,
    OPTION_REPLICAS,
    OPTION_SILENT,
    OPTION_BATCH,
    OPTION_BATCHES,
    OPTION_VIEW_CHANGE,
    OPTION_PLOT
};

/* False, and it has been said, when the text of this option is no number between the two. */
static bool parse_number(const char *option, const char *text, double least, double most, double *out)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least && value <= most)) {
        (void)fprintf(stderr, "pbft-bench: --%s is \"%.60s\"; give a number from %.10g to %.10g\n", option, text, least,
                      most);
        return false;
    }
    *out = value;
    return true;
}

/* The words of --how; false, and it has been said, when it is none of them. */
static bool parse_how(const char *text, enum recover_how *out)
{
    if (strcmp(text, "kill") == 0)
        *out = RECOVER_KILL;
    else if (strcmp(text, "stop") == 0)
        *out = RECOVER_STOP;
    else if (strcmp(text, "pause") == 0)
        *out = RECOVER_PAUSE;
    else if (strcmp(text, "random") == 0)
        *out = RECOVER_RANDOM;
    else if (strcmp(text, "roll") == 0)
        *out = RECOVER_ROLL;
    else if (strcmp(text, "watch") == 0)
        *out = RECOVER_WATCH;
    else {
        (void)fprintf(stderr, "pbft-bench: --how is \"%.60s\"; give kill, stop, pause, random, roll or watch\n", text);
        return false;
    }
    return true;
}

/* The words of -o, likewise. */
static bool parse_form(const char *text, bool *json, enum messages_form *form)
{
    *json = strcmp(text, "json") == 0;
    *form = *json ? MESSAGES_JSON : strcmp(text, "csv") == 0 ? MESSAGES_CSV : MESSAGES_TABLE;
    if (*form != MESSAGES_TABLE || strcmp(text, "table") == 0) return true;
    (void)fprintf(stderr, "pbft-bench: -o is \"%.60s\"; give table or json; messages takes csv too\n", text);
    return false;
}

/* A whole number. */
static bool parse_count(const char *option, const char *text, uint32_t least, uint32_t most, uint32_t *out)
{
    double number = 0;
    if (!parse_number(option, text, least, most, &number)) return false;
    *out = (uint32_t)number;
    return true;
}

static bool parse_options(int argc, char **argv, struct load_options *o, struct recover_options *recover,
                          struct history_options *history, struct messages_options *messages)
{
    static const struct option options[] = {{"home", required_argument, NULL, OPTION_HOME},
                                            {"client", required_argument, NULL, OPTION_CLIENT},
                                            {"in-flight", required_argument, NULL, OPTION_IN_FLIGHT},
                                            {"op-bytes", required_argument, NULL, OPTION_OP_BYTES},
                                            {"seconds", required_argument, NULL, OPTION_SECONDS},
                                            {"warm-up", required_argument, NULL, OPTION_WARM_UP},
                                            {"rounds", required_argument, NULL, OPTION_ROUNDS},
                                            {"how", required_argument, NULL, OPTION_HOW},
                                            {"at-once", required_argument, NULL, OPTION_AT_ONCE},
                                            {"accepted", required_argument, NULL, OPTION_ACCEPTED},
                                            {"history", required_argument, NULL, OPTION_HISTORY},
                                            {"keys", required_argument, NULL, OPTION_KEYS},
                                            {"replicas", required_argument, NULL, OPTION_REPLICAS},
                                            {"silent", required_argument, NULL, OPTION_SILENT},
                                            {"batch", required_argument, NULL, OPTION_BATCH},
                                            {"batches", required_argument, NULL, OPTION_BATCHES},
                                            {"view-change", no_argument, NULL, OPTION_VIEW_CHANGE},
                                            {"plot", required_argument, NULL, OPTION_PLOT},
                                            {NULL, 0, NULL, 0}};
    int option;
    int index = 0;
    while ((option = getopt_long(argc, argv, "o:", options, &index)) != -1) {
        const char *name = options[index].name; /* not of -o */
        bool good = true;
        switch (option) {
        case OPTION_HOME: o->home = optarg; break;
        case OPTION_CLIENT: o->clients = optarg; break;
        case OPTION_IN_FLIGHT: good = parse_count(name, optarg, 1, 64, &o->in_flight); break;
        case OPTION_OP_BYTES: good = parse_count(name, optarg, 0, 1000000, &o->op_bytes); break;
        case OPTION_SECONDS: good = parse_number(name, optarg, 0.1, 86400, &o->seconds); break;
        case OPTION_ROUNDS: good = parse_count(name, optarg, 1, 1000, &recover->rounds); break;
        case OPTION_AT_ONCE: good = parse_count(name, optarg, 1, REPLICAS_MAX, &recover->at_once); break;
        case OPTION_ACCEPTED: recover->accepted = optarg; break;
        case OPTION_HISTORY: history->path = optarg; break;
        case OPTION_KEYS: good = parse_count(name, optarg, 1, 64, &history->keys); break;
        case OPTION_REPLICAS: messages->replicas = optarg; break;
        case OPTION_SILENT: good = parse_count(name, optarg, 0, REPLICAS_MAX, &messages->silent); break;
        case OPTION_BATCH: good = parse_count(name, optarg, 1, 1024, &messages->batch); break;
        case OPTION_BATCHES: good = parse_count(name, optarg, 1, 10000, &messages->batches); break;
        case OPTION_VIEW_CHANGE: messages->view_change = true; break;
        case OPTION_PLOT: messages->plot = optarg; break;
        case OPTION_HOW: good = parse_how(optarg, &recover->how); break;
        case OPTION_WARM_UP: good = parse_number(name, optarg, 0, 3600, &o->warm_up); break;
        case 'o': good = parse_form(optarg, &o->json, &messages->form); break;
        default: return false; /* getopt has said it */
        }
        if (!good) return false;
    }
    if (optind < argc) (void)fprintf(stderr, "pbft-bench: \"%.60s\" is one word too many\n", argv[optind]);
    return optind == argc;
}

static int finish(struct err e)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && !err_is(&e))
        e = err_make(ERR_IO, "cannot write to standard output: it is closed or full");
    if (!err_is(&e)) return 0;
    (void)fprintf(stderr, "pbft-bench: %s\n", e.text);
    return err_exit_code(e.code);
}

int main(int argc, char **argv)
{
    const char *home = getenv("PBFT_HOME");
    struct load_options o = {.home = home != NULL ? home : "./devnet",
                             .clients = "default",
                             .in_flight = 64,
                             .op_bytes = 256,
                             .seconds = 10,
                             .warm_up = 2};
    struct recover_options recover = {.rounds = 5, .at_once = 1};
    struct history_options history = {.keys = 4};
    struct messages_options messages = {.replicas = "4,7,10,13", .batch = 1, .batches = 8};
    const int failure = file_standard_open();
    if (failure != 0) return finish(err_system(failure, "cannot open /dev/null"));
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            (void)fputs(usage_text, stdout);
            return finish(err_none());
        }
    }
    if (argc < 2) {
        (void)fputs(usage_text, stderr);
        return 2;
    }
    if (!parse_options(argc - 1, argv + 1, &o, &recover, &history, &messages)) {
        (void)fprintf(stderr, "pbft-bench: see pbft-bench --help\n");
        return 2;
    }
    if (strcmp(argv[1], "messages") == 0) return finish(messages_run(&messages));
    if (messages.form == MESSAGES_CSV) return finish(err_make(ERR_USAGE, "-o csv is for messages; give table or json"));
    struct err e = sign_start();
    if (err_is(&e)) return finish(e);
    if (strcmp(argv[1], "load") == 0) return finish(load_run(&o));
    if (strcmp(argv[1], "recover") == 0) {
        recover.home = o.home;
        recover.client = o.clients;
        recover.in_flight = o.in_flight;
        recover.json = o.json;
        return finish(recover_run(&recover));
    }
    if (strcmp(argv[1], "history") == 0) {
        if (history.path == NULL) return finish(err_make(ERR_USAGE, "history wants --history FILE"));
        history.home = o.home;
        history.clients = o.clients;
        history.in_flight = o.in_flight;
        history.seconds = o.seconds;
        return finish(history_run(&history));
    }
    if (strcmp(argv[1], "micro") == 0) {
        const struct floor_cost f = floor_measure(1.0);
        (void)printf(o.json ? "{\"verify_us\":%.2f,\"sign_us\":%.2f}\n" : "verify %.2f us, sign %.2f us\n", f.verify_us,
                     f.sign_us);
        return finish(err_none());
    }
    (void)fputs(usage_text, stderr);
    return 2;
}
