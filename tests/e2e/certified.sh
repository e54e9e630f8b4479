#!/bin/bash
# certified.sh - certified reads: one replica proves what it says, as of a checkpoint; liars, replicas that are behind and a group without
# a quorum change nothing about it.
. tests/e2e/kit.bash
certified() { pbft -o json get --certified "$@" | tr -d ' ",' >"$home/answer"; }
says() { grep -qx "value:$1" "$home/answer"; }
proves() { certified "$1" && says "$2"; }
proves_again() { local i; for i in 1 2 3 4 5 6 7 8; do proves "$1" "$2" || return 1; done; }
checkpoint() { awk -F: '$1 == "checkpoint" { print $2 }' "$home/answer"; }
# names_why PATTERN WORDS...
names_why() { exits_with 3 pbft --timeout 300 get --certified "${@:2}" >"$home/why" 2>&1 && grep "$1" "$home/why"; }
batches() { "$bin/pbft-bench" load --home "$PBFT_HOME" --in-flight 1 --warm-up 0 --seconds 1; }
past_checkpoint() { batches && certified key && [ "$(checkpoint)" -gt "$1" ]; }
misbehaved() { [ "$(count_lines "event=evil.misbehaved.*behaviour=$1 " "$PBFT_HOME/run/r1.log")" -gt 0 ]; }
check "a group of four comes up" group_up 1000
check "a put succeeds" pbft put key first
check "before the first checkpoint nothing can be proven, and it says so" names_why "replica 0: has no stable checkpoint" key
check "the first checkpoint" eventually 60 past_checkpoint 0
first=$(checkpoint)
check "its value is proven" says first
check "what is newer is not in it" eval 'pbft put key second && proves key first'
check "what is not there is proven too" exits_with 1 pbft get --certified none
check "a checkpoint that is not there yet is waited for" names_why "knows only an older checkpoint" key --at-least $((first + 1000000))
check "the next checkpoint" eventually 60 past_checkpoint "$first"
check "has the newer value" says second
check "that checkpoint can be asked for" certified key --at-least "$(checkpoint)"
for behaviour in reply-false read-stale reply-refuse; do
    check "$behaviour: replica 1 does so" pbft devnet evil 1 $behaviour
    check "$behaviour: what is proven is true" proves_again key second
    check "$behaviour: what is not there is not" exits_with 1 pbft get --certified none
    [ $behaviour = read-stale ] || check "$behaviour: it did so" misbehaved $behaviour
done
check "the replica keeps the rules again" pbft devnet good 1
check "three are killed" eval 'pbft devnet kill 0 && pbft devnet kill 1 && pbft devnet kill 2'
check "the fourth proves it alone" proves key second
check "which no quorum says" exits_with 3 pbft --timeout 500 get key
check "all are down" pbft devnet down
check "and up again" pbft devnet up
check "what was stable is proven after a restart" proves_again key second
check "only what reads one key can be certified" exits_with 2 pbft list --certified key
check "--at-least is of certified reads" exits_with 2 pbft get --at-least 3 key
check "--at-least is a number" exits_with 2 pbft get --certified --at-least x key
