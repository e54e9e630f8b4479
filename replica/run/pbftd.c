/* pbftd.c - the replica daemon's command line. */
#include "replica/run/config.h"
#include "replica/run/node.h"
#include "replica/run/recorder.h"

#include "base/file.h"
#include "base/version.h"
#include "ledger/data_dir.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] =
    "usage: pbftd --config FILE [--record FILE [--record-size MIB]]\n"
    "       pbftd --config FILE --check-config | --init | --init-new-group\n"
    "\n"
    "  --config FILE    configuration of this replica (docs/architecture.md describes every key)\n"
    "  --check-config   read configuration, group file and keys, say what is wrong, and end\n"
    "  --init           make a data directory where one was lost, and end: the replica starts fenced, copies the\n"
    "                   ledger from the others, and votes once nothing that it may have forgotten can matter\n"
    "  --init-new-group make the data directory of a member of a group that has never run, and end\n"
    "  --record FILE    record every event of the protocol core in FILE, older ones in FILE.1 to FILE.7; pbft-sim replay\n"
    "                   FILE performs them again. No private key is in it. When the disk is full the recording ends, not\n"
    "                   the replica\n"
    "  --record-size MIB   bytes of these files together, in MiB (default 512)\n"
    "  --version        print the version, and end\n"
    "\n"
    "TERM stops cleanly; HUP reads log level and peer addresses again.\n"
    "Exit codes: 0 ok, 2 usage, 4 bad configuration or key, 5 corrupt data.\n";

/* Batches and what is made of them are up to some MiB, live for a window, and come from one thread and go in another. From this size
 * on each has pages of its own, which go back to the system when it is freed; else the heap of every thread keeps its highest. */
#define OWN_PAGES_BYTES (256 * 1024)
/* The keys that change between two checkpoints are some hundred thousand small pieces that come and go together: heaps keep what is
 * free at their end up to this, and grow by this, instead of giving pages back and taking them again for each checkpoint. */
#define KEPT_BYTES (256 * 1024 * 1024)
#define GROWTH_BYTES (16 * 1024 * 1024)

static int fail(const struct err *e)
{
    (void)fprintf(stderr, "pbftd: %s\n", e->text);
    return err_exit_code(e->code);
}

/* Whole MiB; 0 when the text is none, or over the maximum. */
static uint64_t parse_mib(const char *text)
{
    char *end;
    errno = 0;
    const unsigned long long mib = strtoull(text, &end, 10);
    const bool digits = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
    return digits && mib <= RECORDER_BYTES_MAX / (1024 * 1024) ? mib * 1024 * 1024 : 0;
}

static struct err run(const struct config *config, const char *path, struct identity *identity,
                      const struct node_options *node_options, bool *again)
{
    struct node *n;
    (void)mallopt(M_MMAP_THRESHOLD, OWN_PAGES_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    (void)mallopt(M_TOP_PAD, GROWTH_BYTES);
    log_set_level(config->log_level);
    log_set_format(config->log_format);
    log_set_identity("replica", config->id);
    ERR_TRY(node_start(config, path, identity, node_options, &n));
    struct err e = node_run(n, again);
    node_free(n);
    return e;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"check-config", no_argument, NULL, 'k'},
                                            {"init", no_argument, NULL, 'i'},         {"init-new-group", no_argument, NULL, 'n'},
                                            {"record", required_argument, NULL, 'r'}, {"record-size", required_argument, NULL, 's'},
                                            {"version", no_argument, NULL, 'v'},      {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct node_options node_options = {.record_bytes = RECORDER_BYTES_DEFAULT};
    const char *path = NULL;
    bool check_only = false;
    uint32_t init = 0;
    bool new_group = false;
    bool size_given = false;
    int option;
    const int failure = file_standard_open();
    if (failure != 0) {
        const struct err closed = err_system(failure, "cannot open /dev/null");
        return fail(&closed);
    }
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c': path = optarg; break;
        case 'k': check_only = true; break;
        case 'n':
            new_group = true;
            init++;
            break;
        case 'i': init++; break;
        case 'r': node_options.record_path = optarg; break;
        case 's':
            size_given = true;
            node_options.record_bytes = parse_mib(optarg);
            if (node_options.record_bytes != 0) break;
            (void)fprintf(stderr, "pbftd: --record-size takes a number of MiB, not %s\n", optarg);
            return 2;
        case 'v': (void)printf("pbftd %s\n", PBFT_VERSION); return 0;
        case 'h': (void)fputs(usage_text, stdout); return 0;
        default: (void)fputs(usage_text, stderr); return 2;
        }
    }
    const bool recording = node_options.record_path != NULL;
    if (check_only + init + recording > 1 || (size_given && !recording)) {
        (void)fprintf(stderr, "pbftd: %s\n",
                      size_given && !recording
                          ? "--record-size goes with --record"
                          : "--check-config, --init, --init-new-group and --record exclude each other");
        return 2;
    }
    if (path == NULL || optind != argc) {
        (void)fputs(usage_text, stderr);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    struct config config;
    struct identity identity = {0};
    struct err e = sign_start();
    bool again = false;
    if (!err_is(&e)) e = config_read(path, &config);
    if (!err_is(&e)) e = identity_load(&config, &identity);
    if (!err_is(&e) && check_only)
        (void)printf("%s: ok: replica %u of %u in group %s\n", path, config.id, identity.group->member_count,
                     identity.group->name);
    else if (!err_is(&e) && init > 0)
        e = data_dir_init(config.data_path, identity.group, config.id, new_group);
    else if (!err_is(&e))
        e = run(&config, path, &identity, &node_options, &again);
    while (again && !err_is(&e)) { /* a state transfer has ended: as if the process had been started now */
        again = false;
        e = config_read(path, &config);
        if (!err_is(&e)) e = identity_load(&config, &identity);
        if (!err_is(&e)) e = run(&config, path, &identity, &node_options, &again);
    }
    identity_free(&identity);
    return err_is(&e) ? fail(&e) : 0;
}
