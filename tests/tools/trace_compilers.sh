#!/bin/bash
# trace_compilers.sh - builds the core and its fixture with gcc and clang, at -O0 and -O2, and with sanitizers, runs the same
# seeds in each, and compares the hashes of all effects; and of what the seeds of the swarm draw. SEEDS: which ones.
set -u
seeds=${SEEDS:-"1 2 3 4 5 6 7 8"}
out=build/trace
mkdir -p "$out"
run() { # variant, compiler
    make --no-print-directory -j"$(nproc)" VARIANT="$1" CC="$2" "build/$1/tests/tools/trace_tool" >"$out/$1.log" 2>&1 ||
        { echo "not ok - build $1"; grep -E 'error|undefined' "$out/$1.log" | head -n 5; exit 1; }
    # shellcheck disable=SC2086
    { "build/$1/tests/tools/trace_tool" drawn 1 60 && "build/$1/tests/tools/trace_tool" $seeds; } >"$out/$1.txt" 2>&1 || { echo "not ok - run $1"; tail -n 5 "$out/$1.txt"; exit 1; }
}
run debug gcc && run release gcc && run clang0 clang && run clang2 clang && run asan gcc
bad=0
for v in release clang0 clang2 asan; do
    if [ -s "$out/debug.txt" ] && cmp -s "$out/debug.txt" "$out/$v.txt"; then echo "ok - same trace hashes: debug (gcc -O0) and $v"; else echo "not ok - same trace hashes: debug and $v"; diff "$out/debug.txt" "$out/$v.txt" | head -n 4; bad=1; fi
done
exit $bad
