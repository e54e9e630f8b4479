#!/bin/bash
# evil_sockets.sh - a replica that does not read what members send, or sends them a byte now and then: it is dropped, the others go on, and
# its turn as primary is passed over.
. tests/e2e/kit.bash
misbehaved() { [ "$(count_lines "event=evil.misbehaved.*behaviour=$1\( \|\$\)" "$PBFT_HOME/run/r1.log")" -gt 0 ]; }
dropped() { [ "$(count_lines "event=peer.lost.* peer=1 reason=\"$1\"" "$PBFT_HOME/run/r0.log")" -gt 0 ]; }
lines=200
check "a group of four comes up" group_up 1000
: >"$home/all"
for behaviour in slow-loris never-reads; do
    check "$behaviour: replica 1 does so" pbft devnet evil 1 $behaviour
    real_file $lines "$home/in" && sed -i "s/\$/ $behaviour/" "$home/in" && cat "$home/in" >>"$home/all"
    check "$behaviour: every line comes in all the same" pbft --timeout 60000 log append --lines "$home/in"
    check "$behaviour: it did so" eventually 20 misbehaved $behaviour
    if [ $behaviour = slow-loris ]; then check "it is dropped for that" eventually 60 dropped "a frame came too slowly"; fi
    check "$behaviour: the replica keeps the rules again" pbft devnet good 1
    check "$behaviour: all four get there" eventually 60 all_equal
done
check "it does not read when its turn as primary comes" pbft devnet evil 1 never-reads
check "it did so" eventually 20 misbehaved never-reads
check "replica 0 gives its view up" pbft devnet stop 0
check "and comes back" pbft devnet start 0
check "the group commits" pbft --timeout 60000 put a b
check "the view of replica 1 was passed over" [ $(($(view) % 4)) -ne 1 ]
check "the replica keeps the rules again" pbft devnet good 1
check "all four get there" eventually 60 all_equal
check "four ledgers are equal" exports_become_equal
lines_out() { pbft log cat >"$home/out" && cmp "$home/all" "$home/out"; }
check "what comes out is what went in" lines_out
