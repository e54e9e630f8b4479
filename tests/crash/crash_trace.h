/* crash_trace.h - reads a trace record by record (trace_format.h). */
#ifndef PBFT_TESTS_CRASH_TRACE_H
#define PBFT_TESTS_CRASH_TRACE_H

#include "base/bytes.h"
#include "base/err.h"
#include "tests/crash/trace_format.h"

#define TRACE_PATH_BYTES_MAX 256u

/* Which of the replica's syncs count in the second half of the trace; less than all is a disk, or a program, that does
 * not keep its word. */
enum trace_syncs {
    TRACE_SYNCS_ALL,
    TRACE_SYNCS_NO_FDATASYNC, /* fsync and fdatasync do nothing; what goes through O_DSYNC is durable */
    TRACE_SYNCS_NO_DSYNC,     /* O_DSYNC does nothing: LMDB's meta page waits for the next fdatasync */
    TRACE_SYNCS_NONE,
};

struct trace_record {
    enum trace_kind kind;
    char path[TRACE_PATH_BYTES_MAX];    /* below the replica's own directory: "log/data.mdb"; "" is that directory */
    char path_to[TRACE_PATH_BYTES_MAX]; /* RENAME */
    uint64_t at;
    uint64_t extra;
    struct bytes data; /* borrowed from the trace */
};

struct trace {
    const uint8_t *start;
    size_t len;
    size_t pos;
    enum trace_syncs syncs;
};

/* Maps the file. Errors: ERR_IO, naming it. */
MUST_USE struct err trace_open(const char *path, enum trace_syncs syncs, struct trace *out);
void trace_rewind(struct trace *t);
/* False at the end. A record that is cut ends the trace too: the process was killed while it wrote it, and so before it
 * did what the record says. */
bool trace_next(struct trace *t, struct trace_record *out);
void trace_close(struct trace *t);

#endif
