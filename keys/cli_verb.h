/* cli_verb.h - the verbs behind one noun of the command line: a table of words and options, parsed one way, with a help
 * text made from it.
 *
 * Data goes to stdout; messages go to stderr and start with "pbft: ". The caller has taken the global options (-o json)
 * out already. Not for several threads: getopt keeps its place in globals.
 */
#ifndef PBFT_KEYS_CLI_VERB_H
#define PBFT_KEYS_CLI_VERB_H

#include "base/err.h"

#include <jansson.h>
#include <stdint.h>

#define CLI_VERB_WORDS_MAX 2u
#define CLI_VERB_KINDS_MAX 2u
#define CLI_VERB_OPTIONS_MAX 8u

struct cli_verb_option {
    const char *name;  /* without "--" */
    const char *value; /* what the help calls its value; NULL for a flag */
    const char *kind;  /* the kind it belongs to; NULL for all */
    bool required;     /* with that kind */
    const char *help;
};

/* What the command line said. Strings are borrowed from argv. */
struct cli_verb_call {
    bool json;
    const char *words[CLI_VERB_WORDS_MAX];
    const char *values[CLI_VERB_OPTIONS_MAX]; /* by index in the verb's table; NULL when not given, "" for a flag */
};

struct cli_verb {
    const char *name;
    const char *words[CLI_VERB_WORDS_MAX]; /* all demanded; as the help shows them */
    const char *kinds[CLI_VERB_KINDS_MAX]; /* what the second word may be; none: anything */
    const char *summary;
    struct cli_verb_option options[CLI_VERB_OPTIONS_MAX]; /* ends at the first without a name */
    struct err (*run)(const struct cli_verb_call *call);
};

/* Finds argv[0] among the verbs, parses the rest, runs it and reports its failure. `--help` (or -h) in place of the
 * verb lists the verbs, after it explains it. argv is put in another order. Returns the exit code: err_exit_code of the
 * verb's failure, 2 for words that are wrong, 4 when stdout takes no more. */
int cli_verb_main(const char *noun, const struct cli_verb *verbs, uint32_t verb_count, int argc, char **argv,
                  bool json);

/* Prints one JSON value on stdout, indented, and drops the reference. Memory is all that can be missing. */
void cli_verb_print_json(json_t *value);

#endif
