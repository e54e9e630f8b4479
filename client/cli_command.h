/* cli_command.h - the commands of `pbft`: tables of nouns, verbs, words and options, parsed one way, with help made
 * from them. `key` and `group` have tables of their own (keys/cli_verb.h) and only share the global options.
 *
 * Options may stand anywhere; what follows "--" is words. Global options are taken out first, by cli_globals_take.
 */
#ifndef PBFT_CLIENT_CLI_COMMAND_H
#define PBFT_CLIENT_CLI_COMMAND_H

#include "base/err.h"

#include <stdint.h>
#include <stdio.h>

#define CLI_WORDS_MAX 3u
#define CLI_OPTIONS_MAX 3u

/* What holds for every command. Strings are borrowed from argv or the environment. */
struct cli_globals {
    bool json;
    const char *home;    /* --home, PBFT_HOME or ./devnet */
    bool home_given;     /* with --home */
    const char *client;  /* --client; NULL when not given */
    uint64_t timeout_ms; /* --timeout; 0 when not given */
};

struct cli_call {
    const struct cli_globals *globals;
    const char *words[CLI_WORDS_MAX];
    uint32_t word_count;
    const char *values[CLI_OPTIONS_MAX]; /* by index in the command's table; NULL when not given, "" for a flag */
};

struct cli_option {
    const char *name;  /* without "--" */
    const char *value; /* what the help calls its value; NULL for a flag */
    const char *help;
};

struct cli_command {
    const char *noun; /* NULL: the verb stands alone */
    const char *verb;
    const char *words; /* as the help shows them */
    uint32_t words_min;
    uint32_t words_max;
    const char *summary; /* one line */
    const char *details; /* more lines for --help, or NULL */
    struct cli_option options[CLI_OPTIONS_MAX];
    struct err (*run)(const struct cli_call *call);
};

struct cli_table {
    const struct cli_command *commands;
    uint32_t count;
};

/* Takes the global options out of argv[1..]; the other arguments stay in their order, argv[0] too, and *argc is their
 * new count. Errors: ERR_USAGE. */
MUST_USE struct err cli_globals_take(int *argc, char **argv, struct cli_globals *out);
/* Finds the command that argv[1] (and argv[2]) name, parses the rest and runs it, or prints its help. Returns the exit
 * code, after a message on stderr when it is not 0; -1 when argv[1] is neither a verb nor a noun of the tables. */
int cli_command_main(const struct cli_table *tables, uint32_t table_count, const struct cli_globals *globals, int argc,
                     char **argv);
/* One line for every command. */
void cli_command_list(FILE *to, const struct cli_table *tables, uint32_t table_count);
/* A whole number from min to max. Errors: ERR_USAGE, naming `what`. */
MUST_USE struct err cli_number_parse(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out);

#endif
