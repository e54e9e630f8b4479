# kit.bash - for the scripts of this directory: a development group of four whose replicas record their traces, checks that print
# "ok - name" or "not ok - name", and an end that stops what was started and removes what was made.
#
#   CRASH_KEEP   a directory that gets the run and the bad image when something fails (default: they are removed)
set -u
home=$(mktemp -d "${TMPDIR:-/tmp}/pbft-crash-XXXXXX")
traces=$home/traces
export PBFT_HOME=$home/net
bin=${PBFT_BIN:-$PWD/bin}
build=${PBFT_BUILD:-$PWD/build/release}
search=$build/tests/crash/crash_search
failures=0
load=
. tests/e2e/ports.bash
if [ -n "${PBFT_BASE_PORT:-}" ]; then base=$PBFT_BASE_PORT; else take_ports || exit 1; fi
# a directory for images: on a file system that allocates without writing, for a start allocates its data files whole
work_dir() { mktemp -d "${TMPDIR:-/tmp}/pbft-crash-XXXXXX"; }
work=$(work_dir)
finish() {
    load_end
    [ -d "$PBFT_HOME" ] && pbft devnet down >/dev/null 2>&1
    if [ "$failures" -ne 0 ] && [ -n "${CRASH_KEEP:-}" ]; then mkdir -p "$CRASH_KEEP" && cp -a --sparse=always "$home" "$work" "$CRASH_KEEP"; fi
    rm -rf "$home" "$work"
    [ -n "${ports_file:-}" ] && drop_ports
    [ "$failures" -eq 0 ]
    exit $?
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
# check NAME COMMAND...: the command must succeed; the lines of its output that count are shown
check() {
    local name=$1
    shift
    if "$@" >"$home/last" 2>&1; then
        echo "ok - $name"
        grep -E '^(good|replica)' "$home/last" | sed 's/^/# /'
    else
        echo "not ok - $name"
        sed 's/^not ok - /bad image: /' "$home/last" | tail -n 12 | sed 's/^/    /'
        failures=$((failures + 1))
    fi
}
pbft() { "$bin/pbft" "$@"; }
# the same, and every replica that it starts appends to a trace in the directory $traces
traced() { PBFT_CRASH_HOME=$PBFT_HOME PBFT_CRASH_TRACES=$traces LD_PRELOAD=$build/tests/crash/shim.so "$bin/pbft" "$@"; }
# eventually SECONDS COMMAND...: until it succeeds, looking again every 0.1 s
eventually() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        read -r -t 0.1 <> <(:) || true
    done
}
# field ID NAME: what replica ID says of itself
field() { pbft -o json status 2>/dev/null | tr -d ' ",' | awk -F: -v id="$1" -v name="$2" '$1 == "id" { on = $2 == id } on && $1 == name { print $2; exit }'; }
past() { [ "$(field "$1" sequence)" -gt "$2" ] 2>/dev/null; }
in_view_above() { [ "$(field "$1" view)" -gt "$2" ] 2>/dev/null; }
# the highest view that a replica reports; its primary
view() { pbft -o json status 2>/dev/null | tr -d ' ",' | awk -F: '$1 == "view" { if ($2 > most) most = $2 } END { print most + 0 }'; }
primary() { echo $(($(view) % 4)); }
same_exports() {
    local id
    for id in 0 1 2 3; do pbft ledger export "$PBFT_HOME/r$id" >"$home/export$id" 2>/dev/null || return 1; done
    cmp -s "$home/export0" "$home/export1" && cmp -s "$home/export0" "$home/export2" && cmp -s "$home/export0" "$home/export3" && [ -s "$home/export0" ]
}
# short time-outs, so that a view change does not take long, and transfer of the state instead of few blocks; for every start from now on
tune() { for conf in "$PBFT_HOME"/conf/r*.conf; do printf '[tuning]\ntimeout_ms = 1500\ntransfer_after = 256\n' >>"$conf"; done; }
# many small batches, until load_end; pbft-bench gives up when nothing answers for a while, and is then started again
load_begin() {
    : >"$home/load.on"
    (
        while [ -e "$home/load.on" ]; do
            "$bin/pbft-bench" load --home "$PBFT_HOME" --in-flight "${1:-4}" --op-bytes 64 --seconds 3600 --warm-up 0 >"$home/load.log" 2>&1 &
            echo $! >"$home/load.pid"
            wait
            read -r -t 0.2 <> <(:) || true
        done
    ) &
    load=$!
}
load_end() {
    [ -n "$load" ] || return 0
    rm -f "$home/load.on"
    while kill -0 "$load" 2>/dev/null; do
        kill "$(cat "$home/load.pid")" 2>/dev/null
        read -r -t 0.1 <> <(:) || true
    done
    wait "$load" 2>/dev/null
    load=
}
