#!/bin/bash
# evil_client.sh - pbft-evil-client: what each client that misbehaves makes a replica do in vain is counted, and it is not read for a
# while; others are served meanwhile, and so is it once it keeps the rules again.
. tests/e2e/kit.bash
client_program=${evil_program%/*}/pbft-evil-client
hostile=
end_hostile() { [ -z "$hostile" ] || { kill "$hostile"; wait "$hostile"; hostile=; } 2>/dev/null; true; }
trap 'end_hostile; finish' EXIT
# misbehaves BEHAVIOUR: the second client begins to
misbehaves() { "$client_program" --home "$PBFT_HOME" --client client2 --behaviour "$1" & hostile=$!; }
# vain REPLICA KINDS: how much of these kinds, a pattern
vain() { page "$1" /metrics | tr -d '\r' | awk -v kinds="^pbft_client_vain_total{kind=\"($2)\"}\$" '$1 ~ kinds { sum += $2 } END { print sum + 0 }'; }
paused() { metric "$1" "pbft_client_pauses_total{reason=\"$2\"}"; }
none_paused() { [ "$(metric 0 pbft_clients_paused)" = 0 ]; }
# grown FROM WORDS...: the number that the words give is above FROM
grown() { [ "$("${@:2}")" -gt "$1" ]; }
# shows BEHAVIOUR REPLICA KIND REASON: one that does so is counted there under that kind, and not read for that reason
shows() {
    local before_kind before_reason
    before_kind=$(vain "$2" "$3") && before_reason=$(paused "$2" "$4")
    misbehaves "$1"
    check "$1: what it asks in vain is counted" eventually 60 grown "$before_kind" vain "$2" "$3"
    check "$1: it is not read for a while" eventually 60 grown "$before_reason" paused "$2" "$4"
    check "$1: others are served" pbft --timeout 60000 put "beside $1" served
    end_hostile
}

check "a group of four comes up" group_up 20000 --clients 3
check "nobody was paused by that" [ "$(paused 0 allowance)" = 0 ]
view_before=$(view)
shows client-flood 0 dropped allowance
shows client-two-operations $(((view_before + 1) % 4)) 'other|ignored' allowance # whichever is executed first
shows client-bad-signatures 2 invalid allowance
shows client-far-ahead 3 dropped allowance
shows client-never-reads 0 report allowance
misbehaves client-huge
# while others are served it is read at its share
slowed() { pbft put beside huge && grown 0 paused 0 share; }
check "client-huge: it is not read for a while beside others" eventually 60 slowed
end_hostile
check "what it took is said in seconds" awk -v s="$(metric 0 pbft_client_vain_seconds_total)" 'BEGIN { exit !(s > 0.05) }'
check "the log says whom it did not read" grep -q 'event=client.paused.*it asks for too much in vain' "$PBFT_HOME/run/r0.log"
check "a client that has misbehaved is served when it keeps the rules" pbft --client client2 --timeout 60000 put again served
check "in the end none is paused" eventually 60 none_paused
check "the others kept the view" [ "$(view)" = "$view_before" ]
check "all get there" eventually 60 all_equal
check "four ledgers are equal" exports_become_equal
