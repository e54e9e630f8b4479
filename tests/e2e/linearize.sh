#!/bin/bash
# linearize.sh - two clients share four keys, one with all operations, one, a reader, with gets by quorum, while replicas are killed (kill -9), the primary too,
# and started again: one order fits all that they asked and got. HISTORY_SECONDS: how long (default 12).
. tests/e2e/kit.bash
seconds=${HISTORY_SECONDS:-12}
sim=$bin/pbft-sim
check "a group of four comes up" group_up 500
"$bin/pbft-bench" history --home "$PBFT_HOME" --client default,reader --in-flight 6 --keys 4 --seconds "$seconds" \
    --history "$home/history" >"$home/bench" 2>&1 &
bench=$!
kills=0
until=$((SECONDS + seconds - 3))
while [ "$SECONDS" -lt "$until" ]; do
    read -r -t 1 <> <(:) || true
    if [ $((kills % 2)) -eq 0 ]; then who=primary; else who=$((RANDOM % 4)); fi
    victim=$(pbft devnet kill "$who") || continue
    kills=$((kills + 1))
    id=${victim//[^0-9 ]/}
    read -r -t 1 <> <(:) || true
    pbft devnet start "$(awk '{ print $1 }' <<<"$id")" >/dev/null 2>&1
done
wait "$bench"
code=$?
sed 's/^/# /' "$home/bench"
echo "# $kills kills"
check "the clients came to an end" [ "$code" -eq 0 ]
check "replicas were killed meanwhile" [ "$kills" -gt 0 ]
check "one order fits what the clients asked and got" "$sim" linearize "$home/history"
sed 's/^/# /' "$home/last"
check "it holds enough to be worth it" [ "$(wc -l <"$home/history")" -gt 100 ]
check "... gets that saw something" grep -q '"op":"get".*"result":"value' "$home/history"
# the same with the last read of a value put in the place of an older one
stale() {
    awk -v OFS= '/"op":"get".*"result"/ { line = NR; last = $0 } { all[NR] = $0 } END { sub(/"result":"[^"]*"/, "\"result\":\"value 0\"", all[line]); for (i = 1; i <= NR; i++) print all[i] }' "$1"
}
stale "$home/history" >"$home/stale"
check "a value that nobody wrote is seen" exits_with 1 "$sim" linearize "$home/stale"
head -n 20 "$home/history" >"$home/cut"
check "a history that is cut is refused" exits_with 2 "$sim" linearize "$home/cut"
