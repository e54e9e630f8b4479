# kit.bash - for the scripts of this directory: a development group of its own in a temporary directory, checks that print
# "ok - name" or "not ok - name", and an end that stops what was started and removes what was made.
set -u
bin=${PBFT_BIN:-$PWD/bin}
evil_program=${PBFT_EVIL:-$PWD/build/release/pbft-evil}
export PBFT_EVIL=$evil_program
home=$(mktemp -d "${TMPDIR:-/tmp}/pbft-e2e-XXXXXX")
export PBFT_HOME=$home/net
failures=0
. tests/e2e/ports.bash
take_ports || exit 1
# pbft WORDS...: the program; a group that it makes gets this script's ports
pbft() {
    if [ "${1-} ${2-}" = "devnet up" ]; then set -- devnet up --base-port "$base" "${@:3}"; fi
    "$bin/pbft" "$@"
}
finish() {
    if [ "$failures" -ne 0 ]; then for l in "$PBFT_HOME"/run/*.log; do echo "--- $l"; tail -n 15 "$l"; done; fi
    [ -d "$PBFT_HOME" ] && pbft devnet down >/dev/null 2>&1
    rm -rf "$home"
    drop_ports
    [ "$failures" -eq 0 ]
    exit $?
}
trap finish EXIT
# check NAME COMMAND...: the command must succeed
check() {
    local name=$1
    shift
    if "$@" >"$home/last" 2>&1; then echo "ok - $name"; else
        echo "not ok - $name"
        tail -n 12 "$home/last" | sed 's/^/    /'
        failures=$((failures + 1))
    fi
}
# exits_with CODE COMMAND...
exits_with() {
    local wanted=$1 code
    shift
    "$@"
    code=$?
    [ "$code" -eq "$wanted" ] || { echo "exit code $code, not $wanted"; return 1; }
}
# eventually SECONDS COMMAND...: until it succeeds, looking again every 0.1 s
eventually() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        read -r -t 0.1 <> <(:) || true
    done
}
# a real file of LINES lines: the package index that apt keeps, or dpkg's, repeated where they are short
real_file() {
    { apt-cache dumpavail 2>/dev/null; cat /var/lib/dpkg/status; } | head -n "$1" >"$2"
    while [ "$(wc -l <"$2")" -lt "$1" ]; do nl -ba /var/lib/dpkg/status | head -n $(($1 - $(wc -l <"$2"))) >>"$2"; done
}
# the sum over all replicas of "sent" or "resent" for one message type
count_messages() {
    pbft -o json status | tr -d ' ",' | awk -F: -v type="$1" -v field="$2" '$1 == "type" { on = $2 == type } on && $1 == field { sum += $2 } END { print sum + 0 }'
}
# sequence ID: what replica ID has executed
sequence() {
    pbft -o json status | tr -d ' ",' | awk -F: -v id="$1" '$1 == "id" { on = $2 == id } on && $1 == "sequence" { print $2 }'
}
# past ID N: replica ID has executed more than N
past() { [ "$(sequence "$1")" -gt "$2" ] 2>/dev/null; }
# condition ID: what status says of it; is ID CONDITION
condition() { pbft -o json status | tr -d ' ",' | awk -F: -v id="$1" '$1 == "id" { on = $2 == id } on && $1 == "condition" { print $2 }'; }
is() { [ "$(condition "$1")" = "$2" ]; }
all_equal() { [ -n "$(sequence 0)" ] && [ "$(sequence 0)" = "$(sequence 1)" ] && [ "$(sequence 0)" = "$(sequence 2)" ] && [ "$(sequence 0)" = "$(sequence 3)" ]; }
# An export reads what is durable; the last block of an idle replica may be on its way to the disk for 100 ms after it executed.
exports_become_equal() { eventually 20 exports_equal; }
exports_equal() {
    local id
    for id in 0 1 2 3; do pbft ledger export "$PBFT_HOME/r$id" >"$home/export$id" || return 1; done
    cmp "$home/export0" "$home/export1" && cmp "$home/export0" "$home/export2" && cmp "$home/export0" "$home/export3" && [ -s "$home/export0" ]
}
# count_lines PATTERN FILE...: how many lines of all of them match
count_lines() { cat "${@:2}" 2>/dev/null | grep -c -- "$1"; }
# view: the highest one that a replica reports
view() { pbft -o json status | tr -d ' ",' | awk -F: '$1 == "view" && $2 > most { most = $2 } END { print most + 0 }'; }
# timeout_ms MS: T of every replica; takes effect at the next start
timeout_ms() { for conf in "$PBFT_HOME"/conf/r*.conf; do printf '[tuning]\ntimeout_ms = %s\n' "$1" >>"$conf"; done; }
# group_up MS UP-OPTIONS...: a group whose T is so long
group_up() { pbft devnet up "${@:2}" && pbft devnet down && timeout_ms "$1" && pbft devnet up; }
# what it starts is pbft-evil, which takes its orders from the environment (docs/adversary.md)
evil() { PBFT_PBFTD=$evil_program pbft "$@"; }
# all have executed the same, and replica 0's last block is on its disk
durable() { all_equal && [ "$(pbft ledger export "$PBFT_HOME/r0" | sed -n 's/^end blocks \([0-9]*\) .*/\1/p')" = "$(sequence 0)" ]; }
# mark_ledger: $from is the number of entries that all four have by now
mark_ledger() {
    eventually 60 durable || return 1
    from=$(pbft ledger export "$PBFT_HOME/r0" | grep -c '^entry')
}
# gained_what_was_accepted: line by line: the entries that the four equal ledgers have gained since mark_ledger are those that a client
# accepted a result for ($home/accepted), each at the index and in the block that the client was told, and none is there twice
gained_what_was_accepted() {
    eventually 60 durable && exports_become_equal || return 1
    awk -v from="$from" '$1 == "block" { block = $2 } $1 == "entry" && $2 >= from { print $2, block }' "$home/export0" | sort >"$home/gained"
    sort "$home/accepted" >"$home/accepted.sorted"
    echo "$(cat "$home/result"); $(wc -l <"$home/gained") entries gained"
    [ -s "$home/gained" ] && cmp "$home/gained" "$home/accepted.sorted" || return 1
    [ -z "$(sed -n 's/^entry [0-9]* operation \([0-9]*\) .* transaction \([0-9a-f]*\) .*/\2 \1/p' "$home/export0" | sort | uniq -d)" ]
}
# exactly_once HOW ROUNDS: under pbft-bench recover
exactly_once() {
    mark_ledger || return 1
    "$bin/pbft-bench" recover --home "$PBFT_HOME" --how "$1" --rounds "$2" --in-flight 16 -o json --accepted "$home/accepted" >"$home/result" || return 1
    gained_what_was_accepted
}
reigns() { view=$(view) && [ $((view % 4)) -eq $id ] && all_equal; }
# reign BEHAVIOUR: makes the next primary one that does so, and gives it the view; $reign is the view and $id the replica.
# On a slow machine the view may be past it already: then the one after.
reign() {
    local try before
    for try in 1 2 3 4; do
        before=$(view)
        id=$(((before + 1) % 4))
        pbft devnet evil $id "$1" && eventually 30 all_equal || return 1
        pbft devnet stop $((before % 4)) && pbft devnet start $((before % 4)) || return 1
        eventually 10 reigns && reign=$view && return
        honest_again
    done
    return 1
}
honest_again() { pbft devnet good $id; }
# the HTTP port of replica ID
port() { pbft -o json devnet status | tr -d ' ",' | awk -F: -v id="$1" '$1 == "id" { on = $2 == id } on && $1 == "http" { print $3 }'; }
# request ID TEXT: sends it (with printf's escapes), the answer goes to $home/answer
request() {
    local to
    to=$(port "$1")
    { printf "$2" >&8; timeout 30 cat <&8 >"$home/answer"; } 8<>"/dev/tcp/127.0.0.1/$to"
}
page() { request "$1" "GET $2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"; cat "$home/answer"; }
# metric ID NAME: a number of its /metrics
metric() { page "$1" /metrics | tr -d '\r' | awk -v name="$2" '$1 == name { print $2 }'; }
