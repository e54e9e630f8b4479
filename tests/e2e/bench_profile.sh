#!/bin/bash
# bench_profile.sh - `make profile`: a table for single transactions and one for bundles, whose parts add up to what a transaction cost;
# skipped where perf cannot record.
. tests/e2e/kit.bash
out=$home/out
if ! perf record -q -o "$home/probe" -- true >"$home/said" 2>&1; then
    check "without perf it says what is missing" eval 'exits_with 4 bash bench/profile.sh 2>"$home/said" && grep -q "perf cannot record here" "$home/said"'
    echo "ok - skipped: perf cannot record here"
    exit
fi
# whole FILE THREAD: us of this thread, and the sum of its parts, up to rounding
whole() { awk -v thread="$2" 'substr($0, 1, 13) !~ /^ *$/ { own = $1 == thread; if (own) all = $2; next } own { sum += $(NF - 2); parts++ } END { d = all - sum; exit !(all > 0 && parts > 0 && d < 0.01 * parts + 0.01 && d > -0.01 * parts - 0.01) }' "$1"; }
check "it runs" env BENCH_SECONDS=3 BENCH_OUT="$out" BENCH_PORT="$base" TMPDIR="$home" bash bench/profile.sh
for kind in single bundles; do
    check "$kind: there is a table" grep -q "^$kind: us of CPU for each operation" "$out/profile-$kind.txt"
    for thread in pbftd verify execution storage pbft-bench; do
        check "$kind: what $thread does adds up" whole "$out/profile-$kind.txt" $thread
    done
    check "$kind: all of it is there" awk 'NR > 1 && substr($0, 1, 13) !~ /^ *$/ { if ($1 == "all") all = $2; else sum += $2 } END { exit !(all > 0 && sum > 0.97 * all && sum < 1.03 * all) }' "$out/profile-$kind.txt"
    check "$kind: signatures are what verification threads do" awk '/^verify/ { v = 1; next } /^[^ ]/ { v = 0 } v && /Ed25519/ { found = 1 } END { exit !found }' "$out/profile-$kind.txt"
done
check "nothing is left" [ -z "$(find "$home" -maxdepth 1 -name 'pbft-profile-*')" ]
