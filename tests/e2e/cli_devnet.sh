#!/bin/bash
# cli_devnet.sh - processes: kill, start, pause, resume, stale and missing pid files, second daemons, ports in use, and what
# a stalled group says.
. "${0%/*}/lib.sh"

if start_devnet; then pass "devnet up"; else fail "devnet up"; end_tests; fi
base=$(number base_port <"$PBFT_HOME/devnet.json")

check_exit "more clients are for a new group" 2 "$pbft" devnet up --clients 2
check_says "it says so" 'has its clients already'

# pausing
check "pause" "$pbft" devnet pause 1
check "devnet status" "$pbft" devnet status
check_says "it is paused" '^1 +paused' "$work/out"
check "three replicas commit beside a paused one" "$pbft" put a c
check "pause a second" "$pbft" devnet pause 2
check_exit "two replicas cannot" 3 "$pbft" put a d --timeout 6000
check "resume" "$pbft" devnet resume 1
check "then it goes on" "$pbft" put a e --timeout 60000
check "up lets a paused one go on" "$pbft" devnet up --timeout 60000
check_says "and says so" 'replica 2 was paused'
try_until 20 all_level && pass "all replicas get level" || fail "all replicas get level" "$work/level"

# paused again and again while it is to end: once between the SIGCONT and the SIGTERM is enough to leave it there for ever
pause_until_it_ends() {
    local pid=$1 rounds
    for ((rounds = 0; rounds < 2000; rounds++)); do kill -STOP "$pid" 2>/dev/null || return; done
}
pause_until_it_ends "$(cat "$PBFT_HOME/run/r2.pid")" &
check "what is paused while it is to end ends" "$pbft" devnet stop 2
wait $!
check "and starts again" "$pbft" devnet start 2 --timeout 60000
try_until 20 all_level && pass "all replicas are level again" || fail "all replicas are level again" "$work/level"

# killing
check "a backup is killed" "$pbft" -o json devnet kill 3
check_says "kill in JSON" '"killed": 3' "$work/out"
check_exit "killing it again" 1 "$pbft" devnet kill 3
check "three replicas commit" "$pbft" put a b
check "status with one down" "$pbft" status
check_says "status says why it does not answer" '^3 .*no answer: .*refused' "$work/out"
check "start" "$pbft" devnet start 3 --timeout 60000
check "start of one that runs is harmless" "$pbft" devnet start 3
try_until 20 all_level && pass "it catches up" || fail "it catches up" "$work/level"

# pid files
pid=$(cat "$PBFT_HOME/run/r1.pid")
sleep 1000 &
stranger=$!
echo $stranger >"$PBFT_HOME/run/r1.pid"
check_exit "a pid file that names a stranger: kill" 1 "$pbft" devnet kill 1
check_says "the process without a pid file is named" "replica 1 has no pid file, but process $pid "
kill -0 $stranger 2>/dev/null && pass "the stranger lives" || fail "the stranger lives"
check_exit "up does not start a second one" 4 "$pbft" devnet up
check_exit "down says what remains" 3 "$pbft" devnet down
kill -0 $stranger 2>/dev/null && pass "the stranger still lives" || fail "the stranger still lives"
kill $stranger
wait $stranger 2>/dev/null
echo "$pid" >"$PBFT_HOME/run/r1.pid"
check "with its pid file it can be stopped" "$pbft" devnet down
echo 4194304 >"$PBFT_HOME/run/r0.pid"
check "a stale pid file" "$pbft" devnet up --timeout 60000

# daemons that must not start
check_exit "a second pbftd on one directory" 4 "$pbftd" --config "$PBFT_HOME/conf/r0.conf"
check_says "it says who is in the way" 'another process runs on the data directory'
check "devnet down" "$pbft" devnet down
check_exit "init of a directory that is there" 4 "$pbftd" --config "$PBFT_HOME/conf/r0.conf" --init
sed 's|data = ../r0|data = ../r1|' "$PBFT_HOME/conf/r0.conf" >"$PBFT_HOME/conf/wrong.conf"
check_exit "the data directory of another replica" 4 "$pbftd" --config "$PBFT_HOME/conf/wrong.conf"
printf '[replica]\ncolour = red\n' >"$PBFT_HOME/conf/wrong.conf"
check_exit "an unknown configuration key" 4 "$pbftd" --check-config --config "$PBFT_HOME/conf/wrong.conf"
check_says "with file and line" 'wrong.conf line 2: .*colour'
sed 's|production = no||' "$PBFT_HOME/conf/r0.conf" >"$PBFT_HOME/conf/wrong.conf"
check_exit "development keys in production" 4 "$pbftd" --check-config --config "$PBFT_HOME/conf/wrong.conf"
check "a good configuration" "$pbftd" --check-config --config "$PBFT_HOME/conf/r0.conf"
mv "$PBFT_HOME/keys/r2-signing.pem" "$work/key"
check_exit "up with a key missing" 4 "$pbft" devnet up
check_says "up shows the replica's last words" 'r2-signing.pem'
mv "$work/key" "$PBFT_HOME/keys/r2-signing.pem"
check "up with the key back" "$pbft" devnet up --timeout 60000
check_exit "a new devnet on ports in use" 4 "$pbft" --home "$work/other" devnet up --base-port "$base"
check_says "it names the port" "port $base is in use"
[ ! -e "$work/other" ] && pass "and has made nothing" || fail "and has made nothing"
cp -r "$PBFT_HOME" "$work/moved"
check_exit "start in a copy of this home, whose ports are taken by this one's" 4 "$pbft" --home "$work/moved" devnet start 0
check_says "it says that its own replica has ended" 'replica 0 has ended'
check_says "and why" 'Address already in use'
check_exit "up in such a copy" 4 "$pbft" --home "$work/moved" devnet up
mkdir "$work/foreign" && "$pbft" group new "$work/foreign/group.json" --name theirs >/dev/null 2>&1
check_exit "a home with another group" 4 "$pbft" --home "$work/foreign" devnet up
[ "$(ls -A "$work/foreign")" = group.json ] && pass "nothing was made in it" || fail "nothing was made in it"
truncate -s 40960 "$PBFT_HOME/r3/log/data.mdb" 2>/dev/null
"$pbft" devnet kill 3 >/dev/null 2>&1
check_exit "ledger export of a truncated file" 5 "$pbft" ledger export "$PBFT_HOME/r3"

# two of four are gone: the group stalls, and says so
check "three of four commit" "$pbft" put a c --timeout 20000
check "kill primary" "$pbft" devnet kill primary
check_says "kill primary prints its id" '^[0-2]$' "$work/out"
check_exit "put times out" 3 "$pbft" put a d --timeout 1500
check_says "it names the primary" 'the primary is replica [0-3] of view [0-9]'
check_exit "a read finds no quorum" 3 "$pbft" get a --timeout 1500
check "the rest stops" "$pbft" devnet down
check_exit "kill primary when nobody knows" 3 "$pbft" devnet kill primary

# making one was interrupted: what is complete is kept, the rest is made
rm -rf "$PBFT_HOME"
start_devnet && pass "a new devnet" || fail "a new devnet"
check "it stops" "$pbft" devnet down
rm -r "$PBFT_HOME/devnet.json" "$PBFT_HOME"/r[0-3] # no replica of this group has run: the fence would show it
for id in 0 1; do "$pbftd" --config "$PBFT_HOME/conf/r$id.conf" --init-new-group; done
mv "$PBFT_HOME/r1/log" "$PBFT_HOME/r1/log.making" # one step before the end of pbftd --init
check_exit "up of an unfinished one with other words" 2 "$pbft" devnet up --replicas 5
"$pbft" devnet up >"$work/out" 2>"$work/err" </dev/null && pass "up makes what is missing" ||
    fail "up makes what is missing" "$work/err"
check "and commits" try_until 20 "$pbft" ledger show "$PBFT_HOME/r2" 1
check "it stops" "$pbft" devnet down

# a home that a shell would not read as one word
odd="$work/it's a  \$HOME; ö"
"$pbft" --home "$odd" devnet up --base-port "$base" --timeout 60000 >"$work/out" 2>"$work/err" </dev/null && pass "up in a home with an odd name" ||
    fail "up in a home with an odd name" "$work/err"
steps=$(sed -n 's/^    //p' "$work/err")
check "what it says to type next can be typed" bash -ec "$steps"
check_says "and is about that home" '^hello$' "$work/out"
"$pbft" --home "$odd" devnet status >"$work/out" 2>&1
check_says "which has been stopped" '^0 +stopped' "$work/out"
"$pbft" --home "$odd" devnet down >/dev/null 2>&1

# a single replica, and seven
rm -rf "$PBFT_HOME"
start_devnet 1 && pass "a group of one commits" || fail "a group of one commits"
check "its status" "$pbft" status
check "it stops" "$pbft" devnet down
rm -rf "$PBFT_HOME"
start_devnet 7 && pass "a group of seven commits" || fail "a group of seven commits"
check "one of seven is killed" "$pbft" devnet kill 5
check "and another" "$pbft" devnet kill 6
check "five of seven commit" "$pbft" put x y
check "down" "$pbft" devnet down
end_tests
