#!/bin/bash
# cli_import.sh - a real file, line by line: byte for byte back, also when the client is killed, when a backup is killed, and
# when the client's sequences are used for something else in between. E2E_LINES: how many lines (default 100,000).
. "${0%/*}/lib.sh"
lines=${E2E_LINES:-100000}
file=$work/file

if start_devnet; then pass "devnet up"; else fail "devnet up"; end_tests; fi
real_lines "$lines" "$file" && pass "a real file of $lines lines" || { fail "a real file of $lines lines"; end_tests; }
before=$(entries)

# the client is killed in the middle, and one backup too
"$pbft" log append --lines "$file" >/dev/null 2>"$work/err" </dev/null &
importer=$!
try_until 300 entries_reached $((before + lines / 5)) && pass "a fifth of the lines is in" || fail "a fifth of the lines is in" "$work/err"
check "a backup is killed" "$pbft" devnet kill 2
check_says "kill prints its id" '^2$' "$work/out"
try_until 300 entries_reached $((before + lines / 3)) && pass "the import goes on without it" || fail "the import goes on without it" "$work/err"
kill -9 $importer
wait $importer 2>/dev/null
[ -s "$PBFT_HOME/clients/default.import" ] && pass "a killed import leaves its record" || fail "a killed import leaves its record"
printf 'another file\n' >"$work/other"
check_exit "an import of another file is refused meanwhile" 2 "$pbft" log append --lines "$work/other"
check_says "and told how to go on" 'unfinished.*--restart'
check "the backup starts again" "$pbft" devnet start 2 --timeout 60000
check "the same command again ends the import" "$pbft" log append --lines "$file" -o json --timeout 60000
check_says "it continued" 'continuing at line [0-9]+ of'
check_says "all lines are in" "\"lines\": $lines" "$work/out"
[ ! -e "$PBFT_HOME/clients/default.import" ] && pass "the record is gone" || fail "the record is gone"
[ "$(entries)" -eq $((before + lines)) ] && pass "one ledger entry for each line, none twice" ||
    fail "one ledger entry for each line, none twice: $(entries) entries, $((before + lines)) expected"
"$pbft" log cat >"$work/cat" 2>"$work/err"
check_same "log cat gives the file back byte for byte" "$file" "$work/cat"

# interrupted by its user, then the client is used for something else, more often than the window is wide
head -n 3000 "$file" | tac >"$work/second"
total=$(entries)
"$pbft" log append --lines "$work/second" >/dev/null 2>"$work/importer" </dev/null &
importer=$!
try_until 60 entries_reached $((total + 500))
kill -STOP $importer # it still has the client
check "up again, beside an import" "$pbft" devnet up
check_says "it says why it submitted nothing" 'no transaction was submitted: another process uses client "default"'
check_says "and goes on as ever" 'type next, for instance'
check "up again in JSON" "$pbft" devnet up -o json
check_says "without a transaction" '"transaction": null' "$work/out"
kill -CONT $importer
kill -TERM $importer
wait $importer
[ $? -eq 3 ] && pass "an interrupted import ends with 3" || fail "an interrupted import ends with 3" "$work/importer"
check_says "and says how far it got" 'lines in the log: [0-9]+ of 3000; the same command again continues' "$work/importer"
for i in $(seq 70); do echo "$i"; done | xargs -I{} "$pbft" put between {} >/dev/null 2>"$work/err" &&
    pass "70 transactions in between" || fail "70 transactions in between" "$work/err"
check "the import ends nevertheless" "$pbft" log append --lines "$work/second"
"$pbft" log cat --from "$lines" >"$work/cat" 2>"$work/err"
check_same "byte for byte, nothing lost and nothing twice" "$work/second" "$work/cat"

check "the same file once more" "$pbft" log append --lines "$work/second"
check_says "its lines are said to be there" '; 3000 lines were in the log already'
check_exit "a command without its word" 2 "$pbft" devnet kill
check_says "one word is one" '1 word needed: ID'
"$pbft" log cat --from "$lines" >"$work/cat" 2>"$work/err"
check_same "and nothing was appended" "$work/second" "$work/cat"

# forgetting one
"$pbft" log append --lines "$work/cat" --client default >/dev/null 2>&1
head -n 2000 "$file" | tail -n 1900 >"$work/third"
total=$(entries)
"$pbft" log append --lines "$work/third" >/dev/null 2>&1 </dev/null &
importer=$!
try_until 60 entries_reached $((total + 200))
kill -9 $importer
wait $importer 2>/dev/null
check "--restart forgets an unfinished import" "$pbft" log append --lines "$work/other" --restart

try_until 60 all_level && pass "all replicas get level" || fail "all replicas get level" "$work/level"
try_until 20 same_exports && pass "four identical exports, beside running replicas" ||
    fail "four identical exports, beside running replicas" "$work/err" "$work/cmp"
check "devnet down" "$pbft" devnet down
same_exports && pass "four identical exports" || fail "four identical exports" "$work/err" "$work/cmp"
check "devnet up" "$pbft" devnet up --timeout 60000
check "the ledger goes on" "$pbft" put after restart
end_tests
