#!/bin/bash
# fence.sh - a data directory that is not all its replica has promised (design.md 7.6): emptied, restored from an older copy, two
# emptied at once. Fenced, a replica casts no vote, says so, and takes part again by itself.
. tests/e2e/kit.bash
init() { rm -rf "$PBFT_HOME/r$1" && "$bin/pbftd" --config "$PBFT_HOME/conf/r$1.conf" --init; }
reason() { grep -q "event=replica.fenced.*reason=\"$2" "$PBFT_HOME/run/r$1.log"; }
check "a group of four comes up" pbft devnet up
check "it commits" pbft put before loss

# emptied
check "replica 3 is killed, and its disk is lost" eval 'pbft devnet kill 3 && init 3'
check "it starts on a new directory" "$bin/pbft" devnet start 3
check "it is fenced, and says why" eventually 20 reason 3 "its data directory is new"
check "the group goes on without its votes" pbft put during fence
check "an idle group brings it over the fence" eventually 120 is 3 synced
check "it has the same ledger" eventually 20 all_equal
check "it takes part again: another one is killed" pbft devnet kill 2
check "and the group needs its votes" pbft put after fence
check "the other one comes back" pbft devnet start 2

# restored from an older copy, with the mark of a clean stop in it
check "replica 1 is stopped and its directory copied" eval 'pbft devnet stop 1 && cp -a "$PBFT_HOME/r1" "$home/copy" && pbft devnet start 1'
check "it goes on" eval 'for k in 1 2 3 4 5 6 7 8; do pbft put "key$k" value || exit 1; done'
check "it has them" eventually 20 all_equal
check "its older copy is put back" eval 'pbft devnet stop 1 && rm -rf "$PBFT_HOME/r1" && cp -a "$home/copy" "$PBFT_HOME/r1"'
check "it starts on it" "$bin/pbft" devnet start 1
check "the others show it what it has signed since" eventually 20 reason 1 "it has"
check "it comes over the fence too" eventually 120 is 1 synced
check "four exports are equal" exports_become_equal

# more than f at once
check "two are killed, and both disks are lost" eval 'pbft devnet kill 2 && pbft devnet kill 3 && init 2 && init 3'
for id in 2 3; do "$bin/pbft" devnet start $id >"$home/start$id" 2>&1; done
check "both are fenced" eval 'eventually 20 is 2 fenced && eventually 20 is 3 fenced'
check "the group refuses to decide anything" exits_with 3 pbft --timeout 3000 put no quorum
check "and answers no read that might miss what was accepted" exits_with 3 pbft --timeout 3000 get before
check "each ledger can still be read" eval 'pbft ledger export "$PBFT_HOME/r0" | grep -q ^entry'
why_fenced() { pbft -o json status | grep -qF "\"reason\": \"fenced: its data directory is new, in a group that may know it; it cannot vote again by itself"; }
check "they say that no fence ends so" eventually 20 why_fenced
others() { is 0 no-quorum && is 1 no-quorum && pbft -o json status | grep -qE 'no-quorum: it hears of 1 of the 3 .*; replicas 2 and 3 are fenced, a fence that cannot end'; }
check "the others are not synced: no quorum can vote" eventually 20 others
explained() { pbft why >"$home/why" 2>&1; grep -q '^To do: with replicas 2 and 3 fenced too few are left to vote' "$home/why"; }
check "why names what to do" explained
check "replica 2 is killed and starts again" eval 'pbft devnet kill 2 && { pbft devnet start 2 >"$home/start2" 2>&1; true; }'
check "and knows why it is fenced" eventually 20 is 2 fenced
again() { pbft -o json status | tr -d '\n' | grep -qE '"id": 2,[^}]*"condition": "fenced".*"reason": "fenced: its data directory is new' && why_fenced; }
check "its first reason" eventually 20 again
