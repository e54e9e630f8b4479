#!/bin/bash
# failed_sync.sh - a sync that fails ends the process with a last line that says so (it is never tried again: what is on disk is
# then unknown), the others go on, and it recovers when it is started again.
. tests/e2e/kit.bash
cat >"$home/shim.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (access(getenv("FAIL_SYNC_IF"), F_OK) != 0) return real(fd);
    errno = EIO;
    return -1;
}
C
check "a library whose fdatasync can fail" "${CC:-cc}" -shared -fPIC -o "$home/shim.so" "$home/shim.c" -ldl
check "up" pbft devnet up
for round in 1 2 3; do
    check "round $round: a backup is killed" pbft devnet kill 3
    log=$home/r3-$round.log
    FAIL_SYNC_IF=$home/now LD_PRELOAD=$home/shim.so "$bin/pbftd" --config "$PBFT_HOME/conf/r3.conf" >"$log" 2>&1 &
    pid=$!
    check "round $round: it runs with that library" eventually 30 all_equal
    touch "$home/now"
    check "round $round: the others go on" pbft put "round" "$round"
    wait "$pid"
    code=$?
    check "round $round: the process has ended, not cleanly" test "$code" -ne 0
    check "round $round: the last line says why" grep -q 'level=error event=storage.failed .*Input/output error.*action="the process ends now' <(tail -n 1 "$log")
    rm "$home/now"
    check "round $round: it starts again" pbft devnet start 3
    check "round $round: and gets there" eventually 60 all_equal
done
check "four exports are equal" exports_become_equal
