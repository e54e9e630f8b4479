#!/bin/bash
# run.sh [NAME...] - breaks one line of the product at a time and sees that an invariant of the simulator, by its name, notices.
#
# tests/mutants/NAME.patch is a mutant. Its head says what it breaks, and where it is looked for:
#
#     mutant: prepare quorum one short
#     caught by: swarm                    seeds from 1 on, until one breaks an invariant
#     caught by: scenario FILE            tests/scenarios/FILE, where seeds take too long
#     caught by: unit PROGRAM             a named test of tests/unit, where the simulator does not have that part of the product
#
# Each is built in a copy of the tracked files. A run that ends its process (a CHECK of the product) counts for nothing: the search
# goes on until an invariant is named. What notices must hold in the product as it is. Not caught, or a patch that does not
# apply or build: "not ok".
#
#   MUTANTS_SECONDS   for one search (default 600)
# Seconds in the table are those of a core.
set -u
seconds=${MUTANTS_SECONDS:-600}
here=$PWD
objects=build/release
work=
failed=0
trap 'if [ -n "$work" ]; then rm -rf "$work"; fi' EXIT

fail() {
    failed=1
    echo "# | $name | $title | - | - | - |"
    echo "not ok - $name: $1"
    if [ -s "$work/log" ]; then tail -n 5 "$work/log" | sed 's/^/#     /'; fi
}

# what the last command took of a core: run OUT COMMAND...
run() {
    local out=$1 TIMEFORMAT='%U %S' times
    shift
    { time "$@" >"$out" 2>"$work/errors"; } 2>"$work/times"
    read -r -a times <"$work/times"
    took=$(awk -v u="${times[0]}" -v s="${times[1]}" 'BEGIN { printf "%.1f", u + s }')
}

# copies the tree and what is built of it, breaks a line, builds $1
build() {
    git ls-files -z | xargs -0 cp -p --parents -t "$work/tree" 2>/dev/null
    find "$objects" \( -name '*.o' -o -name '*.a' -o -name '*.d' \) -print0 | xargs -0 cp -p --parents -t "$work/tree"
    if ! patch -d "$work/tree" -p1 -s -F0 <"$here/tests/mutants/$name.patch" >"$work/log" 2>&1; then
        fail "the patch does not apply"
        return 1
    fi
    if ! make -C "$work/tree" --no-print-directory "$objects/$1" >"$work/log" 2>&1; then
        fail "it does not build"
        return 1
    fi
}

# an invariant, and where it was broken: sets found and at
swarm() {
    run "$work/out" "$work/tree/$objects/pbft-sim" swarm --seeds 1..1000000000 --jobs 1 --failures 1 --named --budget "$seconds"
    found=$(sed -n 's/^FAILED seed [0-9]*, \([a-z-]*\): .*/\1/p' "$work/out" | head -n 1)
    at=$(sed -n 's/^FAILED seed \([0-9]*\),.*/\1/p' "$work/out" | head -n 1)
    if [ -n "$found" ] && ! "$objects/pbft-sim" run --seed "$at" >"$work/log" 2>&1; then found=''; fi
    at="seed $at"
}
scenario() {
    run "$work/out" timeout "$seconds" "$work/tree/$objects/pbft-sim" run --scenario "tests/scenarios/$1"
    found=$(sed -n 's/^invariant [0-9]* (\([a-z-]*\)) is broken.*/\1/p' "$work/out" | head -n 1)
    if ! "$objects/pbft-sim" run --scenario "tests/scenarios/$1" >"$work/log" 2>&1; then found=''; fi
    at=$1
}
unit() {
    export CMOCKA_MESSAGE_OUTPUT=TAP
    run "$work/out" timeout "$seconds" "$work/tree/$objects/tests/unit/$1"
    found=$(sed -n 's/^not ok [0-9]* - \(test_[a-z0-9_]*\).*/\1/p' "$work/out" | head -n 1)
    if ! "$objects/tests/unit/$1" >"$work/log" 2>&1; then found=''; fi
    at=$1
}

one() {
    name=$1 took=- found='' at=-
    local patch=tests/mutants/$1.patch how target
    work=$(mktemp -d) && mkdir "$work/tree"
    title=$(sed -n 's/^mutant: //p' "$patch")
    read -r -a how < <(sed -n 's/^caught by: //p' "$patch")
    case ${how[0]:-} in
    swarm | scenario) target=pbft-sim ;;
    unit) target=tests/unit/${how[1]} ;;
    *) fail "its head does not say how it is caught" && return ;;
    esac
    build "$target" || return
    "${how[@]}"
    if [ -z "$found" ]; then
        cat "$work/out" "$work/errors" >>"$work/log"
        fail "not caught within $took s"
    else
        echo "# | $name | $title | $found | $at | $took |"
        echo "ok - $name: $found, $at, $took s"
    fi
}

if [ $# -eq 1 ]; then
    one "$1"
    exit $failed
fi
if [ $# -eq 0 ]; then
    for patch in tests/mutants/*.patch; do set -- "$@" "$(basename "$patch" .patch)"; done
fi
jobs=()
for name in "$@"; do jobs+=("mutant_$name=bash tests/mutants/run.sh $name"); done
last=$(mktemp)
bash tests/run.sh "${jobs[@]}" | sed -u -e "\${w $last" -e 'd}'
code=${PIPESTATUS[0]}
echo
echo "| mutant | breaks | caught by | at | seconds |"
echo "| --- | --- | --- | --- | ---: |"
cat build/check/mutant_*.log | sed -n 's/^# |/|/p'
echo
cat "$last" && rm -f "$last"
exit "$code"
