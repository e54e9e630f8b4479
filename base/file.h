/* file.h - small files read whole and written whole: key files, group files; and the three descriptors of a program.
 *
 * What is read is a regular file of a bounded size. What is written is durable when the call returns, its name too.
 * Nothing here knows what a file means: callers make the sentences of their errors, and wipe what held a secret. */
#ifndef PBFT_BASE_FILE_H
#define PBFT_BASE_FILE_H

#include "base/bytes.h"

enum file_fault {
    FILE_FAULT_NONE,
    FILE_FAULT_SYSTEM,      /* the operating system refused: error_number says why */
    FILE_FAULT_NOT_REGULAR, /* a directory, FIFO, device or socket: nothing was read of it */
    FILE_FAULT_TOO_LONG,
};

struct file_text {
    size_t len;       /* bytes read */
    unsigned mode;    /* permission bits, 07777 */
    int error_number; /* with FILE_FAULT_SYSTEM */
};

/* Reads all of a file of at most bytes_max bytes. space has bytes_max + 1 bytes and may hold some of the file also
 * after a failure; nothing is kept anywhere else. Never waits for a writer: a FIFO is opened and refused. Symbolic
 * links are followed. */
MUST_USE enum file_fault file_load(const char *path, uint8_t *space, size_t bytes_max, struct file_text *out);

enum file_place {
    FILE_PLACE_NEW,     /* the name must be free: EEXIST when it is not, and what stands there is as it was */
    FILE_PLACE_REPLACE, /* the name goes from the old file to the new one at once; a symbolic link is replaced */
};

/* Writes a file as a whole: to a temporary file beside it ("PATH.XXXXXX"), synced, which then takes the name. Returns
 * 0, or an errno value and no temporary file is left; what stood at path is as it was, unless the last step, the sync
 * of the directory, failed. mode is set whatever the umask. */
MUST_USE int file_put(const char *path, struct bytes text, unsigned mode, enum file_place place);

/* The two steps of it, for a file that its caller makes: all of text to fd with this mode, synced (text is only read);
 * and the directory entry of path. Each returns 0 or an errno value. */
MUST_USE int file_fill(int fd, struct bytes text, unsigned mode);
MUST_USE int file_directory_sync(const char *path);

/* At the start of a program, before it opens anything: what was inherited closed of descriptors 0 to 2 is opened on
 * /dev/null, so that no file of the program's own gets such a number and what is printed goes into it. The wrong way
 * round: reading 0 and writing 1 or 2 fail as before, and are noticed. Returns 0 or an errno value. */
MUST_USE int file_standard_open(void);

#endif
