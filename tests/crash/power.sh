#!/bin/bash
# power.sh - the power of running replicas fails under load: kill -9, and then what a power loss would have left of the disk,
# rebuilt from the trace, takes the place of the data directory, and the real pbftd starts on it. One at a time, the primary
# too; every fourth time all at once. Nobody forgets a promise, everybody comes back, the four ledgers are one.
#
#   POWER_ROUNDS   default 8: fourteen images
#   POWER_SEED     default 1
. tests/crash/kit.bash
export PBFT_CRASH_SYNC_US=20000
images=0
seed=${POWER_SEED:-1}
# power_lost ID: its data directory becomes what was durable, and some of the rest; its trace becomes an earlier one
power_lost() {
    local id=$1 before=$home/before$1 earlier=() old
    for old in "$traces"/earlier/r"$id".*; do [ -e "$old" ] && earlier+=(--earlier "$old"); done
    images=$((images + 1))
    "$search" image --group "$PBFT_HOME/group.json" --id "$id" --trace "$traces/r$id.trace" --work "$work" --out "$home/new" \
        $([ -d "$before" ] && echo --base "$before") "${earlier[@]}" --seed $((seed * 1000 + images)) || return 1
    mv "$traces/r$id.trace" "$traces/earlier/r$id.$(printf %04d $images)"
    rm -rf "$before" "$PBFT_HOME/r$id"
    cp -a --sparse=always "$home/new" "$before" && mv "$home/new" "$PBFT_HOME/r$id"
}
# kills, loses power, starts again; then it has to get past where the group was
lose() {
    local id at=0 from
    for id in 0 1 2 3; do
        from=$(field $id sequence)
        [ "${from:-0}" -gt $at ] && at=$from
    done
    for id in "$@"; do pbft devnet kill "$id" --timeout 60000 & done
    wait $(jobs -p | grep -vx "$load")
    for id in "$@"; do power_lost "$id" || return 1; done
    for id in "$@"; do traced devnet start "$id" --timeout 60000 >/dev/null || return 1; done
    for id in "$@"; do eventually 180 past "$id" $((at + 20)) || { echo "replica $id does not get past $((at + 20))"; return 1; }; done
}
begin() {
    mkdir -p "$PBFT_HOME" "$traces/earlier" && traced devnet up --base-port "$base" --timeout 60000 && pbft devnet down &&
        tune && traced devnet up --timeout 60000 && load_begin 16
}
level() { ! grep -hE 'event=(replica.diverged|replica.fenced|recovery.damaged-vote|storage.failed)|CHECK failed' "$PBFT_HOME"/run/*.log; }

check "a group of four is under load" begin
for round in $(seq 1 "${POWER_ROUNDS:-8}"); do
    [ "$failures" -eq 0 ] || break
    case $((round % 4)) in
    0) check "round $round: the power of all four fails" lose 0 1 2 3 ;;
    1) check "round $round: the primary's power fails" lose "$(primary)" ;;
    *) check "round $round: the power of one fails" lose $(((round + seed) % 4)) ;;
    esac
done
load_end
check "none is fenced, has diverged, lost a vote or given up" level
check "$images images in all, four ledgers are one" eventually 60 same_exports
