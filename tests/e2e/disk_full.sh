#!/bin/bash
# disk_full.sh - a full disk, for real: log/ or state/ of the data directories on a tmpfs of a private mount namespace, whose size is
# set to what it holds. A replica without room stops voting, serves reads, says so, and goes on by itself when there is room.
if [ "${PBFT_E2E_MOUNTS:-}" != private ]; then
    if unshare --mount --propagation private true 2>/dev/null; then
        exec env PBFT_E2E_MOUNTS=private unshare --mount --propagation private bash "$0"
    fi
    echo "ok - full disks # SKIP a mount namespace of one's own is not allowed here (it needs root)"
    exit 0
fi
. tests/e2e/kit.bash
release() {
    pbft devnet down >/dev/null 2>&1
    grep -o "$home[^ ]*" /proc/self/mounts | xargs -r umount -l
}
trap 'release; finish' EXIT
# shrink FILE: cuts an LMDB data file behind its last used page (in its meta pages, at 136), so that it soon has to grow
shrink() {
    local one two pages
    one=$(od -An -t u8 -j 136 -N 8 "$1") two=$(od -An -t u8 -j $((4096 + 136)) -N 8 "$1")
    pages=$((one > two ? one + 1 : two + 1))
    truncate -s $(((pages * 4096 + 1048575) / 1048576))M "$1"
}
# small PART: log/ or state/ of each replica onto a file system of its own; the group is down
small() {
    local dir id
    for id in 0 1 2 3; do
        dir=$PBFT_HOME/r$id/$1
        shrink "$dir/data.mdb" && mv "$dir" "$dir.kept" && mkdir "$dir" && mount -t tmpfs -o size=256m,mode=700 none "$dir" &&
            cp -a --sparse=never "$dir.kept/." "$dir" && rm -rf "$dir.kept" || return 1
    done
}
shrink_all() { for id in 0 1 2 3; do shrink "$PBFT_HOME/r$id/$1/data.mdb" || return 1; done; }
# full_now DIR: what is used becomes its size; refused when the replica has written more meanwhile
full_now() { mount -o remount,size="$(df --output=used -k "$1" | tail -n 1 | tr -d ' ')k" "$1"; }
# fill PART ID..., empty PART ID...
fill() {
    local part=$1 id dir
    shift
    for id; do
        dir=$PBFT_HOME/r$id/$part
        eventually 20 full_now "$dir" || return 1
    done
}
empty() {
    local part=$1 id
    shift
    for id; do mount -o remount,size=256m "$PBFT_HOME/r$id/$part" || return 1; done
}
# hollow PART ID: its data file ends in a hole, as cp --sparse=always restores it
hollow() { truncate -s +32M "$PBFT_HOME/r$2/$1/data.mdb"; }
# described ID: what it says of itself, and the note about it
described() { pbft -o json status | tr -d '",' | awk -v id="$1" '$1 == "id:" { on = $2 == id } on && ($1 == "condition:" || $1 == "note:") { $1 = ""; printf "%s", $0 } END { print "" }'; }
full() { described "$2" | grep -q "disk-full no room for $1/"; }
# stalls PART: two of four, without which nothing commits, so that the others need not run out of room
stalls() {
    local id count=0
    for id in 0 1 2 3; do full "$1" "$id" && count=$((count + 1)); done
    [ "$count" -ge 2 ]
}
# one that was killed abstains, and says so, until its window has moved or its view has ended: in an idle group neither need come
synced() { [[ "$(described "$1")" == " synced"* ]]; }
# and one that had left its view before its disk, or that of others, was full waits in the next one for them
not_full() { local is; is=$(described "$1") && [ -n "$is" ] && [[ "$is" != *disk-full* ]]; }
none_full() { not_full 0 && not_full 1 && not_full 2 && not_full 3; }
synced_all() { synced 0 && synced 1 && synced 2 && synced 3; }
views() { pbft -o json status | tr -d ' ",' | awk -F: '$1 == "view" { printf "%s ", $2 }'; }
# write_until COMMAND...: appends 2 MB at a time that no file before had, until the command succeeds
appended=0
write_until() {
    local until=$((SECONDS + 120))
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        appended=$((appended + 1))
        awk -v mark="$appended" 'BEGIN { for (i = 0; i < 3000; i++) printf "%s %0700d\n", mark, i }' >"$home/more"
        pbft --timeout 3000 log append --restart --lines "$home/more" 2>&1 || true
    done
}
for part in state log; do
    export PBFT_HOME=$home/$part
    check "$part: up" pbft devnet up
    check "$part: a value before" pbft put before here
    check "$part: down" pbft devnet down
    check "$part on small disks" small $part
    check "$part: up on small disks" pbft devnet up

    check "$part of replica 1 is full" fill $part 1
    check "$part of replica 1 is full: it says so" write_until full $part 1
    check "$part of replica 1 is full: the others go on" pbft put others on
    check "$part of replica 1 is full: it follows them" eventually 60 all_equal
    check "$part of replica 1 is full: another is killed" pbft devnet kill 3
    check "$part of replica 1 is full: it serves the reads that now need it" grep -qx here <(pbft get before)
    check "$part of replica 1 is full: the other is started again" pbft devnet start 3
    empty $part 1
    check "$part has room again: it takes part by itself" eventually 60 synced 1
    check "$part: it gets there" eventually 60 all_equal
    check "$part: down, to be shrunk" pbft devnet down
    check "$part shrunk" shrink_all $part
    check "$part: up once more" pbft devnet up

    check "$part of all is full" fill $part 0 1 2 3
    check "$part of all is full: those whose votes are missing say so" write_until stalls $part
    at=$(views)
    echo "# views before: $at"
    pbft --timeout 5000 put stalled x >"$home/put" 2>&1
    echo "# and after: $(views)"
    check "$part of all is full: put says why" grep "the disk is full on replica [0-3], [0-3]" "$home/put"
    check "$part of all is full: nobody leaves its view for that" test "$(views)" = "$at"
    check "$part of all is full: one is killed" pbft devnet kill 2
    check "$part of all is full: it starts" pbft devnet start 2
    empty $part 0 1 2 3
    check "$part has room again: all find it by themselves" eventually 60 none_full
    check "$part: it commits" pbft put after x
    check "$part: the primary resigns" eval 'primary=$(pbft devnet stop primary) && pbft devnet start "$primary"'
    check "$part has room again: all take part in the next view" eventually 60 synced_all
    check "$part: the unfinished import goes on" pbft --timeout 60000 log append --lines "$home/more"
    check "$part: all are equal" eventually 60 all_equal

    check "$part: down, to be shrunk again" pbft devnet down
    check "$part shrunk again" shrink_all $part
    check "$part: up again" pbft devnet up
    check "$part of all is full again" fill $part 0 1 2 3
    check "$part of all is full again: and is said" write_until stalls $part
    check "$part: down on full disks" pbft devnet down
    empty $part 0 1 2 3
    check "$part: up beside an unfinished import" pbft devnet up
    check "$part: which goes on" pbft --timeout 60000 log append --lines "$home/more"
    check "$part: all are equal in the end" eventually 60 all_equal

    check "$part: replica 1 is stopped" pbft devnet stop 1
    check "$part of replica 1 comes back with holes" hollow $part 1
    check "$part of replica 1 has no room for what they miss" fill $part 1
    check "$part: it starts" pbft devnet start 1
    # what all have to write, as long as it takes: a state is written to at a checkpoint only
    check "$part: it says that it is full" write_until full $part 1 || { echo "# it is$(described 1)"; df -k "$PBFT_HOME/r1/$part"; pbft status; }
    empty $part 1
    check "$part: and goes on by itself when there is room" eventually 60 synced 1
    check "$part: all are equal again" eventually 60 all_equal
    release
done
