#!/bin/bash
# standard.sh - `make bench`: the standard set of measurements, one after the other, into bench/out/: JSON for each, pictures, and
# summary.txt with the figures beside what is aimed at (docs/performance.md). Nothing else should run on the machine meanwhile.
# BENCH_SECONDS: of each measurement (default 10; all take some eight minutes then). BENCH_OUT: another directory. BENCH_PORT: where the
# groups listen.
set -u
bin=${BIN:-bin}
seconds=${BENCH_SECONDS:-10}
warm_up=$(awk "BEGIN { print $seconds / 5 }")
entries=$(awk "BEGIN { print int($seconds * 50000) }")
out=${BENCH_OUT:-bench/out}
failed=0
port=${BENCH_PORT:+--base-port $BENCH_PORT}
mkdir -p "$out"
trap 'echo "standard.sh: interrupted" >&2; exit 1' INT TERM HUP
# measure NAME COMMAND WORDS...: its JSON
measure() {
    local name=$1
    shift
    echo "  $name"
    "$bin/pbft-bench" "$@" -o json >"$out/$name.json" || { echo "standard.sh: $name failed" >&2; failed=1; }
}
# of NAME OBJECT FIELD: a number of its JSON
of() { tr -d ' \n' <"$out/$1.json" | grep -o "\"$2\":{.*" | grep -o "\"$3\":[0-9.]*" | head -n 1 | cut -d : -f 2; }
# line WHAT AIM VALUE
line() { printf '%-58s %12s   aim %s\n' "$1" "$3" "$2"; }
# last NAME FIELD: the last number of that name
last() { tr -d ' \n' <"$out/$1.json" | grep -o "\"$2\":-\?[0-9.]*" | tail -n 1 | cut -d : -f 2; }
calculate() { awk "BEGIN { printf \"%.3f\", $1 }"; }

measure micro micro
measure latency latency $port --replicas 4 --seconds "$seconds" --warm-up "$warm_up" --plot "$out/latency.svg"
measure load load $port --replicas 4 --clients 16 --seconds "$seconds" --warm-up "$warm_up" --plot "$out/load.svg"
measure bundles load $port --replicas 4 --clients 4 --bundle 100 --op-bytes 64 --in-flight 16 --seconds "$seconds" --warm-up "$warm_up"
measure bundles-keys load $port --replicas 4 --clients 4 --bundle 100 --op-bytes 64 --in-flight 16 --keys 10000 --seconds "$seconds" --warm-up "$warm_up"
measure certified load $port --replicas 4 --clients 4 --certified --seconds "$seconds" --warm-up "$warm_up"
measure reads load $port --replicas 4 --clients 4 --reads --seconds "$seconds" --warm-up "$warm_up"
measure curve curve $port --replicas 4 --clients 16 --keys 10000 --seconds "$seconds" --warm-up "$warm_up" --plot "$out/curve.svg"
measure scale scale $port --clients 16 --seconds "$seconds" --warm-up "$warm_up" --plot "$out/scale.svg"
measure readers load $port --replicas 4 --clients 8 --readers 4 --certified --read-rate 1000 --rounds 1 --seconds "$seconds" --warm-up "$warm_up"
measure growth growth $port --entries "10000,$entries" --rounds 1 --seconds "$seconds" --warm-up "$warm_up" --plot "$out/growth.svg"
measure messages messages $port --batches 8 --plot "$out/messages.svg"
[ $failed -eq 0 ] || exit 1

# of the open loops the last one is 1.5 times the closed one, which is measured before and after
peak=$(calculate "($(of curve results per_second) + $(of curve closed_again per_second)) / 2")
over=$(tr -d ' \n' <"$out/curve.json" | sed 's/.*"open":\[//' | grep -o '"per_second":[0-9.]*' | tail -n 1 | cut -d : -f 2)
aim_ms=$(calculate "1.5 * $(of latency floor sync_all_us) / 1000 + 1")
{
    line "load: throughput over the signatures' ceiling" "0.70, goal 0.85" "$(of load results ceiling_ratio)"
    line "curve: throughput at 1.5 times the closed loop, over it" 0.9 "$(calculate "$over / $peak")"
    line "latency: median, ms" "1.5 x 4 commits + 1 = $aim_ms" "$(of latency latency_ms p50)"
    line "latency: 99 % over the median" 3 "$(calculate "$(of latency latency_ms p99) / $(of latency latency_ms p50)")"
    for of_keys in bundles bundles-keys; do
        [ $of_keys = bundles ] && keys="ever new keys" || keys="10,000 keys"
        line "bundles, $keys: operations a second" "50000, goal 100000" "$(of $of_keys results operations_per_second)"
        line "bundles, $keys: CPU of all replicas, us an operation" 34 \
            "$(calculate "($(of $of_keys cpu_us_per_transaction replicas) - $(of $of_keys cpu_us_per_transaction request_verification)) / 100")"
    done
    line "load: anonymous memory of a replica, MiB" 128 "$(calculate "$(of load results memory_kib) / 1024")"
    line "certified reads a second" - "$(of certified results per_second)"
    line "reads a second" - "$(of reads results per_second)"
    line "readers: writes beside 1,000 certified reads a second" - "$(of readers results ratio)"
    line "growth: throughput at $entries entries over a small ledger" 0.9 "$(last growth ratio)"
    line "growth: bytes on disk of a transaction over its request" 2 "$(last growth over_request)"
    line "scale: CPU of one replica, N = 13 over N = 4" 1.5 "$(tr -d ' \n' <"$out/scale.json" | grep -o '"cpu_us_per_transaction":{[^}]*' |
        grep -o '"replicas":[0-9.]*' | cut -d : -f 2 | awk 'NR == 1 { first = $1 / 4 } { last = $1 / 13 } END { printf "%.3f", last / first }')"
} | tee "$out/summary.txt"
