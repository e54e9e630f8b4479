# lib.sh - shared by the tests against real processes; sourced, with the repository's root as working directory.
#
# Gives a fresh directory $work (removed at the end), PBFT_HOME=$work/home, and the programs $pbft and $pbftd from $BIN
# (default bin). A check prints one "ok - name" or "not ok - name" line; end_tests prints the sum and ends the script. What
# runs is always stopped at the end. Waiting means watching for something, never sleeping for a while and hoping.
set -u
BIN=$(cd "${BIN:-bin}" && pwd) || exit 1
pbft=$BIN/pbft
pbftd=$BIN/pbftd
work=$(mktemp -d "${TMPDIR:-/tmp}/pbft-e2e.XXXXXX") || exit 1
export PBFT_HOME=$work/home
export PBFT_PBFTD=$pbftd
passed=0
failed=0

cleanup() {
    local id
    if [ -e "$PBFT_HOME/devnet.json" ] && ! "$pbft" devnet down >/dev/null 2>&1; then
        for id in $(seq 0 127); do
            [ -e "$PBFT_HOME/run/r$id.pid" ] && "$pbft" devnet kill "$id" >/dev/null 2>&1
        done
    fi
    rm -rf "$work"
    drop_ports
}
. tests/e2e/ports.bash
take_ports || exit 1
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

pass() {
    passed=$((passed + 1))
    echo "ok - $1"
}

# fail NAME [FILE]...: the files are shown.
fail() {
    local name=$1 file
    failed=$((failed + 1))
    echo "not ok - $name"
    shift
    for file in "$@"; do
        [ -s "$file" ] && head -c 2000 "$file" | sed "s|^|#   ${file##*/}: |"
    done
}

# check NAME COMMAND...: the command must succeed. Its output is in $work/out and $work/err.
check() {
    check_exit "$1" 0 "${@:2}"
}

# check_exit NAME CODE COMMAND...: the command must end with that exit code.
check_exit() {
    local name=$1 wanted=$2 got
    shift 2
    "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    if [ $got -eq "$wanted" ]; then
        pass "$name"
    else
        fail "$name" "$work/out" "$work/err"
        echo "#   exit code $got instead of $wanted: $*"
    fi
}

# check_says NAME PATTERN [FILE]: what the last command wrote to stderr (or FILE) has a line that matches.
check_says() {
    if grep -qE -- "$2" "${3:-$work/err}"; then pass "$1"; else fail "$1" "${3:-$work/err}"; fi
}

# check_same NAME FILE FILE
check_same() {
    if cmp "$2" "$3" >"$work/cmp" 2>&1; then pass "$1"; else fail "$1" "$work/cmp"; fi
}

end_tests() {
    echo "# $passed passed, $failed failed"
    [ $failed -eq 0 ] && [ $passed -gt 0 ]
    exit $?
}

# try_until SECONDS COMMAND...: runs the command again and again until it succeeds.
try_until() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $until ] || return 1
    done
}

# start_devnet [N]: a devnet of N (default 4) replicas on this test's ports.
start_devnet() {
    "$pbft" devnet up --replicas "${1:-4}" --base-port "$base" --timeout 60000 >"$work/up.out" 2>"$work/up.err" </dev/null && return 0
    sed 's/^/#   up: /' "$work/up.err"
    return 1
}

# number NAME: the first value of that name in JSON on stdin.
number() {
    grep -m 1 -oE "\"$1\": [0-9]+" | grep -oE '[0-9]+$'
}

# The highest number of ledger entries that a replica reports.
entries() {
    "$pbft" status -o json 2>/dev/null | grep -oE '"entries": [0-9]+' | grep -oE '[0-9]+$' | sort -n | tail -n 1
}

entries_reached() {
    local count
    count=$(entries)
    [ "${count:-0}" -ge "$1" ]
}

# True when all replicas answer and have executed the same sequence.
all_level() {
    local sequences
    "$pbft" status -o json >"$work/level" 2>/dev/null || return 1
    sequences=$(grep -oE '"sequence": [0-9]+' "$work/level" | sort | uniq -c | awk '{print $1}')
    [ "$sequences" = "$(number replicas <"$PBFT_HOME/devnet.json")" ]
}

# True when the ledgers of all replicas are the same text. A running replica writes a block within 100 ms of executing it.
same_exports() {
    local id count
    count=$(number replicas <"$PBFT_HOME/devnet.json")
    for id in $(seq 0 $((count - 1))); do
        "$pbft" ledger export "$PBFT_HOME/r$id" >"$work/export$id" 2>"$work/err" || return 1
        cmp "$work/export0" "$work/export$id" >"$work/cmp" 2>&1 || return 1
    done
}

# real_lines COUNT FILE: so many lines of a real text: the system's C headers, which building needs anyway.
real_lines() {
    find /usr/include -name '*.h' -type f -print0 | LC_ALL=C sort -z | xargs -0 cat 2>/dev/null | head -n "$1" >"$2"
    [ "$(wc -l <"$2")" -eq "$1" ]
}
