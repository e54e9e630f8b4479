#!/bin/bash
# sim.sh - pbft-sim run, swarm, shrink, crashes, list as their user types them.
. tests/e2e/kit.bash
sim=$bin/pbft-sim
says() { grep -q -- "$1" "$home/last.out" || { cat "$home/last.out"; return 1; }; }
# run_says CODE WORDS ARGUMENTS...
run_says() {
    local code=$1 words=$2
    shift 2
    exits_with "$code" "$sim" "$@" >"$home/last.out" 2>&1 && says "$words"
}
check "a seed holds" run_says 0 "all invariants held for" run --seed 2
cp "$home/last.out" "$home/first"
check "the same seed is the same run" eval 'run_says 0 "all invariants held for" run --seed 2 && cmp "$home/first" "$home/last.out"'
check "its scenario is text" eval '"$sim" run --seed 2 --print >"$home/two.txt" && grep -q "^at .* rest$" "$home/two.txt"'
trace() { sed 's/.*trace //' "$1"; }
check "which is the same run again" eval 'run_says 0 "all invariants held for" run --scenario "$home/two.txt" && [ "$(trace "$home/first")" = "$(trace "$home/last.out")" ]'
check "another seed is another run" eval 'run_says 0 "all invariants held for" run --seed 3 && [ "$(trace "$home/first")" != "$(trace "$home/last.out")" ]'
check "the size of the group can be said" run_says 0 "all invariants held for" run --seed 2 --replicas 7
cat >"$home/wrong.txt" <<'END'
clients 2
timeout_us 300000
loss_permille 20
at 0 submit 0 5
at 10 submit 1 5
at 100 crash 0
at 2000 start 0
at 3000 skew 1 50
at 5000 expect accepted 11
END
check "what does not hold is told: what, the last events, the scenario, how to repeat it" run_says 1 "accepted 11 is 10, not 11" run --scenario "$home/wrong.txt"
check "... the events" says " r1 MESSAGE "
check "... the command" says "pbft-sim run --scenario $home/wrong.txt"
cat >"$home/too_many.txt" <<'END'
clients 2
loss_permille 20
at 0 submit 0 5
at 10 submit 1 5
at 50 evil 0 equivocate
at 60 evil 2 view-change-hide
at 100 submit 0 10
at 6000 rest
END
check "two of four that misbehave are too many" run_says 1 "invariant 18 (results) is broken" run --scenario "$home/too_many.txt"
check "... and the events are there, although the next line is seconds away" says " r0 MESSAGE COMMIT"
check "shrunk it is small, and fails the same way" eval '"$sim" shrink "$home/wrong.txt" >"$home/small.txt" && [ "$(grep -c . "$home/small.txt")" -le 3 ] && grep -q "expect accepted 11" "$home/small.txt"'
cat >"$home/stuck.txt" <<'END'
clients 1
at 0 evil 0 reply-silent
at 0 evil 1 reply-silent
at 0 evil 2 reply-silent
at 500 submit 0 3
at 600 crash 3
at 700 start 3
at 2000 calm
at 3000 rest
END
check "where nothing goes on any more the end of the faults stays" eval '"$sim" shrink "$home/stuck.txt" >"$home/small.txt" && grep -q "breaks liveness" "$home/small.txt" && grep -q " calm$" "$home/small.txt" && ! grep -q "start 3" "$home/small.txt"'
check "what holds is not shrunk" run_says 1 "there is nothing to shrink" shrink tests/scenarios/one_transaction.txt
check "crashes at some effects of a replica hold" run_says 0 "all invariants held" crashes --scenario tests/scenarios/crash_points.txt --replica 2 --stride 150
printf 'replicas 1\nat 0 submit 0 5\nat 200 expect accepted 5\n' >"$home/crashing.txt"
check "... and name the run that does not" run_says 1 "replica 0 crashes after effect 1: .*crashing.txt:3: accepted 5 is 0" crashes --scenario "$home/crashing.txt" --replica 0
check "... no such replica is refused, with the line" run_says 2 "crashing.txt:2: the replica that is to crash is none" crashes --scenario "$home/crashing.txt" --replica 1
check "... no such effect is refused: nothing would have crashed" run_says 2 "crashing.txt: replica 0 has [0-9]* effects, none is number 9999" crashes --scenario "$home/crashing.txt" --replica 0 --from 9999
check "explore says how far it got" run_says 0 "all up to depth 3 .*not finished: --depth" explore --depth 3
count() { "$sim" explore --depth 3 --byzantine 2 2>/dev/null | cut -d ';' -f 1 | sed 's/ in .*//'; }
check "... the same search is the same" eval '[ -n "$(count)" ] && [ "$(count)" = "$(count)" ]'
check "... and ends at so many states" run_says 0 "not finished: --states" explore --states 200
check "... no such member is refused" run_says 2 "no such number: 4" explore --byzantine 4
check "list names behaviours and invariants" eval 'run_says 0 "  equivocate " list && says " 1 agreement "'
for verb in run swarm shrink crashes explore list replay linearize; do
    check "$verb --help tells more" eval 'run_says 0 "^usage: pbft-sim $verb" $verb --help && run_says 0 "^usage: pbft-sim $verb" $verb --no-such-option --help'
done
check "what its clients asked and got is written" run_says 0 "all invariants held for" run --seed 2 --history "$home/history"
check "... and one order fits" run_says 0 "linearizable: [1-9][0-9]* operations" linearize "$home/history"
check "... and is left as it is by what is no scenario" eval 'cp "$home/history" "$home/kept" && printf "at 0 sbmit 0 3\n" >"$home/bad.txt" && run_says 2 "no such event" run --scenario "$home/bad.txt" --history "$home/history" && cmp "$home/history" "$home/kept"'
printf '%s\n' '{"client":"a","op":"put","key":"k","value":"1","invoke_us":0,"complete_us":1,"outcome":"ok"}' \
    '{"client":"b","op":"get","key":"k","invoke_us":2,"complete_us":3,"outcome":"negative"}' '{"operations":2}' >"$home/lost"
check "a write that is lost is seen" run_says 1 "not linearizable: key \"k\"" linearize "$home/lost"
check "a search that is too long is no verdict" run_says 3 "unchecked" linearize --steps 0 "$home/lost"
check "list names behaviours of clients" run_says 0 "  two-operations" list
check "a swarm runs its seeds" run_says 0 "^3 seeds from 5 on, 0 failed" swarm --seeds 5..7 --jobs 2
check "and ends with its budget" run_says 0 " seeds from 5 on, 0 failed" swarm --seeds 5..100000000 --jobs 1 --budget 1
check "wrong words are refused: no seed" run_says 2 "no seed: x" run --seed x
check "... no verb" run_says 2 "no such verb: dance" dance
check "... neither seed nor scenario" run_says 2 "give --seed or --scenario" run
check "... a behaviour that is none" eval 'printf "at 0 evil 1 dance\n" >"$home/bad.txt"; run_says 2 "bad.txt:1: no such behaviour" run --scenario "$home/bad.txt"'
check "... an empty scenario" eval ': >"$home/bad.txt"; run_says 2 "nothing happens" run --scenario "$home/bad.txt"'
check "... a file that is not there" run_says 2 "cannot be read" run --scenario "$home/none.txt"
check "... a file of garbage" eval 'head -c 3000 /dev/urandom >"$home/bad.txt"; run_says 2 "bad.txt:" run --scenario "$home/bad.txt"'
check "... seeds the wrong way round" run_says 2 "wants A..B" swarm --seeds 7..5
