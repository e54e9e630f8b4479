/* client_journal.c - the last client sequence used, in a small file that is locked while a client has it.
 *
 *   8 bytes  highest sequence ever given to a transaction, big-endian
 *
 * Written before the transaction leaves, so that a killed process never uses a sequence twice; not synced: after a power
 * loss a sequence may be used again, and then the replicas answer CONFLICT, which is safe. */
#include "client/client_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

struct err client_journal_open(const char *path, int *fd, uint64_t *seq)
{
    uint8_t raw[9]; /* one more than there may be */
    const int opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (opened < 0) return err_system(errno, "cannot open the client journal %s", path);
    if (flock(opened, LOCK_EX | LOCK_NB) != 0) {
        (void)close(opened);
        return err_make(ERR_CONFIG,
                        "another process submits with this client's key (it holds %s); wait for it, or use another client",
                        path);
    }
    const ssize_t got = pread(opened, raw, sizeof raw, 0);
    const uint64_t noted = got == 8 ? be64_get(raw) : 0;
    if ((got != 0 && got != 8) || noted > SEQ_MAX) {
        (void)close(opened);
        return err_make(ERR_CONFIG, "the client journal %s is damaged; remove it, the replicas know the sequence", path);
    }
    *seq = noted;
    *fd = opened;
    return err_none();
}

void client_journal_note(int fd, uint64_t seq)
{
    uint8_t raw[8];
    if (fd < 0) return;
    be64_put(raw, seq);
    const ssize_t done = pwrite(fd, raw, sizeof raw, 0);
    (void)done; /* a lost note can only lead to a CONFLICT answer */
}
