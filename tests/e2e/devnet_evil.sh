#!/bin/bash
# devnet_evil.sh - `pbft devnet evil` and `good`: a replica's process makes room for one that misbehaves, and for the honest one
# again; status shows which is which, and the other verbs work with both. pbftd has nothing of what misbehaves.
. tests/e2e/kit.bash
# shows ID STATE EVIL: what devnet status says of one
shows() { pbft devnet status | awk -v id="$1" -v state="$2" -v evil="$3" '$1 == id { found = $2 == state && $6 == evil } END { exit !found }'; }
# runs ID PROGRAM: what the kernel says that it runs
runs() { [ "$(basename "$(readlink "/proc/$(cat "$PBFT_HOME/run/r$1.pid")/exe")")" = "$2" ]; }
misbehaved() { [ "$(count_lines "event=evil.misbehaved.*behaviour=$2 " "$PBFT_HOME/run/r$1.log")" -gt 0 ]; }
functions() { nm --defined-only "$@" | awk '$2 ~ /^[Tt]$/ { print $3 }' | sort -u; }
# The functions of tests/evil, its command line apart, that no object of the product has too.
evil_functions() {
    comm -23 <(functions $(ls build/release/tests/evil/*.o | grep -v pbft_evil)) <(functions build/release/libpbft-all.a 2>/dev/null)
}
in_common() { comm -12 "$home/evil_functions" <(functions "$1") | wc -l; }
# refused CODE PATTERN COMMAND...: it ends with that code and says so
refused() { exits_with "$1" "${@:3}" >"$home/said" 2>&1 && grep -q -- "$2" "$home/said" || { cat "$home/said"; return 1; }; }
says() { refused 0 "$@"; }

evil_functions >"$home/evil_functions"
check "pbft-evil has functions of its own" grep -qx evil_says "$home/evil_functions"
check "all of them are in it" [ "$(in_common "$evil_program")" -eq "$(wc -l <"$home/evil_functions")" ]
check "none of them is in pbftd" [ "$(in_common "$bin/pbftd")" -eq 0 ]
check "nor in pbft" [ "$(in_common "$bin/pbft")" -eq 0 ]

check "without a group there is nothing to replace" exits_with 4 pbft devnet evil 1 mute
check "a group of four comes up" group_up 1000
check "what is no behaviour is refused, and the list named" refused 2 'behaviours are silent .* one-off' pbft devnet evil 1 dance
check "so is an empty one" exits_with 2 pbft devnet evil 1 ''
check "and a wrong place of one" exits_with 2 pbft devnet evil 1 mute@hour=3
check "and four at once" exits_with 2 pbft devnet evil 1 mute,forge,replay,flood
check "and no behaviour at all" exits_with 2 pbft devnet evil 1
check "and a replica that there is not" exits_with 2 pbft devnet evil 4 mute
check "nothing has changed by that" shows 1 running no
mkdir "$home/alone" && cp "$bin/pbft" "$home/alone/pbft"
check "a pbft without pbft-evil says what is missing and what to do" refused 4 'pbft-evil is missing.*run make evil, then set PBFT_EVIL' \
    env -u PBFT_EVIL "$home/alone/pbft" devnet evil 1 mute
check "one that PBFT_EVIL names in vain is named" refused 4 "$home/none cannot be run" env PBFT_EVIL="$home/none" "$bin/pbft" devnet evil 1 mute

check "replica 1 misbehaves" pbft devnet evil 1 vote-twice@seq=3,silent
check "status says how" shows 1 running vote-twice@seq=3,silent
check "and of the others that they do not" shows 0 running no
check "it is another program" runs 1 pbft-evil
check "in JSON too" grep -q '"evil": "vote-twice@seq=3,silent"' <(pbft -o json devnet status)
check "the group commits" pbft put a b
check "and again" pbft put a c
check "it misbehaved from its sequence on" eventually 20 misbehaved 1 vote-twice
counts() { [ "$(metric "$1" "$2")" -gt 0 ]; }
check "the others count what they ignore of it" eventually 20 counts 0 pbft_messages_ignored_total
check "up leaves it as it is, and says so" says 'replica 1 misbehaves on purpose (vote-twice@seq=3,silent)' pbft devnet up
check "it may be told something else while it runs" pbft devnet evil 1 mute
check "status says that" shows 1 running mute
check "a second one is more than the group bears, and that is said" says '2 of 4 replicas misbehave' pbft devnet evil 2 mute
check "nothing commits" exits_with 3 pbft --timeout 1500 put a d
check "the second one keeps the rules again" pbft devnet good 2
check "status says that too" shows 2 running no
check "it is pbftd" runs 2 pbftd
check "the group commits again" pbft --timeout 60000 put a e
check "to be good twice is harmless" pbft devnet good 2

check "pause" pbft devnet pause 1
check "status of a paused one" shows 1 paused mute
check "resume" pbft devnet resume 1
check "kill" pbft devnet kill 1
check "one that does not run is not evil" shows 1 stopped no
check "start starts the honest one" pbft devnet start 1
check "it is" shows 1 running no
# what it said while it misbehaved is not in its record: it may be fenced for that, and two at a time would be one too many
check "it votes again" eventually 120 is 1 synced
check "one that is stopped comes back as evil" eval 'pbft devnet stop 1 && pbft devnet evil 1 flood'
check "the others count what is invalid" eventually 20 counts 0 pbft_messages_invalid_total
check "and leave it" eventually 20 counts 0 pbft_connections_closed_invalid_total
check "it stops cleanly" pbft devnet stop 1
check "and comes back as good" pbft devnet good 1
check "a paused one is replaced too" eval 'pbft devnet pause 3 && pbft devnet evil 3 vote-twice'
check "the group commits all the same" pbft --timeout 60000 put a f
check "and that one by the good" eval 'pbft devnet pause 3 && pbft devnet good 3'
check "that one votes again" eventually 120 is 3 synced
check "all four get there" eventually 60 all_equal
check "four ledgers are equal" exports_become_equal
check "one is evil at the end" pbft devnet evil 0 replay
check "all stop" pbft devnet down
check "none runs" [ "$(pbft devnet status | grep -c stopped)" -eq 4 ]
check "up starts honest ones" pbft devnet up
check "they are" [ "$(pbft devnet status | grep -c ' no$')" -eq 4 ]
