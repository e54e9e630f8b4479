#!/bin/bash
# bench_load.sh - pbft-bench load, latency, curve, scale and micro: every form, groups that live as long as the command, reads, bundles,
# an open loop, pictures, and that nothing is left behind, also by one that is interrupted.
. tests/e2e/kit.bash
bench() { "$bin/pbft-bench" "$@"; }
out=$home/out
dir=$home/groups
mkdir "$dir"
# of FILTER: a number of the JSON in $out, found by its name within an object
of() { tr -d ' \n' <"$out" | grep -o "\"$1\":{.*" | grep -o "\"$2\":[0-9.]*" | head -n 1 | cut -d : -f 2; }
above() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > b) }'; }
left_nothing() { [ -z "$(ls -A "$dir")" ]; }
refused() { exits_with 2 bench "$@" >"$home/said" 2>&1; }
says() { grep -q -- "$1" "$home/said" || { cat "$home/said"; return 1; }; }

check "an option of another command is refused" refused load --silent 1
check "a rate that is none too" eval 'refused load --rate fast && says "rate is \"fast\""'
check "and an unknown form, with those there are" eval 'refused load -o xml && says "give table, json or csv"'
check "a list where one number is wanted" eval 'refused load --replicas 4,7 && says "one number"'
check "a group of none" refused load --replicas 0
check "reads in bundles" eval 'refused load --replicas 4 --dir "$dir" --reads --bundle 2 && says "a read is one operation"'
check "keys of reads" eval 'refused load --replicas 4 --dir "$dir" --keys 5 --reads && says "keys is of puts"'
check "half a client" eval 'refused load --clients 2.5 && says "give a whole number"'
check "what is of a group of its own, on a running one" eval 'refused load --clients 2 && says "give --replicas, too"'
check "and the other way round" eval 'refused curve --replicas 4 --home "$home" && says "give one of them"'
check "a directory without a name" eval 'refused load --replicas 4 --dir "" && says "dir is empty"'
check "more clients than one process has" eval 'refused load --replicas 4 --dir "$dir" --clients 40 --readers 25 && says "at most 64"'
check "bundles that no transaction holds" eval 'refused load --replicas 4 --dir "$dir" --bundle 2 --op-bytes 1000000 --warm-up 0 && says "over the limit"'
check "two clients that send one at a time" eval 'refused latency --client default,reader && says "client is \"default,reader\""'
check "a list of which a later one is no number, before anything is measured" eval 'refused scale --replicas 1,x --dir "$dir" && says "replicas is \"x\""'
check "nothing was left by that" left_nothing
check "a command that there is not" eval 'refused dance && says "is no command"'
check "each command has its help" eval 'for c in load latency curve scale recover history messages attack growth micro; do bench $c --help | grep -q "^usage: pbft-bench $c" || exit 1; done'
check "a directory that is not there is named" eval 'exits_with 4 bench load --replicas 4 --dir "$home/none" 2>"$home/said" && says "$home/none"'

short="--dir $dir --base-port $base --seconds 1 --warm-up 0.2"
check "a load on a group of its own" eval 'bench load --replicas 4 --clients 2 $short --seconds 3 -o json --plot "$home/latency.svg" >"$out"'
check "it has results" above "$(of results transactions)" 10
check "as many operations" [ "$(of results operations_per_second)" = "$(of results per_second)" ]
check "two clients" [ "$(of parameters clients)" = 2 ]
check "the floor was measured" eval 'above "$(of floor verify_us)" 1 && above "$(of floor sync_all_us)" 1'
check "and the ratios to it" eval 'above "$(of results ceiling_ratio)" 0 && above "$(of results sync_ratio)" 0'
check "a verification for each replica at least" above "$(of results verifications_per_transaction)" 3
check "the messages of a batch are counted" above "$(of results messages_per_batch)" 15
check "memory is known" above "$(of results memory_kib)" 1000
check "and how it went over the time, of each of four" [ "$(tr -d " \n" <"$out" | grep -o "\"first\":[0-9]*,\"last\":[0-9]*,\"most\":[1-9][0-9]*,\"samples\":\[[1-9]" | wc -l)" -eq 4 ]
check "what it was measured on is said" grep -q '"processor": "..*"' "$out"
check "the picture is one" grep -q '<svg' "$home/latency.svg"
check "the group is gone, and its directory" left_nothing
check "bundles" eval 'bench load --replicas 4 --clients 1 --bundle 10 --in-flight 8 $short -o json >"$out"'
check "ten operations in each transaction" awk -v o="$(of results operations_per_second)" -v t="$(of results per_second)" 'BEGIN { exit !(o > 9.9 * t && o < 10.1 * t && t > 0) }'
check "appended records" eval 'bench load --replicas 4 --clients 1 --app log $short -o csv >"$out"'
check "in CSV" [ "$(awk -F, 'NR == 1 { n = NF } NR == 2 { print n == NF, $3 }' "$out")" = "1 log" ]
check "reads" eval 'bench load --replicas 4 --clients 1 --reads $short -o json >"$out"'
check "certified reads" eval 'bench load --replicas 4 --clients 1 --certified $short -o json >"$out" && grep -q "\"certified\": true" "$out"'
check "cost no signature of the client" eval 'above "$(of results transactions)" 10 && above 0.5 "$(of results verifications_per_transaction)"'
check "one transaction at a time" eval 'bench latency --replicas 4 $short -o json >"$out"'
check "is one at a time" [ "$(of parameters in_flight)" = 1 ]
check "an open loop" eval 'bench load --replicas 4 --clients 2 --rate 50 --dir "$dir" --base-port $base --seconds 3 --warm-up 0 -o json >"$out"'
check "sends about as many as it is meant to" eval 'above "$(of results per_second)" 20 && above 80 "$(of results per_second)"'
check "a curve" eval 'bench curve --replicas 4 --clients 2 --keys 5 $short --plot "$home/curve.png" >"$out"'
check "with a last line" grep -q '^at 1.50 times the closed loop' "$out"
check "whose share is of both closed loops" awk '/^closed loop:/ { closed = $3 } /^closed loop again:/ { closed = (closed + $4) / 2 } /^ / { open = $2 }
    /^at / { print open, closed, $7; difference = open / closed - $7; exit !(closed > 0 && difference < 0.02 && difference > -0.02); }' "$out"
check "and a picture" [ "$(head -c 4 "$home/curve.png" | tail -c 3)" = PNG ]
check "two sizes of groups" eval 'bench scale --replicas 1,4 --clients 2 $short -o csv >"$out"'
check "a line for each" [ "$(cut -d , -f 1 "$out" | tr "\n" " ")" = "replicas 1 4 " ]
check "parts" eval 'bench micro --dir "$dir" -o json >"$out" && grep -q "Ed25519 verify" "$out"'
check "nothing is left" left_nothing

"$bin/pbft-bench" load --replicas 4 --clients 2 --dir "$dir" --base-port "$base" --seconds 600 >"$out" 2>&1 &
measuring=$!
running() { ls "$dir"/*/run/r3.pid >/dev/null 2>&1; }
check "a long one begins" eventually 30 running
replica=$(cat "$dir"/*/run/r3.pid)
kill -INT $measuring
check "told to stop it ends with 1" eval "wait $measuring; [ \$? -eq 1 ]"
check "its replicas are gone" eval '! grep -q pbftd /proc/$replica/cmdline 2>/dev/null'
check "and its directory" left_nothing
