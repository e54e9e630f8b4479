#!/bin/bash
# cli_basic.sh - the commands of the five-minute tour against four real replicas: answers, formats, exit codes.
. "${0%/*}/lib.sh"

if start_devnet; then pass "devnet up ends with a committed transaction"; else fail "devnet up ends with a committed transaction"; end_tests; fi
check_says "up says block, view and who matched" '^ok: block 1, view 0, .*matched by replicas [0-9]' "$work/up.out"
check "up again is harmless" "$pbft" devnet up
check_says "up again starts nothing" '0 of them started now' "$work/out"
check "up in JSON" "$pbft" -o json devnet up
check_says "up in JSON has the transaction" '"client_sequence": 3' "$work/out"
exec 8<"$PBFT_HOME/clients/default.journal" && flock -n 8
check "up again while a program has the client's journal" "$pbft" devnet up
check_says "it says why it submitted nothing" 'no transaction was submitted: another process uses client "default"'
exec 8<&-
check_exit "up with another number of replicas" 2 "$pbft" devnet up --replicas 7

# keys and values
check "put" "$pbft" put greeting hello
check "get" "$pbft" get greeting
check_says "get gives the value" '^hello$' "$work/out"
check "get in JSON" "$pbft" get greeting -o json
check_says "get in JSON gives the value" '"value": "hello"' "$work/out"
check "get of what up wrote" "$pbft" get devnet/hello
check_exit "get of an absent key" 1 "$pbft" get nothing
check_says "get of an absent key says so" '^pbft: get: there is no key "nothing"'
check_exit "get of an absent key in JSON" 1 "$pbft" get nothing -o json
check_says "get of an absent key in JSON" '"found": false' "$work/out"
check "cas that matches" "$pbft" cas greeting hello bonjour
check_exit "cas that does not" 1 "$pbft" cas greeting hello hola
check_says "cas shows the current value" 'current value is "bonjour"'
check_exit "cas --absent of a key that is there" 1 "$pbft" cas --absent greeting x
check "cas --absent of one that is not" "$pbft" cas --absent fresh x
check "put of an empty value" "$pbft" put empty ""
check "put of bytes that are not UTF-8" "$pbft" put bytes $'\xff\xfe'
check "get of them in JSON" "$pbft" get bytes -o json
check_says "they come in hexadecimal" '"value_hex": "fffe"' "$work/out"
check "put of words that start with -" "$pbft" put -- -k -v
check "get of a key that starts with -" "$pbft" get -- -k
check "del" "$pbft" del fresh
check_exit "del of an absent key" 1 "$pbft" del fresh
"$pbft" list >"$work/list" 2>&1
printf -- '-k\t-v\nbytes\t\xff\xfe\ndevnet/hello\thello from a group of 4\nempty\t\ngreeting\tbonjour\n' >"$work/wanted"
check_same "list is in the order of the keys" "$work/wanted" "$work/list"
check "list with a prefix" "$pbft" list gree
check_says "list with a prefix has what it should" '^greeting	bonjour$' "$work/out"
check "list of a prefix that nothing has" "$pbft" list zzz
check "eight puts at once" bash -c "seq 8 | xargs -P 8 -I{} '$pbft' put many/{} {}"
check "their list" "$pbft" list many/
[ "$(wc -l <"$work/out")" -eq 8 ] && pass "all eight are there" || fail "all eight are there" "$work/out"

# the log
check "log cat of an empty log" "$pbft" log cat
printf 'one\n\n  two\t\r\nno newline at the end \xff\x00x' >"$work/small"
check "log append --lines" "$pbft" log append --lines "$work/small"
check_says "its summary" 'log append: 4 lines, 38 bytes in .*transactions/s, blocks'
"$pbft" log cat >"$work/cat" 2>/dev/null
check_same "log cat gives it back byte for byte" "$work/small" "$work/cat"
check "the same file again" "$pbft" log append --lines "$work/small"
"$pbft" log cat >"$work/cat" 2>/dev/null
check_same "lands only once" "$work/small" "$work/cat"
check "an empty file" "$pbft" log append --lines /dev/null
check_says "an empty file: nothing to do" 'is empty'
check "log append of a whole file" "$pbft" log append "$work/small"
check_says "it is record 4" '^record 4 ok' "$work/out"
"$pbft" log cat --from 4 >"$work/cat" 2>/dev/null
check_same "log cat --from gives that record" "$work/small" "$work/cat"
printf 'from standard input' | "$pbft" log append - >"$work/out" 2>&1 && pass "log append -" || fail "log append -" "$work/out"
head -c 1000000 /dev/zero >"$work/large"
check "a record of 1,000,000 bytes" "$pbft" log append "$work/large"
head -c 1048577 /dev/zero >"$work/large"
check_exit "a record over 1 MiB" 2 "$pbft" log append "$work/large"
check_says "it says what fits" 'a record of 1047552 fits'
head -c 1047552 /dev/zero >"$work/fits"
check "a record of that size" "$pbft" log append "$work/fits"
check_exit "a line over 1 MiB" 2 "$pbft" log append --lines "$work/large"
check_exit "a file that is not there" 4 "$pbft" log append "$work/none"
check "log cat in JSON" "$pbft" log cat -o json
check_says "one object for a record" '^\{"index":0,"record":"one\\n"\}$' "$work/out"

# status, ledger
check "status" "$pbft" status
check_says "status names the primary" '^0 +primary +synced' "$work/out"
check "status in JSON" "$pbft" status -o json
[ "$(grep -c '"role": "backup"' "$work/out")" -eq 3 ] && pass "three backups" || fail "three backups" "$work/out"
check_says "status counts re-sent messages apart" '"resent": ' "$work/out"
check "devnet status" "$pbft" devnet status
try_until 20 all_level && pass "all replicas get level" || fail "all replicas get level" "$work/level"
check "ledger show" "$pbft" ledger show "$PBFT_HOME/r0" 1
check "ledger show in JSON" "$pbft" ledger show "$PBFT_HOME/r2" 1 -o json
check_exit "ledger show of a block that is not there" 1 "$pbft" ledger show "$PBFT_HOME/r0" 999999
check_exit "ledger export of no data directory" 4 "$pbft" ledger export "$work"
check "ledger export in JSON" "$pbft" ledger export "$PBFT_HOME/r0" -o json

# wrong words
check_exit "no command" 2 "$pbft"
check_exit "an unknown command" 2 "$pbft" frobnicate
check_exit "an unknown verb" 2 "$pbft" devnet sideways
check_exit "a word missing" 2 "$pbft" put onlykey
check_exit "a word too many" 2 "$pbft" get a b
check_exit "an unknown option" 2 "$pbft" get a --quickly
check_exit "an unknown format" 2 "$pbft" -o yaml status
check_exit "an empty key" 2 "$pbft" put "" x
check_exit "a key over the limit" 2 "$pbft" put "$(head -c 479 /dev/zero | tr '\0' k)" x
check_exit "a bad replica id" 2 "$pbft" devnet kill 4
check_exit "a number that is none" 2 "$BIN/pbft-bench" load --seconds soon
check_says "pbft-bench names the option, the value and the bounds" '^pbft-bench: --seconds is "soon"; give a number from 0.1 to 86400$'
check_exit "a number out of bounds" 2 "$BIN/pbft-bench" load --in-flight=65
check_says "it is named too" '^pbft-bench: --in-flight is "65"; give a number from 1 to 64$'
check_exit "a word that is none" 2 "$BIN/pbft-bench" recover --how gently
check_says "as a word" '^pbft-bench: --how is "gently"; give kill, stop, pause, random, roll or watch$'
for words in "" devnet "devnet up" put log "log append" status ledger "ledger export" key group; do
    # shellcheck disable=SC2086
    check "help: pbft $words --help" "$pbft" $words --help
done

# what cannot be used
check_exit "a home without a group" 4 "$pbft" --home "$work/nowhere" get a
check_exit "a client without a key" 4 "$pbft" --client nobody put a b
"$pbft" key new "$PBFT_HOME/clients/stranger.pem" >/dev/null 2>&1
check_exit "a client that is not registered" 4 "$pbft" --client stranger put a b
check_exit "a reader may not write" 1 "$pbft" --client reader put a b
chmod 644 "$PBFT_HOME/clients/default.pem"
check_exit "a key that others can read" 4 "$pbft" put a b
chmod 600 "$PBFT_HOME/clients/default.pem"
check_exit "output that takes no more" 4 bash -c "'$pbft' get greeting >/dev/full"

# closed descriptors: no file of the program's own may get their numbers
check_exit "a write whose answer cannot be printed" 4 bash -c "exec '$pbft' put kk vv >&-"
check_says "it says so" 'cannot write to standard output'
[ ! -s "$PBFT_HOME/clients/default.lock" ] && [ "$(wc -c <"$PBFT_HOME/clients/default.journal")" -eq 8 ] &&
    pass "lock and journal hold nothing of it" || fail "lock and journal hold nothing of it" "$PBFT_HOME/clients/default.lock"
check "the next write" "$pbft" put kk ww
for words in --version --help "key --help" "key new $work/closed.pem" "devnet --help" status; do
    check_exit "pbft $words with a closed output" 4 bash -c "exec '$pbft' $words >&-"
done
check_exit "an input that is closed" 4 bash -c "exec '$pbft' log append - <&-"
check_exit "pbft-bench with a closed output" 4 bash -c "exec '$BIN/pbft-bench' load --seconds 0.1 --warm-up 0 >&-"
"$pbft" devnet stop 3 >/dev/null 2>&1
"$pbftd" --config "$PBFT_HOME/conf/r3.conf" 0<&- 1>&- 2>&- &
closed=$!
try_until 20 all_level && pass "a replica whose descriptors are closed takes part" || fail "a replica whose descriptors are closed takes part" "$work/level"
kill $closed
wait $closed
[ ! -s "$PBFT_HOME/r3/LOCK" ] && pass "and writes nothing into its lock" || fail "and writes nothing into its lock" "$PBFT_HOME/r3/LOCK"
check "it starts again" "$pbft" devnet start 3 --timeout 60000

mkdir -p "$work/theirs/clients"
sed 's/"name": "devnet"/"name": "theirs"/' "$PBFT_HOME/group.json" >"$work/theirs/group.json"
cp "$PBFT_HOME/clients/default.pem" "$work/theirs/clients"
check_exit "another group's file" 4 "$pbft" --home "$work/theirs" put a b --timeout 60000
check_says "it names the file and what to do" "belong to another group than $work/theirs/group.json describes: get the group file .*compare\)\$"
check_exit "status with another group's file" 4 "$pbft" --home "$work/theirs" status

# down and up
check "devnet down" "$pbft" devnet down
check "devnet down again is harmless" "$pbft" devnet down
same_exports && pass "the ledgers are the same four times" || fail "the ledgers are the same four times" "$work/err" "$work/cmp"
"$pbft" ledger export "$PBFT_HOME/r0" | head -n -1 >"$work/before"
check_exit "status when nothing runs" 3 "$pbft" status
check_exit "put when nothing runs" 3 "$pbft" put a b --timeout 500
check_says "put says how many replicas answer" '0 of 4 replicas answer.*the primary is unknown'
check "up after down" "$pbft" devnet up --timeout 60000
"$pbft" ledger export "$PBFT_HOME/r3" | head -n "$(wc -l <"$work/before")" >"$work/after"
check_same "it is the same ledger" "$work/before" "$work/after"
check "it is the same state" "$pbft" get greeting
check_says "it is the same value" '^bonjour$' "$work/out"
check "and goes on committing" "$pbft" put greeting again
end_tests
