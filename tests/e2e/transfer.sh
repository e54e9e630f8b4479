#!/bin/bash
# transfer.sh - a replica that is far behind takes the state of a checkpoint from the others instead of all blocks, while load goes
# on; is killed in the middle, and goes on from there; has the older blocks in the end. A damaged state is repaired the same way.
. tests/e2e/kit.bash
log=$PBFT_HOME/run/r3.log
condition() { pbft -o json status | tr -d ' ",' | awk -F: -v id="$1" '$1 == "id" { on = $2 == id } on && $1 == "condition" { print $2 }'; }
is() { [ "$(condition "$1")" = "$2" ]; }
logged() { [ "$(count_lines "event=$1" "$log")" -ge "$2" ]; }
load() { "$bin/pbft-bench" load --home "$PBFT_HOME" --warm-up 0 --in-flight 4 --seconds "$@" >"$home/load.log" 2>&1; }
check "a group of four comes up" pbft devnet up
check "replica 3 takes the state when it is 256 batches behind, slowly" eval 'printf "[tuning]\ntransfer_after = 256\ntransfer_load = 2\n" >>"$PBFT_HOME/conf/r3.conf"'
check "it commits" pbft put before loss
check "replica 3 is killed, and its disk is lost" eval 'pbft devnet kill 3 && rm -rf "$PBFT_HOME/r3" && "$bin/pbftd" --config "$PBFT_HOME/conf/r3.conf" --init'
check "the group goes on, beyond what is near" eval 'for k in 1 2 3 4 5 6 7 8 9 10; do load 3 --bundle 20; past 0 500 && break; done; past 0 500'
"$bin/pbft-bench" load --home "$PBFT_HOME" --warm-up 0 --in-flight 4 --seconds 300 >"$home/load.log" 2>&1 &
loading=$!
check "replica 3 starts on its new directory, beside load" "$bin/pbft" devnet start 3
check "it takes the state" eventually 30 logged transfer.begins 1
check "it is stopped while it does, and ends" pbft devnet stop 3
check "it starts again" "$bin/pbft" devnet start 3
check "it goes on with it" eventually 30 logged transfer.begins 2
check "it is killed while it does" pbft devnet kill 3
check "from now on it takes it as fast as it can" sed -i 's/^transfer_load = 2/transfer_load = 100/' "$PBFT_HOME/conf/r3.conf"
check "it starts again" "$bin/pbft" devnet start 3
check "it goes on with the state" eventually 60 logged transfer.done 1
check "and comes back as from a restart" eventually 20 grep -q "event=replica.recovered .*executed=[1-9][0-9]*[02468] stable=[1-9]" "$log"
check "it is over the fence, and follows" eventually 90 is 3 synced
check "the load saw nothing of it" kill -0 $loading
kill $loading 2>/dev/null; wait $loading 2>/dev/null
check "it answers a read with the others: one of them is killed" pbft devnet kill 2
check "what was there before its loss" grep -qx loss <(pbft get before)
check "it votes: the group needs it" pbft put after transfer
check "the other one comes back" pbft devnet start 2
check "the ledgers are one, older blocks too" eval 'eventually 60 all_equal && eventually 120 exports_equal'

# a damaged state: the root that its record names is another
check "replica 3, which has started anew within its process, stops when it is told" pbft devnet stop 3
check "its state is damaged" build/release/tests/tools/damage_state "$PBFT_HOME/r3"
check "meanwhile the group goes on" eval 'load 3'
check "replica 3 starts, and says what is wrong" eval '"$bin/pbft" devnet start 3; eventually 20 logged state.damaged 1'
check "it repairs its state from the others" eventually 60 logged transfer.done 2
check "it is synced again" eventually 60 is 3 synced
check "a read by quorum needs it, and is right: another one is killed" eval 'pbft devnet kill 1 && pbft get after | grep -qx transfer'
check "the other one comes back" pbft devnet start 1
check "the ledgers are one" eval 'eventually 60 all_equal && exports_become_equal'
check "all stop when they are told" pbft devnet down
check "replica 3 has kept its votes" grep -q "event=replica.stopped replica=3 .*votes=kept" <(tail -n 3 "$log")
