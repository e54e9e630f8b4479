/* cli_verb.c - parsing and explaining the verbs of one noun. It knows no verb itself. */
#include "keys/cli_verb.h"

#include "base/check.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* getopt's answers: 1 is a word, an option is its index above OPTION_BASE. */
#define OPTION_WORD 1
#define OPTION_HELP 'h'
#define OPTION_BASE 0x1000

static uint32_t option_count(const struct cli_verb *verb)
{
    uint32_t count = 0;
    while (count < CLI_VERB_OPTIONS_MAX && verb->options[count].name != NULL)
        count++;
    return count;
}

static uint32_t word_count(const struct cli_verb *verb)
{
    uint32_t count = 0;
    while (count < CLI_VERB_WORDS_MAX && verb->words[count] != NULL)
        count++;
    return count;
}

static void noun_help(FILE *to, const char *noun, const struct cli_verb *verbs, uint32_t verb_count)
{
    (void)fprintf(to, "usage: pbft %s VERB ...\n\n", noun);
    for (uint32_t i = 0; i < verb_count; i++)
        (void)fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
    (void)fprintf(to, "\npbft %s VERB --help explains a verb.\n", noun);
}

static void verb_help(const char *noun, const struct cli_verb *verb)
{
    (void)printf("usage: pbft %s %s", noun, verb->name);
    for (uint32_t i = 0; i < word_count(verb); i++)
        (void)printf(" %s", verb->words[i]);
    (void)printf("%s\n\n%s\n\n", option_count(verb) > 0 ? " [OPTION]..." : "", verb->summary);
    for (uint32_t i = 0; i < option_count(verb); i++) {
        const struct cli_verb_option *o = &verb->options[i];
        char usage[64];
        (void)snprintf(usage, sizeof usage, "--%s %s", o->name, o->value == NULL ? "" : o->value);
        (void)printf("  %-28s %s%s%s%s\n", usage, o->kind == NULL ? "" : o->kind, o->kind == NULL ? "" : ": ", o->help,
                     o->required ? " (needed)" : "");
    }
    (void)printf(
        "  %-28s how data is printed on standard output (default table)\n"
        "  %-28s this text\n"
        "\nExit codes: 0 ok, 1 negative answer, 2 usage, 3 time-out or no quorum, 4 bad configuration or key,\n"
        "5 corruption. Words that start with '-' go after \"--\".\n",
        "-o table|json", "--help");
}

static struct err word_take(const struct cli_verb *verb, const char *word, uint32_t *count, struct cli_verb_call *call)
{
    if (*count == word_count(verb)) return err_make(ERR_USAGE, "\"%s\" is one word too many", word);
    call->words[(*count)++] = word;
    return err_none();
}

/* The words and options of the call; *help as soon as help is asked for. */
static struct err call_parse(const struct cli_verb *verb, int argc, char **argv, struct cli_verb_call *call, bool *help)
{
    struct option table[CLI_VERB_OPTIONS_MAX + 2] = {{0}};
    const uint32_t count = option_count(verb);
    uint32_t words = 0;
    int got;
    for (uint32_t i = 0; i < count; i++)
        table[i] = (struct option){.name = verb->options[i].name,
                                   .has_arg = verb->options[i].value == NULL ? no_argument : required_argument,
                                   .val = OPTION_BASE + (int)i};
    table[count] = (struct option){.name = "help", .has_arg = no_argument, .val = OPTION_HELP};
    opterr = 0;
    optind = 0; /* GNU: start afresh */
    /* '-': words come as they stand, whatever POSIXLY_CORRECT says; ':': tell a missing value from an unknown option.
     */
    while ((got = getopt_long(argc, argv, "-:h", table, NULL)) != -1) {
        if (got == OPTION_HELP) {
            *help = true;
            return err_none();
        }
        if (got == ':') return err_make(ERR_USAGE, "%s needs a value", argv[optind - 1]);
        if (got == '?' && optopt > 0 && optopt < OPTION_BASE)
            return err_make(ERR_USAGE, "there is no option -%c", optopt);
        if (got == '?' && optopt >= OPTION_BASE) return err_make(ERR_USAGE, "%s takes no value", argv[optind - 1]);
        if (got == '?') return err_make(ERR_USAGE, "there is no option %s", argv[optind - 1]);
        if (got == OPTION_WORD) {
            ERR_TRY(word_take(verb, optarg, &words, call));
            continue;
        }
        const uint32_t index = (uint32_t)(got - OPTION_BASE);
        if (call->values[index] != NULL) return err_make(ERR_USAGE, "--%s is given twice", verb->options[index].name);
        call->values[index] = optarg == NULL ? "" : optarg;
    }
    for (; optind < argc; optind++)
        ERR_TRY(word_take(verb, argv[optind], &words, call));
    if (words < word_count(verb)) return err_make(ERR_USAGE, "%s is missing", verb->words[words]);
    return err_none();
}

static bool option_fits(const struct cli_verb_option *o, const char *kind)
{
    return o->kind == NULL || strcmp(o->kind, kind) == 0;
}

/* Every option belongs to the kind asked for, and none it needs is missing. */
static struct err call_check(const struct cli_verb *verb, const struct cli_verb_call *call)
{
    const char *kind = call->words[1] == NULL ? "" : call->words[1];
    uint32_t known = 0;
    while (known < CLI_VERB_KINDS_MAX && verb->kinds[known] != NULL && strcmp(kind, verb->kinds[known]) != 0)
        known++;
    if (verb->kinds[0] != NULL && (known == CLI_VERB_KINDS_MAX || verb->kinds[known] == NULL))
        return err_make(ERR_USAGE, "\"%s\" is none of %s", kind, verb->words[1]);
    /* What does not belong first: it tells more about the mistake than what is missing. */
    for (uint32_t i = 0; i < option_count(verb); i++)
        if (call->values[i] != NULL && !option_fits(&verb->options[i], kind))
            return err_make(ERR_USAGE, "--%s belongs to a %s, not to a %s", verb->options[i].name,
                            verb->options[i].kind, kind);
    for (uint32_t i = 0; i < option_count(verb); i++) {
        const struct cli_verb_option *o = &verb->options[i];
        if (call->values[i] == NULL && o->required && option_fits(o, kind))
            return err_make(ERR_USAGE, "--%s %s is missing", o->name, o->value == NULL ? "" : o->value);
    }
    return err_none();
}

static struct err verb_run(const char *noun, const struct cli_verb *verb, int argc, char **argv, bool json)
{
    struct cli_verb_call call = {.json = json};
    bool help = false;
    ERR_TRY(call_parse(verb, argc, argv, &call, &help));
    if (help) {
        verb_help(noun, verb);
        return err_none();
    }
    ERR_TRY(call_check(verb, &call));
    return verb->run(&call);
}

int cli_verb_main(const char *noun, const struct cli_verb *verbs, uint32_t verb_count, int argc, char **argv, bool json)
{
    const struct cli_verb *verb = NULL;
    struct err e;
    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        noun_help(stdout, noun, verbs, verb_count);
        return 0;
    }
    for (uint32_t i = 0; argc > 0 && i < verb_count; i++)
        if (strcmp(argv[0], verbs[i].name) == 0) verb = &verbs[i];
    if (verb == NULL) {
        (void)fprintf(stderr, "pbft: %s%s: a verb is needed\n", noun, argc > 0 ? ": no such verb" : "");
        noun_help(stderr, noun, verbs, verb_count);
        return err_exit_code(ERR_USAGE);
    }
    e = verb_run(noun, verb, argc, argv, json);
    if ((fflush(stdout) != 0 || ferror(stdout)) && !err_is(&e))
        e = err_make(ERR_IO, "cannot write to standard output: it is closed or full");
    if (!err_is(&e)) return 0;
    (void)fprintf(stderr, "pbft: %s %s: %s\n", noun, verb->name, e.text);
    if (e.code == ERR_USAGE) (void)fprintf(stderr, "pbft: see pbft %s %s --help\n", noun, verb->name);
    return err_exit_code(e.code);
}

void cli_verb_print_json(json_t *value)
{
    CHECK(value != NULL);
    /* A failure to write is seen by fflush or ferror at the end. */
    (void)json_dumpf(value, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(value);
}
