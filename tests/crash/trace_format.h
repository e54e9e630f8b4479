/* trace_format.h - the trace that shim.c writes and crash_trace.c reads: what a replica did to its data directory and
 * what it sent, in one order.
 *
 *   size  field
 *   40    struct trace_head, in the byte order of the machine
 *   ...   path_bytes of path, relative to the group's home: "r1/log/data.mdb"
 *   ...   data_bytes of data
 *
 * Changes are made under one lock together with their record: of contents before, of names after it is known that they
 * succeed. A message is recorded before it is sent, the end of a sync after it. So whatever the replica knows to be
 * durable when it sends stands before the message in the trace, and nothing else does.
 */
#ifndef PBFT_TESTS_CRASH_TRACE_FORMAT_H
#define PBFT_TESTS_CRASH_TRACE_FORMAT_H

#include <stdint.h>

#define TRACE_MAGIC 0x54525031u
#define TRACE_REPLICA_BYTES 16u /* a replica's directory: "r127" */

enum trace_kind {
    TRACE_START = 1,  /* a process begins to use the directory */
    TRACE_MKDIR,      /* path */
    TRACE_RMDIR,      /* path */
    TRACE_CREATE,     /* path */
    TRACE_RENAME,     /* path; data: the new path */
    TRACE_UNLINK,     /* path */
    TRACE_TRUNCATE,   /* path, at: the new size */
    TRACE_ALLOCATE,   /* path, at, extra: so many bytes from there on */
    TRACE_WRITE,      /* path, at, data */
    TRACE_WRITE_DONE, /* path: the last write there, made with O_DSYNC, is durable */
    TRACE_SYNC,       /* path: a sync begins; it covers what was written before */
    TRACE_SYNC_DONE,  /* path: it has succeeded */
    TRACE_SENT,       /* at: the connection; data: plain bytes given to TLS */
    TRACE_CLOSED,     /* at: the connection; another one may get its number */
};

struct trace_head {
    uint32_t magic;
    uint32_t kind;
    uint64_t at;
    uint64_t extra;
    uint64_t data_bytes;
    uint32_t path_bytes;
    uint32_t zero;
};

_Static_assert(sizeof(struct trace_head) == 40, "no padding");

#endif
