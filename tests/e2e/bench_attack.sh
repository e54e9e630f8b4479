#!/bin/bash
# bench_attack.sh - pbft-bench attack: words that are wrong, a replica as primary, one as backup and a client that misbehave, each beside a
# run in which nobody does, in every form; and that nothing is left behind, also by one that is interrupted.
. tests/e2e/bench.bash
# of NAME OBJECT FIELD: a number of the behaviour NAME in the JSON, by its name within an object; without OBJECT of the behaviour itself
of() { tr -d ' \n' <"$out" | grep -o "\"behaviour\":\"$1\".*" | if [ $# -eq 3 ]; then grep -o "\"$2\":{.*"; else cat; fi | grep -o "\"${*: -1}\":[0-9.a-z]*" | head -n 1 | cut -d : -f 2; }
# burnt USED HONEST DUMMY SHORT: the dummy used what the attacker used beyond a correct one, or it is said that others had the cores
burnt() { awk -v u="$1" -v h="$2" -v d="$3" -v short="$4" 'BEGIN { x = u > h ? u - h : 0; exit !(d < x * 1.2 + 0.02 && (d > x * 0.7 - 0.02 || short)) }'; }
# column NAME N: of its line of the CSV
column() { awk -F, -v name="$1" -v n="$2" '$1 == name { print $n }' "$out"; }

check "a behaviour that there is not is named" eval 'refused attack --behaviours silent,dance --dir "$dir" && says "\"dance\" is no behaviour"'
check "so is one that only begins as one does" eval 'refused attack --behaviours silently && says "\"silently\" is no behaviour"'
check "an empty list is none" eval 'refused attack --behaviours "" && says "behaviours is empty"'
check "a group that bears none who misbehaves" eval 'refused attack --replicas 3 && says "give a number from 4"'
check "an option of another command" refused attack --seconds 3
check "no time at all" eval 'refused attack --duration 0 && says "duration"'
check "nothing was started by that" left_nothing
check "it has its help" eval 'bench attack --help | grep -q "^usage: pbft-bench attack"'
check "without pbft-evil it says what is missing" eval 'exits_with 4 env PBFT_EVIL="$home/none" "$bin/pbft-bench" attack --dir "$dir" 2>"$home/said" && says "$home/none cannot be run"'
cp "$evil_program" "$home/pbft-evil"
check "nor without the client beside it" eval 'exits_with 4 env PBFT_EVIL="$home/pbft-evil" "$bin/pbft-bench" attack --dir "$dir" 2>"$home/said" && says "pbft-evil-client is missing"'
check "a directory that is not there is named" eval 'exits_with 4 bench attack --behaviours mute --dir "$home/none" 2>"$home/said" && says "$home/none"'

client_program=${evil_program%/*}/pbft-evil-client
check "the client that misbehaves has a list" [ "$("$client_program" --list | grep -c '^client-')" -gt 5 ]
check "and refuses what is not in it" eval 'exits_with 2 "$client_program" --home "$home" --client default --behaviour client-dance 2>"$home/said" && says "client-dance is no behaviour"'
check "a group that there is not" exits_with 4 "$client_program" --home "$home/none" --client default --behaviour client-flood

short="--dir $dir --base-port $base --duration 3 --warm-up 0.5 --clients 2"
check "a primary and a client" eval 'bench attack --behaviours silent,client-flood $short -o json --plot "$home/attack.svg" >"$out"'
check "what it was measured on is said" grep -q '"processor": "..*"' "$out"
check "nobody misbehaves at first" above "$(tr -d ' \n' <"$out" | grep -o '"per_second":[0-9.]*' | head -n 1 | cut -d : -f 2)" 10
check "beside the silent one the group worked" above "$(of silent fault_free per_second)" 10
check "its ratio is that of the two" awk -v r="$(of silent ratio)" -v a="$(of silent attack per_second)" -v f="$(of silent fault_free per_second)" 'BEGIN { exit !(r > a / f - 0.01 && r < a / f + 0.01) }'
check "the group waited for who was silent" above 0.9 "$(of silent throughput_ratio median)"
check "and left it: no transaction failed" [ "$(of silent attack failed)" = 0 ]
check "the silent one was replica 1" [ "$(of silent replica)" = 1 ]
check "what it used beyond a correct one was burnt beside" burnt "$(of silent attacker_cores)" "$(of silent honest_cores)" "$(of silent dummy_cores)" "$([ "$(of silent dummy_short)" = false ] || echo 1)"
check "the floor is said" [ "$(of silent floor)" = 0.9 ]
check "it is not met" [ "$(of silent met)" = false ]
check "the client that floods used CPU time" above "$(of client-flood attacker_cores)" 0
check "others were served beside it" above "$(of client-flood attack transactions)" 10
check "in the fault-free run a third one stood in its place" [ "$(of client-flood fault_free clients)" = 3 ]
check "throughput stands there by half seconds" grep -q each_half_second "$out"
check "the picture is one" grep -q '<svg' "$home/attack.svg"
check "it has a curve for each" eval 'grep -q client-flood "$home/attack.svg" && grep -q silent "$home/attack.svg"'
check "nothing is left" left_nothing
check "a backup, and a client that is not served" eval 'bench attack --behaviours flood,client-bad-signatures $short -o csv >"$out"'
check "in CSV" [ "$(awk -F, 'NR == 1 { n = NF } NR > 1 { print n == NF, $1, $2, $3 }' "$out" | tr '\n' ';')" = "1 flood backup 3;1 client-bad-signatures client ;" ]
check "the client used CPU time that no correct one would have" eval 'above "$(column client-bad-signatures 13)" 0 && [ "$(column client-bad-signatures 14)" = 0.000 ]'
check "the dummy used as much" burnt "$(column client-bad-signatures 13)" 0 "$(column client-bad-signatures 15)" "$([ "$(column client-bad-signatures 18)" = 0 ] || echo 1)"
check "two rounds of one that shows when the view is its own" eval 'bench attack --behaviours new-view-drop --rounds 2 $short >"$out"'
check "for the eye" grep -Eq '^new-view-drop +primary .*(met|missed)$' "$out"
check "nothing is left by them" left_nothing

"$bin/pbft-bench" attack --behaviours client-flood --dir "$dir" --base-port "$base" --clients 2 --duration 10 --warm-up 0 >"$out" 2>&1 &
measuring=$!
attacked() { still_run | grep -q pbft-evil-client; }
check "a client begins to misbehave" eventually 180 attacked
kill -INT $measuring
check "told to stop it ends with 1" eval "wait $measuring; [ \$? -eq 1 ]"
check "it says why" grep -q interrupted "$out"
check "no process of it runs, no file is left" left_nothing
