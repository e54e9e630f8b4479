#!/bin/bash
# messages.sh - fault-free, a batch costs exactly 2N(N-1) protocol messages, by the processes' own counters; first sends and
# re-sends apart. N = 4, 7, 10, 13.
. tests/e2e/kit.bash
quiet() { local a b; a=$(sequence 0); b=$(sequence $(($1 - 1))); [ -n "$a" ] && [ "$a" = "$b" ]; }
connected() { [ "$(pbft -o json status | tr -d ' ",' | grep -c "^peers_connected:$(($1 - 1))$")" -eq "$1" ]; }
votes() {
    local type sum=0
    for type in PRE-PREPARE PREPARE COMMIT; do sum=$((sum + $(count_messages $type "$1"))); done
    echo $sum
}
# the first transaction may have met links that were not there yet: what comes after it is counted, once nothing moves
settled() {
    local k sent_now
    quiet "$1" || return 1
    first=$(sequence 0) sent_first=$(votes sent)
    for k in 1 2 3; do
        sent_now=$(votes sent)
        [ "$sent_now" -eq "$sent_first" ] || return 1
    done
}
# the last COMMITs leave after the batch has executed elsewhere
exact() {
    batches=$(($(sequence 0) - first)) sent=$(($(votes sent) - sent_first)) resent=$(votes resent)
    [ "$sent" -eq $((2 * $1 * ($1 - 1) * batches)) ]
}
for n in 4 7 10 13; do
    PBFT_HOME=$home/n$n
    check "N = $n comes up" pbft devnet up --replicas "$n"
    check "N = $n: all are connected" eventually 20 connected "$n"
    check "N = $n: nothing moves" eventually 20 settled "$n"
    for id in $(seq 1 20); do pbft put "key$id" "value$id" >/dev/null 2>&1; done
    check "N = $n: all replicas get there" eventually 20 quiet "$n"
    check "N = $n: a batch costs exactly 2N(N-1) = $((2 * n * (n - 1))) messages" eventually 20 exact "$n"
    echo "# N = $n: $batches batches, $sent protocol messages, $resent re-sent"
    check "N = $n: 20 puts are committed" [ "$batches" -ge 20 ]
    pbft devnet down >/dev/null 2>&1
done
