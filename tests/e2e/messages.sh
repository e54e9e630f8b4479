#!/bin/bash
# messages.sh - fault-free, a batch costs exactly 2N(N-1) protocol messages, by the processes' own counters; first sends and
# re-sends apart. N = 4, 7, 10, 13.
. tests/e2e/kit.bash
quiet() { local a b; a=$(sequence 0); b=$(sequence $(($1 - 1))); [ -n "$a" ] && [ "$a" = "$b" ]; }
for n in 4 7 10 13; do
    PBFT_HOME=$home/n$n
    check "N = $n comes up" pbft devnet up --replicas "$n"
    eventually 20 quiet "$n"
    for id in $(seq 1 20); do pbft put "key$id" "value$id" >/dev/null 2>&1; done
    check "N = $n: all replicas get there" eventually 20 quiet "$n"
    batches=$(sequence 0)
    sent=0 resent=0
    for type in PRE-PREPARE PREPARE COMMIT; do
        sent=$((sent + $(count_messages $type sent))) resent=$((resent + $(count_messages $type resent)))
    done
    echo "# N = $n: $batches batches, $sent protocol messages, $resent re-sent"
    check "N = $n: 20 puts and the first transaction are committed" [ "$batches" -ge 21 ]
    check "N = $n: $batches batches cost exactly 2N(N-1) = $((2 * n * (n - 1))) messages each" [ "$sent" -eq $((2 * n * (n - 1) * batches)) ]
    pbft devnet down >/dev/null 2>&1
done
