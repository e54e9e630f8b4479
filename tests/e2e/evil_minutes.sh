#!/bin/bash
# evil_minutes.sh - every behaviour of pbft-evil in a real process, each for EVIL_SECONDS (60) under load, in a group of four of its
# own; EVIL_ONLY="NAME..." for some only. Not part of `make check`: `make evil-run BUDGET=60`.
#
# The load has three parts: the view is handed to the replica that misbehaves (the primary is stopped, so for a moment one more is
# away, and catches up then), which is when most of those that misbehave as primaries are left; it goes on misbehaving; it keeps the
# rules again. In all of them results must go on: no pause longer than 3 T (one faulty primary: (2^2-1) T) and two seconds for
# everything else. At the end the four ledgers are equal, and have gained, line by line, what the client has accepted. What the two
# replicas saw that kept the rules throughout, from the hand-over on, comes from /metrics.
. tests/e2e/kit.bash
seconds=${EVIL_SECONDS:-60}
timeout=2000
bound=$((3 * timeout + 2000))
counters="pbft_view_changes_total pbft_messages_ignored_total pbft_messages_invalid_total pbft_connections_closed_invalid_total pbft_evidence_total"
lasts() { read -r -t "$1" <> <(:) || true; }
has_load() { [ "$(wc -l <"$home/accepted" 2>/dev/null)" -gt "$1" ] 2>/dev/null; }
# total ID NAME: a counter, with whatever labels
total() { page "$1" /metrics | tr -d '\r' | awk -v name="$2" '$1 == name || index($1, name "{") == 1 { sum += $2 } END { print sum + 0 }'; }
# seen NAME: the sum over the two
seen() { echo $(($(total $(((id + 1) % 4)) "$1") + $(total $(((id + 2) % 4)) "$1"))); }
# handed BEHAVIOUR: replica $id misbehaves, and the view is its turn; $first was primary
handed() {
    pbft devnet evil $id "$1" && pbft devnet stop $first && pbft devnet start $first && eventually 30 answers
}
answers() { [ "$(pbft -o json status | grep -c '"sequence"')" -eq 4 ]; }
# minute BEHAVIOUR: $row is its line of the table
minute() {
    local name were=() i=0 bench
    first=$(($(view) % 4))
    id=$(((first + 1) % 4))
    mark_ledger || return 1
    rm -f "$home/go" "$home/accepted" && mkfifo "$home/go" || return 1
    "$bin/pbft-bench" recover --home "$PBFT_HOME" --how watch --rounds 3 --in-flight 8 -o json --accepted "$home/accepted" <"$home/go" >"$home/result" &
    bench=$!
    exec 7>"$home/go"
    for name in $counters; do were+=("$(seen "$name")"); done
    eventually 60 has_load 0 && handed "$1" || { exec 7>&-; wait $bench; return 1; }
    echo >&7
    lasts "$seconds"
    row="| \`$1\` |"
    for name in $counters; do row="$row $(($(seen "$name") - were[i])) |" && i=$((i + 1)); done
    echo >&7
    lasts 1
    pbft devnet good $id || { exec 7>&-; wait $bench; return 1; }
    echo >&7
    wait $bench || { exec 7>&-; return 1; }
    exec 7>&-
    gaps=$(tr -d ' \n' <"$home/result" | sed 's/.*"gaps_ms":\[\([^]]*\)\].*/\1/')
    row="$row $(sed 's/,/ | /g' <<<"$gaps") | $(wc -l <"$home/accepted") |"
}
misbehaved() { [ "$(count_lines "event=evil.started.*behaviour=$1\$" "$PBFT_HOME/run/r$id.log")" -gt 0 ]; }
within_bound() { awk -F , -v bound=$bound '{ print; exit !(NF == 3 && $1 <= bound && $2 <= bound && $3 <= bound) }' <<<"$gaps"; }

check "pbft-evil says what it can do" [ "$("$evil_program" --list | wc -l)" -gt 30 ]
table="| behaviour | views left | ignored | invalid | connections closed | evidence | longest pause at the hand-over, ms | then, ms | after its end, ms | results |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
for behaviour in ${EVIL_ONLY:-$("$evil_program" --list | cut -d ' ' -f 1)}; do
    row="| \`$behaviour\` | did not run |"
    gaps=
    before=$failures
    check "$behaviour: a group of four comes up" group_up $timeout
    check "$behaviour: the load goes on, during it and after" minute "$behaviour"
    check "$behaviour: it misbehaved so" misbehaved "$behaviour"
    check "$behaviour: no pause was longer than $bound ms" within_bound
    check "$behaviour: four equal ledgers gained what was accepted" gained_what_was_accepted
    check "$behaviour: down" pbft devnet down
    if [ $failures -gt "$before" ]; then tail -n 40 "$PBFT_HOME"/run/*.log | sed 's/^/    /'; fi
    rm -rf "$PBFT_HOME"
    table="$table
$row"
    echo "# $row"
done
echo "$table"
