#!/bin/bash
# bench_messages.sh - pbft-bench messages: each batch costs exactly what the formulas say, the published example comes out, a view
# change is counted, the older algorithms stand beside it, and what is asked wrongly is refused.
. tests/e2e/kit.bash
messages() { "$bin/pbft-bench" messages "$@"; }
# column NAME: of the last line of $home/csv
column() { awk -F , -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i } { value = $at } END { print value }' "$home/csv"; }
is() { [ "$(column "$1")" = "$2" ] || { echo "$1 is $(column "$1"), not $2"; return 1; }; }
csv() { messages -o csv "$@" >"$home/csv"; }
# the worked example of Castro and Liskov's message counts: 13 replicas, 4 backups silent
check "13 replicas, 4 backups silent, one transaction" csv --replicas 13 --silent 4 --batches 1
check "one request" is request 1
check "12 pre-prepares" is pre-prepare 12
check "96 prepares" is prepare 96
check "108 commits" is commit 108
check "9 replies" is reply 9
check "nothing was sent again" [ "$(($(column prepare-resent) + $(column commit-resent) + $(column request-resent)))" -eq 0 ]
for n in 4 7 10 13 100; do
    check "$n replicas, two batches" csv --replicas $n --batches 2
    three=$(($(column pre-prepare) + $(column prepare) + $(column commit)))
    check "$n replicas: 2N(N-1) each" [ $three -eq $((2 * 2 * n * (n - 1))) ]
done
check "the table says that it is exact" eval 'messages --replicas 4,7 | grep -c " yes " | grep -qx 2'
check "64 requests in a batch cost as much as one" csv --replicas 4 --batch 64 --batches 20
check "... less for each of them" [ $(($(column prepare) + $(column commit) + $(column pre-prepare))) -eq $(($(column batches) * 24)) ]
check "there were many" [ "$(column transactions)" -eq 1280 ] && check "... in few batches" [ "$(column batches)" -lt 30 ]
check "a checkpoint costs N(N-1)" eval 'csv --replicas 4 --batches 128 && is checkpoint 12'
check "a view change" csv --replicas 7 --view-change
check "it is told as such" is phase view-change
check "the new primary sends NEW-VIEW to each" [ $(($(column new-view) - $(column new-view-resent))) -eq 6 ]
check "VIEW-CHANGEs of those that are left" [ "$(column view-change)" -ge 36 ]
check "what is over a number's range is null in JSON" eval 'messages --replicas 40 --batches 1 -o json | grep -q "\"oral\":{\"messages\":null,\"ran\":false}"'
check "JSON" eval 'messages --replicas 7 -o json | grep -q "\"oral\":{\"messages\":156,\"ran\":true}"'
check "a picture" messages --replicas 4,7,10 --plot "$home/picture.svg"
check "it is one" grep -q '2N(N-1)' "$home/picture.svg"
check "more silent than the group bears is refused" exits_with 2 messages --replicas 4 --silent 2
check "so are no numbers" exits_with 2 messages --replicas 4,x
check "... and a silent one beside the primary that dies" exits_with 2 messages --replicas 4 --silent 1 --view-change
check "... none between" exits_with 2 messages --replicas 4,,7
check "... and too large ones" exits_with 2 messages --replicas 129
check "... and a batch of nothing" exits_with 2 messages --batch 0
# what a running group says of itself
check "a group of four comes up" group_up 1000
"$bin/pbft-bench" load --home "$PBFT_HOME" --warm-up 0 --seconds 60 >"$home/load" 2>&1 &
load=$!
ordered() { [ "$(metric 0 pbft_sequence)" -gt "$1" ]; }
check "a load runs" eventually 20 ordered 50
check "status --messages" eval 'pbft -o json status --messages --seconds 3 >"$home/cost"'
check "all four are counted" grep -q '"not_counted": \[\]' "$home/cost"
# the two snapshots cut batches that are under way
check "a batch costs 24 messages, or nearly" awk -F '[:,]' '/"type"/ { on = $2 ~ /PRE-PREPARE|"PREPARE|COMMIT/ } /"sent"/ && on { sum += $2 } /"batches"/ { batches = $2 }
    END { print sum, batches; exit !(batches > 0 && sum > 22 * batches && sum < 26 * batches) }' "$home/cost"
check "in words too" eval 'pbft status --messages --seconds 1 >"$home/words" && grep -q "without faults 2N(N-1) = 24" "$home/words"'
check "... with the sum for each operation" grep -Eq '^without HELLO, QUERY and RESULT: [1-9][0-9.]* messages and [1-9][0-9]* bytes for each operation$' "$home/words"
check "what clients ask for is counted" awk '$1 == "REQUEST" && $2 >= 1 && $5 > 0 && $6 > 300 { found = 1 } END { exit !found }' "$home/words"
kill "$load" 2>/dev/null
wait "$load" 2>/dev/null
bytes_of_commits() { pbft -o json status | tr -d ' ",' | awk -F: '$1 == "type" { on = $2 == "COMMIT" } on && $1 == "sent_bytes" { sum += $2 } END { print sum + 0 }'; }
bytes_in_metrics() {
    for id in 0 1 2 3; do page $id /metrics; done | tr -d '\r' | awk '/^pbft_message_bytes_total.*type="COMMIT",direction="sent"/ { sum += $2 } END { print sum + 0 }'
}
agree() { local there; there=$(bytes_in_metrics); [ "$there" -gt 0 ] && [ "$(bytes_of_commits)" = "$there" ]; }
check "status says the bytes that /metrics says" eventually 20 agree
check "one is killed" pbft devnet kill 2
check "its counts are missing, and that is said" eval 'pbft status --messages --seconds 1 | grep -q "^replica 2 is not counted"'
check "without a load there is nothing to divide by" eval 'pbft status --messages --seconds 1 | grep -q "nothing was ordered meanwhile"'
check "--seconds alone is refused" exits_with 2 pbft status --seconds 2
check "and so are none" exits_with 2 pbft status --messages --seconds 0
