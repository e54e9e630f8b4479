#!/bin/bash
# pause_primary.sh - the primary's process is stopped for ten seconds under load and goes on (SIGSTOP, SIGCONT): no fork, no lost
# result, and it takes part again as a backup. A backup that was stopped for longer than T does not leave the view.
. tests/e2e/kit.bash
# of "COMMIT", sent by replica ID
commits_of() { pbft -o json status | tr -d ' ",' | awk -F: -v id="$1" '$1 == "id" { on = $2 == id } on && $1 == "type" { type = $2 } on && type == "COMMIT" && $1 == "sent" { print $2 }'; }
check "a group of four comes up" group_up 1000
before=$(view)
primary=$((before % 4))
check "the primary is paused for ten seconds: every accepted result is there once, four ledgers are equal" exactly_once pause 1
sed 's/^/# /' "$home/last"
check "the others have left it" [ "$(view)" -gt "$before" ]
one_view() { [ "$(pbft -o json status | tr -d ' ",' | awk -F: '$1 == "view" { print $2 }' | sort -u | wc -l)" -eq 1 ]; }
check "all four are in one view" eventually 60 one_view
# on a fast machine the others are so far ahead that it takes the state from them, and goes on anew within its process
began=$(count_lines event=replica.recovered "$PBFT_HOME/run/r$primary.log")
anew=$(count_lines event=transfer.done "$PBFT_HOME/run/r$primary.log")
check "the primary was paused, not started again" [ $((began - anew)) -eq 2 ]
commits=$(commits_of $primary)
check "the group commits" pbft put after pause
check "and all four execute it" eventually 60 all_equal
check "the one that was paused votes again" [ "$(commits_of $primary)" -gt "$commits" ]
check "what was put is there" grep -qx pause <(pbft get after)

before=$(view)
backup=$(((before + 1) % 4))
"$bin/pbft-bench" load --home "$PBFT_HOME" --seconds 60 --warm-up 0 --in-flight 16 >"$home/load.log" 2>&1 &
load=$!
at=$(sequence $backup)
check "load is under way" eventually 20 past $backup "$at"
since=$SECONDS
check "a backup is paused" pbft devnet pause $backup
longer() { [ $((SECONDS - since)) -ge 4 ]; }
check "for longer than T" eventually 20 longer
check "it goes on" pbft devnet resume $backup
at=$(sequence $(((backup + 1) % 4)))
check "it gets there" eventually 60 past $backup "$at"
kill $load
wait $load 2>/dev/null
check "all four get there, in one view" eventually 60 eval 'all_equal && one_view'
check "and that is the view it was" [ "$(view)" -eq "$before" ]
