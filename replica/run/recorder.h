/* recorder.h - the flight recorder: `pbftd --record FILE` writes every event of the core, and what followed, to a ring
 * of files of bounded size. `pbft-sim replay FILE` performs them again.
 *
 *   FILE      being written; FILE.1 before it ... FILE.7 the oldest
 *
 * Each file begins with the core's whole state (replica/run/record.h), so the oldest can go. The loop's thread only
 * copies small things and takes references; a thread of the recorder's own hashes and writes. An event is handed over
 * before the core performs it, and a CHECK that fails waits for the thread: so the event that brought the replica down
 * is in the file.
 *
 * It never stands in the replica's way: when the disk is full, fails, or is slower than the events for so long that
 * RECORDER_QUEUE_BYTES_MAX wait for it, the recording ends, a line of the log says so, and the replica goes on. */
#ifndef PBFT_REPLICA_RUN_RECORDER_H
#define PBFT_REPLICA_RUN_RECORDER_H

#include "replica/core/core.h"

#define RECORDER_FILES 8u
#define RECORDER_BYTES_DEFAULT (512ull * 1024u * 1024u)
#define RECORDER_BYTES_MIN (1024ull * 1024u)
#define RECORDER_BYTES_MAX (1024ull * 1024u * 1024u * 1024u)
#define RECORDER_QUEUE_BYTES_MAX (128ull * 1024u * 1024u)

struct recorder;

/* Opens the first file; what an earlier run has left moves on in the ring. bytes_max: of all files together, as long as
 * the core's state is smaller than half a file; otherwise a file ends when it has twice the size of the state that it
 * begins with. A file of that name that is no recording is left alone, and is an error. */
MUST_USE struct err recorder_open(const char *path, uint64_t bytes_max, struct recorder **out);
/* For the config of a core to be made: its signatures pass through the recorder from here on, and the next event begins
 * a file. The recorder must outlive that core. */
void recorder_wrap(struct recorder *r, struct core_config *config);
/* Before core_step, and after it. r may be NULL: nothing is recorded. */
void recorder_event(struct recorder *r, const struct core *core, const struct core_event *event);
void recorder_effects(struct recorder *r, const struct core_effects *effects);
/* False once the recording has ended by itself. */
bool recorder_runs(const struct recorder *r);
/* Writes what waits and the mark of an orderly end. NULL is allowed. */
void recorder_close(struct recorder *r);

#endif
