#!/bin/bash
# run.sh TARGET SECONDS - replays the corpus of a libFuzzer target, then searches for so long. New inputs go to build/.
set -u
target=$1 seconds=$2
program=build/fuzz/tests/fuzz/$target
corpus=tests/fuzz/corpus/${target#fuzz_}
found=build/fuzz/corpus/$target
mkdir -p "$found" "$corpus"
if "$program" -runs=0 "$corpus" >"$found.replay.log" 2>&1; then echo "ok - $target replays its corpus"; else
    echo "not ok - $target replays its corpus"; tail -n 30 "$found.replay.log"; exit 1; fi
if "$program" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$found-" "$found" "$corpus" >"$found.log" 2>&1; then
    echo "ok - $target finds nothing in $seconds s ($(grep -oE 'Done [0-9]+ runs' "$found.log" | tail -n 1))"
else
    echo "not ok - $target finds nothing in $seconds s"; tail -n 40 "$found.log"; exit 1
fi
