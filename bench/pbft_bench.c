/* pbft_bench.c - the command line of pbft-bench. */
#include "bench/bench.h"

#include "base/file.h"
#include "base/limits.h"
#include "crypto/sign.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum command_number { LOAD, LATENCY, CURVE, SCALE, RECOVER, HISTORY, MESSAGES, ATTACK, GROWTH, MICRO, COMMANDS };

struct command {
    const char *name;
    const char *summary;
    struct err (*run)(const struct bench_options *o);
};

static const struct command commands[COMMANDS] = {
    [LOAD] = {"load", "signed transactions on a group: throughput, latency, CPU, beside the machine's floor", load_run},
    [LATENCY] = {"latency", "the same, one transaction at a time", latency_run},
    [CURVE] = {"curve", "throughput and latency in an open loop, at shares of what the closed loop gave", curve_run},
    [SCALE] = {"scale", "load on groups of several sizes: CPU of a replica for each transaction", scale_run},
    [RECOVER] = {"recover", "how long results pause when the primary goes, under load", recover_run},
    [HISTORY] = {"history", "clients share a few keys; what they asked and got, for pbft-sim linearize", history_run},
    [MESSAGES] = {"messages",
                  "what a batch costs in messages, counted in the simulator and on processes, beside the formulas",
                  messages_run},
    [ATTACK] = {"attack", "what each misbehaviour leaves to correct clients, beside a run in which nobody misbehaves",
                attack_run},
    [GROWTH] = {"growth", "throughput, memory and disk as a ledger grows, beside one that stays small", growth_run},
    [MICRO] = {"micro", "what the parts cost on this machine", micro_run},
};

#define OF(command) (1u << (command))
#define LOADS (OF(LOAD) | OF(LATENCY) | OF(CURVE) | OF(SCALE))
#define OWN_GROUPS (LOADS | OF(ATTACK) | OF(GROWTH)) /* that live as long as the command */
#define ON_A_GROUP (LOADS | OF(RECOVER) | OF(HISTORY))
#define ALL (OF(COMMANDS) - 1u)

enum kind { TEXT, COUNT, REAL, FLAG, WORD };

/* Where the value goes, and what it may be. */
struct setting {
    const char *name;
    const char *value; /* in the help; NULL for a flag */
    const char *help;
    unsigned of; /* commands */
    enum kind kind;
    size_t at; /* in struct bench_options */
    double least;
    double most;
    const char *const *words; /* WORD: the n-th is the value n; ends with NULL */
};

static const char *const how_words[] = {"kill", "stop", "pause", "random", "roll", "watch", NULL};
static const char *const app_words[] = {"kv", "log", NULL};
static const char *const of_words[] = {"both", "simulator", "processes", NULL};
static const char *const form_words[] = {"table", "json", "csv", NULL};
static const char *const plain_form_words[] = {"table", "json", NULL};

#define AT(field) .at = offsetof(struct bench_options, field)
static const struct setting settings[] = {
    {"home", "DIR", "of a running development group (default $PBFT_HOME or ./devnet)", ON_A_GROUP & ~OF(SCALE), TEXT,
     AT(home)},
    {"client", "NAMES", "its clients that send, separated by commas (default: default)",
     ON_A_GROUP & ~OF(SCALE) & ~OF(RECOVER) & ~OF(LATENCY), TEXT, AT(clients)},
    {"client", "NAME", "its client that sends (default: default)", OF(RECOVER) | OF(LATENCY), TEXT, AT(clients)},
    {"replicas", "N", "on a group of so many replicas that lives as long as this command", LOADS & ~OF(SCALE), TEXT,
     AT(replicas)},
    {"replicas", "LIST", "sizes of groups, separated by commas (default 4,7,10,13)", OF(SCALE) | OF(MESSAGES), TEXT,
     AT(replicas)},
    {"replicas", "N", "of each group (default 4, at least)", OF(ATTACK), TEXT, AT(replicas)},
    {"replicas", "N", "of each of its two groups (default 4)", OF(GROWTH), COUNT, AT(replica_count), 1, 64},
    {"entries", "LIST",
     "rising numbers of entries, separated by commas, at each of which it measures\n"
     "                    (default 100000,1000000,10000000; 0: the empty ledger)",
     OF(GROWTH), TEXT, AT(entries)},
    {"behaviours", "LIST",
     "names, separated by commas, or all: what pbft-evil --list and pbft-evil-client --list\n"
     "                    print (default: some of each kind)",
     OF(ATTACK), TEXT, AT(behaviours)},
    {"rounds", "N", "of both, in turns, for each; ratios are medians then (default 1, at most 9)", OF(ATTACK), COUNT,
     AT(rounds), 1, ATTACK_ROUNDS_MAX},
    {"duration", "S", "of the attack, and of the run beside it (default 20)", OF(ATTACK), REAL, AT(seconds), 0.5,
     86400},
    {"clients", "N", "of such a group (default 4)", OWN_GROUPS & ~OF(LATENCY), COUNT, AT(client_count), 1,
     BENCH_CLIENTS_MAX},
    {"dir", "DIR", "where what is made for it lives (default /var/tmp)", OWN_GROUPS | OF(MICRO) | OF(MESSAGES), TEXT,
     AT(dir)},
    {"base-port", "P", "of such a group: replica I listens on P+I, and on P+200+I for HTTP (default: free ones)",
     (OWN_GROUPS & ~OF(GROWTH)) | OF(MESSAGES), COUNT, AT(base_port), 1, 65000},
    {"base-port", "P",
     "replica I of the large group listens on P+I, of the small one on P+100+I, and each on 200\n"
     "                    more for HTTP (default: free ones)",
     OF(GROWTH), COUNT, AT(base_port), 1, 65000},
    {"app", "kv|log", "puts of new keys, or appended records (default kv)", LOADS, WORD, AT(app), .words = app_words},
    {"reads", NULL, "gets by quorum instead", LOADS, FLAG, AT(reads)},
    {"certified", NULL, "gets that one replica proves instead", LOADS, FLAG, AT(certified)},
    {"readers", "N",
     "so many clients more read beside those that write, in every second run, turn about (by\n"
     "                    quorum; with --certified what one replica proves); of --client the last ones",
     OF(LOAD), COUNT, AT(readers), 1, BENCH_CLIENTS_MAX - 1},
    {"read-rate", "R", "reads a second that they are meant to send together (default: as fast as it goes)", OF(LOAD),
     REAL, AT(read_rate), 0.1, 1e6},
    {"rounds", "N", "so many pairs of runs, with --readers (default 2, at most 9)", OF(LOAD), COUNT, AT(rounds), 1, 9},
    {"in-flight", "N", "transactions in flight for each client, 1 to 64 (default 64)",
     OF(LOAD) | OF(CURVE) | OF(SCALE) | OF(RECOVER) | OF(HISTORY) | OF(ATTACK) | OF(GROWTH), COUNT, AT(in_flight), 1,
     64},
    {"bundle", "N", "operations in each transaction, 1 to 1,000 (default 1)", LOADS, COUNT, AT(bundle), 1, OPS_MAX},
    {"fill-bundle", "N", "operations in each transaction of the fill (default 1,000)", OF(GROWTH), COUNT, AT(bundle), 1,
     OPS_MAX},
    {"fill-bytes", "N", "bytes of each value of the fill (default 256)", OF(GROWTH), COUNT, AT(fill_bytes), 0, 900},
    {"op-bytes", "N", "bytes of each value (default 256)", OWN_GROUPS, COUNT, AT(op_bytes), 0, 1000000},
    {"keys", "N",
     "puts go round so many keys, all clients together: the state stays as it is (default\n"
     "                    10,000); 0: each put has a new one, and the state grows",
     OF(GROWTH), COUNT, AT(key_count), 0, 100000000},
    {"keys", "N", "puts go round so many keys, all clients together (default: each put has a new one)",
     OF(LOAD) | OF(CURVE), COUNT, AT(key_count), 1, 100000000},
    {"rate", "R", "open loop: so many transactions a second are meant to be sent, at random times", OF(LOAD), REAL,
     AT(rate), 0.1, 1e6},
    {"seconds", "S", "measured time (default 10)", (ON_A_GROUP & ~OF(RECOVER)) | OF(GROWTH), REAL, AT(seconds), 0.1,
     86400},
    {"warm-up", "S", "before it (default 2)", OWN_GROUPS, REAL, AT(warm_up), 0, 3600},
    {"rounds", "N",
     "loads at each mark on the ledger, with others on the small one before, between and after (default 2)", OF(GROWTH),
     COUNT, AT(rounds), 1, 9},
    {"rounds", "N", "how often the primary goes (default 5)", OF(RECOVER), COUNT, AT(rounds), 1, 1000},
    {"how", "HOW",
     "kill, stop, pause: kill -9, TERM, or SIGSTOP for 10 s of the primary (default kill);\n"
     "                    random: kill -9 of any replica, every fifth time of all at once; roll: TERM of each in "
     "turn;\n"
     "                    watch: none is let go by this program, a line on standard input ends a round",
     OF(RECOVER), WORD, AT(how), .words = how_words},
    {"at-once", "N", "so many go together, the chosen one and those after it by id (default 1, at most f)", OF(RECOVER),
     COUNT, AT(at_once), 1, REPLICAS_MAX},
    {"accepted", "FILE", "a line for each accepted result, the index of its entry and its block", OF(RECOVER), TEXT,
     AT(accepted)},
    {"history", "FILE", "the file", OF(HISTORY), TEXT, AT(history)},
    {"keys", "N", "so many keys, 1 to 64 (default 4)", OF(HISTORY), COUNT, AT(keys), 1, 64},
    {"silent", "F", "so many backups say nothing (default 0)", OF(MESSAGES), COUNT, AT(silent), 0, REPLICAS_MAX},
    {"batch", "B", "requests in a batch, at most (default 1)", OF(MESSAGES), COUNT, AT(batch), 1, 1024},
    {"batches", "K", "so many (default 8)", OF(MESSAGES), COUNT, AT(batches), 1, 10000},
    {"view-change", NULL, "then the primary dies, and what that costs", OF(MESSAGES), FLAG, AT(view_change)},
    {"of", "both|simulator|processes",
     "where they are counted (default both, processes up to 13 replicas; silent ones\n"
     "                    are pbft-evil: make evil)",
     OF(MESSAGES), WORD, AT(messages_of), .words = of_words},
    {"plot", "FILE", "a picture, .svg or .png", OWN_GROUPS | OF(MESSAGES), TEXT, AT(plot)},
    {"o", "table|json|csv", "form of the result", OWN_GROUPS | OF(MESSAGES), WORD, AT(form), .words = form_words},
    {"o", "table|json", "form of the result", OF(RECOVER) | OF(MICRO), WORD, AT(form), .words = plain_form_words},
};
#define SETTINGS (sizeof settings / sizeof settings[0])

/* ---- help ---- */

static void print_help(FILE *to, const struct command *c)
{
    if (c == NULL) {
        (void)fprintf(to, "usage: pbft-bench COMMAND [options]     (pbft-bench COMMAND --help)\n\n");
        for (uint32_t i = 0; i < COMMANDS; i++)
            (void)fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    } else {
        (void)fprintf(to, "usage: pbft-bench %s [options]\n%s\n\n", c->name, c->summary);
        for (uint32_t i = 0; i < SETTINGS; i++) {
            const struct setting *s = &settings[i];
            char name[40];
            if ((s->of & OF(c - commands)) == 0) continue;
            (void)snprintf(name, sizeof name, "%s%s %s", s->name[1] == '\0' ? "-" : "--", s->name,
                           s->value == NULL ? "" : s->value);
            (void)fprintf(to, "  %-18s%s%s\n", name, strlen(name) < 18 ? "" : " ", s->help);
        }
    }
    (void)fprintf(to, "\nExit codes: 0 ok, 1 interrupted, or a program that it runs failed, 2 usage, 3 time-out or no "
                      "quorum, 4 bad configuration or key.\n");
}

/* ---- options ---- */

/* False, and it has been said, when the text is no number between the two. */
static bool parse_number(const struct setting *s, const char *text, double *out)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= s->least && value <= s->most)) {
        (void)fprintf(stderr, "pbft-bench: --%s is \"%.60s\"; give a number from %.10g to %.10g\n", s->name, text,
                      s->least, s->most);
        return false;
    }
    *out = value;
    return true;
}

static bool parse_word(const struct setting *s, const char *text, int *out)
{
    uint32_t count = 0;
    for (; s->words[count] != NULL; count++) {
        if (strcmp(s->words[count], text) != 0) continue;
        *out = (int)count;
        return true;
    }
    (void)fprintf(stderr, "pbft-bench: %s%s is \"%.60s\"; give ", s->name[1] == '\0' ? "-" : "--", s->name, text);
    for (uint32_t i = 0; i < count; i++)
        (void)fprintf(stderr, "%s%s", s->words[i], i + 2 < count ? ", " : i + 1 < count ? " or " : "\n");
    return false;
}

static bool set(const struct setting *s, const char *text, struct bench_options *o)
{
    char *to = (char *)o + s->at;
    double number = 0;
    int word;
    switch (s->kind) {
    case TEXT:
        if (text[0] == '\0') (void)fprintf(stderr, "pbft-bench: --%s is empty\n", s->name);
        memcpy(to, &text, sizeof text);
        return text[0] != '\0';
    case FLAG: *(bool *)to = true; return true;
    case REAL:
        if (!parse_number(s, text, &number)) return false;
        memcpy(to, &number, sizeof number);
        return true;
    case COUNT: {
        if (!parse_number(s, text, &number)) return false;
        if (number != (double)(uint32_t)number) {
            (void)fprintf(stderr, "pbft-bench: %s%s is \"%.60s\"; give a whole number\n",
                          s->name[1] == '\0' ? "-" : "--", s->name, text);
            return false;
        }
        const uint32_t count = (uint32_t)number;
        memcpy(to, &count, sizeof count);
        return true;
    }
    case WORD:
        if (!parse_word(s, text, &word)) return false;
        memcpy(to, &word, sizeof word);
        return true;
    }
    return false;
}

_Static_assert(sizeof(int) == sizeof(enum recover_how) && sizeof(int) == sizeof(enum load_app) &&
                   sizeof(int) == sizeof(enum bench_form) && sizeof(int) == sizeof(enum bench_messages_of),
               "a word goes where an enum stands");

/* The one that getopt_long has found: 256 and its index, or a letter. */
static const struct setting *find_setting(unsigned command, int option)
{
    if (option >= 256 && (size_t)option < 256 + SETTINGS) return &settings[option - 256];
    for (uint32_t i = 0; i < SETTINGS; i++)
        if ((settings[i].of & OF(command)) != 0 && settings[i].name[0] == option && settings[i].name[1] == '\0')
            return &settings[i];
    return NULL; /* it is none of this command, and getopt has said so */
}

/* What is of a group of its own is of no use on a running one, and the other way round. */
static bool go_together(unsigned command, const bool given[SETTINGS], const struct bench_options *o)
{
    static const size_t of_own[] = {offsetof(struct bench_options, client_count), offsetof(struct bench_options, dir),
                                    offsetof(struct bench_options, base_port)};
    static const size_t of_running[] = {offsetof(struct bench_options, home), offsetof(struct bench_options, clients)};
    const bool own = o->replicas != NULL;
    const size_t *wrong = own ? of_running : of_own;
    const size_t count = own ? sizeof of_running / sizeof wrong[0] : sizeof of_own / sizeof wrong[0];
    if ((OF(command) & LOADS & ~OF(SCALE)) == 0) return true;
    for (uint32_t i = 0; i < SETTINGS; i++)
        for (size_t k = 0; k < count && given[i]; k++) {
            if (settings[i].at != wrong[k]) continue;
            (void)fprintf(
                stderr,
                own ? "pbft-bench: --%s is of a running group, and --replicas makes another one: give one of them\n"
                    : "pbft-bench: --%s is of a group of its own: give --replicas, too\n",
                settings[i].name);
            return false;
        }
    return true;
}

static bool parse_options(unsigned command, int argc, char **argv, struct bench_options *o)
{
    struct option options[SETTINGS + 1] = {0};
    bool given[SETTINGS] = {false};
    uint32_t count = 0;
    int option;
    for (uint32_t i = 0; i < SETTINGS; i++) {
        const struct setting *s = &settings[i];
        if ((s->of & OF(command)) != 0 && s->name[1] != '\0')
            options[count++] =
                (struct option){s->name, s->kind == FLAG ? no_argument : required_argument, NULL, 256 + (int)i};
    }
    const char *letters = find_setting(command, 'o') != NULL ? "o:" : "";
    while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        const struct setting *s = find_setting(command, option);
        if (s == NULL || !set(s, optarg, o)) return false;
        given[s - settings] = true;
    }
    if (optind < argc) (void)fprintf(stderr, "pbft-bench: \"%.60s\" is one word too many\n", argv[optind]);
    return optind == argc && go_together(command, given, o);
}

static int finish(struct err e)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && !err_is(&e))
        e = err_make(ERR_IO, "cannot write to standard output: it is closed or full");
    if (!err_is(&e)) return 0;
    (void)fprintf(stderr, "pbft-bench: %s\n", e.text);
    return err_exit_code(e.code);
}

static const struct command *find_command(const char *name)
{
    for (uint32_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

int main(int argc, char **argv)
{
    const char *home = getenv("PBFT_HOME");
    const struct command *c = argc > 1 ? find_command(argv[1]) : NULL;
    struct bench_options o = {.home = home != NULL ? home : "./devnet",
                              .clients = "default",
                              .dir = "/var/tmp",
                              .client_count = 4,
                              .replica_count = 4,
                              .entries = "100000,1000000,10000000",
                              .fill_bytes = 256,
                              .in_flight = 64,
                              .bundle = 1,
                              .op_bytes = 256,
                              .seconds = 10,
                              .warm_up = 2,
                              .rounds = 5,
                              .at_once = 1,
                              .keys = 4,
                              .batch = 1,
                              .batches = 8};
    const int failure = file_standard_open();
    if (failure != 0) return finish(err_system(failure, "cannot open /dev/null"));
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "-h") != 0) continue;
        print_help(stdout, c);
        return finish(err_none());
    }
    if (c == NULL) {
        if (argc > 1) (void)fprintf(stderr, "pbft-bench: \"%.60s\" is no command\n", argv[1]);
        print_help(stderr, NULL);
        return 2;
    }
    if (c == &commands[MESSAGES] || c == &commands[SCALE]) o.replicas = "4,7,10,13";
    if (c == &commands[ATTACK]) {
        o.replicas = "4";
        o.seconds = 20;
        o.rounds = 1;
    }
    if (c == &commands[LOAD]) o.rounds = 0;
    if (c == &commands[GROWTH]) {
        o.bundle = OPS_MAX;
        o.key_count = 10000;
        o.rounds = 2;
    }
    if (!parse_options((unsigned)(c - commands), argc - 1, argv + 1, &o)) {
        (void)fprintf(stderr, "pbft-bench: see pbft-bench %s --help\n", c->name);
        return 2;
    }
    interrupt_catch();
    struct err e = sign_start();
    if (!err_is(&e)) e = c->run(&o);
    return finish(e);
}
