#!/bin/bash
# http.sh - the pages of each replica's HTTP port, and `pbft why`: with a whole group, with a majority killed, and with clients
# that send nonsense or only hold connections. It speaks HTTP through bash's /dev/tcp.
. tests/e2e/kit.bash
trap '' PIPE # a connection that is refused ends a request, not this script
code() { page "$1" "$2" >/dev/null && [ "$(head -n 1 "$home/answer" | cut -d ' ' -f 2)" = "$3" ]; }
says() { grep -qE -- "$1" "$home/answer"; }
# answered PATTERN TEXT: replica 0's answer to the text matches
answered() { request 0 "$2"; says "$1" || { head -c 300 "$home/answer"; false; }; }

up() { pbft devnet up && pbft devnet down && for c in "$PBFT_HOME"/conf/r*.conf; do printf '[tuning]\ntimeout_ms = 60000\n' >>"$c"; done && pbft devnet up; }
check "a group of four comes up" up
check "every replica has committed the first transactions" eventually 30 all_equal
for id in 0 1 2 3; do
    check "replica $id lives" code "$id" /livez 200
    check "replica $id is ready" code "$id" /readyz 200
    check "and says so" says '^ready'
done
check "/v1/status" code 0 /v1/status 200
check "is JSON with the condition, the window and the peers" eval 'says "\"condition\": \"synced\"" && says "\"high\": 256" && says "\"peers\": \["'
check "says the same sequence as pbft status" says "\"sequence\": $(sequence 0)"
check "/metrics" code 0 /metrics 200
check "is text for Prometheus" says '^Content-Type: text/plain; version=0.0.4'
before=$(metric 1 pbft_commit_latency_seconds_count)
syncs=$(metric 1 pbft_syncs_total)
for i in 1 2 3 4 5; do pbft put "key$i" "value$i" >/dev/null 2>&1; done
grew() { [ "$(metric 1 pbft_sequence)" = "$(sequence 1)" ] && [ "$(metric 1 pbft_commit_latency_seconds_count)" -ge $((before + 5)) ] && [ "$(metric 1 pbft_syncs_total)" -gt "$syncs" ]; }
check "sequence, commit latency and syncs grow with five transactions" eventually 30 grew
check "messages are counted by type, direction and peer" [ "$(metric 1 'pbft_messages_total{type="COMMIT",direction="sent",peer="2"}')" -ge 5 ]
check "and their bytes" [ "$(metric 1 'pbft_message_bytes_total{type="COMMIT",direction="sent",peer="2"}')" -ge 500 ]
well_formed() { page 1 /metrics | tr -d '\r' | sed '1,/^$/d' | awk '/^# (HELP|TYPE) / { known[$3] = 1; next } { name = $1; sub(/\{.*/, "", name); sub(/_(bucket|sum|count)$/, "", name); if (NF != 2 || !(name in known) || $2 !~ /^[0-9.]+$/ || seen[$1]++) { print; bad = 1 } } END { exit bad }'; }
check "every sample has HELP and TYPE, a number, and stands there once" well_formed
fine() { pbft why >"$home/why" && grep -q '^Nothing stalls: 4 of 4 replicas answer, 3 are needed (f is 1).$' "$home/why"; }
check "why: nothing stalls" fine

# two are paused: their connections stay open, and nothing comes from them
check "replicas 2 and 3 are paused" eval 'pbft devnet pause 2 && pbft devnet pause 3'
hears() { code 0 /readyz 503 && says '^no-quorum: it hears of [01] of the 3 other replicas that can vote; a quorum is 3 of 4, itself included; replicas? .*2 and 3 are silent'; }
check "replica 0 is no longer ready, though it is connected to them" eventually 15 hears
check "it counts who can vote" eval '[ "$(metric 0 pbft_peers_voting)" -le 1 ] && [ "$(metric 0 pbft_peers_connected)" -eq 3 ]'
table() { pbft status >"$home/status" 2>&1; grep -qE '^0 .* no-quorum ' "$home/status" && grep -qE '^replica 0 is no-quorum: it hears of ' "$home/status"; }
check "pbft status says so too, and why" table
check "in JSON too" eval 'pbft -o json status | grep -q "\"reason\": \"no-quorum: it hears of "'
check "they go on" eval 'pbft devnet resume 2 && pbft devnet resume 3'
check "replica 0 is ready again" eventually 30 code 0 /readyz 200

# nonsense and greed
check "another page" code 0 /nothing 404
check "another method" answered '^HTTP/1.1 405' 'POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi'
check "a body" answered '^HTTP/1.1 400' 'GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n'
no_http() { request 0 '\x16\x03\x01garbage\r\n\r\n'; ! says '200 OK'; }
check "what is no HTTP is not answered" no_http
long=$(printf 'a%.0s' $(seq 60000))
oversize() { request 0 "GET /livez HTTP/1.1\r\nHost: a\r\nX: $long\r\n\r\n" 2>/dev/null; ! says '200 OK'; }
check "a header of 60,000 bytes is not answered" oversize
to=$(port 0)
held=()
for i in $(seq 40); do { exec {fd}<>"/dev/tcp/127.0.0.1/$to" && printf 'GET /li' >&"$fd" && held+=("$fd"); } 2>/dev/null; done
check "forty connections are opened and held" [ ${#held[@]} -ge 30 ]
check "the group commits all the same" pbft put held connections
check "replica 0 takes part" eventually 30 all_equal
check "the page comes once the first of them are given up" eventually 60 code 0 /livez 200
for fd in "${held[@]}"; do exec {fd}>&-; done

# two backups are gone while work is under way: the primary and the other backup, $p and $b, remain
primary() { pbft -o json status | tr -d ' ",' | awk -F: '$1 == "id" { id = $2 } $1 == "role" && $2 == "primary" { print id }'; }
p=$(primary) b=$(((p + 1) % 4)) x=$(((p + 2) % 4)) y=$(((p + 3) % 4))
gone="$((x < y ? x : y)) and $((x < y ? y : x))"
"$bin/pbft-bench" load --home "$PBFT_HOME" --seconds 60 --warm-up 0 >"$home/load.log" 2>&1 &
load=$!
at=$(sequence 0)
check "load is under way" eventually 30 past 0 $((at + 20))
check "replicas $gone, backups, are killed" eval 'pbft devnet kill $x && pbft devnet kill $y'
stalls() { code "$p" /readyz 503 && says '^no-quorum: it is connected to 1 of the 3 other replicas; a quorum is 3 of 4'; }
check "the primary is not ready, and says why" eventually 30 stalls
check "it lives" code "$p" /livez 200
check "its status works" eval 'code "$p" /v1/status 200 && says "\"condition\": \"no-quorum\""'
check "its metrics work" [ "$(metric "$p" 'pbft_condition{condition="no-quorum"}')" = 1 ]
explains() { pbft why >"$home/why" 2>&1; [ $? -eq 3 ] && grep -qE "$1" "$home/why"; }
check "why ends with 3, and says how many are missing" eventually 30 explains '^No quorum: 2 of 4 replicas answer, 3 are needed'
check "which sequence waits for whose votes" eventually 30 explains '^Sequence [0-9]+ .* waits for [12] more (COMMIT|PREPARE)s?: .* voted, .* missing \(3 of 4 are needed\)'
sed 's/^/# /' "$home/why" | head -n 6
check "who does not answer" grep -q "^Replica $x does not answer: connection refused" "$home/why"
check "what to do" grep -q "^To do: start replicas $gone" "$home/why"
one() { pbft why --replica "$1" >"$home/why" 2>&1; [ $? -eq "$2" ]; }
check "one replica that is stalled: exit 1" one "$p" 1
check "its timer and the next primary" grep -qE "Timer: it leaves view [0-9]+ in [0-9]+ ms .* the next primary is replica $b" "$home/why"
check "one replica that is dead: exit 3" one "$x" 3
check "a replica that there is not: exit 2" one 4 2
facts() { pbft -o json why >"$home/why" 2>/dev/null; [ $? -eq 3 ] && grep -q '"verdict": "no-quorum"' "$home/why" && grep -q '"phase": "pr' "$home/why"; }
check "the facts in JSON" facts
check "the dead are started" eval 'pbft devnet start $x && pbft devnet start $y'
ready() { code "$p" /readyz 200 && code "$x" /readyz 200; }
check "all are ready again" eventually 60 ready
kill "$load" 2>/dev/null
wait "$load" 2>/dev/null
check "down" pbft devnet down
nobody() { pbft why >"$home/why" 2>&1; [ $? -eq 3 ] && grep -q '^No quorum: 0 of 4 replicas answer' "$home/why"; }
check "why without any replica ends with 3 and says that none answers" nobody
