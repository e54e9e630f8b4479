#!/bin/bash
# viewchange.sh - the primary is killed, stopped and paused under load, again and again: the next one goes on, and the ledger
# has every accepted transaction exactly once. With seven, the primary and the next one die together.
. tests/e2e/kit.bash
entries() { pbft ledger export "$PBFT_HOME/r0" | grep -c '^entry'; }
field() { sed -n "s/.*\"$1\": *\\([0-9.]*\\).*/\\1/p" "$home/result"; }
# all have executed the same, and replica 0's last block is on its disk
durable() { all_equal && [ "$(pbft ledger export "$PBFT_HOME/r0" | sed -n 's/^end blocks \([0-9]*\) .*/\1/p')" = "$(sequence 0)" ]; }
# exactly_once HOW ROUNDS: as many new entries as accepted results, four equal exports
exactly_once() {
    local before after
    eventually 20 durable || return 1
    before=$(entries)
    "$bin/pbft-bench" recover --home "$PBFT_HOME" --how "$1" --rounds "$2" --in-flight 16 -o json >"$home/result" || return 1
    eventually 20 durable && exports_become_equal || return 1
    after=$(entries)
    echo "$1: $(cat "$home/result"); $before entries before, $after after"
    [ $((after - before)) -eq "$(field accepted)" ]
}
check "a group of four comes up" group_up 500
check "the primary is killed three times: every accepted result once, four equal exports" exactly_once kill 3
cat "$home/last" | sed 's/^/# /'
check "it is stopped three times" exactly_once stop 3
cat "$home/last" | sed 's/^/# /'
check "it is paused for ten seconds" exactly_once pause 1
cat "$home/last" | sed 's/^/# /'
check "all four are killed at once" eval 'for id in 0 1 2 3; do pbft devnet kill $id || exit 1; done'
check "they come back" pbft devnet up
check "and commit" pbft put after blackout
check "down" pbft devnet down

PBFT_HOME=$home/seven
check "a group of seven comes up" group_up 500 --replicas 7
check "it commits" pbft put before dead
view=$(view)
check "the primary and the next one are killed" eval 'pbft devnet kill $((view % 7)) && pbft devnet kill $(((view + 1) % 7))'
check "the five others go on" pbft put after dead
check "and say what was there before" grep -qx dead <(pbft get before)
