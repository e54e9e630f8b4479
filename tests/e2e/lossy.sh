#!/bin/bash
# lossy.sh - a fifth of all frames between replicas is lost, another fifth comes twice, another fifth late and out of order
# (tests/evil/links.c): the group commits, and with a T that allows for it nobody leaves the primary.
. tests/e2e/kit.bash
lines=1000
lossy_up() { PBFT_EVIL_LINKS=drop=20,dup=20,delay=20:50ms,seed=${SEED:-1} evil --timeout 60000 devnet up; }
check "bad links are refused" exits_with 2 "$evil_program" --config none --links drop=60,dup=60
check "a group of four comes up" group_up 10000
check "down" pbft devnet down
check "it comes up on lossy links" lossy_up
check "all four are on lossy links" [ "$(count_lines 'event=evil.started.*links=lossy' "$PBFT_HOME"/run/r*.log)" -eq 4 ]
before=$(view)
left=$(count_lines event=view.left "$PBFT_HOME"/run/r*.log)
real_file $lines "$home/in"
check "$lines lines come in" pbft --timeout 60000 log append --lines "$home/in"
check "frames were lost: some were sent again" [ "$(count_messages PREPARE resent)" -gt 0 ]
check "all four get there" eventually 60 all_equal
echo "# PREPAREs sent $(count_messages PREPARE sent), again $(count_messages PREPARE resent); COMMITs $(count_messages COMMIT sent), again $(count_messages COMMIT resent)"
check "nobody left the view" [ "$(count_lines event=view.left "$PBFT_HOME"/run/r*.log)" -eq "$left" ]
check "the view is the one it was" [ "$(view)" -eq "$before" ]
check "no link was given up" [ "$(count_lines 'event=peer.lost' "$PBFT_HOME"/run/r*.log)" -eq "$(count_lines 'event=peer.lost.*the peer' "$PBFT_HOME"/run/r*.log)" ]

# and with a primary that dies under all this
victim=$(pbft devnet kill primary)
sed 's/$/ again/' "$home/in" | head -n 200 >"$home/in2"
check "the primary is killed: lines come in under the next" pbft --timeout 90000 log append --lines "$home/in2"
check "the view has changed" [ "$(view)" -gt "$before" ]
check "down" pbft devnet down
check "up on good links" pbft --timeout 60000 devnet up
check "all four get there again" eventually 60 all_equal
check "four ledgers are equal" exports_become_equal
lines_out() { cat "$home/in" "$home/in2" | cmp - <(pbft log cat); }
check "what comes out is what went in" lines_out
check "nothing was entered twice" [ "$(grep -c '^entry' "$home/export0")" -eq $((4 + lines + 200)) ] # and of four times up
