/* cli_devnet_internal.h - shared by the cli_devnet*.c files only.
 *
 *   HOME/devnet.json                          { "format": 1, "replicas": 4, "base_port": 7450 }, written last: complete
 *   HOME/group.json, HOME/clients/            as in client/cli_common.h
 *   HOME/conf/rI.conf                         a replica's configuration
 *   HOME/keys/rI-signing.pem, rI-transport.pem
 *   HOME/rI/                                  its data directory
 *   HOME/run/rI.pid, HOME/run/rI.log          its process and what that wrote
 *
 * Processes are signalled through a pidfd, and only after /proc has shown that they are pbftd, or pbft-evil, with that
 * very configuration file: a stale pid file never harms a stranger.
 */
#ifndef PBFT_CLIENT_CLI_DEVNET_INTERNAL_H
#define PBFT_CLIENT_CLI_DEVNET_INTERNAL_H

#include "base/limits.h"
#include "client/cli_common.h"

#include <sys/types.h>

#define DEVNET_REPLICAS_DEFAULT 4u
#define DEVNET_PORT_DEFAULT 7450u
#define DEVNET_HTTP_OFFSET 200u /* replica I listens on base + I, and answers HTTP on base + 200 + I */
#define DEVNET_WAIT_MS 15000u
#define DEVNET_WRITERS_MAX 64u
#define DEVNET_EVIL_NAME "pbft-evil" /* the program that misbehaves (docs/adversary.md) */
#define DEVNET_BEHAVIOUR_BYTES 400u  /* with its closing zero; what is longer is cut when it is shown */

_Static_assert(DEVNET_HTTP_OFFSET >= REPLICAS_MAX, "the ports for HTTP follow those of the largest group");

struct devnet {
    struct cli_path home;  /* absolute */
    struct cli_path pbftd; /* the program */
    uint32_t replica_count;
    uint32_t writer_count; /* of a group that is to be made: clients that may write */
    uint32_t base_port;
    int lock_fd; /* held while a command changes something; -1: not */
};

enum devnet_state { DEVNET_STATE_STOPPED, DEVNET_STATE_RUNNING, DEVNET_STATE_PAUSED };

struct devnet_process {
    enum devnet_state state;
    pid_t pid;      /* unless stopped */
    int pidfd;      /* unless stopped; closed with devnet_process_close */
    pid_t stranger; /* stopped, but this process has the data directory locked; -1: it is locked, by whom is not known;
                       0: nobody */
    bool evil;      /* it is pbft-evil that runs */
    char behaviour[DEVNET_BEHAVIOUR_BYTES]; /* evil: what it has been told to do; "-": nothing */
};

/* ---- cli_devnet_files.c ---- */

/* What devnet.json says. *found is false when there is none; then only home and pbftd are set. Errors: ERR_CONFIG. */
MUST_USE struct err devnet_load(const struct cli_globals *g, struct devnet *out, bool *found);
/* Makes keys, group, configurations and data directories; d->replica_count, d->writer_count and d->base_port (0: any
 * free ports) are wanted. Goes on where an earlier attempt stopped. Errors: ERR_CONFIG, ERR_IO. */
MUST_USE struct err devnet_create(struct devnet *d);
/* The lock that keeps two commands apart; waits for it. HOME must exist. */
MUST_USE struct err devnet_lock(struct devnet *d);
void devnet_unlock(struct devnet *d);

/* ---- cli_devnet.c ---- */

/* The devnet of this home, which must exist, locked. Errors: ERR_CONFIG. */
MUST_USE struct err devnet_open(const struct cli_call *call, struct devnet *out);
/* Errors: ERR_USAGE. */
MUST_USE struct err devnet_id_parse(const struct devnet *d, const char *word, uint32_t *out);
/* Ends a replica's process, SIGKILL or SIGTERM, and waits for that. Errors: ERR_NEGATIVE when it does not run,
 * ERR_TIMEOUT. */
MUST_USE struct err devnet_end(const struct devnet *d, uint32_t id, int signal);
/* The answer of a verb on one replica: its id, or {"verb": id}. */
void devnet_print_id(const struct cli_call *call, const char *verb, uint32_t id);

/* ---- cli_devnet_process.c ---- */

MUST_USE struct err devnet_process_find(const struct devnet *d, uint32_t id, struct devnet_process *out);
/* True when this process has the listening socket of 127.0.0.1:port. */
bool devnet_process_listens(const struct devnet_process *p, uint32_t port);
void devnet_process_close(struct devnet_process *p);
const char *devnet_state_name(const struct devnet_process *p);
/* Starts pbftd in a session of its own. Errors: ERR_CONFIG, ERR_IO. */
MUST_USE struct err devnet_process_start(const struct devnet *d, uint32_t id);
/* The same with pbft-evil, at `program`, told to do `behaviour`. */
MUST_USE struct err devnet_process_start_evil(const struct devnet *d, uint32_t id, const char *program,
                                              const char *behaviour);
/* Runs `pbftd --config C --init-new-group` and waits for it. */
MUST_USE struct err devnet_process_init(const struct devnet *d, uint32_t id);
MUST_USE struct err devnet_process_signal(const struct devnet_process *p, uint32_t id, int signal);
/* Sends SIGSTOP and waits until it is paused: the next that looks at it sees that. */
MUST_USE struct err devnet_process_pause(const struct devnet_process *p, uint32_t id);
/* Waits until the processes (count of them; stopped ones are skipped), which have been told to end, have ended, at most
 * timeout_ms. One that is paused, before or meanwhile, is let go on: it takes its SIGTERM only then. True when all have
 * ended. */
MUST_USE bool devnet_process_wait_end(const struct devnet_process *processes, uint32_t count, uint64_t timeout_ms);
/* Removes the pid file of a process that has ended. */
void devnet_process_forget(const struct devnet *d, uint32_t id);
/* The last lines of its log, on stderr. */
void devnet_log_tail(const struct devnet *d, uint32_t id);

#endif
