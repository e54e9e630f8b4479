#!/bin/bash
# bench_growth.sh - pbft-bench growth: marks, what a replica has on its disk, keys that stay the same, every form, and that nothing is left
# behind, also by one that is interrupted.
. tests/e2e/bench.bash
# of MARK FIELD: the first number of that name of the MARK-th mark, from 1 on, of the JSON in $out
of() { tr -d ' \n' <"$out" | sed 's/{"mark":/\n&/g' | sed -n "$(($1 + 1))p" | grep -o "\"$2\":-\?[0-9.]*" | head -n 1 | cut -d : -f 2; }

check "marks that fall are refused" eval 'refused growth --entries 20,10 && says "entries is \"20,10\""'
check "the same one twice" refused growth --entries 20,20
check "none" refused growth --entries ""
check "one that is no number" refused growth --entries 10,many
check "a negative one" refused growth --entries -5
check "more than there can be" refused growth --entries 2000000000
check "a number before which nothing stands" refused growth --entries ,5
check "nothing was left by that" left_nothing
check "help" eval 'bench growth --help | grep -q "^usage: pbft-bench growth"'

short="--dir $dir --base-port $base --clients 2 --seconds 1 --warm-up 0.2"
check "two marks" eval 'bench growth --entries 0,30000 --fill-bundle 1000 --in-flight 2 $short -o json --plot "$home/growth.svg" >"$out"'
check "the fill ends at the mark" eval '[ "$(of 2 mark)" = 30000 ] && above "$(of 2 entries)" 29999 && above 40000 "$(of 2 entries)"'
check "it filled what the load had not" eval 'above "$(of 2 operations)" 0 && above 40000 "$(of 2 operations)"'
check "plain transactions were measured at each" eval 'above "$(of 1 transactions)" 5 && above "$(of 2 transactions)" 5'
check "and on the small ledger" eval 'above "$(of 2 small_entries)" 5 && above "$(of 2 ratio)" 0 && above "$(of 2 first_ratio)" 0'
check "a request has its value, key and signature" eval 'above "$(of 2 request)" 336 && above 500 "$(of 2 request)"'
check "a transaction has an entry of its own" eval 'above "$(of 2 entry)" 60 && above 90 "$(of 2 entry)"'
check "on the disk it is larger than itself" above "$(of 2 over_request)" 1
check "all parts together" eval '[ "$(tr -d " \n" <"$out" | grep -o "\"over_request\":[0-9.]*" | wc -l)" -eq 2 ]'
check "the batches of 30000 entries have their values at least" above "$(of 2 batches_bytes)" 7680000
check "and an empty ledger has none" above 100000 "$(of 1 batches_bytes)"
check "files are as long as what is used, at least" above "$(of 2 reserved_bytes)" "$(of 2 used_bytes)"
check "each of four replicas is there, at each mark" [ "$(tr -d ' \n' <"$out" | grep -o '"after":{"used_bytes"' | wc -l)" -eq 8 ]
check "memory too" above "$(of 2 memory_kib)" 1000
check "the picture is one" grep -q '<svg' "$home/growth.svg"
check "both groups are gone" left_nothing
check "in CSV" eval 'bench growth --entries 0 --replicas 1 $short -o csv >"$out"'
check "a line for the replica, as wide as the header" [ "$(awk -F, 'NR == 1 { n = NF } NR == 2 { print (n == NF), $1 }' "$out")" = "1 0" ]
check "as a table" eval 'bench growth --entries 0,500 --replicas 1 --keys 0 $short >"$out" && grep -q "^  request, as signed" "$out"'
check "its last line says the ratio" grep -q '^all over the request [0-9.]*, the aim is 2.0' "$out"
check "nothing is left" left_nothing

check "a group" pbft devnet up --replicas 1
check "a load with five keys" eval 'bench load --home "$PBFT_HOME" --keys 5 --seconds 1 --warm-up 0 >"$out"'
check "puts those five, beside the group's first" [ "$(pbft list 2>/dev/null | wc -l)" -eq 6 ]
check "again the same" eval 'bench load --home "$PBFT_HOME" --keys 5 --seconds 1 --warm-up 0 >"$out" && [ "$(pbft list | wc -l)" -eq 6 ]'
check "without a bound each is new" eval 'bench load --home "$PBFT_HOME" --seconds 1 --warm-up 0 >"$out" && [ "$(pbft list | wc -l)" -gt 6 ]'
check "it is stopped" pbft devnet down

: >"$out" # the child opens it when it gets to it: until then what the last one wrote would be there
"$bin/pbft-bench" growth --replicas 4 --clients 2 --dir "$dir" --base-port "$base" --seconds 1 --entries 0,1000000000 >"$out" 2>&1 &
filling=$!
running() { [ "$(wc -l <"$out")" -ge 3 ]; } # two lines above the first mark
check "a long one begins to fill" eventually 120 running
replicas=$(cat "$dir"/*/run/r*.pid)
kill -INT $filling
check "told to stop it ends with 1" eval "wait $filling; [ \$? -eq 1 ]"
check "all eight replicas are gone" eval '[ "$(echo $replicas | wc -w)" -eq 8 ] && for r in $replicas; do ! grep -q pbftd /proc/$r/cmdline 2>/dev/null || exit 1; done'
check "and the directories" left_nothing
