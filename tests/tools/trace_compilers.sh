#!/bin/bash
# trace_compilers.sh - builds the core and its fixture with gcc and clang, at -O0 and -O2, and with sanitizers, runs the same
# seeds in each, and compares the hashes of all effects.
set -u
seeds=${SEEDS:-"1 2 3 4 5 6 7 8"}
out=build/trace
mkdir -p "$out"
flags="-std=gnu17 -D_GNU_SOURCE -I. -fPIE -pthread"
sources="$(ls base/*.c crypto/*.c wire/*.c ledger/*.c keys/group.c keys/group_json.c replica/core/*.c tests/fixture/*.c) tests/tools/trace_tool.c"
libs="-lgnutls -lev -llmdb -ljansson -linih -lsodium -lnettle -lm -lcmocka"
build() { # name, compiler, options
    # shellcheck disable=SC2086
    $2 $flags $3 $sources -o "$out/$1" $libs 2>"$out/$1.log" || { echo "not ok - build $1"; tail -n 5 "$out/$1.log"; exit 1; }
    # shellcheck disable=SC2086
    "$out/$1" $seeds >"$out/$1.txt" 2>&1 || { echo "not ok - run $1"; tail -n 5 "$out/$1.txt"; exit 1; }
}
build gcc-O0 gcc -O0 && build gcc-O2 gcc -O2 && build clang-O0 clang -O0 && build clang-O2 clang -O2 &&
    build gcc-san gcc "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
bad=0
for v in gcc-O2 clang-O0 clang-O2 gcc-san; do
    if [ -s "$out/gcc-O0.txt" ] && cmp -s "$out/gcc-O0.txt" "$out/$v.txt"; then echo "ok - same trace hashes: gcc-O0 and $v"; else echo "not ok - same trace hashes: gcc-O0 and $v"; diff "$out/gcc-O0.txt" "$out/$v.txt" | head -n 4; bad=1; fi
done
exit $bad
