/* pbft.c - main of the command line: global options, then the noun or verb. */
#include "base/file.h"
#include "base/version.h"
#include "client/cli_command.h"
#include "client/cli_devnet.h"
#include "client/cli_evidence.h"
#include "client/cli_kv.h"
#include "client/cli_ledger.h"
#include "client/cli_log.h"
#include "client/cli_status.h"
#include "client/cli_why.h"
#include "crypto/sign.h"
#include "keys/key_cli.h"

#include <signal.h>
#include <string.h>

static void usage(FILE *to, const struct cli_table *tables, uint32_t table_count)
{
    (void)fprintf(to, "usage: pbft [-o table|json] [--home DIR] [--client NAME] [--timeout MS] COMMAND ...\n\n");
    cli_command_list(to, tables, table_count);
    (void)fprintf(to, "  %-30s %s\n  %-30s %s\n", "key new|show FILE", "Makes a key pair; shows a public key.",
                  "group new|add|show|check FILE", "Puts a group file together; shows it; checks it.");
    (void)fprintf(
        to, "\npbft COMMAND --help explains a command. Data goes to standard output, messages to standard error.\n"
            "Exit codes: 0 ok, 1 negative answer, 2 usage, 3 time-out or no quorum, 4 bad configuration or key,\n"
            "5 corruption.\n");
}

static int unknown_command(const char *word)
{
    (void)fprintf(stderr, "pbft: there is no command \"%.60s\"; pbft --help lists them\n", word);
    return err_exit_code(ERR_USAGE);
}

static int report(const struct err *e)
{
    (void)fprintf(stderr, "pbft: %s\n", e->text);
    if (e->code == ERR_USAGE) (void)fprintf(stderr, "pbft: see pbft --help\n");
    return err_exit_code(e->code);
}

static int run(int argc, char **argv)
{
    const struct cli_table tables[] = {cli_devnet_table, cli_kv_table,     cli_log_table,     cli_status_table,
                                       cli_why_table,    cli_ledger_table, cli_evidence_table};
    const uint32_t table_count = sizeof tables / sizeof tables[0];
    struct cli_globals globals;
    (void)signal(SIGPIPE, SIG_IGN); /* a peer or reader that goes away is an error that is reported */
    struct err e = sign_start();
    if (!err_is(&e)) e = cli_globals_take(&argc, argv, &globals);
    if (err_is(&e)) return report(&e);
    if (argc < 2) {
        usage(stderr, tables, table_count);
        return err_exit_code(ERR_USAGE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout, tables, table_count);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("pbft %s\n", PBFT_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "key") == 0) return key_cli_main(argc - 2, argv + 2, globals.json);
    if (strcmp(argv[1], "group") == 0) return group_cli_main(argc - 2, argv + 2, globals.json);
    const int code = cli_command_main(tables, table_count, &globals, argc, argv);
    return code >= 0 ? code : unknown_command(argv[1]);
}

int main(int argc, char **argv)
{
    struct err e = err_none();
    const int failure = file_standard_open();
    if (failure != 0) e = err_system(failure, "cannot open /dev/null");
    const int code = err_is(&e) ? 0 : run(argc, argv);
    if (code != 0) return code;
    if (!err_is(&e) && (fflush(stdout) != 0 || ferror(stdout)))
        e = err_make(ERR_IO, "cannot write to standard output: it is closed or full");
    return err_is(&e) ? report(&e) : 0;
}
