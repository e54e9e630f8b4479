#!/bin/bash
# import.sh - a real file in, the same bytes out, four equal exports; with a backup killed in the middle; with the client
# killed in the middle. E2E_LINES: how many lines (default 20,000).
. tests/e2e/kit.bash
lines=${E2E_LINES:-20000}
real_file "$lines" "$home/in"
check "a group of four comes up" pbft devnet up

in_full() { pbft log append --lines "$home/in" && pbft log cat >"$home/out" && cmp "$home/in" "$home/out"; }
check "$lines lines in, the same bytes out" in_full
check "every replica gets there" eventually 20 all_equal
check "four exports are equal" exports_become_equal
entries_before=$(grep -c ^entry "$home/export0")
check "no line was entered twice" [ "$entries_before" -eq $((lines + 1)) ] # and the transaction of devnet up

# the backup 3 dies in the middle and comes back
sed 's/$/ again/' "$home/in" >"$home/in2"
"$bin/pbft" log append --lines "$home/in2" >"$home/append.log" 2>&1 &
append=$!
at=$(sequence 0)
check "the second import is under way" eventually 20 past 0 $((at + 20))
check "backup 3 is killed with kill -9" pbft devnet kill 3
before=$(sequence 0)
check "the others go on" eventually 20 past 0 $((before + 20))
check "backup 3 is started again" pbft devnet start 3
wait "$append"
check "the import ends well all the same" [ $? -eq 0 ]
cat "$home/in" "$home/in2" >"$home/both"
both_out() { pbft log cat >"$home/out" && cmp "$home/both" "$home/out"; }
check "both files come back byte for byte" both_out
check "backup 3 catches up" eventually 60 all_equal
check "four exports are equal after a crash" exports_become_equal

# the client dies in the middle; the same command goes on with the same sequence numbers
sed 's/$/ and again/' "$home/in" | head -n 5000 >"$home/in3"
"$bin/pbft" log append --lines "$home/in3" >"$home/append.log" 2>&1 & # not the function: its process is to be killed
append=$!
at=$(sequence 0)
check "the third import is under way" eventually 20 past 0 $((at + 10))
kill -9 "$append"
wait "$append" 2>/dev/null
check "the same command goes on after kill -9 of the client" pbft log append --lines "$home/in3"
cat "$home/in3" >>"$home/both"
check "all files come back byte for byte" both_out
check "every replica gets there again" eventually 20 all_equal
check "four exports are equal after the client's death" exports_become_equal
entries=$(grep -c ^entry "$home/export0")
echo "# $entries entries, $(wc -l <"$home/both") lines"
check "nothing was entered twice" [ "$entries" -eq $((1 + $(wc -l <"$home/both"))) ]
