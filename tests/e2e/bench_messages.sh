#!/bin/bash
# bench_messages.sh - pbft-bench messages: each batch costs exactly what the formulas say, the published example comes out, a view
# change is counted, real processes stand beside the simulator, the older algorithms too, and what is asked wrongly is refused.
. tests/e2e/kit.bash
messages() { "$bin/pbft-bench" messages "$@"; }
# column NAME: of the last line of $home/csv
column() { awk -F , -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i } { value = $at } END { print value }' "$home/csv"; }
is() { [ "$(column "$1")" = "$2" ] || { echo "$1 is $(column "$1"), not $2"; return 1; }; }
csv() { messages --of simulator -o csv "$@" >"$home/csv"; }
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
check "the table says that it is exact" eval 'messages --of simulator --replicas 4,7 | grep -c " yes$" | grep -qx 2'
check "64 requests in a batch cost as much as one" csv --replicas 4 --batch 64 --batches 20
check "... less for each of them" [ $(($(column prepare) + $(column commit) + $(column pre-prepare))) -eq $(($(column batches) * 24)) ]
check "there were many" [ "$(column transactions)" -eq 1280 ] && check "... in few batches" [ "$(column batches)" -lt 30 ]
check "a checkpoint costs N(N-1)" eval 'csv --replicas 4 --batches 128 && is checkpoint 12'
check "a view change" csv --replicas 7 --view-change
check "it is told as such" is phase view-change
check "each kind with a formula is as it says" is exact yes
check "the new primary sends NEW-VIEW to each" is new-view 6
check "VIEW-CHANGEs of those that are left" is view-change 36
check "what is over a number's range is null in JSON" eval 'messages --of simulator --replicas 40 --batches 1 -o json | grep -q "\"oral\":{\"messages\":null,\"ran\":false}"'
check "JSON" eval 'messages --of simulator --replicas 7 -o json | grep -q "\"oral\":{\"messages\":156,\"ran\":true}"'
check "a picture" messages --of simulator --replicas 4,7,10 --plot "$home/picture.svg"
check "it is one" grep -q '2N(N-1)' "$home/picture.svg"
check "more silent than the group bears is refused" exits_with 2 messages --replicas 4 --silent 2
check "so are no numbers" exits_with 2 messages --replicas 4,x
check "... and a silent one beside the primary that dies" exits_with 2 messages --replicas 4 --silent 1 --view-change
check "... none between" exits_with 2 messages --replicas 4,,7
check "... and too large ones" exits_with 2 messages --replicas 129
check "... and a batch of nothing" exits_with 2 messages --batch 0
# real processes. With a silent backup, or a dead primary, each of the other three is needed for all that is ordered: their votes are
# as many as the formulas say, however slow the machine is. Without faults one of the four may have been late.
real() { messages -o csv --dir "$home" --base-port "$base" --replicas 4 "$@" >"$home/csv"; }
at_most() { [ "$(column "$1")" -le "$2" ] || { echo "$1 is $(column "$1"), more than $2"; return 1; }; }
at_least() { [ "$(column "$1")" -ge "$2" ] || { echo "$1 is $(column "$1"), less than $2"; return 1; }; }
# unless its view changed meanwhile, which needs a machine that stands still for 5 s
each_batch() { [ "$(column views)" -gt 0 ] || is "$1" $(($(column batches) * $2)); }
check "processes beside the simulator" real --batches 4
check "both are there" eval '[ "$(grep -c "^batches,simulator,4,1,0,4,4," "$home/csv")" = 1 ] && is of processes'
check "each transaction was alone" eval 'is transactions 4 && at_least batches 4'
check "a request for each" at_least request 4
check "a pre-prepare to each backup" each_batch pre-prepare 3
batches=$(column batches)
check "prepares of two backups at least" eval 'at_least prepare $((6 * batches)) && at_most prepare $((9 * batches))'
check "commits of three at least" eval 'at_least commit $((9 * batches)) && at_most commit $((12 * batches))'
check "answers of two at least" eval 'at_least reply 8 && at_least reply-bytes 800'
check "with a silent backup" real --of processes --silent 1 --batches 4
check "pre-prepares go to it too" each_batch pre-prepare 3
check "two prepare" each_batch prepare 6
check "three commit" each_batch commit 9
check "two or three answer" eval 'at_least reply 8 && at_most reply $((3 * $(column batches)))'
check "the primary dies" real --of processes --view-change --batches 2
check "it is told as such" is phase view-change
check "the view is left" at_least views 1
once() { [ "$(column views)" -gt 1 ] || is "$1" "$2"; }
proposed=$(($(column proposed-again) + $(column batches)))
check "what was ordered is proposed again" at_least proposed-again 3
check "three VIEW-CHANGEs to three" once view-change 9
check "a NEW-VIEW to each" once new-view 3
check "two prepare what is proposed again" once prepare $((proposed * 6))
check "three commit it" once commit $((proposed * 9))
check "several requests in a batch" real --of processes --batch 8 --batches 8
check "... are ordered" eval 'is transactions 64 && at_most batches 64'
check "... one pre-prepare for each batch" each_batch pre-prepare 3
check "more than 13 are left to the simulator" eval 'messages --replicas 16 --batches 1 -o csv >"$home/csv" && is of simulator && is replicas 16'
check "... and refused where processes are asked for" exits_with 2 messages --of processes --replicas 4,16
check "without pbft-evil nobody is silent" eval '! PBFT_EVIL=$home/none real --of processes --silent 1'
check "nothing is left of these groups" eval '[ -z "$(find "$home" -maxdepth 1 -name "pbft-bench-*")" ]'
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
