#!/bin/bash
# bench_interrupt.sh - pbft-bench that is interrupted as by the keys of a terminal, which reach its whole process group, more than once:
# it ends, nothing of its own is left, and a group that is its operator's is whole. And a group that dies meanwhile is noticed.
. tests/e2e/bench.bash
own="--dir $dir --base-port $base"
# starts WORDS...: runs pbft-bench in a process group of its own; $measuring is both
starts() {
    : >"$out"
    setsid "$bin/pbft-bench" "$@" >"$out" 2>&1 &
    measuring=$!
}
# ends_when_told SIGNAL CODE: however often it is told
ends_when_told() {
    local i
    for i in $(seq 200); do
        kill "-$1" -- "-$measuring" 2>/dev/null || break
        read -r -t 0.1 <> <(:) || true
    done
    [ "$i" -lt 200 ] || kill -KILL -- "-$measuring"
    exits_with "$2" wait "$measuring" || { cat "$out"; return 1; }
}
up() { ls "$dir"/*/run/r3.pid >/dev/null 2>&1; }
some() { [ -n "$(ls -A "$dir")" ]; }

starts load --replicas 4 --clients 2 $own --seconds 600
check "a load has its group" eventually 60 up
check "interrupted again and again it ends" ends_when_told INT 1
check "and says why" grep -q '^pbft-bench: interrupted$' "$out"
check "the group is gone, and its directory" left_nothing
starts micro --dir "$dir"
check "micro has a directory" eventually 30 some
check "told to stop it ends" ends_when_told TERM 1
check "it has removed it" left_nothing
starts messages --of simulator --replicas 100 --batches 10000
calculates() { calculating=$(pgrep -P "$measuring" -x pbft-sim); }
check "messages lets the simulator calculate" eventually 30 calculates
check "told to stop it ends" ends_when_told TERM 1
check "and so does the simulator" eval '! grep -q pbft-sim /proc/$calculating/cmdline 2>/dev/null'

check "a group of an operator's" pbft devnet up
paused() { pbft devnet status | grep -q ' paused '; }
starts recover --home "$PBFT_HOME" --how pause --rounds 1
check "recover pauses its primary" eventually 60 paused
check "interrupted it ends" ends_when_told INT 1
check "all four run again" [ "$(pbft devnet status | grep -c ' running ')" -eq 4 ]
check "they go on" pbft put after pause
check "recover, in JSON" eval 'bench recover --home "$PBFT_HOME" --how stop --rounds 1 -o json >"$out" && grep -q "\"commit\": \"..*\"" "$out"'
field() { tr -d ' \n' <"$out" | grep -o "\"$1\":\[[0-9.]*" | grep -o '[0-9.]*$'; }
check "its pause in units of T, which is 2 s or has doubled" awk -v ms="$(field gaps_ms)" -v t="$(field gaps_t)" 'BEGIN {
    for (timeout = 2000; timeout <= 16000; timeout *= 2) { d = ms / timeout - t; if (d < 0.01 && d > -0.01) fits = 1 }
    print ms, t; exit !(ms > 0 && fits) }'
check "one is killed" pbft devnet kill 3
check "a load on the others" eval 'bench load --home "$PBFT_HOME" --seconds 1 --warm-up 0 -o json >"$out"'
check "says of whom it knows nothing" eval 'tr -d " \n" <"$out" | grep -q "\"not_counted\":\[3\]"'
check "in words too" eval 'bench load --home "$PBFT_HOME" --seconds 1 --warm-up 0 | grep -q "^not counted  *1 of 4 replicas"'
check "it is stopped" pbft devnet down

mkdir "$home/stub"
printf '#!/bin/bash\necho "$1" >>"%s/called"\nexec sleep 600\n' "$home" >"$home/stub/pbft-bench"
chmod +x "$home/stub/pbft-bench"
: >"$out"
BIN=$home/stub BENCH_OUT=$home/bench setsid bash bench/standard.sh >"$out" 2>&1 &
measuring=$!
called() { [ -s "$home/called" ]; }
check "the standard set begins" eventually 30 called
check "told to stop it ends" ends_when_told TERM 1 # bash starts what is in the background deaf to INT
check "and does not go on with the next" [ "$(wc -l <"$home/called")" -eq 1 ]

starts growth --replicas 4 --clients 2 $own --seconds 1 --rounds 1 --entries 0,1000000000
filling() { [ "$(metric 0 pbft_ledger_entries)" -gt 100000 ]; } # more than is measured at 0
check "a long fill begins" eventually 120 filling
check "all its replicas are killed" eval 'kill -9 $(cat "$dir"/*/run/r*.pid)'
check "it ends, with a time-out" eval "wait $measuring; [ \$? -eq 3 ]"
check "and says that nobody answers" eval 'grep -q "nothing was accepted for 30 s" "$out" || { cat "$out"; false; }'
check "nothing is left" left_nothing
