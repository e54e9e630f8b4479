#!/bin/bash
# viewchange.sh - the primary is killed and stopped under load, again and again: the next one goes on, and the ledger has every
# accepted transaction exactly once. With seven, the primary and the next one die together. (pause_primary.sh, kills.sh and
# rolling_restart.sh go on from here.)
. tests/e2e/kit.bash
check "a group of four comes up" group_up 500
check "the primary is killed three times: every accepted result once, four equal exports" exactly_once kill 3
sed 's/^/# /' "$home/last"
check "it is stopped three times" exactly_once stop 3
sed 's/^/# /' "$home/last"
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
