#!/bin/bash
# crash.sh - a run of a real group is recorded, and its disks are rebuilt as power losses at every point would have left them.
#
#   CRASH_IMAGES   images of each replica, evenly over the run (default 600; 0: all that the trace gives)
#   CRASH_SECONDS  goes on with other seeds until so many seconds have passed (default 0: one pass)
#   CRASH_JOBS     processes of the search (default 1)
#   CRASH_SEED     of the first pass (default 1)
. tests/crash/kit.bash
. tests/crash/record.bash
of() { # VERB ID ARGUMENT...
    local verb=$1 id=$2
    shift 2
    "$search" "$verb" --group "$PBFT_HOME/group.json" --id "$id" --trace "$traces/r$id.trace" --work "$work" "$@"
}
images() {
    local id
    for id in 0 1 2 3; do of search "$id" --images "$1" --seed "$2" --jobs "${CRASH_JOBS:-1}" || return 1; done
}
# unkept SYNCS SAYS: a disk that does not keep its word in the second half of the run is noticed, and what is said of it
unkept() {
    of search 1 --syncs "$1" --images 2000 --jobs 1 >"$home/unkept" && return 1
    grep -qE "$2" "$home/unkept" || { cat "$home/unkept"; return 1; }
}
compare() { local id; for id in 0 1 2 3; do of compare "$id" --dir "$PBFT_HOME/r$id" || return 1; done; }

check "a run is recorded: views left, checkpoints, clean stops, a state transfer" record_run
[ "$failures" -eq 0 ] || exit 1
check "the traces give the files of the disk, byte for byte" compare
check "a disk that forgets all syncs is noticed" unkept none "^not ok"
check "a disk that forgets fdatasync is noticed" unkept no-fdatasync "^not ok"
check "a disk that forgets O_DSYNC is noticed by a promise" unkept no-dsync "was sent, and|counts as clean"
seed=${CRASH_SEED:-1}
check "every image starts and contradicts nothing that was sent" images "${CRASH_IMAGES:-600}" "$seed"
while [ "$failures" -eq 0 ] && [ $SECONDS -lt "${CRASH_SECONDS:-0}" ]; do
    seed=$((seed + 1))
    check "once more, with seed $seed" images 2000 "$seed"
done
