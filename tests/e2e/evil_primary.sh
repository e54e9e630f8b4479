#!/bin/bash
# evil_primary.sh - a primary that misbehaves (tests/evil/): it ignores requests, gives different batches or different sequence
# numbers to different backups, sends pre-prepares to some backups only. Every line comes in exactly once, the four ledgers
# are equal, and where no quorum was left to it the group has left it.
. tests/e2e/kit.bash
lines=200
lines_in() { pbft --timeout 60000 log append --lines "$home/in"; }
misbehaved() { [ "$(count_lines "event=evil.misbehaved.*behaviour=$1 " "$PBFT_HOME/run/r$id.log")" -gt 0 ]; }

check "the product has nothing of it" [ "$(nm "$bin/pbftd" | grep -ciE 'evil|__wrap_|links_send')" -eq 0 ]
check "the replica that misbehaves has" [ "$(nm "$evil_program" | grep -cE 'T (__wrap_core_step|links_send)$')" -eq 2 ]
check "it says what it can do" grep -q '^equivocate ' <("$evil_program" --list)
check "it refuses what it cannot" exits_with 2 "$evil_program" --config none --behaviour dance
check "a group of four comes up" group_up 1000
: >"$home/all"
for behaviour in silent equivocate scatter renumber omit starve duplicate-requests; do
    real_file $lines "$home/in" && sed -i "s/\$/ $behaviour/" "$home/in" && cat "$home/in" >>"$home/all"
    check "$behaviour: a replica that does so becomes primary" reign $behaviour
    check "$behaviour: every line comes in all the same" lines_in
    check "$behaviour: it did so" misbehaved $behaviour
    echo "# $behaviour: replica $id in view $reign; now view $(view)"
    case $behaviour in
    silent | scatter | renumber | starve) check "$behaviour: it was left" [ "$(view)" -gt "$reign" ] ;;
    esac
    check "$behaviour: all four get there" eventually 60 all_equal
    check "$behaviour: the replica keeps the rules again" honest_again
done
check "all four get there" eventually 60 all_equal
check "four ledgers are equal" exports_become_equal
check "nobody looked for an answer where it was not yet" [ "$(cat "$PBFT_HOME"/run/r*.log | grep -c event=storage.read-answer)" -eq 0 ]
lines_out() { pbft log cat >"$home/out" && cmp "$home/all" "$home/out"; }
check "what comes out is what went in" lines_out
check "nothing was entered twice" [ "$(grep -c '^entry' "$home/export0")" -eq $((2 + $(wc -l <"$home/all"))) ] # and of two times up
