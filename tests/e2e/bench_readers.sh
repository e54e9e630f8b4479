#!/bin/bash
# bench_readers.sh - pbft-bench load --readers: writers alone and beside readers, turn about, every form, on a group of its own and on a
# running one, and that nothing is left behind, also by one that is interrupted.
. tests/e2e/bench.bash
# of FIELD [N]: the N-th number (from 1 on) of that name of the JSON in $out
of() { tr -d ' \n' <"$out" | grep -o "\"$1\":[0-9.]*" | sed -n "${2:-1}p" | cut -d : -f 2; }

check "a rate of reads without readers is refused" eval 'refused load --replicas 4 --read-rate 5 && says "--read-rate is for --readers"'
check "rounds too" eval 'refused load --replicas 4 --rounds 2 && says "--rounds is for --readers"'
check "readers beside readers" eval 'refused load --replicas 4 --reads --readers 1 && says "leave --reads out"'
check "more rounds than there are" refused load --readers 1 --rounds 10
check "nothing was left by that" left_nothing

short="--dir $dir --base-port $base --seconds 1 --warm-up 0.2"
check "writers beside readers" eval 'bench load --replicas 4 --clients 2 --readers 1 $short -o json --plot "$home/readers.svg" >"$out"'
check "two rounds" [ "$(tr -d ' \n' <"$out" | grep -o '"alone":{' | wc -l)" -eq 2 ]
check "with three loads each" [ "$(tr -d ' \n' <"$out" | grep -o '"parameters":{' | wc -l)" -eq 6 ]
check "writes alone and beside" eval 'above "$(of alone_per_second)" 5 && above "$(of beside_per_second)" 5'
check "their ratio" awk -v r="$(of ratio)" -v a="$(of alone_per_second)" -v b="$(of beside_per_second)" 'BEGIN { d = r - b / a; exit !(d < 0.01 && d > -0.01) }'
check "and reads, with latencies" eval 'above "$(of reads_per_second)" 5 && tr -d " \n" <"$out" | grep -o "\"reads\":{.*" | grep -q "\"p50\":[0-9.]*"'
check "by two that write and one that reads" eval '[ "$(tr -d " \n" <"$out" | grep -o "\"reads\":\(true\|false\)" | sort | uniq -c | tr -d "\n ")" = "4\"reads\":false2\"reads\":true" ] && [ "$(tr -d " \n" <"$out" | grep -o "\"clients\":[12],\"app\"" | sort | uniq -c | tr -d "\n ")" = "2\"clients\":1,\"app\"4\"clients\":2,\"app\"" ]'
check "the picture is one" grep -q '<svg' "$home/readers.svg"
check "certified ones, at a rate" eval 'bench load --replicas 4 --clients 2 --readers 1 --certified --read-rate 40 --rounds 1 --dir "$dir" --base-port $base --seconds 3 --warm-up 0.2 -o csv >"$out"'
check "a line for each load" [ "$(awk -F, 'NR == 1 { n = NF } NR > 1 && NF == n { print $1, $2, $6, $7 }' "$out" | tr '\n' ';')" = "1 alone 0 0;1 beside 0 0;1 reads 1 1;" ]
check "no more reads than are meant, by and large" above 80 "$(awk -F, '$2 == "reads" { print $14 }' "$out")"
check "as a table" eval 'bench load --replicas 1 --clients 1 --readers 1 --rounds 1 $short >"$out" && grep -q "^  all " "$out"'
check "nothing is left" left_nothing

check "a group that runs" pbft devnet up --replicas 1 --clients 3
check "its last client reads" eval 'bench load --client default,client2,client3 --readers 1 --rounds 1 --seconds 1 --warm-up 0 -o json >"$out" && [ "$(of clients)" = 2 ]'
check "all of them is one too many" eval 'refused load --client default,client2 --readers 2 && says "name those that write"'
check "it is stopped" pbft devnet down

"$bin/pbft-bench" load --replicas 4 --clients 2 --readers 2 --dir "$dir" --base-port "$base" --seconds 600 >"$out" 2>&1 &
measuring=$!
running() { ls "$dir"/*/run/r3.pid >/dev/null 2>&1; }
check "a long one begins" eventually 60 running
replica=$(cat "$dir"/*/run/r3.pid)
kill -INT $measuring
check "told to stop it ends with 1" eval "wait $measuring; [ \$? -eq 1 ]"
check "its replicas are gone" eval '! grep -q pbftd /proc/$replica/cmdline 2>/dev/null'
check "and its directory" left_nothing
