#!/bin/bash
# evil_liar.sh - a replica that tells clients lies, refuses them or says nothing to them: what they get is true all the same, and one
# order fits all of it, reads by quorum too.
. tests/e2e/kit.bash
misbehaved() { [ "$(count_lines "event=evil.misbehaved.*behaviour=$1 " "$PBFT_HOME/run/r1.log")" -gt 0 ]; }
gets() { [ "$(pbft get "$1")" = "$2" ]; }
history() {
    "$bin/pbft-bench" history --home "$PBFT_HOME" --client default,reader --in-flight 6 --keys 2 --seconds 3 --history "$home/history" &&
        [ "$(grep -c '"op":"get".*"result":"value' "$home/history")" -gt 10 ] && "$bin/pbft-sim" linearize "$home/history"
}
check "a group of four comes up" group_up 1000
for behaviour in reply-silent reply-false read-stale reply-refuse; do
    check "$behaviour: replica 1 does so" pbft devnet evil 1 $behaviour
    for value in first second third; do
        check "$behaviour: a put succeeds" pbft put key "$value $behaviour"
        check "$behaviour: its value is what is read" gets key "$value $behaviour"
    done
    check "$behaviour: a transaction of many operations succeeds" eval 'seq 1 50 | pbft log append --lines -'
    check "$behaviour: a value of it that is not there is not found" exits_with 1 pbft get "none $behaviour"
    check "$behaviour: one order fits what clients got" history
    check "$behaviour: it did so" misbehaved $behaviour
done
check "the replica keeps the rules again" pbft devnet good 1
check "all four get there" eventually 60 all_equal
check "four ledgers are equal" exports_become_equal
