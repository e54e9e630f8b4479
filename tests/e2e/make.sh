#!/bin/bash
# make.sh - targets of the Makefile, in a tree of their own: this one's sources and objects, another bin/.
. "${0%/*}/lib.sh"

tree=$work/tree
mkdir -p "$tree/build"
for name in * .clang-format; do
    case $name in bin | build) ;; *) ln -s "$PWD/$name" "$tree/$name" ;; esac
done
ln -s "$PWD/build/release" "$tree/build/release"
make_there() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory -C "$tree" "$@"; }

# a new build while a group runs from bin/
mkdir "$tree/bin"
cp "$(command -v sleep)" "$tree/bin/pbftd"
"$tree/bin/pbftd" 1000 &
runs=$!
check "programs, while one of them runs" make_there programs
check_same "it has been replaced" build/release/pbftd "$tree/bin/pbftd"
kill -0 $runs && pass "the one that ran goes on" || fail "the one that ran goes on"
kill $runs
wait $runs 2>/dev/null
rm "$tree/bin/pbft" && mkdir "$tree/bin/pbft"
check_exit "a program that cannot be put into bin/" 2 make_there programs
check_says "it is named" 'bin/pbft'
[ "$(find "$tree/bin" -name '.*' -type f | wc -l)" -eq 0 ] && pass "no half of one is left" || fail "no half of one is left"

# before anything is built
rm -rf "$tree/bin"
check "down, nothing built and no group" make_there down
check_says "it says so" '^nothing was built here, and there is no group to stop$'
mkdir "$PBFT_HOME" && echo '{}' >"$PBFT_HOME/devnet.json"
check_exit "down, nothing built but a group is there" 2 make_there down
check_says "it says what to do" '^nothing is built here: run make, then make down again$'
rm -r "$PBFT_HOME"
end_tests
