#!/bin/bash
# check.sh - pbft ledger check: a good directory, also of a running replica; one byte of a state, of an old block and of a block above the
# state changed on the disk is found and named, and --repair lets the replica mend itself from the others.
. tests/e2e/kit.bash
# settled N: all have executed the same, N or more, and it is on the disk of each
settled() { all_equal && [ "$(sequence 0)" -ge "$1" ] && exports_equal; }
good() { pbft ledger check "$PBFT_HOME/r$1"; }
all_good() { good 0 && good 1 && good 2 && good 3; }
# flip FILE TEXT: one byte in each place where the text stands
flip() {
    local at
    for at in $(grep -abo "$2" "$1" | cut -d: -f1); do printf X | dd of="$1" bs=1 seek="$at" conv=notrunc status=none || return 1; done
    [ -n "${at-}" ]
}
# is ID CONDITION: what status says of it
is() { [ "$(pbft -o json status | tr -d ' ",' | awk -F: -v id="$1" '$1 == "id" { on = $2 == id } on && $1 == "condition" { print $2 }')" = "$2" ]; }
hex() { printf '%s' "$1" | od -An -tx1 | tr -d ' \n'; }
# faulty ID PATTERN: check says 5, names the place, and the command that repairs
faulty() {
    exits_with 5 pbft ledger check "$PBFT_HOME/r$1" >"$home/out" 2>"$home/err" || return 1
    cat "$home/err"
    grep -q "$2" "$home/err" && grep -q -- "--repair" "$home/err"
}
# missing ID: nothing is wrong, but not all is there
missing() { exits_with 1 pbft ledger check "$PBFT_HOME/r$1"; }
repair() { pbft ledger check "$PBFT_HOME/r$1" --repair; }
# log_has ID EVENT: more lines of the replica's log have it than `before` says
log_has() { [ "$(count_lines "event=$2" "$PBFT_HOME/run/r$1.log")" -gt "$before" ]; }
note_log() { before=$(count_lines "event=$2" "$PBFT_HOME/run/r$1.log"); }
state_value="a value in the state that stands nowhere else 271828"
block_value="a value in an old block that stands nowhere else 314159"
many_value="a value that stands under many keys 173205"
late_value="a value above the state that stands nowhere else 141421"

check "a group of four comes up" pbft devnet up
check "it commits a value" pbft put the-key "$state_value"
check "and another, that is overwritten" eval 'pbft put gone "$block_value" && pbft put gone short'
check "and one under 25 keys" eval 'for k in $(seq 25); do pbft put "many$k" "$many_value" || exit 1; done'
check "it commits a few hundred batches" "$bin/pbft-bench" load --home "$PBFT_HOME" --in-flight 4 --warm-up 0 --seconds 4
for round in 1 2 3 4; do past 0 270 || "$bin/pbft-bench" load --home "$PBFT_HOME" --in-flight 4 --warm-up 0 --seconds 4 >/dev/null 2>&1; done
check "two checkpoints and more are there" eventually 20 settled 270
check "each directory is good, beside the running replica" all_good
check "the summary in JSON" eval 'pbft -o json ledger check "$PBFT_HOME/r2" | tee "$home/json" && grep -q "\"faults\": 0" "$home/json" && grep -q "\"missing_count\": 0" "$home/json"'
check "a directory that is none is refused" exits_with 4 pbft ledger check "$home"
check "--repair beside a running replica is refused" exits_with 4 pbft ledger check "$PBFT_HOME/r3" --repair
check "and changes nothing" good 3

# the state
check "replica 3 is stopped" pbft devnet stop 3
check "its directory is good" good 3
check "--repair finds nothing to do" eval 'repair 3 && good 3'
check "in a copy one byte of 25 values is changed" eval 'cp -a "$PBFT_HOME/r3" "$home/many" && flip "$home/many/state/data.mdb" "$many_value"'
check "check says 5, all 25 in the summary, and lists 20" eval 'exits_with 5 pbft ledger check "$home/many" >"$home/out" 2>"$home/err" && grep -q "^faults  *25$" "$home/out" && [ "$(grep -c "^state: key" "$home/err")" -eq 20 ] && grep -qx "and 5 more faults" "$home/err"'
check "one byte of a value in its state is changed" flip "$PBFT_HOME/r3/state/data.mdb" "$state_value"
check "check names the key" faulty 3 "^state: key 0001$(hex the-key): its value is not the one that the tree names"
check "--repair" eval 'repair 3 | tee "$home/out" && grep -q "^next  *start replica 3" "$home/out"'
check "the state waits for its repair" missing 3
note_log 3 transfer.done
check "it is started" pbft devnet start 3
check "it repairs its state from the others" eventually 60 log_has 3 transfer.done
check "the group commits beside it" pbft put during repair
check "four exports are equal" eventually 60 exports_equal
check "its directory is good again" eventually 20 good 3
check "it has the value" eval '[ "$(pbft get the-key)" = "$state_value" ]'

# an old block, whose value is in no state
check "replica 2 is stopped" pbft devnet stop 2
check "one byte in an old block's batch is changed" flip "$PBFT_HOME/r2/log/data.mdb" "$block_value"
check "check names the block" faulty 2 "^log: block [0-9]*: its batch "
check "--repair" repair 2
check "the block is missing now" missing 2
check "so an export waits" exits_with 1 pbft ledger export "$PBFT_HOME/r2"
check "it is started" pbft devnet start 2
check "it fetches the block: four exports are equal" exports_become_equal
check "its directory is good again" eventually 20 good 2

# a block above the state
while [ $(($(sequence 0) % 128)) -ge 126 ]; do pbft put filler x >/dev/null; done # it is not to be the checkpoint's block
check "a value in the last blocks" pbft put late "$late_value"
check "all have it" eventually 20 settled 270
check "replica 1 is stopped" pbft devnet stop 1
check "one byte in its last blocks is changed" flip "$PBFT_HOME/r1/log/data.mdb" "$late_value"
check "check finds it" faulty 1 "^log: block [0-9]*: its batch "
check "--repair" repair 1
check "it is started" pbft devnet start 1
check "a prepared certificate was for that batch: it follows without a vote at first" eventually 20 grep -q "event=replica.fenced.*reason=" "$PBFT_HOME/run/r1.log"
check "and takes part again" eventually 120 is 1 synced
check "it has fetched and executed it again: four exports are equal" exports_become_equal
check "all directories are good" eventually 60 all_good

# pages: what is not a value, but what LMDB finds it by
# page FILE: the newer meta page's root of the table of tables (in it, at 128)
page() {
    local meta=0
    [ "$(od -An -t u8 -j 144 -N 8 "$1")" -gt "$(od -An -t u8 -j $((4096 + 144)) -N 8 "$1")" ] || meta=4096
    od -An -t u8 -j $((meta + 128)) -N 8 "$1" | tr -d ' '
}
spoil() { head -c 24 /dev/urandom | dd of="$1" bs=1 seek=$(($(page "$1") * 4096)) conv=notrunc status=none; }
# starts_not ID: pbftd ends with 5
starts_not() { exits_with 5 "$bin/pbftd" --config "$PBFT_HOME/conf/r$1.conf" >"$home/out" 2>&1; }
check "replica 3 is stopped again" pbft devnet stop 3
check "a page of its state is garbage" spoil "$PBFT_HOME/r3/state/data.mdb"
check "check names the page" faulty 3 "^store .*/r3/state: page $(page "$PBFT_HOME/r3/state/data.mdb") (.*) is damaged"
check "the replica does not start, and says how it is repaired" eval 'starts_not 3 && grep -q "ledger check .*/r3 --repair" "$home/out"'
check "--repair makes a new state" eval 'repair 3 | tee "$home/out" && grep -q "^arranged  *the state, whose pages were damaged" "$home/out"'
check "it waits for its repair" missing 3
note_log 3 transfer.done
check "it is started" pbft devnet start 3
check "it takes its state from the others" eventually 60 log_has 3 transfer.done
check "four exports are equal" exports_become_equal
check "its directory is good again" eventually 60 good 3
check "it has the value again" eval '[ "$(pbft get the-key)" = "$state_value" ]'
check "replica 2 is stopped again" pbft devnet stop 2
check "a page of its log is garbage" spoil "$PBFT_HOME/r2/log/data.mdb"
check "check says 5, and asks for a new directory" eval 'exits_with 5 pbft ledger check "$PBFT_HOME/r2" 2>"$home/err" && cat "$home/err" && grep -q "r2/log: page .* is damaged.*move the data directory away.*--init" "$home/err"'
check "--repair says so too" eval 'exits_with 5 pbft ledger check "$PBFT_HOME/r2" --repair 2>"$home/err" && grep -q -- "--init" "$home/err"'
check "the replica says so too" eval 'starts_not 2 && grep -q "r2/log: page .*move the data directory away.*--init" "$home/out"'
check "with a new directory" eval 'mv "$PBFT_HOME/r2" "$home/away" && "$bin/pbftd" --config "$PBFT_HOME/conf/r2.conf" --init'
check "it starts" pbft devnet start 2
check "and has everything in the end" eventually 120 good 2

# one replica alone
export PBFT_HOME=$home/alone
check "a group of one" eval '"$bin/pbft" devnet up --replicas 1 --base-port $((base + 50)) && "$bin/pbft" put a b && "$bin/pbft" devnet stop 0; [ -d "$PBFT_HOME/r0" ]'
check "is good" good 0
check "the directory of another group is refused" exits_with 4 pbft ledger check "$home/net/r0"
check "and has nobody to repair from" exits_with 4 pbft ledger check "$PBFT_HOME/r0" --repair
"$bin/pbft" devnet down >/dev/null 2>&1
export PBFT_HOME=$home/net
