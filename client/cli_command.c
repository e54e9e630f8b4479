/* cli_command.c - parsing and explaining commands. It knows no command itself. */
#include "client/cli_command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS_MAX 3600000u
#define HOME_DEFAULT "./devnet"

enum global_option { GLOBAL_OUTPUT, GLOBAL_HOME, GLOBAL_TIMEOUT, GLOBAL_CLIENT, GLOBAL_COUNT };
static const char *const global_names[GLOBAL_COUNT] = {
    [GLOBAL_OUTPUT] = "output", [GLOBAL_HOME] = "home", [GLOBAL_TIMEOUT] = "timeout", [GLOBAL_CLIENT] = "client"};

struct err cli_number_parse(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    const unsigned long long value = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (text[0] < '0' || text[0] > '9' || errno != 0 || *end != '\0' || value < min || value > max)
        return err_make(ERR_USAGE, "%s is \"%.60s\"; give a whole number from %" PRIu64 " to %" PRIu64, what, text, min,
                        max);
    *out = value;
    return err_none();
}

/* The value of option, "--name=value" or "--name value": NULL when it has another name. option is argv[*i]; *i moves to
 * the last word used. */
static struct err option_value(const char *name, const char *option, int argc, char **argv, int *i, const char **out)
{
    const char *word = option + 2;
    const size_t len = strlen(name);
    *out = NULL;
    if (strncmp(word, name, len) != 0 || (word[len] != '\0' && word[len] != '=')) return err_none();
    if (word[len] == '=') {
        *out = word + len + 1;
        return err_none();
    }
    if (*i + 1 >= argc) return err_make(ERR_USAGE, "--%s needs a value", name);
    *out = argv[++*i];
    return err_none();
}

static struct err global_set(enum global_option which, const char *value, struct cli_globals *out)
{
    switch (which) {
    case GLOBAL_OUTPUT:
        if (strcmp(value, "json") != 0 && strcmp(value, "table") != 0)
            return err_make(ERR_USAGE, "-o takes table or json, not \"%.60s\"", value);
        out->json = strcmp(value, "json") == 0;
        return err_none();
    case GLOBAL_HOME:
        if (value[0] == '\0') return err_make(ERR_USAGE, "--home is empty; give a directory");
        out->home = value;
        out->home_given = true;
        return err_none();
    case GLOBAL_TIMEOUT: return cli_number_parse("--timeout", value, 1, TIMEOUT_MS_MAX, &out->timeout_ms);
    case GLOBAL_CLIENT:
        if (value[0] == '\0' || value[0] == '.' || strchr(value, '/') != NULL || strlen(value) > 60)
            return err_make(ERR_USAGE, "--client takes the name of a key file in HOME/clients, without its .pem");
        out->client = value;
        return err_none();
    case GLOBAL_COUNT: break;
    }
    return err_make(ERR_USAGE, "no such option");
}

/* Takes argv[*i] when it is a global option. */
static struct err global_take(int argc, char **argv, int *i, struct cli_globals *out, bool *taken)
{
    const char *word = argv[*i];
    const char *value = NULL;
    *taken = true;
    if (strncmp(word, "-o", 2) == 0 && word[2] != '\0') return global_set(GLOBAL_OUTPUT, word + 2, out);
    if (strcmp(word, "-o") == 0) {
        if (*i + 1 >= argc) return err_make(ERR_USAGE, "-o needs a value: table or json");
        return global_set(GLOBAL_OUTPUT, argv[++*i], out);
    }
    for (uint32_t k = 0; k < GLOBAL_COUNT && strncmp(word, "--", 2) == 0; k++) {
        ERR_TRY(option_value(global_names[k], word, argc, argv, i, &value));
        if (value != NULL) return global_set((enum global_option)k, value, out);
    }
    *taken = false;
    return err_none();
}

struct err cli_globals_take(int *argc, char **argv, struct cli_globals *out)
{
    const char *home = getenv("PBFT_HOME");
    struct cli_globals g = {.home = home != NULL && home[0] != '\0' ? home : HOME_DEFAULT};
    int kept = 1;
    bool words_only = false;
    for (int i = 1; i < *argc; i++) {
        bool taken = false;
        words_only = words_only || strcmp(argv[i], "--") == 0;
        if (!words_only) ERR_TRY(global_take(*argc, argv, &i, &g, &taken));
        if (!taken) argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    *argc = kept;
    *out = g;
    return err_none();
}

/* ---- one command ---- */

static void command_name_print(FILE *to, const struct cli_command *c)
{
    (void)fprintf(to, "%s%s%s", c->noun == NULL ? "" : c->noun, c->noun == NULL ? "" : " ", c->verb);
}

static void command_help(const struct cli_command *c)
{
    (void)printf("usage: pbft ");
    command_name_print(stdout, c);
    (void)printf("%s%s [OPTION]...\n\n%s\n", c->words[0] == '\0' ? "" : " ", c->words, c->summary);
    if (c->details != NULL) (void)printf("%s\n", c->details);
    (void)printf("\n");
    for (uint32_t i = 0; i < CLI_OPTIONS_MAX && c->options[i].name != NULL; i++) {
        char usage[64];
        (void)snprintf(usage, sizeof usage, "--%s %s", c->options[i].name,
                       c->options[i].value == NULL ? "" : c->options[i].value);
        (void)printf("  %-18s %s\n", usage, c->options[i].help);
    }
    (void)printf(
        "  -o table|json      how data is printed on standard output (default table)\n"
        "  --home DIR         group, keys and data (default PBFT_HOME, else " HOME_DEFAULT ")\n"
        "  --client NAME      sign with HOME/clients/NAME.pem (default \"default\";\n"
        "                     for reads \"reader\", if there is one)\n"
        "  --timeout MS       how long to wait for an answer\n"
        "  --help             this text\n"
        "\nExit codes: 0 ok, 1 negative answer, 2 usage, 3 time-out or no quorum, 4 bad configuration or key,\n"
        "5 corruption. Words that start with '-' go after \"--\".\n");
}

static struct err word_take(const struct cli_command *c, const char *word, struct cli_call *call)
{
    if (call->word_count >= c->words_max) return err_make(ERR_USAGE, "\"%.60s\" is one word too many", word);
    call->words[call->word_count++] = word;
    return err_none();
}

static struct err option_take(const struct cli_command *c, int argc, char **argv, int *i, struct cli_call *call)
{
    const char *word = argv[*i];
    for (uint32_t k = 0; k < CLI_OPTIONS_MAX && c->options[k].name != NULL && strncmp(word, "--", 2) == 0; k++) {
        const char *value = NULL;
        if (c->options[k].value != NULL)
            ERR_TRY(option_value(c->options[k].name, word, argc, argv, i, &value));
        else if (strcmp(word + 2, c->options[k].name) == 0)
            value = "";
        if (value == NULL) continue;
        if (call->values[k] != NULL) return err_make(ERR_USAGE, "--%s is given twice", c->options[k].name);
        call->values[k] = value;
        return err_none();
    }
    return err_make(ERR_USAGE, "there is no option %.60s; words that start with '-' go after \"--\"", word);
}

static struct err call_parse(const struct cli_command *c, int argc, char **argv, struct cli_call *call, bool *help)
{
    bool words_only = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (words_only || word[0] != '-' || word[1] == '\0') {
            ERR_TRY(word_take(c, word, call));
        } else if (strcmp(word, "--") == 0) {
            words_only = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            *help = true;
            return err_none();
        } else {
            ERR_TRY(option_take(c, argc, argv, &i, call));
        }
    }
    if (call->word_count < c->words_min)
        return err_make(ERR_USAGE, "%s%u word%s needed: %s", call->word_count == 0 ? "" : "too few words: ",
                        c->words_min, plural(c->words_min), c->words);
    return err_none();
}

static int command_run(const struct cli_command *c, const struct cli_globals *globals, int argc, char **argv)
{
    struct cli_call call = {.globals = globals};
    bool help = false;
    struct err e = call_parse(c, argc, argv, &call, &help);
    if (!err_is(&e) && help)
        command_help(c);
    else if (!err_is(&e))
        e = c->run(&call);
    if ((fflush(stdout) != 0 || ferror(stdout)) && !err_is(&e))
        e = err_make(ERR_IO, "cannot write to standard output: it is closed or full");
    if (!err_is(&e)) return 0;
    (void)fprintf(stderr, "pbft: ");
    command_name_print(stderr, c);
    (void)fprintf(stderr, ": %s\n", e.text);
    if (e.code == ERR_USAGE) {
        (void)fprintf(stderr, "pbft: see pbft ");
        command_name_print(stderr, c);
        (void)fprintf(stderr, " --help\n");
    }
    return err_exit_code(e.code);
}

/* ---- finding it ---- */

void cli_command_list(FILE *to, const struct cli_table *tables, uint32_t table_count)
{
    for (uint32_t t = 0; t < table_count; t++) {
        for (uint32_t i = 0; i < tables[t].count; i++) {
            const struct cli_command *c = &tables[t].commands[i];
            char usage[128];
            (void)snprintf(usage, sizeof usage, "%s%s%s %s", c->noun == NULL ? "" : c->noun, c->noun == NULL ? "" : " ",
                           c->verb, c->words);
            (void)fprintf(to, "  %-30s %s\n", usage, c->summary);
        }
    }
}

/* The verbs of one noun; answers `pbft NOUN`, `pbft NOUN --help` and an unknown verb. */
static int noun_main(const struct cli_table *table, int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[2] : NULL;
    const bool help = verb != NULL && (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0);
    FILE *to = help ? stdout : stderr;
    if (!help && verb == NULL) (void)fprintf(to, "pbft: %s: a verb is needed\n", argv[1]);
    if (!help && verb != NULL) (void)fprintf(to, "pbft: %s: there is no verb \"%.60s\"\n", argv[1], verb);
    (void)fprintf(to, "usage: pbft %s VERB ...\n\n", argv[1]);
    cli_command_list(to, table, 1);
    (void)fprintf(to, "\npbft %s VERB --help explains a verb.\n", argv[1]);
    return help ? 0 : err_exit_code(ERR_USAGE);
}

int cli_command_main(const struct cli_table *tables, uint32_t table_count, const struct cli_globals *globals, int argc,
                     char **argv)
{
    const struct cli_table *noun = NULL;
    for (uint32_t t = 0; t < table_count; t++) {
        for (uint32_t i = 0; i < tables[t].count; i++) {
            const struct cli_command *c = &tables[t].commands[i];
            if (strcmp(argv[1], c->noun == NULL ? c->verb : c->noun) != 0) continue;
            if (c->noun == NULL) return command_run(c, globals, argc - 2, argv + 2);
            noun = &tables[t];
            if (argc > 2 && strcmp(argv[2], c->verb) == 0) return command_run(c, globals, argc - 3, argv + 3);
        }
    }
    return noun != NULL ? noun_main(noun, argc, argv) : -1;
}
