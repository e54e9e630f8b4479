#!/bin/bash
# record.sh - the flight recorder: a replica under load records through the death of the primary; its recording performs
# again with equal effects, also after a kill -9, and a changed byte is found.
. tests/e2e/kit.bash
recording=$home/rec
recorder=
start_recording() {
    "$bin/pbftd" --config "$PBFT_HOME/conf/r2.conf" --record "$recording" --record-size 64 2>>"$PBFT_HOME/run/r2.log" &
    recorder=$!
}
end_recording() { # SIGNAL
    [ -z "$recorder" ] || kill "-$1" "$recorder" 2>/dev/null
    wait "$recorder" 2>/dev/null
    recorder=
}
trap 'end_recording KILL; finish' EXIT
sim() { "$bin/pbft-sim" "$@"; }
replays_equal() { sim replay "$1" --quiet | tee "$home/replay" && grep -q "the effects' hash equals the recorded one" "$home/replay"; }
every_file_replays() {
    local f
    for f in "$recording"*; do replays_equal "$f" || return 1; done
}
flipped() { # FILE OFFSET: a copy with one byte changed
    cp "$1" "$home/flipped"
    local byte
    byte=$(od -An -tu1 -j "$2" -N1 "$1" | tr -d ' ')
    # shellcheck disable=SC2059
    printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$home/flipped" bs=1 seek="$2" conv=notrunc status=none
    sim replay "$home/flipped" --quiet
}
check "up" pbft devnet up
check "replica 2 stops" pbft devnet stop 2
start_recording
check "it records, and takes part" eventually 30 past 2 0
"$bin/pbft-bench" load --home "$PBFT_HOME" --seconds 60 --warm-up 0 >"$home/load.log" 2>&1 &
load=$!
check "load is under way" eventually 60 past 2 40
check "the recording of a running replica can be replayed" every_file_replays
victim=$(pbft devnet kill primary)
[ "$victim" != 2 ] || recorder=
kill "$load" 2>/dev/null
wait "$load" 2>/dev/null
check "the next view commits" eventually 60 pbft --timeout 30000 put after "the kill"
end_recording TERM
check "every file of the recording replays with equal effects" every_file_replays
newest=$recording
check "the newest one too" replays_equal "$newest"
check "it ends with the replica" grep -q "the replica stopped there" "$home/replay"
check "the trace shows the view change" grep -qE 'SEND VIEW-CHANGE' <(for f in "$recording"*; do sim replay "$f"; done)
check "JSON: a line for each event, and the result" [ "$(sim replay "$newest" -o json | tail -n 1 | grep -c '"equal":true')" -eq 1 ]
last=$(sim replay "$newest" --quiet -o json | sed 's/.*"executed":\([0-9]*\).*/\1/')
check "a stop at a sequence prints the state" grep -q '^replica 2 view' <(sim replay "$newest" --quiet --until-seq "$last")
never() { sim replay "$newest" --quiet --until-seq $((last + 1)) 2>"$home/never"; [ $? -eq 2 ] && grep -q "sequence $((last + 1)) is not reached in this recording" "$home/never"; }
check "a sequence that is never reached: exit 2, and says so" never
size=$(stat -c %s "$newest")
for offset in 0 9 30 $((size / 3)) $((size / 2)) $((size - 1)); do
    check "a changed byte at $offset is damage, exit 5" exits_with 5 flipped "$newest" "$offset"
done
check "no verb: exit 2" exits_with 2 sim
check "an unknown verb: exit 2" exits_with 2 sim run "$newest"
check "a bad sequence: exit 2" exits_with 2 sim replay "$newest" --until-seq x
check "no such file: exit 4" exits_with 4 sim replay "$home/missing"
check "a directory: exit 4" exits_with 4 sim replay "$home"
check "what is no recording: exit 5" exits_with 5 sim replay "$PBFT_HOME/group.json"
check "pbftd records over no other file: exit 2" exits_with 2 "$bin/pbftd" --config "$PBFT_HOME/conf/r2.conf" --record "$PBFT_HOME/group.json"
check "pbftd refuses a size that is none: exit 2" exits_with 2 "$bin/pbftd" --config "$PBFT_HOME/conf/r2.conf" --record "$home/x" --record-size many
rm -f "$recording"*
check "the victim starts again" pbft devnet start "$victim"
start_recording
at=$(sequence 1)
check "it records again" eventually 30 past 2 $((at - 1))
check "put" pbft --timeout 30000 put one more
end_recording KILL
check "what a killed replica recorded replays" every_file_replays
check "and says that no end is marked" grep -q "no end is marked" "$home/replay"
