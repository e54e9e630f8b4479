#!/bin/bash
# evidence.sh - a member that signs two things that contradict each other is named by what the others keep, and by nothing that they
# keep about anybody else: a backup that votes twice, a primary that proposes two batches; then a kill -9, an emptied directory and a
# restart of replicas that keep the rules. A record goes out as a file that proves it with the group file alone, or proves nothing.
. tests/e2e/kit.bash
list() { pbft evidence list "$PBFT_HOME/r$1"; }
put() { pbft --timeout 60000 put "key$1" value; }
puts() { for k in 1 2 3 4 5 6; do put "$1$k" || return 1; done; }
names() { list "$1" | grep -q "member $2 (.*) signed two different $3s for view [0-9]*, sequence [0-9]*: digests [0-9a-f]\{64\} and [0-9a-f]\{64\}\$"; }
# nobody keeps anything against anyone but those
only() { ! for id in 0 1 2 3; do list $id; done | grep -v '^no evidence' | grep -v "member [$1] "; }

check "a group of four comes up" group_up 1000
check "it commits" puts before
check "nobody keeps anything against anyone" only x
check "and says so" grep -q '^no evidence against any member$' <(list 1)

# a backup
check "replica 3 begins to vote twice" eval 'pbft devnet evil 3 vote-twice && eventually 30 all_equal'
check "the group commits all the same" puts twice
for id in 0 1 2; do check "replica $id keeps what proves it" eval "eventually 20 names $id 3 PREPARE && eventually 20 names $id 3 COMMIT"; done
check "it is logged, with an action" grep -q 'event=evidence.found.*member=3 kind=PREPARE .*action=' "$PBFT_HOME/run/r1.log"
check "it is counted" eval "page 1 /metrics | grep -q '^pbft_evidence_total{member=\"3\",kind=\"PREPARE\"} [1-9]'"
check "nobody else is" eval "! page 1 /metrics | grep '^pbft_evidence_total{' | grep -v 'member=\"3\"'"
check "the status names it" eval 'page 1 /v1/status | tr -d "[:space:]" | grep -q "\"evidence_against\":\[3\]"'
check "the list is JSON too" eval 'pbft -o json evidence list "$PBFT_HOME/r1" | tr -d " ," | grep -qx "\"kind\":\"PREPARE\""'

# one file
group=$PBFT_HOME/group.json
verify() { PBFT_HOME=$home/nowhere "$bin/pbft" evidence verify "$@"; }
check "a record is exported" pbft evidence export "$PBFT_HOME/r1" 1 "$home/proof"
check "not over a file that is there" exits_with 4 pbft evidence export "$PBFT_HOME/r1" 1 "$home/proof"
check "there is no record 99" exits_with 1 pbft evidence export "$PBFT_HOME/r1" 99 "$home/none"
proves() { verify "$home/proof" --group "$group" >"$home/sentence" && grep -q '^member 3 (.*) signed two different PREPAREs for view [0-9]*, sequence [0-9]*: digests [0-9a-f]* and [0-9a-f]*$' "$home/sentence"; }
check "it proves it with the group file alone" proves
check "as the list says" grep -qF "$(cat "$home/sentence")" <(list 1)
size=$(wc -c <"$home/proof")
chunk=$(((size - 38) / 2)) # format, group, certificate; then two messages of one length
flipped() {
    local at
    for at in 1 20 37 60 $((size - 1)); do
        cp "$home/proof" "$home/flipped"
        printf '%b' "\\$(printf '%03o' $(($(od -An -tu1 -j"$at" -N1 "$home/proof") ^ 1)))" | dd of="$home/flipped" bs=1 seek="$at" conv=notrunc 2>"$home/dd" || return 1
        exits_with 1 verify "$home/flipped" --group "$group" || return 1
    done
}
check "with a byte changed it proves nothing" flipped
{ head -c $((38 + chunk)) "$home/proof"; tail -c +39 "$home/proof" | head -c "$chunk"; } >"$home/same"
says_why() { exits_with 1 verify "$home/same" --group "$group" && grep -q 'its two messages do not contradict each other' "$home/last"; }
check "one message said twice proves nothing" says_why
sed '0,/"name": "/s//"name": "another-/' "$group" >"$home/other.json"
other_group() { exits_with 1 verify "$home/proof" --group "$home/other.json" && grep -q 'it is of another group' "$home/last"; }
check "for another group it proves nothing" other_group
check "what is no record proves nothing" exits_with 1 verify "$group" --group "$group"
check "without a file there is no answer" exits_with 4 verify "$home/none" --group "$group"

# nobody who keeps the rules
kept=$(list 1)
check "replica 3 keeps the rules again" eval 'pbft devnet stop 3 && pbft devnet start 3 && eventually 60 all_equal'
# what it said while it misbehaved is not in its record: it may be fenced for that, and two at a time would be one too many
check "replica 3 votes again" eventually 120 is 3 synced
check "replica 1 is killed and comes back" eval 'puts a && pbft devnet kill 1 && pbft devnet start 1 && eventually 60 all_equal'
check "what it kept is still there, once" [ "$(list 1)" = "$kept" ]
check "replica 2 loses its disk" eval 'pbft devnet kill 2 && rm -rf "$PBFT_HOME/r2" && "$bin/pbftd" --config "$PBFT_HOME/conf/r2.conf" --init && pbft devnet start 2'
check "it commits, and replica 2 follows" eval 'puts b && eventually 60 all_equal'
check "all four are killed at once" eval 'for id in 0 1 2 3; do pbft devnet kill $id; done; pbft devnet up'
check "they commit again" eval 'puts c && eventually 60 all_equal'
check "nobody but replica 3 is named" only 3

# a primary: each half has one side of it
check "replica 2 votes again" eventually 120 is 2 synced
check "a primary proposes two batches" reign equivocate
guilty=$id
check "the group commits all the same" puts two
both() { for id in 0 1 2 3; do [ $id -ne $guilty ] && names $id $guilty PRE-PREPARE && return; done; return 1; }
check "the two halves put it together" eventually 60 both
check "and name nobody else" only "3$guilty"
