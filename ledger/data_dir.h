/* data_dir.h - a replica's data directory.
 *
 *   DIR/LOCK         held with flock by the replica that runs on it
 *   DIR/log/         first LMDB environment (ledger/log_store.h)
 *   DIR/state/       second LMDB environment (ledger/state.h)
 *
 * It is made only by an explicit init, never by starting (design.md 7.6).
 */
#ifndef PBFT_LEDGER_DATA_DIR_H
#define PBFT_LEDGER_DATA_DIR_H

#include "ledger/log_store.h"

struct data_dir {
    int lock_fd; /* -1 when opened for reading only */
    struct kv_store *log;
    struct kv_store *state;
    struct err state_fault; /* data_dir_open_reader_whole: why `state` is an empty one in memory */
};

/* What to do where a running replica meets damage. */
#define DATA_DIR_LOOK "pbft ledger check on its data directory says what is damaged, and what to do"
/* What to do where it is damaged beyond what can be left out: design.md 7.6. */
#define DATA_DIR_ANEW                                                                                                         \
    "move the data directory away and make a new one with pbftd --config FILE --init: it takes everything from the others, " \
    "and is fenced until two windows of batches more are stable"

/* Makes the directory of a member, or finishes it after an interrupted init; it may be there when it is empty. new_group:
 * no member of the group has ever run. Otherwise the replica starts fenced (design.md 7.6): it may have voted with a
 * directory that is lost. Errors: ERR_CONFIG when there is one already, or another process is at it; ERR_IO, ERR_NO_SPACE. */
MUST_USE struct err data_dir_init(const char *dir, const struct group *g, uint32_t replica, bool new_group);
/* Opens and locks it; a LOCK that somebody has deleted is made again. Errors, each naming the directory and the cure:
 * ERR_CONFIG (absent; another process holds it; of another group, replica or format), ERR_CORRUPT, ERR_IO. */
MUST_USE struct err data_dir_open(const char *dir, const struct group *g, uint32_t replica, struct data_dir *out);
/* Opens the log environment alone, for reading, also beside a running replica. */
MUST_USE struct err data_dir_open_reader(const char *dir, struct data_dir *out, struct wire_store_identity *identity);
/* Opens both for reading, also beside a running replica: the state as it is when this is called, the log as it is then
 * or later. All pages of both have been checked; when that finds the state's damaged, out->state_fault says where, and
 * `state` is a store in memory that is marked as damaged. Errors as data_dir_open_reader, ERR_CORRUPT when the log's
 * are. */
MUST_USE struct err data_dir_open_reader_whole(const char *dir, struct data_dir *out, struct wire_store_identity *identity);
void data_dir_close(struct data_dir *d);
/* Puts an empty state, marked as damaged, in the place of one that cannot be read, and removes that: the replica takes
 * it from the others when it starts. The replica must not run. Errors: ERR_CONFIG (it runs), ERR_IO, ERR_NO_SPACE:
 * nothing has changed. */
MUST_USE struct err data_dir_renew_state(const char *dir, const struct group *g);
/* The same failure; when it is ERR_CORRUPT, with what to do about it at the end of its text: another one where the
 * state has met damaged pages than where anything else is damaged. */
MUST_USE struct err data_dir_explain(const char *dir, const struct data_dir *d, struct err e);

#endif
