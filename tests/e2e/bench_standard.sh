#!/bin/bash
# bench_standard.sh - the standard set of measurements of `make bench`, each for a moment: every file is there, the summary has a number in
# each line. What the numbers are is not judged here.
. tests/e2e/kit.bash
out=$home/out
check "the whole set" env BIN="$bin" BENCH_OUT="$out" BENCH_PORT="$base" BENCH_SECONDS=1 bash bench/standard.sh
for name in micro latency load bundles bundles-keys reads certified curve scale readers growth messages; do check "$name.json" [ -s "$out/$name.json" ]; done
for name in latency load curve scale growth messages; do check "$name.svg" grep -q '<svg' "$out/$name.svg"; done
check "fifteen lines" [ "$(wc -l <"$out/summary.txt")" -eq 15 ]
check "with a number each" [ "$(grep -cE ' +[0-9]+(\.[0-9]+)?   aim ' "$out/summary.txt")" -eq 15 ]
