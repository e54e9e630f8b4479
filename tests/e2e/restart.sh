#!/bin/bash
# restart.sh - down and up is the same ledger and goes on committing, also under load; a dead or stopped primary is
# followed by the next.
. tests/e2e/kit.bash
check "up" pbft devnet up
check "a second up is harmless" pbft devnet up
check "put" pbft put before down
check "down" pbft devnet down
check "a second down is harmless" pbft devnet down
check "a command without a group says so with exit 3" exits_with 3 pbft put x y
check "up again" pbft devnet up
check "the ledger is the same" grep -qx down <(pbft get before)
check "it goes on committing" pbft put after up
for round in 1 2 3 4 5; do
    "$bin/pbft-bench" load --home "$PBFT_HOME" --seconds 30 --warm-up 0 >"$home/load.log" 2>&1 &
    load=$!
    at=$(sequence 0)
    check "round $round: load is under way" eventually 20 past 0 $((at + 40))
    check "round $round: down under load" pbft devnet down
    kill "$load" 2>/dev/null
    wait "$load" 2>/dev/null
    check "round $round: up again" pbft devnet up
    check "round $round: it commits" pbft put "round" "$round"
    check "round $round: every start followed a clean stop" [ "$(cat "$PBFT_HOME"/run/r*.log | grep -c 'event=replica.recovered.*stop=unclean')" -eq 0 ]
done
check "every replica gets there" eventually 20 all_equal
check "four exports are equal" exports_become_equal
victim=$(pbft devnet kill primary)
check "devnet kill primary prints the id it killed" [ "$victim" -ge 0 ]
check "the others go on under the next primary" pbft put after "the kill"
check "the dead primary is started again" pbft devnet start "$victim"
check "it takes part again" eventually 20 all_equal
check "a replica is stopped cleanly" pbft devnet stop primary
check "and the group goes on" pbft put after "the stop"
