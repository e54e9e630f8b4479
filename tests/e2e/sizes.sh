#!/bin/bash
# sizes.sh - groups of 1, 5 and 6 replicas, whose quorums are 1, 4 and 4 (rule 29): they commit with f dead, also when the primary is
# among the dead; with one more dead nothing comes in, and the command says why; they go on once it is back.
. tests/e2e/kit.bash
ledgers_equal() {
    local id
    for id in $(seq 0 $((n - 1))); do
        pbft ledger export "$PBFT_HOME/r$id" >"$home/export$id" && cmp "$home/export0" "$home/export$id" || return 1
    done
    [ -s "$home/export0" ]
}
level() { [ "$(pbft -o json status | tr -d ' ",' | awk -F: '$1 == "sequence" { print $2 }' | sort | uniq -c | awk '{ print $1 }')" = "$n" ]; }
lines_in() { sed "s/\$/ $1/" "$home/part" >"$home/in" && cat "$home/in" >>"$home/all" && pbft --timeout 60000 log append --lines "$home/in"; }
lines_out() { pbft log cat >"$home/out" && cmp "$home/all" "$home/out"; }
refused() { pbft --timeout 3000 put no quorum 2>"$home/why"; }
once() { [ "$(pbft ledger export "$PBFT_HOME/r0" | grep -c '^entry')" -eq $((2 + $(wc -l <"$home/all"))) ] || { pbft ledger export "$PBFT_HOME/r0" | tail -n 1; wc -l "$home/all"; false; }; }
real_file 300 "$home/part"

for n in 5 6; do # f = 1, Q = 4: of five one may be dead, of six one (with two dead four are left, which is Q, but f is 1)
    PBFT_HOME=$home/n$n
    : >"$home/all"
    check "N = $n comes up" group_up 1000 --replicas $n
    check "N = $n: lines come in" lines_in all
    primary=$(($(view) % n))
    backup=$(((primary + 2) % n))
    check "N = $n: a backup is killed" pbft devnet kill $backup
    check "N = $n: lines come in with f dead" lines_in backup
    check "N = $n: it is started again" pbft devnet start $backup
    check "N = $n: it gets there" eventually 60 level
    before=$(view)
    primary=$((before % n))
    check "N = $n: the primary is killed" pbft devnet kill $primary
    check "N = $n: lines come in under another" lines_in primary
    check "N = $n: the view has changed" [ "$(view)" -gt "$before" ]
    check "N = $n: the old primary is started again" pbft devnet start $primary
    check "N = $n: it gets there" eventually 60 level
    for id in $(seq 1 $((n - 3))); do pbft devnet kill "$id" >/dev/null 2>&1; done # three are left: Q-1
    at=$(sequence 0)
    check "N = $n: with three left nothing comes in, exit 3" exits_with 3 refused
    check "N = $n: and the text says why" grep -qE 'quorum|replicas' "$home/why"
    sed 's/^/# /' "$home/why"
    check "N = $n: nothing was executed" [ "$(sequence 0)" -eq "$at" ]
    for id in $(seq 1 $((n - 3))); do pbft devnet start "$id" >/dev/null 2>&1; done
    check "N = $n: lines come in once they are back" lines_in back
    check "N = $n: all get there" eventually 60 level
    check "N = $n: all ledgers are equal" eventually 30 ledgers_equal
    check "N = $n: what comes out is what went in" lines_out
    pbft devnet down >/dev/null 2>&1
done

n=1
PBFT_HOME=$home/n1
: >"$home/all"
check "N = 1 comes up" group_up 1000 --replicas 1
check "N = 1: lines come in" lines_in alone
check "N = 1: the replica is killed" pbft devnet kill 0
check "N = 1: nothing comes in, exit 3" exits_with 3 refused
check "N = 1: it is started again" pbft devnet start 0
check "N = 1: lines come in" lines_in again
check "N = 1: what comes out is what went in" lines_out
check "N = 1: nothing was entered twice" eventually 20 once # two times up beside the lines
